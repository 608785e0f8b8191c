/*
 * test_gguf.c - reading GGUF files: one that another program wrote, and many that lie.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "format_helpers.h"

#include "format/gguf.h"

/* ---- a file of another program ---------------------------------------------------------------------------------- */

static void check_text(const char *text, size_t len, const char *expected)
{
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(text, expected, len);
}

static void check_u64(const struct trit_gguf *g, const char *name, uint64_t expected)
{
	struct trit_error err;
	uint64_t v = 77;

	assert_int_equal(trit_gguf_get_u64(g, name, UINT64_MAX, &v, &err), 0);
	assert_true(v == expected);
}

static void check_golden_arrays(const struct trit_gguf *g)
{
	static const char *const strings[] = { "", "a", "bc\n", "Größe" };
	static const struct {
		const char *name;
		uint32_t type;
		double first;
	} arrays[] = {
		{ "list.u8", TRIT_GGUF_U8, 200 },         { "list.i8", TRIT_GGUF_I8, -100 },
		{ "list.u16", TRIT_GGUF_U16, 60000 },     { "list.i16", TRIT_GGUF_I16, -30000 },
		{ "list.u32", TRIT_GGUF_U32, 4e9 },       { "list.i32", TRIT_GGUF_I32, -2e9 },
		{ "list.u64", TRIT_GGUF_U64, 1e19 },      { "list.i64", TRIT_GGUF_I64, -5e18 },
		{ "list.f32", TRIT_GGUF_F32, 0.15625 },   { "list.f64", TRIT_GGUF_F64, 0.1 },
		{ "list.bool", TRIT_GGUF_BOOL, 1 },
	};
	const struct trit_gguf_key *k;
	const unsigned char *at;

	for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
		k = trit_gguf_find_key(g, arrays[i].name);
		assert_non_null(k);
		assert_int_equal(k->type, TRIT_GGUF_ARRAY);
		assert_int_equal(k->element_type, arrays[i].type);
		assert_int_equal(k->n, 3);
		assert_true(trit_gguf_array_number(k, 0) == arrays[i].first);
		assert_true(trit_gguf_array_number(k, 1) == 1);
		assert_true(trit_gguf_array_number(k, 2) == 0);
	}
	k = trit_gguf_find_key(g, "list.string");
	assert_non_null(k);
	assert_int_equal(k->n, 4);
	at = k->value;
	for (size_t i = 0; i < 4; i++) {
		const char *text;
		size_t len;

		trit_gguf_next_string(&at, &text, &len);
		check_text(text, len, strings[i]);
	}
}

static void check_golden_errors(const struct trit_gguf *g)
{
	struct trit_error err;
	const char *text = NULL;
	size_t len = 5;
	uint64_t u = 5;
	double d = 5;
	bool b = true;

	assert_int_equal(trit_gguf_get_u64(g, "one", 9, &u, &err), 1);
	assert_int_equal(trit_gguf_get_f64(g, "one.u", &d, &err), 1);
	assert_int_equal(trit_gguf_get_bool(g, "one.u33", &b, &err), 1);
	assert_int_equal(trit_gguf_get_string(g, "", &text, &len, &err), 1);
	check_error(trit_gguf_get_u64(g, "one.i8", 9, &u, &err), TRIT_ERR_FORMAT, &err, "key 'one.i8' is -100; 0 to 9");
	check_error(trit_gguf_get_u64(g, "one.u16", 59999, &u, &err), TRIT_ERR_FORMAT, &err, "is 60000; 0 to 59999");
	check_error(trit_gguf_get_u64(g, "one.f32", 9, &u, &err), TRIT_ERR_FORMAT, &err, "of type f32; an integer");
	check_error(trit_gguf_get_u64(g, "list.u8", 9, &u, &err), TRIT_ERR_FORMAT, &err, "of type array; an integer");
	check_error(trit_gguf_get_f64(g, "one.u8", &d, &err), TRIT_ERR_FORMAT, &err, "of type u8; f32 or f64");
	check_error(trit_gguf_get_bool(g, "one.u8", &b, &err), TRIT_ERR_FORMAT, &err, "of type u8; bool");
	check_error(trit_gguf_get_string(g, "one.bool", &text, &len, &err), TRIT_ERR_FORMAT, &err, "bool; a string");
	assert_true(u == 5 && d == 5 && b && len == 5 && !text);
	assert_null(trit_gguf_find_tensor(g, "F1"));
	assert_null(trit_gguf_find_tensor(g, "F16."));
	assert_null(trit_gguf_find_tensor(g, ""));
}

