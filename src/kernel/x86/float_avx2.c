/*
 * float_avx2.c - the float kernels for AVX2 with FMA and F16C.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_AVX2
#include "kernel/float_body.h"
#include "kernel/attend_body.h"
#include "kernel/train_body.h"
#include "kernel/grad_body.h"

void trit_float_init_avx2(struct trit_kernels *k)
{
	float_init(k);
	attend_init(k);
	train_init(k);
	grad_init(k);
}
