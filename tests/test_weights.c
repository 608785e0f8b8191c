/*
 * test_weights.c - what opening a model makes of its tensors: mapped, repacked, quantised; the same logits whatever the
 * file's type and the layout in memory; damaged files of packed types.
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
#include "model/model.h"
#include "model/weights.h"
#include "scratch.h"
#include "tiny_model.h"

static struct trit_error err;

enum { N_TOKENS = 9 };

static struct trit_model *open_with(const char *path, struct trit_model_options o)
{
	struct trit_model *m;

	if (trit_model_open_with(&m, path, &o, &err))
		fail_msg("%s", err.message);
	return m;
}

static void export(const char *path, const struct trit_source *s, int type, int embedding_type, int head_type)
{
	struct trit_export_options o = { .type = type, .embedding_type = embedding_type, .head_type = head_type };

	if (trit_export(path, s, &o, &err))
		fail_msg("%s", err.message);
}

/* Logits after a few tokens. */
static void run(float *logits, struct trit_model *m)
{
	struct trit_session_options o = { .n_threads = 2, .n_batch = 4 };
	trit_token tokens[N_TOKENS];
	struct trit_session *s;

	for (int i = 0; i < N_TOKENS; i++)
		tokens[i] = i * 5 % m->config.n_vocab;
	assert_int_equal(trit_session_new(&s, m, &o, &err), 0);
	assert_int_equal(trit_session_feed(s, N_TOKENS, tokens, &err), 0);
	memcpy(logits, trit_session_logits(s), (size_t)m->config.n_vocab * sizeof *logits);
	trit_session_free(s);
}

/* ---- layouts ---------------------------------------------------------------------------------------------------- */

static void test_layouts(void **state)
{
	static const int types[] = { TRIT_GGML_TQ2_0, TRIT_GGML_I2_S, TRIT_GGML_F32, TRIT_GGML_PACKED_TYPE(TRIT_T2, 0),
		                     TRIT_GGML_PACKED_TYPE(TRIT_T5, 0) };
	static const char *const layouts[] = { NULL, "auto", "t2", "t5" };
	struct trit_source s = tiny_source(tiny_config("bitnet-b1.58", 256, 512), true);
	float expected[48], got[48];

	(void)state;
	for (int i = 0; i < 5; i++) {
		export("m.gguf", &s, types[i], TRIT_GGML_F16, -1);
		for (int tier = 0; tier <= (int)trit_best_tier(); tier++)
			for (int j = 0; j < 4 && trit_tier_here((enum trit_tier)tier); j++) {
				const char *cpu = trit_tier_name((enum trit_tier)tier);
				struct trit_model_options o = { .cpu = cpu, .layout = layouts[j] };
				struct trit_model *m = open_with("m.gguf", o);
				enum trit_layout want = i == 3   ? TRIT_T2
				                        : i == 4 ? TRIT_T5
				                                 : trit_default_layout((enum trit_tier)tier);
				assert_int_equal(m->layers[1].gate.layout, j == 2 ? TRIT_T2 : j == 3 ? TRIT_T5 : want);
				run(got, m);
				if (i + tier + j == 0)
					memcpy(expected, got, sizeof got);
				assert_memory_equal(got, expected, sizeof got);
				trit_model_close(m);
			}
	}
}

static void test_binary(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	static const char *const layouts[] = { NULL, "b1", "t2", "t5" };
	float expected[48], got[48];
	struct trit_model *m;

	(void)state;
	export("m.gguf", &s, TRIT_GGML_I2_S, -1, -1);
	assert_int_equal(trit_model_open_with(&m, "m.gguf", &(struct trit_model_options){ .layout = "b1" }, &err),
	                 TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "m.gguf: blk.0.attn_q.weight: layout b1 holds -1 and +1 only"));
	s.codes = tiny_binary_codes;
	export("m.gguf", &s, TRIT_GGML_TQ2_0, -1, -1);
	for (int j = 0; j < 4; j++) {
		uint64_t counts[3];
		m = open_with("m.gguf", (struct trit_model_options){ .layout = layouts[j] });
		assert_int_equal(m->layers[0].o.layout, j < 2 ? TRIT_B1 : j == 2 ? TRIT_T2 : TRIT_T5);
		run(j ? got : expected, m);
		if (j)
			assert_memory_equal(got, expected, sizeof got);
		assert_int_equal(trit_model_count_codes(m, counts, &err), 0);
		assert_true(counts[1] == 0 && counts[0] + counts[2] == m->stats.ternary_weights);
		trit_model_close(m);
	}
}

