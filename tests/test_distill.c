/*
 * test_distill.c - divergences and relations against double precision, and a whole distillation step against PyTorch.
 *
 * tests/reference/make_distill_golden.py has the step: a ternary student, a teacher in full precision, gradients of
 * every tensor.
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
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <trit.h>

#include "base/rng.h"
#include "train/divergence.h"
#include "train/net.h"

enum { MOST = 160 };

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static double exact_divergence(const double *t, const double *s, int n)
{
	double t_most = -INFINITY, s_most = -INFINITY, t_sum = 0, s_sum = 0, kl = 0;

	for (int i = 0; i < n; i++) {
		t_most = fmax(t_most, t[i]);
		s_most = fmax(s_most, s[i]);
	}
	for (int i = 0; i < n; i++) {
		t_sum += exp(t[i] - t_most);
		s_sum += exp(s[i] - s_most);
	}
	for (int i = 0; i < n; i++)
		kl += exp(t[i] - t_most) / t_sum * (t[i] - t_most - log(t_sum) - s[i] + s_most + log(s_sum));
	return kl;
}

static void test_divergence(void **state)
{
	struct trit_kernels k;
	struct trit_rng rng;
	float s[MOST], t[MOST], u[MOST];
	double sd[MOST], td[MOST];

	(void)state;
	trit_kernels_fill(&k, TRIT_TIER_C);
	trit_rng_init(&rng, 1);
	for (int n = 1; n <= MOST; n += n < 40 ? 1 : 17) {
		for (int i = 0; i < n; i++) {
			sd[i] = s[i] = 3 * trit_rng_normal(&rng);
			td[i] = t[i] = 3 * trit_rng_normal(&rng);
		}
		double expected = exact_divergence(td, sd, n);
		assert_true(fabs(trit_divergence(&k, s, t, u, n) - expected) < 2e-6 * (1 + expected));
		for (int i = 0; i < n; i++) {
			double at = sd[i], h = 1e-5;
			sd[i] = at + h;
			double above = exact_divergence(td, sd, n);
			sd[i] = at - h;
			double below = exact_divergence(td, sd, n);
			sd[i] = at;
			assert_true(fabs(s[i] - (above - below) / (2 * h)) < 2e-6);
		}
	}
	/* Of two that agree there is none; far apart it is still finite. */
	for (int i = 0; i < 50; i++)
		s[i] = t[i] = (float)i;
	assert_true(fabs(trit_divergence(&k, s, t, u, 50)) < 1e-6);
	for (int i = 0; i < 50; i++) {
		s[i] = i ? 0 : 1e4f;
		t[i] = i ? 1e4f : 0;
	}
	assert_true(fabs(trit_divergence(&k, s, t, u, 50) - 1e4 + log(49)) < 1e-2);
}

/* ---- relations --------------------------------------------------------------------------------------------------- */

enum { LD = 11 }; /* of the student's rows */

struct relation_case {
	int positions, width, teacher_width;
	bool weighted;
};

static double exact_relation(const double *a, const float *teacher, const struct relation_case *c, const float *weights)
{
	double loss = 0, s[MOST], t[MOST];

	for (int i = 0; i < c->positions; i++) {
		for (int j = 0; j < c->positions; j++) {
			s[j] = t[j] = 0;
			for (int d = 0; d < c->width; d++)
				s[j] += a[i * LD + d] * a[j * LD + d] / sqrt(c->width);
			for (int d = 0; d < c->teacher_width; d++)
				t[j] += (double)teacher[i * c->teacher_width + d] * teacher[j * c->teacher_width + d] /
				        sqrt(c->teacher_width);
		}
		loss += (weights ? (double)weights[i] : 1) * exact_divergence(t, s, c->positions);
	}
	return loss;
}

