/*
 * test_net.c - the network in training against an independent forward pass in double precision.
 *
 * The reference below follows the formulas (docs/training.md) with plain loops and shares no code with src/train or the
 * kernels. Its quantisers are straight-through: each gives x + (Q(x0) - x0), where x0 is the value at the base point
 * and Q(x0) - x0 is frozen. At the base point that is the quantised network; its central differences are the
 * straight-through gradients, of every tensor, that trit_net_step must return.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "train/net.h"

enum { MAX_LAYERS = 3, N_SITES = 4 };
enum { IN_QKV, IN_O, IN_FFN, IN_DOWN }; /* the inputs of a layer that are quantised */

/* ---- cases ------------------------------------------------------------------------------------------------------ */

struct net_case {
	const char *name;
	enum trit_weight_kind kind;
	enum trit_activation activation;
	bool tied;
	int n_vocab, n_layers, d_model, d_ff, n_heads, n_kv_heads, head_dim, seq_len, n_seqs;
	bool weighted; /* losses count 0, 1/2 or 3/2 */
	double z_loss;
	double unquantised; /* 1 - lambda: how much the quantisers leave out */
	int example;   /* tokens of each example in a sequence; 0: it is one */
	enum trit_scaling scaling;
};

/* Sequence lengths on both sides of attention's blocks; widths that are no multiple of any vector. */
static const struct net_case cases[] = {
	{ "ternary, relu2, tied", TRIT_WEIGHT_TERNARY, TRIT_ACT_RELU2, true, 29, 2, 24, 40, 4, 2, 8, 70, .n_seqs = 1 },
	{ "ternary, silu, tied", TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, true, 33, 3, 20, 36, 2, 2, 10, 9, 3,
	  .weighted = true },
	{ "ternary, silu, untied", TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, false, 17, 1, 18, 50, 3, 1, 6, 11, .n_seqs = 3 },
	{ "ternary, pieces", TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, false, 17, 1, 18, 50, 3, 1, 6, 140, .n_seqs = 1 },
	{ "ternary, relu2, untied", TRIT_WEIGHT_TERNARY, TRIT_ACT_RELU2, false, 17, 1, 18, 50, 3, 1, 6, 11, .n_seqs = 3 },
	{ "binary, relu2, untied", TRIT_WEIGHT_BINARY, TRIT_ACT_RELU2, false, 29, 2, 24, 40, 4, 2, 8, 13, 2, .example = 5 },
	{ "binary, silu, tied", TRIT_WEIGHT_BINARY, TRIT_ACT_SILU, true, 21, 2, 16, 33, 4, 1, 4, 67, .n_seqs = 1 },
	{ "warm-up, ternary", TRIT_WEIGHT_TERNARY, TRIT_ACT_RELU2, false, 17, 1, 18, 50, 3, 1, 6, 11, 3,
	  .unquantised = 0.75 },
	{ "warm-up, binary", TRIT_WEIGHT_BINARY, TRIT_ACT_SILU, true, 21, 1, 68, 64, 2, 1, 34, 7, 2,
	  .scaling = TRIT_SCALE_GROUP64, .unquantised = 0.25 },
	{ "full, silu, untied", TRIT_WEIGHT_FULL, TRIT_ACT_SILU, false, 29, 2, 24, 40, 4, 2, 8, 150, 1,
	  .weighted = true, .z_loss = 0.125, .example = 33 },
	{ "full, silu, tied", TRIT_WEIGHT_FULL, TRIT_ACT_SILU, true, 33, 2, 22, 36, 3, 3, 6, 10, .n_seqs = 3 },
	{ "a scale a row", TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, true, 21, 2, 20, 36, 2, 2, 10, 9, 3,
	  .scaling = TRIT_SCALE_ROW },
	{ "a scale each 64", TRIT_WEIGHT_TERNARY, TRIT_ACT_RELU2, true, 21, 1, 68, 130, 2, 1, 34, 7, 2,
	  .scaling = TRIT_SCALE_GROUP64 },
	{ "a scale each 128", TRIT_WEIGHT_TERNARY, TRIT_ACT_SILU, false, 21, 1, 36, 130, 2, 1, 18, 7, 2,
	  .scaling = TRIT_SCALE_GROUP128 },
	{ "binary, a scale each 64", TRIT_WEIGHT_BINARY, TRIT_ACT_SILU, true, 21, 1, 68, 64, 2, 1, 34, 7, 2,
	  .scaling = TRIT_SCALE_GROUP64 },
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* A network with random weights and a random batch. */
struct bench {
	const struct net_case *shape;
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params params;
	struct trit_net net;
	trit_token *batch; /* [n, S + 1] */
	float *weights;    /* [n, S] of the losses, or NULL */
	int *starts;       /* [n, S] of the examples, or NULL */
	struct trit_rng rng;
};

/* Where the example begins to which a position belongs. */
static int example_start(const struct net_case *shape, int position)
{
	return shape->example ? position - position % shape->example : 0;
}

static void open_bench_with(struct bench *b, const struct net_case *shape, enum trit_tier tier, int threads,
                            int max_seqs,
                            const struct trit_net_options *options)
{
	struct trit_error err;

	*b = (struct bench){ .shape = shape };
	b->config = (struct trit_config){
		.n_vocab = shape->n_vocab, .n_layers = shape->n_layers,
		.d_model = shape->d_model, .d_ff = shape->d_ff, .n_heads = shape->n_heads, .n_kv_heads = shape->n_kv_heads,
		.head_dim = shape->head_dim, .n_rot = shape->head_dim, .n_ctx = shape->seq_len, .rope_base = 100, .eps = 1e-5f,
		.tied = shape->tied,
	};
	trit_config_set_arch(&b->config, trit_arch_for(shape->kind, shape->activation));
	trit_kernels_fill(&b->kernels, tier);
	trit_rng_init(&b->rng, 4711);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	assert_int_equal(trit_params_init(&b->params, &b->config, &err), 0);
	for (int i = 0; i < b->params.n; i++) {
		const struct trit_param *t = &b->params.list[i];
		bool norm = trit_tensors[t->id].kind == TRIT_KIND_NORM;
		for (size_t j = 0; j < t->rows * t->cols; j++)
			b->params.w[t->offset + j] =
			    norm ? 0.75f + 0.5f * trit_rng_uniform(&b->rng) : 0.4f * trit_rng_normal(&b->rng);
	}
	struct trit_weight_method method = { shape->kind, shape->scaling };
	assert_int_equal(trit_net_init(&b->net, &b->config, method, &b->params, &b->kernels, b->pool, shape->seq_len,
	                               max_seqs, options, &err), 0);
	size_t n_tokens = (size_t)shape->n_seqs * ((size_t)shape->seq_len + 1);
	b->batch = trit_calloc(n_tokens, sizeof *b->batch);
	assert_non_null(b->batch);
	for (size_t i = 0; i < n_tokens; i++)
		b->batch[i] = (trit_token)trit_rng_below(&b->rng, (uint64_t)shape->n_vocab);
	if (shape->weighted) {
		size_t n_losses = (size_t)shape->n_seqs * (size_t)shape->seq_len;
		b->weights = trit_calloc(n_losses, sizeof *b->weights);
		assert_non_null(b->weights);
		for (size_t i = 0; i < n_losses; i++)
			b->weights[i] = (float[]){ 0, 0.5f, 1.5f }[trit_rng_below(&b->rng, 3)];
	}
	for (int i = 0; shape->example && i < shape->n_seqs * shape->seq_len; i++) {
		if (!b->starts)
			b->starts = trit_calloc((size_t)shape->n_seqs, (size_t)shape->seq_len * sizeof *b->starts);
		assert_non_null(b->starts);
		b->starts[i] = example_start(shape, i % shape->seq_len);
	}
	b->net.starts = b->starts;
	b->net.z_loss = (float)shape->z_loss;
	b->net.lambda = (float)(1 - shape->unquantised);
	trit_net_quantise(&b->net);
}

/* All in fp32. */
static void open_bench(struct bench *b, const struct net_case *shape, enum trit_tier tier, int threads, int max_seqs)
{
	static const struct trit_net_options options = { .backward = TRIT_BACKWARD_F32, .warms_up = true };
	open_bench_with(b, shape, tier, threads, max_seqs, &options);
}

static void close_bench(struct bench *b)
{
	trit_net_release(&b->net);
	trit_params_release(&b->params);
	trit_pool_free(b->pool);
	trit_free(b->batch);
	trit_free(b->weights);
	trit_free(b->starts);
}

/* ---- the reference ---------------------------------------------------------------------------------------------- */

struct reference {
	struct bench *b;
	int tokens;                            /* T */
	double z_loss;                         /* sum of the z-losses of a pass, which the network does not return */
	bool freeze;                           /* this pass sets the offsets */
	double *w_offset;                      /* [params.total]: g T - W at the base point */
	double *w;                             /* [params.total]: the weights of a pass, offsets added */
	double *x_offset[MAX_LAYERS][N_SITES]; /* [T, width]: a q - x */
	int near_ties;                         /* codes where rounding decided between the two computations */
};

static const double *weight(const struct reference *r, enum trit_tensor_id id, int layer)
{
	const struct trit_param *p = trit_params_find(&r->b->params, id, layer);
	return p ? r->w + p->offset : NULL;
}

static double *doubles(size_t n)
{
	double *x = trit_calloc(n, sizeof *x);
	assert_non_null(x);
	return x;
}

/* The two computations may round a value to different sides only where it lies within this of the middle (in steps). */
#define NEAR_TIE 2e-3

/* Freezes the offsets of n weights that share a scale, from element `at0` of a matrix on: absmean ternary, or
 * mean-centred signs. `own` is the network's; scales of parts of a matrix are fp16. */
static void freeze_run(struct reference *r, const struct trit_param *p, const struct trit_bitlinear *own, size_t at0,
                       size_t n)
{
	const float *w = r->b->params.w + p->offset;
	double mean = 0, magnitude = 0, bound = own->scaling == TRIT_SCALE_TENSOR ? 1e-6 : 0x1p-11;
	double scale = trit_scale_of(own->scales, own->scaling, at0 / p->cols, at0 % p->cols, p->cols);

	for (size_t i = at0; i < at0 + n; i++)
		mean += w[i] / (double)n, magnitude += fabs((double)w[i]) / (double)n;
	assert_true(fabs(scale / magnitude - 1) < bound);
	if (own->scaling != TRIT_SCALE_TENSOR) {
		assert_true(trit_f16_to_f32(trit_f32_to_f16((float)scale)) == (float)scale);
		magnitude = scale;
	}
	double lambda = r->b->net.lambda;
	for (size_t i = at0; i < at0 + n; i++) {
		double at, code, own_code = own->codes[i];
		if (own->kind == TRIT_WEIGHT_TERNARY) {
			at = w[i] / magnitude;
			code = fabs(at) <= 0.5 ? 0 : at > 0 ? 1 : -1;
			at = fabs(at) - 0.5;
		} else {
			at = (w[i] - mean) / magnitude;
			code = at > 0 ? 1 : -1;
		}
		if (code != own_code) {
			assert_true(fabs(at) < NEAR_TIE);
			r->near_ties++;
		}
		r->w_offset[p->offset + i] = lambda * (magnitude * own_code - w[i]);
	}
}

static void freeze_weights(struct reference *r, const struct trit_param *p, const struct trit_bitlinear *own)
{
	size_t run = own->scaling > TRIT_SCALE_ROW ? (size_t)own->scaling : p->cols;

	if (own->scaling == TRIT_SCALE_TENSOR) {
		freeze_run(r, p, own, 0, p->rows * p->cols);
		return;
	}
	for (size_t row = 0; row < p->rows; row++)
		for (size_t c = 0; c < p->cols; c += run)
			freeze_run(r, p, own, row * p->cols + c, p->cols - c < run ? p->cols - c : run);
}

/* Quantises x [T, width] straight through, in place. */
static void quantise(struct reference *r, double *x, int width, int layer, int site, const struct trit_bit_input *own)
{
	double *offset = r->x_offset[layer][site];

	if (r->b->shape->kind == TRIT_WEIGHT_FULL)
		return;
	for (int t = 0; r->freeze && t < r->tokens; t++) {
		const double *row = x + t * width;
		double most = 1e-5;
		for (int i = 0; i < width; i++)
			most = fmax(most, fabs(row[i]));
		for (int i = 0; i < width; i++) {
			double at = row[i] * 127 / most, code = rint(at);
			double own_code = own->q[(size_t)t * trit_q_padded((size_t)width) + (size_t)i];
			if (code != own_code) {
				assert_true(fabs(at - own_code) < 0.5 + NEAR_TIE);
				r->near_ties++;
			}
			offset[t * width + i] = r->b->net.lambda * (own_code * most / 127 - row[i]);
		}
	}
	for (int i = 0; i < r->tokens * width; i++)
		x[i] += offset[i];
}

static void rmsnorm(const struct reference *r, double *y, const double *x, const double *w, int width)
{
	for (int t = 0; t < r->tokens; t++) {
		double squares = 0;
		for (int i = 0; i < width; i++)
			squares += x[t * width + i] * x[t * width + i];
		for (int i = 0; i < width; i++)
			y[t * width + i] = x[t * width + i] / sqrt(squares / width + r->b->config.eps) * (w ? w[i] : 1);
	}
}

/* y [T, rows] = x [T, cols] W^T */
static void product(const struct reference *r, double *y, const double *x, const double *w, int rows, int cols)
{
	for (int t = 0; t < r->tokens; t++)
		for (int i = 0; i < rows; i++) {
			double sum = 0;
			for (int j = 0; j < cols; j++)
				sum += w[i * cols + j] * x[t * cols + j];
			y[t * rows + i] = sum;
		}
}

/* Rotates the heads of x [T, heads, A]: "NEOX" pairs (i, i + A/2) or "NORM" pairs (2i, 2i + 1). */
static void rotate(const struct reference *r, double *x, int heads)
{
	const struct trit_config *c = &r->b->config;
	int a = c->head_dim;

	for (int t = 0; t < r->tokens; t++)
		for (int h = 0; h < heads; h++)
			for (int i = 0; i < a / 2; i++) {
				double *head = x + (t * heads + h) * a;
				int position = t % r->b->shape->seq_len - example_start(r->b->shape, t % r->b->shape->seq_len);
				double angle = position * pow(c->rope_base, -2.0 * i / a);
				int first = c->rope_half ? i : 2 * i, second = c->rope_half ? i + a / 2 : 2 * i + 1;
				double p = head[first], q = head[second];
				head[first] = p * cos(angle) - q * sin(angle);
				head[second] = p * sin(angle) + q * cos(angle);
			}
}

/* o [T, H, A]: causal attention within each sequence, or each of its examples. */
static void attend(const struct reference *r, double *o, const double *q, const double *k, const double *v)
{
	const struct trit_config *c = &r->b->config;
	int a = c->head_dim, s = r->b->shape->seq_len, share = c->n_heads / c->n_kv_heads;
	double p[256];

	for (int t = 0; t < r->tokens; t++)
		for (int h = 0; h < c->n_heads; h++) {
			int first = t - t % s + example_start(r->b->shape, t % s), kv = h / share;
			double most = -INFINITY, sum = 0;
			for (int u = first; u <= t; u++) {
				double dot = 0;
				for (int i = 0; i < a; i++)
					dot += q[(t * c->n_heads + h) * a + i] * k[(u * c->n_kv_heads + kv) * a + i];
				p[u - first] = dot / sqrt(a);
				most = fmax(most, p[u - first]);
			}
			for (int u = first; u <= t; u++)
				sum += p[u - first] = exp(p[u - first] - most);
			for (int i = 0; i < a; i++) {
				double out = 0;
				for (int u = first; u <= t; u++)
					out += p[u - first] / sum * v[(u * c->n_kv_heads + kv) * a + i];
				o[(t * c->n_heads + h) * a + i] = out;
			}
		}
}

static void layer_forward(struct reference *r, int l, double *x)
{
	const struct trit_config *c = &r->b->config;
	const struct trit_net_layer *own = &r->b->net.layers[l];
	int t = r->tokens, d = c->d_model, f = c->d_ff, nq = c->n_heads * c->head_dim, nkv = c->n_kv_heads * c->head_dim;
	size_t widest = (size_t)t * (size_t)(d + f + nq + nkv);
	double *in = doubles(widest), *q = doubles(widest), *k = doubles(widest), *v = doubles(widest);

	rmsnorm(r, in, x, weight(r, TRIT_TENSOR_ATTN_NORM, l), d);
	quantise(r, in, d, l, IN_QKV, &own->in_qkv);
	product(r, q, in, weight(r, TRIT_TENSOR_ATTN_Q, l), nq, d);
	product(r, k, in, weight(r, TRIT_TENSOR_ATTN_K, l), nkv, d);
	product(r, v, in, weight(r, TRIT_TENSOR_ATTN_V, l), nkv, d);
	rotate(r, q, c->n_heads);
	rotate(r, k, c->n_kv_heads);
	attend(r, in, q, k, v);
	if (c->arch->sub_norm)
		rmsnorm(r, in, in, weight(r, TRIT_TENSOR_ATTN_SUB_NORM, l), nq);
	quantise(r, in, nq, l, IN_O, &own->in_o);
	product(r, q, in, weight(r, TRIT_TENSOR_ATTN_OUTPUT, l), d, nq);
	for (int i = 0; i < t * d; i++)
		x[i] += q[i];

	rmsnorm(r, in, x, weight(r, TRIT_TENSOR_FFN_NORM, l), d);
	quantise(r, in, d, l, IN_FFN, &own->in_ffn);
	product(r, q, in, weight(r, TRIT_TENSOR_FFN_GATE, l), f, d);
	product(r, k, in, weight(r, TRIT_TENSOR_FFN_UP, l), f, d);
	for (int i = 0; i < t * f; i++)
		in[i] = k[i] * (c->arch->activation == TRIT_ACT_RELU2 ? (q[i] > 0 ? q[i] * q[i] : 0) : q[i] / (1 + exp(-q[i])));
	if (c->arch->sub_norm)
		rmsnorm(r, in, in, weight(r, TRIT_TENSOR_FFN_SUB_NORM, l), f);
	quantise(r, in, f, l, IN_DOWN, &own->in_down);
	product(r, q, in, weight(r, TRIT_TENSOR_FFN_DOWN, l), d, f);
	for (int i = 0; i < t * d; i++)
		x[i] += q[i];
	trit_free(in);
	trit_free(q);
	trit_free(k);
	trit_free(v);
}

/* Sum of the losses, z-losses too, with weights w [params.total]. */
static double reference_loss(struct reference *r, const double *w)
{
	const struct trit_config *c = &r->b->config;
	int s = r->b->shape->seq_len, d = c->d_model, v = c->n_vocab;
	double *x = doubles((size_t)(r->tokens * d)), *logits = doubles((size_t)(r->tokens * v)), loss = 0;

	r->z_loss = 0;
	for (size_t i = 0; i < r->b->params.total; i++)
		r->w[i] = w[i] + r->w_offset[i];
	for (int t = 0; t < r->tokens; t++)
		for (int i = 0; i < d; i++)
			x[t * d + i] = weight(r, TRIT_TENSOR_TOKEN_EMBD, 0)[r->b->batch[t / s * (s + 1) + t % s] * d + i];
	for (int l = 0; l < c->n_layers; l++)
		layer_forward(r, l, x);
	rmsnorm(r, x, x, weight(r, TRIT_TENSOR_OUTPUT_NORM, 0), d);
	product(r, logits, x, weight(r, c->tied ? TRIT_TENSOR_TOKEN_EMBD : TRIT_TENSOR_OUTPUT, 0), v, d);
	for (int t = 0; t < r->tokens; t++) {
		double most = -INFINITY, sum = 0, weight = r->b->weights ? (double)r->b->weights[t] : 1;
		for (int i = 0; i < v; i++)
			most = fmax(most, logits[t * v + i]);
		for (int i = 0; i < v; i++)
			sum += exp(logits[t * v + i] - most);
		loss += weight * (log(sum) + most - logits[t * v + r->b->batch[t / s * (s + 1) + t % s + 1]]);
		r->z_loss += weight * r->b->shape->z_loss * (log(sum) + most) * (log(sum) + most);
	}
	trit_free(x);
	trit_free(logits);
	return loss + r->z_loss;
}

/* After a pass of the network, whose codes decide ties. Returns the loss at the base point; w receives the weights. */
static double open_reference(struct reference *r, struct bench *b, double *w)
{
	const struct trit_config *c = &b->config;
	int widths[N_SITES] = { c->d_model, c->n_heads * c->head_dim, c->d_model, c->d_ff };

	*r = (struct reference){ .b = b, .tokens = b->shape->n_seqs * b->shape->seq_len, .freeze = true };
	r->w_offset = doubles(b->params.total);
	r->w = doubles(b->params.total);
	for (int l = 0; l < c->n_layers; l++) {
		const struct trit_net_layer *n = &b->net.layers[l];
		const struct trit_bitlinear *linears[] = { &n->q, &n->k, &n->v, &n->o, &n->gate, &n->up, &n->down };
		const enum trit_tensor_id ids[] = { TRIT_TENSOR_ATTN_Q, TRIT_TENSOR_ATTN_K, TRIT_TENSOR_ATTN_V,
			                            TRIT_TENSOR_ATTN_OUTPUT, TRIT_TENSOR_FFN_GATE, TRIT_TENSOR_FFN_UP,
			                            TRIT_TENSOR_FFN_DOWN };
		for (int i = 0; i < N_SITES; i++)
			r->x_offset[l][i] = doubles((size_t)(r->tokens * widths[i]));
		for (int i = 0; i < 7 && b->shape->kind != TRIT_WEIGHT_FULL; i++)
			freeze_weights(r, trit_params_find(&b->params, ids[i], l), linears[i]);
	}
	for (size_t i = 0; i < b->params.total; i++)
		w[i] = b->params.w[i];
	double loss = reference_loss(r, w) - r->z_loss;
	r->freeze = false;
	return loss;
}

static void close_reference(struct reference *r)
{
	for (int l = 0; l < MAX_LAYERS; l++)
		for (int i = 0; i < N_SITES; i++)
			trit_free(r->x_offset[l][i]);
	trit_free(r->w_offset);
	trit_free(r->w);
}

/* ---- gradients -------------------------------------------------------------------------------------------------- */

/* Central difference of the reference's loss along `direction`, elements [offset, offset + n). */
static double difference(struct reference *r, double *w, size_t offset, size_t n, const double *direction)
{
	const double h = 1e-5;
	double above, below;

	for (size_t i = 0; i < n; i++)
		w[offset + i] = r->b->params.w[offset + i] + h * direction[i];
	above = reference_loss(r, w);
	for (size_t i = 0; i < n; i++)
		w[offset + i] = r->b->params.w[offset + i] - h * direction[i];
	below = reference_loss(r, w);
	for (size_t i = 0; i < n; i++)
		w[offset + i] = r->b->params.w[offset + i];
	return (above - below) / (2 * h);
}

/*
 * A derivative of the network's fp32 gradient is held to 2e-5 of that gradient's norm. fp32 keeps 6e-8 a step; sums of
 * some hundred terms through the depth of the network come to 1e-8 .. 4e-6, while a wrong term shows as 1e-2 and more.
 * The step of 1e-5 leaves 1e-10 of truncation and about 1e-9 of rounding in the double loss.
 */
#define TOLERANCE 2e-5
enum { DIRECTIONS = 2, ALL = 24, SOME = 6 }; /* random directions; all elements of tensors so small, else so many */

/* Derivatives of one tensor: along random directions, and by single elements. */
static void check_tensor(struct reference *r, double *w, const struct trit_param *p)
{
	struct trit_rng *rng = &r->b->rng;
	size_t n = p->rows * p->cols, elements = n <= ALL ? n : SOME;
	const float *g = r->b->params.g + p->offset;
	double *direction = doubles(n), norm = 0;
	char name[TRIT_TENSOR_NAME_BYTES];

	trit_tensor_name(name, p->id, p->layer, "weight");
	for (size_t i = 0; i < n; i++)
		norm += (double)g[i] * g[i];
	norm = sqrt(norm);
	assert_true(norm > 1e-3); /* nothing is checked by comparing zeros */
	for (size_t k = 0; k < DIRECTIONS + elements; k++) {
		size_t at = elements == n && k >= DIRECTIONS ? k - DIRECTIONS : trit_rng_below(rng, n);
		double length = 0, got = 0, expected;
		memset(direction, 0, n * sizeof *direction);
		if (k >= DIRECTIONS)
			direction[at] = 1;
		for (size_t i = 0; k < DIRECTIONS && i < n; i++) {
			direction[i] = trit_rng_normal(rng);
			length += direction[i] * direction[i];
		}
		for (size_t i = 0; i < n; i++) {
			direction[i] /= k < DIRECTIONS ? sqrt(length) : 1;
			got += g[i] * direction[i];
		}
		expected = difference(r, w, p->offset, n, direction);
		if (!(fabs(got - expected) <= TOLERANCE * norm))
			fail_msg("%s: %s, %s %zu: derivative %.9g, expected %.9g, gradient's norm %.3g", r->b->shape->name, name,
			         k < DIRECTIONS ? "direction" : "element", k < DIRECTIONS ? k : at, got, expected, norm);
	}
	trit_free(direction);
}

static void check_gradients(const struct net_case *shape)
{
	struct bench b;
	struct reference r;

	open_bench(&b, shape, TRIT_TIER_C, 1, shape->n_seqs);
	double *w = doubles(b.params.total), loss = trit_net_step(&b.net, shape->n_seqs, b.batch, b.weights, 1);
	double expected = open_reference(&r, &b, w);

	/* A few of some ten thousand roundings fall to different sides; many would mean different quantisers. */
	assert_true(r.near_ties < 20);
	if (!(fabs(loss / expected - 1) < 1e-6))
		fail_msg("%s: loss %.9g, expected %.9g", shape->name, loss, expected);
	for (int i = 0; i < b.params.n; i++)
		check_tensor(&r, w, &b.params.list[i]);
	close_reference(&r);
	close_bench(&b);
	trit_free(w);
}

static void test_gradients(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++)
		check_gradients(&cases[i]);
}

