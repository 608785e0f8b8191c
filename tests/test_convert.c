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

#include "base/num.h"
#include "convert/convert.h"
#include "format/ggml_type.h"
#include "model/model.h"
#include "model/quant.h"
#include "scratch.h"
#include "tiny_model.h"
#include "train/checkpoint.h"
#include "train/prepare.h"
#include "format/vocab_file.h"

static struct trit_error err;

static const int types[] = { TRIT_GGML_TQ2_0, TRIT_GGML_TQ1_0, TRIT_GGML_I2_S, TRIT_GGML_Q8_0,
	                     TRIT_GGML_F16,   TRIT_GGML_BF16,  TRIT_GGML_F32 };
enum { N_TYPES = sizeof types / sizeof *types };

static struct trit_model *load(const char *path)
{
	struct trit_model *m;

	struct trit_model_options o = { .head = "exact" };

	if (trit_model_open_with(&m, path, &o, &err))
		fail_msg("%s", err.message);
	return m;
}

/* How far a number may be from the source's, as a share of the largest. */
static float rounding_of(const struct trit_linear *l)
{
	static const float dense[TRIT_N_DENSE] = { 0, 0x1p-11f, 0x1p-8f, 0.006f };

	return l->quantised ? 0.501f / (float)trit_layouts[l->layout].max : dense[l->type];
}

static void unpack_row(float *out, const struct trit_linear *l, size_t row)
{
	size_t cols = (size_t)l->cols;
	int8_t *codes = trit_calloc(cols, 1);

	assert_non_null(codes);
	trit_unpack(l->layout, codes, l->w, row, cols);
	for (size_t c = 0; c < cols; c++)
		out[c] = (float)codes[c] * trit_scale_of(l->scale, l->scaling, row, c, cols);
	trit_free(codes);
}

/* Every tensor of the file is what the source says: codes, scales, norms and F32 numbers to the bit, other dense
 * numbers within the rounding of their type. */
static void check_model(const char *path, const struct trit_source *s)
{
	struct trit_model *m = load(path);
	struct trit_tensor_walk w = { 0 };

	assert_string_equal(m->config.arch->name, s->config.arch->name);
	assert_int_equal(m->config.head_dim, s->config.head_dim);
	assert_int_equal(m->config.n_ctx, s->config.n_ctx);
	assert_int_equal(m->config.tied, s->config.tied);
	assert_string_equal(m->config.name, s->config.name);
	while (trit_tensor_next(&w, &s->config)) {
		const struct trit_linear *l = trit_model_linear(m, &w);
		size_t n = w.rows * w.cols;
		int8_t *codes = trit_calloc(n, 1), *row = trit_calloc(w.cols, 1);
		size_t n_scales = trit_scale_count(s->scaling, w.rows, w.cols);
		float *numbers = trit_calloc(n, sizeof *numbers), *got = trit_calloc(w.cols, sizeof *got), most = 0;
		float *scales = trit_calloc(n_scales, sizeof *scales);
		assert_true(codes && row && numbers && got && scales);
		if (l && l->quantised && trit_tensors[w.id].kind == TRIT_KIND_LINEAR) {
			assert_int_equal(s->scales(s->arg, &w, scales, &err), 0);
			assert_int_equal(s->codes(s->arg, &w, 0, w.rows, codes, &err), 0);
			assert_int_equal(l->scaling, s->scaling);
			assert_memory_equal(l->scale, scales, n_scales * sizeof *scales);
			for (size_t r = 0; r < w.rows; r++) {
				trit_unpack(l->layout, row, l->w, r, w.cols);
				assert_memory_equal(row, codes + r * w.cols, w.cols);
			}
		} else {
			assert_true(!s->quantised || trit_tensors[w.id].kind != TRIT_KIND_LINEAR);
			assert_int_equal(s->floats(s->arg, &w, 0, w.rows, numbers, &err), 0);
			for (size_t i = 0; i < n; i++)
				most = fmaxf(most, fabsf(numbers[i]));
			for (size_t r = 0; r < w.rows; r++) {
				if (l && l->quantised)
					unpack_row(got, l, r);
				else if (l)
					m->kernels.row_dense[l->type](got, l->w + r * trit_dense_row_bytes(l->type, w.cols), (int)w.cols);
				else
					memcpy(got, trit_model_norm(m, &w)->w, w.cols * sizeof *got);
				for (size_t i = 0; i < w.cols; i++)
					assert_true(fabsf(got[i] - numbers[r * w.cols + i]) <= (l ? rounding_of(l) : 0) * most);
			}
		}
		trit_free(codes);
		trit_free(row);
		trit_free(numbers);
		trit_free(got);
		trit_free(scales);
	}
	trit_model_close(m);
}

