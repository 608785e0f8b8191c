/*
 * log.c - the log callback, one of the library's two globals.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>

#include "base/log.h"

static trit_log_fn *log_fn;
static void *log_arg;

void trit_log_set(trit_log_fn *fn, void *arg)
{
	log_fn = fn;
	log_arg = arg;
}

void trit_log(enum trit_log_level level, const char *fmt, ...)
{
	char message[sizeof(((struct trit_error *)0)->message)];
	va_list args;

	if (!log_fn)
		return;
	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	log_fn(log_arg, level, message);
}
