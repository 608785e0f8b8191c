/*
 * vocab_file.c - vocabularies in files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/vocab_file.h"

#include "format/gguf_vocab.h"
#include "format/tokenizer_json.h"

static int read_gguf(const char *path, struct trit_vocab *v, struct trit_error *err)
{
	struct trit_gguf g;
	int e = trit_gguf_open(&g, path, err);
	if (e)
		return e;
	e = trit_gguf_read_vocab(&g, v, err);
	trit_gguf_close(&g);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}

int trit_vocab_file_read(const char *path, struct trit_vocab *v, struct trit_error *err)
{
	struct trit_map m;
	int e = trit_map_open(&m, path, err);
	if (e)
		return e;
	size_t i = 0;
	while (i < m.size && (m.data[i] == ' ' || m.data[i] == '\n' || m.data[i] == '\r' || m.data[i] == '\t'))
		i++;
	bool json = i < m.size && m.data[i] == '{';
	trit_map_close(&m);
	return json ? trit_tokenizer_json_read(path, v, err) : read_gguf(path, v, err);
}

int trit_vocab_file_write(const char *path, const struct trit_vocab *v, struct trit_error *err)
{
	struct trit_gguf_writer *w;
	int e = trit_gguf_writer_new(&w, path, err);
	if (e)
		return e;
	if (!(e = trit_gguf_put_string(w, "general.architecture", 5, "llama", err)) &&
	    !(e = trit_gguf_put_string(w, "general.type", 5, "vocab", err)) && !(e = trit_gguf_put_vocab(w, v, err)))
		e = trit_gguf_writer_commit(w, err);
	trit_gguf_writer_free(w);
	return e;
}
