/*
 * test_tokenizer_json.c - tokenizer.json files that the tokenizers library made
 * (tests/reference/make_format_golden.py), and variations of a small one that are damaged or of another kind.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "format_helpers.h"

#include "format/tokenizer_json.h"

#ifdef TRIT_HAVE_JANSSON

/* ---- files of another program ----------------------------------------------------------------------------------- */

/* Compares all tokens with NAME.tokens, which the other library listed: "id c|u|n text" a line. */
static void check_tokens(const struct trit_vocab *v, const char *path)
{
	struct trit_error err;
	struct trit_map m;
	const char *at, *end;
	int id = 0;

	assert_int_equal(trit_map_open(&m, path, &err), 0);
	at = (const char *)m.data;
	for (end = at + m.size; at < end; id++) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		char head[16];
		size_t head_len = (size_t)snprintf(head, sizeof head, "%d ", id);
		int type;

		assert_memory_equal(at, head, head_len);
		at += head_len;
		type = *at == 'c' ? TRIT_TOKEN_CONTROL : *at == 'u' ? TRIT_TOKEN_USER : TRIT_TOKEN_NORMAL;
		at += 2;
		assert_int_equal(v->pieces[id].type, type);
		assert_int_equal(v->pieces[id].len, line_end - at);
		assert_memory_equal(v->pieces[id].text, at, (size_t)(line_end - at));
		at = line_end + 1;
	}
	assert_int_equal(id, v->n_tokens);
	trit_map_close(&m);
}

static void check_merge(const struct trit_vocab *v, int rank, const char *text)
{
	assert_int_equal(v->merges[rank].len, strlen(text));
	assert_memory_equal(v->merges[rank].text, text, strlen(text));
}

static void test_gpt2_style(void **state)
{
	struct trit_vocab v;
	struct trit_error err;
	(void)state;

	assert_int_equal(trit_tokenizer_json_read(TRIT_TEST_DATA "/format/gpt2_style.json", &v, &err), 0);
	assert_string_equal(v.model, "gpt2");
	assert_string_equal(v.pre, "gpt-2");
	assert_int_equal(v.n_tokens, 277);
	assert_int_equal(v.n_merges, 19);
	check_tokens(&v, TRIT_TEST_DATA "/format/gpt2_style.tokens");
	check_merge(&v, 0, "t h");
	check_merge(&v, 2, "Ġ th");
	check_merge(&v, 18, "Ġ an");
	assert_int_equal(v.bos, 0); /* <|endoftext|> */
	assert_int_equal(v.eos, 0);
	assert_int_equal(v.eot, -1);
	assert_false(v.add_bos);
	assert_false(v.add_eos);
	trit_vocab_release(&v);
}

static void test_llama3_style(void **state)
{
	struct trit_vocab v;
	struct trit_error err;
	(void)state;

	assert_int_equal(trit_tokenizer_json_read(TRIT_TEST_DATA "/format/llama3_style.json", &v, &err), 0);
	assert_string_equal(v.pre, "llama-bpe");
	assert_int_equal(v.n_tokens, 275);
	assert_int_equal(v.n_merges, 16);
	check_tokens(&v, TRIT_TEST_DATA "/format/llama3_style.tokens");
	check_merge(&v, 0, "t h"); /* a pair in the file */
	assert_int_equal(v.bos, 272);
	assert_int_equal(v.eos, 273);
	assert_int_equal(v.eot, 274);
	assert_true(v.add_bos);
	assert_false(v.add_eos);
	trit_vocab_release(&v);
}

/* ---- variations of a small one ---------------------------------------------------------------------------------- */

/* Each member of the small file, as JSON; NULL: the usual one. */
struct parts {
	const char *type, *vocab, *merges, *more, *added, *normalizer, *pre, *post;
};

