/*
 * test_attention.c - the KV cache and attention over it, against formulas in double precision that read the pages by
 * their description in kernel.h; and the same bits however the work is cut: prompts in chunks, sequences in batches,
 * threads, instruction sets.
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

#include "base/num.h"
#include "base/rng.h"
#include "model/attention.h"

enum { LAYER = 1, N_LAYERS = 2 };

static const char *const type_names[TRIT_N_KV_TYPES] = { "auto", "f16", "q4", "f32", "q8" };

static struct trit_config make_config(int n_heads, int n_kv_heads, int head_dim)
{
	return (struct trit_config){ .arch = trit_arch_by_name("llama", 5), .n_layers = N_LAYERS, .n_heads = n_heads,
		                     .n_kv_heads = n_kv_heads, .head_dim = head_dim, .n_rot = head_dim / 2 * 2, .n_ctx = 2048,
		                     .rope_base = 10000 };
}

static size_t row_floats(const struct trit_config *c)
{
	return trit_config_q_width(c) + 2 * trit_config_kv_width(c);
}

/* ---- reading a page ---------------------------------------------------------------------------------------------- */

/* Number i of 32 of a run. */
static double run_number(enum trit_kv_type type, const unsigned char *run, int i)
{
	if (type == TRIT_KV_F32) {
		float x;
		memcpy(&x, run + 4 * i, sizeof x);
		return x;
	}
	if (type == TRIT_KV_F16)
		return trit_f16_to_f32(trit_get16(run + 2 * i));
	return (run[i % 16] >> (i < 16 ? 0 : 4) & 15) - 8;
}

static double half_at(const unsigned char *p, size_t i)
{
	return trit_f16_to_f32(trit_get16(p + 2 * i));
}

/* Element e of the key at place `at` of a page, and its scale. Sizes are counted anew. */
static double key_element(enum trit_kv_type type, const unsigned char *page, int width, int at, int e, double *scale)
{
	static const int run_bytes[] = { [TRIT_KV_F32] = 128, [TRIT_KV_F16] = 64, [TRIT_KV_Q4] = 16 };
	int groups = (width + 31) / 32, run = run_bytes[type];
	size_t scales = (size_t)(8 * width * run + groups * 256 * run);

	*scale = type != TRIT_KV_Q4 ? 1 : half_at(page + scales, (size_t)((at / 32 * groups + e / 32) * 32 + at % 32));
	return *scale * run_number(type, page + (at / 32 * width + e) * run, at % 32);
}

static double value_element(enum trit_kv_type type, const unsigned char *page, int width, int at, int e, double *scale)
{
	static const int run_bytes[] = { [TRIT_KV_F32] = 128, [TRIT_KV_F16] = 64, [TRIT_KV_Q4] = 16 };
	int groups = (width + 31) / 32, run = run_bytes[type];
	size_t values = (size_t)(8 * width * run), scales = values + (size_t)(groups * 256 * run + groups * 256 * 2);

	*scale = type != TRIT_KV_Q4 ? 1 : half_at(page + scales, (size_t)(e / 32 * 256 + at));
	return *scale * run_number(type, page + values + (e / 32 * 256 + at) * run, e % 32);
}

/* ---- filling the cache ------------------------------------------------------------------------------------------- */

/* What is stored is x to within half a step of its type. */
static void check_stored(enum trit_kv_type type, double stored, double x, double scale, double far)
{
	double bound = type == TRIT_KV_F16 ? fabs(x) * 0x1p-11 + 0x1p-25 : fabs(scale) * 0.501;

	if (type == TRIT_KV_F32)
		bound = 0;
	if (type == TRIT_KV_Q4 && x * far < 0) /* +8 does not exist: the other end may be a whole step off */
		bound = fabs(scale) * 1.005;
	if (!(fabs(stored - x) <= bound))
		fail_msg("%s: %.9g is stored as %.9g, scale %.3g", type_names[type], x, stored, scale);
}

static double farthest(const float *x, int n)
{
	double far = 0;

	for (int i = 0; i < n; i++)
		far = fabs((double)x[i]) > fabs(far) ? (double)x[i] : far;
	return far;
}