static void check_relation(const struct relation_case *c)
{
	static float a[MOST * LD], teacher[MOST * LD], da[MOST * LD], weights[MOST];
	static double ad[MOST * LD];
	struct trit_kernels k;
	struct trit_rng rng;
	struct trit_relation r = { .positions = c->positions, .width = c->width, .teacher_width = c->teacher_width,
		                   .ld = LD, .teacher_ld = (size_t)c->teacher_width, .a = a, .teacher = teacher,
		                   .weights = c->weighted ? weights : NULL };
	float *scratch = trit_calloc(trit_relation_scratch(c->positions), sizeof *scratch);
	double norm = 0;

	assert_non_null(scratch);
	trit_kernels_fill(&k, TRIT_TIER_C);
	trit_rng_init(&rng, 2);
	for (int i = 0; i < c->positions * LD; i++) {
		ad[i] = a[i] = trit_rng_normal(&rng);
		teacher[i] = trit_rng_normal(&rng);
		da[i] = 7; /* what lies beyond the width stays */
	}
	for (int i = 0; i < c->positions; i++)
		weights[i] = (float)(i % 3);
	double expected = exact_relation(ad, teacher, c, r.weights);
	double loss = trit_relation_backward(&r, &k, da, 0.5f, scratch);
	assert_true(fabs(loss / expected - 1) < 1e-5);
	for (int i = 0; i < c->positions * LD; i++)
		norm += i % LD < c->width ? (double)da[i] * da[i] : 0;
	norm = sqrt(norm);
	assert_true(norm > 1e-3);
	for (int i = 0; i < c->positions * LD; i += c->positions > 30 ? 29 : 1) {
		double at = ad[i], h = 1e-5;
		if (i % LD >= c->width) {
			assert_true(da[i] == 7);
			continue;
		}
		ad[i] = at + h;
		double above = exact_relation(ad, teacher, c, r.weights);
		ad[i] = at - h;
		double below = exact_relation(ad, teacher, c, r.weights);
		ad[i] = at;
		if (!(fabs(da[i] - 0.5 * (above - below) / (2 * h)) < 2e-5 * norm))
			fail_msg("%d positions, element %d: %.9g, expected %.9g", c->positions, i, (double)da[i],
			         0.5 * (above - below) / (2 * h));
	}
	trit_free(scratch);
}

