/*
 * balance.h - the weight of an extra loss by the norms of gradients, where it meets the other losses [VQGAN].
 *
 *     weight of a step = share * sqrt(O / E)      O, E: running means, over the steps before, of the squared norms of
 *                                                 the others' gradient and of the extra one's own, at weight 1
 *     O <- 0.9 O + 0.1 O'                         after a step that measured O'; likewise E. At first O = O', E = E'.
 *
 * So that the extra loss pulls `share` as hard as the others, however its size changes while training goes on. The two
 * means are state of the run: they are in its checkpoint, to the last bit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_BALANCE_H
#define TRIT_TRAIN_BALANCE_H

#include <stdbool.h>

struct trit_balance {
	double others, extra; /* O, E; 0: not measured yet */
};

/** Norms that are not finite are passed over. */
void trit_balance_update(struct trit_balance *b, double others, double extra);
bool trit_balance_measured(const struct trit_balance *b);
/** 0 before anything was measured, or where the extra loss has no gradient. At most TRIT_MAX_BALANCE. */
float trit_balance_weight(const struct trit_balance *b, float share);
#define TRIT_MAX_BALANCE 1e6

#endif
