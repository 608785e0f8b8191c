/*
 * test_ggml_type.c - element types: sizes, and every codec against other people's bytes (tests/reference/
 * make_format_golden.py) or against its definition written out anew here.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>

#include "format_helpers.h"

#include "format/gguf.h"
#include "kernel/layout.h"

static struct trit_gguf golden;

static const struct trit_gguf_tensor *tensor(const char *type, const char *suffix)
{
	char name[40];
	const struct trit_gguf_tensor *t;

	snprintf(name, sizeof name, "%s%s", type, suffix);
	t = trit_gguf_find_tensor(&golden, name);
	assert_non_null(t);
	return t;
}

/* The values of an F32 tensor, by the bytes. */
static float *floats(const struct trit_gguf_tensor *t)
{
	size_t n = (size_t)(t->bytes / 4);
	float *out = trit_calloc(n, sizeof *out);

	assert_int_equal(t->type, TRIT_GGML_F32);
	for (size_t i = 0; i < n; i++)
		out[i] = trit_f32_from_bits(trit_get32(t->data + 4 * i));
	return out;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

static void test_sizes(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t rows, cols, bytes;
	} cases[] = {
		{ TRIT_GGML_F32, 3, 5, 60 },
		{ TRIT_GGML_F16, 3, 5, 30 },
		{ TRIT_GGML_BF16, 1, 1, 2 },
		{ TRIT_GGML_Q8_0, 2, 64, 136 },
		{ TRIT_GGML_TQ1_0, 2, 512, 216 },
		{ TRIT_GGML_TQ2_0, 2, 512, 264 },
		{ TRIT_GGML_I2_S, 2560, 6912, 2560 * 6912 / 4 + 32 },
		{ TRIT_GGML_Q6_K, 1, 256, 210 },
		{ TRIT_GGML_IQ1_BN, 3, 128, 3 * (2 + 26) },
		{ TRIT_GGML_IQ2_BN_R4, 8, 128, 8 * (4 + 32) },
		{ TRIT_GGML_HF_U2, 8, 5, 10 },
		{ TRIT_GGML_I2_S_4ROW, 8, 5, 10 + 32 },
		{ TRIT_GGML_TL1, 1024, 4096, 1024 * 4096 / 4 + 32 },
		{ TRIT_GGML_F32, 1u << 31, 1u << 29, (uint64_t)1 << 62 },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t bytes = 0;
		struct trit_error err;

		assert_int_equal(trit_ggml_tensor_bytes(cases[i].type, cases[i].rows, cases[i].cols, &bytes, &err), 0);
		assert_true(bytes == cases[i].bytes);
	}
}