/* The scale multiplies the gradient, and gradients add up; a loss that is only measured is another way to the same. */
static void test_accumulation(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, &cases[0], TRIT_TIER_C, 1, 1);
	double measured = trit_net_loss(&b.net, 1, b.batch, b.weights);
	double *once = doubles(b.params.total), loss = trit_net_step(&b.net, 1, b.batch, b.weights, 1);
	assert_true(fabs(measured / loss - 1) < 1e-6);
	for (size_t i = 0; i < b.params.total; i++)
		once[i] = b.params.g[i];
	assert_true(trit_net_step(&b.net, 1, b.batch, b.weights, 0.5f) == loss);
	assert_true(trit_net_loss(&b.net, 1, b.batch, b.weights) == measured);
	for (size_t i = 0; i < b.params.total; i++)
		assert_true(fabs(b.params.g[i] - 1.5 * once[i]) <= 1e-5 * (1 + fabs(once[i])));
	trit_free(once);
	close_bench(&b);
}

/* A weight is how often a loss counts. */
static void test_weights(void **state)
{
	struct bench b;
	float one[70], last[70] = { 0 }, none[70] = { 0 };

	(void)state;
	open_bench(&b, &cases[0], TRIT_TIER_C, 2, 1);
	for (int i = 0; i < 70; i++)
		one[i] = 1;
	double *plain = doubles(b.params.total), loss = trit_net_step(&b.net, 1, b.batch, NULL, 1);
	for (size_t i = 0; i < b.params.total; i++)
		plain[i] = b.params.g[i], b.params.g[i] = 0;
	assert_true(trit_net_step(&b.net, 1, b.batch, one, 1) == loss);
	for (size_t i = 0; i < b.params.total; i++)
		assert_true(b.params.g[i] == (float)plain[i]);
	memset(b.params.g, 0, b.params.total * sizeof *b.params.g);
	last[69] = 1;
	double once = trit_net_loss(&b.net, 1, b.batch, last);
	last[69] = 2;
	assert_true(once > 0 && trit_net_loss(&b.net, 1, b.batch, last) == 2 * once);
	assert_true(trit_net_step(&b.net, 1, b.batch, none, 1) == 0);
	for (size_t i = 0; i < b.params.total; i++)
		assert_true(b.params.g[i] == 0);
	trit_free(plain);
	close_bench(&b);
}

