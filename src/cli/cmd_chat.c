/*
 * cmd_chat.c - trit chat: a conversation in one session.
 *
 * With a chat template the whole conversation is rendered for each answer, and the session goes back to where its
 * tokens differ from what it holds: mostly to the end of the last answer. When the context is full the oldest messages
 * are forgotten. Without one the model is no chat model, and each line just continues the text so far; when the context
 * is full the older half of the text is forgotten: the session is rewound to the tokens that begin it (BOS) and fed the
 * newer half again. So it is also in the middle of an answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>

#include "cli/dialogue.h"
#include "cli/generate.h"
#include "cli/line.h"

#include "base/mem.h"
#include "run/tokens.h"

#define MAX_LINE_BYTES ((size_t)1 << 20)
#define MAX_TOKENS ((size_t)1 << 26)

struct chat {
	struct trit_model *model;
	struct trit_generator g;
	struct trit_generate_options generate;
	int n_predict;

	struct trit_tokens held;  /* what the session holds, in order */
	trit_token pending;       /* chosen last but not fed yet, or -1 */
	size_t answer_at;         /* where in `held` the last answer begins; 0: there is none */
	struct trit_buf answer;   /* its text */

	struct trit_chat_template template; /* jinja NULL: the model is not for chat */
	struct trit_dialogue dialogue;      /* what was said, with a template */
	size_t n_given;                     /* messages that were there before the first line: the system prompt */
};

struct chat_options {
	const char *model, *template, *system;
	bool show;
	struct trit_model_options open;
	int n_predict, n_ctx, n_threads, n_batch, kv_type;
	struct trit_generate_options generate;
};

static int parse(struct chat_options *o, int argc, char **argv)
{
	*o = (struct chat_options){ .n_predict = 256, .generate = trit_generate_defaults() };
	struct trit_opt options[] = {
		TRIT_ROW_MODEL(o->model),
		{ 'n', "predict,n-predict", TRIT_OPT_INT, &o->n_predict, .min = -1, .max = INT_MAX, .metavar = "N",
		  .help = "longest answer, in tokens; -1: any length" },
		{ 'c', "ctx-size", TRIT_OPT_INT, &o->n_ctx, .max = INT_MAX, .metavar = "N",
		  .help = "context: tokens of the conversation that are remembered", .shown = "the model's" },
		{ 0, "system-prompt,system", TRIT_OPT_STRING, &o->system, .metavar = "TEXT",
		  .help = "what the model is told before the conversation" },
		{ 0, "chat-template", TRIT_OPT_STRING, &o->template, .metavar = "NAME",
		  .help = "how the conversation is written: a file or text in Jinja, or a built-in name: "
		          "alpaca, bitnet, chatml, falcon3, gemma, llama2, llama3, mistral, plain, "
		          "qwen, smollm2, stablelm, zephyr", .shown = "the model's own" },
		{ 0, "show-template", TRIT_OPT_FLAG, &o->show, .help = "print the chat template, and end" },
		TRIT_ROWS_SAMPLING(o->generate),
		{ .type = TRIT_OPT_HEADING, .help = "Computing" },
		TRIT_ROW_THREADS(o->n_threads),
		TRIT_ROW_BATCH(o->n_batch),
		TRIT_ROW_KV_TYPE(o->kv_type),
		TRIT_ROWS_OPEN(o->open),
	};
	struct trit_opt_table table = {
		.command = "chat",
		.usage = "-m FILE [OPTIONS]",
		.about = "Answers line by line. Answers go to standard output, everything else to standard error.\n"
		         "Ctrl-C stops an answer; Ctrl-D, or Ctrl-C twice, ends. /help lists commands. A model without a\n"
		         "chat template continues the text that the lines make; an empty line lets it go on.",
		.options = options,
		.n_options = TRIT_N(options),
	};
	int status = trit_opt_parse(&table, argc, argv);
	o->open.n_threads = o->n_threads;
	return status;
}

/* ---- what the session holds -------------------------------------------------------------------------------------- */

/* Feeds tokens[n] and notes them in `held`. When Ctrl-C stops it, or it fails, all is as before. */
static int feed(struct chat *c, size_t n, const trit_token *tokens, struct trit_error *err)
{
	size_t before = c->held.len;
	int e = TRIT_OK;
	for (size_t i = 0; i < n && !e; i++)
		e = trit_tokens_append(&c->held, tokens[i], err);
	if (!e)
		e = trit_generator_feed(&c->g, n, tokens, err);
	if (e || trit_interrupts) {
		trit_session_rewind(c->g.session, (int)before);
		c->held.len = before;
	}
	return e;
}

