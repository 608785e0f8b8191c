/*
 * input.c - the two sources of weights: a model and a training checkpoint.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/input.h"

#include <math.h>

#include "base/mem.h"
#include "format/gguf_labels.h"
#include "format/st_checksum.h"
#include "format/vocab_file.h"
#include "model/config_keys.h"
#include "model/model_file.h"
#include "model/quant.h"
#include "model/tensor_form.h"

enum { PATH_BYTES = 4096 };

struct checkpoint {
	struct trit_safetensors file;
	struct trit_kernels kernels;
	struct trit_weight_method method;
	struct trit_weight_scale scale; /* of the tensor whose scales were asked for last */
};

struct trit_input {
	struct trit_source source;
	struct trit_model_file file;
	struct checkpoint checkpoint;
	struct trit_vocab vocab; /* of a checkpoint */
	struct trit_labels labels;
};

/* ---- from a model ------------------------------------------------------------------------------------------------ */

static const struct trit_gguf *gguf_of(void *arg)
{
	return &((struct trit_input *)arg)->file.gguf;
}

static int gguf_type(void *arg, const struct trit_tensor_walk *w)
{
	struct trit_gguf_tensor t;
	return trit_tensor_find(gguf_of(arg), w, &t, NULL) ? -1 : (int)t.type;
}

static int gguf_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	const struct trit_input *in = arg;
	struct trit_gguf_tensor t;
	int e = trit_tensor_find(gguf_of(arg), w, &t, err);
	if (e)
		return e;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t.type);
	bool linear = trit_walk_kind(w) == TRIT_KIND_LINEAR;
	if (linear && info->packed && !info->ternary)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: a projection of type %s, which is not ternary", t.name,
		                 info->name);
	enum trit_scaling scaling = linear ? in->source.scaling : trit_packed_scaling(&t);
	return trit_tensor_scales(&in->file.gguf, w, &t, scaling, scales, err);
}

static int gguf_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                      struct trit_error *err)
{
	struct trit_gguf_tensor t;
	int e = trit_tensor_find(gguf_of(arg), w, &t, err);
	return e ? e : trit_tensor_codes(w, &t, row0, n, codes, err);
}

static int gguf_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                       struct trit_error *err)
{
	struct trit_gguf_tensor t;
	int e = trit_tensor_find(gguf_of(arg), w, &t, err);
	return e ? e : trit_tensor_floats(w, &t, row0, n, out, err);
}

static int gguf_bytes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, unsigned char *out,
                      struct trit_error *err)
{
	struct trit_gguf_tensor t;
	int e = trit_tensor_find(gguf_of(arg), w, &t, err);
	if (e)
		return e;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t.type);
	size_t row = w->cols / (size_t)info->block * (size_t)info->block_bytes;
	memcpy(out, t.data + row0 * row, n * row);
	return TRIT_OK;
}

static void gguf_done(void *arg, const struct trit_tensor_walk *w)
{
	struct trit_gguf_tensor t;
	if (!trit_tensor_find(gguf_of(arg), w, &t, NULL))
		trit_gguf_forget(&t, 0, (size_t)t.bytes);
}

/* The arrangement that expresses the scales of all projections. Weights beyond -1, 0 and 1 make them numbers. */
static int find_scaling(struct trit_input *in, struct trit_error *err)
{
	struct trit_source *s = &in->source;
	struct trit_tensor_walk w = { 0 };
	struct trit_gguf_tensor t;
	int e = TRIT_OK;
	while (s->quantised && !e && trit_tensor_next(&w, &s->config)) {
		struct trit_form form = { 0 };
		if (trit_walk_kind(&w) != TRIT_KIND_LINEAR || (e = trit_tensor_find(&in->file.gguf, &w, &t, err)) ||
		    (e = trit_tensor_form(&form, &w, &t, err)))
			continue;
		s->quantised = !form.code_2;
		bool finer = s->scaling == TRIT_SCALE_TENSOR || s->scaling == TRIT_SCALE_ROW
		                 ? form.scaling > s->scaling
		                 : form.scaling > TRIT_SCALE_ROW && form.scaling < s->scaling;
		s->scaling = finer ? form.scaling : s->scaling;
	}
	return e;
}

