/*
 * ref_float.c - the float kernels in plain C: what the other forms must equal to the bit.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_C
#include "kernel/float_body.h"
#include "kernel/attend_body.h"
#include "kernel/train_body.h"
#include "kernel/grad_body.h"

void trit_float_init_c(struct trit_kernels *k)
{
	float_init(k);
	attend_init(k);
	train_init(k);
	grad_init(k);
}
