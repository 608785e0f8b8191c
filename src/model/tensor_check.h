/*
 * tensor_check.h - looks at every number of a file's tensors: what there is that should not be, and what the rest is
 * like.
 *
 * For trit info --tensors and trit doctor; needs no architecture, only types that can be read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_TENSOR_CHECK_H
#define TRIT_MODEL_TENSOR_CHECK_H

#include "base/pool.h"
#include "format/gguf.h"

struct trit_tensor_findings {
	bool readable;        /* else nothing was looked at */
	bool ternary;         /* codes and scales; else numbers */
	uint64_t n;           /* elements */
	uint64_t codes[4];    /* ternary: how many are -1, 0, 1 and (Q2_0) 2 */
	uint64_t n_scales;
	uint64_t n_zero_scales;
	float least_scale, greatest_scale; /* of those that are not 0, blk.N.NAME.scale included */
	uint64_t n_bad;       /* numbers that are NaN or infinite */
	double rms, least, greatest; /* of the others */
	struct trit_error err; /* status below 0: the codes, scales or blocks that no program can have meant */
};

/** Looks at all of g's tensors, with the threads of `pool` (NULL: this one). out: [g->n_tensors]. What is wrong with a
 * tensor is found, not failed with. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_check_tensors(struct trit_tensor_findings *out, const struct trit_gguf *g,
                                       struct trit_pool *pool, struct trit_error *err);

#endif
