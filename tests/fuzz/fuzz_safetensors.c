/*
 * fuzz_safetensors.c - any bytes as a safetensors file: an error, or tensors that lie within it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_safetensors s;
	struct trit_error err;

	if (trit_safetensors_open_bytes(&s, data, size, &err) < 0) {
		if (!err.message[0] || err.status >= 0)
			__builtin_trap();
		return 0;
	}
	for (size_t i = 0; i < s.n_tensors; i++) {
		const struct trit_st_tensor *t = &s.tensors[i];

		if (t->elements * (uint64_t)trit_dtype_bytes(t->dtype) != t->bytes || t->bytes > size ||
		    trit_safetensors_find(&s, t->name) != t)
			__builtin_trap();
		sink += t->bytes ? t->data[0] + t->data[t->bytes - 1] : 0;
	}
	for (size_t i = 0; i < s.n_meta; i++)
		sink += trit_safetensors_meta(&s, s.meta[i].name) == s.meta[i].value;
	trit_safetensors_close(&s);
	return 0;
}
