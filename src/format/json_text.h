/*
 * json_text.h - writes JSON into a buffer: indented by two blanks, members in the order given.
 *
 * Errors stick: after the first one nothing more is written, and `status` and *err tell. So a writer is a list of
 * calls, and one look at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_JSON_TEXT_H
#define TRIT_FORMAT_JSON_TEXT_H

#include <stdbool.h>

#include "base/buf.h"

struct trit_json {
	struct trit_buf *out;
	struct trit_error *err;
	int status; /* 0 or the first error */
	int depth;  /* objects and lists open; private, as the next */
	bool first; /* nothing stands in the innermost one yet */
};

/* `key` is the member's name, or NULL inside a list and for the outermost value. */

/** Begins and ends an object or list: '{' with '}', '[' with ']'. */
void trit_json_begin(struct trit_json *j, const char *key, char bracket);
void trit_json_end(struct trit_json *j, char bracket);
/** ARG: a text that is not UTF-8. */
void trit_json_text(struct trit_json *j, const char *key, size_t len, const char *text);
void trit_json_string(struct trit_json *j, const char *key, const char *text);
void trit_json_int(struct trit_json *j, const char *key, int64_t v);
/** The shortest decimal that reads back as this float; always with a point or an exponent. ARG: NaN, infinity. */
void trit_json_float(struct trit_json *j, const char *key, float v);
void trit_json_bool(struct trit_json *j, const char *key, bool v);
void trit_json_null(struct trit_json *j, const char *key);
/** A member whose name is any text, and a number. */
void trit_json_entry(struct trit_json *j, size_t len, const char *key, int64_t v);

/** Appends a text as a JSON string, quotes included. ARG: not UTF-8. */
TRIT_MUST_CHECK int trit_json_quote(struct trit_buf *b, size_t len, const char *text, struct trit_error *err);

#endif