/* ---- bits ------------------------------------------------------------------------------------------------------- */

/* Loss and gradients of all sequences, max_seqs at a time; the gradients are the caller's to free. */
static double run_with(const struct net_case *shape, enum trit_tier tier, int threads, int max_seqs,
                       const struct trit_net_options *options, float **g, size_t *n)
{
	struct bench b;
	double loss = 0;

	open_bench_with(&b, shape, tier, threads, max_seqs, options);
	for (int i = 0; i < shape->n_seqs; i += max_seqs) {
		int m = shape->n_seqs - i < max_seqs ? shape->n_seqs - i : max_seqs;
		b.net.starts = b.starts ? b.starts + i * shape->seq_len : NULL;
		loss += trit_net_step(&b.net, m, b.batch + i * (shape->seq_len + 1),
		                      b.weights ? b.weights + i * shape->seq_len : NULL, 1.0f / 128);
	}
	*n = b.params.total;
	*g = trit_calloc(*n, sizeof **g);
	assert_non_null(*g);
	memcpy(*g, b.params.g, *n * sizeof **g);
	close_bench(&b);
	return loss;
}

static double run(const struct net_case *shape, enum trit_tier tier, int threads, int max_seqs,
                  enum trit_backward backward, float **g, size_t *n)
{
	struct trit_net_options options = { .backward = backward, .warms_up = true };
	return run_with(shape, tier, threads, max_seqs, &options, g, n);
}

