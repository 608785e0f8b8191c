/*
 * jinja_parse.c - expressions of a template as a tree, by recursive descent along Jinja's grammar.
 *
 * From weak to strong: a if b else c; or; and; not; comparisons; + -; ~; * / // %; **; signs; members, items and calls;
 * filters and tests. How deep brackets, blocks and the tree may be nested is bounded, and with it the C stack here and
 * where the tree is walked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/jinja_parser.h"

static struct trit_jinja_node *parse_unary(struct parser *p, bool with_filters);
static struct trit_jinja_node *parse_filters(struct parser *p, struct trit_jinja_node *n);

/* ---- primary expressions ----------------------------------------------------------------------------------------- */

static struct trit_jinja_node *new_const(struct parser *p, struct trit_value v)
{
	struct trit_jinja_node *n = new_node(p, TRIT_JINJA_CONST, p->at);

	if (n)
		n->value = v;
	return finish(p, n);
}

static struct trit_jinja_node *parse_name(struct parser *p)
{
	const struct trit_jinja_token *t = p->at;
	struct trit_jinja_node *n;

	if (is_word(t, "true") || is_word(t, "True") || is_word(t, "false") || is_word(t, "False"))
		n = new_const(p, trit_value_bool((t->text.bytes[0] | 32) == 't'));
	else if (is_word(t, "none") || is_word(t, "None"))
		n = new_const(p, trit_value_none());
	else {
		n = new_node(p, TRIT_JINJA_VARIABLE, t);
		if (n)
			n->name = t->text;
		n = finish(p, n);
		p->takes_all |= is_word(t, "varargs") || is_word(t, "kwargs");
	}
	next(p);
	return n;
}

/* Strings beside each other are one. */
static struct trit_jinja_node *parse_string(struct parser *p)
{
	struct trit_jinja_node *n = new_const(p, trit_value_of(p->at->text));
	struct trit_text text = { .heap = p->heap };

	if (p->at[1].type != TRIT_JINJA_STRING) {
		next(p);
		return n;
	}
	for (; p->at->type == TRIT_JINJA_STRING && p->heap->status == 0; next(p))
		trit_text_add(&text, p->at->text);
	if (n)
		n->value = trit_value_of(trit_text_string(&text));
	return n;
}

/* What may follow the last element of a tuple without parentheses. */
static bool is_tuple_end(const struct trit_jinja_token *t)
{
	return t->type == TRIT_JINJA_VARIABLE_END || t->type == TRIT_JINJA_BLOCK_END || is_operator(t, ")") ||
	       is_operator(t, "=") || is_word(t, "in");
}

struct trit_jinja_node *trit_jinja_parse_tuple(struct parser *p, struct trit_jinja_node *element(struct parser *),
                                               bool may_be_empty)
{
	const struct trit_jinja_token *begin = p->at;
	struct trit_jinja_node *n;
	struct list list;
	bool is_tuple = false;

	list_init(&list);
	while (p->heap->status == 0) {
		if (is_tuple_end(p->at))
			break;
		list_add(&list, element(p));
		if (!skip_operator(p, ","))
			break;
		is_tuple = true;
	}
	if (!is_tuple && list.first)
		return list.first;
	if (!list.first && !may_be_empty)
		return p->heap->status == 0 ? fail_unexpected(p, "an expression") : NULL;
	n = new_node(p, TRIT_JINJA_TUPLE, begin);
	if (n)
		n->items = list.first;
	return finish(p, n);
}

/* A list in brackets, or a dict in braces; the opening one is at hand. */
static struct trit_jinja_node *parse_display(struct parser *p)
{
	bool dict = is_operator(p->at, "{");
	const char *end = dict ? "}" : "]";
	struct trit_jinja_node *n = new_node(p, dict ? TRIT_JINJA_DICT : TRIT_JINJA_LIST, p->at);
	struct list list;

	next(p);
	list_init(&list);
	while (p->heap->status == 0 && !is_operator(p->at, end)) {
		if (list.first) {
			expect_operator(p, ",");
			if (is_operator(p->at, end))
				break;
		}
		list_add(&list, trit_jinja_parse_expression(p));
		if (dict) {
			expect_operator(p, ":");
			list_add(&list, trit_jinja_parse_expression(p));
		}
	}
	expect_operator(p, end);
	if (n)
		n->items = list.first;
	return finish(p, n);
}

static struct trit_jinja_node *parse_primary(struct parser *p)
{
	const struct trit_jinja_token *t = p->at;
	struct trit_jinja_node *n;

