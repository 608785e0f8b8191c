/*
 * test_net_arch.c - the networks of all architectures in training: loss and gradients against an independent forward
 * pass in double precision, and the loss against that of inference.
 *
 * The reference follows the architectures' formulas (docs/models.md) with plain loops and shares no code with src/train
 * or the kernels. Quantisers are straight-through, as in test_net.c: their offsets are frozen at the base point, with
 * the network's own codes, which test_net.c checks.
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

#include "eval/perplexity.h"
#include "scratch.h"
#include "tiny_model.h"
#include "train/init.h"
#include "train/net.h"

static struct trit_error err;

/* ---- cases ------------------------------------------------------------------------------------------------------- */

#define BIAS(id) ((uint64_t)1 << TRIT_TENSOR_##id)
#define QKV (BIAS(ATTN_Q) | BIAS(ATTN_K) | BIAS(ATTN_V))
#define OTHERS (BIAS(ATTN_OUTPUT) | BIAS(FFN_GATE) | BIAS(FFN_UP) | BIAS(FFN_DOWN))
#define NORMS (BIAS(ATTN_NORM) | BIAS(FFN_NORM) | BIAS(OUTPUT_NORM))

/* What a case has beside its architecture's row. */
struct net_case {
	const char *arch;
	enum trit_weight_kind kind;
	int head_dim, n_rot, window, window_period;
	bool untied, sub_norm, rope_freqs;
	float score_scale, embedding_scale;
	uint64_t biases;
	struct trit_rope_scaling scaling;
};

static const struct net_case cases[] = {
	{ "qwen2", TRIT_WEIGHT_FULL, 6, 6, .biases = QKV, .untied = true },
	{ "qwen3", TRIT_WEIGHT_FULL, 10, 10, .window = 0 },
	{ "gemma", TRIT_WEIGHT_FULL, 8, 8, .embedding_scale = 4.9f },
	{ "gemma2", TRIT_WEIGHT_FULL, 8, 8, 5, 2, .embedding_scale = 4.9f, .score_scale = 0.3f },
	{ "gemma3", TRIT_WEIGHT_FULL, 8, 8, 70, 2, .embedding_scale = 4.9f,
	  .scaling = { .kind = TRIT_ROPE_LINEAR, .factor = 8 } },
	{ "stablelm", TRIT_WEIGHT_FULL, 8, 4, .biases = QKV | NORMS | BIAS(ATTN_Q_NORM) | BIAS(ATTN_K_NORM) },
	{ "llama", TRIT_WEIGHT_FULL, 8, 8, 67, .biases = QKV | OTHERS, .rope_freqs = true },
	{ "llama", TRIT_WEIGHT_FULL, 8, 8, .scaling = { TRIT_ROPE_LLAMA3, 8, 1, 4, 24, 0 } },
	{ "llama", TRIT_WEIGHT_TERNARY, 8, 6, .scaling = { TRIT_ROPE_YARN, 4, 1, 32, 24, 1.14f } },
	{ "qwen2", TRIT_WEIGHT_TERNARY, 6, 6, .biases = QKV, .sub_norm = true },
	{ "qwen3", TRIT_WEIGHT_TERNARY, 10, 10, .sub_norm = true, .untied = true },
	{ "gemma3", TRIT_WEIGHT_TERNARY, 8, 8, 6, 2, .embedding_scale = 4.9f, .sub_norm = true },
	{ "stablelm", TRIT_WEIGHT_TERNARY, 8, 4, .biases = QKV | NORMS, .sub_norm = true },
};
enum { N_CASES = sizeof cases / sizeof *cases, MAX_SEQ = 80, MAX_LAYERS = 3, N_SITES = 4 };

