/*
 * weights.h - brings every tensor of a model's file to where and how the kernels want it.
 *
 * Norms, embeddings, dense weights and tensors of the packed types stay in the mapping, untouched: of them only what a
 * token needs is ever read. Other ternary weights are repacked once, and the head of a ternary model is quantised to
 * int8 unless the file or the options say otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_WEIGHTS_H
#define TRIT_MODEL_WEIGHTS_H

#include "model/model.h"

/** The layout that ternary weights are repacked to when nobody asks for one: the fastest on that tier. */
enum trit_layout trit_default_layout(enum trit_tier tier);

/** Fills in layers, embedding, head, norms and the arena of a model that has file, configuration and kernels. */
TRIT_MUST_CHECK int trit_weights_load(struct trit_model *m, const struct trit_model_options *o,
                                      struct trit_error *err);

#endif