	if (p->heap->status < 0)
		return NULL;
	switch (t->type) {
	case TRIT_JINJA_NAME:
		return parse_name(p);
	case TRIT_JINJA_STRING:
		return parse_string(p);
	case TRIT_JINJA_NUMBER:
		n = new_const(p, t->value);
		next(p);
		return n;
	case TRIT_JINJA_OPERATOR:
		if (skip_operator(p, "(")) {
			n = enter(p) ? trit_jinja_parse_tuple(p, trit_jinja_parse_expression, true) : NULL;
			p->nesting--;
			expect_operator(p, ")");
			return n;
		}
		if (is_operator(t, "[") || is_operator(t, "{")) {
			n = enter(p) ? parse_display(p) : NULL;
			p->nesting--;
			return n;
		}
		return fail_unexpected(p, "an expression");
	default:
		return fail_unexpected(p, "an expression");
	}
}

/* ---- what follows a primary expression --------------------------------------------------------------------------- */

/* (a, b, name=c) as a list; the parenthesis is at hand. */
static struct trit_jinja_node *parse_args(struct parser *p)
{
	struct list list;

	list_init(&list);
	expect_operator(p, "(");
	while (p->heap->status == 0 && !is_operator(p->at, ")")) {
		struct trit_string name = { 0 };
		struct trit_jinja_node *arg;

		if (list.first) {
			expect_operator(p, ",");
			if (is_operator(p->at, ")"))
				break;
		}
		if (is_operator(p->at, "*") || is_operator(p->at, "**")) {
			fail_at(p, p->at, TRIT_ERR_UNSUPPORTED, "* and ** before an argument are not supported");
			break;
		}
		if (p->at->type == TRIT_JINJA_NAME && is_operator(p->at + 1, "=")) {
			name = p->at->text;
			next(p);
			next(p);
		}
		arg = trit_jinja_parse_expression(p);
		if (arg && name.bytes) {
			struct trit_jinja_node *named = new_node(p, TRIT_JINJA_NAMED, p->at);

			if (!named)
				break;
			named->a = arg;
			named->name = name;
			arg = finish(p, named);
		}
		list_add(&list, arg);
	}
	expect_operator(p, ")");
	return list.first;
}

static struct trit_jinja_node *parse_subscript(struct parser *p, struct trit_jinja_node *a)
{
	const struct trit_jinja_token *begin = p->at;
	struct trit_jinja_node *n = new_node(p, TRIT_JINJA_ITEM, begin);
	struct list parts;
	int colons = 0;

	next(p);
	list_init(&parts);
	while (p->heap->status == 0 && !is_operator(p->at, "]")) {
		if (is_operator(p->at, ":") && colons < 2) {
			if (colons == 0 ? !parts.first : !parts.first->next) /* a part left out */
				list_add(&parts, new_const(p, trit_value_none()));
			next(p);
			colons++;
		} else {
			list_add(&parts, trit_jinja_parse_expression(p));
			if (!is_operator(p->at, "]") && !is_operator(p->at, ":"))
				break;
		}
	}
	expect_operator(p, "]");
	if (!n || p->heap->status < 0)
		return NULL;
	if (!parts.first)
		return fail_at(p, begin, TRIT_ERR_FORMAT, "[] without a subscript");
	n->a = a;
	if (colons > 0) {
		n->type = TRIT_JINJA_SLICE;
		n->items = parts.first;
	} else {
		n->b = parts.first;
	}
	return finish(p, n);
}

struct trit_jinja_node *trit_jinja_parse_member(struct parser *p, struct trit_jinja_node *a)
{
	struct trit_jinja_node *n = new_node(p, TRIT_JINJA_MEMBER, p->at);

	next(p);
	if (!n)
		return NULL;
	n->a = a;
	if (p->at->type == TRIT_JINJA_NUMBER && p->at->value.kind == TRIT_VALUE_INT) {
		n->type = TRIT_JINJA_ITEM;
		n->b = new_const(p, p->at->value);
		next(p);
	} else {
		n->name = expect_name(p);
	}
	return finish(p, n);
}

static struct trit_jinja_node *parse_call(struct parser *p, struct trit_jinja_node *a)
{
	struct trit_jinja_node *n = new_node(p, TRIT_JINJA_CALL, p->at);

	if (!n || !enter(p))
		return NULL;
	n->a = a;
	n->items = parse_args(p);
	p->nesting--;
	return finish(p, n);
}

