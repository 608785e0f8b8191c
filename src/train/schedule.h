/*
 * schedule.h - learning rate and weight decay of each step t = 0 .. steps - 1.
 *
 *     lr(t) = peak * warm * f(t / steps)      warm = min(1, (t + 1) / warmup)
 *
 *     two-stage   f(x) = 1 - x; the peak drops from lr to lr2 half-way [Tips, fig. 1]
 *     linear      f(x) = 1 - x
 *     cosine      f(x) = 0.1 + 0.9 (1 + cos(pi x)) / 2
 *     wsd         f(x) = 1, then linearly to 0 in the last decay_share of the steps (warm-up, stable, decay)
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

#endif
