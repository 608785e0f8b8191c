/*
 * schedule.c - the schedules.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/schedule.h"

#include <math.h>

#include "base/fmath.h"

/* What is left of the peak at `done` of all steps. */
static double factor(const struct trit_recipe *r, double done)
{
	double decay = (double)r->decay_share, left = 1 - done;
	switch ((enum trit_schedule)r->schedule) {
	case TRIT_SCHEDULE_COSINE:
		return 0.1 + 0.45 * (1 + trit_cos(done * 0x1.921fb54442d18p+1)); /* pi */
	case TRIT_SCHEDULE_WSD:
		if (left >= decay)
			return 1;
		return r->decay == TRIT_DECAY_SQRT ? 1 - sqrt(1 - left / decay) : left / decay;
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

float trit_schedule_momentum(const struct trit_recipe *r, int step)
{
	const float first = 0.85f;
	if (step >= r->momentum_warmup || r->momentum < first)
		return r->momentum;
	return first + (r->momentum - first) * ((float)step / (float)r->momentum_warmup);
}

static double sigmoid(double x)
{
	return 1 / (1 + trit_exp(-x));
}

float trit_schedule_quantisation(const struct trit_recipe *r, int step)
{
	const double steepness = 10;
	if (step >= r->quant_warmup)
		return 1;
	double s = (double)step / r->quant_warmup, left = 1 - s, low = sigmoid(-steepness / 2);
	switch ((enum trit_ramp)r->quant_ramp) {
	case TRIT_RAMP_EXPONENTIAL:
		return (float)(1 - left * left * left * left);
	case TRIT_RAMP_SIGMOID:
		return (float)((sigmoid(steepness * (s - 0.5)) - low) / (1 - 2 * low));
	default:
		return (float)s;
	}
}
