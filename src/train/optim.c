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
#include "train/schedule.h"

#define PIECE 4096

/* Of the units this process owns; the others' are 0 here. */
static void norm_thread(void *arg, int index, int n)
{
	const struct trit_optim *o = arg;
	for (size_t u = (size_t)index; u < o->owners.n_units; u += (size_t)n) {
		const struct trit_unit *unit = &o->owners.units[u];
		const float *g = o->params->g + unit->offset;
		double sum = 0;
		for (size_t i = 0; unit->owner == o->owners.rank && i < unit->n; i += PIECE)
			sum += (double)o->kernels->sum_squares(g + i, (int)(unit->n - i < PIECE ? unit->n - i : PIECE));
		o->sums[u] = sum;
	}
}

double trit_optim_grad_norm(struct trit_optim *o)
{
	double sum = 0;
	trit_pool_run(o->pool, norm_thread, o);
	trit_dist_sum(o->transport, o->sums, o->owners.n_units);
	for (size_t u = 0; u < o->owners.n_units; u++)
		sum += o->sums[u];
	return sqrt(sum);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

int trit_optim_init(struct trit_optim *o, struct trit_params *p, const struct trit_kernels *k, struct trit_pool *pool,
                    const struct trit_recipe *r, const struct trit_transport *transport, struct trit_error *err)
{
	size_t threads = pool ? (size_t)trit_pool_size(pool) : 1;
	*o = (struct trit_optim){ .params = p, .kernels = k, .pool = pool, .recipe = r, .transport = transport };
	int e = trit_owners_init(&o->owners, p, r, trit_dist_rank(transport), trit_dist_ranks(transport), err);
	if (e)
		return e;
	o->sums = trit_calloc(o->owners.n_units, sizeof *o->sums);
	if (!o->sums)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the optimiser");
	for (int i = 0; i < p->n; i++) {
		size_t need = trit_by_muon(r, &p->list[i]) ? trit_muon_scratch(p->list[i].rows, p->list[i].cols) : 0;
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
	trit_owners_release(&o->owners);
	trit_free(o->sums);
	trit_free(o->scratch);
	*o = (struct trit_optim){ 0 };
}

size_t trit_optim_bytes(const struct trit_optim *o)
{
	size_t threads = o->pool ? (size_t)trit_pool_size(o->pool) : 1;
	return o->owners.n_units * (sizeof *o->sums + sizeof *o->owners.units) +
	       threads * o->thread_scratch * sizeof *o->scratch;
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

struct step_job {
	const struct trit_optim *o;
	struct trit_adamw adamw;
	struct trit_muon muon;
};

static void adamw_step(const struct step_job *job, const struct trit_unit *unit)
{
	struct trit_params *p = job->o->params;
	struct trit_adamw a = job->adamw;
	if (p->list[unit->param].kind == TRIT_KIND_NORM)
		a.weight_decay = 0;
	else if (p->list[unit->param].kind == TRIT_KIND_EMBEDDING && job->o->recipe->embedding_decay >= 0)
		a.weight_decay = job->o->recipe->embedding_decay;
	for (size_t j = unit->offset; j < unit->offset + unit->n; j += PIECE) {
		size_t m = unit->offset + unit->n - j < PIECE ? unit->offset + unit->n - j : PIECE;
		job->o->kernels->adamw(p->w + j, p->m + j, p->v + j, p->g + j, &a, (int)m);
		memset(p->g + j, 0, m * sizeof *p->g);
	}
}

static void muon_step(const struct step_job *job, const struct trit_unit *unit, int index)
{
	struct trit_params *p = job->o->params;
	const struct trit_param *t = &p->list[unit->param];
	size_t at = unit->offset;
	trit_muon_step(p->w + at, p->m + at, p->v + at, p->g + at, t->rows, t->cols, &job->muon, job->o->kernels,
	               job->o->scratch + (size_t)index * job->o->thread_scratch);
	memset(p->g + at, 0, unit->n * sizeof *p->g);
}

/* Units by turns: matrices, others, and what is not to be stepped apart, since they take different times. */
static void step_thread(void *arg, int index, int n)
{
	const struct step_job *job = arg;
	const struct trit_owners *owners = &job->o->owners;
	int turns[3] = { 0 };
	for (size_t u = 0; u < owners->n_units; u++) {
		const struct trit_unit *unit = &owners->units[u];
		if (turns[unit->owner != owners->rank ? 2 : unit->whole]++ % n != index)
			continue;
		if (unit->owner != owners->rank)
			memset(job->o->params->g + unit->offset, 0, unit->n * sizeof *job->o->params->g);
		else if (unit->whole)
			muon_step(job, unit, index);
		else
			adamw_step(job, unit);
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
	float muon_lr = r->muon_lr > 0 ? lr * (r->muon_lr / r->lr) : lr;
	job.muon = (struct trit_muon){ .lr = muon_lr, .momentum = trit_schedule_momentum(r, t - 1),
		                       .weight_decay = weight_decay, .g_scale = g_scale,
		                       .even = r->optimizer == TRIT_OPTIMIZER_NORMUON, .beta2 = r->beta2 };
	trit_pool_run(o->pool, step_thread, &job);
}
