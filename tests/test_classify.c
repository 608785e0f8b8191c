/*
 * test_classify.c - classifiers: labelled texts of all forms, templates, the head's gradient, transformers' numbers.
 *
 * tests/data/classify is a model of transformers with the logits and gradients that it gives
 * (tests/reference/make_classify_golden.py): the training network and the model that runs must have the same.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/rng.h"
#include "convert/convert.h"
#include "format/csv.h"
#include "format/gguf_labels.h"
#include "run/classifier.h"
#include "scratch.h"
#include "text/bpe_train.h"
#include "train/init.h"
#include "train/label_data.h"
#include "train/labelled.h"
#include "train/net.h"

static struct trit_error err;

/* ---- tables ----------------------------------------------------------------------------------------------------- */

/* Records as text: fields in brackets, a line of the table's number before them. */
static void expect_table(const char *text, char separator, const char *expected)
{
	static struct trit_csv c;
	char got[1024] = "";
	size_t n = 0;
	int more;

	trit_csv_init(&c, strlen(text), text, separator, separator == ',');
	while ((more = trit_csv_next(&c, &err)) > 0) {
		n += (size_t)snprintf(got + n, sizeof got - n, "%d", (int)c.line);
		for (int i = 0; i < c.n; i++)
			n += (size_t)snprintf(got + n, sizeof got - n, "[%.*s]", (int)c.fields[i].len, c.fields[i].text);
	}
	if (more < 0)
		snprintf(got + n, sizeof got - n, "!%s", err.message);
	trit_csv_release(&c);
	if (strcmp(got, expected))
		fail_msg("%s\ngives    %s\nexpected %s", text, got, expected);
}

static void test_tables(void **state)
{
	(void)state;
	expect_table("a,b\nc,d\n", ',', "1[a][b]2[c][d]");
	expect_table("\xef\xbb\xbf" "a,b\r\nc,d", ',', "1[a][b]2[c][d]");
	expect_table("a,,\n\n\r\n,\n", ',', "1[a][][]4[][]");
	expect_table("\"a,b\",\"c\"\"d\"\n\"\",\"\"\"\"", ',', "1[a,b][c\"d]2[][\"]");
	expect_table("\"\"\"a\"\"\",\"b\"\"\"\"c\"", ',', "1[\"a\"][b\"\"c]");
	expect_table("\"two\nlines\r\n\",x\ny,z\n", ',', "1[two\nlines\r\n][x]4[y][z]");
	expect_table("5\" tall,a \"b\" c\n", ',', "1[5\" tall][a \"b\" c]");
	expect_table("x\n\"a\nb", ',', "1[x]!line 2: a quote that is never closed");
	expect_table("\"a\"b,c\n", ',', "!line 1: text behind a closing quote; a quote within a field is written twice");
	expect_table("\"a\tb\"\t\"\n,\n", '\t', "1[\"a][b\"][\"]2[,]");
	expect_table("", ',', "");
	expect_table("\r", ',', "1[\r]");
}

static void test_too_many_fields(void **state)
{
	static char text[TRIT_MAX_FIELDS + 2];

	(void)state;
	memset(text, ',', TRIT_MAX_FIELDS);
	expect_table(text, ',', "!line 1: more than 4096 fields");
}

/* ---- labelled texts --------------------------------------------------------------------------------------------- */

struct shown {
	char text[2048];
	size_t n;
};

static int show_row(void *arg, const struct trit_label_row *row, struct trit_error *e)
{
	struct shown *s = arg;

	if (row->text_len == 6 && !memcmp(row->text, "refuse", 6))
		return trit_fail(e, TRIT_ERR_FORMAT, "refused");
	s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%d %.*s=%.*s;", (int)row->line,
	                         row->label ? (int)row->label_len : 1, row->label ? row->label : "-", (int)row->text_len,
	                         row->text);
	return 0;
}

static void expect_rows(const char *given, const struct trit_label_options *o, const char *expected)
{
	struct shown s = { .n = 0 };
	struct trit_label_counts counts;
	char path[256], *paths[] = { path };

	snprintf(path, sizeof path, "%s", given);
	int e = trit_label_rows_each(1, paths, o, show_row, &s, &counts, &err);
	if (e)
		snprintf(s.text + s.n, sizeof s.text - s.n, "!%s", err.message);
	if (strcmp(s.text, expected))
		fail_msg("%s\ngives    %s\nexpected %s", given, s.text, expected);
	if (!e && (counts.done != counts.bytes || !counts.rows))
		fail_msg("%s: %d of %d bytes", given, (int)counts.done, (int)counts.bytes);
}

