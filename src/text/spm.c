/*
 * spm.c - SentencePiece's byte pair encoding of a word, in O(n log n).
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "base/num.h"
#include "text/spm.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

#define NOWHERE UINT32_MAX

/* A character, or characters merged; a list through the word. */
struct trit_spm_symbol {
	uint32_t start, len; /* bytes of the word; len 0: merged into another */
	uint32_t previous, next;
};

/* A possible merge of the symbol `left` and the next one. */
struct trit_spm_pair {
	uint64_t order; /* the smallest goes first: score, downwards | left */
	uint32_t len;   /* of both; a pair is outdated when its symbols no longer have that */
	trit_token token;
};

void trit_spm_work_release(struct trit_spm_work *w)
{
	if (!w)
		return;
	trit_free(w->symbols);
	trit_free(w->heap);
	trit_free(w->splits);
	*w = (struct trit_spm_work){ 0 };
}

/* Room for a word of len bytes. Of the pairs there are at most three for each symbol: one at first, and two for each
 * merge. */
static int reserve(const struct trit_tokenizer *t, struct trit_spm_work *w, size_t len, struct trit_error *err)
{
	size_t capacity = 1024;

	if (len > w->capacity) {
		while (capacity < len)
			capacity *= 2;
		trit_free(w->symbols);
		trit_free(w->heap);
		w->capacity = 0;
		w->symbols = trit_calloc(capacity, sizeof *w->symbols);
		w->heap = trit_calloc(capacity, 3 * sizeof *w->heap);
		if (!w->symbols || !w->heap)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a word of %zu bytes", len);
		w->capacity = capacity;
	}
	if (t->has_unused && !w->splits) {
		w->splits = trit_calloc((size_t)t->vocab.n_tokens, sizeof *w->splits);
		if (!w->splits)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d tokens", t->vocab.n_tokens);
	}
	return 0;
}

/* The token with these bytes that text can become, or -1. */
static trit_token find(const struct trit_tokenizer *t, size_t len, const char *text)
{
	trit_token id = len <= t->longest ? trit_find_token(t, len, text) : -1;

	return id >= 0 && TRIT_TEXT_TYPES >> t->vocab.pieces[id].type & 1 ? id : -1;
}

/* Scores in an order of integers, the highest first. */
static uint32_t rank(float score)
{
	uint32_t bits = trit_f32_bits(score + 0.0f); /* -0 is 0 */

	return bits >> 31 ? bits : INT32_MAX - bits;
}

static void sift_up(struct trit_spm_pair *heap, size_t i)
{
	struct trit_spm_pair x = heap[i];

	for (; i > 0 && heap[(i - 1) / 2].order > x.order; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = x;
}

static void sift_down(struct trit_spm_pair *heap, size_t n)
{
	struct trit_spm_pair x = heap[0];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && heap[child + 1].order < heap[child].order)
			child++;
		if (heap[child].order >= x.order)
			break;
		heap[i] = heap[child];
	}
	heap[i] = x;
}

/* Puts the pair that begins at symbol `left` on the heap, if it is a token. Returns the heap's new size. */
static size_t push_pair(const struct trit_tokenizer *t, const struct trit_spm_work *w, const char *text, uint32_t left,
                        size_t size)
{
	const struct trit_spm_symbol *a = &w->symbols[left];
	uint32_t len;
	trit_token id;

	if (a->next == NOWHERE)
		return size;
	len = a->len + w->symbols[a->next].len;
	id = find(t, len, text + a->start);
	if (id < 0)
		return size;
	w->heap[size] = (struct trit_spm_pair){ (uint64_t)rank(t->vocab.scores[id]) << 32 | left, len, id };
	sift_up(w->heap, size);
	if (t->vocab.pieces[id].type == TRIT_TOKEN_UNUSED)
		w->splits[id] = a->len;
	return size + 1;
}

