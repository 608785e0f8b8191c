/*
 * test_low_rank.c - adapters beside a model that runs: what was trained is what is added.
 *
 * A training network with adapters (test_lora.c) and the model that opens the file written of them must give the same
 * loss; and the model the same bits on all tiers, with any number of threads, in one batch or token by token.
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
#include "scratch.h"
#include "train/adapter.h"
#include "train/init.h"
#include "train/net.h"

enum { S = 24, RANK = 3 };

static struct trit_error err;
static trit_token batch[S + 1];

/* Scales of small matrices come back from masters an ulp or two off (model/masters.h): here they are the file's. */
static void take_scales(struct trit_net *net, const char *path)
{
	struct trit_model_options o = { .head = "exact", .cpu = "c" };
	struct trit_model *m;
	if (trit_model_open_with(&m, path, &o, &err))
		fail_msg("%s", err.message);
	for (int i = 0; i < m->config.n_layers; i++) {
		const struct trit_layer *from = &m->layers[i];
		struct trit_net_layer *to = &net->layers[i];
		const struct trit_linear *theirs[] = { &from->q,    &from->k,  &from->v,   &from->o,
			                               &from->gate, &from->up, &from->down };
		struct trit_bitlinear *own[] = { &to->q, &to->k, &to->v, &to->o, &to->gate, &to->up, &to->down };
		for (size_t j = 0; j < sizeof own / sizeof *own; j++) {
			assert_true(fabs((double)*theirs[j]->scale / (double)*own[j]->scales - 1) < 1e-6);
			*own[j]->scales = *theirs[j]->scale;
		}
	}
	trit_model_close(m);
}

/* Loss of the training network with random adapters, which are written to ./adapter.gguf.
 * without: of the model alone. */
static double train_loss(const char *path, bool ternary, double *without)
{
	const struct trit_weight_method method = { .kind = ternary ? TRIT_WEIGHT_TERNARY : TRIT_WEIGHT_FULL };
	struct trit_model_file file;
	struct trit_config c;
	struct trit_kernels k;
	struct trit_pool *pool;
	struct trit_params base, adapters;
	struct trit_lora lora;
	struct trit_net net;
	struct trit_rng rng;

	trit_kernels_fill(&k, TRIT_TIER_C);
	trit_rng_init(&rng, 7);
	if (trit_model_file_open(&file, path, NULL, &err) || trit_config_read(&c, &file.gguf, &err))
		fail_msg("%s", err.message);
	for (int i = 0; i <= S; i++)
		batch[i] = (trit_token)trit_rng_below(&rng, (uint64_t)c.n_vocab);
	assert_int_equal(trit_pool_new(&pool, 1, &err), 0);
	assert_int_equal(trit_params_init_frozen(&base, &c, &err), 0);
	if (trit_params_from_model(&base, &c, &file, &err))
		fail_msg("%s", err.message);
	assert_int_equal(trit_net_init(&net, &c, method, &base, &k, pool, S, 1, NULL, &err), 0);
	assert_int_equal(trit_lora_init(&lora, &adapters, &c, RANK, 5, 0x7f, S, 3, &err), 0);
	trit_net_adapt(&net, &lora);
	trit_net_quantise(&net);
	if (ternary)
		take_scales(&net, path);
	*without = trit_net_loss(&net, 1, batch, NULL); /* B is 0 */
	for (int i = 1; i < adapters.n; i += 2)
		for (size_t j = 0; j < adapters.list[i].rows * RANK; j++)
			adapters.w[adapters.list[i].offset + j] = 0.2f * trit_rng_normal(&rng);
	double loss = trit_net_loss(&net, 1, batch, NULL);
	if (trit_adapter_write(".", &lora, &c, &err))
		fail_msg("%s", err.message);
	trit_net_release(&net);
	trit_lora_release(&lora);
	trit_params_release(&adapters);
	trit_params_release(&base);
	trit_pool_free(pool);
	trit_model_file_close(&file);
	return loss;
}

