/*
 * jinja_parts.h - what a template is made of: tokens, the tree, and the state of running it; shared by jinja_*.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_JINJA_PARTS_H
#define TRIT_TEXT_JINJA_PARTS_H

#include "text/jinja.h"

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

enum trit_jinja_token_type {
	TRIT_JINJA_DATA, /* text outside of all delimiters */
	TRIT_JINJA_VARIABLE_BEGIN,
	TRIT_JINJA_VARIABLE_END,
	TRIT_JINJA_BLOCK_BEGIN,
	TRIT_JINJA_BLOCK_END,
	TRIT_JINJA_NAME,
	TRIT_JINJA_STRING, /* text: decoded */
	TRIT_JINJA_NUMBER, /* value */
	TRIT_JINJA_OPERATOR, /* text: the operator */
	TRIT_JINJA_END,
};

struct trit_jinja_token {
	enum trit_jinja_token_type type;
	int line, column;
	struct trit_string text;
	struct trit_value value; /* of a NUMBER */
};

/** The tokens of a template, the last of type END; NULL after a failure of h. */
const struct trit_jinja_token *trit_jinja_lex(struct trit_heap *h, size_t len, const char *source);

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

enum trit_jinja_node_type {
	/* expressions */
	TRIT_JINJA_CONST,   /* value */
	TRIT_JINJA_VARIABLE, /* name */
	TRIT_JINJA_LIST,    /* items */
	TRIT_JINJA_TUPLE,   /* items */
	TRIT_JINJA_DICT,    /* items: key, value, key, value ... */
	TRIT_JINJA_MEMBER,  /* a . name */
	TRIT_JINJA_ITEM,    /* a [ b ] */
	TRIT_JINJA_SLICE,   /* a [ items: start, stop, step ], each maybe a CONST None */
	TRIT_JINJA_CALL,    /* a ( items ), each maybe NAMED */
	TRIT_JINJA_NAMED,   /* name = a */
	TRIT_JINJA_FILTER,  /* a | name ( items ); a NULL: of what a block holds */
	TRIT_JINJA_TEST,    /* a is name ( items ) */
	TRIT_JINJA_NOT,     /* a */
	TRIT_JINJA_NEGATIVE, /* a */
	TRIT_JINJA_POSITIVE, /* a */
	TRIT_JINJA_AND,     /* a, b */
	TRIT_JINJA_OR,      /* a, b */
	TRIT_JINJA_BINARY,  /* a op b: + - * / // % ** */
	TRIT_JINJA_CONCAT,  /* items */
	TRIT_JINJA_COMPARE, /* a, items: OPERANDs */
	TRIT_JINJA_OPERAND, /* op a */
	TRIT_JINJA_CHOICE,  /* a if b else c; c maybe NULL */
	/* statements */
	TRIT_JINJA_TEXT,    /* value */
	TRIT_JINJA_PRINT,   /* a */
	TRIT_JINJA_FOR,     /* for a (target) in b if c: body, other */
	TRIT_JINJA_IF,      /* if a: body, else c (an IF: elif) or other */
	TRIT_JINJA_SET,     /* a (target) = b; b NULL: body, filtered by c */
	TRIT_JINJA_MACRO,   /* name, items: parameters (VARIABLE, its a: default), body */
	TRIT_JINJA_CALL_BLOCK, /* call a, body being the macro "caller" with items */
	TRIT_JINJA_FILTER_BLOCK, /* filters a over body */
	TRIT_JINJA_SCOPE,   /* with items: target, value ...: body */
	TRIT_JINJA_BREAK,
	TRIT_JINJA_CONTINUE,
};

/** Operators of BINARY and COMPARE, by their first letters: '+' '-' '*' '/' '%' and these. */
enum {
	TRIT_JINJA_FLOOR = 256, /* // */
	TRIT_JINJA_POWER,
	TRIT_JINJA_EQ,
	TRIT_JINJA_NE,
	TRIT_JINJA_LE,
	TRIT_JINJA_GE,
	TRIT_JINJA_IN,
	TRIT_JINJA_NOT_IN,
};

struct trit_jinja_node {
	enum trit_jinja_node_type type;
	int op;
	int line, column;
	int depth;             /* 1 + that of the deepest child */
	bool takes_all;        /* a MACRO that uses varargs or kwargs */
	struct trit_string name;
	struct trit_value value;
	struct trit_jinja_node *a, *b, *c;
	struct trit_jinja_node *items, *body, *other; /* lists */
	struct trit_jinja_node *next;                 /* in the list that it is part of */
};

#define TRIT_JINJA_MAX_NESTING 100 /* of the tree, and of brackets and blocks while it is made */

/** The statements of a template; NULL after a failure of h, or where there are none. */
struct trit_jinja_node *trit_jinja_parse(struct trit_heap *h, const struct trit_jinja_token *tokens);

/* ---- running ----------------------------------------------------------------------------------------------------- */

#define TRIT_JINJA_MAX_CALLS 400 /* nodes and macros under evaluation at one time */

/** Names and values, looked up from the innermost scope outwards. */
struct trit_jinja_scope {
	struct trit_value names; /* DICT */
	const struct trit_jinja_scope *outer;
};

/** `loop` of a for loop. */
struct trit_jinja_loop {
	const struct trit_list *members;
	size_t at;
	struct trit_value last_changed; /* loop.changed; UNDEFINED before */
};

