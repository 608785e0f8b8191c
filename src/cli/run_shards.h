/*
 * run_shards.h - the validation windows of a training run, as the run itself measures them, or of a prepared folder.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_RUN_SHARDS_H
#define TRIT_CLI_RUN_SHARDS_H

#include "model/model.h"
#include "train/data.h"

struct trit_run_shards {
	struct trit_data data;
	int seq_len;   /* S */
	int n_windows; /* that are measured, at least 1 */
};

/** Opens DIR, where seq_len and n_windows that are 0 become the run's own; of a prepared folder the model's context and
 * what `trit train` takes unless it is told otherwise. Errors: IO, FORMAT (no shards there, no text, shards of another
 * vocabulary than the model's), UNSUPPORTED (the run of trit finetune or classify), MEMORY. Release it in any case. */
TRIT_MUST_CHECK int trit_run_shards_open(struct trit_run_shards *s, const char *dir, const struct trit_model *model,
                                         struct trit_error *err);
void trit_run_shards_release(struct trit_run_shards *s);

#endif
