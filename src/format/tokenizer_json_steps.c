/*
 * tokenizer_json_steps.c - the normalizer, the pre_tokenizer and the decoder of a tokenizer.json.
 *
 * A step is carried over as it is (text/normal, text/pretok do what the tokenizers library does); then the whole is
 * looked up among the pre-tokenisers that have a name in GGUF files. What would change the tokens and is not known here
 * is an error that names it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>

#include "base/mem.h"
#include "format/base64.h"
#include "format/tokenizer_json_parts.h"
#include "text/normal.h"
#include "text/pretok.h"
#include "text/regex.h"
#include "text/spm_text.h"

#define MAX_DEPTH 8 /* of sequences in sequences */

/* ---- lists of steps --------------------------------------------------------------------------------------------- */

bool trit_json_is_type(const json_t *object, const char *type)
{
	const char *s = json_string_value(json_object_get(object, "type"));

	return s && strcmp(s, type) == 0;
}

const char *trit_json_type_of(const json_t *object)
{
	const char *s = json_string_value(json_object_get(object, "type"));

	return s ? s : "of no type";
}

bool trit_json_is_unused(const json_t *v)
{
	return !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
}

static int list_steps(struct trit_json_steps *out, const json_t *step, int depth, const char *what,
                      struct trit_error *err)
{
	static const char *const lists[] = { "normalizers", "pretokenizers", "decoders", "processors" };
	const json_t *parts = NULL;
	int status = 0;

	if (trit_json_is_unused(step))
		return 0;
	if (depth > MAX_DEPTH || out->n == TRIT_MAX_JSON_STEPS)
		return trit_fail(err, TRIT_ERR_LIMIT, "%s: more than %d steps, or sequences %d deep", what,
		                 TRIT_MAX_JSON_STEPS, MAX_DEPTH);
	if (!trit_json_is_type(step, "Sequence")) {
		out->at[out->n++] = step;
		return 0;
	}
	for (size_t i = 0; i < sizeof lists / sizeof *lists && !parts; i++)
		parts = json_object_get(step, lists[i]);
	for (size_t i = 0; i < json_array_size(parts) && status == 0; i++)
		status = list_steps(out, json_array_get(parts, i), depth + 1, what, err);
	return status;
}

int trit_json_list_steps(struct trit_json_steps *out, const json_t *step, const char *what, struct trit_error *err)
{
	out->n = 0;
	return list_steps(out, step, 1, what, err);
}

