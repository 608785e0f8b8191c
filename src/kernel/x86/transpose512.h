/*
 * transpose512.h - turns 16 x 16 elements of 32 bits round, with AVX-512.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_X86_TRANSPOSE512_H
#define TRIT_KERNEL_X86_TRANSPOSE512_H

#include <immintrin.h>
#include <stddef.h>

/* 16 x 16: pairs of rows, of pairs, then of 128-bit quarters, as in a radix-2 transform. */
static void transpose(float *to, size_t to_stride, const float *from, size_t from_stride, int rows)
{
	__m512 a[16], b[16];

#pragma GCC unroll 16
	for (int r = 0; r < 16; r++)
		a[r] = r < rows ? _mm512_loadu_ps(from + r * from_stride) : _mm512_setzero_ps();
#pragma GCC unroll 8
	for (int r = 0; r < 16; r += 2) {
		b[r] = _mm512_unpacklo_ps(a[r], a[r + 1]);
		b[r + 1] = _mm512_unpackhi_ps(a[r], a[r + 1]);
	}
	/* a[4 q + i]: in each quarter s, column 4 s + i of rows 4 q .. 4 q + 3 */
#pragma GCC unroll 4
	for (int r = 0; r < 16; r += 4)
#pragma GCC unroll 2
		for (int i = 0; i < 2; i++) {
			__m512d x = _mm512_castps_pd(b[r + i]), y = _mm512_castps_pd(b[r + i + 2]);

			a[r + 2 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
			a[r + 2 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
		}
	/* b[i + 8 h + 4 o]: quarters 0 and 2 (o = 0) or 1 and 3 (o = 1) of rows 8 h .. 8 h + 7 */
#pragma GCC unroll 2
	for (int h = 0; h < 2; h++)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			b[8 * h + i] = _mm512_shuffle_f32x4(a[8 * h + i], a[8 * h + 4 + i], 0x88);
			b[8 * h + 4 + i] = _mm512_shuffle_f32x4(a[8 * h + i], a[8 * h + 4 + i], 0xdd);
		}
#pragma GCC unroll 2
	for (int o = 0; o < 2; o++)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			a[4 * o + i] = _mm512_shuffle_f32x4(b[4 * o + i], b[8 + 4 * o + i], 0x88);
			a[8 + 4 * o + i] = _mm512_shuffle_f32x4(b[4 * o + i], b[8 + 4 * o + i], 0xdd);
		}
#pragma GCC unroll 16
	for (int r = 0; r < 16; r++)
		_mm512_storeu_ps(to + r * to_stride, a[r]);
}

#endif
