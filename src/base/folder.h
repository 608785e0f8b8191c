/*
 * folder.h - a folder of files that appears all at once or not at all.
 *
 * Files are made in PATH.tmp.PID beside the target; commit renames that. release without commit removes it, so a
 * failure leaves what was there before. An existing folder with something in it is refused, unless its files may be
 * replaced: then the new ones are renamed into it one by one and everything else in it stays.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_FOLDER_H
#define TRIT_BASE_FOLDER_H

#include <stdbool.h>

#include "base/error.h"

/** A zeroed struct is fine to release. */
struct trit_folder {
	char *path;      /* the target */
	char *temporary; /* where files are made until commit */
};

/** Errors: IO (a file of that name, no permission; files in it and not `replace`), MEMORY. */
TRIT_MUST_CHECK int trit_folder_open(struct trit_folder *f, const char *path, bool replace, struct trit_error *err);
/** The path of a file to be made in it, to be trit_free'd; NULL: memory. */
char *trit_folder_file(const struct trit_folder *f, const char *name);
/** Puts the folder in its place. Of an existing one the files of which `stale` says so are removed. */
TRIT_MUST_CHECK int trit_folder_commit(struct trit_folder *f, bool (*stale)(const char *name), struct trit_error *err);
void trit_folder_release(struct trit_folder *f);

#endif
