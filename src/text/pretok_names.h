/*
 * pretok_names.h - the table of named pre-tokenisers, for pretok.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_PRETOK_NAMES_H
#define TRIT_TEXT_PRETOK_NAMES_H

#include "text/vocab.h"

struct trit_pretok_row {
	const char *name;
	unsigned traits; /* enum trit_pretok_traits */
	const struct trit_split *splits; /* up to the first without a pattern */
};

/** The row of that name, or NULL with *err describing which names there are. */
const struct trit_pretok_row *trit_pretok_find_row(const char *name, struct trit_error *err);

#endif
