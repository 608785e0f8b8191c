/*
 * safetensors.c - reads safetensors files.
 *
 * The header is hostile text: jansson parses it strictly (duplicate names are errors), then every member is checked,
 * then the tensors are sorted by offset, which shows overlaps and holes. What is kept of the text is copied into one
 * block.
 *
 * Reference: the format's own description and limits, github.com/huggingface/safetensors.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>
#endif
#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/file_kind.h"
#include "format/safetensors.h"

#ifdef TRIT_HAVE_JANSSON

#define METADATA "__metadata__"
#define N_DTYPES (TRIT_DTYPE_F64 + 1)

/* ---- one tensor ------------------------------------------------------------------------------------------------- */

static int read_dtype(const json_t *info, struct trit_st_tensor *t, struct trit_error *err)
{
	const char *name = json_string_value(json_object_get(info, "dtype"));

	if (!name)
		return trit_fail(err, TRIT_ERR_FORMAT, "tensor %.100s: no \"dtype\"; the file is damaged", t->name);
	for (int i = 0; i < N_DTYPES; i++) {
		if (strcmp(name, trit_dtype_name((enum trit_dtype)i)) == 0) {
			t->dtype = (enum trit_dtype)i;
			return 0;
		}
	}
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "tensor %.100s: dtype %.20s cannot be read; save it as F32, F16, BF16, F64 or an integer type",
	                 t->name, name);
}

/* A count or position in JSON; false when v is no integer or negative. */
static bool get_count(const json_t *v, uint64_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*out = (uint64_t)json_integer_value(v);
	return true;
}

/* Reads the shape; *bytes is what dtype and shape make. */
static int read_shape(const json_t *info, struct trit_st_tensor *t, size_t *bytes, struct trit_error *err)
{
	const json_t *shape = json_object_get(info, "shape");
	size_t elements = 1;
	bool fits = true;

	if (!json_is_array(shape))
		return trit_fail(err, TRIT_ERR_FORMAT, "tensor %.100s: no \"shape\"; the file is damaged", t->name);
	if (json_array_size(shape) > TRIT_SAFETENSORS_MAX_DIMS)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "tensor %.100s: %zu dimensions; up to %d can be read",
		                 t->name, json_array_size(shape), TRIT_SAFETENSORS_MAX_DIMS);
	t->n_dims = (int)json_array_size(shape);
	for (int i = 0; i < TRIT_SAFETENSORS_MAX_DIMS; i++) {
		t->shape[i] = 1;
		if (i < t->n_dims && !get_count(json_array_get(shape, (size_t)i), &t->shape[i]))
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "tensor %.100s: dimension %d is no count; the file is damaged", t->name, i);
		fits = fits && trit_mul_size(&elements, elements, (size_t)t->shape[i]);
	}
	t->elements = elements;
	if (!fits || !trit_mul_size(bytes, elements, (size_t)trit_dtype_bytes(t->dtype)))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "tensor %.100s: more elements than can exist; the file is damaged", t->name);
	return 0;
}

/* Reads all of a tensor; data_size bytes begin at data. */
static int read_tensor(const json_t *info, struct trit_st_tensor *t, const unsigned char *data, size_t data_size,
                       struct trit_error *err)
{
	const json_t *offsets;
	uint64_t begin, end;
	size_t bytes;
	int status;

	if (!json_is_object(info))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "tensor %.100s: described by no JSON object; the file is damaged", t->name);
	status = read_dtype(info, t, err);
	if (status == 0)
		status = read_shape(info, t, &bytes, err);
	if (status < 0)
		return status;
	offsets = json_object_get(info, "data_offsets");
	if (json_array_size(offsets) != 2 || !get_count(json_array_get(offsets, 0), &begin) ||
	    !get_count(json_array_get(offsets, 1), &end))
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "tensor %.100s: no \"data_offsets\" of two counts; the file is damaged", t->name);
	if (begin > end || end - begin != bytes)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "tensor %.100s: bytes %" PRIu64 " to %" PRIu64
		                 ", but dtype and shape make %zu bytes; the file is damaged",
		                 t->name, begin, end, bytes);
	if (end > data_size)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "tensor %.100s: bytes %" PRIu64 " to %" PRIu64
		                 ", but the file has %zu bytes of data; it is truncated, copy or download it again",
		                 t->name, begin, end, data_size);
	t->data = data + begin;
	t->bytes = bytes;
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
	const struct trit_st_tensor *x = *(const struct trit_st_tensor *const *)a;
	const struct trit_st_tensor *y = *(const struct trit_st_tensor *const *)b;

	return strcmp(x->name, y->name);
}

