/*
 * json_records.h - the records of a JSON file: one a line (JSONL), or the elements of one list.
 *
 * Only cuts: what is wrong with a record whoever parses it tells.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_JSON_RECORDS_H
#define TRIT_FORMAT_JSON_RECORDS_H

#include <stdbool.h>

#include "base/error.h"

struct trit_json_records {
	const char *at, *end; /* of the file, which outlives this */
	uint64_t line;        /* of the record, from 1 */
	bool list;            /* the file is a JSON list */
	/* private */
	size_t len;           /* of the record, which begins at `at` */
};

void trit_json_records_init(struct trit_json_records *r, size_t len, const char *text);
/** The next record; false at the end. */
bool trit_json_records_next(struct trit_json_records *r, const char **text, size_t *len);

#endif
