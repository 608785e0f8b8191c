/*
 * unigram.c - the most probable tokens of a word.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>

#include "base/mem.h"
#include "text/spm.h"
#include "text/tokenizer_parts.h"
#include "text/unigram.h"
#include "text/utf8.h"

#define UNKNOWN_PENALTY 10.0f
#define LOWEST_SUM -1e5f /* below it sums begin again at 0, as in SentencePiece, so that they stay precise */
#define NOWHERE UINT32_MAX

/* The best way to a place in the word: its last token, where that begins, and the sum. */
struct trit_unigram_step {
	float sum;
	uint32_t start; /* NOWHERE: no way here yet; later, where the next token ends */
	trit_token token;
};

int trit_unigram_init(struct trit_unigram *u, const struct trit_vocab *v, struct trit_error *err)
{
	float lowest = FLT_MAX;
	bool some = false;

	u->max_score = FLT_MIN; /* the smallest positive number, as SentencePiece has it; scores are negative */
	for (int i = 0; i < v->n_tokens; i++)
		if (v->pieces[i].type == TRIT_TOKEN_NORMAL) {
			some = true;
			lowest = v->scores[i] < lowest ? v->scores[i] : lowest;
			u->max_score = v->scores[i] > u->max_score ? v->scores[i] : u->max_score;
		}
	if (!some)
		return trit_fail(err, TRIT_ERR_FORMAT, "a unigram vocabulary without a normal token");
	u->unknown_score = lowest - UNKNOWN_PENALTY;
	/* Tokens added in a tokenizer.json are no symbols of the model. */
	return trit_trie_init(&u->trie, v, 1u << TRIT_TOKEN_NORMAL | (v->custom ? 0 : 1u << TRIT_TOKEN_USER), "", err);
}

void trit_unigram_release(struct trit_unigram *u)
{
	if (!u)
		return;
	trit_trie_release(&u->trie);
}

void trit_unigram_work_release(struct trit_unigram_work *w)
{
	if (!w)
		return;
	trit_free(w->best);
	*w = (struct trit_unigram_work){ 0 };
}

static int reserve(struct trit_unigram_work *w, size_t len, struct trit_error *err)
{
	size_t capacity = 1024;

	if (len + 1 > w->capacity) {
		while (capacity < len + 1)
			capacity *= 2;
		trit_free(w->best);
		w->best = trit_calloc(capacity, sizeof *w->best);
		w->capacity = w->best ? capacity : 0;
		if (!w->best)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a word of %zu bytes", len);
	}
	for (size_t i = 0; i <= len; i++)
		w->best[i].start = NOWHERE;
	return 0;
}

/* A token from `start` to the step's place, if that is better than what is known. */
static void offer(struct trit_unigram_step *step, uint32_t start, trit_token token, float sum)
{
	if (step->start == NOWHERE || sum > step->sum)
		*step = (struct trit_unigram_step){ sum, start, token };
}

/* Lifts all sums that are still of use by that of the place i. */
static void lift(const struct trit_tokenizer *t, struct trit_unigram_step *best, size_t len, size_t i)
{
	float sum = best[i].sum;

	for (size_t k = i; k <= len && k <= i + t->longest + 4; k++)
		if (k == i || best[k].start != NOWHERE)
			best[k].sum -= sum;
}

/* All tokens that begin at `start`, whose character has n bytes. */
static void offer_tokens(const struct trit_tokenizer *t, struct trit_unigram_step *best, size_t len, const char *text,
                         uint32_t start, size_t n)
{
	const struct trit_unigram *u = &t->unigram;
	float sum = best[start].sum;
	uint32_t node = TRIT_TRIE_ROOT;
	bool known = false; /* the character is a token */

	for (size_t i = start; i < len;) {
		trit_token id;

		node = trit_trie_next(&u->trie, node, (unsigned char)text[i++]);
		if (node == TRIT_TRIE_NONE)
			break;
		id = trit_trie_token(&u->trie, node);
		if (id >= 0) {
			float score = t->vocab.pieces[id].type == TRIT_TOKEN_USER ? (float)(i - start) * u->max_score - 0.1f
			                                                          : t->vocab.scores[id];

			offer(&best[i], start, id, score + sum);
			known = known || i - start == n;
		}
	}
	if (!known)
		offer(&best[start + n], start, -1, u->unknown_score + sum);
}

/* Turns the links of the best way round: each place's `start` then says where the token that begins there ends. */
static void turn_round(struct trit_unigram_step *best, uint32_t end)
{
	for (uint32_t after = NOWHERE;;) {
		uint32_t start = best[end].start;

		best[end].start = after;
		if (end == 0)
			break;
		after = end;
		end = start;
	}
}

int trit_unigram_encode(const struct trit_tokenizer *t, struct trit_unigram_work *w, size_t len, const char *text,
                        trit_token *tokens, size_t *n_out, struct trit_error *err)
{
	int status = reserve(w, len, err);
	size_t n = 0;

	if (status < 0)
		return status;
	w->best[0].sum = w->sum;
	for (uint32_t i = 0; i < len;) {
		size_t step = trit_utf8_stride(len - i, text + i);

		if (w->best[i].sum < LOWEST_SUM)
			lift(t, w->best, len, i);
		offer_tokens(t, w->best, len, text, i, step);
		i += (uint32_t)step;
	}
	w->sum = w->best[len].sum;
	turn_round(w->best, (uint32_t)len);
	for (uint32_t i = 0, end; (end = w->best[i].start) != NOWHERE; i = end) {
		if (w->best[end].token >= 0)
			tokens[n++] = w->best[end].token;
		else
			n = trit_spm_put_unknown(t, end - i, text + i, tokens, n);
	}
	*n_out = n;
	return 0;
}
