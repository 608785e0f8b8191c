/*
 * batch.c - sequences that are computed together.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/batch.h"

#include <assert.h>

#define DEFAULT_THREADS_MAX 64
/* With fewer weights a thread, a token's share of work is shorter than the waits at its barriers. */
#define WEIGHTS_PER_THREAD 2000000

struct sequence {
	struct trit_kv kv;
	int pending; /* tokens put since the last run */
	int row;     /* of its logits in forward.logits; -1: none */
};

struct trit_batch {
	const struct trit_model *model;
	struct trit_forward forward;
	struct trit_batch_token *tokens; /* [forward.n_batch] */
	struct sequence *sequences;      /* [n_sequences] */
	int n_tokens, n_sequences;
	int n_logits; /* wanted by the tokens put */
};

int trit_default_threads(const struct trit_config *c)
{
	int64_t n = trit_config_parameters(c) / WEIGHTS_PER_THREAD;
	n = n < trit_cpu_count() ? n : trit_cpu_count();
	n = n < DEFAULT_THREADS_MAX ? n : DEFAULT_THREADS_MAX;
	return n < 1 ? 1 : (int)n;
}

/* An operating system may grant more memory than there is and end the program when it is used. */
static int check_memory(const struct trit_batch_options *o, const struct trit_config *c, struct trit_error *err)
{
	size_t each = trit_kv_bytes(c, o->kv_type, o->n_ctx), all;
	if (each != SIZE_MAX && trit_mul_size(&all, each, (size_t)o->n_sequences) && all <= trit_physical_memory())
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_MEMORY,
	                 "not enough memory for the KV cache%s of %d sequence%s of %d positions: %.1f GiB of %.1f; "
	                 "use a smaller context%s", o->n_sequences > 1 ? "s" : "", o->n_sequences,
	                 o->n_sequences > 1 ? "s" : "", o->n_ctx, (double)each * o->n_sequences / 0x1p30,
	                 (double)trit_physical_memory() / 0x1p30, o->kv_type == TRIT_KV_F16 ? " or --kv-type q8" : "");
}

int trit_batch_new(struct trit_batch **out, const struct trit_model *model, struct trit_pool *pool,
                   const struct trit_batch_options *o, struct trit_error *err)
{
	if (o->n_sequences < 1 || o->n_sequences > TRIT_MAX_BATCH)
		return trit_fail(err, TRIT_ERR_ARG, "%d sequences: must be 1 to %d", o->n_sequences, TRIT_MAX_BATCH);
	if (o->n_batch < 1 || o->n_batch > TRIT_MAX_BATCH)
		return trit_fail(err, TRIT_ERR_ARG, "a batch of %d tokens: must be 1 to %d", o->n_batch, TRIT_MAX_BATCH);
	if (o->n_ctx < 1 || o->n_ctx > TRIT_MAX_CTX)
		return trit_fail(err, TRIT_ERR_ARG, "a context of %d tokens: must be 1 to %d", o->n_ctx, TRIT_MAX_CTX);
	if ((unsigned)o->kv_type >= TRIT_N_KV_TYPES)
		return trit_fail(err, TRIT_ERR_ARG, "KV cache of type %d: must be auto (0), f16 (1), q4 (2), f32 (3) or q8 (4)",
		                 (int)o->kv_type);
	struct trit_batch_options resolved = *o;
	resolved.kv_type = trit_model_kv_type(model, o->kv_type);
	o = &resolved;
	int e = check_memory(o, &model->config, err);
	if (e)
		return e;

	int n_batch = o->n_batch > o->n_sequences ? o->n_batch : o->n_sequences;
	struct trit_batch *b = trit_calloc(1, sizeof *b);
	if (!b)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch");
	b->model = model;
	b->tokens = trit_calloc((size_t)n_batch, sizeof *b->tokens);
	b->sequences = trit_calloc((size_t)o->n_sequences, sizeof *b->sequences);
	if (!b->tokens || !b->sequences)
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch of %d tokens", n_batch);
	else
		e = trit_forward_init(&b->forward, model, pool, n_batch, o->n_sequences, o->n_ctx, err);
	for (int s = 0; s < o->n_sequences && !e; s++) {
		e = trit_kv_init(&b->sequences[s].kv, &model->config, o->kv_type, o->n_ctx, err);
		b->sequences[s].row = -1;
		b->n_sequences = s + 1;
	}
	if (e) {
		trit_batch_free(b);
		return e;
	}
	*out = b;
	return TRIT_OK;
}

