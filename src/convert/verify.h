/*
 * verify.h - reads a written model again and compares it with its source, number by number.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_VERIFY_H
#define TRIT_CONVERT_VERIFY_H

#include "convert/source.h"

struct trit_verified {
	/** Asked now and then with how many of all weights are done; false ends with an IO error. NULL: nobody asks. */
	bool (*go_on)(void *arg, int64_t done, int64_t total);
	void *arg;
	/* found: */
	uint64_t codes;  /* ternary weights that are the same, with the same scales */
	uint64_t scales; /* numbers of scales of them; of the arrangement in the result */
	uint64_t exact;  /* numbers that are the same */
	uint64_t rounded; /* numbers within the rounding of their type */
	double worst;    /* the largest of their errors, as a share of what the type may round by */
	double scale_error; /* masters: the largest relative difference of a scale from what it was */
};

/** v has go_on, the rest is set. Errors: FORMAT (a difference: says where and what), those of reading. */
TRIT_MUST_CHECK int trit_verify(const char *path, const struct trit_source *s, struct trit_verified *v,
                                struct trit_error *err);

#endif
