/*
 * tensors.c - the table of tensors, the walk over it, and finding its tensors in a GGUF file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/tensors.h"

#include <float.h>

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
	if (!info || (!info->readable && !info->packed))
		return trit_fail_at(err, TRIT_ERR_UNSUPPORTED, (int64_t)t->offset, "%s: type %s cannot be read", name,
		                    info ? info->name : "of unknown number");
	if (t->dims[0] != w->cols || t->dims[1] != w->rows || t->dims[2] != 1 || t->dims[3] != 1)
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: shape %llu x %llu, expected %zu x %zu", name,
		                    (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], w->cols, w->rows);
	*out = t;
	return TRIT_OK;
}

/* ---- what a tensor holds ----------------------------------------------------------------------------------------- */

static const struct trit_gguf_tensor *find_factor(const struct trit_gguf *g, const struct trit_tensor_walk *w,
                                                  char name[TRIT_TENSOR_NAME_BYTES])
{
	trit_tensor_name(name, w->id, w->layer, "scale");
	return trit_gguf_find_tensor(g, name);
}

/* The optional factor blk.N.NAME.scale, 1 if absent. */
static int read_factor(const struct trit_gguf *g, const struct trit_tensor_walk *w, float *factor,
                       struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	const struct trit_gguf_tensor *t = find_factor(g, w, name);
	*factor = 1;
	if (!t)
		return TRIT_OK;
	if (t->type != TRIT_GGML_F32 || t->bytes != sizeof(float))
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: expected one F32 number", name);
	memcpy(factor, t->data, sizeof *factor);
	return TRIT_OK;
}

enum trit_scaling trit_tensor_scaling(const struct trit_gguf_tensor *t)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	return info->packed ? (enum trit_scaling)info->scaling : TRIT_SCALE_TENSOR;
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
	return check_scales(t, *scales, trit_scale_count(trit_tensor_scaling(t), w->rows, w->cols), err);
}

int trit_tensor_scales(const struct trit_gguf *g, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                       float *scales, struct trit_error *err)
{
	const float *packed;
	float factor;
	int e;
	if (trit_ggml_type_info(t->type)->packed) {
		e = trit_packed_scales(g, w, t, &packed, err);
		if (!e)
			memcpy(scales, packed, trit_scale_count(trit_tensor_scaling(t), w->rows, w->cols) * sizeof *scales);
		return e;
	}
	if ((e = read_factor(g, w, &factor, err)))
		return e;
	if ((e = trit_ggml_decode_trits(t->type, t->data, w->rows, w->cols, 0, 0, NULL, scales, err)))
		return trit_fail_prefix(err, e, "%s", t->name);
	*scales *= factor;
	return check_scales(t, scales, 1, err);
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
	int e = trit_ggml_decode_trits(t->type, t->data, w->rows, w->cols, row0, n, codes, &scale, err);
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
	enum trit_scaling scaling = trit_tensor_scaling(t);
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
