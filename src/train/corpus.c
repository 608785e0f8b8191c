/*
 * corpus.c - lists files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "train/corpus.h"

#include "base/mem.h"

#define MAX_DEPTH 32

static int add_path(struct trit_corpus *c, const char *path, struct trit_error *err)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		char **paths = trit_realloc(c->paths, c->cap * sizeof *paths, cap, sizeof *paths);
		if (!paths)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu files", cap);
		c->paths = paths;
		c->cap = cap;
	}
	c->paths[c->n] = trit_strndup(path, strlen(path));
	if (!c->paths[c->n])
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of files");
	c->n++;
	return TRIT_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_tree(struct trit_corpus *c, const char *path, int depth, struct trit_error *err);

static int add_folder(struct trit_corpus *c, const char *path, int depth, struct trit_error *err)
{
	DIR *dir = opendir(path);
	size_t first = c->n;
	int e = TRIT_OK;
	if (!dir)
		return trit_fail_errno(err, "cannot list the folder %s", path);
	for (struct dirent *d; !e && (d = readdir(dir));) {
		char name[4096];
		if (d->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof name, "%s/%s", path, d->d_name) >= (int)sizeof name)
			e = trit_fail(err, TRIT_ERR_IO, "%s: a path in this folder is too long", path);
		else
			e = add_tree(c, name, depth + 1, err);
	}
	closedir(dir);
	if (!e && c->n > first)
		qsort(c->paths + first, c->n - first, sizeof *c->paths, by_name);
	return e;
}

static int add_tree(struct trit_corpus *c, const char *path, int depth, struct trit_error *err)
{
	struct stat st, link;
	if (stat(path, &st) || lstat(path, &link))
		return depth ? TRIT_OK : trit_fail(err, TRIT_ERR_IO, "%s: no such file or folder", path);
	if (S_ISREG(st.st_mode))
		return add_path(c, path, err);
	if (!S_ISDIR(st.st_mode) && depth == 0)
		return trit_fail(err, TRIT_ERR_IO, "%s: neither a file nor a folder (save a pipe to a file first)", path);
	if (!S_ISDIR(st.st_mode) || (depth && S_ISLNK(link.st_mode)))
		return TRIT_OK; /* pipes and sockets; links between folders may run in circles */
	if (depth > MAX_DEPTH)
		return trit_fail(err, TRIT_ERR_IO, "%s: folders nested more than %d deep", path, MAX_DEPTH);
	return add_folder(c, path, depth, err);
}

int trit_corpus_open(struct trit_corpus *c, size_t n_paths, char *const *paths, struct trit_error *err)
{
	*c = (struct trit_corpus){ 0 };
	size_t *ends = trit_calloc(n_paths + 1, sizeof *ends); /* number of files up to and with each path's */
	int e = ends ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of files");
	for (size_t i = 0; i < n_paths && !e; i++) {
		size_t before = c->n;
		e = add_tree(c, paths[i], 0, err);
		ends[i] = c->n;
		if (!e && c->n == before)
			e = trit_fail(err, TRIT_ERR_FORMAT, "%s: the folder has no files in it", paths[i]);
	}
	c->sources = e ? NULL : trit_calloc(c->n, sizeof *c->sources);
	if (!e && !c->sources)
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of files");
	for (size_t i = 0, source = 0; i < c->n && !e; i++) {
		struct stat st;
		while (i == ends[source])
			source++;
		c->sources[i] = source;
		if (stat(c->paths[i], &st))
			e = trit_fail_errno(err, "%s: cannot look at it", c->paths[i]);
		else
			c->bytes += (uint64_t)st.st_size;
	}
	trit_free(ends);
	if (e)
		trit_corpus_close(c);
	return e;
}

void trit_corpus_close(struct trit_corpus *c)
{
	for (size_t i = 0; i < c->n; i++)
		trit_free(c->paths[i]);
	trit_free(c->paths);
	trit_free(c->sources);
	*c = (struct trit_corpus){ 0 };
}
