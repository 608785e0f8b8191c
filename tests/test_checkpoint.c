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
#include "convert/convert.h"
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
static void check_model(const char *name, const char *path)
{
	struct trit_model *m = NULL;
	struct trit_session *s = NULL;
	struct trit_error err;
	struct golden g;
	const float bound = 3e-4f;
	float worst = 0;
	read_golden(&g, name);
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
	print_message("%s: %.2g\n", path, (double)worst);
	trit_session_free(s);
	trit_model_close(m);
	trit_free(g.text);
}

/* As it lies there, and as the GGUF file of such projections that is made of it. */
static void check_both(const char *name, const char *file, int type)
{
	const struct trit_export_options o = { .type = type, .embedding_type = TRIT_GGML_F32, .head_type = -1 };
	struct trit_error err;
	char path[256];
	snprintf(path, sizeof path, DATA "%s%s", name, file);
	check_model(name, path);
	if (trit_convert(path, "converted.gguf", &o, &err))
		fail_msg("%s: %s", path, err.message);
	check_model(name, "converted.gguf");
}

static void check_logits(const char *name, const char *file)
{
	check_both(name, file, -1);
}

/* In a type that has every code and scale as it is. */
static void check_ternary(const char *name)
{
	check_both(name, "", TRIT_GGML_PACKED_TYPE(TRIT_T5, 0));
}

/* ---- what is said of them, and damage ---------------------------------------------------------------------------- */

/* Copies a folder into the current one, config.json with the first `from` replaced by `to`. */
static void copy_folder(const char *name, const char *from, const char *to)
{
	char path[512];
	DIR *dir;
	struct dirent *d;
	scratch_remove(name);
	assert_int_equal(mkdir(name, 0777), 0);
	snprintf(path, sizeof path, DATA "%s", name);
	assert_non_null((dir = opendir(path)));
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		size_t len;
		snprintf(path, sizeof path, DATA "%s/%s", name, d->d_name);
		char *text = scratch_read(path, &len), *at = from ? strstr(text, from) : NULL;
		snprintf(path, sizeof path, "%s/%s", name, d->d_name);
		if (at && !strcmp(d->d_name, "config.json")) {
			char changed[4096];
			int n = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
			scratch_write(path, (size_t)n, changed);
		} else {
			scratch_write(path, len, text);
		}
		trit_free(text);
	}
	closedir(dir);
}

/* Opens a changed copy and looks for a note. */
static void check_note(const char *name, const char *from, const char *to, enum trit_note_kind kind, const char *part)
{
	struct trit_model_file f;
	struct trit_error err;
	bool found = false;
	copy_folder(name, from, to);
	if (trit_model_file_open(&f, name, NULL, &err))
		fail_msg("%s: %s", name, err.message);
	for (size_t i = 0; i < f.notes.n; i++)
		found = found || (f.notes.lines[i].kind == kind && strstr(f.notes.lines[i].text, part));
	if (!found)
		fail_msg("%s: no note \"%s\"", name, part);
	trit_model_file_close(&f);
}

static void test_notes(void **state)
{
	(void)state;
	check_note("bitnet_offline", NULL, NULL, TRIT_NOTE_FOUND, "weight_scale multiplies, says config.json");
	check_note("bitnet_offline", "autobitlinear", "bitlinear", TRIT_NOTE_WARNING, "not plausible");
	check_note("bitnet_offline", "quantization_config", "nothing", TRIT_NOTE_ASSUMED, "it multiplies (quite sure)");
	check_note("llama_bitlinear", NULL, NULL, TRIT_NOTE_FOUND, "weight_scale divides, says config.json");
	check_note("llama_bitlinear", "quantization_config", "nothing", TRIT_NOTE_ASSUMED, "it divides (not sure)");
	check_note("llama_bitlinear", "bitlinear", "autobitlinear", TRIT_NOTE_WARNING, "not plausible");
	check_note("bitnet_online", NULL, NULL, TRIT_NOTE_FOUND, "master weights");
	check_note("bitnet_online", "quantization_config", "nothing", TRIT_NOTE_ASSUMED, "master weights");
	check_note("llama", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true", TRIT_NOTE_FOUND,
	           "lm_head.weight is not used");
}

static void check_refused(const char *name, const char *from, const char *to, enum trit_status status, const char *part)
{
	struct trit_model_file f;
	struct trit_error err;
	copy_folder(name, from, to);
	int e = trit_model_file_open(&f, name, NULL, &err);
	if (e != (int)status || !strstr(err.message, part))
		fail_msg("%s: status %d, \"%s\"; expected %d, \"%s\"", name, e, e ? err.message : "", status, part);
}

