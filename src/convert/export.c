/*
 * export.c - writes a model as GGUF, some rows at a time.
 *
 * A round takes as many chunks - some rows of a tensor - as there are threads: each thread makes the bytes of one, then
 * they are written in order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/export.h"

#include "base/mem.h"
#include "convert/chunks.h"
#include "format/gguf_vocab.h"
#include "model/quant.h"

#define PACKED_ALIGNMENT 64

struct writer {
	const struct trit_source *s;
	const struct trit_export_options *o;
	struct trit_gguf_writer *out;
	uint32_t type, embedding_type, head_type;
	bool split_scale; /* scales go to tensors of their own */
	struct trit_chunks chunks;
	int64_t done;         /* weights written */
	/* the tensor being written */
	struct trit_tensor_walk t;
	const struct trit_ggml_type_info *info;
	bool coded;    /* the source gives codes and scales, not numbers */
	float *scales; /* room for those of any tensor */
};

static uint32_t type_of(const struct writer *w, const struct trit_tensor_walk *t)
{
	switch (trit_walk_kind(t)) {
	case TRIT_KIND_NORM:
		return TRIT_GGML_F32;
	case TRIT_KIND_EMBEDDING:
		return t->id == TRIT_TENSOR_OUTPUT ? w->head_type : w->embedding_type;
	default:
		return w->type;
	}
}

/* ---- choosing types ---------------------------------------------------------------------------------------------- */

/* Whether all tensors of the kind have a whole number of blocks of the type a row. */
static bool fits(const struct trit_config *c, enum trit_tensor_kind kind, uint32_t type)
{
	struct trit_tensor_walk w = { 0 };
	size_t block = (size_t)trit_ggml_type_info(type)->block;
	while (trit_tensor_next(&w, c))
		if (trit_walk_kind(&w) == kind && w.cols % block)
			return false;
	return true;
}

/* The packed type of the same layout with scales arranged as `scaling` says. */
static uint32_t packed_with(const struct trit_ggml_type_info *info, enum trit_scaling scaling)
{
	int scales = scaling == TRIT_SCALE_GROUP128 ? 3 : scaling == TRIT_SCALE_GROUP64 ? 2 : scaling == TRIT_SCALE_ROW;
	return (uint32_t)TRIT_GGML_PACKED_TYPE(info->layout, scales);
}

static uint32_t automatic_type(const struct trit_source *s)
{
	/* llama.cpp lacks I2_S; what reads the other architectures has it and, unlike llama.cpp, no tensors for scales. */
	static const uint32_t orders[2][4] = {
		{ TRIT_GGML_TQ2_0, TRIT_GGML_I2_S, TRIT_GGML_Q8_0, TRIT_GGML_F16 },
		{ TRIT_GGML_I2_S, TRIT_GGML_TQ2_0, TRIT_GGML_Q8_0, TRIT_GGML_F16 },
	};
	const uint32_t *ternary = orders[!s->config.arch->scale_tensors];
	if (s->quantised && s->scaling != TRIT_SCALE_TENSOR)
		return TRIT_GGML_PACKED_TYPE(TRIT_T5, 0);
	for (size_t i = 0; s->quantised && i < sizeof orders[0] / sizeof orders[0][0]; i++)
		if (fits(&s->config, TRIT_KIND_LINEAR, ternary[i]))
			return ternary[i];
	return TRIT_GGML_F16;
}

static int choose_linear_type(struct writer *w, struct trit_error *err)
{
	const struct trit_source *s = w->s;
	const struct trit_ggml_type_info *info;
	w->type = w->o->type >= 0 ? (uint32_t)w->o->type : automatic_type(s);
	info = trit_ggml_type_info(w->type);
	if (info->ternary && !s->quantised)
		return trit_fail(
			err, TRIT_ERR_ARG,
			"type %s holds ternary weights and this model's are full precision; choose q8_0, f16, bf16 or f32",
			info->name);
	if (info->packed)
		w->type = packed_with(info, s->scaling);
	else if (s->quantised && s->scaling != TRIT_SCALE_TENSOR)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "type %s holds one scale a tensor and this model has more; choose t5, t2 or b1", info->name);
	/* Only where a reader applies them: a dense projection of a network that is not ternary by definition has none. */
	w->split_scale = s->quantised && (info->ternary || s->config.arch->bit_linear) && !info->packed &&
	                 w->type != TRIT_GGML_I2_S && w->type != TRIT_GGML_F32;
	return TRIT_OK;
}

/* The packed type in which the source has its embedding or head; -1 if it has it in no such type. */
static int packed_type_there(const struct trit_source *s, enum trit_tensor_id id)
{
	struct trit_tensor_walk w = { .id = id };
	trit_tensor_shape(&s->config, id, &w.rows, &w.cols);
	int type = s->type ? s->type(s->arg, &w) : -1;
	return type >= 0 && trit_ggml_type_info((uint32_t)type)->packed ? type : -1;
}

