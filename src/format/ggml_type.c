/*
 * ggml_type.c - the table of element types, and how many bytes a tensor of each has.
 *
 * Numbers and block sizes are llama.cpp's (ggml), bitnet.cpp's and ik_llama.cpp's. Types that nobody here decodes are
 * listed so that a file holding one can still be described tensor by tensor; types whose size is not known for certain
 * are not: trit_ggml_type_hint says what they are.
 *
 * The packed types have numbers far from all others. A program that does not know them says so and stops; none takes
 * them for something else.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <strings.h>

#include "base/mem.h"
#include "format/ggml_codec.h"

/* Types of numbers; written from floats and from trits, or only read; and those nobody reads here. */
#define BOTH(id, name, file_type, block, bytes, c)                                                                     \
	{ id, id, name, file_type, block, bytes, 1, 0, 0, 0, false, false, false, -1, true, true, true, &trit_codec_##c }
#define READ(id, name, file_type, block, bytes, c)                                                                     \
	{ id, id, name, file_type, block, bytes, 1, 0, 0, 0, false, false, false, -1, true, false, false, &trit_codec_##c }
#define LISTED(id, name, block, bytes)                                                                                 \
	{ id, id, name, -1, block, bytes, 1, 0, 0, 0, false, false, false, -1, false, false, false, NULL }

/* Ternary types: scaling is how finely their scales are arranged, at most; floats, trits: whether each is written. */
#define TERNARY(id, file_id, name, file_type, block, bytes, stripe, stripe_bytes, tail, scaling, floats, trits, c)     \
	{ id, file_id, name, file_type, block, bytes, stripe, stripe_bytes, tail, scaling, true, false, false, -1, true,   \
	  floats, trits, &trit_codec_##c }
#define BINARY(id, name, file_type, block, bytes, scaling, c)                                                          \
	{ id, id, name, file_type, block, bytes, 1, 0, 0, scaling, true, true, false, -1, true, true, true,                \
	  &trit_codec_##c }

/* A layout of kernel/layout.h with each kind of scales; `one` is its name with one scale a tensor. The number of
 * general.file_type is the type's. */
#define PACKED_ROW(layout, scales, scaling, name, cols, bytes, ternary)                                                \
	{ TRIT_GGML_PACKED_TYPE(layout, scales), TRIT_GGML_PACKED_TYPE(layout, scales), name,                              \
	  TRIT_GGML_PACKED_TYPE(layout, scales), cols, bytes, 1, 0, 0, scaling, ternary, false, true, layout, false,       \
	  false, false, NULL }
#define PACKED(layout, one, name, cols, bytes, ternary)                       \
	PACKED_ROW(layout, 0, 0, one, cols, bytes, ternary),                  \
	PACKED_ROW(layout, 1, 1, name "_ROW", cols, bytes, ternary),          \
	PACKED_ROW(layout, 2, 64, name "_G64", cols, bytes, ternary),         \
	PACKED_ROW(layout, 3, 128, name "_G128", cols, bytes, ternary)

static const struct trit_ggml_type_info types[] = {
	BOTH(TRIT_GGML_F32, "F32", 0, 1, 4, f32),
	BOTH(TRIT_GGML_F16, "F16", 1, 1, 2, f16),
	BOTH(TRIT_GGML_Q8_0, "Q8_0", 7, 32, 34, q8_0),
	BOTH(TRIT_GGML_BF16, "BF16", 32, 1, 2, bf16),
	TERNARY(TRIT_GGML_TQ1_0, TRIT_GGML_TQ1_0, "TQ1_0", 36, 256, 54, 1, 0, 0, 128, true, true, tq1_0),
	TERNARY(TRIT_GGML_TQ2_0, TRIT_GGML_TQ2_0, "TQ2_0", 37, 256, 66, 1, 0, 0, 128, true, true, tq2_0),
	TERNARY(TRIT_GGML_I2_S, TRIT_GGML_I2_S, "I2_S", 40, 128, 32, 1, 0, 32, 0, false, true, i2_s),
	TERNARY(TRIT_GGML_I2_S_NEON, TRIT_GGML_I2_S, "I2_S_NEON", 40, 64, 16, 1, 0, 32, 0, false, false, i2_s_neon),
	TERNARY(TRIT_GGML_I2_S_4ROW, TRIT_GGML_I2_S, "I2_S_4ROW", 40, 1, 1, 4, 0, 32, 0, false, false, i2_s_4row),
	TERNARY(TRIT_GGML_TL1, TRIT_GGML_TL1, "TL1", 38, 1, 0, 1, 0, 32, 0, false, false, tl1),
	TERNARY(TRIT_GGML_TL2, TRIT_GGML_TL2, "TL2", 39, 1, 0, 1, 0, 32, 0, false, false, tl2),
	BINARY(TRIT_GGML_Q1_0, "Q1_0", 40, 128, 18, 128, q1_0),
	TERNARY(TRIT_GGML_Q2_0, TRIT_GGML_Q2_0, "Q2_0", 41, 64, 18, 1, 0, 0, 64, true, true, q2_0),
	TERNARY(TRIT_GGML_Q2_0_G128, TRIT_GGML_Q2_0, "Q2_0_G128", 41, 128, 34, 1, 0, 0, 128, false, false, q2_0),
	TERNARY(TRIT_GGML_IQ1_BN, TRIT_GGML_IQ1_BN, "IQ1_BN", 136, 64, 13, 1, 2, 0, 1, false, false, iq1_bn),
	TERNARY(TRIT_GGML_IQ2_BN, TRIT_GGML_IQ2_BN, "IQ2_BN", 137, 64, 16, 1, 4, 0, 1, false, false, iq2_bn),
	TERNARY(TRIT_GGML_IQ2_BN_R4, TRIT_GGML_IQ2_BN_R4, "IQ2_BN_R4", 337, 64, 64, 4, 16, 0, 1, false, false,
	        iq2_bn_r4),
	TERNARY(TRIT_GGML_HF_U2, UINT32_MAX, "HF_U2", -1, 1, 1, 4, 0, 0, 0, false, false, hf_u2),
	BOTH(TRIT_GGML_Q4_0, "Q4_0", 2, 32, 18, q4_0),
	READ(TRIT_GGML_Q4_1, "Q4_1", 3, 32, 20, q4_1),
	READ(TRIT_GGML_Q5_0, "Q5_0", 8, 32, 22, q5_0),
	READ(TRIT_GGML_Q5_1, "Q5_1", 9, 32, 24, q5_1),
	LISTED(9, "Q8_1", 32, 36),
	READ(TRIT_GGML_Q2_K, "Q2_K", 10, 256, 84, q2_k),
	READ(TRIT_GGML_Q3_K, "Q3_K", 12, 256, 110, q3_k),
	READ(TRIT_GGML_Q4_K, "Q4_K", 15, 256, 144, q4_k),
	READ(TRIT_GGML_Q5_K, "Q5_K", 17, 256, 176, q5_k),
	BOTH(TRIT_GGML_Q6_K, "Q6_K", 18, 256, 210, q6_k),
	READ(TRIT_GGML_Q8_K, "Q8_K", -1, 256, 292, q8_k),
	LISTED(16, "IQ2_XXS", 256, 66),
	LISTED(17, "IQ2_XS", 256, 74),
	LISTED(18, "IQ3_XXS", 256, 98),
	LISTED(19, "IQ1_S", 256, 50),
	READ(TRIT_GGML_IQ4_NL, "IQ4_NL", 25, 32, 18, iq4_nl),
	LISTED(21, "IQ3_S", 256, 110),
	LISTED(22, "IQ2_S", 256, 82),
	LISTED(23, "IQ4_XS", 256, 136),
	READ(TRIT_GGML_I8, "I8", -1, 1, 1, i8),
	LISTED(25, "I16", 1, 2),
	LISTED(26, "I32", 1, 4),
	LISTED(27, "I64", 1, 8),
	READ(TRIT_GGML_F64, "F64", -1, 1, 8, f64),
	LISTED(29, "IQ1_M", 256, 56),
	LISTED(40, "NVFP4", 64, 36),
	{ TRIT_GGML_MXFP4, TRIT_GGML_TL2, "MXFP4", 38, 32, 17, 1, 0, 0, 0, false, false, false, -1, false, false, false,
	  NULL },
	PACKED(0, "T2", "T2", 16, 64, true),
	PACKED(1, "T5", "T5", 20, 64, true),
	PACKED(2, "B1", "B1", 32, 64, true),
	PACKED(3, "I8_TENSOR", "I8", 4, 64, false), /* I8 is ggml's type 24 */
	PACKED(4, "I6_TENSOR", "I6", 16, 192, false),
	PACKED(5, "I4_TENSOR", "I4", 8, 64, false),
};

#define PACKED_ROWS 16 /* of a group */
#define N_TYPES (sizeof types / sizeof types[0])

const struct trit_ggml_type_info *trit_ggml_type_info(uint32_t id)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

const struct trit_ggml_type_info *trit_ggml_type_by_name(const char *name)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (strcasecmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

const char *trit_ggml_type_hint(uint32_t id)
{
	switch (id) {
	case 4:
	case 5:
		return "Q4_2 or Q4_3, removed from ggml in 2023";
	case 31:
	case 32:
	case 33:
		return "Q4_0 interleaved for ARM, removed from ggml in 2024";
	case 37:
		return "I8_S in bitnet.cpp, IQ4_NL interleaved for ARM in llama.cpp of 2024";
	default:
		if (id >= 97 && id < 400)
			return "one of ik_llama.cpp's own types, of which IQ1_BN, IQ2_BN and IQ2_BN_R4 can be read; make the file "
			       "anew from its original in one of these, Q8_0 or F16";
		return "no type of that number is known; the file is damaged, or newer than this program";
	}
}

/* Weights and scales of a packed matrix; false when that is more than size_t. */
static bool packed_bytes(const struct trit_ggml_type_info *t, size_t rows, size_t cols, size_t *total)
{
	size_t group = (size_t)t->block, groups = cols / group + (cols % group != 0);
	size_t blocks = rows / PACKED_ROWS + (rows % PACKED_ROWS != 0), per_row = 1, scales = sizeof(float);

	if (t->scaling > 1)
		per_row = cols / (size_t)t->scaling + (cols % (size_t)t->scaling != 0);
	return trit_mul_size(total, blocks, groups) && trit_mul_size(total, *total, (size_t)t->block_bytes) &&
	       (t->scaling == 0 || (trit_mul_size(&scales, blocks, PACKED_ROWS * sizeof(float)) &&
	                            trit_mul_size(&scales, scales, per_row))) &&
	       trit_add_size(total, *total, scales);
}

/* All stripes of a matrix, and the tail. */
static bool flat_bytes(const struct trit_ggml_type_info *t, size_t rows, size_t cols, size_t *total)
{
	size_t n;

	return trit_mul_size(&n, cols / (size_t)t->block, (size_t)t->block_bytes) &&
	       trit_add_size(&n, n, (size_t)t->stripe_bytes) && trit_mul_size(total, rows / (size_t)t->stripe, n) &&
	       trit_add_size(total, *total, (size_t)t->tail_bytes);
}

static int check_shape(const struct trit_ggml_type_info *t, uint64_t rows, uint64_t cols, struct trit_error *err)
{
	if (rows == 0 || cols == 0)
		return trit_fail(err, TRIT_ERR_ARG, "%" PRIu64 " x %" PRIu64 " elements: a tensor has at least one",
		                 rows, cols);
	if (!t->packed && cols % (uint64_t)t->block != 0)
		return trit_fail(err, TRIT_ERR_ARG, "%" PRIu64 " columns, not a multiple of %d as %s needs", cols,
		                 t->block, t->name);
	if (rows % (uint64_t)t->stripe != 0)
		return trit_fail(err, TRIT_ERR_ARG, "%" PRIu64 " rows, not a multiple of %d as %s needs", rows, t->stripe,
		                 t->name);
	return 0;
}

int trit_ggml_tensor_bytes(uint32_t id, uint64_t rows, uint64_t cols, uint64_t *bytes, struct trit_error *err)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);
	size_t total;
	int status;

	if (!t)
		return trit_fail(err, TRIT_ERR_ARG, "type %" PRIu32 " (%s)", id, trit_ggml_type_hint(id));
	status = check_shape(t, rows, cols, err);
	if (status < 0)
		return status;
	if (t->block_bytes == 0) {
		if (!trit_tl_bytes(id, rows, cols, bytes))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED,
			                 "%" PRIu64 " x %" PRIu64 " elements of %s, whose tiles have sizes that are not in "
			                 "the file and not published for this shape; convert the model to I2_S",
			                 rows, cols, t->name);
		return 0;
	}
	/* PTRDIFF_MAX leaves room for the caller to add a position to it. */
	if (rows > SIZE_MAX || cols > SIZE_MAX ||
	    !(t->packed ? packed_bytes : flat_bytes)(t, (size_t)rows, (size_t)cols, &total) || total > PTRDIFF_MAX)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "%" PRIu64 " x %" PRIu64 " elements of %s: more bytes than can exist", rows, cols,
		                 t->name);
	*bytes = total;
	return 0;
}

uint64_t trit_ggml_bytes_before(const struct trit_ggml_type_info *t, uint64_t cols, uint64_t row)
{
	if (t->packed || t->block_bytes == 0 || t->id == TRIT_GGML_HF_U2)
		return 0;
	return row / (uint64_t)t->stripe *
	       (cols / (uint64_t)t->block * (uint64_t)t->block_bytes + (uint64_t)t->stripe_bytes);
}

uint64_t trit_ggml_run(const struct trit_ggml_type_info *t, uint64_t cols)
{
	return t->scaling == 0 ? 0 : t->scaling == 1 ? cols : (uint64_t)t->block;
}