static struct trit_jinja_node *parse_postfix(struct parser *p, struct trit_jinja_node *n)
{
	while (n && p->heap->status == 0) {
		if (is_operator(p->at, "."))
			n = trit_jinja_parse_member(p, n);
		else if (is_operator(p->at, "[")) {
			n = enter(p) ? parse_subscript(p, n) : NULL;
			p->nesting--;
		} else if (is_operator(p->at, "("))
			n = parse_call(p, n);
		else
			break;
	}
	return n;
}

/* Whether a test's argument without parentheses follows: is divisibleby 3. */
static bool is_test_argument(const struct trit_jinja_token *t)
{
	if (t->type == TRIT_JINJA_NAME)
		return !is_word(t, "else") && !is_word(t, "or") && !is_word(t, "and") && !is_word(t, "if") &&
		       !is_word(t, "is");
	return t->type == TRIT_JINJA_STRING || t->type == TRIT_JINJA_NUMBER || is_operator(t, "[") ||
	       is_operator(t, "{");
}

static struct trit_jinja_node *parse_test(struct parser *p, struct trit_jinja_node *a)
{
	struct trit_jinja_node *n = new_node(p, TRIT_JINJA_TEST, p->at), *negated;
	bool is_not;

	next(p);
	is_not = skip_word(p, "not");
	if (!n)
		return NULL;
	n->a = a;
	n->name = expect_name(p);
	if (is_operator(p->at, "(")) {
		if (!enter(p))
			return NULL;
		n->items = parse_args(p);
		p->nesting--;
	} else if (is_test_argument(p->at)) {
		n->items = parse_postfix(p, parse_primary(p));
	}
	n = finish(p, n);
	if (!is_not || !n)
		return n;
	negated = new_node(p, TRIT_JINJA_NOT, p->at);
	if (negated)
		negated->a = n;
	return finish(p, negated);
}

struct trit_jinja_node *trit_jinja_parse_filter(struct parser *p, struct trit_jinja_node *a)
{
	struct trit_jinja_node *n = new_node(p, TRIT_JINJA_FILTER, p->at);

	if (!n)
		return NULL;
	n->a = a;
	n->name = expect_name(p);
	if (is_operator(p->at, "(")) {
		if (!enter(p))
			return NULL;
		n->items = parse_args(p);
		p->nesting--;
	}
	return finish(p, n);
}

static struct trit_jinja_node *parse_filters(struct parser *p, struct trit_jinja_node *n)
{
	while (n && p->heap->status == 0) {
		if (skip_operator(p, "|"))
			n = trit_jinja_parse_filter(p, n);
		else if (is_word(p->at, "is"))
			n = parse_test(p, n);
		else if (is_operator(p->at, "("))
			n = parse_call(p, n);
		else
			break;
	}
	return n;
}

/* ---- operators --------------------------------------------------------------------------------------------------- */

struct trit_jinja_node *trit_jinja_new_operation(struct parser *p, enum trit_jinja_node_type type, int op,
                                                 const struct trit_jinja_token *at, struct trit_jinja_node *a,
                                                 struct trit_jinja_node *b)
{
	struct trit_jinja_node *n = new_node(p, type, at);

	if (n) {
		n->op = op;
		n->a = a;
		n->b = b;
	}
	return finish(p, n);
}

static struct trit_jinja_node *parse_unary(struct parser *p, bool with_filters)
{
	const struct trit_jinja_token *t = p->at;
	struct trit_jinja_node *n;

	if (is_operator(t, "-") || is_operator(t, "+")) {
		next(p);
		n = enter(p) ? parse_unary(p, false) : NULL;
		p->nesting--;
		n = trit_jinja_new_operation(p, is_operator(t, "-") ? TRIT_JINJA_NEGATIVE : TRIT_JINJA_POSITIVE, 0, t, n, NULL);
	} else {
		n = parse_primary(p);
	}
	n = parse_postfix(p, n);
	return with_filters ? parse_filters(p, n) : n;
}

static struct trit_jinja_node *parse_power(struct parser *p)
{
	struct trit_jinja_node *n = parse_unary(p, true);
	const struct trit_jinja_token *t;

	while (t = p->at, n && skip_operator(p, "**"))
		n = trit_jinja_new_operation(p, TRIT_JINJA_BINARY, TRIT_JINJA_POWER, t, n, parse_unary(p, true));
	return n;
}

static struct trit_jinja_node *parse_product(struct parser *p)
{
	struct trit_jinja_node *n = parse_power(p);

