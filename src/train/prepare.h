/*
 * prepare.h - text to token shards, on all cores.
 *
 * Documents are read (train/documents.h), cleaned (clean.h), told from those before (dedup.h) and cut into tokens. Each
 * begins with the BOS token, or EOS where the vocabulary has no other.
 *
 * What is held out for validation the fingerprint of a document decides: its copies are on the same side in every run,
 * in any order. Documents beyond TRIT_WHOLE_BYTES (books) are cut into pieces of TRIT_PIECE_BYTES at ends of lines, and
 * each piece goes by its own fingerprint.
 *
 * The text goes through in batches of a fixed size: while threads cut one into tokens, the next is read. Results are
 * put in order of the text, so the shards do not depend on the number of threads. Memory does not grow with the text
 * but for the fingerprints.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_PREPARE_H
#define TRIT_TRAIN_PREPARE_H

#include "text/tokenizer.h"
#include "train/dedup.h"

#define TRIT_WHOLE_BYTES ((size_t)1 << 16)
#define TRIT_PIECE_BYTES ((size_t)1 << 12)

/** Called now and then: bytes of the files read, of all. Non-zero: stop. */
typedef int trit_prepare_fn(void *arg, const char *what, uint64_t done, uint64_t total);

struct trit_prepare_settings {
	struct trit_clean_settings clean;
	int documents;        /* enum trit_documents */
	int dedup;            /* enum trit_dedup_how */
	float likeness;       /* of near duplicates */
	uint64_t dedup_bytes; /* for their signatures */
	float val_share;
	/* what does not change the result */
	int n_threads;        /* 0: all cores */
	trit_prepare_fn *progress;
	void *progress_arg;
};

/** What came of the documents of a source: one of the paths given. */
struct trit_prepare_count {
	uint64_t files, fates[TRIT_N_FATES];
	uint64_t bytes; /* of text kept */
	uint64_t tokens, val_tokens; /* val_tokens of all tokens */
};

struct trit_prepare_report {
	size_t n;                          /* sources */
	struct trit_prepare_count *counts; /* [n] */
	uint64_t forgotten;                /* signatures of near duplicates that had no room */
};
void trit_prepare_report_release(struct trit_prepare_report *r);

struct trit_prepare_settings trit_prepare_defaults(void);

/** Learns a byte-level BPE vocabulary of n_vocab tokens into *vocab. Errors: those of reading and cleaning; FORMAT (no
 * text at all); LIMIT when `progress` stopped it. */
TRIT_MUST_CHECK int trit_prepare_vocab(const struct trit_corpus *c, const struct trit_prepare_settings *s, int n_vocab,
                                       struct trit_vocab *vocab, struct trit_error *err);
/** Writes DIR/train-*.safetensors and DIR/val-*.safetensors. *report is the caller's to release, also after an error.
 * Errors: also IO when the disk has no room for all (told as soon as it can be foretold). */
TRIT_MUST_CHECK int trit_prepare_shards(const struct trit_corpus *c, const struct trit_prepare_settings *s,
                                        const struct trit_tokenizer *t, const char *dir,
                                        struct trit_prepare_report *report, struct trit_error *err);

#endif
