/*
 * test_spm_model.c - SentencePiece models and their vocabularies where something is wrong, and what is assumed where a
 * file is silent. That the right ones are read rightly is tests/test_text_spm.c's.
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
#include "base/num.h"
#include "format/gguf.h"
#include "format/gguf_vocab.h"
#include "format/spm_model.h"
#include "format/vocab_file.h"
#include "scratch.h"
#include "text/charsmap.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

#define DATA TRIT_TEST_DATA "/spm/"

static void check_fails(int status, enum trit_status expected, const struct trit_error *err, const char *says)
{
	assert_int_equal(status, expected);
	assert_int_equal(err->status, expected);
	if (!strstr(err->message, says))
		fail_msg("\"%s\" does not say \"%s\"", err->message, says);
}

/* ---- models ----------------------------------------------------------------------------------------------------- */

static int read_text(size_t len, const char *bytes, struct trit_vocab *v, struct trit_error *err)
{
	return trit_spm_model_read_bytes(v, len, (const unsigned char *)bytes, err);
}

#define READ(bytes) read_text(sizeof(bytes) - 1, bytes, &v, &err)
#define PIECE(text) "\x0a\x03\x0a\x01" text
#define UNK "\x0a\x09\x0a\x05<unk>\x18\x02"

static void test_wrong_models(void **state)
{
	struct trit_vocab v = { .n_tokens = 77 };
	struct trit_error err;

	(void)state;
	check_fails(READ(""), TRIT_ERR_FORMAT, &err, "no pieces");
	check_fails(READ("\x12\x02\x18\x02"), TRIT_ERR_FORMAT, &err, "no pieces");
	check_fails(READ("\x0a"), TRIT_ERR_FORMAT, &err, "a number without end");
	check_fails(READ("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), TRIT_ERR_FORMAT, &err,
	            "a number without end");
	check_fails(READ("\x0a\x04\x0a\x01" "a"), TRIT_ERR_FORMAT, &err, "goes beyond the end");
	check_fails(READ("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" "a"), TRIT_ERR_FORMAT, &err, "goes beyond the end");
	check_fails(READ("\x0a\x02\x0a\x01" "a"), TRIT_ERR_FORMAT, &err, "goes beyond the end");
	check_fails(READ("\x0a\x02\x15\x01"), TRIT_ERR_FORMAT, &err, "goes beyond the end");
	check_fails(READ("\x0a\x02\x18\x01"), TRIT_ERR_FORMAT, &err, "a piece without text");
	check_fails(READ("\x0a\x05\x0a\x01" "a" "\x18\x07"), TRIT_ERR_FORMAT, &err, "unknown type");
	check_fails(READ("\x0a\x05\x0a\x01" "a" "\x10\x01"), TRIT_ERR_FORMAT, &err, "of another kind");
	check_fails(READ("\x08\x01"), TRIT_ERR_FORMAT, &err, "of another kind");
	check_fails(READ("\x0b"), TRIT_ERR_FORMAT, &err, "of unknown kind");
	check_fails(READ("\x02\x01" "a"), TRIT_ERR_FORMAT, &err, "of no number");
	check_fails(READ(PIECE("a") "\x12\x02\x18\x03"), TRIT_ERR_UNSUPPORTED, &err, "\"word\"");
	check_fails(READ(PIECE("a") "\x12\x02\x18\x04"), TRIT_ERR_UNSUPPORTED, &err, "\"char\"");
	check_fails(READ(PIECE("a") "\x12\x02\x18\x09"), TRIT_ERR_UNSUPPORTED, &err, "unknown type 9");
	check_fails(READ(PIECE("a") "\x2a\x03\x12\x01" "x"), TRIT_ERR_UNSUPPORTED, &err, "denormalizer_spec");
	assert_int_equal(v.n_tokens, 77);
}

/* Unknown fields are skipped; of what is there twice the last one counts; what is silent is the default. */
static void test_small_models(void **state)
{
	struct trit_vocab v;
	struct trit_error err;

	(void)state;
	assert_int_equal(READ("\xa0\x06\x05" "\xa9\x06" "12345678" UNK
	                      "\x0a\x0b\x0a\x01" "b\x0a\x01" "a\x15\x00\x00\x80\xbf"), 0);
	assert_string_equal(v.model, "t5");
	assert_int_equal(v.n_tokens, 2);
	assert_memory_equal(v.pieces[1].text, "a", 1);
	assert_true(v.scores[1] == -1);
	assert_int_equal(v.pieces[0].type, TRIT_TOKEN_UNKNOWN);
	assert_int_equal(v.unk, 0);
	assert_int_equal(v.bos, -1);
	assert_int_equal(v.eos, -1);
	assert_true(v.space_prefix && v.squeeze_spaces && v.inline_user);
	assert_false(v.space_suffix || v.plain_spaces || v.add_bos || v.add_eos);
	trit_vocab_release(&v);
	assert_int_equal(READ(UNK "\x0a\x07\x0a\x03<s>\x18\x03" "\x12\x02\x18\x02" "\x1a\x04\x18\x00\x20\x00"), 0);
	assert_string_equal(v.model, "llama");
	assert_int_equal(v.bos, 1);
	assert_true(v.add_bos);
	assert_false(v.space_prefix || v.squeeze_spaces);
	trit_vocab_release(&v);
}

static void test_truncated_models(void **state)
{
	struct trit_vocab v;
	struct trit_error err;
	size_t size;
	char *bytes = scratch_read(DATA "rules.model", &size);
	int read = 0;

	(void)state;
	assert_true(trit_is_spm_model(size, (const unsigned char *)bytes));
	for (size_t n = 0; n < size; n++) {
		unsigned char *part = trit_calloc(n, 1); /* exactly as long, for the sanitizer */

		assert_non_null(part);
		memcpy(part, bytes, n);
		trit_is_spm_model(n, part);
		if (trit_spm_model_read_bytes(&v, n, part, &err) == 0) { /* it was cut between two pieces */
			trit_vocab_release(&v);
			read++;
		}
		trit_free(part);
	}
	assert_true(read > 500 && read < 700);
	trit_free(bytes);
}

static void test_files(void **state)
{
	struct trit_vocab v;
	struct trit_error err;

	(void)state;
	assert_true(trit_is_vocab_file(DATA "unigram.model"));
	assert_false(trit_is_vocab_file(DATA "strings.txt"));
	assert_false(trit_is_vocab_file("missing"));
	check_fails(trit_spm_model_read("missing", &v, &err), TRIT_ERR_IO, &err, "missing");
	scratch_write("short.model", 5, "\x0a\x04\x0a\x03" "a");
	check_fails(trit_vocab_file_read("short.model", &v, &err), TRIT_ERR_FORMAT, &err, "short.model: byte 2: ");
}

static void test_out_of_memory(void **state)
{
	struct trit_vocab v;
	struct trit_tokenizer *t = NULL;
	struct trit_encoder *e = NULL;
	struct trit_tokens ids;
	struct trit_error err;
	int status = TRIT_ERR_MEMORY, i = 1;

	(void)state;
	for (; status < 0; i++) {
		trit_tokens_init(&ids, 100);
		trit_mem_fail_after((uint64_t)i);
		status = trit_spm_model_read(DATA "unigram.model", &v, &err);
		if (status == 0)
			status = trit_tokenizer_new(&t, &v, &err);
		if (status == 0)
			status = trit_encoder_new(&e, t, &err);
		if (status == 0)
			status = trit_encode(e, 7, "a cat \xff", 0, &ids, &err);
		trit_mem_fail_after(0);
		assert_true(status == 0 || status == TRIT_ERR_MEMORY);
		trit_tokens_release(&ids);
		trit_encoder_free(e);
		trit_tokenizer_free(t);
		e = NULL;
		t = NULL;
	}
	assert_true(i > 15);
}

/* ---- rules of replacement --------------------------------------------------------------------------------------- */

/* A trie of one rule, "a" by "bc": the root's base is 1, so its child is unit CHILD, the value of that is in VALUE. */
#define CHILD (1 ^ 'a')
#define VALUE (CHILD ^ 3)
static size_t small_map(unsigned char *bytes)
{
	const size_t units = 256;

	trit_put32(bytes, (uint32_t)(4 * units));
	for (size_t i = 0; i < units; i++)
		trit_put32(bytes + 4 + 4 * i, i ? 1u << 31 : 1u << 10); /* the root, and no nodes */
	trit_put32(bytes + 4 + 4 * CHILD, 'a' | 1u << 8 | 3u << 10);
	trit_put32(bytes + 4 + 4 * VALUE, 1u << 31 | 1);
	memcpy(bytes + 4 + 4 * units, "\0bc", 4);
	return 4 + 4 * units + 4;
}

static void test_charsmap(void **state)
{
	unsigned char bytes[2048];
	size_t len = small_map(bytes), by_len = 0;
	struct trit_charsmap m;
	struct trit_error err;
	const char *by = NULL;

	(void)state;
	assert_int_equal(trit_charsmap_init(&m, len, bytes, &err), 0);
	assert_int_equal(trit_charsmap_match(&m, 2, "aa", &by, &by_len), 1);
	assert_int_equal(by_len, 2);
	assert_memory_equal(by, "bc", 2);
	assert_int_equal(trit_charsmap_match(&m, 1, "b", &by, &by_len), 0);
	assert_int_equal(trit_charsmap_match(&m, 0, "", &by, &by_len), 0);
}

static void test_wrong_charsmaps(void **state)
{
	unsigned char bytes[2048];
	size_t len = small_map(bytes);
	struct trit_charsmap m;
	struct trit_error err;

	(void)state;
	memset(bytes + len - 1, 'c', 300); /* "bcccc...": 256 bytes are fine, more are not */
	bytes[len + 253] = bytes[len + 400] = 0;
	assert_int_equal(trit_charsmap_init(&m, len + 254, bytes, &err), 0);
	bytes[len + 253] = 'c';
	bytes[len + 254] = 0;
	check_fails(trit_charsmap_init(&m, len + 255, bytes, &err), TRIT_ERR_FORMAT, &err, "gives more than 256");
	len = small_map(bytes);
	for (size_t n = 0; n < len; n++)
		check_fails(trit_charsmap_init(&m, n, bytes, &err), TRIT_ERR_FORMAT, &err, "damaged");
	bytes[len - 1] = 'x'; /* a string without end */
	check_fails(trit_charsmap_init(&m, len, bytes, &err), TRIT_ERR_FORMAT, &err, "damaged");
	len = small_map(bytes);
	trit_put32(bytes + 4 + 4 * VALUE, 1u << 31 | 5); /* a string beyond the end */
	check_fails(trit_charsmap_init(&m, len, bytes, &err), TRIT_ERR_FORMAT, &err, "a rule leaves it");
	len = small_map(bytes);
	trit_put32(bytes + 4 + 4 * CHILD, 'a' | 1u << 8 | 3000u << 10); /* a unit beyond the end */
	check_fails(trit_charsmap_init(&m, len, bytes, &err), TRIT_ERR_FORMAT, &err, "a rule leaves it");
	len = small_map(bytes);
	trit_put32(bytes + 4 + 4 * CHILD, 'a' | (uint32_t)(CHILD ^ 1) << 10); /* back to the root: rules without end */
	check_fails(trit_charsmap_init(&m, len, bytes, &err), TRIT_ERR_FORMAT, &err, "a rule leaves it");
}

/* ---- vocabularies ----------------------------------------------------------------------------------------------- */

struct entry {
	const char *text;
	enum trit_token_type type;
};

static void make_vocab(struct trit_vocab *v, const char *model, size_t n, const struct entry *entries)
{
	struct trit_error err;

	assert_int_equal(trit_vocab_init(v, model, "", n, 0, 4096, &err), 0);
	v->scores = trit_calloc(n, sizeof *v->scores);
	assert_non_null(v->scores);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(trit_vocab_set_piece(v, i, strlen(entries[i].text), entries[i].text, entries[i].type,
		                                      &err), 0);
	v->unk = 0;
}

static const struct entry small[] = {
	{ "<unk>", TRIT_TOKEN_UNKNOWN }, { "<s>", TRIT_TOKEN_CONTROL },    { "</s>", TRIT_TOKEN_CONTROL },
	{ "a", TRIT_TOKEN_NORMAL },      { "\xe2\x96\x81", TRIT_TOKEN_NORMAL }, { "\xe2\x96\x81" "a", TRIT_TOKEN_NORMAL },
	{ "<tool>", TRIT_TOKEN_USER },   { "##", TRIT_TOKEN_NORMAL },
};
#define N_SMALL (sizeof small / sizeof *small)

static void check_refused(struct trit_vocab *v, enum trit_status status, const char *says)
{
	struct trit_tokenizer *t;
	struct trit_error err;

	check_fails(trit_tokenizer_new(&t, v, &err), status, &err, says);
}

static void test_wrong_vocabularies(void **state)
{
	static const struct entry no_byte[] = { { "<unk>", TRIT_TOKEN_UNKNOWN }, { "<0x4g>", TRIT_TOKEN_BYTE } };
	static const struct entry one_byte[] = { { "<unk>", TRIT_TOKEN_UNKNOWN }, { "<0x4A>", TRIT_TOKEN_BYTE } };
	struct trit_vocab v;

	(void)state;
	make_vocab(&v, "llama", 2, no_byte);
	check_refused(&v, TRIT_ERR_FORMAT, "token 1 has the type of a byte");
	make_vocab(&v, "llama", 2, one_byte);
	check_refused(&v, TRIT_ERR_FORMAT, "tokens for 1 bytes");
	make_vocab(&v, "llama", N_SMALL, small);
	v.unk = 3;
	check_refused(&v, TRIT_ERR_FORMAT, "neither tokens for bytes nor an unknown token");
	make_vocab(&v, "t5", 3, small);
	check_refused(&v, TRIT_ERR_FORMAT, "without a normal token");
	make_vocab(&v, "llama", N_SMALL, small);
	v.scores[2] = trit_f32_from_bits(0x7fc00000);
	check_refused(&v, TRIT_ERR_FORMAT, "the score of token 2");
	make_vocab(&v, "llama", N_SMALL, small);
	trit_free(v.scores);
	v.scores = NULL;
	check_refused(&v, TRIT_ERR_FORMAT, "without scores");
	make_vocab(&v, "llama", N_SMALL, small);
	v.sep = 100;
	check_refused(&v, TRIT_ERR_FORMAT, "the separator token is 100");
#ifdef TRIT_HAVE_UTF8PROC
	make_vocab(&v, "bert", N_SMALL, small);
	v.unk = -1;
	check_refused(&v, TRIT_ERR_FORMAT, "without an unknown token");
#else
	make_vocab(&v, "bert", N_SMALL, small);
	check_refused(&v, TRIT_ERR_UNSUPPORTED, "libutf8proc-dev");
#endif
}

/* The tokens of a text as "1 2 3". */
static void check_ids(struct trit_vocab *take_vocab, unsigned flags, const char *text, const char *expected)
{
	struct trit_tokenizer *t;
	struct trit_encoder *e;
	struct trit_tokens ids;
	struct trit_error err;
	char made[256] = "";

	assert_int_equal(trit_tokenizer_new(&t, take_vocab, &err), 0);
	assert_int_equal(trit_encoder_new(&e, t, &err), 0);
	trit_tokens_init(&ids, 30);
	assert_int_equal(trit_encode(e, strlen(text), text, flags, &ids, &err), 0);
	for (size_t i = 0; i < ids.len; i++)
		snprintf(made + strlen(made), sizeof made - strlen(made), i ? " %d" : "%d", (int)ids.data[i]);
	assert_string_equal(made, expected);
	trit_tokens_release(&ids);
	trit_encoder_free(e);
	trit_tokenizer_free(t);
}

/* A user-defined token within a text (SentencePiece) and between two (llama.cpp); BOS and EOS. */
static void test_policies(void **state)
{
	struct trit_vocab v;

	(void)state;
	for (int inline_user = 0; inline_user < 2; inline_user++) {
		make_vocab(&v, "llama", N_SMALL, small);
		v.space_prefix = true;
		v.inline_user = inline_user;
		check_ids(&v, 0, "a<tool>a", inline_user ? "5 6 3" : "5 6 5");
	}
	make_vocab(&v, "llama", N_SMALL, small);
	v.space_prefix = v.add_bos = true;
	v.bos = 1;
	check_ids(&v, TRIT_TOKENIZE_BOS | TRIT_TOKENIZE_SPECIAL | TRIT_TOKENIZE_EOS, "a</s>a", "1 5 2 5");
	make_vocab(&v, "llama", N_SMALL, small);
	v.add_eos = true;
	v.eos = 2;
	check_ids(&v, TRIT_TOKENIZE_BOS | TRIT_TOKENIZE_EOS, "", "2");
	make_vocab(&v, "t5", N_SMALL, small); /* unknown characters side by side are one token */
	v.squeeze_spaces = true;
	check_ids(&v, 0, " xyz  a x ", "0 5 4 0");
}

/* What llama.cpp assumes where files are silent, by model. */
static void test_gguf_defaults(void **state)
{
	static const struct {
		const char *model;
		trit_token bos, eos, unk, pad, sep, mask;
		bool add_bos, add_eos, add_sep, space_prefix, lowercase;
	} cases[] = {
		{ "llama", 1, 2, 0, -1, -1, -1, true, false, false, true, false },
		{ "t5", -1, 1, 2, 0, -1, -1, false, true, false, false, false },
		{ "bert", 101, -1, 100, 0, 102, 103, true, false, true, false, true },
	};
	struct trit_error err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int n = 3; n < 300; n += 200) {
			struct trit_gguf_writer *w;
			struct trit_vocab v;
			trit_token most = n - 1;

			assert_int_equal(trit_gguf_writer_new(&w, "silent.gguf", &err), 0);
			assert_int_equal(trit_gguf_put_string(w, "general.architecture", 5, "llama", &err), 0);
			assert_int_equal(trit_gguf_put_string(w, "tokenizer.ggml.model", strlen(cases[i].model), cases[i].model,
			                                      &err), 0);
			assert_int_equal(trit_gguf_put_strings(w, "tokenizer.ggml.tokens", (uint64_t)n, &err), 0);
			for (int k = 0; k < n; k++)
				assert_int_equal(trit_gguf_put_strings_item(w, 1, "a", &err), 0);
			assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
			trit_gguf_writer_free(w);
			assert_int_equal(trit_vocab_file_read("silent.gguf", &v, &err), 0);
			assert_int_equal(v.bos, cases[i].bos > most ? -1 : cases[i].bos);
			assert_int_equal(v.eos, cases[i].eos > most ? -1 : cases[i].eos);
			assert_int_equal(v.unk, cases[i].unk > most ? -1 : cases[i].unk);
			assert_int_equal(v.pad, cases[i].pad > most ? -1 : cases[i].pad);
			assert_int_equal(v.sep, cases[i].sep > most ? -1 : cases[i].sep);
			assert_int_equal(v.mask, cases[i].mask > most ? -1 : cases[i].mask);
			assert_int_equal(v.add_bos, cases[i].add_bos);
			assert_int_equal(v.add_eos, cases[i].add_eos);
			assert_int_equal(v.add_sep, cases[i].add_sep);
			assert_int_equal(v.space_prefix, cases[i].space_prefix);
			assert_int_equal(v.lowercase, cases[i].lowercase);
			assert_int_equal(v.strip_accents, cases[i].lowercase);
			assert_false(v.squeeze_spaces || v.inline_user);
			trit_vocab_release(&v);
		}
}

