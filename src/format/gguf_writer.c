/*
 * gguf_writer.c - writes GGUF files, version 3.
 *
 * Everything goes straight to the file in the order it is given; only the two counts of the header are patched in at
 * the end. Names are remembered to refuse one that comes twice.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/gguf.h"
#include "format/name_list.h"

#define VERSION 3
#define DEFAULT_ALIGNMENT 32
#define MAX_KEY_NAME 65535
#define MAX_TENSOR_NAME 63 /* llama.cpp keeps 64 bytes, the NUL included */

enum stage { KEYS, TENSORS, DATA };

struct trit_gguf_writer {
	struct trit_writer file;
	enum stage stage;
	uint32_t alignment; /* of each tensor's data */
	struct trit_name_list keys, tensors;
	uint64_t items_left;   /* strings still to come of an array begun */
	uint64_t data_bytes;   /* of all tensors described, each with its padding */
	size_t current;        /* the tensor whose data comes next */
	uint64_t current_done; /* bytes of it that are written */
};

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static int write_u32(struct trit_gguf_writer *w, uint32_t v, struct trit_error *err)
{
	unsigned char b[4];

	trit_put32(b, v);
	return trit_writer_write(&w->file, sizeof b, b, err);
}

static int write_u64(struct trit_gguf_writer *w, uint64_t v, struct trit_error *err)
{
	unsigned char b[8];

	trit_put64(b, v);
	return trit_writer_write(&w->file, sizeof b, b, err);
}

