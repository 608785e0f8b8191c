/*
 * trainer_begin.c - how a training run begins: its folder, what it takes of memory and disk, first weights or a
 * checkpoint's, and that all processes have the same.
 *
 * Each step that can fail in one process and not in another is agreed upon (trit_dist_agree) before the next one in
 * which they wait for each other.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/free_memory.h"
#include "base/xxh64.h"
#include "format/vocab_file.h"
#include "train/optim.h"
#include "train/run_data.h"
#include "train/sub_norm.h"
#include "train/trainer_examples.h"
#include "train/trainer_parts.h"

/* ---- fitting in: memory, disk, processes ------------------------------------------------------------------------- */

/* What the run will use of memory. Fails before the first step rather than by the system's hand in the middle of it. */
static int plan_memory(struct trit_trainer *t, struct trit_error *err)
{
	size_t each = ((size_t)t->recipe.seq_len + 1) * (sizeof *t->batch + sizeof *t->weights + sizeof *t->starts);
	struct trit_memory_users users = { .params = &t->params, .base = &t->base, .net = &t->net, .optim = &t->optim,
		                               .sums = &t->sums, .lora = &t->lora, .dist = t->dist, .teacher = &t->teacher,
		                               .batch = (size_t)t->recipe.batch * each + t->label_head.arena.size };
	t->memory = trit_memory_plan_of(&users);
	return trit_memory_plan_check(&t->memory, &t->net, t->transport ? t->transport->local_ranks : 1,
	                              trit_free_memory(""), err);
}

/* Likewise for the disk; text_bytes: of text to be cut into tokens yet. */
static int check_space(struct trit_trainer *t, const struct trit_train_options *o, uint64_t text_bytes,
                       struct trit_error *err)
{
	const struct trit_recipe *r = &t->recipe;
	double tokens = text_bytes ? (double)text_bytes / 3 : (double)t->data.n_train_tokens;
	double steps = r->steps ? r->steps : (double)r->epochs * tokens / ((double)r->batch * r->seq_len);
	t->space = trit_space_of(&t->config, text_bytes, t->keep, steps - t->progress.step, o->val_every);
	t->space.there = trit_kept_bytes(t->out);
	return trit_space_check(&t->space, t->out, err);
}

/* Of a run on examples that never began. */
static int remove_windows(const struct trit_trainer *t, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	int e = trit_path_join(path, t->out, "data", err);
	if (!e)
		trit_windows_remove(path);
	return e;
}

/* Vocabulary and shards, made now. The vocabulary is that of the model that training starts from, a file's, the
 * teacher's, or learnt. */
static int prepare(struct trit_trainer *t, struct trit_init *init, size_t n_paths, char *const *paths,
                   const struct trit_train_options *o, struct trit_error *err)
{
	struct trit_prepare_settings s = trit_prepare_defaults();
	s.val_share = t->recipe.val_share;
	s.n_threads = o->n_threads;
	s.progress = o->progress;
	s.progress_arg = o->progress_arg;
	uint64_t bytes;
	int e, rows = 0; /* of the teacher's embedding, that may be more than its tokens */
	struct trit_vocab teachers = { 0 }, *vocab = o->init ? &init->file.vocab : NULL;
	if (o->teacher && !o->init) {
		if ((e = trit_teacher_vocab(o->teacher, o->tokenizer, &teachers, &rows, err)))
			return e;
		vocab = &teachers;
	}
	if (!(e = trit_run_data_bytes(n_paths, paths, &bytes, err)) && !(e = check_space(t, o, bytes, err)) &&
	    !(e = remove_windows(t, err)))
		e = trit_run_data_make(t->out, n_paths, paths, o->tokenizer, vocab, t->recipe.n_vocab, &s, &t->tokenizer, err);
	trit_vocab_release(&teachers);
	if (e || o->init)
		return e;
	t->recipe.n_vocab = rows ? rows : trit_tokenizer_vocab(t->tokenizer)->n_tokens;
	return trit_recipe_config(&t->recipe, &t->config, err);
}

