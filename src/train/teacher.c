/*
 * teacher.c - a teacher through a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/teacher.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include <trit.h>

#include "base/rng.h"
#include "train/init.h"

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static bool has_kl(const struct trit_recipe *r)
{
	return r->kl_weight > 0 || r->kl_share > 0;
}

static bool has_relation(const struct trit_recipe *r)
{
	return r->relation_weight > 0 || r->relation_share > 0;
}

static bool distils(const struct trit_recipe *r)
{
	return has_kl(r) || has_relation(r);
}

/* A teacher's file and what it says of itself, before its weights are looked at. */
static int open_file(struct trit_model_file *file, struct trit_config *c, const char *path, const char *tokenizer,
                     struct trit_error *err)
{
	const struct trit_model_file_options options = { .tokenizer = tokenizer };
	int e = trit_model_file_open(file, path, &options, err);
	if (!e && ((e = trit_model_file_check_weights(file, path, err)) || (e = trit_config_read(c, &file->gguf, err))))
		trit_model_file_close(file);
	return e ? trit_fail_prefix(err, e, "the teacher") : TRIT_OK;
}

int trit_teacher_vocab(const char *path, const char *tokenizer, struct trit_vocab *vocab, int *n_vocab,
                       struct trit_error *err)
{
	struct trit_model_file file;
	struct trit_config config;
	int e = open_file(&file, &config, path, tokenizer, err);
	if (e)
		return e;
	if (!file.has_vocab)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: the teacher has no vocabulary; give it with --tokenizer", path);
	else if (file.vocab.n_tokens > config.n_vocab)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: %d rows in the teacher's embedding for a vocabulary of %d tokens",
		              path, config.n_vocab, file.vocab.n_tokens);
	if (!e) {
		*n_vocab = config.n_vocab;
		*vocab = file.vocab;
		file.vocab = (struct trit_vocab){ 0 };
	}
	trit_model_file_close(&file);
	return e;
}

#define PRINT_BYTES 4096 /* of each tensor */

/* Tells teachers apart without reading them whole. */
static uint64_t finger_print(const struct trit_model *m)
{
	uint64_t hash = 0;
	for (uint64_t i = 0; i < m->gguf.n_tensors; i++) {
		const struct trit_gguf_tensor *t = &m->gguf.tensors[i];
		hash = trit_hash_bytes(hash, t->data, t->bytes < PRINT_BYTES ? t->bytes : PRINT_BYTES);
	}
	return hash;
}

/* Token by token, so that what the one says is what the other hears. */
static int check_vocab(const char *path, const struct trit_vocab *theirs, int n_theirs, const struct trit_vocab *own,
                       int n_own, struct trit_error *err)
{
	static const char remedy[] = "a student learns from a teacher with its own tokens: leave --tokenizer out, and take "
	                             "an --init of the teacher's vocabulary";
	if (n_theirs != n_own)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: a vocabulary of %d tokens, the student's has %d; %s", path,
		                 n_theirs, n_own, remedy);
	int i = theirs ? trit_vocab_difference(own, theirs) : -1;
	if (i < 0)
		return TRIT_OK;
	const struct trit_piece *a = &own->pieces[i], *b = &theirs->pieces[i];
	return trit_fail(err, TRIT_ERR_FORMAT, "%s: another vocabulary (token %d is \"%.*s\", the student's \"%.*s\"); %s",
	                 path, i, (int)(b->len < 40 ? b->len : 40), b->text, (int)(a->len < 40 ? a->len : 40), a->text,
	                 remedy);
}

static int check(const char *path, const struct trit_config *teacher, const struct trit_config *student,
                 const struct trit_recipe *r, struct trit_error *err)
{
	if (!distils(r))
		return trit_fail(err, TRIT_ERR_ARG, "nothing is learnt from the teacher: --kl-share, --kl-weight, "
		                 "--relation-share and --relation-weight are all 0");
	if (r->relation_layer > student->n_layers)
		return trit_fail(err, TRIT_ERR_ARG, "--relation-layer is %d; the student has %d layers", r->relation_layer,
		                 student->n_layers);
	if (r->steps && r->warm_steps >= r->steps)
		return trit_fail(err, TRIT_ERR_ARG, "--warm-steps is %d of %d steps: the teacher would never come in",
		                 r->warm_steps, r->steps);
	if (has_relation(r) && r->relation_heads) {
		int e = trit_relation_heads_check(r->relation_heads, student, teacher, err);
		if (e)
			return e;
	}
	if (teacher->n_ctx < r->seq_len)
		return trit_fail(err, TRIT_ERR_ARG, "%s: trained for %d positions; choose --seq-len %d or less", path,
		                 teacher->n_ctx, teacher->n_ctx);
	return TRIT_OK;
}

