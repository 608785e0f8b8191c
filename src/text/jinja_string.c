/*
 * jinja_string.c - strings: Python's methods of str, and what filters share with them.
 *
 * Upper and lower case are known for ASCII, Latin-1, Greek and Cyrillic letters; others stay as they are.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "text/jinja_parts.h"

/* All methods have this form; `self` is the string. */
#define METHOD(name)                                                                                                   \
	static struct trit_value name(struct trit_jinja_run *r, struct trit_value self, const struct trit_jinja_args *args)

/* ---- characters at the ends -------------------------------------------------------------------------------------- */

/* Whether the character of n bytes at c is to be stripped. */
static bool in_set(const char *c, size_t n, struct trit_string chars)
{
	if (!chars.bytes)
		return trit_char_is_space(trit_char_code(n, c));
	for (size_t i = 0, k; i < chars.len; i += k) {
		k = trit_char_len(chars.len - i, chars.bytes + i);
		if (k == n && memcmp(chars.bytes + i, c, n) == 0)
			return true;
	}
	return false;
}

/* Bytes of the last character of s; len >= 1. */
static size_t last_char_len(struct trit_string s)
{
	for (size_t n = 1; n <= 4 && n <= s.len; n++)
		if (trit_char_len(n, s.bytes + s.len - n) == n && (n > 1 || !(s.bytes[s.len - 1] & 0x80)))
			return n;
	return 1;
}

struct trit_string trit_string_strip(struct trit_string s, struct trit_string chars, bool left, bool right)
{
	size_t n;

	while (left && s.len > 0) {
		n = trit_char_len(s.len, s.bytes);
		if (!in_set(s.bytes, n, chars))
			break;
		s = trit_string_part(s, n, s.len);
	}
	while (right && s.len > 0) {
		n = last_char_len(s);
		if (!in_set(s.bytes + s.len - n, n, chars))
			break;
		s.len -= n;
	}
	return s;
}

static struct trit_value strip_ends(struct trit_jinja_run *r, struct trit_value self,
                                    const struct trit_jinja_args *args, bool left, bool right)
{
	struct trit_string chars = trit_jinja_string_arg(r, args, 0, NULL, NULL);

	trit_heap_work(r->heap, self.string.len * (1 + chars.len / 8)); /* at worst */
	return r->heap->status == 0 ? trit_value_of(trit_string_strip(self.string, chars, left, right)) : self;
}

METHOD(strip)
{
	return strip_ends(r, self, args, true, true);
}

METHOD(lstrip)
{
	return strip_ends(r, self, args, true, false);
}

METHOD(rstrip)
{
	return strip_ends(r, self, args, false, true);
}

static bool begins(struct trit_string s, struct trit_string part)
{
	return part.len <= s.len && trit_string_equal(trit_string_part(s, 0, part.len), part);
}

static bool ends(struct trit_string s, struct trit_string part)
{
	return part.len <= s.len && trit_string_equal(trit_string_part(s, s.len - part.len, s.len), part);
}

/* Whether `test` holds for the string given, or for one of those in a tuple. */
static struct trit_value test_ends(struct trit_jinja_run *r, struct trit_value self, const struct trit_jinja_args *args,
                                   bool test(struct trit_string, struct trit_string))
{
	struct trit_value what = trit_jinja_arg(args, 0, NULL, trit_value_none());

	if (what.kind == TRIT_VALUE_TUPLE) {
		for (size_t i = 0; i < what.list->n && trit_heap_work(r->heap, 0); i++)
			if (what.list->items[i].kind == TRIT_VALUE_STRING && test(self.string, what.list->items[i].string))
				return trit_value_bool(true);
		return trit_value_bool(false);
	}
	if (what.kind != TRIT_VALUE_STRING)
		return trit_jinja_refuse(r, what, "startswith or endswith");
	return trit_value_bool(test(self.string, what.string));
}

METHOD(startswith)
{
	return test_ends(r, self, args, begins);
}

METHOD(endswith)
{
	return test_ends(r, self, args, ends);
}

METHOD(removeprefix)
{
	struct trit_string s = self.string, part = trit_jinja_string_arg(r, args, 0, NULL, "");

	return trit_value_of(begins(s, part) ? trit_string_part(s, part.len, s.len) : s);
}

METHOD(removesuffix)
{
	struct trit_string s = self.string, part = trit_jinja_string_arg(r, args, 0, NULL, "");

	return trit_value_of(ends(s, part) ? trit_string_part(s, 0, s.len - part.len) : s);
}

