/*
 * order.h - the order in which a run sees its windows: a permutation that needs no memory.
 *
 * A key chooses one of the permutations of 0 .. n-1, and any element of it is computed by itself: a Feistel network
 * over the smallest even number of bits that holds n, walked along its cycle until it comes out below n [BR02]. So the
 * order of billions of windows takes no room, and a run goes on at any step, on any rank, from the step's number alone.
 * Not for secrets.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_ORDER_H
#define TRIT_TRAIN_ORDER_H

#include <stdint.h>

/** Where the permutation `key` of 0 .. n-1 sends i; n >= 1, i < n, n <= 2^62. */
uint64_t trit_order_at(uint64_t n, uint64_t key, uint64_t i);

/** A key that is a function of all three numbers. */
uint64_t trit_order_key(uint64_t seed, uint64_t a, uint64_t b);

#endif