static void check_same_bits(const struct net_case *shape, enum trit_backward backward)
{
	static const int threads[] = { 1, 2, 3, 7 };
	float *expected, *got;
	size_t n;
	double loss = run(shape, TRIT_TIER_C, 1, shape->n_seqs, backward, &expected, &n);

	for (int tier = 0; tier < TRIT_N_TIERS; tier++)
		for (size_t j = 0; j < sizeof threads / sizeof *threads; j++) {
			if (!trit_tier_here((enum trit_tier)tier) || (tier == TRIT_TIER_C && j == 0))
				continue;
			if (run(shape, (enum trit_tier)tier, threads[j], shape->n_seqs, backward, &got, &n) != loss)
				fail_msg("%s: another loss on %s with %d threads", shape->name, trit_tier_name((enum trit_tier)tier),
				         threads[j]);
			if (memcmp(got, expected, n * sizeof *got))
				fail_msg("%s: other gradients on %s with %d threads", shape->name,
				         trit_tier_name((enum trit_tier)tier), threads[j]);
			trit_free(got);
		}
	trit_free(expected);
}

static void test_same_bits(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		check_same_bits(&cases[i], TRIT_BACKWARD_F32);
		if (cases[i].kind == TRIT_WEIGHT_FULL)
			continue;
		check_same_bits(&cases[i], TRIT_BACKWARD_INT8);
		check_same_bits(&cases[i], TRIT_BACKWARD_INT16);
	}
}

