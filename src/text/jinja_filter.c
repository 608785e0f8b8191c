/*
 * jinja_filter.c - filters: x | trim, x | map(attribute="name").
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "text/jinja_parts.h"

#define NOTHING ((struct trit_value){ 0 })
#define NONE trit_value_none()

/* All filters have this form. */
#define FILTER(name)                                                                                                   \
	static struct trit_value name(struct trit_jinja_run *r, struct trit_value v, const struct trit_jinja_args *args)

static bool flag(const struct trit_jinja_args *args, size_t i, const char *name)
{
	return trit_value_true(trit_jinja_arg(args, i, name, trit_value_bool(false)));
}

static struct trit_string as_string(struct trit_jinja_run *r, struct trit_value v)
{
	return trit_value_str(r->heap, v);
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

FILTER(to_string)
{
	(void)args;
	return trit_value_of(as_string(r, v));
}

FILTER(trim)
{
	struct trit_string chars = trit_jinja_string_arg(r, args, 0, "chars", NULL);

	trit_heap_work(r->heap, chars.len * 8);
	return trit_value_of(trit_string_strip(as_string(r, v), chars, true, true));
}

FILTER(upper)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, as_string(r, v), TRIT_UPPER));
}

FILTER(lower)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, as_string(r, v), TRIT_LOWER));
}

FILTER(capitalize)
{
	(void)args;
	return trit_value_of(trit_string_case(r->heap, as_string(r, v), TRIT_CAPITALIZE));
}

/* Unlike str.title: words begin after blanks and opening brackets only. */
FILTER(title)
{
	struct trit_text t = { .heap = r->heap };
	struct trit_string s = as_string(r, v);
	size_t from = 0;

	(void)args;
	for (size_t i = 0, n; i < s.len && trit_heap_work(r->heap, 0); i += n) {
		unsigned c = trit_char_code(s.len - i, s.bytes + i);

		n = trit_char_len(s.len - i, s.bytes + i);
		if (!trit_char_is_space(c) && !(c < 0x80 && c > 0 && strchr("-({[<", (int)c)))
			continue;
		trit_text_add(&t, trit_string_case(r->heap, trit_string_part(s, from, i), TRIT_CAPITALIZE));
		trit_text_add(&t, trit_string_part(s, i, i + n));
		from = i + n;
	}
	trit_text_add(&t, trit_string_case(r->heap, trit_string_part(s, from, s.len), TRIT_CAPITALIZE));
	return trit_value_of(trit_text_string(&t));
}

FILTER(replace)
{
	struct trit_string old = trit_jinja_string_arg(r, args, 0, "old", ""),
	                   new_ = trit_jinja_string_arg(r, args, 1, "new", "");

	return trit_value_of(trit_string_replace(r->heap, as_string(r, v), old, new_,
	                                         trit_jinja_int_arg(r, args, 2, "count", -1)));
}

FILTER(indent)
{
	struct trit_string s = as_string(r, v), blanks;
	struct trit_value width = trit_jinja_arg(args, 0, "width", trit_value_int(4));
	struct trit_text t = { .heap = r->heap }, pad = { .heap = r->heap };
	bool blank = flag(args, 2, "blank");

	if (width.kind == TRIT_VALUE_STRING)
		trit_text_add(&pad, width.string);
	else
		for (int64_t i = trit_jinja_int_arg(r, args, 0, "width", 4); i > 0 && r->heap->status == 0; i--)
			trit_text_add_c(&pad, " ");
	blanks = trit_text_string(&pad);
	if (flag(args, 1, "first"))
		trit_text_add(&t, blanks);
	for (size_t i = 0, from = 0; i <= s.len && r->heap->status == 0; i++) {
		size_t end = i;

		if (i < s.len && s.bytes[i] != '\n' && s.bytes[i] != '\r')
			continue;
		if (from > 0)
			trit_text_add_c(&t, "\n");
		if (from > 0 && (end > from || blank))
			trit_text_add(&t, blanks);
		trit_text_add(&t, trit_string_part(s, from, end));
		i += i + 1 < s.len && s.bytes[i] == '\r' && s.bytes[i + 1] == '\n';
		from = i + 1;
	}
	return trit_value_of(trit_text_string(&t));
}

