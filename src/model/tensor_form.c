/*
 * tensor_form.c - what scales and weights a tensor has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/tensor_form.h"

enum { LEAST_RUN = 64 }; /* columns that share a scale within a row */

bool trit_survey_needed(const struct trit_gguf_tensor *t)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	return info->ternary && !info->packed && info->scaling != TRIT_SCALE_TENSOR;
}

/* One more scale. Zeros go with any other one: their weights are 0; binary types have no such weight. */
static void see_scale(struct trit_survey *s, float scale, bool binary)
{
	if (scale == 0 && !binary)
		return;
	if (!s->seen)
		s->scale = scale;
	s->seen = true;
	s->several = s->several || scale != s->scale;
}

int trit_survey_rows(struct trit_survey *s, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                     size_t row0, size_t n, struct trit_error *err)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	size_t run = (size_t)trit_ggml_run(info, w->cols);
	float scales[TRIT_MAX_COLS / LEAST_RUN];
	for (size_t row = row0; row < row0 + n; row++) {
		struct trit_survey own = { 0 };
		int e = trit_ggml_decode_scales(t->type, t->data, w->rows, w->cols, row, 1, scales, err);
		if (e)
			return trit_fail_prefix(err, e, "%s", t->name);
		for (size_t i = 0; i < w->cols / run; i++)
			see_scale(&own, scales[i], info->binary);
		own.in_row = own.several;
		trit_survey_join(s, &own);
	}
	s->code_2 = s->code_2 || trit_ggml_has_code_2(t->type, t->data, w->cols, row0, n);
	return TRIT_OK;
}

void trit_survey_join(struct trit_survey *a, const struct trit_survey *b)
{
	bool others = a->seen && b->seen && a->scale != b->scale;
	if (!a->seen)
		a->scale = b->scale;
	a->several = a->several || b->several || others;
	a->seen = a->seen || b->seen;
	a->in_row = a->in_row || b->in_row;
	a->code_2 = a->code_2 || b->code_2;
}

struct trit_form trit_survey_form(const struct trit_survey *s, const struct trit_gguf_tensor *t)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	struct trit_form form = { .scaling = (enum trit_scaling)info->scaling, .code_2 = s->code_2 };
	if (!trit_survey_needed(t))
		return form;
	bool nothing = s->seen && s->scale == 0; /* binary, and all zero: not one scale, which has to be positive */
	if (!s->several && !nothing)
		form.scaling = TRIT_SCALE_TENSOR;
	else if (!s->in_row)
		form.scaling = TRIT_SCALE_ROW;
	return form;
}

int trit_tensor_form(struct trit_form *form, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                     struct trit_error *err)
{
	struct trit_survey s = { 0 };
	int e = trit_survey_needed(t) ? trit_survey_rows(&s, w, t, 0, w->rows, err) : TRIT_OK;
	if (!e)
		*form = trit_survey_form(&s, t);
	return e;
}
