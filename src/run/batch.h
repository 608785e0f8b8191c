/*
 * batch.h - sequences that are computed together: a KV cache for each, one forward pass for all.
 *
 * A step: put tokens of some sequences (many of one, as of a prompt, or one of each, as in decoding, or both), run,
 * read the logits. Weights are read once for all tokens of a run, so decoding 16 sequences costs little more than one.
 * Logits do not depend on what else was in the run, to the bit (model/forward.h).
 *
 * All memory is allocated in trit_batch_new; the rest cannot fail. A batch belongs to one thread at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_RUN_BATCH_H
#define TRIT_RUN_BATCH_H

#include "model/forward.h"

struct trit_batch;

struct trit_batch_options {
	int n_sequences; /* they are called 0 .. n_sequences - 1 */
	int n_ctx;       /* positions of each; more than the model was trained for is allowed */
	int n_batch;     /* tokens of a run at most; at least n_sequences are taken, so that all can go on together */
	enum trit_kv_type kv_type;
};

/** `pool`: the caller's, NULL for one thread. Errors: ARG, MEMORY (what it needs and what there is). */
TRIT_MUST_CHECK int trit_batch_new(struct trit_batch **out, const struct trit_model *model, struct trit_pool *pool,
                                   const struct trit_batch_options *options, struct trit_error *err);
void trit_batch_free(struct trit_batch *b);

/** Whether n more tokens (any number: a whole prompt) may be put to sequence s. Errors: ARG (none, or one outside the
 * vocabulary), LIMIT (the context is full). */
TRIT_MUST_CHECK int trit_batch_check(const struct trit_batch *b, int s, size_t n, const trit_token *tokens,
                                     struct trit_error *err);
/** How many tokens can be put before the next run. */
int trit_batch_room(const struct trit_batch *b);
/** Appends 1 <= n <= room checked tokens to sequence s, with logits after the last one if wanted: of one put a
 * sequence in each run. */
void trit_batch_put(struct trit_batch *b, int s, int n, const trit_token *tokens, bool want_logits);
/** Computes what was put, which was at least one token. */
void trit_batch_run(struct trit_batch *b);
/** Logits [V] that the last run computed for sequence s, valid until the next; NULL if it computed none. */
const float *trit_batch_logits(const struct trit_batch *b, int s);

/** Tokens that sequence s holds. */
int trit_batch_length(const struct trit_batch *b, int s);
/** Makes sequence s forget all tokens but the first n_keep, and its logits. Not between put and run. */
void trit_batch_rewind(struct trit_batch *b, int s, int n_keep);

/** Threads that help a single sequence of such a model: one a core, at most 64, and one for every 2 million weights. */
int trit_default_threads(const struct trit_config *c);

#define TRIT_DEFAULT_BATCH 512
#define TRIT_MAX_BATCH 16384 /* times TRIT_MAX_COLS fits int, in which kernels count */

#endif
