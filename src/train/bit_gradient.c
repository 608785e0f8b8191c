/*
 * bit_gradient.c - the backward products of a BitLinear, in pieces that fit the second-level cache.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/bit_gradient.h"

enum {
	X_ROWS = 128,    /* of an integer product for dX: tokens x bytes */
	W_ROWS = 128,    /* likewise for dW: outputs x bytes */
	W_BYTES = 512 << 10,
	W_INPUTS = 1024, /* columns of dW */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Room for one kind of piece in the thread's scratch memory, 64-byte aligned. */
static void *take(unsigned char **memory, size_t bytes)
{
	void *at = *memory;
	*memory += (bytes + 63) / 64 * 64;
	return at;
}

void trit_bit_gradient_lay_out(struct trit_bit_gradient *g, struct trit_arena *arena, int bytes, size_t tokens,
                               size_t inputs, size_t outputs, int threads)
{
	g->bytes = bytes;
	g->ld = trit_q_padded(tokens);
	g->inputs = (inputs + 15) / 16 * 16;
	g->outputs = (outputs + 15) / 16 * 16;
	g->threads = threads;
	g->codes = trit_arena_take(arena, inputs * g->ld, 1);
	g->sum = trit_arena_take(arena, (size_t)threads * g->inputs, sizeof *g->sum);
	g->max = trit_arena_take(arena, (size_t)threads * g->outputs, sizeof *g->max);
}

void trit_bit_gradient_input(struct trit_bit_gradient *g, const struct trit_kernels *k, const struct trit_bit_input *in,
                             int thread, int t0, int t1, int tokens)
{
	size_t width = (size_t)in->width, padded = trit_q_padded(width);
	int32_t *sum = g->sum + (size_t)thread * g->inputs;
	memset(sum, 0, width * sizeof *sum);
	memset(g->max + (size_t)thread * g->outputs, 0, g->outputs * sizeof *g->max);
	if (t1 > t0)
		k->transpose_i8(g->codes + t0, g->ld, sum, in->q + (size_t)t0 * padded, padded, t1 - t0, in->width);
	if (t1 == tokens)
		for (size_t c = 0; c < width; c++)
			memset(g->codes + c * g->ld + tokens, 0, trit_q_padded((size_t)tokens) - (size_t)tokens);
}

void trit_bit_gradient_x(const struct trit_bitlinear *b, struct trit_bit_gradient *g, const struct trit_kernels *k,
                         float *dx, const float *dy, size_t ldy, const struct trit_bit_input *in, bool accumulate,
                         int thread, int t0, int t1, float *scratch)
{
	static const float one = 1;
	size_t rows = (size_t)b->rows, cols = (size_t)b->cols, run = trit_bitlinear_run(b), padded = trit_q_padded(rows);
	size_t ld = (run + 15) / 16 * 16, room = TRIT_GEMM_SCRATCH * sizeof *scratch - 64;
	size_t bytes = (size_t)g->bytes, most = smaller(X_ROWS / bytes, room / (bytes * (padded + ld * sizeof *scratch)));
	float *max = g->max + (size_t)thread * g->outputs + b->first, step[X_ROWS];
	int32_t sum[X_ROWS];
	unsigned char *memory = (unsigned char *)scratch;
	float *y = take(&memory, bytes * most * ld * sizeof *y);
	int8_t *q = take(&memory, bytes * most * padded);

	bool direct = bytes == 1 && !accumulate;

	for (size_t t = (size_t)t0, n; t < (size_t)t1; t += n) {
		n = smaller(most, (size_t)t1 - t);
		/* scales of parts of the matrix belong to its rows: they are multiplied to the gradients */
		for (size_t c = 0; c < cols; c += run) {
			float *to = dx + t * cols + c;
			int width = (int)smaller(run, cols - c);
			for (size_t i = 0; i < n; i++) {
				const float *row = dy + (t + i) * ldy;
				if (c == 0)
					k->max_abs(max, row, in->step[t + i], b->rows);
				k->grad_quant(q + bytes * i * padded, &step[bytes * i], &sum[bytes * i], row,
				              b->column_scales ? b->column_scales + c / run * rows : NULL, b->rows, (int)padded,
				              g->bytes);
			}
			k->gemm_int[TRIT_T2](&(struct trit_gemm_int){
				.y = direct ? to : y, .ldy = direct ? cols : ld,
				.w = b->t2_transposed + trit_layout_bytes(TRIT_T2, c, rows),
				.scale = b->column_scales ? &one : b->scales, .scaling = TRIT_SCALE_TENSOR, .q = q, .ldq = padded,
				.sum = sum, .step = step, .rows = width, .tokens = (int)(bytes * n), .cols = b->rows
			});
			if (bytes == 2)
				k->add_pairs(to, cols, y, ld, (int)n, width, accumulate);
			else if (accumulate)
				for (size_t i = 0; i < n; i++)
					k->add(to + i * cols, y + i * ld, width);
		}
	}
}

