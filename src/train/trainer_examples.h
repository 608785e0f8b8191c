/*
 * trainer_examples.h - the parts of a training run that learns from examples: conversations, or texts with labels.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_TRAINER_EXAMPLES_H
#define TRIT_TRAIN_TRAINER_EXAMPLES_H

#include "train/trainer.h"

/** OUT/vocab.gguf, of the model with the chat template that was asked for, and OUT/data, windows of examples; of a
 * classifier labelled texts, and OUT/labels.gguf. init->file.vocab is moved. */
TRIT_MUST_CHECK int trit_trainer_prepare_examples(struct trit_trainer *t, struct trit_init *init, size_t n_paths,
                                                  char *const *paths, const struct trit_train_options *o,
                                                  struct trit_error *err);

/** Of a classifier whose model stays as it is: lays out and allocates t->params, the head alone. */
TRIT_MUST_CHECK int trit_trainer_head_params(struct trit_trainer *t, struct trit_error *err);
/** Of a classifier: puts its head of labels, whose weights are among t->params, in the place of the vocabulary's. */
TRIT_MUST_CHECK int trit_trainer_label_head(struct trit_trainer *t, struct trit_error *err);
/** The first weights of that head, where they are not the file's own: rows of label words. Where the head alone is
 * trained, what the file has. */
TRIT_MUST_CHECK int trit_trainer_first_head(struct trit_trainer *t, struct trit_init *init,
                                            const struct trit_train_options *o, struct trit_error *err);

#endif
