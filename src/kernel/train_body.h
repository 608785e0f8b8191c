/*
 * train_body.h - the float kernels of training: backward passes, cross-entropy, the optimiser.
 *
 * Written once on vec.h and compiled for each instruction set; included after float_body.h. Contracts are in kernel.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/fmath.h"

static void rmsnorm_backward(float *dx, const float *x, const float *w, const float *dy, float r, int n)
{
	struct vec s = vec_zero();

	VEC_FOR(i, m, n)
		s = vec_fma(vec_load_n(x + i, m), vec_mul(vec_load_n(w + i, m), vec_load_n(dy + i, m)), s);
	float pull = r * r * r / (float)n * vec_sum(s);
	VEC_FOR(i, m, n) {
		struct vec d = vec_mul(vec_load_n(w + i, m), vec_load_n(dy + i, m));
		d = vec_fma(vec_set1(r), d, vec_load_n(dx + i, m));
		vec_store_n(dx + i, vec_fma(vec_load_n(x + i, m), vec_set1(-pull), d), m);
	}
}

/** dw for 16 * vecs columns, or m of the last 16. */
VEC_INLINE void rmsnorm_columns(float *dw, const float *x, const float *dy, size_t ld, const float *r, int tokens,
                                int vecs, int m)
{
	struct vec s[4];

#pragma GCC unroll 4
	for (int j = 0; j < vecs; j++)
		s[j] = vec_load_n(dw + 16 * j, m);
	for (int t = 0; t < tokens; t++, x += ld, dy += ld) {
		struct vec rt = vec_set1(r[t]);

#pragma GCC unroll 4
		for (int j = 0; j < vecs; j++)
			s[j] = vec_fma(vec_load_n(dy + 16 * j, m), vec_mul(vec_load_n(x + 16 * j, m), rt), s[j]);
	}
#pragma GCC unroll 4
	for (int j = 0; j < vecs; j++)
		vec_store_n(dw + 16 * j, s[j], m);
}

static void rmsnorm_backward_w(float *dw, const float *x, const float *dy, size_t ld, const float *r, int tokens,
                               int cols)
{
	int c = 0;

	for (; c + 64 <= cols; c += 64)
		rmsnorm_columns(dw + c, x + c, dy + c, ld, r, tokens, 4, 16);
	for (; c < cols; c += 16)
		rmsnorm_columns(dw + c, x + c, dy + c, ld, r, tokens, 1, cols - c < 16 ? cols - c : 16);
}

/* y = g s u with s = 1 / (1 + e^-g), and ds/dg = s (1 - s):  dg = dy u s (1 + g (1 - s)),  du = dy g s */
static void silu_mul_backward(float *dgate, float *dup, const float *gate, const float *up, const float *dy, int n)
{
	const struct vec one = vec_set1(1);

	VEC_FOR(i, m, n) {
		struct vec g = vec_load_n(gate + i, m), u = vec_load_n(up + i, m), d = vec_load_n(dy + i, m);
		struct vec s = vec_div(one, vec_add(one, vec_exp(vec_sub(vec_zero(), g))));
		struct vec slope = vec_mul(s, vec_fma(g, vec_sub(one, s), one));

		vec_store_n(dgate + i, vec_mul(vec_mul(d, u), slope), m);
		vec_store_n(dup + i, vec_mul(d, vec_mul(g, s)), m);
	}
}

/* y = max(g, 0)^2 u:  dg = dy u 2 max(g, 0),  du = dy max(g, 0)^2 */
static void relu2_mul_backward(float *dgate, float *dup, const float *gate, const float *up, const float *dy, int n)
{
	VEC_FOR(i, m, n) {
		struct vec g = vec_max(vec_zero(), vec_load_n(gate + i, m));
		struct vec u = vec_load_n(up + i, m), d = vec_load_n(dy + i, m);

		vec_store_n(dgate + i, vec_mul(vec_mul(d, u), vec_add(g, g)), m);
		vec_store_n(dup + i, vec_mul(d, vec_mul(g, g)), m);
	}
}

static void softmax_backward(float *ds, const float *p, float scale, int n)
{
	struct vec s = vec_zero();

	VEC_FOR(i, m, n)
		s = vec_fma(vec_load_n(p + i, m), vec_load_n(ds + i, m), s);
	struct vec mean = vec_set1(vec_sum(s));
	VEC_FOR(i, m, n) {
		struct vec d = vec_sub(vec_load_n(ds + i, m), mean);
		vec_store_n(ds + i, vec_mul(vec_mul(vec_set1(scale), vec_load_n(p + i, m)), d), m);
	}
}

static void scores_backward(float *s, float *ds, float scale, float log_sum, float mean, int n)
{
	VEC_FOR(i, m, n) {
		struct vec p = exp_below(s + i, m, scale, log_sum), d = vec_sub(vec_load_n(ds + i, m), vec_set1(mean));

		vec_store_n(s + i, p, m);
		vec_store_n(ds + i, vec_mul(p, d), m);
	}
}

static float cross_entropy(float *logits, int target, float scale, float z, int n)
{
	float at_target = logits[target], max, s = exp_sum(&max, logits, 1, n);
	float p_target = logits[target] / s;
	double log_s = trit_ln((double)s);
	float factor = (float)(1 + 2 * (double)z * (log_s + (double)max)); /* d(z log^2 Z)/d logits = 2 z log Z softmax */

	VEC_FOR(i, m, n) {
		struct vec p = vec_div(vec_load_n(logits + i, m), vec_set1(s));
		vec_store_n(logits + i, vec_mul(vec_set1(scale * factor), p), m);
	}
	logits[target] = scale * (factor * p_target - 1);
	return (float)(log_s - ((double)at_target - (double)max));
}

static void adamw(float *w, float *m, float *v, const float *g, const struct trit_adamw *p, int n)
{
	const struct vec beta1 = vec_set1(p->beta1), beta2 = vec_set1(p->beta2);
	const struct vec rest1 = vec_set1(1 - p->beta1), rest2 = vec_set1(1 - p->beta2);

	VEC_FOR(i, k, n) {
		struct vec gi = vec_mul(vec_load_n(g + i, k), vec_set1(p->g_scale)), wi = vec_load_n(w + i, k);
		struct vec mi = vec_fma(beta1, vec_load_n(m + i, k), vec_mul(rest1, gi));
		struct vec vi = vec_fma(beta2, vec_load_n(v + i, k), vec_mul(vec_mul(rest2, gi), gi));
		struct vec root = vec_add(vec_sqrt(vec_mul(vi, vec_set1(p->correction2))), vec_set1(p->eps));
		struct vec step = vec_div(vec_mul(mi, vec_set1(p->correction1)), root);

		step = vec_fma(vec_set1(p->weight_decay), wi, step);
		vec_store_n(m + i, vec_zero_below(mi, vec_set1(0x1p-100f)), k);
		vec_store_n(v + i, vec_zero_below(vi, vec_set1(0x1p-100f)), k);
		vec_store_n(w + i, vec_fma(vec_set1(-p->lr), step, wi), k);
	}
}

static void train_init(struct trit_kernels *k)
{
	k->rmsnorm_backward = rmsnorm_backward;
	k->rmsnorm_backward_w = rmsnorm_backward_w;
	k->silu_mul_backward = silu_mul_backward;
	k->relu2_mul_backward = relu2_mul_backward;
	k->softmax_backward = softmax_backward;
	k->scores_backward = scores_backward;
	k->cross_entropy = cross_entropy;
	k->adamw = adamw;
}
