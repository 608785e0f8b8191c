/*
 * test_session.c - sessions over the small model of tests/data: the same bits however the tokens arrive and whoever
 * computes; failures that change nothing; no allocation after set-up, and every allocation of set-up failing once.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/model.h"

#define MODEL TRIT_TEST_DATA "/model/tiny.gguf"
#define N 119 /* tokens of the prompt: a batch of 64 and a rest; the model's context is 128 */

static struct trit_model *model;
static trit_token prompt[N];
static float *expected; /* [V]: logits after the prompt, fed at once, one thread, plain C */
static size_t row_bytes;

static struct trit_session *session(const struct trit_model *m, int n_ctx, int n_threads, int n_batch)
{
	struct trit_session_options o = { .n_ctx = n_ctx, .n_threads = n_threads, .n_batch = n_batch };
	struct trit_session *s = NULL;
	struct trit_error err = { 0 };
	if (trit_session_new(&s, m, &o, &err))
		fail_msg("%s", err.message);
	return s;
}

static int open_on(struct trit_model **m, const char *cpu, struct trit_error *err)
{
	return trit_model_open_with(m, MODEL, &(struct trit_model_options){ .cpu = cpu }, err);
}

static int set_up(void **state)
{
	struct trit_model *plain = NULL;
	struct trit_error err = { 0 };
	struct trit_rng rng;
	(void)state;
	if (trit_model_open(&model, MODEL, &err) || open_on(&plain, "c", &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	int v = trit_model_vocab_size(model);
	trit_rng_init(&rng, 3);
	for (int i = 0; i < N; i++)
		prompt[i] = (trit_token)trit_rng_below(&rng, (uint64_t)v);
	row_bytes = (size_t)v * sizeof(float);
	expected = trit_calloc((size_t)v, sizeof(float));
	struct trit_session *s = session(plain, 0, 1, N);
	if (!expected || trit_session_feed(s, N, prompt, &err))
		return -1;
	memcpy(expected, trit_session_logits(s), row_bytes);
	trit_session_free(s);
	trit_model_close(plain);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trit_free(expected);
	trit_model_close(model);
	return 0;
}

/* Feeds the prompt in pieces; the logits at the end must be the expected ones to the bit. */
static void check(struct trit_session *s, int piece)
{
	for (int i = trit_session_length(s); i < N; i += piece)
		assert_int_equal(trit_session_feed(s, (size_t)(i + piece < N ? piece : N - i), prompt + i, NULL), 0);
	assert_int_equal(trit_session_length(s), N);
	assert_memory_equal(trit_session_logits(s), expected, row_bytes);
	for (size_t i = 0; i < row_bytes / sizeof(float); i++)
		assert_true(expected[i] > -1e6f && expected[i] < 1e6f);
}

static void test_pieces(void **state)
{
	static const int pieces[] = { 1, 7, 64, N }, batches[] = { 0, 1, 7, 64 };
	(void)state;
	for (int b = 0; b < 4; b++) {
		struct trit_session *s = session(model, 0, 1, batches[b]);
		for (int p = 0; p < 4; p++) {
			trit_session_rewind(s, 0);
			check(s, pieces[p]);
		}
		trit_session_free(s);
	}
}

/* A quantised cache moves the logits, and only a little; for all else it is as the other. */
static void test_kv_types(void **state)
{
	/* of the largest logit */
	static const double most[] = { [TRIT_KV_Q8] = 0.02, [TRIT_KV_Q4] = 0.3, [TRIT_KV_F32] = 0.02 };
	size_t n = row_bytes / sizeof(float);
	float *first = trit_calloc(n, sizeof *first), *half = trit_calloc(n, sizeof *half);
	double largest = 0;
	(void)state;
	assert_non_null(first);
	assert_non_null(half);
	for (int type = TRIT_KV_F16; type <= TRIT_KV_Q8; type++)
		for (int way = 0; way < 3; way++) {
			struct trit_session_options o = { .kv_type = (enum trit_kv_type)type, .n_threads = way + 1,
				                          .n_batch = way == 1 ? 7 : 0 };
			struct trit_session *s = NULL;
			assert_int_equal(trit_session_new(&s, model, &o, NULL), 0);
			for (int i = 0; i < N; i += way == 2 ? 1 : N)
				assert_int_equal(trit_session_feed(s, way == 2 ? 1 : N, prompt + i, NULL), 0);
			if (way == 0)
				memcpy(first, trit_session_logits(s), row_bytes);
			assert_memory_equal(first, trit_session_logits(s), row_bytes);
			trit_session_free(s);
			if (way == 0 && type == TRIT_KV_F16) {
				memcpy(half, first, row_bytes);
				for (size_t i = 0; i < n; i++)
					largest = fabs((double)half[i]) > largest ? fabs((double)half[i]) : largest;
			} else if (way == 0) {
				assert_memory_not_equal(first, half, row_bytes);
				for (size_t i = 0; i < n; i++)
					assert_true(fabs((double)first[i] - (double)half[i]) <= most[type] * largest);
			}
			/* Of a ternary model, as this is, 8 bits are the default. */
			if (type == TRIT_KV_Q8)
				assert_memory_equal(first, expected, row_bytes);
		}
	trit_free(half);
	trit_free(first);
}

static void test_threads(void **state)
{
	static const int threads[] = { 0, 1, 2, 3, 7 };
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct trit_session *s = session(model, 0, threads[i], 64);
		check(s, N);
		trit_session_free(s);
	}
}

static void test_tiers(void **state)
{
	(void)state;
	for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
		struct trit_model *m = NULL;
		if (!trit_tier_here((enum trit_tier)tier))
			continue;
		assert_int_equal(open_on(&m, trit_tier_name((enum trit_tier)tier), NULL), 0);
		assert_int_equal(m->kernels.tier, tier);
		struct trit_session *s = session(m, 0, 2, 0);
		check(s, 64);
		trit_session_free(s);
		trit_model_close(m);
	}
	struct trit_model *m = NULL;
	struct trit_error err;
	assert_int_equal(open_on(&m, "z80", &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "z80"));
	assert_null(m);
}

