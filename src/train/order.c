/*
 * order.c - permutations by a Feistel network.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/order.h"

#include "base/rng.h"

/* Four make a pseudo-random permutation of a good round function (Luby and Rackoff 1988); the halves are small here. */
#define ROUNDS 6

uint64_t trit_order_key(uint64_t seed, uint64_t a, uint64_t b)
{
	return trit_hash64(seed ^ trit_hash64(a + 1) ^ trit_hash64(trit_hash64(b + 1) + 1));
}

uint64_t trit_order_at(uint64_t n, uint64_t key, uint64_t i)
{
	int half = 1;
	while (half < 31 && n > (uint64_t)1 << (2 * half))
		half++;
	uint64_t mask = ((uint64_t)1 << half) - 1;
	do { /* the domain is below 4 n, so four turns are expected at most; the cycle leads back below n at last */
		uint64_t left = i >> half, right = i & mask;
		for (uint64_t round = 0; round < ROUNDS; round++) {
			uint64_t mixed = left ^ (trit_hash64(key + round * 0x9e3779b97f4a7c15 + right) & mask);
			left = right;
			right = mixed;
		}
		i = left << half | right;
	} while (i >= n);
	return i;
}
