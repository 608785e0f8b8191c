/*
 * fuzz_tiktoken.c - any bytes as a tiktoken file: an error, or a vocabulary of which a tokenizer is made or refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/tiktoken.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_tokenizer *t;
	struct trit_vocab v;
	struct trit_error err;

	trit_is_tiktoken(size, data);
	if (trit_tiktoken_parse(size, (const char *)data, &v, &err) < 0) {
		if (!err.message[0] || err.status >= 0)
			__builtin_trap();
		return 0;
	}
	for (int i = 0; i < v.n_merges; i++)
		if (!memchr(v.merges[i].text, ' ', v.merges[i].len))
			__builtin_trap();
	if (trit_tokenizer_new(&t, &v, &err) == 0)
		trit_tokenizer_free(t);
	return 0;
}
