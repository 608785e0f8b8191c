/*
 * cmd_convert.c - trit convert: a model or a training checkpoint to GGUF of another type; and what other commands that
 * write models share with it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"

#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "convert/convert.h"

/* ---- types ------------------------------------------------------------------------------------------------------- */

enum { NOT_HERE = -2, AUTO = -1 };

/* Types by the name they have on the command line, for projections and for embedding and head. */
static const struct {
	const char *name;
	int projections, embeddings;
} types[] = {
	{ "auto", AUTO, AUTO },
	{ "tq2_0", TRIT_GGML_TQ2_0, NOT_HERE },
	{ "tq1_0", TRIT_GGML_TQ1_0, NOT_HERE },
	{ "i2_s", TRIT_GGML_I2_S, NOT_HERE },
	{ "q2_0", TRIT_GGML_Q2_0, NOT_HERE },
	{ "q1_0", TRIT_GGML_Q1_0, NOT_HERE },
	{ "q8_0", TRIT_GGML_Q8_0, TRIT_GGML_Q8_0 },
	{ "q6_k", TRIT_GGML_Q6_K, TRIT_GGML_Q6_K },
	{ "q4_0", TRIT_GGML_Q4_0, TRIT_GGML_Q4_0 },
	{ "f16", TRIT_GGML_F16, TRIT_GGML_F16 },
	{ "bf16", TRIT_GGML_BF16, TRIT_GGML_BF16 },
	{ "f32", TRIT_GGML_F32, TRIT_GGML_F32 },
	{ "t5", TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), NOT_HERE },
	{ "t2", TRIT_GGML_PACKED_TYPE(TRIT_T2, 0), NOT_HERE },
	{ "b1", TRIT_GGML_PACKED_TYPE(TRIT_B1, 0), NOT_HERE },
	{ "packed", TRIT_GGML_HF_U2, NOT_HERE },
	{ "i8", NOT_HERE, TRIT_GGML_PACKED_TYPE(TRIT_I8, 1) }, /* a scale a row */
	{ "i6", NOT_HERE, TRIT_GGML_PACKED_TYPE(TRIT_I6, 1) },
	{ "i4", NOT_HERE, TRIT_GGML_PACKED_TYPE(TRIT_I4, 2) }, /* a scale for 64 columns */
};

/* The value of one option. Returns -1 or an exit status. */
static int parse_type(const struct trit_opt_table *table, const char *option, bool projections, const char *name,
                      int *out)
{
	char names[200] = "";
	size_t used = 0;
	for (int i = 0; i < TRIT_N(types); i++) {
		int id = projections ? types[i].projections : types[i].embeddings;
		if (id == NOT_HERE)
			continue;
		if (!strcasecmp(types[i].name, name)) {
			*out = id;
			return -1;
		}
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", types[i].name);
	}
	return trit_opt_error(table, "--%s %.32s: there are %s", option, name, names);
}

