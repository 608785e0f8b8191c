/*
 * file.c - files, by POSIX calls.
 *
 * A mapped file that another program cuts short while it is mapped kills the process (SIGBUS); that cannot be checked
 * for. Whoever replaces a model file should do it as trit_writer does, by renaming a new file over it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define BUFFER_BYTES 65536 /* a writer's buffer; also how much is read at once */

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Opens `path` for reading and looks what it is. The file descriptor, or a negative status. */
static int open_for_reading(const char *path, struct stat *st, struct trit_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return trit_fail_errno(err, "%s: cannot open", path);
	if (fstat(fd, st) < 0) {
		int status = trit_fail_errno(err, "%s: cannot look at it", path);
		close(fd);
		return status;
	}
	if (S_ISDIR(st->st_mode)) {
		close(fd);
		return trit_fail(err, TRIT_ERR_IO, "%s: is a directory, not a file", path);
	}
	return fd;
}

int trit_map_open(struct trit_map *m, const char *path, struct trit_error *err)
{
	static const unsigned char nothing[1];
	struct stat st;
	void *data;
	int fd, status = 0;

	if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) /* opening it would wait for a writer */
		return trit_fail(err, TRIT_ERR_IO, "%s: not a regular file; save its content to one first", path);
	fd = open_for_reading(path, &st, err);
	if (fd < 0)
		return fd;
	if (!S_ISREG(st.st_mode)) {
		status = trit_fail(err, TRIT_ERR_IO, "%s: not a regular file; save its content to one first", path);
	} else if (st.st_size == 0) {
		*m = (struct trit_map){ .data = nothing };
	} else if ((uintmax_t)st.st_size > PTRDIFF_MAX) {
		status = trit_fail(err, TRIT_ERR_IO, "%s: too large for this machine's addresses", path);
	} else {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			status = trit_fail_errno(err, "%s: cannot map it into memory", path);
		else
			*m = (struct trit_map){ .data = data, .size = (size_t)st.st_size };
	}
	close(fd); /* the mapping stays */
	return status;
}

void trit_map_close(struct trit_map *m)
{
	if (!m)
		return;
	if (m->size > 0)
		munmap((void *)(uintptr_t)m->data, m->size);
	*m = (struct trit_map){ 0 };
}

void trit_map_forget(const void *bytes, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)bytes, end = begin + len;

	begin = (begin + page - 1) / page * page; /* whole pages, so neighbours keep theirs */
	end = end / page * page;
	if (end > begin)
		madvise((void *)begin, end - begin, MADV_DONTNEED); /* no more than a wish */
}

