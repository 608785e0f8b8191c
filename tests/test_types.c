/*
 * test_types.c - element types against other programs: tests/data/format/types.gguf and tl.txt, which tests/reference/
 * make_type_golden.py wrote; layouts that those do not write against their definition, written out anew here; scales in
 * every arrangement; numbers that mean several types.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <stdio.h>

#include "format_helpers.h"

#include "format/gguf.h"

static struct trit_gguf golden;
static struct trit_error err;

static const struct trit_gguf_tensor *tensor(const char *type, const char *suffix)
{
	char name[40];
	const struct trit_gguf_tensor *t;

	snprintf(name, sizeof name, "%s%s", type, suffix);
	t = trit_gguf_find_tensor(&golden, name);
	assert_non_null(t);
	return t;
}

static const float *floats(const struct trit_gguf_tensor *t)
{
	assert_int_equal(t->type, TRIT_GGML_F32);
	return (const float *)(const void *)t->data; /* aligned in the file */
}

/* A trit that depends on everything in its position; the generator has the same. */
static int8_t pattern(uint64_t i)
{
	return (int8_t)((i * 2654435761u >> 7) % 3) - 1;
}

/* ---- against other programs ------------------------------------------------------------------------------------- */

static void test_decoded(void **state)
{
	static const char *const types[] = { "Q4_0", "Q4_1", "Q5_0", "Q5_1",  "Q8_0",  "IQ4_NL", "Q2_K", "Q3_K", "Q4_K",
		                             "Q5_K", "Q6_K", "Q8_K", "TQ1_0", "TQ2_0", "Q1_0",   "Q2_0", "I8",   "F64" };
	(void)state;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const struct trit_ggml_type_info *t = trit_ggml_type_by_name(types[i]);
		const struct trit_gguf_tensor *in = tensor(types[i], ".bytes"), *d = tensor(types[i], ".decoded");
		uint64_t rows = d->dims[1], cols = d->dims[0], bytes = 0;
		float *out = trit_calloc((size_t)(rows * cols), sizeof *out);
		unsigned char *data = exact_copy(in->data, (size_t)in->bytes);

		assert_int_equal(trit_ggml_tensor_bytes(t->id, rows, cols, &bytes, &err), 0);
		assert_int_equal(bytes, in->bytes);
		assert_int_equal(trit_ggml_decode_f32(t->id, data, rows, cols, 0, rows, out, &err), 0);
		assert_memory_equal(out, d->data, d->bytes);
		for (uint64_t r = rows; r-- > 0;) { /* rows by themselves */
			assert_int_equal(trit_ggml_decode_f32(t->id, data, rows, cols, r, 1, out, &err), 0);
			assert_memory_equal(out, floats(d) + r * cols, cols * sizeof *out);
			if (!t->ternary) {
				memset(out, 0, (size_t)cols * sizeof *out);
				trit_ggml_decode_row(t->id, data, cols, r, out);
				assert_memory_equal(out, floats(d) + r * cols, cols * sizeof *out);
			}
		}
		trit_free(out);
		trit_free(data);
	}
}

static void test_encoded(void **state)
{
	static const char *const types[] = { "Q4_0", "Q8_0", "Q6_K", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0" };
	const struct trit_gguf_tensor *source = tensor("source", "");
	(void)state;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const struct trit_gguf_tensor *expected = tensor(types[i], ".encoded");
		unsigned char *out = trit_calloc((size_t)expected->bytes, 1);

		trit_ggml_encode_f32(trit_ggml_type_by_name(types[i])->id, floats(source), source->dims[1], source->dims[0],
		                     out);
		if (memcmp(out, expected->data, (size_t)expected->bytes) != 0)
			fail_msg("%s", types[i]);
		trit_free(out);
	}
}

