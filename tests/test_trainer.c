/*
 * test_trainer.c - whole training runs: a stored loss list, resuming, kill -9, a full disk, bad input.
 *
 * The stored losses are what plain C gave when the gradients had passed test_net.c; they change only when the method
 * does. To write them again: test_trainer --write
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "scratch.h"
#include "format/st_checksum.h"
#include "train/trainer.h"

#define TEXT TRIT_TEST_DATA "/train/garden.txt"
#define LOSSES TRIT_TEST_DATA "/train/losses.txt"

enum { STEPS = 20 };

static struct trit_error err;

/* A few hundred windows, so that 20 steps of 12 reach into a second epoch; micro-batches of 5, 5 and 2. */
static struct trit_recipe recipe(void)
{
	struct trit_recipe r = trit_recipe_defaults();

	r.n_vocab = 300, r.n_layers = 2, r.d_model = 48, r.d_ff = 80, r.n_heads = 4, r.n_kv_heads = 2, r.head_dim = 12;
	r.seq_len = 24, r.batch = 12, r.micro_batch = 5, r.steps = STEPS, r.val_share = 0.15f;
	r.optimizer = TRIT_OPTIMIZER_ADAMW;
	r.schedule = TRIT_SCHEDULE_TWO_STAGE;
	r.precision = TRIT_PRECISION_F32; /* the same bits in every tier */
	assert_int_equal(trit_recipe_apply_size(&r, "260k", &err), 0);
	return r;
}

static struct trit_train_options options(const char *out, const char *cpu, int threads)
{
	return (struct trit_train_options){ .out = out, .cpu = cpu, .n_threads = threads };
}

static void create(struct trit_trainer *t, const char *out, const char *cpu, int threads)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_recipe r = recipe();
	struct trit_train_options o = options(out, cpu, threads);

	if (trit_trainer_create(t, &r, 1, paths, &o, &err))
		fail_msg("%s", err.message);
}

static void resume(struct trit_trainer *t, const char *out, int threads)
{
	struct trit_train_options o = options(out, NULL, threads);

	if (trit_trainer_resume(t, &o, &err))
		fail_msg("%s", err.message);
}

/* Steps until step `last`, validating after every fifth. Losses, by step, where wanted. */
static void steps(struct trit_trainer *t, int last, double *losses)
{
	while (t->progress.step < last) {
		struct trit_step_report r;
		bool validate = (t->progress.step + 1) % 5 == 0;
		if (trit_trainer_step(t, validate, &r, &err))
			fail_msg("%s", err.message);
		assert_int_equal(r.step, t->progress.step);
		assert_int_equal(r.tokens, 12 * 24 * (uint64_t)r.step);
		assert_true(isnan(r.val_loss) != validate);
		assert_true(fabs(r.share[0] + r.share[1] + r.share[2] - 1) < 1e-9);
		if (losses)
			losses[r.step - 1] = r.loss;
	}
}

static void save(struct trit_trainer *t)
{
	if (trit_trainer_save(t, &err))
		fail_msg("%s", err.message);
}

/* The uninterrupted run that others are compared with, in the folder "whole". */
static int make_whole(void **state)
{
	struct trit_trainer t;

	if (scratch_enter(state))
		return -1;
	create(&t, "whole", NULL, 1);
	steps(&t, STEPS, NULL);
	save(&t);
	trit_trainer_close(&t);
	return 0;
}

