/*
 * forward.c - one token from embedding to logits, top to bottom.
 *
 * Every thread runs forward_thread over the whole network. Each step gives a thread its share of rows, tokens or heads,
 * and no sum is ever split. A barrier stands only where a step reads what other threads wrote: with the rows that a
 * thread computed (residuals, gate times up) it goes on alone, and with a single token every thread prepares the whole
 * input of the next projections for itself, which takes less time than to wait for another.
 *
 * A projection's rows are dealt evenly and taken in chunks; a thread that is through takes chunks from the others. So a
 * thread on a slower core, or one that the system has put aside for a moment, does not keep the rest waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/forward.h"

#include <stdatomic.h>

/* Most rows in a chunk: few enough for the second-level cache to hold a prompt's gate and up until they are multiplied,
 * many enough for the kernels not to notice. */
#define CHUNK_ROWS 512

/* How far the rows dealt to a thread are taken: the epoch (which projection) above, the next row below. */
struct trit_row_cursor {
	_Alignas(64) _Atomic uint64_t at;
};

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Of the widest input of an expert's projection. */
static size_t slot_width(const struct trit_config *c)
{
	size_t ff = trit_config_ff_width(c), d = (size_t)c->d_model;
	return ff > d ? ff : d;
}

/* Most rows of one projection that a thread has apart before they are used. */
static size_t chunk_width(const struct trit_config *c)
{
	size_t widest = c->moe.n_experts ? slot_width(c) : (size_t)c->d_ff;
	return widest < CHUNK_ROWS ? widest : CHUNK_ROWS;
}

/* What mixtures of experts need. */
static void lay_out_slots(struct trit_forward *f, size_t threads)
{
	const struct trit_moe_config *moe = &f->model->config.moe;
	struct trit_arena *a = &f->arena;
	size_t t = (size_t)f->n_batch, each = (size_t)trit_moe_slots(moe), n = t * each, w = slot_width(&f->model->config);
	size_t choices = t > threads ? t : threads;

	f->scores = trit_arena_take(a, (t + threads) * (size_t)moe->n_experts, sizeof(float));
	f->shared_scores = trit_arena_take(a, t, sizeof(float));
	f->chosen = trit_arena_take(a, choices * each, sizeof(int));
	f->chosen_weights = trit_arena_take(a, choices * each, sizeof(float));
	f->slots = trit_arena_take(a, threads, sizeof *f->slots);
	for (size_t i = 0; i < threads; i++) {
		struct trit_moe_slots s = {
			trit_arena_take(a, (size_t)trit_moe_experts(moe) + 1, sizeof(int)), trit_arena_take(a, n, sizeof(int)),
			trit_arena_take(a, n, sizeof(float))
		};
		if (f->slots)
			f->slots[i] = s;
	}
	f->hidden = trit_arena_take(a, n * trit_config_ff_width(&f->model->config), sizeof(float));
	f->slot_xn = trit_arena_take(a, n * w, sizeof(float));
	f->slot_xq = trit_arena_take(a, n * trit_q_padded(w), 1);
	f->slot_step = trit_arena_take(a, n, sizeof(float));
	f->slot_sum = trit_arena_take(a, n, sizeof(int32_t));
}

static void lay_out(struct trit_forward *f)
{
	const struct trit_config *c = &f->model->config;
	struct trit_arena *a = &f->arena;
	size_t t = (size_t)f->n_batch, d = (size_t)c->d_model, w = trit_config_widest(c);
	size_t q = trit_config_q_width(c), kv = trit_config_kv_width(c);
	size_t threads = (size_t)trit_pool_size(f->pool), inputs = t > threads ? t : threads;

	trit_attention_lay_out(&f->attention, a);
	f->x = trit_arena_take(a, t * d, sizeof(float));
	f->qkv = trit_arena_take(a, t * (q + 2 * kv), sizeof(float));
	f->att = trit_arena_take(a, t * q, sizeof(float));
	if (c->moe.n_experts)
		lay_out_slots(f, threads);
	else
		f->gate = trit_arena_take(a, t * (size_t)c->d_ff, sizeof(float));
	f->up = trit_arena_take(a, threads * t * chunk_width(c), sizeof(float));
	f->y = trit_arena_take(a, t * d, sizeof(float));
	f->xn = trit_arena_take(a, inputs * w, sizeof(float));
	f->xq = trit_arena_take(a, inputs * trit_q_padded(w), 1);
	f->step = trit_arena_take(a, inputs, sizeof(float));
	f->sum = trit_arena_take(a, inputs, sizeof(int32_t));
	if (f->model->lora.most) {
		f->lora_x = trit_arena_take(a, threads * w, sizeof(float));
		f->lora_h = trit_arena_take(a, 3 * inputs * (size_t)f->model->lora.most, sizeof(float));
		f->lora_y = trit_arena_take(a, threads * t * CHUNK_ROWS, sizeof(float));
	}
	f->cursors = trit_arena_take(a, threads, sizeof *f->cursors);
	f->rows = trit_arena_take(a, (size_t)f->n_logits, sizeof(int));
	if (f->headless)
		f->states = trit_arena_take(a, (size_t)f->n_logits * d, sizeof(float));
	else
		f->logits = trit_arena_take(a, (size_t)f->n_logits * (size_t)c->n_vocab, sizeof(float));
}

