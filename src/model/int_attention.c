/*
 * int_attention.c - attention in integers; int_attention.h has the formulas.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/int_attention.h"

#include <math.h>

/* ---- the cache --------------------------------------------------------------------------------------------------- */

static int round_up(int n, int to)
{
	return (n + to - 1) / to * to;
}

/* Positions of a segment: fewer when the whole context is shorter. */
static int segment_width(const struct trit_int_head *h)
{
	return h->n_ctx < TRIT_INT_SEGMENT ? round_up(h->n_ctx, TRIT_BLOCK_ROWS) : TRIT_INT_SEGMENT;
}

size_t trit_int_head_bytes(enum trit_layout layout, int width, int n_ctx)
{
	int padded = n_ctx < TRIT_INT_SEGMENT ? round_up(n_ctx, TRIT_BLOCK_ROWS) : round_up(n_ctx, TRIT_INT_SEGMENT);
	return trit_layout_bytes(layout, (size_t)round_up(width, TRIT_BLOCK_ROWS), (size_t)padded);
}

size_t trit_int_head_scales(int n_ctx)
{
	return (size_t)round_up(n_ctx, TRIT_BLOCK_ROWS);
}

/* x [n] as integers of at most `most` in magnitude; *scale is what one of them is worth. */
static void quantise(const struct trit_kernels *k, int8_t *q, float *scale, const float *x, int n, int most)
{
	float a = 1e-5f;
	int32_t sum;

	if (most == 127) {
		k->act_quant(q, scale, &sum, x, n, n);
		return;
	}
	for (int i = 0; i < n; i++)
		a = fabsf(x[i]) > a ? fabsf(x[i]) : a;
	for (int i = 0; i < n; i++) {
		float r = rintf(x[i] * ((float)most / a));
		q[i] = (int8_t)(r > (float)-most ? (r < (float)most ? r : (float)most) : (float)-most);
	}
	*scale = a / (float)most;
}

/* Row `row` of a matrix of `cols` columns becomes q [cols], which goes on with zeros to the end of a group. */
static void put_row(enum trit_layout layout, unsigned char *w, int row, const int8_t *q, int cols)
{
	unsigned char *lane = w + trit_layout_bytes(layout, (size_t)(row / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS), (size_t)cols) +
	                      4 * (row % TRIT_BLOCK_ROWS);

	for (int c = 0; c < cols; c += trit_layouts[layout].cols, lane += 64)
		for (int j = 0; j < 4; j++)
			lane[j] = (unsigned char)(layout == TRIT_I8 ? q[c + j] : (q[c + j] + 8) | (q[c + 4 + j] + 8) << 4);
}

/* Column `col` of a matrix [rows, cols] becomes q [rows]. */
static void put_column(enum trit_layout layout, unsigned char *w, int col, const int8_t *q, int rows, int cols)
{
	int width = trit_layouts[layout].cols, shift = col % width & 4; /* i4: which nibble */
	size_t block_bytes = trit_layout_bytes(layout, TRIT_BLOCK_ROWS, (size_t)cols);

	w += col / width * 64 + col % 4;
	for (int r = 0; r < rows; r += TRIT_BLOCK_ROWS, w += block_bytes)
		for (int i = 0; i < TRIT_BLOCK_ROWS && r + i < rows; i++) {
			unsigned char *byte = w + 4 * i;
			*byte = (unsigned char)(layout == TRIT_I8 ? q[r + i] : (*byte & 0xF0 >> shift) | (q[r + i] + 8) << shift);
		}
}