#define OR(field, usual) (p->field ? p->field : (usual))
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}"
#define NO_REGEX "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SEQUENCE(a, b) "{\"type\":\"Sequence\",\"pretokenizers\":[" a "," b "]}"
#define SPLIT(regex) \
	"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define QWEN2 \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| " \
	"?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r" \
	"\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define LLAMA3 \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| " \
	"?[^\\\\s\\\\p{L}\\\\p{N}]+" \
	"[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define SPECIAL(text) "{\"SpecialToken\":{\"id\":\"" text "\",\"type_id\":0}}"
#define TEXT_A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define TEMPLATE(parts) "{\"type\":\"TemplateProcessing\",\"single\":[" parts "]}"
#define ADDED(id, text, special) "{\"id\":" #id ",\"content\":\"" text "\",\"special\":" special "}"

static int parse(const struct parts *p, struct trit_vocab *v, struct trit_error *err)
{
	char json[4096];
	int n = snprintf(json, sizeof json,
	                 "{\"model\":{\"type\":%s,\"vocab\":%s,\"merges\":%s%s},\"added_tokens\":%s,\"normalizer\":%s,"
	                 "\"pre_tokenizer\":%s,\"post_processor\":%s}",
	                 OR(type, "\"BPE\""), OR(vocab, "{\"b\":1,\"a\":0,\"ab\":2}"), OR(merges, "[\"a b\"]"),
	                 OR(more, ""), OR(added, "[" ADDED(3, "<s>", "true") "," ADDED(4, "</s>", "true") "]"),
	                 OR(normalizer, "null"), OR(pre, BYTE_LEVEL), OR(post, "null"));
	unsigned char *copy;
	int status;

	assert_in_range(n, 1, sizeof json - 1);
	copy = exact_copy((const unsigned char *)json, (size_t)n);
	status = trit_tokenizer_json_parse((size_t)n, (const char *)copy, v, err);
	trit_free(copy);
	return status;
}

static void test_kinds(void **state)
{
	static const struct {
		struct parts parts;
		const char *pre;
		trit_token bos, eos;
		bool add_bos, add_eos;
	} cases[] = {
		{ { 0 }, "gpt-2", 3, 4, false, false },
		{ { .merges = "[[\"a\",\"b\"]]" }, "gpt-2", 3, 4, false, false },
		{ { .normalizer = "{\"type\":\"NFC\"}" }, "olmo", 3, 4, false, false },
		{ { .normalizer = "{\"type\":\"Sequence\",\"normalizers\":[]}" }, "gpt-2", 3, 4, false, false },
		{ { .added = "[]" }, "gpt-2", -1, -1, false, false },
		{ { .added = "null" }, "gpt-2", -1, -1, false, false },
		{ { .added = "[" ADDED(3, "<s>", "false") "]" }, "gpt-2", -1, -1, false, false },
		{ { .added = "[" ADDED(2, "ab", "true") "]" }, "gpt-2", -1, -1, false, false },
		{ { .pre = SEQUENCE(SPLIT(QWEN2), NO_REGEX) }, "deepseek-r1-qwen", 3, 4, false, false },
		{ { .pre = SEQUENCE(SPLIT(QWEN2), NO_REGEX), .normalizer = "{\"type\":\"NFC\"}" },
		  "qwen2",
		  3,
		  4,
		  false,
		  false },
		{ { .pre = SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}",
		                    BYTE_LEVEL ",{\"type\":\"Digits\",\"individual_digits\":false},"
		                    SPLIT("[0-9][0-9][0-9]")) },
		  "falcon",
		  3,
		  4,
		  false,
		  false },
		{ { .pre = SEQUENCE(SPLIT(LLAMA3), NO_REGEX) }, "smaug-bpe", 3, 4, false, false },
		{ { .pre = SEQUENCE(SPLIT(LLAMA3), NO_REGEX), .more = ",\"ignore_merges\":true" },
		  "llama-bpe",
		  3,
		  4,
		  true,
		  false },
		{ { .pre = SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true}", BYTE_LEVEL) },
		  "smollm",
		  3,
		  4,
		  false,
		  false },
		{ { .post = BYTE_LEVEL }, "gpt-2", 3, 4, false, false },
		{ { .post = TEMPLATE(SPECIAL("</s>") "," TEXT_A) }, "gpt-2", 4, 4, true, false },
		{ { .post = TEMPLATE(SPECIAL("<s>") "," TEXT_A "," SPECIAL("</s>")) }, "gpt-2", 3, 4, true, true },
		{ { .post = "{\"type\":\"Sequence\",\"processors\":[" TEMPLATE(SPECIAL("<s>") "," TEXT_A) "]}" },
		  "gpt-2",
		  3,
		  4,
		  true,
		  false },
		{ { .pre = SEQUENCE(SPLIT(LLAMA3), NO_REGEX),
		    .more = ",\"ignore_merges\":true",
		    .post = TEMPLATE(TEXT_A) },
		  "llama-bpe",
		  3,
		  4,
		  false,
		  false },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_vocab v = { 0 };
		struct trit_error err;

		if (parse(&cases[i].parts, &v, &err) < 0)
			fail_msg("case %zu: %s", i, err.message);
		assert_string_equal(v.pre, cases[i].pre);
		assert_int_equal(v.bos, cases[i].bos);
		assert_int_equal(v.eos, cases[i].eos);
		assert_int_equal(v.add_bos, cases[i].add_bos);
		assert_int_equal(v.add_eos, cases[i].add_eos);
		assert_int_equal(v.n_merges, 1);
		check_merge(&v, 0, "a b");
		assert_memory_equal(v.pieces[2].text, "ab", 2);
		trit_vocab_release(&v);
	}
}

