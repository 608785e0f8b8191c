/*
 * test_convert.c - models written, converted and read back: every code and scale to the bit, through every type.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "convert/convert.h"
#include "format/ggml_type.h"
#include "model/model.h"
#include "model/quant.h"
#include "scratch.h"
#include "tiny_model.h"
#include "train/checkpoint.h"
#include "train/data.h"
#include "format/vocab_file.h"

static struct trit_error err;

static const int types[] = { TRIT_GGML_TQ2_0, TRIT_GGML_TQ1_0, TRIT_GGML_I2_S, TRIT_GGML_Q8_0,
	                     TRIT_GGML_F16,   TRIT_GGML_BF16,  TRIT_GGML_F32 };
enum { N_TYPES = sizeof types / sizeof *types };

static struct trit_model *load(const char *path)
{
	struct trit_model *m;

	if (trit_model_load(&m, path, NULL, &err))
		fail_msg("%s", err.message);
	return m;
}

static const struct trit_linear *linear_of(const struct trit_model *m, const struct trit_tensor_walk *w)
{
	const struct trit_layer *l = &m->layers[w->layer];

	switch (w->id) {
	case TRIT_TENSOR_TOKEN_EMBD: return &m->token_embd;
	case TRIT_TENSOR_OUTPUT: return &m->output;
	case TRIT_TENSOR_ATTN_Q: return &l->q;
	case TRIT_TENSOR_ATTN_K: return &l->k;
	case TRIT_TENSOR_ATTN_V: return &l->v;
	case TRIT_TENSOR_ATTN_OUTPUT: return &l->o;
	case TRIT_TENSOR_FFN_GATE: return &l->gate;
	case TRIT_TENSOR_FFN_UP: return &l->up;
	case TRIT_TENSOR_FFN_DOWN: return &l->down;
	default: return NULL; /* a norm */
	}
}

static const float *norm_of(const struct trit_model *m, const struct trit_tensor_walk *w)
{
	const struct trit_layer *l = &m->layers[w->layer];

	return w->id == TRIT_TENSOR_ATTN_NORM       ? l->attn_norm
	       : w->id == TRIT_TENSOR_ATTN_SUB_NORM ? l->attn_sub_norm
	       : w->id == TRIT_TENSOR_FFN_NORM      ? l->ffn_norm
	       : w->id == TRIT_TENSOR_FFN_SUB_NORM  ? l->ffn_sub_norm
	                                            : m->output_norm;
}

/* Every tensor of the file is what the source says: codes, scales, norms and F32 numbers to the bit, other dense
 * numbers within the rounding of their type. */
static void check_model(const char *path, const struct trit_source *s)
{
	struct trit_model *m = load(path);
	struct trit_tensor_walk w = { 0 };
	static const double rounding[TRIT_N_DENSE] = { 0, 0x1p-11, 0x1p-8, 0.006 };

	assert_string_equal(m->config.arch->name, s->config.arch->name);
	assert_int_equal(m->config.head_dim, s->config.head_dim);
	assert_int_equal(m->config.n_ctx, s->config.n_ctx);
	assert_int_equal(m->config.tied, s->config.tied);
	assert_string_equal(m->config.name, s->config.name);
	while (trit_tensor_next(&w, &s->config)) {
		const struct trit_linear *l = linear_of(m, &w);
		size_t n = w.rows * w.cols;
		int8_t *codes = trit_calloc(n, 1), *row = trit_calloc(w.cols, 1);
		float *numbers = trit_calloc(n, sizeof *numbers), *got = trit_calloc(w.cols, sizeof *got), scale, most = 0;
		assert_true(codes && row && numbers && got);
		if (l && l->quantised) {
			assert_int_equal(s->codes(s->arg, &w, codes, &scale, &err), 0);
			assert_true(l->scale[0] == scale);
			for (size_t r = 0; r < w.rows; r++) {
				trit_unpack(l->layout, row, l->w, r, w.cols);
				assert_memory_equal(row, codes + r * w.cols, w.cols);
			}
		} else {
			assert_true(!s->quantised || trit_tensors[w.id].kind != TRIT_KIND_LINEAR);
			assert_int_equal(s->floats(s->arg, &w, numbers, &err), 0);
			for (size_t i = 0; i < n; i++)
				most = fmaxf(most, fabsf(numbers[i]));
			for (size_t r = 0; r < w.rows; r++) {
				if (l)
					m->kernels.row_dense[l->type](got, l->w + r * trit_dense_row_bytes(l->type, w.cols), (int)w.cols);
				else
					memcpy(got, norm_of(m, &w), w.cols * sizeof *got);
				for (size_t i = 0; i < w.cols; i++)
					assert_true(fabsf(got[i] - numbers[r * w.cols + i]) <= (l ? rounding[l->type] : 0) * most);
			}
		}
		trit_free(codes);
		trit_free(row);
		trit_free(numbers);
		trit_free(got);
	}
	trit_model_close(m);
}

