/*
 * forward.c - one token from embedding to logits, top to bottom.
 *
 * Every thread runs forward_thread over the whole network; each step gives a thread its share of rows, tokens or heads,
 * and a barrier (`barrier`) stands wherever a step reads what other threads wrote. No sum is ever split.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/forward.h"

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Widest vector that a projection reads. */
static size_t widest(const struct trit_config *c)
{
	return max_size(max_size((size_t)c->d_model, (size_t)c->d_ff), (size_t)c->n_heads * (size_t)c->head_dim);
}

static void lay_out(struct trit_forward *f)
{
	const struct trit_config *c = &f->model->config;
	struct trit_arena *a = &f->arena;
	size_t t = (size_t)f->n_batch, d = (size_t)c->d_model, ff = (size_t)c->d_ff, w = widest(c);
	size_t q = (size_t)c->n_heads * (size_t)c->head_dim, kv = (size_t)c->n_kv_heads * (size_t)c->head_dim;

	trit_attention_lay_out(&f->attention, a);
	f->x = trit_arena_take(a, t * d, sizeof(float));
	f->xn = trit_arena_take(a, t * w, sizeof(float));
	f->qkv = trit_arena_take(a, t * (q + 2 * kv), sizeof(float));
	f->att = trit_arena_take(a, t * q, sizeof(float));
	f->gate = trit_arena_take(a, t * ff, sizeof(float));
	f->up = trit_arena_take(a, t * ff, sizeof(float));
	f->y = trit_arena_take(a, t * d, sizeof(float));
	f->xq = trit_arena_take(a, t * trit_q_padded(w), 1);
	f->step = trit_arena_take(a, t, sizeof(float));
	f->sum = trit_arena_take(a, t, sizeof(int32_t));
	f->rows = trit_arena_take(a, (size_t)f->n_logits, sizeof(int));
	f->logits = trit_arena_take(a, (size_t)f->n_logits * (size_t)c->n_vocab, sizeof(float));
}

int trit_forward_init(struct trit_forward *f, const struct trit_model *m, struct trit_pool *pool, int n_batch,
                      int n_logits, int n_ctx, struct trit_error *err)
{
	*f = (struct trit_forward){ .model = m, .pool = pool, .n_batch = n_batch, .n_logits = n_logits, .n_ctx = n_ctx };
	f->attention = (struct trit_attention){
		.config = &m->config, .kernels = &m->kernels, .pool = pool, .n_batch = n_batch, .n_ctx = n_ctx
	};
	lay_out(f);
	int e = trit_arena_alloc(&f->arena, "the forward pass", err);
	if (e)
		return e;
	lay_out(f);
	trit_attention_tables(&f->attention);
	return TRIT_OK;
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
	int index, n; /* this thread, of how many */
	int t0, t1;   /* its tokens in steps that are split by tokens */
};

static void barrier(const struct part *p)
{
	trit_pool_barrier(p->f->pool);
}

/* Makes the input of the projections that follow, for this thread's tokens: x [T, width] (rows ldx apart), normed by w
 * unless that is NULL, in xn; and where they are ternary its 8-bit form in xq. */
static void prepare(const struct part *p, const struct trit_linear *next, const float *x, size_t ldx, const float *w)
{
	struct trit_forward *f = p->f;
	int width = next->cols;
	size_t padded = trit_q_padded((size_t)width);
	for (int t = p->t0; t < p->t1; t++) {
		const float *in = x + (size_t)t * ldx;
		float *out = f->xn + (size_t)t * (size_t)width;
		if (w)
			p->k->rmsnorm(out, in, w, p->c->eps, width);
		else
			memcpy(out, in, (size_t)width * sizeof *out);
		if (next->quantised)
			p->k->act_quant(f->xq + (size_t)t * padded, &f->step[t], &f->sum[t], out, width, (int)padded);
	}
}

/* y[T, ldy] = projection of the prepared input, this thread's rows. */
static void linear(const struct part *p, float *y, size_t ldy, const struct trit_linear *l)
{
	const struct trit_forward *f = p->f;
	size_t r0, r1, cols = (size_t)l->cols;
	size_t grain = f->n_tokens < 12 ? TRIT_BLOCK_ROWS : TRIT_ROW_GRAIN;
	trit_part((size_t)l->rows, grain, p->index, p->n, &r0, &r1);
	if (r0 == r1)
		return;
	int rows = (int)(r1 - r0);
	if (l->quantised)
		p->k->gemm_int[l->layout](y + r0, ldy, l->w + trit_layout_bytes(l->layout, r0, cols),
		                          l->scale + trit_scale_at(l->scaling, r0, cols), l->scaling, f->xq,
		                          trit_q_padded(cols), f->sum, f->step, rows, f->n_tokens, l->cols);
	else
		p->k->gemm_dense[l->type](y + r0, ldy, l->w + r0 * trit_dense_row_bytes(l->type, cols), f->xn, cols, rows,
		                          f->n_tokens, l->cols);
}

