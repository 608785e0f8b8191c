/*
 * float.c - checks the float kernels of inference and of training.
 *
 * Whether plain C computes the right thing is the business of tests/test_float.c; here all forms must give its bits.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <string.h>

#include "checkasm.h"

enum { CASES = 200 };

/* Zeros of both signs, subnormals, and magnitudes from 1e-38 to `high`, both signs. */
static void fill_extreme(struct check *ck, float *x, int n, float high)
{
	const float values[] = {0, 1e-45f, 3e-41f, 1.17e-38f, 1e-30f, 1e-9f, 1, 1e4f, 1e9f, high};

	for (int i = 0; i < n; i++) {
		float v = values[trit_rng_below(&ck->rng, sizeof values / sizeof *values)];

		x[i] = trit_rng_next(&ck->rng) >> 63 ? fminf(v, high) : -fminf(v, high);
	}
}

/* An input array of n floats, of one of several characters; magnitudes up to `high`. */
static float *input(struct check *ck, int n, int number, float high)
{
	float *x = check_in(ck, n * sizeof *x);

	if (number % 4 == 0)
		fill_extreme(ck, x, n, high);
	else if (number % 4 == 1)
		check_fill_normal(ck, x, n, 3);
	else
		check_fill_f32(ck, x, n);
	return x;
}

/* Two equal arrays for what is updated in place: the C form's and the other's. */
static void output_pair(struct check *ck, float **c, float **k, const float *x, int n)
{
	*c = check_out(ck, n * sizeof **c);
	*k = check_out(ck, n * sizeof **k);
	if (x && n > 0) {
		memcpy(*c, x, n * sizeof *x);
		memcpy(*k, x, n * sizeof *x);
	}
}

static void test_rmsnorm(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *x = input(ck, n, number, 1e25f), *w = input(ck, n, 1, 1);
		bool in_place = number % 3 == 0;

		output_pair(ck, &y, &z, in_place ? x : NULL, n);
		float r = ck->c->rmsnorm(y, in_place ? y : x, w, 1e-5f, n);
		float s = ck->k->rmsnorm(z, in_place ? z : x, w, 1e-5f, n);
		check_same_f32(ck, "y", y, z, n);
		check_same_f32(ck, "r", &r, &s, 1);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 2560 * sizeof *y);
	z = check_aligned(ck, 2560 * sizeof *z);
	check_fill_normal(ck, z, 2560, 1);
	CHECK_BENCH(ck, "n 2560", 2560, "elem", 12 * 2560, ck->now->rmsnorm(y, z, z, 1e-5f, 2560));
}

static void test_layernorm(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *x = input(ck, n, number, 1e17f), *w = input(ck, n, 1, 1);
		const float *bias = number % 2 ? input(ck, n, 1, 1) : NULL;
		bool in_place = number % 3 == 0;

		output_pair(ck, &y, &z, in_place ? x : NULL, n);
		ck->c->layernorm(y, in_place ? y : x, w, bias, 1e-5f, n);
		ck->k->layernorm(z, in_place ? z : x, w, bias, 1e-5f, n);
		check_same_f32(ck, "y", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 2560 * sizeof *y);
	z = check_aligned(ck, 2560 * sizeof *z);
	check_fill_normal(ck, z, 2560, 1);
	CHECK_BENCH(ck, "n 2560", 2560, "elem", 16 * 2560, ck->now->layernorm(y, z, z, z, 1e-5f, 2560));
}

/* scale and softcap. */
static void in_place(struct check *ck, trit_scale_fn *c, trit_scale_fn *k)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		float factor = 0.5f + 50 * trit_rng_uniform(&ck->rng);
		check_case(ck, "n %d, number %d", n, number);
		output_pair(ck, &y, &z, input(ck, n, number, 1e30f), n);
		c(y, factor, n);
		k(z, factor, n);
		check_same_f32(ck, "x", y, z, n);
	}
}

