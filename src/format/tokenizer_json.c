/*
 * tokenizer_json.c - tokenizer.json of Hugging Face's tokenizers: tokens, merges, special tokens.
 *
 *     model           type "BPE": vocab {text: id}, merges ["a b", ...] or [["a", "b"], ...]; "WordPiece": vocab;
 *                     "Unigram": vocab [[text, score], ...]
 *     added_tokens    [{id, content, special, lstrip, rstrip, single_word}], matched in the text before anything else
 *     post_processor  puts special tokens round a text
 *
 * The rest is tokenizer_json_steps.c's. A BPE is byte-level ("gpt2"), or of characters as SentencePiece's ("llama"),
 * then with its merges and with scores in their order, which files of other programs want.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>
#endif
#include <inttypes.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/tokenizer_json.h"

#ifdef TRIT_HAVE_JANSSON

#include "format/bpe_pair.h"
#include "format/json_file.h"
#include "format/tokenizer_json_parts.h"
#include "text/pretok.h"
#include "text/spm_text.h"

#define MAX_HOLES 65536 /* ids that no token has */

/* A token before it is in the vocabulary; text inside the JSON. */
struct slot {
	const char *text; /* NULL: no token has this id */
	size_t len;
	float score;
	uint8_t type, flags;
};

struct slots {
	struct slot *slots; /* [n] */
	size_t n;
	size_t tokens; /* how many there are at most; ids go up to MAX_HOLES beyond */
	trit_token unknown;
};

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

static int get_id(const struct slots *s, const json_t *value, const char *text, size_t *id, struct trit_error *err)
{
	json_int_t i = json_integer_value(value);

	if (!json_is_integer(value) || i < 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "token \"%.80s\": its id is no count; the file is damaged", text);
	if ((uint64_t)i >= s->tokens + MAX_HOLES)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "token \"%.80s\" has id %" PRId64 ", but there are only %zu tokens", text, (int64_t)i,
		                 s->tokens);
	*id = (size_t)i;
	return 0;
}

static int fill_slot(struct slots *s, const json_t *id_value, const char *text, size_t len, uint8_t type, uint8_t flags,
                     struct trit_error *err)
{
	struct slot *slot;
	size_t id = 0;
	int status = get_id(s, id_value, text, &id, err);

	if (status < 0)
		return status;
	slot = &s->slots[id];
	if (slot->text && (slot->len != len || memcmp(slot->text, text, len) != 0))
		return trit_fail(err, TRIT_ERR_FORMAT, "tokens \"%.80s\" and \"%.80s\" both have id %zu", slot->text, text,
		                 id);
	s->n = id >= s->n ? id + 1 : s->n;
	slot->text = text;
	slot->len = len;
	slot->type = type;
	slot->flags = flags;
	return 0;
}

static int fill_added(struct slots *s, const json_t *added, struct trit_error *err)
{
	static const struct {
		const char *key;
		uint8_t flag;
	} flags[] = {
		{ "lstrip", TRIT_PIECE_LSTRIP },
		{ "rstrip", TRIT_PIECE_RSTRIP },
		{ "single_word", TRIT_PIECE_WORD },
	};
	int status = 0;

	for (size_t i = 0; status == 0 && i < json_array_size(added); i++) {
		const json_t *token = json_array_get(added, i), *content = json_object_get(token, "content");
		bool special = json_is_true(json_object_get(token, "special"));
		uint8_t wants = 0;

		if (!json_is_string(content))
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "added_tokens, element %zu: no \"content\"; the file is damaged", i);
		for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
			wants |= json_is_true(json_object_get(token, flags[k].key)) ? flags[k].flag : 0;
		status = fill_slot(s, json_object_get(token, "id"), json_string_value(content),
		                   json_string_length(content), special ? TRIT_TOKEN_CONTROL : TRIT_TOKEN_USER, wants, err);
	}
	return status;
}

