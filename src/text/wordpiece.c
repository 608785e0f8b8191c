/*
 * wordpiece.c - WordPiece: cleaning a text, cutting it into words, cutting words into tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_UTF8PROC
#include <utf8proc.h>
#endif

#include "text/chars.h"
#include "text/spm_text.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

int trit_wordpiece_init(struct trit_trie *t, const struct trit_vocab *v, struct trit_error *err)
{
	/* The beginnings of words and what continues them: two trees, TRIT_TRIE_OTHER and TRIT_TRIE_ROOT. Words do not
	 * become user-defined tokens, which are found before. */
	int status = trit_trie_init(t, v, TRIT_TEXT_TYPES & ~(1u << TRIT_TOKEN_USER), TRIT_SPM_SPACE, err);

#ifndef TRIT_HAVE_UTF8PROC
	if (status == 0)
		status = trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                   "a WordPiece vocabulary (\"bert\"): built without utf8proc; install libutf8proc-dev and "
		                   "build again");
#endif
	if (status == 0 && v->unk < 0)
		status = trit_fail(err, TRIT_ERR_FORMAT, "a WordPiece vocabulary without an unknown token");
	return status;
}

/* The longest token of the tree that the word begins with: its length, or 0. */
static size_t longest(const struct trit_trie *t, uint32_t root, size_t len, const char *word, trit_token *id)
{
	uint32_t node = root;
	size_t best = 0;

	for (size_t i = 0; i < len;) {
		node = trit_trie_next(t, node, (unsigned char)word[i++]);
		if (node == TRIT_TRIE_NONE)
			break;
		/* Only whole characters: the next byte begins another. */
		if (trit_trie_token(t, node) >= 0 && (i == len || ((unsigned char)word[i] & 0xc0) != 0x80)) {
			*id = trit_trie_token(t, node);
			best = i;
		}
	}
	return best;
}

static size_t count_characters(size_t len, const char *word)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)word[i] & 0xc0) != 0x80;
	return n;
}

size_t trit_wordpiece_encode(const struct trit_tokenizer *t, size_t len, const char *word, trit_token *tokens)
{
	uint32_t root = TRIT_TRIE_OTHER;
	size_t n = 0;

	if (len > 4 * TRIT_WORDPIECE_MAX || count_characters(len, word) > TRIT_WORDPIECE_MAX)
		len = 0;
	for (size_t i = 0, step; i < len; i += step) {
		step = longest(&t->wordpiece, root, len - i, word + i, &tokens[n++]);
		if (step == 0) {
			n = 0;
			break;
		}
		root = TRIT_TRIE_ROOT;
	}
	if (n == 0)
		tokens[n++] = t->vocab.unk;
	return n;
}

#ifdef TRIT_HAVE_UTF8PROC

/* Characters that are left out: control and format characters, surrogates, private use, U+FFFD. */
static bool is_dropped(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	if (c == '\t' || c == '\n' || c == '\r')
		return false;
	return c == 0xfffd || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
	       category == UTF8PROC_CATEGORY_CS || category == UTF8PROC_CATEGORY_CO;
}

static bool is_punctuation(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	if (c < 0x80) /* with those that Unicode calls symbols */
		return c > ' ' && c < 0x7f && category != UTF8PROC_CATEGORY_LU && category != UTF8PROC_CATEGORY_LL &&
		       category != UTF8PROC_CATEGORY_ND;
	return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* The words so far: whether the last one is still open. */
struct words {
	const struct trit_vocab *vocab;
	struct trit_buf *out;
	bool open;
};

static int end_word(struct words *w, struct trit_error *err)
{
	bool open = w->open;

	w->open = false;
	return open ? trit_buf_append(w->out, 1, " ", err) : 0;
}

/* A character that is neither dropped nor white space, as it shall stand in a word. */
static int put_character(struct words *w, int32_t c, struct trit_error *err)
{
	bool alone = is_punctuation(c) || trit_is_space(c);
	unsigned char bytes[4];
	int status = alone ? end_word(w, err) : 0;

	if (status == 0 && !trit_is_space(c)) {
		status = trit_buf_append(w->out, (size_t)utf8proc_encode_char(c, bytes), bytes, err);
		w->open = true;
	}
	return status == 0 && alone ? end_word(w, err) : status;
}

static int put_lower(struct words *w, int32_t c, struct trit_error *err)
{
	int status;

	if (!w->vocab->lowercase)
		return put_character(w, c, err);
	if (c != 0x130)
		return put_character(w, utf8proc_tolower(c), err);
	status = put_character(w, 'i', err); /* the only letter whose lower case is two characters */
	return status == 0 ? put_character(w, 0x307, err) : status;
}

/* A character in its parts, without the marks that are accents. */
static int put_stripped(struct words *w, int32_t c, struct trit_error *err)
{
	int32_t parts[32];
	utf8proc_ssize_t n = 1;
	int status = 0;

	parts[0] = c;
	if (w->vocab->strip_accents && c >= 0x80)
		n = utf8proc_decompose_char(c, parts, 32, UTF8PROC_DECOMPOSE, NULL);
	for (utf8proc_ssize_t i = 0; i < n && status == 0; i++)
		if (!w->vocab->strip_accents || utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN)
			status = put_lower(w, parts[i], err);
	return status;
}

int trit_wordpiece_prepare(const struct trit_vocab *v, size_t len, const char *text, struct trit_buf *out,
                           struct trit_error *err)
{
	struct words w = { .vocab = v, .out = out };
	int status = 0;

	trit_buf_reset(out);
	for (size_t i = 0; i < len && status == 0;) {
		int n = trit_utf8_check(len - i, text + i);
		int32_t c = 0xfffd;

		if (n > 0)
			utf8proc_iterate((const unsigned char *)text + i, n, &c);
		i += n > 0 ? (size_t)n : 1;
		if (is_dropped(c))
			continue;
		if (trit_is_chinese(c) && (status = end_word(&w, err)) < 0)
			break;
		status = trit_is_space(c) ? end_word(&w, err) : put_stripped(&w, c, err);
		if (status == 0 && trit_is_chinese(c))
			status = end_word(&w, err);
	}
	return status == 0 ? end_word(&w, err) : status;
}

#else

int trit_wordpiece_prepare(const struct trit_vocab *v, size_t len, const char *text, struct trit_buf *out,
                           struct trit_error *err)
{
	(void)v;
	(void)len;
	(void)text;
	(void)out;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "built without utf8proc");
}

#endif
