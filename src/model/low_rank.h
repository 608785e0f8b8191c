/*
 * low_rank.h - a low-rank adapter (LoRA) beside a model's projections: y = W x + s B (A x), s = alpha / R, in fp32.
 *
 * x is what the projection's product sees: the quantised input of one with integer weights, else the numbers. So a
 * ternary model stays what it is, and what `trit finetune --lora` has trained is added to it without loss.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_LOW_RANK_H
#define TRIT_MODEL_LOW_RANK_H

#include "base/error.h"

struct trit_model;

/** Of one projection. */
struct trit_low_rank {
	int rank, slot;     /* R; which of the projections that share its input, 0 to 2 */
	float scale;        /* s */
	const float *a, *b; /* [R, K] [M, R] */
};

/** All of a model's. Zeroed: none. */
struct trit_low_ranks {
	int most;                   /* the largest rank */
	struct trit_low_rank *list; /* [L, 7] */
	float *weights;
};

/** Reads an adapter in GGUF (general.type "adapter", as llama.cpp has them) and puts it beside the projections of a
 * model whose weights are there. Errors: IO, FORMAT (not an adapter, of another architecture or other shapes, a tensor
 * that is none of the model's projections), UNSUPPORTED (mixtures of experts), MEMORY. */
TRIT_MUST_CHECK int trit_low_rank_load(struct trit_model *m, const char *path, struct trit_error *err);
void trit_low_ranks_release(struct trit_low_ranks *l);

#endif
