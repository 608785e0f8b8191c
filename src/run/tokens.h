/*
 * tokens.h - the tokens of a text, as a growing list; trit.h has the form with an array of the caller's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_RUN_TOKENS_H
#define TRIT_RUN_TOKENS_H

#include "model/model.h"

/** Appends the tokens of len bytes of text to `out`, which the caller has initialised. `flags` are enum
 * trit_tokenize_flags. Errors: UNSUPPORTED (the model has no vocabulary), LIMIT (list full), MEMORY. */
TRIT_MUST_CHECK int trit_tokenize_append(const struct trit_model *model, size_t len, const char *text, unsigned flags,
                                         struct trit_tokens *out, struct trit_error *err);

#endif
