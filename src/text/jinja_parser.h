/*
 * jinja_parser.h - what the two halves of the parser share: jinja_parse.c (expressions) and jinja_statement.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_JINJA_PARSER_H
#define TRIT_TEXT_JINJA_PARSER_H

#include <stdarg.h>

#include "text/jinja_parts.h"

struct parser {
	struct trit_heap *heap;
	const struct trit_jinja_token *at;
	int nesting;    /* of expressions in brackets and of blocks */
	int loops;      /* for loops round the statement at hand, within its macro */
	bool takes_all; /* varargs or kwargs was seen in the macro at hand */
};

/* All parse_ functions return NULL after a failure. */
struct trit_jinja_node *trit_jinja_parse_expression(struct parser *p);
/** The same without "a if b else c". */
struct trit_jinja_node *trit_jinja_parse_or(struct parser *p);
/** One `element`, or a TUPLE of several between commas. */
struct trit_jinja_node *trit_jinja_parse_tuple(struct parser *p, struct trit_jinja_node *element(struct parser *),
                                               bool may_be_empty);
/** A filter's name and arguments, after the bar. a: what is filtered, NULL for what a block holds. */
struct trit_jinja_node *trit_jinja_parse_filter(struct parser *p, struct trit_jinja_node *a);
/** .name after a; the dot is at hand. */
struct trit_jinja_node *trit_jinja_parse_member(struct parser *p, struct trit_jinja_node *a);
struct trit_jinja_node *trit_jinja_new_operation(struct parser *p, enum trit_jinja_node_type type, int op,
                                                 const struct trit_jinja_token *at, struct trit_jinja_node *a,
                                                 struct trit_jinja_node *b);

static inline void *fail_at(struct parser *p, const struct trit_jinja_token *t, enum trit_status status,
                            const char *fmt, ...) TRIT_PRINTF(4, 5);
static inline void *fail_at(struct parser *p, const struct trit_jinja_token *t, enum trit_status status,
                            const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	p->heap->line = t->line;
	p->heap->column = t->column;
	trit_heap_fail(p->heap, status, "%s", text);
	return NULL;
}

static inline void *fail_unexpected(struct parser *p, const char *wanted)
{
	static const char *const names[] = {
		"text", "{{", "}}", "{%", "%}", "name ", "string ", "number ", "", "the end of the template",
	};
	const struct trit_jinja_token *t = p->at;

	return fail_at(p, t, TRIT_ERR_FORMAT, "%s%.*s instead of %s", names[t->type],
	               t->text.len < 40 && t->type != TRIT_JINJA_DATA ? (int)t->text.len : 0, t->text.bytes, wanted);
}

static inline bool is_operator(const struct trit_jinja_token *t, const char *operator)
{
	return t->type == TRIT_JINJA_OPERATOR && trit_string_is(t->text, operator);
}

static inline bool is_word(const struct trit_jinja_token *t, const char *word)
{
	return t->type == TRIT_JINJA_NAME && trit_string_is(t->text, word);
}

/* Goes past the token; at the end there is always the END token. */
static inline void next(struct parser *p)
{
	if (p->at->type != TRIT_JINJA_END)
		p->at++;
}

static inline bool skip_operator(struct parser *p, const char *operator)
{
	bool there = is_operator(p->at, operator);

	if (there)
		next(p);
	return there;
}

static inline bool skip_word(struct parser *p, const char *word)
{
	bool there = is_word(p->at, word);

	if (there)
		next(p);
	return there;
}

static inline void expect_operator(struct parser *p, const char *operator)
{
	char wanted[8];

	snprintf(wanted, sizeof wanted, "%s", operator);
	if (p->heap->status == 0 && !skip_operator(p, operator))
		fail_unexpected(p, wanted);
}

static inline struct trit_string expect_name(struct parser *p)
{
	struct trit_string name = { "", NULL, 0 };

	if (p->at->type == TRIT_JINJA_NAME)
		name = p->at->text;
	else if (p->heap->status == 0)
		fail_unexpected(p, "a name");
	next(p);
	return name;
}

static inline void expect_type(struct parser *p, enum trit_jinja_token_type type, const char *wanted)
{
	if (p->heap->status == 0 && p->at->type != type)
		fail_unexpected(p, wanted);
	next(p);
}

static inline struct trit_jinja_node *new_node(struct parser *p, enum trit_jinja_node_type type,
                                               const struct trit_jinja_token *at)
{
	struct trit_jinja_node *n = trit_heap_take(p->heap, 1, sizeof *n);

	if (n) {
		n->type = type;
		n->line = at->line;
		n->column = at->column;
	}
	return n;
}

static inline int deepest(const struct trit_jinja_node *list, int depth)
{
	for (; list; list = list->next)
		depth = list->depth > depth ? list->depth : depth;
	return depth;
}

/* Called once a node has its children: how deep it is. NULL after a failure. */
static inline struct trit_jinja_node *finish(struct parser *p, struct trit_jinja_node *n)
{
	const struct trit_jinja_node *single[3];

	if (!n || p->heap->status < 0)
		return NULL;
	single[0] = n->a;
	single[1] = n->b;
	single[2] = n->c;
	for (int i = 0; i < 3; i++)
		if (single[i] && single[i]->depth > n->depth)
			n->depth = single[i]->depth;
	n->depth = deepest(n->items, n->depth);
	n->depth = deepest(n->body, n->depth);
	n->depth = 1 + deepest(n->other, n->depth);
	if (n->depth > TRIT_JINJA_MAX_NESTING) {
		p->heap->line = n->line;
		p->heap->column = n->column;
		trit_heap_fail(p->heap, TRIT_ERR_LIMIT, "nested deeper than %d, which is the limit here",
		               TRIT_JINJA_MAX_NESTING);
		return NULL;
	}
	return n;
}

static inline bool enter(struct parser *p)
{
	if (++p->nesting > 2 * TRIT_JINJA_MAX_NESTING) /* a bracket counts twice: itself, and the expression in it */
		fail_at(p, p->at, TRIT_ERR_LIMIT, "nested deeper than %d, which is the limit here",
		        TRIT_JINJA_MAX_NESTING);
	return p->heap->status == 0;
}

/* A list under construction. */
struct list {
	struct trit_jinja_node *first, **end;
};

static inline void list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static inline void list_add(struct list *l, struct trit_jinja_node *n)
{
	if (!n)
		return;
	*l->end = n;
	l->end = &n->next;
}

#endif