static int choose_types(struct writer *w, struct trit_error *err)
{
	const struct trit_export_options *o = w->o;
	const struct trit_config *c = &w->s->config;
	int embedding = o->embedding_type;
	int e = choose_linear_type(w, err);
	if (e)
		return e;
	if (c->tied && o->head_type >= 0) {
		if (embedding >= 0 && embedding != o->head_type)
			return trit_fail(err, TRIT_ERR_ARG,
			                 "the head of this model is its embedding: give one of --head-type and --embedding-type");
		embedding = o->head_type;
	}
	int head = o->head_type;
	if (trit_ggml_type_info(w->type)->packed) { /* what is packed stays as it is */
		if (head < 0 && embedding < 0 && !c->tied)
			head = packed_type_there(w->s, TRIT_TENSOR_OUTPUT);
		if (embedding < 0)
			embedding = packed_type_there(w->s, TRIT_TENSOR_TOKEN_EMBD);
		if (embedding < 0)
			embedding = TRIT_GGML_PACKED_TYPE(TRIT_I8, 1);
	}
	if (embedding < 0)
		embedding = w->s->quantised && fits(c, TRIT_KIND_EMBEDDING, TRIT_GGML_Q8_0) ? TRIT_GGML_Q8_0 : TRIT_GGML_F16;
	w->embedding_type = (uint32_t)embedding;
	w->head_type = head >= 0 ? (uint32_t)head : w->embedding_type;
	return TRIT_OK;
}

static const char *option_of(enum trit_tensor_id id)
{
	return trit_tensors[id].kind != TRIT_KIND_EMBEDDING ? "--type"
	       : id == TRIT_TENSOR_OUTPUT                   ? "--head-type"
	                                                    : "--embedding-type";
}

/* The rows of the tensor in whole blocks of its type: *bytes of it. */
static int tensor_bytes(const struct writer *w, const struct trit_tensor_walk *t, uint64_t *bytes,
                        struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	int e = trit_ggml_tensor_bytes(type_of(w, t), t->rows, t->cols, bytes, err);
	if (!e)
		return TRIT_OK;
	trit_walk_name(name, t);
	return trit_fail_prefix(err, e, "%s cannot be %s (choose another %s)", name,
	                        trit_ggml_type_info(type_of(w, t))->name, option_of(t->id));
}

int trit_export_check(const struct trit_config *c, bool quantised, const struct trit_export_options *o,
                      struct trit_error *err)
{
	struct trit_source s = { .config = *c, .quantised = quantised };
	struct writer w = { .s = &s, .o = o };
	struct trit_tensor_walk t = { 0 };
	uint64_t bytes;
	int e = choose_types(&w, err);
	while (!e && trit_tensor_next(&t, c))
		e = tensor_bytes(&w, &t, &bytes, err);
	return e;
}

/* ---- what will be written ---------------------------------------------------------------------------------------- */

static int describe(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	int e = TRIT_OK;
	while (!e && trit_tensor_next(&t, &w->s->config)) {
		char name[TRIT_TENSOR_NAME_BYTES];
		bool vector = trit_walk_kind(&t) == TRIT_KIND_NORM && t.rows == 1;
		uint64_t dims[2] = { t.cols, t.rows }, one = 1, bytes = 0;
		trit_walk_name(name, &t);
		if ((e = tensor_bytes(w, &t, &bytes, err)))
			return e;
		e = trit_gguf_put_tensor(w->out, name, type_of(w, &t), vector ? 1 : 2, dims, err);
		if (!e && w->split_scale && trit_walk_kind(&t) == TRIT_KIND_LINEAR) {
			trit_tensor_name(name, t.id, t.layer, "scale");
			e = trit_gguf_put_tensor(w->out, name, TRIT_GGML_F32, 1, &one, err);
		}
	}
	return e;
}

/* Rows of a chunk: whole blocks of the packed layouts. */
static size_t chunk_rows(size_t cols)
{
	return trit_chunk_rows(cols, TRIT_BLOCK_ROWS);
}

/* What chunks and scales of all tensors need at most. */
struct most {
	size_t tensor, chunk; /* weights */
	size_t bytes;         /* of a chunk */
	size_t scales;
};

static struct most measure(const struct writer *w)
{
	struct most m = { .scales = 1 };
	struct trit_tensor_walk t = { 0 };
	while (trit_tensor_next(&t, &w->s->config)) {
		const struct trit_ggml_type_info *info = trit_ggml_type_info(type_of(w, &t));
		size_t n = t.rows < chunk_rows(t.cols) ? t.rows : chunk_rows(t.cols), scales = 1;
		size_t bytes = n * t.cols / (size_t)info->block * (size_t)info->block_bytes + (size_t)info->tail_bytes;
		if (info->packed) {
			bytes = trit_layout_bytes((enum trit_layout)info->layout, n, t.cols);
			scales = trit_scale_count((enum trit_scaling)info->scaling, t.rows, t.cols);
		}
		m.tensor = t.rows * t.cols > m.tensor ? t.rows * t.cols : m.tensor;
		m.chunk = n * t.cols > m.chunk ? n * t.cols : m.chunk;
		m.bytes = bytes > m.bytes ? bytes : m.bytes;
		m.scales = scales > m.scales ? scales : m.scales;
	}
	return m;
}

