/*
 * test_weight_types.c - models whose tensors are of the types that other programs write: scales for every block, row or
 * tensor, embeddings and heads in every type, dense projections beside ternary ones, master weights. What they compute
 * equals, to the bit, what the same numbers do in a type that is used as it lies.
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
#include "convert/convert.h"
#include "model/config_keys.h"
#include "model/model.h"
#include "model/quant.h"
#include "scratch.h"
#include "tiny_model.h"

static struct trit_error err;

enum { N_TOKENS = 9, MOST_SCALES = 1 << 14 };

/* ---- models in memory -------------------------------------------------------------------------------------------- */

/* What a test's model holds: one function of tensor, row and column for the codes, one for the scales. */
struct recipe {
	struct trit_config config;
	uint32_t linear, embedding, head; /* types */
	uint32_t odd;                     /* of blk.0.attn_k and blk.1.ffn_up; 0: `linear` (numbers, if it holds them) */
	size_t run;                       /* columns that share a scale; 0: one a tensor */
	bool binary, code_2;
	bool masters;                     /* projections are numbers that are not ternary */
};

static int8_t code_at(const struct recipe *r, const struct trit_tensor_walk *w, size_t row, size_t col)
{
	uint64_t x = ((uint64_t)w->id * 31 + (uint64_t)w->layer * 7 + row * w->cols + col) * 0x9e3779b97f4a7c15u;
	if (r->binary)
		return x >> 63 ? 1 : -1;
	if (r->code_2 && x >> 58 == 5)
		return 2;
	return (int8_t)(x >> 33) % 3 == 0 ? 0 : x >> 63 ? 1 : -1;
}

/* A number that F16 can hold; 0 now and then. */
static float scale_at(const struct recipe *r, const struct trit_tensor_walk *w, size_t row, size_t col)
{
	size_t group = r->run ? row * (w->cols / r->run) + col / r->run : 0;
	uint64_t x = ((uint64_t)w->id * 3 + (uint64_t)w->layer + group) * 0x9e3779b97f4a7c15u;
	if (r->run && !r->binary && x >> 60 == 3)
		return 0;
	return trit_f16_to_f32((uint16_t)(0x2c00 + (x >> 54)));
}

static float number_at(const struct recipe *r, const struct trit_tensor_walk *w, size_t row, size_t col)
{
	uint64_t x = ((uint64_t)w->id * 11 + (uint64_t)w->layer + row * w->cols + col) * 0x9e3779b97f4a7c15u;
	float noise = (float)(x >> 40) * 0x1p-24f - 0.5f;
	if (trit_walk_kind(w) == TRIT_KIND_NORM)
		return 1 + 0.25f * noise;
	if (trit_walk_kind(w) == TRIT_KIND_LINEAR && !r->masters)
		return scale_at(r, w, row, col) * (float)code_at(r, w, row, col);
	return 0.3f * noise;
}

/* ik_llama.cpp's rows, and Q2_0 in blocks of 128: what there is no encoder for. */
static void put_row(const struct recipe *r, uint32_t type, const struct trit_tensor_walk *w, size_t row,
                    unsigned char *out)
{
	size_t block = type == TRIT_GGML_IQ2_BN ? 64 : 128, head = type == TRIT_GGML_IQ2_BN ? 4 : 0;
	if (head)
		trit_put32(out, trit_f32_bits(scale_at(r, w, row, 0)));
	out += head;
	for (size_t c = 0; c < w->cols; c++) {
		unsigned code = (unsigned)(code_at(r, w, row, c) + 1);
		size_t in = c % block;
		if (head) {
			out[c / 64 * 16 + in % 16] |= (unsigned char)(code << in / 16 * 2);
		} else {
			trit_put16(out + c / 128 * 34, trit_f32_to_f16(scale_at(r, w, row, c)));
			out[c / 128 * 34 + 2 + in / 4] |= (unsigned char)(code << in % 4 * 2);
		}
	}
}

