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

#include "model/attention.h"
#include "model/model.h"

/** Scratch memory for batches of up to n_batch tokens, n_logits of which want logits. One thread at a time. */
struct trit_forward {
	const struct trit_model *model;
	struct trit_pool *pool; /* the caller's; NULL: one thread */
	int n_batch, n_logits, n_ctx;
	float *logits; /* [n_logits, V]: of the tokens that wanted them, in batch order */
	float *states; /* [n_logits, D]: in their place after trit_forward_init_states */

	/* private */
	struct trit_arena arena;
	struct trit_attention attention;
	float *x, *qkv, *att;         /* [T, D] [T, (H + 2K) A] [T, HA] */
	float *gate, *up, *y;         /* [T, F] [threads, T, rows of up at a time] [T, D] */
	/* Mixtures of experts, moe.h: scores of T tokens and of a thread's own, choices of tokens (or of threads, when
	 * there is one token), slots as each thread sorted them; for each slot gate times up, and a projection's input. */
	float *scores, *shared_scores;     /* [T + threads, E] [T] */
	int *chosen;                       /* [max(T, threads), slots of a token] */
	float *chosen_weights;
	struct trit_moe_slots *slots;      /* [threads] */
	float *hidden, *slot_xn, *slot_step; /* [slots, F] [slots, max(D, F)] [slots] */
	int8_t *slot_xq;                   /* [slots, padded max(D, F)] */
	int32_t *slot_sum;                 /* [slots] */
	/* Inputs of projections, a row for each token, or for each thread when there is one token. */
	float *xn, *step;             /* [rows, max(D, HA, F)] [rows] */
	int8_t *xq;                   /* [rows, padded max(D, HA, F)] */
	int32_t *sum;                 /* [rows] */
	/* Of adapters, where the model has some: an input as fp32 for each thread, A x of the projections that share an
	 * input, what is added to a chunk of rows for each thread. */
	float *lora_x, *lora_h, *lora_y; /* [threads, widest] [3, inputs, most] [threads, T, CHUNK_ROWS] */
	int *rows;                    /* [n_logits] */
	struct trit_row_cursor *cursors; /* [threads] */
	uint32_t epoch;               /* projections computed so far, modulo 2^32 */
	const struct trit_batch_token *tokens;
	int n_tokens, n_rows;
	bool headless;

	/* The caller's to set: where queries, keys and values of one layer go, as attention sees them. NULL: nowhere. */
	float *taken; /* [n_batch, (H + 2K) A] */
	int taken_layer;
};

/** Allocates everything. n_ctx bounds the positions. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_forward_init(struct trit_forward *f, const struct trit_model *m, struct trit_pool *pool,
                                      int n_batch, int n_logits, int n_ctx, struct trit_error *err);
/** The same without the head: tokens that want logits get the state that would go into it, after the final norm. */
TRIT_MUST_CHECK int trit_forward_init_states(struct trit_forward *f, const struct trit_model *m,
                                             struct trit_pool *pool, int n_batch, int n_ctx, struct trit_error *err);
void trit_forward_release(struct trit_forward *f);
/** Runs n tokens, 1 <= n <= n_batch. Does not move kv->length. */
void trit_forward_run(struct trit_forward *f, int n, const struct trit_batch_token *tokens);

/**
 * The same in two parts for a function that trit_pool_run runs on f's pool: each is called by all its threads, with a
 * barrier before and after. First all layers, for n tokens, whatever logits they want; then, as often as needed, the
 * logits of `n` of them, 1 <= n <= n_logits, from the token `first` on. After trit_forward_init only.
 */
void trit_forward_layers(struct trit_forward *f, int n, const struct trit_batch_token *tokens, int index, int threads);
void trit_forward_head(struct trit_forward *f, int first, int n, int index, int threads);

#endif
