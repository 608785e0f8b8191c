/*
 * export_plan.c - chooses types, and how tensors are written in them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/export_plan.h"

#include "base/mem.h"
#include "base/num.h"

struct planner {
	const struct trit_source *s;
	const struct trit_export_options *o;
	int type, embedding, head; /* of projections and the rest; -1: each as it is in the source */
	float *scales;             /* room for those of any tensor */
};

/* ---- what types can hold ----------------------------------------------------------------------------------------- */

bool trit_scales_are_f16(const float *scales, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (trit_f16_to_f32(trit_f32_to_f16(scales[i])) != scales[i])
			return false;
	return true;
}

/* The same in bf16. */
static bool are_bf16(const float *scales, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (trit_f32_bits(scales[i]) & 0xffff)
			return false;
	return true;
}

/* Whether a block of the type never has weights of several scales. I2_S has one scale for all. A block of 256 columns
 * is two groups of 128, which is how such scales are read: it holds them if the two agree, which blocks_agree tells. */
static bool holds_scaling(const struct trit_ggml_type_info *info, enum trit_scaling scaling)
{
	if (scaling == TRIT_SCALE_TENSOR)
		return true;
	if (info->ternary && info->scaling == TRIT_SCALE_TENSOR)
		return false;
	return scaling == TRIT_SCALE_ROW || info->block <= (int)scaling ||
	       (info->ternary && info->block == 256 && scaling == TRIT_SCALE_GROUP128);
}

/* Whether all scales within each block of a tensor are the same. */
static bool blocks_agree(const float *scales, enum trit_scaling scaling, const struct trit_tensor_walk *w, size_t block)
{
	for (size_t row = 0; row < w->rows && scaling > TRIT_SCALE_ROW; row++)
		for (size_t col = 0; col < w->cols; col += (size_t)scaling)
			if (trit_scale_of(scales, scaling, row, col, w->cols) !=
			    trit_scale_of(scales, scaling, row, col / block * block, w->cols))
				return false;
	return true;
}

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

/* The type in which the source has the tensor; -1: in none. */
static int type_there(const struct trit_source *s, const struct trit_tensor_walk *w)
{
	return s->type ? s->type(s->arg, w) : -1;
}

static int first_type_there(const struct trit_source *s, enum trit_tensor_id id)
{
	struct trit_tensor_walk w = { .id = id };
	trit_tensor_shape(&s->config, id, &w.rows, &w.cols);
	return trit_tensor_present(&s->config, id) ? type_there(s, &w) : -1;
}

/* Whether the bytes of rows of a tensor can be copied by themselves: they lie one after the other, in blocks. */
static bool is_plain(const struct trit_ggml_type_info *info)
{
	return !info->packed && info->block_bytes && info->stripe == 1 && !info->stripe_bytes && !info->tail_bytes &&
	       info->file_id == info->id;
}

/* ---- types of projections ---------------------------------------------------------------------------------------- */

/* The packed type of the same layout with scales arranged as `scaling` says. */
static uint32_t packed_with(const struct trit_ggml_type_info *info, enum trit_scaling scaling)
{
	int scales = scaling == TRIT_SCALE_GROUP128 ? 3 : scaling == TRIT_SCALE_GROUP64 ? 2 : scaling == TRIT_SCALE_ROW;
	return (uint32_t)TRIT_GGML_PACKED_TYPE(info->layout, scales);
}

/* Whether every scale of every projection is an F16 number. */
static int all_f16(const struct planner *p, bool *all, struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	*all = true;
	if (!p->s->scales) /* there are none yet: those of training will be */
		return TRIT_OK;
	while (*all && trit_tensor_next(&w, &p->s->config)) {
		if (trit_walk_kind(&w) != TRIT_KIND_LINEAR)
			continue;
		int e = p->s->scales(p->s->arg, &w, p->scales, err);
		if (e)
			return e;
		*all = trit_scales_are_f16(p->scales, trit_scale_count(p->s->scaling, w.rows, w.cols));
	}
	return TRIT_OK;
}

