/*
 * test_embedding.c - texts as vectors: against golden logits (a head that is the embedding makes logits of states), and
 * that a text's vector depends on its tokens only.
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

#include "run/batch.h"

enum { MAX_TOKENS = 32, MAX_VOCAB = 64, MAX_D = 64 };

struct golden {
	int n_tokens, n_vocab;
	trit_token tokens[MAX_TOKENS];
	double logits[MAX_TOKENS][MAX_VOCAB];
};

static struct golden golden;
static struct trit_model *model;

static int set_up(void **state)
{
	struct trit_error err;
	FILE *f = fopen(TRIT_TEST_DATA "/model/golden_bitnet.txt", "r");

	(void)state;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "tokens %d %d", &golden.n_tokens, &golden.n_vocab), 2);
	assert_true(golden.n_tokens <= MAX_TOKENS && golden.n_vocab <= MAX_VOCAB);
	for (int i = 0; i < golden.n_tokens; i++)
		assert_int_equal(fscanf(f, "%d", &golden.tokens[i]), 1);
	for (int i = 0; i < golden.n_tokens; i++)
		for (int v = 0; v < golden.n_vocab; v++)
			assert_int_equal(fscanf(f, "%lf", &golden.logits[i][v]), 1);
	fclose(f);
	if (trit_model_open_with(&model, TRIT_TEST_DATA "/model/golden_bitnet.gguf",
	                         &(struct trit_model_options){ .head = "exact" }, &err))
		fail_msg("%s", err.message);
	assert_true(trit_model_embedding_width(model) <= MAX_D);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trit_model_close(model);
	return 0;
}

static struct trit_embedder *make(struct trit_embed_options o)
{
	struct trit_embedder *m;
	struct trit_error err;

	if (trit_embedder_new(&m, model, &o, &err))
		fail_msg("%s", err.message);
	return m;
}

static void embed_one(float *out, struct trit_embed_options o, int n)
{
	const trit_token *tokens = golden.tokens;
	size_t len = (size_t)n;
	struct trit_embedder *m = make(o);
	struct trit_error err;

	assert_int_equal(trit_embed(m, 1, &len, &tokens, out, &err), 0);
	trit_embedder_free(m);
}

/* What the head makes of a vector. */
static void check_logits(const float *v, const double *expected)
{
	int d = model->config.d_model;
	float row[MAX_D];

	for (int i = 0; i < golden.n_vocab; i++) {
		double dot = 0;
		model->kernels.row_dense[model->output.type](
		    row, model->output.w + (size_t)i * trit_dense_row_bytes(model->output.type, (size_t)d), d);
		for (int j = 0; j < d; j++)
			dot += (double)row[j] * (double)v[j];
		if (!(fabs(dot - expected[i]) < 3e-5))
			fail_msg("logit %d is %.8g, expected %.8g", i, dot, expected[i]);
	}
}

static void test_poolings(void **state)
{
	struct trit_embed_options o = { .no_scaling = 1, .n_threads = 1, .kv_type = TRIT_KV_F16 };
	double mean[MAX_VOCAB] = { 0 }, length = 0;
	float v[MAX_D], scaled[MAX_D];
	int n = golden.n_tokens;

	(void)state;
	for (int t = 0; t < n; t++)
		for (int i = 0; i < golden.n_vocab; i++)
			mean[i] += golden.logits[t][i] / n;
	embed_one(v, o, n); /* the file says nothing */
	check_logits(v, golden.logits[n - 1]);
	o.pooling = TRIT_POOLING_LAST;
	embed_one(v, o, n - 2);
	check_logits(v, golden.logits[n - 3]);
	o.pooling = TRIT_POOLING_CLS;
	embed_one(v, o, n);
	check_logits(v, golden.logits[0]);
	o.pooling = TRIT_POOLING_MEAN;
	embed_one(v, o, n);
	check_logits(v, mean);
	o.no_scaling = 0;
	embed_one(scaled, o, n);
	for (int j = 0; j < model->config.d_model; j++)
		length += (double)v[j] * (double)v[j];
	for (int j = 0; j < model->config.d_model; j++)
		assert_true(fabs((double)scaled[j] - (double)v[j] / sqrt(length)) < 1e-6);
}

/* Texts of all lengths: together in any batch, by any threads, or alone, the same bits. */
static void test_same_bits(void **state)
{
	enum { N = 9 };
	static float alone[N * MAX_D], together[N * MAX_D];
	const trit_token *tokens[N];
	size_t lengths[N], d = (size_t)model->config.d_model;
	struct trit_error err;

	(void)state;
	for (int kind = TRIT_POOLING_MEAN; kind <= TRIT_POOLING_LAST; kind++) {
		struct trit_embed_options o = { .pooling = (enum trit_pooling)kind, .n_threads = 1, .n_ctx = MAX_TOKENS };
		struct trit_embedder *m = make(o);
		for (int i = 0; i < N; i++) {
			tokens[i] = golden.tokens + i / 3;
			lengths[i] = (size_t)(1 + (i * 5) % (golden.n_tokens - i / 3));
			assert_int_equal(trit_embed(m, 1, &lengths[i], &tokens[i], alone + (size_t)i * d, &err), 0);
		}
		trit_embedder_free(m);
		for (int n_batch = 1; n_batch < 40; n_batch += 4)
			for (int n_sequences = 1; n_sequences < 6; n_sequences += 2) {
				o.n_batch = n_batch;
				o.n_sequences = n_sequences;
				o.n_threads = 1 + n_batch % 3;
				m = make(o);
				for (int twice = 0; twice < 2; twice++) { /* the caches are used again */
					memset(together, 1, sizeof together);
					assert_int_equal(trit_embed(m, N, lengths, tokens, together, &err), 0);
					assert_memory_equal(together, alone, N * d * sizeof *alone);
				}
				trit_embedder_free(m);
			}
	}
}

