/*
 * ggml_codec.c - decodes and encodes the elements of tensors, whatever their type.
 *
 * What a block of each type is stands in ggml_plain.c, ggml_k.c, ggml_ternary.c and ggml_tl.c. Here is what they have
 * in common: rows, scales, and everything that can be wrong with them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "base/num.h"
#include "format/ggml_codec.h"

#define CHUNK 256 /* elements handled at a time: a whole number of blocks of every type of numbers */

/* ---- the matrix ------------------------------------------------------------------------------------------------- */

/* The rows a decoder is asked for, and where it reports. */
struct job {
	struct trit_ggml_matrix m;
	uint64_t row0, end;
	struct trit_error *err;
};

static int job_init(struct job *j, uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols, uint64_t row0,
                    uint64_t n, struct trit_error *err)
{
	uint64_t bytes;
	int status = trit_ggml_tensor_bytes(id, rows, cols, &bytes, err);
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);

	if (status < 0)
		return status;
	if (row0 > rows || n > rows - row0)
		return trit_fail(err, TRIT_ERR_ARG, "rows %" PRIu64 " to %" PRIu64 " of a tensor with %" PRIu64, row0,
		                 row0 + n, rows);
	if (!t->readable)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "type %s cannot be read; convert the model to F16, Q8_0, TQ2_0 or I2_S", t->name);
	*j = (struct job){ .m = { .type = t, .data = data, .rows = rows, .cols = cols, .bytes = bytes,
		                  .stripe = trit_ggml_bytes_before(t, cols, (uint64_t)t->stripe) },
		           .row0 = row0, .end = row0 + n, .err = err };
	return 0;
}

/* How many columns share a scale, at least: all of a row where the whole matrix has one. */
static uint64_t run_of(const struct trit_ggml_matrix *m)
{
	uint64_t run = trit_ggml_run(m->type, m->cols);

	return run ? run : m->cols;
}

static int fail_code_3(const struct job *j, uint64_t row, uint64_t col)
{
	return trit_fail(j->err, TRIT_ERR_FORMAT,
	                 "row %" PRIu64 ", column %" PRIu64
	                 ": code 3, but %s has 0, 1 and 2 for -1, 0 and 1; the file is "
	                 "damaged or was packed for another layout",
	                 row, col, j->m.type->name);
}

static int fail_scale(const struct job *j, uint64_t row, uint64_t col, float scale)
{
	return trit_fail(j->err, TRIT_ERR_FORMAT,
	                 "row %" PRIu64 ", column %" PRIu64 ": scale %g, but a scale is positive and finite", row, col,
	                 (double)scale);
}

static int fail_not_ternary(const struct job *j, uint64_t row, uint64_t col, float value, float scale)
{
	return trit_fail(j->err, TRIT_ERR_FORMAT,
	                 "row %" PRIu64 ", column %" PRIu64
	                 ": %s %.9g where only 0 and %.9g may stand; the tensor is not "
	                 "ternary with one scale",
	                 row, col, j->m.type->ternary ? "block of scale" : "value", (double)value, (double)scale);
}

static bool is_scale(float scale)
{
	return scale >= 0 && isfinite(scale);
}

/* ---- ternary rows ----------------------------------------------------------------------------------------------- */

/* Number of the first code 3 among n; n when there is none. By 32, which is what lets compilers vectorise. */
static uint64_t find_code_3(const uint8_t *codes, uint64_t n)
{
	uint64_t i = 0;

	for (uint8_t both_bits = 0; n - i >= 32; i += 32) {
		for (int j = 0; j < 32; j++)
			both_bits |= codes[i + (uint64_t)j] & codes[i + (uint64_t)j] >> 1;
		if (both_bits)
			break;
	}
	while (i < n && codes[i] != 3)
		i++;
	return i;
}

/* The row's codes less 1, in place of the bytes at `out`. */
static void codes_to_trits(int8_t *out, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		out[i] = (int8_t)(out[i] - 1);
}

