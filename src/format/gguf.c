/*
 * gguf.c - reads GGUF files: one pass over the metadata with a cursor that cannot leave the file.
 *
 * Counts in the header are bounded by what the rest of the file could hold before anything is allocated for them, so
 * the memory used is at most a few times the size of the file. Duplicates and overlaps are found by sorting, which
 * stays fast whatever the names are; the sorted lists then serve the look-ups.
 *
 * Reference: ggml's docs/gguf.md; docs/formats.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdarg.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/file_kind.h"
#include "format/gguf_split.h"
#include "format/gguf_types.h"

#define HEADER_BYTES 24
#define MIN_KEY_BYTES (8 + 1 + 4 + 1)           /* length, one letter, type, a bool */
#define MIN_TENSOR_BYTES (8 + 1 + 4 + 8 + 4 + 8) /* length, one letter, n_dims, one dim, type, offset */
#define MAX_KEY_NAME 65535
#define MAX_TENSOR_NAME 64
#define DEFAULT_ALIGNMENT 32

static const struct {
	const char *name;
	unsigned bytes; /* 0: not of fixed size */
} value_types[] = {
	[TRIT_GGUF_U8] = { "u8", 1 },      [TRIT_GGUF_I8] = { "i8", 1 },   [TRIT_GGUF_U16] = { "u16", 2 },
	[TRIT_GGUF_I16] = { "i16", 2 },    [TRIT_GGUF_U32] = { "u32", 4 }, [TRIT_GGUF_I32] = { "i32", 4 },
	[TRIT_GGUF_F32] = { "f32", 4 },    [TRIT_GGUF_BOOL] = { "bool", 1 }, [TRIT_GGUF_STRING] = { "string", 0 },
	[TRIT_GGUF_ARRAY] = { "array", 0 }, [TRIT_GGUF_U64] = { "u64", 8 }, [TRIT_GGUF_I64] = { "i64", 8 },
	[TRIT_GGUF_F64] = { "f64", 8 },
};

#define N_VALUE_TYPES (sizeof value_types / sizeof value_types[0])

const char *trit_gguf_type_name(uint32_t type)
{
	return type < N_VALUE_TYPES ? value_types[type].name : "?";
}

unsigned trit_gguf_type_bytes(uint32_t type)
{
	return type < N_VALUE_TYPES ? value_types[type].bytes : 0;
}

/* ---- cursor ----------------------------------------------------------------------------------------------------- */

/* Where reading stands. */
struct cursor {
	const unsigned char *data;
	size_t size, at;  /* at <= size */
	char part[128];   /* in words what is being read: "tensor 3 (blk.0.attn_q.weight)" */
	struct trit_error *err;
};

static int fail(const struct cursor *c, enum trit_status status, const char *fmt, ...) TRIT_PRINTF(3, 4);

/* An error at the cursor: "PART, byte N: ...". */
static int fail(const struct cursor *c, enum trit_status status, const char *fmt, ...)
{
	char text[320];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(text, sizeof text, fmt, args) < 0)
		text[0] = 0;
	va_end(args);
	return trit_fail_at(c->err, status, (int64_t)c->at, "%s, byte %zu: %s", c->part, c->at, text);
}

static int fail_memory(struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of keys and tensors");
}

/* The next n bytes, or a FORMAT error. */
static int take(struct cursor *c, const unsigned char **out, uint64_t n)
{
	if (n > c->size - c->at)
		return fail(c, TRIT_ERR_FORMAT,
		            "%" PRIu64
		            " more bytes expected, but the file ends after %zu; it is truncated or damaged, copy or "
		            "download it again",
		            n, c->size - c->at);
	*out = c->data + c->at;
	c->at += (size_t)n;
	return 0;
}

static int take_u32(struct cursor *c, uint32_t *out)
{
	const unsigned char *p = NULL;
	int status = take(c, &p, 4);

	if (status == 0)
		*out = trit_get32(p);
	return status;
}

static int take_u64(struct cursor *c, uint64_t *out)
{
	const unsigned char *p = NULL;
	int status = take(c, &p, 8);

	if (status == 0)
		*out = trit_get64(p);
	return status;
}

