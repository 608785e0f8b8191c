/*
 * json_file.c - jansson's reader with our errors.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/json_file.h"

#ifdef TRIT_HAVE_JANSSON

#include "base/file.h"
#include "format/file_kind.h"

int trit_json_parse(json_t **out, size_t len, const char *text, struct trit_error *err)
{
	enum trit_file_kind kind = trit_file_kind((const unsigned char *)text, len);
	json_error_t why;
	json_t *root;

	if (kind != TRIT_KIND_JSON && kind != TRIT_KIND_UNKNOWN) /* unknown: it may begin with blanks */
		return trit_fail_kind(err, TRIT_KIND_JSON, (const unsigned char *)text, len);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root && json_error_code(&why) == json_error_out_of_memory)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu bytes of JSON", len);
	if (!root)
		return trit_fail_at(err, TRIT_ERR_FORMAT, why.position,
		                    "line %d, column %d: %s; the file is damaged or no JSON", why.line, why.column,
		                    why.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return trit_fail(err, TRIT_ERR_FORMAT, "a JSON text, but no object {...}; name another file");
	}
	*out = root;
	return 0;
}

int trit_json_read(json_t **out, const char *path, struct trit_error *err)
{
	struct trit_map map;
	int status = trit_map_open(&map, path, err);

	if (status < 0)
		return status;
	status = trit_json_parse(out, map.size, (const char *)map.data, err);
	trit_map_close(&map);
	return status < 0 ? trit_fail_prefix(err, status, "%s", path) : 0;
}

#endif
