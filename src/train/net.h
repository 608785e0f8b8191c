/*
 * net.h - the network in training: forward pass that keeps what the backward pass needs, loss, backward pass.
 *
 * A micro-batch is n sequences of S + 1 tokens: the first S are fed, the last S predicted. The gradients of a step's
 * micro-batches add up in params->g. All threads run the whole pass side by side, each with its share of tokens, heads
 * or weight rows; sums over tokens run in token order in one thread, so the number of threads changes no bit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_NET_H
#define TRIT_TRAIN_NET_H

#include "base/pool.h"
#include "train/bit_gradient.h"
#include "train/experts.h"
#include "train/distill.h"
#include "train/label_head.h"
#include "train/lora.h"
#include "train/net_parts.h"
#include "train/params.h"

/** Weights of a layer, and what its forward pass keeps. */
struct trit_net_layer {
	struct trit_net_norm attn_norm, attn_sub_norm, attn_post_norm, ffn_norm, ffn_sub_norm, ffn_post_norm;
	struct trit_bitlinear q, k, v, o, gate, up, down;

	float *x;   /* [T, D] input of the layer */
	float *qkv; /* [T, (H + 2K) A] rotated queries and keys, values */
	float *att; /* [T, H A] output of attention */
	float *log_sum; /* [T, H] of its exponentials */
	float *mid; /* [T, D] input of the feed-forward half */
	float *g, *u; /* [T, F] outputs of gate and up; the backward pass turns them into their gradients */
	struct trit_experts experts; /* in place of gate, up and down */
	struct trit_bit_input in_qkv, in_o, in_ffn, in_down;

	/* Of some architectures. */
	struct trit_head_norms head_norms;
	float *att_out, *ffn_out;     /* [T, D] what post-norms have normed */
	float *att_out_r, *ffn_out_r; /* [T] */
	const float *cos, *sin;       /* [S, n_rot / 2] the network's tables for this layer */
	int window;                   /* positions that a token sees, its own one of them; 0: all */
};

/** What decides how a step is computed, not what. NULL wherever it is taken: all zero. */
struct trit_net_options {
	enum trit_backward backward;
	bool warms_up;  /* lambda may be below 1 */
	const struct trit_kernels *steps; /* of trit_net_step, kept by reference; NULL: the same as of others */
	bool recompute; /* a layer keeps its input alone, and its forward pass runs again before its backward pass: the same
	                 * bits with less memory */
};

/** Of the memory of a network; what is neither is room for the work on one layer. */
struct trit_net_bytes {
	size_t all;
	size_t weights;     /* quantised */
	size_t activations; /* kept for the backward pass */
};

struct trit_net {
	const struct trit_config *config;
	const struct trit_kernels *kernels;
	struct trit_pool *pool;
	const struct trit_params *params;
	enum trit_weight_kind kind;
	enum trit_scaling scaling;
	struct trit_net_options options;
	int seq_len;   /* S */
	int max_seqs;  /* sequences in a micro-batch, at most */
	float lambda;  /* how much the quantisers do in training, 1: all; set before trit_net_quantise. Losses that are only
	                * measured are those of the quantised model */
	float z_loss;  /* z log^2 Z is added to each loss for the gradient, not for the sums returned; 0 unless set */
	int tokens;    /* T = sequences of the current micro-batch * S */
	/** The caller's, of the next passes: where in its sequence the example begins that a token belongs to, [n, S].
	 * Positions count from there, and attention does not look further back. NULL: a sequence is one example. */
	const int *starts;
	const struct trit_lora *lora; /* of trit_net_adapt, or NULL */
	bool frozen, quantised; /* weights without gradients; those have been quantised */
	struct trit_label_head *labels; /* the caller's: a head of labels in the place of the vocabulary's; NULL: none */
	struct trit_distill *distill; /* the caller's: a teacher for trit_net_step; NULL: none */

