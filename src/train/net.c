/*
 * net.c - forward and backward pass of training, each on a page, in the order of model/forward.c.
 *
 * Steps are split by tokens (a thread's t0..t1), by weight rows, by columns of a norm, or by (sequence, head); a
 * barrier stands between a step and the next one that reads what other threads wrote.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/net.h"

#include <math.h>

#include "model/log_loss.h"
#include "train/self_attention.h"

struct part {
	struct trit_net *n;
	const struct trit_config *c;
	const struct trit_kernels *k;
	int index, threads; /* this thread, of how many */
	int t0, t1;         /* its tokens */
	float *scratch;     /* its scratch memory */
};

static void barrier(const struct part *p)
{
	trit_pool_barrier(p->n->pool);
}

/* ---- pieces, on this thread's tokens ----------------------------------------------------------------------------- */

/* How much the quantisers do in this pass: all in one that only measures. */
static float lambda_of(const struct part *p)
{
	return p->n->backward && p->n->kind != TRIT_WEIGHT_FULL ? p->n->lambda : 1;
}

/* Whether the backward products are bit_gradient.h's. */
static bool in_integers(const struct part *p)
{
	return p->n->gradient.codes && lambda_of(p) == 1;
}

static bool is_layer_norm(const struct part *p, const struct trit_net_norm *norm)
{
	return p->c->arch->norm == TRIT_NORM_LAYER && norm->w;
}

/* What the projections see of x, as fp32 in xn. */
static void expand_rows(const struct part *p, const struct trit_bit_input *in, const float *x,
                        const struct trit_net_norm *norm)
{
	size_t width = (size_t)in->width;
	float *row = p->scratch, lambda = lambda_of(p);
	if (!is_layer_norm(p, norm)) {
		trit_bit_input_expand(in, p->k, x, width, norm->w, p->c->eps, lambda, p->n->xn, p->n->ldn, p->t0, p->t1);
		return;
	}
	for (int t = p->t0; t < p->t1; t++) { /* rows 0 apart: each is the same memory */
		p->k->layernorm(row, x + (size_t)t * width, norm->w, norm->bias, p->c->eps, in->width);
		trit_bit_input_expand(in, p->k, row, 0, NULL, 0, lambda, p->n->xn, p->n->ldn, t, t + 1);
	}
}

/* The same for the backward pass: of the products, and of the norm. */
static void expand(const struct part *p, const struct trit_bit_input *in, const float *x,
                   const struct trit_net_norm *norm)
{
	if (in_integers(p))
		trit_bit_gradient_input(&p->n->gradient, p->k, in, p->index, p->t0, p->t1, p->n->tokens);
	else
		expand_rows(p, in, x, norm);
	if (is_layer_norm(p, norm))
		trit_layer_norm_centre(p->k, p->n->centred, in->r, x, (size_t)in->width, p->c->eps, p->t0, p->t1);
}

/* The input of the next projections: x, normed and quantised. */
static void input(const struct part *p, struct trit_bit_input *in, const float *x, const struct trit_net_norm *norm)
{
	size_t width = (size_t)in->width;
	float *row = p->scratch, *xn = p->n->kind == TRIT_WEIGHT_FULL ? p->n->xn : NULL;
	if (!is_layer_norm(p, norm))
		trit_bit_input_forward(in, p->k, x, width, norm->w, p->c->eps, xn, p->n->ldn, p->t0, p->t1);
	for (int t = p->t0; is_layer_norm(p, norm) && t < p->t1; t++) {
		p->k->layernorm(row, x + (size_t)t * width, norm->w, norm->bias, p->c->eps, in->width);
		trit_bit_input_forward(in, p->k, row, 0, NULL, 0, xn, p->n->ldn, t, t + 1);
	}
	if (lambda_of(p) < 1 || p->n->lora) /* adapters read what the product sees */
		expand_rows(p, in, x, norm);
}

static void linear(const struct part *p, const struct trit_bitlinear *b, float *y, size_t ldy,
                   const struct trit_bit_input *in)
{
	if (lambda_of(p) < 1)
		trit_bitlinear_forward_blended(b, p->k, y, ldy, p->n->xn, p->n->ldn, p->t0, p->t1, p->scratch);
	else
		trit_bitlinear_forward(b, p->k, y, ldy, in, p->n->xn, p->n->ldn, p->t0, p->t1, !p->n->backward,
		                       p->scratch);
	trit_bias_forward(p->k, y, ldy, b->bias, b->rows, p->t0, p->t1);
	if (b->lora)
		trit_lora_forward(b->lora, p->k, y, ldy, p->n->xn, p->n->ldn, p->t0, p->t1, !p->n->backward, p->scratch);
}

