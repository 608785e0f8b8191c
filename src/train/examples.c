/*
 * examples.c - reads records, renders them, marks what is to be learnt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trit.h"

#include "train/examples.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "format/json_records.h"
#include "format/json_value.h"

#define MAX_RECORD_TOKENS ((size_t)1 << 26)

struct maker {
	const struct trit_example_options *o;
	struct trit_example_counts *counts;
	struct trit_encoder *encoder;
	struct trit_tokens tokens, part; /* the example; a part of it */
	bool *loss;                      /* [loss_cap] of the example's tokens */
	size_t loss_cap;
	struct trit_heap heap;           /* of the record */
	struct trit_value record;
	unsigned flags;                  /* enum trit_tokenize_flags, of its texts */
};

/* ---- tokens of an example ---------------------------------------------------------------------------------------- */

/* Appends tokens of `part` from `from` on. */
static int take_part(struct maker *m, size_t from, bool learn, struct trit_error *err)
{
	size_t need = m->tokens.len + m->part.len - from;
	if (need > m->loss_cap) {
		size_t cap = need + need / 2;
		bool *loss = trit_realloc(m->loss, m->loss_cap * sizeof *loss, cap, sizeof *loss);
		if (!loss)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an example of %zu tokens", need);
		m->loss = loss;
		m->loss_cap = cap;
	}
	for (size_t i = from; i < m->part.len; i++) {
		int e = trit_tokens_append(&m->tokens, m->part.data[i], err);
		if (e)
			return e;
		m->loss[m->tokens.len - 1] = learn;
	}
	return TRIT_OK;
}

/* Appends what stands in `text` from byte `from` on. The tokens are those of the text as a whole where that begins with
 * the tokens so far; where a token would span the border, those of the new part by itself. */
static int append_text(struct maker *m, struct trit_string text, size_t from, bool learn, struct trit_error *err)
{
	size_t n = m->tokens.len;
	m->part.len = 0;
	int e = trit_encode_marked(m->encoder, text.len, text.bytes, text.marks, m->flags, &m->part, err);
	if (e)
		return e;
	if (m->part.len >= n && (n == 0 || !memcmp(m->part.data, m->tokens.data, n * sizeof *m->part.data)))
		return take_part(m, n, learn, err);
	m->part.len = 0;
	text = trit_string_part(text, from, text.len);
	e = trit_encode_marked(m->encoder, text.len, text.bytes, text.marks, m->flags & ~(unsigned)TRIT_TOKENIZE_BOS,
	                       &m->part, err);
	return e ? e : take_part(m, 0, learn, err);
}

static int append_token(struct maker *m, trit_token token, bool learn, struct trit_error *err)
{
	m->part.len = 0;
	int e = trit_tokens_append(&m->part, token, err);
	return e ? e : take_part(m, 0, learn, err);
}

/* The turn that ends where the example does now, and began at token `from`, is learnt up to its end token. False: it
 * has none. */
static bool end_turn(struct maker *m, size_t from, bool learn)
{
	size_t end = m->tokens.len;
	while (end > from && !trit_is_end_token(m->o->tokenizer, m->tokens.data[end - 1]))
		end--;
	if (end == from)
		return false;
	for (size_t i = end; learn && i < m->tokens.len; i++)
		m->loss[i] = false;
	return true;
}

static int append_eos(struct maker *m, bool learn, struct trit_error *err)
{
	const struct trit_vocab *v = trit_tokenizer_vocab(m->o->tokenizer);
	trit_token end = v->eos >= 0 ? v->eos : v->eot;
	return end < 0 ? TRIT_OK : append_token(m, end, learn, err);
}

/* ---- members of records ------------------------------------------------------------------------------------------ */

static struct trit_value member(struct maker *m, struct trit_value dict, const char *name)
{
	struct trit_pair *p = NULL;
	if (dict.kind == TRIT_VALUE_DICT)
		p = trit_value_find(&m->heap, dict, trit_value_of(trit_string_c(name)));
	return p ? p->value : trit_value_undefined(trit_string_c(name));
}

