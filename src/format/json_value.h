/*
 * json_value.h - JSON as the values of templates: conversations and tools as clients write them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_JSON_VALUE_H
#define TRIT_FORMAT_JSON_VALUE_H

#include "text/value.h"

/** Parses len bytes into h; all strings but keys are marked as coming from outside when `marked`. Errors: FORMAT
 * (line, column), LIMIT (nesting, memory of h), UNSUPPORTED (a build without jansson). */
TRIT_MUST_CHECK int trit_json_value(struct trit_heap *h, size_t len, const char *text, bool marked,
                                    struct trit_value *out, struct trit_error *err);

#endif
