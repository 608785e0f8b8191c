/*
 * test_forward.c - logits of small models against tests/reference/make_forward_golden.py, an implementation in NumPy
 * that shares nothing with this one; files written by llama.cpp's gguf package.
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

#include "model/forward.h"

static const char *const names[] = { "bitnet", "bitnet_b158", "bitnet_a48", "bitnet_v2", "llama" };
enum { N_NAMES = sizeof names / sizeof *names, MAX_TOKENS = 32, MAX_LOGITS = 4096 };

/*
 * The reference is double, ours fp32: at these depths and widths up to 2.5e-7 of the largest logit lies between them.
 * The reference's models have no code near a tie; one that rounds to another side moves a logit by 1e-3 and more.
 */
#define TOLERANCE 3e-6

struct golden {
	int n_tokens, n_vocab;
	trit_token tokens[MAX_TOKENS];
	double logits[MAX_LOGITS]; /* [n_tokens, n_vocab] */
};

static void read_golden(struct golden *g, const char *name)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/model/golden_%s.txt", TRIT_TEST_DATA, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "tokens %d %d", &g->n_tokens, &g->n_vocab), 2);
	assert_true(g->n_tokens <= MAX_TOKENS && g->n_tokens * g->n_vocab <= MAX_LOGITS);
	for (int i = 0; i < g->n_tokens; i++)
		assert_int_equal(fscanf(f, "%d", &g->tokens[i]), 1);
	for (int i = 0; i < g->n_tokens * g->n_vocab; i++)
		assert_int_equal(fscanf(f, "%lf", &g->logits[i]), 1);
	fclose(f);
}

static struct trit_model *load_golden(const char *name, const char *cpu)
{
	struct trit_model *m;
	struct trit_error err;
	char path[512];

	snprintf(path, sizeof path, "%s/model/golden_%s.gguf", TRIT_TEST_DATA, name);
	if (trit_model_open_with(&m, path, &(struct trit_model_options){ .cpu = cpu, .head = "exact" }, &err))
		fail_msg("%s", err.message);
	return m;
}

/* Logits of all tokens, `step` of them at a time. */
static void run(float *logits, const struct trit_model *m, const struct golden *g, int step, int threads)
{
	struct trit_batch_token batch[MAX_TOKENS];
	struct trit_forward f;
	struct trit_kv kv;
	struct trit_pool *pool;
	struct trit_error err;

	assert_int_equal(trit_pool_new(&pool, threads, &err), 0);
	assert_int_equal(trit_kv_init(&kv, &m->config, TRIT_KV_F16, MAX_TOKENS, &err), 0);
	assert_int_equal(trit_forward_init(&f, m, pool, step, step, MAX_TOKENS, &err), 0);
	for (int i = 0; i < g->n_tokens; i += step) {
		int n = g->n_tokens - i < step ? g->n_tokens - i : step;
		for (int j = 0; j < n; j++)
			batch[j] = (struct trit_batch_token){ g->tokens[i + j], i + j, &kv, true };
		trit_forward_run(&f, n, batch);
		kv.length += n;
		memcpy(logits + i * g->n_vocab, f.logits, (size_t)(n * g->n_vocab) * sizeof *logits);
	}
	trit_forward_release(&f);
	trit_kv_release(&kv);
	trit_pool_free(pool);
}

static int argmax(const double *x, int n)
{
	int best = 0;

	for (int i = 1; i < n; i++)
		best = x[i] > x[best] ? i : best;
	return best;
}

static void test_golden(void **state)
{
	static struct golden g;
	static float logits[MAX_LOGITS], again[MAX_LOGITS];

	(void)state;
	for (int i = 0; i < N_NAMES; i++) {
		double most = 0, row[MAX_LOGITS];
		read_golden(&g, names[i]);
		struct trit_model *m = load_golden(names[i], "c");
		assert_int_equal(trit_model_vocab_size(m), g.n_vocab);
		assert_int_equal(m->layers[0].q.quantised, strcmp(names[i], "llama") != 0);
		run(logits, m, &g, g.n_tokens, 1);
		for (int j = 0; j < g.n_tokens * g.n_vocab; j++)
			most = fmax(most, fabs(g.logits[j]));
		for (int t = 0; t < g.n_tokens; t++) {
			for (int v = 0; v < g.n_vocab; v++) {
				double got = row[v] = logits[t * g.n_vocab + v], expected = g.logits[t * g.n_vocab + v];
				if (!(fabs(got - expected) <= TOLERANCE * most))
					fail_msg("%s: logit %d of token %d is %.8g, expected %.8g", names[i], v, t, got, expected);
			}
			assert_int_equal(argmax(row, g.n_vocab), argmax(g.logits + t * g.n_vocab, g.n_vocab));
		}
		trit_model_close(m);

		/* To the bit: token by token, in pieces, by threads, on every tier. */
		size_t bytes = (size_t)(g.n_tokens * g.n_vocab) * sizeof *logits;
		for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
			if (!trit_tier_here((enum trit_tier)tier))
				continue;
			m = load_golden(names[i], trit_tier_name((enum trit_tier)tier));
			for (int step = 1; step <= g.n_tokens; step += 3) {
				run(again, m, &g, step, step < 5 ? step : 2);
				assert_memory_equal(again, logits, bytes);
			}
			trit_model_close(m);
		}
	}
}

/* Sequences that share a batch do not see each other. */
static void test_two_sequences(void **state)
{
	static struct golden g;
	static float alone[MAX_LOGITS];
	struct trit_batch_token batch[2 * MAX_TOKENS];
	struct trit_error err;

	(void)state;
	for (int i = 0; i < N_NAMES; i++) {
		struct trit_kv kv[2];
		struct trit_forward f;
		read_golden(&g, names[i]);
		struct trit_model *m = load_golden(names[i], NULL);
		int n = 0, v = g.n_vocab;
		run(alone, m, &g, 4, 1);
		assert_int_equal(trit_forward_init(&f, m, NULL, 2 * g.n_tokens, g.n_tokens, MAX_TOKENS, &err), 0);
		for (int s = 0; s < 2; s++)
			assert_int_equal(trit_kv_init(&kv[s], &m->config, TRIT_KV_F16, MAX_TOKENS, &err), 0);
		for (int t = 0; t < g.n_tokens; t++) { /* the other sequence: the tokens backwards, without logits */
			batch[n++] = (struct trit_batch_token){ g.tokens[t], t, &kv[0], true };
			batch[n++] = (struct trit_batch_token){ g.tokens[g.n_tokens - 1 - t], t, &kv[1], false };
		}
		trit_forward_run(&f, n, batch);
		assert_memory_equal(f.logits, alone, (size_t)(g.n_tokens * v) * sizeof *alone);
		for (int s = 0; s < 2; s++)
			trit_kv_release(&kv[s]);
		trit_forward_release(&f);
		trit_model_close(m);
	}
}

static void test_no_memory(void **state)
{
	struct trit_model *m = load_golden("bitnet", NULL);
	struct trit_forward f;
	struct trit_kv kv;
	struct trit_error err;

	(void)state;
	trit_mem_fail_after(1);
	assert_int_equal(trit_forward_init(&f, m, NULL, 4, 1, 8, &err), TRIT_ERR_MEMORY);
	trit_mem_fail_after(1);
	assert_int_equal(trit_kv_init(&kv, &m->config, TRIT_KV_F16, 8, &err), TRIT_ERR_MEMORY);
	assert_non_null(strstr(err.message, "smaller context"));
	trit_mem_fail_after(0);
	trit_model_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_two_sequences),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