/* Lines of metrics but for tokens_per_s. */
static void check_same_metrics(const char *a, const char *b)
{
	size_t n, m;
	char *x = scratch_read(a, &n), *y = scratch_read(b, &m);
	char *files[] = { x, y };

	for (int f = 0; f < 2; f++)
		for (char *p = files[f]; (p = strstr(p, "\"tokens_per_s\": ")); p++)
			memset(p + 16, '0', strcspn(p + 16, ",")); /* same length or not, the digits go: */
	char *p = x, *q = y;
	while (*p && *q) {
		if (*p == '0' && p[1] == '0') {
			p++;
		} else if (*q == '0' && q[1] == '0') {
			q++;
		} else if (*p != *q) {
			fail_msg("%s and %s differ at \"%.60s\" and \"%.60s\"", a, b, p, q);
		} else {
			p++, q++;
		}
	}
	assert_int_equal(*p, *q);
	trit_free(x);
	trit_free(y);
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static void test_stored_losses(void **state)
{
	size_t len;
	char *text = scratch_read(LOSSES, &len);

	(void)state;
	for (int tier = 0; tier <= (int)trit_best_tier(); tier++) {
		const char *cpu = trit_tier_name((enum trit_tier)tier), *at = text;
		double losses[STEPS];
		struct trit_trainer t;
		create(&t, cpu, cpu, 1 + tier);
		steps(&t, STEPS, losses);
		for (int i = 0; i < STEPS; i++) {
			char line[32];
			int n = snprintf(line, sizeof line, "%.9g\n", losses[i]);
			if (strncmp(at, line, (size_t)n))
				fail_msg("%s, step %d: loss %.9g, stored %.12s", cpu, i + 1, losses[i], at);
			at += n;
		}
		assert_int_equal(*at, 0);
		save(&t);
		trit_trainer_close(&t);
		if (tier > 0) {
			char path[64];
			snprintf(path, sizeof path, "%s/checkpoint.safetensors", cpu);
			scratch_check_same(path, "c/checkpoint.safetensors");
			snprintf(path, sizeof path, "%s/metrics.jsonl", cpu);
			check_same_metrics(path, "c/metrics.jsonl");
		}
	}
	trit_free(text);
}

/* It learns: well below the entropy of single tokens, on held-out text too. */
static void test_learns(void **state)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_recipe r = recipe();
	struct trit_train_options o = options("learns", NULL, 2);
	struct trit_trainer t;
	struct trit_step_report report = { 0 };

	(void)state;
	r.steps = 150;
	assert_int_equal(trit_trainer_create(&t, &r, 1, paths, &o, &err), 0);
	double before = trit_trainer_validate(&t);
	assert_true(fabs(before - log(t.config.n_vocab)) < 0.2); /* knows nothing yet: ln V */
	while (t.progress.step < r.steps)
		assert_int_equal(trit_trainer_step(&t, false, &report, &err), 0);
	assert_true(report.loss < 2.5);
	assert_true(trit_trainer_validate(&t) < 3.0);
	trit_trainer_close(&t);
}

/* Every shard of a list again, with only every third token to be predicted. */
static void mask_shards(const char *from, const char *dir, const char *name, int n_vocab)
{
	struct trit_shard_writer w;
	struct trit_shards s;

	assert_int_equal(trit_shards_open(&s, from, name, n_vocab, &err), 0);
	assert_int_equal(trit_make_dirs(dir, &err), 0);
	assert_int_equal(trit_shard_writer_init(&w, dir, name, n_vocab, &err), 0);
	for (uint64_t i = 0; i < s.n_tokens; i++) {
		trit_token token;
		bool loss = i % 3 == 0;
		trit_shards_read(&s, i, 1, &token);
		assert_int_equal(trit_shard_writer_put(&w, 1, &token, &loss, &err), 0);
	}
	assert_int_equal(trit_shard_writer_finish(&w, &err), 0);
	trit_shard_writer_release(&w);
	trit_shards_close(&s);
}

/* Masked tokens count neither in the losses nor in what these are divided by. */
static void test_masked(void **state)
{
	struct trit_trainer t;
	struct trit_step_report report;

	(void)state;
	create(&t, "masked", NULL, 2);
	mask_shards("masked/data", "mask", "train", t.recipe.n_vocab);
	mask_shards("masked/data", "mask", "val", t.recipe.n_vocab);
	save(&t);
	trit_trainer_close(&t);
	assert_int_equal(rename("mask/train-00000.safetensors", "masked/data/train-00000.safetensors"), 0);
	assert_int_equal(rename("mask/val-00000.safetensors", "masked/data/val-00000.safetensors"), 0);
	resume(&t, "masked", 2);
	for (int val = 0; val < 2; val++) {
		double sum = 0, total = 0;
		int n = val ? (int)t.data.n_val_windows : t.recipe.batch;
		for (int i = 0; i < n; i++) {
			val ? trit_data_val(&t.data, (uint64_t)i, 1, t.batch, t.weights)
			    : trit_data_train(&t.data, (uint64_t)i, 1, t.batch, t.weights);
			trit_net_loss(&t.net, 1, t.batch, NULL);
			for (int j = 0; j < t.recipe.seq_len; j++) {
				sum += t.weights[j] > 0 ? (double)t.net.losses[j] : 0;
				total += t.weights[j] > 0;
			}
		}
		assert_true(total > n * 7.9 && total < n * 8.1);
		double own = trit_trainer_validate(&t);
		if (!val) {
			assert_int_equal(trit_trainer_step(&t, false, &report, &err), 0);
			own = report.loss;
		}
		if (!(fabs(own - sum / total) < 1e-6))
			fail_msg("mean loss %.9g, expected %.9g", own, sum / total);
		if (!val) {
			trit_trainer_close(&t);
			resume(&t, "masked", 2);
		}
	}
	trit_trainer_close(&t);
}