static void expect_data(const char *name, const char *text, const struct trit_label_options *o, const char *expected)
{
	scratch_write(name, strlen(text), text);
	expect_rows(name, o, expected);
}

static void test_rows(void **state)
{
	const struct trit_label_options plain = { 0 }, free_of = { .unlabelled = true }, skip = { .skip_bad = true };
	const struct trit_label_options named = { .text_column = "b", .label_column = "1" };

	(void)state;
	expect_data("a.tsv", "good film\t1\nbad film\t0\n", &plain, "1 1=good film;2 0=bad film;");
	expect_data("b.csv", "id,label,sentence\n7,x,\"a, b\"\n", &plain, "2 x=a, b;");
	expect_data("c.csv", "x,b\n1,one\n2,two\n", &named, "2 1=one;3 2=two;");
	expect_data("c.csv", "x,y\n1,one\n", &named, "!c.csv: no column is called \"b\" in the first line");
	expect_data("d.csv", "label,body\nx,one\n", &plain, "!d.csv: the first line has a column of labels and none that "
	            "is called text or sentence; name it with --text-column");
	expect_data("e.csv", "text\none\n", &plain, "!e.csv: no column of labels; name it, or give its number, with "
	            "--label-column");
	expect_data("e.csv", "text\none\n", &free_of, "2 -=one;");
	expect_data("f.csv", "text,label\n  ,x\none,\ntwo,y\n", &plain, "!f.csv:3: a text without a label");
	expect_data("f.csv", "text,label\n  ,x\none,\nrefuse,x\ntwo,y\n", &skip, "5 y=two;");
	expect_data("f.csv", "text,label\nrefuse,x\n", &plain, "!f.csv:2: refused");
	expect_data("g.jsonl", "{\"text\": \"a\\nb\", \"label\": 3}\n\n{\"sentiment\": true, \"review\": \"c\"}\n", &plain,
	            "1 3=a\nb;3 true=c;");
	expect_data("h.json", "[{\"text\": \"a\", \"label\": \"x\"},\n {\"text\": 1}]", &plain,
	            "1 x=a;!h.json:2: no text in a member \"text\"; name another with --text-column");
	expect_data("i.json", "{\"text\": \"a\", \"label\": 0.5}", &plain,
	            "!i.json:1: the label is a float; texts and whole numbers are labels");
	expect_data("list", "one\r\n\n two\nthree", &free_of, "1 -=one;3 -= two;4 -=three;");
	expect_rows("good=list", &plain, "1 good=one;3 good= two;4 good=three;");
	expect_rows("list", &plain, "!list: by its name neither .csv, .tsv nor .jsonl (--format); a list of texts of one "
	            "label is given as LABEL=FILE");
	expect_data("table.txt", "a,x\n", &(struct trit_label_options){ .form = TRIT_LABEL_FORM_CSV }, "1 x=a;");
	expect_data("empty.csv", "", &plain, "!empty.csv: no texts (0 that could not be used, 0 empty)");
}

static void test_folders(void **state)
{
	const struct trit_label_options plain = { 0 };

	(void)state;
	assert_int_equal(mkdir("set", 0777) | mkdir("set/good", 0777) | mkdir("set/bad", 0777), 0);
	scratch_write("set/README", 3, "no\n");
	scratch_write("set/good/2.txt", 4, "b\nc\n");
	scratch_write("set/good/1.txt", 1, "a");
	scratch_write("set/bad/1.txt", 1, "d");
	expect_rows("set", &plain, "0 bad=d;0 good=a;0 good=b\nc\n;");
	expect_rows("fine=set/good", &plain, "0 fine=a;0 fine=b\nc\n;");
}