struct trit_value trit_jinja_escape(struct trit_jinja_run *r, struct trit_value v)
{
	static const char plain[] = "&<>'\"", *const escapes[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
	struct trit_text t = { .heap = r->heap };
	struct trit_string s = as_string(r, v);

	if (v.kind == TRIT_VALUE_STRING && v.safe)
		return v;
	for (size_t i = 0; i < s.len && r->heap->status == 0; i++) {
		const char *special = s.bytes[i] ? strchr(plain, s.bytes[i]) : NULL;

		if (special)
			trit_text_add_escape(&t, escapes[special - plain], s, i);
		else
			trit_text_add(&t, trit_string_part(s, i, i + 1));
	}
	v = trit_value_of(trit_text_string(&t));
	v.safe = true;
	return v;
}

FILTER(escape)
{
	(void)args;
	return trit_jinja_escape(r, v);
}

FILTER(safe)
{
	(void)args;
	v = trit_value_of(as_string(r, v));
	v.safe = true;
	return v;
}

FILTER(tojson)
{
	struct trit_text t = { .heap = r->heap };
	struct trit_json_style style = trit_json_defaults();
	struct trit_value separators = trit_jinja_arg(args, 2, "separators", NONE);
	int64_t indent = trit_jinja_int_arg(r, args, 1, "indent", -1);

	style.ascii = flag(args, 0, "ensure_ascii");
	style.indent = indent < -1 ? -1 : indent > 1000 ? 1000 : (int)indent;
	style.sort_keys = flag(args, 3, "sort_keys");
	if (style.indent >= 0)
		style.item_separator = trit_string_c(",");
	if ((separators.kind == TRIT_VALUE_LIST || separators.kind == TRIT_VALUE_TUPLE) && separators.list->n == 2) {
		style.item_separator = as_string(r, separators.list->items[0]);
		style.key_separator = as_string(r, separators.list->items[1]);
	}
	trit_text_add_json(&t, v, &style, 0);
	return trit_value_of(trit_text_string(&t));
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

FILTER(to_int)
{
	struct trit_value otherwise = trit_jinja_arg(args, 0, "default", trit_value_int(0)), read;

	if (v.kind == TRIT_VALUE_STRING) {
		read = trit_string_number(r->heap, v.string, false);
		v = read.kind == TRIT_VALUE_INT ? read : trit_string_number(r->heap, v.string, true);
	}
	if (v.kind == TRIT_VALUE_FLOAT)
		return fabs(v.number) < 0x1p63 ? trit_value_int((int64_t)v.number) : otherwise;
	return trit_value_is_number(v) ? trit_value_int(v.kind == TRIT_VALUE_INT ? v.integer : v.boolean) : otherwise;
}

FILTER(to_float)
{
	if (v.kind == TRIT_VALUE_STRING)
		v = trit_string_number(r->heap, v.string, true);
	return trit_value_is_number(v) ? trit_value_float(trit_value_number(v))
	                               : trit_jinja_arg(args, 0, "default", trit_value_float(0));
}

FILTER(absolute)
{
	(void)args;
	if (v.kind == TRIT_VALUE_FLOAT)
		return trit_value_float(fabs(v.number));
	if (!trit_value_is_number(v) || (v.kind == TRIT_VALUE_INT && v.integer == INT64_MIN))
		return trit_jinja_refuse(r, v, "abs");
	return trit_value_int(v.kind == TRIT_VALUE_BOOL ? v.boolean : v.integer < 0 ? -v.integer : v.integer);
}

FILTER(round_to)
{
	int64_t precision = trit_jinja_int_arg(r, args, 0, "precision", 0);
	struct trit_string how = trit_jinja_string_arg(r, args, 1, "method", "common");
	double f, power;
	char text[400];

	if (!trit_value_is_number(v))
		return trit_jinja_refuse(r, v, "round");
	if (precision < -30 || precision > 30)
		return trit_jinja_fail(r, TRIT_ERR_LIMIT, "round to more than 30 digits");
	f = trit_value_number(v);
	power = pow(10, (double)precision);
	if (trit_string_is(how, "ceil"))
		return trit_value_float(ceil(f * power) / power);
	if (trit_string_is(how, "floor"))
		return trit_value_float(floor(f * power) / power);
	if (v.kind != TRIT_VALUE_FLOAT && precision >= 0)
		return trit_value_int(v.kind == TRIT_VALUE_INT ? v.integer : v.boolean);
	if (precision < 0) {
		f = rint(f * power) / power;
		if (v.kind == TRIT_VALUE_FLOAT)
			return trit_value_float(f);
		return fabs(f) < 0x1p63 ? trit_value_int((int64_t)f)
		                        : trit_jinja_fail(r, TRIT_ERR_LIMIT, "round: more than 64 bits");
	}
	snprintf(text, sizeof text, "%.*f", (int)precision, f); /* half to even, of the exact value: as Python */
	return trit_value_float(strtod(text, NULL));
}

/* ---- lists: taking apart ----------------------------------------------------------------------------------------- */

FILTER(length)
{
	(void)args;
	return trit_value_int((int64_t)trit_value_length(r->heap, v));
}

FILTER(first)
{
	struct trit_value members = trit_value_members(r->heap, v);

	(void)args;
	return r->heap->status == 0 && members.list->n > 0
	           ? members.list->items[0]
	           : trit_value_undefined(trit_string_c("the first of nothing"));
}

FILTER(last)
{
	struct trit_value members = trit_value_members(r->heap, v);

	(void)args;
	return r->heap->status == 0 && members.list->n > 0
	           ? members.list->items[members.list->n - 1]
	           : trit_value_undefined(trit_string_c("the last of nothing"));
}

FILTER(to_list)
{
	const struct trit_value all[3] = { NONE, NONE, NONE };
	struct trit_value members = trit_value_members(r->heap, v);

	(void)args;
	if (r->heap->status < 0)
		return NOTHING;
	members.kind = TRIT_VALUE_LIST;
	return trit_jinja_slice(r, members, all); /* a copy */
}

FILTER(reverse)
{
	const struct trit_value down[3] = { NONE, NONE, trit_value_int(-1) };

	(void)args;
	return trit_jinja_slice(r, v.kind == TRIT_VALUE_STRING ? v : trit_value_members(r->heap, v), down);
}

FILTER(items)
{
	struct trit_value method;

	if (v.kind == TRIT_VALUE_UNDEFINED)
		return trit_value_list(r->heap, TRIT_VALUE_LIST);
	if (v.kind != TRIT_VALUE_DICT)
		return trit_jinja_refuse(r, v, "items");
	method = trit_jinja_method(r, v, trit_string_c("items"));
	return r->heap->status == 0 ? trit_jinja_call(r, method, args) : NOTHING;
}

/* ---- lists: by attribute, by test -------------------------------------------------------------------------------- */

/* "a.b.0" of a value. */
static struct trit_value attribute_of(struct trit_jinja_run *r, struct trit_value v, struct trit_value path)
{
	struct trit_string rest;

	if (path.kind == TRIT_VALUE_INT)
		return trit_jinja_item(r, v, path);
	if (path.kind != TRIT_VALUE_STRING)
		return trit_jinja_refuse(r, path, "an attribute's name");
	rest = path.string;
	while (r->heap->status == 0) {
		size_t dot = trit_string_find(rest, trit_string_c("."), 0);
		struct trit_string name = trit_string_part(rest, 0, dot == TRIT_NOT_FOUND ? rest.len : dot);
		struct trit_value number = trit_string_number(r->heap, name, false);

		v = trit_jinja_item(r, v, number.kind == TRIT_VALUE_INT ? number : trit_value_of(name));
		if (dot == TRIT_NOT_FOUND)
			break;
		rest = trit_string_part(rest, dot + 1, rest.len);
	}
	return v;
}

/* What is left of arguments after the first n. */
static struct trit_jinja_args after(const struct trit_jinja_args *args, size_t n)
{
	struct trit_jinja_args rest = *args;

	n = n < args->n ? n : args->n;
	rest.values += n;
	rest.n -= n;
	return rest;
}

/* map, select and reject make nothing of whatever counts as false: none, 0. */
static struct trit_value members_if_any(struct trit_jinja_run *r, struct trit_value v)
{
	return trit_value_true(v) ? trit_value_members(r->heap, v) : trit_value_list(r->heap, TRIT_VALUE_LIST);
}

FILTER(map)
{
	struct trit_value out = trit_value_list(r->heap, TRIT_VALUE_LIST), members = members_if_any(r, v);
	struct trit_value path = trit_jinja_arg(args, SIZE_MAX, "attribute", NOTHING);
	struct trit_jinja_args rest = after(args, 1);
	struct trit_string name = { 0 };

	if (path.kind == TRIT_VALUE_UNDEFINED)
		name = trit_jinja_string_arg(r, args, 0, NULL, NULL);
	if (path.kind == TRIT_VALUE_UNDEFINED && !name.bytes)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "map needs a filter's name or an attribute");
	for (size_t i = 0; r->heap->status == 0 && i < members.list->n; i++) {
		struct trit_value item = members.list->items[i];

		if (name.bytes)
			item = trit_jinja_filter(r, name, item, &rest);
		else
			item = attribute_of(r, item, path);
		if (item.kind == TRIT_VALUE_UNDEFINED && !name.bytes)
			item = trit_jinja_arg(args, SIZE_MAX, "default", item);
		trit_value_append(r->heap, out, item);
	}
	return out;
}

/* The members (or their attribute) for which a test, or truth, is `wanted`. */
static struct trit_value choose(struct trit_jinja_run *r, struct trit_value v, const struct trit_jinja_args *args,
                                bool by_attribute, bool wanted)
{
	struct trit_value out = trit_value_list(r->heap, TRIT_VALUE_LIST), members = members_if_any(r, v);
	struct trit_value path = by_attribute ? trit_jinja_arg(args, 0, NULL, NOTHING) : NOTHING;
	struct trit_jinja_args rest = after(args, by_attribute + 1u);
	struct trit_string test = trit_jinja_string_arg(r, args, by_attribute, NULL, NULL);

	for (size_t i = 0; r->heap->status == 0 && i < members.list->n && trit_heap_work(r->heap, 0); i++) {
		struct trit_value item = members.list->items[i], on = by_attribute ? attribute_of(r, item, path) : item;
		bool is = r->heap->status == 0 && (test.bytes ? trit_jinja_test(r, test, on, &rest) : trit_value_true(on));

		if (is == wanted)
			trit_value_append(r->heap, out, item);
	}
	return out;
}

FILTER(select_)
{
	return choose(r, v, args, false, true);
}

FILTER(reject)
{
	return choose(r, v, args, false, false);
}

FILTER(selectattr)
{
	return choose(r, v, args, true, true);
}

FILTER(rejectattr)
{
	return choose(r, v, args, true, false);
}

/* ---- lists: putting in order, putting together ------------------------------------------------------------------- */

/* How members are compared: by an attribute, letters without their case. */
struct order {
	struct trit_value path; /* UNDEFINED: the member itself */
	bool case_sensitive, reverse;
};

static struct trit_value key_of(struct trit_jinja_run *r, const struct order *o, struct trit_value v)
{
	if (o->path.kind != TRIT_VALUE_UNDEFINED && o->path.kind != TRIT_VALUE_NONE)
		v = attribute_of(r, v, o->path);
	if (v.kind == TRIT_VALUE_STRING && !o->case_sensitive)
		return trit_value_of(trit_string_case(r->heap, v.string, TRIT_LOWER));
	return v;
}

/* Merges the runs of `width` pairs (key: what they are compared by) in `from` into runs of twice that in `to`. */
static void merge_runs(struct trit_jinja_run *r, const struct trit_pair *from, struct trit_pair *to, size_t n,
                       size_t width, bool reverse)
{
	for (size_t begin = 0; begin < n; begin += 2 * width) {
		size_t middle = begin + width < n ? begin + width : n, end = middle + width < n ? middle + width : n;
		size_t a = begin, b = middle;

		for (size_t k = begin; k < end; k++) {
			int order = a < middle && b < end ? trit_value_order(r->heap, from[a].key, from[b].key) : 0;
			bool take_b = a == middle || (b < end && (reverse ? order < 0 : order > 0));

			to[k] = take_b ? from[b++] : from[a++];
		}
	}
}

/* The members of a list in order; equal ones stay as they stand. */
static struct trit_value in_order(struct trit_jinja_run *r, struct trit_value members, const struct order *o)
{
	size_t n = r->heap->status == 0 ? members.list->n : 0;
	struct trit_pair *from = trit_heap_take(r->heap, n, sizeof *from), *to = trit_heap_take(r->heap, n, sizeof *to);
	struct trit_value out = trit_value_list(r->heap, TRIT_VALUE_LIST);

