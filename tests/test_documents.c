/*
 * test_documents.c - documents too long for memory, what is dropped as a duplicate, and how well near duplicates are
 * found.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "scratch.h"
#include "train/dedup.h"

static struct trit_error err;

/* ---- long ones --------------------------------------------------------------------------------------------------- */

/* A file of `n` times 'a' between two texts. */
static void write_long(const char *path, const char *before, size_t n, const char *after)
{
	enum { CHUNK = 1 << 20 };
	static char chunk[CHUNK];
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	memset(chunk, 'a', CHUNK);
	assert_true(fputs(before, f) >= 0);
	for (size_t i = 0; i < n; i += CHUNK)
		assert_int_equal(fwrite(chunk, 1, n - i < CHUNK ? n - i : CHUNK, f), n - i < CHUNK ? n - i : CHUNK);
	assert_true(fputs(after, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct trit_reader *open_reader(struct trit_corpus *c, char *path, bool skip)
{
	struct trit_reader *r;

	assert_int_equal(trit_corpus_open(c, 1, &path, &err), 0);
	assert_int_equal(trit_reader_open(&r, c, TRIT_DOCUMENTS_AUTO, skip, &err), 0);
	return r;
}

/* Text comes in parts, of which none is larger than the bound and nothing is missing. */
static void test_long_text(void **state)
{
	char path[] = "long.txt";
	size_t n = 2 * TRIT_DOCUMENT_BYTES + 12345, sum = 0;
	struct trit_corpus c;
	struct trit_document d;
	int parts = 0, e;

	(void)state;
	write_long(path, "first\n<|endoftext|>\n", n, "\n<|endoftext|>\nlast\n");
	struct trit_reader *r = open_reader(&c, path, false);
	assert_int_equal(trit_reader_next(r, &d, &err), 1);
	assert_true(d.len == 5 && !d.continued);
	while ((e = trit_reader_next(r, &d, &err)) == 1 && d.text[0] == 'a') {
		assert_true(d.len <= TRIT_DOCUMENT_BYTES);
		assert_int_equal(d.continued, parts > 0);
		assert_int_equal(d.at, 20 + sum);
		assert_int_equal(d.line, 3);
		sum += d.len;
		parts++;
	}
	assert_int_equal(sum, n);
	assert_int_equal(parts, 3);
	assert_true(e == 1 && d.len == 4 && !d.continued && d.line == 5);
	assert_int_equal(trit_reader_next(r, &d, &err), 0);
	trit_reader_close(r);
	trit_corpus_close(&c);
}

/* A line of JSON that is too long is an error that names it, or left out; what follows is read. */
static void test_long_line(void **state)
{
	char path[] = "long.jsonl";
	struct trit_corpus c;
	struct trit_document d;

	(void)state;
	write_long(path, "{\"text\": 1}\n\n{\"text\": \"", TRIT_DOCUMENT_BYTES + (5 << 20), "\"}\n{\"text\": 2}\n");
	struct trit_reader *r = open_reader(&c, path, false);
	assert_int_equal(trit_reader_next(r, &d, &err), 1);
	assert_true(d.line == 1 && d.jsonl);
	assert_int_equal(trit_reader_next(r, &d, &err), TRIT_ERR_LIMIT);
	assert_non_null(strstr(err.message, "long.jsonl: line 3 is longer than 64 MiB"));
	trit_reader_close(r);
	trit_corpus_close(&c);
	r = open_reader(&c, path, true);
	assert_int_equal(trit_reader_next(r, &d, &err), 1);
	assert_int_equal(trit_reader_next(r, &d, &err), 1);
	assert_true(d.too_long && d.line == 3);
	assert_int_equal(trit_reader_next(r, &d, &err), 1);
	assert_true(!d.too_long && d.line == 4 && d.len == 11);
	assert_int_equal(trit_reader_next(r, &d, &err), 0);
	trit_reader_close(r);
	trit_corpus_close(&c);
}

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

static bool same_fingerprint(const char *a, const char *b)
{
	struct trit_fingerprint x = trit_fingerprint_text(strlen(a), a), y = trit_fingerprint_text(strlen(b), b);

	return x.a == y.a && x.b == y.b;
}

static void test_fingerprints(void **state)
{
	(void)state;
	assert_true(same_fingerprint("One two", "one\n\t TWO "));
	assert_true(same_fingerprint("a text that is longer than eight bytes", "A text that is  longer than EIGHT bytes"));
	assert_false(same_fingerprint("one two", "onetwo"));
	assert_false(same_fingerprint("one two", "two one"));
	assert_false(same_fingerprint("12345678", "123456781"));
	assert_false(same_fingerprint("", "a"));
	assert_false(same_fingerprint("\xc3\x84", "\xc3\xa4")); /* only ASCII letters have no case */
	char long_text[100], other[100];
	for (size_t n = 1; n < sizeof long_text; n++) { /* every byte counts */
		memset(long_text, 'x', n);
		long_text[n] = 0;
		for (size_t i = 0; i < n; i++) {
			memcpy(other, long_text, n + 1);
			other[i] = 'y';
			assert_false(same_fingerprint(long_text, other));
		}
	}
}

enum { WORDS = 300, PAIRS = 400, RUNS = WORDS - 4 };

static void spell(char *out, const int *words)
{
	size_t n = 0;
	for (int i = 0; i < WORDS; i++)
		n += (size_t)snprintf(out + n, 8, "w%d ", words[i]);
}

/* The likeness by its definition: words are numbers below 50000, so runs of five hardly repeat within a text. */
static double likeness(const int *a, const int *b)
{
	int common = 0;
	for (int i = 0; i < RUNS; i++)
		for (int j = 0; j < RUNS; j++)
			if (!memcmp(a + i, b + j, 5 * sizeof *a)) {
				common++;
				break;
			}
	return common / (2.0 * RUNS - common);
}

/* Pairs of texts of which the second has some words replaced: what is far above the bound is found, what is far below
 * is kept; the estimate is off as theory has it. */
static void test_near(void **state)
{
	static int a[WORDS], b[WORDS];
	static char text[WORDS * 8];
	struct trit_rng rng;
	int above = 0, found = 0, below = 0, wrong = 0;
	double squares = 0;

	(void)state;
	trit_rng_init(&rng, 5);
	for (int pair = 0; pair < PAIRS; pair++) {
		struct trit_dedup *d;
		struct trit_signature x, y;
		enum trit_fate fate;
		int replaced = pair % 20;
		for (int i = 0; i < WORDS; i++)
			a[i] = b[i] = (int)trit_rng_below(&rng, 50000);
		for (int i = 0; i < replaced; i++)
			b[trit_rng_below(&rng, WORDS)] = (int)trit_rng_below(&rng, 50000);
		double j = likeness(a, b);
		spell(text, a);
		trit_signature_of(&x, strlen(text), text);
		spell(text, b);
		trit_signature_of(&y, strlen(text), text);
		squares += (trit_signature_likeness(&x, &y) - j) * (trit_signature_likeness(&x, &y) - j);
		assert_int_equal(trit_dedup_new(&d, TRIT_DEDUP_NEAR, 0.8, 1 << 20, &err), 0);
		assert_int_equal(trit_dedup_add(d, (struct trit_fingerprint){ 1, 1 }, &x, &fate, &err), 0);
		assert_int_equal(fate, TRIT_FATE_KEPT);
		assert_int_equal(trit_dedup_add(d, (struct trit_fingerprint){ 2, 2 }, &y, &fate, &err), 0);
		above += j >= 0.88;
		found += j >= 0.88 && fate == TRIT_FATE_NEAR_DUPLICATE;
		below += j <= 0.7;
		wrong += j <= 0.7 && fate != TRIT_FATE_KEPT;
		trit_dedup_free(d);
	}
	assert_true(above > 50 && below > 100);
	assert_true(found >= above * 97 / 100);
	assert_true(wrong <= below / 50);
	assert_true(squares / PAIRS < 0.05 * 0.05);
}

/* Among many: each text comes again with a word replaced, much later. Memory for all of them, then for few. */
static void test_many(void **state)
{
	enum { TEXTS = 9000 };
	static int a[WORDS];
	static char text[WORDS * 8];

	(void)state;
	for (int little = 0; little < 2; little++) {
		struct trit_dedup *d;
		int count[TRIT_N_FATES] = { 0 };
		assert_int_equal(trit_dedup_new(&d, TRIT_DEDUP_NEAR, 0.8, little ? 1 << 21 : 1 << 24, &err), 0);
		for (int i = 0; i < 2 * TEXTS; i++) {
			struct trit_signature s;
			struct trit_rng rng;
			enum trit_fate fate;
			trit_rng_init(&rng, (uint64_t)(i % TEXTS));
			for (int w = 0; w < 100; w++)
				a[w] = (int)trit_rng_below(&rng, 50000);
			if (i >= TEXTS)
				a[50] = 50000;
			size_t n = 0;
			for (int w = 0; w < 100; w++)
				n += (size_t)snprintf(text + n, 8, "w%d ", a[w]);
			trit_signature_of(&s, n, text);
			assert_int_equal(trit_dedup_add(d, (struct trit_fingerprint){ (uint64_t)i, 7 }, &s, &fate, &err), 0);
			count[fate]++;
			assert_true(i >= TEXTS || fate == TRIT_FATE_KEPT);
		}
		/* a word in a hundred: 91 of 101 runs in common, 0.90 */
		assert_true(little ? count[TRIT_FATE_NEAR_DUPLICATE] == 0 : count[TRIT_FATE_NEAR_DUPLICATE] > TEXTS * 97 / 100);
		assert_int_equal(trit_dedup_forgotten(d) > 0, little);
		trit_dedup_free(d);
	}
}

/* Texts without spaces, and texts too short for a run of words. */
static void test_short(void **state)
{
	static const char *const texts[] = {
		"", "one", "one two three four", "one two three five", "\xe6\xbc\xa2\xe5\xad\x97",
		"\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\x8b\xe3\x81\xaa\xe4\xba\xa4\xe3\x81\x98\xe3\x82\x8a",
		"\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\x8b\xe3\x81\xaa\xe4\xba\xa4\xe3\x81\x98\xe3\x82\x8b",
	};
	struct trit_signature s[7];

	(void)state;
	for (int i = 0; i < 7; i++) {
		trit_signature_of(&s[i], strlen(texts[i]), texts[i]);
		for (int j = 0; j < i; j++)
			assert_true(trit_signature_likeness(&s[i], &s[j]) < 0.7);
	}
	assert_true(trit_signature_likeness(&s[5], &s[6]) > 0.2); /* three runs of characters, of which two are the same */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_text), cmocka_unit_test(test_long_line), cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_near),      cmocka_unit_test(test_many),      cmocka_unit_test(test_short),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
