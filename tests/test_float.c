/*
 * test_float.c - the float kernels in plain C against their formulas in double precision, backward passes against
 * central differences of those formulas. That the other forms give the same bits is the business of checkasm.
 *
 * The body of the kernels is included, to reach vec_exp().
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define VEC_C
#include "kernel/float_body.h"

#include "base/rng.h"

static struct trit_kernels kernels; /* plain C */
static struct trit_rng rng;

static const int lengths[] = {1, 2, 15, 16, 17, 33, 100, 257};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths, MAX = 257 };

static int set_up(void **state)
{
	(void)state;
	trit_kernels_fill(&kernels, TRIT_TIER_C);
	float_init(&kernels); /* the copy that is included here */
	trit_rng_init(&rng, 11);
	return 0;
}

static void fill(float *x, int n, double scale)
{
	for (int i = 0; i < n; i++)
		x[i] = (float)(trit_rng_normal(&rng) * scale);
}

static void widen(double *y, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = x[i];
}

static void check_close(const char *what, int n, int i, double got, double expected, double bound)
{
	if (!(fabs(got - expected) <= bound)) /* also when NaN */
		fail_msg("n %d: %s[%d] = %.9g, expected %.9g: error %.3g, bound %.3g", n, what, i, got, expected,
		         fabs(got - expected), bound);
}

/* ---- formulas in double ------------------------------------------------------------------------------------------ */

static double exact_silu_mul(double g, double u)
{
	return g / (1 + exp(-g)) * u;
}

static double exact_relu2_mul(double g, double u)
{
	return g > 0 ? g * g * u : 0;
}

static void exact_rmsnorm(double *y, const double *x, const double *w, int n)
{
	double s = 0;

	for (int i = 0; i < n; i++)
		s += x[i] * x[i];
	for (int i = 0; i < n; i++)
		y[i] = x[i] / sqrt(s / n + 1e-5) * w[i];
}

static void exact_softmax(double *p, const double *x, int n)
{
	double max = -INFINITY, s = 0;

	for (int i = 0; i < n; i++)
		max = fmax(max, x[i]);
	for (int i = 0; i < n; i++)
		s += p[i] = exp(x[i] - max);
	for (int i = 0; i < n; i++)
		p[i] /= s;
}

static double exact_cross_entropy(const double *x, int target, double z, int n)
{
	double p[MAX];

	exact_softmax(p, x, n);
	double log_z = x[target] - log(p[target]);
	return -log(p[target]) + z * log_z * log_z;
}

/* ---- exp --------------------------------------------------------------------------------------------------------- */

static float exp_of(float x)
{
	return vec_exp(vec_set1(x)).f[7];
}

static void test_exp(void **state)
{
	double worst = 0;

	(void)state;
	/* Both signs, magnitudes 2^-30 to 128, every 4099th float. */
	for (uint32_t bits = 0x30800000; bits < 0x43000000; bits += 4099 * 8) {
		struct vec x, y;

		for (int i = 0; i < 16; i++)
			x.f[i] = trit_f32_from_bits((bits + (uint32_t)i / 2 * 4099) | (i % 2 ? 0x80000000 : 0));
		y = vec_exp(x);
		for (int i = 0; i < 16; i++) {
			double e = exp((double)x.f[i]);

			if (e > FLT_MAX) {
				assert_true(y.f[i] == INFINITY || e < FLT_MAX * (1 + 0x1p-23));
				continue;
			}
			double ulp = ldexp(1, (e < FLT_MIN ? -126 : ilogb(e)) - 23);
			worst = fmax(worst, fabs(y.f[i] - e) / ulp);
		}
	}
	if (worst > 1)
		fail_msg("exp is off by %.3f ulp", worst);
	assert_true(exp_of(0) == 1 && exp_of(-0.0f) == 1);
	assert_true(exp_of(-INFINITY) == 0 && exp_of(-1e30f) == 0 && exp_of(-104) == 0);
	assert_true(exp_of(-103) > 0 && exp_of(-87.4f) < FLT_MIN && exp_of(-87.4f) > 0);
	assert_true(exp_of(88.72f) < INFINITY && exp_of(88.73f) == INFINITY);
	assert_true(exp_of(INFINITY) == INFINITY && exp_of(1e30f) == INFINITY);
	assert_true(isnan(exp_of(NAN)) && isnan(exp_of(-NAN)));
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static void test_reductions(void **state)
{
	float x[MAX];

	(void)state;
	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l];
		double s = 0, absolute = 0, squares = 0;

		fill(x, n, 3);
		for (int i = 0; i < n; i++) {
			s += x[i];
			absolute += fabs((double)x[i]);
			squares += (double)x[i] * x[i];
		}
		check_close("sum", n, 0, kernels.sum(x, n), s, 1e-6 * absolute);
		check_close("sum_abs", n, 0, kernels.sum_abs(x, n), absolute, 1e-6 * absolute);
		check_close("sum_squares", n, 0, kernels.sum_squares(x, n), squares, 1e-6 * squares);
	}
	assert_true(kernels.sum(x, 0) == 0 && kernels.sum_abs(x, 0) == 0 && kernels.sum_squares(x, 0) == 0);
}

