/*
 * encoder.c - text to tokens: special tokens, words, a cache of words, merges.
 *
 * Natural text repeats its words, so most words are answered by the cache: a table of fixed size in which a word has
 * one place, given by its hash, and the last one stays. It holds short words only, one per cache line:
 *
 *     | 24 bytes of word, rest 0 | length | tokens | 2 unused | up to 9 tokens |     64 bytes
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/alphabet.h"
#include "text/tokenizer_parts.h"

#define CACHE_SLOTS (1 << 15) /* 2 MiB */
#define CACHE_BYTES 24
#define CACHE_TOKENS 9

struct slot {
	uint64_t word[CACHE_BYTES / 8];
	uint8_t len; /* 0: empty */
	uint8_t n_tokens;
	trit_token tokens[CACHE_TOKENS];
};

struct trit_encoder {
	const struct trit_tokenizer *tokenizer;
	struct trit_cutter *cutter;
	struct slot *cache;  /* [CACHE_SLOTS] */
	trit_token *tokens;  /* [capacity], of the word at hand */
	size_t capacity;
	struct trit_bpe_work work;
};

/* ---- lists of tokens -------------------------------------------------------------------------------------------- */

void trit_tokens_init(struct trit_tokens *l, size_t max)
{
	*l = (struct trit_tokens){ .max = max };
}

void trit_tokens_release(struct trit_tokens *l)
{
	if (!l)
		return;
	trit_free(l->data);
	*l = (struct trit_tokens){ .max = l->max };
}

static int append(struct trit_tokens *l, size_t n, const trit_token *ids, struct trit_error *err)
{
	if (n > l->max - l->len)
		return trit_fail(err, TRIT_ERR_LIMIT, "more than %zu tokens, which is the limit here", l->max);
	if (n > l->cap - l->len) {
		size_t need = l->len + n, cap = l->cap ? l->cap : 64;
		trit_token *data;

		while (cap < need)
			cap = cap <= SIZE_MAX / 2 ? 2 * cap : need;
		data = trit_realloc(l->data, l->cap * sizeof *data, cap, sizeof *data);
		if (!data)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", cap);
		l->data = data;
		l->cap = cap;
	}
	for (size_t i = 0; i < n; i++)
		l->data[l->len + i] = ids[i];
	l->len += n;
	return 0;
}