/* Types for several scales a tensor: a type that others read, if its F16 scales lose nothing. */
static int automatic_group_type(struct planner *p, struct trit_error *err)
{
	static const uint32_t types[] = { TRIT_GGML_Q1_0, TRIT_GGML_Q2_0 };
	const struct trit_source *s = p->s;
	int there = first_type_there(s, TRIT_TENSOR_ATTN_Q);
	bool binary = there >= 0 && trit_ggml_type_info((uint32_t)there)->binary, exact;
	int e = all_f16(p, &exact, err);
	p->type = TRIT_GGML_PACKED_TYPE(TRIT_T5, 0);
	for (size_t i = !binary; i < sizeof types / sizeof types[0] && exact && !e; i++)
		if (holds_scaling(trit_ggml_type_info(types[i]), s->scaling) && fits(&s->config, TRIT_KIND_LINEAR, types[i])) {
			p->type = (int)types[i];
			break;
		}
	return e;
}

static int automatic_type(struct planner *p, struct trit_error *err)
{
	/* llama.cpp lacks I2_S; what reads the other architectures has it and, unlike llama.cpp, no tensors for scales. */
	static const uint32_t orders[2][4] = {
		{ TRIT_GGML_TQ2_0, TRIT_GGML_I2_S, TRIT_GGML_Q8_0, TRIT_GGML_F16 },
		{ TRIT_GGML_I2_S, TRIT_GGML_TQ2_0, TRIT_GGML_Q8_0, TRIT_GGML_F16 },
	};
	const struct trit_source *s = p->s;
	const uint32_t *ternary = orders[!s->config.arch->scale_tensors];
	if (!s->quantised) {
		p->type = s->type ? -1 : TRIT_GGML_F16;
		return TRIT_OK;
	}
	if (s->scaling != TRIT_SCALE_TENSOR)
		return automatic_group_type(p, err);
	for (size_t i = 0; i < sizeof orders[0] / sizeof orders[0][0] && p->type < 0; i++)
		if (fits(&s->config, TRIT_KIND_LINEAR, ternary[i]))
			p->type = (int)ternary[i];
	return TRIT_OK;
}

static int choose_linear_type(struct planner *p, struct trit_error *err)
{
	const struct trit_source *s = p->s;
	p->type = p->o->type;
	int e = p->type < 0 ? automatic_type(p, err) : TRIT_OK;
	if (e || p->type < 0)
		return e;
	const struct trit_ggml_type_info *info = trit_ggml_type_info((uint32_t)p->type);
	if (info->ternary && !s->quantised)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "type %s holds ternary weights and this model's are full precision; choose q8_0, f16, bf16 or "
		                 "f32", info->name);
	if (s->quantised && !info->packed && !info->writes_trits)
		return trit_fail(err, TRIT_ERR_ARG, "type %s is not written%s", info->name,
		                 p->type == TRIT_GGML_HF_U2 ? " into a GGUF file; it is that of a Hugging Face folder" : "");
	if (info->packed)
		p->type = (int)packed_with(info, s->scaling);
	else if (s->quantised && info->ternary && !holds_scaling(info, s->scaling))
		return trit_fail(err, TRIT_ERR_ARG,
		                 "type %s holds fewer scales than this model has, one for %s; choose %st5 or t2", info->name,
		                 s->scaling == TRIT_SCALE_ROW ? "each row" : s->scaling == TRIT_SCALE_GROUP64 ? "64 columns"
		                                                                                              : "128 columns",
		                 holds_scaling(trit_ggml_type_info(TRIT_GGML_Q2_0), s->scaling) ? "q2_0, " : "");
	return TRIT_OK;
}

/* ---- types of embedding and head --------------------------------------------------------------------------------- */

/* The packed type in which the source has its embedding or head; -1 if it has it in no such type. */
static int packed_type_there(const struct trit_source *s, enum trit_tensor_id id)
{
	int type = first_type_there(s, id);
	return type >= 0 && trit_ggml_type_info((uint32_t)type)->packed ? type : -1;
}

/* What the source has, if a file may have it and it can be copied; else 8 bits or F16. */
static int automatic_embedding(const struct planner *p, enum trit_tensor_id id)
{
	int type = first_type_there(p->s, id);
	if (type >= 0 && is_plain(trit_ggml_type_info((uint32_t)type)))
		return type;
	return p->s->quantised && fits(&p->s->config, TRIT_KIND_EMBEDDING, TRIT_GGML_Q8_0) ? TRIT_GGML_Q8_0
	                                                                                   : TRIT_GGML_F16;
}

