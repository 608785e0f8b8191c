/*
 * rope.c - the angles of the rotary embedding.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/rope.h"

#include "base/fmath.h"

void trit_rope_table(float *cos, float *sin, float base, int n_rot, int n_ctx)
{
	for (int i = 0; i < n_rot / 2; i++) {
		double frequency = trit_exp(-trit_ln((double)base) * 2.0 * i / n_rot);
		for (int p = 0; p < n_ctx; p++) {
			size_t at = (size_t)p * (size_t)(n_rot / 2) + (size_t)i;
			cos[at] = (float)trit_cos(p * frequency);
			sin[at] = (float)trit_sin(p * frequency);
		}
	}
}