/* By place; at one place (there are tensors without bytes) empty ones first, then by name. */
static int compare_places(const void *a, const void *b)
{
	const struct trit_st_tensor *x = a, *y = b;

	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Sorts the tensors; no overlap, no hole, nothing after the last. */
static int check_places(struct trit_safetensors *s, const unsigned char *data, size_t data_size, struct trit_error *err)
{
	const unsigned char *at = data;

	qsort(s->tensors, s->n_tensors, sizeof *s->tensors, compare_places);
	for (size_t i = 0; i < s->n_tensors; i++) {
		const struct trit_st_tensor *t = &s->tensors[i];

		if (t->data != at)
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "tensor %.100s: begins at byte %zu of the data, but the tensor before "
			                 "it ends at byte %zu; the file is damaged",
			                 t->name, (size_t)(t->data - data), (size_t)(at - data));
		at += t->bytes;
	}
	if ((size_t)(at - data) != data_size)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "the tensors end after %zu of %zu bytes of data; the file is damaged",
		                 (size_t)(at - data), data_size);
	return 0;
}

/* Copies a string to *storage and moves that on. */
static const char *keep(char **storage, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = *storage;

	memcpy(copy, text, size);
	*storage += size;
	return copy;
}

/* Allocates the lists for what the JSON holds; *storage receives the names and values. */
static int allocate(struct trit_safetensors *s, json_t *root, json_t *meta, struct trit_error *err)
{
	size_t bytes = 0; /* every string came out of a header of at most 100 MB, so sums do not overflow */
	const char *name;
	json_t *value;

	json_object_foreach(root, name, value)
		bytes += strlen(name) + 1;
	json_object_foreach(meta, name, value) {
		if (!json_is_string(value))
			return trit_fail(err, TRIT_ERR_FORMAT, "metadata \"%.100s\" is no string; the file is damaged",
			                 name);
		bytes += strlen(name) + 1 + json_string_length(value) + 1;
	}
	s->n_meta = json_object_size(meta);
	s->n_tensors = json_object_size(root) - (meta != NULL);
	s->strings = trit_calloc(bytes, 1);
	s->meta = trit_calloc(s->n_meta, sizeof *s->meta);
	s->tensors = trit_calloc(s->n_tensors, sizeof *s->tensors);
	s->index = trit_calloc(s->n_tensors, sizeof *s->index);
	if (!s->strings || !s->meta || !s->tensors || !s->index)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of %zu tensors", s->n_tensors);
	return 0;
}

static int read_root(struct trit_safetensors *s, json_t *root, const unsigned char *data, size_t data_size,
                     struct trit_error *err)
{
	json_t *meta = json_object_get(root, METADATA), *value;
	const char *name;
	char *storage;
	size_t i = 0;
	int status;

	if (meta && !json_is_object(meta))
		return trit_fail(err, TRIT_ERR_FORMAT, "\"" METADATA "\" is no JSON object; the file is damaged");
	status = allocate(s, root, meta, err);
	if (status < 0)
		return status;
	storage = s->strings;
	json_object_foreach(meta, name, value) {
		s->meta[i].name = keep(&storage, name);
		s->meta[i++].value = keep(&storage, json_string_value(value));
	}
	i = 0;
	json_object_foreach(root, name, value) {
		if (strcmp(name, METADATA) == 0)
			continue;
		s->tensors[i].name = keep(&storage, name);
		status = read_tensor(value, &s->tensors[i++], data, data_size, err);
		if (status < 0)
			return status;
	}
	status = check_places(s, data, data_size, err);
	for (i = 0; i < s->n_tensors; i++)
		s->index[i] = &s->tensors[i];
	qsort(s->index, s->n_tensors, sizeof *s->index, compare_names);
	return status;
}

