/*
 * masters.h - master weights that quantise back to given ternary weights.
 *
 * A loader of master weights finds g = mean|W| and T = rint(W / g) within -1..1 (model/quant.h). The obvious masters,
 * W = g T, come back with the right T but too small a scale: their mean is g times the share d of weights that are not
 * 0. With W = (g / d) T the mean is g again, and T too since 1 / d >= 1.
 *
 * g / d is rarely a number that bf16 can hold, so two neighbours of it are used, K of the higher and the rest of the
 * lower, with K such that the sum is n g. They have few enough bits for our own sums to be exact, so for matrices with
 * more weights that are not 0 than about 2^17 (bf16), 2^14 (f16) or 2^13 (f32) the scale comes back to the bit; for
 * smaller ones within an unit or two of its last place. The higher ones are spread evenly.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_MASTERS_H
#define TRIT_MODEL_MASTERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/safetensors.h"

struct trit_masters {
	float low, high;
	uint64_t n_high, n; /* of n weights that are not 0, so many are the higher */
};

/** For `total` weights, `n` of them not 0, of scale g, to be stored as F32, F16 or BF16. Errors: FORMAT (all weights
 * are 0: no masters give scale g). */
TRIT_MUST_CHECK int trit_masters_init(struct trit_masters *m, float g, uint64_t n, uint64_t total,
                                      enum trit_dtype type, struct trit_error *err);
/** Masters of n codes; `before` weights that are not 0 stand before the first of them. */
void trit_masters_fill(const struct trit_masters *m, float *out, const int8_t *codes, size_t n, uint64_t before);

#endif
