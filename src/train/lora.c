/*
 * lora.c - low-rank adapters: memory, and the parts of a pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/lora.h"

#include <math.h>

#include "train/bitlinear.h"

const char *const trit_lora_set_names[] = { "all", "attention", "feed-forward", "query-value", NULL };
const unsigned trit_lora_sets[] = { 0x7f, 0x0f, 0x70, 0x05 };

enum trit_tensor_id trit_lora_tensor(int i)
{
	static const enum trit_tensor_id ids[TRIT_LORA_LINEARS] = {
		TRIT_TENSOR_ATTN_Q,   TRIT_TENSOR_ATTN_K, TRIT_TENSOR_ATTN_V,  TRIT_TENSOR_ATTN_OUTPUT,
		TRIT_TENSOR_FFN_GATE, TRIT_TENSOR_FFN_UP, TRIT_TENSOR_FFN_DOWN
	};
	return ids[i];
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The list of A and B of every adapter; NULL: only counts. */
static void list_params(struct trit_lora *l, const struct trit_config *c)
{
	struct trit_params *p = l->params;
	p->n = 0;
	p->total = 0;
	for (int layer = 0; layer < c->n_layers; layer++)
		for (int i = 0; i < TRIT_LORA_LINEARS; i++) {
			size_t rows, cols, rank = (size_t)l->rank;
			if (!(l->targets >> i & 1))
				continue;
			trit_tensor_shape(c, trit_lora_tensor(i), &rows, &cols);
			for (int b = 0; b < 2; b++) {
				struct trit_param t = { .id = trit_lora_tensor(i), .layer = layer, .rows = b ? rows : rank,
					                    .cols = b ? rank : cols, .offset = p->total,
					                    .kind = TRIT_KIND_LINEAR,
					                    .adapter = b ? "weight.lora_b" : "weight.lora_a" };
				if (p->list)
					p->list[p->n] = t;
				p->n++;
				p->total += (t.rows * t.cols + 15) / 16 * 16;
			}
		}
	l->n = p->n;
	trit_params_list_head(p, c);
}

static int init_params(struct trit_lora *l, const struct trit_config *c, struct trit_error *err)
{
	struct trit_params *p = l->params;
	list_params(l, c);
	p->list = trit_calloc((size_t)p->n, sizeof *p->list);
	if (!p->list)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of adapters");
	list_params(l, c);
	return trit_params_alloc(p, err);
}

static float *floats(struct trit_lora *l, size_t rows, size_t cols)
{
	return trit_arena_take(&l->arena, rows * cols, sizeof(float));
}

/* Runs twice, to measure and to place (base/mem.h). */
static void lay_out(struct trit_lora *l, const struct trit_config *c, size_t tokens)
{
	size_t rank = (size_t)l->rank;
	float *dh[TRIT_LORA_LINEARS]; /* at work in one layer at a time */
	int param = 0;
	l->linears = trit_arena_take(&l->arena, (size_t)c->n_layers * TRIT_LORA_LINEARS, sizeof *l->linears);
	for (int i = 0; i < TRIT_LORA_LINEARS; i++)
		dh[i] = l->targets >> i & 1 ? floats(l, tokens, rank) : NULL;
	for (int layer = 0; layer < c->n_layers; layer++)
		for (int i = 0; i < TRIT_LORA_LINEARS; i++) {
			if (!(l->targets >> i & 1))
				continue;
			const struct trit_param *a = &l->params->list[param++], *b = &l->params->list[param++];
			struct trit_lora_linear linear = { .rank = l->rank, .rows = (int)b->rows, .cols = (int)a->cols,
				                               .scale = l->alpha / (float)l->rank, .a = l->params->w + a->offset,
				                               .b = l->params->w + b->offset, .da = l->params->g + a->offset,
				                               .db = l->params->g + b->offset, .h = floats(l, tokens, rank),
				                               .dh = dh[i] };
			if (l->linears)
				l->linears[layer * TRIT_LORA_LINEARS + i] = linear;
		}
}

/* A uniform within +-1 / sqrt(K), as the published code has it. */
static void randomise(struct trit_lora *l, uint64_t seed)
{
	struct trit_rng rng;
	trit_rng_init(&rng, seed);
	for (int i = 0; i < l->n; i += 2) {
		const struct trit_param *a = &l->params->list[i];
		float bound = 1 / sqrtf((float)a->cols);
		for (size_t j = 0; j < a->rows * a->cols; j++)
			l->params->w[a->offset + j] = bound * (2 * trit_rng_uniform(&rng) - 1);
	}
}

