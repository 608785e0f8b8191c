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
 * on AVX-512; and rows where products are in bfloat16, whole panels of it. */
enum { FEW_ROWS = 56, ROWS = 112, SMALL = 256, TILE_COLS = 32, ROWS_BF16 = 128 };

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
	size_t block = trit_kernels_round(k) ? ROWS_BF16 : s > SMALL ? ROWS : FEW_ROWS;
	for (size_t i = 0; i < s; i += block) {
		size_t m = smaller(s - i, block), cols = smaller(s, (i + m + TILE_COLS - 1) / TILE_COLS * TILE_COLS);
		k->gemm_f32(c + i * s, s, a + i * a_row, a_row, a_col, b, b_row, b_col, (int)m, (int)cols, (int)n, false,
		            scratch);
	}
	mirror(c, s);
}

/* x [rows, cols], and the squares [s, s] of work beside it, s being its shorter side. */
struct matrix {
	float *x, *y; /* y: room for a result */
	size_t rows, cols, s;
	float *gram, *q, *all, *next, *gemm;
	const struct trit_kernels *k;
};

/* gram = products of x's shorter side. */
static void gram_of(const struct matrix *m)
{
	if (m->rows <= m->cols)
		symmetric(m->gram, m->s, m->x, m->cols, 1, m->x, 1, m->cols, m->cols, m->k, m->gemm);
	else
		symmetric(m->gram, m->s, m->x, 1, m->cols, m->x, m->cols, 1, m->rows, m->k, m->gemm);
}

/* c = a b, squares that are symmetric and so is c. */
static void square_product(const struct matrix *m, float *c, const float *a, const float *b)
{
	symmetric(c, m->s, a, m->s, 1, b, m->s, 1, m->s, m->k, m->gemm);
}

/* q = poly0 + poly1 gram + poly2 gram^2. */
static void polynomial(const struct matrix *m)
{
	size_t s = m->s;
	square_product(m, m->q, m->gram, m->gram);
	for (size_t i = 0; i < s * s; i++)
		m->q[i] = poly[1] * m->gram[i] + poly[2] * m->q[i];
	for (size_t i = 0; i < s; i++)
		m->q[i * s + i] += poly[0];
}

/* x = q x, on its shorter side. */
static void apply(struct matrix *m, const float *q)
{
	int rows = (int)m->rows, cols = (int)m->cols, s = (int)m->s;
	float *x = m->x;
	if (rows <= cols)
		m->k->gemm_f32(m->y, m->cols, q, m->s, 1, x, m->cols, 1, rows, cols, s, false, m->gemm);
	else
		m->k->gemm_f32(m->y, m->cols, x, m->cols, 1, q, m->s, 1, rows, cols, s, false, m->gemm);
	m->x = m->y;
	m->y = x;
}

/*
 * An iteration X = (a + b A + c A^2) X = Q X changes the Gram matrix A of the shorter side to Q A Q, so x itself is
 * needed at the beginning and at the end only. All these matrices are polynomials of the first A: symmetric, and in any
 * order.
 */
static void iterate_on_gram(struct matrix *m)
{
	gram_of(m);
	for (int it = 0; it < ITERATIONS; it++) {
		polynomial(m);
		if (it + 1 < ITERATIONS) {
			square_product(m, m->next, m->q, m->gram);
			square_product(m, m->gram, m->next, m->q);
		}
		if (it == 0) {
			memcpy(m->all, m->q, m->s * m->s * sizeof *m->all);
		} else {
			square_product(m, m->next, m->all, m->q);
			memcpy(m->all, m->next, m->s * m->s * sizeof *m->all);
		}
	}
	apply(m, m->all);
}

/* In bfloat16 roundings would make small eigenvalues of A negative, which the polynomial blows up; so x goes along. */
static void iterate_on_x(struct matrix *m)
{
	for (int it = 0; it < ITERATIONS; it++) {
		gram_of(m);
		polynomial(m);
		apply(m, m->q);
	}
}

/* x [rows, cols] becomes about the nearest orthogonal matrix. */
static void orthogonalise(float *x, size_t rows, size_t cols, const struct trit_kernels *k, float *scratch)
{
	size_t n = rows * cols, s = smaller(rows, cols), square = padded(s * s);
	float *gram = scratch + TRIT_GEMM_SCRATCH + 2 * padded(n);
	struct matrix m = { x, scratch + TRIT_GEMM_SCRATCH, rows, cols, s, gram, gram + square, gram + 2 * square,
		                gram + 3 * square, scratch, k };
	float inverse = (float)(1 / (sqrt(squares(k, x, n)) + 1e-7));

	for (size_t i = 0; i < n; i++)
		x[i] *= inverse;
	if (trit_kernels_round(k))
		iterate_on_x(&m);
	else
		iterate_on_gram(&m);
	if (m.x != x)
		memcpy(x, m.x, n * sizeof *x);
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
