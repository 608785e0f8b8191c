/*
 * test_architectures.c - a tiny model of every architecture against transformers' logits (made by
 * tests/reference/make_arch_golden.py), and to the bit against itself: token by token, in pieces, beside another
 * sequence, by threads, on every tier, with every type of cache; and what is refused.
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

#include "convert/convert.h"
#include "model/forward.h"
#include "scratch.h"

enum { N_TOKENS = 40, MAX_VOCAB = 128, N_FAR = 300, WINDOW = 7 };

/* The largest difference allowed, as a share of the largest logit: the reference is double, and where a key or value is
 * rounded to another half, the next of 11 bits, it shows. */
#define TOLERANCE 1e-4

struct golden {
	const char *name;
	bool ternary;
};

static const struct golden goldens[] = {
	{ "llama", false },       { "mistral", false },      { "qwen2", false },         { "qwen3", false },
	{ "gemma", false },       { "gemma2", false },       { "gemma3", false },        { "stablelm", false },
	{ "bitnet_2b4t", true },  { "qwen3_ternary", true }, { "gemma3_ternary", true }, { "stablelm_ternary", true },
};
enum { N_GOLDENS = sizeof goldens / sizeof *goldens };

static struct trit_error err;

static void path_of(char path[512], const char *name, const char *suffix)
{
	snprintf(path, 512, "%s/model/arch_%s.%s", TRIT_TEST_DATA, name, suffix);
}

/* A golden model by its name, or any file by its path. */
static struct trit_model *load(const char *name, const char *cpu)
{
	struct trit_model *m;
	char path[512];

	path_of(path, name, "gguf");
	if (strstr(name, ".gguf"))
		snprintf(path, sizeof path, "%s", name);
	if (trit_model_open_with(&m, path, &(struct trit_model_options){ .cpu = cpu, .head = "exact" }, &err))
		fail_msg("%s", err.message);
	return m;
}

static trit_token token_at(const struct trit_model *m, int i)
{
	return (7 * i * i + 3 * i + 5) % trit_model_vocab_size(m);
}

struct way {
	const char *cpu;
	enum trit_kv_type type;
	int step, threads; /* tokens at a time */
	bool crowded;      /* another sequence in the same batches */
};

/* logits [N_TOKENS, V] */
static void run(float *logits, const char *name, const struct way *way)
{
	struct trit_batch_token batch[2 * N_TOKENS];
	struct trit_model *m = load(name, way->cpu);
	size_t v = (size_t)trit_model_vocab_size(m);
	struct trit_forward f;
	struct trit_kv kv, other;
	struct trit_pool *pool;

	assert_true(v <= MAX_VOCAB);
	assert_int_equal(trit_pool_new(&pool, way->threads, &err), 0);
	assert_int_equal(trit_kv_init(&kv, &m->config, way->type, N_TOKENS, &err), 0);
	assert_int_equal(trit_kv_init(&other, &m->config, way->type, N_TOKENS, &err), 0);
	assert_int_equal(trit_forward_init(&f, m, pool, 2 * way->step, way->step, N_TOKENS, &err), 0);
	for (int i = 0, n; i < N_TOKENS; i += n) {
		int all = 0;
		n = N_TOKENS - i < way->step ? N_TOKENS - i : way->step;
		for (int j = 0; j < n && way->crowded; j++)
			batch[all++] = (struct trit_batch_token){ token_at(m, i + j + 3), i + j, &other, false };
		for (int j = 0; j < n; j++)
			batch[all++] = (struct trit_batch_token){ token_at(m, i + j), i + j, &kv, true };
		trit_forward_run(&f, all, batch);
		kv.length += n;
		other.length += n;
		memcpy(logits + (size_t)i * v, f.logits, (size_t)n * v * sizeof *logits);
	}
	trit_forward_release(&f);
	trit_kv_release(&kv);
	trit_kv_release(&other);
	trit_pool_free(pool);
	trit_model_close(m);
}

static int argmax(const float *x, int n)
{
	int best = 0;

	for (int i = 1; i < n; i++)
		best = x[i] > x[best] ? i : best;
	return best;
}

