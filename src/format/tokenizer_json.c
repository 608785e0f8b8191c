/*
 * tokenizer_json.c - tokenizer.json of Hugging Face's tokenizers, as far as byte-level BPE goes.
 *
 *     model           type "BPE", vocab {text: id}, merges ["a b", ...] or [["a", "b"], ...]
 *     added_tokens    [{id, content, special}], matched in the text before anything else
 *     pre_tokenizer   ByteLevel alone is GPT-2's; a Split before it has the regular expression of another family
 *     post_processor  TemplateProcessing puts special tokens round a text
 *
 * Regular expressions are recognised, not carried over: a vocabulary names its pre-tokeniser as GGUF files do, and
 * text/pretok knows the expression of each name. What would change the tokens and is not known here is an error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>
#endif
#include <inttypes.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "format/file_kind.h"
#include "format/tokenizer_json.h"

#ifdef TRIT_HAVE_JANSSON

#define MAX_STAGES 8

#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* Llama 3 and Qwen 2 differ in how many digits go together. */
#define LLAMA3_PATTERN(digits) \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* A token before it is in the vocabulary; text inside the JSON. */
struct slot {
	const char *text; /* NULL: no token has this id yet */
	size_t len;
	enum trit_token_type type;
};

struct slots {
	struct slot *slots;
	size_t n;      /* ids possible when there are no holes */
	size_t filled;
};

static bool is_type(const json_t *object, const char *type)
{
	const char *s = json_string_value(json_object_get(object, "type"));

	return s && strcmp(s, type) == 0;
}

/* "type" of an object for messages. */
static const char *type_of(const json_t *object)
{
	const char *s = json_string_value(json_object_get(object, "type"));

	return s ? s : "of no type";
}

/* ---- pre-tokeniser ---------------------------------------------------------------------------------------------- */

/* The stages of the pre-tokeniser, a sequence taken apart. How many; -1 when there are too many. */
static int list_stages(const json_t *pre, const json_t *stages[MAX_STAGES])
{
	const json_t *list = json_object_get(pre, "pretokenizers");
	size_t n;

	if (!is_type(pre, "Sequence")) {
		stages[0] = pre;
		return 1;
	}
	n = json_array_size(list);
	for (size_t i = 0; i < n && i < MAX_STAGES; i++)
		stages[i] = json_array_get(list, i);
	return n <= MAX_STAGES ? (int)n : -1;
}

/* The name of the family a regular expression belongs to, or NULL. */
static const char *family_of_pattern(const char *pattern, bool ignore_merges)
{
	if (strcmp(pattern, GPT2_PATTERN) == 0)
		return "gpt-2";
	if (strcmp(pattern, LLAMA3_PATTERN("\\p{N}")) == 0)
		return "qwen2";
	if (strcmp(pattern, LLAMA3_PATTERN("\\p{N}{1,3}")) == 0) /* smaug-bpe: Llama 3's words, but always merged */
		return ignore_merges ? "llama-bpe" : "smaug-bpe";
	return NULL;
}

/* The family of Split followed by ByteLevel. */
static int read_split(const json_t *split, bool ignore_merges, const char **name, struct trit_error *err)
{
	const json_t *pattern = json_object_get(split, "pattern");
	const char *regex = json_string_value(json_object_get(pattern, "Regex"));
	const char *behavior = json_string_value(json_object_get(split, "behavior"));

	if (!regex || !behavior || strcmp(behavior, "Isolated") != 0 || json_is_true(json_object_get(split, "invert")))
		return trit_fail(
			err, TRIT_ERR_UNSUPPORTED,
			"pre_tokenizer: a Split that does not isolate the matches of a regular "
			"expression; only GPT-2's, Llama 3's, Qwen 2's and SmolLM's ways of splitting are known");
	*name = family_of_pattern(regex, ignore_merges);
	if (!*name)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "pre_tokenizer: the pattern \"%.240s\" is none of the known ones "
		                 "(GPT-2's, Llama 3's, Qwen 2's)",
		                 regex);
	return 0;
}