void trit_int_head_store(const struct trit_int_head *h, const struct trit_kernels *k, int position, const float *key,
                         const float *value)
{
	int most = trit_layouts[h->layout].max, segment = segment_width(h);
	size_t segment_bytes = trit_layout_bytes(h->layout, (size_t)h->width, (size_t)segment);
	int8_t q[TRIT_MAX_COLS + 8];

	memset(q + h->width, 0, 8);

	quantise(k, q, &h->k_scale[position], key, h->width, most);
	put_row(h->layout, h->k, position, q, h->width);
	quantise(k, q, &h->v_scale[position], value, h->width, most);
	put_column(h->layout, h->v + (size_t)(position / segment) * segment_bytes, position % segment, q, h->width, segment);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

void trit_int_scratch_lay_out(struct trit_int_scratch *s, struct trit_arena *arena, int width, int n_ctx)
{
	const size_t rows = TRIT_INT_QUERIES;
	s->q = trit_arena_take(arena, rows * trit_q_padded((size_t)width), 1);
	s->sum = trit_arena_take(arena, 2 * rows, sizeof *s->sum);
	s->step = trit_arena_take(arena, 2 * rows, sizeof *s->step);
	s->scores = trit_arena_take(arena, rows * trit_int_head_scales(n_ctx), sizeof *s->scores);
	s->p = trit_arena_take(arena, 2 * rows * trit_q_padded(TRIT_INT_SEGMENT), 1);
	s->z = trit_arena_take(arena, rows, sizeof *s->z);
	s->y = trit_arena_take(arena, 2 * rows * (size_t)width, sizeof *s->y);
}

/* Scores of all queries against positions 0 .. n_max - 1, exponentials of those that each query sees, and their sums. */
static void exponentials(const struct trit_int_head *h, const struct trit_kernels *k, struct trit_int_scratch *s,
                         const float *q, size_t ldq, int n_tokens, int heads, int n, float scale)
{
	size_t padded = trit_q_padded((size_t)h->width);
	int rows = n_tokens * heads, n_max = n + n_tokens - 1;

	for (int r = 0; r < rows; r++) {
		const float *x = q + (size_t)(r / heads) * ldq + (size_t)(r % heads) * (size_t)h->width;
		k->act_quant(s->q + (size_t)r * padded, &s->step[r], &s->sum[r], x, h->width, (int)padded);
		s->step[r] *= scale;
	}
	k->gemm_int[h->layout](s->scores, (size_t)n_max, h->k, h->k_scale, TRIT_SCALE_ROW, s->q, padded, s->sum, s->step,
	                       n_max, rows, h->width);
	for (int r = 0; r < rows; r++)
		s->z[r] = k->exp_sum(s->scores + (size_t)r * (size_t)n_max, n + r / heads);
}

/* y = the values of one segment, weighted by the probabilities of its positions from p0 on; the hi rows, then the lo
 * rows. */
static void weigh_segment(const struct trit_int_head *h, const struct trit_kernels *k, struct trit_int_scratch *s,
                          int n_tokens, int heads, int n, int p0)
{
	const float one = 1;
	int rows = n_tokens * heads, n_max = n + n_tokens - 1, segment = segment_width(h);
	int cols = n_max - p0 < segment ? n_max - p0 : segment;
	size_t padded = trit_q_padded((size_t)cols), at = (size_t)(p0 / segment);

	for (int r = 0; r < rows; r++) {
		int seen = n + r / heads - p0;
		size_t hi = (size_t)r, lo = (size_t)(rows + r);
		k->probability_quant(s->p + hi * padded, s->p + lo * padded, &s->sum[hi], &s->sum[lo], &s->step[lo],
		                     s->scores + (size_t)r * (size_t)n_max + p0, h->v_scale + p0,
		                     seen < 0 ? 0 : (seen < cols ? seen : cols), (int)padded);
		s->step[lo] /= s->z[r];
		s->step[hi] = 128 * s->step[lo];
	}
	/* A matrix cut off on the right still has the block stride of the whole: one block of rows at a time. */
	for (int r = 0; r < h->width; r += TRIT_BLOCK_ROWS) {
		const unsigned char *v = h->v + at * trit_layout_bytes(h->layout, (size_t)h->width, (size_t)segment) +
		                         trit_layout_bytes(h->layout, (size_t)r, (size_t)segment);
		int n_rows = cols == segment ? h->width : TRIT_BLOCK_ROWS;
		n_rows = h->width - r < n_rows ? h->width - r : n_rows;
		k->gemm_int[h->layout](s->y + r, (size_t)h->width, v, &one, TRIT_SCALE_TENSOR, s->p, padded, s->sum, s->step,
		                       n_rows, 2 * rows, cols);
		r += n_rows - TRIT_BLOCK_ROWS;
	}
}

void trit_int_head_attend(const struct trit_int_head *h, const struct trit_kernels *k, struct trit_int_scratch *s,
                          float *out, size_t ldo, const float *q, size_t ldq, int n_tokens, int heads, int n,
                          float scale)
{
	int rows = n_tokens * heads, n_max = n + n_tokens - 1, segment = segment_width(h);
	size_t width = (size_t)h->width;

	exponentials(h, k, s, q, ldq, n_tokens, heads, n, scale);
	for (int p0 = 0; p0 < n_max; p0 += segment) {
		weigh_segment(h, k, s, n_tokens, heads, n, p0);
		for (int r = 0; r < rows; r++) {
			float *to = out + (size_t)(r / heads) * ldo + (size_t)(r % heads) * width;
			if (p0 == 0)
				memcpy(to, s->y + (size_t)r * width, width * sizeof *to);
			else if (p0 < n + r / heads)
				k->add(to, s->y + (size_t)r * width, h->width);
			if (p0 < n + r / heads)
				k->add(to, s->y + (size_t)(rows + r) * width, h->width);
		}
	}
}
