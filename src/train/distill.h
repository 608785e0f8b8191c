/*
 * distill.h - what a teacher adds to a student's training step: the divergence of their predictions, and that of the
 * relations within one layer [BitDistill; MiniLMv2].
 *
 *     loss = CE + kl_weight * tau^2 KL(softmax(z_teacher / tau) || softmax(z_student / tau))
 *               + relation_weight * sum over queries, keys, values of the mean over heads of their relations' KL
 *
 * each a mean over tokens, weighted as the cross-entropy is. tau^2 keeps the gradient's size when tau changes [Hinton].
 *
 * The teacher is a model of the inference engine, whatever its architecture and the type of its weights, which stay
 * where they lie in its file; it computes whole sequences in one go, before the student does, and then the logits of as
 * many tokens at a time as the student's head does. Queries and keys are taken as attention sees them, rotated.
 *
 * For each extra loss the squared norms of its gradient and of the others' are summed over tokens where the two meet,
 * at the logits and at the layer's queries, keys and values: balance.h makes weights of them.
 *
 * A net's pass calls these functions (net.c); one pass at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DISTILL_H
#define TRIT_TRAIN_DISTILL_H

#include "model/forward.h"

/** Sums over tokens since the last reset. Losses are weighted as tokens are; norms are squared, of gradients that have
 * the pass's loss_scale and, the extra losses', weight 1. */
enum trit_distill_sum {
	TRIT_SUM_KL,
	TRIT_SUM_RELATION,
	TRIT_SUM_CE_AT_LOGITS,
	TRIT_SUM_KL_AT_LOGITS,
	TRIT_SUM_OTHERS_AT_LAYER, /* of cross-entropy and KL as weighted */
	TRIT_SUM_RELATION_AT_LAYER,
	TRIT_N_DISTILL_SUMS
};

struct trit_distill_options {
	bool kl, relation;       /* which of the two losses there are */
	float temperature;       /* tau > 0 */
	int layer;               /* of the student, of relations */
	int teacher_layer;
	int heads;               /* relations' */
	int seq_len, max_seqs;   /* the net's */
	int head_chunk;          /* tokens whose logits are computed together, at most */
};

struct trit_distill {
	struct trit_distill_options options;
	float kl_weight, relation_weight; /* of the passes to come: the caller's to set */
	double sums[TRIT_N_DISTILL_SUMS]; /* the caller's to reset */

	/* private */
	const struct trit_config *student;
	const struct trit_kernels *kernels;
	struct trit_pool *pool;
	struct trit_forward teacher;
	struct trit_kv *kv;              /* [max_seqs] */
	struct trit_batch_token *tokens; /* [T] */
	struct trit_arena arena;
	float *taken;                    /* [T, (H + 2K) A] the teacher's */
	float *drelation;                /* [T, (H + 2K) A] the student's */
	double *rows;                    /* [TRIT_N_DISTILL_SUMS][T] terms of the sums */
	double *relations;               /* [max_seqs, 3, heads] losses */
	float *scratch;                  /* [threads][thread_scratch] */
	size_t thread_scratch;
	int n_tokens, first;             /* of the pass; the first of the chunk of logits */
	const float *weights;            /* [T] or NULL */
};

/** The largest number of relation heads that divides the widths of both models. */
int trit_relation_heads(const struct trit_config *student, const struct trit_config *teacher);
/** Whether so many do. Errors: ARG. */
TRIT_MUST_CHECK int trit_relation_heads_check(int heads, const struct trit_config *student,
                                              const struct trit_config *teacher, struct trit_error *err);

/** Allocates everything a pass needs. Teacher, student's configuration, kernels and pool are kept by reference. Errors:
 * MEMORY; ARG: heads of relations that do not divide a width. */
TRIT_MUST_CHECK int trit_distill_init(struct trit_distill *d, const struct trit_model *teacher,
                                      const struct trit_config *student, const struct trit_kernels *k,
                                      struct trit_pool *pool, const struct trit_distill_options *o,
                                      struct trit_error *err);
void trit_distill_release(struct trit_distill *d);
/** Bytes trit_distill_init allocates, caches of keys and values included; without the teacher's weights. */
size_t trit_distill_bytes(const struct trit_distill *d);

/* ---- for net.c: around a pass, then by all its threads ----------------------------------------------------------- */

/** batch [n, S + 1], weights [n, S] or NULL. */
void trit_distill_begin(struct trit_distill *d, int n, const trit_token *batch, const float *weights);
void trit_distill_end(struct trit_distill *d);

/** The teacher's layers. A barrier must follow. */
void trit_distill_layers(struct trit_distill *d, int index, int threads);
/** The teacher's logits of tokens first .. first + n - 1. A barrier before and after. */
void trit_distill_head(struct trit_distill *d, int first, int n, int index, int threads);
/** Keeps the student's logits of a token until _add. */
void trit_distill_keep(struct trit_distill *d, int index, const float *logits);
/** The logits have become the gradient of the token's cross-entropy, scaled by `scale` (its weight included): adds that
 * of the divergence. */
void trit_distill_add(struct trit_distill *d, int index, int token, float *logits, float weight, float scale);
/** Adds the gradient of relations to dqkv [T, (H + 2K) A], that of the other losses. A barrier before and after. */
void trit_distill_relate(struct trit_distill *d, const float *qkv, float *dqkv, float scale, int index, int threads);

#endif