static void put_packed(const struct recipe *r, const struct trit_ggml_type_info *t, const struct trit_tensor_walk *w,
                       unsigned char *out)
{
	enum trit_layout layout = (enum trit_layout)t->layout;
	enum trit_scaling scaling = (enum trit_scaling)t->scaling;
	int8_t *codes = trit_calloc(w->rows, w->cols);
	float *scales = (float *)(void *)(out + trit_layout_bytes(layout, w->rows, w->cols));
	for (size_t row = 0; row < w->rows; row++)
		for (size_t c = 0; c < w->cols; c++) {
			float scale = scale_at(r, w, row, c);
			codes[row * w->cols + c] = scale == 0 ? 0 : code_at(r, w, row, c);
			scales[trit_scale_index(scaling, row, c, w->cols)] = scale;
		}
	trit_pack(layout, out, 0, codes, w->rows, w->cols);
	trit_free(codes);
}

/* The tensor's bytes in a type. */
static void fill(const struct recipe *r, uint32_t type, const struct trit_tensor_walk *w, unsigned char *out)
{
	const struct trit_ggml_type_info *t = trit_ggml_type_info(type);
	size_t n = w->rows * w->cols, groups = r->run ? n / r->run : 1;
	float *numbers = trit_calloc(n, sizeof *numbers), *scales = trit_calloc(groups, sizeof *scales);
	int8_t *codes = trit_calloc(n, 1);
	for (size_t i = 0; i < n; i++) {
		numbers[i] = number_at(r, w, i / w->cols, i % w->cols);
		codes[i] = code_at(r, w, i / w->cols, i % w->cols);
		scales[r->run ? i / r->run : 0] = scale_at(r, w, i / w->cols, i % w->cols);
	}
	if (t->packed)
		put_packed(r, t, w, out);
	else if (!t->writes_trits)
		for (size_t row = 0; row < w->rows; row++)
			put_row(r, type, w, row, out + trit_ggml_bytes_before(t, w->cols, 4 * row) / 4);
	else if (t->ternary)
		trit_ggml_encode_groups(type, codes, scales, r->run, w->rows, w->cols, out);
	else
		trit_ggml_encode_f32(type, numbers, w->rows, w->cols, out);
	trit_free(numbers);
	trit_free(scales);
	trit_free(codes);
}

static uint32_t type_of(const struct recipe *r, const struct trit_tensor_walk *w)
{
	bool odd = (w->id == TRIT_TENSOR_ATTN_K && w->layer == 0) || (w->id == TRIT_TENSOR_FFN_UP && w->layer == 1);
	switch (trit_walk_kind(w)) {
	case TRIT_KIND_NORM:
		return TRIT_GGML_F32;
	case TRIT_KIND_EMBEDDING:
		return w->id == TRIT_TENSOR_OUTPUT ? r->head : r->embedding;
	default:
		return odd && r->odd ? r->odd : r->linear;
	}
}

static void write_model(const char *path, const struct recipe *r)
{
	struct trit_gguf_writer *out;
	struct trit_tensor_walk w = { 0 };
	assert_int_equal(trit_gguf_writer_new(&out, path, &err), 0);
	assert_int_equal(trit_config_put(&r->config, out, 0, &err), 0);
	assert_int_equal(trit_gguf_put_alignment(out, 64, &err), 0);
	assert_int_equal(trit_gguf_put_string(out, "tokenizer.ggml.model", 8, "no_vocab", &err), 0);
	while (trit_tensor_next(&w, &r->config)) {
		char name[TRIT_TENSOR_NAME_BYTES];
		uint64_t dims[2] = { w.cols, w.rows };
		trit_tensor_name(name, w.id, w.layer, "weight");
		if (trit_gguf_put_tensor(out, name, type_of(r, &w), w.rows > 1 ? 2 : 1, dims, &err))
			fail_msg("%s", err.message);
	}
	for (w = (struct trit_tensor_walk){ 0 }; trit_tensor_next(&w, &r->config);) {
		uint64_t bytes = 0;
		assert_int_equal(trit_ggml_tensor_bytes(type_of(r, &w), w.rows, w.cols, &bytes, &err), 0);
		unsigned char *data = trit_calloc((size_t)bytes, 1);
		fill(r, type_of(r, &w), &w, data);
		assert_int_equal(trit_gguf_write_data(out, (size_t)bytes, data, &err), 0);
		trit_free(data);
	}
	assert_int_equal(trit_gguf_writer_commit(out, &err), 0);
	trit_gguf_writer_free(out);
}

static struct trit_model *open_with(const char *path, struct trit_model_options o)
{
	struct trit_model *m;
	if (trit_model_open_with(&m, path, &o, &err))
		fail_msg("%s", err.message);
	return m;
}

