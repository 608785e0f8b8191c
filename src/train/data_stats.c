/*
 * data_stats.c - counts tokens and documents of prepared data.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/data_stats.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/json_file.h"
#include "format/vocab_file.h"
#include "train/shards.h"

struct scan {
	struct trit_data_stats *stats;
	uint64_t *counts; /* [V] */
	uint64_t length;  /* of the run that is open; 0: none is */
	trit_prepare_fn *progress;
	void *arg;
	uint64_t done, total;
};

/* ---- shards ------------------------------------------------------------------------------------------------------ */

static void end_run(struct scan *c)
{
	int bin = 0;
	if (!c->length)
		return;
	while (bin + 1 < TRIT_STATS_LENGTHS && c->length >> (bin + 1))
		bin++;
	c->stats->lengths[bin]++;
	c->stats->n_runs++;
	c->length = 0;
}

static int scan_shard(struct scan *c, const struct trit_shards *s, int i, struct trit_error *err)
{
	enum { CHUNK = 1 << 16 };
	static const char damaged[] = "a shard is damaged; prepare the data again";
	uint64_t n_starts, n = trit_shards_tokens(s, i), next = 0;
	const unsigned char *starts = trit_shards_starts(s, i, &n_starts);
	trit_token *tokens = trit_calloc(CHUNK, sizeof *tokens);
	int e = tokens ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to read tokens");
	for (uint64_t at = 0; at < n && !e; at += CHUNK) {
		size_t here = n - at < CHUNK ? (size_t)(n - at) : CHUNK;
		trit_shards_read(s, (uint64_t)i * TRIT_SHARD_TOKENS + at, here, tokens);
		for (size_t j = 0; j < here; j++) {
			if (next < n_starts && trit_get32(starts + 4 * next) == at + j) {
				end_run(c);
				next++;
			}
			c->length++;
			if ((uint32_t)tokens[j] >= (uint32_t)c->stats->n_vocab) {
				e = trit_fail(err, TRIT_ERR_FORMAT, "token %d is not in the vocabulary: %s", tokens[j], damaged);
				break;
			}
			c->counts[tokens[j]]++;
		}
		c->done += here;
		if (!e && c->progress && c->progress(c->arg, "counting", c->done, c->total))
			e = trit_fail(err, TRIT_ERR_LIMIT, "stopped while counting");
	}
	if (!e && next != n_starts)
		e = trit_fail(err, TRIT_ERR_FORMAT, "the places of its documents are not in order: %s", damaged);
	trit_free(tokens);
	return e;
}

static int scan_list(struct scan *c, const struct trit_shards *s, struct trit_error *err)
{
	int e = TRIT_OK;
	for (int i = 0; i < s->n && !e; i++)
		e = scan_shard(c, s, i, err);
	end_run(c);
	return e;
}

static void find_top(struct trit_data_stats *s, const uint64_t *counts)
{
	for (int id = 0; id < s->n_vocab; id++) {
		s->n_used += counts[id] > 0;
		if (!counts[id] || (s->n_top == TRIT_STATS_TOP && counts[id] <= s->top[s->n_top - 1].count))
			continue;
		int at = s->n_top < TRIT_STATS_TOP ? s->n_top++ : TRIT_STATS_TOP - 1;
		for (; at > 0 && s->top[at - 1].count < counts[id]; at--)
			s->top[at] = s->top[at - 1];
		s->top[at].id = id;
		s->top[at].count = counts[id];
	}
}