static void export(const char *path, const struct trit_source *s, int type, int embedding_type)
{
	struct trit_export_options o = { .type = type, .embedding_type = embedding_type, .head_type = -1 };

	if (trit_export(path, s, &o, &err))
		fail_msg("%s", err.message);
}

static void convert(const char *in, const char *out, int type, int embedding_type)
{
	struct trit_verified verified = { .go_on = NULL };
	struct trit_export_options o = { .type = type, .embedding_type = embedding_type, .head_type = -1,
		                         .verified = strcmp(in, out) ? &verified : NULL };

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
static int tiny_products(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                         struct trit_error *e)
{
	int8_t *codes = trit_calloc(n, w->cols);
	float scale;

	assert_non_null(codes);
	if (trit_tensors[w->id].kind != TRIT_KIND_LINEAR) {
		(void)tiny_floats(arg, w, row0, n, out, e);
	} else {
		(void)tiny_scales(arg, w, &scale, e);
		(void)tiny_codes(arg, w, row0, n, codes, e);
		for (size_t i = 0; i < n * w->cols; i++)
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
		{ 256, 512, true, "TQ2_0 (35) x 14", "Q8_0 (8) x 1" }, { 128, 256, true, "I2_S (36) x 14", "Q8_0 (8) x 1" },
		{ 96, 64, true, "Q8_0 (8) x 15", "Q8_0 (8) x 15" },    { 40, 64, true, "F16 (1) x 15", "F16 (1) x 15" },
		{ 256, 256, false, "F16 (1) x 15", "F16 (1) x 15" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trit_config c = tiny_config(cases[i].quantised ? "bitnet" : "llama", cases[i].d_model, cases[i].d_ff);
		struct trit_source s = tiny_source(c, cases[i].quantised);
		export("auto.gguf", &s, -1, -1);
		check_model("auto.gguf", &s);
		struct trit_model *m = load("auto.gguf");
		char found[200];
		trit_describe_types(found, sizeof found, &m->gguf);
		if (!strstr(found, cases[i].linear) || !strstr(found, cases[i].embedding))
			fail_msg("%d x %d: %s", cases[i].d_model, cases[i].d_ff, found);
		trit_model_close(m);
	}
}

/* A scale that F16 holds is in the blocks; no tensor for it is needed. */
static int coarse_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *e)
{
	const enum trit_scaling *scaling = arg;
	int status = tiny_scales(arg, w, scales, e);

	for (size_t i = 0; i < trit_scale_count(scaling ? *scaling : TRIT_SCALE_TENSOR, w->rows, w->cols); i++)
		scales[i] = trit_f16_to_f32(trit_f32_to_f16(scales[i]));
	return status;
}

/* For 128 columns, two by two the same: what a scale for 256 is read as. */
static int paired_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *e)
{
	int status = coarse_scales(arg, w, scales, e);

	for (size_t row = 0; row < w->rows; row++)
		for (size_t col = 128; col < w->cols; col += 256)
			scales[trit_scale_index(TRIT_SCALE_GROUP128, row, col, w->cols)] =
				scales[trit_scale_index(TRIT_SCALE_GROUP128, row, col - 128, w->cols)];
	return status;
}

static bool has_tensor(const char *path, const char *name, uint32_t type)
{
	struct trit_gguf g;

	if (trit_gguf_open(&g, path, &err))
		fail_msg("%s", err.message);
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&g, name);
	bool has = t && t->type == type;
	trit_gguf_close(&g);
	return has;
}

