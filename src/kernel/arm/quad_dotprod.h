/*
 * quad_dotprod.h - the quad of ternary_arm_body.h with SDOT: a lane is a row, and 32 bits are enough (kernel.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_ARM_QUAD_DOTPROD_H
#define TRIT_KERNEL_ARM_QUAD_DOTPROD_H

#include <arm_neon.h>
#include <limits.h>

#include "kernel/tiers.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define TILE 4 /* tokens; 16 of 32 registers hold sums */

struct quad {
	int32x4_t rows;
};

typedef int8x8_t activations; /* in the lowest lane, from which SDOT takes them for all */

/* As a float: gcc 12 and clang 14 make a plain load of it, of the other ways one that broadcasts, which many CPUs split
 * in two. */
static ALWAYS_INLINE activations load_four(const int8_t *q)
{
	typedef float word __attribute__((may_alias, aligned(1)));
	return vreinterpret_s8_f32((float32x2_t){*(const word *)q, 0});
}

static ALWAYS_INLINE struct quad quad_zero(void)
{
	return (struct quad){vdupq_n_s32(0)};
}

static ALWAYS_INLINE void quad_add(struct quad *s, int8x16_t w, activations x)
{
	s->rows = vdotq_lane_s32(s->rows, w, x, 0);
}

static ALWAYS_INLINE int quad_steps(int max)
{
	(void)max;
	return INT_MAX;
}

static ALWAYS_INLINE void quad_widen(struct quad *s)
{
	(void)s;
}

static ALWAYS_INLINE int32x4_t quad_sum(const struct quad *s)
{
	return s->rows;
}

#endif
