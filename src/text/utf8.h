/*
 * utf8.h - UTF-8: which bytes are a character, and cutting a stream of bytes into whole characters.
 *
 * Valid means Unicode's table 3-7 (also RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_UTF8_H
#define TRIT_TEXT_UTF8_H

#include <stdbool.h>

#include "base/error.h"

/**
 * Looks at the character that begins at bytes[0]; len >= 1. Positive: its length, 1..4. Zero: all len bytes (1..3) are
 * the beginning of a character that is not finished. Negative, -n: the first n bytes (1..3) cannot be part of any
 * character; n is as large as Unicode wants one U+FFFD to stand for (section 3.9, "maximal subpart").
 */
int trit_utf8_check(size_t len, const char *bytes);
/** Length of the character at bytes[0] as its first byte alone says, at most len; 1 for a byte that begins none. How
 * SentencePiece walks over text and over tokens. len >= 1. */
static inline size_t trit_utf8_stride(size_t len, const char *bytes)
{
	unsigned char c = (unsigned char)bytes[0];
	size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return n < len ? n : len;
}
/** Length of the longest beginning of `bytes` that is valid UTF-8. */
size_t trit_utf8_valid(size_t len, const char *bytes);
/** Length of the longest beginning in which no valid character begins; an unfinished character at the end counts as
 * invalid. Looks no further than to the first boundary at or after `limit` bytes (limit >= 1). */
size_t trit_utf8_invalid(size_t len, const char *bytes, size_t limit);
/** That a text is valid UTF-8 without NUL. Errors: FORMAT (its name, the byte, the remedy). */
TRIT_MUST_CHECK int trit_utf8_require(const char *name, size_t len, const char *text, struct trit_error *err);
/** Writes a code point below U+0800 in UTF-8; returns how many bytes, 1 or 2. */
size_t trit_utf8_put(unsigned code_point, char *out);

/** Streaming detokenisation: holds back the bytes of an unfinished character. A zeroed struct is ready. */
struct trit_utf8_stream {
	unsigned char held[4];
	int n_held;     /* 0..3 */
	bool each_byte; /* U+FFFD stands for one byte; otherwise for as many as Unicode wants it for */
};

/** Feeds len bytes; writes complete characters (and, as U+FFFD, what cannot become one) to out, which needs room for
 * 3 * (len + 4) bytes. Returns how many were written. */
size_t trit_utf8_stream_feed(struct trit_utf8_stream *s, size_t len, const char *bytes, char *out);
/** What is still held, as U+FFFD; at the end of the text. out: 12 bytes. */
size_t trit_utf8_stream_end(struct trit_utf8_stream *s, char *out);

#endif
