/*
 * trainer.c - a training run from text to trained weights.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/trainer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "train/metrics.h"
#include "train/optim.h"
#include "train/schedule.h"
#include "format/vocab_file.h"

#define MAX_SKIPPED_IN_A_ROW 10
#define MAX_LOSS 50 /* nats a token: beyond it the run has diverged */

enum { PATH_BYTES = 4096 };

static int path_of(char path[PATH_BYTES], const char *out, const char *name, struct trit_error *err)
{
	if (snprintf(path, PATH_BYTES, "%s/%s", out, name) < PATH_BYTES)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", out);
}

/* ---- setting up -------------------------------------------------------------------------------------------------- */

/* The vocabulary: the model's that training starts from, a file's, or learnt from the text. */
static int make_vocab(struct trit_trainer *t, struct trit_init *init, const struct trit_corpus *corpus,
                      const struct trit_train_options *o, struct trit_vocab *vocab, struct trit_error *err)
{
	int e;
	if (o->init) {
		*vocab = init->file.vocab;
		init->file.vocab = (struct trit_vocab){ 0 };
		return TRIT_OK;
	}
	if (o->tokenizer)
		e = trit_vocab_file_read(o->tokenizer, vocab, err);
	else
		e = trit_data_learn_vocab(corpus, &t->recipe, vocab, o->progress, o->progress_arg, err);
	if (!e && vocab->n_tokens < 257)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: %d tokens; a vocabulary for training needs at least 257",
		              o->tokenizer ? o->tokenizer : "the text", vocab->n_tokens);
	t->recipe.n_vocab = vocab->n_tokens;
	return e ? e : trit_recipe_config(&t->recipe, &t->config, err);
}

/* Vocabulary and shards, made now. */
static int prepare(struct trit_trainer *t, struct trit_init *init, size_t n_paths, char *const *paths,
                   const struct trit_train_options *o, struct trit_error *err)
{
	char vocab_path[PATH_BYTES], data_path[PATH_BYTES];
	struct trit_corpus corpus;
	struct trit_vocab vocab = { 0 };
	int e;
	if ((e = path_of(vocab_path, t->out, "vocab.gguf", err)) || (e = path_of(data_path, t->out, "data", err)) ||
	    (e = trit_corpus_open(&corpus, n_paths, paths, err)))
		return e;
	e = make_vocab(t, init, &corpus, o, &vocab, err);
	if (!e)
		e = trit_vocab_file_write(vocab_path, &vocab, err);
	if (!e)
		e = trit_tokenizer_new(&t->tokenizer, &vocab, err);
	else
		trit_vocab_release(&vocab);
	if (!e)
		e = trit_data_prepare(&corpus, &t->recipe, t->tokenizer, data_path, o->progress, o->progress_arg, err);
	trit_corpus_close(&corpus);
	return e;
}

static int load_tokenizer(struct trit_trainer *t, struct trit_error *err)
{
	char path[PATH_BYTES];
	struct trit_vocab vocab = { 0 };
	int e = path_of(path, t->out, "vocab.gguf", err);
	if (e || (e = trit_vocab_file_read(path, &vocab, err)))
		return e;
	if (vocab.n_tokens > t->recipe.n_vocab) { /* of models that training began with there may be fewer */
		trit_vocab_release(&vocab);
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: not the vocabulary of the checkpoint beside it", path);
	}
	return trit_tokenizer_new(&t->tokenizer, &vocab, err);
}

/* Fails before the first step rather than by the system's hand in the middle of it. */
static int check_memory(const struct trit_trainer *t, struct trit_error *err)
{
	double need = (double)trit_net_bytes(&t->net) + 4.0 * sizeof(float) * (double)t->params.total;
	double have = (double)trit_physical_memory();
	if (need <= have)
		return TRIT_OK;
	return trit_fail(
		err, TRIT_ERR_MEMORY,
		"training needs %.1f GiB of memory and this machine has %.1f; choose a smaller --size, --seq-len or "
		"--micro-batch",
		need / 0x1p30, have / 0x1p30);
}

