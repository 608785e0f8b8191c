/*
 * json_file.h - JSON texts of others, read strictly: names of members come once, errors say where. Only with jansson.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_JSON_FILE_H
#define TRIT_FORMAT_JSON_FILE_H

#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>

#include "base/error.h"

/** *out is the caller's to json_decref, and an object. Errors: FORMAT (with line and column), MEMORY. */
TRIT_MUST_CHECK int trit_json_parse(json_t **out, size_t len, const char *text, struct trit_error *err);
/** The same of a file. Also IO. */
TRIT_MUST_CHECK int trit_json_read(json_t **out, const char *path, struct trit_error *err);

#endif
#endif
