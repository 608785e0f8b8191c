/*
 * sampler.h - the steps of choosing a token, for tests; the interface is in trit.h.
 *
 * Order of the steps, llama.cpp's: repeat penalty, top-k, top-p, min-p, temperature, draw. So top-p and min-p look at
 * the probabilities at temperature 1, and temperature only redistributes among the tokens that are left.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_RUN_SAMPLER_H
#define TRIT_RUN_SAMPLER_H

#include "base/error.h"

struct trit_candidate {
	double p;    /* its probability when drawn */
	float logit; /* after the penalty */
	trit_token token;
};

/** What trit_sampler_next would draw from: *n candidates whose p sum to 1 within rounding; 0 when no logit is finite.
 * Valid until the next call on the sampler. Draws nothing and accepts nothing. */
const struct trit_candidate *trit_sampler_candidates(struct trit_sampler *s, const float *logits, int *n);

#endif
