/*
 * wordpiece.h - WordPiece ("bert"): words are cut into the longest tokens from left to right (Devlin et al. 2018, as in
 * Hugging Face's BertNormalizer, BertPreTokenizer and WordPiece).
 *
 * Before that control characters go, lower case and accents as the vocabulary says, and the text is cut at white
 * space, round punctuation and round Chinese characters. A word that cannot be made of tokens, or has more than 100
 * characters, is one unknown token. Decoding therefore does not give the text back.
 *
 * Categories of characters, lower case and decompositions are utf8proc's; without it trit_wordpiece_init fails.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_WORDPIECE_H
#define TRIT_TEXT_WORDPIECE_H

#include "text/tokenizer.h"
#include "text/trie.h"

/** Words of more characters are unknown. */
#define TRIT_WORDPIECE_MAX 100

/** Errors: UNSUPPORTED (built without utf8proc), FORMAT (no unknown token), LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_wordpiece_init(struct trit_trie *t, const struct trit_vocab *v, struct trit_error *err);
/** The words of a text into *out, which is emptied first, each followed by a space. Errors: LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_wordpiece_prepare(const struct trit_vocab *v, size_t len, const char *text,
                                           struct trit_buf *out, struct trit_error *err);
/** Encodes a word into tokens, which need room for len; returns how many. */
size_t trit_wordpiece_encode(const struct trit_tokenizer *t, size_t len, const char *word, trit_token *tokens);

#endif
