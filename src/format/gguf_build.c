/*
 * gguf_build.c - keys and tensors in memory to a struct trit_gguf.
 *
 * Everything copied goes to blocks that never move (struct trit_gguf_block): small things share one of 64 KiB, what is
 * larger has one of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/gguf_build.h"

#define BLOCK_BYTES ((size_t)64 << 10)

void trit_gguf_build_release(struct trit_gguf_build *b)
{
	trit_gguf_close(&b->gguf);
	*b = (struct trit_gguf_build){ 0 };
}

static bool failed(const struct trit_gguf_build *b)
{
	return b->error.status != TRIT_OK;
}

static void fail_memory(struct trit_gguf_build *b)
{
	trit_fail(&b->error, TRIT_ERR_MEMORY, "not enough memory for the list of keys and tensors");
}

/* ---- storage ---------------------------------------------------------------------------------------------------- */

/* Becomes the first of the list; the others are full or large. */
static struct trit_gguf_block *add_block(struct trit_gguf_build *b, size_t bytes)
{
	size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES, total;
	struct trit_gguf_block *block =
		trit_add_size(&total, size, sizeof *block) ? trit_calloc(total, 1) : NULL;

	if (!block)
		return NULL;
	block->size = size;
	block->next = b->gguf.storage;
	b->gguf.storage = block;
	return block;
}

void *trit_gguf_build_take(struct trit_gguf_build *b, size_t n, size_t size)
{
	struct trit_gguf_block *block = b->gguf.storage;
	size_t bytes, rounded;

	if (failed(b))
		return NULL;
	if (!trit_mul_size(&bytes, n, size) || !trit_add_size(&rounded, bytes, TRIT_ALIGN - 1)) {
		fail_memory(b);
		return NULL;
	}
	rounded -= rounded % TRIT_ALIGN;
	if (!block || rounded > block->size - block->used)
		block = add_block(b, rounded);
	if (!block) {
		fail_memory(b);
		return NULL;
	}
	block->used += rounded;
	return block->bytes + block->used - rounded;
}

static void *copy(struct trit_gguf_build *b, size_t len, const void *bytes)
{
	void *to = trit_gguf_build_take(b, len + 1, 1); /* a NUL behind it */

	if (to && len > 0)
		memcpy(to, bytes, len);
	return to;
}

