/*
 * kv.h - the KV cache of one sequence: rotated keys and values of every position so far, IEEE half.
 *
 *     k, v [L][K][n_ctx][A]: the positions of one head follow each other, as attention reads them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_KV_H
#define TRIT_MODEL_KV_H

#include "base/mem.h"
#include "model/config.h"

struct trit_kv {
	int n_ctx;  /* positions there is room for */
	int length; /* positions filled; the owner moves it after a forward pass */
	int n_kv_heads, head_dim;
	uint16_t *k, *v;
};

TRIT_MUST_CHECK int trit_kv_init(struct trit_kv *kv, const struct trit_config *c, int n_ctx, struct trit_error *err);
void trit_kv_release(struct trit_kv *kv);
/** Bytes trit_kv_init would take; SIZE_MAX when too large. */
size_t trit_kv_bytes(const struct trit_config *c, int n_ctx);

/** Element offset of (layer, head, position) in k and v. */
static inline size_t trit_kv_at(const struct trit_kv *kv, int layer, int head, int position)
{
	return (((size_t)layer * (size_t)kv->n_kv_heads + (size_t)head) * (size_t)kv->n_ctx + (size_t)position) *
	       (size_t)kv->head_dim;
}

#endif
