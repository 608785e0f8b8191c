/*
 * init.c - which parts the tiers of x86-64 consist of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/init.h"

void trit_x86_init_avx2(struct trit_kernels *k)
{
	trit_ternary_init_avx2(k);
	trit_gemm_init_avx2(k);
	trit_float_init_avx2(k);
}

void trit_x86_init_avx512(struct trit_kernels *k)
{
	trit_ternary_init_avx512(k);
	trit_gemm_init_avx512(k);
	trit_float_init_avx512(k);
}

void trit_x86_init_avx512bf16(struct trit_kernels *k)
{
	trit_gemm_init_avx512bf16(k);
}

void trit_x86_init_avxvnni(struct trit_kernels *k)
{
	trit_ternary_init_avxvnni(k);
}

void trit_x86_init_amx(struct trit_kernels *k)
{
	trit_ternary_init_amx(k);
	trit_gemm_init_amx(k);
}