/* How far `got` is from `expected`, as a share of its norm. */
static double distance(const float *got, const float *expected, size_t n)
{
	double apart = 0, norm = 0;

	for (size_t i = 0; i < n; i++) {
		apart += pow((double)got[i] - (double)expected[i], 2);
		norm += pow((double)expected[i], 2);
	}
	return sqrt(apart / norm);
}

/* Each tensor's gradient is the fp32 one to `most` of its norm. */
static void check_integers(enum trit_backward backward, double most)
{
	for (int i = 0; i < N_CASES; i++) {
		const struct net_case *shape = &cases[i];
		double farthest = 0;
		struct bench b;
		float *expected, *got;
		size_t n;
		double loss = run(shape, trit_best_tier(), 2, shape->n_seqs, TRIT_BACKWARD_F32, &expected, &n);
		assert_true(run(shape, trit_best_tier(), 2, shape->n_seqs, backward, &got, &n) == loss);
		open_bench(&b, shape, TRIT_TIER_C, 1, 1);
		for (int j = 0; j < b.params.n; j++) {
			const struct trit_param *t = &b.params.list[j];
			double off = distance(got + t->offset, expected + t->offset, t->rows * t->cols);
			if (!(off < most))
				fail_msg("%s: gradient %d of layer %d is off by %g", shape->name, (int)t->id, t->layer, off);
			farthest = fmax(farthest, off);
		}
		if (shape->kind != TRIT_WEIGHT_FULL && shape->unquantised == 0 && farthest < most / 30)
			fail_msg("%s: gradients off by %g at most: they are not in integers", shape->name, farthest);
		close_bench(&b);
		trit_free(expected);
		trit_free(got);
	}
}

