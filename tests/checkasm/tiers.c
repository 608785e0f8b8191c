/*
 * tiers.c - what checkasm tests: every tier that this CPU has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "checkasm.h"

bool check_tier_here(enum trit_tier tier)
{
	return trit_tier_here(tier);
}

void check_tier_fill(struct trit_kernels *k, enum trit_tier tier)
{
	trit_kernels_fill(k, tier);
}
