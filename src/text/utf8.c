/*
 * utf8.c - UTF-8 by Unicode's table 3-7: the second byte's range depends on the first, later ones are 80..BF.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/utf8.h"

int trit_utf8_check(size_t len, const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;
	unsigned low = 0x80, high = 0xbf; /* what the second byte may be */
	int n;

	if (b[0] < 0x80)
		return 1;
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return -1;
	n = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
	if (b[0] == 0xe0)
		low = 0xa0; /* else overlong */
	else if (b[0] == 0xed)
		high = 0x9f; /* else a surrogate */
	else if (b[0] == 0xf0)
		low = 0x90; /* else overlong */
	else if (b[0] == 0xf4)
		high = 0x8f; /* else above U+10FFFF */
	for (int i = 1; i < n; i++) {
		if ((size_t)i == len)
			return 0;
		if (b[i] < low || b[i] > high)
			return -i;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

size_t trit_utf8_valid(size_t len, const char *bytes)
{
	size_t i = 0;

	while (i < len) {
		uint64_t eight;
		int n;

		if (len - i >= sizeof eight) { /* most text is ASCII: eight bytes in one look */
			memcpy(&eight, bytes + i, sizeof eight);
			if (!(eight & 0x8080808080808080)) {
				i += sizeof eight;
				continue;
			}
		}
		n = trit_utf8_check(len - i, bytes + i);
		if (n <= 0)
			break;
		i += (size_t)n;
	}
	return i;
}

size_t trit_utf8_invalid(size_t len, const char *bytes, size_t limit)
{
	size_t i = 0;

	while (i < len && i < limit) {
		int n = trit_utf8_check(len - i, bytes + i);

		if (n > 0)
			break;
		i += n < 0 ? (size_t)-n : len - i;
	}
	return i;
}

size_t trit_utf8_put(unsigned code_point, char *out)
{
	if (code_point < 0x80) {
		out[0] = (char)code_point;
		return 1;
	}
	out[0] = (char)(0xc0 | code_point >> 6);
	out[1] = (char)(0x80 | (code_point & 0x3f));
	return 2;
}

/* U+FFFD, the replacement character, for the first n bytes held. */
static size_t put_replacement(const struct trit_utf8_stream *s, int n, char *out)
{
	size_t written = 0;

	for (int i = 0; i < (s->each_byte ? n : 1); i++, written += 3)
		memcpy(out + written, "\xef\xbf\xbd", 3);
	return written;
}

size_t trit_utf8_stream_feed(struct trit_utf8_stream *s, size_t len, const char *bytes, char *out)
{
	char *to = out;

	for (size_t i = 0; i < len; i++) {
		int n;

		s->held[s->n_held++] = (unsigned char)bytes[i];
		n = trit_utf8_check((size_t)s->n_held, (const char *)s->held);
		if (n > 0) {
			memcpy(to, s->held, (size_t)n);
			to += n;
			s->n_held = 0;
		} else if (n < 0) {
			/* They were a good beginning until this byte came: it goes, or all before it. */
			to += put_replacement(s, s->n_held > 1 ? s->n_held - 1 : 1, to);
			if (s->n_held > 1)
				i--; /* it may begin a character itself: look at it again */
			s->n_held = 0;
		}
	}
	return (size_t)(to - out);
}

size_t trit_utf8_stream_end(struct trit_utf8_stream *s, char *out)
{
	size_t n = s->n_held ? put_replacement(s, s->n_held, out) : 0;

	s->n_held = 0;
	return n;
}

int trit_utf8_require(const char *name, size_t len, const char *text, struct trit_error *err)
{
	const char *nul = len ? memchr(text, 0, len) : NULL;
	size_t valid = trit_utf8_valid(len, text);
	if (nul && (size_t)(nul - text) < valid)
		return trit_fail_at(err, TRIT_ERR_FORMAT, nul - text,
		                    "%s: byte %zu is NUL; this is not a text file (leave it out, or convert it to UTF-8)", name,
		                    (size_t)(nul - text));
	if (valid < len)
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)valid,
		                    "%s: byte %zu is not valid UTF-8; convert the file first, for example: "
		                    "iconv -f latin1 -t utf-8", name, valid);
	return TRIT_OK;
}
