/*
 * ternary_avx512.c - quantisers and ternary products with AVX-512 VNNI.
 *
 * A group of layout t2 is one register: 16 rows (lanes) x 4 bytes, four 2-bit codes a byte. vpdpbusd multiplies the
 * unsigned bytes of a lane, one field of the codes, by four signed activations that are the same for all lanes, and
 * adds the four products to the lane's 32-bit sum, without saturation. So a lane sums one row, and only sum(q) is
 * subtracted at the end, because a code is its weight plus one.
 *
 * Two ways through a product:
 *   few tokens   the weights come from memory and each is used once or little. Fields are masked but not shifted: field
 *                d counts 4^d times and has its own sums, divided (exactly) at the end. One mask and one vpdpbusd a
 *                field; with software prefetch this runs at the speed of reading.
 *   many tokens  64 rows x 512 columns are shifted and masked into bytes once, 32 KB that stay in the first-level
 *                cache, and meet all tokens there, 4 x 16 rows by 6 tokens in 24 registers: 10 loads feed 24 vpdpbusd.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernel/tiers.h"

static trit_ternarize_fn trit_ternarize_avx512;
static trit_binarize_fn trit_binarize_avx512;
static trit_dequant_i8_fn trit_dequant_i8_avx512;
static trit_gemm_int_fn trit_gemm_t2_avx512;

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* ---- quantisers -------------------------------------------------------------------------------------------------- */

/* The first `left` of 16 lanes; all when there are more. */
static ALWAYS_INLINE __mmask16 lanes(int left)
{
	return left >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << left) - 1);
}

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

/* ---- products: what both ways share ------------------------------------------------------------------------------ */

/* Four activations, for every lane: a broadcasting load. */
static ALWAYS_INLINE __m512i four(const int8_t *q)
{
	int32_t word;
	memcpy(&word, q, 4);
	return _mm512_set1_epi32(word);
}

static ALWAYS_INLINE __m512i dot(__m512i acc, __m512i codes, __m512i activations)
{
	return _mm512_dpbusd_epi32(acc, codes, activations);
}

/* The epilogue for 16 rows: exact integer sums to scaled floats. */
static ALWAYS_INLINE __m512 scaled(__m512i acc, int32_t sum, float scale)
{
	return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(acc, _mm512_set1_epi32(sum))), _mm512_set1_ps(scale));
}

/* ---- few tokens -------------------------------------------------------------------------------------------------- */

/*
 * Weights are read once, in order, and their place 16 KB ahead is asked into the second-level cache, 4 KB ahead into
 * the first. Measured: only one of them 85 to 90 % of this speed, none a half.
 */
static ALWAYS_INLINE void prefetch(const unsigned char *w)
{
	_mm_prefetch((const char *)w + 16384, _MM_HINT_T1);
	_mm_prefetch((const char *)w + 4096, _MM_HINT_T0);
}

/* Four fields with their weights 1, 4, 16, 64; the divisions are exact. */
static ALWAYS_INLINE __m512i combined(__m512i f0, __m512i f1, __m512i f2, __m512i f3)
{
	__m512i low = _mm512_add_epi32(f0, _mm512_srai_epi32(f1, 2));
	return _mm512_add_epi32(low, _mm512_add_epi32(_mm512_srai_epi32(f2, 4), _mm512_srai_epi32(f3, 6)));
}

/*
 * vpdpbusd with the four activations at q as its broadcast operand. From intrinsics gcc 12 makes a load of its own of
 * it, and copies of the sums that no longer fit the registers; that costs a tenth of the speed for one token, a third
 * for four.
 */
static ALWAYS_INLINE __m512i dot_four(__m512i acc, __m512i codes, const int8_t *q)
{
	typedef int32_t word __attribute__((may_alias, aligned(1)));
	__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(codes), "m"(*(const word *)q));
	return acc;
}

/* One register of weights for one token: `s` names its four sums, x points at its 16 activations. */
#define FEW_STEP(s, x)                                                                                                 \
	do {                                                                                                           \
		s##0 = dot_four(s##0, code0, (x));                                                                     \
		s##1 = dot_four(s##1, code1, (x) + 4);                                                                 \
		s##2 = dot_four(s##2, code2, (x) + 8);                                                                 \
		s##3 = dot_four(s##3, code3, (x) + 12);                                                                \
	} while (0)
