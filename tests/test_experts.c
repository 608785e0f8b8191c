/*
 * test_experts.c - the experts of a layer in training against the rule of model/moe.h in double precision.
 *
 * The reference below has plain loops and shares no code with src/train. Where the layer quantises it adds what the
 * layer's own codes take from or give to a value at the base point, frozen: its central differences are then the
 * straight-through gradients. Loads are constants for the gradient, as the balancing loss has them.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "train/experts.h"

enum { T = 9, D = 20, F = 36, E = 5, LISTED = E + 1, SLOTS = T * LISTED, LDX = D + 3, PADDED = 64, MATRIX = D * F };

struct layer_case {
	const char *name;
	enum trit_weight_kind kind;
	int n_used;
	bool shared, norm, relu2, sub_norm;
	float balance, z_loss, lambda;
};

static const struct layer_case cases[] = {
	{ "full", TRIT_WEIGHT_FULL, 2, false, true, false, false, 0, 0, 1 },
	{ "full, losses", TRIT_WEIGHT_FULL, 2, false, true, false, false, 0.5f, 0.125f, 1 },
	{ "full, all experts, plain weights", TRIT_WEIGHT_FULL, E, true, false, true, true, 0.5f, 0.125f, 1 },
	{ "ternary", TRIT_WEIGHT_TERNARY, 2, true, true, false, true, 0.5f, 0.125f, 1 },
	{ "ternary, one expert a token", TRIT_WEIGHT_TERNARY, 1, false, false, true, true, 0.25f, 0, 1 },
	{ "binary", TRIT_WEIGHT_BINARY, 3, false, true, true, false, 0, 0, 1 },
	{ "warm-up", TRIT_WEIGHT_TERNARY, 2, true, true, false, true, 0.5f, 0.125f, 0.25f },
};

/* All numbers of a layer: what is differentiated, by the layer and by the reference. */
enum { X, ROUTER, GATE, UP, DOWN, SUB, N_ARRAYS };
static const size_t sizes[N_ARRAYS] = { T * LDX, E * D, LISTED * MATRIX, LISTED * MATRIX, LISTED * MATRIX, LISTED * F };

struct bench {
	const struct layer_case *c;
	struct trit_kernels kernels;
	struct trit_moe_config moe;
	struct trit_experts layer;
	struct trit_experts_work work;
	struct trit_pool *pool;
	struct trit_arena arena;
	float *w[N_ARRAYS], *g[N_ARRAYS];
	float *out, *dout, *dx; /* [T, D] */
	float *scratch;         /* [threads] */
	int8_t *codes;
	uint64_t load[E];
};

static float *floats(struct bench *b, size_t n)
{
	return trit_arena_take(&b->arena, n, sizeof(float));
}

static struct trit_bitlinear linear(struct bench *b, int which, int expert, int rows, int cols)
{
	struct trit_bitlinear l = { .kind = b->c->kind, .rows = rows, .cols = cols };
	bool full = b->c->kind == TRIT_WEIGHT_FULL;
	l.w = b->w[which] ? b->w[which] + expert * MATRIX : NULL;
	l.dw = b->g[which] ? b->g[which] + expert * MATRIX : NULL;
	l.wq = full ? (float *)(uintptr_t)l.w : floats(b, MATRIX);
	l.scales = full ? NULL : floats(b, 1);
	l.t2 = full ? NULL : trit_arena_take(&b->arena, trit_layout_bytes(TRIT_T2, (size_t)rows, (size_t)cols), 1);
	l.codes = full ? NULL : trit_arena_take(&b->arena, MATRIX, 1);
	return l;
}

static struct trit_bit_input input(struct bench *b, int width)
{
	struct trit_bit_input in = { .width = width, .r = floats(b, SLOTS) };
	if (b->c->kind != TRIT_WEIGHT_FULL) {
		in.q = trit_arena_take(&b->arena, SLOTS * PADDED, 1);
		in.step = floats(b, SLOTS);
		in.sum = trit_arena_take(&b->arena, SLOTS, sizeof(int32_t));
	}
	return in;
}