static void test_scale(struct check *ck)
{
	in_place(ck, ck->c->scale, ck->k->scale);
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, 2560 * sizeof *x);
	memset(x, 0, 2560 * sizeof *x);
	CHECK_BENCH(ck, "n 2560", 2560, "elem", 8 * 2560, ck->now->scale(x, 1.5f, 2560));
}

static void test_softcap(struct check *ck)
{
	in_place(ck, ck->c->softcap, ck->k->softcap);
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, 1024 * sizeof *x);
	check_fill_normal(ck, x, 1024, 20);
	CHECK_BENCH(ck, "n 1024", 1024, "elem", 8 * 1024, ck->now->softcap(x, 50, 1024));
}

static void test_add(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *x = input(ck, n, number, 3e38f);

		output_pair(ck, &y, &z, x, n);
		ck->c->add(y, x, n);
		ck->k->add(z, x, n);
		check_same_f32(ck, "y", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 2560 * sizeof *y);
	z = check_aligned(ck, 2560 * sizeof *z);
	check_fill_normal(ck, z, 2560, 1);
	memset(y, 0, 2560 * sizeof *y);
	CHECK_BENCH(ck, "n 2560", 2560, "elem", 12 * 2560, ck->now->add(y, z, 2560));
}

static void test_add_scaled(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *x = input(ck, n, number, 1e18f);
		float a = trit_rng_normal(&ck->rng);

		output_pair(ck, &y, &z, input(ck, n, number / 4, 1e18f), n);
		ck->c->add_scaled(y, x, a, n);
		ck->k->add_scaled(z, x, a, n);
		check_same_f32(ck, "y", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 2560 * sizeof *y);
	z = check_aligned(ck, 2560 * sizeof *z);
	check_fill_normal(ck, z, 2560, 1);
	memset(y, 0, 2560 * sizeof *y);
	CHECK_BENCH(ck, "n 2560", 2560, "elem", 12 * 2560, ck->now->add_scaled(y, z, 0.3f, 2560));
}

static void test_hadamard(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = 1 << number % 13;
		check_case(ck, "n %d, number %d", n, number);
		output_pair(ck, &y, &z, input(ck, n, number / 13, 1e25f), n);
		ck->c->hadamard(y, n);
		ck->k->hadamard(z, n);
		check_same_f32(ck, "x", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 4096 * sizeof *y);
	check_fill_normal(ck, y, 4096, 1);
	CHECK_BENCH(ck, "n 4096", 4096, "elem", 8 * 4096, ck->now->hadamard(y, 4096));
}

/* silu_mul, relu2_mul and gelu_mul. */
static void glu(struct check *ck, trit_silu_mul_fn *c, trit_silu_mul_fn *k)
{
	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *gate = input(ck, n, number, 1e18f), *up = input(ck, n, number / 4, 100);
		float *y, *z;

		output_pair(ck, &y, &z, number % 3 == 0 ? gate : number % 3 == 1 ? up : NULL, n);
		c(y, number % 3 == 0 ? y : gate, number % 3 == 1 ? y : up, n);
		k(z, number % 3 == 0 ? z : gate, number % 3 == 1 ? z : up, n);
		check_same_f32(ck, "y", y, z, n);
	}
}

static void test_silu_mul(struct check *ck)
{
	glu(ck, ck->c->silu_mul, ck->k->silu_mul);
	check_case(ck, "benchmark");
	float *y = check_aligned(ck, 6912 * sizeof *y), *z = check_aligned(ck, 6912 * sizeof *z);
	check_fill_normal(ck, z, 6912, 2);
	CHECK_BENCH(ck, "n 6912", 6912, "elem", 12 * 6912, ck->now->silu_mul(y, z, z, 6912));
}

static void test_relu2_mul(struct check *ck)
{
	glu(ck, ck->c->relu2_mul, ck->k->relu2_mul);
	check_case(ck, "benchmark");
	float *y = check_aligned(ck, 6912 * sizeof *y), *z = check_aligned(ck, 6912 * sizeof *z);
	check_fill_normal(ck, z, 6912, 2);
	CHECK_BENCH(ck, "n 6912", 6912, "elem", 12 * 6912, ck->now->relu2_mul(y, z, z, 6912));
}

