/*
 * shards.c - token shards in safetensors files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/shards.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"

static void shard_path(char *path, size_t size, const char *dir, const char *name, int i)
{
	snprintf(path, size, "%s/%s-%05d.safetensors", dir, name, i);
}

/* Deletes shards number first, first + 1, ... as far as there are any. */
static void remove_from(const char *dir, const char *name, int first)
{
	char path[4096];
	for (int i = first; i < TRIT_MAX_SHARDS; i++) {
		shard_path(path, sizeof path, dir, name, i);
		if (unlink(path))
			break;
	}
}

void trit_shards_remove(const char *dir)
{
	remove_from(dir, "train", 0);
	remove_from(dir, "val", 0);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

int trit_shard_writer_init(struct trit_shard_writer *w, const char *dir, const char *name, int n_vocab,
                           struct trit_error *err)
{
	*w = (struct trit_shard_writer){ .name = name, .n_vocab = n_vocab };
	w->dir = trit_strndup(dir, strlen(dir));
	w->tokens = trit_calloc(TRIT_SHARD_TOKENS, sizeof *w->tokens);
	w->loss = trit_calloc(TRIT_SHARD_TOKENS, sizeof *w->loss);
	if (w->dir && w->tokens && w->loss)
		return TRIT_OK;
	trit_shard_writer_release(w);
	return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a token shard");
}

void trit_shard_writer_release(struct trit_shard_writer *w)
{
	trit_free(w->dir);
	trit_free(w->tokens);
	trit_free(w->loss);
	trit_free(w->starts);
	*w = (struct trit_shard_writer){ 0 };
}

/* What is held as tensors: those of larger elements first. */
static int put_tensors(const struct trit_shard_writer *w, struct trit_st_writer *st, bool wide, struct trit_error *err)
{
	char largest[16];
	uint64_t shape[1] = { w->held }, starts[1] = { w->n_starts };
	int e;
	snprintf(largest, sizeof largest, "%u", (unsigned)w->largest);
	if ((e = trit_st_put_meta(st, "largest", largest, err)) ||
	    (w->n_starts && (e = trit_st_put_tensor(st, "starts", TRIT_DTYPE_U32, 1, starts, err))) ||
	    (e = trit_st_put_tensor(st, "tokens", wide ? TRIT_DTYPE_U32 : TRIT_DTYPE_U16, 1, shape, err)) ||
	    (w->masked && (e = trit_st_put_tensor(st, "loss", TRIT_DTYPE_U8, 1, shape, err))))
		return e;
	return trit_st_begin(st, err);
}

/* In their order. The numbers are made little-endian in place, the tokens narrowed: byte i is never ahead of its
 * source. */
static int write_tensors(struct trit_shard_writer *w, struct trit_st_writer *st, bool wide, struct trit_error *err)
{
	unsigned char *starts = (unsigned char *)w->starts, *bytes = (unsigned char *)w->tokens;
	for (size_t i = 0; i < w->n_starts; i++)
		trit_put32(starts + 4 * i, w->starts[i]);
	for (size_t i = 0; i < w->held; i++) {
		if (wide)
			trit_put32(bytes + 4 * i, w->tokens[i]);
		else
			trit_put16(bytes + 2 * i, (uint16_t)w->tokens[i]);
	}
	int e = w->n_starts ? trit_st_write(st, 4 * w->n_starts, starts, err) : TRIT_OK;
	if (!e)
		e = trit_st_write(st, w->held * (wide ? 4 : 2), bytes, err);
	return e || !w->masked ? e : trit_st_write(st, w->held, w->loss, err);
}

static int write_shard(struct trit_shard_writer *w, struct trit_error *err)
{
	char path[4096];
	struct trit_st_writer *st;
	bool wide = w->n_vocab > 65536;
	if (w->n_starts && w->starts[w->n_starts - 1] == w->held)
		w->n_starts--; /* nothing came of it */
	shard_path(path, sizeof path, w->dir, w->name, w->n_shards);
	int e = trit_st_writer_new(&st, path, err);
	if (e)
		return e;
	if (!(e = put_tensors(w, st, wide, err)) && !(e = write_tensors(w, st, wide, err)))
		e = trit_st_commit(st, err);
	trit_st_writer_free(st);
	w->n_shards++;
	w->held = w->n_starts = 0;
	w->largest = 0;
	w->masked = false;
	return e;
}

int trit_shard_writer_start(struct trit_shard_writer *w, struct trit_error *err)
{
	if (w->n_starts && w->starts[w->n_starts - 1] == w->held)
		return TRIT_OK; /* nothing was put since */
	if (w->n_starts == w->starts_cap) {
		size_t cap = w->starts_cap ? 2 * w->starts_cap : 4096;
		uint32_t *starts = trit_realloc(w->starts, w->starts_cap * sizeof *starts, cap, sizeof *starts);
		if (!starts)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the places of %zu documents", cap);
		w->starts = starts;
		w->starts_cap = cap;
	}
	w->starts[w->n_starts++] = (uint32_t)w->held;
	return TRIT_OK;
}

int trit_shard_writer_put(struct trit_shard_writer *w, size_t n, const trit_token *tokens, const bool *loss,
                          struct trit_error *err)
{
	for (size_t i = 0; i < n; i++) {
		w->loss[w->held] = !loss || loss[i];
		w->masked |= !w->loss[w->held];
		w->largest = (uint32_t)tokens[i] > w->largest ? (uint32_t)tokens[i] : w->largest;
		w->tokens[w->held++] = (uint32_t)tokens[i];
		w->n_tokens++;
		if (w->held < TRIT_SHARD_TOKENS)
			continue;
		if (w->n_shards + 1 >= TRIT_MAX_SHARDS)
			return trit_fail(err, TRIT_ERR_LIMIT, "more than %d token shards", TRIT_MAX_SHARDS);
		int e = write_shard(w, err);
		if (e)
			return e;
	}
	return TRIT_OK;
}

int trit_shard_writer_finish(struct trit_shard_writer *w, struct trit_error *err)
{
	int e = w->held || w->n_shards == 0 ? write_shard(w, err) : TRIT_OK;
	if (!e)
		remove_from(w->dir, w->name, w->n_shards); /* of an earlier, longer list */
	return e;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const struct trit_st_tensor *tokens_of(const struct trit_shards *s, int i)
{
	return trit_safetensors_find(&s->files[i], "tokens");
}

/* NULL where all tokens are to be predicted. */
static const struct trit_st_tensor *loss_of(const struct trit_shards *s, int i)
{
	return trit_safetensors_find(&s->files[i], "loss");
}

/* NULL in the files of earlier versions. */
static const struct trit_st_tensor *starts_of(const struct trit_shards *s, int i)
{
	return trit_safetensors_find(&s->files[i], "starts");
}

static trit_token token_at(const struct trit_st_tensor *t, uint64_t i)
{
	return (trit_token)(t->dtype == TRIT_DTYPE_U16 ? trit_get16(t->data + 2 * i) : trit_get32(t->data + 4 * i));
}

static int fail_shard(struct trit_error *err, const char *path, const char *what)
{
	return trit_fail(err, TRIT_ERR_FORMAT, "%s: %s; delete the data folder and prepare the data again", path, what);
}

/* Every token and mask, of a shard that says nothing about them. */
static int check_elements(const struct trit_st_tensor *t, const struct trit_st_tensor *loss, const char *path,
                          int n_vocab, struct trit_error *err)
{
	char what[96];
	for (uint64_t j = 0; j < t->elements; j++)
		if ((uint32_t)token_at(t, j) >= (uint32_t)n_vocab) {
			snprintf(what, sizeof what, "token %llu is not in the vocabulary of %d", (unsigned long long)j, n_vocab);
			return fail_shard(err, path, what);
		}
	for (uint64_t j = 0; loss && j < loss->elements; j++)
		if (loss->data[j] > 1) {
			snprintf(what, sizeof what, "tensor loss, element %llu: neither 0 nor 1", (unsigned long long)j);
			return fail_shard(err, path, what);
		}
	return TRIT_OK;
}

static int check_shard(const struct trit_shards *s, int i, bool last, const char *path, int n_vocab,
                       struct trit_error *err)
{
	const struct trit_st_tensor *t = tokens_of(s, i), *loss = loss_of(s, i), *starts = starts_of(s, i);
	const char *largest = trit_safetensors_meta(&s->files[i], "largest");
	char what[96];
	if (!t || t->n_dims != 1 || (t->dtype != TRIT_DTYPE_U16 && t->dtype != TRIT_DTYPE_U32) ||
	    (last ? t->elements > TRIT_SHARD_TOKENS : t->elements != TRIT_SHARD_TOKENS))
		return fail_shard(err, path, "not a token shard");
	if (loss && (loss->dtype != TRIT_DTYPE_U8 || loss->n_dims != 1 || loss->elements != t->elements)) {
		snprintf(what, sizeof what, "tensor loss is not U8 [%llu]", (unsigned long long)t->elements);
		return fail_shard(err, path, what);
	}
	if (starts && (starts->dtype != TRIT_DTYPE_U32 || starts->n_dims != 1 || starts->elements > t->elements))
		return fail_shard(err, path, "tensor starts is not U32 of one dimension");
	if (!largest)
		return check_elements(t, loss, path, n_vocab, err);
	if (t->elements && (uint64_t)strtoull(largest, NULL, 10) >= (uint64_t)n_vocab) {
		snprintf(what, sizeof what, "token %.20s is not in the vocabulary of %d", largest, n_vocab);
		return fail_shard(err, path, what);
	}
	return TRIT_OK;
}

int trit_shards_open(struct trit_shards *s, const char *dir, const char *name, int n_vocab, struct trit_error *err)
{
	char path[4096];
	int n = 0, e = TRIT_OK;
	*s = (struct trit_shards){ 0 };
	for (; n < TRIT_MAX_SHARDS; n++) {
		shard_path(path, sizeof path, dir, name, n);
		if (trit_path_kind(path) != 0)
			break;
	}
	if (!n)
		return trit_fail(err, TRIT_ERR_IO, "%s: no such file", path);
	s->files = trit_calloc((size_t)n, sizeof *s->files);
	if (!s->files)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to open %d token shards", n);
	while (!e && s->n < n) {
		shard_path(path, sizeof path, dir, name, s->n);
		e = trit_safetensors_open(&s->files[s->n], path, err);
		if (e)
			break;
		s->n++;
		e = check_shard(s, s->n - 1, s->n == n, path, n_vocab, err);
		if (!e) {
			s->n_tokens += tokens_of(s, s->n - 1)->elements;
			s->masked |= loss_of(s, s->n - 1) != NULL;
		}
	}
	if (e)
		trit_shards_close(s);
	return e;
}

void trit_shards_close(struct trit_shards *s)
{
	for (int i = 0; i < s->n; i++)
		trit_safetensors_close(&s->files[i]);
	trit_free(s->files);
	*s = (struct trit_shards){ 0 };
}

void trit_shards_read(const struct trit_shards *s, uint64_t at, size_t n, trit_token *out)
{
	while (n) {
		const struct trit_st_tensor *t = tokens_of(s, (int)(at / TRIT_SHARD_TOKENS));
		uint64_t from = at % TRIT_SHARD_TOKENS, here = t->elements - from;
		if (here > n)
			here = n;
		for (uint64_t i = 0; i < here; i++)
			*out++ = token_at(t, from + i);
		at += here;
		n -= (size_t)here;
	}
}

void trit_shards_read_loss(const struct trit_shards *s, uint64_t at, size_t n, float *out)
{
	for (; n; n--, at++) {
		const struct trit_st_tensor *loss = loss_of(s, (int)(at / TRIT_SHARD_TOKENS));
		*out++ = !loss || loss->data[at % TRIT_SHARD_TOKENS] ? 1.0f : 0.0f;
	}
}

const unsigned char *trit_shards_starts(const struct trit_shards *s, int i, uint64_t *n)
{
	const struct trit_st_tensor *t = starts_of(s, i);
	*n = t ? t->elements : 0;
	return t ? t->data : NULL;
}

uint64_t trit_shards_tokens(const struct trit_shards *s, int i)
{
	return tokens_of(s, i)->elements;
}
