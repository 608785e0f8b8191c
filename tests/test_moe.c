/*
 * test_moe.c - mixtures of experts: the choice of experts and the sorting of tokens by hand, whole networks against
 * transformers' logits, and that nothing of a token's result depends on what is beside it.
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

#include "base/num.h"
#include "convert/convert.h"
#include "model/forward.h"
#include "scratch.h"

static const char *const names[] = { "mixtral", "qwen2moe", "qwen3moe", "ternary" };
enum { N_NAMES = sizeof names / sizeof *names, MAX_TOKENS = 16, MAX_LOGITS = 1024 };

static struct trit_kernels kernels;

static int set_up(void **state)
{
	(void)state;
	trit_kernels_fill(&kernels, TRIT_TIER_C);
	return 0;
}

static void check_close(float got, double want)
{
	if (!(fabs((double)got - want) <= 1e-6))
		fail_msg("%.8g, expected %.8g", (double)got, want);
}

/* Experts come in ascending order; of equal scores the first is taken. */
static void test_select_softmax(void **state)
{
	struct trit_moe_config c = { .n_experts = 5, .n_used = 3, .d_ff = 1, .gating = TRIT_MOE_SOFTMAX, .scale = 1 };
	float scores[5] = { 0, 2, 1, 2, 1 }, weights[3];
	double sum = 1 + 2 * exp(2) + 2 * exp(1);
	int experts[3];

	(void)state;
	trit_moe_select(experts, weights, scores, 0, &c, &kernels);
	assert_int_equal(experts[0], 1);
	assert_int_equal(experts[1], 2);
	assert_int_equal(experts[2], 3);
	check_close(weights[0], exp(2) / sum);
	check_close(weights[1], exp(1) / sum);
	check_close(weights[2], exp(2) / sum);

	c.norm = true;
	c.scale = 2.5f;
	c.d_ff_shared = 1;
	float more[5] = { 0, 2, 1, 2, 1 }, four[4];
	int taken[4];
	trit_moe_select(taken, four, more, 7, &c, &kernels);
	check_close(four[1], 2.5 * exp(1) / (2 * exp(2) + exp(1)));
	assert_int_equal(taken[3], 5);
	check_close(four[3], 1); /* no router of its own: its score is not looked at */
}

static void test_select_sigmoid(void **state)
{
	struct trit_moe_config c = { .n_experts = 4, .n_used = 2, .d_ff = 1, .d_ff_shared = 1, .shared_gate = true,
		                     .gating = TRIT_MOE_SIGMOID, .norm = true, .scale = 1 };
	float scores[4] = { 3, -1, -100, 0.5f }, weights[3];
	double a = 1 / (1 + exp(-3)), b = 1 / (1 + exp(-0.5));
	int experts[3];

	(void)state;
	trit_moe_select(experts, weights, scores, -2, &c, &kernels);
	assert_int_equal(experts[0], 0);
	assert_int_equal(experts[1], 3);
	assert_int_equal(experts[2], 4);
	check_close(weights[0], a / (a + b));
	check_close(weights[1], b / (a + b));
	check_close(weights[2], 1 / (1 + exp(2)));

	float tiny[4] = { -80, -80, -80, -80 }; /* weights of next to nothing are not blown up */
	trit_moe_select(experts, weights, tiny, -2, &c, &kernels);
	assert_true(weights[0] >= 0 && weights[0] < 1e-6f);
}

/* Whatever the scores are, NaN too: k different experts. */
static void test_select_nan(void **state)
{
	struct trit_moe_config c = { .n_experts = 3, .n_used = 3, .d_ff = 1, .gating = TRIT_MOE_SOFTMAX, .scale = 1 };
	float scores[3] = { NAN, 1, INFINITY }, weights[3];
	int experts[3];

	(void)state;
	trit_moe_select(experts, weights, scores, 0, &c, &kernels);
	for (int i = 0; i < 3; i++)
		assert_int_equal(experts[i], i);
}

static void test_sort(void **state)
{
	enum { T = 3, EACH = 3, E = 5 };
	struct trit_moe_config c = { .n_experts = E - 1, .n_used = EACH - 1, .d_ff = 1, .d_ff_shared = 1 };
	const int experts[T * EACH] = { 1, 3, 4, 0, 1, 4, 1, 3, 4 };
	const float weights[T * EACH] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	const int first[E + 1] = { 0, 1, 4, 4, 6, 9 }, token[T * EACH] = { 1, 0, 1, 2, 0, 2, 0, 1, 2 };
	const float sorted[T * EACH] = { 4, 1, 5, 7, 2, 8, 3, 6, 9 };
	int got_first[E + 1], got_token[T * EACH];
	float got_weight[T * EACH];
	struct trit_moe_slots s = { got_first, got_token, got_weight };

	(void)state;
	trit_moe_sort(&s, experts, weights, T, &c);
	assert_memory_equal(got_first, first, sizeof first);
	assert_memory_equal(got_token, token, sizeof token);
	assert_memory_equal(got_weight, sorted, sizeof sorted);
}

