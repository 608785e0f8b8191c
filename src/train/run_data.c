/*
 * run_data.c - sources of a run: parsed, prepared, listed and opened.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/run_data.h"

#include <limits.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/json_file.h"
#include "format/json_text.h"
#include "format/vocab_file.h"
#include "train/data_folder.h"

/* A source as --data has it. */
struct source {
	char *path; /* of the text, or of prepared data */
	double weight; /* 0: none */
	bool prepared; /* then the path is absolute */
	size_t number; /* of the folder that its text is prepared into, from 1 */
};

struct sources {
	struct source *items; /* [n] */
	size_t n;
	size_t n_folders; /* to be prepared */
};

/* Name of the folder of the shards: "data-2", in the run's folder, or an absolute path. */
static const char *dir_of(const struct source *s, char name[32])
{
	if (s->prepared)
		return s->path;
	snprintf(name, 32, s->number == 1 ? "data" : "data-%zu", s->number);
	return name;
}

static void release_sources(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		trit_free(s->items[i].path);
	trit_free(s->items);
	*s = (struct sources){ 0 };
}

/* ---- what --data names ------------------------------------------------------------------------------------------- */

/* Cuts ":0.7" off, unless there is a file of the whole name. */
static int parse_source(struct source *s, const char *text, struct trit_error *err)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	double weight = colon ? strtod(colon + 1, &end) : 0;
	bool has_weight = colon && colon > text && end > colon + 1 && !*end && trit_path_kind(text) < 0;
	s->path = trit_strndup(text, has_weight ? (size_t)(colon - text) : strlen(text));
	if (!s->path)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of sources");
	if (has_weight && !(weight > 0 && isfinite(weight)))
		return trit_fail(err, TRIT_ERR_ARG, "--data %s: the weight is not above 0", text);
	s->weight = has_weight ? weight : 0;
	s->prepared = trit_is_data_folder(s->path);
	if (!s->prepared)
		return TRIT_OK;
	char real[PATH_MAX];
	if (!realpath(s->path, real))
		return trit_fail_errno(err, "%s: cannot find out where it is", s->path);
	trit_free(s->path);
	s->path = trit_strndup(real, strlen(real));
	return s->path ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of sources");
}

static int parse_sources(struct sources *s, size_t n_paths, char *const *paths, struct trit_error *err)
{
	size_t weights = 0;
	int e = TRIT_OK;
	s->items = trit_calloc(n_paths, sizeof *s->items);
	if (!s->items)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu sources", n_paths);
	for (; s->n < n_paths && !e; s->n++) {
		e = parse_source(&s->items[s->n], paths[s->n], err);
		weights += s->items[s->n].weight > 0;
	}
	if (!e && weights && weights < n_paths)
		e = trit_fail(err, TRIT_ERR_ARG, "some sources have a weight and some have none; give it to all: "
		                                 "--data FILE:0.7 --data FILE:0.3");
	for (size_t i = 0; i < s->n && !e; i++)
		if (!s->items[i].prepared) /* one folder for all text, or for each source one */
			s->items[i].number = weights || !s->n_folders ? ++s->n_folders : s->n_folders;
	return e;
}

/* ---- vocabulary -------------------------------------------------------------------------------------------------- */

/* Paths of the sources whose text goes to folder `number`, or of all text when that is 0. */
static size_t list_texts(const struct sources *s, size_t number, char **paths)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (!s->items[i].prepared && (!number || s->items[i].number == number))
			paths[n++] = s->items[i].path;
	return n;
}

static int same_file(const char *a, const char *b, bool *same, struct trit_error *err)
{
	struct trit_map x, y;
	int e = trit_map_open(&x, a, err);
	if (e)
		return e;
	if (!(e = trit_map_open(&y, b, err))) {
		*same = x.size == y.size && !memcmp(x.data, y.data, x.size);
		trit_map_close(&y);
	}
	trit_map_close(&x);
	return e;
}

static int check_prepared(const struct sources *s, const char *vocab_path, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	bool same = true;
	int e = TRIT_OK;
	for (size_t i = 0; i < s->n && !e; i++) {
		if (!s->items[i].prepared)
			continue;
		if (!(e = trit_path_join(path, s->items[i].path, "vocab.gguf", err)) &&
		    !(e = same_file(path, vocab_path, &same, err)) && !same)
			e = trit_fail(err, TRIT_ERR_FORMAT,
			              "%s: prepared with another vocabulary than the run's; prepare it again with --tokenizer",
			              s->items[i].path);
	}
	return e;
}