static void test_golden(void **state)
{
	struct trit_error err;
	struct trit_gguf g;
	const struct trit_gguf_tensor *t;
	const char *text;
	size_t len;
	double d;
	bool b = false;
	(void)state;

	assert_int_equal(trit_gguf_open(&g, TRIT_TEST_DATA "/format/golden.gguf", &err), 0);
	assert_int_equal(g.version, 3);
	assert_int_equal(g.alignment, 32);
	assert_int_equal(g.n_keys, 25);
	assert_int_equal(g.n_tensors, 16);
	check_u64(&g, "one.u8", 200);
	check_u64(&g, "one.u16", 60000);
	check_u64(&g, "one.u32", 4000000000);
	check_u64(&g, "one.u64", 10000000000000000000u);
	assert_true(trit_gguf_array_number(trit_gguf_find_key(&g, "one.i32"), 0) == -2000000000);
	assert_int_equal(trit_gguf_get_f64(&g, "one.f32", &d, &err), 0);
	assert_true(d == 0.15625);
	assert_int_equal(trit_gguf_get_f64(&g, "one.f64", &d, &err), 0);
	assert_true(d == 0.1);
	assert_int_equal(trit_gguf_get_bool(&g, "one.bool", &b, &err), 0);
	assert_true(b);
	assert_int_equal(trit_gguf_get_string(&g, "one.string", &text, &len, &err), 0);
	check_text(text, len, "Größe \u4e2d");
	assert_int_equal(trit_gguf_get_string(&g, "general.architecture", &text, &len, &err), 0);
	check_text(text, len, "golden");
	check_golden_arrays(&g);
	check_golden_errors(&g);
	t = trit_gguf_find_tensor(&g, "f32");
	assert_non_null(t);
	assert_int_equal(t->n_dims, 3);
	assert_true(t->dims[0] == 4 && t->dims[1] == 3 && t->dims[2] == 2 && t->dims[3] == 1);
	assert_int_equal(t->bytes, 96);
	assert_ptr_equal(t->data, g.map.data + t->offset);
	for (int i = 0; i < 24; i++)
		assert_true(trit_f32_from_bits(trit_get32(t->data + 4 * i)) == (float)i / 8 - 1);
	for (uint64_t i = 0; i < g.n_tensors; i++)
		assert_ptr_equal(trit_gguf_find_tensor(&g, g.tensors[i].name), &g.tensors[i]);
	trit_gguf_close(&g);
	trit_gguf_close(&g); /* a closed one is a zeroed one */
	trit_gguf_close(NULL);
}

/* ---- a small file by hand --------------------------------------------------------------------------------------- */

/* What a test changes in the small file; zero: nothing. */
struct lie {
	uint32_t version, key_type, element_type, n_dims, type, alignment;
	uint64_t n_tensors, n_keys, key_len, string_len, array_n, name_len, dim0, dim1, offset, offset2;
	const char *name2, *key2;
	unsigned bool_byte;
	char control;
};

#define OR(field, usual) (lie->field ? lie->field : (usual))