	while (n) {
		const struct trit_jinja_token *t = p->at;
		int op = is_operator(t, "*") || is_operator(t, "/") || is_operator(t, "%") ? t->text.bytes[0]
		         : is_operator(t, "//")                                            ? TRIT_JINJA_FLOOR
		                                                                           : 0;

		if (op == 0)
			break;
		next(p);
		n = trit_jinja_new_operation(p, TRIT_JINJA_BINARY, op, t, n, parse_power(p));
	}
	return n;
}

static struct trit_jinja_node *parse_concat(struct parser *p)
{
	struct trit_jinja_node *first = parse_product(p), *n;
	const struct trit_jinja_token *t = p->at;
	struct list list;

	if (!is_operator(t, "~"))
		return first;
	list_init(&list);
	list_add(&list, first);
	while (p->heap->status == 0 && skip_operator(p, "~"))
		list_add(&list, parse_product(p));
	n = new_node(p, TRIT_JINJA_CONCAT, t);
	if (n)
		n->items = list.first;
	return finish(p, n);
}

static struct trit_jinja_node *parse_sum(struct parser *p)
{
	struct trit_jinja_node *n = parse_concat(p);
	const struct trit_jinja_token *t;

	while (t = p->at, n && (skip_operator(p, "+") || skip_operator(p, "-")))
		n = trit_jinja_new_operation(p, TRIT_JINJA_BINARY, t->text.bytes[0], t, n, parse_concat(p));
	return n;
}

/* The comparison at hand, which is gone past; 0: none. */
static int skip_comparison(struct parser *p)
{
	static const struct {
		const char *operator;
		int op;
	} table[] = {
		{ "==", TRIT_JINJA_EQ }, { "!=", TRIT_JINJA_NE }, { "<=", TRIT_JINJA_LE },
		{ ">=", TRIT_JINJA_GE }, { "<", '<' },            { ">", '>' },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (skip_operator(p, table[i].operator))
			return table[i].op;
	if (skip_word(p, "in"))
		return TRIT_JINJA_IN;
	if (is_word(p->at, "not") && is_word(p->at + 1, "in")) {
		next(p);
		next(p);
		return TRIT_JINJA_NOT_IN;
	}
	return 0;
}

static struct trit_jinja_node *parse_comparison(struct parser *p)
{
	struct trit_jinja_node *first = parse_sum(p), *n = NULL;
	const struct trit_jinja_token *t = p->at;
	struct list list;
	int op;

	list_init(&list);
	while (p->heap->status == 0 && (op = skip_comparison(p))) {
		list_add(&list, trit_jinja_new_operation(p, TRIT_JINJA_OPERAND, op, t, parse_sum(p), NULL));
		n = first;
	}
	if (!n)
		return first;
	n = new_node(p, TRIT_JINJA_COMPARE, t);
	if (n) {
		n->a = first;
		n->items = list.first;
	}
	return finish(p, n);
}

static struct trit_jinja_node *parse_not(struct parser *p)
{
	const struct trit_jinja_token *t = p->at;
	struct trit_jinja_node *n;

	if (!skip_word(p, "not"))
		return parse_comparison(p);
	n = enter(p) ? parse_not(p) : NULL;
	p->nesting--;
	return trit_jinja_new_operation(p, TRIT_JINJA_NOT, 0, t, n, NULL);
}

static struct trit_jinja_node *parse_and(struct parser *p)
{
	struct trit_jinja_node *n = parse_not(p);
	const struct trit_jinja_token *t;

	while (t = p->at, n && skip_word(p, "and"))
		n = trit_jinja_new_operation(p, TRIT_JINJA_AND, 0, t, n, parse_not(p));
	return n;
}

struct trit_jinja_node *trit_jinja_parse_or(struct parser *p)
{
	struct trit_jinja_node *n = parse_and(p);
	const struct trit_jinja_token *t;

	while (t = p->at, n && skip_word(p, "or"))
		n = trit_jinja_new_operation(p, TRIT_JINJA_OR, 0, t, n, parse_and(p));
	return n;
}

struct trit_jinja_node *trit_jinja_parse_expression(struct parser *p)
{
	struct trit_jinja_node *n;
	const struct trit_jinja_token *t;

	if (!enter(p))
		return NULL;
	n = trit_jinja_parse_or(p);
	while (t = p->at, n && skip_word(p, "if")) {
		struct trit_jinja_node *choice = new_node(p, TRIT_JINJA_CHOICE, t);

		if (!choice)
			return NULL;
		choice->a = n;
		choice->b = trit_jinja_parse_or(p);
		if (skip_word(p, "else"))
			choice->c = trit_jinja_parse_expression(p);
		n = finish(p, choice);
	}
	p->nesting--;
	return n;
}
