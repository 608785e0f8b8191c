/*
 * train_run.h - a training run as a command: trit train and its kin differ in their options only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_TRAIN_RUN_H
#define TRIT_CLI_TRAIN_RUN_H

#include <limits.h>

#include "cli/cmd.h"
#include "cli/run_options.h"
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
	struct trit_export_options export;
	struct trit_run_options kept;
	int refused; /* a status: the files that were named will not do, as `why` says */
	struct trit_error why;
};

#define TRIT_ROW_RECOMPUTE(value)                                                                                     \
	{ 0, "recompute", TRIT_OPT_FLAG, &(value),                                                                         \
	  .help = "compute activations again in the backward pass instead of keeping them: less memory, "        \
	          "more time, the same result" }
#define TRIT_ROW_PATIENCE(seconds)                                                                                    \
	{ 0, "patience", TRIT_OPT_INT, &(seconds), .min = 0, .max = INT_MAX, .metavar = "N",                               \
	  .help = "with several processes: seconds that one waits in a step for the others before it gives them up "       \
	          "(0: for ever)" }

#define TRIT_ROW_RESUME_FROM(checkpoint)                                                                              \
	{ 0, "resume-from", TRIT_OPT_STRING, &(checkpoint), .metavar = "STEP|FILE",                                        \
	  .help = "go on from this checkpoint instead of the newest sound one" }
extern const char *const trit_on_divergence[];
/** How often what is done, and when the run ends before its time. held_out: what validations read, as a string. */
#define TRIT_ROWS_INTERVALS(o, held_out)                                                                              \
	{ 0, "val-every", TRIT_OPT_INT, &(o)->run.val_every, .min = 0, .max = INT_MAX, .metavar = "N",                     \
	  .help = "steps between validations (0: only at the end)" },                                                      \
	{ 0, "val-windows", TRIT_OPT_INT, &(o)->run.max_val_windows, .min = 0, .max = INT_MAX, .metavar = "N",             \
	  .help = "sequences of held-out " held_out " a validation uses at most (0: all)" },                               \
	{ 0, "save-every", TRIT_OPT_INT, &(o)->run.save_every, .min = 1, .max = INT_MAX, .metavar = "N",                   \
	  .help = "steps between checkpoints" },                                                                           \
	{ 0, "keep", TRIT_OPT_INT, &(o)->run.keep, .min = 1, .max = 1000, .metavar = "N",                                  \
	  .help = "checkpoints to keep: the newest, and older ones as DIR/checkpoint-STEP.safetensors" },                  \
	{ 0, "max-skipped", TRIT_OPT_INT, &(o)->run.max_skipped, .min = 1, .max = 1000000, .metavar = "N",                 \
	  .help = "steps in a row whose gradient may be not finite, and which are skipped" },                              \
	{ 0, "on-divergence", TRIT_OPT_CHOICE, &(o)->on_divergence, .metavar = "WHAT",                                     \
	  .help = "when the loss has gone up for good: stop with a diagnosis, or go on", .choices = trit_on_divergence }
/** What all these commands end with; settings come after it. */
#define TRIT_ROWS_RUN(o)                                                                                              \
	TRIT_ROW_RECOMPUTE((o)->run.recompute), TRIT_ROW_PATIENCE((o)->patience),                                          \
	    TRIT_ROWS_EXPORT((o)->type, (o)->embedding_type), TRIT_ROW_THREADS((o)->run.n_threads),                        \
	    TRIT_ROW_CPU((o)->run.cpu),                                                                                    \
	{ .type = TRIT_OPT_HEADING, .help = "Settings of a new run" }

/** Most rows of a table with settings. */
enum { TRIT_TRAIN_OPTIONS = 128 };

/** Parses, and what all these commands check: types of the result, and that a resumed run is given none of the rows
 * from first_setting on, since they are its checkpoint's, and a new one none that does nothing beside the
 * others. As trit_opt_parse. */
int trit_train_parse(struct trit_train_job *o, struct trit_opt_table *table, int first_setting, int argc, char **argv);

/** What parsing ends with after looking at files, which may be others for each process: e is told when all know of it,
 * TRIT_ERR_ARG as a wrong option. Returns -1. */
int trit_train_parsed(struct trit_train_job *o, int e, const struct trit_error *err);

/** Fills in *o, zeroed but for what the command has put there. As trit_opt_parse. */
typedef int trit_train_parse_fn(struct trit_train_job *o, int argc, char **argv);
/** Parses, trains, shows how it goes; several processes take turns as mpirun has it. Returns the exit status. */
int trit_train_command(trit_train_parse_fn *parse, int argc, char **argv);

/** Of runs that begin with a model and learn from a small set of examples: settings, and those of them that are 0 and
 * depend on the model. */
struct trit_recipe trit_finetune_defaults(void);
TRIT_MUST_CHECK int trit_finetune_complete(struct trit_train_job *o, struct trit_error *err);

#endif