static bool has_type(const struct trit_json_steps *s, const char *type)
{
	for (int i = 0; i < s->n; i++)
		if (trit_json_is_type(s->at[i], type))
			return true;
	return false;
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* A member that is true when it is missing. */
static bool true_unless_false(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return !value || json_is_true(value);
}

static int fail_step(const char *what, const json_t *step, const char *why, struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s %.40s%s", what, trit_json_type_of(step), why);
}

/* ---- normalizer ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *type;
	enum trit_normal_kind kind;
} simple_steps[] = {
	{ "NFC", TRIT_NORMAL_NFC },
	{ "NFD", TRIT_NORMAL_NFD },
	{ "NFKC", TRIT_NORMAL_NFKC },
	{ "NFKD", TRIT_NORMAL_NFKD },
	{ "Lowercase", TRIT_NORMAL_LOWERCASE },
	{ "StripAccents", TRIT_NORMAL_STRIP_ACCENTS },
	{ "Nmt", TRIT_NORMAL_NMT },
};

/* Whether a step writes U+2581 for a space, which SentencePiece's vocabularies get in any case. */
static bool escapes_spaces(const json_t *step)
{
	const char *from = string_of(json_object_get(step, "pattern"), "String"), *to = string_of(step, "content");

	return trit_json_is_type(step, "Replace") && from && to && !strcmp(from, " ") && !strcmp(to, TRIT_SPM_SPACE);
}

static int read_replace(struct trit_vocab *v, const json_t *step, struct trit_error *err)
{
	const json_t *pattern = json_object_get(step, "pattern");
	const char *text = string_of(pattern, "String"), *regex = string_of(pattern, "Regex");
	const char *content = string_of(step, "content");

	if (!content || (!text && !regex))
		return trit_fail(err, TRIT_ERR_FORMAT, "normalizer Replace without pattern and content");
	if (text)
		return trit_vocab_add_normal(v, TRIT_NORMAL_REPLACE, text, content, err);
	return trit_vocab_add_normal(v, TRIT_NORMAL_REPLACE_REGEX, regex, content, err);
}

static int read_charsmap(struct trit_vocab *v, const json_t *step, struct trit_error *err)
{
	const json_t *map = json_object_get(step, "precompiled_charsmap");
	size_t len = json_string_length(map);

	if (v->charsmap)
		return fail_step("normalizer", step, " twice is not known here", err);
	if (len == 0) /* no rules */
		return 0;
	v->charsmap = trit_calloc(len / 4 + 1, 3);
	if (!v->charsmap)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a normalizer");
	if (!trit_base64_decode(len, json_string_value(map), v->charsmap, &v->charsmap_bytes))
		return trit_fail(err, TRIT_ERR_FORMAT, "normalizer Precompiled: its rules are not Base64");
	return trit_vocab_add_normal(v, TRIT_NORMAL_CHARSMAP, NULL, NULL, err);
}

/* BERT's as single steps. */
static int read_bert_normalizer(struct trit_vocab *v, const json_t *step, struct trit_error *err)
{
	const json_t *accents = json_object_get(step, "strip_accents");
	bool lowercase = true_unless_false(step, "lowercase");
	bool strips = trit_json_is_unused(accents) ? lowercase : json_is_true(accents);
	const struct {
		bool wanted;
		enum trit_normal_kind kind;
	} steps[] = {
		{ true_unless_false(step, "clean_text"), TRIT_NORMAL_BERT_CLEAN },
		{ true_unless_false(step, "handle_chinese_chars"), TRIT_NORMAL_BERT_CHINESE },
		{ strips, TRIT_NORMAL_NFD },
		{ strips, TRIT_NORMAL_STRIP_NONSPACING },
		{ lowercase, TRIT_NORMAL_LOWERCASE },
	};
	int status = 0;

	for (size_t i = 0; i < sizeof steps / sizeof *steps && status == 0; i++)
		if (steps[i].wanted)
			status = trit_vocab_add_normal(v, steps[i].kind, NULL, NULL, err);
	return status;
}

static int read_strip(struct trit_vocab *v, const json_t *step, struct trit_error *err)
{
	int status = 0;

	if (true_unless_false(step, "strip_left"))
		status = trit_vocab_add_normal(v, TRIT_NORMAL_STRIP_LEFT, NULL, NULL, err);
	if (status == 0 && true_unless_false(step, "strip_right"))
		status = trit_vocab_add_normal(v, TRIT_NORMAL_STRIP_RIGHT, NULL, NULL, err);
	return status;
}

/* Text before a text, where SentencePiece's space is one that will be escaped. */
static int read_prepend(struct trit_vocab *v, enum trit_json_kind kind, const json_t *step, struct trit_error *err)
{
	const char *text = string_of(step, "prepend");
	bool space = text && kind != TRIT_JSON_BYTE_LEVEL && !strcmp(text, TRIT_SPM_SPACE);

	if (!text)
		return trit_fail(err, TRIT_ERR_FORMAT, "normalizer Prepend without a text");
	v->space_prefix = v->space_prefix || space;
	return trit_vocab_add_normal(v, TRIT_NORMAL_PREPEND, space ? " " : text, NULL, err);
}

static int read_normalizer_step(struct trit_vocab *v, enum trit_json_kind kind, const json_t *step,
                                struct trit_error *err)
{
	for (size_t i = 0; i < sizeof simple_steps / sizeof *simple_steps; i++)
		if (trit_json_is_type(step, simple_steps[i].type))
			return trit_vocab_add_normal(v, simple_steps[i].kind, NULL, NULL, err);
	if (kind != TRIT_JSON_BYTE_LEVEL && escapes_spaces(step))
		return 0;
	if (trit_json_is_type(step, "Replace"))
		return read_replace(v, step, err);
	if (trit_json_is_type(step, "Prepend"))
		return read_prepend(v, kind, step, err);
	if (trit_json_is_type(step, "Strip"))
		return read_strip(v, step, err);
	if (trit_json_is_type(step, "BertNormalizer"))
		return read_bert_normalizer(v, step, err);
	if (trit_json_is_type(step, "Precompiled"))
		return read_charsmap(v, step, err);
	return fail_step("normalizer", step, " is not known here", err);
}

/* WordPiece's, which text/wordpiece does itself; only what it can be told to leave out may differ. */
static int read_wordpiece_normalizer(struct trit_vocab *v, const struct trit_json_steps *s, struct trit_error *err)
{
	const json_t *bert = s->n == 1 && trit_json_is_type(s->at[0], "BertNormalizer") ? s->at[0] : NULL, *accents;

	if (!bert || !true_unless_false(bert, "clean_text") || !true_unless_false(bert, "handle_chinese_chars"))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "normalizer: WordPiece goes with BertNormalizer, alone, with clean_text and "
		                 "handle_chinese_chars; nothing else is known here");
	accents = json_object_get(bert, "strip_accents");
	v->lowercase = true_unless_false(bert, "lowercase");
	v->strip_accents = trit_json_is_unused(accents) ? v->lowercase : json_is_true(accents);
	return 0;
}

