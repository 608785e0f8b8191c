/*
 * config.h - the sizes of a model, and the table of architectures.
 *
 * Letters for sizes, everywhere: T tokens in a batch, S positions of a sequence, V vocabulary, L layers, D model width,
 * F feed-forward width, H heads, K key/value heads, A head width.
 *
 * Adding an architecture: a row in config.c's table; a new kind of tensor: a row in tensors.c; whatever neither can
 * say: one branch in forward.c (and train/net.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_CONFIG_H
#define TRIT_MODEL_CONFIG_H

#include <stdbool.h>

#include "format/gguf.h"
#include "format/safetensors.h"
#include "text/vocab.h"

/** What a BitLinear holds: BitNet b1.58, BitNet b1, or plain numbers (full precision: no activation quantiser
 * either). */
enum trit_weight_kind { TRIT_WEIGHT_TERNARY, TRIT_WEIGHT_BINARY, TRIT_WEIGHT_FULL };

enum trit_activation { TRIT_ACT_SILU, TRIT_ACT_RELU2 };

struct trit_arch {
	const char *name;  /* general.architecture */
	const char *title; /* for people */
	enum trit_activation activation; /* SwiGLU, or squared ReLU in its place */
	bool sub_norm;     /* RMSNorm before the output and down projections too */
	bool bit_linear;   /* projections are ternary or binary by definition, whatever type the file stores them in */
	bool rope_half;    /* rotary pairs (i, i + n_rot/2), not (2i, 2i + 1) */
	bool others_untie; /* other programs read output.weight; else they refuse a file that has it */
	bool scale_tensors; /* other programs read blk.N.NAME.scale beside blk.N.NAME.weight */
};

/** NULL if there is none of this name. */
const struct trit_arch *trit_arch_by_name(const char *name, size_t len);
/** The architecture that other programs understand for such a network; NULL if none does. */
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
	float eps;      /* of every RMSNorm */
	bool tied;      /* the head is the embedding */
	int pooling;    /* of embedding models: enum trit_pooling of trit.h; 0: the file does not say */
	char name[64];  /* general.name, or "" */
};

/** Width of all heads' queries together, and of all keys (and of all values). */
static inline size_t trit_config_q_width(const struct trit_config *c)
{
	return (size_t)c->n_heads * (size_t)c->head_dim;
}
static inline size_t trit_config_kv_width(const struct trit_config *c)
{
	return (size_t)c->n_kv_heads * (size_t)c->head_dim;
}
/** Widest vector that a projection reads: the largest of D, F and H A. */
static inline size_t trit_config_widest(const struct trit_config *c)
{
	size_t widest = trit_config_q_width(c);
	widest = (size_t)c->d_model > widest ? (size_t)c->d_model : widest;
	return (size_t)c->d_ff > widest ? (size_t)c->d_ff : widest;
}

#define TRIT_MAX_LAYERS 1024
#define TRIT_MAX_CTX (1 << 24)

/** Checks ranges and divisibility; messages name the size by its long word and say what would be right. */
TRIT_MUST_CHECK int trit_config_check(const struct trit_config *c, struct trit_error *err);
/** From the keys of a GGUF file (n_vocab from the number of tokens or rows of the embedding, tied from whether
 * output.weight is there). */
TRIT_MUST_CHECK int trit_config_read(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err);
/** Writes general.architecture (first), general.name and the architecture's keys. */
TRIT_MUST_CHECK int trit_config_put(const struct trit_config *c, struct trit_gguf_writer *w, int file_type,
                                    struct trit_error *err);
/** The same keys as text, in the metadata of a training checkpoint. */
TRIT_MUST_CHECK int trit_config_put_meta(const struct trit_config *c, struct trit_st_writer *w, struct trit_error *err);
TRIT_MUST_CHECK int trit_config_read_meta(struct trit_config *c, const struct trit_safetensors *s,
                                          struct trit_error *err);
/** Number of weights in all tensors. */
int64_t trit_config_parameters(const struct trit_config *c);

#endif
