/*
 * hf_vocab.h - the vocabulary of a Hugging Face folder: the tokens from one file, what is special from several others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_HF_VOCAB_H
#define TRIT_MODEL_HF_VOCAB_H

#include "base/notes.h"
#include "text/vocab.h"

/** Reads tokenizer.json, or else tokenizer.model, ...; then the special tokens and the chat template, as
 * trit_hf_apply_specials. *found: there was a vocabulary. Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_hf_read_vocab(struct trit_vocab *v, bool *found, const char *folder, struct trit_notes *notes,
                                       struct trit_error *err);
/** What generation_config.json, config.json, tokenizer_config.json and chat_template.jinja of the folder say about a
 * vocabulary: which tokens begin and end a text or a turn, whether they are added, the chat template. Files that are
 * not there, or not as expected, are noted and left out. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_hf_apply_specials(struct trit_vocab *v, const char *folder, struct trit_notes *notes,
                                           struct trit_error *err);

#endif
