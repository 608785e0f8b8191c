/*
 * pickle.c - the stack machine of pickles, without the part that calls anything.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/pickle.h"

#include "base/mem.h"
#include "base/num.h"

/* Opcodes by their names in pickletools.py. */
enum opcode {
	MARK = '(', STOP = '.', POP = '0', POP_MARK = '1', DUP = '2',
	NONE = 'N', NEWTRUE = 0x88, NEWFALSE = 0x89,
	BININT = 'J', BININT1 = 'K', BININT2 = 'M', LONG1 = 0x8a, LONG4 = 0x8b, BINFLOAT = 'G',
	BINUNICODE = 'X', SHORT_BINUNICODE = 0x8c, BINUNICODE8 = 0x8d,
	BINSTRING = 'T', SHORT_BINSTRING = 'U', BINBYTES = 'B', SHORT_BINBYTES = 'C', BINBYTES8 = 0x8e,
	EMPTY_TUPLE = ')', TUPLE = 't', TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87,
	EMPTY_LIST = ']', LIST = 'l', APPEND = 'a', APPENDS = 'e',
	EMPTY_DICT = '}', DICT = 'd', SETITEM = 's', SETITEMS = 'u',
	BINPUT = 'q', LONG_BINPUT = 'r', MEMOIZE = 0x94, BINGET = 'h', LONG_BINGET = 'j',
	PROTO = 0x80, FRAME = 0x95,
	GLOBAL = 'c', STACK_GLOBAL = 0x93, REDUCE = 'R', NEWOBJ = 0x81, BUILD = 'b', BINPERSID = 'Q',
};

/* A growing list of references. */
struct refs {
	trit_pickle_ref *at;
	size_t n, cap;
};

struct machine {
	struct trit_pickle *p;
	const unsigned char *data;
	size_t size, at; /* at <= size */
	struct refs stack, memo;
	struct trit_error *err;
};

static int fail(const struct machine *m, enum trit_status status, const char *what)
{
	return trit_fail_at(m->err, status, (int64_t)m->at, "pickle, byte %zu: %s", m->at, what);
}

/* A pickle that no Python writes. */
static int fail_damaged(const struct machine *m)
{
	return fail(m, TRIT_ERR_FORMAT, "makes no sense here; the file is damaged");
}

/* Room in *list for n elements of `size` bytes. */
static int grow(const struct machine *m, void **list, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap ? *cap : 256;
	void *p;

	if (n <= *cap)
		return 0;
	if (n > TRIT_PICKLE_MAX_VALUES)
		return fail(m, TRIT_ERR_LIMIT, "more values than any model has");
	while (more < n)
		more *= 2;
	p = trit_realloc(*list, *cap * size, more, size);
	if (!p)
		return fail(m, TRIT_ERR_MEMORY, "not enough memory");
	*list = p;
	*cap = more;
	return 0;
}

static int put_ref(const struct machine *m, struct refs *list, trit_pickle_ref ref)
{
	void *at = list->at;
	int status = grow(m, &at, &list->cap, list->n + 1, sizeof *list->at);

	list->at = at;
	if (status == 0)
		list->at[list->n++] = ref;
	return status;
}

/* Makes a value and pushes it. */
static int push(struct machine *m, struct trit_pickle_value v)
{
	void *values = m->p->values;
	int status = grow(m, &values, &m->p->values_cap, m->p->n_values + 1, sizeof v);

	m->p->values = values;
	if (status < 0)
		return status;
	m->p->values[m->p->n_values] = v;
	return put_ref(m, &m->stack, (trit_pickle_ref)m->p->n_values++);
}

static struct trit_pickle_value *value_of(const struct machine *m, trit_pickle_ref ref)
{
	return &m->p->values[ref];
}

/* Takes the top of the stack, which is no mark. */
static int pop(struct machine *m, trit_pickle_ref *ref)
{
	if (m->stack.n == 0 || value_of(m, m->stack.at[m->stack.n - 1])->kind == TRIT_PICKLE_MARK)
		return fail_damaged(m);
	*ref = m->stack.at[--m->stack.n];
	return 0;
}

/* The place behind the topmost mark on the stack. */
static int find_mark(const struct machine *m, size_t *first)
{
	for (size_t i = m->stack.n; i > 0; i--)
		if (value_of(m, m->stack.at[i - 1])->kind == TRIT_PICKLE_MARK) {
			*first = i;
			return 0;
		}
	return fail_damaged(m);
}

