/*
 * diagnosis.h - why a run cannot go on: what is known about weights, gradients, activations and loss, in lines for the
 * person who has to choose what to try next.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DIAGNOSIS_H
#define TRIT_TRAIN_DIAGNOSIS_H

#include "base/notes.h"
#include "train/health.h"
#include "train/net.h"

/** The step at hand: loss and norm of the gradient may be anything. */
struct trit_patient {
	const struct trit_params *params; /* with the step's gradient */
	const struct trit_net *net;       /* after it */
	const struct trit_health *health; /* of the steps before */
	double loss, norm;
	float lr;
	int step, warmup;
};

/** Notes what is found. */
void trit_diagnose(struct trit_notes *notes, const struct trit_patient *p);

#endif
