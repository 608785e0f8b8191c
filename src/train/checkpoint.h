/*
 * checkpoint.h - the state of a training run in one safetensors file.
 *
 * Tensors, all F32: the master weights under their GGUF names ("blk.0.attn_q.weight") and AdamW's moments under "m."
 * and "v." + name. Metadata: "format" "trit-checkpoint", "version" "2", "step" (optimiser steps done), "total-steps",
 * "base.print" of frozen weights, "health.steps" (health.h), every setting of the recipe by name, and the configuration
 * by its GGUF keys, which have dots. The vocabulary is vocab.gguf beside it; random numbers need no state
 * (train/data.h).
 *
 * Written to a temporary file, flushed to the disk and renamed: a killed process leaves the previous checkpoint or the
 * new one, whole. Version 2 carries checksums of header and tensors (format/st_checksum.h), which are checked before
 * anything is used; version 1 is the same without them. A setting that a checkpoint lacks takes its default: it is of
 * a trit that did not have it yet. One with a setting that is not known here is refused: it is of a newer trit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_CHECKPOINT_H
#define TRIT_TRAIN_CHECKPOINT_H

#include "train/health.h"
#include "train/params.h"
#include "train/recipe.h"
#include "train/teaching.h"

struct trit_progress {
	int step;  /* optimiser steps done */
	int steps; /* of the whole run */
	uint64_t train_tokens; /* in the training shards, to notice when they are others */
	uint64_t base; /* hash of the weights that the run leaves as they are; 0: it trains all */
	struct trit_teaching teaching;
	struct trit_health health; /* of the steps done */
};

/** Puts the checkpoint in place of `path`. Errors: IO, MEMORY; FORMAT when a weight or moment is not finite: then what
 * is there is better. */
TRIT_MUST_CHECK int trit_checkpoint_save(const char *path, const struct trit_params *p, const struct trit_recipe *r,
                                         const struct trit_config *c, struct trit_progress progress,
                                         struct trit_error *err);
/** Reads recipe, configuration and progress; the recipe's settings that describe the network are the configuration's.
 * One of adapters has no tensors of the model, so *c stays as it is.
 * Errors: IO, FORMAT (not a checkpoint; damaged; a setting out of range), UNSUPPORTED (of a newer trit). */
TRIT_MUST_CHECK int trit_checkpoint_read_recipe(const char *path, struct trit_recipe *r, struct trit_config *c,
                                                struct trit_progress *progress, struct trit_error *err);
/** Reads all of it, as the two others do, and keeps nothing but the progress. Errors: as theirs. */
TRIT_MUST_CHECK int trit_checkpoint_check(const char *path, struct trit_progress *progress, struct trit_error *err);
/** Reads weights and moments into p, laid out for that recipe. Errors: IO, FORMAT (missing tensor, other shape,
 * a number that is not finite). */
TRIT_MUST_CHECK int trit_checkpoint_load(const char *path, struct trit_params *p, struct trit_error *err);

#endif
