/*
 * hf_tensors.c - names and forms of transformers' tensors.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/hf_tensors.h"

#include <ctype.h>
#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "model/tensors.h"

/* What mean|W| of a trained matrix is between; weight_scale or its reciprocal. */
#define LEAST_SCALE 0.0005f
#define MOST_SCALE 8.0f

#define MAX_NAMED 8 /* so many tensors that are not used are named */

struct importer {
	struct trit_gguf_build *b;
	const struct trit_hf_model *m;
	struct trit_notes *notes;
	struct trit_error *err;
	enum trit_hf_weights weights; /* as m's, or as the tensors show */
	bool has_head, has_scales;    /* lm_head; any weight_scale */
	size_t n_packed, n_unused;
	float least, most;            /* of all factors */
	const struct trit_st_tensor *first_linear;
};

/* A tensor's place in the table, by its name. */
struct place {
	enum trit_tensor_id id;
	int layer, expert;  /* expert: -1 where the table has one matrix */
	const char *suffix; /* "weight", "bias", "weight_scale" */
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool skip(const char **at, const char *prefix)
{
	size_t n = strlen(prefix);
	if (strncmp(*at, prefix, n) != 0)
		return false;
	*at += n;
	return true;
}

/* The name without what wrappers put in front of it. */
static const char *bare_name(const char *name)
{
	while (skip(&name, "model.") || skip(&name, "module.") || skip(&name, "_orig_mod.") ||
	       skip(&name, "language_model."))
		continue;
	return name;
}

/* Tensors that are no weights, or of parts that a model of text has not. */
static bool is_ignored(const char *bare)
{
	static const char *const parts[] = { "rotary_emb.", "masked_bias", "attn.bias", "vision_tower.",
		                             "multi_modal_projector.", "visual." };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (strstr(bare, parts[i]))
			return true;
	return false;
}

/* A number of at most six digits at *at, which moves on; -1: there is none. */
static int take_number(const char **at)
{
	int v = 0, digits = 0;
	for (; isdigit((unsigned char)**at) && digits < 6; digits++)
		v = 10 * v + *(*at)++ - '0';
	return digits ? v : -1;
}

/* Whether a name that ends at `end` is this one of the table, without "model." in front; %d there is an expert's
 * number. */
static bool is_named(const char *hf, const char *name, const char *end, int *expert)
{
	*expert = -1;
	if (!hf)
		return false;
	for (hf = bare_name(hf); *hf; hf++) {
		if (hf[0] == '%' && hf[1] == 'd') {
			hf++;
			if ((*expert = take_number(&name)) < 0)
				return false;
		} else if (name == end || *name++ != *hf) {
			return false;
		}
	}
	return name == end;
}

static bool find_row(const struct importer *im, bool per_layer, const char *name, const char *end, struct place *p)
{
	for (int i = 0; i < TRIT_N_TENSORS; i++) {
		const struct trit_tensor_row *row = &trit_tensors[i];
		p->id = row->id;
		if (row->per_layer == per_layer &&
		    (is_named(trit_tensor_hf_name(im->m->arch, row->id), name, end, &p->expert) ||
		     is_named(row->hf_old, name, end, &p->expert)))
			return true;
	}
	return false;
}

static bool find_place(const struct importer *im, const char *bare, struct place *p)
{
	const char *dot = strrchr(bare, '.');
	bool per_layer = skip(&bare, "layers.");
	p->layer = per_layer ? take_number(&bare) : 0;
	if (p->layer < 0 || p->layer >= TRIT_MAX_LAYERS || (per_layer && *bare++ != '.') || !dot || dot <= bare)
		return false;
	p->suffix = dot + 1;
	if (strcmp(p->suffix, "weight") != 0 && strcmp(p->suffix, "bias") != 0 && strcmp(p->suffix, "weight_scale") != 0)
		return false;
	if (find_row(im, per_layer, bare, dot, p))
		return true;
	/* transformers' name of the norm in front of a projection: "q_proj.rms_norm". */
	char norm[64];
	const char *rms = strstr(bare, ".rms_norm.");
	int n = rms ? snprintf(norm, sizeof norm, "%.*s.norm", (int)(rms - bare), bare) : 0;
	return n > 0 && n < (int)sizeof norm && find_row(im, per_layer, norm, norm + n, p);
}

/* "blk.3.attn_q.weight"; of an expert, whose tensors stay apart, "blk.3.ffn_up.7.weight". */
static void gguf_name(const struct place *p, const char *suffix, char name[TRIT_TENSOR_NAME_BYTES])
{
	const char *stacked = trit_tensors[p->id].gguf, *end = strstr(stacked, "_exps");
	if (p->expert >= 0 && end)
		snprintf(name, TRIT_TENSOR_NAME_BYTES, "blk.%d.%.*s.%d.%s", p->layer, (int)(end - stacked), stacked, p->expert,
		         suffix);
	else
		trit_tensor_name(name, p->id, p->layer, suffix);
}

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static int fail_tensor(const struct importer *im, const struct trit_st_tensor *t, enum trit_status status,
                       const char *what)
{
	return trit_fail(im->err, status, "tensor %.120s: %s", t->name, what);
}

static int ggml_type(enum trit_dtype type)
{
	switch (type) {
	case TRIT_DTYPE_F32:
		return TRIT_GGML_F32;
	case TRIT_DTYPE_F16:
		return TRIT_GGML_F16;
	case TRIT_DTYPE_BF16:
		return TRIT_GGML_BF16;
	case TRIT_DTYPE_F64:
		return TRIT_GGML_F64;
	case TRIT_DTYPE_I8:
		return TRIT_GGML_I8;
	default:
		return -1;
	}
}

/* Element i of a tensor of numbers. */
static double number_at(const struct trit_st_tensor *t, size_t i)
{
	const unsigned char *p = t->data + i * (size_t)trit_dtype_bytes(t->dtype);
	uint64_t bits;
	double d;
	switch (t->dtype) {
	case TRIT_DTYPE_F32:
		return (double)trit_f32_from_bits(trit_get32(p));
	case TRIT_DTYPE_F16:
		return (double)trit_f16_to_f32(trit_get16(p));
	case TRIT_DTYPE_BF16:
		return (double)trit_bf16_to_f32(trit_get16(p));
	case TRIT_DTYPE_F64:
		bits = trit_get64(p);
		memcpy(&d, &bits, sizeof d);
		return d;
	case TRIT_DTYPE_I8:
		return (int8_t)p[0];
	default:
		return (double)NAN;
	}
}

/* dims[0] fastest; a single number is [1]. */
static uint32_t dims_of(const struct trit_st_tensor *t, uint64_t dims[4])
{
	int n = t->n_dims ? t->n_dims : 1;
	for (int i = 0; i < n; i++)
		dims[i] = t->n_dims ? t->shape[n - 1 - i] : 1;
	return (uint32_t)n;
}

/* The data where its elements are aligned; else, in files whose header is no multiple of 8, a copy. NULL: no memory. */
static const unsigned char *aligned(const struct importer *im, const struct trit_st_tensor *t)
{
	if ((uintptr_t)t->data % (uintptr_t)trit_dtype_bytes(t->dtype) == 0)
		return t->data;
	trit_note(im->notes, TRIT_NOTE_FOUND, "data of the file is not aligned: some tensors are copied into memory");
	void *copy = trit_gguf_build_take(im->b, (size_t)t->bytes, 1);
	return copy ? memcpy(copy, t->data, (size_t)t->bytes) : NULL;
}

/* A norm as F32, with the 1 that is missing. */
static void add_norm_plus_one(const struct importer *im, const struct trit_st_tensor *t, const char *name)
{
	uint64_t dims[4];
	uint32_t n_dims = dims_of(t, dims);
	float *to = trit_gguf_build_take(im->b, (size_t)t->elements, sizeof *to);
	for (size_t i = 0; to && i < t->elements; i++)
		to[i] = (float)number_at(t, i) + 1;
	trit_gguf_build_tensor(im->b, name, TRIT_GGML_F32, n_dims, dims, (const unsigned char *)to);
}

/* Packed ternary weights: 4 rows, a quarter of the matrix apart, in each row of bytes. */
static int add_packed(struct importer *im, const struct place *p, const struct trit_st_tensor *t, const char *name)
{
	if (trit_tensors[p->id].kind != TRIT_KIND_LINEAR || t->n_dims != 2 || t->shape[0] > UINT32_MAX)
		return fail_tensor(im, t, TRIT_ERR_UNSUPPORTED, "bytes (U8), where only projections can be packed");
	im->n_packed++;
	trit_gguf_build_tensor(im->b, name, TRIT_GGML_HF_U2, 2, (uint64_t[]){ t->shape[1], 4 * t->shape[0] }, t->data);
	return TRIT_OK;
}

/* Numbers -1, 0 and 1 beside a scale, packed so. */
static int add_codes(struct importer *im, const struct trit_st_tensor *t, const char *name)
{
	size_t cols = (size_t)t->shape[1], quarter = (size_t)t->shape[0] / 4 * cols;
	if (t->n_dims != 2 || t->shape[0] % 4 != 0)
		return fail_tensor(im, t, TRIT_ERR_UNSUPPORTED, "ternary, but its rows are no multiple of 4");
	unsigned char *to = trit_gguf_build_take(im->b, quarter, 1);
	for (size_t i = 0; to && i < 4 * quarter; i++) {
		double v = number_at(t, i);
		if (v != -1 && v != 0 && v != 1)
			return fail_tensor(im, t, TRIT_ERR_FORMAT, "beside a weight_scale only -1, 0 and 1 make sense");
		to[i % quarter] |= (unsigned char)((unsigned)(int)(v + 1) << 2 * (i / quarter));
	}
	im->n_packed++;
	trit_gguf_build_tensor(im->b, name, TRIT_GGML_HF_U2, 2, (uint64_t[]){ cols, t->shape[0] }, to);
	return TRIT_OK;
}

static int add_weight(struct importer *im, const struct place *p, const struct trit_st_tensor *t, const char *name)
{
	enum trit_tensor_kind kind = trit_tensors[p->id].kind;
	bool bias = strcmp(p->suffix, "bias") == 0;
	int type = ggml_type(t->dtype);
	uint64_t dims[4];
	uint32_t n_dims = dims_of(t, dims);
	if (t->dtype == TRIT_DTYPE_U8)
		return add_packed(im, p, t, name);
	if (type < 0)
		return fail_tensor(im, t, TRIT_ERR_UNSUPPORTED, "of a type that weights do not have here");
	if (t->elements == 0)
		return fail_tensor(im, t, TRIT_ERR_FORMAT, "has no elements");
	if (kind == TRIT_KIND_LINEAR && !bias && im->has_scales)
		return add_codes(im, t, name);
	if (kind == TRIT_KIND_LINEAR && !bias && !im->first_linear)
		im->first_linear = t;
	if (kind == TRIT_KIND_NORM && p->id != TRIT_TENSOR_CLS_OUTPUT && !bias && im->m->arch->hf_norms_less_one)
		add_norm_plus_one(im, t, name);
	else
		trit_gguf_build_tensor(im->b, name, (uint32_t)type, n_dims, dims, aligned(im, t));
	return TRIT_OK;
}

/* weight_scale as the factor of the product. */
static int add_scale(struct importer *im, const struct trit_st_tensor *t, const char *name)
{
	double stored = t->elements == 1 ? number_at(t, 0) : 0;
	float v = (float)stored, *to = trit_gguf_build_take(im->b, 1, sizeof *to);
	if (t->elements != 1)
		return fail_tensor(im, t, TRIT_ERR_UNSUPPORTED, "more than one scale for a matrix");
	if (!(v > 0 && v <= 1e30f))
		return fail_tensor(im, t, TRIT_ERR_FORMAT, "it must be positive and finite");
	if (im->weights == TRIT_HF_BY_DIVISOR)
		v = t->dtype == TRIT_DTYPE_F64 ? (float)(1 / stored) : 1 / v;
	im->least = im->least == 0 || v < im->least ? v : im->least;
	im->most = v > im->most ? v : im->most;
	if (to)
		*to = v;
	trit_gguf_build_tensor(im->b, name, TRIT_GGML_F32, 1, (uint64_t[]){ 1 }, (const unsigned char *)to);
	return TRIT_OK;
}

/* ---- conventions ------------------------------------------------------------------------------------------------- */

/* The geometric mean of all weight_scale; 0: there are none. */
static float mean_scale(const struct trit_st_tensor *const *tensors, size_t n)
{
	double sum = 0;
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		const char *dot = strrchr(tensors[i]->name, '.');
		double v = dot && !strcmp(dot, ".weight_scale") && tensors[i]->elements == 1 ? number_at(tensors[i], 0) : 0;
		if (v > 0 && isfinite(v)) {
			sum += log(v);
			count++;
		}
	}
	return count ? (float)exp(sum / (double)count) : 0;
}

