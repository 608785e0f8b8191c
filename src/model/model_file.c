/*
 * model_file.c - opens whatever holds a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/model_file.h"

#include "format/gguf_vocab.h"
#include "format/vocab_file.h"

static int open_gguf(struct trit_model_file *f, const char *path, bool want_vocab, struct trit_error *err)
{
	int e = trit_gguf_open(&f->gguf, path, err);
	if (e)
		return e;
	f->kind = TRIT_KIND_GGUF;
	f->bytes = trit_gguf_file_bytes(&f->gguf);
	if (!want_vocab || !trit_gguf_has_vocab(&f->gguf))
		return TRIT_OK;
	e = trit_gguf_read_vocab(&f->gguf, &f->vocab, err);
	f->has_vocab = !e;
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}

int trit_model_file_open(struct trit_model_file *f, const char *path, const struct trit_model_file_options *options,
                         struct trit_error *err)
{
	const char *tokenizer = options ? options->tokenizer : NULL;
	*f = (struct trit_model_file){ 0 };
	int e = open_gguf(f, path, !tokenizer, err);
	if (!e && tokenizer && !(e = trit_vocab_file_read(tokenizer, &f->vocab, err)))
		f->has_vocab = true;
	if (e)
		trit_model_file_close(f);
	return e;
}

void trit_model_file_close(struct trit_model_file *f)
{
	if (!f)
		return;
	trit_gguf_close(&f->gguf);
	trit_vocab_release(&f->vocab);
	trit_notes_release(&f->notes);
	*f = (struct trit_model_file){ 0 };
}

int trit_model_file_check_weights(const struct trit_model_file *f, const char *path, struct trit_error *err)
{
	if (f->gguf.n_tensors)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 f->has_vocab ? "%s: a vocabulary without weights: trit tokenize can use it, but nothing else"
	                              : "%s: holds neither weights nor a vocabulary",
	                 path);
}
