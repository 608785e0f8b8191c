/*
 * weights.c - places the tensors of a file for the kernels.
 *
 * Two walks over the table of tensors: the first decides what becomes of each and counts the memory that takes, the
 * second does it. The head comes last: it is a tensor of its own or, tied, the embedding once more.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/weights.h"

#include <math.h>

#include "model/repack.h"

/* Below this many weights to repack, starting threads takes longer than they save. */
#define THREADS_FROM ((size_t)4 << 20)
#define THREADS_MAX 16

enum fate {
	MAP,       /* as it lies in the file: numbers, or a packed type */
	ROWS,      /* the same, in a type that kernels do not read: an embedding, of which single rows are needed */
	REPACK,    /* integer weights to another layout */
	QUANTISE,  /* numbers to integer weights */
	TERNARISE, /* master weights to ternary ones */
	WIDEN,     /* numbers to fp32 */
	HALVE,     /* numbers of a type of blocks to IEEE half, which is finer than they are */
};

/* What becomes of a tensor. */
struct plan {
	bool integer;            /* of a projection: multiplied as integers */
	enum fate fate;
	enum trit_layout layout; /* of integer weights */
	enum trit_scaling scaling;
};

struct loader {
	struct trit_model *m;
	int layout; /* asked for, or -1 */
	int head;   /* asked for: enum head */
	struct plan *plans; /* [walk steps + 1]: of each step, then of the head */
	size_t n_plans;
	struct trit_repack repack;
	int n_threads;            /* asked for, or 0 */
	size_t weights, widest;   /* of all matrices; columns of the widest tensor */
	int n_integer, n_numbers; /* projections */
	bool online;              /* projections are master weights, to be quantised */
};

