/*
 * gemm_avx2.c - dense products for AVX2 with FMA: the bodies of gemm_body.h and dense_body.h with 6 x 16 tiles of fp32.
 *
 * 12 accumulators, two registers of B and two broadcasts of A fill the 16 registers.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_AVX2
#define GEMM_ROWS 6
#define GEMM_VECS 1
#define DENSE_ROWS 2
#define DENSE_TOKENS 2
#define GEMM_TRANSPOSE 8

#include "kernel/vec.h"

/* 8 x 8: pairs of rows, of pairs, then of 128-bit halves. */
static void transpose(float *to, size_t to_stride, const float *from, size_t from_stride, int rows)
{
	__m256 a[8], b[8];

#pragma GCC unroll 8
	for (int r = 0; r < 8; r++)
		a[r] = r < rows ? _mm256_loadu_ps(from + r * from_stride) : _mm256_setzero_ps();
#pragma GCC unroll 4
	for (int r = 0; r < 8; r += 2) {
		b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
		b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
	}
	/* a[4 q + i]: in each half s, column 4 s + i of rows 4 q .. 4 q + 3 */
#pragma GCC unroll 2
	for (int r = 0; r < 8; r += 4)
#pragma GCC unroll 2
		for (int i = 0; i < 2; i++) {
			__m256d x = _mm256_castps_pd(b[r + i]), y = _mm256_castps_pd(b[r + i + 2]);

			a[r + 2 * i] = _mm256_castpd_ps(_mm256_unpacklo_pd(x, y));
			a[r + 2 * i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(x, y));
		}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		_mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x20));
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		_mm256_storeu_ps(to + (4 + i) * to_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x31));
}

#include "kernel/dense_body.h"
#include "kernel/gemm_body.h"

void trit_gemm_init_avx2(struct trit_kernels *k)
{
	dense_init(k);
	k->gemm_f32 = gemm_f32;
	k->add_transposed = add_transposed;
}
