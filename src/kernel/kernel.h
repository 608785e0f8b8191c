/*
 * kernel.h - the kernels: what each one computes, the table of function pointers, and how the table is chosen.
 *
 * Kernels know no model: raw pointers and int sizes, one thread, no allocation, no failure. Threads split rows, tokens
 * or heads, never a sum. Outputs come first, sizes last. Arrays do not overlap unless said; nothing is read or written
 * beyond the sizes given; any alignment is right, 64 bytes is fast.
 *
 * Same bits everywhere. Integer sums are exact. A float reduction over n elements keeps 16 running sums, element i in
 * sum i mod 16 (a last partial group is filled with zeros), each step one fused multiply-add, then adds sums 8 apart,
 * 4, 2, 1. A "chain" is one running sum, one fused multiply-add a step, in ascending order. Elementwise work uses +, -,
 * *, /, sqrt and fma, correctly rounded. exp is the polynomial of float_body.h. So C, AVX2 and AVX-512 give the same
 * result to the bit, and tests compare bits.
 *
 * Adding a kernel: its contract and a member here; its C form in ref_ternary.c or float_body.h (float kernels are
 * written once and compiled for each tier); faster forms as trit_<op>_<layout>_<isa> in the file of their instruction
 * set; the assignment in that tier's init; a test in tests/checkasm/.
 * Adding a tier: its bits in cpu.h, an init file under x86/ or arm/, a row in kernel.c's list.
 * Adding a layout: its picture in layout.h, its row and functions in layout.c, a gemm_int in every tier.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_KERNEL_H
#define TRIT_KERNEL_KERNEL_H

#include <stdbool.h>

#include "base/error.h"
#include "kernel/kv_page.h"
#include "kernel/layout.h"

/* ---- quantisers -------------------------------------------------------------------------------------------------- */

/**
 * Per-token 8-bit activations [B158 FAQ, activation_quant]: a = max(max|x|, 1e-5), q_i = rint(x_i * (127 / a)) half to
 * even, *step = a / 127, *sum = sum of q. x [n] finite; q [n_padded], zero from n on. |q| <= 127.
 */
typedef void trit_act_quant_fn(int8_t *q, float *step, int32_t *sum, const float *x, int n, int n_padded);
/** trit_rmsnorm_fn (below) and trit_act_quant_fn in one, without storing the floats: the same bits. Returns r. */
typedef float trit_rmsnorm_quant_fn(int8_t *q, float *step, int32_t *sum, const float *x, const float *w, float eps,
                                    int n, int n_padded);
/**
 * Per-token 4-bit activations [A48, eq. 2]: a = max(mean |x|, 1e-5), q_i = clamp(rint(x_i * (sqrt(7) / a)), -8, 7) half
 * to even, *step = a / sqrt(7), *sum = sum of q. The mean is a 16-sum reduction divided by n. x [n] finite, n >= 1;
 * q [n_padded], zero from n on.
 */
typedef void trit_act_quant4_fn(int8_t *q, float *step, int32_t *sum, const float *x, int n, int n_padded);
/** Ternary weights: t_i = clamp(rint(w_i * inverse), -1, 1) half to even [B158, eq. 1-3]; inverse = 1 / absmean. */
typedef void trit_ternarize_fn(int8_t *t, const float *w, float inverse, int n);
/** Binary weights: t_i = +1 if w_i > mean else -1 [B1]. */
typedef void trit_binarize_fn(int8_t *t, const float *w, float mean, int n);
/** y_i = step * q_i. */
typedef void trit_dequant_i8_fn(float *y, const int8_t *q, float step, int n);

/* ---- integer products: weights in a layout of layout.h, activations 8 bits --------------------------------------- */

/** The arguments of a trit_gemm_int_fn, which says what they mean. */
struct trit_gemm_int {
	float *y; /* [tokens, ldy] */
	size_t ldy;
	const unsigned char *w; /* [rows, cols] in the member's layout */
	const float *scale;     /* of w, as in layout.h */
	enum trit_scaling scaling;
	const int8_t *q; /* [tokens, ldq]; ldq >= trit_q_padded(cols), and zero from cols up to that */
	size_t ldq;
	const int32_t *sum; /* [tokens]: of each row of q */
	const float *step;  /* [tokens] */
	int rows, tokens, cols;
	const unsigned char *next; /* where weights begin that are wanted after these, a hint; NULL: right behind them */
};

