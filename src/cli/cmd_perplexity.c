/*
 * cmd_perplexity.c - trit perplexity: how well a model predicts a text; rule and output are llama-perplexity's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>
#include <math.h>

#include "cli/cmd.h"
#include "cli/run_shards.h"

#include "base/clock.h"
#include "base/file.h"
#include "eval/perplexity.h"
#include "run/tokens.h"

#define MAX_TEXT_BYTES ((size_t)4 << 30)

enum { OUTPUT_TEXT, OUTPUT_JSON };

struct perplexity_options {
	const char *model, *file, *shards;
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
		{ 'f', "file", TRIT_OPT_STRING, &o->file, .metavar = "FILE", .help = "the text; -: standard input" },
		{ 0, "shards", TRIT_OPT_STRING, &o->shards, .metavar = "DIR",
		  .help = "instead of a text the validation tokens of a training run, measured as it "
		          "measures them: windows of its sequence length, every token scored" },
		{ 'c', "ctx-size", TRIT_OPT_INT, &o->measure.n_ctx, .min = 4, .max = INT_MAX, .metavar = "N",
		  .help = "tokens a chunk; the second half of each is scored",
		  .shown = "512 or the model's context if that is less; of a run's --shards the run's" },
		{ 0, "chunks", TRIT_OPT_INT, &o->measure.n_chunks, .min = 1, .max = INT_MAX, .metavar = "N",
		  .help = "measure the first N chunks only", .shown = "all; of --shards as many as the run, 256" },
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
		.usage = "-m FILE -f TEXT|--shards DIR [-c N] [OPTIONS]",
		.about = "Cuts the text into chunks of N tokens and measures how well the model predicts the second half\n"
		         "of each from all that stands before it in the chunk, as llama-perplexity does. Prints the running\n"
		         "value after each chunk and the final estimate with its standard error; with -o json one JSON\n"
		         "object instead.",
		.options = options,
		.n_options = TRIT_N(options),
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status < 0 && !o->file == !o->shards)
		status = trit_opt_error(&table, "give one of --file and --shards");
	o->open.n_threads = o->measure.n_threads;
	return status;
}

static bool progress(void *arg, const struct trit_perplexity *so_far, int n_chunks)
{
	struct perplexity_options *o = arg;
	double now = trit_clock(), per_chunk = (now - o->start) / so_far->n_chunks;
	if (isnan(so_far->nll))
		return false; /* and it stays so */
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
	trit_out_json(strlen(o->file ? o->file : o->shards), o->file ? o->file : o->shards);
	trit_outf("}\n");
}

/* The measurement of tokens that are there, after the model is. */
static int measure_tokens(struct perplexity_options *o, const struct trit_model *model, size_t n_tokens,
                          const trit_token *tokens, struct trit_error *err)
{
	struct trit_perplexity result;
	size_t length = (size_t)o->measure.n_ctx + o->measure.windows, n = n_tokens / length;
	if (o->measure.n_chunks && (size_t)o->measure.n_chunks < n)
		n = (size_t)o->measure.n_chunks;
	if ((o->measure.windows || n_tokens / 2 >= length) && o->measure.n_ctx <= trit_model_context_length(model))
		fprintf(stderr, "perplexity: calculating perplexity over %zu chunks, n_ctx=%d, batch_size=%d, n_seq=1\n", n,
		        o->measure.n_ctx, o->measure.n_batch);
	trit_interrupt_catch();
	o->start = trit_clock();
	o->measure.kv_type = (enum trit_kv_type)o->kv_type;
	o->measure.progress = progress;
	o->measure.arg = o;
	int e = trit_perplexity_measure(&result, model, n_tokens, tokens, &o->measure, err);
	if (e)
		return e;
	if (isnan(result.nll))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: a prediction is not a number; trit doctor %s says whether its weights are", o->model,
		                 o->model);
	if (trit_interrupts)
		trit_cmd_note("perplexity", "stopped after %d chunks; the estimate is of these", result.n_chunks);
	print_result(o, &result);
	return TRIT_OK;
}

static int measure_shards(struct perplexity_options *o, struct trit_error *err)
{
	struct trit_model *model = NULL;
	struct trit_run_shards s = { .seq_len = o->measure.n_ctx, .n_windows = o->measure.n_chunks };
	trit_token *tokens = NULL;
	float *weights = NULL;
	int e = trit_cmd_open("perplexity", &model, o->model, &o->open, err);
	if (!e)
		e = trit_run_shards_open(&s, o->shards, model, err);
	if (!e) {
		size_t n = (size_t)s.n_windows, length = (size_t)s.seq_len;
		tokens = trit_calloc(n, (length + 1) * sizeof *tokens);
		weights = trit_calloc(n, length * sizeof *weights);
		if (!tokens || !weights)
			e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu windows", n);
		else
			trit_data_val(&s.data, 0, s.n_windows, tokens, weights);
		o->measure.n_ctx = s.seq_len;
		o->measure.windows = true;
		o->measure.weights = weights;
		if (!e && !(e = trit_data_check(&s.data, err)))
			e = measure_tokens(o, model, n * (length + 1), tokens, err);
	}
	trit_free(tokens);
	trit_free(weights);
	trit_run_shards_release(&s);
	trit_model_close(model);
	return e;
}

static int measure(struct perplexity_options *o, struct trit_error *err)
{
	struct trit_model *model = NULL;
	struct trit_buf text;
	struct trit_tokens tokens;
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
		e = measure_tokens(o, model, tokens.len, tokens.data, err);
		if (e == TRIT_ERR_ARG)
			e = trit_fail_prefix(err, e, "%s", name);
	}
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
	if (o.shards ? measure_shards(&o, &err) : measure(&o, &err))
		return trit_out_finish("perplexity", trit_cmd_fail("perplexity", &err));
	return trit_out_finish("perplexity", trit_interrupts ? 130 : 0);
}
