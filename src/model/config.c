/*
 * config.c - the table of architectures, and a configuration's way out of GGUF keys; config_keys.c has the way in.
 *
 * An architecture is a row here: what it has that LLaMA has not. What llama.cpp and bitnet.cpp call "bitnet" is the
 * paper's network (SwiGLU); "bitnet-b1.58" and "bitnet-25" are the 2B-4T's (squared ReLU). "llama" is LLaMA 1 to 3,
 * Mistral, SmolLM2, and ternary models without sub-norms. In any of them projections may be ternary.
 *
 * Adding one: a row, its golden logits in tests/reference/make_arch_golden.py, a line in docs/models.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/config.h"

#include <math.h>

#include "base/num.h"
#include "kernel/kernel.h"
#include "model/config_keys.h"
#include "model/tensors.h"
#include "text/labels.h"

static const struct trit_arch archs[] = {
	{ .name = "bitnet", .title = "BitNet b1.58", .activation = TRIT_ACT_SILU, .sub_norm = true, .bit_linear = true,
	  .rope_half = true, .scale_tensors = true },
	{ .name = "bitnet-b1.58", .title = "BitNet b1.58 2B-4T", .activation = TRIT_ACT_RELU2, .sub_norm = true,
	  .bit_linear = true, .rope_half = true, .others_untie = true },
	{ .name = "bitnet-25", .title = "BitNet b1.58 2B-4T", .activation = TRIT_ACT_RELU2, .sub_norm = true,
	  .bit_linear = true, .rope_half = true, .others_untie = true },
	{ .name = "llama", .title = "LLaMA", .others_untie = true, .scale_tensors = true },
	{ .name = "qwen2", .title = "Qwen2", .rope_half = true, .others_untie = true, .scale_tensors = true },
	{ .name = "qwen3", .title = "Qwen3", .rope_half = true, .qk_norms = TRIT_QK_SHARED, .others_untie = true,
	  .scale_tensors = true },
	{ .name = "qwen2moe", .title = "Qwen2 MoE", .rope_half = true, .others_untie = true, .scale_tensors = true,
	  .raw_expert_weights = true },
	{ .name = "qwen3moe", .title = "Qwen3 MoE", .rope_half = true, .qk_norms = TRIT_QK_SHARED, .others_untie = true,
	  .scale_tensors = true },
	{ .name = "gemma", .title = "Gemma", .activation = TRIT_ACT_GELU, .rope_half = true, .scale_embedding = true,
	  .scale_tensors = true, .hf_norms_less_one = true },
	{ .name = "gemma2", .title = "Gemma 2", .activation = TRIT_ACT_GELU, .rope_half = true, .post_norms = true,
	  .scale_embedding = true, .window = 4096, .window_period = 2, .n_layers_wide = 46, .attn_softcap = 50,
	  .logit_softcap = 30, .scale_tensors = true, .hf_norms_less_one = true },
	{ .name = "gemma3", .title = "Gemma 3", .activation = TRIT_ACT_GELU, .rope_half = true,
	  .qk_norms = TRIT_QK_SHARED, .post_norms = true, .scale_embedding = true, .window_period = 6,
	  .window_rope_base = 10000, .n_layers_wide = 62, .others_untie = true, .scale_tensors = true,
	  .hf_norms_less_one = true },
	{ .name = "stablelm", .title = "StableLM", .norm = TRIT_NORM_LAYER, .qk_norms = TRIT_QK_EACH_HEAD,
	  .qk_norms_optional = true, .rope_half = true, .others_untie = true, .scale_tensors = true },
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

const struct trit_arch *trit_arch_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < N_ARCHS; i++)
		if (strlen(archs[i].name) == len && memcmp(archs[i].name, name, len) == 0)
			return &archs[i];
	return NULL;
}

/* What a recipe asks for: RMSNorms where BitNet has them, no other additions. */
static bool is_plain(const struct trit_arch *a)
{
	return a->activation != TRIT_ACT_GELU && a->norm == TRIT_NORM_RMS && a->qk_norms == TRIT_QK_PLAIN &&
	       !a->post_norms && !a->scale_embedding;
}

