/*
 * csv.c - cuts tables into records and fields.
 *
 * Fields point into the table itself; only those with doubled quotes are copied.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/csv.h"

void trit_csv_init(struct trit_csv *c, size_t len, const char *text, char separator, bool quotes)
{
	c->at = text;
	c->end = text + len;
	c->separator = separator;
	c->quotes = quotes;
	c->line = c->next_line = 1;
	c->n = 0;
	trit_buf_init(&c->single, SIZE_MAX / 2);
	if (len >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3))
		c->at += 3;
}

void trit_csv_release(struct trit_csv *c)
{
	trit_buf_release(&c->single);
	c->at = c->end = NULL;
}

/* Bytes of a line end at p: 0 if there is none. */
static int line_end(const struct trit_csv *c, const char *p)
{
	if (p < c->end && *p == '\n')
		return 1;
	return p + 1 < c->end && *p == '\r' && p[1] == '\n' ? 2 : 0;
}

static int add_field(struct trit_csv *c, const char *text, size_t len, bool doubled, struct trit_error *err)
{
	if (c->n == TRIT_MAX_FIELDS)
		return trit_fail(err, TRIT_ERR_LIMIT, "line %llu: more than %d fields", (unsigned long long)c->line,
		                 TRIT_MAX_FIELDS);
	c->fields[c->n++] = (struct trit_csv_field){ .text = text, .len = len, .doubled = doubled };
	return TRIT_OK;
}

/* Both leave `at` behind the field. */
static int plain_field(struct trit_csv *c, struct trit_error *err)
{
	const char *begin = c->at;
	while (c->at < c->end && *c->at != c->separator && !line_end(c, c->at))
		c->at++;
	return add_field(c, begin, (size_t)(c->at - begin), false, err);
}

static int quoted_field(struct trit_csv *c, struct trit_error *err)
{
	uint64_t line = c->next_line;
	const char *begin = c->at + 1, *p = begin;
	bool doubled = false;
	for (; p < c->end && (*p != '"' || (p + 1 < c->end && p[1] == '"')); p++) {
		c->next_line += *p == '\n';
		doubled |= *p == '"';
		p += *p == '"';
	}
	if (p == c->end)
		return trit_fail(err, TRIT_ERR_FORMAT, "line %llu: a quote that is never closed", (unsigned long long)line);
	c->at = p + 1;
	if (c->at < c->end && *c->at != c->separator && !line_end(c, c->at))
		return trit_fail(err, TRIT_ERR_FORMAT, "line %llu: text behind a closing quote; a quote within a field is "
		                 "written twice", (unsigned long long)c->next_line);
	return add_field(c, begin, (size_t)(p - begin), doubled, err);
}

/* Leaves out one of each two quotes. The fields get their texts once the buffer has all and moves no more. */
static int take_single(struct trit_csv *c, struct trit_error *err)
{
	trit_buf_reset(&c->single);
	for (int i = 0; i < c->n; i++) {
		struct trit_csv_field *f = &c->fields[i];
		const char *end = f->text + f->len, *quote;
		f->at = c->single.len;
		for (const char *p = f->text; f->doubled && p < end; p = quote + 1) { /* up to and with one, then its twin */
			quote = memchr(p, '"', (size_t)(end - p));
			int e = trit_buf_append(&c->single, (size_t)((quote ? quote + 1 : end) - p), p, err);
			if (e)
				return e;
			if (!quote)
				break;
			quote++;
		}
		if (f->doubled)
			f->len = c->single.len - f->at;
	}
	for (int i = 0; i < c->n; i++)
		if (c->fields[i].doubled)
			c->fields[i].text = c->single.data + c->fields[i].at;
	return TRIT_OK;
}

static void skip_blank_lines(struct trit_csv *c)
{
	for (int n; (n = line_end(c, c->at)); c->at += n)
		c->next_line++;
}

int trit_csv_next(struct trit_csv *c, struct trit_error *err)
{
	int n;
	skip_blank_lines(c);
	if (c->at == c->end)
		return 0;
	c->line = c->next_line;
	c->n = 0;
	for (;;) {
		int e = c->quotes && c->at < c->end && *c->at == '"' ? quoted_field(c, err) : plain_field(c, err);
		if (e)
			return e;
		if (c->at == c->end || *c->at != c->separator)
			break;
		c->at++;
	}
	if ((n = line_end(c, c->at))) {
		c->at += n;
		c->next_line++;
	}
	int e = take_single(c, err);
	return e ? e : 1;
}
