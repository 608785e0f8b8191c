/*
 * classifier.c - pooled states to logits of labels.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/classifier.h"

#include "model/label_words.h"

struct trit_classifier {
	const struct trit_model *model;
	struct trit_embedder *embedder;
	int n;                /* labels */
	const float *w, *bias; /* [n, D] [n] or NULL */
	float *own;           /* [n, D]: of words */
	float *states;        /* [cap, D] */
	size_t cap;
};

static int set_words(struct trit_classifier *c, int n, char *const *words, struct trit_error *err)
{
	const struct trit_model *m = c->model;
	if (!m->tokenizer)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "the model file has no vocabulary, so it knows no words");
	c->own = trit_calloc((size_t)n, (size_t)m->config.d_model * sizeof *c->own);
	if (!c->own)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a head of %d labels", n);
	c->w = c->own;
	c->n = n;
	return trit_label_words(c->own, n, words, m->tokenizer, &m->config, &m->gguf, err);
}

static int set_head(struct trit_classifier *c, struct trit_error *err)
{
	const struct trit_model *m = c->model;
	if (!m->config.n_labels)
		return trit_fail(err, TRIT_ERR_ARG, "the model is no classifier: it has no cls.output.weight; train one with "
		                 "trit classify train, or give --words to a language model");
	c->w = m->cls_output.w;
	c->bias = m->cls_output.bias;
	c->n = m->config.n_labels;
	return TRIT_OK;
}

int trit_classifier_new(struct trit_classifier **out, const struct trit_model *model, int n_words, char *const *words,
                        const struct trit_embed_options *options, struct trit_error *err)
{
	struct trit_embed_options o = options ? *options : (struct trit_embed_options){ 0 };
	struct trit_classifier *c = trit_calloc(1, sizeof *c);
	if (!c)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a classifier");
	c->model = model;
	o.no_scaling = 1;
	o.pooling = !words && (model->config.pooling == TRIT_POOLING_MEAN || model->config.pooling == TRIT_POOLING_CLS)
	                ? (enum trit_pooling)model->config.pooling
	                : TRIT_POOLING_LAST;
	int e = words ? set_words(c, n_words, words, err) : set_head(c, err);
	if (!e)
		e = trit_embedder_new(&c->embedder, model, &o, err);
	if (e)
		trit_classifier_free(c);
	else
		*out = c;
	return e;
}

void trit_classifier_free(struct trit_classifier *c)
{
	if (!c)
		return;
	trit_embedder_free(c->embedder);
	trit_free(c->own);
	trit_free(c->states);
	trit_free(c);
}

int trit_classifier_labels(const struct trit_classifier *c)
{
	return c->n;
}

int trit_classify(struct trit_classifier *c, size_t n_texts, const size_t *n_tokens, const trit_token *const *tokens,
                  bool logits, float *out, struct trit_error *err)
{
	const struct trit_kernels *k = &c->model->kernels;
	size_t d = (size_t)c->model->config.d_model, n = (size_t)c->n;
	if (n_texts > c->cap) {
		float *states = trit_realloc(c->states, c->cap * d * sizeof *states, n_texts, d * sizeof *states);
		if (!states)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the states of %zu texts", n_texts);
		c->states = states;
		c->cap = n_texts;
	}
	int e = trit_embed(c->embedder, n_texts, n_tokens, tokens, c->states, err);
	for (size_t i = 0; i < n_texts && !e; i++) {
		float *z = out + i * n;
		k->gemm_dense[TRIT_DENSE_F32](z, n, c->w, c->states + i * d, d, c->n, 1, (int)d);
		if (c->bias)
			k->add(z, c->bias, c->n);
		if (!logits)
			k->softmax(z, c->n);
	}
	return e;
}
