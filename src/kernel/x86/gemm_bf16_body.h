/*
 * gemm_bf16_body.h - the dense product of training in bfloat16: packing, the loops round the micro-kernel, the edges.
 *
 * Operands are packed as the tiles that AMX multiplies. A tile A is 16 rows x 32 steps of k; a tile B, 32 steps x 16
 * columns, has in row q the steps 2 q and 2 q + 1 of each column side by side:
 *
 *     A tile, row i:   a(i, 0) a(i, 1) a(i, 2) ... a(i, 31)
 *     B tile, row q:   b(2 q, 0) b(2 q + 1, 0) | b(2 q, 1) b(2 q + 1, 1) | ... 16 columns
 *
 * So a tile A is a tile B of the transposed matrix, turned round as 16 x 16 pairs, and either operand is packed from
 * either order of memory by the same two functions: pairs of steps of 16 lines that lie side by side make a row of a
 * tile B, 32 steps of one line that lie side by side a row of a tile A; the other tile needs the turn.
 *
 * As in gemm_body.h, blocks of B [KC, NC] and of A [MC, KC] are packed, as whole tiles and with zeros beyond the edges;
 * a panel is two tiles high or wide, at most ten steps long: B's 20 KB stay in the first level of cache while the
 * panels of A come from the second.
 *
 * The includer, compiled for AVX-512 and its BF16, defines multiply_panels, begin_products and end_products.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/transpose512.h" /* before error.h, which bans what immintrin.h uses */

#include <stdbool.h>
#include <string.h>

#include "kernel/tiers.h"

enum {
	LINES = 16,        /* rows of A or columns of B in a tile */
	STEPS = 32,        /* of k in a tile */
	PANEL = 2 * LINES,
	KC = 10 * STEPS,   /* a panel of B: 20 KB of L1 */
	MC = 512,          /* a block of A: 320 KB of L2 */
	NC = 2048,         /* a block of B: 1.25 MB of L2, or where that has 1 MB of L3 */
	TILE = LINES * STEPS,
};
_Static_assert((MC + NC) * KC <= 2 * TRIT_GEMM_SCRATCH, "the packed blocks fit the scratch memory");

/* What the instruction set does. C [32, 32] = (load ? C : 0) + a panel of A times one of B, n_steps tiles long; and
 * what comes before and after many of these. */
static void multiply_panels(float *c, size_t ldc, const uint16_t *a, const uint16_t *b, int n_steps, bool load);
static void begin_products(void);
static void end_products(void);

/* `lines` of a matrix, for a tile: element (line, p) is at[line * line_step + p * k_step]. */
struct lines {
	const float *at;
	size_t line_step, k_step;
};

