/*
 * spm_text.c - SentencePiece's preparation of a text; cutting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "base/rng.h"
#include "text/pretok.h"
#include "text/spm_text.h"
#include "text/utf8.h"

#define PAIR_BITS 19 /* 64 KiB; a vocabulary of 32,000 tokens has some 20,000 pairs */

/* ---- cutting ---------------------------------------------------------------------------------------------------- */

static uint32_t pack(size_t n, const char *character)
{
	uint32_t packed = 0;

	memcpy(&packed, character, n);
	return packed;
}

/* Which bit stands for a pair of characters. */
static uint32_t pair_bit(uint32_t left, uint32_t right)
{
	uint64_t h = left * 0x9e3779b97f4a7c15 ^ right * 0xc2b2ae3d27d4eb4f;

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	return (uint32_t)(h >> (64 - PAIR_BITS));
}

static void note_pairs(uint64_t *pairs, size_t len, const char *text)
{
	uint32_t left = 0;

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t right, bit;

		n = trit_utf8_stride(len - i, text + i);
		right = pack(n, text + i);
		bit = pair_bit(left, right);
		if (i > 0)
			pairs[bit / 64] |= (uint64_t)1 << bit % 64;
		left = right;
	}
}

/* The length of the word, which ends before a user-defined symbol unless `symbols` is NULL. */
static size_t word_length(const struct trit_spm_text *t, const struct trit_special *symbols, size_t len,
                          const char *text)
{
	size_t i = trit_utf8_stride(len, text);
	uint32_t left = pack(i, text);

	while (i < len && i < TRIT_MAX_WORD_BYTES) {
		size_t n = trit_utf8_stride(len - i, text + i);
		uint32_t right = pack(n, text + i), bit = pair_bit(left, right);

		if (!(t->pairs[bit / 64] >> bit % 64 & 1))
			break;
		if (symbols && trit_special_match(symbols, t->vocab, len - i, text + i) >= 0)
			break;
		left = right;
		i += n;
	}
	return i;
}

size_t trit_spm_word(const struct trit_spm_text *t, size_t len, const char *text, trit_token *symbol)
{
	const struct trit_special *symbols = t->user.n > 0 ? &t->user : NULL;

	*symbol = symbols ? trit_special_match(symbols, t->vocab, len, text) : -1;
	return *symbol >= 0 ? t->vocab->pieces[*symbol].len : word_length(t, symbols, len, text);
}

size_t trit_spm_span(const struct trit_spm_text *t, size_t len, const char *text)
{
	return word_length(t, NULL, len, text);
}

int trit_spm_text_init(struct trit_spm_text *t, const struct trit_vocab *vocab, struct trit_error *err)
{
	int status = 0;

	*t = (struct trit_spm_text){ .vocab = vocab };
	t->pairs = trit_calloc((size_t)1 << (PAIR_BITS - 6), sizeof *t->pairs);
	if (!t->pairs)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");
	for (int i = 0; i < vocab->n_tokens; i++)
		note_pairs(t->pairs, vocab->pieces[i].len, vocab->pieces[i].text);
	if (vocab->inline_user)
		status = trit_special_init(&t->user, vocab, 1u << TRIT_TOKEN_USER, err);
	if (status == 0 && vocab->charsmap_bytes > 0 && !vocab->custom)
		status = trit_charsmap_init(&t->charsmap, vocab->charsmap_bytes, vocab->charsmap, err);
	return status;
}

void trit_spm_text_release(struct trit_spm_text *t)
{
	if (!t)
		return;
	trit_free(t->pairs);
	trit_special_release(&t->user);
	*t = (struct trit_spm_text){ 0 };
}

/* ---- preparing -------------------------------------------------------------------------------------------------- */