static int prepare(struct writer *w, struct trit_error *err)
{
	struct most m = measure(w);
	w->scales = trit_calloc(m.scales, sizeof *w->scales);
	if (!w->scales)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scales", m.scales);
	return trit_chunks_init(&w->chunks, m.tensor, m.chunk, m.bytes, err);
}

static void release(struct writer *w)
{
	trit_chunks_release(&w->chunks);
	trit_free(w->scales);
	trit_gguf_writer_free(w->out);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* The bytes of packed rows, from the source's codes or its numbers. */
static int pack_rows(const struct writer *w, struct trit_chunk *p)
{
	enum trit_layout layout = (enum trit_layout)w->info->layout;
	size_t cols = w->t.cols;
	if (!w->coded &&
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

static int make_chunk(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	const struct trit_source *s = w->s;
	int e = w->coded ? s->codes(s->arg, &w->t, p->row, p->n, p->codes, &p->err)
	                 : s->floats(s->arg, &w->t, p->row, p->n, p->floats, &p->err);
	if (e || w->info->packed)
		return e ? e : pack_rows(w, p);
	p->len = p->n * w->t.cols / (size_t)w->info->block * (size_t)w->info->block_bytes;
	if (w->coded)
		trit_ggml_encode_trits(w->info->id, p->codes, w->split_scale ? 1.0f : w->scales[0], p->n, w->t.cols, p->bytes);
	else
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

/* All rows of the tensor; an error names it. */
static int write_rows(struct writer *w, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	struct trit_error why = { 0 };
	int e = trit_chunks_run(&w->chunks, w->t.rows, chunk_rows(w->t.cols), make_chunk, write_chunk, w, &why);
	if (!e)
		return e;
	if (err)
		*err = why;
	trit_walk_name(name, &w->t);
	return e == TRIT_ERR_IO || strstr(why.message, name) ? e : trit_fail_prefix(err, e, "%s", name);
}

static int write_tensor(struct writer *w, const struct trit_tensor_walk *t, struct trit_error *err)
{
	const struct trit_source *s = w->s;
	bool linear = trit_walk_kind(t) == TRIT_KIND_LINEAR;
	int e;
	w->t = *t;
	w->info = trit_ggml_type_info(type_of(w, t));
	size_t n_scales = trit_scale_count((enum trit_scaling)w->info->scaling, t->rows, t->cols);
	memset(w->scales, 0, (w->info->packed ? n_scales : 1) * sizeof *w->scales);
	w->coded = (s->quantised && linear) || (w->info->packed && s->type && s->type(s->arg, t) == (int)w->info->id);
	if ((w->coded && (e = s->scales(s->arg, t, w->scales, err))) || (e = write_rows(w, err)))
		return e;
	if (s->done)
		s->done(s->arg, t);
	if (w->info->packed)
		return trit_gguf_write_data(w->out, n_scales * sizeof *w->scales, w->scales, err);
	return linear && w->split_scale ? trit_gguf_write_data(w->out, sizeof *w->scales, w->scales, err) : TRIT_OK;
}

static bool any_packed(const struct writer *w)
{
	return trit_ggml_type_info(w->type)->packed || trit_ggml_type_info(w->embedding_type)->packed ||
	       trit_ggml_type_info(w->head_type)->packed;
}

static int write_model(struct writer *w, struct trit_error *err)
{
	int e;
	if ((e = choose_types(w, err)) ||
	    (e = trit_config_put(&w->s->config, w->out, trit_ggml_type_info(w->type)->file_type, err)) ||
	    (any_packed(w) && (e = trit_gguf_put_alignment(w->out, PACKED_ALIGNMENT, err))) ||
	    (e = trit_gguf_put_vocab(w->out, w->s->vocab, err)) || (e = describe(w, err)) || (e = prepare(w, err)))
		return e;
	struct trit_tensor_walk t = { 0 };
	while (trit_tensor_next(&t, &w->s->config))
		if ((e = write_tensor(w, &t, err)))
			return e;
	return trit_gguf_writer_commit(w->out, err);
}

int trit_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                struct trit_error *err)
{
	struct trit_source ordered;
	struct trit_reordered reordered;
	struct writer w = { .s = &ordered, .o = o };
	trit_source_reorder(&ordered, &reordered, s, s->config.arch->rope_half);
	if (s->vocab && s->vocab->n_tokens > s->config.n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in the embedding",
		                 s->vocab->n_tokens, s->config.n_vocab);
	int e = trit_gguf_writer_new(&w.out, path, err);
	if (e)
		return e;
	e = write_model(&w, err);
	release(&w);
	return e;
}
