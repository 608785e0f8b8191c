/*
 * prepare.c - prepares token shards from text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/prepare.h"

#include "base/mem.h"
#include "base/rng.h"
#include "text/bpe_train.h"
#include "train/shards.h"

struct progress {
	trit_prepare_fn *fn;
	void *arg;
	const char *what;
	uint64_t done, total;
};

static int advance(struct progress *p, size_t bytes, struct trit_error *err)
{
	p->done += bytes;
	if (p->fn && p->fn(p->arg, p->what, p->done, p->total))
		return trit_fail(err, TRIT_ERR_LIMIT, "stopped while preparing the text; nothing was trained yet");
	return TRIT_OK;
}

struct learn {
	struct trit_bpe_trainer *trainer;
	struct progress progress;
};

static int learn_piece(void *arg, size_t len, const char *text, bool first, struct trit_error *err)
{
	struct learn *l = arg;
	(void)first;
	int e = trit_bpe_trainer_add(l->trainer, len, text, err);
	return e ? e : advance(&l->progress, len, err);
}

int trit_data_learn_vocab(const struct trit_corpus *c, const struct trit_recipe *r, struct trit_vocab *vocab,
                          trit_prepare_fn *progress, void *arg, struct trit_error *err)
{
	struct learn l = { .progress = { progress, arg, "learning the vocabulary", 0, c->bytes } };
	int e = trit_bpe_trainer_new(&l.trainer, "gpt-2", err);
	if (e)
		return e;
	e = trit_corpus_each(c, learn_piece, &l, err);
	if (!e)
		e = trit_bpe_train(l.trainer, r->n_vocab, vocab, err);
	trit_bpe_trainer_free(l.trainer);
	return e;
}

struct prepare {
	const struct trit_tokenizer *tokenizer;
	struct trit_encoder *encoder;
	struct trit_tokens tokens;
	struct trit_shard_writer train, val;
	double val_share;
	struct progress progress;
};

static int prepare_piece(void *arg, size_t len, const char *text, bool first, struct trit_error *err)
{
	struct prepare *p = arg;
	trit_token bos = trit_tokenizer_vocab(p->tokenizer)->bos;
	int e = TRIT_OK;
	p->tokens.len = 0;
	if (first && bos >= 0)
		e = trit_tokens_append(&p->tokens, bos, err);
	if (!e)
		e = trit_encode(p->encoder, len, text, 0, &p->tokens, err);
	if (e)
		return e;
	if (first && ((e = trit_shard_writer_start(&p->train, err)) || (e = trit_shard_writer_start(&p->val, err))))
		return e;
	double u = (double)(trit_hash_bytes(0, text, len) >> 11) * 0x1p-53;
	e = trit_shard_writer_put(u < p->val_share ? &p->val : &p->train, p->tokens.len, p->tokens.data, NULL, err);
	return e ? e : advance(&p->progress, len, err);
}

int trit_data_prepare(const struct trit_corpus *c, const struct trit_recipe *r, const struct trit_tokenizer *t,
                      const char *dir, trit_prepare_fn *progress, void *arg, struct trit_error *err)
{
	struct prepare p = { .tokenizer = t, .val_share = (double)r->val_share,
		             .progress = { progress, arg, "tokenising", 0, c->bytes } };
	int n_vocab = trit_tokenizer_vocab(t)->n_tokens, e;
	trit_tokens_init(&p.tokens, 16 * TRIT_PIECE_BYTES); /* a character may be written out as several */
	if (!(e = trit_make_dirs(dir, err)) && !(e = trit_encoder_new(&p.encoder, t, err)) &&
	    !(e = trit_shard_writer_init(&p.train, dir, "train", n_vocab, err)) &&
	    !(e = trit_shard_writer_init(&p.val, dir, "val", n_vocab, err)) &&
	    !(e = trit_corpus_each(c, prepare_piece, &p, err)) && !(e = trit_shard_writer_finish(&p.train, err)))
		e = trit_shard_writer_finish(&p.val, err);
	trit_shard_writer_release(&p.train);
	trit_shard_writer_release(&p.val);
	trit_encoder_free(p.encoder);
	trit_tokens_release(&p.tokens);
	return e;
}