static void test_bad_sizes(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t rows, cols;
		const char *message;
	} cases[] = {
		{ TRIT_GGML_TQ2_0, 1, 6900, "6900 columns, not a multiple of 256 as TQ2_0 needs" },
		{ TRIT_GGML_I2_S, 128, 64, "64 columns, not a multiple of 128" },
		{ TRIT_GGML_F32, 0, 4, "at least one" },
		{ TRIT_GGML_F32, 4, 0, "at least one" },
		{ TRIT_GGML_F32, (uint64_t)1 << 32, (uint64_t)1 << 32, "more bytes than can exist" },
		{ TRIT_GGML_F32, (uint64_t)1 << 32, (uint64_t)1 << 29, "more bytes than can exist" },
		{ TRIT_GGML_I2_S, 4, (uint64_t)1 << 63, "more bytes than can exist" },
		{ TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), (uint64_t)1 << 32, (uint64_t)1 << 34, "more bytes than can exist" },
		{ TRIT_GGML_PACKED_TYPE(TRIT_I8, 3), UINT64_MAX, UINT64_MAX, "more bytes than can exist" },
		{ TRIT_GGML_PACKED_TYPE(TRIT_T2, 2), UINT64_MAX, 1, "more bytes than can exist" },
		{ TRIT_GGML_PACKED_TYPE(TRIT_B1, 1), UINT64_MAX / 8, 1, "more bytes than can exist" },
		{ TRIT_GGML_PACKED_TYPE(TRIT_I4, 0), 0, 64, "at least one" },
		{ TRIT_GGML_PACKED_TYPE(TRIT_N_LAYOUTS, 0), 1, 256, "no type of that number" },
		{ TRIT_GGML_PACKED - 1, 1, 256, "no type of that number" },
		{ TRIT_GGML_Q2_0, 1, 96, "96 columns, not a multiple of 64 as Q2_0 needs" },
		{ TRIT_GGML_HF_U2, 6, 8, "6 rows, not a multiple of 4 as HF_U2 needs" },
		{ TRIT_GGML_IQ2_BN, (uint64_t)1 << 62, 64, "more bytes than can exist" },
		{ 0xffffffff, 1, 256, "no type of that number" },
		{ 139, 1, 256, "one of ik_llama.cpp's own types" }, /* IQ4_K */
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_error err;
		uint64_t bytes = 7;
		int status = trit_ggml_tensor_bytes(cases[i].type, cases[i].rows, cases[i].cols, &bytes, &err);

		check_error(status, TRIT_ERR_ARG, &err, cases[i].message);
		assert_int_equal(bytes, 7);
	}
	struct trit_error err;
	uint64_t bytes;
	check_error(trit_ggml_tensor_bytes(TRIT_GGML_TL1, 1, 256, &bytes, &err), TRIT_ERR_UNSUPPORTED, &err,
	            "1 x 256 elements of TL1, whose tiles have sizes that are not in the file");
	check_error(trit_ggml_tensor_bytes(TRIT_GGML_TL2, 1536, 4097, &bytes, &err), TRIT_ERR_UNSUPPORTED, &err, "TL2");
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(trit_ggml_type_by_name("tq2_0")->id, TRIT_GGML_TQ2_0);
	assert_int_equal(trit_ggml_type_by_name("I2_S")->file_type, 40);
	assert_null(trit_ggml_type_by_name("TQ3_0"));
	assert_null(trit_ggml_type_info(36 + 1));
	assert_int_equal(trit_ggml_type_info(TRIT_GGML_I2_S_NEON)->file_id, TRIT_GGML_I2_S);
	for (uint32_t id = 0; id < 8000; id++) {
		const struct trit_ggml_type_info *t = trit_ggml_type_info(id);

		assert_true(!t || (t->id == id && trit_ggml_type_by_name(t->name) == t));
		assert_true(strlen(trit_ggml_type_hint(id)) > 0);
	}
}

/* The packed types are the layouts of the kernels: what is known of them in both places must agree. */
static void test_packed(void **state)
{
	static const enum trit_scaling scalings[] = { TRIT_SCALE_TENSOR, TRIT_SCALE_ROW, TRIT_SCALE_GROUP64,
		                                      TRIT_SCALE_GROUP128 };
	static const size_t sizes[] = { 1, 15, 16, 17, 20, 63, 64, 65, 127, 128, 129, 640, 2560, 6912, 65536 };
	enum { N_SIZES = sizeof sizes / sizeof sizes[0] };
	struct trit_error err;
	(void)state;

	for (int layout = 0; layout < TRIT_N_LAYOUTS; layout++)
		for (int i = 0; i < 4; i++) {
			uint32_t id = (uint32_t)TRIT_GGML_PACKED_TYPE(layout, i);
			const struct trit_ggml_type_info *t = trit_ggml_type_info(id);

			assert_true(t && t->packed && !t->readable && t->layout == layout && t->file_type == (int)id);
			assert_int_equal(t->scaling, scalings[i]);
			assert_int_equal(t->ternary, trit_layouts[layout].max == 1);
			assert_int_equal(strncasecmp(t->name, trit_layouts[layout].name, 2), 0);
			for (int r = 0; r < N_SIZES; r++)
				for (int c = 0; c < N_SIZES; c++) {
					uint64_t bytes = 0;
					size_t weights = trit_layout_bytes((enum trit_layout)layout, sizes[r], sizes[c]);
					size_t scales = trit_scale_count(scalings[i], sizes[r], sizes[c]);

					assert_int_equal(trit_ggml_tensor_bytes(id, sizes[r], sizes[c], &bytes, &err), 0);
					assert_true(bytes == weights + scales * sizeof(float));
					assert_int_equal(weights % 64, 0); /* so the scales behind them are aligned */
				}
		}
}

