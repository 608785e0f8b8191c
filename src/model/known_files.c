/*
 * known_files.c - notes on GGUF files as they are found in the wild, the official ones of BitNet b1.58 2B-4T first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/known_files.h"

#include "base/mem.h"

static bool is_text(const struct trit_gguf *g, const char *key, const char *text)
{
	const char *v = "";
	size_t len = 0;
	return trit_gguf_get_string(g, key, &v, &len, NULL) == 0 && len == strlen(text) && !memcmp(v, text, len);
}

static void note_vocab(struct trit_notes *notes, const struct trit_gguf *g, const struct trit_vocab *v)
{
	if (strcmp(v->model, "gpt2") || trit_gguf_find_key(g, "tokenizer.ggml.pre"))
		return;
	trit_note(notes, TRIT_NOTE_ASSUMED, "no key tokenizer.ggml.pre: %s",
	          v->pre[0] ? v->pre : "the words are GPT-2's, since the tokens do not tell");
}

/* A head that is stored although it is the embedding, told by its first, middle and last bytes. */
static void note_copied_head(struct trit_notes *notes, const struct trit_gguf *g)
{
	const struct trit_gguf_tensor *a = trit_gguf_find_tensor(g, "token_embd.weight");
	const struct trit_gguf_tensor *b = trit_gguf_find_tensor(g, "output.weight");
	if (!a || !b || a->type != b->type || a->bytes != b->bytes || a->data == b->data)
		return;
	size_t size = (size_t)a->bytes, n = size < 4096 ? size : 4096, places[] = { 0, (size - n) / 2, size - n };
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (memcmp(a->data + places[i], b->data + places[i], n) != 0)
			return;
	trit_note(notes, TRIT_NOTE_FOUND, "output.weight is a copy of token_embd.weight, as it seems: %.1f MiB of the file "
	                                  "for nothing", (double)size / 0x1p20);
}

void trit_note_gguf(struct trit_notes *notes, const struct trit_gguf *g, const struct trit_vocab *vocab)
{
	if (is_text(g, "general.architecture", "bitnet-25"))
		trit_note(notes, TRIT_NOTE_FOUND, "bitnet-25 is the official 2B-4T's name of bitnet-b1.58: squared ReLU and "
		                                  "sub-norms, though no key says so");
	if (vocab)
		note_vocab(notes, g, vocab);
	note_copied_head(notes, g);
}
