/*
 * spm_text.h - how SentencePiece prepares a text, and where the prepared text may be cut.
 *
 * Preparing replaces characters (text/charsmap), puts U+2581 for a space, one more before the text (so that a word is
 * spelt the same at the beginning of a text), and what is not UTF-8 becomes U+FFFD, one for each byte. User-defined
 * symbols within the text stay as they are.
 *
 * SentencePiece then takes the text as one word. Where no token has two characters side by side, no token crosses from
 * one to the other, so that the text can be cut there: the same tokens, from short words.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_SPM_TEXT_H
#define TRIT_TEXT_SPM_TEXT_H

#include "text/charsmap.h"
#include "text/special.h"

#define TRIT_SPM_SPACE "\xe2\x96\x81" /* U+2581 */

struct trit_spm_text {
	const struct trit_vocab *vocab;
	struct trit_special user; /* symbols within the text; empty unless vocab->inline_user */
	struct trit_charsmap charsmap;
	uint64_t *pairs; /* bits, by a hash of two characters: some token has them side by side (or others of that hash) */
};

/** `vocab` must outlive it. Errors: FORMAT (the map of characters), MEMORY. */
TRIT_MUST_CHECK int trit_spm_text_init(struct trit_spm_text *t, const struct trit_vocab *vocab, struct trit_error *err);
void trit_spm_text_release(struct trit_spm_text *t);
/** Prepares `text` into *out, which is emptied first. Errors: LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_spm_prepare(const struct trit_spm_text *t, size_t len, const char *text, struct trit_buf *out,
                                     struct trit_error *err);
/** The next word of a prepared text, len >= 1: its length. A symbol that stands at its beginning is a word of its own,
 * and *symbol that token, else -1. */
size_t trit_spm_word(const struct trit_spm_text *t, size_t len, const char *text, trit_token *symbol);
/** The same, but symbols are like other tokens: unigram weighs them by their score. */
size_t trit_spm_span(const struct trit_spm_text *t, size_t len, const char *text);

#endif
