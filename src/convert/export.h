/*
 * export.h - writes a model as GGUF: in the form that llama.cpp and bitnet.cpp read, or ready to be mapped by Trit.
 *
 * The weights come from a source, some rows at a time: a training checkpoint, another GGUF file, random numbers.
 * Projections are written in one of the ternary types (or a dense one), embedding and head in a dense or an integer
 * type, norms as F32. Nothing but those rows is held in memory, whatever the size of the model.
 *
 * Exact scales: I2_S and the packed types hold their scales as fp32. The other types have fp16; a tensor whose scale is
 * no such number holds the codes with scale 1, and the scale goes to a tensor of its own, "blk.N.attn_q.scale", F32
 * [1], by which llama.cpp multiplies the product. The binary weights of BitNet b1 are ternary codes without a 0.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_EXPORT_H
#define TRIT_CONVERT_EXPORT_H

#include "base/notes.h"
#include "convert/verify.h"
#include "model/quant.h"

/** Which of transformers' classes multiplies with packed weights. */
enum trit_linear_class {
	TRIT_CLASS_AUTO, /* that of the published models of the architecture */
	TRIT_CLASS_BITLINEAR, /* the product is divided by weight_scale */
	TRIT_CLASS_AUTOBITLINEAR, /* multiplied */
};

struct trit_export_options {
	int type;           /* enum trit_ggml_type of projections; -1: as they are in the source, or F16; of a quantised
	                     * model TQ2_0, I2_S, Q8_0 or F16, the first that all shapes allow (I2_S first where no reader
	                     * has scale tensors), with several scales a tensor Q1_0 or Q2_0 if exact, or T5. A packed type
	                     * is given as the one with one scale a tensor; the source's scales decide */
	int embedding_type; /* of the embedding; -1: packed int8 beside packed projections, else as it is in the source if
	                     * that can be copied, else Q8_0 where the width allows, else F16 */
	int head_type;      /* of the head; -1: as the embedding. Of a tied head, which is the embedding, only one of the
	                     * two is given */
	/** Called now and then with how many of all weights are done; false ends with an IO error. NULL: nobody asks. */
	bool (*go_on)(void *arg, int64_t done, int64_t total);
	void *arg;
	bool force; /* quantise weights that are not ternary, round scales; write into a folder that has files */
	const char *tokenizer;          /* trit_convert: file of the vocabulary; NULL: the model's own */
	struct trit_notes *notes;       /* trit_convert: what was found; may be NULL */
	struct trit_verified *verified; /* trit_convert: compare the result and say what was compared; NULL: do not */
	bool folder; /* trit_convert: a Hugging Face folder, not a GGUF file */
	enum trit_linear_class linear_class; /* of that */
	uint64_t shard_bytes; /* of its files; 0: 5 GB */
};

/** Whether a model of this configuration can be written so: the errors ARG of trit_export, before there are weights. */
TRIT_MUST_CHECK int trit_export_check(const struct trit_config *c, struct trit_weight_method method,
                                      const struct trit_export_options *o, struct trit_error *err);

/** Writes the file, atomically. Errors: ARG (a type that the shapes or scales do not allow: names tensor and remedy),
 * IO (a disk too small is noticed before the weights are written), MEMORY, those of the source. */
TRIT_MUST_CHECK int trit_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                                struct trit_error *err);

#endif
