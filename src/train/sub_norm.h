/*
 * sub_norm.h - sub-norms in a model that had none: weights with which it begins nearly as it was.
 *
 * A sub-norm makes x [n] into w x / rms(x). With w = 1 what the output and down projections read would grow by 1 / rms,
 * often tenfold, and so would what each half of a layer adds to the residual. The one w for all columns of a layer that
 * changes least of x, in the least-squares sense, is the mean of rms(x) over tokens:
 *
 *     sum over t of |x_t - w x_t / rms_t|^2 = n sum over t of (rms_t - w)^2
 *
 * Of layer norms: the same of x less its mean.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SUB_NORM_H
#define TRIT_TRAIN_SUB_NORM_H

#include "train/net.h"

/** Sets the weights of all sub-norms in p, laid out for configuration c, to what n sequences of text in `batch`
 * [n, S + 1] give rise to in the model without them, in full precision; starts [n, S]: as a net has it, or NULL. Where
 * that is 0 or not finite they stay. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_sub_norms_fit(struct trit_params *p, const struct trit_config *c, const struct trit_kernels *k,
                                       struct trit_pool *pool, int seq_len, int n, const trit_token *batch,
                                       const int *starts, struct trit_error *err);

#endif
