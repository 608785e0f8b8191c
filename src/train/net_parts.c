/*
 * net_parts.c - biases, layer norms, norms of heads, GELU and caps, forward and backward.
 *
 * What no kernel does is plain C: the same bits everywhere, its sums being chains.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/net_parts.h"

#include <math.h>

#include "model/tensors.h"

int trit_net_check(const struct trit_config *c, struct trit_error *err)
{
	const struct trit_moe_config *m = &c->moe;
	bool experts = m->n_experts > 0;
	const struct {
		bool has;
		const char *what;
	} lacks[] = {
		{ experts && m->gating != TRIT_MOE_SOFTMAX, "experts weighted by sigmoids" },
		{ experts && m->shared_gate, "mixtures of experts whose shared one has a router" },
		{ experts && m->d_ff_shared && m->d_ff_shared != m->d_ff, "shared experts of another width than the others" },
		{ experts && (c->arch->activation == TRIT_ACT_GELU || c->arch->norm != TRIT_NORM_RMS || c->arch->post_norms),
		  "mixtures of experts with GELU, layer norms or post-norms" },
		{ c->pooling > 0 && !c->n_labels, "embedding models" },
		{ c->projection_norms, "models with a norm in front of each projection" },
		{ c->input_4bit || c->inner_4bit, "models with activations of 4 bits" },
		{ c->inner_hadamard, "models with a Hadamard transform of activations" },
		{ (c->biases >> TRIT_TENSOR_OUTPUT & 1) != 0, "models with a bias of the head" },
	};
	for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++)
		if (lacks[i].has)
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s cannot be trained (architecture %s)", lacks[i].what,
			                 c->arch->name);
	return TRIT_OK;
}

/* ---- biases ------------------------------------------------------------------------------------------------------ */

void trit_bias_forward(const struct trit_kernels *k, float *y, size_t ldy, const float *bias, int n, int t0, int t1)
{
	for (int t = t0; bias && t < t1; t++)
		k->add(y + (size_t)t * ldy, bias, n);
}

void trit_bias_backward(float *dbias, const float *dy, size_t ldy, int tokens, size_t c0, size_t c1)
{
	for (int t = 0; dbias && t < tokens; t++)
		for (size_t c = c0; c < c1; c++)
			dbias[c] += dy[(size_t)t * ldy + c];
}

/* ---- layer norms ------------------------------------------------------------------------------------------------- */

void trit_centre(const struct trit_kernels *k, float *x, int n)
{
	float mean = k->sum(x, n) / (float)n;
	for (int i = 0; i < n; i++)
		x[i] -= mean;
}

void trit_layer_norm_centre(const struct trit_kernels *k, float *y, float *r, const float *x, size_t width, float eps,
                            int t0, int t1)
{
	for (size_t t = (size_t)t0; t < (size_t)t1; t++) {
		float *row = y + t * width;
		memcpy(row, x + t * width, width * sizeof *row);
		trit_centre(k, row, (int)width);
		r[t] = 1 / sqrtf(k->sum_squares(row, (int)width) / (float)width + eps);
	}
}

/* ---- norms of heads ---------------------------------------------------------------------------------------------- */

/* Head number `head` of H + K: its norm, and where its weights begin in that. */
static const struct trit_net_norm *norm_of(const struct trit_head_norms *h, int head, size_t *at)
{
	const struct trit_config *c = h->config;
	bool key = head >= c->n_heads;
	size_t own = (size_t)(key ? head - c->n_heads : head) * (size_t)c->head_dim;
	*at = c->qk_norms == TRIT_QK_EACH_HEAD ? own : 0;
	return key ? &h->k : &h->q;
}

void trit_head_norms_forward(struct trit_head_norms *h, const struct trit_kernels *k, float *qkv, int t0, int t1)
{
	const struct trit_config *c = h->config;
	size_t heads = (size_t)(c->n_heads + c->n_kv_heads), a = (size_t)c->head_dim, at;
	size_t ld = trit_config_q_width(c) + 2 * trit_config_kv_width(c);
	for (size_t t = (size_t)t0; h->q.w && t < (size_t)t1; t++)
		for (size_t i = 0; i < heads; i++) {
			const struct trit_net_norm *norm = norm_of(h, (int)i, &at);
			float *x = h->x + (t * heads + i) * a, *y = qkv + t * ld + i * a, *r = &h->r[t * heads + i];
			if (c->arch->norm == TRIT_NORM_LAYER) {
				trit_layer_norm_centre(k, x, r, y, a, c->eps, 0, 1);
				k->layernorm(y, y, norm->w + at, norm->bias ? norm->bias + at : NULL, c->eps, c->head_dim);
			} else {
				memcpy(x, y, a * sizeof *x);
				*r = k->rmsnorm(y, x, norm->w + at, c->eps, c->head_dim);
			}
		}
}

