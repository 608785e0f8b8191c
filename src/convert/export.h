/*
 * export.h - writes a model as GGUF: in the form that llama.cpp and bitnet.cpp read, or ready to be mapped by Trit.
 *
 * The weights come from a source, some rows at a time: a training checkpoint, another GGUF file, random numbers.
 * Projections are written in one of the ternary types (or a dense one), embedding and head in a dense or an integer
 * type, norms as F32. Nothing but those rows is held in memory, whatever the size of the model.
 *
 * Exact scales: I2_S and the packed types hold their scales as fp32. The other types would round it to fp16, so they
 * hold the codes with scale 1 and the scale goes to a tensor of its own, "blk.N.attn_q.scale", F32 [1], by which
 * llama.cpp's bitnet graph multiplies the product. The binary weights of BitNet b1 are ternary codes without a 0.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_EXPORT_H
#define TRIT_CONVERT_EXPORT_H

#include "model/tensors.h"

/** Where the weights come from. The functions are called for the tensors in order; codes and floats for different rows
 * of one tensor by several threads at once. */
struct trit_source {
	struct trit_config config;
	bool quantised;                 /* projections are codes and scales; else numbers */
	enum trit_scaling scaling;      /* how those scales are arranged */
	const struct trit_vocab *vocab; /* may be NULL */
	void *arg;
	/** Type (enum trit_ggml_type) in which the tensor is there; written in the same packed type it is copied. NULL: of
	 * no type. */
	int (*type)(void *arg, const struct trit_tensor_walk *w);
	/** Scales of a projection of a quantised model, or of a tensor of a packed type; called before its codes. */
	int (*scales)(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err);
	/** Its codes [n, cols], rows [row0, row0 + n). */
	int (*codes)(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
	             struct trit_error *err);
	/** Numbers [n, cols] of any other tensor. */
	int (*floats)(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
	              struct trit_error *err);
};

struct trit_export_options {
	int type;           /* enum trit_ggml_type of projections; -1: F16, or of a quantised model TQ2_0, I2_S, Q8_0 or
	                     * F16, the first that all shapes allow (I2_S first where no reader has scale tensors). A
	                     * packed type is given as the one with one scale a tensor; the source's scales decide */
	int embedding_type; /* of the embedding; -1: packed int8 beside packed projections, else Q8_0 where the width
	                     * allows, else F16 */
	int head_type;      /* of the head; -1: as the embedding. Of a tied head, which is the embedding, only one of the
	                     * two is given */
	/** Called now and then with how many of all weights are done; false ends with an IO error. NULL: nobody asks. */
	bool (*go_on)(void *arg, int64_t done, int64_t total);
	void *arg;
};

/** Whether a model of this configuration can be written so: the errors ARG of trit_export, before there are weights. */
TRIT_MUST_CHECK int trit_export_check(const struct trit_config *c, bool quantised, const struct trit_export_options *o,
                                      struct trit_error *err);

/** Writes the file, atomically. Errors: ARG (a type that the shapes or scales do not allow: names tensor and remedy),
 * IO (a disk too small is noticed before the weights are written), MEMORY, those of the source. */
TRIT_MUST_CHECK int trit_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                                struct trit_error *err);

#endif
