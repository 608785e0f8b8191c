/*
 * format_helpers.h - what the tests of src/format share: bytes to assemble files from, a directory of one's own, and
 * the walk over everything that can go wrong with memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TESTS_FORMAT_HELPERS_H
#define TRIT_TESTS_FORMAT_HELPERS_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

struct bytes {
	unsigned char data[16384];
	size_t len;
};

static inline void put_raw(struct bytes *b, size_t len, const void *p)
{
	assert_true(len <= sizeof b->data - b->len);
	if (len > 0)
		memcpy(b->data + b->len, p, len);
	b->len += len;
}

static inline void put_u8(struct bytes *b, unsigned v)
{
	unsigned char c = (unsigned char)v;

	put_raw(b, 1, &c);
}

static inline void put_u32(struct bytes *b, uint32_t v)
{
	unsigned char c[4];

	trit_put32(c, v);
	put_raw(b, 4, c);
}

static inline void put_u64(struct bytes *b, uint64_t v)
{
	unsigned char c[8];

	trit_put64(c, v);
	put_raw(b, 8, c);
}

static inline void put_text(struct bytes *b, const char *s)
{
	put_u64(b, strlen(s));
	put_raw(b, strlen(s), s);
}

static inline void put_pad(struct bytes *b, size_t align)
{
	while (b->len % align)
		put_u8(b, 0);
}

/* A copy in a heap block of exactly that size, so that sanitizers see every byte read beyond it. */
static inline unsigned char *exact_copy(const unsigned char *data, size_t len)
{
	unsigned char *copy = trit_calloc(len, 1);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static inline void check_error(int status, enum trit_status expected, const struct trit_error *err, const char *part)
{
	if (status != expected || err->status != expected || !strstr(err->message, part))
		fail_msg("status %d (%d in the error), \"%s\"; expected %d, \"%s\"", status, err->status, err->message,
		         expected, part);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* A directory of the test's own becomes the current one. */
static inline void enter_scratch(char *template)
{
	assert_non_null(mkdtemp(template));
	assert_int_equal(chdir(template), 0);
}

/* How many files the current directory holds; with `remove` they are gone afterwards. */
static inline int count_files(bool remove_them)
{
	DIR *dir = opendir(".");
	struct dirent *e;
	int n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		n += e->d_name[0] != '.';
		if (remove_them && e->d_name[0] != '.')
			unlink(e->d_name);
	}
	closedir(dir);
	return n;
}

static inline void leave_scratch(const char *path)
{
	count_files(true);
	assert_int_equal(chdir(".."), 0);
	rmdir(path);
}

#endif
