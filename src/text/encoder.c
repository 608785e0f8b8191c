/*
 * encoder.c - text to tokens: special tokens, words, a cache of words, and each kind's way to encode a word.
 *
 * Natural text repeats its words, so most words are answered by the cache: a table of fixed size in which a word has
 * one place, given by its hash, and the last one stays. It holds short words only, one per cache line:
 *
 *     | 24 bytes of word, rest 0 | length | tokens | 2 unused | up to 9 tokens |     64 bytes
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/alphabet.h"
#include "text/spm.h"
#include "text/tokenizer_parts.h"
#include "text/wordpiece.h"

#define CACHE_SLOTS (1 << 15) /* 2 MiB */
#define CACHE_BYTES 24
#define CACHE_TOKENS 9

struct slot {
	uint64_t word[CACHE_BYTES / 8];
	uint8_t len; /* 0: empty */
	uint8_t n_tokens;
	trit_token tokens[CACHE_TOKENS];
};

struct trit_encoder {
	const struct trit_tokenizer *tokenizer;
	struct trit_cutter *cutter; /* byte-level BPE only */
	struct slot *cache;  /* [CACHE_SLOTS] */
	trit_token *tokens;  /* [capacity], of the word at hand */
	size_t capacity;
	struct trit_bpe_work work;
	struct trit_spm_work spm;
	struct trit_unigram_work unigram;
	struct trit_buf prepared; /* the text that SentencePiece or WordPiece cuts */
	bool after_unknown;       /* the unknown token was the last: SentencePiece has only one in a row */
	struct trit_normal_work normal;
};

/* ---- lists of tokens -------------------------------------------------------------------------------------------- */

void trit_tokens_init(struct trit_tokens *l, size_t max)
{
	*l = (struct trit_tokens){ .max = max };
}

void trit_tokens_release(struct trit_tokens *l)
{
	if (!l)
		return;
	trit_free(l->data);
	*l = (struct trit_tokens){ .max = l->max };
}

static int append(struct trit_tokens *l, size_t n, const trit_token *ids, struct trit_error *err)
{
	if (n > l->max - l->len)
		return trit_fail(err, TRIT_ERR_LIMIT, "more than %zu tokens, which is the limit here", l->max);
	if (n > l->cap - l->len) {
		size_t need = l->len + n, cap = l->cap ? l->cap : 64;
		trit_token *data;

		while (cap < need)
			cap = cap <= SIZE_MAX / 2 ? 2 * cap : need;
		data = trit_realloc(l->data, l->cap * sizeof *data, cap, sizeof *data);
		if (!data)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", cap);
		l->data = data;
		l->cap = cap;
	}
	for (size_t i = 0; i < n; i++)
		l->data[l->len + i] = ids[i];
	l->len += n;
	return 0;
}