/* What llama-quantize made of scale * {-1, 0, 1}, [16, 256]. */
static void test_tools(void **state)
{
	static const char *const types[] = { "I2_S", "IQ1_BN", "IQ2_BN", "IQ2_BN_R4" };
	const struct trit_gguf_tensor *source = tensor("ternary", "");
	const float *x = floats(source), scale = x[0];
	uint64_t rows = source->dims[1], cols = source->dims[0];
	int8_t codes[16 * 256], again[16 * 256];
	float scales[16], values[256], one;
	(void)state;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const struct trit_ggml_type_info *t = trit_ggml_type_by_name(types[i]);
		const struct trit_gguf_tensor *q = tensor(types[i], ".quantized");
		float expected = t->id == TRIT_GGML_IQ1_BN ? trit_f16_to_f32(trit_f32_to_f16(scale)) : scale;
		uint64_t bytes = 0;

		assert_int_equal(trit_ggml_tensor_bytes(t->id, rows, cols, &bytes, &err), 0);
		assert_int_equal(bytes, q->bytes);
		assert_int_equal(trit_ggml_decode_trits(t->id, q->data, rows, cols, 0, rows, codes, &one, &err), 0);
		assert_true(one == expected);
		assert_int_equal(trit_ggml_decode_codes(t->id, q->data, rows, cols, 0, rows, again, &err), 0);
		assert_memory_equal(again, codes, sizeof codes);
		for (uint64_t e = 0; e < rows * cols; e++)
			assert_int_equal(codes[e], (x[e] > 0) - (x[e] < 0));
		uint64_t n_scales = t->scaling ? rows : 1;
		assert_int_equal(trit_ggml_decode_scales(t->id, q->data, rows, cols, 0, n_scales, scales, &err), 0);
		for (uint64_t r = 0; r < n_scales; r++)
			assert_true(scales[r] == expected);
		assert_int_equal(trit_ggml_decode_f32(t->id, q->data, rows, cols, 5, 1, values, &err), 0);
		for (uint64_t c = 0; c < cols; c++)
			assert_true(values[c] == expected * (float)codes[5 * cols + c]);
	}
}

/* ---- TL1 and TL2 ------------------------------------------------------------------------------------------------ */

static unsigned pair_code(uint64_t row, uint64_t k2, uint64_t cols)
{
	return (unsigned)(3 * pattern(row * cols + 2 * k2) + pattern(row * cols + 2 * k2 + 1) + 4);
}

static int triple(uint64_t row, uint64_t k3, uint64_t cols)
{
	const uint64_t i = row * cols + 3 * k3;
	return 9 * pattern(i) + 3 * pattern(i + 1) + pattern(i + 2);
}

/* The loops of bitnet.cpp's converter, innermost last. */
static unsigned char *put_tl1(unsigned char *p, uint64_t M, uint64_t K, uint64_t BM, uint64_t BK, uint64_t bm)
{
	uint64_t by = 256 / bm;

	for (uint64_t mb = 0; mb < M / BM; mb++)
		for (uint64_t kb = 0; kb < K / BK; kb++)
			for (uint64_t rb = 0; rb < BM / bm; rb++)
				for (uint64_t kq = 0; kq < BK / by; kq++)
					for (uint64_t r16 = 0; r16 < bm / 16; r16++)
						for (uint64_t kj = 0; kj < by / 4; kj++)
							for (uint64_t rl = 0; rl < 16; rl++) {
								uint64_t row = mb * BM + rb * bm + r16 * 16 + rl;
								uint64_t k2 = kb * BK / 2 + kq * by / 2 + 2 * kj;

								*p++ = (unsigned char)(pair_code(row, k2, K) << 4 | pair_code(row, k2 + 1, K));
							}
	return p;
}

static uint64_t permuted(uint64_t p)
{
	static const uint64_t perm[4] = { 0, 2, 1, 3 };
	return perm[p / 8] * 8 + p % 8;
}

