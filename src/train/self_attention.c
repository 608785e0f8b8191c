/*
 * self_attention.c - causal attention of training by blocks of queries.
 *
 * A row of a block is a query, head by head. Keys and values are turned round once, so that all products take them as
 * they lie; what comes in or goes out by heads is gathered and scattered.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/self_attention.h"

#include "base/fmath.h"
#include "train/net_parts.h"

enum {
	COLS = 32, /* whole tiles of gemm_f32 on AVX-512 */
};

struct work {
	const struct trit_self_attention *a;
	const struct trit_kernels *kn;
	float *gemm;           /* TRIT_GEMM_SCRATCH */
	float *p, *ds;         /* [rows, ld] probabilities, and the gradients of scores */
	float *capped;         /* [rows, ld] scores, where they are capped */
	float *q, *d_o, *out;  /* [rows, A] queries; gradients of outputs; a result */
	float *k, *v;          /* [A, ldt] turned round, zero from S on */
	size_t ld, ldt;
};

/* The positions i0 .. i0 + m - 1 of all heads: rows h * m + i. */
struct block {
	int i0, m, rows;
	int k0, keys; /* the keys that one of them sees */
};

/* Positions of a block; at most, if the kernels are not known. */
static int positions_at_once(const struct trit_kernels *kn, int group)
{
	int rows = kn && !trit_kernels_round(kn) ? TRIT_ATTENTION_ROWS : TRIT_ATTENTION_ROWS_BF16;
	return group < rows ? rows / group : 1;
}

/* Of rows of scores: whole tiles may begin anywhere; an odd number of cache lines keeps rows apart in the cache. */
static size_t score_stride(int positions)
{
	return ((((size_t)positions + COLS - 1 + 15) / 16) | 1) * 16;
}

static size_t padded(size_t n)
{
	return (n + 15) / 16 * 16;
}

size_t trit_self_attention_scratch(int positions, int width, int group)
{
	size_t rows = (size_t)positions_at_once(NULL, group) * (size_t)group, a = (size_t)width;
	size_t ld = score_stride(positions);
	return TRIT_GEMM_SCRATCH + 3 * rows * ld + 3 * padded(rows * a) + 2 * a * ld;
}

/* to [A, ldt] = from [S, ld], turned round. */
static void turn(const struct work *w, float *to, const float *from)
{
	const struct trit_self_attention *a = w->a;
	for (int j0 = 0; j0 < a->positions; j0 += 16) {
		int n = a->positions - j0 < 16 ? a->positions - j0 : 16;
		for (int d = 0; d < a->width; d++)
			for (int j = 0; j < n; j++)
				to[(size_t)d * w->ldt + (size_t)(j0 + j)] = from[(size_t)(j0 + j) * a->ld + (size_t)d];
	}
	for (int d = 0; d < a->width; d++)
		memset(to + (size_t)d * w->ldt + a->positions, 0, (w->ldt - (size_t)a->positions) * sizeof *to);
}

static struct work divide(const struct trit_self_attention *a, const struct trit_kernels *kn, float *memory)
{
	size_t rows = (size_t)positions_at_once(kn, a->group) * (size_t)a->group, tile = padded(rows * (size_t)a->width);
	struct work w = { .a = a, .kn = kn, .gemm = memory, .ld = score_stride(a->positions) };
	w.ldt = w.ld;
	w.p = memory + TRIT_GEMM_SCRATCH;
	w.ds = w.p + rows * w.ld;
	w.capped = w.ds + rows * w.ld;
	w.q = w.capped + rows * w.ld;
	w.d_o = w.q + tile;
	w.out = w.d_o + tile;
	w.k = w.out + tile;
	w.v = w.k + (size_t)a->width * w.ldt;
	return w;
}

/* The first key that query i sees; rises with i. */
static int first_key(const struct trit_self_attention *a, int i)
{
	int start = a->starts ? a->starts[i] : 0;
	return a->window && i - a->window + 1 > start ? i - a->window + 1 : start;
}