/* Room for one more in a list; false after an error. */
static bool grow(struct trit_gguf_build *b, void **list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 64;
	void *p;

	if (failed(b))
		return false;
	if (n < *cap)
		return true;
	p = trit_realloc(*list, *cap * size, more, size);
	if (!p) {
		fail_memory(b);
		return false;
	}
	*list = p;
	*cap = more;
	return true;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static void add_key(struct trit_gguf_build *b, size_t name_len, const char *name, uint32_t type, uint32_t element_type,
                    uint64_t n, size_t len, const void *value)
{
	void *list = b->gguf.keys;
	const char *own_name;
	const unsigned char *own_value;

	if (!grow(b, &list, (size_t)b->gguf.n_keys, &b->keys_cap, sizeof *b->gguf.keys))
		return;
	b->gguf.keys = list;
	own_name = copy(b, name_len, name);
	own_value = copy(b, len, value);
	if (own_name && own_value)
		b->gguf.keys[b->gguf.n_keys++] = (struct trit_gguf_key){
			.name = own_name, .name_len = (uint32_t)name_len, .type = type, .element_type = element_type,
			.n = n, .value = own_value,
		};
}

void trit_gguf_build_u32(struct trit_gguf_build *b, const char *name, uint32_t v)
{
	unsigned char bytes[4];

	trit_put32(bytes, v);
	add_key(b, strlen(name), name, TRIT_GGUF_U32, 0, 1, sizeof bytes, bytes);
}

void trit_gguf_build_f32(struct trit_gguf_build *b, const char *name, float v)
{
	unsigned char bytes[4];

	trit_put32(bytes, trit_f32_bits(v));
	add_key(b, strlen(name), name, TRIT_GGUF_F32, 0, 1, sizeof bytes, bytes);
}

void trit_gguf_build_bool(struct trit_gguf_build *b, const char *name, bool v)
{
	unsigned char byte = v;

	add_key(b, strlen(name), name, TRIT_GGUF_BOOL, 0, 1, 1, &byte);
}

void trit_gguf_build_string(struct trit_gguf_build *b, const char *name, size_t len, const char *text)
{
	unsigned char *value = trit_gguf_build_take(b, len + 8, 1);

	if (!value)
		return;
	trit_put64(value, len);
	if (len > 0)
		memcpy(value + 8, text, len);
	add_key(b, strlen(name), name, TRIT_GGUF_STRING, 0, 1, len + 8, value);
}

void trit_gguf_build_strings(struct trit_gguf_build *b, const char *name, size_t n, const char *const *texts)
{
	size_t bytes = 0, at = 0;

	for (size_t i = 0; i < n; i++)
		bytes += 8 + strlen(texts[i]);
	unsigned char *value = trit_gguf_build_take(b, bytes, 1);
	if (!value)
		return;
	for (size_t i = 0; i < n; i++, at += 8) {
		size_t len = strlen(texts[i]);

		trit_put64(value + at, len);
		memcpy(value + at + 8, texts[i], len);
		at += len;
	}
	add_key(b, strlen(name), name, TRIT_GGUF_ARRAY, TRIT_GGUF_STRING, n, bytes, value);
}

void trit_gguf_build_array(struct trit_gguf_build *b, const char *name, enum trit_gguf_type type, uint64_t n,
                           const void *elements)
{
	add_key(b, strlen(name), name, TRIT_GGUF_ARRAY, type, n, (size_t)n * trit_gguf_type_bytes(type), elements);
}

void trit_gguf_build_key(struct trit_gguf_build *b, const struct trit_gguf_key *k)
{
	add_key(b, k->name_len, k->name, k->type, k->element_type, k->n, trit_gguf_value_bytes(k), k->value);
}

bool trit_gguf_build_has_key(const struct trit_gguf_build *b, const char *name)
{
	size_t len = strlen(name);

	for (uint64_t i = 0; i < b->gguf.n_keys; i++)
		if (b->gguf.keys[i].name_len == len && memcmp(b->gguf.keys[i].name, name, len) == 0)
			return true;
	return false;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

static bool is_own(const struct trit_gguf_build *b, const unsigned char *data)
{
	for (const struct trit_gguf_block *block = b->gguf.storage; block; block = block->next)
		if (data >= block->bytes && data < block->bytes + block->size)
			return true;
	return false;
}

struct trit_gguf_tensor *trit_gguf_build_tensor(struct trit_gguf_build *b, const char *name, uint32_t type,
                                                uint32_t n_dims, const uint64_t *dims, const unsigned char *data)
{
	struct trit_gguf_tensor t = { .type = type, .n_dims = n_dims, .dims = { 1, 1, 1, 1 }, .data = data,
		                      .built = is_own(b, data) };
	void *list = b->gguf.tensors;
	size_t rows = 1;

	if (!grow(b, &list, (size_t)b->gguf.n_tensors, &b->tensors_cap, sizeof t))
		return NULL;
	b->gguf.tensors = list;
	for (uint32_t i = 0; i < n_dims && i < 4; i++) {
		t.dims[i] = dims[i];
		if (dims[i] == 0 || (i > 0 && !trit_mul_size(&rows, rows, (size_t)dims[i]))) {
			trit_fail(&b->error, TRIT_ERR_FORMAT, "tensor %s: dimension %" PRIu32 " is %" PRIu64, name, i,
			          dims[i]);
			return NULL;
		}
	}
	if (trit_ggml_tensor_bytes(type, rows, t.dims[0], &t.bytes, &b->error) < 0) {
		trit_fail_prefix(&b->error, b->error.status, "tensor %s", name);
		return NULL;
	}
	t.name = copy(b, strlen(name), name);
	if (!t.name)
		return NULL;
	b->gguf.tensors[b->gguf.n_tensors] = t;
	return &b->gguf.tensors[b->gguf.n_tensors++];
}

/* ---- the result ------------------------------------------------------------------------------------------------- */

int trit_gguf_build_finish(struct trit_gguf_build *b, struct trit_gguf *out, struct trit_error *err)
{
	int status = b->error.status;

	if (status != TRIT_OK) {
		if (err)
			*err = b->error;
	} else {
		b->gguf.version = 3;
		b->gguf.alignment = 32;
		status = trit_gguf_index(&b->gguf, err);
	}
	if (status == 0) {
		*out = b->gguf;
		b->gguf = (struct trit_gguf){ 0 };
	}
	trit_gguf_build_release(b);
	return status;
}