/**
 * y[t][r] = sum_k scale(r, k) w[r][k] q[t][k] * step[t]   for r < rows, t < tokens, evaluated
 *     tensor, row:  (float)(sum_k w q) * (scale_r * step[t])
 *     group:        s * step[t], s the chain over the groups g along k of fma((float)(sum of w q in g), scale_rg, s),
 *                   from 0
 * |q| <= 127; rows, tokens and cols at least 1, cols <= 65536. Integer sums are exact, and no 32-bit accumulator
 * overflows in any form. The widest cases: i8 as unsigned codes w + 128, 255 * 127 * 65536 = 2122383360 < 2^31; t2
 * whose fields all come to count 64 times before the division, 64 * 3 * 127 * 65536 < 2^30.6; i4 with its upper field
 * in place, 240 * 127 * 65536 / 2 < 2^29.9. Rows and tokens may be cut into several calls (rows at multiples of 16)
 * without changing a bit; kernels are fastest with rows cut at multiples of TRIT_ROW_GRAIN.
 */
typedef void trit_gemm_int_fn(const struct trit_gemm_int *g);
#define TRIT_ROW_GRAIN 64

/* ---- dense products, for inference: every row a 16-sum reduction ------------------------------------------------- */

enum trit_dense_type { TRIT_DENSE_F32, TRIT_DENSE_F16, TRIT_DENSE_BF16, TRIT_DENSE_Q8_0, TRIT_N_DENSE };

/** Bytes of a row of `cols` weights. */
static inline size_t trit_dense_row_bytes(enum trit_dense_type type, size_t cols)
{
	return type == TRIT_DENSE_F32 ? 4 * cols : type == TRIT_DENSE_Q8_0 ? cols / 32 * 34 : 2 * cols;
}

/** y[t][r] = sum_k w[r][k] x[t][k]. w: rows x cols in the file's layout (fp32 | IEEE half | bfloat16 | Q8_0 blocks of
 * 32, cols % 32 == 0, a weight being (float)q * d rounded once), row after row without gaps; x fp32 [tokens, ldx]; y
 * fp32 [tokens, ldy]. */
typedef void trit_gemm_dense_fn(float *y, size_t ldy, const void *w, const float *x, size_t ldx, int rows, int tokens,
                                int cols);
/** One row of such a matrix as fp32 [cols] (embedding look-up). w points at the row. */
typedef void trit_row_dense_fn(float *y, const void *w, int cols);

/* ---- dense products, for training: every element a chain --------------------------------------------------------- */

/**
 * C[i][j] = (accumulate ? C[i][j] : 0) + chain over p < k of A[i][p] * B[p][j].   i < m, j < n
 * A's element (i, p) is a[i * a_row + p * a_col], B's (p, j) is b[p * b_row + j * b_col]; C is row-major with ldc.
 * scratch: TRIT_GEMM_SCRATCH floats, 64-byte aligned, private to the caller during the call.
 * Cutting m, n or (with accumulate) k into several calls gives the same bits.
 */
typedef void trit_gemm_f32_fn(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b,
                              size_t b_row, size_t b_col, int m, int n, int k, bool accumulate, float *scratch);
#define TRIT_GEMM_SCRATCH (512 * 1024)
/**
 * The same product of A and B rounded to bfloat16, half to even, in two chains for each 32 steps of k:
 *     for each block of 32 p, from the first on:  C[i][j] += even + odd,
 * even being the chain over the even p of the block, odd that over the odd ones, both from 0; their sum is rounded,
 * then added. That is what AMX computes (Intel's manual, volume 2, TDPBF16PS). VDPBF16PS, of the tier avx512bf16, makes
 * one chain of all instead, of each pair of p the odd one first (the same manual). A product or a sum below 2^-126 may
 * count as 0. Cutting m and n changes no bit, nor does cutting k at multiples of 32. Tiers below those two have no fast
 * form: there gemm_f32 is faster as well as more precise.
 */
typedef trit_gemm_f32_fn trit_gemm_bf16_fn;

/* ---- float kernels ----------------------------------------------------------------------------------------------- */

