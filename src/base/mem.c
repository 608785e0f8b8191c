/*
 * mem.c - the only place that calls malloc.
 *
 * A block is a piece of a larger one of the C library:
 *
 *     raw            p (64-byte aligned)              p + bytes      raw + bytes + 64
 *     |..... raw stored in the last word |.... bytes .... |.... slack ......|
 *
 * calloc rather than aligned_alloc, because for large blocks it knows that fresh pages are zero and does not touch
 * them. Under AddressSanitizer what is left and right of the bytes is poisoned.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* syscall */
#define TRIT_MAY_ALLOCATE
#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region(p, n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#define RED_ZONE TRIT_ALIGN
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define RED_ZONE 0
#endif

static _Atomic uint64_t allocations;    /* made so far, failed ones included */
static _Atomic uint64_t first_to_fail;  /* the allocation with this number and all later ones fail; 0: none */

bool trit_mul_size(size_t *out, size_t a, size_t b)
{
	return !__builtin_mul_overflow(a, b, out);
}

bool trit_add_size(size_t *out, size_t a, size_t b)
{
	return !__builtin_add_overflow(a, b, out);
}

/* ---- large blocks ------------------------------------------------------------------------------------------------ */

#if defined(__linux__) && defined(SYS_mbind)

/* The memory nodes that are there, a bit each, of the first 64; 0 when that cannot be read. The file says "0", "0-1",
 * "0,2-3". */
static unsigned long online_nodes(void)
{
	FILE *f = fopen("/sys/devices/system/node/online", "r");
	unsigned long nodes = 0;
	unsigned first, last;
	int got;

	if (!f)
		return 0;
	while ((got = fscanf(f, "%u-%u", &first, &last)) >= 1) {
		if (got == 1)
			last = first;
		for (unsigned i = first; i <= last && i < 64; i++)
			nodes |= 1ul << i;
		if (fgetc(f) != ',')
			break;
	}
	fclose(f);
	return nodes;
}

/* On a machine with several memory nodes all threads read all weights, so every node should hold its part of them. */
static void spread_over_nodes(void *begin, size_t bytes)
{
	const int interleave = 3; /* MPOL_INTERLEAVE */
	unsigned long nodes = online_nodes();
	if (nodes & (nodes - 1))
		(void)syscall(SYS_mbind, begin, bytes, interleave, &nodes, 8 * sizeof nodes, 0);
}

#else

static void spread_over_nodes(void *begin, size_t bytes)
{
	(void)begin;
	(void)bytes;
}

#endif

/* Weights are read once a token from one end to the other: with 4 KiB pages that can be little more than half as fast.
 * All of this is no more than a wish. */
static void prepare_large(char *raw, size_t bytes)
{
#ifdef MADV_HUGEPAGE
	const size_t page = 4096, least = (size_t)4 << 20;
	uintptr_t begin = ((uintptr_t)raw + page - 1) / page * page, end = ((uintptr_t)raw + bytes) / page * page;
	if (bytes >= least) {
		madvise((void *)begin, end - begin, MADV_HUGEPAGE);
		spread_over_nodes((void *)begin, end - begin);
	}
#else
	(void)raw;
	(void)bytes;
#endif
}

void trit_mem_discard(void *p, size_t bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = ((uintptr_t)p + page - 1) / page * page, end = ((uintptr_t)p + bytes) / page * page;
	if (end > begin)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* n * size bytes, zeroed or not; counts, and fails on demand. */
static void *allocate(size_t n, size_t size, bool zero)
{
	uint64_t number = atomic_fetch_add(&allocations, 1) + 1, limit = atomic_load(&first_to_fail);
	size_t bytes, whole;
	char *raw, *p;

	if (limit && number >= limit)
		return NULL;
	/* PTRDIFF_MAX: differences of pointers into the block must be representable. */
	if (!trit_mul_size(&bytes, n, size) || !trit_add_size(&whole, bytes, TRIT_ALIGN) || whole > PTRDIFF_MAX)
		return NULL;
	whole += bytes == 0; /* a pointer to nothing points into its block, too: leak checkers look for that */
	raw = zero ? calloc(1, whole) : malloc(whole);
	if (!raw)
		return NULL;
	prepare_large(raw, whole);
	p = raw + TRIT_ALIGN - (uintptr_t)raw % TRIT_ALIGN;
	memcpy(p - sizeof raw, &raw, sizeof raw); /* there is room: malloc aligns to at least a pointer's size */
	POISON(raw, (size_t)(p - raw));
	POISON(p + bytes, (size_t)(raw + whole - (p + bytes)));
	return p;
}

void *trit_calloc(size_t n, size_t size)
{
	return allocate(n, size, true);
}

void *trit_realloc(void *p, size_t old_bytes, size_t n, size_t size)
{
	void *result = allocate(n, size, false);

	if (!result)
		return NULL;
	if (p) {
		size_t bytes = n * size;

		memcpy(result, p, old_bytes < bytes ? old_bytes : bytes);
		trit_free(p);
	}
	return result;
}

void trit_free(void *p)
{
	char *raw;

	if (!p)
		return;
	UNPOISON((char *)p - sizeof raw, sizeof raw);
	memcpy(&raw, (char *)p - sizeof raw, sizeof raw);
	free(raw);
}

char *trit_strndup(const char *s, size_t len)
{
	size_t bytes;
	char *copy = trit_add_size(&bytes, len, 1) ? allocate(bytes, 1, false) : NULL;

	if (copy) {
		memcpy(copy, s, len);
		copy[len] = 0;
	}
	return copy;
}

uint64_t trit_mem_count(void)
{
	return atomic_load(&allocations);
}

void trit_mem_fail_after(uint64_t n)
{
	atomic_store(&first_to_fail, n ? atomic_load(&allocations) + n : 0);
}

void *trit_arena_take(struct trit_arena *a, size_t n, size_t size)
{
	size_t bytes, end;
	char *piece = NULL;

	if (a->used == SIZE_MAX || !trit_mul_size(&bytes, n, size) ||
	    !trit_add_size(&end, bytes, RED_ZONE + TRIT_ALIGN - 1) ||
	    !trit_add_size(&end, end / TRIT_ALIGN * TRIT_ALIGN, a->used)) {
		a->used = SIZE_MAX;
		return NULL;
	}
	if (a->base) {
		assert(end <= a->size); /* else the two passes of the layout function differ */
		piece = a->base + a->used;
		if (RED_ZONE)
			POISON(piece + bytes, end - a->used - bytes);
	}
	a->used = end;
	return piece;
}

int trit_arena_alloc(struct trit_arena *a, const char *what, struct trit_error *err)
{
	size_t size = a->used;
	char *base = size == SIZE_MAX ? NULL : trit_calloc(size, 1);

	if (size == SIZE_MAX)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: more memory than a computer can address", what);
	if (!base)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory for %zu bytes", what, size);
	*a = (struct trit_arena){ .base = base, .size = size };
	return 0;
}

void trit_arena_release(struct trit_arena *a)
{
	if (!a)
		return;
	trit_free(a->base);
	*a = (struct trit_arena){ 0 };
}

uint64_t trit_physical_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : UINT64_MAX;
}
