/*
 * test_train_ops.c - attention, BitLinear, AdamW and the schedule of training, each against its formula in double
 * precision. The network made of them is tested in test_net.c.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "train/self_attention.h"
#include "train/bitlinear.h"
#include "train/optim.h"
#include "train/muon.h"
#include "train/schedule.h"

static struct trit_kernels kernels; /* plain C */
static struct trit_rng rng;

static int set_up(void **state)
{
	(void)state;
	trit_kernels_fill(&kernels, TRIT_TIER_C);
	trit_rng_init(&rng, 5);
	return 0;
}

static float *normals(size_t n, float scale)
{
	float *x = trit_calloc(n, sizeof *x);

	assert_non_null(x);
	for (size_t i = 0; i < n; i++)
		x[i] = scale * trit_rng_normal(&rng);
	return x;
}

static void check_close(const char *what, size_t i, double got, double expected, double bound)
{
	if (!(fabs(got - expected) <= bound))
		fail_msg("%s[%zu] = %.9g, expected %.9g, bound %.3g", what, i, got, expected, bound);
}

/* ---- attention -------------------------------------------------------------------------------------------------- */

enum { A = 6, GROUP = 3, LD = (GROUP + 2) * A + 3, LDO = GROUP * A + 1, MAX_S = 130 };

/* sum of r . o, with o by the formula; qkv [S, LD]: queries of the group, the key, the value. */
static double attention_loss(int s, const double *qkv, const float *r, double *o)
{
	double p[MAX_S], loss = 0;

	for (int h = 0; h < GROUP; h++)
		for (int i = 0; i < s; i++) {
			double sum = 0;
			for (int j = 0; j <= i; j++) {
				double dot = 0;
				for (int d = 0; d < A; d++)
					dot += qkv[i * LD + h * A + d] * qkv[j * LD + GROUP * A + d];
				sum += p[j] = exp(0.4 * dot);
			}
			for (int d = 0; d < A; d++) {
				double out = 0;
				for (int j = 0; j <= i; j++)
					out += p[j] / sum * qkv[j * LD + (GROUP + 1) * A + d];
				if (o)
					o[i * LDO + h * A + d] = out;
				loss += r[i * LDO + h * A + d] * out;
			}
		}
	return loss;
}

static void check_attention(int s)
{
	size_t n = (size_t)s * LD, n_out = (size_t)s * LDO;
	float *qkv = normals(n, 1), *r = normals(n_out, 1), *o = normals(n_out, 0), *g = normals(n, 0);
	float *scratch = trit_calloc(trit_self_attention_scratch(s, A, GROUP), sizeof *scratch);
	float *log_sum = trit_calloc((size_t)s, GROUP * sizeof *log_sum);
	double *wide = trit_calloc(n, sizeof *wide), *expected = trit_calloc(n_out, sizeof *expected);
	struct trit_self_attention a = { .positions = s, .width = A, .group = GROUP, .scale = 0.4f, .q = qkv,
		                    .k = qkv + GROUP * A, .v = qkv + (GROUP + 1) * A, .o = o, .log_sum = log_sum,
		                    .ld = LD, .ldo = LDO, .lds = GROUP };

	assert_true(scratch && wide && expected && log_sum);
	for (size_t i = 0; i < n; i++)
		wide[i] = qkv[i], g[i] = NAN; /* overwritten, not added to */
	attention_loss(s, wide, r, expected);
	trit_self_attention_forward(&a, &kernels, scratch);
	trit_self_attention_backward(&a, &kernels, g, g + GROUP * A, g + (GROUP + 1) * A, r, scratch);
	for (size_t i = 0; i < n_out; i++)
		if (i % LDO < GROUP * A)
			check_close("o", i, o[i], expected[i], 1e-5);
	for (size_t i = 0; i < n; i += (size_t)(1 + s / 8)) { /* some elements of dq, dk and dv */
		double x = wide[i], h = 1e-5, slope;
		if (i % LD >= (GROUP + 2) * A)
			continue;
		wide[i] = x + h;
		slope = attention_loss(s, wide, r, NULL);
		wide[i] = x - h;
		slope = (slope - attention_loss(s, wide, r, NULL)) / (2 * h);
		wide[i] = x;
		check_close("d(qkv)", i, g[i], slope, 1e-5 * (1 + fabs(slope)) * sqrt(s));
	}
	trit_free(qkv);
	trit_free(r);
	trit_free(o);
	trit_free(g);
	trit_free(scratch);
	trit_free(log_sum);
	trit_free(wide);
	trit_free(expected);
}

static void test_attention(void **state)
{
	static const int block = TRIT_ATTENTION_ROWS / GROUP;
	const int lengths[] = { 1, 2, block - 1, block, block + 1, 2 * block, 65, 130 };

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		check_attention(lengths[i]);
}