int trit_file_read(struct trit_buf *b, const char *path, struct trit_error *err)
{
	bool input = strcmp(path, "-") == 0;
	const char *name = input ? "standard input" : path;
	char *chunk = NULL;
	struct stat st;
	int fd = input ? STDIN_FILENO : open_for_reading(path, &st, err), status = 0;
	ssize_t n = 1;

	if (fd < 0)
		return fd;
	chunk = trit_calloc(BUFFER_BYTES, 1);
	if (!chunk)
		status = trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to read it", name);
	while (status == 0 && n != 0) {
		n = read(fd, chunk, BUFFER_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			status = trit_fail_errno(err, "%s: cannot read", name);
		} else {
			status = trit_buf_append(b, (size_t)n, chunk, err);
			if (status < 0)
				status = trit_fail_prefix(err, status, "%s", name);
		}
	}
	trit_free(chunk);
	if (!input)
		close(fd);
	return status;
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

int trit_path_join(char path[TRIT_PATH_BYTES], const char *dir, const char *name, struct trit_error *err)
{
	bool whole = *name == '/';
	if (snprintf(path, TRIT_PATH_BYTES, "%s%s%s", whole ? "" : dir, whole ? "" : "/", name) < TRIT_PATH_BYTES)
		return 0;
	return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", dir);
}

int trit_path_kind(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	return S_ISDIR(st.st_mode);
}

int trit_make_dirs(const char *path, struct trit_error *err)
{
	size_t len = strlen(path);
	char *copy = trit_strndup(path, len);
	int status = 0;

	if (!copy)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to make the directory", path);
	if (len == 0)
		status = trit_fail(err, TRIT_ERR_ARG, "the name of a directory is empty");
	/* Each prefix that ends before a slash or at the end. */
	for (size_t i = 1; status == 0 && i <= len; i++) {
		if (i < len && copy[i] != '/')
			continue;
		copy[i] = 0;
		if (trit_path_kind(copy) == 0) {
			status = trit_fail(err, TRIT_ERR_IO, "%s: a file of this name is in the way of directory %s",
			                   copy, path);
		} else if (mkdir(copy, 0777) < 0) {
			int reason = errno; /* the next call may change it */
			if (trit_path_kind(copy) != 1) {
				errno = reason;
				status = trit_fail_errno(err, "%s: cannot make the directory", copy);
			}
		}
		copy[i] = path[i];
	}
	trit_free(copy);
	return status;
}

uint64_t trit_free_space(const char *path)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return UINT64_MAX;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

/* ---- writer ----------------------------------------------------------------------------------------------------- */

/* A writer is open while it has a buffer: true for no zeroed one. */
static bool is_open(const struct trit_writer *w)
{
	return w->buffer != NULL;
}

/* Describes errno after a write, with what helps, and ends the writer: the target stays what it was. */
static int fail_write(struct trit_writer *w, struct trit_error *err)
{
	bool full = errno == ENOSPC || errno == EDQUOT;
	int status;

	if (full)
		status = trit_fail_errno(err,
		                         "%s: cannot write byte %" PRIu64
		                         "; free space on that disk or choose another place",
		                         w->path, w->position - w->held);
	else
		status = trit_fail_errno(err, "%s: cannot write", w->path);
	trit_writer_close(w);
	return status;
}

/* write() or, with at >= 0, pwrite() until all is out. 0, or -1 and errno. */
static int write_all(int fd, size_t len, const void *bytes, off_t at)
{
	const char *b = bytes;

	while (len > 0) {
		ssize_t n = at < 0 ? write(fd, b, len) : pwrite(fd, b, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		b += n;
		len -= (size_t)n;
		if (at >= 0)
			at += n;
	}
	return 0;
}

static int flush(struct trit_writer *w, struct trit_error *err)
{
	if (w->held > 0 && write_all(w->fd, w->held, w->buffer, -1) < 0)
		return fail_write(w, err);
	w->held = 0;
	return 0;
}

/* Whether the name is TARGET.tmp.PID or TARGET.tmp.PID.N; of any target for NULL. */
static bool is_temporary(const char *name, const char *target)
{
	const char *at = NULL;
	for (const char *p = name; (p = strstr(p, ".tmp.")); p++)
		at = p + 5;
	char *end;
	long pid = at ? strtol(at, &end, 10) : 0;
	if (pid > 0 && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	return pid > 0 && *end == 0 &&
	       (!target || (strlen(target) == (size_t)(at - 5 - name) && !strncmp(name, target, strlen(target))));
}

/* Whether nothing writes this temporary file any more. The number in its name does not say: the process may be of
 * another machine or container, have ended and be waited for by nobody, or its number be that of a new one. */
static bool is_leftover(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool yes = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (fd >= 0)
		close(fd);
	return yes;
}

static void remove_leftovers(const char *dir, const char *target)
{
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d));)
		if (is_temporary(entry->d_name, target) && is_leftover(dirfd(d), entry->d_name))
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}

void trit_remove_leftovers(const char *dir)
{
	remove_leftovers(dir, NULL);
}

