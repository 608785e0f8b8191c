/*
 * gguf_split.c - opens all parts of a model and joins their lists of tensors.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/gguf_split.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { PATH_BYTES = 4096, SUFFIX_BYTES = 20 }; /* of "-00001-of-00003.gguf" */

int trit_gguf_parts(const struct trit_gguf *g, uint64_t *parts, struct trit_error *err)
{
	int status;

	*parts = 1;
	status = trit_gguf_get_u64(g, "split.count", TRIT_MAX_PARTS, parts, err);
	*parts = *parts ? *parts : 1; /* llama.cpp writes 0 to a model that is whole again */
	return status < 0 ? status : 0;
}

/* "-00001-of-00003.gguf", of part `no` from 0 on. */
static void write_suffix(char suffix[SUFFIX_BYTES + 1], uint64_t no, uint64_t parts)
{
	snprintf(suffix, SUFFIX_BYTES + 1, "-%05u-of-%05u.gguf", (unsigned)(no + 1), (unsigned)parts);
}

/* Where this part's number stands in the path. */
static int find_suffix(const struct trit_gguf *g, const char *path, uint64_t parts, size_t *prefix, uint64_t *no,
                       struct trit_error *err)
{
	char suffix[SUFFIX_BYTES + 1];
	size_t len = strlen(path);
	int status;

	*no = parts;
	status = trit_gguf_get_u64(g, "split.no", parts - 1, no, err);
	if (status != 0)
		return status < 0 ? status
		                  : trit_fail(err, TRIT_ERR_FORMAT,
		                              "key 'split.no' is missing, but split.count is %" PRIu64, parts);
	write_suffix(suffix, *no, parts);
	if (len < SUFFIX_BYTES || len >= PATH_BYTES || strcmp(path + len - SUFFIX_BYTES, suffix) != 0)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "part %" PRIu64 " of %" PRIu64 " of a model; its name must end in %s, for the others to be "
		                 "found beside it",
		                 *no + 1, parts, suffix);
	*prefix = len - SUFFIX_BYTES;
	return 0;
}

static void write_path(char out[PATH_BYTES], const char *path, size_t prefix, uint64_t no, uint64_t parts)
{
	memcpy(out, path, prefix);
	write_suffix(out + prefix, no, parts);
}

/* Names the first parts that are not there. */
static int check_all_there(const char *path, size_t prefix, uint64_t parts, struct trit_error *err)
{
	char part[PATH_BYTES], names[160];
	size_t used = 0;
	uint64_t missing = 0;
	const char *slash;

	for (uint64_t i = 0; i < parts; i++) {
		write_path(part, path, prefix, i, parts);
		if (trit_path_kind(part) >= 0)
			continue;
		slash = strrchr(part, '/');
		if (missing++ < 3 && used < sizeof names)
			used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", missing > 1 ? ", " : "",
			                         slash ? slash + 1 : part);
	}
	if (missing == 0)
		return 0;
	return trit_fail(err, TRIT_ERR_IO, "%" PRIu64 " of the model's %" PRIu64 " parts %s not beside it: %s%s", missing,
	                 parts, missing == 1 ? "is" : "are", names, missing > 3 ? ", ..." : "");
}

/* Opens a part, whose keys must be those of its place. */
static int open_part(struct trit_gguf *g, const char *path, uint64_t no, uint64_t parts, struct trit_error *err)
{
	uint64_t its_no = parts, its_parts = 0;
	int status = trit_gguf_open_part(g, path, err);

	if (status < 0)
		return status;
	if (trit_gguf_get_u64(g, "split.no", UINT64_MAX, &its_no, NULL) != 0 ||
	    trit_gguf_get_u64(g, "split.count", UINT64_MAX, &its_parts, NULL) != 0 || its_no != no || its_parts != parts)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: by its keys it is not part %" PRIu64 " of %" PRIu64 "; it belongs to another model", path,
		                 no + 1, parts);
	return 0;
}

/* All tensors, part by part, into one list. */
static int join_lists(struct trit_gguf *g, struct trit_error *err)
{
	const struct trit_gguf *first = &g->parts[0];
	uint64_t expected = 0, n = 0;

	for (uint64_t i = 0; i < g->n_parts; i++)
		g->n_tensors += g->parts[i].n_tensors;
	expected = g->n_tensors;
	if (trit_gguf_get_u64(first, "split.tensors.count", UINT64_MAX, &expected, err) < 0)
		return TRIT_ERR_FORMAT;
	if (expected != g->n_tensors)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%" PRIu64 " tensors in all parts, but split.tensors.count is %" PRIu64
		                 "; parts of different models?",
		                 g->n_tensors, expected);
	g->version = first->version;
	g->alignment = first->alignment;
	g->n_keys = first->n_keys;
	g->keys = trit_calloc((size_t)g->n_keys, sizeof *g->keys);
	g->tensors = trit_calloc((size_t)g->n_tensors, sizeof *g->tensors);
	if (!g->keys || !g->tensors)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %" PRIu64 " tensors", g->n_tensors);
	memcpy(g->keys, first->keys, (size_t)g->n_keys * sizeof *g->keys);
	for (uint64_t i = 0; i < g->n_parts; i++) {
		const struct trit_gguf *part = &g->parts[i];

		if (part->n_tensors > 0)
			memcpy(g->tensors + n, part->tensors, (size_t)part->n_tensors * sizeof *g->tensors);
		n += part->n_tensors;
	}
	return trit_gguf_index(g, err);
}

int trit_gguf_join(struct trit_gguf *g, const char *path, uint64_t parts, struct trit_error *err)
{
	struct trit_gguf whole = { 0 };
	uint64_t no = 0;
	size_t prefix = 0;
	char part[PATH_BYTES];
	int status = find_suffix(g, path, parts, &prefix, &no, err);

	if (status == 0)
		status = check_all_there(path, prefix, parts, err);
	if (status == 0 && !(whole.parts = trit_calloc((size_t)parts, sizeof *whole.parts)))
		status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %" PRIu64 " parts", parts);
	if (status < 0) {
		trit_gguf_close(g);
		return trit_fail_prefix(err, status, "%s", path);
	}
	whole.n_parts = parts;
	whole.parts[no] = *g;
	*g = (struct trit_gguf){ 0 };
	for (uint64_t i = 0; status == 0 && i < parts; i++) {
		write_path(part, path, prefix, i, parts);
		if (i != no)
			status = open_part(&whole.parts[i], part, i, parts, err);
	}
	if (status == 0 && (status = join_lists(&whole, err)) < 0)
		status = trit_fail_prefix(err, status, "%s", path);
	if (status < 0)
		trit_gguf_close(&whole);
	else
		*g = whole;
	return status;
}

bool trit_gguf_is_part(const char *file, const char *part, uint64_t parts)
{
	char path[PATH_BYTES];
	size_t len = strlen(part);
	struct stat a, b;

	if (parts < 2 || len < SUFFIX_BYTES || len >= PATH_BYTES || stat(file, &a))
		return false;
	memcpy(path, part, len + 1);
	for (uint64_t no = 0; no < parts; no++) {
		write_suffix(path + len - SUFFIX_BYTES, no, parts);
		if (!stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
			return true;
	}
	return false;
}