static struct trit_config config_of(const struct net_case *k, int d_model, int d_ff, int heads)
{
	struct trit_config c = tiny_config(k->arch, d_model, d_ff);
	c.n_vocab = 33;
	c.n_layers = MAX_LAYERS;
	c.n_heads = heads;
	c.head_dim = k->head_dim;
	c.n_rot = k->n_rot;
	c.n_ctx = 128;
	c.rope_base = 100;
	c.tied = !k->untied;
	c.sub_norm = k->sub_norm;
	c.biases = k->biases;
	c.rope_freqs = k->rope_freqs;
	c.rope_scaling = k->scaling;
	c.score_scale = k->score_scale;
	c.embedding_scale = k->embedding_scale;
	c.window = k->window;
	c.window_period = k->window_period;
	c.window_rope_base = c.arch->window_rope_base ? 30 : 0;
	if (c.attn_softcap) { /* near enough to the scores and logits to change them */
		c.attn_softcap = 1.5f;
		c.logit_softcap = 2.5f;
	}
	return c;
}

struct bench {
	const struct net_case *shape;
	struct trit_config config;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_params params;
	struct trit_net net;
	struct trit_rng rng;
	int seq_len, n_seqs;
	trit_token *batch;
};

static void open_bench_with(struct bench *b, const struct net_case *shape, enum trit_tier tier, int threads,
                            bool recompute)
{
	*b = (struct bench){ .shape = shape, .config = config_of(shape, 24, 40, 4), .n_seqs = shape->window > 64 ? 1 : 2 };
	b->seq_len = shape->window > 64 ? 75 : 13; /* several of attention's blocks */
	trit_kernels_fill(&b->kernels, tier);
	trit_rng_init(&b->rng, 99);
	assert_int_equal(trit_pool_new(&b->pool, threads, &err), 0);
	assert_int_equal(trit_params_init(&b->params, &b->config, &err), 0);
	for (int i = 0; i < b->params.n; i++) {
		const struct trit_param *t = &b->params.list[i];
		for (size_t j = 0; j < t->rows * t->cols; j++)
			b->params.w[t->offset + j] = t->kind == TRIT_KIND_NORM && !t->bias
			                                 ? 0.75f + 0.5f * trit_rng_uniform(&b->rng)
			                                 : 0.35f * trit_rng_normal(&b->rng);
	}
	struct trit_weight_method method = { shape->kind, TRIT_SCALE_TENSOR };
	struct trit_net_options how = { .backward = TRIT_BACKWARD_F32, .warms_up = true, .recompute = recompute };
	assert_int_equal(trit_net_init(&b->net, &b->config, method, &b->params, &b->kernels, b->pool, b->seq_len,
	                               b->n_seqs, &how, &err), 0);
	size_t n = (size_t)b->n_seqs * ((size_t)b->seq_len + 1);
	b->batch = trit_calloc(n, sizeof *b->batch);
	assert_non_null(b->batch);
	for (size_t i = 0; i < n; i++)
		b->batch[i] = (trit_token)trit_rng_below(&b->rng, (uint64_t)b->config.n_vocab);
	trit_net_quantise(&b->net);
}

static void open_bench(struct bench *b, const struct net_case *shape, enum trit_tier tier, int threads)
{
	open_bench_with(b, shape, tier, threads, false);
}

static void close_bench(struct bench *b)
{
	trit_net_release(&b->net);
	trit_params_release(&b->params);
	trit_pool_free(b->pool);
	trit_free(b->batch);
}

/* ---- the reference ----------------------------------------------------------------------------------------------- */

struct reference {
	struct bench *b;
	int tokens;
	bool freeze;
	double *w, *w_offset;                  /* [params.total] */
	double *x_offset[MAX_LAYERS][N_SITES]; /* [T, width] */
};

static double *doubles(size_t n)
{
	double *x = trit_calloc(n ? n : 1, sizeof *x);
	assert_non_null(x);
	return x;
}

static const double *weight(const struct reference *r, enum trit_tensor_id id, int layer, bool bias)
{
	const struct trit_params *p = &r->b->params;
	const struct trit_param *t = bias ? trit_params_find_bias(p, id, layer) : trit_params_find(p, id, layer);
	return t ? r->w + t->offset : NULL;
}

