/*
 * detokenizer.c - the texts of tokens, and their order in a text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/alphabet.h"
#include "text/detokenizer.h"
#include "text/spm_text.h"
#include "text/tokenizer_parts.h"

#define SPM_UNKNOWN " \xe2\x81\x87 " /* U+2047, what SentencePiece writes for the unknown token */
#define WORD_PART "##"               /* of a continuation, which in GGUF goes without it */

static size_t copy(size_t len, const char *text, char *out)
{
	if (len > 0)
		memcpy(out, text, len);
	return len;
}

/* Text with U+2581 for spaces. */
static size_t decode_spaces(size_t len, const char *text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		bool space = len - i >= 3 && !memcmp(text + i, TRIT_SPM_SPACE, 3);

		out[n++] = space ? ' ' : text[i];
		i += space ? 3 : 1;
	}
	return n;
}

static size_t decode_byte_level(const struct trit_piece *p, char *out)
{
	if (p->type == TRIT_TOKEN_NORMAL || p->type == TRIT_TOKEN_BYTE)
		return trit_alphabet_decode(p->len, p->text, out);
	return p->type == TRIT_TOKEN_USER ? copy(p->len, p->text, out) : 0;
}

static size_t decode_spm(const struct trit_piece *p, char *out)
{
	if (TRIT_TEXT_TYPES >> p->type & 1)
		return decode_spaces(p->len, p->text, out);
	if (p->type == TRIT_TOKEN_BYTE && trit_spm_byte(p->len, p->text) >= 0) {
		*out = (char)trit_spm_byte(p->len, p->text);
		return 1;
	}
	return p->type == TRIT_TOKEN_UNKNOWN ? copy(strlen(SPM_UNKNOWN), SPM_UNKNOWN, out) : 0;
}

/* A word begins with a space, but not before these, as in Hugging Face's decoder. */
static size_t decode_wordpiece(const struct trit_piece *p, char *out)
{
	static const char *const close[] = { ".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re" };
	size_t n, skip = 0;

	if (!(TRIT_TEXT_TYPES >> p->type & 1))
		return 0;
	n = decode_spaces(p->len, p->text, out);
	for (size_t i = 0; n > 1 && out[0] == ' ' && i < sizeof close / sizeof *close; i++)
		if (n - 1 >= strlen(close[i]) && !memcmp(out + 1, close[i], strlen(close[i])))
			skip = 1;
	memmove(out, out + skip, n - skip);
	return n - skip;
}

int trit_decode_texts(struct trit_tokenizer *t, struct trit_error *err)
{
	const struct trit_vocab *v = &t->vocab;
	size_t room = v->bytes.len + 1, used = 0;

	/* No token is longer than its text but an unknown one, of which there may be many. */
	for (int i = 0; i < v->n_tokens; i++)
		room += v->pieces[i].type == TRIT_TOKEN_UNKNOWN ? strlen(SPM_UNKNOWN) : 0;
	t->decoded = trit_calloc(room, 1);
	t->starts = trit_calloc((size_t)v->n_tokens + 1, sizeof *t->starts);
	if (!t->decoded || !t->starts)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d tokens", v->n_tokens);
	for (int i = 0; i < v->n_tokens; i++) {
		const struct trit_piece *p = &v->pieces[i];
		char *out = t->decoded + used;

		t->starts[i] = used;
		if (p->len > room - 1 - used)
			return trit_fail(err, TRIT_ERR_FORMAT, "token %d: its text overlaps another's", i);
		used += t->kind == TRIT_TOKENIZER_BPE         ? decode_byte_level(p, out)
		        : t->kind == TRIT_TOKENIZER_WORDPIECE ? decode_wordpiece(p, out)
		                                         : decode_spm(p, out);
	}
	t->starts[v->n_tokens] = used;
	return 0;
}

/* ---- one after the other ---------------------------------------------------------------------------------------- */

void trit_detokenizer_init(struct trit_detokenizer *d, const struct trit_tokenizer *t, bool at_start)
{
	*d = (struct trit_detokenizer){ .tokenizer = t, .at_start = at_start };
	d->utf8.each_byte = t->kind == TRIT_TOKENIZER_SPM || t->kind == TRIT_TOKENIZER_UNIGRAM;
}

size_t trit_detokenizer_room(const struct trit_tokenizer *t)
{
	size_t longest = 0;

	for (int i = 0; i < t->vocab.n_tokens; i++)
		longest = t->starts[i + 1] - t->starts[i] > longest ? t->starts[i + 1] - t->starts[i] : longest;
	return 3 * (longest + 4);
}

/* SentencePiece takes the first space of a text away, and all at its beginning where it squeezes them. */
static size_t feed_spm(struct trit_detokenizer *d, const struct trit_piece *p, size_t len, const char *bytes, char *out)
{
	const struct trit_vocab *v = &d->tokenizer->vocab;
	size_t n = 0;
	bool space;

	if (p->type == TRIT_TOKEN_BYTE) {
		d->at_start = false;
		return trit_utf8_stream_feed(&d->utf8, len, bytes, out);
	}
	n = trit_utf8_stream_end(&d->utf8, out); /* characters of bytes do not go on beyond other tokens */
	space = d->at_start && (v->space_prefix || v->squeeze_spaces) && TRIT_TEXT_TYPES >> p->type & 1 && p->len >= 3 &&
	        !memcmp(p->text, TRIT_SPM_SPACE, 3);
	n += trit_utf8_stream_feed(&d->utf8, len - space, bytes + space, out + n);
	d->at_start = d->at_start && n == 0 && !(space && !v->squeeze_spaces);
	return n;
}

/* The first word goes without its space, and a continuation without a beginning is shown as one. */
static size_t feed_wordpiece(struct trit_detokenizer *d, const struct trit_piece *p, size_t len, const char *bytes,
                             char *out)
{
	size_t n = 0;

	if (d->at_start && len > 0) {
		bool word = p->len > 3 && !memcmp(p->text, TRIT_SPM_SPACE, 3);

		d->at_start = false;
		if (!word)
			n = copy(strlen(WORD_PART), WORD_PART, out);
		else if (bytes[0] == ' ')
			return trit_utf8_stream_feed(&d->utf8, len - 1, bytes + 1, out);
	}
	return n + trit_utf8_stream_feed(&d->utf8, len, bytes, out + n);
}

size_t trit_detokenizer_feed(struct trit_detokenizer *d, trit_token id, char *out)
{
	const struct trit_piece *p = &d->tokenizer->vocab.pieces[id];
	size_t len;
	const char *bytes = trit_decode_token(d->tokenizer, id, &len);

	switch (d->tokenizer->kind) {
	case TRIT_TOKENIZER_SPM:
	case TRIT_TOKENIZER_UNIGRAM:
		return feed_spm(d, p, len, bytes, out);
	case TRIT_TOKENIZER_WORDPIECE:
		return feed_wordpiece(d, p, len, bytes, out);
	default:
		return trit_utf8_stream_feed(&d->utf8, len, bytes, out);
	}
}

size_t trit_detokenizer_end(struct trit_detokenizer *d, char *out)
{
	d->at_start = true;
	return trit_utf8_stream_end(&d->utf8, out);
}
