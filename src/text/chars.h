/*
 * chars.h - characters of a text, and what kind they are.
 *
 * Categories are utf8proc's. Without it letters beyond ASCII are not told from other signs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_CHARS_H
#define TRIT_TEXT_CHARS_H

#include <stdbool.h>

#include "base/error.h"

/** The character at bytes[0], len >= 1; -1 where none is. */
int32_t trit_utf8_get(size_t len, const char *bytes);
/** The same; *n is its length, 1 where none is. */
int32_t trit_utf8_next(size_t len, const char *bytes, size_t *n);

/** Unicode's White_Space. */
bool trit_is_space(int32_t c);
/** Of the blocks of Chinese characters, of which BERT's tokenizers make a word each. */
bool trit_is_chinese(int32_t c);
/** A letter, a mark, a decimal digit, a connector: what \w stands for. */
bool trit_is_word_character(int32_t c);

/** How many bytes of white space the text begins with. */
size_t trit_space_at_begin(size_t len, const char *text);
/** Where the white space begins that the text ends with; len when there is none. */
size_t trit_space_at_end(size_t len, const char *text);

#endif