const struct trit_arch *trit_arch_for(enum trit_weight_kind kind, enum trit_activation activation)
{
	for (size_t i = 0; i < N_ARCHS; i++)
		if (archs[i].bit_linear == (kind != TRIT_WEIGHT_FULL) && archs[i].activation == activation &&
		    is_plain(&archs[i]))
			return &archs[i];
	return NULL;
}

void trit_config_set_arch(struct trit_config *c, const struct trit_arch *arch)
{
	c->arch = arch;
	c->rope_half = arch->rope_half;
	c->sub_norm = arch->sub_norm;
	c->qk_norms = arch->qk_norms;
	c->window = arch->window;
	c->window_period = arch->window_period;
	c->window_rope_base = arch->window_rope_base;
	c->attn_softcap = arch->attn_softcap;
	c->logit_softcap = arch->logit_softcap;
	c->moe = (struct trit_moe_config){ .gating = TRIT_MOE_SOFTMAX, .norm = !arch->raw_expert_weights, .scale = 1 };
}

static int check_range(const char *what, int64_t value, int64_t min, int64_t max, struct trit_error *err)
{
	if (value >= min && value <= max)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_FORMAT, "%s is %lld; it must be %lld to %lld", what, (long long)value,
	                 (long long)min, (long long)max);
}

static int check_rope_scaling(const struct trit_config *c, struct trit_error *err)
{
	const struct trit_rope_scaling *s = &c->rope_scaling;
	if (s->kind == TRIT_ROPE_PLAIN)
		return TRIT_OK;
	if (!(s->factor > 0 && s->factor < 1e6f))
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary scaling by %g; the factor must be positive", (double)s->factor);
	if (s->kind == TRIT_ROPE_LINEAR)
		return TRIT_OK;
	if (!(s->slow > 0 && s->fast > s->slow && s->fast < 1e6f))
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary scaling between %g and %g turns: not positive numbers in order",
		                 (double)s->slow, (double)s->fast);
	if (s->kind == TRIT_ROPE_YARN && !(s->magnitude > 0 && s->magnitude < 1e6f && c->rope_base > 1))
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary scaling (yarn) with the magnitude %g and the base %g",
		                 (double)s->magnitude, (double)c->rope_base);
	return check_range("original context length", s->n_ctx_original, 1, TRIT_MAX_CTX, err);
}

static int check_experts(const struct trit_moe_config *m, struct trit_error *err)
{
	int e;
	if (!m->n_experts)
		return TRIT_OK;
	if ((e = check_range("number of experts", m->n_experts, 1, TRIT_MAX_EXPERTS, err)) ||
	    (e = check_range("number of experts a token", m->n_used, 1, m->n_experts, err)) ||
	    (e = check_range("feed-forward width of an expert", m->d_ff, 1, TRIT_MAX_COLS, err)) ||
	    (e = check_range("feed-forward width of the shared expert", m->d_ff_shared, 0, TRIT_MAX_COLS, err)))
		return e;
	if (m->gating != TRIT_MOE_SOFTMAX && m->gating != TRIT_MOE_SIGMOID)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "experts weighted by function %d; there are softmax (1) and "
		                 "sigmoid (2)", (int)m->gating);
	if (!(m->scale > 0 && m->scale < 1e6f))
		return trit_fail(err, TRIT_ERR_FORMAT, "the experts' factor is %g; it must be positive", (double)m->scale);
	return TRIT_OK;
}

/* What only some architectures have. */
static int check_extras(const struct trit_config *c, struct trit_error *err)
{
	const struct {
		const char *what;
		float value;
	} factors[] = {
		{ "attention's scale", c->score_scale },
		{ "the cap of attention's scores", c->attn_softcap },
		{ "the cap of the logits", c->logit_softcap },
		{ "the embedding's scale", c->embedding_scale },
	};
	for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++)
		if (!(factors[i].value >= 0 && factors[i].value < 1e6f))
			return trit_fail(err, TRIT_ERR_FORMAT, "%s is %g; it must be positive", factors[i].what,
			                 (double)factors[i].value);
	if (c->window_rope_base != 0 && !(c->window_rope_base >= 1 && c->window_rope_base < 1e12f))
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary base of layers with a window is %g; it must be at least 1",
		                 (double)c->window_rope_base);
	int e = check_range("number of labels", c->n_labels, 0, TRIT_MAX_LABELS, err);
	if (!e)
		e = check_range("sliding window", c->window, 0, TRIT_MAX_CTX, err);
	if (!e)
		e = check_range("period of layers that see all positions", c->window_period, 0, TRIT_MAX_LAYERS, err);
	return e || (e = check_experts(&c->moe, err)) ? e : check_rope_scaling(c, err);
}

