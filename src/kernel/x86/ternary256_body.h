/*
 * ternary256_body.h - integer products with 256-bit registers, written once for AVX2 and for AVX-VNNI.
 *
 * A 64-byte vector of a layout (layout.h) is two registers of 8 rows (32-bit lanes) x 4 bytes, its two halves. A field
 * of a register, as unsigned codes (weight plus a bias), meets four activations that are the same for all lanes, so a
 * lane sums one row, and bias * sum(q) is subtracted at the end.
 *
 * Two ways through a product:
 *   few tokens   up to 4, of the wider layouts up to 16 in fours: fields are taken from the weights as they come, and
 *                meet the tokens at once.
 *   panels       16 rows x 1280 columns are decoded to B rows once, 20 KB that stay in the first-level cache, and meet
 *                all tokens there, six at a time in twelve sums. B rows are the same for all layouts, so this is also
 *                the way of t5 with a scale for each group of columns.
 *
 * What the two instruction sets differ in stands in the file that includes this one:
 *
 *     SUM_BITS                            16 or 32: the sums of small codes
 *     dot(kind, sum, codes, x)            sum + codes * x
 *     wide(kind, sum, log2)               a sum as 32 bits, times 2^log2
 *     ISA(name)                           the name with the suffix of the instruction set
 *
 * With 32 bits nothing overflows (kernel.h). 16-bit sums are added up in 32 bits often enough: a product of 4 codes is
 * two sums of pairs, each at most 2 * 127 * code.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_X86_TERNARY256_BODY_H
#define TRIT_KERNEL_X86_TERNARY256_BODY_H

#include <immintrin.h> /* before what bans malloc */
#include <limits.h>

#include "kernel/tiers.h"
#include "kernel/x86/fields256.h"

enum dot {
	DOT_SMALL,  /* codes below 16, in sums of SUM_BITS */
	DOT_LARGE,  /* codes, in sums of 32 bits */
	DOT_SIGNED, /* weights -128..127, in sums of 32 bits */
};

static ALWAYS_INLINE __m256i dot(const enum dot kind, __m256i sum, __m256i codes, __m256i x);
static ALWAYS_INLINE __m256i wide(const enum dot kind, __m256i sum, const int log2);

/* ---- sums -------------------------------------------------------------------------------------------------------- */

/* How products of a layout are summed. */
static ALWAYS_INLINE enum dot dot_of(const enum trit_layout layout)
{
	if (SUM_BITS == 32)
		return DOT_LARGE;
	return layout == TRIT_I8 ? DOT_SIGNED : layout == TRIT_I6 ? DOT_LARGE : DOT_SMALL;
}

/* Code minus weight. */
static ALWAYS_INLINE int bias_of(const enum trit_layout layout)
{
	switch (layout) {
	case TRIT_I8: return SUM_BITS == 32 ? 128 : 0;
	case TRIT_I6: return 32;
	case TRIT_I4: return 8;
	default: return 1;
	}
}

/* How many products of decoded codes 16 bits can sum. */
static ALWAYS_INLINE int sum_steps(const enum trit_layout layout)
{
	if (dot_of(layout) != DOT_SMALL)
		return INT_MAX;
	return 32767 / (2 * 127 * (layout == TRIT_I4 ? 15 : 2));
}

/*
 * Weights are read once, in order, and their place 16 KB ahead is asked into the second-level cache, 1 KB ahead into
 * the first (4 KB: 4 % slower with AVX2; only one of the two: 3 to 10 % slower).
 */
static ALWAYS_INLINE void prefetch(const unsigned char *w, int bytes)
{
	for (int i = 0; i < bytes; i += 64) {
		_mm_prefetch((const char *)w + i + 16384, _MM_HINT_T1);
		_mm_prefetch((const char *)w + i + 1024, _MM_HINT_T0);
	}
}

