/*
 * word_count.h - how often each word occurs: the first half of learning a vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_WORD_COUNT_H
#define TRIT_TEXT_WORD_COUNT_H

#include "base/error.h"

struct trit_word {
	uint64_t count;
	uint32_t start; /* of its bytes in trit_word_count.bytes */
	uint32_t len;
};

/** A zeroed struct but for the two maxima is ready. */
struct trit_word_count {
	size_t max_words, max_bytes; /* max_bytes < 2^32 */
	struct trit_word *words;     /* [n] */
	size_t n, words_capacity;
	char *bytes;                 /* of all words */
	size_t n_bytes, bytes_capacity;
	uint32_t *table;             /* hash table of word + 1, 0 where empty; mask + 1 slots, at least half empty */
	size_t mask;
};

void trit_word_count_release(struct trit_word_count *c);
/** Counts a word once more. When a maximum is met, the rarest words are forgotten until half of it is free. Errors:
 * MEMORY. */
TRIT_MUST_CHECK int trit_word_count_add(struct trit_word_count *c, size_t len, const char *word,
                                        struct trit_error *err);

/** Adds all words of `from`, which is empty afterwards. Words are forgotten only at the end, so that the result does
 * not depend on how the words of several such calls were shared among their `from`. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_word_count_merge(struct trit_word_count *c, struct trit_word_count *from,
                                          struct trit_error *err);

#endif