static int choose_types(struct planner *p, struct trit_error *err)
{
	const struct trit_config *c = &p->s->config;
	int e = choose_linear_type(p, err);
	if (e)
		return e;
	p->embedding = p->o->embedding_type;
	p->head = p->o->head_type;
	if (c->tied && p->head >= 0) {
		if (p->embedding >= 0 && p->embedding != p->head)
			return trit_fail(err, TRIT_ERR_ARG,
			                 "the head of this model is its embedding: give one of --head-type and --embedding-type");
		p->embedding = p->head;
	}
	if (p->type >= 0 && trit_ggml_type_info((uint32_t)p->type)->packed) { /* what is packed stays as it is */
		if (p->head < 0 && p->embedding < 0 && !c->tied)
			p->head = packed_type_there(p->s, TRIT_TENSOR_OUTPUT);
		if (p->embedding < 0)
			p->embedding = packed_type_there(p->s, TRIT_TENSOR_TOKEN_EMBD);
		if (p->embedding < 0)
			p->embedding = TRIT_GGML_PACKED_TYPE(TRIT_I8, 1);
	}
	if (p->head < 0)
		p->head = p->embedding >= 0 ? p->embedding : c->tied ? -1 : automatic_embedding(p, TRIT_TENSOR_OUTPUT);
	if (p->embedding < 0)
		p->embedding = automatic_embedding(p, TRIT_TENSOR_TOKEN_EMBD);
	return TRIT_OK;
}

/* ---- each tensor ------------------------------------------------------------------------------------------------- */

static const char *option_of(const struct trit_tensor_walk *w)
{
	return trit_walk_kind(w) != TRIT_KIND_EMBEDDING ? "--type"
	       : w->id == TRIT_TENSOR_OUTPUT            ? "--head-type"
	                                                : "--embedding-type";
}

/* A projection of codes and scales in a type that is not packed. */
static int plan_codes(const struct planner *p, const struct trit_tensor_walk *w, struct trit_planned *out,
                      struct trit_error *err)
{
	const struct trit_source *s = p->s;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(out->type);
	size_t n = trit_scale_count(s->scaling, w->rows, w->cols);
	bool bit_linear = s->config.arch->bit_linear, exact = false;
	int e = s->scales ? s->scales(s->arg, w, p->scales, err) : TRIT_OK;
	if (e)
		return e;
	if (!s->scales && s->scaling != TRIT_SCALE_TENSOR)
		exact = true;
	if (s->scales) /* a type of numbers holds them in them */
		exact = out->type == TRIT_GGML_BF16 ? are_bf16(p->scales, n) : trit_scales_are_f16(p->scales, n);
	out->how = TRIT_EXPORT_CODES;
	if (out->type == TRIT_GGML_F32 || out->type == TRIT_GGML_I2_S)
		exact = true;
	if (!info->ternary && (!holds_scaling(info, s->scaling) || s->scaling != TRIT_SCALE_TENSOR)) {
		out->how = TRIT_EXPORT_PRODUCTS; /* no longer ternary with one scale */
		if (!bit_linear)
			return TRIT_OK;
		return trit_fail(err, TRIT_ERR_ARG,
		                 "type %s holds one scale a tensor and this model has more; choose t5, t2 or b1", info->name);
	}
	bool agree = s->scales ? blocks_agree(p->scales, s->scaling, w, (size_t)info->block)
	                       : s->scaling <= TRIT_SCALE_ROW || info->block <= (int)s->scaling;
	if (info->ternary && !agree)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "type %s holds a scale for %d columns and this model has more; choose q2_0, t5 or t2",
		                 info->name, info->block);
	/* Only where a reader applies them: a dense projection of a network that is not ternary by definition has none. */
	if (!exact && !info->ternary && !bit_linear)
		trit_note(p->o->notes, TRIT_NOTE_WARNING,
		          "type %s rounds the scales of this model's ternary weights: what it computes changes a little, and "
		          "the file is no longer known to be ternary", info->name);
	if (exact || (!info->ternary && !bit_linear))
		return TRIT_OK;
	if (s->scaling == TRIT_SCALE_TENSOR) {
		out->how = TRIT_EXPORT_UNITS;
		return TRIT_OK;
	}
	if (p->o->force)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG,
	                 "type %s holds scales in 16 bits, in which not all of this model's are exact; choose t5 or t2, or "
	                 "--force to round them", info->name);
}

