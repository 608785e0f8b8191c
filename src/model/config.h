/*
 * config.h - the sizes of a model, and the table of architectures.
 *
 * Letters for sizes, everywhere: T tokens in a batch, S positions of a sequence, V vocabulary, L layers, D model width,
 * F feed-forward width, H heads, K key/value heads, A head width, E experts.
 *
 * Adding an architecture: a row in config.c's table; a new kind of tensor: a row in tensors.c and its place in
 * weights.c; whatever neither can say: a member of struct trit_arch and one branch in forward.c and in train/net.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_CONFIG_H
#define TRIT_MODEL_CONFIG_H

#include <stdbool.h>

#include "format/gguf.h"
#include "format/safetensors.h"
#include "model/moe.h"
#include "model/rope.h"
#include "text/vocab.h"

/** What a BitLinear holds: BitNet b1.58, BitNet b1, or plain numbers (full precision: no activation quantiser
 * either). */
enum trit_weight_kind { TRIT_WEIGHT_TERNARY, TRIT_WEIGHT_BINARY, TRIT_WEIGHT_FULL };

enum trit_activation { TRIT_ACT_SILU, TRIT_ACT_RELU2, TRIT_ACT_GELU };

enum trit_norm_kind { TRIT_NORM_RMS, TRIT_NORM_LAYER };

/** Norms of each head's query and key, before they are rotated. */
enum trit_qk_norms {
	TRIT_QK_PLAIN,    /* none */
	TRIT_QK_SHARED,   /* weights [A], the same for all heads */
	TRIT_QK_EACH_HEAD /* weights [H, A] and [K, A] */
};

struct trit_arch {
	const char *name;  /* general.architecture */
	const char *title; /* for people */
	enum trit_activation activation; /* SwiGLU; squared ReLU or GELU (by tanh) in the place of its SiLU */
	enum trit_norm_kind norm;
	enum trit_qk_norms qk_norms;
	bool qk_norms_optional; /* the file tells whether they are there */
	bool sub_norm;     /* by definition a norm before the output and down projections too */
	bool post_norms;   /* a norm of what attention and the feed-forward half add to the residual */
	bool bit_linear;   /* projections are ternary or binary by definition, whatever type the file stores them in */
	bool rope_half;    /* rotary pairs (i, i + n_rot/2), not (2i, 2i + 1) */
	bool scale_embedding;   /* embeddings are multiplied by sqrt(D) */
	int window;             /* positions that a token sees in layers with a window; 0: no window */
	int window_period;      /* of so many layers the last sees all positions; 0: where there is a window, all have it */
	float window_rope_base; /* rotary base of layers with a window, unscaled; 0: as in the others */
	int n_layers_wide;      /* models of so many layers (27B) scale scores by 1/sqrt(D/H), not 1/sqrt(A) */
	float attn_softcap, logit_softcap; /* unless the file says otherwise; 0: none */
	bool others_untie; /* other programs read output.weight; else they refuse a file that has it */
	bool scale_tensors; /* other programs read blk.N.NAME.scale beside blk.N.NAME.weight */
	bool raw_expert_weights; /* of the experts a token goes to; else divided by their sum */
	bool hf_norms_less_one; /* in files of Hugging Face the norms' weights are less by 1 than in GGUF */
};

/** NULL if there is none of this name. */
const struct trit_arch *trit_arch_by_name(const char *name, size_t len);
/** The architecture that can be trained here and that other programs understand for such a network; NULL if none. */
const struct trit_arch *trit_arch_for(enum trit_weight_kind kind, enum trit_activation activation);

