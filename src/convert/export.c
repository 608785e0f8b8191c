/*
 * export.c - writes a model as GGUF, some rows at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/export.h"

#include "base/mem.h"
#include "convert/chunks.h"
#include "convert/export_plan.h"
#include "format/gguf_labels.h"
#include "format/gguf_vocab.h"
#include "model/config_keys.h"
#include "model/quant.h"

#define PACKED_ALIGNMENT 64

struct writer {
	const struct trit_source *s;
	const struct trit_export_options *o;
	struct trit_export_plan plan;
	struct trit_gguf_writer *out;
	struct trit_chunks chunks;
	int64_t done; /* weights written */
	/* the tensor being written */
	struct trit_tensor_walk t;
	struct trit_planned as;
	bool own_freqs; /* rope_freqs.weight is made here: the source has its numbers only */
	bool together;  /* with the other experts' */
	const struct trit_ggml_type_info *info;
	float *scales; /* room for those of any tensor */
	float expert_scales[TRIT_MAX_EXPERTS]; /* of matrices side by side: one each, written after them */
};

int trit_export_check(const struct trit_config *c, struct trit_weight_method method,
                      const struct trit_export_options *o, struct trit_error *err)
{
	struct trit_source s = { .config = *c, .quantised = method.kind != TRIT_WEIGHT_FULL, .scaling = method.scaling };
	struct trit_export_plan plan;
	int e = trit_export_plan_make(&plan, &s, o, err);
	if (!e)
		trit_export_plan_release(&plan);
	return e;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

/* Keys of the source that speak of its file, not of the model. */
static bool is_private(const struct trit_gguf_key *k)
{
	static const char *const prefixes[] = { "trit.", "split.", "general.file_type", "general.quantization_version" };
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (k->name_len >= strlen(prefixes[i]) && !memcmp(k->name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* Keys of a rotary scaling that is written in another form (config.c); beside it they would count a second time. */
static bool is_replaced(const struct trit_config *c, const struct trit_gguf_key *k)
{
	char prefix[64];
	int n = snprintf(prefix, sizeof prefix, "%s.rope.scal", c->arch->name);
	return c->rope_scaling.kind != TRIT_ROPE_PLAIN && k->name_len >= (size_t)n && !memcmp(k->name, prefix, (size_t)n);
}

/* What is not written yet is carried over: licence and author, what a tokenizer has beyond the vocabulary. */
static int put_other_keys(struct writer *w, struct trit_error *err)
{
	const struct trit_gguf *g = w->s->keys;
	int e = TRIT_OK;
	for (uint64_t i = 0; g && i < g->n_keys && !e; i++)
		if (!is_private(&g->keys[i]) && !is_replaced(&w->s->config, &g->keys[i]) &&
		    !trit_gguf_writer_has(w->out, g->keys[i].name_len, g->keys[i].name))
			e = trit_gguf_put_key(w->out, &g->keys[i], err);
	return e;
}

static int put_keys(struct writer *w, struct trit_error *err)
{
	int e, file_type = trit_ggml_type_info(w->plan.type)->file_type;
	if ((e = trit_config_put(&w->s->config, w->out, file_type, err)) ||
	    (w->plan.packed && (e = trit_gguf_put_alignment(w->out, PACKED_ALIGNMENT, err))) ||
	    (e = trit_gguf_put_vocab(w->out, w->s->vocab, err)) ||
	    (w->s->labels && (e = trit_gguf_put_labels(w->out, w->s->config.arch->name, w->s->labels, err))))
		return e;
	return put_other_keys(w, err);
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* Whether the experts' matrices become one tensor, as other programs read them: types with something behind all rows
 * cannot. i: the place of t in the plan. */
static bool is_together(const struct writer *w, const struct trit_tensor_walk *t, size_t i)
{
	const struct trit_planned *first = &w->plan.tensors[i - (size_t)t->expert];
	const struct trit_ggml_type_info *info = trit_ggml_type_info(first->type);
	if (t->count == 1 || info->packed || info->tail_bytes || t->rows % 4)
		return false;
	for (int e = 1; e < t->count; e++)
		if (first[e].type != first->type || first[e].how != first->how)
			return false;
	return true;
}

static int put_tensors(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	int e = TRIT_OK;
	for (size_t i = 0; !e && trit_tensor_next(&t, &w->s->config); i++) {
		const struct trit_planned *as = &w->plan.tensors[i];
		char name[TRIT_TENSOR_NAME_BYTES];
		bool vector = trit_walk_kind(&t) == TRIT_KIND_NORM && t.rows == 1, together = is_together(w, &t, i);
		bool apart = t.count > 1 && !together;
		uint64_t count = together ? (uint64_t)t.count : 1, dims[3] = { t.cols, t.rows, count };
		if (together && t.expert)
			continue;
		if (apart)
			trit_expert_name(name, &t, "weight");
		else
			trit_walk_name(name, &t);
		e = trit_gguf_put_tensor(w->out, name, as->type, vector ? 1 : together ? 3 : 2, dims, err);
		if (!e && as->how == TRIT_EXPORT_UNITS) {
			if (apart)
				trit_expert_name(name, &t, "scale");
			else
				trit_tensor_name(name, t.id, t.layer, "scale");
			e = trit_gguf_put_tensor(w->out, name, TRIT_GGML_F32, 1, &count, err);
		}
	}
	return e;
}

/* Rows of a chunk: whole blocks of the packed layouts. */
static size_t chunk_rows(size_t cols)
{
	return trit_chunk_rows(cols, TRIT_BLOCK_ROWS);
}

/* Room for the scales of any tensor and for chunks of any. */
static int prepare(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	size_t largest = 0, chunk = 0, bytes = 0, scales = 1;
	for (size_t i = 0; trit_tensor_next(&t, &w->s->config); i++) {
		const struct trit_ggml_type_info *info = trit_ggml_type_info(w->plan.tensors[i].type);
		size_t n = t.rows < chunk_rows(t.cols) ? t.rows : chunk_rows(t.cols);
		size_t some = n * t.cols / (size_t)info->block * (size_t)info->block_bytes + (size_t)info->tail_bytes;
		enum trit_scaling scaling = info->packed ? (enum trit_scaling)info->scaling : w->s->scaling;
		if (info->packed)
			some = trit_layout_bytes((enum trit_layout)info->layout, n, t.cols);
		if (info->packed || w->plan.tensors[i].how <= TRIT_EXPORT_PRODUCTS) {
			size_t count = trit_scale_count(scaling, t.rows, t.cols);
			scales = count > scales ? count : scales;
		}
		largest = t.rows * t.cols > largest ? t.rows * t.cols : largest;
		chunk = n * t.cols > chunk ? n * t.cols : chunk;
		bytes = some > bytes ? some : bytes;
	}
	w->scales = trit_calloc(scales, sizeof *w->scales);
	if (!w->scales)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scales", scales);
	return trit_chunks_init(&w->chunks, largest, chunk, bytes, err);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

/* The bytes of packed rows, from the source's codes or its numbers. */
static int pack_rows(const struct writer *w, struct trit_chunk *p)
{
	enum trit_layout layout = (enum trit_layout)w->info->layout;
	size_t cols = w->t.cols;
	if (w->as.how == TRIT_EXPORT_NUMBERS &&
	    !trit_quantise_rows(layout, (enum trit_scaling)w->info->scaling, p->codes, w->scales, p->floats, p->row, p->n,
	                        cols))
		return trit_fail(&p->err, TRIT_ERR_FORMAT, "rows %zu to %zu have a number that is not finite", p->row,
		                 p->row + p->n - 1);
	if (layout == TRIT_B1 && memchr(p->codes, 0, p->n * cols))
		return trit_fail(&p->err, TRIT_ERR_ARG, "b1 holds -1 and +1 only, and there is a 0; choose t5 or t2 (--type)");
	trit_pack(layout, p->bytes, 0, p->codes, p->n, cols);
	p->len = trit_layout_bytes(layout, p->n, cols);
	return TRIT_OK;
}

/* Codes in a type with scales of its own. Scales of several columns are given for each block. */
static int encode_codes(const struct writer *w, struct trit_chunk *p)
{
	enum trit_scaling scaling = w->s->scaling;
	size_t cols = w->t.cols, run = scaling == TRIT_SCALE_ROW ? cols : (size_t)w->info->block, n = 0;
	if (w->info->binary && memchr(p->codes, 0, p->n * cols))
		return trit_fail(&p->err, TRIT_ERR_ARG,
		                 "q1_0 holds -1 and +1 only, and there is a 0; choose tq2_0, q2_0 or t5 (--type)");
	if (w->as.how == TRIT_EXPORT_UNITS || scaling == TRIT_SCALE_TENSOR) {
		float scale = w->as.how == TRIT_EXPORT_UNITS ? 1 : w->scales[0];
		trit_ggml_encode_trits(w->info->id, p->codes, scale, p->n, cols, p->bytes);
		return TRIT_OK;
	}
	for (size_t row = p->row; row < p->row + p->n; row++) /* the numbers' room is free */
		for (size_t col = 0; col < cols; col += run)
			p->floats[n++] = trit_scale_of(w->scales, scaling, row, col, cols);
	trit_ggml_encode_groups(w->info->id, p->codes, p->floats, run, p->n, cols, p->bytes);
	return TRIT_OK;
}

static void multiply(const struct writer *w, struct trit_chunk *p)
{
	size_t cols = w->t.cols, i = 0;
	for (size_t row = p->row; row < p->row + p->n; row++)
		for (size_t col = 0; col < cols; col++, i++)
			p->floats[i] = p->codes[i] ? trit_scale_of(w->scales, w->s->scaling, row, col, cols) * p->codes[i] : 0;
}

static int make_chunk(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	const struct trit_source *s = w->s;
	int e = TRIT_OK;
	p->len = p->n * w->t.cols / (size_t)w->info->block * (size_t)w->info->block_bytes;
	if (w->as.how == TRIT_EXPORT_BYTES)
		return s->bytes(s->arg, &w->t, p->row, p->n, p->bytes, &p->err);
	if (w->t.id == TRIT_TENSOR_ROPE_FREQS && w->own_freqs)
		trit_rope_divisors(p->floats, &s->config.rope_scaling, s->config.rope_base, s->config.n_rot);
	else if (w->as.how == TRIT_EXPORT_NUMBERS)
		e = s->floats(s->arg, &w->t, p->row, p->n, p->floats, &p->err);
	else
		e = s->codes(s->arg, &w->t, p->row, p->n, p->codes, &p->err);
	if (e || w->info->packed)
		return e ? e : pack_rows(w, p);
	if (w->as.how <= TRIT_EXPORT_UNITS)
		return encode_codes(w, p);
	if (w->as.how == TRIT_EXPORT_PRODUCTS)
		multiply(w, p);
	trit_ggml_encode_f32(w->info->id, p->floats, p->n, w->t.cols, p->bytes);
	return TRIT_OK;
}

static int write_chunk(void *arg, struct trit_chunk *p, struct trit_error *err)
{
	struct writer *w = arg;
	if (p->row + p->n == w->t.rows)
		p->len += (size_t)w->info->tail_bytes;
	int e = trit_gguf_write_data(w->out, p->len, p->bytes, err);
	w->done += (int64_t)(p->n * w->t.cols);
	if (!e && w->o->go_on && !w->o->go_on(w->o->arg, w->done, trit_config_parameters(&w->s->config)))
		e = trit_fail(err, TRIT_ERR_IO, "stopped before the file was complete");
	return e;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int write_data(struct writer *w, struct trit_error *err)
{
	const struct trit_source *s = w->s;
	size_t n_scales = trit_scale_count((enum trit_scaling)w->info->scaling, w->t.rows, w->t.cols);
	int e = TRIT_OK;
	if (w->info->packed)
		memset(w->scales, 0, n_scales * sizeof *w->scales);
	if (w->as.how <= TRIT_EXPORT_PRODUCTS)
		e = s->scales(s->arg, &w->t, w->scales, err);
	if (!e)
		e = trit_chunks_run(&w->chunks, w->t.rows, chunk_rows(w->t.cols), make_chunk, write_chunk, w, err);
	if (!e && w->as.how == TRIT_EXPORT_UNITS && w->together) {
		w->expert_scales[w->t.expert] = w->scales[0];
		if (w->t.expert == w->t.count - 1)
			e = trit_gguf_write_data(w->out, (size_t)w->t.count * sizeof *w->scales, w->expert_scales, err);
	} else if (!e && (w->info->packed || w->as.how == TRIT_EXPORT_UNITS)) {
		e = trit_gguf_write_data(w->out, (w->info->packed ? n_scales : 1) * sizeof *w->scales, w->scales, err);
	}
	if (s->done)
		s->done(s->arg, &w->t);
	return e;
}

/* One tensor, and its scale; an error names it. */
static int write_tensor(struct writer *w, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	struct trit_error why = { 0 };
	int e = write_data(w, &why);
	if (e && err)
		*err = why;
	trit_walk_name(name, &w->t);
	return !e || e == TRIT_ERR_IO || strstr(why.message, name) ? e : trit_fail_prefix(err, e, "%s", name);
}

static int write_model(struct writer *w, struct trit_error *err)
{
	int e;
	if ((e = trit_export_plan_make(&w->plan, w->s, w->o, err)) || (e = put_keys(w, err)) || (e = put_tensors(w, err)) ||
	    (e = prepare(w, err)))
		return e;
	for (size_t i = 0; trit_tensor_next(&w->t, &w->s->config); i++) {
		w->as = w->plan.tensors[i];
		w->together = is_together(w, &w->t, i);
		w->info = trit_ggml_type_info(w->as.type);
		if ((e = write_tensor(w, err)))
			return e;
	}
	return trit_gguf_writer_commit(w->out, err);
}

int trit_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                struct trit_error *err)
{
	struct trit_source ordered;
	struct trit_reordered reordered;
	struct writer w = { .s = &ordered, .o = o };
	trit_source_reorder(&ordered, &reordered, s, s->config.arch->rope_half);
	w.own_freqs = s->config.rope_scaling.kind == TRIT_ROPE_LLAMA3 && !s->config.rope_freqs;
	ordered.config.rope_freqs = s->config.rope_freqs || w.own_freqs;
	if (s->vocab && s->vocab->n_tokens > s->config.n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in the embedding",
		                 s->vocab->n_tokens, s->config.n_vocab);
	int e = trit_gguf_writer_new(&w.out, path, err);
	if (e)
		return e;
	e = write_model(&w, err);
	trit_chunks_release(&w.chunks);
	trit_export_plan_release(&w.plan);
	trit_free(w.scales);
	trit_gguf_writer_free(w.out);
	return e;
}