/* Logits are within `tolerance` of the largest of arch_NAME.SUFFIX, and the same tokens the likeliest. */
static void check_golden(const char *name, const char *suffix, enum trit_kv_type type, double tolerance)
{
	static float expected[N_TOKENS * MAX_VOCAB], logits[N_TOKENS * MAX_VOCAB];
	struct trit_model *m = load(name, "c");
	int v = trit_model_vocab_size(m);
	double most = 0, error = 0;
	char path[512];
	trit_model_close(m);

	path_of(path, name, suffix);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(expected, sizeof *expected, (size_t)(N_TOKENS * v + 1), f), N_TOKENS * v);
	fclose(f);
	run(logits, name, &(struct way){ "c", type, N_TOKENS, 1, false });
	for (int j = 0; j < N_TOKENS * v; j++) {
		most = fmax(most, fabs((double)expected[j]));
		error = fmax(error, fabs((double)logits[j] - (double)expected[j]));
	}
	if (!(error <= tolerance * most))
		fail_msg("%s: a logit is off by %.3g of %.3g", name, error, most);
	for (int t = 0; t < N_TOKENS; t++)
		if (argmax(logits + t * v, v) != argmax(expected + t * v, v))
			fail_msg("%s: another token is the likeliest after %d", name, t);
}

static void test_golden(void **state)
{
	(void)state;
	for (int i = 0; i < N_GOLDENS; i++) {
		struct trit_model *m = load(goldens[i].name, "c");
		assert_int_equal(m->layers[0].q.quantised, goldens[i].ternary);
		trit_model_close(m);
		check_golden(goldens[i].name, "f32", TRIT_KV_F16, TOLERANCE);
		if (!goldens[i].ternary)
			check_golden(goldens[i].name, "exact.f32", TRIT_KV_F32, 3e-6);
	}
}

/* Each tier once, with others of the chunks of 1 to 40 tokens and 1 to 7 threads, alone or beside others. */
static void test_same_bits(void **state)
{
	static const int steps[] = { 1, 3, 7, 17, N_TOKENS };
	static float expected[N_TOKENS * MAX_VOCAB], logits[N_TOKENS * MAX_VOCAB];

	(void)state;
	for (int i = 0; i < N_GOLDENS; i++)
		for (int type = TRIT_KV_F16; type < TRIT_N_KV_TYPES; type++) {
			struct way way = { "c", (enum trit_kv_type)type, N_TOKENS, 1, false };
			int number = 3 * i + type;
			memset(expected, 0, sizeof expected);
			memset(logits, 0, sizeof logits);
			run(expected, goldens[i].name, &way);
			for (int tier = 0; tier < TRIT_N_TIERS; tier++, number++) {
				if (!trit_tier_here((enum trit_tier)tier))
					continue;
				way.cpu = trit_tier_name((enum trit_tier)tier);
				way.step = steps[number % 5];
				way.threads = 1 + number % 7;
				way.crowded = number % 2;
				run(logits, goldens[i].name, &way);
				if (memcmp(logits, expected, sizeof logits) != 0)
					fail_msg("%s, cache %d: other logits on %s, %d at a time, %d threads%s", goldens[i].name, type,
					         way.cpu, way.step, way.threads, way.crowded ? ", beside others" : "");
			}
		}
}

/* With a window in each of two layers a token sees as many before it as two windows reach, and no others: not across
 * the pages of the cache either. */
