/*
 * ternary_avx512.c - quantisers and integer products with AVX-512 VNNI, and the limits of the CPU.
 *
 * The products themselves are in gemv_avx512.c (few tokens) and panel_avx512.c (many).
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/int_avx512.h"

#include "kernel/x86/init.h"

#define WIDE(op) _mm512_##op
#define WIDE_REG __m512i
#define LANES 4
#include "kernel/x86/transpose_body.h"

static trit_ternarize_fn trit_ternarize_avx512;
static trit_binarize_fn trit_binarize_avx512;
static trit_dequant_i8_fn trit_dequant_i8_avx512;
static trit_peak_fn trit_int8_peak_avx512;
static trit_read_pass_fn trit_read_pass_avx512;

/* ---- quantisers -------------------------------------------------------------------------------------------------- */

static void trit_ternarize_avx512(int8_t *t, const float *w, float inverse, int n)
{
	const __m512 half = _mm512_set1_ps(0.5f), minus_half = _mm512_set1_ps(-0.5f);

	for (int i = 0; i < n; i += 16) {
		__mmask16 m = lanes(n - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, w + i), _mm512_set1_ps(inverse));
		__m128i plus = _mm_maskz_set1_epi8(_mm512_cmp_ps_mask(v, half, _CMP_GT_OQ), 1);
		__m128i both = _mm_mask_set1_epi8(plus, _mm512_cmp_ps_mask(v, minus_half, _CMP_LT_OQ), -1);
		_mm_mask_storeu_epi8(t + i, m, both);
	}
}

static void trit_binarize_avx512(int8_t *t, const float *w, float mean, int n)
{
	for (int i = 0; i < n; i += 16) {
		__mmask16 m = lanes(n - i);
		__mmask16 above = _mm512_cmp_ps_mask(_mm512_maskz_loadu_ps(m, w + i), _mm512_set1_ps(mean), _CMP_GT_OQ);
		_mm_mask_storeu_epi8(t + i, m, _mm_mask_set1_epi8(_mm_set1_epi8(-1), above, 1));
	}
}

static void trit_dequant_i8_avx512(float *y, const int8_t *q, float step, int n)
{
	for (int i = 0; i < n; i += 16) {
		__mmask16 m = lanes(n - i);
		__m512 v = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(m, q + i)));
		_mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(_mm512_set1_ps(step), v));
	}
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

enum {
	MAX_BIASES = 8192,       /* at least TRIT_FEW_TOKENS rows of TRIT_MAX_COLS / 64 groups */
	MAX_Q_BYTES = 768 << 10, /* of the second-level cache for activations, which are read again for every 64 rows */
	MIN_TOKENS = 48,
};

/* Tokens that are multiplied before the next ones: all of them, or parts of one size. */
static int tokens_at_once(const struct int_product *p)
{
	int most = (int)(MAX_Q_BYTES / trit_q_padded((size_t)p->cols)), biases = (int)(MAX_BIASES / p->n_groups);

	most = most < MIN_TOKENS ? MIN_TOKENS : most;
	most = most < biases ? most : biases;
	int parts = (p->tokens + most - 1) / most;
	return parts > 0 ? (p->tokens + parts - 1) / parts : 1;
}

/* biases of int_product for its tokens, each the sum over `group` columns. */
static void group_biases(int32_t *biases, const struct int_product *p, int bias, int group)
{
	const __m512i ones = _mm512_set1_epi8(1);

	for (int t = 0; t < p->tokens; t++) {
		const int8_t *q = p->q + (size_t)t * p->ldq;
		for (int c0 = 0; c0 < p->cols; c0 += group) {
			__m512i acc = _mm512_setzero_si512();
			for (int c = c0; c < c0 + group && c < p->cols; c += 64) /* q is padded to multiples of 64 */
				acc = _mm512_dpbusd_epi32(acc, ones, _mm512_loadu_si512(q + c));
			*biases++ = bias * _mm512_reduce_add_epi32(acc);
		}
	}
}

/* Up to so many tokens gemv_avx512.c, which decodes once a pass, is faster than panels. */
static const int few_tokens[TRIT_N_LAYOUTS] = {[TRIT_T2] = 32, [TRIT_T5] = 32, [TRIT_B1] = 16,
                                               [TRIT_I8] = 64, [TRIT_I6] = 16, [TRIT_I4] = 48};

/* Both ways: whole panels of rows, and the rows that are left. */
static void product(enum trit_layout layout, const struct int_product *p)
{
	struct int_product part = *p;
	/* With scales of groups there are no wide passes, and t5 is slow to decode. */
	int few = layout == TRIT_T5 && p->scaling > TRIT_SCALE_ROW ? TRIT_FEW_TOKENS : few_tokens[layout];

	part.rows = p->tokens > few ? p->rows / TRIT_ROW_GRAIN * TRIT_ROW_GRAIN : 0;
	if (part.rows > 0)
		trit_panel_avx512(layout, &part);
	if (part.rows < p->rows) {
		part.y += part.rows;
		part.w += (size_t)part.rows / TRIT_BLOCK_ROWS * p->block_bytes;
		part.scale += trit_scale_at(p->scaling, (size_t)part.rows, (size_t)p->cols);
		part.rows = p->rows - part.rows;
		trit_gemv_avx512(layout, &part);
	}
}