#define FEW_FIELDS(p)                                                                                                  \
	__m512i v = _mm512_loadu_si512(p);                                                                             \
	__m512i code0 = _mm512_and_si512(v, m0), code1 = _mm512_and_si512(v, m1);                                      \
	__m512i code2 = _mm512_and_si512(v, m2), code3 = _mm512_and_si512(v, m3);                                      \
	prefetch(p)
#define FEW_SUMS(s) __m512i s##0 = zero, s##1 = zero, s##2 = zero, s##3 = zero
#define FEW_MASKS                                                                                                      \
	const __m512i m0 = _mm512_set1_epi8(3), m1 = _mm512_set1_epi8(12), m2 = _mm512_set1_epi8(48),                  \
	              m3 = _mm512_set1_epi8((char)192), zero = _mm512_setzero_si512()

/* 16 rows, one token. Two sets of sums, for even and odd groups: vpdpbusd takes five cycles, two can start in each. */
static ALWAYS_INLINE __m512i block_by_1(const unsigned char *w, const int8_t *q, int groups)
{
	FEW_MASKS;
	FEW_SUMS(a);
	FEW_SUMS(b);
	int g = 0;

	for (; g + 2 <= groups; g += 2, w += 128, q += 32) {
		{
			FEW_FIELDS(w);
			FEW_STEP(a, q);
		}
		{
			FEW_FIELDS(w + 64);
			FEW_STEP(b, q + 16);
		}
	}
	if (g < groups) {
		FEW_FIELDS(w);
		FEW_STEP(a, q);
	}
	return combined(_mm512_add_epi32(a0, b0), _mm512_add_epi32(a1, b1), _mm512_add_epi32(a2, b2),
	                _mm512_add_epi32(a3, b3));
}

/* 16 rows, 2 to 4 tokens, a constant after inlining. */
static ALWAYS_INLINE void block_by_few(__m512i *acc, const unsigned char *w, const int8_t *q, size_t ldq, int groups,
                                       const int tokens)
{
	FEW_MASKS;
	FEW_SUMS(a);
	FEW_SUMS(b);
	FEW_SUMS(c);
	FEW_SUMS(d);
	const int8_t *q3 = q + 3 * ldq;

	for (; groups > 0; groups--, w += 64, q += 16, q3 += 16) {
		FEW_FIELDS(w);
		FEW_STEP(a, q);
		FEW_STEP(b, q + ldq);
		if (tokens > 2)
			FEW_STEP(c, q + 2 * ldq);
		if (tokens > 3)
			FEW_STEP(d, q3);
	}
	acc[0] = combined(a0, a1, a2, a3);
	acc[1] = combined(b0, b1, b2, b3);
	acc[2] = combined(c0, c1, c2, c3);
	acc[3] = combined(d0, d1, d2, d3);
}

static void few_tokens(float *y, size_t ldy, const unsigned char *w, const int8_t *q, size_t ldq, const int32_t *sum,
                       const float *step, float scale, int rows, int tokens, int groups)
{
	for (int r = 0; r < rows; r += TRIT_BLOCK_ROWS, w += (size_t)groups * 64) {
		__mmask16 valid = lanes(rows - r);
		for (int t = 0, n; t < tokens; t += n) {
			const int8_t *x = q + (size_t)t * ldq;
			__m512i acc[4];
			n = tokens - t < 4 ? tokens - t : 4;
			switch (n) {
			case 1: acc[0] = block_by_1(w, x, groups); break;
			case 2: block_by_few(acc, w, x, ldq, groups, 2); break;
			case 3: block_by_few(acc, w, x, ldq, groups, 3); break;
			default: block_by_few(acc, w, x, ldq, groups, 4); break;
			}
			for (int i = 0; i < n; i++) {
				__m512 v = scaled(acc[i], sum[t + i], scale * step[t + i]);
				_mm512_mask_storeu_ps(y + (size_t)(t + i) * ldy + r, valid, v);
			}
		}
	}
}

/* ---- many tokens ------------------------------------------------------------------------------------------------- */

enum {
	PANEL_BLOCKS = 4,                          /* of 16 rows */
	PANEL_ROWS = PANEL_BLOCKS * TRIT_BLOCK_ROWS,
	PANEL_GROUPS = 32,                         /* of 16 columns */
	TILE = 6,                                  /* tokens */
	MANY = 12,                                 /* from here on decoding first pays */
};

