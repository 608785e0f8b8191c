/*
 * label_words.h - label words: a vocabulary's head as a head of labels.
 *
 * A language model that reads "great fun\nSentiment:" says what it thinks of it by the logits of " positive" and
 * " negative". The rows of its head of each word's first token are a head of labels that gives these logits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_LABEL_WORDS_H
#define TRIT_MODEL_LABEL_WORDS_H

#include "model/config.h"
#include "text/tokenizer.h"

/** w [n, D]: the rows of n words, from a model's file. Errors: ARG (a word without tokens, two that begin with the same
 * one), those of reading. */
TRIT_MUST_CHECK int trit_label_words(float *w, int n, char *const *words, const struct trit_tokenizer *t,
                                     const struct trit_config *c, const struct trit_gguf *g, struct trit_error *err);

#endif