/* ---- against ggml's own quantisers ------------------------------------------------------------------------------ */

static void test_golden(void **state)
{
	static const char *const types[] = { "F16", "BF16", "Q8_0", "TQ1_0", "TQ2_0" };
	(void)state;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const struct trit_gguf_tensor *q = tensor(types[i], ""), *d = tensor(types[i], ".decoded");
		uint64_t rows = q->dims[1], cols = q->dims[0], n = rows * cols;
		float *source = floats(tensor(types[i], ".source")), *expected = floats(d);
		float *out = trit_calloc((size_t)n, sizeof *out);
		unsigned char *encoded = trit_calloc((size_t)q->bytes, 1);
		int8_t *trits = trit_calloc((size_t)n, 1);
		struct trit_error err;

		assert_string_equal(trit_ggml_type_info(q->type)->name, types[i]);
		assert_int_equal(trit_ggml_decode_f32(q->type, q->data, rows, cols, 0, rows, out, &err), 0);
		assert_memory_equal(out, expected, n * sizeof *out);
		/* Rows by themselves. */
		for (uint64_t r = 0; r < rows; r++) {
			assert_int_equal(trit_ggml_decode_f32(q->type, q->data, rows, cols, r, 1, out, &err), 0);
			assert_memory_equal(out, expected + r * cols, cols * sizeof *out);
		}
		if (trit_ggml_type_info(q->type)->ternary) {
			float scale = 0;

			assert_int_equal(
			    trit_ggml_decode_trits(q->type, q->data, rows, cols, 0, rows, trits, &scale, &err), 0);
			assert_true(scale == 0.75f);
			for (uint64_t e = 0; e < n; e++)
				assert_true((float)trits[e] * scale == source[e]);
			trit_ggml_encode_trits(q->type, trits, scale, rows, cols, encoded);
		} else {
			trit_ggml_encode_f32(q->type, source, rows, cols, encoded);
		}
		assert_memory_equal(encoded, q->data, q->bytes);
		trit_free(source);
		trit_free(expected);
		trit_free(out);
		trit_free(encoded);
		trit_free(trits);
	}
}

/* ---- against the definitions ------------------------------------------------------------------------------------ */

/* All bytes of TQ1_0 that stand for five digits, at each of the three kinds of place. */
static void test_tq1_0_digits(void **state)
{
	(void)state;
	for (unsigned q = 0; q < 243; q++) {
		unsigned digit[5], rest = q;
		unsigned char block[54] = { 0 }, again[54];
		struct trit_error err;
		float scale, values[256];
		int8_t trits[256];

		for (int n = 4; n >= 0; n--, rest /= 3)
			digit[n] = rest % 3;
		memset(block, (int)((q * 256 + 242) / 243), 52); /* the smallest byte with byte * 243 / 256 >= q */
		trit_put16(block + 52, 0x4000); /* 2.0 */
		assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_TQ1_0, block, 1, 256, 0, 1, trits, &scale, &err), 0);
		assert_int_equal(trit_ggml_decode_f32(TRIT_GGML_TQ1_0, block, 1, 256, 0, 1, values, &err), 0);
		assert_true(scale == 2);
		for (int e = 0; e < 256; e++) {
			int expected = (int)digit[e < 160 ? e / 32 : e < 240 ? (e - 160) / 16 : (e - 240) / 4] - 1;

			assert_int_equal(trits[e], expected);
			assert_true(values[e] == 2.0f * (float)expected);
		}
		trit_ggml_encode_trits(TRIT_GGML_TQ1_0, trits, q == 121 ? 0 : 2, 1, 256, again); /* 121: all digits 1 */
		memset(block + 48, (int)((q / 3 * 3 * 256 + 242) / 243), 4);
		if (q == 121)
			trit_put16(block + 52, 0);
		assert_memory_equal(again, block, sizeof block);
	}
}

/* A trit that depends on everything in its position. */
static int8_t pattern(uint64_t i)
{
	return (int8_t)((i * 2654435761u >> 7) % 3) - 1;
}

