/*
 * adapter.h - writes low-rank adapters as files: GGUF, as llama.cpp and `--lora` read it, and a PEFT folder.
 *
 *     OUT/adapter.gguf                        general.type "adapter", adapter.type "lora", adapter.lora.alpha;
 *                                             blk.N.NAME.weight.lora_a [R, K] and .lora_b [M, R], F32
 *     OUT/adapter/adapter_config.json         PEFT's, of Hugging Face
 *     OUT/adapter/adapter_model.safetensors   base_model.model.model.layers.N.NAME.lora_A.weight and lora_B
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_ADAPTER_H
#define TRIT_TRAIN_ADAPTER_H

#include "train/lora.h"

/** Writes all three, each in place of what was there. Errors: IO, MEMORY. */
TRIT_MUST_CHECK int trit_adapter_write(const char *out, const struct trit_lora *l, const struct trit_config *c,
                                       struct trit_error *err);

#endif