/* Four activations, for every lane: a broadcasting load. */
static ALWAYS_INLINE __m256i four(const int8_t *q)
{
	int32_t word;
	memcpy(&word, q, 4);
	return _mm256_set1_epi32(word);
}

/*
 * Both ways end in functions that add, for some tokens, the sums of codes times activations of 16 rows (acc[t][0] rows
 * 0-7, acc[t][1] rows 8-15, 32 bits) over `n` groups of a layout or B rows, the first of them at `codes`.
 */
typedef void span_fn(__m256i (*acc)[2], const void *codes, int n, const int8_t *q, size_t ldq, int most);

/* ---- few tokens -------------------------------------------------------------------------------------------------- */

enum { FEW = 4 }; /* tokens; with more, registers run out */

/*
 * How many groups 16-bit sums take. The bounds of one:
 *     t2    codes 0, 1, 2 and 0, 4, 8, two fields each    2 * 8 * 254 = 4064
 *     b1    codes 0 or 1, 2, 4, 8, two fields each        2 * 8 * 254 = 4064; of eight fields 0 or 2 the same
 *     t5    five fields                                   5 * 2 * 254 = 2540
 *     i4    two fields                                    2 * 15 * 254 = 7620
 */
static ALWAYS_INLINE int groups_in_16_bits(const enum trit_layout layout)
{
	if (dot_of(layout) != DOT_SMALL)
		return INT_MAX;
	return layout == TRIT_I4 ? 4 : layout == TRIT_T5 ? 12 : 8;
}

/* How many sums of a token the fields take turns at: by their places, or more where dot() takes several cycles. */
static ALWAYS_INLINE int n_sums(const enum trit_layout layout, const int tokens)
{
	if (tokens == 1 && layout == TRIT_B1)
		return 4;
	if (tokens == 1 && layout == TRIT_T2)
		return SUM_BITS == 32 ? 4 : 2;
	return SUM_BITS == 32 && tokens < 4 ? 2 : 1;
}

/* Of one token and 8 rows. */
struct sums {
	__m256i a, b, c, d;
};

static ALWAYS_INLINE void add_product(const enum dot kind, struct sums *s, const int i, __m256i codes, __m256i x)
{
	switch (i) {
	case 0: s->a = dot(kind, s->a, codes, x); break;
	case 1: s->b = dot(kind, s->b, codes, x); break;
	case 2: s->c = dot(kind, s->c, codes, x); break;
	default: s->d = dot(kind, s->d, codes, x); break;
	}
}

/* The sum of all as 32 bits; with places it is 2^places_shift() times as much, for b1 twice the bits. */
static ALWAYS_INLINE __m256i together(const enum trit_layout layout, const int tokens, struct sums s)
{
	const enum dot kind = dot_of(layout);

	if (tokens == 1 && layout == TRIT_B1)
		return _mm256_add_epi32(_mm256_add_epi32(wide(kind, s.a, 3), wide(kind, s.b, 2)),
		                        _mm256_add_epi32(wide(kind, s.c, 1), wide(kind, s.d, 0)));
	if (tokens == 1 && layout == TRIT_T2 && SUM_BITS == 32)
		return _mm256_add_epi32(_mm256_add_epi32(wide(kind, s.a, 6), wide(kind, s.b, 4)),
		                        _mm256_add_epi32(wide(kind, s.c, 2), wide(kind, s.d, 0)));
	__m256i all = wide(kind, s.a, tokens == 1 && layout == TRIT_T2 ? 2 : 0);
	return n_sums(layout, tokens) == 2 ? _mm256_add_epi32(all, wide(kind, s.b, 0)) : all;
}

static ALWAYS_INLINE int places_shift(const enum trit_layout layout, const int tokens)
{
	if (tokens > 1)
		return 0;
	return layout == TRIT_T2 ? (SUM_BITS == 32 ? 6 : 2) : layout == TRIT_B1 ? 2 : 0;
}

