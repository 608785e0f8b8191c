/*
 * bitlinear.h - the BitLinear of training: quantised forward, straight-through backward [B158; Tips, fig. 3].
 *
 *     T = codes of W, g their scale (model/quant.h)        q_t, a_t = 8-bit codes and step of token t (kernel.h,
 * act_quant) y_t  = g a_t sum_k T_k q_tk                           exact integer sums dX   = dY (g T) straight through
 * the activation quantiser dW  += dY^T (a q)                                     straight through the weight quantiser:
 * added to the master weights' gradient
 *
 * With a scale a row or group of columns g is g_m or g_mk, and y_t sums group by group (trit_gemm_int_fn).
 * While quantisers warm up, W + lambda (g T - W) and x + lambda (a q - x), in fp32, take the places of g T and a q.
 * In a full-precision model T is W itself, and (a q) the unquantised input. Functions work on a range of tokens or of
 * rows, so that threads can share; every gradient element is one chain over tokens in order.
 * These are the fp32 forms of the backward products; those in integers are in bit_gradient.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_BITLINEAR_H
#define TRIT_TRAIN_BITLINEAR_H

#include "model/quant.h"

struct trit_lora_linear;

/** How the two backward products are computed. */
enum trit_backward {
	TRIT_BACKWARD_INT8,  /* bit_gradient.h, gradients in one byte; full-precision linears in fp32 */
	TRIT_BACKWARD_INT16, /* the same in two bytes */
	TRIT_BACKWARD_F32,
};

struct trit_bitlinear {
	enum trit_weight_kind kind;
	enum trit_scaling scaling; /* of g: one, or one a row or a group of columns */
	int rows, cols;     /* M, K */
	size_t first;       /* rows of the linears of the same input before this one */
	const float *w;     /* [M, K] master weights */
	float *dw;          /* [M, K] their gradient; NULL: the weights are frozen */
	const struct trit_lora_linear *lora; /* what is added to the product (lora.h), or NULL */
	const float *bias;  /* [M], added to the product by whoever uses it; NULL: none */
	float *dbias;       /* NULL: frozen, or there is none */
	float *scales;      /* g, of the last trit_bitlinear_quantise, as kernel/layout.h arranges them; NULL in a
	                     * full-precision model */
	size_t counts[3];   /* how many codes were -1, 0, +1 then */
	size_t flips;       /* how many were others than before; nothing sensible the first time */
	int8_t *codes;      /* [M, K] T; NULL in a full-precision model */
	unsigned char *t2;  /* the codes packed; likewise */
	unsigned char *t2_transposed; /* those of the transposed matrix [K, M]; NULL without bit_gradient.h */
	float *column_scales; /* [K / group][M]: the scales by group, or of all rows; NULL with one scale */
	float *wq;          /* [M, K]: g T; in a full-precision model w itself; NULL where only bit_gradient.h is used */
};

/** Columns that share a scale. */
static inline size_t trit_bitlinear_run(const struct trit_bitlinear *b)
{
	return b->scaling > TRIT_SCALE_ROW ? (size_t)b->scaling : (size_t)b->cols;
}

/** The input of one or more BitLinears that share it: what the forward pass keeps for the backward pass. */
struct trit_bit_input {
	int width;    /* K */
	float *r;     /* [T] 1 / rms of the norm before it; unused without a norm */
	int8_t *q;    /* [T, padded K] codes; NULL in a full-precision model */
	float *step;  /* [T] */
	int32_t *sum; /* [T] */
};

/** Once per optimiser step: scale, codes, packings or g T from the master weights. scratch: [M, K] bytes. */
void trit_bitlinear_quantise(struct trit_bitlinear *b, const struct trit_kernels *k, int8_t *scratch);
/** Mean of the scales; 1 in a full-precision model. */
float trit_bitlinear_mean_scale(const struct trit_bitlinear *b);

/** For tokens t0..t1 of x [T, ldx]: norms with w (NULL: none) and quantises into `in`; the unquantised normed rows go
 * to xn [T, ldn], which a full-precision linear and adapters read; else NULL is faster. */
void trit_bit_input_forward(struct trit_bit_input *in, const struct trit_kernels *k, const float *x, size_t ldx,
                            const float *w, float eps, float *xn, size_t ldn, int t0, int t1);
/** For tokens t0..t1: what the products saw, as fp32 xd [T, ldd]: a q, or the normed input made again; while quantisers
 * warm up x + lambda (a q - x). */
void trit_bit_input_expand(const struct trit_bit_input *in, const struct trit_kernels *k, const float *x, size_t ldx,
                           const float *w, float eps, float lambda, float *xd, size_t ldd, int t0, int t1);

/** Makes of g T in wq what the products see while quantisers warm up: W + lambda (g T - W). */
void trit_bitlinear_blend(struct trit_bitlinear *b, float lambda);
/** y [tokens, ldy] = x [tokens, ldx] W^T, W [rows, cols]. In a step by the fastest kernel; in a pass that only measures
 * (`measured`) by inference's, so that the loss is the exported model's to the bit. scratch: see trit_gemm_f32_fn. */
void trit_dense_forward(const struct trit_kernels *k, float *y, size_t ldy, const float *w, const float *x, size_t ldx,
                        int rows, int tokens, int cols, bool measured, float *scratch);
/** y [T, ldy], tokens t0..t1; xn as written by trit_bit_input_forward. measured: see trit_dense_forward. scratch: see
 * trit_gemm_f32_fn. */
void trit_bitlinear_forward(const struct trit_bitlinear *b, const struct trit_kernels *k, float *y, size_t ldy,
                            const struct trit_bit_input *in, const float *xn, size_t ldn, int t0, int t1, bool measured,
                            float *scratch);
/** The same of blended weights, and inputs as fp32 xd [T, ldd]. */
void trit_bitlinear_forward_blended(const struct trit_bitlinear *b, const struct trit_kernels *k, float *y, size_t ldy,
                                    const float *xd, size_t ldd, int t0, int t1, float *scratch);
/** dx [T, K] (= or +=) dy g T, tokens t0..t1. */
void trit_bitlinear_backward_x(const struct trit_bitlinear *b, const struct trit_kernels *k, float *dx, const float *dy,
                               size_t ldy, bool accumulate, int t0, int t1, float *scratch);
/** dw += dy^T xd over all T tokens, rows r0..r1. */
void trit_bitlinear_backward_w(const struct trit_bitlinear *b, const struct trit_kernels *k, const float *dy,
                               size_t ldy, const float *xd, size_t ldd, int tokens, int r0, int r1, float *scratch);

#endif
