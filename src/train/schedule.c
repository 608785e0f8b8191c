/*
 * schedule.c - the schedules.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/schedule.h"

#include "base/fmath.h"

/* What is left of the peak at `done` of all steps. */
static double factor(const struct trit_recipe *r, double done)
{
	double decay = (double)r->decay_share, left = 1 - done;
	switch ((enum trit_schedule)r->schedule) {
	case TRIT_SCHEDULE_COSINE:
		return 0.1 + 0.45 * (1 + trit_cos(done * 0x1.921fb54442d18p+1)); /* pi */
	case TRIT_SCHEDULE_WSD:
		return left < decay ? left / decay : 1;
	default:
		return left;
	}
}

float trit_schedule_lr(const struct trit_recipe *r, int step, int steps)
{
	int warmup = r->warmup < steps / 10 ? r->warmup : steps / 10;
	bool second = r->schedule == TRIT_SCHEDULE_TWO_STAGE && step >= steps / 2;
	double peak = second ? (double)r->lr2 : (double)r->lr;
	double warm = step < warmup ? (step + 1.0) / warmup : 1.0;
	return (float)(peak * warm * factor(r, (double)step / steps));
}

float trit_schedule_weight_decay(const struct trit_recipe *r, int step, int steps)
{
	return step < steps / 2 ? r->weight_decay : r->weight_decay2;
}
