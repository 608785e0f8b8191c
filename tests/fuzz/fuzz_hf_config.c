/*
 * fuzz_hf_config.c - any text as config.json, and any names of tensors beside it: an error, or a configuration and
 * tensors that can be read from end to end.
 *
 * The input is config.json, then, behind a NUL, names: each ends with a newline and begins with a digit, the number of
 * dimensions, and a letter, the type.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "model/hf_tensors.h"

enum { MAX_TENSORS = 64, SIDE = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;
static const unsigned char numbers[SIDE * SIDE * SIDE * SIDE * 8] = { 0, 0, 128, 63, 1, 2, 85, 170, 0, 0, 0, 64 };

/* The tensors that the names stand for; each of SIDE in every dimension. */
static size_t list_tensors(struct trit_st_tensor *tensors, char *names)
{
	size_t n = 0;

	for (char *at = names, *end; n < MAX_TENSORS && (end = strchr(at, '\n')) && end - at > 2; at = end + 1) {
		struct trit_st_tensor *t = &tensors[n++];

		*end = 0;
		*t = (struct trit_st_tensor){ .name = at + 2, .n_dims = at[0] & 3, .shape = { 1, 1, 1, 1 }, .elements = 1,
			                      .dtype = (enum trit_dtype)((at[1] & 31) % 11), .data = numbers };
		for (int i = 0; i < t->n_dims; i++) {
			t->shape[i] = SIDE;
			t->elements *= SIDE;
		}
		t->bytes = t->elements * (uint64_t)trit_dtype_bytes(t->dtype);
	}
	return n;
}

static void read_result(const struct trit_gguf *g)
{
	struct trit_config c;

	for (uint64_t i = 0; i < g->n_tensors; i++)
		for (uint64_t k = 0; k < g->tensors[i].bytes; k++)
			sink += g->tensors[i].data[k];
	if (trit_config_read(&c, g, NULL) == 0 && c.n_layers < 100)
		sink += (unsigned)trit_hf_check_complete(g, &c, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_st_tensor tensors[MAX_TENSORS];
	const struct trit_st_tensor *list[MAX_TENSORS];
	const uint8_t *nul = memchr(data, 0, size);
	size_t len = nul ? (size_t)(nul - data) : size, n;
	char *names = trit_strndup(nul ? (const char *)nul + 1 : "", nul ? size - len - 1 : 0);
	struct trit_gguf_build b = { 0 };
	struct trit_notes notes = { 0 };
	struct trit_hf_model m;
	struct trit_gguf g;
	struct trit_error err;

	if (!names)
		return 0;
	n = list_tensors(tensors, names);
	for (size_t i = 0; i < n; i++)
		list[i] = &tensors[i];
	if (trit_hf_read_keys(&m, &b, len, (const char *)data, &notes, &err) == 0) {
		if (trit_hf_add_tensors(&b, &m, list, n, &notes, &err) == 0 && trit_gguf_build_finish(&b, &g, &err) == 0) {
			read_result(&g);
			trit_gguf_close(&g);
		}
	} else if (!err.message[0]) {
		__builtin_trap();
	}
	trit_gguf_build_release(&b);
	trit_notes_release(&notes);
	trit_free(names);
	return 0;
}
