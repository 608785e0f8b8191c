/*
 * chunks.h - works through a tensor some rows at a time: threads make the chunks, one after the other takes them.
 *
 * A round is as many chunks as there are threads. Nothing but those is held in memory, whatever the size of the tensor.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_CHUNKS_H
#define TRIT_CONVERT_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pool.h"

struct trit_chunk {
	size_t row, n;        /* rows [row, row + n); n 0: nothing to do */
	float *floats;        /* [n, cols] */
	int8_t *codes;        /* [n, cols] */
	unsigned char *bytes; /* [len]; what becomes of them */
	size_t len;
	int status;
	struct trit_error err;
};

/** Makes the chunk from its rows: bytes and len, or whatever take wants. Runs in any thread. */
typedef int trit_chunk_make_fn(void *arg, struct trit_chunk *p);
/** Gets the chunks in the order of their rows. */
typedef int trit_chunk_take_fn(void *arg, struct trit_chunk *p, struct trit_error *err);

/** A zeroed struct is fine to release. */
struct trit_chunks {
	struct trit_pool *pool;
	struct trit_chunk *list; /* [threads] */
	/* private, during a run */
	trit_chunk_make_fn *make;
	void *arg;
};

/** About so many weights are a chunk: rows for a tensor of `cols` columns, a multiple of `multiple`. */
size_t trit_chunk_rows(size_t cols, size_t multiple);
/** Room for chunks of so many weights and bytes; threads when the largest tensor has enough weights to be worth them.
 * Errors: MEMORY, IO. */
TRIT_MUST_CHECK int trit_chunks_init(struct trit_chunks *p, size_t largest_tensor, size_t weights, size_t bytes,
                                     struct trit_error *err);
void trit_chunks_release(struct trit_chunks *p);
/** All `rows` rows in chunks of `step`; `take` may be NULL. Ends at the first error of either function, a chunk's own
 * copied to err. */
TRIT_MUST_CHECK int trit_chunks_run(struct trit_chunks *p, size_t rows, size_t step, trit_chunk_make_fn *make,
                                    trit_chunk_take_fn *take, void *arg, struct trit_error *err);

#endif
