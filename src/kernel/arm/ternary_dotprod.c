/*
 * ternary_dotprod.c - integer products with SDOT, which adds the products of four pairs of bytes to each 32-bit lane.
 *
 * SPDX-License-Identifier: MIT
 */

#include "kernel/arm/quad_dotprod.h"
#include "kernel/arm/ternary_arm_body.h"

void trit_ternary_init_dotprod(struct trit_kernels *k)
{
	products_init(k);
}
