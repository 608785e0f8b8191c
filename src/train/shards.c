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
	*w = (struct trit_shard_writer){ 0 };
}

static int write_shard(struct trit_shard_writer *w, struct trit_error *err)
{
	char path[4096];
	struct trit_st_writer *st;
	bool wide = w->n_vocab > 65536;
	uint64_t shape[1] = { w->held };
	shard_path(path, sizeof path, w->dir, w->name, w->n_shards);
	int e = trit_st_writer_new(&st, path, err);
	if (e)
		return e;
	unsigned char *bytes = (unsigned char *)w->tokens; /* narrowed in place: byte i is never ahead of its source */
	for (size_t i = 0; i < w->held; i++) {
		if (wide)
			trit_put32(bytes + 4 * i, w->tokens[i]);
		else
			trit_put16(bytes + 2 * i, (uint16_t)w->tokens[i]);
	}
	e = trit_st_put_tensor(st, "tokens", wide ? TRIT_DTYPE_U32 : TRIT_DTYPE_U16, 1, shape, err);
	if (!e && w->masked)
		e = trit_st_put_tensor(st, "loss", TRIT_DTYPE_U8, 1, shape, err);
	if (!e && !(e = trit_st_begin(st, err)))
		e = trit_st_write(st, w->held * (wide ? 4 : 2), bytes, err);
	if (!e && w->masked)
		e = trit_st_write(st, w->held, w->loss, err);
	if (!e)
		e = trit_st_commit(st, err);
	trit_st_writer_free(st);
	w->n_shards++;
	w->held = 0;
	w->masked = false;
	return e;
}

int trit_shard_writer_put(struct trit_shard_writer *w, size_t n, const trit_token *tokens, const bool *loss,
                          struct trit_error *err)
{
	for (size_t i = 0; i < n; i++) {
		w->loss[w->held] = !loss || loss[i];
		w->masked |= !w->loss[w->held];
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

static trit_token token_at(const struct trit_st_tensor *t, uint64_t i)
{
	return (trit_token)(t->dtype == TRIT_DTYPE_U16 ? trit_get16(t->data + 2 * i) : trit_get32(t->data + 4 * i));
}

static int check_shard(const struct trit_shards *s, int i, bool last, const char *path, int n_vocab,
                       struct trit_error *err)
{
	const struct trit_st_tensor *t = tokens_of(s, i), *loss = loss_of(s, i);
	if (!t || t->n_dims != 1 || (t->dtype != TRIT_DTYPE_U16 && t->dtype != TRIT_DTYPE_U32) ||
	    (last ? t->elements > TRIT_SHARD_TOKENS : t->elements != TRIT_SHARD_TOKENS))
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: not a token shard; delete the data folder and start again", path);
	for (uint64_t j = 0; j < t->elements; j++)
		if ((uint32_t)token_at(t, j) >= (uint32_t)n_vocab)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "%s: token %llu is not in the vocabulary of %d; delete the data folder and start again",
			                 path, (unsigned long long)j, n_vocab);
	if (loss && (loss->dtype != TRIT_DTYPE_U8 || loss->n_dims != 1 || loss->elements != t->elements))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: tensor loss is not U8 [%llu]; delete the data folder and start again", path,
		                 (unsigned long long)t->elements);
	for (uint64_t j = 0; loss && j < loss->elements; j++)
		if (loss->data[j] > 1)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "%s: tensor loss, element %llu: neither 0 nor 1; delete the data folder and start again",
			                 path, (unsigned long long)j);
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
