/*
 * forward.h - the forward pass: a batch of tokens, each of some sequence at some position, to logits.
 *
 * Logits depend on the token's own sequence only: not on what else is in the batch, on how a prompt was cut into
 * batches, on the number of threads or on the instruction set - to the bit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_FORWARD_H
#define TRIT_MODEL_FORWARD_H

#include "base/pool.h"
#include "model/kv.h"
#include "model/model.h"

/** One token of a batch. Tokens of one sequence come in ascending, consecutive positions, the first at kv->length or
 * below. Keys and values are written at `position`. */
struct trit_batch_token {
	trit_token token; /* 0 .. V-1 */
	int position;     /* 0 .. kv->n_ctx - 1 */
	struct trit_kv *kv;
	bool want_logits;
};

/** Scratch memory for batches of up to n_batch tokens, n_logits of which want logits. One thread at a time. */
struct trit_forward {
	const struct trit_model *model;
	struct trit_pool *pool; /* the caller's; NULL: one thread */
	int n_batch, n_logits, n_ctx;
	float *logits; /* [n_logits, V]: of the tokens that wanted them, in batch order */

	/* private */
	struct trit_arena arena;
	float *cos, *sin;             /* [n_ctx, n_rot / 2] */
	float *x, *xn, *qkv, *att;    /* [T, D] [T, max(D, HA, F)] [T, (H + 2K) A] [T, HA] */
	float *gate, *up, *y;         /* [T, F] [T, F] [T, D] */
	int8_t *xq;                   /* [T, padded max(D, HA, F)] */
	float *step;                  /* [T] */
	int32_t *sum;                 /* [T] */
	float *scores;                /* [threads, n_ctx] */
	int *rows;                    /* [n_logits] */
	const struct trit_batch_token *tokens;
	int n_tokens, n_rows;
};

/** Allocates everything. n_ctx bounds the positions. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_forward_init(struct trit_forward *f, const struct trit_model *m, struct trit_pool *pool,
                                      int n_batch, int n_logits, int n_ctx, struct trit_error *err);
void trit_forward_release(struct trit_forward *f);
/** Runs n tokens, 1 <= n <= n_batch. Does not move kv->length. */
void trit_forward_run(struct trit_forward *f, int n, const struct trit_batch_token *tokens);

#endif
