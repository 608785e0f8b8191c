/*
 * ternary_avx2.c - quantisers and ternary products with AVX2.
 *
 * A group of layout t2 is two registers of 8 rows (32-bit lanes) x 4 bytes, four 2-bit codes a byte. vpmaddubsw
 * multiplies the unsigned bytes of a lane, one field of the codes, by four signed activations that are the same for all
 * lanes, and adds pairs of products to 16 bits with saturation; that never happens here, as |activation| <= 127:
 *
 *     codes 0, 1, 2    a pair of products is at most 2 * 2 * 127 = 508,  so 64 of them can be added in 16 bits (32512)
 *     codes 0, 4, 8    (a field not shifted down)               2032,  so 16
 *
 * Only then are the 16-bit sums widened (vpmaddwd) and added in 32 bits. As a code is its weight plus one, sum(q) is
 * subtracted at the end.
 *
 * Two ways through a product:
 *   few tokens   one shift and four masks give the fields with weights 1, 4, 1, 4; four products, four additions.
 *   many tokens  16 rows x 1024 columns are decoded to bytes once, 16 KB that stay in the first-level cache, and meet
 *                all tokens there, six at a time in twelve 16-bit sums.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernel/tiers.h"

static trit_ternarize_fn trit_ternarize_avx2;
static trit_binarize_fn trit_binarize_avx2;
static trit_dequant_i8_fn trit_dequant_i8_avx2;
static trit_gemm_int_fn trit_gemm_t2_avx2;

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* ---- quantisers, 8 elements a step ------------------------------------------------------------------------------- */

/* The first `left` of 8 floats at p, zeros behind them; all when there are more. Nothing else is touched. */
static ALWAYS_INLINE __m256 load_floats(const float *p, int left)
{
	if (left >= 8)
		return _mm256_loadu_ps(p);
	float last[8] = {0};
	memcpy(last, p, (size_t)left * sizeof *last);
	return _mm256_loadu_ps(last);
}

/* Stores the first `left` of 8 32-bit integers, -128..127, as bytes. */
static ALWAYS_INLINE void store_bytes(int8_t *p, __m256i v, int left)
{
	__m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
	__m128i bytes = _mm_packs_epi16(words, words);
	if (left >= 8) {
		_mm_storel_epi64((__m128i *)p, bytes);
	} else {
		int8_t last[8];
		_mm_storel_epi64((__m128i *)last, bytes);
		memcpy(p, last, (size_t)left);
	}
}

static void trit_ternarize_avx2(int8_t *t, const float *w, float inverse, int n)
{
	const __m256 half = _mm256_set1_ps(0.5f), minus_half = _mm256_set1_ps(-0.5f);

	for (int i = 0; i < n; i += 8) {
		__m256 v = _mm256_mul_ps(load_floats(w + i, n - i), _mm256_set1_ps(inverse));
		__m256i above = _mm256_castps_si256(_mm256_cmp_ps(v, half, _CMP_GT_OQ)); /* all ones: -1 */
		__m256i below = _mm256_castps_si256(_mm256_cmp_ps(v, minus_half, _CMP_LT_OQ));
		store_bytes(t + i, _mm256_sub_epi32(below, above), n - i);
	}
}

static void trit_binarize_avx2(int8_t *t, const float *w, float mean, int n)
{
	for (int i = 0; i < n; i += 8) {
		__m256 above = _mm256_cmp_ps(load_floats(w + i, n - i), _mm256_set1_ps(mean), _CMP_GT_OQ);
		__m256i bit = _mm256_srli_epi32(_mm256_castps_si256(above), 31);
		store_bytes(t + i, _mm256_sub_epi32(_mm256_add_epi32(bit, bit), _mm256_set1_epi32(1)), n - i);
	}
}

static void trit_dequant_i8_avx2(float *y, const int8_t *q, float step, int n)
{
	int i = 0;
	for (; i + 8 <= n; i += 8) {
		__m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(q + i)));
		_mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_set1_ps(step), _mm256_cvtepi32_ps(v)));
	}
	for (; i < n; i++)
		y[i] = step * (float)q[i];
}

/*
 * No instruction: says that a sum is updated where it stands. Otherwise gcc 12 computes all new sums of a step before
 * it gives up the old ones, and runs out of registers.
 */
