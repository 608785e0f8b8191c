/*
 * json_text.c - writes JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

int trit_json_quote(struct trit_buf *b, size_t len, const char *text, struct trit_error *err)
{
	int e = trit_buf_append(b, 1, "\"", err);
	if (trit_utf8_valid(len, text) < len)
		return trit_fail(err, TRIT_ERR_ARG, "\"%.*s\" is not UTF-8, which JSON must be", (int)(len < 100 ? len : 100),
		                 text);
	for (size_t i = 0; !e && i < len;) {
		size_t plain = i;
		while (plain < len && (unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
			plain++;
		e = trit_buf_append(b, plain - i, text + i, err);
		i = plain;
		if (e || i == len)
			break;
		char c = text[i], letter = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c >= ' ' ? c : 0;
		if (letter)
			e = trit_buf_printf(b, err, "\\%c", letter);
		else
			e = trit_buf_printf(b, err, "\\u%04x", (unsigned char)c);
		i++;
	}
	return e ? e : trit_buf_append(b, 1, "\"", err);
}

static void append(struct trit_json *j, size_t len, const char *text)
{
	if (!j->status)
		j->status = trit_buf_append(j->out, len, text, j->err);
}

static void quote(struct trit_json *j, size_t len, const char *text)
{
	if (!j->status)
		j->status = trit_json_quote(j->out, len, text, j->err);
}

static void new_line(struct trit_json *j)
{
	append(j, 1, "\n");
	for (int i = 0; i < j->depth; i++)
		append(j, 2, "  ");
}

/* What stands before a value: the comma, the line, its name. */
static void begin_value(struct trit_json *j, size_t len, const char *key)
{
	if (j->depth == 0)
		return;
	if (!j->first)
		append(j, 1, ",");
	j->first = false;
	new_line(j);
	if (!key)
		return;
	quote(j, len, key);
	append(j, 2, ": ");
}

static void put(struct trit_json *j, const char *key, const char *value)
{
	begin_value(j, key ? strlen(key) : 0, key);
	append(j, strlen(value), value);
}

void trit_json_begin(struct trit_json *j, const char *key, char bracket)
{
	const char text[2] = { bracket, 0 };
	put(j, key, text);
	j->depth++;
	j->first = true;
}

void trit_json_end(struct trit_json *j, char bracket)
{
	j->depth--;
	if (!j->first)
		new_line(j);
	append(j, 1, &bracket);
	j->first = false;
	if (j->depth == 0)
		append(j, 1, "\n");
}

void trit_json_text(struct trit_json *j, const char *key, size_t len, const char *text)
{
	begin_value(j, key ? strlen(key) : 0, key);
	quote(j, len, text);
}

void trit_json_string(struct trit_json *j, const char *key, const char *text)
{
	trit_json_text(j, key, strlen(text), text);
}

void trit_json_int(struct trit_json *j, const char *key, int64_t v)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, v);
	put(j, key, text);
}

void trit_json_entry(struct trit_json *j, size_t len, const char *key, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%" PRId64, v);
	begin_value(j, len, key);
	append(j, (size_t)n, text);
}

void trit_json_float(struct trit_json *j, const char *key, float v)
{
	char text[32];
	if (!isfinite(v)) {
		if (!j->status)
			j->status = trit_fail(j->err, TRIT_ERR_ARG, "%s%s%g, which JSON has no number for", key ? key : "",
			                      key ? " is " : "", (double)v);
		return;
	}
	if (v == rintf(v) && fabsf(v) < 1e15f) {
		snprintf(text, sizeof text, "%.1f", (double)v);
	} else {
		int digits = 1;
		do
			snprintf(text, sizeof text, "%.*g", digits, (double)v);
		while (strtof(text, NULL) != v && ++digits <= 9);
	}
	put(j, key, text);
}

void trit_json_bool(struct trit_json *j, const char *key, bool v)
{
	put(j, key, v ? "true" : "false");
}

void trit_json_null(struct trit_json *j, const char *key)
{
	put(j, key, "null");
}
