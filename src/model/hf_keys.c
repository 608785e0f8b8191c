/*
 * hf_keys.c - config.json to GGUF keys.
 *
 * Reference: the configuration classes of transformers, 4.x and 5.x, which differ in where rotary parameters are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/hf_keys.h"

#ifdef TRIT_HAVE_JANSSON

#include <math.h>

#include "format/json_file.h"
#include "kernel/layout.h"
#include "text/labels.h"

/* A network of transformers. */
struct network {
	const char *model_type;
	const char *arch;       /* general.architecture of the same network */
	const char *activation; /* begins so; the only one it has here */
	bool half_pairs; /* rotary pairs are (i, i + n/2), though the architecture's in GGUF are not */
};

static const struct network networks[] = {
	{ "bitnet", "bitnet-b1.58", "relu2", false },
	{ "llama", "llama", "silu", true },
	{ "smollm", "llama", "silu", true },
	{ "mistral", "llama", "silu", true },
	{ "mixtral", "llama", "silu", true },
	{ "qwen2", "qwen2", "silu", false },
	{ "qwen3", "qwen3", "silu", false },
	{ "qwen2_moe", "qwen2moe", "silu", false },
	{ "qwen3_moe", "qwen3moe", "silu", false },
	{ "gemma", "gemma", "gelu", false },
	{ "gemma2", "gemma2", "gelu", false },
	{ "gemma3", "gemma3", "gelu", false },
	{ "gemma3_text", "gemma3", "gelu", false },
	{ "stablelm", "stablelm", "silu", false },
};
/* BitNet as the paper has it, with SwiGLU: as transformers' "bitnet" can be, and as 1bitLLM's models are. */
static const struct network bitnet_silu = { "bitnet", "bitnet", "silu", false };

struct reader {
	json_t *root; /* of the text model */
	const struct network *network;
	const struct trit_arch *arch;
	struct trit_gguf_build *b;
	struct trit_notes *notes;
	struct trit_error *err;
};

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const json_t *get(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return json_is_null(v) ? NULL : v;
}

static const char *get_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(get(object, name));
	return text ? text : "";
}

/* 1: there is none. */
static int get_count(const struct reader *r, const json_t *object, const char *name, int max, int *out)
{
	const json_t *v = get(object, name);
	if (!v)
		return 1;
	/* Some writers make whole numbers floats. */
	double number = json_is_number(v) ? json_number_value(v) : -1;
	if (!(number >= 0 && number <= max && number == floor(number)))
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"%s\" is no whole number from 0 to %d", name, max);
	*out = (int)number;
	return TRIT_OK;
}

static int get_number(const struct reader *r, const json_t *object, const char *name, double *out)
{
	const json_t *v = get(object, name);
	if (!v)
		return 1;
	if (!json_is_number(v))
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"%s\" is no number", name);
	*out = json_number_value(v);
	return TRIT_OK;
}

static void key_name(const struct reader *r, const char *suffix, char key[96])
{
	snprintf(key, 96, "%s.%s", r->arch->name, suffix);
}

/* The first of several names of one thing counts. */
static void put_count(const struct reader *r, const char *suffix, int v)
{
	char key[96];
	key_name(r, suffix, key);
	if (!trit_gguf_build_has_key(r->b, key))
		trit_gguf_build_u32(r->b, key, (uint32_t)v);
}

static void put_number(const struct reader *r, const char *suffix, double v)
{
	char key[96];
	key_name(r, suffix, key);
	trit_gguf_build_f32(r->b, key, (float)v);
}

static void put_text(const struct reader *r, const char *suffix, const char *text)
{
	char key[96];
	key_name(r, suffix, key);
	trit_gguf_build_string(r->b, key, strlen(text), text);
}

/* Copies counts and numbers from their names in config.json to the keys. */
struct copied {
	const char *name, *suffix;
	bool required;
};

static int copy_counts(const struct reader *r, const struct copied *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int v = 0, e = get_count(r, r->root, list[i].name, TRIT_MAX_CTX, &v);
		if (e < 0)
			return e;
		if (e == 0)
			put_count(r, list[i].suffix, v);
		else if (list[i].required)
			return trit_fail(r->err, TRIT_ERR_FORMAT, "\"%s\" is missing", list[i].name);
	}
	return TRIT_OK;
}