/* More heads that share keys than a block has rows: the same as each by itself, their gradients of keys summed. */
static void test_many_heads(void **state)
{
	enum { HEADS = TRIT_ATTENTION_ROWS + 1, S = 3, W = 5, LD_ALL = (HEADS + 2) * W, LD_OUT = HEADS * W };
	float *qkv = normals(S * LD_ALL, 1), *d_o = normals(S * LD_OUT, 1), *o = normals(S * LD_OUT, 0);
	float *one = normals(S * LD_OUT, 0), *g = normals(S * LD_ALL, 0), *h = normals(S * LD_ALL, 0);
	float *scratch = trit_calloc(trit_self_attention_scratch(S, W, HEADS), sizeof *scratch), log_sum[S * HEADS];
	double sums[S][2 * W] = { { 0 } };
	struct trit_self_attention all = { .positions = S, .width = W, .group = HEADS, .scale = 0.5f, .q = qkv,
		                               .k = qkv + HEADS * W, .v = qkv + (HEADS + 1) * W, .ld = LD_ALL, .o = o,
		                               .log_sum = log_sum, .ldo = LD_OUT, .lds = HEADS };

	(void)state;
	assert_non_null(scratch);
	trit_self_attention_forward(&all, &kernels, scratch);
	trit_self_attention_backward(&all, &kernels, g, g + HEADS * W, g + (HEADS + 1) * W, d_o, scratch);
	for (int i = 0; i < HEADS; i++) {
		struct trit_self_attention a = all;
		float *dkv = h + HEADS * W;
		a.group = 1;
		a.q = qkv + i * W;
		a.o = one + i * W;
		a.log_sum = log_sum + i;
		trit_self_attention_forward(&a, &kernels, scratch);
		trit_self_attention_backward(&a, &kernels, h + i * W, dkv, dkv + W, d_o + i * W, scratch);
		for (int t = 0; t < S; t++)
			for (int j = 0; j < 2 * W; j++)
				sums[t][j] += dkv[t * LD_ALL + j];
	}
	for (int i = 0; i < S * LD_OUT; i++)
		check_close("o", (size_t)i, o[i], one[i], 1e-6);
	for (int t = 0; t < S; t++)
		for (int j = 0; j < LD_ALL; j++)
			check_close("d(qkv)", (size_t)j, g[t * LD_ALL + j],
			            j < HEADS * W ? h[t * LD_ALL + j] : sums[t][j - HEADS * W], 2e-5);
	trit_free(qkv);
	trit_free(d_o);
	trit_free(o);
	trit_free(one);
	trit_free(g);
	trit_free(h);
	trit_free(scratch);
}

/* ---- BitLinear -------------------------------------------------------------------------------------------------- */

enum { M = 21, K = 35, T = 9, LDX = K + 2, LDY = M + 4 };

/* Codes by hand: the borders 0.5 g are exact in these numbers. mean |w| = 1, so g = 1. */
static void test_codes(void **state)
{
	static const float w[] = { 0.5f, -0.5f, 0.50000006f, -0.50000006f, 1.5f, -3.0f, 0.0f, 1.49999988f };
	static const int8_t ternary[] = { 0, 0, 1, -1, 1, -1, 0, 1 };
	static const float centred[] = { 1, 2, 3, 6, -2 }; /* mean 2, mean |w| 2.8 */
	static const int8_t binary[] = { -1, -1, 1, 1, -1 };
	int8_t codes[8];
	struct trit_weight_scale s = trit_weight_scale(&kernels, TRIT_WEIGHT_TERNARY, w, 8);

	(void)state;
	assert_true(s.scale == 1 && s.inverse == 1);
	trit_weight_codes(&kernels, TRIT_WEIGHT_TERNARY, s, codes, w, 8);
	assert_memory_equal(codes, ternary, sizeof ternary);
	s = trit_weight_scale(&kernels, TRIT_WEIGHT_BINARY, centred, 5);
	assert_true(s.mean == 2 && s.scale == 2.8f);
	trit_weight_codes(&kernels, TRIT_WEIGHT_BINARY, s, codes, centred, 5);
	assert_memory_equal(codes, binary, sizeof binary);
	s = trit_weight_scale(&kernels, TRIT_WEIGHT_TERNARY, (float[4]){ 0 }, 4); /* never zero */
	assert_true(s.scale == TRIT_QUANT_EPS);
}

