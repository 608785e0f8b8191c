/*
 * gemm_body.h - the dense product of training, C += A B in fp32: packing, the loops round the micro-kernel, the edges.
 *
 * After K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, in the five loops of
 * BLIS. A block of B [KC, NC] is packed into panels of NR columns, a block of A [MC, KC] into panels of MR rows, both
 * with the index along K outermost:
 *
 *     A panel, MR = 3:   a00 a10 a20 | a01 a11 a21 | a02 ...        B panel, NR = 4:   b00 b01 b02 b03 | b10 b11 ...
 *
 * and the micro-kernel adds the product of two panels to an MR x NR tile of C that stays in registers. A panel of B
 * (KC * NR floats) stays in L1 while the panels of A pass by, and the block of A in L2. Panels are filled with zeros.
 *
 * Every element of C is one chain along K: a tile begins with what C holds (or zero, for the first block of K), so
 * cutting K into blocks of KC changes no bit.
 *
 * The includer defines VEC_..., GEMM_ROWS (MR), GEMM_VECS (NR / 16), GEMM_TRANSPOSE (width of its transpose) and
 *     static void transpose(float *to, size_t to_stride, const float *from, size_t from_stride, int rows);
 * which reads `rows` <= GEMM_TRANSPOSE rows of GEMM_TRANSPOSE floats and writes all GEMM_TRANSPOSE columns as rows of
 * GEMM_TRANSPOSE floats, missing rows as zeros, in ascending order: the next row overwrites what a row has too many
 * when to_stride < GEMM_TRANSPOSE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/vec.h" /* before error.h, which bans what immintrin.h uses */

#include "kernel/tiers.h"

enum {
	MR = GEMM_ROWS,
	NR = 16 * GEMM_VECS,
	KC = 256,                /* a panel of B: KC * NR * 4 = 32 KB (16 for AVX2) of L1 */
	MC = 336,                /* a block of A: 336 KB of L2; a multiple of every MR */
	NC = 1024,               /* a block of B: 1 MB of L2 */
	PACKED_A = MC * KC + 16, /* the 16-wide stores of the last panel run over by less than 16 floats */
	PACKED_B = NC * KC,
};
_Static_assert(PACKED_A + PACKED_B <= TRIT_GEMM_SCRATCH, "the packed blocks fit the scratch memory");
_Static_assert(MC % MR == 0 && NC % NR == 0 && KC % GEMM_TRANSPOSE == 0, "blocks are whole panels");

/**
 * Packs one panel: to[p * width + r] = from[r * stride + p * stride_k] for r < there, 0 for there <= r < width; p < k.
 * Writes less than 16 floats beyond the panel.
 */
VEC_INLINE void pack_panel(float *to, int width, const float *from, size_t stride, size_t stride_k, int there, int k)
{
	int p = 0;

	if (stride == 1) { /* the panel's floats lie side by side */
		if (there == width) {
			for (; p < k; p++, from += stride_k)
				for (int r = 0; r < width; r += 16) {
					int m = width - r < 16 ? width - r : 16;

					vec_store(to + (size_t)p * width + r, vec_load_n(from + r, m));
				}
			return;
		}
		for (; p < k; p++, from += stride_k)
			for (int r = 0; r < width; r++)
				to[(size_t)p * width + r] = r < there ? from[r] : 0;
		return;
	}
	if (stride_k == 1)
		for (; p + GEMM_TRANSPOSE <= k; p += GEMM_TRANSPOSE)
			for (int r = 0; r < width; r += GEMM_TRANSPOSE) {
				int rows = there - r < 0 ? 0 : there - r < GEMM_TRANSPOSE ? there - r : GEMM_TRANSPOSE;

				transpose(to + (size_t)p * width + r, width, from + r * stride + p, stride, rows);
			}
	for (; p < k; p++)
		for (int r = 0; r < width; r++)
			to[(size_t)p * width + r] = r < there ? from[r * stride + p * stride_k] : 0;
}

/**
 * A tile of C [MR, NR] = (load ? C : 0) + A panel * B panel. The arrays have constant sizes and all loops over them are
 * unrolled, so they live in registers: MR * GEMM_VECS accumulators, GEMM_VECS of B, one broadcast of A.
 */
