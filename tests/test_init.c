/*
 * test_init.c - training that starts from a model's file: weights and scales that come back, configurations that pass
 * through a checkpoint unchanged, what is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "format/vocab_file.h"
#include "convert/convert.h"
#include "model/config_keys.h"
#include "model/quant.h"
#include "scratch.h"
#include "tiny_model.h"
#include "train/checkpoint.h"
#include "train/init.h"

static struct trit_error err;

/* Writes the model; its projections in `type`. */
static void export(const char *path, const struct trit_source *s, int type)
{
	struct trit_export_options o = { .type = type, .embedding_type = TRIT_GGML_F32, .head_type = -1 };
	if (trit_export(path, s, &o, &err))
		fail_msg("%s: %s", path, err.message);
}

/* Parameters of configuration c from a file. */
static void load(struct trit_params *p, const struct trit_config *c, const char *path)
{
	struct trit_model_file f;
	assert_int_equal(trit_model_file_open(&f, path, NULL, &err), 0);
	assert_int_equal(trit_params_init(p, c, &err), 0);
	if (trit_params_from_model(p, c, &f, &err))
		fail_msg("%s: %s", path, err.message);
	trit_model_file_close(&f);
}

/* ---- ternary weights --------------------------------------------------------------------------------------------- */

/* Quantised again, the masters of every projection are the codes and the scale that the file was made of. */
static void check_ternary(const char *arch, int type)
{
	struct trit_config c = tiny_config(arch, 256, 512);
	struct trit_source s = tiny_source(c, true);
	struct trit_kernels k;
	struct trit_params p;
	int checked = 0;

	trit_kernels_fill(&k, trit_best_tier());
	export("t.gguf", &s, type);
	load(&p, &c, "t.gguf");
	for (int i = 0; i < p.n; i++) {
		const struct trit_param *t = &p.list[i];
		struct trit_tensor_walk w = { .id = t->id, .layer = t->layer, .rows = t->rows, .cols = t->cols, .count = 1 };
		size_t n = t->rows * t->cols;
		int8_t *codes = trit_calloc(n, 1), *expected = trit_calloc(n, 1);
		float scale;
		if (t->kind == TRIT_KIND_LINEAR) {
			struct trit_weight_scale got = trit_weight_scale(&k, TRIT_WEIGHT_TERNARY, p.w + t->offset, n);
			tiny_scales(NULL, &w, &scale, &err);
			tiny_codes(NULL, &w, 0, t->rows, expected, &err);
			trit_weight_codes(&k, TRIT_WEIGHT_TERNARY, got, codes, p.w + t->offset, n);
			assert_memory_equal(codes, expected, n);
			assert_true(trit_f32_bits(got.scale) == trit_f32_bits(scale));
			checked++;
		}
		trit_free(codes);
		trit_free(expected);
	}
	assert_int_equal(checked, 14);
	trit_params_release(&p);
}

static void test_ternary(void **state)
{
	static const int types[] = { TRIT_GGML_I2_S, TRIT_GGML_TQ2_0, TRIT_GGML_TQ1_0, TRIT_GGML_F32, TRIT_GGML_Q8_0,
		                     TRIT_GGML_PACKED_TYPE(TRIT_T5, 0) };
	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		check_ternary("bitnet", types[i]);
	check_ternary("llama", TRIT_GGML_TQ2_0);
}