/* The order itself, on numbers whose sum depends on it: sums 8 apart, then 4, 2, 1. */
static void test_reduction_order(void **state)
{
	float x[MAX], s[16] = {0};

	(void)state;
	fill(x, 100, 1);
	for (int i = 0; i < 100; i++)
		s[i % 16] = fmaf(x[i], x[i], s[i % 16]);
	float t0 = (s[0] + s[8]) + (s[4] + s[12]), t2 = (s[2] + s[10]) + (s[6] + s[14]);
	float t1 = (s[1] + s[9]) + (s[5] + s[13]), t3 = (s[3] + s[11]) + (s[7] + s[15]);
	float expected = (t0 + t2) + (t1 + t3), got = kernels.sum_squares(x, 100);
	assert_memory_equal(&expected, &got, sizeof got);
}

static void test_rmsnorm(void **state)
{
	float x[MAX], w[MAX], y[MAX], zero[MAX] = {0};
	double xd[MAX], wd[MAX], yd[MAX];

	(void)state;
	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l];
		double s = 0;

		fill(x, n, 2);
		fill(w, n, 1);
		widen(xd, x, n);
		widen(wd, w, n);
		exact_rmsnorm(yd, xd, wd, n);
		float r = kernels.rmsnorm(y, x, w, 1e-5f, n);
		for (int i = 0; i < n; i++) {
			check_close("y", n, i, y[i], yd[i], 1e-6 * fabs(yd[i]));
			s += xd[i] * xd[i];
		}
		check_close("r", n, 0, r, 1 / sqrt(s / n + 1e-5), 1e-6 * r);
	}
	kernels.rmsnorm(y, zero, w, 1e-5f, 40); /* zeros give zeros, not NaN */
	for (int i = 0; i < 40; i++)
		assert_true(y[i] == 0);
}

static void test_layernorm(void **state)
{
	float x[MAX], w[MAX], b[MAX], y[MAX], z[MAX];

	(void)state;
	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l];
		double mean = 0, s = 0;
		fill(x, n, 2);
		fill(w, n, 1);
		fill(b, n, 1);
		for (int i = 0; i < n; i++)
			mean += (double)(x[i] += 3) / n;
		for (int i = 0; i < n; i++)
			s += (x[i] - mean) * (x[i] - mean) / n;
		kernels.layernorm(y, x, w, b, 1e-5f, n);
		kernels.layernorm(z, x, w, NULL, 1e-5f, n);
		for (int i = 0; i < n && n > 1; i++) {
			double d = (x[i] - mean) / sqrt(s + 1e-5) * w[i];
			check_close("layernorm", n, i, y[i], d + b[i], 1e-5 * (fabs(d) + fabs(w[i]) + fabs(b[i])));
			check_close("layernorm without a bias", n, i, z[i], d, 1e-5 * (fabs(d) + fabs(w[i])));
		}
	}
}

