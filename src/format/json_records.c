/*
 * json_records.c - cuts JSON files into records.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/json_records.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_blank(struct trit_json_records *r, bool commas)
{
	for (; r->at < r->end && (is_blank(*r->at) || (commas && *r->at == ',')); r->at++)
		r->line += *r->at == '\n';
}

/* Where an element of a JSON list ends: at the comma or bracket behind it. */
static const char *element_end(const char *p, const char *end)
{
	int depth = 0;
	for (bool text = false; p < end; p++) {
		if (text && *p == '\\' && p + 1 < end)
			p++;
		else if (*p == '"')
			text = !text;
		else if (text)
			continue;
		else if (*p == '{' || *p == '[')
			depth++;
		else if (depth == 0 && (*p == ',' || *p == ']'))
			return p;
		else if (*p == '}' || *p == ']')
			depth--;
	}
	return end;
}

void trit_json_records_init(struct trit_json_records *r, size_t len, const char *text)
{
	*r = (struct trit_json_records){ .at = text, .end = text + len, .line = 1 };
	if (len >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3))
		r->at += 3;
	skip_blank(r, false);
	r->list = r->at < r->end && *r->at == '[';
	r->at += r->list;
}

bool trit_json_records_next(struct trit_json_records *r, const char **text, size_t *len)
{
	for (const char *p = r->at; p < r->at + r->len; p++)
		r->line += *p == '\n';
	r->at += r->len;
	r->len = 0;
	skip_blank(r, r->list);
	if (r->at >= r->end || (r->list && *r->at == ']'))
		return false;
	const char *stop = r->list ? element_end(r->at, r->end) : memchr(r->at, '\n', (size_t)(r->end - r->at));
	*text = r->at;
	*len = r->len = (size_t)((stop ? stop : r->end) - r->at);
	return true;
}
