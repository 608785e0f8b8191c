/*
 * ternary_avxvnni.c - integer products with 256-bit VNNI.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/tiers.h"

void trit_ternary_init_avxvnni(struct trit_kernels *k)
{
	(void)k;
}
