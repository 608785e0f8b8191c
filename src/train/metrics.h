/*
 * metrics.h - what a training step tells, and metrics.jsonl: one line of JSON a step.
 *
 *     {"step": 1, "tokens": 8192, "loss": 8.317, "lr": 8e-06, "tokens_per_s": 15012, "grad_norm": 1.92,
 *      "share": [0.31, 0.38, 0.31], "flips": 0.0021, "val_loss": 8.31, "scales": [0.021, 0.019, ...]}
 *
 * With a teacher: "kl", "kl_weight", "relation", "relation_weight" (teacher.h); loss is the cross-entropy alone.
 *
 * val_loss and scales only where the loss was validated; share, flips and scales only with quantised weights; a number
 * that is not finite is null. With several processes there are "exchange_s", "wait_s" and "sent" of the first one as
 * well; with experts, where the loss was validated, "loads": shares of the step's choices that fell on each, layer by
 * layer; of a classifier, where it was validated, "val_accuracy" and "val_f1" (macro). scales: query, key, value,
 * output, gate, up, down of layer 0, then of layer 1 ...
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_METRICS_H
#define TRIT_TRAIN_METRICS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

struct trit_step_report {
	int step, steps;     /* done, of how many */
	uint64_t tokens;     /* seen since the run began */
	double loss;         /* mean nats a token of this step */
	double val_loss;     /* NaN where not measured */
	bool has_accuracy;   /* of a classifier, where that was measured */
	double val_accuracy, val_f1;
	float lr;
	double grad_norm;
	double tokens_per_s; /* of this step */
	double share[3];     /* of weights at -1, 0, +1; all 0 for full precision */
	double flips;        /* share of weights that this step changed to another of these */
	int n_scales;        /* of the projections, layer by layer; 0 where not told */
	const float *scales; /* [n_scales] */
	double exchange_s;   /* of the step: seconds in which gradients or weights were under way to other processes */
	double wait_s;       /* of these, seconds in which this process computed nothing */
	double sent;         /* bytes to other processes; 0: there are none */
	int n_loads, n_experts; /* with experts, where scales are told: L * E, E */
	const float *loads;  /* [n_loads] share of this step's choices that fell on each expert, layer by layer */
	int skipped;         /* steps so far whose gradient was not finite */
	/* Of a teacher; mean nats a token, before they are weighted. */
	bool has_kl, has_relation;
	double kl, relation;
	float kl_weight, relation_weight;
};

/** Opens the file to append after the line of step `keep`; what is beyond (or half-written) is dropped, all of it for
 * keep 0. Errors: IO. */
TRIT_MUST_CHECK int trit_metrics_open(FILE **out, const char *path, int keep, struct trit_error *err);
TRIT_MUST_CHECK int trit_metrics_write(FILE *f, const struct trit_step_report *r, struct trit_error *err);
TRIT_MUST_CHECK int trit_metrics_flush(FILE *f, struct trit_error *err);

#endif
