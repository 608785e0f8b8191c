/*
 * tensors.c - the table of tensors, the walk over it, and finding its tensors in a GGUF file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/tensors.h"

#include <float.h>

const struct trit_tensor_row trit_tensors[TRIT_N_TENSORS] = {
	{ TRIT_TENSOR_TOKEN_EMBD, TRIT_KIND_EMBEDDING, false, "token_embd", "model.embed_tokens", NULL, NULL },
	{ TRIT_TENSOR_ATTN_NORM, TRIT_KIND_NORM, true, "attn_norm", "input_layernorm", NULL, NULL },
	{ TRIT_TENSOR_ATTN_Q, TRIT_KIND_LINEAR, true, "attn_q", "self_attn.q_proj", NULL, NULL },
	{ TRIT_TENSOR_ATTN_K, TRIT_KIND_LINEAR, true, "attn_k", "self_attn.k_proj", NULL, NULL },
	{ TRIT_TENSOR_ATTN_V, TRIT_KIND_LINEAR, true, "attn_v", "self_attn.v_proj", NULL, NULL },
	{ TRIT_TENSOR_ATTN_Q_NORM, TRIT_KIND_NORM, true, "attn_q_norm", "self_attn.q_norm", NULL, NULL },
	{ TRIT_TENSOR_ATTN_K_NORM, TRIT_KIND_NORM, true, "attn_k_norm", "self_attn.k_norm", NULL, NULL },
	{ TRIT_TENSOR_ATTN_SUB_NORM, TRIT_KIND_NORM, true, "attn_sub_norm", "self_attn.attn_sub_norm", NULL,
	  "self_attn.inner_attn_ln" },
	{ TRIT_TENSOR_ATTN_OUTPUT, TRIT_KIND_LINEAR, true, "attn_output", "self_attn.o_proj", NULL, NULL },
	{ TRIT_TENSOR_ATTN_POST_NORM, TRIT_KIND_NORM, true, "post_attention_norm", NULL, "post_attention_layernorm", NULL },
	{ TRIT_TENSOR_FFN_NORM, TRIT_KIND_NORM, true, "ffn_norm", "post_attention_layernorm", "pre_feedforward_layernorm",
	  NULL },
	{ TRIT_TENSOR_FFN_GATE, TRIT_KIND_LINEAR, true, "ffn_gate", "mlp.gate_proj", NULL, NULL },
	{ TRIT_TENSOR_FFN_UP, TRIT_KIND_LINEAR, true, "ffn_up", "mlp.up_proj", NULL, NULL },
	{ TRIT_TENSOR_FFN_SUB_NORM, TRIT_KIND_NORM, true, "ffn_sub_norm", "mlp.ffn_sub_norm", NULL, "mlp.ffn_layernorm" },
	{ TRIT_TENSOR_FFN_DOWN, TRIT_KIND_LINEAR, true, "ffn_down", "mlp.down_proj", NULL, NULL },
	{ TRIT_TENSOR_FFN_POST_NORM, TRIT_KIND_NORM, true, "post_ffw_norm", NULL, "post_feedforward_layernorm", NULL },
	{ TRIT_TENSOR_ATTN_Q_NORM_IN, TRIT_KIND_NORM, true, "attn_q_norm_in", "self_attn.q_proj.norm", NULL, NULL },
	{ TRIT_TENSOR_ATTN_K_NORM_IN, TRIT_KIND_NORM, true, "attn_k_norm_in", "self_attn.k_proj.norm", NULL, NULL },
	{ TRIT_TENSOR_ATTN_V_NORM_IN, TRIT_KIND_NORM, true, "attn_v_norm_in", "self_attn.v_proj.norm", NULL, NULL },
	{ TRIT_TENSOR_ATTN_OUTPUT_NORM_IN, TRIT_KIND_NORM, true, "attn_output_norm_in", "self_attn.o_proj.norm", NULL,
	  NULL },
	{ TRIT_TENSOR_FFN_GATE_NORM_IN, TRIT_KIND_NORM, true, "ffn_gate_norm_in", "mlp.gate_proj.norm", NULL, NULL },
	{ TRIT_TENSOR_FFN_UP_NORM_IN, TRIT_KIND_NORM, true, "ffn_up_norm_in", "mlp.up_proj.norm", NULL, NULL },
	{ TRIT_TENSOR_FFN_DOWN_NORM_IN, TRIT_KIND_NORM, true, "ffn_down_norm_in", "mlp.down_proj.norm", NULL, NULL },
	/* %d: the expert. The other names are Mixtral's. */
	{ TRIT_TENSOR_FFN_ROUTER, TRIT_KIND_NORM, true, "ffn_gate_inp", "mlp.gate", NULL, "block_sparse_moe.gate" },
	{ TRIT_TENSOR_FFN_GATE_EXPS, TRIT_KIND_LINEAR, true, "ffn_gate_exps", "mlp.experts.%d.gate_proj", NULL,
	  "block_sparse_moe.experts.%d.w1" },
	{ TRIT_TENSOR_FFN_UP_EXPS, TRIT_KIND_LINEAR, true, "ffn_up_exps", "mlp.experts.%d.up_proj", NULL,
	  "block_sparse_moe.experts.%d.w3" },
	{ TRIT_TENSOR_FFN_DOWN_EXPS, TRIT_KIND_LINEAR, true, "ffn_down_exps", "mlp.experts.%d.down_proj", NULL,
	  "block_sparse_moe.experts.%d.w2" },
	{ TRIT_TENSOR_FFN_SUB_NORM_EXPS, TRIT_KIND_NORM, true, "ffn_sub_norm_exps", NULL, NULL, NULL },
	{ TRIT_TENSOR_FFN_ROUTER_SHEXP, TRIT_KIND_NORM, true, "ffn_gate_inp_shexp", "mlp.shared_expert_gate", NULL, NULL },
	{ TRIT_TENSOR_FFN_GATE_SHEXP, TRIT_KIND_LINEAR, true, "ffn_gate_shexp", "mlp.shared_expert.gate_proj", NULL, NULL },
	{ TRIT_TENSOR_FFN_UP_SHEXP, TRIT_KIND_LINEAR, true, "ffn_up_shexp", "mlp.shared_expert.up_proj", NULL, NULL },
	{ TRIT_TENSOR_FFN_DOWN_SHEXP, TRIT_KIND_LINEAR, true, "ffn_down_shexp", "mlp.shared_expert.down_proj", NULL, NULL },
	{ TRIT_TENSOR_FFN_SUB_NORM_SHEXP, TRIT_KIND_NORM, true, "ffn_sub_norm_shexp", NULL, NULL, NULL },
	{ TRIT_TENSOR_OUTPUT_NORM, TRIT_KIND_NORM, false, "output_norm", "model.norm", NULL, NULL },
	{ TRIT_TENSOR_OUTPUT, TRIT_KIND_EMBEDDING, false, "output", "lm_head", NULL, NULL },
	{ TRIT_TENSOR_ROPE_FREQS, TRIT_KIND_NORM, false, "rope_freqs", NULL, NULL, NULL },
	{ TRIT_TENSOR_CLS_OUTPUT, TRIT_KIND_NORM, false, "cls.output", "score", NULL, NULL },
};
_Static_assert(TRIT_N_TENSORS <= 64, "struct trit_config has a bit for the bias of each");

