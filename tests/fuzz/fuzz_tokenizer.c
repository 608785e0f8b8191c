/*
 * fuzz_tokenizer.c - any bytes through every family of pre-tokenisers: decoding gives the text back.
 *
 * Byte 0: the family; byte 1: enum trit_tokenize_flags; the rest is the text. The vocabulary is learnt at the start
 * from a few words, and has two more control tokens and a user-defined one.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "base/buf.h"
#include "base/mem.h"
#include "text/bpe_train.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef TRIT_HAVE_PCRE2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	return 0;
}

#else

static const char *const families[] = {
	"gpt-2", "llama-bpe", "deepseek-r1-qwen", "tekken", "smollm", "default", "falcon", "bloom", "viking",
	"deepseek-llm", "deepseek-coder", "deepseek-v3", "gpt-4o", "kimi-k2", "qwen35",
};
#define N_FAMILIES (sizeof families / sizeof *families)

static struct trit_tokenizer *tokenizers[N_FAMILIES];
static struct trit_encoder *encoders[N_FAMILIES];

static void check(bool fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "fuzz_tokenizer: %s\n", what);
		abort();
	}
}

/* Copies v with three special tokens more. */
static void add_special(const struct trit_vocab *v, struct trit_vocab *out)
{
	static const char *const texts[] = { "<|im_end|>", "<tool>", "<|im" };
	size_t n = (size_t)v->n_tokens;
	struct trit_error err;
	int status = trit_vocab_init(out, v->model, v->pre, n + 3, (size_t)v->n_merges, v->bytes.len + 64, &err);

	for (size_t i = 0; i < n && status == 0; i++)
		status = trit_vocab_set_piece(out, i, v->pieces[i].len, v->pieces[i].text,
		                              (enum trit_token_type)v->pieces[i].type, &err);
	for (size_t i = 0; i < 3 && status == 0; i++)
		status = trit_vocab_set_piece(out, n + i, strlen(texts[i]), texts[i],
		                              i == 1 ? TRIT_TOKEN_USER : TRIT_TOKEN_CONTROL, &err);
	for (int i = 0; i < v->n_merges && status == 0; i++)
		status = trit_vocab_set_merge(out, (size_t)i, v->merges[i].len, v->merges[i].text, &err);
	out->bos = v->bos;
	out->add_bos = true;
	check(status == 0, err.message);
}

static void set_up(size_t family)
{
	static const char text[] = "The cat sat on the mat. the THE  the\n\n\tthat, that's 100 1000 ... "
	                           "aaaaaaaa aaaaaaaa "
	                           "    {\n    }\n\xc3\xa4\xc3\xb6 \xc3\xa4\xc3\xb6 \xe4\xb8\xad\xe4\xb8\xad "
	                           "\xf0\x9f\x91\x8d \xf0\x9f\x91\x8d\xcc\x81 \xcc\x81";
	struct trit_bpe_trainer *t;
	struct trit_vocab learnt, vocab;
	struct trit_error err;

	check(trit_bpe_trainer_new(&t, families[family], &err) == 0, err.message);
	check(trit_bpe_trainer_add(t, sizeof text - 1, text, &err) == 0, err.message);
	check(trit_bpe_train(t, 400, &learnt, &err) == 0, err.message);
	add_special(&learnt, &vocab);
	check(trit_tokenizer_new(&tokenizers[family], &vocab, &err) == 0, err.message);
	check(trit_encoder_new(&encoders[family], tokenizers[family], &err) == 0, err.message);
	trit_vocab_release(&learnt);
	trit_bpe_trainer_free(t);
}

/* The stream's output, fed token by token, is valid UTF-8 and does not depend on how it was fed. */
static void check_stream(const struct trit_tokenizer *t, const struct trit_tokens *ids, const struct trit_buf *whole)
{
	struct trit_utf8_stream pieces = { 0 }, once = { 0 };
	size_t room = 3 * (whole->len + 4), n = 0, m;
	char *a = trit_calloc(room + 12, 1), *b = trit_calloc(room + 12, 1);

	check(a && b, "memory");
	for (size_t i = 0; i < ids->len; i++) {
		size_t len;
		const char *bytes = trit_decode_token(t, ids->data[i], &len);

		n += trit_utf8_stream_feed(&pieces, len, bytes, a + n);
		check(n <= room, "the stream wrote too much");
	}
	n += trit_utf8_stream_end(&pieces, a + n);
	m = trit_utf8_stream_feed(&once, whole->len, whole->data, b);
	m += trit_utf8_stream_end(&once, b + m);
	check(n == m && !memcmp(a, b, n), "the stream depends on its pieces");
	check(trit_utf8_valid(n, a) == n, "the stream is not UTF-8");
	trit_free(a);
	trit_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct trit_tokenizer *t;
	const struct trit_vocab *v;
	const char *text = (const char *)data + 2;
	struct trit_tokens ids;
	struct trit_buf back, printed;
	struct trit_error err;
	size_t family, len;

	if (size < 2)
		return 0;
	len = size - 2;
	family = data[0] % N_FAMILIES;
	if (!encoders[family])
		set_up(family);
	t = tokenizers[family];
	v = trit_tokenizer_vocab(t);
	trit_tokens_init(&ids, len + 1); /* a text has never more */
	trit_buf_init(&back, len);
	trit_buf_init(&printed, len);
	check(trit_encode(encoders[family], len, text, data[1] & 3, &ids, &err) == 0, err.message);
	for (size_t i = 0; i < ids.len; i++) {
		size_t n;
		const char *bytes = trit_decode_token(t, ids.data[i], &n);

		check(trit_buf_append(&printed, n, bytes, &err) == 0, err.message);
		if (v->pieces[ids.data[i]].type == TRIT_TOKEN_CONTROL && !(i == 0 && data[1] & TRIT_TOKENIZE_BOS)) {
			bytes = v->pieces[ids.data[i]].text;
			n = v->pieces[ids.data[i]].len;
		}
		check(trit_buf_append(&back, n, bytes, &err) == 0, err.message);
	}
	check(back.len == len && (len == 0 || !memcmp(back.data, text, len)), "decoding does not give the text back");
	if (printed.len > 0)
		check_stream(t, &ids, &printed);
	trit_tokens_release(&ids);
	trit_buf_release(&back);
	trit_buf_release(&printed);
	return 0;
}

#endif
