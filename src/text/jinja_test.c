/*
 * jinja_test.c - tests: x is defined, x is divisibleby 3.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/jinja_parts.h"

typedef bool test_fn(struct trit_jinja_run *r, struct trit_value v, struct trit_value other);

#define TEST(name) static bool name(struct trit_jinja_run *r, struct trit_value v, struct trit_value other)
#define UNUSED ((void)r, (void)v, (void)other)

TEST(defined)
{
	UNUSED;
	return v.kind != TRIT_VALUE_UNDEFINED;
}

TEST(undefined)
{
	UNUSED;
	return v.kind == TRIT_VALUE_UNDEFINED;
}

TEST(is_none)
{
	UNUSED;
	return v.kind == TRIT_VALUE_NONE;
}

TEST(string)
{
	UNUSED;
	return v.kind == TRIT_VALUE_STRING;
}

TEST(mapping)
{
	UNUSED;
	return v.kind == TRIT_VALUE_DICT;
}

TEST(sequence)
{
	UNUSED;
	return v.kind == TRIT_VALUE_STRING || v.kind == TRIT_VALUE_LIST || v.kind == TRIT_VALUE_TUPLE ||
	       v.kind == TRIT_VALUE_DICT || v.kind == TRIT_VALUE_UNDEFINED;
}

TEST(number)
{
	UNUSED;
	return trit_value_is_number(v);
}

TEST(boolean)
{
	UNUSED;
	return v.kind == TRIT_VALUE_BOOL;
}

TEST(integer)
{
	UNUSED;
	return v.kind == TRIT_VALUE_INT;
}

TEST(is_float)
{
	UNUSED;
	return v.kind == TRIT_VALUE_FLOAT;
}

TEST(is_true)
{
	UNUSED;
	return v.kind == TRIT_VALUE_BOOL && v.boolean;
}

TEST(is_false)
{
	UNUSED;
	return v.kind == TRIT_VALUE_BOOL && !v.boolean;
}

TEST(callable)
{
	UNUSED;
	return v.kind == TRIT_VALUE_MACRO || v.kind == TRIT_VALUE_FUNCTION;
}

TEST(equal)
{
	return trit_value_equal(r->heap, v, other);
}

TEST(unequal)
{
	return !trit_value_equal(r->heap, v, other);
}

TEST(less)
{
	return trit_value_order(r->heap, v, other) < 0;
}

TEST(less_or_equal)
{
	return trit_value_order(r->heap, v, other) <= 0;
}

TEST(greater)
{
	return trit_value_order(r->heap, v, other) > 0;
}

TEST(greater_or_equal)
{
	return trit_value_order(r->heap, v, other) >= 0;
}

TEST(in)
{
	return trit_value_has(r->heap, other, v);
}

/* Identity, which for small values is equality of type and value. */
TEST(same)
{
	return v.kind == other.kind && (v.kind >= TRIT_VALUE_LIST ? v.object == other.object
	                                                          : trit_value_equal(r->heap, v, other));
}

static bool has_remainder(struct trit_jinja_run *r, struct trit_value v, int64_t by, int64_t remainder)
{
	if (v.kind != TRIT_VALUE_INT && v.kind != TRIT_VALUE_BOOL)
		trit_jinja_refuse(r, v, "even, odd or divisibleby");
	else if (by == 0)
		trit_jinja_fail(r, TRIT_ERR_FORMAT, "division by zero");
	else
		return by == -1 || (v.kind == TRIT_VALUE_INT ? v.integer : v.boolean) % by == remainder;
	return false;
}

TEST(even)
{
	(void)other;
	return has_remainder(r, v, 2, 0);
}

TEST(odd)
{
	(void)other;
	return !has_remainder(r, v, 2, 0);
}

TEST(divisible)
{
	if (other.kind != TRIT_VALUE_INT)
		trit_jinja_refuse(r, other, "divisibleby");
	return other.kind == TRIT_VALUE_INT && has_remainder(r, v, other.integer, 0);
}

static bool is_case(struct trit_jinja_run *r, struct trit_value v, const char *method)
{
	struct trit_value string = trit_value_of(trit_value_str(r->heap, v)),
	                  f = trit_jinja_method(r, string, trit_string_c(method));

	return r->heap->status == 0 && trit_value_true(trit_jinja_call(r, f, &(struct trit_jinja_args){ 0 }));
}

TEST(upper)
{
	(void)other;
	return is_case(r, v, "isupper");
}

TEST(lower)
{
	(void)other;
	return is_case(r, v, "islower");
}

bool trit_jinja_test(struct trit_jinja_run *r, struct trit_string name, struct trit_value v,
                     const struct trit_jinja_args *args)
{
	static const struct {
		const char *name;
		test_fn *test;
		bool takes_one;
	} tests[] = {
		{ "defined", defined, false },
		{ "undefined", undefined, false },
		{ "none", is_none, false },
		{ "string", string, false },
		{ "mapping", mapping, false },
		{ "sequence", sequence, false },
		{ "iterable", sequence, false },
		{ "number", number, false },
		{ "boolean", boolean, false },
		{ "integer", integer, false },
		{ "float", is_float, false },
		{ "true", is_true, false },
		{ "false", is_false, false },
		{ "callable", callable, false },
		{ "even", even, false },
		{ "odd", odd, false },
		{ "upper", upper, false },
		{ "lower", lower, false },
		{ "divisibleby", divisible, true },
		{ "sameas", same, true },
		{ "in", in, true },
		{ "equalto", equal, true },
		{ "eq", equal, true },
		{ "==", equal, true },
		{ "ne", unequal, true },
		{ "!=", unequal, true },
		{ "lt", less, true },
		{ "lessthan", less, true },
		{ "<", less, true },
		{ "le", less_or_equal, true },
		{ "<=", less_or_equal, true },
		{ "gt", greater, true },
		{ "greaterthan", greater, true },
		{ ">", greater, true },
		{ "ge", greater_or_equal, true },
		{ ">=", greater_or_equal, true },
	};

	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
		if (!trit_string_is(name, tests[i].name))
			continue;
		if (args->n != (size_t)tests[i].takes_one || args->n_named > 0) {
			trit_jinja_fail(r, TRIT_ERR_FORMAT, "the test %s takes %s argument", tests[i].name,
			                tests[i].takes_one ? "one" : "no");
			return false;
		}
		return tests[i].test(r, v, trit_jinja_arg(args, 0, NULL, trit_value_none()));
	}
	trit_jinja_fail(r, TRIT_ERR_UNSUPPORTED, "there is no test \"%.*s\"", name.len < 60 ? (int)name.len : 60,
	                name.len ? name.bytes : "");
	return false;
}