static void test_validation(void **state)
{
	struct trit_trainer t;
	double sum = 0;

	(void)state;
	resume(&t, "whole", 2);
	uint64_t n = t.data.n_val_windows;
	assert_true(n > 5); /* more than one micro-batch */
	for (uint64_t i = 0; i < n; i++) {
		trit_data_val(&t.data, i, 1, t.batch, NULL);
		trit_net_quantise(&t.net);
		sum += trit_net_loss(&t.net, 1, t.batch, NULL);
	}
	assert_true(fabs(trit_trainer_validate(&t) - sum / ((double)n * 24)) < 1e-12);
	for (size_t i = 0; i < t.params.total; i++)
		assert_true(t.params.g[i] == 0);
	t.max_val_windows = 1;
	trit_data_val(&t.data, 0, 1, t.batch, NULL);
	assert_true(trit_trainer_validate(&t) == trit_net_loss(&t.net, 1, t.batch, NULL) / 24);
	t.data.n_val_windows = 0;
	assert_true(isnan(trit_trainer_validate(&t)));
	trit_trainer_close(&t);
}

/* ---- interruptions ---------------------------------------------------------------------------------------------- */

static void test_resume(void **state)
{
	struct trit_trainer t;

	(void)state;
	create(&t, "resumed", NULL, 2);
	steps(&t, 8, NULL);
	save(&t);
	steps(&t, 11, NULL); /* lost: not saved */
	trit_trainer_close(&t);
	resume(&t, "resumed", 3);
	assert_int_equal(t.progress.step, 8);
	steps(&t, 9, NULL);
	save(&t);
	trit_trainer_close(&t);
	resume(&t, "resumed", 1);
	steps(&t, STEPS, NULL);
	save(&t);
	trit_trainer_close(&t);
	scratch_check_same("resumed/checkpoint.safetensors", "whole/checkpoint.safetensors");
	check_same_metrics("resumed/metrics.jsonl", "whole/metrics.jsonl");
}

/* Trains and saves after every step until killed. */
static void train_on(const char *out)
{
	struct trit_trainer t;
	struct trit_step_report r;
	struct trit_train_options o = options(out, NULL, 1);

	if (trit_trainer_resume(&t, &o, &err))
		_exit(2);
	while (t.progress.step < STEPS)
		if (trit_trainer_step(&t, (t.progress.step + 1) % 5 == 0, &r, &err) || trit_trainer_save(&t, &err))
			_exit(3);
	_exit(0);
}

