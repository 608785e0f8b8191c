/*
 * fuzz_pickle.c - any bytes as a PyTorch archive, and as a pickle without one: an error, or tensors that lie within it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/pickle.h"
#include "format/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

static void read_archive(const uint8_t *data, size_t size)
{
	struct trit_torch_file f;
	struct trit_error err;

	if (trit_torch_open_bytes(&f, data, size, &err) < 0) {
		if (!err.message[0] || err.status >= 0)
			__builtin_trap();
		return;
	}
	for (size_t i = 0; i < f.n_tensors; i++) {
		const struct trit_st_tensor *t = &f.tensors[i];

		if (t->elements * (uint64_t)trit_dtype_bytes(t->dtype) != t->bytes || t->data < data ||
		    t->bytes > size - (size_t)(t->data - data))
			__builtin_trap();
		sink += t->bytes ? t->data[0] + t->data[t->bytes - 1] : 0;
		sink += (unsigned)strlen(t->name);
	}
	trit_torch_close(&f);
}

static void read_pickle(const uint8_t *data, size_t size)
{
	const struct trit_pickle_value *key, *value;
	struct trit_pickle p;

	if (trit_pickle_read(&p, data, size, NULL) < 0)
		return;
	for (size_t i = 0; i < p.n_values; i++) {
		uint32_t cell = 0, n = 0;

		while (trit_pickle_next(&p, &p.values[i], &cell, &key, &value)) {
			n++;
			sink += (unsigned)key->kind + (unsigned)value->kind;
		}
		if (n && n != p.values[i].n)
			__builtin_trap();
	}
	trit_pickle_release(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == 'P')
		read_archive(data, size);
	else
		read_pickle(data, size);
	return 0;
}
