/*
 * memory_plan.h - foretells how much memory a run will use, and what for, before its first step.
 *
 * Everything is reserved when a run is set up, but no page of it is the process's before it is written to: so what does
 * not fit is found here, with the options that would make it fit, and not by the system's hand an hour later.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_MEMORY_PLAN_H
#define TRIT_TRAIN_MEMORY_PLAN_H

#include "train/dist.h"
#include "train/net.h"
#include "train/optim.h"

/** What one process uses, in bytes. */
struct trit_memory_plan {
	double weights;     /* masters, and frozen ones */
	double gradients;   /* with branches of their sum (part_sums.h) */
	double moments;     /* those of this process */
	double quantised;   /* weights as products take them */
	double activations; /* kept for the backward pass */
	double work;        /* the rest of the network, the optimiser, adapters, the batch */
	double exchange;    /* with other processes */
	double teacher;
	double used;        /* of all that, when the plan is made: no longer free */
};

/** What a plan is made from. Those that a run does not have are zeroed. */
struct trit_memory_users {
	const struct trit_params *params, *base; /* base: frozen */
	const struct trit_net *net;
	const struct trit_optim *optim;
	const struct trit_part_sums *sums;
	const struct trit_lora *lora;
	const struct trit_teacher *teacher;
	const struct trit_dist *dist; /* or NULL */
	size_t batch; /* bytes */
};

struct trit_memory_plan trit_memory_plan_of(const struct trit_memory_users *u);
double trit_memory_plan_total(const struct trit_memory_plan *p);

#define TRIT_PLAN_BYTES 256
/** "weights 95, gradients 95, ... MiB": what takes a hundredth or more. */
void trit_memory_plan_describe(char text[TRIT_PLAN_BYTES], const struct trit_memory_plan *p);
/** Whether `processes` of them fit what is free. net: the network of the plan. Errors: MEMORY, with the parts and what
 * would fit. */
TRIT_MUST_CHECK int trit_memory_plan_check(const struct trit_memory_plan *p, const struct trit_net *net, int processes,
                                           uint64_t free, struct trit_error *err);

#endif
