/*
 * tiktoken.h - reads a vocabulary in tiktoken's form, as Llama 3's tokenizer.model: a line for each token, its bytes in
 * Base64, a space, its rank.
 *
 *     IQ== 0
 *     Ig== 1
 *
 * A token's rank is its id, and says when it is made: of all neighbours that together are a token, the pair whose token
 * has the lowest rank merges first. So every cut of a token into two others is a merge of its rank. Special tokens and
 * the expression that cuts text are not in the file; they are known for Llama 3, cl100k, o200k, Qwen and GPT-2, which
 * the number of tokens tells apart. Another file gets cl100k's expression and no special tokens, with a note.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_TIKTOKEN_H
#define TRIT_FORMAT_TIKTOKEN_H

#include "text/vocab.h"

/** Whether a file that begins so is one. */
bool trit_is_tiktoken(size_t size, const unsigned char *data);
/** Errors: IO, FORMAT, LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_tiktoken_read(const char *path, struct trit_vocab *out, struct trit_error *err);
/** The same from bytes in memory. */
TRIT_MUST_CHECK int trit_tiktoken_parse(size_t size, const char *data, struct trit_vocab *out, struct trit_error *err);

#endif
