/*
 * tiers.h - the parts from which kernel.c builds the table: one function for each group of kernels and tier.
 *
 * Each assigns the members it has a form for and leaves the others alone, so the tiers are called in ascending order
 * and the last assignment wins. A tier's functions live in files compiled for its instruction set (the file's suffix
 * gives the flags): call them only on a CPU that has it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_TIERS_H
#define TRIT_KERNEL_TIERS_H

#include "kernel/kernel.h"

/** int8_peak, read_pass, ternarize, binarize, dequant_i8, gemm_int. */
typedef void trit_tier_init_fn(struct trit_kernels *k);
trit_tier_init_fn trit_ternary_init_c, trit_ternary_init_avx2, trit_ternary_init_avxvnni, trit_ternary_init_avx512,
    trit_ternary_init_amx, trit_ternary_init_neon, trit_ternary_init_dotprod, trit_ternary_init_i8mm;
/** gemm_dense, row_dense, gemm_f32, gemm_bf16, bf16_peak. */
trit_tier_init_fn trit_gemm_init_c, trit_gemm_init_avx2, trit_gemm_init_avx512, trit_gemm_init_avx512bf16,
    trit_gemm_init_amx, trit_gemm_init_neon;
/** All others (float_body.h, train_body.h). */
trit_tier_init_fn trit_float_init_c, trit_float_init_avx2, trit_float_init_avx512, trit_float_init_neon;

#endif
