/*
 * gemm.c - checks the dense products.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <string.h>

#include "checkasm.h"

/* `n` weights of a layout, finite; Q8_0 with steps that include subnormal ones. */
static void fill_weights(struct check *ck, void *w, enum trit_dense_type type, size_t n)
{
	uint16_t *half = w;
	signed char *q = w;

	switch (type) {
	case TRIT_DENSE_F32:
		check_fill_f32(ck, w, n);
		return;
	case TRIT_DENSE_F16:
		check_fill_f16(ck, half, n);
		return;
	case TRIT_DENSE_BF16:
		for (size_t i = 0; i < n; i++)
			half[i] = trit_f32_to_bf16(trit_rng_normal(&ck->rng));
		return;
	default:
		for (size_t i = 0; i < n / 32; i++, q += 34) {
			uint16_t step;

			check_fill_f16(ck, &step, 1);
			memcpy(q, &step, 2);
			for (int j = 0; j < 32; j++)
				q[2 + j] = (signed char)((int)trit_rng_below(&ck->rng, 256) - 128);
		}
	}
}

/* Columns of a matrix: any number, for Q8_0 whole blocks. */
static int columns(struct check *ck, int max)
{
	int cols = check_size(ck, 1, max);

	return ck->arg == TRIT_DENSE_Q8_0 ? (cols + 31) / 32 * 32 : cols;
}

static void test_gemm_dense(struct check *ck)
{
	enum trit_dense_type type = (enum trit_dense_type)ck->arg;

	for (int number = 0; number < 150; number++) {
		int rows = 1 + (int)trit_rng_below(&ck->rng, 21), cols = columns(ck, 600);
		int tokens = number % 3 ? (int)trit_rng_below(&ck->rng, 12) : 1;
		size_t ldx = cols + trit_rng_below(&ck->rng, 5), ldy = rows + trit_rng_below(&ck->rng, 5);

		check_case(ck, "rows %d, tokens %d, cols %d, number %d", rows, tokens, cols, number);
		/* Odd addresses happen in files for no type but Q8_0, whose blocks are 34 bytes. */
		size_t x_len = tokens ? (tokens - 1) * ldx + cols : 0, y_len = tokens ? (tokens - 1) * ldy + rows : 0;
		void *w = check_in(ck, rows * trit_dense_row_bytes(type, cols));
		float *x = check_in(ck, x_len * sizeof *x);
		float *y = check_out(ck, y_len * sizeof *y), *z = check_out(ck, y_len * sizeof *z);

		fill_weights(ck, w, type, (size_t)rows * cols);
		check_fill_f32(ck, x, x_len);
		ck->c->gemm_dense[type](y, ldy, w, x, ldx, rows, tokens, cols);
		ck->k->gemm_dense[type](z, ldy, w, x, ldx, rows, tokens, cols);
		check_same_f32(ck, "y", y, z, y_len);
	}

	enum { ROWS = 8192, COLS = 1536, TOKENS = 32, FEW = 512 };
	size_t bytes = ROWS * trit_dense_row_bytes(type, COLS);
	check_case(ck, "benchmark");
	void *w = check_aligned(ck, bytes);
	float *x = check_aligned(ck, TOKENS * COLS * sizeof *x), *y = check_aligned(ck, TOKENS * ROWS * sizeof *y);
	fill_weights(ck, w, type, (size_t)ROWS * COLS);
	check_fill_normal(ck, x, TOKENS * COLS, 1);
	if (ck->bench)
		check_read_speed(ck, w, bytes);
	CHECK_BENCH(ck, "8192 x 1536, 1 token", (double)ROWS * COLS, "FMA", bytes,
	            ck->now->gemm_dense[type](y, ROWS, w, x, COLS, ROWS, 1, COLS));
	CHECK_BENCH(ck, "512 x 1536, 32 tokens", (double)FEW * COLS * TOKENS, "FMA", bytes / (ROWS / FEW),
	            ck->now->gemm_dense[type](y, FEW, w, x, COLS, FEW, TOKENS, COLS));
}