int trit_tokens_append(struct trit_tokens *l, trit_token id, struct trit_error *err)
{
	return append(l, 1, &id, err);
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

int trit_encoder_new(struct trit_encoder **out, const struct trit_tokenizer *t, struct trit_error *err)
{
	struct trit_encoder *e = trit_calloc(1, sizeof *e);
	int status;

	if (!e)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an encoder");
	e->tokenizer = t;
	e->capacity = 256;
	e->tokens = trit_calloc(e->capacity, sizeof *e->tokens);
	e->cache = trit_calloc(CACHE_SLOTS, sizeof *e->cache);
	trit_buf_init(&e->prepared, SIZE_MAX / 2);
	if (e->tokens && e->cache)
		status = t->kind == TRIT_TOKENIZER_BPE ? trit_cutter_new(&e->cutter, t->pretok, err) : 0;
	else
		status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for an encoder");
	if (status < 0) {
		trit_encoder_free(e);
		return status;
	}
	*out = e;
	return 0;
}

void trit_encoder_free(struct trit_encoder *e)
{
	if (!e)
		return;
	trit_cutter_free(e->cutter);
	trit_free(e->cache);
	trit_free(e->tokens);
	trit_bpe_work_release(&e->work);
	trit_spm_work_release(&e->spm);
	trit_unigram_work_release(&e->unigram);
	trit_buf_release(&e->prepared);
	trit_normal_work_release(&e->normal);
	trit_free(e);
}

/* The place of a word of at most CACHE_BYTES bytes, whose zero-padded bytes go to word. */
static struct slot *cache_slot(const struct trit_encoder *e, size_t len, const char *bytes, uint64_t word[3])
{
	uint64_t h;

	word[0] = word[1] = word[2] = 0;
	memcpy(word, bytes, len);
	h = word[0] * 0x9e3779b97f4a7c15 ^ (word[1] + len) * 0xc2b2ae3d27d4eb4f ^ word[2] * 0x165667b19e3779f9;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	return &e->cache[(h >> 40) % CACHE_SLOTS];
}

/* The token that a whole word is, or -1. */
static trit_token whole_word(const struct trit_tokenizer *t, size_t len, const char *bytes)
{
	char text[TRIT_MAX_TOKEN_BYTES];
	trit_token id;

	if (len > sizeof text / 2)
		return -1; /* its text has up to twice as many bytes */
	id = trit_find_token(t, trit_alphabet_encode(len, bytes, text), text);
	return id >= 0 && t->vocab.pieces[id].type == TRIT_TOKEN_NORMAL ? id : -1;
}

/* Room for the tokens of a word, of which there are never more than bytes. */
static int reserve(struct trit_encoder *e, size_t len, struct trit_error *err)
{
	size_t capacity = e->capacity;
	trit_token *tokens;

	if (len <= capacity)
		return 0;
	while (capacity < len)
		capacity *= 2; /* ends: words have little more than TRIT_MAX_WORD_BYTES */
	tokens = trit_calloc(capacity, sizeof *tokens);
	if (!tokens)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a word of %zu bytes", len);
	trit_free(e->tokens);
	e->tokens = tokens;
	e->capacity = capacity;
	return 0;
}

/* Leaves out the bytes that have no token. Returns how many are left. */
static size_t drop_missing(size_t len, trit_token *tokens)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (tokens[i] >= 0)
			tokens[n++] = tokens[i];
	return n;
}

static int encode_byte_level(struct trit_encoder *e, size_t len, const char *bytes, size_t *n, struct trit_error *err)
{
	const struct trit_tokenizer *t = e->tokenizer;

	if (t->ignores_merges) {
		e->tokens[0] = whole_word(t, len, bytes);
		if (e->tokens[0] >= 0) {
			*n = 1;
			return 0;
		}
	}
	for (size_t i = 0; i < len; i++)
		e->tokens[i] = t->bytes[(unsigned char)bytes[i]];
	if (t->lacks_bytes)
		len = drop_missing(len, e->tokens);
	return trit_bpe_merge(&t->bpe, &e->work, e->tokens, len, n, err);
}

/* A word of SentencePiece's characters merged by rank, as the tokenizers library does. */
static int encode_by_rank(struct trit_encoder *e, size_t len, const char *text, size_t *n_out, struct trit_error *err)
{
	const struct trit_tokenizer *t = e->tokenizer;
	size_t n = 0;

	for (size_t i = 0, step; i < len; i += step) {
		trit_token id;

		step = trit_utf8_stride(len - i, text + i);
		id = trit_find_token(t, step, text + i);
		if (id >= 0 && t->vocab.pieces[id].type == TRIT_TOKEN_NORMAL)
			e->tokens[n++] = id;
		else
			n = trit_spm_put_unknown(t, step, text + i, e->tokens, n);
	}
	return trit_bpe_merge(&t->bpe, &e->work, e->tokens, n, n_out, err);
}

/* A word's tokens into e->tokens. */
static int encode_word(struct trit_encoder *e, size_t len, const char *bytes, size_t *n, struct trit_error *err)
{
	const struct trit_tokenizer *t = e->tokenizer;
	int status = reserve(e, len, err);

	if (status < 0)
		return status;
	switch (t->kind) {
	case TRIT_TOKENIZER_SPM:
		if (t->by_rank)
			return encode_by_rank(e, len, bytes, n, err);
		return trit_spm_encode(t, &e->spm, len, bytes, e->tokens, n, err);
	case TRIT_TOKENIZER_UNIGRAM:
		return trit_unigram_encode(t, &e->unigram, len, bytes, e->tokens, n, err);
	case TRIT_TOKENIZER_WORDPIECE:
		*n = trit_wordpiece_encode(t, len, bytes, e->tokens);
		return 0;
	default:
		return encode_byte_level(e, len, bytes, n, err);
	}
}

