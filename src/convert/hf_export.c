/*
 * hf_export.c - the weights of a Hugging Face folder.
 *
 * First a list of what will be written, then files of at most 5 GB. A file has its tensors by the size of their
 * elements, the largest first, so that all data is aligned: F32 norms and scales, then 16-bit numbers, then packed
 * bytes.
 *
 * A packed byte has four rows, each from another quarter of the matrix:
 *
 *     byte of row r, column c  =  t[3 R/4 + r] << 6 | t[2 R/4 + r] << 4 | t[R/4 + r] << 2 | t[r]        t = code + 1
 *
 * weight_scale beside it multiplies the product (autobitlinear) or divides it (bitlinear).
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/hf_export.h"

#include <math.h>

#include "base/folder.h"
#include "base/mem.h"
#include "base/num.h"
#include "convert/hf_files.h"
#include "model/masters.h"
#include "convert/chunks.h"

#define SHARD_BYTES ((uint64_t)5000000000)

/* One tensor of the folder. */
struct entry {
	struct trit_tensor_walk w;
	enum trit_dtype dtype;
	bool scale; /* weight_scale of the projection, not its weights */
	int shard;
};

struct writer {
	const struct trit_source *s; /* rotary pairs by halves */
	const struct trit_export_options *o;
	enum trit_hf_linear linear;
	enum trit_dtype dtype; /* of numbers */
	struct entry *entries; /* [n], a scale behind its weights */
	size_t n;
	int shards;
	uint64_t bytes;
	struct trit_folder folder;
	struct trit_chunks chunks;
	struct trit_st_writer *out;
	int64_t done; /* weights written */
	/* the tensor being written */
	const struct entry *e;
	float *scales;     /* room for those of any tensor */
	uint64_t *nonzero; /* [rows of any tensor] weights that are not 0 before each row; masters only */
	struct trit_masters masters;
};

/* ---- choosing types ---------------------------------------------------------------------------------------------- */

static bool is_projection(const struct trit_tensor_walk *w)
{
	return trit_walk_kind(w) == TRIT_KIND_LINEAR;
}

static bool is_packed(const struct writer *w, const struct trit_tensor_walk *t)
{
	return is_projection(t) && (w->linear == TRIT_HF_DIVIDE || w->linear == TRIT_HF_MULTIPLY);
}

static uint32_t ggml_type(enum trit_dtype t)
{
	return t == TRIT_DTYPE_F32 ? TRIT_GGML_F32 : t == TRIT_DTYPE_F16 ? TRIT_GGML_F16 : TRIT_GGML_BF16;
}

static bool is_number_type(int type)
{
	return type == TRIT_GGML_F32 || type == TRIT_GGML_F16 || type == TRIT_GGML_BF16;
}

static enum trit_dtype dtype_of(int type)
{
	return type == TRIT_GGML_F32 ? TRIT_DTYPE_F32 : type == TRIT_GGML_BF16 ? TRIT_DTYPE_BF16 : TRIT_DTYPE_F16;
}

/* Whether the numbers of a chunk are all bf16: fails with ARG if not. */
static int look_for_bf16(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	int e = w->s->floats(w->s->arg, &w->e->w, p->row, p->n, p->floats, &p->err);
	for (size_t i = 0; i < p->n * w->e->w.cols && !e; i++)
		if (trit_f32_bits(p->floats[i]) & 0xffff)
			e = TRIT_ERR_ARG;
	return e;
}

/* Numbers that are not bf16 in a ternary model stay fp32: in this linear class transformers computes in the type of the
 * file, all of which must be of one. */
static int choose_exact(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	int e = TRIT_OK;
	while (!e && trit_tensor_next(&t, &w->s->config)) {
		const struct entry entry = { .w = t };
		w->e = &entry;
		if (!is_projection(&t))
			e = trit_chunks_run(&w->chunks, t.rows, trit_chunk_rows(t.cols, 4), look_for_bf16, NULL, w, err);
	}
	w->dtype = e ? TRIT_DTYPE_F32 : TRIT_DTYPE_BF16;
	return e == TRIT_ERR_ARG ? TRIT_OK : e;
}

