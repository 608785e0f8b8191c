/*
 * num.h - half-precision numbers and little-endian bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_NUM_H
#define TRIT_BASE_NUM_H

#include <stdint.h>
#include <string.h>

/** IEEE binary16 to binary32, exact (subnormals, infinities; NaN stays NaN). */
float trit_f16_to_f32(uint16_t h);
/** binary32 to binary16, round to nearest even; overflow gives infinity. Equals vcvtps2ph bit for bit. */
uint16_t trit_f32_to_f16(float f);

static inline float trit_f32_from_bits(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

static inline uint32_t trit_f32_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

static inline float trit_bf16_to_f32(uint16_t h)
{
	return trit_f32_from_bits((uint32_t)h << 16);
}

/** Round to nearest even; NaN stays a quiet NaN. */
uint16_t trit_f32_to_bf16(float f);

/* Unaligned little-endian loads and stores (files are little-endian whatever the machine). */
static inline uint16_t trit_get16(const void *p)
{
	const unsigned char *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t trit_get32(const void *p)
{
	const unsigned char *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t trit_get64(const void *p)
{
	return (uint64_t)trit_get32(p) | (uint64_t)trit_get32((const unsigned char *)p + 4) << 32;
}

static inline void trit_put16(void *p, uint16_t v)
{
	unsigned char *b = p;
	b[0] = (unsigned char)v;
	b[1] = (unsigned char)(v >> 8);
}

static inline void trit_put32(void *p, uint32_t v)
{
	trit_put16(p, (uint16_t)v);
	trit_put16((unsigned char *)p + 2, (uint16_t)(v >> 16));
}

static inline void trit_put64(void *p, uint64_t v)
{
	trit_put32(p, (uint32_t)v);
	trit_put32((unsigned char *)p + 4, (uint32_t)(v >> 32));
}

#endif
