/*
 * fields256.h - the fields of the layouts (layout.h) as unsigned codes, in 256-bit registers.
 *
 * A group's 64-byte vector is two registers, halves of 8 rows each; i6 has three vectors. All functions take one half:
 * w points at its 32 bytes of the group's first vector. The including file defines SUM_BITS (ternary256_body.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_X86_FIELDS256_H
#define TRIT_KERNEL_X86_FIELDS256_H

#include <immintrin.h>

#include "kernel/layout.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE __m256i load(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

/* Fields of one half, in the order of their columns. */
struct fields {
	__m256i a, b, c, d, e, f, g, h;
};

/* X(member of struct fields, its number) for all. */
#define EACH_FIELD(X) X(a, 0) X(b, 1) X(c, 2) X(d, 3) X(e, 4) X(f, 5) X(g, 6) X(h, 7)

static ALWAYS_INLINE int n_fields(const enum trit_layout layout)
{
	switch (layout) {
	case TRIT_T5: return 5;
	case TRIT_B1: return 8;
	case TRIT_I8: return 1;
	case TRIT_I4: return 2;
	default: return 4;
	}
}

static ALWAYS_INLINE int group_bytes(const enum trit_layout layout)
{
	return layout == TRIT_I6 ? 192 : 64;
}

static ALWAYS_INLINE __m256i bits(__m256i v, int mask)
{
	return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

static ALWAYS_INLINE __m256i minus(__m256i v, int n)
{
	return _mm256_sub_epi8(v, _mm256_set1_epi8((char)n));
}

/* A table of 16 bytes, looked up by the low four bits of bytes below 128. */
static ALWAYS_INLINE __m256i look_up(const uint8_t *table, __m256i v)
{
	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), v);
}

/*
 * A byte is v = 28 h + l, h = c_3 + 3 c_4 below 9 and l = c_0 + 3 c_1 + 9 c_2 below 27. Its upper four bits n fix h but
 * for one, so l is v - 28 floor(16 n / 28) or that minus 28: the smaller one as unsigned numbers. Then 28 h = v - l;
 * shifted by two that is 7 h, whose low four bits differ for all h. c_0 is l mod 3, found in a table of 15 after taking
 * 15 away once; l - c_0 is 3 (c_1 + 3 c_2), whose low four bits differ again.
 */
static ALWAYS_INLINE struct fields fields_t5(__m256i v)
{
	static const uint8_t below[16] = {0, 0, 28, 28, 56, 56, 84, 112, 112, 140, 140, 168, 168, 196, 224, 224};
	static const uint8_t mod3[16] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
	/* place 3 e mod 16 and 7 h mod 16 for e, h = 0..8; the other places are met by no weights */
	static const uint8_t c1[16] = {0, 0, 0, 1, 0, 1, 2, 0, 2, 0, 0, 0, 1, 0, 0, 2};
	static const uint8_t c2[16] = {0, 0, 2, 0, 0, 2, 0, 0, 2, 1, 0, 0, 1, 0, 0, 1};
	static const uint8_t c3[16] = {0, 1, 0, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 2, 0};
	static const uint8_t c4[16] = {0, 2, 0, 1, 0, 1, 0, 0, 2, 0, 2, 0, 1, 0, 0, 2};
	struct fields f = {0};

	__m256i x = _mm256_sub_epi8(v, look_up(below, bits(_mm256_srli_epi16(v, 4), 15)));
	__m256i l = _mm256_min_epu8(x, minus(x, 28));
	__m256i h7 = _mm256_srli_epi16(_mm256_sub_epi8(v, l), 2); /* multiples of 4: nothing crosses bytes */
	f.a = look_up(mod3, _mm256_min_epu8(l, minus(l, 15)));
	__m256i e3 = _mm256_sub_epi8(l, f.a);
	f.b = look_up(c1, e3);
	f.c = look_up(c2, e3);
	f.d = look_up(c3, h7);
	f.e = look_up(c4, h7);
	return f;
}

/* w: the first of three vectors. */
static ALWAYS_INLINE struct fields fields_i6(const unsigned char *w)
{
	__m256i v = load(w), u = load(w + 64), high = load(w + 128);
	struct fields f = {0};

	f.a = _mm256_or_si256(bits(v, 15), bits(_mm256_slli_epi16(high, 4), 48));
	f.b = _mm256_or_si256(bits(_mm256_srli_epi16(v, 4), 15), bits(_mm256_slli_epi16(high, 2), 48));
	f.c = _mm256_or_si256(bits(u, 15), bits(high, 48));
	f.d = _mm256_or_si256(bits(_mm256_srli_epi16(u, 4), 15), bits(_mm256_srli_epi16(high, 2), 48));
	return f;
}

/* The codes of one half of a group; of b1 twice the bit, so that the bias is 1 as that of t2 and t5. */
static ALWAYS_INLINE struct fields fields_of(const enum trit_layout layout, const unsigned char *w)
{
	__m256i v = load(w);
	struct fields f = {0};

	switch (layout) {
	case TRIT_T2:
		f.a = bits(v, 3);
		f.b = bits(_mm256_srli_epi16(v, 2), 3);
		f.c = bits(_mm256_srli_epi16(v, 4), 3);
		f.d = bits(_mm256_srli_epi16(v, 6), 3);
		return f;
	case TRIT_T5: return fields_t5(v);
	case TRIT_B1:
		f.a = bits(_mm256_slli_epi16(v, 1), 2);
		f.b = bits(v, 2);
		f.c = bits(_mm256_srli_epi16(v, 1), 2);
		f.d = bits(_mm256_srli_epi16(v, 2), 2);
		f.e = bits(_mm256_srli_epi16(v, 3), 2);
		f.f = bits(_mm256_srli_epi16(v, 4), 2);
		f.g = bits(_mm256_srli_epi16(v, 5), 2);
		f.h = bits(_mm256_srli_epi16(v, 6), 2);
		return f;
	case TRIT_I6: return fields_i6(w);
	case TRIT_I4:
		f.a = bits(v, 15);
		f.b = bits(_mm256_srli_epi16(v, 4), 15);
		return f;
	default: /* i8, two's complement or 128 more */
		f.a = SUM_BITS == 32 ? minus(v, -128) : v;
		return f;
	}
}

/*
 * For one token the fields of t2 and b1 are masked but shifted at most once; they have sums of their own by the place
 * of the field in the byte, and are weighted only with these.
 */
static ALWAYS_INLINE struct fields places_of(const enum trit_layout layout, const unsigned char *w)
{
	__m256i v = load(w), high = _mm256_srli_epi16(v, 4);
	struct fields f = {0};

	if (layout == TRIT_T2) {
		f.a = bits(v, 3);
		f.b = bits(v, 12);
		f.c = SUM_BITS == 32 ? bits(v, 48) : bits(high, 3);
		f.d = SUM_BITS == 32 ? bits(v, 192) : bits(high, 12);
		return f;
	}
	if (layout != TRIT_B1)
		return fields_of(layout, w);
	f.a = bits(v, 1);
	f.b = bits(v, 2);
	f.c = bits(v, 4);
	f.d = bits(v, 8);
	f.e = bits(high, 1);
	f.f = bits(high, 2);
	f.g = bits(high, 4);
	f.h = bits(high, 8);
	return f;
}

#endif
