/*
 * test_text_tokenizer.c - building and using a tokenizer: damaged vocabularies, flags, bytes of all kinds, merging
 * against a slow reference, long words, memory that runs out.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "text/alphabet.h"
#include "text/pretok.h"
#include "text/tokenizer.h"
#include "text_fixture.h"

#define VOCAB TRIT_TEST_DATA "/tokenizer/vocab.txt"

/* ---- a small vocabulary, whole or damaged ------------------------------------------------------------------------ */

#define N_BYTES 256

/* 256 bytes, five merged tokens, and special ones. */
static const struct {
	const char *text;
	enum trit_token_type type;
} extras[] = {
	{ "ab", TRIT_TOKEN_NORMAL },          /* 256 */
	{ "abc", TRIT_TOKEN_NORMAL },         /* 257 */
	{ "bc", TRIT_TOKEN_NORMAL },          /* 258 */
	{ "\xc4\xa0" "a", TRIT_TOKEN_NORMAL }, /* 259, " a" */
	{ "<|endoftext|>", TRIT_TOKEN_CONTROL }, /* 260 */
	{ "<|im_end|>", TRIT_TOKEN_CONTROL }, /* 261 */
	{ "<tool>", TRIT_TOKEN_USER },        /* 262 */
	{ "<unk>", TRIT_TOKEN_UNKNOWN },      /* 263 */
	{ "[PAD]", TRIT_TOKEN_UNUSED },       /* 264 */
	{ "", TRIT_TOKEN_UNUSED },            /* 265 */
	{ "whole", TRIT_TOKEN_NORMAL },       /* 266: no merge makes it */
};
static const char *const merges[] = { "b c", "\xc4\xa0 a", "a bc", "a b" };

#define N_TOKENS (N_BYTES + sizeof extras / sizeof *extras)
#define N_MERGES (sizeof merges / sizeof *merges)

static void small_vocab(struct trit_vocab *v, const char *pre)
{
	struct trit_error err;

	assert_int_equal(trit_vocab_init(v, "gpt2", pre, N_TOKENS, N_MERGES, 2000, &err), 0);
	for (size_t i = 0; i < N_BYTES; i++) {
		char byte = (char)trit_alphabet_byte((int)i), text[2];
		size_t len = trit_alphabet_encode(1, &byte, text);

		assert_int_equal(trit_vocab_set_piece(v, i, len, text, TRIT_TOKEN_NORMAL, &err), 0);
	}
	for (size_t i = N_BYTES; i < N_TOKENS; i++)
		assert_int_equal(trit_vocab_set_piece(v, i, strlen(extras[i - N_BYTES].text), extras[i - N_BYTES].text,
		                                      extras[i - N_BYTES].type, &err), 0);
	for (size_t i = 0; i < N_MERGES; i++)
		assert_int_equal(trit_vocab_set_merge(v, i, strlen(merges[i]), merges[i], &err), 0);
	v->bos = v->eos = 260;
	v->add_bos = true;
}

static void set_merge(struct trit_vocab *v, const char *text)
{
	struct trit_error err;

	assert_int_equal(trit_vocab_set_merge(v, 2, strlen(text), text, &err), 0);
}

static void set_piece(struct trit_vocab *v, size_t id, const char *text, enum trit_token_type type)
{
	struct trit_error err;

	assert_int_equal(trit_vocab_set_piece(v, id, strlen(text), text, type, &err), 0);
}

enum damage {
	MODEL, PRE, NO_BYTE, BYTE_TYPE, TWICE, UNSET, BOS, EOS, PAD, NEGATIVE, NO_MERGE, NO_SPACE, NO_LEFT, NO_RIGHT,
	LEFT_UNKNOWN, RIGHT_UNKNOWN, RESULT_UNKNOWN, RESULT_CONTROL, MERGE_TWICE, N_DAMAGES,
};

