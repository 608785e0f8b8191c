/*
 * pool.h - a fork-join pool: one function run by N threads, the caller being thread 0.
 *
 * Threads wait by spinning briefly, then asleep. trit_pool_run allocates nothing and cannot fail. A pool belongs to one
 * calling thread at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_POOL_H
#define TRIT_BASE_POOL_H

#include "base/error.h"

#define TRIT_MAX_THREADS 256

struct trit_pool;

/** Called as thread `index` of `n`. Which thread gets which work must depend on index and n only. */
typedef void trit_pool_fn(void *arg, int index, int n);

/** n >= 1 threads including the caller's. Errors: ARG, MEMORY, IO (the system gives no more threads). */
TRIT_MUST_CHECK int trit_pool_new(struct trit_pool **out, int n, struct trit_error *err);
void trit_pool_free(struct trit_pool *p);
int trit_pool_size(const struct trit_pool *p);
/** Runs fn(arg, i, n) on all threads and returns when all are done. p may be NULL: then fn(arg, 0, 1). */
void trit_pool_run(struct trit_pool *p, trit_pool_fn *fn, void *arg);

/** Inside a function that trit_pool_run runs: waits until all its threads have come here. p NULL: nothing to wait
 * for. */
void trit_pool_barrier(struct trit_pool *p);

/** Cores the process may run on (its affinity mask), at least 1. */
int trit_cpu_count(void);

/** Part `index` of `n` of the range 0..total, cut at multiples of `grain`: [*begin, *end). */
static inline void trit_part(size_t total, size_t grain, int index, int n, size_t *begin, size_t *end)
{
	size_t pieces = (total + grain - 1) / grain;
	size_t b = pieces * (size_t)index / (size_t)n * grain, e = pieces * ((size_t)index + 1) / (size_t)n * grain;
	*begin = b < total ? b : total;
	*end = e < total ? e : total;
}

#endif
