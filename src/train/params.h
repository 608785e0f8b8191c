/*
 * params.h - the trainable parameters: every tensor of the model in one flat fp32 array, found by the table of tensors.
 *
 * Master weights, gradients and the optimiser's two moments are four arrays of the same layout.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_PARAMS_H
#define TRIT_TRAIN_PARAMS_H

#include "base/mem.h"
#include "base/rng.h"
#include "model/tensors.h"

struct trit_param {
	enum trit_tensor_id id;
	int layer, expert;
	size_t rows, cols;
	size_t offset; /* of the first element in each array, a multiple of 16 */
	enum trit_tensor_kind kind; /* of biases NORM */
	bool bias;     /* of tensor `id` */
	const char *adapter; /* "weight.lora_a" or "weight.lora_b" of it (lora.h); NULL: the tensor itself */
};

struct trit_params {
	int n;
	struct trit_param *list; /* [n], in file order */
	size_t total;            /* elements of each array, gaps included (they stay zero) */
	float *w, *g, *m, *v;    /* [total]: master weights, gradients, first and second moment */
	/* Of moments that other processes hold (dist.h; NULL: all are here): brings those of tensor i to where they are to
	 * be written from, and gives their memory back. array: 1 m, 2 v. */
	void (*fetch)(void *arg, int array, int i);
	void (*forget)(void *arg, int array, int i);
	void *elsewhere;
};

/** Lays out and allocates (all zero). Errors: MEMORY. */
TRIT_MUST_CHECK int trit_params_init(struct trit_params *p, const struct trit_config *c, struct trit_error *err);
/** The same for weights that stay as they are: g, m and v are NULL. */
TRIT_MUST_CHECK int trit_params_init_frozen(struct trit_params *p, const struct trit_config *c, struct trit_error *err);
/** Adds the head of labels of a classifier, and its bias, to a list that is being laid out; while p->list is NULL it
 * only counts. Nothing in another model. */
void trit_params_list_head(struct trit_params *p, const struct trit_config *c);
/** Allocates the four arrays of a list that has been laid out. Errors: MEMORY; p is then released. */
TRIT_MUST_CHECK int trit_params_alloc(struct trit_params *p, struct trit_error *err);
void trit_params_release(struct trit_params *p);

/** First weights: norms 1, biases 0; matrices normal with deviation 0.02, those that write to the residual stream
 * (attention output, down) divided by sqrt(2 L) [GPT-2]. Deterministic in seed. */
void trit_params_randomise(struct trit_params *p, const struct trit_config *c, uint64_t seed);

/** NULL when the configuration has no such tensor, or it has no bias. */
const struct trit_param *trit_params_find(const struct trit_params *p, enum trit_tensor_id id, int layer);
const struct trit_param *trit_params_find_bias(const struct trit_params *p, enum trit_tensor_id id, int layer);
/** An expert's matrix. */
const struct trit_param *trit_params_find_expert(const struct trit_params *p, enum trit_tensor_id id, int layer,
                                                 int expert);
/** "blk.3.attn_q.weight"; of an expert's matrix "blk.3.ffn_up.7.weight". */
void trit_param_name(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_param *t);

#endif
