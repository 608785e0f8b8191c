/*
 * scratch.h - a folder of the test's own, which becomes the current one and goes with everything in it; whole files.
 *
 * Include after cmocka.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TESTS_SCRATCH_H
#define TRIT_TESTS_SCRATCH_H

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static char scratch_path[PATH_MAX];

/* Removes a file, or a folder with all in it. */
static inline void scratch_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char name[PATH_MAX];
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
		    snprintf(name, sizeof name, "%s/%s", path, d->d_name) < (int)sizeof name)
			scratch_remove(name);
	}
	if (dir)
		closedir(dir);
	if (remove(path) && errno != ENOENT)
		fail_msg("cannot remove %s", path);
}

static inline int scratch_enter(void **state)
{
	char name[] = "scratch.XXXXXX";

	(void)state;
	return mkdtemp(name) && chdir(name) == 0 && getcwd(scratch_path, sizeof scratch_path) ? 0 : -1;
}

static inline int scratch_leave(void **state)
{
	(void)state;
	if (chdir(scratch_path) || chdir(".."))
		return -1;
	scratch_remove(scratch_path);
	return 0;
}

static inline void scratch_write(const char *path, size_t len, const void *bytes)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* The file's bytes, and a NUL behind them; the caller's to trit_free. */
static inline char *scratch_read(const char *path, size_t *len)
{
	struct trit_map m;
	struct trit_error err;
	char *copy;

	if (trit_map_open(&m, path, &err))
		fail_msg("%s", err.message);
	copy = trit_calloc(m.size + 1, 1);
	assert_non_null(copy);
	memcpy(copy, m.data, m.size);
	*len = m.size;
	trit_map_close(&m);
	return copy;
}

static inline void scratch_check_same(const char *a, const char *b)
{
	size_t n, m;
	char *x = scratch_read(a, &n), *y = scratch_read(b, &m);

	if (n != m || memcmp(x, y, n))
		fail_msg("%s and %s differ", a, b);
	trit_free(x);
	trit_free(y);
}

/* How many entries of a folder have `part` in their name; 0 where there is no folder. */
static inline int scratch_count(const char *path, const char *part)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int n = 0;

	while (dir && (d = readdir(dir)))
		n += strcmp(d->d_name, ".") && strcmp(d->d_name, "..") && strstr(d->d_name, part);
	if (dir)
		closedir(dir);
	return n;
}

#endif
