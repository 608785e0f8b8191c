/*
 * test_sampler.c - choosing tokens: distributions worked out by hand, a slow sampler written another way, and draws
 * counted.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "run/sampler.h"

/* A sampler that changes nothing: draws from softmax(logits). */
static const struct trit_sampler_options plain = { .temperature = 1, .top_p = 1, .repeat_penalty = 1 };

static struct trit_sampler *sampler(int n_vocab, struct trit_sampler_options o)
{
	struct trit_sampler *s = NULL;
	struct trit_error err;
	assert_int_equal(trit_sampler_new(&s, n_vocab, &o, &err), 0);
	return s;
}

/* Checks what is drawn from: `n` candidates with these tokens and probabilities, in any order. */
static void expect(struct trit_sampler_options o, int n_vocab, const float *logits, int n, const int *tokens,
                   const double *p)
{
	struct trit_sampler *s = sampler(n_vocab, o);
	int got;
	const struct trit_candidate *c = trit_sampler_candidates(s, logits, &got);
	assert_int_equal(got, n);
	for (int i = 0; i < n; i++) {
		int at = 0;
		while (at < got && c[at].token != tokens[i])
			at++;
		assert_true(at < got);
		assert_true(fabs(c[at].p - p[i]) < 1e-7); /* the logits are rounded to fp32 */
	}
	trit_sampler_free(s);
}
#define EXPECT(o, l, ...)                                                                                              \
	do {                                                                                                           \
		const struct { int n, t[4]; double p[4]; } e_ = __VA_ARGS__;                                           \
		expect(o, 4, l, e_.n, e_.t, e_.p);                                                                     \
	} while (0)

/* Probabilities 1/4, 1/2, 1/8, 1/8 of tokens 0..3. */
static void quarters(float logits[4])
{
	static const double p[4] = { 0.25, 0.5, 0.125, 0.125 };
	for (int i = 0; i < 4; i++)
		logits[i] = (float)(log(p[i]) + 3);
}

static void test_temperature(void **state)
{
	(void)state;
	float l[4];
	struct trit_sampler_options o = plain;
	quarters(l);
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 0.25, 0.5, 0.125, 0.125 } });
	o.temperature = 0.5f; /* squares: 4, 16, 1, 1 of 22 */
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 4 / 22.0, 16 / 22.0, 1 / 22.0, 1 / 22.0 } });
	o.temperature = 0;
	EXPECT(o, l, { 1, { 1 }, { 1 } });
	o.temperature = FLT_MIN; /* all but the likeliest vanish, without NaN */
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 0, 1, 0, 0 } });
	o.temperature = FLT_MAX;
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 0.25, 0.25, 0.25, 0.25 } });
}

static void test_top_k(void **state)
{
	(void)state;
	float l[4];
	struct trit_sampler_options o = plain;
	quarters(l);
	o.top_k = 2;
	EXPECT(o, l, { 2, { 1, 0 }, { 2 / 3.0, 1 / 3.0 } });
	o.top_k = 3; /* of the two equal ones the smaller token stays */
	EXPECT(o, l, { 3, { 1, 0, 2 }, { 4 / 7.0, 2 / 7.0, 1 / 7.0 } });
	o.top_k = 1;
	EXPECT(o, l, { 1, { 1 }, { 1 } });
	o.top_k = 1000;
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 0.25, 0.5, 0.125, 0.125 } });
}

static void test_top_p(void **state)
{
	(void)state;
	float l[4];
	struct trit_sampler_options o = plain;
	quarters(l);
	o.top_p = 0;
	EXPECT(o, l, { 1, { 1 }, { 1 } });
	o.top_p = 0.49f;
	EXPECT(o, l, { 1, { 1 }, { 1 } });
	o.top_p = 0.51f;
	EXPECT(o, l, { 2, { 1, 0 }, { 2 / 3.0, 1 / 3.0 } });
	o.top_p = 0.76f;
	EXPECT(o, l, { 3, { 1, 0, 2 }, { 4 / 7.0, 2 / 7.0, 1 / 7.0 } });
	o.top_p = 0.999f;
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 0.25, 0.5, 0.125, 0.125 } });
	o.top_p = 0.51f; /* which tokens stay does not depend on the temperature: at 0.5 token 1 alone would have 0.73 */
	o.temperature = 0.5f;
	EXPECT(o, l, { 2, { 1, 0 }, { 0.8, 0.2 } });
	o.temperature = 1;
	o.top_k = 2; /* top-p counts what top-k left: token 1 has 2/3 of that */
	o.top_p = 0.66f;
	EXPECT(o, l, { 1, { 1 }, { 1 } });
}