static void test_refused(void **state)
{
	static const struct {
		struct parts parts;
		enum trit_status status;
		const char *message;
	} cases[] = {
		{ { .type = "7" }, TRIT_ERR_UNSUPPORTED, "of no type" },
		{ { .more = ",\"end_of_word_suffix\":\"</w>\"" }, TRIT_ERR_UNSUPPORTED, "prefix or suffix" },
		{ { .more = ",\"dropout\":0.1" }, TRIT_ERR_UNSUPPORTED, "dropout" },
		{ { .normalizer = "{\"type\":\"ByteLevel\"}" }, TRIT_ERR_UNSUPPORTED, "normalizer ByteLevel is not" },
		{ { .normalizer = "{\"type\":\"Prepend\"}" }, TRIT_ERR_FORMAT, "Prepend without" },
		{ { .normalizer = "{\"type\":\"Replace\",\"pattern\":{}}" }, TRIT_ERR_FORMAT, "Replace without" },
		{ { .normalizer = "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"abc\"}" },
		  TRIT_ERR_FORMAT,
		  "not Base64" },
		{ { .pre = "null" }, TRIT_ERR_UNSUPPORTED, "pre_tokenizer null: BPE goes with" },
		{ { .pre = "{\"type\":\"Whitespace\"}" }, TRIT_ERR_UNSUPPORTED, "pre_tokenizer Whitespace: BPE goes" },
		{ { .pre = "{\"type\":\"Metaspace\",\"replacement\":\"_\"}" },
		  TRIT_ERR_UNSUPPORTED,
		  "a replacement other than U+2581" },
		{ { .pre = "{\"type\":\"Sequence\",\"pretokenizers\":[]}" },
		  TRIT_ERR_UNSUPPORTED,
		  "pre_tokenizer null: BPE" },
		{ { .pre = SEQUENCE(SPLIT("a"), "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}") },
		  TRIT_ERR_UNSUPPORTED,
		  "ByteLevel: add_prefix_space after" },
		{ { .pre = SEQUENCE(BYTE_LEVEL, BYTE_LEVEL) }, TRIT_ERR_UNSUPPORTED, "ByteLevel twice" },
		{ { .pre = SEQUENCE(BYTE_LEVEL, SPLIT("\\\\p{L}")) }, TRIT_ERR_UNSUPPORTED, "Split after ByteLevel" },
		{ { .pre = SEQUENCE(BYTE_LEVEL, "{\"type\":\"Punctuation\"}") },
		  TRIT_ERR_UNSUPPORTED,
		  "Punctuation after ByteLevel" },
		{ { .pre = SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"String\":\" \"}}", NO_REGEX) },
		  TRIT_ERR_UNSUPPORTED,
		  "a Split whose pattern or behavior" },
		{ { .pre = SEQUENCE("{\"type\":\"UnicodeScripts\"}", BYTE_LEVEL) },
		  TRIT_ERR_UNSUPPORTED,
		  "UnicodeScripts with ByteLevel" },
		{ { .pre = SEQUENCE(SEQUENCE(SEQUENCE(SEQUENCE(SEQUENCE(SEQUENCE(SEQUENCE(SEQUENCE(SPLIT("a"),
		                                                                                  SPLIT("a")),
		                                                                         SPLIT("a")),
		                                                                SPLIT("a")),
		                                                       SPLIT("a")),
		                                              SPLIT("a")),
		                                     SPLIT("a")),
		                            SPLIT("a")),
		                   BYTE_LEVEL) },
		  TRIT_ERR_LIMIT,
		  "sequences 8 deep" },
		{ { .type = "\"WordPiece\"" }, TRIT_ERR_UNSUPPORTED, "something else than \"##\"" },
		{ { .type = "\"Unigram\"" }, TRIT_ERR_FORMAT, "no \"model.vocab\"" },
		{ { .vocab = "[]" }, TRIT_ERR_FORMAT, "no \"model.vocab\"" },
		{ { .added = "{}" }, TRIT_ERR_FORMAT, "\"added_tokens\"" },
		{ { .vocab = "{\"a\":0,\"b\":\"1\"}" }, TRIT_ERR_FORMAT, "token \"b\": its id is no count" },
		{ { .vocab = "{\"a\":0,\"b\":-1}" }, TRIT_ERR_FORMAT, "token \"b\": its id is no count" },
		{ { .vocab = "{\"a\":0,\"b\":5000000000}" },
		  TRIT_ERR_FORMAT,
		  "token \"b\" has id 5000000000, but there are" },
		{ { .vocab = "{\"a\":0,\"b\":0}" }, TRIT_ERR_FORMAT, "tokens \"a\" and \"b\" both have id 0" },
		{ { .vocab = "{\"a\":0,\"a\":1}" }, TRIT_ERR_FORMAT, "duplicate" },
		{ { .vocab = "{\"a\":0,\"b\":1,\"x\":3}" },
		  TRIT_ERR_FORMAT,
		  "tokens \"x\" and \"<s>\" both have id 3" },
		{ { .vocab = "{}", .added = "[]" }, TRIT_ERR_FORMAT, "without tokens" },
		{ { .added = "[7]" }, TRIT_ERR_FORMAT, "added_tokens, element 0: no \"content\"" },
		{ { .merges = "{}" }, TRIT_ERR_FORMAT, "no \"model.merges\" list" },
		{ { .merges = "[\"ab\"]" }, TRIT_ERR_FORMAT, "model.merges, element 0" },
		{ { .merges = "[\"a b\",\"a \"]" }, TRIT_ERR_FORMAT, "model.merges, element 1" },
		{ { .merges = "[\"a b c\"]" }, TRIT_ERR_FORMAT, "model.merges, element 0" },
		{ { .merges = "[[\"a\",\"b c\"]]" }, TRIT_ERR_FORMAT, "model.merges, element 0" },
		{ { .merges = "[[\"a\"]]" }, TRIT_ERR_FORMAT, "model.merges, element 0" },
		{ { .merges = "[7]" }, TRIT_ERR_FORMAT, "model.merges, element 0" },
		{ { .post = "{\"type\":\"BertProcessing\"}" }, TRIT_ERR_FORMAT, "\"\" is no special token" },
		{ { .post = "{\"type\":\"Strange\"}" }, TRIT_ERR_UNSUPPORTED, "post_processor Strange is not" },
		{ { .post = TEMPLATE(SPECIAL("<x>")) }, TRIT_ERR_FORMAT, "\"<x>\" is no special token of the file" },
		{ { .post = TEMPLATE(SPECIAL("<s>") "," SPECIAL("<s>") "," TEXT_A) },
		  TRIT_ERR_UNSUPPORTED,
		  "more than one" },
		{ { .type = "\"BPE\"}" }, TRIT_ERR_FORMAT, "line 1, column" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_vocab v = { .n_tokens = 77 };
		struct trit_error err;

		check_error(parse(&cases[i].parts, &v, &err), cases[i].status, &err, cases[i].message);
		assert_int_equal(v.n_tokens, 77);
	}
}

