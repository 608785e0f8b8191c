/*
 * tensors.c - the table of tensors, the walk over it, and finding its tensors in a GGUF file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/tensors.h"

#include <math.h>

const struct trit_tensor_row trit_tensors[TRIT_N_TENSORS] = {
	{ TRIT_TENSOR_TOKEN_EMBD, TRIT_KIND_EMBEDDING, false, "token_embd", "model.embed_tokens" },
	{ TRIT_TENSOR_ATTN_NORM, TRIT_KIND_NORM, true, "attn_norm", "input_layernorm" },
	{ TRIT_TENSOR_ATTN_Q, TRIT_KIND_LINEAR, true, "attn_q", "self_attn.q_proj" },
	{ TRIT_TENSOR_ATTN_K, TRIT_KIND_LINEAR, true, "attn_k", "self_attn.k_proj" },
	{ TRIT_TENSOR_ATTN_V, TRIT_KIND_LINEAR, true, "attn_v", "self_attn.v_proj" },
	{ TRIT_TENSOR_ATTN_SUB_NORM, TRIT_KIND_NORM, true, "attn_sub_norm", "self_attn.attn_sub_norm" },
	{ TRIT_TENSOR_ATTN_OUTPUT, TRIT_KIND_LINEAR, true, "attn_output", "self_attn.o_proj" },
	{ TRIT_TENSOR_FFN_NORM, TRIT_KIND_NORM, true, "ffn_norm", "post_attention_layernorm" },
	{ TRIT_TENSOR_FFN_GATE, TRIT_KIND_LINEAR, true, "ffn_gate", "mlp.gate_proj" },
	{ TRIT_TENSOR_FFN_UP, TRIT_KIND_LINEAR, true, "ffn_up", "mlp.up_proj" },
	{ TRIT_TENSOR_FFN_SUB_NORM, TRIT_KIND_NORM, true, "ffn_sub_norm", "mlp.ffn_sub_norm" },
	{ TRIT_TENSOR_FFN_DOWN, TRIT_KIND_LINEAR, true, "ffn_down", "mlp.down_proj" },
	{ TRIT_TENSOR_OUTPUT_NORM, TRIT_KIND_NORM, false, "output_norm", "model.norm" },
	{ TRIT_TENSOR_OUTPUT, TRIT_KIND_EMBEDDING, false, "output", "lm_head" },
};

bool trit_tensor_present(const struct trit_config *c, enum trit_tensor_id id)
{
	switch (id) {
	case TRIT_TENSOR_ATTN_SUB_NORM:
	case TRIT_TENSOR_FFN_SUB_NORM:
		return c->arch->sub_norm;
	case TRIT_TENSOR_OUTPUT:
		return !c->tied;
	default:
		return true;
	}
}

void trit_tensor_shape(const struct trit_config *c, enum trit_tensor_id id, size_t *rows, size_t *cols)
{
	size_t d = (size_t)c->d_model, f = (size_t)c->d_ff;
	size_t q = (size_t)c->n_heads * (size_t)c->head_dim, kv = (size_t)c->n_kv_heads * (size_t)c->head_dim;
	const size_t shapes[TRIT_N_TENSORS][2] = {
		[TRIT_TENSOR_TOKEN_EMBD] = { (size_t)c->n_vocab, d },
		[TRIT_TENSOR_ATTN_NORM] = { 1, d },
		[TRIT_TENSOR_ATTN_Q] = { q, d },
		[TRIT_TENSOR_ATTN_K] = { kv, d },
		[TRIT_TENSOR_ATTN_V] = { kv, d },
		[TRIT_TENSOR_ATTN_SUB_NORM] = { 1, q },
		[TRIT_TENSOR_ATTN_OUTPUT] = { d, q },
		[TRIT_TENSOR_FFN_NORM] = { 1, d },
		[TRIT_TENSOR_FFN_GATE] = { f, d },
		[TRIT_TENSOR_FFN_UP] = { f, d },
		[TRIT_TENSOR_FFN_SUB_NORM] = { 1, f },
		[TRIT_TENSOR_FFN_DOWN] = { d, f },
		[TRIT_TENSOR_OUTPUT_NORM] = { 1, d },
		[TRIT_TENSOR_OUTPUT] = { (size_t)c->n_vocab, d },
	};
	*rows = shapes[id][0];
	*cols = shapes[id][1];
}

void trit_tensor_name(char name[TRIT_TENSOR_NAME_BYTES], enum trit_tensor_id id, int layer, const char *suffix)
{
	if (trit_tensors[id].per_layer)
		snprintf(name, TRIT_TENSOR_NAME_BYTES, "blk.%d.%s.%s", layer, trit_tensors[id].gguf, suffix);
	else
		snprintf(name, TRIT_TENSOR_NAME_BYTES, "%s.%s", trit_tensors[id].gguf, suffix);
}

bool trit_tensor_next(struct trit_tensor_walk *w, const struct trit_config *c)
{
	/* Steps: the embedding, then L times the per-layer rows, then the final norm and the head. */
	const int per_layer = TRIT_TENSOR_OUTPUT_NORM - TRIT_TENSOR_ATTN_NORM;
	for (;;) {
		int step = w->step++, in_layers = step - 1, after = in_layers - c->n_layers * per_layer;
		if (step == 0)
			w->id = TRIT_TENSOR_TOKEN_EMBD, w->layer = 0;
		else if (after < 0)
			w->id = TRIT_TENSOR_ATTN_NORM + in_layers % per_layer, w->layer = in_layers / per_layer;
		else if (after < 2)
			w->id = TRIT_TENSOR_OUTPUT_NORM + after, w->layer = 0;
		else
			return false;
		if (trit_tensor_present(c, w->id)) {
			trit_tensor_shape(c, w->id, &w->rows, &w->cols);
			return true;
		}
	}
}