/* Logits [S, V] of the model with the adapter, `step` tokens at a time. */
static float *run(const char *path, const char *cpu, int threads, int step, int *n_vocab)
{
	struct trit_model_options o = { .head = "exact", .cpu = cpu, .lora = "adapter.gguf" };
	struct trit_batch_token tokens[S];
	struct trit_forward f;
	struct trit_kv kv;
	struct trit_pool *pool;
	struct trit_model *m;

	if (trit_model_open_with(&m, path, &o, &err))
		fail_msg("%s", err.message);
	size_t v = (size_t)m->config.n_vocab;
	float *logits = calloc(S * v, sizeof *logits);
	assert_int_equal(trit_pool_new(&pool, threads, &err), 0);
	assert_int_equal(trit_kv_init(&kv, &m->config, TRIT_KV_F32, S, &err), 0);
	assert_int_equal(trit_forward_init(&f, m, pool, step, step, S, &err), 0);
	for (int i = 0; i < S; i += step) {
		int n = S - i < step ? S - i : step;
		for (int j = 0; j < n; j++)
			tokens[j] = (struct trit_batch_token){ batch[i + j], i + j, &kv, true };
		trit_forward_run(&f, n, tokens);
		kv.length += n;
		memcpy(logits + (size_t)i * v, f.logits, (size_t)n * v * sizeof *logits);
	}
	trit_forward_release(&f);
	trit_kv_release(&kv);
	trit_pool_free(pool);
	trit_model_close(m);
	*n_vocab = (int)v;
	return logits;
}

static double loss_of(const float *logits, int v)
{
	double loss = 0;
	for (int t = 0; t < S; t++) {
		double most = -INFINITY, sum = 0;
		for (int i = 0; i < v; i++)
			most = fmax(most, (double)logits[t * v + i]);
		for (int i = 0; i < v; i++)
			sum += exp((double)logits[t * v + i] - most);
		loss += log(sum) + most - (double)logits[t * v + batch[t + 1]];
	}
	return loss;
}

static void test_as_trained(void **state)
{
	static const struct {
		const char *name;
		bool ternary;
	} models[] = { { TRIT_SOURCE_DIR "/models/stories.gguf", true },
		           { TRIT_TEST_DATA "/model/golden_bitnet.gguf", true },
		           { TRIT_TEST_DATA "/model/golden_llama.gguf", false },
		           { TRIT_TEST_DATA "/model/arch_qwen2.gguf", false },
		           { TRIT_TEST_DATA "/model/arch_gemma3.gguf", false } };

	(void)state;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		const char *path = models[i].name;
		double without;
		int v;
		double expected = train_loss(path, models[i].ternary, &without);
		assert_true(fabs(expected / without - 1) > 1e-3); /* it does something */
		float *logits = run(path, "c", 1, S, &v);
		if (!(fabs(loss_of(logits, v) / expected - 1) < 1e-8)) /* here each exponential is in double precision */
			fail_msg("%s: loss %.17g, trained %.17g", models[i].name, loss_of(logits, v), expected);
		for (int way = 0; way < 4; way++) {
			const char *cpu = way ? trit_tier_name(trit_best_tier()) : "c";
			float *again = run(path, cpu, 1 + 2 * (way % 2), way < 2 ? 1 : 7, &v);
			if (memcmp(again, logits, S * (size_t)v * sizeof *again))
				fail_msg("%s: other logits, way %d", models[i].name, way);
			free(again);
		}
		free(logits);
	}
}

static void test_refused(void **state)
{
	char llama[512], bitnet[512];
	struct trit_model_options o = { .lora = "adapter.gguf" };
	struct trit_model *m;
	double without;
	size_t len;

	(void)state;
	snprintf(llama, sizeof llama, "%s/model/golden_llama.gguf", TRIT_TEST_DATA);
	snprintf(bitnet, sizeof bitnet, "%s/model/golden_bitnet.gguf", TRIT_TEST_DATA);
	train_loss(llama, false, &without);
	assert_int_equal(trit_model_open_with(&m, bitnet, &o, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "an adapter for architecture llama"));
	char *whole = scratch_read("adapter.gguf", &len);
	for (size_t cut = 0; cut < len; cut += len / 50 + 1) { /* every truncation is an error */
		scratch_write("adapter.gguf", cut, whole);
		assert_true(trit_model_open_with(&m, llama, &o, &err) < 0);
	}
	trit_free(whole);
	o.lora = llama;
	assert_int_equal(trit_model_open_with(&m, llama, &o, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "not an adapter"));
	o.lora = "nothing.gguf";
	assert_int_equal(trit_model_open_with(&m, llama, &o, &err), TRIT_ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_trained),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