/* ---- bytes of the pickle ---------------------------------------------------------------------------------------- */

static int take(struct machine *m, uint64_t n, const unsigned char **out)
{
	if (n > m->size - m->at)
		return fail(m, TRIT_ERR_FORMAT, "it ends too early; the file is truncated or damaged");
	*out = m->data + m->at;
	m->at += (size_t)n;
	return 0;
}

/* A number of 1, 2, 4 or 8 bytes. */
static int take_count(struct machine *m, int bytes, uint64_t *out)
{
	const unsigned char *p = NULL;
	int status = take(m, (uint64_t)bytes, &p);

	*out = 0;
	for (int i = 0; status == 0 && i < bytes; i++)
		*out |= (uint64_t)p[i] << 8 * i;
	return status;
}

/* A line without its end. */
static int take_line(struct machine *m, const char **text, uint32_t *len)
{
	const unsigned char *start = m->data + m->at, *end = memchr(start, '\n', m->size - m->at);

	if (!end || end - start > 1000)
		return fail_damaged(m);
	*text = (const char *)start;
	*len = (uint32_t)(end - start);
	m->at += *len + 1;
	return 0;
}

/* ---- groups of opcodes ------------------------------------------------------------------------------------------ */

static int push_integer(struct machine *m, enum trit_pickle_kind kind, int64_t v)
{
	return push(m, (struct trit_pickle_value){ .kind = kind, .integer = v });
}

/* n bytes in two's complement; what needs more than 64 bits is no size or count. */
static int push_long(struct machine *m, uint64_t n)
{
	const unsigned char *p = NULL;
	uint64_t v = 0;
	int status = take(m, n, &p);

	if (status < 0)
		return status;
	if (n > 8)
		return fail(m, TRIT_ERR_UNSUPPORTED, "an integer of more than 64 bits, which no model needs");
	if (n > 0 && p[n - 1] & 0x80)
		v = ~UINT64_C(0);
	for (uint64_t i = n; i > 0; i--)
		v = v << 8 | p[i - 1];
	return push_integer(m, TRIT_PICKLE_INT, (int64_t)v);
}

static int do_number(struct machine *m, int op)
{
	const unsigned char *p = NULL;
	struct trit_pickle_value v = { .kind = TRIT_PICKLE_FLOAT };
	uint64_t bits = 0;
	int status = 0;

	switch (op) {
	case NONE:
		return push_integer(m, TRIT_PICKLE_NONE, 0);
	case NEWTRUE:
	case NEWFALSE:
		return push_integer(m, TRIT_PICKLE_BOOL, op == NEWTRUE);
	case BININT:
		status = take_count(m, 4, &bits);
		return status < 0 ? status : push_integer(m, TRIT_PICKLE_INT, (int32_t)(uint32_t)bits);
	case BININT1:
	case BININT2:
		status = take_count(m, op == BININT1 ? 1 : 2, &bits);
		return status < 0 ? status : push_integer(m, TRIT_PICKLE_INT, (int64_t)bits);
	case LONG1:
	case LONG4:
		status = take_count(m, op == LONG1 ? 1 : 4, &bits);
		return status < 0 ? status : push_long(m, bits);
	default: /* BINFLOAT: big-endian */
		status = take(m, 8, &p);
		for (int i = 0; status == 0 && i < 8; i++)
			bits = bits << 8 | p[i];
		memcpy(&v.real, &bits, sizeof bits);
		return status < 0 ? status : push(m, v);
	}
}

static int do_text(struct machine *m, int op)
{
	bool one = op == SHORT_BINUNICODE || op == SHORT_BINSTRING || op == SHORT_BINBYTES;
	bool eight = op == BINUNICODE8 || op == BINBYTES8;
	const unsigned char *p = NULL;
	uint64_t n = 0;
	int status = take_count(m, one ? 1 : eight ? 8 : 4, &n);

	if (status == 0)
		status = take(m, n, &p);
	if (status == 0 && n > UINT32_MAX)
		return fail(m, TRIT_ERR_UNSUPPORTED, "a text of more than 4 GiB");
	if (status < 0)
		return status;
	return push(m, (struct trit_pickle_value){ .kind = TRIT_PICKLE_TEXT, .n = (uint32_t)n,
	                                           .text = (const char *)p });
}

