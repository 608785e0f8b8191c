/*
 * name_list.h - the names a writer has used, to refuse one that comes twice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_NAME_LIST_H
#define TRIT_FORMAT_NAME_LIST_H

#include <stdbool.h>

#include "base/error.h"

struct trit_named {
	char *name;
	uint64_t hash;
	uint64_t bytes; /* the writer's: size of the tensor's data; 0 at first */
};

/** In the order added. Zeroed: empty. */
struct trit_name_list {
	struct trit_named *entries;
	size_t n, cap;
};

void trit_name_list_release(struct trit_name_list *l);
bool trit_name_list_has(const struct trit_name_list *l, size_t len, const char *name);
/** Adds a name of 1 to max bytes that is not there yet. `what` says what it names. Errors: ARG, MEMORY. */
TRIT_MUST_CHECK int trit_name_list_add(struct trit_name_list *l, const char *what, size_t len, const char *name,
                                       size_t max, struct trit_error *err);

#endif
