/*
 * distill.c - the teacher's part in a training step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/distill.h"

#include "train/divergence.h"

enum { KINDS = 3 }; /* queries, keys, values */

static size_t qkv_width(const struct trit_config *c)
{
	return trit_config_q_width(c) + 2 * trit_config_kv_width(c);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static int common_divisor(int a, int b)
{
	return b ? common_divisor(b, a % b) : a;
}

int trit_relation_heads(const struct trit_config *student, const struct trit_config *teacher)
{
	return common_divisor(student->n_kv_heads, teacher->n_kv_heads); /* and so divides all heads, of which there are
	                                                                   * multiples */
}

static int check_heads(int heads, const struct trit_config *c, const char *whose, struct trit_error *err)
{
	size_t q = trit_config_q_width(c), kv = trit_config_kv_width(c), n = (size_t)heads;
	if (q % n == 0 && kv % n == 0)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG,
	                 "%d relation heads do not divide the widths %zu and %zu of the %s's queries and keys", heads, q,
	                 kv, whose);
}

int trit_relation_heads_check(int heads, const struct trit_config *student, const struct trit_config *teacher,
                              struct trit_error *err)
{
	int e = check_heads(heads, student, "student", err);
	return e ? e : check_heads(heads, teacher, "teacher", err);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void lay_out(struct trit_distill *d)
{
	const struct trit_distill_options *o = &d->options;
	struct trit_arena *a = &d->arena;
	size_t tokens = (size_t)o->max_seqs * (size_t)o->seq_len, threads = (size_t)trit_pool_size(d->pool);
	size_t v = ((size_t)d->student->n_vocab + 15) / 16 * 16;
	d->kv = trit_arena_take(a, (size_t)o->max_seqs, sizeof *d->kv);
	d->tokens = trit_arena_take(a, tokens, sizeof *d->tokens);
	d->rows = trit_arena_take(a, TRIT_N_DISTILL_SUMS * tokens, sizeof *d->rows);
	d->thread_scratch = o->kl ? 2 * v : 0;
	if (o->relation) {
		d->taken = trit_arena_take(a, tokens * qkv_width(&d->teacher.model->config), sizeof *d->taken);
		d->drelation = trit_arena_take(a, tokens * qkv_width(d->student), sizeof *d->drelation);
		d->relations = trit_arena_take(a, (size_t)o->max_seqs * KINDS * (size_t)o->heads, sizeof *d->relations);
		d->thread_scratch = larger(d->thread_scratch, trit_relation_scratch(o->seq_len));
		d->thread_scratch = larger(d->thread_scratch, (size_t)d->teacher.model->config.head_dim);
	}
	d->scratch = trit_arena_take(a, threads * d->thread_scratch, sizeof *d->scratch);
}

static int init(struct trit_distill *d, struct trit_error *err)
{
	const struct trit_distill_options *o = &d->options;
	const struct trit_model *teacher = d->teacher.model;
	int e = o->relation ? trit_relation_heads_check(o->heads, d->student, &teacher->config, err) : TRIT_OK;
	if (e ||
	    (e = trit_forward_init(&d->teacher, teacher, d->pool, o->max_seqs * o->seq_len, o->head_chunk, o->seq_len,
	                           err)))
		return e;
	lay_out(d);
	if ((e = trit_arena_alloc(&d->arena, "the teacher (a smaller --micro-batch or --seq-len needs less)", err)))
		return e;
	lay_out(d);
	d->teacher.taken = d->taken;
	d->teacher.taken_layer = o->teacher_layer;
	enum trit_kv_type type = trit_model_kv_type(teacher, TRIT_KV_AUTO);
	for (int i = 0; i < o->max_seqs; i++)
		if ((e = trit_kv_init(&d->kv[i], &teacher->config, type, o->seq_len, err)))
			return e;
	return TRIT_OK;
}

int trit_distill_init(struct trit_distill *d, const struct trit_model *teacher, const struct trit_config *student,
                      const struct trit_kernels *k, struct trit_pool *pool, const struct trit_distill_options *o,
                      struct trit_error *err)
{
	*d = (struct trit_distill){ .options = *o, .student = student, .kernels = k, .pool = pool };
	d->teacher.model = teacher;
	int e = init(d, err);
	if (e)
		trit_distill_release(d);
	return e;
}

void trit_distill_release(struct trit_distill *d)
{
	for (int i = 0; d->kv && i < d->options.max_seqs; i++)
		trit_kv_release(&d->kv[i]);
	trit_forward_release(&d->teacher);
	trit_arena_release(&d->arena);
	*d = (struct trit_distill){ 0 };
}

size_t trit_distill_bytes(const struct trit_distill *d)
{
	const struct trit_distill_options *o = &d->options;
	size_t kv = d->kv ? trit_kv_bytes(&d->teacher.model->config, d->kv->type, o->seq_len) : 0;
	return d->arena.size + d->teacher.arena.size + (size_t)o->max_seqs * kv;
}

/* ---- a pass ------------------------------------------------------------------------------------------------------ */

static double *rows_of(const struct trit_distill *d, enum trit_distill_sum sum)
{
	return d->rows + (size_t)sum * (size_t)d->options.max_seqs * (size_t)d->options.seq_len;
}

void trit_distill_begin(struct trit_distill *d, int n, const trit_token *batch, const float *weights)
{
	int s = d->options.seq_len;
	d->n_tokens = n * s;
	d->weights = weights;
	for (int t = 0; t < d->n_tokens; t++)
		d->tokens[t] = (struct trit_batch_token){ .token = batch[(size_t)(t / s) * ((size_t)s + 1) + (size_t)(t % s)],
			                                  .position = t % s, .kv = &d->kv[t / s] };
	memset(d->rows, 0, TRIT_N_DISTILL_SUMS * (size_t)d->options.max_seqs * (size_t)s * sizeof *d->rows);
}

/* Terms in order of tokens, whatever thread each came from. */
void trit_distill_end(struct trit_distill *d)
{
	for (int i = 0; i < TRIT_N_DISTILL_SUMS; i++)
		for (int t = 0; t < d->n_tokens; t++)
			d->sums[i] += rows_of(d, (enum trit_distill_sum)i)[t];
	int n = d->options.relation ? d->n_tokens / d->options.seq_len * KINDS * d->options.heads : 0;
	for (int i = 0; i < n; i++)
		d->sums[TRIT_SUM_RELATION] += d->relations[i] / d->options.heads;
}

static float *scratch_of(const struct trit_distill *d, int index)
{
	return d->scratch + (size_t)index * d->thread_scratch;
}

/* Queries and keys of the teacher come into the student's order of rotary pairs: relations may cut heads. */
void trit_distill_layers(struct trit_distill *d, int index, int threads)
{
	const struct trit_config *c = &d->teacher.model->config;
	size_t width = qkv_width(c), rotated = (size_t)(c->n_heads + c->n_kv_heads) * (size_t)c->head_dim, t0, t1;
	trit_forward_layers(&d->teacher, d->n_tokens, d->tokens, index, threads);
	trit_part((size_t)d->n_tokens, 1, index, threads, &t0, &t1);
	for (size_t t = t0; d->taken && c->rope_half != d->student->rope_half && t < t1; t++)
		trit_rope_reorder(d->taken + t * width, rotated, 1, c->head_dim, c->n_rot, c->rope_half, d->student->rope_half,
		                  scratch_of(d, index));
}

void trit_distill_head(struct trit_distill *d, int first, int n, int index, int threads)
{
	if (!d->options.kl)
		return;
	if (index == 0)
		d->first = first;
	trit_forward_head(&d->teacher, first, n, index, threads);
}

/* V, padded to whole cache lines. */
static size_t row_floats(const struct trit_distill *d)
{
	return ((size_t)d->student->n_vocab + 15) / 16 * 16;
}

void trit_distill_keep(struct trit_distill *d, int index, const float *logits)
{
	if (d->options.kl)
		memcpy(scratch_of(d, index), logits, (size_t)d->student->n_vocab * sizeof *logits);
}

void trit_distill_add(struct trit_distill *d, int index, int token, float *logits, float weight, float scale)
{
	const struct trit_kernels *k = d->kernels;
	int v = d->student->n_vocab;
	float *own = scratch_of(d, index), *rest = own + row_floats(d), tau = d->options.temperature;
	float *other = d->teacher.logits + (size_t)(token - d->first) * (size_t)v;
	if (!d->options.kl)
		return;
	k->scale(own, 1 / tau, v);
	k->scale(other, 1 / tau, v);
	double kl = trit_divergence(k, own, other, rest, v), step = (double)(tau * scale);
	rows_of(d, TRIT_SUM_KL)[token] = (double)weight * (double)(tau * tau) * kl;
	rows_of(d, TRIT_SUM_CE_AT_LOGITS)[token] = (double)k->sum_squares(logits, v);
	rows_of(d, TRIT_SUM_KL_AT_LOGITS)[token] = step * step * (double)k->sum_squares(own, v);
	if (d->kl_weight > 0)
		k->add_scaled(logits, own, d->kl_weight * tau * scale, v);
}

/* Relations of one kind in one head of one sequence, and their gradient. */
static void relate_one(const struct trit_distill *d, const float *qkv, float scale, int item, float *scratch)
{
	const struct trit_config *c = d->student, *other = &d->teacher.model->config;
	int heads = d->options.heads, kind = item / heads % KINDS;
	size_t head = (size_t)(item % heads), first = (size_t)(item / heads / KINDS) * (size_t)d->options.seq_len;
	size_t nq = trit_config_q_width(c), nkv = trit_config_kv_width(c);
	size_t other_nq = trit_config_q_width(other), other_nkv = trit_config_kv_width(other);
	struct trit_relation r = { .positions = d->options.seq_len, .ld = nq + 2 * nkv,
		                   .teacher_ld = other_nq + 2 * other_nkv };
	r.width = (int)((kind == 0 ? nq : nkv) / (size_t)heads);
	r.teacher_width = (int)((kind == 0 ? other_nq : other_nkv) / (size_t)heads);
	r.weights = d->weights ? d->weights + first : NULL;
	size_t at = first * r.ld + head * (size_t)r.width, own = kind == 0 ? 0 : nq + (size_t)(kind - 1) * nkv;
	size_t theirs = kind == 0 ? 0 : other_nq + (size_t)(kind - 1) * other_nkv;
	r.a = qkv + at + own;
	r.teacher = d->taken + first * r.teacher_ld + head * (size_t)r.teacher_width + theirs;
	d->relations[item] = trit_relation_backward(&r, d->kernels, d->drelation + at + own, scale / (float)heads, scratch);
}

void trit_distill_relate(struct trit_distill *d, const float *qkv, float *dqkv, float scale, int index, int threads)
{
	const struct trit_kernels *k = d->kernels;
	size_t width = qkv_width(d->student), t0, t1;
	int items = d->n_tokens / d->options.seq_len * KINDS * d->options.heads;
	for (int i = index; i < items; i += threads)
		relate_one(d, qkv, scale, i, scratch_of(d, index));
	trit_pool_barrier(d->pool);
	trit_part((size_t)d->n_tokens, 1, index, threads, &t0, &t1);
	for (size_t t = t0; t < t1; t++) {
		const float *extra = d->drelation + t * width;
		float *out = dqkv + t * width;
		rows_of(d, TRIT_SUM_OTHERS_AT_LAYER)[t] = (double)k->sum_squares(out, (int)width);
		rows_of(d, TRIT_SUM_RELATION_AT_LAYER)[t] = (double)k->sum_squares(extra, (int)width);
		if (d->relation_weight > 0)
			k->add_scaled(out, extra, d->relation_weight, (int)width);
	}
}
