/*
 * jinja_method.c - methods of lists and dicts, and the global functions.
 *
 * The methods that change a list or a dict are there although transformers' sandbox refuses them: some templates were
 * written for programs that allow them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>

#include "text/jinja_parts.h"

/* All have this form; of a global function `self` means nothing. */
#define METHOD(name)                                                                                                   \
	static struct trit_value name(struct trit_jinja_run *r, struct trit_value self, const struct trit_jinja_args *args)

/* ---- dicts ------------------------------------------------------------------------------------------------------- */

enum part { KEYS = 1, VALUES = 2 };

/* Keys, values, or pairs of both. */
static struct trit_value list_parts(struct trit_jinja_run *r, struct trit_value dict, int parts)
{
	struct trit_value list = trit_value_list(r->heap, TRIT_VALUE_LIST);

	for (size_t i = 0; i < dict.dict->n && trit_heap_work(r->heap, 0); i++) {
		const struct trit_pair *p = &dict.dict->items[i];
		struct trit_value pair = parts == KEYS ? p->key : p->value;

		if (parts == (KEYS | VALUES)) {
			pair = trit_value_list(r->heap, TRIT_VALUE_TUPLE);
			trit_value_append(r->heap, pair, p->key);
			trit_value_append(r->heap, pair, p->value);
		}
		trit_value_append(r->heap, list, pair);
	}
	return list;
}

METHOD(dict_items)
{
	(void)args;
	return list_parts(r, self, KEYS | VALUES);
}

METHOD(dict_keys)
{
	(void)args;
	return list_parts(r, self, KEYS);
}

METHOD(dict_values)
{
	(void)args;
	return list_parts(r, self, VALUES);
}

METHOD(dict_get)
{
	const struct trit_pair *p = trit_value_find(r->heap, self, trit_jinja_arg(args, 0, NULL, trit_value_none()));

	return p ? p->value : trit_jinja_arg(args, 1, NULL, trit_value_none());
}

METHOD(dict_setdefault)
{
	struct trit_value key = trit_jinja_arg(args, 0, NULL, trit_value_none());
	const struct trit_pair *p = trit_value_find(r->heap, self, key);
	struct trit_value v = p ? p->value : trit_jinja_arg(args, 1, NULL, trit_value_none());

	trit_value_put(r->heap, self, key, v);
	return v;
}

METHOD(dict_pop)
{
	struct trit_pair *p = trit_value_find(r->heap, self, trit_jinja_arg(args, 0, NULL, trit_value_none()));
	struct trit_value v;
	size_t at;

	if (!p)
		return trit_jinja_has_arg(args, 1, NULL) ? args->values[1]
		                                         : trit_jinja_fail(r, TRIT_ERR_FORMAT, "pop: no such key");
	v = p->value;
	at = (size_t)(p - self.dict->items);
	memmove(p, p + 1, (--self.dict->n - at) * sizeof *p);
	return v;
}

/* The members of other dicts and the arguments with names. */
METHOD(dict_update)
{
	for (size_t i = 0; i < args->n; i++) {
		if (args->values[i].kind != TRIT_VALUE_DICT)
			return trit_jinja_refuse(r, args->values[i], "dict.update");
		for (size_t k = 0; k < args->values[i].dict->n; k++)
			trit_value_put(r->heap, self, args->values[i].dict->items[k].key,
			               args->values[i].dict->items[k].value);
	}
	for (size_t i = 0; i < args->n_named; i++)
		trit_value_put(r->heap, self, args->named[i].key, args->named[i].value);
	return trit_value_none();
}

