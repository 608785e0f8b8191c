/*
 * chat.h - conversations as text: which template a model's are written with, and what it makes of them.
 *
 * A template is the model's own (text/jinja), one of the built-in ones by name, or one that the user gives. Known to be
 * wrong and replaced: the one in the official GGUF files of BitNet b1.58 2B4T.
 *
 * The rendered text has marks (text/value.h): bytes that came with the messages are 1, those of the template and its
 * special tokens 0. trit_encode_marked makes tokens of it in which no message can be a control token.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_CHAT_H
#define TRIT_TEXT_CHAT_H

#include "text/jinja.h"
#include "text/vocab.h"

/** Built-in templates: a name's Jinja text, or NULL; and all names, NULL-terminated. */
const char *trit_chat_builtin(const char *name);
extern const char *const trit_chat_names[];

struct trit_chat_template {
	struct trit_jinja *jinja; /* NULL: there is none, the model is not for conversations */
	char *source;             /* its text */
	char origin[80];          /* "the model's", "built-in chatml", "the file NAME" */
	const char *note;         /* what the user should know about it, or NULL */
};

/** Chooses and parses: `wanted` is a built-in name, a file, or a template's text; NULL or "": the vocabulary's. v may
 * be NULL. Errors: ARG (wanted is none of these), IO, and those of trit_jinja_new, prefixed by the origin. */
TRIT_MUST_CHECK int trit_chat_open(struct trit_chat_template *t, const struct trit_vocab *v, const char *wanted,
                                   struct trit_error *err);
void trit_chat_close(struct trit_chat_template *t);

/** Appends {"role": role, "content": content} to a list of messages, the content marked. */
void trit_chat_add(struct trit_heap *h, struct trit_value messages, const char *role, size_t len, const char *content);

struct trit_chat_options {
	bool add_generation_prompt; /* end with what begins an answer */
	struct trit_value tools;    /* a list, or undefined */
	struct trit_value more;     /* a dict of further variables (enable_thinking ...), or undefined */
	int64_t now;                /* seconds since 1970, for templates that say the date */
};

/** Renders messages, a list of dicts in h. `v` (may be NULL) has the special tokens that templates name. Errors: as
 * trit_jinja_render. */
TRIT_MUST_CHECK int trit_chat_render(const struct trit_chat_template *t, const struct trit_vocab *v,
                                     struct trit_heap *h, struct trit_value messages,
                                     const struct trit_chat_options *o, struct trit_string *out,
                                     struct trit_error *err);

#endif