enum trit_layout trit_default_layout(enum trit_tier tier)
{
	return tier == TRIT_TIER_C || tier == TRIT_TIER_AVX2 ? TRIT_T2 : TRIT_T5;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

enum head { HEAD_AUTO, HEAD_EXACT, HEAD_I8, HEAD_I6, HEAD_I4 };

static const char *const heads[] = { "auto", "exact", "i8", "i6", "i4" };

/* int8 and 6 bits with a scale a row lose next to nothing; 4 bits need one for every 64 columns. */
static const struct plan head_plans[] = {
	[HEAD_I8] = { true, QUANTISE, TRIT_I8, TRIT_SCALE_ROW },
	[HEAD_I6] = { true, QUANTISE, TRIT_I6, TRIT_SCALE_ROW },
	[HEAD_I4] = { true, QUANTISE, TRIT_I4, TRIT_SCALE_GROUP64 },
};

static int read_options(struct loader *ld, const struct trit_model_options *o, struct trit_error *err)
{
	const char *layout = o->layout ? o->layout : "auto", *head = o->head ? o->head : heads[HEAD_AUTO];
	const int n_heads = (int)(sizeof heads / sizeof heads[0]);
	ld->layout = trit_layout_by_name(layout);
	if (strcmp(layout, "auto") != 0 && (ld->layout < 0 || ld->layout > TRIT_B1))
		return trit_fail(err, TRIT_ERR_ARG, "layout \"%.32s\": there are auto, t2, t5, b1", layout);
	for (ld->head = 0; ld->head < n_heads && strcmp(head, heads[ld->head]) != 0;)
		ld->head++;
	if (ld->head == n_heads)
		return trit_fail(err, TRIT_ERR_ARG, "head \"%.32s\": there are auto, exact, i8, i6, i4", head);
	return TRIT_OK;
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

/* The rest of the memory that loading needs, and its threads, once they are wanted. */
static int start_threads(struct loader *ld, struct trit_error *err)
{
	int n = ld->n_threads;
	if (ld->repack.threads)
		return TRIT_OK;
	if (n <= 0)
		n = trit_cpu_count() < THREADS_MAX ? trit_cpu_count() : THREADS_MAX;
	return trit_repack_init(&ld->repack, ld->weights < THREADS_FROM ? 1 : n, ld->widest, err);
}

/* Whether numbers are ternary, as far as the first rows tell. */
static int looks_ternary(bool *ternary, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                         struct trit_error *err)
{
	size_t n = w->rows < TRIT_BLOCK_ROWS ? w->rows : TRIT_BLOCK_ROWS;
	int8_t *codes = trit_calloc(n, w->cols);
	if (!codes)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu rows of weights", n);
	*ternary = trit_tensor_codes(w, t, 0, n, codes, NULL) == TRIT_OK;
	trit_free(codes);
	return TRIT_OK;
}

/* Whether a projection is multiplied as integers: by its type, or because the architecture says that it is ternary,
 * whatever the type, and so it is. Rounded to a type with blocks, ternary weights may be so here and there only. */
static int is_integer(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                      bool *integer, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	*integer = info->ternary || info->packed;
	if (*integer || !ld->m->config.arch->bit_linear)
		return TRIT_OK;
	int e = looks_ternary(integer, w, t, err);
	if (!e && *integer && info->block > 1 && !(e = start_threads(ld, err)))
		*integer = trit_repack_is_ternary(&ld->repack, w, t);
	return e;
}

/* *binary: no weight of the tensor is 0. Of ternary tensors the first rows tell. */
static int is_binary(bool *binary, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                     struct trit_error *err)
{
	const size_t step = TRIT_BLOCK_ROWS;
	int8_t *codes = trit_calloc(step, w->cols);
	int e = codes ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu rows of weights", step);
	*binary = true;
	for (size_t row = 0; row < w->rows && *binary && !e; row += step) {
		size_t n = w->rows - row < step ? w->rows - row : step;
		e = trit_tensor_codes(w, t, row, n, codes, err);
		*binary = !e && !memchr(codes, 0, n * w->cols);
	}
	trit_free(codes);
	return e;
}

/* A packed tensor stays as it is, unless another layout was asked for; so it is for projections only. */
static int plan_integer(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                        struct plan *p, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	int wanted = trit_walk_kind(w) == TRIT_KIND_LINEAR ? ld->layout : -1, e = TRIT_OK;
	struct trit_form form = { 0 };
	bool binary = info->binary;
	if (trit_survey_needed(t) && !(e = start_threads(ld, err)))
		e = trit_repack_survey(&ld->repack, &form, w, t, err);
	*p = (struct plan){ .integer = true, .scaling = form.scaling };
	if (info->packed && (wanted < 0 || !info->ternary || info->layout == wanted)) {
		p->layout = trit_packed_layout(t);
		p->scaling = trit_packed_scaling(t);
		return TRIT_OK;
	}
	p->fate = REPACK;
	if (info->packed)
		p->scaling = trit_packed_scaling(t);
	if (!e && wanted < 0 && !form.code_2 && !binary)
		e = is_binary(&binary, w, t, err);
	p->layout = form.code_2   ? TRIT_I4
	            : wanted >= 0 ? (enum trit_layout)wanted
	            : binary      ? TRIT_B1
	                          : trit_default_layout(ld->m->kernels.tier);
	return e;
}

/* Numbers. */
static struct plan plan_dense(const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t)
{
	struct plan p = { .fate = WIDEN };
	if (trit_walk_kind(w) == TRIT_KIND_NORM)
		p.fate = t->type == TRIT_GGML_F32 ? MAP : WIDEN;
	else if (trit_dense_type(t->type) >= 0)
		p.fate = MAP;
	else if (w->id == TRIT_TENSOR_TOKEN_EMBD)
		p.fate = ROWS;
	else if (trit_walk_kind(w) == TRIT_KIND_LINEAR && trit_ggml_type_info(t->type)->block > 1)
		p.fate = HALVE;
	return p;
}

static int plan_projection(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                           struct plan *p, struct trit_error *err)
{
	if (p->integer)
		return plan_integer(ld, w, t, p, err);
	*p = plan_dense(w, t);
	if (ld->online)
		*p = (struct plan){ .integer = true, .fate = TERNARISE,
			            .layout = ld->layout >= 0 ? (enum trit_layout)ld->layout
			                                      : trit_default_layout(ld->m->kernels.tier) };
	return TRIT_OK;
}

static int plan_matrix(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                       struct plan *p, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	if (trit_walk_kind(w) == TRIT_KIND_LINEAR)
		return plan_projection(ld, w, t, p, err);
	if (trit_walk_kind(w) == TRIT_KIND_EMBEDDING && (info->ternary || info->packed))
		return plan_integer(ld, w, t, p, err);
	*p = plan_dense(w, t);
	return TRIT_OK;
}

/* The head: what the file has, unless that is numbers and the model is ternary, or another form was asked for. */
static int plan_head(struct loader *ld, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                     struct plan *p, struct trit_error *err)
{
	struct trit_tensor_walk as_head = *w;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	int head = ld->head, e = TRIT_OK;
	if (head == HEAD_AUTO)
		head = ld->n_integer && !info->packed && !info->ternary ? HEAD_I8 : HEAD_EXACT;
	as_head.id = TRIT_TENSOR_OUTPUT; /* all rows are needed, also of an embedding */
	if (head == HEAD_EXACT || info->packed)
		e = plan_matrix(ld, &as_head, t, p, err);
	if (head != HEAD_EXACT && !(info->packed && p->layout == head_plans[head].layout &&
	                            p->scaling == head_plans[head].scaling))
		*p = head_plans[head];
	return e;
}

/* The memory that a plan takes; in the second walk, where it is. */
struct place {
	unsigned char *w; /* integer weights */
	float *floats;    /* their scales; or numbers */
};

static struct place take(struct trit_model *m, const struct plan *p, const struct trit_tensor_walk *w)
{
	struct place at = { 0 };
	if (p->fate == WIDEN)
		at.floats = trit_arena_take(&m->arena, w->rows * w->cols, sizeof(float));
	if (p->fate == HALVE)
		at.w = trit_arena_take(&m->arena, w->rows * w->cols, sizeof(uint16_t));
	if (p->fate == REPACK || p->fate == QUANTISE || p->fate == TERNARISE) {
		at.w = trit_arena_take(&m->arena, trit_layout_bytes(p->layout, w->rows, w->cols), 1);
		at.floats = trit_arena_take(&m->arena, trit_scale_count(p->scaling, w->rows, w->cols), sizeof(float));
	}
	return at;
}

/* ---- one tensor -------------------------------------------------------------------------------------------------- */

/* Integer weights, in place or made so by the plan. */
static int load_integer(struct loader *ld, const struct plan *p, const struct trit_tensor_walk *w,
                        const struct trit_gguf_tensor *t, struct trit_linear *out, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	struct place at = take(m, p, w);
	int e;
	*out = (struct trit_linear){ .quantised = true, .layout = p->layout, .scaling = p->scaling, .rows = (int)w->rows,
		                     .cols = (int)w->cols, .scale = at.floats, .w = at.w };
	if (p->fate == QUANTISE)
		return trit_repack_quantise(&ld->repack, p->layout, p->scaling, at.w, at.floats, &m->kernels, w, t, err);
	if (p->fate == TERNARISE)
		return trit_repack_ternarise(&ld->repack, p->layout, at.w, at.floats, &m->kernels, w, t, err);
	if (p->fate == REPACK) {
		e = trit_tensor_scales(&m->gguf, w, t, p->scaling, at.floats, err);
		return e ? e : trit_repack_codes(&ld->repack, p->layout, at.w, w, t, err);
	}
	out->w = t->data;
	return trit_packed_scales(&m->gguf, w, t, &out->scale, err);
}

static int load_dense(struct loader *ld, const struct plan *p, const struct trit_tensor_walk *w,
                      const struct trit_gguf_tensor *t, struct trit_linear *out, struct trit_error *err)
{
	struct place at = take(ld->m, p, w);
	*out = (struct trit_linear){ .rows = (int)w->rows, .cols = (int)w->cols, .w = t->data };
	if (p->fate == MAP) {
		out->type = (enum trit_dense_type)trit_dense_type(t->type);
		return TRIT_OK;
	}
	if (p->fate == ROWS) {
		out->stored = trit_ggml_type_info(t->type);
		return TRIT_OK;
	}
	if (p->fate == HALVE) {
		out->type = TRIT_DENSE_F16;
		out->w = at.w;
		return trit_repack_halves(&ld->repack, (uint16_t *)(void *)at.w, &ld->m->kernels, w, t, err);
	}
	out->type = TRIT_DENSE_F32;
	out->w = (const unsigned char *)at.floats;
	if (trit_walk_kind(w) != TRIT_KIND_NORM)
		return trit_repack_floats(&ld->repack, at.floats, &ld->m->kernels, w, t, err);
	int e = trit_ggml_decode_f32(t->type, t->data, w->rows, w->cols, 0, w->rows, at.floats, err);
	return e ? trit_fail_prefix(err, e, "%s", t->name) : TRIT_OK;
}

/* Norms and biases. */
static int load_vector(struct loader *ld, const struct plan *p, const struct trit_tensor_walk *w,
                       const struct trit_gguf_tensor *t, const float **out, struct trit_error *err)
{
	struct trit_linear l;
	int e = load_dense(ld, p, w, t, &l, err);
	if (e)
		return e;
	*out = (const float *)(const void *)l.w;
	for (size_t i = 0; i < w->rows * w->cols; i++)
		if (!isfinite((*out)[i]) || (w->id == TRIT_TENSOR_ROPE_FREQS && !((*out)[i] > 0)))
			return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)t->offset, "%s: element %zu is not %s", t->name, i,
			                    w->id == TRIT_TENSOR_ROPE_FREQS ? "positive" : "finite");
	return TRIT_OK;
}

