/*
 * verify.h - reads a written model again and compares it with its source, number by number.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_VERIFY_H
#define TRIT_CONVERT_VERIFY_H

#include "convert/source.h"

struct trit_verified {
	uint64_t codes;  /* ternary weights that are the same, with the same scales */
	uint64_t scales; /* numbers of scales of them; of the arrangement in the result */
	uint64_t exact;  /* numbers that are the same */
	uint64_t rounded; /* numbers within the rounding of their type */
	double worst;    /* the largest of their errors, as a share of what the type may round by */
	double scale_error; /* masters: the largest relative difference of a scale from what it was */
};

/** Errors: FORMAT (a difference: says where and what), those of reading. */
TRIT_MUST_CHECK int trit_verify(const char *path, const struct trit_source *s, struct trit_verified *v,
                                struct trit_error *err);

#endif
