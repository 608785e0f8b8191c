/*
 * kv.c - allocates the KV cache.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/kv.h"

/* Elements of k (and of v); false when they do not fit. */
static bool kv_elements(const struct trit_config *c, int n_ctx, size_t *n)
{
	size_t heads;
	return trit_mul_size(&heads, (size_t)c->n_layers * (size_t)c->n_kv_heads, (size_t)c->head_dim) &&
	       trit_mul_size(n, heads, (size_t)n_ctx);
}

size_t trit_kv_bytes(const struct trit_config *c, int n_ctx)
{
	size_t n, bytes;
	return kv_elements(c, n_ctx, &n) && trit_mul_size(&bytes, n, 2 * sizeof(uint16_t)) ? bytes : SIZE_MAX;
}

int trit_kv_init(struct trit_kv *kv, const struct trit_config *c, int n_ctx, struct trit_error *err)
{
	size_t n;
	*kv = (struct trit_kv){ .n_ctx = n_ctx, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim };
	if (kv_elements(c, n_ctx, &n)) {
		kv->k = trit_calloc(n, sizeof *kv->k);
		kv->v = trit_calloc(n, sizeof *kv->v);
	}
	if (kv->k && kv->v)
		return TRIT_OK;
	trit_kv_release(kv);
	return trit_fail(err, TRIT_ERR_MEMORY,
	                 "not enough memory for a KV cache of %d positions (%.0f MiB); use a smaller context", n_ctx,
	                 (double)trit_kv_bytes(c, n_ctx) / 1048576.0);
}

void trit_kv_release(struct trit_kv *kv)
{
	trit_free(kv->k);
	trit_free(kv->v);
	*kv = (struct trit_kv){ 0 };
}
