/*
 * int_avx512.h - what the integer products with AVX-512 VNNI share: the decoded fields of a vector, and vpdpbusd.
 *
 * vpdpbusd multiplies the unsigned bytes of a 32-bit lane - one field of a vector of layout.h, for 16 rows - by four
 * signed activations that are the same for all lanes, and adds the four products to the lane's sum, without saturation.
 * So a lane sums one row, and whatever was added to the weights to make them unsigned codes, the layout's bias, comes
 * off at the end as bias * sum(q).
 *
 * gemv_avx512.c has the products with few tokens, panel_avx512.c those with many, ternary_avx512.c chooses.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_X86_INT_AVX512_H
#define TRIT_KERNEL_X86_INT_AVX512_H

#include <immintrin.h>

#include "kernel/kernel.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
/**
 * action(0), action(1) ... action(n - 1), n <= 8 and known after inlining. Where it walks arrays of vectors it makes
 * registers of them; with loops, unrolled or not, gcc 12 or clang 14 keep them in memory.
 */
#define EACH(n, action)                                                                                                \
	do {                                                                                                           \
		action(0);                                                                                             \
		if ((n) > 1)                                                                                           \
			action(1);                                                                                     \
		if ((n) > 2)                                                                                           \
			action(2);                                                                                     \
		if ((n) > 3)                                                                                           \
			action(3);                                                                                     \
		if ((n) > 4)                                                                                           \
			action(4);                                                                                     \
		if ((n) > 5)                                                                                           \
			action(5);                                                                                     \
		if ((n) > 6)                                                                                           \
			action(6);                                                                                     \
		if ((n) > 7)                                                                                           \
			action(7);                                                                                     \
	} while (0)
/** The same, n <= 16. */
#define EACH_WIDE(n, action)                                                                                           \
	do {                                                                                                           \
		EACH(n, action);                                                                                       \
		if ((n) > 8)                                                                                           \
			action(8);                                                                                     \
		if ((n) > 9)                                                                                           \
			action(9);                                                                                     \
		if ((n) > 10)                                                                                          \
			action(10);                                                                                    \
		if ((n) > 11)                                                                                          \
			action(11);                                                                                    \
		if ((n) > 12)                                                                                          \
			action(12);                                                                                    \
		if ((n) > 13)                                                                                          \
			action(13);                                                                                    \
		if ((n) > 14)                                                                                          \
			action(14);                                                                                    \
		if ((n) > 15)                                                                                          \
			action(15);                                                                                    \
	} while (0)

/** The fields of struct trit_gemm_int but `sum`, and what is derived from them. */
struct int_product {
	float *y;
	size_t ldy;
	const unsigned char *w;
	const float *scale;
	enum trit_scaling scaling;
	const int8_t *q;
	size_t ldq;
	const float *step;
	int rows, tokens, cols;
	size_t block_bytes; /* of 16 rows */
	/* bias * the sum of token t's activations in scale group g, at [t * n_groups + g]; one group when the scale is for
	 * the whole row. */
	const int32_t *biases;
	size_t n_groups;
	const unsigned char *end;  /* of the call's weights, also where this is a part of them */
	const unsigned char *next; /* what is wanted after those; end: nobody said */
	size_t ahead, ahead_step;  /* gemv_avx512.c's own */
};

typedef void trit_int_product_fn(enum trit_layout layout, const struct int_product *p);
/** One pass over the weights for up to TRIT_FEW_TOKENS tokens, or for TRIT_WIDE_TOKENS unless scales are of groups; for
 * other numbers several. */
trit_int_product_fn trit_gemv_avx512;
#define TRIT_FEW_TOKENS 8
#define TRIT_WIDE_TOKENS 16
/** One pass for any number of tokens; rows: a multiple of TRIT_ROW_GRAIN. */
trit_int_product_fn trit_panel_avx512;

