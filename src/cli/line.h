/*
 * line.h - reading lines: on a terminal with editing and history when libedit is there, else plainly.
 *
 * Prompts and echo go to standard error, so that standard output holds answers only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_LINE_H
#define TRIT_CLI_LINE_H

#include "cli/cmd.h"

enum { TRIT_LINE_TEXT = 0, TRIT_LINE_END = 1, TRIT_LINE_INTERRUPT = 2 };

struct trit_line_reader;

/** Lines from standard input. History is kept in $XDG_STATE_HOME/trit/history (~/.local/state/trit/history) where that
 * can be written, else in memory. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_line_reader_new(struct trit_line_reader **out, struct trit_error *err);
/** Saves the history. */
void trit_line_reader_free(struct trit_line_reader *r);
/** Whether a person is typing. */
bool trit_line_reader_is_terminal(const struct trit_line_reader *r);
/** The next line, without its newline, into `line` (emptied first). Returns TRIT_LINE_TEXT, TRIT_LINE_END at the end of
 * the input, TRIT_LINE_INTERRUPT after Ctrl-C, or a negative status (IO, LIMIT: longer than the buffer, MEMORY). */
TRIT_MUST_CHECK int trit_line_read(struct trit_line_reader *r, struct trit_buf *line, struct trit_error *err);

#endif