static void test_put(void **state)
{
	static const int widths[] = { 2, 16, 31, 32, 100, 128 };
	struct trit_kernels k;
	struct trit_rng rng;

	(void)state;
	trit_kernels_fill(&k, TRIT_TIER_C);
	trit_rng_init(&rng, 1);
	for (int number = 0; number < 18; number++) {
		int width = widths[number / 3];
		enum trit_kv_type type = (enum trit_kv_type)(TRIT_KV_F16 + number % 3);
		unsigned char *page = trit_calloc(trit_kv_page_bytes(type, width), 1);
		float *x = trit_calloc(TRIT_KV_PAGE * 2 * (size_t)width, sizeof *x);

		assert_true(page && x);
		for (int i = 0; i < TRIT_KV_PAGE * 2 * width; i++)
			x[i] = trit_rng_normal(&rng) * ldexpf(1, (int)trit_rng_below(&rng, 8));
		memset(x, 0, (size_t)width * sizeof *x); /* a key of zeros */
		for (int at = 0; at < TRIT_KV_PAGE; at++)
			k.kv_put[type](page, x + at * 2 * width, x + (at * 2 + 1) * width, width, at);
		for (int at = 0; at < TRIT_KV_PAGE; at++)
			for (int e = 0; e < width; e++) {
				const float *key = x + at * 2 * width, *value = key + width;
				int group = e / 32 * 32, m = width - group < 32 ? width - group : 32;
				double scale, got = key_element(type, page, width, at, e, &scale);

				check_stored(type, got, key[e], scale, farthest(key + group, m));
				got = value_element(type, page, width, at, e, &scale);
				check_stored(type, got, value[e], scale, farthest(value + group, m));
			}
		for (int e = width; e < (width + 31) / 32 * 32; e++) { /* zeros after the last element */
			double scale;
			assert_true(value_element(type, page, width, 77, e, &scale) == 0);
		}
		trit_free(page);
		trit_free(x);
	}
}

/* By hand: in 4 bits -3.6, 1.6, 0.2, 3.6 are -8, 4 (3.56), 0, 7, scale 0.45; of two as far the negative counts. */
static void test_put_by_hand(void **state)
{
	float x[32] = { -3.6f, 1.6f, 0.2f, 3.6f };
	static const double expected[] = { -8, 4, 0, 7 };
	struct trit_kernels k;

	(void)state;
	trit_kernels_fill(&k, TRIT_TIER_C);
	unsigned char *page = trit_calloc(trit_kv_page_bytes(TRIT_KV_Q4, 32), 1);
	assert_non_null(page);
	k.kv_put[TRIT_KV_Q4](page, x, x, 32, 0);
	for (int e = 0; e < 4; e++) {
		double scale, v = key_element(TRIT_KV_Q4, page, 32, 0, e, &scale);
		assert_true(fabs(scale - 0.45) < 1e-3 * scale);
		assert_true(v == scale * expected[e]);
	}
	trit_free(page);
}

static void test_memory(void **state)
{
	struct trit_config c = make_config(8, 2, 64);
	struct trit_error err;
	struct trit_kv kv;

	(void)state;
	/* two layers, two heads, two pages: 16, 32 and 4.5 bits for each of 2 * 64 numbers of 256 positions; 8
	 * bits, and twice four bytes a position */
	assert_int_equal(trit_kv_bytes(&c, TRIT_KV_F16, 257), 8 * 256 * 256);
	assert_int_equal(trit_kv_bytes(&c, TRIT_KV_F32, 257), 8 * 256 * 512);
	assert_int_equal(trit_kv_bytes(&c, TRIT_KV_Q8, 512), 8 * 256 * (128 + 8));
	assert_int_equal(trit_kv_bytes(&c, TRIT_KV_Q4, 512), 8 * 256 * 72);
	trit_mem_fail_after(1);
	assert_int_equal(trit_kv_init(&kv, &c, TRIT_KV_F16, 300, &err), TRIT_ERR_MEMORY);
	trit_mem_fail_after(0);
	assert_non_null(strstr(err.message, "300 positions"));
	assert_null(kv.pages);
	c.n_layers = TRIT_MAX_LAYERS;
	c.n_kv_heads = c.head_dim = 1 << 20;
	assert_true(trit_kv_bytes(&c, TRIT_KV_Q4, TRIT_MAX_CTX) == SIZE_MAX);
}

