/*
 * value.c - the values of templates: heap, strings, lists, dicts, and Python's truth, equality, order and membership.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"
#include "text/value.h"

#define BLOCK_BYTES ((size_t)16 << 10)
#define PIECE 16 /* pieces are multiples of this, and so aligned */

struct trit_heap_block {
	struct trit_heap_block *next;
	size_t size, used; /* of the bytes that follow */
	_Alignas(PIECE) char bytes[];
};

/* ---- memory and bounds ------------------------------------------------------------------------------------------ */

void trit_heap_init(struct trit_heap *h, size_t max_bytes, uint64_t max_steps)
{
	*h = (struct trit_heap){ .max = max_bytes, .max_steps = max_steps };
}

void trit_heap_release(struct trit_heap *h)
{
	if (!h)
		return;
	for (struct trit_heap_block *b = h->blocks, *next; b; b = next) {
		next = b->next;
		trit_free(b);
	}
	h->blocks = NULL;
	h->used = 0;
}

int trit_heap_fail(struct trit_heap *h, enum trit_status status, const char *fmt, ...)
{
	char text[sizeof h->err.message];
	va_list args;

	if (h->status < 0)
		return h->status;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (h->line > 0)
		h->status = trit_fail(&h->err, status, "line %d, column %d: %s", h->line, h->column, text);
	else
		h->status = trit_fail(&h->err, status, "%s", text);
	return h->status;
}

bool trit_heap_work(struct trit_heap *h, size_t bytes)
{
	h->steps += 1 + bytes / 64;
	if (h->steps > h->max_steps)
		trit_heap_fail(h, TRIT_ERR_LIMIT, "more than %llu steps, which is the limit here",
		               (unsigned long long)h->max_steps);
	return h->status == 0;
}

