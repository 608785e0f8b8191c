/*
 * low_rank.c - reads adapters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/low_rank.h"

#include <math.h>

#include "model/model.h"
#include "model/rope.h"

enum { LINEARS = 7 };

static const enum trit_tensor_id ids[LINEARS] = {
	TRIT_TENSOR_ATTN_Q,   TRIT_TENSOR_ATTN_K, TRIT_TENSOR_ATTN_V,  TRIT_TENSOR_ATTN_OUTPUT,
	TRIT_TENSOR_FFN_GATE, TRIT_TENSOR_FFN_UP, TRIT_TENSOR_FFN_DOWN
};
static const int slots[LINEARS] = { 0, 1, 2, 0, 0, 1, 0 };

static struct trit_linear *linear_of(struct trit_layer *l, int i)
{
	struct trit_linear *all[LINEARS] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
	return all[i];
}

/* Tensor blk.N.NAME.weight.lora_a or _b; NULL: there is none. */
static const struct trit_gguf_tensor *find(const struct trit_gguf *g, int layer, int i, const char *part)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	trit_tensor_name(name, ids[i], layer, part);
	return trit_gguf_find_tensor(g, name);
}

static int check_file(const struct trit_model *m, const struct trit_gguf *g, float *alpha, struct trit_error *err)
{
	const char *type = NULL, *kind = NULL, *arch = NULL;
	size_t type_len = 0, kind_len = 0, arch_len = 0;
	double value = 0;
	int e;
	if ((e = trit_gguf_get_string(g, "general.type", &type, &type_len, err)) < 0 ||
	    (e = trit_gguf_get_string(g, "adapter.type", &kind, &kind_len, err)) < 0 ||
	    (e = trit_gguf_get_string(g, "general.architecture", &arch, &arch_len, err)) < 0)
		return e;
	if (type_len != 7 || memcmp(type, "adapter", 7) || kind_len != 4 || memcmp(kind, "lora", 4))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "not an adapter (general.type is not \"adapter\", of adapter.type \"lora\")");
	if (arch_len != strlen(m->config.arch->name) || memcmp(arch, m->config.arch->name, arch_len))
		return trit_fail(err, TRIT_ERR_FORMAT, "an adapter for architecture %.*s, and the model is %s", (int)arch_len,
		                 arch, m->config.arch->name);
	if (m->config.moe.n_experts)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "adapters beside mixtures of experts are not supported");
	if ((e = trit_gguf_get_f64(g, "adapter.lora.alpha", &value, err)) < 0)
		return e;
	*alpha = (float)value;
	return isfinite(*alpha) ? TRIT_OK : trit_fail(err, TRIT_ERR_FORMAT, "adapter.lora.alpha is not finite");
}

/* One of the two matrices as fp32. Rows of queries and keys come into the order that the model has. */
static int read_matrix(const struct trit_model *m, const struct trit_gguf_tensor *t, bool rotated, float *out,
                       struct trit_error *err)
{
	size_t cols = (size_t)t->dims[0], rows = (size_t)t->dims[1];
	const struct trit_config *c = &m->config;
	int e = TRIT_OK;
	for (size_t r = 0; r < rows && !e; r++) {
		size_t from = r;
		if (rotated)
			from = trit_rope_row(c->head_dim, c->n_rot, c->arch->rope_half, c->rope_half, r);
		e = trit_ggml_decode_f32(t->type, t->data, rows, cols, from, 1, out + r * cols, err);
	}
	for (size_t i = 0; i < rows * cols && !e; i++)
		if (!isfinite(out[i]))
			e = trit_fail(err, TRIT_ERR_FORMAT, "%s: element %zu is not finite", t->name, i);
	return e;
}

static bool has_shape(const struct trit_gguf_tensor *t, uint64_t rows, uint64_t cols)
{
	return t->dims[0] == cols && t->dims[1] == rows && t->dims[2] == 1 && t->dims[3] == 1;
}

/* The adapter of projection i of a layer; *used: how far the weights go. */
static int read_linear(struct trit_model *m, const struct trit_gguf *g, int layer, int i, float alpha, size_t *used,
                       struct trit_error *err)
{
	struct trit_linear *l = linear_of(&m->layers[layer], i);
	struct trit_low_rank *lora = &m->lora.list[layer * LINEARS + i];
	const struct trit_gguf_tensor *a = find(g, layer, i, "weight.lora_a"), *b = find(g, layer, i, "weight.lora_b");
	bool rotated = trit_tensor_has_pairs(ids[i]);
	int e;
	if (!a && !b)
		return TRIT_OK;
	uint64_t rank = a ? a->dims[1] : 0;
	if (!a || !b || rank < 1 || rank > 65536 || !has_shape(a, rank, (uint64_t)l->cols) ||
	    !has_shape(b, (uint64_t)l->rows, rank))
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: its two matrices do not fit a projection of %d x %d",
		                 (a ? a : b)->name, l->rows, l->cols);
	float *wa = m->lora.weights + *used, *wb = wa + rank * (uint64_t)l->cols;
	if ((e = read_matrix(m, a, false, wa, err)) || (e = read_matrix(m, b, rotated, wb, err)))
		return e;
	*used += rank * ((uint64_t)l->cols + (uint64_t)l->rows);
	*lora = (struct trit_low_rank){ (int)rank, slots[i], alpha / (float)rank, wa, wb };
	m->lora.most = (int)rank > m->lora.most ? (int)rank : m->lora.most;
	l->lora = lora;
	return TRIT_OK;
}

static int read_adapter(struct trit_model *m, const struct trit_gguf *g, struct trit_error *err)
{
	uint64_t elements = 0, found = 0;
	size_t used = 0;
	float alpha = 0;
	int e = check_file(m, g, &alpha, err);
	if (e)
		return e;
	for (uint64_t i = 0; i < g->n_tensors; i++)
		elements += g->tensors[i].dims[0] * g->tensors[i].dims[1];
	m->lora.list = trit_calloc((size_t)m->config.n_layers * LINEARS, sizeof *m->lora.list);
	m->lora.weights = trit_calloc((size_t)elements, sizeof *m->lora.weights);
	if (!m->lora.list || !m->lora.weights)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an adapter of %llu weights",
		                 (unsigned long long)elements);
	for (int layer = 0; layer < m->config.n_layers; layer++)
		for (int i = 0; i < LINEARS && !e; i++) {
			e = read_linear(m, g, layer, i, alpha, &used, err);
			found += m->lora.list[layer * LINEARS + i].rank ? 2 : 0;
		}
	if (!e && (found != g->n_tensors || !found))
		e = trit_fail(err, TRIT_ERR_FORMAT, "%llu of its %llu tensors belong to no projection of the model",
		              (unsigned long long)(g->n_tensors - found), (unsigned long long)g->n_tensors);
	return e;
}

int trit_low_rank_load(struct trit_model *m, const char *path, struct trit_error *err)
{
	struct trit_gguf g;
	int e = trit_gguf_open(&g, path, err);
	if (e)
		return e;
	e = read_adapter(m, &g, err);
	trit_gguf_close(&g);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}

void trit_low_ranks_release(struct trit_low_ranks *l)
{
	trit_free(l->list);
	trit_free(l->weights);
	*l = (struct trit_low_ranks){ 0 };
}