	/* private */
	struct trit_arena arena;
	struct trit_net_bytes bytes;
	struct trit_net_layer *layers;
	struct trit_net_norm output_norm;
	const float *embd, *head;
	float *d_embd, *d_head;
	float *cos[2], *sin[2]; /* [S, n_rot / 2]: of layers that see all positions, of layers with a window */
	float *x;               /* [T, D] output of the last layer */
	float *r;               /* [T] of the final norm */
	float *xn;              /* [T, ldn] normed or dequantised inputs; rows apart by ldn whatever their width, so that
	                         * threads at different steps do not meet */
	struct trit_experts_work experts;
	size_t ldn;             /* widest input */
	float *dx, *dn;         /* [T, D]; [T, widest] */
	float *h, *dh;          /* [T, F] */
	float *datt, *dqkv;     /* [T, H A] [T, (H + 2K) A] */
	float *dqk;             /* [T, (H + K) A] gradients of normed queries and keys, where there are such norms */
	float *dout;            /* [T, D] gradient of what a post-norm has normed, where there are such norms */
	float *centred;         /* [T, widest] a layer norm's input less its mean, where there are such norms */
	float *capped;          /* [threads, V] a token's capped logits, where they are capped */
	float score_scale;      /* of attention's scores */
	bool tables_done;       /* the angles are by the model's divisors, of which weights there are none at first */
	float *logits;          /* [head_chunk, V] */
	double *losses;         /* [T] */
	float *scratch;         /* [threads][thread_scratch] */
	size_t thread_scratch;
	int head_chunk;
	struct trit_bit_gradient gradient; /* codes NULL: backward products are in fp32 */
	int8_t *codes;          /* [threads][largest matrix] */
	size_t codes_stride;
	const trit_token *batch; /* [n, S + 1] */
	const float *weights;    /* [T] of the losses; NULL: all 1 */
	float loss_scale;
	bool backward;
	struct trit_distill *teacher; /* of this pass */
	/* Called when the gradients of a layer and of all above are complete (TRIT_MAX_LAYERS: those above the layers, but
	 * for the embedding), while the pass goes on; NULL: nobody wants to know. */
	void (*ready)(void *arg, int layer);
	void *ready_arg;
};

/** Allocates all memory of training steps of up to max_seqs sequences of seq_len tokens. The other arguments are kept
 * by reference. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_net_init(struct trit_net *net, const struct trit_config *c, struct trit_weight_method method,
                                  const struct trit_params *params, const struct trit_kernels *k,
                                  struct trit_pool *pool, int seq_len, int max_seqs,
                                  const struct trit_net_options *options, struct trit_error *err);
void trit_net_release(struct trit_net *net);
/** Private: the rotary tables, with the model's divisors of the frequencies or NULL. */
void trit_net_tables(struct trit_net *net, const float *divisors);
/** Of this network, or of one like it for micro-batches of max_seqs sequences, with recomputation or without. */
struct trit_net_bytes trit_net_bytes(const struct trit_net *net, int max_seqs, bool recompute);

/** From now on the projections have these adapters beside them, which outlive the net. */
void trit_net_adapt(struct trit_net *net, const struct trit_lora *lora);

/** Quantises all weights; once after params->w has changed. Frozen ones (params->g is NULL) the first time only: then
 * params->w is what the codes stand for. */
void trit_net_quantise(struct trit_net *net);
/** Shares of the quantised weights at -1, 0 and +1; all 0 in a full-precision model. */
void trit_net_shares(const struct trit_net *net, double share[3]);
/** Share of the quantised weights that the last quantising changed; 0 in a full-precision model. */
double trit_net_flips(const struct trit_net *net);
#define TRIT_NET_LINEARS 7 /* projections of a layer: query, key, value, output, gate, up, down (all experts' as one) */
/** The scales of the quantised weights [L, TRIT_NET_LINEARS], of those with several the mean. */
void trit_net_scales(const struct trit_net *net, float *scales);
/** Largest magnitude in the input of a layer in the last pass, or with layer L in the last layer's output; infinite
 * when one there is not finite. */
float trit_net_largest(const struct trit_net *net, int layer);
/** Shares of the tokens' choices that fell on each expert since the last call [L, E]; 0 in a model without. */
void trit_net_loads(struct trit_net *net, float *loads);
/** Sum of the losses (nats) of n sequences; batch [n, S + 1]. Each loss counts as often as weights [n, S] says, finite
 * and >= 0, of the token that is predicted; NULL: once. To the bit what inference computes of the exported model if its
 * weights are packed without loss, its embedding and its cache of keys and values in single precision. With a head of
 * labels batch and weights are as label_head.h has them, and losses in single precision. */
double trit_net_loss(struct trit_net *net, int n, const trit_token *batch, const float *weights);
/** The same, and adds loss_scale * d(sum of losses)/d(weights) to params->g. */
double trit_net_step(struct trit_net *net, int n, const trit_token *batch, const float *weights, float loss_scale);

#endif