/* ---- pre_tokenizer: bytes --------------------------------------------------------------------------------------- */

static int add_split(struct trit_vocab *v, const char *pattern, enum trit_split_behavior behavior, bool invert,
                     bool bytes, struct trit_error *err)
{
	struct trit_split split = { .pattern = pattern, .behavior = (uint8_t)behavior, .invert = invert, .bytes = bytes };

	return trit_vocab_add_split(v, &split, err);
}

/* Behaviours by the names tokenizer.json has for them; -1: none. */
static int behavior_of(const json_t *step)
{
	static const char *const names[] = { "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
	const char *name = string_of(step, "behavior");

	for (int i = 0; name && i < (int)(sizeof names / sizeof *names); i++)
		if (!strcmp(names[i], name))
			return i; /* enum trit_split_behavior */
	return -1;
}

/* A text as an expression that matches it and nothing else. out: 2 * len + 1 bytes. */
static void quote(const char *text, char *out)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c > ' ')
			*out++ = '\\';
		*out++ = *text;
	}
	*out = 0;
}

/* Whether an expression means the same of a text and of its bytes in ByteLevel's alphabet: plain ASCII, no classes. */
static bool is_plain_ascii(const char *pattern)
{
	for (; *pattern; pattern++)
		if ((unsigned char)*pattern >= 0x80 || strchr("\\.^ ", *pattern))
			return false;
	return true;
}

static int read_split(struct trit_vocab *v, const json_t *step, bool bytes, struct trit_error *err)
{
	const json_t *pattern = json_object_get(step, "pattern");
	const char *text = string_of(pattern, "String"), *regex = string_of(pattern, "Regex");
	bool invert = json_is_true(json_object_get(step, "invert"));
	int behavior = behavior_of(step), status;
	char *quoted;

	if (behavior < 0 || (!text && !regex))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "pre_tokenizer: a Split whose pattern or behavior is not known");
	if (bytes && (!regex || !is_plain_ascii(regex)))
		return fail_step("pre_tokenizer", step, " after ByteLevel, with more than plain ASCII, is not known here", err);
	if (regex)
		return add_split(v, regex, (enum trit_split_behavior)behavior, invert, bytes, err);
	quoted = trit_calloc(2 * strlen(text) + 1, 1);
	if (!quoted)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pre-tokenizer");
	quote(text, quoted);
	status = add_split(v, quoted, (enum trit_split_behavior)behavior, invert, bytes, err);
	trit_free(quoted);
	return status;
}

