/*
 * schedule.h - learning rate and weight decay of each step: the paper's two stages [Tips, fig. 1].
 *
 *     t = 0 .. steps - 1                         stage 1: t < steps / 2, peak lr, decay wd;  stage 2: peak lr2, decay
 * wd2 lr(t) = peak * warm * (1 - t / steps)      warm = min(1, (t + 1) / warmup)
 *
 * So the rate falls linearly to 0, and drops by lr2 / lr half-way. Warm-up is at most a tenth of all steps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SCHEDULE_H
#define TRIT_TRAIN_SCHEDULE_H

#include "train/recipe.h"

float trit_schedule_lr(const struct trit_recipe *r, int step, int steps);
float trit_schedule_weight_decay(const struct trit_recipe *r, int step, int steps);

#endif
