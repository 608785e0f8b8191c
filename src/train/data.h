/*
 * data.h - text to token shards, and the order in which a run sees them.
 *
 * Preparing: a vocabulary is learnt from the text or given; every piece of a document goes to the training or, by a
 * hash of its bytes, to the validation shards. A document begins with the BOS token.
 *
 * Order: an epoch is the training tokens cut into windows of S + 1 (each shares one token with the next), from an
 * offset below S that differs every epoch, in a random order that is a function of (seed, epoch) only. So window i of
 * the run can be found without having drawn the ones before it: nothing but the step number is kept for --resume.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DATA_H
#define TRIT_TRAIN_DATA_H

#include "text/tokenizer.h"
#include "train/corpus.h"
#include "train/recipe.h"
#include "train/shards.h"

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

struct trit_data {
	struct trit_shards train, val;
	int seq_len;
	uint64_t seed;
	uint64_t n_windows;     /* of an epoch */
	uint64_t n_val_windows; /* may be 0 */
	/* private: the permutation of one epoch */
	uint64_t epoch;
	uint64_t offset;
	uint32_t *order; /* [n_windows] */
};

/** Errors: IO, FORMAT; LIMIT when the text is shorter than one window. */
TRIT_MUST_CHECK int trit_data_open(struct trit_data *d, const char *dir, int n_vocab, int seq_len, uint64_t seed,
                                   struct trit_error *err);
void trit_data_close(struct trit_data *d);
/** Windows first .. first + n - 1 of the run, counted through all epochs: out [n, S + 1]. weights [n, S]: of the losses
 * of all but each window's first token, 1 or 0; may be NULL. */
void trit_data_train(struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights);
/** Validation windows, in order of the text: out [n, S + 1], weights [n, S] or NULL. */
void trit_data_val(const struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights);

#endif