/* x += y for this thread's tokens. */
static void add_residual(const struct part *p)
{
	size_t d = (size_t)p->c->d_model;
	if (p->t1 > p->t0)
		p->k->add(p->f->x + (size_t)p->t0 * d, p->f->y + (size_t)p->t0 * d, (p->t1 - p->t0) * p->c->d_model);
}

/* gate = act(gate) * up for this thread's tokens. */
static void activate(const struct part *p)
{
	size_t ff = (size_t)p->c->d_ff, at = (size_t)p->t0 * ff;
	int n = (p->t1 - p->t0) * p->c->d_ff;
	if (p->c->arch->activation == TRIT_ACT_RELU2)
		p->k->relu2_mul(p->f->gate + at, p->f->gate + at, p->f->up + at, n);
	else
		p->k->silu_mul(p->f->gate + at, p->f->gate + at, p->f->up + at, n);
}

/* Final norm of the rows that want logits (into xn, packed), then this thread's rows of the head. */
static void head(const struct part *p)
{
	struct trit_forward *f = p->f;
	const struct trit_linear *out = &f->model->output;
	size_t d = (size_t)p->c->d_model, r0, r1;
	for (int i = p->index; i < f->n_rows; i += p->n)
		p->k->rmsnorm(f->xn + (size_t)i * d, f->x + (size_t)f->rows[i] * d, f->model->output_norm, p->c->eps,
		              p->c->d_model);
	barrier(p);
	trit_part((size_t)out->rows, 16, p->index, p->n, &r0, &r1);
	if (r1 > r0 && f->n_rows)
		p->k->gemm_dense[out->type](f->logits + r0, (size_t)out->rows, out->w + r0 * trit_dense_row_bytes(out->type, d),
		                            f->xn, d, (int)(r1 - r0), f->n_rows, out->cols);
}

static void forward_thread(void *arg, int index, int n)
{
	struct trit_forward *f = arg;
	const struct trit_model *m = f->model;
	const struct trit_config *c = &m->config;
	struct part part = { f, c, &m->kernels, index, n, 0, 0 }, *p = &part;
	size_t t0, t1, d = (size_t)c->d_model, ff = (size_t)c->d_ff;
	size_t nq = (size_t)c->n_heads * (size_t)c->head_dim, nkv = (size_t)c->n_kv_heads * (size_t)c->head_dim;
	size_t nqkv = nq + 2 * nkv;
	trit_part((size_t)f->n_tokens, 1, index, n, &t0, &t1);
	p->t0 = (int)t0, p->t1 = (int)t1;

	for (int t = p->t0; t < p->t1; t++)
		p->k->row_dense[m->token_embd.type](
		    f->x + (size_t)t * d,
		    m->token_embd.w + (size_t)f->tokens[t].token * trit_dense_row_bytes(m->token_embd.type, d), c->d_model);

	for (int l = 0; l < c->n_layers; l++) {
		const struct trit_layer *layer = &m->layers[l];

		prepare(p, &layer->q, f->x, d, layer->attn_norm);
		barrier(p);
		linear(p, f->qkv, nqkv, &layer->q);
		linear(p, f->qkv + nq, nqkv, &layer->k);
		linear(p, f->qkv + nq + nkv, nqkv, &layer->v);
		barrier(p);
		trit_attention_run(&f->attention, f->att, f->qkv, f->tokens, f->n_tokens, l, index, n);
		barrier(p);
		prepare(p, &layer->o, f->att, nq, layer->attn_sub_norm);
		barrier(p);
		linear(p, f->y, d, &layer->o);
		barrier(p);
		add_residual(p);

		prepare(p, &layer->gate, f->x, d, layer->ffn_norm);
		barrier(p);
		linear(p, f->gate, ff, &layer->gate);
		linear(p, f->up, ff, &layer->up);
		barrier(p);
		activate(p);
		prepare(p, &layer->down, f->gate, ff, layer->ffn_sub_norm);
		barrier(p);
		linear(p, f->y, d, &layer->down);
		barrier(p);
		add_residual(p);
	}
	barrier(p);
	head(p);
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
