/*
 * ref_gemm.c - the dense products in plain C: what the other forms must equal to the bit.
 *
 * The product of training is the definition itself, not a build of gemm_body.h: an oracle for packing and edges.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_C
#define DENSE_ROWS 1
#define DENSE_TOKENS 1

#include "kernel/dense_body.h"

static void gemm_f32(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
                     size_t b_col, int m, int n, int k, bool accumulate, float *scratch)
{
	(void)scratch;
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++) {
			float *at = c + i * ldc + j, sum = accumulate ? *at : 0;

			for (int p = 0; p < k; p++)
				sum = fmaf(a[i * a_row + p * a_col], b[p * b_row + j * b_col], sum);
			*at = sum;
		}
}

static void add_pairs_transposed(float *y, size_t ldy, const float *pairs, size_t ldp, int rows, int cols)
{
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++) {
			const float *hi = pairs + r * ldp + c / 16 * 32 + c % 16;

			y[c * ldy + r] += hi[0] + hi[16];
		}
}

void trit_gemm_init_c(struct trit_kernels *k)
{
	dense_init(k);
	k->gemm_f32 = gemm_f32;
	k->add_pairs_transposed = add_pairs_transposed;
}
