/*
 * init.c - configuration and first weights from a model's file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/init.h"

#include <math.h>

#include "model/masters.h"
#include "model/quant.h"
#include "model/tensor_form.h"
#include "train/net_parts.h"

/* ---- what is trained --------------------------------------------------------------------------------------------- */

/* Whether projections are ternary by their type, or the architecture says so. */
static bool is_ternary(const struct trit_config *c, const struct trit_gguf *g)
{
	const struct trit_gguf_tensor *q = trit_gguf_find_tensor(g, "blk.0.attn_q.weight");
	const struct trit_ggml_type_info *info = q ? trit_ggml_type_info(q->type) : NULL;
	return c->arch->bit_linear || (info && info->ternary);
}

/* With weights quantised that were not, or as the setting says. */
static int choose_sub_norm(struct trit_init *in, const struct trit_recipe *r, bool ternary, struct trit_error *err)
{
	struct trit_config *c = &in->config;
	bool quantised = r->weights != TRIT_WEIGHT_FULL;
	bool wanted = r->sub_norm == TRIT_SUB_NORM_AUTO ? c->sub_norm || (quantised && !ternary)
	                                                : r->sub_norm == TRIT_SUB_NORM_YES;
	if (c->sub_norm && !wanted)
		return trit_fail(err, TRIT_ERR_ARG, "the model has sub-norms, and without them it would be another; leave "
		                 "--sub-norm no out");
	in->adds_sub_norms = wanted && !c->sub_norm;
	c->sub_norm = wanted;
	if (wanted && quantised && !strcmp(c->arch->name, "llama") && !c->biases && !c->window && !c->moe.n_experts)
		c->arch = trit_arch_for(TRIT_WEIGHT_TERNARY, c->arch->activation);
	return TRIT_OK;
}

/* A ternary model's arrangement of scales stays unless a finer one is asked for: the settings have them from one a
 * matrix on down. */
static int choose_scales(const struct trit_init *in, struct trit_recipe *r, struct trit_error *err)
{
	const struct trit_gguf *g = &in->file.gguf;
	struct trit_tensor_walk w = { 0 };
	struct trit_gguf_tensor t;
	int e = TRIT_OK;
	while (!e && trit_tensor_next(&w, &in->config)) {
		struct trit_form form = { 0 };
		int i = 0;
		if (trit_walk_kind(&w) != TRIT_KIND_LINEAR || (e = trit_tensor_find(g, &w, &t, err)) ||
		    !trit_ggml_type_info(t.type)->ternary || (e = trit_tensor_form(&form, &w, &t, err)))
			continue;
		while (trit_scaling_names[i] && trit_scalings[i] != form.scaling)
			i++;
		if (trit_scaling_names[i] && i > r->scales)
			r->scales = i;
	}
	return e;
}

/* Whether the model is ternary, its masters included. */
static int find_ternary(const struct trit_init *in, bool *ternary, struct trit_error *err)
{
	bool online = false;
	int e = trit_gguf_get_bool(&in->file.gguf, "trit.weights.online", &online, err);
	*ternary = online || is_ternary(&in->config, &in->file.gguf);
	return e < 0 ? e : TRIT_OK;
}

/* A classifier's head of labels is in the place of the vocabulary's; another model loses the one that it has. */
static void choose_head(struct trit_config *c, const struct trit_recipe *r)
{
	if (r->n_labels) {
		c->pooling = r->label_pooling == TRIT_LABEL_MEAN ? TRIT_POOLING_MEAN : TRIT_POOLING_LAST;
		c->tied = true;
		c->biases &= ~((uint64_t)1 << TRIT_TENSOR_OUTPUT);
	} else if (c->n_labels) {
		c->pooling = 0;
	}
	if (r->n_labels != c->n_labels)
		c->biases &= ~((uint64_t)1 << TRIT_TENSOR_CLS_OUTPUT);
	c->n_labels = r->n_labels;
}

static int choose(struct trit_init *in, struct trit_recipe *r, struct trit_error *err)
{
	struct trit_config *c = &in->config;
	int e = trit_config_read(c, &in->file.gguf, err);
	if (e)
		return e;
	choose_head(c, r);
	if ((e = trit_net_check(c, err)))
		return e;
	bool ternary;
	if ((e = find_ternary(in, &ternary, err)))
		return e;
	if (ternary && r->weights == TRIT_WEIGHT_FULL)
		return trit_fail(err, TRIT_ERR_ARG, "--weights full: %s", c->arch->bit_linear
		                 ? "the model is a BitNet, whose weights always are ternary or binary"
		                 : "the model is ternary; to train the numbers that its weights stand for convert it first: "
		                   "trit convert MODEL OUT.gguf --type f32");
	if ((ternary && (e = choose_scales(in, r, err))) || (e = choose_sub_norm(in, r, ternary, err)))
		return e;
	if (!trit_recipe_is_frozen(r)) /* the order that the model is packed in: its sums are then those of training */
		c->rope_half = c->arch->rope_half;
	if (r->n_layers > 0 && r->n_layers < c->n_layers)
		c->n_layers = r->n_layers;
	if (c->n_ctx < r->seq_len)
		c->n_ctx = r->seq_len;
	c->name[0] = 0; /* a run has its own */
	trit_recipe_take_config(r, c);
	return trit_recipe_check_scales(r, err);
}

