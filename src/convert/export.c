/*
 * export.c - writes a model as GGUF, one tensor at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/export.h"

#include "base/mem.h"
#include "format/gguf_vocab.h"

struct writer {
	const struct trit_source *s;
	struct trit_gguf_writer *out;
	uint32_t type, embedding_type;
	bool split_scale;    /* scales go to tensors of their own */
	/* of the largest tensor */
	float *floats;
	int8_t *codes;
	unsigned char *bytes;
};

static uint32_t type_of(const struct writer *w, enum trit_tensor_id id)
{
	switch (trit_tensors[id].kind) {
	case TRIT_KIND_NORM:
		return TRIT_GGML_F32;
	case TRIT_KIND_EMBEDDING:
		return w->embedding_type;
	default:
		return w->type;
	}
}

/* ---- choosing types ---------------------------------------------------------------------------------------------- */

/* Whether all tensors of the kind have a whole number of blocks of the type a row. */
static bool fits(const struct trit_config *c, enum trit_tensor_kind kind, uint32_t type)
{
	struct trit_tensor_walk w = { 0 };
	size_t block = (size_t)trit_ggml_type_info(type)->block;
	while (trit_tensor_next(&w, c))
		if (trit_tensors[w.id].kind == kind && w.cols % block)
			return false;
	return true;
}

static int choose_types(struct writer *w, const struct trit_export_options *o, struct trit_error *err)
{
	const struct trit_config *c = &w->s->config;
	/* llama.cpp lacks I2_S; what reads the other architectures has it and, unlike llama.cpp, no tensors for scales. */
	static const uint32_t orders[2][4] = {
		{ TRIT_GGML_TQ2_0, TRIT_GGML_I2_S, TRIT_GGML_Q8_0, TRIT_GGML_F16 },
		{ TRIT_GGML_I2_S, TRIT_GGML_TQ2_0, TRIT_GGML_Q8_0, TRIT_GGML_F16 },
	};
	const uint32_t *ternary = orders[!c->arch->scale_tensors];
	w->type = TRIT_GGML_F16;
	if (o->type >= 0)
		w->type = (uint32_t)o->type;
	else if (w->s->quantised)
		for (size_t i = 0; i < sizeof orders[0] / sizeof orders[0][0]; i++)
			if (fits(c, TRIT_KIND_LINEAR, ternary[i])) {
				w->type = ternary[i];
				break;
			}
	w->embedding_type = o->embedding_type >= 0 ? (uint32_t)o->embedding_type
	                    : w->s->quantised && fits(c, TRIT_KIND_EMBEDDING, TRIT_GGML_Q8_0) ? TRIT_GGML_Q8_0
	                                                                                     : TRIT_GGML_F16;
	const struct trit_ggml_type_info *info = trit_ggml_type_info(w->type);
	if (info->ternary && !w->s->quantised)
		return trit_fail(
			err, TRIT_ERR_ARG,
			"type %s holds ternary weights and this model's are full precision; choose q8_0, f16, bf16 or f32",
			info->name);
	/* Only where a reader applies them: a dense projection of a network that is not ternary by definition has none. */
	w->split_scale = w->s->quantised && (info->ternary || c->arch->bit_linear) && w->type != TRIT_GGML_I2_S &&
	                 w->type != TRIT_GGML_F32;
	return TRIT_OK;
}

/* The rows of the tensor in whole blocks of its type: *bytes of it. */
static int tensor_bytes(const struct writer *w, const struct trit_tensor_walk *t, uint64_t *bytes,
                        struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	int e = trit_ggml_tensor_bytes(type_of(w, t->id), t->rows, t->cols, bytes, err);
	if (!e)
		return TRIT_OK;
	trit_tensor_name(name, t->id, t->layer, "weight");
	return trit_fail_prefix(err, e, "%s cannot be %s (choose another %s)", name,
	                        trit_ggml_type_info(type_of(w, t->id))->name,
	                        trit_tensors[t->id].kind == TRIT_KIND_EMBEDDING ? "--embedding-type" : "--type");
}

