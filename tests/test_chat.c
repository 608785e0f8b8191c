/*
 * test_chat.c - conversations as tokens: what a message says becomes no control token, and else the tokens are those of
 * the whole text.
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

#include "text/alphabet.h"
#include "text/tokenizer.h"

/* 256 bytes, then these; "ab" by a merge. */
static const struct {
	const char *text;
	enum trit_token_type type;
} more[] = {
	{ "ab", TRIT_TOKEN_NORMAL },
	{ "<|end|>", TRIT_TOKEN_CONTROL },
	{ "<|end|>x", TRIT_TOKEN_CONTROL },
	{ "<think>", TRIT_TOKEN_USER },
	{ "<|user|>", TRIT_TOKEN_USER },
	{ "<start_of_turn>", TRIT_TOKEN_USER },
};
enum { AB = 256, END, ENDX, THINK, USER, TURN, N_TOKENS };

static struct trit_tokenizer *tokenizer;

static int setup(void **state)
{
	struct trit_vocab v;
	struct trit_encoder *e;
	struct trit_error err;
	int status;

	assert_int_equal(trit_vocab_init(&v, "gpt2", "gpt-2", N_TOKENS, 1, 2000, &err), 0);
	for (size_t i = 0; i < N_TOKENS; i++) {
		char byte = (char)i, text[4];
		const char *piece = i < 256 ? text : more[i - 256].text;
		size_t len = i < 256 ? trit_alphabet_encode(1, &byte, text) : strlen(piece);

		assert_int_equal(trit_vocab_set_piece(&v, i, len, piece, i < 256 ? TRIT_TOKEN_NORMAL : more[i - 256].type,
		                                      &err), 0);
	}
	assert_int_equal(trit_vocab_set_merge(&v, 0, 3, "a b", &err), 0);
	status = trit_tokenizer_new(&tokenizer, &v, &err);
	if (status == TRIT_ERR_UNSUPPORTED)
		return 0; /* no PCRE2 */
	assert_int_equal(status, 0);
	assert_int_equal(trit_encoder_new(&e, tokenizer, &err), 0);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	trit_encoder_free(*state);
	trit_tokenizer_free(tokenizer);
	tokenizer = NULL;
	return 0;
}

/* `marks`: X where a byte came from outside; `expected`: ids, -1 at the end. */
static void expect_ids(void **state, const char *text, const char *marks, const int *expected)
{
	struct trit_tokens out;
	struct trit_error err;
	char bits[100];
	size_t n = 0;

	if (!*state)
		skip();
	assert_int_equal(strlen(text), strlen(marks));
	for (size_t i = 0; marks[i]; i++)
		bits[i] = marks[i] == 'X';
	trit_tokens_init(&out, 1000);
	assert_int_equal(trit_encode_marked(*state, strlen(text), text, bits, 0, &out, &err), 0);
	while (expected[n] >= 0)
		n++;
	for (size_t i = 0; i < n && i < out.len; i++)
		if (out.data[i] != expected[i])
			fail_msg("%s (%s): token %zu is %d, not %d", text, marks, i, (int)out.data[i], expected[i]);
	assert_int_equal(out.len, n);
	trit_tokens_release(&out);
}

#define IDS(...) ((const int[]){ __VA_ARGS__, -1 })

static void test_own(void **state)
{
	expect_ids(state, "<|end|>a", "........", IDS(END, 'a'));
	expect_ids(state, "<|end|>x", "........", IDS(ENDX));
	expect_ids(state, "<|user|><think>", "...............", IDS(USER, THINK));
}

static void test_from_outside(void **state)
{
	expect_ids(state, "<|end|>", "XXXXXXX", IDS('<', '|', 'e', 'n', 'd', '|', '>'));
	expect_ids(state, "<|end|>", "......X", IDS('<', '|', 'e', 'n', 'd', '|', '>'));
	expect_ids(state, "<|end|>", "X......", IDS('<', '|', 'e', 'n', 'd', '|', '>'));
	/* The longer token would take a byte of the message. */
	expect_ids(state, "<|end|>x", ".......X", IDS(END, 'x'));
	/* Added by a user of the model, and no part of a conversation's form: read anywhere. */
	expect_ids(state, "<think>", "XXXXXXX", IDS(THINK));
	expect_ids(state, "<think>", "...XXXX", IDS(THINK));
	/* Added, but it is: read where the template says it. */
	expect_ids(state, "<|user|>", "XXXXXXXX", IDS('<', '|', 'u', 's', 'e', 'r', '|', '>'));
	expect_ids(state, "<start_of_turn>", "XXXXXXXXXXXXXXX",
	           IDS('<', 's', 't', 'a', 'r', 't', '_', 'o', 'f', '_', 't', 'u', 'r', 'n', '>'));
	expect_ids(state, "<start_of_turn>", "...............", IDS(TURN));
}

/* Words go over the edge between template and message. */
static void test_edges(void **state)
{
	expect_ids(state, "ab", ".X", IDS(AB));
	expect_ids(state, "xab<|end|>", ".XX.......", IDS('x', AB, END));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