static void test_gelu_mul(struct check *ck)
{
	glu(ck, ck->c->gelu_mul, ck->k->gelu_mul);
	check_case(ck, "benchmark");
	float *y = check_aligned(ck, 6912 * sizeof *y), *z = check_aligned(ck, 6912 * sizeof *z);
	check_fill_normal(ck, z, 6912, 2);
	CHECK_BENCH(ck, "n 6912", 6912, "elem", 12 * 6912, ck->now->gelu_mul(y, z, z, 6912));
}

static void glu_backward(struct check *ck, trit_glu_backward_fn *c, trit_glu_backward_fn *k)
{
	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		bool in_place = number % 2;
		check_case(ck, "n %d, number %d", n, number);
		const float *gate = input(ck, n, number, 1e12f), *up = input(ck, n, number / 4, 100);
		const float *dy = input(ck, n, 1, 1);
		float *dgate_c, *dgate_k, *dup_c, *dup_k;

		output_pair(ck, &dgate_c, &dgate_k, in_place ? gate : NULL, n);
		output_pair(ck, &dup_c, &dup_k, in_place ? up : NULL, n);
		c(dgate_c, dup_c, in_place ? dgate_c : gate, in_place ? dup_c : up, dy, n);
		k(dgate_k, dup_k, in_place ? dgate_k : gate, in_place ? dup_k : up, dy, n);
		check_same_f32(ck, "dgate", dgate_c, dgate_k, n);
		check_same_f32(ck, "dup", dup_c, dup_k, n);
	}
}

static void test_silu_mul_backward(struct check *ck)
{
	glu_backward(ck, ck->c->silu_mul_backward, ck->k->silu_mul_backward);
	check_case(ck, "benchmark");
	float *y = check_aligned(ck, 1024 * sizeof *y), *z = check_aligned(ck, 1024 * sizeof *z);
	float *g = check_aligned(ck, 1024 * sizeof *g);
	check_fill_normal(ck, g, 1024, 2);
	CHECK_BENCH(ck, "n 1024", 1024, "elem", 20 * 1024, ck->now->silu_mul_backward(y, z, g, g, g, 1024));
}

static void test_relu2_mul_backward(struct check *ck)
{
	glu_backward(ck, ck->c->relu2_mul_backward, ck->k->relu2_mul_backward);
	check_case(ck, "benchmark");
	float *y = check_aligned(ck, 1024 * sizeof *y), *z = check_aligned(ck, 1024 * sizeof *z);
	float *g = check_aligned(ck, 1024 * sizeof *g);
	check_fill_normal(ck, g, 1024, 2);
	CHECK_BENCH(ck, "n 1024", 1024, "elem", 20 * 1024, ck->now->relu2_mul_backward(y, z, g, g, g, 1024));
}

static void test_rope(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int pairs = check_size(ck, 1, 80), heads = 1 + (int)trit_rng_below(&ck->rng, 3);
		int width = 2 * pairs + (int)trit_rng_below(&ck->rng, 5);
		bool half = number % 2, inverse = number / 2 % 2;

		check_case(ck, "heads %d, width %d, %d pairs, half %d, inverse %d", heads, width, pairs, half, inverse);
		/* No stray access beyond the last head's last element. */
		const float *x = input(ck, heads * width, number, 1e9f);
		const float *cos = input(ck, pairs, 1, 1), *sin = input(ck, pairs, 1, 1);

		output_pair(ck, &y, &z, x, heads * width);
		ck->c->rope(y, cos, sin, heads, width, 2 * pairs, half, inverse);
		ck->k->rope(z, cos, sin, heads, width, 2 * pairs, half, inverse);
		check_same_f32(ck, "x", y, z, heads * width);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 2560 * sizeof *y);
	z = check_aligned(ck, 64 * sizeof *z);
	memset(y, 0, 2560 * sizeof *y);
	check_fill_normal(ck, z, 64, 0.5f);
	CHECK_BENCH(ck, "20 x 128, half", 2560, "elem", 8 * 2560, ck->now->rope(y, z, z, 20, 128, 128, true, false));
	CHECK_BENCH(ck, "20 x 128, pairs", 2560, "elem", 8 * 2560, ck->now->rope(y, z, z, 20, 128, 128, false, false));
}