static int check_vocab(const struct trit_init *in, struct trit_error *err)
{
	if (!in->file.has_vocab)
		return trit_fail(err, TRIT_ERR_ARG, "the model has no vocabulary; name its tokenizer with --tokenizer");
	if (in->file.vocab.n_tokens > in->config.n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in the embedding",
		                 in->file.vocab.n_tokens, in->config.n_vocab);
	return TRIT_OK;
}

int trit_init_open(struct trit_init *in, const char *path, const char *tokenizer, struct trit_recipe *r,
                   struct trit_error *err)
{
	const struct trit_model_file_options options = { .tokenizer = tokenizer };
	*in = (struct trit_init){ 0 };
	int e = trit_model_file_open(&in->file, path, &options, err);
	if (e)
		return e;
	if (!(e = trit_model_file_check_weights(&in->file, path, err)) &&
	    ((e = choose(in, r, err)) || (e = check_vocab(in, err))))
		e = trit_fail_prefix(err, e, "%s", path);
	if (e)
		trit_init_close(in);
	return e;
}

int trit_init_is_ternary(const char *path, const char *tokenizer, bool *ternary, struct trit_error *err)
{
	const struct trit_model_file_options options = { .tokenizer = tokenizer };
	struct trit_init in = { 0 };
	int e = trit_model_file_open(&in.file, path, &options, err);
	if (!e && !(e = trit_config_read(&in.config, &in.file.gguf, err)))
		e = find_ternary(&in, ternary, err);
	trit_init_close(&in);
	return e;
}