/* ---- whole networks ---------------------------------------------------------------------------------------------- */

struct golden {
	int n_tokens, n_vocab;
	trit_token tokens[MAX_TOKENS];
	double logits[MAX_LOGITS]; /* [n_tokens, n_vocab] */
};

static void read_golden(struct golden *g, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/model/moe_%s.txt", TRIT_TEST_DATA, name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "tokens %d %d", &g->n_tokens, &g->n_vocab), 2);
	assert_true(g->n_tokens <= MAX_TOKENS && g->n_tokens * g->n_vocab <= MAX_LOGITS);
	for (int i = 0; i < g->n_tokens; i++)
		assert_int_equal(fscanf(f, "%d", &g->tokens[i]), 1);
	for (int i = 0; i < g->n_tokens * g->n_vocab; i++)
		assert_int_equal(fscanf(f, "%lf", &g->logits[i]), 1);
	fclose(f);
}

static struct trit_model *load_file(const char *path, struct trit_model_options o)
{
	struct trit_model *m;
	struct trit_error err;

	o.head = "exact";
	if (trit_model_open_with(&m, path, &o, &err))
		fail_msg("%s", err.message);
	return m;
}

static struct trit_model *load(const char *name, struct trit_model_options o)
{
	char path[512];

	snprintf(path, sizeof path, "%s/model/moe_%s.gguf", TRIT_TEST_DATA, name);
	return load_file(path, o);
}

/* Logits of all tokens, `step` of them at a time, beside another sequence of the same tokens backwards if wanted. */
static void run(float *logits, const struct trit_model *m, const struct golden *g, int step, int threads, bool beside)
{
	struct trit_batch_token batch[2 * MAX_TOKENS];
	struct trit_forward f;
	struct trit_kv kv[2];
	struct trit_pool *pool;
	struct trit_error err;

	assert_int_equal(trit_pool_new(&pool, threads, &err), 0);
	for (int s = 0; s < 2; s++)
		assert_int_equal(trit_kv_init(&kv[s], &m->config, TRIT_KV_F16, MAX_TOKENS, &err), 0);
	assert_int_equal(trit_forward_init(&f, m, pool, 2 * step, step, MAX_TOKENS, &err), 0);
	uint64_t allocations = trit_mem_count();
	for (int i = 0; i < g->n_tokens; i += step) {
		int n = 0, end = g->n_tokens - i < step ? g->n_tokens : i + step;
		for (int j = i; j < end; j++) {
			batch[n++] = (struct trit_batch_token){ g->tokens[j], j, &kv[0], true };
			if (beside)
				batch[n++] = (struct trit_batch_token){ g->tokens[g->n_tokens - 1 - j], j, &kv[1], false };
		}
		trit_forward_run(&f, n, batch);
		kv[0].length = end;
		kv[1].length = beside ? end : 0;
		memcpy(logits + i * g->n_vocab, f.logits, (size_t)((end - i) * g->n_vocab) * sizeof *logits);
	}
	assert_int_equal(trit_mem_count(), allocations);
	trit_forward_release(&f);
	for (int s = 0; s < 2; s++)
		trit_kv_release(&kv[s]);
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
	static float logits[MAX_LOGITS];

	(void)state;
	for (int i = 0; i < N_NAMES; i++) {
		/* Transformers computes in fp32, so that a key may be rounded to another half. */
		double most = 0, row[MAX_LOGITS], tolerance = i < N_NAMES - 1 ? 1e-4 : 3e-6;
		read_golden(&g, names[i]);
		struct trit_model *m = load(names[i], (struct trit_model_options){ .cpu = "c" });
		run(logits, m, &g, g.n_tokens, 1, false);
		for (int j = 0; j < g.n_tokens * g.n_vocab; j++)
			most = fmax(most, fabs(g.logits[j]));
		for (int t = 0; t < g.n_tokens; t++) {
			for (int v = 0; v < g.n_vocab; v++) {
				double got = row[v] = logits[t * g.n_vocab + v], expected = g.logits[t * g.n_vocab + v];
				if (!(fabs(got - expected) <= tolerance * most))
					fail_msg("%s: logit %d of token %d is %.8g, expected %.8g", names[i], v, t, got, expected);
			}
			assert_int_equal(argmax(row, g.n_vocab), argmax(g.logits + t * g.n_vocab, g.n_vocab));
		}
		trit_model_close(m);
	}
}

/* A folder that transformers wrote: experts by themselves, rotary halves. */
static void test_folder(void **state)
{
	static struct golden g;
	static float logits[MAX_LOGITS];

	(void)state;
	read_golden(&g, "mixtral");
	struct trit_model *m = load_file(TRIT_TEST_DATA "/model/moe_mixtral", (struct trit_model_options){ 0 });
	run(logits, m, &g, g.n_tokens, 2, false);
	for (int i = 0; i < g.n_tokens * g.n_vocab; i++)
		if (!(fabs((double)logits[i] - g.logits[i]) <= 1e-3))
			fail_msg("logit %d is %.8g, expected %.8g", i, (double)logits[i], g.logits[i]);
	trit_model_close(m);
}