static void test_census(void **state)
{
	const struct trit_label_options plain = { 0 };
	struct trit_labels labels;
	char path[] = "census.tsv", *paths[] = { path };
	const char text[] = "a\t10\nb\t2\nc\tx\nd\t2\n", one[] = "a\tx\n";

	(void)state;
	scratch_write(path, sizeof text - 1, text);
	assert_int_equal(trit_label_census(&labels, 1, paths, &plain, &err), 0);
	assert_int_equal(labels.n, 3);
	assert_string_equal(labels.names[0], "2");
	assert_string_equal(labels.names[1], "10");
	assert_string_equal(labels.names[2], "x");
	/* By name first, then by number. */
	assert_int_equal(trit_label_of_row(&labels, &(struct trit_label_row){ .label = "2", .label_len = 1 }, &err), 0);
	assert_int_equal(trit_label_of_row(&labels, &(struct trit_label_row){ .label = "1", .label_len = 1 }, &err), 1);
	assert_int_equal(trit_label_of_row(&labels, &(struct trit_label_row){ .label = "3", .label_len = 1 }, &err),
	                 TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "\"3\" is not known; known are 2, 10, x"));
	trit_labels_release(&labels);
	scratch_write(path, sizeof one - 1, one);
	assert_int_equal(trit_label_census(&labels, 1, paths, &plain, &err), TRIT_ERR_FORMAT);
}

/* ---- templates -------------------------------------------------------------------------------------------------- */

/* Bytes as tokens, and an end token that is asked for. */
static struct trit_tokenizer *byte_tokenizer(void)
{
	struct trit_bpe_trainer *trainer;
	struct trit_vocab v = { 0 };
	struct trit_tokenizer *t;

	assert_int_equal(trit_bpe_trainer_new(&trainer, "gpt-2", &err), 0);
	assert_int_equal(trit_bpe_trainer_add(trainer, 1, "a", &err), 0);
	assert_int_equal(trit_bpe_train(trainer, 257, &v, &err), 0);
	trit_bpe_trainer_free(trainer);
	v.add_bos = false;
	v.add_eos = true;
	assert_int_equal(trit_tokenizer_new(&t, &v, &err), 0);
	return t;
}

static void expect_tokens(const struct trit_tokenizer *t, const char *template, const char *text, size_t max,
                          bool expect_cut, const char *expected)
{
	struct trit_labels labels = { 0 };
	struct trit_encoder *encoder;
	struct trit_tokens tokens;
	char got[1024] = "";
	size_t n = 0, len;
	bool cut = false;

	trit_tokens_init(&tokens, 1 << 20);
	assert_int_equal(trit_encoder_new(&encoder, t, &err), 0);
	if (template)
		assert_int_equal(trit_labels_set_template(&labels, strlen(template), template, &err), 0);
	int e = trit_labels_encode(&labels, encoder, strlen(text), text, max, &tokens, &cut, &err);
	for (size_t i = 0; i < tokens.len && !e; i++) {
		const char *bytes = trit_decode_token(t, tokens.data[i], &len);
		bool end = tokens.data[i] == trit_tokenizer_vocab(t)->eos;
		n += (size_t)snprintf(got + n, sizeof got - n, "%.*s", end ? 1 : (int)len, end ? "$" : bytes);
	}
	if (e)
		snprintf(got, sizeof got, "!%s", err.message);
	if (strcmp(got, expected) || (!e && (cut != expect_cut || tokens.len > max)))
		fail_msg("%s, %s in %d: %s%s, expected %s", template, text, (int)max, got, cut ? " (cut)" : "", expected);
	trit_labels_release(&labels);
	trit_tokens_release(&tokens);
	trit_encoder_free(encoder);
}

