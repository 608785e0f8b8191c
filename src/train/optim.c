/*
 * optim.c - AdamW.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/optim.h"

#include <math.h>

#include "base/fmath.h"

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

double trit_optim_grad_norm(const struct trit_params *p, const struct trit_kernels *k, struct trit_pool *pool)
{
	struct norm_job job = { .p = p, .k = k };
	double sum = 0;
	trit_pool_run(pool, norm_thread, &job);
	for (int b = 0; b < MAX_SUMS; b++)
		sum += job.sums[b];
	return sqrt(sum);
}

struct step_job {
	struct trit_params *p;
	const struct trit_kernels *k;
	struct trit_adamw adamw;
};

static void step_thread(void *arg, int index, int n)
{
	struct step_job *job = arg;
	struct trit_params *p = job->p;
	for (int i = 0; i < p->n; i++) {
		const struct trit_param *t = &p->list[i];
		struct trit_adamw a = job->adamw;
		size_t c0, c1;
		if (trit_tensors[t->id].kind == TRIT_KIND_NORM)
			a.weight_decay = 0;
		trit_part(t->rows * t->cols, 16, index, n, &c0, &c1);
		for (size_t j = t->offset + c0; j < t->offset + c1; j += PIECE) {
			size_t m = t->offset + c1 - j < PIECE ? t->offset + c1 - j : PIECE;
			job->k->adamw(p->w + j, p->m + j, p->v + j, p->g + j, &a, (int)m);
			memset(p->g + j, 0, m * sizeof *p->g);
		}
	}
}

void trit_optim_step(struct trit_params *p, const struct trit_kernels *k, struct trit_pool *pool,
                     const struct trit_recipe *r, double grad_norm, float lr, float weight_decay, int t)
{
	struct step_job job = { .p = p, .k = k };
	job.adamw = (struct trit_adamw){ .lr = lr, .beta1 = r->beta1, .beta2 = r->beta2, .eps = r->adam_eps,
		                         .weight_decay = weight_decay, .g_scale = 1 };
	job.adamw.correction1 = (float)(1.0 / (1.0 - trit_pow((double)r->beta1, t)));
	job.adamw.correction2 = (float)(1.0 / (1.0 - trit_pow((double)r->beta2, t)));
	if (r->clip > 0 && grad_norm > (double)r->clip)
		job.adamw.g_scale = (float)((double)r->clip / grad_norm);
	trit_pool_run(pool, step_thread, &job);
}