/* Of weights with a scale for each row or group the means of magnitudes are those scales. */
static void test_groups(void **state)
{
	static const enum trit_scaling scalings[] = { TRIT_SCALE_ROW, TRIT_SCALE_GROUP128, TRIT_SCALE_GROUP64 };

	(void)state;
	for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++) {
		enum trit_scaling scaling = scalings[i];
		struct trit_config c = tiny_config("llama", 256, 512);
		struct trit_source s = tiny_source(c, true);
		struct trit_params p;
		s.scaling = scaling;
		s.arg = &scaling;
		export("g.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_T2, 0));
		load(&p, &c, "g.gguf");
		const struct trit_param *t = trit_params_find(&p, TRIT_TENSOR_FFN_UP, 1);
		struct trit_tensor_walk w = { .id = t->id, .layer = 1, .rows = t->rows, .cols = t->cols, .count = 1 };
		float *scales = trit_calloc(trit_scale_count(scaling, t->rows, t->cols), sizeof *scales);
		size_t run = scaling > TRIT_SCALE_ROW ? (size_t)scaling : t->cols;
		tiny_scales(&scaling, &w, scales, &err);
		for (size_t at = 0; at < t->rows * t->cols; at += run) {
			double sum = 0, scale = trit_scale_of(scales, scaling, at / t->cols, at % t->cols, t->cols);
			for (size_t j = at; j < at + run; j++)
				sum += fabs((double)p.w[t->offset + j]);
			assert_true(fabs(sum / (double)run / scale - 1) < 1e-6);
		}
		trit_free(scales);
		trit_params_release(&p);
	}
}

/* ---- full precision ---------------------------------------------------------------------------------------------- */

/* A vocabulary of 40 tokens, of which the tiny models have 48. */
static void write_vocab(const char *path)
{
	struct trit_vocab v;
	assert_int_equal(trit_vocab_init(&v, "gpt2", "gpt-2", 40, 0, 40, &err), 0);
	for (size_t i = 0; i < 40; i++) {
		char text = (char)('0' + i);
		assert_int_equal(trit_vocab_set_piece(&v, i, 1, &text, TRIT_TOKEN_NORMAL, &err), 0);
	}
	assert_int_equal(trit_vocab_file_write(path, &v, &err), 0);
	trit_vocab_release(&v);
}

static void open_init(struct trit_init *in, struct trit_recipe *r, const char *path)
{
	write_vocab("vocab.gguf");
	if (trit_init_open(in, path, "vocab.gguf", r, &err))
		fail_msg("%s", err.message);
}

static struct trit_recipe recipe(enum trit_weight_kind kind)
{
	struct trit_recipe r = trit_recipe_defaults();
	r.weights = (int)kind;
	r.seq_len = 16;
	return r;
}

/* Where row r of queries or keys with pairs (i, i + R/2) is in those with pairs (2 i, 2 i + 1): convert/source.c. */
static size_t pairs_row(const struct trit_config *c, size_t r)
{
	size_t a = (size_t)c->head_dim, half = (size_t)c->n_rot / 2, at = r % a;
	return at >= 2 * half ? r : r - at + 2 * (at % half) + at / half;
}

/* The parameters are the source's, those of pairs in the other order if they were `turned`; sub-norms 1. */
static void check_numbers(const struct trit_params *p, const struct trit_config *c, bool turned)
{
	for (int i = 0; i < p->n; i++) {
		const struct trit_param *t = &p->list[i];
		struct trit_tensor_walk w = { .id = t->id, .layer = t->layer, .rows = t->rows, .cols = t->cols,
			                      .bias = t->bias };
		float *expected = trit_calloc(t->rows * t->cols, sizeof *expected);
		bool sub_norm = t->id == TRIT_TENSOR_ATTN_SUB_NORM || t->id == TRIT_TENSOR_FFN_SUB_NORM;
		bool rows_move = turned && (t->id == TRIT_TENSOR_ATTN_Q || t->id == TRIT_TENSOR_ATTN_K);
		size_t cols = t->bias ? 1 : t->cols;
		tiny_floats(NULL, &w, 0, t->rows, expected, &err);
		for (size_t j = 0; j < t->rows * t->cols; j++) {
			size_t at = rows_move ? pairs_row(c, j / cols) * cols + j % cols : j;
			assert_true(p->w[t->offset + j] == (sub_norm ? 1.0f : expected[at]));
		}
		trit_free(expected);
	}
}

