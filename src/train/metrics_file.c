/*
 * metrics_file.c - reads metrics.jsonl.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>
#endif

#include "train/metrics_file.h"

#include "base/file.h"
#include "base/mem.h"

void trit_metrics_release(struct trit_metrics *m)
{
	for (size_t i = 0; i < m->n; i++)
		trit_free((float *)(uintptr_t)m->points[i].scales);
	trit_free(m->points);
	*m = (struct trit_metrics){ 0 };
}

#ifdef TRIT_HAVE_JANSSON

#define MAX_SCALES (1 << 16)

static double number_of(const json_t *line, const char *name)
{
	const json_t *v = json_object_get(line, name);
	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static int read_scales(struct trit_step_report *r, const json_t *list, struct trit_error *err)
{
	size_t n = json_array_size(list);
	if (!n || n > MAX_SCALES)
		return TRIT_OK;
	float *scales = trit_calloc(n, sizeof *scales);
	if (!scales)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scales", n);
	for (size_t i = 0; i < n; i++)
		scales[i] = (float)json_number_value(json_array_get(list, i));
	trit_free((float *)(uintptr_t)r->scales);
	r->scales = scales;
	r->n_scales = (int)n;
	return TRIT_OK;
}

/* The numbers of which a point has the mean over its lines. */
enum mean { LOSS, GRAD_NORM, TOKENS_PER_S, FLIPS, KL, RELATION, MEANS };

/* A point that is being read: lines that came earlier, and for each mean how many of them have the number. */
struct point {
	struct trit_step_report *r;
	size_t lines, n[MEANS];
};

/* Adds a line's number to a mean; a line without it, as of a step that was skipped, changes nothing. */
static void add_to(struct point *p, double *so_far, enum mean which, const json_t *line, const char *name)
{
	double v = number_of(line, name);
	if (isnan(v) && p->lines)
		return;
	p->n[which] += !isnan(v);
	*so_far = p->n[which] > 1 ? *so_far + (v - *so_far) / (double)p->n[which] : v;
}

static int add_line(struct point *p, const json_t *line, struct trit_error *err)
{
	struct trit_step_report *r = p->r;
	double step = number_of(line, "step"), tokens = number_of(line, "tokens"), val = number_of(line, "val_loss");
	const json_t *share = json_object_get(line, "share");
	if (!(step >= 0 && step <= INT32_MAX) || !(tokens >= 0 && tokens <= 0x1p53))
		return trit_fail(err, TRIT_ERR_FORMAT, "no sensible \"step\" and \"tokens\"");
	r->step = (int)step;
	r->tokens = (uint64_t)tokens;
	add_to(p, &r->loss, LOSS, line, "loss");
	add_to(p, &r->grad_norm, GRAD_NORM, line, "grad_norm");
	add_to(p, &r->tokens_per_s, TOKENS_PER_S, line, "tokens_per_s");
	add_to(p, &r->flips, FLIPS, line, "flips");
	add_to(p, &r->kl, KL, line, "kl");
	add_to(p, &r->relation, RELATION, line, "relation");
	r->has_kl = !isnan(r->kl);
	r->has_relation = !isnan(r->relation);
	r->kl_weight = (float)number_of(line, "kl_weight");
	r->relation_weight = (float)number_of(line, "relation_weight");
	r->lr = (float)number_of(line, "lr");
	for (size_t i = 0; i < 3; i++)
		r->share[i] = share ? json_number_value(json_array_get(share, i)) : (double)NAN;
	if (!p->lines || !isnan(val)) {
		r->val_loss = val;
		r->val_accuracy = number_of(line, "val_accuracy");
		r->val_f1 = number_of(line, "val_f1");
		r->has_accuracy = !isnan(r->val_accuracy);
	}
	p->lines++;
	return read_scales(r, json_object_get(line, "scales"), err);
}

static int read_line(struct point *p, size_t len, const char *text, struct trit_error *err)
{
	json_error_t why;
	json_t *line = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	int e;
	if (!line && json_error_code(&why) == json_error_out_of_memory)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a line of %zu bytes", len);
	if (!line)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s", why.text);
	e = json_is_object(line) ? add_line(p, line, err)
	                         : trit_fail(err, TRIT_ERR_FORMAT, "an object {...} is expected");
	json_decref(line);
	return e;
}

static uint64_t count_lines(const struct trit_map *map)
{
	uint64_t n = 0;
	for (const unsigned char *p = map->data, *end = p + map->size; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		n++;
	return n;
}

static int read_lines(struct trit_metrics *m, const struct trit_map *map, const char *path, size_t most,
                      struct trit_error *err)
{
	const char *at = (const char *)map->data, *end = at + map->size;
	uint64_t each = (m->lines + most - 1) / most; /* lines of a point */
	struct point p = { 0 };
	for (uint64_t i = 0; i < m->lines; i++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		if (i % each == 0)
			p = (struct point){ &m->points[m->n++], 0, { 0 } };
		int e = read_line(&p, (size_t)(stop - at), at, err);
		if (e)
			return trit_fail_prefix(err, e, "%s, line %llu", path, (unsigned long long)i + 1);
		at = stop + 1;
	}
	return TRIT_OK;
}

int trit_metrics_read(struct trit_metrics *m, const char *path, size_t most, struct trit_error *err)
{
	struct trit_map map;
	*m = (struct trit_metrics){ 0 };
	int e = trit_map_open(&map, path, err);
	if (e)
		return e;
	m->lines = count_lines(&map);
	m->points = trit_calloc(m->lines < most ? (size_t)m->lines + 1 : most, sizeof *m->points);
	e = m->points ? read_lines(m, &map, path, most, err)
	              : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu points", most);
	trit_map_close(&map);
	if (e)
		trit_metrics_release(m);
	return e;
}

#else

int trit_metrics_read(struct trit_metrics *m, const char *path, size_t most, struct trit_error *err)
{
	(void)most;
	*m = (struct trit_metrics){ 0 };
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: this trit was built without jansson, which reads JSON", path);
}

#endif
