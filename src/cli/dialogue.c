/*
 * dialogue.c - the messages of a conversation.
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>

#include "cli/cmd.h"
#include "cli/dialogue.h"

#include "base/mem.h"

int trit_dialogue_init(struct trit_dialogue *d, const struct trit_chat_template *chat,
                       const struct trit_tokenizer *tokenizer, struct trit_error *err)
{
	*d = (struct trit_dialogue){ .chat = chat, .tokenizer = tokenizer };
	return trit_encoder_new(&d->encoder, tokenizer, err);
}

void trit_dialogue_release(struct trit_dialogue *d)
{
	trit_dialogue_cut(d, 0);
	trit_free(d->messages);
	trit_encoder_free(d->encoder);
	*d = (struct trit_dialogue){ 0 };
}

int trit_dialogue_add(struct trit_dialogue *d, const char *role, size_t len, const char *text, struct trit_error *err)
{
	if (d->n == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 16;
		struct trit_message *messages =
			trit_realloc(d->messages, d->cap * sizeof *messages, cap, sizeof *messages);
		if (!messages)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu messages", cap);
		d->messages = messages;
		d->cap = cap;
	}
	struct trit_message *m = &d->messages[d->n];
	m->role = role;
	trit_buf_init(&m->text, TRIT_MAX_DIALOGUE_BYTES);
	int e = trit_buf_append(&m->text, len, text, err);
	d->n += !e;
	return e;
}

void trit_dialogue_cut(struct trit_dialogue *d, size_t n)
{
	while (d->n > n)
		trit_buf_release(&d->messages[--d->n].text);
}

bool trit_dialogue_forget(struct trit_dialogue *d)
{
	size_t first = d->n > 0 && strcmp(d->messages[0].role, "system") == 0, count = 1;
	if (first + 1 >= d->n)
		return false;
	while (first + count + 1 < d->n && strcmp(d->messages[first + count].role, "user") != 0)
		count++;
	for (size_t i = 0; i < count; i++)
		trit_buf_release(&d->messages[first + i].text);
	d->n -= count;
	memmove(d->messages + first, d->messages + first + count, (d->n - first) * sizeof *d->messages);
	return true;
}

int trit_encode_rendered(struct trit_encoder *e, struct trit_string text, struct trit_tokens *out,
                         struct trit_error *err)
{
	return trit_encode_marked(e, text.len, text.bytes, text.marks, TRIT_TOKENIZE_SPECIAL, out, err);
}

int trit_dialogue_tokens(struct trit_dialogue *d, struct trit_tokens *out, struct trit_error *err)
{
	const struct trit_chat_options o = { .add_generation_prompt = true, .now = time(NULL) };
	struct trit_heap heap;
	struct trit_string text;
	trit_heap_init(&heap, TRIT_JINJA_MAX_MEMORY, TRIT_JINJA_MAX_STEPS);
	struct trit_value messages = trit_value_list(&heap, TRIT_VALUE_LIST);
	for (size_t i = 0; i < d->n; i++) {
		const struct trit_message *m = &d->messages[i];
		trit_chat_add(&heap, messages, m->role, m->text.len, m->text.data ? m->text.data : "");
	}
	int e = trit_chat_render(d->chat, trit_tokenizer_vocab(d->tokenizer), &heap, messages, &o, &text, err);
	out->len = 0;
	if (!e)
		e = trit_encode_rendered(d->encoder, text, out, err);
	trit_heap_release(&heap);
	return e;
}
