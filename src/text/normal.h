/*
 * normal.h - normalising a text before it is cut: what the normalizer of a tokenizer.json asks for.
 *
 * Unicode's tables are utf8proc's. Bytes that are not UTF-8 are kept as they are.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_NORMAL_H
#define TRIT_TEXT_NORMAL_H

#include "text/vocab.h"

/** Steps as the tokenizers library has them. */
enum trit_normal_kind {
	TRIT_NORMAL_NFC = 1,
	TRIT_NORMAL_NFD,
	TRIT_NORMAL_NFKC,
	TRIT_NORMAL_NFKD,
	TRIT_NORMAL_LOWERCASE,
	TRIT_NORMAL_STRIP_LEFT,   /* white space at the beginning */
	TRIT_NORMAL_STRIP_RIGHT,
	TRIT_NORMAL_STRIP_ACCENTS, /* all marks; after NFD the accents */
	TRIT_NORMAL_STRIP_NONSPACING, /* marks that take no room only */
	TRIT_NORMAL_NMT,          /* controls removed, unusual white space to a space */
	TRIT_NORMAL_BERT_CLEAN,   /* the same by BERT's rules */
	TRIT_NORMAL_BERT_CHINESE, /* a space on both sides of a Chinese character */
	TRIT_NORMAL_PREPEND,      /* `text` before a text that is not empty */
	TRIT_NORMAL_SPACE,        /* a space before a text that does not begin with one */
	TRIT_NORMAL_SPACE_FIRST,  /* the same, but not after a special token */
	TRIT_NORMAL_CHARSMAP,     /* SentencePiece's rules, the vocabulary's charsmap */
	TRIT_NORMAL_REPLACE,      /* `text` by `with` */
	TRIT_NORMAL_REPLACE_REGEX, /* the matches of `text` by `with` */
};

struct trit_normalizer;

/** The steps of a vocabulary, which must outlive it. Immutable, shared by threads. Without utf8proc NFC is left out
 * with a note. Errors: UNSUPPORTED (no utf8proc for another step that needs it; as trit_regex_new), FORMAT (the
 * charsmap), MEMORY. */
TRIT_MUST_CHECK int trit_normalizer_new(struct trit_normalizer **out, const struct trit_vocab *v, int n,
                                        const struct trit_normal_step *steps, struct trit_error *err);
void trit_normalizer_free(struct trit_normalizer *n);

/** The two texts between which the steps alternate; one thread's. A zeroed struct is ready. */
struct trit_normal_work {
	struct trit_buf a, b;
	struct trit_regex_work *regex;
	int32_t *code_points;
	size_t capacity;
};
void trit_normal_work_release(struct trit_normal_work *w);

/** Normalises; `first` says that the text is not one after a special token. *out is the text itself
 * where nothing changes, else inside the work, until the next call. Errors: LIMIT (the text grows beyond sixteen times
 * its length and a megabyte), MEMORY. */
TRIT_MUST_CHECK int trit_normalize(const struct trit_normalizer *n, struct trit_normal_work *w, bool first, size_t len,
                                   const char *text, size_t *out_len, const char **out, struct trit_error *err);

#endif
