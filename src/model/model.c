/*
 * model.c - loads a GGUF file into a model that can run.
 *
 * Two passes over the table of tensors: the first checks every tensor and counts the memory that repacked ones need,
 * the second fills it. Ternary weights go through int8 codes to t2 whatever their type in the file; dense weights in a
 * type that the kernels read stay in the mapping; all others are widened to fp32.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/model.h"

#include <math.h>

#include "format/gguf_vocab.h"

/* ---- one tensor -------------------------------------------------------------------------------------------------- */

struct loader {
	struct trit_model *m;
	int8_t *codes; /* of one tensor */
};

static int dense_type(uint32_t ggml_type)
{
	switch (ggml_type) {
	case TRIT_GGML_F32:
		return TRIT_DENSE_F32;
	case TRIT_GGML_F16:
		return TRIT_DENSE_F16;
	case TRIT_GGML_BF16:
		return TRIT_DENSE_BF16;
	case TRIT_GGML_Q8_0:
		return TRIT_DENSE_Q8_0;
	default:
		return -1;
	}
}

/* Whether the projection holds ternary codes: by its type, or because the architecture says so. */
static bool is_ternary(const struct trit_model *m, const struct trit_gguf_tensor *t)
{
	return m->config.arch->bit_linear || trit_ggml_type_info(t->type)->ternary;
}

static int load_ternary(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                        struct trit_linear *out, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	unsigned char *packed = trit_arena_take(&m->arena, trit_layout_bytes(TRIT_T2, w->rows, w->cols), 1);
	float *scale = trit_arena_take(&m->arena, 1, sizeof *scale);
	int e = trit_tensor_codes(&m->gguf, w, t, ld->codes, scale, err);
	if (e)
		return e;
	trit_pack(TRIT_T2, packed, 0, ld->codes, w->rows, w->cols);
	for (size_t i = 0, n = w->rows * w->cols; i < n; i++)
		m->stats.codes[ld->codes[i] + 1]++;
	m->stats.ternary_bytes += t->bytes;
	*out = (struct trit_linear){
		.quantised = true, .layout = TRIT_T2, .rows = (int)w->rows, .cols = (int)w->cols, .scale = scale, .w = packed
	};
	return TRIT_OK;
}

/* Bytes of fp32 copy that a dense tensor needs in the arena; 0 when the mapping serves. Norms are read as float arrays,
 * so they must be aligned. */
static size_t dense_copy_floats(const struct trit_gguf_tensor *t, enum trit_tensor_kind kind)
{
	bool mapped = kind == TRIT_KIND_NORM ? t->type == TRIT_GGML_F32 && (uintptr_t)t->data % sizeof(float) == 0
	                                     : dense_type(t->type) >= 0;
	return mapped ? 0 : (size_t)(t->dims[0] * t->dims[1]);
}

static int load_dense(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                      struct trit_linear *out, struct trit_error *err)
{
	size_t n = dense_copy_floats(t, trit_tensors[w->id].kind);
	*out = (struct trit_linear){ .rows = (int)w->rows, .cols = (int)w->cols, .w = t->data };
	if (!n) {
		out->type = (enum trit_dense_type)dense_type(t->type);
		return TRIT_OK;
	}
	float *copy = trit_arena_take(&ld->m->arena, n, sizeof(float));
	int e = trit_ggml_decode_f32(t->type, t->data, w->rows, w->cols, 0, w->rows, copy, err);
	if (e)
		return trit_fail_prefix(err, e, "%s", t->name);
	out->type = TRIT_DENSE_F32;
	out->w = (const unsigned char *)copy;
	return TRIT_OK;
}

static int load_norm(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                     const float **out, struct trit_error *err)
{
	struct trit_linear l;
	int e = load_dense(ld, w, t, &l, err);
	if (e)
		return e;
	*out = (const float *)(const void *)l.w;
	for (size_t i = 0; i < w->cols; i++)
		if (!isfinite((*out)[i]))
			return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: element %zu is not finite", t->name, i);
	return TRIT_OK;
}

/* ---- the whole model --------------------------------------------------------------------------------------------- */

