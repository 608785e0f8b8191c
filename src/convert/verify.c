/*
 * verify.c - compares a file with its source.
 *
 * Both are read as sources, a chunk of a tensor at a time. Ternary weights of both sides must be the same codes of the
 * same scales. Everything else becomes numbers: F32 must be the same bits, other types may differ by what they round
 * to, a share of the largest magnitude of a block.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/verify.h"

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "convert/chunks.h"
#include "convert/input.h"
#include "model/config_keys.h"

/* Masters give back a scale within a few last places (convert/masters.h). */
#define MASTER_ROUNDING 1e-6f

struct side {
	const struct trit_source *s;
	float *scales; /* of a tensor */
};

struct verifier {
	struct side from, to;
	struct trit_chunks chunks;
	struct trit_verified *v;
	int64_t done, total; /* weights */
	/* the tensor */
	struct trit_tensor_walk t;
	bool coded;      /* on both sides */
	int type;        /* of the result */
	size_t block;    /* numbers that share a rounding */
	float share;     /* of the largest of them, that each may differ by; 0: none */
};

/* What a chunk found, in its room for bytes before the other side's numbers. */
struct found {
	uint64_t exact, rounded;
	double worst;
	_Alignas(64) float floats[];
};

static bool is_coded(const struct side *a, const struct trit_tensor_walk *t)
{
	return a->s->quantised && trit_walk_kind(t) == TRIT_KIND_LINEAR;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Numbers of a type that share a rounding, and how much of the largest of them it is. */
static void rounding_of(int type, size_t cols, size_t *block, float *share)
{
	static const struct {
		int type, block;
		float share;
	} known[] = {
		{ TRIT_GGML_F32, 1, 0 },           { TRIT_GGML_F16, 1, 0x1p-11f },    { TRIT_GGML_BF16, 1, 0x1p-8f },
		{ TRIT_GGML_Q8_0, 32, 0.0045f },     { TRIT_GGML_Q4_0, 32, 0.127f }, { TRIT_GGML_Q6_K, 256, 1.1f / 32 },
	};
	const struct trit_ggml_type_info *info = type < 0 ? NULL : trit_ggml_type_info((uint32_t)type);
	*block = 1;
	*share = 0;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].type == type) {
			*block = (size_t)known[i].block;
			*share = known[i].share;
		}
	if (info && info->packed) {
		*block = info->scaling > TRIT_SCALE_ROW ? (size_t)info->scaling : cols;
		*share = 0.51f / (float)trit_layouts[info->layout].max;
	}
}

static int fail_number(const struct verifier *v, size_t row, size_t col, float want, float got, struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	trit_walk_name(name, &v->t);
	return trit_fail(err, TRIT_ERR_FORMAT, "%s, row %zu, column %zu: %.9g is there, not %.9g; the file is wrong", name,
	                 row, col, (double)got, (double)want);
}

/* Numbers of one side: what it has, or codes times scales. */
static int read_numbers(const struct verifier *v, const struct side *a, struct trit_chunk *p, float *out)
{
	const struct trit_source *s = a->s;
	size_t cols = v->t.cols, i = 0;
	if (!is_coded(a, &v->t))
		return s->floats(s->arg, &v->t, p->row, p->n, out, &p->err);
	int e = s->codes(s->arg, &v->t, p->row, p->n, p->codes, &p->err);
	for (size_t row = p->row; row < p->row + p->n && !e; row++)
		for (size_t col = 0; col < cols; col++, i++)
			out[i] = p->codes[i] ? trit_scale_of(a->scales, s->scaling, row, col, cols) * p->codes[i] : 0;
	return e;
}