/* dx (=, +=) dy g T, `in` being the input of b. */
static void backward_x(const struct part *p, const struct trit_bitlinear *b, const struct trit_bit_input *in, float *dx,
                       const float *dy, size_t ldy, bool accumulate)
{
	if (in_integers(p))
		trit_bit_gradient_x(b, &p->n->gradient, p->k, dx, dy, ldy, in, accumulate, p->index, p->t0, p->t1, p->scratch);
	else
		trit_bitlinear_backward_x(b, p->k, dx, dy, ldy, accumulate, p->t0, p->t1, p->scratch);
	if (b->lora)
		trit_lora_backward_x(b->lora, p->k, dx, dy, ldy, p->t0, p->t1, p->scratch);
}

/* dw += dy^T (a q): this thread's rows, over all tokens. */
static void backward_w(const struct part *p, const struct trit_bitlinear *b, const struct trit_bit_input *in,
                       const float *dy, size_t ldy)
{
	size_t r0, r1;
	if (b->lora)
		trit_lora_backward_w(b->lora, p->k, dy, ldy, p->n->xn, p->n->ldn, p->n->tokens, p->index, p->threads,
		                     p->scratch);
	if (!b->dw)
		return;
	trit_part((size_t)b->rows, 16, p->index, p->threads, &r0, &r1);
	if (in_integers(p))
		trit_bit_gradient_w(b, &p->n->gradient, p->k, dy, ldy, in, p->n->tokens, (int)r0, (int)r1, p->scratch);
	else
		trit_bitlinear_backward_w(b, p->k, dy, ldy, p->n->xn, p->n->ldn, p->n->tokens, (int)r0, (int)r1, p->scratch);
	trit_bias_backward(b->dbias, dy, ldy, p->n->tokens, r0, r1);
}

/* Gradient of a norm's weights from that of its output dy: this thread's columns, over all tokens. */
static void norm_backward_w(const struct part *p, const struct trit_net_norm *norm, const float *x, const float *dy,
                            const float *r, size_t width)
{
	size_t c0, c1;
	if (!norm->dw)
		return;
	if (is_layer_norm(p, norm))
		x = p->n->centred;
	trit_part(width, 16, p->index, p->threads, &c0, &c1);
	if (c1 > c0)
		p->k->rmsnorm_backward_w(norm->dw + c0, x + c0, dy + c0, width, r, p->n->tokens, (int)(c1 - c0));
	trit_bias_backward(norm->dbias, dy, width, p->n->tokens, c0, c1);
}

/* dx += backward of the norm in front of `in` (or just dy where there is none). */
static void norm_backward_x(const struct part *p, const struct trit_net_norm *norm, float *dx, const float *x,
                            const float *dy, const float *r, size_t width)
{
	int n = (int)width;
	for (size_t t = (size_t)p->t0; t < (size_t)p->t1; t++) {
		if (is_layer_norm(p, norm)) {
			float *own = p->scratch;
			memset(own, 0, width * sizeof *own);
			p->k->rmsnorm_backward(own, p->n->centred + t * width, norm->w, dy + t * width, r[t], n);
			trit_centre(p->k, own, n);
			p->k->add(dx + t * width, own, n);
		} else if (norm->w) {
			p->k->rmsnorm_backward(dx + t * width, x + t * width, norm->w, dy + t * width, r[t], n);
		} else {
			p->k->add(dx + t * width, dy + t * width, n);
		}
	}
}

/* The norm of what goes to the residual, y [T, D] in place, if there is one; x and r are for the backward pass. */
static void post_norm(const struct part *p, const struct trit_net_norm *norm, float *y, float *x, float *r)
{
	size_t d = (size_t)p->c->d_model;
	for (size_t t = (size_t)p->t0; norm->w && t < (size_t)p->t1; t++) {
		memcpy(x + t * d, y + t * d, d * sizeof *x);
		r[t] = p->k->rmsnorm(y + t * d, x + t * d, norm->w, p->c->eps, p->c->d_model);
	}
}

/* The gradient of its input from dx, that of the residual: dx itself where there is no such norm. */
static const float *post_norm_backward(const struct part *p, const struct trit_net_norm *norm, const float *x,
                                       const float *r)
{
	struct trit_net *n = p->n;
	size_t d = (size_t)p->c->d_model;
	if (!norm->w)
		return n->dx;
	norm_backward_w(p, norm, x, n->dx, r, d);
	memset(n->dout + (size_t)p->t0 * d, 0, (size_t)(p->t1 - p->t0) * d * sizeof *n->dout);
	norm_backward_x(p, norm, n->dout, x, n->dx, r, d);
	return n->dout;
}