/* GELU by tanh, tanh near 0 and far from it, and what is not finite. */
static void test_gelu_and_softcap(void **state)
{
	float g[MAX], u[MAX], y[MAX], z[MAX];

	(void)state;
	fill(g, MAX, 3);
	fill(u, MAX, 1);
	for (int i = 0; i < MAX; i++) {
		g[i] *= i % 5 == 0 ? 1e-3f : i % 7 == 0 ? 20 : 1;
		z[i] = g[i];
	}
	kernels.gelu_mul(y, g, u, MAX);
	kernels.softcap(z, 3, MAX);
	for (int i = 0; i < MAX; i++) {
		double x = (double)g[i], gelu = x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) * (double)u[i];
		double cap = 3 * tanh(x / 3);
		check_close("gelu_mul", MAX, i, y[i], gelu, 3e-6 * fabs(gelu) + 1e-36);
		check_close("softcap", MAX, i, z[i], cap, 4e-7 * fabs(cap));
	}
	float odd[] = { -INFINITY, INFINITY, NAN, 0, -1e30f, 1e30f };
	kernels.softcap(odd, 50, 6);
	assert_true(odd[0] == -50 && odd[1] == 50 && isnan(odd[2]) && odd[3] == 0 && odd[4] == -50 && odd[5] == 50);
	kernels.scale(y, 0.25f, MAX);
	kernels.gelu_mul(z, g, u, MAX);
	for (int i = 0; i < MAX; i++)
		assert_true(y[i] == 0.25f * z[i]);
}

/* Against its definition, sums of the products with +1 and -1: the sign is that of the bits two places share. */
static void test_hadamard(void **state)
{
	enum { MOST = 512 };
	float x[MOST], y[MOST];

	(void)state;
	for (int n = 1; n <= MOST; n *= 2) {
		fill(x, n, 2);
		memcpy(y, x, sizeof x);
		kernels.hadamard(y, n);
		for (int i = 0; i < n; i++) {
			double s = 0;
			for (int j = 0; j < n; j++)
				s += __builtin_parity((unsigned)(i & j)) ? -(double)x[j] : (double)x[j];
			check_close("hadamard", n, i, y[i], s / sqrt(n), 2e-6 * sqrt(n));
		}
	}
}

/* Codes by the formula in double, where rounding leaves no doubt; -8 and 7 are reached and not passed. */
static void test_act_quant4(void **state)
{
	int8_t q[MAX + 64];
	float x[MAX], step;
	int32_t sum;

	(void)state;
	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l], least = 0, most = 0, total = 0;
		double mean = 0;
		fill(x, n, 3);
		x[0] *= 10;
		x[n / 2] *= -10;
		for (int i = 0; i < n; i++)
			mean += fabs((double)x[i]) / n;
		kernels.act_quant4(q, &step, &sum, x, n, MAX + 64);
		check_close("step", n, 0, step, mean / sqrt(7), 1e-6 * mean);
		for (int i = 0; i < n; i++) {
			double v = x[i] * sqrt(7) / mean, rest = fabs(v - floor(v) - 0.5);
			least = q[i] < least ? q[i] : least;
			most = q[i] > most ? q[i] : most;
			total += q[i];
			if (rest > 1e-4)
				assert_int_equal(q[i], (int)fmin(fmax(rint(v), -8), 7));
		}
		for (int i = n; i < MAX + 64; i++)
			assert_int_equal(q[i], 0);
		assert_int_equal(sum, total);
		assert_true(n < 33 || (least == -8 || most == 7));
	}
	memset(x, 0, sizeof x); /* the least scale: codes 0, nothing infinite */
	kernels.act_quant4(q, &step, &sum, x, 17, 64);
	check_close("step", 17, 0, step, 1e-5 / sqrt(7), 1e-11);
	assert_int_equal(sum, 0);
}

static void test_glu(void **state)
{
	const float extremes[] = {0, -0.0f, 1e-40f, 88, 100, 1e30f, -87, -89, -100, -1e30f};
	float g[MAX], u[MAX], y[MAX], z[MAX];

	(void)state;
	fill(g, MAX, 4);
	fill(u, MAX, 2);
	for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++)
		g[20 * i] = extremes[i];
	kernels.silu_mul(y, g, u, MAX);
	kernels.relu2_mul(z, g, u, MAX);
	for (int i = 0; i < MAX; i++) {
		double s = exact_silu_mul(g[i], u[i]), r = exact_relu2_mul(g[i], u[i]);

		check_close("silu_mul", MAX, i, y[i], s, 5e-7 * fabs(s) + 1e-36);
		if (fabs(r) < FLT_MAX)
			check_close("relu2_mul", MAX, i, z[i], r, 2e-7 * fabs(r) + 1e-44);
		else
			assert_true(isinf(z[i]));
	}
	g[0] = NAN; /* a NaN must be seen in the result, not silenced */
	kernels.silu_mul(y, g, u, 1);
	kernels.relu2_mul(z, g, u, 1);
	assert_true(isnan(y[0]) && isnan(z[0]));
}

