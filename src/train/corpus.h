/*
 * corpus.h - the files to train on: those that were named, and all in the folders that were.
 *
 * What is in them train/documents.h reads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_CORPUS_H
#define TRIT_TRAIN_CORPUS_H

#include <stdbool.h>

#include "base/file.h"

struct trit_corpus {
	char **paths; /* [n], sorted within each folder */
	size_t *sources; /* [n] which of the paths given it comes from */
	size_t n, cap;
	uint64_t bytes; /* of all files, as they are */
};

/** Lists the files: each path itself, or all regular files below a folder (hidden ones and links to folders left out).
 * A file given twice counts twice. Errors: IO (names the path), FORMAT (a folder without files), MEMORY. */
TRIT_MUST_CHECK int trit_corpus_open(struct trit_corpus *c, size_t n_paths, char *const *paths, struct trit_error *err);
void trit_corpus_close(struct trit_corpus *c);

#endif