int trit_safetensors_open_bytes(struct trit_safetensors *s, const unsigned char *data, size_t size,
                                struct trit_error *err)
{
	json_error_t why;
	json_t *root;
	uint64_t header;
	int status;

	*s = (struct trit_safetensors){ 0 };
	if (trit_file_kind(data, size) != TRIT_KIND_SAFETENSORS)
		return trit_fail_kind(err, TRIT_KIND_SAFETENSORS, data, size);
	header = trit_get64(data);
	if (header > TRIT_SAFETENSORS_MAX_HEADER)
		return trit_fail_at(err, TRIT_ERR_FORMAT, 0,
		                    "a header of %" PRIu64 " bytes; at most %d are possible; the file is "
		                    "damaged",
		                    header, TRIT_SAFETENSORS_MAX_HEADER);
	if (header > size - 8)
		return trit_fail_at(err, TRIT_ERR_FORMAT, (int64_t)size,
		                    "a header of %" PRIu64 " bytes, but only %zu follow; the "
		                    "file is truncated, copy or download it again",
		                    header, size - 8);
	root = json_loadb((const char *)data + 8, (size_t)header, JSON_REJECT_DUPLICATES, &why);
	if (!root && json_error_code(&why) == json_error_out_of_memory)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a header of %" PRIu64 " bytes", header);
	if (!root)
		return trit_fail_at(err, TRIT_ERR_FORMAT, 8 + (int64_t)why.position,
		                    "header, byte %d: %s; the file is damaged", 8 + why.position, why.text);
	status = read_root(s, root, data + 8 + header, size - 8 - (size_t)header, err);
	json_decref(root);
	if (status < 0)
		trit_safetensors_close(s);
	return status;
}

#else

int trit_safetensors_open_bytes(struct trit_safetensors *s, const unsigned char *data, size_t size,
                                struct trit_error *err)
{
	*s = (struct trit_safetensors){ 0 };
	(void)data;
	(void)size;
	return trit_fail(
		err, TRIT_ERR_UNSUPPORTED,
		"this build cannot read safetensors: it was made without jansson; install libjansson-dev and build "
		"again");
}

#endif

int trit_safetensors_open(struct trit_safetensors *s, const char *path, struct trit_error *err)
{
	struct trit_map map;
	int status = trit_map_open(&map, path, err);

	if (status < 0) {
		*s = (struct trit_safetensors){ 0 };
		return status;
	}
	status = trit_safetensors_open_bytes(s, map.data, map.size, err);
	if (status < 0) {
		trit_map_close(&map);
		return trit_fail_prefix(err, status, "%s", path);
	}
	s->map = map;
	return 0;
}

void trit_safetensors_close(struct trit_safetensors *s)
{
	if (!s)
		return;
	trit_free(s->tensors);
	trit_free(s->meta);
	trit_free(s->strings);
	trit_free(s->index);
	trit_map_close(&s->map);
	*s = (struct trit_safetensors){ 0 };
}

const struct trit_st_tensor *trit_safetensors_find(const struct trit_safetensors *s, const char *name)
{
	size_t low = 0, high = s->n_tensors;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, s->index[middle]->name);

		if (order == 0)
			return s->index[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const char *trit_safetensors_meta(const struct trit_safetensors *s, const char *name)
{
	for (size_t i = 0; i < s->n_meta; i++)
		if (strcmp(s->meta[i].name, name) == 0)
			return s->meta[i].value;
	return NULL;
}

bool trit_st_is_checkpoint(const struct trit_safetensors *s)
{
	const char *format = trit_safetensors_meta(s, "format");
	return format && strcmp(format, TRIT_ST_CHECKPOINT) == 0;
}

bool trit_safetensors_is_checkpoint(const char *path)
{
	struct trit_safetensors s;
	if (trit_safetensors_open(&s, path, NULL))
		return false;
	bool is = trit_st_is_checkpoint(&s);
	trit_safetensors_close(&s);
	return is;
}
