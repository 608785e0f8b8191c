/*
 * moe.c - choosing experts and sorting tokens by them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/moe.h"

/* 1 / (1 + e^-x), as the softmax of x and 0. */
static float sigmoid(float x, const struct trit_kernels *k)
{
	float pair[2] = { x, 0 };
	k->softmax(pair, 2);
	return pair[0];
}

/* The largest of the probabilities that are left: those taken are -1. */
static int largest(float *p, int n)
{
	int best = -1;
	for (int e = 0; e < n; e++)
		if (p[e] != -1 && (best < 0 || p[e] > p[best]))
			best = e;
	return best;
}

void trit_moe_select(int *experts, float *weights, float *scores, float shared, const struct trit_moe_config *c,
                     const struct trit_kernels *k)
{
	float sum = 0;
	if (c->gating == TRIT_MOE_SOFTMAX)
		k->softmax(scores, c->n_experts);
	else
		for (int e = 0; e < c->n_experts; e++)
			scores[e] = sigmoid(scores[e], k);
	for (int n = 0; n < c->n_used; n++) {
		int e = largest(scores, c->n_experts), at = n;
		float p = scores[e];
		scores[e] = -1;
		for (; at > 0 && experts[at - 1] > e; at--) {
			experts[at] = experts[at - 1];
			weights[at] = weights[at - 1];
		}
		experts[at] = e;
		weights[at] = p;
	}
	for (int n = 0; n < c->n_used; n++)
		sum += weights[n];
	float least = 0x1p-14f; /* as in llama.cpp: with sigmoids all may be next to nothing */
	for (int n = 0; n < c->n_used; n++)
		weights[n] = (c->norm ? weights[n] / (sum > least ? sum : least) : weights[n]) * c->scale;
	if (c->d_ff_shared) {
		experts[c->n_used] = c->n_experts;
		weights[c->n_used] = c->shared_gate ? sigmoid(shared, k) : 1;
	}
}

void trit_moe_sort(struct trit_moe_slots *s, const int *experts, const float *weights, int n_tokens,
                   const struct trit_moe_config *c)
{
	int each = trit_moe_slots(c), n_experts = trit_moe_experts(c), n = n_tokens * each;
	/* first[e + 1] counts expert e, then is where its next slot goes, and so ends as the first of e + 1. */
	memset(s->first, 0, ((size_t)n_experts + 1) * sizeof *s->first);
	for (int i = 0; i < n; i++)
		s->first[experts[i] + 1]++;
	for (int e = 0, at = 0; e < n_experts; e++) {
		int count = s->first[e + 1];
		s->first[e + 1] = at;
		at += count;
	}
	for (int i = 0; i < n; i++) {
		int at = s->first[experts[i] + 1]++;
		s->token[at] = i / each;
		s->weight[at] = weights[i];
	}
}