/* To the bit: token by token, in pieces, beside others, by threads, on every tier, in every layout. */
static void test_same_bits(void **state)
{
	static struct golden g;
	static float logits[MAX_LOGITS], again[MAX_LOGITS];

	(void)state;
	for (int i = 0; i < N_NAMES; i++) {
		read_golden(&g, names[i]);
		struct trit_model *m = load(names[i], (struct trit_model_options){ .cpu = "c" });
		size_t bytes = (size_t)(g.n_tokens * g.n_vocab) * sizeof *logits;
		run(logits, m, &g, g.n_tokens, 1, false);
		trit_model_close(m);
		for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
			if (!trit_tier_here((enum trit_tier)tier))
				continue;
			m = load(names[i], (struct trit_model_options){ .cpu = trit_tier_name((enum trit_tier)tier),
			                                               .layout = tier % 2 ? "t5" : "t2" });
			for (int step = 1; step <= g.n_tokens; step += 5)
				for (int beside = 0; beside < 2; beside++) {
					run(again, m, &g, step, step < 5 ? 3 : 2, beside);
					assert_memory_equal(again, logits, bytes);
				}
			trit_model_close(m);
		}
	}
}

/* Through other types and back to what can be computed: the same logits to the bit. Experts are written side by side
 * where the type can have that, else each by itself. */
static void test_convert(void **state)
{
	static const struct {
		const char *name, *type;
		bool together;
	} ways[] = {
		{ "mixtral", "f32", true },   { "qwen2moe", "f32", true }, { "qwen3moe", "f32", true },
		{ "ternary", "tq2_0", true }, { "ternary", "i2_s", false }, { "ternary", "t5", false },
	};
	static struct golden g;
	static float logits[MAX_LOGITS], again[MAX_LOGITS];

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct trit_export_options o = { .type = -1, .embedding_type = -1, .head_type = -1 };
		struct trit_error err;
		char path[512];
		scratch_enter(state);
		read_golden(&g, ways[i].name);
		struct trit_model *m = load(ways[i].name, (struct trit_model_options){ 0 });
		run(logits, m, &g, g.n_tokens, 1, false);
		trit_model_close(m);
		o.type = (int)trit_ggml_type_by_name(ways[i].type)->id;
		o.embedding_type = ways[i].together && i < 3 ? TRIT_GGML_F32 : TRIT_GGML_F16;
		snprintf(path, sizeof path, "%s/model/moe_%s.gguf", TRIT_TEST_DATA, ways[i].name);
		if (trit_convert(path, "one.gguf", &o, &err) || trit_convert("one.gguf", "two.gguf", &o, &err))
			fail_msg("%s: %s", ways[i].type, err.message);
		for (int twice = 0; twice < 2; twice++) {
			m = load_file(twice ? "two.gguf" : "one.gguf", (struct trit_model_options){ 0 });
			assert_int_equal(trit_gguf_find_tensor(&m->gguf, "blk.0.ffn_up_exps.weight") != NULL, ways[i].together);
			run(again, m, &g, 4, 2, false);
			assert_memory_equal(again, logits, (size_t)(g.n_tokens * g.n_vocab) * sizeof *logits);
			trit_model_close(m);
		}
		scratch_leave(state);
	}
}

/* Files that are not what they say: the wrong number of experts, more of them a token than there are. */
static void test_refuse(void **state)
{
	static const struct {
		const char *key, *expected;
		uint32_t value;
	} bad[] = {
		{ "llama.expert_count", "4 experts, expected 3", 3 },
		{ "llama.expert_used_count", "number of experts a token", 5 },
		{ "llama.expert_used_count", "number of experts a token", 0 },
		{ "llama.expert_count", "ffn_gate_inp.weight", 0 },
	};
	struct trit_model *m;
	struct trit_error err;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		scratch_enter(state);
		size_t len;
		char *file = scratch_read(TRIT_TEST_DATA "/model/moe_mixtral.gguf", &len), *at = file;
		while (memcmp(at, bad[i].key, strlen(bad[i].key)) != 0)
			at++;
		trit_put32(at + strlen(bad[i].key) + 4, bad[i].value); /* behind the type */
		scratch_write("bad.gguf", len, file);
		trit_free(file);
		assert_true(trit_model_open(&m, "bad.gguf", &err) < 0);
		if (!strstr(err.message, bad[i].expected))
			fail_msg("\"%s\" without \"%s\"", err.message, bad[i].expected);
		scratch_leave(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select_softmax),
		cmocka_unit_test(test_select_sigmoid),
		cmocka_unit_test(test_select_nan),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_convert),
		cmocka_unit_test(test_refuse),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