static void test_i2_s_layout(void **state)
{
	enum { ROWS = 3, COLS = 384, N = ROWS * COLS };
	unsigned char expected[N / 4 + 32] = { 0 }, out[N / 4 + 32];
	int8_t in[N], trits[COLS];
	float scale, values[COLS];
	struct trit_error err;
	(void)state;

	for (int i = 0; i < N; i++) {
		in[i] = pattern((uint64_t)i);
		expected[i / 128 * 32 + i % 32] |= (unsigned char)((in[i] + 1) << (6 - 2 * (i % 128 / 32)));
	}
	trit_put32(expected + N / 4, trit_f32_bits(0.03125f));
	memset(out, 0xaa, sizeof out);
	trit_ggml_encode_trits(TRIT_GGML_I2_S, in, 0.03125f, ROWS, COLS, out);
	assert_memory_equal(out, expected, sizeof out);
	for (uint64_t r = 0; r < ROWS; r++) {
		assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_I2_S, out, ROWS, COLS, r, 1, trits, &scale, &err), 0);
		assert_int_equal(trit_ggml_decode_f32(TRIT_GGML_I2_S, out, ROWS, COLS, r, 1, values, &err), 0);
		assert_true(scale == 0.03125f);
		assert_memory_equal(trits, in + r * COLS, COLS);
		for (int c = 0; c < COLS; c++)
			assert_true(values[c] == (float)trits[c] * 0.03125f);
	}
}

/* One block by hand: weights 0, 32, 64, 96 are +1, -1, 0, +1; 31, 63, 95, 127 are -1, +1, +1, 0; the rest 0. */
static void test_i2_s_by_hand(void **state)
{
	unsigned char data[64];
	float scale;
	int8_t trits[128];
	struct trit_error err;
	(void)state;

	memset(data, 0x55, 32);
	memset(data + 32, 0, 32);
	data[0] = 0x86;  /* 10 00 01 10 */
	data[31] = 0x29; /* 00 10 10 01 */
	memcpy(data + 32, "\x00\x00\xc0\x3f", 4); /* 1.5 */
	assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_I2_S, data, 1, 128, 0, 1, trits, &scale, &err), 0);
	assert_true(scale == 1.5f);
	for (int i = 0; i < 128; i++) {
		int expected = i == 0 || i == 63 || i == 95 || i == 96 ? 1 : i == 32 || i == 31 ? -1 : 0;

		assert_int_equal(trits[i], expected);
	}
}

/* Every type that can hold trits gives back trits and scale, the F16 ones when F16 can hold the scale. */
static void test_trits_round_trip(void **state)
{
	enum { ROWS = 4, COLS = 512, N = ROWS * COLS };
	static const uint32_t types[] = { TRIT_GGML_F32,   TRIT_GGML_F16,   TRIT_GGML_BF16, TRIT_GGML_Q8_0,
		                          TRIT_GGML_TQ1_0, TRIT_GGML_TQ2_0, TRIT_GGML_I2_S };
	int8_t in[N], out[N];
	(void)state;

	for (int i = 0; i < N; i++)
		in[i] = i / COLS == 1 ? 0 : pattern((uint64_t)i); /* a row, so whole blocks, of zeros */
	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
		for (int zero = 0; zero < 2; zero++) {
			unsigned char *data;
			struct trit_error err;
			uint64_t bytes;
			float scale = 0;

			if (zero)
				memset(in, 0, sizeof in);
			assert_int_equal(trit_ggml_tensor_bytes(types[t], ROWS, COLS, &bytes, &err), 0);
			data = trit_calloc((size_t)bytes, 1);
			trit_ggml_encode_trits(types[t], in, 0.375f, ROWS, COLS, data);
			assert_int_equal(
			    trit_ggml_decode_trits(types[t], data, ROWS, COLS, 0, ROWS, out, &scale, &err), 0);
			assert_memory_equal(out, in, N);
			/* A matrix of zeros keeps its scale only where it stands apart from the blocks. */
			assert_true(scale == (zero && types[t] != TRIT_GGML_I2_S ? 1 : 0.375f));
			/* A row of zeros: still the scale of the whole. */
			assert_int_equal(trit_ggml_decode_trits(types[t], data, ROWS, COLS, 1, 1, out, &scale, &err),
			                 0);
			assert_true(scale == (zero && types[t] != TRIT_GGML_I2_S ? 1 : 0.375f));
			trit_free(data);
		}
		for (int i = 0; i < N; i++)
			in[i] = i / COLS == 1 ? 0 : pattern((uint64_t)i);
	}
}