static void test_min_p(void **state)
{
	(void)state;
	float l[4], equal[4] = { 2, 2, 2, 2 };
	struct trit_sampler_options o = plain;
	quarters(l);
	o.min_p = 0.3f; /* of 0.5: at least 0.15 */
	EXPECT(o, l, { 2, { 0, 1 }, { 1 / 3.0, 2 / 3.0 } });
	o.min_p = 0.2f;
	EXPECT(o, l, { 4, { 0, 1, 2, 3 }, { 0.25, 0.5, 0.125, 0.125 } });
	o.min_p = 1;
	EXPECT(o, l, { 1, { 1 }, { 1 } });
	EXPECT(o, equal, { 4, { 0, 1, 2, 3 }, { 0.25, 0.25, 0.25, 0.25 } });
}

static void test_penalty(void **state)
{
	(void)state;
	float l[4] = { 2, -2, 1, 0 };
	struct trit_sampler_options o = plain;
	o.repeat_penalty = 2;
	o.repeat_last_n = 2;
	struct trit_sampler *s = sampler(4, o);
	int n;
	trit_sampler_accept(s, 3);
	trit_sampler_accept(s, 2);
	trit_sampler_accept(s, 0);
	trit_sampler_accept(s, 1); /* 3 and 2 are older than two tokens by now */
	const struct trit_candidate *c = trit_sampler_candidates(s, l, &n);
	assert_int_equal(n, 4);
	assert_float_equal(c[0].logit, 1.0f, 0);
	assert_float_equal(c[1].logit, -4.0f, 0);
	assert_float_equal(c[2].logit, 1.0f, 0);
	assert_float_equal(c[3].logit, 0.0f, 0);
	trit_sampler_accept(s, 1); /* twice in the window is no more than once */
	c = trit_sampler_candidates(s, l, &n);
	assert_float_equal(c[0].logit, 2.0f, 0);
	assert_float_equal(c[1].logit, -4.0f, 0);
	trit_sampler_accept(s, -1); /* no tokens */
	trit_sampler_accept(s, 4);
	trit_sampler_accept(s, 0);
	c = trit_sampler_candidates(s, l, &n);
	assert_float_equal(c[0].logit, 1.0f, 0);
	assert_float_equal(c[1].logit, -4.0f, 0);
	trit_sampler_free(s);

	o.repeat_last_n = 0;
	s = sampler(4, o);
	trit_sampler_accept(s, 0);
	assert_float_equal(trit_sampler_candidates(s, l, &n)[0].logit, 2.0f, 0);
	trit_sampler_free(s);

	o.repeat_last_n = 1;
	o.temperature = 0;
	s = sampler(4, o); /* next accepts what it chose */
	assert_int_equal(trit_sampler_next(s, l), 0);
	float close[4] = { 2, -2, 1.5f, 0 };
	assert_int_equal(trit_sampler_next(s, close), 2);
	assert_int_equal(trit_sampler_next(s, close), 0);
	trit_sampler_free(s);
}

static void test_not_finite(void **state)
{
	(void)state;
	float none[4] = { NAN, INFINITY, -INFINITY, NAN }, one[4] = { NAN, INFINITY, -INFINITY, -FLT_MAX };
	float ends[4] = { -FLT_MAX, FLT_MAX, FLT_MAX, NAN }, ties[4] = { -1, 5, 5, NAN };
	for (int greedy = 0; greedy < 2; greedy++) {
		struct trit_sampler_options o = trit_sampler_defaults();
		o.temperature = greedy ? 0 : 1;
		struct trit_sampler *s = sampler(4, o);
		assert_int_equal(trit_sampler_next(s, none), 0);
		for (int i = 0; i < 50; i++) {
			assert_int_equal(trit_sampler_next(s, one), 3);
			trit_token t = trit_sampler_next(s, ends);
			assert_true(t == 1 || t == 2);
			t = trit_sampler_next(s, ties);
			assert_true(t == 1 || (t == 2 && !greedy));
		}
		trit_sampler_free(s);
	}
	struct trit_sampler_options o = plain;
	o.repeat_penalty = 100; /* a penalised -FLT_MAX overflows: it must stay a candidate */
	o.repeat_last_n = 8;
	struct trit_sampler *s = sampler(4, o);
	assert_int_equal(trit_sampler_next(s, one), 3);
	assert_int_equal(trit_sampler_next(s, one), 3);
	trit_sampler_free(s);
}

