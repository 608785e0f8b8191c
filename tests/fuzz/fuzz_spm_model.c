/*
 * fuzz_spm_model.c - any bytes as a SentencePiece model: an error, or a vocabulary; and where that makes a tokenizer,
 * it encodes and decodes.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "base/mem.h"
#include "format/spm_model.h"
#include "text/detokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "  The  cat\xc3\xa4 sat\n\n\ton \xef\xac\x81 <s> \xe4\xb8\xad\xe6\x96\x87 <tool>. "
                           "\xf0\x9f\x91\x8d\xff aaaaaaaaaaaaaaaaaaaa \xe2\x96\x81 ...\xc2\xad \xef\xb7\xba e\xcc\x81 ";

static void check(bool fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "fuzz_spm_model: %s\n", what);
		abort();
	}
}

/* What the text becomes and becomes again. */
static void use(const struct trit_tokenizer *t)
{
	struct trit_encoder *e = NULL;
	struct trit_tokens ids;
	struct trit_detokenizer d;
	struct trit_error err;
	char *out = trit_calloc(trit_detokenizer_room(t), 1);

	check(out && trit_encoder_new(&e, t, &err) == 0, "memory");
	trit_tokens_init(&ids, SIZE_MAX / 4);
	check(trit_encode(e, sizeof text - 1, text, 7, &ids, &err) == 0, err.message);
	trit_detokenizer_init(&d, t, true);
	for (size_t i = 0; i < ids.len; i++) {
		size_t n;

		check(ids.data[i] >= 0 && ids.data[i] < trit_tokenizer_vocab(t)->n_tokens, "no such token");
		n = trit_detokenizer_feed(&d, ids.data[i], out);
		check(trit_utf8_valid(n, out) == n, "decoding does not give UTF-8");
	}
	trit_detokenizer_end(&d, out);
	trit_tokens_release(&ids);
	trit_encoder_free(e);
	trit_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_tokenizer *t;
	struct trit_vocab v;
	struct trit_error err;

	trit_is_spm_model(size, data);
	if (trit_spm_model_read_bytes(&v, size, data, &err) < 0) {
		check(err.message[0] && err.status < 0, "an error without words");
		return 0;
	}
	if (trit_tokenizer_new(&t, &v, &err) < 0) {
		check(err.message[0] && err.status < 0, "an error without words");
		return 0;
	}
	use(t);
	trit_tokenizer_free(t);
	return 0;
}