static int load_tokenizer(struct trit_trainer *t, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	struct trit_vocab vocab = { 0 };
	int e = trit_path_join(path, t->out, "vocab.gguf", err);
	if (e || (e = trit_vocab_file_read(path, &vocab, err)))
		return e;
	if (vocab.n_tokens > t->recipe.n_vocab) { /* of models that training began with there may be fewer */
		trit_vocab_release(&vocab);
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: not the vocabulary of the checkpoint beside it", path);
	}
	return trit_tokenizer_new(&t->tokenizer, &vocab, err);
}

static void fetch_moments(void *arg, int array, int i)
{
	struct trit_trainer *t = arg;
	trit_dist_fetch(t->dist, array, i);
	t->n_fetched++;
}

static void forget_moments(void *arg, int array, int i)
{
	trit_dist_forget(((struct trit_trainer *)arg)->dist, array, i);
}

/* How the batch is divided among the processes, and what they exchange. */
static int divide_batch(struct trit_trainer *t, struct trit_error *err)
{
	int ranks = trit_dist_ranks(t->transport), batch = t->recipe.batch;
	t->parts = trit_part_count(t->recipe.parts, ranks);
	if (batch % t->parts && t->parts == ranks)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "a batch of %d sequences does not divide among %d processes; start a number that divides it, "
		                 "or begin a run with another --batch", batch, ranks);
	if (batch % t->parts)
		return trit_fail(err, TRIT_ERR_ARG, "a batch of %d sequences does not divide into %d --parts", batch, t->parts);
	t->micro_batch = t->recipe.micro_batch < batch / t->parts ? t->recipe.micro_batch : batch / t->parts;
	return TRIT_OK;
}

static int set_up_exchange(struct trit_trainer *t, struct trit_error *err)
{
	int e;
	if (!t->transport)
		return TRIT_OK;
	if ((e = trit_dist_new(&t->dist, t->transport, &t->params, &t->optim.owners, &t->kernels, &t->sums, err)))
		return e;
	t->params.fetch = fetch_moments;
	t->params.forget = forget_moments;
	t->params.elsewhere = t;
	t->net.ready_arg = t;
	return TRIT_OK;
}

/* Shards, or windows of examples. */
static int open_data(struct trit_trainer *t, struct trit_error *err)
{
	const struct trit_recipe *r = &t->recipe;
	char path[TRIT_PATH_BYTES];
	int e = trit_path_join(path, t->out, "data", err);
	t->examples = !e && trit_windows_there(path);
	if (e || !t->examples)
		return e ? e : trit_run_data_open(&t->data, t->out, r->n_vocab, r->seq_len, r->seed, err);
	e = trit_windows_open(&t->windows, path, r->n_vocab, r->seq_len, r->seed, err);
	t->data = (struct trit_data){ .seq_len = r->seq_len, .n_vocab = r->n_vocab, .n_windows = t->windows.n[0],
		                          .n_val_windows = t->windows.n[1], .masked = true,
		                          .n_train_tokens = t->windows.n[0] * (uint64_t)r->seq_len,
		                          .n_val_tokens = t->windows.n[1] * (uint64_t)r->seq_len };
	t->starts = trit_calloc((size_t)r->batch, (size_t)r->seq_len * sizeof *t->starts);
	if (!e && !t->starts)
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch");
	return e;
}

/* What is trained: all weights, or adapters or a head of labels beside frozen ones. */
static int open_params(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	const struct trit_recipe *r = &t->recipe;
	size_t tokens = (size_t)t->micro_batch * (size_t)r->seq_len;
	float alpha = r->lora_alpha > 0 ? r->lora_alpha : 2 * (float)r->lora;
	if (trit_recipe_is_frozen(r) && t->transport)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "what stands beside a model is trained by one process; leave "
		                 "mpirun out");
	struct trit_net_options options = { .backward = (enum trit_backward)r->backward, .warms_up = r->quant_warmup > 0,
		                                .steps = &t->step_kernels, .recompute = o->recompute };
	bool frozen = trit_recipe_is_frozen(r);
	int e = frozen ? trit_params_init_frozen(&t->base, &t->config, err)
	               : trit_params_init(&t->params, &t->config, err);
	if (e || (e = trit_net_init(&t->net, &t->config, trit_recipe_method(r), frozen ? &t->base : &t->params,
	                            &t->kernels, t->pool, r->seq_len, t->micro_batch, &options, err)))
		return e;
	if (r->lora && !(e = trit_lora_init(&t->lora, &t->params, &t->config, r->lora, alpha, trit_lora_sets[r->lora_set],
	                                    tokens, r->seed, err)))
		trit_net_adapt(&t->net, &t->lora);
	else if (!e && frozen)
		e = trit_trainer_head_params(t, err);
	return e || !r->n_labels ? e : trit_trainer_label_head(t, err);
}

