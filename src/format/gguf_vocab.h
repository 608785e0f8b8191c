/*
 * gguf_vocab.h - the tokenizer.ggml.* keys of a GGUF file to a vocabulary and back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGUF_VOCAB_H
#define TRIT_FORMAT_GGUF_VOCAB_H

#include "format/gguf.h"
#include "text/vocab.h"

/** Whether the file has a vocabulary: "no_vocab", "none", or no key at all, says that it has none. */
bool trit_gguf_has_vocab(const struct trit_gguf *g);
/** Errors: FORMAT (a key that is missing or lies: lengths differ, ids out of range), UNSUPPORTED (an unknown
 * tokenizer model), LIMIT, MEMORY. *out is then unchanged. */
TRIT_MUST_CHECK int trit_gguf_read_vocab(const struct trit_gguf *g, struct trit_vocab *out, struct trit_error *err);
/** v may be NULL: then what is written is that there is none, which other programs want to be told. */
TRIT_MUST_CHECK int trit_gguf_put_vocab(struct trit_gguf_writer *w, const struct trit_vocab *v, struct trit_error *err);

#endif
