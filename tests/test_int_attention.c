/*
 * test_int_attention.c - attention in integers against attention in double precision. That its bits do not depend on
 * how it is cut: test_attention.c.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first */
#include <cmocka.h>

#include "base/rng.h"
#include "model/int_attention.h"

enum { MOST_WIDTH = 128, N_CTX = 1100, SHARE = 3, TOKENS = 12, ROWS = SHARE * TOKENS };

struct fixture {
	int width;
	struct trit_int_scratch scratch;
	struct trit_arena arena;
	unsigned char *pages;
	float *keys, *values; /* [N_CTX, width] */
	float *q;             /* [ROWS, width] */
	float *s;             /* [ROWS, N_CTX] */
	float sum[ROWS], out[ROWS * MOST_WIDTH];
};

static void lay_out(struct fixture *f)
{
	size_t n = N_CTX * (size_t)f->width, pages = (N_CTX + TRIT_KV_PAGE - 1) / TRIT_KV_PAGE;
	f->pages = trit_arena_take(&f->arena, pages * trit_int_page_bytes(f->width), 1);
	f->keys = trit_arena_take(&f->arena, n, sizeof(float));
	f->values = trit_arena_take(&f->arena, n, sizeof(float));
	f->q = trit_arena_take(&f->arena, ROWS * (size_t)f->width, sizeof(float));
	f->s = trit_arena_take(&f->arena, ROWS * N_CTX, sizeof(float));
	trit_int_scratch_lay_out(&f->scratch, &f->arena, ROWS, f->width);
}

/* Random keys and values; position 0 is one that every query looks at hard. */
static struct fixture *set_up(const struct trit_kernels *k, int width)
{
	static struct fixture f;
	struct trit_error err;
	struct trit_rng rng;

	f = (struct fixture){.width = width};
	lay_out(&f);
	assert_int_equal(trit_arena_alloc(&f.arena, "the test", &err), 0);
	lay_out(&f);
	trit_rng_init(&rng, 5);
	for (int i = 0; i < N_CTX * width; i++) {
		f.keys[i] = i < width ? 1 + 0.1f * trit_rng_normal(&rng) : trit_rng_normal(&rng);
		f.values[i] = trit_rng_normal(&rng);
	}
	for (int i = 0; i < ROWS * width; i++)
		f.q[i] = trit_rng_normal(&rng) + 10 / (float)width;
	for (int i = 0; i < N_CTX; i++)
		trit_int_put(k, f.pages + (size_t)(i / TRIT_KV_PAGE) * trit_int_page_bytes(width), f.keys + i * width,
		             f.values + i * width, width, i % TRIT_KV_PAGE);
	return &f;
}

/* TOKENS tokens, the first of which sees n positions. */
static void attend(struct fixture *f, const struct trit_kernels *k, int n)
{
	size_t w = (size_t)f->width, stride = trit_int_page_bytes(f->width);
	trit_int_scores(k, &f->scratch, f->s, N_CTX, f->q, w, f->pages, stride, 1 / sqrtf((float)w), f->width, ROWS, 0,
	                n + TOKENS - 1);
	for (int r = 0; r < ROWS; r++) {
		float max;
		f->sum[r] = k->exp_sum(&max, f->s + r * N_CTX, 1, n + r / SHARE);
	}
	trit_int_values(k, &f->scratch, f->out, SHARE * w, w, f->s, N_CTX, f->sum, f->pages, stride, f->width, 0, f->width,
	                ROWS, SHARE, n);
}

/* Root mean square of what is wrong, as a share of that of the exact result. */
static double error_of(const struct fixture *f, int n)
{
	static double scores[N_CTX];
	double squares = 0, wrong = 0;
	for (int r = 0; r < ROWS; r++) {
		const float *q = f->q + r * f->width;
		double z = 0;
		int seen = n + r / SHARE;
		for (int i = 0; i < seen; i++) {
			scores[i] = 0;
			for (int j = 0; j < f->width; j++)
				scores[i] += (double)q[j] * f->keys[i * f->width + j] / sqrt(f->width);
			z += scores[i] = exp(scores[i]);
		}
		for (int j = 0; j < f->width; j++) {
			double y = 0;
			for (int i = 0; i < seen; i++)
				y += scores[i] / z * f->values[i * f->width + j];
			squares += y * y;
			wrong += (y - f->out[r * f->width + j]) * (y - f->out[r * f->width + j]);
		}
	}
	return sqrt(wrong / squares);
}

/* Queries and keys have an error of 1/254 of their largest element at most, so scores have some thousandths. */
static void close_to_exact(void **state)
{
	static const int contexts[] = {1, 2, 17, 250, 256, 257, 512, 1000}, widths[] = {2, 50, 64, 128};
	struct trit_kernels k;

	(void)state;
	trit_kernels_fill(&k, trit_best_tier());
	for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
		for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
			struct fixture *f = set_up(&k, widths[w]);
			attend(f, &k, contexts[i]);
			double error = error_of(f, contexts[i]);
			if (!(error < 0.015))
				fail_msg("width %d, %d positions: off by %g", widths[w], contexts[i], error);
			trit_arena_release(&f->arena);
		}
}

/* One position: the value comes back, to within a step of its scale. */
static void a_single_value(void **state)
{
	struct trit_kernels k;

	(void)state;
	trit_kernels_fill(&k, trit_best_tier());
	struct fixture *f = set_up(&k, 64);
	attend(f, &k, 1);
	for (int h = 0; h < SHARE; h++) {
		float largest = 0;
		for (int j = 0; j < 64; j++)
			largest = fmaxf(largest, fabsf(f->values[j]));
		for (int j = 0; j < 64; j++)
			assert_true(fabsf(f->out[h * 64 + j] - f->values[j]) < largest / 127 * 0.51f);
	}
	trit_arena_release(&f->arena);
}

/* What lies behind a query's position is not looked at, whatever it is. */
static void blind_to_the_future(void **state)
{
	static float clean[ROWS * MOST_WIDTH];
	float strange[64];
	struct trit_kernels k;

	(void)state;
	trit_kernels_fill(&k, trit_best_tier());
	struct fixture *f = set_up(&k, 64);
	attend(f, &k, 100);
	memcpy(clean, f->out, sizeof clean);
	for (int i = 0; i < 64; i++)
		strange[i] = i % 2 ? INFINITY : NAN;
	for (int i = 100; i < 140; i++)
		trit_int_put(&k, f->pages, strange, strange, 64, i);
	attend(f, &k, 100);
	assert_memory_equal(f->out, clean, SHARE * 64 * sizeof *clean);
	trit_arena_release(&f->arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(close_to_exact),
	    cmocka_unit_test(a_single_value),
	    cmocka_unit_test(blind_to_the_future),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
