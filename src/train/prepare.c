/*
 * prepare.c - batches of documents through reading, cleaning, telling apart, and tokens or words.
 *
 * A batch goes through two parallel steps, clean and use, with a serial one behind each. Threads take documents, or
 * units of text, one after the other as they are free; what they make lies where the document's or unit's number says,
 * so who did what makes no difference.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/prepare.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/pool.h"
#include "text/bpe_train.h"
#include "train/shards.h"

#define BATCH_BYTES ((size_t)1 << 24)
#define BATCH_DOCUMENTS 65536

struct item {
	struct trit_document d; /* its text is at `at` of the batch's bytes */
	size_t at;
	struct trit_clean_text clean;
};

struct batch {
	char *bytes;
	size_t len, cap;
	struct item *items; /* [BATCH_DOCUMENTS] */
	size_t n;
	struct trit_signature *signatures; /* [BATCH_DOCUMENTS], for near duplicates */
	uint64_t position; /* of the reader behind it */
	bool last;
};

/* A piece of text that is on one side, and becomes tokens at once. */
struct unit {
	const char *text;
	size_t len;
	size_t item;
	bool first;  /* of its document */
	bool val;
	int worker;  /* that has its tokens, from .. from + n */
	size_t from, n;
};

struct worker {
	struct trit_normal_work normal;
	struct trit_encoder *encoder;
	struct trit_tokens tokens;
	struct trit_bpe_trainer *trainer;
	size_t failed; /* number of the document or unit that failed first */
	int status;
	struct trit_error err;
};

struct pipeline {
	const struct trit_corpus *corpus;
	const struct trit_prepare_settings *settings;
	struct trit_pool *pool;
	struct trit_reader *reader;
	struct trit_cleaner *cleaner;
	struct trit_dedup *dedup;
	struct trit_prepare_report *report;
	struct batch batches[2], *current, *next;
	struct unit *units;
	size_t n_units, units_cap;
	struct worker *workers; /* [n_workers] */
	int n_workers;
	atomic_size_t ticket;
	int read_status;
	struct trit_error read_error;
	bool any;               /* something was kept */
	/* tokens */
	const struct trit_tokenizer *tokenizer;
	trit_token begin;
	struct trit_shard_writer train, val;
	const char *dir;
	/* words */
	struct trit_bpe_trainer *trainer;
	char what[80];
};

struct trit_prepare_settings trit_prepare_defaults(void)
{
	return (struct trit_prepare_settings){ .likeness = 0.8f, .dedup_bytes = (uint64_t)1 << 30, .val_share = 0.01f };
}

