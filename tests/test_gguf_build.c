/*
 * test_gguf_build.c - a struct trit_gguf made in memory reads like one of a file; notes.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "format_helpers.h"

#include "base/notes.h"
#include "format/gguf_build.h"

static void test_keys(void **state)
{
	struct trit_gguf_build b = { 0 };
	struct trit_gguf g;
	struct trit_error err;
	const char *text;
	size_t len;
	uint64_t u;
	double d;
	bool yes = false;
	unsigned char numbers[8];

	(void)state;
	trit_put32(numbers, 7);
	trit_put32(numbers + 4, 9);
	trit_gguf_build_u32(&b, "a.count", 4000000000u);
	trit_gguf_build_f32(&b, "a.base", 1.5f);
	trit_gguf_build_bool(&b, "a.flag", true);
	trit_gguf_build_string(&b, "a.name", 5, "hello");
	trit_gguf_build_string(&b, "a.empty", 0, "");
	trit_gguf_build_array(&b, "a.list", TRIT_GGUF_U32, 2, numbers);
	assert_true(trit_gguf_build_has_key(&b, "a.name"));
	assert_false(trit_gguf_build_has_key(&b, "a.nam"));
	assert_int_equal(trit_gguf_build_finish(&b, &g, &err), 0);

	assert_int_equal(g.n_keys, 6);
	assert_int_equal(trit_gguf_get_u64(&g, "a.count", UINT64_MAX, &u, &err), 0);
	assert_int_equal(u, 4000000000u);
	assert_int_equal(trit_gguf_get_f64(&g, "a.base", &d, &err), 0);
	assert_true(d == 1.5);
	assert_int_equal(trit_gguf_get_bool(&g, "a.flag", &yes, &err), 0);
	assert_true(yes);
	assert_int_equal(trit_gguf_get_string(&g, "a.name", &text, &len, &err), 0);
	assert_true(len == 5 && memcmp(text, "hello", 5) == 0);
	assert_int_equal(trit_gguf_get_string(&g, "a.empty", &text, &len, &err), 0);
	assert_int_equal(len, 0);
	assert_true(trit_gguf_array_number(trit_gguf_find_key(&g, "a.list"), 1) == 9);
	assert_null(trit_gguf_find_key(&g, "a"));
	trit_gguf_close(&g);
}

/* Keys of a file, copied, are the file's to the byte. */
static void test_copied_keys(void **state)
{
	struct trit_gguf_build b = { 0 };
	struct trit_gguf from, g;
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_gguf_open(&from, TRIT_TEST_DATA "/format/golden.gguf", &err), 0);
	for (uint64_t i = 0; i < from.n_keys; i++)
		trit_gguf_build_key(&b, &from.keys[i]);
	assert_int_equal(trit_gguf_build_finish(&b, &g, &err), 0);
	assert_int_equal(g.n_keys, from.n_keys);
	for (uint64_t i = 0; i < g.n_keys; i++) {
		const struct trit_gguf_key *x = &g.keys[i], *y = &from.keys[i];

		assert_int_equal(x->type, y->type);
		assert_int_equal(x->n, y->n);
		assert_int_equal(trit_gguf_value_bytes(x), trit_gguf_value_bytes(y));
		assert_memory_equal(x->value, y->value, trit_gguf_value_bytes(y));
		assert_ptr_not_equal(x->value, y->value);
	}
	trit_gguf_close(&g);
	trit_gguf_close(&from);
}