static int choose(struct writer *w, struct trit_error *err)
{
	const struct trit_source *s = w->s;
	const struct trit_export_options *o = w->o;
	bool packed = o->type < 0 || o->type == TRIT_GGML_HF_U2;
	if ((!packed && !is_number_type(o->type)) || (o->embedding_type >= 0 && !is_number_type(o->embedding_type)) ||
	    o->head_type >= 0)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "a Hugging Face folder holds ternary weights packed (auto, packed), and numbers of one of "
		                 "f32, f16, bf16 (--type or --embedding-type); for others write a GGUF file");
	if (!packed && o->embedding_type >= 0 && o->embedding_type != o->type)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "a Hugging Face folder has all numbers in one type: leave out --embedding-type, or give it "
		                 "the type of --type");
	w->linear = TRIT_HF_PLAIN;
	if (s->scaling != TRIT_SCALE_TENSOR && s->config.arch->bit_linear)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "transformers' BitLinear has one scale a matrix and this model's have more, so no folder "
		                 "holds it; write a GGUF file");
	if (s->quantised && s->scaling != TRIT_SCALE_TENSOR && packed)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "transformers' packed weights have one scale a matrix and this model's have more; write "
		                 "them as numbers (--type f16, bf16 or f32)");
	if (s->quantised && s->scaling == TRIT_SCALE_TENSOR && !packed)
		w->linear = TRIT_HF_ONLINE;
	else if (s->quantised && s->scaling == TRIT_SCALE_TENSOR)
		w->linear = o->linear_class == TRIT_CLASS_BITLINEAR ||
		                            (o->linear_class == TRIT_CLASS_AUTO && trit_hf_divides(&s->config))
		                    ? TRIT_HF_DIVIDE
		                    : TRIT_HF_MULTIPLY;
	if (!packed || o->embedding_type >= 0) {
		w->dtype = dtype_of(packed ? o->embedding_type : o->type);
		return TRIT_OK;
	}
	if (s->quantised)
		return choose_exact(w, err);
	struct trit_tensor_walk q = { .id = TRIT_TENSOR_ATTN_Q };
	trit_tensor_shape(&s->config, q.id, &q.rows, &q.cols);
	w->dtype = s->type ? dtype_of(s->type(s->arg, &q)) : TRIT_DTYPE_F32;
	return TRIT_OK;
}

/* ---- what will be written ---------------------------------------------------------------------------------------- */

static void hf_name(const struct trit_arch *arch, const struct entry *e, char name[TRIT_TENSOR_NAME_BYTES * 2])
{
	const char *own = trit_tensor_hf_name(arch, e->w.id);
	const char *suffix = e->scale ? "weight_scale" : e->w.bias ? "bias" : "weight";
	if (trit_tensors[e->w.id].per_layer)
		snprintf(name, TRIT_TENSOR_NAME_BYTES * 2, "model.layers.%d.%s.%s", e->w.layer, own, suffix);
	else
		snprintf(name, TRIT_TENSOR_NAME_BYTES * 2, "%s.%s", own, suffix);
}

/* Dimensions of an entry. Returns how many. */
static int entry_shape(const struct entry *e, uint64_t shape[2])
{
	if (e->scale || (trit_walk_kind(&e->w) == TRIT_KIND_NORM && e->w.rows == 1)) {
		shape[0] = e->scale ? 1 : e->w.cols;
		return 1;
	}
	shape[0] = e->dtype == TRIT_DTYPE_U8 ? e->w.rows / 4 : e->w.rows;
	shape[1] = e->w.cols;
	return 2;
}

