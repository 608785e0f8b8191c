/*
 * fmath.c - exp, ln, sin, cos, pow: reduction to a small interval, then a series long enough for double precision.
 *
 * The reductions are those of W. J. Cody and W. Waite, "Software manual for the elementary functions", 1980: a constant
 * is cut into parts with so many zeros at their ends that n times a part is exact.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/fmath.h"

#include <stdint.h>
#include <string.h>

/* ln 2 and pi / 2, the first parts with 32 and 33 significant bits. */
#define LN2_1 0x1.62e42feep-1
#define LN2_2 0x1.a39ef35793c76p-33
#define HALF_PI_1 0x1.921fb544p+0
#define HALF_PI_2 0x1.0b4611a6p-34
#define HALF_PI_3 0x1.3198a2e037073p-69

static uint64_t bits_of(double x)
{
	uint64_t u;

	memcpy(&u, &x, sizeof u);
	return u;
}

static double from_bits(uint64_t u)
{
	double x;

	memcpy(&x, &u, sizeof x);
	return x;
}

/* 2^n for n in -1022..1023. */
static double power_of_two(int n)
{
	return from_bits((uint64_t)(n + 1023) << 52);
}

/* Half away from zero; |x| < 2^52. */
static double nearest(double x)
{
	return (double)(int64_t)(x + (x < 0 ? -0.5 : 0.5));
}

double trit_exp(double x)
{
	/* 1 / k!, k = 13..0; |r| <= ln 2 / 2, so the next term is below 5e-18 */
	static const double c[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0,
	                           1 / 40320.0,      1 / 5040.0,      1 / 720.0,      1 / 120.0,     1 / 24.0,
	                           1 / 6.0,          1 / 2.0,         1.0};
	double n, r, sum = 0;
	int half;

	if (x != x)
		return x;
	x = x < -746 ? -746 : x > 710 ? 710 : x; /* e^-746 rounds to 0, e^710 to infinity */
	n = nearest(x * 1.4426950408889634);
	r = (x - n * LN2_1) - n * LN2_2;
	for (int k = 0; k < 13; k++)
		sum = sum * r + c[k];
	half = (int)n / 2; /* in two steps: 2^n alone may lie outside the normal numbers */
	return (1 + r * sum) * power_of_two(half) * power_of_two((int)n - half);
}

double trit_ln(double x)
{
	static const double odd[] = { 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
		                          2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3 };
	int e = 0;
	double m, z, z2, sum = 0;

	if (x != x || x < 0)
		return from_bits(0x7ff8000000000000);
	if (x == 0)
		return -from_bits(0x7ff0000000000000);
	if (x > 0x1.fffffffffffffp1023)
		return x;
	if (x < 0x1p-1022) {
		x *= 0x1p54;
		e = -54;
	}
	e += (int)(bits_of(x) >> 52) - 1023;
	m = from_bits((bits_of(x) & 0x000fffffffffffff) | 0x3ff0000000000000);
	if (m > 1.4142135623730951) {
		m /= 2;
		e++;
	}
	/* ln m = 2 atanh z, z = (m - 1) / (m + 1), |z| <= 0.1716: what follows z^23 / 23 is below 3e-20. */
	z = (m - 1) / (m + 1);
	z2 = z * z;
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		sum = sum * z2 + odd[i];
	return e * LN2_1 + (2 * z + (z * (z2 * sum) + e * LN2_2));
}

/* sin(x + quarter * pi / 2) */
static double sine(double x, int quarter)
{
	double n, r, r2, sum = 0;

	if (!(x >= -0x1p30 && x <= 0x1p30))
		return from_bits(0x7ff8000000000000);
	/* |n| < 2^20 for |x| <= 1e6, so the first two products are exact, and the first difference too. */
	n = nearest(x * 0.63661977236758134);
	r = ((x - n * HALF_PI_1) - n * HALF_PI_2) - n * HALF_PI_3;
	r2 = r * r;
	quarter = (int)(((int64_t)n + quarter) & 3);
	if (quarter & 1) { /* cosine: 1 - r^2/2! + ...; |r| <= pi / 4: the terms after r^18 are below 4e-21 */
		for (int k = 18; k >= 2; k -= 2)
			sum = (1 - sum) * r2 / (k * (k - 1));
		sum = 1 - sum;
	} else { /* r - r^3/3! + ... r^19 */
		for (int k = 19; k >= 3; k -= 2)
			sum = (1 - sum) * r2 / (k * (k - 1));
		sum = r - r * sum;
	}
	return quarter & 2 ? -sum : sum;
}

double trit_sin(double x)
{
	return sine(x, 0);
}

double trit_cos(double x)
{
	return sine(x, 1);
}

double trit_pow(double x, double y)
{
	if (y == 0)
		return 1;
	return trit_exp(y * trit_ln(x));
}
