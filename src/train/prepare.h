/*
 * prepare.h - text to token shards.
 *
 * A vocabulary is learnt from the text or given; every piece of a document goes to the training or, by a hash of its
 * bytes, to the validation shards. A document begins with the BOS token.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_PREPARE_H
#define TRIT_TRAIN_PREPARE_H

#include "text/tokenizer.h"
#include "train/corpus.h"
#include "train/recipe.h"

/** Called now and then while text is prepared: bytes done of all, in which of the two passes. Non-zero: stop. */
typedef int trit_prepare_fn(void *arg, const char *what, uint64_t done, uint64_t total);

/** Learns a byte-level BPE vocabulary of recipe->n_vocab tokens from the corpus into *vocab. */
TRIT_MUST_CHECK int trit_data_learn_vocab(const struct trit_corpus *c, const struct trit_recipe *r,
                                          struct trit_vocab *vocab, trit_prepare_fn *progress, void *arg,
                                          struct trit_error *err);
/** Writes DIR/train-*.safetensors and DIR/val-*.safetensors. Errors: also LIMIT when `progress` stopped it. */
TRIT_MUST_CHECK int trit_data_prepare(const struct trit_corpus *c, const struct trit_recipe *r,
                                      const struct trit_tokenizer *t, const char *dir, trit_prepare_fn *progress,
                                      void *arg, struct trit_error *err);

#endif
