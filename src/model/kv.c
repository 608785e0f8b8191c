/*
 * kv.c - allocates the KV cache.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/kv.h"

#include "model/int_attention.h"

static size_t page_bytes(enum trit_kv_type type, int width)
{
	return type == TRIT_KV_Q8 ? trit_int_page_bytes(width) : trit_kv_page_bytes(type, width);
}

static int n_pages(int n_ctx)
{
	return n_ctx / TRIT_KV_PAGE + (n_ctx % TRIT_KV_PAGE > 0);
}

size_t trit_kv_bytes(const struct trit_config *c, enum trit_kv_type type, int n_ctx)
{
	size_t pages = (size_t)c->n_layers * (size_t)n_pages(n_ctx), bytes;
	return trit_mul_size(&pages, pages, (size_t)c->n_kv_heads) &&
	               trit_mul_size(&bytes, pages, page_bytes(type, c->head_dim))
	           ? bytes
	           : SIZE_MAX;
}

int trit_kv_init(struct trit_kv *kv, const struct trit_config *c, enum trit_kv_type type, int n_ctx,
                 struct trit_error *err)
{
	*kv = (struct trit_kv){ .type = type, .n_ctx = n_ctx, .n_kv_heads = c->n_kv_heads, .n_pages = n_pages(n_ctx),
		                .page_bytes = page_bytes(type, c->head_dim) };
	kv->pages = trit_calloc(trit_kv_bytes(c, type, n_ctx), 1);
	if (kv->pages)
		return TRIT_OK;
	*kv = (struct trit_kv){ 0 };
	return trit_fail(err, TRIT_ERR_MEMORY,
	                 "not enough memory for a KV cache of %d positions (%.0f MiB); use a smaller context%s", n_ctx,
	                 (double)trit_kv_bytes(c, type, n_ctx) / 1048576.0,
	                 type == TRIT_KV_F16 ? " or --kv-type q8" : "");
}

void trit_kv_release(struct trit_kv *kv)
{
	trit_free(kv->pages);
	*kv = (struct trit_kv){ 0 };
}
