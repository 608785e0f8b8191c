/*
 * trainer_examples.c - vocabulary, labels, windows and the head of a run that learns from examples.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/trainer_examples.h"

#include <time.h>

#include "base/file.h"
#include "format/gguf_labels.h"
#include "format/vocab_file.h"
#include "model/label_words.h"

/* ---- data -------------------------------------------------------------------------------------------------------- */

static int put_chat_template(struct trit_vocab *v, const struct trit_chat_template *chat, struct trit_error *err)
{
	char *source = trit_strndup(chat->source, strlen(chat->source));
	if (!source)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the chat template");
	trit_free(v->chat_template);
	v->chat_template = source;
	return TRIT_OK;
}

/* The vocabulary goes to OUT/vocab.gguf, then to the tokenizer. */
static int keep_vocab(struct trit_trainer *t, struct trit_vocab *take_vocab, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	int e = trit_path_join(path, t->out, "vocab.gguf", err);
	if (!e)
		e = trit_vocab_file_write(path, take_vocab, err);
	if (!e)
		return trit_tokenizer_new(&t->tokenizer, take_vocab, err);
	trit_vocab_release(take_vocab);
	return e;
}

/* The head reads the state of the last token: of one that is always the same, unless the template ends with another. */
static int prepare_labelled(struct trit_trainer *t, struct trit_vocab *take_vocab, size_t n_paths, char *const *paths,
                            const struct trit_classify_options *o, const struct trit_windows_options *wo,
                            const char *dir, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	if (o->labels.template)
		take_vocab->add_eos = false;
	else if (t->recipe.label_pooling == TRIT_LABEL_LAST && take_vocab->eos >= 0)
		take_vocab->add_eos = true;
	int e = keep_vocab(t, take_vocab, err);
	if (!e && !(e = trit_path_join(path, t->out, "labels.gguf", err)) &&
	    !(e = trit_labels_file_write(path, &o->labels, err)))
		e = trit_classify_prepare(o, n_paths, paths, t->tokenizer, wo, dir, &t->label_counts, err);
	return e;
}

static int prepare_records(struct trit_trainer *t, struct trit_vocab *take_vocab, size_t n_paths, char *const *paths,
                           const struct trit_train_options *o, const struct trit_windows_options *wo, const char *dir,
                           struct trit_error *err)
{
	struct trit_chat_template chat = { 0 };
	struct trit_example_options eo = { .chat = &chat, .loss = (enum trit_loss_on)t->recipe.loss_on,
		                               .skip_bad = o->skip_bad, .now = time(NULL) };
	int e = trit_chat_open(&chat, take_vocab, o->chat_template, err);
	if (!e && o->chat_template)
		e = put_chat_template(take_vocab, &chat, err);
	if (!e)
		e = keep_vocab(t, take_vocab, err);
	else
		trit_vocab_release(take_vocab);
	eo.tokenizer = t->tokenizer;
	if (!e)
		e = trit_windows_prepare(n_paths, paths, &eo, wo, dir, &t->counts, err);
	trit_chat_close(&chat);
	return e;
}

int trit_trainer_prepare_examples(struct trit_trainer *t, struct trit_init *init, size_t n_paths, char *const *paths,
                                  const struct trit_train_options *o, struct trit_error *err)
{
	char dir[TRIT_PATH_BYTES];
	struct trit_windows_options wo = { .seq_len = t->recipe.seq_len, .padded = t->recipe.padded,
		                               .val_share = (double)t->recipe.val_share, .progress = o->progress,
		                               .progress_arg = o->progress_arg };
	int e = trit_path_join(dir, t->out, "data", err);
	if (e)
		return e;
	struct trit_vocab vocab = init->file.vocab;
	init->file.vocab = (struct trit_vocab){ 0 };
	return o->classify ? prepare_labelled(t, &vocab, n_paths, paths, o->classify, &wo, dir, err)
	                   : prepare_records(t, &vocab, n_paths, paths, o, &wo, dir, err);
}

/* ---- the head ---------------------------------------------------------------------------------------------------- */

int trit_trainer_head_params(struct trit_trainer *t, struct trit_error *err)
{
	struct trit_params *p = &t->params;
	trit_params_list_head(p, &t->config);
	p->list = trit_calloc((size_t)p->n, sizeof *p->list);
	if (!p->list)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a head of labels");
	p->n = 0;
	p->total = 0;
	trit_params_list_head(p, &t->config);
	return trit_params_alloc(p, err);
}

int trit_trainer_label_head(struct trit_trainer *t, struct trit_error *err)
{
	struct trit_label_head *h = &t->label_head;
	const struct trit_config *c = &t->config;
	const struct trit_param *w = trit_params_find(&t->params, TRIT_TENSOR_CLS_OUTPUT, 0);
	const struct trit_param *bias = trit_params_find_bias(&t->params, TRIT_TENSOR_CLS_OUTPUT, 0);
	size_t tokens = (size_t)t->micro_batch * (size_t)t->recipe.seq_len;
	if (!w || c->n_labels != t->recipe.n_labels || c->n_labels > c->n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d labels, a head of %d and %d tokens do not go together",
		                 t->recipe.n_labels, c->n_labels, c->n_vocab);
	int e = trit_label_head_init(h, c->n_labels, c->d_model, t->recipe.label_pooling == TRIT_LABEL_MEAN, tokens, err);
	h->w = t->params.w + w->offset;
	h->dw = t->params.g + w->offset;
	h->bias = bias ? t->params.w + bias->offset : NULL;
	h->dbias = bias ? t->params.g + bias->offset : NULL;
	t->net.labels = h;
	return e;
}

int trit_trainer_first_head(struct trit_trainer *t, struct trit_init *init, const struct trit_train_options *o,
                            struct trit_error *err)
{
	const struct trit_param *w = trit_params_find(&t->params, TRIT_TENSOR_CLS_OUTPUT, 0), *from;
	for (int i = 0; t->base.n && i < t->params.n; i++) {
		const struct trit_param *to = &t->params.list[i];
		if (to->id != TRIT_TENSOR_CLS_OUTPUT)
			continue;
		from = to->bias ? trit_params_find_bias(&t->base, to->id, 0) : trit_params_find(&t->base, to->id, 0);
		memcpy(t->params.w + to->offset, t->base.w + from->offset, to->rows * to->cols * sizeof *t->params.w);
	}
	if (!o->classify || !o->classify->words)
		return TRIT_OK;
	return trit_label_words(t->params.w + w->offset, o->classify->labels.n, o->classify->words, t->tokenizer,
	                        &t->config, &init->file.gguf, err);
}