/* ---- from a model's master weights ------------------------------------------------------------------------------- */

/* Sums of magnitudes of 4096 weights at a time, as training has them (model/quant.h). */
static int sum_pieces(const struct trit_input *in, const struct trit_gguf_tensor *t, size_t n, float *sums,
                      struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	float *piece = trit_calloc(TRIT_QUANT_PIECE, sizeof *piece);
	if (!piece)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d weights", TRIT_QUANT_PIECE);
	for (size_t i = 0; i < n; i += TRIT_QUANT_PIECE) {
		size_t len = n - i < TRIT_QUANT_PIECE ? n - i : TRIT_QUANT_PIECE;
		trit_ggml_decode_row(t->type, t->data + i / (size_t)info->block * (size_t)info->block_bytes, len, 0, piece);
		sums[i / TRIT_QUANT_PIECE] = in->checkpoint.kernels.sum_abs(piece, (int)len);
	}
	trit_free(piece);
	return TRIT_OK;
}

static int master_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	struct trit_input *in = arg;
	struct trit_gguf_tensor t;
	size_t n = w->rows * w->cols;
	int e = trit_tensor_find(&in->file.gguf, w, &t, err);
	if (e)
		return e;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t.type);
	if (info->packed || info->ternary || info->stripe != 1 || info->stripe_bytes)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: weights of type %s cannot be quantised", t.name, info->name);
	float *sums = trit_calloc(n / TRIT_QUANT_PIECE + 1, sizeof *sums);
	e = sums ? sum_pieces(in, &t, n, sums, err) : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu sums", n);
	if (!e) {
		in->checkpoint.scale = trit_weight_scale_of_sums(sums, n);
		*scales = in->checkpoint.scale.scale;
		if (!isfinite(*scales))
			e = trit_fail(err, TRIT_ERR_FORMAT, "%s: a number that is not finite", t.name);
	}
	trit_free(sums);
	return e;
}

static int master_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                        struct trit_error *err)
{
	const struct trit_input *in = arg;
	const struct checkpoint *c = &in->checkpoint;
	float *floats = trit_calloc(n * w->cols, sizeof *floats);
	if (!floats)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu weights", n * w->cols);
	int e = gguf_floats(arg, w, row0, n, floats, err);
	if (!e)
		trit_weight_codes(&c->kernels, TRIT_WEIGHT_TERNARY, c->scale, codes, floats, n * w->cols);
	trit_free(floats);
	return e;
}

void trit_input_quantise(struct trit_input *in)
{
	struct trit_source *s = &in->source;
	s->quantised = s->masters = true;
	s->scaling = TRIT_SCALE_TENSOR;
	trit_kernels_fill(&in->checkpoint.kernels, trit_best_tier());
	if (s->arg == &in->checkpoint) {
		in->checkpoint.method = (struct trit_weight_method){ TRIT_WEIGHT_TERNARY, TRIT_SCALE_TENSOR };
		return;
	}
	s->scales = master_scales;
	s->codes = master_codes;
}

/* In a network that is ternary by definition numbers that are not are what training works on (model/weights.c): as far
 * as the first rows of the first projection tell. */