static void test_f16_scales(void **state)
{
	static const int with_f16[] = { TRIT_GGML_TQ1_0, TRIT_GGML_TQ2_0, TRIT_GGML_Q8_0, TRIT_GGML_F16, TRIT_GGML_Q4_0,
		                        TRIT_GGML_Q6_K };
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);

	(void)state;
	for (int i = 0; i < 6; i++) {
		s.scales = tiny_scales;
		export("fine.gguf", &s, with_f16[i], TRIT_GGML_F32);
		check_model("fine.gguf", &s);
		assert_true(has_tensor("fine.gguf", "blk.0.attn_q.scale", TRIT_GGML_F32));
		s.scales = coarse_scales;
		export("coarse.gguf", &s, with_f16[i], TRIT_GGML_F32);
		check_model("coarse.gguf", &s);
		assert_false(has_tensor("coarse.gguf", "blk.0.attn_q.scale", TRIT_GGML_F32));
		convert("coarse.gguf", "back.gguf", TRIT_GGML_I2_S, TRIT_GGML_F32);
		check_model("back.gguf", &s);
	}
}

/* Scales of rows and groups in types that have them, as F16: to the bit, through each other and the packed ones. */
static void test_group_scales(void **state)
{
	static const struct {
		enum trit_scaling scaling;
		int type;
		bool binary;
	} cases[] = {
		{ TRIT_SCALE_ROW, TRIT_GGML_TQ2_0, false },     { TRIT_SCALE_ROW, TRIT_GGML_TQ1_0, false },
		{ TRIT_SCALE_ROW, TRIT_GGML_Q2_0, false },      { TRIT_SCALE_GROUP64, TRIT_GGML_Q2_0, false },
		{ TRIT_SCALE_GROUP128, TRIT_GGML_TQ2_0, false }, { TRIT_SCALE_GROUP128, TRIT_GGML_TQ1_0, false },
		{ TRIT_SCALE_GROUP128, TRIT_GGML_Q1_0, true },
		{ TRIT_SCALE_TENSOR, TRIT_GGML_Q2_0, false },   { TRIT_SCALE_TENSOR, TRIT_GGML_Q1_0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum trit_scaling scaling = cases[i].scaling;
		int width = scaling == TRIT_SCALE_GROUP128 ? 512 : 256; /* of two blocks: one alone would be a scale a row */
		struct trit_source s = tiny_source(tiny_config("bitnet", width, 512), true);
		s.scaling = scaling;
		s.arg = &scaling;
		s.scales = scaling == TRIT_SCALE_GROUP128 ? paired_scales : coarse_scales;
		s.codes = cases[i].binary ? tiny_binary_codes : tiny_codes;
		export("t5.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), TRIT_GGML_F32);
		convert("t5.gguf", "a.gguf", cases[i].type, TRIT_GGML_F32);
		check_model("a.gguf", &s);
		assert_true(has_tensor("a.gguf", "blk.1.ffn_down.weight", (uint32_t)cases[i].type));
		convert("a.gguf", "back.gguf", TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), TRIT_GGML_F32);
		scratch_check_same("t5.gguf", "back.gguf");
		if (scaling == TRIT_SCALE_TENSOR || (scaling == TRIT_SCALE_GROUP128 && !cases[i].binary))
			continue; /* the latter are written as Q2_0, which is read as having a scale for 64 */
		convert("a.gguf", "b.gguf", -1, TRIT_GGML_F32); /* what several scales are written as: nothing is lost */
		check_model("b.gguf", &s);
		assert_true(has_tensor("b.gguf", "blk.1.ffn_down.weight", cases[i].binary ? TRIT_GGML_Q1_0 : TRIT_GGML_Q2_0));
	}
}

/* Embeddings, and whole full-precision models, stay byte for byte what they are where nothing else is asked for. */
static void test_copies(void **state)
{
	static const int kept[] = { TRIT_GGML_F32, TRIT_GGML_F16, TRIT_GGML_BF16, TRIT_GGML_Q8_0, TRIT_GGML_Q6_K,
		                    TRIT_GGML_Q4_0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
		export("a.gguf", &s, TRIT_GGML_I2_S, kept[i]);
		convert("a.gguf", "b.gguf", TRIT_GGML_TQ1_0, -1);
		assert_true(has_tensor("b.gguf", "token_embd.weight", (uint32_t)kept[i]));
		convert("b.gguf", "c.gguf", TRIT_GGML_I2_S, -1);
		scratch_check_same("a.gguf", "c.gguf");
		s = tiny_source(tiny_config("llama", 256, 256), false);
		s.config.tied = false;
		export("a.gguf", &s, kept[i], kept[i]);
		convert("a.gguf", "b.gguf", -1, -1);
		scratch_check_same("a.gguf", "b.gguf");
	}
}

/* Weights that are numbers become ternary ones without loss if they are ternary, and otherwise only by force. */
static void test_force(void **state)
{
	struct trit_source s = tiny_source(tiny_config("llama", 256, 256), true), numbers = s;
	struct trit_notes notes = { 0 };
	struct trit_verified verified = { .go_on = NULL };
	struct trit_export_options o = { .type = TRIT_GGML_TQ2_0, .embedding_type = TRIT_GGML_F32, .head_type = -1,
		                         .notes = &notes, .verified = &verified };

	(void)state;
	s.scales = coarse_scales;
	export("ternary.gguf", &s, TRIT_GGML_I2_S, TRIT_GGML_F32);
	convert("ternary.gguf", "f16.gguf", TRIT_GGML_F16, TRIT_GGML_F32);
	assert_int_equal(trit_convert("f16.gguf", "out.gguf", &o, &err), 0);
	check_model("out.gguf", &s);
	assert_int_equal(notes.n, 0);
	assert_true(verified.codes > 0 && verified.rounded == 0);

	numbers = tiny_source(tiny_config("llama", 256, 256), false);
	export("full.gguf", &numbers, TRIT_GGML_BF16, TRIT_GGML_F32);
	assert_int_equal(trit_convert("full.gguf", "no.gguf", &o, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_path_kind("no.gguf"), -1);
	assert_non_null(strstr(err.message, "not ternary"));
	assert_non_null(strstr(err.message, "--force"));
	assert_int_equal(notes.n, 7 + 5); /* kinds of projections, the five worst */
	assert_non_null(strstr(notes.lines[0].text, "attn_q: "));
	assert_non_null(strstr(notes.lines[7].text, "the worst"));
	trit_notes_release(&notes);

	o.force = true;
	if (trit_convert("full.gguf", "forced.gguf", &o, &err))
		fail_msg("%s", err.message);
	struct trit_model *m = load("forced.gguf");
	struct trit_tensor_walk q = { .id = TRIT_TENSOR_ATTN_Q, .layer = 1, .rows = 256, .cols = 256 };
	float *w = trit_calloc(256 * 256, sizeof *w);
	int8_t *codes = trit_calloc(2, 256 * 256);
	assert_int_equal(tiny_floats(NULL, &q, 0, 256, w, &err), 0);
	for (size_t i = 0; i < 256 * 256; i++)
		w[i] = trit_bf16_to_f32(trit_f32_to_bf16(w[i]));
	struct trit_weight_scale scale = trit_weight_scale(&m->kernels, TRIT_WEIGHT_TERNARY, w, 256 * 256);
	trit_weight_codes(&m->kernels, TRIT_WEIGHT_TERNARY, scale, codes, w, 256 * 256);
	trit_unpack_rows(m->layers[1].q.layout, codes + 256 * 256, m->layers[1].q.w, 0, 256, 256);
	assert_memory_equal(codes, codes + 256 * 256, 256 * 256);
	assert_true(m->layers[1].q.scale[0] == scale.scale);
	trit_free(w);
	trit_free(codes);
	trit_model_close(m);
	trit_notes_release(&notes);
}

/* A byte of the result that is not what it should be is found, wherever it is. */
static void test_verify(void **state)
{
	static const int written[] = { TRIT_GGML_I2_S, TRIT_GGML_TQ1_0, TRIT_GGML_Q8_0, TRIT_GGML_PACKED_TYPE(TRIT_T2, 0) };
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	struct trit_verified v = { .go_on = NULL };
	struct trit_gguf g;
	size_t len;

	(void)state;
	for (int i = 0; i < 4; i++) {
		export("a.gguf", &s, written[i], TRIT_GGML_F16);
		if (trit_verify("a.gguf", &s, &v, &err))
			fail_msg("%s", err.message);
		assert_int_equal(v.codes, 14 / 7 * (256 * 256 * 5 + 256 * 128 * 2));
		assert_true(v.exact > 0 && v.rounded > 0 && v.scale_error == 0 && v.worst <= 1);
		assert_int_equal(trit_gguf_open(&g, "a.gguf", &err), 0);
		size_t places[4] = { trit_gguf_find_tensor(&g, "blk.1.ffn_down.weight")->offset + 40,
			             trit_gguf_find_tensor(&g, "token_embd.weight")->offset + 101,
			             trit_gguf_find_tensor(&g, "output_norm.weight")->offset,
			             trit_gguf_find_tensor(&g, "blk.0.attn_q.weight")->offset + 77 };
		trit_gguf_close(&g);
		for (int place = 0; place < 4; place++) {
			char *bytes = scratch_read("a.gguf", &len);
			bytes[places[place]] ^= place == 1 ? 0x10 : 1;
			scratch_write("b.gguf", len, bytes);
			trit_free(bytes);
			assert_int_equal(trit_verify("b.gguf", &s, &v, &err), TRIT_ERR_FORMAT);
		}
	}
}

/* Keys that the model does not need are carried over; those of another file's form are not. */
static void test_keys(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	struct trit_gguf_writer *w;
	struct trit_gguf g;
	const char *text = "";
	size_t len = 0;
	uint64_t n;

	(void)state;
	scratch_remove("keys.gguf");
	assert_int_equal(trit_gguf_writer_new(&w, "keys.gguf", &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.architecture", 6, "bitnet", &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.license", 3, "mit", &err), 0);
	assert_int_equal(trit_gguf_put_string(w, "general.author", 5, "Alice", &err), 0);
	assert_int_equal(trit_gguf_put_u32(w, "general.file_type", 1, &err), 0);
	assert_int_equal(trit_gguf_put_u32(w, "split.count", 1, &err), 0);
	assert_int_equal(trit_gguf_put_bool(w, "trit.rope.half", true, &err), 0);
	assert_int_equal(trit_gguf_put_u32(w, "bitnet.block_count", 99, &err), 0);
	assert_int_equal(trit_gguf_writer_commit(w, &err), 0);
	trit_gguf_writer_free(w);
	if (trit_gguf_open(&g, "keys.gguf", &err))
		fail_msg("%s", err.message);
	s.keys = &g;
	export("out.gguf", &s, TRIT_GGML_TQ2_0, -1);
	trit_gguf_close(&g);
	assert_int_equal(trit_gguf_open(&g, "out.gguf", &err), 0);
	assert_int_equal(trit_gguf_get_string(&g, "general.license", &text, &len, &err), 0);
	assert_true(len == 3 && !memcmp(text, "mit", 3));
	assert_int_equal(trit_gguf_get_string(&g, "general.author", &text, &len, &err), 0);
	assert_int_equal(trit_gguf_get_u64(&g, "general.file_type", 1000, &n, &err), 0);
	assert_int_equal(n, 37);
	assert_int_equal(trit_gguf_get_u64(&g, "bitnet.block_count", 1000, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_null(trit_gguf_find_key(&g, "split.count"));
	assert_null(trit_gguf_find_key(&g, "trit.rope.half"));
	trit_gguf_close(&g);
}

/* ---- packed types ----------------------------------------------------------------------------------------------- */

#define PACKED(layout) TRIT_GGML_PACKED_TYPE(layout, 0)
#define I8_ROW TRIT_GGML_PACKED_TYPE(TRIT_I8, 1)
#define I6_ROW TRIT_GGML_PACKED_TYPE(TRIT_I6, 1)
#define I4_G64 TRIT_GGML_PACKED_TYPE(TRIT_I4, 2)

/* Through every packed type and back to every other one, to the byte; packed tensors are used where they lie. */
static void test_packed(void **state)
{
	static const char *const archs[] = { "bitnet", "bitnet-b1.58", "llama" };
	static const int packed[] = { PACKED(TRIT_T2), PACKED(TRIT_T5) };

	(void)state;
	for (int a = 0; a < 3; a++) {
		struct trit_source s = tiny_source(tiny_config(archs[a], 256, 256), true);
		s.config.tied = a != 1;
		for (int i = 0; i < 2; i++) {
			export("packed.gguf", &s, packed[i], TRIT_GGML_F32);
			check_model("packed.gguf", &s);
			struct trit_model *m = load("packed.gguf");
			const unsigned char *w = m->layers[1].down.w, *map = m->gguf.map.data;
			assert_true(w > map && w < map + m->gguf.map.size && (uintptr_t)w % 64 == 0);
			assert_true((const unsigned char *)m->layers[1].down.scale > w);
			trit_model_close(m);
			for (int j = 0; j < 3 + 4 * (a < 2); j++) { /* in llama dense types hold numbers */
				export("direct.gguf", &s, types[j], TRIT_GGML_F32);
				convert("packed.gguf", "other.gguf", types[j], TRIT_GGML_F32);
				scratch_check_same("direct.gguf", "other.gguf");
				convert("other.gguf", "back.gguf", packed[i], TRIT_GGML_F32);
				scratch_check_same("packed.gguf", "back.gguf");
			}
			convert("packed.gguf", "other.gguf", packed[1 - i], TRIT_GGML_F32);
			convert("other.gguf", "back.gguf", packed[i], TRIT_GGML_F32);
			scratch_check_same("packed.gguf", "back.gguf");
		}
	}
}

/* Shapes that no other ternary type holds. */
static void test_packed_shapes(void **state)
{
	static const int sizes[][2] = { { 40, 72 }, { 8, 20 }, { 88, 33 }, { 136, 1 } };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct trit_source s = tiny_source(tiny_config("bitnet", sizes[i][0], sizes[i][1]), true);
		s.config.n_vocab = 33 + i;
		for (int layout = TRIT_T2; layout <= TRIT_T5; layout++) {
			export("odd.gguf", &s, PACKED(layout), -1);
			check_model("odd.gguf", &s);
		}
	}
}

/* A scale for every row or group of columns. */
static void test_scalings(void **state)
{
	static enum trit_scaling scalings[] = { TRIT_SCALE_ROW, TRIT_SCALE_GROUP64, TRIT_SCALE_GROUP128 };
	struct trit_export_options tq2 = { .type = TRIT_GGML_TQ2_0, .embedding_type = -1, .head_type = -1 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct trit_source s = tiny_source(tiny_config("bitnet", 256, 300), true);
		s.scaling = scalings[i];
		s.arg = &scalings[i];
		export("t5.gguf", &s, PACKED(TRIT_T5), TRIT_GGML_F32);
		check_model("t5.gguf", &s);
		convert("t5.gguf", "t2.gguf", PACKED(TRIT_T2), TRIT_GGML_F32);
		check_model("t2.gguf", &s);
		convert("t2.gguf", "back.gguf", -1, TRIT_GGML_F32);
		scratch_check_same("t5.gguf", "back.gguf");
		assert_int_equal(trit_convert("t2.gguf", "no.gguf", &tq2, &err), TRIT_ERR_ARG);
		assert_non_null(strstr(err.message, i == 0 ? "scales in 16 bits" : i == 1 ? "fewer scales than this model has"
		                                                                          : "a scale for 256 columns"));
		assert_int_equal(trit_path_kind("no.gguf"), -1);
	}
}

/* Projections in more than three values run, but are not converted as if they were ternary. */
static void test_integer_projections(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 64, 96), true);
	struct trit_export_options f16 = { .type = TRIT_GGML_F16, .embedding_type = -1, .head_type = -1 };

	(void)state;
	export("i8.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_I8, 0), TRIT_GGML_F32);
	check_model("i8.gguf", &s);
	assert_int_equal(trit_convert("i8.gguf", "no.gguf", &f16, &err), TRIT_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "blk.0.attn_q.weight: a projection of type I8_TENSOR"));
}

static void test_binary(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	struct trit_export_options b1 = { .type = PACKED(TRIT_B1), .embedding_type = -1, .head_type = -1 };

	(void)state;
	assert_int_equal(trit_export("no.gguf", &s, &b1, &err), TRIT_ERR_ARG); /* it has zeros */
	assert_non_null(strstr(err.message, "blk.0.attn_q.weight: b1 holds -1 and +1 only"));
	s.codes = tiny_binary_codes;
	export("b1.gguf", &s, PACKED(TRIT_B1), TRIT_GGML_F32);
	check_model("b1.gguf", &s);
	convert("b1.gguf", "i2_s.gguf", TRIT_GGML_I2_S, TRIT_GGML_F32);
	check_model("i2_s.gguf", &s);
	struct trit_model *m = load("i2_s.gguf");
	assert_int_equal(m->layers[1].up.layout, TRIT_B1); /* found to be binary */
	trit_model_close(m);
	convert("i2_s.gguf", "back.gguf", PACKED(TRIT_B1), TRIT_GGML_F32);
	scratch_check_same("b1.gguf", "back.gguf");
}

/* Embedding and head in integers, of ternary and of full-precision models; a copy is a copy. */
static void test_integer_embeddings(void **state)
{
	static const int integer[] = { I8_ROW, I6_ROW, I4_G64 };
	struct trit_source s[] = { tiny_source(tiny_config("bitnet", 256, 256), true),
		                   tiny_source(tiny_config("bitnet-b1.58", 320, 256), true),
		                   tiny_source(tiny_config("llama", 64, 96), false) };

	(void)state;
	s[1].config.tied = false;
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++) {
			struct trit_export_options o = { .type = -1, .embedding_type = -1, .head_type = integer[j] };
			if (!s[i].config.tied)
				o.embedding_type = TRIT_GGML_F16;
			if (trit_export("int.gguf", &s[i], &o, &err))
				fail_msg("%s", err.message);
			check_model("int.gguf", &s[i]);
			struct trit_model *m = load("int.gguf");
			assert_true(m->output.quantised && m->output.w > m->gguf.map.data);
			assert_int_equal(m->token_embd.quantised, s[i].config.tied);
			trit_model_close(m);
			assert_int_equal(trit_convert("int.gguf", "copy.gguf", &o, &err), 0);
			scratch_check_same("int.gguf", "copy.gguf");
			convert("int.gguf", "f32.gguf", -1, TRIT_GGML_F32);
			trit_model_close(load("f32.gguf"));
		}
	/* One tensor has one type. */
	struct trit_export_options both = { .type = -1, .embedding_type = TRIT_GGML_F16, .head_type = I8_ROW };
	assert_int_equal(trit_export("no.gguf", &s[0], &both, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "give one of --head-type and --embedding-type"));
	both.embedding_type = I8_ROW;
	assert_int_equal(trit_export("int.gguf", &s[0], &both, &err), 0);
}