struct trit_config {
	const struct trit_arch *arch;
	int n_vocab;    /* V */
	int n_layers;   /* L */
	int d_model;    /* D */
	int d_ff;       /* F */
	int n_heads;    /* H */
	int n_kv_heads; /* K, divides H */
	int head_dim;   /* A, even; D / H unless the file says otherwise */
	int n_rot;      /* leading elements of a head that rotate, even, <= A */
	int n_ctx;      /* positions trained for */
	float rope_base;
	float eps;      /* of every norm */
	bool tied;      /* the head is the embedding */
	int pooling;    /* of embedding models: enum trit_pooling of trit.h; 0: the file does not say */
	int n_labels;   /* of a classifier: rows of cls.output, which reads the pooled state; 0: no classifier */

	/* What follows from the architecture unless the file says otherwise: trit_config_set_arch. */
	bool rope_half;
	bool sub_norm;          /* before the output and down projections; any architecture may have been given them */
	enum trit_qk_norms qk_norms;
	struct trit_rope_scaling rope_scaling;
	bool rope_freqs;        /* the file has divisors of the rotary frequencies, rope_freqs.weight */
	int window;             /* positions that a token sees in layers with a window, its own one of them; 0: all */
	int window_period;
	float window_rope_base;
	float score_scale;      /* of attention's scores; 0: 1/sqrt(A) */
	float attn_softcap, logit_softcap; /* scores and logits x become c tanh(x / c); 0: they stay */
	float embedding_scale;  /* embeddings are multiplied by it; 0: they are not */
	struct trit_moe_config moe;
	bool projection_norms;  /* each projection has a norm of its input of its own: attn_q_norm_in and the like */
	/* Inputs of integer projections: 8 bits, or 4. "Inner" ones are those of output and down. */
	bool input_4bit, inner_4bit;
	bool inner_hadamard;    /* they pass a Hadamard transform before they are quantised */
	uint64_t biases;        /* bit i: the tensors of row i of the table of tensors have biases */

	char name[64];  /* general.name, or "" */
};

/** Sets arch, and what follows from it. */
void trit_config_set_arch(struct trit_config *c, const struct trit_arch *arch);

/** Positions that a token sees in a layer, its own one of them; 0: all. */
static inline int trit_config_window(const struct trit_config *c, int layer)
{
	bool sees_all = c->window_period && layer % c->window_period == c->window_period - 1;
	return sees_all ? 0 : c->window;
}
/** Width of all heads' queries together, and of all keys (and of all values). */
static inline size_t trit_config_q_width(const struct trit_config *c)
{
	return (size_t)c->n_heads * (size_t)c->head_dim;
}
static inline size_t trit_config_kv_width(const struct trit_config *c)
{
	return (size_t)c->n_kv_heads * (size_t)c->head_dim;
}
/** F; with experts the width of the widest. */
static inline size_t trit_config_ff_width(const struct trit_config *c)
{
	int experts = c->moe.d_ff > c->moe.d_ff_shared ? c->moe.d_ff : c->moe.d_ff_shared;
	return (size_t)(c->moe.n_experts ? experts : c->d_ff);
}
/** Widest vector that a projection reads: the largest of D, F and H A. */
static inline size_t trit_config_widest(const struct trit_config *c)
{
	size_t widest = trit_config_q_width(c);
	widest = (size_t)c->d_model > widest ? (size_t)c->d_model : widest;
	return trit_config_ff_width(c) > widest ? trit_config_ff_width(c) : widest;
}

#define TRIT_MAX_LAYERS 1024
#define TRIT_MAX_CTX (1 << 24)

/** Checks ranges and divisibility; messages name the size by its long word and say what would be right. */
TRIT_MUST_CHECK int trit_config_check(const struct trit_config *c, struct trit_error *err);
/** From the keys of a GGUF file (n_vocab from the number of tokens or rows of the embedding, tied from whether
 * output.weight is there; likewise optional tensors). Beside the keys that GGUF files have it reads trit.rope.half, of
 * the view that other formats are given. */
TRIT_MUST_CHECK int trit_config_read(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err);
/** Number of weights in all tensors. */
int64_t trit_config_parameters(const struct trit_config *c);

#endif