/* Four keys and two tensors: F32 [8, 2] and TQ2_0 [256, 1]; the last byte of the file is data. */
static void small_file(struct bytes *b, const struct lie *lie)
{
	b->len = 0;
	put_raw(b, 4, "GGUF");
	put_u32(b, OR(version, 3));
	put_u64(b, OR(n_tensors, 2));
	put_u64(b, OR(n_keys, 4));
	put_u64(b, OR(key_len, 20));
	put_raw(b, 20, lie->control ? "general\narchitecture" : "general.architecture");
	put_u32(b, OR(key_type, TRIT_GGUF_STRING));
	put_u64(b, OR(string_len, 6));
	put_raw(b, 6, "bitnet");
	put_text(b, OR(key2, "words"));
	put_u32(b, TRIT_GGUF_ARRAY);
	put_u32(b, OR(element_type, TRIT_GGUF_STRING));
	put_u64(b, OR(array_n, 2));
	put_text(b, "ab");
	put_text(b, "");
	put_text(b, "general.alignment");
	put_u32(b, TRIT_GGUF_U32);
	put_u32(b, OR(alignment, 64));
	put_text(b, "flag");
	put_u32(b, TRIT_GGUF_BOOL);
	put_u8(b, OR(bool_byte, 1));
	put_u64(b, OR(name_len, 3));
	put_raw(b, 3, "one");
	put_u32(b, OR(n_dims, 2));
	put_u64(b, lie->dim0 == 999 ? 0 : OR(dim0, 8));
	put_u64(b, OR(dim1, 2));
	put_u32(b, TRIT_GGML_F32);
	put_u64(b, OR(offset, 0));
	put_text(b, OR(name2, "two"));
	put_u32(b, 1);
	put_u64(b, 256);
	put_u32(b, OR(type, TRIT_GGML_TQ2_0));
	put_u64(b, OR(offset2, 64));
	put_pad(b, 64);
	for (int i = 0; i < 64 + 66; i++)
		put_u8(b, (unsigned)i);
}

/* Opens an exact copy. */
static int open_copy(struct trit_gguf *g, unsigned char **copy, const unsigned char *data, size_t len,
                     struct trit_error *err)
{
	*copy = exact_copy(data, len);
	return trit_gguf_open_bytes(g, *copy, len, err);
}

/* Reads all a file gives, so that a sanitizer sees a pointer that leads out of it. */
static unsigned walk(const struct trit_gguf *g)
{
	unsigned sum = 0;

	for (uint64_t i = 0; i < g->n_keys; i++) {
		const struct trit_gguf_key *k = &g->keys[i];
		const unsigned char *at = k->value;
		uint32_t type = k->type == TRIT_GGUF_ARRAY ? k->element_type : k->type;

		for (uint64_t e = 0; e < k->n; e++) {
			const char *text;
			size_t len;

			if (type != TRIT_GGUF_STRING) {
				sum += trit_gguf_array_number(k, e) > 0;
				continue;
			}
			trit_gguf_next_string(&at, &text, &len);
			for (size_t c = 0; c < len; c++)
				sum += (unsigned char)text[c];
		}
	}
	for (uint64_t i = 0; i < g->n_tensors; i++)
		for (uint64_t e = 0; e < g->tensors[i].bytes; e++)
			sum += g->tensors[i].data[e];
	return sum;
}

static void test_small_file(void **state)
{
	static const struct lie none;
	struct bytes b;
	struct trit_error err;
	struct trit_gguf g;
	unsigned char *copy;
	const struct trit_gguf_tensor *t;
	(void)state;

	small_file(&b, &none);
	assert_int_equal(open_copy(&g, &copy, b.data, b.len, &err), 0);
	assert_int_equal(g.alignment, 64);
	t = trit_gguf_find_tensor(&g, "two");
	assert_int_equal(t->bytes, 66);
	assert_true(t->dims[0] == 256 && t->dims[1] == 1);
	assert_ptr_equal(t->data, copy + b.len - 66);
	assert_int_equal(t->offset, b.len - 66);
	assert_int_not_equal(walk(&g), 0);
	trit_gguf_close(&g);
	trit_free(copy);
	small_file(&b, &(struct lie){ .version = 2 });
	assert_int_equal(trit_gguf_open_bytes(&g, b.data, b.len, NULL), 0);
	assert_int_equal(g.version, 2);
	trit_gguf_close(&g);
}

