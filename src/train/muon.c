/*
 * muon.c - Muon and NorMuon. Sums are the kernels'; what is left is element by element, with a rounding after each
 * operation, so it has the same bits everywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/muon.h"

#include <math.h>

#include "base/mem.h"

/* Coefficients of the odd polynomial that pulls all singular values towards 1 [Muon]. */
static const float poly[3] = { 3.4445f, -4.7750f, 2.0315f };
enum { ITERATIONS = 5 };

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
	return TRIT_GEMM_SCRATCH + 2 * padded(n) + 2 * padded(square);
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

/* x [rows, cols] becomes about the nearest orthogonal matrix. The Gram matrix is that of the shorter side. */
static void orthogonalise(float *x, size_t rows, size_t cols, const struct trit_kernels *k, float *scratch)
{
	size_t n = rows * cols, s = smaller(rows, cols);
	bool wide = rows <= cols;
	float *y = scratch + TRIT_GEMM_SCRATCH, *gram = y + padded(n), *square = gram + padded(s * s);
	float inverse = (float)(1 / (sqrt(squares(k, x, n)) + 1e-7));

	for (size_t i = 0; i < n; i++)
		x[i] *= inverse;
	for (int it = 0; it < ITERATIONS; it++) {
		if (wide)
			k->gemm_f32(gram, s, x, cols, 1, x, 1, cols, (int)s, (int)s, (int)cols, false, scratch);
		else
			k->gemm_f32(gram, s, x, 1, cols, x, cols, 1, (int)s, (int)s, (int)rows, false, scratch);
		k->gemm_f32(square, s, gram, s, 1, gram, s, 1, (int)s, (int)s, (int)s, false, scratch);
		for (size_t i = 0; i < s * s; i++)
			gram[i] = poly[1] * gram[i] + poly[2] * square[i];
		if (wide)
			k->gemm_f32(y, cols, gram, s, 1, x, cols, 1, (int)rows, (int)cols, (int)s, false, scratch);
		else
			k->gemm_f32(y, cols, x, cols, 1, gram, s, 1, (int)rows, (int)cols, (int)s, false, scratch);
		for (size_t i = 0; i < n; i++)
			x[i] = poly[0] * x[i] + y[i];
	}
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
	size_t n = rows * cols, s = smaller(rows, cols);
	float *x = scratch + TRIT_GEMM_SCRATCH + padded(n) + 2 * padded(s * s);

	nesterov(x, m, g, n, o);
	orthogonalise(x, rows, cols, k, scratch);
	if (o->even)
		even_rows(x, v, rows, cols, o->beta2, k);
	double norm = sqrt(squares(k, x, n));
	float step = norm > 0 ? (float)((double)o->lr * 0.2 * sqrt((double)n) / norm) : 0;
	for (size_t i = 0; i < n; i++)
		w[i] -= step * x[i] + o->lr * o->weight_decay * w[i];
}
