/*
 * chat.c - conversations as text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "base/mem.h"
#include "text/chat.h"

/* The converter that made the official GGUF files of BitNet b1.58 2B4T wrote a template with this name in it, in which
 * the model was never trained: it does not stop. The model's own repository has the one that is built in. */
#define WRONG_BITNET "BITNETAssistant"

static bool is_wrong(const char *source)
{
	return strstr(source, WRONG_BITNET) != NULL;
}

/* The text of a template and where it is from. */
static int choose(struct trit_chat_template *t, const struct trit_vocab *v, const char *wanted, struct trit_error *err)
{
	const char *source = NULL;
	struct trit_buf file;
	int status = 0;

	trit_buf_init(&file, TRIT_JINJA_MAX_SOURCE);
	if (!wanted || !wanted[0]) {
		source = v ? v->chat_template : NULL;
		snprintf(t->origin, sizeof t->origin, "the model's chat template");
		if (source && is_wrong(source)) {
			source = trit_chat_builtin("bitnet");
			snprintf(t->origin, sizeof t->origin, "built-in bitnet");
			t->note = "the file's chat template (\"Human: ... " WRONG_BITNET ":\") is not the one that this model was "
			          "trained with; using the built-in bitnet";
		}
	} else if (trit_chat_builtin(wanted)) {
		source = trit_chat_builtin(wanted);
		snprintf(t->origin, sizeof t->origin, "built-in %s", wanted);
	} else if (strstr(wanted, "{%") || strstr(wanted, "{{")) {
		source = wanted;
		snprintf(t->origin, sizeof t->origin, "the given chat template");
	} else if (trit_path_kind(wanted) < 0) {
		return trit_fail(err, TRIT_ERR_ARG,
		                 "chat template \"%.100s\": not the name of a built-in one (such as chatml, llama3 or "
		                 "bitnet), not a file, and no Jinja text", wanted);
	} else {
		status = trit_file_read(&file, wanted, err);
		source = file.data ? file.data : "";
		snprintf(t->origin, sizeof t->origin, "%.70s", wanted);
	}
	if (status == 0 && source) {
		t->source = trit_strndup(source, strlen(source));
		if (!t->source)
			status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the chat template");
	}
	trit_buf_release(&file);
	return status;
}

int trit_chat_open(struct trit_chat_template *t, const struct trit_vocab *v, const char *wanted, struct trit_error *err)
{
	int status;

	*t = (struct trit_chat_template){ 0 };
	status = choose(t, v, wanted, err);
	if (status == 0 && t->source) {
		status = trit_jinja_new(&t->jinja, strlen(t->source), t->source, err);
		if (status < 0)
			trit_fail_prefix(err, status, "%s", t->origin);
	}
	if (status < 0)
		trit_chat_close(t);
	return status;
}

void trit_chat_close(struct trit_chat_template *t)
{
	if (!t)
		return;
	trit_jinja_free(t->jinja);
	trit_free(t->source);
	*t = (struct trit_chat_template){ 0 };
}

void trit_chat_add(struct trit_heap *h, struct trit_value messages, const char *role, size_t len, const char *content)
{
	struct trit_value message = trit_value_dict(h, TRIT_VALUE_DICT);

	trit_value_set(h, message, "role", trit_value_string(h, strlen(role), role, false));
	trit_value_set(h, message, "content", trit_value_string(h, len, content, true));
	trit_value_append(h, messages, message);
}

static void set_token(struct trit_heap *h, struct trit_value variables, const char *name, const struct trit_vocab *v,
                      trit_token id)
{
	if (id >= 0 && id < v->n_tokens)
		trit_value_set(h, variables, name, trit_value_string(h, v->pieces[id].len, v->pieces[id].text, false));
}

/* What transformers hands to a template. */
static struct trit_value make_variables(struct trit_heap *h, const struct trit_vocab *v, struct trit_value messages,
                                        const struct trit_chat_options *o)
{
	struct trit_value all = trit_value_dict(h, TRIT_VALUE_DICT), none = trit_value_none();

	trit_value_set(h, all, "messages", messages);
	trit_value_set(h, all, "tools", o->tools.kind == TRIT_VALUE_UNDEFINED ? none : o->tools);
	trit_value_set(h, all, "documents", none);
	trit_value_set(h, all, "add_generation_prompt", trit_value_bool(o->add_generation_prompt));
	if (v) {
		set_token(h, all, "bos_token", v, v->bos);
		set_token(h, all, "eos_token", v, v->eos);
		set_token(h, all, "unk_token", v, v->unk);
		set_token(h, all, "pad_token", v, v->pad);
	}
	if (o->more.kind == TRIT_VALUE_DICT)
		for (size_t i = 0; i < o->more.dict->n && h->status == 0; i++)
			trit_value_put(h, all, o->more.dict->items[i].key, o->more.dict->items[i].value);
	return all;
}

int trit_chat_render(const struct trit_chat_template *t, const struct trit_vocab *v, struct trit_heap *h,
                     struct trit_value messages, const struct trit_chat_options *o, struct trit_string *out,
                     struct trit_error *err)
{
	int status;

	if (!t->jinja)
		return trit_fail(err, TRIT_ERR_ARG, "the model has no chat template; choose one with --chat-template");
	status = trit_jinja_render(t->jinja, h, make_variables(h, v, messages, o), o->now, out, err);
	return status < 0 ? trit_fail_prefix(err, status, "%s", t->origin) : 0;
}