/* What becomes of a projection's input before it is quantised. */
static void set_input(const struct trit_config *c, const struct trit_tensor_walk *w, struct trit_linear *l)
{
	bool inner = w->id == TRIT_TENSOR_ATTN_OUTPUT || w->id == TRIT_TENSOR_FFN_DOWN ||
	             w->id == TRIT_TENSOR_FFN_DOWN_EXPS || w->id == TRIT_TENSOR_FFN_DOWN_SHEXP;
	if (!l->quantised)
		return;
	l->input_4bit = inner ? c->inner_4bit : c->input_4bit;
	l->hadamard = inner && c->inner_hadamard ? l->cols & -l->cols : 0;
}

/* A walk comes to its bias, and to a norm of its input, afterwards. */
static int load_linear(struct loader *ld, const struct plan *p, const struct trit_tensor_walk *w,
                       const struct trit_gguf_tensor *t, struct trit_linear *out, struct trit_error *err)
{
	int e = p->fate == MAP || p->fate == ROWS ? TRIT_OK : start_threads(ld, err);
	if (!e)
		e = (p->integer ? load_integer : load_dense)(ld, p, w, t, out, err);
	if (trit_walk_kind(w) == TRIT_KIND_LINEAR)
		set_input(&ld->m->config, w, out);
	return e;
}

