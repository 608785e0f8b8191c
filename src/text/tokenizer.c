/*
 * tokenizer.c - builds a tokenizer from a vocabulary, checking all of it; the queries on single tokens.
 *
 * What is checked here is what encoding relies on. Of byte-level BPE: 256 byte tokens, and merges whose result is, byte
 * for byte, its two parts, so that decoding what was encoded always gives the same bytes, whatever vocabulary a file
 * brings. Of the others: a token for everything that is none.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>

#include "base/mem.h"
#include "base/rng.h"
#include "text/alphabet.h"
#include "text/tokenizer_parts.h"
#include "text/wordpiece.h"

/* Names by which models' makers call the token that ends an answer, where no key says which one it is. */
static const char *const end_names[] = {
	"<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",
	"<EOT>", "</s>", "<｜end▁of▁sentence｜>",
};

/* The slot with this text, or the empty one where it belongs. At least half of the slots are empty. */
static uint32_t *find_slot(const struct trit_tokenizer *t, size_t len, const char *text)
{
	uint32_t i = (uint32_t)trit_hash_bytes(0, text, len) & t->text_mask;

	for (; t->by_text[i]; i = (i + 1) & t->text_mask) {
		const struct trit_piece *p = &t->vocab.pieces[t->by_text[i] - 1];

		if (p->len == len && !memcmp(p->text, text, len))
			break;
	}
	return &t->by_text[i];
}

trit_token trit_find_token(const struct trit_tokenizer *t, size_t len, const char *text)
{
	return len > 0 ? (trit_token)*find_slot(t, len, text) - 1 : -1;
}

/* Enters all texts into the hash table. Empty ones (some makers fill up with them) stay out: no text becomes them. */
static int index_texts(struct trit_tokenizer *t, struct trit_error *err)
{
	const struct trit_vocab *v = &t->vocab;
	size_t n = 16;

	while (n < 2 * (size_t)v->n_tokens)
		n *= 2;
	t->by_text = trit_calloc(n, sizeof *t->by_text);
	if (!t->by_text)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d tokens", v->n_tokens);
	t->text_mask = (uint32_t)(n - 1);
	for (int i = 0; i < v->n_tokens; i++) {
		const struct trit_piece *p = &v->pieces[i];
		uint32_t *slot;

		if (p->type == 0)
			return trit_fail(err, TRIT_ERR_FORMAT, "token %d of %d has no text and no type", i,
			                 v->n_tokens);
		if (p->len == 0)
			continue;
		t->longest = p->len > t->longest ? p->len : t->longest;
		t->has_unused = t->has_unused || p->type == TRIT_TOKEN_UNUSED;
		slot = find_slot(t, p->len, p->text);
		if (*slot)
			return trit_fail(err, TRIT_ERR_FORMAT, "token %d has the same text as token %u", i,
			                 (unsigned)*slot - 1);
		*slot = (uint32_t)i + 1;
	}
	return 0;
}

/* The tokens of single bytes. Vocabularies exist that lack some: those that are never part of UTF-8, or that their
 * corpus did not have. Such bytes of a text become the unknown token or, without one, nothing. */
static int find_bytes(struct trit_tokenizer *t, struct trit_error *err)
{
	for (int b = 0; b < 256; b++) {
		const char byte = (char)b;
		char text[2];
		size_t len = trit_alphabet_encode(1, &byte, text);
		trit_token id = trit_find_token(t, len, text);
		int type = id >= 0 ? t->vocab.pieces[id].type : 0;

		if (b > ' ' && b < 0x7f && id < 0)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "no token for byte 0x%02X; a byte-level vocabulary has one for each", b);
		if (b > ' ' && b < 0x7f && type != TRIT_TOKEN_NORMAL)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "token %d, for byte 0x%02X, has type %d; expected %d (normal)", (int)id, b, type,
			                 TRIT_TOKEN_NORMAL);
		if (type != TRIT_TOKEN_NORMAL) /* an added token is the character of that text */
			id = t->vocab.unk;
		t->bytes[b] = id;
		t->lacks_bytes = t->lacks_bytes || id < 0;
	}
	return 0;
}