static void run(float *logits, struct trit_model *m, int n_threads, int n_batch)
{
	struct trit_session_options o = { .n_threads = n_threads, .n_batch = n_batch };
	trit_token tokens[N_TOKENS];
	struct trit_session *s;
	for (int i = 0; i < N_TOKENS; i++)
		tokens[i] = i * 5 % m->config.n_vocab;
	assert_int_equal(trit_session_new(&s, m, &o, &err), 0);
	assert_int_equal(trit_session_feed(s, N_TOKENS, tokens, &err), 0);
	memcpy(logits, trit_session_logits(s), (size_t)m->config.n_vocab * sizeof *logits);
	trit_session_free(s);
}

/* Logits of a model of the recipe, opened with options; the file may be looked at before with `look`. */
static void logits_of(float logits[48], const struct recipe *r, struct trit_model_options o,
                      void (*look)(const struct trit_model *m))
{
	write_model("m.gguf", r);
	struct trit_model *m = open_with("m.gguf", o);
	if (look)
		look(m);
	run(logits, m, 1, 16);
	trit_model_close(m);
}

static struct recipe recipe(const char *arch, uint32_t linear)
{
	struct recipe r = { .config = tiny_config(arch, 256, 512), .linear = linear, .embedding = TRIT_GGML_F16,
		            .head = TRIT_GGML_F16 };
	return r;
}

/* ---- scales ------------------------------------------------------------------------------------------------------ */

static void test_scales(void **state)
{
	static const struct {
		uint32_t type;
		size_t run;
		int packed, scales; /* the layout and arrangement in which the same is written to compare with */
		bool binary;
	} cases[] = {
		{ TRIT_GGML_TQ1_0, 256, TRIT_T2, 3, false },    { TRIT_GGML_TQ2_0, 256, TRIT_T2, 3, false },
		{ TRIT_GGML_Q2_0, 64, TRIT_T2, 2, false },      { TRIT_GGML_Q2_0_G128, 128, TRIT_T2, 3, false },
		{ TRIT_GGML_Q1_0, 128, TRIT_B1, 3, true },      { TRIT_GGML_IQ2_BN, 512, TRIT_T2, 1, false },
		{ TRIT_GGML_TQ2_0, 0, TRIT_T5, 0, false },      { TRIT_GGML_Q2_0, 0, TRIT_T2, 0, false },
		{ TRIT_GGML_Q2_0_G128, 0, TRIT_T2, 0, false },  { TRIT_GGML_Q1_0, 0, TRIT_B1, 0, true },
		{ TRIT_GGML_IQ2_BN, 0, TRIT_T2, 0, false },
	};
	static const char *const layouts[] = { NULL, "t2", "t5" };
	static const enum trit_scaling scalings[] = { TRIT_SCALE_TENSOR, TRIT_SCALE_ROW, TRIT_SCALE_GROUP64,
		                                      TRIT_SCALE_GROUP128 };
	float expected[48], got[48];
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct recipe r = recipe("llama", (uint32_t)TRIT_GGML_PACKED_TYPE(cases[i].packed, cases[i].scales));
		r.config = tiny_config("llama", 512, 512); /* at least two blocks a row */
		r.run = cases[i].run;
		r.binary = cases[i].binary;
		logits_of(expected, &r, (struct trit_model_options){ 0 }, NULL);
		r.linear = cases[i].type;
		write_model("m.gguf", &r);
		for (int j = 0; j < 3; j++)
			for (int threads = 1; threads < 4; threads += 2) {
				struct trit_model_options o = { .layout = layouts[j], .n_threads = threads };
				struct trit_model *m = open_with("m.gguf", o);
				assert_int_equal(m->layers[1].gate.scaling, scalings[cases[i].scales]);
				assert_true(m->layers[0].o.quantised);
				assert_true(j > 0 || !r.binary || m->layers[0].o.layout == TRIT_B1);
				run(got, m, threads, 4);
				assert_memory_equal(got, expected, sizeof got);
				trit_model_close(m);
			}
	}
}

static void is_i4(const struct trit_model *m)
{
	assert_int_equal(m->layers[0].q.layout, TRIT_I4);
	assert_int_equal(m->layers[1].down.scaling, TRIT_SCALE_GROUP64);
}

