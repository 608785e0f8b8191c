/*
 * gemm_avx512.c - dense products for AVX-512: the bodies of gemm_body.h and dense_body.h with 14 x 32 tiles of fp32.
 *
 * 28 accumulators, two registers of B and one or two broadcasts of A fill the 32 registers; 16 loads for 28 fused
 * multiply-adds keep both multipliers busy.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_AVX512
#define GEMM_ROWS 14
#define GEMM_VECS 2
#define DENSE_ROWS 4
#define DENSE_TOKENS 4
#define GEMM_TRANSPOSE 16

#include "kernel/vec.h" /* before error.h, which bans what immintrin.h uses */
#include "kernel/x86/transpose512.h"

#include "kernel/dense_body.h"
#include "kernel/gemm_body.h"

void trit_gemm_init_avx512(struct trit_kernels *k)
{
	dense_init(k);
	k->gemm_f32 = gemm_f32;
	k->add_transposed = add_transposed;
}