/* One vector's norm, RMS or layer norm, if the model has it. */
static void norm(const struct reference *r, double *x, int n, enum trit_tensor_id id, int layer, int head)
{
	const double *w = weight(r, id, layer, false), *bias = weight(r, id, layer, true);
	double mean = 0, squares = 0;
	if (!w)
		return;
	for (int i = 0; i < n && r->b->config.arch->norm == TRIT_NORM_LAYER; i++)
		mean += x[i] / n;
	for (int i = 0; i < n; i++)
		squares += (x[i] - mean) * (x[i] - mean) / n;
	for (int i = 0; i < n; i++)
		x[i] = (x[i] - mean) / sqrt(squares + (double)r->b->config.eps) * w[head * n + i] +
		       (bias ? bias[head * n + i] : 0);
}

static void norm_all(const struct reference *r, double *x, int n, enum trit_tensor_id id, int layer)
{
	for (int t = 0; t < r->tokens; t++)
		norm(r, x + t * n, n, id, layer, 0);
}

static void quantise(struct reference *r, double *x, int width, int layer, int site, const struct trit_bit_input *own)
{
	double *offset = r->x_offset[layer][site];
	if (r->b->shape->kind == TRIT_WEIGHT_FULL)
		return;
	for (int t = 0; r->freeze && t < r->tokens; t++) {
		double most = 1e-5;
		for (int i = 0; i < width; i++)
			most = fmax(most, fabs(x[t * width + i]));
		for (int i = 0; i < width; i++) {
			double code = own->q[(size_t)t * trit_q_padded((size_t)width) + (size_t)i];
			assert_true(fabs(x[t * width + i] * 127 / most - code) < 0.502);
			offset[t * width + i] = code * most / 127 - x[t * width + i];
		}
	}
	for (int i = 0; i < r->tokens * width; i++)
		x[i] += offset[i];
}

/* y [T, rows] = x [T, cols] W^T + bias */
static void product(const struct reference *r, double *y, const double *x, enum trit_tensor_id id, int layer, int rows,
                    int cols)
{
	const double *w = weight(r, id, layer, false), *bias = weight(r, id, layer, true);
	for (int t = 0; t < r->tokens; t++)
		for (int i = 0; i < rows; i++) {
			double sum = bias ? bias[i] : 0;
			for (int j = 0; j < cols; j++)
				sum += w[i * cols + j] * x[t * cols + j];
			y[t * rows + i] = sum;
		}
}

/* What the frequency of a pair is divided by: formulas of Hugging Face's modeling_rope_utils. */
static double divisor(const struct reference *r, int pair)
{
	const struct trit_config *c = &r->b->config;
	const struct trit_rope_scaling *s = &c->rope_scaling;
	double factor = s->factor, freq = pow(c->rope_base, -2.0 * pair / c->n_rot), wave = 2 * M_PI / freq;
	double original = s->n_ctx_original;
	if (c->rope_freqs)
		return weight(r, TRIT_TENSOR_ROPE_FREQS, 0, false)[pair];
	if (s->kind == TRIT_ROPE_LINEAR)
		return factor;
	if (s->kind == TRIT_ROPE_LLAMA3) {
		double smooth = (original / wave - s->slow) / ((double)s->fast - s->slow);
		double mixed = 1 / ((1 - smooth) / factor + smooth);
		return wave < original / s->fast ? 1 : wave > original / s->slow ? factor : mixed;
	}
	if (s->kind == TRIT_ROPE_YARN) {
		double at[2];
		const double turns[2] = { s->fast, s->slow };
		for (int i = 0; i < 2; i++)
			at[i] = c->n_rot * log(original / (turns[i] * 2 * M_PI)) / (2 * log(c->rope_base));
		double low = fmax(floor(at[0]), 0), high = fmin(ceil(at[1]), c->n_rot - 1);
		double ramp = fmin(1, fmax(0, (pair - low) / (high - low < 0.001 ? 0.001 : high - low)));
		return 1 / (ramp / factor + 1 - ramp);
	}
	return 1;
}

