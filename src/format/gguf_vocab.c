/*
 * gguf_vocab.c - vocabulary keys of GGUF files.
 *
 *     tokenizer.ggml.model           string      "gpt2": byte-level BPE; "llama", "t5": BPE and unigram of
 *                                                SentencePiece; "gemma4": the first of these, by merges in place of
 *                                                scores; "bert": WordPiece; "no_vocab", "none": there is none
 *     tokenizer.ggml.pre             string      name of the pre-tokeniser: "gpt-2", "llama-bpe", "qwen2"
 *     tokenizer.ggml.tokens          [V] string  texts, as in text/vocab.h
 *     tokenizer.ggml.token_type      [V] i32     enum trit_token_type; all normal when absent
 *     tokenizer.ggml.scores          [V] f32     SentencePiece; optional and of no use to others
 *     tokenizer.ggml.merges          [] string   byte-level BPE, "gemma4": "left right" in order of rank
 *     tokenizer.ggml.{bos,eos,eot,unknown,padding,seperator,cls,mask}_token_id   u32
 *     tokenizer.ggml.add_{bos,eos,sep}_token                  bool
 *     tokenizer.ggml.add_space_prefix, .remove_extra_whitespaces   bool    SentencePiece
 *     tokenizer.ggml.precompiled_charsmap   [] u8 or i8       SentencePiece, text/charsmap.h
 *     tokenizer.ggml.normalizer.{lowercase,strip_accents}     bool         WordPiece
 *     tokenizer.chat_template        string      Jinja
 *
 * What is missing is as llama.cpp has it, which depends on the model. Where that gives a special token that the
 * vocabulary does not have, 2^32 - 1 is written ("seperator" is how the key is spelt). Three keys of our own keep what
 * SentencePiece knows and GGUF has no key for; they are only there where they are true:
 *
 *     tokenizer.trit.{space_suffix,plain_spaces,inline_user}  bool         text/vocab.h
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/gguf_vocab.h"
#include "text/pretok.h"

#define KEY(name) "tokenizer.ggml." name
#define OWN_KEY(name) "tokenizer.trit." name
#define NO_VOCAB "no_vocab"
#define RANKED "gemma4"

/* An array of strings; NULL with *status 0 when it is not there. */
static const struct trit_gguf_key *find_array(const struct trit_gguf *g, const char *name, uint32_t type, int *status,
                                              struct trit_error *err)
{
	const struct trit_gguf_key *k = trit_gguf_find_key(g, name);

	*status = 0;
	if (k && (k->type != TRIT_GGUF_ARRAY || k->element_type != type)) {
		*status = trit_fail(err, TRIT_ERR_FORMAT, "key '%s' is of type %s%s; an array of %s is expected", name,
		                    trit_gguf_type_name(k->type), k->type == TRIT_GGUF_ARRAY ? " of another type" : "",
		                    trit_gguf_type_name(type));
		return NULL;
	}
	return k;
}

static size_t text_bytes(const struct trit_gguf_key *k)
{
	const unsigned char *at = k ? k->value : NULL;
	size_t sum = 0;

	for (uint64_t i = 0; k && i < k->n; i++) {
		const char *text;
		size_t len;

		trit_gguf_next_string(&at, &text, &len);
		sum += len; /* all within one file, so no overflow */
	}
	return sum;
}

/* A string key of fewer than `size` bytes as a C string; "" when it is not there. */
static int get_name(const struct trit_gguf *g, const char *key, size_t size, char *out, struct trit_error *err)
{
	const char *text = NULL;
	size_t len = 0;
	int status = trit_gguf_get_string(g, key, &text, &len, err);

	if (status < 0)
		return status;
	if (len >= size || (len > 0 && memchr(text, 0, len)))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "key '%s' is \"%.*s\", which is not known here", key,
		                 (int)(len < 60 ? len : 60), text);
	if (len > 0)
		memcpy(out, text, len);
	out[len] = 0;
	return 0;
}

static int read_pieces(const struct trit_gguf_key *tokens, const struct trit_gguf_key *types, struct trit_vocab *v,
                       struct trit_error *err)
{
	const unsigned char *at = tokens->value;
	int status = 0;