/* A LLaMA's numbers come as they are; ternary, it is a BitNet with sub-norms of 1 and BitNet's order of pairs. */
static void test_full(void **state)
{
	struct trit_config c = tiny_config("llama", 64, 96);
	struct trit_source s = tiny_source(c, false);
	static const enum trit_weight_kind kinds[] = { TRIT_WEIGHT_FULL, TRIT_WEIGHT_TERNARY };

	(void)state;
	export("f.gguf", &s, TRIT_GGML_F32);
	for (int k = 0; k < 2; k++) {
		struct trit_recipe r = recipe(kinds[k]);
		struct trit_init in;
		struct trit_params p;
		open_init(&in, &r, "f.gguf");
		assert_string_equal(in.config.arch->name, k ? "bitnet" : "llama");
		assert_int_equal(in.config.sub_norm, k);
		assert_int_equal(in.config.rope_half, k); /* as the model will be packed */
		assert_int_equal(r.d_ff, 96);
		assert_true(r.lr > 0 && r.lr < 5e-3f);
		assert_int_equal(trit_params_init(&p, &in.config, &err), 0);
		assert_int_equal(trit_params_from_model(&p, &in.config, &in.file, &err), 0);
		assert_int_equal(p.n, k ? 24 : 20);
		check_numbers(&p, &c, k);
		trit_params_release(&p);
		trit_init_close(&in);
	}
}

/* Biases move with their rows; elements that do not rotate stay. */
static void test_pairs(void **state)
{
	struct trit_config c = tiny_config("llama", 64, 96);
	struct trit_params p;

	(void)state;
	c.biases = (uint64_t)1 << TRIT_TENSOR_ATTN_Q | (uint64_t)1 << TRIT_TENSOR_ATTN_K;
	c.n_rot = c.head_dim - 2;
	assert_true(c.n_rot >= 4);
	struct trit_source s = tiny_source(c, false);
	export("pairs.gguf", &s, TRIT_GGML_F32);
	for (int half = 0; half < 2; half++) {
		c.rope_half = half;
		load(&p, &c, "pairs.gguf");
		check_numbers(&p, &c, half);
		trit_params_release(&p);
	}
}

/* ---- there and back ---------------------------------------------------------------------------------------------- */

/* A file through a checkpoint of no steps is the same file: keys of the network, every byte of every tensor. */
static void check_round_trip(const char *arch, bool quantised, int type)
{
	struct trit_config c = tiny_config(arch, 256, 256);
	struct trit_recipe r = recipe(quantised ? TRIT_WEIGHT_TERNARY : TRIT_WEIGHT_FULL);
	const struct trit_export_options o = { .type = type, .embedding_type = TRIT_GGML_F32, .head_type = -1 };
	struct trit_progress progress = { .steps = 1 };
	struct trit_init in;
	struct trit_params p;
	struct trit_gguf a, b;

	c.tied = c.arch->bit_linear;
	c.rope_freqs = !strcmp(arch, "llama");
	if (!strcmp(arch, "qwen2"))
		c.biases = (uint64_t)1 << TRIT_TENSOR_ATTN_Q | (uint64_t)1 << TRIT_TENSOR_ATTN_K;
	if (c.arch->scale_embedding)
		c.embedding_scale = 16;
	c.window = c.window_period ? 11 : 0;
	struct trit_source s = tiny_source(c, quantised);
	export("in.gguf", &s, type);
	open_init(&in, &r, "in.gguf");
	assert_int_equal(trit_params_init(&p, &in.config, &err), 0);
	assert_int_equal(trit_params_from_model(&p, &in.config, &in.file, &err), 0);
	assert_int_equal(trit_make_dirs("run", &err), 0);
	write_vocab("run/vocab.gguf");
	if (trit_checkpoint_save("run/checkpoint.safetensors", &p, &r, &in.config, progress, &err) ||
	    trit_convert("run", "out.gguf", &o, &err) || trit_gguf_open(&a, "in.gguf", &err) ||
	    trit_gguf_open(&b, "out.gguf", &err))
		fail_msg("%s: %s", arch, err.message);
	assert_int_equal(a.n_tensors, b.n_tensors);
	for (uint64_t i = 0; i < a.n_tensors; i++) {
		const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&b, a.tensors[i].name);
		if (!t || t->type != a.tensors[i].type || t->bytes != a.tensors[i].bytes ||
		    memcmp(t->data, a.tensors[i].data, t->bytes))
			fail_msg("%s: %s is another", arch, a.tensors[i].name);
	}
	for (uint64_t i = 0; i < a.n_keys; i++) {
		char name[128];
		snprintf(name, sizeof name, "%.*s", (int)a.keys[i].name_len, a.keys[i].name);
		const struct trit_gguf_key *k = trit_gguf_find_key(&b, name);
		if (strncmp(name, arch, strlen(arch)) == 0)
			assert_true(k && k->type == a.keys[i].type && memcmp(k->value, a.keys[i].value, 4) == 0);
	}
	trit_gguf_close(&a);
	trit_gguf_close(&b);
	trit_params_release(&p);
	trit_init_close(&in);
}

