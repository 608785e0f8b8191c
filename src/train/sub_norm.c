/*
 * sub_norm.c - one pass of the model without sub-norms, and the means of what they are to norm.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/sub_norm.h"

#include <math.h>

struct fit {
	struct trit_params *params;
	struct trit_net net;
	float *row; /* of the widest input of a sub-norm */
};

static void remove_sub_norms(struct trit_net *net)
{
	for (int i = 0; i < net->config->n_layers; i++) {
		struct trit_net_layer *l = &net->layers[i];
		l->attn_sub_norm = l->ffn_sub_norm = (struct trit_net_norm){ 0 };
		for (int e = 0; net->config->moe.n_experts && e < trit_moe_experts(&net->config->moe); e++)
			l->experts.list[e].sub_norm = NULL;
	}
}

/* Of the row, as the norm will divide by it. */
static double rms(const struct fit *f, size_t width)
{
	const struct trit_kernels *k = f->net.kernels;
	if (f->net.config->arch->norm == TRIT_NORM_LAYER)
		trit_centre(k, f->row, (int)width);
	return sqrt((double)k->sum_squares(f->row, (int)width) / (double)width);
}

static void set(const struct fit *f, enum trit_tensor_id id, int layer, double mean)
{
	const struct trit_param *p = trit_params_find(f->params, id, layer);
	for (size_t i = 0; p && isfinite(mean) && mean > 0 && i < p->rows * p->cols; i++)
		f->params->w[p->offset + i] = (float)mean;
}

/* Of the output of attention. */
static void fit_attention(const struct fit *f, int layer)
{
	size_t width = trit_config_q_width(f->net.config);
	double sum = 0;
	for (int t = 0; t < f->net.tokens; t++) {
		memcpy(f->row, f->net.layers[layer].att + (size_t)t * width, width * sizeof *f->row);
		sum += rms(f, width);
	}
	set(f, TRIT_TENSOR_ATTN_SUB_NORM, layer, sum / f->net.tokens);
}

/* Of the products of activated gate and up, rows a..b. */
static void fit_ffn(const struct fit *f, enum trit_tensor_id id, int layer, const float *gate, const float *up,
                    size_t width, int a, int b)
{
	trit_silu_mul_fn *mul = trit_activation_mul(f->net.kernels, f->net.config->arch->activation);
	double sum = 0;
	for (size_t i = (size_t)a; i < (size_t)b; i++) {
		mul(f->row, gate + i * width, up + i * width, (int)width);
		sum += rms(f, width);
	}
	set(f, id, layer, sum / (b - a));
}

static void fit_layer(const struct fit *f, int layer)
{
	const struct trit_config *c = f->net.config;
	const struct trit_net_layer *l = &f->net.layers[layer];
	const struct trit_experts *e = &l->experts;
	size_t width = (size_t)c->moe.d_ff;
	fit_attention(f, layer);
	if (!c->moe.n_experts) {
		fit_ffn(f, TRIT_TENSOR_FFN_SUB_NORM, layer, l->g, l->u, (size_t)c->d_ff, 0, f->net.tokens);
		return;
	}
	const int *first = e->slots.first + c->moe.n_experts; /* of the shared expert */
	fit_ffn(f, TRIT_TENSOR_FFN_SUB_NORM_EXPS, layer, e->g, e->u, width, 0, first[0]);
	if (c->moe.d_ff_shared)
		fit_ffn(f, TRIT_TENSOR_FFN_SUB_NORM_SHEXP, layer, e->g, e->u, width, first[0], first[1]);
}

int trit_sub_norms_fit(struct trit_params *p, const struct trit_config *c, const struct trit_kernels *k,
                       struct trit_pool *pool, int seq_len, int n, const trit_token *batch, const int *starts,
                       struct trit_error *err)
{
	const struct trit_weight_method full = { TRIT_WEIGHT_FULL, TRIT_SCALE_TENSOR };
	struct fit f = { .params = p };
	int e = trit_net_init(&f.net, c, full, p, k, pool, seq_len, n, NULL, err);
	if (e)
		return e;
	f.row = trit_calloc(trit_config_widest(c), sizeof *f.row);
	if (f.row) {
		remove_sub_norms(&f.net);
		trit_net_quantise(&f.net);
		f.net.starts = starts;
		trit_net_loss(&f.net, n, batch, NULL);
		for (int i = 0; i < c->n_layers; i++)
			fit_layer(&f, i);
	} else {
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to begin with sub-norms");
	}
	trit_free(f.row);
	trit_net_release(&f.net);
	return e;
}