int trit_tokens_append(struct trit_tokens *l, trit_token id, struct trit_error *err)
{
	return append(l, 1, &id, err);
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

int trit_encoder_new(struct trit_encoder **out, const struct trit_tokenizer *t, struct trit_error *err)
{
	struct trit_encoder *e = trit_calloc(1, sizeof *e);
	int status;

	if (!e)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an encoder");
	e->tokenizer = t;
	e->capacity = 256;
	e->tokens = trit_calloc(e->capacity, sizeof *e->tokens);
	e->cache = trit_calloc(CACHE_SLOTS, sizeof *e->cache);
	if (e->tokens && e->cache)
		status = trit_cutter_new(&e->cutter, t->pretok, err);
	else
		status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an encoder");
	if (status < 0) {
		trit_encoder_free(e);
		return status;
	}
	*out = e;
	return 0;
}

void trit_encoder_free(struct trit_encoder *e)
{
	if (!e)
		return;
	trit_cutter_free(e->cutter);
	trit_free(e->cache);
	trit_free(e->tokens);
	trit_bpe_work_release(&e->work);
	trit_free(e);
}

/* The place of a word of at most CACHE_BYTES bytes, whose zero-padded bytes go to word. */
static struct slot *cache_slot(const struct trit_encoder *e, size_t len, const char *bytes, uint64_t word[3])
{
	uint64_t h;

	word[0] = word[1] = word[2] = 0;
	memcpy(word, bytes, len);
	h = word[0] * 0x9e3779b97f4a7c15 ^ (word[1] + len) * 0xc2b2ae3d27d4eb4f ^ word[2] * 0x165667b19e3779f9;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	return &e->cache[(h >> 40) % CACHE_SLOTS];
}

/* The token that a whole word is, or -1. */
static trit_token whole_word(const struct trit_tokenizer *t, size_t len, const char *bytes)
{
	char text[TRIT_MAX_TOKEN_BYTES];
	trit_token id;

	if (len > sizeof text / 2)
		return -1; /* its text has up to twice as many bytes */
	id = trit_find_token(t, trit_alphabet_encode(len, bytes, text), text);
	return id >= 0 && t->vocab.pieces[id].type == TRIT_TOKEN_NORMAL ? id : -1;
}

/* A word's tokens into e->tokens. */
static int encode_word(struct trit_encoder *e, size_t len, const char *bytes, size_t *n, struct trit_error *err)
{
	const struct trit_tokenizer *t = e->tokenizer;

	if (t->ignores_merges) {
		e->tokens[0] = whole_word(t, len, bytes);
		if (e->tokens[0] >= 0) {
			*n = 1;
			return 0;
		}
	}
	if (len > e->capacity) {
		size_t capacity = e->capacity;
		trit_token *tokens;

		while (capacity < len)
			capacity *= 2; /* ends: words have at most TRIT_MAX_WORD_BYTES */
		tokens = trit_calloc(capacity, sizeof *tokens);
		if (!tokens)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a word of %zu bytes", len);
		trit_free(e->tokens);
		e->tokens = tokens;
		e->capacity = capacity;
	}
	for (size_t i = 0; i < len; i++)
		e->tokens[i] = t->bytes[(unsigned char)bytes[i]];
	return trit_bpe_merge(&t->bpe, &e->work, e->tokens, len, n, err);
}

static int append_word(struct trit_encoder *e, size_t len, const char *bytes, struct trit_tokens *out,
                       struct trit_error *err)
{
	uint64_t word[CACHE_BYTES / 8];
	struct slot *slot = NULL;
	size_t n;
	int status;

	if (len <= CACHE_BYTES) {
		slot = cache_slot(e, len, bytes, word);
		if (slot->len == len && !memcmp(slot->word, word, sizeof word))
			return append(out, slot->n_tokens, slot->tokens, err);
	}
	status = encode_word(e, len, bytes, &n, err);
	if (status < 0)
		return status;
	if (slot && n <= CACHE_TOKENS) {
		memcpy(slot->word, word, sizeof word);
		slot->len = (uint8_t)len;
		slot->n_tokens = (uint8_t)n;
		memcpy(slot->tokens, e->tokens, n * sizeof *e->tokens);
	}
	return append(out, n, e->tokens, err);
}

/* Text without special tokens. */
static int append_text(struct trit_encoder *e, size_t len, const char *text, struct trit_tokens *out,
                       struct trit_error *err)
{
	const char *word;
	size_t word_len;
	int status;

	if (len == 0)
		return 0;
	trit_cutter_start(e->cutter, len, text);
	while ((status = trit_cutter_next(e->cutter, &word, &word_len, err)) > 0) {
		status = append_word(e, word_len, word, out, err);
		if (status < 0)
			break;
	}
	return status;
}

int trit_encode(struct trit_encoder *e, size_t len, const char *text, unsigned flags, struct trit_tokens *out,
                struct trit_error *err)
{
	const struct trit_tokenizer *t = e->tokenizer;
	const struct trit_special *special = flags & TRIT_TOKENIZE_SPECIAL ? &t->all : &t->user;
	size_t len_before = out->len, from = 0;
	int status = 0;

	if (flags & TRIT_TOKENIZE_BOS && t->vocab.add_bos && t->vocab.bos >= 0)
		status = trit_tokens_append(out, t->vocab.bos, err);
	while (from < len && status == 0) {
		size_t at = len;
		trit_token id = trit_special_find(special, &t->vocab, len, text, from, &at);

		status = append_text(e, at - from, text + from, out, err);
		if (id < 0)
			break;
		if (status == 0)
			status = trit_tokens_append(out, id, err);
		from = at + t->vocab.pieces[id].len;
	}
	if (status < 0)
		out->len = len_before;
	return status;
}