/* ---- the whole model --------------------------------------------------------------------------------------------- */

/* Whether a matrix in the file is read by every token, and as it is there; of an embedding only rows are. */
static bool is_mapped_whole(const struct loader *ld, const struct plan *p, enum trit_tensor_id id)
{
	bool head = ld->m->config.tied && ld->plans[ld->n_plans - 1].fate == MAP;
	return p->fate == MAP && (id != TRIT_TENSOR_TOKEN_EMBD || head);
}

static void add_stats(struct loader *ld, const struct plan *p, const struct trit_tensor_walk *w,
                      const struct trit_gguf_tensor *t)
{
	struct trit_model_stats *s = &ld->m->stats;
	if (trit_walk_kind(w) == TRIT_KIND_LINEAR && p->integer && p->layout <= TRIT_B1) {
		s->ternary_weights += (uint64_t)w->rows * w->cols;
		s->ternary_bytes += t->bytes;
	}
	if (is_mapped_whole(ld, p, w->id))
		s->mapped_bytes += t->bytes;
}

/* Where each tensor goes: in struct trit_layer, or in struct trit_model. */
static const size_t places[TRIT_N_TENSORS] = {
	[TRIT_TENSOR_TOKEN_EMBD] = offsetof(struct trit_model, token_embd),
	[TRIT_TENSOR_ATTN_NORM] = offsetof(struct trit_layer, attn_norm),
	[TRIT_TENSOR_ATTN_Q] = offsetof(struct trit_layer, q),
	[TRIT_TENSOR_ATTN_K] = offsetof(struct trit_layer, k),
	[TRIT_TENSOR_ATTN_V] = offsetof(struct trit_layer, v),
	[TRIT_TENSOR_ATTN_Q_NORM] = offsetof(struct trit_layer, q_norm),
	[TRIT_TENSOR_ATTN_K_NORM] = offsetof(struct trit_layer, k_norm),
	[TRIT_TENSOR_ATTN_SUB_NORM] = offsetof(struct trit_layer, attn_sub_norm),
	[TRIT_TENSOR_ATTN_OUTPUT] = offsetof(struct trit_layer, o),
	[TRIT_TENSOR_ATTN_POST_NORM] = offsetof(struct trit_layer, attn_post_norm),
	[TRIT_TENSOR_FFN_NORM] = offsetof(struct trit_layer, ffn_norm),
	[TRIT_TENSOR_FFN_GATE] = offsetof(struct trit_layer, gate),
	[TRIT_TENSOR_FFN_UP] = offsetof(struct trit_layer, up),
	[TRIT_TENSOR_FFN_SUB_NORM] = offsetof(struct trit_layer, ffn_sub_norm),
	[TRIT_TENSOR_FFN_DOWN] = offsetof(struct trit_layer, down),
	[TRIT_TENSOR_FFN_POST_NORM] = offsetof(struct trit_layer, ffn_post_norm),
	[TRIT_TENSOR_ATTN_Q_NORM_IN] = offsetof(struct trit_layer, q.norm),
	[TRIT_TENSOR_ATTN_K_NORM_IN] = offsetof(struct trit_layer, k.norm),
	[TRIT_TENSOR_ATTN_V_NORM_IN] = offsetof(struct trit_layer, v.norm),
	[TRIT_TENSOR_ATTN_OUTPUT_NORM_IN] = offsetof(struct trit_layer, o.norm),
	[TRIT_TENSOR_FFN_GATE_NORM_IN] = offsetof(struct trit_layer, gate.norm),
	[TRIT_TENSOR_FFN_UP_NORM_IN] = offsetof(struct trit_layer, up.norm),
	[TRIT_TENSOR_FFN_DOWN_NORM_IN] = offsetof(struct trit_layer, down.norm),
	[TRIT_TENSOR_FFN_ROUTER] = offsetof(struct trit_layer, router),
	[TRIT_TENSOR_FFN_SUB_NORM_EXPS] = offsetof(struct trit_layer, ffn_sub_norm),
	[TRIT_TENSOR_FFN_ROUTER_SHEXP] = offsetof(struct trit_layer, shared_router),
	[TRIT_TENSOR_FFN_SUB_NORM_SHEXP] = offsetof(struct trit_layer, shared_sub_norm),
	/* within struct trit_expert */
	[TRIT_TENSOR_FFN_GATE_EXPS] = offsetof(struct trit_expert, gate),
	[TRIT_TENSOR_FFN_UP_EXPS] = offsetof(struct trit_expert, up),
	[TRIT_TENSOR_FFN_DOWN_EXPS] = offsetof(struct trit_expert, down),
	[TRIT_TENSOR_FFN_GATE_SHEXP] = offsetof(struct trit_expert, gate),
	[TRIT_TENSOR_FFN_UP_SHEXP] = offsetof(struct trit_expert, up),
	[TRIT_TENSOR_FFN_DOWN_SHEXP] = offsetof(struct trit_expert, down),
	[TRIT_TENSOR_OUTPUT_NORM] = offsetof(struct trit_model, output_norm),
	[TRIT_TENSOR_OUTPUT] = offsetof(struct trit_model, output),
	[TRIT_TENSOR_ROPE_FREQS] = offsetof(struct trit_model, rope_freqs),
	[TRIT_TENSOR_CLS_OUTPUT] = offsetof(struct trit_model, cls_output),
};