/* Zeroes this thread's tokens of x [T, width]. */
static void clear(const struct part *p, float *x, size_t width)
{
	memset(x + (size_t)p->t0 * width, 0, (size_t)(p->t1 - p->t0) * width * sizeof *x);
}

/* y = x + y on this thread's tokens. */
static void add_residual(const struct part *p, float *y, const float *x)
{
	size_t d = (size_t)p->c->d_model, at = (size_t)p->t0 * d;
	p->k->add(y + at, x + at, (p->t1 - p->t0) * p->c->d_model);
}

static void rotate(const struct part *p, const struct trit_net_layer *l, float *qkv, bool inverse)
{
	const struct trit_config *c = p->c;
	size_t nq = trit_config_q_width(c), ld = nq + 2 * trit_config_kv_width(c);
	for (int t = p->t0; t < p->t1; t++) {
		int position = t % p->n->seq_len - (p->n->starts ? p->n->starts[t] : 0);
		size_t at = (size_t)position * (size_t)(c->n_rot / 2);
		float *row = qkv + (size_t)t * ld;
		p->k->rope(row, l->cos + at, l->sin + at, c->n_heads, c->head_dim, c->n_rot, c->rope_half, inverse);
		p->k->rope(row + nq, l->cos + at, l->sin + at, c->n_kv_heads, c->head_dim, c->n_rot, c->rope_half, inverse);
	}
}

/* Gradients of this thread's columns of the norms of queries and keys. */
static void head_norms_backward_w(const struct part *p, const struct trit_net_layer *l)
{
	size_t c0, c1;
	trit_part((size_t)p->c->head_dim, 16, p->index, p->threads, &c0, &c1);
	trit_head_norms_backward_w(&l->head_norms, p->k, p->n->dqk, p->n->tokens, c0, c1);
}

static void activate(const struct part *p, float *h, const struct trit_net_layer *l)
{
	size_t at = (size_t)p->t0 * (size_t)p->c->d_ff;
	trit_activation_mul(p->k, p->c->arch->activation)(h + at, l->g + at, l->u + at, (p->t1 - p->t0) * p->c->d_ff);
}

/* l->g and l->u become their own gradients. */
static void activate_backward(const struct part *p, const struct trit_net_layer *l, const float *dh)
{
	size_t at = (size_t)p->t0 * (size_t)p->c->d_ff;
	int n = (p->t1 - p->t0) * p->c->d_ff;
	if (p->c->arch->activation == TRIT_ACT_GELU)
		trit_gelu_mul_backward(p->k, l->g + at, l->u + at, l->g + at, l->u + at, dh + at, n);
	else
		(p->c->arch->activation == TRIT_ACT_RELU2 ? p->k->relu2_mul_backward : p->k->silu_mul_backward)(
		    l->g + at, l->u + at, l->g + at, l->u + at, dh + at, n);
}

/* ---- attention, on this thread's (sequence, key/value head) pairs ------------------------------------------------ */

static void attention(const struct part *p, const struct trit_net_layer *l, bool backward)
{
	struct trit_net *n = p->n;
	const struct trit_config *c = p->c;
	size_t a = (size_t)c->head_dim, nq = trit_config_q_width(c), nkv = trit_config_kv_width(c), ld = nq + 2 * nkv;
	int group = c->n_heads / c->n_kv_heads, pairs = n->tokens / n->seq_len * c->n_kv_heads;
	for (int i = p->index; i < pairs; i += p->threads) {
		size_t t = (size_t)(i / c->n_kv_heads) * (size_t)n->seq_len, h = (size_t)(i % c->n_kv_heads);
		size_t q = t * ld + h * (size_t)group * a, k = t * ld + nq + h * a, v = k + nkv;
		size_t o = t * nq + h * (size_t)group * a, sum = t * (size_t)c->n_heads + h * (size_t)group;
		struct trit_self_attention at = { .positions = n->seq_len, .width = c->head_dim, .group = group,
			                     .scale = n->score_scale, .cap = c->attn_softcap, .window = l->window,
			                     .q = l->qkv + q, .k = l->qkv + k, .v = l->qkv + v, .ld = ld,
			                     .o = l->att + o, .log_sum = l->log_sum + sum, .ldo = nq, .lds = (size_t)c->n_heads,
			                     .starts = n->starts ? n->starts + t : NULL };
		if (backward)
			trit_self_attention_backward(&at, p->k, n->dqkv + q, n->dqkv + k, n->dqkv + v, n->datt + o, p->scratch);
		else
			trit_self_attention_forward(&at, p->k, p->scratch);
	}
}

/* ---- embedding, head and loss ------------------------------------------------------------------------------------ */

