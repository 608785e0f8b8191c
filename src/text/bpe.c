/*
 * bpe.c - byte pair encoding of a word.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/bpe.h"

#define NO_RANK UINT32_MAX
#define NOWHERE UINT32_MAX
#define SHORT_WORD 64 /* up to here scanning is faster than the heap */

struct trit_bpe_merge {
	uint64_t pair; /* left << 32 | right; EMPTY where there is no merge */
	uint32_t rank;
	trit_token result;
};

#define EMPTY UINT64_MAX /* no pair: tokens are below 2^31 */

static uint64_t pair_of(trit_token left, trit_token right)
{
	return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot that holds the pair, or the empty one where it belongs. At least a third of the slots are empty. */
static struct trit_bpe_merge *find_slot(const struct trit_bpe *b, uint64_t pair)
{
	uint64_t h = (pair ^ pair >> 29) * 0x9e3779b97f4a7c15;
	uint32_t i = (uint32_t)(h >> 32) & b->mask;

	while (b->slots[i].pair != pair && b->slots[i].pair != EMPTY)
		i = (i + 1) & b->mask;
	return &b->slots[i];
}

int trit_bpe_init(struct trit_bpe *b, int n_merges, struct trit_error *err)
{
	size_t n = 16;

	while (n < (size_t)n_merges + (size_t)n_merges / 2)
		n *= 2;
	b->slots = trit_calloc(n, sizeof *b->slots);
	if (!b->slots)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d merges", n_merges);
	for (size_t i = 0; i < n; i++)
		b->slots[i].pair = EMPTY;
	b->mask = (uint32_t)(n - 1);
	return 0;
}

void trit_bpe_release(struct trit_bpe *b)
{
	if (!b)
		return;
	trit_free(b->slots);
	*b = (struct trit_bpe){ 0 };
}

int trit_bpe_add(struct trit_bpe *b, int rank, trit_token left, trit_token right, trit_token result,
                 struct trit_error *err)
{
	struct trit_bpe_merge *m = find_slot(b, pair_of(left, right));

	if (m->pair != EMPTY)
		return trit_fail(err, TRIT_ERR_FORMAT, "merge %d is the same as merge %u", rank, (unsigned)m->rank);
	*m = (struct trit_bpe_merge){ pair_of(left, right), (uint32_t)rank, result };
	return 0;
}

void trit_bpe_work_release(struct trit_bpe_work *w)
{
	if (!w)
		return;
	trit_free(w->next);
	trit_free(w->previous);
	trit_free(w->rank);
	trit_free(w->heap);
	*w = (struct trit_bpe_work){ 0 };
}

static int reserve(struct trit_bpe_work *w, size_t n, struct trit_error *err)
{
	struct trit_bpe_work grown = { .capacity = 1024 };

	if (n <= w->capacity)
		return 0;
	while (grown.capacity < n)
		grown.capacity *= 2;
	grown.next = trit_calloc(grown.capacity, sizeof *grown.next);
	grown.previous = trit_calloc(grown.capacity, sizeof *grown.previous);
	grown.rank = trit_calloc(grown.capacity, sizeof *grown.rank);
	grown.heap = trit_calloc(grown.capacity, 3 * sizeof *grown.heap);
	if (!grown.next || !grown.previous || !grown.rank || !grown.heap) {
		trit_bpe_work_release(&grown);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a word of %zu bytes", n);
	}
	trit_bpe_work_release(w);
	*w = grown;
	return 0;
}

static uint32_t rank_of(const struct trit_bpe *b, trit_token left, trit_token right)
{
	const struct trit_bpe_merge *m = find_slot(b, pair_of(left, right));

	return m->pair == EMPTY ? NO_RANK : m->rank;
}

/* Quadratic, but the numbers are small and stay in the nearest cache. */
static size_t merge_short(const struct trit_bpe *b, trit_token *tokens, size_t n)
{
	uint32_t rank[SHORT_WORD]; /* rank[i]: of the pair that begins at i */

	for (size_t i = 0; i + 1 < n; i++)
		rank[i] = rank_of(b, tokens[i], tokens[i + 1]);
	while (n > 1) {
		size_t best = 0;

		for (size_t i = 1; i + 1 < n; i++)
			if (rank[i] < rank[best])
				best = i;
		if (rank[best] == NO_RANK)
			break;
		tokens[best] = find_slot(b, pair_of(tokens[best], tokens[best + 1]))->result;
		n--;
		for (size_t i = best + 1; i < n; i++) {
			tokens[i] = tokens[i + 1];
			rank[i - 1] = rank[i];
		}
		if (best > 0)
			rank[best - 1] = rank_of(b, tokens[best - 1], tokens[best]);
		if (best + 1 < n)
			rank[best] = rank_of(b, tokens[best], tokens[best + 1]);
	}
	return n;
}

static void sift_up(uint64_t *heap, size_t i)
{
	uint64_t x = heap[i];

	for (; i > 0 && heap[(i - 1) / 2] > x; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = x;
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
	uint64_t x = heap[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= x)
			break;
		heap[i] = heap[child];
	}
	heap[i] = x;
}

/* Notes the rank of the pair that begins at i, and puts it on the heap if it can merge. Returns the heap's new size. */
static size_t push_pair(const struct trit_bpe *b, struct trit_bpe_work *w, const trit_token *tokens, uint32_t i,
                        size_t size)
{
	w->rank[i] = w->next[i] == NOWHERE ? NO_RANK : rank_of(b, tokens[i], tokens[w->next[i]]);
	if (w->rank[i] != NO_RANK) {
		w->heap[size] = (uint64_t)w->rank[i] << 32 | i;
		sift_up(w->heap, size++);
	}
	return size;
}

/*
 * An entry of the heap is good while rank[position] is still its rank: ranks are unique to a pair, so an entry that was
 * overtaken by a merge either differs or says the same thing. n pairs at first and two for each of fewer than n merges:
 * never more than 3n entries.
 */
static size_t merge_long(const struct trit_bpe *b, struct trit_bpe_work *w, trit_token *tokens, size_t n)
{
	size_t size = 0, left = 0;

	for (uint32_t i = 0; i < n; i++) {
		w->previous[i] = i ? i - 1 : NOWHERE;
		w->next[i] = i + 1 < n ? i + 1 : NOWHERE;
		size = push_pair(b, w, tokens, i, size);
	}
	while (size > 0) {
		uint64_t top = w->heap[0];
		uint32_t i = (uint32_t)top, right;

		w->heap[0] = w->heap[--size];
		if (size > 0)
			sift_down(w->heap, size, 0);
		if (w->rank[i] != top >> 32)
			continue;
		right = w->next[i];
		tokens[i] = find_slot(b, pair_of(tokens[i], tokens[right]))->result;
		w->rank[right] = NO_RANK;
		w->next[i] = w->next[right];
		if (w->next[i] != NOWHERE)
			w->previous[w->next[i]] = i;
		size = push_pair(b, w, tokens, i, size);
		if (w->previous[i] != NOWHERE)
			size = push_pair(b, w, tokens, w->previous[i], size);
	}
	for (uint32_t i = 0; i != NOWHERE; i = w->next[i])
		tokens[left++] = tokens[i];
	return left;
}

int trit_bpe_merge(const struct trit_bpe *b, struct trit_bpe_work *w, trit_token *tokens, size_t n, size_t *n_out,
                   struct trit_error *err)
{
	if (n > SHORT_WORD) {
		int status = reserve(w, n, err);

		if (status < 0)
			return status;
		*n_out = merge_long(b, w, tokens, n);
	} else {
		*n_out = merge_short(b, tokens, n);
	}
	return 0;
}
