/*
 * value_text.c - values as text: Python's str and repr, and JSON as json.dumps writes it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <math.h>

#include "text/value.h"

/* ---- the growing text -------------------------------------------------------------------------------------------- */

static bool reserve(struct trit_text *t, size_t more)
{
	size_t wanted = t->cap ? t->cap : 32;
	char *bytes, *marks = NULL;

	if (more <= t->cap - t->len)
		return t->heap->status == 0;
	while (wanted - t->len < more && wanted <= SIZE_MAX / 2)
		wanted *= 2;
	bytes = trit_heap_take(t->heap, wanted, 1);
	if (t->marks)
		marks = trit_heap_take(t->heap, wanted, 1);
	if (t->heap->status < 0)
		return false;
	if (t->len > 0)
		memcpy(bytes, t->bytes, t->len);
	if (t->len > 0 && marks)
		memcpy(marks, t->marks, t->len);
	t->bytes = bytes;
	t->marks = marks;
	t->cap = wanted;
	return true;
}

void trit_text_add(struct trit_text *t, struct trit_string s)
{
	if (s.len == 0 || !trit_heap_work(t->heap, s.len) || !reserve(t, s.len))
		return;
	if (s.marks && !t->marks) {
		t->marks = trit_heap_take(t->heap, t->cap, 1); /* zeroed: what is there is not marked */
		if (!t->marks)
			return;
	}
	memcpy(t->bytes + t->len, s.bytes, s.len);
	if (s.marks)
		memcpy(t->marks + t->len, s.marks, s.len);
	t->len += s.len;
}

void trit_text_add_c(struct trit_text *t, const char *s)
{
	trit_text_add(t, trit_string_c(s));
}

struct trit_string trit_text_string(const struct trit_text *t)
{
	return (struct trit_string){ t->len ? t->bytes : "", t->marks, t->len };
}

