/*
 * kv_page.h - a page of the KV cache: the keys and values of one head at TRIT_KV_PAGE consecutive positions, in the
 * types that are multiplied as floats (f32, f16, q4). Pages of q8: model/int_attention.h.
 *
 * Its numbers lie in runs of 32: 128 bytes of IEEE single (f32), 64 of half (f16), or 16 whose low nibbles are the
 * first 16 integers plus 8 and whose high nibbles are the others (q4). With `groups` = width / 32, rounded up:
 *
 *     keys          [PAGE / 32][width]         a run has one element of 32 positions
 *     values        [groups][PAGE]             a run has 32 elements of one position, zeros from `width` on
 *     key scales    [PAGE / 32][groups][32]    IEEE half, q4 only: the scale of 32 elements of a position
 *     value scales  [groups][PAGE]             likewise
 *
 * Runs of keys go across positions so that 32 scores are computed side by side, without sums across a vector; runs of
 * values across elements for the same reason. Pages are TRIT_ALIGN aligned, and their size is a multiple of that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_KV_PAGE_H
#define TRIT_KERNEL_KV_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "trit.h"

#define TRIT_KV_PAGE 256
/* Types that the float kernels know, and all; the first, auto, is that of no cache. */
#define TRIT_N_KV_FLOAT (TRIT_KV_F32 + 1)
#define TRIT_N_KV_TYPES (TRIT_KV_Q8 + 1)

static inline size_t trit_kv_groups(int width)
{
	return ((size_t)width + 31) / 32;
}
/** Whether its numbers are integers with a scale. */
static inline bool trit_kv_scaled(enum trit_kv_type type)
{
	return type == TRIT_KV_Q4;
}
static inline size_t trit_kv_run_bytes(enum trit_kv_type type)
{
	return type == TRIT_KV_F32 ? 128 : type == TRIT_KV_F16 ? 64 : 16;
}
/** Where in a page the values begin; after them (q4) the scales of the keys and those of the values. */
static inline size_t trit_kv_values_at(enum trit_kv_type type, int width)
{
	return TRIT_KV_PAGE / 32 * (size_t)width * trit_kv_run_bytes(type);
}
static inline size_t trit_kv_key_scales_at(enum trit_kv_type type, int width)
{
	return trit_kv_values_at(type, width) + trit_kv_groups(width) * TRIT_KV_PAGE * trit_kv_run_bytes(type);
}
/** Of the keys' scales, and of the values'. */
static inline size_t trit_kv_scale_bytes(enum trit_kv_type type, int width)
{
	return trit_kv_scaled(type) ? trit_kv_groups(width) * TRIT_KV_PAGE * sizeof(uint16_t) : 0;
}
static inline size_t trit_kv_value_scales_at(enum trit_kv_type type, int width)
{
	return trit_kv_key_scales_at(type, width) + trit_kv_scale_bytes(type, width);
}
/** Its size. */
static inline size_t trit_kv_page_bytes(enum trit_kv_type type, int width)
{
	return trit_kv_value_scales_at(type, width) + trit_kv_scale_bytes(type, width);
}

#endif