static void test_rope(void **state)
{
	enum { HEADS = 3, WIDTH = 70 };
	float x[HEADS * WIDTH], y[HEADS * WIDTH], c[35], s[35];

	(void)state;
	for (int number = 0; number < 2 * 35; number++) {
		int pairs = number / 2 + 1;
		bool half = number % 2;

		fill(x, HEADS * WIDTH, 1);
		for (int i = 0; i < pairs; i++) {
			double angle = 6.28 * trit_rng_uniform(&rng);

			c[i] = (float)cos(angle);
			s[i] = (float)sin(angle);
		}
		memcpy(y, x, sizeof x);
		kernels.rope(y, c, s, HEADS, WIDTH, 2 * pairs, half, false);
		for (int h = 0; h < HEADS; h++) {
			for (int i = 0; i < pairs; i++) {
				int at_a = h * WIDTH + (half ? i : 2 * i), at_b = h * WIDTH + (half ? pairs + i : 2 * i + 1);
				double a = x[at_a], b = x[at_b];

				check_close("a", pairs, i, y[at_a], a * c[i] - b * s[i], 1e-6);
				check_close("b", pairs, i, y[at_b], a * s[i] + b * c[i], 1e-6);
			}
			for (int i = 2 * pairs; i < WIDTH; i++) /* the rest of a head does not move */
				assert_true(y[h * WIDTH + i] == x[h * WIDTH + i]);
		}
		kernels.rope(y, c, s, HEADS, WIDTH, 2 * pairs, half, true);
		for (int i = 0; i < HEADS * WIDTH; i++)
			check_close("there and back", pairs, i, y[i], x[i], 2e-6);
	}
}

static void test_softmax(void **state)
{
	float x[MAX], y[MAX];
	double xd[MAX], p[MAX];

	(void)state;
	for (int l = 0; l < 2 * N_LENGTHS; l++) {
		int n = lengths[l / 2];
		double s = 0, top = -INFINITY;

		fill(x, n, l % 2 ? 1e4 : 3); /* wide apart: all but one vanish */
		if (n > 1)
			x[n / 2] = -INFINITY; /* masked */
		widen(xd, x, n);
		exact_softmax(p, xd, n);
		memcpy(y, x, n * sizeof *x);
		kernels.softmax(y, n);
		for (int i = 0; i < n; i++) {
			check_close("p", n, i, y[i], p[i], 3e-6 * p[i] + 1e-44);
			top = fmax(top, xd[i]);
		}
		for (int i = 0; i < n; i++)
			s += exp(xd[i] - top);
		float max, got = kernels.sum_exp(&max, x, n);
		check_close("sum_exp", n, 0, got, s, 1e-6 * s);
		assert_true(max == (float)top);
	}
	x[0] = x[1] = x[2] = -3e38f; /* equal and huge */
	kernels.softmax(x, 3);
	check_close("p", 3, 1, x[1], 1.0 / 3, 1e-7);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* L(x) = sum_i y_i(x) dy_i with y = rmsnorm(x, w); returns L with v[at] moved by h, v being x or w. */
static double rmsnorm_loss(const double *x, const double *w, const double *dy, int n, double *v, int at, double h)
{
	double y[MAX], keep = v[at], loss = 0;

	v[at] += h;
	exact_rmsnorm(y, x, w, n);
	v[at] = keep;
	for (int i = 0; i < n; i++)
		loss += y[i] * dy[i];
	return loss;
}

static void test_rmsnorm_backward(void **state)
{
	enum { TOKENS = 3 };
	float x[TOKENS * MAX], w[MAX], dy[TOKENS * MAX], y[MAX], dx[MAX], dw[MAX], r[TOKENS];
	double xd[TOKENS][MAX], wd[MAX], dyd[TOKENS][MAX], h = 1e-5;

	(void)state;
	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l];

		fill(w, n, 1);
		widen(wd, w, n);
		for (int i = 0; i < n; i++)
			dw[i] = 0.5f; /* gradients add */
		for (int t = 0; t < TOKENS; t++) {
			fill(x + t * MAX, n, 2);
			fill(dy + t * MAX, n, 1);
			widen(xd[t], x + t * MAX, n);
			widen(dyd[t], dy + t * MAX, n);
			r[t] = kernels.rmsnorm(y, x + t * MAX, w, 1e-5f, n);
			for (int i = 0; i < n; i++)
				dx[i] = 0.25f;
			kernels.rmsnorm_backward(dx, x + t * MAX, w, dy + t * MAX, r[t], n);
			for (int i = 0; i < n; i++) {
				double d = (rmsnorm_loss(xd[t], wd, dyd[t], n, xd[t], i, h) -
				            rmsnorm_loss(xd[t], wd, dyd[t], n, xd[t], i, -h)) / (2 * h);
				check_close("dx", n, i, dx[i] - 0.25, d, 3e-6 * (1 + fabs(d)));
			}
		}
		kernels.rmsnorm_backward_w(dw, x, dy, MAX, r, TOKENS, n);
		for (int i = 0; i < n; i++) {
			double d = 0;

			for (int t = 0; t < TOKENS; t++)
				d += (rmsnorm_loss(xd[t], wd, dyd[t], n, wd, i, h) -
				      rmsnorm_loss(xd[t], wd, dyd[t], n, wd, i, -h)) / (2 * h);
			check_close("dw", n, i, dw[i] - 0.5, d, 3e-6 * (1 + fabs(d)));
		}
	}
}