/* Norms and rotates the heads of x [T, heads, A]. */
static void rotate(const struct reference *r, double *x, int heads, int layer, enum trit_tensor_id id)
{
	const struct trit_config *c = &r->b->config;
	bool windowed = c->window && !(c->window_period && (layer + 1) % c->window_period == 0);
	bool other = windowed && c->window_rope_base > 0;
	double base = other ? c->window_rope_base : c->rope_base;
	double grow = c->rope_scaling.kind == TRIT_ROPE_YARN ? c->rope_scaling.magnitude : 1;
	for (int t = 0; t < r->tokens; t++)
		for (int h = 0; h < heads; h++) {
			double *head = x + (t * heads + h) * c->head_dim;
			norm(r, head, c->head_dim, id, layer, c->qk_norms == TRIT_QK_EACH_HEAD ? h : 0);
			for (int i = 0; i < c->n_rot / 2; i++) {
				double angle = t % r->b->seq_len * pow(base, -2.0 * i / c->n_rot) / (other ? 1 : divisor(r, i));
				int first = c->rope_half ? i : 2 * i, second = c->rope_half ? i + c->n_rot / 2 : 2 * i + 1;
				double p = head[first], q = head[second];
				head[first] = grow * (p * cos(angle) - q * sin(angle));
				head[second] = grow * (p * sin(angle) + q * cos(angle));
			}
		}
}

static void attend(const struct reference *r, double *o, const double *q, const double *k, const double *v, int layer)
{
	const struct trit_config *c = &r->b->config;
	int a = c->head_dim, s = r->b->seq_len, share = c->n_heads / c->n_kv_heads;
	bool windowed = c->window && !(c->window_period && (layer + 1) % c->window_period == 0);
	double p[MAX_SEQ], scale = c->score_scale ? c->score_scale : 1 / sqrt(a), cap = c->attn_softcap;
	for (int t = 0; t < r->tokens; t++)
		for (int h = 0; h < c->n_heads; h++) {
			int begin = t - t % s, first = windowed && t - c->window + 1 > begin ? t - c->window + 1 : begin;
			double sum = 0;
			for (int u = first; u <= t; u++) {
				double dot = 0;
				for (int i = 0; i < a; i++)
					dot += q[(t * c->n_heads + h) * a + i] * k[(u * c->n_kv_heads + h / share) * a + i];
				dot *= scale;
				sum += p[u - first] = exp(cap ? cap * tanh(dot / cap) : dot);
			}
			for (int i = 0; i < a; i++) {
				double out = 0;
				for (int u = first; u <= t; u++)
					out += p[u - first] / sum * v[(u * c->n_kv_heads + h / share) * a + i];
				o[(t * c->n_heads + h) * a + i] = out;
			}
		}
}

static double activate(enum trit_activation a, double x)
{
	if (a == TRIT_ACT_GELU)
		return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
	return a == TRIT_ACT_RELU2 ? (x > 0 ? x * x : 0) : x / (1 + exp(-x));
}

