/*
 * spm.h - SentencePiece's byte pair encoding ("llama"): of all neighbours that together are a token, the pair whose
 * token has the highest score merges first, the leftmost among equals.
 *
 * There is no list of merges: any two neighbours whose bytes are a token can merge, whether they are tokens themselves
 * or not. What is no token in the end becomes its bytes, "<0x0A>", or the unknown token. Tokens of type "unused" take
 * part in merging and are taken apart again at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_SPM_H
#define TRIT_TEXT_SPM_H

#include "text/tokenizer.h"

/** Scratch memory for one thread; grows to the longest word met. A zeroed struct is ready. */
struct trit_spm_work {
	struct trit_spm_symbol *symbols; /* [capacity] */
	struct trit_spm_pair *heap;      /* [3 * capacity] */
	size_t capacity;
	uint32_t *splits; /* [V], by unused token: length of its left part when it was last made; NULL without such */
};
void trit_spm_work_release(struct trit_spm_work *w);

/** Encodes a word of a prepared text (text/spm_text), 1 <= len < 2^31, into tokens, which need room for len; *n are
 * written. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_spm_encode(const struct trit_tokenizer *t, struct trit_spm_work *w, size_t len,
                                    const char *text, trit_token *tokens, size_t *n, struct trit_error *err);
/** Appends what is no token: its bytes or, once in a row, the unknown token. Returns the new n. */
size_t trit_spm_put_unknown(const struct trit_tokenizer *t, size_t len, const char *text, trit_token *tokens, size_t n);

#endif
