/*
 * hf_files.c - writes and copies the small files of a Hugging Face folder.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/hf_files.h"

#include "base/file.h"
#include "base/mem.h"
#include "format/tokenizer_json.h"

#define MOST ((size_t)1 << 30) /* bytes of a file; the largest tokenizer.json have some 40 MB */

/* What makes up a tokenizer, and what else a folder says about its model. */
static const char *const tokenizer_files[] = {
	"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja", "chat_template.json", NULL,
};
static const char *const generation_files[] = { "generation_config.json", NULL };
static const char *const other_files[] = { "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", NULL };

bool trit_hf_is_weights(const char *name)
{
	static const char *const ends[] = { ".safetensors", ".safetensors.index.json" };
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (len >= strlen(ends[i]) && !strcmp(name + len - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

static int write_file(const struct trit_folder *f, const char *name, size_t len, const char *text,
                      struct trit_error *err)
{
	char *path = trit_folder_file(f, name);
	int e = path ? trit_file_write(path, len, text, err)
	             : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a name");
	trit_free(path);
	return e;
}

int trit_hf_write_json(const struct trit_folder *f, const char *name,
                       void (*put)(struct trit_json *j, const void *arg), const void *arg, struct trit_error *err)
{
	struct trit_buf b;
	struct trit_json j = { .out = &b, .err = err };
	trit_buf_init(&b, MOST);
	put(&j, arg);
	if (!j.status)
		j.status = write_file(f, name, b.len, b.data, err);
	trit_buf_release(&b);
	return j.status ? trit_fail_prefix(err, j.status, "%s", name) : TRIT_OK;
}

/* Copies FROM/NAME if it is there: *there. */
static int copy_file(const struct trit_folder *f, const char *from, const char *name, bool *there,
                     struct trit_error *err)
{
	char path[4096];
	struct trit_buf b;
	int e;
	*there = snprintf(path, sizeof path, "%s/%s", from, name) < (int)sizeof path && trit_path_kind(path) == 0;
	if (!*there)
		return TRIT_OK;
	trit_buf_init(&b, MOST);
	e = trit_file_read(&b, path, err);
	if (!e)
		e = write_file(f, name, b.len, b.data ? b.data : "", err);
	trit_buf_release(&b);
	return e;
}

/* Those of the names that are there. */
static int copy_files(const struct trit_folder *f, const char *from, const char *const *names, bool *any,
                      struct trit_error *err)
{
	int e = TRIT_OK;
	*any = false;
	for (size_t i = 0; names[i] && !e && from; i++) {
		bool there;
		e = copy_file(f, from, names[i], &there, err);
		*any = *any || there;
	}
	return e;
}

static void put_config(struct trit_json *j, const void *d)
{
	trit_hf_put_config(j, d);
}

static void put_generation(struct trit_json *j, const void *d)
{
	trit_hf_put_generation(j, d);
}

static void put_tokenizer_config(struct trit_json *j, const void *d)
{
	trit_hf_put_tokenizer(j, d);
}

static void put_tokenizer(struct trit_json *j, const void *arg)
{
	const struct trit_hf_description *d = arg;
	trit_tokenizer_json_put(j, d->vocab);
}

int trit_hf_write_files(const struct trit_folder *f, const struct trit_hf_description *d, const char *from,
                        struct trit_error *err)
{
	bool tokenizer, generation, others;
	int e;
	if ((e = copy_files(f, from, tokenizer_files, &tokenizer, err)) ||
	    (e = copy_files(f, from, generation_files, &generation, err)) ||
	    (e = copy_files(f, from, other_files, &others, err)) ||
	    (e = trit_hf_write_json(f, "config.json", put_config, d, err)))
		return e;
	if (!generation && (e = trit_hf_write_json(f, "generation_config.json", put_generation, d, err)))
		return e;
	if (tokenizer || !d->vocab)
		return TRIT_OK;
	e = trit_hf_write_json(f, "tokenizer.json", put_tokenizer, d, err);
	return e ? e : trit_hf_write_json(f, "tokenizer_config.json", put_tokenizer_config, d, err);
}