int trit_config_check(const struct trit_config *c, struct trit_error *err)
{
	const struct {
		const char *what;
		int value, max;
	} ranges[] = {
		{ "vocabulary size", c->n_vocab, TRIT_MAX_VOCAB },
		{ "number of layers", c->n_layers, TRIT_MAX_LAYERS },
		{ "embedding width", c->d_model, TRIT_MAX_COLS },
		{ "feed-forward width", c->d_ff, TRIT_MAX_COLS },
		{ "number of heads", c->n_heads, 4096 },
		{ "number of key/value heads", c->n_kv_heads, c->n_heads },
		{ "head width", c->head_dim, 4096 },
		{ "rotary width", c->n_rot, c->head_dim },
		{ "context length", c->n_ctx, TRIT_MAX_CTX },
	};
	int e = TRIT_OK;
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && !e; i++)
		e = check_range(ranges[i].what, ranges[i].value, 1, ranges[i].max, err);
	if (e)
		return e;
	if (c->n_heads % c->n_kv_heads)
		return trit_fail(err, TRIT_ERR_FORMAT, "%d heads cannot share %d key/value heads evenly", c->n_heads,
		                 c->n_kv_heads);
	if (c->n_rot % 2)
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary width is %d; it must be even", c->n_rot);
	if (check_range("width of all heads together", (int64_t)c->n_heads * c->head_dim, 1, TRIT_MAX_COLS, err))
		return TRIT_ERR_FORMAT;
	if (!(c->eps > 0 && c->eps < 1))
		return trit_fail(err, TRIT_ERR_FORMAT, "the norms' epsilon is %g; it must be between 0 and 1", (double)c->eps);
	if (!(c->rope_base >= 1 && c->rope_base < 1e12f))
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary base is %g; it must be at least 1", (double)c->rope_base);
	return check_extras(c, err);
}

/* Reads ARCH.SUFFIX into *out; required when it has no default (*out < 0). */
static int read_size(const struct trit_gguf *g, const char *arch, const char *suffix, uint64_t max, int *out,
                     struct trit_error *err)
{
	char key[96];
	uint64_t v = 0;
	snprintf(key, sizeof key, "%s.%s", arch, suffix);
	int e = trit_gguf_get_u64(g, key, max, &v, err);
	if (e < 0)
		return e;
	if (e == 0)
		*out = (int)v;
	else if (*out < 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "the key %s is missing; the file is incomplete", key);
	return TRIT_OK;
}

static int read_float(const struct trit_gguf *g, const char *arch, const char *suffix, float *out,
                      struct trit_error *err)
{
	char key[96];
	double v = (double)*out;
	snprintf(key, sizeof key, "%s.%s", arch, suffix);
	int e = trit_gguf_get_f64(g, key, &v, err);
	*out = (float)v;
	return e < 0 ? e : TRIT_OK;
}

static int read_floats(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	int e = read_float(g, c->arch->name, trit_config_eps_key(c->arch), &c->eps, err);
	for (int i = 0; i < trit_n_config_floats && !e; i++) {
		float *out = (float *)(void *)((char *)c + trit_config_floats[i].offset);
		e = read_float(g, c->arch->name, trit_config_floats[i].suffix, out, err);
	}
	return e;
}