int trit_lora_init(struct trit_lora *l, struct trit_params *params, const struct trit_config *c, int rank,
                   float alpha, unsigned targets, size_t tokens, uint64_t seed, struct trit_error *err)
{
	*l = (struct trit_lora){ .rank = rank, .alpha = alpha, .targets = targets, .params = params };
	*params = (struct trit_params){ 0 };
	if (rank < 1 || rank > c->d_model)
		return trit_fail(err, TRIT_ERR_ARG, "a rank of %d; from 1 to the model's width of %d make sense", rank,
		                 c->d_model);
	int e = init_params(l, c, err);
	if (!e) {
		lay_out(l, c, tokens);
		e = trit_arena_alloc(&l->arena, "adapters (a smaller --micro-batch or --lora needs less)", err);
	}
	if (e) {
		trit_params_release(params);
		trit_lora_release(l);
		return e;
	}
	lay_out(l, c, tokens);
	randomise(l, seed);
	return TRIT_OK;
}

void trit_lora_release(struct trit_lora *l)
{
	trit_arena_release(&l->arena);
	*l = (struct trit_lora){ 0 };
}

size_t trit_lora_bytes(const struct trit_lora *l)
{
	return l->arena.size;
}

/* ---- parts of a pass --------------------------------------------------------------------------------------------- */

/* y += s B h, tokens t0..t1, as model/forward.c does it. The rows of a matrix fit the scratch memory (config.c). */
static void add_as_inference(const struct trit_lora_linear *l, const struct trit_kernels *k, float *y, size_t ldy,
                             int t0, int t1, float *scratch)
{
	size_t rank = (size_t)l->rank;
	for (size_t t = (size_t)t0; t < (size_t)t1; t++) {
		k->gemm_dense[TRIT_DENSE_F32](scratch, (size_t)l->rows, l->b, l->h + t * rank, rank, l->rows, 1, l->rank);
		k->add_scaled(y + t * ldy, scratch, l->scale, l->rows);
	}
}

void trit_lora_forward(const struct trit_lora_linear *l, const struct trit_kernels *k, float *y, size_t ldy,
                       const float *x, size_t ldx, int t0, int t1, bool measured, float *scratch)
{
	size_t rank = (size_t)l->rank, t = (size_t)t0;
	float *h = l->h + t * rank;
	if (t1 <= t0)
		return;
	trit_dense_forward(k, h, rank, l->a, x + t * ldx, ldx, l->rank, t1 - t0, l->cols, measured, scratch);
	if (measured) {
		add_as_inference(l, k, y, ldy, t0, t1, scratch);
		return;
	}
	k->scale(h, l->scale, (t1 - t0) * l->rank);
	k->gemm_f32(y + t * ldy, ldy, h, rank, 1, l->b, 1, rank, t1 - t0, l->rows, l->rank, true, scratch);
}

void trit_lora_backward_x(const struct trit_lora_linear *l, const struct trit_kernels *k, float *dx, const float *dy,
                          size_t ldy, int t0, int t1, float *scratch)
{
	size_t rank = (size_t)l->rank, cols = (size_t)l->cols, t = (size_t)t0;
	float *dh = l->dh + t * rank;
	if (t1 <= t0)
		return;
	k->gemm_f32(dh, rank, dy + t * ldy, ldy, 1, l->b, rank, 1, t1 - t0, l->rank, l->rows, false, scratch);
	k->scale(dh, l->scale, (t1 - t0) * l->rank);
	k->gemm_f32(dx + t * cols, cols, dh, rank, 1, l->a, cols, 1, t1 - t0, l->cols, l->rank, true, scratch);
}

void trit_lora_backward_w(const struct trit_lora_linear *l, const struct trit_kernels *k, const float *dy, size_t ldy,
                          const float *x, size_t ldx, int tokens, int index, int threads, float *scratch)
{
	size_t rank = (size_t)l->rank, r0, r1, c0, c1;
	trit_part((size_t)l->rows, 16, index, threads, &r0, &r1);
	trit_part((size_t)l->cols, 16, index, threads, &c0, &c1);
	if (r1 > r0)
		k->gemm_f32(l->db + r0 * rank, rank, dy + r0, 1, ldy, l->h, rank, 1, (int)(r1 - r0), l->rank, tokens, true,
		            scratch);
	if (c1 > c0)
		k->gemm_f32(l->da + c0, (size_t)l->cols, l->dh, 1, rank, x + c0, ldx, 1, l->rank, (int)(c1 - c0), tokens, true,
		            scratch);
}
