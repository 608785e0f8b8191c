/*
 * quant.h - the weight quantisers of BitNet b1.58 and b1, defined once for training and conversion.
 *
 *     b1.58   g = max(mean|W|, 1e-5)   T = clamp(rint(W / g), -1, 1)            W ~ g T     [B158, eq. 1-3]
 *     b1      a = mean W               T = +1 if W > a else -1, b = mean|W|     W ~ b T     [B1, eq. 1-3]
 *
 * One scale a matrix, as it was before any fusing; or, where training asks for more, one a row, or one for each 64 or
 * 128 columns of a row, a and the means being those of the run [B1, group quantisation]. Scales of runs are rounded to
 * fp16 before they are used, so that every file type with such scales holds them as they are. The means are summed in
 * fp32 over pieces of 4096 weights (16 running sums) and in fp64 over the pieces: the same bits for any number of
 * threads.
 *
 * And the one of heads and embeddings, symmetric, a scale for each row or group of columns:
 *
 *     m = 127 (i8), 31 (i6), 7 (i4)    q = rint(w * (m / max|w|)), half to even    w ~ (max|w| / m) q
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_QUANT_H
#define TRIT_MODEL_QUANT_H

#include "kernel/kernel.h"
#include "model/config.h"

#define TRIT_QUANT_EPS 1e-5f

/** The arrangements of scales by the names that users give them, NULL at the end, and which each of them is. */
extern const char *const trit_scaling_names[];
extern const enum trit_scaling trit_scalings[];

/** How the projections of a network are quantised. */
struct trit_weight_method {
	enum trit_weight_kind kind;
	enum trit_scaling scaling; /* TRIT_SCALE_TENSOR in a full-precision model */
};

struct trit_weight_scale {
	float scale;   /* g or b: what a code of 1 stands for, >= 1e-5 */
	float inverse; /* 1 / g (ternary) */
	float mean;    /* a (binary) */
};

struct trit_weight_scale trit_weight_scale(const struct trit_kernels *k, enum trit_weight_kind kind, const float *w,
                                           size_t n);
/** Of ternary ones, from the sums of magnitudes (sum_abs) of pieces of TRIT_QUANT_PIECE of them: the same bits. NaN if
 * one of the weights is not finite. */
struct trit_weight_scale trit_weight_scale_of_sums(const float *sums, size_t n);
#define TRIT_QUANT_PIECE 4096
/** Codes of n weights: ternary or binary. */
void trit_weight_codes(const struct trit_kernels *k, enum trit_weight_kind kind, struct trit_weight_scale s, int8_t *t,
                       const float *w, size_t n);

/** Rows [row0, row0 + n) of a matrix with `cols` columns, given as w [n, cols], to ternary or binary codes [n, cols],
 * and to their places in `scales` (of the whole matrix, as kernel/layout.h arranges them by row or group). codes or
 * scales may be NULL. */
void trit_weight_quantise_rows(const struct trit_kernels *k, enum trit_weight_kind kind, enum trit_scaling scaling,
                               int8_t *codes, float *scales, const float *w, size_t row0, size_t n, size_t cols);
/** Rows [row0, row0 + n) of a matrix with `cols` columns, given as w [n, cols], to codes of layout i8, i6 or i4 and to
 * their places in `scales` (of the whole matrix, as kernel/layout.h arranges them by row or group). False: a weight is
 * not finite. A row or group whose largest weight is below 1e-30 counts as zeros, scale 0. */
bool trit_quantise_rows(enum trit_layout layout, enum trit_scaling scaling, int8_t *codes, float *scales,
                        const float *w, size_t row0, size_t n, size_t cols);

#endif