#define IN_PLACE(sum) __asm__("" : "+x"(sum))

/* ---- products: what both ways share ------------------------------------------------------------------------------ */

static ALWAYS_INLINE __m256i load(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

/* Four activations, for every lane: a broadcasting load. */
static ALWAYS_INLINE __m256i four(const int8_t *q)
{
	int32_t word;
	memcpy(&word, q, 4);
	return _mm256_set1_epi32(word);
}

/* The epilogue for 8 rows: exact integer sums to scaled floats. */
static ALWAYS_INLINE __m256 scaled(__m256i acc, int32_t sum, float scale)
{
	return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(acc, _mm256_set1_epi32(sum))), _mm256_set1_ps(scale));
}

/*
 * Weights are read once, in order, and their place 16 KB ahead is asked into the second-level cache, 4 KB ahead into
 * the first. Measured: only one of them 85 to 90 % of this speed, none a half.
 */
static ALWAYS_INLINE void prefetch(const unsigned char *w)
{
	_mm_prefetch((const char *)w + 16384, _MM_HINT_T1);
	_mm_prefetch((const char *)w + 4096, _MM_HINT_T0);
}

/* ---- few tokens -------------------------------------------------------------------------------------------------- */

enum { FLUSH = 8 }; /* groups whose products fit 16 bits: two fields of weight 4 each, 8 * 2 * 2032 = 32512 */

/* 16-bit sums a += field * activations. */
#define FEW_ADD(a, v, mask, x)                                                                                         \
	a = _mm256_add_epi16(a, _mm256_maddubs_epi16(_mm256_and_si256(v, mask), x))

/* Sums of codes times activations of 16 rows, one token: *low rows 0-7, *high rows 8-15. */
static ALWAYS_INLINE void block_by_1(__m256i *low, __m256i *high, const unsigned char *w, const int8_t *q, int groups)
{
	const __m256i m0 = _mm256_set1_epi8(3), m1 = _mm256_set1_epi8(12), zero = _mm256_setzero_si256();
	const __m256i one = _mm256_set1_epi16(1), four_times = _mm256_set1_epi16(4);
	__m256i a = zero, b = zero; /* 32 bits, four times the sums */

	while (groups > 0) {
		__m256i a1 = zero, a4 = zero, b1 = zero, b4 = zero; /* 16 bits, fields of weight 1 and of weight 4 */
		int n = groups < FLUSH ? groups : FLUSH;
		groups -= n;
		for (; n > 0; n--, w += 64, q += 16) {
			__m256i v = load(w), u = load(w + 32);
			__m256i v4 = _mm256_srli_epi16(v, 4), u4 = _mm256_srli_epi16(u, 4);
			__m256i x0 = four(q), x1 = four(q + 4), x2 = four(q + 8), x3 = four(q + 12);
			prefetch(w);
			FEW_ADD(a1, v, m0, x0);
			FEW_ADD(b1, u, m0, x0);
			FEW_ADD(a4, v, m1, x1);
			FEW_ADD(b4, u, m1, x1);
			FEW_ADD(a1, v4, m0, x2);
			FEW_ADD(b1, u4, m0, x2);
			FEW_ADD(a4, v4, m1, x3);
			FEW_ADD(b4, u4, m1, x3);
		}
		a = _mm256_add_epi32(a, _mm256_add_epi32(_mm256_madd_epi16(a1, four_times), _mm256_madd_epi16(a4, one)));
		b = _mm256_add_epi32(b, _mm256_add_epi32(_mm256_madd_epi16(b1, four_times), _mm256_madd_epi16(b4, one)));
	}
	*low = _mm256_srai_epi32(a, 2);
	*high = _mm256_srai_epi32(b, 2);
}

