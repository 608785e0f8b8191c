/*
 * gemm_avx512bf16.c - the dense product of training in bfloat16, with VDPBF16PS.
 *
 * The instruction adds to each of 16 sums the products of a pair of steps of k, so a row of a tile B of
 * gemm_bf16_body.h is one operand and a pair of a tile A, broadcast, the other. The 32 rows of a panel go in groups of
 * 11, 11 and 10: 22 sums, two registers of B and a broadcast of A; 13 loads for 22 products keep both multipliers busy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/gemm_bf16_body.h" /* before error.h, which bans what immintrin.h uses */

#include "kernel/x86/init.h"

enum { GROUP = 11 };

/* Two steps of a row, as every pair of a register; one load that serves two products, which gcc would make two. */
static inline __m512bh pair_of(const uint16_t *a)
{
	__m512i pairs;

	__asm__("vpbroadcastd %1, %0" : "=v"(pairs) : "m"(*(const int32_t *)(const void *)a));
	return (__m512bh)pairs;
}

/* C [n, 32] += n rows of a panel of A times a panel of B; n is a constant, so the sums live in registers. */
static inline __attribute__((always_inline)) void multiply_rows(float *c, size_t ldc, const uint16_t *a,
                                                                const uint16_t *b, int n_steps, bool load, const int n)
{
	__m512 sum[GROUP][2];

#pragma GCC unroll 11
	for (int r = 0; r < n; r++)
#pragma GCC unroll 2
		for (int j = 0; j < 2; j++)
			sum[r][j] = load ? _mm512_loadu_ps(c + r * ldc + LINES * j) : _mm512_setzero_ps();
	for (int s = 0; s < n_steps; s++, a += 2 * TILE, b += 2 * TILE)
		for (int q = 0; q < STEPS / 2; q++) {
			__m512bh left = (__m512bh)_mm512_load_si512(b + q * STEPS);
			__m512bh right = (__m512bh)_mm512_load_si512(b + TILE + q * STEPS);

#pragma GCC unroll 11
			for (int r = 0; r < n; r++) {
				__m512bh of_a = pair_of(a + r * STEPS + 2 * q);

				sum[r][0] = _mm512_dpbf16_ps(sum[r][0], of_a, left);
				sum[r][1] = _mm512_dpbf16_ps(sum[r][1], of_a, right);
			}
		}
#pragma GCC unroll 11
	for (int r = 0; r < n; r++)
#pragma GCC unroll 2
		for (int j = 0; j < 2; j++)
			_mm512_storeu_ps(c + r * ldc + LINES * j, sum[r][j]);
}

static void multiply_panels(float *c, size_t ldc, const uint16_t *a, const uint16_t *b, int n_steps, bool load)
{
	enum { REST = PANEL - 2 * GROUP };

	multiply_rows(c, ldc, a, b, n_steps, load, GROUP);
	multiply_rows(c + GROUP * ldc, ldc, a + GROUP * STEPS, b, n_steps, load, GROUP);
	multiply_rows(c + 2 * GROUP * ldc, ldc, a + 2 * GROUP * STEPS, b, n_steps, load, REST);
}

static void begin_products(void)
{
}

static void end_products(void)
{
}

/* As of 8-bit products in ternary_avx512.c. */
static double bf16_peak(int rounds)
{
	enum { TURNS = 1000, CHAINS = 12 };
	const __m512i ones = _mm512_set1_epi32(0x3f803f80);
	__m512 sum[CHAINS];

#pragma GCC unroll 12
	for (int i = 0; i < CHAINS; i++)
		sum[i] = _mm512_setzero_ps();
	for (int t = 0; t < rounds * TURNS; t++)
#pragma GCC unroll 12
		for (int i = 0; i < CHAINS; i++)
			__asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(sum[i]) : "v"(ones));
	return 2.0 * 32 * CHAINS * TURNS * rounds;
}

void trit_gemm_init_avx512bf16(struct trit_kernels *k)
{
	k->gemm_bf16 = gemm_bf16;
	k->bf16_peak = bf16_peak;
}
