/*
 * convert.c - from one file to another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/convert.h"

#include "convert/hf_export.h"
#include "convert/input.h"

bool trit_convert_to_folder(const char *out)
{
	size_t len = strlen(out);
	return (len > 0 && out[len - 1] == '/') || trit_path_kind(out) == 1;
}

int trit_convert(const char *in, const char *out, const struct trit_export_options *o, struct trit_error *err)
{
	struct trit_input *input;
	int e = trit_input_open(&input, in, err);
	if (e)
		return e;
	e = (o->folder ? trit_hf_export : trit_export)(out, trit_input_source(input), o, err);
	trit_input_close(input);
	return e;
}
