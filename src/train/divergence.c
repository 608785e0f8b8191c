/*
 * divergence.c - rows of distributions, and relations by blocks of rows: the S x S matrices are never stored.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/divergence.h"

#include <math.h>

#include "base/fmath.h"

enum { BLOCK = 64, SUMS = 16 };

static double log_sum_exp(const struct trit_kernels *k, const float *x, int n)
{
	float max, sum = k->sum_exp(&max, x, n);
	return (double)max + trit_ln((double)sum);
}

/* sum of x_i y_i in a fixed order: element i in sum i mod 16. */
static double dot(const float *x, const float *y, int n)
{
	double sums[SUMS] = { 0 }, all = 0;
	int i = 0;
	for (; i + SUMS <= n; i += SUMS)
		for (int j = 0; j < SUMS; j++)
			sums[j] += (double)x[i + j] * (double)y[i + j];
	for (int j = 0; i + j < n; j++)
		sums[j] += (double)x[i + j] * (double)y[i + j];
	for (int j = 0; j < SUMS; j++)
		all += sums[j];
	return all;
}

double trit_divergence(const struct trit_kernels *k, float *s, float *t, float *u, int n)
{
	double apart = log_sum_exp(k, t, n) - log_sum_exp(k, s, n);
	for (int i = 0; i < n; i++)
		u[i] = t[i] - s[i];
	k->softmax(t, n);
	k->softmax(s, n);
	k->add_scaled(s, t, -1, n);
	return dot(t, u, n) - apart;
}

/* ---- relations --------------------------------------------------------------------------------------------------- */

struct scratch {
	float *gemm, *s, *t, *u; /* TRIT_GEMM_SCRATCH; [BLOCK, S] twice; [S] */
	size_t ld;               /* of s and t */
};

size_t trit_relation_scratch(int positions)
{
	size_t ld = ((size_t)positions + 15) / 16 * 16;
	return TRIT_GEMM_SCRATCH + (2 * BLOCK + 1) * ld;
}

static struct scratch divide(const struct trit_relation *r, float *memory)
{
	struct scratch s = { .gemm = memory, .ld = ((size_t)r->positions + 15) / 16 * 16 };
	s.s = memory + TRIT_GEMM_SCRATCH;
	s.t = s.s + BLOCK * s.ld;
	s.u = s.t + BLOCK * s.ld;
	return s;
}

/* out [m, S] = a_i . a_j / sqrt(width) for rows i0..i0+m. */
static void scores(const struct trit_kernels *k, float *out, size_t ldo, const float *a, size_t ld, int width, int i0,
                   int m, int positions, float *gemm)
{
	k->gemm_f32(out, ldo, a + (size_t)i0 * ld, ld, 1, a, 1, ld, m, positions, width, false, gemm);
	for (int i = 0; i < m; i++)
		k->scale(out + (size_t)i * ldo, 1.0f / sqrtf((float)width), positions);
}

double trit_relation_backward(const struct trit_relation *r, const struct trit_kernels *k, float *da, float scale,
                              float *scratch)
{
	struct scratch s = divide(r, scratch);
	int n = r->positions;
	double loss = 0;
	for (int i = 0; i < n; i++)
		memset(da + (size_t)i * r->ld, 0, (size_t)r->width * sizeof *da);
	for (int i0 = 0; i0 < n; i0 += BLOCK) {
		int m = n - i0 < BLOCK ? n - i0 : BLOCK;
		scores(k, s.s, s.ld, r->a, r->ld, r->width, i0, m, n, s.gemm);
		scores(k, s.t, s.ld, r->teacher, r->teacher_ld, r->teacher_width, i0, m, n, s.gemm);
		for (int i = 0; i < m; i++) {
			float weight = r->weights ? r->weights[i0 + i] : 1, *row = s.s + (size_t)i * s.ld;
			loss += (double)weight * trit_divergence(k, row, s.t + (size_t)i * s.ld, s.u, n);
			k->scale(row, weight * scale / sqrtf((float)r->width), n);
		}
		/* a_i stands on both sides of the product: in its own row of scores, and in a column of all rows */
		size_t at = (size_t)i0 * r->ld;
		k->gemm_f32(da + at, r->ld, s.s, s.ld, 1, r->a, r->ld, 1, m, r->width, n, true, s.gemm);
		k->gemm_f32(da, r->ld, s.s, 1, s.ld, r->a + at, r->ld, 1, n, r->width, m, true, s.gemm);
	}
	return loss;
}