/* Forward, and both backward products, from the codes and scales that the quantisers gave. */
static void check_bitlinear(enum trit_weight_kind kind, bool norm)
{
	size_t padded = trit_q_padded(K);
	bool full = kind == TRIT_WEIGHT_FULL;
	float *w = normals(M * K, 0.3f), *x = normals(T * LDX, 2), *nw = normals(K, 1), *xn = normals(T * LDX, 0);
	float *y = normals(T * LDY, 0), *dy = normals(T * LDY, 1), *dx = normals(T * K, 0), *xd = normals(T * LDX, 0);
	float *dw = normals(M * K, 0), *scratch = normals(TRIT_GEMM_SCRATCH, 0);
	int8_t codes[M * K] = { 0 }, made[M * K], q[T * 64];
	unsigned char t2[4096];
	float wq[M * K], step[T], r[T], scale = 1;
	int32_t sum[T];
	struct trit_bitlinear b = { .kind = kind, .rows = M, .cols = K, .w = w, .dw = dw, .scales = &scale,
		                    .codes = codes, .t2 = full ? NULL : t2, .wq = full ? w : wq };
	struct trit_bit_input in = { .width = K, .r = r, .q = full ? NULL : q, .step = step, .sum = sum };

	assert_true(trit_layout_bytes(TRIT_T2, M, K) <= sizeof t2 && padded <= 64);
	trit_bitlinear_quantise(&b, &kernels, made);
	if (!full) {
		size_t counts[3] = { 0 };
		for (int i = 0; i < M * K; i++) {
			counts[codes[i] + 1]++;
			assert_true(wq[i] == scale * codes[i]);
		}
		assert_memory_equal(b.counts, counts, sizeof counts);
	}
	for (int t0 = 0; t0 < T; t0 += 4) { /* in ranges, as threads do it */
		int t1 = t0 + 4 < T ? t0 + 4 : T;
		trit_bit_input_forward(&in, &kernels, x, LDX, norm ? nw : NULL, 1e-5f, xn, LDX, t0, t1);
		trit_bitlinear_forward(&b, &kernels, y, LDY, &in, xn, LDX, t0, t1, false, scratch);
		trit_bit_input_expand(&in, &kernels, x, LDX, norm ? nw : NULL, 1e-5f, 1, xd, LDX, t0, t1);
		trit_bitlinear_backward_x(&b, &kernels, dx, dy, LDY, false, t0, t1, scratch);
		trit_bitlinear_backward_x(&b, &kernels, dx, dy, LDY, true, t0, t1, scratch); /* twice: 2 dy g T */
	}
	for (int r0 = 0; r0 < M; r0 += 16)
		trit_bitlinear_backward_w(&b, &kernels, dy, LDY, xd, LDX, T, r0, r0 + 16 < M ? r0 + 16 : M, scratch);

	for (int t = 0; t < T; t++) {
		double squares = 0, most = 1e-5;
		for (int k = 0; k < K; k++)
			squares += (double)x[t * LDX + k] * x[t * LDX + k];
		for (int k = 0; k < K; k++) {
			double v = x[t * LDX + k] * (norm ? nw[k] / sqrt(squares / K + 1e-5) : 1);
			check_close("xn", (size_t)(t * K + k), xn[t * LDX + k], v, 1e-5);
			most = fmax(most, fabs((double)xn[t * LDX + k]));
		}
		for (int k = 0; k < K; k++) {
			double v = xn[t * LDX + k];
			if (!full) {
				assert_true(fabs(v * 127 / most - q[(size_t)t * padded + (size_t)k]) <= 0.5 + 1e-4);
				check_close("step", (size_t)t, step[t], most / 127, 1e-7 * most);
				v = q[(size_t)t * padded + (size_t)k] * (most / 127);
			}
			check_close("xd", (size_t)(t * K + k), xd[t * LDX + k], v, 1e-6 * most);
		}
		for (int m = 0; m < M; m++) {
			double v = 0;
			for (int k = 0; k < K; k++)
				v += (double)b.wq[m * K + k] * xd[t * LDX + k];
			check_close("y", (size_t)(t * M + m), y[t * LDY + m], v, 1e-5);
		}
		for (int k = 0; k < K; k++) {
			double v = 0;
			for (int m = 0; m < M; m++)
				v += 2.0 * dy[t * LDY + m] * b.wq[m * K + k];
			check_close("dx", (size_t)(t * K + k), dx[t * K + k], v, 1e-5);
		}
	}
	for (int m = 0; m < M; m++)
		for (int k = 0; k < K; k++) {
			double v = 0;
			for (int t = 0; t < T; t++)
				v += (double)dy[t * LDY + m] * xd[t * LDX + k];
			check_close("dw", (size_t)(m * K + k), dw[m * K + k], v, 3e-5);
		}
	float *all[] = { w, x, nw, xn, y, dy, dx, xd, dw, scratch };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		trit_free(all[i]);
}

static void test_bitlinear(void **state)
{
	(void)state;
	for (int kind = TRIT_WEIGHT_TERNARY; kind <= TRIT_WEIGHT_FULL; kind++)
		for (int norm = 0; norm < 2; norm++)
			check_bitlinear((enum trit_weight_kind)kind, norm);
}

/* ---- optimiser -------------------------------------------------------------------------------------------------- */

