/*
 * test_gguf_writer.c - writing GGUF files and their vocabulary, read back; what failures leave behind: nothing.
 *
 * tests/reference/check_gguf_interop.py reads such a file with llama.cpp's gguf package.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "format_helpers.h"

#include "format/gguf_vocab.h"

#define FILE_NAME "written.gguf"

static char scratch[] = "test_gguf_writer.XXXXXX";

static const uint64_t dims3[3] = { 4, 3, 2 }, dims2[2] = { 256, 2 }, dims1[1] = { 1 };

/* Keys of all kinds and three tensors; the data in pieces that end inside tensors. Stops at the first error. */
static int write_file(const char *path, const struct trit_gguf_key *copied, struct trit_error *err)
{
	static const int32_t numbers[3] = { -1, 0, 1 << 30 };
	struct trit_gguf_writer *w = NULL;
	unsigned char data[96 + 132 + 4];
	int status = trit_gguf_writer_new(&w, path, err);

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 7);
	if (status == 0)
		status = trit_gguf_put_string(w, "general.architecture", 6, "bitnet", err);
	if (status == 0)
		status = trit_gguf_put_u32(w, "u32", 3000000000, err);
	if (status == 0)
		status = trit_gguf_put_f32(w, "f32", 1e-5f, err);
	if (status == 0)
		status = trit_gguf_put_bool(w, "yes", true, err);
	if (status == 0)
		status = trit_gguf_put_array(w, "i32s", TRIT_GGUF_I32, 3, numbers, err);
	if (status == 0)
		status = trit_gguf_put_strings(w, "strings", 2, err);
	if (status == 0)
		status = trit_gguf_put_strings_item(w, 3, "a\0b", err);
	if (status == 0)
		status = trit_gguf_put_strings_item(w, 0, NULL, err);
	if (status == 0 && copied)
		status = trit_gguf_put_key(w, copied, err);
	if (status == 0)
		status = trit_gguf_put_tensor(w, "three", TRIT_GGML_F32, 3, dims3, err);
	if (status == 0)
		status = trit_gguf_put_tensor(w, "two", TRIT_GGML_TQ2_0, 2, dims2, err);
	if (status == 0)
		status = trit_gguf_put_tensor(w, "one", TRIT_GGML_F32, 1, dims1, err);
	if (status == 0)
		status = trit_gguf_write_data(w, 50, data, err);
	if (status == 0)
		status = trit_gguf_write_data(w, 0, NULL, err);
	if (status == 0)
		status = trit_gguf_write_data(w, sizeof data - 50, data + 50, err);
	if (status == 0)
		status = trit_gguf_writer_commit(w, err);
	trit_gguf_writer_free(w);
	return status;
}

