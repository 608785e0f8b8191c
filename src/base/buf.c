/*
 * buf.c - the growing byte buffer: doubles its memory, never beyond its maximum.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>

#include "base/buf.h"
#include "base/mem.h"

#define FIRST_CAPACITY 64 /* bytes, the final NUL included */

void trit_buf_init(struct trit_buf *b, size_t max)
{
	*b = (struct trit_buf){ .max = max };
}

void trit_buf_release(struct trit_buf *b)
{
	if (!b)
		return;
	trit_free(b->data);
	*b = (struct trit_buf){ .max = b->max };
}

void trit_buf_reset(struct trit_buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = 0;
}

/* Makes room for `more` bytes after len and a NUL. */
static int reserve(struct trit_buf *b, size_t more, struct trit_error *err)
{
	size_t need, cap;
	char *data;

	if (more > b->max - b->len || !trit_add_size(&need, b->len + more, 1))
		return trit_fail(err, TRIT_ERR_LIMIT, "more than %zu bytes, which is the limit here", b->max);
	if (need <= b->cap)
		return 0;
	cap = b->cap ? b->cap : FIRST_CAPACITY;
	while (cap < need)
		cap = cap <= SIZE_MAX / 2 ? 2 * cap : need;
	data = trit_realloc(b->data, b->cap, cap, 1);
	if (!data)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu bytes", cap);
	data[b->len] = 0;
	b->data = data;
	b->cap = cap;
	return 0;
}

int trit_buf_append(struct trit_buf *b, size_t len, const void *bytes, struct trit_error *err)
{
	int status = reserve(b, len, err);

	if (status < 0)
		return status;
	if (len > 0)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = 0;
	return 0;
}

int trit_buf_printf(struct trit_buf *b, struct trit_error *err, const char *fmt, ...)
{
	va_list args;
	int len, status;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return trit_fail(err, TRIT_ERR_ARG, "text that cannot be formatted");
	status = reserve(b, (size_t)len, err);
	if (status < 0)
		return status;
	va_start(args, fmt);
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, args);
	va_end(args);
	b->len += (size_t)len;
	return 0;
}
