/*
 * test_bpe_golden.c - ids of 2,000 awkward strings by tokenizer.json of many kinds, and by a tiktoken file, against
 * Hugging Face's tokenizers and tiktoken.
 *
 * The files, and their form, are made by tests/reference/make_bpe_golden.py.
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
#include "format/tiktoken.h"
#include "format/tokenizer_json.h"
#include "format/vocab_file.h"
#include "text/tokenizer.h"

#define DATA TRIT_TEST_DATA "/tokenizer/"
#define MAX_STRINGS 2048
#define MAX_LINE (1 << 17)

static struct {
	char text[512];
	size_t len;
} strings[MAX_STRINGS];
static int n_strings;

/* The next line without its end; NULL at the end of the file. */
static char *read_line(FILE *f, char *line)
{
	if (!fgets(line, MAX_LINE, f))
		return NULL;
	line[strcspn(line, "\n")] = 0;
	return line;
}

static int read_strings(void **state)
{
	static char line[MAX_LINE];
	FILE *f = fopen(DATA "strings.txt", "rb");

	(void)state;
	assert_non_null(f);
	while (read_line(f, line)) {
		size_t n = 0;

		assert_true(n_strings < MAX_STRINGS);
		for (unsigned byte; sscanf(line + 2 * n, "%2x", &byte) == 1; n++) {
			assert_true(n < sizeof strings[0].text);
			strings[n_strings].text[n] = (char)byte;
		}
		strings[n_strings++].len = n;
	}
	fclose(f);
	assert_int_equal(n_strings, 2000);
	return 0;
}

/* Four letters for a list of ids; see make_bpe_golden.py. */
static void put_letters(const struct trit_tokens *ids, char out[5])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < ids->len; i++)
		for (int k = 0; k < 32; k += 8)
			h = (h ^ ((uint32_t)ids->data[i] >> k & 0xff)) * 0x100000001b3;
	for (int i = 0; i < 4; i++)
		out[i] = digits[h >> (18 - 6 * i) & 63];
	out[4] = 0;
}

/* Encodes every `every`th string; how many differ from the letters that follow in the file. */
static int compare(const char *name, struct trit_vocab *take_vocab, int every, FILE *f)
{
	static char line[MAX_LINE];
	struct trit_tokenizer *t;
	struct trit_encoder *e;
	struct trit_error err;
	char *at = line;
	int wrong = 0;

	if (trit_tokenizer_new(&t, take_vocab, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	assert_int_equal(trit_encoder_new(&e, t, &err), 0);
	line[0] = 0;
	for (int i = 0; i < n_strings; i += every) {
		struct trit_tokens ids;
		char letters[5];

		if (!*at) {
			assert_non_null(read_line(f, line));
			at = line;
		}
		trit_tokens_init(&ids, 10000);
		assert_int_equal(trit_encode(e, strings[i].len, strings[i].text, TRIT_TOKENIZE_SPECIAL, &ids, &err), 0);
		put_letters(&ids, letters);
		if (strncmp(at, letters, 4) != 0 && wrong++ < 3) {
			print_error("%s: \"%.*s\" (%d) becomes", name, (int)strings[i].len, strings[i].text, i);
			for (size_t k = 0; k < ids.len; k++)
				print_error(" %d", (int)ids.data[k]);
			print_error(", which is not what it should be\n");
		}
		at += 4;
		trit_tokens_release(&ids);
	}
	assert_int_equal(*at, 0);
	trit_encoder_free(e);
	trit_tokenizer_free(t);
	return wrong;
}

#ifdef TRIT_HAVE_JANSSON

/* The JSON of a model by its name in models.txt. */
static void find_model(const char *name, char *json)
{
	FILE *f = fopen(DATA "models.txt", "rb");
	size_t len = strlen(name);

	assert_non_null(f);
	do
		assert_non_null(read_line(f, json));
	while (strncmp(json + 6, name, len) != 0 || json[6 + len] != ' ');
	memmove(json, json + 7 + len, strlen(json + 7 + len) + 1);
	fclose(f);
}

/* A tokenizer.json from its two halves, {...} each. */
static int parse(const char *model, const char *rest, bool whole, struct trit_vocab *v, struct trit_error *err)
{
	static char json[2 * MAX_LINE + 64];
	int n = snprintf(json, sizeof json, "%.*s,\"model\":{%s%s}", (int)strlen(rest) - 1, rest,
	                 whole ? "\"ignore_merges\":true," : "", model + 1);

	assert_in_range(n, 1, sizeof json - 1);
	return trit_tokenizer_json_parse((size_t)n, json, v, err);
}

static void test_pipelines(void **state)
{
	static char line[MAX_LINE], rest[MAX_LINE], model[MAX_LINE];
	FILE *f = fopen(DATA "pipelines.txt", "rb");
	int cases = 0, wrong = 0;

	(void)state;
	assert_non_null(f);
	while (read_line(f, line)) {
		char name[32], model_name[16], pre[32];
		struct trit_vocab v = { 0 };
		struct trit_error err;
		int whole, every;

		assert_int_equal(sscanf(line, "case %31s %15s %31s %d %d", name, model_name, pre, &whole, &every), 5);
		assert_non_null(read_line(f, rest));
		find_model(model_name, model);
		if (pre[0] == '=') { /* its expression has no translation; the tokens are the same without */
			char *stages = strstr(rest, "\"pre_tokenizer\"");

			assert_non_null(stages);
			snprintf(stages, 80, "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}");
		}
		if (parse(model, rest, whole, &v, &err) < 0)
			fail_msg("%s: %s", name, err.message);
		if (pre[0] == '=')
			snprintf(v.pre, sizeof v.pre, "%s", pre + 1);
		else if (pre[0] != '-')
			assert_string_equal(v.pre, pre);
		assert_int_equal(v.custom, pre[0] == '-' && strcmp(v.model, "bert") != 0);
		wrong += compare(name, &v, every, f);
		cases++;
	}
	fclose(f);
	assert_int_equal(wrong, 0);
	assert_int_equal(cases, 51);
}

#endif

static void test_tiktoken(void **state)
{
	struct trit_vocab v = { 0 };
	struct trit_error err;
	FILE *f = fopen(DATA "tiktoken.ids", "rb");

	(void)state;
	assert_non_null(f);
	assert_int_equal(trit_vocab_file_read(DATA "tiktoken.model", &v, &err), 0);
	assert_string_equal(v.pre, "llama-bpe");
	assert_int_equal(v.n_tokens, 900);
	assert_int_equal(compare("tiktoken", &v, 1, f), 0);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef TRIT_HAVE_JANSSON
		cmocka_unit_test(test_pipelines),
#endif
		cmocka_unit_test(test_tiktoken),
	};

#if !defined TRIT_HAVE_PCRE2 || !defined TRIT_HAVE_UTF8PROC
	printf("skipped: built without PCRE2 or utf8proc\n");
	return 77;
#endif
	return cmocka_run_group_tests(tests, read_strings, NULL);
}