static size_t decoded_len(const struct trit_tokenizer *t, trit_token id)
{
	return t->starts[id + 1] - t->starts[id];
}

/* Enters merge `rank`, "left right"; `joined` is scratch for the result's text. */
static int add_merge(struct trit_tokenizer *t, int rank, char *joined, struct trit_error *err)
{
	const struct trit_piece *m = &t->vocab.merges[rank];
	const char *space = m->len > 1 ? memchr(m->text + 1, ' ', m->len - 1) : NULL;
	size_t left_len, right_len;
	trit_token left, right, result;

	if (!space)
		return trit_fail(err, TRIT_ERR_FORMAT, "merge %d of %d is not two tokens with a space between", rank,
		                 t->vocab.n_merges);
	left_len = (size_t)(space - m->text);
	right_len = m->len - left_len - 1;
	left = trit_find_token(t, left_len, m->text);
	right = trit_find_token(t, right_len, space + 1);
	memcpy(joined, m->text, left_len);
	memcpy(joined + left_len, space + 1, right_len);
	result = trit_find_token(t, left_len + right_len, joined);
	if (left < 0 || right < 0 || result < 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "merge %d: its %s is not a token of the vocabulary", rank,
		                 left < 0 ? "left part" : right < 0 ? "right part" : "result");
	if (decoded_len(t, left) == 0 || decoded_len(t, right) == 0 ||
	    decoded_len(t, left) + decoded_len(t, right) != decoded_len(t, result))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "merge %d: tokens %d and %d do not make token %d (types %d, %d, %d)", rank, (int)left,
		                 (int)right, (int)result, t->vocab.pieces[left].type, t->vocab.pieces[right].type,
		                 t->vocab.pieces[result].type);
	return trit_bpe_add(&t->bpe, rank, left, right, result, err);
}

static int add_merges(struct trit_tokenizer *t, struct trit_error *err)
{
	char *joined = trit_calloc(2 * TRIT_MAX_TOKEN_BYTES + 1, 1);
	int status = joined ? trit_bpe_init(&t->bpe, t->vocab.n_merges, err)
	                    : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");

	for (int i = 0; i < t->vocab.n_merges && status == 0; i++)
		status = add_merge(t, i, joined, err);
	trit_free(joined);
	return status;
}

static int check_special(const struct trit_vocab *v, struct trit_error *err)
{
	const struct {
		const char *name;
		trit_token id;
	} special[] = {
		{ "BOS", v->bos }, { "EOS", v->eos }, { "EOT", v->eot }, { "unknown", v->unk }, { "padding", v->pad },
		{ "separator", v->sep }, { "class", v->cls }, { "mask", v->mask },
	};

	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		if (special[i].id < -1 || special[i].id >= v->n_tokens)
			return trit_fail(err, TRIT_ERR_FORMAT, "the %s token is %d, but the vocabulary has %d tokens",
			                 special[i].name, (int)special[i].id, v->n_tokens);
	return 0;
}

static int build_bpe(struct trit_tokenizer *t, struct trit_error *err)
{
	int status = find_bytes(t, err);

	if (status == 0)
		status = add_merges(t, err);
	return status;
}