/* Likewise for the disk. */
static int check_space(const struct trit_trainer *t, struct trit_error *err)
{
	/* Those kept, the one being written, the packed model, which is smaller than the weights. */
	uint64_t one = trit_checkpoint_bytes(&t->params), need = ((uint64_t)t->keep + 1) * one + one / 3;
	uint64_t have = trit_free_space(t->out);
	if (have >= need)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_IO,
	                 "%s: checkpoints need %.1f MiB of disk and %.1f are free; free some or choose another --out",
	                 t->out, (double)need / 1048576.0, (double)have / 1048576.0);
}

/* Everything that recipe and shards decide. */
static int set_up(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	char data_path[PATH_BYTES];
	int threads = o->n_threads > 0 ? o->n_threads : trit_cpu_count(), e;
	t->max_val_windows = o->max_val_windows;
	t->keep = o->keep > 0 ? o->keep : 2;
	if ((e = path_of(data_path, t->out, "data", err)) ||
	    (e = trit_data_open(&t->data, data_path, t->recipe.n_vocab, t->recipe.seq_len, t->recipe.seed, err)) ||
	    (e = trit_pool_new(&t->pool, threads, err)) || (e = trit_params_init(&t->params, &t->config, err)) ||
	    (e = trit_net_init(&t->net, &t->config, trit_recipe_method(&t->recipe), &t->params, &t->kernels,
	                       t->pool, t->recipe.seq_len, t->recipe.micro_batch, err)) ||
	    (e = trit_optim_init(&t->optim, &t->params, &t->kernels, t->pool, &t->recipe, err)) ||
	    (e = check_memory(t, err)) || (e = check_space(t, err)))
		return e;
	t->batch = trit_calloc((size_t)t->recipe.batch, ((size_t)t->recipe.seq_len + 1) * sizeof *t->batch);
	t->scales = trit_calloc((size_t)t->config.n_layers, TRIT_NET_LINEARS * sizeof *t->scales);
	if (t->data.masked) {
		t->weights = trit_calloc((size_t)t->recipe.batch, (size_t)t->recipe.seq_len * sizeof *t->weights);
		if (!t->weights)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch");
	}
	return t->batch && t->scales ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch");
}

static int open_trainer(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	*t = (struct trit_trainer){ .lock = -1 };
	t->out = trit_strndup(o->out, strlen(o->out));
	if (!t->out)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to begin");
	return trit_kernels_select(&t->kernels, o->cpu, err);
}

/* Takes the folder for this process; the system gives it back when the process ends, however it ends. */
static int lock_folder(struct trit_trainer *t, struct trit_error *err)
{
	t->lock = open(t->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->lock < 0)
		return trit_fail_errno(err, "%s: cannot open the folder", t->out);
	if (flock(t->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return trit_fail(err, TRIT_ERR_IO,
		                 "%s: another trit train works in this folder; wait for it or choose another --out", t->out);
	trit_remove_leftovers(t->out);
	return TRIT_OK;
}

/* Weights and step are there. */
static int begin(struct trit_trainer *t, const char *metrics, struct trit_error *err)
{
	trit_net_quantise(&t->net);
	int e = trit_metrics_open(&t->metrics, metrics, t->progress.step, err);
	return e ? e : trit_events_open(&t->events, t->out, t->progress.step, t->config.n_layers * TRIT_NET_LINEARS, err);
}

static int create(struct trit_trainer *t, struct trit_init *init, const struct trit_recipe *r, size_t n_paths,
                  char *const *paths, const struct trit_train_options *o, struct trit_error *err)
{
	char metrics[PATH_BYTES];
	int e;
	if ((e = open_trainer(t, o, err)) || (e = path_of(metrics, t->out, "metrics.jsonl", err)))
		return e;
	t->recipe = *r;
	if (trit_kept_any(t->out))
		return trit_fail(err, TRIT_ERR_IO,
		                 "%s already holds a training run; add --resume to go on with it, or choose another --out",
		                 t->out);
	e = o->init ? trit_init_open(init, o->init, o->tokenizer, &t->recipe, err)
	            : trit_recipe_config(r, &t->config, err);
	if (o->init)
		t->config = init->config;
	if (e || (e = trit_make_dirs(t->out, err)) || (e = lock_folder(t, err)) ||
	    (e = prepare(t, init, n_paths, paths, o, err)) || (e = set_up(t, o, err)))
		return e;
	double steps = t->recipe.steps;
	if (!t->recipe.steps)
		steps = ceil((double)t->recipe.epochs * (double)t->data.n_windows / t->recipe.batch);
	if (!(steps >= 1 && steps < 1e9))
		return trit_fail(err, TRIT_ERR_ARG, "%g epochs of this text are %.0f steps; use --steps",
		                 (double)t->recipe.epochs, steps);
	t->recipe.steps = (int)steps;
	t->progress = (struct trit_progress){ 0, t->recipe.steps, t->data.n_train_tokens };
	if (!o->init)
		trit_params_randomise(&t->params, &t->config, t->recipe.seed);
	else if ((e = trit_params_from_model(&t->params, &t->config, &init->file, err)))
		return trit_fail_prefix(err, e, "%s", o->init);
	if ((e = begin(t, metrics, err)))
		return e;
	return trit_trainer_save(t, err);
}

static int resume(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES], metrics[PATH_BYTES];
	int e;
	if ((e = open_trainer(t, o, err)) || (e = path_of(metrics, t->out, "metrics.jsonl", err)))
		return e;
	if (trit_path_kind(t->out) < 0)
		return trit_fail(err, TRIT_ERR_IO, "%s: no checkpoint to resume from; leave --resume out to begin a run",
		                 t->out);
	if ((e = lock_folder(t, err)) || (e = trit_kept_find(path, t->out, o->resume_from, &t->notes, err)) ||
	    (e = trit_checkpoint_read_recipe(path, &t->recipe, &t->config, &t->progress, err)) ||
	    (e = load_tokenizer(t, err)) || (e = set_up(t, o, err)))
		return e;
	if (t->progress.train_tokens != t->data.n_train_tokens)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s/data: %llu training tokens, but the run began with %llu; put its shards back", t->out,
		                 (unsigned long long)t->data.n_train_tokens, (unsigned long long)t->progress.train_tokens);
	if ((e = trit_checkpoint_load(path, &t->params, err)))
		return e;
	return begin(t, metrics, err);
}