static bool is_plausible(float scale)
{
	return scale >= LEAST_SCALE && scale <= MOST_SCALE;
}

/* Whether scales divide or multiply is told by config.json. Where it is not, the size of the scales tells: mean|W| of a
 * trained matrix is rarely above 2, its reciprocal rarely below 5. */
static void choose_convention(struct importer *im, const struct trit_st_tensor *const *tensors, size_t n)
{
	float mean = mean_scale(tensors, n), under;
	im->has_scales = mean != 0;
	if (mean == 0)
		return;
	if (im->weights != TRIT_HF_BY_DIVISOR && im->weights != TRIT_HF_BY_FACTOR) {
		im->weights = mean > 4 ? TRIT_HF_BY_DIVISOR : TRIT_HF_BY_FACTOR;
		trit_note(im->notes, TRIT_NOTE_ASSUMED,
		          "config.json does not say whether weight_scale multiplies or divides; with a mean of %.4g it %s "
		          "(%s)", (double)mean, im->weights == TRIT_HF_BY_DIVISOR ? "divides" : "multiplies",
		          mean > 10 || mean < 2 ? "quite sure" : "not sure");
		return;
	}
	under = im->weights == TRIT_HF_BY_DIVISOR ? 1 / mean : mean;
	if (is_plausible(under))
		trit_note(im->notes, TRIT_NOTE_FOUND,
		          "scales: weight_scale %s, says config.json; that makes scales of about %.4g, which is plausible%s",
		          im->weights == TRIT_HF_BY_DIVISOR ? "divides" : "multiplies", (double)under,
		          is_plausible(1 / under) ? ", as the opposite would be" : " (the opposite would not be)");
	else
		trit_note(im->notes, TRIT_NOTE_WARNING,
		          "scales: weight_scale %s, says config.json, but that makes scales of about %.4g, which is not "
		          "plausible; if the model writes nonsense, change linear_class in config.json to %s",
		          im->weights == TRIT_HF_BY_DIVISOR ? "divides" : "multiplies", (double)under,
		          im->weights == TRIT_HF_BY_DIVISOR ? "autobitlinear" : "bitlinear");
}

