/*
 * safetensors_writer.c - writes safetensors files. The header is assembled as text, so that writing needs no library.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/name_list.h"
#include "format/safetensors.h"
#include "format/st_checksum.h"
#include "text/utf8.h"

#define MAX_NAME 65535

static const struct {
	const char *name;
	int bytes;
} dtypes[] = {
	[TRIT_DTYPE_F32] = { "F32", 4 }, [TRIT_DTYPE_F16] = { "F16", 2 }, [TRIT_DTYPE_BF16] = { "BF16", 2 },
	[TRIT_DTYPE_I8] = { "I8", 1 },   [TRIT_DTYPE_U8] = { "U8", 1 },   [TRIT_DTYPE_U16] = { "U16", 2 },
	[TRIT_DTYPE_I32] = { "I32", 4 }, [TRIT_DTYPE_U32] = { "U32", 4 }, [TRIT_DTYPE_I64] = { "I64", 8 },
	[TRIT_DTYPE_U64] = { "U64", 8 }, [TRIT_DTYPE_F64] = { "F64", 8 },
};

struct trit_st_writer {
	struct trit_writer file;
	struct trit_buf meta;    /* members of "__metadata__" */
	struct trit_buf tensors; /* members that follow it */
	struct trit_name_list meta_names, tensor_names;
	bool begun;
	uint64_t data_bytes; /* of all tensors described */
	uint64_t written;    /* of them */
	uint64_t sum;        /* of the header so far (st_checksum.h) */
};

int trit_dtype_bytes(enum trit_dtype t)
{
	return dtypes[t].bytes;
}

const char *trit_dtype_name(enum trit_dtype t)
{
	return dtypes[t].name;
}

int trit_st_writer_new(struct trit_st_writer **out, const char *path, struct trit_error *err)
{
	struct trit_st_writer *w = trit_calloc(1, sizeof *w);
	int status;

	if (!w)
		return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory to write it", path);
	trit_buf_init(&w->meta, TRIT_SAFETENSORS_MAX_HEADER / 2);
	trit_buf_init(&w->tensors, TRIT_SAFETENSORS_MAX_HEADER / 2 - 64); /* the rest of the header has fewer */
	status = trit_writer_open(&w->file, path, err);
	if (status < 0) {
		trit_st_writer_free(w);
		return status;
	}
	*out = w;
	return 0;
}

void trit_st_writer_free(struct trit_st_writer *w)
{
	if (!w)
		return;
	trit_writer_close(&w->file);
	trit_buf_release(&w->meta);
	trit_buf_release(&w->tensors);
	trit_name_list_release(&w->meta_names);
	trit_name_list_release(&w->tensor_names);
	trit_free(w);
}

/* Appends s as a JSON string. */
static int append_string(struct trit_buf *b, const char *s, struct trit_error *err)
{
	size_t len = strlen(s);
	int status = trit_buf_append(b, 1, "\"", err);

	if (trit_utf8_valid(len, s) < len)
		return trit_fail(err, TRIT_ERR_ARG, "\"%.100s\" is not UTF-8, which a safetensors header must be", s);
	while (status == 0 && *s) {
		size_t plain = 0;

		while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
			plain++;
		status = trit_buf_append(b, plain, s, err);
		s += plain;
		if (status == 0 && *s)
			status = trit_buf_printf(b, err, "\\u%04x", (unsigned char)*s++);
	}
	return status == 0 ? trit_buf_append(b, 1, "\"", err) : status;
}

/* The name of a new member of an object. */
static int append_name(struct trit_buf *b, struct trit_name_list *names, const char *what, const char *name,
                       struct trit_error *err)
{
	int status = trit_name_list_add(names, what, strlen(name), name, MAX_NAME, err);

	if (status == 0 && names->n > 1)
		status = trit_buf_append(b, 1, ",", err);
	if (status == 0)
		status = append_string(b, name, err);
	return status == 0 ? trit_buf_append(b, 1, ":", err) : status;
}

int trit_st_put_meta(struct trit_st_writer *w, const char *name, const char *value, struct trit_error *err)
{
	int status;

	assert(!w->begun);
	w->sum += trit_st_sum_meta(name, value);
	status = append_name(&w->meta, &w->meta_names, "metadata", name, err);
	return status == 0 ? append_string(&w->meta, value, err) : status;
}

