/*
 * bit_gradient.h - the backward products of a BitLinear in integers.
 *
 * The forward product is exact because ternary codes and 8-bit activations meet in 32-bit sums. Here the gradient dY
 * takes the other factor's place, as one signed byte or as two of a 16-bit number (kernel.h, grad_quant):
 *
 *     dX[t] = dY[t] (g T)      dY by token, its bytes against the codes of the transposed weights, packed once a step
 *     dW    = dY^T (a q)       the tokens' steps a folded into dY; by output, over all tokens, against the codes of the
 *                              input, transposed once an input
 *
 * One or two integer products each, at the speed of the forward one. The sums are exact, so their order - threads,
 * instruction set - changes no bit; what is lost is the rounding of dY: at most 1 / 254, with two bytes 1 / 64000, of
 * the largest gradient of the token (dX) or output (dW).
 *
 * Per input, in this order, threads with their own tokens first, then with their own rows:
 *     _input (codes)   then for each linear _x   -- barrier --   for each linear _w   -- barrier --
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_BIT_GRADIENT_H
#define TRIT_TRAIN_BIT_GRADIENT_H

#include "base/mem.h"
#include "train/bitlinear.h"

/** What the threads share. */
struct trit_bit_gradient {
	int bytes;      /* of a gradient: 1 or 2 */
	int8_t *codes;  /* [widest input][ld] of the input, transposed, zero from T on */
	size_t ld;      /* padded T */
	int32_t *sum;   /* [threads][widest input] of each thread's tokens, over them */
	float *max;     /* [threads][outputs] largest |a dY| of each thread's tokens; linears of one
	                 * input stand side by side */
	size_t inputs, outputs;
	int threads;
};

/** For micro-batches of up to `tokens` <= 65536 tokens, inputs up to `inputs` wide, and linears of one input with up to
 * `outputs` rows in all. Runs twice (base/mem.h). */
void trit_bit_gradient_lay_out(struct trit_bit_gradient *g, struct trit_arena *arena, int bytes, size_t tokens,
                               size_t inputs, size_t outputs, int threads);

/** Scratch floats that the functions below need, besides TRIT_GEMM_SCRATCH: the larger of the two. */
size_t trit_bit_gradient_scratch(const struct trit_bit_gradient *g, size_t tokens, size_t inputs);

/** Thread `thread` brings tokens t0..t1 of T in. */
void trit_bit_gradient_input(struct trit_bit_gradient *g, const struct trit_kernels *k, const struct trit_bit_input *in,
                             int thread, int t0, int t1, int tokens);
/** dx [T, K] (= or +=) dy g T, tokens t0..t1, dy [T, ldy]. */
void trit_bit_gradient_x(const struct trit_bitlinear *b, struct trit_bit_gradient *g, const struct trit_kernels *k,
                         float *dx, const float *dy, size_t ldy, const struct trit_bit_input *in, bool accumulate,
                         int thread, int t0, int t1, float *scratch);
/** dw += dy^T (a q) over all T tokens, rows r0..r1; r0 a multiple of 16. */
void trit_bit_gradient_w(const struct trit_bitlinear *b, const struct trit_bit_gradient *g,
                         const struct trit_kernels *k, const float *dy, size_t ldy, const struct trit_bit_input *in,
                         int tokens, int r0, int r1, float *scratch);

#endif