static void check_glu_backward(double (*f)(double, double), trit_glu_backward_fn *backward)
{
	float g[MAX], u[MAX], dy[MAX], dg[MAX], du[MAX];
	double h = 1e-5;

	fill(g, MAX, 3);
	fill(u, MAX, 1);
	fill(dy, MAX, 1);
	g[0] = 0;
	g[1] = 80;
	g[2] = -80;
	backward(dg, du, g, u, dy, MAX);
	for (int i = 0; i < MAX; i++) {
		double eg = dy[i] * (f(g[i] + h, u[i]) - f(g[i] - h, u[i])) / (2 * h);
		double eu = dy[i] * (f(g[i], u[i] + h) - f(g[i], u[i] - h)) / (2 * h);

		check_close("dgate", MAX, i, dg[i], eg, 1e-5 * (1 + fabs(eg)));
		check_close("dup", MAX, i, du[i], eu, 1e-5 * (1 + fabs(eu)));
	}
	g[0] = -1e30f; /* far out: 0, not NaN */
	backward(dg, du, g, u, dy, 1);
	assert_true(dg[0] == 0 && du[0] == 0);
}

static void test_glu_backward(void **state)
{
	(void)state;
	check_glu_backward(exact_silu_mul, kernels.silu_mul_backward);
	check_glu_backward(exact_relu2_mul, kernels.relu2_mul_backward);
}

static void test_softmax_backward(void **state)
{
	float p[MAX], dp[MAX], ds[MAX];
	double s[MAX], pd[MAX], h = 1e-5;

	(void)state;
	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l];

		for (int i = 0; i < n; i++)
			s[i] = trit_rng_normal(&rng) * 2;
		exact_softmax(pd, s, n);
		for (int i = 0; i < n; i++)
			p[i] = (float)pd[i];
		fill(dp, n, 1);
		memcpy(ds, dp, sizeof ds);
		kernels.softmax_backward(ds, p, 0.5f, n);
		for (int i = 0; i < n; i++) { /* scores are 0.5 * (q . k): the gradient of q . k */
			double keep = s[i], d = 0;

			s[i] = keep + 0.5 * h;
			exact_softmax(pd, s, n);
			for (int j = 0; j < n; j++)
				d += pd[j] * dp[j];
			s[i] = keep - 0.5 * h;
			exact_softmax(pd, s, n);
			for (int j = 0; j < n; j++)
				d -= pd[j] * dp[j];
			s[i] = keep;
			check_close("ds", n, i, ds[i], d / (2 * h), 1e-6);
		}
	}
}

