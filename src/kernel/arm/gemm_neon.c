/*
 * gemm_neon.c - dense products for NEON: the bodies of gemm_body.h and dense_body.h with 6 x 16 tiles of fp32.
 *
 * 24 accumulators, four registers of B and one or two broadcasts of A, of 32 registers.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_NEON
#define GEMM_ROWS 6
#define GEMM_VECS 1
#define DENSE_ROWS 2
#define DENSE_TOKENS 2
#define GEMM_TRANSPOSE 8

#include "kernel/vec.h"

/* 4 x 4, to registers: pairs of rows, then of pairs. */
VEC_INLINE void transpose_quarter(float32x4_t *columns, const float *from, size_t stride, int rows)
{
	float32x4_t r[4];

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		r[i] = i < rows ? vld1q_f32(from + i * stride) : vdupq_n_f32(0);
	float64x2_t even01 = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])); /* columns 0 and 2 of rows 0 and 1 */
	float64x2_t odd01 = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));  /* columns 1 and 3 */
	float64x2_t even23 = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
	float64x2_t odd23 = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
	columns[0] = vreinterpretq_f32_f64(vzip1q_f64(even01, even23));
	columns[1] = vreinterpretq_f32_f64(vzip1q_f64(odd01, odd23));
	columns[2] = vreinterpretq_f32_f64(vzip2q_f64(even01, even23));
	columns[3] = vreinterpretq_f32_f64(vzip2q_f64(odd01, odd23));
}

/* 8 x 8: as wide as a panel of A, so that what a row has too many falls on rows that are written later. */
static void transpose(float *to, size_t to_stride, const float *from, size_t from_stride, int rows)
{
#pragma GCC unroll 2
	for (int half = 0; half < 8; half += 4) {
		float32x4_t upper[4], lower[4];

		transpose_quarter(upper, from + half, from_stride, rows);
		transpose_quarter(lower, from + 4 * from_stride + half, from_stride, rows - 4);
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			vst1q_f32(to + (half + i) * to_stride, upper[i]);
			vst1q_f32(to + (half + i) * to_stride + 4, lower[i]);
		}
	}
}

#include "kernel/dense_body.h"
#include "kernel/gemm_body.h"

void trit_gemm_init_neon(struct trit_kernels *k)
{
	dense_init(k);
	k->gemm_f32 = gemm_f32;
	k->add_transposed = add_transposed;
}