/* "gemma4": by merges, though the scores would have it otherwise, and without a space before the text; and so again in
 * a file written from it. */
static void test_gguf_ranked(void **state)
{
	static const char *const tokens[] = { "<unk>", "a", "b", "c", "ab", "bc", "\u2581", "\u2581a" };
	static const char *const merges[] = { "b c", "a b", "\u2581 a" };
	enum { N = sizeof tokens / sizeof *tokens, N_MERGES = sizeof merges / sizeof *merges };
	const int32_t types[N] = { TRIT_TOKEN_UNKNOWN, 1, 1, 1, 1, 1, 1, 1 };
	const float scores[N] = { 0, 0, 0, 0, 9, 1, 0, 2 };
	struct trit_gguf_writer *w;
	struct trit_vocab v;
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_gguf_writer_new(&w, "ranked.gguf", &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.architecture", 6, "gemma4", &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "tokenizer.ggml.model", 6, "gemma4", &err), 0);
	assert_int_equal(trit_gguf_put_strings(w, "tokenizer.ggml.tokens", N, &err), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(trit_gguf_put_strings_item(w, strlen(tokens[i]), tokens[i], &err), 0);
	assert_int_equal(trit_gguf_put_array(w, "tokenizer.ggml.token_type", TRIT_GGUF_I32, N, types, &err), 0);
	assert_int_equal(trit_gguf_put_array(w, "tokenizer.ggml.scores", TRIT_GGUF_F32, N, scores, &err), 0);
	assert_int_equal(trit_gguf_put_strings(w, "tokenizer.ggml.merges", N_MERGES, &err), 0);
	for (int i = 0; i < N_MERGES; i++)
		assert_int_equal(trit_gguf_put_strings_item(w, strlen(merges[i]), merges[i], &err), 0);
	assert_int_equal(trit_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0, &err), 0);
	assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
	trit_gguf_writer_free(w);

	assert_int_equal(trit_vocab_file_read("ranked.gguf", &v, &err), 0);
	assert_true(v.bos == -1 && v.eos == -1);
	assert_int_equal(trit_gguf_writer_new(&w, "again.gguf", &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.architecture", 6, "gemma4", &err), 0);
	assert_int_equal(trit_gguf_put_vocab(w, &v, &err), 0);
	assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
	trit_gguf_writer_free(w);
	check_ids(&v, 0, "abc a", "1 5 7");
	assert_int_equal(trit_vocab_file_read("again.gguf", &v, &err), 0);
	assert_false(v.space_prefix);
	check_ids(&v, 0, "abc a", "1 5 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_models),    cmocka_unit_test(test_small_models),
		cmocka_unit_test(test_truncated_models), cmocka_unit_test(test_files),
		cmocka_unit_test(test_out_of_memory),   cmocka_unit_test(test_charsmap),
		cmocka_unit_test(test_wrong_charsmaps), cmocka_unit_test(test_wrong_vocabularies),
		cmocka_unit_test(test_policies),        cmocka_unit_test(test_gguf_defaults),
		cmocka_unit_test(test_gguf_ranked),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
