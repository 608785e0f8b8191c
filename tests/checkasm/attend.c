/*
 * attend.c - checks the kernels of attention, and of filling the KV cache.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <string.h>

#include "checkasm.h"

enum { CASES = 60, MOST_PAGES = 3 };

/* The page's numbers, scales included: halves, bytes of any value. */
static void fill_pages(struct check *ck, unsigned char *pages, size_t bytes, size_t stride, enum trit_kv_type type,
                       int width)
{
	size_t scales = trit_kv_key_scales_at(type, width);

	for (size_t at = 0; at < bytes; at += stride) {
		uint16_t *integers = (uint16_t *)(void *)(pages + at), *halves = integers + scales / 2;

		if (type == TRIT_KV_F32)
			check_fill_f32(ck, (float *)(void *)(pages + at), scales / 4);
		else if (type == TRIT_KV_F16)
			check_fill_f16(ck, integers, scales / 2);
		else
			for (size_t i = 0; i < scales / 2; i++)
				integers[i] = (uint16_t)trit_rng_next(&ck->rng);
		check_fill_f16(ck, halves, (trit_kv_page_bytes(type, width) - scales) / 2);
	}
}

/* Pages for n positions, `stride` apart, in one array. */
static unsigned char *make_pages(struct check *ck, int n, size_t stride, enum trit_kv_type type, int width)
{
	size_t bytes = (size_t)((n - 1) / TRIT_KV_PAGE) * stride + trit_kv_page_bytes(type, width);
	unsigned char *pages = check_in(ck, bytes);

	memset(pages, 0, bytes);
	fill_pages(ck, pages, bytes, stride, type, width);
	return pages;
}

static void test_kv_put(struct check *ck)
{
	enum trit_kv_type type = (enum trit_kv_type)ck->arg;

	for (int number = 0; number < CASES; number++) {
		int width = check_size(ck, 1, 140), at = (int)trit_rng_below(&ck->rng, TRIT_KV_PAGE);
		size_t bytes = trit_kv_page_bytes(type, width);

		check_case(ck, "width %d, at %d, number %d", width, at, number);
		float *key = check_in(ck, width * sizeof *key), *value = check_in(ck, width * sizeof *value);
		unsigned char *c = check_out(ck, bytes), *k = check_out(ck, bytes);

		check_fill_f32(ck, key, width);
		check_fill_f32(ck, value, width);
		if (number % 4 == 1) /* nothing, or nothing that scales can hold */
			memset(key, 0, width * sizeof *key);
		if (number % 4 == 2)
			for (int i = 0; i < width; i++)
				value[i] *= number % 8 == 2 ? 1e30f : 1e-20f;
		if (number % 4 == 3) { /* two numbers equally far from zero; numbers that are none */
			key[0] = 5000;
			key[width - 1] = -5000;
			value[width / 2] = number % 8 == 3 ? INFINITY : !trit_kv_scaled(type) ? -INFINITY : NAN;
		}
		ck->c->kv_put[type](c, key, value, width, at);
		ck->k->kv_put[type](k, key, value, width, at);
		check_same_i8(ck, "page", (int8_t *)c, (int8_t *)k, bytes);
	}
	check_case(ck, "benchmark");
	unsigned char *page = check_aligned(ck, trit_kv_page_bytes(type, 128));
	float *x = check_aligned(ck, 128 * sizeof *x);
	check_fill_normal(ck, x, 128, 1);
	CHECK_BENCH(ck, "width 128", 256, "elem", 0, ck->now->kv_put[type](page, x, x, 128, 7));
}

/* A head of 128 with `rows` queries: four of a token, or of several tokens. */
struct benchmark {
	unsigned char *pages;
	float *q, *s, *out, *sum;
	size_t stride, lds;
	int n, rows;
	double bytes; /* of keys, and of values */
};

static void set_up_benchmark(struct check *ck, struct benchmark *b, enum trit_kv_type type, int n, int rows)
{
	*b = (struct benchmark){.n = n, .rows = rows, .stride = trit_kv_page_bytes(type, 128), .lds = (size_t)n + 16};
	size_t bytes = n / TRIT_KV_PAGE * b->stride;

	check_case(ck, "benchmark");
	b->pages = check_aligned(ck, bytes);
	b->q = check_aligned(ck, rows * 128 * sizeof *b->q);
	b->s = check_aligned(ck, rows * b->lds * sizeof *b->s);
	b->out = check_aligned(ck, rows * 128 * sizeof *b->out);
	b->sum = check_aligned(ck, rows * sizeof *b->sum);
	fill_pages(ck, b->pages, bytes, b->stride, type, 128);
	check_fill_normal(ck, b->q, rows * 128, 1);
	check_fill_normal(ck, b->s, rows * b->lds, 1);
	for (int r = 0; r < rows; r++)
		b->sum[r] = 3;
	b->bytes = bytes / 2.0;
	if (rows == 4)
		check_read_speed(ck, b->pages, bytes);
}

static const int bench_n[] = {512, 4096, 32768}, bench_rows[] = {4, 48};

