/*
 * test_teacher.c - runs with a teacher: weights from step to step, resuming, what a teacher must have.
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
#include "scratch.h"
#include "train/init.h"
#include "train/trainer.h"

#define TEXT TRIT_TEST_DATA "/train/garden.txt"

enum { STEPS = 10, WARM = 2, MIDDLE = 6, S = 24 };

static struct trit_error err;

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static void test_layers(void **state)
{
	static const int three_of_six[] = { 0, 3, 5 }, six_of_six[] = { 0, 1, 2, 3, 4, 5 }, two_of_thirty[] = { 0, 29 };

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(trit_init_layer(i, 3, 6), three_of_six[i]);
	for (int i = 0; i < 6; i++)
		assert_int_equal(trit_init_layer(i, 6, 6), six_of_six[i]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(trit_init_layer(i, 2, 30), two_of_thirty[i]);
	assert_int_equal(trit_init_layer(0, 1, 7), 6);
	assert_int_equal(trit_init_layer(8, 9, 3), 2); /* a student may have more */
}

static void test_balance(void **state)
{
	struct trit_balance b = { 0 };

	(void)state;
	assert_false(trit_balance_measured(&b));
	assert_true(trit_balance_weight(&b, 1) == 0);
	trit_balance_update(&b, (double)NAN, 1);
	trit_balance_update(&b, 1, (double)INFINITY);
	assert_false(trit_balance_measured(&b));
	trit_balance_update(&b, 16, 4);
	assert_true(trit_balance_measured(&b));
	assert_true(trit_balance_weight(&b, 1) == 2 && trit_balance_weight(&b, 0.25f) == 0.5f);
	trit_balance_update(&b, 26, 14); /* 17 and 5 */
	assert_true(fabs((double)trit_balance_weight(&b, 1) - sqrt(17.0 / 5)) < 1e-6);
	b.extra = 1e-300;
	assert_true((double)trit_balance_weight(&b, 1) == TRIT_MAX_BALANCE);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static struct trit_recipe recipe(enum trit_weight_kind kind, int width)
{
	struct trit_recipe r = trit_recipe_defaults();

	r.weights = kind;
	r.n_vocab = 300, r.n_layers = 2, r.d_model = width, r.d_ff = 80, r.n_heads = 4, r.n_kv_heads = 2;
	r.head_dim = width / 4, r.seq_len = S, r.batch = 6, r.micro_batch = 4, r.steps = STEPS, r.val_share = 0.15f;
	r.warm_steps = WARM;
	assert_int_equal(trit_recipe_apply_size(&r, "260k", &err), 0);
	return r;
}

static int create(struct trit_trainer *t, const char *out, const char *teacher, struct trit_recipe r, int threads)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_train_options o = { .out = out, .n_threads = threads, .teacher = teacher };

	return trit_trainer_create(t, &r, 1, paths, &o, &err);
}

static void steps(struct trit_trainer *t, int last, struct trit_step_report *r)
{
	struct trit_step_report ignored;

	while (t->progress.step < last)
		if (trit_trainer_step(t, false, r ? r : &ignored, &err))
			fail_msg("%s", err.message);
}

static void save_and_close(struct trit_trainer *t)
{
	if (trit_trainer_save(t, &err))
		fail_msg("%s", err.message);
	trit_trainer_close(t);
}

/* A teacher in full precision of another width, barely trained, and a student that learns from it in one go. */
static int make_teacher(void **state)
{
	struct trit_trainer t;
	struct trit_export_options options = { 0 };

	if (scratch_enter(state))
		return -1;
	if (create(&t, "run", NULL, recipe(TRIT_WEIGHT_FULL, 32), 1))
		fail_msg("%s", err.message);
	steps(&t, 5, NULL);
	save_and_close(&t);
	if (trit_convert("run", "teacher.gguf", &options, &err))
		fail_msg("%s", err.message);
	if (create(&t, "whole", "teacher.gguf", recipe(TRIT_WEIGHT_TERNARY, 48), 1))
		fail_msg("%s", err.message);
	steps(&t, STEPS, NULL);
	save_and_close(&t);
	return 0;
}

/* Interrupted before and after the teacher comes in, with other numbers of threads. */
static void test_resume(void **state)
{
	static const int stops[] = { WARM - 1, MIDDLE };
	struct trit_trainer t;
	struct trit_train_options o = { .out = "cut", .n_threads = 2 };

	(void)state;
	for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
		if (create(&t, "cut", "teacher.gguf", recipe(TRIT_WEIGHT_TERNARY, 48), 3))
			fail_msg("%s", err.message);
		steps(&t, stops[i], NULL);
		save_and_close(&t);
		if (trit_trainer_resume(&t, &o, &err))
			fail_msg("%s", err.message);
		steps(&t, STEPS, NULL);
		save_and_close(&t);
		scratch_check_same("whole/checkpoint.safetensors", "cut/checkpoint.safetensors");
		scratch_remove("cut");
	}
}

