/*
 * config_keys.c - writes configurations as keys, and reads those of a checkpoint.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/config_keys.h"

#include "format/gguf_build.h"

/* Keys of the sizes. */
static const struct {
	const char *suffix;
	size_t offset;
} size_keys[] = {
	{ "vocab_size", offsetof(struct trit_config, n_vocab) },
	{ "context_length", offsetof(struct trit_config, n_ctx) },
	{ "embedding_length", offsetof(struct trit_config, d_model) },
	{ "block_count", offsetof(struct trit_config, n_layers) },
	{ "feed_forward_length", offsetof(struct trit_config, d_ff) },
	{ "attention.head_count", offsetof(struct trit_config, n_heads) },
	{ "attention.head_count_kv", offsetof(struct trit_config, n_kv_heads) },
	{ "rope.dimension_count", offsetof(struct trit_config, n_rot) },
};
enum { N_SIZE_KEYS = sizeof size_keys / sizeof size_keys[0] };

const struct trit_config_float trit_config_floats[] = {
	{ "rope.freq_base", offsetof(struct trit_config, rope_base) },
	{ "rope.freq_base_swa", offsetof(struct trit_config, window_rope_base) },
	{ "attention.scale", offsetof(struct trit_config, score_scale) },
	{ "attn_logit_softcapping", offsetof(struct trit_config, attn_softcap) },
	{ "final_logit_softcapping", offsetof(struct trit_config, logit_softcap) },
	{ "embedding_scale", offsetof(struct trit_config, embedding_scale) },
};
const int trit_n_config_floats = (int)(sizeof trit_config_floats / sizeof trit_config_floats[0]);

const char *trit_config_eps_key(const struct trit_arch *arch)
{
	return arch->norm == TRIT_NORM_LAYER ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
}

/* ---- where keys go ----------------------------------------------------------------------------------------------- */

enum { KEY_BYTES = 96 };

/* A file that keys ARCH.SUFFIX are put to: one of the two. After an error calls do nothing. */
struct sink {
	struct trit_gguf_writer *gguf;
	struct trit_st_writer *meta;
	const char *arch;
	int e;
	struct trit_error *err;
};

static void key_of(char key[KEY_BYTES], const struct sink *s, const char *suffix)
{
	snprintf(key, KEY_BYTES, "%s.%s", s->arch, suffix);
}

static void put_size(struct sink *s, const char *suffix, int v)
{
	char key[KEY_BYTES], text[16];
	key_of(key, s, suffix);
	snprintf(text, sizeof text, "%d", v);
	if (!s->e)
		s->e = s->gguf ? trit_gguf_put_u32(s->gguf, key, (uint32_t)v, s->err)
		               : trit_st_put_meta(s->meta, key, text, s->err);
}

/* In text a float has a point or an exponent. */
static void put_float(struct sink *s, const char *suffix, float v)
{
	char key[KEY_BYTES], text[32];
	key_of(key, s, suffix);
	snprintf(text, sizeof text, "%.9g", (double)v);
	if (!strpbrk(text, ".e"))
		memcpy(text + strlen(text), ".0", 3);
	if (!s->e)
		s->e = s->gguf ? trit_gguf_put_f32(s->gguf, key, v, s->err) : trit_st_put_meta(s->meta, key, text, s->err);
}

static void put_flag(struct sink *s, const char *suffix, bool v)
{
	char key[KEY_BYTES];
	key_of(key, s, suffix);
	if (!s->e)
		s->e = s->gguf ? trit_gguf_put_bool(s->gguf, key, v, s->err)
		               : trit_st_put_meta(s->meta, key, v ? "true" : "false", s->err);
}