/* f has the sizes. */
static int init(struct trit_forward *f, struct trit_error *err)
{
	f->attention = (struct trit_attention){
		.config = &f->model->config, .kernels = &f->model->kernels, .pool = f->pool, .n_batch = f->n_batch,
		.n_ctx = f->n_ctx, .layers = f->model->config.qk_norms != TRIT_QK_PLAIN ? f->model->layers : NULL,
		.rope_freqs = f->model->rope_freqs.w
	};
	lay_out(f);
	int e = trit_arena_alloc(&f->arena, "the forward pass", err);
	if (e)
		return e;
	lay_out(f);
	trit_attention_tables(&f->attention);
	return TRIT_OK;
}

int trit_forward_init(struct trit_forward *f, const struct trit_model *m, struct trit_pool *pool, int n_batch,
                      int n_logits, int n_ctx, struct trit_error *err)
{
	*f = (struct trit_forward){ .model = m, .pool = pool, .n_batch = n_batch, .n_logits = n_logits, .n_ctx = n_ctx };
	return init(f, err);
}

int trit_forward_init_states(struct trit_forward *f, const struct trit_model *m, struct trit_pool *pool, int n_batch,
                             int n_ctx, struct trit_error *err)
{
	*f = (struct trit_forward){ .model = m, .pool = pool, .n_batch = n_batch, .n_logits = n_batch, .n_ctx = n_ctx,
		                    .headless = true };
	return init(f, err);
}

void trit_forward_release(struct trit_forward *f)
{
	trit_arena_release(&f->arena);
	*f = (struct trit_forward){ 0 };
}

/* ---- one thread's view ------------------------------------------------------------------------------------------- */

struct part {
	struct trit_forward *f;
	const struct trit_config *c;
	const struct trit_kernels *k;
	int index, n;   /* this thread, of how many */
	uint32_t epoch; /* of the projection it is at; the same sequence in every thread */
	/* Input of the projections that come next, a row a token: this thread's own when there is only one row. */
	float *xn;    /* dense: [rows, width] */
	int8_t *xq;   /* integer: [rows, trit_q_padded(width)] */
	float *step;
	int32_t *sum;
	float *h;     /* of adapters: [3][rows, most], 3 as far apart as there are inputs */
};

static void barrier(const struct part *p)
{
	trit_pool_barrier(p->f->pool);
}

/* Which rows of `rows` inputs this thread prepares, and where: a single one is prepared by every thread for itself. */
static void take_inputs(struct part *p, int rows, int *first, int *end)
{
	struct trit_forward *f = p->f;
	size_t w = trit_config_widest(p->c), own = rows == 1 ? (size_t)p->index : 0, i0, i1;

	trit_part((size_t)rows, 1, p->index, p->n, &i0, &i1);
	*first = rows == 1 ? 0 : (int)i0;
	*end = rows == 1 ? 1 : (int)i1;
	p->xn = f->xn + own * w;
	p->xq = f->xq + own * trit_q_padded(w);
	p->step = f->step + own;
	p->sum = f->sum + own;
	if (f->lora_h)
		p->h = f->lora_h + own * (size_t)f->model->lora.most;
}

/* y = the norm of x [n]. y may be x. */
static void apply_norm(const struct part *p, float *y, const float *x, const struct trit_norm *norm, int n)
{
	if (p->c->arch->norm == TRIT_NORM_LAYER)
		p->k->layernorm(y, x, norm->w, norm->bias, p->c->eps, n);
	else
		p->k->rmsnorm(y, x, norm->w, p->c->eps, n);
}

/* What the projections that share an input take it as: integers, numbers, or some this and some that; and what comes
 * before that. */