static __mmask16 first(int n)
{
	return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

/* 32 numbers as bfloat16. */
static __m512i rounded(__m512 low, __m512 high)
{
	return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* A tile of rows: 32 steps of a line side by side in memory. */
static void rows_of(uint16_t *tile, const struct lines *l, int lines, int steps)
{
	__mmask16 low = first(steps), high = first(steps - 16);

	for (int i = 0; i < LINES; i++) {
		const float *at = l->at + (i < lines ? i : 0) * l->line_step; /* not beyond the array, even to load nothing */
		__mmask16 here = i < lines ? 0xffff : 0;

		_mm512_store_si512(tile + i * STEPS, rounded(_mm512_maskz_loadu_ps(low & here, at),
		                                             _mm512_maskz_loadu_ps(high & here, at + (steps > 16 ? 16 : 0))));
	}
}

/* A tile of pairs: a step of 16 lines side by side in memory. */
static void pairs_of(uint16_t *tile, const struct lines *l, int lines, int steps)
{
	static const _Alignas(64) uint16_t places[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
	                                                 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
	const __m512i interleave = _mm512_load_si512(places);
	__mmask16 there = first(lines);

	for (int q = 0; q < STEPS / 2; q++) {
		bool has_even = 2 * q < steps, has_odd = 2 * q + 1 < steps;
		const float *at = l->at + (has_even ? 2 * q : 0) * l->k_step;
		__m512 even = _mm512_maskz_loadu_ps(has_even ? there : 0, at);
		__m512 odd = _mm512_maskz_loadu_ps(has_odd ? there : 0, at + (has_odd ? l->k_step : 0));

		_mm512_store_si512(tile + q * STEPS, _mm512_permutexvar_epi16(interleave, rounded(even, odd)));
	}
}

/* Any strides: a tile of rows, by way of a copy. */
static void rows_from_anywhere(uint16_t *tile, const struct lines *l, int lines, int steps)
{
	float copy[LINES * STEPS];
	const struct lines of_copy = {copy, STEPS, 1};

	for (int i = 0; i < lines; i++)
		for (int p = 0; p < steps; p++)
			copy[i * STEPS + p] = l->at[i * l->line_step + p * l->k_step];
	rows_of(tile, &of_copy, lines, steps);
}

/* A tile A, or as it is for B with `pairs`. */
static void pack_tile(uint16_t *tile, const struct lines *l, int lines, int steps, bool pairs)
{
	_Alignas(64) uint16_t other[TILE];
	bool comes_in_pairs = l->line_step == 1 && l->k_step != 1;
	uint16_t *to = comes_in_pairs == pairs ? tile : other;

	if (comes_in_pairs)
		pairs_of(to, l, lines, steps);
	else if (l->k_step == 1)
		rows_of(to, l, lines, steps);
	else
		rows_from_anywhere(to, l, lines, steps);
	if (to == other)
		transpose((float *)(void *)tile, 16, (const float *)(const void *)other, 16, 16);
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

static int whole(int n, int of)
{
	return (n + of - 1) / of * of;
}

/* A block as panels: to[panel][step / 32][two tiles]. */
static void pack_block(uint16_t *to, const struct lines *l, int lines, int k, bool pairs)
{
	int tiles = whole(lines, PANEL) / LINES;

	for (int t = 0; t < tiles; t++)
		for (int p = 0; p < k; p += STEPS) {
			const struct lines at = {l->at + (size_t)t * LINES * l->line_step + p * l->k_step, l->line_step, l->k_step};
			uint16_t *tile = to + ((size_t)t / 2 * (whole(k, STEPS) / STEPS) + p / STEPS) * 2 * TILE + t % 2 * TILE;
			int there = lines - t * LINES;

			if (there <= 0)
				memset(tile, 0, TILE * sizeof *tile);
			else
				pack_tile(tile, &at, smaller(there, LINES), smaller(k - p, STEPS), pairs);
		}
}

/* The same where only [rows, cols] of C exist. */
static void multiply_edge(float *c, size_t ldc, const uint16_t *a, const uint16_t *b, int n_steps, bool load, int rows,
                          int cols)
{
	_Alignas(64) float copy[PANEL * PANEL] = {0};

	if (load)
		for (int r = 0; r < rows; r++)
			memcpy(copy + r * PANEL, c + r * ldc, cols * sizeof *c);
	multiply_panels(copy, PANEL, a, b, n_steps, load);
	for (int r = 0; r < rows; r++)
		memcpy(c + r * ldc, copy + r * PANEL, cols * sizeof *c);
}

static void multiply_blocks(float *c, size_t ldc, const uint16_t *a, const uint16_t *b, int m, int n, int k, bool load)
{
	int n_steps = whole(k, STEPS) / STEPS;

	for (int j = 0; j < n; j += PANEL)
		for (int i = 0; i < m; i += PANEL) {
			const uint16_t *panel_a = a + (size_t)i / PANEL * n_steps * 2 * TILE;
			const uint16_t *panel_b = b + (size_t)j / PANEL * n_steps * 2 * TILE;
			int rows = smaller(m - i, PANEL), cols = smaller(n - j, PANEL);

			if (rows == PANEL && cols == PANEL)
				multiply_panels(c + i * ldc + j, ldc, panel_a, panel_b, n_steps, load);
			else
				multiply_edge(c + i * ldc + j, ldc, panel_a, panel_b, n_steps, load, rows, cols);
		}
}

static void gemm_bf16(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
                      size_t b_col, int m, int n, int k, bool accumulate, float *scratch)
{
	uint16_t *packed_b = (uint16_t *)(void *)scratch, *packed_a = packed_b + NC * KC;

	if (k == 0 && !accumulate)
		for (int i = 0; i < m; i++)
			memset(c + i * ldc, 0, n * sizeof *c);
	if (!m || !n || !k)
		return;
	begin_products();
	for (int n0 = 0; n0 < n; n0 += NC)
		for (int k0 = 0; k0 < k; k0 += KC) {
			const struct lines of_b = {b + k0 * b_row + n0 * b_col, b_col, b_row};
			int nc = smaller(NC, n - n0), kc = smaller(KC, k - k0);

			pack_block(packed_b, &of_b, nc, kc, true);
			for (int m0 = 0; m0 < m; m0 += MC) {
				const struct lines of_a = {a + m0 * a_row + k0 * a_col, a_row, a_col};
				int mc = smaller(MC, m - m0);

				pack_block(packed_a, &of_a, mc, kc, false);
				multiply_blocks(c + m0 * ldc + n0, ldc, packed_a, packed_b, mc, nc, kc, accumulate || k0 > 0);
			}
		}
	end_products();
}