/* Q2_0 with weights of twice the scale. */
static void test_code_2(void **state)
{
	struct recipe r = recipe("llama", (uint32_t)TRIT_GGML_PACKED_TYPE(TRIT_I4, 2));
	float expected[48], got[48];
	(void)state;

	r.run = 64;
	r.code_2 = true;
	logits_of(expected, &r, (struct trit_model_options){ 0 }, is_i4);
	r.linear = TRIT_GGML_Q2_0;
	logits_of(got, &r, (struct trit_model_options){ 0 }, is_i4);
	assert_memory_equal(got, expected, sizeof got);
}

/* ---- embeddings and heads ---------------------------------------------------------------------------------------- */

/* An embedding of any type gives the numbers that it stands for. */
static void test_embeddings(void **state)
{
	static const uint32_t types[] = { TRIT_GGML_Q4_0, TRIT_GGML_Q6_K, TRIT_GGML_TQ2_0, TRIT_GGML_Q2_0, TRIT_GGML_Q1_0,
		                          TRIT_GGML_TQ1_0 };
	float expected[48], got[48], numbers[48 * 256];
	(void)state;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct recipe r = recipe("bitnet", TRIT_GGML_I2_S);
		r.config.tied = false;
		r.binary = types[i] == TRIT_GGML_Q1_0;
		r.embedding = types[i];
		write_model("m.gguf", &r);
		struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ 0 });
		assert_true(m->arena.size < (size_t)1 << 21); /* the embedding was not widened with room to spare */
		run(got, m, 2, 4);
		const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&m->gguf, "token_embd.weight");
		assert_int_equal(trit_ggml_decode_f32(types[i], t->data, 48, 256, 0, 48, numbers, &err), 0);
		trit_model_close(m);

		r.embedding = TRIT_GGML_F32;
		write_model("f32.gguf", &r);
		struct trit_gguf g;
		size_t len;
		assert_int_equal(trit_gguf_open(&g, "f32.gguf", &err), 0);
		size_t at = (size_t)trit_gguf_find_tensor(&g, "token_embd.weight")->offset;
		trit_gguf_close(&g);
		char *bytes = scratch_read("f32.gguf", &len);
		memcpy(bytes + at, numbers, sizeof numbers);
		scratch_write("f32.gguf", len, bytes);
		trit_free(bytes);
		m = open_with("f32.gguf", (struct trit_model_options){ 0 });
		run(expected, m, 2, 4);
		trit_model_close(m);
		assert_memory_equal(got, expected, sizeof got);
	}
}

/* A ternary head is multiplied as it is; tied, it is the embedding. */
static void test_heads(void **state)
{
	float expected[48], got[48];
	(void)state;

	for (int tied = 0; tied < 2; tied++) {
		struct recipe r = recipe("llama", TRIT_GGML_Q2_0);
		r.run = 64;
		r.config.tied = tied;
		r.embedding = r.head = (uint32_t)TRIT_GGML_PACKED_TYPE(TRIT_T2, 2);
		logits_of(expected, &r, (struct trit_model_options){ .layout = "t2" }, NULL);
		r.embedding = r.head = TRIT_GGML_Q2_0;
		write_model("m.gguf", &r);
		for (int i = 0; i < 2; i++) {
			struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ .head = i ? "exact" : NULL });
			assert_true(m->output.quantised && m->output.layout <= TRIT_T5 && m->token_embd.quantised);
			assert_true((m->output.w == m->token_embd.w) == tied);
			run(got, m, 2, 4);
			assert_memory_equal(got, expected, sizeof got);
			trit_model_close(m);
		}
		struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ .head = "i8" });
		assert_true(m->output.layout == TRIT_I8 && m->token_embd.layout <= TRIT_T5);
		run(got, m, 1, 16);
		for (int v = 0; v < 48; v++)
			assert_true(fabsf(got[v] - expected[v]) < 0.05f);
		trit_model_close(m);
	}
}

static void is_widened(const struct trit_model *m)
{
	assert_true(!m->output.quantised && m->output.type == TRIT_DENSE_F32 && m->output.w == m->token_embd.w);
	assert_null(m->token_embd.stored);
}

