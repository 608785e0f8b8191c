/*
 * bench.c - runs one test: set-up, warm-up, repetitions with the limits measured between them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/bench.h"

#include <math.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"
#include "bench/limits.h"
#include "run/batch.h"

#define SEED 1
#define STARTS 1024 /* places in the random tokens where a sequence may begin to read */

struct run {
	const struct trit_bench_test *test;
	const struct trit_bench_options *options;
	struct trit_pool *pool;
	struct trit_batch *batch;
	struct trit_limits limits;
	trit_token *tokens; /* [STARTS + n_batch] */
	unsigned start;
	int done;
};

/* ---- one repetition ---------------------------------------------------------------------------------------------- */

/* Random tokens, at least n_batch of them; others at each call. */
static const trit_token *next_tokens(struct run *r)
{
	r->start = (r->start + 389) % STARTS;
	return r->tokens + r->start;
}

static bool compute(struct run *r)
{
	const struct trit_bench_options *o = r->options;
	if (o->go_on && !o->go_on(o->arg, r->done))
		return false;
	trit_batch_run(r->batch);
	return true;
}

/* n tokens to each sequence, as many of them in a run as fit. */
static bool feed(struct run *r, int n, bool want_logits)
{
	for (int s = 0; s < r->test->n_sequences; s++) {
		for (int left = n, count; left; left -= count) {
			int room = trit_batch_room(r->batch);
			count = left < room ? left : room;
			trit_batch_put(r->batch, s, count, next_tokens(r), want_logits && count == left);
			bool last = s == r->test->n_sequences - 1 && count == left;
			if ((count == room || last) && !compute(r))
				return false;
		}
	}
	return true;
}

static bool repeat(struct run *r, int n_prompt, int n_gen, struct trit_bench_sample *sample)
{
	double begin = trit_clock();
	r->start = 0;
	if (!feed(r, n_prompt, true))
		return false;
	sample->prompt_seconds = trit_clock() - begin;
	for (int i = 0; i < n_gen; i++)
		if (!feed(r, 1, true))
			return false;
	sample->seconds = trit_clock() - begin;
	for (int s = 0; s < r->test->n_sequences; s++)
		trit_batch_rewind(r->batch, s, r->test->n_depth);
	return true;
}

/* ---- one test ---------------------------------------------------------------------------------------------------- */

int trit_bench_check(const struct trit_bench_test *t, struct trit_error *err)
{
	if (t->n_prompt < 0 || t->n_gen < 0 || t->n_depth < 0 || (t->n_prompt == 0 && t->n_gen == 0))
		return trit_fail(err, TRIT_ERR_ARG, "nothing to measure: neither a prompt nor tokens to generate");
	if (t->n_threads < 1 || t->n_threads > TRIT_MAX_THREADS)
		return trit_fail(err, TRIT_ERR_ARG, "%d threads: must be 1 to %d", t->n_threads, TRIT_MAX_THREADS);
	if (t->n_batch < 1 || t->n_batch > TRIT_MAX_BATCH)
		return trit_fail(err, TRIT_ERR_ARG, "a batch of %d tokens: must be 1 to %d", t->n_batch, TRIT_MAX_BATCH);
	if (t->n_sequences < 1 || t->n_sequences > TRIT_MAX_BATCH)
		return trit_fail(err, TRIT_ERR_ARG, "%d sequences: must be 1 to %d", t->n_sequences, TRIT_MAX_BATCH);
	if ((int64_t)t->n_depth + t->n_prompt + t->n_gen > TRIT_MAX_CTX)
		return trit_fail(err, TRIT_ERR_LIMIT, "a context of %lld tokens (depth, prompt, generated): must be 1 to %d",
		                 (long long)t->n_depth + t->n_prompt + t->n_gen, TRIT_MAX_CTX);
	return TRIT_OK;
}

