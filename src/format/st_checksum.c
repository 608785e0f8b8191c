/*
 * st_checksum.c - computes and checks the checksums of a safetensors file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/st_checksum.h"

#include <inttypes.h>

#include "base/xxh64.h"

#define DIGITS 16

uint64_t trit_st_sum_bytes(size_t len, const void *bytes)
{
	return trit_xxh64(len, bytes, 0);
}

/* The first sum seeds the second, so nothing needs to be put together: names and values may have any length. */
uint64_t trit_st_sum_meta(const char *name, const char *value)
{
	return trit_xxh64(strlen(value), value, trit_xxh64(strlen(name), name, 0));
}

uint64_t trit_st_sum_tensor(const char *name, enum trit_dtype dtype, int n_dims, const uint64_t *shape)
{
	char text[16 + TRIT_SAFETENSORS_MAX_DIMS * 24];
	int n = snprintf(text, sizeof text, "%s", trit_dtype_name(dtype));
	for (int i = 0; i < n_dims; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, " %" PRIu64, shape[i]);
	return trit_st_sum_meta(name, text);
}

bool trit_st_has_checksums(const struct trit_safetensors *s)
{
	return trit_safetensors_meta(s, TRIT_ST_CHECKSUM) != NULL;
}

static bool read_sum(const char *text, uint64_t *out)
{
	*out = 0;
	for (int i = 0; i < DIGITS; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (digit < 0)
			return false;
		*out = *out << 4 | (uint64_t)digit;
	}
	return true;
}

int trit_st_check_header(const struct trit_safetensors *s, struct trit_error *err)
{
	const char *text = trit_safetensors_meta(s, TRIT_ST_CHECKSUM);
	uint64_t sum = 0, stored;
	if (!text || strlen(text) != DIGITS || !read_sum(text, &stored))
		return trit_fail(err, TRIT_ERR_FORMAT, "the header has no checksum; the file is damaged");
	for (size_t i = 0; i < s->n_meta; i++)
		if (strcmp(s->meta[i].name, TRIT_ST_CHECKSUM))
			sum += trit_st_sum_meta(s->meta[i].name, s->meta[i].value);
	for (size_t i = 0; i < s->n_tensors; i++)
		sum += trit_st_sum_tensor(s->tensors[i].name, s->tensors[i].dtype, s->tensors[i].n_dims, s->tensors[i].shape);
	if (sum != stored)
		return trit_fail(err, TRIT_ERR_FORMAT, "the header is not what was written (its checksum is another); the file "
		                 "is damaged");
	return TRIT_OK;
}

int trit_st_check(const struct trit_safetensors *s, struct trit_error *err)
{
	const char *text = trit_safetensors_meta(s, TRIT_ST_CHECKSUMS);
	int e = trit_st_check_header(s, err);
	if (e)
		return e;
	if (!text || strlen(text) / DIGITS != s->n_tensors || strlen(text) % DIGITS)
		return trit_fail(err, TRIT_ERR_FORMAT, "the header has not a checksum for each of the %zu tensors",
		                 s->n_tensors);
	for (size_t i = 0; i < s->n_tensors; i++) {
		const struct trit_st_tensor *t = &s->tensors[i];
		uint64_t stored;
		if (!read_sum(text + i * DIGITS, &stored) || trit_st_sum_bytes(t->bytes, t->data) != stored)
			return trit_fail(err, TRIT_ERR_FORMAT, "tensor %.100s: its data is not what was written (its checksum is "
			                 "another); the file is damaged", t->name);
		if (s->map.size)
			trit_map_forget(t->data, t->bytes);
	}
	return TRIT_OK;
}