static int take_string(struct cursor *c, const unsigned char **out, uint64_t *len)
{
	int status = take_u64(c, len);

	return status == 0 ? take(c, out, *len) : status;
}

/* A name of 1 to max bytes without control characters. */
static int take_name(struct cursor *c, const char **out, size_t *len, size_t max)
{
	const unsigned char *p = NULL;
	uint64_t n = 0;
	int status = take_u64(c, &n);

	if (status == 0 && (n == 0 || n > max))
		return fail(c, TRIT_ERR_FORMAT, "a name of %" PRIu64 " bytes; names have 1 to %zu; the file is damaged",
		            n, max);
	if (status == 0)
		status = take(c, &p, n);
	if (status < 0)
		return status;
	for (uint64_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return fail(c, TRIT_ERR_FORMAT, "its name has the control character %d; the file is damaged",
			            p[i]);
	*out = (const char *)p;
	*len = (size_t)n;
	return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static int check_bools(const struct cursor *c, const unsigned char *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (p[i] > 1)
			return fail(c, TRIT_ERR_FORMAT, "a bool is %d, not 0 or 1; the file is damaged", p[i]);
	return 0;
}

static int read_array(struct cursor *c, struct trit_gguf_key *k)
{
	int status = take_u32(c, &k->element_type);
	const unsigned char *string;
	uint64_t len;
	size_t bytes;

	if (status == 0)
		status = take_u64(c, &k->n);
	if (status < 0)
		return status;
	if (k->element_type == TRIT_GGUF_ARRAY)
		return fail(c, TRIT_ERR_UNSUPPORTED, "an array of arrays, which no model needs; leave the key out");
	if (k->element_type >= N_VALUE_TYPES)
		return fail(c, TRIT_ERR_FORMAT, "an array of type %" PRIu32 "; types are 0 to %zu; the file is damaged",
		            k->element_type, N_VALUE_TYPES - 1);
	k->value = c->data + c->at;
	if (k->element_type != TRIT_GGUF_STRING) {
		if (k->n > SIZE_MAX || !trit_mul_size(&bytes, (size_t)k->n, value_types[k->element_type].bytes))
			bytes = SIZE_MAX; /* more than any file holds: take says so */
		status = take(c, &k->value, bytes);
		if (status == 0 && k->element_type == TRIT_GGUF_BOOL)
			status = check_bools(c, k->value, k->n);
		return status;
	}
	if (k->n > (c->size - c->at) / 8)
		return fail(c, TRIT_ERR_FORMAT,
		            "an array of %" PRIu64 " strings, but only %zu bytes follow; the file is "
		            "truncated or damaged, copy or download it again",
		            k->n, c->size - c->at);
	for (uint64_t i = 0; status == 0 && i < k->n; i++)
		status = take_string(c, &string, &len);
	return status;
}

static int read_key(struct cursor *c, struct trit_gguf_key *k, uint64_t number)
{
	const unsigned char *string;
	uint64_t string_bytes;
	size_t len = 0;
	int status;

	snprintf(c->part, sizeof c->part, "key %" PRIu64, number);
	status = take_name(c, &k->name, &len, MAX_KEY_NAME);
	if (status < 0)
		return status;
	k->name_len = (uint32_t)len;
	snprintf(c->part, sizeof c->part, "key %" PRIu64 " (%.*s)", number, (int)(len < 80 ? len : 80), k->name);
	status = take_u32(c, &k->type);
	if (status < 0)
		return status;
	if (k->type >= N_VALUE_TYPES)
		return fail(c, TRIT_ERR_FORMAT, "value of type %" PRIu32 "; types are 0 to %zu; the file is damaged",
		            k->type, N_VALUE_TYPES - 1);
	if (k->type == TRIT_GGUF_ARRAY)
		return read_array(c, k);
	k->n = 1;
	k->value = c->data + c->at;
	if (k->type == TRIT_GGUF_STRING)
		return take_string(c, &string, &string_bytes);
	status = take(c, &k->value, value_types[k->type].bytes);
	if (status == 0 && k->type == TRIT_GGUF_BOOL)
		status = check_bools(c, k->value, 1);
	return status;
}

static int compare_names(size_t a_len, const char *a, size_t b_len, const char *b)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_keys(const void *a, const void *b)
{
	const struct trit_gguf_key *x = *(const struct trit_gguf_key *const *)a;
	const struct trit_gguf_key *y = *(const struct trit_gguf_key *const *)b;

	return compare_names(x->name_len, x->name, y->name_len, y->name);
}

static int index_keys(struct trit_gguf *g, struct trit_error *err)
{
	g->key_index = trit_calloc((size_t)g->n_keys, sizeof *g->key_index);
	if (!g->key_index)
		return fail_memory(err);
	for (uint64_t i = 0; i < g->n_keys; i++)
		g->key_index[i] = &g->keys[i];
	qsort(g->key_index, (size_t)g->n_keys, sizeof *g->key_index, compare_keys);
	for (uint64_t i = 1; i < g->n_keys; i++) {
		const struct trit_gguf_key *k = g->key_index[i];

		if (compare_keys(&g->key_index[i - 1], &k) == 0)
			return trit_fail(err, TRIT_ERR_FORMAT, "key '%.*s' is there twice; the file is damaged",
			                 (int)(k->name_len < 80 ? k->name_len : 80), k->name);
	}
	return 0;
}

static int read_keys(struct cursor *c, struct trit_gguf *g)
{
	int status = 0;

	g->keys = trit_calloc((size_t)g->n_keys, sizeof *g->keys);
	if (!g->keys)
		return fail_memory(c->err);
	for (uint64_t i = 0; status == 0 && i < g->n_keys; i++)
		status = read_key(c, &g->keys[i], i);
	return status == 0 ? index_keys(g, c->err) : status;
}

static int read_alignment(const struct cursor *c, struct trit_gguf *g)
{
	uint64_t alignment = DEFAULT_ALIGNMENT;
	int status = trit_gguf_get_u64(g, "general.alignment", UINT32_MAX, &alignment, c->err);

	if (status < 0)
		return status;
	if (alignment < 8 || (alignment & (alignment - 1)) != 0)
		return trit_fail(c->err, TRIT_ERR_FORMAT,
		                 "key 'general.alignment': %" PRIu64
		                 ", but an alignment is a power of two from 8 on (usually 32); "
		                 "the file is damaged",
		                 alignment);
	g->alignment = (uint32_t)alignment;
	return 0;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

/* Reads the dims and what type and shape make of them. */
static int read_shape(struct cursor *c, struct trit_gguf_tensor *t)
{
	const struct trit_ggml_type_info *info;
	struct trit_error why;
	size_t rows = 1;
	int status = take_u32(c, &t->n_dims);

	if (status < 0)
		return status;
	if (t->n_dims < 1 || t->n_dims > 4)
		return fail(c, TRIT_ERR_FORMAT, "%" PRIu32 " dimensions; tensors have 1 to 4; the file is damaged",
		            t->n_dims);
	for (uint32_t i = 0; i < 4; i++) {
		t->dims[i] = 1;
		if (i < t->n_dims)
			status = take_u64(c, &t->dims[i]);
		if (status < 0)
			return status;
		if (t->dims[i] == 0)
			return fail(c, TRIT_ERR_FORMAT, "dimension %" PRIu32 " is 0; the file is damaged", i);
		if (i > 0 && (t->dims[i] > SIZE_MAX || !trit_mul_size(&rows, rows, (size_t)t->dims[i])))
			return fail(c, TRIT_ERR_FORMAT, "dimension %" PRIu32 " is %" PRIu64
			            ": more elements than can exist; the file is damaged", i, t->dims[i]);
	}
	status = take_u32(c, &t->type);
	if (status < 0)
		return status;
	if (trit_gguf_type_unsure(t->type))
		return 0; /* settled when all offsets are known */
	info = trit_ggml_type_info(t->type);
	if (!info || info->file_id != t->type)
		return fail(c, TRIT_ERR_UNSUPPORTED, "type %" PRIu32 ": %s", t->type, trit_ggml_type_hint(t->type));
	status = trit_ggml_tensor_bytes(t->type, rows, t->dims[0], &t->bytes, &why);
	if (status == TRIT_ERR_UNSUPPORTED)
		return fail(c, status, "%s", why.message);
	if (status < 0)
		return fail(c, TRIT_ERR_FORMAT, "%s; the file is damaged", why.message);
	return 0;
}

/* The offset stays relative to the data until all infos are read. */
static int read_tensor(struct cursor *c, struct trit_gguf *g, uint64_t number)
{
	struct trit_gguf_tensor *t = &g->tensors[number];
	char *copy = g->names + number * (MAX_TENSOR_NAME + 1);
	const char *name = NULL;
	size_t len = 0;
	int status;

	snprintf(c->part, sizeof c->part, "tensor %" PRIu64, number);
	status = take_name(c, &name, &len, MAX_TENSOR_NAME);
	if (status < 0)
		return status;
	memcpy(copy, name, len); /* a zero follows: the storage was zeroed and has room for the longest name */
	t->name = copy;
	snprintf(c->part, sizeof c->part, "tensor %" PRIu64 " (%s)", number, copy);
	status = read_shape(c, t);
	if (status == 0)
		status = take_u64(c, &t->offset);
	if (status == 0 && t->offset % g->alignment != 0)
		status = fail(c, TRIT_ERR_FORMAT, "offset %" PRIu64 ", not a multiple of the alignment %" PRIu32
		              "; the file is damaged", t->offset, g->alignment);
	return status;
}

static int compare_tensors(const void *a, const void *b)
{
	const struct trit_gguf_tensor *x = *(const struct trit_gguf_tensor *const *)a;
	const struct trit_gguf_tensor *y = *(const struct trit_gguf_tensor *const *)b;

	return strcmp(x->name, y->name);
}

static int compare_offsets(const void *a, const void *b)
{
	const struct trit_gguf_tensor *x = *(const struct trit_gguf_tensor *const *)a;
	const struct trit_gguf_tensor *y = *(const struct trit_gguf_tensor *const *)b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Settles types, makes offsets absolute and sets data. Uses the index sorted by offset for a moment. */
static int place_tensors(struct cursor *c, struct trit_gguf *g)
{
	size_t padding = (g->alignment - c->at % g->alignment) % g->alignment, start;
	int status;

	if (g->n_tensors == 0)
		return 0; /* a file of keys may end without the padding */
	if (padding > c->size - c->at) {
		snprintf(c->part, sizeof c->part, "tensor data");
		return fail(c, TRIT_ERR_FORMAT, "the file ends before it; it is truncated, copy or download it again");
	}
	start = c->at + padding;
	qsort(g->tensor_index, (size_t)g->n_tensors, sizeof *g->tensor_index, compare_offsets);
	status = trit_gguf_settle_types(g, c->size - start, c->err);
	if (status < 0)
		return status;
	for (uint64_t i = 0; i < g->n_tensors; i++) {
		struct trit_gguf_tensor *t = &g->tensors[i];

		if (t->offset > c->size - start || t->bytes > c->size - start - t->offset)
			return trit_fail_at(
				c->err, TRIT_ERR_FORMAT, (int64_t)c->size,
				"tensor %" PRIu64 " (%s): its %" PRIu64 " bytes begin %" PRIu64
				" bytes into the data, but the file has only %zu bytes of data; it is truncated or "
				"damaged, copy or download it again",
				i, t->name, t->bytes, t->offset, c->size - start);
		t->offset += start;
		t->data = c->data + t->offset;
	}
	for (uint64_t i = 1; i < g->n_tensors; i++) {
		const struct trit_gguf_tensor *t = g->tensor_index[i], *before = g->tensor_index[i - 1];

		if (t->offset < before->offset + before->bytes)
			return trit_fail_at(c->err, TRIT_ERR_FORMAT, (int64_t)t->offset,
			                    "tensors %s and %s overlap at byte %" PRIu64 "; the file is damaged",
			                    before->name, t->name, t->offset);
	}
	return 0;
}

/* The index holds all tensors, in any order. */
static int index_tensors(struct trit_gguf *g, struct trit_error *err)
{
	qsort(g->tensor_index, (size_t)g->n_tensors, sizeof *g->tensor_index, compare_tensors);
	for (uint64_t i = 1; i < g->n_tensors; i++)
		if (strcmp(g->tensor_index[i - 1]->name, g->tensor_index[i]->name) == 0)
			return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s is there twice; the file is damaged",
			                 g->tensor_index[i]->name);
	return 0;
}

static int read_tensors(struct cursor *c, struct trit_gguf *g)
{
	int status = 0;

	g->tensors = trit_calloc((size_t)g->n_tensors, sizeof *g->tensors);
	g->tensor_index = trit_calloc((size_t)g->n_tensors, sizeof *g->tensor_index);
	g->names = trit_calloc((size_t)g->n_tensors, MAX_TENSOR_NAME + 1);
	if (!g->tensors || !g->tensor_index || !g->names)
		return fail_memory(c->err);
	for (uint64_t i = 0; status == 0 && i < g->n_tensors; i++) {
		status = read_tensor(c, g, i);
		g->tensor_index[i] = &g->tensors[i];
	}
	if (status == 0)
		status = place_tensors(c, g);
	return status == 0 ? index_tensors(g, c->err) : status;
}

/* ---- open ------------------------------------------------------------------------------------------------------- */

static int read_header(struct cursor *c, struct trit_gguf *g)
{
	const unsigned char *magic;
	int status = take(c, &magic, 4);

	if (status == 0)
		status = take_u32(c, &g->version);
	if (status < 0)
		return status;
	if ((g->version & 0xffff) == 0 && g->version != 0)
		return fail(c, TRIT_ERR_UNSUPPORTED,
		            "a big-endian GGUF file; convert it to little-endian (gguf-convert-endian of "
		            "llama.cpp does)");
	if (g->version == 1)
		return fail(c, TRIT_ERR_UNSUPPORTED,
		            "GGUF version 1, of August 2023; versions 2 and 3 are read, so convert the "
		            "model again");
	if (g->version != 2 && g->version != 3)
		return fail(c, TRIT_ERR_UNSUPPORTED,
		            "GGUF version %" PRIu32 "; versions 2 and 3 are read; the file is damaged, or "
		            "newer than this program",
		            g->version);
	status = take_u64(c, &g->n_tensors);
	if (status == 0)
		status = take_u64(c, &g->n_keys);
	if (status < 0)
		return status;
	if (g->n_keys > (c->size - c->at) / MIN_KEY_BYTES || g->n_tensors > (c->size - c->at) / MIN_TENSOR_BYTES)
		return fail(c, TRIT_ERR_FORMAT,
		            "%" PRIu64 " keys and %" PRIu64 " tensors announced, but only %zu bytes follow; "
		            "the file is truncated or damaged, copy or download it again",
		            g->n_keys, g->n_tensors, c->size - c->at);
	return 0;
}

int trit_gguf_open_bytes(struct trit_gguf *g, const unsigned char *data, size_t size, struct trit_error *err)
{
	struct cursor c = { .data = data, .size = size, .part = "header", .err = err };
	int status;

	*g = (struct trit_gguf){ 0 };
	if (trit_file_kind(data, size) != TRIT_KIND_GGUF)
		return trit_fail_kind(err, TRIT_KIND_GGUF, data, size);
	status = read_header(&c, g);
	if (status == 0)
		status = read_keys(&c, g);
	if (status == 0)
		status = read_alignment(&c, g);
	if (status == 0)
		status = read_tensors(&c, g);
	if (status < 0)
		trit_gguf_close(g);
	return status;
}

int trit_gguf_open_part(struct trit_gguf *g, const char *path, struct trit_error *err)
{
	struct trit_map map;
	int status = trit_map_open(&map, path, err);

	if (status < 0) {
		*g = (struct trit_gguf){ 0 };
		return status;
	}
	status = trit_gguf_open_bytes(g, map.data, map.size, err);
	if (status < 0) {
		trit_map_close(&map);
		return trit_fail_prefix(err, status, "%s", path);
	}
	g->map = map;
	return 0;
}

int trit_gguf_open(struct trit_gguf *g, const char *path, struct trit_error *err)
{
	uint64_t parts = 1;
	int status = trit_gguf_open_part(g, path, err);

	if (status < 0)
		return status;
	status = trit_gguf_parts(g, &parts, err);
	if (status < 0) {
		trit_gguf_close(g);
		return trit_fail_prefix(err, status, "%s", path);
	}
	return parts > 1 ? trit_gguf_join(g, path, parts, err) : 0;
}

uint64_t trit_gguf_file_bytes(const struct trit_gguf *g)
{
	uint64_t bytes = g->map.size;

	for (uint64_t i = 0; i < g->n_parts; i++)
		bytes += g->parts[i].map.size;
	return bytes;
}

int trit_gguf_index(struct trit_gguf *g, struct trit_error *err)
{
	int status = index_keys(g, err);

	if (status < 0)
		return status;
	g->tensor_index = trit_calloc((size_t)g->n_tensors, sizeof *g->tensor_index);
	if (!g->tensor_index)
		return fail_memory(err);
	for (uint64_t i = 0; i < g->n_tensors; i++)
		g->tensor_index[i] = &g->tensors[i];
	return index_tensors(g, err);
}

void trit_gguf_close(struct trit_gguf *g)
{
	if (!g)
		return;
	while (g->storage) {
		struct trit_gguf_block *next = g->storage->next;

		trit_free(g->storage);
		g->storage = next;
	}
	for (uint64_t i = 0; i < g->n_parts; i++)
		trit_gguf_close(&g->parts[i]);
	trit_free(g->parts);
	trit_free(g->keys);
	trit_free(g->tensors);
	trit_free(g->names);
	trit_free(g->key_index);
	trit_free(g->tensor_index);
	trit_map_close(&g->map);
	*g = (struct trit_gguf){ 0 };
}

void trit_gguf_forget(const struct trit_gguf_tensor *t, size_t from, size_t to)
{
	if (!t->built)
		trit_map_forget(t->data + from, to - from);
}

/* ---- look-up and typed access ----------------------------------------------------------------------------------- */

const struct trit_gguf_key *trit_gguf_find_key(const struct trit_gguf *g, const char *name)
{
	struct trit_gguf_key wanted = { .name = name, .name_len = (uint32_t)strlen(name) };
	const struct trit_gguf_key *p = &wanted;
	const struct trit_gguf_key **found = NULL;

	if (g->n_keys > 0)
		found = bsearch(&p, g->key_index, (size_t)g->n_keys, sizeof p, compare_keys);
	return found ? *found : NULL;
}

const struct trit_gguf_tensor *trit_gguf_find_tensor(const struct trit_gguf *g, const char *name)
{
	struct trit_gguf_tensor wanted = { .name = name };
	const struct trit_gguf_tensor *p = &wanted;
	const struct trit_gguf_tensor **found = NULL;

	if (g->n_tensors > 0)
		found = bsearch(&p, g->tensor_index, (size_t)g->n_tensors, sizeof p, compare_tensors);
	return found ? *found : NULL;
}

static int fail_type(const struct trit_gguf_key *k, const char *name, const char *expected, struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_FORMAT, "key '%s' is of type %s; %s is expected", name,
	                 trit_gguf_type_name(k->type), expected);
}

/* An integer as sign and magnitude; false for another type. */
static bool integer_at(uint32_t type, const unsigned char *p, bool *negative, uint64_t *magnitude)
{
	int64_t v;

	switch (type) {
	case TRIT_GGUF_U8: v = p[0]; break;
	case TRIT_GGUF_I8: v = (int8_t)p[0]; break;
	case TRIT_GGUF_U16: v = trit_get16(p); break;
	case TRIT_GGUF_I16: v = (int16_t)trit_get16(p); break;
	case TRIT_GGUF_U32: v = trit_get32(p); break;
	case TRIT_GGUF_I32: v = (int32_t)trit_get32(p); break;
	case TRIT_GGUF_I64: v = (int64_t)trit_get64(p); break;
	case TRIT_GGUF_U64:
		*negative = false;
		*magnitude = trit_get64(p);
		return true;
	default:
		return false;
	}
	*negative = v < 0;
	*magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	return true;
}

static double real_at(uint32_t type, const unsigned char *p)
{
	uint64_t bits;
	double d;

	if (type == TRIT_GGUF_F32)
		return (double)trit_f32_from_bits(trit_get32(p));
	bits = trit_get64(p);
	memcpy(&d, &bits, sizeof d);
	return d;
}

int trit_gguf_get_u64(const struct trit_gguf *g, const char *name, uint64_t max, uint64_t *out, struct trit_error *err)
{
	const struct trit_gguf_key *k = trit_gguf_find_key(g, name);
	uint64_t magnitude;
	bool negative;

	if (!k)
		return 1;
	if (!integer_at(k->type, k->value, &negative, &magnitude))
		return fail_type(k, name, "an integer", err);
	if (negative || magnitude > max)
		return trit_fail(err, TRIT_ERR_FORMAT, "key '%s' is %s%" PRIu64 "; 0 to %" PRIu64 " is expected", name,
		                 negative ? "-" : "", magnitude, max);
	*out = magnitude;
	return 0;
}

int trit_gguf_get_f64(const struct trit_gguf *g, const char *name, double *out, struct trit_error *err)
{
	const struct trit_gguf_key *k = trit_gguf_find_key(g, name);

	if (!k)
		return 1;
	if (k->type != TRIT_GGUF_F32 && k->type != TRIT_GGUF_F64)
		return fail_type(k, name, "f32 or f64", err);
	*out = real_at(k->type, k->value);
	return 0;
}

int trit_gguf_get_bool(const struct trit_gguf *g, const char *name, bool *out, struct trit_error *err)
{
	const struct trit_gguf_key *k = trit_gguf_find_key(g, name);

	if (!k)
		return 1;
	if (k->type != TRIT_GGUF_BOOL)
		return fail_type(k, name, "bool", err);
	*out = k->value[0] != 0;
	return 0;
}

int trit_gguf_get_string(const struct trit_gguf *g, const char *name, const char **out, size_t *len,
                         struct trit_error *err)
{
	const struct trit_gguf_key *k = trit_gguf_find_key(g, name);
	const unsigned char *at;

	if (!k)
		return 1;
	if (k->type != TRIT_GGUF_STRING)
		return fail_type(k, name, "a string", err);
	at = k->value;
	trit_gguf_next_string(&at, out, len);
	return 0;
}

void trit_gguf_next_string(const unsigned char **at, const char **out, size_t *len)
{
	*len = (size_t)trit_get64(*at);
	*out = (const char *)*at + 8;
	*at += 8 + *len;
}

size_t trit_gguf_value_bytes(const struct trit_gguf_key *k)
{
	uint32_t type = k->type == TRIT_GGUF_ARRAY ? k->element_type : k->type;
	const unsigned char *end = k->value;

	if (type != TRIT_GGUF_STRING)
		return (size_t)k->n * value_types[type].bytes;
	for (uint64_t i = 0; i < k->n; i++) {
		const char *text;
		size_t len;

		trit_gguf_next_string(&end, &text, &len);
	}
	return (size_t)(end - k->value);
}

double trit_gguf_array_number(const struct trit_gguf_key *k, uint64_t i)
{
	uint32_t type = k->type == TRIT_GGUF_ARRAY ? k->element_type : k->type;
	const unsigned char *p = k->value + i * value_types[type].bytes;
	uint64_t magnitude;
	bool negative;

	if (type == TRIT_GGUF_BOOL)
		return p[0];
	if (integer_at(type, p, &negative, &magnitude))
		return negative ? -(double)magnitude : (double)magnitude;
	return real_at(type, p);
}
