/*
 * test_recompute.c - a network that computes its activations again has the bits of one that keeps them.
 *
 * That those are right is for test_net.c and its like to say.
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

#include "train/net.h"
#include "train/recipe.h"

enum { SEQ_LEN = 21, N_SEQS = 3, LAYERS = 4 };

static struct trit_error err;

static const struct net_case {
	const char *name;
	struct trit_recipe recipe; /* what is not that of every case */
	float lambda;              /* 0: 1 */
	bool lora;
} cases[] = {
	{ "ternary", { .weights = TRIT_WEIGHT_TERNARY }, .lambda = 0 },
	{ "ternary, 16-bit backward", { .weights = TRIT_WEIGHT_TERNARY, .backward = TRIT_BACKWARD_INT16 }, .lambda = 0 },
	{ "ternary, fp32 backward", { .weights = TRIT_WEIGHT_TERNARY, .backward = TRIT_BACKWARD_F32 }, .lambda = 0 },
	{ "binary, a scale each row", { .weights = TRIT_WEIGHT_BINARY, .scales = 1 }, .lambda = 0 },
	{ "full", { .weights = TRIT_WEIGHT_FULL }, .lambda = 0 },
	{ "warm-up", { .weights = TRIT_WEIGHT_TERNARY }, .lambda = 0.5f },
	{ "experts", { .weights = TRIT_WEIGHT_TERNARY, .experts = 4, .experts_used = 2, .shared_expert = true },
	  .lambda = 0 },
	{ "experts, full", { .weights = TRIT_WEIGHT_FULL, .experts = 3, .experts_used = 1 }, .lambda = 0 },
	{ "adapters", { .weights = TRIT_WEIGHT_TERNARY }, .lora = true },
	{ "adapters, full", { .weights = TRIT_WEIGHT_FULL }, .lora = true },
};

/* A network with random weights after two micro-batches of a step. */
struct bench {
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params params, base;
	struct trit_lora lora;
	struct trit_net net;
	double loss;
	float loads[LAYERS * 4];
};

static void randomise(struct trit_params *p, struct trit_rng *rng)
{
	for (int i = 0; i < p->n; i++)
		for (size_t j = 0; j < p->list[i].rows * p->list[i].cols; j++)
			p->w[p->list[i].offset + j] = p->list[i].kind == TRIT_KIND_NORM ? 0.75f + 0.5f * trit_rng_uniform(rng)
			                                                               : 0.3f * trit_rng_normal(rng);
}

static void step(struct bench *b, struct trit_rng *rng)
{
	trit_token batch[N_SEQS * (SEQ_LEN + 1)];
	for (size_t i = 0; i < sizeof batch / sizeof *batch; i++)
		batch[i] = (trit_token)trit_rng_below(rng, (uint64_t)b->config.n_vocab);
	trit_net_quantise(&b->net);
	b->loss = trit_net_step(&b->net, 2, batch, NULL, 0.5f);
	b->loss += trit_net_step(&b->net, 1, batch + 2 * (SEQ_LEN + 1), NULL, 0.5f);
	trit_net_loads(&b->net, b->loads);
}

static void open_bench(struct bench *b, const struct net_case *c, bool recompute, int threads)
{
	struct trit_recipe r = c->recipe;
	struct trit_net_options o = { .backward = (enum trit_backward)r.backward, .warms_up = c->lambda > 0,
		                          .recompute = recompute };
	struct trit_rng rng;
	*b = (struct bench){ 0 };
	r.n_vocab = 300;
	r.n_layers = LAYERS;
	r.d_model = 32;
	r.d_ff = 48;
	r.n_heads = 4;
	r.n_kv_heads = 2;
	r.head_dim = 8;
	r.seq_len = SEQ_LEN;
	r.rope_base = 100;
	r.eps = 1e-5f;
	assert_int_equal(trit_recipe_config(&r, &b->config, &err), 0);
	trit_kernels_fill(&b->kernels, trit_best_tier());
	trit_rng_init(&rng, 5);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	assert_int_equal(c->lora ? trit_params_init_frozen(&b->base, &b->config, &err)
	                         : trit_params_init(&b->params, &b->config, &err), 0);
	randomise(c->lora ? &b->base : &b->params, &rng);
	assert_int_equal(trit_net_init(&b->net, &b->config, trit_recipe_method(&r), c->lora ? &b->base : &b->params,
	                               &b->kernels, b->pool, SEQ_LEN, 2, &o, &err), 0);
	b->net.lambda = c->lambda > 0 ? c->lambda : 1;
	b->net.experts.balance = 0.1f;
	if (c->lora) {
		assert_int_equal(trit_lora_init(&b->lora, &b->params, &b->config, 3, 6, trit_lora_sets[0], 2 * SEQ_LEN, 1,
		                                &err), 0);
		trit_net_adapt(&b->net, &b->lora);
		randomise(&b->params, &rng);
	}
	step(b, &rng);
}

static void close_bench(struct bench *b)
{
	trit_net_release(&b->net);
	trit_lora_release(&b->lora);
	trit_params_release(&b->params);
	trit_params_release(&b->base);
	trit_pool_free(b->pool);
}

static void test_same_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int threads = 1; threads < 4; threads += 2) {
			struct bench kept, again;
			open_bench(&kept, &cases[i], false, threads);
			open_bench(&again, &cases[i], true, threads);
			if (!isfinite(kept.loss) || again.loss != kept.loss)
				fail_msg("%s: loss %g, and %g with recomputation", cases[i].name, kept.loss, again.loss);
			if (memcmp(again.params.g, kept.params.g, kept.params.total * sizeof(float)))
				fail_msg("%s: other gradients with %d threads", cases[i].name, threads);
			assert_memory_equal(again.loads, kept.loads, sizeof kept.loads);
			close_bench(&kept);
			close_bench(&again);
		}
}

/* What is kept of all layers but their inputs is kept of one. */
static void test_bytes(void **state)
{
	struct bench kept, again;
	(void)state;
	open_bench(&kept, &cases[0], false, 1);
	open_bench(&again, &cases[0], true, 1);
	struct trit_net_bytes a = trit_net_bytes(&kept.net, 2, false), b = trit_net_bytes(&again.net, 2, true);
	size_t inputs = LAYERS * 2 * SEQ_LEN * 32 * sizeof(float);
	assert_int_equal(a.all, kept.net.arena.size);
	assert_int_equal(b.all, again.net.arena.size);
	assert_int_equal(a.weights, b.weights);
	assert_int_equal(a.all - b.all, a.activations - b.activations);
	/* pieces are rounded up to cache lines */
	double share = (double)(b.activations - inputs) / (double)(a.activations - inputs);
	assert_true(fabs(share - 1.0 / LAYERS) < 0.02);
	/* networks of another kind are measured without making them */
	b = trit_net_bytes(&kept.net, 2, true);
	assert_int_equal(b.all, again.net.arena.size);
	b = trit_net_bytes(&kept.net, 1, false);
	assert_true(b.activations < a.activations / 2 + a.activations / 50 && b.weights == a.weights);
	close_bench(&kept);
	close_bench(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
