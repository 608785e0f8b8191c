/*
 * perplexity.c - the perplexity of a text.
 *
 * The unscored half of a chunk goes through the model in batches without logits, the scored half in batches of as many
 * rows of logits as there is room for. Threads score rows, each row as a whole; the sums over rows run in order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "eval/perplexity.h"

#include <math.h>

#include "base/fmath.h"
#include "model/forward.h"
#include "model/log_loss.h"

#define MAX_LOGIT_BYTES ((size_t)64 << 20)
#define DEFAULT_BATCH 512
#define MIN_CTX 4

double trit_perplexity_value(const struct trit_perplexity *p)
{
	return p->count ? trit_exp(p->nll / (double)p->count) : NAN;
}

double trit_perplexity_error(const struct trit_perplexity *p)
{
	if (p->count < 2)
		return NAN;
	double n = (double)p->count, mean = p->nll / n, variance = p->nll2 / n - mean * mean;
	return variance > 0 ? trit_perplexity_value(p) * sqrt(variance / (n - 1)) : 0;
}

struct measurement {
	const struct trit_model *model;
	struct trit_pool *pool;
	struct trit_kv kv;
	struct trit_forward forward;
	struct trit_batch_token *batch; /* [n_batch] */
	trit_token *chunk;              /* [n_ctx + 1] */
	const float *weights;           /* of the chunk's predictions; NULL: all count */
	double *nll;                    /* [n_logits]: of the rows of one batch */
	const trit_token *targets;      /* the token that each row predicts */
	int n_rows;
};

/* Thread `index` of n: its rows. */
static void score_rows(void *arg, int index, int n)
{
	struct measurement *m = arg;
	size_t n_vocab = (size_t)m->model->config.n_vocab;
	for (int row = index; row < m->n_rows; row += n) {
		const float *logits = m->forward.logits + (size_t)row * n_vocab;
		m->nll[row] = trit_log_loss(&m->model->kernels, logits, (int)n_vocab, m->targets[row]);
	}
}

/* Runs tokens [begin, end) of the chunk, all or none of them scored. */
static void run_batch(struct measurement *m, int begin, int end, bool scored, struct trit_perplexity *sums)
{
	for (int i = begin; i < end; i++)
		m->batch[i - begin] = (struct trit_batch_token){
			.token = m->chunk[i], .position = i, .kv = &m->kv, .want_logits = scored,
		};
	trit_forward_run(&m->forward, end - begin, m->batch);
	m->kv.length = end;
	if (!scored)
		return;
	m->targets = m->chunk + begin + 1;
	m->n_rows = end - begin;
	trit_pool_run(m->pool, score_rows, m);
	for (int i = 0; i < m->n_rows; i++) {
		if (m->weights && m->weights[begin + i] == 0)
			continue;
		sums->nll += m->nll[i];
		sums->nll2 += m->nll[i] * m->nll[i];
		sums->count++;
	}
}

/* Scores the predictions after tokens [first, last), from a beginning of its own. */
static void run_chunk(struct measurement *m, int first, int last, struct trit_perplexity *sums)
{
	m->kv.length = 0;
	for (int i = 0; i < first;) {
		int end = first - i > m->forward.n_batch ? i + m->forward.n_batch : first;
		run_batch(m, i, end, false, sums);
		i = end;
	}
	for (int i = first; i < last;) {
		int end = last - i > m->forward.n_logits ? i + m->forward.n_logits : last;
		run_batch(m, i, end, true, sums);
		i = end;
	}
	sums->n_chunks++;
}