/* After a failure before the first checkpoint: removes what was written, and the folders if that leaves them empty. */
static void undo_create(const char *out)
{
	char path[PATH_BYTES];
	static const char *const names[] = { "vocab.gguf", "metrics.jsonl", "data", "" };
	struct trit_error ignored;
	if (trit_kept_any(out))
		return;
	if (!path_of(path, out, "data", &ignored))
		trit_shards_remove(path);
	trit_events_remove(out);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!path_of(path, out, names[i], &ignored))
			remove(path);
}

int trit_trainer_create(struct trit_trainer *t, const struct trit_recipe *r, size_t n_paths, char *const *paths,
                        const struct trit_train_options *o, struct trit_error *err)
{
	bool fresh = trit_path_kind(o->out) < 0; /* in a folder that was there, files may be the user's */
	struct trit_init init = { 0 };
	int e = create(t, &init, r, n_paths, paths, o, err);
	trit_init_close(&init);
	if (e) {
		if (fresh)
			undo_create(o->out);
		trit_trainer_close(t);
	}
	return e;
}

int trit_trainer_resume(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	int e = resume(t, o, err);
	if (e)
		trit_trainer_close(t);
	return e;
}

void trit_trainer_close(struct trit_trainer *t)
{
	if (t->metrics)
		fclose(t->metrics);
	if (t->out && t->lock >= 0)
		close(t->lock);
	trit_optim_release(&t->optim);
	trit_net_release(&t->net);
	trit_params_release(&t->params);
	trit_data_close(&t->data);
	trit_tokenizer_free(t->tokenizer);
	trit_pool_free(t->pool);
	trit_events_close(t->events);
	trit_free(t->scales);
	trit_free(t->batch);
	trit_free(t->weights);
	trit_notes_release(&t->notes);
	trit_free(t->out);
	*t = (struct trit_trainer){ 0 };
}

