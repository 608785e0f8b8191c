/*
 * text_fixture.h - reads the vocabularies of tests/data/tokenizer, for tests that must not depend on a file format of
 * the library.
 *
 * The form, one thing a line:  pre NAME | tokens N | N x "TYPE TEXT" | merges M | M x "LEFT RIGHT". Written by
 * tests/reference/make_tokenizer_golden.py. Include after cmocka.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_FIXTURE_H
#define TRIT_TEXT_FIXTURE_H

#include "text/vocab.h"

/* The next line without its end, of at most size - 1 bytes; fails the test at the end of the file. */
static inline size_t fixture_line(FILE *f, size_t size, char *line)
{
	size_t len;

	assert_non_null(fgets(line, (int)size, f));
	len = strcspn(line, "\n");
	assert_int_equal(line[len], '\n');
	line[len] = 0;
	return len;
}

/* Reads the vocabulary at `path`; `pre` replaces the name in the file unless NULL. */
static inline void fixture_vocab(struct trit_vocab *v, const char *path, const char *pre)
{
	char line[TRIT_MAX_TOKEN_BYTES * 2], name[32];
	FILE *f = fopen(path, "rb");
	struct trit_error err;
	int n_tokens, n_merges;
	long size, start;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	fixture_line(f, sizeof line, line);
	assert_int_equal(sscanf(line, "pre %31s", name), 1);
	fixture_line(f, sizeof line, line);
	assert_int_equal(sscanf(line, "tokens %d", &n_tokens), 1);
	start = ftell(f);
	for (int i = 0; i < n_tokens; i++)
		fixture_line(f, sizeof line, line);
	fixture_line(f, sizeof line, line);
	assert_int_equal(sscanf(line, "merges %d", &n_merges), 1);
	assert_int_equal(trit_vocab_init(v, "gpt2", pre ? pre : name, (size_t)n_tokens, (size_t)n_merges, (size_t)size,
	                                 &err), 0);
	fseek(f, start, SEEK_SET);
	for (int i = 0; i < n_tokens; i++) {
		size_t len = fixture_line(f, sizeof line, line);

		assert_true(len >= 2 && line[1] == ' ');
		assert_int_equal(trit_vocab_set_piece(v, (size_t)i, len - 2, line + 2,
		                                      (enum trit_token_type)(line[0] - '0'), &err), 0);
	}
	fixture_line(f, sizeof line, line);
	for (int i = 0; i < n_merges; i++) {
		size_t len = fixture_line(f, sizeof line, line);

		assert_int_equal(trit_vocab_set_merge(v, (size_t)i, len, line, &err), 0);
	}
	fclose(f);
}

#endif
