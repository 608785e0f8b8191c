/*
 * label_words.c - rows of a vocabulary's head, by words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/label_words.h"

#include "base/mem.h"
#include "model/tensors.h"

#define MAX_WORD_TOKENS 1024

/* The vocabulary's head: a tensor of its own, or the embedding. */
static int find_head(const struct trit_config *c, const struct trit_gguf *g, struct trit_tensor_walk *w,
                     struct trit_gguf_tensor *t, struct trit_error *err)
{
	bool own = trit_gguf_find_tensor(g, "output.weight");
	*w = (struct trit_tensor_walk){ .id = own ? TRIT_TENSOR_OUTPUT : TRIT_TENSOR_TOKEN_EMBD };
	trit_tensor_shape(c, w->id, &w->rows, &w->cols);
	return trit_tensor_find(g, w, t, err);
}

static int first_token(struct trit_encoder *encoder, const char *word, trit_token *token, struct trit_error *err)
{
	struct trit_tokens tokens;
	trit_tokens_init(&tokens, MAX_WORD_TOKENS);
	int e = trit_encode(encoder, strlen(word), word, 0, &tokens, err);
	if (!e && !tokens.len)
		e = trit_fail(err, TRIT_ERR_ARG, "the word \"%.60s\" has no tokens", word);
	if (!e)
		*token = tokens.data[0];
	trit_tokens_release(&tokens);
	return e;
}

static int read_rows(float *w, int n, char *const *words, trit_token *seen, struct trit_encoder *encoder,
                     const struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	struct trit_tensor_walk head;
	struct trit_gguf_tensor t;
	int e = find_head(c, g, &head, &t, err);
	for (int i = 0; i < n && !e; i++) {
		if ((e = first_token(encoder, words[i], &seen[i], err)))
			break;
		for (int k = 0; k < i; k++)
			if (seen[k] == seen[i])
				return trit_fail(err, TRIT_ERR_ARG, "the words \"%.60s\" and \"%.60s\" begin with the same token; "
				                 "choose others", words[k], words[i]);
		e = trit_tensor_floats(&head, &t, (size_t)seen[i], 1, w + (size_t)i * (size_t)c->d_model, err);
	}
	return e;
}

int trit_label_words(float *w, int n, char *const *words, const struct trit_tokenizer *t, const struct trit_config *c,
                     const struct trit_gguf *g, struct trit_error *err)
{
	struct trit_encoder *encoder = NULL;
	trit_token *seen = trit_calloc((size_t)n, sizeof *seen);
	int e = seen ? trit_encoder_new(&encoder, t, err) : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for words");
	if (!e)
		e = read_rows(w, n, words, seen, encoder, c, g, err);
	trit_encoder_free(encoder);
	trit_free(seen);
	return e;
}
