/*
 * file.h - files: a read-only mapping, reading a stream whole, and a writer whose result appears all at once or not at
 * all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_FILE_H
#define TRIT_BASE_FILE_H

#include "base/buf.h"

/** A file mapped for reading. A zero-length file has data != NULL and size 0. */
struct trit_map {
	const unsigned char *data;
	size_t size;
};

/** Errors: IO with path and reason (missing, a directory, no permission). */
TRIT_MUST_CHECK int trit_map_open(struct trit_map *m, const char *path, struct trit_error *err);
void trit_map_close(struct trit_map *m);
/** Bytes of a mapping that were read and are not needed soon: they stay in the system's cache, but no longer count as
 * memory of this process. */
void trit_map_forget(const void *bytes, size_t len);

/** Reads all of `path`, or of standard input when path is "-", appending to b (its max bounds it). */
TRIT_MUST_CHECK int trit_file_read(struct trit_buf *b, const char *path, struct trit_error *err);

/** Makes the directory and its missing parents (mode 0777 less umask). Fine if it is there already. */
TRIT_MUST_CHECK int trit_make_dirs(const char *path, struct trit_error *err);
enum { TRIT_PATH_BYTES = 4096 };
/** path = dir/name, or a name that begins with / as it is. Errors: ARG (too long). */
TRIT_MUST_CHECK int trit_path_join(char path[TRIT_PATH_BYTES], const char *dir, const char *name,
                                   struct trit_error *err);
/** 1 directory, 0 other existing file, -1 not there (or not reachable). */
int trit_path_kind(const char *path);
/** Free bytes of the file system that holds `path` (an existing file or directory); UINT64_MAX when unknown. */
uint64_t trit_free_space(const char *path);

/**
 * An atomic writer: bytes go to PATH.tmp.PID beside the target, which commit flushes to the disk and renames over it.
 * close without commit removes the temporary file, so a failure or a full disk leaves what was there before; what a
 * killed process left of the same target goes when it is written again. Small writes are buffered.
 */
struct trit_writer {
	int fd;           /* -1 when not open */
	char *path;       /* the target */
	char *temporary;
	uint64_t position; /* bytes written so far */
	size_t held;      /* bytes in buffer */
	char *buffer;
};

/** Removes from a folder the temporary files that no writer has open any more (it was killed). */
void trit_remove_leftovers(const char *dir);

TRIT_MUST_CHECK int trit_writer_open(struct trit_writer *w, const char *path, struct trit_error *err);
/** That `len` more bytes will be written: an IO error now when the disk has no room for them. */
TRIT_MUST_CHECK int trit_writer_expect(struct trit_writer *w, uint64_t len, struct trit_error *err);
TRIT_MUST_CHECK int trit_writer_write(struct trit_writer *w, size_t len, const void *bytes, struct trit_error *err);
/** Zero bytes up to the next multiple of `align`. */
TRIT_MUST_CHECK int trit_writer_pad(struct trit_writer *w, size_t align, struct trit_error *err);
/** Overwrites bytes written earlier; the position stays. */
TRIT_MUST_CHECK int trit_writer_patch(struct trit_writer *w, uint64_t at, size_t len, const void *bytes,
                                      struct trit_error *err);
TRIT_MUST_CHECK int trit_writer_commit(struct trit_writer *w, struct trit_error *err);
void trit_writer_close(struct trit_writer *w);

/** Writes all of a file by such a writer. */
TRIT_MUST_CHECK int trit_file_write(const char *path, size_t len, const void *bytes, struct trit_error *err);

#endif