void trit_text_add_escape(struct trit_text *t, const char *escape, struct trit_string s, size_t at)
{
	char marks[16] = { 0 };
	size_t len = strlen(escape);

	if (s.marks)
		memset(marks, s.marks[at], len);
	trit_text_add(t, (struct trit_string){ escape, s.marks ? marks : NULL, len });
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

void trit_float_repr(double f, char *out)
{
	char digits[40], *e;
	int exponent, precision = 0; /* digits after the first */

	if (!isfinite(f)) {
		snprintf(out, 40, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
		return;
	}
	for (; precision <= 16; precision++) {
		snprintf(digits, sizeof digits, "%.*e", precision, f);
		if (strtod(digits, NULL) == f)
			break;
	}
	e = strchr(digits, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	if (exponent < -4 || exponent >= 16) {
		snprintf(out, 40, "%.*se%c%02d", (int)(e - digits), digits, exponent < 0 ? '-' : '+', abs(exponent));
	} else {
		snprintf(out, 40, "%.*f", precision - exponent > 1 ? precision - exponent : 1, f);
	}
}

static void add_number(struct trit_text *t, struct trit_value v)
{
	char text[40];

	if (v.kind == TRIT_VALUE_INT)
		snprintf(text, sizeof text, "%" PRId64, v.integer);
	else
		trit_float_repr(v.number, text);
	trit_text_add_c(t, text);
}

/* ---- Python's repr ----------------------------------------------------------------------------------------------- */

/* Whether repr shows a character as it is. Of what Unicode calls not printable, all that texts are likely to hold. */
static bool is_printable(unsigned c)
{
	return !(c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || (c != ' ' && trit_char_is_space(c)) ||
	         (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	         (c >= 0xe000 && c <= 0xf8ff) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || c >= 0xe0000);
}

static void add_repr_string(struct trit_text *t, struct trit_string s)
{
	bool single = s.len && memchr(s.bytes, '\'', s.len), twice = s.len && memchr(s.bytes, '"', s.len);
	const char *quote = single && !twice ? "\"" : "'";

	trit_text_add_c(t, quote);
	for (size_t i = 0, n; i < s.len && trit_heap_work(t->heap, 0); i += n) {
		unsigned c = trit_char_code(s.len - i, s.bytes + i);
		char escape[16];

		n = trit_char_len(s.len - i, s.bytes + i);
		if (c == '\n' || c == '\r' || c == '\t')
			snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (c == '\\' || c == (unsigned char)*quote)
			snprintf(escape, sizeof escape, "\\%c", (int)c);
		else if (!is_printable(c))
			snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
		else
			escape[0] = 0;
		if (escape[0])
			trit_text_add_escape(t, escape, s, i);
		else
			trit_text_add(t, trit_string_part(s, i, i + n));
	}
	trit_text_add_c(t, quote);
}

static void add_repr_list(struct trit_text *t, struct trit_value v, int depth)
{
	trit_text_add_c(t, v.kind == TRIT_VALUE_TUPLE ? "(" : "[");
	for (size_t i = 0; i < v.list->n && t->heap->status == 0; i++) {
		if (i > 0)
			trit_text_add_c(t, ", ");
		trit_text_add_repr(t, v.list->items[i], depth + 1);
	}
	trit_text_add_c(t, v.kind == TRIT_VALUE_LIST ? "]" : v.list->n == 1 ? ",)" : ")");
}

static void add_repr_dict(struct trit_text *t, const struct trit_dict *d, int depth)
{
	trit_text_add_c(t, "{");
	for (size_t i = 0; i < d->n && t->heap->status == 0; i++) {
		if (i > 0)
			trit_text_add_c(t, ", ");
		trit_text_add_repr(t, d->items[i].key, depth + 1);
		trit_text_add_c(t, ": ");
		trit_text_add_repr(t, d->items[i].value, depth + 1);
	}
	trit_text_add_c(t, "}");
}

static bool too_deep(struct trit_heap *h, int depth)
{
	if (depth > TRIT_MAX_VALUE_DEPTH)
		trit_heap_fail(h, TRIT_ERR_LIMIT, "values nested deeper than %d", TRIT_MAX_VALUE_DEPTH);
	return h->status < 0;
}

void trit_text_add_repr(struct trit_text *t, struct trit_value v, int depth)
{
	if (too_deep(t->heap, depth))
		return;
	switch (v.kind) {
	case TRIT_VALUE_UNDEFINED:
		trit_text_add_c(t, "Undefined");
		break;
	case TRIT_VALUE_NONE:
		trit_text_add_c(t, "None");
		break;
	case TRIT_VALUE_BOOL:
		trit_text_add_c(t, v.boolean ? "True" : "False");
		break;
	case TRIT_VALUE_INT:
	case TRIT_VALUE_FLOAT:
		add_number(t, v);
		break;
	case TRIT_VALUE_STRING:
		add_repr_string(t, v.string);
		break;
	case TRIT_VALUE_LIST:
	case TRIT_VALUE_TUPLE:
		add_repr_list(t, v, depth);
		break;
	case TRIT_VALUE_DICT:
		add_repr_dict(t, v.dict, depth);
		break;
	default:
		trit_heap_fail(t->heap, TRIT_ERR_FORMAT, "a %s cannot be printed", trit_value_type(v));
	}
}

void trit_text_add_str(struct trit_text *t, struct trit_value v)
{
	if (v.kind == TRIT_VALUE_STRING)
		trit_text_add(t, v.string);
	else if (v.kind != TRIT_VALUE_UNDEFINED)
		trit_text_add_repr(t, v, 0);
}

struct trit_string trit_value_str(struct trit_heap *h, struct trit_value v)
{
	struct trit_text t = { .heap = h };

	if (v.kind == TRIT_VALUE_STRING)
		return v.string;
	trit_text_add_str(&t, v);
	return trit_text_string(&t);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

struct trit_json_style trit_json_defaults(void)
{
	return (struct trit_json_style){
		.indent = -1, .item_separator = trit_string_c(", "), .key_separator = trit_string_c(": "),
	};
}

static void add_json_string(struct trit_text *t, struct trit_string s, bool ascii)
{
	static const char plain[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";

	trit_text_add_c(t, "\"");
	for (size_t i = 0, n; i < s.len && trit_heap_work(t->heap, 0); i += n) {
		unsigned c = trit_char_code(s.len - i, s.bytes + i);
		const char *known = c > 0 && c < 0x80 ? strchr(plain, (int)c) : NULL;
		char escape[16];

		n = trit_char_len(s.len - i, s.bytes + i);
		if (known)
			snprintf(escape, sizeof escape, "\\%c", letters[known - plain]);
		else if (c >= 0x10000 && ascii)
			snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
			         0xdc00 + (c & 0x3ff));
		else if (c < 0x20 || (c >= 0x7f && ascii))
			snprintf(escape, sizeof escape, "\\u%04x", c);
		else
			escape[0] = 0;
		if (escape[0])
			trit_text_add_escape(t, escape, s, i);
		else
			trit_text_add(t, trit_string_part(s, i, i + n));
	}
	trit_text_add_c(t, "\"");
}

static void add_line(struct trit_text *t, const struct trit_json_style *style, int depth)
{
	static const char blanks[] = "                                ";

	if (style->indent < 0)
		return;
	trit_text_add_c(t, "\n");
	for (size_t left = (size_t)style->indent * (size_t)depth, n; left > 0 && t->heap->status == 0; left -= n) {
		n = left < sizeof blanks - 1 ? left : sizeof blanks - 1;
		trit_text_add(t, (struct trit_string){ blanks, NULL, n });
	}
}

static void add_json_list(struct trit_text *t, const struct trit_list *list, const struct trit_json_style *style,
                          int depth)
{
	trit_text_add_c(t, "[");
	for (size_t i = 0; i < list->n && t->heap->status == 0; i++) {
		if (i > 0)
			trit_text_add(t, style->item_separator);
		add_line(t, style, depth + 1);
		trit_text_add_json(t, list->items[i], style, depth + 1);
	}
	if (list->n > 0)
		add_line(t, style, depth);
	trit_text_add_c(t, "]");
}

/* The pairs in order of their keys, by insertion: dicts are short. */
static const struct trit_pair **sort_pairs(struct trit_heap *h, const struct trit_dict *d, bool sort_keys)
{
	const struct trit_pair **sorted = trit_heap_take(h, d->n, sizeof *sorted);

	for (size_t i = 0; sorted && i < d->n; i++) {
		size_t k = i;

		for (; sort_keys && k > 0 && trit_value_order(h, sorted[k - 1]->key, d->items[i].key) > 0; k--)
			sorted[k] = sorted[k - 1];
		sorted[k] = &d->items[i];
	}
	return sorted;
}

static void add_json_dict(struct trit_text *t, const struct trit_dict *d, const struct trit_json_style *style,
                          int depth)
{
	const struct trit_pair **pairs = sort_pairs(t->heap, d, style->sort_keys);

	trit_text_add_c(t, "{");
	for (size_t i = 0; pairs && i < d->n && t->heap->status == 0; i++) {
		if (i > 0)
			trit_text_add(t, style->item_separator);
		add_line(t, style, depth + 1);
		if (pairs[i]->key.kind == TRIT_VALUE_STRING) {
			add_json_string(t, pairs[i]->key.string, style->ascii);
		} else {
			trit_text_add_c(t, "\"");
			trit_text_add_json(t, pairs[i]->key, style, depth + 1);
			trit_text_add_c(t, "\"");
		}
		trit_text_add(t, style->key_separator);
		trit_text_add_json(t, pairs[i]->value, style, depth + 1);
	}
	if (d->n > 0)
		add_line(t, style, depth);
	trit_text_add_c(t, "}");
}

void trit_text_add_json(struct trit_text *t, struct trit_value v, const struct trit_json_style *style, int depth)
{
	if (too_deep(t->heap, depth))
		return;
	switch (v.kind) {
	case TRIT_VALUE_NONE:
		trit_text_add_c(t, "null");
		break;
	case TRIT_VALUE_BOOL:
		trit_text_add_c(t, v.boolean ? "true" : "false");
		break;
	case TRIT_VALUE_FLOAT:
		if (!isfinite(v.number)) {
			trit_text_add_c(t, isnan(v.number) ? "NaN" : v.number < 0 ? "-Infinity" : "Infinity");
			break;
		}
		add_number(t, v);
		break;
	case TRIT_VALUE_INT:
		add_number(t, v);
		break;
	case TRIT_VALUE_STRING:
		add_json_string(t, v.string, style->ascii);
		break;
	case TRIT_VALUE_LIST:
	case TRIT_VALUE_TUPLE:
		add_json_list(t, v.list, style, depth);
		break;
	case TRIT_VALUE_DICT:
		add_json_dict(t, v.dict, style, depth);
		break;
	default:
		trit_heap_fail(t->heap, TRIT_ERR_FORMAT, "a value of type %s is not for JSON", trit_value_type(v));
	}
}
