/*
 * label_source.c - puts a head of labels over a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/label_source.h"

#include "convert/input.h"
#include "format/gguf_labels.h"

struct labelled {
	const struct trit_source *from;
	const struct trit_label_overlay *over;
};

static bool is_head(const struct trit_tensor_walk *w)
{
	return w->id == TRIT_TENSOR_CLS_OUTPUT;
}

static int labelled_type(void *arg, const struct trit_tensor_walk *w)
{
	const struct trit_source *s = ((struct labelled *)arg)->from;
	return is_head(w) ? -1 : s->type(s->arg, w);
}

static int labelled_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	const struct trit_source *s = ((struct labelled *)arg)->from;
	return s->scales(s->arg, w, scales, err);
}

static int labelled_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                          struct trit_error *err)
{
	const struct trit_source *s = ((struct labelled *)arg)->from;
	return s->codes(s->arg, w, row0, n, codes, err);
}

static int labelled_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                           struct trit_error *err)
{
	const struct labelled *l = arg;
	if (!is_head(w))
		return l->from->floats(l->from->arg, w, row0, n, out, err);
	memcpy(out, (w->bias ? l->over->bias : l->over->w) + row0 * w->cols, n * w->cols * sizeof *out);
	return TRIT_OK;
}

static int labelled_bytes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, unsigned char *out,
                          struct trit_error *err)
{
	const struct trit_source *s = ((struct labelled *)arg)->from;
	return s->bytes(s->arg, w, row0, n, out, err);
}

static void labelled_done(void *arg, const struct trit_tensor_walk *w)
{
	const struct trit_source *s = ((struct labelled *)arg)->from;
	if (!is_head(w))
		s->done(s->arg, w);
}

static void put_over(struct trit_source *out, struct labelled *l, const struct trit_labels *labels)
{
	const struct trit_config *c = l->over->config;
	*out = *l->from;
	out->arg = l;
	out->config.n_labels = c->n_labels;
	out->config.pooling = c->pooling;
	out->config.biases = c->biases;
	out->config.tied = c->tied;
	out->config.n_ctx = c->n_ctx;
	out->labels = labels;
	out->vocab = l->over->vocab;
	out->type = l->from->type ? labelled_type : NULL;
	out->scales = labelled_scales;
	out->codes = labelled_codes;
	out->floats = labelled_floats;
	out->bytes = l->from->bytes ? labelled_bytes : NULL;
	out->done = l->from->done ? labelled_done : NULL;
}

int trit_convert_labelled(const char *in, const char *out, const struct trit_label_overlay *over,
                          const struct trit_export_options *o, struct trit_error *err)
{
	char path[4096];
	struct trit_labels labels = { 0 };
	struct trit_input *input = NULL;
	struct trit_source s;
	int e;
	if (snprintf(path, sizeof path, "%s/labels.gguf", over->folder) >= (int)sizeof path)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", over->folder);
	if (!(e = trit_labels_file_read(path, &labels, err)) && !(e = trit_input_open(&input, in, o->tokenizer, err))) {
		struct labelled l = { trit_input_source(input), over };
		put_over(&s, &l, &labels);
		e = trit_export(out, &s, o, err);
	}
	trit_input_close(input);
	trit_labels_release(&labels);
	return e;
}