static unsigned char *put_tl2(unsigned char *p, uint64_t M, uint64_t K, uint64_t BM, uint64_t BK)
{
	uint64_t K3 = K - K % BK;

	for (uint64_t mb = 0; mb < M / BM; mb++)
		for (uint64_t kb = 0; kb < K3 / BK; kb++)
			for (uint64_t rb = 0; rb < BM / 32; rb++)
				for (uint64_t kq = 0; kq < BK / 6; kq++)
					for (uint64_t i = 0; i < 32; i++) {
						uint64_t row = mb * BM + rb * 32 + permuted(i), t = kb * BK / 3 + 2 * kq;

						*p++ = (unsigned char)(abs(triple(row, t, K)) << 4 | abs(triple(row, t + 1, K)));
					}
	for (uint64_t mb = 0; mb < M / BM; mb++)
		for (uint64_t kb = 0; kb < K3 / BK; kb++)
			for (uint64_t rb = 0; rb < BM / 32; rb++)
				for (uint64_t q4 = 0; q4 < BK / 24; q4++)
					for (uint64_t j = 0; j < 16; j++, p += 2) {
						unsigned bits = 0;

						for (uint64_t i = 0; i < 16; i++) { /* triple i / 2, row i % 2 */
							uint64_t row = mb * BM + rb * 32 + 16 * (i % 2) + j, t = kb * BK / 3 + 8 * q4 + i / 2;

							bits |= (unsigned)(triple(row, t, K) < 0) << (15 - i);
						}
						trit_put16(p, (uint16_t)bits);
					}
	for (uint64_t mb = 0; mb < M / BM; mb++)
		for (uint64_t kb = 0; kb < (K - K3) / 32; kb++)
			for (uint64_t rb = 0; rb < BM / 32; rb++)
				for (uint64_t kq = 0; kq < 8; kq++)
					for (uint64_t i = 0; i < 32; i++) {
						uint64_t row = mb * BM + rb * 32 + permuted(i), k2 = K3 / 2 + kb * 16 + 2 * kq;

						*p++ = (unsigned char)(pair_code(row, k2, K) << 4 | pair_code(row, k2 + 1, K));
					}
	return p;
}

static uint64_t fnv(const unsigned char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

/* The bytes of bitnet.cpp's converter are known by their hash; those of the loops above have it, and decode. */
static void test_tl(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t rows, cols, tile_rows, tile_cols, strip;
	} shapes[] = {
		{ TRIT_GGML_TL1, 1024, 4096, 128, 64, 64 },  { TRIT_GGML_TL1, 1536, 1536, 128, 64, 64 },
		{ TRIT_GGML_TL1, 1536, 4096, 256, 128, 32 }, { TRIT_GGML_TL2, 1024, 4096, 256, 96, 32 },
		{ TRIT_GGML_TL2, 1536, 1536, 128, 192, 32 }, { TRIT_GGML_TL2, 1536, 4096, 256, 96, 32 },
	};
	FILE *f = fopen(TRIT_TEST_DATA "/format/tl.txt", "r");
	char line[100];
	(void)state;

	assert_non_null(f);
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		uint64_t rows = shapes[i].rows, cols = shapes[i].cols, bytes = 0;
		unsigned long long m, k, written, hash;
		float scale;

		assert_non_null(fgets(line, sizeof line, f));
		assert_int_equal(sscanf(line + 3, "%llu %llu %llu %llx", &m, &k, &written, &hash), 4);
		assert_true(m == rows && k == cols && line[2] == (shapes[i].type == TRIT_GGML_TL1 ? '1' : '2'));
		assert_int_equal(trit_ggml_tensor_bytes(shapes[i].type, rows, cols, &bytes, &err), 0);
		assert_true(bytes == (written + 31) / 32 * 32 + 32);
		unsigned char *data = trit_calloc((size_t)bytes, 1);
		int8_t *codes = trit_calloc((size_t)(rows * cols), 1);
		unsigned char *end = shapes[i].type == TRIT_GGML_TL1
		                         ? put_tl1(data, rows, cols, shapes[i].tile_rows, shapes[i].tile_cols, shapes[i].strip)
		                         : put_tl2(data, rows, cols, shapes[i].tile_rows, shapes[i].tile_cols);
		assert_true(end <= data + written);
		assert_true(fnv(data, written) == hash);
		trit_put32(data + bytes - 32, trit_f32_bits(0.25f));
		assert_int_equal(trit_ggml_decode_trits(shapes[i].type, data, rows, cols, 0, rows, codes, &scale, &err), 0);
		assert_true(scale == 0.25f);
		for (uint64_t e = 0; e < rows * cols; e++)
			if (codes[e] != pattern(e))
				fail_msg("%s, weight %llu", line, (unsigned long long)e);
		data[0] = 0xff; /* no pair, no triple */
		int status = trit_ggml_decode_trits(shapes[i].type, data, rows, cols, 0, 1, codes, &scale, &err);
		check_error(status, TRIT_ERR_FORMAT, &err, "row 0, column 0: code 3");
		trit_free(data);
		trit_free(codes);
	}
	fclose(f);
}