/* Does one damage; returns what the error must say. */
static const char *damage(struct trit_vocab *v, enum damage kind)
{
	switch (kind) {
	case MODEL:
		memcpy(v->model, "rwkv", 5);
		return "\"rwkv\"";
	case PRE:
		memcpy(v->pre, "strange", 8);
		return "\"strange\"";
	case NO_BYTE:
		set_piece(v, 0, "two", TRIT_TOKEN_NORMAL);
		return "0x21";
	case BYTE_TYPE:
		v->pieces[64].type = TRIT_TOKEN_CONTROL;
		return "0x61, has type 3";
	case TWICE:
		set_piece(v, 266, "abc", TRIT_TOKEN_NORMAL);
		return "token 266 has the same text as token 257";
	case UNSET:
		v->pieces[262] = (struct trit_piece){ 0 };
		return "token 262 of 267 has no text";
	case BOS:
		v->bos = (trit_token)N_TOKENS;
		return "BOS token is 267";
	case EOS:
		v->eos = INT32_MAX;
		return "EOS token is 2147483647";
	case PAD:
		v->pad = -2;
		return "padding token is -2";
	case NEGATIVE:
		v->unk = INT32_MIN;
		return "unknown token is -2147483648";
	case NO_MERGE:
		v->merges[2] = (struct trit_piece){ 0 };
		return "merge 2 of 4";
	case NO_SPACE:
		set_merge(v, "abc");
		return "merge 2 of 4 is not two tokens";
	case NO_LEFT:
		set_merge(v, " bc");
		return "merge 2 of 4 is not two tokens";
	case NO_RIGHT:
		set_merge(v, "a ");
		return "merge 2: its right part";
	case LEFT_UNKNOWN:
		set_merge(v, "zz bc");
		return "merge 2: its left part";
	case RIGHT_UNKNOWN:
		set_merge(v, "a zz");
		return "merge 2: its right part";
	case RESULT_UNKNOWN:
		set_merge(v, "b ab");
		return "merge 2: its result";
	case RESULT_CONTROL:
		v->pieces[257].type = TRIT_TOKEN_CONTROL;
		return "do not make token 257";
	case MERGE_TWICE:
		set_merge(v, "b c");
		return "merge 2 is the same as merge 0";
	case N_DAMAGES:
		break;
	}
	return "";
}

static void test_damaged(void **state)
{
	(void)state;
	for (int kind = 0; kind < N_DAMAGES; kind++) {
		struct trit_tokenizer *t = NULL;
		struct trit_vocab v;
		struct trit_error err;
		const char *expected;
		int status;

		small_vocab(&v, "gpt-2");
		expected = damage(&v, (enum damage)kind);
		status = trit_tokenizer_new(&t, &v, &err);
		assert_int_equal(status, kind == MODEL || kind == PRE ? TRIT_ERR_UNSUPPORTED : TRIT_ERR_FORMAT);
		assert_int_equal(err.status, status);
		if (!strstr(err.message, expected))
			fail_msg("damage %d: \"%s\" does not say \"%s\"", kind, err.message, expected);
		assert_null(t);
		assert_null(v.pieces); /* taken over and released */
	}
}

/* A vocabulary that ends early, at any token. */
static void test_truncated(void **state)
{
	(void)state;
	for (int n = 0; n < (int)N_TOKENS; n++) {
		struct trit_tokenizer *t = NULL;
		struct trit_vocab v;
		struct trit_error err;

		small_vocab(&v, "gpt-2");
		if (n < 260) /* without bytes or results of merges */
			v.n_tokens = n;
		else
			memset(v.pieces + n, 0, (N_TOKENS - (size_t)n) * sizeof *v.pieces);
		v.bos = v.eos = -1;
		assert_int_equal(trit_tokenizer_new(&t, &v, &err), TRIT_ERR_FORMAT);
	}
}

static void note(void *arg, enum trit_log_level level, const char *message)
{
	*(bool *)arg = level == TRIT_LOG_NOTE && strstr(message, "gpt-2");
}

