/*
 * clock.c - the monotonic clock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>

#include "base/clock.h"

double trit_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