static void test_templates(void **state)
{
	struct trit_tokenizer *t = byte_tokenizer();
	struct trit_labels labels = { 0 };
	static char a_lot[100001];

	(void)state;
	expect_tokens(t, NULL, "fine", 5, false, "fine$");
	expect_tokens(t, NULL, "finer", 5, true, "fine$");
	expect_tokens(t, NULL, "", 5, false, "$");
	expect_tokens(t, "<{text}>", "fine", 7, false, "<fine>$");
	expect_tokens(t, "<{text}>", "fine", 6, true, "<fin>$");
	expect_tokens(t, "<{text}>", "fine", 3, true, "<>$");
	expect_tokens(t, "<{text}>", "fine", 2, false, "!the template alone has 3 tokens, and there is room for 2");
	expect_tokens(t, NULL, "fi\xc3\xa9", 4, true, "fi$"); /* not half a character */
	expect_tokens(t, NULL, "fi\xc3\xa9", 5, false, "fi\xc3\xa9$");
	expect_tokens(t, "{text}", "<|endoftext|>", 20, false, "<|endoftext|>$"); /* text is text */
	memset(a_lot, 'x', sizeof a_lot - 1);
	expect_tokens(t, "({text})", a_lot, 10, true, "(xxxxxxx)$");
	assert_int_equal(trit_labels_set_template(&labels, 4, "none", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_labels_set_template(&labels, 12, "{text}{text}", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_labels_set_template(&labels, 7, "\0{text}", &err), TRIT_ERR_ARG);
	trit_tokenizer_free(t);
}

static void test_label_file(void **state)
{
	struct trit_labels labels = { 0 }, back = { 0 };

	(void)state;
	assert_int_equal(trit_labels_add(&labels, 3, "bad", &err), 0);
	assert_int_equal(trit_labels_add(&labels, 5, "so so", &err), 0);
	assert_int_equal(trit_labels_add(&labels, 3, "bad", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_labels_add(&labels, 0, "", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_labels_set_template(&labels, 8, "<{text}>", &err), 0);
	labels.max_tokens = 77;
	assert_int_equal(trit_labels_file_write("labels.gguf", &labels, &err), 0);
	assert_int_equal(trit_labels_file_read("labels.gguf", &back, &err), 0);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.names[1], "so so");
	assert_string_equal(back.template, "<{text}>");
	assert_int_equal(back.max_tokens, 77);
	trit_labels_release(&labels);
	trit_labels_release(&back);
}

/* ---- the head against differences ------------------------------------------------------------------------------- */

enum { LABELS = 3, WIDTH = 18, S = 7, SEQS = 2, T = S * SEQS };

/* Two examples in the first sequence, one in the second, which has filling behind it. */
static const int starts[T] = { 0, 0, 0, 3, 3, 3, 3, 0, 0, 0, 0, 0, 5, 5 };
static const float weights[T] = { [2 - 1] = 1, [5] = 0.5f, [10] = 1.5f };
static const trit_token batch[SEQS * (S + 1)] = { 9, 9, 2, 9, 9, 9, 0, 9, 9, 9, 9, 9, 1, 9, 9, 9 };
static const struct { int first, last, label; } examples[] = { { 0, 1, 2 }, { 3, 5, 0 }, { 7, 10, 1 } };

/* The loss by its formula, x [T, WIDTH], then W, then b. */
static double formula(const double *x, bool mean)
{
	const double *w = x + T * WIDTH, *b = w + LABELS * WIDTH;
	double loss = 0;

	for (size_t i = 0; i < 3; i++) {
		double z[LABELS], sum = 0;
		int first = mean ? examples[i].first : examples[i].last, n = examples[i].last - first + 1;
		for (int c = 0; c < LABELS; c++) {
			z[c] = b[c];
			for (int t = first; t <= examples[i].last; t++)
				for (int k = 0; k < WIDTH; k++)
					z[c] += w[c * WIDTH + k] * x[t * WIDTH + k] / n;
			sum += exp(z[c]);
		}
		loss += (double)weights[examples[i].last] * (log(sum) - z[examples[i].label]);
	}
	return loss;
}

static void check_head(bool mean, int threads)
{
	enum { N = T * WIDTH + LABELS * WIDTH + LABELS, LD = WIDTH + 5 };
	static double x[N];
	static float xn[T * LD], w[LABELS * WIDTH], b[LABELS], dn[T * WIDTH], dw[LABELS * WIDTH], db[LABELS];
	struct trit_label_head h;
	struct trit_kernels k;
	struct trit_rng rng;

	trit_kernels_fill(&k, trit_best_tier());
	trit_rng_init(&rng, 5);
	for (int i = 0; i < N; i++)
		x[i] = (double)(float)(trit_rng_uniform(&rng) - 0.5f);
	for (int i = 0; i < T * WIDTH; i++)
		xn[i / WIDTH * LD + i % WIDTH] = (float)x[i];
	for (int i = 0; i < LABELS * WIDTH; i++)
		w[i] = (float)x[T * WIDTH + i];
	for (int i = 0; i < LABELS; i++)
		b[i] = (float)x[T * WIDTH + LABELS * WIDTH + i];
	memset(dn, 0, sizeof dn), memset(dw, 0, sizeof dw), memset(db, 0, sizeof db);
	assert_int_equal(trit_label_head_init(&h, LABELS, WIDTH, mean, T, &err), 0);
	h.w = w, h.bias = b, h.dw = dw, h.dbias = db;
	trit_label_head_begin(&h, SEQS, S, batch, weights, starts);
	assert_int_equal(h.n_examples, 3);
	for (int i = 0; i < threads; i++)
		trit_label_head_loss(&h, &k, xn, LD, dn, weights, 2, i, threads);
	for (int i = 0; i < threads; i++)
		trit_label_head_backward_w(&h, &k, i, threads);
	assert_true(fabs(trit_label_head_end(&h, weights, true) - formula(x, mean)) < 1e-6);
	for (int i = 0; i < N; i++) {
		const double step = 1e-5, at = x[i];
		int j = i - T * WIDTH, l = j - LABELS * WIDTH;
		double got = (double)(l >= 0 ? db[l] : j >= 0 ? dw[j] : dn[i]), above;
		x[i] = at + step;
		above = formula(x, mean);
		x[i] = at - step;
		double expected = 2 * (above - formula(x, mean)) / (2 * step);
		x[i] = at;
		if (!(fabs(got - expected) < 2e-6))
			fail_msg("element %d, mean %d: %g, expected %g", i, mean, got, expected);
	}
	assert_true(h.expected[0] + h.expected[1] + h.expected[2] == 3);
	double accuracy, f1;
	trit_classify_scores(&h, &accuracy, &f1);
	assert_true(accuracy >= 0 && accuracy <= 1 && f1 >= 0 && f1 <= 1);
	trit_label_head_release(&h);
}

static void test_head(void **state)
{
	(void)state;
	for (int threads = 1; threads <= 3; threads++) {
		check_head(false, threads);
		check_head(true, threads);
	}
}

static void test_scores(void **state)
{
	double counts[9] = { 4, 2, 0, 3, 3, 0, 3, 2, 0 }, accuracy, f1; /* expected, predicted, right */
	struct trit_label_head h = { .n = 3, .expected = counts, .predicted = counts + 3, .right = counts + 6 };

	(void)state;
	trit_classify_scores(&h, &accuracy, &f1);
	assert_true(fabs(accuracy - 5.0 / 6) < 1e-12);
	assert_true(fabs(f1 - (6.0 / 7 + 4.0 / 5) / 2) < 1e-12); /* the third label does not count */
	memset(counts, 0, sizeof counts);
	trit_classify_scores(&h, &accuracy, &f1);
	assert_true(isnan(accuracy) && isnan(f1));
}

/* ---- transformers ----------------------------------------------------------------------------------------------- */

enum { N_TEXTS = 3, MAX_TOKENS = 8, CONTEXT = 16 };

struct golden {
	int label[N_TEXTS];
	size_t n[N_TEXTS];
	trit_token tokens[N_TEXTS][MAX_TOKENS];
	double logits[N_TEXTS][LABELS], loss;
};

static void read_golden(struct golden *g)
{
	FILE *f = fopen(TRIT_TEST_DATA "/classify/expected.txt", "r");
	int n_texts = 0, n_labels = 0, n = 0, token = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "texts %d %d", &n_texts, &n_labels), 2);
	assert_true(n_texts == N_TEXTS && n_labels == LABELS);
	for (int i = 0; i < N_TEXTS; i++) {
		assert_int_equal(fscanf(f, "%d %d", &g->label[i], &n), 2);
		assert_true(n > 0 && n <= MAX_TOKENS);
		g->n[i] = (size_t)n;
		for (int k = 0; k < n; k++) {
			assert_int_equal(fscanf(f, "%d", &token), 1);
			g->tokens[i][k] = token;
		}
		for (int c = 0; c < LABELS; c++)
			assert_int_equal(fscanf(f, "%lf", &g->logits[i][c]), 1);
	}
	assert_int_equal(fscanf(f, " loss %lf", &g->loss), 1);
	fclose(f);
}

/* The model that runs: logits, and the labels' names. */
static void test_runs(void **state)
{
	struct golden g;
	struct trit_model *m;
	struct trit_classifier *c;
	struct trit_labels labels;
	const trit_token *tokens[N_TEXTS];
	float got[N_TEXTS][LABELS], p[N_TEXTS][LABELS];

	(void)state;
	read_golden(&g);
	assert_int_equal(trit_model_open(&m, TRIT_TEST_DATA "/classify", &err), 0);
	assert_int_equal(m->config.n_labels, LABELS);
	assert_int_equal(trit_gguf_read_labels(&m->gguf, &labels, &err), 0);
	assert_int_equal(labels.n, LABELS);
	assert_string_equal(labels.names[1], "so so");
	assert_int_equal(trit_classifier_new(&c, m, 0, NULL, NULL, &err), 0);
	for (int i = 0; i < N_TEXTS; i++)
		tokens[i] = g.tokens[i];
	assert_int_equal(trit_classify(c, N_TEXTS, g.n, tokens, true, got[0], &err), 0);
	assert_int_equal(trit_classify(c, N_TEXTS, g.n, tokens, false, p[0], &err), 0);
	for (int i = 0; i < N_TEXTS; i++) {
		double sum = 0;
		for (int k = 0; k < LABELS; k++) {
			if (!(fabs((double)got[i][k] - g.logits[i][k]) < 2e-5))
				fail_msg("text %d: %g, expected %g", i, (double)got[i][k], g.logits[i][k]);
			sum += (double)p[i][k];
		}
		assert_true(fabs(sum - 1) < 1e-6);
	}
	trit_labels_release(&labels);
	trit_classifier_free(c);
	trit_model_close(m);
}

static void check_logits(const struct golden *g, const char *path, const float *expected)
{
	struct trit_model *m;
	struct trit_classifier *c;
	struct trit_labels labels;
	const trit_token *tokens[N_TEXTS];
	float got[N_TEXTS][LABELS];

	if (trit_model_open(&m, path, &err) || trit_classifier_new(&c, m, 0, NULL, NULL, &err))
		fail_msg("%s", err.message);
	for (int i = 0; i < N_TEXTS; i++)
		tokens[i] = g->tokens[i];
	assert_int_equal(trit_classify(c, N_TEXTS, g->n, tokens, true, got[0], &err), 0);
	for (int i = 0; i < N_TEXTS * LABELS; i++) /* rotary pairs lie in another order: other roundings */
		assert_true(fabsf(got[i / LABELS][i % LABELS] - expected[i]) < 2e-6f);
	assert_int_equal(trit_gguf_read_labels(&m->gguf, &labels, &err), 0);
	assert_int_equal(labels.n, LABELS);
	assert_string_equal(labels.names[0], "bad");
	trit_labels_release(&labels);
	trit_classifier_free(c);
	trit_model_close(m);
}

/* The head and its labels go along to GGUF and back to a folder. */
static void test_converts(void **state)
{
	struct golden g;
	struct trit_model *m;
	struct trit_classifier *c;
	const trit_token *tokens[N_TEXTS];
	float expected[N_TEXTS][LABELS];
	struct trit_export_options o = { .type = TRIT_GGML_F32, .embedding_type = TRIT_GGML_F32, .head_type = -1 };

	(void)state;
	read_golden(&g);
	for (int i = 0; i < N_TEXTS; i++)
		tokens[i] = g.tokens[i];
	assert_int_equal(trit_model_open(&m, TRIT_TEST_DATA "/classify", &err), 0);
	assert_int_equal(trit_classifier_new(&c, m, 0, NULL, NULL, &err), 0);
	assert_int_equal(trit_classify(c, N_TEXTS, g.n, tokens, true, expected[0], &err), 0);
	trit_classifier_free(c);
	trit_model_close(m);
	assert_int_equal(trit_convert(TRIT_TEST_DATA "/classify", "model.gguf", &o, &err), 0);
	check_logits(&g, "model.gguf", expected[0]);
	o.folder = true;
	if (trit_convert("model.gguf", "folder", &o, &err))
		fail_msg("%s", err.message);
	check_logits(&g, "folder", expected[0]);
}

struct trained {
	struct trit_model_file file;
	struct trit_config config;
	struct trit_params params;
	struct trit_kernels kernels;
	struct trit_pool *pool;
	struct trit_net net;
	struct trit_label_head head;
};

static void open_trained(struct trained *t, int threads)
{
	struct trit_weight_method full = { .kind = TRIT_WEIGHT_FULL };

	*t = (struct trained){ 0 };
	trit_kernels_fill(&t->kernels, trit_best_tier());
	assert_int_equal(trit_pool_new(&t->pool, threads, &err), 0);
	assert_int_equal(trit_model_file_open(&t->file, TRIT_TEST_DATA "/classify", NULL, &err), 0);
	assert_int_equal(trit_config_read(&t->config, &t->file.gguf, &err), 0);
	assert_int_equal(trit_params_init(&t->params, &t->config, &err), 0);
	assert_int_equal(trit_params_from_model(&t->params, &t->config, &t->file, &err), 0);
	assert_int_equal(trit_net_init(&t->net, &t->config, full, &t->params, &t->kernels, t->pool, CONTEXT, 1, NULL, &err),
	                 0);
	assert_int_equal(trit_label_head_init(&t->head, LABELS, t->config.d_model, false, CONTEXT, &err), 0);
	const struct trit_param *p = trit_params_find(&t->params, TRIT_TENSOR_CLS_OUTPUT, 0);
	t->head.w = t->params.w + p->offset;
	t->head.dw = t->params.g + p->offset;
	t->net.labels = &t->head;
	trit_net_quantise(&t->net);
}

static void close_trained(struct trained *t)
{
	trit_label_head_release(&t->head);
	trit_net_release(&t->net);
	trit_params_release(&t->params);
	trit_pool_free(t->pool);
	trit_model_file_close(&t->file);
}

/* All texts one behind the other in one sequence, each with its label behind it. */
static double golden_step(struct trained *t, const struct golden *g, bool backward)
{
	trit_token tokens[CONTEXT + 1] = { 0 };
	float weight[CONTEXT] = { 0 };
	int begins[CONTEXT] = { 0 };
	size_t at = 0;

	for (int i = 0; i < N_TEXTS; i++) {
		size_t first = at;
		memcpy(tokens + at, g->tokens[i], g->n[i] * sizeof *tokens);
		at += g->n[i];
		weight[at - 1] = 1;
		tokens[at++] = g->label[i];
		for (size_t k = first; k < at && k < CONTEXT; k++)
			begins[k] = (int)first;
	}
	for (; at < CONTEXT; at++)
		begins[at] = (int)at;
	t->net.starts = begins;
	return backward ? trit_net_step(&t->net, 1, tokens, weight, 1.0f / N_TEXTS)
	                : trit_net_loss(&t->net, 1, tokens, weight);
}

static void test_trains(void **state)
{
	struct golden g;
	struct trained t, two;
	struct trit_safetensors gradients;

	(void)state;
	read_golden(&g);
	open_trained(&t, 1);
	open_trained(&two, 2);
	assert_true(fabs(golden_step(&t, &g, false) / N_TEXTS - g.loss) < 1e-6);
	assert_true(t.head.expected[0] == 1 && t.head.expected[1] == 1 && t.head.expected[2] == 1);
	assert_true(fabs(golden_step(&t, &g, true) / N_TEXTS - g.loss) < 1e-6);
	assert_true(golden_step(&two, &g, true) / N_TEXTS > 0);
	assert_memory_equal(t.params.g, two.params.g, t.params.total * sizeof *t.params.g);
	assert_int_equal(trit_safetensors_open(&gradients, TRIT_TEST_DATA "/classify/gradients.safetensors", &err), 0);
	for (int i = 0; i < t.params.n; i++) {
		const struct trit_param *p = &t.params.list[i];
		const char *hf = trit_tensor_hf_name(t.config.arch, p->id);
		char name[128];
		double apart = 0, norm = 0;
		if (trit_tensors[p->id].per_layer)
			snprintf(name, sizeof name, "model.layers.%d.%s.weight", p->layer, hf);
		else
			snprintf(name, sizeof name, "%s.weight", hf);
		const struct trit_st_tensor *st = trit_safetensors_find(&gradients, name);
		if (!st || st->elements != p->rows * p->cols)
			fail_msg("no gradient of %s", name);
		const float *expected = (const float *)(const void *)st->data, *got = t.params.g + p->offset;
		for (size_t k = 0; k < p->rows * p->cols; k++) {
			apart += ((double)got[k] - (double)expected[k]) * ((double)got[k] - (double)expected[k]);
			norm += (double)expected[k] * (double)expected[k];
		}
		if (!(sqrt(apart) < 2e-6 * sqrt(norm)))
			fail_msg("%s: gradient apart by %g of its norm", name, sqrt(apart / norm));
	}
	trit_safetensors_close(&gradients);
	close_trained(&t);
	close_trained(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),   cmocka_unit_test(test_too_many_fields), cmocka_unit_test(test_rows),
		cmocka_unit_test(test_folders),  cmocka_unit_test(test_census),          cmocka_unit_test(test_templates),
		cmocka_unit_test(test_label_file), cmocka_unit_test(test_head),          cmocka_unit_test(test_scores),
		cmocka_unit_test(test_runs),     cmocka_unit_test(test_converts),        cmocka_unit_test(test_trains),
	};

	return cmocka_run_group_tests_name("classify", tests, scratch_enter, scratch_leave);
}