/* Whoever is asked whether to go on may say no. */
static bool stop_at(void *arg, int64_t done, int64_t total)
{
	int *left = arg;

	assert_true(done > 0 && done <= total);
	return --*left > 0;
}

static void test_stop(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	int asked = 1000000;

	(void)state;
	struct trit_export_options o = { .type = PACKED(TRIT_T5), .embedding_type = -1, .head_type = -1,
		                         .go_on = stop_at, .arg = &asked };
	assert_int_equal(trit_export("out.gguf", &s, &o, &err), 0);
	int times = 1000000 - asked;
	assert_true(times >= 20);
	scratch_remove("out.gguf");
	for (int i = 1; i < times; i += 5) {
		asked = i;
		assert_int_equal(trit_export("out.gguf", &s, &o, &err), TRIT_ERR_IO);
		assert_int_equal(asked, 0);
		assert_int_equal(trit_path_kind("out.gguf"), -1);
		assert_int_equal(scratch_count(".", ".tmp."), 0);
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

static const float *run_weights(const struct run *r, const struct trit_tensor_walk *w)
{
	return r->params.w + trit_params_find(&r->params, w->id, w->layer)->offset;
}

static int run_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *e)
{
	struct run *r = arg;

	(void)e;
	*scales = trit_weight_scale(&r->kernels, r->kind, run_weights(r, w), w->rows * w->cols).scale;
	return 0;
}

static int run_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                     struct trit_error *e)
{
	struct run *r = arg;
	struct trit_weight_scale s = trit_weight_scale(&r->kernels, r->kind, run_weights(r, w), w->rows * w->cols);

	(void)e;
	trit_weight_codes(&r->kernels, r->kind, s, codes, run_weights(r, w) + row0 * w->cols, n * w->cols);
	return 0;
}

