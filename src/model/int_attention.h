/*
 * int_attention.h - attention in 8-bit (or 4-bit) integers: one key/value head of a quantised cache.
 *
 * The two products of attention are integer products like any other, on the kernels that multiply weights: the keys are
 * a matrix [positions, A] with a scale for each row, and the values, transposed, matrices [A, SEGMENT] whose scales,
 * one for each position, are folded into the probabilities before those are quantised. So every instruction set that
 * multiplies weights fast attends fast, sums are exact, and the cache is half (or a quarter) of the size of IEEE half.
 *
 *     s_i  = (q_8bit . k_i) * (kscale_i * (qstep * scale))                         queries as activations: kernel.h
 *     e_i  = exp(s_i - max s),  z = 16-sum of e
 *     p_i  = e_i * vscale_i;    in each segment, a = max p, r_i = rint(p_i * (16383 / a)) = 128 hi_i + lo_i
 *     out  = chain over the segments of  (hi . v) * (128 step) + (lo . v) * step,  step = a / 16383 / z
 *
 * Segments begin at fixed positions, and what lies behind a query's position is multiplied by an integer zero: the
 * result depends on the sequence alone. Fourteen bits of probability: with eight, what many distant positions have
 * together is lost beside one position that has almost all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_INT_ATTENTION_H
#define TRIT_MODEL_INT_ATTENTION_H

#include "base/mem.h"
#include "kernel/kernel.h"

#define TRIT_INT_SEGMENT 512 /* positions; a multiple of every layout's group */
#define TRIT_INT_QUERIES 64  /* most queries at once: tokens times heads that share the keys */

struct trit_int_head {
	enum trit_layout layout; /* TRIT_I8 or TRIT_I4 */
	int width, n_ctx;        /* A; positions there is room for */
	unsigned char *k, *v;    /* [n_ctx, A]; segments of [A, SEGMENT] */
	float *k_scale, *v_scale; /* [n_ctx rounded up to 16] */
};

/** Bytes of k (and at most as many of v) and number of scales for n_ctx positions. */
size_t trit_int_head_bytes(enum trit_layout layout, int width, int n_ctx);
size_t trit_int_head_scales(int n_ctx);

/** Quantises the key and the value [A] of a position and stores them. Any order of positions; stored ones may be
 * replaced. */
void trit_int_head_store(const struct trit_int_head *h, const struct trit_kernels *k, int position, const float *key,
                         const float *value);

/** Scratch of one thread, for contexts of up to n_ctx positions. */
struct trit_int_scratch {
	int8_t *q;     /* [QUERIES, padded A] */
	int32_t *sum;  /* [2 QUERIES] */
	float *step;   /* [2 QUERIES] */
	float *scores; /* [QUERIES, n_ctx] or fewer rows: see trit_int_head_queries */
	int8_t *p;     /* [2 QUERIES, padded SEGMENT]: hi rows, then lo rows */
	float *z;      /* [QUERIES] */
	float *y;      /* [2 QUERIES, A] */
};
void trit_int_scratch_lay_out(struct trit_int_scratch *s, struct trit_arena *arena, int width, int n_ctx);

/**
 * n_tokens tokens at consecutive positions, the first of which sees n positions (its own included, all stored), the next
 * n + 1 and so on; each with `heads` queries of width A: token t's at q + t * ldq, one after the other; results to out +
 * t * ldo likewise. n_tokens * heads <= TRIT_INT_QUERIES. scale: 1 / sqrt(A). out may be q.
 */
void trit_int_head_attend(const struct trit_int_head *h, const struct trit_kernels *k, struct trit_int_scratch *s,
                          float *out, size_t ldo, const float *q, size_t ldq, int n_tokens, int heads, int n,
                          float scale);

#endif
