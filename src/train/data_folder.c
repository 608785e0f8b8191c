/*
 * data_folder.c - makes a folder of prepared data.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/data_folder.h"

#include <inttypes.h>

#include "base/folder.h"
#include "base/mem.h"
#include "format/json_text.h"
#include "format/vocab_file.h"
#include "model/model_file.h"
#include "train/shards.h"

#define MAX_MANIFEST_BYTES ((size_t)1 << 28)

const char *const trit_fate_names[TRIT_N_FATES] = { "kept", "empty", "invalid", "too-short", "too-long", "duplicates",
	                                            "near-duplicates" };
const char *const trit_documents_names[] = { "auto", "mark", "blank", "file", "jsonl", NULL };
const char *const trit_invalid_names[] = { "error", "replace", "skip", NULL };
const char *const trit_dedup_names[] = { "none", "exact", "near", NULL };

bool trit_is_data_folder(const char *path)
{
	char name[4096];
	return snprintf(name, sizeof name, "%s/" TRIT_MANIFEST, path) < (int)sizeof name && trit_path_kind(name) == 0 &&
	       snprintf(name, sizeof name, "%s/train-00000.safetensors", path) < (int)sizeof name &&
	       trit_path_kind(name) == 0;
}

int trit_read_any_vocab(const char *path, struct trit_vocab *v, struct trit_error *err)
{
	struct trit_model_file file = { 0 };
	char name[4096];
	if (trit_is_data_folder(path) && snprintf(name, sizeof name, "%s/vocab.gguf", path) < (int)sizeof name)
		return trit_vocab_file_read(name, v, err);
	if (trit_is_vocab_file(path))
		return trit_vocab_file_read(path, v, err);
	int e = trit_model_file_open(&file, path, NULL, err);
	if (e)
		return e;
	if (!file.has_vocab) {
		e = trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: has no vocabulary, so text cannot become tokens", path);
	} else {
		*v = file.vocab;
		file.vocab = (struct trit_vocab){ 0 };
	}
	trit_model_file_close(&file);
	return e;
}

/* ---- the manifest ------------------------------------------------------------------------------------------------ */

static void put_hash(struct trit_json *j, const char *key, struct trit_fingerprint f)
{
	char text[40];
	snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, f.a, f.b);
	trit_json_string(j, key, text);
}

/* The bytes of a file as `key`. */
static void put_file_hash(struct trit_json *j, const char *key, const char *path)
{
	struct trit_map m;
	if (j->status || (j->status = trit_map_open(&m, path, j->err)))
		return;
	put_hash(j, key, trit_fingerprint_bytes(m.size, m.data));
	trit_map_close(&m);
}

static void put_settings(struct trit_json *j, const struct trit_prepare_settings *s)
{
	trit_json_begin(j, "settings", '{');
	trit_json_string(j, "documents", trit_documents_names[s->documents]);
	trit_json_string(j, "field", s->clean.field ? s->clean.field : "text");
	trit_json_string(j, "invalid", trit_invalid_names[s->clean.invalid]);
	trit_json_bool(j, "keep-crlf", s->clean.keep_crlf);
	trit_json_bool(j, "nfc", s->clean.nfc);
	trit_json_int(j, "min-chars", (int64_t)s->clean.min_chars);
	trit_json_int(j, "max-chars", (int64_t)s->clean.max_chars);
	trit_json_string(j, "dedup", trit_dedup_names[s->dedup]);
	trit_json_float(j, "likeness", s->likeness);
	trit_json_float(j, "val-share", s->val_share);
	trit_json_end(j, '}');
}

static void put_source(struct trit_json *j, const char *path, const struct trit_prepare_count *c)
{
	trit_json_begin(j, NULL, '{');
	if (trit_utf8_valid(strlen(path), path) == strlen(path))
		trit_json_string(j, "path", path);
	trit_json_int(j, "files", (int64_t)c->files);
	trit_json_begin(j, "documents", '{');
	for (int i = 0; i < TRIT_N_FATES; i++)
		trit_json_int(j, trit_fate_names[i], (int64_t)c->fates[i]);
	trit_json_end(j, '}');
	trit_json_int(j, "bytes", (int64_t)c->bytes);
	trit_json_int(j, "tokens", (int64_t)c->tokens);
	trit_json_int(j, "val-tokens", (int64_t)c->val_tokens);
	trit_json_end(j, '}');
}

