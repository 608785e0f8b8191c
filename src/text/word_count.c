/*
 * word_count.c - a hash table of words and their counts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/word_count.h"

void trit_word_count_release(struct trit_word_count *c)
{
	if (!c)
		return;
	trit_free(c->words);
	trit_free(c->bytes);
	trit_free(c->table);
	*c = (struct trit_word_count){ .max_words = c->max_words, .max_bytes = c->max_bytes };
}

/* Eight bytes at a time; words are short and there are many. */
static uint64_t hash(size_t len, const char *word)
{
	uint64_t h = len, eight = 0;

	for (; len >= sizeof eight; len -= sizeof eight, word += sizeof eight) {
		memcpy(&eight, word, sizeof eight);
		h = (h ^ eight) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	eight = 0;
	memcpy(&eight, word, len);
	h = (h ^ eight) * 0x9e3779b97f4a7c15;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	return h ^ h >> 32;
}

/* The slot that holds the word, or the empty one where it belongs. */
static uint32_t *find_slot(const struct trit_word_count *c, size_t len, const char *word)
{
	size_t i = (size_t)hash(len, word) & c->mask;

	for (; c->table[i]; i = (i + 1) & c->mask) {
		const struct trit_word *w = &c->words[c->table[i] - 1];

		if (w->len == len && !memcmp(c->bytes + w->start, word, len))
			break;
	}
	return &c->table[i];
}

/* Enters all words into a table of `slots` slots, the present one emptied or a new one. */
static int rehash(struct trit_word_count *c, size_t slots, struct trit_error *err)
{
	if (!c->table || slots != c->mask + 1) {
		uint32_t *table = trit_calloc(slots, sizeof *table);

		if (!table)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to count %zu words", slots / 2);
		trit_free(c->table);
		c->table = table;
		c->mask = slots - 1;
	} else {
		memset(c->table, 0, slots * sizeof *c->table);
	}
	for (size_t i = 0; i < c->n; i++)
		*find_slot(c, c->words[i].len, c->bytes + c->words[i].start) = (uint32_t)i + 1;
	return 0;
}

/* Forgets words: those that occurred once, then up to twice, 4 times, ..., until both maxima are half free. */
static int prune(struct trit_word_count *c, struct trit_error *err)
{
	for (uint64_t rare = 1; c->n > c->max_words / 2 || c->n_bytes > c->max_bytes / 2; rare *= 2) {
		size_t n = 0, n_bytes = 0;

		for (size_t i = 0; i < c->n; i++) {
			struct trit_word w = c->words[i];

			if (w.count <= rare)
				continue;
			memmove(c->bytes + n_bytes, c->bytes + w.start, w.len);
			w.start = (uint32_t)n_bytes;
			n_bytes += w.len;
			c->words[n++] = w;
		}
		c->n = n;
		c->n_bytes = n_bytes;
	}
	return rehash(c, c->mask + 1, err);
}

/* Room for one more word of len bytes. */
static int reserve(struct trit_word_count *c, size_t len, struct trit_error *err)
{
	size_t words = c->words_capacity ? c->words_capacity : 1024;
	size_t bytes = c->bytes_capacity ? c->bytes_capacity : 8192;

	if (c->n == c->max_words || len > c->max_bytes - c->n_bytes) {
		int status = prune(c, err);

		if (status < 0)
			return status;
	}
	if (c->n == c->words_capacity) {
		struct trit_word *p;

		if (c->words)
			words *= 2;
		p = trit_realloc(c->words, c->words_capacity * sizeof *p, words, sizeof *p);
		if (!p)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to count %zu words", words);
		c->words = p;
		c->words_capacity = words;
	}
	if (len > c->bytes_capacity - c->n_bytes) {
		char *p;

		while (bytes < c->n_bytes + len)
			bytes *= 2;
		p = trit_realloc(c->bytes, c->bytes_capacity, bytes, 1);
		if (!p)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu bytes of words", bytes);
		c->bytes = p;
		c->bytes_capacity = bytes;
	}
	return 2 * (c->n + 1) > c->mask + 1 ? rehash(c, 2 * (c->mask + 1), err) : 0;
}

static int add(struct trit_word_count *c, size_t len, const char *word, uint64_t count, struct trit_error *err)
{
	uint32_t *slot;
	int status;

	if (!c->table) {
		status = rehash(c, 2048, err);
		if (status < 0)
			return status;
	}
	slot = find_slot(c, len, word);
	if (*slot) {
		c->words[*slot - 1].count += count;
		return 0;
	}
	status = reserve(c, len, err);
	if (status < 0)
		return status;
	slot = find_slot(c, len, word); /* the table may be another one now */
	memcpy(c->bytes + c->n_bytes, word, len);
	c->words[c->n] = (struct trit_word){ .count = count, .start = (uint32_t)c->n_bytes, .len = (uint32_t)len };
	c->n_bytes += len;
	*slot = (uint32_t)++c->n;
	return 0;
}

int trit_word_count_add(struct trit_word_count *c, size_t len, const char *word, struct trit_error *err)
{
	return add(c, len, word, 1, err);
}

int trit_word_count_merge(struct trit_word_count *c, struct trit_word_count *from, struct trit_error *err)
{
	size_t max_words = c->max_words, max_bytes = c->max_bytes;
	int status = 0;

	c->max_words = UINT32_MAX - 1;
	c->max_bytes = UINT32_MAX;
	for (size_t i = 0; i < from->n && status == 0; i++)
		status = add(c, from->words[i].len, from->bytes + from->words[i].start, from->words[i].count, err);
	c->max_words = max_words;
	c->max_bytes = max_bytes;
	if (status == 0 && (c->n > max_words || c->n_bytes > max_bytes))
		status = prune(c, err);
	from->n = from->n_bytes = 0;
	if (from->table)
		memset(from->table, 0, (from->mask + 1) * sizeof *from->table);
	return status;
}