static void embed(const struct part *p, float *x)
{
	const struct trit_net *n = p->n;
	size_t d = (size_t)p->c->d_model, s = (size_t)n->seq_len;
	for (size_t t = (size_t)p->t0; t < (size_t)p->t1; t++) {
		memcpy(x + t * d, n->embd + (size_t)n->batch[t / s * (s + 1) + t % s] * d, d * sizeof *x);
		if (p->c->embedding_scale)
			p->k->scale(x + t * d, p->c->embedding_scale, p->c->d_model);
	}
}

/* d_embd[token] += dx, this thread's columns, tokens in order. */
static void embed_backward(const struct part *p)
{
	const struct trit_net *n = p->n;
	size_t d = (size_t)p->c->d_model, s = (size_t)n->seq_len, c0, c1;
	float scale = p->c->embedding_scale ? p->c->embedding_scale : 1;
	if (!n->d_embd)
		return;
	trit_part(d, 16, p->index, p->threads, &c0, &c1);
	for (size_t t = 0; c1 > c0 && t < (size_t)n->tokens; t++)
		p->k->add_scaled(n->d_embd + (size_t)n->batch[t / s * (s + 1) + t % s] * d + c0, n->dx + t * d + c0, scale,
		                 (int)(c1 - c0));
}

/* The weighted loss of token t; in a step its logits become their gradients. */
static double token_loss(const struct part *p, size_t t, float *logits)
{
	const struct trit_net *n = p->n;
	size_t s = (size_t)n->seq_len;
	float weight = n->weights ? n->weights[t] : 1;
	if (weight == 0) {
		memset(logits, 0, (size_t)p->c->n_vocab * sizeof *logits);
		return 0;
	}
	trit_token target = n->batch[t / s * (s + 1) + t % s + 1];
	float *capped = n->capped + (size_t)p->index * (size_t)p->c->n_vocab, cap = p->c->logit_softcap;
	if (cap)
		p->k->softcap(logits, cap, p->c->n_vocab);
	if (!n->backward)
		return (double)weight * trit_log_loss(p->k, logits, p->c->n_vocab, target);
	if (cap)
		memcpy(capped, logits, (size_t)p->c->n_vocab * sizeof *logits);
	if (n->teacher)
		trit_distill_keep(n->teacher, p->index, logits);
	float loss = p->k->cross_entropy(logits, target, weight * n->loss_scale, n->z_loss, p->c->n_vocab);
	if (n->teacher)
		trit_distill_add(n->teacher, p->index, (int)t, logits, weight, weight * n->loss_scale);
	if (cap)
		trit_softcap_backward(logits, capped, cap, p->c->n_vocab);
	return (double)(weight * loss);
}

static void final_norm(const struct part *p)
{
	struct trit_net *n = p->n;
	const struct trit_net_norm *norm = &n->output_norm;
	size_t d = (size_t)p->c->d_model;
	for (size_t t = (size_t)p->t0; t < (size_t)p->t1; t++) {
		if (is_layer_norm(p, norm))
			p->k->layernorm(n->xn + t * n->ldn, n->x + t * d, norm->w, norm->bias, p->c->eps, p->c->d_model);
		else
			n->r[t] = p->k->rmsnorm(n->xn + t * n->ldn, n->x + t * d, norm->w, p->c->eps, p->c->d_model);
	}
	if (is_layer_norm(p, norm))
		trit_layer_norm_centre(p->k, n->centred, n->r, n->x, d, p->c->eps, p->t0, p->t1);
}

/* From dn to dx. */
static void final_norm_backward(const struct part *p)
{
	struct trit_net *n = p->n;
	size_t d = (size_t)p->c->d_model;
	norm_backward_w(p, &n->output_norm, n->x, n->dn, n->r, d);
	clear(p, n->dx, d);
	norm_backward_x(p, &n->output_norm, n->dx, n->x, n->dn, n->r, d);
}

/* Whether nothing but a head of labels is trained, so that no gradient is wanted below it. */
static bool is_head_alone(const struct trit_net *n)
{
	return n->labels && n->frozen && !n->lora;
}

/* Final norm, logits, loss and, in the backward pass, their gradients, head_chunk tokens at a time: the T x V logits
 * are never stored. Leaves in dx the gradient of the last layer's output. In products threads share what is longer, so
 * that the other matrix, which each of them packs, is the smaller one. */
