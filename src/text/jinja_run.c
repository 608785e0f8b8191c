/*
 * jinja_run.c - templates: parsed once, rendered often; statements, scopes, loops and macros.
 *
 * Names live in a chain of scopes. A loop, a macro, a block and {% with %} have a scope of their own, so what is set in
 * them is gone after them (and, in a loop, after each round); {% if %} has none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/jinja_parts.h"

struct trit_jinja {
	struct trit_heap heap; /* holds the source and the tree */
	struct trit_jinja_node *statements;
};

/* What a statement does to the loop round it. */
enum flow { ON, BREAK, CONTINUE };

static enum flow run_statements(struct trit_jinja_run *r, const struct trit_jinja_node *list);

/* ---- scopes ------------------------------------------------------------------------------------------------------ */

/* A scope within `outer`, made the one at hand; NULL after a failure. */
static struct trit_jinja_scope *enter_scope(struct trit_jinja_run *r, const struct trit_jinja_scope *outer)
{
	struct trit_jinja_scope *s = trit_heap_take(r->heap, 1, sizeof *s);

	if (!s)
		return NULL;
	s->names = trit_value_dict(r->heap, TRIT_VALUE_DICT);
	s->outer = outer;
	if (r->heap->status < 0)
		return NULL;
	r->scope = s;
	return s;
}

static void assign(struct trit_jinja_run *r, const struct trit_jinja_node *target, struct trit_value v);

static void assign_member(struct trit_jinja_run *r, const struct trit_jinja_node *target, struct trit_value v)
{
	struct trit_value space = trit_jinja_eval(r, target->a);

	if (r->heap->status < 0)
		return;
	if (space.kind != TRIT_VALUE_NAMESPACE)
		trit_jinja_fail(r, TRIT_ERR_FORMAT, "members can be set of a namespace only");
	else
		trit_value_put(r->heap, space, trit_value_of(target->name), v);
}

static void assign_each(struct trit_jinja_run *r, const struct trit_jinja_node *targets, struct trit_value v)
{
	struct trit_value members = trit_value_members(r->heap, v);
	size_t i = 0;

	if (r->heap->status < 0)
		return;
	for (; targets; targets = targets->next, i++) {
		if (i >= members.list->n)
			break;
		assign(r, targets, members.list->items[i]);
	}
	if (targets || i < members.list->n)
		trit_jinja_fail(r, TRIT_ERR_FORMAT, "%zu values for %s names", members.list->n,
		                targets ? "more" : "fewer");
}