/* The bounds are of these small random networks; docs/training.md has what was measured of others. */
static void test_integers(void **state)
{
	(void)state;
	check_integers(TRIT_BACKWARD_INT16, 5e-4);
	check_integers(TRIT_BACKWARD_INT8, 0.03);
}

/*
 * In bfloat16 the whole gradient is that of fp32 to a fifth of its norm, with weights as large and losses as far from
 * any that training sees as here, where scores of attention reach hundreds. Losses that are only measured are in fp32.
 */
static void test_bf16(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		const struct net_case *shape = &cases[i];
		struct trit_kernels steps;
		struct trit_net_options options = { .backward = TRIT_BACKWARD_INT8, .warms_up = true, .steps = &steps };
		float *expected, *got;
		size_t n;
		struct bench b;

		trit_kernels_fill(&steps, trit_best_tier());
		steps.gemm_f32 = steps.gemm_bf16;
		double loss = run(shape, trit_best_tier(), 2, shape->n_seqs, TRIT_BACKWARD_F32, &expected, &n);
		double close = run_with(shape, trit_best_tier(), 2, shape->n_seqs, &options, &got, &n);
		double off = distance(got, expected, n);
		if (!(off > 1e-5 && off < 0.2 && fabs(close - loss) < 0.01 * loss))
			fail_msg("%s: gradient off by %g, loss %g instead of %g", shape->name, off, close, loss);
		double measured[2]; /* with such products in steps, and without */
		for (int j = 0; j < 2; j++) {
			open_bench_with(&b, shape, trit_best_tier(), 2, shape->n_seqs, &options);
			measured[j] = trit_net_loss(&b.net, shape->n_seqs, b.batch, b.weights);
			close_bench(&b);
			options.steps = NULL;
		}
		if (measured[0] != measured[1] || (shape->unquantised == 0 && !(fabs(measured[0] / loss - 1) < 1e-6)))
			fail_msg("%s: a measured loss of %.9g is not that of fp32, %.9g", shape->name, measured[0], loss);
		trit_free(expected);
		trit_free(got);
	}
}

