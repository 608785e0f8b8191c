/*
 * sampler.c - from logits to a token.
 *
 * The same seed and the same logits give the same token on every machine: exponentials are base/fmath.h's, sums run
 * in a fixed order, and candidates are ordered by (logit descending, token ascending), which leaves no ties.
 * Sorting is by a heap from which only as many candidates are taken as top-k and top-p need.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/sampler.h"

#include <float.h>
#include <math.h>

#include "base/fmath.h"
#include "base/mem.h"
#include "base/rng.h"

#define MAX_LAST_N (1 << 24)

struct trit_sampler {
	struct trit_sampler_options options;
	int n_vocab;
	struct trit_rng rng;
	struct trit_candidate *candidates; /* [V] */

	/* The last n_recent <= repeat_last_n tokens, a ring; recent_at is where the next one goes. */
	trit_token *recent; /* [repeat_last_n] */
	int recent_at, n_recent;
	int *count; /* [V]: how often a token is in the ring */
};

struct trit_sampler_options trit_sampler_defaults(void)
{
	return (struct trit_sampler_options){
		.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .repeat_penalty = 1.0f, .repeat_last_n = 64,
	};
}

/* The comparisons are written so that NaN fails them. */
static int check_options(const struct trit_sampler_options *o, struct trit_error *err)
{
	if (!(o->temperature >= 0 && o->temperature <= FLT_MAX))
		return trit_fail(err, TRIT_ERR_ARG, "temperature %g: must be 0 or more", (double)o->temperature);
	if (o->top_k < 0)
		return trit_fail(err, TRIT_ERR_ARG, "top_k %d: must be 0 (all) or more", o->top_k);
	if (!(o->top_p >= 0 && o->top_p <= 1))
		return trit_fail(err, TRIT_ERR_ARG, "top_p %g: must be from 0 to 1", (double)o->top_p);
	if (!(o->min_p >= 0 && o->min_p <= 1))
		return trit_fail(err, TRIT_ERR_ARG, "min_p %g: must be from 0 to 1", (double)o->min_p);
	if (!(o->repeat_penalty > 0 && o->repeat_penalty <= FLT_MAX))
		return trit_fail(err, TRIT_ERR_ARG, "repeat_penalty %g: must be more than 0", (double)o->repeat_penalty);
	if (o->repeat_last_n < 0 || o->repeat_last_n > MAX_LAST_N)
		return trit_fail(err, TRIT_ERR_ARG, "repeat_last_n %d: must be from 0 to %d", o->repeat_last_n, MAX_LAST_N);
	return TRIT_OK;
}

int trit_sampler_new(struct trit_sampler **out, int vocab_size, const struct trit_sampler_options *options,
                     struct trit_error *err)
{
	struct trit_sampler_options o = options ? *options : trit_sampler_defaults();
	int e = check_options(&o, err);
	if (e)
		return e;
	if (vocab_size < 1)
		return trit_fail(err, TRIT_ERR_ARG, "vocabulary of %d tokens: must have at least 1", vocab_size);

	size_t v = (size_t)vocab_size;
	struct trit_sampler *s = trit_calloc(1, sizeof *s);
	if (!s)
		goto no_memory;
	s->options = o;
	s->n_vocab = vocab_size;
	s->candidates = trit_calloc(v, sizeof *s->candidates);
	s->recent = trit_calloc((size_t)o.repeat_last_n, sizeof *s->recent);
	s->count = trit_calloc(v, sizeof *s->count);
	if (!s->candidates || !s->recent || !s->count)
		goto no_memory;
	trit_rng_init(&s->rng, o.seed);
	*out = s;
	return TRIT_OK;

no_memory:
	trit_sampler_free(s);
	return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a sampler of %d tokens", vocab_size);
}

void trit_sampler_free(struct trit_sampler *s)
{
	if (!s)
		return;
	trit_free(s->candidates);
	trit_free(s->recent);
	trit_free(s->count);
	trit_free(s);
}

void trit_sampler_accept(struct trit_sampler *s, trit_token token)
{
	int last_n = s->options.repeat_last_n;
	if (last_n == 0 || token < 0 || token >= s->n_vocab)
		return;
	if (s->n_recent == last_n)
		s->count[s->recent[s->recent_at]]--;
	else
		s->n_recent++;
	s->recent[s->recent_at] = token;
	s->recent_at = (s->recent_at + 1) % last_n;
	s->count[token]++;
}

/* ---- ordering ---------------------------------------------------------------------------------------------------- */

