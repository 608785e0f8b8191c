/*
 * net_memory.c - where everything of a network in training lies.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>
#include <math.h>

#include "model/rope.h"
#include "train/self_attention.h"
#include "train/net.h"

/* Tokens whose logits are held at a time: as many as these floats hold, and not so few that the head, which is read and
 * packed for each piece, takes longer than its products. */
#define LOGITS_FLOATS (4u << 20)
#define LOGITS_TOKENS 256

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* NULL: frozen. */
static float *gradient_of(const struct trit_net *net, const struct trit_param *p)
{
	return net->frozen ? NULL : net->params->g + p->offset;
}

static struct trit_net_norm norm_of(const struct trit_net *net, enum trit_tensor_id id, int layer)
{
	const struct trit_param *p = trit_params_find(net->params, id, layer);
	const struct trit_param *bias = trit_params_find_bias(net->params, id, layer);
	struct trit_net_norm norm = { 0 };
	if (p) {
		norm.w = net->params->w + p->offset;
		norm.dw = gradient_of(net, p);
	}
	if (bias) {
		norm.bias = net->params->w + bias->offset;
		norm.dbias = gradient_of(net, bias);
	}
	return norm;
}

static float *floats(struct trit_net *net, size_t rows, size_t cols)
{
	return trit_arena_take(&net->arena, rows * cols, sizeof(float));
}

static bool integer_backward(const struct trit_net *net)
{
	return net->kind != TRIT_WEIGHT_FULL && !net->frozen && net->options.backward != TRIT_BACKWARD_F32;
}

/* `first`: see bitlinear.h. integers: its backward products are bit_gradient.h's. */
static struct trit_bitlinear linear_of_param(struct trit_net *net, const struct trit_param *p, size_t first,
                                             bool integers)
{
	struct trit_bitlinear b = { .kind = net->kind, .scaling = net->scaling, .rows = (int)p->rows, .cols = (int)p->cols,
		                    .first = first, .w = net->params->w + p->offset, .dw = gradient_of(net, p) };
	if (net->kind == TRIT_WEIGHT_FULL) {
		b.wq = net->params->w + p->offset;
	} else {
		b.scales = floats(net, trit_scale_count(b.scaling, p->rows, p->cols), 1);
		b.codes = trit_arena_take(&net->arena, p->rows * p->cols, 1);
		b.t2 = trit_arena_take(&net->arena, trit_layout_bytes(TRIT_T2, p->rows, p->cols), 1);
		if (integers) {
			size_t run = trit_bitlinear_run(&b);
			b.t2_transposed = trit_arena_take(&net->arena, trit_layout_bytes(TRIT_T2, p->cols, p->rows), 1);
			if (b.scaling != TRIT_SCALE_TENSOR)
				b.column_scales = floats(net, (p->cols + run - 1) / run, p->rows);
		}
		/* frozen weights need no masters: their place takes what the codes stand for */
		if (net->frozen)
			b.wq = net->params->w + p->offset;
		else if (!integers || net->options.warms_up)
			b.wq = floats(net, p->rows, p->cols);
	}
	const struct trit_param *bias = trit_params_find_bias(net->params, p->id, p->layer);
	if (bias) {
		b.bias = net->params->w + bias->offset;
		b.dbias = gradient_of(net, bias);
	}
	return b;
}

static struct trit_bitlinear linear_of(struct trit_net *net, enum trit_tensor_id id, int layer, size_t first)
{
	return linear_of_param(net, trit_params_find(net->params, id, layer), first, integer_backward(net));
}

static struct trit_bit_input input_of(struct trit_net *net, size_t tokens, size_t width)
{
	struct trit_bit_input in = { .width = (int)width, .r = trit_arena_take(&net->arena, tokens, sizeof(float)) };
	if (net->kind != TRIT_WEIGHT_FULL) {
		in.q = trit_arena_take(&net->arena, tokens * trit_q_padded(width), 1);
		in.step = trit_arena_take(&net->arena, tokens, sizeof(float));
		in.sum = trit_arena_take(&net->arena, tokens, sizeof(int32_t));
	}
	return in;
}