static const struct trit_config small = { .n_vocab = 19, .n_layers = 1, .d_model = 10, .d_ff = 14, .n_heads = 2,
	                                  .n_kv_heads = 1, .head_dim = 6, .n_rot = 6, .n_ctx = 8, .rope_base = 10000,
	                                  .eps = 1e-5f, .tied = true };
enum { STEPS = 6 };

/* STEPS steps on given gradients; the second is large enough to be clipped. */
static void optimise(struct trit_params *p, struct trit_config *c, const struct trit_recipe *r, struct trit_pool *pool,
                     double *norms)
{
	struct trit_optim o;
	struct trit_rng gradients;
	struct trit_error err;

	*c = small;
	trit_config_set_arch(c, trit_arch_by_name("bitnet", 6));
	assert_int_equal(trit_params_init(p, c, &err), 0);
	trit_params_randomise(p, c, 3);
	assert_int_equal(trit_optim_init(&o, p, &kernels, pool, r, NULL, &err), 0);
	trit_rng_init(&gradients, 8);
	for (int t = 1; t <= STEPS; t++) {
		for (int i = 0; i < p->n; i++)
			for (size_t j = 0; j < p->list[i].rows * p->list[i].cols; j++)
				p->g[p->list[i].offset + j] = (t == 2 ? 1.0f : 0.01f) * trit_rng_normal(&gradients);
		norms[t - 1] = trit_optim_grad_norm(&o);
		trit_optim_step(&o, norms[t - 1], 0.003f * (float)t, 0.1f, t);
		for (size_t i = 0; i < p->total; i++)
			assert_true(p->g[i] == 0);
	}
	trit_optim_release(&o);
}

static void test_adamw(void **state)
{
	struct trit_params p, first;
	struct trit_config c;
	struct trit_rng gradients;
	struct trit_error err;
	double norms[STEPS];

	(void)state;
	struct trit_recipe r = trit_recipe_defaults();
	r.optimizer = TRIT_OPTIMIZER_ADAMW;
	r.embedding_decay = 0.03f;
	optimise(&p, &c, &r, NULL, norms);
	assert_int_equal(trit_params_init(&first, &c, &err), 0);
	trit_params_randomise(&first, &c, 3);
	double *w = trit_calloc(p.total, sizeof *w), *m = trit_calloc(p.total, sizeof *m);
	double *v = trit_calloc(p.total, sizeof *v);
	float *g = trit_calloc(p.total, sizeof *g);
	assert_true(w && m && v && g);
	for (size_t i = 0; i < p.total; i++)
		w[i] = first.w[i];
	trit_rng_init(&gradients, 8);
	for (int t = 1; t <= STEPS; t++) {
		double squares = 0, clip;
		for (int i = 0; i < p.n; i++)
			for (size_t j = p.list[i].offset; j < p.list[i].offset + p.list[i].rows * p.list[i].cols; j++) {
				g[j] = (t == 2 ? 1.0f : 0.01f) * trit_rng_normal(&gradients);
				squares += (double)g[j] * g[j];
			}
		check_close("norm", (size_t)t, norms[t - 1], sqrt(squares), 1e-6 * sqrt(squares));
		clip = fmin(1, 1 / sqrt(squares));
		assert_true((clip < 1) == (t == 2));
		for (int i = 0; i < p.n; i++) {
			enum trit_tensor_kind kind = trit_tensors[p.list[i].id].kind;
			double decay = kind == TRIT_KIND_NORM ? 0 : kind == TRIT_KIND_EMBEDDING ? 0.03 : 0.1;
			for (size_t j = p.list[i].offset; j < p.list[i].offset + p.list[i].rows * p.list[i].cols; j++) {
				m[j] = 0.9 * m[j] + 0.1 * clip * g[j];
				v[j] = 0.95 * v[j] + 0.05 * clip * g[j] * clip * g[j];
				double step = m[j] / (1 - pow(0.9, t)) / (sqrt(v[j] / (1 - pow(0.95, t))) + 1e-8);
				w[j] -= 0.003 * t * (step + decay * w[j]);
			}
		}
	}
	for (size_t i = 0; i < p.total; i++) {
		check_close("w", i, p.w[i], w[i], 1e-6);
		check_close("m", i, p.m[i], m[i], 1e-6 * (1e-3 + fabs(m[i])));
		check_close("v", i, p.v[i], v[i], 2e-6 * v[i]);
	}
	trit_free(w);
	trit_free(m);
	trit_free(v);
	trit_free(g);
	trit_params_release(&first);
	trit_params_release(&p);
}