static void test_window(void **state)
{
	const int reach = 2 * (WINDOW - 1), changed = 250;
	struct trit_model *m = load("mistral", NULL);
	size_t v = (size_t)trit_model_vocab_size(m);
	struct trit_batch_token batch[N_FAR];
	struct trit_forward f;
	struct trit_kv kv;
	float *logits[2];

	(void)state;
	assert_int_equal(m->config.window, WINDOW);
	assert_int_equal(m->config.n_layers, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(trit_kv_init(&kv, &m->config, TRIT_KV_F16, N_FAR, &err), 0);
		assert_int_equal(trit_forward_init(&f, m, NULL, N_FAR, N_FAR, N_FAR, &err), 0);
		for (int t = 0; t < N_FAR; t++)
			batch[t] = (struct trit_batch_token){ token_at(m, t + (t < changed ? i : 0)), t, &kv, true };
		trit_forward_run(&f, N_FAR, batch);
		logits[i] = trit_calloc(N_FAR * v, sizeof *logits[i]);
		assert_non_null(logits[i]);
		memcpy(logits[i], f.logits, N_FAR * v * sizeof *logits[i]);
		trit_forward_release(&f);
		trit_kv_release(&kv);
	}
	for (int t = changed; t < N_FAR; t++)
		assert_int_equal(memcmp(logits[0] + (size_t)t * v, logits[1] + (size_t)t * v, v * sizeof *logits[0]) == 0,
		                 t >= changed + reach);
	trit_free(logits[0]);
	trit_free(logits[1]);
	trit_model_close(m);
}

/* What is written by trit_convert has all that the results depend on. */
static void test_converted(void **state)
{
	static float expected[N_TOKENS * MAX_VOCAB], logits[N_TOKENS * MAX_VOCAB];
	const struct way way = { NULL, TRIT_KV_F16, N_TOKENS, 1, false };
	char path[512];

	(void)state;
	for (int i = 0; i < N_GOLDENS; i++) {
		struct trit_export_options o = { .type = goldens[i].ternary ? -1 : TRIT_GGML_F32,
			                         .embedding_type = TRIT_GGML_F16, .head_type = -1 };
		path_of(path, goldens[i].name, "gguf");
		if (trit_convert(path, "converted.gguf", &o, &err))
			fail_msg("%s: %s", goldens[i].name, err.message);
		memset(expected, 0, sizeof expected);
		memset(logits, 0, sizeof logits);
		run(expected, goldens[i].name, &way);
		run(logits, "converted.gguf", &way);
		if (memcmp(logits, expected, sizeof logits) != 0)
			fail_msg("%s: other logits after conversion", goldens[i].name);
	}
}

/* Opens a golden model in which all `from` are `to`, of the same length; the error must have `message` in it. */
static void check_refused(const char *name, const char *from, const char *to, const char *message)
{
	struct trit_model *m = NULL;
	char path[512];
	size_t len, n = strlen(from);
	int found = 0;

	path_of(path, name, "gguf");
	char *bytes = scratch_read(path, &len);
	assert_int_equal(n, strlen(to));
	for (char *at = bytes; at + n <= bytes + len; at++)
		if (!memcmp(at, from, n) && ++found)
			memcpy(at, to, n);
	assert_true(found > 0);
	scratch_write("changed.gguf", len, bytes);
	assert_int_not_equal(trit_model_open(&m, "changed.gguf", &err), 0);
	if (!strstr(err.message, message))
		fail_msg("%s: \"%s\" does not say \"%s\"", name, err.message, message);
	trit_free(bytes);
}

/* What would change the result and is not known, or is missing, is named. */
static void test_refused(void **state)
{
	(void)state;
	check_refused("qwen3", "blk.1.attn_q_norm", "blk.1.attn_z_norm", "blk.1.attn_z_norm.weight");
	check_refused("stablelm", "blk.0.attn_q_norm", "blk.0.attn_z_norm", "blk.0.attn_");
	check_refused("qwen2", "blk.1.attn_k.bias", "blk.1.attn_z.bias", "blk.1.attn_z.bias");
	check_refused("gemma", "blk.1.ffn_norm.weight", "blk.1.ffn_nerm.weight", "blk.1.ffn_nerm.weight");
	check_refused("llama", "rope_freqs.weight", "rope_freks.weight", "rope_freks.weight");
	check_refused("mistral", "blk.1.", "blk.9.", "blk.9.");
	check_refused("qwen2", "yarn", "yawn", "rotary scaling \"yawn\"");
	check_refused("gemma2", "gemma2", "gemma8", "architecture \"gemma8\" is not supported");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_converted),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
