/*
 * init.c - which parts the tiers of 64-bit Arm consist of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/arm/init.h"

void trit_arm_init_neon(struct trit_kernels *k)
{
	trit_ternary_init_neon(k);
	trit_gemm_init_neon(k);
	trit_float_init_neon(k);
}

void trit_arm_init_dotprod(struct trit_kernels *k)
{
	trit_ternary_init_dotprod(k);
}

void trit_arm_init_i8mm(struct trit_kernels *k)
{
	trit_ternary_init_i8mm(k);
}