int trit_spm_byte(size_t len, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *high, *low;

	if (len != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
		return -1;
	high = memchr(digits, text[3], 16);
	low = memchr(digits, text[4], 16);
	return high && low ? (int)(high - digits) << 4 | (int)(low - digits) : -1;
}

/* The tokens of bytes: all, or none. */
static int find_spm_bytes(struct trit_tokenizer *t, struct trit_error *err)
{
	const struct trit_vocab *v = &t->vocab;
	bool have[256] = { false };
	int found = 0;

	for (int i = 0; i < v->n_tokens; i++) {
		int byte = v->pieces[i].type == TRIT_TOKEN_BYTE ? trit_spm_byte(v->pieces[i].len, v->pieces[i].text) : 0;

		if (byte < 0)
			return trit_fail(err, TRIT_ERR_FORMAT, "token %d has the type of a byte, but its text is none "
			                 "of <0x00> to <0xFF>", i);
		if (v->pieces[i].type == TRIT_TOKEN_BYTE && !have[byte]) {
			have[byte] = true;
			t->bytes[byte] = i;
			found++;
		}
	}
	t->byte_fallback = found == 256;
	if (found != 0 && found != 256)
		return trit_fail(err, TRIT_ERR_FORMAT, "tokens for %d bytes; a vocabulary has them for all 256 or none", found);
	if (!t->byte_fallback && (v->unk < 0 || v->pieces[v->unk].type != TRIT_TOKEN_UNKNOWN))
		return trit_fail(err, TRIT_ERR_FORMAT, "the vocabulary has neither tokens for bytes nor an unknown token, so "
		                 "that not all text can become tokens");
	return 0;
}

static int build_spm(struct trit_tokenizer *t, struct trit_error *err)
{
	int status = find_spm_bytes(t, err);

	if (status == 0 && (t->vocab.custom || t->vocab.ranked) && t->vocab.n_merges > 0) {
		status = add_merges(t, err);
		t->by_rank = true;
	}
	if (status == 0 && !t->vocab.scores && !t->by_rank)
		status = trit_fail(err, TRIT_ERR_FORMAT, "a SentencePiece vocabulary without scores");
	for (int i = 0; t->vocab.scores && i < t->vocab.n_tokens && status == 0; i++)
		if (!(t->vocab.scores[i] >= -FLT_MAX && t->vocab.scores[i] <= FLT_MAX))
			status = trit_fail(err, TRIT_ERR_FORMAT, "the score of token %d is not a number", i);
	if (status == 0)
		status = trit_spm_text_init(&t->spm_text, &t->vocab, err);
	if (status == 0 && t->kind == TRIT_TOKENIZER_UNIGRAM)
		status = trit_unigram_init(&t->unigram, &t->vocab, err);
	return status;
}

/* What the name of the model says. */
static int find_kind(struct trit_tokenizer *t, struct trit_error *err)
{
	static const char *const names[] = { "gpt2", "llama", "t5", "bert" }; /* by enum trit_tokenizer_kind */

	for (int i = 0; i < 4; i++)
		if (strcmp(t->vocab.model, names[i]) == 0) {
			t->kind = (enum trit_tokenizer_kind)i;
			return 0;
		}
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "a tokenizer of kind \"%.15s\"; this version knows \"gpt2\" (byte-level BPE), \"llama\" and "
	                 "\"t5\" (SentencePiece), \"bert\" (WordPiece)", t->vocab.model);
}

/* The normalizer that the vocabulary spells out, or that belongs to the name of its pre-tokeniser. */
static int make_normalizer(struct trit_tokenizer *t, struct trit_error *err)
{
	const struct trit_normal_step nfc = { .kind = TRIT_NORMAL_NFC };
	const struct trit_vocab *v = &t->vocab;

	if (v->n_normal > 0)
		return trit_normalizer_new(&t->normalizer, v, v->n_normal, v->normal, err);
	if (t->kind == TRIT_TOKENIZER_BPE && !v->custom && trit_pretok_traits(v->pre) & TRIT_PRETOK_NFC)
		return trit_normalizer_new(&t->normalizer, v, 1, &nfc, err);
	return 0;
}

