/*
 * session.c - one sequence of tokens: its KV cache, the threads that compute, the logits after its last token.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "model/forward.h"

#define DEFAULT_THREADS_MAX 64
/* With fewer weights a thread, a token's share of work is shorter than the waits at its barriers. */
#define WEIGHTS_PER_THREAD 2000000
#define DEFAULT_BATCH 512
#define MAX_BATCH 16384 /* times TRIT_MAX_COLS fits int, in which kernels count */

struct trit_session {
	const struct trit_model *model;
	struct trit_pool *pool;
	struct trit_kv kv;
	struct trit_forward forward;
	struct trit_batch_token *batch; /* [forward.n_batch] */
	bool has_logits;
};

static int default_threads(const struct trit_config *c)
{
	int64_t n = trit_config_parameters(c) / WEIGHTS_PER_THREAD;
	n = n < trit_cpu_count() ? n : trit_cpu_count();
	n = n < DEFAULT_THREADS_MAX ? n : DEFAULT_THREADS_MAX;
	return n < 1 ? 1 : (int)n;
}

static int check_options(struct trit_session_options *o, const struct trit_config *c, struct trit_error *err)
{
	if (o->n_ctx < 0 || o->n_ctx > c->n_ctx)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "a context of %d tokens: the model was trained for %d; ask for 1 to %d, or 0 for all of it",
		                 o->n_ctx, c->n_ctx, c->n_ctx);
	if (o->n_threads < 0 || o->n_threads > TRIT_MAX_THREADS)
		return trit_fail(err, TRIT_ERR_ARG, "%d threads: must be 1 to %d, or 0 for as many as help", o->n_threads,
		                 TRIT_MAX_THREADS);
	if (o->n_batch < 0 || o->n_batch > MAX_BATCH)
		return trit_fail(err, TRIT_ERR_ARG, "a batch of %d tokens: must be 1 to %d, or 0 for %d", o->n_batch, MAX_BATCH,
		                 DEFAULT_BATCH);
	if (o->n_ctx == 0)
		o->n_ctx = c->n_ctx;
	if (o->n_threads == 0)
		o->n_threads = default_threads(c);
	if (o->n_batch == 0)
		o->n_batch = DEFAULT_BATCH;
	if (o->n_batch > o->n_ctx)
		o->n_batch = o->n_ctx;
	return TRIT_OK;
}

int trit_session_new(struct trit_session **out, const struct trit_model *model,
                     const struct trit_session_options *options, struct trit_error *err)
{
	struct trit_session_options o = options ? *options : (struct trit_session_options){ 0 };
	int e = check_options(&o, &model->config, err);
	if (e)
		return e;

	struct trit_session *s = trit_calloc(1, sizeof *s);
	if (!s)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a session");
	s->model = model;
	s->batch = trit_calloc((size_t)o.n_batch, sizeof *s->batch);
	e = s->batch ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch of %d tokens", o.n_batch);
	if (!e)
		e = trit_pool_new(&s->pool, o.n_threads, err);
	if (!e)
		e = trit_kv_init(&s->kv, &model->config, o.n_ctx, err);
	if (!e)
		e = trit_forward_init(&s->forward, model, s->pool, o.n_batch, 1, o.n_ctx, err);
	if (e) {
		trit_session_free(s);
		return e;
	}
	*out = s;
	return TRIT_OK;
}

void trit_session_free(struct trit_session *s)
{
	if (!s)
		return;
	trit_forward_release(&s->forward);
	trit_kv_release(&s->kv);
	trit_pool_free(s->pool);
	trit_free(s->batch);
	trit_free(s);
}

/* Everything that can be wrong is found before anything is computed, so that a failure leaves the session unchanged. */
static int check_feed(const struct trit_session *s, size_t n, const trit_token *tokens, struct trit_error *err)
{
	size_t room = (size_t)(s->kv.n_ctx - s->kv.length);
	if (n == 0)
		return trit_fail(err, TRIT_ERR_ARG, "no tokens to feed");
	if (n > room)
		return trit_fail(err, TRIT_ERR_LIMIT, "%zu tokens do not fit: the context holds %d of %d already", n,
		                 s->kv.length, s->kv.n_ctx);
	for (size_t i = 0; i < n; i++)
		if (tokens[i] < 0 || tokens[i] >= s->model->config.n_vocab)
			return trit_fail(err, TRIT_ERR_ARG, "token %d (number %zu of %zu) is not in the vocabulary of %d",
			                 (int)tokens[i], i + 1, n, s->model->config.n_vocab);
	return TRIT_OK;
}

int trit_session_feed(struct trit_session *s, size_t n, const trit_token *tokens, struct trit_error *err)
{
	int e = check_feed(s, n, tokens, err);
	if (e)
		return e;
	for (size_t done = 0; done < n;) {
		size_t left = n - done;
		int count = left < (size_t)s->forward.n_batch ? (int)left : s->forward.n_batch;
		for (int i = 0; i < count; i++)
			s->batch[i] = (struct trit_batch_token){
				.token = tokens[done + (size_t)i],
				.position = s->kv.length + i,
				.kv = &s->kv,
				.want_logits = done + (size_t)i == n - 1,
			};
		trit_forward_run(&s->forward, count, s->batch);
		s->kv.length += count;
		done += (size_t)count;
	}
	s->has_logits = true;
	return TRIT_OK;
}

const float *trit_session_logits(const struct trit_session *s)
{
	return s->has_logits ? s->forward.logits : NULL;
}

int trit_session_length(const struct trit_session *s)
{
	return s->kv.length;
}

int trit_session_capacity(const struct trit_session *s)
{
	return s->kv.n_ctx;
}

void trit_session_rewind(struct trit_session *s, int n_keep)
{
	if (n_keep < 0)
		n_keep = 0;
	if (n_keep < s->kv.length)
		s->kv.length = n_keep;
	s->has_logits = false;
}