static void test_refused(void **state)
{
	(void)state;
	check_refused("llama", "\"model_type\": \"llama\"", "\"model_type\": \"opt\"", TRIT_ERR_UNSUPPORTED, "\"opt\"");
	check_refused("llama", "\"model_type\": \"llama\",", "", TRIT_ERR_FORMAT, "model_type");
	check_refused("llama", "silu", "gelu", TRIT_ERR_UNSUPPORTED, "activation \"gelu\"");
	check_refused("llama", "\"hidden_size\": 32", "\"hidden_size\": \"wide\"", TRIT_ERR_FORMAT, "hidden_size");
	check_refused("llama", "\"hidden_size\": 32", "\"hidden_size\": 1e300", TRIT_ERR_FORMAT, "hidden_size");
	check_refused("llama", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", TRIT_ERR_FORMAT,
	              "model.layers.2.input_layernorm.weight (blk.2.attn_norm.weight) is missing");
	check_refused("llama3_bin", "\"llama3\"", "\"longrope\"", TRIT_ERR_UNSUPPORTED, "longrope");
	check_refused("bitnet_offline", "\"bitnet\",\n    \"linear_class\"", "\"gptq\",\n    \"linear_class\"",
	              TRIT_ERR_UNSUPPORTED, "gptq");
	check_refused("gemma3", "\"full_attention\"\n", "\"linear_attention\"\n", TRIT_ERR_UNSUPPORTED, "linear_attention");
	check_refused("qwen3_yarn", "\"factor\": 4.0", "\"factor\": 4.0, \"truncate\": false",
	              TRIT_ERR_UNSUPPORTED, "truncate");
	check_refused("gemma3", "\"use_bidirectional_attention\": false", "\"use_bidirectional_attention\": true",
	              TRIT_ERR_UNSUPPORTED, "use_bidirectional_attention");
}

/* Every file cut short in many places: an error that names the file, never a crash. */
/* A tensor of a layer that no architecture has would change the result. */
static void test_unknown_tensor(void **state)
{
	static const char from[] = "0.self_attn.q_proj.weight", path[] = "llama/model.safetensors";
	struct trit_model_file f;
	struct trit_error err;
	size_t len, n = sizeof from - 1;

	(void)state;
	copy_folder("llama", NULL, NULL);
	char *bytes = scratch_read(path, &len), *at = bytes;
	while (at + n < bytes + len && memcmp(at, from, n) != 0)
		at++;
	assert_true(at + n < bytes + len);
	at[sizeof "0.self_attn." - 1] = 'z';
	scratch_write(path, len, bytes);
	trit_free(bytes);
	assert_int_equal(trit_model_file_open(&f, "llama", NULL, &err), TRIT_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "0.self_attn.z_proj.weight: layers of architecture llama have none of that"));
}

static void test_truncated(void **state)
{
	static const char *const files[][2] = {
		{ "mistral_sharded", "config.json" },
		{ "mistral_sharded", "model.safetensors.index.json" },
		{ "mistral_sharded", "model-00002-of-00003.safetensors" },
		{ "qwen2_bins", "pytorch_model.bin.index.json" },
		{ "qwen2_bins", "pytorch_model-00001-of-00002.bin" },
		{ "with_vocabulary", "tokenizer.json" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct trit_model_file f;
		struct trit_error err;
		char path[256];
		size_t len;
		copy_folder(files[i][0], NULL, NULL);
		snprintf(path, sizeof path, "%s/%s", files[i][0], files[i][1]);
		char *text = scratch_read(path, &len);
		for (size_t n = 0; n + 2 < len; n += 1 + len / 60) { /* JSON may lack its last newline */
			scratch_write(path, n, text);
			if (trit_model_file_open(&f, files[i][0], NULL, &err) == 0)
				fail_msg("%zu of %zu bytes of %s open", n, len, path);
			if (!strstr(err.message, files[i][1]))
				fail_msg("%zu bytes of %s: \"%s\"", n, path, err.message);
		}
		trit_free(text);
	}
}

static void test_no_memory(void **state)
{
	static const char *const names[] = { "with_vocabulary", "qwen2_bins", "gemma2", "bitnet_offline" };
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[256];
		int status = -1;
		snprintf(path, sizeof path, DATA "%s", names[i]);
		for (uint64_t n = 1; status; n++) {
			struct trit_model_file f;
			struct trit_error err;
			trit_mem_fail_after(n);
			status = trit_model_file_open(&f, path, NULL, &err);
			trit_mem_fail_after(0);
			if (status && status != TRIT_ERR_MEMORY)
				fail_msg("%s, allocation %llu: %s", path, (unsigned long long)n, err.message);
			if (!status)
				trit_model_file_close(&f);
		}
	}
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
	check_logits("mistral_sharded", "/model-00002-of-00003.safetensors");
	check_logits("llama3_bin", "");
	check_logits("llama3_bin", "/pytorch_model.bin");
	check_logits("qwen2_bins", "");
	check_logits("qwen3_yarn", "");
	check_logits("gemma2", "");
	check_logits("gemma3", "");
	check_logits("stablelm", "");
}