/* ---- running it -------------------------------------------------------------------------------------------------- */

/* Sequences of random queries, keys and values. */
struct input {
	struct trit_config config;
	enum trit_kv_type type;
	int n_sequences, n; /* tokens of each */
	float *qkv;         /* [n_sequences, n, (H + 2K) A] */
};

static void make_input(struct input *in, struct trit_config c, enum trit_kv_type type, int n_sequences, int n)
{
	struct trit_rng rng;
	size_t floats = (size_t)(n_sequences * n) * row_floats(&c);

	trit_rng_init(&rng, 5);
	*in = (struct input){ c, type, n_sequences, n, trit_calloc(floats, sizeof(float)) };
	assert_non_null(in->qkv);
	for (size_t i = 0; i < floats; i++)
		in->qkv[i] = trit_rng_normal(&rng);
}

/* How it is run. */
struct way {
	const char *cpu;
	int n_threads;
	int chunk;     /* tokens of a sequence in each batch; all sequences are in it, one after the other */
	bool by_turns; /* a token of each sequence in turn instead */
	int behind;    /* tokens that each sequence is behind the one before it */
};

struct batch {
	struct trit_attention attention;
	struct trit_batch_token *tokens;
	int n;
	float *qkv, *out;
};

static void attend(void *arg, int index, int n)
{
	struct batch *b = arg;
	trit_attention_run(&b->attention, b->out, b->qkv, b->tokens, b->n, LAYER, index, n);
}

/* Writes the results of all tokens to out [n_sequences, n, H A], and leaves the caches to the caller. */
static void run(float *out, struct trit_kv *kv, const struct input *in, const struct way *way)
{
	const struct trit_config *c = &in->config;
	size_t row = row_floats(c), nq = trit_config_q_width(c);
	int most = in->n_sequences * way->chunk;
	struct trit_kernels kernels;
	struct trit_arena arena = { 0 };
	struct trit_error err;
	struct batch b = { .tokens = trit_calloc((size_t)most, sizeof *b.tokens) };
	int *source = trit_calloc((size_t)most, sizeof *source);

	assert_int_equal(trit_kernels_select(&kernels, way->cpu, &err), 0);
	b.attention = (struct trit_attention){ .config = c, .kernels = &kernels, .n_batch = most, .n_ctx = in->n };
	assert_int_equal(trit_pool_new(&b.attention.pool, way->n_threads, &err), 0);
	trit_attention_lay_out(&b.attention, &arena);
	assert_int_equal(trit_arena_alloc(&arena, "a test", &err), 0);
	trit_attention_lay_out(&b.attention, &arena);
	trit_attention_tables(&b.attention);
	b.qkv = trit_calloc((size_t)most * row, sizeof *b.qkv);
	b.out = trit_calloc((size_t)most * nq, sizeof *b.out);
	assert_true(b.qkv && b.out && b.tokens && source);
	for (int s = 0; s < in->n_sequences; s++)
		assert_int_equal(trit_kv_init(&kv[s], c, in->type, in->n, &err), 0);
	for (int t0 = 0; t0 < in->n + way->behind * (in->n_sequences - 1); t0 += way->chunk) {
		b.n = 0;
		for (int i = 0; i < most; i++) {
			int s = way->by_turns ? i % in->n_sequences : i / way->chunk;
			int t = t0 + (way->by_turns ? i / in->n_sequences : i % way->chunk) - way->behind * s;
			if (t < 0 || t >= in->n)
				continue;
			source[b.n] = s * in->n + t;
			b.tokens[b.n] = (struct trit_batch_token){ .position = t, .kv = &kv[s] };
			memcpy(b.qkv + (size_t)b.n * row, in->qkv + (size_t)source[b.n] * row, row * sizeof *b.qkv);
			b.n++;
		}
		trit_pool_run(b.attention.pool, attend, &b);
		for (int i = 0; i < b.n; i++)
			memcpy(out + (size_t)source[i] * nq, b.out + (size_t)i * nq, nq * sizeof *out);
	}
	trit_pool_free(b.attention.pool);
	trit_arena_release(&arena);
	trit_free(b.tokens);
	trit_free(b.qkv);
	trit_free(b.out);
	trit_free(source);
}

static void release(struct trit_kv *kv, int n)
{
	for (int s = 0; s < n; s++)
		trit_kv_release(&kv[s]);
}