/* ---- against definitions ---------------------------------------------------------------------------------------- */

enum { ROWS = 8, COLS = 256, N = ROWS * COLS };

/* Whole matrix, rows from the last on, numbers. */
static void check_codes(uint32_t type, const unsigned char *data, size_t bytes, float scale)
{
	unsigned char *copy = exact_copy(data, bytes);
	uint64_t expected = 0;
	int8_t trits[N];
	float values[COLS], one;

	assert_int_equal(trit_ggml_tensor_bytes(type, ROWS, COLS, &expected, &err), 0);
	assert_int_equal(bytes, expected);
	assert_int_equal(trit_ggml_decode_trits(type, copy, ROWS, COLS, 0, ROWS, trits, &one, &err), 0);
	assert_true(one == scale);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(trits[i], pattern(i));
	for (uint64_t r = ROWS; r-- > 0;) {
		assert_int_equal(trit_ggml_decode_codes(type, copy, ROWS, COLS, r, 1, trits, &err), 0);
		assert_int_equal(trit_ggml_decode_f32(type, copy, ROWS, COLS, r, 1, values, &err), 0);
		for (uint64_t c = 0; c < COLS; c++) {
			assert_int_equal(trits[c], pattern(r * COLS + c));
			assert_true(values[c] == scale * (float)trits[c]);
		}
	}
	trit_free(copy);
}

static void test_other_i2_s(void **state)
{
	unsigned char neon[N / 4 + 32] = { 0 }, rows4[N / 4 + 32] = { 0 };
	(void)state;

	for (uint64_t i = 0; i < N; i++) {
		uint64_t row = i / COLS, col = i % COLS;

		neon[i / 64 * 16 + i % 16] |= (unsigned char)((pattern(i) + 1) << (6 - 2 * (i % 64 / 16)));
		rows4[row / 4 * COLS + col] |= (unsigned char)((pattern(i) + 1) << (6 - 2 * (row % 4)));
	}
	trit_put32(neon + N / 4, trit_f32_bits(0.3f));
	trit_put32(rows4 + N / 4, trit_f32_bits(0.3f));
	check_codes(TRIT_GGML_I2_S_NEON, neon, sizeof neon, 0.3f);
	check_codes(TRIT_GGML_I2_S_4ROW, rows4, sizeof rows4, 0.3f);
	rows4[COLS + 7] |= 0x0c; /* row 4 + 2 */
	int8_t trits[N];
	float one;
	check_error(trit_ggml_decode_trits(TRIT_GGML_I2_S_4ROW, rows4, ROWS, COLS, 0, ROWS, trits, &one, &err),
	            TRIT_ERR_FORMAT, &err, "row 6, column 7: code 3, but I2_S_4ROW");
}

static void test_hf_u2(void **state)
{
	unsigned char data[N / 4] = { 0 };
	(void)state;

	for (uint64_t i = 0; i < N; i++) {
		uint64_t row = i / COLS, col = i % COLS, quarter = row / (ROWS / 4);

		data[row % (ROWS / 4) * COLS + col] |= (unsigned char)((pattern(i) + 1) << (2 * quarter));
	}
	check_codes(TRIT_GGML_HF_U2, data, sizeof data, 1);
}