/* The memory of all but data, exchange and teacher, of which nothing has been written to when this returns. */
static int reserve(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	int threads = o->n_threads > 0 ? o->n_threads : trit_cpu_count(), e;
	t->step_kernels = trit_recipe_kernels(&t->recipe, &t->kernels);
	if ((e = divide_batch(t, err)) || (e = trit_pool_new(&t->pool, threads, err)) || (e = open_params(t, o, err)) ||
	    (e = trit_optim_init(&t->optim, &t->params, &t->step_kernels, t->pool, &t->recipe, t->transport, err)))
		return e;
	return trit_part_sums_init(&t->sums, t->parts / trit_dist_ranks(t->transport), t->params.total, &t->kernels,
	                           t->pool, err);
}

/* Whether a new run will fit, before its text is prepared, which may take long. */
static int rehearse(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	int e = reserve(t, o, err);
	if (!e)
		e = plan_memory(t, err);
	trit_trainer_give_back(t);
	return e;
}

static int open_teacher(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	if (!o->teacher && !t->progress.teaching.path[0])
		return TRIT_OK;
	return trit_teacher_open(&t->teacher, o->teacher, &t->progress.teaching, &t->recipe, &t->net, t->parts,
	                         t->transport, trit_tokenizer_vocab(t->tokenizer), err);
}

/* Everything that recipe and shards decide. */
static int set_up(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	int e;
	t->max_val_windows = o->max_val_windows;
	if ((e = open_data(t, err)) || (e = reserve(t, o, err)) || (e = set_up_exchange(t, err)) ||
	    (e = open_teacher(t, o, err)) || (e = plan_memory(t, err)) ||
	    (!trit_recipe_is_frozen(&t->recipe) && (e = check_space(t, o, 0, err)))) /* what stands beside is small */
		return e;
	size_t s = (size_t)t->recipe.seq_len, batch = (size_t)t->recipe.batch;
	bool masked = t->data.masked;
	t->batch = trit_calloc(batch, (s + 1) * sizeof *t->batch);
	t->weights = masked ? trit_calloc(batch, s * sizeof *t->weights) : NULL;
	t->scales = trit_calloc((size_t)t->config.n_layers,
	                        (TRIT_NET_LINEARS + (size_t)t->config.moe.n_experts) * sizeof *t->scales);
	t->loads = t->scales ? t->scales + (size_t)t->config.n_layers * TRIT_NET_LINEARS : NULL;
	t->losses = trit_calloc((size_t)t->parts, sizeof *t->losses);
	t->val_losses = trit_calloc(t->data.n_val_windows / (uint64_t)t->micro_batch + 1, 2 * sizeof *t->val_losses);
	if (!t->batch || (masked && !t->weights) || !t->scales || !t->losses || !t->val_losses)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch");
	return TRIT_OK;
}

