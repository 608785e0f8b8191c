/*
 * unigram.h - SentencePiece's unigram model ("t5"): the tokens whose scores, logarithms of probabilities, have the
 * greatest sum (Kudo 2018), found by Viterbi's algorithm.
 *
 * A character that is no token by itself may be unknown, at the lowest score of all tokens less 10. User-defined
 * symbols weigh next to nothing, so that they are nearly always taken. Sums are kept in single precision and
 * rounded as SentencePiece (0.2.3) does: among tokenizations of all but the same probability its choice is the
 * rounding's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_UNIGRAM_H
#define TRIT_TEXT_UNIGRAM_H

#include "text/tokenizer.h"
#include "text/trie.h"

struct trit_unigram {
	struct trit_trie trie;
	float unknown_score, max_score;
};

/** Errors: FORMAT (no normal token), LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_unigram_init(struct trit_unigram *u, const struct trit_vocab *v, struct trit_error *err);
void trit_unigram_release(struct trit_unigram *u);

/** Scratch memory for one thread, and the sum so far. A zeroed struct is ready. */
struct trit_unigram_work {
	struct trit_unigram_step *best; /* [capacity] */
	size_t capacity;
	float sum; /* set to 0 at the beginning of a text; goes on from word to word */
};
void trit_unigram_work_release(struct trit_unigram_work *w);

/** Encodes a word of a prepared text (trit_spm_span), 1 <= len < 2^31, into tokens, which need room for len; *n are
 * written. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_unigram_encode(const struct trit_tokenizer *t, struct trit_unigram_work *w, size_t len,
                                        const char *text, trit_token *tokens, size_t *n, struct trit_error *err);

#endif