static int fail_too_long(const struct chat *c, size_t n, struct trit_error *err)
{
	size_t capacity = (size_t)trit_session_capacity(c->g.session);
	return trit_fail(err, TRIT_ERR_LIMIT, "%zu tokens at once do not fit the context of %zu: write less%s", n, capacity,
	                 capacity < (size_t)trit_model_context_length(c->model) ? " or raise -c" : "");
}

/* Makes room for n more tokens, by forgetting if need be. */
static int make_room(struct chat *c, size_t n, struct trit_error *err)
{
	size_t capacity = (size_t)trit_session_capacity(c->g.session), begin = 0;
	if (c->held.len + n <= capacity)
		return TRIT_OK;
	if (c->held.len && c->held.data[0] == trit_token_bos(c->model))
		begin = 1;
	if (begin + n > capacity)
		return fail_too_long(c, n, err);
	size_t drop = (c->held.len - begin) / 2, needed = c->held.len + n - capacity;
	drop = drop > needed ? drop : needed;
	trit_cmd_note("chat", "the context of %zu tokens is full; forgetting the oldest %zu", capacity, drop);

	size_t keep = c->held.len - begin - drop;
	memmove(c->held.data + begin, c->held.data + begin + drop, keep * sizeof *c->held.data);
	c->held.len = begin + keep;
	c->answer_at = c->answer_at > begin + drop ? c->answer_at - drop : 0;
	trit_session_rewind(c->g.session, (int)begin);
	return keep ? trit_session_feed(c->g.session, keep, c->held.data + begin, err) : TRIT_OK;
}

/* ---- a turn ------------------------------------------------------------------------------------------------------ */

/* Without a chat template: appends the tokens that a line of the user's adds to the text, the pending one first. */
static int encode_line(struct chat *c, const struct trit_buf *line, struct trit_tokens *out, struct trit_error *err)
{
	struct trit_buf text;
	unsigned bos = c->held.len ? 0 : TRIT_TOKENIZE_BOS;
	bool after_end = c->pending >= 0 && trit_token_is_end(c->model, c->pending);
	trit_buf_init(&text, MAX_LINE_BYTES + 64);

	int e = c->pending >= 0 ? trit_tokens_append(out, c->pending, err) : TRIT_OK;
	/* A line of its own; an empty line is no line but "go on". */
	if (!e)
		e = trit_buf_printf(&text, err, "%s", c->held.len && !after_end && line->len ? "\n" : "");
	if (!e)
		e = trit_buf_append(&text, line->len, line->data ? line->data : "", err);
	if (!e)
		e = trit_tokenize_append(c->model, text.len, text.data ? text.data : "", bos, out, err);
	trit_buf_release(&text);
	return e;
}

/* With one: the tokens of the whole conversation, the oldest messages forgotten if it does not fit. */
static int encode_dialogue(struct chat *c, struct trit_tokens *out, struct trit_error *err)
{
	size_t capacity = (size_t)trit_session_capacity(c->g.session), before = c->dialogue.n;
	int e = trit_dialogue_tokens(&c->dialogue, out, err);
	while (!e && out->len >= capacity && trit_dialogue_forget(&c->dialogue))
		e = trit_dialogue_tokens(&c->dialogue, out, err);
	if (!e && c->dialogue.n < before)
		trit_cmd_note("chat", "the context of %zu tokens is full; forgetting the oldest %zu messages", capacity,
		              before - c->dialogue.n);
	return !e && out->len > capacity ? fail_too_long(c, out->len, err) : e;
}

/* Brings the session to hold exactly these tokens: those it has at the beginning already are not computed again. */
static int hold(struct chat *c, const struct trit_tokens *tokens, struct trit_error *err)
{
	size_t same = 0;
	while (same < c->held.len && same + 1 < tokens->len && c->held.data[same] == tokens->data[same])
		same++;
	c->held.len = same;
	trit_session_rewind(c->g.session, (int)same);
	return feed(c, tokens->len - same, tokens->data + same, err);
}

/* Writes an answer; the session has logits. */
static int answer(struct chat *c, struct trit_error *err)
{
	int e = TRIT_OK;
	c->pending = -1;
	c->answer_at = c->held.len;
	trit_generator_begin_text(&c->g);
	for (int n = 0; n != c->n_predict && !trit_interrupts && trit_out_alive(); n++) {
		if (c->pending >= 0) {
			e = make_room(c, 1, err);
			if (!e)
				e = trit_tokens_append(&c->held, c->pending, err);
		}
		int token = e ? e : trit_generator_next(&c->g, c->pending, err);
		if (token < 0) {
			c->held.len = (size_t)trit_session_length(c->g.session);
			e = token;
			break;
		}
		c->pending = token;
		if (trit_token_is_end(c->model, token))
			break;
		trit_generator_print(&c->g, token);
		size_t len;
		const char *bytes = trit_token_bytes(c->model, token, &len);
		if (c->template.jinja && (e = trit_buf_append(&c->answer, len, bytes, err)))
			break;
	}
	trit_generator_end_line(&c->g);
	trit_generator_report(&c->g);
	return e;
}

