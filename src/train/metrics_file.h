/*
 * metrics_file.h - reads metrics.jsonl back, thinned out to what a plot can show. Needs jansson.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_METRICS_FILE_H
#define TRIT_TRAIN_METRICS_FILE_H

#include "train/metrics.h"

/** Zeroed: empty. */
struct trit_metrics {
	struct trit_step_report *points; /* [n], in the order of the file; what a line lacks is NaN, or 0 scales */
	size_t n;
	uint64_t lines; /* of the file */
};

/** At most `most` points (at least 1): where there are more lines, each point stands for several, with the mean of
 * their losses, norms, flips and speeds and the last of all else. A last line without its end is still being written
 * and left out. Errors: IO; FORMAT (path, line, what is wrong); MEMORY; UNSUPPORTED (no jansson). */
TRIT_MUST_CHECK int trit_metrics_read(struct trit_metrics *m, const char *path, size_t most, struct trit_error *err);
void trit_metrics_release(struct trit_metrics *m);

#endif
