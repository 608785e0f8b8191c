/*
 * self_attention.c - causal attention of training by blocks of queries.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/self_attention.h"

enum { BLOCK = TRIT_ATTENTION_BLOCK };

size_t trit_self_attention_scratch(int positions, int width)
{
	size_t s = ((size_t)positions + 15) / 16 * 16, a = ((size_t)width + 15) / 16 * 16;
	return TRIT_GEMM_SCRATCH + BLOCK * (2 * s + a);
}

struct scratch {
	float *gemm, *p, *ds, *q; /* TRIT_GEMM_SCRATCH; [BLOCK, S] twice; [BLOCK, A] */
	size_t ld;                /* of p and ds */
};

static struct scratch divide(const struct trit_self_attention *a, float *memory)
{
	struct scratch s = { .gemm = memory, .ld = ((size_t)a->positions + 15) / 16 * 16 };
	s.p = memory + TRIT_GEMM_SCRATCH;
	s.ds = s.p + BLOCK * s.ld;
	s.q = s.ds + BLOCK * s.ld;
	return s;
}

/* Probabilities of queries i0..i0+m of query head h over keys 0..i0+m, zero above the diagonal. */
static void probabilities(const struct trit_self_attention *a, const struct trit_kernels *kn,
                          const struct scratch *s, int h, int i0, int m)
{
	const float *q = a->q + (size_t)i0 * a->ld + (size_t)h * (size_t)a->width;
	int keys = i0 + m;
	for (int i = 0; i < m; i++)
		for (int d = 0; d < a->width; d++)
			s->q[i * a->width + d] = a->scale * q[(size_t)i * a->ld + (size_t)d];
	kn->gemm_f32(s->p, s->ld, s->q, (size_t)a->width, 1, a->k, 1, a->ld, m, keys, a->width, false, s->gemm);
	for (int i = 0; i < m; i++) {
		float *row = s->p + (size_t)i * s->ld;
		kn->softmax(row, i0 + i + 1);
		memset(row + i0 + i + 1, 0, (size_t)(m - i - 1) * sizeof *row);
	}
}

void trit_self_attention_forward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *o,
                                 float *scratch)
{
	struct scratch s = divide(a, scratch);
	for (int h = 0; h < a->group; h++) {
		for (int i0 = 0; i0 < a->positions; i0 += BLOCK) {
			int m = a->positions - i0 < BLOCK ? a->positions - i0 : BLOCK;
			probabilities(a, kn, &s, h, i0, m);
			kn->gemm_f32(o + (size_t)i0 * a->ldo + (size_t)h * (size_t)a->width, a->ldo, s.p, s.ld, 1, a->v, a->ld, 1,
			             m, a->width, i0 + m, false, s.gemm);
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
			int m = a->positions - i0 < BLOCK ? a->positions - i0 : BLOCK, keys = i0 + m;
			const float *doh = d_o + (size_t)i0 * a->ldo + (size_t)h * width;
			size_t at = (size_t)i0 * a->ld + (size_t)h * width;
			probabilities(a, kn, &s, h, i0, m);
			kn->gemm_f32(dv, a->ld, s.p, 1, s.ld, doh, a->ldo, 1, keys, a->width, m, true, s.gemm);
			kn->gemm_f32(s.ds, s.ld, doh, a->ldo, 1, a->v, 1, a->ld, m, keys, a->width, false, s.gemm);
			for (int i = 0; i < m; i++) {
				float *row = s.ds + (size_t)i * s.ld;
				kn->softmax_backward(row, s.p + (size_t)i * s.ld, a->scale, i0 + i + 1);
				memset(row + i0 + i + 1, 0, (size_t)(m - i - 1) * sizeof *row);
			}
			kn->gemm_f32(dq + at, a->ld, s.ds, s.ld, 1, a->k, a->ld, 1, m, a->width, keys, false, s.gemm);
			kn->gemm_f32(dk, a->ld, s.ds, 1, s.ld, a->q + at, a->ld, 1, keys, a->width, m, true, s.gemm);
		}
	}
}