static void test_no_tensors_no_keys(void **state)
{
	struct bytes b = { .len = 0 };
	struct trit_error err;
	struct trit_gguf g;
	(void)state;

	put_raw(&b, 4, "GGUF");
	put_u32(&b, 3);
	put_u64(&b, 0);
	put_u64(&b, 0);
	assert_int_equal(trit_gguf_open_bytes(&g, b.data, b.len, &err), 0);
	assert_null(trit_gguf_find_key(&g, "x"));
	assert_null(trit_gguf_find_tensor(&g, "x"));
	trit_gguf_close(&g);
}

static void test_every_truncation(void **state)
{
	static const struct lie none;
	struct bytes b;
	struct trit_gguf g;
	(void)state;

	small_file(&b, &none);
	for (size_t len = 0; len < b.len; len++) {
		struct trit_error err = { 0 };
		unsigned char *copy;
		int status = open_copy(&g, &copy, b.data, len, &err);

		if (status != TRIT_ERR_FORMAT)
			fail_msg("%zu of %zu bytes: status %d", len, b.len, status);
		assert_int_equal(err.status, status);
		assert_non_null(strstr(err.message, len < 4 ? "again" : "copy or download it again"));
		assert_null(g.keys);
		trit_free(copy);
	}
}

/* Every byte changed in several ways: an error or a file that can be walked, never more. */
static void test_every_corruption(void **state)
{
	static const struct lie none;
	static const unsigned char change[] = { 0x01, 0x80, 0xff, 0x10, 0x23 };
	struct bytes b;
	struct trit_gguf g;
	int opened = 0, refused = 0;
	(void)state;

	small_file(&b, &none);
	for (size_t i = 0; i < b.len; i++) {
		for (size_t c = 0; c < sizeof change; c++) {
			struct trit_error err = { 0 };
			unsigned char *copy;

			b.data[i] ^= change[c];
			if (open_copy(&g, &copy, b.data, b.len, &err) == 0) {
				walk(&g);
				opened++;
			} else {
				assert_true(err.status < 0 && err.message[0]);
				refused++;
			}
			trit_gguf_close(&g);
			trit_free(copy);
			b.data[i] ^= change[c];
		}
	}
	assert_true(opened > 500 && refused > 500);
}

