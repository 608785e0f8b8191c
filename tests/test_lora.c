/*
 * test_lora.c - low-rank adapters in training.
 *
 * In a full-precision network an adapter is the same as weights W + s B A, whose gradient G test_net.c holds against
 * finite differences; so an adapter's gradients are s G A^T and s B^T G, computed here in double. In a ternary network
 * the adapter of the last layer's down projection has nothing quantised behind it: finite differences of the loss.
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

enum { LAYERS = 2, S = 21, SEQS = 2, V = 40, RANK = 3 };

static struct trit_error err;

struct bench {
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params base;
	struct trit_params adapters;
	struct trit_lora lora;
	struct trit_net net;
	trit_token batch[SEQS * (S + 1)];
};

/* Weights and batch depend on nothing but the seed; frozen or not they are the same. */
static void open_bench(struct bench *b, enum trit_weight_kind kind, unsigned targets, enum trit_tier tier, int threads)
{
	struct trit_rng rng;

	*b = (struct bench){ .config = { .n_vocab = V, .n_layers = LAYERS, .d_model = 24, .d_ff = 40, .n_heads = 4,
		                             .n_kv_heads = 2, .head_dim = 8, .n_rot = 8, .n_ctx = S, .rope_base = 100,
		                             .eps = 1e-5f, .tied = true } };
	trit_config_set_arch(&b->config, trit_arch_for(kind, TRIT_ACT_SILU));
	trit_kernels_fill(&b->kernels, tier);
	trit_rng_init(&rng, 99);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	assert_int_equal(targets ? trit_params_init_frozen(&b->base, &b->config, &err)
	                         : trit_params_init(&b->base, &b->config, &err), 0);
	for (int i = 0; i < b->base.n; i++) {
		const struct trit_param *t = &b->base.list[i];
		bool norm = trit_tensors[t->id].kind == TRIT_KIND_NORM;
		for (size_t j = 0; j < t->rows * t->cols; j++)
			b->base.w[t->offset + j] = norm ? 0.75f + 0.5f * trit_rng_uniform(&rng) : 0.4f * trit_rng_normal(&rng);
	}
	for (int i = 0; i < SEQS * (S + 1); i++)
		b->batch[i] = (trit_token)trit_rng_below(&rng, V);
	assert_int_equal(trit_net_init(&b->net, &b->config, (struct trit_weight_method){ .kind = kind }, &b->base,
	                               &b->kernels, b->pool, S, SEQS, NULL, &err), 0);
	if (targets) {
		assert_int_equal(trit_lora_init(&b->lora, &b->adapters, &b->config, RANK, 6, targets, S * SEQS, 5, &err), 0);
		trit_net_adapt(&b->net, &b->lora);
		for (int i = 0; i < b->lora.params->n; i++) /* a B that says something */
			for (size_t j = 0; i % 2 && j < b->lora.params->list[i].rows * RANK; j++)
				b->lora.params->w[b->lora.params->list[i].offset + j] = 0.1f * trit_rng_normal(&rng);
	}
	trit_net_quantise(&b->net);
}

static void close_bench(struct bench *b)
{
	trit_net_release(&b->net);
	trit_lora_release(&b->lora);
	trit_params_release(&b->adapters);
	trit_params_release(&b->base);
	trit_pool_free(b->pool);
}

/* A product of the adapter of a tensor: out [rows, cols] = s B A. */
static void product(const struct trit_lora *l, const struct trit_param *a, double *out)
{
	const struct trit_param *b = a + 1;
	for (size_t r = 0; r < b->rows; r++)
		for (size_t c = 0; c < a->cols; c++) {
			double sum = 0;
			for (size_t i = 0; i < RANK; i++)
				sum += (double)l->params->w[b->offset + r * RANK + i] *
				       (double)l->params->w[a->offset + i * a->cols + c];
			out[r * a->cols + c] = sum * 6 / RANK;
		}
}

/* Elements of `got` are those of `expected` to 2e-5 of its norm. */
static void check(const char *what, const float *got, const double *expected, size_t n)
{
	double norm = 0;
	for (size_t i = 0; i < n; i++)
		norm += expected[i] * expected[i];
	assert_true(norm > 0);
	for (size_t i = 0; i < n; i++)
		if (!(fabs(got[i] - expected[i]) <= 2e-5 * sqrt(norm)))
			fail_msg("%s, element %zu: %.9g, expected %.9g (norm %.3g)", what, i, got[i], expected[i], sqrt(norm));
}

