/*
 * input.h - opens whatever can be converted as a source of weights: a model, or a training run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_INPUT_H
#define TRIT_CONVERT_INPUT_H

#include "convert/source.h"

struct trit_input;

/** `path`: a model, the folder of a training run, or its checkpoint; `tokenizer`: the file of its vocabulary, NULL: its
 * own. Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_input_open(struct trit_input **out, const char *path, const char *tokenizer,
                                    struct trit_error *err);
void trit_input_close(struct trit_input *in);
/** From now on projections are codes and a scale, quantised as in training (model/quant.h), whatever they are. */
void trit_input_quantise(struct trit_input *in);
/** Lives as long as the input. */
struct trit_source *trit_input_source(struct trit_input *in);

#endif
