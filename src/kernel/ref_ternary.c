/*
 * ref_ternary.c - quantisers and ternary products in plain C: what every faster form must equal to the bit.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernel/tiers.h"

static trit_act_quant_fn trit_act_quant_c;
static trit_ternarize_fn trit_ternarize_c;
static trit_binarize_fn trit_binarize_c;
static trit_dequant_i8_fn trit_dequant_i8_c;
static trit_gemm_t2_fn trit_gemm_t2_c;

static void trit_act_quant_c(int8_t *q, float *step, int32_t *sum, const float *x, int n, int n_padded)
{
	float a = 1e-5f;
	int32_t total = 0;

	for (int i = 0; i < n; i++)
		a = fabsf(x[i]) > a ? fabsf(x[i]) : a;
	float scale = 127.0f / a;
	for (int i = 0; i < n; i++) {
		float r = rintf(x[i] * scale);            /* two roundings up at most: |x * scale| <= 127 (1 + 2^-23) */
		q[i] = r >= -127 ? (int8_t)r : (int8_t)-128; /* -128: NaN, from an x that is not finite */
		total += q[i];
	}
	memset(q + n, 0, (size_t)(n_padded - n));
	*step = a / 127.0f;
	*sum = total;
}

static void trit_ternarize_c(int8_t *t, const float *w, float inverse, int n)
{
	for (int i = 0; i < n; i++) {
		float v = w[i] * inverse;
		t[i] = (int8_t)((v > 0.5f) - (v < -0.5f)); /* +-0.5 rounds to the even 0; beyond +-1.5 is clamped */
	}
}

static void trit_binarize_c(int8_t *t, const float *w, float mean, int n)
{
	for (int i = 0; i < n; i++)
		t[i] = w[i] > mean ? 1 : -1;
}

static void trit_dequant_i8_c(float *y, const int8_t *q, float step, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = step * (float)q[i];
}

/* Sums of codes times activations for the 16 rows of one block. */
static void block_sums(int32_t *acc, const unsigned char *w, const int8_t *q, int groups)
{
	memset(acc, 0, TRIT_T2_ROWS * sizeof *acc);
	for (int g = 0; g < groups; g++, w += 64, q += TRIT_T2_COLS)
		for (int r = 0; r < TRIT_T2_ROWS; r++)
			for (int j = 0; j < 4; j++) {
				int b = w[4 * r + j];
				acc[r] += (b & 3) * q[j] + (b >> 2 & 3) * q[4 + j] + (b >> 4 & 3) * q[8 + j] + (b >> 6) * q[12 + j];
			}
}

static void trit_gemm_t2_c(float *y, size_t ldy, const unsigned char *w, const int8_t *q, size_t ldq,
                           const int32_t *sum, const float *step, float scale, int rows, int tokens, int cols)
{
	int groups = (cols + TRIT_T2_COLS - 1) / TRIT_T2_COLS;

	for (int r0 = 0; r0 < rows; r0 += TRIT_T2_ROWS, w += (size_t)groups * 64)
		for (int t = 0; t < tokens; t++) {
			int32_t acc[TRIT_T2_ROWS];
			block_sums(acc, w, q + (size_t)t * ldq, groups);
			for (int r = 0; r < TRIT_T2_ROWS && r0 + r < rows; r++)
				y[(size_t)t * ldy + (size_t)(r0 + r)] = (float)(acc[r] - sum[t]) * (scale * step[t]);
		}
}

void trit_ternary_init_c(struct trit_kernels *k)
{
	k->act_quant = trit_act_quant_c;
	k->ternarize = trit_ternarize_c;
	k->binarize = trit_binarize_c;
	k->dequant_i8 = trit_dequant_i8_c;
	k->gemm_t2 = trit_gemm_t2_c;
}