/* kill -9 at any moment leaves a checkpoint that goes on, and the run ends as if nothing had happened. */
static void test_killed(void **state)
{
	struct trit_trainer t;
	struct trit_rng rng;
	int kills = 0, status = -1;

	(void)state;
	create(&t, "killed", NULL, 1);
	trit_trainer_close(&t);
	trit_rng_init(&rng, (uint64_t)getpid());
	for (int round = 0; round < 60 && status != 0; round++) {
		struct timespec moment = { 0, (long)trit_rng_below(&rng, 60000000) };
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			train_on("killed");
		nanosleep(&moment, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		kills += WIFSIGNALED(status);
		resume(&t, "killed", 1); /* whole, whenever it was */
		trit_trainer_close(&t);
	}
	assert_true(kills > 0);
	resume(&t, "killed", 1);
	steps(&t, STEPS, NULL);
	save(&t);
	trit_trainer_close(&t);
	scratch_check_same("killed/checkpoint.safetensors", "whole/checkpoint.safetensors");
	check_same_metrics("killed/metrics.jsonl", "whole/metrics.jsonl");
}

/* Whenever a new run is killed: where there is a checkpoint there is what a resumed run is to know beside it. */
static void test_killed_early(void **state)
{
	static const char kept[] = "{\"keep\": \"5\"}\n";
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_rng rng;
	struct trit_buf buf;
	int begun = 0;

	(void)state;
	trit_buf_init(&buf, sizeof kept);
	assert_int_equal(trit_buf_append(&buf, sizeof kept - 1, kept, &err), 0);
	trit_rng_init(&rng, (uint64_t)getpid());
	for (int round = 0; round < 30; round++) {
		struct timespec moment = { 0, round < 29 ? (long)trit_rng_below(&rng, 40000000) : 900000000 };
		struct trit_train_options o = options("early", NULL, 1);
		struct trit_recipe r = recipe();
		struct trit_trainer t;
		o.kept = &buf;
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			_exit(trit_trainer_create(&t, &r, 1, paths, &o, &err) ? 1 : 0);
		nanosleep(&moment, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		if (trit_path_kind("early/checkpoint.safetensors") == 0) {
			size_t n;
			char *there = scratch_read("early/options.json", &n);
			assert_int_equal(n, sizeof kept - 1);
			assert_memory_equal(there, kept, n);
			trit_free(there);
			begun++;
		}
		scratch_remove("early");
	}
	assert_true(begun > 0);
	trit_buf_release(&buf);
}

/* No file may grow beyond this many bytes; 0: any size again. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk(void **state)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_recipe r = recipe();
	struct trit_train_options o = options("full", NULL, 1);
	struct trit_trainer t;

	(void)state;
	create(&t, "full", NULL, 1);
	steps(&t, 4, NULL);
	save(&t);
	steps(&t, 5, NULL);
	limit_files(20000);
	int e = trit_trainer_save(&t, &err);
	limit_files(0);
	assert_int_equal(e, TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "full/checkpoint.safetensors"));
	assert_int_equal(scratch_count("full", ".tmp."), 0);
	trit_trainer_close(&t);
	resume(&t, "full", 1); /* what was saved before is there */
	assert_int_equal(t.progress.step, 4);
	trit_trainer_close(&t);

	/* A run that could not begin leaves no checkpoint in the way of the next attempt. */
	scratch_remove("full");
	limit_files(2000);
	e = trit_trainer_create(&t, &r, 1, paths, &o, &err);
	limit_files(0);
	assert_int_equal(e, TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "full/"));
	create(&t, "full", NULL, 1);
	trit_trainer_close(&t);
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void check_create_fails(const char *path, const char *out, int status, const char *part)
{
	char copy[256];
	char *paths[] = { copy };
	struct trit_recipe r = recipe();
	struct trit_train_options o = options(out, NULL, 1);
	struct trit_trainer t;

	snprintf(copy, sizeof copy, "%s", path);
	int e = trit_trainer_create(&t, &r, 1, paths, &o, &err);
	if (e != status || !strstr(err.message, part))
		fail_msg("status %d, \"%s\"; expected %d, \"%s\"", e, err.message, status, part);
	assert_null(t.out); /* nothing to close */
}

static void test_bad_text(void **state)
{
	(void)state;
	scratch_write("latin1.txt", 12, "caf\xe9 au lait");
	scratch_write("nul.txt", 9, "abc\0defgh");
	scratch_write("empty.txt", 0, "");
	scratch_write("blank.txt", 20, " \n<|endoftext|>\n\t  \n");
	scratch_write("short.txt", 11, "a few words");
	assert_int_equal(trit_make_dirs("no_files/at_all", &err), 0);
	check_create_fails("latin1.txt", "bad", TRIT_ERR_FORMAT, "latin1.txt: byte 3 is not valid UTF-8");
	assert_int_equal(err.position, 3);
	assert_non_null(strstr(err.message, "iconv"));
	check_create_fails("nul.txt", "bad", TRIT_ERR_FORMAT, "nul.txt: byte 3 is NUL");
	check_create_fails("empty.txt", "bad", TRIT_ERR_FORMAT, "empty.txt: no text");
	check_create_fails("blank.txt", "bad", TRIT_ERR_FORMAT, "blank.txt: no text");
	check_create_fails("short.txt", "bad", TRIT_ERR_LIMIT, "use more text");
	check_create_fails("missing.txt", "bad", TRIT_ERR_IO, "missing.txt");
	check_create_fails("no_files", "bad", TRIT_ERR_FORMAT, "no_files: the folder has no files");
	assert_int_equal(trit_path_kind("bad/checkpoint.safetensors"), -1);
	/* and the folder is not spoilt for the text that should have been given */
	struct trit_trainer t;
	create(&t, "bad", NULL, 1);
	trit_trainer_close(&t);
}

static void test_bad_folders(void **state)
{
	struct trit_train_options o = options("nothing_here", NULL, 1);
	struct trit_trainer t;

	(void)state;
	check_create_fails(TEXT, "whole", TRIT_ERR_IO, "--resume");
	scratch_write("a_file", 1, "x");
	check_create_fails(TEXT, "a_file", TRIT_ERR_IO, "a_file");
	assert_int_equal(trit_trainer_resume(&t, &o, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "leave --resume out"));
	o = options("whole", "z80", 1);
	assert_int_equal(trit_trainer_resume(&t, &o, &err), TRIT_ERR_ARG);
	o = options("whole", NULL, 1);
	o.tokenizer = TEXT;
	o.out = "other";
	char text[] = TEXT;
	char *paths[] = { text };
	struct trit_recipe r = recipe();
	assert_int_equal(trit_trainer_create(&t, &r, 1, paths, &o, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "garden.txt"));
}

/* A checkpoint as a program of others would change it: metadata `name` is another, or left out for NULL. */
static void change_checkpoint(const char *from, const char *to, const char *name, const char *value)
{
	struct trit_safetensors s;
	struct trit_st_writer *w;
	uint64_t sums[200];

	assert_int_equal(trit_safetensors_open(&s, from, &err), 0);
	assert_int_equal(trit_st_writer_new(&w, to, &err), 0);
	for (size_t i = 0; i < s.n_meta; i++) {
		bool this = !strcmp(s.meta[i].name, name);
		if (!strcmp(s.meta[i].name, "checksum") || !strcmp(s.meta[i].name, "checksums") || (this && !value))
			continue;
		assert_int_equal(trit_st_put_meta(w, s.meta[i].name, this ? value : s.meta[i].value, &err), 0);
	}
	if (value && !trit_safetensors_meta(&s, name))
		assert_int_equal(trit_st_put_meta(w, name, value, &err), 0);
	assert_true(s.n_tensors <= 200);
	for (size_t i = 0; i < s.n_tensors; i++) {
		const struct trit_st_tensor *t = &s.tensors[i];
		assert_int_equal(trit_st_put_tensor(w, t->name, t->dtype, t->n_dims, t->shape, &err), 0);
		sums[i] = trit_st_sum_bytes(t->bytes, t->data);
	}
	assert_int_equal(trit_st_put_checksums(w, s.n_tensors, sums, &err), 0);
	assert_int_equal(trit_st_begin(w, &err), 0);
	for (size_t i = 0; i < s.n_tensors; i++)
		assert_int_equal(trit_st_write(w, s.tensors[i].bytes, s.tensors[i].data, &err), 0);
	assert_int_equal(trit_st_commit(w, &err), 0);
	trit_st_writer_free(w);
	trit_safetensors_close(&s);
}

/* Damaged checkpoints are refused, not loaded: cut anywhere, of another network, with numbers that are none. */
static void test_bad_checkpoints(void **state)
{
	static const struct {
		const char *name, *value, *part;
	} bad[] = {
		{ "format", "trit-checkpainT", "not a training checkpoint" }, { "version", "3", "version 3" },
		{ "version", NULL, "no version" },      { "step", "2x", "\"step\"" },
		{ "total-steps", "19", "step 20 of 19" }, { "bitnet.block_count", "0", "number of layers" },
		{ "bitnet.block_count", "3", "blk.2." }, { "general.architecture", "bitnex", "bitnex" },
		{ "weights", "binarx!", "weights" },
		{ "softness", "1", "\"softness\" is not known; it needs a newer trit" },
	};
	struct trit_train_options o = options("broken", NULL, 1);
	struct trit_trainer t;
	size_t len;
	char *bytes = scratch_read("whole/checkpoint.safetensors", &len), *vocab;

	(void)state;
	assert_int_equal(trit_make_dirs("broken", &err), 0);
	assert_int_equal(rename("whole/data", "broken/data"), 0);
	size_t n_vocab;
	vocab = scratch_read("whole/vocab.gguf", &n_vocab);
	scratch_write("broken/vocab.gguf", n_vocab, vocab);
	for (size_t cut = 0; cut < len; cut += 1 + len / 23) {
		scratch_write("broken/checkpoint.safetensors", cut, bytes);
		assert_int_equal(trit_trainer_resume(&t, &o, &err), TRIT_ERR_FORMAT);
		assert_non_null(strstr(err.message, "broken/checkpoint.safetensors"));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		change_checkpoint("whole/checkpoint.safetensors", "broken/checkpoint.safetensors", bad[i].name, bad[i].value);
		assert_true(trit_trainer_resume(&t, &o, &err) < 0);
		if (!strstr(err.message, bad[i].part) || !strstr(err.message, "broken/checkpoint.safetensors"))
			fail_msg("%s: \"%s\" lacks \"%s\"", bad[i].name, err.message, bad[i].part);
	}
	/* A setting that it lacks takes its default; the version before has no checksums. */
	change_checkpoint("whole/checkpoint.safetensors", "broken/checkpoint.safetensors", "decay-share", NULL);
	assert_int_equal(trit_trainer_resume(&t, &o, &err), 0);
	assert_true(t.recipe.decay_share == trit_recipe_defaults().decay_share);
	trit_trainer_close(&t);
	scratch_write("broken/checkpoint.safetensors", len, bytes);
	assert_int_equal(trit_trainer_resume(&t, &o, &err), 0);
	trit_trainer_close(&t);
	assert_int_equal(unlink("broken/vocab.gguf"), 0);
	assert_int_equal(trit_trainer_resume(&t, &o, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "vocab.gguf"));
	assert_int_equal(rename("broken/data", "whole/data"), 0);
	trit_free(bytes);
	trit_free(vocab);
}

static void check_note(const struct trit_trainer *t, const char *part)
{
	for (size_t i = 0; i < t->notes.n; i++)
		if (strstr(t->notes.lines[i].text, part))
			return;
	for (size_t i = 0; i < t->notes.n; i++)
		print_message("%s\n", t->notes.lines[i].text);
	fail_msg("no note has \"%s\"", part);
}

/* A gradient that is not finite changes nothing; ten of them end the run. */
static void test_diverged(void **state)
{
	struct trit_trainer t;
	struct trit_step_report r;

	(void)state;
	create(&t, "diverged", NULL, 1);
	const struct trit_param *norm = trit_params_find(&t.params, TRIT_TENSOR_OUTPUT_NORM, 0);
	t.params.w[norm->offset] = NAN;
	float other = t.params.w[norm->offset + 1];
	for (int i = 1; i <= 10; i++) {
		int e = trit_trainer_step(&t, false, &r, &err);
		assert_int_equal(e, i < 10 ? 0 : TRIT_ERR_FORMAT);
		assert_int_equal(r.skipped, i);
		assert_true(t.params.w[norm->offset + 1] == other && t.params.m[norm->offset + 1] == 0);
	}
	assert_non_null(strstr(err.message, "--lr"));
	check_note(&t, "weights: 1 of 48 in output_norm.weight are not finite");
	check_note(&t, "gradient: not finite in");
	check_note(&t, "activations: finite");
	check_note(&t, "try: --resume");
	trit_trainer_close(&t);
	scratch_remove("diverged");

	/* A weight so large that a layer's output overflows: it is the layer that is named. */
	create(&t, "diverged", NULL, 1);
	const struct trit_param *down = trit_params_find(&t.params, TRIT_TENSOR_FFN_DOWN, 0);
	norm = trit_params_find(&t.params, TRIT_TENSOR_FFN_SUB_NORM, 0);
	for (size_t i = 0; i < norm->cols; i++)
		t.params.w[norm->offset + i] = 3e37f;
	for (size_t i = 0; i < down->rows * down->cols; i++)
		t.params.w[down->offset + i] *= 1e6f;
	trit_net_quantise(&t.net);
	t.max_skipped = 2;
	assert_int_equal(trit_trainer_step(&t, false, &r, &err), 0);
	assert_int_equal(trit_trainer_step(&t, false, &r, &err), TRIT_ERR_FORMAT);
	check_note(&t, "weights: all are finite");
	check_note(&t, "up to layer 0, whose output is not");
	trit_trainer_close(&t);
}

/* A learning rate far too large: the run ends by itself, says why, and the last checkpoint is what it was. */
static void test_huge_lr(void **state)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_recipe r = recipe();
	struct trit_train_options o = options("huge", NULL, 1);
	struct trit_trainer t;
	struct trit_step_report report;
	int e = 0;

	(void)state;
	r.steps = 400, r.weights = TRIT_WEIGHT_FULL, r.lr = r.lr2 = 3, r.clip = 0, r.schedule = TRIT_SCHEDULE_WSD;
	assert_int_equal(trit_trainer_create(&t, &r, 1, paths, &o, &err), 0);
	while (!e && t.progress.step < r.steps)
		e = trit_trainer_step(&t, false, &report, &err);
	assert_int_equal(e, TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "diverged"));
	check_note(&t, "loss:");
	check_note(&t, "try: a new run");
	trit_trainer_close(&t);
	resume(&t, "huge", 1);
	assert_int_equal(t.progress.step, 0);
	t.heedless = true;
	for (e = 0; !e && t.progress.step < 60 && t.progress.health.skipped == 0;)
		e = trit_trainer_step(&t, false, &report, &err);
	assert_int_equal(e, 0);
	trit_trainer_close(&t);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void test_step_allocates_nothing(void **state)
{
	struct trit_trainer t;

	(void)state;
	resume(&t, "killed", 2);
	t.progress.step = 3; /* any step will do */
	uint64_t before = trit_mem_count();
	steps(&t, 6, NULL);
	assert_int_equal(trit_mem_count(), before);
	trit_trainer_close(&t);
}

