/*
 * ternary_neon.c - integer products and limits with NEON alone: products of bytes in 16 bits.
 *
 * smlal multiplies eight pairs of bytes and adds to eight 16-bit sums; so many of them as fit 16 bits, then sadalp adds
 * neighbours to 32-bit sums. A pair of columns of a row stays apart until the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>
#include <limits.h>

#include "kernel/tiers.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define TILE 2 /* tokens; 16 of 32 registers hold 16-bit sums */

struct quad {
	int16x8_t low, high;     /* rows 0 and 1, 2 and 3: four sums each */
	int32x4_t wide_low, wide_high; /* two each */
};

typedef int8x16_t activations; /* four times the same */

static ALWAYS_INLINE activations load_four(const int8_t *q)
{
	typedef int32_t word __attribute__((may_alias, aligned(1)));
	return vreinterpretq_s8_s32(vld1q_dup_s32((const word *)q));
}

static ALWAYS_INLINE struct quad quad_zero(void)
{
	return (struct quad){vdupq_n_s16(0), vdupq_n_s16(0), vdupq_n_s32(0), vdupq_n_s32(0)};
}

static ALWAYS_INLINE void quad_add(struct quad *s, int8x16_t w, activations x)
{
	s->low = vmlal_s8(s->low, vget_low_s8(w), vget_low_s8(x));
	s->high = vmlal_high_s8(s->high, w, x);
}

static ALWAYS_INLINE int quad_steps(int max)
{
	return SHRT_MAX / (127 * max);
}

static ALWAYS_INLINE void quad_widen(struct quad *s)
{
	s->wide_low = vpadalq_s16(s->wide_low, s->low);
	s->wide_high = vpadalq_s16(s->wide_high, s->high);
	s->low = s->high = vdupq_n_s16(0);
}

static ALWAYS_INLINE int32x4_t quad_sum(const struct quad *s)
{
	return vpaddq_s32(s->wide_low, s->wide_high);
}

#include "kernel/arm/ternary_arm_body.h"

static uint64_t trit_read_pass_neon(const void *p, size_t n)
{
	const uint64_t *from = p;
	uint64x2_t a = vdupq_n_u64(0), b = a, c = a, d = a;

	for (size_t i = 0; i < n / 8; i += 8) {
		a = veorq_u64(a, vld1q_u64(from + i));
		b = veorq_u64(b, vld1q_u64(from + i + 2));
		c = veorq_u64(c, vld1q_u64(from + i + 4));
		d = veorq_u64(d, vld1q_u64(from + i + 6));
	}
	a = veorq_u64(veorq_u64(a, b), veorq_u64(c, d));
	return vgetq_lane_u64(a, 0) ^ vgetq_lane_u64(a, 1);
}

void trit_ternary_init_neon(struct trit_kernels *k)
{
	products_init(k);
	k->read_pass = trit_read_pass_neon;
}