static void test_row_dense(struct check *ck)
{
	enum trit_dense_type type = (enum trit_dense_type)ck->arg;

	for (int number = 0; number < 200; number++) {
		int cols = columns(ck, 1100);

		check_case(ck, "cols %d, number %d", cols, number);
		void *w = check_in(ck, trit_dense_row_bytes(type, cols));
		float *y = check_out(ck, cols * sizeof *y), *z = check_out(ck, cols * sizeof *z);

		fill_weights(ck, w, type, cols);
		ck->c->row_dense[type](y, w, cols);
		ck->k->row_dense[type](z, w, cols);
		check_same_f32(ck, "y", y, z, cols);
	}
}

struct operand {
	float *at;
	size_t row, col; /* strides */
};

/* A matrix [rows, cols]: row-major, column-major, or with both strides above 1. */
static struct operand operand(struct check *ck, int rows, int cols)
{
	size_t gap = trit_rng_below(&ck->rng, 4);
	struct operand o;

	switch (trit_rng_below(&ck->rng, 5)) {
	case 0:
	case 1:
		o = (struct operand){NULL, cols + gap, 1};
		break;
	case 2:
	case 3:
		o = (struct operand){NULL, 1, rows + gap};
		break;
	default:
		o = (struct operand){NULL, 3, 3 * rows + gap};
	}
	size_t len = rows && cols ? (rows - 1) * o.row + (cols - 1) * o.col + 1 : 0;
	o.at = check_in(ck, len * sizeof *o.at);
	check_fill_f32(ck, o.at, len);
	return o;
}

static void gemm_case(struct check *ck, int m, int n, int k, bool accumulate)
{
	size_t ldc = n + trit_rng_below(&ck->rng, 3), len = m && n ? (m - 1) * ldc + n : 0;

	check_case(ck, "m %d, n %d, k %d, accumulate %d", m, n, k, accumulate);
	struct operand a = operand(ck, m, k), b = operand(ck, k, n);
	float *c = check_out(ck, len * sizeof *c), *d = check_out(ck, len * sizeof *d);
	float *scratch = check_aligned(ck, TRIT_GEMM_SCRATCH * sizeof *scratch);

	for (int i = 0; i < m && accumulate; i++) {
		check_fill_normal(ck, c + i * ldc, n, 1);
		memcpy(d + i * ldc, c + i * ldc, n * sizeof *c);
	}
	ck->c->gemm_f32(c, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k, accumulate, scratch);
	ck->k->gemm_f32(d, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k, accumulate, scratch);
	check_same_f32(ck, "C", c, d, len);

	/* Cut along K, then along m and n: the same bits. */
	int k1 = (int)trit_rng_below(&ck->rng, k + 1), m1 = (int)trit_rng_below(&ck->rng, m + 1);
	if (accumulate || !m)
		return;
	ck->k->gemm_f32(d, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k1, false, scratch);
	ck->k->gemm_f32(d, ldc, a.at + k1 * a.col, a.row, a.col, b.at + k1 * b.row, b.row, b.col, m1, n, k - k1, true,
	                scratch);
	ck->k->gemm_f32(d + m1 * ldc, ldc, a.at + m1 * a.row + k1 * a.col, a.row, a.col, b.at + k1 * b.row, b.row, b.col,
	                m - m1, n, k - k1, true, scratch);
	check_same_f32(ck, "C in parts", c, d, len);
}

/* The shapes of training. */
static void time_products(struct check *ck, bool bf16)
{
	static const struct {
		int m, n, k;
		bool a_transposed, b_transposed;
		const char *label;
	} shapes[] = {
		{1024, 512, 256, false, true, "1024 x 512 x 256, X W^T"},
		{1024, 512, 256, false, false, "1024 x 512 x 256, dY W"},
		{256, 512, 1024, true, false, "256 x 512 x 1024, dY^T X"},
		{2048, 512, 1024, false, true, "2048 x 512 x 1024, X W^T"},
		{512, 1024, 2048, true, false, "512 x 1024 x 2048, dY^T X"},
		{128, 128, 64, false, true, "128 x 128 x 64, Q K^T"},
	};
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		int m = shapes[i].m, n = shapes[i].n, k = shapes[i].k;
		bool at = shapes[i].a_transposed, bt = shapes[i].b_transposed;

		check_case(ck, "benchmark");
		float *a = check_aligned(ck, (size_t)m * k * sizeof *a);
		float *b = check_aligned(ck, (size_t)n * k * sizeof *b);
		float *c = check_aligned(ck, (size_t)m * n * sizeof *c);
		float *scratch = check_aligned(ck, TRIT_GEMM_SCRATCH * sizeof *scratch);
		check_fill_normal(ck, a, (size_t)m * k, 1);
		check_fill_normal(ck, b, (size_t)n * k, 1);
		CHECK_BENCH(ck, shapes[i].label, 2.0 * m * n * k, "FLOP", 4.0 * (m * k + n * k + m * n),
		            (bf16 ? ck->now->gemm_bf16 : ck->now->gemm_f32)(
		                c, n, a, at ? 1 : k, at ? m : 1, b, bt ? 1 : n, bt ? k : 1, m, n, k, false, scratch));
	}
}