void trit_head_norms_backward_x(const struct trit_head_norms *h, const struct trit_kernels *k, float *dqkv, float *dy,
                                int t0, int t1)
{
	const struct trit_config *c = h->config;
	size_t heads = (size_t)(c->n_heads + c->n_kv_heads), a = (size_t)c->head_dim, at;
	size_t ld = trit_config_q_width(c) + 2 * trit_config_kv_width(c);
	for (size_t t = (size_t)t0; h->q.w && t < (size_t)t1; t++)
		for (size_t i = 0; i < heads; i++) {
			const struct trit_net_norm *norm = norm_of(h, (int)i, &at);
			float *dx = dqkv + t * ld + i * a, *in = dy + (t * heads + i) * a;
			memcpy(in, dx, a * sizeof *in);
			memset(dx, 0, a * sizeof *dx);
			k->rmsnorm_backward(dx, h->x + (t * heads + i) * a, norm->w + at, in, h->r[t * heads + i], c->head_dim);
			if (c->arch->norm == TRIT_NORM_LAYER)
				trit_centre(k, dx, c->head_dim);
		}
}

void trit_head_norms_backward_w(const struct trit_head_norms *h, const struct trit_kernels *k, const float *dy,
                                int tokens, size_t c0, size_t c1)
{
	const struct trit_config *c = h->config;
	size_t heads = (size_t)(c->n_heads + c->n_kv_heads), a = (size_t)c->head_dim, at;
	for (size_t t = 0; h->q.dw && c1 > c0 && t < (size_t)tokens; t++)
		for (size_t i = 0; i < heads; i++) {
			const struct trit_net_norm *norm = norm_of(h, (int)i, &at);
			size_t first = (t * heads + i) * a + c0;
			k->rmsnorm_backward_w(norm->dw + at + c0, h->x + first, dy + first, a, h->r + t * heads + i, 1,
			                      (int)(c1 - c0));
			trit_bias_backward(norm->dbias ? norm->dbias + at : NULL, dy + first - c0, a, 1, c0, c1);
		}
}

/* ---- GELU and caps ----------------------------------------------------------------------------------------------- */

enum { BLOCK = 256 };

/* gelu(g) = g s(g) with s = 1 / (1 + exp(-2 u)), u = sqrt(2 / pi) (g + 0.044715 g^3): the kernel gives g s, and so s
 * (1/2 at 0); d gelu = s + g s (1 - s) 2 u'. */
trit_silu_mul_fn *trit_activation_mul(const struct trit_kernels *k, enum trit_activation activation)
{
	return activation == TRIT_ACT_GELU ? k->gelu_mul : activation == TRIT_ACT_RELU2 ? k->relu2_mul : k->silu_mul;
}

void trit_gelu_mul_backward(const struct trit_kernels *k, float *dgate, float *dup, const float *gate, const float *up,
                            const float *dy, int n)
{
	const float slope = 1.5957691216057308f, cubic = 3 * 0.044715f; /* 2 sqrt(2 / pi) */
	float ones[BLOCK], gelu[BLOCK];
	for (int i = 0; i < BLOCK; i++)
		ones[i] = 1;
	for (int at = 0; at < n; at += BLOCK) {
		int m = n - at < BLOCK ? n - at : BLOCK;
		k->gelu_mul(gelu, gate + at, ones, m);
		for (int i = 0; i < m; i++) {
			float g = gate[at + i], u = up[at + i], d = dy[at + i];
			float s = g == 0 ? 0.5f : gelu[i] / g;
			dgate[at + i] = d * u * (s + gelu[i] * (1 - s) * slope * (1 + cubic * g * g));
			dup[at + i] = d * gelu[i];
		}
	}
}

void trit_softcap_backward(float *dx, const float *x, float cap, int n)
{
	for (int i = 0; i < n; i++)
		dx[i] *= 1 - x[i] / cap * (x[i] / cap);
}