static void test_rewind(void **state)
{
	(void)state;
	struct trit_session *s = session(model, N, 1, 0);
	assert_null(trit_session_logits(s));
	assert_int_equal(trit_session_capacity(s), N);
	check(s, N);
	for (int keep = N - 1; keep >= 0; keep -= 29) {
		trit_session_rewind(s, keep);
		assert_int_equal(trit_session_length(s), keep);
		assert_null(trit_session_logits(s));
		/* a wrong turn in between must leave no trace */
		assert_int_equal(trit_session_feed(s, 1, &prompt[0], NULL), 0);
		trit_session_rewind(s, keep);
		check(s, 16);
	}
	trit_session_free(s);
}

static void test_feed_errors(void **state)
{
	struct trit_error err;
	trit_token bad[3] = { 1, 2, 0 };
	(void)state;
	struct trit_session *s = session(model, N + 2, 1, 2);
	check(s, N);
	assert_int_equal(trit_session_feed(s, 0, bad, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_session_feed(s, 3, bad, &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_session_feed(s, SIZE_MAX, bad, &err), TRIT_ERR_LIMIT);
	bad[1] = trit_model_vocab_size(model);
	assert_int_equal(trit_session_feed(s, 2, bad, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "number 2 of 2"));
	bad[1] = -1;
	assert_int_equal(trit_session_feed(s, 2, bad, NULL), TRIT_ERR_ARG);
	check(s, 1); /* length and logits are as they were */
	bad[1] = 2;
	assert_int_equal(trit_session_feed(s, 2, bad, &err), 0);
	assert_int_equal(trit_session_feed(s, 1, bad, &err), TRIT_ERR_LIMIT);
	trit_session_free(s);
}

static void test_options(void **state)
{
	struct trit_session *s = NULL;
	struct trit_error err;
	int n_ctx = trit_model_context_length(model);
	const struct trit_session_options bad[] = {
		{ .n_ctx = -1 },     { .n_ctx = n_ctx + 1 }, { .n_threads = -1 },
		{ .n_threads = 257 }, { .n_batch = -1 },      { .n_batch = 1 << 20 },
		{ .kv_type = (enum trit_kv_type)5 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(trit_session_new(&s, model, &bad[i], &err), TRIT_ERR_ARG);
		assert_null(s);
	}
	assert_int_equal(trit_session_new(&s, model, NULL, &err), 0);
	assert_int_equal(trit_session_capacity(s), n_ctx);
	assert_int_equal(trit_session_length(s), 0);
	trit_session_free(s);
	trit_session_free(NULL);
}

static void test_no_allocation(void **state)
{
	struct trit_sampler *sampler = NULL;
	(void)state;
	struct trit_session *s = session(model, 0, 2, 32);
	assert_int_equal(trit_sampler_new(&sampler, trit_model_vocab_size(model), NULL, NULL), 0);
	uint64_t before = trit_mem_count();
	check(s, N);
	for (int i = 0; i < 9; i++) {
		trit_token t = trit_sampler_next(sampler, trit_session_logits(s));
		assert_int_equal(trit_session_feed(s, 1, &t, NULL), 0);
	}
	trit_session_rewind(s, 3);
	check(s, 50);
	assert_int_equal(trit_mem_count(), before);
	trit_sampler_free(sampler);
	trit_session_free(s);
}

static void test_failing_allocation(void **state)
{
	struct trit_model *m = NULL;
	struct trit_session *s = NULL;
	struct trit_error err;
	int e = TRIT_ERR_MEMORY;
	uint64_t n;
	(void)state;
	for (n = 0; e; n++) {
		trit_mem_fail_after(n + 1);
		e = trit_model_open(&m, MODEL, &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || (e == TRIT_ERR_MEMORY && m == NULL && err.message[0]));
		assert_true(n < 100000);
	}
	assert_true(n > 5);
	e = TRIT_ERR_MEMORY;
	for (n = 0; e; n++) {
		trit_mem_fail_after(n + 1);
		e = trit_session_new(&s, m, &(struct trit_session_options){ .n_threads = 2 }, &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || (e == TRIT_ERR_MEMORY && s == NULL && err.message[0]));
		assert_true(n < 1000);
	}
	assert_true(n > 4);
	check(s, N);
	trit_session_free(s);
	trit_model_close(m);
	trit_model_close(NULL);
}

/* Two sessions of one model at the same time, each on a thread of its own. */
static void *use_session(void *arg)
{
	for (int round = 0; round < 3; round++) {
		trit_session_rewind(arg, 0);
		for (int i = 0; i < N; i += 17) /* 119 = 7 * 17 */
			if (trit_session_feed(arg, 17, prompt + i, NULL))
				return NULL;
	}
	return arg;
}

static void test_shared_model(void **state)
{
	pthread_t threads[2];
	struct trit_session *s[2];
	(void)state;
	for (int i = 0; i < 2; i++) {
		s[i] = session(model, 0, 2, 0);
		assert_int_equal(pthread_create(&threads[i], NULL, use_session, s[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		void *result;
		pthread_join(threads[i], &result);
		assert_non_null(result);
		check(s[i], 1);
		trit_session_free(s[i]);
	}
}

static void test_tokens(void **state)
{
	static const char text[] = "Once upon a time, a \xc3\xa9tude \xff of\0 three.";
	trit_token tokens[sizeof text + 1], few[2];
	struct trit_error err;
	char back[sizeof text];
	size_t n = 0, n_few = 0, len = 0;
	(void)state;
	assert_int_equal(trit_tokenize(model, sizeof text, text, 0, sizeof text + 1, tokens, &n, &err), 0);
	assert_true(n > 3 && n <= sizeof text);
	for (size_t i = 0; i < n; i++) {
		size_t bytes;
		const char *t = trit_token_bytes(model, tokens[i], &bytes);
		assert_true(bytes > 0 && len + bytes <= sizeof back);
		memcpy(back + len, t, bytes);
		len += bytes;
		assert_int_equal(trit_token_is_end(model, tokens[i]), 0);
	}
	assert_int_equal(len, sizeof text);
	assert_memory_equal(back, text, len);

	assert_int_equal(trit_tokenize(model, sizeof text, text, 0, 2, few, &n_few, &err), TRIT_ERR_LIMIT);
	assert_int_equal(n_few, n);
	assert_memory_equal(few, tokens, sizeof few);
	assert_int_equal(trit_tokenize(model, 0, NULL, 0, 0, NULL, &n_few, &err), 0);
	assert_int_equal(n_few, 0);

	trit_token end = trit_token_eos(model), begin = trit_token_bos(model);
	size_t bytes = 99;
	assert_true(end >= 0 && begin >= 0);
	assert_int_equal(trit_token_is_end(model, end), 1);
	assert_int_equal(trit_token_is_end(model, -1), 0);
	trit_token_bytes(model, end, &bytes);
	assert_int_equal(bytes, 0);
	assert_int_equal(trit_tokenize(model, 2, "hi", TRIT_TOKENIZE_BOS, sizeof text, tokens, &n, &err), 0);
	assert_int_equal(tokens[0], begin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),        cmocka_unit_test(test_kv_types),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_tiers),         cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_feed_errors),   cmocka_unit_test(test_options),
		cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_failing_allocation),
		cmocka_unit_test(test_shared_model),  cmocka_unit_test(test_tokens),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
