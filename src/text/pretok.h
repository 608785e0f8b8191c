/*
 * pretok.h - pre-tokenisers: how text is cut into words before byte pairs are merged.
 *
 * A pre-tokeniser is named as GGUF's tokenizer.ggml.pre names it, or spelt out in a tokenizer.json: stages, each a
 * regular expression that cuts every part the stage before it left. Stage zero is ours: text that is not UTF-8 is set
 * aside as pieces of its own, so that the expressions see characters only. Unless a stage removes its matches the
 * pieces in order are the text, byte for byte.
 *
 * "Adding a pre-tokeniser": a row in pretok_names.c, and its strings in tests/reference/make_bpe_golden.py.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_PRETOK_H
#define TRIT_TEXT_PRETOK_H

#include "text/vocab.h"

/** No piece is longer. Words beyond it (a megabyte without a space) are cut here, where other implementations use
 * memory without bound; a cut is between two characters. */
#define TRIT_MAX_WORD_BYTES (1 << 20)

/** What belongs to a name besides its expressions. */
enum trit_pretok_traits {
	TRIT_PRETOK_WHOLE_WORDS = 1, /* a word that is a token is taken as it is, whatever the merges say: ignore_merges */
	TRIT_PRETOK_NFC = 2,         /* the text is normalised to NFC first */
	TRIT_PRETOK_BOS = 4,         /* texts begin with BOS unless the file says otherwise */
};

/** The traits of a name; 0 for one that is unknown. */
unsigned trit_pretok_traits(const char *name);
/** The name that has these stages, and of the traits WHOLE_WORDS and NFC exactly these; NULL when there is none. */
const char *trit_pretok_name(int n, const struct trit_split *splits, unsigned traits);

/** GPT-2's expression, which the tokenizers library's ByteLevel has in it. */
#define TRIT_GPT2_SPLIT \
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/** What the tokenizers library takes for punctuation. */
#define TRIT_PUNCTUATION "[\\p{P}!-/:-@\\[-`{-~]"
/** What it takes for digits once the text is in the alphabet of ByteLevel (text/alphabet.h): also the bytes whose
 * characters are numbers there, like B2, superscript two. */
#define TRIT_DIGIT_BYTES "[0-9\\xb2\\xb3\\xb9\\xbc-\\xbe]"

struct trit_pretok;

/** Compiles the pre-tokeniser of that name; "" means "gpt-2". Immutable, shared by threads. Errors: UNSUPPORTED (an
 * unknown name, or this build has no PCRE2), MEMORY. */
TRIT_MUST_CHECK int trit_pretok_new(struct trit_pretok **out, const char *name, struct trit_error *err);
/** The same of stages of a file's own; n = 0: text is not cut. Errors: as trit_regex_new; LIMIT (more than
 * TRIT_MAX_SPLITS). */
TRIT_MUST_CHECK int trit_pretok_new_custom(struct trit_pretok **out, int n, const struct trit_split *splits,
                                           struct trit_error *err);
void trit_pretok_free(struct trit_pretok *p);

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