static void test_cross_entropy(void **state)
{
	float x[MAX];
	double xd[MAX], h = 1e-5;

	(void)state;
	for (int l = 0; l < 2 * N_LENGTHS; l++) {
		int n = lengths[l / 2], target = n / 3;
		double z = l % 2 ? 0.0625 : 0; /* of the z-loss, which is not in what the kernel returns */

		fill(x, n, 3);
		widen(xd, x, n);
		double loss = exact_cross_entropy(xd, target, 0, n), total = 0;
		check_close("loss", n, 0, kernels.cross_entropy(x, target, 0.5f, (float)z, n), loss, 1e-6 * (1 + loss));
		for (int i = 0; i < n; i++) {
			double keep = xd[i], d;

			xd[i] = keep + h;
			d = exact_cross_entropy(xd, target, z, n);
			xd[i] = keep - h;
			d -= exact_cross_entropy(xd, target, z, n);
			xd[i] = keep;
			check_close("dlogits", n, i, x[i], 0.5 * d / (2 * h), 1e-6);
			total += x[i];
		}
		if (z == 0)
			check_close("sum of dlogits", n, 0, total, 0, 1e-6);
	}
	x[0] = 1e4f; /* the target is hopeless: a large finite loss, not infinity */
	x[1] = -1e4f;
	check_close("loss", 2, 0, kernels.cross_entropy(x, 1, 1, 0, 2), 2e4, 1e-3);
	assert_true(x[0] == 1 && x[1] == -1);
}

static void test_adamw(void **state)
{
	const struct trit_adamw p = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .weight_decay = 0.1f,
	                             .correction1 = (float)(1 / (1 - 0.9 * 0.9)),
	                             .correction2 = (float)(1 / (1 - 0.95 * 0.95)), .g_scale = 0.5f};
	float w[MAX], m[MAX], v[MAX], g[MAX];

	(void)state;
	/* By hand: g = 0.5 * 4 = 2; m = 0.9 * 1 + 0.1 * 2 = 1.1; v = 0.95 * 2 + 0.05 * 4 = 2.1;
	 * w = 3 - 0.01 (1.1 / 0.19 / sqrt(2.1 / 0.0975) + 0.1 * 3) = 3 - 0.01 (5.7894737 / 4.6409548 + 0.3). */
	w[0] = 3;
	m[0] = 1;
	v[0] = 2;
	g[0] = 4;
	kernels.adamw(w, m, v, g, &p, 1);
	check_close("m", 1, 0, m[0], 1.1, 2e-7);
	check_close("v", 1, 0, v[0], 2.1, 3e-7);
	check_close("w", 1, 0, w[0], 3 - 0.01 * (5.7894737 / 4.6409548 + 0.3), 3e-7);

	for (int l = 0; l < N_LENGTHS; l++) {
		int n = lengths[l];
		double wd[MAX], md[MAX], vd[MAX];

		fill(w, n, 1);
		fill(m, n, 0.1);
		fill(v, n, 0.1);
		fill(g, n, 1);
		for (int i = 0; i < n; i++) {
			double gi = g[i] * 0.5;

			v[i] = fabsf(v[i]);
			md[i] = 0.9 * m[i] + 0.1 * gi;
			vd[i] = 0.95 * v[i] + 0.05 * gi * gi;
			wd[i] = w[i] - 0.01 * (md[i] / 0.19 / (sqrt(vd[i] / 0.0975) + 1e-8) + 0.1 * w[i]);
		}
		kernels.adamw(w, m, v, g, &p, n);
		for (int i = 0; i < n; i++) {
			check_close("m", n, i, m[i], md[i], 1e-6);
			check_close("v", n, i, v[i], vd[i], 1e-6);
			check_close("w", n, i, w[i], wd[i], 1e-6);
		}
	}
	w[0] = 1; /* no gradient ever: only the weight decays */
	m[0] = v[0] = g[0] = 0;
	kernels.adamw(w, m, v, g, &p, 1);
	check_close("w", 1, 0, w[0], 1 - 0.01 * 0.1, 1e-7);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

