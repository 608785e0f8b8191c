/*
 * test_text_train.c - learning a vocabulary: against a slow reference that counts all pairs anew for each merge, and
 * its limits. (test_text_golden.c compares with Hugging Face's trainer.)
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
#include "text/bpe_train.h"
#include "text/tokenizer.h"

static void learn(struct trit_vocab *v, size_t n_texts, const char *const *texts, int n_tokens)
{
	struct trit_bpe_trainer *t;
	struct trit_error err;

	assert_int_equal(trit_bpe_trainer_new(&t, "gpt-2", &err), 0);
	for (size_t i = 0; i < n_texts; i++)
		assert_int_equal(trit_bpe_trainer_add(t, strlen(texts[i]), texts[i], &err), 0);
	assert_int_equal(trit_bpe_train(t, n_tokens, v, &err), 0);
	trit_bpe_trainer_free(t);
}

static void expect_same(const struct trit_vocab *a, const struct trit_vocab *b)
{
	assert_int_equal(a->n_tokens, b->n_tokens);
	assert_int_equal(a->n_merges, b->n_merges);
	assert_int_equal(a->bytes.len, b->bytes.len);
	assert_memory_equal(a->bytes.data, b->bytes.data, a->bytes.len);
}

static void expect_merges(const struct trit_vocab *v, size_t n, const char *const *merges)
{
	assert_int_equal(v->n_merges, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(v->merges[i].len, strlen(merges[i]));
		assert_memory_equal(v->merges[i].text, merges[i], v->merges[i].len);
	}
}

/* Worked out by hand. "abab" 3 times, "ab" once, "aaa" twice:
 *   ab 3*2 + 1 = 7, ba 3, aa 2*2 = 4; then (ab ab) 3, (a a) 4; then ab ab 3 before (aa a) 2. */
static void test_by_hand(void **state)
{
	static const char *const texts[] = { "abab\nabab\nabab\nab\naaa\naaa" };
	static const char *const merges[] = { "a b", "a a", "ab ab", "aa a" };
	struct trit_vocab v;

	(void)state;
	learn(&v, 1, texts, 1000);
	expect_merges(&v, 4, merges);
	assert_int_equal(v.n_tokens, 261); /* no other pair occurs twice */
	assert_int_equal(v.pieces[256].len, 2);
	assert_memory_equal(v.pieces[256].text, "ab", 2);
	assert_memory_equal(v.pieces[258].text, "abab", 4);
	assert_int_equal(v.pieces[260].type, TRIT_TOKEN_CONTROL);
	assert_int_equal(v.pieces[260].len, 13);
	assert_memory_equal(v.pieces[260].text, "<|endoftext|>", 13);
	assert_int_equal(v.bos, 260);
	assert_int_equal(v.eos, 260);
	assert_int_equal(v.unk, -1);
	assert_true(v.add_bos);
	assert_false(v.add_eos);
	assert_string_equal(v.model, "gpt2");
	assert_string_equal(v.pre, "gpt-2");
	trit_vocab_release(&v);
}

/* Equal counts: the pair of smaller ids, that is of smaller characters, then of older tokens. */
static void test_ties(void **state)
{
	static const char *const texts[] = { "zy zy\nab ab\nyz yz\nba ba" };
	static const char *const merges[] = { "a b", "b a", "y z", "z y", "\xc4\xa0 ab", "\xc4\xa0 ba", "\xc4\xa0 yz" };
	struct trit_vocab v;

	(void)state;
	learn(&v, 1, texts, 300); /* " ab", " ba" ... occur once each: no merge */
	expect_merges(&v, 4, merges);
	trit_vocab_release(&v);
	learn(&v, 1, (const char *const[]){ "x zy zy x ab ab x yz yz x ba ba" }, 263);
	/* a b 2, b a 2, y z 2, z y 2, and (space x) 3 first of all */
	assert_int_equal(v.n_merges, 6);
	assert_memory_equal(v.merges[0].text, "\xc4\xa0 x", 4);
	for (int i = 1; i < 5; i++) {
		assert_int_equal(v.merges[i].len, 3);
		assert_memory_equal(v.merges[i].text, merges[i - 1], 3);
	}
	assert_int_equal(v.merges[5].len, strlen(merges[4]));
	assert_memory_equal(v.merges[5].text, merges[4], strlen(merges[4]));
	trit_vocab_release(&v);
}

/* ---- the slow reference ------------------------------------------------------------------------------------------ */

#define MAX_WORDS 60
#define MAX_WORD 14
#define MAX_IDS 700

struct slow {
	int n_words, len[MAX_WORDS], word[MAX_WORDS][MAX_WORD];
	int n_ids;
	char text[MAX_IDS][2 * MAX_WORD]; /* of ids from 256 on; below, ids are bytes less 33 (printable only) */
};

/* One merge by the definition: count all pairs, take the most frequent (smallest ids among equals), replace it from
 * left to right. Returns false when none occurs twice. */
