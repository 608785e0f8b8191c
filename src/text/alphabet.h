/*
 * alphabet.h - the printable alphabet of byte-level BPE: 256 Unicode characters that stand for the 256 bytes.
 *
 * Introduced with GPT-2 so that vocabularies can be kept in text files. The 188 bytes that are printable in Latin-1
 * stand for themselves; the other 68 are numbered upwards from U+0100:
 *
 *     byte       00..20        21..7E   7F..A0        A1..AC   AD       AE..FF
 *     character  U+0100..0120  same     U+0121..0142  same     U+0143   same
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_ALPHABET_H
#define TRIT_TEXT_ALPHABET_H

#include "base/error.h"

/** The i-th byte (0..255) in the order of its character, which is GPT-2's order of its first 256 tokens. */
unsigned char trit_alphabet_byte(int i);
/** Bytes to characters. out: 2 * len bytes. Returns how many were written. */
size_t trit_alphabet_encode(size_t len, const char *bytes, char *out);
/** Characters to bytes. What is not a character of the alphabet is copied as it stands. out: len bytes. Returns how
 * many were written. */
size_t trit_alphabet_decode(size_t len, const char *text, char *out);

#endif