int trit_teacher_check(const char *path, const struct trit_config *student, const struct trit_vocab *vocab,
                       const struct trit_recipe *r, struct trit_error *err)
{
	struct trit_model_file file;
	struct trit_config config;
	int e = open_file(&file, &config, path, NULL, err);
	if (e)
		return e;
	if (!(e = check(path, &config, student, r, err)))
		e = check_vocab(path, file.has_vocab ? &file.vocab : NULL, config.n_vocab, vocab, student->n_vocab, err);
	trit_model_file_close(&file);
	return e;
}

static int set_up(struct trit_teacher *t, struct trit_error *err)
{
	const struct trit_recipe *r = t->recipe;
	const struct trit_net *net = t->net;
	struct trit_distill_options o = { .kl = has_kl(r), .relation = has_relation(r), .temperature = r->temperature,
		                          .heads = r->relation_heads, .seq_len = net->seq_len, .max_seqs = net->max_seqs,
		                          .head_chunk = net->head_chunk };
	o.layer = (r->relation_layer ? r->relation_layer : net->config->n_layers) - 1;
	o.teacher_layer = trit_init_layer(o.layer, net->config->n_layers, t->model->config.n_layers);
	if (!o.heads)
		o.heads = trit_relation_heads(net->config, &t->model->config);
	return trit_distill_init(&t->distill, t->model, net->config, net->kernels, net->pool, &o, err);
}

/* The path from the root, so that --resume finds it from anywhere. */
static int remember(struct trit_teacher *t, const char *path, struct trit_error *err)
{
	struct trit_teaching *state = t->state;
	uint64_t print = finger_print(t->model);
	char whole[PATH_MAX];
	if (state->path[0] && print != state->print)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: not the teacher that the run began with (%s); give that one with "
		                 "--teacher", path, state->path);
	if (!realpath(path, whole) || strlen(whole) >= sizeof state->path)
		return trit_fail_errno(err, "%s: no path from the root", path);
	memcpy(state->path, whole, strlen(whole) + 1);
	state->print = print;
	return TRIT_OK;
}

static int open_teacher(struct trit_teacher *t, const char *path, const struct trit_vocab *vocab,
                        struct trit_error *err)
{
	struct trit_model_options options = { .cpu = trit_tier_name(t->net->kernels->tier), .head = "exact",
		                              .n_threads = trit_pool_size(t->net->pool) };
	int e = trit_model_open_with(&t->model, path, &options, err);
	if (e)
		return trit_fail_prefix(err, e, "the teacher");
	const struct trit_config *c = &t->model->config;
	const struct trit_vocab *theirs = t->model->tokenizer ? trit_tokenizer_vocab(t->model->tokenizer) : NULL;
	if ((e = check(path, c, t->net->config, t->recipe, err)) ||
	    (e = check_vocab(path, theirs, c->n_vocab, vocab, t->net->config->n_vocab, err)) ||
	    (e = remember(t, path, err)))
		return e;
	return set_up(t, err);
}

int trit_teacher_open(struct trit_teacher *t, const char *path, struct trit_teaching *state,
                      const struct trit_recipe *r, struct trit_net *net, int parts,
                      const struct trit_transport *transport, const struct trit_vocab *vocab, struct trit_error *err)
{
	*t = (struct trit_teacher){ .recipe = r, .net = net, .state = state, .transport = transport, .n_parts = parts };
	t->parts = trit_calloc((size_t)parts, TRIT_N_DISTILL_SUMS * sizeof *t->parts);
	if (!t->parts)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the teacher");
	int e = open_teacher(t, path ? path : state->path, vocab, err);
	if (e)
		trit_teacher_close(t);
	return e;
}

void trit_teacher_close(struct trit_teacher *t)
{
	trit_distill_release(&t->distill);
	trit_model_close(t->model);
	trit_free(t->parts);
	*t = (struct trit_teacher){ 0 };
}

size_t trit_teacher_bytes(const struct trit_teacher *t)
{
	if (!t->model)
		return 0;
	return trit_distill_bytes(&t->distill) + t->model->arena.size + (size_t)t->model->stats.mapped_bytes;
}