static int read_pre_tokenizer(const json_t *root, bool ignore_merges, const char **name, struct trit_error *err)
{
	const json_t *pre = json_object_get(root, "pre_tokenizer"), *stages[MAX_STAGES], *last, *use_regex;
	int n = list_stages(pre, stages), status = 0;
	bool regex;

	last = n > 0 ? stages[n - 1] : NULL;
	if (n < 1 || n > 2 || !is_type(last, "ByteLevel"))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "pre_tokenizer %.40s%s: only ByteLevel, alone or after one Split or "
		                 "Digits, can be read; the tokenizer is not byte-level BPE",
		                 json_is_null(pre) ? "null" : type_of(pre),
		                 n > 0 && last != pre ? " with other stages" : "");
	if (!json_is_false(json_object_get(last, "add_prefix_space")))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "pre_tokenizer: add_prefix_space, which puts a space before each text, "
		                 "is not known here");
	use_regex = json_object_get(last, "use_regex");
	regex = !use_regex || json_is_true(use_regex); /* files older than the option split */
	*name = NULL;
	if (n == 1 && regex)
		*name = "gpt-2";
	else if (n == 2 && regex && is_type(stages[0], "Digits") &&
	         json_is_true(json_object_get(stages[0], "individual_digits")))
		*name = "smollm";
	else if (n == 2 && !regex && is_type(stages[0], "Split"))
		status = read_split(stages[0], ignore_merges, name, err);
	if (status == 0 && !*name)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "pre_tokenizer: %.40s with ByteLevel (use_regex %s) is not known here",
		                 n == 1 ? "nothing" : type_of(stages[0]), regex ? "true" : "false");
	if (status == 0 && ignore_merges && strcmp(*name, "llama-bpe") != 0)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "model.ignore_merges with the pre-tokenizer %s is not known here", *name);
	return status;
}

/* ---- model ------------------------------------------------------------------------------------------------------ */

/* True for what means "not used": absent, null or an empty string. */
static bool is_unused(const json_t *v)
{
	return !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
}

/* Refuses options that would change the tokens. */
static int check_model(const json_t *root, const json_t *model, struct trit_error *err)
{
	const json_t *normalizer = json_object_get(root, "normalizer");

	if (!json_is_object(model))
		return trit_fail(err, TRIT_ERR_FORMAT, "no \"model\" in it; not a tokenizer.json");
	if (json_object_get(model, "type") && !is_type(model, "BPE"))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "a tokenizer of type %.40s; only byte-level BPE can be read", type_of(model));
	if (json_is_true(json_object_get(model, "byte_fallback")))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "a SentencePiece tokenizer (byte_fallback); only byte-level BPE can be "
		                 "read");
	if (!is_unused(json_object_get(model, "continuing_subword_prefix")) ||
	    !is_unused(json_object_get(model, "end_of_word_suffix")))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "a tokenizer that marks parts of words by a prefix or suffix; only "
		                 "byte-level BPE can be read");
	if (json_number_value(json_object_get(model, "dropout")) != 0)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "model.dropout: merges left out at random are not known here; set it to "
		                 "null");
	if (!is_unused(normalizer) && is_type(normalizer, "NFC"))
		trit_log(TRIT_LOG_NOTE,
		         "tokenizer.json: the normalizer NFC is left out; texts in NFC already are not affected");
	else if (!is_unused(normalizer))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "normalizer %.40s; only byte-level BPE, which has none, can be read",
		                 type_of(normalizer));
	return 0;
}

static int fill_slot(struct slots *s, const json_t *id_value, const char *text, size_t len, enum trit_token_type type,
                     struct trit_error *err)
{
	json_int_t id = json_integer_value(id_value);
	struct slot *slot;