static uint64_t entry_bytes(const struct entry *e)
{
	uint64_t shape[2] = { 1, 1 };
	int n = entry_shape(e, shape);
	return shape[0] * (n > 1 ? shape[1] : 1) * (uint64_t)trit_dtype_bytes(e->dtype);
}

static enum trit_dtype type_of(const struct writer *w, const struct trit_tensor_walk *t)
{
	if (trit_walk_kind(t) == TRIT_KIND_NORM && w->linear != TRIT_HF_MULTIPLY)
		return TRIT_DTYPE_F32;
	return is_packed(w, t) ? TRIT_DTYPE_U8 : w->dtype;
}

/*
 * The number to write for scale g, in fp64: g itself, or its reciprocal r, which readers divide by in fp32. Of the r
 * that give g back the one with the fewest bits is best, since transformers rounds it to the type that it computes in.
 * About two numbers of five are no reciprocal of any float; they need the bits of fp64.
 */
static double stored_scale(float g, bool divide, enum trit_dtype *type)
{
	float exact = 1 / g;
	const float candidates[] = { trit_bf16_to_f32(trit_f32_to_bf16(exact)), trit_f16_to_f32(trit_f32_to_f16(exact)),
		                     exact, nextafterf(exact, 0), nextafterf(exact, INFINITY) };
	*type = TRIT_DTYPE_F32;
	if (!divide)
		return g;
	for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++)
		if (1 / candidates[i] == g)
			return candidates[i];
	*type = TRIT_DTYPE_F64;
	return 1 / (double)g;
}

static int read_scale(struct writer *w, struct entry *e, struct trit_error *err)
{
	int status = w->s->scales(w->s->arg, &e->w, w->scales, err);
	if (!status)
		stored_scale(w->scales[0], w->linear == TRIT_HF_DIVIDE, &e->dtype);
	return status;
}

