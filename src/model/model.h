/*
 * model.h - a model ready to run: configuration, weights in the kernels' layouts, tokenizer.
 *
 * Immutable after opening and shared by threads. How the weights come from the file: weights.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_MODEL_H
#define TRIT_MODEL_MODEL_H

#include "base/mem.h"
#include "kernel/kernel.h"
#include "model/low_rank.h"
#include "model/model_file.h"
#include "model/tensors.h"
#include "text/tokenizer.h"

/** A norm's weights, [n]; those of q_norm and k_norm are struct trit_config's qk_norms. */
struct trit_norm {
	const float *w;    /* NULL where the architecture has no such norm */
	const float *bias; /* or NULL */
};

/** A projection y[M] = W[M, K] x[K]. */
struct trit_linear {
	bool quantised;            /* integer weights times 8-bit activations; else dense */
	enum trit_layout layout;   /* of integer weights */
	enum trit_scaling scaling;
	enum trit_dense_type type; /* of dense weights */
	const struct trit_ggml_type_info *stored; /* of an embedding that is unpacked a row at a time; else NULL */
	int rows, cols;            /* M, K */
	const float *scale;        /* of integer weights, as layout.h has them */
	const unsigned char *w;
	const float *bias;         /* [M] or NULL */
	/* What its input, after the norm that projections share, goes through first. */
	struct trit_norm norm;     /* [K]: of its own */
	int hadamard;              /* width of the blocks of a Hadamard transform; 0: none */
	bool input_4bit;           /* quantised to 4 bits instead of 8 */
	const struct trit_low_rank *lora; /* what is added to the product, or NULL */
};

/** One of a mixture of experts. */
struct trit_expert {
	struct trit_linear gate, up, down; /* [F, D], [F, D], [D, F] */
};

/** Members that an architecture lacks are zero. */
struct trit_layer {
	struct trit_norm attn_norm, q_norm, k_norm, attn_sub_norm, attn_post_norm; /* [D], [A], [A], [H A], [D] */
	struct trit_norm ffn_norm, ffn_sub_norm, ffn_post_norm;                    /* [D], [F], [D] */
	struct trit_linear q, k, v, o;     /* [H A, D], [K A, D], [K A, D], [D, H A] */
	struct trit_linear gate, up, down; /* [F, D], [F, D], [D, F] */
	/* with experts, in place of these three: */
	struct trit_expert *experts;            /* [E], then the shared one; NULL: none */
	struct trit_norm router, shared_router; /* fp32 [E, D], [D]; ffn_sub_norm is [E, F] */
	struct trit_norm shared_sub_norm;       /* [F of the shared one] */
};

/** What loading found, for `trit info`. */
struct trit_model_stats {
	int64_t parameters;
	uint64_t file_bytes, weight_bytes; /* of the file; of all tensors in it */
	uint64_t ternary_weights;          /* in projections */
	uint64_t ternary_bytes;            /* in the file, of the tensors that hold them */
	uint64_t mapped_bytes;             /* of the tensors that every token reads from the mapping */
};

struct trit_model {
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_linear token_embd, output; /* [V, D]; tied: the same tensor, maybe in another form */
	struct trit_norm output_norm;
	struct trit_norm cls_output; /* of a classifier: fp32 [labels, D] */
	struct trit_norm rope_freqs; /* [n_rot / 2]: divisors of the rotary frequencies, where the file has them */
	struct trit_layer *layers; /* [L] */
	struct trit_tokenizer *tokenizer; /* NULL when the file has no vocabulary */
	struct trit_model_stats stats;
	struct trit_model_file file;
	struct trit_gguf gguf;   /* the view in `file`, which owns what it points to */
	struct trit_low_ranks lora; /* adapters */
	struct trit_arena arena; /* layers, repacked and converted weights */
};

/** An embedding, head or projection by its place in the walk over the tensors; NULL for a norm. */
const struct trit_linear *trit_model_linear(const struct trit_model *m, const struct trit_tensor_walk *w);
/** The same for a norm; NULL for others. */
const struct trit_norm *trit_model_norm(const struct trit_model *m, const struct trit_tensor_walk *w);
/** The type of a KV cache that was asked for; of auto, q8 for a ternary model, whose attention is then integer
 * arithmetic too, and f16 for one of full precision. */
enum trit_kv_type trit_model_kv_type(const struct trit_model *m, enum trit_kv_type asked);
/** "t5", "i8", "f16": how its weights lie in memory. */
const char *trit_linear_layout(const struct trit_linear *l);
/** How many ternary weights of projections are -1, 0 and +1. Reads all of them, on all cores. Errors: MEMORY, IO. */
TRIT_MUST_CHECK int trit_model_count_codes(const struct trit_model *m, uint64_t counts[3], struct trit_error *err);

#endif
