/*
 * quant.c - the weight quantisers: scale of a matrix, codes of its weights.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/quant.h"

#include <math.h>

#include "base/num.h"

const char *const trit_scaling_names[] = { "tensor", "row", "group128", "group64", NULL };
const enum trit_scaling trit_scalings[] = { TRIT_SCALE_TENSOR, TRIT_SCALE_ROW, TRIT_SCALE_GROUP128,
	                                    TRIT_SCALE_GROUP64 };

static double mean_of(trit_sum_fn *sum, const float *w, size_t n)
{
	double total = 0;
	for (size_t i = 0; i < n; i += TRIT_QUANT_PIECE)
		total += (double)sum(w + i, (int)(n - i < TRIT_QUANT_PIECE ? n - i : TRIT_QUANT_PIECE));
	return total / (double)n;
}

static struct trit_weight_scale scale_of_mean(double mean)
{
	float g = (float)mean, scale = g > TRIT_QUANT_EPS ? g : TRIT_QUANT_EPS;
	return (struct trit_weight_scale){ .scale = scale, .inverse = 1.0f / scale };
}

struct trit_weight_scale trit_weight_scale(const struct trit_kernels *k, enum trit_weight_kind kind, const float *w,
                                           size_t n)
{
	struct trit_weight_scale s = { 1, 1, 0 };
	if (kind == TRIT_WEIGHT_FULL)
		return s;
	s = scale_of_mean(mean_of(k->sum_abs, w, n));
	if (kind == TRIT_WEIGHT_BINARY)
		s.mean = (float)mean_of(k->sum, w, n);
	return s;
}

struct trit_weight_scale trit_weight_scale_of_sums(const float *sums, size_t n)
{
	double total = 0;
	for (size_t i = 0; i * TRIT_QUANT_PIECE < n; i++)
		total += (double)sums[i];
	struct trit_weight_scale s = scale_of_mean(total / (double)n);
	s.scale = isfinite(total) ? s.scale : NAN;
	return s;
}

void trit_weight_codes(const struct trit_kernels *k, enum trit_weight_kind kind, struct trit_weight_scale s, int8_t *t,
                       const float *w, size_t n)
{
	for (size_t i = 0; i < n; i += TRIT_QUANT_PIECE) {
		int m = (int)(n - i < TRIT_QUANT_PIECE ? n - i : TRIT_QUANT_PIECE);
		if (kind == TRIT_WEIGHT_BINARY)
			k->binarize(t + i, w + i, s.mean, m);
		else
			k->ternarize(t + i, w + i, s.inverse, m);
	}
}

/* Of a run of weights that share a scale with no others of their matrix. */
static struct trit_weight_scale run_scale(const struct trit_kernels *k, enum trit_weight_kind kind, const float *w,
                                          size_t n)
{
	struct trit_weight_scale s = trit_weight_scale(k, kind, w, n);
	/* Not 0 nor infinite: 1e-5 is 168 times the smallest fp16 number, 65504 the largest. */
	s.scale = trit_f16_to_f32(trit_f32_to_f16(s.scale < 65504 ? s.scale : 65504));
	s.inverse = 1.0f / s.scale;
	return s;
}

void trit_weight_quantise_rows(const struct trit_kernels *k, enum trit_weight_kind kind, enum trit_scaling scaling,
                               int8_t *codes, float *scales, const float *w, size_t row0, size_t n, size_t cols)
{
	size_t run = scaling == TRIT_SCALE_ROW ? cols : (size_t)scaling;
	for (size_t r = 0; r < n; r++)
		for (size_t c = 0; c < cols; c += run) {
			size_t at = r * cols + c, len = cols - c < run ? cols - c : run;
			struct trit_weight_scale s = run_scale(k, kind, w + at, len);
			if (scales)
				scales[trit_scale_index(scaling, row0 + r, c, cols)] = s.scale;
			if (codes)
				trit_weight_codes(k, kind, s, codes + at, w + at, len);
		}
}

/* ---- heads and embeddings ---------------------------------------------------------------------------------------- */

#define LEAST 1e-30f /* below it m / max|w| would overflow before long */
enum { LANES = 16 }; /* numbers at a time: loops of constant length, for the compiler to make vector code of */

/* The largest magnitude, as the bits of a float: their order is that of the numbers, with infinities and NaN above. */
static int32_t largest(const float *w, size_t n)
{
	int32_t bits[LANES] = { 0 }, most[LANES] = { 0 };
	for (size_t i = 0; i < n; i += LANES) {
		if (n - i < LANES)
			memset(bits, 0, sizeof bits);
		memcpy(bits, w + i, n - i < LANES ? (n - i) * sizeof *w : sizeof bits);
		for (int j = 0; j < LANES; j++) {
			int32_t a = bits[j] & INT32_MAX;
			most[j] = a > most[j] ? a : most[j];
		}
	}
	for (int j = 1; j < LANES; j++)
		most[0] = most[j] > most[0] ? most[j] : most[0];
	return most[0];
}

/* q_i = rint(w_i * factor), half to even, for |w_i * factor| < 2^22. Adding 1.5 * 2^23 rounds to an integer, which the
 * low bits of the sum then hold: unlike rintf, vector code on every machine. */
static inline void round_some(int8_t *restrict q, const float *restrict w, float factor, int n)
{
	for (int i = 0; i < n; i++)
		q[i] = (int8_t)(uint8_t)trit_f32_bits(w[i] * factor + 0x1.8p23f);
}

/* One run of weights that share a scale. */
static bool quantise_run(int8_t *q, float *scale, const float *w, size_t n, float m)
{
	int32_t bits = largest(w, n);
	float most = trit_f32_from_bits((uint32_t)bits);
	if (bits >= 0x7f800000) /* infinity */
		return false;
	float factor = most >= LEAST ? m / most : 0;
	*scale = most >= LEAST ? most / m : 0;
	for (; n >= LANES; n -= LANES, q += LANES, w += LANES)
		round_some(q, w, factor, LANES);
	round_some(q, w, factor, (int)n);
	return true;
}

bool trit_quantise_rows(enum trit_layout layout, enum trit_scaling scaling, int8_t *codes, float *scales,
                        const float *w, size_t row0, size_t n, size_t cols)
{
	size_t run = scaling == TRIT_SCALE_ROW ? cols : (size_t)scaling;
	float m = (float)trit_layouts[layout].max;
	bool finite = true;
	for (size_t r = 0; r < n; r++)
		for (size_t c = 0; c < cols; c += run)
			finite = finite && quantise_run(codes + r * cols + c,
			                                scales + trit_scale_index(scaling, row0 + r, c, cols),
			                                w + r * cols + c, cols - c < run ? cols - c : run, m);
	return finite;
}