static void test_q2_0_g128(void **state)
{
	unsigned char data[N / 128 * 34] = { 0 };
	(void)state;

	for (uint64_t i = 0; i < N; i++) {
		unsigned char *block = data + i / 128 * 34;

		trit_put16(block, trit_f32_to_f16(0.5f));
		block[2 + i % 128 / 4] |= (unsigned char)((pattern(i) + 1) << (2 * (i % 4)));
	}
	check_codes(TRIT_GGML_Q2_0_G128, data, sizeof data, 0.5f);
}

/* ---- codes and scales ------------------------------------------------------------------------------------------- */

static float group_scale(uint64_t i)
{
	return trit_f16_to_f32((uint16_t)(0x3000 + 37 * i));
}

/* Every type with scales in its blocks gives back codes and scales, which differ from block to block. */
static void test_groups(void **state)
{
	static const uint32_t types[] = { TRIT_GGML_TQ1_0, TRIT_GGML_TQ2_0, TRIT_GGML_Q1_0, TRIT_GGML_Q2_0 };
	int8_t in[N], out[N];
	float scales[N / 64], got[N / 64], values[N];
	(void)state;

	for (size_t t = 0; t < 4; t++) {
		const struct trit_ggml_type_info *info = trit_ggml_type_info(types[t]);
		uint64_t run = trit_ggml_run(info, COLS), bytes = 0;

		assert_int_equal(run, info->block);
		for (uint64_t i = 0; i < N; i++) {
			in[i] = info->binary ? (pattern(i) > 0 ? 1 : -1) : i / run == 2 ? 0 : pattern(i);
			scales[i / run] = !info->binary && i / run == 2 ? 0 : group_scale(i / run);
		}
		assert_int_equal(trit_ggml_tensor_bytes(types[t], ROWS, COLS, &bytes, &err), 0);
		unsigned char *data = trit_calloc((size_t)bytes, 1);
		trit_ggml_encode_groups(types[t], in, scales, run, ROWS, COLS, data);
		assert_int_equal(trit_ggml_decode_codes(types[t], data, ROWS, COLS, 0, ROWS, out, &err), 0);
		assert_memory_equal(out, in, sizeof in);
		assert_int_equal(trit_ggml_decode_scales(types[t], data, ROWS, COLS, 0, ROWS, got, &err), 0);
		assert_memory_equal(got, scales, N / run * sizeof *got);
		assert_int_equal(trit_ggml_decode_f32(types[t], data, ROWS, COLS, 0, ROWS, values, &err), 0);
		for (uint64_t i = 0; i < N; i++)
			assert_true(values[i] == scales[i / run] * (float)in[i]);
		check_error(trit_ggml_decode_trits(types[t], data, ROWS, COLS, 0, ROWS, out, got, &err), TRIT_ERR_FORMAT, &err,
		            "the tensor is not ternary with one scale");
		trit_free(data);
	}
}

static void test_bad_scales(void **state)
{
	static const uint32_t types[] = { TRIT_GGML_TQ1_0,  TRIT_GGML_TQ2_0,     TRIT_GGML_Q1_0, TRIT_GGML_Q2_0,
		                          TRIT_GGML_IQ1_BN, TRIT_GGML_Q2_0_G128, TRIT_GGML_I2_S, TRIT_GGML_I2_S_4ROW,
		                          TRIT_GGML_IQ2_BN, TRIT_GGML_IQ2_BN_R4 };
	float scales[N / 64];
	int8_t out[N];
	(void)state;

	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
		uint64_t bytes = 0;
		int status;

		assert_int_equal(trit_ggml_tensor_bytes(types[t], ROWS, COLS, &bytes, &err), 0);
		unsigned char *data = trit_calloc((size_t)bytes, 1);
		memset(data, 0xff, (size_t)bytes); /* every scale is NaN */
		status = trit_ggml_decode_scales(types[t], data, ROWS, COLS, 3, 1, scales, &err);
		check_error(status, TRIT_ERR_FORMAT, &err, ", column 0: scale ");
		memset(data, 0, (size_t)bytes); /* every scale is 0: all weights are */
		assert_int_equal(trit_ggml_decode_scales(types[t], data, ROWS, COLS, 0, ROWS, scales, &err), 0);
		assert_true(scales[0] == 0);
		assert_int_equal(trit_ggml_decode_trits(types[t], data, ROWS, COLS, 0, ROWS, out, scales, &err), 0);
		for (int i = 0; i < N; i++)
			assert_int_equal(out[i], 0);
		trit_free(data);
	}
}

