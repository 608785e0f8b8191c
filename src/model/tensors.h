/*
 * tensors.h - the table of tensors: every weight a model has, by name, shape and kind.
 *
 * Loader, exporter, checkpoint, optimiser and gradient test walk this table; none has a list of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_TENSORS_H
#define TRIT_MODEL_TENSORS_H

#include "kernel/layout.h"
#include "model/config.h"

enum trit_tensor_id {
	TRIT_TENSOR_TOKEN_EMBD,
	TRIT_TENSOR_ATTN_NORM,
	TRIT_TENSOR_ATTN_Q,
	TRIT_TENSOR_ATTN_K,
	TRIT_TENSOR_ATTN_V,
	TRIT_TENSOR_ATTN_Q_NORM,
	TRIT_TENSOR_ATTN_K_NORM,
	TRIT_TENSOR_ATTN_SUB_NORM,
	TRIT_TENSOR_ATTN_OUTPUT,
	TRIT_TENSOR_ATTN_POST_NORM,
	TRIT_TENSOR_FFN_NORM,
	TRIT_TENSOR_FFN_GATE,
	TRIT_TENSOR_FFN_UP,
	TRIT_TENSOR_FFN_SUB_NORM,
	TRIT_TENSOR_FFN_DOWN,
	TRIT_TENSOR_FFN_POST_NORM,
	/* norms of the inputs of projections, one for each */
	TRIT_TENSOR_ATTN_Q_NORM_IN,
	TRIT_TENSOR_ATTN_K_NORM_IN,
	TRIT_TENSOR_ATTN_V_NORM_IN,
	TRIT_TENSOR_ATTN_OUTPUT_NORM_IN,
	TRIT_TENSOR_FFN_GATE_NORM_IN,
	TRIT_TENSOR_FFN_UP_NORM_IN,
	TRIT_TENSOR_FFN_DOWN_NORM_IN,
	/* experts, in place of gate, up and down; from _GATE_EXPS to _DOWN_EXPS the walk has a step for each of them */
	TRIT_TENSOR_FFN_ROUTER,
	TRIT_TENSOR_FFN_GATE_EXPS,
	TRIT_TENSOR_FFN_UP_EXPS,
	TRIT_TENSOR_FFN_DOWN_EXPS,
	TRIT_TENSOR_FFN_SUB_NORM_EXPS,
	TRIT_TENSOR_FFN_ROUTER_SHEXP,
	TRIT_TENSOR_FFN_GATE_SHEXP,
	TRIT_TENSOR_FFN_UP_SHEXP,
	TRIT_TENSOR_FFN_DOWN_SHEXP,
	TRIT_TENSOR_FFN_SUB_NORM_SHEXP,
	TRIT_TENSOR_OUTPUT_NORM,
	TRIT_TENSOR_OUTPUT,
	TRIT_TENSOR_ROPE_FREQS,
	TRIT_TENSOR_CLS_OUTPUT,
	TRIT_N_TENSORS,
};

enum trit_tensor_kind {
	TRIT_KIND_EMBEDDING, /* a row a token: embedding and head, high precision */
	TRIT_KIND_NORM,      /* a vector (or one for each head or expert): fp32; biases, routers and heads of labels too */
	TRIT_KIND_LINEAR,    /* a projection: BitLinear, or dense in a full-precision model */
};

struct trit_tensor_row {
	enum trit_tensor_id id;
	enum trit_tensor_kind kind;
	bool per_layer;
	const char *gguf;    /* "attn_q": blk.N.attn_q.weight, or token_embd.weight where not per layer */
	/* "self_attn.q_proj": model.layers.N.self_attn.q_proj.weight; "model.embed_tokens": as it stands. NULL: none */
	const char *hf;
	const char *hf_post; /* the same in architectures with post-norms, if that is another name */
	const char *hf_old;  /* another name, of older files */
};

extern const struct trit_tensor_row trit_tensors[TRIT_N_TENSORS];

/** Whether a model of this configuration has the tensor (sub-norms, untied head, ...). */
bool trit_tensor_present(const struct trit_config *c, enum trit_tensor_id id);
/** Whether it is a projection whose rows are in the order of rotary pairs (rope.h). */
static inline bool trit_tensor_has_pairs(enum trit_tensor_id id)
{
	return id == TRIT_TENSOR_ATTN_Q || id == TRIT_TENSOR_ATTN_K;
}
/** Shape [rows, cols], row-major, rows = outputs; a norm is [1, n], or [heads, n] where each head has its own. */
void trit_tensor_shape(const struct trit_config *c, enum trit_tensor_id id, size_t *rows, size_t *cols);
/** Whether a file may have a bias beside it: projections and the head, layer norms. */
bool trit_tensor_may_have_bias(const struct trit_arch *arch, enum trit_tensor_id id);
/** The name that files of Hugging Face have for it in this architecture; NULL if none. */
const char *trit_tensor_hf_name(const struct trit_arch *arch, enum trit_tensor_id id);

