/*
 * pretok.h - pre-tokenisers: how text is cut into words before byte pairs are merged.
 *
 * A pre-tokeniser is named as GGUF's tokenizer.ggml.pre names it and is one or more stages, each a regular expression
 * that cuts every part the stage before it left. Stage zero is ours: text that is not UTF-8 is set aside as pieces of
 * its own, so that the expressions see characters only. The pieces in order are the text, byte for byte.
 *
 * "Adding a pre-tokeniser": a row in pretok.c, and its strings in tests/reference/make_tokenizer_golden.py.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_PRETOK_H
#define TRIT_TEXT_PRETOK_H

#include <stdbool.h>

#include "base/error.h"

/** No piece is longer. Words beyond it (a megabyte without a space) are cut here, where other implementations use
 * memory without bound; a cut is between two characters. */
#define TRIT_MAX_WORD_BYTES (1 << 20)

struct trit_pretok;

/** Compiles the pre-tokeniser of that name; "" means "gpt-2". Immutable, shared by threads. Errors: UNSUPPORTED (an
 * unknown name, or this build has no PCRE2), MEMORY. */
TRIT_MUST_CHECK int trit_pretok_new(struct trit_pretok **out, const char *name, struct trit_error *err);
void trit_pretok_free(struct trit_pretok *p);
/** True where the makers take a word that is a token as it is, whatever the merges say (Llama 3's family). */
bool trit_pretok_ignores_merges(const struct trit_pretok *p);

/** One thread's walk over a text. */
struct trit_cutter;

TRIT_MUST_CHECK int trit_cutter_new(struct trit_cutter **out, const struct trit_pretok *p, struct trit_error *err);
void trit_cutter_free(struct trit_cutter *c);
/** Begins a text, which must stay where it is until the last piece. */
void trit_cutter_start(struct trit_cutter *c, size_t len, const char *text);
/** The next piece, inside the text: 1, or 0 at the end. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_cutter_next(struct trit_cutter *c, const char **piece, size_t *len, struct trit_error *err);
/** Bounds the work of one match of an expression, as PCRE2 counts it; where the bound is met the text is left whole.
 * For tests: with PCRE2's own default no pre-tokeniser of the table gets there. */
void trit_cutter_limit(struct trit_cutter *c, uint32_t match_limit);

#endif
