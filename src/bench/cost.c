/*
 * cost.c - what one token costs a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/cost.h"

#include "model/kv.h"

/* As many experts as a token goes to, and the shared one. */
static void visit_experts(const struct trit_model *m, const struct trit_layer *l, trit_linear_visit_fn *fn, void *arg)
{
	const struct trit_moe_config *moe = &m->config.moe;
	for (int i = 0; l->experts && i < trit_moe_slots(moe); i++) {
		const struct trit_expert *e = &l->experts[i < moe->n_used ? i : moe->n_experts];
		fn(arg, &e->gate);
		fn(arg, &e->up);
		fn(arg, &e->down);
	}
}

void trit_linear_visit_layers(const struct trit_model *m, trit_linear_visit_fn *fn, void *arg)
{
	for (int i = 0; i < m->config.n_layers; i++) {
		const struct trit_layer *l = &m->layers[i];
		const struct trit_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
		for (size_t j = 0; j < sizeof all / sizeof *all; j++)
			if (all[j]->rows)
				fn(arg, all[j]);
		visit_experts(m, l, fn, arg);
	}
}

size_t trit_linear_bytes(const struct trit_linear *l)
{
	size_t rows = (size_t)l->rows, cols = (size_t)l->cols;
	return l->quantised ? trit_layout_bytes(l->layout, rows, cols) : rows * trit_dense_row_bytes(l->type, cols);
}

static double bytes_with_scales(const struct trit_linear *l)
{
	size_t scales = l->quantised ? trit_scale_count(l->scaling, (size_t)l->rows, (size_t)l->cols) : 0;
	return (double)trit_linear_bytes(l) + 4.0 * (double)scales;
}

static void add(void *arg, const struct trit_linear *l)
{
	struct trit_cost *c = arg;
	c->layer_bytes += bytes_with_scales(l);
	c->int8_ops += l->quantised ? 2.0 * l->rows * l->cols : 0;
}

struct trit_cost trit_cost_of(const struct trit_model *m, enum trit_kv_type kv_type)
{
	const struct trit_config *g = &m->config;
	struct trit_tensor_walk w = { 0 };
	double norms = 0; /* floats of all layers' norms, and biases */
	while (trit_tensor_next(&w, g))
		if (trit_walk_kind(&w) == TRIT_KIND_NORM && trit_tensors[w.id].per_layer)
			norms += (double)(w.rows * w.cols);

	struct trit_cost c = { .layer_bytes = 4 * norms,
		               .kv_bytes = (double)trit_kv_bytes(g, kv_type, TRIT_KV_PAGE) / TRIT_KV_PAGE };
	trit_linear_visit_layers(m, add, &c);
	c.head_bytes = bytes_with_scales(&m->output) + 4.0 * g->d_model;
	c.embd_bytes = bytes_with_scales(&m->token_embd) / g->n_vocab;
	return c;
}