/* One half of a group: for each token a set of sums. */
static ALWAYS_INLINE void add_half(const enum trit_layout layout, const int tokens, struct sums *a, struct sums *b,
                                   struct sums *c, struct sums *d, const unsigned char *w, const int8_t *q,
                                   size_t ldq, const int8_t *q3)
{
	const enum dot kind = dot_of(layout);
	struct fields f = tokens == 1 ? places_of(layout, w) : fields_of(layout, w);

	/* the activations are loaded anew for each half: kept, they would drive the sums out of the registers */
	__asm__ volatile("" : "+r"(q), "+r"(q3));
#define ADD_FIELD(member, i) \
	if ((i) < n_fields(layout)) { \
		const int turn = (i) % n_sums(layout, tokens); \
		add_product(kind, a, turn, f.member, four(q + 4 * (i))); \
		if (tokens > 1) \
			add_product(kind, b, turn, f.member, four(q + ldq + 4 * (i))); \
		if (tokens > 2) \
			add_product(kind, c, turn, f.member, four(q + 2 * ldq + 4 * (i))); \
		if (tokens > 3) \
			add_product(kind, d, turn, f.member, four(q3 + 4 * (i))); \
	}
	EACH_FIELD(ADD_FIELD)
#undef ADD_FIELD
}

