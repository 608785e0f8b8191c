/*
 * trainer_parts.h - what beginning a run (trainer_begin.c) and running it (trainer.c) share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_TRAINER_PARTS_H
#define TRIT_TRAIN_TRAINER_PARTS_H

#include "train/trainer.h"

/** Whether this process writes the files. */
static inline bool trit_trainer_is_first(const struct trit_trainer *t)
{
	return trit_dist_rank(t->transport) == 0;
}

/** The next passes' sequences, n of them, from number `first` of the run or of the validation's. */
void trit_trainer_draw(struct trit_trainer *t, bool val, uint64_t first, int n);
/** The weights as a step sees them. */
void trit_trainer_quantise(struct trit_trainer *t, int step);
/** Releases what recipe and options decide: network, optimiser, threads. */
void trit_trainer_give_back(struct trit_trainer *t);

#endif
