/*
 * fuzz_llama2c.c - any bytes as a checkpoint of llama2.c, and as its tokenizer.bin: an error, or tensors that can be
 * read from end to end, or tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/llama2c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_gguf g;
	struct trit_vocab v;
	struct trit_error err;

	if (trit_llama2c_read(&g, data, size, NULL, &err) == 0) {
		for (uint64_t i = 0; i < g.n_tensors; i++)
			for (uint64_t k = 0; k < g.tensors[i].bytes; k++)
				sink += g.tensors[i].data[k];
		if (!trit_is_llama2c(data, size))
			__builtin_trap();
		trit_gguf_close(&g);
	} else if (!err.message[0]) {
		__builtin_trap();
	}
	if (trit_llama2c_read_vocab(&v, data, size, &err) == 0) {
		for (int i = 0; i < v.n_tokens; i++)
			sink += v.pieces[i].len ? (unsigned)v.pieces[i].text[v.pieces[i].len - 1] : 0;
		trit_vocab_release(&v);
	}
	return 0;
}
