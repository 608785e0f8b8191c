/*
 * gemm_amx.c - the library's file of that name, compiled for emulated tiles.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_TILE_EMULATED
#define trit_gemm_init_amx trit_gemm_init_emulated
#include "kernel/x86/gemm_amx.c"
