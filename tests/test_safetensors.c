/*
 * test_safetensors.c - reading safetensors files (another program's, and many that lie), writing them, what failures
 * leave behind.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "format_helpers.h"

#include "format/safetensors.h"

#define FILE_NAME "written.safetensors"

static char scratch[] = "test_safetensors.XXXXXX";

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static const uint64_t shape23[2] = { 2, 3 }, shape05[2] = { 0, 5 };

/* Two kinds of metadata and five tensors. Stops at the first error. */
static int write_file(const char *path, struct trit_error *err)
{
	struct trit_st_writer *w = NULL;
	unsigned char data[48 + 24 + 4 + 3];
	int status = trit_st_writer_new(&w, path, err);

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 7);
	if (status == 0)
		status = trit_st_put_meta(w, "plain", "value", err);
	if (status == 0)
		status = trit_st_put_tensor(w, "a \"name\"", TRIT_DTYPE_U64, 2, shape23, err);
	if (status == 0)
		status = trit_st_put_tensor(w, "empty", TRIT_DTYPE_F32, 2, shape05, err);
	if (status == 0)
		status = trit_st_put_meta(w, "odd \\ \"", "line\nand\ttab, \x01, Größe, \"\\\"", err);
	if (status == 0)
		status = trit_st_put_tensor(w, "f", TRIT_DTYPE_F32, 2, shape23, err);
	if (status == 0)
		status = trit_st_put_tensor(w, "scalar", TRIT_DTYPE_I32, 0, NULL, err);
	if (status == 0)
		status = trit_st_put_tensor(w, "bytes", TRIT_DTYPE_I8, 1, shape23 + 1, err);
	if (status == 0)
		status = trit_st_begin(w, err);
	if (status == 0)
		status = trit_st_write(w, 50, data, err);
	if (status == 0)
		status = trit_st_write(w, sizeof data - 50, data + 50, err);
	if (status == 0)
		status = trit_st_commit(w, err);
	trit_st_writer_free(w);
	return status;
}

#ifdef TRIT_HAVE_JANSSON

static void check_file(const struct trit_safetensors *s)
{
	static const struct {
		const char *name;
		enum trit_dtype dtype;
		int n_dims;
		uint64_t bytes;
	} tensors[] = {
		{ "a \"name\"", TRIT_DTYPE_U64, 2, 48 }, { "empty", TRIT_DTYPE_F32, 2, 0 },
		{ "f", TRIT_DTYPE_F32, 2, 24 },          { "scalar", TRIT_DTYPE_I32, 0, 4 },
		{ "bytes", TRIT_DTYPE_I8, 1, 3 },
	};
	size_t byte = 0;

	assert_int_equal(s->n_tensors, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct trit_st_tensor *t = &s->tensors[i];

		assert_ptr_equal(trit_safetensors_find(s, tensors[i].name), t);
		assert_string_equal(t->name, tensors[i].name);
		assert_int_equal(t->dtype, tensors[i].dtype);
		assert_int_equal(t->n_dims, tensors[i].n_dims);
		assert_int_equal(t->bytes, tensors[i].bytes);
		assert_int_equal(t->elements * (uint64_t)trit_dtype_bytes(t->dtype), t->bytes);
		assert_int_equal((uintptr_t)t->data % (uintptr_t)trit_dtype_bytes(t->dtype), 0);
		for (uint64_t b = 0; b < t->bytes; b++)
			assert_int_equal(t->data[b], (unsigned char)(byte++ * 7));
	}
	assert_int_equal(s->n_meta, 2);
	assert_string_equal(trit_safetensors_meta(s, "plain"), "value");
	assert_string_equal(trit_safetensors_meta(s, "odd \\ \""), "line\nand\ttab, \x01, Größe, \"\\\"");
	assert_null(trit_safetensors_meta(s, "f"));
	assert_null(trit_safetensors_find(s, "plain"));
	assert_null(trit_safetensors_find(s, ""));
}

static void test_round_trip(void **state)
{
	struct trit_safetensors s;
	struct trit_error err;
	(void)state;

	assert_int_equal(write_file(FILE_NAME, &err), 0);
	assert_int_equal(trit_safetensors_open(&s, FILE_NAME, &err), 0);
	check_file(&s);
	trit_safetensors_close(&s);
	trit_safetensors_close(&s);
	trit_safetensors_close(NULL);
	count_files(true);
}