/* ---- against a slow sampler -------------------------------------------------------------------------------------- */

#define V 300

struct slow {
	float logit;
	double p;
	int token;
};

static int compare(const void *a, const void *b)
{
	const struct slow *x = a, *y = b;
	return x->logit > y->logit ? -1 : x->logit < y->logit ? 1 : x->token - y->token;
}

static void slow_softmax(struct slow *c, int n, double temperature)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += exp(((double)c[i].logit - c[0].logit) / temperature);
	for (int i = 0; i < n; i++)
		c[i].p = exp(((double)c[i].logit - c[0].logit) / temperature) / sum;
}

/* The same steps over a completely sorted list. */
static int slow_candidates(struct slow *c, const float *logits, const struct trit_sampler_options *o)
{
	int n = V;
	for (int i = 0; i < V; i++)
		c[i] = (struct slow){ .logit = logits[i], .token = i };
	qsort(c, V, sizeof *c, compare);
	if (o->top_k && o->top_k < n)
		n = o->top_k;
	slow_softmax(c, n, 1);
	double sum = 0;
	for (int i = 0; i < n && o->top_p < 1; i++) {
		sum += c[i].p;
		if (sum >= o->top_p)
			n = i + 1;
	}
	while (c[n - 1].p < o->min_p * c[0].p)
		n--;
	slow_softmax(c, n, o->temperature);
	return n;
}

static void test_random(void **state)
{
	static const int ks[] = { 0, 1, 5, 40, 299, 300, 1000 };
	static const float ps[] = { 0, 0.3f, 0.9f, 0.95f, 1 }, ms[] = { 0, 0.02f, 0.4f, 1 };
	static struct slow slow[V];
	struct trit_rng rng;
	float logits[V];
	(void)state;
	trit_rng_init(&rng, 7);
	for (int round = 0; round < 400; round++) {
		struct trit_sampler_options o = plain;
		o.top_k = ks[trit_rng_below(&rng, 7)];
		o.top_p = ps[trit_rng_below(&rng, 5)];
		o.min_p = ms[trit_rng_below(&rng, 4)];
		o.temperature = 0.2f + trit_rng_uniform(&rng);
		for (int i = 0; i < V; i++) /* few different values, so that there are ties */
			logits[i] = round % 2 ? 3 * trit_rng_normal(&rng) : (float)trit_rng_below(&rng, 12) / 2;
		struct trit_sampler *s = sampler(V, o);
		int n, n_slow = slow_candidates(slow, logits, &o);
		const struct trit_candidate *c = trit_sampler_candidates(s, logits, &n);
		assert_int_equal(n, n_slow);
		for (int i = 0; i < n_slow; i++) {
			int at = 0;
			while (at < n && c[at].token != slow[i].token)
				at++;
			assert_true(at < n);
			assert_true(fabs(c[at].p - slow[i].p) < 1e-12);
		}
		trit_sampler_free(s);
	}
}

/* ---- draws ------------------------------------------------------------------------------------------------------- */

static void test_golden(void **state)
{
	/* tests/reference/make_sampler_golden.py */
	static const int tokens[] = { 2, 4, 6, 7, 7, 6, 6, 7, 6, 6, 6, 4, 7, 4, 6, 7,
	                              6, 7, 6, 6, 2, 3, 5, 6, 4, 5, 4, 7, 6, 3, 4, 6 };
	struct trit_sampler_options o = plain;
	float l[8];
	(void)state;
	o.seed = 42;
	struct trit_sampler *s = sampler(8, o);
	for (int i = 0; i < 8; i++)
		l[i] = logf((float)(i + 1));
	for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
		assert_int_equal(trit_sampler_next(s, l), tokens[i]);
	trit_sampler_free(s);
}