static __attribute__((noinline)) void micro_kernel(float *c, size_t ldc, const float *a, const float *b, int k,
                                                   bool load)
{
	struct vec sum[MR][GEMM_VECS];

#pragma GCC unroll 16
	for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
		for (int j = 0; j < GEMM_VECS; j++)
			sum[r][j] = load ? vec_load(c + r * ldc + 16 * j) : vec_zero();
	for (int p = 0; p < k; p++, a += MR, b += NR) {
		struct vec bp[GEMM_VECS];

#pragma GCC unroll 2
		for (int j = 0; j < GEMM_VECS; j++)
			bp[j] = vec_load(b + 16 * j);
#pragma GCC unroll 16
		for (int r = 0; r < MR; r++) {
			struct vec ar = vec_set1(a[r]);
#pragma GCC unroll 2
			for (int j = 0; j < GEMM_VECS; j++)
				sum[r][j] = vec_fma(ar, bp[j], sum[r][j]);
		}
	}
#pragma GCC unroll 16
	for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
		for (int j = 0; j < GEMM_VECS; j++)
			vec_store(c + r * ldc + 16 * j, sum[r][j]);
}

/** A tile of which only [rows, cols] exist goes through a whole one. */
static void edge_tile(float *c, size_t ldc, const float *a, const float *b, int k, bool load, int rows, int cols)
{
	float tile[MR * NR];

	memset(tile, 0, sizeof tile);
	for (int r = 0; load && r < rows; r++)
		memcpy(tile + r * NR, c + r * ldc, cols * sizeof *c);
	micro_kernel(tile, NR, a, b, k, true);
	for (int r = 0; r < rows; r++)
		memcpy(c + r * ldc, tile + r * NR, cols * sizeof *c);
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

/** C [m, n] = (load ? C : 0) + packed block of A [m, k] * packed block of B [k, n]. */
static void multiply_blocks(float *c, size_t ldc, const float *a, const float *b, int m, int n, int k, bool load)
{
	for (int j = 0; j < n; j += NR)
		for (int i = 0; i < m; i += MR) {
			float *tile = c + i * ldc + j;
			const float *panel_a = a + (size_t)i * k, *panel_b = b + (size_t)j * k;

			if (m - i >= MR && n - j >= NR)
				micro_kernel(tile, ldc, panel_a, panel_b, k, load);
			else
				edge_tile(tile, ldc, panel_a, panel_b, k, load, smaller(MR, m - i), smaller(NR, n - j));
		}
}

static void gemm_f32(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
                     size_t b_col, int m, int n, int k, bool accumulate, float *scratch)
{
	float *packed_b = scratch, *packed_a = scratch + PACKED_B;

	if (k == 0 && !accumulate)
		for (int i = 0; i < m; i++)
			memset(c + i * ldc, 0, n * sizeof *c);
	for (int n0 = 0; n0 < n; n0 += NC) {
		int nc = smaller(NC, n - n0);

		for (int k0 = 0; k0 < k; k0 += KC) {
			int kc = smaller(KC, k - k0);

			for (int j = 0; j < nc; j += NR)
				pack_panel(packed_b + (size_t)j * kc, NR, b + k0 * b_row + (n0 + j) * b_col, b_col, b_row,
				           smaller(NR, nc - j), kc);
			for (int m0 = 0; m0 < m; m0 += MC) {
				int mc = smaller(MC, m - m0);

				for (int i = 0; i < mc; i += MR)
					pack_panel(packed_a + (size_t)i * kc, MR, a + (m0 + i) * a_row + k0 * a_col, a_row,
					           a_col, smaller(MR, mc - i), kc);
				multiply_blocks(c + m0 * ldc + n0, ldc, packed_a, packed_b, mc, nc, kc,
				                accumulate || k0 > 0);
			}
		}
	}
}

/** 16 columns of pairs as rows of y, `m` of them. */
static void add_pairs_block(float *y, size_t ldy, const float *pairs, size_t ldp, int rows, int m)
{
	float turned[16 * 16];

	for (int r = 0; r < rows; r += 16) {
		int there = smaller(16, rows - r);
		float sums[16 * 16];

		for (int i = 0; i < 16; i++)
			if (i < there)
				vec_store(sums + 16 * i, vec_add(vec_load(pairs + (size_t)(r + i) * ldp),
				                                 vec_load(pairs + (size_t)(r + i) * ldp + 16)));
			else
				vec_store(sums + 16 * i, vec_zero());
		for (int i = 0; i < 16; i += GEMM_TRANSPOSE)
			for (int j = 0; j < 16; j += GEMM_TRANSPOSE)
				transpose(turned + 16 * j + i, 16, sums + 16 * i + j, 16, GEMM_TRANSPOSE);
		for (int j = 0; j < m; j++) {
			float *to = y + (size_t)j * ldy + r;

			vec_store_n(to, vec_add(vec_load_n(to, there), vec_load(turned + 16 * j)), there);
		}
	}
}

static void add_pairs_transposed(float *y, size_t ldy, const float *pairs, size_t ldp, int rows, int cols)
{
	for (int c = 0; c < cols; c += 16)
		add_pairs_block(y + (size_t)c * ldy, ldy, pairs + 2 * (size_t)c, ldp, rows, smaller(16, cols - c));
}
