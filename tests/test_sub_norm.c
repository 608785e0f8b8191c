/*
 * test_sub_norm.c - sub-norms that are added to a model: their weights against means in double, and how near the model
 * stays to what it was.
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

#include "train/sub_norm.h"

enum { N_SEQS = 2, S = 12, T = N_SEQS * S, VOCAB = 40, D = 16, LAYERS = 3 };

static struct trit_error err;
static trit_token batch[N_SEQS * (S + 1)];

static struct trit_config config(bool sub_norm, enum trit_activation activation, int experts)
{
	struct trit_config c = { .n_vocab = VOCAB, .n_layers = LAYERS, .d_model = D, .d_ff = 24, .n_heads = 4,
		                     .n_kv_heads = 2, .head_dim = 6, .n_rot = 6, .n_ctx = S, .rope_base = 100, .eps = 1e-9f,
		                     .tied = true };

	trit_config_set_arch(&c, trit_arch_for(TRIT_WEIGHT_TERNARY, activation));
	c.sub_norm = sub_norm;
	if (experts)
		c.moe = (struct trit_moe_config){ .n_experts = experts, .n_used = 2, .d_ff = 20, .d_ff_shared = 20,
			                              .gating = TRIT_MOE_SOFTMAX, .norm = true, .scale = 1 };
	return c;
}

struct bench {
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params params;
	struct trit_net net;
};

static void open_bench(struct bench *b, struct trit_config c, int threads)
{
	struct trit_weight_method full = { TRIT_WEIGHT_FULL, TRIT_SCALE_TENSOR };

	*b = (struct bench){ .config = c };
	trit_kernels_fill(&b->kernels, TRIT_TIER_C);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	assert_int_equal(trit_params_init(&b->params, &b->config, &err), 0);
	trit_params_randomise(&b->params, &b->config, 5);
	assert_int_equal(trit_net_init(&b->net, &b->config, full, &b->params, &b->kernels, b->pool, S, N_SEQS, NULL, &err),
	                 0);
	trit_net_quantise(&b->net);
}

static void close_bench(struct bench *b)
{
	trit_net_release(&b->net);
	trit_params_release(&b->params);
	trit_pool_free(b->pool);
}

/* A model without sub-norms whose layers add much to the residual, and the same with sub-norms of weight 1. */
static void make_pair(struct bench *plain, struct bench *normed, enum trit_activation activation, int experts)
{
	open_bench(plain, config(false, activation, experts), 1);
	open_bench(normed, config(true, activation, experts), 2);
	for (int i = 0; i < plain->params.n; i++) {
		struct trit_param *p = &plain->params.list[i];
		if (p->kind == TRIT_KIND_LINEAR)
			for (size_t j = 0; j < p->rows * p->cols; j++)
				plain->params.w[p->offset + j] *= 6;
	}
	for (int i = 0, j = 0; i < normed->params.n; i++) {
		const struct trit_param *to = &normed->params.list[i], *from = &plain->params.list[j];
		if (j == plain->params.n || from->id != to->id) /* a sub-norm */
			continue;
		memcpy(normed->params.w + to->offset, plain->params.w + from->offset, to->rows * to->cols * sizeof(float));
		j++;
	}
}

/* How far the last layer's output is from the model's without sub-norms, as a share. */
static double apart(struct bench *plain, struct bench *normed)
{
	double sum = 0, all = 0;

	trit_net_loss(&plain->net, N_SEQS, batch, NULL);
	trit_net_loss(&normed->net, N_SEQS, batch, NULL);
	for (int i = 0; i < T * D; i++) {
		double a = plain->net.x[i], b = normed->net.x[i];
		sum += (a - b) * (a - b);
		all += a * a;
	}
	return sqrt(sum / all);
}

static double activated(enum trit_activation activation, double gate, double up)
{
	return activation == TRIT_ACT_RELU2 ? (gate > 0 ? gate * gate * up : 0) : gate / (1 + exp(-gate)) * up;
}

/* Mean over rows of the root mean square, of rows that are products where there is `up`. */
static double mean_rms(enum trit_activation activation, const float *x, const float *up, int rows, int width)
{
	double sum = 0;

	for (int t = 0; t < rows; t++) {
		double squares = 0;
		for (int i = t * width; i < (t + 1) * width; i++) {
			double v = up ? activated(activation, x[i], up[i]) : (double)x[i];
			squares += v * v;
		}
		sum += sqrt(squares / width);
	}
	return sum / rows;
}

