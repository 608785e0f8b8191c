/*
 * special.c - finding special tokens: a sorted list of their texts, narrowed byte by byte at each place of the text.
 *
 * Linear in the text: at one place at most the longest text is compared, and at nearly all places the first byte
 * already says no.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/chars.h"
#include "text/special.h"

/* Order of two token texts by their bytes, a beginning before what it begins. */
static int compare(const struct trit_piece *a, const struct trit_piece *b)
{
	int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Heap sort: in place, n log n on any input, and able to see the vocabulary (qsort's order function is not). */
static void sort(const struct trit_vocab *v, trit_token *ids, size_t n)
{
	for (size_t start = n / 2, end = n; end > 1;) {
		trit_token moving;
		size_t i, child;

		if (start > 0) {
			moving = ids[--start]; /* first build the heap */
		} else {
			moving = ids[--end]; /* then take the largest off it, again and again */
			ids[end] = ids[0];
		}
		for (i = start; (child = 2 * i + 1) < end; i = child) {
			if (child + 1 < end && compare(&v->pieces[ids[child]], &v->pieces[ids[child + 1]]) < 0)
				child++;
			if (compare(&v->pieces[ids[child]], &v->pieces[moving]) <= 0)
				break;
			ids[i] = ids[child];
		}
		ids[i] = moving;
	}
}

int trit_special_init(struct trit_special *s, const struct trit_vocab *v, unsigned types, struct trit_error *err)
{
	uint32_t n = 0;

	for (int i = 0; i < v->n_tokens; i++)
		n += v->pieces[i].len > 0 && types >> v->pieces[i].type & 1;
	s->ids = trit_calloc(n, sizeof *s->ids);
	if (!s->ids)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %u special tokens", (unsigned)n);
	for (int i = 0; i < v->n_tokens; i++)
		if (v->pieces[i].len > 0 && types >> v->pieces[i].type & 1)
			s->ids[s->n++] = i;
	sort(v, s->ids, n);
	for (uint32_t i = 0, c = 0; c <= 256; c++) {
		while (i < n && (unsigned char)v->pieces[s->ids[i]].text[0] < c)
			i++;
		s->first[c] = i;
	}
	return 0;
}

void trit_special_release(struct trit_special *s)
{
	if (!s)
		return;
	trit_free(s->ids);
	*s = (struct trit_special){ 0 };
}

/* In ids[low..high), whose texts agree in the first `depth` bytes, the first whose next byte is not below c. */
static uint32_t lower_bound(const struct trit_special *s, const struct trit_vocab *v, uint32_t low, uint32_t high,
                            size_t depth, unsigned c)
{
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct trit_piece *p = &v->pieces[s->ids[middle]];

		if (p->len <= depth || (unsigned char)p->text[depth] < c)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

trit_token trit_special_match(const struct trit_special *s, const struct trit_vocab *v, size_t len, const char *text)
{
	unsigned c = (unsigned char)text[0];
	uint32_t low = s->first[c], high = s->first[c + 1];
	trit_token best = -1;

	for (size_t depth = 1; low < high; depth++) {
		if (v->pieces[s->ids[low]].len == depth)
			best = s->ids[low]; /* a text that ends here sorts before those that go on */
		if (depth == len)
			break;
		c = (unsigned char)text[depth];
		low = lower_bound(s, v, low, high, depth, c);
		high = lower_bound(s, v, low, high, depth, c + 1);
	}
	return best;
}

/* Whether the characters on both sides of [at, end) leave it a word of its own. */
static bool stands_alone(size_t len, const char *text, size_t at, size_t end)
{
	size_t before = at;

	while (before > 0 && at - before < 4 && (text[before - 1] & 0xc0) == 0x80)
		before--;
	if (before > 0 && trit_is_word_character(trit_utf8_get(len - before + 1, text + before - 1)))
		return false;
	return end == len || !trit_is_word_character(trit_utf8_get(len - end, text + end));
}

/* Takes in the white space that a token wants, as far as it was not another's. */
static void take_spaces(const struct trit_piece *p, size_t len, const char *text, size_t from, size_t *at, size_t *end)
{
	if (p->flags & TRIT_PIECE_LSTRIP)
		*at = from + trit_space_at_end(*at - from, text + from);
	if (p->flags & TRIT_PIECE_RSTRIP)
		*end += trit_space_at_begin(len - *end, text + *end);
}

bool trit_special_fits(const struct trit_piece *p, size_t len, const char *text, size_t from, size_t *at, size_t *end)
{
	*end = *at + p->len;
	if (!p->flags)
		return true;
	if (p->flags & TRIT_PIECE_WORD && !stands_alone(len, text, *at, *end))
		return false;
	take_spaces(p, len, text, from, at, end);
	return true;
}

trit_token trit_special_find(const struct trit_special *s, const struct trit_vocab *v, size_t len, const char *text,
                             size_t from, size_t *at, size_t *end)
{
	for (size_t i = from; i < len && s->n > 0; i++) {
		unsigned c = (unsigned char)text[i];
		const struct trit_piece *p;
		trit_token id;

		if (s->first[c] == s->first[c + 1])
			continue;
		id = trit_special_match(s, v, len - i, text + i);
		if (id < 0)
			continue;
		p = &v->pieces[id];
		*at = i;
		if (trit_special_fits(p, len, text, from, at, end))
			return id;
		i += p->len - 1;
	}
	*at = *end = len;
	return -1;
}
