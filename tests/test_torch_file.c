/*
 * test_torch_file.c - PyTorch's checkpoints, as torch.save writes them: tensors of every type, what is refused, damage.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "format_helpers.h"

#include "format/pickle.h"
#include "format/torch_file.h"

#define DATA TRIT_TEST_DATA "/checkpoint/torch/"

static const struct trit_st_tensor *find(const struct trit_torch_file *f, const char *name)
{
	for (size_t i = 0; i < f->n_tensors; i++)
		if (!strcmp(f->tensors[i].name, name))
			return &f->tensors[i];
	fail_msg("no tensor %s", name);
	return NULL;
}

static double number(const struct trit_st_tensor *t, size_t i)
{
	const unsigned char *p = t->data + i * (size_t)trit_dtype_bytes(t->dtype);
	double d;
	switch (t->dtype) {
	case TRIT_DTYPE_F32:
		return (double)trit_f32_from_bits(trit_get32(p));
	case TRIT_DTYPE_F16:
		return (double)trit_f16_to_f32(trit_get16(p));
	case TRIT_DTYPE_BF16:
		return (double)trit_bf16_to_f32(trit_get16(p));
	case TRIT_DTYPE_F64:
		memcpy(&d, p, sizeof d);
		return d;
	case TRIT_DTYPE_I8:
	case TRIT_DTYPE_U8:
		return p[0];
	case TRIT_DTYPE_I32:
		return trit_get32(p);
	default:
		return (double)trit_get64(p);
	}
}

/* Elements first, first + 1, ... in the shape given. */
static void check_tensor(const struct trit_torch_file *f, const char *name, int dtype, double first, int n_dims,
                         uint64_t rows, uint64_t cols)
{
	const struct trit_st_tensor *t = find(f, name);
	assert_int_equal(t->dtype, dtype);
	assert_int_equal(t->n_dims, n_dims);
	assert_true(t->shape[0] == rows && t->shape[1] == cols && t->elements == rows * cols);
	for (size_t i = 0; i < t->elements; i++)
		assert_true(number(t, i) == first + (double)i);
}

static void test_kinds(void **state)
{
	static const char *const files[] = { DATA "kinds.pt", DATA "protocol4.pt" };
	static const struct {
		const char *name;
		enum trit_dtype dtype;
	} kinds[] = {
		{ "f32", TRIT_DTYPE_F32 }, { "f16", TRIT_DTYPE_F16 }, { "bf16", TRIT_DTYPE_BF16 }, { "f64", TRIT_DTYPE_F64 },
		{ "i8", TRIT_DTYPE_I8 },   { "u8", TRIT_DTYPE_U8 },   { "i32", TRIT_DTYPE_I32 },   { "i64", TRIT_DTYPE_I64 },
		{ "same", TRIT_DTYPE_F32 },
	};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct trit_torch_file f;
		struct trit_error err;
		if (trit_torch_open(&f, files[i], &err))
			fail_msg("%s", err.message);
		assert_int_equal(f.n_tensors, 12);
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
			check_tensor(&f, kinds[k].name, (int)kinds[k].dtype, 0, 2, 2, 3);
		check_tensor(&f, "part", TRIT_DTYPE_F32, 4, 1, 2, 1);
		check_tensor(&f, "scalar", TRIT_DTYPE_F32, 2.5, 0, 1, 1);
		assert_memory_equal(find(&f, "flag")->data, "\0\1\1\1\1\1", 6);
		assert_ptr_equal(find(&f, "same")->data, find(&f, "f32")->data);
		trit_torch_close(&f);
		trit_torch_close(&f);
	}
}

/* A state_dict is an ordered dict with attributes; a trainer's file has the parameters inside. */
static void test_models(void **state)
{
	static const char *const files[] = { DATA "state_dict.pt", DATA "nested.pt" };
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct trit_torch_file f;
		struct trit_error err;
		if (trit_torch_open(&f, files[i], &err))
			fail_msg("%s", err.message);
		assert_int_equal(f.n_tensors, 2);
		check_tensor(&f, "weight", TRIT_DTYPE_F32, 0, 2, 2, 3);
		assert_true(number(find(&f, "bias"), 1) == 7);
		trit_torch_close(&f);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *file;
		enum trit_status status;
		const char *message;
	} cases[] = {
		{ DATA "transposed.pt", TRIT_ERR_UNSUPPORTED, "tensor w: not contiguous" },
		{ DATA "before_1_6.pt", TRIT_ERR_UNSUPPORTED, "before 1.6" },
		{ DATA "module.pt", TRIT_ERR_UNSUPPORTED, "names torch.nn.modules.linear.Linear" },
		{ DATA "object.pt", TRIT_ERR_UNSUPPORTED, "names pathlib" },
		{ DATA "list.pt", TRIT_ERR_UNSUPPORTED, "no dict of tensors" },
		{ TRIT_TEST_DATA "/format/golden.gguf", TRIT_ERR_FORMAT, "not a PyTorch file but a GGUF file" },
		{ "/nowhere/model.bin", TRIT_ERR_IO, "/nowhere/model.bin" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_torch_file f;
		struct trit_error err;
		check_error(trit_torch_open(&f, cases[i].file, &err), cases[i].status, &err, cases[i].message);
	}
}

