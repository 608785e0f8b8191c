/*
 * export.h - writes a model as GGUF, in the form that llama.cpp and bitnet.cpp read.
 *
 * The weights come from a source, one tensor at a time: a training checkpoint or another GGUF file. Projections are
 * written in one of the ternary types (or a dense one), embedding and head in a dense type, norms as F32.
 *
 * Exact scales: I2_S holds its scale as fp32. The other types would round it to fp16, so they hold the codes with scale
 * 1 and the scale goes to a tensor of its own, "blk.N.attn_q.scale", F32 [1], by which llama.cpp's bitnet graph
 * multiplies the product. The binary weights of BitNet b1 are ternary codes without a 0.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_EXPORT_H
#define TRIT_CONVERT_EXPORT_H

#include "model/tensors.h"

/** Where the weights of one tensor come from. */
struct trit_source {
	struct trit_config config;
	bool quantised;                /* projections are codes and a scale; else numbers */
	const struct trit_vocab *vocab; /* may be NULL */
	void *arg;
	/** Codes [rows, cols] and scale of a projection of a quantised model. */
	int (*codes)(void *arg, const struct trit_tensor_walk *w, int8_t *codes, float *scale, struct trit_error *err);
	/** Numbers [rows, cols] of any other tensor. */
	int (*floats)(void *arg, const struct trit_tensor_walk *w, float *out, struct trit_error *err);
};

struct trit_export_options {
	int type;           /* enum trit_ggml_type of projections; -1: F16, or of a quantised model TQ2_0, I2_S, Q8_0 or
	                     * F16, the first that all shapes allow (I2_S first where no reader has scale tensors) */
	int embedding_type; /* of embedding and head; -1: Q8_0 where the width allows, else F16 */
};

/** Types that projections (ternary ones too) and embeddings may have: names for messages. */
#define TRIT_EXPORT_TYPES "tq2_0, tq1_0, i2_s, q8_0, f16, bf16, f32"
#define TRIT_EXPORT_EMBEDDING_TYPES "q8_0, f16, bf16, f32"

/** Whether a model of this configuration can be written so: the errors ARG of trit_export, before there are weights. */
TRIT_MUST_CHECK int trit_export_check(const struct trit_config *c, bool quantised, const struct trit_export_options *o,
                                      struct trit_error *err);

/** Writes the file, atomically. Errors: ARG (a type that the shapes do not allow: names tensor and remedy), IO,
 * MEMORY, those of the source. */
TRIT_MUST_CHECK int trit_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                                struct trit_error *err);

#endif
