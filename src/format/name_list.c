/*
 * name_list.c - a list searched from the front; hashes make that cheap for the thousands of names a model has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "format/name_list.h"

#define MAX_ENTRIES (1 << 24)

void trit_name_list_release(struct trit_name_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		trit_free(l->entries[i].name);
	trit_free(l->entries);
	*l = (struct trit_name_list){ 0 };
}

/* FNV-1a. Names differ late ("blk.10.attn_q.weight"), so comparing them without a hash would be slow. */
static uint64_t hash_name(size_t len, const char *name)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3;
	return h;
}

static bool has(const struct trit_name_list *l, uint64_t hash, size_t len, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct trit_named *e = &l->entries[i];

		if (e->hash == hash && strlen(e->name) == len && memcmp(e->name, name, len) == 0)
			return true;
	}
	return false;
}

bool trit_name_list_has(const struct trit_name_list *l, size_t len, const char *name)
{
	return has(l, hash_name(len, name), len, name);
}

int trit_name_list_add(struct trit_name_list *l, const char *what, size_t len, const char *name, size_t max,
                       struct trit_error *err)
{
	int shown = (int)(len < 80 ? len : 80);
	uint64_t hash = hash_name(len, name);
	char *copy;

	if (len == 0 || len > max)
		return trit_fail(err, TRIT_ERR_ARG, "%s '%.*s': a name of %zu bytes; 1 to %zu are possible", what,
		                 shown, name, len, max);
	if (has(l, hash, len, name))
		return trit_fail(err, TRIT_ERR_ARG, "%s '%.*s' is given twice", what, shown, name);
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct trit_named *grown = NULL;

		if (cap <= MAX_ENTRIES)
			grown = trit_realloc(l->entries, l->n * sizeof *grown, cap, sizeof *grown);
		if (!grown)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu names", cap);
		l->entries = grown;
		l->cap = cap;
	}
	copy = trit_strndup(name, len);
	if (!copy)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a name");
	l->entries[l->n++] = (struct trit_named){ .name = copy, .hash = hash };
	return 0;
}