static void test_round_trip(void **state)
{
	static const char *const archs[] = { "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "stablelm" };
	(void)state;
	check_round_trip("bitnet", true, TRIT_GGML_I2_S);
	check_round_trip("bitnet-b1.58", true, TRIT_GGML_I2_S);
	for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
		check_round_trip(archs[i], true, TRIT_GGML_TQ2_0);
		check_round_trip(archs[i], false, TRIT_GGML_F32);
	}
}

static void test_refused(void **state)
{
	struct trit_config c = tiny_config("bitnet", 64, 96);
	struct trit_source s = tiny_source(c, true), full;
	struct trit_recipe r = recipe(TRIT_WEIGHT_FULL);
	struct trit_init in;
	struct trit_params p;

	(void)state;
	export("b.gguf", &s, TRIT_GGML_F32);
	assert_int_equal(trit_init_open(&in, "b.gguf", NULL, &r, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "b.gguf: --weights full: the model is a BitNet"));
	r = recipe(TRIT_WEIGHT_TERNARY);
	r.sub_norm = TRIT_SUB_NORM_NO;
	assert_int_equal(trit_init_open(&in, "b.gguf", NULL, &r, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "--sub-norm no"));
	r.sub_norm = TRIT_SUB_NORM_AUTO;
	assert_int_equal(trit_init_open(&in, "b.gguf", NULL, &r, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "--tokenizer"));

	c = tiny_config("llama", 64, 96);
	full = tiny_source(c, false);
	export("f.gguf", &full, TRIT_GGML_F32);
	struct trit_model_file f;
	c.tied = false;
	assert_int_equal(trit_model_file_open(&f, "f.gguf", NULL, &err), 0);
	assert_int_equal(trit_params_init(&p, &c, &err), 0);
	assert_int_equal(trit_params_from_model(&p, &c, &f, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "output.weight is missing"));
	trit_params_release(&p);
	c.tied = true;
	c.d_ff = 80;
	assert_int_equal(trit_params_init(&p, &c, &err), 0);
	assert_int_equal(trit_params_from_model(&p, &c, &f, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "blk.0.ffn_gate.weight: shape 64 x 96, expected 64 x 80"));
	trit_params_release(&p);
	trit_model_file_close(&f);
	assert_true(trit_init_open(&in, "none.gguf", NULL, &r, &err) < 0);
}

/* ---- configurations in checkpoints ------------------------------------------------------------------------------- */

/* The bytes between members, which have no value. */
static void clear_gaps(struct trit_config *c)
{
#define CLEAR(after, before) \
	memset(&c->after + 1, 0, (size_t)((char *)&c->before - (char *)(&c->after + 1)))
	CLEAR(tied, pooling);
	CLEAR(sub_norm, qk_norms);
	CLEAR(rope_freqs, window);
	CLEAR(moe.shared_gate, moe.gating);
	CLEAR(moe.norm, moe.scale);
	CLEAR(inner_hadamard, biases);
#undef CLEAR
}