/* Scores: the usual inputs, some entries masked with -infinity, never all. */
static float *scores(struct check *ck, int n, int number)
{
	float *x = input(ck, n, number, 3e38f);

	if (number % 3 == 0)
		for (int i = 0; i < n; i++)
			if (trit_rng_below(&ck->rng, 4) == 0 && i != n / 2)
				x[i] = -INFINITY;
	return x;
}

static void test_softmax(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		output_pair(ck, &y, &z, scores(ck, n, number), n);
		ck->c->softmax(y, n);
		ck->k->softmax(z, n);
		check_same_f32(ck, "x", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 1024 * sizeof *y);
	check_fill_normal(ck, y, 1024, 3);
	CHECK_BENCH(ck, "n 1024", 1024, "elem", 8 * 1024, ck->now->softmax(y, 1024));
}

/* Scores times a scale: the bits of scaling them first. */
static void test_exp_sum(struct check *ck)
{
	float *y, *z, *w;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		float scale = number % 3 ? 0.3f : 1, max_c = 0, max_k = 0, max_w = 0;
		check_case(ck, "n %d, number %d, scale %g", n, number, (double)scale);
		const float *x = input(ck, n, number, 100);

		output_pair(ck, &y, &z, x, n);
		output_pair(ck, &w, &w, x, n);
		ck->c->scale(w, scale, n);
		float s_c = ck->c->exp_sum(&max_c, y, scale, n), s_k = ck->k->exp_sum(&max_k, z, scale, n);
		float s_w = ck->c->exp_sum(&max_w, w, 1, n);
		check_same_f32(ck, "exponentials", y, z, n);
		check_same_f32(ck, "sum", &s_c, &s_k, 1);
		check_same_f32(ck, "max", &max_c, &max_k, 1);
		check_same_f32(ck, "exponentials, scaled first", w, z, n);
		check_same_f32(ck, "sum, scaled first", &s_w, &s_k, 1);
		check_same_f32(ck, "max, scaled first", &max_w, &max_k, 1);
	}
	check_case(ck, "benchmark");
	float max;
	y = check_aligned(ck, 1024 * sizeof *y);
	check_fill_normal(ck, y, 1024, 1);
	CHECK_BENCH(ck, "n 1024", 1024, "elem", 12 * 1024, ck->now->exp_sum(&max, y, 1, 1024));
}

static void test_sum_exp(struct check *ck)
{
	float *x;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		x = scores(ck, n, number);
		float max_c = 0, max_k = 0, s_c = ck->c->sum_exp(&max_c, x, n), s_k = ck->k->sum_exp(&max_k, x, n);
		check_same_f32(ck, "max", &max_c, &max_k, 1);
		check_same_f32(ck, "sum", &s_c, &s_k, 1);
	}
	check_case(ck, "benchmark");
	x = check_aligned(ck, 32768 * sizeof *x);
	float max;
	check_fill_normal(ck, x, 32768, 3);
	CHECK_BENCH(ck, "n 32768", 32768, "elem", 4 * 32768, ck->now->sum_exp(&max, x, 32768));
}

static void reduction(struct check *ck, trit_sum_fn *c, trit_sum_fn *k)
{
	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *x = input(ck, n, number, 1e30f);
		float a = c(x, n), b = k(x, n);
		check_same_f32(ck, "sum", &a, &b, 1);
	}
}

static void test_sum_squares(struct check *ck)
{
	reduction(ck, ck->c->sum_squares, ck->k->sum_squares);
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, 4096 * sizeof *x);
	check_fill_normal(ck, x, 4096, 1);
	CHECK_BENCH(ck, "n 4096", 4096, "elem", 4 * 4096, ck->now->sum_squares(x, 4096));
}

static void test_sum_abs(struct check *ck)
{
	reduction(ck, ck->c->sum_abs, ck->k->sum_abs);
}