/** y_i = x_i * r * w_i, evaluated (x_i * r) * w_i, with r = 1 / sqrt(sum(x^2) / n + eps). y may be x. Returns r. */
typedef float trit_rmsnorm_fn(float *y, const float *x, const float *w, float eps, int n);
/** y_i = fma((x_i - m) * r, w_i, bias_i), with m = sum(x) / n and r = 1 / sqrt(sum((x - m)^2) / n + eps), both sums
 * 16-sum reductions; bias NULL: ((x_i - m) * r) * w_i. y may be x. */
typedef void trit_layernorm_fn(float *y, const float *x, const float *w, const float *bias, float eps, int n);
/** y_i += x_i. */
typedef void trit_add_fn(float *y, const float *x, int n);
/** y_i = fma(a, x_i, y_i). */
typedef void trit_add_scaled_fn(float *y, const float *x, float a, int n);
/**
 * Walsh-Hadamard transform in place, orthonormal, natural order: x_i is first multiplied by 1 / sqrt(n), then for
 * apart = 1, 2, 4, .. n/2 every pair (a, b) of elements whose places differ in that bit becomes (a + b, a - b).
 * n: a power of two, up to 65536.
 */
typedef void trit_hadamard_fn(float *x, int n);
/** x_i *= factor. */
typedef void trit_scale_fn(float *x, float factor, int n);
/** y_i = gate_i / (1 + exp(-gate_i)) * up_i. y may be gate or up. */
typedef void trit_silu_mul_fn(float *y, const float *gate, const float *up, int n);
/** y_i = max(gate_i, 0)^2 * up_i. y may be gate or up. */
typedef void trit_relu2_mul_fn(float *y, const float *gate, const float *up, int n);
/** y_i = gelu(gate_i) * up_i, GELU by tanh: g / 2 (1 + tanh u) = g / (1 + exp(-2 u)), u = sqrt(2 / pi) (g + 0.044715
 * g^3), evaluated g / (1 + exp(g * fma(g * g, -2 * 0.044715 sqrt(2 / pi), -2 sqrt(2 / pi)))). y may be gate or up. */
typedef void trit_gelu_mul_fn(float *y, const float *gate, const float *up, int n);
/**
 * Rotary embedding, in place, of `heads` heads of width `width` at x + h * width: the first n_rot elements of each
 * rotate. half ("NEOX"): pairs (i, i + n_rot/2); else ("NORM"): pairs (2i, 2i + 1), for i < n_rot/2.
 * (a, b) -> (a c_i - b s_i, a s_i + b c_i), as fma(a, c, -(b * s)) and fma(a, s, b * c). cos, sin [n_rot / 2].
 * The inverse rotation (backward pass) is the same with sin negated by the caller's flag `inverse`.
 */
typedef void trit_rope_fn(float *x, const float *cos, const float *sin, int heads, int width, int n_rot, bool half,
                          bool inverse);
/** In place: x_i = cap * tanh(x_i * (1 / cap)), error of tanh below 2 ulp. cap > 0. */
typedef void trit_softcap_fn(float *x, float cap, int n);
/*
 * In these, in scores_backward and in cross_entropy an exponential below 2^-64 is 0: beside 1 it is nothing, but
 * products with such numbers become subnormal, and with these a CPU needs a hundred cycles for a multiply-add.
 */
/** In place: x_i = exp(x_i - max) / sum. n >= 1. */
typedef void trit_softmax_fn(float *x, int n);
/** sum of exp(x_i - max) as a 16-sum reduction; *max receives max. For log-sum-exp. */
typedef float trit_sum_exp_fn(float *max, const float *x, int n);
/** In place, of s_i = scale * x_i, rounded: x_i = exp(s_i - max s); returns the 16-sum reduction of the results. *max
 * receives max s. scale > 0, n >= 1. */
typedef float trit_exp_sum_fn(float *max, float *x, float scale, int n);
/**
 * Probabilities of some positions times the scales of their values, in 14 bits: p_i = e_i * scale_i, a = max(1e-30,
 * max p), r_i = rint(p_i * (16383 / a)), hi_i = r_i / 128, lo_i = r_i mod 128, *step = a / 16383. hi, lo [n_padded],
 * zero from n on; *sum_hi, *sum_lo: their sums. e_i >= 0, scale_i > 0, n >= 0, n_padded <= 65536.
 */