static void lay_out(struct bench *b, int threads)
{
	static struct trit_expert_weights list[LISTED];
	struct trit_experts *e = &b->layer;
	for (int i = 0; i < N_ARRAYS; i++) {
		b->w[i] = floats(b, sizes[i]);
		b->g[i] = floats(b, sizes[i]);
	}
	for (int i = 0; i < LISTED; i++) {
		list[i] = (struct trit_expert_weights){ linear(b, GATE, i, F, D), linear(b, UP, i, F, D),
			                                linear(b, DOWN, i, D, F), NULL, NULL };
		if (b->c->sub_norm && b->w[SUB]) {
			list[i].sub_norm = b->w[SUB] + i * F;
			list[i].d_sub_norm = b->g[SUB] + i * F;
		}
	}
	*e = (struct trit_experts){ .router = b->w[ROUTER], .d_router = b->g[ROUTER], .list = list, .load = b->load };
	e->p = floats(b, T * E);
	e->log_z = floats(b, T);
	e->chosen = trit_arena_take(&b->arena, SLOTS, sizeof(int));
	e->weights = floats(b, SLOTS);
	e->slots.first = trit_arena_take(&b->arena, LISTED + 1, sizeof(int));
	e->slots.token = trit_arena_take(&b->arena, SLOTS, sizeof(int));
	e->slots.weight = floats(b, SLOTS);
	e->slot_of = trit_arena_take(&b->arena, SLOTS, sizeof(int));
	e->g = floats(b, SLOTS * F);
	e->u = floats(b, SLOTS * F);
	e->y = floats(b, SLOTS * D);
	e->in = input(b, D);
	e->in_down = input(b, F);
	b->work = (struct trit_experts_work){ .moe = &b->moe, .d = D, .f = F, .eps = 1e-5f, .relu2 = b->c->relu2, .ld = F,
		                              .balance = b->c->balance, .z_loss = b->c->z_loss };
	b->work.xd = floats(b, SLOTS * F);
	b->work.h = floats(b, SLOTS * F);
	b->work.dh = floats(b, SLOTS * F);
	b->work.dy = floats(b, SLOTS * D);
	b->work.dn = floats(b, SLOTS * F);
	b->work.dw = floats(b, SLOTS);
	b->work.ds = floats(b, T * E);
	b->work.seen = trit_arena_take(&b->arena, T, sizeof(int));
	b->out = floats(b, T * D);
	b->dout = floats(b, T * D);
	b->dx = floats(b, T * D);
	b->scratch = floats(b, (size_t)threads * TRIT_GEMM_SCRATCH);
	b->codes = trit_arena_take(&b->arena, MATRIX, 1);
}

struct pass {
	struct bench *b;
	bool backward;
};

static void pass_thread(void *arg, int index, int threads)
{
	const struct pass *pass = arg;
	struct bench *b = pass->b;
	size_t t0, t1;
	trit_part(T, 1, index, threads, &t0, &t1);
	struct trit_experts_part p = { .work = &b->work, .k = &b->kernels, .pool = b->pool, .index = index,
		                       .threads = threads, .tokens = T, .t0 = (int)t0, .t1 = (int)t1, .lambda = b->c->lambda,
		                       .loss_scale = 1, .train = true,
		                       .scratch = b->scratch + (size_t)index * TRIT_GEMM_SCRATCH };
	if (pass->backward)
		trit_experts_backward(&p, &b->layer, b->dx, b->dout, b->w[X], LDX);
	else
		trit_experts_forward(&p, &b->layer, b->out, b->w[X], LDX);
}

static void run(struct bench *b, bool backward)
{
	trit_pool_run(b->pool, pass_thread, &(struct pass){ b, backward });
}

static void quantise(struct bench *b)
{
	for (int i = 0; i < LISTED; i++) {
		struct trit_bitlinear *all[] = { &b->layer.list[i].gate, &b->layer.list[i].up, &b->layer.list[i].down };
		for (int j = 0; j < 3; j++) {
			trit_bitlinear_quantise(all[j], &b->kernels, b->codes);
			if (b->c->lambda < 1)
				trit_bitlinear_blend(all[j], b->c->lambda);
		}
	}
}