static void test_lies(void **state)
{
	static const struct {
		struct lie lie;
		enum trit_status status;
		const char *message;
	} cases[] = {
		{ { .version = 1 }, TRIT_ERR_UNSUPPORTED, "GGUF version 1" },
		{ { .version = 4 }, TRIT_ERR_UNSUPPORTED, "GGUF version 4" },
		{ { .version = 0x03000000 }, TRIT_ERR_UNSUPPORTED, "big-endian" },
		{ { .n_keys = 3 }, TRIT_ERR_FORMAT, "tensor 0" },
		{ { .n_keys = 5 }, TRIT_ERR_FORMAT, "tensor 0" },
		{ { .n_keys = 1000 }, TRIT_ERR_FORMAT, "1000 keys and 2 tensors announced" },
		{ { .n_keys = UINT64_MAX }, TRIT_ERR_FORMAT, "18446744073709551615 keys" },
		{ { .n_tensors = 3 }, TRIT_ERR_FORMAT, "tensor 2" },
		{ { .n_tensors = (uint64_t)1 << 61 }, TRIT_ERR_FORMAT, "2305843009213693952 tensors" },
		{ { .key_len = UINT64_MAX }, TRIT_ERR_FORMAT, "key 0, byte 32: a name of 18446744073709551615 bytes" },
		{ { .key_len = 65535 }, TRIT_ERR_FORMAT, "key 0, byte 32: 65535 more bytes expected" },
		{ { .control = 1 }, TRIT_ERR_FORMAT, "control character 10" },
		{ { .key_type = 13 }, TRIT_ERR_FORMAT, "key 0 (general.architecture), byte 56: value of type 13" },
		{ { .string_len = 7000 }, TRIT_ERR_FORMAT, "key 0 (general.architecture), byte 64: 7000 more" },
		{ { .string_len = UINT64_MAX }, TRIT_ERR_FORMAT, "18446744073709551615 more bytes" },
		{ { .element_type = TRIT_GGUF_ARRAY },
		  TRIT_ERR_UNSUPPORTED,
		  "key 1 (words), byte 99: an array of arrays" },
		{ { .element_type = 14 }, TRIT_ERR_FORMAT, "an array of type 14" },
		{ { .array_n = 1000 }, TRIT_ERR_FORMAT, "an array of 1000 strings" },
		{ { .array_n = UINT64_MAX, .element_type = TRIT_GGUF_F64 }, TRIT_ERR_FORMAT, "key 1 (words)" },
		{ { .array_n = (uint64_t)1 << 61, .element_type = TRIT_GGUF_U64 }, TRIT_ERR_FORMAT, "more bytes" },
		{ { .array_n = 2, .element_type = TRIT_GGUF_BOOL }, TRIT_ERR_FORMAT, "a bool is 2" },
		{ { .bool_byte = 2 }, TRIT_ERR_FORMAT, "key 3 (flag), byte 167: a bool is 2" },
		{ { .alignment = 4 }, TRIT_ERR_FORMAT, "general.alignment': 4" },
		{ { .alignment = 48 }, TRIT_ERR_FORMAT, "general.alignment': 48, but an alignment is a power of two" },
		{ { .key2 = "general.architecture" }, TRIT_ERR_FORMAT, "key 'general.architecture' is there twice" },
		{ { .name_len = 65 }, TRIT_ERR_FORMAT, "tensor 0, byte 175: a name of 65 bytes; names have 1 to 64" },
		{ { .n_dims = 5 }, TRIT_ERR_FORMAT, "tensor 0 (one), byte 182: 5 dimensions" },
		{ { .n_dims = UINT32_MAX }, TRIT_ERR_FORMAT, "4294967295 dimensions" },
		{ { .dim0 = 999 /* 0 */ }, TRIT_ERR_FORMAT, "tensor 0 (one), byte 190: dimension 0 is 0" },
		{ { .dim0 = (uint64_t)1 << 62 }, TRIT_ERR_FORMAT, "more bytes than can exist" },
		{ { .dim0 = (uint64_t)1 << 32, .dim1 = (uint64_t)1 << 32 },
		  TRIT_ERR_FORMAT,
		  "more bytes than can exist" },
		{ { .dim1 = UINT64_MAX }, TRIT_ERR_FORMAT, "more bytes than can exist" },
		{ { .dim0 = 100, .dim1 = 100 }, TRIT_ERR_FORMAT, "tensor 0 (one): its 40000 bytes begin 0 bytes into" },
		{ { .dim1 = 3 }, TRIT_ERR_FORMAT, "tensors one and two overlap" },
		{ { .type = 38 }, TRIT_ERR_UNSUPPORTED, "tensor 1 (two), byte 237: 1 x 256 elements of TL1" },
		{ { .type = 39 }, TRIT_ERR_FORMAT, "tensor 1 (two): its 136 bytes begin" },
		{ { .type = 1000 }, TRIT_ERR_UNSUPPORTED, "type 1000: no type of that number is known" },
		{ { .type = 26 /* I32 */ }, TRIT_ERR_FORMAT, "tensor 1 (two): its 1024 bytes begin 64 bytes into" },
		{ { .offset = 16 },
		  TRIT_ERR_FORMAT,
		  "tensor 0 (one), byte 210: offset 16, not a multiple of the alignment" },
		{ { .offset = 64 }, TRIT_ERR_FORMAT, "overlap" },
		{ { .offset2 = 128 }, TRIT_ERR_FORMAT, "tensor 1 (two): its 66 bytes begin 128 bytes into" },
		{ { .offset2 = UINT64_MAX - 63 }, TRIT_ERR_FORMAT, "begin 18446744073709551552 bytes into" },
		{ { .name2 = "one" }, TRIT_ERR_FORMAT, "tensor one is there twice" },
		{ { .name2 = "\x1b[2J" }, TRIT_ERR_FORMAT, "control character 27" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes b;
		struct trit_error err;
		struct trit_gguf g;
		unsigned char *copy;

		small_file(&b, &cases[i].lie);
		check_error(open_copy(&g, &copy, b.data, b.len, &err), cases[i].status, &err, cases[i].message);
		trit_free(copy);
	}
}

/* Types nobody decodes here still have a size, so the file can be listed. */
static void test_listed_type(void **state)
{
	struct bytes b;
	struct trit_error err;
	struct trit_gguf g;
	(void)state;

	small_file(&b, &(struct lie){ .type = 16 /* IQ2_XXS: 66 bytes */ });
	assert_int_equal(trit_gguf_open_bytes(&g, b.data, b.len, &err), 0);
	assert_string_equal(trit_ggml_type_info(g.tensors[1].type)->name, "IQ2_XXS");
	trit_gguf_close(&g);
}

/* ---- files of another kind -------------------------------------------------------------------------------------- */

static void test_other_kinds(void **state)
{
	static const struct {
		size_t len;
		const char *data, *message;
	} cases[] = {
		{ 0, "", "the file is empty" },
		{ 16, "\x60\0\0\0\0\0\0\0{\"a\":{\"d", "a safetensors file" },
		{ 8, "PK\3\4\0\0\0\0", "a PyTorch or zip file" },
		{ 4, "\x80\2}q", "a PyTorch or zip file" },
		{ 8, "tjgg\3\0\0\0", "ggml file of before August 2023" },
		{ 8, "lmgg\3\0\0\0", "ggml file of before August 2023" },
		{ 15, "<!DOCTYPE html>", "a web page" },
		{ 13, "\n <HTML lang>", "a web page" },
		{ 40, "version https://git-lfs.github.com/spec/", "git lfs pull" },
		{ 9, "{\"a\": 1}\n", "a JSON text" },
		{ 3, "GGU", "its first bytes are 47475500" },
		{ 5, "hello", "its first bytes are 68656c6c" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned char *copy;
		struct trit_error err;
		struct trit_gguf g;

		check_error(open_copy(&g, &copy, (const unsigned char *)cases[i].data, cases[i].len, &err),
		            TRIT_ERR_FORMAT, &err, cases[i].message);
		trit_free(copy);
	}
}

static void test_missing_file(void **state)
{
	struct trit_error err;
	struct trit_gguf g;
	(void)state;

	check_error(trit_gguf_open(&g, "/nowhere/model.gguf", &err), TRIT_ERR_IO, &err, "/nowhere/model.gguf: ");
	assert_null(g.keys);
	check_error(trit_gguf_open(&g, TRIT_TEST_DATA "/format", &err), TRIT_ERR_IO, &err, "is a directory");
	check_error(trit_gguf_open(&g, TRIT_TEST_DATA "/format/gpt2_style.json", &err), TRIT_ERR_FORMAT, &err,
	            "/format/gpt2_style.json: not a GGUF file but a JSON text");
	check_error(trit_gguf_open(&g, TRIT_TEST_DATA "/format/golden.safetensors", &err), TRIT_ERR_FORMAT, &err,
	            "a safetensors file");
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void test_out_of_memory(void **state)
{
	static const struct lie none;
	struct bytes b;
	struct trit_gguf g;
	int status = TRIT_ERR_MEMORY, failures = 0;
	(void)state;

	small_file(&b, &none);
	for (uint64_t n = 1; status < 0; n++) {
		struct trit_error err;

		trit_mem_fail_after(n);
		status = trit_gguf_open_bytes(&g, b.data, b.len, &err);
		trit_mem_fail_after(0);
		if (status < 0) {
			check_error(status, TRIT_ERR_MEMORY, &err, "not enough memory");
			failures++;
		}
	}
	trit_gguf_close(&g);
	assert_int_equal(failures, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_small_file),
		cmocka_unit_test(test_no_tensors_no_keys),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_corruption),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_listed_type),
		cmocka_unit_test(test_other_kinds),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