static void test_gemm_f32(void **state)
{
	enum { M = 5, N = 7, K = 33 };
	float a[M * K], b[N * K], c[M * N];

	(void)state;
	fill(a, M * K, 1);
	fill(b, N * K, 1);
	for (int number = 0; number < 8; number++) {
		bool at = number & 1, bt = number & 2, accumulate = number & 4;
		size_t a_row = at ? 1 : K, a_col = at ? M : 1, b_row = bt ? 1 : N, b_col = bt ? K : 1;

		for (int i = 0; i < M * N; i++)
			c[i] = 2;
		kernels.gemm_f32(c, N, a, a_row, a_col, b, b_row, b_col, M, N, K, accumulate, NULL);
		for (int i = 0; i < M; i++)
			for (int j = 0; j < N; j++) {
				double s = accumulate ? 2 : 0;

				for (int p = 0; p < K; p++)
					s += (double)a[at ? p * M + i : i * K + p] * b[bt ? j * K + p : p * N + j];
				check_close("c", number, i * N + j, c[i * N + j], s, 1e-5);
			}
	}
}

/* Weights of each layout, with the number each stands for. */
static void make_weights(enum trit_dense_type type, unsigned char *w, double *value, int n)
{
	for (int i = 0; i < n; i++) {
		float x = trit_rng_normal(&rng);

		if (type == TRIT_DENSE_F32) {
			memcpy(w + 4 * i, &x, 4);
			value[i] = x;
		} else if (type == TRIT_DENSE_F16) {
			trit_put16(w + 2 * i, trit_f32_to_f16(x));
			value[i] = trit_f16_to_f32(trit_f32_to_f16(x));
		} else if (type == TRIT_DENSE_BF16) {
			trit_put16(w + 2 * i, trit_f32_to_bf16(x));
			value[i] = trit_bf16_to_f32(trit_f32_to_bf16(x));
		} else {
			unsigned char *block = w + i / 32 * 34;
			int q = (int)trit_rng_below(&rng, 256) - 128;

			if (i % 32 == 0)
				trit_put16(block, trit_f32_to_f16(x));
			block[2 + i % 32] = (unsigned char)q;
			value[i] = (double)trit_f16_to_f32(trit_get16(block)) * q;
		}
	}
}

static void test_gemm_dense(void **state)
{
	enum { ROWS = 5, COLS = 96, TOKENS = 3 };
	_Alignas(4) unsigned char w[ROWS * COLS * 4];
	double value[ROWS * COLS];
	float x[TOKENS * COLS], y[TOKENS * ROWS], row[COLS];

	(void)state;
	for (int type = 0; type < TRIT_N_DENSE; type++)
		for (int cols = type == TRIT_DENSE_Q8_0 ? 32 : 1; cols <= COLS; cols += type == TRIT_DENSE_Q8_0 ? 32 : 19) {
			make_weights((enum trit_dense_type)type, w, value, ROWS * cols);
			fill(x, TOKENS * COLS, 1);
			kernels.gemm_dense[type](y, ROWS, w, x, COLS, ROWS, TOKENS, cols);
			for (int t = 0; t < TOKENS; t++)
				for (int r = 0; r < ROWS; r++) {
					double s = 0, size = 0;

					for (int i = 0; i < cols; i++) {
						s += value[r * cols + i] * x[t * COLS + i];
						size += fabs(value[r * cols + i] * x[t * COLS + i]);
					}
					check_close("y", cols, t * ROWS + r, y[t * ROWS + r], s, 1e-6 * size);
				}
			kernels.row_dense[type](row, w, cols);
			for (int i = 0; i < cols; i++)
				check_close("row", cols, i, row[i], value[i], 6e-8 * fabs(value[i]));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exp),
	    cmocka_unit_test(test_reductions),
	    cmocka_unit_test(test_reduction_order),
	    cmocka_unit_test(test_rmsnorm),
	    cmocka_unit_test(test_glu),
	    cmocka_unit_test(test_rope),
	    cmocka_unit_test(test_softmax),
	    cmocka_unit_test(test_rmsnorm_backward),
	    cmocka_unit_test(test_glu_backward),
	    cmocka_unit_test(test_softmax_backward),
	    cmocka_unit_test(test_cross_entropy),
	    cmocka_unit_test(test_adamw),
	    cmocka_unit_test(test_gemm_f32),
	    cmocka_unit_test(test_gemm_dense),
	    cmocka_unit_test(test_layernorm),
	    cmocka_unit_test(test_gelu_and_softcap),
	    cmocka_unit_test(test_hadamard),
	    cmocka_unit_test(test_act_quant4),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
