/*
 * ggml_plain.c - element types whose numbers stand by themselves or in blocks of 32 with one scale.
 *
 * Blocks, d and m being F16 and a nibble pair byte j holding elements j (low) and j + 16:
 *
 *     Q8_0     d | int8 q[32]                 q d
 *     Q4_0     d | nibbles[16]                (q - 8) d
 *     Q4_1     d | m | nibbles[16]            q d + m
 *     Q5_0     d | u32 high | nibbles[16]     (q - 16) d       q's fifth bit is bit i of high
 *     Q5_1     d | m | u32 high | nibbles[16] q d + m
 *     IQ4_NL   d | nibbles[16]                table[q] d
 *
 * References: ggml's quantisers; docs/formats.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/num.h"
#include "format/ggml_codec.h"

/* ---- numbers by themselves -------------------------------------------------------------------------------------- */

static void decode_f32(const unsigned char *in, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++)
		out[i] = trit_f32_from_bits(trit_get32(in + 4 * i));
}

static void encode_f32(const float *in, uint64_t n, unsigned char *out)
{
	for (uint64_t i = 0; i < n; i++)
		trit_put32(out + 4 * i, trit_f32_bits(in[i]));
}

static void decode_f16(const unsigned char *in, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++)
		out[i] = trit_f16_to_f32(trit_get16(in + 2 * i));
}

static void encode_f16(const float *in, uint64_t n, unsigned char *out)
{
	for (uint64_t i = 0; i < n; i++)
		trit_put16(out + 2 * i, trit_f32_to_f16(in[i]));
}

static void decode_bf16(const unsigned char *in, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++)
		out[i] = trit_bf16_to_f32(trit_get16(in + 2 * i));
}

static void encode_bf16(const float *in, uint64_t n, unsigned char *out)
{
	for (uint64_t i = 0; i < n; i++)
		trit_put16(out + 2 * i, trit_f32_to_bf16(in[i]));
}

static void decode_f64(const unsigned char *in, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t bits = trit_get64(in + 8 * i);
		double value;

		memcpy(&value, &bits, sizeof value);
		out[i] = (float)value;
	}
}

static void decode_i8(const unsigned char *in, uint64_t n, float *out)
{
	for (uint64_t i = 0; i < n; i++)
		out[i] = (float)(int8_t)in[i];
}

const struct trit_ggml_codec trit_codec_f32 = { .decode = decode_f32, .encode = encode_f32 };
const struct trit_ggml_codec trit_codec_f16 = { .decode = decode_f16, .encode = encode_f16 };
const struct trit_ggml_codec trit_codec_bf16 = { .decode = decode_bf16, .encode = encode_bf16 };
const struct trit_ggml_codec trit_codec_f64 = { .decode = decode_f64 };
const struct trit_ggml_codec trit_codec_i8 = { .decode = decode_i8 };

/* ---- Q8_0 ------------------------------------------------------------------------------------------------------- */

static void decode_q8_0(const unsigned char *in, uint64_t n, float *out)
{
	for (; n > 0; n--, in += 34, out += 32) {
		float d = trit_f16_to_f32(trit_get16(in));

		for (int j = 0; j < 32; j++)
			out[j] = (float)(int8_t)in[2 + j] * d;
	}
}

/* d = max|x| / 127, q = x / d rounded half away from zero. ggml multiplies with the reciprocal of the unrounded d, and
 * so the bytes are its bytes. */
static void encode_q8_0(const float *in, uint64_t n, unsigned char *out)
{
	for (; n > 0; n--, in += 32, out += 34) {
		float max = 0, d, inverse;

		for (int i = 0; i < 32; i++)
			max = fabsf(in[i]) > max ? fabsf(in[i]) : max; /* false for NaN */
		d = max / 127;
		inverse = d > 0 ? 1 / d : 0;
		trit_put16(out, trit_f32_to_f16(d));
		for (int i = 0; i < 32; i++) {
			float q = roundf(in[i] * inverse);

			/* |q| <= 127 but where x is not finite, or so small that 1 / d is infinite. */
			q = isnan(q) ? 0 : fmaxf(-127, fminf(127, q));
			out[2 + i] = (unsigned char)(int8_t)q;
		}
	}
}

static void encode_trits_q8_0(const int8_t *in, float scale, unsigned char *out)
{
	trit_put16(out, trit_f32_to_f16(scale));
	memcpy(out + 2, in, 32);
}

const struct trit_ggml_codec trit_codec_q8_0 = { .decode = decode_q8_0, .encode = encode_q8_0,
	                                         .encode_trits = encode_trits_q8_0 };

/* ---- four and five bits ----------------------------------------------------------------------------------------- */

