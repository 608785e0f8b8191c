/*
 * labelled.c - labelled texts to windows; scores.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/labelled.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"

#define MAX_TEXT_TOKENS ((size_t)1 << 20)

/* ---- texts to examples ------------------------------------------------------------------------------------------- */

struct maker {
	const struct trit_classify_options *o;
	const struct trit_windows_options *wo;
	struct trit_classify_counts *counts;
	size_t n_paths;
	char *const *paths;
	struct trit_encoder *encoder;
	struct trit_tokens tokens;
	bool *loss; /* [S + 1] */
	bool val;   /* files to validate on are being read */
	trit_example_fn *add;
	void *adder;
};

/* Which side a text is on: its copies are on the same one. Files to validate on are on theirs (fill). */
static uint64_t key_of(const struct maker *m, const struct trit_label_row *row)
{
	if (m->o->n_val)
		return m->val ? 0 : UINT64_MAX;
	return trit_hash_bytes(0, row->text, row->text_len);
}

static bool is_held_out(const struct maker *m, uint64_t key)
{
	return m->o->n_val ? m->val : (double)(key >> 11) * 0x1p-53 < m->wo->val_share;
}

/* The tokens, and behind them the label in the place of one. */
static int add_row(void *arg, const struct trit_label_row *row, struct trit_error *err)
{
	struct maker *m = arg;
	uint64_t key = key_of(m, row);
	bool cut;
	int label = trit_label_of_row(&m->o->labels, row, err), e;
	if (label < 0)
		return label;
	m->tokens.len = 0;
	if ((e = trit_labels_encode(&m->o->labels, m->encoder, row->text_len, row->text, (size_t)m->wo->seq_len,
	                            &m->tokens, &cut, err)))
		return e;
	size_t n = m->tokens.len;
	if (n == 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "a text without tokens");
	if ((e = trit_tokens_append(&m->tokens, label, err)))
		return e;
	m->loss[n] = true;
	e = m->add(m->adder, n + 1, m->tokens.data, m->loss, key, err);
	m->loss[n] = false;
	m->counts->cut += cut;
	m->counts->of_label[(is_held_out(m, key) ? m->o->labels.n : 0) + label]++;
	const struct trit_label_counts *done = &m->counts->rows[m->val];
	return e ? e : trit_windows_progress(m->wo, done->done, done->bytes, err);
}

static int fill(void *arg, trit_example_fn *add, void *adder, struct trit_error *err)
{
	struct maker *m = arg;
	m->add = add;
	m->adder = adder;
	int e = trit_label_rows_each(m->n_paths, m->paths, &m->o->rows, add_row, m, &m->counts->rows[0], err);
	m->val = true;
	if (!e && m->o->n_val)
		e = trit_label_rows_each(m->o->n_val, m->o->val, &m->o->rows, add_row, m, &m->counts->rows[1], err);
	return e;
}

int trit_classify_prepare(const struct trit_classify_options *o, size_t n_paths, char *const *paths,
                          const struct trit_tokenizer *t, const struct trit_windows_options *wo, const char *dir,
                          struct trit_classify_counts *counts, struct trit_error *err)
{
	struct trit_windows_options options = *wo;
	struct maker m = { .o = o, .wo = &options, .counts = counts, .n_paths = n_paths, .paths = paths };
	if (o->n_val)
		options.val_share = 0.5; /* above the key of one side and below the other's */
	*counts = (struct trit_classify_counts){ 0 };
	trit_tokens_init(&m.tokens, MAX_TEXT_TOKENS);
	m.loss = trit_calloc((size_t)wo->seq_len + 1, sizeof *m.loss);
	counts->of_label = trit_calloc(2 * (size_t)o->labels.n, sizeof *counts->of_label);
	int e = m.loss && counts->of_label ? trit_encoder_new(&m.encoder, t, err)
	                                   : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for examples");
	if (!e)
		e = trit_windows_fill(&options, trit_tokenizer_vocab(t)->eos, fill, &m, dir, err);
	trit_encoder_free(m.encoder);
	trit_tokens_release(&m.tokens);
	trit_free(m.loss);
	return e;
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

void trit_classify_scores(const struct trit_label_head *h, double *accuracy, double *f1)
{
	double right = 0, all = 0, sum = 0;
	int labels = 0;
	for (int i = 0; i < h->n; i++) {
		double both = h->expected[i] + h->predicted[i];
		right += h->right[i];
		all += h->expected[i];
		sum += both > 0 ? 2 * h->right[i] / both : 0;
		labels += both > 0;
	}
	*accuracy = all > 0 ? right / all : (double)NAN;
	*f1 = labels ? sum / labels : (double)NAN;
}