static int copy_numbers(const struct reader *r, const struct copied *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double v = 0;
		int e = get_number(r, r->root, list[i].name, &v);
		if (e < 0)
			return e;
		if (e == 0)
			put_number(r, list[i].suffix, v);
	}
	return TRIT_OK;
}

/* ---- which network ----------------------------------------------------------------------------------------------- */

/* 1bitLLM's models call themselves LLaMA; they have sub-norms and train with a weight quantiser. */
static bool is_first_bitnet(const json_t *root)
{
	const json_t *class = json_array_get(get(root, "architectures"), 0);
	const char *name = json_string_value(class);
	return get(root, "weight_bits") || (name && !strcmp(name, "BitnetForCausalLM"));
}

static const char *activation_of(const json_t *root)
{
	const char *text = get_text(root, "hidden_activation");
	return text[0] ? text : get_text(root, "hidden_act");
}

static int fail_network(const char *type, struct trit_error *err)
{
	char known[256] = "";
	size_t used = 0;
	for (size_t i = 0; i < sizeof networks / sizeof networks[0] && used < sizeof known; i++)
		if (trit_arch_by_name(networks[i].arch, strlen(networks[i].arch)))
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
			                         networks[i].model_type);
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "model_type \"%.64s\" is not supported; supported are %s", type, known);
}

static int find_network(struct reader *r)
{
	const char *type = get_text(r->root, "model_type"), *activation = activation_of(r->root);
	for (size_t i = 0; i < sizeof networks / sizeof networks[0] && !r->network; i++)
		if (!strcmp(networks[i].model_type, type))
			r->network = &networks[i];
	if (!type[0])
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"model_type\" is missing; not the config.json of a model");
	if (is_first_bitnet(r->root) || (!strcmp(type, "bitnet") && !strcmp(activation, "silu")))
		r->network = &bitnet_silu;
	r->arch = r->network ? trit_arch_by_name(r->network->arch, strlen(r->network->arch)) : NULL;
	if (!r->arch)
		return fail_network(type, r->err);
	if (activation[0] && strncmp(activation, r->network->activation, strlen(r->network->activation)) != 0)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED, "activation \"%.40s\" in a model of type %s; only %s is known",
		                 activation, type, r->network->activation);
	if (json_is_true(get(r->root, "use_parallel_residual")))
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "attention and feed-forward side by side (use_parallel_residual) are not supported");
	if (json_is_true(get(r->root, "use_bidirectional_attention")))
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "attention to what comes later (use_bidirectional_attention) is not supported");
	return TRIT_OK;
}

/* What transformers takes for numbers that config.json does not have, where that would change the result or
 * is what published files do; LLaMA's are at the end, for all. */
static const struct unsaid {
	const char *model_type; /* how it begins */
	const char *name;
	double value;
} unsaid[] = {
	{ "bitnet", "rms_norm_eps", 1e-5 },
	{ "bitnet", "rope_theta", 5e5 },
	{ "mistral", "max_position_embeddings", 131072 },
	{ "mistral", "sliding_window", 4096 },
	{ "mixtral", "max_position_embeddings", 131072 },
	{ "mixtral", "num_experts_per_tok", 2 },
	{ "mixtral", "rms_norm_eps", 1e-5 },
	{ "mixtral", "rope_theta", 1e6 },
	{ "qwen2_moe", "num_experts_per_tok", 4 },
	{ "qwen3_moe", "num_experts_per_tok", 8 },
	{ "qwen", "max_position_embeddings", 32768 },
	{ "gemma2", "query_pre_attn_scalar", 256 },
	{ "gemma2", "sliding_window", 4096 },
	{ "gemma3", "max_position_embeddings", 131072 },
	{ "gemma3", "num_attention_heads", 8 },
	{ "gemma3", "num_key_value_heads", 4 },
	{ "gemma3", "query_pre_attn_scalar", 256 },
	{ "gemma3", "rope_theta", 1e6 },
	{ "gemma3", "sliding_window", 4096 },
	{ "gemma", "head_dim", 256 },
	{ "gemma", "max_position_embeddings", 8192 },
	{ "stablelm", "max_position_embeddings", 4096 },
	{ "stablelm", "layer_norm_eps", 1e-5 },
	{ "", "max_position_embeddings", 2048 },
	{ "", "rms_norm_eps", 1e-6 },
};

