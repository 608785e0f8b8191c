/*
 * grad_body.h - gradients as one or two bytes: what stands before and behind the integer products of the backward pass.
 *
 * Written once on vec.h and compiled for each instruction set. Contracts are in kernel.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define GRAD_LEAST 1e-30f /* below it 127 / max would overflow before long */
#define GRAD_FINE 254     /* a step of the upper byte in steps of the lower one */

/* v = hi + lo / GRAD_FINE, |v| <= 127 and a bit. v - hi is exact. The clamp is for what is not finite. */
VEC_INLINE void grad_split(struct vec *hi, struct vec *lo, struct vec v)
{
	const struct vec most = vec_set1(127), least = vec_set1(-127);

	*hi = vec_max(vec_min(vec_round(v), most), least);
	*lo = vec_max(vec_min(vec_round(vec_mul(vec_sub(v, *hi), vec_set1(GRAD_FINE))), most), least);
}

VEC_INLINE struct vec times(const float *x, const float *factor, int m)
{
	return factor ? vec_mul(vec_load_n(x, m), vec_load_n(factor, m)) : vec_load_n(x, m);
}

VEC_INLINE void grad_quant_bytes(int8_t *q, float *step, int32_t *sum, const float *x, const float *factor, int n,
                                 int n_padded, const int bytes)
{
	struct vec max = vec_set1(GRAD_LEAST), sum_hi = vec_zero(), sum_lo = vec_zero(), check = vec_zero();
	int8_t *low = q + n_padded;

	VEC_FOR(i, m, n) {
		struct vec v = times(x + i, factor ? factor + i : NULL, m);

		max = vec_max(vec_abs(v), max);
		check = vec_fma(v, vec_zero(), check); /* 0, or NaN */
	}
	float a = vec_max_all(max);
	struct vec scale = vec_set1(127 / a);
	VEC_FOR(i, m, n) {
		struct vec hi, lo;

		grad_split(&hi, &lo, vec_mul(times(x + i, factor ? factor + i : NULL, m), scale));
		vec_store_i8_n(q + i, hi, m);
		sum_hi = vec_add(sum_hi, vec_fill(hi, m, 0));
		if (bytes == 1)
			continue;
		vec_store_i8_n(low + i, lo, m);
		sum_lo = vec_add(sum_lo, vec_fill(lo, m, 0));
	}
	memset(q + n, 0, (size_t)(n_padded - n));
	step[0] = a / 127 + vec_sum(check);
	sum[0] = (int32_t)vec_sum(sum_hi);
	if (bytes == 1)
		return;
	memset(low + n, 0, (size_t)(n_padded - n));
	step[1] = step[0] / GRAD_FINE;
	sum[1] = (int32_t)vec_sum(sum_lo);
}

static void grad_quant(int8_t *q, float *step, int32_t *sum, const float *x, const float *factor, int n, int n_padded,
                       int bytes)
{
	if (bytes == 1)
		grad_quant_bytes(q, step, sum, x, factor, n, n_padded, 1);
	else
		grad_quant_bytes(q, step, sum, x, factor, n, n_padded, 2);
}

static void max_abs(float *max, const float *x, float factor, int n)
{
	VEC_FOR(i, m, n) {
		struct vec v = vec_abs(vec_mul(vec_load_n(x + i, m), vec_set1(factor)));

		vec_store_n(max + i, vec_max(v, vec_load_n(max + i, m)), m);
	}
}

/* 16 columns, m of which are there. */
VEC_INLINE void grad_quant_block(unsigned char *hi_block, unsigned char *lo_block, float *scale, const float *x,
                                 size_t ld, const float *factor, const float *max, int tokens, int m, const int bytes)
{
	struct vec a = vec_max(vec_load_n(max, m), vec_set1(GRAD_LEAST)), inverse = vec_div(vec_set1(127), a);
	struct vec step = vec_div(a, vec_set1(127));

	vec_store(scale, step);
	if (bytes == 2)
		vec_store(scale + 16, vec_div(step, vec_set1(GRAD_FINE)));
	for (int t = 0; t < tokens; t += 4, hi_block += 64, lo_block += 64) {
		struct vec hi[4], lo[4];

		for (int i = 0; i < 4; i++) {
			if (t + i < tokens) {
				const float *row = x + (size_t)(t + i) * ld;

				__builtin_prefetch(row + 24 * ld);
				grad_split(&hi[i], &lo[i],
				           vec_mul(vec_mul(vec_load_n(row, m), vec_set1(factor[t + i])), inverse));
			} else {
				hi[i] = lo[i] = vec_zero();
			}
		}
		vec_store_i8x4((signed char *)hi_block, hi);
		if (bytes == 2)
			vec_store_i8x4((signed char *)lo_block, lo);
	}
}

static void grad_quant_columns(unsigned char *w, float *scale, const float *x, size_t ld, const float *factor,
                               const float *max, int tokens, int cols, int bytes)
{
	size_t block = trit_layout_bytes(TRIT_I8, TRIT_BLOCK_ROWS, (size_t)tokens);

	VEC_FOR(c, m, cols) {
		if (bytes == 1)
			grad_quant_block(w, w, scale, x + c, ld, factor, max + c, tokens, m, 1);
		else
			grad_quant_block(w, w + block, scale, x + c, ld, factor, max + c, tokens, m, 2);
		w += (size_t)bytes * block;
		scale += 16 * bytes;
	}
}

static void add_pairs(float *y, size_t ldy, const float *pairs, size_t ldp, int rows, int cols, bool accumulate)
{
	for (int r = 0; r < rows; r++, y += ldy, pairs += 2 * ldp)
		VEC_FOR(i, m, cols) {
			struct vec v = vec_add(vec_load_n(pairs + i, m), vec_load_n(pairs + ldp + i, m));

			vec_store_n(y + i, accumulate ? vec_add(vec_load_n(y + i, m), v) : v, m);
		}
}

static void grad_init(struct trit_kernels *k)
{
	k->grad_quant = grad_quant;
	k->max_abs = max_abs;
	k->grad_quant_columns = grad_quant_columns;
	k->add_pairs = add_pairs;
}
