/*
 * ggml_k.c - the K-quants: blocks of 256 numbers, with a small scale for each 16 or 32 of them under one in F16.
 *
 *     Q2_K   84 B   u8 scale[16] | u8 q[64] | d | dmin       low nibble of scale: times d; high: times dmin, subtracted
 *     Q3_K  110 B   u8 high[32] | u8 q[64] | u8 scale[12] | d
 *     Q4_K  144 B   d | dmin | u8 scale[12] | u8 q[128]
 *     Q5_K  176 B   d | dmin | u8 scale[12] | u8 high[32] | u8 q[128]
 *     Q6_K  210 B   u8 q[128] | u8 high[64] | int8 scale[16] | d
 *     Q8_K  292 B   f32 d | int8 q[256] | i16 sums[16], not needed here
 *
 * Two-bit fields: elements 128 h + 32 f + l have bits 2 f of byte 32 h + l (h < 2, f < 4, l < 32); nibbles of Q4_K and
 * Q5_K: elements 64 c + l are the low ones of byte 32 c + l, 64 c + 32 + l the high ones.
 *
 * References: ggml's quantisers; docs/formats.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/num.h"
#include "format/ggml_codec.h"

enum { BLOCK = 256 };

static float half_at(const unsigned char *p)
{
	return trit_f16_to_f32(trit_get16(p));
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

static void decode_q2_k(const unsigned char *in, uint64_t n, float *out)
{
	for (; n > 0; n--, in += 84, out += BLOCK) {
		const unsigned char *scales = in, *q = in + 16;
		float d = half_at(in + 80), dmin = half_at(in + 82);

		for (int i = 0; i < BLOCK; i++) {
			int scale = scales[i / 16], code = q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;

			out[i] = d * (float)(scale & 15) * (float)code - dmin * (float)(scale >> 4);
		}
	}
}

/* Sixteen scales of six bits, less 32: low nibbles in 8 bytes (0..7 low, 8..15 high half), then bits 4 and 5 of scale i
 * at bits 2 (i / 4) of byte 8 + i % 4. */
static void unpack_scales_3(const unsigned char *in, int *out)
{
	for (int i = 0; i < 16; i++) {
		int low = i < 8 ? in[i] & 15 : in[i - 8] >> 4, high = in[8 + i % 4] >> i / 4 * 2 & 3;

		out[i] = (low | high << 4) - 32;
	}
}

/* q is two bits of the field, less 4 where the bit of `high` is not set: bit f + 4 h of byte l. */
static void decode_q3_k(const unsigned char *in, uint64_t n, float *out)
{
	int scales[16];

	for (; n > 0; n--, in += 110, out += BLOCK) {
		const unsigned char *high = in, *q = in + 32;
		float d = half_at(in + 108);

		unpack_scales_3(in + 96, scales);
		for (int i = 0; i < BLOCK; i++) {
			int field = i % 128 / 32, code = q[i / 128 * 32 + i % 32] >> 2 * field & 3;

			code -= high[i % 32] >> (i / 128 * 4 + field) & 1 ? 0 : 4;
			out[i] = d * (float)scales[i / 16] * (float)code;
		}
	}
}

/* Eight scales and eight minima of six bits: those of 0..3 whole in bytes 0..3 and 4..7; of 4..7 the low four bits in
 * the halves of bytes 8..11, the upper two on top of bytes 0..3 and 4..7. */
static void unpack_scales_4(const unsigned char *in, int i, int *scale, int *min)
{
	if (i < 4) {
		*scale = in[i] & 63;
		*min = in[i + 4] & 63;
	} else {
		*scale = (in[i + 4] & 15) | in[i - 4] >> 6 << 4;
		*min = in[i + 4] >> 4 | in[i] >> 6 << 4;
	}
}

/* Q4_K and Q5_K: eight runs of 32; high NULL: there is no fifth bit, else it is bit `run` of high[l]. */
static void decode_runs(const unsigned char *in, const unsigned char *high, const unsigned char *q, float *out)
{
	float d = half_at(in), dmin = half_at(in + 2);

	for (int run = 0; run < 8; run++) {
		int scale, min;

		unpack_scales_4(in + 4, run, &scale, &min);
		for (int l = 0; l < 32; l++) {
			int code = q[run / 2 * 32 + l] >> run % 2 * 4 & 15;

			code |= high ? (high[l] >> run & 1) << 4 : 0;
			out[32 * run + l] = d * (float)scale * (float)code - dmin * (float)min;
		}
	}
}

static void decode_q4_k(const unsigned char *in, uint64_t n, float *out)
{
	for (; n > 0; n--, in += 144, out += BLOCK)
		decode_runs(in, NULL, in + 16, out);
}

static void decode_q5_k(const unsigned char *in, uint64_t n, float *out)
{
	for (; n > 0; n--, in += 176, out += BLOCK)
		decode_runs(in, in + 16, in + 48, out);
}

/* Elements 128 h + 32 f + l: low four bits in byte 64 h + 32 (f % 2) + l, its half f / 2; upper two in bits 2 f of
 * high[32 h + l]; less 32. */
static void decode_q6_k(const unsigned char *in, uint64_t n, float *out)
{
	for (; n > 0; n--, in += 210, out += BLOCK) {
		const int8_t *scales = (const int8_t *)in + 192;
		float d = half_at(in + 208);

		for (int run = 0; run < 8; run++) {
			const unsigned char *low = in + 64 * (run / 4) + 32 * (run % 2), *high = in + 128 + 32 * (run / 4);
			int f = run % 4;

			for (int l = 0; l < 32; l++) {
				int code = (low[l] >> f / 2 * 4 & 15) | (high[l] >> 2 * f & 3) << 4;

				out[32 * run + l] = d * (float)scales[2 * run + l / 16] * (float)(code - 32);
			}
		}
	}
}