static void test_full(void **state)
{
	struct bench adapted, merged;
	double *delta = calloc(40 * 40, sizeof *delta);

	(void)state;
	open_bench(&adapted, TRIT_WEIGHT_FULL, 0x7f, TRIT_TIER_C, 2);
	open_bench(&merged, TRIT_WEIGHT_FULL, 0, TRIT_TIER_C, 1);
	assert_int_equal(adapted.lora.params->n, 2 * 7 * LAYERS);
	for (int i = 0; i < adapted.lora.params->n; i += 2) {
		const struct trit_param *a = &adapted.lora.params->list[i];
		const struct trit_param *w = trit_params_find(&merged.base, a->id, a->layer);
		product(&adapted.lora, a, delta);
		for (size_t j = 0; j < w->rows * w->cols; j++)
			merged.base.w[w->offset + j] += (float)delta[j];
	}
	double plain = trit_net_step(&merged.net, SEQS, merged.batch, NULL, 0.5f);
	double loss = trit_net_step(&adapted.net, SEQS, adapted.batch, NULL, 0.5f);
	assert_true(fabs(loss / plain - 1) < 1e-6);
	for (int i = 0; i < adapted.lora.params->n; i += 2) {
		const struct trit_params *l = adapted.lora.params;
		const struct trit_param *a = &l->list[i], *b = a + 1;
		const float *g = merged.base.g + trit_params_find(&merged.base, a->id, a->layer)->offset;
		double da[RANK * 40] = { 0 }, db[40 * RANK] = { 0 };
		for (size_t r = 0; r < b->rows; r++)
			for (size_t c = 0; c < a->cols; c++)
				for (size_t k = 0; k < RANK; k++) {
					double s = 6.0 / RANK * (double)g[r * a->cols + c];
					da[k * a->cols + c] += s * (double)l->w[b->offset + r * RANK + k];
					db[r * RANK + k] += s * (double)l->w[a->offset + k * a->cols + c];
				}
		check("A", l->g + a->offset, da, RANK * a->cols);
		check("B", l->g + b->offset, db, b->rows * RANK);
	}
	free(delta);
	close_bench(&adapted);
	close_bench(&merged);
}

/* B = 0 is the model itself; frozen weights stay what they are when they are quantised again. */
static void test_ternary(void **state)
{
	struct bench b, plain;

	(void)state;
	open_bench(&b, TRIT_WEIGHT_TERNARY, 0x7f, TRIT_TIER_C, 1);
	open_bench(&plain, TRIT_WEIGHT_TERNARY, 0, TRIT_TIER_C, 1);
	const struct trit_params *l = b.lora.params;
	const struct trit_param *down = &l->list[l->n - 2];
	assert_true(down->id == TRIT_TENSOR_FFN_DOWN && down->layer == LAYERS - 1);
	trit_net_step(&b.net, SEQS, b.batch, NULL, 1);
	for (int part = 0; part < 2; part++) {
		const struct trit_param *t = down + part;
		struct trit_rng rng;
		trit_rng_init(&rng, 17);
		for (int k = 0; k < 4; k++) {
			double got = 0, length = 0, losses[2];
			float direction[RANK * 40];
			size_t n = t->rows * t->cols;
			for (size_t i = 0; i < n; i++)
				direction[i] = trit_rng_normal(&rng), length += (double)direction[i] * (double)direction[i];
			for (size_t i = 0; i < n; i++)
				direction[i] /= (float)sqrt(length), got += (double)direction[i] * (double)l->g[t->offset + i];
			for (int side = 0; side < 2; side++) {
				for (size_t i = 0; i < n; i++)
					l->w[t->offset + i] += (side ? -0.02f : 0.01f) * direction[i];
				losses[side] = trit_net_loss(&b.net, SEQS, b.batch, NULL);
			}
			for (size_t i = 0; i < n; i++)
				l->w[t->offset + i] += 0.01f * direction[i];
			double expected = (losses[0] - losses[1]) / 0.02;
			if (!(fabs(got - expected) < 2e-3 * (1 + fabs(expected))))
				fail_msg("derivative %.6g, expected %.6g", got, expected);
		}
	}
	for (int i = 1; i < l->n; i += 2)
		memset(l->w + l->list[i].offset, 0, l->list[i].rows * RANK * sizeof(float));
	double loss = trit_net_loss(&plain.net, SEQS, plain.batch, NULL);
	assert_true(trit_net_loss(&b.net, SEQS, b.batch, NULL) == loss);
	trit_net_quantise(&b.net);
	assert_true(trit_net_loss(&b.net, SEQS, b.batch, NULL) == loss);
	close_bench(&b);
	close_bench(&plain);
}

static void test_same_bits(void **state)
{
	static const enum trit_weight_kind kinds[] = { TRIT_WEIGHT_TERNARY, TRIT_WEIGHT_FULL };

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		struct bench a, b;
		open_bench(&a, kinds[kind], 0x29, TRIT_TIER_C, 1);
		double loss = trit_net_step(&a.net, SEQS, a.batch, NULL, 1);
		for (int threads = 1; threads < 8; threads += 3) {
			open_bench(&b, kinds[kind], 0x29, trit_best_tier(), threads);
			assert_true(trit_net_step(&b.net, SEQS, b.batch, NULL, 1) == loss);
			assert_memory_equal(a.lora.params->g, b.lora.params->g, a.lora.params->total * sizeof(float));
			close_bench(&b);
		}
		close_bench(&a);
	}
}

static void test_rank(void **state)
{
	struct trit_lora l;
	struct trit_params p;
	struct trit_config c = { .d_model = 4 };

	(void)state;
	assert_int_equal(trit_lora_init(&l, &p, &c, 5, 1, 1, 1, 1, &err), TRIT_ERR_ARG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_ternary),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_rank),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
