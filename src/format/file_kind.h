/*
 * file_kind.h - tells what kind of file its first bytes are, so that a wrong one is named for what it is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_FILE_KIND_H
#define TRIT_FORMAT_FILE_KIND_H

#include "base/error.h"

enum trit_file_kind {
	TRIT_KIND_UNKNOWN,
	TRIT_KIND_EMPTY,
	TRIT_KIND_GGUF,
	TRIT_KIND_SAFETENSORS,
	TRIT_KIND_PYTORCH, /* zip archive or bare pickle */
	TRIT_KIND_OLD_GGML,
	TRIT_KIND_HTML,
	TRIT_KIND_LFS_POINTER,
	TRIT_KIND_JSON,
	TRIT_KIND_LLAMA2C, /* never told by the first bytes: format/llama2c.h */
	TRIT_KIND_COUNT,
};

/** Looks at no more than the first 64 bytes. */
enum trit_file_kind trit_file_kind(const unsigned char *data, size_t size);
/** "GGUF", "safetensors", ...: of a kind that holds weights; "file" for others. */
const char *trit_file_kind_name(enum trit_file_kind kind);
/** The FORMAT error for a file that should have been of kind `wanted` (GGUF, SAFETENSORS, PYTORCH or JSON): what it is,
 * what to do. */
int trit_fail_kind(struct trit_error *err, enum trit_file_kind wanted, const unsigned char *data, size_t size);

#endif
