/*
 * bpe_pair.c - two files put together to what tokenizer.json says in one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/bpe_pair.h"

#ifdef TRIT_HAVE_JANSSON

#include "base/file.h"
#include "format/json_file.h"
#include "format/tokenizer_json_parts.h"

enum { PATH_BYTES = 4096 };

bool trit_is_bpe_vocab(json_t *root)
{
	const char *text;
	json_t *id;

	json_object_foreach(root, text, id)
		if (!json_is_integer(id))
			return false;
	return json_object_size(root) > 0;
}

static bool is_special(const char *text)
{
	static const char *const names[] = { "<s>", "</s>", "<pad>", "<unk>", "<mask>" };
	size_t len = strlen(text);

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(text, names[i]))
			return true;
	return len > 4 && !memcmp(text, "<|", 2) && !strcmp(text + len - 2, "|>");
}

/* {"id", "content", "special"} for each token of `from`, or only for those that look special. */
static int add_tokens(json_t *list, json_t *from, bool all)
{
	const char *text;
	json_t *id;

	json_object_foreach(from, text, id)
		if ((all || is_special(text)) &&
		    json_array_append_new(list, json_pack("{sO ss sb}", "id", id, "content", text, "special", 1)))
			return -1;
	return 0;
}

/* The lines of merges.txt as a list; a first line "#version" is none of them. NULL: no memory, or not UTF-8. */
static json_t *merges_of(size_t len, const char *text)
{
	json_t *list = json_array();

	for (const char *end = text + len, *line = text; list && line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line)), *next = stop ? stop + 1 : end;
		size_t n = (size_t)((stop ? stop : end) - line);

		n -= n > 0 && line[n - 1] == '\r';
		bool version = line == text && n >= 8 && !memcmp(line, "#version", 8);
		if (n > 0 && !version && json_array_append_new(list, json_stringn(line, n))) {
			json_decref(list);
			return NULL;
		}
		line = next;
	}
	return list;
}

int trit_bpe_pair_build(json_t *vocab, size_t len, const char *merges, json_t *added, struct trit_vocab *out,
                        struct trit_error *err)
{
	json_t *list = merges_of(len, merges), *tokens = json_array(), *root = NULL;
	int status;

	if (!list) {
		status = trit_fail(err, TRIT_ERR_FORMAT, "its merges are not UTF-8; the file is damaged");
	} else if (!tokens || add_tokens(tokens, vocab, false) || (added && add_tokens(tokens, added, true)) ||
	           !(root = json_pack("{s{ss sO sO} sO s{ss sb} s{ss}}", "model", "type", "BPE", "vocab", vocab, "merges",
	                              list, "added_tokens", tokens, "pre_tokenizer", "type", "ByteLevel",
	                              "add_prefix_space", 0, "decoder", "type", "ByteLevel"))) {
		status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", json_object_size(vocab));
	} else {
		status = trit_tokenizer_json_build(root, out, err);
	}
	json_decref(root);
	json_decref(list);
	json_decref(tokens);
	return status;
}

/* The file `name` in the folder of `path`; false: there is none. */
static bool beside(char file[PATH_BYTES], const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;

	return snprintf(file, PATH_BYTES, "%.*s%s", folder, path, name) < PATH_BYTES && trit_path_kind(file) == 0;
}

int trit_bpe_pair_read(json_t *root, const char *path, struct trit_vocab *out, struct trit_error *err)
{
	char file[PATH_BYTES];
	json_t *added = NULL;
	struct trit_map map;
	int status = TRIT_OK;

	if (beside(file, path, "added_tokens.json"))
		status = trit_json_read(&added, file, err);
	if (!status && !beside(file, path, "merges.txt") && !beside(file, path, "vocab.bpe"))
		status = trit_fail(err, TRIT_ERR_FORMAT,
		                   "%s: tokens without merges; put merges.txt (or vocab.bpe) beside it, or take tokenizer.json",
		                   path);
	if (!status && !(status = trit_map_open(&map, file, err))) {
		status = trit_bpe_pair_build(root, map.size, (const char *)map.data, added, out, err);
		trit_map_close(&map);
		if (status)
			status = trit_fail_prefix(err, status, "%s and %s", path, file);
	}
	json_decref(added);
	return status;
}

#endif
