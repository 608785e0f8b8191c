/*
 * repack.c - tensors of a file to the layouts that kernels read.
 *
 * Threads share the rows of a tensor, each taking pieces of whole blocks of 16 through its scratch: the file's type to
 * int8 (or to fp32 and then int8), int8 to the layout.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/repack.h"

#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "model/quant.h"

/* Weights of a piece: its codes and numbers stay in a core's second-level cache. */
#define PIECE ((size_t)1 << 17)
/* Bytes of the file that a thread reads before it gives them back. */
#define FORGET ((size_t)4 << 20)

struct trit_repack_thread {
	int8_t *codes; /* [scratch] */
	float *floats;
	uint64_t counts[3];
	struct trit_survey survey;
	int status;
	struct trit_error err;
};

struct job {
	struct trit_repack *repack;
	const struct trit_tensor_walk *w;
	const struct trit_gguf_tensor *t;
	size_t rows, cols;
	enum trit_layout layout;
	enum trit_scaling scaling;
	unsigned char *out;
	float *scales;
	const struct trit_kernels *kernels;
	const unsigned char *packed; /* to count */
	struct trit_weight_scale scale; /* of master weights */
	float *sums;                    /* of their magnitudes, piece by piece */
	float *floats;                  /* to be filled */
	uint16_t *halves;               /* likewise */
	/* Does rows [row, row + n). */
	int (*piece)(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n);
};

/* ---- threads ----------------------------------------------------------------------------------------------------- */

int trit_repack_init(struct trit_repack *r, int n_threads, size_t cols, struct trit_error *err)
{
	size_t least = cols * TRIT_BLOCK_ROWS;
	*r = (struct trit_repack){ .scratch = least > PIECE ? least : PIECE };
	int e = n_threads > 1 ? trit_pool_new(&r->pool, n_threads, err) : TRIT_OK;
	if (e)
		return e;
	r->threads = trit_calloc((size_t)n_threads, sizeof *r->threads);
	for (int i = 0; i < n_threads && r->threads && !e; i++) {
		struct trit_repack_thread *t = &r->threads[i];
		t->codes = trit_calloc(r->scratch, 1);
		t->floats = trit_calloc(r->scratch, sizeof *t->floats);
		e = t->codes && t->floats ? TRIT_OK : TRIT_ERR_MEMORY;
	}
	if (r->threads && !e)
		return TRIT_OK;
	trit_repack_release(r);
	return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to repack weights with %d threads", n_threads);
}

void trit_repack_release(struct trit_repack *r)
{
	int n = r->pool ? trit_pool_size(r->pool) : 1;
	for (int i = 0; i < n && r->threads; i++) {
		trit_free(r->threads[i].codes);
		trit_free(r->threads[i].floats);
	}
	trit_free(r->threads);
	trit_pool_free(r->pool);
	*r = (struct trit_repack){ 0 };
}

/* Bytes of rows [0, row) of the tensor; row a multiple of 16, or all. 0 where rows do not lie one after the other. */
static size_t bytes_before(const struct job *j, size_t row)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(j->t->type);
	size_t bytes = info->packed ? trit_layout_bytes(trit_packed_layout(j->t), row, j->cols)
	                            : (size_t)trit_ggml_bytes_before(info, j->cols, row);
	return bytes < j->t->bytes ? bytes : (size_t)j->t->bytes;
}

static void run_thread(void *arg, int index, int n)
{
	const struct job *j = arg;
	struct trit_repack_thread *t = &j->repack->threads[index];
	size_t first, end, step = j->repack->scratch / j->cols / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS;
	t->status = TRIT_OK;
	memset(t->counts, 0, sizeof t->counts);
	t->survey = (struct trit_survey){ 0 };
	trit_part(j->rows, TRIT_BLOCK_ROWS, index, n, &first, &end);
	for (size_t row = first, next, kept = first; row < end && !t->status; row = next) {
		next = end - row < step ? end : row + step;
		t->status = j->piece(j, t, row, next - row);
		/* What was read is not needed again. Not after each piece: every call interrupts the other threads. */
		size_t from = j->t ? bytes_before(j, kept) : 0, to = j->t ? bytes_before(j, next) : 0;
		if (to - from >= FORGET || (next == end && to > from)) {
			trit_gguf_forget(j->t, from, to);
			kept = next;
		}
	}
}

/* Runs the job; the first thread's error, in the order of rows, is the one reported. */
static int run_job(struct job *j, struct trit_error *err)
{
	int n = j->repack->pool ? trit_pool_size(j->repack->pool) : 1;
	trit_pool_run(j->repack->pool, run_thread, j);
	if (j->t && !bytes_before(j, j->rows)) /* threads could not tell what is not needed again */
		trit_gguf_forget(j->t, 0, (size_t)j->t->bytes);
	for (int i = 0; i < n; i++)
		if (j->repack->threads[i].status) {
			if (err)
				*err = j->repack->threads[i].err;
			return j->repack->threads[i].status;
		}
	return TRIT_OK;
}

