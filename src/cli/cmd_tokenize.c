/*
 * cmd_tokenize.c - trit tokenize: the tokens of a text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>

#include "cli/cmd.h"
#include "cli/dialogue.h"

#include "base/file.h"
#include "format/json_value.h"
#include "format/vocab_file.h"
#include "model/model_file.h"
#include "text/tokenizer.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)

struct tokenize_options {
	const char *model, *tokenizer, *text, *chat, *template;
	bool ids, bos, special;
};

static int parse(struct tokenize_options *o, int argc, char **argv)
{
	*o = (struct tokenize_options){ .bos = true };
	struct trit_opt options[] = {
		{ 'm', "model", TRIT_OPT_STRING, &o->model, .metavar = "FILE",
		  .help = "a GGUF model, a tokenizer.json or a SentencePiece tokenizer.model", .env = "TRIT_MODEL",
		  .required = true },
		{ 0, "ids", TRIT_OPT_FLAG, &o->ids, .help = "print the numbers only, on one line, separated by spaces" },
		{ 0, "no-bos", TRIT_OPT_UNFLAG, &o->bos,
		  .help = "neither begin with BOS nor end with EOS, even if the model asks for it" },
		{ 0, "special", TRIT_OPT_FLAG, &o->special,
		  .help = "read <|endoftext|> and the like in the text as special tokens" },
		{ 0, "chat", TRIT_OPT_STRING, &o->chat, .metavar = "FILE",
		  .help = "the tokens of a conversation: JSON, a list of {\"role\", \"content\"}" },
		{ 0, "chat-template", TRIT_OPT_STRING, &o->template, .metavar = "NAME",
		  .help = "how it is written: see trit chat --help", .shown = "the model's own" },
		TRIT_ROW_TOKENIZER(o->tokenizer),
	};
	struct trit_opt_table table = {
		.command = "tokenize",
		.usage = "-m FILE [OPTIONS] [TEXT]",
		.about = "Prints the tokens of TEXT, or of standard input, byte for byte: a line for each, its number and\n"
		         "its text.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = 1,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status < 0)
		o->text = table.n_args ? table.args[0] : NULL;
	return status;
}

/* 'text' with what would not show as itself escaped. */
static void print_quoted(size_t len, const char *text)
{
	static const char plain[] = "\n\t\r\\'", letters[] = "ntr\\'";
	trit_out(1, "'");
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)text[i];
		int n = trit_utf8_check(len - i, text + i);
		const char *escape = c ? strchr(plain, c) : NULL;
		bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && n == 2 && (unsigned char)text[i + 1] < 0xa0);
		if (n > 0 && !control && !escape) {
			trit_out((size_t)n, text + i);
			i += (size_t)n;
			continue;
		}
		if (escape)
			trit_outf("\\%c", letters[escape - plain]);
		else
			trit_outf("\\x%02x", c);
		i++;
	}
	trit_out(1, "'");
}

static void print_token(const struct trit_tokenizer *tokenizer, trit_token token)
{
	size_t len;
	const char *text = trit_decode_token(tokenizer, token, &len);
	if (len == 0) { /* a special token: its name */
		const struct trit_piece *piece = &trit_tokenizer_vocab(tokenizer)->pieces[token];
		text = piece->text;
		len = piece->len;
	}
	trit_outf("%6d  ", (int)token);
	print_quoted(len, text);
	trit_out(1, "\n");
}

/* The vocabulary alone: weights, if there are any, are not looked at. */
static int open_tokenizer(const struct tokenize_options *o, struct trit_tokenizer **out, struct trit_error *err)
{
	struct trit_model_file file = { 0 };
	int e;
	if (!o->tokenizer && trit_is_vocab_file(o->model)) {
		e = trit_vocab_file_read(o->model, &file.vocab, err);
		file.has_vocab = true;
	} else {
		e = trit_model_file_open(&file, o->model,
		                         &(struct trit_model_file_options){ .tokenizer = o->tokenizer }, err);
	}
	if (e)
		return e;
	if (!file.has_vocab)
		e = trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: has no vocabulary, so text cannot become tokens", o->model);
	else if ((e = trit_tokenizer_new(out, &file.vocab, err)))
		trit_fail_prefix(err, e, "%s", o->tokenizer ? o->tokenizer : o->model);
	trit_model_file_close(&file);
	return e;
}