static void test_optim_threads(void **state)
{
	struct trit_pool *pool;
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_pool_new(&pool, 5, &err), 0);
	for (int optimizer = TRIT_OPTIMIZER_ADAMW; optimizer <= TRIT_OPTIMIZER_NORMUON; optimizer++) {
		struct trit_params one, many;
		struct trit_config c, d;
		double norms[2][STEPS];
		struct trit_recipe r = trit_recipe_defaults();
		r.optimizer = optimizer;
		optimise(&one, &c, &r, NULL, norms[0]);
		optimise(&many, &d, &r, pool, norms[1]);
		assert_memory_equal(norms[0], norms[1], sizeof norms[0]);
		assert_memory_equal(one.w, many.w, one.total * sizeof *one.w);
		assert_memory_equal(one.v, many.v, one.total * sizeof *one.v);
		trit_params_release(&one);
		trit_params_release(&many);
	}
	trit_pool_free(pool);
}

/* ---- Muon, in double, by plain loops ---------------------------------------------------------------------------- */

enum { MUON_MOST = 24 };

/* c [n, p] = a [n, m] b [m, p] */
static void multiply(double c[][MUON_MOST], double a[][MUON_MOST], double b[][MUON_MOST], int n, int m, int p)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < p; j++) {
			c[i][j] = 0;
			for (int k = 0; k < m; k++)
				c[i][j] += a[i][k] * b[k][j];
		}
}

static double frobenius(double a[][MUON_MOST], int n, int m)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < m; j++)
			sum += a[i][j] * a[i][j];
	return sqrt(sum);
}

/* X = a X + (b X X^T + c (X X^T)^2) X, whatever the shape. */
static void newton_schulz(double x[][MUON_MOST], int n, int m)
{
	double t[MUON_MOST][MUON_MOST], gram[MUON_MOST][MUON_MOST], square[MUON_MOST][MUON_MOST], y[MUON_MOST][MUON_MOST];
	double norm = frobenius(x, n, m);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < m; j++)
			x[i][j] /= norm;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < n; i++)
			for (int j = 0; j < m; j++)
				t[j][i] = x[i][j];
		multiply(gram, x, t, n, m, n);
		multiply(square, gram, gram, n, n, n);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				gram[i][j] = -4.7750 * gram[i][j] + 2.0315 * square[i][j];
		multiply(y, gram, x, n, n, m);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < m; j++)
				x[i][j] = 3.4445 * x[i][j] + y[i][j];
	}
}

static void check_muon(int n, int m, bool even)
{
	struct trit_muon o = { .lr = 0.01f, .momentum = 0.9f, .weight_decay = 0.1f, .g_scale = 0.5f, .even = even,
		               .beta2 = 0.95f };
	size_t all = (size_t)n * (size_t)m;
	float *w = trit_calloc(all, 4), *mom = trit_calloc(all, 4), *g = trit_calloc(all, 4);
	float *v = trit_calloc((size_t)n, 4);
	float *scratch = trit_calloc(trit_muon_scratch((size_t)n, (size_t)m), sizeof *scratch);
	double dw[MUON_MOST][MUON_MOST], dm[MUON_MOST][MUON_MOST] = { { 0 } }, x[MUON_MOST][MUON_MOST];
	double dv[MUON_MOST] = { 0 };

	assert_true(w && mom && v && g && scratch);
	trit_rng_init(&rng, (uint64_t)(n * 100 + m));
	for (size_t i = 0; i < all; i++)
		dw[i / (size_t)m][i % (size_t)m] = (double)(w[i] = trit_rng_normal(&rng));
	for (int step = 0; step < 3; step++) {
		for (size_t i = 0; i < all; i++)
			g[i] = trit_rng_normal(&rng);
		trit_muon_step(w, mom, v, g, (size_t)n, (size_t)m, &o, &kernels, scratch);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < m; j++) {
				double in = 0.1 * 0.5 * (double)g[i * m + j];
				dm[i][j] = 0.9 * dm[i][j] + in;
				x[i][j] = 0.9 * dm[i][j] + in;
			}
		newton_schulz(x, n, m);
		for (int i = 0; i < n && even; i++) {
			double mean = 0;
			for (int j = 0; j < m; j++)
				mean += x[i][j] * x[i][j] / m;
			dv[i] = 0.95 * dv[i] + 0.05 * mean;
			for (int j = 0; j < m; j++)
				x[i][j] /= sqrt(dv[i]);
		}
		double norm = frobenius(x, n, m);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < m; j++)
				dw[i][j] -= 0.01 * (0.2 * sqrt((double)n * m) / norm * x[i][j] + 0.1 * dw[i][j]);
	}
	for (size_t i = 0; i < all; i++)
		check_close("w", i, w[i], dw[i / (size_t)m][i % (size_t)m], 2e-5);
	trit_free(w);
	trit_free(mom);
	trit_free(v);
	trit_free(g);
	trit_free(scratch);
}

static void test_muon(void **state)
{
	(void)state;
	for (int even = 0; even < 2; even++) {
		check_muon(7, 19, even);
		check_muon(19, 7, even);
		check_muon(16, 16, even);
		check_muon(1, 24, even);
		check_muon(24, 1, even);
	}
	assert_true(trit_muon_scratch(SIZE_MAX / 2, 3) == SIZE_MAX);
}

