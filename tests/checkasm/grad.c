/*
 * grad.c - checks what stands round the integer products of the backward pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "checkasm.h"

enum { CASES = 120 };

/* Gradients: small, of many sizes, in some cases with what is not finite. */
static void fill_gradient(struct check *ck, float *x, size_t n, int number)
{
	check_fill_f32(ck, x, n);
	for (size_t i = 0; i < n; i++)
		x[i] *= number % 3 ? 1e-4f : 1e-30f;
	if (number % 10 == 9 && n)
		x[trit_rng_below(&ck->rng, n)] = number % 20 == 9 ? INFINITY : (float)NAN;
}

static void test_grad_quant(struct check *ck)
{
	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 1, 1100), padded = (int)trit_q_padded((size_t)n), bytes = 1 + number / 2 % 2;
		float step[2][2];
		int32_t sum[2][2];

		check_case(ck, "n %d, bytes %d, number %d", n, bytes, number);
		float *x = check_in(ck, n * sizeof *x), *factor = number % 4 == 1 ? check_in(ck, n * sizeof *factor) : NULL;
		int8_t *q = check_out(ck, bytes * padded), *z = check_out(ck, bytes * padded);
		fill_gradient(ck, x, n, number);
		for (int i = 0; factor && i < n; i++)
			factor[i] = trit_rng_uniform(&ck->rng);
		ck->c->grad_quant(q, step[0], sum[0], x, factor, n, padded, bytes);
		ck->k->grad_quant(z, step[1], sum[1], x, factor, n, padded, bytes);
		check_same_i8(ck, "q", q, z, bytes * padded);
		check_same_i32(ck, "sum", sum[0], sum[1], bytes);
		if (number % 10 == 9) {
			if (!isnan(step[1][0]) || !isnan(step[1][bytes - 1]))
				check_fail(ck, "a gradient that is not finite went unnoticed");
			continue;
		}
		check_same_f32(ck, "step", step[0], step[1], bytes);
		double most = 1e-30;
		int32_t sum_hi = 0, sum_lo = 0;
		for (int i = 0; factor && i < n; i++)
			x[i] *= factor[i];
		for (int i = 0; i < n; i++)
			most = fmax(most, fabs((double)x[i]));
		for (int i = 0; i < n; i++) {
			int lo = bytes == 2 ? z[padded + i] : 0;
			double back = (double)step[1][0] * z[i] + (bytes == 2 ? (double)step[1][1] * lo : 0);
			sum_hi += z[i];
			sum_lo += lo;
			if (fabs(back - (double)x[i]) > most / (bytes == 2 ? 64000 : 253.9) || z[i] < -127 || lo < -127)
				check_fail(ck, "element %d: %g came back as %g", i, (double)x[i], back);
		}
		if (sum_hi != sum[1][0] || (bytes == 2 && sum_lo != sum[1][1]))
			check_fail(ck, "sums");
	}
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, 1024 * sizeof *x), step[2];
	int8_t *q = check_aligned(ck, 4096);
	int32_t sum[2];
	check_fill_normal(ck, x, 1024, 1);
	CHECK_BENCH(ck, "n 1024, 1 byte", 1024, "elem", 5 * 1024,
	            ck->now->grad_quant(q, step, sum, x, NULL, 1024, 1088, 1));
	CHECK_BENCH(ck, "n 1024, 2 bytes", 1024, "elem", 6 * 1024,
	            ck->now->grad_quant(q, step, sum, x, NULL, 1024, 1088, 2));
}

static void test_max_abs(struct check *ck)
{
	for (int number = 0; number < CASES; number++) {
		int n = check_size(ck, 0, 500);

		check_case(ck, "n %d, number %d", n, number);
		float *x = check_in(ck, n * sizeof *x), *y = check_out(ck, n * sizeof *y), *z = check_out(ck, n * sizeof *z);
		fill_gradient(ck, x, n, number);
		for (int i = 0; i < n; i++)
			y[i] = z[i] = 1e-4f * trit_rng_uniform(&ck->rng);
		ck->c->max_abs(y, x, -0.3f, n);
		ck->k->max_abs(z, x, -0.3f, n);
		check_same_f32(ck, "max", y, z, n);
	}
}