bool trit_tensor_present(const struct trit_config *c, enum trit_tensor_id id)
{
	bool experts = c->moe.n_experts, shared = experts && c->moe.d_ff_shared;
	switch (id) {
	case TRIT_TENSOR_ATTN_Q_NORM:
	case TRIT_TENSOR_ATTN_K_NORM:
		return c->qk_norms != TRIT_QK_PLAIN;
	case TRIT_TENSOR_ATTN_SUB_NORM:
		return c->sub_norm;
	case TRIT_TENSOR_FFN_SUB_NORM:
		return c->sub_norm && !experts;
	case TRIT_TENSOR_FFN_GATE:
	case TRIT_TENSOR_FFN_UP:
	case TRIT_TENSOR_FFN_DOWN:
		return !experts;
	case TRIT_TENSOR_FFN_SUB_NORM_EXPS:
		return c->sub_norm && experts;
	case TRIT_TENSOR_FFN_ROUTER:
	case TRIT_TENSOR_FFN_GATE_EXPS:
	case TRIT_TENSOR_FFN_UP_EXPS:
	case TRIT_TENSOR_FFN_DOWN_EXPS:
		return experts;
	case TRIT_TENSOR_FFN_SUB_NORM_SHEXP:
		return c->sub_norm && shared;
	case TRIT_TENSOR_FFN_ROUTER_SHEXP:
		return shared && c->moe.shared_gate;
	case TRIT_TENSOR_FFN_GATE_SHEXP:
	case TRIT_TENSOR_FFN_UP_SHEXP:
	case TRIT_TENSOR_FFN_DOWN_SHEXP:
		return shared;
	case TRIT_TENSOR_ATTN_Q_NORM_IN:
	case TRIT_TENSOR_ATTN_K_NORM_IN:
	case TRIT_TENSOR_ATTN_V_NORM_IN:
	case TRIT_TENSOR_ATTN_OUTPUT_NORM_IN:
		return c->projection_norms;
	case TRIT_TENSOR_FFN_GATE_NORM_IN:
	case TRIT_TENSOR_FFN_UP_NORM_IN:
	case TRIT_TENSOR_FFN_DOWN_NORM_IN:
		return c->projection_norms && !experts;
	case TRIT_TENSOR_ATTN_POST_NORM:
	case TRIT_TENSOR_FFN_POST_NORM:
		return c->arch->post_norms;
	case TRIT_TENSOR_OUTPUT:
		return !c->tied;
	case TRIT_TENSOR_ROPE_FREQS:
		return c->rope_freqs;
	case TRIT_TENSOR_CLS_OUTPUT:
		return c->n_labels > 0;
	default:
		return true;
	}
}

