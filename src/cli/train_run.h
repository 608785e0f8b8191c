/*
 * train_run.h - a training run as a command: trit train and its kin differ in their options only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_TRAIN_RUN_H
#define TRIT_CLI_TRAIN_RUN_H

#include <limits.h>

#include "cli/cmd.h"
#include "convert/export.h"
#include "train/trainer.h"

/** What is to be done. */
struct trit_train_job {
	const char *command; /* "train", "finetune", "distill", "classify train" */
	bool tune;
	bool distill, is_classifier;
	struct trit_classify_options classify; /* where run.classify points, of trit classify train */
	struct trit_opt_list val, labels, words;
	struct trit_recipe recipe;
	struct trit_train_options run;
	struct trit_opt_list data;
	const char *size, *type, *embedding_type;
	bool resume;
	int layers; /* of the teacher's that the student is to have; 0: all */
	int on_divergence;
	int patience; /* seconds that processes wait for each other */
	int val_every, save_every;
	struct trit_export_options export;
};

#define TRIT_ROW_RECOMPUTE(value)                                                                                     \
	{ 0, "recompute", TRIT_OPT_FLAG, &(value),                                                                         \
	  .help = "compute activations again in the backward pass instead of keeping\nthem: less memory, "       \
	          "more time, the same result" }
#define TRIT_ROW_PATIENCE(seconds)                                                                                    \
	{ 0, "patience", TRIT_OPT_INT, &(seconds), .min = 0, .max = INT_MAX, .metavar = "N",                               \
	  .help = "with several processes: seconds that one waits in a step for the others\nbefore it gives them up "      \
	          "(0: for ever)" }

/** Fills in *o, zeroed but for what the command has put there. As trit_opt_parse. */
typedef int trit_train_parse_fn(struct trit_train_job *o, int argc, char **argv);
/** Parses, trains, shows how it goes; several processes take turns as mpirun has it. Returns the exit status. */
int trit_train_command(trit_train_parse_fn *parse, int argc, char **argv);

/** Of runs that begin with a model and learn from a small set of examples: settings, and those of them that are 0 and
 * depend on the model. */
struct trit_recipe trit_finetune_defaults(void);
TRIT_MUST_CHECK int trit_finetune_complete(struct trit_train_job *o, struct trit_error *err);

#endif