/* Appends the tokens of a word, of SentencePiece without an unknown token that follows another. */
static int append_tokens(struct trit_encoder *e, size_t n, const trit_token *ids, struct trit_tokens *out,
                         struct trit_error *err)
{
	trit_token unknown = e->tokenizer->vocab.unk;
	bool skip = e->after_unknown && n > 0 && ids[0] == unknown;

	if (e->tokenizer->kind == TRIT_TOKENIZER_SPM || e->tokenizer->kind == TRIT_TOKENIZER_UNIGRAM)
		e->after_unknown = !e->tokenizer->byte_fallback && n > 0 && ids[n - 1] == unknown;
	return append(out, n - skip, ids + skip, err);
}

static int append_word(struct trit_encoder *e, size_t len, const char *bytes, struct trit_tokens *out,
                       struct trit_error *err)
{
	uint64_t word[CACHE_BYTES / 8];
	struct slot *slot = NULL;
	size_t n;
	int status;

	if (len <= CACHE_BYTES && e->tokenizer->kind != TRIT_TOKENIZER_UNIGRAM) { /* that one's depend on the sum so far */
		slot = cache_slot(e, len, bytes, word);
		if (slot->len == len && !memcmp(slot->word, word, sizeof word))
			return append_tokens(e, slot->n_tokens, slot->tokens, out, err);
	}
	status = encode_word(e, len, bytes, &n, err);
	if (status < 0)
		return status;
	if (slot && n <= CACHE_TOKENS) {
		memcpy(slot->word, word, sizeof word);
		slot->len = (uint8_t)len;
		slot->n_tokens = (uint8_t)n;
		memcpy(slot->tokens, e->tokens, n * sizeof *e->tokens);
	}
	return append_tokens(e, n, e->tokens, out, err);
}

/* A word of length 0 at the end. */
static size_t next_word(const struct trit_buf *prepared, size_t from)
{
	const char *space = from < prepared->len ? memchr(prepared->data + from, ' ', prepared->len - from) : NULL;

	return space ? (size_t)(space - prepared->data) - from : 0;
}

static int append_wordpiece(struct trit_encoder *e, size_t len, const char *text, struct trit_tokens *out,
                            struct trit_error *err)
{
	int status = trit_wordpiece_prepare(&e->tokenizer->vocab, len, text, &e->prepared, err);

	for (size_t i = 0, n; status == 0 && (n = next_word(&e->prepared, i)) > 0; i += n + 1)
		status = append_word(e, n, e->prepared.data + i, out, err);
	return status;
}

static int append_spm(struct trit_encoder *e, size_t len, const char *text, struct trit_tokens *out,
                      struct trit_error *err)
{
	const struct trit_spm_text *t = &e->tokenizer->spm_text;
	int status = trit_spm_prepare(t, len, text, &e->prepared, err);

	e->after_unknown = false;
	e->unigram.sum = 0;
	for (size_t i = 0, n; status == 0 && i < e->prepared.len; i += n) {
		const char *word = e->prepared.data + i;
		size_t rest = e->prepared.len - i;
		trit_token symbol = -1;

		n = e->tokenizer->kind == TRIT_TOKENIZER_SPM ? trit_spm_word(t, rest, word, &symbol)
		                                             : trit_spm_span(t, rest, word);
		status = symbol >= 0 ? append_tokens(e, 1, &symbol, out, err) : append_word(e, n, word, out, err);
	}
	return status;
}

static int append_byte_level(struct trit_encoder *e, size_t len, const char *text, struct trit_tokens *out,
                             struct trit_error *err)
{
	const char *word;
	size_t word_len;
	int status;

	trit_cutter_start(e->cutter, len, text);
	while ((status = trit_cutter_next(e->cutter, &word, &word_len, err)) > 0) {
		status = append_word(e, word_len, word, out, err);
		if (status < 0)
			break;
	}
	return status;
}