/* ---- against the formula ----------------------------------------------------------------------------------------- */

/* Rotated in double; pairs (2i, 2i + 1). */
static double rotated(const struct trit_config *c, const float *x, int position, int e)
{
	double angle = position * pow(c->rope_base, -(e / 2 * 2.0) / c->n_rot);

	if (e >= c->n_rot)
		return x[e];
	return e % 2 ? x[e - 1] * sin(angle) + x[e] * cos(angle) : x[e] * cos(angle) - x[e + 1] * sin(angle);
}

/* One head's result for the token at `position`, from the numbers in the cache. */
static void exact(double *out, const struct trit_config *c, const struct trit_kv *kv, const float *q, int position,
                  int head)
{
	static double p[2048];
	double max = -INFINITY, sum = 0, scale;
	const unsigned char *pages = trit_kv_pages(kv, LAYER, head);
	int first = c->window && position >= c->window ? position + 1 - c->window : 0;
	double factor = c->score_scale ? (double)c->score_scale : 1 / sqrt(c->head_dim), cap = (double)c->attn_softcap;

	for (int i = first; i <= position; i++) {
		p[i] = 0;
		for (int e = 0; e < c->head_dim; e++)
			p[i] += rotated(c, q, position, e) * key_element(kv->type, pages + (size_t)(i / 256) * trit_kv_stride(kv),
			                                                 c->head_dim, i % 256, e, &scale);
		p[i] *= factor;
		if (c->attn_softcap)
			p[i] = cap * tanh(p[i] / cap);
		max = fmax(max, p[i]);
	}
	for (int i = first; i <= position; i++)
		sum += p[i] = exp(p[i] - max);
	for (int e = 0; e < c->head_dim; e++) {
		out[e] = 0;
		for (int i = first; i <= position; i++)
			out[e] += p[i] / sum * value_element(kv->type, pages + (size_t)(i / 256) * trit_kv_stride(kv),
			                                     c->head_dim, i % 256, e, &scale);
	}
}

static void test_formula(void **state)
{
	static const int shapes[][3] = { { 4, 2, 32 }, { 6, 1, 20 }, { 3, 3, 66 }, { 10, 2, 100 } };

	(void)state;
	for (int number = 0; number < 24; number++) {
		const int *shape = shapes[number / 6];
		struct input in;
		struct trit_kv kv;
		struct trit_config config = make_config(shape[0], shape[1], shape[2]);
		if (number % 3 == 2) { /* a window whose positions lie in two pages at the end */
			config.window = 61;
			config.attn_softcap = 1.5f;
			config.score_scale = 0.3f;
		}
		make_input(&in, config, (enum trit_kv_type)(TRIT_KV_F16 + number / 2 % 3), 1, 300);
		const struct trit_config *c = &in.config;
		size_t nq = trit_config_q_width(c), width = (size_t)c->head_dim;
		float *out = trit_calloc((size_t)in.n * nq, sizeof *out);
		double expected[128];

		assert_non_null(out);
		run(out, &kv, &in, &(struct way){ "c", 1, 300, false, 0 });
		for (int t = 0; t < in.n; t += t < 4 || t > 250 ? 1 : 41)
			for (int h = 0; h < c->n_heads; h++) {
				exact(expected, c, &kv, in.qkv + (size_t)t * row_floats(c) + (size_t)h * width, t,
				      h / (c->n_heads / c->n_kv_heads));
				for (size_t e = 0; e < width; e++) {
					double got = out[(size_t)t * nq + (size_t)h * width + e];
					if (!(fabs(got - expected[e]) <= 4e-6))
						fail_msg("%s, width %zu, position %d, head %d: element %zu is %.8g, expected %.8g",
						         type_names[in.type], width, t, h, e, got, expected[e]);
				}
			}
		trit_kv_release(&kv);
		trit_free(in.qkv);
		trit_free(out);
	}
}

/* ---- the same bits ----------------------------------------------------------------------------------------------- */

