/*
 * attention.c - rotary embedding, the KV cache's filling, and attention: threads split tokens, then heads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/attention.h"

#include <math.h>

#include "model/rope.h"

void trit_attention_lay_out(struct trit_attention *a, struct trit_arena *arena)
{
	size_t angles = (size_t)a->n_ctx * (size_t)(a->config->n_rot / 2);
	a->cos = trit_arena_take(arena, angles, sizeof(float));
	a->sin = trit_arena_take(arena, angles, sizeof(float));
	a->scores = trit_arena_take(arena, (size_t)trit_pool_size(a->pool) * (size_t)a->n_ctx, sizeof(float));
}

void trit_attention_tables(struct trit_attention *a)
{
	trit_rope_table(a->cos, a->sin, a->config->rope_base, a->config->n_rot, a->n_ctx);
}

/* Rotates the queries and keys of one token and puts its keys and values into its cache. */
static void rotate_and_store(const struct trit_attention *a, float *qkv, const struct trit_batch_token *token,
                             int layer)
{
	const struct trit_config *c = a->config;
	size_t width = (size_t)c->head_dim;
	float *k = qkv + (size_t)c->n_heads * width, *v = k + (size_t)c->n_kv_heads * width;
	const float *cos = a->cos + (size_t)token->position * (size_t)(c->n_rot / 2);
	const float *sin = a->sin + (size_t)token->position * (size_t)(c->n_rot / 2);

	a->kernels->rope(qkv, cos, sin, c->n_heads, c->head_dim, c->n_rot, c->arch->rope_half, false);
	a->kernels->rope(k, cos, sin, c->n_kv_heads, c->head_dim, c->n_rot, c->arch->rope_half, false);
	for (int h = 0; h < c->n_kv_heads; h++) {
		size_t at = trit_kv_at(token->kv, layer, h, token->position);
		a->kernels->to_f16(token->kv->k + at, k + (size_t)h * width, c->head_dim);
		a->kernels->to_f16(token->kv->v + at, v + (size_t)h * width, c->head_dim);
	}
}

void trit_attention_run(const struct trit_attention *a, float *out, float *qkv, const struct trit_batch_token *tokens,
                        int n_tokens, int layer, int thread, int n_threads)
{
	const struct trit_config *c = a->config;
	size_t width = (size_t)c->head_dim, nq = (size_t)c->n_heads * width, nkv = (size_t)c->n_kv_heads * width;
	float scale = 1.0f / sqrtf((float)c->head_dim);
	float *scores = a->scores + (size_t)thread * (size_t)a->n_ctx;
	int share = c->n_heads / c->n_kv_heads;
	size_t t0, t1;

	trit_part((size_t)n_tokens, 1, thread, n_threads, &t0, &t1);
	for (size_t t = t0; t < t1; t++)
		rotate_and_store(a, qkv + t * (nq + 2 * nkv), &tokens[t], layer);
	trit_pool_barrier(a->pool);
	/* Pairs (token, head) are dealt in turn, since later tokens have more to read. */
	for (int i = thread; i < n_tokens * c->n_heads; i += n_threads) {
		int t = i / c->n_heads, h = i % c->n_heads;
		size_t at = trit_kv_at(tokens[t].kv, layer, h / share, 0);
		a->kernels->attend_f16(out + (size_t)t * nq + (size_t)h * width,
		                       qkv + (size_t)t * (nq + 2 * nkv) + (size_t)h * width, tokens[t].kv->k + at,
		                       tokens[t].kv->v + at, width, scores, scale, c->head_dim, tokens[t].position + 1);
	}
}