void trit_init_close(struct trit_init *in)
{
	trit_model_file_close(&in->file);
	*in = (struct trit_init){ 0 };
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Masters of n codes that share one of many scales. */
static void fill_group(float *out, const int8_t *codes, size_t n, float scale)
{
	size_t nonzero = 0;
	for (size_t i = 0; i < n; i++)
		nonzero += codes[i] != 0;
	float master = nonzero ? (float)((double)scale * (double)n / (double)nonzero) : 0;
	for (size_t i = 0; i < n; i++)
		out[i] = (float)codes[i] * master;
}

/* Of a matrix with one scale: so that it comes back to the bit. */
static int fill_matrix(float *out, const int8_t *codes, size_t n, float scale, struct trit_error *err)
{
	struct trit_masters m;
	uint64_t nonzero = 0;
	for (size_t i = 0; i < n; i++)
		nonzero += codes[i] != 0;
	if (!nonzero) { /* any scale does */
		memset(out, 0, n * sizeof *out);
		return TRIT_OK;
	}
	int e = trit_masters_init(&m, scale, nonzero, n, TRIT_DTYPE_F32, err);
	if (!e)
		trit_masters_fill(&m, out, codes, n, 0);
	return e;
}

static void fill_groups(float *out, const int8_t *codes, const float *scales, enum trit_scaling scaling,
                        const struct trit_tensor_walk *w)
{
	size_t run = scaling > TRIT_SCALE_ROW ? (size_t)scaling : w->cols;
	for (size_t row = 0; row < w->rows; row++)
		for (size_t col = 0; col < w->cols; col += run) {
			size_t at = row * w->cols + col, n = w->cols - col < run ? w->cols - col : run;
			fill_group(out + at, codes + at, n, trit_scale_of(scales, scaling, row, col, w->cols));
		}
}

/* Masters of a projection whose codes and scales the file has. */
static int read_masters(float *out, const struct trit_gguf *g, const struct trit_tensor_walk *w,
                        const struct trit_gguf_tensor *t, const int8_t *codes, enum trit_scaling scaling,
                        struct trit_error *err)
{
	float *scales = trit_calloc(trit_scale_count(scaling, w->rows, w->cols), sizeof *scales);
	if (!scales)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the scales of %s", t->name);
	int e = trit_tensor_scales(g, w, t, scaling, scales, err);
	if (!e && scaling == TRIT_SCALE_TENSOR)
		e = fill_matrix(out, codes, w->rows * w->cols, *scales, err);
	else if (!e)
		fill_groups(out, codes, scales, scaling, w);
	trit_free(scales);
	return e;
}

/* A projection that is ternary by its type, or by definition and as it stands. *done: it was. */
static int read_ternary(float *out, bool *done, const struct trit_config *c, const struct trit_gguf *g,
                        const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	struct trit_form form = { 0 };
	bool by_type = info->ternary;
	int e;
	*done = false;
	if (!by_type && (info->packed || !c->arch->bit_linear))
		return TRIT_OK;
	if ((e = trit_tensor_form(&form, w, t, err)) || form.code_2)
		return e;
	int8_t *codes = trit_calloc(w->rows, w->cols);
	if (!codes)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %s", t->name);
	e = trit_tensor_codes(w, t, 0, w->rows, codes, err);
	*done = by_type || !e;
	if (!e)
		e = read_masters(out, g, w, t, codes, info->packed ? trit_packed_scaling(t) : form.scaling, err);
	else if (!by_type)
		e = TRIT_OK; /* numbers: masters */
	trit_free(codes);
	return e;
}

static bool is_sub_norm(enum trit_tensor_id id)
{
	return id == TRIT_TENSOR_ATTN_SUB_NORM || id == TRIT_TENSOR_FFN_SUB_NORM || id == TRIT_TENSOR_FFN_SUB_NORM_EXPS ||
	       id == TRIT_TENSOR_FFN_SUB_NORM_SHEXP;
}

static bool has_rows(const struct trit_gguf *g, const char *name, const struct trit_tensor_walk *w)
{
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(g, name);
	return t && t->dims[w->bias ? 0 : 1] == (w->bias ? w->cols : w->rows);
}

static int read_tensor(float *out, const struct trit_config *c, const struct trit_gguf *g, bool online,
                       const struct trit_tensor_walk *w, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	struct trit_gguf_tensor t;
	size_t n = w->rows * w->cols;
	bool done = false;
	int e;
	trit_walk_name(name, w);
	if (is_sub_norm(w->id) && !trit_gguf_find_tensor(g, name)) {
		for (size_t i = 0; i < n; i++)
			out[i] = w->bias ? 0 : 1;
		return TRIT_OK;
	}
	if (w->id == TRIT_TENSOR_CLS_OUTPUT && !has_rows(g, name, w)) { /* begins anew, all labels alike */
		memset(out, 0, n * sizeof *out);
		return TRIT_OK;
	}
	if ((e = trit_tensor_find(g, w, &t, err)))
		return e;
	if (trit_walk_kind(w) == TRIT_KIND_LINEAR && !online && (e = read_ternary(out, &done, c, g, w, &t, err)))
		return e;
	if (!done && (e = trit_tensor_floats(w, &t, 0, w->rows, out, err)))
		return e;
	trit_gguf_forget(&t, 0, (size_t)t.bytes);
	for (size_t i = 0; i < n; i++)
		if (!isfinite(out[i]) || (w->id == TRIT_TENSOR_ROPE_FREQS && !(out[i] > 0)))
			return trit_fail(err, TRIT_ERR_FORMAT, "%s: element %zu is not %s", name, i,
			                 isfinite(out[i]) ? "positive" : "finite");
	return TRIT_OK;
}

/* Puts the rows of queries or keys, or the elements of their bias, in the order of c's rotary pairs. */
static int reorder(float *out, const struct trit_config *c, bool from_half, const struct trit_tensor_walk *w,
                   struct trit_error *err)
{
	size_t rows = w->bias ? w->cols : w->rows, cols = w->bias ? 1 : w->cols;
	float *head = trit_calloc((size_t)c->head_dim, cols * sizeof *head);
	if (!head)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a head of %zu elements",
		                 (size_t)c->head_dim * cols);
	trit_rope_reorder(out, rows, cols, c->head_dim, c->n_rot, from_half, c->rope_half, head);
	trit_free(head);
	return TRIT_OK;
}

int trit_init_layer(int i, int layers, int of)
{
	return layers == 1 ? of - 1 : (2 * i * (of - 1) + layers - 1) / (2 * (layers - 1));
}

int trit_params_from_model(struct trit_params *p, const struct trit_config *c, struct trit_model_file *file,
                           struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	struct trit_config theirs;
	bool online = false;
	int e = trit_gguf_get_bool(&file->gguf, "trit.weights.online", &online, err);
	if (e < 0 || (e = trit_config_read(&theirs, &file->gguf, err)))
		return e;
	for (int i = 0; !e && trit_tensor_next(&w, c); i++) {
		struct trit_tensor_walk from = w;
		from.layer = trit_init_layer(w.layer, c->n_layers, theirs.n_layers);
		e = read_tensor(p->w + p->list[i].offset, c, &file->gguf, online, &from, err);
		if (!e && trit_tensor_has_pairs(w.id) && c->rope_half != theirs.rope_half)
			e = reorder(p->w + p->list[i].offset, c, theirs.rope_half, &w, err);
	}
	return e;
}