/* Outputs at a time: all bytes of their gradients, of all tokens, within W_BYTES; whole blocks. */
static int outputs_at_once(const struct trit_bit_gradient *g, size_t tokens)
{
	size_t bytes = (size_t)g->bytes, block = bytes * trit_layout_bytes(TRIT_I8, TRIT_BLOCK_ROWS, tokens);
	size_t blocks = W_BYTES / (block ? block : 1);
	return TRIT_BLOCK_ROWS * (int)(blocks < 1 ? 1 : smaller(blocks, W_ROWS / bytes / TRIT_BLOCK_ROWS));
}

size_t trit_bit_gradient_scratch(const struct trit_bit_gradient *g, size_t tokens, size_t inputs)
{
	size_t block = (size_t)g->bytes * trit_layout_bytes(TRIT_I8, TRIT_BLOCK_ROWS, tokens);
	size_t bytes = (W_ROWS + 1) * W_INPUTS * sizeof(float) + (block > W_BYTES ? block : W_BYTES) +
	               inputs * sizeof(int32_t) + 4 * 64;
	return bytes / sizeof(float);
}

void trit_bit_gradient_w(const struct trit_bitlinear *b, const struct trit_bit_gradient *g,
                         const struct trit_kernels *k, const float *dy, size_t ldy, const struct trit_bit_input *in,
                         int tokens, int r0, int r1, float *scratch)
{
	int most = outputs_at_once(g, (size_t)tokens);
	size_t cols = (size_t)b->cols;
	unsigned char *memory = (unsigned char *)scratch;
	float *y = take(&memory, W_ROWS * W_INPUTS * sizeof *y), max[W_ROWS], scale[W_ROWS];
	float *ones = take(&memory, W_INPUTS * sizeof *ones);
	int32_t *sum = take(&memory, cols * sizeof *sum);
	unsigned char *w = take(&memory, trit_layout_bytes(TRIT_I8, (size_t)g->bytes * (size_t)most, (size_t)tokens));

	for (int i = 0; i < W_INPUTS; i++)
		ones[i] = 1;
	memset(sum, 0, cols * sizeof *sum);
	for (int i = 0; i < g->threads; i++)
		for (size_t c = 0; c < cols; c++)
			sum[c] += g->sum[(size_t)i * g->inputs + c];
	for (int r = r0; r < r1; r += most) {
		int n = r1 - r < most ? r1 - r : most;
		int rows = g->bytes * ((n + TRIT_BLOCK_ROWS - 1) / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS);
		memset(max, 0, sizeof max);
		for (int i = 0; i < g->threads; i++)
			k->max_abs(max, g->max + (size_t)i * g->outputs + b->first + (size_t)r, 1, n);
		k->grad_quant_columns(w, scale, dy + r, ldy, in->step, max, tokens, n, g->bytes);
		for (size_t c = 0; c < cols; c += W_INPUTS) {
			int width = (int)smaller(cols - c, W_INPUTS);
			k->gemm_int[TRIT_I8](&(struct trit_gemm_int){
				.y = y, .ldy = (size_t)rows, .w = w, .scale = scale, .scaling = TRIT_SCALE_ROW,
				.q = g->codes + c * g->ld, .ldq = g->ld, .sum = sum + c, .step = ones, .rows = rows,
				.tokens = width, .cols = tokens
			});
			k->add_transposed(b->dw + (size_t)r * cols + c, cols, y, (size_t)rows, width, n, g->bytes);
		}
	}
}
