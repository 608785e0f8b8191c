/*
 * quant.h - the weight quantisers of BitNet b1.58 and b1, defined once for training and conversion.
 *
 *     b1.58   g = max(mean|W|, 1e-5)   T = clamp(rint(W / g), -1, 1)            W ~ g T     [B158, eq. 1-3]
 *     b1      a = mean W               T = +1 if W > a else -1, b = mean|W|     W ~ b T     [B1, eq. 1-3]
 *
 * One scale a matrix, as it was before any fusing. The means are summed in fp32 over pieces of 4096 weights (16 running
 * sums) and in fp64 over the pieces: the same bits for any number of threads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_QUANT_H
#define TRIT_MODEL_QUANT_H

#include "kernel/kernel.h"
#include "model/config.h"

#define TRIT_QUANT_EPS 1e-5f

struct trit_weight_scale {
	float scale;   /* g or b: what a code of 1 stands for, >= 1e-5 */
	float inverse; /* 1 / g (ternary) */
	float mean;    /* a (binary) */
};

struct trit_weight_scale trit_weight_scale(const struct trit_kernels *k, enum trit_weight_kind kind, const float *w,
                                           size_t n);
/** Codes of n weights: ternary or binary. */
void trit_weight_codes(const struct trit_kernels *k, enum trit_weight_kind kind, struct trit_weight_scale s, int8_t *t,
                       const float *w, size_t n);

#endif