/* Without a chat template: goes on after a line. */
static int go_on(struct chat *c, const struct trit_buf *line, struct trit_error *err)
{
	struct trit_tokens tokens;
	trit_tokens_init(&tokens, MAX_TOKENS);
	int e = encode_line(c, line, &tokens, err);
	if (!e && tokens.len == 0)
		goto out; /* an empty line to a model that begins texts with nothing */
	if (!e)
		e = make_room(c, tokens.len, err);
	if (!e)
		e = feed(c, tokens.len, tokens.data, err);
	if (!e && !trit_interrupts)
		e = answer(c, err);
out:
	trit_tokens_release(&tokens);
	return e;
}

/* With one: answers the last message. */
static int reply(struct chat *c, struct trit_error *err)
{
	struct trit_tokens tokens;
	trit_tokens_init(&tokens, MAX_TOKENS);
	int e = encode_dialogue(c, &tokens, err);
	if (!e)
		e = hold(c, &tokens, err);
	trit_tokens_release(&tokens);
	if (e || trit_interrupts)
		return e;
	trit_buf_reset(&c->answer);
	e = answer(c, err);
	int added = trit_dialogue_add(&c->dialogue, "assistant", c->answer.len, c->answer.data ? c->answer.data : "",
	                              e ? NULL : err);
	return e ? e : added;
}

static int say(struct chat *c, const struct trit_buf *line, struct trit_error *err)
{
	if (!c->template.jinja)
		return go_on(c, line, err);
	if (line->len == 0)
		return TRIT_OK;
	size_t before = c->dialogue.n;
	int e = trit_dialogue_add(&c->dialogue, "user", line->len, line->data, err);
	if (!e)
		e = reply(c, err);
	if (c->dialogue.n == before + 1) /* not answered: as if it had not been said */
		trit_dialogue_cut(&c->dialogue, before);
	return e;
}