/*
 * Codes of four row blocks as bytes: register 4 * s + b holds block b, columns 4 s .. 4 s + 3. `next` is where the
 * panel after this one begins: it arrives in the second-level cache while this one is used.
 */
static void decode_panel(__m512i *panel, const unsigned char *w, const unsigned char *next, size_t block_bytes,
                         int groups)
{
	const __m512i m = _mm512_set1_epi8(3);

	for (int b = 0; b < PANEL_BLOCKS; b++, w += block_bytes, next += block_bytes)
		for (int g = 0; g < groups; g++) {
			__m512i v = _mm512_loadu_si512(w + 64 * g);
			__m512i *to = panel + 16 * g + b;
			_mm_prefetch((const char *)next + 64 * g, _MM_HINT_T1);
			to[0] = _mm512_and_si512(v, m);
			to[4] = _mm512_and_si512(_mm512_srli_epi16(v, 2), m);
			to[8] = _mm512_and_si512(_mm512_srli_epi16(v, 4), m);
			to[12] = _mm512_and_si512(_mm512_srli_epi16(v, 6), m);
		}
}

/* Where a tile's sums come from and go to: between panels of the same rows they rest, as int32, in y itself. */
struct tile {
	float *y;
	size_t ldy;
	const int8_t *q;
	size_t ldq;
	const int32_t *sum;
	const float *step;
	float scale;
	bool first, last; /* panel along the columns */
};

#define TILE_LOAD(s, i)                                                                                                \
	__m512i s##0 = zero, s##1 = zero, s##2 = zero, s##3 = zero;                                                    \
	if (tokens > i && !t->first) {                                                                                 \
		const float *from = t->y + (i)*t->ldy;                                                                 \
		s##0 = _mm512_loadu_si512(from);                                                                       \
		s##1 = _mm512_loadu_si512(from + 16);                                                                  \
		s##2 = _mm512_loadu_si512(from + 32);                                                                  \
		s##3 = _mm512_loadu_si512(from + 48);                                                                  \
	}
#define TILE_STEP(s, x)                                                                                                \
	do {                                                                                                           \
		__m512i v = four(x);                                                                                   \
		s##0 = dot(s##0, w0, v);                                                                               \
		s##1 = dot(s##1, w1, v);                                                                               \
		s##2 = dot(s##2, w2, v);                                                                               \
		s##3 = dot(s##3, w3, v);                                                                               \
	} while (0)