int trit_export_types_parse(const struct trit_opt_table *table, const char *type, const char *embedding_type,
                            const char *head_type, struct trit_export_options *o)
{
	int status = parse_type(table, "type", true, type, &o->type);
	if (status < 0)
		status = parse_type(table, "embedding-type", false, embedding_type, &o->embedding_type);
	return status < 0 ? parse_type(table, "head-type", false, head_type, &o->head_type) : status;
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

struct watch {
	const char *command;
	bool terminal, shown;
	double last;
};

static bool go_on(void *arg, int64_t done, int64_t total)
{
	struct watch *w = arg;
	double now = trit_clock();
	if (w->terminal && now - w->last >= 0.5) {
		fprintf(stderr, "\rtrit %s: %3.0f %%", w->command, (double)done / (double)total * 100);
		w->shown = true;
		w->last = now;
	}
	return trit_interrupts == 0;
}

static struct watch watch;

void trit_export_watch(const char *command, struct trit_export_options *o)
{
	watch = (struct watch){ .command = command, .terminal = isatty(STDERR_FILENO), .last = trit_clock() };
	o->go_on = go_on;
	o->arg = &watch;
	trit_interrupt_catch();
}

int trit_export_finish(const char *command, const char *path, int e, const struct trit_error *err)
{
	if (watch.shown)
		fprintf(stderr, "\r\033[K");
	if (e && trit_interrupts)
		return 130;
	if (e)
		return trit_cmd_fail(command, err);
	trit_cmd_note(command, "wrote %s", path);
	return 0;
}

/* ---- what was found ---------------------------------------------------------------------------------------------- */

static void show_notes(const struct trit_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		trit_cmd_note("convert", "%s", notes->lines[i].text);
}

static void show_verified(const struct trit_verified *v)
{
	if (v->codes)
		trit_cmd_note("convert", "verified: %llu ternary weights and %llu scales are the same%s",
		              (unsigned long long)v->codes, (unsigned long long)v->scales,
		              v->scale_error > 0 ? ", but for the last places of some scales" : "");
	if (v->scale_error > 0)
		trit_cmd_note("convert", "verified: scales differ by %.1g of themselves at most, as masters give them back",
		              v->scale_error);
	trit_cmd_note("convert", "verified: %llu other numbers are the same, %llu as their type rounds them",
	              (unsigned long long)v->exact, (unsigned long long)v->rounded);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* The type that the name of a file ends in, model-TQ2_0.gguf or model.f16.gguf, by its name in the table; or "auto". */
static const char *type_in_name(const char *out)
{
	size_t len = strlen(out), end = len > 5 && !strcasecmp(out + len - 5, ".gguf") ? len - 5 : len;
	for (int i = 1; i < TRIT_N(types); i++) {
		size_t n = strlen(types[i].name);
		if (types[i].projections >= 0 && types[i].projections != TRIT_GGML_HF_U2 && end > n &&
		    strchr("-.", out[end - n - 1]) && !strncasecmp(out + end - n, types[i].name, n))
			return types[i].name;
	}
	return types[0].name;
}

/* What OUT's name says: a folder or a file, its type. Returns -1 or an exit status. */
static int read_name(const struct trit_opt_table *table, int format, const char **type, struct trit_export_options *o)
{
	static const char suffix[] = ".safetensors";
	const char *out = table->args[1];
	size_t len = strlen(out), n = sizeof suffix - 1;
	o->folder = format == 2 || (format == 0 && trit_convert_to_folder(out));
	if (!o->folder && len > n && !strcmp(out + len - n, suffix))
		return trit_opt_error(table, "%s: safetensors are written as a Hugging Face folder; name one (OUT/)", out);
	if (!o->folder && !strcmp(*type, "auto"))
		*type = type_in_name(out);
	return -1;
}

int trit_cmd_convert(int argc, char **argv)
{
	static const char *const formats[] = { "auto", "gguf", "hf", NULL };
	static const char *const classes[] = { "auto", "bitlinear", "autobitlinear", NULL };
	const char *type = "auto", *embedding_type = "auto", *head_type = "auto";
	int format = 0, linear_class = 0;
	bool verify = false;
	struct trit_notes notes = { 0 };
	struct trit_verified verified = { .go_on = NULL };
	struct trit_export_options o = { 0 };
	struct trit_error err;
	struct trit_opt options[] = {
		TRIT_ROWS_EXPORT(type, embedding_type),
		TRIT_ROW_HEAD_TYPE(head_type),
		{ 0, "format", TRIT_OPT_CHOICE, &format, .metavar = "NAME", .choices = formats,
		  .help = "gguf: a file; hf: a Hugging Face folder, as transformers loads it, with ternary weights packed "
			  "(--type auto) or as f32, f16, bf16 numbers; auto: hf where OUT ends in / or is a folder" },
		{ 0, "linear-class", TRIT_OPT_CHOICE, &linear_class, .metavar = "NAME", .choices = classes,
		  .help = "class of packed weights in such a folder: bitlinear, autobitlinear" },
		TRIT_ROW_TOKENIZER(o.tokenizer),
		{ 0, "verify", TRIT_OPT_FLAG, &verify,
		  .help = "read the result again and compare every weight and scale with IN" },
		{ 0, "force", TRIT_OPT_FLAG, &o.force,
		  .help = "round weights that are not ternary to ternary types, scales to 16 bits where a type has no more; "
			  "replace the model in a folder that has files" },
	};
	struct trit_opt_table table = {
		.command = "convert",
		.usage = "IN OUT [--type TYPE]",
		.about =
			"Writes the model IN - a GGUF file, a Hugging Face folder, the folder of a training run - as the GGUF\n"
			"file OUT or the Hugging Face folder OUT/, some rows at a time. Ternary to ternary keeps every ternary\n"
			"weight and scale. OUT appears when it is complete. A name like model-TQ2_0.gguf says the type.",
		.options = options,
		.n_options = TRIT_N(options),
		.min_args = 2,
		.max_args = 2,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if ((status = read_name(&table, format, &type, &o)) >= 0 ||
	    (status = trit_export_types_parse(&table, type, embedding_type, head_type, &o)) >= 0)
		return status;
	const char *out = table.args[1];
	o.linear_class = (enum trit_linear_class)linear_class;
	if (linear_class && !o.folder)
		return trit_opt_error(&table, "--linear-class is of a Hugging Face folder; OUT is a file (--format hf)");
	o.notes = &notes;
	o.verified = verify ? &verified : NULL;
	trit_export_watch("convert", &o);
	int e = trit_convert(table.args[0], out, &o, &err);
	show_notes(&notes);
	trit_notes_release(&notes);
	status = trit_export_finish("convert", out, e, &err);
	if (!status && verify)
		show_verified(&verified);
	return status;
}