static ALWAYS_INLINE void few(const enum trit_layout layout, const int tokens, __m256i (*acc)[2], const void *codes,
                              int n, const int8_t *q, size_t ldq)
{
	const int bytes = group_bytes(layout), cols = 4 * n_fields(layout), most = groups_in_16_bits(layout);
	const __m256i zero = _mm256_setzero_si256();
	const struct sums none = {zero, zero, zero, zero};
	const unsigned char *w = codes;
	const int8_t *q3 = q + 3 * ldq;
	__m256i all[FEW][2] = {{zero}};

	while (n > 0) {
		struct sums a0 = none, a1 = none, b0 = none, b1 = none, c0 = none, c1 = none, d0 = none, d1 = none;
		int left = n < most ? n : most;
		n -= left;
		for (; left > 0; left--, w += bytes, q += cols, q3 += cols) {
			prefetch(w, bytes);
			add_half(layout, tokens, &a0, &b0, &c0, &d0, w, q, ldq, q3);
			add_half(layout, tokens, &a1, &b1, &c1, &d1, w + 32, q, ldq, q3);
		}
#define ADD_ALL(s, t) \
	if ((t) < tokens) { \
		all[t][0] = _mm256_add_epi32(all[t][0], together(layout, tokens, s##0)); \
		all[t][1] = _mm256_add_epi32(all[t][1], together(layout, tokens, s##1)); \
	}
		ADD_ALL(a, 0)
		ADD_ALL(b, 1)
		ADD_ALL(c, 2)
		ADD_ALL(d, 3)
#undef ADD_ALL
	}
	for (int t = 0; t < tokens; t++)
		for (int half = 0; half < 2; half++)
			acc[t][half] =
			    _mm256_add_epi32(acc[t][half], _mm256_srai_epi32(all[t][half], places_shift(layout, tokens)));
}

#define FEW_OF(name, layout, tokens) \
	static __attribute__((noinline)) void few_##name##_##tokens(__m256i(*acc)[2], const void *codes, int n, \
	                                                            const int8_t *q, size_t ldq, int most) \
	{ \
		(void)most; \
		few(layout, tokens, acc, codes, n, q, ldq); \
	}
#define FEWS_OF(name, layout) \
	FEW_OF(name, layout, 1) \
	FEW_OF(name, layout, 2) \
	FEW_OF(name, layout, 3) \
	FEW_OF(name, layout, 4) \
	static span_fn *const few_##name[FEW + 1] = {NULL, few_##name##_1, few_##name##_2, few_##name##_3, few_##name##_4};
FEWS_OF(t2, TRIT_T2)
FEWS_OF(t5, TRIT_T5)
FEWS_OF(b1, TRIT_B1)
FEWS_OF(i8, TRIT_I8)
FEWS_OF(i6, TRIT_I6)
FEWS_OF(i4, TRIT_I4)

/* ---- panels ------------------------------------------------------------------------------------------------------ */

enum {
	PANEL_COLS = 1280, /* whole groups of every layout, and of scales; 640: 4 to 15 % slower */
	STEP = 4,          /* columns of a B row */
	TILE = 6,          /* tokens */
};

/*
 * Slot i of a tile is token i mod tokens; where tokens alone would be too few sums for a dot() of several cycles,
 * `ways` slots of a token take turns at the B rows.
 */
#define SLOT_ZERO(s) __m256i s##0 = zero, s##1 = zero;
#define SLOT_ADD(s, i) \
	if ((i) < tokens * ways) { \
		const int token = (i) % tokens, way = (i) / tokens; \
		__m256i x = four((token < 3 ? q + (size_t)token * ldq : q3 + (size_t)(token - 3) * ldq) + STEP * way); \
		s##0 = dot(kind, s##0, panel[2 * way], x); \
		s##1 = dot(kind, s##1, panel[2 * way + 1], x); \
	}
#define SLOT_ADD_ONE(s, i) \
	if ((i) < tokens) \
		SLOT_ADD(s, i)
#define SLOT_END(s, i) \
	if ((i) < tokens * ways) { \
		__m256i *to = acc[(i) % tokens]; \
		to[0] = _mm256_add_epi32(to[0], wide(kind, s##0, 0)); \
		to[1] = _mm256_add_epi32(to[1], wide(kind, s##1, 0)); \
	}
#define EACH_SLOT(X) X(a, 0) X(b, 1) X(c, 2) X(d, 3) X(e, 4) X(f, 5)

/* A tile over `steps` B rows; `most` products fit one 16-bit sum. */
static ALWAYS_INLINE void part(const enum dot kind, const int tokens, const int ways, __m256i (*acc)[2],
                               const __m256i *panel, int steps, const int8_t *q, size_t ldq, int most)
{
	const __m256i zero = _mm256_setzero_si256();
	const int8_t *q3 = q + 3 * ldq;

	while (steps > 0) {
		int n = steps < most ? steps : most;
		SLOT_ZERO(a)
		SLOT_ZERO(b)
		SLOT_ZERO(c)
		SLOT_ZERO(d)
		SLOT_ZERO(e)
		SLOT_ZERO(f)
		steps -= n;
		for (; n >= ways; n -= ways, panel += 2 * ways, q += STEP * ways, q3 += STEP * ways) {
			EACH_SLOT(SLOT_ADD)
		}
		for (; ways > 1 && n > 0; n--, panel += 2, q += STEP, q3 += STEP) {
			EACH_SLOT(SLOT_ADD_ONE)
		}
		EACH_SLOT(SLOT_END)
	}
}

/* Four tokens are eight sums: too few for a dot() that takes five cycles, two of which begin in one. */
static ALWAYS_INLINE void part_of_4(const enum dot kind, __m256i (*acc)[2], const __m256i *panel, int steps,
                                    const int8_t *q, size_t ldq, int most)
{
	if (SUM_BITS == 16) {
		part(kind, 4, 1, acc, panel, steps, q, ldq, most);
		return;
	}
	part(kind, 2, 3, acc, panel, steps, q, ldq, most);
	part(kind, 2, 3, acc + 2, panel, steps, q + 2 * ldq, ldq, most);
}

/* A function each: inlined into one, gcc 12 runs out of registers. */
#define PART_OF(name, kind, tokens, ways) \
	static __attribute__((noinline)) void name##_##tokens(__m256i(*acc)[2], const void *codes, int n, \
	                                                      const int8_t *q, size_t ldq, int most) \
	{ \
		part(kind, tokens, ways, acc, codes, n, q, ldq, most); \
	}
#define PARTS_OF(name, kind, ways_1, ways_2, ways_3) \
	PART_OF(name, kind, 1, ways_1) \
	PART_OF(name, kind, 2, ways_2) \
	PART_OF(name, kind, 3, ways_3) \
	static __attribute__((noinline)) void name##_4(__m256i(*acc)[2], const void *codes, int n, const int8_t *q, \
	                                               size_t ldq, int most) \
	{ \
		part_of_4(kind, acc, codes, n, q, ldq, most); \
	} \
	PART_OF(name, kind, 5, 1) \
	PART_OF(name, kind, 6, 1) \
	static span_fn *const name[TILE + 1] = {NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6};

PARTS_OF(parts_large, DOT_LARGE, SUM_BITS == 32 ? 4 : 1, SUM_BITS == 32 ? 3 : 1, SUM_BITS == 32 ? 2 : 1)
#if SUM_BITS == 16
PARTS_OF(parts_small, DOT_SMALL, 1, 1, 1)
PARTS_OF(parts_signed, DOT_SIGNED, 1, 1, 1)
#endif

static ALWAYS_INLINE span_fn *const *parts_of(const enum trit_layout layout)
{
#if SUM_BITS == 16
	if (dot_of(layout) == DOT_SMALL)
		return parts_small;
	if (dot_of(layout) == DOT_SIGNED)
		return parts_signed;
#endif
	(void)layout;
	return parts_large;
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* The product of some rows of one block with some tokens, as the functions below see it. */
struct product {
	float *y;
	size_t ldy;
	const int8_t *q;
	size_t ldq;
	const int32_t *sum;
	const float *step;
	const int16_t *group_sums; /* [tokens][n_groups], sums of q over the columns of a group */
	int tokens, cols;
	int group, n_groups;       /* columns that share a scale; 0 where all do */
	const float *scale;        /* [16], or [n_groups][16] */
	span_fn *const *span;      /* by the number of tokens */
	int unit_cols, unit_bytes; /* of what span() counts */
	int most, bias;
};

/* Exact sums of 8 rows to floats in y; scale: one for each row. */
static ALWAYS_INLINE void store_scaled(float *y, __m256i sum, const float *scale, float step)
{
	__m256 s = _mm256_mul_ps(_mm256_loadu_ps(scale), _mm256_set1_ps(step));
	_mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(sum), s));
}

/*
 * Tokens [t, t + n) over columns [c0, c1), whose codes begin at `codes`. Until the last column the sums rest, as int32,
 * in y itself.
 */
static void tile_plain(const struct product *p, int t, int n, const unsigned char *codes, int c0, int c1)
{
	float *y = p->y + (size_t)t * p->ldy;
	__m256i acc[TILE][2];

	for (int i = 0; i < n; i++)
		for (int half = 0; half < 2; half++)
			acc[i][half] = c0 ? load(y + (size_t)i * p->ldy + 8 * half) : _mm256_setzero_si256();
	p->span[n](acc, codes, (c1 - c0) / p->unit_cols, p->q + (size_t)t * p->ldq + c0, p->ldq, p->most);
	for (int i = 0; i < n; i++)
		for (int half = 0; half < 2; half++) {
			float *to = y + (size_t)i * p->ldy + 8 * half;
			if (c1 < p->cols) {
				_mm256_storeu_si256((__m256i *)to, acc[i][half]);
				continue;
			}
			__m256i bias = _mm256_set1_epi32(p->bias * p->sum[t + i]);
			store_scaled(to, _mm256_sub_epi32(acc[i][half], bias), p->scale + 8 * half, p->step[t + i]);
		}
}

/* The same with a scale for each group: until the last column the chains rest in y. */
static void tile_groups(const struct product *p, int t, int n, const unsigned char *codes, int c0, int c1)
{
	const int8_t *q = p->q + (size_t)t * p->ldq;
	float *y = p->y + (size_t)t * p->ldy;
	__m256i acc[TILE][2];

	for (int g = c0 / p->group; g < p->n_groups && g * p->group < c1; g++) {
		int from = g * p->group, to = from + p->group < c1 ? from + p->group : c1;
		const float *scale = p->scale + (size_t)g * TRIT_BLOCK_ROWS;
		for (int i = 0; i < n; i++) {
			int sum = p->group_sums[(size_t)(t + i) * (size_t)p->n_groups + (size_t)g];
			acc[i][0] = acc[i][1] = _mm256_set1_epi32(-p->bias * sum);
		}
		p->span[n](acc, codes + (size_t)((from - c0) / p->unit_cols) * (size_t)p->unit_bytes,
		           (to - from) / p->unit_cols, q + from, p->ldq, p->most);
		for (int i = 0; i < n; i++)
			for (int half = 0; half < 2; half++) {
				float *out = y + (size_t)i * p->ldy + 8 * half;
				__m256 chain = g ? _mm256_loadu_ps(out) : _mm256_setzero_ps();
				chain = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[i][half]), _mm256_loadu_ps(scale + 8 * half), chain);
				if (g + 1 == p->n_groups)
					chain = _mm256_mul_ps(chain, _mm256_set1_ps(p->step[t + i]));
				_mm256_storeu_ps(out, chain);
			}
	}
}

/* All tokens, in tiles as even as can be. */
static void tiles(const struct product *p, int most_tokens, const void *codes, int c0, int c1)
{
	int n_tiles = (p->tokens + most_tokens - 1) / most_tokens;

	for (int i = 0; i < n_tiles; i++) {
		int t0 = p->tokens * i / n_tiles, t1 = p->tokens * (i + 1) / n_tiles;
		(p->group ? tile_groups : tile_plain)(p, t0, t1 - t0, codes, c0, c1);
	}
}

/* `groups` groups of one block as B rows of codes. */
static ALWAYS_INLINE void decode_panel(const enum trit_layout layout, __m256i *panel, const unsigned char *w,
                                       int groups)
{
	for (; groups > 0; groups--, w += group_bytes(layout), panel += 2 * n_fields(layout)) {
		struct fields low = fields_of(layout, w), high = fields_of(layout, w + 32);
		prefetch(w, group_bytes(layout));
#define STORE_FIELD(member, i) \
	if (i < n_fields(layout)) { \
		panel[2 * (i)] = low.member; \
		panel[2 * (i) + 1] = high.member; \
	}
		EACH_FIELD(STORE_FIELD)
#undef STORE_FIELD
	}
}

/* 16 rows by any number of tokens. */
static ALWAYS_INLINE void block_product(const enum trit_layout layout, const struct product *p,
                                        const unsigned char *w, bool direct)
{
	__m256i panel[PANEL_COLS / STEP * 2];
	const int width = STEP * n_fields(layout);
	int padded = (p->cols + width - 1) / width * width;

	if (direct) {
		tiles(p, FEW, w, 0, padded);
		return;
	}
	for (int c0 = 0; c0 < padded; c0 += PANEL_COLS, w += PANEL_COLS / width * group_bytes(layout)) {
		int c1 = c0 + PANEL_COLS < padded ? c0 + PANEL_COLS : padded;
		decode_panel(layout, panel, w, (c1 - c0) / width);
		tiles(p, TILE, panel, c0, c1);
	}
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* sums[t][g] = sum of q[t] over group g. */
static __attribute__((noinline)) void sum_groups(int16_t *sums, const int8_t *q, size_t ldq, int tokens, int cols,
                                                 int group, int n_groups)
{
	int padded = (int)trit_q_padded((size_t)cols);

	for (int t = 0; t < tokens; t++, q += ldq)
		for (int g = 0; g < n_groups; g++) {
			__m256i pairs = _mm256_setzero_si256(); /* |sum| <= 128 * 127 */
			for (int c = g * group; c < (g + 1) * group && c < padded; c += 32)
				pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(_mm256_set1_epi8(1), load(q + c)));
			__m256i eight = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
			__m128i sum = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
			sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
			sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
			*sums++ = (int16_t)_mm_cvtsi128_si32(sum);
		}
}

/* The last block of a matrix, of which `rows` rows are there: a few tokens at a time beside y. */
static ALWAYS_INLINE void rest_product(const enum trit_layout layout, const struct product *whole,
                                       const unsigned char *w, bool direct, int rows)
{
	for (int t = 0; t < whole->tokens; t += TILE) {
		float y[TILE * TRIT_BLOCK_ROWS];
		struct product p = *whole;
		p.tokens = whole->tokens - t < TILE ? whole->tokens - t : TILE;
		p.y = y;
		p.ldy = TRIT_BLOCK_ROWS;
		p.q += (size_t)t * p.ldq;
		p.sum += t;
		p.step += t;
		if (p.group)
			p.group_sums += (size_t)t * (size_t)p.n_groups;
		block_product(layout, &p, w, direct);
		for (int i = 0; i < p.tokens; i++)
			memcpy(whole->y + (size_t)(t + i) * whole->ldy, y + i * TRIT_BLOCK_ROWS, (size_t)rows * sizeof *y);
	}
}

/* The scales of one block's rows when a row has one: for a whole matrix, the same sixteen times. */
static ALWAYS_INLINE void row_scales(float *to, const float *scale, enum trit_scaling scaling, int row)
{
	for (int i = 0; i < TRIT_BLOCK_ROWS; i++)
		to[i] = scale[scaling == TRIT_SCALE_ROW ? row + i : 0];
}

/* Up to how many tokens B rows do not pay. A group is not whole groups of t5, of 20 columns. */
static ALWAYS_INLINE int most_direct(const enum trit_layout layout, int group)
{
	switch (layout) {
	case TRIT_T5: return group ? 0 : SUM_BITS == 32 ? FEW : 2;
	case TRIT_I8: return 4 * FEW;
	case TRIT_I6:
	case TRIT_I4: return 2 * FEW;
	default: return FEW;
	}
}

enum {
	Q_BYTES = 512 * 1024, /* activations of the tokens taken together stay in the second-level cache */
	GROUP_SUMS = 16384,   /* 32 KB: 16 tokens of the widest matrix in groups of 64 */
};

static ALWAYS_INLINE void gemm_int(const enum trit_layout layout, span_fn *const *few_span,
                                   const struct trit_gemm_int *g)
{
	const int cols = g->cols;
	const size_t block_bytes = trit_layout_bytes(layout, TRIT_BLOCK_ROWS, (size_t)cols);
	int group = g->scaling > TRIT_SCALE_ROW ? (int)g->scaling : 0, n_groups = group ? (cols + group - 1) / group : 0;
	bool direct = g->tokens <= most_direct(layout, group);
	struct product p = {.ldy = g->ldy, .ldq = g->ldq, .cols = cols, .group = group, .n_groups = n_groups,
	                    .span = direct ? few_span : parts_of(layout), .most = sum_steps(layout),
	                    .unit_cols = direct ? STEP * n_fields(layout) : STEP,
	                    .unit_bytes = direct ? group_bytes(layout) : 16 * STEP, .bias = bias_of(layout)};
	int16_t group_sums[GROUP_SUMS];
	int chunk = Q_BYTES / cols + 1;

	if (group && chunk > GROUP_SUMS / n_groups)
		chunk = GROUP_SUMS / n_groups;
	for (int i = 0, n_chunks = (g->tokens + chunk - 1) / chunk; i < n_chunks; i++) {
		int t = (int)((long)g->tokens * i / n_chunks);
		p.tokens = (int)((long)g->tokens * (i + 1) / n_chunks) - t;
		p.q = g->q + (size_t)t * g->ldq;
		p.sum = g->sum + t;
		p.step = g->step + t;
		p.group_sums = group_sums;
		if (group)
			sum_groups(group_sums, p.q, p.ldq, p.tokens, cols, group, n_groups);
		for (int r = 0; r < g->rows; r += TRIT_BLOCK_ROWS) {
			const unsigned char *block = g->w + (size_t)r / TRIT_BLOCK_ROWS * block_bytes;
			float scales[TRIT_BLOCK_ROWS];
			if (!group)
				row_scales(scales, g->scale, g->scaling, r);
			p.scale = group ? g->scale + trit_scale_at(g->scaling, (size_t)r, (size_t)cols) : scales;
			p.y = g->y + (size_t)t * g->ldy + r;
			if (g->rows - r < TRIT_BLOCK_ROWS)
				rest_product(layout, &p, block, direct, g->rows - r);
			else
				block_product(layout, &p, block, direct);
		}
	}
}

#define GEMM_INT(name, layout) \
	static void ISA(trit_gemm_##name)(const struct trit_gemm_int *g) \
	{ \
		gemm_int(layout, few_##name, g); \
	}
GEMM_INT(t2, TRIT_T2)
GEMM_INT(t5, TRIT_T5)
GEMM_INT(b1, TRIT_B1)
GEMM_INT(i8, TRIT_I8)
GEMM_INT(i6, TRIT_I6)
GEMM_INT(i4, TRIT_I4)

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static uint64_t ISA(trit_read_pass)(const void *p, size_t n)
{
	const unsigned char *from = p;
	__m256i a = _mm256_setzero_si256(), b = a;
	uint64_t words[4];

	for (size_t i = 0; i < n; i += 64) {
		prefetch(from + i, 64);
		a = _mm256_xor_si256(a, load(from + i));
		b = _mm256_xor_si256(b, load(from + i + 32));
	}
	_mm256_storeu_si256((__m256i *)words, _mm256_xor_si256(a, b));
	return words[0] ^ words[1] ^ words[2] ^ words[3];
}

static double ISA(trit_int8_peak)(int rounds)
{
	enum { STEPS = 500 };
	const __m256i zero = _mm256_setzero_si256();
	__m256i w = _mm256_set1_epi8(1), x = _mm256_set1_epi8(3);
	__m256i s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero;
	__m256i s6 = zero, s7 = zero, s8 = zero, s9 = zero, s10 = zero, s11 = zero;

#define PEAK_STEP(s) \
	s = dot(DOT_SMALL, s, w, x); \
	__asm__ volatile("" : "+x"(s), "+x"(w)) /* nobody knows that it is always the same */
	for (long i = 0; i < (long)rounds * STEPS; i++) {
		PEAK_STEP(s0);
		PEAK_STEP(s1);
		PEAK_STEP(s2);
		PEAK_STEP(s3);
		PEAK_STEP(s4);
		PEAK_STEP(s5);
		PEAK_STEP(s6);
		PEAK_STEP(s7);
		PEAK_STEP(s8);
		PEAK_STEP(s9);
		PEAK_STEP(s10);
		PEAK_STEP(s11);
	}
#undef PEAK_STEP
	return 2.0 * 32 * 12 * STEPS * rounds;
}

static void products_init(struct trit_kernels *k)
{
	k->int8_peak = ISA(trit_int8_peak);
	k->read_pass = ISA(trit_read_pass);
	k->gemm_int[TRIT_T2] = ISA(trit_gemm_t2);
	k->gemm_int[TRIT_T5] = ISA(trit_gemm_t5);
	k->gemm_int[TRIT_B1] = ISA(trit_gemm_b1);
	k->gemm_int[TRIT_I8] = ISA(trit_gemm_i8);
	k->gemm_int[TRIT_I6] = ISA(trit_gemm_i6);
	k->gemm_int[TRIT_I4] = ISA(trit_gemm_i4);
}

#endif
