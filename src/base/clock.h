/*
 * clock.h - the time that only goes forward.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_CLOCK_H
#define TRIT_BASE_CLOCK_H

/** Seconds since an arbitrary start, monotonic. */
double trit_clock(void);

#endif
