/*
 * ternary_avx2.c - quantisers and ternary products with AVX2.
 *
 * The products are those of ternary256_body.h. vpmaddubsw multiplies unsigned bytes, the codes, by signed ones, the
 * activations, and adds pairs of products to 16 bits with saturation. That never happens here: a pair is at most
 * 2 * 127 * code, and codes are below 64. Of small codes' pairs many can be added in 16 bits before they are widened
 * (vpmaddwd) and added in 32; others are widened at once. i8 has no unsigned code that would not saturate: its absolute
 * value meets the activations with its sign, 2 * 128 * 127 < 2^15.
 *
 * SPDX-License-Identifier: MIT
 */
#define SUM_BITS 16
#define ISA(name) name##_avx2
#include "kernel/x86/ternary256_body.h"

#define WIDE(op) _mm256_##op
#define WIDE_REG __m256i
#define LANES 2
#include "kernel/x86/transpose_body.h"

static ALWAYS_INLINE __m256i dot(const enum dot kind, __m256i sum, __m256i codes, __m256i x)
{
	if (kind == DOT_SIGNED) {
		x = _mm256_sign_epi8(x, codes);
		codes = _mm256_abs_epi8(codes);
	}
	__m256i pairs = _mm256_maddubs_epi16(codes, x);
	/* gcc 12 would compute all new sums of a step before it gives up the old ones, and run out of registers */
	if (kind == DOT_SMALL) {
		__asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(pairs));
	} else {
		pairs = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
		__asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(pairs));
	}
	return sum;
}

static ALWAYS_INLINE __m256i wide(const enum dot kind, __m256i sum, const int log2)
{
	return kind == DOT_SMALL ? _mm256_madd_epi16(sum, _mm256_set1_epi16((short)(1 << log2)))
	                         : _mm256_slli_epi32(sum, log2);
}

static trit_ternarize_fn trit_ternarize_avx2;
static trit_binarize_fn trit_binarize_avx2;
static trit_dequant_i8_fn trit_dequant_i8_avx2;

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

void trit_ternary_init_avx2(struct trit_kernels *k)
{
	k->ternarize = trit_ternarize_avx2;
	k->binarize = trit_binarize_avx2;
	k->dequant_i8 = trit_dequant_i8_avx2;
	k->transpose_i8 = transpose_i8;
	products_init(k);
}