/* The tokens of a unigram model, whose ids are their places. */
static int fill_unigram(struct slots *s, const json_t *vocab, struct trit_error *err)
{
	for (size_t i = 0; i < json_array_size(vocab); i++) {
		const json_t *entry = json_array_get(vocab, i), *text = json_array_get(entry, 0);
		const json_t *score = json_array_get(entry, 1);

		if (!json_is_string(text) || !json_is_number(score))
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "model.vocab, element %zu: not [text, score]; the file is damaged", i);
		s->slots[i] = (struct slot){ .text = json_string_value(text), .len = json_string_length(text),
			                     .score = (float)json_number_value(score), .type = TRIT_TOKEN_NORMAL };
	}
	s->n = json_array_size(vocab);
	return 0;
}

static bool is_byte_token(const struct slot *s)
{
	return s->len == 6 && !memcmp(s->text, "<0x", 3) && s->text[5] == '>' && s->type == TRIT_TOKEN_NORMAL;
}

/* The unknown token, and the tokens of bytes, which SentencePiece's vocabularies tell from others. */
static int type_tokens(struct slots *s, enum trit_json_kind kind, const json_t *model, struct trit_error *err)
{
	const json_t *unk_id = json_object_get(model, "unk_id");
	const char *unknown = json_string_value(json_object_get(model, "unk_token"));
	size_t len = unknown ? strlen(unknown) : 0;
	bool bytes = json_is_true(json_object_get(model, "byte_fallback"));

	s->unknown = -1;
	for (size_t i = 0; i < s->n && len > 0; i++)
		if (s->slots[i].text && s->slots[i].len == len && !memcmp(s->slots[i].text, unknown, len))
			s->unknown = (trit_token)i;
	if (json_is_integer(unk_id)) {
		json_int_t id = json_integer_value(unk_id);

		if (id < 0 || (uint64_t)id >= s->n)
			return trit_fail(err, TRIT_ERR_FORMAT, "model.unk_id is no token; the file is damaged");
		s->unknown = (trit_token)id;
	}
	if (kind == TRIT_JSON_BYTE_LEVEL)
		return 0;
	for (size_t i = 0; i < s->n && bytes && kind != TRIT_JSON_WORDPIECE; i++)
		if (s->slots[i].text && is_byte_token(&s->slots[i]))
			s->slots[i].type = TRIT_TOKEN_BYTE;
	if (s->unknown >= 0)
		s->slots[s->unknown].type = TRIT_TOKEN_UNKNOWN;
	return 0;
}

/* Gathers the tokens by id. s->slots is to be freed also after an error. */
static int fill_slots(struct slots *s, enum trit_json_kind kind, json_t *model, const json_t *added,
                      struct trit_error *err)
{
	json_t *vocab = json_object_get(model, "vocab"), *id;
	bool unigram = kind == TRIT_JSON_UNIGRAM;
	const char *text;
	int status = 0;

	if ((unigram ? !json_is_array(vocab) : !json_is_object(vocab)) ||
	    (!trit_json_is_unused(added) && !json_is_array(added)))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "no \"model.vocab\" or \"added_tokens\" list in it; not a tokenizer.json");
	s->tokens = (unigram ? json_array_size(vocab) : json_object_size(vocab)) + json_array_size(added);
	s->slots = trit_calloc(s->tokens + MAX_HOLES, sizeof *s->slots);
	if (!s->slots)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", s->tokens);
	if (unigram)
		status = fill_unigram(s, vocab, err);
	else
		json_object_foreach(vocab, text, id) {
			status = fill_slot(s, id, text, strlen(text), TRIT_TOKEN_NORMAL, 0, err);
			if (status < 0)
				return status;
		}
	if (status == 0)
		status = fill_added(s, added, err);
	return status < 0 ? status : type_tokens(s, kind, model, err);
}

/* Refuses options that would change the tokens. */
static int check_model(const json_t *model, enum trit_json_kind kind, struct trit_error *err)
{
	const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
	const json_t *max = json_object_get(model, "max_input_chars_per_word");

	if (kind == TRIT_JSON_WORDPIECE) {
		if (!json_is_string(prefix) || strcmp(json_string_value(prefix), "##") != 0 ||
		    (max && json_integer_value(max) != 100))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED,
			                 "a WordPiece tokenizer whose words go on with something else than \"##\", or "
			                 "have other than 100 characters at most");
		return 0;
	}
	if (!trit_json_is_unused(prefix) || !trit_json_is_unused(json_object_get(model, "end_of_word_suffix")))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "a BPE tokenizer that marks parts of words by a prefix or suffix; byte-level BPE and "
		                 "SentencePiece's can be read");
	if (json_number_value(json_object_get(model, "dropout")) != 0)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "model.dropout: merges left out at random are not known here; set it to null");
	return 0;
}

