/*
 * hf_vocab.c - vocabulary, special tokens and chat template of a Hugging Face folder.
 *
 * Which token ends a text is said in several places. What generation stops at (generation_config.json, config.json)
 * goes first; the tokenizer's own eos_token (tokenizer_config.json) is then the end of a turn, if it is another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/hf_vocab.h"

#include "base/file.h"
#include "base/mem.h"
#include "format/json_file.h"
#include "format/vocab_file.h"

enum { PATH_BYTES = 4096, MAX_TEMPLATE_BYTES = 1 << 20 };

/* FOLDER/NAME; false when it is too long or there is no such file. */
static bool find_file(const char *folder, const char *name, char path[PATH_BYTES])
{
	return snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES && trit_path_kind(path) == 0;
}

#ifdef TRIT_HAVE_JANSSON

struct reader {
	struct trit_vocab *v;
	const char *folder;
	struct trit_notes *notes;
	struct trit_error *err;
};

/* The object in a file; NULL when it is not there, or none. */
static json_t *load(const struct reader *r, const char *name)
{
	char path[PATH_BYTES];
	struct trit_error why;
	json_t *root = NULL;
	if (!find_file(r->folder, name, path))
		return NULL;
	if (trit_json_read(&root, path, &why))
		trit_note(r->notes, TRIT_NOTE_WARNING, "%s is left out: %s", name, why.message);
	return root;
}

/* A token's number, if the vocabulary has it. */
static trit_token token_of(const struct reader *r, const char *file, const char *key, const json_t *v)
{
	json_int_t id = json_integer_value(v);
	if (!json_is_integer(v))
		return -1;
	if (id >= 0 && id < r->v->n_tokens)
		return (trit_token)id;
	trit_note(r->notes, TRIT_NOTE_WARNING, "%s: \"%s\" is %lld, but there are %d tokens", file, key, (long long)id,
	          r->v->n_tokens);
	return -1;
}

/* The token with this text: "</s>", or {"content": "</s>"}. */
static trit_token token_by_text(const struct reader *r, const json_t *v)
{
	const char *text = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
	size_t len = text ? strlen(text) : 0;
	for (int i = 0; i < r->v->n_tokens && len; i++)
		if (r->v->pieces[i].len == len && !memcmp(r->v->pieces[i].text, text, len))
			return i;
	return -1;
}

static void set_end(struct trit_vocab *v, trit_token id)
{
	if (id >= 0 && id != v->eos)
		v->eot = id;
}

/* bos, eos and pad by number. The second of several ends is that of a turn. False: no end is told. */
static bool read_ids(const struct reader *r, const char *file, const json_t *root)
{
	const json_t *eos = json_object_get(root, "eos_token_id");
	const json_t *first = json_is_array(eos) ? json_array_get(eos, 0) : eos;
	trit_token bos = token_of(r, file, "bos_token_id", json_object_get(root, "bos_token_id"));
	trit_token pad = token_of(r, file, "pad_token_id", json_object_get(root, "pad_token_id"));
	trit_token end = token_of(r, file, "eos_token_id", first);
	r->v->bos = bos >= 0 ? bos : r->v->bos;
	r->v->pad = pad >= 0 ? pad : r->v->pad;
	if (end < 0)
		return false;
	r->v->eos = end;
	for (size_t i = 1; i < json_array_size(eos); i++)
		set_end(r->v, token_of(r, file, "eos_token_id", json_array_get(eos, i)));
	if (json_array_size(eos) > 2)
		trit_note(r->notes, TRIT_NOTE_FOUND, "%s: %zu tokens end a text; the first and the last are used", file,
		          json_array_size(eos));
	return true;
}

static int set_template(const struct reader *r, size_t len, const char *text)
{
	char *copy = len ? trit_strndup(text, len) : NULL;
	if (!len)
		return TRIT_OK;
	if (!copy)
		return trit_fail(r->err, TRIT_ERR_MEMORY, "not enough memory for the chat template");
	trit_free(r->v->chat_template);
	r->v->chat_template = copy;
	return TRIT_OK;
}

/* A text, or a list of {"name", "template"}, of which the default one counts. */
static int read_template(const struct reader *r, const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *one = json_array_get(v, i);
		const char *name = json_string_value(json_object_get(one, "name"));
		if (name && !strcmp(name, "default"))
			return read_template(r, json_object_get(one, "template"));
	}
	return json_is_string(v) ? set_template(r, json_string_length(v), json_string_value(v)) : TRIT_OK;
}