/* A tied embedding that has to be numbers for the head is made so for both. */
static void test_tied_k_quant(void **state)
{
	struct recipe r = recipe("llama", TRIT_GGML_F16);
	float logits[48];
	(void)state;

	r.embedding = TRIT_GGML_Q6_K;
	logits_of(logits, &r, (struct trit_model_options){ 0 }, is_widened);
	struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ .head = "i8" });
	assert_true(m->output.layout == TRIT_I8 && m->token_embd.stored);
	assert_string_equal(trit_linear_layout(&m->token_embd), "Q6_K");
	trit_model_close(m);
}

/* ---- conversion -------------------------------------------------------------------------------------------------- */

/* All numbers of all projections, of two files. */
static void check_same_numbers(const char *a, const char *b, const struct recipe *r)
{
	struct trit_gguf g[2];
	struct trit_tensor_walk w = { 0 };
	assert_int_equal(trit_gguf_open(&g[0], a, &err), 0);
	assert_int_equal(trit_gguf_open(&g[1], b, &err), 0);
	while (trit_tensor_next(&w, &r->config)) {
		float *x[2];
		if (trit_walk_kind(&w) != TRIT_KIND_LINEAR)
			continue;
		for (int i = 0; i < 2; i++) {
			struct trit_gguf_tensor t;
			x[i] = trit_calloc(w.rows * w.cols, sizeof *x[i]);
			assert_int_equal(trit_tensor_find(&g[i], &w, &t, &err), 0);
			assert_int_equal(trit_tensor_floats(&w, &t, 0, w.rows, x[i], &err), 0);
		}
		for (size_t i = 0; i < w.rows * w.cols; i++)
			assert_true(x[0][i] == x[1][i]);
		trit_free(x[0]);
		trit_free(x[1]);
	}
	trit_gguf_close(&g[0]);
	trit_gguf_close(&g[1]);
}

/* Scales for groups, and weights of twice the scale, go through other types unchanged. */
static void test_convert(void **state)
{
	static const struct {
		uint32_t from, through, back;
		size_t run;
		bool binary, code_2;
	} cases[] = {
		{ TRIT_GGML_Q2_0, TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), TRIT_GGML_Q2_0, 64, false, false },
		{ TRIT_GGML_Q2_0_G128, TRIT_GGML_PACKED_TYPE(TRIT_T2, 0), TRIT_GGML_Q2_0, 128, false, false },
		{ TRIT_GGML_TQ2_0, TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), TRIT_GGML_PACKED_TYPE(TRIT_T2, 0), 256, false, false },
		{ TRIT_GGML_Q1_0, TRIT_GGML_PACKED_TYPE(TRIT_B1, 0), TRIT_GGML_Q1_0, 128, true, false },
		{ TRIT_GGML_IQ2_BN, TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), TRIT_GGML_TQ2_0, 512, false, false },
		{ TRIT_GGML_Q2_0, TRIT_GGML_F32, TRIT_GGML_F32, 64, false, true },
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct recipe r = recipe("llama", cases[i].from);
		struct trit_export_options o = { .type = (int)cases[i].through, .embedding_type = -1, .head_type = -1 };
		r.config = tiny_config("llama", 512, 512);
		r.run = cases[i].run;
		r.binary = cases[i].binary;
		r.code_2 = cases[i].code_2;
		write_model("m.gguf", &r);
		if (trit_convert("m.gguf", "through.gguf", &o, &err))
			fail_msg("%zu: %s", i, err.message);
		o.type = (int)cases[i].back;
		if (trit_convert("through.gguf", "back.gguf", &o, &err))
			fail_msg("%zu: %s", i, err.message);
		check_same_numbers("m.gguf", "through.gguf", &r);
		check_same_numbers("m.gguf", "back.gguf", &r);
	}
}

/* ---- dense projections ------------------------------------------------------------------------------------------- */

static void is_mixed(const struct trit_model *m)
{
	assert_true(!m->layers[0].k.quantised && m->layers[1].k.quantised && m->layers[0].q.quantised);
	assert_true(!m->layers[1].up.quantised && m->layers[0].up.quantised && m->layers[1].gate.quantised);
	assert_int_equal(m->file.notes.n, 1);
	assert_non_null(strstr(m->file.notes.lines[0].text, "2 of 14 projections are not ternary"));
}

/* Two projections left in F16 beside ternary ones: nearly the logits of all of them ternary (what differs is that the
 * activations of two are not rounded), and the same bits however they are computed. */
