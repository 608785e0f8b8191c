/*
 * ternary.c - measures how far weights are from ternary ones.
 *
 * For a matrix W and its quantisation g T [B158, eq. 1-3]:
 *
 *     error   |W - g T| / |W|, Frobenius norms
 *     near    the share of weights within 0.1 a of -a, 0 or a, where a is the mean magnitude of those with T = +-1
 *
 * Weights of a trained full-precision model are about normal: half of them lie anywhere, error is 0.5 to 0.6, near 0.2.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/ternary.h"

#include <math.h>

#include "base/mem.h"
#include "convert/chunks.h"

#define NEAR 0.1f
enum { WORST = 5 };

struct measure {
	double error, weight; /* sums of squares */
	double large;         /* sum of magnitudes with T = +-1 */
	uint64_t n_large, n_near, n;
};

struct surveyor {
	const struct trit_source *s;
	struct trit_chunks chunks;
	struct trit_tensor_walk t;
	float scale;
	float typical; /* a; 0 in the first pass */
	struct measure m; /* of the tensor */
	struct measure kinds[TRIT_N_TENSORS];
	struct {
		double error;
		char name[TRIT_TENSOR_NAME_BYTES];
	} worst[WORST];
};

/* Each chunk's own sums, in its room for bytes. */
static int measure_chunk(void *arg, struct trit_chunk *p)
{
	const struct surveyor *v = arg;
	size_t n = p->n * v->t.cols;
	struct measure m = { .n = n };
	int e = v->s->floats(v->s->arg, &v->t, p->row, p->n, p->floats, &p->err);
	for (size_t i = 0; i < n && !e; i++) {
		float w = p->floats[i], size = fabsf(w), code = fminf(1, rintf(size / v->scale));
		double d = (double)(size - code * v->scale);
		m.error += d * d;
		m.weight += (double)w * (double)w;
		m.large += (double)(code * size);
		m.n_large += code > 0;
		m.n_near += size <= NEAR * v->typical || fabsf(size - v->typical) <= NEAR * v->typical;
	}
	memcpy(p->bytes, &m, sizeof m);
	return e;
}

static void add(struct measure *to, const struct measure *m)
{
	to->error += m->error;
	to->weight += m->weight;
	to->large += m->large;
	to->n_large += m->n_large;
	to->n_near += m->n_near;
	to->n += m->n;
}

static int add_chunk(void *arg, struct trit_chunk *p, struct trit_error *err)
{
	struct surveyor *v = arg;
	struct measure m;
	(void)err;
	memcpy(&m, p->bytes, sizeof m);
	add(&v->m, &m);
	return TRIT_OK;
}

static double error_of(const struct measure *m)
{
	return m->weight > 0 ? sqrt(m->error / m->weight) : 0;
}

static void rank(struct surveyor *v, double error)
{
	int i = WORST;
	while (i > 0 && error > v->worst[i - 1].error) {
		if (i < WORST)
			v->worst[i] = v->worst[i - 1];
		i--;
	}
	if (i == WORST)
		return;
	v->worst[i].error = error;
	trit_walk_name(v->worst[i].name, &v->t);
}

static int measure_tensor(struct surveyor *v, struct trit_error *err)
{
	int e = v->s->scales(v->s->arg, &v->t, &v->scale, err);
	v->typical = 0;
	for (int pass = 0; pass < 2 && !e; pass++) {
		v->m = (struct measure){ 0 };
		e = trit_chunks_run(&v->chunks, v->t.rows, trit_chunk_rows(v->t.cols, 1), measure_chunk, add_chunk, v, err);
		v->typical = v->m.n_large ? (float)(v->m.large / (double)v->m.n_large) : 0;
	}
	add(&v->kinds[v->t.id], &v->m);
	rank(v, error_of(&v->m));
	return e;
}

/* ---- exact ------------------------------------------------------------------------------------------------------- */

