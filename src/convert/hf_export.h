/*
 * hf_export.h - writes a model as a Hugging Face folder: safetensors, config.json, tokenizer.
 *
 * Projections of a ternary model are packed as transformers packs them, in either of its linear classes, or written as
 * master weights that it quantises when it uses them. Weights of a full-precision model are written as numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_HF_EXPORT_H
#define TRIT_CONVERT_HF_EXPORT_H

#include "convert/export.h"

/** Writes the folder, which appears when it is complete. Of the options: type -1 and TRIT_GGML_HF_U2 pack a ternary
 * model, -1 keeps the source's numbers, F32, F16 and BF16 write numbers. Errors: ARG (another type; a shape that cannot
 * be packed), IO, UNSUPPORTED (a network that transformers lacks), MEMORY, those of the source. */
TRIT_MUST_CHECK int trit_hf_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                                   struct trit_error *err);

#endif