static void test_grad_quant_columns(struct check *ck)
{
	for (int number = 0; number < CASES; number++) {
		int tokens = check_size(ck, 1, 150), cols = check_size(ck, 1, 80), bytes = 1 + number / 2 % 2;
		int blocks = bytes * ((cols + 15) / 16);
		size_t ld = cols + trit_rng_below(&ck->rng, 5), n = (tokens - 1) * ld + cols;
		size_t size = trit_layout_bytes(TRIT_I8, 16 * (size_t)blocks, (size_t)tokens);

		check_case(ck, "tokens %d, cols %d, bytes %d, number %d", tokens, cols, bytes, number);
		float *x = check_in(ck, n * sizeof *x), *factor = check_in(ck, tokens * sizeof *factor);
		float *max = check_in(ck, cols * sizeof *max);
		unsigned char *w = check_out(ck, size), *z = check_out(ck, size);
		float *scale = check_out(ck, 16 * blocks * sizeof *scale), *scale_k = check_out(ck, 16 * blocks *
		                                                                                sizeof *scale);
		int8_t hi[160], lo[160] = {0};

		fill_gradient(ck, x, n, number);
		for (int t = 0; t < tokens; t++)
			factor[t] = trit_rng_uniform(&ck->rng);
		memset(max, 0, cols * sizeof *max);
		for (int t = 0; t < tokens; t++)
			ck->c->max_abs(max, x + t * ld, factor[t], cols);
		ck->c->grad_quant_columns(w, scale, x, ld, factor, max, tokens, cols, bytes);
		ck->k->grad_quant_columns(z, scale_k, x, ld, factor, max, tokens, cols, bytes);
		check_same_i8(ck, "w", (int8_t *)w, (int8_t *)z, size);
		check_same_f32(ck, "scale", scale, scale_k, 16 * blocks);
		for (int c = 0; c < cols && number % 10 != 9; c++) {
			size_t row = (size_t)(c / 16 * 16 * bytes + c % 16);
			trit_unpack(TRIT_I8, hi, z, row, (size_t)tokens);
			if (bytes == 2)
				trit_unpack(TRIT_I8, lo, z, row + 16, (size_t)tokens);
			for (int t = 0; t < tokens; t++) {
				double v = (double)x[t * ld + c] * (double)factor[t];
				double back = (double)scale_k[row] * hi[t];
				if (bytes == 2)
					back += (double)scale_k[row + 16] * lo[t];
				if (fabs(v - back) > fmax((double)max[c], 1e-30) / (bytes == 2 ? 64000 : 253.9))
					check_fail(ck, "column %d, token %d: %g came back as %g", c, t, v, back);
			}
		}
	}
	enum { TOKENS = 2048, LD = 1024, COLS = 64 };
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, TOKENS * LD * sizeof *x), *ones = check_aligned(ck, TOKENS * sizeof *ones);
	unsigned char *w = check_aligned(ck, 2 * COLS * TOKENS);
	float scale[2 * COLS];
	check_fill_normal(ck, x, TOKENS * LD, 1);
	check_fill_normal(ck, ones, TOKENS, 1);
	CHECK_BENCH(ck, "2048 x 64 of 1024, 1 byte", TOKENS * COLS, "elem", 5 * TOKENS * COLS,
	            ck->now->grad_quant_columns(w, scale, x, LD, ones, ones, TOKENS, COLS, 1));
	CHECK_BENCH(ck, "2048 x 64 of 1024, 2 bytes", TOKENS * COLS, "elem", 6 * TOKENS * COLS,
	            ck->now->grad_quant_columns(w, scale, x, LD, ones, ones, TOKENS, COLS, 2));
}

static void test_transpose_i8(struct check *ck)
{
	for (int number = 0; number < CASES; number++) {
		int rows = check_size(ck, 0, 150), cols = check_size(ck, 1, 150);
		size_t ld = cols + trit_rng_below(&ck->rng, 70), ld_to = rows + trit_rng_below(&ck->rng, 70);
		size_t n = rows ? (rows - 1) * ld + cols : 0, m = rows ? (cols - 1) * ld_to + rows : 0;
		bool sums = number % 4 != 0;

		check_case(ck, "rows %d, cols %d, number %d", rows, cols, number);
		int8_t *from = check_in(ck, n), *y = check_out(ck, m), *z = check_out(ck, m);
		int32_t *sum = check_out(ck, cols * sizeof *sum), *sum_k = check_out(ck, cols * sizeof *sum);
		check_fill_i8(ck, from, n, -128, 127);
		ck->c->transpose_i8(y, ld_to, sums ? sum : NULL, from, ld, rows, cols);
		ck->k->transpose_i8(z, ld_to, sums ? sum_k : NULL, from, ld, rows, cols);
		check_same_i8(ck, "to", y, z, m);
		check_same_i32(ck, "sum", sum, sum_k, cols);
		for (int i = 0; i < rows * cols; i++)
			if (z[(size_t)(i % cols) * ld_to + (size_t)(i / cols)] != from[(size_t)(i / cols) * ld +
			                                                               (size_t)(i % cols)])
				check_fail(ck, "element %d", i);
	}
	check_case(ck, "benchmark");
	int8_t *from = check_aligned(ck, 512 * 1024), *to = check_aligned(ck, 512 * 1024);
	int32_t *sum = check_aligned(ck, 1024 * sizeof *sum);
	check_fill_i8(ck, from, 512 * 1024, -127, 127);
	CHECK_BENCH(ck, "512 x 1024", 512 * 1024, "elem", 2 * 512 * 1024,
	            ck->now->transpose_i8(to, 512, sum, from, 1024, 512, 1024));
}

