/*
 * vec.h - a vector of 16 floats, written three ways: an array (plain C), two __m256 (AVX2), one __m512 (AVX-512).
 *
 * The float kernels are written once on top of it (the *_body.h) and compiled for each instruction set. A file that
 * includes them defines one of VEC_C, VEC_AVX2 and VEC_AVX512 first. Every operation here is correctly rounded or
 * exact, so the three forms give the same bits (the bits of a NaN excepted). The plain C form carries the comments.
 *
 * The names ending in _n take m, the number of elements that are there, in 1..16: a load reads m elements and fills
 * up with zeros, a store writes m elements. Nothing beyond is touched. VEC_FOR walks an array in such groups.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_VEC_H
#define TRIT_KERNEL_VEC_H

#include <math.h>
#include <string.h>
#if defined(VEC_AVX2) || defined(VEC_AVX512)
#include <immintrin.h>
#endif

#include "base/num.h"

#if defined(VEC_C) /* the compiler's choice: forced, the arrays make it slow beyond measure with sanitizers on */
#define VEC_INLINE static inline __attribute__((unused))
#else
#define VEC_INLINE static inline __attribute__((always_inline, unused))
#endif

/** for i = 0, 16, 32, ... < n, with m = the number of elements of the group at i. */
#define VEC_FOR(i, m, n) for (int i = 0, m; (m = (n) - i < 16 ? (n) - i : 16) > 0; i += 16)

/* n + this holds n + 127, the exponent field of 2^n, in the lowest bits of its mantissa; a NaN gives some number. */
#define VEC_POW2_BIAS (0x1.8p23f + 127)

#if defined(VEC_AVX512)

struct vec {
	__m512 v;
};

VEC_INLINE struct vec vec_zero(void) { return (struct vec){_mm512_setzero_ps()}; }
VEC_INLINE struct vec vec_set1(float x) { return (struct vec){_mm512_set1_ps(x)}; }
VEC_INLINE struct vec vec_load(const float *p) { return (struct vec){_mm512_loadu_ps(p)}; }
VEC_INLINE void vec_store(float *p, struct vec a) { _mm512_storeu_ps(p, a.v); }
VEC_INLINE struct vec vec_add(struct vec a, struct vec b) { return (struct vec){_mm512_add_ps(a.v, b.v)}; }
VEC_INLINE struct vec vec_sub(struct vec a, struct vec b) { return (struct vec){_mm512_sub_ps(a.v, b.v)}; }
VEC_INLINE struct vec vec_mul(struct vec a, struct vec b) { return (struct vec){_mm512_mul_ps(a.v, b.v)}; }
VEC_INLINE struct vec vec_div(struct vec a, struct vec b) { return (struct vec){_mm512_div_ps(a.v, b.v)}; }
VEC_INLINE struct vec vec_sqrt(struct vec a) { return (struct vec){_mm512_sqrt_ps(a.v)}; }
VEC_INLINE struct vec vec_max(struct vec a, struct vec b) { return (struct vec){_mm512_max_ps(a.v, b.v)}; }
VEC_INLINE struct vec vec_min(struct vec a, struct vec b) { return (struct vec){_mm512_min_ps(a.v, b.v)}; }
VEC_INLINE struct vec vec_abs(struct vec a) { return (struct vec){_mm512_abs_ps(a.v)}; }
VEC_INLINE struct vec vec_fma(struct vec a, struct vec b, struct vec c)
{
	return (struct vec){_mm512_fmadd_ps(a.v, b.v, c.v)};
}
VEC_INLINE struct vec vec_round(struct vec a) { return (struct vec){_mm512_roundscale_ps(a.v, 8)}; }
VEC_INLINE struct vec vec_pow2(struct vec n)
{
	__m512 sum = _mm512_add_ps(n.v, _mm512_set1_ps(VEC_POW2_BIAS));

	return (struct vec){_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(sum), 23))};
}
VEC_INLINE __m256 vec_low(struct vec a) { return _mm512_castps512_ps256(a.v); }
VEC_INLINE __m256 vec_high(struct vec a) { return _mm512_extractf32x8_ps(a.v, 1); }
VEC_INLINE struct vec vec_load_f16(const uint16_t *p)
{
	return (struct vec){_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))};
}
VEC_INLINE struct vec vec_set1_f16(uint16_t h) { return (struct vec){_mm512_cvtph_ps(_mm256_set1_epi16((short)h))}; }
VEC_INLINE struct vec vec_load_bf16(const uint16_t *p)
{
	__m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));

	return (struct vec){_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16))};
}
VEC_INLINE struct vec vec_load_i8(const signed char *p)
{
	return (struct vec){_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)))};
}
VEC_INLINE void vec_store_f16(uint16_t *p, struct vec a)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
VEC_INLINE void vec_store_i8(signed char *p, struct vec a)
{
	_mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}
