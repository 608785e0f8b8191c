/*
 * ggml_codec.c - decodes and encodes the elements of tensors, type by type.
 *
 * A matrix is one flat run of blocks whatever its rows (ggml_type.h), so all work here is on element numbers, and row
 * and column appear only in errors. Ternary blocks are unpacked to codes c = trit + 1 in 0..2; code 3 is what two bits
 * can hold beyond that.
 *
 * References: ggml's quantisers (F16, BF16, Q8_0, TQ1_0, TQ2_0), bitnet.cpp's (I2_S); docs/formats.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "base/num.h"
#include "format/ggml_type.h"

#define CHUNK 256 /* elements handled at a time: a whole number of blocks of every type */

/* ---- ternary blocks --------------------------------------------------------------------------------------------- */

/*
 * TQ1_0: 256 weights in 54 bytes, five to a byte in base 3.
 *
 *     qs[48] | qh[4] | f16 d
 *     qs[j],    j < 32:  elements j, j+32, j+64, j+96, j+128
 *     qs[32+j], j < 16:  elements 160 + j, 176 + j, 192 + j, 208 + j, 224 + j
 *     qh[j],    j < 4:   elements 240 + j, 244 + j, 248 + j, 252 + j, and a zero digit
 *
 * The digits, first element most significant, make q = 0..242; stored is b = ceil(q * 256 / 243), the fraction q / 243
 * in 256ths. Then digit n needs no division: (b * 3^n mod 256) is the fraction left after n digits, and its product
 * with 3 carries the next digit over bit 8.
 */
static const uint8_t power_of_3[5] = { 1, 3, 9, 27, 81 };

/* Always inlined, and restrict: with the counts constant and nothing aliased, compilers vectorise the loops at -O2. */
static inline __attribute__((always_inline)) void unpack_digits(const unsigned char *restrict bytes, int n_bytes,
                                                                int n_digits, uint8_t *restrict codes)
{
	for (int n = 0; n < n_digits; n++) {
		for (int j = 0; j < n_bytes; j++) {
			uint8_t rest = (uint8_t)(bytes[j] * power_of_3[n]);

			codes[n * n_bytes + j] = (uint8_t)(rest * 3 >> 8);
		}
	}
}

static void pack_digits(const uint8_t *codes, int n_bytes, int n_digits, unsigned char *bytes)
{
	for (int j = 0; j < n_bytes; j++) {
		unsigned q = 0;

		for (int n = 0; n < 5; n++)
			q = q * 3 + (n < n_digits ? codes[n * n_bytes + j] : 0);
		bytes[j] = (unsigned char)((q * 256 + 242) / 243);
	}
}

/*
 * TQ2_0: 256 weights in 66 bytes, two bits each: two halves of 128 elements, 32 bytes a half.
 *
 *     qs[64] | f16 d
 *     qs[32h + j] = c[128h + j] | c[128h + 32 + j] << 2 | c[128h + 64 + j] << 4 | c[128h + 96 + j] << 6
 *
 * I2_S: 128 weights in 32 bytes, the same picture with the bits the other way round, and one scale behind all blocks:
 *
 *     byte p of a block = c[p] << 6 | c[p + 32] << 4 | c[p + 64] << 2 | c[p + 96]        f32 scale | 28 zero bytes
 */
static void unpack_pairs(const unsigned char *restrict bytes, bool first_is_high, uint8_t *restrict codes)
{
	for (int l = 0; l < 4; l++) {
		int shift = first_is_high ? 6 - 2 * l : 2 * l;

		for (int j = 0; j < 32; j++)
			codes[32 * l + j] = bytes[j] >> shift & 3;
	}
}

static void pack_pairs(const uint8_t *codes, bool first_is_high, unsigned char *bytes)
{
	for (int j = 0; j < 32; j++) {
		unsigned byte = 0;

		for (int l = 0; l < 4; l++)
			byte |= (unsigned)codes[32 * l + j] << (first_is_high ? 6 - 2 * l : 2 * l);
		bytes[j] = (unsigned char)byte;
	}
}

static void unpack_block(uint32_t id, const unsigned char *block, uint8_t *codes)
{
	if (id == TRIT_GGML_TQ1_0) {
		unpack_digits(block, 32, 5, codes);
		unpack_digits(block + 32, 16, 5, codes + 160);
		unpack_digits(block + 48, 4, 4, codes + 240);
	} else if (id == TRIT_GGML_TQ2_0) {
		unpack_pairs(block, false, codes);
		unpack_pairs(block + 32, false, codes + 128);
	} else {
		unpack_pairs(block, true, codes);
	}
}

