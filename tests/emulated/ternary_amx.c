/*
 * ternary_amx.c - the library's file of that name, compiled for emulated tiles; the rest of it runs as AVX-512 code.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_TILE_EMULATED
#define trit_ternary_init_amx trit_ternary_init_emulated
#include "kernel/x86/ternary_amx.c"