static void assign(struct trit_jinja_run *r, const struct trit_jinja_node *target, struct trit_value v)
{
	if (r->heap->status < 0)
		return;
	if (target->type == TRIT_JINJA_TUPLE)
		assign_each(r, target->items, v);
	else if (target->type == TRIT_JINJA_MEMBER)
		assign_member(r, target, v);
	else
		trit_value_put(r->heap, r->scope->names, trit_value_of(target->name), v);
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

/* What a list of statements writes, in a scope of its own within `outer`. */
static struct trit_value capture(struct trit_jinja_run *r, const struct trit_jinja_node *list,
                                 struct trit_jinja_scope *scope)
{
	struct trit_text text = { .heap = r->heap }, *out = r->out;
	struct trit_jinja_scope *before = r->scope;

	r->out = &text;
	r->scope = scope;
	run_statements(r, list);
	r->scope = before;
	r->out = out;
	return trit_value_of(trit_text_string(&text));
}

static struct trit_value capture_block(struct trit_jinja_run *r, const struct trit_jinja_node *list)
{
	struct trit_jinja_scope *before = r->scope, *inner = enter_scope(r, before);

	r->scope = before;
	return inner ? capture(r, list, inner) : (struct trit_value){ 0 };
}

/* The members that a loop's condition lets through. */
static struct trit_value select_members(struct trit_jinja_run *r, const struct trit_jinja_node *n,
                                        struct trit_value members)
{
	struct trit_value chosen = trit_value_list(r->heap, TRIT_VALUE_LIST);

	for (size_t i = 0; i < members.list->n && r->heap->status == 0; i++) {
		struct trit_value member = members.list->items[i]; /* the condition may change the list */

		assign(r, n->a, member);
		if (trit_value_true(trit_jinja_eval(r, n->c)))
			trit_value_append(r->heap, chosen, member);
		r->scope->names.dict->n = 0;
	}
	return chosen;
}

static enum flow run_for(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_jinja_scope *outer = r->scope;
	struct trit_value over = trit_jinja_eval(r, n->b), members = { 0 };
	struct trit_jinja_loop *loop = trit_heap_take(r->heap, 1, sizeof *loop);
	enum flow flow = ON;

	if (r->heap->status == 0)
		members = trit_value_members(r->heap, over);
	if (r->heap->status == 0 && enter_scope(r, outer) && n->c)
		members = select_members(r, n, members);
	if (r->heap->status < 0) {
		r->scope = outer;
		return ON;
	}
	*loop = (struct trit_jinja_loop){ .members = members.list };
	/* The body may change the list: what it adds is not gone over, and what it takes away ends the loop early. */
	for (size_t i = 0, end = members.list->n; i < end && i < members.list->n && r->heap->status == 0 && flow != BREAK;
	     i++) {
		const struct trit_value handle = { .kind = TRIT_VALUE_LOOP, .object = loop };

		loop->at = i;
		r->scope->names.dict->n = 0; /* what the last round has set */
		assign(r, n->a, members.list->items[i]);
		trit_value_set(r->heap, r->scope->names, "loop", handle);
		flow = run_statements(r, n->body);
	}
	r->scope = outer;
	if (members.list->n == 0)
		return run_statements(r, n->other);
	return ON;
}

static enum flow run_if(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	for (; n->c; n = n->c)
		if (trit_value_true(trit_jinja_eval(r, n->a)))
			return run_statements(r, n->body);
	return run_statements(r, trit_value_true(trit_jinja_eval(r, n->a)) ? n->body : n->other);
}

/* A value through the filters of a block. */
static struct trit_value filter_block(struct trit_jinja_run *r, const struct trit_jinja_node *filters,
                                      struct trit_value v)
{
	struct trit_value before = r->filtered;

	if (!filters || r->heap->status < 0)
		return v;
	r->filtered = v;
	v = trit_jinja_eval(r, filters);
	r->filtered = before;
	return v;
}

static void run_set(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	assign(r, n->a, n->b ? trit_jinja_eval(r, n->b) : filter_block(r, n->c, capture_block(r, n->body)));
}

static struct trit_value new_macro(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_jinja_macro *m = trit_heap_take(r->heap, 1, sizeof *m);

	if (!m)
		return (struct trit_value){ 0 };
	*m = (struct trit_jinja_macro){ n, r->scope };
	return (struct trit_value){ .kind = TRIT_VALUE_MACRO, .object = m };
}

/* The call of a call block, with one more argument: the macro `caller`. */
static void run_call_block(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_jinja_node call = *n->a, caller = { .type = TRIT_JINJA_NAMED, .name = trit_string_c("caller") },
	                       value = { .type = TRIT_JINJA_CONST, .value = new_macro(r, n) };

	value.line = caller.line = n->line;
	value.column = caller.column = n->column;
	caller.a = &value;
	/* The arguments with a name may come in any order: this one first, then those of the template. */
	caller.next = NULL;
	if (call.items) {
		struct trit_jinja_node *copy = NULL, **end = &copy;

		for (const struct trit_jinja_node *i = call.items; i; i = i->next) {
			*end = trit_heap_take(r->heap, 1, sizeof **end);
			if (!*end)
				return;
			**end = *i;
			end = &(*end)->next;
		}
		*end = &caller;
		call.items = copy;
	} else {
		call.items = &caller;
	}
	trit_text_add_str(r->out, trit_jinja_eval(r, &call));
}

static enum flow run_scope(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	struct trit_jinja_scope *outer = r->scope, *inner = enter_scope(r, outer);
	enum flow flow;

	for (const struct trit_jinja_node *i = n->items; i && inner && r->heap->status == 0; i = i->next->next) {
		struct trit_value v;

		r->scope = outer; /* values do not see each other */
		v = trit_jinja_eval(r, i->next);
		r->scope = inner;
		assign(r, i, v);
	}
	flow = inner ? run_statements(r, n->body) : ON;
	r->scope = outer;
	return flow;
}

static enum flow run_statement(struct trit_jinja_run *r, const struct trit_jinja_node *n)
{
	switch (n->type) {
	case TRIT_JINJA_TEXT:
		trit_text_add(r->out, n->value.string);
		break;
	case TRIT_JINJA_PRINT:
		trit_text_add_str(r->out, trit_jinja_eval(r, n->a));
		break;
	case TRIT_JINJA_FOR:
		return run_for(r, n);
	case TRIT_JINJA_IF:
		return run_if(r, n);
	case TRIT_JINJA_SET:
		run_set(r, n);
		break;
	case TRIT_JINJA_MACRO:
		trit_value_put(r->heap, r->scope->names, trit_value_of(n->name), new_macro(r, n));
		break;
	case TRIT_JINJA_CALL_BLOCK:
		run_call_block(r, n);
		break;
	case TRIT_JINJA_FILTER_BLOCK:
		trit_text_add_str(r->out, filter_block(r, n->a, capture_block(r, n->body)));
		break;
	case TRIT_JINJA_SCOPE:
		return run_scope(r, n);
	case TRIT_JINJA_BREAK:
		return BREAK;
	case TRIT_JINJA_CONTINUE:
		return CONTINUE;
	default:
		break; /* an expression is no statement; the parser makes none */
	}
	return ON;
}

static enum flow run_statements(struct trit_jinja_run *r, const struct trit_jinja_node *list)
{
	enum flow flow = ON;

	for (; list && flow == ON && trit_heap_work(r->heap, 0); list = list->next) {
		r->heap->line = list->line;
		r->heap->column = list->column;
		if (++r->depth > TRIT_JINJA_MAX_CALLS)
			trit_jinja_fail(r, TRIT_ERR_LIMIT, "calls nested deeper than %d, which is the limit here",
			                TRIT_JINJA_MAX_CALLS);
		else
			flow = run_statement(r, list);
		r->depth--;
		if (r->out->len > TRIT_JINJA_MAX_OUTPUT)
			trit_jinja_fail(r, TRIT_ERR_LIMIT, "more than %zu bytes of output, which is the limit here",
			                TRIT_JINJA_MAX_OUTPUT);
	}
	return flow;
}

/* ---- macros ------------------------------------------------------------------------------------------------------ */

/* The arguments that no parameter took, as varargs and kwargs. */
static void put_rest(struct trit_jinja_run *r, const struct trit_jinja_macro *m, const struct trit_jinja_args *args,
                     size_t n_parameters)
{
	struct trit_value rest = trit_value_list(r->heap, TRIT_VALUE_TUPLE), named;

	named = trit_value_dict(r->heap, TRIT_VALUE_DICT);
	for (size_t i = n_parameters; i < args->n; i++)
		trit_value_append(r->heap, rest, args->values[i]);
	for (size_t i = 0; i < args->n_named; i++) {
		const struct trit_jinja_node *p = m->node->items;

		while (p && !trit_string_equal(p->name, args->named[i].key.string))
			p = p->next;
		if (p)
			continue;
		if (trit_string_is(args->named[i].key.string, "caller"))
			trit_value_set(r->heap, r->scope->names, "caller", args->named[i].value);
		else
			trit_value_put(r->heap, named, args->named[i].key, args->named[i].value);
	}
	if (r->heap->status == 0 && !m->node->takes_all && (rest.list->n > 0 || named.dict->n > 0))
		trit_jinja_fail(r, TRIT_ERR_FORMAT, "the macro %.*s takes no more than %zu arguments, or not that name",
		                (int)m->node->name.len, m->node->name.len ? m->node->name.bytes : "", n_parameters);
	trit_value_set(r->heap, r->scope->names, "varargs", rest);
	trit_value_set(r->heap, r->scope->names, "kwargs", named);
}

struct trit_value trit_jinja_call_macro(struct trit_jinja_run *r, const struct trit_jinja_macro *m,
                                        const struct trit_jinja_args *args)
{
	struct trit_jinja_scope *before = r->scope, *scope = enter_scope(r, m->scope);
	size_t n = 0;
	struct trit_value result;

	if (!scope)
		return (struct trit_value){ 0 };
	for (const struct trit_jinja_node *p = m->node->items; p && r->heap->status == 0; p = p->next, n++) {
		struct trit_value v = trit_value_undefined(p->name), *given = NULL;

		for (size_t i = 0; i < args->n_named && n >= args->n; i++)
			if (trit_string_equal(args->named[i].key.string, p->name)) {
				v = args->named[i].value;
				given = &v;
			}
		if (n < args->n)
			v = args->values[n];
		else if (!given && p->a)
			v = trit_jinja_eval(r, p->a);
		trit_value_put(r->heap, scope->names, trit_value_of(p->name), v);
	}
	put_rest(r, m, args, n);
	result = capture(r, m->node->body, scope);
	r->scope = before;
	return result;
}

/* ---- templates --------------------------------------------------------------------------------------------------- */

int trit_jinja_new(struct trit_jinja **out, size_t len, const char *source, struct trit_error *err)
{
	struct trit_jinja *t;
	const struct trit_jinja_token *tokens;
	int status;

	if (len > TRIT_JINJA_MAX_SOURCE)
		return trit_fail(err, TRIT_ERR_LIMIT, "a template of %zu bytes; %zu is the limit", len,
		                 TRIT_JINJA_MAX_SOURCE);
	t = trit_calloc(1, sizeof *t);
	if (!t)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a template");
	trit_heap_init(&t->heap, TRIT_JINJA_MAX_MEMORY, UINT64_MAX);
	tokens = trit_jinja_lex(&t->heap, len, source);
	if (tokens)
		t->statements = trit_jinja_parse(&t->heap, tokens);
	status = t->heap.status;
	if (status < 0) {
		if (err)
			*err = t->heap.err;
		trit_jinja_free(t);
		return status;
	}
	*out = t;
	return 0;
}

void trit_jinja_free(struct trit_jinja *t)
{
	if (!t)
		return;
	trit_heap_release(&t->heap);
	trit_free(t);
}

int trit_jinja_render(const struct trit_jinja *t, struct trit_heap *h, struct trit_value variables, int64_t now,
                      struct trit_string *out, struct trit_error *err)
{
	struct trit_jinja_scope given = { .names = variables };
	struct trit_text text = { .heap = h };
	struct trit_jinja_run r = { .heap = h, .out = &text, .now = now };

	if (h->status == 0 && enter_scope(&r, &given))
		run_statements(&r, t->statements);
	if (h->status < 0) {
		if (err)
			*err = h->err;
		return h->status;
	}
	h->line = h->column = 0;
	*out = trit_text_string(&text);
	return 0;
}
