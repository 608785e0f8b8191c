/*
 * special.h - finding the texts of special tokens ("<|endoftext|>") in a text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_SPECIAL_H
#define TRIT_TEXT_SPECIAL_H

#include "text/vocab.h"

/** A set of tokens to look for. A zeroed struct is an empty set. Immutable once made. */
struct trit_special {
	trit_token *ids;     /* [n], sorted by the bytes of their texts */
	uint32_t n;
	uint32_t first[257]; /* those whose text begins with byte c: ids[first[c]] up to ids[first[c + 1]] */
};

/** Collects the tokens of v whose type has its bit (1 << type) in `types`; empty texts are left out. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_special_init(struct trit_special *s, const struct trit_vocab *v, unsigned types,
                                      struct trit_error *err);
void trit_special_release(struct trit_special *s);
/** The longest of the texts that the text, len >= 1, begins with: the token, or -1. */
trit_token trit_special_match(const struct trit_special *s, const struct trit_vocab *v, size_t len, const char *text);
/** Whether token p, whose text stands at byte *at, may be taken there after what was taken up to `from`: with the white
 * space that its flags ask for it covers [*at, *end). */
bool trit_special_fits(const struct trit_piece *p, size_t len, const char *text, size_t from, size_t *at, size_t *end);
/** The first place at or after `from` where one of the texts stands, and the longest that does: returns the token, or
 * -1 (then *at and *end are len). It covers bytes [*at, *end), the white space included that its flags (enum
 * trit_piece_flags) ask for. */
trit_token trit_special_find(const struct trit_special *s, const struct trit_vocab *v, size_t len, const char *text,
                             size_t from, size_t *at, size_t *end);

#endif
