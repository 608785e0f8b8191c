/*
 * params.c - lays out and initialises the trainable parameters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/params.h"

#include <math.h>

static int count_tensors(const struct trit_config *c)
{
	struct trit_tensor_walk w = { 0 };
	int n = 0;
	while (trit_tensor_next(&w, c))
		n++;
	return n;
}

static int lay_out(struct trit_params *p, const struct trit_config *c, struct trit_error *err)
{
	*p = (struct trit_params){ .n = count_tensors(c) };
	p->list = trit_calloc((size_t)p->n, sizeof *p->list);
	if (!p->list)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of parameters");
	struct trit_tensor_walk w = { 0 };
	for (int i = 0; trit_tensor_next(&w, c); i++) {
		p->list[i] = (struct trit_param){ .id = w.id, .layer = w.layer, .expert = w.expert, .rows = w.rows,
			                          .cols = w.cols, .offset = p->total, .kind = trit_walk_kind(&w), .bias = w.bias };
		p->total += (w.rows * w.cols + 15) / 16 * 16;
	}
	return TRIT_OK;
}

/* The first n of the four arrays. More than the machine has is not asked for. */
static int alloc(struct trit_params *p, int n, struct trit_error *err)
{
	float **arrays[] = { &p->w, &p->g, &p->m, &p->v };
	bool too_many = (double)n * sizeof(float) * (double)p->total > (double)trit_physical_memory();
	for (int i = 0; i < n; i++) {
		*arrays[i] = too_many ? NULL : trit_calloc(p->total, sizeof(float));
		if (!*arrays[i]) {
			double mib = (double)p->total * 4 / 1048576.0;
			trit_params_release(p);
			return trit_fail(err, TRIT_ERR_MEMORY,
			                 "not enough memory for the parameters: %d x %.0f MiB; choose a smaller --size", n, mib);
		}
	}
	return TRIT_OK;
}

void trit_params_list_head(struct trit_params *p, const struct trit_config *c)
{
	size_t rows, cols;
	int n = !c->n_labels ? 0 : c->biases >> TRIT_TENSOR_CLS_OUTPUT & 1 ? 2 : 1;
	trit_tensor_shape(c, TRIT_TENSOR_CLS_OUTPUT, &rows, &cols);
	for (int bias = 0; bias < n; bias++) {
		struct trit_param t = { .id = TRIT_TENSOR_CLS_OUTPUT, .rows = bias ? 1 : rows, .cols = bias ? rows : cols,
			                    .offset = p->total, .kind = TRIT_KIND_NORM, .bias = bias };
		if (p->list)
			p->list[p->n] = t;
		p->n++;
		p->total += (t.rows * t.cols + 15) / 16 * 16;
	}
}

int trit_params_alloc(struct trit_params *p, struct trit_error *err)
{
	return alloc(p, 4, err);
}

int trit_params_init(struct trit_params *p, const struct trit_config *c, struct trit_error *err)
{
	int e = lay_out(p, c, err);
	return e ? e : alloc(p, 4, err);
}

int trit_params_init_frozen(struct trit_params *p, const struct trit_config *c, struct trit_error *err)
{
	int e = lay_out(p, c, err);
	return e ? e : alloc(p, 1, err);
}

void trit_params_release(struct trit_params *p)
{
	trit_free(p->list);
	trit_free(p->w);
	trit_free(p->g);
	trit_free(p->m);
	trit_free(p->v);
	*p = (struct trit_params){ 0 };
}

void trit_params_randomise(struct trit_params *p, const struct trit_config *c, uint64_t seed)
{
	struct trit_rng rng;
	trit_rng_init(&rng, seed);
	for (int i = 0; i < p->n; i++) {
		const struct trit_param *t = &p->list[i];
		float *w = p->w + t->offset, deviation = 0.02f;
		size_t n = t->rows * t->cols;
		bool matrix = t->id == TRIT_TENSOR_FFN_ROUTER || t->id == TRIT_TENSOR_CLS_OUTPUT;
		if (t->id == TRIT_TENSOR_ATTN_OUTPUT || t->id == TRIT_TENSOR_FFN_DOWN || t->id == TRIT_TENSOR_FFN_DOWN_EXPS ||
		    t->id == TRIT_TENSOR_FFN_DOWN_SHEXP)
			deviation /= sqrtf(2.0f * (float)c->n_layers);
		for (size_t j = 0; j < n; j++)
			w[j] = t->bias                                ? 0.0f
			       : t->kind == TRIT_KIND_NORM && !matrix ? 1.0f
			                                              : deviation * trit_rng_normal(&rng);
	}
}

static const struct trit_param *find(const struct trit_params *p, enum trit_tensor_id id, int layer, bool bias,
                                     int expert)
{
	for (int i = 0; i < p->n; i++)
		if (p->list[i].id == id && p->list[i].layer == layer && p->list[i].bias == bias &&
		    p->list[i].expert == expert)
			return &p->list[i];
	return NULL;
}

const struct trit_param *trit_params_find(const struct trit_params *p, enum trit_tensor_id id, int layer)
{
	return find(p, id, layer, false, 0);
}

const struct trit_param *trit_params_find_expert(const struct trit_params *p, enum trit_tensor_id id, int layer,
                                                 int expert)
{
	return find(p, id, layer, false, expert);
}

const struct trit_param *trit_params_find_bias(const struct trit_params *p, enum trit_tensor_id id, int layer)
{
	return find(p, id, layer, true, 0);
}

void trit_param_name(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_param *t)
{
	struct trit_tensor_walk w = { .id = t->id, .layer = t->layer, .expert = t->expert };
	const char *suffix = t->bias ? "bias" : t->adapter ? t->adapter : "weight";
	if (trit_tensor_is_expert(t->id))
		trit_expert_name(name, &w, suffix);
	else
		trit_tensor_name(name, t->id, t->layer, suffix);
}
