/*
 * unpack.c - plain, gzip and Zstandard files as streams.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef TRIT_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef TRIT_HAVE_ZSTD
#include <zstd.h>
#endif

#include "base/mem.h"
#include "base/num.h"

#define BUFFER_BYTES ((size_t)1 << 17)

enum packing { PLAIN, GZIP, ZSTD };

struct trit_unpack {
	int fd;
	char *path;
	enum packing packing;
	unsigned char *held; /* [BUFFER_BYTES] bytes of the file, of which from .. to are still to be used */
	size_t from, to;
	uint64_t position;
	bool at_end;   /* of the file */
	bool inside;   /* a member or frame has begun and not ended */
#ifdef TRIT_HAVE_ZLIB
	z_stream gzip;
	bool gzip_open;
#endif
#ifdef TRIT_HAVE_ZSTD
	ZSTD_DStream *zstd;
#endif
};

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* More bytes behind those that are held, until there are `want` or the file ends. */
static int fill(struct trit_unpack *u, size_t want, struct trit_error *err)
{
	if (u->from > 0 && u->to - u->from < want) {
		memmove(u->held, u->held + u->from, u->to - u->from);
		u->to -= u->from;
		u->from = 0;
	}
	while (!u->at_end && u->to - u->from < want) {
		ssize_t n = read(u->fd, u->held + u->to, BUFFER_BYTES - u->to);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return trit_fail_errno(err, "%s: cannot read", u->path);
		u->at_end = n == 0;
		u->to += (size_t)n;
		u->position += (uint64_t)n;
	}
	return TRIT_OK;
}

static int read_plain(struct trit_unpack *u, size_t max, char *out, size_t *n, struct trit_error *err)
{
	int e = fill(u, 1, err);
	size_t have = u->to - u->from;
	*n = have < max ? have : max;
	memcpy(out, u->held + u->from, *n);
	u->from += *n;
	return e;
}

#if defined TRIT_HAVE_ZLIB || defined TRIT_HAVE_ZSTD
static int fail_packed(const struct trit_unpack *u, const char *what, struct trit_error *err)
{
	return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)(u->position - (u->to - u->from)),
	                    "%s: %s; the file is damaged or not complete", u->path, what);
}
#endif

/* ---- gzip -------------------------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_ZLIB
static int open_gzip(struct trit_unpack *u, struct trit_error *err)
{
	if (inflateInit2(&u->gzip, 16 + MAX_WBITS) != Z_OK)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to unpack it", u->path);
	u->gzip_open = true;
	return TRIT_OK;
}

/* Between two members: whether there is another. Zeros that fill up a block of a tape may follow the last one. */
static int next_member(struct trit_unpack *u, bool *more, struct trit_error *err)
{
	int e = fill(u, 2, err);
	*more = u->to > u->from;
	if (e || !*more || (u->to - u->from >= 2 && u->held[u->from] == 0x1f && u->held[u->from + 1] == 0x8b))
		return e;
	while (!e && u->to > u->from && !u->held[u->from]) {
		u->from++;
		e = fill(u, 1, err);
	}
	*more = false;
	return e || u->to == u->from ? e : fail_packed(u, "something follows the gzip data", err);
}

static int read_gzip(struct trit_unpack *u, size_t max, char *out, size_t *n, struct trit_error *err)
{
	z_stream *z = &u->gzip;
	z->next_out = (unsigned char *)out;
	z->avail_out = (unsigned)max;
	while (z->avail_out == max) {
		bool more = true;
		int e = u->inside ? fill(u, 1, err) : next_member(u, &more, err), status;
		if (e || !more) {
			*n = 0;
			return e;
		}
		if (!u->inside && inflateReset(z) != Z_OK)
			return fail_packed(u, "the gzip data cannot be read", err);
		u->inside = true;
		if (u->from == u->to)
			return fail_packed(u, "the gzip data ends in the middle", err);
		z->next_in = u->held + u->from;
		z->avail_in = (unsigned)(u->to - u->from);
		status = inflate(z, Z_NO_FLUSH);
		u->from = u->to - z->avail_in;
		if (status == Z_MEM_ERROR)
			return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to unpack it", u->path);
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return fail_packed(u, z->msg ? z->msg : "the gzip data cannot be read", err);
		u->inside = status != Z_STREAM_END;
	}
	*n = max - z->avail_out;
	return TRIT_OK;
}
#endif