/* What kind of tokenizer it is; files older than the key have no model.type. */
static int find_kind(const json_t *root, const json_t *model, enum trit_json_kind *kind, struct trit_error *err)
{
	const json_t *type = json_object_get(model, "type");

	if (!json_is_object(model))
		return trit_fail(err, TRIT_ERR_FORMAT, "no \"model\" in it; not a tokenizer.json");
	if (trit_json_is_type(model, "Unigram") || (!type && json_is_array(json_object_get(model, "vocab"))))
		*kind = TRIT_JSON_UNIGRAM;
	else if (trit_json_is_type(model, "WordPiece") || (!type && !json_object_get(model, "merges") &&
	                                                   json_object_get(model, "continuing_subword_prefix")))
		*kind = TRIT_JSON_WORDPIECE;
	else if (!type || trit_json_is_type(model, "BPE"))
		return trit_json_bpe_kind(kind, root, err);
	else
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "a tokenizer of type %.40s; BPE, Unigram and WordPiece can be read",
		                 trit_json_type_of(model));
	return 0;
}

/* ---- merges ----------------------------------------------------------------------------------------------------- */

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

/* Scores in the order of merges: a token's is that of the first merge that makes it; others come after all of them.
 * Programs that know SentencePiece's scores only then merge nearly the same. */
static int score_by_merges(struct trit_vocab *v, json_t *vocab, struct trit_error *err)
{
	char joined[2 * TRIT_MAX_TOKEN_BYTES + 2];

	v->scores = trit_calloc((size_t)v->n_tokens, sizeof *v->scores);
	if (!v->scores)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the scores of %d tokens", v->n_tokens);
	for (int i = 0; i < v->n_tokens; i++)
		v->scores[i] = -(float)(v->n_merges + i);
	for (int i = v->n_merges - 1; i >= 0; i--) { /* backwards: the first one stays */
		const struct trit_piece *m = &v->merges[i];
		size_t left = (size_t)((const char *)memchr(m->text, ' ', m->len) - m->text);
		const json_t *id;

		memcpy(joined, m->text, left);
		memcpy(joined + left, m->text + left + 1, m->len - left - 1);
		joined[m->len - 1] = 0;
		id = json_object_get(vocab, joined);
		if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < v->n_tokens)
			v->scores[json_integer_value(id)] = -(float)i;
	}
	return 0;
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

/* Notes that a text begins or ends with this token. */
static int surround(struct trit_vocab *v, const char *name, bool before, struct trit_error *err)
{
	bool wordpiece = strcmp(v->model, "bert") == 0;
	trit_token id = name ? find_control(v, &name, 1) : -1;

	if (id < 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "post_processor: \"%.80s\" is no special token of the file",
		                 name ? name : "");
	if (before ? v->add_bos : v->add_eos || v->add_sep)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "post_processor: more than one special token %s a text",
		                 before ? "before" : "after");
	if (before) {
		v->bos = id;
		v->add_bos = true;
		v->cls = wordpiece ? id : -1;
	} else if (wordpiece) {
		v->sep = id;
		v->add_sep = true;
	} else {
		v->eos = id;
		v->add_eos = true;
	}
	return 0;
}

/* The template of one text: [SpecialToken]... Sequence [SpecialToken]... */
static int read_template(const json_t *template, struct trit_vocab *v, struct trit_error *err)
{
	const json_t *single = json_object_get(template, "single");
	bool before = true;
	int status = 0;

	for (size_t i = 0; i < json_array_size(single) && status == 0; i++) {
		const json_t *special = json_object_get(json_array_get(single, i), "SpecialToken");

		if (special)
			status = surround(v, json_string_value(json_object_get(special, "id")), before, err);
		before = before && special;
	}
	return status;
}

