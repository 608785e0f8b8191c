/*
 * rope.h - the angles of the rotary embedding, shared by inference and training.
 *
 * Models that were stretched to longer texts than they were first trained on turn slower: by one factor, or by a factor
 * for each pair (names as in the configurations of Hugging Face and the keys rope.scaling.* of GGUF).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_ROPE_H
#define TRIT_MODEL_ROPE_H

#include <stdbool.h>

#include "base/error.h"

enum trit_rope_kind {
	TRIT_ROPE_PLAIN,
	TRIT_ROPE_LINEAR, /* all pairs slower by the factor */
	TRIT_ROPE_LLAMA3, /* LLaMA 3.1: slow pairs by the factor, fast ones not at all, between them a smooth mixture */
	TRIT_ROPE_YARN,   /* the same idea, bounds in turns over the original context; angles' cos and sin grow a little */
};

struct trit_rope_scaling {
	enum trit_rope_kind kind;
	float factor;       /* > 0 */
	float slow, fast;   /* turns over the original context: pairs below `slow` are scaled, above `fast` they are not */
	int n_ctx_original; /* positions that were trained for first */
	float magnitude;    /* yarn: factor on cos and sin */
};

/** Where row r of a query or key projection is, whose rotary pairs are rows (i, i + n_rot/2) of each head if `half` and
 * (2i, 2i + 1) if not, in one that has them as `from_half` says. */
size_t trit_rope_row(int head_dim, int n_rot, bool from_half, bool half, size_t r);
/** Puts the rows of x [rows, cols], whole heads, from the one order into the other. head: scratch [head_dim, cols]. */
void trit_rope_reorder(float *x, size_t rows, size_t cols, int head_dim, int n_rot, bool from_half, bool half,
                       float *head);
/** What yarn multiplies cos and sin by unless told otherwise: 0.1 weight ln(factor) + 1, 1 where factor <= 1. */
float trit_rope_magnitude(float factor, float weight);
/** What the pairs' frequencies are divided by, [n_rot / 2]: the numbers of rope_freqs.weight for the kind LLAMA3. */
void trit_rope_divisors(float *out, const struct trit_rope_scaling *s, float base, int n_rot);
/**
 * cos, sin [n_ctx, n_rot / 2]: of p * base^(-2 i / n_rot) for position p and pair i. s: how the angles are scaled, or
 * NULL. divisors [n_rot / 2]: what each pair's frequency is divided by, in place of what s says, or NULL.
 */
void trit_rope_table(float *cos, float *sin, float base, int n_rot, int n_ctx, const struct trit_rope_scaling *s,
                     const float *divisors);

#endif
