/*
 * base64.h - bytes written as letters, by RFC 4648: "QUJD" is "ABC".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_BASE64_H
#define TRIT_FORMAT_BASE64_H

#include <stdbool.h>

#include "base/error.h"

/** Decodes len letters, padded with '=' to a multiple of four. out: 3 * (len / 4) bytes; *n are written. False: this is
 * not Base64. */
bool trit_base64_decode(size_t len, const char *text, unsigned char *out, size_t *n);

#endif