static void export(const char *path, const struct trit_source *s, int type, int embedding_type)
{
	struct trit_export_options o = { type, embedding_type };

	if (trit_export(path, s, &o, &err))
		fail_msg("%s", err.message);
}

static void convert(const char *in, const char *out, int type, int embedding_type)
{
	struct trit_export_options o = { type, embedding_type };

	if (trit_convert(in, out, &o, &err))
		fail_msg("%s", err.message);
}

/* ---- between types ---------------------------------------------------------------------------------------------- */

static void test_every_type(void **state)
{
	struct trit_source s[2] = { tiny_source(tiny_config("bitnet", 256, 256), true),
		                    tiny_source(tiny_config("bitnet-b1.58", 256, 256), true) };

	(void)state;
	s[1].config.tied = false;
	for (int i = 0; i < 2; i++)
		for (int from = 0; from < N_TYPES; from++) {
			export("a.gguf", &s[i], types[from], TRIT_GGML_F32);
			check_model("a.gguf", &s[i]);
			for (int to = i; to < N_TYPES; to += 1 + 2 * i) {
				convert("a.gguf", "b.gguf", types[to], TRIT_GGML_F32);
				check_model("b.gguf", &s[i]);
			}
			convert("b.gguf", "a.gguf", types[from], TRIT_GGML_F32);
			convert("a.gguf", "a.gguf", types[from], TRIT_GGML_F32); /* onto itself */
			check_model("a.gguf", &s[i]);
		}
}

/* A file of the same content is the same file, wherever it came from. */
static void test_same_file(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);

	(void)state;
	export("direct.gguf", &s, TRIT_GGML_I2_S, TRIT_GGML_F32);
	export("other.gguf", &s, TRIT_GGML_TQ1_0, TRIT_GGML_F32);
	convert("other.gguf", "back.gguf", TRIT_GGML_I2_S, TRIT_GGML_F32);
	scratch_check_same("direct.gguf", "back.gguf");
}

/* Projections of a quantised source as numbers, other tensors as they are. */
static int tiny_products(void *arg, const struct trit_tensor_walk *w, float *out, struct trit_error *e)
{
	size_t n = w->rows * w->cols;
	int8_t *codes = trit_calloc(n, 1);
	float scale;

	assert_non_null(codes);
	if (trit_tensors[w->id].kind != TRIT_KIND_LINEAR) {
		(void)tiny_floats(arg, w, out, e);
	} else {
		(void)tiny_codes(arg, w, codes, &scale, e);
		for (size_t i = 0; i < n; i++)
			out[i] = scale * codes[i];
	}
	trit_free(codes);
	return 0;
}

/* Ternary weights in a network without sub-norms: what the architecture does not say, the type must. */
static void test_ternary_llama(void **state)
{
	struct trit_source s = tiny_source(tiny_config("llama", 256, 256), true);

	(void)state;
	for (int i = 0; i < 3; i++) {
		export("llama.gguf", &s, types[i], TRIT_GGML_F32);
		check_model("llama.gguf", &s);
		for (int j = 0; j < 3; j++) {
			convert("llama.gguf", "b.gguf", types[j], TRIT_GGML_F32);
			check_model("b.gguf", &s);
		}
	}
	struct trit_source numbers = s; /* in a dense type they are numbers, scale and all */
	numbers.quantised = false;
	numbers.floats = tiny_products;
	for (int i = 3; i < N_TYPES; i++) {
		convert("llama.gguf", "b.gguf", types[i], TRIT_GGML_F32);
		check_model("b.gguf", &numbers);
	}
}

