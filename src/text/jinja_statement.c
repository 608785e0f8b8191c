/*
 * jinja_statement.c - statements of a template as a tree.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/jinja_parser.h"

static struct trit_jinja_node *parse_statements(struct parser *p, const char *const *ends);

static void end_block(struct parser *p)
{
	expect_type(p, TRIT_JINJA_BLOCK_END, "%}");
}

/* The statements up to one of `ends` (NULL-terminated), whose word is then at hand. */
static struct trit_jinja_node *parse_body(struct parser *p, const char *const *ends)
{
	struct trit_jinja_node *body;

	end_block(p);
	body = p->heap->status == 0 && enter(p) ? parse_statements(p, ends) : NULL;
	p->nesting--;
	return body;
}

/* A body that ends with {% word %}; goes past the word. */
static struct trit_jinja_node *parse_body_to(struct parser *p, const char *word)
{
	struct trit_jinja_node *body = parse_body(p, (const char *const[]){ word, NULL });

	next(p);
	return body;
}

/* Names that are set: x, (x, y), namespace.member. */
static struct trit_jinja_node *parse_target_name(struct parser *p)
{
	const struct trit_jinja_token *t = p->at;
	struct trit_jinja_node *n;

	if (skip_operator(p, "(")) {
		n = enter(p) ? trit_jinja_parse_tuple(p, parse_target_name, false) : NULL;
		p->nesting--;
		expect_operator(p, ")");
		return n;
	}
	n = new_node(p, TRIT_JINJA_VARIABLE, t);
	if (!n)
		return NULL;
	n->name = expect_name(p);
	n = finish(p, n);
	return is_operator(p->at, ".") && n ? trit_jinja_parse_member(p, n) : n;
}

static struct trit_jinja_node *parse_target(struct parser *p)
{
	return trit_jinja_parse_tuple(p, parse_target_name, false);
}

static struct trit_jinja_node *parse_for(struct parser *p, struct trit_jinja_node *n)
{
	n->a = parse_target(p);
	if (p->heap->status == 0 && !skip_word(p, "in"))
		return fail_unexpected(p, "\"in\"");
	n->b = trit_jinja_parse_tuple(p, trit_jinja_parse_or, false);
	if (skip_word(p, "if"))
		n->c = trit_jinja_parse_expression(p);
	if (is_word(p->at, "recursive"))
		return fail_at(p, p->at, TRIT_ERR_UNSUPPORTED, "recursive loops are not supported");
	p->loops++;
	n->body = parse_body(p, (const char *const[]){ "endfor", "else", NULL });
	p->loops--;
	if (skip_word(p, "else"))
		n->other = parse_body(p, (const char *const[]){ "endfor", NULL });
	next(p);
	return n;
}

/* An elif is an IF in the other branch; a long row of them is no deep nesting, so `other` is linked by hand. */
static struct trit_jinja_node *parse_if(struct parser *p, struct trit_jinja_node *n)
{
	struct trit_jinja_node *at = n;

	while (p->heap->status == 0) {
		const struct trit_jinja_token *t;

		at->a = trit_jinja_parse_expression(p);
		at->body = parse_body(p, (const char *const[]){ "elif", "else", "endif", NULL });
		t = p->at;
		if (skip_word(p, "elif")) {
			struct trit_jinja_node *branch = new_node(p, TRIT_JINJA_IF, t);

			if (!branch)
				return NULL;
			n->depth = deepest(at->body, at->a && at->a->depth > n->depth ? at->a->depth : n->depth);
			at->c = branch;
			at = branch;
			continue;
		}
		if (skip_word(p, "else"))
			at->other = parse_body(p, (const char *const[]){ "endif", NULL });
		next(p);
		break;
	}
	if (at != n && p->heap->status == 0) { /* of the branches but the first, the last is not in n->depth yet */
		n->depth = deepest(at->body, at->a && at->a->depth > n->depth ? at->a->depth : n->depth);
		n->depth = deepest(at->other, n->depth);
	}
	return n;
}

static struct trit_jinja_node *parse_set(struct parser *p, struct trit_jinja_node *n)
{
	n->a = parse_target(p);
	if (skip_operator(p, "=")) {
		n->b = trit_jinja_parse_tuple(p, trit_jinja_parse_expression, false);
		return n;
	}
	while (p->heap->status == 0 && skip_operator(p, "|"))
		n->c = trit_jinja_parse_filter(p, n->c);
	n->body = parse_body_to(p, "endset");
	return n;
}

/* (a, b=default): a list of VARIABLEs. */
static struct trit_jinja_node *parse_parameters(struct parser *p)
{
	struct list list;

	list_init(&list);
	expect_operator(p, "(");
	while (p->heap->status == 0 && !is_operator(p->at, ")")) {
		struct trit_jinja_node *n;

		if (list.first)
			expect_operator(p, ",");
		n = new_node(p, TRIT_JINJA_VARIABLE, p->at);
		if (!n)
			break;
		n->name = expect_name(p);
		if (skip_operator(p, "="))
			n->a = trit_jinja_parse_expression(p);
		list_add(&list, finish(p, n));
	}
	expect_operator(p, ")");
	return list.first;
}

/* The body of a macro: loops outside are not its own. */
static void parse_macro_body(struct parser *p, struct trit_jinja_node *n, const char *end)
{
	int loops = p->loops;
	bool takes_all = p->takes_all;

	p->loops = 0;
	p->takes_all = false;
	n->body = parse_body_to(p, end);
	n->takes_all = p->takes_all;
	p->loops = loops;
	p->takes_all = takes_all;
}

