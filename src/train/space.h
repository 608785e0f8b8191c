/*
 * space.h - foretells how much a run will write, before its first step.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SPACE_H
#define TRIT_TRAIN_SPACE_H

#include "base/error.h"
#include "model/config.h"

/** What a run will write, in bytes. */
struct trit_space {
	double shards;      /* of tokens; 0 where they are there */
	double checkpoints; /* all kept, and the one being written beside them */
	double metrics;     /* metrics.jsonl and events */
	double model;       /* the packed result, and the one being written beside it */
	double there;       /* what of that the folder has already, whose place the new takes */
};

/** text_bytes of text to cut into tokens (0: done), `steps` more to come, of which every val_every-th (0: the last) is
 * validated. */
struct trit_space trit_space_of(const struct trit_config *c, uint64_t text_bytes, int keep, double steps,
                                int val_every);
/** Errors: IO when the disk that holds the folder has less than that free; says what takes how much. */
TRIT_MUST_CHECK int trit_space_check(const struct trit_space *s, const char *folder, struct trit_error *err);

#endif
