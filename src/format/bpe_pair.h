/*
 * bpe_pair.h - a byte-level BPE in two files, as GPT-2 was published and older folders have it: vocab.json
 * (encoder.json), {"token": id}, and merges.txt (vocab.bpe), a line "left right" for each merge. Needs jansson.
 *
 * The files do not say how text is cut before it is merged: it is cut as by GPT-2. Tokens named like special ones
 * ("<|endoftext|>", "<s>") are special; added_tokens.json, {"token": id}, may have more.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_BPE_PAIR_H
#define TRIT_FORMAT_BPE_PAIR_H

#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>

#include "text/vocab.h"

/** Whether a JSON object is the first of the two. */
bool trit_is_bpe_vocab(json_t *root);
/** The vocabulary of `root`, read from `path`, and of the files beside it. Errors: IO, FORMAT, LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_bpe_pair_read(json_t *root, const char *path, struct trit_vocab *out, struct trit_error *err);
/** The same from the text of merges.txt and added_tokens.json; NULL: none. */
TRIT_MUST_CHECK int trit_bpe_pair_build(json_t *root, size_t len, const char *merges, json_t *added,
                                        struct trit_vocab *out, struct trit_error *err);

#endif
#endif
