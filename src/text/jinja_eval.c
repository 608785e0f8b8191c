/*
 * jinja_eval.c - expressions: what a node of the tree comes to, as Python would have it.
 *
 * After a failure everything comes out undefined and nothing is done any more, so that only few places look whether
 * there was one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdarg.h>

#include "text/jinja_parts.h"

#define NOTHING ((struct trit_value){ 0 })

/* ---- failing, and arguments -------------------------------------------------------------------------------------- */

struct trit_value trit_jinja_fail(struct trit_jinja_run *r, enum trit_status status, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	trit_heap_fail(r->heap, status, "%s", text);
	return NOTHING;
}

struct trit_value trit_jinja_refuse(struct trit_jinja_run *r, struct trit_value v, const char *what)
{
	if (v.kind == TRIT_VALUE_UNDEFINED)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "'%.*s' is undefined",
		                       v.string.len < 100 ? (int)v.string.len : 100, v.string.len ? v.string.bytes : "");
	return trit_jinja_fail(r, TRIT_ERR_FORMAT, "%s: not for a %s", what, trit_value_type(v));
}

static const struct trit_value *find_arg(const struct trit_jinja_args *args, size_t i, const char *name)
{
	if (i < args->n)
		return &args->values[i];
	for (size_t k = 0; name && k < args->n_named; k++)
		if (trit_string_is(args->named[k].key.string, name))
			return &args->named[k].value;
	return NULL;
}

bool trit_jinja_has_arg(const struct trit_jinja_args *args, size_t i, const char *name)
{
	return find_arg(args, i, name) != NULL;
}

struct trit_value trit_jinja_arg(const struct trit_jinja_args *args, size_t i, const char *name,
                                 struct trit_value otherwise)
{
	const struct trit_value *v = find_arg(args, i, name);

	return v ? *v : otherwise;
}

int64_t trit_jinja_int_arg(struct trit_jinja_run *r, const struct trit_jinja_args *args, size_t i, const char *name,
                           int64_t otherwise)
{
	const struct trit_value *v = find_arg(args, i, name);

	if (!v || v->kind == TRIT_VALUE_NONE)
		return otherwise;
	if (v->kind == TRIT_VALUE_BOOL)
		return v->boolean;
	if (v->kind != TRIT_VALUE_INT)
		trit_jinja_refuse(r, *v, "an integer argument");
	return v->kind == TRIT_VALUE_INT ? v->integer : 0;
}

struct trit_string trit_jinja_string_arg(struct trit_jinja_run *r, const struct trit_jinja_args *args, size_t i,
                                         const char *name, const char *otherwise)
{
	const struct trit_value *v = find_arg(args, i, name);

	if (!v || (v->kind == TRIT_VALUE_NONE && !otherwise))
		return otherwise ? trit_string_c(otherwise) : (struct trit_string){ 0 };
	if (v->kind != TRIT_VALUE_STRING)
		trit_jinja_refuse(r, *v, "a string argument");
	return v->kind == TRIT_VALUE_STRING ? v->string : trit_string_c("");
}

const struct trit_jinja_function *trit_jinja_find(const struct trit_jinja_function *functions, struct trit_string name)
{
	for (; functions->name; functions++)
		if (trit_string_is(name, functions->name))
			return functions;
	return NULL;
}

struct trit_value trit_jinja_function(struct trit_jinja_run *r, const char *name, trit_jinja_fn *run,
                                      struct trit_value self)
{
	struct trit_jinja_function *f = trit_heap_take(r->heap, 1, sizeof *f);

	if (!f)
		return NOTHING;
	*f = (struct trit_jinja_function){ name, run, self };
	return (struct trit_value){ .kind = TRIT_VALUE_FUNCTION, .object = f };
}

struct trit_value trit_jinja_call(struct trit_jinja_run *r, struct trit_value what, const struct trit_jinja_args *args)
{
	if (what.kind == TRIT_VALUE_MACRO)
		return trit_jinja_call_macro(r, what.object, args);
	if (what.kind == TRIT_VALUE_FUNCTION) {
		const struct trit_jinja_function *f = what.object;

		return f->run(r, f->self, args);
	}
	return trit_jinja_refuse(r, what, "a call");
}

/* Arguments of a call, evaluated. */
static struct trit_jinja_args eval_args(struct trit_jinja_run *r, const struct trit_jinja_node *list)
{
	struct trit_jinja_args args = { 0 };
	struct trit_value *values;
	struct trit_pair *named;
	size_t n = 0, n_named = 0;

