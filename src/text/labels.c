/*
 * labels.c - names of labels, and texts put to a classifier.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/labels.h"

#include "base/mem.h"

void trit_labels_release(struct trit_labels *l)
{
	for (int i = 0; i < l->n; i++)
		trit_free(l->names[i]);
	trit_free(l->names);
	trit_free(l->template);
	*l = (struct trit_labels){ 0 };
}

int trit_labels_add(struct trit_labels *l, size_t len, const char *name, struct trit_error *err)
{
	int shown = len < 40 ? (int)len : 40;
	if (len == 0 || len > TRIT_MAX_LABEL_BYTES || memchr(name, 0, len))
		return trit_fail(err, TRIT_ERR_ARG, "\"%.*s\" is no name of a label: 1 to %d bytes are", shown, name,
		                 TRIT_MAX_LABEL_BYTES);
	if (trit_labels_find(l, len, name) >= 0)
		return trit_fail(err, TRIT_ERR_ARG, "the label \"%.*s\" is there twice", shown, name);
	if (l->n == TRIT_MAX_LABELS)
		return trit_fail(err, TRIT_ERR_LIMIT, "more than %d labels", TRIT_MAX_LABELS);
	if ((l->n & (l->n - 1)) == 0) { /* full: room for twice as many */
		size_t cap = l->n ? 2 * (size_t)l->n : 1;
		char **names = trit_realloc(l->names, (size_t)l->n * sizeof *names, cap, sizeof *names);
		if (!names)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu labels", cap);
		l->names = names;
	}
	l->names[l->n] = trit_strndup(name, len);
	if (!l->names[l->n])
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d labels", l->n + 1);
	l->n++;
	return TRIT_OK;
}

/* Where {text} begins in bytes at..end; NULL: nowhere. */
static const char *find_place(const char *at, const char *end)
{
	const size_t len = sizeof TRIT_LABEL_PLACE - 1;
	for (; (size_t)(end - at) >= len; at++)
		if (!memcmp(at, TRIT_LABEL_PLACE, len))
			return at;
	return NULL;
}

int trit_labels_set_template(struct trit_labels *l, size_t len, const char *text, struct trit_error *err)
{
	const char *end = text + len, *place = find_place(text, end);
	int shown = len < 60 ? (int)len : 60;
	if (!place || memchr(text, 0, len))
		return trit_fail(err, TRIT_ERR_ARG, "template \"%.*s\": no " TRIT_LABEL_PLACE " in it, where the text goes",
		                 shown, text);
	if (find_place(place + 1, end))
		return trit_fail(err, TRIT_ERR_ARG, "template \"%.*s\": " TRIT_LABEL_PLACE " is in it more than once", shown,
		                 text);
	char *copy = trit_strndup(text, len);
	if (!copy)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a template");
	trit_free(l->template);
	l->template = copy;
	return TRIT_OK;
}

int trit_labels_find(const struct trit_labels *l, size_t len, const char *name)
{
	for (int i = 0; i < l->n; i++)
		if (strlen(l->names[i]) == len && !memcmp(l->names[i], name, len))
			return i;
	return -1;
}

/* Whether a name is a whole number, and which. */
static bool number_of(const char *name, long long *value)
{
	char *end;
	*value = strtoll(name, &end, 10);
	return end != name && *end == 0;
}

static int compare(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	long long p = 0, q = 0;
	bool x_number = number_of(*x, &p), y_number = number_of(*y, &q);
	if (x_number != y_number)
		return x_number ? -1 : 1;
	if (x_number && p != q)
		return p < q ? -1 : 1;
	return strcmp(*x, *y);
}

void trit_labels_sort(struct trit_labels *l)
{
	if (l->n)
		qsort(l->names, (size_t)l->n, sizeof *l->names, compare);
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* A text that is put to the network. */
struct question {
	struct trit_encoder *encoder;
	struct trit_buf bytes, marks; /* of the template with as much of the text as is tried; marks: bytes of the text */
	size_t before, after;         /* bytes of the template */
	const char *end;              /* of the template */
	const char *text;
	struct trit_tokens *out;
	size_t begin;                 /* where in `out` its tokens begin */
};

static int append(struct question *q, size_t len, const char *bytes, char mark, struct trit_error *err)
{
	int e = trit_buf_append(&q->bytes, len, bytes, err);
	if (!e && !(e = trit_buf_append(&q->marks, len, bytes, err)) && len)
		memset(q->marks.data + q->marks.len - len, mark, len);
	return e;
}

/* Tokens of the template with the first len bytes of the text. */
static int try_text(struct question *q, size_t len, size_t *n, struct trit_error *err)
{
	int e;
	q->bytes.len = q->marks.len = q->before;
	q->out->len = q->begin;
	if ((e = append(q, len, q->text, 1, err)) || (e = append(q, q->after, q->end, 0, err)) ||
	    (e = trit_encode_marked(q->encoder, q->bytes.len, q->bytes.data ? q->bytes.data : "", q->marks.data,
	                            TRIT_TOKENIZE_BOS | TRIT_TOKENIZE_EOS, q->out, err)))
		return e;
	*n = q->out->len - q->begin;
	return TRIT_OK;
}

/* Not within a character. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t at = len;
	for (int i = 0; i < 3 && at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80; i++)
		at--;
	return at;
}

/* The longest beginning of the text that fits, by trying: twice as much while it does, then halves. What is far too
 * long is not looked at. */
static int fit(struct question *q, size_t len, size_t max_tokens, bool *cut, struct trit_error *err)
{
	size_t fits = 0, over, n, step = max_tokens < len ? max_tokens : len;
	int e = try_text(q, 0, &n, err);
	if (!e && n > max_tokens)
		return trit_fail(err, TRIT_ERR_ARG, "the template alone has %zu tokens, and there is room for %zu", n,
		                 max_tokens);
	for (over = step; !e; over = len - fits > over ? fits + over : len) {
		if ((e = try_text(q, over, &n, err)) || n > max_tokens)
			break;
		fits = over;
		if (fits == len)
			break;
	}
	*cut = !e && fits < len;
	while (!e && over - fits > 1 && fits < len) {
		size_t half = fits + (over - fits) / 2;
		if ((e = try_text(q, half, &n, err)))
			break;
		*(n > max_tokens ? &over : &fits) = half;
	}
	for (size_t at = fits; *cut && !e; at--) { /* now and then less text is more tokens */
		at = whole_characters(q->text, at);
		if ((e = try_text(q, at, &n, err)) || n <= max_tokens)
			break;
	}
	return e;
}

int trit_labels_encode(const struct trit_labels *l, struct trit_encoder *encoder, size_t len, const char *text,
                       size_t max_tokens, struct trit_tokens *out, bool *cut, struct trit_error *err)
{
	const char *template = l->template ? l->template : TRIT_LABEL_PLACE;
	size_t whole = strlen(template), begin = out->len;
	const char *place = find_place(template, template + whole);
	struct question q = { .encoder = encoder, .before = (size_t)(place - template), .text = text, .out = out,
		                  .begin = begin };
	q.end = place + sizeof TRIT_LABEL_PLACE - 1;
	q.after = whole - (size_t)(q.end - template);
	trit_buf_init(&q.bytes, SIZE_MAX / 2);
	trit_buf_init(&q.marks, SIZE_MAX / 2);
	int e = append(&q, q.before, template, 0, err);
	if (!e)
		e = fit(&q, len, max_tokens, cut, err);
	trit_buf_release(&q.bytes);
	trit_buf_release(&q.marks);
	if (e)
		out->len = begin;
	return e;
}