void *trit_heap_take(struct trit_heap *h, size_t n, size_t size)
{
	struct trit_heap_block *b = h->blocks;
	size_t bytes, room;
	char *p;

	if (h->status < 0)
		return NULL;
	if (!trit_mul_size(&bytes, n, size) || bytes > h->max || h->used > h->max - bytes) {
		trit_heap_fail(h, TRIT_ERR_LIMIT, "more than %zu bytes of memory, which is the limit here", h->max);
		return NULL;
	}
	bytes = (bytes + PIECE - 1) / PIECE * PIECE;
	if (!b || bytes > b->size - b->used) {
		room = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
		b = trit_calloc(1, sizeof *b + room);
		if (!b) {
			trit_heap_fail(h, TRIT_ERR_MEMORY, "not enough memory for a template's values");
			return NULL;
		}
		b->size = room;
		/* A block for one large piece goes behind the first, whose room is still of use. */
		b->next = room > bytes || !h->blocks ? h->blocks : h->blocks->next;
		if (room > bytes || !h->blocks)
			h->blocks = b;
		else
			h->blocks->next = b;
		h->used += sizeof *b + room;
	}
	p = b->bytes + b->used;
	b->used += bytes;
	return p;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

struct trit_string trit_string_c(const char *s)
{
	return (struct trit_string){ s, NULL, strlen(s) };
}

struct trit_string trit_string_part(struct trit_string s, size_t from, size_t to)
{
	return (struct trit_string){ s.bytes + from, s.marks ? s.marks + from : NULL, to - from };
}

bool trit_string_equal(struct trit_string a, struct trit_string b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

bool trit_string_is(struct trit_string a, const char *c)
{
	return trit_string_equal(a, trit_string_c(c));
}

size_t trit_string_find(struct trit_string s, struct trit_string part, size_t from)
{
	const char *at;

	if (from > s.len || part.len > s.len - from)
		return TRIT_NOT_FOUND;
	if (part.len == 0)
		return from;
	at = memmem(s.bytes + from, s.len - from, part.bytes, part.len);
	return at ? (size_t)(at - s.bytes) : TRIT_NOT_FOUND;
}

struct trit_value trit_value_undefined(struct trit_string name)
{
	return (struct trit_value){ .kind = TRIT_VALUE_UNDEFINED, .string = name };
}

struct trit_value trit_value_string(struct trit_heap *h, size_t len, const char *bytes, bool marked)
{
	struct trit_text t = { .heap = h };
	char *marks = marked && len > 0 ? trit_heap_take(h, len, 1) : NULL;

	if (marks)
		memset(marks, 1, len);
	trit_text_add(&t, (struct trit_string){ bytes, marks, len });
	return trit_value_of(trit_text_string(&t));
}

size_t trit_char_len(size_t len, const char *s)
{
	int n = (unsigned char)s[0] < 0x80 ? 1 : trit_utf8_check(len, s);

	return n > 0 ? (size_t)n : 1;
}

unsigned trit_char_code(size_t len, const char *s)
{
	size_t n = trit_char_len(len, s);
	unsigned code = (unsigned char)s[0];

	if (n == 1)
		return code;
	code &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	return code;
}

size_t trit_char_put(unsigned code, char out[4])
{
	size_t n;

	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		code = 0xfffd;
	if (code < 0x800)
		return trit_utf8_put(code, out);
	n = code < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)((n == 3 ? 0xe0 : 0xf0) | code);
	return n;
}

bool trit_char_is_space(unsigned c)
{
	return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

size_t trit_string_chars(struct trit_string s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; n++)
		i += trit_char_len(s.len - i, s.bytes + i);
	return n;
}

/* ---- lists and dicts --------------------------------------------------------------------------------------------- */

struct trit_value trit_value_list(struct trit_heap *h, enum trit_value_kind kind)
{
	struct trit_list *list = trit_heap_take(h, 1, sizeof *list);

	return list ? (struct trit_value){ .kind = kind, .list = list } : (struct trit_value){ 0 };
}

struct trit_value trit_value_dict(struct trit_heap *h, enum trit_value_kind kind)
{
	struct trit_dict *dict = trit_heap_take(h, 1, sizeof *dict);

	return dict ? (struct trit_value){ .kind = kind, .dict = dict } : (struct trit_value){ 0 };
}

/* Room for one more of n items: the array, moved if need be; NULL after a failure. */
static void *grow(struct trit_heap *h, void *items, size_t n, size_t *cap, size_t size)
{
	size_t wanted = *cap ? 2 * *cap : 4;
	void *moved;

	if (n < *cap)
		return items;
	moved = trit_heap_take(h, wanted, size);
	if (moved && n > 0)
		memcpy(moved, items, n * size);
	if (moved)
		*cap = wanted;
	return moved;
}

void trit_value_append(struct trit_heap *h, struct trit_value list, struct trit_value v)
{
	struct trit_value *items;

	if (h->status < 0)
		return;
	items = grow(h, list.list->items, list.list->n, &list.list->cap, sizeof *items);
	if (!items)
		return;
	list.list->items = items;
	items[list.list->n++] = v;
}

struct trit_pair *trit_value_find(struct trit_heap *h, struct trit_value dict, struct trit_value key)
{
	if (dict.kind != TRIT_VALUE_DICT && dict.kind != TRIT_VALUE_NAMESPACE)
		return NULL;
	for (size_t i = 0; i < dict.dict->n; i++) {
		struct trit_pair *p = &dict.dict->items[i];

		if (key.kind == TRIT_VALUE_STRING && p->key.kind == TRIT_VALUE_STRING) {
			if (trit_string_equal(key.string, p->key.string))
				return p;
			h->steps += (i & 7) == 0; /* a long dict costs steps; trit_heap_work will say when it is too much */
		} else if (trit_value_equal(h, p->key, key)) {
			return p;
		}
	}
	return NULL;
}

void trit_value_put(struct trit_heap *h, struct trit_value dict, struct trit_value key, struct trit_value v)
{
	struct trit_pair *pair, *items;

	if (h->status < 0)
		return;
	if (key.kind >= TRIT_VALUE_LIST) {
		trit_heap_fail(h, TRIT_ERR_FORMAT, "a %s cannot be the key of a dict", trit_value_type(key));
		return;
	}
	pair = trit_value_find(h, dict, key);
	if (pair) {
		pair->value = v;
		return;
	}
	if (!trit_heap_work(h, 0))
		return;
	items = grow(h, dict.dict->items, dict.dict->n, &dict.dict->cap, sizeof *items);
	if (!items)
		return;
	dict.dict->items = items;
	items[dict.dict->n++] = (struct trit_pair){ key, v };
}

void trit_value_set(struct trit_heap *h, struct trit_value dict, const char *key, struct trit_value v)
{
	trit_value_put(h, dict, trit_value_of(trit_string_c(key)), v);
}

/* ---- truth, equality, order, membership -------------------------------------------------------------------------- */

bool trit_value_true(struct trit_value v)
{
	switch (v.kind) {
	case TRIT_VALUE_UNDEFINED:
	case TRIT_VALUE_NONE:
		return false;
	case TRIT_VALUE_BOOL:
		return v.boolean;
	case TRIT_VALUE_INT:
		return v.integer != 0;
	case TRIT_VALUE_FLOAT:
		return v.number != 0;
	case TRIT_VALUE_STRING:
		return v.string.len > 0;
	case TRIT_VALUE_LIST:
	case TRIT_VALUE_TUPLE:
		return v.list->n > 0;
	case TRIT_VALUE_DICT:
		return v.dict->n > 0;
	default:
		return true;
	}
}

bool trit_value_is_number(struct trit_value v)
{
	return v.kind == TRIT_VALUE_BOOL || v.kind == TRIT_VALUE_INT || v.kind == TRIT_VALUE_FLOAT;
}

double trit_value_number(struct trit_value v)
{
	return v.kind == TRIT_VALUE_BOOL ? v.boolean : v.kind == TRIT_VALUE_INT ? (double)v.integer : v.number;
}

const char *trit_value_type(struct trit_value v)
{
	static const char *const names[] = {
		"undefined value", "None", "bool", "int", "float", "str", "list", "tuple", "dict", "namespace", "loop",
		"macro", "function",
	};

	return names[v.kind];
}

size_t trit_value_length(struct trit_heap *h, struct trit_value v)
{
	switch (v.kind) {
	case TRIT_VALUE_UNDEFINED:
		return 0;
	case TRIT_VALUE_STRING:
		trit_heap_work(h, v.string.len);
		return trit_string_chars(v.string);
	case TRIT_VALUE_LIST:
	case TRIT_VALUE_TUPLE:
		return v.list->n;
	case TRIT_VALUE_DICT:
		return v.dict->n;
	default:
		trit_heap_fail(h, TRIT_ERR_FORMAT, "a value of type %s has no length", trit_value_type(v));
		return 0;
	}
}

/* Order of two numbers; integers are compared as such where both are. */
static int order_numbers(struct trit_value a, struct trit_value b)
{
	double x, y;

	if (a.kind == TRIT_VALUE_INT && b.kind == TRIT_VALUE_INT)
		return (a.integer > b.integer) - (a.integer < b.integer);
	x = trit_value_number(a);
	y = trit_value_number(b);
	return (x > y) - (x < y);
}

static bool equal(struct trit_heap *h, struct trit_value a, struct trit_value b, int depth);

static bool equal_lists(struct trit_heap *h, const struct trit_list *a, const struct trit_list *b, int depth)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!equal(h, a->items[i], b->items[i], depth + 1))
			return false;
	return true;
}