/* The shards of one list, as long as there are any. */
static void put_shards(struct trit_json *j, const char *dir, const char *list)
{
	char name[64], path[4096];
	for (int i = 0; i < TRIT_MAX_SHARDS && !j->status; i++) {
		snprintf(name, sizeof name, "%s-%05d.safetensors", list, i);
		if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path || trit_path_kind(path) != 0)
			break;
		put_file_hash(j, name, path);
	}
}

static int write_manifest(const char *dir, char *const *paths, const struct trit_prepare_settings *s, int n_vocab,
                          const struct trit_prepare_report *r, struct trit_error *err)
{
	char path[4096];
	struct trit_buf text;
	trit_buf_init(&text, MAX_MANIFEST_BYTES);
	struct trit_json j = { .out = &text, .err = err };
	trit_json_begin(&j, NULL, '{');
	trit_json_string(&j, "format", "trit-data");
	trit_json_int(&j, "version", 1);
	put_settings(&j, s);
	trit_json_begin(&j, "vocabulary", '{');
	trit_json_int(&j, "tokens", n_vocab);
	snprintf(path, sizeof path, "%s/vocab.gguf", dir);
	put_file_hash(&j, "hash", path);
	trit_json_end(&j, '}');
	trit_json_begin(&j, "sources", '[');
	for (size_t i = 0; i < r->n; i++)
		put_source(&j, paths[i], &r->counts[i]);
	trit_json_end(&j, ']');
	trit_json_int(&j, "signatures-forgotten", (int64_t)r->forgotten);
	trit_json_begin(&j, "shards", '{');
	put_shards(&j, dir, "train");
	put_shards(&j, dir, "val");
	trit_json_end(&j, '}');
	trit_json_end(&j, '}');
	int e = j.status;
	snprintf(path, sizeof path, "%s/" TRIT_MANIFEST, dir);
	if (!e)
		e = trit_file_write(path, text.len, text.data, err);
	trit_buf_release(&text);
	return e;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static bool is_ours(const char *name)
{
	return !strcmp(name, TRIT_MANIFEST) || !strcmp(name, "vocab.gguf") ||
	       ((!strncmp(name, "train-", 6) || !strncmp(name, "val-", 4)) && strstr(name, ".safetensors"));
}

static int make_files(const char *dir, const struct trit_corpus *c, char *const *paths,
                      const struct trit_prepare_settings *s, const struct trit_data_folder_options *o,
                      struct trit_prepare_report *report, struct trit_error *err)
{
	char path[4096];
	struct trit_vocab vocab = { 0 };
	struct trit_tokenizer *t = NULL;
	if (snprintf(path, sizeof path, "%s/val-00000.safetensors", dir) >= (int)sizeof path)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", dir);
	snprintf(path, sizeof path, "%s/vocab.gguf", dir);
	int e = o->tokenizer ? trit_read_any_vocab(o->tokenizer, &vocab, err)
	                     : trit_prepare_vocab(c, s, o->n_vocab, &vocab, err);
	int n_vocab = vocab.n_tokens;
	if (!e)
		e = trit_vocab_file_write(path, &vocab, err);
	if (!e && (e = trit_tokenizer_new(&t, &vocab, err)))
		trit_fail_prefix(err, e, "%s", o->tokenizer ? o->tokenizer : "the vocabulary");
	trit_vocab_release(&vocab);
	if (!e && !(e = trit_prepare_shards(c, s, t, dir, report, err)))
		e = write_manifest(dir, paths, s, n_vocab, report, err);
	trit_tokenizer_free(t);
	return e;
}

int trit_data_folder_make(const char *out, size_t n_paths, char *const *paths, const struct trit_prepare_settings *s,
                          const struct trit_data_folder_options *o, struct trit_prepare_report *report,
                          struct trit_error *err)
{
	struct trit_corpus corpus;
	struct trit_folder folder;
	*report = (struct trit_prepare_report){ 0 };
	int e = trit_corpus_open(&corpus, n_paths, paths, err);
	if (e)
		return e;
	if (!(e = trit_folder_open(&folder, out, o->force, err))) {
		if (!(e = make_files(folder.temporary, &corpus, paths, s, o, report, err)))
			e = trit_folder_commit(&folder, is_ours, err);
		trit_folder_release(&folder);
	}
	trit_corpus_close(&corpus);
	return e;
}
