/*
 * dense_body.h - dense products for inference, y = W x with W in a file's layout, and the embedding's rows.
 *
 * Written once on vec.h and compiled for each instruction set. Contracts are in kernel.h.
 *
 * Every y[t][r] is its own 16-sum reduction, whatever tile it is computed in, so the tile is free: DENSE_ROWS rows of W
 * times DENSE_TOKENS tokens, each weight converted once for all of them. For one token DENSE_ROWS rows side by side let
 * several streams from memory run at once, and the same place in the next rows is fetched in advance (beyond the end
 * of the matrix that is harmless).
 *
 * The includer defines VEC_..., DENSE_ROWS and DENSE_TOKENS, and calls dense_init().
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/vec.h" /* before error.h, which bans what immintrin.h uses */

#include "kernel/tiers.h"

/** Weights [i, i + 32) of a row in two vectors, i % 32 == 0. In Q8_0 that is a block: a half-precision step, 32 int8 */
VEC_INLINE void load_block(enum trit_dense_type type, struct vec *w, const unsigned char *row, unsigned i)
{
	const float *single = (const float *)row + i;
	const uint16_t *half = (const uint16_t *)row + i;
	const unsigned char *block = row + i / 32 * 34;

	for (int j = 0; j < 2; j++)
		if (type == TRIT_DENSE_F32)
			w[j] = vec_load(single + 16 * j);
		else if (type == TRIT_DENSE_F16)
			w[j] = vec_load_f16(half + 16 * j);
		else if (type == TRIT_DENSE_BF16)
			w[j] = vec_load_bf16(half + 16 * j);
		else
			w[j] = vec_mul(vec_load_i8((const signed char *)block + 2 + 16 * j),
			               vec_set1_f16(trit_get16(block)));
}

/** Weights [i, i + m) of a row, not Q8_0. */
VEC_INLINE struct vec load_rest(enum trit_dense_type type, const unsigned char *row, unsigned i, int m)
{
	if (type == TRIT_DENSE_F32)
		return vec_load_n((const float *)row + i, m);
	return type == TRIT_DENSE_F16 ? vec_load_f16_n((const uint16_t *)row + i, m)
	                              : vec_load_bf16_n((const uint16_t *)row + i, m);
}

/** y of rows x tokens, both constants no greater than DENSE_ROWS and DENSE_TOKENS. */
VEC_INLINE void dense_tile(enum trit_dense_type type, float *y, size_t ldy, const unsigned char *w, const float *x,
                           size_t ldx, int cols, int rows, int tokens)
{
	size_t row_bytes = trit_dense_row_bytes(type, cols), step_bytes = trit_dense_row_bytes(type, 32);
	struct vec s[DENSE_ROWS][DENSE_TOKENS];
	unsigned i = 0, n = (unsigned)cols;

#pragma GCC unroll 8
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
		for (int t = 0; t < tokens; t++)
			s[r][t] = vec_zero();
	for (; i + 32 <= n; i += 32) {
#pragma GCC unroll 8
		for (int r = 0; r < rows; r++) {
			const unsigned char *row = w + r * row_bytes;
			const unsigned char *ahead = row + rows * row_bytes + i / 32 * step_bytes;
			struct vec wi[2];

			for (size_t line = 0; line < step_bytes && tokens == 1; line += 64)
				__builtin_prefetch(ahead + line);
			load_block(type, wi, row, i);
#pragma GCC unroll 8
			for (int t = 0; t < tokens; t++) {
				s[r][t] = vec_fma(wi[0], vec_load(x + t * ldx + i), s[r][t]);
				s[r][t] = vec_fma(wi[1], vec_load(x + t * ldx + i + 16), s[r][t]);
			}
		}
	}
	for (; i < n && type != TRIT_DENSE_Q8_0; i += 16) {
		int m = n - i < 16 ? (int)(n - i) : 16;

#pragma GCC unroll 8
		for (int r = 0; r < rows; r++) {
			struct vec wi = load_rest(type, w + r * row_bytes, i, m);

#pragma GCC unroll 8
			for (int t = 0; t < tokens; t++)
				s[r][t] = vec_fma(wi, vec_load_n(x + t * ldx + i, m), s[r][t]);
		}
	}
#pragma GCC unroll 8
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
		for (int t = 0; t < tokens; t++)
			y[t * ldy + r] = vec_sum(s[r][t]);
}