	for (const struct trit_jinja_node *i = list; i; i = i->next)
		i->type == TRIT_JINJA_NAMED ? n_named++ : n++;
	values = trit_heap_take(r->heap, n, sizeof *values);
	named = trit_heap_take(r->heap, n_named, sizeof *named);
	args.values = values;
	args.named = named;
	for (const struct trit_jinja_node *i = list; i && r->heap->status == 0; i = i->next) {
		if (i->type == TRIT_JINJA_NAMED) {
			named[args.n_named].key = trit_value_of(i->name);
			named[args.n_named++].value = trit_jinja_eval(r, i->a);
		} else if (args.n_named > 0) {
			trit_jinja_fail(r, TRIT_ERR_FORMAT, "an argument without a name after one with a name");
		} else {
			values[args.n++] = trit_jinja_eval(r, i);
		}
	}
	return args;
}

/* ---- names, members, items --------------------------------------------------------------------------------------- */

static struct trit_value eval_variable(struct trit_jinja_run *r, struct trit_string name)
{
	struct trit_value global;

	for (const struct trit_jinja_scope *s = r->scope; s; s = s->outer) {
		const struct trit_pair *p = trit_value_find(r->heap, s->names, trit_value_of(name));

		if (p)
			return p->value;
	}
	global = trit_jinja_global(r, name);
	return global.kind == TRIT_VALUE_UNDEFINED ? trit_value_undefined(name) : global;
}

static struct trit_value loop_cycle(struct trit_jinja_run *r, struct trit_value self,
                                    const struct trit_jinja_args *args)
{
	const struct trit_jinja_loop *l = self.object;

	return args->n ? args->values[l->at % args->n] : trit_jinja_fail(r, TRIT_ERR_FORMAT, "loop.cycle of nothing");
}

static struct trit_value loop_changed(struct trit_jinja_run *r, struct trit_value self,
                                      const struct trit_jinja_args *args)
{
	union {
		const void *constant;
		struct trit_jinja_loop *loop; /* it is the interpreter's own, and not constant */
	} object = { .constant = self.object };
	struct trit_value now = trit_value_list(r->heap, TRIT_VALUE_TUPLE);
	bool changed;

	for (size_t i = 0; i < args->n; i++)
		trit_value_append(r->heap, now, args->values[i]);
	changed = !trit_value_equal(r->heap, now, object.loop->last_changed);
	object.loop->last_changed = now;
	return trit_value_bool(changed);
}

static struct trit_value loop_member(struct trit_jinja_run *r, struct trit_value v, struct trit_string name)
{
	const struct trit_jinja_loop *l = v.object;
	int64_t at = (int64_t)l->at, n = (int64_t)l->members->n;
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
		{ "index", at + 1 }, { "index0", at },        { "revindex", n - at }, { "revindex0", n - at - 1 },
		{ "length", n },     { "depth", 1 },   { "depth0", 0 }, /* recursive loops would go deeper */
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (trit_string_is(name, numbers[i].name))
			return trit_value_int(numbers[i].value);
	if (trit_string_is(name, "first"))
		return trit_value_bool(at == 0);
	if (trit_string_is(name, "last"))
		return trit_value_bool(at == n - 1);
	if (trit_string_is(name, "previtem") && at > 0 && at <= n)
		return l->members->items[at - 1];
	if (trit_string_is(name, "nextitem") && at + 1 < n)
		return l->members->items[at + 1];
	if (trit_string_is(name, "cycle"))
		return trit_jinja_function(r, "cycle", loop_cycle, v);
	if (trit_string_is(name, "changed"))
		return trit_jinja_function(r, "changed", loop_changed, v);
	return trit_value_undefined(name);
}

struct trit_value trit_jinja_member(struct trit_jinja_run *r, struct trit_value v, struct trit_string name)
{
	const struct trit_pair *p;
	struct trit_value method;

	if (v.kind == TRIT_VALUE_UNDEFINED)
		return trit_jinja_refuse(r, v, "");
	if (v.kind == TRIT_VALUE_LOOP)
		return loop_member(r, v, name);
	method = trit_jinja_method(r, v, name);
	if (method.kind != TRIT_VALUE_UNDEFINED)
		return method;
	p = trit_value_find(r->heap, v, trit_value_of(name));
	return p ? p->value : trit_value_undefined(name);
}