/* The vocabulary from where it is to come. */
static int find_vocab(const struct sources *s, const char *tokenizer, int n_vocab, char **texts,
                      const struct trit_prepare_settings *settings, struct trit_vocab *vocab, struct trit_error *err)
{
	struct trit_corpus corpus;
	int e;
	for (size_t i = 0; i < s->n && !tokenizer; i++)
		if (s->items[i].prepared)
			tokenizer = s->items[i].path;
	if (tokenizer) {
		e = trit_read_any_vocab(tokenizer, vocab, err);
	} else if (!(e = trit_corpus_open(&corpus, list_texts(s, 0, texts), texts, err))) {
		e = trit_prepare_vocab(&corpus, settings, n_vocab, vocab, err);
		trit_corpus_close(&corpus);
	}
	if (!e && vocab->n_tokens < 257)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: %d tokens; a vocabulary for training needs at least 257",
		              tokenizer ? tokenizer : "the text", vocab->n_tokens);
	return e;
}

/* Writes it, and sees that it is the one that prepared folders were made with. */
static int use_vocab(const struct sources *s, const char *path, struct trit_vocab *take_vocab,
                     struct trit_tokenizer **t, struct trit_error *err)
{
	int e = trit_vocab_file_write(path, take_vocab, err);
	if (!e && !(e = check_prepared(s, path, err)))
		return trit_tokenizer_new(t, take_vocab, err);
	return e;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* Tokens of a source's shards. */
static int count_tokens(const char *dir, int n_vocab, uint64_t *tokens, struct trit_error *err)
{
	struct trit_shards s;
	int e = trit_shards_open(&s, dir, "train", n_vocab, err);
	if (e)
		return e;
	*tokens = s.n_tokens;
	trit_shards_close(&s);
	return TRIT_OK;
}

static int write_list(const struct sources *s, const char *out, int n_vocab, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES], number[32], name[32];
	struct trit_buf text;
	trit_buf_init(&text, (size_t)1 << 26);
	struct trit_json j = { .out = &text, .err = err };
	trit_json_begin(&j, NULL, '{');
	trit_json_begin(&j, "sources", '[');
	for (size_t i = 0, listed = 0; i < s->n && !j.status; i++) {
		const struct source *it = &s->items[i];
		const char *dir = dir_of(it, name);
		uint64_t tokens = 0;
		if (!it->prepared && it->number <= listed) /* all text without weights is one */
			continue;
		listed = it->prepared ? listed : it->number;
		if ((j.status = trit_path_join(path, out, dir, err)) || (j.status = count_tokens(path, n_vocab, &tokens, err)))
			break;
		trit_json_begin(&j, NULL, '{');
		trit_json_string(&j, "path", dir);
		if (it->weight > 0) {
			snprintf(number, sizeof number, "%.17g", it->weight);
			trit_json_string(&j, "weight", number);
		}
		trit_json_int(&j, "tokens", (int64_t)tokens);
		trit_json_end(&j, '}');
	}
	trit_json_end(&j, ']');
	trit_json_end(&j, '}');
	int e = j.status ? j.status : trit_path_join(path, out, "data.json", err);
	if (!e)
		e = trit_file_write(path, text.len, text.data, err);
	trit_buf_release(&text);
	return e;
}

static int prepare_texts(const struct sources *s, const char *out, char **texts,
                         const struct trit_prepare_settings *settings, const struct trit_tokenizer *t,
                         struct trit_error *err)
{
	char path[TRIT_PATH_BYTES], name[32];
	int e = TRIT_OK;
	for (size_t number = 1; number <= s->n_folders && !e; number++) {
		struct source folder = { .number = number };
		struct trit_corpus corpus;
		struct trit_prepare_report report = { 0 };
		if ((e = trit_path_join(path, out, dir_of(&folder, name), err)) ||
		    (e = trit_corpus_open(&corpus, list_texts(s, number, texts), texts, err)))
			break;
		e = trit_prepare_shards(&corpus, settings, t, path, &report, err);
		trit_prepare_report_release(&report);
		trit_corpus_close(&corpus);
	}
	return e;
}

int trit_run_data_bytes(size_t n_paths, char *const *paths, uint64_t *bytes, struct trit_error *err)
{
	struct sources sources = { 0 };
	struct trit_corpus corpus;
	char **texts = trit_calloc(n_paths, sizeof *texts);
	int e = texts ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of sources");
	size_t n = 0;
	*bytes = 0;
	if (!e && !(e = parse_sources(&sources, n_paths, paths, err)))
		n = list_texts(&sources, 0, texts);
	if (!e && n && !(e = trit_corpus_open(&corpus, n, texts, err))) {
		*bytes = corpus.bytes;
		trit_corpus_close(&corpus);
	}
	release_sources(&sources);
	trit_free(texts);
	return e;
}

