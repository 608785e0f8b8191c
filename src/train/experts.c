/*
 * experts.c - forward and backward pass of a layer's experts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/experts.h"

#include "base/fmath.h"

static void barrier(const struct trit_experts_part *p)
{
	trit_pool_barrier(p->pool);
}

static int count_slots(const struct trit_experts_part *p, const struct trit_experts *e)
{
	return e->slots.first[trit_moe_experts(p->work->moe)];
}

/* This thread's slots, expert by expert: those of *expert from *a to *b. Begin with *expert = -1. */
static bool next_slots(const struct trit_experts_part *p, const struct trit_experts *e, int *expert, int *a, int *b)
{
	size_t s0, s1;
	trit_part((size_t)count_slots(p, e), 1, p->index, p->threads, &s0, &s1);
	while (++*expert < trit_moe_experts(p->work->moe)) {
		*a = e->slots.first[*expert] > (int)s0 ? e->slots.first[*expert] : (int)s0;
		*b = e->slots.first[*expert + 1] < (int)s1 ? e->slots.first[*expert + 1] : (int)s1;
		if (*a < *b)
			return true;
	}
	return false;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* Probabilities and choices of this thread's tokens: the same bits as in model/forward.c. */
static void choose(const struct trit_experts_part *p, struct trit_experts *e, const float *x, size_t ldx)
{
	const struct trit_moe_config *moe = p->work->moe;
	size_t n = (size_t)moe->n_experts, each = (size_t)trit_moe_slots(moe);
	float *scores = p->work->ds;
	for (size_t t = (size_t)p->t0; t < (size_t)p->t1; t++) {
		float max;
		p->k->gemm_dense[TRIT_DENSE_F32](scores + t * n, n, e->router, x + t * ldx, ldx, moe->n_experts, 1, p->work->d);
		memcpy(e->p + t * n, scores + t * n, n * sizeof *scores);
		e->log_z[t] = (float)trit_ln((double)p->k->sum_exp(&max, scores + t * n, moe->n_experts)) + max;
		p->k->softmax(e->p + t * n, moe->n_experts);
		trit_moe_select(e->chosen + t * each, e->weights + t * each, scores + t * n, 0, moe, p->k);
	}
}

/* Sorts the choices; one thread. */
static void sort(const struct trit_experts_part *p, struct trit_experts *e)
{
	const struct trit_moe_config *moe = p->work->moe;
	int each = trit_moe_slots(moe);
	trit_moe_sort(&e->slots, e->chosen, e->weights, p->tokens, moe);
	memset(p->work->seen, 0, (size_t)p->tokens * sizeof *p->work->seen);
	for (int s = 0; s < count_slots(p, e); s++) { /* a token's slots come in the order of its choices */
		int t = e->slots.token[s];
		e->slot_of[t * each + p->work->seen[t]++] = s;
	}
	for (int i = 0; i < moe->n_experts && p->train && !p->again; i++)
		e->load[i] += (uint64_t)(e->slots.first[i + 1] - e->slots.first[i]);
}

/* Rows of xd: what gate and up see of slots a..b. */
static void expand_inputs(const struct trit_experts_part *p, const struct trit_experts *e, const float *x, size_t ldx,
                          int a, int b)
{
	const struct trit_experts_work *w = p->work;
	size_t padded = trit_q_padded((size_t)w->d);
	for (size_t s = (size_t)a; s < (size_t)b; s++) {
		const float *row = x + (size_t)e->slots.token[s] * ldx;
		float *out = w->xd + s * w->ld;
		if (e->in.q && p->lambda == 1) {
			p->k->dequant_i8(out, e->in.q + s * padded, e->in.step[s], w->d);
			continue;
		}
		memcpy(out, row, (size_t)w->d * sizeof *out);
		for (int i = 0; e->in.q && i < w->d; i++)
			out[i] += p->lambda * (e->in.step[s] * (float)e->in.q[s * padded + (size_t)i] - out[i]);
	}
}

static void linear(const struct trit_experts_part *p, const struct trit_bitlinear *b, float *y, size_t ldy,
                   const struct trit_bit_input *in, int s0, int s1)
{
	if (p->lambda < 1)
		trit_bitlinear_forward_blended(b, p->k, y, ldy, p->work->xd, p->work->ld, s0, s1, p->scratch);
	else
		trit_bitlinear_forward(b, p->k, y, ldy, in, p->work->xd, p->work->ld, s0, s1, !p->train, p->scratch);
}

/* h = activation of slots a..b. */
static void activate(const struct trit_experts_part *p, const struct trit_experts *e, int a, int b)
{
	const struct trit_experts_work *w = p->work;
	size_t at = (size_t)a * (size_t)w->f;
	(w->relu2 ? p->k->relu2_mul : p->k->silu_mul)(w->h + at, e->g + at, e->u + at, (b - a) * w->f);
}

static void compute(const struct trit_experts_part *p, struct trit_experts *e, const float *x, size_t ldx, int expert,
                    int a, int b)
{
	const struct trit_experts_work *w = p->work;
	const struct trit_expert_weights *own = &e->list[expert];
	size_t padded = trit_q_padded((size_t)w->d), d = (size_t)w->d, f = (size_t)w->f;
	for (size_t s = (size_t)a; e->in.q && s < (size_t)b; s++)
		p->k->act_quant(e->in.q + s * padded, &e->in.step[s], &e->in.sum[s], x + (size_t)e->slots.token[s] * ldx, w->d,
		                (int)padded);
	if (!e->in.q || p->lambda < 1)
		expand_inputs(p, e, x, ldx, a, b);
	linear(p, &own->gate, e->g, f, &e->in, a, b);
	linear(p, &own->up, e->u, f, &e->in, a, b);
	activate(p, e, a, b);
	trit_bit_input_forward(&e->in_down, p->k, w->h, f, own->sub_norm, w->eps, e->in.q ? NULL : w->xd, w->ld, a, b);
	if (p->lambda < 1)
		trit_bit_input_expand(&e->in_down, p->k, w->h, f, own->sub_norm, w->eps, p->lambda, w->xd, w->ld, a, b);
	linear(p, &own->down, e->y, d, &e->in_down, a, b);
}

void trit_experts_forward(const struct trit_experts_part *p, struct trit_experts *e, float *out, const float *x,
                          size_t ldx)
{
	size_t d = (size_t)p->work->d, each = (size_t)trit_moe_slots(p->work->moe);
	int a, b;
	choose(p, e, x, ldx);
	barrier(p);
	if (p->index == 0)
		sort(p, e);
	barrier(p);
	for (int expert = -1; next_slots(p, e, &expert, &a, &b);)
		compute(p, e, x, ldx, expert, a, b);
	barrier(p);
	for (size_t t = (size_t)p->t0; t < (size_t)p->t1; t++)
		for (size_t i = t * each; i < (t + 1) * each; i++)
			p->k->add_scaled(out + t * d, e->y + (size_t)e->slot_of[i] * d, e->weights[i], p->work->d);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* Of slots a..b: gradients of weights and of outputs; dn = those of the inputs of down. */
static void down_backward(const struct trit_experts_part *p, struct trit_experts *e, const float *dout, int expert,
                          int a, int b)
{
	const struct trit_experts_work *w = p->work;
	const struct trit_expert_weights *own = &e->list[expert];
	size_t d = (size_t)w->d, f = (size_t)w->f;
	for (size_t s = (size_t)a; s < (size_t)b; s++) {
		const float *dt = dout + (size_t)e->slots.token[s] * d;
		p->k->gemm_dense[TRIT_DENSE_F32](&w->dw[s], 1, e->y + s * d, dt, d, 1, 1, w->d);
		for (size_t i = 0; i < d; i++)
			w->dy[s * d + i] = e->slots.weight[s] * dt[i];
	}
	activate(p, e, a, b);
	trit_bit_input_expand(&e->in_down, p->k, w->h, f, own->sub_norm, w->eps, p->lambda, w->xd, w->ld, a, b);
	trit_bitlinear_backward_x(&own->down, p->k, w->dn, w->dy, d, false, a, b, p->scratch);
}

/* g and u of slots a..b become their own gradients, from dn. */
static void activation_backward(const struct trit_experts_part *p, struct trit_experts *e, int expert, int a, int b)
{
	const struct trit_experts_work *w = p->work;
	const float *norm = e->list[expert].sub_norm;
	size_t f = (size_t)w->f, at = (size_t)a * f;
	memset(w->dh + at, 0, (size_t)(b - a) * f * sizeof *w->dh);
	for (size_t s = (size_t)a; s < (size_t)b; s++) {
		if (norm)
			p->k->rmsnorm_backward(w->dh + s * f, w->h + s * f, norm, w->dn + s * f, e->in_down.r[s], w->f);
		else
			p->k->add(w->dh + s * f, w->dn + s * f, w->f);
	}
	(w->relu2 ? p->k->relu2_mul_backward : p->k->silu_mul_backward)(e->g + at, e->u + at, e->g + at, e->u + at,
	                                                               w->dh + at, (b - a) * w->f);
}

/* dw += dy^T xd over the expert's slots, this thread's rows. */
static void backward_w(const struct trit_experts_part *p, const struct trit_experts *e, const struct trit_bitlinear *b,
                       int expert, const float *dy, size_t ldy)
{
	size_t r0, r1, first = (size_t)e->slots.first[expert];
	int n = e->slots.first[expert + 1] - (int)first;
	trit_part((size_t)b->rows, 16, p->index, p->threads, &r0, &r1);
	if (n > 0)
		trit_bitlinear_backward_w(b, p->k, dy + first * ldy, ldy, p->work->xd + first * p->work->ld, p->work->ld, n,
		                          (int)r0, (int)r1, p->scratch);
}

static void down_backward_w(const struct trit_experts_part *p, const struct trit_experts *e, int expert)
{
	const struct trit_experts_work *w = p->work;
	size_t c0, c1, first = (size_t)e->slots.first[expert], f = (size_t)w->f;
	int n = e->slots.first[expert + 1] - (int)first;
	backward_w(p, e, &e->list[expert].down, expert, w->dy, (size_t)w->d);
	trit_part(f, 16, p->index, p->threads, &c0, &c1);
	if (e->list[expert].sub_norm && c1 > c0 && n > 0)
		p->k->rmsnorm_backward_w(e->list[expert].d_sub_norm + c0, w->h + first * f + c0, w->dn + first * f + c0, f,
		                         e->in_down.r + first, n, (int)(c1 - c0));
}

/* Gradients of token t's scores. */
static void score_backward(const struct trit_experts_part *p, const struct trit_experts *e, size_t t)
{
	const struct trit_experts_work *w = p->work;
	const struct trit_moe_config *moe = w->moe;
	size_t n = (size_t)moe->n_experts, each = (size_t)trit_moe_slots(moe);
	const int *chosen = e->chosen + t * each, *slots = e->slot_of + t * each;
	const float *prob = e->p + t * n;
	float *ds = w->ds + t * n, mean = 0, sum = 0, choices = (float)p->tokens * (float)moe->n_used;
	for (size_t i = 0; i < n; i++) {
		float share = (float)(e->slots.first[i + 1] - e->slots.first[i]) / choices;
		ds[i] = p->loss_scale * w->balance * (float)n * share;
	}
	for (int j = 0; j < moe->n_used; j++) {
		mean += w->dw[slots[j]] * e->weights[t * each + (size_t)j] / moe->scale;
		sum += prob[chosen[j]];
	}
	for (int j = 0; j < moe->n_used; j++) /* w_j = p_j / sum: dw_j / dp_i = ([i = j] - w_j) / sum */
		ds[chosen[j]] += moe->scale * (moe->norm ? (w->dw[slots[j]] - mean) / sum : w->dw[slots[j]]);
	p->k->softmax_backward(ds, prob, 1, moe->n_experts);
	for (size_t i = 0; i < n; i++)
		ds[i] += p->loss_scale * 2 * w->z_loss * e->log_z[t] * prob[i];
}

static void token_backward(const struct trit_experts_part *p, const struct trit_experts *e, float *dx)
{
	const struct trit_experts_work *w = p->work;
	size_t d = (size_t)w->d, n = (size_t)w->moe->n_experts, each = (size_t)trit_moe_slots(w->moe), t0 = (size_t)p->t0;
	for (size_t t = t0; t < (size_t)p->t1; t++) {
		score_backward(p, e, t);
		memset(dx + t * d, 0, d * sizeof *dx);
		for (size_t i = t * each; i < (t + 1) * each; i++)
			p->k->add(dx + t * d, w->dn + (size_t)e->slot_of[i] * d, w->d);
	}
	if (p->t1 > p->t0)
		p->k->gemm_f32(dx + t0 * d, d, w->ds + t0 * n, n, 1, e->router, d, 1, p->t1 - p->t0, w->d, w->moe->n_experts,
		               true, p->scratch);
}

void trit_experts_backward(const struct trit_experts_part *p, struct trit_experts *e, float *dx, const float *dout,
                           const float *x, size_t ldx)
{
	const struct trit_experts_work *w = p->work;
	int n_experts = trit_moe_experts(w->moe), a, b;
	size_t d = (size_t)w->d, f = (size_t)w->f, r0, r1;

	for (int i = -1; next_slots(p, e, &i, &a, &b);)
		down_backward(p, e, dout, i, a, b);
	barrier(p);
	for (int i = 0; i < n_experts; i++)
		down_backward_w(p, e, i);
	for (int i = -1; next_slots(p, e, &i, &a, &b);)
		activation_backward(p, e, i, a, b);
	barrier(p); /* xd and dn have been read */
	for (int i = -1; next_slots(p, e, &i, &a, &b);) {
		expand_inputs(p, e, x, ldx, a, b);
		trit_bitlinear_backward_x(&e->list[i].gate, p->k, w->dn, e->g, f, false, a, b, p->scratch);
		trit_bitlinear_backward_x(&e->list[i].up, p->k, w->dn, e->u, f, true, a, b, p->scratch);
	}
	barrier(p);
	for (int i = 0; i < n_experts; i++) {
		backward_w(p, e, &e->list[i].gate, i, e->g, f);
		backward_w(p, e, &e->list[i].up, i, e->u, f);
	}
	token_backward(p, e, dx);
	barrier(p);
	trit_part((size_t)w->moe->n_experts, 1, p->index, p->threads, &r0, &r1);
	if (r1 > r0)
		p->k->gemm_f32(e->d_router + r0 * d, d, w->ds + r0, 1, (size_t)w->moe->n_experts, x, ldx, 1, (int)(r1 - r0),
		               w->d, p->tokens, true, p->scratch);
}