static int open_trainer(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	*t = (struct trit_trainer){ .lock = -1, .transport = o->transport, .keep = o->keep > 0 ? o->keep : 2,
		                    .max_skipped = o->max_skipped > 0 ? o->max_skipped : 10, .heedless = o->heedless };
	const int habits[] = { o->val_every, o->max_val_windows, o->save_every, t->keep, t->max_skipped, o->heedless };
	t->habits = trit_hash_bytes(0, habits, sizeof habits);
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
	if (flock(t->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		close(t->lock);
		t->lock = -1;
		return trit_fail(err, TRIT_ERR_IO,
		                 "%s: another trit train works in this folder; wait for it or choose another --out", t->out);
	}
	trit_remove_leftovers(t->out);
	return TRIT_OK;
}

static uint64_t hash_of_settings(const struct trit_recipe *r)
{
	uint64_t hash = trit_hash_bytes(0, trit_version(), strlen(trit_version()));
	for (int i = 0; i < trit_n_settings; i++) {
		char text[TRIT_SETTING_BYTES];
		trit_setting_print(text, &trit_settings[i], r);
		hash = trit_hash_bytes(hash, text, strlen(text));
	}
	return hash;
}

/* Of how much data there is, and of windows from all over it. */
static uint64_t hash_of_data(struct trit_trainer *t)
{
	const uint64_t samples = 64;
	uint64_t counts[] = { t->data.n_train_tokens, t->data.n_val_tokens, t->data.n_windows };
	uint64_t hash = trit_hash_bytes(0, counts, sizeof counts);
	uint64_t bytes = ((uint64_t)t->recipe.seq_len + 1) * sizeof *t->batch;
	for (uint64_t i = 0; i < samples; i++) {
		trit_trainer_draw(t, false, t->data.n_windows * i / samples, 1);
		hash = trit_hash_bytes(hash, t->batch, bytes);
		if (!t->data.n_val_windows)
			continue;
		trit_trainer_draw(t, true, t->data.n_val_windows * i / samples, 1);
		hash = trit_hash_bytes(hash, t->batch, bytes);
	}
	return hash;
}

/* That the processes of a run will compute the same thing: found now, not by curves that look odd. */
static int check_same(struct trit_trainer *t, struct trit_error *err)
{
	int e;
	if (!t->transport)
		return TRIT_OK;
	const char *tier = trit_tier_name(t->kernels.tier);
	/* First what decides on a setting, the precision; by name, since another version may have other numbers. */
	if ((e = trit_dist_same(t->transport, "kernels (--cpu NAME)", trit_hash_bytes(0, tier, strlen(tier)), err)) ||
	    (e = trit_dist_same(t->transport, "version and settings", hash_of_settings(&t->recipe), err)) ||
	    (e = trit_dist_same(t->transport, "intervals and limits (--val-every, --save-every, ...)", t->habits, err)) ||
	    (e = trit_dist_same(t->transport, "training data", hash_of_data(t), err)) ||
	    (e = trit_dist_same(t->transport, "teacher", t->progress.teaching.print, err)))
		return e;
	uint64_t weights = trit_xxh64(t->params.total * sizeof *t->params.w, t->params.w, (uint64_t)t->progress.step);
	return trit_dist_same(t->transport, "weights", weights, err);
}

/* Weights and step are there. */
static int begin(struct trit_trainer *t, struct trit_error *err)
{
	char metrics[TRIT_PATH_BYTES];
	int e = check_same(t, err);
	if (e)
		return e;
	t->net.z_loss = t->recipe.z_loss;
	t->net.experts.balance = t->recipe.balance;
	t->net.experts.z_loss = t->recipe.router_z_loss;
	trit_trainer_quantise(t, t->progress.step);
	if (trit_trainer_is_first(t) && !(e = trit_path_join(metrics, t->out, "metrics.jsonl", err)) &&
	    !(e = trit_metrics_open(&t->metrics, metrics, t->progress.step, err)))
		e = trit_events_open(&t->events, t->out, t->progress.step,
		                     t->config.n_layers * (TRIT_NET_LINEARS + t->config.moe.n_experts), err);
	return trit_dist_agree(t->transport, e, err);
}

/* What is trained: the recipe's network, or that of a model that exists. */
static int choose_network(struct trit_trainer *t, struct trit_init *init, const struct trit_train_options *o,
                          struct trit_error *err)
{
	if (!o->init)
		return trit_recipe_config(&t->recipe, &t->config, err);
	int e = trit_init_open(init, o->init, o->tokenizer, &t->recipe, err);
	t->config = init->config;
	return e;
}

static int check_empty(const struct trit_trainer *t, struct trit_error *err)
{
	if (!trit_kept_any(t->out))
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_IO,
	                 "%s already holds a training run; add --resume to go on with it, or choose another --out", t->out);
}

/* A new run's folder, with vocabulary and shards in it. */
static int make_folder(struct trit_trainer *t, struct trit_init *init, size_t n_paths, char *const *paths,
                       const struct trit_train_options *o, struct trit_error *err)
{
	int e;
	if ((e = check_empty(t, err)) || (e = rehearse(t, o, err)) || (e = trit_make_dirs(t->out, err)) ||
	    (e = lock_folder(t, err)) || (e = check_empty(t, err))) /* once more: nobody else begins a run there now */
		return e;
	return (o->examples ? trit_trainer_prepare_examples : prepare)(t, init, n_paths, paths, o, err);
}

