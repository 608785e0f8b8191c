/*
 * ggml_type.c - the table of element types, and how many bytes a tensor of each has.
 *
 * Numbers and block sizes are llama.cpp's (ggml), with bitnet.cpp's I2_S. Types that nobody here decodes are listed so
 * that a file holding one can still be described tensor by tensor; types whose number means different sizes in
 * different programs are not, because what follows such a tensor could not be checked: trit_ggml_type_hint says what
 * they are.
 *
 * The packed types have numbers far from all others. A program that does not know them says so and stops; none takes
 * them for something else.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <strings.h>

#include "base/mem.h"
#include "format/ggml_type.h"

/* A type somebody decodes here, and one nobody does. */
#define CODEC(id, name, file_type, block, bytes, tail, ternary) \
	{ id, name, file_type, block, bytes, tail, ternary, true, false, -1, 0 }
#define LISTED(id, name, block, bytes) { id, name, -1, block, bytes, 0, false, false, false, -1, 0 }

/* A layout of kernel/layout.h with each kind of scales; `one` is its name with one scale a tensor. The number of
 * general.file_type is the type's. */
#define PACKED_ROW(layout, scales, scaling, name, cols, bytes, ternary)                                               \
	{ TRIT_GGML_PACKED_TYPE(layout, scales), name, TRIT_GGML_PACKED_TYPE(layout, scales), cols, bytes, 0, ternary, \
	  false, true, layout, scaling }
#define PACKED(layout, one, name, cols, bytes, ternary)                       \
	PACKED_ROW(layout, 0, 0, one, cols, bytes, ternary),                  \
	PACKED_ROW(layout, 1, 1, name "_ROW", cols, bytes, ternary),          \
	PACKED_ROW(layout, 2, 64, name "_G64", cols, bytes, ternary),         \
	PACKED_ROW(layout, 3, 128, name "_G128", cols, bytes, ternary)

static const struct trit_ggml_type_info types[] = {
	CODEC(TRIT_GGML_F32, "F32", 0, 1, 4, 0, false),
	CODEC(TRIT_GGML_F16, "F16", 1, 1, 2, 0, false),
	CODEC(TRIT_GGML_Q8_0, "Q8_0", 7, 32, 34, 0, false),
	CODEC(TRIT_GGML_BF16, "BF16", 32, 1, 2, 0, false),
	CODEC(TRIT_GGML_TQ1_0, "TQ1_0", 36, 256, 54, 0, true),
	CODEC(TRIT_GGML_TQ2_0, "TQ2_0", 37, 256, 66, 0, true),
	CODEC(TRIT_GGML_I2_S, "I2_S", 40, 128, 32, 32, true),
	LISTED(2, "Q4_0", 32, 18),
	LISTED(3, "Q4_1", 32, 20),
	LISTED(6, "Q5_0", 32, 22),
	LISTED(7, "Q5_1", 32, 24),
	LISTED(9, "Q8_1", 32, 36),
	LISTED(10, "Q2_K", 256, 84),
	LISTED(11, "Q3_K", 256, 110),
	LISTED(12, "Q4_K", 256, 144),
	LISTED(13, "Q5_K", 256, 176),
	LISTED(14, "Q6_K", 256, 210),
	LISTED(15, "Q8_K", 256, 292),
	LISTED(16, "IQ2_XXS", 256, 66),
	LISTED(17, "IQ2_XS", 256, 74),
	LISTED(18, "IQ3_XXS", 256, 98),
	LISTED(19, "IQ1_S", 256, 50),
	LISTED(20, "IQ4_NL", 32, 18),
	LISTED(21, "IQ3_S", 256, 110),
	LISTED(22, "IQ2_S", 256, 82),
	LISTED(23, "IQ4_XS", 256, 136),
	LISTED(24, "I8", 1, 1),
	LISTED(25, "I16", 1, 2),
	LISTED(26, "I32", 1, 4),
	LISTED(27, "I64", 1, 8),
	LISTED(28, "F64", 1, 8),
	LISTED(29, "IQ1_M", 256, 56),
	LISTED(40, "NVFP4", 64, 36),
	LISTED(41, "Q1_0", 128, 18),
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
	case 38:
		return "TL1 in bitnet.cpp, whose tile sizes are not in the file; convert the model to I2_S";
	case 39:
		return "TL2 in bitnet.cpp, MXFP4 in llama.cpp; convert the model to I2_S, TQ2_0 or F16";
	case 42:
		return "Q2_0, with blocks of 64 in llama.cpp and of 128 in PrismML's fork; convert the model to TQ2_0 "
		       "or F16";
	case 134:
	case 135:
	case 335:
		return "IQ1_BN or IQ2_BN of ik_llama.cpp; convert the model to I2_S or TQ2_0";
	default:
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

/* All blocks of a matrix, and the tail. */
static bool flat_bytes(const struct trit_ggml_type_info *t, size_t rows, size_t cols, size_t *total)
{
	size_t n;

	return trit_mul_size(&n, rows, cols) && trit_mul_size(total, n / (size_t)t->block, (size_t)t->block_bytes) &&
	       trit_add_size(total, *total, (size_t)t->tail_bytes);
}

int trit_ggml_tensor_bytes(uint32_t id, uint64_t rows, uint64_t cols, uint64_t *bytes, struct trit_error *err)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);
	size_t total;

	if (!t)
		return trit_fail(err, TRIT_ERR_ARG, "type %" PRIu32 " (%s)", id, trit_ggml_type_hint(id));
	if (rows == 0 || cols == 0)
		return trit_fail(err, TRIT_ERR_ARG, "%" PRIu64 " x %" PRIu64 " elements: a tensor has at least one",
		                 rows, cols);
	if (!t->packed && cols % (uint64_t)t->block != 0)
		return trit_fail(err, TRIT_ERR_ARG, "%" PRIu64 " columns, not a multiple of %d as %s needs", cols,
		                 t->block, t->name);
	/* PTRDIFF_MAX leaves room for the caller to add a position to it. */
	if (rows > SIZE_MAX || cols > SIZE_MAX ||
	    !(t->packed ? packed_bytes : flat_bytes)(t, (size_t)rows, (size_t)cols, &total) || total > PTRDIFF_MAX)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "%" PRIu64 " x %" PRIu64 " elements of %s: more bytes than can exist", rows, cols,
		                 t->name);
	*bytes = total;
	return 0;
}