static void test_gemm_f32(struct check *ck)
{
	for (int number = 0; number < 150; number++)
		gemm_case(ck, check_size(ck, 1, 70), check_size(ck, 1, 70), check_size(ck, 0, 70), number % 2);
	/* Beyond a block in each direction. */
	gemm_case(ck, 700, 33, 20, false);
	gemm_case(ck, 17, 1100, 20, true);
	gemm_case(ck, 15, 34, 600, false);
	gemm_case(ck, 14, 32, 513, true);
	gemm_case(ck, 0, 5, 5, false);
	gemm_case(ck, 5, 0, 5, false);
	time_products(ck, false);
}

/* What VDPBF16PS computes: a chain of pairs, the odd one first. Products of two bfloat16 are exact. */
static void chain_of_pairs(float *c, size_t ldc, const struct operand *a, const struct operand *b, int m, int n, int k,
                           bool accumulate)
{
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++) {
			float sum = accumulate ? c[i * ldc + j] : 0;

			for (int q = 0; q < (k + 1) / 2 * 2; q++) {
				int p = q ^ 1;

				if (p < k)
					sum += trit_bf16_to_f32(trit_f32_to_bf16(a->at[i * a->row + p * a->col])) *
					       trit_bf16_to_f32(trit_f32_to_bf16(b->at[p * b->row + j * b->col]));
			}
			c[i * ldc + j] = sum;
		}
}

/* Integers, whose products and sums are exact in any order; or numbers whose sums may differ by roundings. */
static void gemm_bf16_case(struct check *ck, int m, int n, int k, bool accumulate, bool integers)
{
	size_t ldc = n + trit_rng_below(&ck->rng, 3), len = m && n ? (m - 1) * ldc + n : 0;

	check_case(ck, "m %d, n %d, k %d, accumulate %d, integers %d", m, n, k, accumulate, integers);
	struct operand a = operand(ck, m, k), b = operand(ck, k, n);
	size_t a_len = m && k ? (m - 1) * a.row + (k - 1) * a.col + 1 : 0;
	size_t b_len = k && n ? (k - 1) * b.row + (n - 1) * b.col + 1 : 0;
	float *c = check_out(ck, len * sizeof *c), *d = check_out(ck, len * sizeof *d);
	float *scratch = check_aligned(ck, TRIT_GEMM_SCRATCH * sizeof *scratch);

	check_fill_normal(ck, a.at, a_len, integers ? 40 : 1);
	check_fill_normal(ck, b.at, b_len, integers ? 40 : 1);
	for (size_t i = 0; integers && i < a_len; i++)
		a.at[i] = rintf(a.at[i]);
	for (size_t i = 0; integers && i < b_len; i++)
		b.at[i] = rintf(b.at[i]);
	for (int i = 0; i < m && accumulate; i++) {
		check_fill_normal(ck, c + i * ldc, n, 1);
		for (int j = 0; integers && j < n; j++)
			c[i * ldc + j] = rintf(c[i * ldc + j]);
		memcpy(d + i * ldc, c + i * ldc, n * sizeof *c);
	}
	bool exact = integers || ck->k->tier == TRIT_TIER_AVX512BF16;
	if (ck->k->tier == TRIT_TIER_AVX512BF16)
		chain_of_pairs(c, ldc, &a, &b, m, n, k, accumulate);
	else
		ck->c->gemm_bf16(c, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k, accumulate, scratch);
	ck->k->gemm_bf16(d, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k, accumulate, scratch);
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++) {
			float *x = c + i * ldc + j, *y = d + i * ldc + j;
			double size = 1;

			for (int p = 0; p < k && !exact; p++)
				size += fabs((double)a.at[i * a.row + p * a.col] * (double)b.at[p * b.row + j * b.col]);
			if (exact ? *x != *y : !(fabs((double)*x - (double)*y) <= size * 0x1p-20))
				check_fail(ck, "C[%d][%d] is %.9g, not %.9g", i, j, (double)*y, (double)*x);
			*y = *x;
		}
	check_same_f32(ck, "C and what lies between its rows", c, d, len);

	/* Cut along K, then along m and n: the same bits. */
	int k1 = (int)trit_rng_below(&ck->rng, k / 32 + 1) * 32, m1 = (int)trit_rng_below(&ck->rng, m + 1);
	int n1 = (int)trit_rng_below(&ck->rng, n + 1);
	if (accumulate)
		return;
	ck->k->gemm_bf16(c, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k, false, scratch);
	ck->k->gemm_bf16(d, ldc, a.at, a.row, a.col, b.at, b.row, b.col, m, n, k1, false, scratch);
	for (int i = 0; i < 4; i++) {
		int i0 = i / 2 ? m1 : 0, i1 = i / 2 ? m : m1, j0 = i % 2 ? n1 : 0, j1 = i % 2 ? n : n1;

		if (i0 < i1 && j0 < j1)
			ck->k->gemm_bf16(d + i0 * ldc + j0, ldc, a.at + i0 * a.row + k1 * a.col, a.row, a.col,
			                 b.at + k1 * b.row + j0 * b.col, b.row, b.col, i1 - i0, j1 - j0, k - k1, true, scratch);
	}
	check_same_f32(ck, "C in parts", c, d, len);
}