#define TILE_STORE(s, i)                                                                                               \
	if (tokens > i) {                                                                                              \
		float *to = t->y + (i)*t->ldy;                                                                         \
		if (t->last) {                                                                                         \
			float scale = t->scale * t->step[i];                                                           \
			_mm512_storeu_ps(to, scaled(s##0, t->sum[i], scale));                                          \
			_mm512_storeu_ps(to + 16, scaled(s##1, t->sum[i], scale));                                     \
			_mm512_storeu_ps(to + 32, scaled(s##2, t->sum[i], scale));                                     \
			_mm512_storeu_ps(to + 48, scaled(s##3, t->sum[i], scale));                                     \
		} else {                                                                                               \
			_mm512_storeu_si512(to, s##0);                                                                 \
			_mm512_storeu_si512(to + 16, s##1);                                                            \
			_mm512_storeu_si512(to + 32, s##2);                                                            \
			_mm512_storeu_si512(to + 48, s##3);                                                            \
		}                                                                                                      \
	}

/* 64 rows by `tokens` (1 to 6, a constant after inlining) over one panel. */
static ALWAYS_INLINE void tile(const struct tile *t, const __m512i *panel, int groups, const int tokens)
{
	const __m512i zero = _mm512_setzero_si512();
	const __m512i *end = panel + 16 * groups;
	const int8_t *q0 = t->q, *q3 = t->q + 3 * t->ldq;
	size_t ldq = t->ldq;

	TILE_LOAD(a, 0)
	TILE_LOAD(b, 1)
	TILE_LOAD(c, 2)
	TILE_LOAD(d, 3)
	TILE_LOAD(e, 4)
	TILE_LOAD(f, 5)
	for (; panel < end; panel += PANEL_BLOCKS, q0 += 4, q3 += 4) {
		__m512i w0 = panel[0], w1 = panel[1], w2 = panel[2], w3 = panel[3];
		TILE_STEP(a, q0);
		if (tokens > 1)
			TILE_STEP(b, q0 + ldq);
		if (tokens > 2)
			TILE_STEP(c, q0 + 2 * ldq);
		if (tokens > 3)
			TILE_STEP(d, q3);
		if (tokens > 4)
			TILE_STEP(e, q3 + ldq);
		if (tokens > 5)
			TILE_STEP(f, q3 + 2 * ldq);
	}
	TILE_STORE(a, 0)
	TILE_STORE(b, 1)
	TILE_STORE(c, 2)
	TILE_STORE(d, 3)
	TILE_STORE(e, 4)
	TILE_STORE(f, 5)
}

/* A function each: inlined into one, gcc 12 runs out of registers. */
#define TILE_OF(n)                                                                                                     \
	static __attribute__((noinline)) void tile_##n(const struct tile *t, const __m512i *panel, int groups)           \
	{                                                                                                              \
		tile(t, panel, groups, n);                                                                             \
	}
TILE_OF(1)
TILE_OF(2)
TILE_OF(3)
TILE_OF(4)
TILE_OF(5)
TILE_OF(6)

typedef void tile_fn(const struct tile *t, const __m512i *panel, int groups);
static tile_fn *const tiles[TILE + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

/* rows: a multiple of PANEL_ROWS. */
static void many_tokens(float *y, size_t ldy, const unsigned char *w, const int8_t *q, size_t ldq, const int32_t *sum,
                        const float *step, float scale, int rows, int tokens, int groups)
{
	__m512i panel[4 * PANEL_BLOCKS * PANEL_GROUPS];
	size_t block_bytes = (size_t)groups * 64;
	int n_panels = (groups + PANEL_GROUPS - 1) / PANEL_GROUPS; /* along the columns, as even as can be */
	int n_tiles = (tokens + TILE - 1) / TILE;

	for (int r = 0; r < rows; r += PANEL_ROWS, w += PANEL_BLOCKS * block_bytes)
		for (int p = 0; p < n_panels; p++) {
			int g0 = (int)((long)groups * p / n_panels), g1 = (int)((long)groups * (p + 1) / n_panels);
			const unsigned char *next = p + 1 < n_panels ? w + 64 * g1 : w + PANEL_BLOCKS * block_bytes;
			decode_panel(panel, w + 64 * g0, next, block_bytes, g1 - g0);
			for (int i = 0; i < n_tiles; i++) {
				int t0 = (int)((long)tokens * i / n_tiles), t1 = (int)((long)tokens * (i + 1) / n_tiles);
				struct tile t = {y + (size_t)t0 * ldy + r, ldy, q + (size_t)t0 * ldq + 16 * g0, ldq, sum + t0,
				                 step + t0, scale, p == 0, p + 1 == n_panels};
				tiles[t1 - t0](&t, panel, g1 - g0);
			}
		}
}

static void trit_gemm_t2_avx512(float *y, size_t ldy, const unsigned char *w, const float *scales,
                                enum trit_scaling scaling, const int8_t *q, size_t ldq, const int32_t *sum,
                                const float *step, int rows, int tokens, int cols)
{
	if (scaling != TRIT_SCALE_TENSOR) {
		trit_gemm_t2_c(y, ldy, w, scales, scaling, q, ldq, sum, step, rows, tokens, cols);
		return;
	}
	float scale = scales[0];
	int groups = (cols + 16 - 1) / 16;
	int whole = tokens < MANY ? 0 : rows / PANEL_ROWS * PANEL_ROWS;

	many_tokens(y, ldy, w, q, ldq, sum, step, scale, whole, tokens, groups);
	few_tokens(y + whole, ldy, w + (size_t)whole / TRIT_BLOCK_ROWS * (size_t)groups * 64, q, ldq, sum, step, scale,
	           rows - whole, tokens, groups);
}

void trit_ternary_init_avx512(struct trit_kernels *k)
{
	k->ternarize = trit_ternarize_avx512;
	k->binarize = trit_binarize_avx512;
	k->dequant_i8 = trit_dequant_i8_avx512;
	k->gemm_int[TRIT_T2] = trit_gemm_t2_avx512;
}