struct need {
	int width;
	bool integers, numbers;
	bool four_bits;
	int hadamard;
	const struct trit_norm *norm; /* after the one that all share */
	const struct trit_linear *adapted[3]; /* those with an adapter; NULL: fewer */
};

/* Of one to three projections; NULL: fewer. */
static struct need need_of(const struct trit_linear *a, const struct trit_linear *b, const struct trit_linear *c)
{
	const struct trit_linear *all[] = { a, b, c };
	struct need need = { .width = a->cols, .hadamard = a->hadamard, .norm = &a->norm };
	for (int i = 0; i < 3; i++) {
		need.integers = need.integers || (all[i] && all[i]->quantised);
		need.numbers = need.numbers || (all[i] && !all[i]->quantised);
		need.four_bits = need.four_bits || (all[i] && all[i]->input_4bit);
		need.adapted[i] = all[i] && all[i]->lora ? all[i] : NULL;
	}
	return need;
}

/* One row of input: x [width], normed if the architecture does so here, as the projections need it. */
static void quantise_row(const struct part *p, struct need need, int row, const float *x, const struct trit_norm *norm)
{
	int width = need.width;
	size_t i = (size_t)row, padded = trit_q_padded((size_t)width);
	float *xn = p->xn + i * (size_t)width;
	int8_t *xq = p->xq + i * padded;

	if (norm->w && need.norm->w) { /* two of them */
		apply_norm(p, xn, x, norm, width);
		x = xn;
	}
	norm = need.norm->w ? need.norm : norm;
	if (norm->w && p->c->arch->norm == TRIT_NORM_RMS && !need.numbers && !need.four_bits && !need.hadamard) {
		p->k->rmsnorm_quant(xq, &p->step[i], &p->sum[i], x, norm->w, p->c->eps, width, (int)padded);
		return;
	}
	if (norm->w)
		apply_norm(p, xn, x, norm, width);
	else if ((need.numbers || need.hadamard) && x != xn)
		memcpy(xn, x, (size_t)width * sizeof *xn);
	for (int at = 0; need.hadamard && at < width; at += need.hadamard)
		p->k->hadamard(xn + at, need.hadamard);
	if (need.integers)
		(need.four_bits ? p->k->act_quant4 : p->k->act_quant)(xq, &p->step[i], &p->sum[i],
		                                                      norm->w || need.hadamard ? xn : x, width, (int)padded);
}

/* Floats between what adapters make of the inputs of two projections. */
static size_t h_stride(const struct trit_forward *f)
{
	size_t t = (size_t)f->n_batch, threads = (size_t)trit_pool_size(f->pool);
	return (t > threads ? t : threads) * (size_t)f->model->lora.most;
}

/* h = A x for each adapter that reads the row. */
static void adapt_row(const struct part *p, const struct need *need, int row)
{
	size_t w = trit_config_widest(p->c), i = (size_t)row, width = (size_t)need->width;
	float *x = p->f->lora_x + (size_t)p->index * w;
	for (int j = 0; j < 3; j++) {
		const struct trit_linear *l = need->adapted[j];
		if (!l)
			continue;
		const float *in = p->xn + i * width;
		if (l->quantised) {
			p->k->dequant_i8(x, p->xq + i * trit_q_padded(width), p->step[i], need->width);
			in = x;
		}
		p->k->gemm_dense[TRIT_DENSE_F32](
		    p->h + (size_t)l->lora->slot * h_stride(p->f) + i * (size_t)p->f->model->lora.most,
		    (size_t)p->f->model->lora.most, l->lora->a, in, width, l->lora->rank, 1, need->width);
	}
}

static void prepare_row(const struct part *p, struct need need, int row, const float *x, const struct trit_norm *norm)
{
	quantise_row(p, need, row, x, norm);
	if (p->f->model->lora.most)
		adapt_row(p, &need, row);
}

/* The input of the projections that follow, from x [T, width] with rows ldx apart; ready for all threads on return. */
static void prepare(struct part *p, struct need need, const float *x, size_t ldx, const struct trit_norm *norm)
{
	int first, end;
	take_inputs(p, p->f->n_tokens, &first, &end);
	for (int t = first; t < end; t++)
		prepare_row(p, need, t, x + (size_t)t * ldx, norm);
	if (p->f->n_tokens > 1)
		barrier(p);
}

/* ---- projections ------------------------------------------------------------------------------------------------- */

/* Begins a projection: rows are to be taken by next_rows until there are none. */
static void begin_rows(struct part *p)
{
	p->epoch++;
}

