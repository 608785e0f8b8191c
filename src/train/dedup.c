/*
 * dedup.c - a set of fingerprints, and tables of bands of signatures.
 *
 * Signatures lie in a ring. Each band has a table of pairs of slots; a slot has the number of a signature, and when
 * both of a pair are taken the older one goes. At twice as many slots as signatures that is rare, and a likely
 * duplicate shares several bands.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/dedup.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "text/chars.h"
#include "text/utf8.h"

#define RUN 5 /* words */
#define FIRST_CAPACITY ((size_t)1 << 12)

struct trit_dedup {
	enum trit_dedup_how how;
	/* fingerprints: open addressing, both words 0 where a slot is empty */
	struct trit_fingerprint *set; /* [mask + 1] */
	size_t mask, n_set;
	/* signatures */
	int rows, bands, least; /* of a band; how many; equal numbers of a near duplicate */
	struct trit_signature *ring; /* [capacity] */
	uint32_t *slots;             /* [bands, 2 capacity] number + 1 of a signature, 0: empty */
	size_t capacity, max_capacity; /* powers of two */
	uint64_t n;                  /* signatures so far; number i lies at i % capacity */
};

/* ---- signatures -------------------------------------------------------------------------------------------------- */

/* Scripts that write words without spaces between them: Thai to Myanmar, Khmer, and all from the radicals of Chinese
 * on but Hangul, which has spaces. */
static bool is_word_itself(int32_t c)
{
	return (c >= 0x0e00 && c < 0x10a0) || (c >= 0x1780 && c < 0x1800) || (c >= 0x2e80 && c < 0xac00) || c >= 0xd7b0;
}

/* Hash of the next word of [*at, len), which is moved behind it; false at the end. A word is a run of letters, digits
 * and what is not ASCII, ASCII letters in lower case. */
static bool next_word(size_t *at, size_t len, const char *text, uint64_t *hash)
{
	uint64_t h = 0xcbf29ce484222325;
	size_t i = *at, begin = SIZE_MAX;
	while (i < len) {
		unsigned char c = (unsigned char)text[i];
		size_t n = 1;
		bool alone = false;
		if (c >= 0xe0) { /* three bytes or four */
			alone = is_word_itself(trit_utf8_next(len - i, text + i, &n));
			if (alone && begin != SIZE_MAX)
				break;
		}
		bool letter = c >= 0x80 || (c >= '0' && c <= '9') || (c | 32u) - 'a' < 26;
		if (!letter && begin != SIZE_MAX)
			break;
		if (letter && begin == SIZE_MAX)
			begin = i;
		for (size_t j = 0; letter && j < n; j++, i++) {
			unsigned char b = (unsigned char)text[i];
			h = (h ^ (b >= 'A' && b <= 'Z' ? b + 32u : b)) * 0x100000001b3;
		}
		if (alone)
			break;
		i += !letter;
	}
	*at = i;
	*hash = h;
	return begin != SIZE_MAX;
}

/* Empty bins take what another one has: which, is a function of the bin and of how often it was tried. */
static void fill_empty(uint64_t least[TRIT_MINHASH])
{
	bool full[TRIT_MINHASH];
	for (int i = 0; i < TRIT_MINHASH; i++)
		full[i] = least[i] != UINT64_MAX;
	for (uint64_t i = 0; i < TRIT_MINHASH; i++)
		for (uint64_t try = 1; least[i] == UINT64_MAX; try++) {
			uint64_t from = trit_hash64(i << 32 | try) % TRIT_MINHASH;
			if (full[from])
				least[i] = trit_hash64(least[from] + i);
		}
}

