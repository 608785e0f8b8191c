/*
 * schedule.c - the two-stage schedule.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/schedule.h"

float trit_schedule_lr(const struct trit_recipe *r, int step, int steps)
{
	int warmup = r->warmup < steps / 10 ? r->warmup : steps / 10;
	double peak = step < steps / 2 ? (double)r->lr : (double)r->lr2;
	double warm = step < warmup ? (step + 1.0) / warmup : 1.0;
	return (float)(peak * warm * (1.0 - (double)step / steps));
}

float trit_schedule_weight_decay(const struct trit_recipe *r, int step, int steps)
{
	return step < steps / 2 ? r->weight_decay : r->weight_decay2;
}
