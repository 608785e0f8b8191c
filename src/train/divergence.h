/*
 * divergence.h - the Kullback-Leibler divergence between a teacher's and a student's distributions, over the vocabulary
 * or over positions.
 *
 *     P = softmax(t)    Q = softmax(s)    KL(P || Q) = sum_i P_i (t_i - s_i) - (lse t - lse s)    dKL/ds = Q - P
 *
 * Attention relations [MiniLMv2]: the vectors of a sequence (all its queries, say), cut into `heads` heads of equal
 * width w whatever heads attention has, are compared with each other. Teacher and student may differ in width.
 *
 *     R = softmax(A A^T / sqrt(w)), each row a distribution over all S positions
 *     loss = sum over rows i of weight_i KL(R_teacher,i || R_student,i)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DIVERGENCE_H
#define TRIT_TRAIN_DIVERGENCE_H

#include "kernel/kernel.h"

/** KL of one row; s [n] becomes Q - P, t [n] becomes P. u [n]: scratch. */
double trit_divergence(const struct trit_kernels *k, float *s, float *t, float *u, int n);

/** One relation head of one sequence, in teacher and student. Rows are ld elements apart. */
struct trit_relation {
	int positions; /* S */
	int width, teacher_width;
	size_t ld, teacher_ld;
	const float *a, *teacher; /* [S, width], [S, teacher_width] */
	const float *weights;     /* [S], of rows; NULL: all 1 */
};

/** Scratch floats a call needs, GEMM's included; 64-byte aligned. */
size_t trit_relation_scratch(int positions);
/** Returns the loss; da [S, width], rows ld apart, becomes scale * its gradient. */
double trit_relation_backward(const struct trit_relation *r, const struct trit_kernels *k, float *da, float scale,
                              float *scratch);

#endif
