/*
 * moe.h - mixtures of experts: which experts a token goes to, and the tokens of each expert.
 *
 * In a layer of such a model E feed-forward networks, the experts, stand side by side. A small dense matrix, the
 * router, gives every expert a score for a token, and only the k experts with the highest scores compute it; there may
 * be one more, shared by all tokens:
 *
 *     p = softmax or sigmoid of (router x)         x the normed input
 *     w = the k largest p, divided by their sum where the model says so, times a factor
 *     y = sum over these experts of w_e expert_e(x)  +  g shared(x)      g = sigmoid(shared router x), or 1
 *
 * Of equal scores the lower expert's counts as the larger. Results are added to the residual one expert at a time, in
 * ascending order of the experts' numbers, the shared one last; so a token's bits depend neither on what else is in the
 * batch nor on threads.
 *
 * A "slot" is a token at an expert. Slots lie sorted by expert (the shared one has number E), so that an expert's
 * inputs are rows that follow each other: how forward.c computes them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_MOE_H
#define TRIT_MODEL_MOE_H

#include "kernel/kernel.h"

#define TRIT_MAX_EXPERTS 1024

/** What makes weights of scores; numbers as in the key expert_gating_func of GGUF. */
enum trit_moe_gating { TRIT_MOE_SOFTMAX = 1, TRIT_MOE_SIGMOID = 2 };

/** The sizes and the rule; a part of struct trit_config. */
struct trit_moe_config {
	int n_experts;   /* E; 0: no experts, the model is dense */
	int n_used;      /* k: experts a token, <= E */
	int d_ff;        /* width of an expert */
	int d_ff_shared; /* width of the shared expert; 0: there is none */
	bool shared_gate; /* the shared expert has a router of its own */
	enum trit_moe_gating gating;
	bool norm;       /* the weights of a token are divided by their sum */
	float scale;     /* and multiplied by this */
};

/** Experts with the shared one, and slots of a token. */
static inline int trit_moe_experts(const struct trit_moe_config *c)
{
	return c->n_experts + (c->d_ff_shared > 0);
}
static inline int trit_moe_slots(const struct trit_moe_config *c)
{
	return c->n_used + (c->d_ff_shared > 0);
}

/**
 * The experts of a token and their weights [trit_moe_slots], experts ascending. scores [E] becomes probabilities and is
 * used up. shared: the score of the shared expert; not read without shared_gate.
 */
void trit_moe_select(int *experts, float *weights, float *scores, float shared, const struct trit_moe_config *c,
                     const struct trit_kernels *k);

/** The slots of a batch, sorted by expert, tokens in order. */
struct trit_moe_slots {
	int *first;  /* [trit_moe_experts + 1]: slots of expert e are first[e] .. first[e + 1] - 1 */
	int *token;  /* [T * trit_moe_slots] */
	float *weight;
};

/** Sorts the choices of T tokens: experts, weights [T, trit_moe_slots]. */
void trit_moe_sort(struct trit_moe_slots *s, const int *experts, const float *weights, int n_tokens,
                   const struct trit_moe_config *c);

#endif