static void few_tokens(float *y, size_t ldy, const unsigned char *w, const int8_t *q, size_t ldq, const int32_t *sum,
                       const float *step, float scale, int rows, int tokens, int groups)
{
	for (int r = 0; r < rows; r += TRIT_BLOCK_ROWS, w += (size_t)groups * 64)
		for (int t = 0; t < tokens; t++) {
			int valid = rows - r < TRIT_BLOCK_ROWS ? rows - r : TRIT_BLOCK_ROWS;
			float last[TRIT_BLOCK_ROWS], *row = y + (size_t)t * ldy + r, *to = valid < TRIT_BLOCK_ROWS ? last : row;
			__m256i low, high;
			block_by_1(&low, &high, w, q + (size_t)t * ldq, groups);
			_mm256_storeu_ps(to, scaled(low, sum[t], scale * step[t]));
			_mm256_storeu_ps(to + 8, scaled(high, sum[t], scale * step[t]));
			if (valid < TRIT_BLOCK_ROWS)
				memcpy(row, last, (size_t)valid * sizeof *last);
		}
}

/* ---- many tokens ------------------------------------------------------------------------------------------------- */

enum {
	PANEL_GROUPS = 64, /* of 16 columns: 16 KB of the first-level cache */
	WIDEN = 16,        /* groups whose products fit 16 bits: 64 additions of at most 508 */
	TILE = 6,          /* tokens */
	MANY = 5,          /* from here on decoding first pays */
};

