/*
 * self_attention.h - causal attention of training, one sequence and one key/value head at a time, forward and backward.
 *
 *     s_ij = scale q_i . k_j (j <= i)   p_ij = exp(s_ij - log_sum_i)   o_i = sum_j p_ij v_j
 *     dv_j = sum_i p_ij do_i            dp_ij = do_i . v_j             ds_ij = p_ij (dp_ij - do_i . o_i)
 *     dq_i = scale sum_j ds_ij k_j      dk_j = scale sum_i ds_ij q_i
 *
 * With several examples in a sequence j does not go back beyond the first position of i's own.
 *
 * With a window of n positions j does not go back beyond the n-th, i itself being the first. With a cap c the scores
 * are c tanh(s_ij / c).
 *
 * Works in blocks of about TRIT_ATTENTION_ROWS queries, of some positions and all heads of the group, against the keys
 * before them: the S x S matrix is never stored. The backward pass computes p again, from the logarithms of the sums of
 * exponentials that the forward pass keeps, and knows sum_j p_ij dp_ij as do_i . o_i, as Flash-Attention has it [FA2].
 *
 * With an exact gemm_f32 outputs are those of inference to the bit, its keys and values being in single precision
 * (kernel.h, attend_scores and attend_values): products are the same chains, and rounded where it rounds them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_SELF_ATTENTION_H
#define TRIT_TRAIN_SELF_ATTENTION_H

#include "kernel/kernel.h"

enum {
	TRIT_ATTENTION_ROWS = 56,       /* whole tiles of gemm_f32 on AVX-512 */
	TRIT_ATTENTION_ROWS_BF16 = 128, /* whole panels of gemm_bf16 */
};

/** One key/value head with the `group` query heads that share it. Pointers are at its first position; rows are `ld`
 * elements apart for q, k, v and their gradients, `ldo` for o and its gradient, `lds` for log_sum. Query head h of the
 * group is at q + h * width, o + h * width, log_sum + h. */
struct trit_self_attention {
	int positions, width, group; /* S, A, H / K */
	float scale;
	float cap;  /* 0: none */
	int window; /* 0: none */
	const float *q, *k, *v;
	size_t ld;
	float *o, *log_sum; /* the forward pass writes them, the backward pass reads them */
	size_t ldo, lds;
	const int *starts; /* [S] where each position's example begins, rising; NULL: all at 0 */
};

/** Scratch floats a call needs, GEMM's included; 64-byte aligned. */
size_t trit_self_attention_scratch(int positions, int width, int group);
void trit_self_attention_forward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *scratch);
/** Overwrites dq, dk, dv (rows ld apart). */
void trit_self_attention_backward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *dq,
                                  float *dk, float *dv, const float *d_o, float *scratch);

#endif