static bool before(const struct trit_candidate *a, const struct trit_candidate *b)
{
	return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

static void swap(struct trit_candidate *a, struct trit_candidate *b)
{
	struct trit_candidate t = *a;
	*a = *b;
	*b = t;
}

/* Restores the heap c[0..n) (parents before children) whose element `at` may be too late for its place. */
static void sift_down(struct trit_candidate *c, int n, int at)
{
	for (;;) {
		int best = at, left = 2 * at + 1; /* V is an int of at most 2^22, so 2 V fits */
		for (int child = left; child < n && child < left + 2; child++)
			if (before(&c[child], &c[best]))
				best = child;
		if (best == at)
			return;
		swap(&c[at], &c[best]);
		at = best;
	}
}

/* Moves the best candidates to the front, in order, until there are `most` of them or their p sum to `mass`. Returns
 * how many that were; at least 1. n >= 1, most >= 1. */
static int take_best(struct trit_candidate *c, int n, int most, double mass)
{
	int taken = 0;
	double sum = 0;
	for (int i = n / 2 - 1; i >= 0; i--)
		sift_down(c, n, i);
	do { /* the taken ones stand behind the heap, best last */
		sum += c[0].p;
		taken++;
		swap(&c[0], &c[n - taken]);
		sift_down(c, n - taken, 0);
	} while (taken < n && taken < most && sum < mass);
	for (int i = 0; i < n / 2; i++)
		swap(&c[i], &c[n - 1 - i]);
	return taken;
}

/* ---- the steps --------------------------------------------------------------------------------------------------- */

/* The finite logits, penalised as Keskar et al. (2019) do, but negative ones multiplied instead of divided, so that all
 * go down. */
static int gather(struct trit_sampler *s, const float *logits)
{
	float penalty = s->options.repeat_penalty;
	int n = 0;
	for (int i = 0; i < s->n_vocab; i++) {
		float l = logits[i];
		if (!isfinite(l))
			continue;
		if (s->count[i] && penalty != 1.0f) {
			l = l > 0 ? l / penalty : l * penalty;
			l = fminf(fmaxf(l, -FLT_MAX), FLT_MAX);
		}
		s->candidates[n++] = (struct trit_candidate){ .logit = l, .token = i };
	}
	return n;
}

static float highest_logit(const struct trit_candidate *c, int n)
{
	float max = c[0].logit;
	for (int i = 1; i < n; i++)
		max = c[i].logit > max ? c[i].logit : max;
	return max;
}

/* Sets p = softmax(logit / temperature). */
static void set_probabilities(struct trit_candidate *c, int n, float temperature)
{
	double max = highest_logit(c, n), sum = 0;
	for (int i = 0; i < n; i++)
		sum += c[i].p = trit_exp((c[i].logit - max) / temperature);
	for (int i = 0; i < n; i++)
		c[i].p /= sum;
}

static int keep_most_likely(struct trit_candidate *c, int n)
{
	for (int i = 1; i < n; i++)
		if (before(&c[i], &c[0]))
			c[0] = c[i];
	c[0].p = 1;
	return 1;
}

static int drop_unlikely(struct trit_candidate *c, int n, float min_p)
{
	double max = 0;
	int kept = 0;
	for (int i = 0; i < n; i++)
		max = c[i].p > max ? c[i].p : max;
	for (int i = 0; i < n; i++)
		if (c[i].p >= min_p * max)
			c[kept++] = c[i];
	return kept;
}

const struct trit_candidate *trit_sampler_candidates(struct trit_sampler *s, const float *logits, int *n_out)
{
	const struct trit_sampler_options *o = &s->options;
	int n = gather(s, logits);
	*n_out = n;
	if (n == 0)
		return s->candidates;
	if (o->temperature == 0) {
		*n_out = keep_most_likely(s->candidates, n);
		return s->candidates;
	}
	if (o->top_k > 0 && o->top_k < n)
		n = take_best(s->candidates, n, o->top_k, INFINITY);
	if (o->top_p < 1 || o->min_p > 0)
		set_probabilities(s->candidates, n, 1.0f);
	if (o->top_p < 1)
		n = take_best(s->candidates, n, n, o->top_p);
	if (o->min_p > 0)
		n = drop_unlikely(s->candidates, n, o->min_p);
	set_probabilities(s->candidates, n, o->temperature);
	*n_out = n;
	return s->candidates;
}

trit_token trit_sampler_next(struct trit_sampler *s, const float *logits)
{
	int n;
	const struct trit_candidate *c = trit_sampler_candidates(s, logits, &n);
	trit_token token = n ? c[0].token : 0;
	if (n > 1) {
		/* 53 random bits. Should rounding leave the sum of p below u, the last candidate with p > 0 is drawn. */
		double u = (double)(trit_rng_next(&s->rng) >> 11) * 0x1p-53;
		for (int i = 0; i < n && u >= 0; i++) {
			token = c[i].p > 0 ? c[i].token : token;
			u -= c[i].p;
		}
	}
	trit_sampler_accept(s, token);
	return token;
}
