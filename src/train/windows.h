/*
 * windows.h - examples in windows of S + 1 tokens: packed once, then mapped for the whole run.
 *
 * A window holds whole examples, one after the other (each goes where it fits, of a few windows that are open), or only
 * one; what is left is filled with the end token and not learnt. Two files, DIR/examples-train.safetensors and
 * DIR/examples-val.safetensors, with tensors [windows, S + 1]:
 *
 *     "tokens" U32     "starts" U32: where in its window a token's example begins     "loss" U8: 1 for what is learnt
 *
 * The order of an epoch is a permutation that is a function of (seed, epoch) only, so window i of a run can be found
 * without having drawn the ones before it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_WINDOWS_H
#define TRIT_TRAIN_WINDOWS_H

#include "format/safetensors.h"
#include "train/examples.h"
#include "train/prepare.h"

struct trit_windows_options {
	int seq_len;       /* S */
	bool padded;       /* one example a window */
	double val_share;  /* of the examples, by a hash of the record */
	trit_prepare_fn *progress; /* may be NULL */
	void *progress_arg;
};

/** Makes the examples of all files and writes both files. Errors: those of trit_examples_each; LIMIT when `progress`
 * stopped it; ARG when everything was held out. */
TRIT_MUST_CHECK int trit_windows_prepare(size_t n_paths, char *const *paths, const struct trit_example_options *eo,
                                         const struct trit_windows_options *wo, const char *dir,
                                         struct trit_example_counts *counts, struct trit_error *err);

/** Hands all examples to `add`, one after the other. */
typedef int trit_windows_fill_fn(void *arg, trit_example_fn *add, void *adder, struct trit_error *err);
/** Writes both files, of the examples of another source; each has at most S + 1 tokens. filler: what windows are filled
 * up with, or -1. Errors: those of fill; ARG when everything was held out. */
TRIT_MUST_CHECK int trit_windows_fill(const struct trit_windows_options *wo, trit_token filler,
                                      trit_windows_fill_fn *fill, void *arg, const char *dir, struct trit_error *err);
/** Calls `progress`. Errors: LIMIT when that stopped it. */
TRIT_MUST_CHECK int trit_windows_progress(const struct trit_windows_options *wo, uint64_t done, uint64_t bytes,
                                          struct trit_error *err);

struct trit_windows {
	struct trit_safetensors files[2]; /* train, val */
	uint64_t n[2];
	int seq_len;
	uint64_t seed;
};

/** Whether a folder holds examples rather than shards. */
bool trit_windows_there(const char *dir);
/** Deletes both files. */
void trit_windows_remove(const char *dir);
/** Errors: IO, FORMAT (other shapes; tokens not below n_vocab). */
TRIT_MUST_CHECK int trit_windows_open(struct trit_windows *w, const char *dir, int n_vocab, int seq_len, uint64_t seed,
                                      struct trit_error *err);
void trit_windows_close(struct trit_windows *w);
/** Windows first .. first + n - 1 of the run, counted through all epochs: tokens [n, S + 1], weights [n, S] of the
 * losses, starts [n, S] as trit_net.starts. */
void trit_windows_train(const struct trit_windows *w, uint64_t first, int n, trit_token *tokens, float *weights,
                        int *starts);
/** Validation windows. */
void trit_windows_val(const struct trit_windows *w, uint64_t first, int n, trit_token *tokens, float *weights,
                      int *starts);

#endif
