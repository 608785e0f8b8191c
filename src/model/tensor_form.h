/*
 * tensor_form.h - how the integer weights of a tensor can lie in memory: the coarsest arrangement of scales that is
 * exact, and weights that are not ternary.
 *
 * Types with a scale in every block are mostly written with the same one in all of them, which one scale a tensor
 * expresses; whether that is so only looking at all of them tells. Rows can be looked at in any order, by several
 * threads, and the findings joined.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_TENSOR_FORM_H
#define TRIT_MODEL_TENSOR_FORM_H

#include "model/tensors.h"

struct trit_form {
	enum trit_scaling scaling;
	bool code_2; /* weights from -1 to 2 (Q2_0): layout i4 holds them */
};

/** Findings; zeroed: none yet. */
struct trit_survey {
	float scale;   /* the first one seen */
	bool seen;
	bool several;  /* others than that one */
	bool in_row;   /* different ones in a row */
	bool code_2;
};

/** Whether a tensor has to be looked at: else its type says all. */
bool trit_survey_needed(const struct trit_gguf_tensor *t);
/** Rows [row0, row0 + n). Errors: FORMAT (a scale that is negative or not finite). */
TRIT_MUST_CHECK int trit_survey_rows(struct trit_survey *s, const struct trit_tensor_walk *w,
                                     const struct trit_gguf_tensor *t, size_t row0, size_t n, struct trit_error *err);
/** Adds b's findings to a's. */
void trit_survey_join(struct trit_survey *a, const struct trit_survey *b);
/** What follows from them; of a tensor that need not be looked at from nothing. */
struct trit_form trit_survey_form(const struct trit_survey *s, const struct trit_gguf_tensor *t);
/** All in one, on this thread. */
TRIT_MUST_CHECK int trit_tensor_form(struct trit_form *form, const struct trit_tensor_walk *w,
                                     const struct trit_gguf_tensor *t, struct trit_error *err);

#endif
