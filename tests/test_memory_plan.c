/*
 * test_memory_plan.c - what a run says it will use, what it says would fit, and what is free.
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
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/free_memory.h"
#include "scratch.h"
#include "train/memory_plan.h"
#include "train/recipe.h"
#include "train/teacher.h"

static struct trit_error err;

/* ---- a plan ------------------------------------------------------------------------------------------------------ */

enum { SEQS = 8, SEQ_LEN = 64, BATCH_BYTES = 12345 };

struct bench {
	struct trit_recipe recipe;
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params params, base;
	struct trit_net net;
	struct trit_optim optim;
	struct trit_part_sums sums;
	struct trit_lora lora;
	struct trit_teacher teacher;
	struct trit_memory_plan plan;
};

static void open_bench(struct bench *b, bool recompute)
{
	struct trit_net_options o = { .recompute = recompute };
	*b = (struct bench){ .recipe = trit_recipe_defaults() };
	b->recipe.seq_len = SEQ_LEN;
	b->recipe.optimizer = TRIT_OPTIMIZER_MUON;
	assert_int_equal(trit_recipe_apply_size(&b->recipe, "260k", &err), 0);
	assert_int_equal(trit_recipe_config(&b->recipe, &b->config, &err), 0);
	trit_kernels_fill(&b->kernels, TRIT_TIER_C);
	assert_int_equal(trit_pool_new(&b->pool, 2, &err), 0);
	assert_int_equal(trit_params_init(&b->params, &b->config, &err), 0);
	assert_int_equal(trit_net_init(&b->net, &b->config, trit_recipe_method(&b->recipe), &b->params, &b->kernels,
	                               b->pool, SEQ_LEN, SEQS, &o, &err), 0);
	assert_int_equal(trit_optim_init(&b->optim, &b->params, &b->kernels, b->pool, &b->recipe, NULL, &err), 0);
	assert_int_equal(trit_part_sums_init(&b->sums, 4, b->params.total, &b->kernels, b->pool, &err), 0);
	struct trit_memory_users users = { .params = &b->params, .base = &b->base, .net = &b->net, .optim = &b->optim,
		                               .sums = &b->sums, .lora = &b->lora, .teacher = &b->teacher,
		                               .batch = BATCH_BYTES };
	b->plan = trit_memory_plan_of(&users);
}

static void close_bench(struct bench *b)
{
	trit_part_sums_release(&b->sums);
	trit_optim_release(&b->optim);
	trit_net_release(&b->net);
	trit_params_release(&b->params);
	trit_pool_free(b->pool);
}

static void test_parts(void **state)
{
	struct bench b;
	char text[TRIT_PLAN_BYTES];
	(void)state;
	open_bench(&b, false);
	const struct trit_memory_plan *p = &b.plan;
	double array = 4.0 * (double)b.params.total, scratch = 2 * 4.0 * (double)b.optim.thread_scratch;
	assert_true(p->weights == array);
	assert_true(p->gradients == 3 * array); /* four parts: two branches wait for others */
	assert_true(fabs(p->moments - 2 * array) < 0.001 * array);
	assert_true(p->quantised + p->activations + p->work >= (double)b.net.arena.size + scratch + BATCH_BYTES);
	assert_true(p->quantised + p->activations + p->work < (double)b.net.arena.size + scratch + 100e3);
	/* a token's activations: x, middle, attention 64; queries, keys, values 192; gate and up 192 in each layer */
	assert_true(p->activations > 4.0 * SEQS * SEQ_LEN * 4 * (3 * 64 + 3 * 64 + 2 * 192));
	assert_true(p->activations < 4.0 * SEQS * SEQ_LEN * 4 * (3 * 64 + 3 * 64 + 2 * 192) * 1.3);
	assert_true(p->exchange == 0 && p->teacher == 0);
	double sum = p->weights + p->gradients + p->moments + p->quantised + p->activations + p->work;
	assert_true(fabs(trit_memory_plan_total(p) - sum) < 1);
	trit_memory_plan_describe(text, p);
	assert_non_null(strstr(text, "weights 1, gradients 3, moments 2, "));
	assert_null(strstr(text, "teacher"));
	assert_string_equal(text + strlen(text) - 4, " MiB");
	close_bench(&b);
}

