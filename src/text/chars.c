/*
 * chars.c - characters of a text, and what kind they are.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_UTF8PROC
#include <utf8proc.h>
#endif

#include "text/chars.h"
#include "text/utf8.h"

int32_t trit_utf8_next(size_t len, const char *bytes, size_t *n)
{
	const unsigned char *b = (const unsigned char *)bytes;
	int size = trit_utf8_check(len, bytes);

	*n = size > 0 ? (size_t)size : 1;
	switch (size) {
	case 1:
		return b[0];
	case 2:
		return (b[0] & 0x1f) << 6 | (b[1] & 0x3f);
	case 3:
		return (b[0] & 0x0f) << 12 | (b[1] & 0x3f) << 6 | (b[2] & 0x3f);
	case 4:
		return (b[0] & 0x07) << 18 | (b[1] & 0x3f) << 12 | (b[2] & 0x3f) << 6 | (b[3] & 0x3f);
	default:
		return -1;
	}
}

int32_t trit_utf8_get(size_t len, const char *bytes)
{
	size_t n;

	return trit_utf8_next(len, bytes, &n);
}

bool trit_is_space(int32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* 2B920 is what BERT's tokenizers have, where Unicode's block begins at 2B820. */
static const int32_t chinese[][2] = {
	{ 0x3400, 0x4dbf }, { 0x4e00, 0x9fff }, { 0xf900, 0xfaff }, { 0x20000, 0x2a6df }, { 0x2a700, 0x2b73f },
	{ 0x2b740, 0x2b81f }, { 0x2b920, 0x2ceaf }, { 0x2f800, 0x2fa1f },
};

bool trit_is_chinese(int32_t c)
{
	for (size_t i = 0; i < sizeof chinese / sizeof *chinese; i++)
		if (c >= chinese[i][0] && c <= chinese[i][1])
			return true;
	return false;
}

bool trit_is_word_character(int32_t c)
{
	if (c < 0x80)
		return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
#ifdef TRIT_HAVE_UTF8PROC
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_PC:
		return true;
	default:
		return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9);
	}
#else
	return true;
#endif
}

size_t trit_space_at_begin(size_t len, const char *text)
{
	size_t i = 0, n;

	while (i < len && trit_is_space(trit_utf8_next(len - i, text + i, &n)))
		i += n;
	return i;
}

size_t trit_space_at_end(size_t len, const char *text)
{
	while (len > 0) {
		size_t begin = len - 1, n;

		while (begin > 0 && len - begin < 4 && (text[begin] & 0xc0) == 0x80)
			begin--;
		if (!trit_is_space(trit_utf8_next(len - begin, text + begin, &n)) || begin + n != len)
			break;
		len = begin;
	}
	return len;
}