static int check(const struct trit_model *model, size_t n_tokens, const trit_token *tokens,
                 const struct trit_perplexity_options *o, struct trit_error *err)
{
	const struct trit_config *c = &model->config;
	if (o->n_ctx < MIN_CTX || o->n_ctx > c->n_ctx)
		return trit_fail(err, TRIT_ERR_ARG, "a context of %d tokens: must be from %d to the model's %d",
		                 o->n_ctx, MIN_CTX, c->n_ctx);
	if (o->n_batch < 0 || o->n_threads < 0 || o->n_threads > TRIT_MAX_THREADS || o->n_chunks < 0)
		return trit_fail(err, TRIT_ERR_ARG, "batch size %d, %d threads, %d chunks: out of range", o->n_batch,
		                 o->n_threads, o->n_chunks);
	if (o->windows && n_tokens < (size_t)o->n_ctx + 1)
		return trit_fail(err, TRIT_ERR_ARG, "%zu tokens are fewer than a window of %d + 1", n_tokens, o->n_ctx);
	if (!o->windows && n_tokens / 2 < (size_t)o->n_ctx)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "the text has %zu tokens; a context of %d needs at least %zu: "
		                 "give more text or a smaller context",
		                 n_tokens, o->n_ctx, 2 * (size_t)o->n_ctx);
	if (n_tokens / (size_t)o->n_ctx > INT32_MAX)
		return trit_fail(err, TRIT_ERR_ARG, "the text has %zu tokens: too many", n_tokens);
	for (size_t i = 0; i < n_tokens; i++)
		if (tokens[i] < 0 || tokens[i] >= c->n_vocab)
			return trit_fail(err, TRIT_ERR_ARG, "token %d (number %zu) is not in the vocabulary of %d",
			                 (int)tokens[i], i, c->n_vocab);
	return TRIT_OK;
}

static int init(struct measurement *m, const struct trit_model *model, const struct trit_perplexity_options *o,
                struct trit_error *err)
{
	int n_batch = o->n_batch ? o->n_batch : DEFAULT_BATCH;
	int n_threads = o->n_threads ? o->n_threads : trit_cpu_count();
	size_t rows = MAX_LOGIT_BYTES / sizeof(float) / (size_t)model->config.n_vocab;
	n_threads = n_threads < TRIT_MAX_THREADS ? n_threads : TRIT_MAX_THREADS;
	n_batch = n_batch < o->n_ctx ? n_batch : o->n_ctx;
	int n_logits = rows < 1 ? 1 : rows < (size_t)n_batch ? (int)rows : n_batch;

	*m = (struct measurement){ .model = model };
	m->batch = trit_calloc((size_t)n_batch, sizeof *m->batch);
	m->chunk = trit_calloc((size_t)o->n_ctx + 1, sizeof *m->chunk);
	m->nll = trit_calloc((size_t)n_logits, sizeof *m->nll);
	if (!m->batch || !m->chunk || !m->nll)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch of %d tokens", n_batch);
	int e = trit_pool_new(&m->pool, n_threads, err);
	if (!e)
		e = trit_kv_init(&m->kv, &model->config, trit_model_kv_type(model, o->kv_type), o->n_ctx, err);
	if (!e)
		e = trit_forward_init(&m->forward, model, m->pool, n_batch, n_logits, o->n_ctx, err);
	return e;
}

static void release(struct measurement *m)
{
	trit_forward_release(&m->forward);
	trit_kv_release(&m->kv);
	trit_pool_free(m->pool);
	trit_free(m->batch);
	trit_free(m->chunk);
	trit_free(m->nll);
}

int trit_perplexity_measure(struct trit_perplexity *out, const struct trit_model *model, size_t n_tokens,
                            const trit_token *tokens, const struct trit_perplexity_options *o, struct trit_error *err)
{
	struct measurement m = { 0 };
	struct trit_perplexity sums = { 0 };
	int e = check(model, n_tokens, tokens, o, err);
	if (e)
		return e;
	e = init(&m, model, o, err);
	if (e)
		goto out;

	const struct trit_vocab *vocab = model->tokenizer ? trit_tokenizer_vocab(model->tokenizer) : NULL;
	bool add_bos = vocab && vocab->add_bos && vocab->bos >= 0;
	size_t length = (size_t)o->n_ctx + o->windows;
	/* The last token of either is only predicted, never read. */
	int first = o->windows ? 0 : o->n_ctx / 2, last = (int)length - 1, n_chunks = (int)(n_tokens / length);
	if (o->n_chunks && o->n_chunks < n_chunks)
		n_chunks = o->n_chunks;
	for (int i = 0; i < n_chunks; i++) {
		memcpy(m.chunk, tokens + (size_t)i * length, length * sizeof *m.chunk);
		if (add_bos && !o->windows)
			m.chunk[0] = vocab->bos;
		m.weights = o->weights ? o->weights + (size_t)i * (size_t)o->n_ctx : NULL;
		run_chunk(&m, first, last, &sums);
		if (o->progress && !o->progress(o->arg, &sums, n_chunks))
			break;
	}
	*out = sums;
out:
	release(&m);
	return e;
}
