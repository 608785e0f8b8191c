/*
 * tensor_check.c - looks at every number of a file's tensors, a few rows at a time, a tensor a thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/tensor_check.h"

#include <math.h>

#include "base/mem.h"
#include "model/tensors.h"

#define PIECE_ELEMENTS ((size_t)1 << 16)
#define PIECE_ROWS 16 /* of which a piece is a multiple: rows of the packed types lie in groups of so many */

/* A tensor being looked at. */
struct look {
	const struct trit_gguf *g;
	const struct trit_gguf_tensor *t;
	const struct trit_ggml_type_info *type;
	struct trit_tensor_walk w; /* rows and cols only */
	size_t piece;              /* rows */
	float *buffer;             /* [piece, cols] */
	struct trit_tensor_findings *found;
};

/* The factor blk.N.NAME.scale beside blk.N.NAME.weight; 1 without. */
static float find_factor(const struct look *l)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	size_t len = strlen(l->t->name), stem = len - strlen("weight");
	const struct trit_gguf_tensor *factor;
	if (len < strlen("weight") || len >= sizeof name || strcmp(l->t->name + stem, "weight") != 0)
		return 1;
	snprintf(name, sizeof name, "%.*sscale", (int)stem, l->t->name);
	factor = trit_gguf_find_tensor(l->g, name);
	if (!factor || factor->type != TRIT_GGML_F32 || factor->bytes != sizeof(float))
		return 1;
	float f;
	memcpy(&f, factor->data, sizeof f);
	return f;
}

static int add_scales(const struct look *l, const float *scales, size_t n)
{
	struct trit_tensor_findings *f = l->found;
	for (size_t i = 0; i < n; i++) {
		float scale = fabsf(scales[i]);
		if (!isfinite(scale) || scales[i] < 0)
			return trit_fail(&f->err, TRIT_ERR_FORMAT, "scale %zu is %g", i, (double)scales[i]);
		if (scale == 0) {
			f->n_zero_scales++;
			continue;
		}
		f->least_scale = f->n_scales == f->n_zero_scales || scale < f->least_scale ? scale : f->least_scale;
		f->greatest_scale = scale > f->greatest_scale ? scale : f->greatest_scale;
	}
	f->n_scales += n;
	return TRIT_OK;
}

/* The scales of rows [row0, row0 + n); those of a packed type, or of the whole tensor, with the first rows. */
static int look_at_scales(const struct look *l, size_t row0, size_t n)
{
	size_t rows = l->w.rows, cols = l->w.cols, run;
	float scale = 1;
	int e;
	if (l->type->packed && row0 == 0) {
		const float *scales = (const float *)(const void *)(l->t->data +
		                                                    trit_layout_bytes(trit_packed_layout(l->t), rows, cols));
		/* Rows that fill up the last group have scales too, whatever they are. */
		return add_scales(l, scales, trit_scale_count(trit_packed_scaling(l->t), rows / 16 * 16, cols));
	}
	run = (size_t)trit_ggml_run(l->type, cols);
	if (l->type->packed || (run == 0 && row0 > 0))
		return TRIT_OK;
	e = trit_ggml_decode_scales(l->t->type, l->t->data, rows, cols, row0, run ? n : 1, run ? l->buffer : &scale,
	                            &l->found->err);
	return e ? e : add_scales(l, run ? l->buffer : &scale, run ? n * (cols / run) : 1);
}

static int look_at_codes(const struct look *l, size_t row0, size_t n)
{
	int8_t *codes = (int8_t *)l->buffer;
	int e = look_at_scales(l, row0, n);
	if (!e)
		e = trit_tensor_codes(&l->w, l->t, row0, n, codes, &l->found->err);
	for (size_t i = 0; i < n * l->w.cols && !e; i++)
		l->found->codes[(codes[i] + 1) & 3]++;
	return e;
}

static int look_at_numbers(const struct look *l, size_t row0, size_t n)
{
	struct trit_tensor_findings *f = l->found;
	double squares = 0;
	int e = trit_tensor_floats(&l->w, l->t, row0, n, l->buffer, &f->err);
	for (size_t i = 0; i < n * l->w.cols && !e; i++) {
		double x = (double)l->buffer[i];
		if (!isfinite(x)) {
			f->n_bad++;
			continue;
		}
		squares += x * x;
		f->least = x < f->least ? x : f->least;
		f->greatest = x > f->greatest ? x : f->greatest;
	}
	f->rms += squares;
	return e;
}

static void look_at(struct look *l, struct trit_error *err)
{
	struct trit_tensor_findings *f = l->found;
	const struct trit_gguf_tensor *t = l->t;
	l->type = trit_ggml_type_info(t->type);
	l->w = (struct trit_tensor_walk){ .rows = (size_t)(t->dims[1] * t->dims[2] * t->dims[3]),
		                          .cols = (size_t)t->dims[0] };
	*f = (struct trit_tensor_findings){ .n = (uint64_t)l->w.rows * l->w.cols };
	f->readable = l->type && (l->type->readable || l->type->packed) && f->n > 0;
	f->ternary = f->readable && l->type->ternary;
	if (!f->readable)
		return;
	f->least = HUGE_VAL;
	f->greatest = -HUGE_VAL;
	l->piece = (PIECE_ELEMENTS / l->w.cols + PIECE_ROWS - 1) / PIECE_ROWS * PIECE_ROWS;
	l->piece = l->piece ? l->piece : PIECE_ROWS;
	l->piece = l->piece < l->w.rows ? l->piece : l->w.rows;
	l->buffer = trit_calloc(l->piece * l->w.cols, sizeof *l->buffer);
	if (!l->buffer) {
		trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to look at %s", t->name);
		return;
	}
	int e = TRIT_OK;
	for (size_t row = 0, n; row < l->w.rows && !e; row += n) {
		n = l->w.rows - row < l->piece ? l->w.rows - row : l->piece;
		e = f->ternary ? look_at_codes(l, row, n) : look_at_numbers(l, row, n);
	}
	trit_free(l->buffer);
	f->rms = sqrt(f->rms / (double)f->n);
	float factor = f->ternary ? find_factor(l) : 1;
	f->least_scale *= factor;
	f->greatest_scale *= factor;
}

struct job {
	const struct trit_gguf *g;
	struct trit_tensor_findings *out;
	struct trit_error *errors; /* one a thread */
};

static void look_at_some(void *arg, int index, int n)
{
	const struct job *job = arg;
	for (uint64_t i = (uint64_t)index; i < job->g->n_tensors; i += (uint64_t)n) {
		struct look l = { .g = job->g, .t = &job->g->tensors[i], .found = &job->out[i] };
		look_at(&l, &job->errors[index]);
	}
}

int trit_check_tensors(struct trit_tensor_findings *out, const struct trit_gguf *g, struct trit_pool *pool,
                       struct trit_error *err)
{
	int n = pool ? trit_pool_size(pool) : 1, e = TRIT_OK;
	struct job job = { g, out, trit_calloc((size_t)n, sizeof(struct trit_error)) };
	if (!job.errors)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to look at tensors");
	trit_pool_run(pool, look_at_some, &job);
	for (int i = 0; i < n && !e; i++) {
		e = job.errors[i].status;
		if (e && err)
			*err = job.errors[i];
	}
	trit_free(job.errors);
	return e;
}
