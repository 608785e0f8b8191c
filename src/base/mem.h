/*
 * mem.h - allocation: checked sizes, 64-byte alignment, arenas that are measured before they are placed, and the hooks
 * by which tests make the nth allocation fail.
 *
 * Whoever allocates frees. Nothing outside mem.c calls malloc.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_MEM_H
#define TRIT_BASE_MEM_H

#include <stdbool.h>

#include "base/error.h"

#define TRIT_ALIGN 64

/** a * b into *out; false when it does not fit size_t. */
bool trit_mul_size(size_t *out, size_t a, size_t b);
/** a + b into *out; false when it does not fit size_t. */
bool trit_add_size(size_t *out, size_t a, size_t b);

/** n * size bytes, zeroed, 64-byte aligned; NULL when n * size overflows or memory is short. Zero bytes give a valid
 * pointer. */
void *trit_calloc(size_t n, size_t size);
/** Resizes to n * size bytes, keeping what was there (new bytes are not zeroed); `old_bytes` is the old size. NULL:
 * failed, p is still valid. p may be NULL with old_bytes 0. */
void *trit_realloc(void *p, size_t old_bytes, size_t n, size_t size);
/** NULL is fine. */
void trit_free(void *p);
/** A NUL-terminated copy of len bytes, or NULL. */
char *trit_strndup(const char *s, size_t len);

/** Bytes of a large block that are not needed any more: whole pages of them go back to the system. What was in them is
 * lost: afterwards they hold zeros, or what they held. */
void trit_mem_discard(void *p, size_t bytes);

/** Bytes of memory the machine has; UINT64_MAX when unknown. */
uint64_t trit_physical_memory(void);
/** How many allocations were made since the program began (trit_calloc, trit_realloc, trit_strndup). */
uint64_t trit_mem_count(void);
/** Test hook: the nth allocation from now on, and every later one, fails; 0 switches it off. */
void trit_mem_fail_after(uint64_t n);

/**
 * An arena: one block handed out in 64-byte aligned pieces, freed at once. The same layout function runs twice: over a
 * zeroed arena, where trit_arena_take only counts and returns NULL, and again after trit_arena_alloc. Under
 * AddressSanitizer a poisoned gap follows each piece.
 */
struct trit_arena {
	char *base;  /* NULL while measuring */
	size_t size; /* bytes available */
	size_t used; /* bytes taken so far; SIZE_MAX after an overflow */
};

/** n * size zeroed bytes, or NULL while measuring. Never fails after a matching measuring pass. */
void *trit_arena_take(struct trit_arena *a, size_t n, size_t size);
/** Allocates what the measuring pass counted and resets `used` to 0. */
TRIT_MUST_CHECK int trit_arena_alloc(struct trit_arena *a, const char *what, struct trit_error *err);
void trit_arena_release(struct trit_arena *a);

#endif