/* The codes c of a row; two_d: code 3 is allowed. */
static int row_codes(const struct job *j, uint64_t row, bool two_d, uint8_t *codes)
{
	uint64_t bad;

	j->m.type->codec->unpack(&j->m, row, codes);
	if (two_d || (bad = find_code_3(codes, j->m.cols)) == j->m.cols)
		return 0;
	return fail_code_3(j, row, bad);
}

static bool is_q2_0(const struct trit_ggml_type_info *t)
{
	return t->id == TRIT_GGML_Q2_0 || t->id == TRIT_GGML_Q2_0_G128;
}

/* The codes go to the last quarter of the row of numbers and are widened from its front, a chunk at a time: number i
 * ends at byte 4 i + 3, and code i + 1 lies at byte 3 cols + i + 1. */
static int ternary_row_to_f32(const struct job *j, uint64_t row, float *out)
{
	const struct trit_ggml_matrix *m = &j->m;
	uint8_t *codes = (uint8_t *)out + 3 * m->cols, chunk[CHUNK];
	uint64_t run = run_of(m);
	int status = row_codes(j, row, is_q2_0(m->type) || m->type->id == TRIT_GGML_TQ2_0, codes);

	for (uint64_t col = 0; status == 0 && col < m->cols; col += run) {
		float scale = m->type->codec->scale(m, row, col / run);

		for (uint64_t i = col, end = col + run, n; i < end; i += n) {
			n = end - i < CHUNK ? end - i : CHUNK;
			memcpy(chunk, codes + i, (size_t)n);
			for (uint64_t e = 0; e < n; e++)
				out[i + e] = (float)(chunk[e] - 1) * scale;
		}
	}
	return status;
}

/* The scales of a row; run by run. */
static int row_scales(const struct job *j, uint64_t row, float *out)
{
	uint64_t run = run_of(&j->m);

	for (uint64_t i = 0; i < j->m.cols / run; i++) {
		out[i] = j->m.type->codec->scale(&j->m, row, i);
		if (!is_scale(out[i]))
			return fail_scale(j, row, i * run, out[i]);
	}
	return 0;
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

/* Elements [e, e + n) of a type of numbers, rows one after the other; e is the first of a block. */
static void dense_to_f32(const struct trit_ggml_matrix *m, uint64_t e, uint64_t n, float *out)
{
	uint64_t block = (uint64_t)m->type->block;

	m->type->codec->decode(m->data + e / block * (uint64_t)m->type->block_bytes, n / block, out);
}

int trit_ggml_decode_f32(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols, uint64_t row0,
                         uint64_t n, float *out, struct trit_error *err)
{
	struct job j;
	int status = job_init(&j, id, data, rows, cols, row0, n, err);

	if (status == 0 && !j.m.type->ternary)
		dense_to_f32(&j.m, row0 * cols, n * cols, out);
	else
		for (uint64_t row = row0; status == 0 && row < j.end; row++, out += cols)
			status = ternary_row_to_f32(&j, row, out);
	return status;
}

void trit_ggml_decode_row(uint32_t id, const unsigned char *data, uint64_t cols, uint64_t row, float *out)
{
	struct trit_ggml_matrix m = { .type = trit_ggml_type_info(id), .data = data, .cols = cols };

	assert(m.type && m.type->readable && !m.type->ternary);
	dense_to_f32(&m, row * cols, cols, out);
}

int trit_ggml_decode_scales(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols, uint64_t row0,
                            uint64_t n, float *out, struct trit_error *err)
{
	struct job j;
	int status = job_init(&j, id, data, rows, cols, row0, n, err);
	uint64_t run;

	if (status < 0)
		return status;
	assert(j.m.type->ternary);
	run = trit_ggml_run(j.m.type, cols);
	if (run == 0)
		return row_scales(&j, row0, out);
	for (uint64_t row = row0; status == 0 && row < j.end; row++, out += cols / run)
		status = row_scales(&j, row, out);
	return status;
}

/* Zeroes the trits of a row where the scale is 0: whatever their codes, they are nothing. */
static void drop_zero_runs(const struct trit_ggml_matrix *m, uint64_t row, int8_t *out)
{
	uint64_t run = run_of(m);

	for (uint64_t i = 0; i < m->cols / run; i++)
		if (m->type->codec->scale(m, row, i) == 0)
			memset(out + i * run, 0, (size_t)run);
}

int trit_ggml_decode_codes(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols, uint64_t row0,
                           uint64_t n, int8_t *out, struct trit_error *err)
{
	struct job j;
	int status = job_init(&j, id, data, rows, cols, row0, n, err);

	for (uint64_t row = row0; status == 0 && row < j.end; row++, out += cols) {
		assert(j.m.type->ternary);
		status = row_codes(&j, row, is_q2_0(j.m.type), (uint8_t *)out);
		codes_to_trits(out, cols);
		if (!j.m.type->binary)
			drop_zero_runs(&j.m, row, out);
	}
	return status;
}

bool trit_ggml_has_code_2(uint32_t id, const unsigned char *data, uint64_t cols, uint64_t row0, uint64_t n)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);
	uint64_t block, blocks;
	unsigned both_bits = 0;

	if (!is_q2_0(t))
		return false;
	block = (uint64_t)t->block_bytes;
	blocks = n * (cols / (uint64_t)t->block);
	data += row0 * (cols / (uint64_t)t->block) * block;
	for (uint64_t b = 0; b < blocks && !(both_bits & 0x55); b++, data += block)
		for (uint64_t i = 2; i < block; i++)
			both_bits |= data[i] & data[i] >> 1;
	return (both_bits & 0x55) != 0;
}

