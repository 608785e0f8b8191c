/*
 * data_folder.h - a folder of prepared data: token shards, their vocabulary, and a manifest of how they were made.
 *
 *     train-*.safetensors, val-*.safetensors   tokens (train/shards.h)        vocab.gguf   the vocabulary
 *     manifest.json   settings, sources and what came of them, hashes of vocabulary and shards
 *
 * It appears all at once. The same text, settings and vocabulary give the same bytes: nothing in it tells when or where
 * it was made.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DATA_FOLDER_H
#define TRIT_TRAIN_DATA_FOLDER_H

#include "train/prepare.h"

#define TRIT_MANIFEST "manifest.json"

/** Whether `path` is a folder of prepared data. */
bool trit_is_data_folder(const char *path);

/** The vocabulary of a model, of a file or folder of one, of a tokenizer or of prepared data. */
TRIT_MUST_CHECK int trit_read_any_vocab(const char *path, struct trit_vocab *v, struct trit_error *err);

struct trit_data_folder_options {
	const char *tokenizer; /* to take the vocabulary from; NULL: learn one of n_vocab tokens */
	int n_vocab;
	bool force;            /* in a folder that has files in it */
};

/** Prepares OUT from files and folders. *report is the caller's to release, also after an error. */
TRIT_MUST_CHECK int trit_data_folder_make(const char *out, size_t n_paths, char *const *paths,
                                          const struct trit_prepare_settings *s,
                                          const struct trit_data_folder_options *o,
                                          struct trit_prepare_report *report, struct trit_error *err);

/** "kept", "duplicates" ...: of enum trit_fate, as in the manifest. */
extern const char *const trit_fate_names[TRIT_N_FATES];

/** Names of the settings' choices, NULL-terminated. */
extern const char *const trit_documents_names[], *const trit_invalid_names[], *const trit_dedup_names[];

#endif