size_t trit_teacher_used_bytes(const struct trit_teacher *t)
{
	return t->model ? t->model->arena.size : 0;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void update(struct trit_teacher *t, const double *sums)
{
	if (t->distill.options.kl)
		trit_balance_update(&t->state->kl, sums[TRIT_SUM_CE_AT_LOGITS], sums[TRIT_SUM_KL_AT_LOGITS]);
	if (t->distill.options.relation)
		trit_balance_update(&t->state->relation, sums[TRIT_SUM_OTHERS_AT_LAYER], sums[TRIT_SUM_RELATION_AT_LAYER]);
}

/* A pass whose gradient is dropped; only the ratios of its norms count. The relation's is measured with the KL's weight
 * known, which is part of the others' gradient. */
static void measure(struct trit_teacher *t, int n, const trit_token *batch, const float *weights)
{
	const struct trit_recipe *r = t->recipe;
	float scale = 1.0f / ((float)n * (float)r->seq_len);
	t->net->ready = NULL;
	for (int pass = 0; pass < 2; pass++) {
		memset(t->distill.sums, 0, sizeof t->distill.sums);
		t->state->kl = t->state->relation = (struct trit_balance){ 0 };
		trit_net_step(t->net, n, batch, weights, scale);
		if (trit_dist_rank(t->transport) > 0)
			memset(t->distill.sums, 0, sizeof t->distill.sums);
		trit_dist_sum(t->transport, t->distill.sums, TRIT_N_DISTILL_SUMS);
		update(t, t->distill.sums);
		t->distill.kl_weight = r->kl_weight > 0 ? r->kl_weight : trit_balance_weight(&t->state->kl, r->kl_share);
	}
	memset(t->net->params->g, 0, t->net->params->total * sizeof *t->net->params->g);
}

void trit_teacher_begin_step(struct trit_teacher *t, int step, int n, const trit_token *batch, const float *weights)
{
	const struct trit_recipe *r = t->recipe;
	struct trit_distill *d = &t->distill;
	if (!t->model)
		return;
	t->at_work = step >= r->warm_steps;
	t->net->distill = t->at_work ? d : NULL;
	if (!t->at_work)
		return;
	if (!trit_balance_measured(&t->state->kl) && !trit_balance_measured(&t->state->relation))
		measure(t, n, batch, weights);
	d->kl_weight = r->kl_weight > 0 ? r->kl_weight : trit_balance_weight(&t->state->kl, r->kl_share);
	d->relation_weight = r->relation_weight > 0 ? r->relation_weight
	                                            : trit_balance_weight(&t->state->relation, r->relation_share);
	memset(d->sums, 0, sizeof d->sums);
	memset(t->parts, 0, (size_t)t->n_parts * TRIT_N_DISTILL_SUMS * sizeof *t->parts);
}

void trit_teacher_end_part(struct trit_teacher *t, int part)
{
	if (!t->at_work)
		return;
	memcpy(t->parts + (size_t)part * TRIT_N_DISTILL_SUMS, t->distill.sums, sizeof t->distill.sums);
	memset(t->distill.sums, 0, sizeof t->distill.sums);
}

void trit_teacher_end_step(struct trit_teacher *t, double total)
{
	t->total = total;
	if (!t->at_work)
		return;
	trit_dist_sum(t->transport, t->parts, (size_t)t->n_parts * TRIT_N_DISTILL_SUMS);
	memset(t->sums, 0, sizeof t->sums);
	for (int part = 0; part < t->n_parts; part++)
		for (int i = 0; i < TRIT_N_DISTILL_SUMS; i++)
			t->sums[i] += t->parts[part * TRIT_N_DISTILL_SUMS + i];
	update(t, t->sums);
}

void trit_teacher_report(const struct trit_teacher *t, struct trit_step_report *report)
{
	const struct trit_distill *d = &t->distill;
	report->has_kl = t->at_work && d->options.kl;
	report->has_relation = t->at_work && d->options.relation;
	if (report->has_kl) {
		report->kl = t->sums[TRIT_SUM_KL] / t->total;
		report->kl_weight = d->kl_weight;
	}
	if (report->has_relation) {
		report->relation = t->sums[TRIT_SUM_RELATION] / t->total;
		report->relation_weight = d->relation_weight;
	}
}