static bool has_text(struct maker *m, struct trit_value dict, const char *name)
{
	return member(m, dict, name).kind == TRIT_VALUE_STRING;
}

/* The text of a message: a string, or a list of parts with texts. */
static int content_text(struct maker *m, struct trit_value content, struct trit_value *out, struct trit_error *err)
{
	struct trit_text t = { .heap = &m->heap };
	*out = content;
	if (content.kind == TRIT_VALUE_STRING || content.kind == TRIT_VALUE_NONE ||
	    content.kind == TRIT_VALUE_UNDEFINED)
		return TRIT_OK;
	for (size_t i = 0; content.kind == TRIT_VALUE_LIST && i < content.list->n; i++) {
		struct trit_value part = member(m, content.list->items[i], "text");
		if (part.kind != TRIT_VALUE_STRING)
			return trit_fail(err, TRIT_ERR_FORMAT, "part %zu of a message's content has no \"text\"", i + 1);
		trit_text_add(&t, part.string);
	}
	if (content.kind != TRIT_VALUE_LIST)
		return trit_fail(err, TRIT_ERR_FORMAT, "a message's content is neither a text nor a list of parts");
	*out = trit_value_of(trit_text_string(&t));
	return TRIT_OK;
}

/* The role that a name in a record means; NULL: none. */
static const char *role_of(struct trit_string name)
{
	static const struct {
		const char *name, *role;
	} roles[] = { { "system", "system" },       { "developer", "system" }, { "user", "user" },
		          { "human", "user" },          { "prompter", "user" },    { "assistant", "assistant" },
		          { "gpt", "assistant" },       { "chatgpt", "assistant" }, { "bing", "assistant" },
		          { "bard", "assistant" },      { "model", "assistant" },  { "tool", "tool" },
		          { "function", "tool" },       { "observation", "tool" } };
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (trit_string_is(name, roles[i].name))
			return roles[i].role;
	return NULL;
}

static void add_message(struct maker *m, struct trit_value messages, const char *role, struct trit_value content)
{
	struct trit_value message = trit_value_dict(&m->heap, TRIT_VALUE_DICT);
	trit_value_set(&m->heap, message, "role", trit_value_of(trit_string_c(role)));
	trit_value_set(&m->heap, message, "content", content);
	trit_value_append(&m->heap, messages, message);
}

/* Appends the messages of a record's list, in either of two forms, checked. */
static int add_messages(struct maker *m, struct trit_value messages, struct trit_value list, struct trit_error *err)
{
	if (list.kind != TRIT_VALUE_LIST)
		return trit_fail(err, TRIT_ERR_FORMAT, "the messages are not a list");
	for (size_t i = 0; i < list.list->n; i++) {
		struct trit_value from = list.list->items[i], role = member(m, from, "role"), content;
		bool shared = role.kind == TRIT_VALUE_UNDEFINED; /* ShareGPT's names */
		if (shared)
			role = member(m, from, "from");
		const char *name = role.kind == TRIT_VALUE_STRING ? role_of(role.string) : NULL;
		if (role.kind != TRIT_VALUE_STRING)
			return trit_fail(err, TRIT_ERR_FORMAT, "message %zu has neither \"role\" nor \"from\"", i + 1);
		if (!name)
			return trit_fail(err, TRIT_ERR_FORMAT, "message %zu: role \"%.*s\"; known are system, user, assistant, "
			                 "tool and human, gpt", i + 1, (int)(role.string.len < 32 ? role.string.len : 32),
			                 role.string.bytes);
		int e = content_text(m, member(m, from, shared ? "value" : "content"), &content, err);
		if (e)
			return trit_fail_prefix(err, e, "message %zu", i + 1);
		bool calls = member(m, from, "tool_calls").kind == TRIT_VALUE_LIST;
		if (content.kind != TRIT_VALUE_STRING && !calls)
			return trit_fail(err, TRIT_ERR_FORMAT, "message %zu has no \"%s\"", i + 1, shared ? "value" : "content");
		if (shared) {
			add_message(m, messages, name, content);
			continue;
		}
		trit_value_set(&m->heap, from, "role", trit_value_of(trit_string_c(name))); /* a name is not from outside */
		if (content.kind == TRIT_VALUE_STRING)
			trit_value_set(&m->heap, from, "content", content);
		trit_value_append(&m->heap, messages, from);
	}
	return TRIT_OK;
}

