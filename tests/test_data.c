/*
 * test_data.c - from text to windows of tokens: files, documents and pieces, shards, the order of a run.
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

#include "base/num.h"
#include "scratch.h"
#include "train/data.h"
#include "train/order.h"
#include "train/prepare.h"

#define TEXT TRIT_TEST_DATA "/train/garden.txt"

static struct trit_error err;

/* ---- files, documents, pieces ----------------------------------------------------------------------------------- */

/* What the reader hands out, as text: "[" begins a document, "|" another part of it. */
struct pieces {
	char text[65536];
	size_t len;
};

static int read_corpus(struct pieces *p, size_t n, char *const *paths, enum trit_documents how)
{
	struct trit_corpus c;
	struct trit_reader *r = NULL;
	struct trit_document d;
	int e = trit_corpus_open(&c, n, paths, &err);

	p->len = 0;
	p->text[0] = 0;
	if (e)
		return e;
	e = trit_reader_open(&r, &c, how, false, &err);
	while (!e && (e = trit_reader_next(r, &d, &err)) > 0) {
		p->text[p->len++] = d.continued ? '|' : '[';
		memcpy(p->text + p->len, d.text, d.len);
		p->len += d.len;
		p->text[p->len] = 0;
		e = 0;
	}
	trit_reader_close(r);
	trit_corpus_close(&c);
	return e;
}

static void test_documents(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "one", "[one" },
		{ " \n one two \r\n\t", "[one two" },
		{ "a\n<|endoftext|>\nb", "[a[b" },
		{ "a\r\n<|endoftext|>\r\nb\r\n<|endoftext|>", "[a[b" },
		{ "<|endoftext|>\na\n<|endoftext|>\n<|endoftext|>\n\n<|endoftext|>\nb\n", "[a[b" },
		/* only a line of its own ends a document */
		{ "a <|endoftext|>\nb\n <|endoftext|>\nc\n<|endoftext|>d\n<|endoftex",
		  "[a <|endoftext|>\nb\n <|endoftext|>\nc\n<|endoftext|>d\n<|endoftex" },
	};
	struct pieces p = { 0 };
	char path[] = "documents.txt";
	char *paths[] = { path };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		scratch_write(path, strlen(cases[i].text), cases[i].text);
		assert_int_equal(read_corpus(&p, 1, paths, TRIT_DOCUMENTS_AUTO), 0);
		assert_string_equal(p.text, cases[i].expected);
	}
}