VEC_INLINE __mmask16 vec_mask(int m) { return (__mmask16)((1u << m) - 1); }
VEC_INLINE struct vec vec_load_n(const float *p, int m)
{
	return m == 16 ? vec_load(p) : (struct vec){_mm512_maskz_loadu_ps(vec_mask(m), p)};
}
VEC_INLINE void vec_store_n(float *p, struct vec a, int m) { _mm512_mask_storeu_ps(p, vec_mask(m), a.v); }
/** Lanes m..15 replaced by x. */
VEC_INLINE struct vec vec_fill(struct vec a, int m, float x)
{
	return (struct vec){_mm512_mask_blend_ps(vec_mask(m), _mm512_set1_ps(x), a.v)};
}
VEC_INLINE void vec_unzip(struct vec *a, struct vec *b, struct vec u, struct vec v)
{
	const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);

	a->v = _mm512_permutex2var_ps(u.v, even, v.v);
	b->v = _mm512_permutex2var_ps(u.v, _mm512_add_epi32(even, _mm512_set1_epi32(1)), v.v);
}
VEC_INLINE void vec_zip(struct vec *u, struct vec *v, struct vec a, struct vec b)
{
	const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

	u->v = _mm512_permutex2var_ps(a.v, first, b.v);
	v->v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b.v);
}

#elif defined(VEC_AVX2)

struct vec {
	__m256 lo, hi;
};

