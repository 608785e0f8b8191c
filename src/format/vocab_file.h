/*
 * vocab_file.h - a vocabulary in a file of its own: read from a GGUF model, a tokenizer.json, a
 * tiktoken file, a SentencePiece model or llama2.c's tokenizer.bin, written as vocabulary-only GGUF.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_VOCAB_FILE_H
#define TRIT_FORMAT_VOCAB_FILE_H

#include "text/vocab.h"

/** Whether this is a file of a vocabulary and nothing else, not GGUF; false where it cannot be read. */
bool trit_is_vocab_file(const char *path);
/** Tells the kinds apart by the first bytes. Errors: IO, FORMAT, UNSUPPORTED. */
TRIT_MUST_CHECK int trit_vocab_file_read(const char *path, struct trit_vocab *v, struct trit_error *err);
TRIT_MUST_CHECK int trit_vocab_file_write(const char *path, const struct trit_vocab *v, struct trit_error *err);

#endif