static int read_digits(struct trit_vocab *v, const json_t *step, bool bytes, struct trit_error *err)
{
	bool one_by_one = json_is_true(json_object_get(step, "individual_digits"));
	const char *pattern = bytes ? one_by_one ? TRIT_DIGIT_BYTES : TRIT_DIGIT_BYTES "+"
	                      : one_by_one ? "\\p{N}" : "\\p{N}+";

	return add_split(v, pattern, TRIT_SPLIT_ISOLATED, false, bytes, err);
}

static int read_punctuation(struct trit_vocab *v, const json_t *step, struct trit_error *err)
{
	int behavior = json_object_get(step, "behavior") ? behavior_of(step) : TRIT_SPLIT_ISOLATED;

	if (behavior < 0)
		return fail_step("pre_tokenizer", step, ": its behavior is not known", err);
	if (behavior == TRIT_SPLIT_CONTIGUOUS)
		return add_split(v, TRIT_PUNCTUATION "+", TRIT_SPLIT_ISOLATED, false, false, err);
	return add_split(v, TRIT_PUNCTUATION, (enum trit_split_behavior)behavior, false, false, err);
}

static int read_byte_level(struct trit_vocab *v, const json_t *step, bool first, struct trit_error *err)
{
	const struct trit_split gpt2 = { .pattern = TRIT_GPT2_SPLIT, .behavior = TRIT_SPLIT_ISOLATED, .tiles = true };
	int status = 0;

	if (true_unless_false(step, "add_prefix_space")) {
		if (!first)
			return fail_step("pre_tokenizer", step, ": add_prefix_space after other stages is not known here",
			                 err);
		status = trit_vocab_add_normal(v, TRIT_NORMAL_SPACE, NULL, NULL, err);
	}
	if (status == 0 && true_unless_false(step, "use_regex")) /* files older than the option split */
		status = trit_vocab_add_split(v, &gpt2, err);
	return status;
}

static int read_stage(struct trit_vocab *v, const json_t *step, bool bytes, struct trit_error *err)
{
	int status;

	if (trit_json_is_type(step, "Split"))
		return read_split(v, step, bytes, err);
	if (trit_json_is_type(step, "Digits"))
		return read_digits(v, step, bytes, err);
	if (bytes)
		return fail_step("pre_tokenizer", step, " after ByteLevel is not known here", err);
	if (trit_json_is_type(step, "Punctuation"))
		return read_punctuation(v, step, err);
	if (trit_json_is_type(step, "WhitespaceSplit"))
		return add_split(v, "\\s", TRIT_SPLIT_REMOVED, false, false, err);
	if (trit_json_is_type(step, "Whitespace"))
		return add_split(v, "\\w+|[^\\w" TRIT_REGEX_SPACE "]+", TRIT_SPLIT_REMOVED, true, false, err);
	if (trit_json_is_type(step, "BertPreTokenizer")) {
		status = add_split(v, "\\s", TRIT_SPLIT_REMOVED, false, false, err);
		return status < 0 ? status : add_split(v, TRIT_PUNCTUATION, TRIT_SPLIT_ISOLATED, false, false, err);
	}
	return fail_step("pre_tokenizer", step, " with ByteLevel is not known here", err);
}