/* Where a projection, and where a norm, of the table belongs. */
static struct trit_linear *linear_slot(struct trit_model *m, const struct trit_tensor_walk *w)
{
	struct trit_layer *l = &m->layers[w->layer];
	switch (w->id) {
	case TRIT_TENSOR_TOKEN_EMBD:
		return &m->token_embd;
	case TRIT_TENSOR_OUTPUT:
		return &m->output;
	case TRIT_TENSOR_ATTN_Q:
		return &l->q;
	case TRIT_TENSOR_ATTN_K:
		return &l->k;
	case TRIT_TENSOR_ATTN_V:
		return &l->v;
	case TRIT_TENSOR_ATTN_OUTPUT:
		return &l->o;
	case TRIT_TENSOR_FFN_GATE:
		return &l->gate;
	case TRIT_TENSOR_FFN_UP:
		return &l->up;
	default:
		return &l->down;
	}
}

static const float **norm_slot(struct trit_model *m, const struct trit_tensor_walk *w)
{
	struct trit_layer *l = &m->layers[w->layer];
	switch (w->id) {
	case TRIT_TENSOR_ATTN_NORM:
		return &l->attn_norm;
	case TRIT_TENSOR_ATTN_SUB_NORM:
		return &l->attn_sub_norm;
	case TRIT_TENSOR_FFN_NORM:
		return &l->ffn_norm;
	case TRIT_TENSOR_FFN_SUB_NORM:
		return &l->ffn_sub_norm;
	default:
		return &m->output_norm;
	}
}

/* Tensors that would change the result and that this configuration does not use. */
static int check_unused(const struct trit_model *m, struct trit_error *err)
{
	for (uint64_t i = 0; i < m->gguf.n_tensors; i++) {
		const char *name = m->gguf.tensors[i].name, *dot = strrchr(name, '.');
		if (dot && !strcmp(dot, ".bias"))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: biases are not supported", name);
		if (!m->config.arch->sub_norm && strstr(name, "_sub_norm."))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: sub-norms are not supported in architecture %s", name,
			                 m->config.arch->name);
	}
	return TRIT_OK;
}

/* First pass: checks every tensor, counts the arena. *largest: most weights in one ternary tensor. */
static int measure(struct loader *ld, size_t *largest, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	struct trit_tensor_walk w = { 0 };
	int n_linear = 0, n_ternary = 0;
	trit_arena_take(&m->arena, (size_t)m->config.n_layers, sizeof *m->layers);
	while (trit_tensor_next(&w, &m->config)) {
		const struct trit_gguf_tensor *t;
		int e = trit_tensor_find(&m->gguf, &w, &t, err);
		if (e)
			return e;
		bool linear = trit_tensors[w.id].kind == TRIT_KIND_LINEAR, ternary = linear && is_ternary(m, t);
		n_linear += linear;
		n_ternary += ternary;
		if (n_ternary && n_ternary != n_linear)
			return trit_fail(err, TRIT_ERR_UNSUPPORTED,
			                 "%s: a dense projection in a ternary model (or the other way round) is not supported",
			                 t->name);
		if (ternary) {
			*largest = *largest > w.rows * w.cols ? *largest : w.rows * w.cols;
			trit_arena_take(&m->arena, trit_layout_bytes(TRIT_T2, w.rows, w.cols), 1);
			trit_arena_take(&m->arena, 1, sizeof(float));
		} else if (dense_copy_floats(t, trit_tensors[w.id].kind)) {
			trit_arena_take(&m->arena, w.rows * w.cols, sizeof(float));
		}
	}
	return TRIT_OK;
}

/* Second pass: the same walk, filling in. */
static int place(struct loader *ld, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	struct trit_tensor_walk w = { 0 };
	int e = TRIT_OK;
	m->layers = trit_arena_take(&m->arena, (size_t)m->config.n_layers, sizeof *m->layers);
	while (!e && trit_tensor_next(&w, &m->config)) {
		const struct trit_gguf_tensor *t = NULL;
		if ((e = trit_tensor_find(&m->gguf, &w, &t, err)))
			break;
		enum trit_tensor_kind kind = trit_tensors[w.id].kind;
		if (kind == TRIT_KIND_NORM)
			e = load_norm(ld, &w, t, norm_slot(m, &w), err);
		else if (kind == TRIT_KIND_LINEAR && is_ternary(m, t))
			e = load_ternary(ld, &w, t, linear_slot(m, &w), err);
		else
			e = load_dense(ld, &w, t, linear_slot(m, &w), err);
	}
	if (m->config.tied)
		m->output = m->token_embd;
	return e;
}