void trit_signature_of(struct trit_signature *s, size_t len, const char *text)
{
	uint64_t least[TRIT_MINHASH], words[RUN], n = 0, word;
	memset(least, 0xff, sizeof least);
	for (size_t at = 0; next_word(&at, len, text, &word);) {
		words[n++ % RUN] = word;
		uint64_t run = 0;
		if (n < RUN)
			continue;
		for (uint64_t i = 0; i < RUN; i++)
			run = (run ^ words[(n + i) % RUN]) * 0x9e3779b97f4a7c15 + 1;
		run = trit_hash64(run);
		uint64_t *bin = &least[run % TRIT_MINHASH];
		*bin = run >> 8 < *bin ? run >> 8 : *bin;
	}
	if (n < RUN) { /* too short for a run: all of it is one */
		uint64_t run = n;
		for (uint64_t i = 0; i < n; i++)
			run = (run ^ words[i]) * 0x9e3779b97f4a7c15 + 1;
		least[trit_hash64(run) % TRIT_MINHASH] = trit_hash64(run) >> 8;
	}
	fill_empty(least);
	for (int i = 0; i < TRIT_MINHASH; i++)
		s->hash[i] = (uint16_t)trit_hash64(least[i]);
}

static int count_equal(const struct trit_signature *a, const struct trit_signature *b)
{
	int n = 0;
	for (int i = 0; i < TRIT_MINHASH; i++)
		n += a->hash[i] == b->hash[i];
	return n;
}

double trit_signature_likeness(const struct trit_signature *a, const struct trit_signature *b)
{
	return count_equal(a, b) / (double)TRIT_MINHASH;
}

/* ---- bands ------------------------------------------------------------------------------------------------------- */

/* Bands as long as possible with which two texts of just that likeness still share one in 95 of 100 cases. */
static void choose_bands(struct trit_dedup *d, double threshold)
{
	d->rows = 1;
	for (int rows = 2; rows <= TRIT_MINHASH / 4; rows++)
		if (1 - pow(1 - pow(threshold, rows), TRIT_MINHASH / rows) >= 0.95)
			d->rows = rows;
	d->bands = TRIT_MINHASH / d->rows;
	d->least = (int)ceil(threshold * TRIT_MINHASH);
}

/* The pair of slots of a band that a signature belongs to. */
static uint32_t *pair_of(const struct trit_dedup *d, const struct trit_signature *s, int band)
{
	uint64_t key = (uint64_t)band;
	for (int i = 0; i < d->rows; i++)
		key = (key ^ s->hash[band * d->rows + i]) * 0x9e3779b97f4a7c15 + 1;
	size_t pair = (size_t)trit_hash64(key) & (d->capacity - 1);
	return d->slots + ((size_t)band * d->capacity + pair) * 2;
}

static void enter(struct trit_dedup *d, uint64_t number)
{
	const struct trit_signature *s = &d->ring[number & (d->capacity - 1)];
	for (int band = 0; band < d->bands; band++) {
		uint32_t *pair = pair_of(d, s, band);
		pair[1] = pair[0]; /* the older one goes */
		pair[0] = (uint32_t)(number + 1);
	}
}

/* Room for twice as many, unless memory is at its bound. */
static int grow_ring(struct trit_dedup *d, struct trit_error *err)
{
	size_t old = d->capacity, capacity = old ? 2 * old : FIRST_CAPACITY;
	struct trit_signature *ring = trit_realloc(d->ring, old * sizeof *ring, capacity, sizeof *ring);
	uint32_t *slots = ring ? trit_calloc((size_t)d->bands * capacity, 2 * sizeof *slots) : NULL;
	if (ring)
		d->ring = ring;
	if (!slots)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to compare %zu documents; --dedup-memory bounds it",
		                 capacity);
	trit_free(d->slots);
	d->slots = slots;
	d->capacity = capacity;
	for (uint64_t i = 0; i < d->n; i++)
		enter(d, i);
	return TRIT_OK;
}

