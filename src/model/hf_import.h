/*
 * hf_import.h - a model as Hugging Face's libraries keep it: a folder with config.json, the weights in one or more
 * safetensors or PyTorch files, and the files of a tokenizer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_HF_IMPORT_H
#define TRIT_MODEL_HF_IMPORT_H

#include "model/model_file.h"

/**
 * Reads configuration and weights. `weights` is a file of weights in the folder, or one of several; or NULL: those that
 * the folder has, by model.safetensors.index.json, model.safetensors, pytorch_model.bin.index.json or
 * pytorch_model.bin. A folder without weights gives a gguf without tensors. *kind: what the files of weights are.
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY; nothing is left open then.
 */
TRIT_MUST_CHECK int trit_hf_import(struct trit_gguf *out, struct trit_maps *maps, enum trit_file_kind *kind,
                                   const char *folder, const char *weights, struct trit_notes *notes,
                                   struct trit_error *err);

#endif