/* Adds what is unsaid to the configuration. Null is not unsaid. */
static int put_unsaid(const struct reader *r)
{
	const char *type = get_text(r->root, "model_type");
	bool rope = get(r->root, "rope_parameters"), layer_norm = r->arch->norm == TRIT_NORM_LAYER;
	for (size_t i = 0; i < sizeof unsaid / sizeof unsaid[0]; i++) {
		const struct unsaid *u = &unsaid[i];
		if (strncmp(type, u->model_type, strlen(u->model_type)) != 0 || json_object_get(r->root, u->name) ||
		    (layer_norm && !strcmp(u->name, "rms_norm_eps")))
			continue;
		if (json_object_set_new(r->root, u->name, json_real(u->value)))
			return trit_fail(r->err, TRIT_ERR_MEMORY, "not enough memory to read config.json");
		if (!(rope && !strcmp(u->name, "rope_theta"))) /* it stands in there */
			trit_note(r->notes, TRIT_NOTE_ASSUMED, "config.json has no %s: %g, transformers' default", u->name,
			          u->value);
	}
	return TRIT_OK;
}

/* ---- rotary embedding -------------------------------------------------------------------------------------------- */

static int read_yarn(const struct reader *r, const json_t *scaling, double factor)
{
	double fast = 32, slow = 1, magnitude = 0, part = 0, all = 0;
	int e;
	if (json_is_false(get(scaling, "truncate")))
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "rotary scaling \"yarn\" with bounds between pairs (\"truncate\" is false) is not supported");
	if ((e = get_number(r, scaling, "beta_fast", &fast)) < 0 || (e = get_number(r, scaling, "beta_slow", &slow)) < 0 ||
	    (e = get_number(r, scaling, "attention_factor", &magnitude)) < 0 ||
	    (e = get_number(r, scaling, "mscale", &part)) < 0 || (e = get_number(r, scaling, "mscale_all_dim", &all)) < 0)
		return e;
	if (magnitude == 0 && part != 0 && all != 0 && factor > 1) /* as transformers computes it */
		magnitude = (0.1 * part * log(factor) + 1) / (0.1 * all * log(factor) + 1);
	put_number(r, "rope.scaling.yarn_beta_fast", fast);
	put_number(r, "rope.scaling.yarn_beta_slow", slow);
	if (magnitude != 0)
		put_number(r, "rope.scaling.yarn_attn_factor", magnitude);
	return TRIT_OK;
}

static int read_llama3(const struct reader *r, const json_t *scaling)
{
	double low = 1, high = 4;
	int e;
	if ((e = get_number(r, scaling, "low_freq_factor", &low)) < 0 ||
	    (e = get_number(r, scaling, "high_freq_factor", &high)) < 0)
		return e;
	put_number(r, "rope.scaling.low_freq_factor", low);
	put_number(r, "rope.scaling.high_freq_factor", high);
	return TRIT_OK;
}

static int read_scaling(const struct reader *r, const json_t *scaling)
{
	const char *type = get_text(scaling, "rope_type");
	double factor = 1;
	int original = 0, e = get_number(r, scaling, "factor", &factor);
	if (!type[0])
		type = get_text(scaling, "type");
	if (e < 0 || !type[0] || !strcmp(type, "default"))
		return e < 0 ? e : TRIT_OK;
	if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0 && strcmp(type, "yarn") != 0)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "rotary scaling \"%.40s\" is not supported; supported are linear, llama3 and yarn", type);
	put_text(r, "rope.scaling.type", type);
	put_number(r, "rope.scaling.factor", factor);
	if ((e = get_count(r, scaling, "original_max_position_embeddings", TRIT_MAX_CTX, &original)) < 0)
		return e;
	if (e == 0)
		put_count(r, "rope.scaling.original_context_length", original);
	return !strcmp(type, "yarn") ? read_yarn(r, scaling, factor) : !strcmp(type, "llama3") ? read_llama3(r, scaling)
	                                                                                       : TRIT_OK;
}

