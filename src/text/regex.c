/*
 * regex.c - translates regular expressions to PCRE2's dialect, compiles them, finds matches.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif

#include "base/buf.h"
#include "base/mem.h"
#include "text/regex.h"

#ifndef TRIT_HAVE_PCRE2

#define NO_PCRE2 "this build cannot tokenize: it is without PCRE2; install libpcre2-dev and build again"

int trit_regex_new(struct trit_regex **out, const char *pattern, unsigned flags, struct trit_error *err)
{
	(void)out;
	(void)pattern;
	(void)flags;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, NO_PCRE2);
}

void trit_regex_free(struct trit_regex *r)
{
	(void)r;
}

int trit_regex_work_new(struct trit_regex_work **out, struct trit_error *err)
{
	(void)out;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, NO_PCRE2);
}

void trit_regex_work_free(struct trit_regex_work *w)
{
	(void)w;
}

void trit_regex_work_limit(struct trit_regex_work *w, uint32_t steps)
{
	(void)w;
	(void)steps;
}

int trit_regex_find(const struct trit_regex *r, struct trit_regex_work *w, size_t len, const char *text, size_t from,
                    size_t *begin, size_t *end)
{
	(void)r;
	(void)w;
	(void)len;
	(void)text;
	(void)from;
	(void)begin;
	(void)end;
	return TRIT_REGEX_NONE;
}

#else

#define STRANGER_STEPS 100000 /* a match of a file's expression; PCRE2 gives its own users a hundred times as many */
#define MAX_HEAP_KIB (64 << 10)

/* ---- translation ------------------------------------------------------------------------------------------------ */

struct translation {
	const char *at; /* what is left of the pattern, NUL-terminated */
	struct trit_buf out;
	int depth; /* of sets in sets; 0: outside */
	bool bytes;
};

static int put(struct translation *t, const char *text, struct trit_error *err)
{
	return trit_buf_append(&t->out, strlen(text), text, err);
}

/* Takes n characters of the pattern as they stand. */
static int copy(struct translation *t, size_t n, struct trit_error *err)
{
	int status = trit_buf_append(&t->out, n, t->at, err);

	t->at += n;
	return status;
}

static int fail_syntax(const char *what, struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "a regular expression with %s, which has no translation for PCRE2", what);
}

/* A class of characters: its members inside a set, a set of its own outside. */
static int put_class(struct translation *t, bool negated, const char *members, struct trit_error *err)
{
	int status = 0;

	t->at += 2;
	if (t->depth == 0)
		status = put(t, negated ? "[^" : "[", err);
	if (status == 0)
		status = put(t, members, err);
	if (status == 0 && t->depth == 0)
		status = put(t, "]", err);
	return status;
}

