/*
 * alphabet.c - the printable alphabet of byte-level BPE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/alphabet.h"
#include "text/utf8.h"

/* The code point that stands for a byte; see the picture in alphabet.h. */
static unsigned character_of(unsigned byte)
{
	if (byte <= 0x20)
		return byte + 0x100;
	if (byte >= 0x7f && byte <= 0xa0)
		return byte - 0x7f + 0x121;
	return byte == 0xad ? 0x143 : byte;
}

/* The byte a code point stands for, or -1. */
static int byte_of(unsigned c)
{
	if (c >= 0x100)
		return c <= 0x120 ? (int)c - 0x100 : c <= 0x142 ? (int)c - 0x121 + 0x7f : c == 0x143 ? 0xad : -1;
	return character_of(c) == c ? (int)c : -1;
}

unsigned char trit_alphabet_byte(int i)
{
	unsigned c = 0x21 + (unsigned)i; /* the characters in order: 21..7E, A1..AC, AE..FF, 100..143 */

	if (c > 0x7e)
		c += 0xa1 - 0x7f;
	if (c > 0xac)
		c++;
	return (unsigned char)byte_of(c);
}

size_t trit_alphabet_encode(size_t len, const char *bytes, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += trit_utf8_put(character_of((unsigned char)bytes[i]), out + n);
	return n;
}

size_t trit_alphabet_decode(size_t len, const char *text, char *out)
{
	const unsigned char *t = (const unsigned char *)text;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int b = -1;

		if (t[i] >= 0xc2 && t[i] <= 0xdf && i + 1 < len && (t[i + 1] & 0xc0) == 0x80)
			b = byte_of((t[i] & 0x1fu) << 6 | (t[i + 1] & 0x3fu));
		if (b >= 0)
			i++; /* two bytes were one character */
		out[n++] = (char)(b >= 0 ? b : t[i]);
	}
	return n;
}