static int build(struct trit_tokenizer *t, struct trit_error *err)
{
	const unsigned user = t->vocab.inline_user ? 0 : 1u << TRIT_TOKEN_USER;
	const unsigned all = user | 1u << TRIT_TOKEN_CONTROL | 1u << TRIT_TOKEN_UNKNOWN;
	int status = find_kind(t, err);

	if (status == 0 && t->kind == TRIT_TOKENIZER_BPE)
		status = t->vocab.custom ? trit_pretok_new_custom(&t->pretok, t->vocab.n_splits, t->vocab.splits, err)
		                         : trit_pretok_new(&t->pretok, t->vocab.pre, err);
	if (status == 0)
		status = make_normalizer(t, err);
	if (status == 0)
		status = check_special(&t->vocab, err);
	if (status == 0)
		status = index_texts(t, err);
	if (status == 0)
		status = trit_decode_texts(t, err);
	if (status == 0)
		status = t->kind == TRIT_TOKENIZER_BPE         ? build_bpe(t, err)
		         : t->kind == TRIT_TOKENIZER_WORDPIECE ? trit_wordpiece_init(&t->wordpiece, &t->vocab, err)
		                                          : build_spm(t, err);
	if (status == 0)
		status = trit_special_init(&t->user, &t->vocab, user, err);
	if (status == 0)
		status = trit_special_init(&t->all, &t->vocab, all, err);
	if (status == 0 && t->kind == TRIT_TOKENIZER_BPE)
		t->ignores_merges = t->vocab.custom ? t->vocab.ignore_merges
		                                    : trit_pretok_traits(t->vocab.pre) & TRIT_PRETOK_WHOLE_WORDS;
	return status;
}

int trit_tokenizer_new(struct trit_tokenizer **out, struct trit_vocab *take_vocab, struct trit_error *err)
{
	struct trit_tokenizer *t = trit_calloc(1, sizeof *t);
	int status;

	if (!t) {
		trit_vocab_release(take_vocab);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");
	}
	t->vocab = *take_vocab;
	*take_vocab = (struct trit_vocab){ 0 };
	status = build(t, err);
	if (status < 0) {
		trit_tokenizer_free(t);
		return status;
	}
	*out = t;
	return 0;
}

void trit_tokenizer_free(struct trit_tokenizer *t)
{
	if (!t)
		return;
	trit_vocab_release(&t->vocab);
	trit_free(t->by_text);
	trit_free(t->decoded);
	trit_free(t->starts);
	trit_bpe_release(&t->bpe);
	trit_normalizer_free(t->normalizer);
	trit_pretok_free(t->pretok);
	trit_spm_text_release(&t->spm_text);
	trit_unigram_release(&t->unigram);
	trit_trie_release(&t->wordpiece);
	trit_special_release(&t->user);
	trit_special_release(&t->all);
	trit_free(t);
}

const struct trit_vocab *trit_tokenizer_vocab(const struct trit_tokenizer *t)
{
	return &t->vocab;
}

const char *trit_decode_token(const struct trit_tokenizer *t, trit_token id, size_t *len)
{
	*len = decoded_len(t, id);
	return t->decoded + t->starts[id];
}

int trit_is_end_token(const struct trit_tokenizer *t, trit_token id)
{
	const struct trit_vocab *v = &t->vocab;
	const struct trit_piece *p = &v->pieces[id];

	if (id == v->eos || id == v->eot)
		return 1;
	if (p->type != TRIT_TOKEN_CONTROL && p->type != TRIT_TOKEN_USER)
		return 0;
	for (size_t i = 0; i < sizeof end_names / sizeof *end_names; i++)
		if (strlen(end_names[i]) == p->len && !memcmp(end_names[i], p->text, p->len))
			return 1;
	return 0;
}

int trit_is_turn_token(const struct trit_tokenizer *t, trit_token id)
{
	static const char *const beginnings[] = { "<|", "<｜", "<start_of_turn>", "<s>", "[INST]", "[/INST]", "[TOOL_",
		                                  "[AVAILABLE_", "[SYSTEM_" };
	const struct trit_piece *p = &t->vocab.pieces[id];

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (p->len >= strlen(beginnings[i]) && !memcmp(beginnings[i], p->text, strlen(beginnings[i])))
			return 1;
	return trit_is_end_token(t, id);
}
