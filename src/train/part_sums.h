/*
 * part_sums.h - sums of the gradients of the parts of a batch, in a tree that is always the same.
 *
 * The gradient of a step is the sum of those of P equal parts of its batch. Sums of floats depend on their order, so it
 * is fixed: the sum of n parts is the sum of the first m and the sum of the others, m the largest power of two below n.
 *
 *     P = 4:  (0 + 1) + (2 + 3)          P = 6:  ((0 + 1) + (2 + 3)) + (4 + 5)
 *
 * N processes that have P / N parts each, a power of two, then get the same bits as one process: each sums a branch.
 * A process with several parts keeps the branches that are not complete yet, one at each height at most: an array of
 * the size of the gradient for each height. With one part a process this costs nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_PART_SUMS_H
#define TRIT_TRAIN_PART_SUMS_H

#include "base/pool.h"
#include "kernel/kernel.h"

struct trit_part_sums {
	const struct trit_kernels *kernels;
	struct trit_pool *pool;
	int parts;  /* of this process */
	int height; /* arrays */
	size_t total;
	float *array[31]; /* [height][total] branches; that at height h is in use when bit h of the parts done is 1 */
};

/** How many parts a batch is summed in, and all processes have together: `parts` where that gives the same bits as one
 * process gets, else one a process. */
int trit_part_count(int parts, int ranks);
/** Errors: MEMORY. */
TRIT_MUST_CHECK int trit_part_sums_init(struct trit_part_sums *s, int parts, size_t total, const struct trit_kernels *k,
                                        struct trit_pool *pool, struct trit_error *err);
void trit_part_sums_release(struct trit_part_sums *s);
/** g [total] is the gradient of part `part` (0 first, not the last one): puts it away and zeroes g. */
void trit_part_sums_put(struct trit_part_sums *s, int part, float *g);
/** g holds the gradient of the last part: it becomes the sum of all. */
void trit_part_sums_finish(const struct trit_part_sums *s, float *g);
/** The same for elements begin .. end - 1, by the calling thread alone. */
void trit_part_sums_finish_range(const struct trit_part_sums *s, float *g, size_t begin, size_t end);

#endif
