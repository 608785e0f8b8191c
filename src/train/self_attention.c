/*
 * self_attention.c - causal attention of training by blocks of queries.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/self_attention.h"

#include "train/net_parts.h"

enum { BLOCK = TRIT_ATTENTION_BLOCK };

size_t trit_self_attention_scratch(int positions, int width)
{
	size_t s = ((size_t)positions + 15) / 16 * 16, a = ((size_t)width + 15) / 16 * 16;
	return TRIT_GEMM_SCRATCH + BLOCK * (3 * s + a);
}

struct scratch {
	float *gemm, *p, *ds, *q; /* TRIT_GEMM_SCRATCH; [BLOCK, S] twice; [BLOCK, A] */
	float *capped;            /* [BLOCK, S] scores, where they are capped */
	size_t ld;                /* of p, ds and capped */
};

static struct scratch divide(const struct trit_self_attention *a, float *memory)
{
	struct scratch s = { .gemm = memory, .ld = ((size_t)a->positions + 15) / 16 * 16 };
	s.p = memory + TRIT_GEMM_SCRATCH;
	s.ds = s.p + BLOCK * s.ld;
	s.capped = s.ds + BLOCK * s.ld;
	s.q = s.capped + BLOCK * s.ld;
	return s;
}

/* The first key that query i sees; rises with i. */
static int first_key(const struct trit_self_attention *a, int i)
{
	int start = a->starts ? a->starts[i] : 0;
	return a->window && i - a->window + 1 > start ? i - a->window + 1 : start;
}

/* Rows of probabilities or their gradients of queries i0..i0+m are zero where a query sees no key. */
static void clear_unseen(const struct trit_self_attention *a, float *row, int i, int i0, int m)
{
	int k0 = first_key(a, i0), first = first_key(a, i);
	memset(row + k0, 0, (size_t)(first - k0) * sizeof *row);
	memset(row + i + 1, 0, (size_t)(i0 + m - i - 1) * sizeof *row);
}

/* Probabilities of queries i0..i0+m of query head h over the keys from the first that one of them sees to i0+m. */
static void probabilities(const struct trit_self_attention *a, const struct trit_kernels *kn,
                          const struct scratch *s, int h, int i0, int m)
{
	const float *q = a->q + (size_t)i0 * a->ld + (size_t)h * (size_t)a->width;
	int k0 = first_key(a, i0), keys = i0 + m - k0;
	for (int i = 0; i < m; i++)
		for (int d = 0; d < a->width; d++)
			s->q[i * a->width + d] = a->scale * q[(size_t)i * a->ld + (size_t)d];
	kn->gemm_f32(s->p + k0, s->ld, s->q, (size_t)a->width, 1, a->k + (size_t)k0 * a->ld, 1, a->ld, m, keys, a->width,
	             false, s->gemm);
	for (int i = 0; i < m; i++) {
		float *row = s->p + (size_t)i * s->ld;
		int first = first_key(a, i0 + i), seen = i0 + i + 1 - first;
		if (a->cap) {
			kn->softcap(row + first, a->cap, seen);
			memcpy(s->capped + (size_t)i * s->ld + first, row + first, (size_t)seen * sizeof *row);
		}
		kn->softmax(row + first, seen);
		clear_unseen(a, row, i0 + i, i0, m);
	}
}

void trit_self_attention_forward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *o,
                                 float *scratch)
{
	struct scratch s = divide(a, scratch);
	for (int h = 0; h < a->group; h++) {
		for (int i0 = 0; i0 < a->positions; i0 += BLOCK) {
			int m = a->positions - i0 < BLOCK ? a->positions - i0 : BLOCK, k0 = first_key(a, i0);
			probabilities(a, kn, &s, h, i0, m);
			kn->gemm_f32(o + (size_t)i0 * a->ldo + (size_t)h * (size_t)a->width, a->ldo, s.p + k0, s.ld, 1,
			             a->v + (size_t)k0 * a->ld, a->ld, 1, m, a->width, i0 + m - k0, false, s.gemm);
		}
	}
}

void trit_self_attention_backward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *dq,
                                  float *dk, float *dv, const float *d_o, float *scratch)
{
	struct scratch s = divide(a, scratch);
	size_t width = (size_t)a->width;
	for (int j = 0; j < a->positions; j++) {
		memset(dk + (size_t)j * a->ld, 0, width * sizeof *dk);
		memset(dv + (size_t)j * a->ld, 0, width * sizeof *dv);
	}
	for (int h = 0; h < a->group; h++) {
		for (int i0 = 0; i0 < a->positions; i0 += BLOCK) {
			int m = a->positions - i0 < BLOCK ? a->positions - i0 : BLOCK, k0 = first_key(a, i0), keys = i0 + m - k0;
			const float *doh = d_o + (size_t)i0 * a->ldo + (size_t)h * width;
			size_t at = (size_t)i0 * a->ld + (size_t)h * width, from = (size_t)k0 * a->ld;
			probabilities(a, kn, &s, h, i0, m);
			kn->gemm_f32(dv + from, a->ld, s.p + k0, 1, s.ld, doh, a->ldo, 1, keys, a->width, m, true, s.gemm);
			kn->gemm_f32(s.ds + k0, s.ld, doh, a->ldo, 1, a->v + from, 1, a->ld, m, keys, a->width, false, s.gemm);
			for (int i = 0; i < m; i++) {
				float *row = s.ds + (size_t)i * s.ld;
				int first = first_key(a, i0 + i), seen = i0 + i + 1 - first;
				kn->softmax_backward(row + first, s.p + (size_t)i * s.ld + first, a->scale, seen);
				if (a->cap)
					trit_softcap_backward(row + first, s.capped + (size_t)i * s.ld + first, a->cap, seen);
				clear_unseen(a, row, i0 + i, i0, m);
			}
			kn->gemm_f32(dq + at, a->ld, s.ds + k0, s.ld, 1, a->k + from, a->ld, 1, m, a->width, keys, false, s.gemm);
			kn->gemm_f32(dk + from, a->ld, s.ds + k0, 1, s.ld, a->q + at, a->ld, 1, keys, a->width, m, true, s.gemm);
		}
	}
}