/* Code 3 of Q2_0 is twice the scale. */
static void test_code_2(void **state)
{
	unsigned char data[4 * 18] = { 0 };
	int8_t codes[2 * 128];
	float values[128], scale;
	(void)state;

	for (int b = 0; b < 4; b++) {
		trit_put16(data + 18 * b, 0x3c00);
		memset(data + 18 * b + 2, 0x55, 16);
	}
	assert_false(trit_ggml_has_code_2(TRIT_GGML_Q2_0, data, 128, 0, 2));
	data[18 * 3 + 2 + 5] = 0x75; /* row 1, column 64 + 22 */
	assert_false(trit_ggml_has_code_2(TRIT_GGML_Q2_0, data, 128, 0, 1));
	assert_true(trit_ggml_has_code_2(TRIT_GGML_Q2_0, data, 128, 1, 1));
	assert_int_equal(trit_ggml_decode_codes(TRIT_GGML_Q2_0, data, 2, 128, 1, 1, codes, &err), 0);
	assert_int_equal(trit_ggml_decode_f32(TRIT_GGML_Q2_0, data, 2, 128, 1, 1, values, &err), 0);
	for (int i = 0; i < 128; i++) {
		assert_int_equal(codes[i], i == 86 ? 2 : 0);
		assert_true(values[i] == (float)codes[i]);
	}
	check_error(trit_ggml_decode_trits(TRIT_GGML_Q2_0, data, 2, 128, 0, 2, codes, &scale, &err), TRIT_ERR_FORMAT, &err,
	            "row 1, column 86: code 3");
}

/* Ternary weights in types of numbers: exact when F16 can hold the scale. */
static void test_trits_in_numbers(void **state)
{
	static const uint32_t types[] = { TRIT_GGML_Q4_0, TRIT_GGML_Q6_K, TRIT_GGML_Q8_0 };
	int8_t in[N], out[N];
	(void)state;

	for (uint64_t i = 0; i < N; i++)
		in[i] = i / COLS == 1 ? 0 : pattern(i);
	for (size_t t = 0; t < 3; t++) {
		uint64_t bytes = 0;
		float scale;

		assert_int_equal(trit_ggml_tensor_bytes(types[t], ROWS, COLS, &bytes, &err), 0);
		unsigned char *data = trit_calloc((size_t)bytes, 1);
		trit_ggml_encode_trits(types[t], in, 0.375f, ROWS, COLS, data);
		assert_int_equal(trit_ggml_decode_trits(types[t], data, ROWS, COLS, 0, ROWS, out, &scale, &err), 0);
		assert_true(scale == 0.375f);
		assert_memory_equal(out, in, sizeof in);
		trit_free(data);
	}
}

/* What is not finite, or hardly there, becomes some code and nothing worse. */
static void test_wild_numbers(void **state)
{
	static const float wild[] = { INFINITY, -INFINITY, NAN, 1e-42f, -1e-42f, 3e38f, -3e38f, 1e-16f };
	static const uint32_t types[] = { TRIT_GGML_Q4_0, TRIT_GGML_Q6_K, TRIT_GGML_Q8_0, TRIT_GGML_TQ1_0, TRIT_GGML_TQ2_0,
		                          TRIT_GGML_Q1_0, TRIT_GGML_Q2_0 };
	float in[COLS], values[COLS];
	unsigned char data[512];
	(void)state;

	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
		for (unsigned set = 1; set < 1 << 8; set++) {
			for (int i = 0; i < COLS; i++)
				in[i] = set >> i % 8 & 1 ? wild[i % 8] : 0;
			trit_ggml_encode_f32(types[t], in, 1, COLS, data);
			assert_int_equal(trit_ggml_decode_f32(types[t], data, 1, COLS, 0, 1, values, &err), 0);
		}
}

/* ---- numbers that mean several types ---------------------------------------------------------------------------- */

