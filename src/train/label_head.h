/*
 * label_head.h - the loss of a classifier: a head of labels on the pooled state of an example.
 *
 *     s = state of the last token, or the mean of all of the example's     after the final norm
 *     z = W s + b       W [labels, D]         loss = -log softmax(z)[label]
 *
 * An example lies in the batch as its tokens and then its label, in the place of the next token: the only one to be
 * predicted. So an example is known by a weight that is not 0, of its last token. The label is fed as a token too,
 * which nothing looks at.
 *
 * Gradients are sums over the examples in order, whatever the number of threads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_LABEL_HEAD_H
#define TRIT_TRAIN_LABEL_HEAD_H

#include "base/mem.h"
#include "kernel/kernel.h"
#include "text/vocab.h"

struct trit_label_head {
	int n, width;  /* labels, D */
	bool mean;     /* of all states; else the last one */
	const float *w, *bias; /* [n, D] [n] or NULL */
	float *dw, *dbias;     /* added to */
	/* Of passes that only measure, since they were last cleared: examples of each label, taken for it, and both. */
	double *expected, *predicted, *right; /* [n] each, one behind the other */
	/* private, of the pass at hand */
	struct trit_arena arena;
	int n_examples;
	int *first, *last; /* [T] an example's tokens */
	int *label, *best; /* [T] */
	float *pooled;     /* [T, D] */
	float *logits;     /* [T, n]; then their gradients */
	float *losses;     /* [T] */
};

/** For passes of up to `tokens` tokens. Weights and gradients are the caller's. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_label_head_init(struct trit_label_head *h, int n, int width, bool mean, size_t tokens,
                                         struct trit_error *err);
void trit_label_head_release(struct trit_label_head *h);
/** Zeroes expected, predicted and right. */
void trit_label_head_clear(struct trit_label_head *h);

/* Parts of a pass: train/net.c. */

/** Before the threads begin: finds the examples of n sequences in batch [n, S + 1]; weights, starts as in net.h. Labels
 * beyond the last one are taken for it. */
void trit_label_head_begin(struct trit_label_head *h, int n, int seq_len, const trit_token *batch,
                           const float *weights, const int *starts);
/** This thread's examples, of states xn [T, ldn]: loss, and if dn [T, D] is not NULL scale times the gradient of the
 * states, which the caller has zeroed. */
void trit_label_head_loss(struct trit_label_head *h, const struct trit_kernels *k, const float *xn, size_t ldn,
                          float *dn, const float *weights, float scale, int index, int threads);
/** After all threads are through that: this thread's columns of the gradient of W. */
void trit_label_head_backward_w(struct trit_label_head *h, const struct trit_kernels *k, int index, int threads);
/** After the threads: the sum of the losses; counts the examples unless the pass was for the gradient. */
double trit_label_head_end(struct trit_label_head *h, const float *weights, bool count);

#endif