/* One thread or several make the same bytes; what they make is what the source gave. */
static void test_threads(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 512, 1200), true);
	uint64_t counts[3], expected[3] = { 0 };

	(void)state;
	s.config.n_vocab = 3000;
	export("m.gguf", &s, TRIT_GGML_F16, TRIT_GGML_F16, -1);
	struct trit_model *one = open_with("m.gguf", (struct trit_model_options){ .n_threads = 1 });
	struct trit_model *five = open_with("m.gguf", (struct trit_model_options){ .n_threads = 5 });
	struct trit_tensor_walk w = { 0 };
	while (trit_tensor_next(&w, &s.config)) {
		const struct trit_linear *a = trit_model_linear(one, &w);
		const struct trit_linear *b = trit_model_linear(five, &w);
		if (trit_tensors[w.id].kind != TRIT_KIND_LINEAR)
			continue;
		assert_memory_equal(a->w, b->w, trit_layout_bytes(a->layout, w.rows, w.cols));
		assert_true(a->scale[0] == b->scale[0]);
		int8_t *codes = trit_calloc(w.rows, w.cols), *got = trit_calloc(w.rows, w.cols);
		assert_int_equal(tiny_codes(NULL, &w, 0, w.rows, codes, &err), 0);
		trit_unpack_rows(a->layout, got, a->w, 0, w.rows, w.cols);
		assert_memory_equal(got, codes, w.rows * w.cols);
		for (size_t i = 0; i < w.rows * w.cols; i++)
			expected[codes[i] + 1]++;
		trit_free(codes);
		trit_free(got);
	}
	assert_memory_equal(one->output.w, five->output.w, trit_layout_bytes(TRIT_I8, 3000, 512));
	assert_memory_equal(one->output.scale, five->output.scale, 3000 * sizeof(float));
	assert_int_equal(trit_model_count_codes(one, counts, &err), 0);
	assert_memory_equal(counts, expected, sizeof counts);
	trit_model_close(one);
	trit_model_close(five);
}

/* ---- the head --------------------------------------------------------------------------------------------------- */

/* The head's rows against the definition: scale = max / m, code = round(w * (m / max)), half to even. */
static void check_head(const struct trit_model *m, int layout, int scaling, float largest)
{
	const struct trit_linear *e = &m->token_embd, *h = &m->output;
	size_t cols = (size_t)h->cols, run_length = scaling == 1 ? cols : (size_t)scaling;
	float *row = trit_calloc(cols, sizeof *row);
	int8_t *codes = trit_calloc(cols, 1);

	assert_true(h->quantised && !e->quantised && (int)h->layout == layout && (int)h->scaling == scaling);
	for (int r = 0; r < h->rows; r++) {
		m->kernels.row_dense[e->type](row, e->w + (size_t)r * trit_dense_row_bytes(e->type, cols), (int)cols);
		trit_unpack(h->layout, codes, h->w, (size_t)r, cols);
		for (size_t c0 = 0; c0 < cols; c0 += run_length) {
			size_t end = c0 + run_length < cols ? c0 + run_length : cols;
			float most = 0;
			for (size_t c = c0; c < end; c++)
				most = fmaxf(most, fabsf(row[c]));
			assert_true(trit_scale_of(h->scale, h->scaling, (size_t)r, c0, cols) == most / largest);
			for (size_t c = c0; c < end; c++)
				assert_true((float)codes[c] == rintf(row[c] * (largest / most)));
		}
	}
	trit_free(row);
	trit_free(codes);
}