static void test_add_pairs(struct check *ck)
{
	for (int number = 0; number < CASES; number++) {
		int rows = check_size(ck, 1, 20), cols = check_size(ck, 1, 150);
		size_t ld = cols + trit_rng_below(&ck->rng, 5), ldy = cols + trit_rng_below(&ck->rng, 5);
		size_t n = (2 * rows - 1) * ld + cols, m = (rows - 1) * ldy + cols;

		check_case(ck, "rows %d, cols %d, number %d", rows, cols, number);
		float *pairs = check_in(ck, n * sizeof *pairs), *y = check_out(ck, m * sizeof *y), *z = check_out(ck, m *
		                                                                                                  sizeof *z);
		check_fill_f32(ck, pairs, n);
		for (int r = 0; r < rows; r++) {
			check_fill_f32(ck, y + r * ldy, cols);
			memcpy(z + r * ldy, y + r * ldy, cols * sizeof *y);
		}
		ck->c->add_pairs(y, ldy, pairs, ld, rows, cols, number % 2);
		ck->k->add_pairs(z, ldy, pairs, ld, rows, cols, number % 2);
		check_same_f32(ck, "y", y, z, m);
	}
}

static void test_add_transposed(struct check *ck)
{
	for (int number = 0; number < CASES; number++) {
		int rows = check_size(ck, 1, 70), cols = check_size(ck, 1, 70), bytes = 1 + number % 2;
		size_t ld = (size_t)((cols + 15) / 16 * 16 * bytes) + trit_rng_below(&ck->rng, 5);
		size_t ldy = rows + trit_rng_below(&ck->rng, 5), n = rows * ld, m = (cols - 1) * ldy + rows;

		check_case(ck, "rows %d, cols %d, bytes %d, number %d", rows, cols, bytes, number);
		float *x = check_in(ck, n * sizeof *x), *y = check_out(ck, m * sizeof *y), *z = check_out(ck, m * sizeof *z);
		check_fill_f32(ck, x, n);
		for (int c = 0; c < cols; c++) {
			check_fill_f32(ck, y + c * ldy, rows);
			memcpy(z + c * ldy, y + c * ldy, rows * sizeof *y);
		}
		ck->c->add_transposed(y, ldy, x, ld, rows, cols, bytes);
		ck->k->add_transposed(z, ldy, x, ld, rows, cols, bytes);
		check_same_f32(ck, "y", y, z, m);
	}
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, 512 * 128 * sizeof *x), *y = check_aligned(ck, 512 * 64 * sizeof *y);
	check_fill_normal(ck, x, 512 * 128, 1);
	memset(y, 0, 512 * 64 * sizeof *y);
	CHECK_BENCH(ck, "512 x 64, 1 byte", 512 * 64, "elem", 12 * 512 * 64,
	            ck->now->add_transposed(y, 512, x, 64, 512, 64, 1));
	CHECK_BENCH(ck, "512 x 64, 2 bytes", 512 * 64, "elem", 16 * 512 * 64,
	            ck->now->add_transposed(y, 512, x, 128, 512, 64, 2));
}

const struct check_test check_grad[] = {
	CHECK(grad_quant, test_grad_quant),
	CHECK(max_abs, test_max_abs),
	CHECK(grad_quant_columns, test_grad_quant_columns),
	CHECK(transpose_i8, test_transpose_i8),
	CHECK(add_pairs, test_add_pairs),
	CHECK(add_transposed, test_add_transposed),
	CHECK_END,
};