static int run_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                      struct trit_error *e)
{
	(void)e;
	memcpy(out, run_weights(arg, w) + row0 * w->cols, n * w->cols * sizeof *out);
	return 0;
}

static void make_run(struct run *run, enum trit_weight_kind kind)
{
	struct trit_recipe r = trit_recipe_defaults();
	struct trit_prepare_settings settings = trit_prepare_defaults();
	struct trit_vocab vocab = { 0 };
	struct trit_corpus c;
	char text[] = TRIT_TEST_DATA "/train/garden.txt";
	char *paths[] = { text };

	r.n_vocab = 290, r.n_layers = 2, r.d_model = 256, r.d_ff = 256, r.weights = kind, r.seq_len = 40, r.eps = 3e-6f;
	r.n_heads = 8, r.n_kv_heads = 2, r.head_dim = 64; /* heads wider than the model */
	r.rope_base = 500000.5f;
	assert_int_equal(trit_recipe_apply_size(&r, "1m", &err), 0);
	*run = (struct run){ .kind = kind };
	run->source = (struct trit_source){ .quantised = kind != TRIT_WEIGHT_FULL, .arg = run, .scales = run_scales,
		                            .codes = run_codes, .floats = run_floats };
	trit_kernels_fill(&run->kernels, TRIT_TIER_C);
	if (trit_recipe_config(&r, &run->source.config, &err))
		fail_msg("%s", err.message);
	assert_int_equal(trit_params_init(&run->params, &run->source.config, &err), 0);
	trit_params_randomise(&run->params, &run->source.config, 77);
	assert_int_equal(trit_make_dirs("run", &err), 0);
	assert_int_equal(trit_checkpoint_save("run/checkpoint.safetensors", &run->params, &r, &run->source.config,
	                                      (struct trit_progress){ .step = 1, .steps = 2, .train_tokens = 3 }, &err), 0);
	assert_int_equal(trit_corpus_open(&c, 1, paths, &err), 0);
	assert_int_equal(trit_prepare_vocab(&c, &settings, r.n_vocab, &vocab, &err), 0);
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
	struct trit_export_options o = { .type = type, .embedding_type = embedding_type, .head_type = -1 };
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
	check_fails("full.gguf", "old.gguf", TRIT_GGML_TQ1_0, -1, TRIT_ERR_ARG, "full.gguf: its weights are not ternary");
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
	check_fails("run", "old.gguf", -1, -1, TRIT_ERR_FORMAT, "run: is a directory without a model");

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
		struct trit_export_options o = { .type = TRIT_GGML_F16, .embedding_type = -1, .head_type = -1 };
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
	struct trit_export_options o = { .type = -1, .embedding_type = -1, .head_type = -1 };
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
		cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_shapes),   cmocka_unit_test(test_scalings),
		cmocka_unit_test(test_binary),          cmocka_unit_test(test_integer_embeddings),
		cmocka_unit_test(test_stop),            cmocka_unit_test(test_integer_projections),
		cmocka_unit_test(test_f16_scales),      cmocka_unit_test(test_copies),
		cmocka_unit_test(test_keys),            cmocka_unit_test(test_group_scales),
		cmocka_unit_test(test_force),           cmocka_unit_test(test_verify),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