/* The same for the other processes: what the first one has put there. */
static int read_folder(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	int e = o->init ? TRIT_OK : trit_recipe_config(&t->recipe, &t->config, err);
	return e ? e : load_tokenizer(t, err);
}

static int count_steps(struct trit_trainer *t, struct trit_error *err)
{
	double steps = t->recipe.steps;
	if (!t->recipe.steps)
		steps = ceil((double)t->recipe.epochs * (double)t->data.n_windows / t->recipe.batch);
	if (!(steps >= 1 && steps < 1e9))
		return trit_fail(err, TRIT_ERR_ARG, "%g epochs of this text are %.0f steps; use --steps",
		                 (double)t->recipe.epochs, steps);
	t->recipe.steps = (int)steps;
	t->progress.steps = t->recipe.steps;
	t->progress.train_tokens = t->data.n_train_tokens;
	return TRIT_OK;
}

/* Remembers the weights that stay as they are, or sees whether they are those that the run began with. */
static int know_base(struct trit_trainer *t, const char *init, struct trit_error *err)
{
	uint64_t hash = t->base.n ? trit_xxh64(t->base.total * sizeof *t->base.w, t->base.w, 0) : 0;
	if (t->progress.base && t->progress.base != hash)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: not the model that the run in %s began with; give that one", init,
		                 t->out);
	t->progress.base = hash;
	return TRIT_OK;
}

static int first_weights(struct trit_trainer *t, struct trit_init *init, const struct trit_train_options *o,
                         struct trit_error *err)
{
	if (!o->init) {
		trit_params_randomise(&t->params, &t->config, t->recipe.seed);
		return TRIT_OK;
	}
	struct trit_params *p = t->base.n ? &t->base : &t->params;
	int e = trit_params_from_model(p, &t->config, &init->file, err);
	if (e)
		return trit_fail_prefix(err, e, "%s", o->init);
	if ((e = know_base(t, o->init, err)) || !init->adds_sub_norms)
		return e;
	int n = 1024 / t->recipe.seq_len; /* sequences; enough for a mean */
	n = n < 1 ? 1 : n < t->recipe.batch ? n : t->recipe.batch;
	trit_trainer_draw(t, false, 0, n);
	return trit_sub_norms_fit(p, &t->config, &t->kernels, t->pool, t->recipe.seq_len, n, t->batch, t->starts, err);
}

/* What a resumed run is to know beside its checkpoint, so before the first of these. */
static int write_kept(const struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	int e = trit_trainer_is_first(t) ? trit_path_join(path, t->out, TRIT_RUN_OPTIONS_FILE, err) : TRIT_OK;
	if (!e && trit_trainer_is_first(t) && o->kept)
		e = trit_file_write(path, o->kept->len, o->kept->data, err);
	else if (!e && trit_trainer_is_first(t))
		remove(path); /* of a run that was there and is gone */
	return trit_dist_agree(o->transport, e, err);
}

static int create(struct trit_trainer *t, struct trit_init *init, const struct trit_recipe *r, size_t n_paths,
                  char *const *paths, const struct trit_train_options *o, struct trit_error *err)
{
	int e = open_trainer(t, o, err);
	t->recipe = *r;
	if (!t->recipe.parts)
		t->recipe.parts = trit_dist_ranks(o->transport);
	if (!e)
		e = trit_recipe_choose_precision(&t->recipe, &t->kernels, err);
	if (!e)
		e = choose_network(t, init, o, err);
	if (!e && trit_trainer_is_first(t))
		e = make_folder(t, init, n_paths, paths, o, err);
	if ((e = trit_dist_agree(o->transport, e, err)))
		return e;
	double n_vocab = trit_trainer_is_first(t) ? t->recipe.n_vocab : 0;
	trit_dist_sum(o->transport, &n_vocab, 1);
	t->recipe.n_vocab = (int)n_vocab;
	if ((e = trit_dist_agree(o->transport, trit_trainer_is_first(t) ? TRIT_OK : read_folder(t, o, err), err)) ||
	    (e = trit_dist_agree(o->transport, set_up(t, o, err), err)) ||
	    (e = trit_dist_agree(o->transport, count_steps(t, err), err)) ||
	    (e = trit_dist_agree(o->transport, first_weights(t, init, o, err), err)) ||
	    (t->recipe.n_labels &&
	     (e = trit_dist_agree(o->transport, trit_trainer_first_head(t, init, o, err), err))) ||
	    (e = begin(t, err)) || (e = write_kept(t, o, err)))
		return e;
	return trit_trainer_save(t, err);
}

