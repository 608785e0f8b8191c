/*
 * test_bench.c - benchmarks: names, statistics, what a token costs, what a test measures, stopping and failing. No time
 * is judged.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "bench/limits.h"

#define MODEL TRIT_TEST_DATA "/model/tiny.gguf"

static struct trit_model *model;

static int set_up(void **state)
{
	(void)state;
	return trit_model_open(&model, MODEL, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	trit_model_close(model);
	return 0;
}

static void test_names(void **state)
{
	static const struct {
		struct trit_bench_test test;
		const char *name;
	} cases[] = {
		{ { 512, 0, 0, 1, 8, 1, 0 }, "pp512" },
		{ { 0, 128, 0, 1, 8, 1, 0 }, "tg128" },
		{ { 512, 128, 0, 1, 8, 1, 0 }, "pp512+tg128" },
		{ { 0, 128, 4096, 1, 8, 1, 0 }, "tg128 @ d4096" },
		{ { 0, 128, 0, 16, 8, 1, 0 }, "tg128 x 16" },
		{ { 1, 2, 3, 4, 8, 1, 0 }, "pp1+tg2 x 4 @ d3" },
		{ { INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, 8, 1, 0 },
		  "pp2147483647+tg2147483647 x 2147483647 @ d2147483647" },
	};
	char text[TRIT_BENCH_NAME_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(trit_bench_name(text, &cases[i].test), cases[i].name);
}

static void check_near(double got, double expected)
{
	if (!(fabs(got - expected) <= 1e-12 * fabs(expected)))
		fail_msg("%.17g, expected %.17g", got, expected);
}

static void test_statistics(void **state)
{
	double x[] = { 4, 8, 1, 7 }, odd[] = { 9, 1, 2 }, one[] = { 3 };
	(void)state;
	struct trit_statistics s = trit_statistics_of(x, 4);
	check_near(s.mean, 5);
	check_near(s.deviation, sqrt(10)); /* (1 + 9 + 16 + 4) / 3 */
	check_near(s.median, 5.5);
	check_near(s.min, 1);
	check_near(s.max, 8);
	check_near(trit_statistics_of(odd, 3).median, 2);
	s = trit_statistics_of(one, 1);
	assert_true(s.mean == 3 && s.median == 3 && s.min == 3 && s.max == 3 && s.deviation == 0);
}

static void test_figures(void **state)
{
	struct trit_bench_sample samples[3] = { { 2, 0.5, 100, 1000 }, { 4, 1, 200, 500 }, { 1, 0.25, 100, 1000 } };
	struct trit_bench_result r = { .samples = samples, .n_samples = 3, .tokens = 8, .bytes = 40, .int8_ops = 100 };
	double scratch[3];
	(void)state;
	check_near(trit_bench_statistics(&r, TRIT_BENCH_SECONDS, scratch).median, 2);
	check_near(trit_bench_statistics(&r, TRIT_BENCH_SPEED, scratch).mean, (4 + 2 + 8) / 3.0);
	check_near(trit_bench_statistics(&r, TRIT_BENCH_FIRST_TOKEN, scratch).max, 1);
	/* 40 / 2 / 100, 40 / 4 / 200, 40 / 1 / 100: each repetition by the limit measured beside it */
	check_near(trit_bench_statistics(&r, TRIT_BENCH_READ_SHARE, scratch).median, 0.2);
	check_near(trit_bench_statistics(&r, TRIT_BENCH_READ_SHARE, scratch).min, 0.05);
	check_near(trit_bench_statistics(&r, TRIT_BENCH_INT8_SHARE, scratch).max, 0.1);
	check_near(trit_bench_statistics(&r, TRIT_BENCH_READ_LIMIT, scratch).median, 100);
	check_near(trit_bench_statistics(&r, TRIT_BENCH_INT8_LIMIT, scratch).min, 500);
}

/* The costs again, from the sizes. */
static void test_cost(void **state)
{
	const struct trit_config *c = &model->config;
	double d = c->d_model, q = (double)c->n_heads * c->head_dim, kv = (double)c->n_kv_heads * c->head_dim;
	double weights = d * q + 2 * d * kv + q * d + 3 * d * c->d_ff;
	struct trit_cost cost = trit_cost_of(model, TRIT_KV_Q8);
	(void)state;
	assert_true(model->layers[0].q.quantised);
	check_near(cost.int8_ops, 2 * weights * c->n_layers);
	/* between 1 bit (none has fewer) and 2.5 bits a weight: rows and columns are padded, norms and scales on top */
	assert_true(cost.layer_bytes > weights * c->n_layers / 8 && cost.layer_bytes < weights * c->n_layers * 2.5 / 8);
	assert_true(cost.head_bytes > d * c->n_vocab / 2 && cost.head_bytes <= 4 * d * (c->n_vocab + 17));
	assert_true(cost.embd_bytes > d / 2 && cost.embd_bytes <= 4 * d + 4);
	/* a byte a number and four for each head, of keys and values */
	check_near(cost.kv_bytes, 2 * (kv + 4 * c->n_kv_heads) * c->n_layers);
}

static struct trit_bench_result run(const struct trit_bench_test *t, const struct trit_bench_options *o)
{
	struct trit_bench_result r = { .n_samples = -1 };
	struct trit_error err;
	if (trit_bench_run(&r, model, t, o, &err))
		fail_msg("%s", err.message);
	return r;
}