/* Those of one target, which a process that was killed could not remove. */
static void remove_leftovers_of(char *path)
{
	char *slash = strrchr(path, '/');
	if (!slash) {
		remove_leftovers(".", path);
	} else if (slash == path) {
		remove_leftovers("/", slash + 1);
	} else {
		*slash = 0;
		remove_leftovers(path, slash + 1);
		*slash = '/';
	}
}

/* Makes the temporary file beside w->path; PATH.tmp.PID, and .1, .2, ... when that is there. */
static int open_temporary(struct trit_writer *w, struct trit_error *err)
{
	size_t room = strlen(w->path) + 48;

	w->temporary = trit_calloc(room, 1);
	if (!w->temporary)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to write it", w->path);
	remove_leftovers_of(w->path);
	for (int i = 0; w->fd < 0 && i < 100; i++) {
		snprintf(w->temporary, room, i ? "%s.tmp.%ld.%d" : "%s.tmp.%ld", w->path, (long)getpid(), i);
		w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (w->fd < 0 && errno != EEXIST)
			break;
		if (w->fd >= 0)
			flock(w->fd, LOCK_EX | LOCK_NB); /* for as long as it is being written: see is_leftover */
	}
	if (w->fd < 0) {
		int status = trit_fail_errno(err, "%s: cannot make the file", w->path);

		trit_free(w->temporary); /* nothing to remove */
		w->temporary = NULL;
		return status;
	}
	return 0;
}

/* Opens what the target's kind asks for; w->path and w->buffer are there. */
static int open_target(struct trit_writer *w, struct trit_error *err)
{
	struct stat st;
	int status;

	if (stat(w->path, &st) < 0) {
		size_t len = strlen(w->path);

		if (len == 0 || w->path[len - 1] == '/')
			return trit_fail(err, TRIT_ERR_IO, "\"%s\": is the name of a directory; name a file", w->path);
		return open_temporary(w, err);
	}
	if (S_ISDIR(st.st_mode))
		return trit_fail(err, TRIT_ERR_IO, "%s: is a directory; name a file", w->path);
	if (!S_ISREG(st.st_mode)) { /* a pipe, a terminal, a device: nothing to keep, nothing to rename over */
		w->fd = open(w->path, O_WRONLY | O_CLOEXEC);
		return w->fd < 0 ? trit_fail_errno(err, "%s: cannot open for writing", w->path) : 0;
	}
	if (access(w->path, W_OK) < 0) /* rename would replace even a file that is protected */
		return trit_fail_errno(err, "%s: cannot write", w->path);
	status = open_temporary(w, err);
	if (status == 0 && fchmod(w->fd, st.st_mode & 0777) < 0)
		status = trit_fail_errno(err, "%s: cannot set the permissions of the new file", w->path);
	return status;
}

int trit_writer_open(struct trit_writer *w, const char *path, struct trit_error *err)
{
	char resolved[PATH_MAX];
	int status;

	*w = (struct trit_writer){ .fd = -1 };
	/* Of a symbolic link the file it points to is replaced, not the link. */
	if (realpath(path, resolved))
		path = resolved;
	w->path = trit_strndup(path, strlen(path));
	w->buffer = trit_calloc(BUFFER_BYTES, 1);
	if (!w->path || !w->buffer)
		status = trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to write it", path);
	else
		status = open_target(w, err);
	if (status < 0)
		trit_writer_close(w);
	return status;
}

/* For calls on a writer that an earlier failure closed. */
static int fail_closed(struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_ARG, "the file being written is not open");
}

int trit_writer_expect(struct trit_writer *w, uint64_t len, struct trit_error *err)
{
	struct statvfs v;
	uint64_t room;

	if (!is_open(w))
		return fail_closed(err);
	if (!w->temporary || fstatvfs(w->fd, &v) < 0)
		return 0;
	room = (uint64_t)v.f_bavail * v.f_frsize;
	if (len <= room)
		return 0;
	return trit_fail(err, TRIT_ERR_IO,
	                 "%s: %" PRIu64 " MB to write, but only %" PRIu64
	                 " MB free; free space on that disk or choose another place",
	                 w->path, len / 1000000 + 1, room / 1000000);
}

