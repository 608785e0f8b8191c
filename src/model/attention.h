/*
 * attention.h - self-attention of a batch of tokens over their KV caches.
 *
 * Every result depends on the token's own sequence only; how work is shared out among tokens, heads and threads moves
 * no bit of it (kernel.h has the order of every sum).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_ATTENTION_H
#define TRIT_MODEL_ATTENTION_H

#include "base/pool.h"
#include "kernel/kernel.h"
#include "model/int_attention.h"
#include "model/kv.h"
#include "model/model.h"

/** One token of a batch. Tokens of one sequence come in ascending, consecutive positions, the first at kv->length or
 * below. Keys and values are written at `position`. */
struct trit_batch_token {
	int32_t token; /* 0 .. V-1 */
	int position;  /* 0 .. kv->n_ctx - 1 */
	struct trit_kv *kv;
	bool want_logits;
};

/** What attention needs beside the batch: tables and scratch of all threads. */
struct trit_attention {
	const struct trit_config *config;
	const struct trit_kernels *kernels;
	struct trit_pool *pool; /* NULL: one thread */
	int n_batch, n_ctx;
	const struct trit_layer *layers; /* [L]: their norms of queries and keys. NULL: the model has no such norms */
	const float *rope_freqs;         /* [n_rot / 2]: the file's divisors of the rotary frequencies, or NULL */
	/* [2][n_ctx, n_rot / 2]: of layers that see all positions, of layers with a window (the same unless they differ) */
	float *cos[2], *sin[2];

	/* private */
	size_t n_scores; /* of a thread */
	float *scores;   /* [threads, n_scores]: a row for each query of what is computed together */
	float *sums;     /* [T, H]: of each query's exponentials */
	struct trit_int_scratch *ints; /* [threads]: for caches of integers */
	float *queries;  /* [threads, rows, A]: queries of several tokens, side by side */
};

/** Takes the arrays from the arena: once to measure, once to place (then trit_attention_tables). The members before
 * cos are the caller's to set. */
void trit_attention_lay_out(struct trit_attention *a, struct trit_arena *arena);
void trit_attention_tables(struct trit_attention *a);
/**
 * One layer, called by all threads of the pool; may have barriers inside, and one is needed before and after. qkv
 * [T, (H + 2K) A]: queries, keys, values of each token, before rotation; changed. Norms (in models that do so) and
 * rotates queries and keys, stores keys and values in the caches, and writes the heads' results to out [T, H A].
 */
void trit_attention_run(const struct trit_attention *a, float *out, float *qkv, const struct trit_batch_token *tokens,
                        int n_tokens, int layer, int thread, int n_threads);

#endif
