/*
 * progress.h - a bar on the terminal while text is prepared; nothing where there is no terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_PROGRESS_H
#define TRIT_CLI_PROGRESS_H

#include "cli/cmd.h"

struct trit_progress_bar {
	bool terminal;
	bool shown;       /* a line is not ended */
	double begin;     /* seconds: of what is being done */
	double last;      /* when it was drawn */
	uint64_t before;  /* bytes done when it was drawn */
};

void trit_progress_init(struct trit_progress_bar *b);
/** A trit_prepare_fn; arg is the bar. Non-zero after Ctrl-C. */
int trit_progress_show(void *arg, const char *what, uint64_t done, uint64_t total);
/** Removes the bar. */
void trit_progress_end(struct trit_progress_bar *b);

#endif