/* ---- decoding to trits with one scale --------------------------------------------------------------------------- */

/* The first scale that is not 0, looked for in the whole matrix so that no range of rows sees another one; else 1. */
static int ternary_scale(const struct job *j, float *scale)
{
	const struct trit_ggml_matrix *m = &j->m;
	uint64_t run = run_of(m), rows = trit_ggml_run(m->type, m->cols) ? m->rows : 1;

	*scale = 1;
	for (uint64_t row = 0; row < rows; row++)
		for (uint64_t i = 0; i < m->cols / run; i++) {
			float d = m->type->codec->scale(m, row, i);

			if (d == 0)
				continue;
			*scale = d;
			return is_scale(d) ? 0 : fail_scale(j, row, i * run, d);
		}
	return 0;
}

static int ternary_row_to_trits(const struct job *j, uint64_t row, int8_t *out, float scale)
{
	const struct trit_ggml_matrix *m = &j->m;
	uint64_t run = run_of(m);
	int status = row_codes(j, row, false, (uint8_t *)out);

	for (uint64_t i = 0; status == 0 && i < m->cols / run; i++) {
		float d = m->type->codec->scale(m, row, i);

		if (d != 0 && d != scale)
			return is_scale(d) ? fail_not_ternary(j, row, i * run, d, scale) : fail_scale(j, row, i * run, d);
	}
	codes_to_trits(out, m->cols);
	drop_zero_runs(m, row, out);
	return status;
}

/* The same for types that hold any value: the magnitude of the first one that is not 0. */
static int dense_scale(const struct job *j, float *scale)
{
	uint64_t elements = j->m.rows * j->m.cols;
	float values[CHUNK];

	*scale = 1;
	for (uint64_t e = 0; e < elements; e += CHUNK) {
		uint64_t n = elements - e < CHUNK ? elements - e : CHUNK;

		dense_to_f32(&j->m, e, n, values);
		for (uint64_t i = 0; i < n; i++) {
			if (values[i] == 0)
				continue;
			*scale = fabsf(values[i]);
			return isfinite(values[i]) ? 0 : fail_scale(j, (e + i) / j->m.cols, (e + i) % j->m.cols, values[i]);
		}
	}
	return 0;
}