static int try_chunk(void *arg, struct trit_chunk *p)
{
	const struct surveyor *v = arg;
	return v->s->codes(v->s->arg, &v->t, p->row, p->n, p->codes, &p->err);
}

/* Whether every projection is ternary as it stands: fails with FORMAT if not. */
static int try_all(struct surveyor *v, struct trit_error *err)
{
	int e = TRIT_OK;
	v->t = (struct trit_tensor_walk){ 0 };
	while (!e && trit_tensor_next(&v->t, &v->s->config)) {
		if (trit_walk_kind(&v->t) != TRIT_KIND_LINEAR)
			continue;
		e = v->s->scales(v->s->arg, &v->t, &v->scale, err);
		if (!e)
			e = trit_chunks_run(&v->chunks, v->t.rows, trit_chunk_rows(v->t.cols, 1), try_chunk, NULL, v, err);
	}
	return e;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int prepare(struct surveyor *v, struct trit_error *err)
{
	struct trit_tensor_walk w = { 0 };
	size_t largest = 1, chunk = 1;
	while (trit_tensor_next(&w, &v->s->config)) {
		size_t n = trit_chunk_rows(w.cols, 1) * w.cols;
		largest = w.rows * w.cols > largest ? w.rows * w.cols : largest;
		chunk = n > chunk ? n : chunk;
	}
	return trit_chunks_init(&v->chunks, largest, chunk, sizeof(struct measure), err);
}

static void note_findings(const struct surveyor *v, struct trit_notes *notes)
{
	for (int id = 0; id < TRIT_N_TENSORS; id++)
		if (v->kinds[id].n)
			trit_note(notes, TRIT_NOTE_FOUND,
			          "%s: %.0f %% of the weights lie within a tenth of -g, 0 or g; rounding changes them by %.0f %%",
			          trit_tensors[id].gguf, 100 * (double)v->kinds[id].n_near / (double)v->kinds[id].n,
			          100 * error_of(&v->kinds[id]));
	for (int i = 0; i < WORST && v->worst[i].name[0]; i++)
		trit_note(notes, TRIT_NOTE_FOUND, "%s: changed by %.1f %%, %s", v->worst[i].name, 100 * v->worst[i].error,
		          i ? "one of the five worst" : "the worst");
}

static int measure_all(struct surveyor *v, struct trit_notes *notes, double *error, struct trit_error *err)
{
	struct measure all = { 0 };
	int e = TRIT_OK;
	v->t = (struct trit_tensor_walk){ 0 };
	while (!e && trit_tensor_next(&v->t, &v->s->config))
		if (trit_walk_kind(&v->t) == TRIT_KIND_LINEAR)
			e = measure_tensor(v, err);
	for (int id = 0; id < TRIT_N_TENSORS; id++)
		add(&all, &v->kinds[id]);
	*error = error_of(&all);
	if (!e)
		note_findings(v, notes);
	return e;
}

int trit_make_ternary(struct trit_input *in, bool force, struct trit_notes *notes, struct trit_error *err)
{
	struct trit_source *s = trit_input_source(in);
	struct surveyor v = { .s = s };
	double error = 0;
	int e = prepare(&v, err);
	if (!e && s->keys && (e = try_all(&v, err)) != TRIT_ERR_FORMAT) { /* a model's numbers may be ternary already */
		s->quantised = !e;
		s->scaling = TRIT_SCALE_TENSOR;
	} else if (!e || e == TRIT_ERR_FORMAT) {
		trit_input_quantise(in);
		e = measure_all(&v, notes, &error, err);
		if (!e && !force)
			e = trit_fail(err, TRIT_ERR_ARG,
			              "its weights are not ternary: rounding would change them by %.0f %%, after which a model "
			              "writes noise. Train it with ternary weights first (fine-tuning or distillation), or keep "
			              "numbers (--type q8_0, f16); --force rounds them all the same", 100 * error);
	}
	trit_chunks_release(&v.chunks);
	return e;
}
