/*
 * known_files.h - what is known of GGUF files that lack something, or have it twice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_KNOWN_FILES_H
#define TRIT_MODEL_KNOWN_FILES_H

#include "base/notes.h"
#include "format/gguf.h"
#include "text/vocab.h"

/** Notes what the file leaves open and what was taken for it; vocab may be NULL. Reads a few rows of two tensors. */
void trit_note_gguf(struct trit_notes *notes, const struct trit_gguf *g, const struct trit_vocab *vocab);

#endif
