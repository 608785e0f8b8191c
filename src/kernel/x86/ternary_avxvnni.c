/*
 * ternary_avxvnni.c - integer products with 256-bit VNNI.
 *
 * The products are those of ternary256_body.h. vpdpbusd multiplies the unsigned bytes of a lane, codes, by signed ones,
 * activations, and adds the four products to the lane's 32-bit sum, without saturation.
 *
 * SPDX-License-Identifier: MIT
 */
#define SUM_BITS 32
#define ISA(name) name##_avxvnni
#include "kernel/x86/ternary256_body.h"

static ALWAYS_INLINE __m256i dot(const enum dot kind, __m256i sum, __m256i codes, __m256i x)
{
	(void)kind;
	/* in place: from the intrinsic gcc 12 makes copies of the sums that no longer fit the registers */
	__asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(x));
	return sum;
}

static ALWAYS_INLINE __m256i wide(const enum dot kind, __m256i sum, const int log2)
{
	(void)kind;
	return _mm256_slli_epi32(sum, log2);
}

void trit_ternary_init_avxvnni(struct trit_kernels *k)
{
	products_init(k);
}
