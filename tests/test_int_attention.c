/*
 * test_int_attention.c - attention in integers: against attention in double precision, and its bits however the queries
 * are cut and whatever computes.
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

enum { WIDTH = 50, N_CTX = 1100, HEADS = 3, TOKENS = 21 };

struct fixture {
	struct trit_int_head head;
	struct trit_int_scratch scratch;
	struct trit_arena arena;
	float *keys, *values; /* [N_CTX, WIDTH] */
	float *q;             /* [TOKENS, HEADS, WIDTH] */
};

static void lay_out(struct fixture *f)
{
	struct trit_arena *a = &f->arena;
	struct trit_int_head *h = &f->head;
	h->k = trit_arena_take(a, trit_int_head_bytes(h->layout, WIDTH, h->n_ctx), 1);
	h->v = trit_arena_take(a, trit_int_head_bytes(h->layout, WIDTH, h->n_ctx), 1);
	h->k_scale = trit_arena_take(a, trit_int_head_scales(h->n_ctx), sizeof(float));
	h->v_scale = trit_arena_take(a, trit_int_head_scales(h->n_ctx), sizeof(float));
	trit_int_scratch_lay_out(&f->scratch, a, WIDTH, h->n_ctx);
	f->keys = trit_arena_take(a, N_CTX * WIDTH, sizeof(float));
	f->values = trit_arena_take(a, N_CTX * WIDTH, sizeof(float));
	f->q = trit_arena_take(a, TOKENS * HEADS * WIDTH, sizeof(float));
}

/* Keys and values of n_ctx positions, stored; position 0 is one that every query looks at hard. */
static void set_up(struct fixture *f, enum trit_layout layout, int n_ctx)
{
	struct trit_kernels k;
	struct trit_error err;
	struct trit_rng rng;

	trit_kernels_fill(&k, trit_best_tier());
	*f = (struct fixture){.head = {.layout = layout, .width = WIDTH, .n_ctx = n_ctx}};
	lay_out(f);
	assert_int_equal(trit_arena_alloc(&f->arena, "the test", &err), 0);
	lay_out(f);
	trit_rng_init(&rng, 5);
	for (int i = 0; i < N_CTX * WIDTH; i++) {
		f->keys[i] = trit_rng_normal(&rng) * (i < WIDTH ? 0.1f : 1) + (i < WIDTH ? 1 : 0);
		f->values[i] = trit_rng_normal(&rng);
	}
	for (int i = 0; i < TOKENS * HEADS * WIDTH; i++)
		f->q[i] = trit_rng_normal(&rng) + 1;
	for (int i = 0; i < n_ctx; i++)
		trit_int_head_store(&f->head, &k, i, f->keys + i * WIDTH, f->values + i * WIDTH);
}

static void attend(struct fixture *f, const struct trit_kernels *k, float *out, int first, int n_tokens, int n)
{
	trit_int_head_attend(&f->head, k, &f->scratch, out, HEADS * WIDTH, f->q + first * HEADS * WIDTH, HEADS * WIDTH,
	                     n_tokens, HEADS, n, 1 / sqrtf(WIDTH));
}

/* Largest difference to attention in double precision, as a share of the root mean square of the exact result. */
static double error_of(const struct fixture *f, const float *out, int n_tokens, int n)
{
	double squares = 0, most = 0, scores[N_CTX];
	for (int r = 0; r < n_tokens * HEADS; r++) {
		const float *q = f->q + r * WIDTH;
		double z = 0, max = -INFINITY;
		int seen = n + r / HEADS;
		for (int i = 0; i < seen; i++) {
			scores[i] = 0;
			for (int j = 0; j < WIDTH; j++)
				scores[i] += (double)q[j] * f->keys[i * WIDTH + j] / sqrt(WIDTH);
			max = fmax(max, scores[i]);
		}
		for (int i = 0; i < seen; i++)
			z += scores[i] = exp(scores[i] - max);
		for (int j = 0; j < WIDTH; j++) {
			double y = 0;
			for (int i = 0; i < seen; i++)
				y += scores[i] / z * f->values[i * WIDTH + j];
			squares += y * y;
			most = fmax(most, fabs(y - out[r * WIDTH + j]));
		}
	}
	return most / sqrt(squares / (n_tokens * HEADS * WIDTH));
}

static void close_to_exact(void **state)
{
	static const int contexts[] = {1, 2, 17, 500, 512, 513, 1000};
	static float out[TOKENS * HEADS * WIDTH];
	struct trit_kernels k;

	(void)state;
	trit_kernels_fill(&k, trit_best_tier());
	for (int layout = TRIT_I8; layout <= TRIT_I4; layout += TRIT_I4 - TRIT_I8)
		for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
			int n = contexts[i], n_ctx = n + TOKENS < 60 ? n + TOKENS : N_CTX;
			struct fixture f;
			set_up(&f, (enum trit_layout)layout, n_ctx);
			attend(&f, &k, out, 0, TOKENS, n);
			double error = error_of(&f, out, TOKENS, n);
			if (!(error < (layout == TRIT_I8 ? 0.08 : 0.8)))
				fail_msg("layout %d, %d positions: off by %g", layout, n, error);
			trit_arena_release(&f.arena);
		}
}

/* Together, in parts, one by one; on every tier; later positions and other contexts change nothing. */
static void same_bits(void **state)
{
	static float expected[TOKENS * HEADS * WIDTH], out[TOKENS * HEADS * WIDTH];
	static const int contexts[] = {1, 30, 500, 1000};
	struct trit_kernels k;
	struct fixture f;

	(void)state;
	for (int layout = TRIT_I8; layout <= TRIT_I4; layout += TRIT_I4 - TRIT_I8) {
		set_up(&f, (enum trit_layout)layout, N_CTX);
		for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++)
			for (int tier = 0; tier < TRIT_N_TIERS; tier++)
				for (int step = tier ? 1 : TOKENS; step <= TOKENS; step += 10) {
					if (!trit_tier_here((enum trit_tier)tier))
						continue;
					trit_kernels_fill(&k, (enum trit_tier)tier);
					for (int t = 0; t < TOKENS; t += step)
						attend(&f, &k, (tier ? out : expected) + t * HEADS * WIDTH, t,
						       TOKENS - t < step ? TOKENS - t : step, contexts[i] + t);
					if (tier)
						assert_memory_equal(out, expected, sizeof out);
				}
		trit_arena_release(&f.arena);
	}
}

/* What lies behind a query's position is not looked at, whatever it is. */
static void blind_to_the_future(void **state)
{
	static float expected[HEADS * WIDTH], out[HEADS * WIDTH], key[WIDTH];
	struct trit_kernels k;
	struct fixture f;

	(void)state;
	trit_kernels_fill(&k, trit_best_tier());
	set_up(&f, TRIT_I8, N_CTX);
	attend(&f, &k, expected, 0, 1, 100);
	for (int i = 0; i < WIDTH; i++)
		key[i] = i % 2 ? INFINITY : NAN;
	for (int i = 100; i < 140; i++)
		trit_int_head_store(&f.head, &k, i, key, key);
	attend(&f, &k, out, 0, 1, 100);
	assert_memory_equal(out, expected, sizeof out);
	trit_arena_release(&f.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(close_to_exact),
	    cmocka_unit_test(same_bits),
	    cmocka_unit_test(blind_to_the_future),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