static void test_nothing_in_it(void **state)
{
	struct trit_st_writer *w;
	struct trit_safetensors s;
	struct trit_error err;
	(void)state;

	for (int meta = 0; meta < 2; meta++) {
		assert_int_equal(trit_st_writer_new(&w, FILE_NAME, &err), 0);
		if (meta)
			assert_int_equal(trit_st_put_meta(w, "only", "", &err), 0);
		assert_int_equal(trit_st_begin(w, &err), 0);
		assert_int_equal(trit_st_commit(w, &err), 0);
		trit_st_writer_free(w);
		assert_int_equal(trit_safetensors_open(&s, FILE_NAME, &err), 0);
		assert_int_equal(s.n_tensors, 0);
		assert_int_equal(s.n_meta, meta);
		trit_safetensors_close(&s);
	}
	count_files(true);
}

/* ---- a file of another program ---------------------------------------------------------------------------------- */

static void test_golden(void **state)
{
	static const int values[6] = { 0, 1, 2, 3, 100, 7 };
	static const char *const names[] = { "f64", "f32", "f16", "i64", "u64", "i32", "u32", "u16", "i8", "u8" };
	struct trit_safetensors s;
	struct trit_error err;
	const struct trit_st_tensor *t;
	(void)state;

	assert_int_equal(trit_safetensors_open(&s, TRIT_TEST_DATA "/format/golden.safetensors", &err), 0);
	assert_int_equal(s.n_tensors, 12);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char lower[8] = "";

		t = trit_safetensors_find(&s, names[i]);
		assert_non_null(t);
		for (size_t c = 0; trit_dtype_name(t->dtype)[c]; c++)
			lower[c] = (char)(trit_dtype_name(t->dtype)[c] | 0x20);
		assert_string_equal(lower, names[i]); /* the letters' case bit; digits have it set already */
		assert_true(t->n_dims == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->shape[2] == 1);
		for (size_t e = 0; e < 6; e++) {
			const unsigned char *p = t->data + e * (size_t)trit_dtype_bytes(t->dtype);
			uint64_t bits = trit_dtype_bytes(t->dtype) == 8 ? trit_get64(p) : 0;
			double d;

			memcpy(&d, &bits, sizeof d);
			if (t->dtype == TRIT_DTYPE_F64)
				assert_true(d == values[e]);
			else if (t->dtype == TRIT_DTYPE_F32)
				assert_true(trit_f32_from_bits(trit_get32(p)) == (float)values[e]);
			else if (t->dtype == TRIT_DTYPE_F16)
				assert_true(trit_f16_to_f32(trit_get16(p)) == (float)values[e]);
			else
				assert_int_equal(p[0], values[e]);
		}
	}
	t = trit_safetensors_find(&s, "scalar");
	assert_true(t->n_dims == 0 && t->elements == 1 && trit_f32_from_bits(trit_get32(t->data)) == -2.5f);
	t = trit_safetensors_find(&s, "empty");
	assert_true(t->n_dims == 2 && t->elements == 0 && t->bytes == 0);
	assert_string_equal(trit_safetensors_meta(&s, "format"), "np");
	assert_string_equal(trit_safetensors_meta(&s, "note"), "quote \" and \\ and Größe\n");
	trit_safetensors_close(&s);
}

/* ---- damaged files ---------------------------------------------------------------------------------------------- */

/* A file of that header and so many bytes of data; `claimed` is the header length it states, 0 for the true one. */
static int open_header(struct trit_safetensors *s, const char *json, size_t data, uint64_t claimed,
                       struct trit_error *err)
{
	struct bytes b = { .len = 0 };
	unsigned char *copy;
	int status;

	put_u64(&b, claimed ? claimed : strlen(json));
	put_raw(&b, strlen(json), json);
	for (size_t i = 0; i < data; i++)
		put_u8(&b, (unsigned)i);
	copy = exact_copy(b.data, b.len);
	status = trit_safetensors_open_bytes(s, copy, b.len, err);
	trit_safetensors_close(s);
	trit_free(copy);
	return status;
}

#define TENSOR(name, dtype, shape, begin, end) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"
#define ONE(dtype, shape, begin, end) "{" TENSOR("t", dtype, shape, begin, end) "}"