static int list_tensors(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	while (trit_tensor_next(&t, &w->s->config))
		w->n += 1 + is_packed(w, &t);
	w->entries = trit_calloc(w->n, sizeof *w->entries);
	if (!w->entries)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu tensors", w->n);
	struct entry *e = w->entries;
	uint64_t shard = 0, most = w->o->shard_bytes ? w->o->shard_bytes : SHARD_BYTES;
	t = (struct trit_tensor_walk){ 0 };
	while (trit_tensor_next(&t, &w->s->config)) {
		*e = (struct entry){ .w = t, .dtype = type_of(w, &t) };
		if (e->dtype == TRIT_DTYPE_U8 && t.rows % 4) {
			char name[TRIT_TENSOR_NAME_BYTES];
			trit_walk_name(name, &t);
			return trit_fail(err, TRIT_ERR_ARG,
			                 "%s: %zu rows, not a multiple of 4 as transformers' packed weights need; write numbers "
			                 "(--type bf16)", name, t.rows);
		}
		uint64_t bytes = entry_bytes(e);
		if (shard && shard + bytes > most) {
			w->shards++;
			shard = 0;
		}
		shard += bytes;
		w->bytes += bytes;
		e++->shard = w->shards;
		if (!is_packed(w, &t))
			continue;
		*e = (struct entry){ .w = t, .scale = true, .shard = w->shards };
		int status = read_scale(w, e, err);
		if (status)
			return status;
		shard += entry_bytes(e);
		w->bytes += entry_bytes(e++);
	}
	w->shards++;
	return TRIT_OK;
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* Rows of a chunk: whole fours, so that packed rows are whole. */
static size_t step_of(size_t cols)
{
	return trit_chunk_rows(cols, 4);
}

static int prepare(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	size_t most = 0, rows = 0, chunk = 0, scales = 1;
	while (trit_tensor_next(&t, &w->s->config)) {
		size_t n = step_of(t.cols) * t.cols, count = trit_scale_count(w->s->scaling, t.rows, t.cols);
		most = t.rows * t.cols > most ? t.rows * t.cols : most;
		rows = t.rows > rows ? t.rows : rows;
		chunk = n > chunk ? n : chunk;
		scales = count > scales ? count : scales;
	}
	w->scales = trit_calloc(scales, sizeof *w->scales);
	w->nonzero = trit_calloc(rows + 1, sizeof *w->nonzero);
	if (!w->scales || !w->nonzero)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scales", scales);
	return trit_chunks_init(&w->chunks, most, chunk, 4 * chunk, err);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static int write_bytes(void *arg, struct trit_chunk *p, struct trit_error *err)
{
	struct writer *w = arg;
	w->done += (int64_t)(p->n * w->e->w.cols * (w->e->dtype == TRIT_DTYPE_U8 ? 4 : 1));
	int e = trit_st_write(w->out, p->len, p->bytes, err);
	if (!e && w->o->go_on && !w->o->go_on(w->o->arg, w->done, trit_config_parameters(&w->s->config)))
		e = trit_fail(err, TRIT_ERR_IO, "stopped before the folder was complete");
	return e;
}

/* Packed rows [row, row + n). */
static int pack(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	const struct trit_tensor_walk *t = &w->e->w;
	size_t n = p->n * t->cols;
	for (size_t quarter = 0; quarter < 4; quarter++) {
		int8_t *codes = p->codes + quarter * n;
		int e = w->s->codes(w->s->arg, t, quarter * (t->rows / 4) + p->row, p->n, codes, &p->err);
		if (e)
			return e;
	}
	for (size_t i = 0; i < n; i++)
		p->bytes[i] = (unsigned char)((p->codes[i] + 1) | (p->codes[n + i] + 1) << 2 | (p->codes[2 * n + i] + 1) << 4 |
		                              (p->codes[3 * n + i] + 1) << 6);
	p->len = n;
	return TRIT_OK;
}

static int encode(const struct writer *w, struct trit_chunk *p)
{
	size_t n = p->n * w->e->w.cols;
	p->len = n * (size_t)trit_dtype_bytes(w->e->dtype);
	trit_ggml_encode_f32(ggml_type(w->e->dtype), p->floats, p->n, w->e->w.cols, p->bytes);
	return TRIT_OK;
}

static int make_numbers(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	int e = w->s->floats(w->s->arg, &w->e->w, p->row, p->n, p->floats, &p->err);
	return e ? e : encode(w, p);
}

/* Codes times their scales. */
static int make_products(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	size_t cols = w->e->w.cols, i = 0;
	int e = w->s->codes(w->s->arg, &w->e->w, p->row, p->n, p->codes, &p->err);
	if (e)
		return e;
	for (size_t row = p->row; row < p->row + p->n; row++)
		for (size_t col = 0; col < cols; col++, i++)
			p->floats[i] = p->codes[i] ? trit_scale_of(w->scales, w->s->scaling, row, col, cols) * p->codes[i] : 0;
	return encode(w, p);
}

static int make_masters(void *arg, struct trit_chunk *p)
{
	const struct writer *w = arg;
	size_t cols = w->e->w.cols;
	int e = w->s->codes(w->s->arg, &w->e->w, p->row, p->n, p->codes, &p->err);
	if (e)
		return e;
	trit_masters_fill(&w->masters, p->floats, p->codes, p->n * cols, w->nonzero[p->row]);
	return encode(w, p);
}

/* ---- masters ----------------------------------------------------------------------------------------------------- */

static int count_nonzero(void *arg, struct trit_chunk *p)
{
	struct writer *w = arg;
	size_t cols = w->e->w.cols;
	int e = w->s->codes(w->s->arg, &w->e->w, p->row, p->n, p->codes, &p->err);
	for (size_t r = 0; r < p->n && !e; r++) {
		uint64_t n = 0;
		for (size_t c = 0; c < cols; c++)
			n += p->codes[r * cols + c] != 0;
		w->nonzero[p->row + r + 1] = n;
	}
	return e;
}

/* Counts the weights that are not 0, on which the masters' magnitudes depend. */
static int plan_masters(struct writer *w, struct trit_error *err)
{
	const struct trit_tensor_walk *t = &w->e->w;
	int e = trit_chunks_run(&w->chunks, t->rows, step_of(t->cols), count_nonzero, NULL, w, err);
	for (size_t r = 0; r < t->rows && !e; r++)
		w->nonzero[r + 1] += w->nonzero[r];
	if (e)
		return e;
	return trit_masters_init(&w->masters, w->scales[0], w->nonzero[t->rows], t->rows * t->cols, w->e->dtype, err);
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static int write_scale(struct writer *w, struct trit_error *err)
{
	enum trit_dtype type;
	int e = w->s->scales(w->s->arg, &w->e->w, w->scales, err);
	if (e)
		return e;
	double scale = stored_scale(w->scales[0], w->linear == TRIT_HF_DIVIDE, &type);
	unsigned char bytes[8];
	uint64_t bits;
	memcpy(&bits, &scale, sizeof bits);
	if (type == TRIT_DTYPE_F64)
		trit_put64(bytes, bits);
	else
		trit_put32(bytes, trit_f32_bits((float)scale));
	return trit_st_write(w->out, (size_t)trit_dtype_bytes(type), bytes, err);
}

static int write_weights(struct writer *w, struct trit_error *err)
{
	const struct trit_tensor_walk *t = &w->e->w;
	size_t rows = t->rows, step = step_of(t->cols);
	trit_chunk_make_fn *make = make_numbers;
	int e = TRIT_OK;
	if (w->s->quantised && is_projection(t)) {
		e = w->s->scales(w->s->arg, t, w->scales, err);
		make = w->linear == TRIT_HF_PLAIN ? make_products : make_masters;
		if (w->e->dtype == TRIT_DTYPE_U8) {
			make = pack;
			rows /= 4;
			step /= 4;
		} else if (w->linear == TRIT_HF_ONLINE && w->s->masters) {
			make = make_numbers;
		} else if (w->linear == TRIT_HF_ONLINE && !e) {
			e = plan_masters(w, err);
		}
	}
	if (!e)
		e = trit_chunks_run(&w->chunks, rows, step, make, write_bytes, w, err);
	if (w->s->done)
		w->s->done(w->s->arg, t);
	return e;
}

static int write_entry(struct writer *w, const struct entry *entry, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	w->e = entry;
	int e = entry->scale ? write_scale(w, err) : write_weights(w, err);
	if (!e)
		return e;
	trit_walk_name(name, &entry->w);
	return err && strstr(err->message, name) ? e : trit_fail_prefix(err, e, "%s", name);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void shard_name(const struct writer *w, int shard, char name[64])
{
	if (w->shards == 1)
		snprintf(name, 64, "model.safetensors");
	else
		snprintf(name, 64, "model-%05d-of-%05d.safetensors", shard + 1, w->shards);
}

/* All tensors of a file, those with elements of 8 bytes first. */
static int for_shard(struct writer *w, int shard,
                     int (*fn)(struct writer *w, const struct entry *e, struct trit_error *err), struct trit_error *err)
{
	for (int bytes = 8; bytes >= 1; bytes /= 2)
		for (size_t i = 0; i < w->n; i++) {
			const struct entry *e = &w->entries[i];
			int status = e->shard == shard && trit_dtype_bytes(e->dtype) == bytes ? fn(w, e, err) : TRIT_OK;
			if (status)
				return status;
		}
	return TRIT_OK;
}

static int describe_entry(struct writer *w, const struct entry *e, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES * 2];
	uint64_t shape[2];
	int n = entry_shape(e, shape);
	hf_name(w->s->config.arch, e, name);
	return trit_st_put_tensor(w->out, name, e->dtype, n, shape, err);
}

static int write_shard(struct writer *w, int shard, struct trit_error *err)
{
	char name[64];
	shard_name(w, shard, name);
	char *path = trit_folder_file(&w->folder, name);
	int e = path ? trit_st_writer_new(&w->out, path, err)
	             : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a name");
	trit_free(path);
	if (e)
		return e;
	if (!(e = trit_st_put_meta(w->out, "format", "pt", err)) && !(e = for_shard(w, shard, describe_entry, err)) &&
	    !(e = trit_st_begin(w->out, err)) && !(e = for_shard(w, shard, write_entry, err)))
		e = trit_st_commit(w->out, err);
	trit_st_writer_free(w->out);
	w->out = NULL;
	return e;
}

static void put_index(struct trit_json *j, const void *arg)
{
	const struct writer *w = arg;
	char name[TRIT_TENSOR_NAME_BYTES * 2], file[64];
	trit_json_begin(j, NULL, '{');
	trit_json_begin(j, "metadata", '{');
	trit_json_int(j, "total_size", (int64_t)w->bytes);
	trit_json_end(j, '}');
	trit_json_begin(j, "weight_map", '{');
	for (size_t i = 0; i < w->n; i++) {
		hf_name(w->s->config.arch, &w->entries[i], name);
		shard_name(w, w->entries[i].shard, file);
		trit_json_string(j, name, file);
	}
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

static const char *dtype_name(enum trit_dtype t)
{
	return t == TRIT_DTYPE_F32 ? "float32" : t == TRIT_DTYPE_F16 ? "float16" : "bfloat16";
}

static int write_model(struct writer *w, const char *path, struct trit_error *err)
{
	int e;
	if ((e = trit_hf_check(&w->s->config, err)) || (e = prepare(w, err)) || (e = choose(w, err)) ||
	    (e = list_tensors(w, err)) || (e = trit_folder_open(&w->folder, path, w->o->force, err)))
		return e;
	uint64_t room = trit_free_space(w->folder.temporary);
	if (w->bytes > room)
		return trit_fail(err, TRIT_ERR_IO,
		                 "%s: %llu MB to write, but only %llu MB free; free space on that disk or choose another place",
		                 path, (unsigned long long)(w->bytes / 1000000 + 1), (unsigned long long)(room / 1000000));
	const struct trit_hf_description d = { &w->s->config, w->s->vocab, w->linear, dtype_name(w->dtype),
		                                     w->s->labels };
	if ((e = trit_hf_write_files(&w->folder, &d, w->s->folder, err)))
		return e;
	for (int i = 0; i < w->shards && !e; i++)
		e = write_shard(w, i, err);
	if (!e && w->shards > 1)
		e = trit_hf_write_json(&w->folder, "model.safetensors.index.json", put_index, w, err);
	return e ? e : trit_folder_commit(&w->folder, trit_hf_is_weights, err);
}

int trit_hf_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                   struct trit_error *err)
{
	struct trit_source halves;
	struct trit_reordered reordered;
	struct writer w = { .s = &halves, .o = o };
	if (s->vocab && s->vocab->n_tokens > s->config.n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in the embedding",
		                 s->vocab->n_tokens, s->config.n_vocab);
	if (s->config.moe.n_experts)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "mixtures of experts are written as GGUF files only");
	if (s->config.input_4bit || s->config.inner_4bit || s->config.inner_hadamard)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "models with 4-bit activations or a Hadamard transform are "
		                 "written as GGUF files only: transformers would compute something else");
	trit_source_reorder(&halves, &reordered, s, true);
	halves.config.rope_freqs = false; /* config.json says what makes them */
	int e = write_model(&w, path, err);
	trit_chunks_release(&w.chunks);
	trit_folder_release(&w.folder);
	trit_free(w.entries);
	trit_free(w.scales);
	trit_free(w.nonzero);
	return e;
}
