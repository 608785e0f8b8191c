/*
 * balance.c - running means of squared norms, and the weight from them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/balance.h"

#include <math.h>

#define DECAY 0.9

bool trit_balance_measured(const struct trit_balance *b)
{
	return b->others > 0 || b->extra > 0;
}

void trit_balance_update(struct trit_balance *b, double others, double extra)
{
	if (!isfinite(others) || !isfinite(extra))
		return;
	double keep = trit_balance_measured(b) ? DECAY : 0;
	b->others = keep * b->others + (1 - keep) * others;
	b->extra = keep * b->extra + (1 - keep) * extra;
}

float trit_balance_weight(const struct trit_balance *b, float share)
{
	if (!(b->extra > 0))
		return 0;
	return (float)fmin((double)share * sqrt(b->others / b->extra), TRIT_MAX_BALANCE);
}