/* What the beginning of the text becomes; returns how many bytes of it that are. */
static size_t replace(const struct trit_spm_text *t, size_t len, const char *text, const char **by, size_t *by_len)
{
	trit_token symbol = t->user.n > 0 ? trit_special_match(&t->user, t->vocab, len, text) : -1;
	size_t consumed = symbol < 0 ? trit_charsmap_match(&t->charsmap, len, text, by, by_len) : 0;
	int n;

	if (consumed > 0)
		return consumed;
	n = symbol >= 0 ? (int)t->vocab->pieces[symbol].len : trit_utf8_check(len, text);
	if (n > 0) {
		*by = text;
		*by_len = (size_t)n;
		return (size_t)n;
	}
	*by = "\xef\xbf\xbd";
	*by_len = 3;
	return 1;
}

static int put_space(const struct trit_spm_text *t, struct trit_buf *out, struct trit_error *err)
{
	return t->vocab->plain_spaces ? trit_buf_append(out, 1, " ", err)
	                              : trit_buf_append(out, strlen(TRIT_SPM_SPACE), TRIT_SPM_SPACE, err);
}

/* Appends bytes, spaces in their own spelling. */
static int put(const struct trit_spm_text *t, size_t len, const char *bytes, struct trit_buf *out,
               struct trit_error *err)
{
	int status = 0;

	while (len > 0 && status == 0) {
		const char *space = memchr(bytes, ' ', len);
		size_t n = space ? (size_t)(space - bytes) : len;

		if (n > 0)
			status = trit_buf_append(out, n, bytes, err);
		if (space && status == 0)
			status = put_space(t, out, err);
		n += space != NULL;
		bytes += n;
		len -= n;
	}
	return status;
}

/* A vocabulary with a normalizer of its own (text/normal) has done these two before. */
static bool squeezes(const struct trit_vocab *v)
{
	return v->squeeze_spaces && !v->custom;
}

static bool adds_space(const struct trit_vocab *v)
{
	return v->space_prefix && !v->custom;
}

/* Appends all of the text, dropping spaces that follow a space if those are to be squeezed. What is copied as it stands
 * is copied in runs: `from` is where the present one begins. */
static int put_text(const struct trit_spm_text *t, size_t len, const char *text, struct trit_buf *out,
                    struct trit_error *err)
{
	bool squeeze = squeezes(t->vocab), after_space = squeeze;
	size_t from = 0, i = 0;
	int status = 0;

	while (i < len && status == 0) {
		const char *by = NULL;
		size_t by_len = 0, dropped = 0, n = replace(t, len - i, text + i, &by, &by_len);

		while (after_space && dropped < by_len && by[dropped] == ' ')
			dropped++;
		if (dropped < by_len)
			after_space = squeeze && by[by_len - 1] == ' ';
		if (by != text + i || dropped > 0) {
			status = put(t, i - from, text + from, out, err);
			if (status == 0)
				status = put(t, by_len - dropped, by + dropped, out, err);
			from = i + n;
		}
		i += n;
	}
	return status == 0 ? put(t, len - from, text + from, out, err) : status;
}

int trit_spm_prepare(const struct trit_spm_text *t, size_t len, const char *text, struct trit_buf *out,
                     struct trit_error *err)
{
	const struct trit_vocab *v = t->vocab;
	const char *space = v->plain_spaces ? " " : TRIT_SPM_SPACE;
	size_t i = 0, n = strlen(space);
	int status = 0;

	trit_buf_reset(out);
	while (squeezes(v) && i < len) {
		const char *by = NULL;
		size_t by_len = 0, consumed = replace(t, len - i, text + i, &by, &by_len);

		if (by_len != 1 || by[0] != ' ')
			break;
		i += consumed;
	}
	if (i == len)
		return 0; /* nothing, or nothing but spaces: no tokens */
	if (adds_space(v) && !v->space_suffix)
		status = put_space(t, out, err);
	if (status == 0)
		status = put_text(t, len - i, text + i, out, err);
	while (squeezes(v) && out->len >= n && !memcmp(out->data + out->len - n, space, n))
		out->data[out->len -= n] = 0;
	if (status == 0 && adds_space(v) && v->space_suffix)
		status = put_space(t, out, err);
	return status;
}