void trit_batch_free(struct trit_batch *b)
{
	if (!b)
		return;
	for (int s = 0; s < b->n_sequences; s++)
		trit_kv_release(&b->sequences[s].kv);
	trit_forward_release(&b->forward);
	trit_free(b->sequences);
	trit_free(b->tokens);
	trit_free(b);
}

int trit_batch_check(const struct trit_batch *b, int s, size_t n, const trit_token *tokens, struct trit_error *err)
{
	int held = trit_batch_length(b, s), n_ctx = b->sequences[s].kv.n_ctx;
	if (n == 0)
		return trit_fail(err, TRIT_ERR_ARG, "no tokens to feed");
	if (n > (size_t)(n_ctx - held))
		return trit_fail(err, TRIT_ERR_LIMIT, "%zu tokens do not fit: the context holds %d of %d already", n, held,
		                 n_ctx);
	for (size_t i = 0; i < n; i++)
		if (tokens[i] < 0 || tokens[i] >= b->model->config.n_vocab)
			return trit_fail(err, TRIT_ERR_ARG, "token %d (number %zu of %zu) is not in the vocabulary of %d",
			                 (int)tokens[i], i + 1, n, b->model->config.n_vocab);
	return TRIT_OK;
}

int trit_batch_room(const struct trit_batch *b)
{
	return b->forward.n_batch - b->n_tokens;
}

void trit_batch_put(struct trit_batch *b, int s, int n, const trit_token *tokens, bool want_logits)
{
	struct sequence *seq = &b->sequences[s];
	assert(n >= 1 && n <= trit_batch_room(b) && n <= seq->kv.n_ctx - trit_batch_length(b, s));
	if (seq->pending == 0)
		seq->row = -1;
	assert(seq->row < 0 || !want_logits);
	for (int i = 0; i < n; i++)
		b->tokens[b->n_tokens++] = (struct trit_batch_token){
			.token = tokens[i],
			.position = seq->kv.length + seq->pending++,
			.kv = &seq->kv,
			.want_logits = want_logits && i == n - 1,
		};
	if (want_logits)
		seq->row = b->n_logits++;
}

void trit_batch_run(struct trit_batch *b)
{
	assert(b->n_tokens > 0);
	trit_forward_run(&b->forward, b->n_tokens, b->tokens);
	for (int s = 0; s < b->n_sequences; s++) {
		struct sequence *seq = &b->sequences[s];
		if (seq->pending == 0)
			seq->row = -1;
		seq->kv.length += seq->pending;
		seq->pending = 0;
	}
	b->n_tokens = b->n_logits = 0;
}

const float *trit_batch_logits(const struct trit_batch *b, int s)
{
	int row = b->sequences[s].row;
	return row < 0 ? NULL : b->forward.logits + (size_t)row * (size_t)b->model->config.n_vocab;
}

int trit_batch_length(const struct trit_batch *b, int s)
{
	return b->sequences[s].kv.length + b->sequences[s].pending;
}

void trit_batch_rewind(struct trit_batch *b, int s, int n_keep)
{
	struct sequence *seq = &b->sequences[s];
	assert(seq->pending == 0);
	if (n_keep < 0)
		n_keep = 0;
	if (n_keep < seq->kv.length)
		seq->kv.length = n_keep;
	seq->row = -1;
}