static void layer_forward(struct reference *r, int l, double *x)
{
	const struct trit_config *c = &r->b->config;
	const struct trit_net_layer *own = &r->b->net.layers[l];
	int t = r->tokens, d = c->d_model, f = c->d_ff, nq = c->n_heads * c->head_dim, nkv = c->n_kv_heads * c->head_dim;
	size_t most = (size_t)t * (size_t)(d + f + nq + nkv);
	double *in = doubles(most), *q = doubles(most), *k = doubles(most), *v = doubles(most);

	memcpy(in, x, (size_t)(t * d) * sizeof *in);
	norm_all(r, in, d, TRIT_TENSOR_ATTN_NORM, l);
	quantise(r, in, d, l, 0, &own->in_qkv);
	product(r, q, in, TRIT_TENSOR_ATTN_Q, l, nq, d);
	product(r, k, in, TRIT_TENSOR_ATTN_K, l, nkv, d);
	product(r, v, in, TRIT_TENSOR_ATTN_V, l, nkv, d);
	rotate(r, q, c->n_heads, l, TRIT_TENSOR_ATTN_Q_NORM);
	rotate(r, k, c->n_kv_heads, l, TRIT_TENSOR_ATTN_K_NORM);
	attend(r, in, q, k, v, l);
	norm_all(r, in, nq, TRIT_TENSOR_ATTN_SUB_NORM, l);
	quantise(r, in, nq, l, 1, &own->in_o);
	product(r, q, in, TRIT_TENSOR_ATTN_OUTPUT, l, d, nq);
	norm_all(r, q, d, TRIT_TENSOR_ATTN_POST_NORM, l);
	for (int i = 0; i < t * d; i++)
		x[i] += q[i];

	memcpy(in, x, (size_t)(t * d) * sizeof *in);
	norm_all(r, in, d, TRIT_TENSOR_FFN_NORM, l);
	quantise(r, in, d, l, 2, &own->in_ffn);
	product(r, q, in, TRIT_TENSOR_FFN_GATE, l, f, d);
	product(r, k, in, TRIT_TENSOR_FFN_UP, l, f, d);
	for (int i = 0; i < t * f; i++)
		in[i] = k[i] * activate(c->arch->activation, q[i]);
	norm_all(r, in, f, TRIT_TENSOR_FFN_SUB_NORM, l);
	quantise(r, in, f, l, 3, &own->in_down);
	product(r, q, in, TRIT_TENSOR_FFN_DOWN, l, d, f);
	norm_all(r, q, d, TRIT_TENSOR_FFN_POST_NORM, l);
	for (int i = 0; i < t * d; i++)
		x[i] += q[i];
	trit_free(in);
	trit_free(q);
	trit_free(k);
	trit_free(v);
}

/* Sum of the losses with weights w [params.total]. */
static double reference_loss(struct reference *r, const double *w)
{
	const struct trit_config *c = &r->b->config;
	int s = r->b->seq_len, d = c->d_model, v = c->n_vocab;
	double *x = doubles((size_t)(r->tokens * d)), *logits = doubles((size_t)(r->tokens * v)), loss = 0;
	double cap = c->logit_softcap;

	for (size_t i = 0; i < r->b->params.total; i++)
		r->w[i] = w[i] + r->w_offset[i];
	for (int t = 0; t < r->tokens; t++)
		for (int i = 0; i < d; i++)
			x[t * d + i] = weight(r, TRIT_TENSOR_TOKEN_EMBD, 0, false)[r->b->batch[t / s * (s + 1) + t % s] * d + i] *
			               (c->embedding_scale ? (double)c->embedding_scale : 1);
	for (int l = 0; l < c->n_layers; l++)
		layer_forward(r, l, x);
	norm_all(r, x, d, TRIT_TENSOR_OUTPUT_NORM, 0);
	product(r, logits, x, c->tied ? TRIT_TENSOR_TOKEN_EMBD : TRIT_TENSOR_OUTPUT, 0, v, d);
	for (int i = 0; cap > 0 && i < r->tokens * v; i++)
		logits[i] = cap * tanh(logits[i] / cap);
	for (int t = 0; t < r->tokens; t++) {
		double sum = 0;
		for (int i = 0; i < v; i++)
			sum += exp(logits[t * v + i]);
		loss += log(sum) - logits[t * v + r->b->batch[t / s * (s + 1) + t % s + 1]];
	}
	trit_free(x);
	trit_free(logits);
	return loss;
}

