/*
 * model.c - opens a file as a model that can run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/model.h"

#include "model/weights.h"

static int load_vocab(struct trit_model *m, struct trit_error *err)
{
	if (!m->file.has_vocab)
		return TRIT_OK;
	if (m->file.vocab.n_tokens > m->config.n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in token_embd.weight",
		                 m->file.vocab.n_tokens, m->config.n_vocab);
	return trit_tokenizer_new(&m->tokenizer, &m->file.vocab, err);
}

static int load(struct trit_model *m, const char *path, const struct trit_model_options *o, struct trit_error *err)
{
	const struct trit_model_file_options options = { .tokenizer = o->tokenizer };
	int e;
	if ((e = trit_kernels_select(&m->kernels, o->cpu, err)) ||
	    (e = trit_model_file_open(&m->file, path, &options, err)) ||
	    (e = trit_model_file_check_weights(&m->file, path, err)))
		return e;
	m->gguf = m->file.gguf;
	if ((e = trit_config_read(&m->config, &m->gguf, err)) || (e = load_vocab(m, err)) ||
	    (e = trit_weights_load(m, o, err)))
		return trit_fail_prefix(err, e, "%s", path);
	if (o->lora && (e = trit_low_rank_load(m, o->lora, err)))
		return e;
	m->stats.parameters = trit_config_parameters(&m->config);
	m->stats.file_bytes = m->file.bytes;
	for (uint64_t i = 0; i < m->gguf.n_tensors; i++)
		m->stats.weight_bytes += m->gguf.tensors[i].bytes;
	return TRIT_OK;
}

/* ---- public API -------------------------------------------------------------------------------------------------- */

int trit_model_open(struct trit_model **out, const char *path, struct trit_error *err)
{
	return trit_model_open_with(out, path, NULL, err);
}

int trit_model_open_with(struct trit_model **out, const char *path, const struct trit_model_options *options,
                         struct trit_error *err)
{
	const struct trit_model_options defaults = { 0 };
	struct trit_model *m = trit_calloc(1, sizeof *m);
	if (!m)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to open %s", path);
	int e = load(m, path, options ? options : &defaults, err);
	if (e) {
		trit_model_close(m);
		return e;
	}
	*out = m;
	return TRIT_OK;
}

void trit_model_close(struct trit_model *m)
{
	if (!m)
		return;
	trit_tokenizer_free(m->tokenizer);
	trit_low_ranks_release(&m->lora);
	trit_arena_release(&m->arena);
	trit_model_file_close(&m->file);
	trit_free(m);
}

enum trit_kv_type trit_model_kv_type(const struct trit_model *m, enum trit_kv_type asked)
{
	if (asked != TRIT_KV_AUTO)
		return asked;
	if (m->layers[0].q.quantised)
		return TRIT_KV_Q8;
	return m->layers[0].q.type == TRIT_DENSE_F32 ? TRIT_KV_F32 : TRIT_KV_F16;
}

int trit_model_vocab_size(const struct trit_model *m)
{
	return m->config.n_vocab;
}

int trit_model_context_length(const struct trit_model *m)
{
	return m->config.n_ctx;
}

int64_t trit_model_parameters(const struct trit_model *m)
{
	return m->stats.parameters;
}
