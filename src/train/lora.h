/*
 * lora.h - low-rank adapters: training that leaves the model's weights as they are [LoRA].
 *
 *     y = BitLinear(x) + s B (A x)         A [R, K], B [M, R] in fp32, s = alpha / R
 *
 * x is what the projection's product sees: in a ternary model the quantised input a q, else the normed one. A begins
 * random, B 0, so that training begins with the model itself. Only A and B have gradients and moments; the model's
 * weights are frozen, quantised once, and the gradient passes through them to the layers below.
 *
 *     h = s A x      dh = s B^T dy      dx += A^T dh      dA += dh x^T      dB += dy h^T
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_LORA_H
#define TRIT_TRAIN_LORA_H

#include "base/pool.h"
#include "kernel/kernel.h"
#include "train/params.h"

#define TRIT_LORA_LINEARS 7 /* projections of a layer: query, key, value, output, gate, up, down */

/** The adapter of one projection. */
struct trit_lora_linear {
	int rank, rows, cols; /* R, M, K */
	float scale;          /* s */
	const float *a, *b;   /* [R, K] [M, R] */
	float *da, *db;
	float *h;             /* [T, R] of the forward pass, for the backward pass */
	float *dh;            /* [T, R] */
};

struct trit_lora {
	int rank;
	float alpha;
	int n;                            /* A and B of all adapters, the first ones in params */
	unsigned targets;                 /* bit i: projection i of each layer has an adapter */
	struct trit_params *params;       /* the caller's: A and B of all, in the order of layers and projections; then of a
	                                   * classifier the head of labels */
	struct trit_lora_linear *linears; /* [L, TRIT_LORA_LINEARS]; rank 0: none */
	/* private */
	struct trit_arena arena;
};

/** Sets of projections by name, NULL-terminated, and as bits. */
extern const char *const trit_lora_set_names[];
extern const unsigned trit_lora_sets[];
/** The tensor of projection i. */
enum trit_tensor_id trit_lora_tensor(int i);

/** Allocates adapters for passes of up to `tokens` tokens, and lays out and allocates *params, which the caller
 * releases; A random by `seed`, B 0. Errors: MEMORY, ARG (rank). */
TRIT_MUST_CHECK int trit_lora_init(struct trit_lora *l, struct trit_params *params, const struct trit_config *c,
                                   int rank, float alpha, unsigned targets, size_t tokens, uint64_t seed,
                                   struct trit_error *err);
void trit_lora_release(struct trit_lora *l);
/** Bytes, without the parameters. */
size_t trit_lora_bytes(const struct trit_lora *l);

/* Parts of a pass: train/net.c. x and y have rows ldx and ldy apart; scratch: see trit_gemm_f32_fn. */

/** y += s B A x, tokens t0..t1. measured: see trit_dense_forward. */
void trit_lora_forward(const struct trit_lora_linear *l, const struct trit_kernels *k, float *y, size_t ldy,
                       const float *x, size_t ldx, int t0, int t1, bool measured, float *scratch);
/** dx [T, K] += of y's, tokens t0..t1; keeps dh. */
void trit_lora_backward_x(const struct trit_lora_linear *l, const struct trit_kernels *k, float *dx, const float *dy,
                          size_t ldy, int t0, int t1, float *scratch);
/** Gradients of A and B over all tokens: the share of thread `index` of so many. */
void trit_lora_backward_w(const struct trit_lora_linear *l, const struct trit_kernels *k, const float *dy, size_t ldy,
                          const float *x, size_t ldx, int tokens, int index, int threads, float *scratch);

#endif