static void decode_q8_k(const unsigned char *in, uint64_t n, float *out)
{
	for (; n > 0; n--, in += 292, out += BLOCK) {
		float d = trit_f32_from_bits(trit_get32(in));

		for (int i = 0; i < BLOCK; i++)
			out[i] = d * (float)(int8_t)in[4 + i];
	}
}

/* ---- encoding Q6_K ---------------------------------------------------------------------------------------------- */

/* What counts as zero to ggml. */
#define LEAST 1e-15f

/* x to the nearest integer, half to even, cut to -32..31; 0 for what is no number. */
static int round_code(float x)
{
	if (isnan(x))
		return 0;
	return (int)rintf(fmaxf(-32, fminf(31, x)));
}

/* Codes of 16 numbers for the factor 1 / scale; *xq, *qq: the sums of w x q and w q q with the weight w = x x. The
 * order of operations is ggml's, so that the same candidate wins. */
static void try_factor(const float *x, float factor, int8_t *q, float *xq, float *qq)
{
	*xq = *qq = 0;
	for (int i = 0; i < 16; i++) {
		float w = x[i] * x[i];

		q[i] = (int8_t)round_code(factor * x[i]);
		*xq += w * x[i] * (float)q[i];
		*qq += w * (float)q[i] * (float)q[i];
	}
}

/* The scale that represents 16 numbers best in -32..31, and their codes: the number of largest magnitude goes to -32 or
 * a little beyond or below that, whichever of 19 ways leaves the least square error weighted by x^2, each with the
 * scale that is best for its codes. */
static float best_scale(const float *x, int8_t *codes)
{
	float largest = 0, scale = 0, best = 0, xq, qq;
	int8_t q[16];

	for (int i = 0; i < 16; i++)
		largest = fabsf(x[i]) > fabsf(largest) ? x[i] : largest;
	if (!(fabsf(largest) >= LEAST)) {
		memset(codes, -32, 16); /* as ggml leaves them; times 0 it does not matter */
		return 0;
	}
	for (int step = 0; step < 19; step++) {
		int away = step == 0 ? 0 : step <= 9 ? step - 10 : step - 9; /* 0, -9 .. -1, 1 .. 9 */

		try_factor(x, -(32 + 0.1f * (float)away) / largest, q, &xq, &qq);
		if (step > 0 && !(qq > 0 && xq * xq > best * qq))
			continue;
		memcpy(codes, q, 16);
		scale = qq != 0 ? xq / qq : 0;
		best = scale * xq;
	}
	return scale;
}

static void pack_q6_k(const int8_t *codes, unsigned char *out)
{
	for (int h = 0; h < 2; h++)
		for (int l = 0; l < 32; l++) {
			int q[4];

			for (int f = 0; f < 4; f++)
				q[f] = codes[128 * h + 32 * f + l] + 32;
			out[64 * h + l] = (unsigned char)((q[0] & 15) | (q[2] & 15) << 4);
			out[64 * h + 32 + l] = (unsigned char)((q[1] & 15) | (q[3] & 15) << 4);
			out[128 + 32 * h + l] =
			    (unsigned char)(q[0] >> 4 | q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6);
		}
}

static void encode_block_q6_k(const float *in, unsigned char *out)
{
	float scales[16], largest = 0, factor, d;
	int8_t codes[BLOCK];

	for (int r = 0; r < 16; r++) {
		scales[r] = best_scale(in + 16 * r, codes + 16 * r);
		largest = fabsf(scales[r]) > fabsf(largest) ? scales[r] : largest;
	}
	memset(out, 0, 210);
	if (!(fabsf(largest) >= LEAST))
		return;
	factor = -128 / largest;
	trit_put16(out + 208, trit_f32_to_f16(1 / factor));
	d = half_at(out + 208);
	for (int r = 0; r < 16; r++) {
		float small = rintf(factor * scales[r]);
		int scale = isnan(small) ? 0 : (int)fmaxf(-128, fminf(127, small));

		out[192 + r] = (unsigned char)(int8_t)scale;
		for (int i = 16 * r; i < 16 * r + 16 && d * (float)scale != 0; i++)
			codes[i] = (int8_t)round_code(in[i] / (d * (float)scale));
	}
	pack_q6_k(codes, out);
}

static void encode_q6_k(const float *in, uint64_t n, unsigned char *out)
{
	for (; n > 0; n--, in += BLOCK, out += 210)
		encode_block_q6_k(in, out);
}

static void encode_trits_q6_k(const int8_t *in, float scale, unsigned char *out)
{
	pack_q6_k(in, out);
	memset(out + 192, 1, 16);
	trit_put16(out + 208, trit_f32_to_f16(scale));
}

const struct trit_ggml_codec trit_codec_q2_k = { .decode = decode_q2_k };
const struct trit_ggml_codec trit_codec_q3_k = { .decode = decode_q3_k };
const struct trit_ggml_codec trit_codec_q4_k = { .decode = decode_q4_k };
const struct trit_ggml_codec trit_codec_q5_k = { .decode = decode_q5_k };
const struct trit_ggml_codec trit_codec_q6_k = { .decode = decode_q6_k, .encode = encode_q6_k,
	                                         .encode_trits = encode_trits_q6_k };
const struct trit_ggml_codec trit_codec_q8_k = { .decode = decode_q8_k };
