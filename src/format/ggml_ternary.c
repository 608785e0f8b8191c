/*
 * ggml_ternary.c - the ternary and binary element types but TL1 and TL2.
 *
 * All of them hold codes c = trit + 1 (binary: 0 and 2 for -1 and +1) and scales. Two bits a code, five codes a byte in
 * base 3, or one bit; the pictures stand beside each.
 *
 * References: ggml's quantisers (TQ1_0, TQ2_0, Q1_0, Q2_0), PrismML's (Q2_0 in blocks of 128), bitnet.cpp's (I2_S in
 * three layouts), ik_llama.cpp's (IQ1_BN, IQ2_BN, IQ2_BN_R4), transformers' (HF_U2); docs/formats.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/num.h"
#include "format/ggml_codec.h"

/* ---- scales ----------------------------------------------------------------------------------------------------- */

static const unsigned char *row_of(const struct trit_ggml_matrix *m, uint64_t row)
{
	return m->data + row / (uint64_t)m->type->stripe * m->stripe;
}

/* Behind the blocks, at their beginning or end, before the row, or none. */
static float scale_in_tail(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	(void)row, (void)i;
	return trit_f32_from_bits(trit_get32(m->data + m->bytes - (uint64_t)m->type->tail_bytes));
}

static float scale_first(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	return trit_f16_to_f32(trit_get16(row_of(m, row) + i * (uint64_t)m->type->block_bytes));
}

static float scale_last(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	return trit_f16_to_f32(trit_get16(row_of(m, row) + (i + 1) * (uint64_t)m->type->block_bytes - 2));
}

static float scale_f16_of_row(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	(void)i;
	return trit_f16_to_f32(trit_get16(row_of(m, row)));
}

/* Also of a row among those of a stripe. */
static float scale_f32_of_row(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	(void)i;
	return trit_f32_from_bits(trit_get32(row_of(m, row) + row % (uint64_t)m->type->stripe * 4));
}

static float scale_one(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	(void)m, (void)row, (void)i;
	return 1;
}

/* ---- numbers to trits ------------------------------------------------------------------------------------------- */

static float largest(const float *x, int n)
{
	float max = 0;

	for (int i = 0; i < n; i++)
		max = fabsf(x[i]) > max ? fabsf(x[i]) : max; /* false for NaN */
	return max;
}

/* The rule of TQ1_0, TQ2_0 and Q2_0: the scale is the largest magnitude, and x / scale is rounded half away from 0. */
static float round_to_codes(const float *x, int n, uint8_t *codes)
{
	float d = largest(x, n), inverse = d > 0 ? 1 / d : 0;

	for (int i = 0; i < n; i++) {
		float q = roundf(x[i] * inverse);

		codes[i] = (uint8_t)(1 + (q > 0) - (q < 0));
	}
	return d;
}

static void codes_of_trits(const int8_t *in, int n, uint8_t *codes)
{
	for (int i = 0; i < n; i++)
		codes[i] = (uint8_t)(in[i] + 1);
}

/* ---- TQ1_0 ------------------------------------------------------------------------------------------------------ */

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

static void unpack_tq1_0(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);

	for (uint64_t i = 0; i < m->cols; i += 256, in += 54) {
		unpack_digits(in, 32, 5, codes + i);
		unpack_digits(in + 32, 16, 5, codes + i + 160);
		unpack_digits(in + 48, 4, 4, codes + i + 240);
	}
}

static void pack_tq1_0(const uint8_t *codes, float d, unsigned char *out)
{
	pack_digits(codes, 32, 5, out);
	pack_digits(codes + 160, 16, 5, out + 32);
	pack_digits(codes + 240, 4, 4, out + 48);
	trit_put16(out + 52, trit_f32_to_f16(d));
}

static void encode_tq1_0(const float *in, uint64_t n, unsigned char *out)
{
	uint8_t codes[256];

	for (; n > 0; n--, in += 256, out += 54) {
		float d = round_to_codes(in, 256, codes);

		pack_tq1_0(codes, d, out);
	}
}

static void encode_trits_tq1_0(const int8_t *in, float scale, unsigned char *out)
{
	uint8_t codes[256];

	codes_of_trits(in, 256, codes);
	pack_tq1_0(codes, scale, out);
}

const struct trit_ggml_codec trit_codec_tq1_0 = { .unpack = unpack_tq1_0, .scale = scale_last, .encode = encode_tq1_0,
	                                          .encode_trits = encode_trits_tq1_0 };

/* ---- two bits, runs of elements in one field -------------------------------------------------------------------- */

/*
 * Byte j of n holds elements j, j + n, j + 2 n, j + 3 n, the first in the lowest bits or in the highest.
 *
 *     TQ2_0        n = 32, first low:   two such runs | f16 d                           256 weights, 66 bytes
 *     I2_S         n = 32, first high:  behind all of them f32 scale | 28 zero bytes    128 weights, 32 bytes
 *     I2_S (NEON)  n = 16, first high:  the same                                         64 weights, 16 bytes
 *     IQ2_BN       n = 16, first low:   f32 scale before each row                        64 weights, 16 bytes
 */