/* ---- conversations ----------------------------------------------------------------------------------------------- */

static int render(struct maker *m, struct trit_value messages, size_t n, bool prompt, struct trit_string *out,
                  struct trit_error *err)
{
	struct trit_list first = { messages.list->items, n, n };
	struct trit_value view = { .kind = TRIT_VALUE_LIST, .list = &first };
	const struct trit_chat_options o = { .add_generation_prompt = prompt, .tools = member(m, m->record, "tools"),
		                                 .more = member(m, m->record, "chat_template_kwargs"), .now = m->o->now };
	return trit_chat_render(m->o->chat, trit_tokenizer_vocab(m->o->tokenizer), &m->heap, view, &o, out, err);
}

static bool begins_with(struct trit_string s, struct trit_string with)
{
	return s.len >= with.len && (with.len == 0 || !memcmp(s.bytes, with.bytes, with.len));
}

static bool is_answer(struct maker *m, struct trit_value message)
{
	struct trit_value role = member(m, message, "role");
	return role.kind == TRIT_VALUE_STRING && trit_string_is(role.string, "assistant");
}

static int unstable(const struct maker *m, size_t message, struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_ARG,
	                 "%s writes what is before the answer in message %zu differently once the answer or more messages "
	                 "follow, so it cannot be told what the answer is; choose another with --chat-template, or split "
	                 "the conversations so that each ends with the answer to learn and take --loss last",
	                 m->o->chat->origin, message + 1);
}

/* One answer, message i: what comes before it, and it. *done: what has been rendered so far. */
static int add_answer(struct maker *m, struct trit_value messages, size_t i, bool learn, struct trit_string *done,
                      bool *ended, struct trit_error *err)
{
	struct trit_string prompt, whole;
	int e;
	if ((e = render(m, messages, i, true, &prompt, err)) || (e = render(m, messages, i + 1, false, &whole, err)))
		return e;
	if (!begins_with(whole, prompt) || !begins_with(prompt, *done))
		return unstable(m, i, err);
	bool all = m->o->loss == TRIT_LOSS_ALL;
	if ((e = append_text(m, prompt, done->len, all, err)))
		return e;
	size_t from = m->tokens.len;
	if ((e = append_text(m, whole, prompt.len, learn, err)))
		return e;
	*ended = end_turn(m, from, learn && !all);
	*done = whole;
	return TRIT_OK;
}

