/*
 * log.h - what the library has to say when nobody asked: through a callback that the program sets, nothing by default.
 *
 * For notes and warnings about set-up (a kernel that failed its self-test, a key that was missing and assumed), never
 * for errors: those travel in struct trit_error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_LOG_H
#define TRIT_BASE_LOG_H

#include "base/error.h"

enum trit_log_level { TRIT_LOG_NOTE, TRIT_LOG_WARNING };

typedef void trit_log_fn(void *arg, enum trit_log_level level, const char *message);

/** Set once, before other threads start. NULL: silent. */
void trit_log_set(trit_log_fn *fn, void *arg);
void trit_log(enum trit_log_level level, const char *fmt, ...) TRIT_PRINTF(2, 3);

#endif