static void gemm_int(enum trit_layout layout, const struct trit_gemm_int *g)
{
	int32_t biases[MAX_BIASES];
	const int32_t *sum = g->sum;
	int bias = int_bias(layout), tokens = g->tokens;
	struct int_product p = {.y = g->y, .ldy = g->ldy, .w = g->w, .scale = g->scale, .scaling = g->scaling, .q = g->q,
	                        .ldq = g->ldq, .step = g->step, .rows = g->rows, .tokens = tokens, .cols = g->cols,
	                        .biases = biases};

	p.block_bytes = trit_layout_bytes(layout, TRIT_BLOCK_ROWS, (size_t)p.cols);
	p.n_groups = p.scaling > TRIT_SCALE_ROW ? ((size_t)p.cols + p.scaling - 1) / p.scaling : 1;
	p.end = p.w + (size_t)(p.rows + TRIT_BLOCK_ROWS - 1) / TRIT_BLOCK_ROWS * p.block_bytes;
	int at_once = tokens_at_once(&p);
	for (; tokens > 0; tokens -= p.tokens) {
		p.tokens = tokens < at_once ? tokens : at_once;
		p.next = tokens > p.tokens ? p.w : g->next ? g->next : p.end;
		if (p.scaling > TRIT_SCALE_ROW)
			group_biases(biases, &p, bias, (int)p.scaling);
		else
			for (int t = 0; t < p.tokens; t++)
				biases[t] = bias * sum[t];
		product(layout, &p);
		p.y += (size_t)p.tokens * p.ldy;
		p.q += (size_t)p.tokens * p.ldq;
		p.step += p.tokens;
		sum += p.tokens;
	}
}

#define GEMM_INT(name, layout)                                                                                         \
	void trit_gemm_##name##_avx512(const struct trit_gemm_int *g)                                                  \
	{                                                                                                              \
		gemm_int(layout, g);                                                                                   \
	}
GEMM_INT(t2, TRIT_T2)
GEMM_INT(t5, TRIT_T5)
GEMM_INT(b1, TRIT_B1)
GEMM_INT(i8, TRIT_I8)
GEMM_INT(i6, TRIT_I6)
GEMM_INT(i4, TRIT_I4)

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static uint64_t trit_read_pass_avx512(const void *p, size_t n)
{
	const unsigned char *b = p, *end = b + n;
	__m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;
	uint64_t words[8], x = 0;

	for (; (size_t)(end - b) >= 256; b += 256) {
		for (int i = 0; i < 256; i += 64) {
			_mm_prefetch((const char *)b + i + 16384, _MM_HINT_T1);
			_mm_prefetch((const char *)b + i + 4096, _MM_HINT_T0);
		}
		a0 = _mm512_xor_si512(a0, _mm512_loadu_si512(b));
		a1 = _mm512_xor_si512(a1, _mm512_loadu_si512(b + 64));
		a2 = _mm512_xor_si512(a2, _mm512_loadu_si512(b + 128));
		a3 = _mm512_xor_si512(a3, _mm512_loadu_si512(b + 192));
	}
	for (; b < end; b += 64)
		a0 = _mm512_xor_si512(a0, _mm512_loadu_si512(b));
	_mm512_storeu_si512(words, _mm512_xor_si512(_mm512_xor_si512(a0, a1), _mm512_xor_si512(a2, a3)));
	for (int i = 0; i < 8; i++)
		x ^= words[i];
	return x;
}

/* Twelve chains; ten would do for an instruction of five cycles of which two start in each. */
static double trit_int8_peak_avx512(int rounds)
{
	enum { STEPS = 1000, CHAINS = 12 };
	const __m512i code = _mm512_set1_epi8(2), q = _mm512_set1_epi8(3);
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;

#define PEAK_DOT(acc) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(code), "v"(q))
	for (int s = 0; s < rounds * STEPS; s++) {
		PEAK_DOT(a);
		PEAK_DOT(b);
		PEAK_DOT(c);
		PEAK_DOT(d);
		PEAK_DOT(e);
		PEAK_DOT(f);
		PEAK_DOT(g);
		PEAK_DOT(h);
		PEAK_DOT(i);
		PEAK_DOT(j);
		PEAK_DOT(k);
		PEAK_DOT(l);
	}
#undef PEAK_DOT
	return 2.0 * 64 * CHAINS * STEPS * rounds;
}

void trit_ternary_init_avx512(struct trit_kernels *k)
{
	k->int8_peak = trit_int8_peak_avx512;
	k->read_pass = trit_read_pass_avx512;
	k->ternarize = trit_ternarize_avx512;
	k->binarize = trit_binarize_avx512;
	k->dequant_i8 = trit_dequant_i8_avx512;
	k->transpose_i8 = transpose_i8;
	k->gemm_int[TRIT_T2] = trit_gemm_t2_avx512;
	k->gemm_int[TRIT_T5] = trit_gemm_t5_avx512;
	k->gemm_int[TRIT_B1] = trit_gemm_b1_avx512;
	k->gemm_int[TRIT_I8] = trit_gemm_i8_avx512;
	k->gemm_int[TRIT_I6] = trit_gemm_i6_avx512;
	k->gemm_int[TRIT_I4] = trit_gemm_i4_avx512;
}