	for (uint64_t i = 0; status == 0 && i < tokens->n; i++) {
		double type = types ? trit_gguf_array_number(types, i) : TRIT_TOKEN_NORMAL;
		const char *text;
		size_t len;

		trit_gguf_next_string(&at, &text, &len);
		if (type < TRIT_TOKEN_NORMAL || type > TRIT_TOKEN_BYTE)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "key '" KEY("token_type") "', element %" PRIu64 ": type %g; types are "
			                                           "%d to %d",
			                 i, type, TRIT_TOKEN_NORMAL, TRIT_TOKEN_BYTE);
		status = trit_vocab_set_piece(v, (size_t)i, len, text, (enum trit_token_type)type, err);
	}
	return status;
}

static int read_merges(const struct trit_gguf_key *merges, struct trit_vocab *v, struct trit_error *err)
{
	const unsigned char *at = merges->value;
	int status = 0;

	for (uint64_t i = 0; status == 0 && i < merges->n; i++) {
		const char *text;
		size_t len;

		trit_gguf_next_string(&at, &text, &len);
		status = trit_vocab_set_merge(v, (size_t)i, len, text, err);
	}
	return status;
}

static int read_scores(const struct trit_gguf_key *scores, struct trit_vocab *v, struct trit_error *err)
{
	v->scores = trit_calloc((size_t)v->n_tokens, sizeof *v->scores);
	if (!v->scores)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the scores of %d tokens", v->n_tokens);
	for (int i = 0; i < v->n_tokens; i++)
		v->scores[i] = (float)trit_gguf_array_number(scores, (uint64_t)i);
	return 0;
}

/* The special tokens of a vocabulary, with their keys and what they are, by model, in a file that does not say. */
static const struct special {
	const char *key;
	size_t place; /* in struct trit_vocab */
	trit_token llama, t5, bert;
} specials[] = {
	{ KEY("bos_token_id"), offsetof(struct trit_vocab, bos), 1, -1, 101 },
	{ KEY("eos_token_id"), offsetof(struct trit_vocab, eos), 2, 1, -1 },
	{ KEY("eot_token_id"), offsetof(struct trit_vocab, eot), -1, -1, -1 },
	{ KEY("unknown_token_id"), offsetof(struct trit_vocab, unk), 0, 2, 100 },
	{ KEY("padding_token_id"), offsetof(struct trit_vocab, pad), -1, 0, 0 },
	{ KEY("seperator_token_id"), offsetof(struct trit_vocab, sep), -1, -1, 102 },
	{ KEY("cls_token_id"), offsetof(struct trit_vocab, cls), -1, -1, -1 },
	{ KEY("mask_token_id"), offsetof(struct trit_vocab, mask), -1, -1, 103 },
};
#define N_SPECIALS (sizeof specials / sizeof specials[0])
#define NO_TOKEN UINT32_MAX

static trit_token default_special(const struct special *s, const struct trit_vocab *v)
{
	trit_token id = v->ranked                        ? -1
	                : strcmp(v->model, "llama") == 0 ? s->llama
	                : strcmp(v->model, "t5") == 0    ? s->t5
	                : strcmp(v->model, "bert") == 0  ? s->bert
	                                                 : -1;

	return id < v->n_tokens ? id : -1;
}

static int read_specials(const struct trit_gguf *g, struct trit_vocab *v, struct trit_error *err)
{
	for (size_t i = 0; i < N_SPECIALS; i++) {
		trit_token *id = (trit_token *)(void *)((char *)v + specials[i].place);
		uint64_t given = NO_TOKEN;
		int status = trit_gguf_get_u64(g, specials[i].key, NO_TOKEN, &given, err);

		if (status < 0)
			return status;
		if (given != NO_TOKEN && given >= (uint64_t)v->n_tokens)
			return trit_fail(err, TRIT_ERR_FORMAT, "key '%s' is %" PRIu64 "; 0 to %d is expected, a token",
			                 specials[i].key, given, v->n_tokens - 1);
		*id = status == 1 ? default_special(&specials[i], v) : given == NO_TOKEN ? -1 : (trit_token)given;
	}
	if (v->bos < 0)
		v->bos = v->cls; /* BERT begins a text with its class token */
	return 0;
}