static void test_lies(void **state)
{
	static const struct {
		const char *json;
		size_t data;
		uint64_t claimed;
		enum trit_status status;
		const char *message;
	} cases[] = {
		{ ONE("F32", "2,3", 0, 24), 24, 0, 0, "" },
		{ ONE("F32", "2,3", 0, 24) "   ", 24, 0, 0, "" },
		{ "{}", 0, 0, 0, "" },
		{ "{" TENSOR("a", "F32", "1", 4, 8) "," TENSOR("b", "F32", "1", 0, 4) "}", 8, 0, 0, "" },
		{ ONE("F32", "2,3", 0, 24), 23, 0, TRIT_ERR_FORMAT, "tensor t: bytes 0 to 24, but the file has 23" },
		{ ONE("F32", "2,3", 0, 24), 25, 0, TRIT_ERR_FORMAT, "the tensors end after 24 of 25 bytes" },
		{ ONE("F32", "2,3", 4, 28), 28, 0, TRIT_ERR_FORMAT,
		  "begins at byte 4 of the data, but the tensor before it" },
		{ ONE("F32", "2,3", 0, 20), 20, 0, TRIT_ERR_FORMAT, "dtype and shape make 24 bytes" },
		{ ONE("F32", "2,3", 24, 0), 24, 0, TRIT_ERR_FORMAT, "bytes 24 to 0" },
		{ ONE("F32", "2,3", -24, 0), 24, 0, TRIT_ERR_FORMAT, "no \"data_offsets\" of two counts" },
		{ ONE("F32", "2,3", 0.0, 24), 24, 0, TRIT_ERR_FORMAT, "no \"data_offsets\" of two counts" },
		{ ONE("F32", "2,-3", 0, 24), 24, 0, TRIT_ERR_FORMAT, "dimension 1 is no count" },
		{ ONE("F32", "2,\"3\"", 0, 24), 24, 0, TRIT_ERR_FORMAT, "dimension 1 is no count" },
		{ ONE("F32", "4294967296,4294967296", 0, 0), 0, 0, TRIT_ERR_FORMAT, "more elements than can exist" },
		{ ONE("F32", "4611686018427387905,1", 0, 4), 4, 0, TRIT_ERR_FORMAT, "more elements than can exist" },
		{ ONE("F32", "99999999999999999999", 0, 4), 4, 0, TRIT_ERR_FORMAT, "header, byte" },
		{ ONE("F32", "1,1,1,1,1", 0, 4), 4, 0, TRIT_ERR_UNSUPPORTED, "tensor t: 5 dimensions" },
		{ ONE("BOOL", "4", 0, 4), 4, 0, TRIT_ERR_UNSUPPORTED, "tensor t: dtype BOOL cannot be read" },
		{ ONE("f32", "1", 0, 4), 4, 0, TRIT_ERR_UNSUPPORTED, "dtype f32" },
		{ "{" TENSOR("a", "F32", "1", 0, 4) "," TENSOR("b", "F32", "1", 0, 4) "}", 4, 0, TRIT_ERR_FORMAT,
		  "tensor b: begins at byte 0 of the data, but the tensor before it ends at byte 4" },
		{ "{" TENSOR("a", "F32", "1", 0, 4) "," TENSOR("b", "F32", "1", 2, 6) "}", 6, 0, TRIT_ERR_FORMAT,
		  "tensor b" },
		{ "{" TENSOR("a", "F32", "1", 0, 4) "," TENSOR("a", "F32", "1", 4, 8) "}", 8, 0, TRIT_ERR_FORMAT,
		  "duplicate" },
		{ "{\"t\":7}", 0, 0, TRIT_ERR_FORMAT, "tensor t: described by no JSON object" },
		{ "{\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, 0, TRIT_ERR_FORMAT, "no \"dtype\"" },
		{ "{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, 0, TRIT_ERR_FORMAT, "no \"shape\"" },
		{ "{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, 0, TRIT_ERR_FORMAT, "no \"data_offsets\"" },
		{ "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, 0, TRIT_ERR_FORMAT,
		  "two counts" },
		{ "{\"__metadata__\":[]}", 0, 0, TRIT_ERR_FORMAT, "\"__metadata__\" is no JSON object" },
		{ "{\"__metadata__\":{\"k\":1}}", 0, 0, TRIT_ERR_FORMAT, "metadata \"k\" is no string" },
		{ "{\"a\":1,}", 0, 0, TRIT_ERR_FORMAT, "header, byte 16: " },
		{ "{} x", 0, 0, TRIT_ERR_FORMAT, "header, byte" },
		{ "{\"a\xff\":1}", 0, 0, TRIT_ERR_FORMAT, "header, byte" },
		{ "{\"a\\u0000b\":1}", 0, 0, TRIT_ERR_FORMAT, "header, byte" },
		{ "{}", 0, 3, TRIT_ERR_FORMAT, "a header of 3 bytes, but only 2 follow" },
		{ "{}", 0, 100000001, TRIT_ERR_FORMAT, "a header of 100000001 bytes; at most" },
		{ "[]", 0, 0, TRIT_ERR_FORMAT, "not a safetensors file" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_error err = { 0 };
		struct trit_safetensors s;
		int status = open_header(&s, cases[i].json, cases[i].data, cases[i].claimed, &err);

		if (cases[i].status != 0)
			check_error(status, cases[i].status, &err, cases[i].message);
		else if (status != 0)
			fail_msg("%s: %s", cases[i].json, err.message);
	}
}

/* Deep nesting must not overflow the stack. */
static void test_deep_json(void **state)
{
	struct bytes b = { .len = 0 };
	struct trit_safetensors s;
	struct trit_error err;
	(void)state;

	put_u64(&b, 16000);
	put_raw(&b, 5, "{\"a\":");
	while (b.len < 16008)
		put_u8(&b, '[');
	check_error(trit_safetensors_open_bytes(&s, b.data, b.len, &err), TRIT_ERR_FORMAT, &err, "header, byte");
}

static void read_back(struct bytes *b)
{
	struct trit_error err;
	struct trit_map m;

	assert_int_equal(write_file(FILE_NAME, &err), 0);
	assert_int_equal(trit_map_open(&m, FILE_NAME, &err), 0);
	b->len = 0;
	put_raw(b, m.size, m.data);
	trit_map_close(&m);
	count_files(true);
}

static void test_every_truncation(void **state)
{
	struct bytes b;
	struct trit_safetensors s;
	(void)state;

	read_back(&b);
	for (size_t len = 0; len < b.len; len++) {
		unsigned char *copy = exact_copy(b.data, len);
		struct trit_error err = { 0 };

		if (trit_safetensors_open_bytes(&s, copy, len, &err) != TRIT_ERR_FORMAT || !err.message[0])
			fail_msg("%zu of %zu bytes: status %d", len, b.len, err.status);
		trit_free(copy);
	}
}

static void test_every_corruption(void **state)
{
	static const unsigned char change[] = { 0x01, 0x80, 0xff, 0x10, 0x02 };
	struct bytes b;
	struct trit_safetensors s;
	(void)state;

	read_back(&b);
	for (size_t i = 0; i < b.len; i++) {
		for (size_t c = 0; c < sizeof change; c++) {
			struct trit_error err = { 0 };
			unsigned char *copy;

			b.data[i] ^= change[c];
			copy = exact_copy(b.data, b.len);
			if (trit_safetensors_open_bytes(&s, copy, b.len, &err) == 0) {
				for (size_t t = 0; t < s.n_tensors; t++)
					for (uint64_t e = 0; e < s.tensors[t].bytes; e++)
						assert_true(s.tensors[t].data[e] <= 255);
			} else {
				assert_true(err.status < 0 && err.message[0]);
			}
			trit_safetensors_close(&s);
			trit_free(copy);
			b.data[i] ^= change[c];
		}
	}
}

static void test_reader_out_of_memory(void **state)
{
	struct bytes b;
	struct trit_safetensors s;
	int status = TRIT_ERR_MEMORY, failures = 0;
	(void)state;

	read_back(&b);
	for (uint64_t n = 1; status < 0; n++, failures++) {
		struct trit_error err;

		trit_mem_fail_after(n);
		status = trit_safetensors_open_bytes(&s, b.data, b.len, &err);
		trit_mem_fail_after(0);
		if (status < 0)
			check_error(status, TRIT_ERR_MEMORY, &err, "not enough memory");
	}
	assert_int_equal(failures, 5);
	check_file(&s);
	trit_safetensors_close(&s);
}

static void test_missing_file(void **state)
{
	struct trit_safetensors s;
	struct trit_error err;
	(void)state;

	check_error(trit_safetensors_open(&s, "nowhere.safetensors", &err), TRIT_ERR_IO, &err, "nowhere.safetensors: ");
	check_error(trit_safetensors_open(&s, TRIT_TEST_DATA "/format/golden.gguf", &err), TRIT_ERR_FORMAT, &err,
	            "golden.gguf: not a safetensors file but a GGUF file");
	check_error(trit_safetensors_open_bytes(&s, (const unsigned char *)"", 0, &err), TRIT_ERR_FORMAT, &err,
	            "is empty");
}

#else

static void test_without_jansson(void **state)
{
	struct trit_safetensors s;
	struct trit_error err;
	(void)state;

	check_error(trit_safetensors_open(&s, TRIT_TEST_DATA "/format/golden.safetensors", &err), TRIT_ERR_UNSUPPORTED,
	            &err, "libjansson-dev");
}

#endif

/* ---- failures of writing ---------------------------------------------------------------------------------------- */

static void test_misuse(void **state)
{
	static const uint64_t huge[2] = { (uint64_t)1 << 62, 4 };
	struct trit_st_writer *w;
	struct trit_error err;
	(void)state;

	assert_int_equal(trit_st_writer_new(&w, FILE_NAME, &err), 0);
	assert_int_equal(trit_st_put_meta(w, "m", "", &err), 0);
	check_error(trit_st_put_meta(w, "m", "", &err), TRIT_ERR_ARG, &err, "metadata 'm' is given twice");
	check_error(trit_st_put_meta(w, "n", "\xff", &err), TRIT_ERR_ARG, &err, "is not UTF-8");
	assert_int_equal(trit_st_put_tensor(w, "t", TRIT_DTYPE_U8, 1, shape23 + 1, &err), 0);
	check_error(trit_st_put_tensor(w, "t", TRIT_DTYPE_U8, 0, NULL, &err), TRIT_ERR_ARG, &err, "'t' is given twice");
	check_error(trit_st_put_tensor(w, "f", TRIT_DTYPE_F32, 0, NULL, &err), TRIT_ERR_ARG, &err,
	            "F32 data at byte 3");
	check_error(trit_st_put_tensor(w, "h", TRIT_DTYPE_U8, 2, huge, &err), TRIT_ERR_ARG, &err,
	            "tensor h: more bytes");
	check_error(trit_st_put_tensor(w, "__metadata__", TRIT_DTYPE_U8, 0, NULL, &err), TRIT_ERR_ARG, &err, "cannot");
	trit_st_writer_free(w);
	assert_int_equal(trit_st_writer_new(&w, FILE_NAME, &err), 0);
	assert_int_equal(trit_st_put_tensor(w, "t", TRIT_DTYPE_U8, 1, shape23 + 1, &err), 0);
	assert_int_equal(trit_st_begin(w, &err), 0);
	check_error(trit_st_write(w, 4, "abcd", &err), TRIT_ERR_ARG, &err,
	            "4 bytes of data where the tensors have only 3");
	assert_int_equal(trit_st_write(w, 2, "ab", &err), 0);
	check_error(trit_st_commit(w, &err), TRIT_ERR_ARG, &err, "only 2 of the tensors' 3 bytes");
	trit_st_writer_free(w);
	trit_st_writer_free(NULL);
	assert_int_equal(count_files(false), 0);
}

static void test_disk_errors(void **state)
{
	struct trit_error err;
	(void)state;

	check_error(write_file("/dev/full", &err), TRIT_ERR_IO, &err, "/dev/full: cannot write");
	check_error(write_file("nowhere/" FILE_NAME, &err), TRIT_ERR_IO, &err, "nowhere/" FILE_NAME ": ");
	assert_int_equal(count_files(false), 0);
}

static void test_writer_out_of_memory(void **state)
{
	int status = TRIT_ERR_MEMORY, failures = 0;
	(void)state;

	for (uint64_t n = 1; status < 0; n++, failures++) {
		struct trit_error err;

		trit_mem_fail_after(n);
		status = write_file(FILE_NAME, &err);
		trit_mem_fail_after(0);
		if (status < 0) {
			assert_int_equal(status, TRIT_ERR_MEMORY);
			assert_int_equal(count_files(false), 0);
		}
	}
	assert_true(failures > 10);
	assert_int_equal(count_files(true), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef TRIT_HAVE_JANSSON
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_nothing_in_it),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_deep_json),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_corruption),
		cmocka_unit_test(test_reader_out_of_memory),
		cmocka_unit_test(test_missing_file),
#else
		cmocka_unit_test(test_without_jansson),
#endif
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_disk_errors),
		cmocka_unit_test(test_writer_out_of_memory),
	};
	int failed;

	enter_scratch(scratch);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	leave_scratch(scratch);
	return failed;
}
