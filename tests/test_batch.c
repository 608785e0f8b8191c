/*
 * test_batch.c - sequences computed together: the same logits, bit for bit, as alone, whatever shares the run; slots
 * reused; failures that change nothing; no allocation after set-up, and every allocation of set-up failing once.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "run/batch.h"

#define MODEL TRIT_TEST_DATA "/model/tiny.gguf"

enum { N_SEQ = 5, LONGEST = 90, STEPS = 12, N_CTX = LONGEST + STEPS };

static struct trit_model *model;
static size_t row_bytes;
static trit_token tokens[N_SEQ][N_CTX];
static const int prompts[N_SEQ] = { 1, 17, LONGEST, 3, 40 }; /* lengths */
static float *alone[N_SEQ];                                  /* [1 + STEPS, V]: after the prompt and each step */

static int set_up(void **state)
{
	struct trit_error err;
	struct trit_rng rng;
	(void)state;
	if (trit_model_open(&model, MODEL, &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	size_t v = (size_t)trit_model_vocab_size(model);
	row_bytes = v * sizeof(float);
	trit_rng_init(&rng, 8);
	for (int s = 0; s < N_SEQ; s++) {
		struct trit_session *session = NULL;
		alone[s] = trit_calloc((1 + STEPS) * v, sizeof(float));
		for (int i = 0; i < N_CTX; i++)
			tokens[s][i] = (trit_token)trit_rng_below(&rng, v);
		if (!alone[s] || trit_session_new(&session, model, &(struct trit_session_options){ .n_threads = 1 }, &err) ||
		    trit_session_feed(session, (size_t)prompts[s], tokens[s], &err))
			return -1;
		for (int i = 0; i <= STEPS; i++) {
			memcpy(alone[s] + (size_t)i * v, trit_session_logits(session), row_bytes);
			if (i < STEPS && trit_session_feed(session, 1, &tokens[s][prompts[s] + i], &err))
				return -1;
		}
		trit_session_free(session);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int s = 0; s < N_SEQ; s++)
		trit_free(alone[s]);
	trit_model_close(model);
	return 0;
}

static struct trit_batch *new_batch(struct trit_pool *pool, int n_sequences, int n_batch)
{
	struct trit_batch_options o = { .n_sequences = n_sequences, .n_ctx = N_CTX, .n_batch = n_batch };
	struct trit_batch *b = NULL;
	struct trit_error err;
	if (trit_batch_new(&b, model, pool, &o, &err))
		fail_msg("%s", err.message);
	return b;
}

static void check_row(const struct trit_batch *b, int slot, int s, int step)
{
	const float *logits = trit_batch_logits(b, slot);
	assert_non_null(logits);
	assert_memory_equal(logits, alone[s] + (size_t)step * (row_bytes / sizeof(float)), row_bytes);
}

/* All sequences, in slots in reverse order; those whose prompt is done decode while others still read theirs. */
static void run_all(struct trit_batch *b)
{
	int fed[N_SEQ] = { 0 }, finished = 0;
	while (finished < N_SEQ) {
		bool wanted[N_SEQ] = { false };
		finished = 0;
		for (int s = 0; s < N_SEQ; s++) {
			int left = prompts[s] - fed[s], room = trit_batch_room(b) - (N_SEQ - 1 - s); /* one for each other */
			int n = left <= 0 ? fed[s] < prompts[s] + STEPS : left < room ? left : room;
			if (n > 0) {
				wanted[s] = fed[s] + n >= prompts[s];
				trit_batch_put(b, N_SEQ - 1 - s, n, tokens[s] + fed[s], wanted[s]);
				fed[s] += n;
			}
			assert_int_equal(trit_batch_length(b, N_SEQ - 1 - s), fed[s]);
			finished += fed[s] == prompts[s] + STEPS;
		}
		trit_batch_run(b);
		for (int s = 0; s < N_SEQ; s++) {
			if (wanted[s])
				check_row(b, N_SEQ - 1 - s, s, fed[s] - prompts[s]);
			else
				assert_null(trit_batch_logits(b, N_SEQ - 1 - s));
		}
	}
}

static void test_together(void **state)
{
	static const int threads[] = { 1, 3 }, batches[] = { 1, N_SEQ + 1, 32, 200 };
	(void)state;
	for (int t = 0; t < 2; t++) {
		struct trit_pool *pool;
		assert_int_equal(trit_pool_new(&pool, threads[t], NULL), 0);
		for (int i = 0; i < 4; i++) {
			struct trit_batch *b = new_batch(pool, N_SEQ, batches[i]);
			assert_int_equal(trit_batch_room(b), batches[i] > N_SEQ ? batches[i] : N_SEQ);
			uint64_t before = trit_mem_count();
			for (int round = 0; round < 2; round++) {
				run_all(b);
				for (int s = 0; s < N_SEQ; s++)
					trit_batch_rewind(b, s, 0);
			}
			assert_int_equal(trit_mem_count(), before);
			trit_batch_free(b);
		}
		trit_pool_free(pool);
	}
}

/* A slot goes back, then takes another sequence, while its neighbour goes on. */
static void test_rewind(void **state)
{
	(void)state;
	struct trit_batch *b = new_batch(NULL, 2, 128);
	trit_batch_put(b, 0, prompts[1], tokens[1], true);
	trit_batch_put(b, 1, prompts[4], tokens[4], true);
	trit_batch_run(b);
	check_row(b, 0, 1, 0);
	check_row(b, 1, 4, 0);
	trit_batch_rewind(b, 0, prompts[1] - 5);
	assert_null(trit_batch_logits(b, 0));
	check_row(b, 1, 4, 0);
	assert_int_equal(trit_batch_length(b, 0), prompts[1] - 5);
	trit_batch_rewind(b, 0, 1000);
	assert_int_equal(trit_batch_length(b, 0), prompts[1] - 5);
	/* Two puts to one sequence in a run follow each other. */
	trit_batch_put(b, 0, 2, tokens[1] + prompts[1] - 5, false);
	trit_batch_put(b, 1, 1, tokens[4] + prompts[4], true);
	trit_batch_put(b, 0, 3, tokens[1] + prompts[1] - 3, true);
	trit_batch_run(b);
	check_row(b, 0, 1, 0);
	check_row(b, 1, 4, 1);
	trit_batch_rewind(b, 0, -1);
	trit_batch_put(b, 0, prompts[2], tokens[2], true);
	trit_batch_run(b);
	check_row(b, 0, 2, 0);
	assert_null(trit_batch_logits(b, 1));
	trit_batch_free(b);
}

static void test_check(void **state)
{
	struct trit_error err;
	trit_token bad[3] = { 0, 1, 2 };
	(void)state;
	struct trit_batch *b = new_batch(NULL, 2, 8);
	assert_int_equal(trit_batch_check(b, 0, N_CTX, tokens[0], &err), 0);
	assert_int_equal(trit_batch_check(b, 1, 0, bad, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_batch_check(b, 1, N_CTX + 1, tokens[0], &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_batch_check(b, 1, SIZE_MAX, tokens[0], &err), TRIT_ERR_LIMIT);
	trit_batch_put(b, 1, 4, tokens[0], false); /* what was put counts */
	assert_int_equal(trit_batch_check(b, 1, N_CTX - 4, tokens[0], &err), 0);
	assert_int_equal(trit_batch_check(b, 1, N_CTX - 3, tokens[0], &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_batch_room(b), 4);
	bad[1] = trit_model_vocab_size(model);
	assert_int_equal(trit_batch_check(b, 0, 3, bad, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "number 2 of 3"));
	trit_batch_free(b);
}

static void test_options(void **state)
{
	struct trit_batch *b = NULL;
	struct trit_error err;
	const struct trit_batch_options bad[] = {
		{ 0, 8, 8, 0 }, { TRIT_MAX_BATCH + 1, 8, 8, 0 }, { 1, 0, 8, 0 }, { 1, TRIT_MAX_CTX + 1, 8, 0 },
		{ 1, 8, 0, 0 }, { 1, 8, TRIT_MAX_BATCH + 1, 0 }, { 1, 8, 8, (enum trit_kv_type)5 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(trit_batch_new(&b, model, NULL, &bad[i], &err), TRIT_ERR_ARG);
	/* terabytes: refused before the system has to promise them */
	struct trit_batch_options large = { TRIT_MAX_BATCH, TRIT_MAX_CTX, 8, TRIT_KV_F16 };
	assert_int_equal(trit_batch_new(&b, model, NULL, &large, &err), TRIT_ERR_MEMORY);
	assert_non_null(strstr(err.message, "16384 sequences"));
	assert_null(b);
	trit_batch_free(NULL);
}

static void test_failing_allocation(void **state)
{
	const struct trit_batch_options o = { .n_sequences = 3, .n_ctx = 16, .n_batch = 8 };
	struct trit_batch *b = NULL;
	struct trit_error err;
	int e = TRIT_ERR_MEMORY;
	uint64_t n;
	(void)state;
	for (n = 0; e; n++) {
		trit_mem_fail_after(n + 1);
		e = trit_batch_new(&b, model, NULL, &o, &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || (e == TRIT_ERR_MEMORY && b == NULL && err.message[0]));
		assert_true(n < 1000);
	}
	assert_true(n > 6);
	trit_batch_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together), cmocka_unit_test(test_rewind),  cmocka_unit_test(test_check),
		cmocka_unit_test(test_options),  cmocka_unit_test(test_failing_allocation),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