static int read_byte_stages(struct trit_vocab *v, const struct trit_json_steps *s, struct trit_error *err)
{
	bool bytes = false;
	int status = 0;

	for (int i = 0; i < s->n && status == 0; i++) {
		if (!trit_json_is_type(s->at[i], "ByteLevel")) {
			status = read_stage(v, s->at[i], bytes, err);
			continue;
		}
		if (bytes)
			return fail_step("pre_tokenizer", s->at[i], " twice is not known here", err);
		status = read_byte_level(v, s->at[i], i == 0, err);
		bytes = true;
	}
	return status;
}

/* Looks for the name of the stages. With it, and with what belongs to it, the stages need not be carried along; with
 * anything else beside them the name serves files written from the vocabulary. */
static void name_stages(struct trit_vocab *v)
{
	bool nfc = v->n_normal == 1 && v->normal[0].kind == TRIT_NORMAL_NFC;
	unsigned traits = (v->ignore_merges ? TRIT_PRETOK_WHOLE_WORDS : 0) | (nfc ? TRIT_PRETOK_NFC : 0);
	const char *name = v->n_normal == 0 || nfc ? trit_pretok_name(v->n_splits, v->splits, traits) : NULL;

	v->custom = !name;
	for (unsigned other = 0; !name && other < 4; other++)
		name = trit_pretok_name(v->n_splits, v->splits, traits ^ other);
	if (name)
		memcpy(v->pre, name, strlen(name) + 1); /* names are shorter than `pre` */
	if (!v->custom)
		v->n_splits = v->n_normal = 0;
}

/* ---- pre_tokenizer: SentencePiece, WordPiece -------------------------------------------------------------------- */

static int read_metaspace(struct trit_vocab *v, const json_t *step, struct trit_error *err)
{
	const char *scheme = string_of(step, "prepend_scheme"), *replacement = string_of(step, "replacement");
	bool always = scheme ? !strcmp(scheme, "always") : true_unless_false(step, "add_prefix_space");
	bool first = scheme && !strcmp(scheme, "first");

	if (replacement && strcmp(replacement, TRIT_SPM_SPACE) != 0)
		return fail_step("pre_tokenizer", step, ": a replacement other than U+2581 is not known here", err);
	if (!always && !first)
		return 0;
	v->space_prefix = true;
	return trit_vocab_add_normal(v, always ? TRIT_NORMAL_SPACE : TRIT_NORMAL_SPACE_FIRST, NULL, NULL, err);
}

/* White space removed, a space between words: what then is done to each word is done to the text. */
static int read_whitespace_split(struct trit_vocab *v, struct trit_error *err)
{
	int status = trit_vocab_add_normal(v, TRIT_NORMAL_STRIP_LEFT, NULL, NULL, err);

	v->squeeze_spaces = true;
	if (status == 0)
		status = trit_vocab_add_normal(v, TRIT_NORMAL_STRIP_RIGHT, NULL, NULL, err);
	return status < 0 ? status : trit_vocab_add_normal(v, TRIT_NORMAL_REPLACE_REGEX, "\\s+", " ", err);
}

/* A Split at spaces when none is left, as in Gemma's files. */
static bool does_nothing(const json_t *step, const struct trit_json_steps *normalizer)
{
	const char *text = string_of(json_object_get(step, "pattern"), "String");

	if (!trit_json_is_type(step, "Split") || !text || strcmp(text, " ") != 0)
		return false;
	for (int i = 0; i < normalizer->n; i++)
		if (escapes_spaces(normalizer->at[i]))
			return true;
	return false;
}

static int read_spm_stages(struct trit_vocab *v, const struct trit_json_steps *s,
                           const struct trit_json_steps *normalizer, struct trit_error *err)
{
	int status = 0;

	for (int i = 0; i < s->n && status == 0; i++) {
		bool metaspace_follows = i + 1 < s->n && trit_json_is_type(s->at[i + 1], "Metaspace");

		if (trit_json_is_type(s->at[i], "Metaspace"))
			status = read_metaspace(v, s->at[i], err);
		else if (trit_json_is_type(s->at[i], "WhitespaceSplit") && metaspace_follows)
			status = read_whitespace_split(v, err);
		else if (!does_nothing(s->at[i], normalizer))
			return fail_step("pre_tokenizer", s->at[i], " is not known here in a tokenizer of SentencePiece's kind",
			                 err);
	}
	return status;
}

