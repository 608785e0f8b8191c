/*
 * masters.c - two magnitudes whose mean is right.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/masters.h"

#include <math.h>

/* Bits of a magnitude: no more than the type holds, and so few that the 256 additions of each of 16 running sums
 * (model/quant.c) and their own sum stay within the 24 bits of a float. */
static int bits_of(enum trit_dtype type)
{
	return type == TRIT_DTYPE_BF16 ? 8 : type == TRIT_DTYPE_F16 ? 11 : 12;
}

int trit_masters_init(struct trit_masters *m, float g, uint64_t n, uint64_t total, enum trit_dtype type,
                      struct trit_error *err)
{
	if (n == 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "all weights are 0, so that no master weights give the scale %g",
		                 (double)g);
	double sum = (double)g * (double)total, mean = sum / (double)n;
	int exponent;
	frexp(mean, &exponent); /* mean in [2^(exponent - 1), 2^exponent) */
	double unit = ldexp(1, exponent - bits_of(type));
	if (type == TRIT_DTYPE_F16 && unit < 0x1p-24) /* the smallest difference of two F16 numbers */
		unit = 0x1p-24;
	double low = floor(mean / unit) * unit;
	m->low = (float)low;
	m->high = (float)(low + unit);
	m->n = n;
	double high = rint((sum - low * (double)n) / unit);
	m->n_high = high < 0 ? 0 : high > (double)n ? n : (uint64_t)high;
	return TRIT_OK;
}

void trit_masters_fill(const struct trit_masters *m, float *out, const int8_t *codes, size_t n, uint64_t before)
{
	/* Of the first i weights floor(i K / N) are the higher. A matrix has at most 2^32 weights (TRIT_MAX_COLS), so the
	 * product fits. */
	uint64_t rest = before * m->n_high % m->n;
	for (size_t i = 0; i < n; i++) {
		out[i] = 0;
		if (!codes[i])
			continue;
		rest += m->n_high;
		out[i] = (float)codes[i] * (rest >= m->n ? m->high : m->low);
		rest -= rest >= m->n ? m->n : 0;
	}
}