/* What a step takes from weights 0 for a gradient whose singular values fall as 1 / k. */
static float *muon_direction(int n, int m, const struct trit_kernels *k)
{
	struct trit_muon o = { .lr = 1, .g_scale = 1 };
	float *w = trit_calloc((size_t)n * (size_t)m, 4), *mom = trit_calloc((size_t)n * (size_t)m, 4), *left, *right;
	float *g = trit_calloc((size_t)n * (size_t)m, 4), *v = trit_calloc((size_t)n, 4);
	float *scratch = trit_calloc(trit_muon_scratch((size_t)n, (size_t)m), sizeof *scratch);
	int s = n < m ? n : m;

	assert_true(w && mom && g && v && scratch);
	trit_rng_init(&rng, 3);
	left = normals((size_t)n * (size_t)s, 1);
	right = normals((size_t)s * (size_t)m, 1);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < m; j++)
			for (int p = 0; p < s; p++)
				g[i * m + j] += left[i * s + p] * right[p * m + j] / (float)(p + 1);
	trit_muon_step(w, mom, v, g, (size_t)n, (size_t)m, &o, k, scratch);
	trit_free(mom);
	trit_free(g);
	trit_free(v);
	trit_free(scratch);
	trit_free(left);
	trit_free(right);
	return w;
}

/* In bfloat16 the direction is that of fp32, also where the gradient is nearly of low rank. */
static void test_muon_bf16(void **state)
{
	static const int shapes[][2] = { { 96, 160 }, { 160, 96 }, { 130, 130 } };
	struct trit_kernels rounds = kernels;

	(void)state;
	rounds.gemm_f32 = rounds.gemm_bf16;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		int n = shapes[i][0], m = shapes[i][1];
		float *x = muon_direction(n, m, &kernels), *y = muon_direction(n, m, &rounds);
		double xy = 0, xx = 0, yy = 0;
		for (int j = 0; j < n * m; j++) {
			xy += (double)x[j] * (double)y[j];
			xx += (double)x[j] * (double)x[j];
			yy += (double)y[j] * (double)y[j];
		}
		if (!(xy > 0.99 * sqrt(xx * yy)))
			fail_msg("%d x %d: the cosine is %g", n, m, xy / sqrt(xx * yy));
		trit_free(x);
		trit_free(y);
	}
}

/* The learning rate and momentum of projections by Muon are their own. */
static void test_muon_settings(void **state)
{
	struct trit_params plain, other;
	struct trit_config c;
	struct trit_recipe r = trit_recipe_defaults();
	double norms[STEPS];

	(void)state;
	r.optimizer = TRIT_OPTIMIZER_MUON;
	r.lr = r.muon_lr = 1;
	optimise(&plain, &c, &r, NULL, norms);
	for (int which = 0; which < 2; which++) {
		r.muon_lr = which ? 1 : 3;
		r.momentum_warmup = which ? STEPS / 2 : 0;
		optimise(&other, &c, &r, NULL, norms);
		for (int i = 0; i < plain.n; i++) {
			const struct trit_param *t = &plain.list[i];
			bool same = !memcmp(plain.w + t->offset, other.w + t->offset, t->rows * t->cols * sizeof *plain.w);
			assert_true(same == (trit_tensors[t->id].kind != TRIT_KIND_LINEAR));
		}
		trit_params_release(&other);
	}
	trit_params_release(&plain);
}

static void test_first_weights(void **state)
{
	struct trit_params p;
	struct trit_config c = small;
	struct trit_error err;

	(void)state;
	trit_config_set_arch(&c, trit_arch_by_name("bitnet", 6));
	c.n_vocab = 700, c.d_model = 64, c.d_ff = 128, c.n_layers = 2;
	assert_int_equal(trit_params_init(&p, &c, &err), 0);
	trit_params_randomise(&p, &c, 1);
	for (int i = 0; i < p.n; i++) {
		const struct trit_param *t = &p.list[i];
		size_t n = t->rows * t->cols;
		double squares = 0, expected = 0.02;
		for (size_t j = 0; j < n; j++)
			squares += (double)p.w[t->offset + j] * p.w[t->offset + j] / (double)n;
		if (trit_tensors[t->id].kind == TRIT_KIND_NORM)
			expected = 1;
		else if (t->id == TRIT_TENSOR_ATTN_OUTPUT || t->id == TRIT_TENSOR_FFN_DOWN)
			expected = 0.02 / 2; /* sqrt(2 L) = 2 */
		check_close("deviation of tensor", (size_t)i, sqrt(squares), expected, 3 * expected / sqrt((double)n));
	}
	assert_null(trit_params_find(&p, TRIT_TENSOR_OUTPUT, 0));
	trit_params_release(&p);
}

