/*
 * adapter.c - writes low-rank adapters as GGUF and as a PEFT folder.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/adapter.h"

#include "base/buf.h"
#include "base/file.h"
#include "format/gguf.h"
#include "format/json_text.h"
#include "format/safetensors.h"
#include "model/rope.h"

/* Row of an adapter's B in memory that is row r in a file where rotary pairs are halves of heads, or not: the rows of
 * queries and keys are those of their projection. */
static size_t source_row(const struct trit_param *t, const struct trit_config *c, bool half, size_t r)
{
	return trit_tensor_has_pairs(t->id) ? trit_rope_row(c->head_dim, c->n_rot, c->rope_half, half, r) : r;
}

typedef int write_fn(void *writer, size_t len, const void *data, struct trit_error *err);

/* A (as it is) or B, its rows in the file's order. */
static int write_param(write_fn *write, void *writer, const struct trit_lora *l, int i, const struct trit_config *c,
                       bool half, struct trit_error *err)
{
	const struct trit_param *t = &l->params->list[i];
	bool is_b = i % 2;
	int e = TRIT_OK;
	for (size_t r = 0; r < t->rows && !e; r++)
		e = write(writer, t->cols * sizeof(float),
		          l->params->w + t->offset + (is_b ? source_row(t, c, half, r) : r) * t->cols, err);
	return e;
}

/* ---- GGUF -------------------------------------------------------------------------------------------------------- */

static int put_string(struct trit_gguf_writer *w, const char *name, const char *text, struct trit_error *err)
{
	return trit_gguf_put_string(w, name, strlen(text), text, err);
}

static int write_gguf_data(void *writer, size_t len, const void *data, struct trit_error *err)
{
	return trit_gguf_write_data(writer, len, data, err);
}

static int fill_gguf(struct trit_gguf_writer *w, const struct trit_lora *l, const struct trit_config *c,
                     struct trit_error *err)
{
	int e;
	if ((e = put_string(w, "general.architecture", c->arch->name, err)) ||
	    (e = put_string(w, "general.type", "adapter", err)) || (e = put_string(w, "adapter.type", "lora", err)) ||
	    (e = trit_gguf_put_f32(w, "adapter.lora.alpha", l->alpha, err)))
		return e;
	for (int i = 0; i < l->n && !e; i++) {
		char name[TRIT_TENSOR_NAME_BYTES];
		uint64_t dims[2] = { l->params->list[i].cols, l->params->list[i].rows };
		trit_param_name(name, &l->params->list[i]);
		e = trit_gguf_put_tensor(w, name, TRIT_GGML_F32, 2, dims, err);
	}
	for (int i = 0; i < l->n && !e; i++)
		e = write_param(write_gguf_data, w, l, i, c, c->arch->rope_half, err);
	return e ? e : trit_gguf_writer_commit(w, err);
}

static int write_gguf(const char *out, const struct trit_lora *l, const struct trit_config *c, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	struct trit_gguf_writer *w;
	int e = trit_path_join(path, out, "adapter.gguf", err);
	if (e || (e = trit_gguf_writer_new(&w, path, err)))
		return e;
	e = fill_gguf(w, l, c, err);
	trit_gguf_writer_free(w);
	return e;
}

/* ---- PEFT -------------------------------------------------------------------------------------------------------- */

static int write_st_data(void *writer, size_t len, const void *data, struct trit_error *err)
{
	return trit_st_write(writer, len, data, err);
}

static int fill_safetensors(struct trit_st_writer *w, const struct trit_lora *l, const struct trit_config *c,
                            struct trit_error *err)
{
	int e = trit_st_put_meta(w, "format", "pt", err);
	for (int i = 0; i < l->n && !e; i++) {
		const struct trit_param *t = &l->params->list[i];
		char name[160];
		uint64_t shape[2] = { t->rows, t->cols };
		snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_%c.weight", t->layer,
		         trit_tensor_hf_name(c->arch, t->id), i % 2 ? 'B' : 'A');
		e = trit_st_put_tensor(w, name, TRIT_DTYPE_F32, 2, shape, err);
	}
	if (!e)
		e = trit_st_begin(w, err);
	for (int i = 0; i < l->n && !e; i++)
		e = write_param(write_st_data, w, l, i, c, true, err);
	return e ? e : trit_st_commit(w, err);
}

static int write_safetensors(const char *dir, const struct trit_lora *l, const struct trit_config *c,
                             struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	struct trit_st_writer *w;
	int e = trit_path_join(path, dir, "adapter_model.safetensors", err);
	if (e || (e = trit_st_writer_new(&w, path, err)))
		return e;
	e = fill_safetensors(w, l, c, err);
	trit_st_writer_free(w);
	return e;
}

static int write_config(const char *dir, const struct trit_lora *l, const struct trit_config *c,
                        struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	struct trit_buf text;
	trit_buf_init(&text, 1 << 16);
	struct trit_json j = { .out = &text, .err = err };
	trit_json_begin(&j, NULL, '{');
	trit_json_string(&j, "peft_type", "LORA");
	trit_json_string(&j, "task_type", "CAUSAL_LM");
	trit_json_string(&j, "bias", "none");
	trit_json_int(&j, "r", l->rank);
	trit_json_float(&j, "lora_alpha", l->alpha);
	trit_json_float(&j, "lora_dropout", 0);
	trit_json_bool(&j, "fan_in_fan_out", false);
	trit_json_bool(&j, "inference_mode", true);
	trit_json_begin(&j, "target_modules", '[');
	for (int i = 0; i < TRIT_LORA_LINEARS; i++) {
		const char *name = trit_tensor_hf_name(c->arch, trit_lora_tensor(i)), *dot = strrchr(name, '.');
		if (l->targets >> i & 1)
			trit_json_string(&j, NULL, dot ? dot + 1 : name);
	}
	trit_json_end(&j, ']');
	trit_json_end(&j, '}');
	int e = j.status;
	if (!e && !(e = trit_path_join(path, dir, "adapter_config.json", err)))
		e = trit_file_write(path, text.len, text.data, err);
	trit_buf_release(&text);
	return e;
}

int trit_adapter_write(const char *out, const struct trit_lora *l, const struct trit_config *c, struct trit_error *err)
{
	char dir[TRIT_PATH_BYTES];
	int e;
	if ((e = write_gguf(out, l, c, err)) || (e = trit_path_join(dir, out, "adapter", err)))
		return e;
	if (!trit_tensor_hf_name(c->arch, TRIT_TENSOR_ATTN_Q)) /* an architecture of GGUF alone */
		return TRIT_OK;
	if ((e = trit_make_dirs(dir, err)) || (e = write_safetensors(dir, l, c, err)))
		return e;
	return write_config(dir, l, c, err);
}
