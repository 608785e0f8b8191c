/*
 * vocab.c - storage of a vocabulary: all texts in one block that never moves, so pieces can point into it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/vocab.h"

void trit_vocab_release(struct trit_vocab *v)
{
	if (!v)
		return;
	trit_free(v->pieces);
	trit_free(v->scores);
	trit_free(v->merges);
	trit_free(v->charsmap);
	trit_free(v->normal);
	trit_free(v->splits);
	for (int i = 0; i < v->n_owned; i++)
		trit_free(v->owned[i]);
	trit_free(v->owned);
	trit_free(v->chat_template);
	trit_buf_release(&v->bytes);
	*v = (struct trit_vocab){ 0 };
}

/* Copies a name into a fixed array; false when it does not fit. */
static bool copy_name(size_t size, char *to, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

int trit_vocab_init(struct trit_vocab *v, const char *model, const char *pre, size_t n_tokens, size_t n_merges,
                    size_t text_bytes, struct trit_error *err)
{
	struct trit_vocab made = { .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1,
		                    .sep = -1, .cls = -1, .mask = -1 };
	size_t storage;

	if (!copy_name(sizeof made.model, made.model, model) || !copy_name(sizeof made.pre, made.pre, pre))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "tokenizer model \"%.40s\", pre-tokenizer \"%.40s\": unknown", model, pre);
	if (n_tokens == 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "a vocabulary without tokens");
	if (n_tokens > TRIT_MAX_VOCAB || n_merges > TRIT_MAX_VOCAB)
		return trit_fail(err, TRIT_ERR_LIMIT,
		                 "a vocabulary of %zu tokens and %zu merges; the limit is %d of each", n_tokens,
		                 n_merges, TRIT_MAX_VOCAB);
	made.n_tokens = (int)n_tokens;
	made.n_merges = (int)n_merges;
	made.pieces = trit_calloc(n_tokens, sizeof *made.pieces);
	made.merges = trit_calloc(n_merges, sizeof *made.merges);
	made.bytes.data = trit_add_size(&storage, text_bytes, 1) ? trit_calloc(storage, 1) : NULL;
	if (!made.pieces || !made.merges || !made.bytes.data) {
		trit_vocab_release(&made);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a vocabulary of %zu tokens", n_tokens);
	}
	made.bytes.cap = storage;
	made.bytes.max = text_bytes;
	*v = made;
	return 0;
}

/* Stores a text; `what` and index name it in an error. */
static int store(struct trit_vocab *v, struct trit_piece *piece, size_t len, const char *text, const char *what,
                 size_t index, struct trit_error *err)
{
	struct trit_buf *b = &v->bytes;

	if (len > b->max - b->len)
		return trit_fail(err, TRIT_ERR_LIMIT,
		                 "%s %zu: %zu bytes, but the vocabulary has room for only %zu more", what, index, len,
		                 b->max - b->len);
	if (len > 0)
		memcpy(b->data + b->len, text, len);
	piece->text = b->data + b->len;
	piece->len = (uint32_t)len;
	b->len += len;
	return 0;
}

int trit_vocab_set_piece(struct trit_vocab *v, size_t id, size_t len, const char *text, enum trit_token_type type,
                         struct trit_error *err)
{
	int status;

	if (id >= (size_t)v->n_tokens)
		return trit_fail(err, TRIT_ERR_ARG, "token %zu of a vocabulary of %d", id, v->n_tokens);
	if (type < TRIT_TOKEN_NORMAL || type > TRIT_TOKEN_BYTE)
		return trit_fail(err, TRIT_ERR_FORMAT, "token %zu has type %d; types are %d to %d", id, (int)type,
		                 TRIT_TOKEN_NORMAL, TRIT_TOKEN_BYTE);
	if (len > TRIT_MAX_TOKEN_BYTES)
		return trit_fail(err, TRIT_ERR_LIMIT, "token %zu has %zu bytes; the limit is %d", id, len,
		                 TRIT_MAX_TOKEN_BYTES);
	status = store(v, &v->pieces[id], len, text, "token", id, err);
	if (status == 0)
		v->pieces[id].type = (uint8_t)type;
	return status;
}

int trit_vocab_set_merge(struct trit_vocab *v, size_t rank, size_t len, const char *text, struct trit_error *err)
{
	if (rank >= (size_t)v->n_merges)
		return trit_fail(err, TRIT_ERR_ARG, "merge %zu of a vocabulary with %d", rank, v->n_merges);
	if (len > 2 * TRIT_MAX_TOKEN_BYTES + 1)
		return trit_fail(err, TRIT_ERR_LIMIT, "merge %zu has %zu bytes; the limit is %d", rank, len,
		                 2 * TRIT_MAX_TOKEN_BYTES + 1);
	return store(v, &v->merges[rank], len, text, "merge", rank, err);
}

#define MAX_OWNED (TRIT_MAX_SPLITS + 2 * TRIT_MAX_NORMAL_STEPS)

/* A copy of `text` that lives as long as the vocabulary; NULL of NULL. */
static int own(struct trit_vocab *v, const char *text, const char **copy, struct trit_error *err)
{
	*copy = NULL;
	if (!text)
		return 0;
	if (!v->owned)
		v->owned = trit_calloc(MAX_OWNED, sizeof *v->owned);
	if (v->owned)
		*copy = v->owned[v->n_owned] = trit_strndup(text, strlen(text));
	if (!*copy)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");
	v->n_owned++;
	return 0;
}

int trit_vocab_add_normal(struct trit_vocab *v, unsigned kind, const char *text, const char *with,
                          struct trit_error *err)
{
	struct trit_normal_step step = { .kind = (uint8_t)kind };
	int status;

	if (v->n_normal == TRIT_MAX_NORMAL_STEPS)
		return trit_fail(err, TRIT_ERR_LIMIT, "a normalizer of more than %d steps", TRIT_MAX_NORMAL_STEPS);
	if (!v->normal)
		v->normal = trit_calloc(TRIT_MAX_NORMAL_STEPS, sizeof *v->normal);
	if (!v->normal)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");
	status = own(v, text, &step.text, err);
	if (status == 0)
		status = own(v, with, &step.with, err);
	if (status == 0)
		v->normal[v->n_normal++] = step;
	return status;
}

int trit_vocab_add_split(struct trit_vocab *v, const struct trit_split *split, struct trit_error *err)
{
	struct trit_split copy = *split;
	int status;

	if (v->n_splits == TRIT_MAX_SPLITS)
		return trit_fail(err, TRIT_ERR_LIMIT, "a pre-tokenizer of more than %d stages", TRIT_MAX_SPLITS);
	if (!v->splits)
		v->splits = trit_calloc(TRIT_MAX_SPLITS, sizeof *v->splits);
	if (!v->splits)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");
	status = own(v, split->pattern, &copy.pattern, err);
	if (status == 0)
		v->splits[v->n_splits++] = copy;
	return status;
}

int trit_vocab_difference(const struct trit_vocab *a, const struct trit_vocab *b)
{
	for (int i = 0; i < a->n_tokens && i < b->n_tokens; i++)
		if (a->pieces[i].len != b->pieces[i].len || memcmp(a->pieces[i].text, b->pieces[i].text, a->pieces[i].len))
			return i;
	return -1;
}