/* On both sides of blocks of 64; heads of other widths in the teacher. */
static void test_relations(void **state)
{
	static const struct relation_case cases[] = {
		{ 2, 4, 4, false }, { 7, 5, 5, false }, { 19, 8, 6, true }, { 64, 11, 3, false }, { 65, 6, 11, true },
		{ 131, 3, 4, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_relation(&cases[i]);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

enum { N_SEQS = 2, S = 13, VOCAB = 48, LAYERS = 2 };

struct bench {
	struct trit_model *teacher;
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params params;
	struct trit_net net;
	struct trit_distill distill;
	struct trit_safetensors golden;
	trit_token batch[N_SEQS * (S + 1)];
	float weights[N_SEQS * S];
};

static void get(const struct bench *b, const char *name, float *out, size_t n)
{
	const struct trit_st_tensor *t = trit_safetensors_find(&b->golden, name);
	if (!t || t->elements != n)
		fail_msg("no %s of %zu elements", name, n);
	memcpy(out, t->data, n * sizeof *out);
}

static double number(const struct bench *b, const char *name)
{
	const char *text = trit_safetensors_meta(&b->golden, name);
	assert_non_null(text);
	return strtod(text, NULL);
}

static void open_bench(struct bench *b, enum trit_tier tier, int threads, const char *teacher, int head_chunk)
{
	struct trit_error err;
	struct trit_model_options options = { .cpu = trit_tier_name(tier), .head = "exact", .n_threads = 1 };
	float batch[N_SEQS * (S + 1)];
	char name[TRIT_TENSOR_NAME_BYTES];

	*b = (struct bench){ 0 };
	if (trit_model_open_with(&b->teacher, teacher, &options, &err) ||
	    trit_safetensors_open(&b->golden, TRIT_TEST_DATA "/train/distill.safetensors", &err))
		fail_msg("%s", err.message);
	b->config = (struct trit_config){ .n_vocab = VOCAB, .n_layers = LAYERS, .d_model = 16, .d_ff = 20, .n_heads = 4,
		                          .n_kv_heads = 2, .head_dim = 8, .n_rot = 8, .n_ctx = S, .rope_base = 100,
		                          .eps = 1e-5f, .tied = true };
	trit_config_set_arch(&b->config, trit_arch_for(TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU));
	trit_kernels_fill(&b->kernels, tier);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	assert_int_equal(trit_params_init(&b->params, &b->config, &err), 0);
	for (int i = 0; i < b->params.n; i++) {
		const struct trit_param *p = &b->params.list[i];
		trit_tensor_name(name, p->id, p->layer, "weight");
		get(b, name, b->params.w + p->offset, p->rows * p->cols);
	}
	get(b, "batch", batch, N_SEQS * (S + 1));
	get(b, "weights", b->weights, N_SEQS * S);
	for (int i = 0; i < N_SEQS * (S + 1); i++)
		b->batch[i] = (trit_token)batch[i];
	struct trit_weight_method method = { TRIT_WEIGHT_TERNARY, TRIT_SCALE_TENSOR };
	struct trit_net_options how = { .backward = TRIT_BACKWARD_F32 };
	assert_int_equal(trit_net_init(&b->net, &b->config, method, &b->params, &b->kernels, b->pool, S, N_SEQS,
	                               &how, &err), 0);
	if (head_chunk)
		b->net.head_chunk = head_chunk;
	struct trit_distill_options o = { .kl = true, .relation = true, .temperature = 2, .layer = 0, .teacher_layer = 1,
		                          .heads = 2, .seq_len = S, .max_seqs = N_SEQS, .head_chunk = b->net.head_chunk };
	if (trit_distill_init(&b->distill, b->teacher, &b->config, &b->kernels, b->pool, &o, &err))
		fail_msg("%s", err.message);
	b->distill.kl_weight = 0.75f;
	b->distill.relation_weight = 0.6f;
	b->net.distill = &b->distill;
	trit_net_quantise(&b->net);
}

static void close_bench(struct bench *b)
{
	trit_distill_release(&b->distill);
	trit_net_release(&b->net);
	trit_params_release(&b->params);
	trit_pool_free(b->pool);
	trit_safetensors_close(&b->golden);
	trit_model_close(b->teacher);
}

static const char llama[] = TRIT_TEST_DATA "/checkpoint/llama";

static void test_step(void **state)
{
	static const char *const names[] = { "kl", "relation", "ce_at_logits", "kl_at_logits", "others_at_layer",
		                             "relation_at_layer" };
	struct bench b;
	static float expected[VOCAB * 16];
	char name[TRIT_TENSOR_NAME_BYTES + 2];

	(void)state;
	open_bench(&b, TRIT_TIER_C, 1, llama, 0);
	double loss = trit_net_step(&b.net, N_SEQS, b.batch, b.weights, 1), ce = number(&b, "ce");
	assert_true(fabs(loss / ce - 1) < 1e-5);
	for (int i = 0; i < TRIT_N_DISTILL_SUMS; i++)
		if (!(fabs(b.distill.sums[i] / number(&b, names[i]) - 1) < 1e-4))
			fail_msg("%s: %.9g, expected %.9g", names[i], b.distill.sums[i], number(&b, names[i]));
	for (int i = 0; i < b.params.n; i++) {
		const struct trit_param *p = &b.params.list[i];
		double norm = 0, apart = 0;
		memcpy(name, "g.", 2);
		trit_tensor_name(name + 2, p->id, p->layer, "weight");
		assert_true(p->rows * p->cols <= sizeof expected / sizeof *expected);
		get(&b, name, expected, p->rows * p->cols);
		for (size_t j = 0; j < p->rows * p->cols; j++) {
			norm += (double)expected[j] * expected[j];
			apart += pow((double)b.params.g[p->offset + j] - expected[j], 2);
		}
		assert_true(norm > 1e-6);
		if (!(sqrt(apart / norm) < 2e-5))
			fail_msg("%s: gradient is %.2g of its norm away", name, sqrt(apart / norm));
	}
	close_bench(&b);
}

/* Without a teacher for the pass, and when only the loss is asked for, nothing of it happens. */
static void test_no_teacher(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, TRIT_TIER_C, 1, llama, 0);
	double with = trit_net_step(&b.net, N_SEQS, b.batch, b.weights, 1), kl = b.distill.sums[TRIT_SUM_KL];
	double measured = trit_net_loss(&b.net, N_SEQS, b.batch, b.weights);
	assert_true(fabs(measured / with - 1) < 1e-6);
	assert_true(b.distill.sums[TRIT_SUM_KL] == kl);
	b.net.distill = NULL;
	assert_true(trit_net_loss(&b.net, N_SEQS, b.batch, b.weights) == measured);
	assert_true(trit_net_step(&b.net, N_SEQS, b.batch, b.weights, 1) == with);
	assert_true(b.distill.sums[TRIT_SUM_KL] == kl);
	close_bench(&b);
}

static void test_same_bits(void **state)
{
	static const int threads[] = { 1, 2, 3, 5 };
	static const int chunks[] = { 0, 16, 5, 1 };
	struct bench first, b;

	(void)state;
	open_bench(&first, TRIT_TIER_C, 1, llama, 0);
	double loss = trit_net_step(&first.net, N_SEQS, first.batch, first.weights, 1);
	for (int tier = 0; tier < TRIT_N_TIERS; tier++)
		for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
			if (!trit_tier_here((enum trit_tier)tier))
				continue;
			open_bench(&b, (enum trit_tier)tier, threads[i], llama, chunks[i]);
			/* the sums of the head's gradient are cut differently only by more chunks */
			assert_true(trit_net_step(&b.net, N_SEQS, b.batch, b.weights, 1) == loss);
			assert_memory_equal(b.distill.sums, first.distill.sums, sizeof b.distill.sums);
			if (memcmp(b.params.g, first.params.g, b.params.total * sizeof *b.params.g))
				fail_msg("other gradients on %s with %d threads", trit_tier_name((enum trit_tier)tier), threads[i]);
			close_bench(&b);
		}
	close_bench(&first);
}

static void test_allocates_nothing(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, trit_best_tier(), 2, llama, 0);
	uint64_t before = trit_mem_count();
	trit_net_step(&b.net, N_SEQS, b.batch, b.weights, 1);
	assert_int_equal(trit_mem_count(), before);
	close_bench(&b);
}

static void test_heads(void **state)
{
	struct bench b;
	struct trit_error err;
	struct trit_distill d;

	(void)state;
	open_bench(&b, TRIT_TIER_C, 1, llama, 0);
	assert_int_equal(trit_relation_heads(&b.config, &b.teacher->config), 2);
	struct trit_distill_options o = b.distill.options;
	o.heads = 3;
	assert_int_equal(trit_distill_init(&d, b.teacher, &b.config, &b.kernels, b.pool, &o, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "3 relation heads do not divide the widths 32 and 16 of the student's"));
	close_bench(&b);
}

static void test_no_memory(void **state)
{
	struct bench b;
	struct trit_error err;
	int e = -1, failures = 0;

	(void)state;
	open_bench(&b, TRIT_TIER_C, 1, llama, 0);
	struct trit_distill_options o = b.distill.options;
	trit_distill_release(&b.distill);
	for (int n = 1; e; n++) {
		trit_mem_fail_after((uint64_t)n);
		e = trit_distill_init(&b.distill, b.teacher, &b.config, &b.kernels, b.pool, &o, &err);
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
		cmocka_unit_test(test_divergence),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_step),
		cmocka_unit_test(test_no_teacher),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_allocates_nothing),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