static void check_meta(struct trit_config *c)
{
	struct trit_st_writer *out;
	struct trit_safetensors s;
	struct trit_tensor_walk w = { 0 };
	struct trit_config got;
	float *zeros = trit_calloc(trit_config_widest(c) * 1024, sizeof *zeros);

	for (size_t i = 0; i < trit_config_widest(c); i++)
		zeros[i] = 1;
	assert_int_equal(trit_st_writer_new(&out, "c.safetensors", &err), 0);
	assert_int_equal(trit_config_put_meta(c, out, &err), 0);
	while (trit_tensor_next(&w, c)) {
		char name[TRIT_TENSOR_NAME_BYTES];
		uint64_t shape[] = { w.rows, w.cols };
		trit_walk_name(name, &w);
		assert_int_equal(trit_st_put_tensor(out, name, TRIT_DTYPE_F32, 2, shape, &err), 0);
	}
	assert_int_equal(trit_st_begin(out, &err), 0);
	for (w = (struct trit_tensor_walk){ 0 }; trit_tensor_next(&w, c);)
		assert_int_equal(trit_st_write(out, w.rows * w.cols * sizeof(float), zeros, &err), 0);
	assert_int_equal(trit_st_commit(out, &err), 0);
	trit_st_writer_free(out);
	assert_int_equal(trit_safetensors_open(&s, "c.safetensors", &err), 0);
	memset(&got, 0, sizeof got);
	if (trit_config_read_meta(&got, &s, &err))
		fail_msg("%s: %s", c->arch->name, err.message);
	memcpy(got.name, c->name, sizeof got.name);
	clear_gaps(&got);
	clear_gaps(c);
	assert_memory_equal(&got, c, sizeof got);
	trit_safetensors_close(&s);
	trit_free(zeros);
}

/* Every member of a configuration is as it was. */
static void test_meta(void **state)
{
	static const char *const archs[] = { "bitnet", "bitnet-b1.58", "llama", "qwen2", "qwen3", "gemma", "gemma2",
		                             "gemma3", "stablelm" };
	struct trit_config c;

	(void)state;
	for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
		memset(&c, 0, sizeof c);
		struct trit_config tiny = tiny_config(archs[i], 64, 96);
		memcpy(&c, &tiny, sizeof c);
		c.rope_scaling.n_ctx_original = c.n_ctx;
		c.rope_scaling.factor = 1;
		c.eps = 1e-6f;
		c.rope_base = 123456.789f;
		if (c.arch->scale_embedding)
			c.embedding_scale = 8.0625f;
		check_meta(&c);
		c.head_dim = 24;
		c.n_rot = 12;
		c.tied = false;
		c.rope_half = !c.rope_half;
		c.sub_norm = true;
		c.window = 17;
		c.score_scale = 0.3f;
		c.biases = (uint64_t)1 << TRIT_TENSOR_ATTN_Q | (uint64_t)1 << TRIT_TENSOR_FFN_DOWN;
		check_meta(&c);
		c.rope_scaling = (struct trit_rope_scaling){ TRIT_ROPE_LLAMA3, 8, 1, 4, 32, 0 };
		check_meta(&c);
		c.rope_scaling = (struct trit_rope_scaling){ TRIT_ROPE_YARN, 3.7f, 1, 32, 32, 1.2345678f };
		check_meta(&c);
		c.rope_scaling = (struct trit_rope_scaling){ .kind = TRIT_ROPE_LINEAR, .factor = 2.5f, .n_ctx_original = 64 };
		check_meta(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ternary), cmocka_unit_test(test_groups), cmocka_unit_test(test_full),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused), cmocka_unit_test(test_meta),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
