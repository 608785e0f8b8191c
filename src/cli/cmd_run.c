/*
 * cmd_run.c - trit run: text that follows a prompt.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>
#include <unistd.h>

#include "cli/generate.h"

#include "base/file.h"
#include "base/mem.h"
#include "run/tokens.h"

#define MAX_PROMPT_BYTES ((size_t)64 << 20)

struct run_options {
	const char *model, *prompt, *file;
	struct trit_model_options open;
	int n_predict, n_ctx, n_threads, n_batch, kv_type;
	bool echo, special;
	struct trit_generate_options generate;
	uint64_t clock_seed;
};

/* Reads the options; fills `o`. Returns -1 or an exit status. */
static int parse(struct run_options *o, int argc, char **argv)
{
	*o = (struct run_options){ .n_predict = 256, .echo = true, .generate = trit_generate_defaults() };
	o->clock_seed = o->generate.sampler.seed;
	struct trit_opt options[] = {
		TRIT_ROW_MODEL(o->model),
		{ 'p', "prompt", TRIT_OPT_STRING, &o->prompt, .metavar = "TEXT", .help = "what to continue" },
		{ 'f', "file", TRIT_OPT_STRING, &o->file, .metavar = "FILE",
		  .help = "the prompt from a file; -: from standard input, which is also "
		          "read when there is neither -p nor -f and it is no terminal" },
		{ 'n', "predict,n-predict", TRIT_OPT_INT, &o->n_predict, .min = -1, .max = INT_MAX, .metavar = "N",
		  .help = "tokens to write; -1: until the text ends or the context is full" },
		{ 'c', "ctx-size", TRIT_OPT_INT, &o->n_ctx, .max = INT_MAX, .metavar = "N",
		  .help = "context: room for prompt and text together, in tokens", .shown = "the model's" },
		{ 0, "no-echo", TRIT_OPT_UNFLAG, &o->echo, .help = "print what follows the prompt only, not the prompt" },
		{ 0, "special", TRIT_OPT_FLAG, &o->special,
		  .help = "read <|endoftext|> and the like in the prompt as special tokens" },
		{ 0, "ignore-eos", TRIT_OPT_FLAG, &o->generate.ignore_end, .help = "do not let the model end the text" },
		TRIT_ROWS_SAMPLING(o->generate),
		{ .type = TRIT_OPT_HEADING, .help = "Computing" },
		TRIT_ROW_THREADS(o->n_threads),
		TRIT_ROW_BATCH(o->n_batch),
		TRIT_ROW_KV_TYPE(o->kv_type),
		TRIT_ROWS_OPEN(o->open),
	};
	struct trit_opt_table table = {
		.command = "run",
		.usage = "-m FILE [-p TEXT | -f FILE] [OPTIONS]",
		.about = "Writes the prompt and the text that the model lets follow it to standard output, token by token;\n"
		         "everything else goes to standard error. One newline at the end of a prompt from a file or a pipe\n"
		         "is dropped. Ctrl-C stops.",
		.options = options,
		.n_options = TRIT_N(options),
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if (o->prompt && o->file)
		return trit_opt_error(&table, "both --prompt and --file: give one of them");
	if (!o->prompt && !o->file && isatty(STDIN_FILENO))
		return trit_opt_error(&table, "no prompt: give -p TEXT or -f FILE, or pipe it in");
	o->open.n_threads = o->n_threads;
	return -1;
}

/* The prompt's bytes. */
static int read_prompt(struct trit_buf *text, const struct run_options *o, struct trit_error *err)
{
	if (o->prompt)
		return trit_buf_append(text, strlen(o->prompt), o->prompt, err);
	const char *name = o->file ? o->file : "-";
	int e = trit_file_read(text, name, err);
	if (!e)
		e = trit_utf8_require(strcmp(name, "-") ? name : "standard input", text->len, text->data, err);
	if (!e && text->len && text->data[text->len - 1] == '\n')
		text->len--;
	return e;
}

/* The prompt's tokens: at least one, since a model needs something to go on from. */
static int encode_prompt(struct trit_tokens *tokens, const struct trit_model *model, const struct trit_buf *text,
                         bool special, struct trit_error *err)
{
	unsigned flags = TRIT_TOKENIZE_BOS | (special ? TRIT_TOKENIZE_SPECIAL : 0);
	int e = trit_tokenize_append(model, text->len, text->data ? text->data : "", flags, tokens, err);
	if (e || tokens->len)
		return e;
	trit_token start = trit_token_bos(model) >= 0 ? trit_token_bos(model) : trit_token_eos(model);
	if (start < 0)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "the prompt is empty and the model has no token that begins a text; give -p TEXT");
	return trit_tokens_append(tokens, start, err);
}