void trit_tensor_shape(const struct trit_config *c, enum trit_tensor_id id, size_t *rows, size_t *cols)
{
	size_t d = (size_t)c->d_model, f = (size_t)c->d_ff, a = (size_t)c->head_dim;
	size_t q = (size_t)c->n_heads * a, kv = (size_t)c->n_kv_heads * a;
	size_t e = (size_t)c->moe.n_experts, fe = (size_t)c->moe.d_ff, fs = (size_t)c->moe.d_ff_shared;
	bool each = c->qk_norms == TRIT_QK_EACH_HEAD;
	const size_t shapes[TRIT_N_TENSORS][2] = {
		[TRIT_TENSOR_TOKEN_EMBD] = { (size_t)c->n_vocab, d },
		[TRIT_TENSOR_ATTN_NORM] = { 1, d },
		[TRIT_TENSOR_ATTN_Q] = { q, d },
		[TRIT_TENSOR_ATTN_K] = { kv, d },
		[TRIT_TENSOR_ATTN_V] = { kv, d },
		[TRIT_TENSOR_ATTN_Q_NORM] = { each ? (size_t)c->n_heads : 1, a },
		[TRIT_TENSOR_ATTN_K_NORM] = { each ? (size_t)c->n_kv_heads : 1, a },
		[TRIT_TENSOR_ATTN_SUB_NORM] = { 1, q },
		[TRIT_TENSOR_ATTN_OUTPUT] = { d, q },
		[TRIT_TENSOR_ATTN_POST_NORM] = { 1, d },
		[TRIT_TENSOR_FFN_NORM] = { 1, d },
		[TRIT_TENSOR_FFN_GATE] = { f, d },
		[TRIT_TENSOR_FFN_UP] = { f, d },
		[TRIT_TENSOR_FFN_SUB_NORM] = { 1, f },
		[TRIT_TENSOR_FFN_DOWN] = { d, f },
		[TRIT_TENSOR_FFN_POST_NORM] = { 1, d },
		[TRIT_TENSOR_ATTN_Q_NORM_IN] = { 1, d },
		[TRIT_TENSOR_ATTN_K_NORM_IN] = { 1, d },
		[TRIT_TENSOR_ATTN_V_NORM_IN] = { 1, d },
		[TRIT_TENSOR_ATTN_OUTPUT_NORM_IN] = { 1, q },
		[TRIT_TENSOR_FFN_GATE_NORM_IN] = { 1, d },
		[TRIT_TENSOR_FFN_UP_NORM_IN] = { 1, d },
		[TRIT_TENSOR_FFN_DOWN_NORM_IN] = { 1, f },
		[TRIT_TENSOR_FFN_ROUTER] = { e, d },
		[TRIT_TENSOR_FFN_GATE_EXPS] = { fe, d },
		[TRIT_TENSOR_FFN_UP_EXPS] = { fe, d },
		[TRIT_TENSOR_FFN_DOWN_EXPS] = { d, fe },
		[TRIT_TENSOR_FFN_SUB_NORM_EXPS] = { e, fe },
		[TRIT_TENSOR_FFN_ROUTER_SHEXP] = { 1, d },
		[TRIT_TENSOR_FFN_GATE_SHEXP] = { fs, d },
		[TRIT_TENSOR_FFN_UP_SHEXP] = { fs, d },
		[TRIT_TENSOR_FFN_DOWN_SHEXP] = { d, fs },
		[TRIT_TENSOR_FFN_SUB_NORM_SHEXP] = { 1, fs },
		[TRIT_TENSOR_OUTPUT_NORM] = { 1, d },
		[TRIT_TENSOR_OUTPUT] = { (size_t)c->n_vocab, d },
		[TRIT_TENSOR_ROPE_FREQS] = { 1, (size_t)c->n_rot / 2 },
		[TRIT_TENSOR_CLS_OUTPUT] = { (size_t)c->n_labels, d },
	};
	*rows = shapes[id][0];
	*cols = shapes[id][1];
}

