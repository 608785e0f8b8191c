/*
 * gguf_labels.c - names of labels from keys and back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/gguf_labels.h"

#define LABELS_KEY "%.*s.classifier.output_labels"
#define TEMPLATE_KEY "trit.classifier.template"
#define MAX_TOKENS_KEY "trit.classifier.max_tokens"
#define FILE_ARCH "llama" /* of a file without a network */

enum { KEY_BYTES = 128 };

static int read_names(const struct trit_gguf_key *k, struct trit_labels *l, struct trit_error *err)
{
	const unsigned char *at = k->value;
	int e = TRIT_OK;
	for (uint64_t i = 0; i < k->n && !e; i++) {
		const char *name;
		size_t len;
		trit_gguf_next_string(&at, &name, &len);
		e = trit_labels_add(l, len, name, err);
	}
	return e;
}

static int read(const struct trit_gguf *g, struct trit_labels *l, struct trit_error *err)
{
	char key[KEY_BYTES];
	const char *arch = "", *text;
	size_t len = 0;
	int e = trit_gguf_get_string(g, "general.architecture", &arch, &len, err);
	if (e < 0)
		return e;
	snprintf(key, sizeof key, LABELS_KEY, len < 64 ? (int)len : 64, arch);
	const struct trit_gguf_key *k = trit_gguf_find_key(g, key);
	if (!k)
		return TRIT_OK;
	if (k->type != TRIT_GGUF_ARRAY || k->element_type != TRIT_GGUF_STRING)
		return trit_fail(err, TRIT_ERR_FORMAT, "key '%s' is not an array of names", key);
	if ((e = read_names(k, l, err)))
		return trit_fail_prefix(err, e, "key '%s'", key);
	uint64_t max_tokens = 0;
	if ((e = trit_gguf_get_u64(g, MAX_TOKENS_KEY, INT32_MAX, &max_tokens, err)) < 0)
		return e;
	l->max_tokens = (int)max_tokens;
	if ((e = trit_gguf_get_string(g, TEMPLATE_KEY, &text, &len, err)))
		return e < 0 ? e : TRIT_OK;
	e = trit_labels_set_template(l, len, text, err);
	return e ? trit_fail_prefix(err, e, "key '" TEMPLATE_KEY "'") : TRIT_OK;
}

int trit_gguf_read_labels(const struct trit_gguf *g, struct trit_labels *out, struct trit_error *err)
{
	struct trit_labels l = { 0 };
	int e = read(g, &l, err);
	if (e) {
		trit_labels_release(&l);
		if (e == TRIT_ERR_ARG && err)
			err->status = TRIT_ERR_FORMAT;
		return e == TRIT_ERR_ARG ? TRIT_ERR_FORMAT : e;
	}
	*out = l;
	return TRIT_OK;
}

int trit_gguf_put_labels(struct trit_gguf_writer *w, const char *arch, const struct trit_labels *l,
                         struct trit_error *err)
{
	char key[KEY_BYTES];
	if (!l->n)
		return TRIT_OK;
	snprintf(key, sizeof key, LABELS_KEY, 64, arch);
	int e = trit_gguf_put_strings(w, key, (uint64_t)l->n, err);
	for (int i = 0; i < l->n && !e; i++)
		e = trit_gguf_put_strings_item(w, strlen(l->names[i]), l->names[i], err);
	if (!e && l->max_tokens)
		e = trit_gguf_put_u32(w, MAX_TOKENS_KEY, (uint32_t)l->max_tokens, err);
	if (!e && l->template)
		e = trit_gguf_put_string(w, TEMPLATE_KEY, strlen(l->template), l->template, err);
	return e;
}

int trit_labels_file_write(const char *path, const struct trit_labels *l, struct trit_error *err)
{
	struct trit_gguf_writer *w;
	int e = trit_gguf_writer_new(&w, path, err);
	if (e)
		return e;
	if (!(e = trit_gguf_put_string(w, "general.architecture", strlen(FILE_ARCH), FILE_ARCH, err)) &&
	    !(e = trit_gguf_put_string(w, "general.type", strlen("labels"), "labels", err)) &&
	    !(e = trit_gguf_put_labels(w, FILE_ARCH, l, err)))
		e = trit_gguf_writer_commit(w, err);
	trit_gguf_writer_free(w);
	return e;
}

int trit_labels_file_read(const char *path, struct trit_labels *out, struct trit_error *err)
{
	struct trit_gguf g;
	int e = trit_gguf_open(&g, path, err);
	if (e)
		return e;
	e = trit_gguf_read_labels(&g, out, err);
	trit_gguf_close(&g);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}