static inline __attribute__((always_inline)) void unpack_pairs(const unsigned char *restrict in, int n, bool first_high,
                                                               uint8_t *restrict codes)
{
	for (int l = 0; l < 4; l++) {
		int shift = first_high ? 6 - 2 * l : 2 * l;

		for (int j = 0; j < n; j++)
			codes[n * l + j] = in[j] >> shift & 3;
	}
}

static void pack_pairs(const uint8_t *codes, bool first_high, unsigned char *out)
{
	for (int j = 0; j < 32; j++) {
		unsigned byte = 0;

		for (int l = 0; l < 4; l++)
			byte |= (unsigned)codes[32 * l + j] << (first_high ? 6 - 2 * l : 2 * l);
		out[j] = (unsigned char)byte;
	}
}

static void unpack_tq2_0(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);

	for (uint64_t i = 0; i < m->cols; i += 256, in += 66) {
		unpack_pairs(in, 32, false, codes + i);
		unpack_pairs(in + 32, 32, false, codes + i + 128);
	}
}

static void pack_tq2_0(const uint8_t *codes, float d, unsigned char *out)
{
	pack_pairs(codes, false, out);
	pack_pairs(codes + 128, false, out + 32);
	trit_put16(out + 64, trit_f32_to_f16(d));
}

static void encode_tq2_0(const float *in, uint64_t n, unsigned char *out)
{
	uint8_t codes[256];

	for (; n > 0; n--, in += 256, out += 66) {
		float d = round_to_codes(in, 256, codes);

		pack_tq2_0(codes, d, out);
	}
}

static void encode_trits_tq2_0(const int8_t *in, float scale, unsigned char *out)
{
	uint8_t codes[256];

	codes_of_trits(in, 256, codes);
	pack_tq2_0(codes, scale, out);
}

static void unpack_i2_s(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);

	for (uint64_t i = 0; i < m->cols; i += 128, in += 32)
		unpack_pairs(in, 32, true, codes + i);
}

static void unpack_i2_s_neon(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);

	for (uint64_t i = 0; i < m->cols; i += 64, in += 16)
		unpack_pairs(in, 16, true, codes + i);
}

static void encode_trits_i2_s(const int8_t *in, float scale, unsigned char *out)
{
	uint8_t codes[128];

	(void)scale; /* in the tail */
	codes_of_trits(in, 128, codes);
	pack_pairs(codes, true, out);
}

static void unpack_iq2_bn(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row) + m->type->stripe_bytes;

	for (uint64_t i = 0; i < m->cols; i += 64, in += 16)
		unpack_pairs(in, 16, false, codes + i);
}

const struct trit_ggml_codec trit_codec_tq2_0 = { .unpack = unpack_tq2_0, .scale = scale_last, .encode = encode_tq2_0,
	                                          .encode_trits = encode_trits_tq2_0 };
const struct trit_ggml_codec trit_codec_i2_s = { .unpack = unpack_i2_s, .scale = scale_in_tail,
	                                         .encode_trits = encode_trits_i2_s };
const struct trit_ggml_codec trit_codec_i2_s_neon = { .unpack = unpack_i2_s_neon, .scale = scale_in_tail };
const struct trit_ggml_codec trit_codec_iq2_bn = { .unpack = unpack_iq2_bn, .scale = scale_f32_of_row };

/* ---- two bits, four rows in one byte or stripe ------------------------------------------------------------------ */

/* I2_S in groups of four rows: byte `col` of group g = c of row 4 g << 6 | of 4 g + 1 << 4 | of 4 g + 2 << 2 | of 4 g +
 * 3. The tail as in the other layouts. */
static void unpack_i2_s_4row(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);
	int shift = 6 - 2 * (int)(row % 4);

	for (uint64_t i = 0; i < m->cols; i++)
		codes[i] = in[i] >> shift & 3;
}

/* HF_U2: rows are cut into four quarters, and byte `col` of row r of them holds c of rows r, r + rows / 4, r + 2 rows /
 * 4, r + 3 rows / 4, the first in the lowest bits. The scale is somewhere else. */
static void unpack_hf_u2(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	uint64_t quarter = m->rows / 4;
	const unsigned char *in = m->data + row % quarter * m->cols;
	int shift = 2 * (int)(row / quarter);

	for (uint64_t i = 0; i < m->cols; i++)
		codes[i] = in[i] >> shift & 3;
}

/* IQ2_BN_R4: four f32 scales, then for each 64 columns 64 bytes: byte 16 l + 4 k + i holds, of row k of the four,
 * elements 16 l + i, + 4, + 8, + 12, the first in the lowest bits (i, k, l < 4). */
static void unpack_iq2_bn_r4(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row) + m->type->stripe_bytes + 4 * (row % 4);

	for (uint64_t i = 0; i < m->cols; i += 16, in += 16)
		unpack_pairs(in, 4, false, codes + i);
}