/* Member `i` of a list, characters of a string; from the end when negative. */
static struct trit_value item_at(struct trit_jinja_run *r, struct trit_value v, int64_t i)
{
	int64_t n = (int64_t)trit_value_length(r->heap, v);

	if (i < 0)
		i += n;
	if (i < 0 || i >= n)
		return NOTHING;
	if (v.kind != TRIT_VALUE_STRING)
		return v.list->items[i];
	return trit_jinja_slice(r, v, (struct trit_value[]){ trit_value_int(i), trit_value_int(i + 1), trit_value_none() });
}

struct trit_value trit_jinja_item(struct trit_jinja_run *r, struct trit_value v, struct trit_value key)
{
	const struct trit_pair *p;

	if (v.kind == TRIT_VALUE_UNDEFINED)
		return trit_jinja_refuse(r, v, "");
	if ((key.kind == TRIT_VALUE_INT || key.kind == TRIT_VALUE_BOOL) &&
	    (v.kind == TRIT_VALUE_LIST || v.kind == TRIT_VALUE_TUPLE || v.kind == TRIT_VALUE_STRING))
		return item_at(r, v, key.kind == TRIT_VALUE_INT ? key.integer : key.boolean);
	p = v.kind == TRIT_VALUE_DICT ? trit_value_find(r->heap, v, key) : NULL;
	if (p)
		return p->value;
	if (key.kind == TRIT_VALUE_STRING)
		return trit_jinja_member(r, v, key.string);
	return trit_value_undefined(trit_value_str(r->heap, key));
}

/* Where character i of a string begins, for i going up from `*chars`, `*at`. */
static size_t char_at(struct trit_string s, int64_t i, int64_t *chars, size_t *at)
{
	for (; *chars < i && *at < s.len; ++*chars)
		*at += trit_char_len(s.len - *at, s.bytes + *at);
	return *at;
}

static int64_t bound(struct trit_jinja_run *r, struct trit_value v, int64_t otherwise, int64_t n, int64_t low,
                     int64_t high)
{
	int64_t i;

	if (v.kind == TRIT_VALUE_NONE)
		return otherwise;
	if (v.kind != TRIT_VALUE_INT && v.kind != TRIT_VALUE_BOOL) {
		trit_jinja_refuse(r, v, "a slice");
		return 0;
	}
	i = v.kind == TRIT_VALUE_INT ? v.integer : v.boolean;
	if (i < 0)
		i += n;
	return i < low ? low : i > high ? high : i;
}

/* Characters start, start + step, ... of a string, up to `stop`. */
static struct trit_value slice_string(struct trit_jinja_run *r, struct trit_string s, int64_t start, int64_t stop,
                                      int64_t step)
{
	struct trit_value chars;
	struct trit_text t = { .heap = r->heap };
	int64_t count = 0;
	size_t at = 0, from;

	if (!trit_heap_work(r->heap, s.len))
		return NOTHING;
	if (step == 1) {
		from = char_at(s, start, &count, &at);
		return trit_value_of(trit_string_part(s, from, stop > start ? char_at(s, stop, &count, &at) : from));
	}
	chars = trit_value_members(r->heap, trit_value_of(s));
	for (int64_t i = start; (step > 0 ? i < stop : i > stop) && r->heap->status == 0; i += step)
		trit_text_add(&t, chars.list->items[i].string);
	return trit_value_of(trit_text_string(&t));
}

struct trit_value trit_jinja_slice(struct trit_jinja_run *r, struct trit_value v, const struct trit_value part[3])
{
	int64_t n, start, stop, step;
	struct trit_value list;
	bool down;

	if (v.kind != TRIT_VALUE_STRING && v.kind != TRIT_VALUE_LIST && v.kind != TRIT_VALUE_TUPLE)
		return trit_jinja_refuse(r, v, "a slice");
	n = (int64_t)trit_value_length(r->heap, v);
	step = bound(r, part[2], 1, 0, -n - 1, n + 1);
	if (step == 0)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "a slice with steps of 0");
	down = step < 0;
	start = bound(r, part[0], down ? n - 1 : 0, n, down ? -1 : 0, down ? n - 1 : n);
	stop = bound(r, part[1], down ? -1 : n, n, down ? -1 : 0, down ? n - 1 : n);
	if (r->heap->status < 0)
		return NOTHING;
	if (v.kind == TRIT_VALUE_STRING)
		return slice_string(r, v.string, start, stop, step);
	list = trit_value_list(r->heap, v.kind);
	for (int64_t i = start; (down ? i > stop : i < stop) && trit_heap_work(r->heap, 0); i += step)
		trit_value_append(r->heap, list, v.list->items[i]);
	return list;
}

