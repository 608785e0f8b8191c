/*
 * cmd_embed.c - trit embed: texts as vectors.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "cli/cmd.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "run/tokens.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)
#define TEXTS_AT_A_TIME 256

enum { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_ARRAY, OUTPUT_F32 };

struct embed_options {
	const char *model, *file;
	struct trit_model_options open;
	struct trit_embed_options embed;
	int output, pooling, kv_type;
	bool normalize;
	char **args;
	int n_args;
};

/* The tokens of all texts, one after the other. */
struct texts {
	struct trit_tokens tokens;
	size_t *ends; /* [n]: where each text ends in them */
	size_t n, cap, longest;
};

static int parse(struct embed_options *o, int argc, char **argv)
{
	static const char *const outputs[] = { "text", "json", "array", "f32", NULL };
	static const char *const poolings[] = { "model", "mean", "cls", "last", NULL };
	*o = (struct embed_options){ .normalize = true, .embed = { .n_batch = 512 }, .open = { .head = "exact" } };
	struct trit_opt options[] = {
		TRIT_ROW_MODEL(o->model),
		{ 'f', "file", TRIT_OPT_STRING, &o->file, .metavar = "FILE",
		  .help = "read texts from a file, one a line; -: from standard input" },
		{ 0, "pooling", TRIT_OPT_CHOICE, &o->pooling, .metavar = "KIND", .choices = poolings,
		  .help = "what makes a text's vector of its tokens': their mean, the first (cls) or the "
		          "last one; model: what the file says, else last" },
		{ 0, "no-normalize", TRIT_OPT_UNFLAG, &o->normalize, .help = "do not scale vectors to the length 1" },
		{ 'o', "output", TRIT_OPT_CHOICE, &o->output, .metavar = "FORM", .choices = outputs,
		  .help = "text: a line of numbers for each text; json: as OpenAI's API; array: JSON arrays; "
		          "f32: the numbers as 4 bytes each, little-endian, one vector after the other" },
		TRIT_ROW_KV_TYPE(o->kv_type),
		TRIT_ROW_BATCH(o->embed.n_batch),
		TRIT_ROW_THREADS(o->embed.n_threads),
		TRIT_ROW_CPU(o->open.cpu),
		{ 0, "layout", TRIT_OPT_STRING, &o->open.layout, .metavar = "NAME",
		  .help = "ternary weights in memory: t2, t5, b1 (same results)", .shown = "the file's or the fastest" },
	};
	struct trit_opt_table table = {
		.command = "embed",
		.usage = "-m FILE [OPTIONS] [TEXT...]",
		.about = "Prints the vector of each TEXT, of each line of a file, or of standard input as one text.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = 1 << 20,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if (o->file && table.n_args)
		return trit_opt_error(&table, "both texts and --file");
	o->args = table.args;
	o->n_args = table.n_args;
	o->embed.pooling = (enum trit_pooling)o->pooling;
	o->embed.no_scaling = !o->normalize;
	o->embed.kv_type = (enum trit_kv_type)o->kv_type;
	o->open.n_threads = o->embed.n_threads;
	return -1;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static int add_text(struct texts *t, const struct trit_model *model, size_t len, const char *text,
                    struct trit_error *err)
{
	size_t begin = t->tokens.len;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		size_t *ends = trit_realloc(t->ends, t->cap * sizeof *ends, cap, sizeof *ends);
		if (!ends)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu texts", cap);
		t->ends = ends;
		t->cap = cap;
	}
	int e = trit_tokenize_append(model, len, text, TRIT_TOKENIZE_BOS | TRIT_TOKENIZE_EOS, &t->tokens, err);
	if (e)
		return trit_fail_prefix(err, e, "text %zu", t->n + 1);
	size_t n = t->tokens.len - begin, most = (size_t)trit_model_context_length(model);
	if (n == 0)
		return trit_fail(err, TRIT_ERR_ARG, "text %zu is empty", t->n + 1);
	if (n > most)
		return trit_fail(err, TRIT_ERR_LIMIT, "text %zu has %zu tokens; the model was trained for %zu: cut it",
		                 t->n + 1, n, most);
	t->longest = n > t->longest ? n : t->longest;
	t->ends[t->n++] = t->tokens.len;
	return TRIT_OK;
}

static int add_lines(struct texts *t, const struct trit_model *model, const struct trit_buf *text,
                     struct trit_error *err)
{
	int e = TRIT_OK;
	for (size_t at = 0; at < text->len && !e;) {
		const char *line = text->data + at, *end = memchr(line, '\n', text->len - at);
		size_t len = end ? (size_t)(end - line) : text->len - at;
		e = add_text(t, model, len && line[len - 1] == '\r' ? len - 1 : len, line, err);
		at += len + 1;
	}
	return e;
}

static int read_texts(struct texts *t, const struct embed_options *o, const struct trit_model *model,
                      struct trit_error *err)
{
	int e = TRIT_OK;
	for (int i = 0; i < o->n_args && !e; i++)
		e = add_text(t, model, strlen(o->args[i]), o->args[i], err);
	if (o->n_args || e)
		return e;
	struct trit_buf text;
	trit_buf_init(&text, MAX_TEXT_BYTES);
	e = trit_file_read(&text, o->file ? o->file : "-", err);
	if (!e && o->file)
		e = add_lines(t, model, &text, err);
	else if (!e)
		e = add_text(t, model, text.len, text.data ? text.data : "", err);
	trit_buf_release(&text);
	return e;
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

/* JSON has no infinity and no NaN. */
static void print_numbers(const float *v, int d, const char *separator, bool json)
{
	for (int i = 0; i < d; i++)
		if (json && !isfinite(v[i]))
			trit_outf("%snull", i ? separator : "");
		else
			trit_outf("%s%.9g", i ? separator : "", (double)v[i]);
}

static void print_f32(const float *v, int d)
{
	for (int i = 0; i < d; i++) {
		unsigned char bytes[4];
		trit_put32(bytes, trit_f32_bits(v[i]));
		trit_out(sizeof bytes, (const char *)bytes);
	}
}

/* The vector of text i. */
static void print_vector(int output, size_t i, const float *v, int d)
{
	switch (output) {
	case OUTPUT_TEXT:
		print_numbers(v, d, " ", false);
		trit_out(1, "\n");
		break;
	case OUTPUT_F32:
		print_f32(v, d);
		break;
	default:
		trit_outf(i ? ",\n " : " ");
		if (output == OUTPUT_JSON)
			trit_outf("{\"object\": \"embedding\", \"index\": %zu, \"embedding\": ", i);
		trit_out(1, "[");
		print_numbers(v, d, ", ", true);
		trit_outf(output == OUTPUT_JSON ? "]}" : "]");
	}
}

static void print_begin(const struct embed_options *o)
{
	if (o->output == OUTPUT_JSON) {
		trit_outf("{\"object\": \"list\", \"model\": ");
		trit_out_json(strlen(o->model), o->model);
		trit_outf(", \"data\": [\n");
	} else if (o->output == OUTPUT_ARRAY)
		trit_outf("[\n");
}

static void print_end(const struct embed_options *o, const struct texts *t)
{
	if (o->output == OUTPUT_JSON)
		trit_outf("\n], \"usage\": {\"prompt_tokens\": %zu, \"total_tokens\": %zu}}\n", t->tokens.len, t->tokens.len);
	else if (o->output == OUTPUT_ARRAY)
		trit_outf("\n]\n");
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* Embeds and prints, some texts at a time. */
static int embed_all(const struct embed_options *o, const struct trit_model *model, const struct texts *t,
                     struct trit_error *err)
{
	struct trit_embedder *embedder = NULL;
	int d = trit_model_embedding_width(model);
	const trit_token *tokens[TEXTS_AT_A_TIME];
	size_t lengths[TEXTS_AT_A_TIME];
	float *out = trit_calloc(TEXTS_AT_A_TIME, (size_t)d * sizeof *out);
	int e = out ? trit_embedder_new(&embedder, model, &o->embed, err)
	            : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d vectors", TEXTS_AT_A_TIME);
	for (size_t i = 0, n; i < t->n && !e && !trit_interrupts && trit_out_alive(); i += n) {
		n = t->n - i < TEXTS_AT_A_TIME ? t->n - i : TEXTS_AT_A_TIME;
		for (size_t k = 0; k < n; k++) {
			size_t begin = i + k ? t->ends[i + k - 1] : 0;
			tokens[k] = t->tokens.data + begin;
			lengths[k] = t->ends[i + k] - begin;
		}
		e = trit_embed(embedder, n, lengths, tokens, out, err);
		if (!e && i == 0)
			print_begin(o);
		for (size_t k = 0; k < n && !e; k++)
			print_vector(o->output, i + k, out + k * (size_t)d, d);
	}
	if (!e && !trit_interrupts)
		print_end(o, t);
	trit_embedder_free(embedder);
	trit_free(out);
	return e;
}

static int embed(struct embed_options *o, struct trit_error *err)
{
	struct trit_model *model = NULL;
	struct texts t = { 0 };
	trit_tokens_init(&t.tokens, 2 * MAX_TEXT_BYTES);
	int e = trit_cmd_open("embed", &model, o->model, &o->open, err);
	if (!e)
		e = read_texts(&t, o, model, err);
	if (!e && !t.n)
		e = trit_fail(err, TRIT_ERR_ARG, "no text to embed");
	trit_interrupt_catch();
	if (!e) {
		o->embed.n_ctx = (int)t.longest;
		e = embed_all(o, model, &t, err);
	}
	trit_tokens_release(&t.tokens);
	trit_free(t.ends);
	trit_model_close(model);
	return e;
}

int trit_cmd_embed(int argc, char **argv)
{
	struct embed_options o;
	struct trit_error err;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (embed(&o, &err))
		return trit_out_finish("embed", trit_cmd_fail("embed", &err));
	return trit_out_finish("embed", trit_interrupts ? 130 : 0);
}