/* A file with two tensors of a type number and one of F32 behind them, each with `bytes` of room. */
static int open_file(struct trit_gguf *g, uint32_t type, uint64_t rows, uint64_t cols, size_t bytes, bool last)
{
	static struct bytes b;
	size_t padded = (bytes + 31) / 32 * 32;
	static const char *const names[] = { "a", "b", "c" };

	b.len = 0;
	put_raw(&b, 4, "GGUF");
	put_u32(&b, 3);
	put_u64(&b, last ? 2 : 3);
	put_u64(&b, 0);
	for (unsigned i = 0; i < (last ? 2 : 3); i++) {
		put_text(&b, names[i]);
		put_u32(&b, 2);
		put_u64(&b, i == 2 ? 1 : cols);
		put_u64(&b, i == 2 ? 1 : rows);
		put_u32(&b, i == 2 ? TRIT_GGML_F32 : type);
		put_u64(&b, i * padded);
	}
	put_pad(&b, 32);
	size_t size = b.len + padded + (last ? bytes : padded + 4);
	unsigned char *data = trit_calloc(size, 1);
	memcpy(data, b.data, b.len);
	int status = trit_gguf_open_bytes(g, data, size, &err);
	if (status < 0)
		trit_free(data);
	return status;
}

static void check_type(uint32_t number, uint64_t rows, uint64_t cols, size_t bytes, uint32_t type)
{
	struct trit_gguf g;

	for (int last = 0; last < 2; last++) {
		assert_int_equal(open_file(&g, number, rows, cols, bytes, last), 0);
		assert_int_equal(g.tensors[0].type, type);
		assert_int_equal(g.tensors[1].type, type);
		assert_int_equal(g.tensors[0].bytes, bytes);
		trit_free((void *)(uintptr_t)(g.tensors[0].data - g.tensors[0].offset));
		trit_gguf_close(&g);
	}
}

static void test_several_meanings(void **state)
{
	struct trit_gguf g;
	(void)state;

	check_type(42, 16, 256, 16 * 4 * 18, TRIT_GGML_Q2_0);
	check_type(42, 16, 256, 16 * 2 * 34, TRIT_GGML_Q2_0_G128);
	check_type(39, 4, 64, 4 * 2 * 17, TRIT_GGML_MXFP4);
	check_type(39, 1024, 4096, 884736 + 32, TRIT_GGML_TL2);
	/* Neither fits: it is what llama.cpp has, and cut off. */
	check_error(open_file(&g, 42, 16, 256, 16 * 30, false), TRIT_ERR_FORMAT, &err, "its 1152 bytes begin 0");
	check_error(open_file(&g, 42, 16, 256, 16 * 50, true), TRIT_ERR_FORMAT, &err, "its 1152 bytes begin 800");
	check_error(open_file(&g, 42, 16, 96, 16 * 30, true), TRIT_ERR_FORMAT, &err, "tensor a: 96 columns");
	check_error(open_file(&g, TRIT_GGML_HF_U2, 16, 64, 256, true), TRIT_ERR_UNSUPPORTED, &err, "no type");
	check_error(open_file(&g, TRIT_GGML_I2_S_NEON, 16, 64, 288, true), TRIT_ERR_UNSUPPORTED, &err, "no type");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoded),    cmocka_unit_test(test_encoded),          cmocka_unit_test(test_tools),
		cmocka_unit_test(test_tl),         cmocka_unit_test(test_other_i2_s),       cmocka_unit_test(test_hf_u2),
		cmocka_unit_test(test_q2_0_g128),  cmocka_unit_test(test_groups),           cmocka_unit_test(test_bad_scales),
		cmocka_unit_test(test_code_2),     cmocka_unit_test(test_trits_in_numbers), cmocka_unit_test(test_wild_numbers),
		cmocka_unit_test(test_several_meanings),
	};
	int failed = trit_gguf_open(&golden, TRIT_TEST_DATA "/format/types.gguf", &err) < 0;

	if (!failed)
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	trit_gguf_close(&golden);
	return failed;
}