static bool merge_slowly(struct slow *s, char merge[4 * MAX_WORD])
{
	static int count[MAX_IDS][MAX_IDS];
	int left = -1, right = -1;

	memset(count, 0, sizeof count);
	for (int w = 0; w < s->n_words; w++)
		for (int i = 0; i + 1 < s->len[w]; i++)
			count[s->word[w][i]][s->word[w][i + 1]]++;
	for (int a = 0; a < s->n_ids; a++)
		for (int b = 0; b < s->n_ids; b++)
			if (count[a][b] > 1 && (left < 0 || count[a][b] > count[left][right])) {
				left = a;
				right = b;
			}
	if (left < 0 || s->n_ids == MAX_IDS)
		return false;
	snprintf(merge, 4 * MAX_WORD, "%.27s %.27s", s->text[left], s->text[right]);
	memcpy(s->text[s->n_ids], s->text[left], strlen(s->text[left]));
	memcpy(s->text[s->n_ids] + strlen(s->text[left]), s->text[right], strlen(s->text[right]) + 1);
	for (int w = 0; w < s->n_words; w++) {
		int n = 0;

		for (int i = 0; i < s->len[w]; i++)
			if (i + 1 < s->len[w] && s->word[w][i] == left && s->word[w][i + 1] == right) {
				s->word[w][n++] = s->n_ids;
				i++;
			} else {
				s->word[w][n++] = s->word[w][i];
			}
		s->len[w] = n;
	}
	s->n_ids++;
	return true;
}

static void test_against_slow(void **state)
{
	static struct slow s;
	struct trit_rng rng;

	(void)state;
	trit_rng_init(&rng, 11);
	for (int round = 0; round < 8; round++) {
		char text[MAX_WORDS * (MAX_WORD + 1) + 1], merge[4 * MAX_WORD];
		const char *one = text;
		struct trit_vocab v;
		size_t used = 0;
		int rank = 0;

		memset(&s, 0, sizeof s);
		s.n_words = MAX_WORDS;
		s.n_ids = 256;
		for (int i = 0; i < 94; i++)
			s.text[i][0] = (char)(i + 33);
		for (int w = 0; w < s.n_words; w++) {
			s.len[w] = 1 + (int)trit_rng_below(&rng, MAX_WORD);
			for (int i = 0; i < s.len[w]; i++) {
				char c = "aaab"[trit_rng_below(&rng, 4)] + (round % 4 && trit_rng_below(&rng, 2));

				s.word[w][i] = c - 33;
				text[used++] = c;
			}
			text[used++] = '\n';
		}
		text[used] = 0;
		learn(&v, 1, &one, 1000);
		for (; merge_slowly(&s, merge); rank++) {
			assert_true(rank < v.n_merges);
			if (v.merges[rank].len != strlen(merge) || memcmp(v.merges[rank].text, merge, strlen(merge)))
				fail_msg("round %d, merge %d: expected \"%s\", got \"%.*s\"", round, rank, merge,
				         (int)v.merges[rank].len, v.merges[rank].text);
		}
		assert_int_equal(rank, v.n_merges);
		trit_vocab_release(&v);
	}
}

/* ---- habits and limits ------------------------------------------------------------------------------------------- */