/* \uHHHH as \x{HHHH}. */
static int put_code_point(struct translation *t, struct trit_error *err)
{
	char text[] = "\\x{....}";

	for (int i = 0; i < 4; i++) {
		char c = t->at[2 + i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return fail_syntax("\\u that four hexadecimal digits do not follow", err);
		text[3 + i] = c;
	}
	t->at += 6;
	return put(t, text, err);
}

/* An escape as it stands, with the name or number in braces that belongs to it. */
static int copy_escape(struct translation *t, struct trit_error *err)
{
	size_t n = 2;

	if (t->at[2] == '{' && strchr("pPxogk", t->at[1])) {
		const char *end = strchr(t->at, '}');

		if (!end)
			return trit_fail(err, TRIT_ERR_FORMAT, "a regular expression with a brace that is not closed");
		n = (size_t)(end + 1 - t->at);
	}
	return copy(t, n, err);
}

static int translate_escape(struct translation *t, struct trit_error *err)
{
	char c = t->at[1];
	bool set = t->depth > 0;

	switch (c) {
	case 0:
		return trit_fail(err, TRIT_ERR_FORMAT, "a regular expression that ends with a backslash");
	case 's':
		return put_class(t, false, TRIT_REGEX_SPACE, err);
	case 'w':
		return put_class(t, false, TRIT_REGEX_WORD, err);
	case 'h':
		return put_class(t, false, "0-9A-Fa-f", err);
	case 'S': /* in a set PCRE2's own, which differs by U+180E */
		return set ? copy(t, 2, err) : put_class(t, true, TRIT_REGEX_SPACE, err);
	case 'W':
		return set ? fail_syntax("\\W inside [ ]", err) : put_class(t, true, TRIT_REGEX_WORD, err);
	case 'H':
		return set ? fail_syntax("\\H inside [ ]", err) : put_class(t, true, "0-9A-Fa-f", err);
	case 'v':
		t->at += 2;
		return put(t, "\\x0b", err);
	case 'u':
		return put_code_point(t, err);
	case 'x':
		if (t->at[2] >= '8' && t->at[2] != '{' && !t->bytes)
			return fail_syntax("\\x of a byte beyond ASCII", err);
		return copy_escape(t, err);
	case 'Q': /* no quoting there: the letters themselves */
	case 'E':
		t->at++;
		return copy(t, 1, err);
	default:
		return copy_escape(t, err);
	}
}

static int translate_in_set(struct translation *t, struct trit_error *err)
{
	if (!strncmp(t->at, "&&", 2))
		return fail_syntax("sets that intersect (&&)", err);
	if (!strncmp(t->at, "[:", 2)) {
		const char *end = strstr(t->at, ":]");

		return end ? copy(t, (size_t)(end + 2 - t->at), err) : copy(t, 1, err);
	}
	if (*t->at == '[') {
		if (t->at[1] == '^')
			return fail_syntax("one set in another that excludes characters", err);
		t->depth++;
		t->at++;
		return 0;
	}
	if (*t->at == ']' && t->depth-- > 1) {
		t->at++;
		return 0;
	}
	return copy(t, 1, err);
}

/* "(?im-x:" and the like, where m is PCRE2's s. */
static int translate_options(struct translation *t, struct trit_error *err)
{
	int status = copy(t, 2, err);
	size_t n = strspn(t->at, "imx-");

	if (t->at[n] != ':' && t->at[n] != ')')
		return status;
	for (; n > 0 && status == 0; n--) {
		status = put(t, (const char[]){ *t->at == 'm' ? 's' : *t->at, 0 }, err);
		t->at++;
	}
	return status;
}

/* DeepSeek's expression for white space at the end of a line, looked for where white space begins: it matches nowhere
 * else that the first match of a run has not taken, and a search from each place of a long run would be quadratic. */
#define SPACE_AT_END "\\s+$"
#define SPACE_AT_END_ONCE "(?<!\\s)\\s+$"

static int translate(struct translation *t, struct trit_error *err)
{
	int status = 0;

	if (!strcmp(t->at, SPACE_AT_END))
		t->at = SPACE_AT_END_ONCE;
	while (*t->at && status == 0) {
		if (*t->at == '\\') {
			status = translate_escape(t, err);
		} else if (t->depth > 0) {
			status = translate_in_set(t, err);
		} else if (*t->at == '[') {
			t->depth = 1;
			status = copy(t, t->at[1] == '^' ? 2 : 1, err);
		} else if (!strncmp(t->at, "(?", 2)) {
			status = translate_options(t, err);
		} else if (!strncmp(t->at, "(*", 2)) {
			status = fail_syntax("(*", err);
		} else if (!strncmp(t->at, "}+", 2)) {
			status = fail_syntax("}+", err);
		} else {
			status = copy(t, 1, err);
		}
	}
	return status;
}

/* ---- compiling -------------------------------------------------------------------------------------------------- */

struct trit_regex {
	pcre2_code *code;
	bool bytes, trusted;
	bool compiled; /* to machine code; else PCRE2 interprets */
};

struct trit_regex_work {
	pcre2_match_data *match;
	pcre2_match_context *trusted, *stranger;
};

static void *allocate(size_t size, void *unused)
{
	(void)unused;
	return trit_calloc(size, 1);
}

static void release(void *p, void *unused)
{
	(void)unused;
	trit_free(p);
}

static int compile(struct trit_regex *r, pcre2_general_context *memory, const char *pattern, size_t len, unsigned flags,
                   struct trit_error *err)
{
	uint32_t options = PCRE2_NO_AUTO_CAPTURE | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *context = pcre2_compile_context_create(memory);
	int error;
	PCRE2_SIZE where;

	if (!context)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a regular expression");
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	options |= flags & TRIT_REGEX_BYTES ? 0 : PCRE2_UTF | PCRE2_UCP;
	options |= flags & TRIT_REGEX_ANCHORED ? PCRE2_ANCHORED : 0;
	r->code = pcre2_compile((PCRE2_SPTR)pattern, len, options, &error, &where, context);
	pcre2_compile_context_free(context);
	if (!r->code) {
		PCRE2_UCHAR why[120];

		if (error == PCRE2_ERROR_HEAP_FAILED)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a regular expression");
		pcre2_get_error_message(error, why, sizeof why);
		return trit_fail(err,
		                 error == PCRE2_ERROR_UNICODE_NOT_SUPPORTED ? TRIT_ERR_UNSUPPORTED : TRIT_ERR_FORMAT,
		                 "the regular expression \"%.200s\": PCRE2 says: %s", pattern, (const char *)why);
	}
	r->compiled = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
	return 0;
}

int trit_regex_new(struct trit_regex **out, const char *pattern, unsigned flags, struct trit_error *err)
{
	struct translation t = { .at = pattern, .bytes = flags & TRIT_REGEX_BYTES };
	struct trit_regex *r = NULL;
	pcre2_general_context *memory = NULL;
	int status;

	trit_buf_init(&t.out, TRIT_MAX_REGEX_BYTES);
	status = translate(&t, err);
	if (status == 0) {
		r = trit_calloc(1, sizeof *r);
		memory = pcre2_general_context_create(allocate, release, NULL);
		if (!r || !memory)
			status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a regular expression");
	}
	if (status == 0)
		status = compile(r, memory, t.out.data ? t.out.data : "", t.out.len, flags, err);
	pcre2_general_context_free(memory);
	trit_buf_release(&t.out);
	if (status < 0) {
		trit_free(r);
		return status;
	}
	r->bytes = flags & TRIT_REGEX_BYTES;
	r->trusted = flags & TRIT_REGEX_TRUSTED;
	*out = r;
	return 0;
}

void trit_regex_free(struct trit_regex *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	trit_free(r);
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

int trit_regex_work_new(struct trit_regex_work **out, struct trit_error *err)
{
	struct trit_regex_work *w = trit_calloc(1, sizeof *w);
	pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);

	if (w && memory) {
		w->match = pcre2_match_data_create(1, memory);
		w->trusted = pcre2_match_context_create(memory);
		w->stranger = pcre2_match_context_create(memory);
	}
	pcre2_general_context_free(memory);
	if (!w || !w->match || !w->trusted || !w->stranger) {
		trit_regex_work_free(w);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to match regular expressions");
	}
	pcre2_set_heap_limit(w->trusted, MAX_HEAP_KIB);
	pcre2_set_heap_limit(w->stranger, MAX_HEAP_KIB);
	pcre2_set_match_limit(w->stranger, STRANGER_STEPS);
	*out = w;
	return 0;
}

void trit_regex_work_free(struct trit_regex_work *w)
{
	if (!w)
		return;
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->trusted);
	pcre2_match_context_free(w->stranger);
	trit_free(w);
}