static int has_masters(struct trit_input *in, bool *masters, struct trit_error *err)
{
	struct trit_tensor_walk q = { .id = TRIT_TENSOR_ATTN_Q };
	struct trit_gguf_tensor t;
	int e = trit_gguf_get_bool(&in->file.gguf, "trit.weights.online", masters, err);
	trit_tensor_shape(&in->source.config, q.id, &q.rows, &q.cols);
	if (e < 0 || *masters || !in->source.config.arch->bit_linear)
		return e < 0 ? e : TRIT_OK;
	if ((e = trit_tensor_find(&in->file.gguf, &q, &t, err)))
		return e;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t.type);
	size_t n = q.rows < TRIT_BLOCK_ROWS ? q.rows : TRIT_BLOCK_ROWS;
	int8_t *codes = trit_calloc(n, q.cols);
	if (!codes)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu rows of weights", n);
	*masters = !info->ternary && !info->packed && trit_tensor_codes(&q, &t, 0, n, codes, NULL) != TRIT_OK;
	trit_free(codes);
	return TRIT_OK;
}

static int open_model(struct trit_input *in, const char *path, const char *tokenizer, struct trit_error *err)
{
	const struct trit_model_file_options options = { .tokenizer = tokenizer };
	struct trit_gguf *g = &in->file.gguf;
	struct trit_source *s = &in->source;
	int e;
	if ((e = trit_model_file_open(&in->file, path, &options, err)) ||
	    (e = trit_model_file_check_weights(&in->file, path, err)))
		return e;
	*s = (struct trit_source){ .arg = in, .keys = g, .vocab = in->file.has_vocab ? &in->file.vocab : NULL,
		                   .folder = tokenizer ? NULL : in->file.folder, .type = gguf_type, .scales = gguf_scales,
		                   .codes = gguf_codes, .floats = gguf_floats, .bytes = gguf_bytes, .done = gguf_done };
	if ((e = trit_config_read(&s->config, g, err)) || (e = trit_gguf_read_labels(g, &in->labels, err)))
		return trit_fail_prefix(err, e, "%s", path);
	s->labels = s->config.n_labels ? &in->labels : NULL;
	const struct trit_gguf_tensor *q = trit_gguf_find_tensor(g, "blk.0.attn_q.weight");
	const struct trit_ggml_type_info *info = q ? trit_ggml_type_info(q->type) : NULL;
	bool masters = false;
	s->quantised = s->config.arch->bit_linear || (info && info->ternary);
	e = has_masters(in, &masters, err);
	if (!e && masters)
		trit_input_quantise(in);
	else if (!e)
		e = find_scaling(in, err);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}

/* ---- from a checkpoint ------------------------------------------------------------------------------------------- */

static int find_tensor(const struct checkpoint *c, const struct trit_tensor_walk *w, const float **out,
                       struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	if (trit_tensor_is_expert(w->id))
		trit_expert_name(name, w, "weight");
	else
		trit_walk_name(name, w);
	const struct trit_st_tensor *t = trit_safetensors_find(&c->file, name);
	if (!t || t->dtype != TRIT_DTYPE_F32 || t->elements != w->rows * w->cols ||
	    (uintptr_t)t->data % sizeof(float))
		return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s is missing or not F32 %zu x %zu", name, w->rows, w->cols);
	*out = (const float *)(const void *)t->data;
	return TRIT_OK;
}

/* Of rows [row0, row0 + n). */
static int check_finite(const struct trit_tensor_walk *w, const float *weights, size_t row0, size_t n,
                        struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	for (size_t i = row0 * w->cols; i < (row0 + n) * w->cols; i++)
		if (!isfinite(weights[i])) {
			trit_walk_name(name, w);
			return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s: element %zu is not finite", name, i);
		}
	return TRIT_OK;
}

static int checkpoint_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	struct checkpoint *c = arg;
	const float *weights;
	int e = find_tensor(c, w, &weights, err);
	if (!e)
		e = check_finite(w, weights, 0, w->rows, err);
	if (e)
		return e;
	if (c->method.scaling != TRIT_SCALE_TENSOR) {
		trit_weight_quantise_rows(&c->kernels, c->method.kind, c->method.scaling, NULL, scales, weights, 0, w->rows,
		                          w->cols);
		return TRIT_OK;
	}
	c->scale = trit_weight_scale(&c->kernels, c->method.kind, weights, w->rows * w->cols);
	*scales = c->scale.scale;
	return TRIT_OK;
}

