/*
 * bpe.h - byte pair encoding: merging the tokens of a word, lowest rank first, leftmost first among equals (Sennrich
 * et al. 2016).
 *
 * The same result as scanning the word for the best pair again and again, in O(n log n): short words are scanned, long
 * ones go through a heap of pairs over a linked list of tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_BPE_H
#define TRIT_TEXT_BPE_H

#include "base/error.h"

/** Which pairs merge: a hash table from (left, right) to (rank, result). A zeroed struct is empty. */
struct trit_bpe {
	struct trit_bpe_merge *slots; /* [mask + 1] */
	uint32_t mask;
};

/** Room for n_merges. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_bpe_init(struct trit_bpe *b, int n_merges, struct trit_error *err);
void trit_bpe_release(struct trit_bpe *b);
/** Says that `left` and `right` merge into `result` with this rank. Errors: FORMAT (the pair is there already). */
TRIT_MUST_CHECK int trit_bpe_add(struct trit_bpe *b, int rank, trit_token left, trit_token right, trit_token result,
                                 struct trit_error *err);

/** Scratch memory for one thread; grows to the longest word met. A zeroed struct is ready. */
struct trit_bpe_work {
	uint32_t *next, *previous, *rank; /* [capacity], by position */
	uint64_t *heap;                   /* [3 * capacity] of rank << 32 | position */
	size_t capacity;
};
void trit_bpe_work_release(struct trit_bpe_work *w);

/** Merges tokens[0..n) in place, n < 2^31; *n_out tokens are left. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_bpe_merge(const struct trit_bpe *b, struct trit_bpe_work *w, trit_token *tokens, size_t n,
                                   size_t *n_out, struct trit_error *err);

#endif
