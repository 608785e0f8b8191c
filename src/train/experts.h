/*
 * experts.h - mixtures of experts in training: router, products per expert, load balancing. model/moe.h has the rule.
 *
 * For a token with normed input x and the scores s = R x of the router (fp32, not quantised):
 *
 *     p = softmax(s)      w = the k largest p, divided by their sum where the model says so     y = sum w_e expert_e(x)
 *
 * Two losses are added for the gradient, not to what is reported, with f_e the share of choices that fell on expert e
 * in the micro-batch, a constant for the gradient:
 *
 *     balance    b E sum_e f_e p_te         a token, from 1 when even; pulls towards even loads [Switch, eq. 4]
 *     z          z log^2(sum_e exp s_te)    keeps scores small [ST-MoE, eq. 5]
 *
 * A "slot" is a token at an expert; slots lie sorted by expert, tokens in order, the shared expert last, so an expert's
 * rows follow each other and its products are those of any BitLinear. Threads split slots, weight rows or tokens, never
 * a sum: bits do not depend on their number.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_EXPERTS_H
#define TRIT_TRAIN_EXPERTS_H

#include "base/pool.h"
#include "model/moe.h"
#include "train/bitlinear.h"

struct trit_expert_weights {
	struct trit_bitlinear gate, up, down;
	const float *sub_norm; /* [F] of the input of down; NULL: none */
	float *d_sub_norm;
};

/** The experts of a layer, and what the forward pass keeps of them. S slots, T * trit_moe_slots at most. */
struct trit_experts {
	const float *router; /* [E, D] */
	float *d_router;
	struct trit_expert_weights *list; /* [trit_moe_experts] */
	float *p;        /* [T, E] */
	float *log_z;    /* [T] */
	int *chosen;     /* [T, slots a token] */
	float *weights;  /* likewise */
	struct trit_moe_slots slots;
	int *slot_of;    /* [T, slots a token] */
	float *g, *u;    /* [S, F] outputs of gate and up; the backward pass turns them into their gradients */
	float *y;        /* [S, D] outputs of the experts */
	struct trit_bit_input in, in_down; /* of S slots */
	uint64_t *load;  /* [E] slots since they were last read */
};

/** What all layers share: rule, sizes, room for one layer's work. */
struct trit_experts_work {
	const struct trit_moe_config *moe;
	int d, f;       /* D; F of an expert */
	float eps;
	bool relu2;
	float balance, z_loss; /* b and z */
	float *xd;      /* [S, ld] inputs of products in fp32 */
	size_t ld;      /* the wider of D and F */
	float *h, *dh;  /* [S, F] */
	float *dy;      /* [S, D] */
	float *dn;      /* [S, ld] */
	float *dw;      /* [S] gradients of the weights */
	float *ds;      /* [T, E] of the scores */
	int *seen;      /* [T] */
};

/** A thread's part of a pass. */
struct trit_experts_part {
	const struct trit_experts_work *work;
	const struct trit_kernels *k;
	struct trit_pool *pool;
	int index, threads;
	int tokens, t0, t1; /* T; its tokens */
	float lambda;       /* of the quantisers (bitlinear.h) */
	float loss_scale;
	bool train;         /* a backward pass follows */
	bool again;         /* the forward pass of these tokens has been counted */
	float *scratch;
};

/** out [T, D] += the experts' results for the normed inputs x [T, ldx]. All threads call it, each when x and out are
 * there for its own tokens; out is complete for those when it returns. */
void trit_experts_forward(const struct trit_experts_part *p, struct trit_experts *e, float *out, const float *x,
                          size_t ldx);
/** dx [T, D] = the gradient of x from that of out, dout [T, D]; adds those of all weights. x and dout: complete, behind
 * a barrier. dx is complete when it returns. */
void trit_experts_backward(const struct trit_experts_part *p, struct trit_experts *e, float *dx, const float *dout,
                           const float *x, size_t ldx);

#endif