static void head_and_loss(const struct part *p)
{
	struct trit_net *n = p->n;
	const struct trit_config *c = p->c;
	size_t d = (size_t)c->d_model, v = (size_t)c->n_vocab, ldn = n->ldn, c0, c1, r0, r1;
	trit_part(v, 16, p->index, p->threads, &r0, &r1);
	final_norm(p);
	for (int chunk = 0; chunk < n->tokens; chunk += n->head_chunk) {
		int size = n->tokens - chunk < n->head_chunk ? n->tokens - chunk : n->head_chunk;
		barrier(p);
		trit_part((size_t)size, 1, p->index, p->threads, &c0, &c1);
		const float *xn = n->xn + (size_t)chunk * ldn;
		if (r1 > r0)
			trit_dense_forward(p->k, n->logits + r0, v, n->head + r0 * d, xn, ldn, (int)(r1 - r0), size, c->d_model,
			                   !n->backward, p->scratch);
		barrier(p);
		if (n->teacher) {
			trit_distill_head(n->teacher, chunk, size, p->index, p->threads);
			barrier(p);
		}
		for (size_t i = c0; i < c1; i++)
			n->losses[(size_t)chunk + i] = token_loss(p, (size_t)chunk + i, n->logits + i * v);
		if (!n->backward)
			continue;
		size_t s0 = 0, s1 = (size_t)size, d0 = 0, d1 = d;
		if (s1 > d)
			trit_part(s1, 1, p->index, p->threads, &s0, &s1);
		else
			trit_part(d, 16, p->index, p->threads, &d0, &d1);
		barrier(p);
		if (d1 > d0 && s1 > s0)
			p->k->gemm_f32(n->dn + ((size_t)chunk + s0) * d + d0, d, n->logits + s0 * v, v, 1, n->head + d0, d, 1,
			               (int)(s1 - s0), (int)(d1 - d0), c->n_vocab, false, p->scratch);
		if (r1 > r0 && n->d_head)
			p->k->gemm_f32(n->d_head + r0 * d, d, n->logits + r0, 1, v, xn, ldn, 1, (int)(r1 - r0), c->d_model, size,
			               true, p->scratch);
	}
	barrier(p);
	if (n->backward)
		final_norm_backward(p);
}

/* The same with a head of labels. */
static void labels_and_loss(const struct part *p)
{
	struct trit_net *n = p->n;
	float *dn = n->backward && !is_head_alone(n) ? n->dn : NULL;
	final_norm(p);
	if (dn)
		clear(p, dn, (size_t)p->c->d_model);
	barrier(p);
	trit_label_head_loss(n->labels, p->k, n->xn, n->ldn, dn, n->weights, n->loss_scale, p->index, p->threads);
	barrier(p);
	if (n->backward)
		trit_label_head_backward_w(n->labels, p->k, p->index, p->threads);
	if (dn)
		final_norm_backward(p);
}

/* ---- experts ----------------------------------------------------------------------------------------------------- */

static struct trit_experts_part experts_part(const struct part *p)
{
	struct trit_net *n = p->n;
	return (struct trit_experts_part){ .work = &n->experts, .k = p->k, .pool = n->pool, .index = p->index,
		                           .threads = p->threads, .tokens = n->tokens, .t0 = p->t0, .t1 = p->t1,
		                           .lambda = lambda_of(p), .loss_scale = n->loss_scale, .train = n->backward,
		                           .scratch = p->scratch };
}

/* xn = the normed input of the experts. */
static void experts_input(const struct part *p, const struct trit_net_layer *l)
{
	size_t d = (size_t)p->c->d_model;
	for (size_t t = (size_t)p->t0; t < (size_t)p->t1; t++)
		l->in_ffn.r[t] = p->k->rmsnorm(p->n->xn + t * p->n->ldn, l->mid + t * d, l->ffn_norm.w, p->c->eps,
		                               p->c->d_model);
}

static void experts_forward(const struct part *p, struct trit_net_layer *l, float *out, bool again)
{
	struct trit_experts_part part = experts_part(p);
	part.again = again;
	size_t d = (size_t)p->c->d_model, at = (size_t)p->t0 * d;
	experts_input(p, l);
	memcpy(out + at, l->mid + at, (size_t)(p->t1 - p->t0) * d * sizeof *out);
	trit_experts_forward(&part, &l->experts, out, p->n->xn, p->n->ldn);
}

/* dn = gradient of the normed input, from dx. */
static void experts_backward(const struct part *p, struct trit_net_layer *l)
{
	struct trit_experts_part part = experts_part(p);
	experts_input(p, l);
	barrier(p);
	trit_experts_backward(&part, &l->experts, p->n->dn, p->n->dx, p->n->xn, p->n->ldn);
}

/* ---- the network ------------------------------------------------------------------------------------------------- */