static void put_text(struct sink *s, const char *suffix, const char *text)
{
	char key[KEY_BYTES];
	key_of(key, s, suffix);
	if (!s->e)
		s->e = s->gguf ? trit_gguf_put_string(s->gguf, key, strlen(text), text, s->err)
		               : trit_st_put_meta(s->meta, key, text, s->err);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void put_sizes(struct sink *s, const struct trit_config *c)
{
	for (size_t i = 0; i < N_SIZE_KEYS; i++)
		put_size(s, size_keys[i].suffix, *(const int *)(const void *)((const char *)c + size_keys[i].offset));
	if (c->head_dim * c->n_heads != c->d_model || s->meta) {
		put_size(s, "attention.key_length", c->head_dim);
		put_size(s, "attention.value_length", c->head_dim);
	}
	if (c->pooling)
		put_size(s, "pooling_type", c->pooling);
}

/* What is 0 and would be without a key has none. */
static void put_extras(struct sink *s, const struct trit_config *c)
{
	struct trit_config plain = { 0 };
	trit_config_set_arch(&plain, c->arch);
	for (int i = 0; i < trit_n_config_floats; i++) {
		float v = *(const float *)(const void *)((const char *)c + trit_config_floats[i].offset);
		float unsaid = *(const float *)(const void *)((const char *)&plain + trit_config_floats[i].offset);
		if (v != 0 || unsaid != 0)
			put_float(s, trit_config_floats[i].suffix, v);
	}
	if (c->window || plain.window)
		put_size(s, "attention.sliding_window", c->window);
	if (c->window_period != plain.window_period)
		put_size(s, "attention.sliding_window_pattern", c->window_period);
}

static void put_experts(struct sink *s, const struct trit_moe_config *m)
{
	if (!m->n_experts)
		return;
	put_size(s, "expert_count", m->n_experts);
	put_size(s, "expert_used_count", m->n_used);
	put_size(s, "expert_feed_forward_length", m->d_ff);
	put_size(s, "expert_gating_func", (int)m->gating);
	put_flag(s, "expert_weights_norm", m->norm);
	if (m->d_ff_shared)
		put_size(s, "expert_shared_feed_forward_length", m->d_ff_shared);
	if (m->scale != 1)
		put_float(s, "expert_weights_scale", m->scale);
}

static void put_activations(struct sink *s, const struct trit_config *c)
{
	if (c->input_4bit)
		put_size(s, "activation.input_bits", 4);
	if (c->inner_4bit)
		put_size(s, "activation.inner_bits", 4);
	if (c->inner_hadamard)
		put_flag(s, "activation.inner_hadamard", true);
}

/* LLaMA 3's is not among the keys of GGUF: other programs find what it makes in the tensor rope_freqs.weight. Its
 * numbers are written under names that they do not know. */
static void put_llama3(struct sink *s, const struct trit_rope_scaling *r)
{
	put_float(s, s->meta ? "rope.scaling.factor" : "rope.llama3.factor", r->factor);
	put_float(s, s->meta ? "rope.scaling.low_freq_factor" : "rope.llama3.low_freq_factor", r->slow);
	put_float(s, s->meta ? "rope.scaling.high_freq_factor" : "rope.llama3.high_freq_factor", r->fast);
	put_size(s, s->meta ? "rope.scaling.original_context_length" : "rope.llama3.original_context_length",
	         r->n_ctx_original);
}

static void put_yarn(struct sink *s, const struct trit_rope_scaling *r)
{
	float usual = trit_rope_magnitude(r->factor, 1);
	put_size(s, "rope.scaling.original_context_length", r->n_ctx_original);
	put_float(s, "rope.scaling.yarn_beta_slow", r->slow);
	put_float(s, "rope.scaling.yarn_beta_fast", r->fast);
	if (s->meta) /* itself, to the bit */
		put_float(s, "rope.scaling.yarn_attn_factor", r->magnitude);
	else if (r->magnitude != usual)
		put_float(s, "rope.scaling.attn_factor", r->magnitude / usual);
}

static void put_rope_scaling(struct sink *s, const struct trit_rope_scaling *r)
{
	static const char *const names[] = { [TRIT_ROPE_LINEAR] = "linear", [TRIT_ROPE_LLAMA3] = "llama3",
		                             [TRIT_ROPE_YARN] = "yarn" };
	if (r->kind == TRIT_ROPE_PLAIN)
		return;
	if (r->kind != TRIT_ROPE_LLAMA3 || s->meta)
		put_text(s, "rope.scaling.type", names[r->kind]);
	if (r->kind == TRIT_ROPE_LLAMA3) {
		put_llama3(s, r);
		return;
	}
	put_float(s, "rope.scaling.factor", r->factor);
	if (r->kind == TRIT_ROPE_YARN)
		put_yarn(s, r);
}

static void put_all(struct sink *s, const struct trit_config *c)
{
	put_sizes(s, c);
	put_float(s, trit_config_eps_key(c->arch), c->eps);
	put_extras(s, c);
	put_experts(s, &c->moe);
	put_activations(s, c);
	put_rope_scaling(s, &c->rope_scaling);
}

int trit_config_put(const struct trit_config *c, struct trit_gguf_writer *w, int file_type, struct trit_error *err)
{
	struct sink s = { .gguf = w, .arch = c->arch->name, .err = err };
	int e;
	if ((e = trit_gguf_put_string(w, "general.architecture", strlen(s.arch), s.arch, err)) ||
	    (e = trit_gguf_put_string(w, "general.type", 5, "model", err)) ||
	    (e = trit_gguf_put_string(w, "general.name", strlen(c->name), c->name, err)) ||
	    (e = trit_gguf_put_u32(w, "general.file_type", (uint32_t)file_type, err)) ||
	    (e = trit_gguf_put_u32(w, "general.quantization_version", 2, err)))
		return e;
	put_all(&s, c);
	return s.e;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

int trit_config_put_meta(const struct trit_config *c, struct trit_st_writer *w, struct trit_error *err)
{
	struct sink s = { .meta = w, .arch = c->arch->name, .err = err };
	s.e = trit_st_put_meta(w, "general.architecture", s.arch, err);
	put_all(&s, c);
	if (!s.e)
		s.e = trit_st_put_meta(w, "trit.rope.half", c->rope_half ? "true" : "false", err);
	return s.e;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && !strcmp(text + n - m, end);
}

/* Of the type that the text has. Early checkpoints have a rotary base without a point. */
static void build_key(struct trit_gguf_build *b, const struct trit_st_meta *m)
{
	char *end;
	bool flag = !strcmp(m->value, "true") || !strcmp(m->value, "false");
	bool integer = !strpbrk(m->value, ".e") && !ends_in(m->name, "rope.freq_base");
	double v = strtod(m->value, &end);
	if (flag)
		trit_gguf_build_bool(b, m->name, m->value[0] == 't');
	else if (end == m->value || *end || (integer && !(v >= 0 && v <= UINT32_MAX)))
		trit_gguf_build_string(b, m->name, strlen(m->value), m->value);
	else if (integer)
		trit_gguf_build_u32(b, m->name, (uint32_t)v);
	else
		trit_gguf_build_f32(b, m->name, (float)v);
}

/* The optimiser's numbers are left out. */
static void build_tensor(struct trit_gguf_build *b, const struct trit_st_tensor *t)
{
	uint64_t dims[TRIT_SAFETENSORS_MAX_DIMS];
	if (t->dtype != TRIT_DTYPE_F32 || t->n_dims < 1 || !strncmp(t->name, "m.", 2) || !strncmp(t->name, "v.", 2))
		return;
	for (int i = 0; i < t->n_dims; i++)
		dims[i] = t->shape[t->n_dims - 1 - i];
	trit_gguf_build_tensor(b, t->name, TRIT_GGML_F32, (uint32_t)t->n_dims, dims, t->data);
}

int trit_config_read_meta(struct trit_config *c, const struct trit_safetensors *s, struct trit_error *err)
{
	struct trit_gguf_build b = { 0 };
	struct trit_gguf g;
	const char *arch = trit_safetensors_meta(s, "general.architecture");
	if (!arch)
		return trit_fail(err, TRIT_ERR_FORMAT, "metadata general.architecture is missing");
	size_t len = strlen(arch);
	for (size_t i = 0; i < s->n_meta; i++) {
		const struct trit_st_meta *m = &s->meta[i];
		if (!strcmp(m->name, "general.architecture"))
			trit_gguf_build_string(&b, m->name, strlen(m->value), m->value);
		else if ((!strncmp(m->name, arch, len) && m->name[len] == '.') || !strcmp(m->name, "trit.rope.half"))
			build_key(&b, m);
	}
	for (size_t i = 0; i < s->n_tensors; i++)
		build_tensor(&b, &s->tensors[i]);
	int e = trit_gguf_build_finish(&b, &g, err);
	if (e)
		return e;
	e = trit_config_read(c, &g, err);
	trit_gguf_close(&g);
	return e;
}
