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
 * A panel that few others meet is not packed if its rows or columns lie side by side, as in attention.
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
	FEW = 64,                /* rows or columns that the other operand's panels are not packed for */
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

/** MR rows of A for a tile: element (r, p) is at[r * row + p * step], row or step being 1. Packed ones have 1, MR. */
struct panel {
	const float *at;
	size_t row, step;
};

/**
 * A tile of C [MR, NR] = (load ? C : 0) + A * B, B's rows b_step apart. The arrays have constant sizes and all loops
 * over them are unrolled, so they live in registers: MR * GEMM_VECS accumulators, GEMM_VECS of B, one broadcast of A. A
 * lies in columns (`row` 1) or in rows, of which every third has a pointer: an instruction adds one or two strides.
 */
VEC_INLINE void tile(float *c, size_t ldc, const struct panel *a, const float *b, size_t b_step, int k, bool load,
                     const bool in_rows)
{
	enum { EACH = 3, BASES = (MR + EACH - 1) / EACH };
	struct vec sum[MR][GEMM_VECS];
	const float *base[BASES];
	const size_t row = in_rows ? a->row : 1, step = in_rows ? 1 : a->step;

#pragma GCC unroll 16
	for (int i = 0; i < BASES; i++)
		base[i] = a->at + (in_rows ? (size_t)i * EACH * row : 0);
#pragma GCC unroll 16
	for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
		for (int j = 0; j < GEMM_VECS; j++)
			sum[r][j] = load ? vec_load(c + r * ldc + 16 * j) : vec_zero();
	for (int p = 0; p < k; p++, b += b_step) {
		struct vec bp[GEMM_VECS];

#pragma GCC unroll 2
		for (int j = 0; j < GEMM_VECS; j++)
			bp[j] = vec_load(b + 16 * j);
#pragma GCC unroll 16
		for (int r = 0; r < MR; r++) {
			struct vec ar = vec_set1(in_rows ? base[r / EACH][r % EACH * row] : base[0][r]);
#pragma GCC unroll 2
			for (int j = 0; j < GEMM_VECS; j++)
				sum[r][j] = vec_fma(ar, bp[j], sum[r][j]);
		}
#pragma GCC unroll 16
		for (int i = 0; i < BASES; i++)
			base[i] += step;
	}
#pragma GCC unroll 16
	for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
		for (int j = 0; j < GEMM_VECS; j++)
			vec_store(c + r * ldc + 16 * j, sum[r][j]);
}

static __attribute__((noinline)) void micro_kernel(float *c, size_t ldc, const struct panel *a, const float *b,
                                                   size_t b_step, int k, bool load)
{
	tile(c, ldc, a, b, b_step, k, load, false);
}

static __attribute__((noinline)) void micro_kernel_rows(float *c, size_t ldc, const struct panel *a, const float *b,
                                                        size_t b_step, int k, bool load)
{
	tile(c, ldc, a, b, b_step, k, load, true);
}

