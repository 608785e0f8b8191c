/*
 * int_attention.c - attention in integers; int_attention.h has the formulas.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/int_attention.h"

/* ---- a page ------------------------------------------------------------------------------------------------------ */

static size_t values_at(int width)
{
	return trit_layout_bytes(TRIT_I8, TRIT_KV_PAGE, (size_t)width);
}

static size_t key_scales_at(int width)
{
	return values_at(width) + trit_layout_bytes(TRIT_I8, (size_t)width, TRIT_KV_PAGE);
}

static const float *key_scales(const unsigned char *page, int width)
{
	return (const float *)(const void *)(page + key_scales_at(width));
}

static const float *value_scales(const unsigned char *page, int width)
{
	return key_scales(page, width) + TRIT_KV_PAGE;
}

size_t trit_int_page_bytes(int width)
{
	return key_scales_at(width) + 2 * TRIT_KV_PAGE * sizeof(float);
}

void trit_int_put(const struct trit_kernels *k, unsigned char *page, const float *key, const float *value, int width,
                  int at)
{
	float *scales = (float *)(void *)(page + key_scales_at(width)) + at;
	size_t block = trit_layout_bytes(TRIT_I8, TRIT_BLOCK_ROWS, TRIT_KV_PAGE);
	unsigned char *keys = page, *values = page + values_at(width) + at / 4 * 64 + at % 4;
	int8_t q[TRIT_MAX_COLS];
	int32_t sum;

	k->act_quant(q, &scales[0], &sum, key, width, (width + 3) / 4 * 4);
	keys += trit_layout_bytes(TRIT_I8, (size_t)(at / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS), (size_t)width);
	for (int e = 0; e < width; e += 4) /* four elements of a position lie together */
		memcpy(keys + e / 4 * 64 + 4 * (at % TRIT_BLOCK_ROWS), q + e, 4);
	k->act_quant(q, &scales[TRIT_KV_PAGE], &sum, value, width, width);
	for (int e = 0; e < width; e++) /* four positions of an element */
		values[(size_t)(e / TRIT_BLOCK_ROWS) * block + 4 * (size_t)(e % TRIT_BLOCK_ROWS)] = (unsigned char)q[e];
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

void trit_int_scratch_lay_out(struct trit_int_scratch *s, struct trit_arena *arena, int rows, int width)
{
	size_t n = (size_t)rows;
	s->q = trit_arena_take(arena, n * trit_q_padded((size_t)width), 1);
	s->p = trit_arena_take(arena, 2 * n * trit_q_padded(TRIT_KV_PAGE), 1);
	s->sum = trit_arena_take(arena, 2 * n, sizeof *s->sum);
	s->step = trit_arena_take(arena, 2 * n, sizeof *s->step);
	s->y = trit_arena_take(arena, 2 * n * (size_t)width, sizeof *s->y);
}

void trit_int_scores(const struct trit_kernels *k, const struct trit_int_scratch *scratch, float *s, size_t lds,
                     const float *q, size_t ldq, const unsigned char *pages, size_t stride, float scale, int width,
                     int rows, int begin, int end)
{
	size_t padded = trit_q_padded((size_t)width);

	for (int r = 0; r < rows; r++) {
		k->act_quant(scratch->q + (size_t)r * padded, &scratch->step[r], &scratch->sum[r], q + (size_t)r * ldq, width,
		             (int)padded);
		scratch->step[r] *= scale;
	}
	for (int i = begin, next; i < end; i = next) {
		const unsigned char *page = pages + (size_t)(i / TRIT_KV_PAGE) * stride;
		int at = i % TRIT_KV_PAGE;
		next = i - at + TRIT_KV_PAGE < end ? i - at + TRIT_KV_PAGE : end;
		k->gemm_int[TRIT_I8](&(struct trit_gemm_int){
			.y = s + i, .ldy = lds, .w = page + trit_layout_bytes(TRIT_I8, (size_t)at, (size_t)width),
			.scale = key_scales(page, width) + at, .scaling = TRIT_SCALE_ROW, .q = scratch->q, .ldq = padded,
			.sum = scratch->sum, .step = scratch->step, .rows = next - i, .tokens = rows, .cols = width,
			.next = next < end ? page + stride : NULL
		});
	}
}

/* scratch->y [2 rows, last - first]: the page's values, weighted by hi, then by lo. A row that sees nothing of the page
 * gets zeros. `to_next`: bytes to the page after it, 0: there is none. */
static void weigh_page(const struct trit_kernels *k, const struct trit_int_scratch *scratch, const float *p, size_t ldp,
                       const float *sum, const unsigned char *page, size_t to_next, int width, int first, int last,
                       int rows, int share, int n)
{
	const float one = 1;
	size_t padded = trit_q_padded(TRIT_KV_PAGE);
	const unsigned char *values = page + values_at(width) + trit_layout_bytes(TRIT_I8, (size_t)first, TRIT_KV_PAGE);

	for (int r = 0; r < rows; r++) {
		int seen = n + r / share, hi = r, lo = rows + r;
		seen = seen < 0 ? 0 : seen < TRIT_KV_PAGE ? seen : TRIT_KV_PAGE;
		k->probability_quant(scratch->p + (size_t)hi * padded, scratch->p + (size_t)lo * padded, &scratch->sum[hi],
		                     &scratch->sum[lo], &scratch->step[lo], p + (size_t)r * ldp, value_scales(page, width),
		                     seen, (int)padded);
		scratch->step[lo] /= sum[r];
		scratch->step[hi] = 128 * scratch->step[lo];
	}
	k->gemm_int[TRIT_I8](&(struct trit_gemm_int){
		.y = scratch->y, .ldy = (size_t)(last - first), .w = values, .scale = &one, .scaling = TRIT_SCALE_TENSOR,
		.q = scratch->p, .ldq = padded, .sum = scratch->sum, .step = scratch->step, .rows = last - first,
		.tokens = 2 * rows, .cols = TRIT_KV_PAGE, .next = to_next ? values + to_next : NULL
	});
}

void trit_int_values(const struct trit_kernels *k, const struct trit_int_scratch *scratch, float *out, size_t ld_token,
                     size_t ld_head, const float *p, size_t ldp, const float *sum, const unsigned char *pages,
                     size_t stride, int width, int first, int last, int rows, int share, int n)
{
	int n_max = n + (rows - 1) / share, m = last - first;

	for (int i0 = 0; i0 < n_max; i0 += TRIT_KV_PAGE, pages += stride) {
		size_t to_next = i0 + TRIT_KV_PAGE < n_max ? stride : 0;
		weigh_page(k, scratch, p + i0, ldp, sum, pages, to_next, width, first, last, rows, share, n - i0);
		for (int r = 0; r < rows; r++) {
			float *to = out + (size_t)(r / share) * ld_token + (size_t)(r % share) * ld_head;
			const float *hi = scratch->y + r * m, *lo = scratch->y + (rows + r) * m;
			if (i0 == 0)
				memcpy(to, hi, (size_t)m * sizeof *to);
			else if (i0 < n + r / share)
				k->add(to, hi, m);
			if (i0 < n + r / share)
				k->add(to, lo, m);
		}
	}
}