static void test_scores(struct check *ck)
{
	enum trit_kv_type type = (enum trit_kv_type)ck->arg;

	for (int number = 0; number < CASES; number++) {
		int width = check_size(ck, 1, 140), n = check_size(ck, 1, MOST_PAGES * TRIT_KV_PAGE);
		int rows = check_size(ck, 1, 30), begin = (int)trit_rng_below(&ck->rng, n) / 32 * 32;
		size_t stride = trit_kv_page_bytes(type, width) * (1 + number % 2), ldq = width + number % 3;
		size_t lds = ((size_t)n + 31) / 32 * 32 + trit_rng_below(&ck->rng, 20);

		check_case(ck, "width %d, rows %d, positions %d to %d, number %d", width, rows, begin, n, number);
		float *q = check_in(ck, ((rows - 1) * ldq + width) * sizeof *q);
		unsigned char *pages = make_pages(ck, n, stride, type, width);
		float *c = check_out(ck, rows * lds * sizeof *c), *k = check_out(ck, rows * lds * sizeof *k);

		check_fill_normal(ck, q, (rows - 1) * ldq + width, 1);
		ck->c->attend_scores[type](c, lds, q, ldq, pages, stride, 0.125f, width, rows, begin, n);
		ck->k->attend_scores[type](k, lds, q, ldq, pages, stride, 0.125f, width, rows, begin, n);
		check_same_f32(ck, "scores", c, k, rows * lds);
	}
	for (int i = 0; i < 6 && ck->bench; i++) {
		struct benchmark b;
		char label[40];

		set_up_benchmark(ck, &b, type, bench_n[i % 3], bench_rows[i / 3]);
		snprintf(label, sizeof label, "%d positions, %d queries", b.n, b.rows);
		CHECK_BENCH(ck, label, 128.0 * b.n * b.rows, "FMA", b.bytes,
		            ck->now->attend_scores[type](b.s, b.lds, b.q, 128, b.pages, b.stride, 0.1f, 128, b.rows, 0, b.n));
	}
}

static void test_values(struct check *ck)
{
	enum trit_kv_type type = (enum trit_kv_type)ck->arg;

	for (int number = 0; number < CASES; number++) {
		int width = check_size(ck, 1, 140), n_tokens = 1 + (int)trit_rng_below(&ck->rng, 9);
		int share = check_size(ck, 1, 9), rows = n_tokens * share, n = check_size(ck, 1, 500), n_max = n + n_tokens - 1;
		int first = (int)trit_rng_below(&ck->rng, width) / 32 * 32;
		int last = first + 1 + (int)trit_rng_below(&ck->rng, width - first);
		size_t stride = trit_kv_page_bytes(type, width) * (1 + number % 2), ldp = (size_t)n_max + number % 5;
		size_t ld_head = width + number % 2, ld_token = share * ld_head + number % 3, used = n_tokens * ld_token;

		check_case(ck, "width %d, elements %d to %d, tokens %d, share %d, n %d, number %d", width, first, last,
		           n_tokens, share, n, number);
		float *p = check_in(ck, ((rows - 1) * ldp + n_max) * sizeof *p), *sum = check_in(ck, rows * sizeof *sum);
		unsigned char *pages = make_pages(ck, n_max, stride, type, width);
		float *c = check_out(ck, used * sizeof *c), *k = check_out(ck, used * sizeof *k);

		check_fill_normal(ck, p, (rows - 1) * ldp + n_max, 1);
		for (int r = 0; r < rows; r++)
			sum[r] = 1 + trit_rng_uniform(&ck->rng);
		if (!trit_kv_scaled(type)) { /* what is stored later must not be multiplied: no numbers, or huge ones */
			unsigned char *values = pages + (n_max - 1) / TRIT_KV_PAGE * stride + trit_kv_values_at(type, width);

			for (size_t g = 0; g < trit_kv_groups(width); g++)
				for (int i = (n_max - 1) % TRIT_KV_PAGE + 1; i < TRIT_KV_PAGE; i++)
					memset(values + (g * TRIT_KV_PAGE + i) * trit_kv_run_bytes(type), 0x7F, trit_kv_run_bytes(type));
		}
		ck->c->attend_values[type](c, ld_token, ld_head, p, ldp, sum, pages, stride, width, first, last, rows, share,
		                           n);
		ck->k->attend_values[type](k, ld_token, ld_head, p, ldp, sum, pages, stride, width, first, last, rows, share,
		                           n);
		check_same_f32(ck, "out", c, k, used);
		for (int r = 0; r < rows; r++)
			for (int e = 0; e < last - first; e++)
				if (!isfinite(k[r / share * ld_token + r % share * ld_head + e]))
					check_fail(ck, "element %d of row %d is not finite", e, r);
	}
	for (int i = 0; i < 6 && ck->bench; i++) {
		struct benchmark b;
		char label[40];

		set_up_benchmark(ck, &b, type, bench_n[i % 3], bench_rows[i / 3]);
		snprintf(label, sizeof label, "%d positions, %d queries", b.n, b.rows);
		CHECK_BENCH(ck, label, 128.0 * b.n * b.rows, "FMA", b.bytes,
		            ck->now->attend_values[type](b.out, 512, 128, b.s, b.lds, b.sum, b.pages, b.stride, 128, 0, 128,
		                                         b.rows, 4, b.n - b.rows / 4 + 1));
	}
}

const struct check_test check_attend[] = {
	CHECK_ARRAY(kv_put, TRIT_KV_F32, test_kv_put),
	CHECK_ARRAY(kv_put, TRIT_KV_F16, test_kv_put),
	CHECK_ARRAY(kv_put, TRIT_KV_Q4, test_kv_put),
	CHECK_ARRAY(attend_scores, TRIT_KV_F32, test_scores),
	CHECK_ARRAY(attend_scores, TRIT_KV_F16, test_scores),
	CHECK_ARRAY(attend_scores, TRIT_KV_Q4, test_scores),
	CHECK_ARRAY(attend_values, TRIT_KV_F32, test_values),
	CHECK_ARRAY(attend_values, TRIT_KV_F16, test_values),
	CHECK_ARRAY(attend_values, TRIT_KV_Q4, test_values),
	CHECK_END,
};
