/*
 * llama2c.h - checkpoints of llama2.c, which runs LLaMA in one file of C, and its tokenizer.bin.
 *
 * Three forms, all little-endian and without a name for any tensor; which tensor is where follows from the sizes:
 *
 *     version 0   7 x i32 sizes, then fp32 tensors. No magic number: such a file is known by being exactly as long as
 *                 its sizes say
 *     version 1   u32 "ak42" | i32 1 | 7 x i32 | u8 shared | zeros up to byte 256 | fp32 tensors
 *     version 2   u32 "ak42" | i32 2 | 7 x i32 | u8 shared | i32 group | zeros up to byte 256 | fp32 norms, then each
 *                 matrix as int8 and an fp32 scale for each group of its elements
 *
 *     sizes       width, feed-forward width, layers, heads, key/value heads, tokens (version 0: negative: a head of
 *                 its own), positions
 *
 *     tokenizer.bin   u32 length of the longest token, then for each token f32 score | u32 length | text
 *
 * Reference: github.com/karpathy/llama2.c, export.py, tokenizer.py.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_LLAMA2C_H
#define TRIT_FORMAT_LLAMA2C_H

#include "base/notes.h"
#include "format/gguf.h"
#include "text/vocab.h"

/** Whether a file that begins and ends so is a checkpoint of llama2.c. */
bool trit_is_llama2c(const unsigned char *data, size_t size);
/** A checkpoint as a model of architecture llama. The fp32 tensors stay where they are: data must outlive out. Errors:
 * FORMAT, UNSUPPORTED (another version), MEMORY. */
TRIT_MUST_CHECK int trit_llama2c_read(struct trit_gguf *out, const unsigned char *data, size_t size,
                                      struct trit_notes *notes, struct trit_error *err);

/** Whether these bytes are a tokenizer.bin, to the last. */
bool trit_is_llama2c_vocab(const unsigned char *data, size_t size);
/** tokenizer.bin as a vocabulary of SentencePiece's kind ("llama"). Errors: FORMAT, LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_llama2c_read_vocab(struct trit_vocab *out, const unsigned char *data, size_t size,
                                            struct trit_error *err);

#endif
