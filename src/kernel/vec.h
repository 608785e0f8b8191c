/*
 * vec.h - a vector of 16 floats, written four ways: an array (plain C), two __m256 (AVX2), one __m512 (AVX-512), four
 * float32x4_t (NEON).
 *
 * The float kernels are written once on top of it (the *_body.h) and compiled for each instruction set. A file that
 * includes them defines one of VEC_C, VEC_AVX2, VEC_AVX512 and VEC_NEON first. Every operation here is exact or
 * correctly rounded, so all forms give the same bits (those of a NaN excepted). The plain C form carries the comments.
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
#elif defined(VEC_NEON)
#include <arm_neon.h>
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
VEC_INLINE struct vec vec_zero_below(struct vec a, struct vec b)
{
	return (struct vec){_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(a.v), b.v, _CMP_NLT_UQ), a.v)};
}
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
/** a * 2^n, rounded once. */
VEC_INLINE struct vec vec_times_pow2(struct vec a, struct vec n) { return (struct vec){_mm512_scalef_ps(a.v, n.v)}; }
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
VEC_INLINE struct vec vec_load_i4(const unsigned char *p, int high)
{
	const __m512 table = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
	__m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));

	/* the permutation looks at the lowest four bits only */
	return (struct vec){_mm512_permutexvar_ps(high ? _mm512_srli_epi32(bytes, 4) : bytes, table)};
}
VEC_INLINE void vec_store_f16(uint16_t *p, struct vec a)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
VEC_INLINE void vec_store_i8(signed char *p, struct vec a)
{
	_mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}
