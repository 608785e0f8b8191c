/*
 * session.c - one sequence of tokens: a batch of its own and the threads that compute.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/batch.h"

struct trit_session {
	struct trit_pool *pool;
	struct trit_batch *batch; /* of one sequence */
	int n_ctx;
};

static int check_options(struct trit_session_options *o, const struct trit_config *c, struct trit_error *err)
{
	if (o->n_ctx < 0 || o->n_ctx > c->n_ctx)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "a context of %d tokens: the model was trained for %d; ask for 1 to %d, or 0 for all of it",
		                 o->n_ctx, c->n_ctx, c->n_ctx);
	if (o->n_threads < 0 || o->n_threads > TRIT_MAX_THREADS)
		return trit_fail(err, TRIT_ERR_ARG, "%d threads: must be 1 to %d, or 0 for as many as help", o->n_threads,
		                 TRIT_MAX_THREADS);
	if (o->n_batch < 0 || o->n_batch > TRIT_MAX_BATCH)
		return trit_fail(err, TRIT_ERR_ARG, "a batch of %d tokens: must be 1 to %d, or 0 for %d", o->n_batch,
		                 TRIT_MAX_BATCH, TRIT_DEFAULT_BATCH);
	if (o->n_ctx == 0)
		o->n_ctx = c->n_ctx;
	if (o->n_threads == 0)
		o->n_threads = trit_default_threads(c);
	if (o->n_batch == 0)
		o->n_batch = TRIT_DEFAULT_BATCH;
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
	s->n_ctx = o.n_ctx;
	struct trit_batch_options bo = {
		.n_sequences = 1, .n_ctx = o.n_ctx, .n_batch = o.n_batch, .kv_type = o.kv_type
	};
	e = trit_pool_new(&s->pool, o.n_threads, err);
	if (!e)
		e = trit_batch_new(&s->batch, model, s->pool, &bo, err);
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
	trit_batch_free(s->batch);
	trit_pool_free(s->pool);
	trit_free(s);
}

int trit_session_feed(struct trit_session *s, size_t n, const trit_token *tokens, struct trit_error *err)
{
	int e = trit_batch_check(s->batch, 0, n, tokens, err);
	if (e)
		return e;
	for (size_t done = 0; done < n;) {
		size_t left = n - done, room = (size_t)trit_batch_room(s->batch), count = left < room ? left : room;
		trit_batch_put(s->batch, 0, (int)count, tokens + done, count == left);
		trit_batch_run(s->batch);
		done += count;
	}
	return TRIT_OK;
}

const float *trit_session_logits(const struct trit_session *s)
{
	return trit_batch_logits(s->batch, 0);
}

int trit_session_length(const struct trit_session *s)
{
	return trit_batch_length(s->batch, 0);
}

int trit_session_capacity(const struct trit_session *s)
{
	return s->n_ctx;
}

void trit_session_rewind(struct trit_session *s, int n_keep)
{
	trit_batch_rewind(s->batch, 0, n_keep);
}
