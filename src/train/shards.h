/*
 * shards.h - a long list of tokens in files: written once from text, then mapped for the whole run.
 *
 * DIR/NAME-00000.safetensors and so on, each with a tensor "tokens", U16 (vocabularies up to 65536) or U32, of at most
 * TRIT_SHARD_TOKENS. A shard may have a tensor "loss" beside it, U8: 1 where a token is to be predicted, 0 where it is
 * only read (a question, say). Without it all are to be predicted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SHARDS_H
#define TRIT_TRAIN_SHARDS_H

#include <stdbool.h>

#include "format/safetensors.h"

#define TRIT_SHARD_TOKENS ((size_t)1 << 24)
#define TRIT_MAX_SHARDS 4096

/** Gathers tokens and writes a shard whenever one is full. */
struct trit_shard_writer {
	char *dir;
	const char *name;
	int n_vocab;
	int n_shards;
	uint64_t n_tokens; /* so far */
	size_t held;
	uint32_t *tokens;    /* [TRIT_SHARD_TOKENS] */
	unsigned char *loss; /* [TRIT_SHARD_TOKENS] */
	bool masked;         /* a held token is not to be predicted */
};

TRIT_MUST_CHECK int trit_shard_writer_init(struct trit_shard_writer *w, const char *dir, const char *name, int n_vocab,
                                           struct trit_error *err);
void trit_shard_writer_release(struct trit_shard_writer *w);
/** loss: for each token, whether it is to be predicted; NULL: all are. */
TRIT_MUST_CHECK int trit_shard_writer_put(struct trit_shard_writer *w, size_t n, const trit_token *tokens,
                                          const bool *loss, struct trit_error *err);
/** Writes the rest; removes shards of an earlier, longer list. At least one shard exists afterwards, maybe an empty
 * one. */
TRIT_MUST_CHECK int trit_shard_writer_finish(struct trit_shard_writer *w, struct trit_error *err);

/** Deletes the train and val shards in a folder. */
void trit_shards_remove(const char *dir);

struct trit_shards {
	int n;
	struct trit_safetensors *files; /* [n] */
	uint64_t n_tokens;
	bool masked; /* there are tokens that are not to be predicted */
};

/** Maps and checks all shards: whole, and every token below n_vocab. Errors: IO, FORMAT. */
TRIT_MUST_CHECK int trit_shards_open(struct trit_shards *s, const char *dir, const char *name, int n_vocab,
                                     struct trit_error *err);
void trit_shards_close(struct trit_shards *s);
/** Copies tokens [at, at + n), which must be there. */
void trit_shards_read(const struct trit_shards *s, uint64_t at, size_t n, trit_token *out);
/** Whether those tokens are to be predicted, as weights of their losses: 1 or 0. */
void trit_shards_read_loss(const struct trit_shards *s, uint64_t at, size_t n, float *out);

#endif
