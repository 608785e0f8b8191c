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
	const char *command; /* "train", "finetune" or "distill" */
	bool tune;
	bool distill;
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
	  .help = "compute a layer's activations again in the backward pass instead of keeping\nthem: less memory, "       \
	          "more time, the same result" }
#define TRIT_ROW_PATIENCE(seconds)                                                                                    \
	{ 0, "patience", TRIT_OPT_INT, &(seconds), .min = 0, .max = INT_MAX, .metavar = "N",                               \
	  .help = "with several processes: seconds that one waits in a step for the others\nbefore it gives them up "      \
	          "(0: for ever)" }

/** Fills in *o, zeroed but for what the command has put there. As trit_opt_parse. */
typedef int trit_train_parse_fn(struct trit_train_job *o, int argc, char **argv);
/** Parses, trains, shows how it goes; several processes take turns as mpirun has it. Returns the exit status. */
int trit_train_command(trit_train_parse_fn *parse, int argc, char **argv);

#endif
