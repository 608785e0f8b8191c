/*
 * hf_import.c - finds and opens the files of a Hugging Face folder.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/hf_import.h"

#include "base/mem.h"
#include "format/file_kind.h"
#include "format/json_file.h"
#include "format/torch_file.h"
#include "model/hf_tensors.h"

enum { PATH_BYTES = 4096, MAX_SHARDS = 1000 };

/* An open file of weights, of either kind. */
struct shard {
	char *name; /* in the folder */
	struct trit_safetensors st;
	struct trit_torch_file torch;
};

struct shards {
	struct shard *list;
	size_t n, cap;
};

struct importer {
	const char *folder;
	struct shards shards;
	enum trit_file_kind kind;
	struct trit_notes *notes;
	struct trit_error *err;
};

static void close_shards(struct shards *s)
{
	for (size_t i = 0; i < s->n; i++) {
		trit_torch_close(&s->list[i].torch);
		trit_safetensors_close(&s->list[i].st);
		trit_free(s->list[i].name);
	}
	trit_free(s->list);
	*s = (struct shards){ 0 };
}

/* ---- which files ------------------------------------------------------------------------------------------------- */

static int add_shard(struct importer *im, const char *name)
{
	struct shards *s = &im->shards;
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->list[i].name, name))
			return TRIT_OK;
	if (s->n == MAX_SHARDS)
		return trit_fail(im->err, TRIT_ERR_LIMIT, "more than %d files of weights", MAX_SHARDS);
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		struct shard *list = trit_realloc(s->list, s->cap * sizeof *list, cap, sizeof *list);
		if (!list)
			return trit_fail(im->err, TRIT_ERR_MEMORY, "not enough memory for a list of files");
		s->list = list;
		s->cap = cap;
	}
	s->list[s->n] = (struct shard){ .name = trit_strndup(name, strlen(name)) };
	if (!s->list[s->n].name)
		return trit_fail(im->err, TRIT_ERR_MEMORY, "not enough memory for a list of files");
	s->n++;
	return TRIT_OK;
}

static int make_path(const struct importer *im, const char *name, char path[PATH_BYTES])
{
	if (snprintf(path, PATH_BYTES, "%s/%s", im->folder, name) < PATH_BYTES)
		return TRIT_OK;
	return trit_fail(im->err, TRIT_ERR_ARG, "%.64s...: the path is too long", im->folder);
}

/* The files in the weight_map of an index. Hundreds of thousands of tensors in a few files: the last one found is
 * looked at first. */
static int read_index(struct importer *im, const char *path)
{
#ifdef TRIT_HAVE_JANSSON
	const char *tensor, *last = "";
	json_t *root = NULL, *map, *file;
	int e = trit_json_read(&root, path, im->err);
	if (e)
		return e;
	map = json_object_get(root, "weight_map");
	if (!json_is_object(map))
		e = trit_fail(im->err, TRIT_ERR_FORMAT, "%s: no \"weight_map\" in it", path);
	json_object_foreach(map, tensor, file) {
		const char *name = json_string_value(file);
		if (e)
			break;
		if (!name || !name[0] || strchr(name, '/'))
			e = trit_fail(im->err, TRIT_ERR_FORMAT, "%s: tensor %.100s is in no file of this folder", path, tensor);
		else if (strcmp(name, last) != 0)
			e = add_shard(im, last = name);
	}
	json_decref(root);
	return e;
#else
	return trit_fail(im->err, TRIT_ERR_UNSUPPORTED, "%s: this build has no jansson and cannot read JSON", path);
#endif
}

static int find_shards(struct importer *im)
{
	static const struct {
		const char *name;
		bool index;
	} files[] = {
		{ "model.safetensors.index.json", true }, { "model.safetensors", false },
		{ "pytorch_model.bin.index.json", true }, { "pytorch_model.bin", false },
	};
	char path[PATH_BYTES];
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		int e = make_path(im, files[i].name, path);
		if (e)
			return e;
		if (trit_path_kind(path) == 0)
			return files[i].index ? read_index(im, path) : add_shard(im, files[i].name);
	}
	return TRIT_OK;
}

/* The file that was named, or all; one of several, "model-00002-of-00003.safetensors", stands for all too. */
static int choose_shards(struct importer *im, const char *weights)
{
	bool part = weights && strstr(weights, "-of-");
	int e = !weights || part ? find_shards(im) : TRIT_OK;
	if (e || !weights || (part && im->shards.n > 1))
		return e;
	close_shards(&im->shards);
	return add_shard(im, weights);
}

/* ---- the files --------------------------------------------------------------------------------------------------- */

static int open_shard(struct importer *im, struct shard *s)
{
	char path[PATH_BYTES];
	struct trit_map head;
	int e = make_path(im, s->name, path);
	if (e || (e = trit_map_open(&head, path, im->err)))
		return e;
	im->kind = trit_file_kind(head.data, head.size);
	if (im->kind != TRIT_KIND_SAFETENSORS && im->kind != TRIT_KIND_PYTORCH) {
		e = trit_fail_kind(im->err, TRIT_KIND_SAFETENSORS, head.data, head.size);
		trit_fail_prefix(im->err, e, "%s", path);
	}
	trit_map_close(&head);
	if (e)
		return e;
	return im->kind == TRIT_KIND_PYTORCH ? trit_torch_open(&s->torch, path, im->err)
	                                 : trit_safetensors_open(&s->st, path, im->err);
}

