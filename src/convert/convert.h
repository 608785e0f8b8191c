/*
 * convert.h - any model to any other form of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_CONVERT_H
#define TRIT_CONVERT_CONVERT_H

#include "convert/export.h"

/**
 * Reads `in` (a model, or the folder of a training run, or its checkpoint.safetensors) and writes `out`: a GGUF file,
 * or with o->folder a Hugging Face folder. Ternary to ternary keeps every code and scale; a
 * full-precision model becomes ternary only with o->force, or if it is ternary as it stands. With o->verified the
 * result is read again and compared; should it differ, that is a FORMAT error and the result stays. Errors: IO, FORMAT,
 * UNSUPPORTED, ARG, MEMORY; a failure leaves `out` as it was.
 */
TRIT_MUST_CHECK int trit_convert(const char *in, const char *out, const struct trit_export_options *o,
                                 struct trit_error *err);
/** Whether `out` names a folder: it ends in "/", or is one. */
bool trit_convert_to_folder(const char *out);

#endif