static int read_llama3(struct trit_rope_scaling *s, const struct trit_gguf *g, const char *arch,
                       struct trit_error *err)
{
	int e;
	s->kind = TRIT_ROPE_LLAMA3;
	s->slow = 1;
	s->fast = 4;
	if ((e = read_float(g, arch, "rope.scaling.low_freq_factor", &s->slow, err)))
		return e;
	return read_float(g, arch, "rope.scaling.high_freq_factor", &s->fast, err);
}

static int read_yarn(struct trit_rope_scaling *s, const struct trit_gguf *g, const char *arch, struct trit_error *err)
{
	float extrapolation = 1, magnitude = 0, weight = 0, attention = 1;
	int e;
	s->kind = TRIT_ROPE_YARN;
	s->slow = 1;
	s->fast = 32;
	if ((e = read_float(g, arch, "rope.scaling.yarn_beta_slow", &s->slow, err)) ||
	    (e = read_float(g, arch, "rope.scaling.yarn_beta_fast", &s->fast, err)) ||
	    (e = read_float(g, arch, "rope.scaling.yarn_ext_factor", &extrapolation, err)) ||
	    (e = read_float(g, arch, "rope.scaling.yarn_attn_factor", &magnitude, err)) ||
	    (e = read_float(g, arch, "rope.scaling.yarn_log_multiplier", &weight, err)) ||
	    (e = read_float(g, arch, "rope.scaling.attn_factor", &attention, err)))
		return e;
	if (extrapolation >= 0 && extrapolation != 1) /* below 0: not set */
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "rotary scaling (yarn) with %s.rope.scaling.yarn_ext_factor %g",
		                 arch, (double)extrapolation);
	if (magnitude == 0)
		magnitude = trit_rope_magnitude(s->factor, 1) / trit_rope_magnitude(s->factor, weight);
	s->magnitude = magnitude * attention;
	return TRIT_OK;
}

static int read_rope_scaling(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	struct trit_rope_scaling *s = &c->rope_scaling;
	const char *type = "linear", *arch = c->arch->name;
	size_t len = strlen(type);
	char key[96];
	int e;
	s->factor = 0;
	s->n_ctx_original = c->n_ctx;
	snprintf(key, sizeof key, "%s.rope.scaling.type", arch);
	if ((e = trit_gguf_get_string(g, key, &type, &len, err)) < 0 ||
	    (e = read_float(g, arch, "rope.scale_linear", &s->factor, err)) || /* an older name of the next */
	    (e = read_float(g, arch, "rope.scaling.factor", &s->factor, err)) ||
	    (e = read_size(g, arch, "rope.scaling.original_context_length", TRIT_MAX_CTX, &s->n_ctx_original, err)))
		return e;
	s->factor = s->factor == 0 ? 1 : s->factor;
	if (len == 4 && memcmp(type, "none", 4) == 0)
		return TRIT_OK;
	if (len == 6 && memcmp(type, "linear", 6) == 0) {
		s->kind = s->factor == 1 ? TRIT_ROPE_PLAIN : TRIT_ROPE_LINEAR;
		return TRIT_OK;
	}
	if (len == 6 && memcmp(type, "llama3", 6) == 0)
		return read_llama3(s, g, arch, err);
	if (len == 4 && memcmp(type, "yarn", 4) == 0)
		return read_yarn(s, g, arch, err);
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "rotary scaling \"%.*s\" (%s) is not supported; supported are linear, llama3 and yarn",
	                 len > 64 ? 64 : (int)len, type, key);
}

/* Which layers have a window: one number, or whether each layer has one. */
static int read_window_pattern(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	char key[96];
	snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", c->arch->name);
	const struct trit_gguf_key *k = trit_gguf_find_key(g, key);
	if (!k || k->type != TRIT_GGUF_ARRAY)
		return read_size(g, c->arch->name, "attention.sliding_window_pattern", TRIT_MAX_LAYERS, &c->window_period, err);
	if (!trit_gguf_type_bytes(k->element_type) || k->n < (uint64_t)c->n_layers)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: expected a number for each of %d layers", key, c->n_layers);
	c->window_period = 0;
	for (int l = 0; l < c->n_layers; l++) {
		bool has = trit_gguf_array_number(k, (uint64_t)l) != 0;
		if (!has && !c->window_period)
			c->window_period = l + 1;
		if (has == (c->window_period && l % c->window_period == c->window_period - 1))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: layers that see all positions at uneven distances", key);
	}
	return TRIT_OK;
}