static void test_sum(struct check *ck)
{
	reduction(ck, ck->c->sum, ck->k->sum);
}

static void test_rmsnorm_backward(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *x = input(ck, n, number, 1e9f), *w = input(ck, n, 1, 1), *dy = input(ck, n, 2, 1);

		output_pair(ck, &y, &z, dy, n);
		ck->c->rmsnorm_backward(y, x, w, dy, 0.37f, n);
		ck->k->rmsnorm_backward(z, x, w, dy, 0.37f, n);
		check_same_f32(ck, "dx", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 1024 * sizeof *y);
	z = check_aligned(ck, 1024 * sizeof *z);
	memset(y, 0, 1024 * sizeof *y);
	check_fill_normal(ck, z, 1024, 1e-3f);
	CHECK_BENCH(ck, "n 1024", 1024, "elem", 20 * 1024, ck->now->rmsnorm_backward(y, z, z, z, 1e-3f, 1024));
}

static void test_rmsnorm_backward_w(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int cols = check_size(ck, 1, 300), tokens = check_size(ck, 0, 40);
		int ld = cols + (int)trit_rng_below(&ck->rng, 9), n = tokens ? (tokens - 1) * ld + cols : 0;

		check_case(ck, "tokens %d, cols %d, ld %d", tokens, cols, ld);
		const float *x = input(ck, n, number, 1e9f), *dy = input(ck, n, 2, 1), *r = input(ck, tokens, 1, 1);

		output_pair(ck, &y, &z, input(ck, cols, 1, 1), cols);
		ck->c->rmsnorm_backward_w(y, x, dy, ld, r, tokens, cols);
		ck->k->rmsnorm_backward_w(z, x, dy, ld, r, tokens, cols);
		check_same_f32(ck, "dw", y, z, cols);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 256 * sizeof *y);
	z = check_aligned(ck, 256 * 256 * sizeof *z);
	memset(y, 0, 256 * sizeof *y);
	check_fill_normal(ck, z, 256 * 256, 1);
	CHECK_BENCH(ck, "256 x 256", 65536, "elem", 8 * 65536, ck->now->rmsnorm_backward_w(y, z, z, 256, z, 256, 256));
}

static void test_scores_backward(struct check *ck)
{
	float *y, *z, *d, *e;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *s = input(ck, n, number, 100), *ds = input(ck, n, number / 4, 1e9f);

		output_pair(ck, &y, &z, s, n);
		output_pair(ck, &d, &e, ds, n);
		ck->c->scores_backward(y, d, 0.3f, 3.5f, 0.125f, n);
		ck->k->scores_backward(z, e, 0.3f, 3.5f, 0.125f, n);
		check_same_f32(ck, "p", y, z, n);
		check_same_f32(ck, "ds", d, e, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 256 * sizeof *y);
	z = check_aligned(ck, 256 * sizeof *z);
	check_fill_normal(ck, y, 256, 1);
	check_fill_normal(ck, z, 256, 1);
	CHECK_BENCH(ck, "n 256", 256, "elem", 16 * 256, ck->now->scores_backward(y, z, 1, 3.5f, 0.125f, 256));
}

static void test_softmax_backward(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *p = input(ck, n, number, 1), *ds = input(ck, n, number / 4, 1e9f);

		output_pair(ck, &y, &z, ds, n);
		ck->c->softmax_backward(y, p, 0.125f, n);
		ck->k->softmax_backward(z, p, 0.125f, n);
		check_same_f32(ck, "ds", y, z, n);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 256 * sizeof *y);
	z = check_aligned(ck, 256 * sizeof *z);
	memset(y, 0, 256 * sizeof *y);
	check_fill_normal(ck, z, 256, 0.01f);
	CHECK_BENCH(ck, "n 256", 256, "elem", 12 * 256, ck->now->softmax_backward(y, z, 0.125f, 256));
}

