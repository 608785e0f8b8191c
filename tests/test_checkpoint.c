/*
 * test_checkpoint.c - checkpoints of other programs open as models, and compute what their makers' programs do.
 *
 * tests/data/checkpoint has them, each with tokens and logits (tests/reference/make_checkpoint_golden.py).
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "format/llama2c.h"
#include "model/model.h"
#include "scratch.h"

#define DATA TRIT_TEST_DATA "/checkpoint/"

enum { MAX_TOKENS = 16 };

struct golden {
	trit_token tokens[MAX_TOKENS];
	size_t n_tokens;
	char *text;
	const char *at; /* the first logit */
};

static void read_golden(struct golden *g, const char *name)
{
	char path[256], *end;
	size_t len;
	snprintf(path, sizeof path, DATA "%s/logits.txt", name);
	g->text = scratch_read(path, &len);
	g->n_tokens = 0;
	for (const char *at = g->text; *at != '\n' && g->n_tokens < MAX_TOKENS; at = end)
		g->tokens[g->n_tokens++] = (trit_token)strtol(at, &end, 10);
	g->at = strchr(g->text, '\n');
	assert_non_null(g->at);
}

/* The logits of every position: the same argmax, and close, relative to the largest of a position. Mostly that is 1e-6;
 * a key or value that the cache rounds to the other of two fp16 numbers moves a logit by up to 3e-4. */
static void check_logits(const char *name, const char *file)
{
	struct trit_model *m = NULL;
	struct trit_session *s = NULL;
	struct trit_error err;
	struct golden g;
	const float bound = 3e-4f;
	char path[256];
	float worst = 0;
	read_golden(&g, name);
	snprintf(path, sizeof path, DATA "%s%s", name, file);
	if (trit_model_open_with(&m, path, &(struct trit_model_options){ .head = "exact" }, &err))
		fail_msg("%s: %s", name, err.message);
	if (trit_session_new(&s, m, &(struct trit_session_options){ .n_threads = 1, .kv_type = TRIT_KV_F16 }, &err))
		fail_msg("%s: %s", name, err.message);
	for (size_t t = 0; t < g.n_tokens; t++) {
		if (trit_session_feed(s, 1, &g.tokens[t], &err))
			fail_msg("%s: %s", name, err.message);
		const float *got = trit_session_logits(s);
		float most = 0, most_got = -FLT_MAX, off = 0, highest = -FLT_MAX;
		int argmax = 0, argmax_got = 0;
		for (int i = 0; i < trit_model_vocab_size(m); i++) {
			char *end;
			float want = strtof(g.at, &end);
			assert_true(end != g.at);
			g.at = end;
			most = fmaxf(most, fabsf(want));
			off = fmaxf(off, fabsf(want - got[i]));
			if (want > highest) {
				highest = want;
				argmax = i;
			}
			if (got[i] > most_got) {
				most_got = got[i];
				argmax_got = i;
			}
		}
		worst = fmaxf(worst, off / most);
		if (argmax != argmax_got || !(off <= bound * most))
			fail_msg("%s, position %zu: off by %g of %g; likeliest %d, not %d", name, t, (double)off, (double)most,
			         argmax_got, argmax);
	}
	print_message("%s: %.2g\n", name, (double)worst);
	trit_session_free(s);
	trit_model_close(m);
	trit_free(g.text);
}

/* ---- llama2.c ---------------------------------------------------------------------------------------------------- */

static void test_llama2c(void **state)
{
	(void)state;
	check_logits("llama2c_legacy", "/model.bin");
	check_logits("llama2c_tied", "/model.bin");
	check_logits("llama2c_v1", "/model.bin");
	check_logits("llama2c_v2", "/model.bin");
}

