/*
 * ternary.h - full-precision weights that are to be ternary: whether they are, and what quantising them would do.
 *
 * A network learns to work with ternary weights; weights that were trained as numbers do not become them by rounding.
 * So that is refused, with measurements, unless the user insists.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_TERNARY_H
#define TRIT_CONVERT_TERNARY_H

#include "base/notes.h"
#include "convert/input.h"

/**
 * Makes a source of numbers one of codes and scales: without loss where every projection is scale * {-1, 0, 1}; by
 * rounding (model/quant.h) with `force`. Notes how ternary each kind of projection is, and the five that lose most.
 * Errors: ARG (not ternary, and no force; says what to do instead), those of the source.
 */
TRIT_MUST_CHECK int trit_make_ternary(struct trit_input *in, bool force, struct trit_notes *notes,
                                      struct trit_error *err);

#endif