const struct trit_ggml_codec trit_codec_i2_s_4row = { .unpack = unpack_i2_s_4row, .scale = scale_in_tail };
const struct trit_ggml_codec trit_codec_hf_u2 = { .unpack = unpack_hf_u2, .scale = scale_one };
const struct trit_ggml_codec trit_codec_iq2_bn_r4 = { .unpack = unpack_iq2_bn_r4, .scale = scale_f32_of_row };

/* ---- IQ1_BN ----------------------------------------------------------------------------------------------------- */

/*
 * f16 scale before each row, then 64 weights in 13 bytes, four runs of 16 elements:
 *
 *     byte 3 g + k, k < 3:  elements 5 k .. 5 k + 4 of run g       byte 12: element 15 of runs 0, 1, 2, 3
 *
 * in base 3, the first element least significant, stored as a fraction like TQ1_0's: times 3^(4 - j) its first digit is
 * the one of element j.
 */
static uint8_t digit_from_end(unsigned char byte, int j)
{
	return (uint8_t)((uint8_t)(byte * power_of_3[4 - j]) * 3 >> 8);
}

static void unpack_iq1_bn(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row) + m->type->stripe_bytes;

	for (uint64_t i = 0; i < m->cols; i += 64, in += 13)
		for (int run = 0; run < 4; run++, codes += 16) {
			for (int e = 0; e < 15; e++)
				codes[e] = digit_from_end(in[3 * run + e / 5], e % 5);
			codes[15] = digit_from_end(in[12], run);
		}
}

const struct trit_ggml_codec trit_codec_iq1_bn = { .unpack = unpack_iq1_bn, .scale = scale_f16_of_row };

/* ---- Q2_0 and Q1_0 ---------------------------------------------------------------------------------------------- */

/* Q2_0: f16 d | c of elements 4 j, 4 j + 1, 4 j + 2, 4 j + 3 in byte j, the first in the lowest bits; 64 weights, or
 * 128 in PrismML's fork. Code 3 is + 2 d. */
static void unpack_q2_0(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);
	uint64_t block = (uint64_t)m->type->block;

	for (uint64_t i = 0; i < m->cols; i += block, in += m->type->block_bytes)
		for (uint64_t j = 0; j < block; j += 4) {
			uint32_t fields = in[2 + j / 4]; /* its four pairs of bits to the lowest of four bytes */

			fields = (fields | fields << 12) & 0x000f000f;
			fields = (fields | fields << 6) & 0x03030303;
			trit_put32(codes + i + j, fields);
		}
}

static void pack_q2_0(const uint8_t *codes, float d, unsigned char *out)
{
	trit_put16(out, trit_f32_to_f16(d));
	for (int j = 0; j < 16; j++, codes += 4)
		out[2 + j] = (unsigned char)(codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6);
}

static void encode_q2_0(const float *in, uint64_t n, unsigned char *out)
{
	uint8_t codes[64];

	for (; n > 0; n--, in += 64, out += 18) {
		float d = round_to_codes(in, 64, codes);

		pack_q2_0(codes, d, out);
	}
}

static void encode_trits_q2_0(const int8_t *in, float scale, unsigned char *out)
{
	uint8_t codes[64];

	codes_of_trits(in, 64, codes);
	pack_q2_0(codes, scale, out);
}

/* Q1_0: f16 d | bit e % 8 of byte e / 8 set for + d, else - d; 128 weights. */
static void unpack_q1_0(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const unsigned char *in = row_of(m, row);

	for (uint64_t i = 0; i < m->cols; i += 128, in += 18)
		for (uint64_t j = 0; j < 128; j += 8) {
			uint64_t bits = in[2 + j / 8]; /* to the lowest of eight bytes each */

			bits = (bits | bits << 28) & 0x0000000f0000000f;
			bits = (bits | bits << 14) & 0x0003000300030003;
			bits = (bits | bits << 7) & 0x0101010101010101;
			trit_put64(codes + i + j, 2 * bits);
		}
}

/* d is the mean magnitude, added up one by one as in ggml. */
static void encode_q1_0(const float *in, uint64_t n, unsigned char *out)
{
	for (; n > 0; n--, in += 128, out += 18) {
		float sum = 0;

		memset(out, 0, 18);
		for (int i = 0; i < 128; i++) {
			sum += fabsf(in[i]);
			out[2 + i / 8] |= (unsigned char)((in[i] >= 0) << i % 8);
		}
		trit_put16(out, trit_f32_to_f16(sum / 128));
	}
}

static void encode_trits_q1_0(const int8_t *in, float scale, unsigned char *out)
{
	memset(out, 0, 18);
	trit_put16(out, trit_f32_to_f16(scale));
	for (int i = 0; i < 128; i++)
		out[2 + i / 8] |= (unsigned char)((in[i] > 0) << i % 8);
}

const struct trit_ggml_codec trit_codec_q2_0 = { .unpack = unpack_q2_0, .scale = scale_first, .encode = encode_q2_0,
	                                         .encode_trits = encode_trits_q2_0 };
const struct trit_ggml_codec trit_codec_q1_0 = { .unpack = unpack_q1_0, .scale = scale_first, .encode = encode_q1_0,
	                                         .encode_trits = encode_trits_q1_0 };
