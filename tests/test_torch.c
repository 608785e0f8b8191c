/*
 * test_torch.c - the training network and its optimiser against PyTorch: gradients of the whole network, and the losses
 * of 200 steps of AdamW with clipping, warm-up and the two-stage schedule.
 *
 * The expected values are of tests/reference/make_torch_golden.py, which says why seeds were chosen.
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

#include "format/safetensors.h"
#include "kernel/kernel.h"
#include "train/net.h"
#include "train/optim.h"
#include "train/schedule.h"

enum { SEQ = 12, SEQUENCES = 64, GRAD_BATCH = 2, BATCH = 4, STEPS = 200 };

static struct trit_error err;

struct bench {
	struct trit_safetensors golden;
	struct trit_recipe recipe;
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_params params;
	struct trit_net net;
	struct trit_optim optim;
	struct trit_pool *pool;
};

static const void *golden(const struct bench *b, const char *name, uint64_t elements, enum trit_dtype dtype)
{
	const struct trit_st_tensor *t = trit_safetensors_find(&b->golden, name);
	if (!t || t->elements != elements || t->dtype != dtype)
		fail_msg("golden tensor %s is missing or of another size", name);
	return t->data;
}

static void open_bench(struct bench *b, const char *kind, enum trit_tier tier)
{
	static const struct trit_net_options how = { .backward = TRIT_BACKWARD_F32 };
	char path[400], name[TRIT_TENSOR_NAME_BYTES];
	*b = (struct bench){ .recipe = trit_recipe_defaults() };
	struct trit_recipe *r = &b->recipe;
	snprintf(path, sizeof path, TRIT_TEST_DATA "/train/torch_%s.safetensors", kind);
	assert_int_equal(trit_safetensors_open(&b->golden, path, &err), 0);
	r->n_vocab = 48, r->n_layers = 2, r->d_model = 16, r->d_ff = 24, r->n_heads = 2, r->n_kv_heads = 1, r->head_dim = 8;
	r->weights = !strcmp(kind, "full") ? TRIT_WEIGHT_FULL : !strcmp(kind, "binary") ? TRIT_WEIGHT_BINARY
	                                                                                 : TRIT_WEIGHT_TERNARY;
	r->optimizer = TRIT_OPTIMIZER_ADAMW;
	r->seq_len = SEQ, r->batch = BATCH, r->micro_batch = BATCH, r->steps = STEPS, r->warmup = 20;
	r->lr = 6e-3f, r->lr2 = 4e-3f, r->weight_decay = 0.1f, r->weight_decay2 = 0, r->clip = 1.75f;
	r->beta1 = 0.9f, r->beta2 = 0.95f, r->adam_eps = 1e-8f, r->schedule = TRIT_SCHEDULE_TWO_STAGE;
	trit_kernels_fill(&b->kernels, tier);
	if (trit_recipe_apply_size(r, "260k", &err) || trit_recipe_config(r, &b->config, &err) ||
	    trit_pool_new(&b->pool, 1, &err) || trit_params_init(&b->params, &b->config, &err) ||
	    trit_net_init(&b->net, &b->config, trit_recipe_method(r), &b->params, &b->kernels, b->pool, SEQ, BATCH,
	                  &how, &err) ||
	    trit_optim_init(&b->optim, &b->params, &b->kernels, b->pool, r, NULL, &err))
		fail_msg("%s", err.message);
	for (int i = 0; i < b->params.n; i++) {
		const struct trit_param *p = &b->params.list[i];
		trit_tensor_name(name, p->id, p->layer, "weight");
		memcpy(b->params.w + p->offset, golden(b, name, p->rows * p->cols, TRIT_DTYPE_F32),
		       p->rows * p->cols * sizeof(float));
	}
	trit_net_quantise(&b->net);
}

static void close_bench(struct bench *b)
{
	trit_optim_release(&b->optim);
	trit_net_release(&b->net);
	trit_params_release(&b->params);
	trit_pool_free(b->pool);
	trit_safetensors_close(&b->golden);
}

/* n sequences of the golden text from the first on, coming round. */
static void take(const struct bench *b, trit_token *out, int first, int n)
{
	const int32_t *tokens = golden(b, "tokens", SEQUENCES * (SEQ + 1), TRIT_DTYPE_I32);
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= SEQ; j++)
			out[i * (SEQ + 1) + j] = tokens[(first + i) % SEQUENCES * (SEQ + 1) + j];
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* |a - b| / |b| over the numbers of a tensor. */
static double distance(const float *a, const float *b, size_t n)
{
	double apart = 0, norm = 0;
	for (size_t i = 0; i < n; i++) {
		apart += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
		norm += (double)b[i] * (double)b[i];
	}
	return sqrt(apart / norm);
}