/* The model that adapters stand beside, which their checkpoint does not have. */
static int open_base(struct trit_trainer *t, struct trit_init *init, const struct trit_train_options *o,
                     struct trit_error *err)
{
	if (!trit_recipe_is_frozen(&t->recipe))
		return TRIT_OK;
	if (!o->init)
		return trit_fail(err, TRIT_ERR_ARG, "a run that trains %s needs its model to go on: give --model again",
		                 t->recipe.lora ? "adapters" : "a head alone");
	return choose_network(t, init, o, err);
}

/* This process's part of resuming, up to where all compare what they have. */
static int load(struct trit_trainer *t, struct trit_init *init, const struct trit_train_options *o,
                struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	int e;
	if ((e = open_trainer(t, o, err)))
		return e;
	if (trit_path_kind(t->out) < 0)
		return trit_fail(err, TRIT_ERR_IO, "%s: no checkpoint to resume from; leave --resume out to begin a run",
		                 t->out);
	if ((trit_trainer_is_first(t) && (e = lock_folder(t, err))) ||
	    (e = trit_kept_find(path, t->out, o->resume_from, &t->notes, err)) ||
	    (e = trit_checkpoint_read_recipe(path, &t->recipe, &t->config, &t->progress, err)))
		return e;
	if (!t->recipe.parts)
		t->recipe.parts = 1; /* of a time when there were none */
	if (t->recipe.precision == TRIT_PRECISION_BF16 && !trit_kernels_have_bf16(&t->kernels)) {
		trit_note(&t->notes, TRIT_NOTE_WARNING, "the run began in bfloat16, which is not fast here: it goes on in "
		          "fp32");
		t->recipe.precision = TRIT_PRECISION_F32;
	}
	if (o->teacher && !t->progress.teaching.path[0])
		return trit_fail(err, TRIT_ERR_ARG, "%s: this run began without a teacher; leave --teacher out", t->out);
	if ((e = open_base(t, init, o, err)) || (e = load_tokenizer(t, err)) || (e = set_up(t, o, err)))
		return e;
	if (t->progress.train_tokens != t->data.n_train_tokens)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s/data: %llu training tokens, but the run began with %llu; put its shards back", t->out,
		                 (unsigned long long)t->data.n_train_tokens, (unsigned long long)t->progress.train_tokens);
	if ((e = trit_checkpoint_load(path, &t->params, err)) || !trit_recipe_is_frozen(&t->recipe))
		return e;
	return first_weights(t, init, o, err); /* of the frozen ones, all there are */
}

static int resume(struct trit_trainer *t, struct trit_init *init, const struct trit_train_options *o,
                  struct trit_error *err)
{
	int e = trit_dist_agree(o->transport, load(t, init, o, err), err);
	return e ? e : begin(t, err);
}

/* After a failure before the first checkpoint: removes what was written, and the folders if that leaves them empty. */
static void undo_create(const char *out)
{
	char path[TRIT_PATH_BYTES];
	static const char *const names[] = { "metrics.jsonl", "labels.gguf", TRIT_RUN_OPTIONS_FILE, "" };
	struct trit_error ignored;
	if (trit_kept_any(out))
		return;
	if (!trit_path_join(path, out, "data", &ignored))
		trit_windows_remove(path);
	trit_run_data_remove(out);
	trit_events_remove(out);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!trit_path_join(path, out, names[i], &ignored))
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
		if (fresh && t->lock >= 0) /* the files are ours */
			undo_create(o->out);
		trit_trainer_close(t);
	}
	return e;
}

int trit_trainer_resume(struct trit_trainer *t, const struct trit_train_options *o, struct trit_error *err)
{
	struct trit_init init = { 0 };
	int e = resume(t, &init, o, err);
	trit_init_close(&init);
	if (e)
		trit_trainer_close(t);
	return e;
}