static void test_files(void **state)
{
	struct pieces p = { 0 };
	char folder[] = "folder", file[] = "folder/b.txt", none[] = "folder/none.txt";
	char *both[] = { folder, file }, *missing[] = { file, none };
	struct trit_corpus c;

	(void)state;
	assert_int_equal(trit_make_dirs("folder/deeper", &err), 0);
	scratch_write("folder/c.txt", 1, "c");
	scratch_write("folder/b.txt", 1, "b");
	scratch_write("folder/deeper/a.md", 1, "a");
	scratch_write("folder/.hidden", 1, "h");
	assert_int_equal(read_corpus(&p, 2, both, TRIT_DOCUMENTS_AUTO), 0);
	assert_string_equal(p.text, "[b[c[a[b"); /* sorted by path within the folder; a file given twice counts twice */
	assert_int_equal(trit_corpus_open(&c, 2, missing, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "folder/none.txt"));
	assert_int_equal(trit_corpus_open(&c, 2, both, &err), 0);
	assert_int_equal(c.bytes, 4);
	assert_true(c.sources[0] == 0 && c.sources[2] == 0 && c.sources[3] == 1);
	trit_corpus_close(&c);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

static struct trit_tokenizer *learn(const struct trit_corpus *c, int n_vocab, int threads)
{
	struct trit_prepare_settings settings = trit_prepare_defaults();
	struct trit_vocab vocab = { 0 };
	struct trit_tokenizer *t = NULL;

	settings.n_threads = threads;
	if (trit_prepare_vocab(c, &settings, n_vocab, &vocab, &err) || trit_tokenizer_new(&t, &vocab, &err))
		fail_msg("%s", err.message);
	return t;
}

static struct trit_prepare_report prepare(const struct trit_corpus *c, const struct trit_tokenizer *t, const char *dir,
                                          struct trit_prepare_settings s)
{
	struct trit_prepare_report report;

	if (trit_prepare_shards(c, &s, t, dir, &report, &err))
		fail_msg("%s", err.message);
	return report;
}

/* Every document begins with BOS, at a place that "starts" has, and its tokens spell it. */
static void test_preparing(void **state)
{
	char text[] = TEXT;
	char *paths[] = { text };
	struct pieces p = { 0 };
	struct trit_corpus c;
	struct trit_shards s, val;
	struct trit_prepare_settings settings = trit_prepare_defaults();
	struct trit_prepare_report report;
	uint64_t n_starts, documents = 0;

	(void)state;
	settings.val_share = 0;
	assert_int_equal(read_corpus(&p, 1, paths, TRIT_DOCUMENTS_AUTO), 0);
	assert_int_equal(trit_corpus_open(&c, 1, paths, &err), 0);
	struct trit_tokenizer *t = learn(&c, 320, 1);
	trit_token bos = trit_tokenizer_vocab(t)->bos;
	assert_int_equal(trit_tokenizer_vocab(t)->n_tokens, 320);
	assert_true(bos >= 0);
	report = prepare(&c, t, "prepared", settings);
	assert_int_equal(trit_shards_open(&s, "prepared", "train", 320, &err), 0);
	const unsigned char *starts = trit_shards_starts(&s, 0, &n_starts);
	size_t at = 0;
	for (uint64_t i = 0; i < s.n_tokens; i++) {
		trit_token token;
		size_t len;
		trit_shards_read(&s, i, 1, &token);
		if (token == bos) {
			assert_int_equal(p.text[at], '[');
			assert_true(documents < n_starts && trit_get32(starts + 4 * documents) == i);
			documents++;
			at++;
			continue;
		}
		const char *bytes = trit_decode_token(t, token, &len);
		if (at + len > p.len || memcmp(p.text + at, bytes, len))
			fail_msg("token %d does not spell \"%.20s\"", (int)i, p.text + at);
		at += len;
	}
	assert_int_equal(at, p.len);
	uint64_t all = s.n_tokens;
	assert_int_equal(documents, n_starts);
	assert_int_equal(report.n, 1);
	assert_int_equal(report.counts[0].fates[TRIT_FATE_KEPT], documents);
	assert_int_equal(report.counts[0].tokens, all);
	assert_int_equal(report.counts[0].bytes, p.len - documents);
	trit_shards_close(&s);
	trit_prepare_report_release(&report);

	/* Held-out documents are moved, not copied, and no more than about the share asked for. */
	settings.val_share = 0.25f;
	report = prepare(&c, t, "prepared", settings);
	assert_int_equal(trit_shards_open(&s, "prepared", "train", 320, &err), 0);
	assert_int_equal(trit_shards_open(&val, "prepared", "val", 320, &err), 0);
	assert_int_equal(s.n_tokens + val.n_tokens, all);
	assert_int_equal(report.counts[0].val_tokens, val.n_tokens);
	assert_true(val.n_tokens > all / 10 && val.n_tokens < all / 2);
	trit_shards_close(&s);
	trit_shards_close(&val);
	trit_prepare_report_release(&report);
	trit_tokenizer_free(t);
	trit_corpus_close(&c);
}

/* The same shards and vocabulary with any number of threads; a long document is cut at ends of lines. */
static void test_threads(void **state)
{
	char garden[] = TEXT, path[] = "book.txt";
	char *paths[] = { garden, path };
	struct trit_corpus c;
	struct trit_shards s;
	struct trit_prepare_settings settings = trit_prepare_defaults();
	struct trit_buf book;
	uint64_t n_starts;
	size_t len;

	(void)state;
	trit_buf_init(&book, 1 << 20);
	for (int line = 0; book.len < 2 * TRIT_WHOLE_BYTES; line++)
		assert_int_equal(trit_buf_printf(&book, &err, "line %d of a long document, ending here\n", line), 0);
	scratch_write(path, book.len, book.data);
	assert_int_equal(trit_corpus_open(&c, 2, paths, &err), 0);
	settings.val_share = 0.2f;
	for (int threads = 1; threads <= 3; threads += 2) {
		const char *dir = threads == 1 ? "one" : "three";
		struct trit_tokenizer *t = learn(&c, 400, threads);
		settings.n_threads = threads;
		struct trit_prepare_report report = prepare(&c, t, dir, settings);
		assert_int_equal(report.n, 2);
		assert_int_equal(report.counts[1].fates[TRIT_FATE_KEPT], 1);
		assert_int_equal(report.counts[1].bytes, book.len - 1); /* but for the last newline */
		trit_prepare_report_release(&report);
		trit_tokenizer_free(t);
	}
	scratch_check_same("one/train-00000.safetensors", "three/train-00000.safetensors");
	scratch_check_same("one/val-00000.safetensors", "three/val-00000.safetensors");
	/* Part of the book is held out, in pieces: a start for each. */
	assert_int_equal(trit_shards_open(&s, "one", "val", 400, &err), 0);
	trit_shards_starts(&s, 0, &n_starts);
	assert_true(n_starts > 4);
	trit_shards_close(&s);
	trit_free(scratch_read("one/val-00000.safetensors", &len));
	trit_corpus_close(&c);
	trit_buf_release(&book);
}

static int stop(void *arg, const char *what, uint64_t done, uint64_t total)
{
	int *calls = arg;

	assert_non_null(what);
	assert_true(done <= total);
	return ++*calls == 1;
}

static void test_stopping(void **state)
{
	char text[] = TEXT;
	char *paths[] = { text };
	struct trit_corpus c;
	struct trit_prepare_report report;
	int calls = 0;
	struct trit_prepare_settings settings = trit_prepare_defaults();

	(void)state;
	settings.progress = stop;
	settings.progress_arg = &calls;
	assert_int_equal(trit_corpus_open(&c, 1, paths, &err), 0);
	struct trit_tokenizer *t = learn(&c, 300, 1);
	assert_int_equal(trit_prepare_shards(&c, &settings, t, "stopped", &report, &err), TRIT_ERR_LIMIT);
	assert_int_equal(calls, 1);
	assert_int_equal(scratch_count("stopped", ""), 0);
	trit_prepare_report_release(&report);
	trit_tokenizer_free(t);
	trit_corpus_close(&c);
}

/* ---- shards ----------------------------------------------------------------------------------------------------- */

/* loss: whether token i is to be predicted; NULL: all are. */
static void write_shards(const char *name, int n_vocab, size_t n, trit_token (*token)(size_t i), bool (*loss)(size_t i))
{
	struct trit_shard_writer w;

	assert_int_equal(trit_make_dirs("shards", &err), 0);
	assert_int_equal(trit_shard_writer_init(&w, "shards", name, n_vocab, &err), 0);
	for (size_t i = 0; i < n; i++) {
		trit_token t = token(i);
		bool loss_here = loss && loss(i);
		assert_int_equal(trit_shard_writer_put(&w, 1, &t, loss ? &loss_here : NULL, &err), 0);
	}
	if (trit_shard_writer_finish(&w, &err))
		fail_msg("%s", err.message);
	trit_shard_writer_release(&w);
}

static void write_tokens(const char *name, int n_vocab, size_t n, trit_token (*token)(size_t i))
{
	write_shards(name, n_vocab, n, token, NULL);
}

static trit_token count_up(size_t i)
{
	return (trit_token)i;
}

static trit_token mixed(size_t i)
{
	return (trit_token)(i * 40503 % 65521);
}

static void test_widths(void **state)
{
	static const int vocabularies[] = { 65536, 65537, 262144 };
	size_t len[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct trit_shards s;
		trit_token out[3];
		write_tokens("wide", vocabularies[i], 60000, count_up);
		trit_free(scratch_read("shards/wide-00000.safetensors", &len[i]));
		assert_int_equal(trit_shards_open(&s, "shards", "wide", vocabularies[i], &err), 0);
		assert_int_equal(s.n_tokens, 60000);
		trit_shards_read(&s, 59997, 3, out);
		assert_true(out[0] == 59997 && out[1] == 59998 && out[2] == 59999);
		trit_shards_close(&s);
	}
	assert_true(len[0] < 60000 * 2 + 500 && len[1] > 60000 * 4 && len[2] == len[1]);
}

/* Reads run over the border of two shards; a shorter list leaves no old shard behind. */
static void test_two_shards(void **state)
{
	size_t n = TRIT_SHARD_TOKENS + 5;
	struct trit_shards s;
	trit_token out[8];

	(void)state;
	write_tokens("two", 65521, n, mixed);
	assert_int_equal(trit_shards_open(&s, "shards", "two", 65521, &err), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.n_tokens, n);
	trit_shards_read(&s, n - 8, 8, out);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(out[i], mixed(n - 8 + i));
	trit_shards_close(&s);
	assert_int_equal(trit_shards_open(&s, "shards", "two", 65520, &err), TRIT_ERR_FORMAT); /* one token too large */
	assert_non_null(strstr(err.message, "vocabulary"));
	write_tokens("two", 65521, 10, mixed);
	assert_int_equal(scratch_count("shards", "two-"), 1);
	scratch_write("shards/two-00000.safetensors", 20, "no safetensors at all");
	assert_int_equal(trit_shards_open(&s, "shards", "two", 65521, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "shards/two-00000.safetensors"));
	assert_int_equal(trit_shards_open(&s, "shards", "three", 9, &err), TRIT_ERR_IO);
	write_tokens("none", 9, 0, mixed);
	assert_int_equal(trit_shards_open(&s, "shards", "none", 9, &err), 0);
	assert_int_equal(s.n_tokens, 0);
	trit_shards_close(&s);
}

static bool every_third(size_t i)
{
	return i % 3 == 0;
}

static bool all_but_first(size_t i)
{
	return i > 0;
}

/* A mask is read across the border of two shards, of which only the first has one. */
static void test_masks(void **state)
{
	size_t n = TRIT_SHARD_TOKENS + 5;
	struct trit_shards s;
	float loss[8];

	(void)state;
	write_shards("mask", 65521, n, mixed, all_but_first);
	assert_int_equal(trit_shards_open(&s, "shards", "mask", 65521, &err), 0);
	assert_true(s.masked);
	trit_shards_read_loss(&s, n - 8, 8, loss);
	for (int i = 0; i < 8; i++)
		assert_true(loss[i] == 1);
	trit_shards_read_loss(&s, 0, 2, loss);
	assert_true(loss[0] == 0 && loss[1] == 1);
	trit_shards_close(&s);
	write_tokens("mask", 65521, 100, mixed);
	assert_int_equal(trit_shards_open(&s, "shards", "mask", 65521, &err), 0);
	assert_false(s.masked);
	trit_shards_close(&s);

	/* another shape; a value that is neither 0 nor 1 */
	for (int bad = 0; bad < 2; bad++) {
		struct trit_st_writer *w;
		unsigned char bytes[6] = { 0, 1, 2, 0, 0, 0 };
		uint64_t tokens = 3, masked = bad ? 3 : 2;
		assert_int_equal(trit_st_writer_new(&w, "shards/mask-00000.safetensors", &err), 0);
		assert_int_equal(trit_st_put_tensor(w, "tokens", TRIT_DTYPE_U16, 1, &tokens, &err), 0);
		assert_int_equal(trit_st_put_tensor(w, "loss", TRIT_DTYPE_U8, 1, &masked, &err), 0);
		assert_int_equal(trit_st_begin(w, &err), 0);
		assert_int_equal(trit_st_write(w, 6, bytes, &err), 0);
		assert_int_equal(trit_st_write(w, masked, bytes, &err), 0);
		assert_int_equal(trit_st_commit(w, &err), 0);
		trit_st_writer_free(w);
		assert_int_equal(trit_shards_open(&s, "shards", "mask", 65521, &err), TRIT_ERR_FORMAT);
		assert_non_null(strstr(err.message, bad ? "element 2" : "not U8 [3]"));
	}
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

enum { S = 7, N_TOKENS = 1000 };

static void open_data(struct trit_data *d, size_t n_tokens, uint64_t seed)
{
	write_tokens("train", 2000, n_tokens, count_up);
	write_tokens("val", 2000, 3 * S + 1, count_up);
	if (trit_data_open(d, "shards", 2000, S, seed, &err))
		fail_msg("%s", err.message);
}

/* Tokens are their own positions, so a window tells where it came from. */
static void test_order(void **state)
{
	struct trit_data d;
	trit_token w[S + 1];
	uint64_t first[3];

	(void)state;
	open_data(&d, N_TOKENS, 5);
	assert_int_equal(d.n_windows, 142 - 1); /* 999 / 7, one fewer to leave room for the offset */
	for (uint64_t epoch = 0; epoch < 3; epoch++) {
		bool seen[N_TOKENS] = { false };
		uint64_t offset = N_TOKENS, in_place = 0;
		for (uint64_t i = 0; i < d.n_windows; i++) {
			trit_data_train(&d, epoch * d.n_windows + i, 1, w, NULL);
			for (int j = 1; j <= S; j++)
				assert_int_equal(w[j], w[0] + j);
			assert_true(w[S] < N_TOKENS);
			assert_false(seen[w[0]]);
			seen[w[0]] = true;
			offset = (uint64_t)w[0] < offset ? (uint64_t)w[0] : offset;
			in_place += (uint64_t)w[0] / S == i;
			if (i == 0)
				first[epoch] = (uint64_t)w[0];
		}
		assert_true(offset < S);
		for (uint64_t i = 0; i < d.n_windows; i++)
			assert_true(seen[offset + i * S]); /* every window once */
		assert_true(in_place < 12); /* shuffled: one is expected in its place */
	}
	assert_false(first[0] == first[1] && first[1] == first[2]);

	/* Any window can be had at once, across epochs and backwards. */
	trit_token run[300][S + 1], again[300][S + 1], other[300][S + 1];
	trit_data_train(&d, 0, 300, &run[0][0], NULL);
	for (uint64_t i = 300; i-- > 0;)
		trit_data_train(&d, i, 1, again[i], NULL);
	assert_memory_equal(run, again, sizeof run);
	trit_data_close(&d);
	assert_int_equal(trit_data_open(&d, "shards", 2000, S, 5, &err), 0);
	trit_data_train(&d, 250, 50, again[250], NULL);
	assert_memory_equal(run[250], again[250], 50 * sizeof run[0]);
	trit_data_close(&d);
	assert_int_equal(trit_data_open(&d, "shards", 2000, S, 6, &err), 0); /* another seed: another order */
	trit_data_train(&d, 0, 300, &other[0][0], NULL);
	assert_memory_not_equal(run, other, sizeof run);

	assert_int_equal(d.n_val_windows, 3);
	trit_data_val(&d, 1, 2, &again[0][0], NULL);
	assert_true(again[0][0] == S && again[0][S] == 2 * S && again[1][0] == 2 * S && again[1][S] == 3 * S);
	trit_data_close(&d);
}

/* A weight belongs to the token that is predicted: the window's second and following ones. */
static void test_weights(void **state)
{
	struct trit_data d;
	trit_token w[S + 1];
	float weights[2][S];

	(void)state;
	open_data(&d, N_TOKENS, 5);
	trit_data_close(&d);
	write_shards("train", 2000, N_TOKENS, count_up, every_third);
	assert_int_equal(trit_data_open(&d, "shards", 2000, S, 5, &err), 0);
	for (uint64_t i = 0; i < 2 * d.n_windows; i++) {
		trit_data_train(&d, i, 1, w, weights[0]);
		for (int j = 0; j < S; j++)
			assert_true(weights[0][j] == (w[j + 1] % 3 == 0 ? 1 : 0));
	}
	trit_data_val(&d, 0, 1, w, weights[1]);
	for (int j = 0; j < S; j++)
		assert_true(weights[1][j] == 1);
	trit_data_close(&d);
}

/* The shortest texts: one window, with and without tokens to spare; and too short by one. */
static void test_short_text(void **state)
{
	struct trit_data d;
	trit_token w[S + 1];

	(void)state;
	for (size_t spare = 0; spare < 2 * S - 1; spare++) {
		open_data(&d, S + 1 + spare, 9);
		assert_int_equal(d.n_windows, 1);
		for (uint64_t i = 0; i < 20; i++) {
			trit_data_train(&d, i, 1, w, NULL);
			assert_true(w[0] >= 0 && w[0] < S && w[S] == w[0] + S && w[S] < (trit_token)(S + 1 + spare));
		}
		trit_data_close(&d);
	}
	write_tokens("train", 2000, S, count_up);
	assert_int_equal(trit_data_open(&d, "shards", 2000, S, 1, &err), TRIT_ERR_LIMIT);
	assert_non_null(strstr(err.message, "--seq-len"));
}

/* A permutation of every size, another for another key; of billions in no memory. */
static void test_permutation(void **state)
{
	enum { MOST = 300 };

	(void)state;
	for (uint64_t n = 1; n <= MOST; n++) {
		bool seen[MOST] = { false };
		int same = 0;
		for (uint64_t i = 0; i < n; i++) {
			uint64_t at = trit_order_at(n, 7, i);
			assert_true(at < n);
			assert_false(seen[at]);
			seen[at] = true;
			same += at == trit_order_at(n, 8, i);
		}
		assert_true(n < 100 || same < 20);
	}
	/* Neighbours fall everywhere: the mean of 10000 distances is a third of n, give or take five deviations. */
	uint64_t n = 3000000000000;
	double sum = 0;
	for (uint64_t i = 0; i < 10000; i++) {
		double a = (double)trit_order_at(n, 1, i), b = (double)trit_order_at(n, 1, i + 1);
		sum += a > b ? a - b : b - a;
	}
	assert_true(sum / 10000 > 0.32 * (double)n && sum / 10000 < 0.347 * (double)n);
	/* Of three elements each order comes about as often as the others. */
	int count[27] = { 0 };
	for (uint64_t key = 0; key < 6000; key++)
		count[9 * trit_order_at(3, key, 0) + 3 * trit_order_at(3, key, 1) + trit_order_at(3, key, 2)]++;
	for (int i = 0; i < 27; i++)
		assert_true(count[i] == 0 || (count[i] > 800 && count[i] < 1200));
}

/* Tokens tell which source they are of, and where. */
static trit_token second(size_t i)
{
	return (trit_token)(1000 + i);
}

static void write_source(const char *dir, size_t n_tokens, trit_token (*token)(size_t i))
{
	write_tokens("train", 2000, n_tokens, token);
	write_tokens("val", 2000, 3 * S + 1, token);
	assert_int_equal(trit_make_dirs(dir, &err), 0);
	for (int val = 0; val < 2; val++) {
		char to[64];
		snprintf(to, sizeof to, "%s/%s-00000.safetensors", dir, val ? "val" : "train");
		assert_int_equal(rename(val ? "shards/val-00000.safetensors" : "shards/train-00000.safetensors", to), 0);
	}
}

/* Each source has exactly its share of every block, goes through all of its windows before it begins again, and any
 * window can be had by itself. Without weights there is one list of windows. */
static void test_mix(void **state)
{
	struct trit_data_source sources[2] = { { "mix-a", 3 }, { "mix-b", 1 } };
	struct trit_data d;
	trit_token w[S + 1], again[S + 1];
	int count[2] = { 0 }, seen[2000] = { 0 };

	(void)state;
	write_source("mix-a", 800, count_up);
	write_source("mix-b", 300, second);
	assert_int_equal(trit_data_open_mix(&d, 2, sources, 2000, S, 3, &err), 0);
	assert_int_equal(d.n_windows, 113 + 41);
	assert_int_equal(d.n_val_windows, 6);
	for (uint64_t i = 0; i < TRIT_MIX_BLOCK; i++) {
		trit_data_train(&d, i, 1, w, NULL);
		assert_int_equal(w[S], w[0] + S); /* no window reaches from one source into the other */
		count[w[0] >= 1000]++;
		seen[w[0]]++;
	}
	assert_int_equal(count[0], TRIT_MIX_BLOCK * 3 / 4);
	assert_int_equal(count[1], TRIT_MIX_BLOCK / 4);
	for (uint64_t i = 5 * TRIT_MIX_BLOCK; i-- > 5 * TRIT_MIX_BLOCK - 50;) {
		trit_data_train(&d, i, 1, w, NULL);
		trit_data_train(&d, i - 50, 1, again, NULL);
		assert_memory_not_equal(w, again, sizeof w);
		trit_data_train(&d, i, 1, again, NULL);
		assert_memory_equal(w, again, sizeof w);
	}
	bool val[2] = { false };
	for (uint64_t i = 0; i < 3; i++) {
		trit_data_val(&d, i, 1, w, NULL);
		val[w[0] >= 1000] = true;
	}
	assert_true(val[0] && val[1]); /* both are there early */
	trit_data_close(&d);

	/* The small source's 41 windows come 2048 / 41 = 49.95 times each: 49 or 50, spread over offsets. */
	int in_place[41] = { 0 };
	assert_int_equal(trit_data_open_mix(&d, 2, sources, 2000, S, 3, &err), 0);
	for (uint64_t i = 0; i < TRIT_MIX_BLOCK; i++) {
		trit_data_train(&d, i, 1, w, NULL);
		if (w[0] >= 1000)
			in_place[(w[0] - 1000) / S]++;
	}
	for (int i = 0; i < 41; i++)
		assert_true(in_place[i] == 49 || in_place[i] == 50);
	trit_data_close(&d);

	sources[0].weight = sources[1].weight = 0;
	assert_int_equal(trit_data_open_mix(&d, 2, sources, 2000, S, 3, &err), 0);
	memset(seen, 0, sizeof seen);
	for (uint64_t i = 0; i < d.n_windows; i++) {
		trit_data_train(&d, i, 1, w, NULL);
		assert_int_equal(seen[w[0]]++, 0);
	}
	trit_data_close(&d);
	sources[0].weight = 1;
	assert_int_equal(trit_data_open_mix(&d, 2, sources, 2000, S, 3, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "weight"));
}

/* A token beyond the vocabulary in a shard that promised otherwise: the window has none of it, and it is told. */
static void test_damaged(void **state)
{
	struct trit_data d;
	trit_token w[S + 1];
	size_t len;

	(void)state;
	open_data(&d, S + 1, 1);
	trit_data_close(&d);
	char *bytes = scratch_read("shards/train-00000.safetensors", &len);
	memset(bytes + len - 4, 0xff, 2);
	scratch_write("shards/train-00000.safetensors", len, bytes);
	trit_free(bytes);
	assert_int_equal(trit_data_open(&d, "shards", 2000, S, 1, &err), 0);
	assert_int_equal(trit_data_check(&d, &err), 0);
	trit_data_train(&d, 0, 1, w, NULL);
	assert_true(w[S - 1] == 0 && w[S] == S);
	assert_int_equal(trit_data_check(&d, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "damaged"));
	trit_data_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),  cmocka_unit_test(test_threads),    cmocka_unit_test(test_files),
		cmocka_unit_test(test_preparing),  cmocka_unit_test(test_stopping),   cmocka_unit_test(test_widths),
		cmocka_unit_test(test_two_shards), cmocka_unit_test(test_masks),      cmocka_unit_test(test_order),
		cmocka_unit_test(test_weights),    cmocka_unit_test(test_short_text),
		cmocka_unit_test(test_permutation), cmocka_unit_test(test_mix),      cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