#define TRIT_TENSOR_NAME_BYTES 64
/** "blk.3.attn_q.weight", or with `suffix` "scale": "blk.3.attn_q.scale". */
void trit_tensor_name(char name[TRIT_TENSOR_NAME_BYTES], enum trit_tensor_id id, int layer, const char *suffix);

/** Walks all tensors a configuration has, in file order: embedding, layer 0, layer 1, ..., final norm, head, rotary
 * divisors, head of labels; after each that has one its bias. */
struct trit_tensor_walk {
	int step, row; /* private; zero to begin. step: how many tensors it has found */
	enum trit_tensor_id id;
	bool bias; /* the row's bias: a vector, whatever the row's kind is; blk.N.NAME.bias */
	int layer; /* 0 for tensors outside layers */
	int expert, count; /* which of how many matrices of this shape: the experts'; else the first of one */
	size_t rows, cols;
};
/** How many matrices a row of the table stands for: E of the experts', else 1. */
int trit_tensor_count(const struct trit_config *c, enum trit_tensor_id id);
/** false at the end. */
bool trit_tensor_next(struct trit_tensor_walk *w, const struct trit_config *c);
/** What it has found: of biases TRIT_KIND_NORM. */
static inline enum trit_tensor_kind trit_walk_kind(const struct trit_tensor_walk *w)
{
	return w->bias ? TRIT_KIND_NORM : trit_tensors[w->id].kind;
}
/** Its name in GGUF. */
void trit_walk_name(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_tensor_walk *w);
/** Whether a row of the table stands for a matrix of each expert. */
static inline bool trit_tensor_is_expert(enum trit_tensor_id id)
{
	return id >= TRIT_TENSOR_FFN_GATE_EXPS && id <= TRIT_TENSOR_FFN_DOWN_EXPS;
}
/** The name of an expert's matrix that is a tensor by itself: "blk.3.ffn_up.7.weight". */
void trit_expert_name(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_tensor_walk *w, const char *suffix);
/** Whether a name is that of a tensor a configuration has, the scale of a projection included. */
bool trit_tensor_known(const struct trit_config *c, const char *name);

/** The walk's tensor in a GGUF file, of a type that can be read, its shape as configured. An expert's matrix is a part
 * of a tensor that has those of all (blk.N.ffn_up_exps.weight, [E, rows, cols]) or a tensor by itself (of older files
 * and of checkpoints: blk.N.ffn_up.E.weight): *out is then that part. Errors: FORMAT, UNSUPPORTED. */
TRIT_MUST_CHECK int trit_tensor_find(const struct trit_gguf *g, const struct trit_tensor_walk *w,
                                     struct trit_gguf_tensor *out, struct trit_error *err);
/** The scales of integer weights in an arrangement that can express them (tensor_form.h), trit_scale_count of them: the
 * type's own, times blk.N.NAME.scale if the file has that. Errors: FORMAT (a scale that is negative or not finite; one
 * for the tensor must not be 0 either). */
TRIT_MUST_CHECK int trit_tensor_scales(const struct trit_gguf *g, const struct trit_tensor_walk *w,
                                       const struct trit_gguf_tensor *t, enum trit_scaling scaling, float *scales,
                                       struct trit_error *err);
/** Rows [row0, row0 + n) as integer weights [n, cols]: ternary codes (of Q2_0 up to 2), or what a packed type holds.
 * Numbers must be ternary with one scale. Errors: FORMAT (a value that is no code). */
TRIT_MUST_CHECK int trit_tensor_codes(const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, size_t row0,
                                      size_t n, int8_t *codes, struct trit_error *err);
/** The same rows as numbers, blk.N.NAME.scale not applied. Errors: FORMAT. */
TRIT_MUST_CHECK int trit_tensor_floats(const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, size_t row0,
                                       size_t n, float *out, struct trit_error *err);

/** A tensor of a packed type, where it lies: its layout and its scales behind the weights. */
static inline enum trit_layout trit_packed_layout(const struct trit_gguf_tensor *t)
{
	return (enum trit_layout)trit_ggml_type_info(t->type)->layout;
}
static inline enum trit_scaling trit_packed_scaling(const struct trit_gguf_tensor *t)
{
	return (enum trit_scaling)trit_ggml_type_info(t->type)->scaling;
}
/** Errors: as trit_tensor_scales; UNSUPPORTED for a factor blk.N.NAME.scale beside it. */
TRIT_MUST_CHECK int trit_packed_scales(const struct trit_gguf *g, const struct trit_tensor_walk *w,
                                       const struct trit_gguf_tensor *t, const float **scales, struct trit_error *err);

#endif