/* Whether all values of a matrix are 0 and plus or minus one number. */
static bool is_ternary(const struct trit_st_tensor *t)
{
	double magnitude = 0;
	for (size_t i = 0; i < t->elements; i++) {
		double v = fabs(number_at(t, i));
		if (v != 0 && magnitude == 0)
			magnitude = v;
		if (v != 0 && v != magnitude)
			return false;
	}
	return true;
}

/* Projections that are numbers, in a model of BitLinears: masters unless they are ternary already. */
static void choose_online(struct importer *im)
{
	bool asked = im->weights == TRIT_HF_MASTERS, bit_linear = im->m->arch->bit_linear;
	if (im->n_packed || !im->first_linear || (!bit_linear && im->weights == TRIT_HF_NUMBERS))
		return;
	if (!asked && (im->first_linear->dtype == TRIT_DTYPE_I8 || is_ternary(im->first_linear)))
		return;
	trit_gguf_build_bool(im->b, "trit.weights.online", true);
	trit_note(im->notes, asked ? TRIT_NOTE_FOUND : TRIT_NOTE_ASSUMED,
	          "projections are master weights: quantised to ternary when loaded%s",
	          asked ? ", as config.json says" : "");
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int add_tensor(struct importer *im, const struct trit_st_tensor *t)
{
	const char *bare = bare_name(t->name);
	char name[TRIT_TENSOR_NAME_BYTES];
	struct place p;
	if (is_ignored(bare))
		return TRIT_OK;
	if (!find_place(im, bare, &p)) {
		if (!strncmp(bare, "layers.", 7))
			return trit_fail(im->err, TRIT_ERR_UNSUPPORTED,
			                 "tensor %.120s: layers of architecture %s have none of that name", t->name,
			                 im->m->arch->name);
		if (im->n_unused++ < MAX_NAMED)
			trit_note(im->notes, TRIT_NOTE_WARNING, "tensor %.120s is not used: architecture %s has none of that name",
			          t->name, im->m->arch->name);
		return TRIT_OK;
	}
	if (p.id == TRIT_TENSOR_OUTPUT && im->m->tied == 1) {
		trit_note(im->notes, TRIT_NOTE_FOUND, "%.120s is not used: the head is the embedding, says config.json",
		          t->name);
		return TRIT_OK;
	}
	im->has_head = im->has_head || p.id == TRIT_TENSOR_OUTPUT;
	bool scale = !strcmp(p.suffix, "weight_scale");
	gguf_name(&p, scale ? "scale" : p.suffix, name);
	return scale ? add_scale(im, t, name) : add_weight(im, &p, t, name);
}

int trit_hf_add_tensors(struct trit_gguf_build *b, const struct trit_hf_model *m,
                        const struct trit_st_tensor *const *tensors, size_t n, struct trit_notes *notes,
                        struct trit_error *err)
{
	struct importer im = { .b = b, .m = m, .notes = notes, .err = err, .weights = m->weights };
	int e = TRIT_OK;
	choose_convention(&im, tensors, n);
	for (size_t i = 0; i < n && !e; i++)
		e = add_tensor(&im, tensors[i]);
	if (e)
		return e;
	choose_online(&im);
	if (im.n_unused > MAX_NAMED)
		trit_note(notes, TRIT_NOTE_WARNING, "%zu more tensors are not used", im.n_unused - MAX_NAMED);
	if (im.n_packed)
		trit_note(notes, TRIT_NOTE_FOUND, "%zu projections packed as transformers does; scales from %.4g to %.4g",
		          im.n_packed, (double)im.least, (double)im.most);
	if (m->tied == 0 && !im.has_head)
		trit_note(notes, TRIT_NOTE_ASSUMED,
		          "no lm_head.weight: the head is taken to be the embedding, though config.json says that it is not");
	return TRIT_OK;
}

/* "model.layers.3.mlp.experts.7.up_proj.weight". */
static void hf_name(const char *hf, const struct trit_tensor_walk *w, char name[128])
{
	const char *number = strstr(hf, "%d"), *suffix = w->bias ? "bias" : "weight";
	char layer[32] = "";
	if (trit_tensors[w->id].per_layer)
		snprintf(layer, sizeof layer, "model.layers.%d.", w->layer);
	if (number)
		snprintf(name, 128, "%s%.*s%d%s.%s", layer, (int)(number - hf), hf, w->expert, number + 2, suffix);
	else
		snprintf(name, 128, "%s%s.%s", layer, hf, suffix);
}

int trit_hf_check_complete(const struct trit_gguf *g, const struct trit_config *c, struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	while (trit_tensor_next(&w, c)) {
		char name[TRIT_TENSOR_NAME_BYTES], other[128];
		const char *hf = trit_tensor_hf_name(c->arch, w.id);
		const struct place p = { .id = w.id, .layer = w.layer, .expert = hf && strstr(hf, "%d") ? w.expert : -1 };
		gguf_name(&p, w.bias ? "bias" : "weight", name);
		if (!hf || trit_gguf_find_tensor(g, name))
			continue;
		hf_name(hf, &w, other);
		return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s (%s) is missing; the checkpoint is incomplete", other, name);
	}
	return TRIT_OK;
}