/* Rotary parameters are members of the configuration (4.x), or of rope_parameters (5.x), there maybe by kinds of
 * layers. */
static int read_rope(const struct reader *r, int head_dim)
{
	const json_t *parameters = get(r->root, "rope_parameters"), *full = get(parameters, "full_attention");
	const json_t *local = get(parameters, "sliding_attention");
	const json_t *scaling = full ? full : parameters ? parameters : get(r->root, "rope_scaling");
	double base = 1e4, local_base = 1e4, share = !strcmp(r->arch->name, "stablelm") ? 0.25 : 1;
	int e;
	if ((e = get_number(r, r->root, "rope_theta", &base)) < 0 ||
	    (e = get_number(r, scaling, "rope_theta", &base)) < 0 ||
	    (e = get_number(r, r->root, "rope_pct", &share)) < 0 ||
	    (e = get_number(r, r->root, "partial_rotary_factor", &share)) < 0 ||
	    (e = get_number(r, scaling, "partial_rotary_factor", &share)) < 0)
		return e;
	put_number(r, "rope.freq_base", base);
	if (!(share > 0 && share <= 1))
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"partial_rotary_factor\" is %g; it must be from 0 to 1", share);
	put_count(r, "rope.dimension_count", (int)(head_dim * share));
	if (!strcmp(r->arch->name, "gemma3")) {
		if ((e = get_number(r, r->root, "rope_local_base_freq", &local_base)) < 0 ||
		    (e = get_number(r, local, "rope_theta", &local_base)) < 0)
			return e;
		put_number(r, "rope.freq_base_swa", local_base);
	}
	if (r->network->half_pairs)
		trit_gguf_build_bool(r->b, "trit.rope.half", true);
	return read_scaling(r, scaling);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static int read_sizes(const struct reader *r, int *head_dim)
{
	static const struct copied counts[] = {
		{ "hidden_size", "embedding_length", true },
		{ "num_hidden_layers", "block_count", true },
		{ "num_attention_heads", "attention.head_count", true },
		{ "num_key_value_heads", "attention.head_count_kv", false },
		{ "intermediate_size", "feed_forward_length", true },
		{ "max_position_embeddings", "context_length", true },
		{ "vocab_size", "vocab_size", false },
		{ "num_local_experts", "expert_count", false },
		{ "num_experts", "expert_count", false },
		{ "num_experts_per_tok", "expert_used_count", false },
		{ "moe_intermediate_size", "expert_feed_forward_length", false },
		{ "shared_expert_intermediate_size", "expert_shared_feed_forward_length", false },
	};
	int width = 0, heads = 0, e = copy_counts(r, counts, sizeof counts / sizeof counts[0]);
	if (e || (e = get_count(r, r->root, "hidden_size", TRIT_MAX_COLS, &width)) < 0 ||
	    (e = get_count(r, r->root, "num_attention_heads", 4096, &heads)) < 0)
		return e;
	if (heads < 1)
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"num_attention_heads\" is 0");
	*head_dim = width / heads;
	if ((e = get_count(r, r->root, "head_dim", 4096, head_dim)) < 0)
		return e;
	put_count(r, "attention.key_length", *head_dim);
	put_count(r, "attention.value_length", *head_dim);
	return TRIT_OK;
}

static int read_numbers(const struct reader *r)
{
	static const struct copied numbers[] = {
		{ "rms_norm_eps", "attention.layer_norm_rms_epsilon", false },
		{ "layer_norm_eps", "attention.layer_norm_epsilon", false },
		{ "attn_logit_softcapping", "attn_logit_softcapping", false },
		{ "final_logit_softcapping", "final_logit_softcapping", false },
	};
	double scalar = 0;
	int e = copy_numbers(r, numbers, sizeof numbers / sizeof numbers[0]);
	if (e || (e = get_number(r, r->root, "query_pre_attn_scalar", &scalar)) < 0)
		return e;
	if (e == 0 && !(scalar > 0))
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"query_pre_attn_scalar\" is %g; it must be positive", scalar);
	if (e == 0)
		put_number(r, "attention.scale", 1 / sqrt(scalar));
	/* The architecture's own caps hold where nothing is said; null says that there are none. */
	for (size_t i = 2; i < 4; i++)
		if (json_is_null(json_object_get(r->root, numbers[i].name)))
			put_number(r, numbers[i].suffix, 0);
	return TRIT_OK;
}

