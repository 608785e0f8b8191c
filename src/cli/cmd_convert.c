/*
 * cmd_convert.c - trit convert: a model or a training checkpoint to GGUF of another type.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"

#include "convert/convert.h"

/* The type of a name among those the list allows; -1 for "auto", -2 if there is none. */
static int type_of(const char *name, const char *allowed)
{
	char word[16];
	if (!strcmp(name, "auto"))
		return -1;
	const struct trit_ggml_type_info *info = trit_ggml_type_by_name(name);
	if (!info)
		return -2;
	size_t n = 0;
	for (; info->name[n] && n < sizeof word - 1; n++)
		word[n] = info->name[n] >= 'A' && info->name[n] <= 'Z' ? (char)(info->name[n] + 32) : info->name[n];
	word[n] = 0;
	for (const char *at = allowed; (at = strstr(at, word)); at += n)
		if ((at == allowed || at[-1] == ' ') && (at[n] == ',' || at[n] == 0))
			return (int)info->id;
	return -2;
}

int trit_export_types_parse(const struct trit_opt_table *table, const char *type, const char *embedding_type,
                            struct trit_export_options *o)
{
	o->type = type_of(type, TRIT_EXPORT_TYPES);
	if (o->type == -2)
		return trit_opt_error(table, "--type %.32s: there are auto, " TRIT_EXPORT_TYPES, type);
	o->embedding_type = type_of(embedding_type, TRIT_EXPORT_EMBEDDING_TYPES);
	if (o->embedding_type == -2)
		return trit_opt_error(table, "--embedding-type %.32s: there are auto, " TRIT_EXPORT_EMBEDDING_TYPES,
		                      embedding_type);
	return -1;
}

int trit_cmd_convert(int argc, char **argv)
{
	const char *type = "auto", *embedding_type = "auto";
	struct trit_export_options o;
	struct trit_error err;
	struct trit_opt options[] = {
		TRIT_ROWS_EXPORT(type, embedding_type),
	};
	struct trit_opt_table table = {
		.command = "convert",
		.usage = "IN OUT.gguf [--type TYPE]",
		.about =
			"Writes IN - a GGUF model, the folder of a training run, or its checkpoint - as the GGUF file OUT, one\n"
			"tensor at a time. Ternary to ternary keeps every weight and scale. OUT appears when it is complete.",
		.options = options,
		.n_options = TRIT_N(options),
		.min_args = 2,
		.max_args = 2,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if ((status = trit_export_types_parse(&table, type, embedding_type, &o)) >= 0)
		return status;
	if (trit_convert(table.args[0], table.args[1], &o, &err))
		return trit_cmd_fail("convert", &err);
	trit_cmd_note("convert", "wrote %s", table.args[1]);
	return 0;
}