/* A struct trit_norm, or a struct trit_linear. */
static void *place_of(const struct trit_model *m, const struct trit_tensor_walk *w)
{
	uintptr_t base = trit_tensors[w->id].per_layer ? (uintptr_t)&m->layers[w->layer] : (uintptr_t)m;
	if (w->id >= TRIT_TENSOR_FFN_GATE_EXPS && w->id <= TRIT_TENSOR_FFN_DOWN_EXPS)
		base = (uintptr_t)&m->layers[w->layer].experts[w->expert];
	else if (w->id >= TRIT_TENSOR_FFN_GATE_SHEXP && w->id <= TRIT_TENSOR_FFN_DOWN_SHEXP)
		base = (uintptr_t)&m->layers[w->layer].experts[m->config.moe.n_experts];
	return (void *)(base + places[w->id]);
}

const struct trit_linear *trit_model_linear(const struct trit_model *m, const struct trit_tensor_walk *w)
{
	return trit_tensors[w->id].kind == TRIT_KIND_NORM ? NULL : place_of(m, w);
}

const struct trit_norm *trit_model_norm(const struct trit_model *m, const struct trit_tensor_walk *w)
{
	return trit_tensors[w->id].kind == TRIT_KIND_NORM ? place_of(m, w) : NULL;
}

