/*
 * cmd_perplexity.c - trit perplexity: how well a model predicts a text; rule and output are llama-perplexity's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>
#include <math.h>

#include "cli/cmd.h"

#include "base/clock.h"
#include "base/file.h"
#include "eval/perplexity.h"
#include "run/tokens.h"

#define MAX_TEXT_BYTES ((size_t)4 << 30)

enum { OUTPUT_TEXT, OUTPUT_JSON };

struct perplexity_options {
	const char *model, *file;
	struct trit_model_options open;
	int output, kv_type;
	struct trit_perplexity_options measure;
	double start; /* clock when the first chunk began */
};

static int parse(struct perplexity_options *o, int argc, char **argv)
{
	static const char *const outputs[] = { "text", "json", NULL };
	*o = (struct perplexity_options){ .measure = { .n_batch = 512 } };
	struct trit_opt options[] = {
		TRIT_ROW_MODEL(o->model),
		{ 'f', "file", TRIT_OPT_STRING, &o->file, .metavar = "FILE", .help = "the text; -: standard input",
		  .required = true },
		{ 'c', "ctx-size", TRIT_OPT_INT, &o->measure.n_ctx, .min = 4, .max = INT_MAX, .metavar = "N",
		  .help = "tokens a chunk; the second half of each is scored",
		  .shown = "512, or the model's context if that is less" },
		{ 0, "chunks", TRIT_OPT_INT, &o->measure.n_chunks, .min = 1, .max = INT_MAX, .metavar = "N",
		  .help = "measure the first N chunks only", .shown = "all" },
		{ 'o', "output", TRIT_OPT_CHOICE, &o->output, .metavar = "FORM", .help = "form of the result",
		  .choices = outputs },
		{ .type = TRIT_OPT_HEADING, .help = "Computing" },
		TRIT_ROW_THREADS(o->measure.n_threads),
		{ 'b', "batch-size", TRIT_OPT_INT, &o->measure.n_batch, .min = 1, .max = 65536, .metavar = "N",
		  .help = "tokens computed together" },
		TRIT_ROW_KV_TYPE(o->kv_type),
		TRIT_ROWS_OPEN(o->open),
	};
	struct trit_opt_table table = {
		.command = "perplexity",
		.usage = "-m FILE -f TEXT [-c N] [OPTIONS]",
		.about = "Cuts the text into chunks of N tokens and measures how well the model predicts the second half\n"
		         "of each from all that stands before it in the chunk, as llama-perplexity does. Prints the running\n"
		         "value after each chunk and the final estimate with its standard error; with -o json one JSON\n"
		         "object instead.",
		.options = options,
		.n_options = TRIT_N(options),
	};
	int status = trit_opt_parse(&table, argc, argv);
	o->open.n_threads = o->measure.n_threads;
	return status;
}

static bool progress(void *arg, const struct trit_perplexity *so_far, int n_chunks)
{
	struct perplexity_options *o = arg;
	double now = trit_clock(), per_chunk = (now - o->start) / so_far->n_chunks;
	if (so_far->n_chunks == 1) {
		char left[TRIT_NUMBER_BYTES];
		fprintf(stderr, "perplexity: %.2f seconds per pass - ETA %s\n", per_chunk,
		        trit_text_seconds(left, per_chunk * (n_chunks - 1)));
	}
	if (o->output == OUTPUT_TEXT) {
		trit_outf("[%d]%.4f,", so_far->n_chunks, trit_perplexity_value(so_far));
		trit_out_flush();
	}
	return !trit_interrupts && trit_out_alive();
}

/* JSON has no infinity and no NaN. */
static void print_number(const char *name, double v)
{
	if (isfinite(v))
		trit_outf("\"%s\": %.10g, ", name, v);
	else
		trit_outf("\"%s\": null, ", name);
}

static void print_result(const struct perplexity_options *o, const struct trit_perplexity *p)
{
	double value = trit_perplexity_value(p), error = trit_perplexity_error(p);
	if (o->output == OUTPUT_TEXT) {
		trit_outf("\nFinal estimate: PPL = %.4f +/- %.5f\n", value, error);
		return;
	}
	trit_out(1, "{");
	print_number("perplexity", value);
	print_number("stderr", error);
	trit_outf("\"tokens\": %lld, ", (long long)p->count);
	print_number("nats_per_token", p->count ? p->nll / (double)p->count : NAN);
	trit_outf("\"n_ctx\": %d, \"chunks\": %d, \"model\": ", o->measure.n_ctx, p->n_chunks);
	trit_out_json(strlen(o->model), o->model);
	trit_outf(", \"file\": ");
	trit_out_json(strlen(o->file), o->file);
	trit_outf("}\n");
}

static int measure(struct perplexity_options *o, struct trit_error *err)
{
	struct trit_model *model = NULL;
	struct trit_buf text;
	struct trit_tokens tokens;
	struct trit_perplexity result;
	trit_buf_init(&text, MAX_TEXT_BYTES);
	trit_tokens_init(&tokens, MAX_TEXT_BYTES + 2);

	const char *name = strcmp(o->file, "-") ? o->file : "standard input";
	int e = trit_file_read(&text, o->file, err);
	if (!e && !text.len)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: no text to measure", name);
	if (!e)
		e = trit_utf8_require(name, text.len, text.data, err);
	if (!e)
		e = trit_cmd_open("perplexity", &model, o->model, &o->open, err);
	if (!e && !o->measure.n_ctx)
		o->measure.n_ctx = trit_model_context_length(model) < 512 ? trit_model_context_length(model) : 512;
	if (!e)
		e = trit_tokenize_append(model, text.len, text.data ? text.data : "", TRIT_TOKENIZE_BOS, &tokens, err);
	trit_buf_release(&text);
	if (!e) {
		size_t n = tokens.len / (size_t)o->measure.n_ctx;
		if (o->measure.n_chunks && (size_t)o->measure.n_chunks < n)
			n = (size_t)o->measure.n_chunks;
		if (tokens.len / 2 >= (size_t)o->measure.n_ctx && o->measure.n_ctx <= trit_model_context_length(model))
			fprintf(stderr, "perplexity: calculating perplexity over %zu chunks, n_ctx=%d, batch_size=%d, n_seq=1\n", n,
			        o->measure.n_ctx, o->measure.n_batch);
		trit_interrupt_catch();
		o->start = trit_clock();
		o->measure.kv_type = (enum trit_kv_type)o->kv_type;
		o->measure.progress = progress;
		o->measure.arg = o;
		e = trit_perplexity_measure(&result, model, tokens.len, tokens.data, &o->measure, err);
		if (e)
			e = trit_fail_prefix(err, e, "%s", name);
	}
	if (!e && trit_interrupts)
		trit_cmd_note("perplexity", "stopped after %d chunks; the estimate is of these", result.n_chunks);
	if (!e)
		print_result(o, &result);
	trit_tokens_release(&tokens);
	trit_model_close(model);
	return e;
}

int trit_cmd_perplexity(int argc, char **argv)
{
	struct perplexity_options o;
	struct trit_error err;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (measure(&o, &err))
		return trit_out_finish("perplexity", trit_cmd_fail("perplexity", &err));
	return trit_out_finish("perplexity", trit_interrupts ? 130 : 0);
}
