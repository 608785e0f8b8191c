/*
 * num.c - conversions between binary32 and the two 16-bit formats, in integer arithmetic.
 *
 *     binary32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm     bias 127
 *     binary16   s eeeee mmmmmmmmmm                     bias 15
 *     bfloat16   s eeeeeeee mmmmmmm                     bias 127: the upper half of a binary32
 *
 * Kernels have conversions of their own in vector instructions; they must give the bits that these give.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/num.h"

float trit_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;

	if (exponent == 31) /* infinity; NaN, made quiet as the hardware does */
		return trit_f32_from_bits(sign | 0x7f800000 | (mantissa ? 0x400000 | mantissa << 13 : 0));
	if (exponent > 0)
		return trit_f32_from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
	/* Zero or subnormal: mantissa * 2^-24, exact in binary32. */
	float magnitude = (float)mantissa * 0x1p-24f;
	return sign ? -magnitude : magnitude;
}

uint16_t trit_f32_to_f16(float f)
{
	uint32_t u = trit_f32_bits(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
	int shift = 13; /* mantissa bits to drop */

	if (magnitude > 0x7f800000) /* NaN: quiet, the payload's upper bits kept */
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x47800000) /* 2^16 and more, infinity; 65520..65536 reach infinity by rounding, below */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x33000000) /* below 2^-25, half the smallest subnormal */
		return (uint16_t)sign;
	if (magnitude < 0x38800000) { /* below 2^-14: subnormal, value = mantissa * 2^(exponent - 150) */
		shift = 126 - (int)(magnitude >> 23);
		magnitude = (magnitude & 0x7fffff) | 0x800000;
	} else {
		magnitude -= (uint32_t)(127 - 15) << 23;
	}
	/* Round to nearest, ties to even; a carry out of the mantissa rightly goes into the exponent. */
	uint32_t result = magnitude >> shift, rest = magnitude & ((1u << shift) - 1), half = 1u << (shift - 1);

	result += rest > half || (rest == half && (result & 1));
	return (uint16_t)(sign | result);
}

uint16_t trit_f32_to_bf16(float f)
{
	uint32_t u = trit_f32_bits(f);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
