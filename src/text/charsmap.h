/*
 * charsmap.h - SentencePiece's rules of replacement ("precompiled_charsmap"): which beginnings of a text are replaced
 * by which strings before it is cut into tokens (NFKC with exceptions, lower case, ...).
 *
 * The bytes, little-endian:
 *
 *     u32  size of the trie in bytes
 *     u32  units of the trie, a double array (Aoe 1989) in the form of the library darts-clone
 *     ...  strings, each ending with NUL; a value of the trie is the place where its string begins
 *
 * A unit is
 *
 *     31      30..10          9           8      7..0
 *     value?  base            base x 256  ends?  label
 *
 * The root is unit 0. The child by byte c of the node at place p is the unit at p ^ base ^ c if that one's label is c.
 * Where "ends" is set, a rule ends here, and the unit at p ^ base has bit 31 set and its value below.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_CHARSMAP_H
#define TRIT_TEXT_CHARSMAP_H

#include "base/error.h"

/** No rule replaces more bytes than this, or puts more in their place than that; those of SentencePiece's nmt_nfkc
 * replace at most 12 and put at most 33. */
#define TRIT_MAX_RULE_BYTES 64
#define TRIT_MAX_RULE_TEXT 256

/** A zeroed struct has no rules. */
struct trit_charsmap {
	const unsigned char *units; /* [4 * n_units], inside the bytes given */
	uint32_t n_units;
	const char *strings; /* [strings_len], the last byte NUL */
	size_t strings_len;
};

/** Looks over all rules of `bytes`, which must outlive the map. Errors: FORMAT, MEMORY. */
TRIT_MUST_CHECK int trit_charsmap_init(struct trit_charsmap *m, size_t len, const unsigned char *bytes,
                                       struct trit_error *err);
/** The longest beginning of the text that a rule replaces: its length, and by what; 0 where none does. */
size_t trit_charsmap_match(const struct trit_charsmap *m, size_t len, const char *text, const char **by,
                           size_t *by_len);

#endif