/* ---- schedule --------------------------------------------------------------------------------------------------- */

static void test_schedule(void **state)
{
	struct trit_recipe r = trit_recipe_defaults();

	(void)state;
	r.schedule = TRIT_SCHEDULE_TWO_STAGE;
	r.lr = 1e-3f, r.lr2 = 5e-4f, r.weight_decay = 0.1f, r.weight_decay2 = 0, r.warmup = 4;
	const struct {
		int step;
		double lr, decay;
	} expected[] = {
		/* warm-up 1/4, 2/4, 3/4, 1; the line 1 - t/100; half the rate from 50 on */
		{ 0, 1e-3 * 0.25 * 1.00, 0.1 }, { 1, 1e-3 * 0.50 * 0.99, 0.1 }, { 3, 1e-3 * 1.00 * 0.97, 0.1 },
		{ 4, 1e-3 * 0.96, 0.1 },        { 49, 1e-3 * 0.51, 0.1 },       { 50, 5e-4 * 0.50, 0 },
		{ 99, 5e-4 * 0.01, 0 },
	};
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		check_close("lr", i, trit_schedule_lr(&r, expected[i].step, 100), expected[i].lr, 1e-10);
		check_close("decay", i, trit_schedule_weight_decay(&r, expected[i].step, 100), expected[i].decay, 1e-8);
	}
	r.warmup = 375; /* at most a tenth: 2 of 20 steps */
	check_close("lr", 0, trit_schedule_lr(&r, 0, 20), 1e-3 * 0.5, 1e-10);
	check_close("lr", 1, trit_schedule_lr(&r, 1, 20), 1e-3 * 0.95, 1e-10);
	check_close("lr", 2, trit_schedule_lr(&r, 0, 1), 5e-4, 1e-10); /* a run of one step: no warm-up */

	r.schedule = TRIT_SCHEDULE_LINEAR; /* no drop half-way */
	check_close("linear", 60, trit_schedule_lr(&r, 60, 100), 1e-3 * 0.4, 1e-10);
	r.schedule = TRIT_SCHEDULE_COSINE;
	check_close("cosine", 50, trit_schedule_lr(&r, 50, 100), 1e-3 * 0.55, 1e-9);
	check_close("cosine", 99, trit_schedule_lr(&r, 99, 100), 1e-3 * (0.55 + 0.45 * cos(acos(-1) * 0.99)), 1e-9);
	r.schedule = TRIT_SCHEDULE_WSD;
	r.decay_share = 0.2f;
	check_close("wsd", 79, trit_schedule_lr(&r, 79, 100), 1e-3, 1e-9);
	check_close("wsd", 90, trit_schedule_lr(&r, 90, 100), 5e-4, 1e-9);
	r.decay = TRIT_DECAY_SQRT;
	check_close("wsd", 79, trit_schedule_lr(&r, 79, 100), 1e-3, 1e-9);
	check_close("wsd", 90, trit_schedule_lr(&r, 90, 100), 1e-3 * (1 - sqrt(0.5)), 1e-9);
	r.decay_share = 0; /* constant */
	check_close("wsd", 99, trit_schedule_lr(&r, 99, 100), 1e-3, 1e-9);
}

static void test_warmups(void **state)
{
	struct trit_recipe r = trit_recipe_defaults();
	double low = 1 / (1 + exp(5));

	(void)state;
	assert_true(trit_schedule_quantisation(&r, 0) == 1);
	r.quant_warmup = 8;
	check_close("linear", 2, trit_schedule_quantisation(&r, 2), 0.25, 1e-7);
	r.quant_ramp = TRIT_RAMP_EXPONENTIAL;
	check_close("exponential", 2, trit_schedule_quantisation(&r, 2), 1 - pow(0.75, 4), 1e-7);
	r.quant_ramp = TRIT_RAMP_SIGMOID;
	check_close("sigmoid", 2, trit_schedule_quantisation(&r, 2), (1 / (1 + exp(2.5)) - low) / (1 - 2 * low), 1e-7);
	check_close("sigmoid", 4, trit_schedule_quantisation(&r, 4), 0.5, 1e-7);
	for (r.quant_ramp = 0; r.quant_ramp < 3; r.quant_ramp++) {
		check_close("begin", r.quant_ramp, trit_schedule_quantisation(&r, 0), 0, 1e-7);
		assert_true(trit_schedule_quantisation(&r, 8) == 1 && trit_schedule_quantisation(&r, 7) < 1);
	}
	assert_true(trit_schedule_momentum(&r, 0) == r.momentum);
	r.momentum_warmup = 10;
	check_close("momentum", 0, trit_schedule_momentum(&r, 0), 0.85, 1e-7);
	check_close("momentum", 5, trit_schedule_momentum(&r, 5), 0.9, 1e-7);
	assert_true(trit_schedule_momentum(&r, 10) == r.momentum);
}

