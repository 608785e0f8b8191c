/*
 * quant.c - the weight quantisers: scale of a matrix, codes of its weights.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/quant.h"

#define PIECE 4096

static double mean_of(trit_sum_fn *sum, const float *w, size_t n)
{
	double total = 0;
	for (size_t i = 0; i < n; i += PIECE)
		total += (double)sum(w + i, (int)(n - i < PIECE ? n - i : PIECE));
	return total / (double)n;
}

struct trit_weight_scale trit_weight_scale(const struct trit_kernels *k, enum trit_weight_kind kind, const float *w,
                                           size_t n)
{
	struct trit_weight_scale s = { 1, 1, 0 };
	if (kind == TRIT_WEIGHT_FULL)
		return s;
	float g = (float)mean_of(k->sum_abs, w, n);
	s.scale = g > TRIT_QUANT_EPS ? g : TRIT_QUANT_EPS;
	s.inverse = 1.0f / s.scale;
	if (kind == TRIT_WEIGHT_BINARY)
		s.mean = (float)mean_of(k->sum, w, n);
	return s;
}

void trit_weight_codes(const struct trit_kernels *k, enum trit_weight_kind kind, struct trit_weight_scale s, int8_t *t,
                       const float *w, size_t n)
{
	for (size_t i = 0; i < n; i += PIECE) {
		int m = (int)(n - i < PIECE ? n - i : PIECE);
		if (kind == TRIT_WEIGHT_BINARY)
			k->binarize(t + i, w + i, s.mean, m);
		else
			k->ternarize(t + i, w + i, s.inverse, m);
	}
}