int trit_writer_write(struct trit_writer *w, size_t len, const void *bytes, struct trit_error *err)
{
	if (!is_open(w))
		return fail_closed(err);
	if (len > BUFFER_BYTES - w->held) {
		int status = flush(w, err);

		if (status < 0)
			return status;
	}
	if (len >= BUFFER_BYTES) {
		if (write_all(w->fd, len, bytes, -1) < 0)
			return fail_write(w, err);
	} else if (len > 0) {
		memcpy(w->buffer + w->held, bytes, len);
		w->held += len;
	}
	w->position += len;
	return 0;
}

int trit_writer_pad(struct trit_writer *w, size_t align, struct trit_error *err)
{
	static const char zeros[256];
	size_t n = (size_t)((align - w->position % align) % align);
	int status = is_open(w) ? 0 : fail_closed(err);

	while (status == 0 && n > 0) {
		size_t some = n < sizeof zeros ? n : sizeof zeros;

		status = trit_writer_write(w, some, zeros, err);
		n -= some;
	}
	return status;
}

int trit_writer_patch(struct trit_writer *w, uint64_t at, size_t len, const void *bytes, struct trit_error *err)
{
	uint64_t flushed = w->position - w->held;
	const char *b = bytes;
	size_t outside;

	if (!is_open(w))
		return fail_closed(err);
	if (at > w->position || len > w->position - at)
		return trit_fail(err, TRIT_ERR_ARG, "%s: %zu bytes at %" PRIu64 " are not all written yet", w->path,
		                 len, at);
	/* The first part may be in the file already, the rest is in the buffer. */
	outside = at >= flushed ? 0 : len <= flushed - at ? len : (size_t)(flushed - at);
	if (outside > 0 && write_all(w->fd, outside, b, (off_t)at) < 0)
		return fail_write(w, err);
	if (len > outside)
		memcpy(w->buffer + (at + outside - flushed), b + outside, len - outside);
	return 0;
}

/* Makes the rename last through a power failure. Not an error where a file system cannot do it. */
static void sync_directory_of(char *path)
{
	char *slash = strrchr(path, '/');
	int fd;

	if (slash)
		slash[slash == path] = 0; /* "/name" is in "/" */
	fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

int trit_writer_commit(struct trit_writer *w, struct trit_error *err)
{
	bool renamed = w->temporary != NULL;
	int status, fd;

	if (!is_open(w))
		return fail_closed(err);
	status = flush(w, err);
	if (status < 0)
		return status;
	if (w->temporary) {
		if (fsync(w->fd) < 0)
			return fail_write(w, err);
		if (rename(w->temporary, w->path) < 0) { /* still open, and so locked, until it has its name */
			status = trit_fail_errno(err, "%s: cannot put the finished file in its place", w->path);
			trit_writer_close(w);
			return status;
		}
		trit_free(w->temporary);
		w->temporary = NULL;
	}
	fd = w->fd;
	w->fd = -1;
	if (close(fd) < 0)
		return fail_write(w, err);
	if (renamed)
		sync_directory_of(w->path);
	trit_writer_close(w);
	return 0;
}

void trit_writer_close(struct trit_writer *w)
{
	if (!w)
		return;
	if (is_open(w) && w->fd >= 0)
		close(w->fd);
	if (w->temporary)
		unlink(w->temporary);
	trit_free(w->temporary);
	trit_free(w->path);
	trit_free(w->buffer);
	*w = (struct trit_writer){ .fd = -1 };
}

int trit_file_write(const char *path, size_t len, const void *bytes, struct trit_error *err)
{
	struct trit_writer w;
	int e = trit_writer_open(&w, path, err);
	if (e)
		return e;
	if (!(e = trit_writer_write(&w, len, bytes, err)))
		e = trit_writer_commit(&w, err);
	trit_writer_close(&w);
	return e;
}
