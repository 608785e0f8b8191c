/*
 * error.h - how a failure travels: a negative enum trit_status and a struct trit_error filled in where it was found.
 *
 * The place that detects an error describes it once, with what the user needs (file, place, remedy); callers hand the
 * status up. `err` may be NULL everywhere. Also bans the functions the project does not use.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_ERROR_H
#define TRIT_BASE_ERROR_H

#include "trit.h"

/** Fills *err (when not NULL) and returns `status`, so that an error site is one line: return trit_fail(err, ...). */
int trit_fail(struct trit_error *err, enum trit_status status, const char *fmt, ...) TRIT_PRINTF(3, 4);
/** The same with a byte position. */
int trit_fail_at(struct trit_error *err, enum trit_status status, int64_t position, const char *fmt, ...)
    TRIT_PRINTF(4, 5);
/** For a failed system call: appends the text of errno to the message. Status TRIT_ERR_IO. */
int trit_fail_errno(struct trit_error *err, const char *fmt, ...) TRIT_PRINTF(2, 3);
/** Puts "PREFIX: " before the message already in *err (a file's name, once, where it is known). Returns the status. */
int trit_fail_prefix(struct trit_error *err, int status, const char *fmt, ...) TRIT_PRINTF(3, 4);

#include "base/banned.h"

#endif