/* Appends an item to a container. */
static int add_item(struct machine *m, trit_pickle_ref to, trit_pickle_ref key, trit_pickle_ref value)
{
	struct trit_pickle *p = m->p;
	struct trit_pickle_value *v = value_of(m, to);
	void *cells = p->cells;
	uint32_t cell;
	int status = grow(m, &cells, &p->cells_cap, p->n_cells + 2, sizeof *p->cells);

	p->cells = cells;
	if (status < 0)
		return status;
	if (p->n_cells == 0)
		p->cells[p->n_cells++] = (struct trit_pickle_cell){ 0 }; /* cell 0 is no cell */
	cell = (uint32_t)p->n_cells++;
	p->cells[cell] = (struct trit_pickle_cell){ .key = key, .value = value };
	if (v->n++ == 0)
		v->items.first = cell;
	else
		p->cells[v->items.last].next = cell;
	v->items.last = cell;
	return 0;
}

/* A container of the topmost n of the stack, in their place. Dicts take pairs. */
static int make(struct machine *m, enum trit_pickle_kind kind, size_t n)
{
	size_t first = m->stack.n - n, step = kind == TRIT_PICKLE_DICT ? 2 : 1;
	trit_pickle_ref made;
	int status;

	if (n > m->stack.n || n % step != 0)
		return fail_damaged(m);
	for (size_t i = first; i < m->stack.n; i++)
		if (value_of(m, m->stack.at[i])->kind == TRIT_PICKLE_MARK)
			return fail_damaged(m);
	status = push(m, (struct trit_pickle_value){ .kind = kind });
	if (status < 0)
		return status;
	made = m->stack.at[--m->stack.n];
	for (size_t i = first; status == 0 && i < m->stack.n; i += step)
		status = add_item(m, made, m->stack.at[i], m->stack.at[i + step - 1]);
	m->stack.n = first;
	return status == 0 ? put_ref(m, &m->stack, made) : status;
}

/* The same of all above the topmost mark, which goes. */
static int make_from_mark(struct machine *m, enum trit_pickle_kind kind)
{
	size_t first = 0;
	int status = find_mark(m, &first);

	if (status == 0)
		status = make(m, kind, m->stack.n - first);
	if (status < 0)
		return status;
	m->stack.at[first - 1] = m->stack.at[first];
	m->stack.n = first;
	return 0;
}

/* Adds stack elements from `first` on to the container below them (and below the mark there, if any). Only a list or
 * dict, or what a call made, can be filled. */
static int fill(struct machine *m, size_t first, bool marked, bool pairs)
{
	size_t container = first - (marked ? 2 : 1), step = pairs ? 2 : 1, n = m->stack.n - first;
	enum trit_pickle_kind kind;
	int status = 0;

	if (first < (marked ? 2u : 1u) || n % step != 0)
		return fail_damaged(m);
	kind = value_of(m, m->stack.at[container])->kind;
	if (kind != (pairs ? TRIT_PICKLE_DICT : TRIT_PICKLE_LIST) && kind != TRIT_PICKLE_CALL)
		return fail_damaged(m);
	for (size_t i = first; status == 0 && i < m->stack.n; i += step) {
		trit_pickle_ref key = m->stack.at[i], value = m->stack.at[i + step - 1];

		if (value_of(m, key)->kind == TRIT_PICKLE_MARK || value_of(m, value)->kind == TRIT_PICKLE_MARK)
			return fail_damaged(m);
		status = add_item(m, m->stack.at[container], key, value);
	}
	m->stack.n = container + 1;
	return status;
}