static unsigned volatile sink;

/* Opens a changed copy; whatever opens must lie inside it. */
static int try_bytes(const unsigned char *data, size_t size)
{
	struct trit_torch_file f;
	struct trit_error err;
	unsigned char *copy = exact_copy(data, size);
	int status = trit_torch_open_bytes(&f, copy, size, &err);
	assert_true(status == 0 || (status < 0 && err.message[0]));
	for (size_t i = 0; status == 0 && i < f.n_tensors; i++) {
		const struct trit_st_tensor *t = &f.tensors[i];
		assert_true(t->data >= copy && t->bytes <= size - (size_t)(t->data - copy));
		sink += t->bytes ? t->data[t->bytes - 1] : 0u;
	}
	if (status == 0)
		trit_torch_close(&f);
	trit_free(copy);
	return status;
}

static void test_damaged(void **state)
{
	struct trit_map m;
	struct trit_error err;
	unsigned char *copy;
	(void)state;
	assert_int_equal(trit_map_open(&m, DATA "nested.pt", &err), 0);
	for (size_t n = 0; n < m.size; n++)
		if (try_bytes(m.data, n) == 0)
			fail_msg("%zu of %zu bytes open", n, m.size);
	copy = exact_copy(m.data, m.size);
	for (size_t i = 0; i < m.size; i++) {
		static const unsigned char changes[] = { 0xff, 0x80, 0x01 };
		for (size_t c = 0; c < sizeof changes; c++) {
			copy[i] ^= changes[c];
			try_bytes(copy, m.size);
			copy[i] ^= changes[c];
		}
	}
	trit_free(copy);
	trit_map_close(&m);
}

static void test_memory(void **state)
{
	struct trit_torch_file f;
	struct trit_error err;
	uint64_t n = 1;
	(void)state;
	for (;; n++) {
		trit_mem_fail_after(n);
		int status = trit_torch_open(&f, DATA "kinds.pt", &err);
		trit_mem_fail_after(0);
		if (status == 0)
			break;
		assert_int_equal(status, TRIT_ERR_MEMORY);
	}
	assert_true(n > 5);
	trit_torch_close(&f);
}

/* Pickles that no writer of tensors makes: an error, whatever they are, or a value. */
static void test_pickles(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum trit_status status;
	} cases[] = {
		{ "N.", 2, TRIT_OK },
		{ "\200\2K\7.", 5, TRIT_OK },
		{ "", 0, TRIT_ERR_FORMAT },
		{ ".", 1, TRIT_ERR_FORMAT },                /* nothing on the stack */
		{ "(.", 2, TRIT_ERR_FORMAT },               /* a mark is no value */
		{ "]](a.", 5, TRIT_ERR_FORMAT },            /* nor an item */
		{ "h\0.", 3, TRIT_ERR_FORMAT },             /* nothing in the memo */
		{ "]q\0h\0a.", 7, TRIT_OK },                /* a list in itself */
		{ "Kt", 2, TRIT_ERR_FORMAT },
		{ "K\1t.", 4, TRIT_ERR_FORMAT },            /* a tuple from no mark */
		{ "}K\1s.", 5, TRIT_ERR_FORMAT },           /* a key without a value */
		{ "N)R.", 4, TRIT_ERR_UNSUPPORTED },        /* calls None */
		{ "cos\nsystem\nX\2\0\0\0lsq\0\205R.", 23, TRIT_OK }, /* would call; here it is a value */
		{ "ios\nsystem\n.", 11, TRIT_ERR_UNSUPPORTED },
		{ "X\377\377\377\377.", 6, TRIT_ERR_FORMAT },
		{ "\212\11\1\1\1\1\1\1\1\1\1.", 12, TRIT_ERR_UNSUPPORTED },
		{ "N\377", 2, TRIT_ERR_UNSUPPORTED },
		{ "Nr\377\377\377\177.", 7, TRIT_ERR_FORMAT }, /* a place in the memo beyond all bounds */
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_pickle p;
		struct trit_error err = { .message = "" };
		unsigned char *copy = exact_copy((const unsigned char *)cases[i].bytes, cases[i].size);
		int status = trit_pickle_read(&p, copy, cases[i].size, &err);
		if (status != (int)cases[i].status)
			fail_msg("case %zu: status %d, \"%s\"", i, status, err.message);
		if (status == 0)
			trit_pickle_release(&p);
		trit_free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),   cmocka_unit_test(test_models), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_memory), cmocka_unit_test(test_pickles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
