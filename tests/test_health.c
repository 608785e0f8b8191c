/*
 * test_health.c - what is divergence and what is noise; what a run will write, foretold.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "train/health.h"
#include "train/space.h"

static struct trit_rng rng;

/* Loss falling from 8 towards 2 as runs do, with noise; norm about 1, now and then 20 times that. */
static enum trit_verdict train(struct trit_health *h, int steps, double noise)
{
	enum trit_verdict v = TRIT_VERDICT_FINE;
	for (int i = 0; i < steps && v == TRIT_VERDICT_FINE; i++) {
		double loss = 2 + 6 * exp(-i / 300.0) + noise * (double)trit_rng_normal(&rng);
		v = trit_health_add(h, loss, exp(0.5 * (double)trit_rng_normal(&rng)) * (i % 50 == 49 ? 20 : 1));
	}
	return v;
}

static enum trit_verdict repeat(struct trit_health *h, int steps, double loss, double norm)
{
	enum trit_verdict v = TRIT_VERDICT_FINE;
	for (int i = 0; i < steps && v == TRIT_VERDICT_FINE; i++)
		v = trit_health_add(h, loss, norm);
	return v;
}

static void test_noise_is_fine(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 20; seed++) {
		struct trit_health h = { 0 };
		trit_rng_init(&rng, (uint64_t)seed);
		assert_int_equal(train(&h, 5000, 0.05 * seed), TRIT_VERDICT_FINE);
	}
	/* Spikes as long as one step less than the patience, again and again. */
	struct trit_health h = { 0 };
	train(&h, 2000, 0.1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(repeat(&h, TRIT_HEALTH_PATIENCE - 1, 40, 1e9), TRIT_VERDICT_FINE);
		assert_int_equal(repeat(&h, 1, 2, 1), TRIT_VERDICT_FINE);
	}
	/* Too few steps to know. */
	struct trit_health young = { 0 };
	assert_int_equal(repeat(&young, 4, 3, 1), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&young, TRIT_HEALTH_FEWEST - 4, 30, 1e6), TRIT_VERDICT_FINE);
}

static void test_divergence(void **state)
{
	(void)state;
	trit_rng_init(&rng, 7);
	struct trit_health trained = { 0 }, h;
	train(&trained, 2000, 0.1);
	assert_true(fabs(trit_health_median(&trained, 1) - 2) < 0.1);
	h = trained;
	assert_int_equal(repeat(&h, TRIT_HEALTH_PATIENCE - 1, 3.6, 1), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&h, 1, 3.6, 1), TRIT_VERDICT_LOSS);
	h = trained;
	assert_int_equal(repeat(&h, TRIT_HEALTH_PATIENCE - 1, 2, 500), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&h, 1, 2, 500), TRIT_VERDICT_NORM);
	/* Nothing is learnt any more, or nothing ever was. */
	h = trained;
	assert_int_equal(repeat(&h, TRIT_HEALTH_PATIENCE - 1, 2, 0), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&h, 1, 2, 1e-9), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&h, TRIT_HEALTH_PATIENCE - 1, 2, 0), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&h, 1, 2, 0), TRIT_VERDICT_DEAD);
	struct trit_health young = { 0 };
	assert_int_equal(repeat(&young, TRIT_HEALTH_PATIENCE - 1, 2, 0), TRIT_VERDICT_FINE);
	assert_int_equal(repeat(&young, 1, 2, 0), TRIT_VERDICT_DEAD);
	/* Slowly: no step is far from those before it. */
	h = trained;
	enum trit_verdict v = TRIT_VERDICT_FINE;
	int n = 0;
	for (; n < 5000 && v == TRIT_VERDICT_FINE; n++)
		v = trit_health_add(&h, 2 + 0.003 * n + 0.1 * (double)trit_rng_normal(&rng), 1);
	assert_int_equal(v, TRIT_VERDICT_CREEPING);
	assert_in_range(n, 500, 700);
	assert_true(trit_health_median(&h, 1) > trit_health_median(&h, 0) + 0.1);
	struct trit_health empty = { 0 };
	assert_true(isnan(trit_health_median(&empty, 1)));
}

static void test_space(void **state)
{
	struct trit_error err;
	struct trit_config c = { .n_vocab = 1000, .n_layers = 2, .d_model = 64, .d_ff = 128, .n_heads = 4, .n_kv_heads = 4,
		                 .head_dim = 16, .n_rot = 16, .n_ctx = 64, .tied = true };
	(void)state;
	trit_config_set_arch(&c, trit_arch_for(TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU));
	/* Embedding, projections and norms of two layers, norm. */
	double weights = 1000 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 128 + 3 * 64 + 128) + 64;
	struct trit_space s = trit_space_of(&c, 1000000, 3, 1000, 100);
	assert_true(s.checkpoints > 4 * weights * 12 && s.checkpoints < 4 * (weights * 12 + 1e5));
	assert_true(s.shards == 1e6);
	assert_true(s.metrics > 1000 * 400 && s.metrics < 1000 * 1000);
	assert_int_equal(trit_space_check(&s, ".", &err), 0);
	s.checkpoints = 1e19;
	assert_int_equal(trit_space_check(&s, ".", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "--keep"));
	s.there = 1e19; /* what is to be written takes the place of what is there */
	assert_int_equal(trit_space_check(&s, ".", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noise_is_fine),
		cmocka_unit_test(test_divergence),
		cmocka_unit_test(test_space),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
