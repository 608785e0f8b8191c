/*
 * spm_model.h - reads a SentencePiece model ("tokenizer.model", "spiece.model") into a vocabulary: BPE becomes "llama",
 * unigram "t5".
 *
 * The file does not say whether a text shall begin with BOS or end with EOS; what is usual is assumed: BOS with BPE (as
 * Llama), EOS with unigram (as T5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_SPM_MODEL_H
#define TRIT_FORMAT_SPM_MODEL_H

#include <stdbool.h>

#include "text/vocab.h"

/** Whether a file that begins so, with at most `size` bytes, looks like one. */
bool trit_is_spm_model(size_t size, const unsigned char *bytes);
/** Errors: IO, FORMAT (the byte), UNSUPPORTED (models of words or characters, rules for the way back), LIMIT, MEMORY.
 * *out is then unchanged. */
TRIT_MUST_CHECK int trit_spm_model_read(const char *path, struct trit_vocab *out, struct trit_error *err);
/** The same from bytes in memory. */
TRIT_MUST_CHECK int trit_spm_model_read_bytes(struct trit_vocab *out, size_t size, const unsigned char *bytes,
                                              struct trit_error *err);

#endif