static int regenerate(struct chat *c, struct trit_error *err)
{
	if (c->answer_at == 0) {
		trit_cmd_note("chat", "there is no answer to write again");
		return TRIT_OK;
	}
	if (c->template.jinja) {
		size_t n = c->dialogue.n - 1;
		trit_dialogue_cut(&c->dialogue, n);
		int e = reply(c, err);
		if (c->dialogue.n == n) { /* no answer now: its question goes too */
			trit_dialogue_cut(&c->dialogue, n - 1);
			c->answer_at = 0;
		}
		return e;
	}
	/* Going back loses the logits; the last token before the answer brings them back. */
	trit_token last = c->held.data[c->answer_at - 1];
	c->held.len = c->answer_at - 1;
	trit_session_rewind(c->g.session, (int)c->held.len);
	int e = feed(c, 1, &last, err);
	return e || trit_interrupts ? e : answer(c, err);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static void forget_all(struct chat *c)
{
	trit_session_rewind(c->g.session, 0);
	c->held.len = 0;
	c->pending = -1;
	c->answer_at = 0;
	trit_dialogue_cut(&c->dialogue, c->n_given);
}

/* What a line that begins with '/' asks for. Sets *done at /exit. */
static int command(struct chat *c, const char *line, bool *done, struct trit_error *err)
{
	static const char *const names[] = { "/exit", "/quit", "/clear", "/regen", "/help" };
	if (strcmp(line, "/exit") == 0 || strcmp(line, "/quit") == 0) {
		*done = true;
	} else if (strcmp(line, "/clear") == 0) {
		forget_all(c);
	} else if (strcmp(line, "/regen") == 0) {
		return regenerate(c, err);
	} else if (strcmp(line, "/help") == 0) {
		fprintf(stderr, "  /clear   forget the conversation\n"
		                "  /regen   write the last answer again\n"
		                "  /exit    end (also Ctrl-D)\n"
		                "  Ctrl-C   stop an answer\n");
	} else {
		const char *nearest = trit_nearest_word(line, names, TRIT_N(names));
		trit_cmd_note("chat", "unknown command %.40s%s%s%s; /help lists all", line, nearest ? "; did you mean " : "",
		              nearest ? nearest : "", nearest ? "?" : "");
	}
	return TRIT_OK;
}

/* Reads and answers until the end. A turn that fails is reported and, when a person is there, the next one read. */
static int converse(struct chat *c, struct trit_line_reader *reader, struct trit_error *err)
{
	struct trit_buf line;
	bool done = false, warned = false, person = trit_line_reader_is_terminal(reader);
	int e = TRIT_OK;
	trit_buf_init(&line, MAX_LINE_BYTES);
	while (!done && trit_out_alive() && !trit_terminated) {
		if (e)
			trit_cmd_fail("chat", err);
		e = TRIT_OK;
		trit_interrupt_reset();
		int got = trit_line_read(reader, &line, err);
		if (got == TRIT_LINE_END || (got == TRIT_LINE_INTERRUPT && (warned || !person)) || trit_terminated)
			break;
		warned = got == TRIT_LINE_INTERRUPT;
		if (warned) {
			fprintf(stderr, "\n(Ctrl-C again, Ctrl-D or /exit ends)\n");
			continue;
		}
		if (got < 0)
			e = got;
		else if (line.len && line.data[0] == '/')
			e = command(c, line.data, &done, err);
		else
			e = say(c, &line, err);
		if (e && (!person || got < 0))
			break;
	}
	if (person)
		fputc('\n', stderr);
	trit_buf_release(&line);
	return e;
}

/* Chooses the template and puts the system prompt. */
static int choose_form(struct chat *c, const struct chat_options *o, struct trit_error *err)
{
	const struct trit_tokenizer *t = c->model->tokenizer;
	int e = trit_chat_open(&c->template, t ? trit_tokenizer_vocab(t) : NULL, o->template, err);
	if (e)
		return e;
	if (c->template.note)
		trit_cmd_note("chat", "%s", c->template.note);
	if (!c->template.jinja)
		trit_cmd_note("chat", "the model has no chat template; it continues what you write%s",
		              o->system ? ", without the system prompt" : "");
	if (!c->template.jinja || o->show)
		return TRIT_OK;
	if (!t)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "the model file has no vocabulary, so text cannot become tokens");
	e = trit_dialogue_init(&c->dialogue, &c->template, t, err);
	if (!e && o->system)
		e = trit_dialogue_add(&c->dialogue, "system", strlen(o->system), o->system, err);
	c->n_given = c->dialogue.n;
	return e;
}

static void show_template(const struct chat *c)
{
	if (!c->template.source)
		return;
	trit_cmd_note("chat", "%s", c->template.origin);
	trit_out_text(strlen(c->template.source), c->template.source);
	trit_out(1, "\n");
}

static int chat(const struct chat_options *o, struct trit_error *err)
{
	struct chat c = { .n_predict = o->n_predict, .generate = o->generate, .pending = -1 };
	struct trit_session_options so = { .n_ctx = o->n_ctx, .n_threads = o->n_threads, .n_batch = o->n_batch,
		                          .kv_type = (enum trit_kv_type)o->kv_type };
	struct trit_session *session = NULL;
	struct trit_line_reader *reader = NULL;
	trit_tokens_init(&c.held, MAX_TOKENS);

	trit_buf_init(&c.answer, TRIT_MAX_DIALOGUE_BYTES);

	int e = trit_cmd_open("chat", &c.model, o->model, &o->open, err);
	if (!e)
		e = choose_form(&c, o, err);
	if (!e && o->show) {
		show_template(&c);
		goto out;
	}
	if (!e)
		e = trit_session_new(&session, c.model, &so, err);
	if (!e)
		e = trit_generator_init(&c.g, c.model, session, &c.generate, err);
	if (!e)
		e = trit_line_reader_new(&reader, err);
	if (!e) {
		if (trit_line_reader_is_terminal(reader))
			fprintf(stderr, "/help lists commands; Ctrl-C stops an answer; Ctrl-D ends\n");
		trit_interrupt_catch();
		e = converse(&c, reader, err);
	}
out:
	trit_line_reader_free(reader);
	trit_generator_release(&c.g);
	trit_dialogue_release(&c.dialogue);
	trit_chat_close(&c.template);
	trit_buf_release(&c.answer);
	trit_tokens_release(&c.held);
	trit_model_close(c.model);
	return e;
}

int trit_cmd_chat(int argc, char **argv)
{
	struct chat_options o;
	struct trit_error err;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (chat(&o, &err))
		return trit_out_finish("chat", trit_cmd_fail("chat", &err));
	return trit_out_finish("chat", trit_interrupts ? 130 : 0);
}
