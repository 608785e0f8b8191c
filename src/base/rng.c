/*
 * rng.c - xoshiro256** 1.0 and splitmix64, after D. Blackman and S. Vigna, "Scrambled linear pseudorandom number
 * generators", 2018 (prng.di.unimi.it).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/rng.h"

#include "base/fmath.h"

static uint64_t rotate_left(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t trit_hash64(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t trit_hash_bytes(uint64_t seed, const void *bytes, uint64_t len)
{
	const unsigned char *b = bytes;
	uint64_t h = 0xcbf29ce484222325 ^ seed;

	for (uint64_t i = 0; i < len; i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return trit_hash64(h);
}

void trit_rng_init(struct trit_rng *r, uint64_t seed)
{
	/* splitmix64: its outputs are a permutation of its states, so the four words are never all zero. */
	for (int i = 0; i < 4; i++) {
		seed += 0x9e3779b97f4a7c15;
		r->s[i] = trit_hash64(seed);
	}
}

uint64_t trit_rng_next(struct trit_rng *r)
{
	uint64_t *s = r->s, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t trit_rng_below(struct trit_rng *r, uint64_t n)
{
	/* The lowest 2^64 mod n values are thrown away: what is left is a multiple of n. */
	uint64_t x, reject = (0 - n) % n;

	do
		x = trit_rng_next(r);
	while (x < reject);
	return x % n;
}

float trit_rng_uniform(struct trit_rng *r)
{
	return (float)(trit_rng_next(r) >> 40) * 0x1p-24f;
}

float trit_rng_normal(struct trit_rng *r)
{
	double u, v, s;

	/* Marsaglia's polar method. The second number it could give is dropped: the state stays four words. */
	do {
		u = (double)(trit_rng_next(r) >> 11) * 0x1p-52 - 1;
		v = (double)(trit_rng_next(r) >> 11) * 0x1p-52 - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	return (float)(u * sqrt(-2 * trit_ln(s) / s));
}