static void open_bench(struct bench *b, const struct layer_case *c, enum trit_tier tier, int threads)
{
	struct trit_rng rng;
	struct trit_error err;
	*b = (struct bench){ .c = c };
	b->moe = (struct trit_moe_config){ .n_experts = E, .n_used = c->n_used, .d_ff = F, .d_ff_shared = c->shared ? F : 0,
		                           .gating = TRIT_MOE_SOFTMAX, .norm = c->norm, .scale = 1 };
	trit_kernels_fill(&b->kernels, tier);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	lay_out(b, threads);
	assert_int_equal(trit_arena_alloc(&b->arena, "a test", &err), 0);
	lay_out(b, threads);
	trit_rng_init(&rng, 11);
	for (int i = 0; i < N_ARRAYS; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			b->w[i][j] = i == SUB ? 0.75f + 0.5f * trit_rng_uniform(&rng) : (i == X ? 1 : 0.4f) * trit_rng_normal(&rng);
	for (int i = 0; i < T * D; i++) {
		b->out[i] = trit_rng_normal(&rng);
		b->dout[i] = trit_rng_normal(&rng);
	}
	quantise(b);
}

static void close_bench(struct bench *b)
{
	trit_pool_free(b->pool);
	trit_arena_release(&b->arena);
}

/* ---- the reference ----------------------------------------------------------------------------------------------- */

struct reference {
	const struct bench *b;
	double w[N_ARRAYS][LISTED * MATRIX];
	double w_offset[3][LISTED * MATRIX];
	double x_offset[T][D], h_offset[SLOTS][F];
	bool freeze;
	double out[T][D];
};

/* y [F or D] of one expert for xin. */
static void expert_of(struct reference *r, double *y, const double *xin, int expert, int slot)
{
	const struct bench *b = r->b;
	const struct trit_bit_input *own = &b->layer.in_down;
	double h[F], squares = 0;
	for (int f = 0; f < F; f++) {
		double g = 0, u = 0;
		for (int d = 0; d < D; d++) {
			int at = expert * MATRIX + f * D + d;
			g += (r->w[GATE][at] + r->w_offset[0][at]) * xin[d];
			u += (r->w[UP][at] + r->w_offset[1][at]) * xin[d];
		}
		h[f] = u * (b->c->relu2 ? (g > 0 ? g * g : 0) : g / (1 + exp(-g)));
		squares += h[f] * h[f];
	}
	for (int f = 0; f < F && b->c->sub_norm; f++)
		h[f] = h[f] / sqrt(squares / F + 1e-5) * r->w[SUB][expert * F + f];
	for (int f = 0; f < F && own->q; f++) {
		if (r->freeze)
			r->h_offset[slot][f] = b->c->lambda * ((double)own->step[slot] * own->q[slot * PADDED + f] - h[f]);
		h[f] += r->h_offset[slot][f];
	}
	for (int d = 0; d < D; d++) {
		y[d] = 0;
		for (int f = 0; f < F; f++) {
			int at = expert * MATRIX + d * F + f;
			y[d] += (r->w[DOWN][at] + r->w_offset[2][at]) * h[f];
		}
	}
}

static double token_loss(struct reference *r, int t)
{
	const struct bench *b = r->b;
	const struct trit_bit_input *own = &b->layer.in;
	int each = trit_moe_slots(&b->moe);
	double p[E], z = 0, chosen = 0, loss = 0, xin[D], y[D];
	bool taken[E] = { false };
	for (int e = 0; e < E; e++) {
		p[e] = 0;
		for (int d = 0; d < D; d++)
			p[e] += r->w[ROUTER][e * D + d] * r->w[X][t * LDX + d];
		z += p[e] = exp(p[e]);
	}
	for (int n = 0; n < b->c->n_used; n++) { /* the largest left */
		int best = -1;
		for (int e = 0; e < E; e++)
			best = !taken[e] && (best < 0 || p[e] > p[best]) ? e : best;
		taken[best] = true;
		chosen += p[best];
	}
	for (int d = 0; d < D; d++) {
		if (r->freeze && own->q) {
			int slot = b->layer.slot_of[t * each];
			double seen = (double)own->step[slot] * own->q[slot * PADDED + d];
			r->x_offset[t][d] = b->c->lambda * (seen - r->w[X][t * LDX + d]);
		}
		xin[d] = r->w[X][t * LDX + d] + r->x_offset[t][d];
	}
	for (int e = 0, j = 0; e < LISTED; e++) {
		if (e < E ? !taken[e] : !b->c->shared)
			continue;
		assert_int_equal(b->layer.chosen[t * each + j], e);
		double weight = e == E ? 1 : p[e] / (b->c->norm ? chosen : z);
		expert_of(r, y, xin, e, b->layer.slot_of[t * each + j++]);
		for (int d = 0; d < D; d++) {
			loss += b->dout[t * D + d] * weight * y[d];
			r->out[t][d] += weight * y[d];
		}
	}
	for (int e = 0; e < E; e++) {
		double share = (b->layer.slots.first[e + 1] - b->layer.slots.first[e]) / (double)(T * b->c->n_used);
		loss += b->c->balance * E * share * p[e] / z;
	}
	return loss + b->c->z_loss * log(z) * log(z);
}

static double reference_loss(struct reference *r)
{
	double loss = 0;
	memset(r->out, 0, sizeof r->out);
	for (int t = 0; t < T; t++)
		loss += token_loss(r, t);
	return loss;
}

static void open_reference(struct reference *r, const struct bench *b)
{
	*r = (struct reference){ .b = b, .freeze = true };
	for (int i = 0; i < N_ARRAYS; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			r->w[i][j] = b->w[i][j];
	for (int e = 0; e < LISTED; e++) {
		const struct trit_bitlinear *all[] = { &b->layer.list[e].gate, &b->layer.list[e].up, &b->layer.list[e].down };
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < MATRIX; j++)
				r->w_offset[i][e * MATRIX + j] = (double)all[i]->wq[j] - (double)all[i]->w[j];
	}
	reference_loss(r);
	r->freeze = false;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* Along random directions and single elements; bound as in test_net.c. */
static void check_array(struct reference *r, int which, const float *g, size_t lead, size_t width, struct trit_rng *rng)
{
	static double direction[LISTED * MATRIX];
	const double h = 1e-5;
	size_t n = sizes[which];
	double norm = 0;
	for (size_t i = 0; i < n; i++)
		norm += i % lead < width ? pow((double)g[i / lead * width + i % lead], 2) : 0;
	norm = sqrt(norm);
	assert_true(norm > 1e-3);
	for (int k = 0; k < 12; k++) {
		size_t at = trit_rng_below(rng, n);
		double got = 0, above, below, length = 0;
		for (size_t i = 0; i < n; i++) {
			direction[i] = k < 4 ? trit_rng_normal(rng) : i == at;
			length += direction[i] * direction[i];
		}
		for (size_t i = 0; i < n; i++) {
			direction[i] /= sqrt(length);
			got += i % lead < width ? direction[i] * (double)g[i / lead * width + i % lead] : 0;
			r->w[which][i] += h * direction[i];
		}
		above = reference_loss(r);
		for (size_t i = 0; i < n; i++)
			r->w[which][i] -= 2 * h * direction[i];
		below = reference_loss(r);
		for (size_t i = 0; i < n; i++)
			r->w[which][i] = r->b->w[which][i];
		if (!(fabs(got - (above - below) / (2 * h)) <= 2e-5 * norm))
			fail_msg("%s: array %d, %d: derivative %.9g, expected %.9g, gradient's norm %.3g", r->b->c->name, which, k,
			         got, (above - below) / (2 * h), norm);
	}
}

static void test_gradients(void **state)
{
	static struct reference r;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b;
		struct trit_rng rng;
		float before[T * D];
		open_bench(&b, &cases[i], TRIT_TIER_C, 2);
		memcpy(before, b.out, sizeof before);
		run(&b, false);
		open_reference(&r, &b);
		for (int j = 0; j < T * D; j++)
			if (!(fabs(b.out[j] - before[j] - r.out[j / D][j % D]) < 2e-5))
				fail_msg("%s: out[%d] is %g, expected %g", cases[i].name, j, (double)(b.out[j] - before[j]),
				         r.out[j / D][j % D]);
		run(&b, true);
		trit_rng_init(&rng, 5);
		check_array(&r, X, b.dx, LDX, D, &rng);
		for (int j = ROUTER; j < N_ARRAYS; j++)
			if (j != SUB || cases[i].sub_norm)
				check_array(&r, j, b.g[j], sizes[j], sizes[j], &rng);
		uint64_t load = 0;
		for (int e = 0; e < E; e++)
			load += b.load[e];
		assert_int_equal(load, T * cases[i].n_used);
		close_bench(&b);
	}
}

static void test_same_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench a, b;
		open_bench(&a, &cases[i], TRIT_TIER_C, 1);
		run(&a, false);
		run(&a, true);
		float *expected = a.out;
		for (int threads = 2; threads < 8; threads += 5) {
			struct trit_expert_weights own[LISTED]; /* the list is shared by benches */
			memcpy(own, a.layer.list, sizeof own);
			open_bench(&b, &cases[i], trit_best_tier(), threads);
			run(&b, false);
			run(&b, true);
			assert_memory_equal(b.out, expected, T * D * sizeof *expected);
			assert_memory_equal(b.dx, a.dx, T * D * sizeof *a.dx);
			for (int j = ROUTER; j < N_ARRAYS; j++)
				assert_memory_equal(b.g[j], a.g[j], sizes[j] * sizeof *a.g[j]);
			close_bench(&b);
			memcpy(a.layer.list, own, sizeof own);
		}
		close_bench(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_same_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