static void test_dense_beside_ternary(void **state)
{
	float all[48], mixed[48], got[48], scale = 0;
	struct recipe r = recipe("llama", TRIT_GGML_TQ2_0);
	(void)state;

	logits_of(all, &r, (struct trit_model_options){ .head = "exact" }, NULL);
	r.odd = TRIT_GGML_F16;
	write_model("m.gguf", &r);
	struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ .head = "exact" });
	is_mixed(m);
	run(mixed, m, 1, 16);
	for (int v = 0; v < 48; v++)
		scale = fmaxf(scale, fabsf(all[v]));
	for (int v = 0; v < 48; v++)
		assert_true(fabsf(mixed[v] - all[v]) < 0.05f * scale);
	assert_memory_not_equal(mixed, all, sizeof all);
	for (int threads = 1; threads < 4; threads++)
		for (int batch = 1; batch < 5; batch += 3) {
			run(got, m, threads, batch);
			assert_memory_equal(got, mixed, sizeof got);
		}
	trit_model_close(m);
}

/* ---- master weights ---------------------------------------------------------------------------------------------- */

/* What the loader makes of numbers in a network that is ternary by definition is what training does. */
static void test_masters(void **state)
{
	static const uint32_t types[] = { TRIT_GGML_F32, TRIT_GGML_BF16, TRIT_GGML_F16 };
	(void)state;

	for (int i = 0; i < 3; i++) {
		struct recipe r = recipe("bitnet-b1.58", types[i]);
		r.masters = true;
		r.config.d_ff = 768;
		write_model("m.gguf", &r);
		for (int threads = 1; threads < 4; threads += 2) {
			struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ .n_threads = threads });
			struct trit_tensor_walk w = { 0 };
			assert_int_equal(m->file.notes.n, 1);
			assert_int_equal(m->file.notes.lines[0].kind, TRIT_NOTE_ASSUMED);
			while (trit_tensor_next(&w, &r.config)) {
				const struct trit_linear *l = trit_model_linear(m, &w);
				if (trit_walk_kind(&w) != TRIT_KIND_LINEAR)
					continue;
				char name[TRIT_TENSOR_NAME_BYTES];
				trit_tensor_name(name, w.id, w.layer, "weight");
				const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&m->gguf, name);
				size_t n = w.rows * w.cols;
				float *x = trit_calloc(n, sizeof *x);
				int8_t *expected = trit_calloc(n, 1), *got = trit_calloc(n, 1);
				assert_int_equal(trit_ggml_decode_f32(t->type, t->data, w.rows, w.cols, 0, w.rows, x, &err), 0);
				struct trit_weight_scale s = trit_weight_scale(&m->kernels, TRIT_WEIGHT_TERNARY, x, n);
				trit_weight_codes(&m->kernels, TRIT_WEIGHT_TERNARY, s, expected, x, n);
				trit_unpack_rows(l->layout, got, l->w, 0, w.rows, w.cols);
				assert_true(l->quantised && l->scaling == TRIT_SCALE_TENSOR && l->scale[0] == s.scale);
				assert_memory_equal(got, expected, n);
				trit_free(x);
				trit_free(expected);
				trit_free(got);
			}
			trit_model_close(m);
		}
	}
}

static void test_bad_masters(void **state)
{
	struct recipe r = recipe("bitnet", TRIT_GGML_F32);
	struct trit_gguf g;
	struct trit_model *m;
	size_t len, at;
	(void)state;

	r.masters = true;
	write_model("m.gguf", &r);
	assert_int_equal(trit_gguf_open(&g, "m.gguf", &err), 0);
	at = (size_t)trit_gguf_find_tensor(&g, "blk.1.attn_v.weight")->offset;
	trit_gguf_close(&g);
	char *bytes = scratch_read("m.gguf", &len);
	trit_put32(bytes + at + 4 * (256 * 60 + 7), 0x7fc00000);
	scratch_write("m.gguf", len, bytes);
	trit_free(bytes);
	assert_int_equal(trit_model_open(&m, "m.gguf", &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "blk.1.attn_v.weight: rows 48 to 63 have a number that is not finite"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scales),      cmocka_unit_test(test_code_2),
		cmocka_unit_test(test_embeddings),  cmocka_unit_test(test_heads),
		cmocka_unit_test(test_tied_k_quant), cmocka_unit_test(test_dense_beside_ternary),
		cmocka_unit_test(test_convert),     cmocka_unit_test(test_masters),     cmocka_unit_test(test_bad_masters),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
