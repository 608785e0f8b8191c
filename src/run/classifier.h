/*
 * classifier.h - texts to labels: an embedder and a head of labels behind it.
 *
 * The head is the model's own (cls.output), or rows of the vocabulary's by label words (model/label_words.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_RUN_CLASSIFIER_H
#define TRIT_RUN_CLASSIFIER_H

#include "model/model.h"
#include "text/labels.h"

struct trit_classifier;

/** words NULL: the model's head. options as of an embedder; pooling is the model's, the last token's with words.
 * Errors: ARG (a model without a head and no words), those of the embedder and of words. */
TRIT_MUST_CHECK int trit_classifier_new(struct trit_classifier **out, const struct trit_model *model, int n_words,
                                        char *const *words, const struct trit_embed_options *options,
                                        struct trit_error *err);
void trit_classifier_free(struct trit_classifier *c);
int trit_classifier_labels(const struct trit_classifier *c);
/** out [n_texts, labels]: their probabilities, or with `logits` what the head gives. Texts and errors as of
 * trit_embed. */
TRIT_MUST_CHECK int trit_classify(struct trit_classifier *c, size_t n_texts, const size_t *n_tokens,
                                  const trit_token *const *tokens, bool logits, float *out, struct trit_error *err);

#endif