/* Settings that are true or false, with their keys and what they are, by model, in a file that does not say. */
static const struct setting {
	const char *key;
	size_t place;
	bool llama, t5, bert;
} settings[] = {
	{ KEY("add_bos_token"), offsetof(struct trit_vocab, add_bos), true, false, true },
	{ KEY("add_eos_token"), offsetof(struct trit_vocab, add_eos), false, true, false },
	{ KEY("add_sep_token"), offsetof(struct trit_vocab, add_sep), false, false, true },
	{ KEY("add_space_prefix"), offsetof(struct trit_vocab, space_prefix), true, false, false },
	{ KEY("remove_extra_whitespaces"), offsetof(struct trit_vocab, squeeze_spaces), false, false, false },
	{ KEY("normalizer.lowercase"), offsetof(struct trit_vocab, lowercase), false, false, true },
	{ KEY("normalizer.strip_accents"), offsetof(struct trit_vocab, strip_accents), false, false, false },
	{ OWN_KEY("space_suffix"), offsetof(struct trit_vocab, space_suffix), false, false, false },
	{ OWN_KEY("plain_spaces"), offsetof(struct trit_vocab, plain_spaces), false, false, false },
	{ OWN_KEY("inline_user"), offsetof(struct trit_vocab, inline_user), false, false, false },
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

static bool default_setting(const struct setting *s, const struct trit_vocab *v)
{
	if (s->place == offsetof(struct trit_vocab, strip_accents))
		return v->lowercase; /* which was read before */
	if (s->place == offsetof(struct trit_vocab, space_prefix) && v->ranked)
		return false;
	/* Models of the Llama 3 family want a BOS, other byte-level ones do not. */
	if (s->place == offsetof(struct trit_vocab, add_bos) && strcmp(v->model, "gpt2") == 0)
		return v->bos >= 0 && trit_pretok_traits(v->pre) & TRIT_PRETOK_BOS;
	return strcmp(v->model, "llama") == 0  ? s->llama
	       : strcmp(v->model, "t5") == 0   ? s->t5
	       : strcmp(v->model, "bert") == 0 ? s->bert
	                                       : false;
}

static int read_settings(const struct trit_gguf *g, struct trit_vocab *v, struct trit_error *err)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		bool *setting = (bool *)(void *)((char *)v + settings[i].place);
		int status;

		*setting = default_setting(&settings[i], v);
		status = trit_gguf_get_bool(g, settings[i].key, setting, err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int read_charsmap(const struct trit_gguf *g, struct trit_vocab *v, struct trit_error *err)
{
	const char *name = KEY("precompiled_charsmap");
	const struct trit_gguf_key *k = trit_gguf_find_key(g, name);

	if (!k || k->n == 0)
		return 0;
	if (k->type != TRIT_GGUF_ARRAY || (k->element_type != TRIT_GGUF_U8 && k->element_type != TRIT_GGUF_I8))
		return trit_fail(err, TRIT_ERR_FORMAT, "key '%s' is not an array of u8 or i8", name);
	v->charsmap = trit_calloc((size_t)k->n, 1);
	if (!v->charsmap)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %" PRIu64 " bytes of key '%s'", k->n, name);
	memcpy(v->charsmap, k->value, (size_t)k->n);
	v->charsmap_bytes = (size_t)k->n;
	return 0;
}

static int read_chat_template(const struct trit_gguf *g, struct trit_vocab *v, struct trit_error *err)
{
	const char *text;
	size_t len;
	int status = trit_gguf_get_string(g, "tokenizer.chat_template", &text, &len, err);

	if (status != 0)
		return status < 0 ? status : 0;
	v->chat_template = trit_strndup(text, len);
	return v->chat_template ? 0 : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the chat template");
}

static bool has_token(const struct trit_gguf_key *tokens, const char *wanted)
{
	const unsigned char *at = tokens->value;

	for (uint64_t i = 0; i < tokens->n; i++) {
		const char *text;
		size_t len;

		trit_gguf_next_string(&at, &text, &len);
		if (len == strlen(wanted) && memcmp(text, wanted, len) == 0)
			return true;
	}
	return false;
}

static int fail_count(const char *name, uint64_t n, uint64_t tokens, struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_FORMAT,
	                 "key '%s' has %" PRIu64 " elements for %" PRIu64 " tokens; the file is damaged", name, n,
	                 tokens);
}

bool trit_gguf_has_vocab(const struct trit_gguf *g)
{
	const char *model = "";
	size_t len = 0;

	if (!trit_gguf_find_key(g, KEY("model")))
		return false;
	/* A value of another type is for trit_gguf_read_vocab to refuse. */
	if (trit_gguf_get_string(g, KEY("model"), &model, &len, NULL) != 0)
		return true;
	return !(len == sizeof NO_VOCAB - 1 && memcmp(model, NO_VOCAB, len) == 0) &&
	       !(len == 4 && memcmp(model, "none", len) == 0);
}

int trit_gguf_read_vocab(const struct trit_gguf *g, struct trit_vocab *out, struct trit_error *err)
{
	const struct trit_gguf_key *tokens, *types = NULL, *scores = NULL, *merges = NULL;
	struct trit_vocab v = { 0 };
	char model[sizeof v.model], pre[sizeof v.pre];
	bool ranked;
	int status = get_name(g, KEY("model"), sizeof model, model, err);

	if (status == 0 && model[0] == 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "no key '" KEY("model") "': the file has no vocabulary");
	ranked = status == 0 && strcmp(model, RANKED) == 0;
	if (ranked)
		memcpy(model, "llama", sizeof "llama");
	if (status == 0 && strcmp(model, "gpt2") != 0 && strcmp(model, "llama") != 0 && strcmp(model, "t5") != 0 &&
	    strcmp(model, "bert") != 0)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "tokenizer model \"%s\": only \"gpt2\" (byte-level BPE), \"llama\", \"" RANKED "\" and \"t5\" "
		                 "(SentencePiece) and \"bert\" (WordPiece) can be read", model);
	if (status == 0)
		status = get_name(g, KEY("pre"), sizeof pre, pre, err);
	if (status < 0)
		return status;
	tokens = find_array(g, KEY("tokens"), TRIT_GGUF_STRING, &status, err);
	if (status == 0 && !tokens)
		status = trit_fail(err, TRIT_ERR_FORMAT, "no key '" KEY("tokens") "'; the file is damaged");
	if (status == 0)
		types = find_array(g, KEY("token_type"), TRIT_GGUF_I32, &status, err);
	if (status == 0)
		scores = find_array(g, KEY("scores"), TRIT_GGUF_F32, &status, err);
	if (status == 0)
		merges = find_array(g, KEY("merges"), TRIT_GGUF_STRING, &status, err);
	if (status == 0 && !merges && (ranked || strcmp(model, "gpt2") == 0))
		status = trit_fail(err, TRIT_ERR_FORMAT, "no key '" KEY("merges") "', which a vocabulary \"%s\" needs",
		                   ranked ? RANKED : model);
	if (status == 0 && types && types->n != tokens->n)
		status = fail_count(KEY("token_type"), types->n, tokens->n, err);
	if (status == 0 && scores && scores->n != tokens->n)
		status = fail_count(KEY("scores"), scores->n, tokens->n, err);
	if (status < 0)
		return status;
	/* The official files of BitNet b1.58 2B4T lack the key; they have the vocabulary of Llama 3. */
	if (pre[0] == 0 && strcmp(model, "gpt2") == 0 && has_token(tokens, "<|begin_of_text|>"))
		memcpy(pre, "llama-bpe", sizeof "llama-bpe");
	status = trit_vocab_init(&v, model, pre, (size_t)tokens->n, merges ? (size_t)merges->n : 0,
	                         text_bytes(tokens) + text_bytes(merges), err);
	v.ranked = ranked;
	if (status == 0)
		status = read_pieces(tokens, types, &v, err);
	if (status == 0 && merges)
		status = read_merges(merges, &v, err);
	if (status == 0 && scores)
		status = read_scores(scores, &v, err);
	if (status == 0)
		status = read_specials(g, &v, err);
	if (status == 0)
		status = read_settings(g, &v, err);
	if (status == 0)
		status = read_charsmap(g, &v, err);
	if (status == 0)
		status = read_chat_template(g, &v, err);
	if (status < 0) {
		trit_vocab_release(&v);
		return status;
	}
	*out = v;
	return 0;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static int put_strings(struct trit_gguf_writer *w, const char *key, int n, const struct trit_piece *pieces,
                       struct trit_error *err)
{
	int status = trit_gguf_put_strings(w, key, (uint64_t)n, err);

	for (int i = 0; status == 0 && i < n; i++)
		status = trit_gguf_put_strings_item(w, pieces[i].len, pieces[i].text, err);
	return status;
}

/* Numbers of each token, written as little-endian 32-bit words. */
static int put_numbers(struct trit_gguf_writer *w, const struct trit_vocab *v, struct trit_error *err)
{
	unsigned char *words = trit_calloc((size_t)v->n_tokens, 4);
	int status = 0;

	if (!words)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to write %d tokens", v->n_tokens);
	if (v->scores) {
		for (int i = 0; i < v->n_tokens; i++)
			trit_put32(words + 4 * (size_t)i, trit_f32_bits(v->scores[i]));
		status = trit_gguf_put_array(w, KEY("scores"), TRIT_GGUF_F32, (uint64_t)v->n_tokens, words, err);
	}
	for (int i = 0; i < v->n_tokens; i++)
		trit_put32(words + 4 * (size_t)i, v->pieces[i].type);
	if (status == 0)
		status = trit_gguf_put_array(w, KEY("token_type"), TRIT_GGUF_I32, (uint64_t)v->n_tokens, words, err);
	trit_free(words);
	return status;
}

static int put_specials(struct trit_gguf_writer *w, const struct trit_vocab *v, struct trit_error *err)
{
	int status = 0;

	for (size_t i = 0; i < N_SPECIALS && status == 0; i++) {
		trit_token id = *(const trit_token *)(const void *)((const char *)v + specials[i].place);

		if (id >= 0 || default_special(&specials[i], v) >= 0)
			status = trit_gguf_put_u32(w, specials[i].key, id < 0 ? NO_TOKEN : (uint32_t)id, err);
	}
	return status;
}

/* Byte-level BPE has only those about BOS and EOS; what is false unless it is said, is not said. */
static int put_settings(struct trit_gguf_writer *w, const struct trit_vocab *v, struct trit_error *err)
{
	int status = 0;

	for (size_t i = 0; i < N_SETTINGS && status == 0; i++) {
		bool setting = *(const bool *)(const void *)((const char *)v + settings[i].place);
		bool always = settings[i].place == offsetof(struct trit_vocab, add_bos) ||
		              settings[i].place == offsetof(struct trit_vocab, add_eos);

		if (always || setting != default_setting(&settings[i], v))
			status = trit_gguf_put_bool(w, settings[i].key, setting, err);
	}
	if (status == 0 && v->charsmap_bytes > 0)
		status = trit_gguf_put_array(w, KEY("precompiled_charsmap"), TRIT_GGUF_U8, v->charsmap_bytes, v->charsmap, err);
	return status;
}

int trit_gguf_put_vocab(struct trit_gguf_writer *w, const struct trit_vocab *v, struct trit_error *err)
{
	const char *model = !v ? NO_VOCAB : v->ranked ? RANKED : v->model;
	int status = trit_gguf_put_string(w, KEY("model"), strlen(model), model, err);

	if (!v)
		return status;
	if (status == 0 && v->pre[0])
		status = trit_gguf_put_string(w, KEY("pre"), strlen(v->pre), v->pre, err);
	if (status == 0)
		status = put_strings(w, KEY("tokens"), v->n_tokens, v->pieces, err);
	if (status == 0)
		status = put_numbers(w, v, err);
	if (status == 0 && (v->n_merges > 0 || strcmp(v->model, "gpt2") == 0))
		status = put_strings(w, KEY("merges"), v->n_merges, v->merges, err);
	if (status == 0)
		status = put_specials(w, v, err);
	if (status == 0)
		status = put_settings(w, v, err);
	if (status == 0 && v->chat_template)
		status = trit_gguf_put_string(w, "tokenizer.chat_template", strlen(v->chat_template), v->chat_template,
		                              err);
	return status;
}