static void check_gradients(const char *kind, enum trit_tier tier)
{
	struct bench b;
	trit_token batch[GRAD_BATCH * (SEQ + 1)];
	char name[TRIT_TENSOR_NAME_BYTES + 8] = "grad.";
	double worst = 0;
	open_bench(&b, kind, tier);
	take(&b, batch, 0, GRAD_BATCH);
	double loss = trit_net_step(&b.net, GRAD_BATCH, batch, NULL, 1.0f / (GRAD_BATCH * SEQ)) / (GRAD_BATCH * SEQ);
	const double *expected = golden(&b, "loss", 1, TRIT_DTYPE_F64);
	assert_true(fabs(loss / *expected - 1) < 1e-6);
	for (int i = 0; i < b.params.n; i++) {
		const struct trit_param *p = &b.params.list[i];
		trit_tensor_name(name + 5, p->id, p->layer, "weight");
		double d = distance(b.params.g + p->offset, golden(&b, name, p->rows * p->cols, TRIT_DTYPE_F32),
		                    p->rows * p->cols);
		if (!(d < 1e-5))
			fail_msg("%s, %s: %s is off by %g", kind, trit_tier_name(tier), name, d);
		worst = fmax(worst, d);
	}
	print_message("%s, %s: worst tensor off by %.1e\n", kind, trit_tier_name(tier), worst);
	close_bench(&b);
}

static void test_gradients(void **state)
{
	static const char *const kinds[] = { "ternary", "binary", "full" };
	(void)state;
	for (int i = 0; i < 3; i++) {
		check_gradients(kinds[i], TRIT_TIER_C);
		check_gradients(kinds[i], trit_best_tier());
	}
}

/* ---- 200 steps --------------------------------------------------------------------------------------------------- */

/* How near full precision stays all the way; a small error in any setting does not. */
#define FOLLOWS 1e-5

struct apart {
	double most, mean; /* of |loss / PyTorch's - 1| */
	int agree;         /* steps before it is first above FOLLOWS */
};

static struct apart train(const char *kind, void (*change)(struct trit_recipe *r))
{
	struct bench b;
	trit_token batch[BATCH * (SEQ + 1)];
	struct apart apart = { 0 };
	open_bench(&b, kind, trit_best_tier());
	const double *curve = golden(&b, "curve", STEPS, TRIT_DTYPE_F64);
	if (change)
		change(&b.recipe);
	for (int step = 0; step < STEPS; step++) {
		take(&b, batch, step * BATCH, BATCH);
		double loss = trit_net_step(&b.net, BATCH, batch, NULL, 1.0f / (BATCH * SEQ)) / (BATCH * SEQ);
		double d = fabs(loss / curve[step] - 1);
		apart.most = fmax(apart.most, d);
		apart.mean += d / STEPS;
		apart.agree += apart.most < FOLLOWS;
		trit_optim_step(&b.optim, trit_optim_grad_norm(&b.optim), trit_schedule_lr(&b.recipe, step, STEPS),
		                trit_schedule_weight_decay(&b.recipe, step, STEPS), step + 1);
		trit_net_quantise(&b.net);
	}
	assert_true(curve[STEPS - 1] < 0.75 * curve[0]); /* it learnt something to follow */
	close_bench(&b);
	return apart;
}

static void other_beta1(struct trit_recipe *r)
{
	r->beta1 = 0.89f;
}

static void other_beta2(struct trit_recipe *r)
{
	r->beta2 = 0.96f;
}

static void other_eps(struct trit_recipe *r)
{
	r->adam_eps = 1e-6f;
}

static void other_decay(struct trit_recipe *r)
{
	r->weight_decay = 0.09f;
}

static void decay_goes_on(struct trit_recipe *r)
{
	r->weight_decay2 = 0.01f;
}

static void other_clip(struct trit_recipe *r)
{
	r->clip = 1.85f;
}

static void other_warmup(struct trit_recipe *r)
{
	r->warmup = 19;
}

static void other_second_stage(struct trit_recipe *r)
{
	r->lr2 = 4.1e-3f;
}

static void test_curve(void **state)
{
	static void (*const changes[])(struct trit_recipe *) = { other_beta1,   other_beta2,   other_eps,
		                                                     other_decay,   decay_goes_on, other_clip,
		                                                     other_warmup,  other_second_stage };
	(void)state;
	struct apart full = train("full", NULL);
	print_message("full: off by at most %.1e, %.1e in the mean\n", full.most, full.mean);
	assert_true(full.most < FOLLOWS);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct apart other = train("full", changes[i]);
		print_message("full, change %zu: off by at most %.1e\n", i, other.most);
		assert_true(other.most > 3 * FOLLOWS);
	}
}

/* Of quantised networks the rounding of fp32 decides now and then which step of the staircase is taken. */
static void test_quantised_curves(void **state)
{
	static const char *const kinds[] = { "ternary", "binary" };
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct apart apart = train(kinds[i], NULL);
		print_message("%s: alike for %d steps, then off by at most %.1e, %.1e in the mean\n", kinds[i], apart.agree,
		              apart.most, apart.mean);
		assert_true(apart.agree >= 8 && apart.mean < 0.03 && apart.most < 0.2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_curve),
		cmocka_unit_test(test_quantised_curves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