static bool is_near(const struct trit_dedup *d, const struct trit_signature *s)
{
	for (int band = 0; band < d->bands && d->capacity; band++) {
		const uint32_t *pair = pair_of(d, s, band);
		for (int i = 0; i < 2 && pair[i]; i++) {
			uint32_t age = (uint32_t)d->n - (pair[i] - 1);
			if (age <= d->capacity && count_equal(s, &d->ring[(pair[i] - 1) & (d->capacity - 1)]) >= d->least)
				return true;
		}
	}
	return false;
}

/* ---- fingerprints ------------------------------------------------------------------------------------------------ */

static struct trit_fingerprint *set_slot(const struct trit_dedup *d, struct trit_fingerprint f)
{
	size_t i = (size_t)f.a & d->mask;
	while ((d->set[i].a | d->set[i].b) && (d->set[i].a != f.a || d->set[i].b != f.b))
		i = (i + 1) & d->mask;
	return &d->set[i];
}

static int grow_set(struct trit_dedup *d, struct trit_error *err)
{
	size_t old = d->set ? d->mask + 1 : 0, slots = old ? 2 * old : 1024;
	struct trit_fingerprint *before = d->set, *set = trit_calloc(slots, sizeof *set);
	if (!set)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the fingerprints of %zu documents", slots / 2);
	d->set = set;
	d->mask = slots - 1;
	for (size_t i = 0; i < old; i++)
		if (before[i].a | before[i].b)
			*set_slot(d, before[i]) = before[i];
	trit_free(before);
	return TRIT_OK;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

int trit_dedup_new(struct trit_dedup **out, enum trit_dedup_how how, double threshold, uint64_t max_bytes,
                   struct trit_error *err)
{
	if (how == TRIT_DEDUP_NEAR && !(threshold > 0 && threshold <= 1))
		return trit_fail(err, TRIT_ERR_ARG, "a likeness of %g; it is above 0 and at most 1", threshold);
	struct trit_dedup *d = trit_calloc(1, sizeof *d);
	if (!d)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to compare documents");
	d->how = how;
	choose_bands(d, threshold);
	uint64_t each = sizeof *d->ring + (uint64_t)d->bands * 2 * sizeof *d->slots;
	d->max_capacity = FIRST_CAPACITY;
	while (d->max_capacity < (size_t)1 << 30 && 2 * d->max_capacity * each <= max_bytes)
		d->max_capacity *= 2;
	*out = d;
	return TRIT_OK;
}

void trit_dedup_free(struct trit_dedup *d)
{
	if (!d)
		return;
	trit_free(d->set);
	trit_free(d->ring);
	trit_free(d->slots);
	trit_free(d);
}

int trit_dedup_add(struct trit_dedup *d, struct trit_fingerprint f, const struct trit_signature *s,
                   enum trit_fate *fate, struct trit_error *err)
{
	int e = TRIT_OK;
	*fate = TRIT_FATE_KEPT;
	if (d->how == TRIT_DEDUP_NONE)
		return TRIT_OK;
	f.a += !(f.a | f.b);
	if ((!d->set || 4 * (d->n_set + 1) > 3 * (d->mask + 1)) && (e = grow_set(d, err)))
		return e;
	struct trit_fingerprint *slot = set_slot(d, f);
	if (slot->a | slot->b) {
		*fate = TRIT_FATE_DUPLICATE;
		return TRIT_OK;
	}
	*slot = f;
	d->n_set++;
	if (d->how != TRIT_DEDUP_NEAR)
		return TRIT_OK;
	if (is_near(d, s)) {
		*fate = TRIT_FATE_NEAR_DUPLICATE;
		return TRIT_OK;
	}
	if (d->n >= d->capacity && d->capacity < d->max_capacity && (e = grow_ring(d, err)))
		return e;
	d->ring[d->n & (d->capacity - 1)] = *s;
	enter(d, d->n++);
	return TRIT_OK;
}

uint64_t trit_dedup_forgotten(const struct trit_dedup *d)
{
	return d->n > d->capacity ? d->n - d->capacity : 0;
}
