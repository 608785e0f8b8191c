/*
 * health.h - whether a run still learns: compares each step's loss and gradient norm with those of the last 128 good
 * steps.
 *
 * Far is a loss above median + max(1, 8 deviations), the deviation taken as 1.4826 times the median distance from the
 * median, which single outliers do not move; or a gradient norm above 100 medians. One such step is noise, 20 in a row
 * are divergence, and so are 20 gradients of exactly 0. Steps that are far do not enter the window, or it would follow
 * them. A loss that creeps up is found by its median: 1.5 above the lowest that it ever was.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_HEALTH_H
#define TRIT_TRAIN_HEALTH_H

#include <stdbool.h>

#include "format/safetensors.h"

enum { TRIT_HEALTH_WINDOW = 128, TRIT_HEALTH_FEWEST = 32, TRIT_HEALTH_PATIENCE = 20 };

enum trit_verdict {
	TRIT_VERDICT_FINE,
	TRIT_VERDICT_LOSS,     /* has jumped */
	TRIT_VERDICT_NORM,     /* of the gradient has exploded */
	TRIT_VERDICT_CREEPING, /* the loss has risen slowly */
	TRIT_VERDICT_DEAD      /* the gradient is 0 */
};

/** Zeroed: nothing seen yet. */
struct trit_health {
	float losses[TRIT_HEALTH_WINDOW], norms[TRIT_HEALTH_WINDOW]; /* a ring */
	int n;           /* entries, at most TRIT_HEALTH_WINDOW */
	int next;        /* place of the next one */
	float best;      /* lowest median of the losses so far */
	int far_losses, far_norms; /* in a row */
	int skipped, skipped_in_a_row; /* steps whose gradient was not finite, counted by the trainer */
};

/** Takes a step whose loss and norm are finite. */
enum trit_verdict trit_health_add(struct trit_health *h, double loss, double norm);
/** Median of the newest (half 1) or the older half (half 0) of the window's losses; NaN with fewer than 8. */
double trit_health_median(const struct trit_health *h, int half);

/** To and from the metadata of a checkpoint, exactly; zeroed where there is none. Errors: FORMAT. */
TRIT_MUST_CHECK int trit_health_put(const struct trit_health *h, struct trit_st_writer *w, struct trit_error *err);
TRIT_MUST_CHECK int trit_health_read(struct trit_health *h, const struct trit_safetensors *s, struct trit_error *err);

#endif