typedef void trit_probability_quant_fn(int8_t *hi, int8_t *lo, int32_t *sum_hi, int32_t *sum_lo, float *step,
                                       const float *e, const float *scale, int n, int n_padded);
/** 16-sum reductions: sum of squares, of absolute values, of values. */
typedef float trit_sum_fn(const float *x, int n);

/* ---- attention --------------------------------------------------------------------------------------------------- */

/* Keys and values lie in the pages of kv_page.h: types f32, f16 and q4. */

/**
 * Puts a key and a value [width] at place `at` of a page. f32: as they are. f16: nearest even. q4: each 32 elements
 * have the scale d = half(x_m / -8), x_m the element farthest from zero (the negative one of two), and integers
 * rint(x * (1 / d)), half to even, clamped to -8..7; 1 / d is taken as 0 when d is. In q4, places 16 apart share bytes:
 * let one thread at a time put to the 32 places from a multiple of 32 on.
 */
typedef void trit_kv_put_fn(unsigned char *page, const float *key, const float *value, int width, int at);
/**
 * Scores s[r][i] of `rows` queries q [rows, ldq] for positions begin <= i < end, begin a multiple of 32; up to the next
 * multiple of 32 anything is written. The page of position i is at pages + i / TRIT_KV_PAGE * stride.
 *     others:  s = c * scale                                   c the chain over elements e of q_e * k_e
 *     q4:      s = chain over groups g of c_g * (d_g * scale)  c_g the same over the group's elements, k_e integers
 */
typedef void trit_attend_scores_fn(float *s, size_t lds, const float *q, size_t ldq, const unsigned char *pages,
                                   size_t stride, float scale, int width, int rows, int begin, int end);
/**
 * Weighted means of values, elements first <= e < last of heads of `width`, first a multiple of 32:
 *     out[r][e] = (chain over i < n + r / share of w_i * v_i[e]) / sum[r]     w_i = p[r][i]; q4: p[r][i] * d_i
 * Row r is written from out + r / share * ld_token + r % share * ld_head on. What is stored at later positions does not
 * matter, be it infinite. n >= 1.
 */
typedef void trit_attend_values_fn(float *out, size_t ld_token, size_t ld_head, const float *p, size_t ldp,
                                   const float *sum, const unsigned char *pages, size_t stride, int width, int first,
                                   int last, int rows, int share, int n);

/* ---- float kernels for training ---------------------------------------------------------------------------------- */

/** dx_i += r (w_i dy_i) - x_i (r^3 / n) sum_j(x_j w_j dy_j): the backward of trit_rmsnorm_fn, r as it returned. */
typedef void trit_rmsnorm_backward_fn(float *dx, const float *x, const float *w, const float *dy, float r, int n);
/** dw_c += chain over t of dy[t][c] * (x[t][c] * r[t]), for c < cols. x, dy [tokens, ld]. */
typedef void trit_rmsnorm_backward_w_fn(float *dw, const float *x, const float *dy, size_t ld, const float *r,
                                        int tokens, int cols);
/** Backward of silu_mul / relu2_mul: dgate, dup from gate, up, dy. dgate may be gate, dup may be up. */
typedef void trit_glu_backward_fn(float *dgate, float *dup, const float *gate, const float *up, const float *dy,
                                  int n);
/** ds_i = scale * p_i * (ds_i - sum_j p_j ds_j), in place. */
typedef void trit_softmax_backward_fn(float *ds, const float *p, float scale, int n);
/** The same from scores s, in place, which become p_i = exp(scale * s_i - log_sum), the product being rounded:
 * ds_i = p_i * (ds_i - mean). scale > 0. */
typedef void trit_scores_backward_fn(float *s, float *ds, float scale, float log_sum, float mean, int n);
/**
 * Cross-entropy of one token over logits [n], with a z-loss of z log^2 Z, Z = sum exp(logits), beside it: in place
 * logits_i = scale * ((1 + 2 z log Z) softmax_i - [i == target]); returns the cross-entropy alone,
 * log(sum exp(logits - max)) - (logits[target] - max), in nats.
 */
typedef float trit_cross_entropy_fn(float *logits, int target, float scale, float z, int n);
/* Gradients in one or two (`bytes`) signed bytes: so the products of the backward pass too are sums of integers
 * (bit_gradient.h). */