static bool equal_dicts(struct trit_heap *h, struct trit_value a, struct trit_value b, int depth)
{
	if (a.dict->n != b.dict->n)
		return false;
	for (size_t i = 0; i < a.dict->n; i++) {
		const struct trit_pair *p = &a.dict->items[i], *q = trit_value_find(h, b, p->key);

		if (!q || !equal(h, p->value, q->value, depth + 1))
			return false;
	}
	return true;
}

static bool equal(struct trit_heap *h, struct trit_value a, struct trit_value b, int depth)
{
	if (depth > TRIT_MAX_VALUE_DEPTH)
		trit_heap_fail(h, TRIT_ERR_LIMIT, "values nested deeper than %d", TRIT_MAX_VALUE_DEPTH);
	if (!trit_heap_work(h, 0))
		return false;
	if (trit_value_is_number(a) && trit_value_is_number(b))
		return trit_value_number(a) == trit_value_number(b) && order_numbers(a, b) == 0;
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case TRIT_VALUE_UNDEFINED:
	case TRIT_VALUE_NONE:
		return true;
	case TRIT_VALUE_STRING:
		return trit_string_equal(a.string, b.string) && trit_heap_work(h, a.string.len);
	case TRIT_VALUE_LIST:
	case TRIT_VALUE_TUPLE:
		return equal_lists(h, a.list, b.list, depth);
	case TRIT_VALUE_DICT:
		return equal_dicts(h, a, b, depth);
	default:
		return a.object == b.object;
	}
}

