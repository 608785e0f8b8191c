/*
 * memory_plan.c - sums up what a run will use, and looks for what would fit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/memory_plan.h"

#include "train/teacher.h"

struct trit_memory_plan trit_memory_plan_of(const struct trit_memory_users *u)
{
	struct trit_net_bytes net = trit_net_bytes(u->net, u->net->max_seqs, u->net->options.recompute);
	double array = sizeof(float) * (double)u->params->total;
	return (struct trit_memory_plan){
		.weights = array + sizeof(float) * (double)u->base->total,
		.gradients = array * (1 + u->sums->height),
		.moments = 2.0 * sizeof(float) * (double)trit_owners_own(&u->optim->owners),
		.quantised = (double)net.weights,
		.activations = (double)net.activations,
		.work = (double)(net.all - net.weights - net.activations) + (double)trit_optim_bytes(u->optim) +
		        (double)trit_lora_bytes(u->lora) + (double)u->batch,
		.exchange = trit_dist_bytes(u->dist),
		.teacher = (double)trit_teacher_bytes(u->teacher),
		.used = (double)trit_teacher_used_bytes(u->teacher),
	};
}

double trit_memory_plan_total(const struct trit_memory_plan *p)
{
	return p->weights + p->gradients + p->moments + p->quantised + p->activations + p->work + p->exchange + p->teacher;
}

void trit_memory_plan_describe(char text[TRIT_PLAN_BYTES], const struct trit_memory_plan *p)
{
	const struct {
		const char *name;
		double bytes;
	} parts[] = {
		{ "weights", p->weights }, { "gradients", p->gradients }, { "moments", p->moments },
		{ "quantised weights", p->quantised }, { "activations", p->activations }, { "work", p->work },
		{ "exchange", p->exchange }, { "teacher", p->teacher },
	};
	double all = trit_memory_plan_total(p), unit = all < 4 * 0x1p30 ? 0x1p20 : 0x1p30;
	size_t n = 0;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (parts[i].bytes >= all / 100 && n < TRIT_PLAN_BYTES)
			n += (size_t)snprintf(text + n, TRIT_PLAN_BYTES - n, "%s%s %.*f", n ? ", " : "", parts[i].name,
			                      unit < 0x1p30 ? 0 : 1, parts[i].bytes / unit);
	if (n < TRIT_PLAN_BYTES)
		snprintf(text + n, TRIT_PLAN_BYTES - n, " %s", unit < 0x1p30 ? "MiB" : "GiB");
}

/* What a plan like this one needs with other activations. */
static double other_total(const struct trit_memory_plan *p, const struct trit_net *net, int max_seqs, bool recompute)
{
	return trit_memory_plan_total(p) - (double)trit_net_bytes(net, net->max_seqs, net->options.recompute).all +
	       (double)trit_net_bytes(net, max_seqs, recompute).all;
}

/* The options that make a plan fit, cheapest in time first: smaller micro-batches cost next to nothing. */
static void find_remedy(char text[TRIT_PLAN_BYTES], const struct trit_memory_plan *p, const struct trit_net *net,
                        double most)
{
	double least = 0;
	for (int recompute = net->options.recompute; recompute < 2; recompute++)
		for (int n = net->max_seqs; n > 0; n /= 2) {
			char micro[32] = "";
			const char *option = recompute && !net->options.recompute ? " --recompute" : "";
			least = other_total(p, net, n, recompute);
			if (n < net->max_seqs)
				snprintf(micro, sizeof micro, " --micro-batch %d", n);
			if (least <= most) {
				snprintf(text, TRIT_PLAN_BYTES, "it would fit, with %.2f GiB, given%s%s", least / 0x1p30, option,
				         micro);
				return;
			}
		}
	snprintf(text, TRIT_PLAN_BYTES,
	         "even with --recompute --micro-batch 1 it would be %.2f GiB: choose a smaller --size or --seq-len",
	         least / 0x1p30);
}

int trit_memory_plan_check(const struct trit_memory_plan *p, const struct trit_net *net, int processes, uint64_t free,
                           struct trit_error *err)
{
	char parts[TRIT_PLAN_BYTES], remedy[TRIT_PLAN_BYTES], each[64] = "";
	double have = (double)free / processes + p->used, need = trit_memory_plan_total(p);
	if (need <= have)
		return TRIT_OK;
	trit_memory_plan_describe(parts, p);
	find_remedy(remedy, p, net, have);
	if (processes > 1)
		snprintf(each, sizeof each, " for each of %d processes on this machine", processes);
	return trit_fail(err, TRIT_ERR_MEMORY, "training needs %.2f GiB of memory (%s) and %.2f are free%s; %s",
	                 need / 0x1p30, parts, have / 0x1p30, each, remedy);
}
