/*
 * model_file.c - opens whatever holds a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/model_file.h"

#include "base/mem.h"
#include "format/gguf_types.h"
#include "format/gguf_vocab.h"
#include "format/llama2c.h"
#include "format/safetensors.h"
#include "format/vocab_file.h"
#include "model/hf_import.h"
#include "model/hf_vocab.h"
#include "model/i2_s_layout.h"
#include "model/known_files.h"

void trit_maps_close(struct trit_maps *m)
{
	for (size_t i = 0; i < m->n; i++)
		trit_map_close(&m->maps[i]);
	trit_free(m->maps);
	*m = (struct trit_maps){ 0 };
}

static int open_gguf(struct trit_model_file *f, const char *path, bool want_vocab, struct trit_error *err)
{
	int e = trit_gguf_open(&f->gguf, path, err);
	if (e)
		return e;
	f->bytes = trit_gguf_file_bytes(&f->gguf);
	trit_gguf_note_types(&f->gguf, &f->notes);
	if ((e = trit_settle_i2_s(&f->gguf, &f->notes, err)))
		return trit_fail_prefix(err, e, "%s", path);
	if (want_vocab && trit_gguf_has_vocab(&f->gguf)) {
		if ((e = trit_gguf_read_vocab(&f->gguf, &f->vocab, err)))
			return trit_fail_prefix(err, e, "%s", path);
		f->has_vocab = true;
	}
	trit_note_gguf(&f->notes, &f->gguf, f->has_vocab ? &f->vocab : NULL);
	return TRIT_OK;
}

static int open_llama2c(struct trit_model_file *f, const char *path, bool want_vocab, struct trit_error *err)
{
	struct trit_map map;
	int e = trit_map_open(&map, path, err);
	if (e)
		return e;
	f->maps.maps = trit_calloc(1, sizeof *f->maps.maps);
	if (!f->maps.maps)
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory");
	else
		e = trit_llama2c_read(&f->gguf, map.data, map.size, &f->notes, err);
	if (e) {
		trit_map_close(&map);
		return trit_fail_prefix(err, e, "%s", path);
	}
	f->maps.maps[f->maps.n++] = map;
	f->bytes = f->maps.bytes = map.size;
	if (want_vocab)
		trit_note(&f->notes, TRIT_NOTE_WARNING,
		          "a checkpoint of llama2.c has no vocabulary; name its tokenizer.bin with --tokenizer");
	return TRIT_OK;
}

/* A Hugging Face folder; `weights` is the file in it that was named, or NULL. */
static int open_hf(struct trit_model_file *f, const char *folder, const char *weights, bool want_vocab,
                   struct trit_error *err)
{
	char run[TRIT_PATH_BYTES];
	int e = trit_hf_import(&f->gguf, &f->maps, &f->kind, folder, weights, &f->notes, err);
	f->bytes = f->maps.bytes;
	if (!e && want_vocab)
		e = trit_hf_read_vocab(&f->vocab, &f->has_vocab, folder, &f->notes, err);
	if (e)
		return e;
	f->folder = trit_strndup(folder, strlen(folder));
	if (!f->folder)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory");
	f->training_run = !trit_path_join(run, folder, "checkpoint.safetensors", NULL) && trit_path_kind(run) == 0;
	if (!f->gguf.n_tensors && !f->has_vocab && !f->training_run)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: is a directory without a model: neither model.safetensors nor pytorch_model.bin, nor an "
		                 "index of either, nor a tokenizer", folder);
	return TRIT_OK;
}

/* A file of weights of a Hugging Face folder, or a checkpoint of a training run. */
static int open_hf_file(struct trit_model_file *f, const char *path, bool want_vocab, struct trit_error *err)
{
	f->training_run = f->kind == TRIT_KIND_SAFETENSORS && trit_safetensors_is_checkpoint(path);
	if (f->training_run)
		return TRIT_OK;
	const char *slash = strrchr(path, '/');
	char *folder = slash ? trit_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : trit_strndup(".", 1);
	if (!folder)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory");
	int e = open_hf(f, folder, slash ? slash + 1 : path, want_vocab, err);
	trit_free(folder);
	return e;
}

/* What the file is. */
static int find_kind(enum trit_file_kind *kind, const char *path, struct trit_error *err)
{
	struct trit_map map;
	int e = trit_map_open(&map, path, err);
	if (e)
		return e;
	*kind = trit_file_kind(map.data, map.size);
	if (*kind == TRIT_KIND_UNKNOWN && trit_is_llama2c(map.data, map.size))
		*kind = TRIT_KIND_LLAMA2C;
	trit_map_close(&map);
	return TRIT_OK;
}

static int open_any(struct trit_model_file *f, const char *path, bool want_vocab, struct trit_error *err)
{
	if (trit_path_kind(path) == 1)
		return open_hf(f, path, NULL, want_vocab, err);
	int e = find_kind(&f->kind, path, err);
	if (e)
		return e;
	switch (f->kind) {
	case TRIT_KIND_SAFETENSORS:
	case TRIT_KIND_PYTORCH:
		return open_hf_file(f, path, want_vocab, err);
	case TRIT_KIND_LLAMA2C:
		return open_llama2c(f, path, want_vocab, err);
	default:
		return open_gguf(f, path, want_vocab, err);
	}
}

int trit_model_file_open(struct trit_model_file *f, const char *path, const struct trit_model_file_options *options,
                         struct trit_error *err)
{
	const char *tokenizer = options ? options->tokenizer : NULL;
	*f = (struct trit_model_file){ 0 };
	int e = open_any(f, path, !tokenizer, err);
	if (!e && tokenizer && !(e = trit_vocab_file_read(tokenizer, &f->vocab, err)))
		f->has_vocab = true;
	if (e)
		trit_model_file_close(f);
	return e;
}

void trit_model_file_close(struct trit_model_file *f)
{
	if (!f)
		return;
	trit_gguf_close(&f->gguf);
	trit_maps_close(&f->maps);
	trit_vocab_release(&f->vocab);
	trit_notes_release(&f->notes);
	trit_free(f->folder);
	*f = (struct trit_model_file){ 0 };
}

int trit_model_file_check_weights(const struct trit_model_file *f, const char *path, struct trit_error *err)
{
	if (f->gguf.n_tensors)
		return TRIT_OK;
	if (f->training_run)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "%s: a training run; make a model of it first: trit convert %s OUT.gguf", path, path);
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 f->has_vocab ? "%s: a vocabulary without weights: trit tokenize can use it, but nothing else"
	                              : "%s: holds neither weights nor a vocabulary",
	                 path);
}

void trit_describe_types(char *text, size_t size, const struct trit_gguf *g)
{
	struct {
		uint32_t type;
		uint64_t tensors;
	} seen[24]; /* who mixes more sees the first ones */
	size_t n = 0, used = 0, k;
	for (uint64_t i = 0; i < g->n_tensors; i++) {
		for (k = 0; k < n && seen[k].type != g->tensors[i].type;)
			k++;
		if (k == n && n < sizeof seen / sizeof *seen) {
			seen[n].type = g->tensors[i].type;
			seen[n++].tensors = 0;
		}
		if (k < n)
			seen[k].tensors++;
	}
	snprintf(text, size, "none");
	for (k = 0; k < n && used < size; k++) {
		const struct trit_ggml_type_info *info = trit_ggml_type_info(seen[k].type);
		used += (size_t)snprintf(text + used, size - used, "%s%s (%u) x %llu", used ? ", " : "",
		                         info ? info->name : "unknown", info ? info->file_id : seen[k].type,
		                         (unsigned long long)seen[k].tensors);
	}
}