/**
 * One token's: a = max(1e-30, max|x|), v_i = x_i * (127 / a), hi_i = rint(v_i), lo_i = rint((v_i - hi_i) * 254),
 * half to even, clamped to +-127; step[0] = a / 127, step[1] = step[0] / 254: x_i is hi_i step[0] within a / 254, and
 * with lo_i step[1] within a / 64000. q [bytes, n_padded] gets the hi, then the lo, zero from n on; sum [bytes]
 * their sums. If an x is not finite, the steps are NaN. With factor [n], not NULL, x_i * factor_i takes the place of
 * x_i. n at most 65536.
 */
typedef void trit_grad_quant_fn(int8_t *q, float *step, int32_t *sum, const float *x, const float *factor, int n,
                                int n_padded, int bytes);
/** max_i = max(max_i, |x_i * factor|), max_i where that is not a number. */
typedef void trit_max_abs_fn(float *max, const float *x, float factor, int n);
/**
 * Columns of x [tokens, ld] with v = (x[t][c] * factor[t]) * (127 / a), a = max(1e-30, max[c]), else as above.
 * Stored as a matrix of layout i8 (layout.h) of `tokens` columns, in which column c of x is row c % 16 of block c /
 * 16 * bytes (hi) and with two bytes of the next (lo); whole blocks are written. scale: the steps of those rows,
 * [bytes * cols rounded up to 16]. max is to hold the largest |x[t][c] * factor[t]|.
 */
typedef void trit_grad_quant_columns_fn(unsigned char *w, float *scale, const float *x, size_t ld, const float *factor,
                                        const float *max, int tokens, int cols, int bytes);
/** to[c][r] = from[r][c], and unless sum is NULL sum[c] += sum over r of from[r][c]; r < rows, c < cols; rows at
 * most 65536. */
typedef void trit_transpose_i8_fn(int8_t *to, size_t ld_to, int32_t *sum, const int8_t *from, size_t ld_from, int rows,
                                  int cols);
/** y[r][i] (+)= pairs[2 r][i] + pairs[2 r + 1][i]; y [rows, ldy], pairs [2 rows, ldp]. */
typedef void trit_add_pairs_fn(float *y, size_t ldy, const float *pairs, size_t ldp, int rows, int cols,
                               bool accumulate);
/** Products of such columns, as rows: y[c][r] += x[r][j], with two bytes x[r][j] + x[r][j + 16], where j is c / 16 * 16
 * * bytes + c % 16; r < rows, c < cols; x [rows, ldx] with ldx >= bytes * cols rounded up to 16. */
typedef void trit_add_transposed_fn(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, int bytes);

/** AdamW, all in place; see train/optim.h for the formula. g is read as g_i * g_scale. */
struct trit_adamw {
	float lr, beta1, beta2, eps, weight_decay;
	float correction1, correction2; /* 1 / (1 - beta1^t), 1 / (1 - beta2^t) */
	float g_scale;                  /* gradient clipping */
};
/** m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= lr (m c1 / (sqrt(v c2) + eps) + weight_decay w).
 * m and v below 2^-100 are stored as 0: so moments whose gradient is 0 for long do not become subnormal. */
typedef void trit_adamw_fn(float *w, float *m, float *v, const float *g, const struct trit_adamw *p, int n);

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* In ascending order within an architecture; init raises through all that the CPU has up to the one wanted. */
enum trit_tier {
	TRIT_TIER_C,
	TRIT_TIER_AVX2,
	TRIT_TIER_AVXVNNI, /* AVX2 with 256-bit VNNI, no AVX-512: Alder Lake and later */
	TRIT_TIER_AVX512,
	TRIT_TIER_AVX512BF16, /* and dot products of bfloat16 at twice the speed of fp32: Zen 4 and later */
	TRIT_TIER_AMX,
	TRIT_TIER_NEON,
	TRIT_TIER_DOTPROD,
	TRIT_TIER_I8MM,
	TRIT_N_TIERS
};

/**
 * The speed limits of this CPU as the tier sees them, for benchmarks. All may be called from several threads at once.
 * read_pass: reads the n bytes at p (both multiples of 64) once, in order; returns the exclusive or of all its 64-bit
 * words. int8_peak: runs the tier's best 8-bit multiply-add instruction on registers (tiles) only, `rounds` rounds of
 * some microseconds at most; returns the operations done, a multiply and an add counting two. f32_peak: the same of
 * fp32 fused multiply-adds. bf16_peak: of the instruction of a fast gemm_bf16; 0 where there is none.
 */