VEC_INLINE void dense(enum trit_dense_type type, float *y, size_t ldy, const unsigned char *w, const float *x,
                      size_t ldx, int rows, int tokens, int cols)
{
	size_t row_bytes = trit_dense_row_bytes(type, cols);
	int r = 0, t;

	for (; r + DENSE_ROWS <= rows; r += DENSE_ROWS, w += DENSE_ROWS * row_bytes) {
		for (t = 0; t + DENSE_TOKENS <= tokens; t += DENSE_TOKENS)
			dense_tile(type, y + t * ldy + r, ldy, w, x + t * ldx, ldx, cols, DENSE_ROWS, DENSE_TOKENS);
		for (; t < tokens; t++)
			dense_tile(type, y + t * ldy + r, ldy, w, x + t * ldx, ldx, cols, DENSE_ROWS, 1);
	}
	for (; r < rows; r++, w += row_bytes)
		for (t = 0; t < tokens; t++)
			dense_tile(type, y + t * ldy + r, ldy, w, x + t * ldx, ldx, cols, 1, 1);
}

VEC_INLINE void dense_row(enum trit_dense_type type, float *y, const unsigned char *w, int cols)
{
	unsigned i = 0, n = (unsigned)cols;

	for (; i + 32 <= n; i += 32) {
		struct vec wi[2];

		load_block(type, wi, w, i);
		vec_store(y + i, wi[0]);
		vec_store(y + i + 16, wi[1]);
	}
	for (; i < n && type != TRIT_DENSE_Q8_0; i += 16) {
		int m = n - i < 16 ? (int)(n - i) : 16;

		vec_store_n(y + i, load_rest(type, w, i, m), m);
	}
}

static void gemm_dense_f32(float *y, size_t ldy, const void *w, const float *x, size_t ldx, int rows, int tokens,
                           int cols)
{
	dense(TRIT_DENSE_F32, y, ldy, w, x, ldx, rows, tokens, cols);
}

static void gemm_dense_f16(float *y, size_t ldy, const void *w, const float *x, size_t ldx, int rows, int tokens,
                           int cols)
{
	dense(TRIT_DENSE_F16, y, ldy, w, x, ldx, rows, tokens, cols);
}

static void gemm_dense_bf16(float *y, size_t ldy, const void *w, const float *x, size_t ldx, int rows, int tokens,
                            int cols)
{
	dense(TRIT_DENSE_BF16, y, ldy, w, x, ldx, rows, tokens, cols);
}

static void gemm_dense_q8_0(float *y, size_t ldy, const void *w, const float *x, size_t ldx, int rows, int tokens,
                            int cols)
{
	dense(TRIT_DENSE_Q8_0, y, ldy, w, x, ldx, rows, tokens, cols);
}

static void row_dense_f32(float *y, const void *w, int cols)
{
	dense_row(TRIT_DENSE_F32, y, w, cols);
}

static void row_dense_f16(float *y, const void *w, int cols)
{
	dense_row(TRIT_DENSE_F16, y, w, cols);
}

static void row_dense_bf16(float *y, const void *w, int cols)
{
	dense_row(TRIT_DENSE_BF16, y, w, cols);
}

static void row_dense_q8_0(float *y, const void *w, int cols)
{
	dense_row(TRIT_DENSE_Q8_0, y, w, cols);
}

static void dense_init(struct trit_kernels *k)
{
	k->gemm_dense[TRIT_DENSE_F32] = gemm_dense_f32;
	k->gemm_dense[TRIT_DENSE_F16] = gemm_dense_f16;
	k->gemm_dense[TRIT_DENSE_BF16] = gemm_dense_bf16;
	k->gemm_dense[TRIT_DENSE_Q8_0] = gemm_dense_q8_0;
	k->row_dense[TRIT_DENSE_F32] = row_dense_f32;
	k->row_dense[TRIT_DENSE_F16] = row_dense_f16;
	k->row_dense[TRIT_DENSE_BF16] = row_dense_bf16;
	k->row_dense[TRIT_DENSE_Q8_0] = row_dense_q8_0;
}