/* Qwen's experts, beyond their numbers: whether the weights of the chosen ones are made to sum to 1; and that all
 * layers have experts. */
static int read_experts(const struct reader *r)
{
	char key[96];
	size_t len = strlen(r->network->arch);
	int period = 1, e = get_count(r, r->root, "decoder_sparse_step", TRIT_MAX_LAYERS, &period);
	if (e < 0 || len < 3 || strcmp(r->network->arch + len - 3, "moe") != 0)
		return e < 0 ? e : TRIT_OK;
	if (period != 1 || json_array_size(get(r->root, "mlp_only_layers")) > 0)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED, "layers with and without experts in one model");
	key_name(r, "expert_weights_norm", key);
	trit_gguf_build_bool(r->b, key, json_is_true(get(r->root, "norm_topk_prob")));
	return TRIT_OK;
}

/* Which layers have a window: layer_types says it layer by layer, sliding_window_pattern by a period, Qwen's
 * max_window_layers from a layer on; else all of them have it, or what the architecture says. */
static int read_window(const struct reader *r)
{
	const json_t *types = get(r->root, "layer_types"), *uses = get(r->root, "use_sliding_window");
	unsigned char has[TRIT_MAX_LAYERS] = { 0 };
	char key[96];
	size_t n = json_array_size(types), sliding = 0;
	int window = 0, layers = 0, first = 0, period = 0, e;
	if ((e = get_count(r, r->root, "sliding_window", TRIT_MAX_CTX, &window)) < 0 ||
	    (e = get_count(r, r->root, "num_hidden_layers", TRIT_MAX_LAYERS, &layers)) < 0 ||
	    (e = get_count(r, r->root, "max_window_layers", TRIT_MAX_CTX, &first)) < 0 ||
	    (e = get_count(r, r->root, "sliding_window_pattern", TRIT_MAX_LAYERS, &period)) < 0)
		return e;
	if (types && n != (size_t)layers)
		return trit_fail(r->err, TRIT_ERR_FORMAT, "\"layer_types\" has %zu elements for %d layers", n, layers);
	for (size_t i = 0; i < n; i++) {
		const char *type = json_string_value(json_array_get(types, i));
		has[i] = type && !strcmp(type, "sliding_attention");
		sliding += has[i];
		if (!type || (!has[i] && strcmp(type, "full_attention") != 0))
			return trit_fail(r->err, TRIT_ERR_UNSUPPORTED, "\"layer_types\" has a layer of type \"%.40s\"",
			                 type ? type : "");
	}
	if (json_is_false(uses) || (types && sliding == 0))
		window = 0;
	put_count(r, "attention.sliding_window", window);
	if (window == 0)
		return TRIT_OK;
	if (!types && json_is_true(uses)) {
		n = (size_t)layers;
		for (int i = first; i < layers; i++)
			has[i] = 1;
	}
	key_name(r, "attention.sliding_window_pattern", key);
	if (n > 0)
		trit_gguf_build_array(r->b, key, TRIT_GGUF_BOOL, n, has);
	else if (period > 0)
		trit_gguf_build_u32(r->b, key, (uint32_t)period);
	return TRIT_OK;
}

