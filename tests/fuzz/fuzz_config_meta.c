/*
 * fuzz_config_meta.c - any bytes as a training checkpoint: an error, or a configuration within its bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/config_keys.h"
#include "model/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_safetensors s;
	struct trit_config c = { 0 };
	struct trit_error err;

	if (trit_safetensors_open_bytes(&s, data, size, &err) < 0)
		return 0;
	int e = trit_config_read_meta(&c, &s, &err);
	if (e < 0 && !err.message[0])
		__builtin_trap();
	if (!e) {
		struct trit_tensor_walk w = { 0 };
		if (trit_config_check(&c, &err))
			__builtin_trap();
		while (trit_tensor_next(&w, &c))
			sink += (unsigned)(w.rows * w.cols);
	}
	trit_safetensors_close(&s);
	return 0;
}
