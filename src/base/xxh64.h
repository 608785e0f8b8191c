/*
 * xxh64.h - XXH64, a fast 64-bit checksum of bytes [XXH]. Finds damage, not malice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_XXH64_H
#define TRIT_BASE_XXH64_H

#include <stddef.h>
#include <stdint.h>

uint64_t trit_xxh64(size_t len, const void *bytes, uint64_t seed);

#endif