static void test_head(void **state)
{
	static const int dense[] = { TRIT_GGML_F32, TRIT_GGML_F16, TRIT_GGML_BF16, TRIT_GGML_Q8_0 };
	struct trit_source s = tiny_source(tiny_config("bitnet", 160, 256), true);
	float exact[48], got[48];

	(void)state;
	s.config.n_vocab = 43; /* not whole blocks of rows, nor whole groups of 64 columns */
	for (int i = 0; i < 4; i++) {
		export("m.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), dense[i], -1);
		struct trit_model *m = open_with("m.gguf", (struct trit_model_options){ .head = "exact" });
		assert_false(m->output.quantised);
		assert_ptr_equal(m->output.w, m->token_embd.w);
		run(exact, m);
		trit_model_close(m);
		static const char *const heads[] = { NULL, "auto", "i8", "i6", "i4" };
		static const float largest[] = { 127, 127, 127, 31, 7 };
		for (int h = 0; h < 5; h++) {
			float worst = 0, most = 0;
			m = open_with("m.gguf", (struct trit_model_options){ .head = heads[h] });
			check_head(m, h < 3 ? TRIT_I8 : h == 3 ? TRIT_I6 : TRIT_I4, h < 4 ? 1 : 64, largest[h]);
			run(got, m);
			for (int v = 0; v < 43; v++) {
				worst = fmaxf(worst, fabsf(got[v] - exact[v]));
				most = fmaxf(most, fabsf(exact[v]));
			}
			assert_true(worst > 0 && worst < most * 3 / largest[h]);
			trit_model_close(m);
		}
	}
}

/* A full-precision model keeps its head; a head in the file as integers stays unless another form is asked for. */
static void test_other_heads(void **state)
{
	struct trit_source full = tiny_source(tiny_config("llama", 64, 96), false);
	struct trit_source s = tiny_source(tiny_config("bitnet-b1.58", 64, 96), true);
	struct trit_model *m;
	float a[48], b[48];

	(void)state;
	export("full.gguf", &full, TRIT_GGML_F16, -1, -1);
	m = open_with("full.gguf", (struct trit_model_options){ 0 });
	assert_false(m->output.quantised);
	assert_true(m->arena.size < 2 * sizeof *m->layers + 256); /* nothing was copied */
	trit_model_close(m);
	m = open_with("full.gguf", (struct trit_model_options){ .head = "i6" });
	assert_true(m->output.quantised && m->output.layout == TRIT_I6 && !m->token_embd.quantised);
	trit_model_close(m);

	/* The same numbers quantised when written and when opened. */
	s.config.tied = false;
	export("i8.gguf", &s, -1, TRIT_GGML_F32, TRIT_GGML_PACKED_TYPE(TRIT_I8, 1));
	export("f32.gguf", &s, -1, TRIT_GGML_F32, TRIT_GGML_F32);
	m = open_with("i8.gguf", (struct trit_model_options){ .head = "i8" });
	assert_true(m->output.w > m->gguf.map.data && m->output.w < m->gguf.map.data + m->gguf.map.size);
	run(a, m);
	trit_model_close(m);
	m = open_with("f32.gguf", (struct trit_model_options){ 0 });
	run(b, m);
	assert_memory_equal(a, b, sizeof a);
	trit_model_close(m);
	m = open_with("i8.gguf", (struct trit_model_options){ .head = "i4" });
	assert_int_equal(m->output.layout, TRIT_I4);
	trit_model_close(m);

	/* An embedding in integers: the same as the numbers that it stands for. */
	for (int i = 0; i < 3; i++) {
		static const int types[] = { TRIT_GGML_PACKED_TYPE(TRIT_I8, 1), TRIT_GGML_PACKED_TYPE(TRIT_I6, 2),
			                     TRIT_GGML_PACKED_TYPE(TRIT_I4, 3) };
		struct trit_export_options f32 = { .type = -1, .embedding_type = TRIT_GGML_F32, .head_type = TRIT_GGML_F32 };
		export("int.gguf", &s, -1, types[i], TRIT_GGML_F32);
		assert_int_equal(trit_convert("int.gguf", "f32.gguf", &f32, &err), 0);
		m = open_with("int.gguf", (struct trit_model_options){ 0 });
		assert_true(m->token_embd.quantised);
		run(a, m);
		trit_model_close(m);
		m = open_with("f32.gguf", (struct trit_model_options){ 0 });
		assert_false(m->token_embd.quantised);
		run(b, m);
		trit_model_close(m);
		assert_memory_equal(a, b, sizeof a);
	}
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void check_fails(const char *path, struct trit_model_options o, int status, const char *part)
{
	struct trit_model *m = NULL;
	int e = trit_model_open_with(&m, path, &o, &err);

	if (e != status || !strstr(err.message, part))
		fail_msg("status %d, \"%s\"; expected %d, \"%s\"", e, e ? err.message : "", status, part);
	assert_null(m);
}

static void test_options(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 64, 96), true);

	(void)state;
	export("m.gguf", &s, -1, -1, -1);
	check_fails("m.gguf", (struct trit_model_options){ .layout = "t3" }, TRIT_ERR_ARG, "layout \"t3\": there are auto");
	check_fails("m.gguf", (struct trit_model_options){ .layout = "i8" }, TRIT_ERR_ARG, "layout \"i8\"");
	check_fails("m.gguf", (struct trit_model_options){ .head = "t2" }, TRIT_ERR_ARG, "head \"t2\": there are auto");
	check_fails("m.gguf", (struct trit_model_options){ .head = "" }, TRIT_ERR_ARG, "head");
	check_fails("m.gguf", (struct trit_model_options){ .cpu = "z80" }, TRIT_ERR_ARG, "z80");
}

/* The offset of a tensor's data in the file, and where its scales begin. */
static size_t find_data(const char *path, const char *name, size_t *scales)
{
	struct trit_gguf g;

	assert_int_equal(trit_gguf_open(&g, path, &err), 0);
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&g, name);
	size_t offset = (size_t)t->offset;
	*scales = offset + trit_layout_bytes(trit_packed_layout(t), t->dims[1], t->dims[0]);
	trit_gguf_close(&g);
	return offset;
}

