/*
 * test_text.c - src/text without regular expressions: UTF-8, the byte alphabet, vocabularies, special tokens, word
 * counts.
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

#include "base/mem.h"
#include "base/rng.h"
#include "text/alphabet.h"
#include "text/pretok.h"
#include "text/special.h"
#include "text/utf8.h"
#include "text/vocab.h"
#include "text/word_count.h"

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------ */

/* Writes any number below 2^21 in UTF-8's scheme with n bytes, whether or not that is allowed. */
static void put(unsigned c, int n, char *out)
{
	static const unsigned first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (int i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
}

/* Every number in every length: only the shortest form of a Unicode scalar value is a character. */
static void test_utf8_check(void **state)
{
	static const unsigned limits[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };

	(void)state;
	for (int n = 1; n <= 4; n++)
		for (unsigned c = 0; c < limits[n]; c++) {
			bool valid = c >= limits[n - 1] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
			char bytes[4];

			put(c, n, bytes);
			if (valid != (trit_utf8_check((size_t)n, bytes) == n))
				fail_msg("U+%04X in %d bytes", c, n);
			for (int k = 1; k < n && valid; k++)
				assert_int_equal(trit_utf8_check((size_t)k, bytes), 0); /* unfinished */
		}
	for (int b = 0x80; b < 0x100; b++)
		if (b < 0xc2 || b > 0xf4) {
			char byte = (char)b;

			assert_int_equal(trit_utf8_check(1, &byte), -1);
		}
	/* Unicode 3.9, maximal subparts. */
	assert_int_equal(trit_utf8_check(2, "\xe2\x28"), -1);
	assert_int_equal(trit_utf8_check(3, "\xe2\x82\x28"), -2);
	assert_int_equal(trit_utf8_check(4, "\xf0\x90\x80\x28"), -3);
	assert_int_equal(trit_utf8_check(3, "\xed\xa0\x80"), -1);
	assert_int_equal(trit_utf8_check(4, "\xf4\x90\x80\x80"), -1);
}

static void test_utf8_runs(void **state)
{
	const char text[] = "0123456789abcdef\xc3\xa4z\x80\xe2\x82x";

	(void)state;
	assert_int_equal(trit_utf8_valid(0, ""), 0);
	for (size_t len = 0; len < sizeof text; len++) {
		size_t expected = len < 17 ? len : len == 17 ? 16 : len < 19 ? len : 19;

		assert_int_equal(trit_utf8_valid(len, text), expected);
	}
	assert_int_equal(trit_utf8_invalid(4, text + 19, 100), 3); /* 80, then E2 82 that x cuts short */
	assert_int_equal(trit_utf8_invalid(3, text + 19, 100), 3); /* unfinished at the end */
	assert_int_equal(trit_utf8_invalid(4, text + 19, 1), 1);
	assert_int_equal(trit_utf8_invalid(4, text + 19, 2), 3);
	assert_int_equal(trit_utf8_invalid(4, text, 2), 0);
}

/* Feeds pieces of the given ends and compares what comes out. */
static void feed(size_t len, const char *bytes, size_t cut1, size_t cut2, const char *expected)
{
	struct trit_utf8_stream s = { 0 };
	const size_t ends[] = { cut1, cut2, len };
	char out[3 * 64];
	size_t n = 0;

	for (size_t i = 0, from = 0; i < 3; from = ends[i++])
		n += trit_utf8_stream_feed(&s, ends[i] - from, bytes + from, out + n);
	n += trit_utf8_stream_end(&s, out + n);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(out, expected, n);
	assert_int_equal(s.n_held, 0);
}

#define FFFD "\xef\xbf\xbd"

static void test_utf8_stream(void **state)
{
	static const struct {
		const char *bytes, *expected;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x91\x8d!", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x91\x8d!" },
		/* Unicode 15, table 3-8 */
		{ "a\xf1\x80\x80\xe1\x80\xc2" "b\x80" "c\x80\xbf" "d", "a" FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d" },
		{ "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82" "A", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A" },
		{ "\xed\xa0\x80\xed\xbf\xbf\xed\xaf" "A", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A" },
		{ "\xf4\x91\x92\x93\xff" "A\x80\xbf" "B", FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B" },
		{ "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf" "A", FFFD FFFD FFFD FFFD "A" },
		{ "x\xf0\x9f\x91", "x" FFFD },
		{ "\xe2", FFFD },
		{ "\xf0\xf0\x9f\x91\x8d", FFFD "\xf0\x9f\x91\x8d" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].bytes);

		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b++)
				feed(len, cases[i].bytes, a, b, cases[i].expected);
	}
}

/* A character is written as soon as its last byte is there, and not one byte earlier. */
static void test_utf8_stream_prompt(void **state)
{
	struct trit_utf8_stream s = { 0 };
	char out[32];

	(void)state;
	assert_int_equal(trit_utf8_stream_feed(&s, 3, "a\xe2\x82", out), 1);
	assert_int_equal(trit_utf8_stream_feed(&s, 1, "\xac", out), 3);
	assert_memory_equal(out, "\xe2\x82\xac", 3);
	assert_int_equal(trit_utf8_stream_feed(&s, 1, "\0", out), 1);
	assert_int_equal(out[0], 0);
}

/* ---- alphabet --------------------------------------------------------------------------------------------------- */

static void test_alphabet(void **state)
{
	bool seen[256] = { false };

	(void)state;
	for (int i = 0; i < 256; i++) {
		char byte = (char)trit_alphabet_byte(i), text[2], back[2];
		size_t len = trit_alphabet_encode(1, &byte, text);

		assert_false(seen[(unsigned char)byte]);
		seen[(unsigned char)byte] = true;
		assert_int_equal(trit_utf8_check(len, text), len);
		assert_int_equal(trit_alphabet_decode(len, text, back), 1);
		assert_int_equal(back[0], byte);
	}
	/* The ids these bytes have in GPT-2's encoder.json. */
	assert_int_equal(trit_alphabet_byte(0), '!');
	assert_int_equal(trit_alphabet_byte(93), '~');
	assert_int_equal(trit_alphabet_byte(94), 0xa1);
	assert_int_equal(trit_alphabet_byte(187), 0xff);
	assert_int_equal(trit_alphabet_byte(188), 0x00);
	assert_int_equal(trit_alphabet_byte(198), '\n');
	assert_int_equal(trit_alphabet_byte(220), ' ');
	assert_int_equal(trit_alphabet_byte(221), 0x7f);
	assert_int_equal(trit_alphabet_byte(255), 0xad);
}

static void test_alphabet_text(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(trit_alphabet_encode(4, " a\n\xc3", out), 7);
	assert_memory_equal(out, "\xc4\xa0" "a\xc4\x8a\xc3\x83", 7); /* Ġ a Ċ Ã */
	/* What is not of the alphabet stays: a space, U+2581, U+0144, half a character. */
	assert_int_equal(trit_alphabet_decode(9, "x \xe2\x96\x81\xc5\x84\xc4\xa0", out), 8);
	assert_memory_equal(out, "x \xe2\x96\x81\xc5\x84 ", 8);
	assert_int_equal(trit_alphabet_decode(1, "\xc4", out), 1);
	assert_int_equal(trit_alphabet_decode(0, "", out), 0);
}

/* ---- vocabulary ------------------------------------------------------------------------------------------------- */

static void test_vocab_limits(void **state)
{
	static const char big[2 * TRIT_MAX_TOKEN_BYTES + 2] = { 0 };
	struct trit_vocab v;
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_vocab_init(&v, "gpt2", "", 0, 0, 10, &err), TRIT_ERR_FORMAT);
	assert_int_equal(trit_vocab_init(&v, "gpt2", "", TRIT_MAX_VOCAB + 1, 0, 10, &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_vocab_init(&v, "gpt2", "", 1, TRIT_MAX_VOCAB + 1, 10, &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_vocab_init(&v, "gpt2", "", 1, 1, SIZE_MAX, &err), TRIT_ERR_MEMORY);
	assert_int_equal(trit_vocab_init(&v, "a name of sixteen", "", 1, 0, 10, &err), TRIT_ERR_UNSUPPORTED);
	assert_int_equal(trit_vocab_init(&v, "gpt2", "a pre-tokenizer of 32 characters", 1, 0, 10, &err),
	                 TRIT_ERR_UNSUPPORTED);
	assert_int_equal(trit_vocab_init(&v, "gpt2", "gpt-2", 2, 1, 6, &err), 0);
	assert_int_equal(v.bos, -1);
	assert_int_equal(v.pad, -1);
	assert_int_equal(trit_vocab_set_piece(&v, 2, 1, "a", TRIT_TOKEN_NORMAL, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_vocab_set_piece(&v, 0, 1, "a", (enum trit_token_type)0, &err), TRIT_ERR_FORMAT);
	assert_int_equal(trit_vocab_set_piece(&v, 0, 1, "a", (enum trit_token_type)7, &err), TRIT_ERR_FORMAT);
	assert_int_equal(trit_vocab_set_piece(&v, 0, TRIT_MAX_TOKEN_BYTES + 1, big, TRIT_TOKEN_NORMAL, &err),
	                 TRIT_ERR_LIMIT);
	assert_int_equal(trit_vocab_set_piece(&v, 0, 7, "1234567", TRIT_TOKEN_NORMAL, &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_vocab_set_piece(&v, 0, 4, "1234", TRIT_TOKEN_NORMAL, &err), 0);
	assert_int_equal(trit_vocab_set_piece(&v, 1, 3, "567", TRIT_TOKEN_NORMAL, &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_vocab_set_piece(&v, 1, 0, NULL, TRIT_TOKEN_UNUSED, &err), 0);
	assert_int_equal(trit_vocab_set_merge(&v, 1, 1, "a", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_vocab_set_merge(&v, 0, sizeof big, big, &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_vocab_set_merge(&v, 0, 2, "56", &err), 0);
	assert_memory_equal(v.pieces[0].text, "1234", 4);
	trit_vocab_release(&v);
	assert_null(v.pieces);
	trit_vocab_release(&v);
	trit_vocab_release(NULL);
}

static void test_vocab_memory(void **state)
{
	struct trit_vocab v;
	struct trit_error err;

	(void)state;
	for (uint64_t n = 1; n <= 3; n++) {
		trit_mem_fail_after(n);
		assert_int_equal(trit_vocab_init(&v, "gpt2", "", 5, 5, 10, &err), TRIT_ERR_MEMORY);
	}
	trit_mem_fail_after(0);
}

/* ---- special tokens --------------------------------------------------------------------------------------------- */

/* The same by trying every text at every place. */
static trit_token find_slowly(const struct trit_vocab *v, size_t len, const char *text, size_t from, size_t *at)
{
	for (size_t i = from; i < len; i++) {
		trit_token best = -1;

		for (int id = 0; id < v->n_tokens; id++) {
			const struct trit_piece *p = &v->pieces[id];

			if (p->type == TRIT_TOKEN_USER && p->len > 0 && p->len <= len - i &&
			    !memcmp(p->text, text + i, p->len) && (best < 0 || p->len > v->pieces[best].len))
				best = id;
		}
		if (best >= 0) {
			*at = i;
			return best;
		}
	}
	return -1;
}

static void test_special(void **state)
{
	struct trit_rng rng;
	struct trit_error err;

	(void)state;
	trit_rng_init(&rng, 7);
	for (int round = 0; round < 300; round++) {
		size_t n_tokens = 1 + trit_rng_below(&rng, 40), at = 0, end = 0, slow_at = 0;
		struct trit_special s = { 0 };
		struct trit_vocab v;
		char text[60];

		assert_int_equal(trit_vocab_init(&v, "gpt2", "", n_tokens, 0, 1000, &err), 0);
		for (size_t id = 0; id < n_tokens; id++) {
			size_t len = trit_rng_below(&rng, 7);
			enum trit_token_type type;

			for (size_t i = 0; i < len; i++)
				text[i] = "ab\xff\0"[trit_rng_below(&rng, 4)];
			type = trit_rng_below(&rng, 3) ? TRIT_TOKEN_USER : TRIT_TOKEN_NORMAL;
			assert_int_equal(trit_vocab_set_piece(&v, id, len, text, type, &err), 0);
		}
		for (size_t i = 0; i < sizeof text; i++)
			text[i] = "ab\xff\0"[trit_rng_below(&rng, 4)];
		assert_int_equal(trit_special_init(&s, &v, 1u << TRIT_TOKEN_USER, &err), 0);
		for (size_t from = 0; from <= sizeof text; from++) {
			trit_token a = trit_special_find(&s, &v, sizeof text, text, from, &at, &end);
			trit_token b = find_slowly(&v, sizeof text, text, from, &slow_at);

			/* Of two tokens with the same text either may be found. */
			assert_true((a < 0) == (b < 0));
			if (a >= 0) {
				assert_int_equal(at, slow_at);
				assert_int_equal(end - at, v.pieces[a].len);
				assert_int_equal(v.pieces[a].len, v.pieces[b].len);
			}
		}
		trit_special_release(&s);
		trit_vocab_release(&v);
	}
}

/* ---- word counts ------------------------------------------------------------------------------------------------ */

static uint64_t count_of(const struct trit_word_count *c, const char *word)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->words[i].len == strlen(word) && !memcmp(c->bytes + c->words[i].start, word, c->words[i].len))
			return c->words[i].count;
	return 0;
}

static void test_word_count(void **state)
{
	struct trit_word_count c = { .max_words = 100000, .max_bytes = 1 << 20 };
	struct trit_error err;
	char word[32];

	(void)state;
	for (int times = 1; times <= 3; times++)
		for (int i = 0; i < 10000; i++)
			if (i % times == 0) {
				int len = snprintf(word, sizeof word, "word number %d", i);

				assert_int_equal(trit_word_count_add(&c, (size_t)len, word, &err), 0);
			}
	assert_int_equal(c.n, 10000);
	assert_int_equal(count_of(&c, "word number 1"), 1);
	assert_int_equal(count_of(&c, "word number 3334"), 2);
	assert_int_equal(count_of(&c, "word number 9999"), 2);
	assert_int_equal(count_of(&c, "word number 6"), 3);
	trit_word_count_release(&c);
}

/* With too many words the rare ones go, and the counts of the others stay right. */
static void test_word_count_prune(void **state)
{
	struct trit_error err;
	char word[32];

	(void)state;
	for (int by_bytes = 0; by_bytes <= 1; by_bytes++) {
		struct trit_word_count c = { .max_words = 1000, .max_bytes = by_bytes ? 2000 : 1 << 20 };

		for (int i = 0; i < 20000; i++) {
			int len = snprintf(word, sizeof word, "%d", i);

			assert_int_equal(trit_word_count_add(&c, (size_t)len, word, &err), 0);
			assert_int_equal(trit_word_count_add(&c, 5, "often", &err), 0);
			if (i % 2)
				assert_int_equal(trit_word_count_add(&c, 4, "half", &err), 0);
			assert_true(c.n <= c.max_words && c.n_bytes <= c.max_bytes);
		}
		assert_int_equal(count_of(&c, "often"), 20000);
		assert_int_equal(count_of(&c, "half"), 10000);
		assert_int_equal(count_of(&c, "19999"), 1);
		trit_word_count_release(&c);
	}
}

/* ---- a build without PCRE2 -------------------------------------------------------------------------------------- */

static void test_pretok_names(void **state)
{
	struct trit_pretok *p = NULL;
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_pretok_new(&p, "no-such-thing", &err), TRIT_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "\"no-such-thing\""));
	assert_non_null(strstr(err.message, "llama-bpe"));
#ifndef TRIT_HAVE_PCRE2
	assert_int_equal(trit_pretok_new(&p, "gpt-2", &err), TRIT_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "libpcre2-dev"));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_check),     cmocka_unit_test(test_utf8_runs),
		cmocka_unit_test(test_utf8_stream),    cmocka_unit_test(test_utf8_stream_prompt),
		cmocka_unit_test(test_alphabet),       cmocka_unit_test(test_alphabet_text),
		cmocka_unit_test(test_vocab_limits),   cmocka_unit_test(test_vocab_memory),
		cmocka_unit_test(test_special),        cmocka_unit_test(test_word_count),
		cmocka_unit_test(test_word_count_prune), cmocka_unit_test(test_pretok_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
