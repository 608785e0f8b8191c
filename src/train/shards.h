/*
 * shards.h - a long list of tokens in files: written once from text, then mapped for the whole run.
 *
 * DIR/NAME-00000.safetensors and so on, each with a tensor "tokens", U16 (vocabularies up to 65536) or U32, of at most
 * TRIT_SHARD_TOKENS. A shard may have a tensor "loss" beside it, U8: 1 where a token is to be predicted, 0 where it is
 * only read (a question, say). Without it all are to be predicted. "starts", U32, has the places in the shard where
 * something begins that does not continue what stands before it: a document, or a part of one behind a held-out part.
 * Metadata: "largest", the largest token, so that a shard can be opened without reading it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SHARDS_H
#define TRIT_TRAIN_SHARDS_H

#include <stdbool.h>

#include "format/safetensors.h"

#define TRIT_SHARD_TOKENS ((size_t)1 << 24)
#define TRIT_MAX_SHARDS 32768 /* 2^39 tokens; a process may map 65530 files */

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
	uint32_t *starts;    /* [n_starts] */
	size_t n_starts, starts_cap;
	uint32_t largest;    /* held token */
};

TRIT_MUST_CHECK int trit_shard_writer_init(struct trit_shard_writer *w, const char *dir, const char *name, int n_vocab,
                                           struct trit_error *err);
void trit_shard_writer_release(struct trit_shard_writer *w);
/** What is put next does not continue what was put before. */
TRIT_MUST_CHECK int trit_shard_writer_start(struct trit_shard_writer *w, struct trit_error *err);
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

/** Maps and checks all shards: whole, and every token below n_vocab by what the shard says of itself; one that says
 * nothing is read. Errors: IO, FORMAT. */
TRIT_MUST_CHECK int trit_shards_open(struct trit_shards *s, const char *dir, const char *name, int n_vocab,
                                     struct trit_error *err);
void trit_shards_close(struct trit_shards *s);
/** Copies tokens [at, at + n), which must be there. */
void trit_shards_read(const struct trit_shards *s, uint64_t at, size_t n, trit_token *out);
/** Whether those tokens are to be predicted, as weights of their losses: 1 or 0. */
void trit_shards_read_loss(const struct trit_shards *s, uint64_t at, size_t n, float *out);
/** The places in shard i where something begins: *n of them, little-endian U32 (base/num.h); NULL where it does not
 * say. */
const unsigned char *trit_shards_starts(const struct trit_shards *s, int i, uint64_t *n);
/** How many tokens shard i has. */
uint64_t trit_shards_tokens(const struct trit_shards *s, int i);

#endif