/* What only some architectures keep. */
static void keep_parts(struct trit_net *net, struct trit_net_layer *l, size_t tokens)
{
	const struct trit_config *c = net->config;
	size_t d = (size_t)c->d_model, heads = (size_t)(c->n_heads + c->n_kv_heads);
	if (c->qk_norms != TRIT_QK_PLAIN) {
		l->head_norms.x = floats(net, tokens, heads * (size_t)c->head_dim);
		l->head_norms.r = floats(net, tokens, heads);
	}
	if (c->arch->post_norms) {
		l->att_out = floats(net, tokens, d);
		l->ffn_out = floats(net, tokens, d);
		l->att_out_r = floats(net, tokens, 1);
		l->ffn_out_r = floats(net, tokens, 1);
	}
}

/* ---- experts ----------------------------------------------------------------------------------------------------- */

static struct trit_expert_weights expert_of(struct trit_net *net, int layer, int expert)
{
	static const enum trit_tensor_id own[] = { TRIT_TENSOR_FFN_GATE_EXPS, TRIT_TENSOR_FFN_UP_EXPS,
		                                   TRIT_TENSOR_FFN_DOWN_EXPS };
	static const enum trit_tensor_id shared[] = { TRIT_TENSOR_FFN_GATE_SHEXP, TRIT_TENSOR_FFN_UP_SHEXP,
		                                      TRIT_TENSOR_FFN_DOWN_SHEXP };
	bool is_shared = expert == net->config->moe.n_experts;
	const enum trit_tensor_id *ids = is_shared ? shared : own;
	int which = is_shared ? 0 : expert;
	struct trit_expert_weights w = {
		.gate = linear_of_param(net, trit_params_find_expert(net->params, ids[0], layer, which), 0, false),
		.up = linear_of_param(net, trit_params_find_expert(net->params, ids[1], layer, which), 0, false),
		.down = linear_of_param(net, trit_params_find_expert(net->params, ids[2], layer, which), 0, false),
	};
	struct trit_net_norm norm = norm_of(net, is_shared ? TRIT_TENSOR_FFN_SUB_NORM_SHEXP : TRIT_TENSOR_FFN_SUB_NORM_EXPS,
	                                    layer);
	if (norm.w) {
		w.sub_norm = norm.w + (size_t)which * (size_t)w.down.cols;
		w.d_sub_norm = norm.dw + (size_t)which * (size_t)w.down.cols;
	}
	return w;
}

static int *ints(struct trit_net *net, size_t n)
{
	return trit_arena_take(&net->arena, n, sizeof(int));
}

static void lay_out_experts(struct trit_net *net, struct trit_experts *e, int layer)
{
	const struct trit_moe_config *moe = &net->config->moe;
	struct trit_net_norm router = norm_of(net, TRIT_TENSOR_FFN_ROUTER, layer);
	e->router = router.w;
	e->d_router = router.dw;
	e->list = trit_arena_take(&net->arena, (size_t)trit_moe_experts(moe), sizeof *e->list);
	for (int i = 0; i < trit_moe_experts(moe); i++) {
		struct trit_expert_weights w = expert_of(net, layer, i);
		if (e->list)
			e->list[i] = w;
	}
	e->load = trit_arena_take(&net->arena, (size_t)moe->n_experts, sizeof *e->load);
}

static void keep_experts(struct trit_net *net, struct trit_experts *e, size_t tokens)
{
	const struct trit_moe_config *moe = &net->config->moe;
	size_t n = (size_t)moe->n_experts, slots = tokens * (size_t)trit_moe_slots(moe), d = (size_t)net->config->d_model;
	size_t f = (size_t)moe->d_ff;
	e->p = floats(net, tokens, n);
	e->log_z = floats(net, tokens, 1);
	e->chosen = ints(net, slots);
	e->weights = floats(net, slots, 1);
	e->slots = (struct trit_moe_slots){ ints(net, (size_t)trit_moe_experts(moe) + 1), ints(net, slots),
		                            floats(net, slots, 1) };
	e->slot_of = ints(net, slots);
	e->g = floats(net, slots, f);
	e->u = floats(net, slots, f);
	e->y = floats(net, slots, d);
	e->in = input_of(net, slots, d);
	e->in_down = input_of(net, slots, f);
}

