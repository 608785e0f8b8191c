/*
 * test_perplexity.c - the perplexity of random tokens under the small model of tests/data, against the rule applied
 * token by token through the public interface.
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
#include "base/rng.h"
#include "eval/perplexity.h"

#define MODEL TRIT_TEST_DATA "/model/tiny.gguf"
#define N 103
#define N_CTX 25 /* 4 chunks and 3 tokens left over; an odd size, so that the halves differ */

static struct trit_model *model;
static trit_token tokens[N];

static int set_up(void **state)
{
	struct trit_error err = { 0 };
	struct trit_rng rng;
	(void)state;
	if (trit_model_open(&model, MODEL, &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	trit_rng_init(&rng, 11);
	for (int i = 0; i < N; i++)
		tokens[i] = (trit_token)trit_rng_below(&rng, (uint64_t)trit_model_vocab_size(model));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trit_model_close(model);
	return 0;
}

static struct trit_perplexity measure(struct trit_perplexity_options o)
{
	struct trit_perplexity p;
	struct trit_error err = { 0 };
	if (trit_perplexity_measure(&p, model, N, tokens, &o, &err))
		fail_msg("%s", err.message);
	return p;
}

/* -ln of the probability that the session gives to `target` next. */
static long double surprise(const struct trit_session *s, trit_token target)
{
	const float *l = trit_session_logits(s);
	long double sum = 0;
	for (int i = 0; i < trit_model_vocab_size(model); i++)
		sum += expl((long double)l[i] - (long double)l[target]);
	return logl(sum);
}

static void test_rule(void **state)
{
	struct trit_session *s = NULL;
	long double nll[N], sum = 0, squares = 0;
	int count = 0;
	(void)state;
	bool add_bos = trit_tokenizer_vocab(model->tokenizer)->add_bos;
	assert_int_equal(trit_session_new(&s, model, &(struct trit_session_options){ .n_threads = 1 }, NULL), 0);
	for (int chunk = 0; chunk < 4; chunk++) {
		const trit_token *t = tokens + chunk * N_CTX;
		trit_token bos = trit_token_bos(model);
		trit_session_rewind(s, 0);
		assert_int_equal(trit_session_feed(s, 1, add_bos ? &bos : t, NULL), 0);
		for (int j = 1; j <= N_CTX - 2; j++) {
			assert_int_equal(trit_session_feed(s, 1, t + j, NULL), 0);
			if (j >= 12) /* 25 / 2 */
				nll[count++] = surprise(s, t[j + 1]);
		}
	}
	trit_session_free(s);
	assert_int_equal(count, 4 * 12); /* j = 12..23 */
	for (int i = 0; i < count; i++)
		sum += nll[i];
	long double mean = sum / count;
	for (int i = 0; i < count; i++)
		squares += (nll[i] - mean) * (nll[i] - mean);
	double error = (double)(expl(mean) * sqrtl(squares / count / (count - 1)));

	struct trit_perplexity p = measure((struct trit_perplexity_options){ .n_ctx = N_CTX, .n_threads = 1 });
	assert_int_equal(p.n_chunks, 4);
	assert_int_equal(p.count, count);
	assert_true(fabs(p.nll - (double)sum) < 1e-6 * (double)sum);
	assert_true(fabs(trit_perplexity_value(&p) / (double)expl(mean) - 1) < 1e-6);
	assert_true(error > 0 && fabs(trit_perplexity_error(&p) / error - 1) < 1e-4);
}

static void test_same_bits(void **state)
{
	static const struct { int batch, threads; } ways[] = { { 1, 1 }, { 3, 2 }, { 7, 3 }, { 512, 2 }, { 0, 0 } };
	(void)state;
	struct trit_perplexity first = measure((struct trit_perplexity_options){ .n_ctx = N_CTX, .n_threads = 1 });
	for (int i = 0; i < 5; i++) {
		struct trit_perplexity p = measure((struct trit_perplexity_options){
			.n_ctx = N_CTX, .n_batch = ways[i].batch, .n_threads = ways[i].threads });
		assert_true(p.nll == first.nll && p.nll2 == first.nll2 && p.count == first.count);
	}
}

static bool stop_at_two(void *arg, const struct trit_perplexity *so_far, int n_chunks)
{
	int *calls = arg;
	assert_int_equal(so_far->n_chunks, ++*calls);
	assert_int_equal(n_chunks, 4);
	return *calls < 2;
}

static void test_part(void **state)
{
	int calls = 0;
	(void)state;
	struct trit_perplexity two =
	    measure((struct trit_perplexity_options){ .n_ctx = N_CTX, .n_threads = 1, .n_chunks = 2 });
	assert_int_equal(two.n_chunks, 2);
	struct trit_perplexity stopped = measure((struct trit_perplexity_options){
		.n_ctx = N_CTX, .n_threads = 1, .progress = stop_at_two, .arg = &calls });
	assert_true(two.nll == stopped.nll && two.count == stopped.count && stopped.n_chunks == 2);

	struct trit_perplexity none = { 0 };
	assert_true(isnan(trit_perplexity_value(&none)));
	assert_true(isnan(trit_perplexity_error(&none)));
}

static void expect_refusal(struct trit_perplexity_options o, size_t n, const trit_token *t, const char *word)
{
	struct trit_perplexity p = { .count = -7 };
	struct trit_error err;
	assert_int_equal(trit_perplexity_measure(&p, model, n, t, &o, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, word));
	assert_int_equal(p.count, -7);
}

static void test_errors(void **state)
{
	struct trit_perplexity_options o = { .n_ctx = N_CTX };
	trit_token bad[2 * N_CTX] = { 0 };
	(void)state;
	expect_refusal(o, 2 * N_CTX - 1, tokens, "at least 50");
	expect_refusal(o, 0, tokens, "at least 50");
	bad[49] = trit_model_vocab_size(model);
	expect_refusal(o, 2 * N_CTX, bad, "vocabulary");
	bad[49] = -1;
	expect_refusal(o, 2 * N_CTX, bad, "vocabulary");
	o.n_ctx = trit_model_context_length(model) + 1;
	expect_refusal(o, N, tokens, "context");
	o.n_ctx = 3;
	expect_refusal(o, N, tokens, "context");
	o.n_ctx = N_CTX;
	o.n_threads = -1;
	expect_refusal(o, N, tokens, "threads");
}

static void test_memory(void **state)
{
	struct trit_perplexity_options o = { .n_ctx = N_CTX, .n_threads = 2 };
	struct trit_perplexity p;
	struct trit_error err;
	int e = TRIT_ERR_MEMORY, n = 0;
	(void)state;
	while (e) {
		trit_mem_fail_after((uint64_t)++n);
		e = trit_perplexity_measure(&p, model, N, tokens, &o, &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || e == TRIT_ERR_MEMORY);
		assert_true(n < 100);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),   cmocka_unit_test(test_same_bits), cmocka_unit_test(test_part),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