METHOD(dict_copy)
{
	struct trit_value copy = trit_value_dict(r->heap, TRIT_VALUE_DICT);

	if (r->heap->status == 0)
		dict_update(r, copy, &(struct trit_jinja_args){ .values = &self, .n = 1 });
	(void)args;
	return copy;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

METHOD(list_append)
{
	trit_value_append(r->heap, self, trit_jinja_arg(args, 0, NULL, trit_value_none()));
	return trit_value_none();
}

METHOD(list_extend)
{
	struct trit_value more = trit_value_members(r->heap, trit_jinja_arg(args, 0, NULL, trit_value_none()));

	for (size_t i = 0, n = r->heap->status == 0 ? more.list->n : 0; i < n && trit_heap_work(r->heap, 0); i++)
		trit_value_append(r->heap, self, more.list->items[i]);
	return trit_value_none();
}

/* Index i of a list of n, from the end when negative; n when it is beyond. */
static size_t index_within(int64_t i, size_t n)
{
	if (i < 0)
		i += (int64_t)n;
	return i < 0 ? 0 : (uint64_t)i < n ? (size_t)i : n;
}

METHOD(list_insert)
{
	size_t at = index_within(trit_jinja_int_arg(r, args, 0, NULL, 0), self.list->n);
	struct trit_value v = trit_jinja_arg(args, 1, NULL, trit_value_none());

	trit_value_append(r->heap, self, v);
	if (!trit_heap_work(r->heap, self.list->n * sizeof v))
		return v;
	memmove(self.list->items + at + 1, self.list->items + at, (self.list->n - 1 - at) * sizeof v);
	self.list->items[at] = v;
	return trit_value_none();
}

METHOD(list_pop)
{
	size_t n = self.list->n, at = index_within(trit_jinja_int_arg(r, args, 0, NULL, -1), n);
	struct trit_value v;

	if (at >= n)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "pop: no such member");
	trit_heap_work(r->heap, n * sizeof v);
	v = self.list->items[at];
	memmove(self.list->items + at, self.list->items + at + 1, (--self.list->n - at) * sizeof v);
	return v;
}

METHOD(list_index)
{
	struct trit_value v = trit_jinja_arg(args, 0, NULL, trit_value_none());

	for (size_t i = 0; i < self.list->n && r->heap->status == 0; i++)
		if (trit_value_equal(r->heap, self.list->items[i], v))
			return trit_value_int((int64_t)i);
	return trit_jinja_fail(r, TRIT_ERR_FORMAT, "index: not in the list");
}

METHOD(list_count)
{
	struct trit_value v = trit_jinja_arg(args, 0, NULL, trit_value_none());
	int64_t n = 0;

	for (size_t i = 0; i < self.list->n && r->heap->status == 0; i++)
		n += trit_value_equal(r->heap, self.list->items[i], v);
	return trit_value_int(n);
}

METHOD(list_copy)
{
	const struct trit_value all[3] = { trit_value_none(), trit_value_none(), trit_value_none() };

	(void)args;
	return trit_jinja_slice(r, self, all);
}

/* In place: a list's array never becomes smaller, since a loop may be going over it. */
METHOD(list_reverse)
{
	struct trit_value *items = self.list->items;
	size_t n = self.list->n;

	(void)args;
	if (!trit_heap_work(r->heap, n * sizeof *items))
		return trit_value_none();
	for (size_t i = 0; i < n / 2; i++) {
		struct trit_value v = items[i];

		items[i] = items[n - 1 - i];
		items[n - 1 - i] = v;
	}
	return trit_value_none();
}

struct trit_value trit_jinja_method(struct trit_jinja_run *r, struct trit_value v, struct trit_string name)
{
	static const struct trit_jinja_function dict_methods[] = {
		{ .name = "items", .run = dict_items },   { .name = "keys", .run = dict_keys },
		{ .name = "values", .run = dict_values }, { .name = "get", .run = dict_get },
		{ .name = "pop", .run = dict_pop },       { .name = "setdefault", .run = dict_setdefault },
		{ .name = "update", .run = dict_update }, { .name = "copy", .run = dict_copy },
		{ 0 },
	};
	static const struct trit_jinja_function list_methods[] = {
		{ .name = "append", .run = list_append }, { .name = "extend", .run = list_extend },
		{ .name = "insert", .run = list_insert }, { .name = "pop", .run = list_pop },
		{ .name = "index", .run = list_index },   { .name = "count", .run = list_count },
		{ .name = "copy", .run = list_copy },     { .name = "reverse", .run = list_reverse },
		{ 0 },
	};
	const struct trit_jinja_function *f = NULL;

	if (v.kind == TRIT_VALUE_STRING)
		f = trit_jinja_find(trit_string_methods, name);
	else if (v.kind == TRIT_VALUE_DICT)
		f = trit_jinja_find(dict_methods, name);
	else if (v.kind == TRIT_VALUE_LIST || v.kind == TRIT_VALUE_TUPLE)
		f = trit_jinja_find(list_methods, name);
	if (f && v.kind == TRIT_VALUE_TUPLE && f->run != list_index && f->run != list_count)
		f = NULL;
	return f ? trit_jinja_function(r, f->name, f->run, v) : (struct trit_value){ 0 };
}