static int read_window(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	int e = read_size(g, c->arch->name, "attention.sliding_window", TRIT_MAX_CTX, &c->window, err);
	return e ? e : read_window_pattern(c, g, err);
}

/* Rows of the first layer's tensor of a name; 0 if there is none. */
static int rows_of(const struct trit_gguf *g, const char *name)
{
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(g, name);
	return t && t->dims[1] <= TRIT_MAX_COLS ? (int)t->dims[1] : 0;
}

/* Widths come from the tensors unless a key has them: files of several makers lack those keys. */
static int read_experts(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	struct trit_moe_config *m = &c->moe;
	const char *arch = c->arch->name;
	int gating = (int)m->gating, e;
	char key[96];
	if ((e = read_size(g, arch, "expert_count", TRIT_MAX_EXPERTS, &m->n_experts, err)) || !m->n_experts)
		return e;
	int stacked = rows_of(g, "blk.0.ffn_up_exps.weight");
	m->d_ff = stacked ? stacked : rows_of(g, "blk.0.ffn_up.0.weight");
	m->d_ff_shared = rows_of(g, "blk.0.ffn_up_shexp.weight");
	m->shared_gate = trit_gguf_find_tensor(g, "blk.0.ffn_gate_inp_shexp.weight");
	m->n_used = -1;
	if ((e = read_size(g, arch, "expert_used_count", TRIT_MAX_EXPERTS, &m->n_used, err)) ||
	    (e = read_size(g, arch, "expert_feed_forward_length", TRIT_MAX_COLS, &m->d_ff, err)) ||
	    (e = read_size(g, arch, "expert_shared_feed_forward_length", TRIT_MAX_COLS, &m->d_ff_shared, err)) ||
	    (e = read_size(g, arch, "expert_gating_func", 255, &gating, err)) ||
	    (e = read_float(g, arch, "expert_weights_scale", &m->scale, err)))
		return e;
	m->gating = (enum trit_moe_gating)gating;
	m->scale = m->scale == 0 ? 1 : m->scale;
	snprintf(key, sizeof key, "%s.expert_weights_norm", arch);
	e = trit_gguf_get_bool(g, key, &m->norm, err);
	return e < 0 ? e : TRIT_OK;
}

static int read_bits(const struct trit_gguf *g, const char *arch, const char *suffix, bool *four,
                     struct trit_error *err)
{
	int bits = 8, e = read_size(g, arch, suffix, 255, &bits, err);
	*four = bits == 4;
	if (!e && bits != 4 && bits != 8)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s.%s is %d; activations have 8 bits or 4", arch, suffix, bits);
	return e;
}

/* How the inputs of integer projections are quantised. */
static int read_activations(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	const char *arch = c->arch->name;
	char key[96];
	int e;
	if ((e = read_bits(g, arch, "activation.input_bits", &c->input_4bit, err)) ||
	    (e = read_bits(g, arch, "activation.inner_bits", &c->inner_4bit, err)))
		return e;
	snprintf(key, sizeof key, "%s.activation.inner_hadamard", arch);
	e = trit_gguf_get_bool(g, key, &c->inner_hadamard, err);
	return e < 0 ? e : TRIT_OK;
}

/* Which of the tensors that a model may have or not have it has: what the first layer has. */
static void look_for_tensors(struct trit_config *c, const struct trit_gguf *g)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	for (int id = 0; id < TRIT_N_TENSORS; id++) {
		trit_tensor_name(name, (enum trit_tensor_id)id, 0, "bias");
		if (trit_tensor_may_have_bias(c->arch, (enum trit_tensor_id)id) && trit_gguf_find_tensor(g, name))
			c->biases |= (uint64_t)1 << id;
	}
	c->tied = !trit_gguf_find_tensor(g, "output.weight");
	c->n_labels = rows_of(g, "cls.output.weight");
	c->projection_norms = trit_gguf_find_tensor(g, "blk.0.attn_q_norm_in.weight");
	c->rope_freqs = trit_gguf_find_tensor(g, "rope_freqs.weight");
	c->sub_norm = c->sub_norm || trit_gguf_find_tensor(g, "blk.0.attn_sub_norm.weight");
	if (c->arch->qk_norms_optional && !trit_gguf_find_tensor(g, "blk.0.attn_q_norm.weight"))
		c->qk_norms = TRIT_QK_PLAIN;
}

