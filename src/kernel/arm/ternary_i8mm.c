/*
 * ternary_i8mm.c - integer products with SMMLA: two rows by two tokens, eight columns at a time.
 *
 * SMMLA takes two registers as 2 x 8 matrices of bytes and adds their product A B^T to a 2 x 2 matrix of 32-bit sums:
 *
 *     sums [r0 t0, r0 t1, r1 t0, r1 t1]    A [r0 c0..c7, r1 c0..c7]    B [t0 c0..c7, t1 c0..c7]
 *
 * twice the products of an SDOT. For it the decoded B rows, [4 rows][4 columns] a register, are arranged in pairs as
 * [2 rows][8 columns]; that pays for many tokens only, few go by SDOT.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/arm/quad_dotprod.h"

#define PANEL_TILE 6 /* tokens; 8 pairs of rows by 3 pairs of tokens: 24 registers of sums, 3 of activations */

enum { ROW_PAIRS = TRIT_BLOCK_ROWS / 2 };

/* n B rows; with an odd number a row of zeros completes the last pair. */
static void arrange_panel(int8_t *panel, int n)
{
	if (n % 2)
		memset(panel + (size_t)n * 64, 0, 64);
	for (int k = 0; k < n; k += 2, panel += 128) {
		int32x4_t first[4], second[4];
		for (int i = 0; i < 4; i++) {
			first[i] = vreinterpretq_s32_s8(vld1q_s8(panel + 16 * i));
			second[i] = vreinterpretq_s32_s8(vld1q_s8(panel + 64 + 16 * i));
		}
		for (int i = 0; i < 4; i++) {
			vst1q_s8(panel + 32 * i, vreinterpretq_s8_s32(vzip1q_s32(first[i], second[i])));
			vst1q_s8(panel + 32 * i + 16, vreinterpretq_s8_s32(vzip2q_s32(first[i], second[i])));
		}
	}
}

/* sums_fn over n B rows of an arranged panel; tokens is a constant after inlining. The last of an odd number of tokens
 * is paired with itself. With an odd n the activations are read up to a multiple of eight: kernel.h has them padded. */
static ALWAYS_INLINE void sum_pairs(int32x4_t (*sums)[4], const unsigned char *panel, const int8_t *q, size_t ldq,
                                    int n, const int tokens)
{
	const int pairs = (tokens + 1) / 2;
	int32x4_t s[PANEL_TILE / 2][ROW_PAIRS];

#pragma GCC unroll 3
	for (int j = 0; j < pairs; j++)
#pragma GCC unroll 8
		for (int r = 0; r < ROW_PAIRS; r++)
			s[j][r] = vdupq_n_s32(0);
	for (; n > 0; n -= 2, panel += 128, q += 8) {
		int8x16_t x[PANEL_TILE / 2];
#pragma GCC unroll 3
		for (int j = 0; j < pairs; j++) {
			int second = 2 * j + 1 < tokens ? 2 * j + 1 : 2 * j;
			x[j] = vcombine_s8(vld1_s8(q + 2 * (size_t)j * ldq), vld1_s8(q + (size_t)second * ldq));
		}
#pragma GCC unroll 8
		for (int r = 0; r < ROW_PAIRS; r++) {
			int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(panel + 16 * r));
#pragma GCC unroll 3
			for (int j = 0; j < pairs; j++)
				s[j][r] = vmmlaq_s32(s[j][r], w, x[j]);
		}
	}
#pragma GCC unroll 3
	for (int j = 0; j < pairs; j++)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			sums[2 * j][i] = vuzp1q_s32(s[j][2 * i], s[j][2 * i + 1]);
			if (2 * j + 1 < tokens)
				sums[2 * j + 1][i] = vuzp2q_s32(s[j][2 * i], s[j][2 * i + 1]);
		}
}

#define PAIRS_OF(tokens)                                                                                               \
	static void pairs_##tokens(int32x4_t (*sums)[4], const unsigned char *panel, const int8_t *q, size_t ldq,      \
	                           int n, int max)                                                                     \
	{                                                                                                              \
		(void)max;                                                                                             \
		sum_pairs(sums, panel, q, ldq, n, tokens);                                                             \
	}
PAIRS_OF(1)
PAIRS_OF(2)
PAIRS_OF(3)
PAIRS_OF(4)
PAIRS_OF(5)
PAIRS_OF(6)

typedef void pairs_fn(int32x4_t (*sums)[4], const unsigned char *panel, const int8_t *q, size_t ldq, int n, int max);
static pairs_fn *const panel_sums[PANEL_TILE] = {pairs_1, pairs_2, pairs_3, pairs_4, pairs_5, pairs_6};

#include "kernel/arm/ternary_arm_body.h"

/* As int8_peak() of the body, with SMMLA. */
static double trit_int8_peak_i8mm(int rounds)
{
	enum { STEPS = 1000, SUMS = 16 };
	int32x4_t s[SUMS];
	int8x16_t w = vdupq_n_s8(1), x = w;

	for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 16
		for (int i = 0; i < SUMS; i++)
			s[i] = vdupq_n_s32(0);
		for (int step = 0; step < STEPS; step++) {
			__asm__("" : "+w"(w));
#pragma GCC unroll 16
			for (int i = 0; i < SUMS; i++)
				s[i] = vmmlaq_s32(s[i], w, x);
		}
		__asm__ volatile("" : : "m"(s)); /* the sums are used */
	}
	return 2.0 * rounds * STEPS * SUMS * 32;
}

void trit_ternary_init_i8mm(struct trit_kernels *k)
{
	products_init(k);
	k->int8_peak = trit_int8_peak_i8mm;
}