/* Other programs find LLaMA 3's scaling in a tensor, and stop at a kind of scaling that they do not know. */
static void test_llama3_scaling(void **state)
{
	const struct trit_export_options o = { .type = TRIT_GGML_F32, .embedding_type = -1, .head_type = -1 };
	/* By rope_scaling of the folder, base 500: pairs that turn 16 / 2 pi 500^(-i / 4) times in 16 positions, which is
	 * 2.55, 0.54, 0.11 and 0.02; one turn and less: 8 times slower; four and more: as they are; between:
	 * 1 / (0.125 (1 - s) + s) with s = 1.5465 / 3. */
	static const float expected[] = { 1.7359f, 8, 8, 8 };
	struct trit_gguf g;
	struct trit_config c;
	struct trit_error err;
	(void)state;
	assert_int_equal(trit_convert(TRIT_TEST_DATA "/checkpoint/llama3_bin", "llama3.gguf", &o, &err), 0);
	assert_int_equal(trit_gguf_open(&g, "llama3.gguf", &err), 0);
	assert_null(trit_gguf_find_key(&g, "llama.rope.scaling.type"));
	assert_null(trit_gguf_find_key(&g, "llama.rope.scaling.factor"));
	const struct trit_gguf_tensor *t = trit_gguf_find_tensor(&g, "rope_freqs.weight");
	assert_non_null(t);
	assert_int_equal(t->dims[0], 4);
	for (int i = 0; i < 4; i++) {
		float got;
		memcpy(&got, t->data + i * 4, sizeof got);
		assert_true(fabsf(got - expected[i]) < 1e-3f);
	}
	assert_int_equal(trit_config_read(&c, &g, &err), 0);
	assert_true(c.rope_scaling.kind == TRIT_ROPE_LLAMA3 && c.rope_scaling.factor == 8);
	trit_gguf_close(&g);
}

/* The configuration of a changed copy. */
static struct trit_config config_of(const char *name, const char *from, const char *to)
{
	struct trit_model_file f;
	struct trit_config c = { 0 };
	struct trit_error err;
	copy_folder(name, from, to);
	if (trit_model_file_open(&f, name, NULL, &err) || trit_config_read(&c, &f.gguf, &err))
		fail_msg("%s without %s: %s", name, from, err.message);
	trit_model_file_close(&f);
	return c;
}

/* What config.json leaves out is what transformers takes it for. */
static void test_unsaid(void **state)
{
	(void)state;
	assert_true(config_of("gemma3", "\"query_pre_attn_scalar\": 8,", "").score_scale == 1 / 16.0f);
	assert_true(config_of("gemma3", "\"sliding_window\": 4,", "").window == 4096);
	assert_true(config_of("gemma3", "\"max_position_embeddings\": 128,", "").n_ctx == 131072);
	assert_true(config_of("mixtral", "\"rope_theta\": 1000000.0,", "").rope_base == 1e6f);
	assert_true(config_of("mixtral", "\"rms_norm_eps\": 1e-05,", "").eps == 1e-5f);
	assert_true(config_of("qwen3_yarn", "\"rms_norm_eps\": 1e-06,", "").eps == 1e-6f);
	assert_true(config_of("qwen3_yarn", "\"max_position_embeddings\": 128,", "").n_ctx == 32768);
}

/* A magnitude that the folder names counts once, in the file made of it too, and in one made of that. */
static void test_yarn_magnitude(void **state)
{
	const struct trit_export_options o = { .type = TRIT_GGML_F32, .embedding_type = -1, .head_type = -1 };
	struct trit_error err;
	(void)state;
	copy_folder("qwen3_yarn", "\"factor\": 4.0", "\"factor\": 4.0, \"attention_factor\": 1.5");
	assert_int_equal(trit_convert("qwen3_yarn", "once.gguf", &o, &err), 0);
	assert_int_equal(trit_convert("once.gguf", "twice.gguf", &o, &err), 0);
	for (int i = 0; i < 2; i++) {
		struct trit_gguf g;
		struct trit_config c;
		assert_int_equal(trit_gguf_open(&g, i ? "twice.gguf" : "once.gguf", &err), 0);
		assert_int_equal(trit_config_read(&c, &g, &err), 0);
		assert_true(fabsf(c.rope_scaling.magnitude - 1.5f) < 1e-6f);
		trit_gguf_close(&g);
	}
}

static void test_experts(void **state)
{
	(void)state;
	check_logits("mixtral", "");
	check_logits("qwen3_moe", "");
	check_logits("qwen2_moe", "");
}

static void test_ternary(void **state)
{
	(void)state;
	check_ternary("bitnet_offline");
	check_ternary("bitnet_online");
	check_ternary("bitnet_unpacked");
	check_ternary("llama_bitlinear");
	check_ternary("projection_norms");
	check_ternary("bitnet_first");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_precision),
		cmocka_unit_test(test_llama3_scaling),
		cmocka_unit_test(test_unsaid),
		cmocka_unit_test(test_yarn_magnitude),
		cmocka_unit_test(test_experts),
		cmocka_unit_test(test_ternary),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unknown_tensor),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_llama2c),
		cmocka_unit_test(test_llama2c_damaged),
		cmocka_unit_test(test_llama2c_vocab),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