/* ---- global functions -------------------------------------------------------------------------------------------- */

METHOD(range)
{
	int64_t start = 0, stop, step = trit_jinja_int_arg(r, args, 2, NULL, 1);
	struct trit_value list = trit_value_list(r->heap, TRIT_VALUE_LIST);
	double n;

	(void)self;
	stop = trit_jinja_int_arg(r, args, args->n > 1, NULL, 0);
	if (args->n > 1)
		start = trit_jinja_int_arg(r, args, 0, NULL, 0);
	if (step == 0 || args->n == 0)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "range() needs a number, and steps other than 0");
	n = ((double)stop - (double)start) / (double)step;
	if (n > TRIT_JINJA_MAX_RANGE)
		return trit_jinja_fail(r, TRIT_ERR_LIMIT, "a range of more than %d numbers, which is the limit here",
		                       TRIT_JINJA_MAX_RANGE);
	for (int64_t i = start; (step > 0 ? i < stop : i > stop) && trit_heap_work(r->heap, 0); i += step) {
		trit_value_append(r->heap, list, trit_value_int(i));
		if (step > 0 ? i > INT64_MAX - step : i < INT64_MIN - step)
			break;
	}
	return list;
}

METHOD(make_dict)
{
	struct trit_value v = trit_value_dict(r->heap, TRIT_VALUE_DICT);

	(void)self;
	if (r->heap->status == 0)
		dict_update(r, v, args);
	return v;
}

METHOD(make_namespace)
{
	struct trit_value v = make_dict(r, self, args);

	if (r->heap->status == 0)
		v.kind = TRIT_VALUE_NAMESPACE;
	return v;
}

METHOD(raise_exception)
{
	struct trit_string why = trit_value_str(r->heap, trit_jinja_arg(args, 0, "message", trit_value_none()));

	(void)self;
	r->heap->line = 0; /* what the template says needs no line of it */
	return trit_jinja_fail(r, TRIT_ERR_ARG, "the template refuses these messages: %.*s",
	                       why.len < 300 ? (int)why.len : 300, why.len ? why.bytes : "");
}

METHOD(strftime_now)
{
	struct trit_string format = trit_jinja_string_arg(r, args, 0, "format", "%Y-%m-%d");
	time_t now = (time_t)r->now;
	struct tm tm;
	char text[256], pattern[128];
	size_t n;

	(void)self;
	if (format.len >= sizeof pattern || !localtime_r(&now, &tm))
		return trit_jinja_fail(r, TRIT_ERR_LIMIT, "a date's format of more than %zu bytes", sizeof pattern - 1);
	memcpy(pattern, format.bytes, format.len);
	pattern[format.len] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* it is the template's, and strftime bounds what it writes */
	n = strftime(text, sizeof text, pattern, &tm);
#pragma GCC diagnostic pop
	return trit_value_string(r->heap, n, text, false);
}

/* joiner(", "): nothing the first time it is called, then the text. */
METHOD(join_next)
{
	struct trit_value *used = &self.list->items[0];
	bool first = !used->boolean;

	(void)r;
	(void)args;
	used->boolean = true;
	return first ? trit_value_of(trit_string_c("")) : self.list->items[1];
}

METHOD(make_joiner)
{
	struct trit_value state = trit_value_list(r->heap, TRIT_VALUE_LIST);

	(void)self;
	trit_value_append(r->heap, state, trit_value_bool(false));
	trit_value_append(r->heap, state, trit_jinja_arg(args, 0, "sep", trit_value_of(trit_string_c(", "))));
	return r->heap->status == 0 ? trit_jinja_function(r, "joiner", join_next, state) : state;
}

struct trit_value trit_jinja_global(struct trit_jinja_run *r, struct trit_string name)
{
	static const struct trit_jinja_function functions[] = {
		{ .name = "range", .run = range },
		{ .name = "dict", .run = make_dict },
		{ .name = "namespace", .run = make_namespace },
		{ .name = "raise_exception", .run = raise_exception },
		{ .name = "strftime_now", .run = strftime_now },
		{ .name = "joiner", .run = make_joiner },
		{ 0 },
	};
	const struct trit_jinja_function *f = trit_jinja_find(functions, name);

	return f ? trit_jinja_function(r, f->name, f->run, (struct trit_value){ 0 }) : (struct trit_value){ 0 };
}