enum { MAX_ROT = 4096 };

/* Whether the file's divisors are those of a LLaMA 3 scaling. */
static bool are_llama3(const struct trit_rope_scaling *s, const struct trit_config *c, const struct trit_gguf *g)
{
	float expected[MAX_ROT / 2], got;
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(g, "rope_freqs.weight");
	if (t->type != TRIT_GGML_F32 || t->bytes != (uint64_t)c->n_rot / 2 * sizeof got || c->n_rot > MAX_ROT)
		return false;
	trit_rope_divisors(expected, s, c->rope_base, c->n_rot);
	for (int i = 0; i < c->n_rot / 2; i++) {
		memcpy(&got, t->data + (size_t)i * sizeof got, sizeof got);
		if (!(fabsf(got - expected[i]) <= 1e-5f * expected[i]))
			return false;
	}
	return true;
}

/* What made the divisors that the file has: the keys of a file written here say it, and of others the published models
 * are tried, LLaMA 3.1 and 3.2. The divisors are used as they are; the numbers are for those who write the model in a
 * form that has no divisors. */
static int find_llama3(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	static const struct trit_rope_scaling published[] = {
		{ .kind = TRIT_ROPE_LLAMA3, .factor = 8, .slow = 1, .fast = 4, .n_ctx_original = 8192 },
		{ .kind = TRIT_ROPE_LLAMA3, .factor = 32, .slow = 1, .fast = 4, .n_ctx_original = 8192 },
	};
	const char *arch = c->arch->name;
	struct trit_rope_scaling s = { .kind = TRIT_ROPE_LLAMA3 };
	int e;
	if (!c->rope_freqs || c->rope_scaling.kind != TRIT_ROPE_PLAIN)
		return TRIT_OK;
	if ((e = read_float(g, arch, "rope.llama3.factor", &s.factor, err)) ||
	    (e = read_float(g, arch, "rope.llama3.low_freq_factor", &s.slow, err)) ||
	    (e = read_float(g, arch, "rope.llama3.high_freq_factor", &s.fast, err)) ||
	    (e = read_size(g, arch, "rope.llama3.original_context_length", TRIT_MAX_CTX, &s.n_ctx_original, err)))
		return e;
	if (s.factor > 0 && s.slow > 0 && s.fast > s.slow && s.n_ctx_original > 0 && are_llama3(&s, c, g))
		c->rope_scaling = s;
	for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
		if (c->rope_scaling.kind == TRIT_ROPE_PLAIN && are_llama3(&published[i], c, g))
			c->rope_scaling = published[i];
	return TRIT_OK;
}

/* The square root of D as the makers' program has it: a number of the embedding's type, if that is of 16 bits. */
static float embedding_scale(const struct trit_config *c, uint32_t type)
{
	float scale = sqrtf((float)c->d_model);
	if (!c->arch->scale_embedding)
		return 0;
	return type == TRIT_GGML_BF16  ? trit_bf16_to_f32(trit_f32_to_bf16(scale))
	       : type == TRIT_GGML_F16 ? trit_f16_to_f32(trit_f32_to_f16(scale))
	                               : scale;
}

static int fail_arch(const char *name, size_t len, struct trit_error *err)
{
	char known[256] = "";
	for (size_t i = 0, used = 0; i < N_ARCHS && used < sizeof known; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", archs[i].name);
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "architecture \"%.*s\" is not supported; supported are %s",
	                 len > 64 ? 64 : (int)len, name, known);
}