static void test_q8_0_not_finite(void **state)
{
	float in[32] = { INFINITY, -INFINITY, NAN, 1e-42f, 3 };
	unsigned char out[34];
	(void)state;

	trit_ggml_encode_f32(TRIT_GGML_Q8_0, in, 1, 32, out); /* must be defined; inf / 127 = inf */
	assert_int_equal(trit_get16(out), 0x7c00);
	memset(in, 0, sizeof in);
	in[0] = 1e-40f; /* 127 / 1e-40 is infinite */
	trit_ggml_encode_f32(TRIT_GGML_Q8_0, in, 1, 32, out);
	assert_int_equal(trit_get16(out), 0);
	assert_int_equal(out[2], 127);
	assert_int_equal(out[3], 0);
}

/* ---- what is not ternary ---------------------------------------------------------------------------------------- */

static void expect_not_trits(uint32_t type, const unsigned char *data, uint64_t rows, uint64_t cols,
                             const char *message)
{
	int8_t *out = trit_calloc((size_t)(rows * cols), 1);
	struct trit_error err;
	float scale = 9;
	int status = trit_ggml_decode_trits(type, data, rows, cols, 0, rows, out, &scale, &err);

	check_error(status, TRIT_ERR_FORMAT, &err, message);
	assert_true(scale == 9);
	trit_free(out);
}

static void test_code_3(void **state)
{
	unsigned char i2_s[2 * 96 + 32], tq2_0[66] = { 0 };
	float values[384];
	struct trit_error err;
	(void)state;

	memset(i2_s, 0x55, sizeof i2_s);
	trit_put32(i2_s + 192, trit_f32_bits(1));
	i2_s[96 + 32 + 5] = 0x5d; /* row 1, block 1, byte 5: bits 3-2 are weights 64 to 95 of the block */
	expect_not_trits(TRIT_GGML_I2_S, i2_s, 2, 384, "row 1, column 197: code 3");
	check_error(trit_ggml_decode_f32(TRIT_GGML_I2_S, i2_s, 2, 384, 1, 1, values, &err), TRIT_ERR_FORMAT, &err,
	            "row 1, column 197: code 3");
	assert_int_equal(trit_ggml_decode_f32(TRIT_GGML_I2_S, i2_s, 2, 384, 0, 1, values, &err), 0);
	trit_put16(tq2_0 + 64, 0x3c00);
	tq2_0[33] = 0xc0;
	expect_not_trits(TRIT_GGML_TQ2_0, tq2_0, 1, 256, "row 0, column 225: code 3");
	assert_int_equal(trit_ggml_decode_f32(TRIT_GGML_TQ2_0, tq2_0, 1, 256, 0, 1, values, &err), 0);
	assert_true(values[225] == 2); /* as ggml has it */
}

static void test_bad_scales(void **state)
{
	static const uint16_t bad[] = { 0x7c00, 0x7e00, 0xbc00 }; /* infinity, NaN, -1 */
	unsigned char tq[2 * 54] = { 0 }, i2_s[64] = { 0 };
	int8_t out[512];
	float scale;
	struct trit_error err;
	(void)state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		trit_put16(tq + 52, 0x3c00);
		trit_put16(tq + 106, bad[i]);
		expect_not_trits(TRIT_GGML_TQ1_0, tq, 2, 256, "row 1, column 0: scale");
		trit_put16(tq + 52, bad[i]);
		expect_not_trits(TRIT_GGML_TQ1_0, tq, 2, 256, "row 0, column 0: scale");
		trit_put32(i2_s + 32, trit_f32_bits(trit_f16_to_f32(bad[i])));
		expect_not_trits(TRIT_GGML_I2_S, i2_s, 1, 128, "row 0, column 0: scale");
	}
	trit_put16(tq + 52, 0x3c00);
	trit_put16(tq + 106, 0x3c01);
	expect_not_trits(TRIT_GGML_TQ1_0, tq, 1, 512, "row 0, column 256: block of scale 1.000");
	trit_put16(tq + 52, 0); /* a block times 0 is zero, whatever its codes */
	assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_TQ1_0, tq, 1, 512, 0, 1, out, &scale, &err), 0);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[256], -1);
	trit_put32(i2_s + 32, 0);
	assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_I2_S, i2_s, 1, 128, 0, 1, out, &scale, &err), 0);
	assert_int_equal(out[0], 0);
	assert_true(scale == 1);
}

