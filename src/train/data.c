/*
 * data.c - draws windows from token shards.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/data.h"

#include <math.h>

#include "base/mem.h"
#include "train/order.h"

struct trit_data_part {
	struct trit_shards train, val;
	uint64_t n_windows, n_val_windows;         /* of an epoch */
	uint64_t first_window, first_val_window;   /* in the list of all */
	uint64_t slots, first_slot;                /* of a block of TRIT_MIX_BLOCK, with weights */
};

/* What a key is for, so that no two are the same. */
enum { KEY_WINDOWS = 1, KEY_OFFSET, KEY_MIX, KEY_VALIDATION };

static uint64_t key_of(const struct trit_data *d, int what, int part, uint64_t number)
{
	return trit_order_key(d->seed, (uint64_t)what << 32 | (uint32_t)part, number);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int open_part(struct trit_data *d, struct trit_data_part *p, const char *dir, struct trit_error *err)
{
	int e;
	if ((e = trit_shards_open(&p->train, dir, "train", d->n_vocab, err)) ||
	    (e = trit_shards_open(&p->val, dir, "val", d->n_vocab, err)))
		return e;
	uint64_t s = (uint64_t)d->seq_len;
	if (p->train.n_tokens < s + 1)
		return trit_fail(
			err, TRIT_ERR_LIMIT,
			"%s: the training text has %llu tokens, fewer than one sequence of %d + 1; use more text or a smaller "
			"--seq-len",
			dir, (unsigned long long)p->train.n_tokens, d->seq_len);
	p->n_windows = (p->train.n_tokens - 1) / s;
	if (p->n_windows > 1 && p->n_windows * s + s - 1 > p->train.n_tokens - 1)
		p->n_windows--; /* leave room for any offset */
	p->n_val_windows = p->val.n_tokens > s ? (p->val.n_tokens - 1) / s : 0;
	p->first_window = d->n_windows;
	p->first_val_window = d->n_val_windows;
	d->n_windows += p->n_windows;
	d->n_val_windows += p->n_val_windows;
	d->n_train_tokens += p->train.n_tokens;
	d->n_val_tokens += p->val.n_tokens;
	d->masked |= p->train.masked || p->val.masked;
	return TRIT_OK;
}

/* Slots of a block for each source: its share rounded, at least one; what is over or wanting goes to the largest. */
static int share_slots(struct trit_data *d, const struct trit_data_source *sources, struct trit_error *err)
{
	double sum = 0;
	int largest = 0, given = 0;
	for (int i = 0; i < d->n_parts; i++) {
		given += sources[i].weight > 0;
		sum += sources[i].weight;
		if (sources[i].weight > sources[largest].weight)
			largest = i;
	}
	d->weighted = given > 0;
	if (!given)
		return TRIT_OK;
	if (given < d->n_parts || !isfinite(sum))
		return trit_fail(err, TRIT_ERR_ARG, "some sources have a weight and some have none; give it to all: "
		                                    "--data FILE:0.7 --data FILE:0.3");
	if (d->n_parts > TRIT_MIX_BLOCK / 4)
		return trit_fail(err, TRIT_ERR_ARG, "%d sources with weights; at most %d", d->n_parts, TRIT_MIX_BLOCK / 4);
	int64_t left = TRIT_MIX_BLOCK;
	for (int i = 0; i < d->n_parts; i++) {
		double slots = rint(sources[i].weight / sum * TRIT_MIX_BLOCK);
		d->parts[i].slots = slots < 1 ? 1 : (uint64_t)slots;
		left -= (int64_t)d->parts[i].slots;
	}
	if ((int64_t)d->parts[largest].slots + left < 1)
		return trit_fail(err, TRIT_ERR_ARG, "the weights of the sources are too uneven");
	d->parts[largest].slots = (uint64_t)((int64_t)d->parts[largest].slots + left);
	for (int i = 1; i < d->n_parts; i++)
		d->parts[i].first_slot = d->parts[i - 1].first_slot + d->parts[i - 1].slots;
	return TRIT_OK;
}

int trit_data_open_mix(struct trit_data *d, int n_sources, const struct trit_data_source *sources, int n_vocab,
                       int seq_len, uint64_t seed, struct trit_error *err)
{
	*d = (struct trit_data){ .seq_len = seq_len, .n_vocab = n_vocab, .seed = seed };
	int e = TRIT_OK;
	d->parts = trit_calloc((size_t)n_sources, sizeof *d->parts);
	if (!d->parts)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d sources of data", n_sources);
	while (!e && d->n_parts < n_sources) {
		d->n_parts++;
		e = open_part(d, &d->parts[d->n_parts - 1], sources[d->n_parts - 1].dir, err);
	}
	if (!e)
		e = share_slots(d, sources, err);
	if (e)
		trit_data_close(d);
	return e;
}

int trit_data_open(struct trit_data *d, const char *dir, int n_vocab, int seq_len, uint64_t seed,
                   struct trit_error *err)
{
	return trit_data_open_mix(d, 1, &(struct trit_data_source){ .dir = dir }, n_vocab, seq_len, seed, err);
}

void trit_data_close(struct trit_data *d)
{
	for (int i = 0; i < d->n_parts; i++) {
		trit_shards_close(&d->parts[i].train);
		trit_shards_close(&d->parts[i].val);
	}
	trit_free(d->parts);
	*d = (struct trit_data){ 0 };
}

int trit_data_check(const struct trit_data *d, struct trit_error *err)
{
	if (!d->n_damaged)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_FORMAT,
	                 "%llu tokens of the data are not in the vocabulary of %d: a shard is damaged; prepare "
	                 "the data again",
	                 (unsigned long long)d->n_damaged, d->n_vocab);
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

/* Tokens [at, at + S] of a list, each a token of the vocabulary whatever the file says. */
static void read_window(struct trit_data *d, const struct trit_shards *s, uint64_t at, trit_token *out,
                        float *weights)
{
	size_t length = (size_t)d->seq_len + 1;
	trit_shards_read(s, at, length, out);
	for (size_t i = 0; i < length; i++)
		if ((uint32_t)out[i] >= (uint32_t)d->n_vocab) {
			out[i] = 0;
			d->n_damaged++;
		}
	if (weights)
		trit_shards_read_loss(s, at + 1, (size_t)d->seq_len, weights);
}

/* Window `number` of an epoch of a source, in order of the text. */
static void read_train(struct trit_data *d, int part, uint64_t epoch, uint64_t number, trit_token *out,
                       float *weights)
{
	const struct trit_data_part *p = &d->parts[part];
	uint64_t s = (uint64_t)d->seq_len, spare = p->train.n_tokens - 1 - p->n_windows * s;
	uint64_t most = spare < s ? spare : s - 1;
	uint64_t offset = key_of(d, KEY_OFFSET, part, epoch) % (most + 1);
	read_window(d, &p->train, offset + number * s, out, weights);
}

/* Window `i` of the run where all sources are one list. */
static void read_plain(struct trit_data *d, uint64_t i, trit_token *out, float *weights)
{
	uint64_t epoch = i / d->n_windows;
	uint64_t window = trit_order_at(d->n_windows, key_of(d, KEY_WINDOWS, 0, epoch), i % d->n_windows);
	int part = d->n_parts - 1;
	while (d->parts[part].first_window > window)
		part--;
	read_train(d, part, epoch, window - d->parts[part].first_window, out, weights);
}

/* Window `i` of the run where each source has its share. The place within its slots makes windows of the same source in
 * one block different ones, so that it goes through all of its own before it begins again. */
static void read_mixed(struct trit_data *d, uint64_t i, trit_token *out, float *weights)
{
	uint64_t block = i / TRIT_MIX_BLOCK;
	uint64_t slot = trit_order_at(TRIT_MIX_BLOCK, key_of(d, KEY_MIX, 0, block), i % TRIT_MIX_BLOCK);
	int part = d->n_parts - 1;
	while (d->parts[part].first_slot > slot)
		part--;
	const struct trit_data_part *p = &d->parts[part];
	uint64_t own = block * p->slots + (slot - p->first_slot), epoch = own / p->n_windows;
	uint64_t window = trit_order_at(p->n_windows, key_of(d, KEY_WINDOWS, part, epoch), own % p->n_windows);
	read_train(d, part, epoch, window, out, weights);
}

void trit_data_train(struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights)
{
	for (int i = 0; i < n; i++) {
		trit_token *tokens = out + (size_t)i * ((size_t)d->seq_len + 1);
		float *loss = weights ? weights + (size_t)i * (size_t)d->seq_len : NULL;
		if (d->weighted)
			read_mixed(d, first + (uint64_t)i, tokens, loss);
		else
			read_plain(d, first + (uint64_t)i, tokens, loss);
	}
}

void trit_data_val(struct trit_data *d, uint64_t first, int n, trit_token *out, float *weights)
{
	for (int i = 0; i < n; i++) {
		uint64_t window = first + (uint64_t)i;
		int part = d->n_parts - 1;
		if (d->n_parts > 1) /* the same for all seeds, so that runs can be compared */
			window = trit_order_at(d->n_val_windows, trit_order_key(0, KEY_VALIDATION, 0), window);
		while (d->parts[part].first_val_window > window)
			part--;
		window -= d->parts[part].first_val_window;
		read_window(d, &d->parts[part].val, window * (uint64_t)d->seq_len, out + (size_t)i * ((size_t)d->seq_len + 1),
		            weights ? weights + (size_t)i * (size_t)d->seq_len : NULL);
	}
}