static int write_string(struct trit_gguf_writer *w, size_t len, const char *text, struct trit_error *err)
{
	int status = write_u64(w, len, err);

	return status == 0 ? trit_writer_write(&w->file, len, text, err) : status;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

int trit_gguf_writer_new(struct trit_gguf_writer **out, const char *path, struct trit_error *err)
{
	struct trit_gguf_writer *w = trit_calloc(1, sizeof *w);
	int status;

	if (!w)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to write it", path);
	w->alignment = DEFAULT_ALIGNMENT;
	status = trit_writer_open(&w->file, path, err);
	if (status == 0)
		status = trit_writer_write(&w->file, 4, "GGUF", err);
	if (status == 0)
		status = write_u32(w, VERSION, err);
	if (status == 0)
		status = write_u64(w, 0, err); /* number of tensors, patched in by commit */
	if (status == 0)
		status = write_u64(w, 0, err); /* number of keys, likewise */
	if (status < 0) {
		trit_gguf_writer_free(w);
		return status;
	}
	*out = w;
	return 0;
}

void trit_gguf_writer_free(struct trit_gguf_writer *w)
{
	if (!w)
		return;
	trit_writer_close(&w->file);
	trit_name_list_release(&w->keys);
	trit_name_list_release(&w->tensors);
	trit_free(w);
}

static int begin_key(struct trit_gguf_writer *w, size_t name_len, const char *name, uint32_t type,
                     struct trit_error *err)
{
	int status;

	assert(w->stage == KEYS && w->items_left == 0);
	assert(w->keys.n > 0 || (name_len == 20 && memcmp(name, "general.architecture", 20) == 0));
	status = trit_name_list_add(&w->keys, "key", name_len, name, MAX_KEY_NAME, err);
	if (status == 0)
		status = write_string(w, name_len, name, err);
	if (status == 0)
		status = write_u32(w, type, err);
	return status;
}

bool trit_gguf_writer_has(const struct trit_gguf_writer *w, size_t len, const char *name)
{
	return trit_name_list_has(&w->keys, len, name);
}

int trit_gguf_put_string(struct trit_gguf_writer *w, const char *name, size_t len, const char *text,
                         struct trit_error *err)
{
	int status = begin_key(w, strlen(name), name, TRIT_GGUF_STRING, err);

	return status == 0 ? write_string(w, len, text, err) : status;
}

int trit_gguf_put_u32(struct trit_gguf_writer *w, const char *name, uint32_t v, struct trit_error *err)
{
	int status = begin_key(w, strlen(name), name, TRIT_GGUF_U32, err);

	return status == 0 ? write_u32(w, v, err) : status;
}

int trit_gguf_put_alignment(struct trit_gguf_writer *w, uint32_t alignment, struct trit_error *err)
{
	assert(alignment >= 8 && (alignment & (alignment - 1)) == 0);
	w->alignment = alignment;
	return trit_gguf_put_u32(w, "general.alignment", alignment, err);
}

int trit_gguf_put_f32(struct trit_gguf_writer *w, const char *name, float v, struct trit_error *err)
{
	int status = begin_key(w, strlen(name), name, TRIT_GGUF_F32, err);

	return status == 0 ? write_u32(w, trit_f32_bits(v), err) : status;
}

int trit_gguf_put_bool(struct trit_gguf_writer *w, const char *name, bool v, struct trit_error *err)
{
	unsigned char byte = v;
	int status = begin_key(w, strlen(name), name, TRIT_GGUF_BOOL, err);

	return status == 0 ? trit_writer_write(&w->file, 1, &byte, err) : status;
}

static int begin_array(struct trit_gguf_writer *w, const char *name, uint32_t element_type, uint64_t n,
                       struct trit_error *err)
{
	int status = begin_key(w, strlen(name), name, TRIT_GGUF_ARRAY, err);

	if (status == 0)
		status = write_u32(w, element_type, err);
	return status == 0 ? write_u64(w, n, err) : status;
}

int trit_gguf_put_array(struct trit_gguf_writer *w, const char *name, enum trit_gguf_type type, uint64_t n,
                        const void *elements, struct trit_error *err)
{
	int status = begin_array(w, name, type, n, err);

	assert(trit_gguf_type_bytes(type) > 0);
	return status == 0 ? trit_writer_write(&w->file, (size_t)n * trit_gguf_type_bytes(type), elements, err)
	                   : status;
}

int trit_gguf_put_strings(struct trit_gguf_writer *w, const char *name, uint64_t n, struct trit_error *err)
{
	int status = begin_array(w, name, TRIT_GGUF_STRING, n, err);

	if (status == 0)
		w->items_left = n;
	return status;
}

int trit_gguf_put_strings_item(struct trit_gguf_writer *w, size_t len, const char *text, struct trit_error *err)
{
	assert(w->items_left > 0);
	w->items_left--;
	return write_string(w, len, text, err);
}

int trit_gguf_put_key(struct trit_gguf_writer *w, const struct trit_gguf_key *k, struct trit_error *err)
{
	static const char alignment[] = "general.alignment";
	int status;

	if (k->name_len == sizeof alignment - 1 && memcmp(k->name, alignment, k->name_len) == 0)
		return 0;
	status = begin_key(w, k->name_len, k->name, k->type, err);
	if (status == 0 && k->type == TRIT_GGUF_ARRAY)
		status = write_u32(w, k->element_type, err);
	if (status == 0 && k->type == TRIT_GGUF_ARRAY)
		status = write_u64(w, k->n, err);
	return status == 0 ? trit_writer_write(&w->file, trit_gguf_value_bytes(k), k->value, err) : status;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

int trit_gguf_put_tensor(struct trit_gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
                         const uint64_t *dims, struct trit_error *err)
{
	size_t rows = 1;
	uint64_t bytes = 0;
	int status;

	assert(w->stage <= TENSORS && w->items_left == 0 && n_dims >= 1 && n_dims <= 4);
	w->stage = TENSORS;
	for (uint32_t i = 1; i < n_dims; i++)
		if (dims[i] > SIZE_MAX || !trit_mul_size(&rows, rows, (size_t)dims[i]))
			return trit_fail(err, TRIT_ERR_ARG, "tensor %s: more elements than can exist", name);
	status = trit_ggml_tensor_bytes(type, rows, dims[0], &bytes, err);
	if (status < 0)
		return trit_fail_prefix(err, status, "tensor %s", name);
	if (trit_ggml_type_info(type)->file_id == UINT32_MAX)
		return trit_fail(err, TRIT_ERR_ARG, "tensor %s: type %s is in no GGUF file", name,
		                 trit_ggml_type_info(type)->name);
	if (bytes > INT64_MAX - w->alignment - w->data_bytes)
		return trit_fail(err, TRIT_ERR_ARG, "tensor %s: more bytes than a file can hold", name);
	status = trit_name_list_add(&w->tensors, "tensor", strlen(name), name, MAX_TENSOR_NAME, err);
	if (status == 0)
		status = write_string(w, strlen(name), name, err);
	if (status == 0)
		status = write_u32(w, n_dims, err);
	for (uint32_t i = 0; status == 0 && i < n_dims; i++)
		status = write_u64(w, dims[i], err);
	if (status == 0)
		status = write_u32(w, trit_ggml_type_info(type)->file_id, err);
	if (status == 0)
		status = write_u64(w, w->data_bytes, err);
	if (status < 0)
		return status;
	w->tensors.entries[w->tensors.n - 1].bytes = bytes;
	w->data_bytes += (bytes + w->alignment - 1) / w->alignment * w->alignment;
	return 0;
}

/* Ends the metadata: data begins at a multiple of the alignment. */
static int begin_data(struct trit_gguf_writer *w, struct trit_error *err)
{
	int status;

	assert(w->items_left == 0);
	if (w->stage == DATA)
		return 0;
	w->stage = DATA;
	status = trit_writer_expect(&w->file, w->data_bytes, err);
	return status == 0 ? trit_writer_pad(&w->file, w->alignment, err) : status;
}

int trit_gguf_write_data(struct trit_gguf_writer *w, size_t len, const void *data, struct trit_error *err)
{
	const unsigned char *p = data;
	int status = begin_data(w, err);

	while (status == 0 && len > 0) {
		const struct trit_named *e = &w->tensors.entries[w->current];
		uint64_t left;
		size_t some;

		if (w->current == w->tensors.n)
			return trit_fail(err, TRIT_ERR_ARG, "%zu bytes of data beyond the last tensor", len);
		left = e->bytes - w->current_done;
		some = len < left ? len : (size_t)left;
		status = trit_writer_write(&w->file, some, p, err);
		p += some;
		len -= some;
		w->current_done += some;
		if (status == 0 && w->current_done == e->bytes) {
			status = trit_writer_pad(&w->file, w->alignment, err);
			w->current++;
			w->current_done = 0;
		}
	}
	return status;
}

int trit_gguf_writer_commit(struct trit_gguf_writer *w, struct trit_error *err)
{
	unsigned char counts[16];
	int status = begin_data(w, err);

	if (status < 0)
		return status;
	if (w->current < w->tensors.n)
		return trit_fail(err, TRIT_ERR_ARG, "tensor %s: only %" PRIu64 " of its %" PRIu64 " bytes were given",
		                 w->tensors.entries[w->current].name, w->current_done,
		                 w->tensors.entries[w->current].bytes);
	trit_put64(counts, w->tensors.n);
	trit_put64(counts + 8, w->keys.n);
	status = trit_writer_patch(&w->file, 8, sizeof counts, counts, err);
	return status == 0 ? trit_writer_commit(&w->file, err) : status;
}
