/*
 * fuzz_gguf.c - any bytes as a GGUF file: an error, or a file all of whose keys, tensors and vocabulary can be read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "format/gguf_vocab.h"

#define MAX_ELEMENTS 65536 /* decoded a tensor: what runs longer finds nothing more */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

static void read_key(const struct trit_gguf_key *k)
{
	bool strings = (k->type == TRIT_GGUF_ARRAY ? k->element_type : k->type) == TRIT_GGUF_STRING;
	const unsigned char *at = k->value;

	for (uint64_t i = 0; i < k->n; i++) {
		const char *text;
		size_t len;

		if (strings) {
			trit_gguf_next_string(&at, &text, &len);
			sink += len ? (unsigned char)text[0] + (unsigned char)text[len - 1] : 0;
		} else {
			sink += trit_gguf_array_number(k, i) > 0;
		}
	}
}

/* Rows of a matrix that may be of any type. */
static void read_rows(uint32_t type, const unsigned char *data, uint64_t rows, uint64_t cols)
{
	uint64_t n = rows < MAX_ELEMENTS / cols ? rows : MAX_ELEMENTS / cols;
	float *values = trit_calloc((size_t)(n * cols), sizeof *values), scale;
	int8_t *codes = trit_calloc((size_t)(n * cols), 1);

	if (n > 0 && values && codes) {
		sink += trit_ggml_decode_f32(type, data, rows, cols, 0, n, values, NULL) == 0;
		sink += trit_ggml_decode_trits(type, data, rows, cols, n / 2, n - n / 2, codes, &scale, NULL) == 0;
		if (trit_ggml_type_info(type)->ternary && trit_ggml_type_info(type)->readable) {
			sink += trit_ggml_decode_codes(type, data, rows, cols, rows - n, n, codes, NULL) == 0;
			sink += trit_ggml_decode_scales(type, data, rows, cols, rows - n, n, values, NULL) == 0;
			sink += trit_ggml_has_code_2(type, data, cols, rows - n, n);
		}
	}
	trit_free(values);
	trit_free(codes);
}

/* A tensor's bytes as its type has them, and as each other type would. */
static void read_tensor(const struct trit_gguf_tensor *t)
{
	static const uint32_t types[] = { TRIT_GGML_F32,    TRIT_GGML_F16,    TRIT_GGML_Q4_0,      TRIT_GGML_Q4_1,
		                          TRIT_GGML_Q5_0,   TRIT_GGML_Q5_1,   TRIT_GGML_Q8_0,      TRIT_GGML_Q2_K,
		                          TRIT_GGML_Q3_K,   TRIT_GGML_Q4_K,   TRIT_GGML_Q5_K,      TRIT_GGML_Q6_K,
		                          TRIT_GGML_Q8_K,   TRIT_GGML_IQ4_NL, TRIT_GGML_I8,        TRIT_GGML_F64,
		                          TRIT_GGML_BF16,   TRIT_GGML_TQ1_0,  TRIT_GGML_TQ2_0,     TRIT_GGML_I2_S,
		                          TRIT_GGML_Q1_0,   TRIT_GGML_Q2_0,   TRIT_GGML_IQ1_BN,    TRIT_GGML_IQ2_BN,
		                          TRIT_GGML_HF_U2,  TRIT_GGML_IQ2_BN_R4, TRIT_GGML_Q2_0_G128, TRIT_GGML_I2_S_NEON,
		                          TRIT_GGML_I2_S_4ROW };
	uint64_t cols = t->dims[0], bytes;

	sink += t->data[0] + t->data[t->bytes - 1];
	if (cols > MAX_ELEMENTS)
		return;
	read_rows(t->type, t->data, t->dims[1] * t->dims[2] * t->dims[3], cols);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		for (uint64_t rows = 1; rows <= 8; rows *= 2)
			if (trit_ggml_tensor_bytes(types[i], rows, cols, &bytes, NULL) == 0 && bytes <= t->bytes)
				read_rows(types[i], t->data, rows, cols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_vocab v;
	struct trit_error err;
	struct trit_gguf g;

	if (trit_gguf_open_bytes(&g, data, size, &err) < 0) {
		if (!err.message[0] || err.status >= 0)
			__builtin_trap();
		return 0;
	}
	for (uint64_t i = 0; i < g.n_keys; i++)
		read_key(&g.keys[i]);
	for (uint64_t i = 0; i < g.n_tensors; i++) {
		read_tensor(&g.tensors[i]);
		if (trit_gguf_find_tensor(&g, g.tensors[i].name) != &g.tensors[i])
			__builtin_trap();
	}
	if (trit_gguf_read_vocab(&g, &v, &err) == 0)
		trit_vocab_release(&v);
	trit_gguf_close(&g);
	return 0;
}