	if (!json_is_integer(id_value) || id < 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "token \"%.80s\": its id is no count; the file is damaged",
		                 text);
	if ((uint64_t)id >= s->n)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "token \"%.80s\" has id %" PRId64 ", but there are only %zu tokens; ids run "
		                 "from 0 without holes",
		                 text, (int64_t)id, s->n);
	slot = &s->slots[id];
	if (slot->text && (slot->len != len || memcmp(slot->text, text, len) != 0))
		return trit_fail(err, TRIT_ERR_FORMAT, "tokens \"%.80s\" and \"%.80s\" both have id %" PRId64,
		                 slot->text, text, (int64_t)id);
	s->filled += !slot->text;
	*slot = (struct slot){ .text = text, .len = len, .type = type };
	return 0;
}

static int fill_added(struct slots *s, const json_t *added, struct trit_error *err)
{
	bool strips = false;
	int status = 0;

	for (size_t i = 0; status == 0 && i < json_array_size(added); i++) {
		const json_t *token = json_array_get(added, i), *content = json_object_get(token, "content");
		bool special = json_is_true(json_object_get(token, "special"));

		if (!json_is_string(content))
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "added_tokens, element %zu: no \"content\"; the file is damaged", i);
		strips = strips || json_is_true(json_object_get(token, "lstrip")) ||
		         json_is_true(json_object_get(token, "rstrip"));
		status = fill_slot(s, json_object_get(token, "id"), json_string_value(content),
		                   json_string_length(content), special ? TRIT_TOKEN_CONTROL : TRIT_TOKEN_USER, err);
	}
	if (strips)
		trit_log(TRIT_LOG_NOTE, "tokenizer.json: lstrip and rstrip of added tokens are left out");
	return status;
}

/* Gathers the tokens by id. s->slots is to be freed also after an error. */
static int fill_slots(struct slots *s, json_t *vocab, const json_t *added, struct trit_error *err)
{
	const char *text;
	json_t *id;
	int status = 0;

	if (!json_is_object(vocab) || (!is_unused(added) && !json_is_array(added)))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "no \"model.vocab\" object or \"added_tokens\" list in it; not a "
		                 "tokenizer.json");
	s->n = json_object_size(vocab) + json_array_size(added);
	s->slots = trit_calloc(s->n, sizeof *s->slots);
	if (!s->slots)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", s->n);
	json_object_foreach(vocab, text, id) {
		status = fill_slot(s, id, text, strlen(text), TRIT_TOKEN_NORMAL, err);
		if (status < 0)
			return status;
	}
	status = fill_added(s, added, err);
	for (size_t i = 0; status == 0 && i < s->filled; i++)
		if (!s->slots[i].text)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "no token has id %zu, but %zu tokens are there; ids run from 0 without "
			                 "holes",
			                 i, s->filled);
	s->n = s->filled; /* tokens both in the vocabulary and added counted twice until here */
	return status;
}

/* The two sides of merge i: of "a b", or of ["a", "b"]. Both lengths are 0 before. */
static int get_merge(const json_t *merges, size_t i, const char *side[2], size_t len[2], struct trit_error *err)
{
	const json_t *m = json_array_get(merges, i), *a = json_array_get(m, 0), *b = json_array_get(m, 1);
	const char *space;

	if (json_is_string(m)) {
		side[0] = json_string_value(m);
		space = strchr(side[0], ' ');
		len[0] = space ? (size_t)(space - side[0]) : 0;
		side[1] = space ? space + 1 : side[0];
		len[1] = space ? json_string_length(m) - len[0] - 1 : 0;
	} else if (json_array_size(m) == 2 && json_is_string(a) && json_is_string(b)) {
		side[0] = json_string_value(a);
		side[1] = json_string_value(b);
		len[0] = json_string_length(a);
		len[1] = json_string_length(b);
	}
	if (len[0] == 0 || len[1] == 0 || memchr(side[0], ' ', len[0]) || memchr(side[1], ' ', len[1]))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "model.merges, element %zu: neither \"left right\" nor [\"left\", "
		                 "\"right\"]; the file is damaged",
		                 i);
	return 0;
}

