/*
 * charsmap.c - rules of replacement, looked over once and then walked.
 *
 * Subtrees may be shared, so the trie is a graph without cycles. The look keeps, for each base, the greatest number of
 * bytes that go on from there; a cycle would never end and is cut off where a rule becomes too long.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "base/num.h"
#include "text/charsmap.h"

#define UNKNOWN_HEIGHT 0xff

static uint32_t unit_at(const struct trit_charsmap *m, uint32_t i)
{
	return trit_get32(m->units + 4 * (size_t)i);
}

/* The base of a unit, to be XORed with its place; below 2^30. Elsewhere in this file a base has that done. */
static uint32_t base_of(uint32_t unit)
{
	return unit >> 10 << ((unit & 1u << 9) >> 6);
}

/* The unit reached from `base` by byte c: true, and its place in *at. */
static bool child(const struct trit_charsmap *m, uint32_t base, unsigned char c, uint32_t *at)
{
	*at = base ^ c;
	return *at < m->n_units && (unit_at(m, *at) & (1u << 31 | 0xff)) == c;
}

/* Whether the unit there is a value, where a string begins that is not too long. */
static bool is_value(const struct trit_charsmap *m, uint32_t at)
{
	size_t value = at < m->n_units ? unit_at(m, at) & INT32_MAX : SIZE_MAX, rest;

	if (value >= m->strings_len)
		return false;
	rest = m->strings_len - value;
	return memchr(m->strings + value, 0, rest <= TRIT_MAX_RULE_TEXT ? rest : TRIT_MAX_RULE_TEXT + 1) != NULL;
}

/* The most bytes that rules have from `base` on, or TRIT_MAX_RULE_BYTES + 1 where it is too many, or a rule is wrong.
 * Recursion is as deep as a rule is long. heights: [n_units], by base. */
static int height(const struct trit_charsmap *m, unsigned char *heights, uint32_t base, int depth)
{
	int most = 0;

	if (base >= m->n_units || depth > TRIT_MAX_RULE_BYTES)
		return TRIT_MAX_RULE_BYTES + 1;
	if (heights[base] != UNKNOWN_HEIGHT)
		return heights[base];
	for (unsigned c = 0; c < 256 && most <= TRIT_MAX_RULE_BYTES; c++) {
		uint32_t at, unit;
		int h;

		if (!child(m, base, (unsigned char)c, &at))
			continue;
		unit = unit_at(m, at);
		at ^= base_of(unit);
		if (unit >> 8 & 1 && !is_value(m, at))
			return TRIT_MAX_RULE_BYTES + 1;
		h = 1 + height(m, heights, at, depth + 1);
		most = h > most ? h : most;
	}
	if (depth + most <= TRIT_MAX_RULE_BYTES)
		heights[base] = (unsigned char)most;
	return most;
}

int trit_charsmap_init(struct trit_charsmap *m, size_t len, const unsigned char *bytes, struct trit_error *err)
{
	size_t trie = len >= 4 ? trit_get32(bytes) : 0;
	unsigned char *heights;
	int deepest;

	*m = (struct trit_charsmap){ 0 };
	if (trie < 4 || trie % 4 != 0 || trie >= len - 4 || bytes[len - 1] != 0)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "the map of characters is damaged: %zu bytes, of which a trie of %zu", len, trie);
	m->units = bytes + 4;
	m->n_units = (uint32_t)(trie / 4);
	m->strings = (const char *)bytes + 4 + trie;
	m->strings_len = len - 4 - trie;
	heights = trit_calloc(m->n_units, 1);
	if (!heights)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a map of characters");
	memset(heights, UNKNOWN_HEIGHT, m->n_units);
	deepest = height(m, heights, base_of(unit_at(m, 0)), 0);
	trit_free(heights);
	if (deepest > TRIT_MAX_RULE_BYTES) {
		*m = (struct trit_charsmap){ 0 };
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "the map of characters is damaged: a rule leaves it, or has more than %d "
		                 "bytes or gives more than %d", TRIT_MAX_RULE_BYTES, TRIT_MAX_RULE_TEXT);
	}
	return 0;
}

size_t trit_charsmap_match(const struct trit_charsmap *m, size_t len, const char *text, const char **by,
                           size_t *by_len)
{
	size_t matched = 0;
	uint32_t base, at;

	if (m->n_units == 0)
		return 0;
	base = base_of(unit_at(m, 0));
	for (size_t i = 0; i < len && child(m, base, (unsigned char)text[i], &at); i++) {
		uint32_t unit = unit_at(m, at);

		base = at ^ base_of(unit);
		if (unit >> 8 & 1) {
			*by = m->strings + (unit_at(m, base) & INT32_MAX);
			matched = i + 1;
		}
	}
	if (matched > 0)
		*by_len = strlen(*by);
	return matched;
}
