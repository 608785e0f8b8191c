/*
 * buf.h - a growing byte buffer that is born with a maximum.
 *
 * Invariants: data is NUL-terminated whenever it is not NULL; len <= max. On error the buffer is unchanged.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_BUF_H
#define TRIT_BASE_BUF_H

#include "base/error.h"

struct trit_buf {
	char *data; /* len bytes and a NUL; NULL while empty and never grown */
	size_t len;
	size_t cap; /* private */
	size_t max; /* len never passes this */
};

void trit_buf_init(struct trit_buf *b, size_t max);
void trit_buf_release(struct trit_buf *b);
/** Empties it, keeps the memory. */
void trit_buf_reset(struct trit_buf *b);
/** Appends; LIMIT beyond max, MEMORY when memory is short. */
TRIT_MUST_CHECK int trit_buf_append(struct trit_buf *b, size_t len, const void *bytes, struct trit_error *err);
TRIT_MUST_CHECK int trit_buf_printf(struct trit_buf *b, struct trit_error *err, const char *fmt, ...) TRIT_PRINTF(3, 4);

#endif