/* Merges as "left right"; with v NULL they are only checked and measured. */
static int read_merges(const json_t *merges, size_t *bytes, struct trit_vocab *v, struct trit_error *err)
{
	char text[2 * TRIT_MAX_TOKEN_BYTES + 1];
	int status = 0;

	for (size_t i = 0; status == 0 && i < json_array_size(merges); i++) {
		const char *side[2] = { "", "" };
		size_t len[2] = { 0, 0 };

		status = get_merge(merges, i, side, len, err);
		if (status < 0)
			return status;
		if (len[0] > TRIT_MAX_TOKEN_BYTES || len[1] > TRIT_MAX_TOKEN_BYTES)
			return trit_fail(err, TRIT_ERR_LIMIT, "model.merges, element %zu: tokens of more than %d bytes",
			                 i, TRIT_MAX_TOKEN_BYTES);
		*bytes += len[0] + 1 + len[1];
		if (!v)
			continue;
		memcpy(text, side[0], len[0]);
		text[len[0]] = ' ';
		memcpy(text + len[0] + 1, side[1], len[1]);
		status = trit_vocab_set_merge(v, i, len[0] + 1 + len[1], text, err);
	}
	return status;
}

/* ---- special tokens --------------------------------------------------------------------------------------------- */

/* The first control token of any of the names, in the order of the names; -1 when there is none. */
static trit_token find_control(const struct trit_vocab *v, const char *const names[], int n_names)
{
	for (int n = 0; n < n_names; n++)
		for (int i = 0; i < v->n_tokens; i++)
			if (v->pieces[i].type == TRIT_TOKEN_CONTROL && v->pieces[i].len == strlen(names[n]) &&
			    memcmp(v->pieces[i].text, names[n], v->pieces[i].len) == 0)
				return i;
	return -1;
}

/* Takes bos and eos from the template of one text: [SpecialToken]... Sequence [SpecialToken]... */
static int read_template(const json_t *template, struct trit_vocab *v, struct trit_error *err)
{
	const json_t *single = json_object_get(template, "single");
	bool before = true;

	for (size_t i = 0; i < json_array_size(single); i++) {
		const json_t *part = json_array_get(single, i), *special = json_object_get(part, "SpecialToken");
		const char *name = json_string_value(json_object_get(special, "id"));
		trit_token id;

		if (!special) {
			before = false;
			continue;
		}
		id = name ? find_control(v, &name, 1) : -1;
		if (id < 0)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "post_processor: \"%.80s\" is no special token of the file", name ? name : "");
		if ((before && v->add_bos) || (!before && v->add_eos))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED,
			                 "post_processor: more than one special token %s a text",
			                 before ? "before" : "after");
		if (before)
			v->bos = id;
		else
			v->eos = id;
		v->add_bos = v->add_bos || before;
		v->add_eos = v->add_eos || !before;
	}
	return 0;
}

static int read_post_processor(const json_t *post, struct trit_vocab *v, bool *found, struct trit_error *err)
{
	const json_t *list = json_object_get(post, "processors");
	bool sequence = is_type(post, "Sequence");
	size_t n = is_unused(post) ? 0 : sequence ? json_array_size(list) : 1;
	int status = 0;

	for (size_t i = 0; status == 0 && i < n; i++) {
		const json_t *p = sequence ? json_array_get(list, i) : post;

		if (is_type(p, "TemplateProcessing")) {
			status = read_template(p, v, err);
			*found = true;
		} else if (!is_type(p, "ByteLevel")) { /* which is about positions only */
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "post_processor %.40s is not known here",
			                 type_of(p));
		}
	}
	return status;
}

