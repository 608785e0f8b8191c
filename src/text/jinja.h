/*
 * jinja.h - templates in the part of Jinja that published chat templates use, with transformers' settings: blocks take
 * their line with them (trim_blocks, lstrip_blocks), break and continue work, {% generation %} is ignored.
 *
 * A template comes from a file and may be hostile: it is parsed and run within bounds (size, nesting, steps, memory,
 * output), and passing one is a LIMIT error that names it. Errors say line and column of the template.
 *
 *     jinja_lex.c        the source as tokens           jinja_eval.c     expressions
 *     jinja_parse.c      expressions as a tree          jinja_run.c      statements, macros, scopes
 *     jinja_statement.c  statements as a tree           jinja_filter.c   filters      jinja_test.c    tests
 *     value.c            values, heap, bounds           jinja_method.c   methods      jinja_string.c  those of strings
 *     value_text.c       values as text
 *
 * Not there: inheritance, includes and imports, recursive loops, autoescaping, and what Python has beyond all this.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_JINJA_H
#define TRIT_TEXT_JINJA_H

#include "text/value.h"

#define TRIT_JINJA_MAX_SOURCE ((size_t)512 << 10)
#define TRIT_JINJA_MAX_MEMORY ((size_t)256 << 20) /* of one rendering, inputs included */
#define TRIT_JINJA_MAX_OUTPUT ((size_t)32 << 20)
#define TRIT_JINJA_MAX_STEPS 10000000             /* about a second */
#define TRIT_JINJA_MAX_RANGE 100000               /* numbers of a range(), as in Jinja's sandbox */

struct trit_jinja;

/** Parses a template; the source is copied. Immutable and shared by threads.
 * Errors: FORMAT, LIMIT (line, column, what is wrong there), UNSUPPORTED (a statement that is not there), MEMORY. */
TRIT_MUST_CHECK int trit_jinja_new(struct trit_jinja **out, size_t len, const char *source, struct trit_error *err);
void trit_jinja_free(struct trit_jinja *t);

/** Renders a template with the members of the dict `variables`, whose values live in h; what comes out does too.
 * `now`: seconds since 1970, for strftime_now. Errors: FORMAT (the template does what it must not: line, column, what),
 * ARG (it says by raise_exception that it does not want these messages), LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_jinja_render(const struct trit_jinja *t, struct trit_heap *h, struct trit_value variables,
                                      int64_t now, struct trit_string *out, struct trit_error *err);

#endif
