/*
 * rope.h - the angles of the rotary embedding, shared by inference and training.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_ROPE_H
#define TRIT_MODEL_ROPE_H

#include "base/error.h"

/** cos, sin [n_ctx, n_rot / 2]: of p * base^(-2 i / n_rot) for position p and pair i. */
void trit_rope_table(float *cos, float *sin, float base, int n_rot, int n_ctx);

#endif