static void test_damaged(void **state)
{
	static const float bad[] = { 0, -1, INFINITY, NAN };
	static enum trit_scaling row = TRIT_SCALE_ROW;
	struct trit_source s = tiny_source(tiny_config("bitnet", 64, 96), true);
	struct trit_export_options f16 = { .type = TRIT_GGML_F16, .embedding_type = -1, .head_type = -1 };
	size_t len, scales, data;
	float logits[48];

	(void)state;
	export("m.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_T2, 0), -1, -1);
	char *bytes = scratch_read("m.gguf", &len);
	for (size_t cut = 0; cut < len; cut += 1 + len / 300) {
		scratch_write("cut.gguf", cut, bytes);
		check_fails("cut.gguf", (struct trit_model_options){ 0 }, TRIT_ERR_FORMAT, "cut.gguf");
	}
	data = find_data("m.gguf", "blk.1.ffn_up.weight", &scales);
	for (int i = 0; i < 4; i++) {
		trit_put32(bytes + scales, trit_f32_bits(bad[i]));
		scratch_write("bad.gguf", len, bytes);
		check_fails("bad.gguf", (struct trit_model_options){ 0 }, TRIT_ERR_FORMAT, "blk.1.ffn_up.weight: scale ");
		check_fails("bad.gguf", (struct trit_model_options){ .layout = "t5" }, TRIT_ERR_FORMAT, "weight: scale ");
	}
	trit_put32(bytes + scales, trit_f32_bits(1));
	memset(bytes + data, 0xff, 64); /* code 3: what it stands for is nobody's concern until it is to be written anew */
	scratch_write("bad.gguf", len, bytes);
	struct trit_model *m = open_with("bad.gguf", (struct trit_model_options){ 0 });
	run(logits, m);
	trit_model_close(m);
	check_fails("bad.gguf", (struct trit_model_options){ .layout = "t5" }, TRIT_ERR_FORMAT, "weights from ");
	assert_int_equal(trit_convert("bad.gguf", "x.gguf", &f16, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "blk.1.ffn_up.weight: weights from "));
	trit_free(bytes);

	/* One scale a row: those of the last row are checked too, and 0 is one. */
	s.scaling = row;
	s.arg = &row;
	export("m.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_T5, 0), -1, -1);
	bytes = scratch_read("m.gguf", &len);
	(void)find_data("m.gguf", "blk.1.ffn_up.weight", &scales);
	trit_put32(bytes + scales + 95 * 4, trit_f32_bits(0));
	scratch_write("bad.gguf", len, bytes);
	trit_model_close(open_with("bad.gguf", (struct trit_model_options){ 0 }));
	trit_put32(bytes + scales + 95 * 4, trit_f32_bits(NAN));
	scratch_write("bad.gguf", len, bytes);
	check_fails("bad.gguf", (struct trit_model_options){ 0 }, TRIT_ERR_FORMAT, "blk.1.ffn_up.weight: scale nan");
	trit_free(bytes);
}

/* A head that is no number cannot be quantised. */
static void test_infinite_head(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 64, 96), true);
	size_t len, scales;

	(void)state;
	export("m.gguf", &s, TRIT_GGML_PACKED_TYPE(TRIT_T2, 0), TRIT_GGML_F32, -1);
	char *bytes = scratch_read("m.gguf", &len);
	struct trit_gguf g;
	assert_int_equal(trit_gguf_open(&g, "m.gguf", &err), 0);
	scales = (size_t)trit_gguf_find_tensor(&g, "token_embd.weight")->offset;
	trit_gguf_close(&g);
	trit_put32(bytes + scales + 4 * 64 * 20, trit_f32_bits(INFINITY));
	scratch_write("bad.gguf", len, bytes);
	trit_free(bytes);
	check_fails("bad.gguf", (struct trit_model_options){ 0 }, TRIT_ERR_FORMAT,
	            "token_embd.weight: rows 0 to 47 have a number that is not finite");
	trit_model_close(open_with("bad.gguf", (struct trit_model_options){ .head = "exact" }));
}

static void test_no_memory(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 512, 1280), true);
	int e = -1, failures = 0;

	(void)state;
	s.config.n_vocab = 3000;
	export("m.gguf", &s, TRIT_GGML_I2_S, TRIT_GGML_F16, -1);
	for (uint64_t n = 1; e; n++) {
		struct trit_model *m = NULL;
		trit_mem_fail_after(n);
		e = trit_model_open_with(&m, "m.gguf", &(struct trit_model_options){ .n_threads = 3 }, &err);
		trit_mem_fail_after(0);
		if (e)
			assert_int_equal(e, TRIT_ERR_MEMORY);
		failures += e != 0;
		trit_model_close(m);
	}
	assert_true(failures > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts), cmocka_unit_test(test_binary),      cmocka_unit_test(test_threads),
		cmocka_unit_test(test_head),    cmocka_unit_test(test_other_heads), cmocka_unit_test(test_options),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_infinite_head), cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