/* Takes up to `chunk` rows of those dealt to thread `from`; its cursor may still be at an earlier projection. */
static bool take_rows(const struct part *p, int from, int rows, int chunk, size_t *r0, size_t *r1)
{
	_Atomic uint64_t *cursor = &p->f->cursors[from].at;
	uint64_t at = atomic_load_explicit(cursor, memory_order_relaxed), taken;
	size_t begin, end;

	trit_part((size_t)rows, TRIT_BLOCK_ROWS, from, p->n, &begin, &end);
	do {
		int32_t ahead = (int32_t)((uint32_t)(at >> 32) - p->epoch);
		*r0 = ahead == 0 ? (uint32_t)at : begin;
		if (ahead > 0 || *r0 >= end) /* ahead: nobody goes on while there are rows left */
			return false;
		*r1 = end - *r0 < (size_t)chunk ? end : *r0 + (size_t)chunk;
		taken = (uint64_t)p->epoch << 32 | *r1;
	} while (!atomic_compare_exchange_weak_explicit(cursor, &at, taken, memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* The next rows of a projection for this thread: its own, then what others have left. With many inputs kernels spend
 * some time on them before the first row, so there are fewer, larger chunks. */
static bool next_rows(const struct part *p, const struct trit_linear *l, int n_inputs, size_t *r0, size_t *r1)
{
	int pieces = n_inputs < 32 ? 8 : 3; /* of a thread's rows */
	int chunk = l->rows / (pieces * p->n) / TRIT_ROW_GRAIN * TRIT_ROW_GRAIN;
	chunk = chunk < TRIT_ROW_GRAIN ? TRIT_ROW_GRAIN : (chunk < CHUNK_ROWS ? chunk : CHUNK_ROWS);
	for (int i = 0; i < p->n; i++)
		if (take_rows(p, (p->index + i) % p->n, l->rows, chunk, r0, r1))
			return true;
	return false;
}

/* y[n_inputs, ldy] += rows [r0, r1) of what a projection's adapter adds. */
static void add_adapter(const struct part *p, float *y, size_t ldy, const struct trit_low_rank *lora, int n_inputs,
                        size_t r0, size_t r1)
{
	const struct trit_forward *f = p->f;
	float *add = f->lora_y + (size_t)p->index * (size_t)f->n_batch * CHUNK_ROWS;
	int rows = (int)(r1 - r0);
	p->k->gemm_dense[TRIT_DENSE_F32](add, CHUNK_ROWS, lora->b + r0 * (size_t)lora->rank,
	                                 p->h + (size_t)lora->slot * h_stride(f), (size_t)f->model->lora.most, rows,
	                                 n_inputs, lora->rank);
	for (size_t t = 0; t < (size_t)n_inputs; t++)
		p->k->add_scaled(y + t * ldy, add + t * CHUNK_ROWS, lora->scale, rows);
}

/* y[n_inputs, ldy] = rows [r0, r1) of a projection of the prepared input; y is where row r0 goes. */
static void linear_rows(const struct part *p, float *y, size_t ldy, const struct trit_linear *l, int n_inputs,
                        size_t r0, size_t r1)
{
	size_t cols = (size_t)l->cols;
	int rows = (int)(r1 - r0);
	if (l->quantised)
		p->k->gemm_int[l->layout](&(struct trit_gemm_int){
			.y = y, .ldy = ldy, .w = l->w + trit_layout_bytes(l->layout, r0, cols),
			.scale = l->scale + trit_scale_at(l->scaling, r0, cols), .scaling = l->scaling, .q = p->xq,
			.ldq = trit_q_padded(cols), .sum = p->sum, .step = p->step, .rows = rows, .tokens = n_inputs,
			.cols = l->cols
		});
	else
		p->k->gemm_dense[l->type](y, ldy, l->w + r0 * trit_dense_row_bytes(l->type, cols), p->xn, cols, rows, n_inputs,
		                          l->cols);
	for (size_t t = 0; l->bias && t < (size_t)n_inputs; t++)
		p->k->add(y + t * ldy, l->bias + r0, rows);
	if (l->lora)
		add_adapter(p, y, ldy, l->lora, n_inputs, r0, r1);
}

/* y[n_inputs, ldy] = projection of the prepared input. */
static void linear(struct part *p, float *y, size_t ldy, const struct trit_linear *l, int n_inputs)
{
	size_t r0, r1;
	begin_rows(p);
	while (next_rows(p, l, n_inputs, &r0, &r1))
		linear_rows(p, y + r0, ldy, l, n_inputs, r0, r1);
}

/* x += projection of the prepared input. */
static void linear_to_residual(struct part *p, const struct trit_linear *l)
{
	struct trit_forward *f = p->f;
	size_t r0, r1, d = (size_t)p->c->d_model;
	begin_rows(p);
	while (next_rows(p, l, f->n_tokens, &r0, &r1)) {
		linear_rows(p, f->y + r0, d, l, f->n_tokens, r0, r1);
		for (size_t t = 0; t < (size_t)f->n_tokens; t++)
			p->k->add(f->x + t * d + r0, f->y + t * d + r0, (int)(r1 - r0));
	}
}

/* x += norm of the projection of the prepared input. */
static void linear_normed_to_residual(struct part *p, const struct trit_linear *l, const struct trit_norm *norm)
{
	struct trit_forward *f = p->f;
	size_t t0, t1, d = (size_t)p->c->d_model;
	linear(p, f->y, d, l, f->n_tokens);
	barrier(p);
	trit_part((size_t)f->n_tokens, 1, p->index, p->n, &t0, &t1);
	for (size_t t = t0; t < t1; t++) {
		apply_norm(p, f->y + t * d, f->y + t * d, norm, p->c->d_model);
		p->k->add(f->x + t * d, f->y + t * d, p->c->d_model);
	}
}

/* What a half of a layer adds to the residual. */
static void to_residual(struct part *p, const struct trit_linear *l, const struct trit_norm *post_norm)
{
	if (post_norm->w)
		linear_normed_to_residual(p, l, post_norm);
	else
		linear_to_residual(p, l);
}

static trit_silu_mul_fn *activation_of(const struct part *p)
{
	switch (p->c->arch->activation) {
	case TRIT_ACT_RELU2:
		return p->k->relu2_mul;
	case TRIT_ACT_GELU:
		return p->k->gelu_mul;
	default:
		return p->k->silu_mul;
	}
}

/* out [n_inputs, ldo] = act(gate projection) * (up projection). With gate NULL the gate's projection is there. */
static void gated(struct part *p, float *out, size_t ldo, const struct trit_linear *gate, const struct trit_linear *up,
                  int n_inputs)
{
	struct trit_forward *f = p->f;
	trit_silu_mul_fn *activate = activation_of(p);
	size_t r0, r1, ldu = chunk_width(p->c);
	float *other = f->up + (size_t)p->index * (size_t)f->n_batch * ldu;
	begin_rows(p);
	while (next_rows(p, up, n_inputs, &r0, &r1)) {
		if (gate)
			linear_rows(p, out + r0, ldo, gate, n_inputs, r0, r1);
		linear_rows(p, other, ldu, up, n_inputs, r0, r1);
		for (size_t i = 0; i < (size_t)n_inputs; i++)
			activate(out + i * ldo + r0, out + i * ldo + r0, other + i * ldu, (int)(r1 - r0));
	}
}

/* The input of a projection that does not share the one before it: once all are through with that. */
static void prepare_next(struct part *p, const struct trit_linear *next, const struct trit_norm *norm)
{
	barrier(p);
	prepare(p, need_of(next, NULL, NULL), p->f->x, (size_t)p->c->d_model, norm);
}

/* Queries, keys and values. */
static void project_qkv(struct part *p, const struct trit_layer *layer)
{
	struct trit_forward *f = p->f;
	const struct trit_linear *q = &layer->q, *k = &layer->k, *v = &layer->v;
	size_t nq = trit_config_q_width(p->c), nkv = trit_config_kv_width(p->c), nqkv = nq + 2 * nkv;
	bool shared = !p->c->projection_norms;

	prepare(p, shared ? need_of(q, k, v) : need_of(q, NULL, NULL), f->x, (size_t)p->c->d_model, &layer->attn_norm);
	linear(p, f->qkv, nqkv, q, f->n_tokens);
	if (!shared)
		prepare_next(p, k, &layer->attn_norm);
	linear(p, f->qkv + nq, nqkv, k, f->n_tokens);
	if (!shared)
		prepare_next(p, v, &layer->attn_norm);
	linear(p, f->qkv + nq + nkv, nqkv, v, f->n_tokens);
}

/* The feed-forward half of a layer. */
static void feed_forward(struct part *p, const struct trit_layer *layer)
{
	struct trit_forward *f = p->f;
	const struct trit_linear *gate = &layer->gate, *up = &layer->up;
	size_t ff = (size_t)p->c->d_ff;
	bool shared = !p->c->projection_norms;

	prepare(p, shared ? need_of(gate, up, NULL) : need_of(gate, NULL, NULL), f->x, (size_t)p->c->d_model,
	        &layer->ffn_norm);
	if (!shared) {
		linear(p, f->gate, ff, gate, f->n_tokens);
		prepare_next(p, up, &layer->ffn_norm);
	}
	gated(p, f->gate, ff, shared ? gate : NULL, up, f->n_tokens);
	barrier(p);
	prepare(p, need_of(&layer->down, NULL, NULL), f->gate, ff, &layer->ffn_sub_norm);
	to_residual(p, &layer->down, &layer->ffn_post_norm);
}

/* ---- mixtures of experts ----------------------------------------------------------------------------------------- */

/* scores [T, rows] = a router's, of the prepared input. */
static void score(struct part *p, float *scores, const struct trit_norm *router, int rows)
{
	const struct trit_linear l = { .type = TRIT_DENSE_F32, .rows = rows, .cols = p->c->d_model,
		                       .w = (const unsigned char *)router->w };
	linear(p, scores, (size_t)rows, &l, p->f->n_tokens);
}

/* Chooses experts for this thread's tokens, and sorts the choices of all. A single token is every thread's own. */
static void choose_experts(struct part *p, struct trit_moe_slots *slots)
{
	struct trit_forward *f = p->f;
	const struct trit_moe_config *moe = &p->c->moe;
	size_t n_experts = (size_t)moe->n_experts, each = (size_t)trit_moe_slots(moe), T = (size_t)f->n_tokens;
	size_t own = T == 1 ? (size_t)p->index : 0, t0 = 0, t1 = 1;
	float *scores = f->scores;

	if (T > 1) {
		trit_part(T, 1, p->index, p->n, &t0, &t1);
	} else {
		scores += ((size_t)f->n_batch + own) * n_experts;
		memcpy(scores, f->scores, n_experts * sizeof *scores);
	}
	for (size_t t = t0; t < t1; t++)
		trit_moe_select(f->chosen + (own + t) * each, f->chosen_weights + (own + t) * each, scores + t * n_experts,
		                f->shared_scores[t], moe, p->k);
	if (T > 1)
		barrier(p);
	trit_moe_sort(slots, f->chosen + own * each, f->chosen_weights + own * each, f->n_tokens, moe);
}

/* From here on the prepared input is that of slots from `first` on. */
static void point_to_slots(struct part *p, int first)
{
	struct trit_forward *f = p->f;
	size_t slot = (size_t)first, w = slot_width(p->c);
	p->xn = f->slot_xn + slot * w;
	p->xq = f->slot_xq + slot * trit_q_padded(w);
	p->step = f->slot_step + slot;
	p->sum = f->slot_sum + slot;
}

/* The norm before an expert's down projection, if the model has one there. */
static struct trit_norm sub_norm_of(const struct trit_layer *layer, int expert, int n_experts)
{
	if (expert == n_experts)
		return layer->shared_sub_norm;
	size_t at = (size_t)expert * (size_t)layer->experts[expert].down.cols;
	return (struct trit_norm){ .w = layer->ffn_sub_norm.w ? layer->ffn_sub_norm.w + at : NULL };
}

/* Prepares this thread's share of slots for the projections of their experts: `down`, whose input is theirs, or gate
 * and up, whose input is their token's. */
static void prepare_slots(struct part *p, const struct trit_layer *layer, const struct trit_moe_slots *slots, bool down)
{
	struct trit_forward *f = p->f;
	int n_experts = p->c->moe.n_experts, n_slots = slots->first[trit_moe_experts(&p->c->moe)];
	size_t s0, s1, ff = trit_config_ff_width(p->c), d = (size_t)p->c->d_model;
	trit_part((size_t)n_slots, 1, p->index, p->n, &s0, &s1);
	for (int e = 0, s = (int)s0; s < (int)s1; s++) {
		while (s >= slots->first[e + 1])
			e++;
		const struct trit_expert *expert = &layer->experts[e];
		struct trit_norm norm = down ? sub_norm_of(layer, e, n_experts) : (struct trit_norm){ 0 };
		struct need need = down ? need_of(&expert->down, NULL, NULL) : need_of(&expert->gate, &expert->up, NULL);
		const float *x = down ? f->hidden + (size_t)s * ff : f->xn + (size_t)slots->token[s] * d;
		point_to_slots(p, slots->first[e]);
		prepare_row(p, need, s - slots->first[e], x, &norm);
	}
	barrier(p);
}

/* x += weight * down projection, expert after expert, for the rows of this thread. */
static void experts_to_residual(struct part *p, const struct trit_layer *layer, const struct trit_moe_slots *slots)
{
	struct trit_forward *f = p->f;
	size_t r0, r1, d = (size_t)p->c->d_model, ldy = chunk_width(p->c);
	float *y = f->up + (size_t)p->index * (size_t)f->n_batch * ldy;
	begin_rows(p);
	while (next_rows(p, &layer->experts[0].down, f->n_tokens, &r0, &r1))
		for (int e = 0; e < trit_moe_experts(&p->c->moe); e++) {
			int first = slots->first[e], n = slots->first[e + 1] - first;
			if (!n)
				continue;
			point_to_slots(p, first);
			linear_rows(p, y, ldy, &layer->experts[e].down, n, r0, r1);
			for (int i = 0; i < n; i++)
				p->k->add_scaled(f->x + (size_t)slots->token[first + i] * d + r0, y + (size_t)i * ldy,
				                 slots->weight[first + i], (int)(r1 - r0));
		}
}

/* The feed-forward half of a layer with experts: moe.h. */
static void feed_forward_experts(struct part *p, const struct trit_layer *layer)
{
	static const struct trit_norm none;
	struct trit_forward *f = p->f;
	const struct trit_moe_config *moe = &p->c->moe;
	struct trit_moe_slots *slots = &f->slots[p->index];
	size_t d = (size_t)p->c->d_model, ff = trit_config_ff_width(p->c);
	bool one = f->n_tokens == 1; /* its input is that of all its slots, and each thread has its own */

	prepare(p, (struct need){ .width = p->c->d_model, .numbers = true, .norm = &none }, f->x, d, &layer->ffn_norm);
	score(p, f->scores, &layer->router, moe->n_experts);
	if (moe->shared_gate)
		score(p, f->shared_scores, &layer->shared_router, 1);
	barrier(p);
	choose_experts(p, slots);
	if (one)
		prepare_row(p, need_of(&layer->experts[0].gate, &layer->experts[0].up, NULL), 0, p->xn, &none);
	else
		prepare_slots(p, layer, slots, false);
	for (int e = 0; e < trit_moe_experts(moe); e++) {
		int first = slots->first[e], n = slots->first[e + 1] - first;
		if (!n)
			continue;
		if (!one)
			point_to_slots(p, first);
		gated(p, f->hidden + (size_t)first * ff, ff, &layer->experts[e].gate, &layer->experts[e].up, n);
	}
	barrier(p);
	prepare_slots(p, layer, slots, true);
	experts_to_residual(p, layer, slots);
}

/* ---- embedding and head ------------------------------------------------------------------------------------------ */

/* x [D] = row of an embedding in integers; q: D bytes of scratch. */
static void embed_quantised(const struct part *p, float *x, int8_t *q, const struct trit_linear *e, size_t row)
{
	int width = e->scaling > TRIT_SCALE_ROW ? (int)e->scaling : e->cols; /* columns that share a scale */
	trit_unpack(e->layout, q, e->w, row, (size_t)e->cols);
	for (int c = 0; c < e->cols; c += width)
		p->k->dequant_i8(x + c, q + c, trit_scale_of(e->scale, e->scaling, row, (size_t)c, (size_t)e->cols),
		                 e->cols - c < width ? e->cols - c : width);
}

/* x = the token's row of the embedding, for this thread's tokens. */
static void embed(struct part *p)
{
	const struct trit_forward *f = p->f;
	const struct trit_linear *e = &f->model->token_embd;
	size_t d = (size_t)e->cols, t0, t1;
	trit_part((size_t)f->n_tokens, 1, p->index, p->n, &t0, &t1);
	for (size_t t = t0; t < t1; t++) {
		size_t row = (size_t)f->tokens[t].token;
		if (e->quantised)
			embed_quantised(p, f->x + t * d, f->xq + t * trit_q_padded(d), e, row);
		else if (e->stored)
			trit_ggml_decode_row(e->stored->id, e->w, d, row, f->x + t * d);
		else
			p->k->row_dense[e->type](f->x + t * d, e->w + row * trit_dense_row_bytes(e->type, d), e->cols);
		if (p->c->embedding_scale)
			p->k->scale(f->x + t * d, p->c->embedding_scale, e->cols);
	}
}

/* The final norm of this thread's share of the rows that are wanted. */
static void final_states(const struct part *p)
{
	const struct trit_forward *f = p->f;
	size_t d = (size_t)p->c->d_model, first, end;
	trit_part((size_t)f->n_rows, 1, p->index, p->n, &first, &end);
	for (size_t i = first; i < end; i++)
		apply_norm(p, f->states + i * d, f->x + (size_t)f->rows[i] * d, &f->model->output_norm, (int)d);
}

/* Final norm of the rows that want logits, then this thread's rows of the head. */
static void head(struct part *p)
{
	struct trit_forward *f = p->f;
	const struct trit_linear *out = &f->model->output;
	int first, end;
	take_inputs(p, f->n_rows, &first, &end);
	struct need need = need_of(out, NULL, NULL);
	for (int i = first; i < end; i++)
		prepare_row(p, need, i, f->x + (size_t)f->rows[i] * (size_t)p->c->d_model, &f->model->output_norm);
	if (f->n_rows > 1)
		barrier(p);
	size_t r0, r1, v = (size_t)out->rows;
	begin_rows(p);
	while (f->n_rows && next_rows(p, out, f->n_rows, &r0, &r1)) {
		linear_rows(p, f->logits + r0, v, out, f->n_rows, r0, r1);
		for (size_t i = 0; p->c->logit_softcap && i < (size_t)f->n_rows; i++)
			p->k->softcap(f->logits + i * v + r0, p->c->logit_softcap, (int)(r1 - r0));
	}
}

/* ---- the network ------------------------------------------------------------------------------------------------- */

static struct part part_of(struct trit_forward *f, int index, int n)
{
	return (struct part){ .f = f, .c = &f->model->config, .k = &f->model->kernels, .index = index, .n = n,
		              .epoch = f->epoch };
}

/* Keeps what attention saw of this thread's tokens. */
static void take(const struct part *p)
{
	const struct trit_forward *f = p->f;
	size_t width = trit_config_q_width(p->c) + 2 * trit_config_kv_width(p->c), t0, t1;
	trit_part((size_t)f->n_tokens, 1, p->index, p->n, &t0, &t1);
	memcpy(f->taken + t0 * width, f->qkv + t0 * width, (t1 - t0) * width * sizeof *f->taken);
}

static void layers(struct part *p)
{
	struct trit_forward *f = p->f;
	const struct trit_config *c = p->c;
	size_t nq = trit_config_q_width(c);

	embed(p);
	barrier(p);
	for (int l = 0; l < c->n_layers; l++) {
		const struct trit_layer *layer = &f->model->layers[l];

		project_qkv(p, layer);
		barrier(p);
		trit_attention_run(&f->attention, f->att, f->qkv, f->tokens, f->n_tokens, l, p->index, p->n);
		barrier(p);
		if (f->taken && l == f->taken_layer)
			take(p);
		prepare(p, need_of(&layer->o, NULL, NULL), f->att, nq, &layer->attn_sub_norm);
		to_residual(p, &layer->o, &layer->attn_post_norm);
		barrier(p);

		if (layer->experts)
			feed_forward_experts(p, layer);
		else
			feed_forward(p, layer);
		barrier(p);
	}
}

static void forward_thread(void *arg, int index, int n)
{
	struct trit_forward *f = arg;
	struct part part = part_of(f, index, n);

	layers(&part);
	if (f->headless)
		final_states(&part);
	else
		head(&part);
	if (index == 0)
		f->epoch = part.epoch; /* all threads have read it: there were barriers since */
}

void trit_forward_layers(struct trit_forward *f, int n, const struct trit_batch_token *tokens, int index, int threads)
{
	struct part part = part_of(f, index, threads);
	if (index == 0) {
		f->tokens = tokens;
		f->n_tokens = n;
	}
	barrier(&part);
	layers(&part);
	if (index == 0)
		f->epoch = part.epoch;
}

void trit_forward_head(struct trit_forward *f, int first, int n, int index, int threads)
{
	struct part part = part_of(f, index, threads);
	if (index == 0) {
		f->n_rows = n;
		for (int i = 0; i < n; i++)
			f->rows[i] = first + i;
	}
	barrier(&part);
	head(&part);
	if (index == 0)
		f->epoch = part.epoch;
}

void trit_forward_run(struct trit_forward *f, int n, const struct trit_batch_token *tokens)
{
	f->tokens = tokens;
	f->n_tokens = n;
	f->n_rows = 0;
	for (int t = 0; t < n; t++)
		if (tokens[t].want_logits)
			f->rows[f->n_rows++] = t;
	trit_pool_run(f->pool, forward_thread, f);
}
