/*
 * kv.h - the KV cache of one sequence: rotated keys and values of every position so far.
 *
 *     pages [L][n_pages][K]: keys and values of one head at TRIT_KV_PAGE positions each; a page's inside is in
 *     kernel/kv_page.h and int_attention.h
 *
 * Pages of later positions come last in a layer, and memory is the system's until it is first written: a large cache
 * costs what is in use (rounded up to huge pages, where the system has them).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_KV_H
#define TRIT_MODEL_KV_H

#include "base/mem.h"
#include "kernel/kernel.h"
#include "model/config.h"

struct trit_kv {
	enum trit_kv_type type;
	int n_ctx;  /* positions there is room for */
	int length; /* positions filled; the owner moves it after a forward pass */
	int n_kv_heads, n_pages;
	size_t page_bytes;
	unsigned char *pages;
};

TRIT_MUST_CHECK int trit_kv_init(struct trit_kv *kv, const struct trit_config *c, enum trit_kv_type type, int n_ctx,
                                 struct trit_error *err);
void trit_kv_release(struct trit_kv *kv);
/** Bytes trit_kv_init would take; SIZE_MAX when too large. */
size_t trit_kv_bytes(const struct trit_config *c, enum trit_kv_type type, int n_ctx);

/** Bytes from a head's page to its next. */
static inline size_t trit_kv_stride(const struct trit_kv *kv)
{
	return (size_t)kv->n_kv_heads * kv->page_bytes;
}
/** The first page of a head. */
static inline unsigned char *trit_kv_pages(const struct trit_kv *kv, int layer, int head)
{
	return kv->pages + (size_t)layer * (size_t)kv->n_pages * trit_kv_stride(kv) + (size_t)head * kv->page_bytes;
}

#endif