#define VEC_BOTH(op) (struct vec){op(a.lo, b.lo), op(a.hi, b.hi)}
VEC_INLINE struct vec vec_zero(void) { return (struct vec){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
VEC_INLINE struct vec vec_set1(float x) { return (struct vec){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
VEC_INLINE struct vec vec_load(const float *p) { return (struct vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
VEC_INLINE void vec_store(float *p, struct vec a)
{
	_mm256_storeu_ps(p, a.lo);
	_mm256_storeu_ps(p + 8, a.hi);
}
VEC_INLINE struct vec vec_add(struct vec a, struct vec b) { return VEC_BOTH(_mm256_add_ps); }
VEC_INLINE struct vec vec_sub(struct vec a, struct vec b) { return VEC_BOTH(_mm256_sub_ps); }
VEC_INLINE struct vec vec_mul(struct vec a, struct vec b) { return VEC_BOTH(_mm256_mul_ps); }
VEC_INLINE struct vec vec_div(struct vec a, struct vec b) { return VEC_BOTH(_mm256_div_ps); }
VEC_INLINE struct vec vec_max(struct vec a, struct vec b) { return VEC_BOTH(_mm256_max_ps); }
VEC_INLINE struct vec vec_min(struct vec a, struct vec b) { return VEC_BOTH(_mm256_min_ps); }
VEC_INLINE struct vec vec_sqrt(struct vec a) { return (struct vec){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
VEC_INLINE struct vec vec_abs(struct vec a)
{
	__m256 sign = _mm256_set1_ps(-0.0f);

	return (struct vec){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
VEC_INLINE struct vec vec_fma(struct vec a, struct vec b, struct vec c)
{
	return (struct vec){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
VEC_INLINE struct vec vec_round(struct vec a)
{
	return (struct vec){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
	                    _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
VEC_INLINE __m256 vec_pow2_half(__m256 n)
{
	__m256 sum = _mm256_add_ps(n, _mm256_set1_ps(VEC_POW2_BIAS));

	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(sum), 23));
}
VEC_INLINE struct vec vec_pow2(struct vec n) { return (struct vec){vec_pow2_half(n.lo), vec_pow2_half(n.hi)}; }
VEC_INLINE __m256 vec_low(struct vec a) { return a.lo; }
VEC_INLINE __m256 vec_high(struct vec a) { return a.hi; }
VEC_INLINE struct vec vec_load_f16(const uint16_t *p)
{
	return (struct vec){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
	                    _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}
VEC_INLINE struct vec vec_set1_f16(uint16_t h)
{
	__m256 x = _mm256_cvtph_ps(_mm_set1_epi16((short)h));

	return (struct vec){x, x};
}
VEC_INLINE __m256 vec_load_bf16_half(const uint16_t *p)
{
	__m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));

	return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}
VEC_INLINE struct vec vec_load_bf16(const uint16_t *p)
{
	return (struct vec){vec_load_bf16_half(p), vec_load_bf16_half(p + 8)};
}
VEC_INLINE __m256 vec_load_i8_half(const signed char *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
VEC_INLINE struct vec vec_load_i8(const signed char *p)
{
	return (struct vec){vec_load_i8_half(p), vec_load_i8_half(p + 8)};
}
VEC_INLINE void vec_store_f16(uint16_t *p, struct vec a)
{
	_mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
	_mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
VEC_INLINE void vec_store_i8(signed char *p, struct vec a)
{
	__m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)); /* quarters 0 2 1 3 */

	words = _mm256_permute4x64_epi64(words, 0xd8);
	_mm_storeu_si128((__m128i *)p, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
VEC_INLINE __m256i vec_mask(int m) /* lane i is there when i < m; m may be below 0 or above 8 */
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(m), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VEC_INLINE struct vec vec_load_n(const float *p, int m)
{
	if (m == 16)
		return vec_load(p);
	return (struct vec){_mm256_maskload_ps(p, vec_mask(m)), m > 8 ? _mm256_maskload_ps(p + 8, vec_mask(m - 8))
	                                                              : _mm256_setzero_ps()};
}
VEC_INLINE void vec_store_n(float *p, struct vec a, int m)
{
	if (m == 16) {
		vec_store(p, a);
		return;
	}
	_mm256_maskstore_ps(p, vec_mask(m), a.lo);
	if (m > 8)
		_mm256_maskstore_ps(p + 8, vec_mask(m - 8), a.hi);
}
VEC_INLINE struct vec vec_fill(struct vec a, int m, float x)
{
	__m256 f = _mm256_set1_ps(x);

	return (struct vec){_mm256_blendv_ps(f, a.lo, _mm256_castsi256_ps(vec_mask(m))),
	                    _mm256_blendv_ps(f, a.hi, _mm256_castsi256_ps(vec_mask(m - 8)))};
}
VEC_INLINE __m256 vec_even(__m256 lo, __m256 hi) /* elements 0, 2, 4, ... 14 */
{
	__m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(lo, hi, 0x88));

	return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8));
}
VEC_INLINE __m256 vec_odd(__m256 lo, __m256 hi)
{
	__m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(lo, hi, 0xdd));

	return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8));
}
VEC_INLINE void vec_unzip(struct vec *a, struct vec *b, struct vec u, struct vec v)
{
	*a = (struct vec){vec_even(u.lo, u.hi), vec_even(v.lo, v.hi)};
	*b = (struct vec){vec_odd(u.lo, u.hi), vec_odd(v.lo, v.hi)};
}
VEC_INLINE struct vec vec_zip_half(__m256 a, __m256 b)
{
	__m256 x = _mm256_unpacklo_ps(a, b), y = _mm256_unpackhi_ps(a, b);

	return (struct vec){_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31)};
}
VEC_INLINE void vec_zip(struct vec *u, struct vec *v, struct vec a, struct vec b)
{
	*u = vec_zip_half(a.lo, b.lo);
	*v = vec_zip_half(a.hi, b.hi);
}

#elif defined(VEC_C)

struct vec {
	float f[16];
};

#define VEC_EACH(expression) \
	struct vec y; \
	for (int i = 0; i < 16; i++) \
		y.f[i] = (expression); \
	return y
VEC_INLINE struct vec vec_set1(float x) { VEC_EACH(x); }
VEC_INLINE struct vec vec_zero(void) { return vec_set1(0); }
VEC_INLINE struct vec vec_load(const float *p) { VEC_EACH(p[i]); }
VEC_INLINE void vec_store(float *p, struct vec a) { memcpy(p, a.f, sizeof a.f); }
VEC_INLINE struct vec vec_add(struct vec a, struct vec b) { VEC_EACH(a.f[i] + b.f[i]); }
VEC_INLINE struct vec vec_sub(struct vec a, struct vec b) { VEC_EACH(a.f[i] - b.f[i]); }
VEC_INLINE struct vec vec_mul(struct vec a, struct vec b) { VEC_EACH(a.f[i] * b.f[i]); }
VEC_INLINE struct vec vec_div(struct vec a, struct vec b) { VEC_EACH(a.f[i] / b.f[i]); }
VEC_INLINE struct vec vec_sqrt(struct vec a) { VEC_EACH(sqrtf(a.f[i])); }
/* As maxps and minps do it: b when either is NaN, or when both are zero. */
VEC_INLINE struct vec vec_max(struct vec a, struct vec b) { VEC_EACH(a.f[i] > b.f[i] ? a.f[i] : b.f[i]); }
VEC_INLINE struct vec vec_min(struct vec a, struct vec b) { VEC_EACH(a.f[i] < b.f[i] ? a.f[i] : b.f[i]); }
VEC_INLINE struct vec vec_abs(struct vec a) { VEC_EACH(fabsf(a.f[i])); }
/** a * b + c, rounded once. */
VEC_INLINE struct vec vec_fma(struct vec a, struct vec b, struct vec c) { VEC_EACH(fmaf(a.f[i], b.f[i], c.f[i])); }
/** To the nearest integer, half to even. */
VEC_INLINE struct vec vec_round(struct vec a) { VEC_EACH(rintf(a.f[i])); }
/** 2^n for integers n in -126..127. */
VEC_INLINE struct vec vec_pow2(struct vec n)
{
	VEC_EACH(trit_f32_from_bits(trit_f32_bits(n.f[i] + VEC_POW2_BIAS) << 23));
}
VEC_INLINE struct vec vec_load_f16(const uint16_t *p) { VEC_EACH(trit_f16_to_f32(p[i])); }
VEC_INLINE struct vec vec_set1_f16(uint16_t h) { return vec_set1(trit_f16_to_f32(h)); }
VEC_INLINE struct vec vec_load_bf16(const uint16_t *p) { VEC_EACH(trit_bf16_to_f32(p[i])); }
VEC_INLINE struct vec vec_load_i8(const signed char *p) { VEC_EACH((float)p[i]); }
/** To IEEE half, nearest even. */
VEC_INLINE void vec_store_f16(uint16_t *p, struct vec a)
{
	for (int i = 0; i < 16; i++)
		p[i] = trit_f32_to_f16(a.f[i]);
}
/** Integers of -128..127. */
VEC_INLINE void vec_store_i8(signed char *p, struct vec a)
{
	for (int i = 0; i < 16; i++)
		p[i] = (signed char)a.f[i];
}
VEC_INLINE struct vec vec_load_n(const float *p, int m) { VEC_EACH(i < m ? p[i] : 0); }
VEC_INLINE void vec_store_n(float *p, struct vec a, int m) { memcpy(p, a.f, (size_t)m * sizeof *p); }
/** Lanes m..15 replaced by x. */
VEC_INLINE struct vec vec_fill(struct vec a, int m, float x) { VEC_EACH(i < m ? a.f[i] : x); }
/** The pairs of u, then those of v, taken apart: a the first of each pair, b the second. */
VEC_INLINE void vec_unzip(struct vec *a, struct vec *b, struct vec u, struct vec v)
{
	for (int i = 0; i < 16; i++) {
		a->f[i] = i < 8 ? u.f[2 * i] : v.f[2 * i - 16];
		b->f[i] = i < 8 ? u.f[2 * i + 1] : v.f[2 * i - 15];
	}
}
/** The inverse of vec_unzip. */
VEC_INLINE void vec_zip(struct vec *u, struct vec *v, struct vec a, struct vec b)
{
	for (int i = 0; i < 16; i++) {
		u->f[i] = i % 2 ? b.f[i / 2] : a.f[i / 2];
		v->f[i] = i % 2 ? b.f[8 + i / 2] : a.f[8 + i / 2];
	}
}

#else
#error "define VEC_C, VEC_AVX2 or VEC_AVX512 before including vec.h"
#endif

/* ---- the ends of arrays of small elements, through a small copy -------------------------------------------------- */

VEC_INLINE struct vec vec_load_f16_n(const uint16_t *p, int m)
{
	uint16_t whole[16] = {0};

	if (m == 16)
		return vec_load_f16(p);
	memcpy(whole, p, (size_t)m * sizeof *p);
	return vec_load_f16(whole);
}

VEC_INLINE struct vec vec_load_bf16_n(const uint16_t *p, int m)
{
	uint16_t whole[16] = {0};

	if (m == 16)
		return vec_load_bf16(p);
	memcpy(whole, p, (size_t)m * sizeof *p);
	return vec_load_bf16(whole);
}

VEC_INLINE void vec_store_f16_n(uint16_t *p, struct vec a, int m)
{
	uint16_t whole[16];

	if (m == 16) {
		vec_store_f16(p, a);
		return;
	}
	vec_store_f16(whole, a);
	memcpy(p, whole, (size_t)m * sizeof *p);
}

VEC_INLINE void vec_store_i8_n(signed char *p, struct vec a, int m)
{
	signed char whole[16];

	if (m == 16) {
		vec_store_i8(p, a);
		return;
	}
	vec_store_i8(whole, a);
	memcpy(p, whole, (size_t)m);
}

/* ---- reductions: 8 apart, 4, 2, 1 -------------------------------------------------------------------------------- */

#if defined(VEC_C)

VEC_INLINE float vec_sum(struct vec a)
{
	for (int apart = 8; apart >= 1; apart /= 2)
		for (int i = 0; i < apart; i++)
			a.f[i] += a.f[i + apart];
	return a.f[0];
}

VEC_INLINE float vec_max_all(struct vec a)
{
	for (int apart = 8; apart >= 1; apart /= 2)
		for (int i = 0; i < apart; i++)
			a.f[i] = a.f[i] > a.f[i + apart] ? a.f[i] : a.f[i + apart];
	return a.f[0];
}

#else

VEC_INLINE float vec_sum(struct vec a)
{
	__m256 s = _mm256_add_ps(vec_low(a), vec_high(a));
	__m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));

	t = _mm_add_ps(t, _mm_movehl_ps(t, t));
	return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}

VEC_INLINE float vec_max_all(struct vec a)
{
	__m256 s = _mm256_max_ps(vec_low(a), vec_high(a));
	__m128 t = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));

	t = _mm_max_ps(t, _mm_movehl_ps(t, t));
	return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

#endif

#endif