/* Symbols of the word's characters; returns how many. */
static uint32_t cut(struct trit_spm_work *w, size_t len, const char *text)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < len; n++) {
		uint32_t step = (uint32_t)trit_utf8_stride(len - i, text + i);

		w->symbols[n] = (struct trit_spm_symbol){ i, step, n ? n - 1 : NOWHERE, n + 1 };
		i += step;
	}
	w->symbols[n - 1].next = NOWHERE;
	return n;
}

/* A pair whose right symbol was merged into another has become longer at its left one, or lost it: symbols only grow.
 * So its length tells whether it is outdated. */
static void merge(const struct trit_tokenizer *t, const struct trit_spm_work *w, const char *text, uint32_t n)
{
	struct trit_spm_symbol *s = w->symbols;
	size_t size = 0;

	for (uint32_t i = 0; i + 1 < n; i++)
		size = push_pair(t, w, text, i, size);
	while (size > 0) {
		struct trit_spm_pair top = w->heap[0];
		uint32_t left = (uint32_t)top.order, right = s[left].next;

		w->heap[0] = w->heap[--size];
		sift_down(w->heap, size);
		if (s[left].len == 0 || right == NOWHERE || s[left].len + s[right].len != top.len)
			continue;
		s[left].len = top.len;
		s[left].next = s[right].next;
		s[right].len = 0;
		if (s[left].next != NOWHERE)
			s[s[left].next].previous = left;
		if (s[left].previous != NOWHERE)
			size = push_pair(t, w, text, s[left].previous, size);
		size = push_pair(t, w, text, left, size);
	}
}

size_t trit_spm_put_unknown(const struct trit_tokenizer *t, size_t len, const char *text, trit_token *tokens, size_t n)
{
	if (!t->byte_fallback) {
		if (n == 0 || tokens[n - 1] != t->vocab.unk)
			tokens[n++] = t->vocab.unk;
		return n;
	}
	for (size_t i = 0; i < len; i++)
		tokens[n++] = t->bytes[(unsigned char)text[i]];
	return n;
}

/* Appends the token that a symbol is, or the parts an unused token was made of, from left to right; what is still to be
 * done lies on a stack of ends, each part reaching to the end below it. */
static size_t put_symbol(const struct trit_tokenizer *t, const struct trit_spm_work *w, size_t len, const char *text,
                         trit_token *tokens, size_t n)
{
	uint16_t ends[TRIT_MAX_TOKEN_BYTES];
	size_t depth = 1, at = 0;

	if (len > t->longest || !w->splits) {
		trit_token id = find(t, len, text);

		if (id < 0)
			return trit_spm_put_unknown(t, len, text, tokens, n);
		tokens[n++] = id;
		return n;
	}
	ends[0] = (uint16_t)len;
	while (depth > 0) {
		size_t part = ends[depth - 1] - at;
		trit_token id = find(t, part, text + at);
		bool unused = id >= 0 && t->vocab.pieces[id].type == TRIT_TOKEN_UNUSED;

		if (unused && w->splits[id] > 0 && w->splits[id] < part) {
			ends[depth] = (uint16_t)(at + w->splits[id]); /* each is shorter: never more than len ends */
			depth++;
			continue;
		}
		if (id < 0)
			n = trit_spm_put_unknown(t, part, text + at, tokens, n);
		else
			tokens[n++] = id;
		at += part;
		depth--;
	}
	return n;
}

int trit_spm_encode(const struct trit_tokenizer *t, struct trit_spm_work *w, size_t len, const char *text,
                    trit_token *tokens, size_t *n_out, struct trit_error *err)
{
	int status = reserve(t, w, len, err);
	size_t n = 0;

	if (status < 0)
		return status;
	merge(t, w, text, cut(w, len, text));
	for (uint32_t i = 0; i != NOWHERE; i = w->symbols[i].next)
		n = put_symbol(t, w, w->symbols[i].len, text + w->symbols[i].start, tokens, n);
	*n_out = n;
	return 0;
}