/* After a pass of the network. Returns the loss at the base point; w receives the weights. */
static double open_reference(struct reference *r, struct bench *b, double *w)
{
	const struct trit_config *c = &b->config;
	int widths[N_SITES] = { c->d_model, c->n_heads * c->head_dim, c->d_model, c->d_ff };
	*r = (struct reference){ .b = b, .tokens = b->n_seqs * b->seq_len, .freeze = true };
	r->w_offset = doubles(b->params.total);
	r->w = doubles(b->params.total);
	for (int l = 0; l < c->n_layers; l++)
		for (int i = 0; i < N_SITES; i++)
			r->x_offset[l][i] = doubles((size_t)(r->tokens * widths[i]));
	for (int i = 0; i < b->params.n && b->shape->kind == TRIT_WEIGHT_TERNARY; i++) {
		const struct trit_param *t = &b->params.list[i];
		double mean = 0;
		size_t n = t->rows * t->cols;
		for (size_t j = 0; j < n; j++)
			mean += fabs((double)b->params.w[t->offset + j]) / (double)n;
		for (size_t j = 0; j < n && t->kind == TRIT_KIND_LINEAR; j++) {
			double x = b->params.w[t->offset + j];
			r->w_offset[t->offset + j] = mean * (fabs(x) <= mean / 2 ? 0 : x > 0 ? 1 : -1) - x;
		}
	}
	for (size_t i = 0; i < b->params.total; i++)
		w[i] = b->params.w[i];
	double loss = reference_loss(r, w);
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

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* See test_net.c for the tolerance. */
#define TOLERANCE 2e-5

/* The derivative of the loss along a random direction of one tensor. */
static void check_tensor(struct reference *r, double *w, const struct trit_param *p)
{
	const double h = 1e-5;
	size_t n = p->rows * p->cols;
	const float *g = r->b->params.g + p->offset, *base = r->b->params.w + p->offset;
	double *direction = doubles(n), length = 0, norm2 = 0, got = 0, loss[2];
	char name[TRIT_TENSOR_NAME_BYTES];

	trit_param_name(name, p);
	for (size_t i = 0; i < n; i++) {
		direction[i] = trit_rng_normal(&r->b->rng);
		length += direction[i] * direction[i];
		norm2 += (double)g[i] * g[i];
	}
	if (p->id == TRIT_TENSOR_ROPE_FREQS) { /* not trained */
		assert_true(norm2 == 0);
		trit_free(direction);
		return;
	}
	assert_true(norm2 > 1e-8);
	for (size_t i = 0; i < n; i++) {
		direction[i] /= sqrt(length);
		got += g[i] * direction[i];
	}
	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < n; i++)
			w[p->offset + i] = base[i] + (k ? -h : h) * direction[i];
		loss[k] = reference_loss(r, w);
	}
	for (size_t i = 0; i < n; i++)
		w[p->offset + i] = base[i];
	double expected = (loss[0] - loss[1]) / (2 * h);
	if (!(fabs(got - expected) <= TOLERANCE * sqrt(norm2)))
		fail_msg("%s %d: %s: derivative %.9g, expected %.9g, gradient's norm %.3g", r->b->shape->arch,
		         (int)r->b->shape->kind, name, got, expected, sqrt(norm2));
	trit_free(direction);
}

static void test_gradients(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		struct bench b;
		struct reference r;
		open_bench(&b, &cases[i], TRIT_TIER_C, 1);
		double *w = doubles(b.params.total), loss = trit_net_step(&b.net, b.n_seqs, b.batch, NULL, 1);
		double expected = open_reference(&r, &b, w);
		if (!(fabs(loss / expected - 1) < 1e-6))
			fail_msg("%s: loss %.9g, expected %.9g", cases[i].arch, loss, expected);
		for (int j = 0; j < b.params.n; j++)
			check_tensor(&r, w, &b.params.list[j]);
		close_reference(&r);
		close_bench(&b);
		trit_free(w);
	}
}

/* The same bits on all tiers with any number of threads, whether activations are kept or computed again. */
static void test_same_bits(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		struct bench one, many;
		open_bench(&one, &cases[i], TRIT_TIER_C, 1);
		double loss = trit_net_step(&one.net, one.n_seqs, one.batch, NULL, 1);
		for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
			if (!trit_tier_here((enum trit_tier)tier))
				continue;
			open_bench_with(&many, &cases[i], (enum trit_tier)tier, 3, tier == TRIT_TIER_C);
			assert_true(trit_net_step(&many.net, many.n_seqs, many.batch, NULL, 1) == loss);
			if (memcmp(many.params.g, one.params.g, one.params.total * sizeof(float)))
				fail_msg("%s: other gradients on %s", cases[i].arch, trit_tier_name((enum trit_tier)tier));
			close_bench(&many);
		}
		close_bench(&one);
	}
}