static int new_session(struct trit_session **session, const struct trit_model *model, const struct run_options *o,
                       size_t n_prompt, struct trit_error *err)
{
	struct trit_session_options so = { .n_ctx = o->n_ctx, .n_threads = o->n_threads, .n_batch = o->n_batch,
		                          .kv_type = (enum trit_kv_type)o->kv_type };
	size_t n_trained = (size_t)trit_model_context_length(model), n_ctx = o->n_ctx ? (size_t)o->n_ctx : n_trained;
	if (n_prompt > n_ctx && n_ctx <= n_trained)
		return trit_fail(err, TRIT_ERR_LIMIT, "the prompt has %zu tokens, the context %zu: shorten it%s",
		                 n_prompt, n_ctx, n_prompt <= n_trained ? " or raise -c" : "");
	/* No more memory than prompt and text can use. */
	if (o->n_ctx == 0 && o->n_predict >= 0 && n_prompt + (size_t)o->n_predict < n_trained)
		so.n_ctx = (int)n_prompt + o->n_predict;
	return trit_session_new(session, model, &so, err);
}

/* Prints up to n_predict tokens. */
static int generate(struct trit_generator *g, const struct run_options *o, struct trit_error *err)
{
	int token = -1;
	for (int n = 0; n != o->n_predict && !trit_interrupts && trit_out_alive(); n++) {
		if (n > 0 && trit_session_length(g->session) == trit_session_capacity(g->session)) {
			trit_cmd_note("run", "the context of %d tokens is full", trit_session_capacity(g->session));
			break;
		}
		token = trit_generator_next(g, token, err);
		if (token < 0)
			return token;
		if (trit_token_is_end(g->model, token))
			break;
		trit_generator_print(g, token);
	}
	return TRIT_OK;
}

static int run(const struct run_options *o, struct trit_error *err)
{
	struct trit_model *model = NULL;
	struct trit_session *session = NULL;
	struct trit_generator g = { 0 };
	struct trit_buf text;
	struct trit_tokens tokens;
	trit_buf_init(&text, MAX_PROMPT_BYTES);
	trit_tokens_init(&tokens, MAX_PROMPT_BYTES + 2);

	int e = read_prompt(&text, o, err);
	if (!e)
		e = trit_cmd_open("run", &model, o->model, &o->open, err);
	if (!e)
		e = encode_prompt(&tokens, model, &text, o->special, err);
	if (!e)
		e = new_session(&session, model, o, tokens.len, err);
	if (!e)
		e = trit_generator_init(&g, model, session, &o->generate, err);
	if (!e) {
		trit_interrupt_catch(); /* until here Ctrl-C ends the program at once */
		if (o->generate.sampler.seed == o->clock_seed && o->generate.sampler.temperature > 0)
			fprintf(stderr, "trit run: seed %llu\n", (unsigned long long)o->clock_seed);
		if (o->echo)
			trit_generator_echo(&g, text.len, text.data);
		e = trit_generator_feed(&g, tokens.len, tokens.data, err);
		if (!e)
			e = generate(&g, o, err);
		trit_generator_end_line(&g);
		trit_generator_report(&g);
	}
	trit_generator_release(&g);
	trit_model_close(model);
	trit_tokens_release(&tokens);
	trit_buf_release(&text);
	return e;
}

int trit_cmd_run(int argc, char **argv)
{
	struct run_options o;
	struct trit_error err;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (run(&o, &err))
		return trit_out_finish("run", trit_cmd_fail("run", &err));
	return trit_out_finish("run", trit_interrupts ? 130 : 0);
}