/*
 * In fp32 every gradient is one chain over tokens, so cutting the batch into micro-batches changes no bit - but for a
 * tied
 * embedding, whose gradient is two chains, the head's and the look-up's, that micro-batches interleave.
 */
static void test_micro_batches(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		const struct net_case *shape = &cases[i];
		float *expected, *got;
		size_t n;
		if (shape->n_seqs < 2)
			continue;
		double loss = run(shape, trit_best_tier(), 2, shape->n_seqs, TRIT_BACKWARD_F32, &expected, &n);
		size_t tied = shape->tied ? (size_t)(shape->n_vocab * shape->d_model) : 0; /* the embedding comes first */
		for (int max_seqs = 1; max_seqs < shape->n_seqs; max_seqs++) {
			assert_true(fabs(run(shape, trit_best_tier(), 2, max_seqs, TRIT_BACKWARD_F32, &got,
			                     &n) / loss - 1) < 1e-14);
			for (size_t j = 0; j < tied; j++)
				assert_true(fabsf(got[j] - expected[j]) <= 1e-6f * (1 + fabsf(expected[j])));
			if (memcmp(got + tied, expected + tied, (n - tied) * sizeof *got))
				fail_msg("%s: other gradients in micro-batches of %d", shape->name, max_seqs);
			trit_free(got);
		}
		trit_free(expected);
	}
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static void test_shares(void **state)
{
	struct bench b;
	double share[3], zero = 0, all = 0;

	(void)state;
	open_bench(&b, &cases[0], TRIT_TIER_C, 2, 1);
	trit_net_shares(&b.net, share);
	for (int i = 0; i < b.params.n; i++) {
		const struct trit_param *p = &b.params.list[i];
		double mean = 0;
		if (trit_tensors[p->id].kind != TRIT_KIND_LINEAR)
			continue;
		for (size_t j = 0; j < p->rows * p->cols; j++)
			mean += fabs((double)b.params.w[p->offset + j]) / (double)(p->rows * p->cols);
		for (size_t j = 0; j < p->rows * p->cols; j++) {
			zero += fabs((double)b.params.w[p->offset + j]) <= mean / 2;
			all++;
		}
	}
	assert_true(fabs(share[0] + share[1] + share[2] - 1) < 1e-12);
	assert_true(fabs(share[1] - zero / all) < 1e-12);
	assert_true(fabs(share[1] - 0.31) < 0.02); /* normal weights: P(|w| < mean|w| / 2) = 0.310 */
	close_bench(&b);
}