static int add_conversation(struct maker *m, struct trit_value messages, struct trit_error *err)
{
	struct trit_string done = { 0 };
	size_t last = messages.kind == TRIT_VALUE_LIST ? messages.list->n : 0;
	bool ended = true;
	int e = TRIT_OK;
	while (last > 0 && !is_answer(m, messages.list->items[last - 1]))
		last--;
	if (!last)
		return trit_fail(err, TRIT_ERR_FORMAT, "no message of the role assistant, so there is nothing to learn");
	if (!m->o->chat->jinja)
		return trit_fail(err, TRIT_ERR_ARG, "the model has no chat template to write conversations with; choose one "
		                 "with --chat-template (alpaca, chatml, plain ...), which the result keeps");
	for (size_t i = 0; i < last && !e && m->tokens.len <= m->o->max_tokens; i++) {
		struct trit_value weight = member(m, messages.list->items[i], "weight");
		bool learn = !(trit_value_is_number(weight) && trit_value_number(weight) == 0);
		if (!is_answer(m, messages.list->items[i]) || (m->o->loss == TRIT_LOSS_LAST && i + 1 < last))
			continue;
		e = add_answer(m, messages, i, learn || m->o->loss == TRIT_LOSS_ALL, &done, &ended, err);
		m->counts->endless += !e && !ended;
	}
	return e || ended ? e : append_eos(m, true, err);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int add_plain(struct maker *m, struct trit_string prompt, struct trit_string text, struct trit_error *err)
{
	struct trit_text whole = { .heap = &m->heap };
	int e = TRIT_OK;
	trit_text_add(&whole, prompt);
	trit_text_add(&whole, text);
	m->flags = TRIT_TOKENIZE_BOS;
	if (prompt.len)
		e = append_text(m, prompt, 0, m->o->loss == TRIT_LOSS_ALL, err);
	if (!e)
		e = append_text(m, trit_text_string(&whole), prompt.len, true, err);
	return e ? e : append_eos(m, true, err);
}

/* Alpaca's form as a conversation. */
static int add_instruction(struct maker *m, struct trit_error *err)
{
	struct trit_value messages = trit_value_list(&m->heap, TRIT_VALUE_LIST), input = member(m, m->record, "input");
	struct trit_text user = { .heap = &m->heap };
	trit_text_add(&user, member(m, m->record, "instruction").string);
	if (input.kind == TRIT_VALUE_STRING && input.string.len) {
		trit_text_add_c(&user, "\n\n");
		trit_text_add(&user, input.string);
	}
	if (has_text(m, m->record, "system") && member(m, m->record, "system").string.len)
		add_message(m, messages, "system", member(m, m->record, "system"));
	add_message(m, messages, "user", trit_value_of(trit_text_string(&user)));
	add_message(m, messages, "assistant", member(m, m->record, "output"));
	return add_conversation(m, messages, err);
}

static int add_record(struct maker *m, struct trit_error *err)
{
	struct trit_value messages, r = m->record, prompt = member(m, r, "prompt"), completion = member(m, r, "completion");
	static const char *const lists[] = { "messages", "conversations", "conversation" };
	int e;
	if (r.kind != TRIT_VALUE_DICT)
		return trit_fail(err, TRIT_ERR_FORMAT, "not a JSON object");
	messages = trit_value_list(&m->heap, TRIT_VALUE_LIST);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (member(m, r, lists[i]).kind == TRIT_VALUE_LIST) {
			e = add_messages(m, messages, member(m, r, lists[i]), err);
			return e ? e : add_conversation(m, messages, err);
		}
	if (has_text(m, r, "instruction") && has_text(m, r, "output"))
		return add_instruction(m, err);
	if (completion.kind == TRIT_VALUE_UNDEFINED)
		completion = member(m, r, "response");
	if (prompt.kind == TRIT_VALUE_LIST && completion.kind == TRIT_VALUE_LIST) {
		if ((e = add_messages(m, messages, prompt, err)) || (e = add_messages(m, messages, completion, err)))
			return e;
		return add_conversation(m, messages, err);
	}
	if (prompt.kind == TRIT_VALUE_STRING && completion.kind == TRIT_VALUE_STRING)
		return add_plain(m, prompt.string, completion.string, err);
	if (has_text(m, r, "text"))
		return add_plain(m, trit_string_c(""), member(m, r, "text").string, err);
	return trit_fail(err, TRIT_ERR_FORMAT,
	                 "a record of no known form: it needs \"messages\", \"conversations\", \"instruction\" and "
	                 "\"output\", \"prompt\" and \"completion\", or \"text\"");
}

/* Hands the example out, cut to the window. */
static int hand_out(struct maker *m, uint64_t key, trit_example_fn *fn, void *arg, struct trit_error *err)
{
	size_t n = m->tokens.len, learnt = 0;
	if (n > m->o->max_tokens)
		n = m->o->max_tokens;
	if (n)
		m->loss[0] = false;
	while (n && !m->loss[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		learnt += m->loss[i];
	if (!learnt) {
		m->counts->too_long++;
		return TRIT_OK;
	}
	m->counts->cut += m->tokens.len > m->o->max_tokens;
	m->counts->examples++;
	m->counts->tokens += n;
	m->counts->learnt += learnt;
	return fn(arg, n, m->tokens.data, m->loss, key, err);
}

static int make_example(struct maker *m, size_t len, const char *text, struct trit_error *err)
{
	m->tokens.len = 0;
	m->flags = TRIT_TOKENIZE_SPECIAL;
	trit_heap_init(&m->heap, TRIT_JINJA_MAX_MEMORY, 8 * (uint64_t)TRIT_JINJA_MAX_STEPS);
	int e = trit_json_value(&m->heap, len, text, true, &m->record, err);
	if (!e)
		e = add_record(m, err);
	if (!e && m->heap.status < 0) {
		e = m->heap.status;
		if (err)
			*err = m->heap.err;
	}
	trit_heap_release(&m->heap);
	return e;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int each_record(struct maker *m, const char *path, trit_example_fn *fn, void *arg, struct trit_error *err)
{
	struct trit_map map;
	struct trit_error problem;
	const char *text;
	size_t len;
	int e = trit_map_open(&map, path, err);
	if (e)
		return e;
	struct trit_json_records c;
	uint64_t before = m->counts->done;
	trit_json_records_init(&c, map.size, (const char *)map.data);
	while (!e && trit_json_records_next(&c, &text, &len)) {
		e = make_example(m, len, text, &problem);
		m->counts->done = before + (uint64_t)(text - (const char *)map.data);
		if (!e) {
			e = hand_out(m, trit_hash_bytes(0, text, len), fn, arg, err);
		} else if (m->o->skip_bad && e != TRIT_ERR_MEMORY && e != TRIT_ERR_UNSUPPORTED) {
			if (!m->counts->bad++)
				trit_fail(&m->counts->first_bad, (enum trit_status)e, "%s:%llu: %s", path, (unsigned long long)c.line,
				          problem.message);
			e = TRIT_OK;
		} else {
			e = trit_fail(err, (enum trit_status)e, "%s:%llu: %s", path, (unsigned long long)c.line, problem.message);
		}
	}
	m->counts->done = before + map.size;
	trit_map_close(&map);
	return e;
}

static int count_bytes(size_t n_paths, char *const *paths, uint64_t *bytes, struct trit_error *err)
{
	for (size_t i = 0; i < n_paths; i++) {
		struct trit_map map;
		int e = trit_map_open(&map, paths[i], err);
		if (e)
			return e;
		*bytes += map.size;
		trit_map_close(&map);
	}
	return TRIT_OK;
}

int trit_examples_each(size_t n_paths, char *const *paths, const struct trit_example_options *o, trit_example_fn *fn,
                       void *arg, struct trit_example_counts *counts, struct trit_error *err)
{
	struct maker m = { .o = o, .counts = counts };
	*counts = (struct trit_example_counts){ 0 };
	trit_tokens_init(&m.tokens, MAX_RECORD_TOKENS);
	trit_tokens_init(&m.part, MAX_RECORD_TOKENS);
	int e = count_bytes(n_paths, paths, &counts->bytes, err);
	if (!e)
		e = trit_encoder_new(&m.encoder, o->tokenizer, err);
	for (size_t i = 0; i < n_paths && !e; i++)
		e = each_record(&m, paths[i], fn, arg, err);
	trit_encoder_free(m.encoder);
	trit_tokens_release(&m.tokens);
	trit_tokens_release(&m.part);
	trit_free(m.loss);
	if (!e && !counts->examples)
		e = trit_fail(err, TRIT_ERR_LIMIT, "%s%s: no example to learn from (%llu records that could not be used, %llu "
		              "with nothing to learn within %zu tokens; a larger --seq-len takes longer ones)%s%s", paths[0],
		              n_paths > 1 ? " and the others" : "", (unsigned long long)counts->bad,
		              (unsigned long long)counts->too_long, o->max_tokens, counts->bad ? "; the first: " : "",
		              counts->bad ? counts->first_bad.message : "");
	return e;
}