static void test_run(void **state)
{
	static const struct trit_bench_test tests[] = {
		{ .n_prompt = 40, .n_sequences = 1, .n_batch = 16, .n_threads = 1 },
		{ .n_gen = 9, .n_sequences = 1, .n_batch = 16, .n_threads = 2 },
		{ .n_prompt = 20, .n_gen = 5, .n_depth = 33, .n_sequences = 3, .n_batch = 16, .n_threads = 3 },
		{ .n_gen = 4, .n_sequences = 20, .n_batch = 1, .n_threads = 1 },
	};
	static const double bytes_weights[] = { 3, 9, 4 + 5, 4 }; /* runs: 40 / 16; 9; 60 / 16 and 5; 4 */
	static const double heads[] = { 1, 9, 1 + 5, 4 };
	static const double positions[] = { 3 * 20, 45, 3 * (2 * 43 + 5 * 53 + 15), 20 * 10 };
	struct trit_bench_options o = { .n_repetitions = 2 };
	struct trit_cost c = trit_cost_of(model, TRIT_KV_Q8); /* auto, of a ternary model */
	(void)state;
	for (int i = 0; i < 4; i++) {
		const struct trit_bench_test *t = &tests[i];
		struct trit_bench_result r = run(t, &o);
		assert_int_equal(r.n_samples, 2);
		check_near(r.tokens, (double)t->n_sequences * (t->n_prompt + t->n_gen));
		check_near(r.int8_ops, r.tokens * c.int8_ops);
		check_near(r.bytes, bytes_weights[i] * c.layer_bytes + heads[i] * c.head_bytes + r.tokens * c.embd_bytes +
		                        positions[i] * c.kv_bytes);
		assert_true(r.time > 1500000000);
		for (int k = 0; k < 2; k++) {
			const struct trit_bench_sample *s = &r.samples[k];
			assert_true(s->seconds > 0 && s->prompt_seconds >= 0 && s->prompt_seconds <= s->seconds);
			assert_true(isfinite(s->read_limit) && s->read_limit > 0 && isfinite(s->int8_limit) && s->int8_limit > 0);
		}
#ifdef __linux__
		assert_true(r.peak_memory > 1 << 20);
#endif
		trit_free(r.samples);
	}
}

static int calls;

/* Lets the first repetition end and stops in the second. */
static bool stop_in_second(void *arg, int done)
{
	(void)arg;
	calls++;
	return done < 1;
}

static bool stop_at_once(void *arg, int done)
{
	(void)done;
	return arg == NULL;
}

static void test_stop(void **state)
{
	struct trit_bench_test t = { .n_prompt = 6, .n_gen = 3, .n_sequences = 2, .n_batch = 4, .n_threads = 1 };
	struct trit_bench_options o = { .n_repetitions = 5, .no_warm_up = true, .go_on = stop_in_second };
	(void)state;
	calls = 0;
	struct trit_bench_result r = run(&t, &o);
	assert_int_equal(r.n_samples, 1);
	assert_int_equal(calls, 3 + 3 + 1); /* 12 tokens by 4, three steps, and the call that stops */
	trit_free(r.samples);
	o.go_on = stop_at_once;
	o.arg = &t;
	o.no_warm_up = false;
	t.n_depth = 10;
	r = run(&t, &o);
	assert_int_equal(r.n_samples, 0);
	trit_free(r.samples);
}

static void test_refusals(void **state)
{
	static const struct trit_bench_test good = { 8, 0, 0, 1, 8, 1, 0 };
	static const struct trit_bench_test bad[] = {
		{ 0, 0, 9, 1, 8, 1, 0 }, { -1, 5, 0, 1, 8, 1, 0 }, { 5, -1, 0, 1, 8, 1, 0 }, { 5, 5, -1, 1, 8, 1, 0 },
		{ 8, 0, 0, 0, 8, 1, 0 }, { 8, 0, 0, 1, 0, 1, 0 },  { 8, 0, 0, 1, 8, 0, 0 },  { 8, 0, 0, 1, 8, 257, 0 },
	};
	struct trit_bench_options o = { .n_repetitions = 1 };
	struct trit_bench_result r = { 0 };
	struct trit_error err;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(trit_bench_run(&r, model, &bad[i], &o, &err), TRIT_ERR_ARG);
	struct trit_bench_test t = good;
	t.n_depth = INT32_MAX;
	assert_int_equal(trit_bench_run(&r, model, &t, &o, &err), TRIT_ERR_LIMIT);
	o.n_repetitions = 0;
	assert_int_equal(trit_bench_run(&r, model, &good, &o, &err), TRIT_ERR_ARG);
	assert_null(r.samples);

	o.n_repetitions = 1;
	o.read_buffer = 1 << 16;
	int e = TRIT_ERR_MEMORY;
	uint64_t n;
	for (n = 0; e; n++) {
		trit_mem_fail_after(n + 1);
		e = trit_bench_run(&r, model, &good, &o, &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || (e == TRIT_ERR_MEMORY && r.samples == NULL && err.message[0]));
		assert_true(n < 1000);
	}
	assert_true(n > 8);
	trit_free(r.samples);
}

/* Both ways to read, by more threads than there are cache lines in some tensors. */
static void test_limits(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct trit_limits l;
		struct trit_pool *pool;
		assert_int_equal(trit_pool_new(&pool, 1 + 2 * i, NULL), 0);
		assert_int_equal(trit_limits_init(&l, model, pool, i ? 100000 : 0, NULL), 0);
		assert_true(trit_limits_read(&l) > 0);
		assert_true(trit_limits_int8(&l) > 0);
		trit_limits_release(&l);
		trit_pool_free(pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),  cmocka_unit_test(test_statistics), cmocka_unit_test(test_figures),
		cmocka_unit_test(test_cost),   cmocka_unit_test(test_run),        cmocka_unit_test(test_stop),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
