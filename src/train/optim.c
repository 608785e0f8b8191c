/*
 * optim.c - the optimiser: which parameter goes by what, on which thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/optim.h"

#include <math.h>

#include "base/fmath.h"
#include "base/mem.h"
#include "train/muon.h"

#define PIECE 4096
#define MAX_SUMS 1024

/* Each thread sums its own block sums; there are MAX_SUMS blocks whatever the number of threads. */
struct norm_job {
	const struct trit_params *p;
	const struct trit_kernels *k;
	double sums[MAX_SUMS];
};

static void norm_thread(void *arg, int index, int n)
{
	struct norm_job *job = arg;
	size_t block = (job->p->total + MAX_SUMS - 1) / MAX_SUMS;
	for (int b = index; b < MAX_SUMS; b += n) {
		size_t end = block * ((size_t)b + 1) < job->p->total ? block * ((size_t)b + 1) : job->p->total;
		double sum = 0;
		for (size_t i = block * (size_t)b; i < end; i += PIECE)
			sum += (double)job->k->sum_squares(job->p->g + i, (int)(end - i < PIECE ? end - i : PIECE));
		job->sums[b] = sum;
	}
}

double trit_optim_grad_norm(const struct trit_optim *o)
{
	struct norm_job job = { .p = o->params, .k = o->kernels };
	double sum = 0;
	trit_pool_run(o->pool, norm_thread, &job);
	for (int b = 0; b < MAX_SUMS; b++)
		sum += job.sums[b];
	return sqrt(sum);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static bool by_muon(const struct trit_recipe *r, const struct trit_param *t)
{
	return r->optimizer != TRIT_OPTIMIZER_ADAMW && t->kind == TRIT_KIND_LINEAR;
}

int trit_optim_init(struct trit_optim *o, struct trit_params *p, const struct trit_kernels *k, struct trit_pool *pool,
                    const struct trit_recipe *r, struct trit_error *err)
{
	size_t threads = pool ? (size_t)trit_pool_size(pool) : 1;
	*o = (struct trit_optim){ .params = p, .kernels = k, .pool = pool, .recipe = r };
	for (int i = 0; i < p->n; i++) {
		size_t need = by_muon(r, &p->list[i]) ? trit_muon_scratch(p->list[i].rows, p->list[i].cols) : 0;
		o->thread_scratch = need > o->thread_scratch ? need : o->thread_scratch;
	}
	if (!o->thread_scratch)
		return TRIT_OK;
	if (o->thread_scratch < SIZE_MAX / sizeof *o->scratch / threads)
		o->scratch = trit_calloc(threads, o->thread_scratch * sizeof *o->scratch);
	if (o->scratch)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for Muon with %zu threads", threads);
}

void trit_optim_release(struct trit_optim *o)
{
	trit_free(o->scratch);
	*o = (struct trit_optim){ 0 };
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

struct step_job {
	const struct trit_optim *o;
	struct trit_adamw adamw;
	struct trit_muon muon;
};

/* This thread's part of a parameter, by AdamW. */
static void adamw_part(const struct step_job *job, const struct trit_param *t, int index, int n)
{
	struct trit_params *p = job->o->params;
	struct trit_adamw a = job->adamw;
	size_t c0, c1;
	if (t->kind == TRIT_KIND_NORM)
		a.weight_decay = 0;
	trit_part(t->rows * t->cols, 16, index, n, &c0, &c1);
	for (size_t j = t->offset + c0; j < t->offset + c1; j += PIECE) {
		size_t m = t->offset + c1 - j < PIECE ? t->offset + c1 - j : PIECE;
		job->o->kernels->adamw(p->w + j, p->m + j, p->v + j, p->g + j, &a, (int)m);
		memset(p->g + j, 0, m * sizeof *p->g);
	}
}

static void step_thread(void *arg, int index, int n)
{
	const struct step_job *job = arg;
	struct trit_params *p = job->o->params;
	float *scratch = job->o->scratch ? job->o->scratch + (size_t)index * job->o->thread_scratch : NULL;
	for (int i = 0, matrix = 0; i < p->n; i++) {
		const struct trit_param *t = &p->list[i];
		size_t at = t->offset;
		if (!by_muon(job->o->recipe, t)) {
			adamw_part(job, t, index, n);
		} else if (matrix++ % n == index) {
			trit_muon_step(p->w + at, p->m + at, p->v + at, p->g + at, t->rows, t->cols, &job->muon, job->o->kernels,
			               scratch);
			memset(p->g + at, 0, t->rows * t->cols * sizeof *p->g);
		}
	}
}

void trit_optim_step(const struct trit_optim *o, double grad_norm, float lr, float weight_decay, int t)
{
	const struct trit_recipe *r = o->recipe;
	float g_scale = r->clip > 0 && grad_norm > (double)r->clip ? (float)((double)r->clip / grad_norm) : 1;
	struct step_job job = { .o = o };
	job.adamw = (struct trit_adamw){ .lr = lr, .beta1 = r->beta1, .beta2 = r->beta2, .eps = r->adam_eps,
		                         .weight_decay = weight_decay, .g_scale = g_scale };
	job.adamw.correction1 = (float)(1.0 / (1.0 - trit_pow((double)r->beta1, t)));
	job.adamw.correction2 = (float)(1.0 / (1.0 - trit_pow((double)r->beta2, t)));
	job.muon = (struct trit_muon){ .lr = lr, .momentum = r->momentum, .weight_decay = weight_decay, .g_scale = g_scale,
		                       .even = r->optimizer == TRIT_OPTIMIZER_NORMUON, .beta2 = r->beta2 };
	trit_pool_run(o->pool, step_thread, &job);
}
