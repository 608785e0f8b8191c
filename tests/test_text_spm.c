/*
 * test_text_spm.c - SentencePiece and WordPiece against the reference implementations: the tokens of 2,000 awkward
 * strings and the texts of 300 lists of tokens, by each vocabulary of tests/data/spm, read from its own file and again
 * from GGUF.
 *
 * What the files hold is told in tests/reference/make_spm_golden.py, which also shows what a line was made of:
 *
 *     python3 tests/reference/make_spm_golden.py --show unigram 17
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
#include "format/spm_model.h"
#include "format/vocab_file.h"
#include "scratch.h"
#include "text/detokenizer.h"
#include "text/spm_text.h"
#include "text/tokenizer.h"

#define DATA TRIT_TEST_DATA "/spm/"
#define MAX_LINE 16384
#define LISTS 300
#define MAX_WRONG 5 /* how many wrong lines are printed */

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* The bytes a line of strings.txt stands for. */
static size_t unescape(const char *line, char *out)
{
	size_t n = 0;

	while (*line) {
		unsigned byte = (unsigned char)*line++;

		if (byte == '\\') {
			char c = *line++;

			if (c == 'x')
				assert_int_equal(sscanf(line, "%2x", &byte), 1);
			else
				byte = c == 'n' ? '\n' : c == 'r' ? '\r' : '\\';
			line += c == 'x' ? 2 : 0;
		}
		out[n++] = (char)byte;
	}
	return n;
}

static FILE *open_data(const char *name, const char *suffix)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof path, "%s%s%s", DATA, name, suffix);
	f = fopen(path, "rb");
	assert_non_null(f);
	return f;
}

/* A vocabulary of Hugging Face's, a token a line, as GGUF keeps it. */
static void read_wordpiece(const char *name, struct trit_vocab *v)
{
	char line[256], text[300];
	FILE *f = open_data(name, ".vocab");
	struct trit_error err;
	size_t n = 0;

	while (fgets(line, sizeof line, f))
		n++;
	assert_int_equal(trit_vocab_init(v, "bert", "", n, 0, n * sizeof line, &err), 0);
	rewind(f);
	for (size_t i = 0; fgets(line, sizeof line, f); i++) {
		bool special = line[0] == '[' && line[1] != '\n', part = !strncmp(line, "##", 2) && line[2] != '\n';

		line[strcspn(line, "\n")] = 0;
		snprintf(text, sizeof text, "%s%s", special || part ? "" : TRIT_SPM_SPACE, part ? line + 2 : line);
		assert_int_equal(trit_vocab_set_piece(v, i, strlen(text), text,
		                                      special ? TRIT_TOKEN_CONTROL : TRIT_TOKEN_NORMAL, &err), 0);
		v->unk = strcmp(text, "[UNK]") ? v->unk : (trit_token)i;
		v->cls = strcmp(text, "[CLS]") ? v->cls : (trit_token)i;
		v->sep = strcmp(text, "[SEP]") ? v->sep : (trit_token)i;
	}
	v->bos = v->cls;
	v->add_bos = v->add_sep = true;
	v->lowercase = v->strip_accents = strcmp(name, "uncased") == 0;
	fclose(f);
}

static void read_vocab(const char *name, struct trit_vocab *v)
{
	char path[1024];
	struct trit_error err;

	snprintf(path, sizeof path, "%s%s.model", DATA, name);
	if (strstr(name, "cased"))
		read_wordpiece(name, v);
	else if (trit_vocab_file_read(path, v, &err) < 0)
		fail_msg("%s", err.message);
}

/* ---- against the reference -------------------------------------------------------------------------------------- */

/* The first half of FNV-1a, 64 bits. */
static uint32_t hash(size_t len, const char *bytes)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3;
	return (uint32_t)(h >> 32);
}

struct bench {
	const char *name;
	FILE *golden;
	struct trit_tokenizer *t;
	struct trit_encoder *e;
	struct trit_buf made; /* what is compared */
	int line, wrong;
};

static void compare(struct bench *b)
{
	unsigned expected;

	b->line++;
	assert_int_equal(fscanf(b->golden, "%8x", &expected), 1);
	if (hash(b->made.len, b->made.data) == expected)
		return;
	if (b->wrong++ < MAX_WRONG)
		print_error("%s.golden:%d: got \"%.300s\"\n", b->name, b->line, b->made.data);
}

static void check_string(struct bench *b, size_t len, char *text)
{
	struct trit_tokens ids;
	struct trit_error err;

	for (size_t i = 0; i < len && strstr(b->name, "cased"); i++)
		text[i] = text[i] == '[' ? '(' : text[i]; /* see the generator */
	trit_tokens_init(&ids, 100000);
	assert_int_equal(trit_encode(b->e, len, text, 0, &ids, &err), 0);
	trit_buf_reset(&b->made);
	assert_int_equal(trit_buf_append(&b->made, 0, "", &err), 0);
	for (size_t k = 0; k < ids.len; k++)
		assert_int_equal(trit_buf_printf(&b->made, &err, k ? " %d" : "%d", (int)ids.data[k]), 0);
	compare(b);
	trit_tokens_release(&ids);
}

/* The next of the lists of tokens that both sides make. */
static size_t next_list(int i, uint64_t *x, int n_tokens, trit_token ids[12])
{
	size_t n = 1 + (size_t)i % 12;

	for (size_t k = 0; k < n; k++) {
		uint64_t below = (uint64_t)(k % 2 && n_tokens > 300 ? 300 : n_tokens);

		*x = *x * 6364136223846793005 + 1442695040888963407;
		ids[k] = (trit_token)((*x >> 33) % below);
	}
	return n;
}