static void check_file(const struct trit_gguf *g)
{
	static const char *const names[] = { "three", "two", "one" };
	const struct trit_gguf_key *k = trit_gguf_find_key(g, "i32s");
	struct trit_error err;
	size_t byte = 0, len;
	uint64_t u;
	double d;
	bool yes;
	const char *text;
	const unsigned char *at;

	assert_int_equal(g->version, 3);
	assert_int_equal(g->n_tensors, 3);
	assert_memory_equal(g->keys[0].name, "general.architecture", g->keys[0].name_len);
	assert_int_equal(trit_gguf_get_u64(g, "u32", UINT32_MAX, &u, &err), 0);
	assert_true(u == 3000000000);
	assert_int_equal(trit_gguf_get_f64(g, "f32", &d, &err), 0);
	assert_true(d == (double)1e-5f);
	assert_int_equal(trit_gguf_get_bool(g, "yes", &yes, &err), 0);
	assert_true(yes);
	assert_int_equal(k->n, 3);
	assert_true(trit_gguf_array_number(k, 0) == -1 && trit_gguf_array_number(k, 2) == 1 << 30);
	at = trit_gguf_find_key(g, "strings")->value;
	trit_gguf_next_string(&at, &text, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(text, "a\0b", 3);
	trit_gguf_next_string(&at, &text, &len);
	assert_int_equal(len, 0);
	for (size_t i = 0; i < 3; i++) {
		const struct trit_gguf_tensor *t = &g->tensors[i];

		assert_string_equal(t->name, names[i]);
		assert_int_equal(t->offset % 32, 0);
		for (uint64_t b = 0; b < t->bytes; b++)
			assert_int_equal(t->data[b], (unsigned char)(byte++ * 7));
	}
	assert_int_equal(byte, 96 + 132 + 4);
	assert_true(g->tensors[0].dims[0] == 4 && g->tensors[0].dims[1] == 3 && g->tensors[0].dims[2] == 2);
}

static void test_round_trip(void **state)
{
	struct trit_error err;
	struct trit_gguf g;
	(void)state;

	assert_int_equal(write_file(FILE_NAME, NULL, &err), 0);
	assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
	assert_int_equal(g.n_keys, 6);
	assert_int_equal(g.map.size % 32, 0);
	check_file(&g);
	trit_gguf_close(&g);
	assert_int_equal(count_files(true), 1);
}

/* A packed tensor between others, in a file aligned to 64. */
static void test_alignment(void **state)
{
	const uint64_t packed[2] = { 20, 17 }; /* two blocks of a group, and the scale */
	struct trit_gguf_writer *w;
	struct trit_error err;
	struct trit_gguf g;
	unsigned char data[4 + 132];
	(void)state;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 7 + 1);
	assert_int_equal(trit_gguf_writer_new(&w, FILE_NAME, &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.architecture", 6, "bitnet", &err), 0);
	assert_int_equal(trit_gguf_put_alignment(w, 64, &err), 0);
	assert_int_equal(trit_gguf_put_tensor(w, "one", TRIT_GGML_F32, 1, dims1, &err), 0);
	assert_int_equal(trit_gguf_put_tensor(w, "packed", TRIT_GGML_PACKED_TYPE(1, 0), 2, packed, &err), 0);
	assert_int_equal(trit_gguf_write_data(w, sizeof data, data, &err), 0);
	assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
	trit_gguf_writer_free(w);
	assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
	assert_int_equal(g.alignment, 64);
	assert_int_equal(g.map.size % 64, 0);
	assert_int_equal(g.tensors[1].offset % 64, 0);
	assert_int_equal(g.tensors[1].bytes, 132);
	assert_memory_equal(g.tensors[0].data, data, 4);
	assert_memory_equal(g.tensors[1].data, data + 4, 132);
	trit_gguf_close(&g);
}

/* "There is none" is written, and read as that. */
static void test_no_vocab(void **state)
{
	struct trit_gguf_writer *w;
	struct trit_error err;
	struct trit_vocab v;
	struct trit_gguf g;
	(void)state;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(trit_gguf_writer_new(&w, FILE_NAME, &err), 0);
		assert_int_equal(trit_gguf_put_string(w, "general.architecture", 6, "bitnet", &err), 0);
		if (i == 1)
			assert_int_equal(trit_gguf_put_vocab(w, NULL, &err), 0);
		else if (i == 2) /* as llama.cpp says it */
			assert_int_equal(trit_gguf_put_string(w, "tokenizer.ggml.model", 4, "none", &err), 0);
		assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
		trit_gguf_writer_free(w);
		assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
		assert_false(trit_gguf_has_vocab(&g));
		assert_true(trit_gguf_read_vocab(&g, &v, &err) < 0);
		trit_gguf_close(&g);
	}
}

/* Every key of another program's file comes out byte by byte, but not general.alignment. */
static void test_copied_keys(void **state)
{
	struct trit_error err;
	struct trit_gguf from, to;
	struct trit_gguf_key alignment = { .name = "general.alignment", .name_len = 17, .type = TRIT_GGUF_U32, .n = 1,
		                           .value = (const unsigned char *)"\x40\0\0\0" };
	(void)state;

	assert_int_equal(trit_gguf_open(&from, TRIT_TEST_DATA "/format/golden.gguf", &err), 0);
	for (uint64_t i = 1; i < from.n_keys; i++) {
		const struct trit_gguf_key *k = &from.keys[i], *copy;
		const unsigned char *end = i + 1 < from.n_keys ? (const unsigned char *)from.keys[i + 1].name - 8
		                                               : NULL;

		assert_int_equal(write_file(FILE_NAME, k, &err), 0);
		assert_int_equal(trit_gguf_open(&to, FILE_NAME, &err), 0);
		copy = &to.keys[6];
		assert_int_equal(copy->name_len, k->name_len);
		assert_memory_equal(copy->name, k->name, k->name_len);
		assert_int_equal(copy->type, k->type);
		assert_int_equal(copy->element_type, k->element_type);
		assert_int_equal(copy->n, k->n);
		if (end)
			assert_memory_equal(copy->value, k->value, end - k->value);
		check_file(&to);
		trit_gguf_close(&to);
	}
	trit_gguf_close(&from);
	assert_int_equal(write_file(FILE_NAME, &alignment, &err), 0);
	assert_int_equal(trit_gguf_open(&to, FILE_NAME, &err), 0);
	assert_int_equal(to.n_keys, 6);
	trit_gguf_close(&to);
	count_files(true);
}

/* Another program's file, key by key and tensor by tensor, comes out as the same bytes. */
static void test_golden_copy(void **state)
{
	struct trit_gguf_writer *w;
	struct trit_error err;
	struct trit_gguf from;
	struct trit_map copy;
	(void)state;

	assert_int_equal(trit_gguf_open(&from, TRIT_TEST_DATA "/format/golden.gguf", &err), 0);
	assert_int_equal(trit_gguf_writer_new(&w, FILE_NAME, &err), 0);
	for (uint64_t i = 0; i < from.n_keys; i++)
		assert_int_equal(trit_gguf_put_key(w, &from.keys[i], &err), 0);
	for (uint64_t i = 0; i < from.n_tensors; i++) {
		const struct trit_gguf_tensor *t = &from.tensors[i];

		assert_int_equal(trit_gguf_put_tensor(w, t->name, t->type, t->n_dims, t->dims, &err), 0);
	}
	for (uint64_t i = 0; i < from.n_tensors; i++)
		assert_int_equal(trit_gguf_write_data(w, (size_t)from.tensors[i].bytes, from.tensors[i].data, &err), 0);
	assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
	trit_gguf_writer_free(w);
	assert_int_equal(trit_map_open(&copy, FILE_NAME, &err), 0);
	assert_int_equal(copy.size, from.map.size);
	assert_memory_equal(copy.data, from.map.data, copy.size);
	trit_map_close(&copy);
	trit_gguf_close(&from);
	count_files(true);
}

static void test_many_tensors(void **state)
{
	enum { N = 10000 };
	struct trit_gguf_writer *w;
	struct trit_error err;
	struct trit_gguf g;
	unsigned char word[4];
	char name[64];
	(void)state;

	assert_int_equal(trit_gguf_writer_new(&w, FILE_NAME, &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.architecture", 1, "x", &err), 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "blk.%d.ffn_down_shexp.weight", i);
		assert_int_equal(trit_gguf_put_tensor(w, name, TRIT_GGML_F32, 1, dims1, &err), 0);
	}
	for (int i = 0; i < N; i++) {
		trit_put32(word, (uint32_t)i);
		assert_int_equal(trit_gguf_write_data(w, 4, word, &err), 0);
	}
	assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
	trit_gguf_writer_free(w);
	assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "blk.%d.ffn_down_shexp.weight", i);
		assert_int_equal(trit_get32(trit_gguf_find_tensor(&g, name)->data), i);
	}
	trit_gguf_close(&g);
	count_files(true);
}