/* ---- manifest ---------------------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_JANSSON
static uint64_t number_of(const json_t *object, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(object, key));
	return v > 0 ? (uint64_t)v : 0;
}

static int check_hash(const char *dir, const char *name, const char *expected, struct trit_error *err)
{
	char path[4096], hash[40];
	struct trit_map m;
	if (strchr(name, '/') || snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: a shard of the name %.64s", dir, name);
	int e = trit_map_open(&m, path, err);
	if (e)
		return e;
	struct trit_fingerprint f = trit_fingerprint_bytes(m.size, m.data);
	trit_map_close(&m);
	snprintf(hash, sizeof hash, "%016" PRIx64 "%016" PRIx64, f.a, f.b);
	if (expected && !strcmp(hash, expected))
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_FORMAT, "%s: is not the file that the manifest tells of; prepare the data again",
	                 path);
}

static int read_sources(struct trit_data_stats *s, const json_t *list, struct trit_error *err)
{
	size_t n = json_array_size(list);
	s->sources = trit_calloc(n, sizeof *s->sources);
	if (!s->sources)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu sources", n);
	for (; s->n_sources < n; s->n_sources++) {
		const json_t *item = json_array_get(list, s->n_sources), *fates = json_object_get(item, "documents");
		const char *path = json_string_value(json_object_get(item, "path"));
		struct trit_stats_source *to = &s->sources[s->n_sources];
		*to = (struct trit_stats_source){ .files = number_of(item, "files"), .bytes = number_of(item, "bytes"),
			                          .tokens = number_of(item, "tokens"),
			                          .val_tokens = number_of(item, "val-tokens") };
		to->path = trit_strndup(path ? path : "?", strlen(path ? path : "?"));
		if (!to->path)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu sources", n);
		s->documents += number_of(fates, trit_fate_names[TRIT_FATE_KEPT]);
		for (int i = 0; i < TRIT_N_FATES; i++)
			to->fates[i] = number_of(fates, trit_fate_names[i]);
	}
	return TRIT_OK;
}

static int read_manifest(struct trit_data_stats *s, const char *dir, struct trit_error *err)
{
	char path[4096];
	json_t *root;
	if (snprintf(path, sizeof path, "%s/" TRIT_MANIFEST, dir) >= (int)sizeof path)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", dir);
	int e = trit_json_read(&root, path, err);
	if (e)
		return e;
	const char *format = json_string_value(json_object_get(root, "format"));
	json_t *shards = json_object_get(root, "shards");
	const char *name;
	json_t *hash;
	if (!format || strcmp(format, "trit-data") || number_of(root, "version") != 1)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: not the manifest of prepared data, version 1", path);
	else
		e = read_sources(s, json_object_get(root, "sources"), err);
	if (!e)
		e = check_hash(dir, "vocab.gguf",
		               json_string_value(json_object_get(json_object_get(root, "vocabulary"), "hash")), err);
	json_object_foreach(shards, name, hash) {
		if (e || (e = check_hash(dir, name, json_string_value(hash), err)))
			break;
		s->n_shards++;
	}
	json_decref(root);
	return e;
}
#else
static int read_manifest(struct trit_data_stats *s, const char *dir, struct trit_error *err)
{
	(void)s;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: this build was made without jansson (libjansson-dev)", dir);
}
#endif

/* ---- both -------------------------------------------------------------------------------------------------------- */

static int read_vocab(struct trit_data_stats *s, const char *dir, struct trit_error *err)
{
	char path[4096];
	struct trit_vocab vocab = { 0 };
	if (snprintf(path, sizeof path, "%s/vocab.gguf", dir) >= (int)sizeof path)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", dir);
	int e = trit_vocab_file_read(path, &vocab, err);
	if (e)
		return e;
	s->n_vocab = vocab.n_tokens;
	return trit_tokenizer_new(&s->tokenizer, &vocab, err);
}

static int read_all(struct trit_data_stats *s, const char *dir, trit_prepare_fn *progress, void *arg,
                    struct trit_error *err)
{
	struct scan c = { .stats = s, .progress = progress, .arg = arg };
	struct trit_shards train = { 0 }, val = { 0 };
	uint64_t told = 0;
	int e;
	if (!trit_is_data_folder(dir))
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: no folder that trit data prepared", dir);
	if ((e = read_manifest(s, dir, err)) || (e = read_vocab(s, dir, err)))
		return e;
	c.counts = trit_calloc((size_t)s->n_vocab, sizeof *c.counts);
	if (!c.counts)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to count %d tokens", s->n_vocab);
	if (!(e = trit_shards_open(&train, dir, "train", s->n_vocab, err)) &&
	    !(e = trit_shards_open(&val, dir, "val", s->n_vocab, err))) {
		s->tokens = train.n_tokens;
		s->val_tokens = val.n_tokens;
		c.total = s->tokens + s->val_tokens;
		if ((e = scan_list(&c, &train, err)) || (e = scan_list(&c, &val, err)))
			trit_fail_prefix(err, e, "%s", dir);
	}
	for (size_t i = 0; i < s->n_sources; i++)
		told += s->sources[i].tokens;
	if (!e && (told != c.total || s->n_shards != train.n + val.n))
		e = trit_fail(err, TRIT_ERR_FORMAT,
		              "%s: %llu tokens in %d shards, but the manifest tells of %llu in %d; prepare the data again", dir,
		              (unsigned long long)c.total, train.n + val.n, (unsigned long long)told, s->n_shards);
	if (!e)
		find_top(s, c.counts);
	trit_shards_close(&train);
	trit_shards_close(&val);
	trit_free(c.counts);
	return e;
}

int trit_data_stats_read(struct trit_data_stats *s, const char *dir, trit_prepare_fn *progress, void *arg,
                         struct trit_error *err)
{
	*s = (struct trit_data_stats){ 0 };
	int e = read_all(s, dir, progress, arg, err);
	if (e)
		trit_data_stats_release(s);
	return e;
}

void trit_data_stats_release(struct trit_data_stats *s)
{
	for (size_t i = 0; i < s->n_sources; i++)
		trit_free(s->sources[i].path);
	trit_free(s->sources);
	trit_tokenizer_free(s->tokenizer);
	*s = (struct trit_data_stats){ 0 };
}