/* ---- letters ----------------------------------------------------------------------------------------------------- */

/* The other case of letters whose cases lie a fixed distance apart. */
static const struct {
	unsigned first, last; /* upper case */
	unsigned distance;
} cases[] = {
	{ 'A', 'Z', 32 },        { 0xc0, 0xd6, 32 },    { 0xd8, 0xde, 32 },
	{ 0x391, 0x3a1, 32 },    { 0x3a3, 0x3ab, 32 },  { 0x410, 0x42f, 32 },
	{ 0x400, 0x40f, 80 },
};

static unsigned to_case(unsigned c, bool upper)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (upper && c >= cases[i].first + cases[i].distance && c <= cases[i].last + cases[i].distance)
			return c - cases[i].distance;
		if (!upper && c >= cases[i].first && c <= cases[i].last)
			return c + cases[i].distance;
	}
	return c;
}

static bool is_cased(unsigned c)
{
	return to_case(c, true) != c || to_case(c, false) != c;
}

/* Appends character c, which stands for the one at byte `at` of s. */
static void add_char(struct trit_text *t, unsigned c, struct trit_string s, size_t at)
{
	char bytes[4], marks[4];
	size_t n = trit_char_put(c, bytes);

	memset(marks, s.marks ? s.marks[at] : 0, sizeof marks);
	trit_text_add(t, (struct trit_string){ bytes, s.marks ? marks : NULL, n });
}

struct trit_string trit_string_case(struct trit_heap *h, struct trit_string s, enum trit_case how)
{
	struct trit_text t = { .heap = h };
	bool begin = true;

	for (size_t i = 0, n; i < s.len && trit_heap_work(h, 0); i += n) {
		unsigned c = trit_char_code(s.len - i, s.bytes + i);
		bool upper = how == TRIT_UPPER || (how != TRIT_LOWER && begin);

		n = trit_char_len(s.len - i, s.bytes + i);
		if (!is_cased(c)) /* of a byte that is no UTF-8 too */
			trit_text_add(&t, trit_string_part(s, i, i + n));
		else
			add_char(&t, to_case(c, upper), s, i);
		begin = how == TRIT_TITLE && !is_cased(c);
	}
	return trit_text_string(&t);
}

METHOD(upper)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, self.string, TRIT_UPPER));
}

METHOD(lower)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, self.string, TRIT_LOWER));
}

METHOD(title)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, self.string, TRIT_TITLE));
}

METHOD(capitalize)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, self.string, TRIT_CAPITALIZE));
}

/* Whether there are characters and all are of a kind of ASCII's (`other`: what those beyond ASCII count as). */
static struct trit_value all_chars(struct trit_jinja_run *r, struct trit_string s, int kind(int), bool other)
{
	bool all = s.len > 0 && trit_heap_work(r->heap, s.len);

	for (size_t i = 0; i < s.len && all; i++)
		all = s.bytes[i] & 0x80 ? other : kind((unsigned char)s.bytes[i]) != 0;
	return trit_value_bool(all);
}

METHOD(isdigit_)
{
	(void)args;
	return all_chars(r, self.string, isdigit, false);
}

METHOD(isalpha_)
{
	(void)args;
	return all_chars(r, self.string, isalpha, true);
}

METHOD(isalnum_)
{
	(void)args;
	return all_chars(r, self.string, isalnum, true);
}

METHOD(isspace_)
{
	(void)args;
	(void)r;
	return trit_value_bool(self.string.len > 0 &&
	                       trit_string_strip(self.string, (struct trit_string){ 0 }, true, false).len == 0);
}

/* Whether there are letters with cases, and all are of one case. */
static struct trit_value all_case(struct trit_jinja_run *r, struct trit_string s, enum trit_case how)
{
	bool any = !trit_string_equal(trit_string_case(r->heap, s, how == TRIT_UPPER ? TRIT_LOWER : TRIT_UPPER), s);

	return trit_value_bool(any && trit_string_equal(trit_string_case(r->heap, s, how), s));
}

METHOD(isupper_)
{
	(void)args;
	return all_case(r, self.string, TRIT_UPPER);
}

METHOD(islower_)
{
	(void)args;
	return all_case(r, self.string, TRIT_LOWER);
}

/* ---- finding and replacing --------------------------------------------------------------------------------------- */

struct trit_string trit_string_replace(struct trit_heap *h, struct trit_string s, struct trit_string old,
                                       struct trit_string new_, int64_t count)
{
	struct trit_text t = { .heap = h };
	size_t from = 0;