/* Each allocation of beginning and of resuming a run fails once; afterwards nothing is left behind or in the way. */
static void test_no_memory(void **state)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	struct trit_recipe r = recipe();
	struct trit_train_options o = options("memory", NULL, 1);
	struct trit_trainer t;
	int e = -1;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* one thread, and minutes there */
#endif
	for (uint64_t n = 1; e; n += n < 150 ? 1 : 7) {
		trit_mem_fail_after(n);
		e = trit_trainer_create(&t, &r, 1, paths, &o, &err);
		trit_mem_fail_after(0);
		if (e && (e != TRIT_ERR_MEMORY || !err.message[0]))
			fail_msg("allocation %d: status %d, \"%s\"", (int)n, e, err.message);
		assert_true(e == 0 || trit_path_kind("memory/checkpoint.safetensors") < 0);
		assert_int_equal(scratch_count("memory", ".tmp."), 0);
	}
	trit_trainer_close(&t);
	e = -1;
	for (uint64_t n = 1; e; n++) {
		trit_mem_fail_after(n);
		e = trit_trainer_resume(&t, &o, &err);
		trit_mem_fail_after(0);
		if (e && (e != TRIT_ERR_MEMORY || !err.message[0]))
			fail_msg("allocation %d: status %d, \"%s\"", (int)n, e, err.message);
	}
	trit_trainer_close(&t);
}

static int write_losses(void)
{
	double losses[STEPS];
	struct trit_trainer t;
	FILE *f;

	create(&t, "write", "c", 1);
	steps(&t, STEPS, losses);
	trit_trainer_close(&t);
	if (!(f = fopen(LOSSES, "w")))
		return 1;
	for (int i = 0; i < STEPS; i++)
		fprintf(f, "%.9g\n", losses[i]);
	return fclose(f) != 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored_losses),
		cmocka_unit_test(test_learns),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_validation),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_early),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_bad_folders),
		cmocka_unit_test(test_bad_checkpoints),
		cmocka_unit_test(test_diverged),
		cmocka_unit_test(test_huge_lr),
		cmocka_unit_test(test_step_allocates_nothing),
		cmocka_unit_test(test_no_memory),
	};
	if (argc > 1 && !strcmp(argv[1], "--write"))
		return scratch_enter(NULL) || write_losses() || scratch_leave(NULL);
	return cmocka_run_group_tests(tests, make_whole, scratch_leave);
}