/* From l->x to out, the input of the next layer. again: out is there, and what the layer keeps is wanted. */
static void layer_forward(const struct part *p, struct trit_net_layer *l, float *out, bool again)
{
	struct trit_net *n = p->n;
	const struct trit_config *c = p->c;
	size_t d = (size_t)c->d_model, ff = (size_t)c->d_ff, nq = trit_config_q_width(c), nkv = trit_config_kv_width(c);
	size_t ld = nq + 2 * nkv;

	input(p, &l->in_qkv, l->x, &l->attn_norm);
	linear(p, &l->q, l->qkv, ld, &l->in_qkv);
	linear(p, &l->k, l->qkv + nq, ld, &l->in_qkv);
	linear(p, &l->v, l->qkv + nq + nkv, ld, &l->in_qkv);
	trit_head_norms_forward(&l->head_norms, p->k, l->qkv, p->t0, p->t1);
	rotate(p, l, l->qkv, false);
	barrier(p);
	attention(p, l, false);
	barrier(p);
	input(p, &l->in_o, l->att, &l->attn_sub_norm);
	linear(p, &l->o, l->mid, d, &l->in_o);
	post_norm(p, &l->attn_post_norm, l->mid, l->att_out, l->att_out_r);
	add_residual(p, l->mid, l->x);

	if (c->moe.n_experts) {
		experts_forward(p, l, out, again);
		return;
	}
	input(p, &l->in_ffn, l->mid, &l->ffn_norm);
	linear(p, &l->gate, l->g, ff, &l->in_ffn);
	linear(p, &l->up, l->u, ff, &l->in_ffn);
	activate(p, n->h, l);
	input(p, &l->in_down, n->h, &l->ffn_sub_norm);
	if (again && !l->ffn_post_norm.w)
		return;
	linear(p, &l->down, out, d, &l->in_down);
	post_norm(p, &l->ffn_post_norm, out, l->ffn_out, l->ffn_out_r);
	add_residual(p, out, l->mid);
}

static float *layer_output(const struct trit_net *n, int layer)
{
	return layer + 1 < n->config->n_layers ? n->layers[layer + 1].x : n->x;
}

static void forward(const struct part *p)
{
	struct trit_net *n = p->n;
	embed(p, n->layers[0].x);
	for (int i = 0; i < n->config->n_layers; i++)
		layer_forward(p, &n->layers[i], layer_output(n, i), false);
}

/* From dx, the gradient of the feed-forward half's output, to dn, that of its normed input. */
static void ffn_backward(const struct part *p, struct trit_net_layer *l)
{
	struct trit_net *n = p->n;
	size_t d = (size_t)p->c->d_model, ff = (size_t)p->c->d_ff;
	const float *dy; /* of what the half of a layer adds to the residual, before its norm */

	/* down and its norm: dn = gradient of the normed activation, dh = of the activation */
	dy = post_norm_backward(p, &l->ffn_post_norm, l->ffn_out, l->ffn_out_r);
	activate(p, n->h, l);
	expand(p, &l->in_down, n->h, &l->ffn_sub_norm);
	backward_x(p, &l->down, &l->in_down, n->dn, dy, d, false);
	barrier(p);
	backward_w(p, &l->down, &l->in_down, dy, d);
	norm_backward_w(p, &l->ffn_sub_norm, n->h, n->dn, l->in_down.r, ff);
	clear(p, n->dh, ff);
	norm_backward_x(p, &l->ffn_sub_norm, n->dh, n->h, n->dn, l->in_down.r, ff);
	activate_backward(p, l, n->dh);
	barrier(p);

	/* gate, up and their norm */
	expand(p, &l->in_ffn, l->mid, &l->ffn_norm);
	backward_x(p, &l->gate, &l->in_ffn, n->dn, l->g, ff, false);
	backward_x(p, &l->up, &l->in_ffn, n->dn, l->u, ff, true);
	barrier(p);
	backward_w(p, &l->gate, &l->in_ffn, l->g, ff);
	backward_w(p, &l->up, &l->in_ffn, l->u, ff);
}

