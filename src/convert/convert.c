/*
 * convert.c - from one file to another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/convert.h"

#include "convert/hf_export.h"
#include "convert/ternary.h"
#include "format/gguf_split.h"

bool trit_convert_to_folder(const char *out)
{
	size_t len = strlen(out);
	return (len > 0 && out[len - 1] == '/') || trit_path_kind(out) == 1;
}

/* A part that is written over is missing when the model is opened again. */
static int check_parts(const char *in, const char *out, const struct trit_gguf *g, struct trit_error *err)
{
	uint64_t parts = 1;
	int e = g ? trit_gguf_parts(g, &parts, err) : TRIT_OK;
	if (!e && trit_gguf_is_part(out, in, parts))
		return trit_fail(err, TRIT_ERR_ARG, "%s is a part of the model that is read; choose another OUT", out);
	return e;
}

int trit_convert(const char *in, const char *out, const struct trit_export_options *o, struct trit_error *err)
{
	struct trit_input *input;
	int e = trit_input_open(&input, in, o->tokenizer, err);
	if (e)
		return e;
	struct trit_source *s = trit_input_source(input);
	if ((e = check_parts(in, out, s->keys, err))) {
		trit_input_close(input);
		return e;
	}
	const struct trit_ggml_type_info *info = o->type < 0 ? NULL : trit_ggml_type_info((uint32_t)o->type);
	if (info && info->ternary && !s->quantised && (e = trit_make_ternary(input, o->force, o->notes, err)))
		trit_fail_prefix(err, e, "%s", in);
	if (!e)
		e = (o->folder ? trit_hf_export : trit_export)(out, s, o, err);
	if (!e && o->verified) {
		o->verified->go_on = o->go_on;
		o->verified->arg = o->arg;
		e = trit_verify(out, s, o->verified, err);
	}
	trit_input_close(input);
	return e;
}
