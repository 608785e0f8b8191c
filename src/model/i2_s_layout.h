/*
 * i2_s_layout.h - which of bitnet.cpp's three layouts the I2_S tensors of a file have.
 *
 * The layouts have the same size and the same codes; they differ in where a weight lies (docs/formats.md), and no field
 * of a file tells. The model itself does: training leaves in each column of a projection about as many zeros as suits
 * the weight of the norm before it. So the number of zeros in a column and that weight go together - if columns are
 * what the layout says they are. Read by a wrong layout, most columns are others, or mixed, and the relation is lost.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_I2_S_LAYOUT_H
#define TRIT_MODEL_I2_S_LAYOUT_H

#include "base/notes.h"
#include "format/gguf.h"

/** Gives all tensors of type I2_S the type of the layout that explains them best, if one clearly does, and notes what
 * was found or assumed. `notes` may be NULL. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_settle_i2_s(struct trit_gguf *g, struct trit_notes *notes, struct trit_error *err);

#endif
