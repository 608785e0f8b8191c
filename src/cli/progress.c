/*
 * progress.c - draws the bar: what, how far, how fast, how long.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/progress.h"

#include <unistd.h>

#include "base/clock.h"

enum { BAR = 24 };

void trit_progress_init(struct trit_progress_bar *b)
{
	*b = (struct trit_progress_bar){ .terminal = isatty(STDERR_FILENO) != 0 };
}

int trit_progress_show(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct trit_progress_bar *b = arg;
	double now = trit_clock(), share = total ? (double)done / (double)total : 1;
	char bar[BAR + 1], left[TRIT_NUMBER_BYTES];
	if (done < b->before || b->begin == 0)
		b->begin = now;
	b->before = done;
	if (!b->terminal || (now - b->last < 0.2 && done < total))
		return trit_interrupts > 0;
	for (int i = 0; i < BAR; i++)
		bar[i] = i < (int)(share * BAR) ? '#' : '.';
	bar[BAR] = 0;
	double seconds = now - b->begin, rate = seconds > 0 ? (double)done / seconds : 0;
	fprintf(stderr, "\r\033[K%s [%s] %3.0f %% of %.1f MB", what, bar, 100 * share, (double)total / 1e6);
	if (seconds > 1 && rate > 0)
		fprintf(stderr, ", %.1f MB/s, %s left", rate / 1e6, trit_text_seconds(left, (double)(total - done) / rate));
	fflush(stderr);
	b->last = now;
	b->shown = true;
	return trit_interrupts > 0;
}

void trit_progress_end(struct trit_progress_bar *b)
{
	if (b->shown)
		fputs("\r\033[K", stderr);
	b->shown = false;
}