int trit_export_check(const struct trit_config *c, bool quantised, const struct trit_export_options *o,
                      struct trit_error *err)
{
	struct trit_source s = { .config = *c, .quantised = quantised };
	struct writer w = { .s = &s };
	struct trit_tensor_walk t = { 0 };
	uint64_t bytes;
	int e = choose_types(&w, o, err);
	while (!e && trit_tensor_next(&t, c))
		e = tensor_bytes(&w, &t, &bytes, err);
	return e;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int describe(struct writer *w, struct trit_error *err)
{
	struct trit_tensor_walk t = { 0 };
	size_t largest = 0;
	uint64_t most_bytes = 0;
	int e = TRIT_OK;
	while (!e && trit_tensor_next(&t, &w->s->config)) {
		char name[TRIT_TENSOR_NAME_BYTES];
		bool norm = trit_tensors[t.id].kind == TRIT_KIND_NORM;
		uint64_t dims[2] = { t.cols, t.rows }, one = 1, bytes = 0;
		uint32_t type = type_of(w, t.id);
		trit_tensor_name(name, t.id, t.layer, "weight");
		if ((e = tensor_bytes(w, &t, &bytes, err)))
			return e;
		largest = t.rows * t.cols > largest ? t.rows * t.cols : largest;
		most_bytes = bytes > most_bytes ? bytes : most_bytes;
		e = trit_gguf_put_tensor(w->out, name, type, norm ? 1 : 2, dims, err);
		if (!e && w->split_scale && trit_tensors[t.id].kind == TRIT_KIND_LINEAR) {
			trit_tensor_name(name, t.id, t.layer, "scale");
			e = trit_gguf_put_tensor(w->out, name, TRIT_GGML_F32, 1, &one, err);
		}
	}
	if (e)
		return e;
	w->floats = trit_calloc(largest, sizeof *w->floats);
	w->codes = trit_calloc(largest, 1);
	w->bytes = trit_calloc(most_bytes, 1);
	if (!w->floats || !w->codes || !w->bytes)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tensor of %zu weights", largest);
	return TRIT_OK;
}

static int write_tensor(struct writer *w, const struct trit_tensor_walk *t, struct trit_error *err)
{
	uint32_t type = type_of(w, t->id);
	bool coded = w->s->quantised && trit_tensors[t->id].kind == TRIT_KIND_LINEAR;
	uint64_t bytes = 0;
	float scale = 1;
	int e = tensor_bytes(w, t, &bytes, err);
	if (e)
		return e;
	if (coded) {
		if ((e = w->s->codes(w->s->arg, t, w->codes, &scale, err)))
			return e;
		trit_ggml_encode_trits(type, w->codes, w->split_scale ? 1.0f : scale, t->rows, t->cols, w->bytes);
	} else {
		if ((e = w->s->floats(w->s->arg, t, w->floats, err)))
			return e;
		trit_ggml_encode_f32(type, w->floats, t->rows, t->cols, w->bytes);
	}
	if ((e = trit_gguf_write_data(w->out, bytes, w->bytes, err)))
		return e;
	return coded && w->split_scale ? trit_gguf_write_data(w->out, sizeof scale, &scale, err) : TRIT_OK;
}

static int write_model(struct writer *w, const struct trit_export_options *o, struct trit_error *err)
{
	int e;
	if ((e = choose_types(w, o, err)) ||
	    (e = trit_config_put(&w->s->config, w->out, trit_ggml_type_info(w->type)->file_type, err)) ||
	    (w->s->vocab && (e = trit_gguf_put_vocab(w->out, w->s->vocab, err))) || (e = describe(w, err)))
		return e;
	struct trit_tensor_walk t = { 0 };
	while (trit_tensor_next(&t, &w->s->config))
		if ((e = write_tensor(w, &t, err)))
			return e;
	return trit_gguf_writer_commit(w->out, err);
}

int trit_export(const char *path, const struct trit_source *s, const struct trit_export_options *o,
                struct trit_error *err)
{
	struct writer w = { .s = s };
	if (s->vocab && s->vocab->n_tokens > s->config.n_vocab)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d tokens in the vocabulary but %d rows in the embedding",
		                 s->vocab->n_tokens, s->config.n_vocab);
	int e = trit_gguf_writer_new(&w.out, path, err);
	if (e)
		return e;
	e = write_model(&w, o, err);
	trit_gguf_writer_free(w.out);
	trit_free(w.floats);
	trit_free(w.codes);
	trit_free(w.bytes);
	return e;
}