const char *trit_tensor_hf_name(const struct trit_arch *arch, enum trit_tensor_id id)
{
	const struct trit_tensor_row *row = &trit_tensors[id];
	return arch->post_norms && row->hf_post ? row->hf_post : row->hf;
}

void trit_tensor_name(char name[TRIT_TENSOR_NAME_BYTES], enum trit_tensor_id id, int layer, const char *suffix)
{
	if (trit_tensors[id].per_layer)
		snprintf(name, TRIT_TENSOR_NAME_BYTES, "blk.%d.%s.%s", layer, trit_tensors[id].gguf, suffix);
	else
		snprintf(name, TRIT_TENSOR_NAME_BYTES, "%s.%s", trit_tensors[id].gguf, suffix);
}

int trit_tensor_count(const struct trit_config *c, enum trit_tensor_id id)
{
	return trit_tensor_is_expert(id) ? c->moe.n_experts : 1;
}

void trit_expert_name(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_tensor_walk *w, const char *suffix)
{
	const char *stacked = trit_tensors[w->id].gguf;
	int len = (int)(strlen(stacked) - strlen("_exps"));
	snprintf(name, TRIT_TENSOR_NAME_BYTES, "blk.%d.%.*s.%d.%s", w->layer, len, stacked, w->expert, suffix);
}

void trit_walk_name(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_tensor_walk *w)
{
	trit_tensor_name(name, w->id, w->layer, w->bias ? "bias" : "weight");
}

bool trit_tensor_may_have_bias(const struct trit_arch *arch, enum trit_tensor_id id)
{
	bool norm = trit_tensors[id].kind == TRIT_KIND_NORM;
	bool ffn_of_experts = id >= TRIT_TENSOR_FFN_ROUTER && id <= TRIT_TENSOR_FFN_SUB_NORM_SHEXP;
	return id != TRIT_TENSOR_TOKEN_EMBD && id != TRIT_TENSOR_ROPE_FREQS && !ffn_of_experts &&
	       (!norm || arch->norm == TRIT_NORM_LAYER || id == TRIT_TENSOR_CLS_OUTPUT);
}

static bool has_bias(const struct trit_config *c, enum trit_tensor_id id)
{
	return c->biases >> id & 1;
}

/* Row i of the table as many times as there are layers, where it is per layer. */
static bool place_of(const struct trit_config *c, int i, enum trit_tensor_id *id, int *layer)
{
	const int first = TRIT_TENSOR_ATTN_NORM, per_layer = TRIT_TENSOR_OUTPUT_NORM - first;
	int in_layers = i - first, after = in_layers - c->n_layers * per_layer;
	bool inside = in_layers >= 0 && after < 0;
	*layer = inside ? in_layers / per_layer : 0;
	*id = (enum trit_tensor_id)(inside           ? first + in_layers % per_layer
	                            : in_layers < 0 ? i
	                                            : TRIT_TENSOR_OUTPUT_NORM + after);
	return *id < TRIT_N_TENSORS;
}

