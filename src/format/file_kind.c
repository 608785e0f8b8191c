/*
 * file_kind.c - the first bytes of the files people hand to a program that wants a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdbool.h>
#include <strings.h>

#include "base/num.h"
#include "format/file_kind.h"

static bool begins(const unsigned char *data, size_t size, const char *with)
{
	size_t n = strlen(with);

	return size >= n && memcmp(data, with, n) == 0;
}

/* HTML is typed in any case, after any blanks. */
static bool is_html(const unsigned char *data, size_t size)
{
	size_t i = 0;

	while (i < size && i < 32 && strchr(" \t\r\n\xef\xbb\xbf", data[i]) && data[i])
		i++;
	data += i;
	size -= i;
	return (size >= 9 && strncasecmp((const char *)data, "<!doctype", 9) == 0) ||
	       (size >= 5 && strncasecmp((const char *)data, "<html", 5) == 0) || begins(data, size, "<?xml");
}

enum trit_file_kind trit_file_kind(const unsigned char *data, size_t size)
{
	/* Magic numbers of the formats before GGUF, as their little-endian files begin. */
	static const char *const old[] = { "lmgg", "fmgg", "tjgg", "algg", "ggml", "ggmf", "ggjt", "ggla" };

	if (size == 0)
		return TRIT_KIND_EMPTY;
	if (begins(data, size, "GGUF"))
		return TRIT_KIND_GGUF;
	if (size > 8 && data[8] == '{' && trit_get64(data) >= 2 && trit_get64(data) < (uint64_t)1 << 40)
		return TRIT_KIND_SAFETENSORS;
	if (begins(data, size, "PK\3\4") || (size > 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5))
		return TRIT_KIND_PYTORCH;
	for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
		if (begins(data, size, old[i]))
			return TRIT_KIND_OLD_GGML;
	if (begins(data, size, "version https://git-lfs"))
		return TRIT_KIND_LFS_POINTER;
	if (is_html(data, size))
		return TRIT_KIND_HTML;
	if (data[0] == '{' || data[0] == '[')
		return TRIT_KIND_JSON;
	return TRIT_KIND_UNKNOWN;
}

const char *trit_file_kind_name(enum trit_file_kind kind)
{
	switch (kind) {
	case TRIT_KIND_GGUF:
		return "GGUF";
	case TRIT_KIND_SAFETENSORS:
		return "safetensors";
	case TRIT_KIND_PYTORCH:
		return "PyTorch";
	case TRIT_KIND_LLAMA2C:
		return "llama2.c";
	case TRIT_KIND_JSON:
		return "JSON";
	default:
		return "file";
	}
}

int trit_fail_kind(struct trit_error *err, enum trit_file_kind wanted, const unsigned char *data, size_t size)
{
	static const char *const what[TRIT_KIND_COUNT] = {
		[TRIT_KIND_EMPTY] = "the file is empty; copy or download it again",
		[TRIT_KIND_GGUF] = "a GGUF file",
		[TRIT_KIND_SAFETENSORS] = "a safetensors file",
		[TRIT_KIND_PYTORCH] = "a PyTorch or zip file",
		[TRIT_KIND_OLD_GGML] = "a ggml file of before August 2023; get the model as GGUF",
		[TRIT_KIND_HTML] = "a web page; the download went wrong, get the file itself",
		[TRIT_KIND_LFS_POINTER] = "a git-lfs pointer, not the file itself; run \"git lfs pull\"",
		[TRIT_KIND_JSON] = "a JSON text; name the file with the weights",
	};
	const char *name = trit_file_kind_name(wanted);
	enum trit_file_kind kind = trit_file_kind(data, size);
	uint32_t first = 0;

	if (kind == TRIT_KIND_EMPTY)
		return trit_fail_at(err, TRIT_ERR_FORMAT, 0, "%s", what[kind]);
	if (kind != TRIT_KIND_UNKNOWN && kind != wanted)
		return trit_fail_at(err, TRIT_ERR_FORMAT, 0, "not a %s file but %s", name, what[kind]);
	for (size_t i = 0; i < 4; i++)
		first = first << 8 | (i < size ? data[i] : 0);
	return trit_fail_at(err, TRIT_ERR_FORMAT, 0, "not a %s file (its first bytes are %08" PRIx32
	                    "); name another, or copy or download it again", name, first);
}