bool trit_value_equal(struct trit_heap *h, struct trit_value a, struct trit_value b)
{
	return equal(h, a, b, 0);
}

static int order_strings(struct trit_string a, struct trit_string b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0; /* of UTF-8 the order of bytes is that of characters */

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

int trit_value_order(struct trit_heap *h, struct trit_value a, struct trit_value b)
{
	if (!trit_heap_work(h, 0))
		return 0;
	if (trit_value_is_number(a) && trit_value_is_number(b))
		return order_numbers(a, b);
	if (a.kind == TRIT_VALUE_STRING && b.kind == TRIT_VALUE_STRING)
		return order_strings(a.string, b.string);
	if (a.kind == b.kind && (a.kind == TRIT_VALUE_LIST || a.kind == TRIT_VALUE_TUPLE)) {
		for (size_t i = 0; i < a.list->n && i < b.list->n && h->status == 0; i++)
			if (!trit_value_equal(h, a.list->items[i], b.list->items[i])) {
				struct trit_value x = a.list->items[i], y = b.list->items[i];

				if (x.kind != TRIT_VALUE_LIST && x.kind != TRIT_VALUE_TUPLE)
					return trit_value_order(h, x, y);
				trit_heap_fail(h, TRIT_ERR_UNSUPPORTED, "lists within lists are not ordered here");
			}
		return (a.list->n > b.list->n) - (a.list->n < b.list->n);
	}
	if (a.kind == TRIT_VALUE_UNDEFINED || b.kind == TRIT_VALUE_UNDEFINED)
		trit_heap_fail(h, TRIT_ERR_FORMAT, "%.*s is undefined",
		               (int)(a.kind == TRIT_VALUE_UNDEFINED ? a : b).string.len,
		               (a.kind == TRIT_VALUE_UNDEFINED ? a : b).string.bytes);
	else
		trit_heap_fail(h, TRIT_ERR_FORMAT, "no order between %s and %s", trit_value_type(a), trit_value_type(b));
	return 0;
}

bool trit_value_has(struct trit_heap *h, struct trit_value v, struct trit_value item)
{
	switch (v.kind) {
	case TRIT_VALUE_UNDEFINED:
		return false;
	case TRIT_VALUE_STRING:
		if (item.kind == TRIT_VALUE_STRING)
			return trit_heap_work(h, v.string.len) &&
			       trit_string_find(v.string, item.string, 0) != TRIT_NOT_FOUND;
		break;
	case TRIT_VALUE_LIST:
	case TRIT_VALUE_TUPLE:
		for (size_t i = 0; i < v.list->n && h->status == 0; i++)
			if (trit_value_equal(h, v.list->items[i], item))
				return true;
		return false;
	case TRIT_VALUE_DICT:
		return trit_value_find(h, v, item) != NULL;
	default:
		break;
	}
	trit_heap_fail(h, TRIT_ERR_FORMAT, "a %s cannot be looked for in a %s", trit_value_type(item),
	               trit_value_type(v));
	return false;
}

struct trit_value trit_value_members(struct trit_heap *h, struct trit_value v)
{
	struct trit_value list;

	if (v.kind == TRIT_VALUE_LIST || v.kind == TRIT_VALUE_TUPLE)
		return v;
	list = trit_value_list(h, TRIT_VALUE_LIST);
	if (v.kind == TRIT_VALUE_STRING) {
		for (size_t i = 0, n; i < v.string.len && trit_heap_work(h, 0); i += n) {
			n = trit_char_len(v.string.len - i, v.string.bytes + i);
			trit_value_append(h, list, trit_value_of(trit_string_part(v.string, i, i + n)));
		}
	} else if (v.kind == TRIT_VALUE_DICT) {
		for (size_t i = 0; i < v.dict->n && trit_heap_work(h, 0); i++)
			trit_value_append(h, list, v.dict->items[i].key);
	} else if (v.kind != TRIT_VALUE_UNDEFINED) {
		trit_heap_fail(h, TRIT_ERR_FORMAT, "a value of type %s cannot be gone through", trit_value_type(v));
	}
	return list;
}