static struct trit_jinja_node *parse_macro(struct parser *p, struct trit_jinja_node *n)
{
	n->name = expect_name(p);
	n->items = parse_parameters(p);
	parse_macro_body(p, n, "endmacro");
	return n;
}

static struct trit_jinja_node *parse_call_block(struct parser *p, struct trit_jinja_node *n)
{
	const struct trit_jinja_token *t;

	if (is_operator(p->at, "("))
		n->items = parse_parameters(p);
	t = p->at;
	n->a = trit_jinja_parse_expression(p);
	if (n->a && n->a->type != TRIT_JINJA_CALL)
		return fail_at(p, t, TRIT_ERR_FORMAT, "{%% call %%} without a call");
	parse_macro_body(p, n, "endcall");
	return n;
}

static struct trit_jinja_node *parse_filter_block(struct parser *p, struct trit_jinja_node *n)
{
	do
		n->a = trit_jinja_parse_filter(p, n->a);
	while (p->heap->status == 0 && skip_operator(p, "|"));
	n->body = parse_body_to(p, "endfilter");
	return n;
}

static struct trit_jinja_node *parse_with(struct parser *p, struct trit_jinja_node *n)
{
	struct list list;

	list_init(&list);
	while (p->heap->status == 0 && p->at->type != TRIT_JINJA_BLOCK_END) {
		if (list.first)
			expect_operator(p, ",");
		list_add(&list, parse_target_name(p));
		expect_operator(p, "=");
		list_add(&list, trit_jinja_parse_expression(p));
	}
	n->items = list.first;
	n->body = parse_body_to(p, "endwith");
	return n;
}

static struct trit_jinja_node *parse_generation(struct parser *p, struct trit_jinja_node *n)
{
	n->body = parse_body_to(p, "endgeneration");
	return n;
}

static struct trit_jinja_node *parse_jump(struct parser *p, struct trit_jinja_node *n)
{
	if (p->loops == 0)
		return fail_at(p, p->at - 1, TRIT_ERR_FORMAT, "break and continue belong in a loop");
	return n;
}

/* {% word ... %}, from the word on. */
static struct trit_jinja_node *parse_statement(struct parser *p)
{
	static const struct {
		const char *word;
		enum trit_jinja_node_type type;
		struct trit_jinja_node *(*parse)(struct parser *p, struct trit_jinja_node *n);
	} table[] = {
		{ "for", TRIT_JINJA_FOR, parse_for },
		{ "if", TRIT_JINJA_IF, parse_if },
		{ "set", TRIT_JINJA_SET, parse_set },
		{ "macro", TRIT_JINJA_MACRO, parse_macro },
		{ "call", TRIT_JINJA_CALL_BLOCK, parse_call_block },
		{ "filter", TRIT_JINJA_FILTER_BLOCK, parse_filter_block },
		{ "with", TRIT_JINJA_SCOPE, parse_with },
		{ "generation", TRIT_JINJA_SCOPE, parse_generation },
		{ "break", TRIT_JINJA_BREAK, parse_jump },
		{ "continue", TRIT_JINJA_CONTINUE, parse_jump },
	};
	static const char *const others[] = { "extends", "include", "import", "from", "block", "do", "autoescape",
		                              "trans", "print", "debug" };
	const struct trit_jinja_token *t = p->at;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (skip_word(p, table[i].word)) {
			struct trit_jinja_node *n = new_node(p, table[i].type, t);

			n = n ? table[i].parse(p, n) : NULL;
			return finish(p, n);
		}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (is_word(t, others[i]))
			return fail_at(p, t, TRIT_ERR_UNSUPPORTED, "the statement %s is not supported", others[i]);
	return fail_unexpected(p, "a statement");
}

static bool is_one_of(const struct trit_jinja_token *t, const char *const *words)
{
	for (; words && *words; words++)
		if (is_word(t, *words))
			return true;
	return false;
}

static struct trit_jinja_node *parse_statements(struct parser *p, const char *const *ends)
{
	struct trit_jinja_node *n;
	struct list list;

	list_init(&list);
	while (p->heap->status == 0 && p->at->type != TRIT_JINJA_END) {
		const struct trit_jinja_token *t = p->at;

		next(p);
		if (t->type == TRIT_JINJA_DATA) {
			n = new_node(p, TRIT_JINJA_TEXT, t);
			if (n)
				n->value = trit_value_of(t->text);
			list_add(&list, finish(p, n));
		} else if (t->type == TRIT_JINJA_VARIABLE_BEGIN) {
			n = trit_jinja_parse_tuple(p, trit_jinja_parse_expression, false);
			list_add(&list, trit_jinja_new_operation(p, TRIT_JINJA_PRINT, 0, t, n, NULL));
			expect_type(p, TRIT_JINJA_VARIABLE_END, "}}");
		} else if (is_one_of(p->at, ends)) {
			return list.first;
		} else {
			list_add(&list, parse_statement(p));
			end_block(p);
		}
	}
	if (ends && p->heap->status == 0)
		fail_unexpected(p, ends[0]);
	return list.first;
}

struct trit_jinja_node *trit_jinja_parse(struct trit_heap *h, const struct trit_jinja_token *tokens)
{
	struct parser p = { .heap = h, .at = tokens };

	return parse_statements(&p, NULL);
}
