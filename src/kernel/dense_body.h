/*
 * dense_body.h - dense products for inference, y = W x with W in a file's layout, and the embedding's rows. Written once
 * on vec.h and compiled for each instruction set. Contracts are in kernel.h.
 *
 * Every y[t][r] is its own 16-sum reduction, whatever tile it is computed in, so the tile is free: DENSE_ROWS rows of
 * W times DENSE_TOKENS tokens, each weight converted once for all of them; for one token DENSE_ROWS rows side by side, which lets
 * several streams from memory run at once.
 *
 * The includer defines VEC_..., DENSE_ROWS and DENSE_TOKENS, and calls dense_init().
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/vec.h" /* before error.h, which bans what immintrin.h uses */

#include "kernel/tiers.h"

enum { DENSE_AHEAD = 2048 }; /* bytes of a row fetched in advance; prefetches beyond the end are harmless */

/** Weights [i, i + m) of a row. Q8_0: blocks of 32 weights are a half-precision step and 32 int8. */
VEC_INLINE struct vec load_weights(enum trit_dense_type type, const unsigned char *row, int i, int m)
{
	switch (type) {
	case TRIT_DENSE_F32:
		return vec_load_n((const float *)row + i, m);
	case TRIT_DENSE_F16:
		return vec_load_f16_n((const uint16_t *)row + i, m);
	case TRIT_DENSE_BF16:
		return vec_load_bf16_n((const uint16_t *)row + i, m);
	default: {
		const unsigned char *block = row + i / 32 * 34;
		struct vec q = vec_load_i8((const signed char *)block + 2 + i % 32);

		return vec_mul(q, vec_set1(vec_f16_to_f32(trit_get16(block))));
	}
	}
}

/** y of rows x tokens, both constants no greater than DENSE_ROWS and DENSE_TOKENS. */
VEC_INLINE void dense_tile(enum trit_dense_type type, float *y, size_t ldy, const unsigned char *w, const float *x,
                           size_t ldx, int cols, int rows, int tokens)
{
	size_t row_bytes = trit_dense_row_bytes(type, cols), column_bytes = trit_dense_row_bytes(type, 32) / 2;
	struct vec s[DENSE_ROWS][DENSE_TOKENS];

#pragma GCC unroll 8
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
		for (int t = 0; t < tokens; t++)
			s[r][t] = vec_zero();
	VEC_FOR(i, m, cols) {
		struct vec xi[DENSE_TOKENS];

#pragma GCC unroll 8
		for (int t = 0; t < tokens; t++)
			xi[t] = vec_load_n(x + t * ldx + i, m);
#pragma GCC unroll 8
		for (int r = 0; r < rows; r++) {
			const unsigned char *row = w + r * row_bytes;
			struct vec wi = load_weights(type, row, i, m);

			if (tokens == 1)
				__builtin_prefetch(row + i / 16 * column_bytes + DENSE_AHEAD);
#pragma GCC unroll 8
			for (int t = 0; t < tokens; t++)
				s[r][t] = vec_fma(wi, xi[t], s[r][t]);
		}
	}
#pragma GCC unroll 8
	for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
		for (int t = 0; t < tokens; t++)
			y[t * ldy + r] = vec_sum(s[r][t]);
}

VEC_INLINE void dense(enum trit_dense_type type, float *y, size_t ldy, const unsigned char *w, const float *x, size_t ldx,
                      int rows, int tokens, int cols)
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
	VEC_FOR(i, m, cols)
		vec_store_n(y + i, load_weights(type, w, i, m), m);
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
