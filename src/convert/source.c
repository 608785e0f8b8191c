/*
 * source.c - the order of rotary pairs.
 *
 * Hugging Face's networks rotate element i of a head with element i + R/2; GGUF's "llama" rotates 2 i with 2 i + 1, and
 * has the rows of queries and keys in the order that makes it the same:
 *
 *     row  2 j + i  of a head there  =  row  i R/2 + j  here        i < 2, j < R/2
 *
 * Rows from R on do not rotate and stay.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/source.h"

#include "base/mem.h"

bool trit_source_is_half(const struct trit_source *s)
{
	return s->config.rope_half;
}

/* The row of `from` that is row `row`. */
static size_t row_of(const struct trit_reordered *r, size_t row)
{
	const struct trit_config *c = &r->from->config;
	return trit_rope_row(c->head_dim, c->n_rot, c->rope_half, r->half, row);
}

static int reordered_type(void *arg, const struct trit_tensor_walk *w)
{
	const struct trit_reordered *r = arg;
	return r->from->type(r->from->arg, w);
}

/* Scales of rows, or of groups of columns of a row, go where their rows go. */
static int reorder_scales(const struct trit_reordered *r, const struct trit_tensor_walk *w, float *scales,
                          struct trit_error *err)
{
	enum trit_scaling scaling = r->from->scaling;
	size_t n = trit_scale_count(scaling, w->rows, w->cols);
	size_t step = scaling == TRIT_SCALE_ROW ? w->cols : (size_t)scaling;
	float *copy = trit_calloc(n, sizeof *copy);
	if (!copy)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scales", n);
	memcpy(copy, scales, n * sizeof *copy);
	for (size_t row = 0; row < w->rows; row++)
		for (size_t col = 0; col < w->cols; col += step)
			scales[trit_scale_index(scaling, row, col, w->cols)] =
				copy[trit_scale_index(scaling, row_of(r, row), col, w->cols)];
	trit_free(copy);
	return TRIT_OK;
}

static int reordered_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	const struct trit_reordered *r = arg;
	int e = r->from->scales(r->from->arg, w, scales, err);
	if (e || !trit_tensor_has_pairs(w->id) || r->from->scaling == TRIT_SCALE_TENSOR)
		return e;
	return reorder_scales(r, w, scales, err);
}

static int reordered_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                           struct trit_error *err)
{
	const struct trit_reordered *r = arg;
	const struct trit_source *s = r->from;
	int e = TRIT_OK;
	if (!trit_tensor_has_pairs(w->id))
		return s->codes(s->arg, w, row0, n, codes, err);
	for (size_t i = 0; i < n && !e; i++)
		e = s->codes(s->arg, w, row_of(r, row0 + i), 1, codes + i * w->cols, err);
	return e;
}

/* A bias is one row; its elements go where the rows of its projection go. */
static int reorder_bias(const struct trit_reordered *r, const struct trit_tensor_walk *w, float *out,
                        struct trit_error *err)
{
	float *copy = trit_calloc(w->cols, sizeof *copy);
	int e = copy ? r->from->floats(r->from->arg, w, 0, 1, copy, err)
	             : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a bias of %zu elements", w->cols);
	for (size_t i = 0; i < w->cols && !e; i++)
		out[i] = copy[row_of(r, i)];
	trit_free(copy);
	return e;
}

static int reordered_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                            struct trit_error *err)
{
	const struct trit_reordered *r = arg;
	const struct trit_source *s = r->from;
	int e = TRIT_OK;
	if (!trit_tensor_has_pairs(w->id))
		return s->floats(s->arg, w, row0, n, out, err);
	if (w->bias)
		return reorder_bias(r, w, out, err);
	for (size_t i = 0; i < n && !e; i++)
		e = s->floats(s->arg, w, row_of(r, row0 + i), 1, out + i * w->cols, err);
	return e;
}

static int reordered_bytes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, unsigned char *out,
                           struct trit_error *err)
{
	const struct trit_reordered *r = arg;
	const struct trit_source *s = r->from;
	int e = TRIT_OK;
	if (!trit_tensor_has_pairs(w->id) || w->bias)
		return s->bytes(s->arg, w, row0, n, out, err);
	const struct trit_ggml_type_info *info = trit_ggml_type_info((uint32_t)s->type(s->arg, w));
	size_t row = w->cols / (size_t)info->block * (size_t)info->block_bytes;
	for (size_t i = 0; i < n && !e; i++)
		e = s->bytes(s->arg, w, row_of(r, row0 + i), 1, out + i * row, err);
	return e;
}

static void reordered_done(void *arg, const struct trit_tensor_walk *w)
{
	const struct trit_reordered *r = arg;
	r->from->done(r->from->arg, w);
}

void trit_source_reorder(struct trit_source *out, struct trit_reordered *r, const struct trit_source *from, bool half)
{
	*out = *from;
	if (trit_source_is_half(from) == half)
		return;
	*r = (struct trit_reordered){ from, half };
	out->arg = r;
	out->type = from->type ? reordered_type : NULL;
	out->scales = reordered_scales;
	out->codes = reordered_codes;
	out->floats = reordered_floats;
	out->bytes = from->bytes ? reordered_bytes : NULL;
	out->config.rope_half = half;
	out->done = from->done ? reordered_done : NULL;
}