/* All ways give what one thread on `cpu` computes from all tokens together. */
static void check_ways(const struct input *in, const char *cpu, const struct way *ways, int n_ways)
{
	size_t floats = (size_t)(in->n_sequences * in->n) * trit_config_q_width(&in->config);
	float *expected = trit_calloc(floats, sizeof *expected), *got = trit_calloc(floats, sizeof *got);
	struct trit_kv first[3], kv[3];
	size_t kv_bytes = trit_kv_bytes(&in->config, in->type, in->n);

	assert_true(expected && got);
	run(expected, first, in, &(struct way){ cpu, 1, in->n, false, 0 });
	for (int i = 0; i < n_ways; i++) {
		run(got, kv, in, &ways[i]);
		if (memcmp(got, expected, floats * sizeof *got) != 0)
			fail_msg("%s: other bits on %s with %d threads in chunks of %d%s", type_names[in->type], ways[i].cpu,
			         ways[i].n_threads, ways[i].chunk, ways[i].by_turns ? " by turns" : "");
		for (int s = 0; s < in->n_sequences; s++)
			assert_memory_equal(kv[s].pages, first[s].pages, kv_bytes);
		release(kv, in->n_sequences);
	}
	release(first, in->n_sequences);
	trit_free(expected);
	trit_free(got);
}

static void test_same_bits(void **state)
{
	(void)state;
	for (int type = TRIT_KV_F16; type < TRIT_N_KV_TYPES; type++) {
		struct input in;
		make_input(&in, make_config(6, 2, 36), (enum trit_kv_type)type, 3, 70);
		for (int tier = 0; tier <= (int)trit_best_tier(); tier++) {
			if (!trit_tier_here((enum trit_tier)tier))
				continue;
			const char *cpu = trit_tier_name((enum trit_tier)tier);
			const struct way ways[] = {
				{ cpu, 1, 1, false, 0 }, { cpu, 2, 7, false, 0 }, { cpu, 7, 64, false, 0 }, { cpu, 3, 1, true, 0 },
				{ cpu, 5, 7, true, 0 }, { cpu, 4, 70, true, 0 }, { cpu, 6, 70, false, 0 }, { cpu, 2, 3, true, 13 },
			};
			check_ways(&in, "c", ways, TRIT_TIER_C == tier ? 3 : (int)(sizeof ways / sizeof *ways));
		}
		trit_free(in.qkv);
	}
}

/* Far enough for few tokens to be split among threads. */
static void test_same_bits_far(void **state)
{
	(void)state;
	for (int type = TRIT_KV_F16; type < TRIT_N_KV_TYPES; type++) {
		struct input in;
		const char *cpu = trit_tier_name(trit_best_tier());
		const struct way ways[] = {
			{ cpu, 2, 1, false, 0 }, { cpu, 7, 3, false, 0 }, { cpu, 3, 5, true, 0 }, { cpu, 5, 700, false, 0 },
			{ cpu, 3, 1, false, 520 }, { cpu, 4, 6, true, 333 },
		};
		make_input(&in, make_config(3, 1, 40), (enum trit_kv_type)type, 2, 700);
		check_ways(&in, cpu, ways, (int)(sizeof ways / sizeof *ways));
		trit_free(in.qkv);
	}
}

/* Infinite values of a token do not reach the tokens before it, though they are computed together. */
static void test_not_finite(void **state)
{
	struct input in;
	struct trit_kv kv;
	make_input(&in, make_config(4, 2, 32), TRIT_KV_F16, 1, 40);
	size_t nq = trit_config_q_width(&in.config), row = row_floats(&in.config);
	float out[40 * 128], clean[40 * 128];

	(void)state;
	run(clean, &kv, &in, &(struct way){ NULL, 2, 40, false, 0 });
	trit_kv_release(&kv);
	for (size_t i = nq; i < row; i++)
		in.qkv[29 * row + i] = i % 3 ? INFINITY : NAN;
	run(out, &kv, &in, &(struct way){ NULL, 2, 40, false, 0 });
	assert_memory_equal(out, clean, 29 * nq * sizeof *out);
	for (size_t i = 0; i < nq; i++)
		assert_false(isfinite(out[29 * nq + i]));
	trit_kv_release(&kv);
	trit_free(in.qkv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),          cmocka_unit_test(test_put_by_hand),
		cmocka_unit_test(test_memory),       cmocka_unit_test(test_formula),
		cmocka_unit_test(test_same_bits),    cmocka_unit_test(test_same_bits_far),
		cmocka_unit_test(test_not_finite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