bool trit_tensor_next(struct trit_tensor_walk *w, const struct trit_config *c)
{
	if (w->expert + 1 < w->count) {
		w->expert++;
		w->step++;
		return true;
	}
	w->expert = 0;
	while (place_of(c, w->row / 2, &w->id, &w->layer)) {
		w->bias = w->row++ % 2;
		if (!trit_tensor_present(c, w->id) || (w->bias && !has_bias(c, w->id)))
			continue;
		trit_tensor_shape(c, w->id, &w->rows, &w->cols);
		w->count = trit_tensor_count(c, w->id);
		if (w->bias && (trit_tensors[w->id].kind != TRIT_KIND_NORM || w->id == TRIT_TENSOR_CLS_OUTPUT)) {
			w->cols = w->rows;
			w->rows = 1;
		}
		w->step++;
		return true;
	}
	return false;
}

/* Whether start .. dot is "ffn_up.7", the name of one expert's matrix. */
static bool is_single_of(const struct trit_config *c, const struct trit_tensor_row *row, const char *start,
                         const char *dot)
{
	size_t len = strlen(row->gguf) - strlen("_exps");
	char *end;
	if (!trit_tensor_is_expert(row->id) || strncmp(start, row->gguf, len) != 0 || start[len] != '.' ||
	    start + len == dot)
		return false;
	long expert = strtol(start + len + 1, &end, 10);
	return end == dot && expert >= 0 && expert < c->moe.n_experts &&
	       (!strcmp(dot, ".weight") || !strcmp(dot, ".scale"));
}

bool trit_tensor_known(const struct trit_config *c, const char *name)
{
	const char *dot = strrchr(name, '.'), *start = name;
	bool in_layer = strncmp(name, "blk.", 4) == 0;
	if (in_layer) {
		char *end;
		long layer = strtol(name + 4, &end, 10);
		start = end + 1;
		if (*end != '.' || layer < 0 || layer >= c->n_layers)
			return false;
	}
	if (!dot || dot < start)
		return false;
	for (int id = 0; id < TRIT_N_TENSORS; id++) {
		const struct trit_tensor_row *row = &trit_tensors[id];
		size_t len = strlen(row->gguf);
		if (is_single_of(c, row, start, dot))
			return true;
		if (row->per_layer != in_layer || (size_t)(dot - start) != len || memcmp(start, row->gguf, len) != 0)
			continue;
		return trit_tensor_present(c, row->id) &&
		       (!strcmp(dot, ".weight") || (!strcmp(dot, ".bias") && has_bias(c, row->id)) ||
		        (!strcmp(dot, ".scale") && row->kind == TRIT_KIND_LINEAR));
	}
	return false;
}

/* The expert's part of a tensor that has the matrices of all. Types with something behind all rows have no parts. */
static int take_part(struct trit_gguf_tensor *t, const struct trit_tensor_walk *w, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	uint64_t experts = (uint64_t)w->count, part = t->bytes / experts;
	if (t->dims[2] != experts)
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: %llu experts, expected %d", t->name,
		                    (unsigned long long)t->dims[2], w->count);
	if (experts > 1 && (w->rows % 4 || trit_ggml_bytes_before(info, w->cols, w->rows) != part))
		return trit_fail_at(err, TRIT_ERR_UNSUPPORTED, (int64_t)t->offset,
		                    "%s: experts side by side in type %s are not supported; in TQ2_0, TQ1_0, Q8_0 or F16 they "
		                    "are, and in any type as tensors blk.N.NAME.E.weight", t->name, info->name);
	t->data += (uint64_t)w->expert * part;
	t->offset += (uint64_t)w->expert * part;
	t->bytes = part;
	t->dims[2] = 1;
	return TRIT_OK;
}

int trit_tensor_find(const struct trit_gguf *g, const struct trit_tensor_walk *w, struct trit_gguf_tensor *out,
                     struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	bool together = trit_tensor_is_expert(w->id);
	trit_walk_name(name, w);
	const struct trit_gguf_tensor *found = trit_gguf_find_tensor(g, name);
	if (!found && together) {
		together = false;
		trit_expert_name(name, w, "weight");
		found = trit_gguf_find_tensor(g, name);
	}
	if (!found)
		return trit_fail(err, TRIT_ERR_FORMAT, "the tensor %s is missing; the file is incomplete", name);
	struct trit_gguf_tensor t = *found;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t.type);
	if (!info || (!info->readable && !info->packed))
		return trit_fail_at(err, TRIT_ERR_UNSUPPORTED, (int64_t)t.offset,
		                    "%s: type %s cannot be read; make the file anew from its original, in F16, Q8_0 or a "
		                    "ternary type", name, info ? info->name : "of unknown number");
	int e = together ? take_part(&t, w, err) : TRIT_OK;
	if (e)
		return e;
	if (t.dims[0] != w->cols || t.dims[1] != w->rows || t.dims[2] != 1 || t.dims[3] != 1)
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t.offset, "%s: shape %llu x %llu, expected %zu x %zu", name,
		                    (unsigned long long)t.dims[0], (unsigned long long)t.dims[1], w->cols, w->rows);
	*out = t;
	return TRIT_OK;
}

