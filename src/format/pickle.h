/*
 * pickle.h - takes a Python pickle apart into values, and does nothing else.
 *
 * A pickle is a program for a stack machine that can call any function of the Python it is loaded in. Here nothing is
 * called and nothing imported: what a pickle would call is recorded as a value of kind CALL (of a GLOBAL with
 * arguments), to be recognised or refused by whoever reads the result. Only the opcodes of plain data are known, of
 * protocols 2 to 5; anything else is an error.
 *
 * Work and memory are bounded: one value for each opcode at most, TRIT_PICKLE_MAX_VALUES of them, no recursion.
 *
 * Reference: the comments of CPython's Lib/pickletools.py.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_PICKLE_H
#define TRIT_FORMAT_PICKLE_H

#include <stdbool.h>

#include "base/error.h"

#define TRIT_PICKLE_MAX_VALUES (1u << 22)

enum trit_pickle_kind {
	TRIT_PICKLE_MARK, /* never in a result */
	TRIT_PICKLE_NONE,
	TRIT_PICKLE_BOOL,
	TRIT_PICKLE_INT,
	TRIT_PICKLE_FLOAT,
	TRIT_PICKLE_TEXT,       /* a string, or bytes */
	TRIT_PICKLE_TUPLE,
	TRIT_PICKLE_LIST,
	TRIT_PICKLE_DICT,
	TRIT_PICKLE_GLOBAL,     /* a name: "torch._utils", "_rebuild_tensor_v2" */
	TRIT_PICKLE_CALL,       /* of a global, with a tuple; it may have been filled like a dict or list */
	TRIT_PICKLE_PERSISTENT, /* an object outside the pickle, by its id */
};

/** A value by its number; values refer to each other so. */
typedef uint32_t trit_pickle_ref;

struct trit_pickle_value {
	enum trit_pickle_kind kind;
	uint32_t n;     /* TUPLE, LIST, DICT, CALL: number of items; TEXT: of bytes; GLOBAL: of bytes of the module */
	union {
		int64_t integer; /* BOOL, INT */
		double real;
		const char *text;             /* TEXT; GLOBAL: the module; inside the pickle */
		struct { uint32_t first, last; } items; /* cells: trit_pickle_item */
	};
	union {
		struct { const char *name; uint32_t name_len; }; /* GLOBAL */
		struct { trit_pickle_ref callee, args; };        /* CALL; PERSISTENT: args is the id */
	};
};

struct trit_pickle_cell {
	trit_pickle_ref key, value; /* key: of a dict */
	uint32_t next;              /* 0: the last */
};

struct trit_pickle {
	struct trit_pickle_value *values; /* [n_values], in the order they were made */
	size_t n_values;
	trit_pickle_ref result;
	/* private */
	struct trit_pickle_cell *cells;
	size_t n_cells, values_cap, cells_cap;
};

/** The bytes must outlive p. Errors: FORMAT (damaged), UNSUPPORTED (opcodes of other things), LIMIT, MEMORY; with the
 * byte. */
TRIT_MUST_CHECK int trit_pickle_read(struct trit_pickle *p, const unsigned char *data, size_t size,
                                     struct trit_error *err);
void trit_pickle_release(struct trit_pickle *p);

/** Walks the items of a TUPLE, LIST, DICT or CALL: *cell = 0 first; false at the end. */
bool trit_pickle_next(const struct trit_pickle *p, const struct trit_pickle_value *of, uint32_t *cell,
                      const struct trit_pickle_value **key, const struct trit_pickle_value **value);
/** Element i of a tuple or list; NULL beyond its end. Takes i steps. */
const struct trit_pickle_value *trit_pickle_item(const struct trit_pickle *p, const struct trit_pickle_value *of,
                                                 uint32_t i);
/** Whether v is the global MODULE.NAME. */
bool trit_pickle_is_global(const struct trit_pickle_value *v, const char *module, const char *name);
/** Whether v is a text equal to this one. */
bool trit_pickle_is_text(const struct trit_pickle_value *v, const char *text);

#endif
