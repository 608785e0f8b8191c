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

#include <float.h>

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

/** As AMX and VDPBF16PS read a number: bfloat16, half to even, subnormal numbers 0. */
static float as_bf16(float x)
{
	return fabsf(x) < FLT_MIN ? 0 : trit_bf16_to_f32(trit_f32_to_bf16(x));
}

/* Products of two bfloat16 are exact in fp32, so a fused step is one rounding as it stands. */
static void gemm_bf16(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
                      size_t b_col, int m, int n, int k, bool accumulate, float *scratch)
{
	enum { BLOCK = 32, COLS = 64 };
	float rounded[BLOCK][COLS], sum[2][COLS];

	(void)scratch;
	for (int i = 0; i < m && !accumulate; i++)
		memset(c + i * ldc, 0, n * sizeof *c);
	for (int j0 = 0; j0 < n; j0 += COLS)
		for (int p0 = 0; p0 < k; p0 += BLOCK) {
			int cols = n - j0 < COLS ? n - j0 : COLS, steps = k - p0 < BLOCK ? k - p0 : BLOCK;

			for (int p = 0; p < steps; p++)
				for (int j = 0; j < cols; j++)
					rounded[p][j] = as_bf16(b[(p0 + p) * b_row + (j0 + j) * b_col]);
			for (int i = 0; i < m; i++) {
				memset(sum, 0, sizeof sum);
				for (int p = 0; p < steps; p++) {
					float x = as_bf16(a[i * a_row + (p0 + p) * a_col]);

					for (int j = 0; j < cols; j++)
						sum[p % 2][j] += x * rounded[p][j];
				}
				for (int j = 0; j < cols; j++)
					c[i * ldc + j0 + j] += sum[0][j] + sum[1][j];
			}
		}
}

static double no_bf16_peak(int rounds)
{
	(void)rounds;
	return 0;
}

static void add_transposed(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, int bytes)
{
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++) {
			const float *hi = x + r * ldx + c / 16 * 16 * bytes + c % 16;

			y[c * ldy + r] += bytes == 1 ? hi[0] : hi[0] + hi[16];
		}
}

void trit_gemm_init_c(struct trit_kernels *k)
{
	dense_init(k);
	k->gemm_f32 = gemm_f32;
	k->gemm_bf16 = gemm_bf16;
	k->bf16_peak = no_bf16_peak;
	k->add_transposed = add_transposed;
}