const char *trit_linear_layout(const struct trit_linear *l)
{
	static const char *const dense[TRIT_N_DENSE] = { "f32", "f16", "bf16", "q8_0" };
	return l->quantised ? trit_layouts[l->layout].name : l->stored ? l->stored->name : dense[l->type];
}

/* Where a norm's weights or a bias go. */
static const float **vector_slot(struct trit_model *m, const struct trit_tensor_walk *w)
{
	void *at = place_of(m, w);
	if (trit_tensors[w->id].kind != TRIT_KIND_NORM)
		return &((struct trit_linear *)at)->bias;
	return w->bias ? &((struct trit_norm *)at)->bias : &((struct trit_norm *)at)->w;
}

/* Tables of angles, which old files carry. */
static bool is_harmless(const char *name)
{
	return strstr(name, ".attn_rot_embd.") || strstr(name, ".rotary_emb.");
}

/* Tensors that would change the result and that this configuration does not use. */
static int check_unused(const struct trit_model *m, struct trit_error *err)
{
	for (uint64_t i = 0; i < m->gguf.n_tensors; i++) {
		const char *name = m->gguf.tensors[i].name;
		if (!trit_tensor_known(&m->config, name) && !is_harmless(name))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: a tensor that models of architecture %s do not have here",
			                 name, m->config.arch->name);
	}
	return TRIT_OK;
}

/* The head's tensor: its own, or the embedding. */
static int find_head(const struct trit_model *m, struct trit_tensor_walk *w, struct trit_gguf_tensor *t,
                     struct trit_error *err)
{
	*w = (struct trit_tensor_walk){ .id = m->config.tied ? TRIT_TENSOR_TOKEN_EMBD : TRIT_TENSOR_OUTPUT };
	trit_tensor_shape(&m->config, w->id, &w->rows, &w->cols);
	return trit_tensor_find(&m->gguf, w, t, err);
}

/* Before anything is decided: which projections hold integers. */
static int look(struct loader *ld, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	struct trit_tensor_walk w = { 0 };
	struct trit_gguf_tensor t;
	bool rounded = false; /* in types that do not hold numbers as they were */
	int e = trit_gguf_get_bool(&m->gguf, "trit.weights.online", &ld->online, err);
	e = e < 0 ? e : TRIT_OK;
	while (!e && trit_tensor_next(&w, &m->config)) {
		bool *integer = &ld->plans[w.step - 1].integer;
		if (trit_walk_kind(&w) != TRIT_KIND_LINEAR || (e = trit_tensor_find(&m->gguf, &w, &t, err)) ||
		    (e = is_integer(ld, &w, &t, integer, err)))
			continue;
		ld->n_integer += *integer;
		ld->n_numbers += !*integer;
		rounded = rounded || trit_ggml_type_info(t.type)->block > 1;
	}
	if (e)
		return e;
	if (!ld->online && m->config.arch->bit_linear && !ld->n_integer && !rounded) {
		ld->online = true;
		trit_note(&m->file.notes, TRIT_NOTE_ASSUMED,
		          "no projection is ternary: these are the weights that training works on, quantised when loaded");
	} else if (!ld->online && ld->n_integer && ld->n_numbers) {
		trit_note(&m->file.notes, TRIT_NOTE_FOUND, "%d of %d projections are not ternary and are used as the numbers "
		          "they are", ld->n_numbers, ld->n_integer + ld->n_numbers);
	}
	ld->n_integer += ld->online ? ld->n_numbers : 0;
	return TRIT_OK;
}

/* Memory for the layers; in the second walk, the layers. */
static void take_layers(struct trit_model *m)
{
	size_t n = (size_t)m->config.n_layers, experts = (size_t)trit_moe_experts(&m->config.moe);
	struct trit_layer *layers = trit_arena_take(&m->arena, n, sizeof *layers);
	struct trit_expert *all = m->config.moe.n_experts ? trit_arena_take(&m->arena, n * experts, sizeof *all) : NULL;
	for (size_t l = 0; l < n && all; l++)
		layers[l].experts = all + l * experts;
	m->layers = layers;
}