/* Special tokens by their texts. */
static void read_texts(const struct reader *r, const json_t *root, bool have_end)
{
	struct trit_vocab *v = r->v;
	trit_token bos = token_by_text(r, json_object_get(root, "bos_token"));
	trit_token eos = token_by_text(r, json_object_get(root, "eos_token"));
	trit_token pad = token_by_text(r, json_object_get(root, "pad_token"));
	trit_token unk = token_by_text(r, json_object_get(root, "unk_token"));
	v->bos = bos >= 0 ? bos : v->bos;
	v->pad = pad >= 0 ? pad : v->pad;
	v->unk = unk >= 0 ? unk : v->unk;
	if (have_end)
		set_end(v, v->eot < 0 ? eos : -1);
	else if (eos >= 0)
		v->eos = eos;
}

static int read_tokenizer_config(const struct reader *r, const json_t *root)
{
	struct trit_vocab *v = r->v;
	if (json_is_boolean(json_object_get(root, "add_bos_token")))
		v->add_bos = json_is_true(json_object_get(root, "add_bos_token")) && v->bos >= 0;
	if (json_is_boolean(json_object_get(root, "add_eos_token")))
		v->add_eos = json_is_true(json_object_get(root, "add_eos_token")) && v->eos >= 0;
	return read_template(r, json_object_get(root, "chat_template"));
}

/* Tokens that were added to a vocabulary which is in a file without them. */
static void note_added(const struct reader *r, json_t *root)
{
	size_t missing = 0;
	const char *text;
	json_t *id;
	json_object_foreach(root, text, id)
		missing += json_is_integer(id) && json_integer_value(id) >= r->v->n_tokens;
	if (missing)
		trit_note(r->notes, TRIT_NOTE_WARNING,
		          "added_tokens.json: %zu tokens are not in the vocabulary and are left out; save the tokenizer with "
		          "transformers, which writes tokenizer.json", missing);
}

/* A file with nothing but the template goes before the one in tokenizer_config.json. */
static int read_template_file(const struct reader *r)
{
	char path[PATH_BYTES];
	struct trit_error why;
	struct trit_buf text;
	int e = TRIT_OK;
	if (!find_file(r->folder, "chat_template.jinja", path))
		return TRIT_OK;
	trit_buf_init(&text, MAX_TEMPLATE_BYTES);
	if (trit_file_read(&text, path, &why))
		trit_note(r->notes, TRIT_NOTE_WARNING, "chat_template.jinja is left out: %s", why.message);
	else
		e = set_template(r, text.len, text.data);
	trit_buf_release(&text);
	return e;
}

int trit_hf_apply_specials(struct trit_vocab *v, const char *folder, struct trit_notes *notes, struct trit_error *err)
{
	static const char *const with_ids[] = { "config.json", "generation_config.json" };
	struct reader r = { .v = v, .folder = folder, .notes = notes, .err = err };
	bool have_end = false;
	json_t *root;
	int e = TRIT_OK;
	for (size_t i = 0; i < 2; i++) {
		if ((root = load(&r, with_ids[i])))
			have_end = read_ids(&r, with_ids[i], root) || have_end;
		json_decref(root);
	}
	if ((root = load(&r, "added_tokens.json")))
		note_added(&r, root);
	json_decref(root);
	if ((root = load(&r, "special_tokens_map.json")))
		read_texts(&r, root, have_end);
	json_decref(root);
	if ((root = load(&r, "tokenizer_config.json"))) {
		read_texts(&r, root, have_end);
		e = read_tokenizer_config(&r, root);
	}
	json_decref(root);
	return e ? e : read_template_file(&r);
}

#else

int trit_hf_apply_specials(struct trit_vocab *v, const char *folder, struct trit_notes *notes, struct trit_error *err)
{
	(void)v, (void)folder, (void)err;
	trit_note(notes, TRIT_NOTE_WARNING, "this build cannot read JSON: special tokens and chat template are left out");
	return TRIT_OK;
}

#endif

int trit_hf_read_vocab(struct trit_vocab *v, bool *found, const char *folder, struct trit_notes *notes,
                       struct trit_error *err)
{
	static const char *const names[] = { "tokenizer.json", "tokenizer.model", "tiktoken.model", "qwen.tiktoken",
		                             "vocab.json",     "encoder.json",    "tokenizer.bin",  "vocab.txt",
		                             "vocab.gguf" };
	char path[PATH_BYTES];
	struct trit_error why;
	int e = TRIT_OK;
	*found = false;
	for (size_t i = 0; i < sizeof names / sizeof names[0] && !*found; i++) {
		if (!find_file(folder, names[i], path))
			continue;
		int status = trit_vocab_file_read(path, v, &why);
		*found = !status;
		if (status && !e) { /* of several that cannot be read the first is reported */
			e = status;
			if (err)
				*err = why;
		} else if (e && !status) {
			trit_note(notes, TRIT_NOTE_FOUND, "the vocabulary is that of %s", names[i]);
		}
	}
	return *found ? trit_hf_apply_specials(v, folder, notes, err) : e;
}