static void pack_block(uint32_t id, const uint8_t *codes, unsigned char *block)
{
	if (id == TRIT_GGML_TQ1_0) {
		pack_digits(codes, 32, 5, block);
		pack_digits(codes + 160, 16, 5, block + 32);
		pack_digits(codes + 240, 4, 4, block + 48);
	} else if (id == TRIT_GGML_TQ2_0) {
		pack_pairs(codes, false, block);
		pack_pairs(codes + 128, false, block + 32);
	} else {
		pack_pairs(codes, true, block);
	}
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

/* The matrix a decoder works on. */
struct matrix {
	const struct trit_ggml_type_info *type;
	const unsigned char *data;
	uint64_t cols;
	uint64_t elements;
	uint64_t first, end; /* the elements asked for */
	struct trit_error *err;
};

static int matrix_init(struct matrix *m, uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                       uint64_t row0, uint64_t n, struct trit_error *err)
{
	uint64_t bytes;
	int status = trit_ggml_tensor_bytes(id, rows, cols, &bytes, err);

	if (status < 0)
		return status;
	if (row0 > rows || n > rows - row0)
		return trit_fail(err, TRIT_ERR_ARG, "rows %" PRIu64 " to %" PRIu64 " of a tensor with %" PRIu64, row0,
		                 row0 + n, rows);
	*m = (struct matrix){ .type = trit_ggml_type_info(id),
		              .data = data,
		              .cols = cols,
		              .elements = rows * cols,
		              .first = row0 * cols,
		              .end = (row0 + n) * cols,
		              .err = err };
	if (!m->type->readable)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "type %s cannot be read; convert the model to F16, Q8_0, TQ2_0 or I2_S",
		                 m->type->name);
	return 0;
}

static const unsigned char *block_at(const struct matrix *m, uint64_t element)
{
	return m->data + element / (uint64_t)m->type->block * (uint64_t)m->type->block_bytes;
}

/* The scale a ternary block is multiplied with. */
static float block_scale(const struct matrix *m, const unsigned char *block)
{
	if (m->type->tail_bytes)
		return trit_f32_from_bits(trit_get32(block_at(m, m->elements)));
	return trit_f16_to_f32(trit_get16(block + m->type->block_bytes - 2));
}

static int fail_code_3(const struct matrix *m, uint64_t element)
{
	return trit_fail(m->err, TRIT_ERR_FORMAT,
	                 "row %" PRIu64 ", column %" PRIu64
	                 ": code 3, but %s has 0, 1 and 2 for -1, 0 and 1; the file is "
	                 "damaged or was packed for another layout",
	                 element / m->cols, element % m->cols, m->type->name);
}

/* Number of the first code 3 among n, a multiple of 32; n when there is none. */
static int find_code_3(const uint8_t *codes, int n)
{
	int i = 0;

	for (uint8_t both_bits = 0; i < n; i += 32) {
		for (int j = 0; j < 32; j++)
			both_bits |= codes[i + j] & codes[i + j] >> 1;
		if (both_bits)
			break;
	}
	while (i < n && codes[i] != 3)
		i++;
	return i;
}

/* Codes to trits and to values; n is a multiple of 32, which is what lets compilers vectorise. */
static void codes_to_trits(const uint8_t *restrict codes, int n, int8_t *restrict out)
{
	for (int i = 0; i < n; i += 32)
		for (int j = 0; j < 32; j++)
			out[i + j] = (int8_t)(codes[i + j] - 1);
}

static void codes_to_f32(const uint8_t *restrict codes, int n, float scale, float *restrict out)
{
	for (int i = 0; i < n; i += 32)
		for (int j = 0; j < 32; j++)
			out[i + j] = (float)(codes[i + j] - 1) * scale;
}

static int ternary_to_f32(const struct matrix *m, float *out)
{
	int n = m->type->block;
	uint8_t codes[CHUNK];

	for (uint64_t e = m->first; e < m->end; e += (uint64_t)n, out += n) {
		const unsigned char *block = block_at(m, e);
		float scale = block_scale(m, block);

		unpack_block(m->type->id, block, codes);
		if (m->type->id == TRIT_GGML_I2_S && find_code_3(codes, n) < n) /* in TQ2_0 it is 2 * d, as in ggml */
			return fail_code_3(m, e + (uint64_t)find_code_3(codes, n));
		codes_to_f32(codes, n, scale, out);
	}
	return 0;
}