static int plan_tensor(const struct planner *p, const struct trit_tensor_walk *w, struct trit_planned *out,
                       struct trit_error *err)
{
	const struct trit_source *s = p->s;
	enum trit_tensor_kind kind = trit_walk_kind(w);
	int there = type_there(s, w), type = p->type;
	uint64_t bytes;
	if (kind == TRIT_KIND_NORM)
		type = TRIT_GGML_F32;
	else if (kind == TRIT_KIND_EMBEDDING)
		type = w->id == TRIT_TENSOR_OUTPUT ? p->head : p->embedding;
	if (type < 0) /* as it is; what cannot be copied as F16 */
		type = there >= 0 && is_plain(trit_ggml_type_info((uint32_t)there)) ? there : TRIT_GGML_F16;
	const struct trit_ggml_type_info *info = trit_ggml_type_info((uint32_t)type);
	bool coded = (s->quantised && kind == TRIT_KIND_LINEAR) || (info->packed && there == type);
	*out = (struct trit_planned){ (uint32_t)type, coded ? TRIT_EXPORT_CODES : TRIT_EXPORT_NUMBERS };
	if (!coded && kind != TRIT_KIND_NORM && there == type && s->bytes && is_plain(info))
		out->how = TRIT_EXPORT_BYTES;
	int e = trit_ggml_tensor_bytes(out->type, w->rows, w->cols, &bytes, err);
	if (!e && coded && !info->packed)
		e = plan_codes(p, w, out, err);
	else if (!e && out->how == TRIT_EXPORT_NUMBERS && !info->packed && !info->writes_floats)
		e = trit_fail(err, TRIT_ERR_ARG, "type %s is not written", info->name);
	if (!e)
		return TRIT_OK;
	char name[TRIT_TENSOR_NAME_BYTES];
	trit_walk_name(name, w);
	return e != TRIT_ERR_ARG || strstr(err ? err->message : "", name)
	           ? e
	           : trit_fail_prefix(err, e, "%s cannot be %s (choose another %s)", name, info->name, option_of(w));
}

static int plan_tensors(struct planner *p, struct trit_export_plan *plan, struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	int e = TRIT_OK;
	for (size_t i = 0; !e && trit_tensor_next(&w, &p->s->config); i++) {
		struct trit_planned *t = &plan->tensors[i];
		e = plan_tensor(p, &w, t, err);
		if (!e && w.id == TRIT_TENSOR_ATTN_Q && w.layer == 0 && !w.bias)
			plan->type = t->type;
		plan->packed = plan->packed || (!e && trit_ggml_type_info(t->type)->packed);
	}
	return e;
}

/* Counts the tensors; room for the scales of any of them. */
static int prepare(struct planner *p, struct trit_export_plan *plan, struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	size_t most = 1;
	while (trit_tensor_next(&w, &p->s->config)) {
		size_t n = trit_scale_count(p->s->scaling, w.rows, w.cols);
		most = trit_walk_kind(&w) == TRIT_KIND_LINEAR && n > most ? n : most;
		plan->n++;
	}
	plan->tensors = trit_calloc(plan->n, sizeof *plan->tensors);
	p->scales = trit_calloc(most, sizeof *p->scales);
	return plan->tensors && p->scales
	           ? TRIT_OK
	           : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu tensors", plan->n);
}

int trit_export_plan_make(struct trit_export_plan *plan, const struct trit_source *s,
                          const struct trit_export_options *o, struct trit_error *err)
{
	struct planner p = { .s = s, .o = o };
	int e;
	*plan = (struct trit_export_plan){ 0 };
	if (!(e = prepare(&p, plan, err)) && !(e = choose_types(&p, err)))
		e = plan_tensors(&p, plan, err);
	trit_free(p.scales);
	if (e)
		trit_export_plan_release(plan);
	return e;
}

void trit_export_plan_release(struct trit_export_plan *p)
{
	trit_free(p->tensors);
	*p = (struct trit_export_plan){ 0 };
}