int trit_run_data_make(const char *out, size_t n_paths, char *const *paths, const char *tokenizer,
                       struct trit_vocab *take_vocab, int n_vocab, const struct trit_prepare_settings *s,
                       struct trit_tokenizer **t, struct trit_error *err)
{
	char vocab_path[TRIT_PATH_BYTES], list_path[TRIT_PATH_BYTES];
	struct sources sources = { 0 };
	struct trit_vocab vocab = take_vocab ? *take_vocab : (struct trit_vocab){ 0 };
	char **texts = trit_calloc(n_paths, sizeof *texts);
	int e = texts ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of sources");
	if (take_vocab)
		*take_vocab = (struct trit_vocab){ 0 };
	if (!e && !(e = trit_path_join(vocab_path, out, "vocab.gguf", err)) &&
	    !(e = trit_path_join(list_path, out, "data.json", err)))
		unlink(list_path); /* of an earlier try */
	if (!e && !(e = parse_sources(&sources, n_paths, paths, err)) &&
	    (take_vocab || !(e = find_vocab(&sources, tokenizer, n_vocab, texts, s, &vocab, err))) &&
	    !(e = use_vocab(&sources, vocab_path, &vocab, t, err)))
		e = prepare_texts(&sources, out, texts, s, *t, err);
	bool plain = true;
	for (size_t i = 0; i < sources.n; i++)
		plain &= !sources.items[i].prepared && sources.items[i].weight == 0;
	if (!e && !plain)
		e = write_list(&sources, out, trit_tokenizer_vocab(*t)->n_tokens, err);
	trit_vocab_release(&vocab);
	release_sources(&sources);
	trit_free(texts);
	return e;
}

void trit_run_data_remove(const char *out)
{
	char path[TRIT_PATH_BYTES], name[32];
	struct trit_error ignored;
	for (int i = 1; i <= TRIT_MIX_BLOCK; i++) {
		struct source folder = { .number = (size_t)i };
		if (trit_path_join(path, out, dir_of(&folder, name), &ignored) || (trit_path_kind(path) != 1 && i > 1))
			break;
		trit_shards_remove(path);
		rmdir(path);
	}
	if (!trit_path_join(path, out, "data.json", &ignored))
		unlink(path);
	if (!trit_path_join(path, out, "vocab.gguf", &ignored))
		unlink(path);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_JANSSON
static int parse_list_item(const json_t *item, const char *out, struct trit_data_source *s, uint64_t *tokens,
                           char dir[TRIT_PATH_BYTES], struct trit_error *err)
{
	const char *path = json_string_value(json_object_get(item, "path"));
	const char *weight = json_string_value(json_object_get(item, "weight"));
	const json_t *count = json_object_get(item, "tokens");
	char *end = NULL;
	if (!path || !*path || !json_is_integer(count) || json_integer_value(count) < 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "data.json: a source without path or tokens");
	*s = (struct trit_data_source){ .dir = dir, .weight = weight ? strtod(weight, &end) : 0 };
	if (weight && (end == weight || *end || !(s->weight > 0) || !isfinite(s->weight)))
		return trit_fail(err, TRIT_ERR_FORMAT, "data.json: weight \"%.32s\" is no number above 0", weight);
	*tokens = (uint64_t)json_integer_value(count);
	return trit_path_join(dir, out, path, err);
}

static int open_list(struct trit_data *d, const char *path, const char *out, int n_vocab, int seq_len, uint64_t seed,
                     struct trit_error *err)
{
	json_t *root;
	int e = trit_json_read(&root, path, err);
	if (e)
		return e;
	const json_t *list = json_object_get(root, "sources");
	size_t n = json_array_size(list);
	struct trit_data_source *sources = trit_calloc(n, sizeof *sources);
	char(*dirs)[TRIT_PATH_BYTES] = trit_calloc(n, sizeof *dirs);
	uint64_t *tokens = trit_calloc(n, sizeof *tokens), all = 0;
	if (!sources || !dirs || !tokens)
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu sources of data", n);
	else if (!n || n > INT_MAX)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: no list of sources", path);
	for (size_t i = 0; i < n && !e; i++) {
		e = parse_list_item(json_array_get(list, i), out, &sources[i], &tokens[i], dirs[i], err);
		all += tokens[i];
	}
	if (!e)
		e = trit_data_open_mix(d, (int)n, sources, n_vocab, seq_len, seed, err);
	if (!e && d->n_train_tokens != all) {
		trit_data_close(d);
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: the folders it names have not the tokens they had; put them back",
		              path);
	}
	trit_free(sources);
	trit_free(dirs);
	trit_free(tokens);
	json_decref(root);
	return e;
}
#else
static int open_list(struct trit_data *d, const char *path, const char *out, int n_vocab, int seq_len, uint64_t seed,
                     struct trit_error *err)
{
	(void)d, (void)out, (void)n_vocab, (void)seq_len, (void)seed;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: this build was made without jansson (libjansson-dev)", path);
}
#endif

int trit_run_data_open(struct trit_data *d, const char *out, int n_vocab, int seq_len, uint64_t seed,
                       struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	int e = trit_path_join(path, out, "data.json", err);
	if (e)
		return e;
	if (trit_path_kind(path) == 0)
		return open_list(d, path, out, n_vocab, seq_len, seed, err);
	return (e = trit_path_join(path, out, "data", err)) ? e : trit_data_open(d, path, n_vocab, seq_len, seed, err);
}
