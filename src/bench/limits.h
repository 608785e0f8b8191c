/*
 * limits.h - what this machine can do at most, measured where and when a model is measured: reading memory and 8-bit
 * multiply-adds, by the same threads with the same kernels.
 *
 * Machines differ, are shared, and change their clock: a speed says little without the limit measured beside it. One
 * measurement is the best of three short ones, since a limit is what was possible, not what a disturbance left of it.
 *
 * Reading: the weights where they lie, in the order of the forward pass; each thread reads its share. That is the same
 * work as a token's, on the same pages, in the same caches, and needs no memory of its own. Or a buffer of one's own in
 * huge pages, to see what the place of the weights costs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BENCH_LIMITS_H
#define TRIT_BENCH_LIMITS_H

#include "base/pool.h"
#include "model/model.h"

struct trit_limits {
	const struct trit_model *model;
	struct trit_pool *pool; /* the caller's */

	/* private */
	unsigned char *buffer; /* NULL: the weights are read */
	size_t buffer_bytes;
	int passes, rounds;    /* how often to read, and rounds of int8_peak, that take a few milliseconds */
	double *done;          /* [threads] bytes that all threads read together, or operations of this one */
};

/** buffer_bytes 0: the weights are read in place. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_limits_init(struct trit_limits *l, const struct trit_model *m, struct trit_pool *pool,
                                     size_t buffer_bytes, struct trit_error *err);
void trit_limits_release(struct trit_limits *l);
/** Bytes a second of a read pass. */
double trit_limits_read(struct trit_limits *l);
/** 8-bit operations a second, a multiply and an add counting two. */
double trit_limits_int8(struct trit_limits *l);

#endif