/* ---- inference --------------------------------------------------------------------------------------------------- */

/* Whether there is a file whose network this is: sub-norms and rope_freqs are written, pairs stay. */
static double perplexity_loss(const char *path, const trit_token *tokens, int n_tokens, int n_ctx)
{
	struct trit_model_options o = { .head = "exact" };
	struct trit_perplexity_options p = { .n_ctx = n_ctx, .kv_type = TRIT_KV_F32, .n_threads = 2 };
	struct trit_perplexity result;
	struct trit_model *m;
	if (trit_model_open_with(&m, path, &o, &err) ||
	    trit_perplexity_measure(&result, m, (size_t)n_tokens, tokens, &p, &err))
		fail_msg("%s", err.message);
	trit_model_close(m);
	return result.nll / (double)result.count;
}

/* The loss that training measures is inference's of the same file. */
static void test_inference(void **state)
{
	enum { CTX = 72, CHUNKS = 3, SCORED = CTX - 1 - CTX / 2 };
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		struct trit_config c = config_of(&cases[i], 64, 96, 8);
		struct trit_source s = tiny_source(c, cases[i].kind == TRIT_WEIGHT_TERNARY);
		struct trit_export_options o = { .type = s.quantised ? TRIT_GGML_TQ2_0 : TRIT_GGML_F32,
			                         .embedding_type = TRIT_GGML_F32, .head_type = -1 };
		struct trit_model_file f;
		struct trit_params params;
		struct trit_kernels k;
		struct trit_net net;
		struct trit_pool *pool;
		trit_token tokens[CTX * CHUNKS];
		float weights[(CTX - 1) * CHUNKS];
		struct trit_rng rng;

		if (s.quantised) {
			c = s.config = config_of(&cases[i], 256, 256, 8);
			c.head_dim = s.config.head_dim = 32;
			c.n_rot = s.config.n_rot = 16;
		}
		if (trit_export("a.gguf", &s, &o, &err))
			fail_msg("%s: %s", cases[i].arch, err.message);
		assert_int_equal(trit_model_file_open(&f, "a.gguf", NULL, &err), 0);
		struct trit_config read;
		if (trit_config_read(&read, &f.gguf, &err))
			fail_msg("%s: %s", cases[i].arch, err.message);
		trit_kernels_fill(&k, trit_best_tier());
		assert_int_equal(trit_pool_new(&pool, 2, &err), 0);
		assert_int_equal(trit_params_init(&params, &read, &err), 0);
		assert_int_equal(trit_params_from_model(&params, &read, &f, &err), 0);
		struct trit_weight_method method = { cases[i].kind, TRIT_SCALE_TENSOR };
		assert_int_equal(trit_net_init(&net, &read, method, &params, &k, pool, CTX - 1, CHUNKS, NULL, &err), 0);
		trit_net_quantise(&net);
		trit_rng_init(&rng, 5);
		for (int t = 0; t < CTX * CHUNKS; t++)
			tokens[t] = (trit_token)trit_rng_below(&rng, (uint64_t)c.n_vocab);
		for (int t = 0; t < (CTX - 1) * CHUNKS; t++)
			weights[t] = t % (CTX - 1) >= CTX / 2;
		double loss = trit_net_loss(&net, CHUNKS, tokens, weights) / (SCORED * CHUNKS);
		double expected = perplexity_loss("a.gguf", tokens, CTX * CHUNKS, CTX);
		if (!(fabs(loss / expected - 1) < 1e-14)) /* both add up numbers of double precision */
			fail_msg("%s, case %d: loss %.17g, of inference %.17g", cases[i].arch, i, loss, expected);
		trit_net_release(&net);
		trit_params_release(&params);
		trit_pool_free(pool);
		trit_model_file_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_inference),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
