/*
 * test_i2_s_layout.c - bitnet.cpp's three layouts of I2_S: a trained model written in each is recognised and computes
 * the same; of one that tells nothing the published layout is assumed.
 *
 * tests/data/model/stories_3m.gguf is the model that was shipped before: 3.4 million parameters, 3000 steps of AdamW
 *     trit train --data S S S S S S T T --out stories --size 3m --seq-len 512 --batch 8 --steps 3000 --optimizer adamw
 * on simple.txt (S) and tales.txt (T) of models/DATA.md. Norms tell the layout after AdamW, and less so after NorMuon.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "convert/convert.h"
#include "model/model.h"
#include "scratch.h"
#include "tiny_model.h"

static struct trit_error err;

enum { LOGITS = 4096 };

/* The same codes at the places that another layout has for them; the definitions are those of docs/formats.md. */
static void rewrite(unsigned char *data, uint64_t rows, uint64_t cols, uint32_t layout)
{
	unsigned char *out = trit_calloc((size_t)(rows * cols / 4), 1);
	for (uint64_t row = 0; row < rows; row++)
		for (uint64_t col = 0; col < cols; col++) {
			uint64_t i = row * cols + col;
			unsigned c = data[i / 128 * 32 + i % 32] >> (6 - 2 * (i % 128 / 32)) & 3;
			if (layout == TRIT_GGML_I2_S_NEON)
				out[i / 64 * 16 + i % 16] |= (unsigned char)(c << (6 - 2 * (i % 64 / 16)));
			else
				out[row / 4 * cols + col] |= (unsigned char)(c << (6 - 2 * (row % 4)));
		}
	memcpy(data, out, (size_t)(rows * cols / 4));
	trit_free(out);
}

/* A copy of i2_s.gguf in another layout. */
static void write_variant(const char *path, uint32_t layout)
{
	struct trit_gguf g;
	size_t len;
	char *bytes = scratch_read("i2_s.gguf", &len);

	assert_int_equal(trit_gguf_open_bytes(&g, (unsigned char *)bytes, len, &err), 0);
	for (uint64_t i = 0; i < g.n_tensors; i++)
		if (g.tensors[i].type == TRIT_GGML_I2_S)
			rewrite((unsigned char *)bytes + g.tensors[i].offset, g.tensors[i].dims[1], g.tensors[i].dims[0], layout);
	trit_gguf_close(&g);
	scratch_write(path, len, bytes);
	trit_free(bytes);
}

static struct trit_model *open_model(const char *path)
{
	struct trit_model *m;
	if (trit_model_open(&m, path, &err))
		fail_msg("%s", err.message);
	return m;
}

static void run(float logits[LOGITS], struct trit_model *m)
{
	static const trit_token tokens[] = { 4095, 5, 300, 1200, 77 };
	struct trit_session *s;
	assert_int_equal(trit_session_new(&s, m, NULL, &err), 0);
	assert_int_equal(trit_session_feed(s, 5, tokens, &err), 0);
	memcpy(logits, trit_session_logits(s), LOGITS * sizeof *logits);
	trit_session_free(s);
}

static void check_note(const struct trit_model *m, enum trit_note_kind kind, const char *part)
{
	for (size_t i = 0; i < m->file.notes.n; i++)
		if (m->file.notes.lines[i].kind == kind && strstr(m->file.notes.lines[i].text, part))
			return;
	fail_msg("no such note: %s", part);
}

static void test_trained(void **state)
{
	static const uint32_t layouts[] = { TRIT_GGML_I2_S, TRIT_GGML_I2_S_NEON, TRIT_GGML_I2_S_4ROW };
	static const char *const notes[] = { "I2_S in the layout of published models: the zeros in its columns go",
		                             "I2_S in blocks of 64, as bitnet.cpp writes it on Arm",
		                             "I2_S in groups of four rows, as bitnet.cpp" };
	struct trit_export_options o = { .type = TRIT_GGML_I2_S, .embedding_type = -1, .head_type = -1 };
	static float expected[LOGITS], got[LOGITS];
	(void)state;

	assert_int_equal(trit_convert(TRIT_TEST_DATA "/model/stories_3m.gguf", "i2_s.gguf", &o, &err), 0);
	for (int i = 0; i < 3; i++) {
		const char *path = i ? "other.gguf" : "i2_s.gguf";
		if (i)
			write_variant(path, layouts[i]);
		struct trit_model *m = open_model(path);
		assert_int_equal(trit_gguf_find_tensor(&m->gguf, "blk.3.ffn_up.weight")->type, layouts[i]);
		check_note(m, i ? TRIT_NOTE_WARNING : TRIT_NOTE_FOUND, notes[i]);
		run(i ? got : expected, m);
		if (i)
			assert_memory_equal(got, expected, sizeof got);
		trit_model_close(m);
	}
}

static void test_random(void **state)
{
	struct trit_source s = tiny_source(tiny_config("bitnet", 256, 256), true);
	struct trit_export_options o = { .type = TRIT_GGML_I2_S, .embedding_type = -1, .head_type = -1 };
	(void)state;

	assert_int_equal(trit_export("i2_s.gguf", &s, &o, &err), 0);
	struct trit_model *m = open_model("i2_s.gguf");
	check_note(m, TRIT_NOTE_ASSUMED, "nothing in the file tells which; taken for the layout of published models");
	assert_int_equal(trit_gguf_find_tensor(&m->gguf, "blk.1.ffn_up.weight")->type, TRIT_GGML_I2_S);
	trit_model_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_trained), cmocka_unit_test(test_random) };
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
