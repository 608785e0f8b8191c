/*
 * run_options.h - options of a training run that are no settings of its checkpoint, in DIR/options.json: how often it
 * validates and saves, how many checkpoints it keeps, what it packs.
 *
 * A resumed run takes them from there unless it is given others, which take their place there. Options that belong to
 * the machine (threads, kernels, memory) are not kept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_RUN_OPTIONS_H
#define TRIT_CLI_RUN_OPTIONS_H

#include "base/buf.h"
#include "cli/opt.h"

enum { TRIT_RUN_OPTIONS = 8, TRIT_RUN_OPTION_BYTES = 32, TRIT_RUN_OPTIONS_MOST = 1 << 16 /* bytes of the file */ };

/** Zeroed: none. */
struct trit_run_options {
	int n;
	char names[TRIT_RUN_OPTIONS][TRIT_RUN_OPTION_BYTES], values[TRIT_RUN_OPTIONS][TRIT_RUN_OPTION_BYTES];
};

/** Gives the rows of the table that are kept, and were not given, the values in DIR/options.json, if it is there; the
 * table may point into *o. Returns -1 or, after an error that it has told, the exit status. */
int trit_run_options_take(struct trit_run_options *o, const struct trit_opt_table *table, const char *dir);
/** Takes the values of the rows that were given. */
void trit_run_options_note(struct trit_run_options *o, const struct trit_opt_table *table);
/** What DIR/options.json holds. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_run_options_text(const struct trit_run_options *o, struct trit_buf *text,
                                          struct trit_error *err);
/** Writes it where there is anything to say, or was. Errors: IO, MEMORY. */
TRIT_MUST_CHECK int trit_run_options_write(const struct trit_run_options *o, const char *dir, struct trit_error *err);
/** The number that DIR/options.json has under a name; *value stays where there is none. Errors: IO, FORMAT, MEMORY. */
TRIT_MUST_CHECK int trit_run_options_number(const char *dir, const char *name, int *value, struct trit_error *err);

#endif
