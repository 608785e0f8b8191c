/*
 * vocab_file.h - a vocabulary in a file of its own: read from a GGUF model or a tokenizer.json, written as
 * vocabulary-only GGUF.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_VOCAB_FILE_H
#define TRIT_FORMAT_VOCAB_FILE_H

#include "text/vocab.h"

/** Tells the two kinds apart by the first bytes. Errors: IO, FORMAT, UNSUPPORTED. */
TRIT_MUST_CHECK int trit_vocab_file_read(const char *path, struct trit_vocab *v, struct trit_error *err);
TRIT_MUST_CHECK int trit_vocab_file_write(const char *path, const struct trit_vocab *v, struct trit_error *err);

#endif