static struct trit_value eval_slice(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_value v = trit_jinja_eval(r, n->a), part[3] = { trit_value_none(), trit_value_none(),
		                                                    trit_value_none() };
	int i = 0;

	for (const struct trit_jinja_node *at = n->items; at && i < 3; at = at->next)
		part[i++] = trit_jinja_eval(r, at);
	return r->heap->status == 0 ? trit_jinja_slice(r, v, part) : NOTHING;
}

/* ---- operators --------------------------------------------------------------------------------------------------- */

static bool is_int(struct trit_value v)
{
	return v.kind == TRIT_VALUE_INT || v.kind == TRIT_VALUE_BOOL;
}

static int64_t to_int(struct trit_value v)
{
	return v.kind == TRIT_VALUE_INT ? v.integer : v.boolean;
}

static struct trit_value overflow(struct trit_jinja_run *r)
{
	return trit_jinja_fail(r, TRIT_ERR_LIMIT, "a number beyond 64 bits");
}

static struct trit_value power_of_ints(struct trit_jinja_run *r, int64_t base, int64_t exponent)
{
	int64_t result = 1;

	if (exponent < 0)
		return trit_value_float(pow((double)base, (double)exponent));
	if (base == 0 || base == 1)
		return trit_value_int(exponent == 0 ? 1 : base);
	if (base == -1)
		return trit_value_int(exponent % 2 ? -1 : 1);
	for (; exponent > 0; exponent--)
		if (__builtin_mul_overflow(result, base, &result))
			return overflow(r); /* after 63 rounds at most */
	return trit_value_int(result);
}

static struct trit_value ints(struct trit_jinja_run *r, int op, int64_t a, int64_t b)
{
	int64_t result = 0;
	bool over = false;

	if ((op == '/' || op == '%' || op == TRIT_JINJA_FLOOR) && b == 0)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "division by zero");
	switch (op) {
	case '+':
		over = __builtin_add_overflow(a, b, &result);
		break;
	case '-':
		over = __builtin_sub_overflow(a, b, &result);
		break;
	case '*':
		over = __builtin_mul_overflow(a, b, &result);
		break;
	case '/':
		return trit_value_float((double)a / (double)b);
	case TRIT_JINJA_FLOOR:
		if (a == INT64_MIN && b == -1)
			return overflow(r);
		result = a / b - (a % b != 0 && (a < 0) != (b < 0));
		break;
	case '%':
		result = b == -1 ? 0 : a % b;
		result += result != 0 && (result < 0) != (b < 0) ? b : 0;
		break;
	default:
		return power_of_ints(r, a, b);
	}
	return over ? overflow(r) : trit_value_int(result);
}

static struct trit_value floats(struct trit_jinja_run *r, int op, double a, double b)
{
	double rest;

	if ((op == '/' || op == '%' || op == TRIT_JINJA_FLOOR) && b == 0)
		return trit_jinja_fail(r, TRIT_ERR_FORMAT, "division by zero");
	switch (op) {
	case '+':
		return trit_value_float(a + b);
	case '-':
		return trit_value_float(a - b);
	case '*':
		return trit_value_float(a * b);
	case '/':
		return trit_value_float(a / b);
	case TRIT_JINJA_FLOOR:
		return trit_value_float(floor(a / b));
	case '%':
		rest = fmod(a, b);
		return trit_value_float(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
	default:
		return trit_value_float(pow(a, b));
	}
}

/* A string or list n times. */
static struct trit_value repeat(struct trit_jinja_run *r, struct trit_value v, int64_t n)
{
	struct trit_text t = { .heap = r->heap };
	struct trit_value list;

	if (v.kind == TRIT_VALUE_STRING) {
		for (int64_t i = 0; i < n && v.string.len > 0 && r->heap->status == 0; i++)
			trit_text_add(&t, v.string);
		return trit_value_of(trit_text_string(&t));
	}
	list = trit_value_list(r->heap, v.kind);
	for (int64_t i = 0; i < n && v.list->n > 0 && r->heap->status == 0; i++)
		for (size_t k = 0; k < v.list->n && trit_heap_work(r->heap, 0); k++)
			trit_value_append(r->heap, list, v.list->items[k]);
	return list;
}

static bool is_sequence(struct trit_value v)
{
	return v.kind == TRIT_VALUE_STRING || v.kind == TRIT_VALUE_LIST || v.kind == TRIT_VALUE_TUPLE;
}

/* Of which one is safe, the other is escaped, as Jinja's Markup does even without autoescaping. */
static struct trit_value join_strings(struct trit_jinja_run *r, struct trit_value a, struct trit_value b)
{
	struct trit_text t = { .heap = r->heap };
	bool safe = a.safe || b.safe;

