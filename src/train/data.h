/*
 * data.h - the windows of tokens that a run learns from, drawn from the shards of one source or of several.
 *
 * A window is S + 1 tokens and shares one with the next. An epoch of a source is its training tokens cut into windows,
 * from an offset below S that differs every epoch, in a random order (train/order.h). Sources without weights are one
 * list of windows. Sources with weights take turns: of every TRIT_MIX_BLOCK windows of the run each has its share, in
 * a random order; one that has fewer windows than its share begins its next epoch.
 *
 * All this is a function of (seed, number of the window) only: nothing but the step number is kept for --resume, a rank
 * of many asks for its own part of a batch, and memory does not grow with the data, which is mapped, not read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DATA_H
#define TRIT_TRAIN_DATA_H

#include "train/shards.h"

#define TRIT_MIX_BLOCK 8192

/** Prepared data of a run. */
struct trit_data_source {
	const char *dir; /* of train-*.safetensors and val-*.safetensors */
	double weight;   /* share of the windows, of the sum of all; 0 for all: as many as there are */
};

struct trit_data_part; /* a source, opened */

struct trit_data {
	int seq_len, n_vocab;
	uint64_t seed;
	uint64_t n_train_tokens, n_val_tokens;
	uint64_t n_windows;     /* of an epoch: all sources once */
	uint64_t n_val_windows; /* may be 0 */
	bool masked;            /* there are tokens that are not to be predicted */
	uint64_t n_damaged;     /* tokens met that are not in the vocabulary, and were taken for token 0 */
	/* private */
	int n_parts;
	struct trit_data_part *parts;
	bool weighted;
};

/** Maps the shards; what they say about themselves is checked now, tokens when they are drawn. Errors: ARG (weights for
 * some only), IO, FORMAT, MEMORY; LIMIT when the text of a source is shorter than one window. */
TRIT_MUST_CHECK int trit_data_open_mix(struct trit_data *d, int n_sources, const struct trit_data_source *sources,
                                       int n_vocab, int seq_len, uint64_t seed, struct trit_error *err);
/** The same for one source. */
TRIT_MUST_CHECK int trit_data_open(struct trit_data *d, const char *dir, int n_vocab, int seq_len, uint64_t seed,
                                   struct trit_error *err);
void trit_data_close(struct trit_data *d);
/** Windows first .. first + n - 1 of the run, counted through all epochs: out [n, S + 1]. weights [n, S]: of the losses
 * of all but each window's first token, 1 or 0; may be NULL. */
void trit_data_train(struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights);
/** Validation windows: out [n, S + 1], weights [n, S] or NULL. Of one source in order of the text, of several in an
 * order that mixes them. */
void trit_data_val(struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights);
/** Whether all tokens drawn so far were in the vocabulary. Errors: FORMAT (a shard was damaged). */
TRIT_MUST_CHECK int trit_data_check(const struct trit_data *d, struct trit_error *err);

#endif