/* The teacher comes in after the warm steps; weights follow the norms of the steps before, or are fixed. */
static void test_weights(void **state)
{
	struct trit_trainer t;
	struct trit_step_report r;
	struct trit_recipe fixed = recipe(TRIT_WEIGHT_TERNARY, 48);

	(void)state;
	if (create(&t, "weights", "teacher.gguf", recipe(TRIT_WEIGHT_TERNARY, 48), 2))
		fail_msg("%s", err.message);
	steps(&t, WARM, &r);
	assert_false(r.has_kl || r.has_relation);
	assert_false(trit_balance_measured(&t.progress.teaching.kl));
	for (int step = WARM + 1; step <= STEPS; step++) {
		const struct trit_teaching before = t.progress.teaching;
		const double *sums = t.teacher.sums;
		steps(&t, step, &r);
		assert_true(r.has_kl && r.has_relation && r.kl > 0 && r.relation > 0 && isfinite(r.kl + r.relation));
		assert_true(r.kl_weight > 0 && r.relation_weight > 0);
		if (step > WARM + 1) {
			assert_true(r.kl_weight == trit_balance_weight(&before.kl, t.recipe.kl_share));
			assert_true(r.relation_weight == trit_balance_weight(&before.relation, t.recipe.relation_share));
			assert_true(fabs(t.progress.teaching.kl.extra - 0.9 * before.kl.extra -
			                 0.1 * sums[TRIT_SUM_KL_AT_LOGITS]) < 1e-12);
		} else { /* measured on the first micro-batch: near the whole batch's ratio */
			double at_once = sqrt(sums[TRIT_SUM_CE_AT_LOGITS] / sums[TRIT_SUM_KL_AT_LOGITS]);
			assert_true(fabs((double)(r.kl_weight / t.recipe.kl_share) / at_once - 1) < 0.3);
		}
	}
	trit_trainer_close(&t);
	fixed.kl_weight = 0.5f, fixed.relation_share = 0;
	if (create(&t, "fixed", "teacher.gguf", fixed, 2))
		fail_msg("%s", err.message);
	steps(&t, WARM + 3, &r);
	assert_true(r.has_kl && !r.has_relation && r.kl_weight == 0.5f);
	trit_trainer_close(&t);
}

/* A student that has the teacher's weights in full precision has nothing to learn from it. */
static void test_teacher_itself(void **state)
{
	struct trit_trainer t;
	struct trit_recipe r = recipe(TRIT_WEIGHT_FULL, 32);
	struct trit_params own;

	(void)state;
	r.warm_steps = 0;
	if (create(&t, "self", "teacher.gguf", r, 2) || trit_params_init(&own, &t.config, &err) ||
	    trit_checkpoint_load("run/checkpoint.safetensors", &own, &err))
		fail_msg("%s", err.message);
	memcpy(t.params.w, own.w, own.total * sizeof *own.w);
	t.net.distill = &t.teacher.distill;
	trit_data_train(&t.data, 0, 4, t.batch, NULL);
	trit_net_step(&t.net, 4, t.batch, NULL, 1);
	double n = 4 * S, *sums = t.teacher.distill.sums;
	/* what is left is the 8 bits of the packed model's weights and the 16 of its cache */
	assert_true(sums[TRIT_SUM_KL] / n < 1e-4 && sums[TRIT_SUM_RELATION] / n < 1e-4);
	trit_params_release(&own);
	trit_trainer_close(&t);
}

static void refuse(struct trit_recipe r, const char *teacher, int status, const char *message)
{
	struct trit_trainer t;

	assert_int_equal(create(&t, "refused", teacher, r, 1), status);
	if (!strstr(err.message, message))
		fail_msg("\"%s\" lacks \"%s\"", err.message, message);
	assert_true(trit_path_kind("refused") < 0);
}

static void test_refused(void **state)
{
	struct trit_recipe r = recipe(TRIT_WEIGHT_TERNARY, 48);
	struct trit_trainer t;
	struct trit_train_options o = { .out = "whole", .teacher = TRIT_TEST_DATA "/model/tiny.gguf" };

	(void)state;
	refuse(r, "none.gguf", TRIT_ERR_IO, "none.gguf");
	r.relation_layer = 3;
	refuse(r, "teacher.gguf", TRIT_ERR_ARG, "--relation-layer is 3; the student has 2 layers");
	r.relation_layer = 0, r.relation_heads = 5;
	refuse(r, "teacher.gguf", TRIT_ERR_ARG, "5 relation heads do not divide");
	r.relation_heads = 0, r.kl_share = r.relation_share = 0;
	refuse(r, "teacher.gguf", TRIT_ERR_ARG, "nothing is learnt from the teacher");
	r = recipe(TRIT_WEIGHT_TERNARY, 48), r.seq_len = S + 1;
	refuse(r, "teacher.gguf", TRIT_ERR_ARG, "trained for 24 positions; choose --seq-len 24 or less");
	assert_int_equal(trit_trainer_resume(&t, &o, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "tiny.gguf: a vocabulary of"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_balance),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_teacher_itself),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, make_teacher, scratch_leave);
}
