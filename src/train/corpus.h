/*
 * corpus.h - the text to train on: files and folders to documents.
 *
 * A file is UTF-8 text. A line "<|endoftext|>" ends a document; a file without one is a document. Documents longer than
 * TRIT_PIECE_BYTES are cut into pieces at the ends of lines, so that a book, too, can be shuffled and partly held out.
 * Blank space at both ends of a document is dropped, and empty documents with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_CORPUS_H
#define TRIT_TRAIN_CORPUS_H

#include <stdbool.h>

#include "base/file.h"

#define TRIT_PIECE_BYTES 4096

struct trit_corpus {
	char **paths; /* [n], sorted within each folder */
	size_t n, cap;
	uint64_t bytes; /* of all files */
};

/** Lists the files: each path itself, or all regular files below a folder (hidden ones and links
 * to folders left out). A file given twice
 * counts twice. Errors: IO (names the path), FORMAT (a folder without files), MEMORY. */
TRIT_MUST_CHECK int trit_corpus_open(struct trit_corpus *c, size_t n_paths, char *const *paths, struct trit_error *err);
void trit_corpus_close(struct trit_corpus *c);

/** A piece of a document: `first` if it begins one. Returns 0 to go on, or a negative status, which trit_corpus_each
 * hands up. */
typedef int trit_piece_fn(void *arg, size_t len, const char *text, bool first, struct trit_error *err);

/** Calls fn for all pieces, in order. Errors: FORMAT for text that is not UTF-8 or has a NUL (file, byte and remedy),
 * or when there is no text at all; those of fn. */
TRIT_MUST_CHECK int trit_corpus_each(const struct trit_corpus *c, trit_piece_fn *fn, void *arg, struct trit_error *err);

#endif