/* Text without special tokens; first: nothing comes before it. */
static int append_text(struct trit_encoder *e, bool first, size_t len, const char *text, struct trit_tokens *out,
                       struct trit_error *err)
{
	if (e->tokenizer->normalizer) {
		int status = trit_normalize(e->tokenizer->normalizer, &e->normal, first, len, text, &len, &text, err);

		if (status < 0)
			return status;
	}
	if (len == 0)
		return 0;
	switch (e->tokenizer->kind) {
	case TRIT_TOKENIZER_SPM:
	case TRIT_TOKENIZER_UNIGRAM:
		return append_spm(e, len, text, out, err);
	case TRIT_TOKENIZER_WORDPIECE:
		return append_wordpiece(e, len, text, out, err);
	default:
		return append_byte_level(e, len, text, out, err);
	}
}

/* What the makers ask to have after a text: EOS, else a separator. */
static trit_token last_token(const struct trit_vocab *v)
{
	return v->add_eos && v->eos >= 0 ? v->eos : v->add_sep ? v->sep : -1;
}

/* The special token that begins at byte i of a marked text, or -1: none whose text has a marked byte in it, but for
 * user-defined ones that are no part of a conversation's form. */
static trit_token match_marked(const struct trit_tokenizer *t, size_t len, const char *text, const char *marks,
                               size_t i)
{
	size_t most = len - i < t->longest ? len - i : t->longest;
	const char *marked = memchr(marks + i, 1, most);
	size_t own = marked ? (size_t)(marked - marks) - i : most;
	trit_token id = own > 0 ? trit_special_match(&t->all, &t->vocab, own, text + i) : -1, user = -1;

	if (own < most)
		user = trit_special_match(&t->user, &t->vocab, most, text + i);
	if (user >= 0 && t->vocab.pieces[user].len > own && trit_is_turn_token(t, user))
		return id;
	return id < 0 || (user >= 0 && t->vocab.pieces[user].len > t->vocab.pieces[id].len) ? user : id;
}

/* As trit_special_find, for what `flags` and marks (NULL: none) allow. */
static trit_token find_special(const struct trit_tokenizer *t, size_t len, const char *text, const char *marks,
                               unsigned flags, size_t from, size_t *at, size_t *end)
{
	const struct trit_special *special = flags & TRIT_TOKENIZE_SPECIAL ? &t->all : &t->user;

	if (!marks)
		return trit_special_find(special, &t->vocab, len, text, from, at, end);
	for (size_t i = from; i < len; i++) {
		unsigned c = (unsigned char)text[i];
		trit_token id = -1;

		if (t->all.n > 0 && t->all.first[c] < t->all.first[c + 1])
			id = match_marked(t, len, text, marks, i);
		*at = i;
		if (id >= 0 && trit_special_fits(&t->vocab.pieces[id], len, text, from, at, end))
			return id;
	}
	*at = len;
	return -1;
}

int trit_encode(struct trit_encoder *e, size_t len, const char *text, unsigned flags, struct trit_tokens *out,
                struct trit_error *err)
{
	return trit_encode_marked(e, len, text, NULL, flags, out, err);
}

int trit_encode_marked(struct trit_encoder *e, size_t len, const char *text, const char *marks, unsigned flags,
                       struct trit_tokens *out, struct trit_error *err)
{
	const struct trit_tokenizer *t = e->tokenizer;
	size_t len_before = out->len, from = 0;
	int status = 0;

	if (flags & TRIT_TOKENIZE_BOS && t->vocab.add_bos && t->vocab.bos >= 0)
		status = trit_tokens_append(out, t->vocab.bos, err);
	while (from < len && status == 0) {
		size_t at = len, end = len;
		trit_token id = find_special(t, len, text, marks, flags, from, &at, &end);

		status = append_text(e, from == 0, at - from, text + from, out, err);
		if (id < 0)
			break;
		if (status == 0)
			status = trit_tokens_append(out, id, err);
		from = end;
	}
	if (status == 0 && flags & TRIT_TOKENIZE_EOS && last_token(&t->vocab) >= 0)
		status = trit_tokens_append(out, last_token(&t->vocab), err);
	if (status < 0)
		out->len = len_before;
	return status;
}
