/*
 * embedding.c - texts to vectors: the last layer's states, pooled.
 *
 * Up to n_sequences texts are under way at a time, each with a KV cache. A run takes tokens of them in turn, first come
 * first served, until the batch is full; a text that is through makes room for the next. Sums of a mean go on from run
 * to run in the order of the tokens, so cutting moves no bit.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "run/batch.h"

/* A text under way. */
struct text {
	struct trit_kv kv;
	size_t number; /* which of the caller's */
	size_t done;   /* tokens computed */
	size_t taken;  /* and those of the run at hand */
	bool busy;
};

struct trit_embedder {
	const struct trit_model *model;
	struct trit_pool *pool;
	struct trit_forward forward;
	struct trit_batch_token *tokens; /* [n_batch] */
	struct text *texts;              /* [n_texts] */
	int n_texts, n_ctx;
	enum trit_pooling pooling;
	bool scaled;
};

/* One call of trit_embed. */
struct job {
	size_t n, next; /* texts, and the first that has not begun */
	const size_t *n_tokens;
	const trit_token *const *tokens;
	float *out;
};

#define MAX_TEXTS 64
#define MAX_CACHE_BYTES ((size_t)1 << 30) /* of the texts that nobody asked to have at a time */

/* ---- making one -------------------------------------------------------------------------------------------------- */

static int check_range(const char *what, int value, int max, struct trit_error *err)
{
	if (value >= 0 && value <= max)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG, "%s is %d; it must be 1 to %d, or 0 for the default", what, value, max);
}

static int default_texts(const struct trit_embed_options *o, const struct trit_config *c)
{
	size_t n = MAX_CACHE_BYTES / trit_kv_bytes(c, o->kv_type, o->n_ctx);
	return n < 1 ? 1 : n < MAX_TEXTS ? (int)n : MAX_TEXTS;
}

static int check_options(struct trit_embed_options *o, const struct trit_model *m, struct trit_error *err)
{
	const struct trit_config *c = &m->config;
	int e;
	if ((e = check_range("the longest text", o->n_ctx, c->n_ctx, err)) ||
	    (e = check_range("the number of texts at a time", o->n_sequences, TRIT_MAX_BATCH, err)) ||
	    (e = check_range("the number of threads", o->n_threads, TRIT_MAX_THREADS, err)) ||
	    (e = check_range("the batch", o->n_batch, TRIT_MAX_BATCH, err)))
		return e;
	if ((unsigned)o->kv_type >= TRIT_N_KV_TYPES)
		return trit_fail(err, TRIT_ERR_ARG, "KV cache of type %d: must be auto (0), f16 (1), q4 (2), f32 (3) or q8 (4)",
		                 (int)o->kv_type);
	o->kv_type = trit_model_kv_type(m, o->kv_type);
	if (o->pooling == TRIT_POOLING_MODEL)
		o->pooling = c->pooling ? (enum trit_pooling)c->pooling : TRIT_POOLING_LAST;
	if (o->pooling < TRIT_POOLING_MEAN || o->pooling > TRIT_POOLING_LAST)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "pooling %d is not supported; there are mean (1), cls (2) and "
		                 "last (3)", (int)o->pooling);
	o->n_ctx = o->n_ctx ? o->n_ctx : c->n_ctx;
	o->n_sequences = o->n_sequences ? o->n_sequences : default_texts(o, c);
	o->n_threads = o->n_threads ? o->n_threads : trit_default_threads(c);
	o->n_batch = o->n_batch ? o->n_batch : TRIT_DEFAULT_BATCH;
	return TRIT_OK;
}

static int init(struct trit_embedder *m, const struct trit_embed_options *o, struct trit_error *err)
{
	int e;
	m->texts = trit_calloc((size_t)o->n_sequences, sizeof *m->texts);
	m->tokens = trit_calloc((size_t)o->n_batch, sizeof *m->tokens);
	if (!m->texts || !m->tokens)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an embedder of %d texts", o->n_sequences);
	if ((e = trit_pool_new(&m->pool, o->n_threads, err)) ||
	    (e = trit_forward_init_states(&m->forward, m->model, m->pool, o->n_batch, o->n_ctx, err)))
		return e;
	for (; m->n_texts < o->n_sequences && !e; m->n_texts++)
		e = trit_kv_init(&m->texts[m->n_texts].kv, &m->model->config, o->kv_type, o->n_ctx, err);
	return e;
}

int trit_embedder_new(struct trit_embedder **out, const struct trit_model *model,
                      const struct trit_embed_options *options, struct trit_error *err)
{
	struct trit_embed_options o = options ? *options : (struct trit_embed_options){ 0 };
	int e = check_options(&o, model, err);
	if (e)
		return e;
	struct trit_embedder *m = trit_calloc(1, sizeof *m);
	if (!m)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an embedder");
	m->model = model;
	m->n_ctx = o.n_ctx;
	m->pooling = o.pooling;
	m->scaled = !o.no_scaling;
	e = init(m, &o, err);
	if (e) {
		trit_embedder_free(m);
		return e;
	}
	*out = m;
	return TRIT_OK;
}