/* Every truncation is an error; one byte more too. */
static void test_llama2c_damaged(void **state)
{
	static const char *const names[] = { "llama2c_legacy", "llama2c_v1", "llama2c_v2" };
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct trit_gguf g;
		struct trit_error err;
		char path[256];
		size_t size;
		snprintf(path, sizeof path, DATA "%s/model.bin", names[i]);
		unsigned char *data = (unsigned char *)scratch_read(path, &size);
		assert_true(trit_is_llama2c(data, size));
		for (size_t n = 0; n < size; n += n < 300 ? 1 : 997)
			assert_int_equal(trit_llama2c_read(&g, data, n, NULL, &err), TRIT_ERR_FORMAT);
		assert_int_equal(trit_llama2c_read(&g, data, size + 1, NULL, &err), TRIT_ERR_FORMAT);
		assert_false(i == 0 && trit_is_llama2c(data, size - 1));
		if (i > 0) {
			data[4] = 3;
			assert_int_equal(trit_llama2c_read(&g, data, size, NULL, &err), TRIT_ERR_UNSUPPORTED);
		}
		trit_free(data);
	}
}

/* The texts as tokenizer.py writes them, and as SentencePiece has them. */
static void test_llama2c_vocab(void **state)
{
	static const unsigned char file[] = "\7\0\0\0"
					    "\0\0\0\0\5\0\0\0<unk>"
					    "\0\0\0\0\5\0\0\0\n<s>\n"
					    "\0\0\0\0\6\0\0\0\n</s>\n"
					    "\0\0\0\0\6\0\0\0<0x41>"
					    "\0\0\0\300\1\0\0\0x"
					    "\0\0\200\277\7\0\0\0 hello ";
	static const char *const texts[] = { "<unk>", "<s>", "</s>", "<0x41>", "x", "\xe2\x96\x81hello\xe2\x96\x81" };
	static const int types[] = { TRIT_TOKEN_UNKNOWN, TRIT_TOKEN_CONTROL, TRIT_TOKEN_CONTROL, TRIT_TOKEN_BYTE,
		                     TRIT_TOKEN_NORMAL, TRIT_TOKEN_NORMAL };
	const size_t size = sizeof file - 1;
	struct trit_vocab v;
	struct trit_error err;
	(void)state;
	assert_true(trit_is_llama2c_vocab(file, size));
	if (trit_llama2c_read_vocab(&v, file, size, &err))
		fail_msg("%s", err.message);
	assert_int_equal(v.n_tokens, 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(v.pieces[i].type, types[i]);
		assert_int_equal(v.pieces[i].len, strlen(texts[i]));
		assert_memory_equal(v.pieces[i].text, texts[i], strlen(texts[i]));
	}
	assert_true(v.scores[4] == -2 && v.scores[5] == -1);
	assert_true(v.bos == 1 && v.eos == 2 && v.unk == 0 && v.add_bos && !strcmp(v.model, "llama"));
	trit_vocab_release(&v);
	for (size_t n = 0; n < size; n++) /* also cut between tokens: the longest is then missing */
		if (trit_is_llama2c_vocab(file, n) || trit_llama2c_read_vocab(&v, file, n, &err) == 0)
			fail_msg("%zu bytes are read", n);
}

/* ---- Hugging Face folders ---------------------------------------------------------------------------------------- */

static void test_full_precision(void **state)
{
	(void)state;
	check_logits("llama", "");
	check_logits("llama", "/model.safetensors");
	check_logits("mistral_sharded", "/");
	check_logits("llama3_bin", "");
	check_logits("llama3_bin", "/pytorch_model.bin");
	check_logits("qwen2_bins", "");
	check_logits("qwen3_yarn", "");
	check_logits("gemma2", "");
	check_logits("gemma3", "");
	check_logits("stablelm", "");
}

static void test_ternary(void **state)
{
	(void)state;
	check_logits("bitnet_offline", "");
	check_logits("bitnet_online", "");
	check_logits("bitnet_unpacked", "");
	check_logits("llama_bitlinear", "");
	check_logits("bitnet_first", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_precision),
		cmocka_unit_test(test_ternary),
		cmocka_unit_test(test_llama2c),
		cmocka_unit_test(test_llama2c_damaged),
		cmocka_unit_test(test_llama2c_vocab),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
