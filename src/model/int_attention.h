/*
 * int_attention.h - attention in integers: keys and values in 8 bits, multiplied by the kernels that multiply weights.
 *
 * A page of the cache (kv.h) holds a head's keys and values at TRIT_KV_PAGE positions. The keys are a matrix [PAGE, A]
 * in layout i8 with a scale for each row; the values, transposed, a matrix [A, PAGE], whose scales, one for each
 * position, are folded into the probabilities before those are quantised. So every instruction set that multiplies
 * weights fast attends fast, sums are exact, and the cache is half the size of IEEE half.
 *
 *     s_i = (q_8bit . k_i) * (kscale_i * (qstep * scale))                      queries quantised as activations are
 *     e_i = exp(s_i - max s),  z = 16-sum of e
 *     in each page: p_i = e_i * vscale_i, a = max p, r_i = rint(p_i * (16383 / a)) = 128 hi_i + lo_i,
 *     step = a / 16383 / z
 *     out = chain over the pages of  + (hi . v) * (128 step)  + (lo . v) * step
 *
 * Pages begin at fixed positions, and what lies behind a query's position is multiplied by an integer zero: the result
 * depends on the sequence alone. Fourteen bits of probability: with eight, what many distant positions have together is
 * lost beside one position that has almost all.
 *
 *     page   keys [PAGE / 16][A / 4][16][4] int8 | values [A / 16][PAGE / 4][16][4] int8 | key scales [PAGE] fp32 |
 *            value scales [PAGE] fp32              (A rounded up)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_INT_ATTENTION_H
#define TRIT_MODEL_INT_ATTENTION_H

#include "base/mem.h"
#include "kernel/kernel.h"

/** Bytes of a page for heads of `width`; a multiple of 64. */
size_t trit_int_page_bytes(int width);

/** Quantises a key and a value [width] and puts them at place `at` of a page; what was there is replaced. */
void trit_int_put(const struct trit_kernels *k, unsigned char *page, const float *key, const float *value, int width,
                  int at);

/** Scratch of one thread. */
struct trit_int_scratch {
	int8_t *q;    /* [rows, padded A]: queries */
	int8_t *p;    /* [2 rows, padded PAGE]: hi rows, then lo rows */
	int32_t *sum; /* [2 rows] */
	float *step;  /* [2 rows] */
	float *y;     /* [2 rows, A] */
};
/** Takes the arrays for up to `rows` queries: once to measure, once to place. */
void trit_int_scratch_lay_out(struct trit_int_scratch *s, struct trit_arena *arena, int rows, int width);

/** Scores: as trit_attend_scores_fn, begin a multiple of 16. */
void trit_int_scores(const struct trit_kernels *k, const struct trit_int_scratch *scratch, float *s, size_t lds,
                     const float *q, size_t ldq, const unsigned char *pages, size_t stride, float scale, int width,
                     int rows, int begin, int end);
/** Weighted means: as trit_attend_values_fn; p holds exponentials, sum their sums. */
void trit_int_values(const struct trit_kernels *k, const struct trit_int_scratch *scratch, float *out, size_t ld_token,
                     size_t ld_head, const float *p, size_t ldp, const float *sum, const unsigned char *pages,
                     size_t stride, int width, int first, int last, int rows, int share, int n);

#endif
