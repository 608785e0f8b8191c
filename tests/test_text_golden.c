/*
 * test_text_golden.c - tokens against Hugging Face's tokenizers: every pre-tokeniser's cuts and ids of 500 awkward
 * strings, and the merges learnt from a text.
 *
 * tests/data/tokenizer/golden.txt has, for each string,
 *     text FLAGS HEX          the string ("-": empty) and enum trit_tokenize_flags
 *     cut NAME LENGTH...      the pieces that pre-tokeniser NAME makes of it, in bytes
 *     ids NAME ID...          its tokens in the vocabulary of vocab.txt
 * where a name that is missing does as gpt-2, which always comes first.
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

#include "base/file.h"
#include "base/mem.h"
#include "text/bpe_train.h"
#include "text/pretok.h"
#include "text/tokenizer.h"
#include "text_fixture.h"

#define DATA TRIT_TEST_DATA "/tokenizer/"
#define MAX_TEXT 2048

enum { CUT, IDS };
static const char *const whats[] = { "cut", "ids" };
static const char *const names[] = { "gpt-2", "llama-bpe", "qwen2", "tekken", "smollm", "default" };
#define N_NAMES (sizeof names / sizeof *names)

static struct {
	struct trit_pretok *pretok;
	struct trit_cutter *cutter;
	struct trit_tokenizer *tokenizer;
	struct trit_encoder *encoder;
} families[N_NAMES];

static int set_up(void **state)
{
	struct trit_error err;

	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		struct trit_vocab vocab;

		fixture_vocab(&vocab, DATA "vocab.txt", names[i]);
		if (trit_tokenizer_new(&families[i].tokenizer, &vocab, &err) < 0 ||
		    trit_encoder_new(&families[i].encoder, families[i].tokenizer, &err) < 0 ||
		    trit_pretok_new(&families[i].pretok, names[i], &err) < 0 ||
		    trit_cutter_new(&families[i].cutter, families[i].pretok, &err) < 0) {
			print_error("%s\n", err.message);
			return -1;
		}
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		trit_encoder_free(families[i].encoder);
		trit_tokenizer_free(families[i].tokenizer);
		trit_cutter_free(families[i].cutter);
		trit_pretok_free(families[i].pretok);
	}
	return 0;
}

/* What family i makes of the text, as the golden file writes it: " 1 2 3". */
static void describe(size_t i, int what, unsigned flags, size_t len, const char *text, struct trit_buf *out)
{
	struct trit_error err;

	trit_buf_reset(out);
	assert_int_equal(trit_buf_append(out, 0, "", &err), 0);
	if (what == CUT) {
		const char *piece, *expected = text;
		size_t n;
		int more;

		trit_cutter_start(families[i].cutter, len, text);
		while ((more = trit_cutter_next(families[i].cutter, &piece, &n, &err)) > 0) {
			assert_ptr_equal(piece, expected); /* end to end */
			expected += n;
			assert_int_equal(trit_buf_printf(out, &err, " %zu", n), 0);
		}
		assert_int_equal(more, 0);
		assert_ptr_equal(expected, text + len);
	} else {
		struct trit_tokens ids;

		trit_tokens_init(&ids, 10000);
		assert_int_equal(trit_encode(families[i].encoder, len, text, flags, &ids, &err), 0);
		for (size_t k = 0; k < ids.len; k++)
			assert_int_equal(trit_buf_printf(out, &err, " %d", (int)ids.data[k]), 0);
		trit_tokens_release(&ids);
	}
}

static size_t read_hex(const char *hex, char *out)
{
	size_t n = 0;

	if (hex[0] == '-')
		return 0;
	for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
		out[n] = (char)byte;
	assert_true(n <= MAX_TEXT);
	return n;
}

/* One string with all its lines: expected[what][family] are strings, empty where the file says nothing. */
static int check(unsigned flags, size_t len, const char *text, char expected[2][N_NAMES][4 * MAX_TEXT],
                 struct trit_buf *made)
{
	int wrong = 0;

