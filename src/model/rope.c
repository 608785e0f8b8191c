/*
 * rope.c - the angles of the rotary embedding.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/rope.h"

#include "base/fmath.h"

#define TWO_PI 6.283185307179586

static double frequency(float base, int n_rot, int pair)
{
	return trit_exp(-trit_ln((double)base) * 2.0 * pair / n_rot);
}

static double clamp01(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* LLaMA 3.1: by the turns that the pair makes over the original context. */
static double llama3_divisor(const struct trit_rope_scaling *s, double freq)
{
	double turns = s->n_ctx_original * freq / TWO_PI, slow = (double)s->slow, fast = (double)s->fast;
	if (turns < slow)
		return (double)s->factor;
	if (turns > fast)
		return 1;
	double smooth = (turns - slow) / (fast - slow);
	return 1 / ((1 - smooth) / (double)s->factor + smooth);
}

/* The pair (a fraction) that makes so many turns over the original context, one of those there are. */
static double pair_of_turns(const struct trit_rope_scaling *s, float base, int n_rot, float turns)
{
	double pair = n_rot * trit_ln(s->n_ctx_original / ((double)turns * TWO_PI)) / (2 * trit_ln((double)base));
	return !(pair > 0) ? 0 : pair > n_rot - 1 ? n_rot - 1 : pair;
}

/* Yarn mixes linearly by the pair's number, between the whole pairs round the two bounds. */
static double yarn_divisor(const struct trit_rope_scaling *s, float base, int n_rot, int pair)
{
	double low = (int)pair_of_turns(s, base, n_rot, s->fast), bound = pair_of_turns(s, base, n_rot, s->slow);
	double high = (int)bound + ((int)bound < bound);
	double plain = 1 - clamp01((pair - low) / (high - low < 0.001 ? 0.001 : high - low));
	return 1 / ((1 - plain) / (double)s->factor + plain);
}

static double divisor(const struct trit_rope_scaling *s, float base, int n_rot, int pair)
{
	switch (s->kind) {
	case TRIT_ROPE_LINEAR:
		return (double)s->factor;
	case TRIT_ROPE_LLAMA3:
		return (double)(float)llama3_divisor(s, frequency(base, n_rot, pair)); /* as rope_freqs.weight has it */
	case TRIT_ROPE_YARN:
		return yarn_divisor(s, base, n_rot, pair);
	default:
		return 1;
	}
}

float trit_rope_magnitude(float factor, float weight)
{
	return factor <= 1 ? 1.0f : (float)(0.1 * (double)weight * trit_ln((double)factor) + 1);
}

void trit_rope_divisors(float *out, const struct trit_rope_scaling *s, float base, int n_rot)
{
	for (int i = 0; i < n_rot / 2; i++)
		out[i] = (float)divisor(s, base, n_rot, i);
}

void trit_rope_table(float *cos, float *sin, float base, int n_rot, int n_ctx, const struct trit_rope_scaling *s,
                     const float *divisors)
{
	double magnitude = s && s->kind == TRIT_ROPE_YARN ? (double)s->magnitude : 1;
	for (int i = 0; i < n_rot / 2; i++) {
		double f = frequency(base, n_rot, i) / (divisors ? (double)divisors[i] : s ? divisor(s, base, n_rot, i) : 1);
		for (int p = 0; p < n_ctx; p++) {
			size_t at = (size_t)p * (size_t)(n_rot / 2) + (size_t)i;
			cos[at] = (float)(magnitude * trit_cos(p * f));
			sin[at] = (float)(magnitude * trit_sin(p * f));
		}
	}
}

size_t trit_rope_row(int head_dim, int n_rot, bool from_half, bool half, size_t r)
{
	size_t n = (size_t)n_rot, at = r % (size_t)head_dim, head = r - at;
	if (from_half == half || at >= n)
		return r;
	if (half)
		return head + (at < n / 2 ? 2 * at : 2 * (at - n / 2) + 1);
	return head + at / 2 + (at % 2 ? n / 2 : 0);
}

void trit_rope_reorder(float *x, size_t rows, size_t cols, int head_dim, int n_rot, bool from_half, bool half,
                       float *head)
{
	size_t width = (size_t)head_dim;
	for (size_t r = 0; r < rows; r += width, x += width * cols) {
		memcpy(head, x, width * cols * sizeof *x);
		for (size_t i = 0; i < width; i++)
			memcpy(x + i * cols, head + trit_rope_row(head_dim, n_rot, from_half, half, i) * cols, cols * sizeof *x);
	}
}