int trit_st_put_tensor(struct trit_st_writer *w, const char *name, enum trit_dtype dtype, int n_dims,
                       const uint64_t *shape, struct trit_error *err)
{
	size_t bytes = (size_t)trit_dtype_bytes(dtype);
	int status;

	assert(!w->begun && n_dims >= 0 && n_dims <= TRIT_SAFETENSORS_MAX_DIMS);
	if (strcmp(name, "__metadata__") == 0)
		return trit_fail(err, TRIT_ERR_ARG, "a tensor cannot be called __metadata__");
	if (w->data_bytes % bytes != 0)
		return trit_fail(err, TRIT_ERR_ARG,
		                 "tensor %s: %s data at byte %" PRIu64
		                 " would not be aligned; put tensors with larger elements first",
		                 name, trit_dtype_name(dtype), w->data_bytes);
	for (int i = 0; i < n_dims; i++)
		if (shape[i] > SIZE_MAX || !trit_mul_size(&bytes, bytes, (size_t)shape[i]) || bytes > INT64_MAX)
			return trit_fail(err, TRIT_ERR_ARG, "tensor %s: more bytes than a file can hold", name);
	if (bytes > INT64_MAX - w->data_bytes)
		return trit_fail(err, TRIT_ERR_ARG, "tensor %s: more bytes than a file can hold", name);
	status = append_name(&w->tensors, &w->tensor_names, "tensor", name, err);
	if (status == 0)
		status = trit_buf_printf(&w->tensors, err, "{\"dtype\":\"%s\",\"shape\":[", trit_dtype_name(dtype));
	for (int i = 0; status == 0 && i < n_dims; i++)
		status = trit_buf_printf(&w->tensors, err, "%s%" PRIu64, i ? "," : "", shape[i]);
	if (status == 0)
		status = trit_buf_printf(&w->tensors, err, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
		                         w->data_bytes, w->data_bytes + bytes);
	if (status == 0) {
		w->data_bytes += bytes;
		w->sum += trit_st_sum_tensor(name, dtype, n_dims, shape);
	}
	return status;
}

int trit_st_put_checksums(struct trit_st_writer *w, size_t n, const uint64_t *sums, struct trit_error *err)
{
	struct trit_buf text;
	int status = 0;

	assert(n == w->tensor_names.n);
	trit_buf_init(&text, TRIT_SAFETENSORS_MAX_HEADER / 4);
	for (size_t i = 0; status == 0 && i < n; i++)
		status = trit_buf_printf(&text, err, "%016" PRIx64, sums[i]);
	if (status == 0)
		status = trit_st_put_meta(w, TRIT_ST_CHECKSUMS, n ? text.data : "", err);
	trit_buf_reset(&text);
	if (status == 0)
		status = trit_buf_printf(&text, err, "%016" PRIx64, w->sum);
	if (status == 0)
		status = trit_st_put_meta(w, TRIT_ST_CHECKSUM, text.data, err);
	trit_buf_release(&text);
	return status;
}

int trit_st_begin(struct trit_st_writer *w, struct trit_error *err)
{
	static const char open[] = "{", meta[] = "\"__metadata__\":{", blanks[] = "       ";
	bool with_meta = w->meta_names.n > 0;
	const char *middle = !with_meta ? "" : w->tensor_names.n > 0 ? "}," : "}";
	size_t meta_len = with_meta ? sizeof meta - 1 : 0;
	size_t len = 1 + meta_len + w->meta.len + strlen(middle) + w->tensors.len + 1, padding = (8 - len % 8) % 8;
	unsigned char length[8];
	int status;

	assert(!w->begun);
	w->begun = true;
	trit_put64(length, len + padding);
	status = trit_writer_write(&w->file, sizeof length, length, err);
	if (status == 0)
		status = trit_writer_write(&w->file, 1, open, err);
	if (status == 0)
		status = trit_writer_write(&w->file, meta_len, meta, err);
	if (status == 0)
		status = trit_writer_write(&w->file, w->meta.len, w->meta.data, err);
	if (status == 0)
		status = trit_writer_write(&w->file, strlen(middle), middle, err);
	if (status == 0)
		status = trit_writer_write(&w->file, w->tensors.len, w->tensors.data, err);
	if (status == 0)
		status = trit_writer_write(&w->file, 1, "}", err);
	return status == 0 ? trit_writer_write(&w->file, padding, blanks, err) : status;
}

int trit_st_write(struct trit_st_writer *w, size_t len, const void *data, struct trit_error *err)
{
	assert(w->begun);
	if (len > w->data_bytes - w->written)
		return trit_fail(err, TRIT_ERR_ARG, "%zu bytes of data where the tensors have only %" PRIu64 " more",
		                 len, w->data_bytes - w->written);
	w->written += len;
	return trit_writer_write(&w->file, len, data, err);
}

int trit_st_commit(struct trit_st_writer *w, struct trit_error *err)
{
	assert(w->begun);
	if (w->written < w->data_bytes)
		return trit_fail(err, TRIT_ERR_ARG, "only %" PRIu64 " of the tensors' %" PRIu64 " bytes were given",
		                 w->written, w->data_bytes);
	return trit_writer_commit(&w->file, err);
}
