/*
 * vocab_file.c - vocabularies in files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/vocab_file.h"

#include "base/file.h"
#include "format/gguf_vocab.h"
#include "format/llama2c.h"
#include "format/spm_model.h"
#include "format/tiktoken.h"
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

static int read_llama2c(const char *path, struct trit_vocab *v, struct trit_error *err)
{
	struct trit_map m;
	int e = trit_map_open(&m, path, err);
	if (e)
		return e;
	e = trit_llama2c_read_vocab(v, m.data, m.size, err);
	trit_map_close(&m);
	return e ? trit_fail_prefix(err, e, "%s", path) : TRIT_OK;
}

typedef int read_fn(const char *path, struct trit_vocab *v, struct trit_error *err);

/* How a file that begins so is read: as GGUF unless it looks like something else. */
static read_fn *reader_of(size_t size, const unsigned char *data)
{
	size_t i = 0;
	while (i < size && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t'))
		i++;
	if (i < size && data[i] == '{')
		return trit_tokenizer_json_read;
	if (trit_is_tiktoken(size, data))
		return trit_tiktoken_read;
	if (trit_is_spm_model(size, data))
		return trit_spm_model_read;
	return trit_is_llama2c_vocab(data, size) ? read_llama2c : read_gguf;
}

bool trit_is_vocab_file(const char *path)
{
	struct trit_map m;
	if (trit_map_open(&m, path, NULL))
		return false;
	bool is = reader_of(m.size, m.data) != read_gguf;
	trit_map_close(&m);
	return is;
}

int trit_vocab_file_read(const char *path, struct trit_vocab *v, struct trit_error *err)
{
	struct trit_map m;
	int e = trit_map_open(&m, path, err);
	if (e)
		return e;
	read_fn *read = reader_of(m.size, m.data);
	trit_map_close(&m);
	return read(path, v, err);
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
