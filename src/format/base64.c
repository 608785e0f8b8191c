/*
 * base64.c - bytes written as letters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/base64.h"

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool trit_base64_decode(size_t len, const char *text, unsigned char *out, size_t *n)
{
	size_t padding = 0;

	if (len % 4 != 0)
		return false;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len; i += 4) {
		uint32_t bits = 0;

		for (size_t k = 0; k < 4; k++) {
			int v = i + k < len - padding ? value_of(text[i + k]) : 0;

			if (v < 0)
				return false;
			bits = bits << 6 | (uint32_t)v;
		}
		for (size_t k = 0; k < 3; k++) /* what the padding stands for is cut off below */
			out[i / 4 * 3 + k] = (unsigned char)(bits >> (16 - 8 * k));
	}
	*n = len / 4 * 3 - padding;
	return true;
}
