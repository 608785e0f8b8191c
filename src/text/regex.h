/*
 * regex.h - regular expressions as tokenizers publish them, matched by PCRE2 within bounds.
 *
 * The makers write for Oniguruma (tokenizer.json) or Rust's fancy-regex (tiktoken); both mean other things than PCRE2
 * by some signs, so an expression is translated before it is compiled:
 *
 *     \s \S          Unicode's White_Space; in PCRE2 also U+180E
 *     \w \W          letters, marks, decimal digits and letter-like numbers, connectors; in PCRE2 no marks
 *     \h \H \v       hexadecimal digits; the vertical tab
 *     \uHHHH         a code point
 *     (?m:           "." matches line ends; ^ and $ match at every line
 *     [a[bc]]        one set in another: [abc]
 *
 * What cannot be translated (sets that intersect, && ; {n,m}+ ; other syntax of Oniguruma's own) is an error that names
 * it. Expressions come from files, so matching is bounded in steps and memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_REGEX_H
#define TRIT_TEXT_REGEX_H

#include "base/error.h"

/** White_Space, and what Oniguruma calls a word character, for use inside [ ]. */
#define TRIT_REGEX_SPACE \
	"\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define TRIT_REGEX_WORD \
	"\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}" \
	"\\x{1F170}-\\x{1F189}"

#define TRIT_MAX_REGEX_BYTES (1 << 16)

enum trit_regex_flags {
	TRIT_REGEX_ANCHORED = 1, /* matches at the place given or not at all */
	TRIT_REGEX_BYTES = 2,    /* sees bytes, not characters */
	TRIT_REGEX_TRUSTED = 4,  /* ours: PCRE2's own, wide bounds */
};

struct trit_regex;

/** Immutable, shared by threads. Errors: UNSUPPORTED (no PCRE2; what has no translation), FORMAT (no regular
 * expression), LIMIT (too long), MEMORY. */
TRIT_MUST_CHECK int trit_regex_new(struct trit_regex **out, const char *pattern, unsigned flags,
                                   struct trit_error *err);
void trit_regex_free(struct trit_regex *r);

/** Scratch memory of one thread. */
struct trit_regex_work;
TRIT_MUST_CHECK int trit_regex_work_new(struct trit_regex_work **out, struct trit_error *err);
void trit_regex_work_free(struct trit_regex_work *w);
/** Replaces the bound on the steps of one match; for tests. */
void trit_regex_work_limit(struct trit_regex_work *w, uint32_t steps);

enum trit_regex_result {
	TRIT_REGEX_NONE = 0,
	TRIT_REGEX_FOUND = 1,
	TRIT_REGEX_GAVE_UP = 2, /* a bound was met: nothing is known */
};

/** The first match at or after byte `from` of the text, which is valid UTF-8 (any bytes with TRIT_REGEX_BYTES), in
 * bytes [*begin, *end), from <= *begin <= *end; it may be empty. Returns enum trit_regex_result, or MEMORY. */
TRIT_MUST_CHECK int trit_regex_find(const struct trit_regex *r, struct trit_regex_work *w, size_t len, const char *text,
                                    size_t from, size_t *begin, size_t *end);

#endif