/* Many tensors, so that all lists grow, and a block larger than a block. */
static void test_tensors(void **state)
{
	static const float outside[6] = { 1, 2, 3, 4, 5, 6 };
	struct trit_gguf_build b = { 0 };
	struct trit_gguf g;
	struct trit_error err;
	float *own = trit_gguf_build_take(&b, 30000, sizeof(float));
	char name[32];

	(void)state;
	assert_non_null(own);
	assert_true((uintptr_t)own % 64 == 0 && own[29999] == 0);
	own[29999] = 8;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "blk.%d.x.weight", i);
		assert_non_null(trit_gguf_build_tensor(&b, name, TRIT_GGML_F32, 2, (uint64_t[]){ 3, 2 },
		                                       (const unsigned char *)outside));
	}
	trit_gguf_build_tensor(&b, "own", TRIT_GGML_F32, 1, (uint64_t[]){ 30000 }, (unsigned char *)own);
	assert_int_equal(trit_gguf_build_finish(&b, &g, &err), 0);

	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&g, "blk.417.x.weight");
	assert_non_null(t);
	assert_ptr_equal(t->data, outside);
	assert_int_equal(t->bytes, 24);
	assert_true(t->dims[0] == 3 && t->dims[1] == 2 && t->dims[2] == 1 && t->dims[3] == 1);
	assert_false(t->built);
	t = trit_gguf_find_tensor(&g, "own");
	trit_gguf_forget(t, 0, (size_t)t->bytes); /* what is in no file stays */
	assert_true(((const float *)(const void *)t->data)[29999] == 8);
	assert_int_equal(g.n_tensors, 501);
	trit_gguf_close(&g);
	assert_int_equal(g.n_tensors, 0);
}

static void test_errors(void **state)
{
	struct trit_gguf_build b = { 0 };
	struct trit_gguf g = { 0 };
	struct trit_error err;
	uint64_t huge[2] = { UINT64_C(1) << 62, 8 }, none[1] = { 0 };

	(void)state;
	trit_gguf_build_u32(&b, "twice", 1);
	trit_gguf_build_u32(&b, "twice", 1);
	check_error(trit_gguf_build_finish(&b, &g, &err), TRIT_ERR_FORMAT, &err, "twice");
	assert_null(trit_gguf_build_tensor(&b, "big", TRIT_GGML_F32, 2, huge, NULL));
	assert_null(trit_gguf_build_tensor(&b, "other", TRIT_GGML_F32, 1, none, NULL)); /* the first error stays */
	check_error(trit_gguf_build_finish(&b, &g, &err), TRIT_ERR_ARG, &err, "tensor big: ");
	assert_null(trit_gguf_build_tensor(&b, "empty", TRIT_GGML_F32, 1, none, NULL));
	check_error(trit_gguf_build_finish(&b, &g, &err), TRIT_ERR_FORMAT, &err, "tensor empty: ");
	assert_null(trit_gguf_build_take(&b, SIZE_MAX / 2, 4));
	check_error(trit_gguf_build_finish(&b, &g, &err), TRIT_ERR_MEMORY, &err, "memory");
	for (uint64_t n = 1; n < 20; n++) {
		int status;

		trit_mem_fail_after(n);
		trit_gguf_build_string(&b, "name", 4, "text");
		trit_gguf_build_tensor(&b, "t", TRIT_GGML_F32, 1, (uint64_t[]){ 1 }, (const unsigned char *)"\0\0\0");
		status = trit_gguf_build_finish(&b, &g, &err);
		trit_mem_fail_after(0);
		if (status == 0) {
			trit_gguf_close(&g);
			return;
		}
		check_error(status, TRIT_ERR_MEMORY, &err, "memory");
	}
	fail_msg("it never succeeded");
}

static void test_notes(void **state)
{
	struct trit_notes notes = { 0 };

	(void)state;
	trit_note(NULL, TRIT_NOTE_WARNING, "nobody listens");
	trit_note(&notes, TRIT_NOTE_FOUND, "a %s\nwith a line", "text");
	trit_note(&notes, TRIT_NOTE_FOUND, "a %s\nwith a line", "text");
	trit_note(&notes, TRIT_NOTE_ASSUMED, "a %s\nwith a line", "text");
	assert_int_equal(notes.n, 2); /* the same line once */
	assert_string_equal(notes.lines[0].text, "a text?with a line");
	assert_string_equal(trit_note_kind_name(notes.lines[1].kind), "assumed");
	for (int i = 0; i < 2 * TRIT_MAX_NOTES; i++)
		trit_note(&notes, TRIT_NOTE_WARNING, "line %d", i);
	assert_int_equal(notes.n, TRIT_MAX_NOTES);
	assert_int_equal(notes.left_out, TRIT_MAX_NOTES + 2);
	trit_notes_release(&notes);
	trit_mem_fail_after(1);
	trit_note(&notes, TRIT_NOTE_FOUND, "no room");
	trit_mem_fail_after(0);
	assert_true(notes.n == 0 && notes.left_out == 1);
	trit_notes_release(&notes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),    cmocka_unit_test(test_copied_keys), cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_errors),  cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