struct trit_jinja_run {
	struct trit_heap *heap;
	struct trit_jinja_scope *scope;
	struct trit_text *out;
	int64_t now;
	struct trit_value filtered; /* by the filters of a block */
	int depth; /* of evaluation, at most TRIT_JINJA_MAX_CALLS */
};

/** Arguments of a call. */
struct trit_jinja_args {
	const struct trit_value *values; /* [n] */
	size_t n;
	const struct trit_pair *named; /* [n_named] */
	size_t n_named;
};

/** What is called: a function of the interpreter, or a method with the value it is of. */
typedef struct trit_value trit_jinja_fn(struct trit_jinja_run *r, struct trit_value self,
                                        const struct trit_jinja_args *args);
struct trit_jinja_function {
	const char *name;
	trit_jinja_fn *run;
	struct trit_value self;
};

/** A macro where it was defined. */
struct trit_jinja_macro {
	const struct trit_jinja_node *node;
	struct trit_jinja_scope *scope;
};

struct trit_value trit_jinja_eval(struct trit_jinja_run *r, const struct trit_jinja_node *n);
/** Calls a FUNCTION or MACRO. */
struct trit_value trit_jinja_call(struct trit_jinja_run *r, struct trit_value what, const struct trit_jinja_args *args);
struct trit_value trit_jinja_call_macro(struct trit_jinja_run *r, const struct trit_jinja_macro *m,
                                        const struct trit_jinja_args *args);
struct trit_value trit_jinja_function(struct trit_jinja_run *r, const char *name, trit_jinja_fn *run,
                                      struct trit_value self);
/** v.name (first a method) or v[name] (first a member, for a value of any type). */
struct trit_value trit_jinja_member(struct trit_jinja_run *r, struct trit_value v, struct trit_string name);
struct trit_value trit_jinja_item(struct trit_jinja_run *r, struct trit_value v, struct trit_value key);
/** Python's v[start:stop:step]. */
struct trit_value trit_jinja_slice(struct trit_jinja_run *r, struct trit_value v, const struct trit_value part[3]);
/** A string with & < > and quotes as HTML writes them, unless that has been done. */
struct trit_value trit_jinja_escape(struct trit_jinja_run *r, struct trit_value v);
struct trit_value trit_jinja_add(struct trit_jinja_run *r, struct trit_value a, struct trit_value b);
/** A filter or a test by its name; unknown names fail. */
struct trit_value trit_jinja_filter(struct trit_jinja_run *r, struct trit_string name, struct trit_value v,
                                    const struct trit_jinja_args *args);
bool trit_jinja_test(struct trit_jinja_run *r, struct trit_string name, struct trit_value v,
                     const struct trit_jinja_args *args);
/** The method of a value, bound; UNDEFINED when it has none of that name. */
struct trit_value trit_jinja_method(struct trit_jinja_run *r, struct trit_value v, struct trit_string name);
/** A global function; UNDEFINED when there is none of that name. */
struct trit_value trit_jinja_global(struct trit_jinja_run *r, struct trit_string name);
/** One of `functions` (the last with name NULL). */
const struct trit_jinja_function *trit_jinja_find(const struct trit_jinja_function *functions, struct trit_string name);

/** Fails; returns an undefined value, for: return trit_jinja_fail(r, ...). */
struct trit_value trit_jinja_fail(struct trit_jinja_run *r, enum trit_status status, const char *fmt, ...)
    TRIT_PRINTF(3, 4);
/** That a value can be used as something: fails with a message that says "WHAT is undefined" or names its type. */
struct trit_value trit_jinja_refuse(struct trit_jinja_run *r, struct trit_value v, const char *what);

/** Argument i, or the one named `name`; `otherwise` when it was not given. */
struct trit_value trit_jinja_arg(const struct trit_jinja_args *args, size_t i, const char *name,
                                 struct trit_value otherwise);
bool trit_jinja_has_arg(const struct trit_jinja_args *args, size_t i, const char *name);
/** The same as a number or a string; other types fail. */
int64_t trit_jinja_int_arg(struct trit_jinja_run *r, const struct trit_jinja_args *args, size_t i, const char *name,
                           int64_t otherwise);
struct trit_string trit_jinja_string_arg(struct trit_jinja_run *r, const struct trit_jinja_args *args, size_t i,
                                         const char *name, const char *otherwise);

/* ---- strings, for filters and methods (jinja_string.c) ----------------------------------------------------------- */

/** Without the characters of `chars` at its ends; chars.bytes NULL: without white space. */
struct trit_string trit_string_strip(struct trit_string s, struct trit_string chars, bool left, bool right);
struct trit_string trit_string_replace(struct trit_heap *h, struct trit_string s, struct trit_string old,
                                       struct trit_string new_, int64_t count);
enum trit_case { TRIT_UPPER, TRIT_LOWER, TRIT_TITLE, TRIT_CAPITALIZE };
struct trit_string trit_string_case(struct trit_heap *h, struct trit_string s, enum trit_case how);
/** An integer, or a float, as Python's int() and float() read it; UNDEFINED when it is none. */
struct trit_value trit_string_number(struct trit_heap *h, struct trit_string s, bool is_float);
extern const struct trit_jinja_function trit_string_methods[];

#endif