static int compare_numbers(void *arg, struct trit_chunk *p)
{
	const struct verifier *v = arg;
	struct found *f = (struct found *)(void *)p->bytes;
	size_t cols = v->t.cols;
	const float slack = v->coded && v->to.s->masters != v->from.s->masters ? MASTER_ROUNDING : 0;
	int e = read_numbers(v, &v->from, p, p->floats);
	f->exact = f->rounded = 0;
	f->worst = 0;
	if (!e)
		e = read_numbers(v, &v->to, p, f->floats);
	for (size_t r = 0; r < p->n && !e; r++)
		for (size_t c = 0; c < cols && !e; c += v->block) {
			const float *want = p->floats + r * cols + c, *got = f->floats + r * cols + c;
			size_t n = cols - c < v->block ? cols - c : v->block;
			float most = 0;
			for (size_t i = 0; i < n; i++)
				most = fmaxf(most, fabsf(want[i]));
			float bound = v->coded ? slack * most : v->share * most + (v->share > 0 ? 0x1p-24f : 0);
			for (size_t i = 0; i < n && !e; i++) {
				float d = fabsf(got[i] - want[i]);
				f->exact += d == 0;
				f->rounded += d != 0;
				f->worst = d > 0 && d / bound > f->worst ? d / bound : f->worst;
				if (!(d <= bound))
					e = fail_number(v, p->row + r, c + i, want[i], got[i], &p->err);
			}
		}
	return e;
}

