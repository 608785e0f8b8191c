/*
 * checkpoint.c - saves and loads the state of a training run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/checkpoint.h"

#include <limits.h>
#include <math.h>

#include "format/st_checksum.h"
#include "model/config_keys.h"
#include "train/bitlinear.h"

#define VERSION "2"
#define BASE "base.print"

/* Weights, then first, then second moments. */
static const char *const prefixes[] = { "", "m.", "v." };

static float *array_of(const struct trit_params *p, int which)
{
	return which == 0 ? p->w : which == 1 ? p->m : p->v;
}

static bool all_finite(const float *values, size_t n)
{
	bool finite = true;
	for (size_t i = 0; i < n; i++)
		finite &= isfinite(values[i]) != 0;
	return finite;
}

static void tensor_name(char *name, size_t size, int which, const struct trit_param *t)
{
	char plain[TRIT_TENSOR_NAME_BYTES];
	trit_param_name(plain, t);
	snprintf(name, size, "%s%s", prefixes[which], plain);
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

/* The values of tensor i of an array, and their memory back where they came from another process (params.h). */
static const float *bring(const struct trit_params *p, int array, int i)
{
	if (array > 0 && p->fetch)
		p->fetch(p->elsewhere, array, i);
	return array_of(p, array) + p->list[i].offset;
}

static void forget(const struct trit_params *p, int array, int i)
{
	if (array > 0 && p->forget)
		p->forget(p->elsewhere, array, i);
}

/* The checksum of each tensor, in the order of the file. */
static int sum_tensors(uint64_t *sums, const struct trit_params *p, struct trit_error *err)
{
	for (int i = 0; i < 3 * p->n; i++) {
		const struct trit_param *t = &p->list[i % p->n];
		const float *values = bring(p, i / p->n, i % p->n);
		size_t n = t->rows * t->cols;
		if (!all_finite(values, n)) {
			char name[TRIT_TENSOR_NAME_BYTES + 8];
			tensor_name(name, sizeof name, i / p->n, t);
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "tensor %s has numbers that are not finite; the checkpoint before is kept", name);
		}
		sums[i] = trit_st_sum_bytes(n * sizeof *values, values);
		forget(p, i / p->n, i % p->n);
	}
	return TRIT_OK;
}

static int describe(struct trit_st_writer *w, const struct trit_params *p, const struct trit_recipe *r,
                    const struct trit_config *c, struct trit_progress progress, const uint64_t *sums,
                    struct trit_error *err)
{
	char text[TRIT_SETTING_BYTES];
	int e;
	if ((e = trit_st_put_meta(w, "format", TRIT_ST_CHECKPOINT, err)) ||
	    (e = trit_st_put_meta(w, "version", VERSION, err)) || (e = trit_config_put_meta(c, w, err)))
		return e;
	snprintf(text, sizeof text, "%d", progress.step);
	if ((e = trit_st_put_meta(w, "step", text, err)))
		return e;
	snprintf(text, sizeof text, "%d", progress.steps);
	if ((e = trit_st_put_meta(w, "total-steps", text, err)))
		return e;
	snprintf(text, sizeof text, "%llu", (unsigned long long)progress.train_tokens);
	if ((e = trit_st_put_meta(w, "train-tokens", text, err)))
		return e;
	snprintf(text, sizeof text, "%016llx", (unsigned long long)progress.base);
	if (progress.base && (e = trit_st_put_meta(w, BASE, text, err)))
		return e;
	if ((e = trit_teaching_put(&progress.teaching, w, err)) || (e = trit_health_put(&progress.health, w, err)))
		return e;
	for (int i = 0; i < trit_n_settings; i++) {
		trit_setting_print(text, &trit_settings[i], r);
		if ((e = trit_st_put_meta(w, trit_settings[i].name, text, err)))
			return e;
	}
	for (int a = 0; a < 3; a++)
		for (int i = 0; i < p->n; i++) {
			char name[TRIT_TENSOR_NAME_BYTES + 8];
			uint64_t shape[2] = { p->list[i].rows, p->list[i].cols };
			tensor_name(name, sizeof name, a, &p->list[i]);
			if ((e = trit_st_put_tensor(w, name, TRIT_DTYPE_F32, 2, shape, err)))
				return e;
		}
	e = trit_st_put_checksums(w, 3 * (size_t)p->n, sums, err);
	return e ? e : trit_st_begin(w, err);
}

