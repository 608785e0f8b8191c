/*
 * rng.h - random numbers that are the same on every machine: xoshiro256** seeded by splitmix64 (Blackman and Vigna
 * 2018).
 *
 * The state is four words, so that a checkpoint can carry it. Not for secrets.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_RNG_H
#define TRIT_BASE_RNG_H

#include <stdint.h>

struct trit_rng {
	uint64_t s[4];
};

void trit_rng_init(struct trit_rng *r, uint64_t seed);
uint64_t trit_rng_next(struct trit_rng *r);
/** Uniform in 0..n-1 without bias, n >= 1. */
uint64_t trit_rng_below(struct trit_rng *r, uint64_t n);
/** Uniform in [0, 1) with 24 bits. */
float trit_rng_uniform(struct trit_rng *r);
/** Standard normal (sum-free polar method; the same number of draws on every machine). */
float trit_rng_normal(struct trit_rng *r);
/** splitmix64's mixing function: a good 64-bit hash of a 64-bit word. */
uint64_t trit_hash64(uint64_t x);
/** FNV-1a over bytes, finished by trit_hash64. */
uint64_t trit_hash_bytes(uint64_t seed, const void *bytes, uint64_t len);

#endif