static struct block block_at(const struct work *w, int i0)
{
	const struct trit_self_attention *a = w->a;
	int most = positions_at_once(w->kn, a->group), m = a->positions - i0 < most ? a->positions - i0 : most;
	int k0 = first_key(a, i0);
	return (struct block){ i0, m, m * a->group, k0, i0 + m - k0 };
}

/* Row r's position. */
static int position_of(const struct block *b, int r)
{
	return b->i0 + r % b->m;
}

/* Where row r is in an array with rows ld apart and heads `step`. */
static size_t place_of(const struct block *b, int r, size_t ld, size_t step)
{
	return (size_t)position_of(b, r) * ld + (size_t)(r / b->m) * step;
}

/* to [rows, A] = the block of x. */
static void gather(const struct work *w, const struct block *b, float *to, const float *x, size_t ld)
{
	size_t width = (size_t)w->a->width;
	for (int r = 0; r < b->rows; r++)
		memcpy(to + (size_t)r * width, x + place_of(b, r, ld, width), width * sizeof *to);
}

/* Zeroes of row r what its query does not see of the block's keys. */
static void clear_unseen(const struct work *w, const struct block *b, float *row, int r)
{
	int i = position_of(b, r), first = first_key(w->a, i);
	memset(row + b->k0, 0, (size_t)(first - b->k0) * sizeof *row);
	memset(row + i + 1, 0, (size_t)(b->k0 + b->keys - i - 1) * sizeof *row);
}

/* y [rows, keys of the block] = x [rows, A] turned; up to the next whole tile beyond it anything is written. */
static void against_keys(const struct work *w, const struct block *b, float *y, const float *x, const float *turned)
{
	w->kn->gemm_f32(y + b->k0, w->ld, x, (size_t)w->a->width, 1, turned + b->k0, w->ldt, 1, b->rows,
	                (b->keys + COLS - 1) / COLS * COLS, w->a->width, false, w->gemm);
}

/* y [rows, A] = x [rows, keys of the block] of [S, A]. */
static void over_keys(const struct work *w, const struct block *b, float *y, const float *x, const float *of)
{
	w->kn->gemm_f32(y, (size_t)w->a->width, x + b->k0, w->ld, 1, of + (size_t)b->k0 * w->a->ld, w->a->ld, 1, b->rows,
	                w->a->width, b->keys, false, w->gemm);
}

/* y [S, A] += x [rows, keys of the block]^T of [rows, A], the block's keys. */
static void into_keys(const struct work *w, const struct block *b, float *y, const float *x, const float *of)
{
	w->kn->gemm_f32(y + (size_t)b->k0 * w->a->ld, w->a->ld, x + b->k0, 1, w->ld, of, (size_t)w->a->width, 1, b->keys,
	                w->a->width, b->rows, true, w->gemm);
}

/* What scores in p are yet to be multiplied by. */
static float scale_of(const struct trit_self_attention *a)
{
	return a->cap ? 1 : a->scale;
}

/* Scores in p, those that are capped complete, others to be multiplied by scale_of. */
static void scores(const struct work *w, const struct block *b)
{
	const struct trit_self_attention *a = w->a;
	gather(w, b, w->q, a->q, a->ld);
	against_keys(w, b, w->p, w->q, w->k);
	for (int r = 0; a->cap && r < b->rows; r++) {
		int i = position_of(b, r), first = first_key(a, i), seen = i + 1 - first;
		float *row = w->p + (size_t)r * w->ld + first;
		w->kn->scale(row, a->scale, seen);
		w->kn->softcap(row, a->cap, seen);
		memcpy(w->capped + (size_t)r * w->ld + first, row, (size_t)seen * sizeof *row);
	}
}