static void check(const struct bench *b, enum trit_tensor_id id, int layer, double expected)
{
	const struct trit_param *p = trit_params_find(&b->params, id, layer);

	assert_non_null(p);
	for (size_t i = 0; i < p->rows * p->cols; i++)
		if (!(fabs((double)b->params.w[p->offset + i] / expected - 1) < 1e-5))
			fail_msg("layer %d: %.9g, expected %.9g", layer, (double)b->params.w[p->offset + i], expected);
}

static void fit(struct bench *b)
{
	assert_int_equal(trit_sub_norms_fit(&b->params, &b->config, &b->kernels, b->pool, S, N_SEQS, batch, NULL, &err), 0);
}

static void test_fit(void **state)
{
	static const enum trit_activation activations[] = { TRIT_ACT_SILU, TRIT_ACT_RELU2 };
	struct bench plain, normed;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enum trit_activation a = activations[i];
		make_pair(&plain, &normed, a, 0);
		double before = apart(&plain, &normed);
		fit(&normed);
		double after = apart(&plain, &normed);
		if (!(after < 0.4 * before))
			fail_msg("%g apart with weights 1, %g with the others", before, after);
		for (int l = 0; l < LAYERS; l++) {
			const struct trit_net_layer *layer = &plain.net.layers[l];
			check(&normed, TRIT_TENSOR_ATTN_SUB_NORM, l, mean_rms(a, layer->att, NULL, T, 24));
			check(&normed, TRIT_TENSOR_FFN_SUB_NORM, l, mean_rms(a, layer->g, layer->u, T, 24));
		}
		close_bench(&plain);
		close_bench(&normed);
	}
}

/* One weight for all experts of a layer, one for the shared expert. */
static void test_experts(void **state)
{
	enum { EXPERTS = 3, F = 20 };
	struct bench plain, normed;

	(void)state;
	make_pair(&plain, &normed, TRIT_ACT_SILU, EXPERTS);
	double before = apart(&plain, &normed);
	fit(&normed);
	assert_true(apart(&plain, &normed) < 0.4 * before);
	for (int l = 0; l < LAYERS; l++) {
		const struct trit_experts *e = &plain.net.layers[l].experts;
		int first = e->slots.first[EXPERTS];
		assert_int_equal(first, 2 * T);
		check(&normed, TRIT_TENSOR_FFN_SUB_NORM_EXPS, l, mean_rms(TRIT_ACT_SILU, e->g, e->u, first, F));
		check(&normed, TRIT_TENSOR_FFN_SUB_NORM_SHEXP, l,
		      mean_rms(TRIT_ACT_SILU, e->g + first * F, e->u + first * F, T, F));
	}
	close_bench(&plain);
	close_bench(&normed);
}

/* A model whose layers are all zero has nothing to go by: the weights stay 1. */
static void test_zero(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, config(true, TRIT_ACT_SILU, 0), 1);
	for (int i = 0; i < b.params.n; i++)
		if (b.params.list[i].kind == TRIT_KIND_LINEAR)
			memset(b.params.w + b.params.list[i].offset, 0,
			       b.params.list[i].rows * b.params.list[i].cols * sizeof *b.params.w);
	fit(&b);
	for (int l = 0; l < LAYERS; l++) {
		check(&b, TRIT_TENSOR_ATTN_SUB_NORM, l, 1);
		check(&b, TRIT_TENSOR_FFN_SUB_NORM, l, 1);
	}
	close_bench(&b);
}

static void test_same_bits(void **state)
{
	struct bench a, b;

	(void)state;
	open_bench(&a, config(true, TRIT_ACT_SILU, 3), 1);
	open_bench(&b, config(true, TRIT_ACT_SILU, 3), 3);
	fit(&a);
	fit(&b);
	assert_memory_equal(a.params.w, b.params.w, a.params.total * sizeof *a.params.w);
	close_bench(&a);
	close_bench(&b);
}

static void test_no_memory(void **state)
{
	struct bench b;
	int e = -1, failures = 0;

	(void)state;
	open_bench(&b, config(true, TRIT_ACT_SILU, 0), 1);
	for (int n = 1; e; n++) {
		trit_mem_fail_after((uint64_t)n);
		e = trit_sub_norms_fit(&b.params, &b.config, &b.kernels, b.pool, S, N_SEQS, batch, NULL, &err);
		trit_mem_fail_after(0);
		if (e) {
			failures++;
			assert_int_equal(e, TRIT_ERR_MEMORY);
		}
	}
	assert_true(failures > 1);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fit),       cmocka_unit_test(test_experts),   cmocka_unit_test(test_zero),
		cmocka_unit_test(test_same_bits), cmocka_unit_test(test_no_memory),
	};

	for (int i = 0; i < N_SEQS * (S + 1); i++)
		batch[i] = (trit_token)(i * 7 % VOCAB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