typedef uint64_t trit_read_pass_fn(const void *p, size_t n);
typedef double trit_peak_fn(int rounds);

struct trit_kernels {
	enum trit_tier tier;

	trit_peak_fn *int8_peak, *f32_peak, *bf16_peak;
	trit_read_pass_fn *read_pass;

	trit_act_quant_fn *act_quant;
	trit_act_quant4_fn *act_quant4;
	trit_rmsnorm_quant_fn *rmsnorm_quant;
	trit_ternarize_fn *ternarize;
	trit_binarize_fn *binarize;
	trit_dequant_i8_fn *dequant_i8;

	trit_gemm_int_fn *gemm_int[TRIT_N_LAYOUTS];
	trit_gemm_dense_fn *gemm_dense[TRIT_N_DENSE];
	trit_row_dense_fn *row_dense[TRIT_N_DENSE];
	trit_gemm_f32_fn *gemm_f32;
	trit_gemm_bf16_fn *gemm_bf16;

	trit_rmsnorm_fn *rmsnorm;
	trit_layernorm_fn *layernorm;
	trit_add_fn *add;
	trit_add_scaled_fn *add_scaled;
	trit_hadamard_fn *hadamard;
	trit_scale_fn *scale;
	trit_silu_mul_fn *silu_mul;
	trit_relu2_mul_fn *relu2_mul;
	trit_gelu_mul_fn *gelu_mul;
	trit_softcap_fn *softcap;
	trit_rope_fn *rope;
	trit_softmax_fn *softmax;
	trit_sum_exp_fn *sum_exp;
	trit_exp_sum_fn *exp_sum;
	trit_probability_quant_fn *probability_quant;
	trit_sum_fn *sum_squares, *sum_abs, *sum;
	trit_kv_put_fn *kv_put[TRIT_N_KV_FLOAT];
	trit_attend_scores_fn *attend_scores[TRIT_N_KV_FLOAT];
	trit_attend_values_fn *attend_values[TRIT_N_KV_FLOAT];

	trit_rmsnorm_backward_fn *rmsnorm_backward;
	trit_rmsnorm_backward_w_fn *rmsnorm_backward_w;
	trit_glu_backward_fn *silu_mul_backward, *relu2_mul_backward;
	trit_softmax_backward_fn *softmax_backward;
	trit_scores_backward_fn *scores_backward;
	trit_cross_entropy_fn *cross_entropy;
	trit_grad_quant_fn *grad_quant;
	trit_max_abs_fn *max_abs;
	trit_grad_quant_columns_fn *grad_quant_columns;
	trit_transpose_i8_fn *transpose_i8;
	trit_add_pairs_fn *add_pairs;
	trit_add_transposed_fn *add_transposed;
	trit_adamw_fn *adamw;
};

/** "c", "avx2", "avxvnni", "avx512", "avx512bf16", "amx", "neon", "dotprod", "i8mm". */
const char *trit_tier_name(enum trit_tier tier);
/** Whether this CPU and operating system can run a tier. */
bool trit_tier_here(enum trit_tier tier);
/** The best one they can. */
enum trit_tier trit_best_tier(void);
/** Whether products are those of gemm_bf16, in a table made for them (train/recipe.h). */
static inline bool trit_kernels_round(const struct trit_kernels *k)
{
	return k->gemm_f32 == k->gemm_bf16;
}
/** Whether gemm_bf16 is more than its plain C form: faster than gemm_f32. */
bool trit_kernels_have_bf16(const struct trit_kernels *k);
/** Fills a table with plain C, then raises it by every tier that is here, up to `tier`. */
void trit_kernels_fill(struct trit_kernels *k, enum trit_tier tier);
/**
 * Fills a table for this process: the tier named by `cpu`, or if that is NULL by the environment variable TRIT_CPU, or
 * the best one; then runs the self-test of every kernel that is not plain C, and puts the C form back (with a logged
 * warning) where the bits differ. Errors: ARG for a name that is none, UNSUPPORTED for a tier this CPU lacks.
 */
TRIT_MUST_CHECK int trit_kernels_select(struct trit_kernels *k, const char *cpu, struct trit_error *err);

#endif