int trit_trainer_save(struct trit_trainer *t, struct trit_error *err)
{
	int e = trit_metrics_flush(t->metrics, err);
	return e ? e : trit_kept_save(t->out, t->keep, &t->params, &t->recipe, &t->config, t->progress, err);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Sum of the weights of n sequences' losses: how many losses their sum counts. */
static double total_weight(const struct trit_trainer *t, int n)
{
	size_t all = (size_t)n * (size_t)t->recipe.seq_len;
	double sum = t->weights ? 0 : (double)all;
	for (size_t i = 0; t->weights && i < all; i++)
		sum += (double)t->weights[i];
	return sum;
}

double trit_trainer_validate(struct trit_trainer *t)
{
	uint64_t n = t->data.n_val_windows;
	if (t->max_val_windows > 0 && n > (uint64_t)t->max_val_windows)
		n = (uint64_t)t->max_val_windows;
	if (!n)
		return (double)NAN;
	double loss = 0, total = 0;
	for (uint64_t i = 0; i < n;) {
		int m = n - i < (uint64_t)t->recipe.micro_batch ? (int)(n - i) : t->recipe.micro_batch;
		trit_data_val(&t->data, i, m, t->batch, t->weights);
		loss += trit_net_loss(&t->net, m, t->batch, t->weights);
		total += total_weight(t, m);
		i += (uint64_t)m;
	}
	return loss / total; /* NaN where nothing is to be predicted */
}

/* Mean loss and its gradient of the step's batch, in micro-batches. */
static double batch_gradient(struct trit_trainer *t)
{
	const struct trit_recipe *r = &t->recipe;
	size_t s = (size_t)r->seq_len;
	double loss = 0;
	trit_data_train(&t->data, (uint64_t)t->progress.step * (uint64_t)r->batch, r->batch, t->batch, t->weights);
	double total = fmax(total_weight(t, r->batch), 1); /* of whole numbers: below 1 is 0 */
	float scale = (float)(1 / total);
	for (int i = 0; i < r->batch; i += r->micro_batch) {
		int n = r->batch - i < r->micro_batch ? r->batch - i : r->micro_batch;
		loss += trit_net_step(&t->net, n, t->batch + (size_t)i * (s + 1),
		                      t->weights ? t->weights + (size_t)i * s : NULL, scale);
	}
	return loss / total;
}

int trit_trainer_step(struct trit_trainer *t, bool validate, struct trit_step_report *report, struct trit_error *err)
{
	const struct trit_recipe *r = &t->recipe;
	double begin = trit_clock();
	int step = t->progress.step;
	double flips = 0;
	double loss = batch_gradient(t), norm = trit_optim_grad_norm(&t->optim);
	float lr = trit_schedule_lr(r, step, t->progress.steps);
	if (isfinite(norm) && isfinite(loss)) {
		trit_optim_step(&t->optim, norm, lr, trit_schedule_weight_decay(r, step, t->progress.steps), step + 1);
		trit_net_quantise(&t->net);
		flips = trit_net_flips(&t->net);
		t->skipped_in_a_row = 0;
	} else {
		memset(t->params.g, 0, t->params.total * sizeof *t->params.g);
		t->skipped++;
		t->skipped_in_a_row++;
	}
	t->progress.step++;

	uint64_t tokens = (uint64_t)r->batch * (uint64_t)r->seq_len;
	*report = (struct trit_step_report){ .step = t->progress.step, .steps = t->progress.steps,
		                             .tokens = tokens * (uint64_t)t->progress.step, .loss = loss,
		                             .val_loss = (double)NAN, .lr = lr, .grad_norm = norm,
		                             .tokens_per_s = (double)tokens / (trit_clock() - begin),
		                             .flips = flips, .skipped = t->skipped };
	trit_net_shares(&t->net, report->share);
	if (validate) {
		report->val_loss = trit_trainer_validate(t);
		report->n_scales = t->recipe.weights == TRIT_WEIGHT_FULL ? 0 : t->config.n_layers * TRIT_NET_LINEARS;
		report->scales = t->scales;
		trit_net_scales(&t->net, t->scales);
	}
	int e = trit_metrics_write(t->metrics, report, err);
	if (!e)
		e = trit_events_write(t->events, report, err);
	if (e)
		return trit_fail_prefix(err, e, "%s (free space, then go on with --resume)", t->out);
	if ((e = trit_data_check(&t->data, err)))
		return e;
	if (t->skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW || loss > MAX_LOSS)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: training diverged at step %d (loss %g, gradient norm %g); begin again in another --out "
		                 "with a smaller --lr", t->out, t->progress.step, loss, norm);
	return TRIT_OK;
}