/* Codes of one row block as bytes: registers 2 s and 2 s + 1 hold columns 4 s .. 4 s + 3 of rows 0-7 and 8-15. */
static void decode_panel(__m256i *panel, const unsigned char *w, int groups)
{
	const __m256i m = _mm256_set1_epi8(3);

	for (int g = 0; g < groups; g++, w += 64, panel += 8) {
		prefetch(w);
		for (int half = 0; half < 2; half++) {
			__m256i v = load(w + 32 * half);
			panel[half] = _mm256_and_si256(v, m);
			panel[half + 2] = _mm256_and_si256(_mm256_srli_epi16(v, 2), m);
			panel[half + 4] = _mm256_and_si256(_mm256_srli_epi16(v, 4), m);
			panel[half + 6] = _mm256_and_si256(_mm256_srli_epi16(v, 6), m);
		}
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

#define TILE_STEP(s, x)                                                                                                \
	do {                                                                                                           \
		__m256i v = four(x);                                                                                   \
		s##0 = _mm256_add_epi16(s##0, _mm256_maddubs_epi16(w0, v));                                            \
		s##1 = _mm256_add_epi16(s##1, _mm256_maddubs_epi16(w1, v));                                            \
		IN_PLACE(s##0);                                                                                        \
		IN_PLACE(s##1);                                                                                        \
	} while (0)
#define TILE_WIDEN(s, i)                                                                                               \
	do {                                                                                                           \
		acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(s##0, one));                                 \
		acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(s##1, one));                                 \
	} while (0)

/* At most WIDEN groups: 16 bits are enough within, acc is in memory. */
static ALWAYS_INLINE void tile_part(__m256i (*acc)[2], const __m256i *panel, const __m256i *end, const int8_t *q,
                                    size_t ldq, const int tokens)
{
	const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi16(1);
	__m256i a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero;
	__m256i d0 = zero, d1 = zero, e0 = zero, e1 = zero, f0 = zero, f1 = zero;
	const int8_t *q3 = q + 3 * ldq;

	for (; panel < end; panel += 2, q += 4, q3 += 4) {
		__m256i w0 = panel[0], w1 = panel[1];
		TILE_STEP(a, q);
		if (tokens > 1)
			TILE_STEP(b, q + ldq);
		if (tokens > 2)
			TILE_STEP(c, q + 2 * ldq);
		if (tokens > 3)
			TILE_STEP(d, q3);
		if (tokens > 4)
			TILE_STEP(e, q3 + ldq);
		if (tokens > 5)
			TILE_STEP(f, q3 + 2 * ldq);
	}
	TILE_WIDEN(a, 0);
	if (tokens > 1)
		TILE_WIDEN(b, 1);
	if (tokens > 2)
		TILE_WIDEN(c, 2);
	if (tokens > 3)
		TILE_WIDEN(d, 3);
	if (tokens > 4)
		TILE_WIDEN(e, 4);
	if (tokens > 5)
		TILE_WIDEN(f, 5);
}

/* 16 rows by `tokens` (1 to 6, a constant after inlining) over one panel. */
static ALWAYS_INLINE void tile(const struct tile *t, const __m256i *panel, int groups, const int tokens)
{
	__m256i acc[TILE][2];

	for (int i = 0; i < tokens; i++)
		for (int half = 0; half < 2; half++)
			acc[i][half] = t->first ? _mm256_setzero_si256() : load(t->y + (size_t)i * t->ldy + 8 * half);
	for (int g = 0; g < groups; g += WIDEN) {
		int end = g + WIDEN < groups ? g + WIDEN : groups;
		tile_part(acc, panel + 8 * g, panel + 8 * end, t->q + 16 * g, t->ldq, tokens);
	}
	for (int i = 0; i < tokens; i++)
		for (int half = 0; half < 2; half++) {
			float *to = t->y + (size_t)i * t->ldy + 8 * half;
			if (t->last)
				_mm256_storeu_ps(to, scaled(acc[i][half], t->sum[i], t->scale * t->step[i]));
			else
				_mm256_storeu_si256((__m256i *)to, acc[i][half]);
		}
}

/* A function each: inlined into one, gcc 12 runs out of registers. */
#define TILE_OF(n)                                                                                                     \
	static __attribute__((noinline)) void tile_##n(const struct tile *t, const __m256i *panel, int groups)           \
	{                                                                                                              \
		tile(t, panel, groups, n);                                                                             \
	}
TILE_OF(1)
TILE_OF(2)
TILE_OF(3)
TILE_OF(4)
TILE_OF(5)
TILE_OF(6)

typedef void tile_fn(const struct tile *t, const __m256i *panel, int groups);
static tile_fn *const tiles[TILE + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

/* rows: a multiple of 16. */
static void many_tokens(float *y, size_t ldy, const unsigned char *w, const int8_t *q, size_t ldq, const int32_t *sum,
                        const float *step, float scale, int rows, int tokens, int groups)
{
	__m256i panel[8 * PANEL_GROUPS];
	int n_panels = (groups + PANEL_GROUPS - 1) / PANEL_GROUPS; /* along the columns, as even as can be */
	int n_tiles = (tokens + TILE - 1) / TILE;

	for (int r = 0; r < rows; r += TRIT_BLOCK_ROWS, w += (size_t)groups * 64)
		for (int p = 0; p < n_panels; p++) {
			int g0 = (int)((long)groups * p / n_panels), g1 = (int)((long)groups * (p + 1) / n_panels);
			decode_panel(panel, w + 64 * (size_t)g0, g1 - g0);
			for (int i = 0; i < n_tiles; i++) {
				int t0 = (int)((long)tokens * i / n_tiles), t1 = (int)((long)tokens * (i + 1) / n_tiles);
				struct tile t = {y + (size_t)t0 * ldy + r, ldy, q + (size_t)t0 * ldq + 16 * (size_t)g0, ldq, sum + t0,
				                 step + t0, scale, p == 0, p + 1 == n_panels};
				tiles[t1 - t0](&t, panel, g1 - g0);
			}
		}
}

static void trit_gemm_t2_avx2(float *y, size_t ldy, const unsigned char *w, const float *scales,
                                enum trit_scaling scaling, const int8_t *q, size_t ldq, const int32_t *sum,
                                const float *step, int rows, int tokens, int cols)
{
	if (scaling != TRIT_SCALE_TENSOR) {
		trit_gemm_t2_c(y, ldy, w, scales, scaling, q, ldq, sum, step, rows, tokens, cols);
		return;
	}
	float scale = scales[0];
	int groups = (cols + 16 - 1) / 16;
	int whole = tokens < MANY ? 0 : rows / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS;

	many_tokens(y, ldy, w, q, ldq, sum, step, scale, whole, tokens, groups);
	few_tokens(y + whole, ldy, w + (size_t)whole / TRIT_BLOCK_ROWS * (size_t)groups * 64, q, ldq, sum, step, scale,
	           rows - whole, tokens, groups);
}

void trit_ternary_init_avx2(struct trit_kernels *k)
{
	k->ternarize = trit_ternarize_avx2;
	k->binarize = trit_binarize_avx2;
	k->dequant_i8 = trit_dequant_i8_avx2;
	k->gemm_int[TRIT_T2] = trit_gemm_t2_avx2;
}
