/*
 * log_loss.h - the loss of a prediction, as evaluation and training measure it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_LOG_LOSS_H
#define TRIT_MODEL_LOG_LOSS_H

#include "kernel/kernel.h"

/** log(sum exp(logits)) - logits[target], in nats: the negative logarithm of the target's probability. logits [n]. */
double trit_log_loss(const struct trit_kernels *k, const float *logits, int n, int target);

#endif