static int read_specials(const json_t *root, const json_t *model, struct trit_vocab *v, struct trit_error *err)
{
	static const char *const begin[] = { "<|begin_of_text|>", "<s>", "<|endoftext|>" };
	static const char *const end[] = { "<|end_of_text|>", "<|endoftext|>", "</s>" };
	static const char *const turn[] = { "<|eot_id|>", "<|im_end|>" };
	const char *unknown = json_string_value(json_object_get(model, "unk_token"));
	bool found = false;
	int status = read_post_processor(json_object_get(root, "post_processor"), v, &found, err);

	if (status < 0)
		return status;
	if (v->bos < 0)
		v->bos = find_control(v, begin, 3);
	if (v->eos < 0)
		v->eos = find_control(v, end, 3);
	v->eot = find_control(v, turn, 2);
	if (unknown)
		v->unk = find_control(v, &unknown, 1);
	/* The first files of Llama 3 had no template, though the model wants its BOS. */
	if (!found)
		v->add_bos = v->bos >= 0 && strcmp(v->pre, "llama-bpe") == 0;
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int build(const json_t *root, const struct slots *s, const char *pre, struct trit_vocab *v,
                 struct trit_error *err)
{
	const json_t *model = json_object_get(root, "model"), *merges = json_object_get(model, "merges");
	size_t bytes = 0; /* all from one text in memory: no overflow */
	int status;

	if (!json_is_array(merges))
		return trit_fail(err, TRIT_ERR_FORMAT, "no \"model.merges\" list in it; the file is damaged");
	for (size_t i = 0; i < s->n; i++)
		bytes += s->slots[i].len;
	status = read_merges(merges, &bytes, NULL, err);
	if (status == 0)
		status = trit_vocab_init(v, "gpt2", pre, s->n, json_array_size(merges), bytes, err);
	for (size_t i = 0; status == 0 && i < s->n; i++)
		status = trit_vocab_set_piece(v, i, s->slots[i].len, s->slots[i].text, s->slots[i].type, err);
	if (status == 0)
		status = read_merges(merges, &bytes, v, err);
	return status == 0 ? read_specials(root, model, v, err) : status;
}

static int read_root(const json_t *root, struct trit_vocab *out, struct trit_error *err)
{
	const json_t *model = json_object_get(root, "model");
	struct trit_vocab v = { 0 };
	struct slots s = { 0 };
	const char *pre = NULL;
	int status = check_model(root, model, err);

	if (status == 0)
		status = read_pre_tokenizer(root, json_is_true(json_object_get(model, "ignore_merges")), &pre, err);
	if (status == 0)
		status = fill_slots(&s, json_object_get(model, "vocab"), json_object_get(root, "added_tokens"), err);
	if (status == 0)
		status = build(root, &s, pre, &v, err);
	trit_free(s.slots);
	if (status < 0) {
		trit_vocab_release(&v);
		return status;
	}
	*out = v;
	return 0;
}

int trit_tokenizer_json_parse(size_t len, const char *text, struct trit_vocab *out, struct trit_error *err)
{
	enum trit_file_kind kind = trit_file_kind((const unsigned char *)text, len);
	json_error_t why;
	json_t *root;
	int status;

	if (kind != TRIT_KIND_JSON && kind != TRIT_KIND_UNKNOWN) /* unknown: JSON may begin with blanks */
		return trit_fail_kind(err, TRIT_KIND_JSON, (const unsigned char *)text, len);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root && json_error_code(&why) == json_error_out_of_memory)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu bytes of JSON", len);
	if (!root)
		return trit_fail_at(err, TRIT_ERR_FORMAT, why.position,
		                    "line %d, column %d: %s; the file is damaged or no JSON", why.line, why.column,
		                    why.text);
	status = read_root(root, out, err);
	json_decref(root);
	return status;
}

#else

int trit_tokenizer_json_parse(size_t len, const char *text, struct trit_vocab *out, struct trit_error *err)
{
	(void)len;
	(void)text;
	(void)out;
	return trit_fail(
		err, TRIT_ERR_UNSUPPORTED,
		"this build cannot read tokenizer.json: it was made without jansson; install libjansson-dev and "
		"build again");
}

#endif

int trit_tokenizer_json_read(const char *path, struct trit_vocab *out, struct trit_error *err)
{
	struct trit_map map;
	int status = trit_map_open(&map, path, err);

	if (status < 0)
		return status;
	status = trit_tokenizer_json_parse(map.size, (const char *)map.data, out, err);
	trit_map_close(&map);
	return status < 0 ? trit_fail_prefix(err, status, "%s", path) : 0;
}