	for (size_t i = 0; i < n && r->heap->status == 0; i++)
		from[i] = (struct trit_pair){ key_of(r, o, members.list->items[i]), members.list->items[i] };
	for (size_t width = 1; width < n && r->heap->status == 0; width *= 2) {
		struct trit_pair *swap = from;

		merge_runs(r, from, to, n, width, o->reverse);
		from = to;
		to = swap;
	}
	for (size_t i = 0; i < n && r->heap->status == 0; i++)
		trit_value_append(r->heap, out, from[i].value);
	return out;
}

FILTER(sort)
{
	struct order o = { trit_jinja_arg(args, 2, "attribute", NOTHING), flag(args, 1, "case_sensitive"),
		           flag(args, 0, "reverse") };

	return in_order(r, trit_value_members(r->heap, v), &o);
}

FILTER(dictsort)
{
	struct trit_string by = trit_jinja_string_arg(r, args, 1, "by", "key");
	struct order o = { trit_value_int(trit_string_is(by, "value")), flag(args, 0, "case_sensitive"),
		           flag(args, 2, "reverse") };

	return in_order(r, items(r, v, &(struct trit_jinja_args){ 0 }), &o);
}

FILTER(unique)
{
	struct order o = { trit_jinja_arg(args, 1, "attribute", NOTHING), flag(args, 0, "case_sensitive"), false };
	struct trit_value members = trit_value_members(r->heap, v), seen = trit_value_list(r->heap, TRIT_VALUE_LIST),
	                  out = trit_value_list(r->heap, TRIT_VALUE_LIST);

	for (size_t i = 0; r->heap->status == 0 && i < members.list->n; i++) {
		struct trit_value key = key_of(r, &o, members.list->items[i]);

		if (r->heap->status < 0 || trit_value_has(r->heap, seen, key))
			continue;
		trit_value_append(r->heap, seen, key);
		trit_value_append(r->heap, out, members.list->items[i]);
	}
	return out;
}

/* The least or greatest member. */
static struct trit_value extreme(struct trit_jinja_run *r, struct trit_value v, const struct trit_jinja_args *args,
                                 bool greatest)
{
	struct order o = { trit_jinja_arg(args, 1, "attribute", NOTHING), flag(args, 0, "case_sensitive"), false };
	struct trit_value members = trit_value_members(r->heap, v), best, best_key;

	if (r->heap->status < 0 || members.list->n == 0)
		return trit_value_undefined(trit_string_c("the least or greatest of nothing"));
	best = members.list->items[0];
	best_key = key_of(r, &o, best);
	for (size_t i = 1; i < members.list->n && r->heap->status == 0; i++) {
		struct trit_value key = key_of(r, &o, members.list->items[i]);
		int order = trit_value_order(r->heap, key, best_key);

		if (greatest ? order > 0 : order < 0) {
			best = members.list->items[i];
			best_key = key;
		}
	}
	return best;
}

FILTER(min)
{
	return extreme(r, v, args, false);
}

FILTER(max)
{
	return extreme(r, v, args, true);
}

FILTER(sum)
{
	struct trit_value path = trit_jinja_arg(args, 0, "attribute", NONE), members = trit_value_members(r->heap, v);
	struct trit_value total = trit_jinja_arg(args, 1, "start", trit_value_int(0));

	for (size_t i = 0; r->heap->status == 0 && i < members.list->n; i++) {
		struct trit_value item = members.list->items[i];

		total = trit_jinja_add(r, total, path.kind == TRIT_VALUE_NONE ? item : attribute_of(r, item, path));
	}
	return total;
}

FILTER(join)
{
	struct trit_value members = trit_value_members(r->heap, v), path = trit_jinja_arg(args, 1, "attribute", NONE);
	struct trit_string between = as_string(r, trit_jinja_arg(args, 0, "d", trit_value_of(trit_string_c(""))));
	struct trit_text t = { .heap = r->heap };

	for (size_t i = 0; r->heap->status == 0 && i < members.list->n && trit_heap_work(r->heap, 0); i++) {
		struct trit_value item = members.list->items[i];

		if (i > 0)
			trit_text_add(&t, between);
		trit_text_add_str(&t, path.kind == TRIT_VALUE_NONE ? item : attribute_of(r, item, path));
	}
	return trit_value_of(trit_text_string(&t));
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

FILTER(default_to)
{
	(void)r;
	if (v.kind == TRIT_VALUE_UNDEFINED || (flag(args, 1, "boolean") && !trit_value_true(v)))
		return trit_jinja_arg(args, 0, "default_value", trit_value_of(trit_string_c("")));
	return v;
}

FILTER(attr)
{
	struct trit_string name = trit_jinja_string_arg(r, args, 0, "name", "");

	return v.kind == TRIT_VALUE_DICT ? trit_jinja_method(r, v, name) : trit_jinja_member(r, v, name);
}

struct trit_value trit_jinja_filter(struct trit_jinja_run *r, struct trit_string name, struct trit_value v,
                                    const struct trit_jinja_args *args)
{
	static const struct trit_jinja_function filters[] = {
		{ .name = "abs", .run = absolute },
		{ .name = "attr", .run = attr },
		{ .name = "capitalize", .run = capitalize },
		{ .name = "count", .run = length },
		{ .name = "d", .run = default_to },
		{ .name = "default", .run = default_to },
		{ .name = "dictsort", .run = dictsort },
		{ .name = "e", .run = escape },
		{ .name = "escape", .run = escape },
		{ .name = "first", .run = first },
		{ .name = "float", .run = to_float },
		{ .name = "indent", .run = indent },
		{ .name = "int", .run = to_int },
		{ .name = "items", .run = items },
		{ .name = "join", .run = join },
		{ .name = "last", .run = last },
		{ .name = "length", .run = length },
		{ .name = "list", .run = to_list },
		{ .name = "lower", .run = lower },
		{ .name = "map", .run = map },
		{ .name = "max", .run = max },
		{ .name = "min", .run = min },
		{ .name = "reject", .run = reject },
		{ .name = "rejectattr", .run = rejectattr },
		{ .name = "replace", .run = replace },
		{ .name = "reverse", .run = reverse },
		{ .name = "round", .run = round_to },
		{ .name = "safe", .run = safe },
		{ .name = "select", .run = select_ },
		{ .name = "selectattr", .run = selectattr },
		{ .name = "sort", .run = sort },
		{ .name = "string", .run = to_string },
		{ .name = "sum", .run = sum },
		{ .name = "title", .run = title },
		{ .name = "tojson", .run = tojson },
		{ .name = "trim", .run = trim },
		{ .name = "unique", .run = unique },
		{ .name = "upper", .run = upper },
		{ 0 },
	};
	const struct trit_jinja_function *f = trit_jinja_find(filters, name);

	if (r->heap->status < 0)
		return NOTHING;
	if (!f)
		return trit_jinja_fail(r, TRIT_ERR_UNSUPPORTED, "there is no filter \"%.*s\"",
		                       name.len < 60 ? (int)name.len : 60, name.len ? name.bytes : "");
	if (++r->depth > TRIT_JINJA_MAX_CALLS) /* map('map', 'map', ...) */
		return trit_jinja_fail(r, TRIT_ERR_LIMIT, "calls nested deeper than %d, which is the limit here",
		                       TRIT_JINJA_MAX_CALLS);
	v = f->run(r, v, args);
	r->depth--;
	return v;
}
