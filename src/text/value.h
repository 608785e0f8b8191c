/*
 * value.h - the values that templates compute with, and the bounded memory they live in.
 *
 * Values are Python's, as far as templates see them: None, bool, int (64 bits), float, str (UTF-8, indexed by
 * characters), list, tuple, dict. They are small structs passed by value; strings, lists and dicts point into a heap
 * that is released as a whole, so nothing is counted and nothing can leak.
 *
 * The heap also holds the bounds and the first error: memory, steps (each operation costs one, and one more for every
 * 64 bytes it looks at), and a status that sticks. After a failure allocations return NULL and values come out
 * undefined; whoever began the work looks at the status at the end.
 *
 * Marks: each byte of a string is the template's own (0) or came from outside (1), and keeps that through slices,
 * joins and replacements. So whoever makes tokens of a rendered conversation knows which "<|end|>" is the template's
 * and which one a user has typed.
 *
 * One thread at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_VALUE_H
#define TRIT_TEXT_VALUE_H

#include <stdbool.h>

#include "base/error.h"

/* ---- memory and bounds ------------------------------------------------------------------------------------------ */

struct trit_heap_block;

struct trit_heap {
	struct trit_heap_block *blocks;
	size_t used, max;         /* bytes */
	uint64_t steps, max_steps;
	int status;               /* 0, or the first failure, described in err */
	int line, column;         /* of the template, from 1, where execution is; 0: not in a template */
	struct trit_error err;
};

void trit_heap_init(struct trit_heap *h, size_t max_bytes, uint64_t max_steps);
void trit_heap_release(struct trit_heap *h);
/** n * size zeroed bytes, or NULL after failing. */
void *trit_heap_take(struct trit_heap *h, size_t n, size_t size);
/** Records the first failure; later ones are ignored. Returns the status. */
int trit_heap_fail(struct trit_heap *h, enum trit_status status, const char *fmt, ...) TRIT_PRINTF(3, 4);
/** Counts a step, and one for every 64 of `bytes`. False when the heap has failed, now or before. */
bool trit_heap_work(struct trit_heap *h, size_t bytes);

/* ---- values ----------------------------------------------------------------------------------------------------- */

enum trit_value_kind {
	TRIT_VALUE_UNDEFINED, /* string: the name of what is not there */
	TRIT_VALUE_NONE,
	TRIT_VALUE_BOOL,
	TRIT_VALUE_INT,
	TRIT_VALUE_FLOAT,
	TRIT_VALUE_STRING,
	TRIT_VALUE_LIST,
	TRIT_VALUE_TUPLE,
	TRIT_VALUE_DICT,
	TRIT_VALUE_NAMESPACE, /* a dict whose members can be set */
	TRIT_VALUE_LOOP,      /* these three belong to the interpreter */
	TRIT_VALUE_MACRO,
	TRIT_VALUE_FUNCTION,
};

struct trit_string {
	const char *bytes; /* len of them, not NUL-terminated */
	const char *marks; /* len of them, 0 or 1; NULL: all 0 */
	size_t len;
};

struct trit_value {
	enum trit_value_kind kind;
	bool safe; /* a string that came from the filter `safe` or `escape`: what is added to it gets escaped */
	union {
		bool boolean;
		int64_t integer;
		double number;
		struct trit_string string;
		struct trit_list *list; /* also of a TUPLE */
		struct trit_dict *dict; /* also of a NAMESPACE */
		const void *object;     /* LOOP, MACRO, FUNCTION */
	};
};

struct trit_list {
	struct trit_value *items;
	size_t n, cap;
};

/** Pairs in order of insertion. Looked up one after the other: those of a template are few. */
struct trit_dict {
	struct trit_pair *items;
	size_t n, cap;
};

struct trit_pair {
	struct trit_value key, value;
};

#define TRIT_MAX_VALUE_DEPTH 64 /* lists in lists in ..., where something walks down */

static inline struct trit_value trit_value_none(void)
{
	return (struct trit_value){ .kind = TRIT_VALUE_NONE };
}

static inline struct trit_value trit_value_bool(bool b)
{
	return (struct trit_value){ .kind = TRIT_VALUE_BOOL, .boolean = b };
}

static inline struct trit_value trit_value_int(int64_t i)
{
	return (struct trit_value){ .kind = TRIT_VALUE_INT, .integer = i };
}

static inline struct trit_value trit_value_float(double f)
{
	return (struct trit_value){ .kind = TRIT_VALUE_FLOAT, .number = f };
}

static inline struct trit_value trit_value_of(struct trit_string s)
{
	return (struct trit_value){ .kind = TRIT_VALUE_STRING, .string = s };
}