void trit_regex_work_limit(struct trit_regex_work *w, uint32_t steps)
{
	pcre2_set_match_limit(w->trusted, steps);
	pcre2_set_match_limit(w->stranger, steps);
}

int trit_regex_find(const struct trit_regex *r, struct trit_regex_work *w, size_t len, const char *text, size_t from,
                    size_t *begin, size_t *end)
{
	pcre2_match_context *bounds = r->trusted ? w->trusted : w->stranger;
	uint32_t options = r->bytes ? 0 : PCRE2_NO_UTF_CHECK;
	const PCRE2_SIZE *found;
	int n = PCRE2_ERROR_JIT_STACKLIMIT;

	if (r->compiled)
		n = pcre2_jit_match(r->code, (PCRE2_SPTR)text, len, from, options, w->match, bounds);
	if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* groups repeated very often: the interpreter has more room */
		n = pcre2_match(r->code, (PCRE2_SPTR)text, len, from, options | PCRE2_NO_JIT, w->match, bounds);
	if (n == PCRE2_ERROR_NOMATCH)
		return TRIT_REGEX_NONE;
	if (n == PCRE2_ERROR_NOMEMORY)
		return TRIT_ERR_MEMORY;
	if (n < 0)
		return TRIT_REGEX_GAVE_UP;
	found = pcre2_get_ovector_pointer(w->match);
	if (found[0] < from || found[1] < found[0])
		return TRIT_REGEX_NONE;
	*begin = found[0];
	*end = found[1];
	return TRIT_REGEX_FOUND;
}

#endif
