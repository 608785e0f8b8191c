/*
 * bitlinear.c - the three products of a BitLinear, and its input's quantiser.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/bitlinear.h"

static void make_codes(struct trit_bitlinear *b, const struct trit_kernels *k, int8_t *codes)
{
	size_t rows = (size_t)b->rows, cols = (size_t)b->cols;
	if (b->scaling != TRIT_SCALE_TENSOR) {
		trit_weight_quantise_rows(k, b->kind, b->scaling, codes, b->scales, b->w, 0, rows, cols);
		return;
	}
	struct trit_weight_scale s = trit_weight_scale(k, b->kind, b->w, rows * cols);
	*b->scales = s.scale;
	trit_weight_codes(k, b->kind, s, codes, b->w, rows * cols);
}

/* wq = g T */
static void expand_weights(struct trit_bitlinear *b, const struct trit_kernels *k, const int8_t *codes)
{
	size_t rows = (size_t)b->rows, cols = (size_t)b->cols, run = trit_bitlinear_run(b);
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < cols; c += run)
			k->dequant_i8(b->wq + r * cols + c, codes + r * cols + c,
			              trit_scale_of(b->scales, b->scaling, r, c, cols), (int)(cols - c < run ? cols - c : run));
}

/* How many codes there are of each kind, and how many are not what they were. */
static void count_codes(struct trit_bitlinear *b, const int8_t *codes, size_t n)
{
	enum { RUN = 112 }; /* codes whose counts fit a byte, and a length that compilers make vectors of */
	size_t sum = 0, nonzero = 0, flips = 0, i = 0; /* sum modulo 2^64: +1 codes less -1 codes */
	for (; i + RUN <= n; i += RUN) {
		int8_t run_sum = 0, run_nonzero = 0, run_flips = 0;
		for (size_t j = i; j < i + RUN; j++) {
			run_sum = (int8_t)(run_sum + codes[j]);
			run_nonzero = (int8_t)(run_nonzero + (codes[j] != 0));
			run_flips = (int8_t)(run_flips + (codes[j] != b->codes[j]));
		}
		sum += (size_t)run_sum;
		nonzero += (size_t)run_nonzero;
		flips += (size_t)run_flips;
	}
	for (; i < n; i++) {
		sum += (size_t)codes[i];
		nonzero += codes[i] != 0;
		flips += codes[i] != b->codes[i];
	}
	b->flips = flips;
	b->counts[2] = (nonzero + sum) / 2;
	b->counts[0] = nonzero - b->counts[2];
	b->counts[1] = n - nonzero;
}

void trit_bitlinear_quantise(struct trit_bitlinear *b, const struct trit_kernels *k, int8_t *scratch)
{
	size_t rows = (size_t)b->rows, cols = (size_t)b->cols, n = rows * cols;
	if (b->kind == TRIT_WEIGHT_FULL)
		return;
	make_codes(b, k, scratch);
	count_codes(b, scratch, n);
	memcpy(b->codes, scratch, n);
	trit_pack(TRIT_T2, b->t2, 0, b->codes, rows, cols);
	if (b->wq)
		expand_weights(b, k, b->codes);
	if (!b->t2_transposed)
		return;
	k->transpose_i8(scratch, rows, NULL, b->codes, cols, b->rows, b->cols);
	trit_pack(TRIT_T2, b->t2_transposed, 0, scratch, cols, rows);
	if (b->column_scales)
		for (size_t c = 0; c < cols; c += trit_bitlinear_run(b))
			for (size_t r = 0; r < rows; r++)
				b->column_scales[c / trit_bitlinear_run(b) * rows + r] = trit_scale_of(b->scales, b->scaling, r, c,
				                                                                       cols);
}

float trit_bitlinear_mean_scale(const struct trit_bitlinear *b)
{
	size_t rows = (size_t)b->rows, cols = (size_t)b->cols, run = trit_bitlinear_run(b);
	double sum = 0, n = 0;
	if (!b->scales || b->scaling == TRIT_SCALE_TENSOR)
		return b->scales ? *b->scales : 1;
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < cols; c += run, n++)
			sum += (double)trit_scale_of(b->scales, b->scaling, r, c, cols);
	return (float)(sum / n);
}

void trit_bit_input_forward(struct trit_bit_input *in, const struct trit_kernels *k, const float *x, size_t ldx,
                            const float *w, float eps, float *xn, size_t ldn, int t0, int t1)
{
	size_t padded = trit_q_padded((size_t)in->width);
	for (int t = t0; t < t1; t++) {
		const float *row = x + (size_t)t * ldx;
		float *out = xn ? xn + (size_t)t * ldn : NULL;
		int8_t *q = in->q ? in->q + (size_t)t * padded : NULL;
		if (w && !out) {
			in->r[t] = k->rmsnorm_quant(q, &in->step[t], &in->sum[t], row, w, eps, in->width, (int)padded);
			continue;
		}
		if (w)
			in->r[t] = k->rmsnorm(out, row, w, eps, in->width);
		else if (out)
			memcpy(out, row, (size_t)in->width * sizeof *out);
		if (q)
			k->act_quant(q, &in->step[t], &in->sum[t], out ? out : row, in->width, (int)padded);
	}
}