/** A C string that outlives the value: not copied, not marked. */
struct trit_string trit_string_c(const char *s);
/** Bytes from..to of a string. */
struct trit_string trit_string_part(struct trit_string s, size_t from, size_t to);
bool trit_string_equal(struct trit_string a, struct trit_string b);
bool trit_string_is(struct trit_string a, const char *c);
#define TRIT_NOT_FOUND SIZE_MAX
/** The first byte, from byte `from` on, at which `part` stands in s; or TRIT_NOT_FOUND. */
size_t trit_string_find(struct trit_string s, struct trit_string part, size_t from);
/** What comes of a name that is not there. */
struct trit_value trit_value_undefined(struct trit_string name);
/** A copy in the heap, all its bytes marked or none. */
struct trit_value trit_value_string(struct trit_heap *h, size_t len, const char *bytes, bool marked);

/** An empty list or tuple, an empty dict or namespace; undefined after a failure. */
struct trit_value trit_value_list(struct trit_heap *h, enum trit_value_kind kind);
struct trit_value trit_value_dict(struct trit_heap *h, enum trit_value_kind kind);
/** Appends to a list or tuple. */
void trit_value_append(struct trit_heap *h, struct trit_value list, struct trit_value v);
/** Sets a member of a dict or namespace. Fails for keys that Python cannot hash. */
void trit_value_put(struct trit_heap *h, struct trit_value dict, struct trit_value key, struct trit_value v);
void trit_value_set(struct trit_heap *h, struct trit_value dict, const char *key, struct trit_value v);
/** The pair with this key, or NULL. */
struct trit_pair *trit_value_find(struct trit_heap *h, struct trit_value dict, struct trit_value key);

/* ---- what Python's operators do ---------------------------------------------------------------------------------- */

bool trit_value_true(struct trit_value v);
bool trit_value_is_number(struct trit_value v);
/** Of a number (bool, int, float). */
double trit_value_number(struct trit_value v);
/** "str", "list", as Python's messages call it. */
const char *trit_value_type(struct trit_value v);
/** len(); fails when it has none. */
size_t trit_value_length(struct trit_heap *h, struct trit_value v);
bool trit_value_equal(struct trit_heap *h, struct trit_value a, struct trit_value b);
/** Below 0, 0 or above as a < b, a == b, a > b; fails when they have no order. */
int trit_value_order(struct trit_heap *h, struct trit_value a, struct trit_value b);
/** Whether `item` is in `v`: a part of a string, a member of a list, a key of a dict. */
bool trit_value_has(struct trit_heap *h, struct trit_value v, struct trit_value item);
/** What a loop over v goes through, as a list: members, keys, characters. Fails when it cannot be gone through. */
struct trit_value trit_value_members(struct trit_heap *h, struct trit_value v);

/* ---- text: a growing string in the heap -------------------------------------------------------------------------- */

struct trit_text {
	struct trit_heap *heap;
	char *bytes, *marks; /* marks: NULL while none is set */
	size_t len, cap;
};

void trit_text_add(struct trit_text *t, struct trit_string s);
void trit_text_add_c(struct trit_text *t, const char *s);
/** What a character is written as, with the mark of the one it stands for, byte `at` of s. At most 16 bytes. */
void trit_text_add_escape(struct trit_text *t, const char *escape, struct trit_string s, size_t at);
/** What has been written; the text may grow on. */
struct trit_string trit_text_string(const struct trit_text *t);
/** Python's str(v) and repr(v). */
void trit_text_add_str(struct trit_text *t, struct trit_value v);
void trit_text_add_repr(struct trit_text *t, struct trit_value v, int depth);
struct trit_string trit_value_str(struct trit_heap *h, struct trit_value v);
/** Python's repr of a float: the shortest digits that give it back. out: 40 bytes. */
void trit_float_repr(double f, char *out);

/** json.dumps(v, ensure_ascii, indent, separators, sort_keys). */
struct trit_json_style {
	bool ascii, sort_keys;
	int indent; /* below 0: all on one line */
	struct trit_string item_separator, key_separator;
};
struct trit_json_style trit_json_defaults(void);
void trit_text_add_json(struct trit_text *t, struct trit_value v, const struct trit_json_style *style, int depth);

/* ---- characters -------------------------------------------------------------------------------------------------- */

/** Bytes of the character at s[0]: 1 to 4; a byte that is no UTF-8 is one of its own. len >= 1. */
size_t trit_char_len(size_t len, const char *s);
/** Its code point; of a byte that is no UTF-8, the byte. */
unsigned trit_char_code(size_t len, const char *s);
/** Writes a code point in UTF-8 (U+FFFD for surrogates and what is beyond Unicode); returns how many bytes, 1 to 4. */
size_t trit_char_put(unsigned code, char out[4]);
/** Python's str.isspace of one character. */
bool trit_char_is_space(unsigned code);
size_t trit_string_chars(struct trit_string s);

#endif