VEC_INLINE void vec_store_i8x4(signed char *p, const struct vec v[4])
{
	const __m512i byte = _mm512_set1_epi32(255);
	__m512i low = _mm512_and_si512(_mm512_cvtps_epi32(v[0].v), byte);
	__m512i second = _mm512_slli_epi32(_mm512_and_si512(_mm512_cvtps_epi32(v[1].v), byte), 8);
	__m512i third = _mm512_slli_epi32(_mm512_and_si512(_mm512_cvtps_epi32(v[2].v), byte), 16);
	__m512i fourth = _mm512_slli_epi32(_mm512_cvtps_epi32(v[3].v), 24);

	_mm512_storeu_si512(p, _mm512_or_si512(_mm512_or_si512(low, second), _mm512_or_si512(third, fourth)));
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
VEC_INLINE __m256 vec_zero_below_half(__m256 a, __m256 b)
{
	return _mm256_and_ps(a, _mm256_cmp_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a), b, _CMP_NLT_UQ));
}
VEC_INLINE struct vec vec_zero_below(struct vec a, struct vec b) { return VEC_BOTH(vec_zero_below_half); }
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
VEC_INLINE __m256 vec_load_i4_half(const unsigned char *p, int high)
{
	__m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
	__m256i nibbles = high ? _mm256_srli_epi32(bytes, 4) : _mm256_and_si256(bytes, _mm256_set1_epi32(15));

	return _mm256_cvtepi32_ps(_mm256_sub_epi32(nibbles, _mm256_set1_epi32(8)));
}
VEC_INLINE struct vec vec_load_i4(const unsigned char *p, int high)
{
	return (struct vec){vec_load_i4_half(p, high), vec_load_i4_half(p + 8, high)};
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
VEC_INLINE void vec_store_i8x4_half(signed char *p, __m256 a, __m256 b, __m256 c, __m256 d)
{
	const __m256i byte = _mm256_set1_epi32(255);
	__m256i low = _mm256_and_si256(_mm256_cvtps_epi32(a), byte);
	__m256i second = _mm256_slli_epi32(_mm256_and_si256(_mm256_cvtps_epi32(b), byte), 8);
	__m256i third = _mm256_slli_epi32(_mm256_and_si256(_mm256_cvtps_epi32(c), byte), 16);
	__m256i fourth = _mm256_slli_epi32(_mm256_cvtps_epi32(d), 24);

	_mm256_storeu_si256((__m256i *)p, _mm256_or_si256(_mm256_or_si256(low, second), _mm256_or_si256(third, fourth)));
}
VEC_INLINE void vec_store_i8x4(signed char *p, const struct vec v[4])
{
	vec_store_i8x4_half(p, v[0].lo, v[1].lo, v[2].lo, v[3].lo);
	vec_store_i8x4_half(p + 32, v[0].hi, v[1].hi, v[2].hi, v[3].hi);
}
VEC_INLINE __m256i vec_mask(int m) /* lane i is there when i < m; m may be below 0 or above 8 */
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(m), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/* m of 8 elements, m in 0..8, zeros behind. In pieces: emulators read the whole of a masked load, and a call of memcpy
 * in a loop drives the registers into memory. */
VEC_INLINE __m256 vec_load_part(const float *p, int m)
{
	__m128 end = m & 1 ? _mm_load_ss(p + (m & 6)) : _mm_setzero_ps();

	if (m == 8)
		return _mm256_loadu_ps(p);
	if (m & 2)
		end = _mm_movelh_ps(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(p + (m & 4)))), end);
	return m & 4 ? _mm256_set_m128(end, _mm_loadu_ps(p)) : _mm256_set_m128(_mm_setzero_ps(), end);
}
VEC_INLINE void vec_store_part(float *p, __m256 a, int m)
{
	__m128 end = _mm256_castps256_ps128(a);

	if (m == 8) {
		_mm256_storeu_ps(p, a);
		return;
	}
	if (m & 4) {
		_mm_storeu_ps(p, end);
		end = _mm256_extractf128_ps(a, 1);
	}
	if (m & 2) {
		_mm_storel_epi64((__m128i *)(p + (m & 4)), _mm_castps_si128(end));
		end = _mm_movehl_ps(end, end);
	}
	if (m & 1)
		_mm_store_ss(p + (m & 6), end);
}
VEC_INLINE struct vec vec_load_n(const float *p, int m)
{
	if (m == 16)
		return vec_load(p);
	if (m < 8)
		return (struct vec){vec_load_part(p, m), _mm256_setzero_ps()};
	return (struct vec){_mm256_loadu_ps(p), vec_load_part(p + 8, m - 8)};
}
VEC_INLINE void vec_store_n(float *p, struct vec a, int m)
{
	vec_store_part(p, a.lo, m < 8 ? m : 8);
	if (m > 8)
		vec_store_part(p + 8, a.hi, m - 8);
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

#elif defined(VEC_NEON)

struct vec {
	float32x4_t q0, q1, q2, q3;
};

/* The same for all four quarters: q stands for q0, q1, q2 and q3 of the vectors named. */
#define VEC_QUARTERS_1(op, a) (struct vec){op(a.q0), op(a.q1), op(a.q2), op(a.q3)}
#define VEC_QUARTERS_2(op, a, b) (struct vec){op(a.q0, b.q0), op(a.q1, b.q1), op(a.q2, b.q2), op(a.q3, b.q3)}
VEC_INLINE struct vec vec_set1(float x)
{
	float32x4_t q = vdupq_n_f32(x);

	return (struct vec){q, q, q, q};
}
VEC_INLINE struct vec vec_zero(void) { return vec_set1(0); }
VEC_INLINE struct vec vec_load(const float *p)
{
	return (struct vec){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
VEC_INLINE void vec_store(float *p, struct vec a)
{
	vst1q_f32(p, a.q0);
	vst1q_f32(p + 4, a.q1);
	vst1q_f32(p + 8, a.q2);
	vst1q_f32(p + 12, a.q3);
}
VEC_INLINE struct vec vec_add(struct vec a, struct vec b) { return VEC_QUARTERS_2(vaddq_f32, a, b); }
VEC_INLINE struct vec vec_sub(struct vec a, struct vec b) { return VEC_QUARTERS_2(vsubq_f32, a, b); }
VEC_INLINE struct vec vec_mul(struct vec a, struct vec b) { return VEC_QUARTERS_2(vmulq_f32, a, b); }
VEC_INLINE struct vec vec_div(struct vec a, struct vec b) { return VEC_QUARTERS_2(vdivq_f32, a, b); }
VEC_INLINE struct vec vec_sqrt(struct vec a) { return VEC_QUARTERS_1(vsqrtq_f32, a); }
VEC_INLINE struct vec vec_abs(struct vec a) { return VEC_QUARTERS_1(vabsq_f32, a); }
VEC_INLINE struct vec vec_round(struct vec a) { return VEC_QUARTERS_1(vrndnq_f32, a); }
/* Not vmaxq_f32 and vminq_f32, which differ for NaN and for zeros of two signs. */
VEC_INLINE float32x4_t vec_max_quarter(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
VEC_INLINE float32x4_t vec_min_quarter(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
VEC_INLINE struct vec vec_max(struct vec a, struct vec b) { return VEC_QUARTERS_2(vec_max_quarter, a, b); }
VEC_INLINE struct vec vec_min(struct vec a, struct vec b) { return VEC_QUARTERS_2(vec_min_quarter, a, b); }
VEC_INLINE float32x4_t vec_zero_below_quarter(float32x4_t a, float32x4_t b)
{
	return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), vcltq_f32(vabsq_f32(a), b)));
}
VEC_INLINE struct vec vec_zero_below(struct vec a, struct vec b)
{
	return VEC_QUARTERS_2(vec_zero_below_quarter, a, b);
}
VEC_INLINE struct vec vec_fma(struct vec a, struct vec b, struct vec c)
{
	return (struct vec){vfmaq_f32(c.q0, a.q0, b.q0), vfmaq_f32(c.q1, a.q1, b.q1), vfmaq_f32(c.q2, a.q2, b.q2),
	                    vfmaq_f32(c.q3, a.q3, b.q3)};
}
VEC_INLINE float32x4_t vec_pow2_quarter(float32x4_t n)
{
	uint32x4_t sum = vreinterpretq_u32_f32(vaddq_f32(n, vdupq_n_f32(VEC_POW2_BIAS)));

	return vreinterpretq_f32_u32(vshlq_n_u32(sum, 23));
}
VEC_INLINE struct vec vec_pow2(struct vec n) { return VEC_QUARTERS_1(vec_pow2_quarter, n); }
VEC_INLINE float32x4_t vec_f16_quarter(uint16x4_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(h)); }
VEC_INLINE struct vec vec_load_f16(const uint16_t *p)
{
	return (struct vec){vec_f16_quarter(vld1_u16(p)), vec_f16_quarter(vld1_u16(p + 4)),
	                    vec_f16_quarter(vld1_u16(p + 8)), vec_f16_quarter(vld1_u16(p + 12))};
}
VEC_INLINE struct vec vec_set1_f16(uint16_t h)
{
	float32x4_t q = vec_f16_quarter(vdup_n_u16(h));

	return (struct vec){q, q, q, q};
}
VEC_INLINE float32x4_t vec_bf16_quarter(uint16x4_t h) { return vreinterpretq_f32_u32(vshll_n_u16(h, 16)); }
VEC_INLINE struct vec vec_load_bf16(const uint16_t *p)
{
	return (struct vec){vec_bf16_quarter(vld1_u16(p)), vec_bf16_quarter(vld1_u16(p + 4)),
	                    vec_bf16_quarter(vld1_u16(p + 8)), vec_bf16_quarter(vld1_u16(p + 12))};
}
VEC_INLINE struct vec vec_from_i16(int16x8_t low, int16x8_t high)
{
	return (struct vec){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
	                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}
VEC_INLINE struct vec vec_load_i8(const signed char *p)
{
	return vec_from_i16(vmovl_s8(vld1_s8(p)), vmovl_s8(vld1_s8(p + 8)));
}
VEC_INLINE struct vec vec_load_i4(const unsigned char *p, int high)
{
	uint8x16_t bytes = vld1q_u8(p);
	uint8x16_t nibbles = high ? vshrq_n_u8(bytes, 4) : vandq_u8(bytes, vdupq_n_u8(15));
	int8x16_t numbers = vsubq_s8(vreinterpretq_s8_u8(nibbles), vdupq_n_s8(8));

	return vec_from_i16(vmovl_s8(vget_low_s8(numbers)), vmovl_high_s8(numbers));
}
VEC_INLINE uint16x4_t vec_to_f16_quarter(float32x4_t q) { return vreinterpret_u16_f16(vcvt_f16_f32(q)); }
VEC_INLINE void vec_store_f16(uint16_t *p, struct vec a)
{
	vst1_u16(p, vec_to_f16_quarter(a.q0));
	vst1_u16(p + 4, vec_to_f16_quarter(a.q1));
	vst1_u16(p + 8, vec_to_f16_quarter(a.q2));
	vst1_u16(p + 12, vec_to_f16_quarter(a.q3));
}
VEC_INLINE int16x4_t vec_to_i16_quarter(float32x4_t q) { return vmovn_s32(vcvtq_s32_f32(q)); }
VEC_INLINE void vec_store_i8(signed char *p, struct vec a)
{
	vst1_s8(p, vmovn_s16(vcombine_s16(vec_to_i16_quarter(a.q0), vec_to_i16_quarter(a.q1))));
	vst1_s8(p + 8, vmovn_s16(vcombine_s16(vec_to_i16_quarter(a.q2), vec_to_i16_quarter(a.q3))));
}
VEC_INLINE void vec_store_i8x4_quarter(signed char *p, float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d)
{
	uint32x4_t v = vreinterpretq_u32_s32(vcvtq_s32_f32(a));

	v = vsliq_n_u32(v, vreinterpretq_u32_s32(vcvtq_s32_f32(b)), 8);
	v = vsliq_n_u32(v, vreinterpretq_u32_s32(vcvtq_s32_f32(c)), 16);
	v = vsliq_n_u32(v, vreinterpretq_u32_s32(vcvtq_s32_f32(d)), 24);
	vst1q_u8((uint8_t *)p, vreinterpretq_u8_u32(v));
}
VEC_INLINE void vec_store_i8x4(signed char *p, const struct vec v[4])
{
	vec_store_i8x4_quarter(p, v[0].q0, v[1].q0, v[2].q0, v[3].q0);
	vec_store_i8x4_quarter(p + 16, v[0].q1, v[1].q1, v[2].q1, v[3].q1);
	vec_store_i8x4_quarter(p + 32, v[0].q2, v[1].q2, v[2].q2, v[3].q2);
	vec_store_i8x4_quarter(p + 48, v[0].q3, v[1].q3, v[2].q3, v[3].q3);
}
VEC_INLINE struct vec vec_load_n(const float *p, int m)
{
	float whole[16] = {0};

	if (m == 16)
		return vec_load(p);
	memcpy(whole, p, (size_t)m * sizeof *p);
	return vec_load(whole);
}
VEC_INLINE void vec_store_n(float *p, struct vec a, int m)
{
	float whole[16];

	if (m == 16) {
		vec_store(p, a);
		return;
	}
	vec_store(whole, a);
	memcpy(p, whole, (size_t)m * sizeof *p);
}
/** Lanes first + 0..3: x where that is not below m. */
VEC_INLINE float32x4_t vec_fill_quarter(float32x4_t q, int first, int m, float x)
{
	static const int32_t lanes[4] = {0, 1, 2, 3};

	return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(m - first)), q, vdupq_n_f32(x));
}
VEC_INLINE struct vec vec_fill(struct vec a, int m, float x)
{
	return (struct vec){vec_fill_quarter(a.q0, 0, m, x), vec_fill_quarter(a.q1, 4, m, x),
	                    vec_fill_quarter(a.q2, 8, m, x), vec_fill_quarter(a.q3, 12, m, x)};
}
VEC_INLINE void vec_unzip(struct vec *a, struct vec *b, struct vec u, struct vec v)
{
	*a = (struct vec){vuzp1q_f32(u.q0, u.q1), vuzp1q_f32(u.q2, u.q3), vuzp1q_f32(v.q0, v.q1),
	                  vuzp1q_f32(v.q2, v.q3)};
	*b = (struct vec){vuzp2q_f32(u.q0, u.q1), vuzp2q_f32(u.q2, u.q3), vuzp2q_f32(v.q0, v.q1),
	                  vuzp2q_f32(v.q2, v.q3)};
}
VEC_INLINE void vec_zip(struct vec *u, struct vec *v, struct vec a, struct vec b)
{
	*u = (struct vec){vzip1q_f32(a.q0, b.q0), vzip2q_f32(a.q0, b.q0), vzip1q_f32(a.q1, b.q1),
	                  vzip2q_f32(a.q1, b.q1)};
	*v = (struct vec){vzip1q_f32(a.q2, b.q2), vzip2q_f32(a.q2, b.q2), vzip1q_f32(a.q3, b.q3),
	                  vzip2q_f32(a.q3, b.q3)};
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
/** a, but 0 where |a| < b. */
VEC_INLINE struct vec vec_zero_below(struct vec a, struct vec b) { VEC_EACH(fabsf(a.f[i]) < b.f[i] ? 0 : a.f[i]); }
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
/** 16 bytes: the low nibbles less 8, or the high ones. */
VEC_INLINE struct vec vec_load_i4(const unsigned char *p, int high) { VEC_EACH((float)((p[i] >> 4 * high & 15) - 8)); }
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
/** Four vectors of such integers, interleaved: p[4 i + j] = v[j]'s element i, 64 bytes. */
VEC_INLINE void vec_store_i8x4(signed char *p, const struct vec v[4])
{
	for (int i = 0; i < 64; i++)
		p[i] = (signed char)v[i % 4].f[i / 4];
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
#error "define VEC_C, VEC_AVX2, VEC_AVX512 or VEC_NEON before including vec.h"
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

#elif defined(VEC_NEON)

VEC_INLINE float vec_sum(struct vec a)
{
	float32x4_t four = vaddq_f32(vaddq_f32(a.q0, a.q2), vaddq_f32(a.q1, a.q3));
	float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

	return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

VEC_INLINE float vec_max_all(struct vec a)
{
	float32x4_t four = vec_max_quarter(vec_max_quarter(a.q0, a.q2), vec_max_quarter(a.q1, a.q3));
	float32x2_t low = vget_low_f32(four), high = vget_high_f32(four), two = vbsl_f32(vcgt_f32(low, high), low, high);
	float x = vget_lane_f32(two, 0), y = vget_lane_f32(two, 1);

	return x > y ? x : y;
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

#if !defined(VEC_AVX512)
/* In two factors, the first product exact: 2^128 and 2^-150 occur but are no normal numbers. */
VEC_INLINE struct vec vec_times_pow2(struct vec a, struct vec n)
{
	struct vec half = vec_round(vec_mul(n, vec_set1(0.5f)));

	return vec_mul(vec_mul(a, vec_pow2(half)), vec_pow2(vec_sub(n, half)));
}
#endif

#endif