/* Empties and punctuation round words are text/wordpiece's. */
static int check_wordpiece_stages(const struct trit_json_steps *s, struct trit_error *err)
{
	if (s->n != 1 || !trit_json_is_type(s->at[0], "BertPreTokenizer"))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "pre_tokenizer: WordPiece goes with BertPreTokenizer, alone; nothing else is known here");
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

int trit_json_bpe_kind(enum trit_json_kind *kind, const json_t *root, struct trit_error *err)
{
	const json_t *model = json_object_get(root, "model");
	struct trit_json_steps pre, normalizer, decoder;
	int status = trit_json_list_steps(&pre, json_object_get(root, "pre_tokenizer"), "pre_tokenizer", err);
	bool spaces = has_type(&pre, "Metaspace") || json_is_true(json_object_get(model, "byte_fallback"));

	if (status == 0)
		status = trit_json_list_steps(&normalizer, json_object_get(root, "normalizer"), "normalizer", err);
	if (status == 0)
		status = trit_json_list_steps(&decoder, json_object_get(root, "decoder"), "decoder", err);
	if (status < 0)
		return status;
	for (int i = 0; i < normalizer.n; i++)
		spaces = spaces || escapes_spaces(normalizer.at[i]);
	*kind = has_type(&pre, "ByteLevel") ? TRIT_JSON_BYTE_LEVEL : TRIT_JSON_SPM;
	if (*kind == TRIT_JSON_SPM && !spaces)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "pre_tokenizer %.40s: BPE goes with ByteLevel or, as in SentencePiece, with U+2581 for "
		                 "spaces; nothing else is known here",
		                 pre.n > 0 ? trit_json_type_of(pre.at[0]) : "null");
	return 0;
}

/* Decoding is text/detokenizer's; only the decoders that it does the same as are let through. */
static int check_decoder(const json_t *root, struct trit_error *err)
{
	static const char *const known[] = { "ByteLevel", "Replace",   "ByteFallback", "Fuse",
		                             "Strip",     "Metaspace", "WordPiece" };
	struct trit_json_steps s;
	int status = trit_json_list_steps(&s, json_object_get(root, "decoder"), "decoder", err);

	for (int i = 0; i < s.n && status == 0; i++) {
		bool found = false;

		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			found = found || trit_json_is_type(s.at[i], known[k]);
		if (!found)
			return fail_step("decoder", s.at[i], " is not known here", err);
	}
	return status;
}

int trit_json_read_steps(struct trit_vocab *v, enum trit_json_kind kind, const json_t *root, struct trit_error *err)
{
	struct trit_json_steps normalizer, pre;
	int status = trit_json_list_steps(&normalizer, json_object_get(root, "normalizer"), "normalizer", err);

	if (status == 0)
		status = trit_json_list_steps(&pre, json_object_get(root, "pre_tokenizer"), "pre_tokenizer", err);
	if (status == 0)
		status = check_decoder(root, err);
	if (status == 0 && kind == TRIT_JSON_WORDPIECE) {
		status = read_wordpiece_normalizer(v, &normalizer, err);
		return status < 0 ? status : check_wordpiece_stages(&pre, err);
	}
	for (int i = 0; i < normalizer.n && status == 0; i++)
		status = read_normalizer_step(v, kind, normalizer.at[i], err);
	if (status == 0 && kind == TRIT_JSON_BYTE_LEVEL) {
		status = read_byte_stages(v, &pre, err);
		if (status == 0)
			name_stages(v);
	} else if (status == 0) {
		status = read_spm_stages(v, &pre, &normalizer, err);
		v->custom = true;
	}
	return status;
}

#endif