void trit_bit_input_expand(const struct trit_bit_input *in, const struct trit_kernels *k, const float *x, size_t ldx,
                           const float *w, float eps, float lambda, float *xd, size_t ldd, int t0, int t1)
{
	size_t padded = trit_q_padded((size_t)in->width);
	for (int t = t0; t < t1; t++) {
		float *out = xd + (size_t)t * ldd;
		const int8_t *q = in->q ? in->q + (size_t)t * padded : NULL;
		if (q && lambda == 1) {
			k->dequant_i8(out, q, in->step[t], in->width);
			continue;
		}
		if (w)
			k->rmsnorm(out, x + (size_t)t * ldx, w, eps, in->width);
		else
			memcpy(out, x + (size_t)t * ldx, (size_t)in->width * sizeof *out);
		for (int i = 0; q && i < in->width; i++)
			out[i] += lambda * (in->step[t] * (float)q[i] - out[i]);
	}
}

void trit_bitlinear_blend(struct trit_bitlinear *b, float lambda)
{
	size_t n = (size_t)b->rows * (size_t)b->cols;
	for (size_t i = 0; b->kind != TRIT_WEIGHT_FULL && i < n; i++)
		b->wq[i] = b->w[i] + lambda * (b->wq[i] - b->w[i]);
}

void trit_bitlinear_forward_blended(const struct trit_bitlinear *b, const struct trit_kernels *k, float *y, size_t ldy,
                                    const float *xd, size_t ldd, int t0, int t1, float *scratch)
{
	size_t t = (size_t)t0;
	if (t1 > t0)
		k->gemm_f32(y + t * ldy, ldy, xd + t * ldd, ldd, 1, b->wq, 1, (size_t)b->cols, t1 - t0, b->rows, b->cols, false,
		            scratch);
}

void trit_dense_forward(const struct trit_kernels *k, float *y, size_t ldy, const float *w, const float *x, size_t ldx,
                        int rows, int tokens, int cols, bool measured, float *scratch)
{
	enum { AT_ONCE = 64 }; /* tokens that stay in the second-level cache while rows pass by */
	if (!measured)
		k->gemm_f32(y, ldy, x, ldx, 1, w, 1, (size_t)cols, tokens, rows, cols, false, scratch);
	for (int t = 0; measured && t < tokens; t += AT_ONCE)
		k->gemm_dense[TRIT_DENSE_F32](y + (size_t)t * ldy, ldy, w, x + (size_t)t * ldx, ldx, rows,
		                              tokens - t < AT_ONCE ? tokens - t : AT_ONCE, cols);
}

void trit_bitlinear_forward(const struct trit_bitlinear *b, const struct trit_kernels *k, float *y, size_t ldy,
                            const struct trit_bit_input *in, const float *xn, size_t ldn, int t0, int t1, bool measured,
                            float *scratch)
{
	size_t cols = (size_t)b->cols, padded = trit_q_padded(cols), t = (size_t)t0;
	if (t1 <= t0)
		return;
	if (b->kind == TRIT_WEIGHT_FULL)
		trit_dense_forward(k, y + t * ldy, ldy, b->w, xn + t * ldn, ldn, b->rows, t1 - t0, b->cols, measured, scratch);
	else
		k->gemm_int[TRIT_T2](&(struct trit_gemm_int){
			.y = y + t * ldy, .ldy = ldy, .w = b->t2, .scale = b->scales, .scaling = b->scaling,
			.q = in->q + t * padded, .ldq = padded, .sum = in->sum + t, .step = in->step + t, .rows = b->rows,
			.tokens = t1 - t0, .cols = b->cols
		});
}

void trit_bitlinear_backward_x(const struct trit_bitlinear *b, const struct trit_kernels *k, float *dx, const float *dy,
                               size_t ldy, bool accumulate, int t0, int t1, float *scratch)
{
	size_t cols = (size_t)b->cols, t = (size_t)t0;
	if (t1 > t0)
		k->gemm_f32(dx + t * cols, cols, dy + t * ldy, ldy, 1, b->wq, cols, 1, t1 - t0, b->cols, b->rows, accumulate,
		            scratch);
}

void trit_bitlinear_backward_w(const struct trit_bitlinear *b, const struct trit_kernels *k, const float *dy,
                               size_t ldy, const float *xd, size_t ldd, int tokens, int r0, int r1, float *scratch)
{
	size_t cols = (size_t)b->cols;
	if (r1 > r0)
		k->gemm_f32(b->dw + (size_t)r0 * cols, cols, dy + r0, 1, ldy, xd, ldd, 1, r1 - r0, b->cols, tokens, true,
		            scratch);
}