	trit_heap_work(h, s.len);
	for (size_t at = 0; count != 0 && trit_heap_work(h, 0); count--) {
		at = trit_string_find(s, old, at);
		if (at == TRIT_NOT_FOUND)
			break;
		trit_text_add(&t, trit_string_part(s, from, at));
		trit_text_add(&t, new_);
		from = at + old.len;
		at = from;
		if (old.len == 0 && at == s.len)
			break;
		at += old.len == 0 ? trit_char_len(s.len - at, s.bytes + at) : 0;
	}
	trit_text_add(&t, trit_string_part(s, from, s.len));
	return trit_text_string(&t);
}

METHOD(replace)
{
	struct trit_string old = trit_jinja_string_arg(r, args, 0, "old", ""),
	                   new_ = trit_jinja_string_arg(r, args, 1, "new", "");

	if (args->n < 2)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "replace needs two arguments");
	return trit_value_of(trit_string_replace(r->heap, self.string, old, new_,
	                                         trit_jinja_int_arg(r, args, 2, "count", -1)));
}

/* The last place of part in s. */
static size_t find_last(struct trit_string s, struct trit_string part)
{
	if (part.len > s.len)
		return TRIT_NOT_FOUND;
	for (size_t at = s.len - part.len + 1; at-- > 0;)
		if (part.len == 0 || memcmp(s.bytes + at, part.bytes, part.len) == 0)
			return at;
	return TRIT_NOT_FOUND;
}

static struct trit_value find(struct trit_jinja_run *r, struct trit_value self, const struct trit_jinja_args *args,
                              bool last)
{
	struct trit_string s = self.string, part = trit_jinja_string_arg(r, args, 0, NULL, "");
	struct trit_value bounds[3] = { trit_jinja_arg(args, 1, NULL, trit_value_none()),
		                        trit_jinja_arg(args, 2, NULL, trit_value_none()), trit_value_none() };
	size_t before = 0, at;

	if (!trit_heap_work(r->heap, last ? s.len * (1 + part.len / 16) : s.len))
		return self;
	if (args->n > 1) {
		struct trit_value within = trit_jinja_slice(r, self, bounds);

		if (r->heap->status < 0)
			return within;
		before = within.string.len ? (size_t)(within.string.bytes - s.bytes) : 0;
		at = last ? find_last(within.string, part) : trit_string_find(within.string, part, 0);
	} else {
		at = last ? find_last(s, part) : trit_string_find(s, part, 0);
	}
	return trit_value_int(at == TRIT_NOT_FOUND ? -1 : (int64_t)trit_string_chars(trit_string_part(s, 0, before + at)));
}

METHOD(find_first)
{
	return find(r, self, args, false);
}

METHOD(rfind)
{
	return find(r, self, args, true);
}

METHOD(index_of)
{
	struct trit_value at = find(r, self, args, false);

	return r->heap->status == 0 && at.integer < 0 ? trit_jinja_fail(r, TRIT_ERR_FORMAT, "index: not found") : at;
}

METHOD(count)
{
	struct trit_string part = trit_jinja_string_arg(r, args, 0, NULL, "");
	int64_t n = 0;

	if (part.len == 0)
		return trit_value_int((int64_t)trit_string_chars(self.string) + 1);
	trit_heap_work(r->heap, self.string.len);
	for (size_t at = 0; trit_heap_work(r->heap, 0); at += part.len, n++) {
		at = trit_string_find(self.string, part, at);
		if (at == TRIT_NOT_FOUND)
			break;
	}
	return trit_value_int(n);
}

/* ---- splitting and joining --------------------------------------------------------------------------------------- */

/* At white space: runs of it, none at the ends. */
static struct trit_value split_words(struct trit_jinja_run *r, struct trit_string s, int64_t max)
{
	struct trit_value list = trit_value_list(r->heap, TRIT_VALUE_LIST);

	while (trit_heap_work(r->heap, 0)) {
		size_t end = 0;

		s = trit_string_strip(s, (struct trit_string){ 0 }, true, false);
		if (s.len == 0)
			break;
		while (end < s.len && !trit_char_is_space(trit_char_code(s.len - end, s.bytes + end)))
			end += trit_char_len(s.len - end, s.bytes + end);
		if (max-- == 0)
			end = s.len;
		trit_value_append(r->heap, list, trit_value_of(trit_string_part(s, 0, end)));
		s = trit_string_part(s, end, s.len);
	}
	return list;
}