void trit_prepare_report_release(struct trit_prepare_report *r)
{
	trit_free(r->counts);
	*r = (struct trit_prepare_report){ 0 };
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int append_document(struct batch *b, const struct trit_document *d, struct trit_error *err)
{
	if (d->len > b->cap - b->len) {
		size_t cap = b->cap ? b->cap : BATCH_BYTES;
		while (cap < b->len + d->len)
			cap *= 2;
		char *bytes = trit_realloc(b->bytes, b->cap, cap, 1);
		if (!bytes)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu bytes of text", cap);
		b->bytes = bytes;
		b->cap = cap;
	}
	memcpy(b->bytes + b->len, d->text, d->len);
	b->items[b->n++] = (struct item){ .d = *d, .at = b->len };
	b->len += d->len;
	return TRIT_OK;
}

/* Fills the next batch. */
static void read_batch(struct pipeline *p)
{
	struct batch *b = p->next;
	struct trit_document d;
	int e = 1;
	b->len = b->n = 0;
	while (b->len < BATCH_BYTES && b->n < BATCH_DOCUMENTS && (e = trit_reader_next(p->reader, &d, &p->read_error)) > 0)
		if ((e = append_document(b, &d, &p->read_error)) < 0)
			break;
	p->read_status = e < 0 ? e : TRIT_OK;
	b->last = b->len < BATCH_BYTES && b->n < BATCH_DOCUMENTS && e <= 0;
	b->position = trit_reader_position(p->reader);
}

/* ---- parallel steps ---------------------------------------------------------------------------------------------- */

static void fail_worker(struct worker *w, size_t number, int status)
{
	if (!w->status) {
		w->status = status;
		w->failed = number;
	}
}

static void clean_items(void *arg, int index, int n)
{
	struct pipeline *p = arg;
	struct worker *w = &p->workers[index];
	struct batch *b = p->current;
	(void)n;
	for (size_t i; !w->status && (i = atomic_fetch_add(&p->ticket, 1)) < b->n;) {
		struct item *it = &b->items[i];
		int e = trit_clean(p->cleaner, &w->normal, &it->d, p->corpus->paths[it->d.file], b->bytes + it->at, &it->clean,
		                   &w->err);
		if (e)
			fail_worker(w, i, e);
		else if (b->signatures && it->clean.fate == TRIT_FATE_KEPT)
			trit_signature_of(&b->signatures[i], it->clean.len, it->clean.text);
	}
}

static int encode_unit(struct pipeline *p, struct worker *w, struct unit *u)
{
	int e = TRIT_OK;
	u->from = w->tokens.len;
	if (u->first && p->begin >= 0)
		e = trit_tokens_append(&w->tokens, p->begin, &w->err);
	if (!e)
		e = trit_encode(w->encoder, u->len, u->text, 0, &w->tokens, &w->err);
	u->n = w->tokens.len - u->from;
	return e;
}

static void use_units(void *arg, int index, int n)
{
	struct pipeline *p = arg;
	struct worker *w = &p->workers[index];
	(void)n;
	if (index == 0 && !p->current->last)
		read_batch(p);
	for (size_t i; !w->status && (i = atomic_fetch_add(&p->ticket, 1)) < p->n_units;) {
		struct unit *u = &p->units[i];
		u->worker = index;
		int e = p->tokenizer ? encode_unit(p, w, u) : trit_bpe_trainer_add(w->trainer, u->len, u->text, &w->err);
		if (e)
			fail_worker(w, i, e);
	}
}

/* Runs a step on all threads. The error told is that of the first document, whoever met it. */
static int run_step(struct pipeline *p, trit_pool_fn *step, struct trit_error *err)
{
	struct worker *first = NULL;
	atomic_store(&p->ticket, 0);
	trit_pool_run(p->pool, step, p);
	for (int i = 0; i < p->n_workers; i++)
		if (p->workers[i].status && (!first || p->workers[i].failed < first->failed))
			first = &p->workers[i];
	if (first && err)
		*err = first->err;
	return first ? first->status : TRIT_OK;
}

/* ---- serial steps ------------------------------------------------------------------------------------------------ */

static int append_unit(struct pipeline *p, struct unit u, struct trit_error *err)
{
	if (p->n_units == p->units_cap) {
		size_t cap = p->units_cap ? 2 * p->units_cap : 4096;
		struct unit *units = trit_realloc(p->units, p->units_cap * sizeof *units, cap, sizeof *units);
		if (!units)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu pieces of text", cap);
		p->units = units;
		p->units_cap = cap;
	}
	p->units[p->n_units++] = u;
	return TRIT_OK;
}

static bool held_out(const struct pipeline *p, struct trit_fingerprint f)
{
	return (double)(f.a >> 11) * 0x1p-53 < (double)p->settings->val_share;
}

/* Length of the next piece of a long document: up to the end of a line, or of a character. */
static size_t piece_len(const char *text, size_t len)
{
	size_t cut = TRIT_PIECE_BYTES;
	if (len <= cut)
		return len;
	while (cut > TRIT_PIECE_BYTES / 2 && text[cut - 1] != '\n')
		cut--;
	if (text[cut - 1] == '\n')
		return cut;
	for (cut = TRIT_PIECE_BYTES; cut > 1 && ((unsigned char)text[cut] & 0xc0) == 0x80; cut--)
		;
	return cut;
}

static int cut_units(struct pipeline *p, size_t item, struct trit_error *err)
{
	const struct item *it = &p->current->items[item];
	const struct trit_clean_text *c = &it->clean;
	bool whole = c->len <= TRIT_WHOLE_BYTES;
	int e = TRIT_OK;
	for (size_t at = 0, n; at < c->len && !e; at += n) {
		n = whole ? c->len : piece_len(c->text + at, c->len - at);
		struct trit_fingerprint f = whole ? c->fingerprint : trit_fingerprint_text(n, c->text + at);
		e = append_unit(p, (struct unit){ .text = c->text + at, .len = n, .item = item,
			                          .first = at == 0 && !it->d.continued, .val = held_out(p, f) }, err);
	}
	return e;
}

/* Counts what came of the documents, drops duplicates, and cuts the rest into units. */
static int sort_items(struct pipeline *p, struct trit_error *err)
{
	struct batch *b = p->current;
	int e = TRIT_OK;
	p->n_units = 0;
	for (size_t i = 0; i < b->n && !e; i++) {
		struct trit_clean_text *c = &b->items[i].clean;
		struct trit_prepare_count *count = &p->report->counts[p->corpus->sources[b->items[i].d.file]];
		if (c->fate == TRIT_FATE_KEPT)
			e = trit_dedup_add(p->dedup, c->fingerprint, b->signatures ? &b->signatures[i] : NULL, &c->fate, err);
		count->fates[c->fate]++;
		if (e || c->fate != TRIT_FATE_KEPT)
			continue;
		count->bytes += c->len;
		p->any = true;
		e = cut_units(p, i, err);
	}
	return e;
}

static int put_tokens(struct pipeline *p, struct trit_error *err)
{
	int e = TRIT_OK;
	bool open_train = false, open_val = false; /* the unit before was of this document and on this side */
	for (size_t i = 0; i < p->n_units && !e; i++) {
		const struct unit *u = &p->units[i];
		const struct item *it = &p->current->items[u->item];
		struct trit_prepare_count *count = &p->report->counts[p->corpus->sources[it->d.file]];
		struct trit_shard_writer *w = u->val ? &p->val : &p->train;
		bool *open = u->val ? &open_val : &open_train, goes_on = *open && !u->first;
		open_train = open_val = false;
		*open = true;
		if (!goes_on && (e = trit_shard_writer_start(w, err)))
			break;
		e = trit_shard_writer_put(w, u->n, p->workers[u->worker].tokens.data + u->from, NULL, err);
		count->tokens += u->n;
		count->val_tokens += u->val ? u->n : 0;
	}
	for (int i = 0; i < p->n_workers; i++)
		p->workers[i].tokens.len = 0;
	return e;
}

static int merge_words(struct pipeline *p, struct trit_error *err)
{
	int e = TRIT_OK;
	for (int i = 0; i < p->n_workers && !e; i++)
		e = trit_bpe_trainer_merge(p->trainer, p->workers[i].trainer, err);
	return e;
}

/* Foretells from what came of the text so far what the shards will take. */
static int check_room(struct pipeline *p, const struct batch *b, struct trit_error *err)
{
	double width = p->train.n_vocab > 65536 ? 4 : 2;
	double tokens = (double)(p->train.n_tokens + p->val.n_tokens);
	double held = (double)(p->train.held + p->val.held); /* not written yet */
	double all = b->last || !b->position ? tokens : tokens * (double)p->corpus->bytes / (double)b->position;
	double need = (all - tokens + held) * width, room = (double)trit_free_space(p->dir);
	snprintf(p->what, sizeof p->what, "tokenising, to about %.1f MB", all * width / 1e6);
	if (need <= room)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_IO,
	                 "%s: the tokens need about %.0f MB more of disk and %.0f are free; free some or choose another "
	                 "place", p->dir, need / 1e6 + 1, room / 1e6);
}

