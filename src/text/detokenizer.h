/*
 * detokenizer.h - tokens back to text, one after the other: the text is given out as soon as it is known, in whole
 * characters.
 *
 * What a token says by itself is trit_decode_token's. Two things depend on what came before: a text of SentencePiece
 * begins with a space that is not the text's own, and bytes may be parts of a character. Bytes that cannot become one
 * are U+FFFD - one for as many as Unicode wants one for, but in SentencePiece one for each byte.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_DETOKENIZER_H
#define TRIT_TEXT_DETOKENIZER_H

#include "text/tokenizer.h"

struct trit_detokenizer {
	const struct trit_tokenizer *tokenizer;
	struct trit_utf8_stream utf8;
	bool at_start; /* nothing was given out yet */
};

/** at_start: the tokens are a text from its beginning on, not the continuation of another. */
void trit_detokenizer_init(struct trit_detokenizer *d, const struct trit_tokenizer *t, bool at_start);
/** What a token adds to the text. out: room for 3 * (bytes of the token + 4); returns how many were written. */
size_t trit_detokenizer_feed(struct trit_detokenizer *d, trit_token id, char *out);
/** What is still held, as U+FFFD; at the end of the text. out: 12 bytes. The next text may begin. */
size_t trit_detokenizer_end(struct trit_detokenizer *d, char *out);
/** The bytes of a feed that are enough for any token of t. */
size_t trit_detokenizer_room(const struct trit_tokenizer *t);

#endif
