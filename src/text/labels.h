/*
 * labels.h - what a classifier has beside its network: the names of its labels, and how a text is put to it.
 *
 * A text is put to the network as it is, or within a template, "Review: {text}\nSentiment:". What is too long is cut at
 * the end of the text, never in the template: so training and prediction see the same tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_LABELS_H
#define TRIT_TEXT_LABELS_H

#include "text/tokenizer.h"

#define TRIT_MAX_LABELS 4096
#define TRIT_MAX_LABEL_BYTES 256
#define TRIT_LABEL_PLACE "{text}"

/** Zeroed: none. */
struct trit_labels {
	int n;
	char **names;   /* [n], each another */
	char *template; /* with {text} once; NULL: the text alone */
	int max_tokens; /* that it was trained to read; 0: it is not known */
};

void trit_labels_release(struct trit_labels *l);
/** Adds a name. Errors: ARG (empty, too long, there already), LIMIT (more than TRIT_MAX_LABELS), MEMORY. */
TRIT_MUST_CHECK int trit_labels_add(struct trit_labels *l, size_t len, const char *name, struct trit_error *err);
/** Errors: ARG (no {text} in it, or more than one), MEMORY. */
TRIT_MUST_CHECK int trit_labels_set_template(struct trit_labels *l, size_t len, const char *text,
                                             struct trit_error *err);
/** The place of a name; -1: there is none such. */
int trit_labels_find(const struct trit_labels *l, size_t len, const char *name);
/** Puts names in order: numbers by value before others, those by their bytes. */
void trit_labels_sort(struct trit_labels *l);

/** Appends the tokens of a text, at most max_tokens: the template's with BOS and EOS as the vocabulary asks for them,
 * and of the text as much as there is room for; *cut: not all. The template's control tokens are such, the text's are
 * text. Errors: ARG (the template alone is longer), LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_labels_encode(const struct trit_labels *l, struct trit_encoder *encoder, size_t len,
                                       const char *text, size_t max_tokens, struct trit_tokens *out, bool *cut,
                                       struct trit_error *err);

#endif
