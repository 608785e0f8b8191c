/*
 * muon.c - Muon and NorMuon. Sums are the kernels'; what is left is element by element, with a rounding after each
 * operation, so it has the same bits everywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/muon.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* Coefficients of the odd polynomial that pulls all singular values towards 1 [Muon]. */
static const float poly[3] = { 3.4445f, -4.7750f, 2.0315f };
enum { ITERATIONS = 5 };

/* Rows of symmetric products computed together, in small matrices and large ones, and columns: whole tiles of gemm_f32
 * on AVX-512. */
enum { FEW_ROWS = 56, ROWS = 112, SMALL = 256, TILE_COLS = 32 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t padded(size_t n)
{
	return (n + 15) / 16 * 16;
}

size_t trit_muon_scratch(size_t rows, size_t cols)
{
	size_t s = smaller(rows, cols), n, square;
	if (!trit_mul_size(&n, rows, cols) || !trit_mul_size(&square, s, s) || n > SIZE_MAX / 16 || square > SIZE_MAX / 16)
		return SIZE_MAX;
	return TRIT_GEMM_SCRATCH + 2 * padded(n) + 4 * padded(square);
}

/* Sum of squares of n numbers, in pieces that the kernel takes. */
static double squares(const struct trit_kernels *k, const float *x, size_t n)
{
	const size_t piece = (size_t)1 << 16;
	double sum = 0;
	for (size_t i = 0; i < n; i += piece)
		sum += (double)k->sum_squares(x + i, (int)smaller(n - i, piece));
	return sum;
}

/* m becomes the new momentum, x the direction to go. */
static void nesterov(float *x, float *m, const float *g, size_t n, const struct trit_muon *o)
{
	float mu = o->momentum;
	for (size_t i = 0; i < n; i++) {
		float step = (1 - mu) * (g[i] * o->g_scale);
		m[i] = mu * m[i] + step;
		x[i] = mu * m[i] + step;
	}
}

/* Copies what lies under the diagonal above it, by squares that fit the first cache. */
static void mirror(float *c, size_t s)
{
	enum { SQUARE = 16 };
	for (size_t i = 0; i < s; i += SQUARE)
		for (size_t j = 0; j <= i; j += SQUARE)
			for (size_t col = j; col < smaller(j + SQUARE, s); col++)
				for (size_t r = i > col ? i : col + 1; r < smaller(i + SQUARE, s); r++)
					c[col * s + r] = c[r * s + col];
}

/* Product of A [s, n] and B [n, s] that is symmetric: only what lies on and under the diagonal's blocks is computed. */
static void symmetric(float *c, size_t s, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
                      size_t b_col, size_t n, const struct trit_kernels *k, float *scratch)
{
	size_t block = s > SMALL ? ROWS : FEW_ROWS;
	for (size_t i = 0; i < s; i += block) {
		size_t m = smaller(s - i, block), cols = smaller(s, (i + m + TILE_COLS - 1) / TILE_COLS * TILE_COLS);
		k->gemm_f32(c + i * s, s, a + i * a_row, a_row, a_col, b, b_row, b_col, (int)m, (int)cols, (int)n, false,
		            scratch);
	}
	mirror(c, s);
}

/*
 * x [rows, cols] becomes about the nearest orthogonal matrix. An iteration X = (a + b A + c A^2) X = Q X changes the
 * Gram matrix A of the shorter side to Q A Q, so x itself is needed at the beginning and at the end only. All these
 * matrices are polynomials of the first A: symmetric, and in any order.
 */
static void orthogonalise(float *x, size_t rows, size_t cols, const struct trit_kernels *k, float *scratch)
{
	size_t n = rows * cols, s = smaller(rows, cols), square = padded(s * s);
	bool wide = rows <= cols;
	float *y = scratch + TRIT_GEMM_SCRATCH, *gram = y + 2 * padded(n), *q = gram + square, *all = q + square,
	      *next = all + square;
	float inverse = (float)(1 / (sqrt(squares(k, x, n)) + 1e-7));

	for (size_t i = 0; i < n; i++)
		x[i] *= inverse;
	if (wide)
		symmetric(gram, s, x, cols, 1, x, 1, cols, cols, k, scratch);
	else
		symmetric(gram, s, x, 1, cols, x, cols, 1, rows, k, scratch);
	for (int it = 0; it < ITERATIONS; it++) {
		symmetric(q, s, gram, s, 1, gram, s, 1, s, k, scratch);
		for (size_t i = 0; i < s * s; i++)
			q[i] = poly[1] * gram[i] + poly[2] * q[i];
		for (size_t i = 0; i < s; i++)
			q[i * s + i] += poly[0];
		if (it + 1 < ITERATIONS) {
			symmetric(next, s, q, s, 1, gram, s, 1, s, k, scratch);
			symmetric(gram, s, next, s, 1, q, s, 1, s, k, scratch);
		}
		if (it == 0) {
			memcpy(all, q, s * s * sizeof *all);
		} else {
			symmetric(next, s, all, s, 1, q, s, 1, s, k, scratch);
			memcpy(all, next, s * s * sizeof *all);
		}
	}
	if (wide)
		k->gemm_f32(y, cols, all, s, 1, x, cols, 1, (int)rows, (int)cols, (int)s, false, scratch);
	else
		k->gemm_f32(y, cols, x, cols, 1, all, s, 1, (int)rows, (int)cols, (int)s, false, scratch);
	memcpy(x, y, n * sizeof *x);
}

static void even_rows(float *x, float *v, size_t rows, size_t cols, float beta2, const struct trit_kernels *k)
{
	for (size_t r = 0; r < rows; r++) {
		float *row = x + r * cols, mean = (float)(squares(k, row, cols) / (double)cols);
		v[r] = beta2 * v[r] + (1 - beta2) * mean;
		float scale = 1 / (sqrtf(v[r]) + 1e-10f);
		for (size_t c = 0; c < cols; c++)
			row[c] *= scale;
	}
}

void trit_muon_step(float *w, float *m, float *v, const float *g, size_t rows, size_t cols, const struct trit_muon *o,
                    const struct trit_kernels *k, float *scratch)
{
	size_t n = rows * cols;
	float *x = scratch + TRIT_GEMM_SCRATCH + padded(n);

	nesterov(x, m, g, n, o);
	orthogonalise(x, rows, cols, k, scratch);
	if (o->even)
		even_rows(x, v, rows, cols, o->beta2, k);
	double norm = sqrt(squares(k, x, n));
	float step = norm > 0 ? (float)((double)o->lr * 0.2 * sqrt((double)n) / norm) : 0;
	for (size_t i = 0; i < n; i++)
		w[i] -= step * x[i] + o->lr * o->weight_decay * w[i];
}
