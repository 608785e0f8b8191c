/*
 * tokenizer_json.h - reads a Hugging Face tokenizer.json (BPE, Unigram, WordPiece) into a vocabulary, and writes that
 * of a byte-level BPE. Reading needs jansson.
 *
 * The file says how its tokens are cut and merged, but not which of them begins and ends a text; where no
 * post_processor tells, the well-known names do: <|begin_of_text|>, <s>, <bos>; <|end_of_text|>, <|endoftext|>, </s>,
 * <eos>; <|eot_id|>, <|im_end|>, <end_of_turn>.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_TOKENIZER_JSON_H
#define TRIT_FORMAT_TOKENIZER_JSON_H

#include "format/json_text.h"
#include "text/vocab.h"

/** Errors: IO, FORMAT, MEMORY, LIMIT, UNSUPPORTED (no jansson; a step or an option that is not known
 * here: says which). */
TRIT_MUST_CHECK int trit_tokenizer_json_read(const char *path, struct trit_vocab *out, struct trit_error *err);
/** The same from a text in memory. */
TRIT_MUST_CHECK int trit_tokenizer_json_parse(size_t len, const char *text, struct trit_vocab *out,
                                              struct trit_error *err);
/** Writes the whole text. Errors (in j): UNSUPPORTED (a vocabulary of another kind), ARG, LIMIT, MEMORY. */
void trit_tokenizer_json_put(struct trit_json *j, const struct trit_vocab *v);

#endif