/* No name of a pre-tokeniser: as gpt-2, and a note. */
static void test_unnamed(void **state)
{
	struct trit_tokenizer *t = NULL;
	struct trit_vocab v;
	struct trit_error err;
	bool noted = false;

	(void)state;
	small_vocab(&v, "");
	trit_log_set(note, &noted);
	assert_int_equal(trit_tokenizer_new(&t, &v, &err), 0);
	trit_log_set(NULL, NULL);
	assert_true(noted);
	trit_tokenizer_free(t);
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

struct both {
	struct trit_tokenizer *t;
	struct trit_encoder *e;
};

static void open_both(struct both *b, struct trit_vocab *v)
{
	struct trit_error err;

	if (trit_tokenizer_new(&b->t, v, &err) < 0 || trit_encoder_new(&b->e, b->t, &err) < 0)
		fail_msg("%s", err.message);
}

static void close_both(struct both *b)
{
	trit_encoder_free(b->e);
	trit_tokenizer_free(b->t);
}

static void expect(const struct both *b, const char *text, unsigned flags, size_t n, const trit_token *ids)
{
	struct trit_tokens out;
	struct trit_error err;

	trit_tokens_init(&out, 1000);
	assert_int_equal(trit_encode(b->e, strlen(text), text, flags, &out, &err), 0);
	assert_int_equal(out.len, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(out.data[i], ids[i]);
	trit_tokens_release(&out);
}

#define IDS(...) ((trit_token[]){ __VA_ARGS__ })
#define EXPECT(b, text, flags, ...) \
	expect(b, text, flags, sizeof IDS(__VA_ARGS__) / sizeof(trit_token), IDS(__VA_ARGS__))

/* Ids of bytes by the table of GPT-2: printable ASCII is byte - 33, a space 220. */
static void test_encode(void **state)
{
	struct trit_vocab v;
	struct both b;

	(void)state;
	small_vocab(&v, "gpt-2");
	open_both(&b, &v);
	for (int i = 0; i < 2; i++) { /* the second time from the cache */
		EXPECT(&b, "abc", 0, 257);       /* b c first, then a bc; a b never comes to it */
		EXPECT(&b, "ab", 0, 256);
		EXPECT(&b, "abab", 0, 256, 256);
		EXPECT(&b, " abc", 0, 259, 258); /* b c, then " a"; " abc" is not in the vocabulary */
		EXPECT(&b, "bca", 0, 258, 64);
		EXPECT(&b, "whole", 0, 86, 71, 78, 75, 68);
		EXPECT(&b, "a  a", 0, 64, 220, 259);
	}
	expect(&b, "", 0, 0, NULL);
	EXPECT(&b, "", TRIT_TOKENIZE_BOS, 260);
	EXPECT(&b, "a", TRIT_TOKENIZE_BOS, 260, 64);
	EXPECT(&b, "a<|im_end|>b", TRIT_TOKENIZE_SPECIAL, 64, 261, 65);
	EXPECT(&b, "<|im_end|>", TRIT_TOKENIZE_SPECIAL | TRIT_TOKENIZE_BOS, 260, 261);
	EXPECT(&b, "<|im_end|>", 0, 27, 91, 72, 76, 62, 68, 77, 67, 91, 29);
	EXPECT(&b, "a<tool>ab", 0, 64, 262, 256);
	EXPECT(&b, "<unk>", TRIT_TOKENIZE_SPECIAL, 263);
	EXPECT(&b, "[PAD]", TRIT_TOKENIZE_SPECIAL, 58, 47, 32, 35, 60);
	close_both(&b);
	small_vocab(&v, "gpt-2");
	v.add_bos = false;
	open_both(&b, &v);
	EXPECT(&b, "a", TRIT_TOKENIZE_BOS, 64);
	close_both(&b);
	small_vocab(&v, "llama-bpe");
	open_both(&b, &v);
	EXPECT(&b, "whole", 0, 266); /* whatever the merges say */
	EXPECT(&b, "wholes", 0, 86, 71, 78, 75, 68, 82);
	EXPECT(&b, "[PAD]", 0, 58, 47, 32, 35, 60);
	close_both(&b);
}

static void test_single_tokens(void **state)
{
	struct trit_vocab v;
	struct both b;
	size_t len;

	(void)state;
	small_vocab(&v, "gpt-2");
	v.eos = 261;
	open_both(&b, &v);
	assert_memory_equal(trit_decode_token(b.t, 259, &len), " a", 2);
	assert_int_equal(len, 2);
	assert_memory_equal(trit_decode_token(b.t, 198, &len), "\n", 1);
	assert_int_equal(len, 1);
	assert_memory_equal(trit_decode_token(b.t, 262, &len), "<tool>", 6);
	for (trit_token id = 260; id <= 265; id++) {
		trit_decode_token(b.t, id, &len);
		assert_int_equal(len, id == 262 ? 6 : 0);
	}
	assert_int_equal(trit_find_token(b.t, 3, "abc"), 257);
	assert_int_equal(trit_find_token(b.t, 3, "\xc4\xa0" "a"), 259);
	assert_int_equal(trit_find_token(b.t, 2, " a"), -1);
	assert_int_equal(trit_find_token(b.t, 0, ""), -1);
	assert_int_equal(trit_find_token(b.t, 10, "<|im_end|>"), 261);
	assert_true(trit_is_end_token(b.t, 261));
	assert_true(trit_is_end_token(b.t, 260)); /* by its name */
	assert_false(trit_is_end_token(b.t, 262));
	assert_false(trit_is_end_token(b.t, 64));
	assert_int_equal(trit_tokenizer_vocab(b.t)->n_tokens, N_TOKENS);
	close_both(&b);
}

/* A full list gives LIMIT and stays as it was. */
static void test_limit(void **state)
{
	const char text[] = "abc<tool> a b c";
	struct trit_tokens out;
	struct trit_vocab v;
	struct both b;
	struct trit_error err;
	size_t n = SIZE_MAX;

	(void)state;
	small_vocab(&v, "gpt-2");
	open_both(&b, &v);
	for (size_t max = 0; n == SIZE_MAX; max++) {
		int status;

		trit_tokens_init(&out, max + 2);
		assert_int_equal(trit_tokens_append(&out, 7, &err), 0);
		assert_int_equal(trit_tokens_append(&out, 8, &err), 0);
		status = trit_encode(b.e, sizeof text - 1, text, TRIT_TOKENIZE_BOS, &out, &err);
		assert_true(status == 0 || status == TRIT_ERR_LIMIT);
		if (status == 0)
			n = max;
		assert_int_equal(out.len, status ? 2 : 2 + n);
		assert_int_equal(out.data[0], 7);
		assert_int_equal(out.data[1], 8);
		trit_tokens_release(&out);
	}
	assert_int_equal(n, 8);
	close_both(&b);
}

/* ---- any bytes --------------------------------------------------------------------------------------------------- */

/* Encodes, decodes, compares; returns the number of tokens. */
static size_t round_trip(const struct both *b, size_t len, const char *text)
{
	struct trit_tokens out;
	struct trit_error err;
	size_t at = 0, n;

	trit_tokens_init(&out, len);
	assert_int_equal(trit_encode(b->e, len, text, 0, &out, &err), 0);
	for (size_t i = 0; i < out.len; i++) {
		const char *bytes = trit_decode_token(b->t, out.data[i], &n);

		assert_true(n > 0 && n <= len - at);
		assert_memory_equal(bytes, text + at, n);
		at += n;
	}
	assert_int_equal(at, len);
	n = out.len;
	trit_tokens_release(&out);
	return n;
}

static const char *const families[] = {
	"gpt-2", "llama-bpe", "deepseek-r1-qwen", "tekken", "smollm", "default", "falcon", "bloom", "viking",
	"deepseek-llm", "deepseek-coder", "deepseek-v3", "gpt-4o", "kimi-k2", "qwen35",
};
#define N_FAMILIES (sizeof families / sizeof *families)

static void test_any_bytes(void **state)
{
	static const char *const parts[] = {
		"the", " ", "\n", "\xe2", "\xe2\x82", "\xe2\x82\xac", "\x80", "\xff", "\xf0\x9f\x91\x8d",
		"\xed\xa0\x80",
		"'s", "12", "\xc0\x80", "\xf4\x90\x80\x80", "\r\n", "\xc2\xa0", "<tool>", "\xcc\x81", "  ", "!",
	};
	struct trit_rng rng;

	(void)state;
	trit_rng_init(&rng, 1);
	for (size_t f = 0; f < N_FAMILIES; f++) {
		struct trit_vocab v;
		struct both b;
		char text[300];

		fixture_vocab(&v, VOCAB, families[f]);
		open_both(&b, &v);
		for (int round = 0; round < 1000; round++) {
			size_t len = trit_rng_below(&rng, 120), used = 0;

			for (size_t i = 0; i < len; i++) /* noise, NULs among it */
				text[i] = (char)(trit_rng_below(&rng, 4) ? trit_rng_below(&rng, 256) : 0);
			round_trip(&b, len, text);
			for (size_t i = 0; i < 20; i++) {
				const char *part = parts[trit_rng_below(&rng, sizeof parts / sizeof *parts)];

				memcpy(text + used, part, strlen(part));
				used += strlen(part);
			}
			round_trip(&b, used, text);
		}
		close_both(&b);
	}
}

/* Valid text is cut the same whatever invalid bytes stand beside it. */
static void test_invalid_is_apart(void **state)
{
	struct trit_vocab v;
	struct both b;

	(void)state;
	small_vocab(&v, "gpt-2");
	open_both(&b, &v);
	EXPECT(&b, "abc\xff abc\xe2\x82", 0, 257, 187, 259, 258, 158, 224);
	close_both(&b);
}

/* ---- merging against a slow reference ---------------------------------------------------------------------------- */

/* The definition: find the pair of lowest rank, leftmost, merge it, begin again. On texts, not ids. */
static size_t merge_slowly(const struct trit_vocab *v, size_t len, const char *word, uint32_t *ends)
{
	size_t n = len;

	for (size_t i = 0; i < n; i++)
		ends[i] = (uint32_t)i + 1;
	for (;;) {
		int best = v->n_merges;
		size_t where = 0;

		for (size_t i = 0; i + 1 < n; i++) {
			size_t from = i ? ends[i - 1] : 0;

			for (int r = 0; r < best; r++) {
				const struct trit_piece *m = &v->merges[r];
				size_t left = ends[i] - from, right = ends[i + 1] - ends[i];

				if (m->len == left + 1 + right && !memcmp(m->text, word + from, left) &&
				    !memcmp(m->text + left + 1, word + ends[i], right)) {
					best = r;
					where = i;
				}
			}
		}
		if (best == v->n_merges)
			return n;
		for (size_t i = where; i + 1 < n; i++)
			ends[i] = ends[i + 1];
		n--;
	}
}

/* Words of few letters, with many overlaps; up to 64 bytes they are scanned, longer ones go through the heap. */
static void test_merging(void **state)
{
	static const char *const letters_merges[] = {
		"a a", "b a", "aa a", "a b", "aa aa", "ab ab", "ba b", "aaaa aaa", "b b", "abab b", "c a", "ca bb",
		"aaaa aaaa",
	};
	const size_t n_merges = sizeof letters_merges / sizeof *letters_merges;
	struct trit_rng rng;
	struct trit_error err;
	struct trit_vocab v;
	struct both b;

	(void)state;
	trit_rng_init(&rng, 3);
	assert_int_equal(trit_vocab_init(&v, "gpt2", "gpt-2", N_BYTES + n_merges, n_merges, 2000, &err), 0);
	for (size_t i = 0; i < N_BYTES; i++) {
		char byte = (char)trit_alphabet_byte((int)i), text[2];
		size_t len = trit_alphabet_encode(1, &byte, text);

		assert_int_equal(trit_vocab_set_piece(&v, i, len, text, TRIT_TOKEN_NORMAL, &err), 0);
	}
	for (size_t i = 0; i < n_merges; i++) {
		const char *m = letters_merges[i];
		size_t left = strcspn(m, " "), right = strlen(m) - left - 1;
		char text[32];

		memcpy(text, m, left);
		memcpy(text + left, m + left + 1, right);
		assert_int_equal(trit_vocab_set_merge(&v, i, strlen(m), m, &err), 0);
		assert_int_equal(trit_vocab_set_piece(&v, N_BYTES + i, left + right, text, TRIT_TOKEN_NORMAL, &err), 0);
	}
	open_both(&b, &v);
	for (int round = 0; round < 1500; round++) {
		size_t len = 1 + trit_rng_below(&rng, round % 2 ? 40 : 250), from = 0, n;
		char word[256];
		uint32_t ends[256];
		struct trit_tokens out;

		for (size_t i = 0; i < len; i++)
			word[i] = "aaabbc"[trit_rng_below(&rng, 6)];
		trit_tokens_init(&out, 1000);
		assert_int_equal(trit_encode(b.e, len, word, 0, &out, &err), 0);
		n = merge_slowly(trit_tokenizer_vocab(b.t), len, word, ends);
		assert_int_equal(out.len, n);
		for (size_t i = 0; i < n; from = ends[i++]) {
			size_t token_len;
			const char *bytes = trit_decode_token(b.t, out.data[i], &token_len);

			assert_int_equal(token_len, ends[i] - from);
			assert_memory_equal(bytes, word + from, token_len);
		}
		trit_tokens_release(&out);
	}
	close_both(&b);
}

/* ---- long words, bounds ------------------------------------------------------------------------------------------ */

/* Words beyond TRIT_MAX_WORD_BYTES are cut, between characters, and nothing is lost. */
static void test_long_words(void **state)
{
	static const char *const units[] = {
		"a", " ", "\n", "\xe4\xb8\xad", "\x80", "\xe2\x82", "1", ".", "\n ", "\xf0\x9f\x91\x8d",
	};
	const size_t len = TRIT_MAX_WORD_BYTES + 1001;
	char *text = trit_calloc(len, 1);

	(void)state;
	assert_non_null(text);
	for (size_t f = 0; f < N_FAMILIES; f++) {
		struct trit_vocab v;
		struct both b;

		fixture_vocab(&v, VOCAB, families[f]);
		open_both(&b, &v);
		for (size_t u = f % 2; u < sizeof units / sizeof *units; u += 2) {
			for (size_t i = 0; i < len; i++)
				text[i] = units[u][i % strlen(units[u])];
			round_trip(&b, len, text);
		}
		close_both(&b);
	}
	trit_free(text);
}

static void test_piece_length(void **state)
{
	const size_t len = 2 * TRIT_MAX_WORD_BYTES + 10;
	char *text = trit_calloc(len, 1);
	struct trit_pretok *p;
	struct trit_cutter *c;
	struct trit_error err;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = "\xe4\xb8\xad"[i % 3];
	assert_int_equal(trit_pretok_new(&p, "gpt-2", &err), 0);
	assert_int_equal(trit_cutter_new(&c, p, &err), 0);
	for (int valid = 1; valid >= 0; valid--) {
		const char *piece;
		size_t n, total = 0;
		int pieces = 0;

		trit_cutter_start(c, len - len % 3, text);
		while (trit_cutter_next(c, &piece, &n, &err) > 0) {
			assert_ptr_equal(piece, text + total);
			assert_true(n <= TRIT_MAX_WORD_BYTES);
			if (valid)
				assert_int_equal(n % 3, 0);
			total += n;
			pieces++;
		}
		assert_int_equal(total, len - len % 3);
		assert_int_equal(pieces, 3);
		memset(text, '\x80', len);
	}
	trit_cutter_free(c);
	trit_pretok_free(p);
	trit_free(text);
}

/* When the expression gives up the text is left in larger pieces, but all of it comes out. */
static void test_match_limit(void **state)
{
	(void)state;
	for (size_t f = 0; f < N_FAMILIES; f++) {
		const char text[] = "The 12 dogs' tails  weren't\n\n wagging. \xe2\x82";
		struct trit_pretok *p;
		struct trit_cutter *c;
		struct trit_error err;
		const char *piece;
		size_t n, total = 0;

		assert_int_equal(trit_pretok_new(&p, families[f], &err), 0);
		assert_int_equal(trit_cutter_new(&c, p, &err), 0);
		trit_cutter_limit(c, 0);
		trit_cutter_start(c, sizeof text - 1, text);
		while (trit_cutter_next(c, &piece, &n, &err) > 0) {
			assert_ptr_equal(piece, text + total);
			total += n;
		}
		assert_int_equal(total, sizeof text - 1);
		trit_cutter_free(c);
		trit_pretok_free(p);
	}
}

/* What an encoder met before changes nothing: a fresh one and one with a full cache give the same tokens. */
static void test_cache(void **state)
{
	struct trit_rng rng;
	struct trit_vocab v;
	struct both b;
	struct trit_error err;
	char text[64];

	(void)state;
	trit_rng_init(&rng, 5);
	fixture_vocab(&v, VOCAB, NULL);
	open_both(&b, &v);
	for (int i = 0; i < 100000; i++) { /* more words than the cache has places */
		int len = snprintf(text, sizeof text, " w%llx", (unsigned long long)trit_rng_below(&rng, 1 << 20));

		round_trip(&b, (size_t)len, text);
	}
	for (int i = 0; i < 200; i++) {
		int len = snprintf(text, sizeof text, " w%llx", (unsigned long long)trit_rng_below(&rng, 1 << 20));
		struct trit_encoder *fresh;
		struct trit_tokens x, y;

		trit_tokens_init(&x, 100);
		trit_tokens_init(&y, 100);
		assert_int_equal(trit_encoder_new(&fresh, b.t, &err), 0);
		assert_int_equal(trit_encode(b.e, (size_t)len, text, 0, &x, &err), 0);
		assert_int_equal(trit_encode(fresh, (size_t)len, text, 0, &y, &err), 0);
		assert_int_equal(x.len, y.len);
		assert_memory_equal(x.data, y.data, x.len * sizeof *x.data);
		trit_encoder_free(fresh);
		trit_tokens_release(&x);
		trit_tokens_release(&y);
	}
	close_both(&b);
}

struct job {
	const struct trit_tokenizer *t;
	struct trit_tokens out[4];
	bool failed[4];
};

static void encode_job(void *arg, int index, int n)
{
	struct job *job = arg;
	struct trit_encoder *e = NULL;
	bool ok = trit_encoder_new(&e, job->t, NULL) == 0;

	(void)n;
	for (int i = 0; i < 2000 && ok; i++) {
		char text[64];
		int len = snprintf(text, sizeof text, "Thread-safe <tool>s, number %d;\n\tit's \xe4\xb8\xad!", i % 100);

		ok = trit_encode(e, (size_t)len, text, TRIT_TOKENIZE_SPECIAL, &job->out[index], NULL) == 0;
	}
	trit_encoder_free(e);
	job->failed[index] = !ok;
}

/* One tokenizer, four threads, the same tokens. */
static void test_threads(void **state)
{
	struct trit_pool *pool;
	struct trit_vocab v;
	struct trit_error err;
	struct job job = { 0 };
	struct trit_tokenizer *t;

	(void)state;
	fixture_vocab(&v, VOCAB, "llama-bpe");
	assert_int_equal(trit_tokenizer_new(&t, &v, &err), 0);
	assert_int_equal(trit_pool_new(&pool, 4, &err), 0);
	job.t = t;
	for (int i = 0; i < 4; i++)
		trit_tokens_init(&job.out[i], SIZE_MAX);
	trit_pool_run(pool, encode_job, &job);
	for (int i = 0; i < 4; i++) {
		assert_false(job.failed[i]);
		assert_true(job.out[i].len > 2000);
		assert_int_equal(job.out[i].len, job.out[0].len);
		assert_memory_equal(job.out[i].data, job.out[0].data, job.out[0].len * sizeof *job.out[0].data);
	}
	for (int i = 0; i < 4; i++)
		trit_tokens_release(&job.out[i]);
	trit_pool_free(pool);
	trit_tokenizer_free(t);
}

/* ---- memory that runs out ---------------------------------------------------------------------------------------- */

static void test_memory_tokenizer(void **state)
{
	struct trit_error err;
	bool done = false;

	(void)state;
	for (uint64_t n = 1; !done; n++) {
		struct trit_tokenizer *t = NULL;
		struct trit_encoder *e = NULL;
		struct trit_vocab v;
		int status;

		small_vocab(&v, "default");
		trit_mem_fail_after(n);
		status = trit_tokenizer_new(&t, &v, &err);
		if (status == 0)
			status = trit_encoder_new(&e, t, &err);
		trit_mem_fail_after(0);
		assert_true(status == 0 || status == TRIT_ERR_MEMORY);
		assert_null(v.pieces);
		done = status == 0;
		trit_encoder_free(e);
		trit_tokenizer_free(t);
		assert_true(n < 1000);
	}
}

static void test_memory_encode(void **state)
{
	const size_t len = 100000;
	char *text = trit_calloc(len, 1);
	struct trit_error err;
	bool done = false;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = i < len / 2 ? "abcab"[i % 5] : "ab <tool>"[i % 9];
	for (uint64_t n = 1; !done; n++) {
		struct trit_tokens out;
		struct trit_vocab v;
		struct both b;
		int status;

		small_vocab(&v, "gpt-2");
		open_both(&b, &v);
		trit_tokens_init(&out, SIZE_MAX);
		trit_mem_fail_after(n);
		status = trit_encode(b.e, len, text, TRIT_TOKENIZE_BOS, &out, &err);
		trit_mem_fail_after(0);
		assert_true(status == 0 || status == TRIT_ERR_MEMORY);
		assert_true(status == 0 || out.len == 0);
		done = status == 0;
		round_trip(&b, len, text); /* the encoder is as good as before */
		trit_tokens_release(&out);
		close_both(&b);
		assert_true(n < 1000);
	}
	trit_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged),       cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_unnamed),       cmocka_unit_test(test_encode),
		cmocka_unit_test(test_single_tokens), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_any_bytes),     cmocka_unit_test(test_invalid_is_apart),
		cmocka_unit_test(test_merging),       cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_piece_length),  cmocka_unit_test(test_match_limit),
		cmocka_unit_test(test_cache),         cmocka_unit_test(test_memory_tokenizer),
		cmocka_unit_test(test_memory_encode), cmocka_unit_test(test_threads),
	};

#ifndef TRIT_HAVE_PCRE2
	printf("skipped: built without PCRE2\n");
	return 77;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
