/*
 * teaching.h - what a checkpoint has of a run with a teacher.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_TEACHING_H
#define TRIT_TRAIN_TEACHING_H

#include "format/safetensors.h"
#include "train/balance.h"

#define TRIT_TEACHER_PATH_BYTES 4096

/** What a checkpoint has of it. Zeroed: no teacher. */
struct trit_teaching {
	char path[TRIT_TEACHER_PATH_BYTES]; /* of the teacher, from the root; "": none */
	uint64_t print;                     /* finger-print of its weights */
	struct trit_balance kl, relation;
};

/** Writes it to a checkpoint's metadata, and reads it from there: nothing where there is none. Errors: FORMAT. */
TRIT_MUST_CHECK int trit_teaching_put(const struct trit_teaching *t, struct trit_st_writer *w, struct trit_error *err);
TRIT_MUST_CHECK int trit_teaching_read(struct trit_teaching *t, const struct trit_safetensors *s,
                                       struct trit_error *err);

#endif