	for (int what = flags ? IDS : CUT; what <= IDS; what++)
		for (size_t i = 0; i < N_NAMES; i++) {
			const char *e = expected[what][i][0] == '?' ? expected[what][0] : expected[what][i];

#ifndef TRIT_HAVE_UTF8PROC
			if (!strcmp(names[i], "qwen2")) /* which is normalised */
				continue;
#endif
			describe(i, what, flags, len, text, made);
			if (strcmp(made->data, e) != 0) {
				print_error("%s of \"%.*s\" (flags %u) by %s: expected%s, got%s\n", whats[what],
				            (int)len, text, flags, names[i], e, made->data);
				wrong++;
			}
		}
	return wrong;
}

static void test_golden(void **state)
{
	static char line[8 * MAX_TEXT], expected[2][N_NAMES][4 * MAX_TEXT], text[MAX_TEXT];
	FILE *f = fopen(DATA "golden.txt", "rb");
	unsigned flags = 0;
	size_t len = 0;
	struct trit_buf made;
	int strings = 0, wrong = 0;

	(void)state;
	assert_non_null(f);
	trit_buf_init(&made, SIZE_MAX);
	for (bool more = true; more;) {
		more = fgets(line, sizeof line, f) != NULL;
		line[strcspn(line, "\n")] = 0;
		if (!more || !strncmp(line, "text ", 5)) {
			if (strings)
				wrong += check(flags, len, text, expected, &made);
			if (more) {
				flags = (unsigned)(line[5] - '0');
				len = read_hex(line + 7, text);
				strings++;
			}
			for (size_t i = 0; i < 2 * N_NAMES; i++)
				memcpy(expected[i / N_NAMES][i % N_NAMES], "?", 2);
		} else {
			int what = !strncmp(line, "ids ", 4) ? IDS : CUT;
			size_t name_len = strcspn(line + 4, " "), i = 0;

			while (i < N_NAMES && (strlen(names[i]) != name_len || strncmp(names[i], line + 4, name_len)))
				i++;
			assert_true(i < N_NAMES);
			snprintf(expected[what][i], sizeof expected[what][i], "%s", line + 4 + name_len);
		}
	}
	fclose(f);
	trit_buf_release(&made);
	assert_int_equal(wrong, 0);
	assert_true(strings > 400);
}

/* The same merges as Hugging Face's BpeTrainer, in the same order, from the same text. */
static void test_learnt_merges(void **state)
{
	struct trit_bpe_trainer *t;
	struct trit_vocab expected, learnt;
	struct trit_error err;
	struct trit_map text;

	(void)state;
	fixture_vocab(&expected, DATA "vocab.txt", NULL);
	assert_int_equal(trit_map_open(&text, DATA "corpus.txt", &err), 0);
	assert_int_equal(trit_bpe_trainer_new(&t, "gpt-2", &err), 0);
	assert_int_equal(trit_bpe_trainer_add(t, text.size, (const char *)text.data, &err), 0);
	assert_int_equal(trit_bpe_trainer_bytes(t), text.size);
	assert_int_equal(trit_bpe_train(t, 256 + expected.n_merges + 1, &learnt, &err), 0);
	assert_int_equal(learnt.n_tokens, 256 + expected.n_merges + 1);
	assert_int_equal(learnt.n_merges, expected.n_merges);
	for (int i = 0; i < learnt.n_tokens - 1; i++) {
		assert_int_equal(learnt.pieces[i].type, TRIT_TOKEN_NORMAL);
		assert_int_equal(learnt.pieces[i].len, expected.pieces[i].len);
		assert_memory_equal(learnt.pieces[i].text, expected.pieces[i].text, expected.pieces[i].len);
	}
	for (int i = 0; i < learnt.n_merges; i++) {
		assert_int_equal(learnt.merges[i].len, expected.merges[i].len);
		assert_memory_equal(learnt.merges[i].text, expected.merges[i].text, expected.merges[i].len);
	}
	trit_vocab_release(&expected);
	trit_vocab_release(&learnt);
	trit_bpe_trainer_free(t);
	trit_map_close(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, set_up, tear_down),
		cmocka_unit_test(test_learnt_merges),
	};

#ifndef TRIT_HAVE_PCRE2
	printf("skipped: built without PCRE2\n");
	return 77;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