static void test_arguments(void **state)
{
	struct trit_bpe_trainer *t = NULL;
	struct trit_vocab v = { 0 };
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_bpe_trainer_new(&t, "unheard-of", &err), TRIT_ERR_UNSUPPORTED);
	assert_null(t);
	assert_int_equal(trit_bpe_trainer_new(&t, "gpt-2", &err), 0);
	assert_int_equal(trit_bpe_train(t, 300, &v, &err), TRIT_ERR_FORMAT);
	assert_int_equal(trit_bpe_trainer_add(t, 0, NULL, &err), 0);
	assert_int_equal(trit_bpe_train(t, 300, &v, &err), TRIT_ERR_FORMAT);
	assert_int_equal(trit_bpe_trainer_add(t, 5, "a\0\xff\x80 ", &err), 0);
	assert_int_equal(trit_bpe_trainer_bytes(t), 5);
	assert_int_equal(trit_bpe_train(t, 256, &v, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_bpe_train(t, -1, &v, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_bpe_train(t, TRIT_MAX_VOCAB + 1, &v, &err), TRIT_ERR_ARG);
	assert_null(v.pieces);
	assert_int_equal(trit_bpe_train(t, 257, &v, &err), 0);
	assert_int_equal(v.n_tokens, 257);
	assert_int_equal(v.n_merges, 0);
	trit_vocab_release(&v);
	trit_bpe_trainer_free(t);
	trit_bpe_trainer_free(NULL);
}

static const char *const lines[] = {
	"the cat sat on the mat and the cat ate the rat\n", "a rat that sat on a hat is a flat rat\n",
	"\xc3\xbc\xc3\xa4\xc3\xb6 \xc3\xbc\xc3\xa4 \xc3\xb6\xc3\xbc\n", "  12 12 123  12\xff\xfe\xff\xfe\n",
	"that hat, that rat; that cat!\n",
};
#define N_LINES (sizeof lines / sizeof *lines)

/* The order of the documents changes nothing, nor does learning twice; fewer tokens are the beginning of more. */
static void test_order(void **state)
{
	const char *backwards[N_LINES];
	struct trit_vocab a, b, c;
	struct trit_bpe_trainer *t;
	struct trit_error err;

	(void)state;
	for (size_t i = 0; i < N_LINES; i++)
		backwards[i] = lines[N_LINES - 1 - i];
	learn(&a, N_LINES, lines, 290);
	learn(&b, N_LINES, backwards, 290);
	expect_same(&a, &b);
	trit_vocab_release(&b);
	assert_int_equal(trit_bpe_trainer_new(&t, "", &err), 0);
	for (size_t i = 0; i < N_LINES; i++)
		assert_int_equal(trit_bpe_trainer_add(t, strlen(lines[i]), lines[i], &err), 0);
	assert_int_equal(trit_bpe_train(t, 270, &c, &err), 0);
	assert_int_equal(trit_bpe_train(t, 290, &b, &err), 0);
	expect_same(&a, &b);
	assert_int_equal(c.n_tokens, 270);
	assert_int_equal(c.n_merges, 13);
	for (int i = 0; i < c.n_merges; i++)
		assert_memory_equal(c.merges[i].text, a.merges[i].text, a.merges[i].len);
	trit_vocab_release(&a);
	trit_vocab_release(&b);
	trit_vocab_release(&c);
	trit_bpe_trainer_free(t);
}

/* A tokenizer takes what was learnt, and every token of it is one that encoding gives for its own bytes. */
static void test_usable(void **state)
{
	struct trit_vocab v;
	struct trit_tokenizer *t;
	struct trit_encoder *e;
	struct trit_tokens ids;
	struct trit_error err;

	(void)state;
	learn(&v, N_LINES, lines, 400);
	assert_int_equal(trit_tokenizer_new(&t, &v, &err), 0);
	assert_int_equal(trit_encoder_new(&e, t, &err), 0);
	trit_tokens_init(&ids, 1000);
	for (trit_token id = 0; id < trit_tokenizer_vocab(t)->n_tokens - 1; id++) {
		size_t len;
		const char *bytes = trit_decode_token(t, id, &len);

		ids.len = 0;
		assert_int_equal(trit_encode(e, len, bytes, 0, &ids, &err), 0);
		assert_int_equal(ids.len, 1);
		assert_int_equal(ids.data[0], id);
	}
	ids.len = 0;
	assert_int_equal(trit_encode(e, 13, "<|endoftext|>", TRIT_TOKENIZE_BOS | TRIT_TOKENIZE_SPECIAL, &ids, &err), 0);
	assert_int_equal(ids.len, 2);
	assert_int_equal(ids.data[0], ids.data[1]);
	assert_true(trit_is_end_token(t, ids.data[0]));
	trit_tokens_release(&ids);
	trit_encoder_free(e);
	trit_tokenizer_free(t);
}

/* One word of a megabyte: cut into words of 256, of which nothing longer is learnt. */
static void test_long_word(void **state)
{
	const size_t len = 1 << 20;
	char *text = trit_calloc(len, 1);
	struct trit_bpe_trainer *t;
	struct trit_vocab v;
	struct trit_error err;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', len);
	assert_int_equal(trit_bpe_trainer_new(&t, "gpt-2", &err), 0);
	assert_int_equal(trit_bpe_trainer_add(t, len, text, &err), 0);
	assert_int_equal(trit_bpe_train(t, 1000, &v, &err), 0);
	assert_int_equal(v.n_merges, 8); /* 2, 4, 8, ..., 256 */
	assert_int_equal(v.pieces[263].len, 256);
	trit_vocab_release(&v);
	trit_bpe_trainer_free(t);
	trit_free(text);
}

static void test_memory(void **state)
{
	struct trit_error err;
	bool done = false;

	(void)state;
	for (uint64_t n = 1; !done; n++) {
		struct trit_bpe_trainer *t = NULL;
		struct trit_vocab v = { 0 };
		int status;

		trit_mem_fail_after(n);
		status = trit_bpe_trainer_new(&t, "gpt-2", &err);
		for (size_t i = 0; i < N_LINES && status == 0; i++)
			status = trit_bpe_trainer_add(t, strlen(lines[i]), lines[i], &err);
		for (int i = 0; i < 3000 && status == 0; i++) { /* enough different words to make the tables grow */
			char text[24];
			int len = snprintf(text, sizeof text, " %x%x", i * 40503 & 0xffff, i);

			status = trit_bpe_trainer_add(t, (size_t)len, text, &err);
		}
		if (status == 0)
			status = trit_bpe_train(t, 600, &v, &err);
		trit_mem_fail_after(0);
		assert_true(status == 0 || status == TRIT_ERR_MEMORY);
		assert_true(status == 0 || !v.pieces);
		done = status == 0;
		trit_vocab_release(&v);
		trit_bpe_trainer_free(t);
		assert_true(n < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_ties),   cmocka_unit_test(test_against_slow),
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_order),  cmocka_unit_test(test_usable),
		cmocka_unit_test(test_long_word), cmocka_unit_test(test_memory),
	};

#ifndef TRIT_HAVE_PCRE2
	printf("skipped: built without PCRE2\n");
	return 77;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
