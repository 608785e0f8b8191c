/*
 * label_head.c - pooling, logits of labels, their loss and its gradient.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/label_head.h"

#include "base/pool.h"

/* Runs twice, to measure and to place (base/mem.h). */
static void lay_out(struct trit_label_head *h, size_t tokens)
{
	struct trit_arena *a = &h->arena;
	size_t n = (size_t)h->n;
	h->first = trit_arena_take(a, tokens, sizeof *h->first);
	h->last = trit_arena_take(a, tokens, sizeof *h->last);
	h->label = trit_arena_take(a, tokens, sizeof *h->label);
	h->best = trit_arena_take(a, tokens, sizeof *h->best);
	h->pooled = trit_arena_take(a, tokens * (size_t)h->width, sizeof *h->pooled);
	h->logits = trit_arena_take(a, tokens * n, sizeof *h->logits);
	h->losses = trit_arena_take(a, tokens, sizeof *h->losses);
	h->expected = trit_arena_take(a, 3 * n, sizeof *h->expected);
	h->predicted = h->expected ? h->expected + n : NULL;
	h->right = h->expected ? h->expected + 2 * n : NULL;
}

int trit_label_head_init(struct trit_label_head *h, int n, int width, bool mean, size_t tokens,
                         struct trit_error *err)
{
	*h = (struct trit_label_head){ .n = n, .width = width, .mean = mean };
	lay_out(h, tokens);
	int e = trit_arena_alloc(&h->arena, "a head of labels (a smaller --micro-batch or --seq-len needs less)", err);
	if (!e)
		lay_out(h, tokens);
	return e;
}

void trit_label_head_release(struct trit_label_head *h)
{
	trit_arena_release(&h->arena);
	*h = (struct trit_label_head){ 0 };
}

void trit_label_head_clear(struct trit_label_head *h)
{
	memset(h->expected, 0, 3 * (size_t)h->n * sizeof *h->expected);
}

void trit_label_head_begin(struct trit_label_head *h, int n, int seq_len, const trit_token *batch,
                           const float *weights, const int *starts)
{
	h->n_examples = 0;
	for (int t = 0; t < n * seq_len; t++) {
		int i = h->n_examples, sequence = t / seq_len;
		if (weights[t] == 0)
			continue;
		trit_token label = batch[t + sequence + 1];
		h->label[i] = label < h->n ? label : h->n - 1;
		h->first[i] = sequence * seq_len + (starts ? starts[t] : 0);
		h->last[i] = t;
		h->n_examples++;
	}
}

static void pool(const struct trit_label_head *h, const struct trit_kernels *k, float *out, const float *xn, size_t ldn,
                 int i)
{
	size_t width = (size_t)h->width, first = (size_t)h->first[i], last = (size_t)h->last[i];
	memcpy(out, xn + (h->mean ? first : last) * ldn, width * sizeof *out);
	if (!h->mean)
		return;
	for (size_t t = first + 1; t <= last; t++)
		k->add(out, xn + t * ldn, h->width);
	k->scale(out, 1 / (float)(last - first + 1), h->width);
}

static int best_of(const float *logits, int n)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

/* The gradient of the pooled state, to the states that it was made of. */
static void unpool(const struct trit_label_head *h, const struct trit_kernels *k, float *dn, const float *dz, int i)
{
	size_t width = (size_t)h->width;
	int first = h->mean ? h->first[i] : h->last[i], tokens = h->last[i] - first + 1;
	float *own = dn + (size_t)first * width;
	for (int c = 0; c < h->n; c++)
		k->add_scaled(own, h->w + (size_t)c * width, dz[c], h->width);
	if (h->mean)
		k->scale(own, 1 / (float)tokens, h->width);
	for (int t = 1; t < tokens; t++)
		memcpy(own + (size_t)t * width, own, width * sizeof *own);
}

void trit_label_head_loss(struct trit_label_head *h, const struct trit_kernels *k, const float *xn, size_t ldn,
                          float *dn, const float *weights, float scale, int index, int threads)
{
	size_t width = (size_t)h->width, n = (size_t)h->n;
	for (int i = index; i < h->n_examples; i += threads) {
		float *pooled = h->pooled + (size_t)i * width, *z = h->logits + (size_t)i * n;
		pool(h, k, pooled, xn, ldn, i);
		k->gemm_dense[TRIT_DENSE_F32](z, n, h->w, pooled, width, h->n, 1, h->width);
		if (h->bias)
			k->add(z, h->bias, h->n);
		h->best[i] = best_of(z, h->n);
		h->losses[i] = k->cross_entropy(z, h->label[i], weights[h->last[i]] * scale, 0, h->n);
		if (dn)
			unpool(h, k, dn, z, i);
	}
}

void trit_label_head_backward_w(struct trit_label_head *h, const struct trit_kernels *k, int index, int threads)
{
	size_t width = (size_t)h->width, n = (size_t)h->n, c0, c1;
	trit_part(width, 16, index, threads, &c0, &c1);
	for (size_t i = 0; i < (size_t)h->n_examples && c1 > c0; i++)
		for (size_t c = 0; c < n; c++)
			k->add_scaled(h->dw + c * width + c0, h->pooled + i * width + c0, h->logits[i * n + c], (int)(c1 - c0));
	for (size_t i = 0; i < (size_t)h->n_examples && h->dbias && index == 0; i++)
		k->add(h->dbias, h->logits + i * n, h->n);
}

double trit_label_head_end(struct trit_label_head *h, const float *weights, bool count)
{
	double sum = 0;
	for (int i = 0; i < h->n_examples; i++) {
		sum += (double)(weights[h->last[i]] * h->losses[i]);
		if (!count)
			continue;
		h->expected[h->label[i]]++;
		h->predicted[h->best[i]]++;
		h->right[h->label[i]] += h->best[i] == h->label[i];
	}
	return sum;
}