/* Roundings of one operand to even, to infinity and to nothing. */
static void gemm_bf16_roundings(struct check *ck)
{
	static const float from[] = {1.00390625f, 1.01171875f, -1.00390625f, 1.00390637f, 3.4e38f, 1e-39f, 0.3f};
	static const float to[] = {1, 1.015625f, -1, 1.0078125f, HUGE_VALF, 0, 0.30078125f};
	enum { N = sizeof from / sizeof *from };

	check_case(ck, "roundings");
	float *scratch = check_aligned(ck, TRIT_GEMM_SCRATCH * sizeof *scratch), one = 1, got[2][N];
	ck->k->gemm_bf16(got[0], N, &one, 1, 1, from, N, 1, 1, N, 1, false, scratch);
	ck->k->gemm_bf16(got[1], 1, from, 1, 1, &one, 1, 1, N, 1, 1, false, scratch);
	for (int i = 0; i < 2 * N; i++)
		if (got[i / N][i % N] != to[i % N])
			check_fail(ck, "%.9g became %.9g", (double)from[i % N], (double)got[i / N][i % N]);
}

static void test_gemm_bf16(struct check *ck)
{
	for (int number = 0; number < 100; number++)
		gemm_bf16_case(ck, check_size(ck, 1, 70), check_size(ck, 1, 70), check_size(ck, 0, 100), number % 2,
		               number % 3);
	/* Beyond a block in each direction. */
	gemm_bf16_case(ck, 520, 33, 20, false, true);
	gemm_bf16_case(ck, 17, 2060, 40, true, true);
	gemm_bf16_case(ck, 33, 34, 1060, false, false);
	gemm_bf16_case(ck, 0, 5, 5, false, true);
	gemm_bf16_case(ck, 5, 0, 5, false, true);
	gemm_bf16_roundings(ck);
	time_products(ck, true);
}

const struct check_test check_gemm[] = {
	CHECK_ARRAY(gemm_dense, TRIT_DENSE_F32, test_gemm_dense),
	CHECK_ARRAY(gemm_dense, TRIT_DENSE_F16, test_gemm_dense),
	CHECK_ARRAY(gemm_dense, TRIT_DENSE_BF16, test_gemm_dense),
	CHECK_ARRAY(gemm_dense, TRIT_DENSE_Q8_0, test_gemm_dense),
	CHECK_ARRAY(row_dense, TRIT_DENSE_F32, test_row_dense),
	CHECK_ARRAY(row_dense, TRIT_DENSE_F16, test_row_dense),
	CHECK_ARRAY(row_dense, TRIT_DENSE_BF16, test_row_dense),
	CHECK_ARRAY(row_dense, TRIT_DENSE_Q8_0, test_row_dense),
	CHECK(gemm_f32, test_gemm_f32),
	CHECK(gemm_bf16, test_gemm_bf16),
	CHECK_END,
};
