/*
 * cost.h - what one token costs a model: bytes that must be read, and 8-bit operations.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BENCH_COST_H
#define TRIT_BENCH_COST_H

#include "model/model.h"

struct trit_cost {
	double layer_bytes; /* of the layers' weights: projections, scales, norms */
	double head_bytes;  /* of the last norm and the head */
	double embd_bytes;  /* of a row of the embedding */
	double kv_bytes;    /* of the cache, for each position that is attended to */
	double int8_ops;    /* of a token in the layers' projections, a multiply and an add counting two; 0: all dense */
};

struct trit_cost trit_cost_of(const struct trit_model *m, enum trit_kv_type kv_type);

/** Calls fn for every projection of the layers that one token reads, in the order of the forward pass; of experts for
 * the first ones. */
typedef void trit_linear_visit_fn(void *arg, const struct trit_linear *l);
void trit_linear_visit_layers(const struct trit_model *m, trit_linear_visit_fn *fn, void *arg);
/** Bytes of a projection's weights without its scales. */
size_t trit_linear_bytes(const struct trit_linear *l);

#endif