/* ---- recipe ----------------------------------------------------------------------------------------------------- */

static void test_settings_as_text(void **state)
{
	struct trit_recipe r = trit_recipe_defaults(), back;
	struct trit_error err;
	char text[TRIT_SETTING_BYTES];

	(void)state;
	assert_int_equal(trit_recipe_apply_size(&r, "1m", &err), 0);
	r.weights = TRIT_WEIGHT_BINARY, r.activation = TRIT_ACT_RELU2, r.untied = true;
	r.seed = UINT64_MAX, r.lr = 1.0f / 3;
	memset(&back, 0, sizeof back);
	for (int i = 0; i < trit_n_settings; i++) {
		trit_setting_print(text, &trit_settings[i], &r);
		if (trit_setting_parse(&back, &trit_settings[i], text, &err))
			fail_msg("%s", err.message);
		assert_string_not_equal(text, "");
	}
	for (int i = 0; i < trit_n_settings; i++) { /* every bit */
		char again[TRIT_SETTING_BYTES];
		trit_setting_print(text, &trit_settings[i], &r);
		trit_setting_print(again, &trit_settings[i], &back);
		assert_string_equal(text, again);
	}
	assert_true(back.seed == r.seed && back.lr == r.lr && back.n_heads == r.n_heads && back.untied);
	for (int i = 0; i < trit_n_settings; i++) {
		assert_int_equal(trit_setting_parse(&back, &trit_settings[i], "", &err), TRIT_ERR_FORMAT);
		assert_int_equal(trit_setting_parse(&back, &trit_settings[i], "12x", &err), TRIT_ERR_FORMAT);
		assert_non_null(strstr(err.message, trit_settings[i].name));
	}
	assert_int_equal(trit_recipe_apply_size(&r, "huge", &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "260k"));
}

/* Impossible networks are refused in the words of the command line. */
static void test_impossible_recipes(void **state)
{
	const struct {
		int weights, activation, heads, kv, head_dim;
		const char *message;
	} bad[] = {
		{ TRIT_WEIGHT_FULL, TRIT_ACT_RELU2, 4, 4, 16, "--activation" },
		{ TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, 4, 3, 16, "key/value heads" },
		{ TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, 4, 4, 15, "--head-dim" },
	};
	struct trit_config c;
	struct trit_error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct trit_recipe r = trit_recipe_defaults();
		r.weights = bad[i].weights, r.activation = bad[i].activation, r.n_heads = bad[i].heads;
		r.n_kv_heads = bad[i].kv, r.head_dim = bad[i].head_dim;
		assert_int_equal(trit_recipe_apply_size(&r, "260k", &err), 0);
		r.head_dim = bad[i].head_dim;
		assert_int_equal(trit_recipe_config(&r, &c, &err), TRIT_ERR_ARG);
		if (!strstr(err.message, bad[i].message))
			fail_msg("\"%s\" lacks \"%s\"", err.message, bad[i].message);
	}
}

/* Probabilities that are nothing beside others are 0, in every tier: no product of them is subnormal. */
static void test_small_probabilities(void **state)
{
	static const float below[] = { 0, -40, -44.3f, -44.5f, -60, -87, -95, -110, -INFINITY };
	enum { N = sizeof below / sizeof *below, KEPT = 3 };

	(void)state;
	for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
		struct trit_kernels k;
		float x[N], ds[N], max;

		if (!trit_tier_here((enum trit_tier)tier))
			continue;
		trit_kernels_fill(&k, (enum trit_tier)tier);
		for (int i = 0; i < N; i++)
			x[i] = 28 + 4 * below[i];
		assert_true(k.exp_sum(&max, x, 0.25f, N) == 1 && max == 7);
		for (int i = 0; i < N; i++)
			assert_true(i < KEPT ? fabs((double)x[i] / exp((double)below[i]) - 1) < 1e-5 : x[i] == 0);
		for (int i = 0; i < N; i++) {
			x[i] = 4 * below[i];
			ds[i] = 1;
		}
		k.scores_backward(x, ds, 0.25f, 0, 0, N);
		for (int i = KEPT; i < N; i++)
			assert_true(x[i] == 0 && ds[i] == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attention),
		cmocka_unit_test(test_many_heads),
		cmocka_unit_test(test_small_probabilities),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_bitlinear),
		cmocka_unit_test(test_adamw),
		cmocka_unit_test(test_optim_threads),
		cmocka_unit_test(test_muon),
		cmocka_unit_test(test_muon_bf16),
		cmocka_unit_test(test_muon_settings),
		cmocka_unit_test(test_first_weights),
		cmocka_unit_test(test_schedule),
		cmocka_unit_test(test_warmups),
		cmocka_unit_test(test_settings_as_text),
		cmocka_unit_test(test_impossible_recipes),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