void trit_embedder_free(struct trit_embedder *m)
{
	if (!m)
		return;
	for (int i = 0; i < m->n_texts; i++)
		trit_kv_release(&m->texts[i].kv);
	trit_forward_release(&m->forward);
	trit_pool_free(m->pool);
	trit_free(m->texts);
	trit_free(m->tokens);
	trit_free(m);
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

/* Whether the state of a text's token i is wanted. */
static bool is_pooled(const struct trit_embedder *m, size_t i, size_t n)
{
	return m->pooling == TRIT_POOLING_MEAN || i == (m->pooling == TRIT_POOLING_CLS ? 0 : n - 1);
}

/* Fills the batch with tokens of the texts under way, letting texts begin where there is room. Returns how many. */
static int fill_batch(struct trit_embedder *m, struct job *j)
{
	int n = 0;
	for (int i = 0; i < m->n_texts; i++) {
		struct text *t = &m->texts[i];
		t->taken = 0;
		if (!t->busy && j->next < j->n) {
			t->busy = true;
			t->number = j->next++;
			t->done = 0;
			t->kv.length = 0;
		}
		size_t len = t->busy ? j->n_tokens[t->number] : 0;
		for (; n < m->forward.n_batch && t->done + t->taken < len; t->taken++) {
			size_t at = t->done + t->taken;
			m->tokens[n++] = (struct trit_batch_token){
				.token = j->tokens[t->number][at], .position = (int)at, .kv = &t->kv,
				.want_logits = is_pooled(m, at, len),
			};
		}
	}
	return n;
}

/* Divides by the number of tokens, if it is a mean, and by the length. A vector of zeros stays. */
static void finish(const struct trit_embedder *m, float *v, size_t n)
{
	int d = m->model->config.d_model;
	float mean = m->pooling == TRIT_POOLING_MEAN ? 1 / (float)n : 1, length = 1;
	for (int i = 0; i < d; i++)
		v[i] *= mean;
	if (m->scaled)
		length = sqrtf(m->model->kernels.sum_squares(v, d));
	for (int i = 0; i < d && length > 0; i++)
		v[i] /= length;
}

/* After a run: adds up the states that were wanted; texts that are through give up their place. */
static void collect(struct trit_embedder *m, const struct job *j)
{
	size_t d = (size_t)m->model->config.d_model;
	const float *state = m->forward.states;
	for (int i = 0; i < m->n_texts; i++) {
		struct text *t = &m->texts[i];
		size_t len = t->busy ? j->n_tokens[t->number] : 0;
		for (; t->taken; t->taken--, t->done++)
			if (is_pooled(m, t->done, len)) {
				m->model->kernels.add(j->out + t->number * d, state, (int)d);
				state += d;
			}
		t->kv.length = (int)t->done;
		if (t->busy && t->done == len) {
			finish(m, j->out + t->number * d, len);
			t->busy = false;
		}
	}
}

static int check_texts(const struct trit_embedder *m, const struct job *j, struct trit_error *err)
{
	int n_vocab = m->model->config.n_vocab;
	for (size_t i = 0; i < j->n; i++) {
		if (j->n_tokens[i] == 0)
			return trit_fail(err, TRIT_ERR_ARG, "text %zu has no tokens", i + 1);
		if (j->n_tokens[i] > (size_t)m->n_ctx)
			return trit_fail(err, TRIT_ERR_LIMIT, "text %zu has %zu tokens; there is room for %d", i + 1,
			                 j->n_tokens[i], m->n_ctx);
		for (size_t k = 0; k < j->n_tokens[i]; k++)
			if (j->tokens[i][k] < 0 || j->tokens[i][k] >= n_vocab)
				return trit_fail(err, TRIT_ERR_ARG, "text %zu: token %d is not in the vocabulary of %d", i + 1,
				                 (int)j->tokens[i][k], n_vocab);
	}
	return TRIT_OK;
}

int trit_embed(struct trit_embedder *m, size_t n_texts, const size_t *n_tokens, const trit_token *const *tokens,
               float *out, struct trit_error *err)
{
	struct job j = { .n = n_texts, .n_tokens = n_tokens, .tokens = tokens, .out = out };
	int n, e = check_texts(m, &j, err);
	if (e)
		return e;
	memset(out, 0, n_texts * (size_t)m->model->config.d_model * sizeof *out);
	while ((n = fill_batch(m, &j)) > 0) {
		trit_forward_run(&m->forward, n, m->tokens);
		collect(m, &j);
	}
	return TRIT_OK;
}

int trit_model_embedding_width(const struct trit_model *m)
{
	return m->config.d_model;
}
