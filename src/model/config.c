/*
 * config.c - the table of architectures, and a configuration's way into and out of GGUF keys.
 *
 * An architecture is a row here. What llama.cpp and bitnet.cpp call "bitnet" is the paper's network (SwiGLU);
 * "bitnet-b1.58" and "bitnet-25" are the 2B-4T's (squared ReLU); "llama" is the full-precision baseline, and ternary
 * models without sub-norms.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/config.h"


#include "kernel/kernel.h"
#include "model/tensors.h"

static const struct trit_arch archs[] = {
	{ "bitnet", "BitNet b1.58", TRIT_ACT_SILU, true, true, true, false, true },
	{ "bitnet-b1.58", "BitNet b1.58 2B-4T", TRIT_ACT_RELU2, true, true, true, true, false },
	{ "bitnet-25", "BitNet b1.58 2B-4T", TRIT_ACT_RELU2, true, true, true, true, false },
	{ "llama", "LLaMA", TRIT_ACT_SILU, false, false, false, true, true },
};

const struct trit_arch *trit_arch_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (strlen(archs[i].name) == len && memcmp(archs[i].name, name, len) == 0)
			return &archs[i];
	return NULL;
}

const struct trit_arch *trit_arch_for(enum trit_weight_kind kind, enum trit_activation activation)
{
	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (archs[i].bit_linear == (kind != TRIT_WEIGHT_FULL) && archs[i].activation == activation)
			return &archs[i];
	return NULL;
}

static int check_range(const char *what, int64_t value, int64_t min, int64_t max, struct trit_error *err)
{
	if (value >= min && value <= max)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_FORMAT, "%s is %lld; it must be %lld to %lld", what, (long long)value,
	                 (long long)min, (long long)max);
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
		return trit_fail(err, TRIT_ERR_FORMAT, "RMSNorm epsilon is %g; it must be between 0 and 1", (double)c->eps);
	if (!(c->rope_base >= 1 && c->rope_base < 1e12f))
		return trit_fail(err, TRIT_ERR_FORMAT, "rotary base is %g; it must be at least 1", (double)c->rope_base);
	return TRIT_OK;
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

/* The rotary scalings of long-context models change every angle: refuse rather than compute something else. */
static int check_rope_scaling(const struct trit_gguf *g, const char *arch, struct trit_error *err)
{
	char key[96];
	const char *type = "";
	size_t len = 0;
	double factor = 1; /* some converters write a linear scaling by 1, which is none */
	snprintf(key, sizeof key, "%s.rope.scaling.factor", arch);
	int e = trit_gguf_get_f64(g, key, &factor, err);
	if (e < 0)
		return e;
	snprintf(key, sizeof key, "%s.rope.scaling.type", arch);
	e = trit_gguf_get_string(g, key, &type, &len, err);
	if (e < 0)
		return e;
	bool none = len == 4 && memcmp(type, "none", 4) == 0, linear = len == 6 && memcmp(type, "linear", 6) == 0;
	if (e == 0 && !none && !(linear && factor == 1))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "rotary scaling \"%.*s\" by %g (%s) is not supported",
		                 len > 64 ? 64 : (int)len, type, factor, key);
	if (trit_gguf_find_tensor(g, "rope_freqs.weight"))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "rotary scaling by rope_freqs.weight is not supported");
	return TRIT_OK;
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
	c->arch = trit_arch_by_name(name, len);
	if (!c->arch)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "architecture \"%.*s\" is not supported; supported are bitnet, bitnet-b1.58, bitnet-25, llama",
		                 len > 64 ? 64 : (int)len, name);
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
	if ((e = read_size(g, arch, "rope.dimension_count", 4096, &c.n_rot, err)) ||
	    (e = read_float(g, arch, "rope.freq_base", &c.rope_base, err)) ||
	    (e = read_float(g, arch, "attention.layer_norm_rms_epsilon", &c.eps, err)) ||
	    (e = check_rope_scaling(g, arch, err)))
		return e;

	if ((e = read_size(g, arch, "pooling_type", 255, &c.pooling, err)))
		return e;
	const struct trit_gguf_tensor *embd = trit_gguf_find_tensor(g, "token_embd.weight");
	if (!embd || embd->dims[1] < 1 || embd->dims[1] > TRIT_MAX_VOCAB)
		return trit_fail(err, TRIT_ERR_FORMAT, "token_embd.weight is missing or has no sensible shape");
	c.n_vocab = (int)embd->dims[1];
	c.tied = !trit_gguf_find_tensor(g, "output.weight");
	if ((e = trit_config_check(&c, err)))
		return e;
	*out = c;
	return TRIT_OK;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Keys ARCH.SUFFIX of the sizes, the same in GGUF files and in checkpoints. */
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

static int size_at(const struct trit_config *c, size_t i)
{
	return *(const int *)(const void *)((const char *)c + size_keys[i].offset);
}

static int put_size(struct trit_gguf_writer *w, const char *arch, const char *suffix, int v, struct trit_error *err)
{
	char key[96];
	snprintf(key, sizeof key, "%s.%s", arch, suffix);
	return trit_gguf_put_u32(w, key, (uint32_t)v, err);
}