static struct trit_experts_work experts_work(struct trit_net *net, size_t tokens)
{
	const struct trit_config *c = net->config;
	size_t slots = tokens * (size_t)trit_moe_slots(&c->moe), d = (size_t)c->d_model, f = (size_t)c->moe.d_ff;
	struct trit_experts_work w = { .moe = &c->moe, .d = c->d_model, .f = c->moe.d_ff, .eps = c->eps,
		                       .relu2 = c->arch->activation == TRIT_ACT_RELU2, .ld = max_size(d, f),
		                       .balance = net->experts.balance, .z_loss = net->experts.z_loss };
	w.xd = floats(net, slots, w.ld);
	w.h = floats(net, slots, f);
	w.dh = floats(net, slots, f);
	w.dy = floats(net, slots, d);
	w.dn = floats(net, slots, w.ld);
	w.dw = floats(net, slots, 1);
	w.ds = floats(net, tokens, (size_t)c->moe.n_experts);
	w.seen = ints(net, tokens);
	return w;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* What a layer's forward pass keeps for its backward pass, but for its input. */
static void keep(struct trit_net *net, struct trit_net_layer *l, size_t tokens)
{
	const struct trit_config *c = net->config;
	size_t d = (size_t)c->d_model, ff = c->moe.n_experts ? 0 : (size_t)c->d_ff;
	size_t nq = trit_config_q_width(c), nqkv = nq + 2 * trit_config_kv_width(c);
	l->qkv = floats(net, tokens, nqkv);
	l->att = floats(net, tokens, nq);
	l->log_sum = floats(net, tokens, (size_t)c->n_heads);
	l->mid = floats(net, tokens, d);
	l->g = floats(net, tokens, ff);
	l->u = floats(net, tokens, ff);
	l->in_qkv = input_of(net, tokens, d);
	l->in_o = input_of(net, tokens, nq);
	l->in_ffn = input_of(net, tokens, d);
	l->in_down = input_of(net, tokens, ff);
	keep_parts(net, l, tokens);
	if (c->moe.n_experts)
		keep_experts(net, &l->experts, tokens);
}

static void lay_out_weights(struct trit_net *net, struct trit_net_layer *l, int i)
{
	const struct trit_config *c = net->config;
	size_t nq = trit_config_q_width(c), nqkv = nq + 2 * trit_config_kv_width(c);
	bool windowed = trit_config_window(c, i) > 0;
	l->attn_norm = norm_of(net, TRIT_TENSOR_ATTN_NORM, i);
	l->attn_sub_norm = norm_of(net, TRIT_TENSOR_ATTN_SUB_NORM, i);
	l->attn_post_norm = norm_of(net, TRIT_TENSOR_ATTN_POST_NORM, i);
	l->ffn_norm = norm_of(net, TRIT_TENSOR_FFN_NORM, i);
	l->ffn_sub_norm = norm_of(net, TRIT_TENSOR_FFN_SUB_NORM, i);
	l->ffn_post_norm = norm_of(net, TRIT_TENSOR_FFN_POST_NORM, i);
	l->head_norms.config = c;
	l->head_norms.q = norm_of(net, TRIT_TENSOR_ATTN_Q_NORM, i);
	l->head_norms.k = norm_of(net, TRIT_TENSOR_ATTN_K_NORM, i);
	l->window = trit_config_window(c, i);
	l->cos = net->cos[windowed];
	l->sin = net->sin[windowed];
	l->q = linear_of(net, TRIT_TENSOR_ATTN_Q, i, 0);
	l->k = linear_of(net, TRIT_TENSOR_ATTN_K, i, nq);
	l->v = linear_of(net, TRIT_TENSOR_ATTN_V, i, (nq + nqkv) / 2);
	l->o = linear_of(net, TRIT_TENSOR_ATTN_OUTPUT, i, 0);
	if (c->moe.n_experts) {
		lay_out_experts(net, &l->experts, i);
		return;
	}
	l->gate = linear_of(net, TRIT_TENSOR_FFN_GATE, i, 0);
	l->up = linear_of(net, TRIT_TENSOR_FFN_UP, i, (size_t)c->d_ff);
	l->down = linear_of(net, TRIT_TENSOR_FFN_DOWN, i, 0);
}

/* With recomputation all layers keep in the same place. */
static void lay_out_layers(struct trit_net *net, size_t tokens)
{
	struct trit_net_layer kept = { 0 };
	for (int i = 0; i < net->config->n_layers; i++) {
		struct trit_net_layer l = kept;
		size_t begin = net->arena.used;
		lay_out_weights(net, &l, i);
		size_t middle = net->arena.used;
		l.x = floats(net, tokens, (size_t)net->config->d_model);
		if (i == 0 || !net->options.recompute)
			keep(net, &l, tokens);
		if (i == 0 && net->options.recompute)
			kept = l;
		if (net->layers)
			net->layers[i] = l;
		net->bytes.weights += middle - begin;
		net->bytes.activations += net->arena.used - middle;
	}
}

/* Takes every buffer from the arena and points weights and gradients at the parameters. Runs twice: over an empty arena
 * to measure, then to place (base/mem.h). */
static void lay_out(struct trit_net *net)
{
	const struct trit_config *c = net->config;
	size_t tokens = (size_t)net->max_seqs * (size_t)net->seq_len, threads = (size_t)trit_pool_size(net->pool);
	size_t d = (size_t)c->d_model, ff = c->moe.n_experts ? 0 : (size_t)c->d_ff, v = (size_t)c->n_vocab;
	size_t nq = trit_config_q_width(c), nqkv = nq + 2 * trit_config_kv_width(c);
	size_t widest = trit_config_widest(c), angles = (size_t)net->seq_len * (size_t)(c->n_rot / 2);

	for (int i = 0; i < 2; i++) {
		bool same = i && !c->window_rope_base;
		net->cos[i] = same ? net->cos[0] : floats(net, angles, 1);
		net->sin[i] = same ? net->sin[0] : floats(net, angles, 1);
	}
	net->layers = trit_arena_take(&net->arena, (size_t)c->n_layers, sizeof *net->layers);
	if (c->moe.n_experts)
		net->experts = experts_work(net, tokens);
	net->bytes = (struct trit_net_bytes){ 0 };
	lay_out_layers(net, tokens);

	const struct trit_param *embd = trit_params_find(net->params, TRIT_TENSOR_TOKEN_EMBD, 0);
	const struct trit_param *head = c->tied ? embd : trit_params_find(net->params, TRIT_TENSOR_OUTPUT, 0);
	net->embd = net->params->w + embd->offset;
	net->d_embd = gradient_of(net, embd);
	net->head = net->params->w + head->offset;
	net->d_head = gradient_of(net, head);
	net->output_norm = norm_of(net, TRIT_TENSOR_OUTPUT_NORM, 0);

	size_t chunk = max_size(LOGITS_FLOATS / v, LOGITS_TOKENS);
	net->head_chunk = (int)(chunk < tokens ? chunk : tokens);
	net->x = floats(net, tokens, d);
	net->r = floats(net, tokens, 1);
	net->ldn = widest;
	net->xn = floats(net, tokens, net->ldn);
	net->dx = floats(net, tokens, d);
	net->dn = floats(net, tokens, widest);
	net->h = floats(net, tokens, ff);
	net->dh = floats(net, tokens, ff);
	net->datt = floats(net, tokens, nq);
	net->dqkv = floats(net, tokens, nqkv);
	if (c->qk_norms != TRIT_QK_PLAIN)
		net->dqk = floats(net, tokens, nqkv);
	if (c->arch->post_norms)
		net->dout = floats(net, tokens, d);
	if (c->arch->norm == TRIT_NORM_LAYER)
		net->centred = floats(net, tokens, widest);
	if (c->logit_softcap)
		net->capped = floats(net, threads, v);
	net->logits = floats(net, (size_t)net->head_chunk, v);
	net->losses = trit_arena_take(&net->arena, tokens, sizeof *net->losses);
	net->thread_scratch = trit_self_attention_scratch(net->seq_len, c->head_dim, c->n_heads / c->n_kv_heads);
	if (integer_backward(net)) {
		trit_bit_gradient_lay_out(&net->gradient, &net->arena, net->options.backward == TRIT_BACKWARD_INT8 ? 1 : 2,
		                          tokens, widest, max_size(nqkv, max_size(2 * ff, d)), (int)threads);
		net->thread_scratch = max_size(net->thread_scratch, trit_bit_gradient_scratch(&net->gradient, tokens, widest));
	}
	net->thread_scratch = (net->thread_scratch + 15) / 16 * 16;
	net->scratch = floats(net, threads, net->thread_scratch);
	net->codes_stride = max_size(trit_config_ff_width(c), nq) * d;
	net->codes = trit_arena_take(&net->arena, threads * net->codes_stride, 1);
}

void trit_net_tables(struct trit_net *net, const float *divisors)
{
	const struct trit_config *c = net->config;
	trit_rope_table(net->cos[0], net->sin[0], c->rope_base, c->n_rot, net->seq_len, &c->rope_scaling, divisors);
	if (c->window_rope_base)
		trit_rope_table(net->cos[1], net->sin[1], c->window_rope_base, c->n_rot, net->seq_len, NULL, NULL);
	net->tables_done = divisors != NULL;
}

int trit_net_init(struct trit_net *net, const struct trit_config *c, struct trit_weight_method method,
                  const struct trit_params *params, const struct trit_kernels *k, struct trit_pool *pool, int seq_len,
                  int max_seqs, const struct trit_net_options *options, struct trit_error *err)
{
	*net = (struct trit_net){ .config = c, .kernels = k, .pool = pool, .params = params,
		                  .kind = method.kind, .scaling = method.scaling, .lambda = 1, .seq_len = seq_len,
		                  .max_seqs = max_seqs, .frozen = !params->g };
	if (options)
		net->options = *options;
	size_t widest = trit_config_widest(c) * (size_t)(c->moe.n_experts ? trit_moe_slots(&c->moe) : 1);
	int e = trit_net_check(c, err);
	if (!e && net->frozen && c->moe.n_experts)
		e = trit_fail(err, TRIT_ERR_UNSUPPORTED, "adapters are not trained in mixtures of experts; train all weights");
	if (e)
		return e;
	if ((uint64_t)max_seqs * (uint64_t)seq_len > INT_MAX / widest) /* kernels count elements in int */
		return trit_fail(err, TRIT_ERR_ARG, "%d x %d tokens are too many at once; choose less --micro-batch", max_seqs,
		                 seq_len);
	if (integer_backward(net) && (size_t)max_seqs * (size_t)seq_len > TRIT_MAX_COLS)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "%d x %d tokens are too many at once for a backward pass in integers; choose less "
		                 "--micro-batch, or --backward f32", max_seqs, seq_len);
	lay_out(net);
	e = trit_arena_alloc(&net->arena, "training (a smaller --micro-batch or --seq-len needs less)", err);
	if (e)
		return e;
	lay_out(net);
	net->score_scale = c->score_scale ? c->score_scale : 1.0f / sqrtf((float)c->head_dim);
	trit_net_tables(net, NULL);
	return TRIT_OK;
}

void trit_net_release(struct trit_net *net)
{
	trit_arena_release(&net->arena);
	*net = (struct trit_net){ 0 };
}

struct trit_net_bytes trit_net_bytes(const struct trit_net *net, int max_seqs, bool recompute)
{
	struct trit_net other = *net;
	other.arena = (struct trit_arena){ 0 };
	other.max_seqs = max_seqs;
	other.options.recompute = recompute;
	lay_out(&other); /* measures */
	other.bytes.all = other.arena.used;
	return other.bytes;
}
