/*
 * unpack.h - reads a file from begin to end, unpacking gzip and Zstandard on the way.
 *
 * What the file is its first bytes say, not its name. Several members or frames one after the other are one stream, as
 * gzip and zstd have it. Memory is bounded whatever the file unpacks to; a Zstandard frame that wants a window of more
 * than 128 MiB is refused. gzip needs zlib, Zstandard libzstd; without them such a file is an UNSUPPORTED error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_UNPACK_H
#define TRIT_FORMAT_UNPACK_H

#include "base/error.h"

struct trit_unpack;

/** Errors: IO (also for what is no regular file), UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_unpack_open(struct trit_unpack **out, const char *path, struct trit_error *err);
void trit_unpack_close(struct trit_unpack *u);
/** Up to max bytes into out; *n is how many, 0 only at the end. Errors: IO; FORMAT (damaged, cut off). */
TRIT_MUST_CHECK int trit_unpack_read(struct trit_unpack *u, size_t max, char *out, size_t *n, struct trit_error *err);
/** Bytes of the file read so far, packed as they are. */
uint64_t trit_unpack_position(const struct trit_unpack *u);

#endif
