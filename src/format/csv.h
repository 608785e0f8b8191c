/*
 * csv.h - tables as text: CSV as RFC 4180 has it, and tab-separated values.
 *
 * A record is a line of fields. In CSV a field in quotes may hold commas, line ends and, doubled, quotes; in TSV there
 * are no quotes, and what looks like one is text. Lines end with LF or CRLF; a byte order mark at the beginning is not
 * text; blank lines are no records. Quotes within a field that does not begin with one are text too, which RFC 4180
 * forbids and files have.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_CSV_H
#define TRIT_FORMAT_CSV_H

#include <stdbool.h>

#include "base/buf.h"

#define TRIT_MAX_FIELDS 4096

struct trit_csv_field {
	const char *text;
	size_t len;
	/* private */
	bool doubled; /* there are doubled quotes in it */
	size_t at;    /* in the buffer of those without */
};

/** Reads a table in memory, which outlives it. */
struct trit_csv {
	const char *at, *end;
	char separator;
	bool quotes;
	uint64_t line;  /* at which the record begins, from 1 */
	int n;          /* fields of the record */
	struct trit_csv_field fields[TRIT_MAX_FIELDS]; /* valid until the next one */
	/* private */
	uint64_t next_line;
	struct trit_buf single; /* texts of fields with doubled quotes, with one of each two */
};

/** separator ',' with quotes, or '\t' without. */
void trit_csv_init(struct trit_csv *c, size_t len, const char *text, char separator, bool quotes);
void trit_csv_release(struct trit_csv *c);
/** The next record; 1: there is one, 0: the end. Errors: FORMAT (a quote that is not closed, text behind one; with the
 * line), LIMIT (fields), MEMORY. */
TRIT_MUST_CHECK int trit_csv_next(struct trit_csv *c, struct trit_error *err);

#endif