/* Their mappings go to `maps`. */
static int keep_maps(struct importer *im, struct trit_maps *maps)
{
	maps->maps = trit_calloc(im->shards.n, sizeof *maps->maps);
	if (!maps->maps)
		return trit_fail(im->err, TRIT_ERR_MEMORY, "not enough memory for a list of files");
	for (size_t i = 0; i < im->shards.n; i++) {
		struct shard *s = &im->shards.list[i];
		struct trit_map *map = s->torch.map.data ? &s->torch.map : &s->st.map;
		maps->maps[maps->n++] = *map;
		maps->bytes += map->size;
		*map = (struct trit_map){ 0 };
	}
	return TRIT_OK;
}

/* All tensors of all files. */
static int add_tensors(struct importer *im, struct trit_gguf_build *b, const struct trit_hf_model *m)
{
	const struct trit_st_tensor **all;
	size_t n = 0, k = 0;
	int e;
	for (size_t i = 0; i < im->shards.n; i++)
		n += im->shards.list[i].st.n_tensors + im->shards.list[i].torch.n_tensors;
	all = trit_calloc(n, sizeof *all);
	if (!all)
		return trit_fail(im->err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu tensors", n);
	for (size_t i = 0; i < im->shards.n; i++) {
		const struct shard *s = &im->shards.list[i];
		for (size_t t = 0; t < s->st.n_tensors; t++)
			all[k++] = &s->st.tensors[t];
		for (size_t t = 0; t < s->torch.n_tensors; t++)
			all[k++] = &s->torch.tensors[t];
	}
	e = trit_hf_add_tensors(b, m, all, n, im->notes, im->err);
	trit_free(all);
	return e;
}

static int read_config(struct importer *im, struct trit_gguf_build *b, struct trit_hf_model *m)
{
	char path[PATH_BYTES];
	struct trit_map map;
	int e = make_path(im, "config.json", path);
	if (e || (e = trit_map_open(&map, path, im->err)))
		return e;
	e = trit_hf_read_keys(m, b, map.size, (const char *)map.data, im->notes, im->err);
	trit_map_close(&map);
	return e ? trit_fail_prefix(im->err, e, "%s", path) : TRIT_OK;
}

/* The name of the folder, where config.json has none. */
static void name_model(const struct importer *im, struct trit_gguf_build *b)
{
	size_t len = strlen(im->folder), start;
	while (len > 1 && im->folder[len - 1] == '/')
		len--;
	for (start = len; start > 0 && im->folder[start - 1] != '/';)
		start--;
	if (!trit_gguf_build_has_key(b, "general.name") && im->folder[start] != '.')
		trit_gguf_build_string(b, "general.name", len - start, im->folder + start);
}

static int check_complete(const struct importer *im, const struct trit_gguf *g)
{
	struct trit_config c;
	int e = TRIT_OK;
	if (!trit_gguf_find_tensor(g, "token_embd.weight"))
		e = trit_fail(im->err, TRIT_ERR_FORMAT, "tensor model.embed_tokens.weight (token_embd.weight) is missing; the "
		                                        "checkpoint is incomplete");
	if (!e && !(e = trit_config_read(&c, g, im->err)))
		e = trit_hf_check_complete(g, &c, im->err);
	return e;
}

static int import(struct importer *im, struct trit_gguf *out, struct trit_maps *maps, const char *weights)
{
	struct trit_gguf_build b = { 0 };
	struct trit_hf_model m;
	int e = choose_shards(im, weights);
	if (e || im->shards.n == 0)
		return e;
	for (size_t i = 0; i < im->shards.n && !e; i++)
		e = open_shard(im, &im->shards.list[i]);
	if (!e && !(e = read_config(im, &b, &m))) {
		name_model(im, &b);
		if (!(e = add_tensors(im, &b, &m)) && !(e = trit_gguf_build_finish(&b, out, im->err)) &&
		    !(e = check_complete(im, out)))
			e = keep_maps(im, maps);
		if (e)
			trit_fail_prefix(im->err, e, "%s", im->folder);
	}
	trit_gguf_build_release(&b);
	return e;
}

int trit_hf_import(struct trit_gguf *out, struct trit_maps *maps, enum trit_file_kind *kind, const char *folder,
                   const char *weights, struct trit_notes *notes, struct trit_error *err)
{
	struct importer im = { .folder = folder, .kind = TRIT_KIND_SAFETENSORS, .notes = notes, .err = err };
	*out = (struct trit_gguf){ 0 };
	*maps = (struct trit_maps){ 0 };
	int e = import(&im, out, maps, weights);
	*kind = im.kind;
	close_shards(&im.shards);
	if (e) {
		trit_gguf_close(out);
		trit_maps_close(maps);
	}
	return e;
}
