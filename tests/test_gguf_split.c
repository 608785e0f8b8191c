/*
 * test_gguf_split.c - models in several GGUF files: those that the Python package gguf wrote (tests/reference/
 * make_type_golden.py), with parts missing, misnamed and damaged.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <stdio.h>
#include <string.h>

#include "format_helpers.h"

#include "format/gguf_split.h"
#include "scratch.h"

static struct trit_error err;

static const char *part_name(int no)
{
	static char name[32];

	snprintf(name, sizeof name, "m-%05d-of-00003.gguf", no);
	return name;
}

/* Copies of all parts into the current directory. */
static void copy_parts(void)
{
	for (int no = 1; no <= 3; no++) {
		struct trit_map map;
		char path[256];

		snprintf(path, sizeof path, "%s/format/split-%05d-of-00003.gguf", TRIT_TEST_DATA, no);
		assert_int_equal(trit_map_open(&map, path, &err), 0);
		scratch_write(part_name(no), map.size, map.data);
		trit_map_close(&map);
	}
}

static void check_whole(const char *path)
{
	static const char *const names[] = { "a", "b", "c" };
	struct trit_gguf g;
	uint64_t number = 0;

	assert_int_equal(trit_gguf_open(&g, path, &err), 0);
	assert_int_equal(g.n_tensors, 3);
	assert_int_equal(trit_gguf_get_u64(&g, "golden.number", 100, &number, &err), 0);
	assert_int_equal(number, 7);
	assert_true(trit_gguf_file_bytes(&g) > 3 * 64);
	for (unsigned i = 0; i < 3; i++) {
		const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&g, names[i]);

		assert_non_null(t);
		assert_int_equal(t->dims[0], i + 1);
		for (unsigned e = 0; e <= i; e++)
			assert_true(trit_f32_from_bits(trit_get32(t->data + 4 * e)) == (float)(i + 1));
	}
	assert_null(trit_gguf_find_tensor(&g, "d"));
	trit_gguf_close(&g);
}

static void check_fails(const char *path, int status, const char *part)
{
	struct trit_gguf g;
	int e = trit_gguf_open(&g, path, &err);

	check_error(e, (enum trit_status)status, &err, part);
	assert_int_equal(g.n_tensors, 0);
}

static void test_any_part(void **state)
{
	(void)state;
	copy_parts();
	for (int no = 1; no <= 3; no++)
		check_whole(part_name(no));
}

static void test_is_part(void **state)
{
	(void)state;
	copy_parts();
	assert_true(trit_gguf_is_part("./m-00002-of-00003.gguf", "m-00001-of-00003.gguf", 3));
	assert_true(trit_gguf_is_part("m-00001-of-00003.gguf", "m-00001-of-00003.gguf", 3));
	assert_false(trit_gguf_is_part("m-00002-of-00003.gguf", "m-00001-of-00003.gguf", 1));
	assert_false(trit_gguf_is_part("m-00002-of-00003.gguf", "m.gguf", 3));
	assert_false(trit_gguf_is_part("none.gguf", "m-00001-of-00003.gguf", 3));
}

static void test_missing(void **state)
{
	(void)state;
	copy_parts();
	unlink(part_name(2));
	check_fails(part_name(1), TRIT_ERR_IO, "m-00001-of-00003.gguf: 1 of the model's 3 parts is not beside it: "
	                                       "m-00002-of-00003.gguf");
	unlink(part_name(1));
	check_fails(part_name(3), TRIT_ERR_IO, "2 of the model's 3 parts are not beside it: m-00001-of-00003.gguf, "
	                                       "m-00002-of-00003.gguf");
}

static void test_wrong_parts(void **state)
{
	(void)state;
	copy_parts();
	assert_int_equal(rename(part_name(1), "whole.gguf"), 0);
	check_fails("whole.gguf", TRIT_ERR_FORMAT, "whole.gguf: part 1 of 3 of a model; its name must end in "
	                                           "-00001-of-00003.gguf");
	copy_parts();
	size_t len;
	char *bytes = scratch_read(part_name(3), &len);
	scratch_write(part_name(2), len, bytes);
	check_fails(part_name(1), TRIT_ERR_FORMAT, "m-00002-of-00003.gguf: by its keys it is not part 2 of 3");
	scratch_write(part_name(2), len / 2, bytes);
	check_fails(part_name(3), TRIT_ERR_FORMAT, "m-00002-of-00003.gguf: ");
	trit_free(bytes);
}

/* Two parts with a tensor of the same name. */
static void test_twice(void **state)
{
	size_t len;
	(void)state;

	copy_parts();
	char *bytes = scratch_read(part_name(2), &len);
	for (size_t i = 0; i + 9 < len; i++)
		if (memcmp(bytes + i, "\1\0\0\0\0\0\0\0b", 9) == 0)
			bytes[i + 8] = 'a';
	scratch_write(part_name(2), len, bytes);
	trit_free(bytes);
	check_fails(part_name(1), TRIT_ERR_FORMAT, "m-00001-of-00003.gguf: tensor a is there twice");
}

static void test_out_of_memory(void **state)
{
	struct trit_gguf g;
	int e = -1, failures = 0;
	(void)state;

	copy_parts();
	for (uint64_t n = 1; e < 0; n++, failures++) {
		trit_mem_fail_after(n);
		e = trit_gguf_open(&g, part_name(2), &err);
		trit_mem_fail_after(0);
		assert_true(e == 0 || e == TRIT_ERR_MEMORY);
	}
	assert_true(failures > 10);
	trit_gguf_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_part),
		cmocka_unit_test(test_is_part), cmocka_unit_test(test_missing),       cmocka_unit_test(test_wrong_parts),
		cmocka_unit_test(test_twice),    cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