static int read_post_processor(const json_t *post, struct trit_vocab *v, bool *found, struct trit_error *err)
{
	struct trit_json_steps s;
	int status = trit_json_list_steps(&s, post, "post_processor", err);

	for (int i = 0; i < s.n && status == 0; i++) {
		const json_t *p = s.at[i];

		if (trit_json_is_type(p, "ByteLevel")) /* which is about positions only */
			continue;
		*found = true;
		if (trit_json_is_type(p, "TemplateProcessing")) {
			status = read_template(p, v, err);
		} else if (trit_json_is_type(p, "BertProcessing") || trit_json_is_type(p, "RobertaProcessing")) {
			status = surround(v, json_string_value(json_array_get(json_object_get(p, "cls"), 0)), true, err);
			if (status == 0)
				status = surround(v, json_string_value(json_array_get(json_object_get(p, "sep"), 0)), false,
				                  err);
		} else {
			status = trit_fail(err, TRIT_ERR_UNSUPPORTED, "post_processor %.40s is not known here",
			                   trit_json_type_of(p));
		}
	}
	return status;
}

#define N(names) (int)(sizeof names / sizeof names[0])

static int read_specials(const json_t *root, struct trit_vocab *v, struct trit_error *err)
{
	static const char *const begin[] = { "<|begin_of_text|>", "<s>", "<bos>", "<｜begin▁of▁sentence｜>", "<|endoftext|>",
		                             "[CLS]" };
	static const char *const end[] = { "<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>", "<｜end▁of▁sentence｜>" };
	static const char *const turn[] = { "<|eot_id|>", "<|im_end|>", "<end_of_turn>" };
	static const char *const pad[] = { "<pad>", "[PAD]" }, *const mask[] = { "[MASK]", "<mask>" };
	bool found = false;
	int status = read_post_processor(json_object_get(root, "post_processor"), v, &found, err);

	if (status < 0)
		return status;
	if (v->bos < 0)
		v->bos = find_control(v, begin, N(begin));
	if (v->eos < 0)
		v->eos = find_control(v, end, N(end));
	v->eot = find_control(v, turn, N(turn));
	v->pad = find_control(v, pad, N(pad));
	v->mask = find_control(v, mask, N(mask));
	/* The first files of Llama 3 had no template, though the model wants its BOS. */
	if (!found)
		v->add_bos = v->bos >= 0 && trit_pretok_traits(v->pre) & TRIT_PRETOK_BOS;
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* A token's text as vocabularies have it. WordPiece: words with U+2581 before them, parts of words without "##". */
static int put_piece(struct trit_vocab *v, enum trit_json_kind kind, size_t id, const struct slot *s,
                     struct trit_error *err)
{
	char text[TRIT_MAX_TOKEN_BYTES + 1];
	size_t len = s->len;
	int status;

	if (!s->text) {
		len = (size_t)snprintf(text, sizeof text, "[PAD%zu]", id);
		return trit_vocab_set_piece(v, id, len, text, TRIT_TOKEN_UNUSED, err);
	}
	if (kind != TRIT_JSON_WORDPIECE || s->type != TRIT_TOKEN_NORMAL || (len > 1 && s->text[0] == '[' &&
	                                                                    s->text[len - 1] == ']')) {
		status = trit_vocab_set_piece(v, id, len, s->text, (enum trit_token_type)s->type, err);
	} else if (len > 2 && !memcmp(s->text, "##", 2)) {
		status = trit_vocab_set_piece(v, id, len - 2, s->text + 2, (enum trit_token_type)s->type, err);
	} else if (len <= sizeof text - strlen(TRIT_SPM_SPACE)) {
		memcpy(text, TRIT_SPM_SPACE, strlen(TRIT_SPM_SPACE));
		memcpy(text + strlen(TRIT_SPM_SPACE), s->text, len);
		status = trit_vocab_set_piece(v, id, len + strlen(TRIT_SPM_SPACE), text, (enum trit_token_type)s->type, err);
	} else {
		status = trit_fail(err, TRIT_ERR_LIMIT, "token %zu has %zu bytes; the limit is %d", id, len,
		                   TRIT_MAX_TOKEN_BYTES);
	}
	if (status == 0)
		v->pieces[id].flags = s->flags;
	return status;
}

static int put_scores(struct trit_vocab *v, const struct slots *s, struct trit_error *err)
{
	v->scores = trit_calloc(s->n, sizeof *v->scores);
	if (!v->scores)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the scores of %zu tokens", s->n);
	for (size_t i = 0; i < s->n; i++)
		v->scores[i] = s->slots[i].score;
	return 0;
}

static int build(const json_t *root, enum trit_json_kind kind, const struct slots *s, struct trit_vocab *v,
                 struct trit_error *err)
{
	static const char *const models[] = { "gpt2", "llama", "t5", "bert" }; /* by enum trit_json_kind */
	const json_t *model = json_object_get(root, "model"), *merges = json_object_get(model, "merges");
	bool bpe = kind == TRIT_JSON_BYTE_LEVEL || kind == TRIT_JSON_SPM;
	size_t bytes = 0; /* all from one text in memory, and 32 for each token at most: no overflow */
	int status = 0;

	if (bpe && !json_is_array(merges))
		return trit_fail(err, TRIT_ERR_FORMAT, "no \"model.merges\" list in it; the file is damaged");
	for (size_t i = 0; i < s->n; i++)
		bytes += s->slots[i].text ? s->slots[i].len + strlen(TRIT_SPM_SPACE) : 32;
	if (bpe)
		status = read_merges(merges, &bytes, NULL, err);
	if (status == 0)
		status = trit_vocab_init(v, models[kind], "", s->n, bpe ? json_array_size(merges) : 0, bytes, err);
	for (size_t i = 0; status == 0 && i < s->n; i++)
		status = put_piece(v, kind, i, &s->slots[i], err);
	if (status == 0 && bpe)
		status = read_merges(merges, &bytes, v, err);
	if (status == 0 && kind == TRIT_JSON_SPM)
		status = score_by_merges(v, json_object_get(model, "vocab"), err);
	if (status == 0 && kind == TRIT_JSON_UNIGRAM)
		status = put_scores(v, s, err);
	if (status < 0)
		return status;
	v->unk = s->unknown;
	v->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
	status = trit_json_read_steps(v, kind, root, err);
	return status == 0 ? read_specials(root, v, err) : status;
}

int trit_tokenizer_json_build(const json_t *root, struct trit_vocab *out, struct trit_error *err)
{
	json_t *model = json_object_get(root, "model");
	enum trit_json_kind kind = TRIT_JSON_BYTE_LEVEL;
	struct trit_vocab v = { 0 };
	struct slots s = { 0 };
	int status = find_kind(root, model, &kind, err);

	if (status == 0)
		status = check_model(model, kind, err);
	if (status == 0)
		status = fill_slots(&s, kind, model, json_object_get(root, "added_tokens"), err);
	if (status == 0)
		status = build(root, kind, &s, &v, err);
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
	json_t *root;
	int status = trit_json_parse(&root, len, text, err);

	if (status < 0)
		return status;
	status = trit_tokenizer_json_build(root, out, err);
	json_decref(root);
	return status;
}

int trit_tokenizer_json_read(const char *path, struct trit_vocab *out, struct trit_error *err)
{
	json_t *root;
	int status = trit_json_read(&root, path, err);

	if (status < 0)
		return status;
	if (trit_is_bpe_vocab(root)) {
		status = trit_bpe_pair_read(root, path, out, err);
	} else {
		status = trit_tokenizer_json_build(root, out, err);
		status = status < 0 ? trit_fail_prefix(err, status, "%s", path) : 0;
	}
	json_decref(root);
	return status;
}

#else

static int fail_without(struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "this build cannot read tokenizer.json: it was made without jansson; "
	                                            "install libjansson-dev and build again");
}

int trit_tokenizer_json_parse(size_t len, const char *text, struct trit_vocab *out, struct trit_error *err)
{
	(void)len;
	(void)text;
	(void)out;
	return fail_without(err);
}

int trit_tokenizer_json_read(const char *path, struct trit_vocab *out, struct trit_error *err)
{
	(void)out;
	int status = fail_without(err);
	return trit_fail_prefix(err, status, "%s", path);
}

#endif