static int checkpoint_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                            struct trit_error *err)
{
	const struct checkpoint *c = arg;
	const float *weights;
	int e = find_tensor(c, w, &weights, err);
	if (e)
		return e;
	weights += row0 * w->cols;
	if (c->method.scaling == TRIT_SCALE_TENSOR)
		trit_weight_codes(&c->kernels, c->method.kind, c->scale, codes, weights, n * w->cols);
	else
		trit_weight_quantise_rows(&c->kernels, c->method.kind, c->method.scaling, codes, NULL, weights, row0, n,
		                          w->cols);
	return e;
}

static int checkpoint_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                             struct trit_error *err)
{
	const float *weights;
	int e = find_tensor(arg, w, &weights, err);
	if (!e)
		e = check_finite(w, weights, row0, n, err);
	if (!e)
		memcpy(out, weights + row0 * w->cols, n * w->cols * sizeof *out);
	return e;
}

/* The path of another file in the checkpoint's folder. */
static int beside(char path[PATH_BYTES], const char *checkpoint, const char *name, struct trit_error *err)
{
	const char *slash = strrchr(checkpoint, '/');
	int folder = slash ? (int)(slash - checkpoint) + 1 : 0;
	if (snprintf(path, PATH_BYTES, "%.*s%s", folder, checkpoint, name) < PATH_BYTES)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", checkpoint);
}

static int read_vocab(const char *checkpoint, struct trit_vocab *vocab, struct trit_error *err)
{
	char path[PATH_BYTES];
	int e = beside(path, checkpoint, "vocab.gguf", err);
	return e ? e : trit_vocab_file_read(path, vocab, err);
}

static int read_labels(struct trit_input *in, const char *checkpoint, struct trit_error *err)
{
	char path[PATH_BYTES];
	int e = beside(path, checkpoint, "labels.gguf", err);
	if (e || !in->source.config.n_labels)
		return e;
	in->source.labels = &in->labels;
	return trit_labels_file_read(path, &in->labels, err);
}

/* The name of the run: its folder's. */
static void name_model(struct trit_config *c, const char *checkpoint)
{
	char path[PATH_BYTES];
	char *end = memccpy(path, checkpoint, 0, sizeof path);
	char *slash = end ? strrchr(path, '/') : NULL;
	if (!slash)
		return;
	while (slash > path && slash[-1] == '/')
		slash--;
	*slash = 0;
	char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	size_t len = strlen(name);
	if (strcmp(name, ".") && strcmp(name, "..") && len < sizeof c->name)
		memcpy(c->name, name, len + 1);
}

static int weight_method(const struct trit_safetensors *s, struct trit_weight_method *method, struct trit_error *err)
{
	const char *name = trit_safetensors_meta(s, "weights"), *scales = trit_safetensors_meta(s, "scales");
	enum trit_weight_kind *kind = &method->kind;
	int i = 0;
	while (scales && trit_scaling_names[i] && strcmp(trit_scaling_names[i], scales))
		i++;
	if (!trit_scaling_names[i])
		return trit_fail(err, TRIT_ERR_FORMAT, "metadata \"scales\" is \"%.32s\", which is not known", scales);
	method->scaling = trit_scalings[i];
	if (name && !strcmp(name, "ternary"))
		*kind = TRIT_WEIGHT_TERNARY;
	else if (name && !strcmp(name, "binary"))
		*kind = TRIT_WEIGHT_BINARY;
	else if (name && !strcmp(name, "full"))
		*kind = TRIT_WEIGHT_FULL;
	else
		return trit_fail(err, TRIT_ERR_FORMAT, "metadata \"weights\" is missing or unknown; not a training checkpoint");
	return TRIT_OK;
}