METHOD(split)
{
	struct trit_string s = self.string, by = trit_jinja_string_arg(r, args, 0, "sep", NULL);
	int64_t max = trit_jinja_int_arg(r, args, 1, "maxsplit", -1);
	struct trit_value list;

	if (!by.bytes)
		return split_words(r, s, max);
	if (by.len == 0)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "split at an empty string");
	trit_heap_work(r->heap, s.len);
	list = trit_value_list(r->heap, TRIT_VALUE_LIST);
	for (; max != 0 && trit_heap_work(r->heap, 0); max--) {
		size_t at = trit_string_find(s, by, 0);

		if (at == TRIT_NOT_FOUND)
			break;
		trit_value_append(r->heap, list, trit_value_of(trit_string_part(s, 0, at)));
		s = trit_string_part(s, at + by.len, s.len);
	}
	trit_value_append(r->heap, list, trit_value_of(s));
	return list;
}

METHOD(rsplit)
{
	struct trit_string s = self.string, by = trit_jinja_string_arg(r, args, 0, "sep", NULL);
	int64_t max = trit_jinja_int_arg(r, args, 1, "maxsplit", -1);
	struct trit_value list = trit_value_list(r->heap, TRIT_VALUE_LIST);

	if (max < 0)
		return split(r, self, args);
	if (by.len == 0)
		return trit_jinja_fail(r, TRIT_ERR_UNSUPPORTED, "rsplit at white space is not supported");
	for (; max != 0 && trit_heap_work(r->heap, s.len * (1 + by.len / 16)); max--) {
		size_t at = find_last(s, by);

		if (at == TRIT_NOT_FOUND)
			break;
		trit_value_append(r->heap, list, trit_value_of(trit_string_part(s, at + by.len, s.len)));
		s.len = at;
	}
	trit_value_append(r->heap, list, trit_value_of(s));
	for (size_t i = 0; r->heap->status == 0 && i < list.list->n / 2; i++) {
		struct trit_value *a = &list.list->items[i], *b = &list.list->items[list.list->n - 1 - i], swap = *a;

		*a = *b;
		*b = swap;
	}
	return list;
}

METHOD(splitlines)
{
	struct trit_value list = trit_value_list(r->heap, TRIT_VALUE_LIST);
	bool keep = trit_value_true(trit_jinja_arg(args, 0, "keepends", trit_value_bool(false)));
	struct trit_string s = self.string;
	size_t from = 0;

	for (size_t i = 0; i < s.len && trit_heap_work(r->heap, 0); i++) {
		size_t end = i;

		if (s.bytes[i] != '\n' && s.bytes[i] != '\r')
			continue;
		if (s.bytes[i] == '\r' && i + 1 < s.len && s.bytes[i + 1] == '\n')
			i++;
		trit_value_append(r->heap, list, trit_value_of(trit_string_part(s, from, keep ? i + 1 : end)));
		from = i + 1;
	}
	if (from < s.len)
		trit_value_append(r->heap, list, trit_value_of(trit_string_part(s, from, s.len)));
	return list;
}

/* (before, separator, after), or the whole and two empty strings on the far side. */
static struct trit_value partition_at(struct trit_jinja_run *r, struct trit_string s, struct trit_string by, size_t at,
                                      bool last)
{
	struct trit_value tuple = trit_value_list(r->heap, TRIT_VALUE_TUPLE);
	struct trit_string part[3] = { s, trit_string_c(""), trit_string_c("") };

	if (at != TRIT_NOT_FOUND) {
		part[0] = trit_string_part(s, 0, at);
		part[1] = by;
		part[2] = trit_string_part(s, at + by.len, s.len);
	} else if (last) {
		part[0] = part[2];
		part[2] = s;
	}
	for (int i = 0; i < 3; i++)
		trit_value_append(r->heap, tuple, trit_value_of(part[i]));
	return tuple;
}

METHOD(partition)
{
	struct trit_string by = trit_jinja_string_arg(r, args, 0, NULL, "");

	return partition_at(r, self.string, by, trit_string_find(self.string, by, 0), false);
}

METHOD(rpartition)
{
	struct trit_string by = trit_jinja_string_arg(r, args, 0, NULL, "");

	trit_heap_work(r->heap, self.string.len * (1 + by.len / 16));
	return partition_at(r, self.string, by, find_last(self.string, by), true);
}

