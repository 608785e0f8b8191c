/*
 * gguf_split.h - models in several GGUF files, as llama.cpp splits them.
 *
 * Each part NAME-00001-of-00003.gguf is a GGUF file with some of the tensors and the keys split.no (from 0),
 * split.count and split.tensors.count; the first has all other keys. Opening any of them opens all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGUF_SPLIT_H
#define TRIT_FORMAT_GGUF_SPLIT_H

#include "format/gguf.h"

#define TRIT_MAX_PARTS 1024

/** How many parts there are, by the keys of one; 1: it is not split. Errors: FORMAT. */
TRIT_MUST_CHECK int trit_gguf_parts(const struct trit_gguf *g, uint64_t *parts, struct trit_error *err);
/** Takes one opened part and makes g the whole model. On error g is closed. Errors: IO (missing parts, named), FORMAT
 * (parts of different models), and as trit_gguf_open. */
TRIT_MUST_CHECK int trit_gguf_join(struct trit_gguf *g, const char *path, uint64_t parts, struct trit_error *err);

/** Whether a file is one of the `parts` of the model that `part` belongs to, by whatever path. */
bool trit_gguf_is_part(const char *file, const char *part, uint64_t parts);

#endif
