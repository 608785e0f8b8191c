/*
 * optim.h - a step of the optimiser over all parameters, with gradient clipping by the global norm.
 *
 * AdamW [LH19; Tips, table 2]:
 *
 *     g' = g * min(1, clip / |g|)        m = b1 m + (1 - b1) g'      v = b2 v + (1 - b2) g'^2
 *     w -= lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + wd w)
 *
 * Norm weights do not decay, embedding and head as embedding_decay says. Projections may go by Muon instead (muon.h),
 * each one thread's. Each process steps the units it owns (owners.h). The norm of the gradient is summed over pieces of
 * 4096 and then over units, in fixed order.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_OPTIM_H
#define TRIT_TRAIN_OPTIM_H

#include "base/pool.h"
#include "kernel/kernel.h"
#include "train/dist.h"

/** Keeps params, kernels, pool, recipe and transport by reference. Zeroed: nothing to release. */
struct trit_optim {
	struct trit_params *params;
	const struct trit_kernels *kernels;
	struct trit_pool *pool;
	const struct trit_recipe *recipe;
	const struct trit_transport *transport;
	struct trit_owners owners;
	double *sums;   /* [units] of squares */
	float *scratch; /* [threads][thread_scratch], of Muon; NULL for AdamW */
	size_t thread_scratch;
};

/** transport: NULL for one process. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_optim_init(struct trit_optim *o, struct trit_params *p, const struct trit_kernels *k,
                                    struct trit_pool *pool, const struct trit_recipe *r,
                                    const struct trit_transport *transport, struct trit_error *err);
void trit_optim_release(struct trit_optim *o);
/** Bytes beyond what is in params. */
size_t trit_optim_bytes(const struct trit_optim *o);

/** Norm of params->g, of which this process has summed what it owns, in fp64 over pieces. Inf or NaN when a gradient
 * is. */
double trit_optim_grad_norm(struct trit_optim *o);
/** One step of what this process owns, t = 1, 2, ...; then sets all gradients to zero. */
void trit_optim_step(const struct trit_optim *o, double grad_norm, float lr, float weight_decay, int t);

#endif