/* ---- Zstandard --------------------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_ZSTD
static int open_zstd(struct trit_unpack *u, struct trit_error *err)
{
	u->zstd = ZSTD_createDStream();
	if (!u->zstd)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to unpack it", u->path);
	return TRIT_OK;
}

static int read_zstd(struct trit_unpack *u, size_t max, char *out, size_t *n, struct trit_error *err)
{
	ZSTD_outBuffer to = { out, max, 0 };
	while (to.pos == 0) {
		int e = fill(u, 1, err);
		if (e)
			return e;
		ZSTD_inBuffer in = { u->held + u->from, u->to - u->from, 0 };
		bool starved = in.size == 0;
		if (starved && !u->inside)
			break;
		size_t status = ZSTD_decompressStream(u->zstd, &to, &in);
		u->from += in.pos;
		if (ZSTD_isError(status))
			return fail_packed(u, ZSTD_getErrorName(status), err);
		u->inside = status != 0;
		if (starved && to.pos == 0 && u->inside)
			return fail_packed(u, "the Zstandard data ends in the middle", err);
	}
	*n = to.pos;
	return TRIT_OK;
}
#endif

/* ---- all --------------------------------------------------------------------------------------------------------- */

static enum packing packing_of(const unsigned char *b, size_t n)
{
	if (n >= 2 && b[0] == 0x1f && b[1] == 0x8b)
		return GZIP;
	uint32_t magic = n >= 4 ? trit_get32(b) : 0;
	return magic == 0xfd2fb528 || (magic & 0xfffffff0) == 0x184d2a50 ? ZSTD : PLAIN; /* a frame, or one to skip */
}

static int open_packed(struct trit_unpack *u, struct trit_error *err)
{
	int e = fill(u, 4, err);
	u->packing = packing_of(u->held, u->to);
	if (e || u->packing == PLAIN)
		return e;
#ifdef TRIT_HAVE_ZLIB
	if (u->packing == GZIP)
		return open_gzip(u, err);
#endif
#ifdef TRIT_HAVE_ZSTD
	if (u->packing == ZSTD)
		return open_zstd(u, err);
#endif
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "%s: packed with %s, which this build was made without (%s); unpack it first", u->path,
	                 u->packing == GZIP ? "gzip" : "zstd", u->packing == GZIP ? "zlib1g-dev" : "libzstd-dev");
}

int trit_unpack_open(struct trit_unpack **out, const char *path, struct trit_error *err)
{
	struct trit_unpack *u = trit_calloc(1, sizeof *u);
	struct stat st;
	int e = TRIT_OK;
	if (!u)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to read it", path);
	u->path = trit_strndup(path, strlen(path));
	u->held = trit_calloc(BUFFER_BYTES, 1);
	u->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* of a pipe it would wait */
	if (!u->path || !u->held)
		e = trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to read it", path);
	else if (u->fd < 0 || fstat(u->fd, &st) < 0)
		e = trit_fail_errno(err, "%s: cannot open", path);
	else if (!S_ISREG(st.st_mode))
		e = trit_fail(err, TRIT_ERR_IO, "%s: not a regular file; save its content to one first", path);
	else
		e = open_packed(u, err);
	if (e)
		trit_unpack_close(u);
	else
		*out = u;
	return e;
}

void trit_unpack_close(struct trit_unpack *u)
{
	if (!u)
		return;
#ifdef TRIT_HAVE_ZLIB
	if (u->gzip_open)
		inflateEnd(&u->gzip);
#endif
#ifdef TRIT_HAVE_ZSTD
	ZSTD_freeDStream(u->zstd);
#endif
	if (u->fd >= 0)
		close(u->fd);
	trit_free(u->held);
	trit_free(u->path);
	trit_free(u);
}

uint64_t trit_unpack_position(const struct trit_unpack *u)
{
	return u->position - (u->to - u->from);
}

int trit_unpack_read(struct trit_unpack *u, size_t max, char *out, size_t *n, struct trit_error *err)
{
	max = max < (size_t)1 << 30 ? max : (size_t)1 << 30; /* zlib counts in unsigned int */
	*n = 0;
#ifdef TRIT_HAVE_ZLIB
	if (u->packing == GZIP)
		return read_gzip(u, max, out, n, err);
#endif
#ifdef TRIT_HAVE_ZSTD
	if (u->packing == ZSTD)
		return read_zstd(u, max, out, n, err);
#endif
	return read_plain(u, max, out, n, err);
}