/* transformers' Qwen3, and Qwen3 and Gemma 3 with BitNet's projections, each with a norm of its own: vectors of texts
 * of several lengths, pooled as the file says. On every tier the same bits. */
static void test_models(void **state)
{
	static const char *const names[] = { "qwen3", "bitnet_qwen3", "bitnet_gemma3" };
	enum { MAX_TEXTS = 4, MAX_WIDTH = 256 };
	static float got[MAX_TEXTS * MAX_WIDTH], first[MAX_TEXTS * MAX_WIDTH];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		double expected[MAX_TEXTS * MAX_WIDTH];
		trit_token list[MAX_TEXTS * MAX_TOKENS];
		const trit_token *tokens[MAX_TEXTS];
		size_t lengths[MAX_TEXTS];
		struct trit_error err;
		char path[512];
		int n, d;

		snprintf(path, sizeof path, "%s/model/embed_%s.txt", TRIT_TEST_DATA, names[i]);
		FILE *f = fopen(path, "r");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "texts %d %d", &n, &d), 2);
		assert_true(n <= MAX_TEXTS && d <= MAX_WIDTH);
		for (int t = 0; t < n; t++) {
			assert_int_equal(fscanf(f, "%zu", &lengths[t]), 1);
			assert_true(lengths[t] <= MAX_TOKENS);
			for (size_t k = 0; k < lengths[t]; k++)
				assert_int_equal(fscanf(f, "%d", &list[(size_t)t * MAX_TOKENS + k]), 1);
			tokens[t] = &list[t * MAX_TOKENS];
			for (int j = 0; j < d; j++)
				assert_int_equal(fscanf(f, "%lf", &expected[t * d + j]), 1);
		}
		fclose(f);
		snprintf(path, sizeof path, "%s/model/embed_%s.gguf", TRIT_TEST_DATA, names[i]);
		for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
			struct trit_model *m;
			struct trit_embedder *e;
			if (!trit_tier_here((enum trit_tier)tier))
				continue;
			const struct trit_model_options mo = { .head = "exact", .cpu = trit_tier_name((enum trit_tier)tier) };
			const struct trit_embed_options eo = { .kv_type = TRIT_KV_F16, .n_threads = 1 + tier % 3,
				                               .n_batch = tier ? 4 : 0, .n_sequences = 2 };
			if (trit_model_open_with(&m, path, &mo, &err) || trit_embedder_new(&e, m, &eo, &err) ||
			    trit_embed(e, (size_t)n, lengths, tokens, got, &err))
				fail_msg("%s", err.message);
			assert_int_equal(m->layers[0].q.quantised, i > 0);
			assert_int_equal(m->layers[0].down.norm.w != NULL, i > 0);
			for (int j = 0; j < n * d && !tier; j++)
				if (!(fabs((double)got[j] - expected[j]) < (i ? 3e-6 : 5e-5)))
					fail_msg("%s: number %d of text %d is %.8g, expected %.8g", names[i], j % d, j / d,
					         (double)got[j], expected[j]);
			if (!tier)
				memcpy(first, got, sizeof first);
			assert_memory_equal(got, first, (size_t)(n * d) * sizeof *got);
			trit_embedder_free(e);
			trit_model_close(m);
		}
	}
}

static void test_no_allocation(void **state)
{
	const trit_token *tokens[2] = { golden.tokens, golden.tokens + 1 };
	size_t lengths[2] = { 5, 7 };
	float out[2 * MAX_D];
	struct trit_embedder *m = make((struct trit_embed_options){ .n_ctx = MAX_TOKENS });
	struct trit_error err;

	(void)state;
	uint64_t before = trit_mem_count();
	assert_int_equal(trit_embed(m, 2, lengths, tokens, out, &err), 0);
	assert_int_equal(trit_mem_count(), before);
	trit_embedder_free(m);
}

static void test_refuse(void **state)
{
	const trit_token bad = golden.n_vocab, *one = &bad, *tokens = golden.tokens;
	size_t n = 1, none = 0, many = 5;
	float out[MAX_D] = { 7 };
	struct trit_embedder *m = make((struct trit_embed_options){ .n_ctx = 4 });
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_embed(m, 1, &n, &one, out, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_embed(m, 1, &none, &tokens, out, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_embed(m, 1, &many, &tokens, out, &err), TRIT_ERR_LIMIT);
	assert_true(out[0] == 7);
	trit_embedder_free(m);
	m = NULL;
	const struct trit_embed_options bads[] = { { .n_ctx = 1 << 20 }, { .n_ctx = -1 }, { .n_sequences = -1 },
		                                   { .n_threads = -1 }, { .n_batch = -1 }, { .kv_type = 9 } };
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++)
		assert_int_equal(trit_embedder_new(&m, model, &bads[i], &err), TRIT_ERR_ARG);
	assert_int_equal(trit_embedder_new(&m, model, &(struct trit_embed_options){ .pooling = 4 }, &err),
	                 TRIT_ERR_UNSUPPORTED);
	for (uint64_t k = 1; k < 40; k++) { /* each allocation fails once; nothing is left behind */
		trit_mem_fail_after(k);
		int e = trit_embedder_new(&m, model, &(struct trit_embed_options){ .n_threads = 1, .n_sequences = 2 }, &err);
		trit_mem_fail_after(0);
		if (!e)
			break;
		assert_int_equal(e, TRIT_ERR_MEMORY);
	}
	assert_non_null(m);
	trit_embedder_free(m);
	trit_embedder_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poolings),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_no_allocation),
		cmocka_unit_test(test_refuse),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
