/*
 * data_stats.h - what is in prepared data: counted from the shards themselves, and checked against the manifest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DATA_STATS_H
#define TRIT_TRAIN_DATA_STATS_H

#include "train/data_folder.h"

#define TRIT_STATS_LENGTHS 32 /* runs of 2^i .. 2^(i+1)-1 tokens */
#define TRIT_STATS_TOP 20

struct trit_stats_source {
	char *path;
	uint64_t files, fates[TRIT_N_FATES], bytes, tokens, val_tokens;
};

struct trit_data_stats {
	uint64_t tokens, val_tokens;       /* val_tokens not in tokens */
	uint64_t documents;                /* of the manifest */
	uint64_t n_runs;                   /* of tokens that go on without a gap: documents, or parts of long ones */
	uint64_t lengths[TRIT_STATS_LENGTHS];
	int n_vocab, n_used;               /* tokens of the vocabulary, and those that occur */
	int n_shards;
	int n_top;
	struct {
		trit_token id;
		uint64_t count;
	} top[TRIT_STATS_TOP];
	struct trit_tokenizer *tokenizer;
	size_t n_sources;                  /* of the manifest */
	struct trit_stats_source *sources;
};

/** Reads all of a prepared folder. Errors: IO; FORMAT (no prepared data, damaged, a hash that is not the manifest's),
 * LIMIT when `progress` stopped it. */
TRIT_MUST_CHECK int trit_data_stats_read(struct trit_data_stats *s, const char *dir, trit_prepare_fn *progress,
                                         void *arg, struct trit_error *err);
void trit_data_stats_release(struct trit_data_stats *s);

#endif
