/*
 * tiers.c - what checkasm_amx tests: the tier AMX, emulated, on any CPU with AVX-512; and the tier AVX512-BF16 also on
 * CPUs where it would not pay.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <stdio.h>

#include "../checkasm/checkasm.h"

#include "kernel/tiers.h"

trit_tier_init_fn trit_ternary_init_emulated, trit_gemm_init_emulated;

static bool has_bf16(void)
{
	return __builtin_cpu_supports("avx512bf16");
}

bool check_tier_here(enum trit_tier tier)
{
	return trit_tier_here(TRIT_TIER_AVX512) &&
	       (tier == TRIT_TIER_AMX || (tier == TRIT_TIER_AVX512BF16 && has_bf16()));
}

void check_tier_fill(struct trit_kernels *k, enum trit_tier tier)
{
	trit_kernels_fill(k, tier < TRIT_TIER_AVX512 ? tier : TRIT_TIER_AVX512);
	if (tier == TRIT_TIER_AVX512BF16 && has_bf16()) {
		k->tier = tier;
		trit_gemm_init_avx512bf16(k);
	}
	if (tier == TRIT_TIER_AMX) {
		k->tier = tier;
		trit_ternary_init_emulated(k);
		if (has_bf16())
			trit_gemm_init_emulated(k);
		else
			puts("gemm_bf16 is not tested: this CPU does not convert to bfloat16");
	}
}
