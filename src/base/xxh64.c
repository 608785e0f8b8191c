/*
 * xxh64.c - XXH64 after its specification.
 *
 * Four sums take 8 bytes each of every 32; their products do not wait for one another, which makes it fast. They are
 * merged, the last bytes are taken in pieces of 8, 4 and 1, and the bits mixed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/xxh64.h"

#include "base/num.h"

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static uint64_t rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static uint64_t add_word(uint64_t sum, uint64_t word)
{
	return rotate(sum + word * P2, 31) * P1;
}

static uint64_t merge(uint64_t h, uint64_t sum)
{
	return (h ^ add_word(0, sum)) * P1 + P4;
}

/* The stripes of 32 bytes, of which there is at least one. */
static uint64_t stripes(const unsigned char **at, size_t len, uint64_t seed)
{
	uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
	const unsigned char *p = *at;
	for (; len >= 32; len -= 32, p += 32) {
		a = add_word(a, trit_get64(p));
		b = add_word(b, trit_get64(p + 8));
		c = add_word(c, trit_get64(p + 16));
		d = add_word(d, trit_get64(p + 24));
	}
	*at = p;
	uint64_t h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
	return merge(merge(merge(merge(h, a), b), c), d);
}

uint64_t trit_xxh64(size_t len, const void *bytes, uint64_t seed)
{
	const unsigned char *p = bytes, *end = p + len;
	uint64_t h = len >= 32 ? stripes(&p, len, seed) : seed + P5;
	h += len;
	for (; end - p >= 8; p += 8)
		h = rotate(h ^ add_word(0, trit_get64(p)), 27) * P1 + P4;
	if (end - p >= 4) {
		h = rotate(h ^ trit_get32(p) * P1, 23) * P2 + P3;
		p += 4;
	}
	for (; p < end; p++)
		h = rotate(h ^ *p * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