/* Elements [e, e + n) of a type that is not ternary; e is the first of a block. */
static void dense_to_f32(const struct matrix *m, uint64_t e, uint64_t n, float *out)
{
	const unsigned char *p = block_at(m, e);

	switch (m->type->id) {
	case TRIT_GGML_F32:
		for (uint64_t i = 0; i < n; i++)
			out[i] = trit_f32_from_bits(trit_get32(p + 4 * i));
		break;
	case TRIT_GGML_F16:
		for (uint64_t i = 0; i < n; i++)
			out[i] = trit_f16_to_f32(trit_get16(p + 2 * i));
		break;
	case TRIT_GGML_BF16:
		for (uint64_t i = 0; i < n; i++)
			out[i] = trit_bf16_to_f32(trit_get16(p + 2 * i));
		break;
	default: /* Q8_0: f16 d | int8 q[32], value q * d */
		for (uint64_t i = 0; i < n; i += 32, p += 34) {
			float d = trit_f16_to_f32(trit_get16(p));

			for (int j = 0; j < 32; j++)
				out[i + (uint64_t)j] = (float)(int8_t)p[2 + j] * d;
		}
	}
}

int trit_ggml_decode_f32(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols, uint64_t row0,
                         uint64_t n, float *out, struct trit_error *err)
{
	struct matrix m;
	int status = matrix_init(&m, id, data, rows, cols, row0, n, err);

	if (status < 0)
		return status;
	if (m.type->ternary)
		return ternary_to_f32(&m, out);
	dense_to_f32(&m, m.first, m.end - m.first, out);
	return 0;
}

/* ---- decoding to trits ------------------------------------------------------------------------------------------ */

static int fail_scale(const struct matrix *m, uint64_t element, float scale)
{
	return trit_fail(m->err, TRIT_ERR_FORMAT,
	                 "row %" PRIu64 ", column %" PRIu64 ": scale %g, but a scale is positive and finite",
	                 element / m->cols, element % m->cols, (double)scale);
}

static int fail_not_ternary(const struct matrix *m, uint64_t element, float value, float scale)
{
	return trit_fail(m->err, TRIT_ERR_FORMAT,
	                 "row %" PRIu64 ", column %" PRIu64
	                 ": %s %.9g where only 0 and %.9g may stand; the tensor is not "
	                 "ternary with one scale",
	                 element / m->cols, element % m->cols, m->type->ternary ? "block of scale" : "value",
	                 (double)value, (double)scale);
}

/* The first scale that is not 0, looked for in the whole matrix so that no range of rows sees another one; else 1. */
static int ternary_scale(const struct matrix *m, float *scale)
{
	uint64_t step = m->type->tail_bytes ? m->elements : (uint64_t)m->type->block;

	*scale = 1;
	for (uint64_t e = 0; e < m->elements; e += step) {
		float d = block_scale(m, block_at(m, e));

		if (d == 0)
			continue;
		*scale = d;
		return d > 0 && isfinite(d) ? 0 : fail_scale(m, e, d);
	}
	return 0;
}

static int ternary_to_trits(const struct matrix *m, int8_t *out, float scale)
{
	int n = m->type->block;
	uint8_t codes[CHUNK];

	for (uint64_t e = m->first; e < m->end; e += (uint64_t)n, out += n) {
		const unsigned char *block = block_at(m, e);
		float d = block_scale(m, block);
		int bad;

		unpack_block(m->type->id, block, codes);
		bad = find_code_3(codes, n);
		if (bad < n)
			return fail_code_3(m, e + (uint64_t)bad);
		if (d != 0 && d != scale)
			return d > 0 && isfinite(d) ? fail_not_ternary(m, e, d, scale) : fail_scale(m, e, d);
		if (d == 0)
			memset(out, 0, (size_t)n);
		else
			codes_to_trits(codes, n, out);
	}
	return 0;
}

/* The same for types that hold any value: the magnitude of the first one that is not 0. */
static int dense_scale(const struct matrix *m, float *scale)
{
	float values[CHUNK];

	*scale = 1;
	for (uint64_t e = 0; e < m->elements; e += CHUNK) {
		uint64_t n = m->elements - e < CHUNK ? m->elements - e : CHUNK;

		dense_to_f32(m, e, n, values);
		for (uint64_t i = 0; i < n; i++) {
			if (values[i] == 0)
				continue;
			*scale = fabsf(values[i]);
			return isfinite(values[i]) ? 0 : fail_scale(m, e + i, values[i]);
		}
	}
	return 0;
}

