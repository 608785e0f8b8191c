/*
 * kept.h - the checkpoints in the folder of a run: which are there, which is the newest sound one, which may go.
 *
 *     checkpoint.safetensors          the newest
 *     checkpoint-STEP.safetensors     older ones, as many as are kept
 *
 * Saving: what is in place as the newest gets its second name by its step, the new one is written beside it and renamed
 * over the first name, then those that are too many are removed. So at every moment the first name is a whole
 * checkpoint, and no data is copied. Older ones of a step that is not before the new one's are those of a run that was
 * taken up again from further back: they go too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_KEPT_H
#define TRIT_TRAIN_KEPT_H

#include "base/notes.h"
#include "train/checkpoint.h"

enum { TRIT_KEPT_PATH_BYTES = 4096 };

/** The older checkpoints of a folder. */
struct trit_kept {
	int n;
	int *steps; /* [n], newest first */
};

/** A folder that cannot be read has none. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_kept_list(struct trit_kept *k, const char *dir, struct trit_error *err);
void trit_kept_release(struct trit_kept *k);
/** DIR/checkpoint.safetensors, or with step >= 0 DIR/checkpoint-STEP.safetensors. Errors: ARG (too long). */
TRIT_MUST_CHECK int trit_kept_path(char path[TRIT_KEPT_PATH_BYTES], const char *dir, int step, struct trit_error *err);
/** Whether the folder holds any checkpoint. */
bool trit_kept_any(const char *dir);
/** What all checkpoints of the folder and its model.gguf take on the disk. */
double trit_kept_bytes(const char *dir);

/** Saves as the newest of DIR and keeps `keep` >= 1 in all. Errors: as trit_checkpoint_save; what was there stays. */
TRIT_MUST_CHECK int trit_kept_save(const char *dir, int keep, const struct trit_params *p, const struct trit_recipe *r,
                                   const struct trit_config *c, struct trit_progress progress, struct trit_error *err);
/** The checkpoint to go on from. `from` NULL: the newest that is sound; damaged ones are skipped and noted. Otherwise a
 * step of which one is kept, or a file's name. Errors: IO (there is none), FORMAT (none is sound, or that one is not),
 * UNSUPPORTED (of a newer version), ARG (no checkpoint of that step; the message lists them). */
TRIT_MUST_CHECK int trit_kept_find(char path[TRIT_KEPT_PATH_BYTES], const char *dir, const char *from,
                                   struct trit_notes *notes, struct trit_error *err);

#endif