static int do_container(struct machine *m, int op)
{
	size_t first = 0;
	int status;

	switch (op) {
	case EMPTY_TUPLE:
		return make(m, TRIT_PICKLE_TUPLE, 0);
	case TUPLE1:
	case TUPLE2:
	case TUPLE3:
		return make(m, TRIT_PICKLE_TUPLE, (size_t)(op - TUPLE1) + 1);
	case TUPLE:
		return make_from_mark(m, TRIT_PICKLE_TUPLE);
	case EMPTY_LIST:
		return make(m, TRIT_PICKLE_LIST, 0);
	case LIST:
		return make_from_mark(m, TRIT_PICKLE_LIST);
	case EMPTY_DICT:
		return make(m, TRIT_PICKLE_DICT, 0);
	case DICT:
		return make_from_mark(m, TRIT_PICKLE_DICT);
	case APPEND:
	case SETITEM:
		first = op == APPEND ? 1 : 2;
		return m->stack.n <= first ? fail_damaged(m) : fill(m, m->stack.n - first, false, op == SETITEM);
	default: /* APPENDS, SETITEMS */
		status = find_mark(m, &first);
		return status < 0 ? status : fill(m, first, true, op == SETITEMS);
	}
}

static int do_memo(struct machine *m, int op)
{
	uint64_t i = m->memo.n;
	void *at = m->memo.at;
	int status = 0;

	if (op != MEMOIZE)
		status = take_count(m, op == BINPUT || op == BINGET ? 1 : 4, &i);
	if (status < 0)
		return status;
	if (op == BINGET || op == LONG_BINGET)
		return i < m->memo.n ? put_ref(m, &m->stack, m->memo.at[i]) : fail_damaged(m);
	if (m->stack.n == 0 || i >= TRIT_PICKLE_MAX_VALUES ||
	    value_of(m, m->stack.at[m->stack.n - 1])->kind == TRIT_PICKLE_MARK)
		return fail_damaged(m);
	status = grow(m, &at, &m->memo.cap, (size_t)i + 1, sizeof *m->memo.at);
	m->memo.at = at;
	if (status < 0)
		return status;
	for (; m->memo.n <= i; m->memo.n++)
		m->memo.at[m->memo.n] = m->stack.at[m->stack.n - 1]; /* holes, which no pickle has, get it too */
	m->memo.at[i] = m->stack.at[m->stack.n - 1];
	return 0;
}

static int do_global(struct machine *m, int op)
{
	struct trit_pickle_value v = { .kind = TRIT_PICKLE_GLOBAL };
	trit_pickle_ref module = 0, name = 0;
	int status;

	if (op == GLOBAL) {
		status = take_line(m, &v.text, &v.n);
		if (status == 0)
			status = take_line(m, &v.name, &v.name_len);
		return status < 0 ? status : push(m, v);
	}
	status = pop(m, &name);
	if (status == 0)
		status = pop(m, &module);
	if (status < 0)
		return status;
	if (value_of(m, module)->kind != TRIT_PICKLE_TEXT || value_of(m, name)->kind != TRIT_PICKLE_TEXT)
		return fail_damaged(m);
	v.text = value_of(m, module)->text;
	v.n = value_of(m, module)->n;
	v.name = value_of(m, name)->text;
	v.name_len = value_of(m, name)->n;
	return push(m, v);
}

/* What would call something, or set an object's state, is only noted. */
static int do_object(struct machine *m, int op)
{
	struct trit_pickle_value v = { .kind = op == BINPERSID ? TRIT_PICKLE_PERSISTENT : TRIT_PICKLE_CALL };
	int status = pop(m, &v.args);

	if (status < 0 || op == BUILD) /* the state of an ordered dict is of no interest */
		return status;
	if (op != BINPERSID)
		status = pop(m, &v.callee);
	if (status == 0 && op != BINPERSID &&
	    (value_of(m, v.callee)->kind != TRIT_PICKLE_GLOBAL || value_of(m, v.args)->kind != TRIT_PICKLE_TUPLE))
		return fail(m, TRIT_ERR_UNSUPPORTED, "calls what is no name; nothing in a pickle is run here");
	return status < 0 ? status : push(m, v);
}

static int do_stack(struct machine *m, int op)
{
	trit_pickle_ref ref;
	size_t first = 0;
	int status;

	switch (op) {
	case MARK:
		return push_integer(m, TRIT_PICKLE_MARK, 0);
	case POP:
		return pop(m, &ref);
	case DUP:
		status = pop(m, &ref);
		m->stack.n += status == 0;
		return status < 0 ? status : put_ref(m, &m->stack, ref);
	default: /* POP_MARK */
		status = find_mark(m, &first);
		m->stack.n = status < 0 ? m->stack.n : first - 1;
		return status;
	}
}