static int dense_to_trits(const struct matrix *m, int8_t *out, float scale)
{
	float values[CHUNK];
	int8_t trits[CHUNK];

	for (uint64_t e = m->first; e < m->end; e += CHUNK) {
		uint64_t n = m->end - e < CHUNK ? m->end - e : CHUNK;
		int others = 0; /* values that are neither 0 nor of the scale's magnitude */

		dense_to_f32(m, e, n, values);
		for (uint64_t i = n; i < CHUNK; i++)
			values[i] = 0;
		/* Whole chunks and no branches, for the compiler to vectorise. */
		for (int i = 0; i < CHUNK; i++)
			others += (values[i] != 0) & (fabsf(values[i]) != scale);
		for (uint64_t i = 0; others > 0; i++)
			if (values[i] != 0 && fabsf(values[i]) != scale)
				return fail_not_ternary(m, e + i, values[i], scale);
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
	struct matrix m;
	float s = 1;
	int status = matrix_init(&m, id, data, rows, cols, row0, n, err);

	if (status == 0)
		status = m.type->ternary ? ternary_scale(&m, &s) : dense_scale(&m, &s);
	if (status == 0)
		status = m.type->ternary ? ternary_to_trits(&m, out, s) : dense_to_trits(&m, out, s);
	if (status == 0)
		*scale = s;
	return status;
}

/* ---- encoding --------------------------------------------------------------------------------------------------- */

/* Q8_0: d = max|x| / 127, q = x / d rounded half away from zero. ggml multiplies with the reciprocal of the unrounded
 * d, and so the bytes are its bytes. */
static void encode_q8_0(const float *x, unsigned char *out)
{
	float max = 0, d, inverse;

	for (int i = 0; i < 32; i++)
		max = fabsf(x[i]) > max ? fabsf(x[i]) : max; /* false for NaN */
	d = max / 127;
	inverse = d > 0 ? 1 / d : 0;
	trit_put16(out, trit_f32_to_f16(d));
	for (int i = 0; i < 32; i++) {
		float q = roundf(x[i] * inverse);

		/* |q| <= 127 but where x is not finite, or so small that 1 / d is infinite. */
		q = isnan(q) ? 0 : fmaxf(-127, fminf(127, q));
		out[2 + i] = (unsigned char)(int8_t)q;
	}
}

void trit_ggml_encode_f32(uint32_t id, const float *in, uint64_t rows, uint64_t cols, unsigned char *out)
{
	uint64_t n = rows * cols;

	switch (id) {
	case TRIT_GGML_F32:
		for (uint64_t i = 0; i < n; i++)
			trit_put32(out + 4 * i, trit_f32_bits(in[i]));
		break;
	case TRIT_GGML_F16:
		for (uint64_t i = 0; i < n; i++)
			trit_put16(out + 2 * i, trit_f32_to_f16(in[i]));
		break;
	case TRIT_GGML_BF16:
		for (uint64_t i = 0; i < n; i++)
			trit_put16(out + 2 * i, trit_f32_to_bf16(in[i]));
		break;
	case TRIT_GGML_Q8_0:
		for (uint64_t i = 0; i < n; i += 32)
			encode_q8_0(in + i, out + i / 32 * 34);
		break;
	default:
		assert(!"a type that holds floats");
	}
}

static void encode_dense_trits(uint32_t id, const int8_t *in, float scale, uint64_t n, unsigned char *out)
{
	unsigned bytes = id == TRIT_GGML_F32 ? 4 : 2;
	unsigned char encoded[3][4] = { { 0 } };

	/* Three values occur: each is encoded once. Zero is +0, whatever the scale. */
	for (int code = 0; code < 3; code++) {
		float value = code == 1 ? 0 : (float)(code - 1) * scale;

		trit_ggml_encode_f32(id, &value, 1, 1, encoded[code]);
	}
	for (uint64_t i = 0; i < n; i++)
		memcpy(out + i * bytes, encoded[in[i] + 1], bytes);
}

/* A block of Q8_0, TQ1_0 or TQ2_0 with the scale in it, or one of I2_S. */
static void encode_trit_block(const struct trit_ggml_type_info *t, const int8_t *in, uint16_t d, unsigned char *out)
{
	uint8_t codes[CHUNK];
	bool zero = true;

	for (int i = 0; i < t->block; i++) {
		codes[i] = (uint8_t)(in[i] + 1);
		zero = zero && in[i] == 0;
	}
	if (t->id == TRIT_GGML_Q8_0) {
		trit_put16(out, zero ? 0 : d);
		memcpy(out + 2, in, 32);
		return;
	}
	pack_block(t->id, codes, out);
	if (t->tail_bytes == 0)
		trit_put16(out + t->block_bytes - 2, zero ? 0 : d);
}

void trit_ggml_encode_trits(uint32_t id, const int8_t *in, float scale, uint64_t rows, uint64_t cols,
                            unsigned char *out)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(id);
	uint64_t n = rows * cols;
	uint16_t d = trit_f32_to_f16(scale);

	assert(t && t->readable);
	if (t->block == 1) {
		encode_dense_trits(id, in, scale, n, out);
		return;
	}
	for (uint64_t i = 0; i < n; i += (uint64_t)t->block, out += t->block_bytes)
		encode_trit_block(t, in + i, d, out);
	if (t->tail_bytes) {
		memset(out, 0, (size_t)t->tail_bytes);
		trit_put32(out, trit_f32_bits(scale));
	}
}
