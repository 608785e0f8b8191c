/*
 * test_fmath.c - base/fmath against libm in long double, the documented errors, and the bits of a few values.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fmath.h"
#include "base/rng.h"

#define N 200000

static double uniform(struct trit_rng *r, double low, double high)
{
	return low + (high - low) * ((double)(trit_rng_next(r) >> 11) * 0x1p-53);
}

static void check_error(const char *what, double x, double got, long double expected, long double bound)
{
	if (fabsl(got - expected) <= bound)
		return;
	fail_msg("%s(%.17g) = %.17g, expected %.20Lg: error %Lg, bound %Lg", what, x, got, expected,
	         fabsl(got - expected), bound);
}

static void test_exp(void **state)
{
	struct trit_rng r;

	(void)state;
	trit_rng_init(&r, 1);
	for (int i = 0; i < N; i++) {
		double x = i % 2 ? uniform(&r, -708, 709.7) : uniform(&r, -2, 2);

		check_error("exp", x, trit_exp(x), expl(x), 4e-16L * expl(x));
	}
	for (int i = 0; i < N / 10; i++) { /* subnormal results: within an ulp */
		double x = uniform(&r, -745.2, -708);

		check_error("exp", x, trit_exp(x), expl(x), 0x1p-1074L);
	}
	assert_true(trit_exp(0) == 1);
	assert_true(trit_exp(710) == INFINITY && trit_exp(INFINITY) == INFINITY && trit_exp(DBL_MAX) == INFINITY);
	assert_true(trit_exp(709.78) < INFINITY);
	assert_true(trit_exp(-INFINITY) == 0 && trit_exp(-1000) == 0 && trit_exp(-745.1) > 0);
	assert_true(isnan(trit_exp(NAN)));
}

static void test_ln(void **state)
{
	struct trit_rng r;

	(void)state;
	trit_rng_init(&r, 2);
	for (int i = 0; i < N; i++) {
		uint64_t bits = trit_rng_next(&r) >> 1;
		double x;

		if (i % 2)
			memcpy(&x, &bits, sizeof x); /* all exponents, subnormal too */
		else
			x = uniform(&r, 0.25, 4);
		if (!(x > 0 && x < INFINITY))
			continue;
		check_error("ln", x, trit_ln(x), logl(x), 4e-16L * fabsl(logl(x)));
	}
	for (int i = 1; i < 60; i++) { /* next to 1, where the logarithm vanishes */
		double x = 1 + ldexp(1, -i) * (i < 53), y = 1 - ldexp(1, -i) * (i < 54);

		check_error("ln", x, trit_ln(x), logl(x), 4e-16L * fabsl(logl(x)));
		check_error("ln", y, trit_ln(y), logl(y), 4e-16L * fabsl(logl(y)));
	}
	assert_true(trit_ln(1) == 0);
	assert_true(trit_ln(0) == -INFINITY && trit_ln(-0.0) == -INFINITY && trit_ln(INFINITY) == INFINITY);
	assert_true(isnan(trit_ln(-1)) && isnan(trit_ln(-INFINITY)) && isnan(trit_ln(NAN)));
}

static void test_sin_cos(void **state)
{
	struct trit_rng r;

	(void)state;
	trit_rng_init(&r, 3);
	for (int i = 0; i < N; i++) {
		double high = i % 4 == 0 ? 1 : i % 4 == 1 ? 100 : 1e6, x = uniform(&r, -high, high);

		if (i % 4 == 3)
			x = floor(x); /* positions */
		check_error("sin", x, trit_sin(x), sinl(x), 2e-16L);
		check_error("cos", x, trit_cos(x), cosl(x), 2e-16L);
	}
	for (int n = 0; n < 600000; n += 37) { /* next to multiples of pi / 2 */
		double x = n * 1.5707963267948966;

		check_error("sin", x, trit_sin(x), sinl(x), 2e-16L);
		check_error("cos", x, trit_cos(x), cosl(x), 2e-16L);
	}
	for (int i = 0; i < N / 10; i++) {
		double x = uniform(&r, -0x1p30, 0x1p30);

		check_error("sin", x, trit_sin(x), sinl(x), 2e-16L * fabsl(x));
		check_error("cos", x, trit_cos(x), cosl(x), 2e-16L * fabsl(x));
	}
	assert_true(trit_sin(0) == 0 && trit_cos(0) == 1);
	assert_true(isnan(trit_sin(INFINITY)) && isnan(trit_cos(-1e300)) && isnan(trit_sin(NAN)));
}

static void test_pow(void **state)
{
	struct trit_rng r;

	(void)state;
	trit_rng_init(&r, 4);
	for (int i = 0; i < N; i++) {
		double x = i % 2 ? uniform(&r, 0.9, 1) : uniform(&r, 0, 100);
		double y = i % 2 ? uniform(&r, 0, 5000) : uniform(&r, -50, 50);
		long double e = powl(x, y);

		if (e < DBL_MIN || e > DBL_MAX)
			continue;
		check_error("pow", x, trit_pow(x, y), e, 4e-16L * e * (1 + fabsl(y * logl(x))));
	}
	assert_true(trit_pow(0, 0) == 1 && trit_pow(7, 0) == 1 && trit_pow(0, 2) == 0 && trit_pow(0, -1) == INFINITY);
	assert_true(isnan(trit_pow(-1, 2)));
}

/* FNV-1a over the bits of many results: any machine and compiler must give this number. */
static void test_same_bits(void **state)
{
	struct trit_rng r;
	uint64_t hash = 0;

	(void)state;
	trit_rng_init(&r, 5);
	for (int i = 0; i < 20000; i++) {
		double x = uniform(&r, -700, 700), y[5];

		y[0] = trit_exp(x);
		y[1] = trit_ln(y[0]);
		y[2] = trit_sin(x * 1000);
		y[3] = trit_cos(x * 1000);
		y[4] = trit_pow(y[0], 0.1);
		hash = trit_hash_bytes(hash, y, sizeof y);
	}
	if (hash != UINT64_C(0x356922eab3737c40))
		fail_msg("the results hash to %016llx", (unsigned long long)hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exp), cmocka_unit_test(test_ln),        cmocka_unit_test(test_sin_cos),
	    cmocka_unit_test(test_pow), cmocka_unit_test(test_same_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
