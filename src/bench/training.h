/*
 * training.h - the speed of training: whole steps of a network of a given size on random tokens.
 *
 * A step is what trit train does between two validations: forward and backward pass of the batch in micro-batches, norm
 * of the gradient, optimiser, quantising. Its work is counted as the field does: 6 operations for each weight of a
 * matrix product and token (the head's included, look-ups not), and 6 S H A for each layer's causal attention.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BENCH_TRAINING_H
#define TRIT_BENCH_TRAINING_H

#include "train/recipe.h"

struct trit_training_test {
	struct trit_recipe recipe; /* complete: trit_recipe_apply_size has filled it in */
	const char *cpu;           /* kernel tier; NULL: the best */
	int n_threads, n_repetitions;
	bool recompute;            /* activations in the backward pass */
};

#define TRIT_TRAINING_MOST 100 /* repetitions */

struct trit_training_result {
	const char *tier;
	bool bf16;             /* of the products that have no integers */
	double parameters;
	double tokens;         /* of a step */
	double operations;     /* of a step */
	/* Operations a second that all threads together can do, measured between the steps; bf16: 0 if not fast here. */
	double f32_peak, bf16_peak, int8_peak;
	double memory;         /* bytes: weights, gradients, moments and everything of the network */
	double peak_memory;    /* of the process so far; 0: unknown */
	double loss;           /* of the last step */
	int n_samples;
	double seconds[TRIT_TRAINING_MOST]; /* of each step */
};

/** One step that is not counted, then n_repetitions. Errors: ARG, UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_training_run(struct trit_training_result *out, const struct trit_training_test *t,
                                      struct trit_error *err);

#endif