/* "I2_S x 84, F16 x 1, F32 x 49", in order of first appearance. */
static void describe_types(struct trit_model *m)
{
	struct trit_model_stats *s = &m->stats;
	uint64_t counts[64] = { 0 }; /* every type that the reader lets pass has a number below */
	size_t used = 0;
	for (uint64_t i = 0; i < m->gguf.n_tensors; i++) {
		s->weight_bytes += m->gguf.tensors[i].bytes;
		counts[m->gguf.tensors[i].type % 64]++;
	}
	for (uint64_t i = 0; i < m->gguf.n_tensors; i++) {
		uint32_t type = m->gguf.tensors[i].type;
		const struct trit_ggml_type_info *info = trit_ggml_type_info(type);
		if (counts[type % 64] && used < sizeof s->types)
			used += (size_t)snprintf(s->types + used, sizeof s->types - used, "%s%s x %llu", used ? ", " : "",
			                         info ? info->name : "?", (unsigned long long)counts[type % 64]);
		counts[type % 64] = 0;
	}
}

static int load_vocab(struct trit_model *m, struct trit_error *err)
{
	if (!trit_gguf_find_key(&m->gguf, "tokenizer.ggml.model"))
		return TRIT_OK;
	struct trit_vocab v = { 0 };
	int e = trit_gguf_read_vocab(&m->gguf, &v, err);
	if (e)
		return e;
	if (v.n_tokens > m->config.n_vocab) {
		e = trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in token_embd.weight", v.n_tokens,
		              m->config.n_vocab);
		trit_vocab_release(&v);
		return e;
	}
	return trit_tokenizer_new(&m->tokenizer, &v, err);
}

static int load(struct trit_model *m, const char *path, const char *cpu, struct trit_error *err)
{
	struct loader ld = { .m = m };
	size_t largest = 0;
	int e;
	if ((e = trit_kernels_select(&m->kernels, cpu, err)))
		return e;
	if ((e = trit_gguf_open(&m->gguf, path, err)))
		return e;
	if ((e = trit_config_read(&m->config, &m->gguf, err)) || (e = load_vocab(m, err)) ||
	    (e = check_unused(m, err)) || (e = measure(&ld, &largest, err)) ||
	    (e = trit_arena_alloc(&m->arena, "the weights", err)))
		return trit_fail_prefix(err, e, "%s", path);
	ld.codes = trit_calloc(largest, 1);
	if (!ld.codes)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to repack %zu weights", path, largest);
	e = place(&ld, err);
	trit_free(ld.codes);
	if (e)
		return trit_fail_prefix(err, e, "%s", path);
	m->stats.parameters = trit_config_parameters(&m->config);
	m->stats.file_bytes = m->gguf.map.size;
	describe_types(m);
	return TRIT_OK;
}

int trit_model_load(struct trit_model **out, const char *path, const char *cpu, struct trit_error *err)
{
	struct trit_model *m = trit_calloc(1, sizeof *m);
	if (!m)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to open %s", path);
	int e = load(m, path, cpu, err);
	if (e) {
		trit_model_close(m);
		return e;
	}
	*out = m;
	return TRIT_OK;
}

/* ---- public API -------------------------------------------------------------------------------------------------- */

int trit_model_open(struct trit_model **out, const char *path, struct trit_error *err)
{
	return trit_model_load(out, path, NULL, err);
}

void trit_model_close(struct trit_model *m)
{
	if (!m)
		return;
	trit_tokenizer_free(m->tokenizer);
	trit_arena_release(&m->arena);
	trit_gguf_close(&m->gguf);
	trit_free(m);
}

int trit_model_vocab_size(const struct trit_model *m)
{
	return m->config.n_vocab;
}

int trit_model_context_length(const struct trit_model *m)
{
	return m->config.n_ctx;
}

int64_t trit_model_parameters(const struct trit_model *m)
{
	return m->stats.parameters;
}