static int advance(struct pipeline *p, const struct batch *b, struct trit_error *err)
{
	int e = p->tokenizer ? check_room(p, b, err) : TRIT_OK;
	uint64_t total = p->corpus->bytes > b->position ? p->corpus->bytes : b->position;
	if (!e && p->settings->progress && p->settings->progress(p->settings->progress_arg, p->what, b->position, total))
		e = trit_fail(err, TRIT_ERR_LIMIT, "stopped while preparing the text");
	return e;
}

static void release_items(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		trit_clean_text_release(&b->items[i].clean);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int open_worker(const struct pipeline *p, struct worker *w, struct trit_error *err)
{
	trit_tokens_init(&w->tokens, (size_t)1 << 31);
	return p->tokenizer ? trit_encoder_new(&w->encoder, p->tokenizer, err)
	                    : trit_bpe_trainer_new(&w->trainer, "gpt-2", err);
}

static int open_pipeline(struct pipeline *p, struct trit_error *err)
{
	const struct trit_prepare_settings *s = p->settings;
	int threads = s->n_threads > 0 ? s->n_threads : trit_cpu_count(), e;
	*p->report = (struct trit_prepare_report){ 0 };
	for (size_t i = 0; i < p->corpus->n; i++)
		if (p->corpus->sources[i] >= p->report->n)
			p->report->n = p->corpus->sources[i] + 1;
	p->report->counts = trit_calloc(p->report->n, sizeof *p->report->counts);
	p->workers = trit_calloc((size_t)threads, sizeof *p->workers);
	bool ok = p->report->counts && p->workers;
	for (int i = 0; i < 2 && ok; i++) {
		p->batches[i].items = trit_calloc(BATCH_DOCUMENTS, sizeof *p->batches[i].items);
		if (s->dedup == TRIT_DEDUP_NEAR)
			p->batches[i].signatures = trit_calloc(BATCH_DOCUMENTS, sizeof *p->batches[i].signatures);
		ok = p->batches[i].items && (s->dedup != TRIT_DEDUP_NEAR || p->batches[i].signatures);
	}
	if (!ok)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to prepare text");
	for (size_t i = 0; i < p->corpus->n; i++)
		p->report->counts[p->corpus->sources[i]].files++;
	if ((e = trit_pool_new(&p->pool, threads, err)) ||
	    (e = trit_reader_open(&p->reader, p->corpus, (enum trit_documents)s->documents,
	                          s->clean.invalid == TRIT_INVALID_SKIP, err)) ||
	    (e = trit_cleaner_new(&p->cleaner, &s->clean, err)) ||
	    (e = trit_dedup_new(&p->dedup, (enum trit_dedup_how)s->dedup, (double)s->likeness, s->dedup_bytes, err)))
		return e;
	for (; p->n_workers < threads; p->n_workers++)
		if ((e = open_worker(p, &p->workers[p->n_workers], err))) {
			p->n_workers++;
			return e;
		}
	return TRIT_OK;
}

static void close_pipeline(struct pipeline *p)
{
	for (int i = 0; i < p->n_workers; i++) {
		trit_normal_work_release(&p->workers[i].normal);
		trit_encoder_free(p->workers[i].encoder);
		trit_tokens_release(&p->workers[i].tokens);
		trit_bpe_trainer_free(p->workers[i].trainer);
	}
	for (int i = 0; i < 2; i++) {
		if (p->batches[i].items)
			release_items(&p->batches[i]);
		trit_free(p->batches[i].items);
		trit_free(p->batches[i].signatures);
		trit_free(p->batches[i].bytes);
	}
	trit_free(p->workers);
	trit_free(p->units);
	trit_dedup_free(p->dedup);
	trit_cleaner_free(p->cleaner);
	trit_reader_close(p->reader);
	trit_pool_free(p->pool);
}

static int run_batch(struct pipeline *p, struct trit_error *err)
{
	int e;
	if ((e = run_step(p, clean_items, err)) || (e = sort_items(p, err)) || (e = run_step(p, use_units, err)) ||
	    (e = p->tokenizer ? put_tokens(p, err) : merge_words(p, err)))
		return e;
	return advance(p, p->current, err);
}

static int run_pipeline(struct pipeline *p, struct trit_error *err)
{
	int e = TRIT_OK;
	p->next = &p->batches[0];
	p->current = &p->batches[1];
	read_batch(p);
	for (bool last = false; !last && !e;) {
		struct batch *read = p->next;
		p->next = p->current;
		p->current = read;
		if (p->read_status) {
			if (err)
				*err = p->read_error;
			return p->read_status;
		}
		last = read->last;
		e = run_batch(p, err);
		release_items(read);
		read->n = 0;
	}
	if (!e && !p->any)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s%s: no text to train on", p->corpus->paths[0],
		              p->corpus->n > 1 ? " and the others" : "");
	p->report->forgotten = trit_dedup_forgotten(p->dedup);
	return e;
}