/* ---- what a tensor holds ----------------------------------------------------------------------------------------- */

static const struct trit_gguf_tensor *find_factor(const struct trit_gguf *g, const struct trit_tensor_walk *w,
                                                  char name[TRIT_TENSOR_NAME_BYTES])
{
	trit_tensor_name(name, w->id, w->layer, "scale");
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(g, name);
	if (t || !trit_tensor_is_expert(w->id))
		return t;
	trit_expert_name(name, w, "scale");
	return trit_gguf_find_tensor(g, name);
}

/* The optional factor blk.N.NAME.scale, 1 if absent: one number, or one for each expert. */
static int read_factor(const struct trit_gguf *g, const struct trit_tensor_walk *w, float *factor,
                       struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	const struct trit_gguf_tensor *t = find_factor(g, w, name);
	*factor = 1;
	if (!t)
		return TRIT_OK;
	size_t n = t->bytes / sizeof(float);
	if (t->type != TRIT_GGML_F32 || (n != 1 && n != (size_t)w->count))
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: expected one F32 number%s", name,
		                    trit_tensor_is_expert(w->id) ? ", or one for each expert" : "");
	memcpy(factor, t->data + (n > 1 ? (size_t)w->expert * sizeof *factor : 0), sizeof *factor);
	return TRIT_OK;
}

/* A matrix has one positive scale; of several, those of rows or groups of zeros may be 0. */
static int check_scales(const struct trit_gguf_tensor *t, const float *scales, size_t n, struct trit_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!(scales[i] >= 0 && scales[i] <= FLT_MAX && (n > 1 || scales[i] > 0)))
			return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset,
			                    "%s: scale %g; it must be positive and finite", t->name, (double)scales[i]);
	return TRIT_OK;
}

int trit_packed_scales(const struct trit_gguf *g, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                       const float **scales, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	if (find_factor(g, w, name))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: a factor beside type %s, which has its scales itself", name,
		                 trit_ggml_type_info(t->type)->name);
	/* Tensors are aligned to 8 bytes or more, the packed weights are a multiple of 64. */
	*scales = (const float *)(const void *)(t->data + trit_layout_bytes(trit_packed_layout(t), w->rows, w->cols));
	return check_scales(t, *scales, trit_scale_count(trit_packed_scaling(t), w->rows, w->cols), err);
}

/* Copies scales to another arrangement. `from` has one for the tensor, a row or `run` columns, row by row. */
static void spread_scales(float *to, enum trit_scaling scaling, const float *from, size_t run, size_t row, size_t cols)
{
	size_t step = scaling > TRIT_SCALE_ROW ? (size_t)scaling : cols;
	for (size_t c = 0; c < cols; c += step)
		to[trit_scale_index(scaling, row, c, cols)] = from[c / run];
}

/* The scales of a ternary type with more than one. */
static int own_scales(const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, enum trit_scaling scaling,
                      float factor, float *scales, struct trit_error *err)
{
	size_t run = (size_t)trit_ggml_run(trit_ggml_type_info(t->type), w->cols);
	float own[TRIT_MAX_COLS / 64];
	for (size_t row = 0; row < w->rows; row++) {
		int e = trit_ggml_decode_scales(t->type, t->data, w->rows, w->cols, row, 1, own, err);
		if (e)
			return trit_fail_prefix(err, e, "%s", t->name);
		for (size_t i = 0; i < w->cols / run; i++)
			own[i] *= factor;
		spread_scales(scales, scaling, own, run, row, w->cols);
	}
	return TRIT_OK;
}

