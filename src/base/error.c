/*
 * error.c - filling in struct trit_error.
 *
 * Messages quote names out of files and arguments, which may hold anything. So every message is made fit to print here,
 * at the one place all pass through: control characters (newlines, terminal escapes) and bytes that are not UTF-8
 * become '?', and a message cut at the end of the array is cut between characters.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>

#include "base/error.h"

/* Length of the UTF-8 character at s (1..4); 0 when it is damaged, overlong, a surrogate or cut short. */
static size_t utf8_length(const unsigned char *s)
{
	static const uint32_t smallest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n > 1 ? s[0] & (0x7fu >> n) : s[0];

	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2) /* the final NUL is no continuation byte, so this never reads past it */
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (n > 1 && (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c < 0xa0))
		return 0;
	return n;
}

static void make_printable(char *message)
{
	unsigned char *s = (unsigned char *)message;
	bool cut = strlen(message) == sizeof(((struct trit_error *)0)->message) - 1;

	while (*s) {
		size_t n = utf8_length(s);

		if (n == 0 && cut && s[0] >= 0xc0 && strlen((char *)s) < 4) {
			*s = 0; /* the character the end of the array cut in two */
			break;
		}
		if (n == 0 || *s < 0x20 || *s == 0x7f)
			*s = '?';
		s += n ? n : 1;
	}
}

static int fail(struct trit_error *err, enum trit_status status, int64_t position, const char *fmt, va_list args)
    TRIT_PRINTF(4, 0);

static int fail(struct trit_error *err, enum trit_status status, int64_t position, const char *fmt, va_list args)
{
	if (err) {
		err->status = status;
		err->position = position;
		if (vsnprintf(err->message, sizeof err->message, fmt, args) < 0)
			err->message[0] = 0;
		make_printable(err->message);
	}
	return status;
}

int trit_fail(struct trit_error *err, enum trit_status status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int result = fail(err, status, -1, fmt, args);
	va_end(args);
	return result;
}

int trit_fail_at(struct trit_error *err, enum trit_status status, int64_t position, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int result = fail(err, status, position, fmt, args);
	va_end(args);
	return result;
}

int trit_fail_errno(struct trit_error *err, const char *fmt, ...)
{
	int number = errno;
	char reason[128];
	va_list args;

	if (strerror_r(number, reason, sizeof reason) != 0)
		snprintf(reason, sizeof reason, "system error %d", number);
	va_start(args, fmt);
	fail(err, TRIT_ERR_IO, -1, fmt, args);
	va_end(args);
	if (err) {
		/* The reason is worth more than the end of a very long path. */
		size_t room = sizeof err->message - strlen(reason) - 3, len = strlen(err->message);

		if (len > room)
			len = room;
		snprintf(err->message + len, sizeof err->message - len, ": %s", reason);
		make_printable(err->message);
	}
	return TRIT_ERR_IO;
}

int trit_fail_prefix(struct trit_error *err, int status, const char *fmt, ...)
{
	if (err) {
		char prefix[sizeof err->message];
		size_t len = strlen(err->message), n;
		va_list args;

		va_start(args, fmt);
		if (vsnprintf(prefix, sizeof prefix - 2, fmt, args) < 0)
			prefix[0] = 0;
		va_end(args);
		n = strlen(prefix);
		prefix[n++] = ':';
		prefix[n++] = ' ';
		if (len > sizeof err->message - 1 - n)
			len = sizeof err->message - 1 - n;
		memmove(err->message + n, err->message, len);
		memcpy(err->message, prefix, n);
		err->message[n + len] = 0;
		make_printable(err->message);
	}
	return status;
}
