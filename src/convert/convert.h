/*
 * convert.h - a training checkpoint or a GGUF model to a GGUF model of other types.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_CONVERT_H
#define TRIT_CONVERT_CONVERT_H

#include "convert/export.h"

/**
 * Reads `in` (a GGUF model, or the folder of a training run, or its checkpoint.safetensors) and writes the GGUF file
 * `out`. Ternary to ternary keeps every code and scale. Errors: IO, FORMAT, UNSUPPORTED, ARG, MEMORY; a failure leaves
 * `out` as it was.
 */
TRIT_MUST_CHECK int trit_convert(const char *in, const char *out, const struct trit_export_options *o,
                                 struct trit_error *err);

#endif
