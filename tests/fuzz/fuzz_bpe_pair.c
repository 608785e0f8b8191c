/*
 * fuzz_bpe_pair.c - any bytes, up to a NUL vocab.json, then merges.txt: an error, or a vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/bpe_pair.h"
#include "format/json_file.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifdef TRIT_HAVE_JANSSON
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	const char *merges = nul ? (const char *)nul + 1 : "";
	size_t len = nul ? (size_t)(nul - data) : size, merges_len = nul ? size - len - 1 : 0;
	struct trit_tokenizer *t;
	struct trit_vocab v;
	struct trit_error err;
	json_t *root;

	if (trit_json_parse(&root, len, (const char *)data, &err))
		return 0;
	if (trit_is_bpe_vocab(root) && trit_bpe_pair_build(root, merges_len, merges, root, &v, &err) == 0 &&
	    trit_tokenizer_new(&t, &v, &err) == 0)
		trit_tokenizer_free(t);
	json_decref(root);
#else
	(void)data;
	(void)size;
#endif
	return 0;
}
