/*
 * net_parts.h - what only some architectures have in a network in training: biases, layer norms, norms of queries and
 * keys, norms of what is added to the residual, GELU, caps.
 *
 * Functions work on tokens t0..t1, or for the gradients of weights on columns c0..c1 over all tokens in order, so that
 * threads can share. All of them are nothing where the architecture lacks the part (its weights are NULL).
 *
 * A layer norm is the RMS norm of x less its mean, plus a bias: so what RMS norms have for the backward pass serves
 * both, with x less its mean in the place of x.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_NET_PARTS_H
#define TRIT_TRAIN_NET_PARTS_H

#include "kernel/kernel.h"
#include "model/config.h"

struct trit_net_norm {
	const float *w; /* NULL where the architecture has none */
	float *dw;         /* NULL: the weights are frozen */
	const float *bias; /* NULL where it has none */
	float *dbias;
};

/** Whether the network in training computes such a model. Errors: UNSUPPORTED, with what it lacks. */
TRIT_MUST_CHECK int trit_net_check(const struct trit_config *c, struct trit_error *err);

/** y [T, ldy] += bias [n]. */
void trit_bias_forward(const struct trit_kernels *k, float *y, size_t ldy, const float *bias, int n, int t0, int t1);
/** dbias += the sum of dy [T, ldy] over all tokens. */
void trit_bias_backward(float *dbias, const float *dy, size_t ldy, int tokens, size_t c0, size_t c1);

/** y [T, width] = x less its mean; r [T] the factor that its norm multiplies it by. */
void trit_layer_norm_centre(const struct trit_kernels *k, float *y, float *r, const float *x, size_t width, float eps,
                            int t0, int t1);
/** x [n] less its mean, in place. */
void trit_centre(const struct trit_kernels *k, float *x, int n);

/** Norms of each head's query and key. */
struct trit_head_norms {
	const struct trit_config *config;
	struct trit_net_norm q, k; /* weights [A], or [H, A] and [K, A] */
	float *x; /* [T, (H + K) A] what was normed; of layer norms less its mean */
	float *r; /* [T, H + K] */
};
/** Queries and keys in qkv [T, (H + 2K) A], in place; keeps what the backward pass needs. */
void trit_head_norms_forward(struct trit_head_norms *h, const struct trit_kernels *k, float *qkv, int t0, int t1);
/** Gradients, in place in dqkv; those that come in are left in dy [T, (H + K) A]. */
void trit_head_norms_backward_x(const struct trit_head_norms *h, const struct trit_kernels *k, float *dqkv, float *dy,
                                int t0, int t1);
/** Gradients of the weights, columns c0..c1 of every head. */
void trit_head_norms_backward_w(const struct trit_head_norms *h, const struct trit_kernels *k, const float *dy,
                                int tokens, size_t c0, size_t c1);

/** The kernel that multiplies activated gate by up. */
trit_silu_mul_fn *trit_activation_mul(const struct trit_kernels *k, enum trit_activation activation);
/** The backward of gelu_mul, as the kernels silu_mul_backward and relu2_mul_backward are of theirs. */
void trit_gelu_mul_backward(const struct trit_kernels *k, float *dgate, float *dup, const float *gate, const float *up,
                            const float *dy, int n);
/** x = cap tanh(..) having been capped: dx *= d/dx of that, (1 - (x / cap)^2). */
void trit_softcap_backward(float *dx, const float *x, float cap, int n);

#endif