static int set_up(struct run *r, const struct trit_model *m, struct trit_error *err)
{
	const struct trit_bench_test *t = r->test;
	struct trit_batch_options bo = {
		.n_sequences = t->n_sequences,
		.n_ctx = t->n_depth + t->n_prompt + t->n_gen,
		.n_batch = t->n_batch,
		.kv_type = t->kv_type,
	};
	struct trit_rng rng;
	int e = trit_pool_new(&r->pool, t->n_threads, err);
	if (!e)
		e = trit_batch_new(&r->batch, m, r->pool, &bo, err);
	if (!e)
		e = trit_limits_init(&r->limits, m, r->pool, r->options->read_buffer, err);
	if (e)
		return e;
	size_t n_tokens = STARTS + (size_t)trit_batch_room(r->batch); /* a put begins at one of STARTS places */
	r->tokens = trit_calloc(n_tokens, sizeof *r->tokens);
	if (!r->tokens)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", n_tokens);
	trit_rng_init(&rng, SEED);
	for (size_t i = 0; i < n_tokens; i++)
		r->tokens[i] = (trit_token)trit_rng_below(&rng, (uint64_t)m->config.n_vocab);
	return TRIT_OK;
}

/* Tokens, and what they must cost at least. */
static void count(struct trit_bench_result *out, const struct trit_model *m)
{
	const struct trit_bench_test *t = &out->test;
	struct trit_cost c = trit_cost_of(m, t->kv_type);
	double prompt = (double)t->n_sequences * t->n_prompt, gen = (double)t->n_sequences * t->n_gen;
	int n_batch = t->n_batch > t->n_sequences ? t->n_batch : t->n_sequences;
	double runs = ceil(prompt / n_batch), runs_each = ceil((double)t->n_prompt / n_batch);

	out->tokens = prompt + gen;
	out->int8_ops = out->tokens * c.int8_ops;
	out->bytes = runs * c.layer_bytes + (t->n_prompt > 0) * c.head_bytes + t->n_gen * (c.layer_bytes + c.head_bytes) +
	             out->tokens * c.embd_bytes;
	/* A run of a prompt reads the positions of its sequence once, half of the prompt on average. A token that is
	 * generated reads all up to its own. */
	out->bytes += c.kv_bytes * t->n_sequences * runs_each * (t->n_depth + t->n_prompt / 2.0);
	out->bytes += c.kv_bytes * gen * (t->n_depth + t->n_prompt + (t->n_gen + 1) / 2.0);
}

static void measure(struct run *r, struct trit_bench_result *out)
{
	const struct trit_bench_test *t = r->test;
	struct trit_bench_sample warm;
	if (t->n_depth && !feed(r, t->n_depth, false))
		return;
	if (!r->options->no_warm_up && !repeat(r, t->n_prompt, t->n_gen > 0, &warm))
		return;
	for (; r->done < r->options->n_repetitions; r->done++) {
		struct trit_bench_sample *s = &out->samples[r->done];
		s->read_limit = trit_limits_read(&r->limits);
		s->int8_limit = trit_limits_int8(&r->limits);
		if (!repeat(r, t->n_prompt, t->n_gen, s))
			return;
		out->n_samples = r->done + 1;
	}
}

int trit_bench_run(struct trit_bench_result *out, const struct trit_model *m, const struct trit_bench_test *t,
                   const struct trit_bench_options *o, struct trit_error *err)
{
	struct trit_bench_result result = { .test = *t, .time = (int64_t)time(NULL) };
	struct run r = { .test = &result.test, .options = o };
	int e = trit_bench_check(t, err);
	if (!e && o->n_repetitions < 1)
		e = trit_fail(err, TRIT_ERR_ARG, "%d repetitions: at least 1", o->n_repetitions);
	if (e)
		return e;
	result.test.kv_type = trit_model_kv_type(m, t->kv_type);
	result.samples = trit_calloc((size_t)o->n_repetitions, sizeof *result.samples);
	if (!result.samples)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d repetitions", o->n_repetitions);
	e = set_up(&r, m, err);
	if (!e) {
		count(&result, m);
		measure(&r, &result);
		result.peak_memory = trit_peak_memory();
		*out = result;
	} else {
		trit_free(result.samples);
	}
	trit_limits_release(&r.limits);
	trit_batch_free(r.batch);
	trit_pool_free(r.pool);
	trit_free(r.tokens);
	return e;
}
