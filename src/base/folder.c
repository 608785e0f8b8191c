/*
 * folder.c - makes a folder beside its place and renames it into it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Whether the folder has something in it. */
static bool is_filled(const char *path)
{
	DIR *d = opendir(path);
	bool filled = false;
	if (!d)
		return false;
	for (struct dirent *entry; !filled && (entry = readdir(d));)
		filled = !is_dots(entry->d_name);
	closedir(d);
	return filled;
}

static char *join(const char *dir, const char *name)
{
	size_t a = strlen(dir), b = strlen(name);
	char *path = trit_calloc(a + b + 2, 1);
	if (!path)
		return NULL;
	memcpy(path, dir, a);
	path[a] = '/';
	memcpy(path + a + 1, name, b);
	return path;
}

char *trit_folder_file(const struct trit_folder *f, const char *name)
{
	return join(f->temporary, name);
}

/* Makes PATH.tmp.PID, or .1, .2 ... when that is there. */
static int make_temporary(struct trit_folder *f, struct trit_error *err)
{
	size_t room = strlen(f->path) + 48;
	bool made = false;
	f->temporary = trit_calloc(room, 1);
	if (!f->temporary)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to write it", f->path);
	for (int i = 0; !made && i < 100; i++) {
		snprintf(f->temporary, room, i ? "%s.tmp.%ld.%d" : "%s.tmp.%ld", f->path, (long)getpid(), i);
		made = mkdir(f->temporary, 0777) == 0;
		if (!made && errno != EEXIST)
			break;
	}
	if (made)
		return TRIT_OK;
	int e = trit_fail_errno(err, "%s: cannot make the folder", f->path);
	trit_free(f->temporary); /* nothing to remove */
	f->temporary = NULL;
	return e;
}

int trit_folder_open(struct trit_folder *f, const char *path, bool replace, struct trit_error *err)
{
	size_t len = strlen(path);
	*f = (struct trit_folder){ 0 };
	while (len > 1 && path[len - 1] == '/')
		len--;
	f->path = trit_strndup(path, len);
	int e = f->path ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to write it", path);
	if (!e && trit_path_kind(f->path) == 0)
		e = trit_fail(err, TRIT_ERR_IO, "%s: is a file; name a folder", f->path);
	if (!e && !replace && trit_path_kind(f->path) == 1 && is_filled(f->path))
		e = trit_fail(err, TRIT_ERR_IO, "%s: there are files in it already; name another folder, or give --force to "
		                                "replace a model in it", f->path);
	if (!e)
		e = make_temporary(f, err);
	if (e)
		trit_folder_release(f);
	return e;
}

/* Calls `fn` for every file of the folder, until one returns an error. */
static int for_each(const char *dir, int (*fn)(void *arg, const char *name, struct trit_error *err), void *arg,
                    struct trit_error *err)
{
	DIR *d = opendir(dir);
	int e = TRIT_OK;
	if (!d)
		return trit_fail_errno(err, "%s: cannot read the folder", dir);
	for (struct dirent *entry; !e && (entry = readdir(d));)
		e = is_dots(entry->d_name) ? TRIT_OK : fn(arg, entry->d_name, err);
	closedir(d);
	return e;
}

/* ---- into a folder that is there --------------------------------------------------------------------------------- */

struct merge {
	const struct trit_folder *f;
	bool (*stale)(const char *name);
};

static int remove_stale(void *arg, const char *name, struct trit_error *err)
{
	const struct merge *m = arg;
	int e = TRIT_OK;
	if (!m->stale(name))
		return TRIT_OK;
	char *path = join(m->f->path, name);
	if (!path)
		e = trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory for a name", m->f->path);
	else if (unlink(path) < 0)
		e = trit_fail_errno(err, "%s: cannot remove", path);
	trit_free(path);
	return e;
}

static int move_file(void *arg, const char *name, struct trit_error *err)
{
	const struct merge *m = arg;
	char *from = join(m->f->temporary, name), *to = join(m->f->path, name);
	int e = TRIT_OK;
	if (!from || !to)
		e = trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory for a name", m->f->path);
	else if (rename(from, to) < 0)
		e = trit_fail_errno(err, "%s: cannot put the finished file in its place", to);
	trit_free(from);
	trit_free(to);
	return e;
}

int trit_folder_commit(struct trit_folder *f, bool (*stale)(const char *name), struct trit_error *err)
{
	struct merge m = { f, stale };
	int e = TRIT_OK;
	if (trit_path_kind(f->path) != 1 || !is_filled(f->path)) {
		if (rename(f->temporary, f->path) < 0)
			return trit_fail_errno(err, "%s: cannot put the finished folder in its place", f->path);
	} else if ((e = for_each(f->path, remove_stale, &m, err)) || (e = for_each(f->temporary, move_file, &m, err))) {
		return e;
	} else {
		rmdir(f->temporary);
	}
	trit_free(f->temporary);
	f->temporary = NULL;
	return TRIT_OK;
}

/* Without memory of its own: it may be short just then. */
static void remove_files(const char *dir)
{
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d));)
		if (!is_dots(entry->d_name))
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}

void trit_folder_release(struct trit_folder *f)
{
	if (f->temporary) {
		remove_files(f->temporary);
		rmdir(f->temporary);
	}
	trit_free(f->temporary);
	trit_free(f->path);
	*f = (struct trit_folder){ 0 };
}