/* First walk: checks every tensor, decides, counts. */
static int measure(struct loader *ld, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	struct trit_tensor_walk w = { 0 }, embedding = { 0 };
	struct trit_gguf_tensor t;
	struct plan *head = &ld->plans[ld->n_plans - 1], *embd = &ld->plans[0];
	int e = TRIT_OK;
	take_layers(m);
	while (!e && trit_tensor_next(&w, &m->config)) {
		struct plan *p = &ld->plans[w.step - 1];
		if (w.id == TRIT_TENSOR_OUTPUT && !w.bias)
			continue;
		if ((e = trit_tensor_find(&m->gguf, &w, &t, err)) || (e = plan_matrix(ld, &w, &t, p, err)))
			break;
		if (w.id == TRIT_TENSOR_TOKEN_EMBD && !w.bias)
			embedding = w, embd = p;
		take(m, p, &w);
	}
	if (e || (e = find_head(m, &w, &t, err)) || (e = plan_head(ld, &w, &t, head, err)))
		return e;
	if (m->config.tied && head->fate != QUANTISE) { /* one for both */
		if (embd->fate == ROWS)
			take(m, head, &embedding);
		*embd = *head;
	} else {
		take(m, head, &w);
	}
	return TRIT_OK;
}

/* Second walk: the same, filling in. */
static int place(struct loader *ld, struct trit_error *err)
{
	struct trit_model *m = ld->m;
	struct trit_tensor_walk w = { 0 };
	struct trit_gguf_tensor t;
	const struct plan *head = &ld->plans[ld->n_plans - 1];
	int e = TRIT_OK;
	take_layers(m);
	while (!e && trit_tensor_next(&w, &m->config)) {
		const struct plan *p = &ld->plans[w.step - 1];
		if ((w.id == TRIT_TENSOR_OUTPUT && !w.bias) || (e = trit_tensor_find(&m->gguf, &w, &t, err)))
			continue;
		if (trit_walk_kind(&w) == TRIT_KIND_NORM)
			e = load_vector(ld, p, &w, &t, vector_slot(m, &w), err);
		else
			e = load_linear(ld, p, &w, &t, place_of(m, &w), err);
		add_stats(ld, p, &w, &t);
	}
	if (e || (e = find_head(m, &w, &t, err)))
		return e;
	if (m->config.tied && head->fate != QUANTISE) {
		m->output = m->token_embd;
		return TRIT_OK;
	}
	if (!m->config.tied)
		add_stats(ld, head, &w, &t);
	const float *bias = m->output.bias;
	e = load_linear(ld, head, &w, &t, &m->output, err);
	m->output.bias = bias;
	return e;
}

int trit_weights_load(struct trit_model *m, const struct trit_model_options *o, struct trit_error *err)
{
	struct loader ld = { .m = m, .n_threads = o->n_threads };
	int e;
	if ((e = read_options(&ld, o, err)) || (e = check_unused(m, err)))
		return e;
	struct trit_tensor_walk w = { 0 };
	while (trit_tensor_next(&w, &m->config)) {
		ld.widest = w.cols > ld.widest ? w.cols : ld.widest;
		ld.weights += trit_walk_kind(&w) != TRIT_KIND_NORM ? w.rows * w.cols : 0;
	}
	ld.n_plans = (size_t)w.step + 1;
	ld.plans = trit_calloc(ld.n_plans, sizeof *ld.plans);
	if (!ld.plans)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu tensors", ld.n_plans);
	if (!(e = look(&ld, err)) && !(e = measure(&ld, err)) &&
	    !(e = trit_arena_alloc(&m->arena, "the weights", err)))
		e = place(&ld, err);
	trit_repack_release(&ld.repack);
	trit_free(ld.plans);
	return e;
}

int trit_model_count_codes(const struct trit_model *m, uint64_t counts[3], struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	struct trit_repack r;
	int n = trit_cpu_count() < THREADS_MAX ? trit_cpu_count() : THREADS_MAX;
	int e = trit_repack_init(&r, m->stats.ternary_weights < THREADS_FROM ? 1 : n, trit_config_widest(&m->config), err);
	if (e)
		return e;
	counts[0] = counts[1] = counts[2] = 0;
	while (trit_tensor_next(&w, &m->config)) {
		const struct trit_linear *l = trit_model_linear(m, &w);
		if (trit_walk_kind(&w) == TRIT_KIND_LINEAR && l->quantised && l->layout <= TRIT_B1)
			trit_count_codes(&r, counts, l->layout, l->w, w.rows, w.cols);
	}
	trit_repack_release(&r);
	return TRIT_OK;
}
