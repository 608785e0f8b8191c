/*
 * fuzz_tokenizer_json.c - any bytes as a tokenizer.json: an error, or a vocabulary whose texts can be read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/tokenizer_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_vocab v;
	struct trit_error err;

	if (trit_tokenizer_json_parse(size, (const char *)data, &v, &err) < 0) {
		if (!err.message[0] || err.status >= 0)
			__builtin_trap();
		return 0;
	}
	for (int i = 0; i < v.n_tokens; i++)
		sink += v.pieces[i].len ? (unsigned char)v.pieces[i].text[v.pieces[i].len - 1] : 0;
	for (int i = 0; i < v.n_merges; i++)
		if (!memchr(v.merges[i].text, ' ', v.merges[i].len))
			__builtin_trap();
	if (v.bos >= v.n_tokens || v.eos >= v.n_tokens || v.eot >= v.n_tokens || v.unk >= v.n_tokens)
		__builtin_trap();
	trit_vocab_release(&v);
	return 0;
}
