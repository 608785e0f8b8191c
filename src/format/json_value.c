/*
 * json_value.c - JSON as the values of templates, by jansson.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>
#endif

#include "format/json_value.h"

#ifdef TRIT_HAVE_JANSSON

static struct trit_value convert(struct trit_heap *h, json_t *j, bool marked, int depth)
{
	struct trit_value v = trit_value_none();
	const char *key;
	json_t *member;
	size_t i;

	if (depth > TRIT_MAX_VALUE_DEPTH)
		trit_heap_fail(h, TRIT_ERR_LIMIT, "JSON nested deeper than %d", TRIT_MAX_VALUE_DEPTH);
	if (h->status < 0)
		return v;
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		v = trit_value_dict(h, TRIT_VALUE_DICT);
		json_object_foreach(j, key, member)
			trit_value_put(h, v, trit_value_string(h, strlen(key), key, false),
			               convert(h, member, marked, depth + 1));
		return v;
	case JSON_ARRAY:
		v = trit_value_list(h, TRIT_VALUE_LIST);
		json_array_foreach(j, i, member)
			trit_value_append(h, v, convert(h, member, marked, depth + 1));
		return v;
	case JSON_STRING:
		return trit_value_string(h, json_string_length(j), json_string_value(j), marked);
	case JSON_INTEGER:
		return trit_value_int(json_integer_value(j));
	case JSON_REAL:
		return trit_value_float(json_real_value(j));
	case JSON_TRUE:
	case JSON_FALSE:
		return trit_value_bool(json_is_true(j));
	default:
		return v;
	}
}

int trit_json_value(struct trit_heap *h, size_t len, const char *text, bool marked, struct trit_value *out,
                    struct trit_error *err)
{
	json_error_t problem;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);

	if (!j)
		return trit_fail(err, TRIT_ERR_FORMAT, "JSON, line %d, column %d: %s", problem.line, problem.column,
		                 problem.text);
	*out = convert(h, j, marked, 0);
	json_decref(j);
	if (h->status < 0 && err)
		*err = h->err;
	return h->status;
}

#else

int trit_json_value(struct trit_heap *h, size_t len, const char *text, bool marked, struct trit_value *out,
                    struct trit_error *err)
{
	(void)h;
	(void)len;
	(void)text;
	(void)marked;
	(void)out;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "this build cannot read JSON; it needs jansson (libjansson-dev)");
}

#endif