static struct trit_gguf_writer *new_writer(void)
{
	struct trit_gguf_writer *w = NULL;
	struct trit_error err;

	assert_int_equal(trit_gguf_writer_new(&w, FILE_NAME, &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.architecture", 1, "x", &err), 0);
	return w;
}

static void test_misuse(void **state)
{
	static const uint64_t dims[2] = { 100, 2 }, huge[2] = { (uint64_t)1 << 62, 8 };
	struct trit_gguf_writer *w = new_writer();
	struct trit_error err;
	char long_name[65];
	(void)state;

	memset(long_name, 'x', 64);
	long_name[64] = 0;
	check_error(trit_gguf_put_u32(w, "general.architecture", 1, &err), TRIT_ERR_ARG, &err,
	            "key 'general.architecture' is given twice");
	check_error(trit_gguf_put_u32(w, "", 1, &err), TRIT_ERR_ARG, &err, "a name of 0 bytes");
	check_error(trit_gguf_put_tensor(w, "t", TRIT_GGML_TQ1_0, 2, dims, &err), TRIT_ERR_ARG, &err,
	            "tensor t: 100 columns, not a multiple of 256");
	check_error(trit_gguf_put_tensor(w, "t", TRIT_GGML_F32, 2, huge, &err), TRIT_ERR_ARG, &err, "tensor t: ");
	check_error(trit_gguf_put_tensor(w, "t", 37, 1, dims1, &err), TRIT_ERR_ARG, &err, "tensor t: type 37 (I8_S");
	check_error(trit_gguf_put_tensor(w, long_name, TRIT_GGML_F32, 1, dims1, &err), TRIT_ERR_ARG, &err, "64 bytes");
	assert_int_equal(trit_gguf_put_tensor(w, "t", TRIT_GGML_F32, 1, dims1, &err), 0);
	check_error(trit_gguf_put_tensor(w, "t", TRIT_GGML_F32, 1, dims1, &err), TRIT_ERR_ARG, &err,
	            "tensor 't' is given twice");
	assert_int_equal(trit_gguf_write_data(w, 2, "ab", &err), 0);
	check_error(trit_gguf_writer_commit(w, &err), TRIT_ERR_ARG, &err, "tensor t: only 2 of its 4 bytes");
	check_error(trit_gguf_write_data(w, 3, "abc", &err), TRIT_ERR_ARG, &err,
	            "1 bytes of data beyond the last tensor");
	trit_gguf_writer_free(w);
	trit_gguf_writer_free(NULL);
	assert_int_equal(count_files(false), 0);
}

static void test_disk_errors(void **state)
{
	struct trit_error err;
	struct trit_gguf g;
	(void)state;

	check_error(write_file("/dev/full", NULL, &err), TRIT_ERR_IO, &err, "/dev/full: cannot write");
	check_error(write_file("nowhere/" FILE_NAME, NULL, &err), TRIT_ERR_IO, &err, "nowhere/" FILE_NAME ": ");
	check_error(write_file(".", NULL, &err), TRIT_ERR_IO, &err, "is a directory");
	assert_int_equal(count_files(false), 0);
	/* A writer given up leaves what was there. */
	assert_int_equal(write_file(FILE_NAME, NULL, &err), 0);
	trit_gguf_writer_free(new_writer());
	assert_int_equal(count_files(false), 1);
	assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
	check_file(&g);
	trit_gguf_close(&g);
	count_files(true);
}

static void test_out_of_memory(void **state)
{
	int status = TRIT_ERR_MEMORY, failures = 0;
	(void)state;

	for (uint64_t n = 1; status < 0; n++) {
		struct trit_error err;

		trit_mem_fail_after(n);
		status = write_file(FILE_NAME, NULL, &err);
		trit_mem_fail_after(0);
		if (status < 0) {
			check_error(status, TRIT_ERR_MEMORY, &err, "not enough memory");
			assert_int_equal(count_files(false), 0);
			failures++;
		}
	}
	assert_int_equal(failures, 4 + 7 + 4); /* the writer itself; keys and their list; tensors and theirs */
	assert_int_equal(count_files(true), 1);
}

/* ---- vocabulary ------------------------------------------------------------------------------------------------- */

static void make_vocab(struct trit_vocab *v)
{
	static const char *const texts[] = { "a", "b", "ab", "<|endoftext|>", "<user tag>", "" };
	static const int types[] = { 1, 1, 1, 3, 4, 5 };
	struct trit_error err;

	assert_int_equal(trit_vocab_init(v, "gpt2", "gpt-2", 6, 1, 100, &err), 0);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(
			trit_vocab_set_piece(v, i, strlen(texts[i]), texts[i], (enum trit_token_type)types[i], &err),
			0);
	assert_int_equal(trit_vocab_set_merge(v, 0, 3, "a b", &err), 0);
	v->bos = v->eos = 3;
	v->pad = 5;
	v->add_bos = true;
	v->chat_template = trit_strndup("{{ x }}", 7);
	v->scores = trit_calloc(6, sizeof *v->scores);
	v->scores[2] = -2.5f;
}

/* Writes a file with only the vocabulary. */
static int write_vocab(const struct trit_vocab *v, struct trit_error *err)
{
	struct trit_gguf_writer *w;
	int status = trit_gguf_writer_new(&w, FILE_NAME, err);

	if (status < 0)
		return status;
	status = trit_gguf_put_string(w, "general.architecture", 1, "x", err);
	if (status == 0)
		status = trit_gguf_put_vocab(w, v, err);
	if (status == 0)
		status = trit_gguf_writer_commit(w, err);
	trit_gguf_writer_free(w);
	return status;
}

static void check_same(const struct trit_vocab *a, const struct trit_vocab *b)
{
	assert_string_equal(a->model, b->model);
	assert_string_equal(a->pre, b->pre);
	assert_int_equal(a->n_tokens, b->n_tokens);
	assert_int_equal(a->n_merges, b->n_merges);
	for (int i = 0; i < a->n_tokens; i++) {
		assert_int_equal(a->pieces[i].len, b->pieces[i].len);
		assert_memory_equal(a->pieces[i].text, b->pieces[i].text, a->pieces[i].len);
		assert_int_equal(a->pieces[i].type, b->pieces[i].type);
		assert_true(!a->scores == !b->scores && (!a->scores || a->scores[i] == b->scores[i]));
	}
	for (int i = 0; i < a->n_merges; i++) {
		assert_int_equal(a->merges[i].len, b->merges[i].len);
		assert_memory_equal(a->merges[i].text, b->merges[i].text, a->merges[i].len);
	}
	assert_true(a->bos == b->bos && a->eos == b->eos && a->eot == b->eot && a->unk == b->unk && a->pad == b->pad);
	assert_true(a->add_bos == b->add_bos && a->add_eos == b->add_eos);
	assert_true(!a->chat_template == !b->chat_template);
	if (a->chat_template)
		assert_string_equal(a->chat_template, b->chat_template);
}

static void test_vocab_round_trip(void **state)
{
	struct trit_vocab v, read = { 0 };
	struct trit_error err;
	struct trit_gguf g;
	(void)state;

	make_vocab(&v);
	for (int bare = 0; bare < 2; bare++) {
		if (bare) {
			trit_free(v.scores);
			trit_free(v.chat_template);
			v.scores = NULL;
			v.chat_template = NULL;
			v.bos = v.eos = v.pad = -1;
			v.eot = 2;
			v.unk = 0;
			v.add_bos = false;
			v.add_eos = true;
			v.pre[0] = 0;
		}
		assert_int_equal(write_vocab(&v, &err), 0);
		assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
		assert_int_equal(trit_gguf_read_vocab(&g, &read, &err), 0);
		check_same(&v, &read);
		trit_vocab_release(&read);
		trit_gguf_close(&g);
	}
	trit_vocab_release(&v);
	count_files(true);
}

/* What a vocabulary test writes; zero: the usual thing. */
struct vocab_lie {
	const char *model, *pre, *third; /* third: text of token 2 */
	uint32_t n_types, n_scores, bos;
	int32_t type;
	bool no_tokens, no_merges, no_bos, merges_are_numbers, add_bos_is_number;
};

static int read_lie(const struct vocab_lie *lie, struct trit_vocab *v, struct trit_error *err)
{
	int32_t types[8] = { 1, 1, lie->type ? lie->type : 1, 1, 1, 1, 1, 1 };
	float scores[8] = { 0 };
	const char *model = lie->model ? lie->model : "gpt2", *third = lie->third ? lie->third : "ab";
	struct trit_gguf_writer *w = new_writer();
	struct trit_gguf g;
	int status = 0;

	if (*model)
		status |= trit_gguf_put_string(w, "tokenizer.ggml.model", strlen(model), model, err);
	if (lie->pre)
		status |= trit_gguf_put_string(w, "tokenizer.ggml.pre", strlen(lie->pre), lie->pre, err);
	if (!lie->no_tokens) {
		status |= trit_gguf_put_strings(w, "tokenizer.ggml.tokens", 3, err);
		status |= trit_gguf_put_strings_item(w, 1, "a", err);
		status |= trit_gguf_put_strings_item(w, 1, "b", err);
		status |= trit_gguf_put_strings_item(w, strlen(third), third, err);
	}
	status |= trit_gguf_put_array(w, "tokenizer.ggml.token_type", TRIT_GGUF_I32, lie->n_types ? lie->n_types : 3,
	                              types, err);
	if (lie->n_scores)
		status |= trit_gguf_put_array(w, "tokenizer.ggml.scores", TRIT_GGUF_F32, lie->n_scores, scores, err);
	if (lie->merges_are_numbers) {
		status |= trit_gguf_put_array(w, "tokenizer.ggml.merges", TRIT_GGUF_I32, 3, types, err);
	} else if (!lie->no_merges) {
		status |= trit_gguf_put_strings(w, "tokenizer.ggml.merges", 1, err);
		status |= trit_gguf_put_strings_item(w, 3, "a b", err);
	}
	if (!lie->no_bos)
		status |= trit_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", lie->bos, err);
	if (lie->add_bos_is_number)
		status |= trit_gguf_put_u32(w, "tokenizer.ggml.add_bos_token", 1, err);
	status |= trit_gguf_writer_commit(w, err);
	assert_int_equal(status, 0);
	trit_gguf_writer_free(w);
	assert_int_equal(trit_gguf_open(&g, FILE_NAME, err), 0);
	status = trit_gguf_read_vocab(&g, v, err);
	trit_gguf_close(&g);
	return status;
}

static void test_vocab_lies(void **state)
{
	static const struct {
		struct vocab_lie lie;
		enum trit_status status;
		const char *message;
	} cases[] = {
		{ { .model = "" }, TRIT_ERR_FORMAT, "no key 'tokenizer.ggml.model'" },
		{ { .model = "rwkv" }, TRIT_ERR_UNSUPPORTED, "tokenizer model \"rwkv\"" },
		{ { .model = "a name that is far too long" }, TRIT_ERR_UNSUPPORTED, "\"a name that is far too long\"" },
		{ { .pre = "a pre-tokenizer with a name of 32" }, TRIT_ERR_UNSUPPORTED, "tokenizer.ggml.pre" },
		{ { .no_tokens = true }, TRIT_ERR_FORMAT, "no key 'tokenizer.ggml.tokens'" },
		{ { .no_merges = true }, TRIT_ERR_FORMAT, "no key 'tokenizer.ggml.merges'" },
		{ { .merges_are_numbers = true }, TRIT_ERR_FORMAT, "an array of string is expected" },
		{ { .n_types = 2 }, TRIT_ERR_FORMAT, "'tokenizer.ggml.token_type' has 2 elements for 3 tokens" },
		{ { .n_scores = 4 }, TRIT_ERR_FORMAT, "'tokenizer.ggml.scores' has 4 elements for 3 tokens" },
		{ { .type = 7 }, TRIT_ERR_FORMAT, "element 2: type 7" },
		{ { .type = -1 }, TRIT_ERR_FORMAT, "element 2: type -1" },
		{ { .bos = 3 }, TRIT_ERR_FORMAT, "key 'tokenizer.ggml.bos_token_id' is 3; 0 to 2" },
		{ { .add_bos_is_number = true }, TRIT_ERR_FORMAT, "add_bos_token' is of type u32; bool" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_vocab v = { .n_tokens = 77 };
		struct trit_error err;

		check_error(read_lie(&cases[i].lie, &v, &err), cases[i].status, &err, cases[i].message);
		assert_int_equal(v.n_tokens, 77);
	}
	count_files(true);
}

/* What llama.cpp assumes where files are silent. */
static void test_vocab_defaults(void **state)
{
	static const struct {
		struct vocab_lie lie;
		const char *pre;
		bool add_bos;
	} cases[] = {
		{ { 0 }, "", false },
		{ { .pre = "qwen2" }, "qwen2", false },
		{ { .pre = "llama-bpe" }, "llama-bpe", true },
		{ { .pre = "llama-bpe", .no_bos = true }, "llama-bpe", false },
		{ { .third = "<|begin_of_text|>" }, "llama-bpe", true }, /* the official files of 2B4T */
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_vocab v = { 0 };
		struct trit_error err;

		assert_int_equal(read_lie(&cases[i].lie, &v, &err), 0);
		assert_string_equal(v.pre, cases[i].pre);
		assert_int_equal(v.add_bos, cases[i].add_bos);
		trit_vocab_release(&v);
	}
	count_files(true);
}

static void test_vocab_out_of_memory(void **state)
{
	struct trit_vocab v, read = { 0 };
	struct trit_error err;
	struct trit_gguf g;
	int status = TRIT_ERR_MEMORY, failures = 0;
	(void)state;

	make_vocab(&v);
	for (uint64_t n = 1; status < 0; n++, failures++) {
		trit_mem_fail_after(n);
		status = write_vocab(&v, &err);
		trit_mem_fail_after(0);
		assert_int_equal(count_files(false), status == 0);
	}
	assert_true(failures > 10);
	assert_int_equal(trit_gguf_open(&g, FILE_NAME, &err), 0);
	status = TRIT_ERR_MEMORY;
	failures = 0;
	for (uint64_t n = 1; status < 0; n++, failures++) {
		trit_mem_fail_after(n);
		status = trit_gguf_read_vocab(&g, &read, &err);
		trit_mem_fail_after(0);
		if (status < 0)
			check_error(status, TRIT_ERR_MEMORY, &err, "not enough memory");
	}
	assert_int_equal(failures, 6); /* five allocations and the success */
	check_same(&v, &read);
	trit_vocab_release(&read);
	trit_vocab_release(&v);
	trit_gguf_close(&g);
	count_files(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_no_vocab),
		cmocka_unit_test(test_copied_keys),
		cmocka_unit_test(test_golden_copy),
		cmocka_unit_test(test_many_tensors),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_disk_errors),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_vocab_round_trip),
		cmocka_unit_test(test_vocab_lies),
		cmocka_unit_test(test_vocab_defaults),
		cmocka_unit_test(test_vocab_out_of_memory),
	};
	int failed;

	enter_scratch(scratch);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	leave_scratch(scratch);
	return failed;
}