METHOD(join)
{
	struct trit_text t = { .heap = r->heap };
	struct trit_value list = trit_value_members(r->heap, trit_jinja_arg(args, 0, NULL, trit_value_none()));

	for (size_t i = 0; r->heap->status == 0 && i < list.list->n; i++) {
		if (list.list->items[i].kind != TRIT_VALUE_STRING)
			return trit_jinja_refuse(r, list.list->items[i], "join");
		if (i > 0)
			trit_text_add(&t, self.string);
		trit_text_add(&t, list.list->items[i].string);
	}
	return trit_value_of(trit_text_string(&t));
}

/* str.format, as far as {}, {0} and {name} go. */
METHOD(format)
{
	struct trit_text t = { .heap = r->heap };
	struct trit_string s = self.string;
	size_t next = 0;

	for (size_t i = 0; i < s.len && trit_heap_work(r->heap, 0); i++) {
		size_t end = i + 1;
		char name[64];
		struct trit_value v;

		if (s.bytes[i] != '{' && s.bytes[i] != '}') {
			trit_text_add(&t, trit_string_part(s, i, i + 1));
			continue;
		}
		if (end < s.len && s.bytes[end] == s.bytes[i]) { /* {{ or }} */
			trit_text_add(&t, trit_string_part(s, i, end));
			i = end;
			continue;
		}
		while (end < s.len && (isalnum((unsigned char)s.bytes[end]) || s.bytes[end] == '_'))
			end++;
		if (s.bytes[i] == '}' || end >= s.len || s.bytes[end] != '}' || end - i > sizeof name)
			return trit_jinja_fail(r, TRIT_ERR_UNSUPPORTED, "format: only {}, {0} and {name} are supported");
		memcpy(name, s.bytes + i + 1, end - i - 1);
		name[end - i - 1] = 0;
		if (isdigit((unsigned char)name[0]) || !name[0])
			v = trit_jinja_arg(args, name[0] ? (size_t)strtoul(name, NULL, 10) : next++, NULL,
			                   (struct trit_value){ 0 });
		else
			v = trit_jinja_arg(args, SIZE_MAX, name, (struct trit_value){ 0 });
		trit_text_add_str(&t, v);
		i = end;
	}
	return trit_value_of(trit_text_string(&t));
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

struct trit_value trit_string_number(struct trit_heap *h, struct trit_string s, bool is_float)
{
	char text[400], *end;
	struct trit_value v;

	s = trit_string_strip(s, (struct trit_string){ 0 }, true, true);
	/* "nan", "infinity" and hexadecimals of C are none of Python's business here. */
	if (s.len == 0 || s.len >= sizeof text || !trit_heap_work(h, s.len))
		return (struct trit_value){ 0 };
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.bytes[i]) && !(s.bytes[i] && strchr(is_float ? "+-.eE" : "+-", s.bytes[i])))
			return (struct trit_value){ 0 };
	memcpy(text, s.bytes, s.len);
	text[s.len] = 0;
	errno = 0;
	v = is_float ? trit_value_float(strtod(text, &end)) : trit_value_int(strtoll(text, &end, 10));
	if (errno == ERANGE && !is_float)
		trit_heap_fail(h, TRIT_ERR_LIMIT, "a number beyond 64 bits");
	return *end ? (struct trit_value){ 0 } : v;
}

const struct trit_jinja_function trit_string_methods[] = {
	{ .name = "strip", .run = strip },
	{ .name = "lstrip", .run = lstrip },
	{ .name = "rstrip", .run = rstrip },
	{ .name = "startswith", .run = startswith },
	{ .name = "endswith", .run = endswith },
	{ .name = "removeprefix", .run = removeprefix },
	{ .name = "removesuffix", .run = removesuffix },
	{ .name = "upper", .run = upper },
	{ .name = "lower", .run = lower },
	{ .name = "title", .run = title },
	{ .name = "capitalize", .run = capitalize },
	{ .name = "isdigit", .run = isdigit_ },
	{ .name = "isalpha", .run = isalpha_ },
	{ .name = "isalnum", .run = isalnum_ },
	{ .name = "isspace", .run = isspace_ },
	{ .name = "isupper", .run = isupper_ },
	{ .name = "islower", .run = islower_ },
	{ .name = "replace", .run = replace },
	{ .name = "find", .run = find_first },
	{ .name = "rfind", .run = rfind },
	{ .name = "index", .run = index_of },
	{ .name = "count", .run = count },
	{ .name = "split", .run = split },
	{ .name = "rsplit", .run = rsplit },
	{ .name = "splitlines", .run = splitlines },
	{ .name = "partition", .run = partition },
	{ .name = "rpartition", .run = rpartition },
	{ .name = "join", .run = join },
	{ .name = "format", .run = format },
	{ 0 },
};