static void test_dense_not_ternary(void **state)
{
	float in[6] = { 0, -0.5f, 0.5f, -0.0f, 0.5f, 0.25f };
	unsigned char data[34 * 2] = { 0 };
	int8_t out[6];
	float scale;
	struct trit_error err;
	(void)state;

	trit_ggml_encode_f32(TRIT_GGML_F32, in, 2, 3, data);
	expect_not_trits(TRIT_GGML_F32, data, 2, 3, "row 1, column 2: value 0.25 where only 0 and 0.5");
	in[5] = NAN;
	trit_ggml_encode_f32(TRIT_GGML_BF16, in, 2, 3, data);
	expect_not_trits(TRIT_GGML_BF16, data, 2, 3, "row 1, column 2: value nan");
	in[0] = -INFINITY;
	trit_ggml_encode_f32(TRIT_GGML_F16, in, 2, 3, data);
	expect_not_trits(TRIT_GGML_F16, data, 2, 3, "row 0, column 0: scale -inf");
	in[0] = 0;
	in[5] = 0;
	trit_ggml_encode_f32(TRIT_GGML_F32, in, 2, 3, data);
	assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_F32, data, 2, 3, 1, 1, out, &scale, &err), 0);
	assert_true(scale == 0.5f && out[0] == 0 && out[1] == 1 && out[2] == 0);
	memset(data, 0, sizeof data);
	trit_put16(data, 0x3c00); /* blocks with d = 1 and d = 2 hold 2 and 1: one magnitude after all */
	trit_put16(data + 34, 0x4000);
	data[2] = 2;
	data[36] = 0xff;
	int8_t many[64];
	assert_int_equal(trit_ggml_decode_trits(TRIT_GGML_Q8_0, data, 2, 32, 0, 2, many, &scale, &err), 0);
	assert_true(scale == 2 && many[0] == 1 && many[32] == -1);
	data[37] = 2;
	expect_not_trits(TRIT_GGML_Q8_0, data, 2, 32, "row 1, column 1: value 4");
}

static void test_bad_calls(void **state)
{
	unsigned char data[420] = { 0 };
	float out[256];
	struct trit_error err;
	(void)state;

	check_error(trit_ggml_decode_f32(17, data, 1, 256, 0, 1, out, &err), TRIT_ERR_UNSUPPORTED, &err,
	            "type IQ2_XS cannot be read");
	check_error(trit_ggml_decode_f32(TRIT_GGML_F32, data, 2, 8, 1, 2, out, &err), TRIT_ERR_ARG, &err,
	            "rows 1 to 3");
	check_error(trit_ggml_decode_f32(TRIT_GGML_F32, data, 2, 8, 3, 0, out, &err), TRIT_ERR_ARG, &err,
	            "rows 3 to 3");
	check_error(trit_ggml_decode_f32(TRIT_GGML_TQ1_0, data, 2, 8, 0, 1, out, &err), TRIT_ERR_ARG, &err,
	            "8 columns");
	assert_int_equal(trit_ggml_decode_f32(TRIT_GGML_F32, data, 2, 8, 2, 0, out, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_tq1_0_digits),
		cmocka_unit_test(test_i2_s_layout),
		cmocka_unit_test(test_i2_s_by_hand),
		cmocka_unit_test(test_trits_round_trip),
		cmocka_unit_test(test_q8_0_not_finite),
		cmocka_unit_test(test_code_3),
		cmocka_unit_test(test_bad_scales),
		cmocka_unit_test(test_dense_not_ternary),
		cmocka_unit_test(test_bad_calls),
	};
	struct trit_error err;
	int failed;

	if (trit_gguf_open(&golden, TRIT_TEST_DATA "/format/golden.gguf", &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	trit_gguf_close(&golden);
	return failed;
}