int trit_tensor_find(const struct trit_gguf *g, const struct trit_tensor_walk *w, const struct trit_gguf_tensor **out,
                     struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	trit_tensor_name(name, w->id, w->layer, "weight");
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(g, name);
	if (!t)
		return trit_fail(err, TRIT_ERR_FORMAT, "the tensor %s is missing; the file is incomplete", name);
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	if (!info || !info->readable)
		return trit_fail_at(err, TRIT_ERR_UNSUPPORTED, (int64_t)t->offset, "%s: type %s cannot be read", name,
		                    info ? info->name : "of unknown number");
	if (t->dims[0] != w->cols || t->dims[1] != w->rows || t->dims[2] != 1 || t->dims[3] != 1)
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: shape %llu x %llu, expected %zu x %zu", name,
		                    (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], w->cols, w->rows);
	*out = t;
	return TRIT_OK;
}

/* The optional factor blk.N.NAME.scale, 1 if absent. */
static int read_scale(const struct trit_gguf *g, const struct trit_tensor_walk *w, float *scale, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	trit_tensor_name(name, w->id, w->layer, "scale");
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(g, name);
	*scale = 1;
	if (!t)
		return TRIT_OK;
	if (t->type != TRIT_GGML_F32 || t->bytes != sizeof(float))
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: expected one F32 number", name);
	memcpy(scale, t->data, sizeof *scale);
	return TRIT_OK;
}

int trit_tensor_codes(const struct trit_gguf *g, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                      int8_t *codes, float *scale, struct trit_error *err)
{
	float factor;
	int e = read_scale(g, w, &factor, err);
	if (e)
		return e;
	e = trit_ggml_decode_trits(t->type, t->data, w->rows, w->cols, 0, w->rows, codes, scale, err);
	if (e)
		return trit_fail_prefix(err, e, "%s", t->name);
	*scale *= factor;
	if (!(*scale > 0 && isfinite(*scale)))
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: scale %g; it must be positive and finite",
		                    t->name, (double)*scale);
	return TRIT_OK;
}
