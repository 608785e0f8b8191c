/*
 * test_bpe_pair.c - vocab.json and merges.txt give what tokenizer.json gives that has both.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "format/tokenizer_json.h"
#include "scratch.h"

#ifdef TRIT_HAVE_JANSSON

#include "format/json_file.h"

static struct trit_error err;

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* The two files of GPT-2's form from tests/data/format/gpt2_style.json, which Hugging Face's library wrote. */
static void write_pair(const char *line_end)
{
	json_t *root, *model, *merge;
	size_t i;

	assert_int_equal(trit_json_read(&root, TRIT_TEST_DATA "/format/gpt2_style.json", &err), 0);
	model = json_object_get(root, "model");
	assert_int_equal(json_dump_file(json_object_get(model, "vocab"), "vocab.json", 0), 0);
	FILE *f = fopen("merges.txt", "wb");
	assert_non_null(f);
	fprintf(f, "#version: 0.2%s", line_end);
	json_array_foreach(json_object_get(model, "merges"), i, merge)
		fprintf(f, "%s%s", json_string_value(merge), line_end);
	assert_int_equal(fclose(f), 0);
	json_decref(root);
}

static void check_same(const struct trit_vocab *a, const struct trit_vocab *b)
{
	assert_string_equal(a->model, b->model);
	assert_string_equal(a->pre, b->pre);
	assert_int_equal(a->bos, b->bos);
	assert_int_equal(a->eos, b->eos);
	assert_int_equal(a->n_merges, b->n_merges);
	for (int i = 0; i < a->n_merges; i++) {
		assert_int_equal(a->merges[i].len, b->merges[i].len);
		assert_memory_equal(a->merges[i].text, b->merges[i].text, a->merges[i].len);
	}
	assert_int_equal(a->n_tokens, b->n_tokens);
	for (int i = 0; i < a->n_tokens; i++) {
		assert_int_equal(a->pieces[i].len, b->pieces[i].len);
		assert_memory_equal(a->pieces[i].text, b->pieces[i].text, a->pieces[i].len);
	}
}

static void test_pair(void **state)
{
	static const char *const line_ends[] = { "\n", "\r\n" };
	struct trit_vocab both, pair;

	(void)state;
	assert_int_equal(trit_tokenizer_json_read(TRIT_TEST_DATA "/format/gpt2_style.json", &both, &err), 0);
	for (int i = 0; i < 2; i++) {
		write_pair(line_ends[i]);
		write_text("added_tokens.json", "{\"<user tag>\": 276}");
		assert_int_equal(trit_tokenizer_json_read("vocab.json", &pair, &err), 0);
		check_same(&both, &pair);
		assert_int_equal(pair.pieces[0].type, TRIT_TOKEN_CONTROL); /* <|endoftext|> */
		trit_vocab_release(&pair);
	}
	trit_vocab_release(&both);
}

static void refuse(enum trit_status status, const char *text)
{
	struct trit_vocab v;

	assert_int_equal(trit_tokenizer_json_read("vocab.json", &v, &err), status);
	if (!strstr(err.message, text))
		fail_msg("\"%s\" is not in: %s", text, err.message);
}

static void test_damaged(void **state)
{
	(void)state;
	write_pair("\n");
	write_text("merges.txt", "#version: 0.2\nt h\nt h e\n");
	refuse(TRIT_ERR_FORMAT, "vocab.json and merges.txt");
	write_text("merges.txt", "t \xff\n");
	refuse(TRIT_ERR_FORMAT, "not UTF-8");
	remove("merges.txt");
	refuse(TRIT_ERR_FORMAT, "put merges.txt (or vocab.bpe) beside it");
	write_pair("\n");
	write_text("added_tokens.json", "{\"x\": 1000000}");
	refuse(TRIT_ERR_FORMAT, "1000000");
	write_text("added_tokens.json", "[");
	refuse(TRIT_ERR_FORMAT, "added_tokens.json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pair, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_damaged, scratch_enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77; /* skipped */
}

#endif