/* ---- integer weights --------------------------------------------------------------------------------------------- */

/* The codes of rows [row, row + n) to the layout. */
static int pack_codes(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	if (j->layout == TRIT_B1 && memchr(t->codes, 0, n * j->cols))
		return trit_fail(&t->err, TRIT_ERR_FORMAT, "%s: layout b1 holds -1 and +1 only, and there is a 0", j->t->name);
	trit_pack(j->layout, j->out, row, t->codes, n, j->cols);
	return TRIT_OK;
}

static int codes_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	int e = trit_tensor_codes(j->w, j->t, row, n, t->codes, &t->err);
	return e ? e : pack_codes(j, t, row, n);
}

int trit_repack_codes(struct trit_repack *r, enum trit_layout layout, unsigned char *out,
                      const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, struct trit_error *err)
{
	struct job j = { .repack = r, .w = w, .t = t, .rows = w->rows, .cols = w->cols, .layout = layout, .out = out,
		         .piece = codes_piece };
	return run_job(&j, err);
}

/* ---- looking at them --------------------------------------------------------------------------------------------- */

static int survey_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	return trit_survey_rows(&t->survey, j->w, j->t, row, n, &t->err);
}

int trit_repack_survey(struct trit_repack *r, struct trit_form *form, const struct trit_tensor_walk *w,
                       const struct trit_gguf_tensor *t, struct trit_error *err)
{
	struct job j = { .repack = r, .w = w, .t = t, .rows = w->rows, .cols = w->cols, .piece = survey_piece };
	struct trit_survey all = { 0 };
	int e = run_job(&j, err);
	for (int i = 0; i < (r->pool ? trit_pool_size(r->pool) : 1); i++)
		trit_survey_join(&all, &r->threads[i].survey);
	*form = trit_survey_form(&all, t);
	return e;
}

static int check_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	return trit_tensor_codes(j->w, j->t, row, n, t->codes, &t->err);
}

bool trit_repack_is_ternary(struct trit_repack *r, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t)
{
	struct job j = { .repack = r, .w = w, .t = t, .rows = w->rows, .cols = w->cols, .piece = check_piece };
	return run_job(&j, NULL) == TRIT_OK;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

int trit_dense_type(uint32_t ggml_type)
{
	switch (ggml_type) {
	case TRIT_GGML_F32:
		return TRIT_DENSE_F32;
	case TRIT_GGML_F16:
		return TRIT_DENSE_F16;
	case TRIT_GGML_BF16:
		return TRIT_DENSE_BF16;
	case TRIT_GGML_Q8_0:
		return TRIT_DENSE_Q8_0;
	default:
		return -1;
	}
}

/* Rows as numbers: by the kernels where they know the type, which is several times as fast. */
static int read_floats(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	int type = trit_dense_type(j->t->type);
	if (type < 0)
		return trit_tensor_floats(j->w, j->t, row, n, t->floats, &t->err);
	for (size_t i = 0; i < n; i++)
		j->kernels->row_dense[type](t->floats + i * j->cols,
		                            j->t->data + (row + i) * trit_dense_row_bytes((enum trit_dense_type)type, j->cols),
		                            (int)j->cols);
	return TRIT_OK;
}

static int quantise_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	int e = read_floats(j, t, row, n);
	if (e)
		return e;
	if (!trit_quantise_rows(j->layout, j->scaling, t->codes, j->scales, t->floats, row, n, j->cols))
		return trit_fail(&t->err, TRIT_ERR_FORMAT, "%s: rows %zu to %zu have a number that is not finite", j->t->name,
		                 row, row + n - 1);
	trit_pack(j->layout, j->out, row, t->codes, n, j->cols);
	return TRIT_OK;
}

int trit_repack_quantise(struct trit_repack *r, enum trit_layout layout, enum trit_scaling scaling,
                         unsigned char *out, float *scales, const struct trit_kernels *k,
                         const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, struct trit_error *err)
{
	struct job j = { .repack = r, .w = w, .t = t, .rows = w->rows, .cols = w->cols, .layout = layout,
		         .scaling = scaling, .out = out, .scales = scales, .kernels = k, .piece = quantise_piece };
	return run_job(&j, err);
}

static int floats_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	int e = read_floats(j, t, row, n);
	if (!e)
		memcpy(j->floats + row * j->cols, t->floats, n * j->cols * sizeof *t->floats);
	return e;
}

int trit_repack_floats(struct trit_repack *r, float *out, const struct trit_kernels *k,
                       const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, struct trit_error *err)
{
	struct job j = { .repack = r, .w = w, .t = t, .rows = w->rows, .cols = w->cols, .kernels = k, .floats = out,
		         .piece = floats_piece };
	return run_job(&j, err);
}