int trit_prepare_vocab(const struct trit_corpus *c, const struct trit_prepare_settings *s, int n_vocab,
                       struct trit_vocab *vocab, struct trit_error *err)
{
	struct trit_prepare_report report;
	struct pipeline p = { .corpus = c, .settings = s, .report = &report, .what = "learning the vocabulary" };
	int e = trit_bpe_trainer_new(&p.trainer, "gpt-2", err);
	if (e)
		return e;
	if (!(e = open_pipeline(&p, err)) && !(e = run_pipeline(&p, err)))
		e = trit_bpe_train(p.trainer, n_vocab, vocab, err);
	close_pipeline(&p);
	trit_bpe_trainer_free(p.trainer);
	trit_prepare_report_release(&report);
	return e;
}

int trit_prepare_shards(const struct trit_corpus *c, const struct trit_prepare_settings *s,
                        const struct trit_tokenizer *t, const char *dir, struct trit_prepare_report *report,
                        struct trit_error *err)
{
	const struct trit_vocab *v = trit_tokenizer_vocab(t);
	struct pipeline p = { .corpus = c, .settings = s, .report = report, .tokenizer = t, .dir = dir,
		              .begin = v->bos >= 0 ? v->bos : v->eos, .what = "tokenising" };
	int e = open_pipeline(&p, err);
	if (!e && !(e = trit_make_dirs(dir, err)) &&
	    !(e = trit_shard_writer_init(&p.train, dir, "train", v->n_tokens, err)) &&
	    !(e = trit_shard_writer_init(&p.val, dir, "val", v->n_tokens, err)) && !(e = run_pipeline(&p, err)) &&
	    !(e = trit_shard_writer_finish(&p.train, err)))
		e = trit_shard_writer_finish(&p.val, err);
	trit_shard_writer_release(&p.train);
	trit_shard_writer_release(&p.val);
	close_pipeline(&p);
	return e;
}