	trit_text_add(&t, safe ? trit_jinja_escape(r, a).string : a.string);
	trit_text_add(&t, safe ? trit_jinja_escape(r, b).string : b.string);
	a = trit_value_of(trit_text_string(&t));
	a.safe = safe;
	return a;
}

static struct trit_value join_lists(struct trit_jinja_run *r, struct trit_value a, struct trit_value b)
{
	a = repeat(r, a, 1);
	for (size_t i = 0; i < b.list->n && trit_heap_work(r->heap, 0); i++)
		trit_value_append(r->heap, a, b.list->items[i]);
	return a;
}

static struct trit_value operate(struct trit_jinja_run *r, int op, struct trit_value a, struct trit_value b)
{
	char name[4] = { (char)op, 0 };

	if (is_int(a) && is_int(b))
		return ints(r, op, to_int(a), to_int(b));
	if (trit_value_is_number(a) && trit_value_is_number(b))
		return floats(r, op, trit_value_number(a), trit_value_number(b));
	if (op == '+' && is_sequence(a) && a.kind == b.kind)
		return a.kind == TRIT_VALUE_STRING ? join_strings(r, a, b) : join_lists(r, a, b);
	if (op == '*' && is_sequence(a) && is_int(b))
		return repeat(r, a, to_int(b));
	if (op == '*' && is_sequence(b) && is_int(a))
		return repeat(r, b, to_int(a));
	if (a.kind == TRIT_VALUE_UNDEFINED || b.kind == TRIT_VALUE_UNDEFINED)
		return trit_jinja_refuse(r, a.kind == TRIT_VALUE_UNDEFINED ? a : b, "");
	return trit_jinja_fail(r, TRIT_ERR_FORMAT, "%s between %s and %s",
	                       op == TRIT_JINJA_FLOOR ? "//" : op == TRIT_JINJA_POWER ? "**" : name,
	                       trit_value_type(a), trit_value_type(b));
}

struct trit_value trit_jinja_add(struct trit_jinja_run *r, struct trit_value a, struct trit_value b)
{
	return operate(r, '+', a, b);
}

static bool compare(struct trit_jinja_run *r, int op, struct trit_value a, struct trit_value b)
{
	switch (op) {
	case TRIT_JINJA_EQ:
		return trit_value_equal(r->heap, a, b);
	case TRIT_JINJA_NE:
		return !trit_value_equal(r->heap, a, b);
	case TRIT_JINJA_IN:
	case TRIT_JINJA_NOT_IN:
		if (b.kind == TRIT_VALUE_NONE || trit_value_is_number(b))
			trit_jinja_refuse(r, b, "in");
		return r->heap->status == 0 && trit_value_has(r->heap, b, a) == (op == TRIT_JINJA_IN);
	case '<':
		return trit_value_order(r->heap, a, b) < 0;
	case '>':
		return trit_value_order(r->heap, a, b) > 0;
	case TRIT_JINJA_LE:
		return trit_value_order(r->heap, a, b) <= 0;
	default:
		return trit_value_order(r->heap, a, b) >= 0;
	}
}

static struct trit_value eval_comparison(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_value left = trit_jinja_eval(r, n->a);

	for (const struct trit_jinja_node *i = n->items; i && r->heap->status == 0; i = i->next) {
		struct trit_value right = trit_jinja_eval(r, i->a);

		if (r->heap->status < 0 || !compare(r, i->op, left, right))
			return trit_value_bool(false);
		left = right;
	}
	return trit_value_bool(true);
}

static struct trit_value eval_sign(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_value v = trit_jinja_eval(r, n->a);

	if (r->heap->status < 0)
		return NOTHING;
	if (!trit_value_is_number(v))
		return trit_jinja_refuse(r, v, "a sign");
	if (v.kind == TRIT_VALUE_FLOAT)
		return trit_value_float(n->type == TRIT_JINJA_NEGATIVE ? -v.number : v.number);
	return n->type == TRIT_JINJA_NEGATIVE ? ints(r, '-', 0, to_int(v)) : trit_value_int(to_int(v));
}

/* ---- lists, calls, and all the rest ------------------------------------------------------------------------------ */

static struct trit_value eval_display(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_value v;

	if (n->type == TRIT_JINJA_DICT) {
		v = trit_value_dict(r->heap, TRIT_VALUE_DICT);
		for (const struct trit_jinja_node *i = n->items; i && r->heap->status == 0; i = i->next->next) {
			struct trit_value key = trit_jinja_eval(r, i);

			trit_value_put(r->heap, v, key, trit_jinja_eval(r, i->next));
		}
		return v;
	}
	v = trit_value_list(r->heap, n->type == TRIT_JINJA_LIST ? TRIT_VALUE_LIST : TRIT_VALUE_TUPLE);
	for (const struct trit_jinja_node *i = n->items; i && r->heap->status == 0; i = i->next)
		trit_value_append(r->heap, v, trit_jinja_eval(r, i));
	return v;
}

static struct trit_value eval_concat(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_text t = { .heap = r->heap };

	for (const struct trit_jinja_node *i = n->items; i && r->heap->status == 0; i = i->next)
		trit_text_add_str(&t, trit_jinja_eval(r, i));
	return trit_value_of(trit_text_string(&t));
}

static struct trit_value eval_node(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_value a, b;
	struct trit_jinja_args args;

	switch (n->type) {
	case TRIT_JINJA_CONST:
		return n->value;
	case TRIT_JINJA_VARIABLE:
		return eval_variable(r, n->name);
	case TRIT_JINJA_LIST:
	case TRIT_JINJA_TUPLE:
	case TRIT_JINJA_DICT:
		return eval_display(r, n);
	case TRIT_JINJA_SLICE:
		return eval_slice(r, n);
	case TRIT_JINJA_NEGATIVE:
	case TRIT_JINJA_POSITIVE:
		return eval_sign(r, n);
	case TRIT_JINJA_CONCAT:
		return eval_concat(r, n);
	case TRIT_JINJA_COMPARE:
		return eval_comparison(r, n);
	case TRIT_JINJA_NOT:
		return trit_value_bool(!trit_value_true(trit_jinja_eval(r, n->a)));
	case TRIT_JINJA_AND:
	case TRIT_JINJA_OR:
		a = trit_jinja_eval(r, n->a);
		return trit_value_true(a) == (n->type == TRIT_JINJA_AND) ? trit_jinja_eval(r, n->b) : a;
	case TRIT_JINJA_CHOICE:
		if (trit_value_true(trit_jinja_eval(r, n->b)))
			return trit_jinja_eval(r, n->a);
		return n->c ? trit_jinja_eval(r, n->c) : trit_value_undefined(trit_string_c("an if without else"));
	default:
		break;
	}
	a = n->a ? trit_jinja_eval(r, n->a) : r->filtered;
	b = n->type == TRIT_JINJA_ITEM || n->type == TRIT_JINJA_BINARY ? trit_jinja_eval(r, n->b) : NOTHING;
	args = eval_args(r, n->items);
	if (r->heap->status < 0)
		return NOTHING;
	r->heap->line = n->line;
	r->heap->column = n->column;
	switch (n->type) {
	case TRIT_JINJA_MEMBER:
		return trit_jinja_member(r, a, n->name);
	case TRIT_JINJA_ITEM:
		return trit_jinja_item(r, a, b);
	case TRIT_JINJA_BINARY:
		return operate(r, n->op, a, b);
	case TRIT_JINJA_CALL:
		return trit_jinja_call(r, a, &args);
	case TRIT_JINJA_FILTER:
		return trit_jinja_filter(r, n->name, a, &args);
	case TRIT_JINJA_TEST:
		return trit_value_bool(trit_jinja_test(r, n->name, a, &args));
	default:
		return NOTHING;
	}
}

struct trit_value trit_jinja_eval(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_value v;

	if (!trit_heap_work(r->heap, 0))
		return NOTHING;
	r->heap->line = n->line;
	r->heap->column = n->column;
	if (++r->depth > TRIT_JINJA_MAX_CALLS)
		return trit_jinja_fail(r, TRIT_ERR_LIMIT, "calls nested deeper than %d, which is the limit here",
		                       TRIT_JINJA_MAX_CALLS);
	v = eval_node(r, n);
	r->depth--;
	return r->heap->status == 0 ? v : NOTHING;
}