static int put_float(struct trit_gguf_writer *w, const char *arch, const char *suffix, float v, struct trit_error *err)
{
	char key[96];
	snprintf(key, sizeof key, "%s.%s", arch, suffix);
	return trit_gguf_put_f32(w, key, v, err);
}

int trit_config_put(const struct trit_config *c, struct trit_gguf_writer *w, int file_type, struct trit_error *err)
{
	const char *arch = c->arch->name;
	int e;
	if ((e = trit_gguf_put_string(w, "general.architecture", strlen(arch), arch, err)) ||
	    (e = trit_gguf_put_string(w, "general.type", 5, "model", err)) ||
	    (e = trit_gguf_put_string(w, "general.name", strlen(c->name), c->name, err)) ||
	    (e = trit_gguf_put_u32(w, "general.file_type", (uint32_t)file_type, err)) ||
	    (e = trit_gguf_put_u32(w, "general.quantization_version", 2, err)))
		return e;
	for (size_t i = 0; i < N_SIZE_KEYS; i++)
		if ((e = put_size(w, arch, size_keys[i].suffix, size_at(c, i), err)))
			return e;
	if (c->head_dim * c->n_heads != c->d_model &&
	    ((e = put_size(w, arch, "attention.key_length", c->head_dim, err)) ||
	     (e = put_size(w, arch, "attention.value_length", c->head_dim, err))))
		return e;
	if (c->pooling && (e = put_size(w, arch, "pooling_type", c->pooling, err)))
		return e;
	if ((e = put_float(w, arch, "rope.freq_base", c->rope_base, err)))
		return e;
	return put_float(w, arch, "attention.layer_norm_rms_epsilon", c->eps, err);
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

static int put_text(struct trit_st_writer *w, const char *arch, const char *suffix, const char *text,
                    struct trit_error *err)
{
	char key[96];
	snprintf(key, sizeof key, "%s.%s", arch, suffix);
	return trit_st_put_meta(w, key, text, err);
}

int trit_config_put_meta(const struct trit_config *c, struct trit_st_writer *w, struct trit_error *err)
{
	const char *arch = c->arch->name;
	char text[32];
	int e = trit_st_put_meta(w, "general.architecture", arch, err);
	for (size_t i = 0; i < N_SIZE_KEYS && !e; i++) {
		snprintf(text, sizeof text, "%d", size_at(c, i));
		e = put_text(w, arch, size_keys[i].suffix, text, err);
	}
	if (e)
		return e;
	snprintf(text, sizeof text, "%d", c->head_dim);
	if ((e = put_text(w, arch, "attention.key_length", text, err)))
		return e;
	snprintf(text, sizeof text, "%.9g", (double)c->rope_base);
	if ((e = put_text(w, arch, "rope.freq_base", text, err)))
		return e;
	snprintf(text, sizeof text, "%.9g", (double)c->eps);
	return put_text(w, arch, "attention.layer_norm_rms_epsilon", text, err);
}

/* The number in ARCH.SUFFIX. */
static int read_text(const struct trit_safetensors *s, const char *arch, const char *suffix, double max, double *out,
                     struct trit_error *err)
{
	char key[96], *end = NULL;
	snprintf(key, sizeof key, "%s.%s", arch, suffix);
	const char *text = trit_safetensors_meta(s, key);
	*out = text ? strtod(text, &end) : -1;
	if (!text || end == text || *end || !(*out >= 0 && *out <= max))
		return trit_fail(err, TRIT_ERR_FORMAT, "metadata %s is missing or no sensible number", key);
	return TRIT_OK;
}

int trit_config_read_meta(struct trit_config *out, const struct trit_safetensors *s, struct trit_error *err)
{
	struct trit_config c = { 0 };
	const char *name = trit_safetensors_meta(s, "general.architecture");
	double v;
	int e = TRIT_OK;
	c.arch = name ? trit_arch_by_name(name, strlen(name)) : NULL;
	if (!c.arch)
		return trit_fail(err, TRIT_ERR_FORMAT, "metadata general.architecture is missing or unknown");
	for (size_t i = 0; i < N_SIZE_KEYS; i++) {
		if ((e = read_text(s, c.arch->name, size_keys[i].suffix, TRIT_MAX_CTX, &v, err)))
			return e;
		*(int *)(void *)((char *)&c + size_keys[i].offset) = (int)v;
	}
	if ((e = read_text(s, c.arch->name, "attention.key_length", TRIT_MAX_COLS, &v, err)))
		return e;
	c.head_dim = (int)v;
	if ((e = read_text(s, c.arch->name, "rope.freq_base", 1e12, &v, err)))
		return e;
	c.rope_base = (float)v;
	if ((e = read_text(s, c.arch->name, "attention.layer_norm_rms_epsilon", 1, &v, err)))
		return e;
	c.eps = (float)v;
	c.tied = !trit_safetensors_find(s, "output.weight");
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