static void test_long_tokens(void **state)
{
	static char vocab[2200], merges[2200];
	struct parts p = { .vocab = vocab, .merges = merges };
	struct trit_vocab v = { 0 };
	struct trit_error err;
	char a[1001];
	(void)state;

	memset(a, 'a', 1000);
	a[1000] = 0;
	snprintf(vocab, sizeof vocab, "{\"%s\":0,\"b\":1,\"%sb\":2}", a, a);
	snprintf(merges, sizeof merges, "[[\"%s\",\"b\"]]", a);
	assert_int_equal(parse(&p, &v, &err), 0);
	assert_int_equal(v.pieces[2].len, 1001);
	assert_int_equal(v.merges[0].len, 1002);
	trit_vocab_release(&v);
}

static void test_every_truncation(void **state)
{
	struct trit_vocab v = { 0 };
	struct trit_error err;
	struct trit_map m;
	(void)state;

	assert_int_equal(trit_map_open(&m, TRIT_TEST_DATA "/format/llama3_style.json", &err), 0);
	for (size_t len = 0; len < m.size; len++) {
		unsigned char *copy = exact_copy(m.data, len);

		if (trit_tokenizer_json_parse(len, (const char *)copy, &v, &err) != TRIT_ERR_FORMAT || !err.message[0])
			fail_msg("%zu of %zu bytes: status %d", len, m.size, err.status);
		trit_free(copy);
	}
	trit_map_close(&m);
}

