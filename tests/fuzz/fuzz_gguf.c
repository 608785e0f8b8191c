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

static void read_tensor(const struct trit_gguf_tensor *t)
{
	uint64_t cols = t->dims[0], rows = t->dims[1] * t->dims[2] * t->dims[3];
	float *values, scale;
	int8_t *trits;

	sink += t->data[0] + t->data[t->bytes - 1];
	if (cols > MAX_ELEMENTS || rows > MAX_ELEMENTS / cols)
		return;
	values = trit_calloc((size_t)(rows * cols), sizeof *values);
	trits = trit_calloc((size_t)(rows * cols), 1);
	if (values && trits) {
		sink += trit_ggml_decode_f32(t->type, t->data, rows, cols, 0, rows, values, NULL) == 0;
		sink += trit_ggml_decode_trits(t->type, t->data, rows, cols, rows / 2, rows - rows / 2, trits, &scale,
		                               NULL) == 0;
	}
	trit_free(values);
	trit_free(trits);
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