int trit_checkpoint_save(const char *path, const struct trit_params *p, const struct trit_recipe *r,
                         const struct trit_config *c, struct trit_progress progress, struct trit_error *err)
{
	struct trit_st_writer *w = NULL;
	uint64_t *sums = trit_calloc(3 * (size_t)p->n, sizeof *sums);
	int e = sums ? sum_tensors(sums, p, err) : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for checksums");
	if (e)
		e = trit_fail_prefix(err, e, "%s", path);
	if (!e && !(e = trit_st_writer_new(&w, path, err)))
		e = describe(w, p, r, c, progress, sums, err);
	for (int a = 0; a < 3 && !e; a++)
		for (int i = 0; i < p->n && !e; i++) {
			const float *values = bring(p, a, i);
			e = trit_st_write(w, p->list[i].rows * p->list[i].cols * sizeof *values, values, err);
			forget(p, a, i);
		}
	if (!e)
		e = trit_st_commit(w, err);
	trit_st_writer_free(w);
	trit_free(sums);
	return e;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static int open_checkpoint(struct trit_safetensors *s, const char *path, struct trit_error *err)
{
	int e = trit_safetensors_open(s, path, err);
	if (e == TRIT_ERR_UNSUPPORTED) /* a dtype that no trit writes: damage, and an older one may be sound */
		return trit_fail_prefix(err, TRIT_ERR_FORMAT, "%s", "no training checkpoint, or a damaged one");
	if (e)
		return e;
	const char *version = trit_safetensors_meta(s, "version");
	if (!trit_st_is_checkpoint(s))
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: not a training checkpoint", path);
	else if (!version)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: no version; the file is damaged", path);
	else if (strcmp(version, "1") || trit_st_has_checksums(s)) /* first, or a damaged version would be a newer one */
		e = trit_st_check_header(s, err) ? trit_fail_prefix(err, TRIT_ERR_FORMAT, "%s", path) : TRIT_OK;
	if (!e && strcmp(version, "1") && strcmp(version, VERSION))
		e = trit_fail(err, TRIT_ERR_UNSUPPORTED,
		              "%s: checkpoint version %.16s is not known, " VERSION " and 1 are; it needs a newer trit", path,
		              version);
	if (e)
		trit_safetensors_close(s);
	return e;
}

static int read_count(const struct trit_safetensors *s, const char *name, long long max, long long *out,
                      struct trit_error *err)
{
	const char *text = trit_safetensors_meta(s, name);
	char *end = NULL;
	long long v = text ? strtoll(text, &end, 10) : -1;
	if (!text || end == text || *end || v < 0 || v > max)
		return trit_fail(err, TRIT_ERR_FORMAT, "\"%s\" is missing or not a count", name);
	*out = v;
	return TRIT_OK;
}

static int read_base(const struct trit_safetensors *s, uint64_t *print, struct trit_error *err)
{
	const char *text = trit_safetensors_meta(s, BASE);
	char *end = NULL;
	*print = text ? strtoull(text, &end, 16) : 0;
	if (text && (strlen(text) != 16 || *end))
		return trit_fail(err, TRIT_ERR_FORMAT, "\"" BASE "\" is not 16 hexadecimal digits");
	return TRIT_OK;
}

static int read_progress(const struct trit_safetensors *s, struct trit_progress *progress, struct trit_error *err)
{
	long long step = 0, steps = 0, tokens = 0;
	int e;
	if (!(e = read_count(s, "step", INT_MAX, &step, err)) &&
	    !(e = read_count(s, "total-steps", INT_MAX, &steps, err)) &&
	    !(e = read_count(s, "train-tokens", LLONG_MAX, &tokens, err)) && (steps < 1 || step > steps))
		e = trit_fail(err, TRIT_ERR_FORMAT, "step %lld of %lld", step, steps);
	*progress = (struct trit_progress){ .step = (int)step, .steps = (int)steps, .train_tokens = (uint64_t)tokens };
	if (e || (e = read_base(s, &progress->base, err)) || (e = trit_teaching_read(&progress->teaching, s, err)))
		return e;
	return trit_health_read(&progress->health, s, err);
}

/* Whether a name of metadata is one that this trit writes. */
static bool is_known(const char *name)
{
	static const char *const others[] = { "format", "version", "step", "total-steps", "train-tokens", TRIT_ST_CHECKSUM,
		                              TRIT_ST_CHECKSUMS };
	if (strchr(name, '.'))
		return true;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!strcmp(name, others[i]))
			return true;
	return trit_setting_by_name(name) != NULL;
}

