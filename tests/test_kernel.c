/*
 * test_kernel.c - choosing kernels: names, the environment variable, tiers that are not there, and the self-test.
 *
 * What the kernels compute is checked by tests/checkasm/.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first */
#include <cmocka.h>

#include "base/log.h"
#include "kernel/kernel.h"
#include "kernel/selftest.h"

static void assert_same_functions(const struct trit_kernels *a, const struct trit_kernels *b)
{
	assert_memory_equal(&a->act_quant, &b->act_quant, sizeof *a - offsetof(struct trit_kernels, act_quant));
}

static int warnings;

static void count_warnings(void *arg, enum trit_log_level level, const char *message)
{
	(void)arg;
	(void)message;
	warnings += level == TRIT_LOG_WARNING;
}

static void selects_by_name(void **state)
{
	struct trit_error err = {0};
	struct trit_kernels k, filled;

	(void)state;
	for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
		const char *name = trit_tier_name((enum trit_tier)tier);
		if (!trit_tier_here((enum trit_tier)tier)) {
			assert_int_equal(trit_kernels_select(&k, name, &err), TRIT_ERR_UNSUPPORTED);
			assert_non_null(strstr(err.message, name));
			continue;
		}
		assert_int_equal(trit_kernels_select(&k, name, &err), 0);
		assert_int_equal(k.tier, tier);
		trit_kernels_fill(&filled, (enum trit_tier)tier);
		assert_same_functions(&k, &filled); /* the self-test took nothing away */
	}
	assert_int_equal(trit_kernels_select(&k, "sse9", &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "sse9"));
}

static void selects_by_environment(void **state)
{
	struct trit_error err = {0};
	struct trit_kernels k;

	(void)state;
	setenv("TRIT_CPU", "c", 1);
	assert_int_equal(trit_kernels_select(&k, NULL, &err), 0);
	assert_int_equal(k.tier, TRIT_TIER_C);
	setenv("TRIT_CPU", "pdp11", 1);
	assert_int_equal(trit_kernels_select(&k, NULL, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "TRIT_CPU"));
	assert_int_equal(trit_kernels_select(&k, "c", &err), 0); /* the argument goes before the environment */
	unsetenv("TRIT_CPU");
	assert_int_equal(trit_kernels_select(&k, NULL, &err), 0);
	assert_int_equal(k.tier, trit_best_tier());
}

static void fills_every_member(void **state)
{
	static const struct trit_kernels none;
	struct trit_kernels k;

	(void)state;
	trit_kernels_fill(&k, TRIT_TIER_C);
	for (size_t at = offsetof(struct trit_kernels, int8_peak); at < sizeof k; at += sizeof(void (*)(void)))
		assert_memory_not_equal((const char *)&k + at, (const char *)&none + at, sizeof(void (*)(void)));
}

static void knows_fast_bf16(void **state)
{
	struct trit_kernels k;

	(void)state;
	for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
		if (!trit_tier_here((enum trit_tier)tier))
			continue;
		trit_kernels_fill(&k, (enum trit_tier)tier);
		assert_int_equal(k.bf16_peak(1) > 0, trit_kernels_have_bf16(&k));
	}
}

static void wrong_add(float *y, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] += x[i];
	y[n - 1] = nextafterf(y[n - 1], INFINITY);
}

static void wrong_gemm_t2(const struct trit_gemm_int *p)
{
	struct trit_gemm_int less = *p;
	struct trit_kernels c;
	trit_kernels_fill(&c, TRIT_TIER_C);
	less.cols -= 16;
	c.gemm_int[TRIT_T2](&less);
}

static void selftest_puts_c_back(void **state)
{
	struct trit_kernels c, k;

	(void)state;
	trit_kernels_fill(&c, TRIT_TIER_C);
	trit_kernels_fill(&k, trit_best_tier());
	struct trit_kernels expected = k;
	expected.add = c.add;
	expected.gemm_int[TRIT_T2] = c.gemm_int[TRIT_T2];
	k.add = wrong_add;
	k.gemm_int[TRIT_T2] = wrong_gemm_t2;
	warnings = 0;
	trit_log_set(count_warnings, NULL);
	trit_kernels_selftest(&k, &c);
	trit_log_set(NULL, NULL);
	assert_int_equal(warnings, 2);
	assert_same_functions(&k, &expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(selects_by_name),
	    cmocka_unit_test(selects_by_environment),
	    cmocka_unit_test(fills_every_member),
	    cmocka_unit_test(knows_fast_bf16),
	    cmocka_unit_test(selftest_puts_c_back),
	};
	unsetenv("TRIT_CPU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