static void test_chi_square(void **state)
{
	struct trit_sampler_options o = trit_sampler_defaults();
	float l[16];
	int draws = 200000, n, count[16] = { 0 };
	double p[16] = { 0 }, chi2 = 0;
	(void)state;
	o.seed = 99;
	o.min_p = 0;
	o.top_p = 0.97f;
	o.top_k = 12;
	for (int i = 0; i < 16; i++)
		l[i] = (float)(i * 7 % 16) * 0.3f;
	struct trit_sampler *s = sampler(16, o);
	const struct trit_candidate *c = trit_sampler_candidates(s, l, &n);
	for (int i = 0; i < n; i++)
		p[c[i].token] = c[i].p;
	int degrees = n - 1;
	for (int i = 0; i < draws; i++)
		count[trit_sampler_next(s, l)]++;
	for (int i = 0; i < 16; i++) {
		if (p[i] == 0)
			assert_int_equal(count[i], 0);
		else
			chi2 += (count[i] - draws * p[i]) * (count[i] - draws * p[i]) / (draws * p[i]);
	}
	/* 5 standard deviations of chi2 above its mean; the seed is fixed, so this never flickers */
	assert_true(n > 6);
	assert_true(chi2 < degrees + 5 * sqrt(2.0 * degrees));
	assert_true(chi2 > 0.01 * degrees);
	trit_sampler_free(s);
}

static void test_seeds(void **state)
{
	struct trit_sampler_options o = plain;
	float l[64] = { 0 };
	int same = 0;
	(void)state;
	o.seed = 1;
	struct trit_sampler *a = sampler(64, o), *b = sampler(64, o);
	o.seed = 2;
	struct trit_sampler *c = sampler(64, o);
	for (int i = 0; i < 200; i++) {
		trit_token t = trit_sampler_next(a, l);
		assert_int_equal(t, trit_sampler_next(b, l));
		same += t == trit_sampler_next(c, l);
	}
	assert_true(same < 20); /* 200 / 64 are expected */
	trit_sampler_free(a);
	trit_sampler_free(b);
	trit_sampler_free(c);
}

/* ---- arguments and memory ---------------------------------------------------------------------------------------- */

static void expect_refusal(struct trit_sampler_options o, int n_vocab, const char *word)
{
	struct trit_sampler *s = NULL;
	struct trit_error err;
	assert_int_equal(trit_sampler_new(&s, n_vocab, &o, &err), TRIT_ERR_ARG);
	assert_null(s);
	assert_non_null(strstr(err.message, word));
}

static void test_arguments(void **state)
{
	(void)state;
	expect_refusal(plain, 0, "vocabulary");
	static const float bad[] = { NAN, INFINITY, -0.1f, -INFINITY };
	for (int i = 0; i < 4; i++) {
		struct trit_sampler_options o = plain;
		o.temperature = bad[i];
		expect_refusal(o, 4, "temperature");
		o = plain;
		o.top_p = bad[i];
		expect_refusal(o, 4, "top_p");
		o = plain;
		o.min_p = bad[i];
		expect_refusal(o, 4, "min_p");
		o = plain;
		o.repeat_penalty = bad[i];
		expect_refusal(o, 4, "repeat_penalty");
	}
	struct trit_sampler_options o = plain;
	o.repeat_penalty = 0;
	expect_refusal(o, 4, "repeat_penalty");
	o = plain;
	o.top_p = 1.01f;
	expect_refusal(o, 4, "top_p");
	o = plain;
	o.top_k = -1;
	expect_refusal(o, 4, "top_k");
	o = plain;
	o.repeat_last_n = -1;
	expect_refusal(o, 4, "repeat_last_n");

	struct trit_sampler *s = NULL;
	assert_int_equal(trit_sampler_new(&s, 4, NULL, NULL), 0);
	trit_sampler_free(s);
	trit_sampler_free(NULL);
}

static void test_memory(void **state)
{
	struct trit_sampler_options o = trit_sampler_defaults();
	float l[4] = { 1, 2, 3, 4 };
	struct trit_sampler *s = NULL;
	struct trit_error err;
	(void)state;
	int n = 0, e = TRIT_ERR_MEMORY;
	while (e) {
		trit_mem_fail_after((uint64_t)++n);
		e = trit_sampler_new(&s, 4, &o, &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || (e == TRIT_ERR_MEMORY && s == NULL));
		assert_true(n < 20);
	}
	assert_true(n > 3);
	uint64_t before = trit_mem_count();
	for (int i = 0; i < 100; i++)
		trit_sampler_next(s, l);
	assert_int_equal(trit_mem_count(), before);
	trit_sampler_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_temperature), cmocka_unit_test(test_top_k),      cmocka_unit_test(test_top_p),
		cmocka_unit_test(test_min_p),       cmocka_unit_test(test_penalty),    cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_random),      cmocka_unit_test(test_golden),     cmocka_unit_test(test_chi_square),
		cmocka_unit_test(test_seeds),       cmocka_unit_test(test_arguments),  cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
