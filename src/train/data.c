/*
 * data.c - prepares token shards and draws windows from them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/data.h"

#include "base/mem.h"
#include "base/rng.h"
#include "text/bpe_train.h"

/* ---- preparing --------------------------------------------------------------------------------------------------- */

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

/* ---- order ------------------------------------------------------------------------------------------------------- */

/* Permutation and offset of an epoch: Fisher-Yates from a generator seeded by (seed, epoch). */
static void shuffle(struct trit_data *d, uint64_t epoch)
{
	struct trit_rng rng;
	trit_rng_init(&rng, trit_hash64(d->seed ^ trit_hash64(epoch + 1)));
	uint64_t spare = d->train.n_tokens - 1 - d->n_windows * (uint64_t)d->seq_len;
	uint64_t most = spare < (uint64_t)d->seq_len ? spare : (uint64_t)d->seq_len - 1;
	d->offset = trit_rng_below(&rng, most + 1);
	for (uint64_t i = 0; i < d->n_windows; i++)
		d->order[i] = (uint32_t)i;
	for (uint64_t i = d->n_windows - 1; i > 0; i--) {
		uint64_t j = trit_rng_below(&rng, i + 1);
		uint32_t swap = d->order[i];
		d->order[i] = d->order[j];
		d->order[j] = swap;
	}
	d->epoch = epoch;
}

int trit_data_open(struct trit_data *d, const char *dir, int n_vocab, int seq_len, uint64_t seed,
                   struct trit_error *err)
{
	*d = (struct trit_data){ .seq_len = seq_len, .seed = seed };
	int e;
	if ((e = trit_shards_open(&d->train, dir, "train", n_vocab, err)) ||
	    (e = trit_shards_open(&d->val, dir, "val", n_vocab, err))) {
		trit_data_close(d);
		return e;
	}
	uint64_t s = (uint64_t)seq_len;
	if (d->train.n_tokens < s + 1) {
		e = trit_fail(
			err, TRIT_ERR_LIMIT,
			"the training text has %llu tokens, fewer than one sequence of %d + 1; use more text or a smaller "
			"--seq-len",
			(unsigned long long)d->train.n_tokens, seq_len);
		trit_data_close(d);
		return e;
	}
	d->n_windows = (d->train.n_tokens - 1) / s;
	if (d->n_windows > 1 && d->n_windows * s + s - 1 > d->train.n_tokens - 1)
		d->n_windows--; /* leave room for any offset */
	d->n_val_windows = d->val.n_tokens > s ? (d->val.n_tokens - 1) / s : 0;
	d->order = d->n_windows <= UINT32_MAX ? trit_calloc(d->n_windows, sizeof *d->order) : NULL;
	if (!d->order) {
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the order of %llu windows",
		              (unsigned long long)d->n_windows);
		trit_data_close(d);
		return e;
	}
	shuffle(d, 0);
	return TRIT_OK;
}

void trit_data_close(struct trit_data *d)
{
	trit_shards_close(&d->train);
	trit_shards_close(&d->val);
	trit_free(d->order);
	*d = (struct trit_data){ 0 };
}

/* Window i of a call, from token `at` on. */
static void read_window(const struct trit_shards *s, uint64_t at, size_t seq_len, int i, trit_token *out,
                        float *weights)
{
	trit_shards_read(s, at, seq_len + 1, out + (size_t)i * (seq_len + 1));
	if (weights)
		trit_shards_read_loss(s, at + 1, seq_len, weights + (size_t)i * seq_len);
}

void trit_data_train(struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights)
{
	for (int i = 0; i < n; i++) {
		uint64_t window = first + (uint64_t)i, epoch = window / d->n_windows;
		if (epoch != d->epoch)
			shuffle(d, epoch);
		uint64_t at = d->offset + (uint64_t)d->order[window % d->n_windows] * (uint64_t)d->seq_len;
		read_window(&d->train, at, (size_t)d->seq_len, i, out, weights);
	}
}

void trit_data_val(const struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights)
{
	for (int i = 0; i < n; i++)
		read_window(&d->val, (first + (uint64_t)i) * (uint64_t)d->seq_len, (size_t)d->seq_len, i, out, weights);
}
