/*
 * tokens.c - the public functions about tokens, over the model's tokenizer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/tokens.h"

int trit_tokenize_append(const struct trit_model *model, size_t len, const char *text, unsigned flags,
                         struct trit_tokens *out, struct trit_error *err)
{
	struct trit_encoder *encoder = NULL;
	if (!model->tokenizer)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "the model file has no vocabulary, so text cannot become tokens");
	int e = trit_encoder_new(&encoder, model->tokenizer, err);
	if (!e)
		e = trit_encode(encoder, len, text, flags, out, err);
	trit_encoder_free(encoder);
	return e;
}

int trit_tokenize(const struct trit_model *model, size_t len, const char *text, unsigned flags, size_t cap,
                  trit_token *tokens, size_t *n_out, struct trit_error *err)
{
	struct trit_tokens list;
	trit_tokens_init(&list, SIZE_MAX / sizeof(trit_token));
	int e = trit_tokenize_append(model, len, text, flags, &list, err);
	if (!e) {
		size_t n = list.len < cap ? list.len : cap;
		if (n)
			memcpy(tokens, list.data, n * sizeof *tokens);
		*n_out = list.len;
		if (list.len > cap)
			e = trit_fail(err, TRIT_ERR_LIMIT, "the text has %zu tokens, there is room for %zu", list.len, cap);
	}
	trit_tokens_release(&list);
	return e;
}

const char *trit_token_bytes(const struct trit_model *model, trit_token token, size_t *len)
{
	*len = 0;
	if (!model->tokenizer || token < 0 || token >= trit_tokenizer_vocab(model->tokenizer)->n_tokens)
		return "";
	return trit_decode_token(model->tokenizer, token, len);
}

trit_token trit_token_bos(const struct trit_model *model)
{
	return model->tokenizer ? trit_tokenizer_vocab(model->tokenizer)->bos : -1;
}

trit_token trit_token_eos(const struct trit_model *model)
{
	return model->tokenizer ? trit_tokenizer_vocab(model->tokenizer)->eos : -1;
}

int trit_token_is_end(const struct trit_model *model, trit_token token)
{
	return model->tokenizer && token >= 0 && token < trit_tokenizer_vocab(model->tokenizer)->n_tokens &&
	       trit_is_end_token(model->tokenizer, token);
}