static int halves_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	int e = read_floats(j, t, row, n);
	uint16_t *out = j->halves + row * j->cols;
	for (size_t i = 0; i < n * j->cols && !e; i++) {
		if (!(fabsf(t->floats[i]) < 65520)) /* what rounds to infinity, and what is no number */
			e = trit_fail(&t->err, TRIT_ERR_UNSUPPORTED,
			              "%s: weight %g in row %zu is beyond IEEE half; convert the file with --type f32",
			              j->t->name, (double)t->floats[i], row + i / j->cols);
		out[i] = trit_f32_to_f16(t->floats[i]);
	}
	return e;
}

int trit_repack_halves(struct trit_repack *r, uint16_t *out, const struct trit_kernels *k,
                       const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t, struct trit_error *err)
{
	struct job j = { .repack = r, .w = w, .t = t, .rows = w->rows, .cols = w->cols, .kernels = k, .halves = out,
		         .piece = halves_piece };
	return run_job(&j, err);
}

/* ---- master weights ---------------------------------------------------------------------------------------------- */

/* Of a matrix as a flat run of weights, `cols` = TRIT_QUANT_PIECE of them a row but for the last: their sums, which do
 * not depend on how threads share them. */
static int sum_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(j->t->type);
	size_t all = j->w->rows * j->w->cols;
	for (size_t i = row; i < row + n; i++) {
		size_t first = i * TRIT_QUANT_PIECE, len = all - first < TRIT_QUANT_PIECE ? all - first : TRIT_QUANT_PIECE;
		trit_ggml_decode_row(j->t->type, j->t->data + first * (size_t)info->block_bytes, len, 0, t->floats);
		j->sums[i] = j->kernels->sum_abs(t->floats, (int)len);
		if (!isfinite(j->sums[i]))
			return trit_fail(&t->err, TRIT_ERR_FORMAT, "%s: rows %zu to %zu have a number that is not finite",
			                 j->t->name, first / j->w->cols, (first + len - 1) / j->w->cols);
	}
	return TRIT_OK;
}

static int ternarise_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	int e = read_floats(j, t, row, n);
	if (e)
		return e;
	trit_weight_codes(j->kernels, TRIT_WEIGHT_TERNARY, j->scale, t->codes, t->floats, n * j->cols);
	return pack_codes(j, t, row, n);
}

int trit_repack_ternarise(struct trit_repack *r, enum trit_layout layout, unsigned char *out, float *scale,
                          const struct trit_kernels *k, const struct trit_tensor_walk *w,
                          const struct trit_gguf_tensor *t, struct trit_error *err)
{
	size_t all = w->rows * w->cols, pieces = (all + TRIT_QUANT_PIECE - 1) / TRIT_QUANT_PIECE;
	struct job j = { .repack = r, .w = w, .t = t, .rows = pieces, .cols = TRIT_QUANT_PIECE, .layout = layout,
		         .out = out, .kernels = k, .piece = sum_piece };
	if (trit_ggml_type_info(t->type)->block != 1)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: master weights of type %s; they are F32, F16 or BF16", t->name,
		                 trit_ggml_type_info(t->type)->name);
	j.sums = trit_calloc(pieces, sizeof *j.sums);
	if (!j.sums)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu sums", pieces);
	int e = run_job(&j, err);
	j.scale = trit_weight_scale_of_sums(j.sums, all);
	trit_free(j.sums);
	j.rows = w->rows;
	j.cols = w->cols;
	j.piece = ternarise_piece;
	*scale = j.scale.scale;
	return e ? e : run_job(&j, err);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static int count_piece(const struct job *j, struct trit_repack_thread *t, size_t row, size_t n)
{
	size_t total = n * j->cols, minus = 0, plus = 0;
	trit_unpack_rows(j->layout, t->codes, j->packed, row, n, j->cols);
	/* Sums of at most 255 ones, so that they are bytes and the compiler counts a register of them at once. */
	for (size_t i = 0; i < total;) {
		uint8_t below = 0, above = 0;
		for (size_t end = total - i < 255 ? total : i + 255; i < end; i++) {
			below += t->codes[i] < 0;
			above += t->codes[i] > 0;
		}
		minus += below;
		plus += above;
	}
	t->counts[0] += minus;
	t->counts[1] += total - minus - plus;
	t->counts[2] += plus;
	return TRIT_OK;
}

void trit_count_codes(struct trit_repack *r, uint64_t counts[3], enum trit_layout layout, const unsigned char *w,
                      size_t rows, size_t cols)
{
	struct job j = { .repack = r, .rows = rows, .cols = cols, .layout = layout, .packed = w, .piece = count_piece };
	int n = r->pool ? trit_pool_size(r->pool) : 1;
	trit_pool_run(r->pool, run_thread, &j);
	for (int i = 0; i < n; i++)
		for (int c = 0; c < 3; c++)
			counts[c] += r->threads[i].counts[c];
}