/* Exponentials in p, their sums' logarithms, and outputs. */
static void forward_block(const struct work *w, const struct block *b)
{
	const struct trit_self_attention *a = w->a;
	size_t width = (size_t)a->width;
	float *sums = w->d_o; /* free in the forward pass */
	scores(w, b);
	for (int r = 0; r < b->rows; r++) {
		int i = position_of(b, r), first = first_key(a, i);
		float *row = w->p + (size_t)r * w->ld, max;
		float sum = w->kn->exp_sum(&max, row + first, scale_of(a), i + 1 - first);
		clear_unseen(w, b, row, r);
		a->log_sum[place_of(b, r, a->lds, 1)] = (float)(trit_ln((double)sum) + (double)max);
		sums[r] = sum;
	}
	over_keys(w, b, w->out, w->p, a->v);
	for (int r = 0; r < b->rows; r++) {
		float *o = a->o + place_of(b, r, a->ldo, width);
		for (size_t d = 0; d < width; d++)
			o[d] = w->out[(size_t)r * width + d] / sums[r];
	}
}

void trit_self_attention_forward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *scratch)
{
	struct work w = divide(a, kn, scratch);
	turn(&w, w.k, a->k);
	for (int i0 = 0; i0 < a->positions; i0 += positions_at_once(kn, a->group)) {
		struct block b = block_at(&w, i0);
		forward_block(&w, &b);
	}
}

/* From scores in p and dp in ds: probabilities, and the gradients of what was scaled. */
static void scores_backward(const struct work *w, const struct block *b)
{
	const struct trit_self_attention *a = w->a;
	size_t width = (size_t)a->width;
	for (int r = 0; r < b->rows; r++) {
		int i = position_of(b, r), first = first_key(a, i), seen = i + 1 - first;
		float *p = w->p + (size_t)r * w->ld, *ds = w->ds + (size_t)r * w->ld, mean;
		w->kn->gemm_dense[TRIT_DENSE_F32](&mean, 1, a->o + place_of(b, r, a->ldo, width), w->d_o + (size_t)r * width,
		                                  width, 1, 1, a->width);
		w->kn->scores_backward(p + first, ds + first, scale_of(a), a->log_sum[place_of(b, r, a->lds, 1)], mean, seen);
		if (a->cap)
			trit_softcap_backward(ds + first, w->capped + (size_t)r * w->ld + first, a->cap, seen);
		clear_unseen(w, b, p, r);
		clear_unseen(w, b, ds, r);
	}
}

void trit_self_attention_backward(const struct trit_self_attention *a, const struct trit_kernels *kn, float *dq,
                                  float *dk, float *dv, const float *d_o, float *scratch)
{
	struct work w = divide(a, kn, scratch);
	size_t width = (size_t)a->width;
	turn(&w, w.k, a->k);
	turn(&w, w.v, a->v);
	for (int j = 0; j < a->positions; j++) {
		memset(dk + (size_t)j * a->ld, 0, width * sizeof *dk);
		memset(dv + (size_t)j * a->ld, 0, width * sizeof *dv);
	}
	for (int i0 = 0; i0 < a->positions; i0 += positions_at_once(kn, a->group)) {
		struct block b = block_at(&w, i0);
		scores(&w, &b);
		gather(&w, &b, w.d_o, d_o, a->ldo);
		against_keys(&w, &b, w.ds, w.d_o, w.v);
		scores_backward(&w, &b);
		into_keys(&w, &b, dv, w.p, w.d_o);
		into_keys(&w, &b, dk, w.ds, w.q);
		over_keys(&w, &b, w.out, w.ds, a->k);
		kn->scale(w.out, a->scale, b.rows * a->width);
		for (int r = 0; r < b.rows; r++)
			memcpy(dq + place_of(&b, r, a->ld, width), w.out + (size_t)r * width, width * sizeof *dq);
	}
	for (int j = 0; j < a->positions; j++)
		kn->scale(dk + (size_t)j * a->ld, a->scale, a->width);
}