/* Adapters, or a classifier's head: the model's own weights are not in the checkpoint. */
static bool is_beside_frozen(const struct trit_safetensors *s)
{
	const char *lora = trit_safetensors_meta(s, "lora"), *trains = trit_safetensors_meta(s, "train");
	return (lora && strcmp(lora, "0") != 0) || (trains && !strcmp(trains, "head"));
}

static int open_checkpoint(struct trit_input *in, const char *path, const char *tokenizer, struct trit_error *err)
{
	struct checkpoint *c = &in->checkpoint;
	struct trit_source *s = &in->source;
	int e = trit_safetensors_open(&c->file, path, err);
	if (e)
		return e;
	*s = (struct trit_source){ .arg = c, .vocab = &in->vocab, .scales = checkpoint_scales,
		                   .codes = checkpoint_codes, .floats = checkpoint_floats };
	if (trit_st_has_checksums(&c->file) && (e = trit_st_check(&c->file, err)))
		return trit_fail_prefix(err, e, "%s", path);
	if (is_beside_frozen(&c->file))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "%s: of a run beside a frozen model, whose weights it does not hold; what the run made is in "
		                 "model.gguf or adapter.gguf beside it", path);
	if ((e = weight_method(&c->file, &c->method, err)) || (e = trit_config_read_meta(&s->config, &c->file, err)))
		return trit_fail_prefix(err, e, "%s", path);
	e = tokenizer ? trit_vocab_file_read(tokenizer, &in->vocab, err) : read_vocab(path, &in->vocab, err);
	if (e || (e = read_labels(in, path, err)))
		return e;
	trit_kernels_fill(&c->kernels, trit_best_tier());
	s->quantised = c->method.kind != TRIT_WEIGHT_FULL;
	s->masters = c->method.kind == TRIT_WEIGHT_TERNARY && c->method.scaling == TRIT_SCALE_TENSOR;
	s->scaling = c->method.scaling;
	name_model(&s->config, path);
	return TRIT_OK;
}

/* ---- either ------------------------------------------------------------------------------------------------------ */

/* Whether a file is another program's safetensors: a sound one without the metadata of a checkpoint of trit train. */
static bool is_others_safetensors(const char *path)
{
	struct trit_safetensors s;
	if (trit_safetensors_open(&s, path, NULL))
		return false;
	bool is = !trit_safetensors_meta(&s, "weights");
	trit_safetensors_close(&s);
	return is;
}

static int open_path(struct trit_input *in, const char *path, const char *tokenizer, struct trit_error *err)
{
	static const char suffix[] = ".safetensors";
	char file[PATH_BYTES];
	size_t len = strlen(path);
	if (trit_path_kind(path) == 1) {
		if (snprintf(file, sizeof file, "%s/checkpoint%s", path, suffix) >= PATH_BYTES)
			return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", path);
		return trit_path_kind(file) == 0 ? open_checkpoint(in, file, tokenizer, err)
		                                 : open_model(in, path, tokenizer, err);
	}
	if (len > sizeof suffix && !strcmp(path + len - (sizeof suffix - 1), suffix) && !is_others_safetensors(path))
		return open_checkpoint(in, path, tokenizer, err);
	return open_model(in, path, tokenizer, err);
}

int trit_input_open(struct trit_input **out, const char *path, const char *tokenizer, struct trit_error *err)
{
	struct trit_input *in = trit_calloc(1, sizeof *in);
	if (!in)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to open it", path);
	int e = open_path(in, path, tokenizer, err);
	if (e)
		trit_input_close(in);
	else
		*out = in;
	return e;
}

void trit_input_close(struct trit_input *in)
{
	if (!in)
		return;
	trit_vocab_release(&in->vocab);
	trit_labels_release(&in->labels);
	trit_model_file_close(&in->file);
	trit_safetensors_close(&in->checkpoint.file);
	trit_free(in);
}

struct trit_source *trit_input_source(struct trit_input *in)
{
	return &in->source;
}