int trit_tensor_scales(const struct trit_gguf *g, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                       enum trit_scaling scaling, float *scales, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	const float *packed;
	float factor, one;
	size_t n = trit_scale_count(scaling, w->rows, w->cols);
	int e;
	if (info->packed) {
		e = trit_packed_scales(g, w, t, &packed, err);
		if (!e && scaling == trit_packed_scaling(t))
			memcpy(scales, packed, n * sizeof *scales);
		for (size_t row = 0; row < w->rows && !e && scaling != trit_packed_scaling(t); row++)
			for (size_t c = 0; c < w->cols; c += 64)
				scales[trit_scale_index(scaling, row, c, w->cols)] =
				    trit_scale_of(packed, trit_packed_scaling(t), row, c, w->cols);
		return e;
	}
	if ((e = read_factor(g, w, &factor, err)))
		return e;
	memset(scales, 0, n * sizeof *scales);
	if (scaling != TRIT_SCALE_TENSOR && info->ternary && info->scaling != TRIT_SCALE_TENSOR) {
		e = own_scales(w, t, scaling, factor, scales, err);
		return e ? e : check_scales(t, scales, n, err);
	}
	if ((e = trit_ggml_decode_trits(t->type, t->data, w->rows, w->cols, 0, 0, NULL, &one, err)))
		return trit_fail_prefix(err, e, "%s", t->name);
	one *= factor;
	for (size_t row = 0; row < (scaling == TRIT_SCALE_TENSOR ? 1 : w->rows); row++)
		spread_scales(scales, scaling, &one, w->cols, row, w->cols);
	return check_scales(t, &one, 1, err);
}

/* Bytes of a stranger's file may decode to more than the layout is for. */
static int check_codes(const struct trit_gguf_tensor *t, const int8_t *codes, size_t n, struct trit_error *err)
{
	const struct trit_layout_info *layout = &trit_layouts[trit_packed_layout(t)];
	int8_t least = 0, most = 0;
	for (size_t i = 0; i < n; i++) {
		least = codes[i] < least ? codes[i] : least;
		most = codes[i] > most ? codes[i] : most;
	}
	if (least >= layout->min && most <= layout->max)
		return TRIT_OK;
	return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset,
	                    "%s: weights from %d to %d, but %s holds %d to %d; the file is damaged", t->name, least, most,
	                    trit_ggml_type_info(t->type)->name, layout->min, layout->max);
}

int trit_tensor_codes(const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, size_t row0, size_t n,
                      int8_t *codes, struct trit_error *err)
{
	float scale;
	if (trit_ggml_type_info(t->type)->packed) {
		trit_unpack_rows(trit_packed_layout(t), codes, t->data, row0, n, w->cols);
		return check_codes(t, codes, n * w->cols, err);
	}
	int e = trit_ggml_type_info(t->type)->ternary
	            ? trit_ggml_decode_codes(t->type, t->data, w->rows, w->cols, row0, n, codes, err)
	            : trit_ggml_decode_trits(t->type, t->data, w->rows, w->cols, row0, n, codes, &scale, err);
	return e ? trit_fail_prefix(err, e, "%s", t->name) : TRIT_OK;
}

int trit_tensor_floats(const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, size_t row0, size_t n,
                       float *out, struct trit_error *err)
{
	if (!trit_ggml_type_info(t->type)->packed) {
		int e = trit_ggml_decode_f32(t->type, t->data, w->rows, w->cols, row0, n, out, err);
		return e ? trit_fail_prefix(err, e, "%s", t->name) : TRIT_OK;
	}
	enum trit_layout layout = trit_packed_layout(t);
	enum trit_scaling scaling = trit_packed_scaling(t);
	const float *scales = (const float *)(const void *)(t->data + trit_layout_bytes(layout, w->rows, w->cols));
	size_t run = scaling > TRIT_SCALE_ROW ? (size_t)scaling : w->cols; /* columns that share a scale */
	/* The codes go to the last quarter of `out` and are widened from the front: number i ends at byte 4 i + 3, before
	 * code i + 1 at byte 3 n cols + i + 1. */
	const int8_t *codes = (int8_t *)out + 3 * n * w->cols;
	trit_unpack_rows(layout, (int8_t *)out + 3 * n * w->cols, t->data, row0, n, w->cols);
	for (size_t r = 0; r < n; r++, out += w->cols, codes += w->cols)
		for (size_t c = 0; c < w->cols; c += run) {
			float scale = trit_scale_of(scales, scaling, row0 + r, c, w->cols);
			for (size_t i = c; i < c + run && i < w->cols; i++)
				out[i] = scale * (float)codes[i];
		}
	return TRIT_OK;
}
