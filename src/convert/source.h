/*
 * source.h - where the weights of a written model come from: another file, a training run, random numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_SOURCE_H
#define TRIT_CONVERT_SOURCE_H

#include "model/tensors.h"
#include "text/labels.h"

/** The functions are called for the tensors in order; codes and floats for different rows of one tensor by several
 * threads at once. */
struct trit_source {
	struct trit_config config;
	bool quantised;                 /* projections are codes and scales; else numbers */
	bool masters;                   /* the numbers that the codes are made of are there too: floats gives them */
	enum trit_scaling scaling;      /* how those scales are arranged */
	const struct trit_vocab *vocab; /* may be NULL */
	const struct trit_labels *labels; /* of a classifier; may be NULL */
	const struct trit_gguf *keys;   /* what else there is to carry over; may be NULL */
	const char *folder;             /* with the files of a Hugging Face tokenizer, to be copied; may be NULL */
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
	/** Rows of a tensor as they lie in its type, which has them one after the other in whole blocks. NULL: not to be
	 * had. */
	int (*bytes)(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, unsigned char *out,
	             struct trit_error *err);
	/** The tensor is not needed any more, for now. NULL: never mind. */
	void (*done)(void *arg, const struct trit_tensor_walk *w);
};

/** A source with the rows of queries and keys in the other order of rotary pairs. */
struct trit_reordered {
	const struct trit_source *from;
	bool half; /* the order wanted: pairs (i, i + n_rot / 2), else (2 i, 2 i + 1) */
};

/** Whether the rotary pairs of this model are (i, i + n_rot / 2). */
bool trit_source_is_half(const struct trit_source *s);
/** `out` gives what `from` does with pairs as asked for; `r` keeps what it needs. If they are so already it is a copy
 * of `from`. */
void trit_source_reorder(struct trit_source *out, struct trit_reordered *r, const struct trit_source *from, bool half);

#endif