static int step(struct machine *m, int op)
{
	const unsigned char *skipped;

	switch (op) {
	case PROTO:
		return take(m, 1, &skipped);
	case FRAME:
		return take(m, 8, &skipped);
	case MARK: case POP: case POP_MARK: case DUP:
		return do_stack(m, op);
	case NONE: case NEWTRUE: case NEWFALSE: case BININT: case BININT1: case BININT2: case LONG1: case LONG4:
	case BINFLOAT:
		return do_number(m, op);
	case BINUNICODE: case SHORT_BINUNICODE: case BINUNICODE8: case BINSTRING: case SHORT_BINSTRING: case BINBYTES:
	case SHORT_BINBYTES: case BINBYTES8:
		return do_text(m, op);
	case EMPTY_TUPLE: case TUPLE: case TUPLE1: case TUPLE2: case TUPLE3: case EMPTY_LIST: case LIST: case APPEND:
	case APPENDS: case EMPTY_DICT: case DICT: case SETITEM: case SETITEMS:
		return do_container(m, op);
	case BINPUT: case LONG_BINPUT: case MEMOIZE: case BINGET: case LONG_BINGET:
		return do_memo(m, op);
	case GLOBAL: case STACK_GLOBAL:
		return do_global(m, op);
	case REDUCE: case NEWOBJ: case BUILD: case BINPERSID:
		return do_object(m, op);
	default:
		m->at--;
		return trit_fail_at(m->err, TRIT_ERR_UNSUPPORTED, (int64_t)m->at,
		                    "pickle, byte %zu: opcode 0x%02x, which plain tensors do not need; the file is "
		                    "damaged, or holds something else", m->at, (unsigned)op);
	}
}

int trit_pickle_read(struct trit_pickle *p, const unsigned char *data, size_t size, struct trit_error *err)
{
	struct machine m = { .p = p, .data = data, .size = size, .err = err };
	int status = 0;

	*p = (struct trit_pickle){ 0 };
	for (;;) {
		const unsigned char *op = NULL;

		status = take(&m, 1, &op);
		if (status < 0 || *op == STOP)
			break;
		status = step(&m, *op);
		if (status < 0)
			break;
	}
	if (status == 0)
		status = pop(&m, &p->result);
	trit_free(m.stack.at);
	trit_free(m.memo.at);
	if (status < 0)
		trit_pickle_release(p);
	return status;
}

void trit_pickle_release(struct trit_pickle *p)
{
	if (!p)
		return;
	trit_free(p->values);
	trit_free(p->cells);
	*p = (struct trit_pickle){ 0 };
}

/* ---- the result ------------------------------------------------------------------------------------------------- */

bool trit_pickle_next(const struct trit_pickle *p, const struct trit_pickle_value *of, uint32_t *cell,
                      const struct trit_pickle_value **key, const struct trit_pickle_value **value)
{
	bool has_items = of->kind == TRIT_PICKLE_TUPLE || of->kind == TRIT_PICKLE_LIST ||
	                 of->kind == TRIT_PICKLE_DICT || of->kind == TRIT_PICKLE_CALL;

	if (!has_items || of->n == 0)
		return false;
	*cell = *cell ? p->cells[*cell].next : of->items.first;
	if (*cell == 0)
		return false;
	*key = &p->values[p->cells[*cell].key];
	*value = &p->values[p->cells[*cell].value];
	return true;
}

const struct trit_pickle_value *trit_pickle_item(const struct trit_pickle *p, const struct trit_pickle_value *of,
                                                 uint32_t i)
{
	const struct trit_pickle_value *key, *value = NULL;
	uint32_t cell = 0;

	for (uint32_t k = 0; k <= i; k++)
		if (!trit_pickle_next(p, of, &cell, &key, &value))
			return NULL;
	return value;
}

bool trit_pickle_is_global(const struct trit_pickle_value *v, const char *module, const char *name)
{
	return v->kind == TRIT_PICKLE_GLOBAL && v->n == strlen(module) && memcmp(v->text, module, v->n) == 0 &&
	       v->name_len == strlen(name) && memcmp(v->name, name, v->name_len) == 0;
}

bool trit_pickle_is_text(const struct trit_pickle_value *v, const char *text)
{
	return v->kind == TRIT_PICKLE_TEXT && v->n == strlen(text) && memcmp(v->text, text, v->n) == 0;
}