/* The bytes of a plan like this one with other micro-batches or recomputation. */
static double other(const struct bench *b, int seqs, bool recompute)
{
	return trit_memory_plan_total(&b->plan) + (double)trit_net_bytes(&b->net, seqs, recompute).all -
	       (double)b->net.arena.size;
}

static void check_remedy(const struct bench *b, double free, int processes, const char *remedy)
{
	int e = trit_memory_plan_check(&b->plan, &b->net, processes, (uint64_t)free, &err);
	assert_int_equal(e, TRIT_ERR_MEMORY);
	if (!strstr(err.message, remedy))
		fail_msg("\"%s\" says nothing of \"%s\"", err.message, remedy);
}

static void test_remedies(void **state)
{
	struct bench b;
	(void)state;
	open_bench(&b, false);
	double all = trit_memory_plan_total(&b.plan);
	assert_int_equal(trit_memory_plan_check(&b.plan, &b.net, 1, (uint64_t)all + 1, &err), 0);
	assert_int_equal(trit_memory_plan_check(&b.plan, &b.net, 2, 2 * (uint64_t)all + 2, &err), 0);
	assert_int_equal(trit_memory_plan_check(&b.plan, &b.net, 9, UINT64_MAX, &err), 0);
	check_remedy(&b, all - 1, 1, "given --micro-batch 4");
	check_remedy(&b, 3 * other(&b, 4, false) + 8, 3, "given --micro-batch 4");
	check_remedy(&b, 2 * all - 8, 2, "free for each of 2 processes");
	check_remedy(&b, other(&b, 4, false) - 1, 1, "given --micro-batch 2");
	check_remedy(&b, other(&b, 1, false) + 1, 1, "given --micro-batch 1");
	check_remedy(&b, other(&b, 1, true) + 1, 1, "given --recompute --micro-batch 1");
	check_remedy(&b, other(&b, 1, true) - 1, 1, "choose a smaller --size or --seq-len");
	close_bench(&b);
	open_bench(&b, true);
	check_remedy(&b, other(&b, 4, true) + 1, 1, "given --micro-batch 4");
	close_bench(&b);
}

/* ---- what is free ------------------------------------------------------------------------------------------------ */

static void put(const char *path, const char *text)
{
	char folder[256];
	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(trit_make_dirs(folder, &err), 0);
	scratch_write(path, strlen(text), text);
}

static void test_what_is_free(void **state)
{
	(void)state;
	uint64_t here = trit_free_memory("");
	assert_true(here > 1 << 20);
	assert_true(trit_free_memory("nowhere") == UINT64_MAX);
	put("m/proc/meminfo", "MemTotal:       2000 kB\nMemFree:         100 kB\nMemAvailable:    1000 kB\n");
	assert_true(trit_free_memory("m") == 1000 * 1024);
	/* groups: the one that leaves least, without the cached files */
	put("m/proc/self/cgroup", "1:name=x:/y\n0::/a/b\n");
	put("m/sys/fs/cgroup/a/b/memory.max", "900000\n");
	put("m/sys/fs/cgroup/a/b/memory.current", "500000\n");
	put("m/sys/fs/cgroup/a/b/memory.stat", "anon 1\ninactive_anon 5\ninactive_file 100000\n");
	assert_true(trit_free_memory("m") == 500000);
	put("m/sys/fs/cgroup/a/memory.max", "300000\n");
	put("m/sys/fs/cgroup/a/memory.current", "400000\n");
	assert_true(trit_free_memory("m") == 0);
	put("m/sys/fs/cgroup/a/memory.max", "max\n");
	assert_true(trit_free_memory("m") == 500000);
	/* version 1 */
	put("m/sys/fs/cgroup/memory/memory.limit_in_bytes", "50000\n");
	put("m/sys/fs/cgroup/memory/memory.usage_in_bytes", "30000\n");
	assert_true(trit_free_memory("m") == 20000);
	put("m/proc/self/cgroup", "nonsense");
	put("m/sys/fs/cgroup/memory/memory.limit_in_bytes", "many\n");
	assert_true(trit_free_memory("m") == 1000 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_remedies),
		cmocka_unit_test(test_what_is_free),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