static int add_numbers(void *arg, struct trit_chunk *p, struct trit_error *err)
{
	struct verifier *v = arg;
	const struct found *f = (const struct found *)(const void *)p->bytes;
	struct trit_verified *out = v->v;
	v->done += (int64_t)(p->n * v->t.cols);
	if (out->go_on && !out->go_on(out->arg, v->done, v->total))
		return trit_fail(err, TRIT_ERR_IO, "stopped before all was compared");
	if (v->coded) {
		out->codes += p->n * v->t.cols;
		return TRIT_OK;
	}
	out->exact += f->exact;
	out->rounded += f->rounded;
	out->worst = f->worst > out->worst ? f->worst : out->worst;
	return TRIT_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static int read_scales(const struct verifier *v, const struct side *a, struct trit_error *err)
{
	return is_coded(a, &v->t) ? a->s->scales(a->s->arg, &v->t, a->scales, err) : TRIT_OK;
}

/* Scales of one a tensor are compared themselves; the others are by their products, since zeros may have any. */
static void compare_scales(struct verifier *v)
{
	v->v->scales += trit_scale_count(v->to.s->scaling, v->t.rows, v->t.cols);
	if (v->from.s->scaling != TRIT_SCALE_TENSOR || v->to.s->scaling != TRIT_SCALE_TENSOR)
		return;
	double d = fabs((double)v->to.scales[0] - (double)v->from.scales[0]) / (double)v->from.scales[0];
	v->v->scale_error = d > v->v->scale_error ? d : v->v->scale_error;
}

static int verify_tensor(struct verifier *v, struct trit_error *err)
{
	int e;
	v->coded = is_coded(&v->from, &v->t) && is_coded(&v->to, &v->t);
	v->type = v->to.s->type ? v->to.s->type(v->to.s->arg, &v->t) : -1;
	rounding_of(v->type, v->t.cols, &v->block, &v->share);
	if ((e = read_scales(v, &v->from, err)) || (e = read_scales(v, &v->to, err)))
		return e;
	if (v->coded)
		compare_scales(v);
	e = trit_chunks_run(&v->chunks, v->t.rows, trit_chunk_rows(v->t.cols, 1), compare_numbers, add_numbers, v, err);
	if (v->from.s->done)
		v->from.s->done(v->from.s->arg, &v->t);
	if (v->to.s->done)
		v->to.s->done(v->to.s->arg, &v->t);
	return e;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int prepare(struct verifier *v, struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	size_t largest = 1, chunk = 1, scales[2] = { 1, 1 };
	while (trit_tensor_next(&w, &v->from.s->config)) {
		size_t n = trit_chunk_rows(w.cols, 1) * w.cols, a = trit_scale_count(v->from.s->scaling, w.rows, w.cols);
		size_t b = trit_scale_count(v->to.s->scaling, w.rows, w.cols);
		bool linear = trit_walk_kind(&w) == TRIT_KIND_LINEAR;
		largest = w.rows * w.cols > largest ? w.rows * w.cols : largest;
		chunk = n > chunk ? n : chunk;
		scales[0] = linear && a > scales[0] ? a : scales[0];
		scales[1] = linear && b > scales[1] ? b : scales[1];
	}
	v->from.scales = trit_calloc(scales[0], sizeof(float));
	v->to.scales = trit_calloc(scales[1], sizeof(float));
	if (!v->from.scales || !v->to.scales)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scales", scales[0]);
	return trit_chunks_init(&v->chunks, largest, chunk, sizeof(struct found) + chunk * sizeof(float), err);
}

/* Both walks have the same tensors in the same shapes. */
static int check_walks(const struct trit_config *a, const struct trit_config *b, struct trit_error *err)
{
	struct trit_tensor_walk x = { 0 }, y = { 0 };
	for (bool more = true; more;) {
		more = trit_tensor_next(&x, a);
		if (more != trit_tensor_next(&y, b) ||
		    (more && (x.id != y.id || x.bias != y.bias || x.layer != y.layer || x.rows != y.rows || x.cols != y.cols)))
			return trit_fail(err, TRIT_ERR_FORMAT, "the file has not the tensors of its source; it is wrong");
	}
	return TRIT_OK;
}

static bool same_scaling(const struct trit_rope_scaling *a, const struct trit_rope_scaling *b)
{
	if (a->kind != b->kind || (a->kind != TRIT_ROPE_PLAIN && a->factor != b->factor))
		return false;
	if (a->kind == TRIT_ROPE_PLAIN || a->kind == TRIT_ROPE_LINEAR)
		return true;
	/* GGUF has the magnitude as a multiple of the usual one. */
	float apart = a->magnitude - b->magnitude;
	return a->slow == b->slow && a->fast == b->fast && a->n_ctx_original == b->n_ctx_original &&
	       (a->kind != TRIT_ROPE_YARN || (apart < 1e-6f * a->magnitude && -apart < 1e-6f * a->magnitude));
}

/* What is computed with the tensors: numbers of the configuration. */
static int check_config(const struct trit_config *a, const struct trit_config *b, struct trit_error *err)
{
	bool same = a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads && a->head_dim == b->head_dim &&
	            a->n_rot == b->n_rot && a->eps == b->eps && a->window == b->window &&
	            (!a->window || a->window_period == b->window_period);
	for (int i = 0; i < trit_n_config_floats; i++) {
		size_t at = trit_config_floats[i].offset;
		same = same && *(const float *)(const void *)((const char *)a + at) ==
		               *(const float *)(const void *)((const char *)b + at);
	}
	if (!same)
		return trit_fail(err, TRIT_ERR_FORMAT, "the file has not the configuration of its source; it is wrong");
	if (!same_scaling(&a->rope_scaling, &b->rope_scaling))
		return trit_fail(err, TRIT_ERR_FORMAT, "the file has not the rotary scaling of its source; it is wrong");
	return TRIT_OK;
}

int trit_verify(const char *path, const struct trit_source *s, struct trit_verified *out, struct trit_error *err)
{
	struct trit_input *written;
	struct trit_source ordered;
	struct trit_reordered reordered;
	struct verifier v = { .v = out, .total = trit_config_parameters(&s->config) };
	int e = trit_input_open(&written, path, NULL, err);
	*out = (struct trit_verified){ .go_on = out->go_on, .arg = out->arg };
	if (e)
		return e;
	v.to.s = trit_input_source(written);
	v.from.s = &ordered;
	trit_source_reorder(&ordered, &reordered, s, trit_source_is_half(v.to.s));
	struct trit_config from = s->config, to = v.to.s->config;
	if (from.rope_scaling.kind == TRIT_ROPE_LLAMA3) /* in a folder they are numbers of config.json */
		from.rope_freqs = to.rope_freqs = false;
	if (!(e = check_walks(&from, &to, err)) && !(e = check_config(&from, &to, err)))
		e = prepare(&v, err);
	while (!e && trit_tensor_next(&v.t, &from))
		e = verify_tensor(&v, err);
	trit_chunks_release(&v.chunks);
	trit_free(v.from.scales);
	trit_free(v.to.scales);
	trit_input_close(written);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}