static int dense_to_trits(const struct job *j, int8_t *out, float scale)
{
	uint64_t cols = j->m.cols, first = j->row0 * cols, end = j->end * cols;
	float values[CHUNK];
	int8_t trits[CHUNK];

	for (uint64_t e = first; e < end; e += CHUNK) {
		uint64_t n = end - e < CHUNK ? end - e : CHUNK;
		int others = 0; /* values that are neither 0 nor of the scale's magnitude */

		dense_to_f32(&j->m, e, n, values);
		for (uint64_t i = n; i < CHUNK; i++)
			values[i] = 0;
		/* Whole chunks and no branches, for the compiler to vectorise. */
		for (int i = 0; i < CHUNK; i++)
			others += (values[i] != 0) & (fabsf(values[i]) != scale);
		for (uint64_t i = 0; others > 0; i++)
			if (values[i] != 0 && fabsf(values[i]) != scale)
				return fail_not_ternary(j, (e + i) / cols, (e + i) % cols, values[i], scale);
		for (int i = 0; i < CHUNK; i++)
			trits[i] = (int8_t)((values[i] > 0) - (values[i] < 0));
		memcpy(out, trits, (size_t)n);
		out += n;
	}
	return 0;
}

int trit_ggml_decode_trits(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols, uint64_t row0,
                           uint64_t n, int8_t *out, float *scale, struct trit_error *err)
{
	struct job j;
	float s = 1;
	int status = job_init(&j, id, data, rows, cols, row0, n, err);

	if (status == 0)
		status = j.m.type->ternary ? ternary_scale(&j, &s) : dense_scale(&j, &s);
	if (status == 0 && !j.m.type->ternary)
		status = dense_to_trits(&j, out, s);
	else
		for (uint64_t row = row0; status == 0 && row < j.end; row++, out += cols)
			status = ternary_row_to_trits(&j, row, out, s);
	if (status == 0)
		*scale = s;
	return status;
}

/* ---- encoding --------------------------------------------------------------------------------------------------- */

void trit_ggml_encode_f32(uint32_t id, const float *in, uint64_t rows, uint64_t cols, unsigned char *out)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);

	assert(t && t->writes_floats);
	t->codec->encode(in, rows * cols / (uint64_t)t->block, out);
}

static void encode_dense_trits(const struct trit_ggml_type_info *t, const int8_t *in, float scale, uint64_t n,
                               unsigned char *out)
{
	size_t bytes = (size_t)t->block_bytes;
	unsigned char encoded[3][4] = { { 0 } };

	/* Three values occur: each is encoded once. Zero is +0, whatever the scale. */
	for (int code = 0; code < 3; code++) {
		float value = code == 1 ? 0 : (float)(code - 1) * scale;

		t->codec->encode(&value, 1, encoded[code]);
	}
	for (uint64_t i = 0; i < n; i++)
		memcpy(out + i * bytes, encoded[in[i] + 1], bytes);
}

/* A block with the scale in it, 0 where all are zeros; or one of I2_S. */
static void encode_trit_block(const struct trit_ggml_type_info *t, const int8_t *in, float scale, unsigned char *out)
{
	bool zero = true;

	for (int i = 0; i < t->block; i++)
		zero = zero && in[i] == 0;
	t->codec->encode_trits(in, zero ? 0 : scale, out);
}

void trit_ggml_encode_trits(uint32_t id, const int8_t *in, float scale, uint64_t rows, uint64_t cols,
                            unsigned char *out)
{
	trit_ggml_encode_groups(id, in, &scale, 0, rows, cols, out);
}

void trit_ggml_encode_groups(uint32_t id, const int8_t *in, const float *scales, uint64_t run, uint64_t rows,
                             uint64_t cols, unsigned char *out)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);
	uint64_t n = rows * cols, block;

	assert(t && t->writes_trits);
	assert(t->tail_bytes == 0 || run == 0);
	block = (uint64_t)t->block;
	if (!t->codec->encode_trits) { /* numbers by themselves */
		run = run ? run : n;
		for (uint64_t i = 0; i < n; i += run)
			encode_dense_trits(t, in + i, scales[i / run], run, out + i * (uint64_t)t->block_bytes);
		return;
	}
	for (uint64_t i = 0; i < n; i += block, out += t->block_bytes)
		encode_trit_block(t, in + i, scales[run ? i / run : 0], out);
	if (t->tail_bytes) {
		memset(out, 0, (size_t)t->tail_bytes);
		trit_put32(out, trit_f32_bits(scales[0]));
	}
}