/* From dx, the gradient of layer l's output, to that of its input, adding the gradients of its weights. */
static void layer_backward(const struct part *p, struct trit_net_layer *l)
{
	struct trit_net *n = p->n;
	const struct trit_config *c = p->c;
	size_t d = (size_t)c->d_model, nq = trit_config_q_width(c), nkv = trit_config_kv_width(c);
	size_t ld = nq + 2 * nkv;
	const float *dy; /* of what the half of a layer adds to the residual, before its norm */

	if (c->moe.n_experts)
		experts_backward(p, l);
	else
		ffn_backward(p, l);
	norm_backward_w(p, &l->ffn_norm, l->mid, n->dn, l->in_ffn.r, d);
	norm_backward_x(p, &l->ffn_norm, n->dx, l->mid, n->dn, l->in_ffn.r, d);
	barrier(p);

	/* attention's output projection and its norm */
	dy = post_norm_backward(p, &l->attn_post_norm, l->att_out, l->att_out_r);
	expand(p, &l->in_o, l->att, &l->attn_sub_norm);
	backward_x(p, &l->o, &l->in_o, n->dn, dy, d, false);
	barrier(p);
	backward_w(p, &l->o, &l->in_o, dy, d);
	norm_backward_w(p, &l->attn_sub_norm, l->att, n->dn, l->in_o.r, nq);
	clear(p, n->datt, nq);
	norm_backward_x(p, &l->attn_sub_norm, n->datt, l->att, n->dn, l->in_o.r, nq);
	barrier(p);
	attention(p, l, true);
	barrier(p);
	if (n->teacher && n->teacher->options.relation && l == &n->layers[n->teacher->options.layer]) {
		trit_distill_relate(n->teacher, l->qkv, n->dqkv, n->loss_scale, p->index, p->threads);
		barrier(p);
	}

	/* queries, keys, values and their norm */
	rotate(p, l, n->dqkv, true);
	trit_head_norms_backward_x(&l->head_norms, p->k, n->dqkv, n->dqk, p->t0, p->t1);
	expand(p, &l->in_qkv, l->x, &l->attn_norm);
	backward_x(p, &l->q, &l->in_qkv, n->dn, n->dqkv, ld, false);
	backward_x(p, &l->k, &l->in_qkv, n->dn, n->dqkv + nq, ld, true);
	backward_x(p, &l->v, &l->in_qkv, n->dn, n->dqkv + nq + nkv, ld, true);
	barrier(p);
	backward_w(p, &l->q, &l->in_qkv, n->dqkv, ld);
	backward_w(p, &l->k, &l->in_qkv, n->dqkv + nq, ld);
	backward_w(p, &l->v, &l->in_qkv, n->dqkv + nq + nkv, ld);
	head_norms_backward_w(p, l);
	norm_backward_w(p, &l->attn_norm, l->x, n->dn, l->in_qkv.r, d);
	norm_backward_x(p, &l->attn_norm, n->dx, l->x, n->dn, l->in_qkv.r, d);
}

/* After a barrier: the gradients of a layer and of all above are complete. */
static void tell_ready(const struct part *p, int layer)
{
	if (p->index == 0 && p->n->ready)
		p->n->ready(p->n->ready_arg, layer < p->c->n_layers ? layer : TRIT_MAX_LAYERS);
}

static void pass_thread(void *arg, int index, int threads)
{
	struct trit_net *n = arg;
	size_t t0, t1;
	trit_part((size_t)n->tokens, 1, index, threads, &t0, &t1);
	const struct trit_kernels *k = n->backward && n->options.steps ? n->options.steps : n->kernels;
	struct part part = { n, n->config, k, index, threads, (int)t0, (int)t1,
		             n->scratch + (size_t)index * n->thread_scratch };
	if (n->teacher) {
		trit_distill_layers(n->teacher, index, threads);
		barrier(&part);
	}
	forward(&part);
	if (n->labels)
		labels_and_loss(&part);
	else
		head_and_loss(&part);
	if (!n->backward || is_head_alone(n))
		return;
	for (int i = n->config->n_layers - 1; i >= 0; i--) {
		barrier(&part);
		tell_ready(&part, i + 1);
		if (n->options.recompute && i + 1 < n->config->n_layers) { /* what the last one keeps is there yet */
			layer_forward(&part, &n->layers[i], layer_output(n, i), true);
			barrier(&part);
		}
		layer_backward(&part, &n->layers[i]);
	}
	barrier(&part);
	tell_ready(&part, 0);
	embed_backward(&part);
}

static double pass(struct trit_net *net, int n, const trit_token *batch, const float *weights, bool backward,
                   float loss_scale)
{
	double sum = 0;
	net->tokens = n * net->seq_len;
	net->batch = batch;
	net->weights = weights;
	net->backward = backward;
	net->loss_scale = loss_scale;
	net->teacher = backward ? net->distill : NULL;
	if (net->teacher)
		trit_distill_begin(net->teacher, n, batch, weights);
	if (net->labels)
		trit_label_head_begin(net->labels, n, net->seq_len, batch, weights, net->starts);
	trit_pool_run(net->pool, pass_thread, net);
	if (net->labels)
		return trit_label_head_end(net->labels, weights, !backward);
	if (net->teacher)
		trit_distill_end(net->teacher);
	for (int t = 0; t < net->tokens; t++)
		sum += net->losses[t];
	return sum;
}

double trit_net_loss(struct trit_net *net, int n, const trit_token *batch, const float *weights)
{
	return pass(net, n, batch, weights, false, 1.0f);
}

double trit_net_step(struct trit_net *net, int n, const trit_token *batch, const float *weights, float loss_scale)
{
	return pass(net, n, batch, weights, true, loss_scale);
}