static int read_settings(const struct trit_safetensors *s, struct trit_recipe *r, struct trit_error *err)
{
	for (size_t i = 0; i < s->n_meta; i++)
		if (!is_known(s->meta[i].name))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "setting \"%.60s\" is not known; it needs a newer trit",
			                 s->meta[i].name);
	*r = trit_recipe_defaults();
	r->optimizer = TRIT_OPTIMIZER_ADAMW; /* version 0.1.0 had no other and does not name it */
	r->precision = TRIT_PRECISION_F32;   /* likewise */
	r->backward = TRIT_BACKWARD_F32;     /* likewise */
	for (int i = 0; i < trit_n_settings; i++) {
		const char *text = trit_safetensors_meta(s, trit_settings[i].name);
		bool shape = trit_setting_is_shape(&trit_settings[i]); /* the configuration tells */
		int e = text && !shape ? trit_setting_parse(r, &trit_settings[i], text, err) : TRIT_OK;
		if (e)
			return e;
	}
	if (r->muon_lr == 0 && r->optimizer != TRIT_OPTIMIZER_ADAMW) /* it once meant AdamW's */
		r->muon_lr = r->lr;
	if (r->micro_batch < 1 || r->micro_batch > r->batch)
		return trit_fail(err, TRIT_ERR_FORMAT, "micro-batch is %d; it must be 1 to the batch of %d", r->micro_batch,
		                 r->batch);
	return TRIT_OK;
}

int trit_checkpoint_read_recipe(const char *path, struct trit_recipe *r, struct trit_config *c,
                                struct trit_progress *progress, struct trit_error *err)
{
	struct trit_safetensors s;
	struct trit_recipe recipe;
	struct trit_progress at;
	int e = open_checkpoint(&s, path, err);
	if (e)
		return e;
	if (!(e = read_progress(&s, &at, err)))
		e = read_settings(&s, &recipe, err);
	if (!e && !trit_recipe_is_frozen(&recipe))
		e = trit_config_read_meta(c, &s, err);
	trit_safetensors_close(&s);
	if (e)
		return trit_fail_prefix(err, e, "%s", path);
	if (!trit_recipe_is_frozen(&recipe))
		trit_recipe_take_config(&recipe, c);
	*r = recipe;
	*progress = at;
	return TRIT_OK;
}

int trit_checkpoint_check(const char *path, struct trit_progress *progress, struct trit_error *err)
{
	struct trit_safetensors s;
	struct trit_recipe recipe;
	struct trit_config config;
	int e = open_checkpoint(&s, path, err);
	if (e)
		return e;
	if (!(e = read_progress(&s, progress, err)) && !(e = read_settings(&s, &recipe, err)) &&
	    (trit_recipe_is_frozen(&recipe) || !(e = trit_config_read_meta(&config, &s, err))) && trit_st_has_checksums(&s))
		e = trit_st_check(&s, err);
	trit_safetensors_close(&s);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}

static int load_tensor(const struct trit_safetensors *s, const struct trit_param *t, int which, float *out,
                       struct trit_error *err)
{
	char name[TRIT_TENSOR_NAME_BYTES + 8];
	tensor_name(name, sizeof name, which, t);
	const struct trit_st_tensor *st = trit_safetensors_find(s, name);
	if (!st || st->dtype != TRIT_DTYPE_F32 || st->n_dims != 2 || st->shape[0] != t->rows || st->shape[1] != t->cols)
		return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s is missing or not F32 %zu x %zu", name, t->rows, t->cols);
	memcpy(out, st->data, st->bytes);
	if (!all_finite(out, t->rows * t->cols))
		return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s has numbers that are not finite", name);
	return TRIT_OK;
}

int trit_checkpoint_load(const char *path, struct trit_params *p, struct trit_error *err)
{
	struct trit_safetensors s;
	int e = open_checkpoint(&s, path, err);
	if (e)
		return e;
	if (trit_st_has_checksums(&s))
		e = trit_st_check(&s, err);
	for (int a = 0; a < 3 && !e; a++)
		for (int i = 0; i < p->n && !e; i++) {
			e = load_tensor(&s, &p->list[i], a, array_of(p, a) + p->list[i].offset, err);
			forget(p, a, i);
		}
	trit_safetensors_close(&s);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}