static void test_other_files(void **state)
{
	struct trit_vocab v = { 0 };
	struct trit_error err;
	(void)state;

	check_error(trit_tokenizer_json_read("nowhere.json", &v, &err), TRIT_ERR_IO, &err, "nowhere.json: ");
	check_error(trit_tokenizer_json_read(TRIT_TEST_DATA "/format/golden.gguf", &v, &err), TRIT_ERR_FORMAT, &err,
	            "golden.gguf: not a JSON file but a GGUF file");
	check_error(trit_tokenizer_json_read(TRIT_TEST_DATA "/format/gpt2_style.tokens", &v, &err), TRIT_ERR_FORMAT,
	            &err, "gpt2_style.tokens: line 1, column");
	check_error(trit_tokenizer_json_parse(0, "", &v, &err), TRIT_ERR_FORMAT, &err, "the file is empty");
	check_error(trit_tokenizer_json_parse(2, "[]", &v, &err), TRIT_ERR_FORMAT, &err, "no object");
	check_error(trit_tokenizer_json_parse(12, "{\"model\": 7}", &v, &err), TRIT_ERR_FORMAT, &err, "no \"model\"");
}

static void test_out_of_memory(void **state)
{
	static const struct parts usual;
	struct trit_vocab v = { 0 };
	int status = TRIT_ERR_MEMORY, failures = 0;
	(void)state;

	for (uint64_t n = 2; status < 0; n++, failures++) { /* the first is the copy that parse makes */
		struct trit_error err;

		trit_mem_fail_after(n);
		status = parse(&usual, &v, &err);
		trit_mem_fail_after(0);
		if (status < 0)
			check_error(status, TRIT_ERR_MEMORY, &err, "not enough memory");
	}
	assert_int_equal(failures, 8);
	trit_vocab_release(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpt2_style),
		cmocka_unit_test(test_llama3_style),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_tokens),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_without_jansson(void **state)
{
	struct trit_vocab v = { 0 };
	struct trit_error err;
	(void)state;

	check_error(trit_tokenizer_json_read(TRIT_TEST_DATA "/format/gpt2_style.json", &v, &err), TRIT_ERR_UNSUPPORTED,
	            &err, "libjansson-dev");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_without_jansson) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
