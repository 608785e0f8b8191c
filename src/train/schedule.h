/*
 * schedule.h - learning rate, weight decay and what else changes with the step t = 0 .. steps - 1.
 *
 *     lr(t) = peak * warm * f(t / steps)      warm = min(1, (t + 1) / warmup)
 *
 *     two-stage   f(x) = 1 - x; the peak drops from lr to lr2 half-way [Tips, fig. 1]
 *     linear      f(x) = 1 - x
 *     cosine      f(x) = 0.1 + 0.9 (1 + cos(pi x)) / 2
 *     wsd         f(x) = 1; in the last decay_share d of the steps (1 - x) / d, or 1 - sqrt(1 - (1 - x) / d), which is
 *                 "1 - sqrt" of the way done (warm-up, stable, decay) [WSD]
 *
 * Weight decay is weight_decay in the first half and weight_decay2 in the second. Warm-up is at most a tenth of all
 * steps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SCHEDULE_H
#define TRIT_TRAIN_SCHEDULE_H

#include "train/recipe.h"

float trit_schedule_lr(const struct trit_recipe *r, int step, int steps);
float trit_schedule_weight_decay(const struct trit_recipe *r, int step, int steps);
/** Muon's momentum: from 0.85 to its value over momentum_warmup steps. */
float trit_schedule_momentum(const struct trit_recipe *r, int step);
/** How much the quantisers do, 0 to 1: with s = t / quant_warmup linear s, exponential 1 - (1 - s)^4, sigmoid 1 / (1 +
 * exp(-10 (s - 1/2))) moved to go from 0 to 1 [Warmup]. From quant_warmup on 1. */
float trit_schedule_quantisation(const struct trit_recipe *r, int step);

#endif