static void test_full_precision(void **state)
{
	static const int dense[] = { TRIT_GGML_F32, TRIT_GGML_F16, TRIT_GGML_BF16, TRIT_GGML_Q8_0 };
	struct trit_source s = tiny_source(tiny_config("llama", 64, 96), false);

	(void)state;
	s.config.tied = false;
	for (int i = 0; i < 4; i++) {
		export("full.gguf", &s, dense[i], dense[i]);
		check_model("full.gguf", &s);
		convert("full.gguf", "b.gguf", TRIT_GGML_F32, TRIT_GGML_F32);
		convert("b.gguf", "a.gguf", dense[i], dense[i]);
		scratch_check_same("a.gguf", "full.gguf"); /* rounding twice is rounding once */
	}
}

/* The smallest type that the widths allow. */
static void test_automatic_types(void **state)
{
	static const struct {
		int d_model, d_ff;
		bool quantised;
		const char *linear, *embedding;
	} cases[] = {
		{ 256, 512, true, "TQ2_0 x 14", "Q8_0 x 1" }, { 128, 256, true, "I2_S x 14", "Q8_0 x 1" },
		{ 96, 64, true, "Q8_0 x 15", "Q8_0 x 15" },   { 40, 64, true, "F16 x 15", "F16 x 15" },
		{ 256, 256, false, "F16 x 15", "F16 x 15" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trit_config c = tiny_config(cases[i].quantised ? "bitnet" : "llama", cases[i].d_model, cases[i].d_ff);
		struct trit_source s = tiny_source(c, cases[i].quantised);
		export("auto.gguf", &s, -1, -1);
		check_model("auto.gguf", &s);
		struct trit_model *m = load("auto.gguf");
		if (!strstr(m->stats.types, cases[i].linear) || !strstr(m->stats.types, cases[i].embedding))
			fail_msg("%d x %d: %s", cases[i].d_model, cases[i].d_ff, m->stats.types);
		trit_model_close(m);
	}
}

/* ---- from checkpoints ------------------------------------------------------------------------------------------- */

/* A run's folder: random weights and a vocabulary. */
struct run {
	struct trit_params params;
	struct trit_kernels kernels;
	struct trit_source source;
	enum trit_weight_kind kind;
};

static int run_codes(void *arg, const struct trit_tensor_walk *w, int8_t *codes, float *scale, struct trit_error *e)
{
	struct run *r = arg;
	const float *weights = r->params.w + trit_params_find(&r->params, w->id, w->layer)->offset;
	struct trit_weight_scale s = trit_weight_scale(&r->kernels, r->kind, weights, w->rows * w->cols);

	(void)e;
	trit_weight_codes(&r->kernels, r->kind, s, codes, weights, w->rows * w->cols);
	*scale = s.scale;
	return 0;
}

static int run_floats(void *arg, const struct trit_tensor_walk *w, float *out, struct trit_error *e)
{
	struct run *r = arg;

	(void)e;
	memcpy(out, r->params.w + trit_params_find(&r->params, w->id, w->layer)->offset, w->rows * w->cols * sizeof *out);
	return 0;
}

static void make_run(struct run *run, enum trit_weight_kind kind)
{
	struct trit_recipe r = trit_recipe_defaults();
	struct trit_vocab vocab = { 0 };
	struct trit_corpus c;
	char text[] = TRIT_TEST_DATA "/train/garden.txt";
	char *paths[] = { text };

	r.n_vocab = 290, r.n_layers = 2, r.d_model = 256, r.d_ff = 256, r.weights = kind, r.seq_len = 40, r.eps = 3e-6f;
	r.n_heads = 8, r.n_kv_heads = 2, r.head_dim = 64; /* heads wider than the model */
	r.rope_base = 500000.5f;
	assert_int_equal(trit_recipe_apply_size(&r, "1m", &err), 0);
	*run = (struct run){ .kind = kind };
	run->source = (struct trit_source){ .quantised = kind != TRIT_WEIGHT_FULL, .arg = run, .codes = run_codes,
		                            .floats = run_floats };
	trit_kernels_fill(&run->kernels, TRIT_TIER_C);
	if (trit_recipe_config(&r, &run->source.config, &err))
		fail_msg("%s", err.message);
	assert_int_equal(trit_params_init(&run->params, &run->source.config, &err), 0);
	trit_params_randomise(&run->params, &run->source.config, 77);
	assert_int_equal(trit_make_dirs("run", &err), 0);
	assert_int_equal(trit_checkpoint_save("run/checkpoint.safetensors", &run->params, &r, &run->source.config,
	                                      (struct trit_progress){ 1, 2, 3 }, &err), 0);
	assert_int_equal(trit_corpus_open(&c, 1, paths, &err), 0);
	assert_int_equal(trit_data_learn_vocab(&c, &r, &vocab, NULL, NULL, &err), 0);
	assert_int_equal(trit_vocab_file_write("run/vocab.gguf", &vocab, &err), 0);
	trit_vocab_release(&vocab);
	trit_corpus_close(&c);
	snprintf(run->source.config.name, sizeof run->source.config.name, "run"); /* its folder's */
}

static void test_checkpoints(void **state)
{
	(void)state;
	for (int kind = TRIT_WEIGHT_TERNARY; kind <= TRIT_WEIGHT_FULL; kind++) {
		struct run run;
		make_run(&run, (enum trit_weight_kind)kind);
		for (int i = kind == TRIT_WEIGHT_FULL ? 3 : 0; i < N_TYPES; i++) {
			convert(i % 2 ? "run" : "run/checkpoint.safetensors", "model.gguf", types[i], TRIT_GGML_F32);
			check_model("model.gguf", &run.source);
			struct trit_model *m = load("model.gguf");
			size_t len;
			assert_non_null(m->tokenizer);
			assert_int_equal(trit_model_vocab_size(m), 290);
			assert_true(m->config.rope_base == 500000.5f && m->config.eps == 3e-6f && m->config.n_rot == 64);
			assert_memory_equal(trit_token_bytes(m, trit_find_token(m->tokenizer, 1, "Z"), &len), "Z", 1);
			trit_model_close(m);
		}
		trit_params_release(&run.params);
	}
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void check_fails(const char *in, const char *out, int type, int embedding_type, int status, const char *part)
{
	struct trit_export_options o = { type, embedding_type };
	int e = trit_convert(in, out, &o, &err);

	if (e != status || !strstr(err.message, part))
		fail_msg("status %d, \"%s\"; expected %d, \"%s\"", e, err.message, status, part);
	assert_int_equal(scratch_count(".", ".tmp."), 0);
}

static void test_errors(void **state)
{
	struct trit_source narrow = tiny_source(tiny_config("bitnet", 48, 256), true);
	struct trit_source full = tiny_source(tiny_config("llama", 256, 256), false);
	struct run run;
	size_t len;

	(void)state;
	export("narrow.gguf", &narrow, TRIT_GGML_F32, TRIT_GGML_F32);
	export("full.gguf", &full, TRIT_GGML_F32, TRIT_GGML_F32);
	scratch_write("old.gguf", 3, "old");
	check_fails("narrow.gguf", "old.gguf", TRIT_GGML_TQ2_0, -1, TRIT_ERR_ARG, "blk.0.attn_q.weight cannot be TQ2_0");
	assert_non_null(strstr(err.message, "48 columns, not a multiple of 256"));
	check_fails("narrow.gguf", "old.gguf", TRIT_GGML_I2_S, -1, TRIT_ERR_ARG, "--type");
	check_fails("narrow.gguf", "old.gguf", -1, TRIT_GGML_Q8_0, TRIT_ERR_ARG, "token_embd.weight");
	check_fails("full.gguf", "old.gguf", TRIT_GGML_TQ1_0, -1, TRIT_ERR_ARG, "full precision");
	check_fails("missing.gguf", "old.gguf", -1, -1, TRIT_ERR_IO, "missing.gguf");
	check_fails("old.gguf", "new.gguf", -1, -1, TRIT_ERR_FORMAT, "old.gguf");
	check_fails("full.gguf", "no/such/folder/x.gguf", -1, -1, TRIT_ERR_IO, "no/such/folder/x.gguf");
	assert_int_equal(trit_path_kind("new.gguf"), -1);
	char *bytes = scratch_read("full.gguf", &len);
	for (size_t cut = 0; cut < len; cut += 1 + len / 40) {
		scratch_write("cut.gguf", cut, bytes);
		check_fails("cut.gguf", "old.gguf", -1, -1, TRIT_ERR_FORMAT, "cut.gguf");
	}
	trit_free(bytes);

	make_run(&run, TRIT_WEIGHT_TERNARY);
	trit_params_release(&run.params);
	bytes = scratch_read("run/checkpoint.safetensors", &len);
	for (size_t cut = 0; cut < len; cut += 1 + len / 20) {
		scratch_write("run/checkpoint.safetensors", cut, bytes);
		check_fails("run", "old.gguf", -1, -1, TRIT_ERR_FORMAT, "run/checkpoint.safetensors");
	}
	scratch_write("run/checkpoint.safetensors", len, bytes);
	trit_free(bytes);
	assert_int_equal(unlink("run/vocab.gguf"), 0);
	check_fails("run", "old.gguf", -1, -1, TRIT_ERR_IO, "run/vocab.gguf");
	assert_int_equal(unlink("run/checkpoint.safetensors"), 0);
	check_fails("run", "old.gguf", -1, -1, TRIT_ERR_IO, "run/checkpoint.safetensors");

	bytes = scratch_read("old.gguf", &len); /* what was there is there */
	assert_string_equal(bytes, "old");
	trit_free(bytes);
}

static void test_full_disk(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	struct rlimit limit;
	size_t len;

	(void)state;
	export("in.gguf", &s, TRIT_GGML_I2_S, TRIT_GGML_F32);
	scratch_write("out.gguf", 3, "old");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	for (rlim_t size = 1; size < 200000; size = size * 3 + 1) {
		struct rlimit small = { size, limit.rlim_max };
		struct trit_export_options o = { TRIT_GGML_F16, -1 };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		int e = trit_convert("in.gguf", "out.gguf", &o, &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(e, TRIT_ERR_IO);
		assert_non_null(strstr(err.message, "out.gguf"));
		assert_int_equal(scratch_count(".", ".tmp."), 0);
	}
	char *bytes = scratch_read("out.gguf", &len);
	assert_string_equal(bytes, "old");
	trit_free(bytes);
}

static void test_no_memory(void **state)
{
	static const char *const inputs[] = { "in.gguf", "run" };
	struct trit_export_options o = { -1, -1 };
	struct run run;

	(void)state;
	make_run(&run, TRIT_WEIGHT_TERNARY);
	trit_params_release(&run.params);
	for (int i = 0; i < 2; i++) {
		int e = -1, failures = 0;
		scratch_remove("out.gguf");
		for (uint64_t n = 1; e; n++) {
			trit_mem_fail_after(n);
			e = trit_convert(inputs[i], "out.gguf", &o, &err);
			trit_mem_fail_after(0);
			if (e && (e != TRIT_ERR_MEMORY || !err.message[0] || trit_path_kind("out.gguf") >= 0))
				fail_msg("%s, allocation %d: status %d, \"%s\"", inputs[i], (int)n, e, err.message);
			failures += e != 0;
			assert_int_equal(scratch_count(".", ".tmp."), 0);
		}
		assert_true(failures > 5);
		trit_model_close(load("out.gguf"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),      cmocka_unit_test(test_same_file),
		cmocka_unit_test(test_ternary_llama),   cmocka_unit_test(test_full_precision),
		cmocka_unit_test(test_automatic_types), cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_errors),          cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
