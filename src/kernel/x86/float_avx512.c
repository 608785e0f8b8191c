/*
 * float_avx512.c - the float kernels for AVX-512.
 *
 * SPDX-License-Identifier: MIT
 */
#define VEC_AVX512
#include "kernel/float_body.h"
#include "kernel/attend_body.h"
#include "kernel/train_body.h"
#include "kernel/grad_body.h"

void trit_float_init_avx512(struct trit_kernels *k)
{
	float_init(k);
	attend_init(k);
	train_init(k);
	grad_init(k);
}
