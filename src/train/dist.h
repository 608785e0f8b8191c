/*
 * dist.h - one training run on several processes, on one machine or many.
 *
 * Each process computes the gradient of its part of a step's batch. While the backward pass still runs, the buckets
 * (owners.h) whose gradients are ready are exchanged by a thread of its own: each process receives everybody's values
 * of its piece and adds them in a fixed tree (part_sums.h). It steps its pieces, whose moments nobody else holds, and
 * sends the new weights to all. So gradients and weights cross the network once each, (N - 1) / N of 4 bytes a
 * parameter, and the result depends on the tree but not on the network.
 *
 * What carries the bytes is a struct trit_transport: MPI in the program (cli/mpi.c), memory in the tests. One that
 * loses a process ends all others; there are no errors here.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DIST_H
#define TRIT_TRAIN_DIST_H

#include "kernel/kernel.h"
#include "train/owners.h"
#include "train/part_sums.h"

#define TRIT_MAX_RANKS 4096
#define TRIT_EXCHANGES 4 /* under way at once, at most */

struct trit_message {
	bool send; /* or receive */
	int peer;  /* rank */
	size_t bytes;
	void *data;
};

/** Functions are called by one thread at a time, of which there may be several. Every process begins its exchanges in
 * the same order. */
struct trit_transport {
	int rank, ranks;
	int local_ranks; /* on this machine, this one included */
	char host[64];
	void *arg;
	/* Begins to send and to receive; the messages are gone when it returns, what they point at stays. slot: 0 to
	 * TRIT_EXCHANGES - 1, free again when `test` has said that it is done. */
	void (*start)(void *arg, int slot, int n, const struct trit_message *messages);
	bool (*test)(void *arg, int slot);
	/* x [n] becomes the sum over all processes, the same bits everywhere; waits for them. */
	void (*sum)(void *arg, double *x, int n);
	/* From now on all others answer soon: one that does not is lost, and the transport ends this process. Or they may
	 * take any time. */
	void (*expect)(void *arg, bool soon);
};

/** Rank 0 for NULL, one process. */
static inline int trit_dist_rank(const struct trit_transport *t)
{
	return t ? t->rank : 0;
}

static inline int trit_dist_ranks(const struct trit_transport *t)
{
	return t ? t->ranks : 1;
}

/* ---- all together; with t NULL for one process ------------------------------------------------------------------- */

/** x [n] becomes the sum over all processes. Exact, whatever the order, where at most one has another value than 0. */
void trit_dist_sum(const struct trit_transport *t, double *x, size_t n);
/** Whether the others compute the same as this one, so that none should keep it waiting for long. */
static inline void trit_dist_expect(const struct trit_transport *t, bool soon)
{
	if (t)
		t->expect(t->arg, soon);
}

/** Whether any process says so. */
bool trit_dist_any(const struct trit_transport *t, bool here);
/** Every process says how a step of setting up went: returns 0 if well for all, else the status and the message of the
 * first that failed, on all. */
TRIT_MUST_CHECK int trit_dist_agree(const struct trit_transport *t, int status, struct trit_error *err);
/** That every process has the same number for a thing ("training data"). Errors: FORMAT, naming who differs, on all. */
TRIT_MUST_CHECK int trit_dist_same(const struct trit_transport *t, const char *what, uint64_t number,
                                   struct trit_error *err);

/* ---- gradients and weights --------------------------------------------------------------------------------------- */

struct trit_dist;

/** What the exchanges of a step cost. */
struct trit_dist_cost {
	double bytes;  /* sent by this process */
	double busy;   /* seconds in which something was under way */
	double waited; /* seconds of these in which nothing was computed */
};

/** params, owners, kernels and sums by reference. Errors: MEMORY, IO (no thread). */
TRIT_MUST_CHECK int trit_dist_new(struct trit_dist **out, const struct trit_transport *t, struct trit_params *p,
                                  const struct trit_owners *owners, const struct trit_kernels *k,
                                  struct trit_part_sums *sums, struct trit_error *err);
void trit_dist_free(struct trit_dist *d);

/** This process's gradients of a layer (struct trit_bucket has the numbers) and of all above are there: begins to sum
 * them over the processes. Returns at once. */
void trit_dist_ready(struct trit_dist *d, int layer);
/** The weights that this process owns are new: begins to send them to all, and to receive the others'. */
void trit_dist_gather(struct trit_dist *d);
/** Waits for what was begun. After trit_dist_ready(d, -1): the gradients that this process owns are sums; those of
 * others are garbage. */
void trit_dist_wait(struct trit_dist *d);
/** What was spent since the last call. */
struct trit_dist_cost trit_dist_cost(struct trit_dist *d);

/** Called by all processes for the same tensor: rank 0 receives what it does not own of the moments of tensor i of the
 * list; array: 1 m, 2 v. */
void trit_dist_fetch(struct trit_dist *d, int array, int i);
/** Gives the memory of what this process does not own of them back to the system. */
void trit_dist_forget(struct trit_dist *d, int array, int i);
/** Bytes of memory that trit_dist_new takes. */
double trit_dist_bytes(const struct trit_dist *d);

#endif