static int read_arch(struct trit_config *c, const struct trit_gguf *g, struct trit_error *err)
{
	const char *name = "";
	size_t len = 0;
	int e = trit_gguf_get_string(g, "general.architecture", &name, &len, err);
	if (e < 0)
		return e;
	if (e > 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "the key general.architecture is missing; this is not a model file");
	const struct trit_arch *arch = trit_arch_by_name(name, len);
	if (!arch)
		return fail_arch(name, len, err);
	trit_config_set_arch(c, arch);
	e = trit_gguf_get_string(g, "general.name", &name, &len, err);
	if (e < 0)
		return e;
	if (e == 0) {
		len = len < sizeof c->name ? len : sizeof c->name - 1;
		memcpy(c->name, name, len);
		c->name[len] = 0;
	}
	return TRIT_OK;
}

int trit_config_read(struct trit_config *out, const struct trit_gguf *g, struct trit_error *err)
{
	struct trit_config c = { .n_vocab = -1, .n_layers = -1, .d_model = -1, .d_ff = -1, .n_heads = -1, .n_ctx = -1,
		                 .rope_base = 10000, .eps = 1e-5f };
	int e = read_arch(&c, g, err);
	if (e)
		return e;
	const char *arch = c.arch->name;
	int key_length = 0, value_length = 0;
	if ((e = read_size(g, arch, "block_count", TRIT_MAX_LAYERS, &c.n_layers, err)) ||
	    (e = read_size(g, arch, "embedding_length", TRIT_MAX_COLS, &c.d_model, err)) ||
	    (e = read_size(g, arch, "feed_forward_length", TRIT_MAX_COLS, &c.d_ff, err)) ||
	    (e = read_size(g, arch, "attention.head_count", 4096, &c.n_heads, err)) ||
	    (e = read_size(g, arch, "context_length", TRIT_MAX_CTX, &c.n_ctx, err)))
		return e;
	c.n_kv_heads = c.n_heads;
	if ((e = read_size(g, arch, "attention.head_count_kv", 4096, &c.n_kv_heads, err)))
		return e;
	if (c.n_heads < 1 || c.d_model < 1)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s.attention.head_count or embedding_length is zero", arch);
	key_length = value_length = c.d_model / c.n_heads;
	if ((e = read_size(g, arch, "attention.key_length", 4096, &key_length, err)) ||
	    (e = read_size(g, arch, "attention.value_length", 4096, &value_length, err)))
		return e;
	if (key_length != value_length)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "keys of width %d with values of width %d are not supported",
		                 key_length, value_length);
	c.head_dim = c.n_rot = key_length;
	if ((e = read_size(g, arch, "rope.dimension_count", 4096, &c.n_rot, err)) || (e = read_floats(&c, g, err)) ||
	    (e = read_rope_scaling(&c, g, err)) || (e = read_window(&c, g, err)) || (e = read_experts(&c, g, err)) ||
	    (e = read_activations(&c, g, err)) ||
	    (e = trit_gguf_get_bool(g, "trit.rope.half", &c.rope_half, err)) < 0)
		return e;
	if (c.n_layers == c.arch->n_layers_wide && c.score_scale == 0)
		c.score_scale = 1 / sqrtf((float)(c.d_model / c.n_heads));

	if ((e = read_size(g, arch, "pooling_type", 255, &c.pooling, err)))
		return e;
	const struct trit_gguf_tensor *embd = trit_gguf_find_tensor(g, "token_embd.weight");
	if (!embd || embd->dims[1] < 1 || embd->dims[1] > TRIT_MAX_VOCAB)
		return trit_fail(err, TRIT_ERR_FORMAT, "token_embd.weight is missing or has no sensible shape");
	c.n_vocab = (int)embd->dims[1];
	if (c.embedding_scale == 0)
		c.embedding_scale = embedding_scale(&c, embd->type);
	look_for_tensors(&c, g);
	if ((e = find_llama3(&c, g, err)))
		return e;
	if ((e = trit_config_check(&c, err)))
		return e;
	*out = c;
	return TRIT_OK;
}

int64_t trit_config_parameters(const struct trit_config *c)
{
	struct trit_tensor_walk w = { 0 };
	int64_t n = 0;
	while (trit_tensor_next(&w, c))
		n += (int64_t)(w.rows * w.cols);
	return n;
}
