/*
 * run_data.h - the data of a training run: what --data names, made ready and found again.
 *
 * A source is a file or folder of text, or a folder that `trit data` prepared, which is used where it is. "PATH:0.7"
 * gives it a weight. Text is prepared into the run's own folder: OUT/data, and with weights one for each source,
 * OUT/data, OUT/data-2 ... What the run draws from is listed in OUT/data.json, unless that is OUT/data alone:
 *
 *     {"sources": [{"path": "/where/it/is" or "data-2", "weight": "0.7", "tokens": 123}, ...]}
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_RUN_DATA_H
#define TRIT_TRAIN_RUN_DATA_H

#include "train/data.h"
#include "train/prepare.h"

/** Bytes of the files that are to be prepared, as they are. */
TRIT_MUST_CHECK int trit_run_data_bytes(size_t n_paths, char *const *paths, uint64_t *bytes, struct trit_error *err);
/** Makes the data of a run and OUT/vocab.gguf. The vocabulary: take_vocab, which is moved in and zeroed; else that of
 * the model or tokenizer; else that of the prepared folders; else one of n_vocab tokens is learnt. take_vocab and
 * tokenizer may be NULL. *t is the caller's to free. Errors: ARG (weights for some only), FORMAT (prepared with
 * different vocabularies), and those of preparing. */
TRIT_MUST_CHECK int trit_run_data_make(const char *out, size_t n_paths, char *const *paths, const char *tokenizer,
                                       struct trit_vocab *take_vocab, int n_vocab,
                                       const struct trit_prepare_settings *s, struct trit_tokenizer **t,
                                       struct trit_error *err);
/** Opens what the run in OUT draws from. Errors: as trit_data_open_mix; FORMAT when a source is not what it was. */
TRIT_MUST_CHECK int trit_run_data_open(struct trit_data *d, const char *out, int n_vocab, int seq_len, uint64_t seed,
                                       struct trit_error *err);
/** Removes what trit_run_data_make made, as far as it came. */
void trit_run_data_remove(const char *out);

#endif
