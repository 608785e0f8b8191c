/*
 * tokenizer_json_writer.c - writes a vocabulary as tokenizer.json.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "format/tokenizer_json.h"

#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3_PATTERN(digits) \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* What stands before ByteLevel in the pre-tokeniser. */
static const struct family {
	const char *pre;     /* tokenizer.ggml.pre */
	const char *pattern; /* of a Split; NULL: ByteLevel's own */
	bool digits, ignore_merges;
} families[] = {
	{ "", NULL, false, false },
	{ "gpt-2", NULL, false, false },
	{ "llama-bpe", LLAMA3_PATTERN("\\p{N}{1,3}"), false, true },
	{ "smaug-bpe", LLAMA3_PATTERN("\\p{N}{1,3}"), false, false },
	{ "qwen2", LLAMA3_PATTERN("\\p{N}"), false, false },
	{ "smollm", NULL, true, false },
};

static const struct family *find_family(const char *pre)
{
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		if (!strcmp(families[i].pre, pre))
			return &families[i];
	return NULL;
}

/* ---- added tokens ------------------------------------------------------------------------------------------------ */

static bool is_added(const struct trit_piece *p)
{
	return p->type == TRIT_TOKEN_CONTROL || p->type == TRIT_TOKEN_USER || p->type == TRIT_TOKEN_UNKNOWN;
}

