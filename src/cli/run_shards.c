/*
 * run_shards.c - finds the windows of a run by its checkpoint, its options.json and its data.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/run_shards.h"

#include <limits.h>

#include "base/file.h"
#include "cli/run_options.h"
#include "format/vocab_file.h"
#include "train/kept.h"
#include "train/run_data.h"
#include "train/trainer.h"
#include "train/windows.h"

/* The recipe of the newest checkpoint that can be read; there is one at least. */
static int read_recipe(struct trit_recipe *r, const char *dir, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_config config;
	struct trit_progress progress;
	struct trit_kept older;
	int e = trit_kept_list(&older, dir, err);
	if (e)
		return e;
	e = TRIT_ERR_IO;
	for (int i = -1; e && i < older.n; i++)
		if (!(e = trit_kept_path(path, dir, i < 0 ? -1 : older.steps[i], err)))
			e = trit_checkpoint_read_recipe(path, r, &config, &progress, err);
	trit_kept_release(&older);
	return e;
}

/* What the run has been told, where the user has not said anything else. */
static int take_from_run(struct trit_run_shards *s, const char *dir, const struct trit_model *model,
                         struct trit_error *err)
{
	struct trit_recipe recipe;
	int windows = TRIT_VAL_WINDOWS, most = trit_model_context_length(model), e = TRIT_OK;
	if (!trit_kept_any(dir) || (!s->seq_len && (e = read_recipe(&recipe, dir, err))))
		return e;
	if (!s->seq_len && recipe.seq_len > most)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "%s: the run's windows have %d tokens, the model's context is %d; give -c %d", dir,
		                 recipe.seq_len, most, most);
	s->seq_len = s->seq_len ? s->seq_len : recipe.seq_len;
	if (!s->n_windows && !(e = trit_run_options_number(dir, "val-windows", &windows, err)))
		s->n_windows = windows ? windows : INT_MAX;
	return e;
}

/* The run whose folder DIR is, or whose data; a prepared folder itself. */
static int find_run(char run[TRIT_PATH_BYTES], const char *dir, struct trit_error *err)
{
	char vocab[TRIT_PATH_BYTES], above[TRIT_PATH_BYTES];
	int e;
	if ((e = trit_path_join(vocab, dir, "vocab.gguf", err)) || (e = trit_path_join(above, dir, "..", err)))
		return e;
	bool own = trit_path_kind(vocab) >= 0 || !trit_kept_any(above);
	snprintf(run, TRIT_PATH_BYTES, "%s", own ? dir : above); /* it fits: with a name behind it, it did */
	return TRIT_OK;
}

/* Shards of the folder of a run, wherever its data are, or of a prepared folder. */
static int open_data(struct trit_run_shards *s, const char *dir, int n_vocab, struct trit_error *err)
{
	char data[TRIT_PATH_BYTES], list[TRIT_PATH_BYTES], shard[TRIT_PATH_BYTES];
	int e;
	if ((e = trit_path_join(data, dir, "data", err)) || (e = trit_path_join(list, dir, "data.json", err)) ||
	    (e = trit_path_join(shard, dir, "train-00000.safetensors", err)))
		return e;
	if (trit_windows_there(data) || trit_windows_there(dir))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "%s: a run of trit finetune or classify, whose examples share windows; its metrics.jsonl has "
		                 "the loss that it measured of them",
		                 dir);
	if (trit_path_kind(data) == 1 || trit_path_kind(list) == 0)
		return trit_run_data_open(&s->data, dir, n_vocab, s->seq_len, 0, err);
	if (trit_path_kind(shard) < 0)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: no shards there; give the folder of a training run, or one that trit data made", dir);
	return trit_data_open(&s->data, dir, n_vocab, s->seq_len, 0, err);
}

/* Shards mean something only to a model with the vocabulary that they were made with. */
static int check_vocab(const char *dir, const struct trit_model *model, struct trit_error *err)
{
	const struct trit_vocab *own = model->tokenizer ? trit_tokenizer_vocab(model->tokenizer) : NULL;
	char path[TRIT_PATH_BYTES];
	struct trit_vocab theirs;
	int e = trit_path_join(path, dir, "vocab.gguf", err);
	if (e || !own || trit_path_kind(path) < 0)
		return e;
	if ((e = trit_vocab_file_read(path, &theirs, err)))
		return e;
	int i = trit_vocab_difference(own, &theirs);
	if (i >= 0)
		e = trit_fail(err, TRIT_ERR_FORMAT,
		              "%s: another vocabulary than the model's (token %d differs); prepare the text again: trit data "
		              "TEXT --tokenizer MODEL --out DIR",
		              path, i);
	trit_vocab_release(&theirs);
	return e;
}

int trit_run_shards_open(struct trit_run_shards *s, const char *dir, const struct trit_model *model,
                         struct trit_error *err)
{
	char run[TRIT_PATH_BYTES];
	int e;
	if ((e = find_run(run, dir, err)) || (e = take_from_run(s, run, model, err)))
		return e;
	if (!s->seq_len)
		s->seq_len = trit_model_context_length(model);
	if (!s->n_windows)
		s->n_windows = TRIT_VAL_WINDOWS;
	if ((e = check_vocab(run, model, err)) || (e = open_data(s, dir, trit_model_vocab_size(model), err)))
		return e;
	if (!s->data.n_val_windows)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: no validation text of %d tokens", dir, s->seq_len);
	if ((uint64_t)s->n_windows > s->data.n_val_windows)
		s->n_windows = (int)s->data.n_val_windows;
	return TRIT_OK;
}

void trit_run_shards_release(struct trit_run_shards *s)
{
	trit_data_close(&s->data);
	*s = (struct trit_run_shards){ 0 };
}
