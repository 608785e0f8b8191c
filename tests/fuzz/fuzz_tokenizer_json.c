/*
 * fuzz_tokenizer_json.c - any bytes as a tokenizer.json: an error, or a vocabulary whose texts can be read; and if a
 * tokenizer can be made of it, it encodes its own file, in bounded work.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/tokenizer_json.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_TEXT 200 /* bytes: hostile expressions are slow, if not for ever */

static unsigned volatile sink;

static void check(bool fine)
{
	if (!fine)
		__builtin_trap();
}

static void encode(struct trit_vocab *take_vocab, size_t size, const char *text)
{
	struct trit_tokenizer *t;
	struct trit_encoder *e;
	struct trit_tokens ids;
	struct trit_error err;
	int status;

	if (trit_tokenizer_new(&t, take_vocab, &err) < 0) {
		check(err.message[0] && err.status < 0);
		return;
	}
	check(trit_encoder_new(&e, t, &err) == 0);
	trit_tokens_init(&ids, 1 << 20);
	size = size < MAX_TEXT ? size : MAX_TEXT;
	status = trit_encode(e, size, text, TRIT_TOKENIZE_SPECIAL | TRIT_TOKENIZE_BOS, &ids, &err);
	check(status == 0 || status == TRIT_ERR_LIMIT); /* a normalizer may write much */
	for (size_t i = 0; i < ids.len; i++) {
		size_t len;

		check(ids.data[i] >= 0 && ids.data[i] < trit_tokenizer_vocab(t)->n_tokens);
		trit_decode_token(t, ids.data[i], &len);
		sink += (unsigned)len;
	}
	trit_tokens_release(&ids);
	trit_encoder_free(e);
	trit_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_vocab v;
	struct trit_error err;

	if (trit_tokenizer_json_parse(size, (const char *)data, &v, &err) < 0) {
		check(err.message[0] && err.status < 0);
		return 0;
	}
	for (int i = 0; i < v.n_tokens; i++)
		sink += v.pieces[i].len ? (unsigned char)v.pieces[i].text[v.pieces[i].len - 1] : 0;
	for (int i = 0; i < v.n_merges; i++)
		check(memchr(v.merges[i].text, ' ', v.merges[i].len) != NULL);
	check(v.bos < v.n_tokens && v.eos < v.n_tokens && v.eot < v.n_tokens && v.unk < v.n_tokens && v.pad < v.n_tokens &&
	      v.sep < v.n_tokens && v.cls < v.n_tokens && v.mask < v.n_tokens);
	encode(&v, size, (const char *)data);
	trit_vocab_release(&v);
	return 0;
}
