/*
 * hf_tensors.h - the tensors of a checkpoint, under the names that transformers gives them, to tensors of a GGUF file.
 *
 * Names are those of the table of tensors (model/tensors.h), with whatever wrappers put in front of them ("model.",
 * "module.", "_orig_mod.", "language_model.") or without. Data stays where it is; what is changed - norms that are
 * stored less 1, scales of packed weights - is copied, which is little.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_HF_TENSORS_H
#define TRIT_MODEL_HF_TENSORS_H

#include "model/hf_keys.h"

/** Adds the tensors to b, and trit.weights.online. Errors: FORMAT (a shape, type or scale that makes no sense),
 * UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_hf_add_tensors(struct trit_gguf_build *b, const struct trit_hf_model *m,
                                        const struct trit_st_tensor *const *tensors, size_t n,
                                        struct trit_notes *notes, struct trit_error *err);
/** Whether all tensors of the configuration are there: an error that names the first that is missing, both ways. */
TRIT_MUST_CHECK int trit_hf_check_complete(const struct trit_gguf *g, const struct trit_config *c,
                                           struct trit_error *err);

#endif