/** A tile of which only [rows, cols] exist goes through a whole one. */
static void any_tile(float *c, size_t ldc, const struct panel *a, const float *b, size_t b_step, int k, bool load,
                     int rows, int cols)
{
	float whole[MR * NR], *to = c;
	size_t ld = ldc;

	if (rows < MR || cols < NR) {
		to = whole;
		ld = NR;
		memset(whole, 0, sizeof whole);
		for (int r = 0; load && r < rows; r++)
			memcpy(whole + r * NR, c + r * ldc, cols * sizeof *c);
		load = true;
	}
	(a->row == 1 ? micro_kernel : micro_kernel_rows)(to, ld, a, b, b_step, k, load);
	for (int r = 0; to == whole && r < rows; r++)
		memcpy(c + r * ldc, whole + r * NR, cols * sizeof *c);
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

/** A matrix in place, which is packed unless `direct`: then whole panels are used as they lie. */
struct operand {
	const float *at;
	size_t row, col;
	bool direct;
};

static void pack_a(float *to, const struct operand *a, int m, int k)
{
	for (int i = 0; i < m; i += MR)
		if (!a->direct || m - i < MR)
			pack_panel(to + (size_t)i * k, MR, a->at + i * a->row, a->row, a->col, smaller(MR, m - i), k);
}

static void pack_b(float *to, const struct operand *b, int n, int k)
{
	for (int j = 0; j < n; j += NR)
		if (!b->direct || n - j < NR)
			pack_panel(to + (size_t)j * k, NR, b->at + j * b->col, b->col, b->row, smaller(NR, n - j), k);
}

/** C [m, n] = (load ? C : 0) + block of A [m, k] * block of B [k, n], or what of them is packed. */
static void multiply_blocks(float *c, size_t ldc, const struct operand *a, const float *packed_a,
                            const struct operand *b, const float *packed_b, int m, int n, int k, bool load)
{
	for (int j = 0; j < n; j += NR) {
		bool own_b = !b->direct || n - j < NR;
		const float *panel_b = own_b ? packed_b + (size_t)j * k : b->at + j;
		size_t step = own_b ? NR : b->row;

		for (int i = 0; i < m; i += MR) {
			bool own_a = !a->direct || m - i < MR;
			struct panel panel = own_a ? (struct panel){packed_a + (size_t)i * k, 1, MR}
			                           : (struct panel){a->at + i * a->row, a->row, a->col};

			any_tile(c + i * ldc + j, ldc, &panel, panel_b, step, k, load, smaller(MR, m - i), smaller(NR, n - j));
		}
	}
}

/** Packing pays when panels are used often. */
static void gemm_f32(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
                     size_t b_col, int m, int n, int k, bool accumulate, float *scratch)
{
	float *packed_b = scratch, *packed_a = scratch + PACKED_B;
	bool direct_a = (a_row == 1 || a_col == 1) && n <= FEW, direct_b = b_col == 1 && m <= FEW;

	if (k == 0 && !accumulate)
		for (int i = 0; i < m; i++)
			memset(c + i * ldc, 0, n * sizeof *c);
	for (int n0 = 0; n0 < n; n0 += NC) {
		int nc = smaller(NC, n - n0);

		for (int k0 = 0; k0 < k; k0 += KC) {
			const struct operand of_b = {b + k0 * b_row + n0 * b_col, b_row, b_col, direct_b};
			int kc = smaller(KC, k - k0);

			pack_b(packed_b, &of_b, nc, kc);
			for (int m0 = 0; m0 < m; m0 += MC) {
				const struct operand of_a = {a + m0 * a_row + k0 * a_col, a_row, a_col, direct_a};
				int mc = smaller(MC, m - m0);

				pack_a(packed_a, &of_a, mc, kc);
				multiply_blocks(c + m0 * ldc + n0, ldc, &of_a, packed_a, &of_b, packed_b, mc, nc, kc,
				                accumulate || k0 > 0);
			}
		}
	}
}

/** 16 columns of x, or of the sums of two blocks of 16, as rows of y, `m` of them. */
static void add_turned(float *y, size_t ldy, const float *x, size_t ldx, int rows, int m, int bytes)
{
	float turned[16 * 16];

	for (int r = 0; r < rows; r += 16) {
		int there = smaller(16, rows - r);
		float sums[16 * 16];

		for (int i = 0; i < 16; i++) {
			const float *from = x + (size_t)(r + i) * ldx;

			if (i >= there)
				vec_store(sums + 16 * i, vec_zero());
			else
				vec_store(sums + 16 * i, bytes == 1 ? vec_load(from) : vec_add(vec_load(from), vec_load(from + 16)));
		}
		for (int i = 0; i < 16; i += GEMM_TRANSPOSE)
			for (int j = 0; j < 16; j += GEMM_TRANSPOSE)
				transpose(turned + 16 * j + i, 16, sums + 16 * i + j, 16, GEMM_TRANSPOSE);
		for (int j = 0; j < m; j++) {
			float *to = y + (size_t)j * ldy + r;

			vec_store_n(to, vec_add(vec_load_n(to, there), vec_load(turned + 16 * j)), there);
		}
	}
}

static void add_transposed(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, int bytes)
{
	for (int c = 0; c < cols; c += 16)
		add_turned(y + (size_t)c * ldy, ldy, x + (size_t)bytes * (size_t)c, ldx, rows, smaller(16, cols - c), bytes);
}