/** Codes are weights plus this; b1's are 0 and 2. */
static inline int int_bias(enum trit_layout layout)
{
	return layout == TRIT_I8 ? 128 : layout == TRIT_I6 ? 32 : layout == TRIT_I4 ? 8 : 1;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* Pseudo-layout: bytes that are codes already, of layout t5. */
enum { CODES = TRIT_N_LAYOUTS };

/** Bytes of a unit, the vector or vectors that are decoded together, and its fields of four columns. */
static ALWAYS_INLINE int unit_bytes(const int layout)
{
	return layout == TRIT_I6 ? 192 : 64;
}
static ALWAYS_INLINE int unit_fields(const int layout)
{
	switch (layout) {
	case TRIT_T5: return 5;
	case TRIT_B1: return 8;
	case TRIT_I4: return 2;
	case TRIT_I8:
	case CODES: return 1;
	default: return 4;
	}
}

struct fields {
	__m512i f[8];
};

/* Tables for vpermb, which looks at the low six bits of its index. Of a t5 byte v = 28 (c_3 + 3 c_4) + c_0 + 3 c_1 +
 * 9 c_2, v >> 2 is the index of the first three, and v - T5_HIGH that of the others. Bytes beyond 250 come out as in
 * plain C. */
#define T5_FOUR(f, i) f(i), f((i) + 1), f((i) + 2), f((i) + 3)
#define T5_SIXTEEN(f, i) T5_FOUR(f, i), T5_FOUR(f, (i) + 4), T5_FOUR(f, (i) + 8), T5_FOUR(f, (i) + 12)
#define T5_TABLE(f) {T5_SIXTEEN(f, 0), T5_SIXTEEN(f, 16), T5_SIXTEEN(f, 32), T5_SIXTEEN(f, 48)}
#define T5_HIGH(i) (i) / 7 * 28
#define T5_CODE_3(i) (i) / 7 % 3
#define T5_CODE_4(i) (i) / 21
#define T5_CODE_0(i) (i) % 3
#define T5_CODE_1(i) (i) / 3 % 3
#define T5_CODE_2(i) (i) / 9
static const _Alignas(64) unsigned char t5_tables[6][64] = {
	T5_TABLE(T5_HIGH),   T5_TABLE(T5_CODE_3), T5_TABLE(T5_CODE_4),
	T5_TABLE(T5_CODE_0), T5_TABLE(T5_CODE_1), T5_TABLE(T5_CODE_2),
};

static ALWAYS_INLINE __m512i t5_look_up(const int table, __m512i index)
{
	return _mm512_permutexvar_epi8(index, _mm512_load_si512(t5_tables[table]));
}

/** Bits of a code of the layouts that are made of bits. */
static ALWAYS_INLINE int code_bits(const int layout)
{
	return layout == TRIT_T2 ? 2 : layout == TRIT_B1 ? 1 : layout == TRIT_I4 ? 4 : 0;
}

/*
 * A field that has an accumulator of its own may stay where it is in the byte: then its sum is 2^s times what it should
 * be, and the division of the one sum replaces a shift of every vector. With n accumulators, a power of two, field i is
 * shifted down to the place of field i mod n. Of one place, for bytes, b1 uses that of field 1: codes 0 and 2.
 */
static ALWAYS_INLINE int field_place(const int layout, const int i, const int places)
{
	return places == 1 ? layout == TRIT_B1 : i % places;
}

/** Field i of a vector of a layout made of bits. */
static ALWAYS_INLINE __m512i bit_field(const int layout, __m512i v, const int i, const int places)
{
	const int bits = code_bits(layout), place = field_place(layout, i, places), shift = bits * (i - place);
	const int mask = ((1 << bits) - 1) << bits * place;

	v = shift > 0 ? _mm512_srli_epi16(v, (unsigned)shift) : shift < 0 ? _mm512_slli_epi16(v, (unsigned)-shift) : v;
	return _mm512_and_si512(v, _mm512_set1_epi8((char)mask));
}

/** The low four bits of `low` under two of `high`, which are where they belong. */
static ALWAYS_INLINE __m512i i6_code(__m512i low, __m512i high)
{
	return _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi8(15)), _mm512_and_si512(high, _mm512_set1_epi8(48)));
}

/** The fields of the unit at w, those of bits in so many places. */
static ALWAYS_INLINE struct fields fields_of(const int layout, const unsigned char *w, const int places)
{
	__m512i v = _mm512_loadu_si512(w), u;
	struct fields r;

	switch (layout) {
	case TRIT_T5:
		u = _mm512_srli_epi16(v, 2);
		v = _mm512_sub_epi8(v, t5_look_up(0, u));
		r.f[0] = t5_look_up(3, v);
		r.f[1] = t5_look_up(4, v);
		r.f[2] = t5_look_up(5, v);
		r.f[3] = t5_look_up(1, u);
		r.f[4] = t5_look_up(2, u);
		break;
	case TRIT_B1:
		r.f[4] = bit_field(layout, v, 4, places);
		r.f[5] = bit_field(layout, v, 5, places);
		r.f[6] = bit_field(layout, v, 6, places);
		r.f[7] = bit_field(layout, v, 7, places);
		/* fall through */
	case TRIT_T2:
		r.f[2] = bit_field(layout, v, 2, places);
		r.f[3] = bit_field(layout, v, 3, places);
		/* fall through */
	case TRIT_I4:
		r.f[0] = bit_field(layout, v, 0, places);
		r.f[1] = bit_field(layout, v, 1, places);
		break;
	case TRIT_I6:
		u = _mm512_loadu_si512(w + 128);
		r.f[0] = i6_code(v, _mm512_slli_epi16(u, 4));
		r.f[1] = i6_code(_mm512_srli_epi16(v, 4), _mm512_slli_epi16(u, 2));
		v = _mm512_loadu_si512(w + 64);
		r.f[2] = i6_code(v, u);
		r.f[3] = i6_code(_mm512_srli_epi16(v, 4), _mm512_srli_epi16(u, 2));
		break;
	case TRIT_I8:
		r.f[0] = _mm512_xor_si512(v, _mm512_set1_epi8((char)128));
		break;
	default:
		r.f[0] = v;
	}
	return r;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

/**
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

/** The first `left` of 16 lanes; all when there are more. */
static ALWAYS_INLINE __mmask16 lanes(int left)
{
	return left >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << left) - 1);
}

#endif
