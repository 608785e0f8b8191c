/*
 * checkpoint.c - saves and loads the state of a training run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/checkpoint.h"

#include <limits.h>
#include <math.h>

#include "format/safetensors.h"

/* Weights, then first, then second moments. */
static const char *const prefixes[] = { "", "m.", "v." };

static float *array_of(const struct trit_params *p, int which)
{
	return which == 0 ? p->w : which == 1 ? p->m : p->v;
}

static void tensor_name(char *name, size_t size, int which, const struct trit_param *t)
{
	char plain[TRIT_TENSOR_NAME_BYTES];
	trit_tensor_name(plain, t->id, t->layer, "weight");
	snprintf(name, size, "%s%s", prefixes[which], plain);
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

static int describe(struct trit_st_writer *w, const struct trit_params *p, const struct trit_recipe *r,
                    const struct trit_config *c, struct trit_progress progress, struct trit_error *err)
{
	char text[TRIT_SETTING_BYTES];
	int e;
	if ((e = trit_st_put_meta(w, "format", "trit-checkpoint", err)) ||
	    (e = trit_st_put_meta(w, "version", "1", err)) || (e = trit_config_put_meta(c, w, err)))
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
	return trit_st_begin(w, err);
}

int trit_checkpoint_save(const char *path, const struct trit_params *p, const struct trit_recipe *r,
                         const struct trit_config *c, struct trit_progress progress, struct trit_error *err)
{
	struct trit_st_writer *w;
	int e = trit_st_writer_new(&w, path, err);
	if (e)
		return e;
	e = describe(w, p, r, c, progress, err);
	for (int a = 0; a < 3 && !e; a++)
		for (int i = 0; i < p->n && !e; i++)
			e = trit_st_write(w, p->list[i].rows * p->list[i].cols * sizeof(float), array_of(p, a) + p->list[i].offset,
			                  err);
	if (!e)
		e = trit_st_commit(w, err);
	trit_st_writer_free(w);
	return e;
}

uint64_t trit_checkpoint_bytes(const struct trit_params *p)
{
	return (uint64_t)p->total * 3 * sizeof(float) + 65536;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static int open_checkpoint(struct trit_safetensors *s, const char *path, struct trit_error *err)
{
	int e = trit_safetensors_open(s, path, err);
	if (e)
		return e;
	const char *format = trit_safetensors_meta(s, "format"), *version = trit_safetensors_meta(s, "version");
	if (!format || strcmp(format, "trit-checkpoint"))
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: not a training checkpoint", path);
	else if (!version || strcmp(version, "1"))
		e = trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: checkpoint version %.16s is not known; only 1 is", path,
		              version ? version : "(none)");
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

int trit_checkpoint_read_recipe(const char *path, struct trit_recipe *r, struct trit_progress *progress,
                                struct trit_error *err)
{
	struct trit_safetensors s;
	struct trit_recipe recipe = trit_recipe_defaults();
	int e = open_checkpoint(&s, path, err);
	if (e)
		return e;
	long long step = 0, steps = 0, tokens = 0;
	if (!(e = read_count(&s, "step", INT_MAX, &step, err)) &&
	    !(e = read_count(&s, "total-steps", INT_MAX, &steps, err)) &&
	    !(e = read_count(&s, "train-tokens", LLONG_MAX, &tokens, err)) && (steps < 1 || step > steps))
		e = trit_fail(err, TRIT_ERR_FORMAT, "step %lld of %lld", step, steps);
	struct trit_progress at = { (int)step, (int)steps, (uint64_t)tokens };
	for (int i = 0; i < trit_n_settings && !e; i++) {
		const char *text = trit_safetensors_meta(&s, trit_settings[i].name);
		if (text) /* else of a time before that setting, when its default was what there was */
			e = trit_setting_parse(&recipe, &trit_settings[i], text, err);
	}
	if (!e && (recipe.micro_batch < 1 || recipe.micro_batch > recipe.batch))
		e = trit_fail(err, TRIT_ERR_FORMAT, "micro-batch is %d; it must be 1 to the batch of %d", recipe.micro_batch,
		              recipe.batch);
	trit_safetensors_close(&s);
	if (e)
		return trit_fail_prefix(err, e, "%s", path);
	*r = recipe;
	*progress = at;
	return TRIT_OK;
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
	for (uint64_t i = 0; i < st->elements; i++)
		if (!isfinite(out[i]))
			return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s: element %llu is not finite", name,
			                 (unsigned long long)i);
	return TRIT_OK;
}

int trit_checkpoint_load(const char *path, struct trit_params *p, struct trit_error *err)
{
	struct trit_safetensors s;
	int e = open_checkpoint(&s, path, err);
	if (e)
		return e;
	for (int a = 0; a < 3 && !e; a++)
		for (int i = 0; i < p->n && !e; i++)
			e = load_tensor(&s, &p->list[i], a, array_of(p, a) + p->list[i].offset, err);
	trit_safetensors_close(&s);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}
