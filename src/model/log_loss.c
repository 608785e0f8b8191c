/*
 * log_loss.c - the loss of a prediction.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/log_loss.h"

#include "base/fmath.h"

double trit_log_loss(const struct trit_kernels *k, const float *logits, int n, int target)
{
	float max, sum = k->sum_exp(&max, logits, n);
	return trit_ln((double)sum) + ((double)max - (double)logits[target]);
}