static void check_lists(struct bench *b)
{
	size_t room = trit_detokenizer_room(b->t);
	char *out = trit_calloc(room, 1);
	struct trit_detokenizer d;
	struct trit_error err;
	trit_token ids[12];
	uint64_t x = 1;

	assert_non_null(out);
	trit_detokenizer_init(&d, b->t, true);
	for (int i = 0; i < LISTS; i++) {
		size_t n = next_list(i, &x, trit_tokenizer_vocab(b->t)->n_tokens, ids);

		trit_buf_reset(&b->made);
		assert_int_equal(trit_buf_append(&b->made, 0, "", &err), 0);
		for (size_t k = 0; k < n; k++) {
			size_t len = trit_detokenizer_feed(&d, ids[k], out);

			assert_true(len <= room);
			assert_int_equal(trit_buf_append(&b->made, len, out, &err), 0);
		}
		assert_int_equal(trit_buf_append(&b->made, trit_detokenizer_end(&d, out), out, &err), 0);
		compare(b);
	}
	trit_free(out);
}

/* Compares all that the golden file has; takes the vocabulary over. */
static void check_vocab(const char *name, struct trit_vocab *take_vocab)
{
	static char line[MAX_LINE], text[MAX_LINE];
	FILE *strings = open_data("strings", ".txt");
	struct bench b = { .name = name, .golden = open_data(name, ".golden") };
	struct trit_error err;

	trit_buf_init(&b.made, SIZE_MAX);
	if (trit_tokenizer_new(&b.t, take_vocab, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(trit_encoder_new(&b.e, b.t, &err), 0);
	while (fgets(line, sizeof line, strings)) {
		line[strcspn(line, "\n")] = 0;
		check_string(&b, unescape(line, text), text);
	}
	assert_true(b.line >= 2000);
	check_lists(&b);
	assert_int_equal(b.wrong, 0);
	fclose(strings);
	fclose(b.golden);
	trit_buf_release(&b.made);
	trit_encoder_free(b.e);
	trit_tokenizer_free(b.t);
}

static void same_vocab(const struct trit_vocab *a, const struct trit_vocab *b)
{
	assert_string_equal(a->model, b->model);
	assert_string_equal(a->pre, b->pre);
	assert_int_equal(a->n_tokens, b->n_tokens);
	for (int i = 0; i < a->n_tokens; i++) {
		assert_int_equal(a->pieces[i].type, b->pieces[i].type);
		assert_int_equal(a->pieces[i].len, b->pieces[i].len);
		assert_memory_equal(a->pieces[i].text, b->pieces[i].text, a->pieces[i].len);
	}
	assert_int_equal(!a->scores, !b->scores);
	if (a->scores)
		assert_memory_equal(a->scores, b->scores, (size_t)a->n_tokens * sizeof *a->scores);
	assert_int_equal(a->bos, b->bos);
	assert_int_equal(a->eos, b->eos);
	assert_int_equal(a->unk, b->unk);
	assert_int_equal(a->pad, b->pad);
	assert_int_equal(a->sep, b->sep);
	assert_int_equal(a->cls, b->cls);
	assert_int_equal(a->mask, b->mask);
	assert_int_equal(a->add_bos, b->add_bos);
	assert_int_equal(a->add_eos, b->add_eos);
	assert_int_equal(a->add_sep, b->add_sep);
	assert_int_equal(a->space_prefix, b->space_prefix);
	assert_int_equal(a->space_suffix, b->space_suffix);
	assert_int_equal(a->squeeze_spaces, b->squeeze_spaces);
	assert_int_equal(a->plain_spaces, b->plain_spaces);
	assert_int_equal(a->inline_user, b->inline_user);
	assert_int_equal(a->lowercase, b->lowercase);
	assert_int_equal(a->strip_accents, b->strip_accents);
	assert_int_equal(a->charsmap_bytes, b->charsmap_bytes);
	if (a->charsmap_bytes > 0)
		assert_memory_equal(a->charsmap, b->charsmap, a->charsmap_bytes);
}

static void check_name(const char *name)
{
	struct trit_vocab v, again;
	struct trit_error err;

	read_vocab(name, &v);
	assert_int_equal(trit_vocab_file_write("vocab.gguf", &v, &err), 0);
	assert_int_equal(trit_vocab_file_read("vocab.gguf", &again, &err), 0);
	same_vocab(&v, &again);
	trit_vocab_release(&v);
	check_vocab(name, &again);
	remove("vocab.gguf");
}

#define GOLDEN(name)                                                                                                   \
	static void test_##name(void **state)                                                                          \
	{                                                                                                              \
		(void)state;                                                                                           \
		check_name(#name);                                                                                     \
	}
GOLDEN(llama)
GOLDEN(bare)
GOLDEN(rules)
GOLDEN(suffix)
GOLDEN(unigram)
GOLDEN(bytes)
GOLDEN(spaces)
#ifdef TRIT_HAVE_UTF8PROC
GOLDEN(uncased)
GOLDEN(cased)
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_llama),   cmocka_unit_test(test_bare),   cmocka_unit_test(test_rules),
		cmocka_unit_test(test_suffix),  cmocka_unit_test(test_unigram), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_spaces),
#ifdef TRIT_HAVE_UTF8PROC
		cmocka_unit_test(test_uncased), cmocka_unit_test(test_cased),
#endif
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