/* The nibbles of a block as numbers 0..15, in the order of elements. */
static void unpack_nibbles(const unsigned char *in, uint8_t *q)
{
	for (int j = 0; j < 16; j++) {
		q[j] = in[j] & 15;
		q[j + 16] = in[j] >> 4;
	}
}

static void pack_nibbles(const uint8_t *q, unsigned char *out)
{
	for (int j = 0; j < 16; j++)
		out[j] = (unsigned char)(q[j] | q[j + 16] << 4);
}

/* The same with a fifth bit each, to 0..31. */
static void unpack_fives(const unsigned char *in, uint8_t *q)
{
	uint32_t high = trit_get32(in);

	unpack_nibbles(in + 4, q);
	for (int j = 0; j < 32; j++)
		q[j] |= (uint8_t)((high >> j & 1) << 4);
}

static void decode_q4_0(const unsigned char *in, uint64_t n, float *out)
{
	uint8_t q[32];

	for (; n > 0; n--, in += 18, out += 32) {
		float d = trit_f16_to_f32(trit_get16(in));

		unpack_nibbles(in + 2, q);
		for (int j = 0; j < 32; j++)
			out[j] = (float)(q[j] - 8) * d;
	}
}

static void decode_q4_1(const unsigned char *in, uint64_t n, float *out)
{
	uint8_t q[32];

	for (; n > 0; n--, in += 20, out += 32) {
		float d = trit_f16_to_f32(trit_get16(in)), m = trit_f16_to_f32(trit_get16(in + 2));

		unpack_nibbles(in + 4, q);
		for (int j = 0; j < 32; j++)
			out[j] = (float)q[j] * d + m;
	}
}

static void decode_q5_0(const unsigned char *in, uint64_t n, float *out)
{
	uint8_t q[32];

	for (; n > 0; n--, in += 22, out += 32) {
		float d = trit_f16_to_f32(trit_get16(in));

		unpack_fives(in + 2, q);
		for (int j = 0; j < 32; j++)
			out[j] = (float)(q[j] - 16) * d;
	}
}

static void decode_q5_1(const unsigned char *in, uint64_t n, float *out)
{
	uint8_t q[32];

	for (; n > 0; n--, in += 24, out += 32) {
		float d = trit_f16_to_f32(trit_get16(in)), m = trit_f16_to_f32(trit_get16(in + 2));

		unpack_fives(in + 4, q);
		for (int j = 0; j < 32; j++)
			out[j] = (float)q[j] * d + m;
	}
}

static void decode_iq4_nl(const unsigned char *in, uint64_t n, float *out)
{
	static const int8_t table[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
	uint8_t q[32];

	for (; n > 0; n--, in += 18, out += 32) {
		float d = trit_f16_to_f32(trit_get16(in));

		unpack_nibbles(in + 2, q);
		for (int j = 0; j < 32; j++)
			out[j] = (float)table[q[j]] * d;
	}
}

/* Q4_0: d = x / -8 for the x of largest magnitude, q = x / d + 8 rounded half up and cut at 15. */
static void encode_q4_0(const float *in, uint64_t n, unsigned char *out)
{
	uint8_t codes[32];

	for (; n > 0; n--, in += 32, out += 18) {
		float max = 0, d, inverse;

		for (int i = 0; i < 32; i++)
			max = fabsf(in[i]) > fabsf(max) ? in[i] : max; /* the first of equals */
		d = max / -8;
		inverse = d != 0 ? 1 / d : 0;
		trit_put16(out, trit_f32_to_f16(d));
		for (int i = 0; i < 32; i++) {
			float q = in[i] * inverse + 8.5f;

			codes[i] = (uint8_t)(isnan(q) ? 8 : fmaxf(0, fminf(15, q)));
		}
		pack_nibbles(codes, out + 2);
	}
}

static void encode_trits_q4_0(const int8_t *in, float scale, unsigned char *out)
{
	uint8_t codes[32];

	for (int i = 0; i < 32; i++)
		codes[i] = (uint8_t)(in[i] + 8);
	trit_put16(out, trit_f32_to_f16(scale));
	pack_nibbles(codes, out + 2);
}

const struct trit_ggml_codec trit_codec_q4_0 = { .decode = decode_q4_0, .encode = encode_q4_0,
	                                         .encode_trits = encode_trits_q4_0 };
const struct trit_ggml_codec trit_codec_q4_1 = { .decode = decode_q4_1 };
const struct trit_ggml_codec trit_codec_q5_0 = { .decode = decode_q5_0 };
const struct trit_ggml_codec trit_codec_q5_1 = { .decode = decode_q5_1 };
const struct trit_ggml_codec trit_codec_iq4_nl = { .decode = decode_iq4_nl };
