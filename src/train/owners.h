/*
 * owners.h - which of the processes of a run steps which parameters, and what is sent when.
 *
 * The flat array of parameters (params.h) is cut into units, the smallest thing that one process steps: a matrix that
 * Muon takes whole, or up to TRIT_UNIT_FLOATS elements of any other tensor. Units next to each other whose gradients
 * are ready at the same time form a bucket, about TRIT_BUCKET_FLOATS large; each process owns one contiguous piece of
 * each bucket. So in every exchange all processes send and receive alike, whichever layer it is about. Which process
 * has which piece turns from bucket to bucket, since with Muon the pieces cannot be equal.
 *
 *     embedding                layer 0          layer 1          norm, head
 *     |-unit-|-unit-|-unit-|..|--|--|-|--|--|..|--|--|-|--|--|..|-|-unit-|-unit-|
 *     |-bucket 0-|-bucket 1-|.|-- bucket 2 ---|-- bucket 3 ----|-- bucket 4 -----|
 *
 * Units and buckets do not depend on the number of processes, except for the pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_OWNERS_H
#define TRIT_TRAIN_OWNERS_H

#include "train/params.h"
#include "train/recipe.h"

#define TRIT_UNIT_FLOATS ((size_t)1 << 16)
#define TRIT_BUCKET_FLOATS ((size_t)1 << 22)

struct trit_unit {
	size_t offset, n; /* elements of the flat array */
	int param;        /* in the list of parameters */
	int owner;        /* rank */
	bool whole;       /* a matrix, by Muon */
};

struct trit_bucket {
	size_t begin, end; /* elements of the flat array; no gaps between buckets */
	int layer;         /* its gradients are ready after this layer's backward pass; TRIT_MAX_LAYERS: after the head's;
	                    * -1: at the end */
};

struct trit_owners {
	int rank, ranks;
	size_t n_units;
	struct trit_unit *units; /* in order of the flat array */
	int n_buckets;
	struct trit_bucket *buckets; /* in order of the flat array: ready from the last to the first */
	size_t *cuts;                /* [n_buckets][ranks + 1] elements of the flat array */
};

/** Whether Muon steps it. */
bool trit_by_muon(const struct trit_recipe *r, const struct trit_param *t);
/** Errors: MEMORY. */
TRIT_MUST_CHECK int trit_owners_init(struct trit_owners *o, const struct trit_params *p, const struct trit_recipe *r,
                                     int rank, int ranks, struct trit_error *err);
void trit_owners_release(struct trit_owners *o);

/** The piece of a bucket that belongs to a rank; may be empty. */
void trit_owners_piece(const struct trit_owners *o, int bucket, int rank, size_t *begin, size_t *end);
/** Elements that belong to this process. */
size_t trit_owners_own(const struct trit_owners *o);

#endif