/* Projection j of a layer, in the order of the table of tensors; NULL beyond the last. */
static struct trit_bitlinear *linear_at(const struct trit_net *n, int layer, int j)
{
	struct trit_net_layer *l = &n->layers[layer];
	struct trit_bitlinear *dense[TRIT_NET_LINEARS] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
	int expert = (j - 4) / 3;
	if (j < 4 || !n->config->moe.n_experts)
		return j < TRIT_NET_LINEARS ? dense[j] : NULL;
	if (expert >= trit_moe_experts(&n->config->moe))
		return NULL;
	struct trit_expert_weights *e = &l->experts.list[expert];
	return (j - 4) % 3 == 0 ? &e->gate : (j - 4) % 3 == 1 ? &e->up : &e->down;
}

static void quantise_thread(void *arg, int index, int threads)
{
	struct trit_net *n = arg;
	struct trit_bitlinear *b;
	for (int i = 0, count = 0; i < n->config->n_layers; i++)
		for (int j = 0; (b = linear_at(n, i, j)); j++) {
			if (count++ % threads != index)
				continue;
			trit_bitlinear_quantise(b, n->kernels, n->codes + (size_t)index * n->codes_stride);
			if (n->lambda < 1)
				trit_bitlinear_blend(b, n->lambda);
		}
}

void trit_net_adapt(struct trit_net *net, const struct trit_lora *lora)
{
	net->lora = lora;
	for (int i = 0; i < net->config->n_layers; i++) {
		for (int j = 0; j < TRIT_NET_LINEARS; j++) {
			const struct trit_lora_linear *l = &lora->linears[i * TRIT_NET_LINEARS + j];
			linear_at(net, i, j)->lora = l->rank ? l : NULL;
		}
	}
}

void trit_net_quantise(struct trit_net *net)
{
	const struct trit_param *divisors = trit_params_find(net->params, TRIT_TENSOR_ROPE_FREQS, 0);
	if (divisors && !net->tables_done)
		trit_net_tables(net, net->params->w + divisors->offset);
	if (net->kind != TRIT_WEIGHT_FULL && !(net->frozen && net->quantised))
		trit_pool_run(net->pool, quantise_thread, net);
	net->quantised = true;
}

void trit_net_shares(const struct trit_net *net, double share[3])
{
	const struct trit_bitlinear *b;
	double counts[3] = { 0 }, all = 0;
	for (int i = 0; i < net->config->n_layers; i++)
		for (int j = 0; (b = linear_at(net, i, j)); j++)
			for (int c = 0; c < 3; c++)
				counts[c] += (double)b->counts[c];
	all = counts[0] + counts[1] + counts[2];
	for (int c = 0; c < 3; c++)
		share[c] = all > 0 ? counts[c] / all : 0;
}

double trit_net_flips(const struct trit_net *net)
{
	const struct trit_bitlinear *b;
	double flips = 0, all = 0;
	for (int i = 0; i < net->config->n_layers && net->kind != TRIT_WEIGHT_FULL; i++)
		for (int j = 0; (b = linear_at(net, i, j)); j++) {
			flips += (double)b->flips;
			all += (double)b->rows * (double)b->cols;
		}
	return all > 0 ? flips / all : 0;
}

float trit_net_largest(const struct trit_net *net, int layer)
{
	const float *x = layer < net->config->n_layers ? net->layers[layer].x : net->x;
	size_t n = (size_t)net->tokens * (size_t)net->config->d_model;
	float most = 0;
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(x[i]))
			return (float)INFINITY;
		most = fmaxf(most, fabsf(x[i]));
	}
	return most;
}

void trit_net_scales(const struct trit_net *net, float *scales)
{
	const struct trit_bitlinear *b;
	for (int i = 0; i < net->config->n_layers; i++, scales += TRIT_NET_LINEARS) {
		double sums[TRIT_NET_LINEARS] = { 0 }, n = 0;
		for (int j = 0; (b = linear_at(net, i, j)); j++, n = (j - 4) / 3)
			sums[j < TRIT_NET_LINEARS ? j : 4 + (j - 4) % 3] += (double)trit_bitlinear_mean_scale(b);
		for (int j = 0; j < TRIT_NET_LINEARS; j++)
			scales[j] = (float)(sums[j] / (j < 4 ? 1 : n));
	}
}

void trit_net_loads(struct trit_net *net, float *loads)
{
	int n = net->config->moe.n_experts;
	for (int i = 0; i < net->config->n_layers; i++) {
		uint64_t *load = net->layers[i].experts.load, all = 0;
		for (int e = 0; e < n; e++)
			all += load[e];
		for (int e = 0; e < n; e++) {
			loads[i * n + e] = all ? (float)((double)load[e] / (double)all) : 0;
			load[e] = 0;
		}
	}
}
