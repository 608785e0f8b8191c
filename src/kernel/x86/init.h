/*
 * init.h - the tiers of x86-64.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_X86_INIT_H
#define TRIT_KERNEL_X86_INIT_H

#include "kernel/tiers.h"

/** Every kernel the tier has a form of; the CPU must have it. */
trit_tier_init_fn trit_x86_init_avx2, trit_x86_init_avxvnni, trit_x86_init_avx512,
    trit_x86_init_avx512bf16, trit_x86_init_amx;

/** What the tier AMX calls for few tokens. */
trit_gemm_int_fn trit_gemm_t2_avx512, trit_gemm_t5_avx512, trit_gemm_b1_avx512, trit_gemm_i8_avx512,
    trit_gemm_i6_avx512, trit_gemm_i4_avx512;

#endif