static void put_added(struct trit_json *j, const struct trit_vocab *v)
{
	trit_json_begin(j, "added_tokens", '[');
	for (int i = 0; i < v->n_tokens; i++) {
		const struct trit_piece *p = &v->pieces[i];
		if (!is_added(p))
			continue;
		trit_json_begin(j, NULL, '{');
		trit_json_int(j, "id", i);
		trit_json_text(j, "content", p->len, p->text);
		trit_json_bool(j, "single_word", false);
		trit_json_bool(j, "lstrip", false);
		trit_json_bool(j, "rstrip", false);
		trit_json_bool(j, "normalized", false);
		trit_json_bool(j, "special", p->type != TRIT_TOKEN_USER);
		trit_json_end(j, '}');
	}
	trit_json_end(j, ']');
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

static void put_byte_level(struct trit_json *j, const char *key, bool regex)
{
	trit_json_begin(j, key, '{');
	trit_json_string(j, "type", "ByteLevel");
	trit_json_bool(j, "add_prefix_space", false);
	trit_json_bool(j, "trim_offsets", true);
	trit_json_bool(j, "use_regex", regex);
	trit_json_end(j, '}');
}

static void put_pre_tokenizer(struct trit_json *j, const struct family *f)
{
	if (!f->pattern && !f->digits) {
		put_byte_level(j, "pre_tokenizer", true);
		return;
	}
	trit_json_begin(j, "pre_tokenizer", '{');
	trit_json_string(j, "type", "Sequence");
	trit_json_begin(j, "pretokenizers", '[');
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "type", f->digits ? "Digits" : "Split");
	if (f->digits) {
		trit_json_bool(j, "individual_digits", true);
	} else {
		trit_json_begin(j, "pattern", '{');
		trit_json_string(j, "Regex", f->pattern);
		trit_json_end(j, '}');
		trit_json_string(j, "behavior", "Isolated");
		trit_json_bool(j, "invert", false);
	}
	trit_json_end(j, '}');
	put_byte_level(j, NULL, f->digits);
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

static void put_template_special(struct trit_json *j, const struct trit_vocab *v, trit_token id, int type)
{
	trit_json_begin(j, NULL, '{');
	trit_json_begin(j, "SpecialToken", '{');
	trit_json_text(j, "id", v->pieces[id].len, v->pieces[id].text);
	trit_json_int(j, "type_id", type);
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

static void put_template_sequence(struct trit_json *j, const char *name, int type)
{
	trit_json_begin(j, NULL, '{');
	trit_json_begin(j, "Sequence", '{');
	trit_json_string(j, "id", name);
	trit_json_int(j, "type_id", type);
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

/* One text, or two: each with its BOS and EOS. */
static void put_template(struct trit_json *j, const char *key, const struct trit_vocab *v, int texts)
{
	static const char *const names[] = { "A", "B" };
	trit_json_begin(j, key, '[');
	for (int i = 0; i < texts; i++) {
		if (v->add_bos && v->bos >= 0)
			put_template_special(j, v, v->bos, i);
		put_template_sequence(j, names[i], i);
		if (v->add_eos && v->eos >= 0)
			put_template_special(j, v, v->eos, i);
	}
	trit_json_end(j, ']');
}

static void put_template_id(struct trit_json *j, const struct trit_vocab *v, trit_token id)
{
	char name[TRIT_MAX_TOKEN_BYTES + 1];
	const struct trit_piece *p = &v->pieces[id];
	memcpy(name, p->text, p->len);
	name[p->len] = 0;
	trit_json_begin(j, name, '{');
	trit_json_string(j, "id", name);
	trit_json_begin(j, "ids", '[');
	trit_json_int(j, NULL, id);
	trit_json_end(j, ']');
	trit_json_begin(j, "tokens", '[');
	trit_json_string(j, NULL, name);
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

static void put_post_processor(struct trit_json *j, const struct trit_vocab *v)
{
	bool bos = v->add_bos && v->bos >= 0, eos = v->add_eos && v->eos >= 0;
	if (!bos && !eos) {
		put_byte_level(j, "post_processor", true);
		return;
	}
	trit_json_begin(j, "post_processor", '{');
	trit_json_string(j, "type", "TemplateProcessing");
	put_template(j, "single", v, 1);
	put_template(j, "pair", v, 2);
	trit_json_begin(j, "special_tokens", '{');
	if (bos)
		put_template_id(j, v, v->bos);
	if (eos && (!bos || v->eos != v->bos))
		put_template_id(j, v, v->eos);
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

/* ---- model ------------------------------------------------------------------------------------------------------- */

static void put_model(struct trit_json *j, const struct trit_vocab *v, const struct family *f)
{
	trit_json_begin(j, "model", '{');
	trit_json_string(j, "type", "BPE");
	trit_json_null(j, "dropout");
	trit_json_null(j, "unk_token");
	trit_json_null(j, "continuing_subword_prefix");
	trit_json_null(j, "end_of_word_suffix");
	trit_json_bool(j, "fuse_unk", false);
	trit_json_bool(j, "byte_fallback", false);
	trit_json_bool(j, "ignore_merges", f->ignore_merges);
	trit_json_begin(j, "vocab", '{');
	for (int i = 0; i < v->n_tokens; i++)
		if (!is_added(&v->pieces[i]))
			trit_json_entry(j, v->pieces[i].len, v->pieces[i].text, i);
	trit_json_end(j, '}');
	trit_json_begin(j, "merges", '[');
	for (int i = 0; i < v->n_merges; i++)
		trit_json_text(j, NULL, v->merges[i].len, v->merges[i].text);
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

void trit_tokenizer_json_put(struct trit_json *j, const struct trit_vocab *v)
{
	const struct family *f = find_family(v->pre);
	if (j->status)
		return;
	if (strcmp(v->model, "gpt2") != 0 || !f) {
		j->status = trit_fail(j->err, TRIT_ERR_UNSUPPORTED,
		                      "tokenizer model \"%s\" with pre-tokenizer \"%s\" cannot be written so", v->model,
		                      v->pre);
		return;
	}
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "version", "1.0");
	trit_json_null(j, "truncation");
	trit_json_null(j, "padding");
	put_added(j, v);
	trit_json_null(j, "normalizer");
	put_pre_tokenizer(j, f);
	put_post_processor(j, v);
	put_byte_level(j, "decoder", true);
	put_model(j, v, f);
	trit_json_end(j, '}');
}