/* The tokens of a conversation in JSON: a list of messages, or an object with "messages", maybe "tools",
 * "add_generation_prompt" and whatever else the template knows. */
static int encode_chat(const struct tokenize_options *o, const struct trit_tokenizer *tokenizer,
                       struct trit_encoder *encoder, const struct trit_buf *json, struct trit_tokens *tokens,
                       struct trit_error *err)
{
	const struct trit_vocab *v = trit_tokenizer_vocab(tokenizer);
	struct trit_chat_options options = { .add_generation_prompt = true, .now = time(NULL) };
	struct trit_chat_template chat;
	struct trit_value messages;
	struct trit_string text;
	struct trit_heap heap;
	int e = trit_chat_open(&chat, v, o->template, err);
	if (e)
		return e;
	trit_heap_init(&heap, TRIT_JINJA_MAX_MEMORY, TRIT_JINJA_MAX_STEPS);
	if (chat.note)
		trit_cmd_note("tokenize", "%s", chat.note);
	if ((e = trit_json_value(&heap, json->len, json->data ? json->data : "", true, &messages, err)))
		trit_fail_prefix(err, e, "%s", o->chat);
	if (!e && messages.kind == TRIT_VALUE_DICT) {
		struct trit_pair *p = trit_value_find(&heap, messages, trit_value_of(trit_string_c("messages")));
		options.more = messages;
		messages = p ? p->value : trit_value_none();
	}
	if (!e && messages.kind != TRIT_VALUE_LIST)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: a list of messages is expected, or an object that has one", o->chat);
	if (!e && !(e = trit_chat_render(&chat, v, &heap, messages, &options, &text, err)))
		e = trit_encode_rendered(encoder, text, tokens, err);
	trit_heap_release(&heap);
	trit_chat_close(&chat);
	return e;
}

static int tokenize(const struct tokenize_options *o, struct trit_error *err)
{
	struct trit_tokenizer *tokenizer = NULL;
	struct trit_encoder *encoder = NULL;
	struct trit_buf text;
	const char *file = o->chat ? o->chat : "-";
	struct trit_tokens tokens;
	unsigned flags = (o->bos ? TRIT_TOKENIZE_BOS | TRIT_TOKENIZE_EOS : 0) | (o->special ? TRIT_TOKENIZE_SPECIAL : 0);
	trit_buf_init(&text, MAX_TEXT_BYTES);
	trit_tokens_init(&tokens, SIZE_MAX / sizeof(trit_token));

	int e = o->text && !o->chat ? trit_buf_append(&text, strlen(o->text), o->text, err)
	                            : trit_file_read(&text, file, err);
	if (!e)
		e = open_tokenizer(o, &tokenizer, err);
	if (!e)
		e = trit_encoder_new(&encoder, tokenizer, err);
	if (!e && o->chat)
		e = encode_chat(o, tokenizer, encoder, &text, &tokens, err);
	else if (!e)
		e = trit_encode(encoder, text.len, text.data ? text.data : "", flags, &tokens, err);
	for (size_t i = 0; i < tokens.len && !e && trit_out_alive(); i++) {
		if (o->ids)
			trit_outf("%s%d", i ? " " : "", (int)tokens.data[i]);
		else
			print_token(tokenizer, tokens.data[i]);
	}
	if (!e && o->ids)
		trit_out(1, "\n");
	trit_tokens_release(&tokens);
	trit_buf_release(&text);
	trit_encoder_free(encoder);
	trit_tokenizer_free(tokenizer);
	return e;
}

int trit_cmd_tokenize(int argc, char **argv)
{
	struct tokenize_options o;
	struct trit_error err;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (tokenize(&o, &err))
		return trit_out_finish("tokenize", trit_cmd_fail("tokenize", &err));
	return trit_out_finish("tokenize", 0);
}