/* quantization_config. */
static int read_weights(const struct reader *r, const json_t *root, struct trit_hf_model *out)
{
	const json_t *q = get(root, "quantization_config");
	const char *method = get_text(q, "quant_method"), *class = get_text(q, "linear_class");
	const char *mode = get_text(q, "quantization_mode");
	bool offline = json_is_true(get(q, "offline_quantization"));
	out->weights = TRIT_HF_NUMBERS;
	if (!q) {
		if (is_first_bitnet(r->root))
			out->weights = TRIT_HF_MASTERS;
		return TRIT_OK;
	}
	if (strcmp(method, "bitnet") != 0)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "quantization_config: method \"%.40s\"; only \"bitnet\" is known. Get the model unquantised",
		                 method);
	double eps = 1e-6, model_eps = 1e-6;
	int e = get_number(r, q, "rms_norm_eps", &eps);
	if (e < 0 || (e = get_number(r, r->root, "rms_norm_eps", &model_eps)) < 0)
		return e;
	if (json_is_true(get(q, "use_rms_norm")) && eps != model_eps)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "quantization_config: norms of projections with epsilon %g, others with %g", eps, model_eps);
	if (!strcmp(class, "autobitlinear") && strcmp(mode, "offline") != 0 && !offline)
		out->weights = TRIT_HF_MASTERS;
	else if (!strcmp(class, "autobitlinear") || (!class[0] && offline))
		out->weights = TRIT_HF_BY_FACTOR;
	else
		out->weights = TRIT_HF_BY_DIVISOR;
	return TRIT_OK;
}

/* The names of a classifier's labels, which are in id2label by number. */
static int read_labels(const struct reader *r, const json_t *root)
{
	const char *class = json_string_value(json_array_get(get(root, "architectures"), 0)), *names[TRIT_MAX_LABELS];
	const json_t *map = get(root, "id2label");
	size_t n = json_object_size(map);
	char key[96];
	if (!class || !strstr(class, "ForSequenceClassification") || n < 1)
		return TRIT_OK;
	if (n > TRIT_MAX_LABELS)
		return trit_fail(r->err, TRIT_ERR_LIMIT, "\"id2label\" has %zu names; the limit is %d", n, TRIT_MAX_LABELS);
	for (size_t i = 0; i < n; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i);
		names[i] = json_string_value(get(map, number));
		if (!names[i])
			return trit_fail(r->err, TRIT_ERR_FORMAT, "\"id2label\" has %zu names and none for %zu", n, i);
	}
	key_name(r, "classifier.output_labels", key);
	trit_gguf_build_strings(r->b, key, n, names);
	return TRIT_OK;
}

static int read_root(struct reader *r, struct trit_hf_model *out, const json_t *root)
{
	const json_t *tied;
	const char *name = get_text(root, "_name_or_path");
	int head_dim = 0, e = find_network(r);
	if (e)
		return e;
	*out = (struct trit_hf_model){ .arch = r->arch };
	trit_gguf_build_string(r->b, "general.architecture", strlen(r->arch->name), r->arch->name);
	if (name[0])
		trit_gguf_build_string(r->b, "general.name", strlen(name), name);
	if ((e = put_unsaid(r)) || (e = read_sizes(r, &head_dim)) || (e = read_numbers(r)) ||
	    (e = read_rope(r, head_dim)) || (e = read_window(r)) || (e = read_experts(r)) || (e = read_labels(r, root)) ||
	    (e = read_weights(r, root, out)))
		return e;
	tied = get(root, "tie_word_embeddings");
	tied = tied ? tied : get(r->root, "tie_word_embeddings");
	out->tied = tied ? json_is_true(tied) : -1;
	return TRIT_OK;
}

int trit_hf_read_keys(struct trit_hf_model *out, struct trit_gguf_build *b, size_t len, const char *text,
                      struct trit_notes *notes, struct trit_error *err)
{
	struct reader r = { .b = b, .notes = notes, .err = err };
	json_t *root = NULL;
	int e = trit_json_parse(&root, len, text, err);
	if (e)
		return e;
	/* Models that also see have the text's configuration inside. */
	json_t *text_model = json_object_get(root, "text_config");
	r.root = json_is_object(text_model) && !get(root, "hidden_size") ? text_model : root;
	e = read_root(&r, out, root);
	json_decref(root);
	return e;
}

#else

int trit_hf_read_keys(struct trit_hf_model *out, struct trit_gguf_build *b, size_t len, const char *text,
                      struct trit_notes *notes, struct trit_error *err)
{
	(void)out, (void)b, (void)len, (void)text, (void)notes;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "this build cannot read config.json: it was made without jansson; install libjansson-dev and "
	                 "build again");
}

#endif