static void test_cross_entropy(struct check *ck)
{
	float *y, *z;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100), target = (int)trit_rng_below(&ck->rng, n);
		float z_loss = number % 2 ? 1e-3f : 0;
		check_case(ck, "n %d, target %d, number %d", n, target, number);
		output_pair(ck, &y, &z, input(ck, n, number, 1e4f), n);
		float a = ck->c->cross_entropy(y, target, 1.0f / 3, z_loss, n);
		float b = ck->k->cross_entropy(z, target, 1.0f / 3, z_loss, n);
		check_same_f32(ck, "logits", y, z, n);
		check_same_f32(ck, "loss", &a, &b, 1);
	}
	check_case(ck, "benchmark");
	y = check_aligned(ck, 4096 * sizeof *y);
	check_fill_normal(ck, y, 4096, 3);
	CHECK_BENCH(ck, "n 4096", 4096, "elem", 8 * 4096, ck->now->cross_entropy(y, 5, 1, 0, 4096));
}

static void test_adamw(struct check *ck)
{
	const struct trit_adamw p = {.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .weight_decay = 0.1f,
	                             .correction1 = 3.69f, .correction2 = 7.01f, .g_scale = 0.7f};
	float *w_c, *w_k, *m_c, *m_k, *v_c, *v_k;

	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d, number %d", n, number);
		const float *g = input(ck, n, number, 1e9f), *w = input(ck, n, 1, 1);
		float *m = input(ck, n, number / 4, 1e9f), *v = input(ck, n, number / 4, 1e12f);

		for (int i = 0; i < n; i++)
			v[i] = fabsf(v[i]);
		output_pair(ck, &w_c, &w_k, w, n);
		output_pair(ck, &m_c, &m_k, m, n);
		output_pair(ck, &v_c, &v_k, v, n);
		ck->c->adamw(w_c, m_c, v_c, g, &p, n);
		ck->k->adamw(w_k, m_k, v_k, g, &p, n);
		check_same_f32(ck, "w", w_c, w_k, n);
		check_same_f32(ck, "m", m_c, m_k, n);
		check_same_f32(ck, "v", v_c, v_k, n);
	}
	check_case(ck, "benchmark");
	w_c = check_aligned(ck, 65536 * sizeof *w_c);
	m_c = check_aligned(ck, 65536 * sizeof *m_c);
	v_c = check_aligned(ck, 65536 * sizeof *v_c);
	w_k = check_aligned(ck, 65536 * sizeof *w_k);
	check_fill_normal(ck, w_c, 65536, 1);
	check_fill_normal(ck, w_k, 65536, 1);
	memset(m_c, 0, 65536 * sizeof *m_c);
	memset(v_c, 0, 65536 * sizeof *v_c);
	CHECK_BENCH(ck, "n 65536", 65536, "elem", 28 * 65536, ck->now->adamw(w_c, m_c, v_c, w_k, &p, 65536));
}

const struct check_test check_float[] = {
	CHECK(rmsnorm, test_rmsnorm),
	CHECK(layernorm, test_layernorm),
	CHECK(add, test_add),
	CHECK(add_scaled, test_add_scaled),
	CHECK(hadamard, test_hadamard),
	CHECK(scale, test_scale),
	CHECK(silu_mul, test_silu_mul),
	CHECK(relu2_mul, test_relu2_mul),
	CHECK(gelu_mul, test_gelu_mul),
	CHECK(softcap, test_softcap),
	CHECK(rope, test_rope),
	CHECK(softmax, test_softmax),
	CHECK(sum_exp, test_sum_exp),
	CHECK(exp_sum, test_exp_sum),
	CHECK(sum_squares, test_sum_squares),
	CHECK(sum_abs, test_sum_abs),
	CHECK(sum, test_sum),
	CHECK(rmsnorm_backward, test_rmsnorm_backward),
	CHECK(rmsnorm_backward_w, test_rmsnorm_backward_w),
	CHECK(silu_mul_backward, test_silu_mul_backward),
	CHECK(relu2_mul_backward, test_relu2_mul_backward),
	CHECK(softmax_backward, test_softmax_backward),
	CHECK(scores_backward, test_scores_backward),
	CHECK(cross_entropy, test_cross_entropy),
	CHECK(adamw, test_adamw),
	CHECK_END,
};