static void test_step_allocates_nothing(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, &cases[0], trit_best_tier(), 2, 1);
	uint64_t before = trit_mem_count();
	trit_net_quantise(&b.net);
	trit_net_step(&b.net, 1, b.batch, b.weights, 1);
	trit_net_loss(&b.net, 1, b.batch, b.weights);
	assert_int_equal(trit_mem_count(), before);
	close_bench(&b);
}

static void test_no_memory(void **state)
{
	struct bench b;
	struct trit_error err;
	int e = -1, failures = 0;

	(void)state;
	open_bench(&b, &cases[0], TRIT_TIER_C, 1, 1);
	trit_net_release(&b.net);
	for (int n = 1; e; n++) {
		trit_mem_fail_after((uint64_t)n);
		e = trit_net_init(&b.net, &b.config, (struct trit_weight_method){ b.shape->kind, b.shape->scaling }, &b.params,
		                  &b.kernels, b.pool, 70, 1, NULL, &err);
		trit_mem_fail_after(0);
		if (e) {
			failures++;
			assert_int_equal(e, TRIT_ERR_MEMORY);
			assert_non_null(strstr(err.message, "--micro-batch"));
		}
	}
	assert_true(failures > 0);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_accumulation),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_micro_batches),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_step_allocates_nothing),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
