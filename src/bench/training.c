/*
 * training.c - steps of training, and the limits of the machine between them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/training.h"

#include "base/clock.h"
#include "bench/bench.h"
#include "train/net.h"
#include "train/optim.h"

#define PEAK_SECONDS 0.02

struct session {
	struct trit_recipe recipe;
	struct trit_config config;
	struct trit_kernels kernels, step_kernels;
	struct trit_pool *pool;
	struct trit_params params;
	struct trit_net net;
	struct trit_optim optim;
	trit_token *batch; /* [batch, S + 1] */
	int step;
};

/* ---- limits ------------------------------------------------------------------------------------------------------ */

struct peak_job {
	trit_peak_fn *fn;
	double done[TRIT_MAX_THREADS];
};

static void peak_thread(void *arg, int index, int n)
{
	struct peak_job *job = arg;
	double end = trit_clock() + PEAK_SECONDS;
	(void)n;
	job->done[index] = 0;
	while (trit_clock() < end)
		job->done[index] += job->fn(20);
}

/* Raises the most that was measured. */
static void measure_peak(double *peak, const struct session *s, trit_peak_fn *fn)
{
	struct peak_job job = { .fn = fn };
	double begin = trit_clock(), done = 0;
	trit_pool_run(s->pool, peak_thread, &job);
	double seconds = trit_clock() - begin;
	for (int i = 0; i < trit_pool_size(s->pool); i++)
		done += job.done[i];
	if (done / seconds > *peak)
		*peak = done / seconds;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static int open_session(struct session *s, const struct trit_training_test *t, struct trit_error *err)
{
	const struct trit_recipe *r = &s->recipe;
	struct trit_net_options options = { .backward = (enum trit_backward)t->recipe.backward, .recompute = t->recompute,
		                                .steps = &s->step_kernels };
	struct trit_rng rng;
	size_t n = (size_t)t->recipe.batch * ((size_t)t->recipe.seq_len + 1);
	int e;
	*s = (struct session){ .recipe = t->recipe };
	if ((e = trit_recipe_config(r, &s->config, err)) || (e = trit_kernels_select(&s->kernels, t->cpu, err)) ||
	    (e = trit_recipe_choose_precision(&s->recipe, &s->kernels, err)))
		return e;
	s->step_kernels = trit_recipe_kernels(r, &s->kernels);
	if ((e = trit_pool_new(&s->pool, t->n_threads, err)) || (e = trit_params_init(&s->params, &s->config, err)) ||
	    (e = trit_net_init(&s->net, &s->config, trit_recipe_method(r), &s->params, &s->kernels, s->pool, r->seq_len,
	                       r->micro_batch, &options, err)) ||
	    (e = trit_optim_init(&s->optim, &s->params, &s->step_kernels, s->pool, r, NULL, err)))
		return e;
	s->batch = trit_calloc(n, sizeof *s->batch);
	if (!s->batch)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a batch");
	trit_rng_init(&rng, r->seed);
	for (size_t i = 0; i < n; i++)
		s->batch[i] = (trit_token)trit_rng_below(&rng, (uint64_t)s->config.n_vocab);
	trit_params_randomise(&s->params, &s->config, r->seed);
	trit_net_quantise(&s->net);
	return TRIT_OK;
}

static void close_session(struct session *s)
{
	trit_optim_release(&s->optim);
	trit_net_release(&s->net);
	trit_params_release(&s->params);
	trit_pool_free(s->pool);
	trit_free(s->batch);
}

/* Returns the mean loss. */
static double step(struct session *s)
{
	const struct trit_recipe *r = &s->recipe;
	double tokens = (double)r->batch * r->seq_len, loss = 0;
	for (int i = 0; i < r->batch; i += r->micro_batch) {
		int n = r->batch - i < r->micro_batch ? r->batch - i : r->micro_batch;
		loss += trit_net_step(&s->net, n, s->batch + (size_t)i * ((size_t)r->seq_len + 1), NULL, (float)(1 / tokens));
	}
	trit_optim_step(&s->optim, trit_optim_grad_norm(&s->optim), r->lr, r->weight_decay, ++s->step);
	trit_net_quantise(&s->net);
	return loss / tokens;
}

/* Operations of a step. */
static double operations(const struct session *s)
{
	const struct trit_config *c = &s->config;
	double weights = (double)c->n_vocab * c->d_model, tokens = (double)s->recipe.batch * s->recipe.seq_len;
	for (int i = 0; i < s->params.n; i++)
		if (trit_tensors[s->params.list[i].id].kind == TRIT_KIND_LINEAR)
			weights += (double)s->params.list[i].rows * (double)s->params.list[i].cols;
	return tokens * (6 * weights + 6.0 * s->recipe.seq_len * c->n_layers * (double)trit_config_q_width(c));
}

int trit_training_run(struct trit_training_result *out, const struct trit_training_test *t, struct trit_error *err)
{
	struct session s;
	*out = (struct trit_training_result){ 0 };
	int e = open_session(&s, t, err);
	if (!e) {
		out->tier = trit_tier_name(s.kernels.tier);
		out->bf16 = trit_kernels_round(&s.step_kernels);
		out->parameters = (double)trit_config_parameters(&s.config);
		out->tokens = (double)t->recipe.batch * t->recipe.seq_len;
		out->operations = operations(&s);
		out->memory = (double)s.net.arena.size + 4.0 * sizeof(float) * (double)s.params.total;
		step(&s);
		for (int i = 0; i < t->n_repetitions && i < TRIT_TRAINING_MOST; i++) {
			measure_peak(&out->f32_peak, &s, s.kernels.f32_peak);
			if (trit_kernels_have_bf16(&s.kernels))
				measure_peak(&out->bf16_peak, &s, s.kernels.bf16_peak);
			measure_peak(&out->int8_peak, &s, s.kernels.int8_peak);
			double begin = trit_clock();
			out->loss = step(&s);
			out->seconds[out->n_samples++] = trit_clock() - begin;
		}
		out->peak_memory = (double)trit_peak_memory();
	}
	close_session(&s);
	return e;
}
