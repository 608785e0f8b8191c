/*
 * gguf.h - reads and writes GGUF files (version 2 and 3, little-endian).
 *
 * Reading maps the file and checks all of it before the first pointer is handed out: magic, counts, every string, every
 * type, every tensor's shape, alignment and extent, overlap, duplicate names. A file of another kind is named for what
 * it is where its first bytes tell (safetensors, PyTorch zip, HTML page, git-lfs pointer).
 *
 *     header       "GGUF" | u32 version | u64 n_tensors | u64 n_keys
 *     key          string name | u32 type | value                               string: u64 length | bytes
 *     tensor info  string name | u32 n_dims | u64 dims[] | u32 ggml type | u64 offset
 *     padding to the alignment | tensor data, each tensor at its offset from here, a multiple of the alignment
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGUF_H
#define TRIT_FORMAT_GGUF_H

#include "base/file.h"
#include "format/ggml_type.h"

enum trit_gguf_type {
	TRIT_GGUF_U8 = 0,
	TRIT_GGUF_I8,
	TRIT_GGUF_U16,
	TRIT_GGUF_I16,
	TRIT_GGUF_U32,
	TRIT_GGUF_I32,
	TRIT_GGUF_F32,
	TRIT_GGUF_BOOL,
	TRIT_GGUF_STRING,
	TRIT_GGUF_ARRAY,
	TRIT_GGUF_U64,
	TRIT_GGUF_I64,
	TRIT_GGUF_F64,
};

/** A key and its value; everything points into the mapping. */
struct trit_gguf_key {
	const char *name; /* name_len bytes, not NUL-terminated */
	uint32_t name_len;
	uint32_t type;         /* enum trit_gguf_type */
	uint32_t element_type; /* of an array; nested arrays are an UNSUPPORTED error of open */
	uint64_t n;            /* array: number of elements; else 1 */
	const unsigned char *value; /* first byte of the value (string: its u64 length; array: its first element) */
};

struct trit_gguf_tensor {
	const char *name; /* NUL-terminated copy */
	uint32_t type;    /* trit_ggml_type_info knows it, but may not be able to read it; where a number in the file has
	                   * several meanings, the one it has here */
	uint32_t n_dims;
	uint64_t dims[4]; /* dims[0] fastest (columns); unused ones are 1 */
	const unsigned char *data; /* aligned to the file's alignment from the beginning of the file */
	uint64_t bytes;            /* trit_ggml_tensor_bytes of dims[1] * dims[2] * dims[3] rows, dims[0] columns */
	uint64_t offset;           /* from the beginning of the file, or of the part it is in */
	bool built;                /* data is memory of gguf_build.h's, no file's */
};

/** Memory that belongs to a struct trit_gguf made by gguf_build.h. */
struct trit_gguf_block {
	struct trit_gguf_block *next;
	size_t size, used;
	_Alignas(64) unsigned char bytes[]; /* `size` of them */
};

struct trit_gguf {
	struct trit_map map; /* zero when opened over bytes in memory, built, or in several parts */
	uint32_t version;
	uint32_t alignment;
	uint64_t n_keys, n_tensors;
	struct trit_gguf_key *keys;       /* in the file's order, as are the tensors */
	struct trit_gguf_tensor *tensors;
	/* private: storage of tensor names, or of all that was copied; and both lists sorted by name */
	char *names;
	struct trit_gguf_block *storage;
	struct trit_gguf *parts; /* of a model in several files: all of them, in order */
	uint64_t n_parts;        /* 0: it is in one */
	const struct trit_gguf_key **key_index;
	const struct trit_gguf_tensor **tensor_index;
};

/** Errors: IO; FORMAT and UNSUPPORTED (the message names file, key or tensor, and byte); MEMORY. Of a model in several
 * files (gguf_split.h) any part opens all; its keys are those of the first. */
TRIT_MUST_CHECK int trit_gguf_open(struct trit_gguf *g, const char *path, struct trit_error *err);
/** This file alone. */
TRIT_MUST_CHECK int trit_gguf_open_part(struct trit_gguf *g, const char *path, struct trit_error *err);
/** Bytes of the file, or of all parts; 0 when it is in none. */
uint64_t trit_gguf_file_bytes(const struct trit_gguf *g);
/** The same over bytes in memory, which must outlive g (tests, fuzzing). */
TRIT_MUST_CHECK int trit_gguf_open_bytes(struct trit_gguf *g, const unsigned char *data, size_t size,
                                         struct trit_error *err);
void trit_gguf_close(struct trit_gguf *g);
/** For gguf_build.c and gguf_split.c: sorts keys and tensors for the look-ups. Errors: FORMAT (a name that is there
 * twice), MEMORY. */
TRIT_MUST_CHECK int trit_gguf_index(struct trit_gguf *g, struct trit_error *err);

/** Bytes [from, to) of a tensor's data were read and are not needed soon (trit_map_forget). Does nothing where they
 * could not be read from a file again. */
void trit_gguf_forget(const struct trit_gguf_tensor *t, size_t from, size_t to);

/** NULL if absent. */
const struct trit_gguf_key *trit_gguf_find_key(const struct trit_gguf *g, const char *name);
const struct trit_gguf_tensor *trit_gguf_find_tensor(const struct trit_gguf *g, const char *name);

/** The name of a value type ("u32", "string"); "?" for a number that is none. */
const char *trit_gguf_type_name(uint32_t type);
/** Bytes of a number or bool of this type; 0 for strings, arrays and numbers that are no type. */
unsigned trit_gguf_type_bytes(uint32_t type);

/* Typed access. 0: *out is set. 1: there is no such key; *out stays as it is. FORMAT: a value of another type or out of
 * range; the message names key, value or type, and what is expected. Any integer type reads as u64 unless it is
 * negative, f32 and f64 read as double. */
int trit_gguf_get_u64(const struct trit_gguf *g, const char *name, uint64_t max, uint64_t *out, struct trit_error *err);
int trit_gguf_get_f64(const struct trit_gguf *g, const char *name, double *out, struct trit_error *err);
int trit_gguf_get_bool(const struct trit_gguf *g, const char *name, bool *out, struct trit_error *err);
/** *out points into the file, *len bytes. */
int trit_gguf_get_string(const struct trit_gguf *g, const char *name, const char **out, size_t *len,
                         struct trit_error *err);
/** Walks an array of strings: *at = key->value first, then as many calls as key->n; moves *at on. Checked by open. */
void trit_gguf_next_string(const unsigned char **at, const char **out, size_t *len);
/** Bytes of the value from key->value on. */
size_t trit_gguf_value_bytes(const struct trit_gguf_key *k);
/** Element i of an array of numbers or bools. 64-bit integers beyond 2^53 are rounded. */
double trit_gguf_array_number(const struct trit_gguf_key *k, uint64_t i);

/**
 * Writing. Order: new, keys, tensor infos, then the data of all tensors in the same order in one or more pieces,
 * commit. The first key must be general.architecture. Tensors are aligned to 32, the default, unless _put_alignment
 * says more. Beside IO (a disk without room for all tensors is noticed before their data is written), MEMORY: ARG for a
 * name written twice or too long, a shape the type cannot have, data that does not come out at exactly the tensors'
 * sizes. After an error only _free is of use.
 */
struct trit_gguf_writer;
TRIT_MUST_CHECK int trit_gguf_writer_new(struct trit_gguf_writer **out, const char *path, struct trit_error *err);
void trit_gguf_writer_free(struct trit_gguf_writer *w); /* without commit: nothing is left behind */
TRIT_MUST_CHECK int trit_gguf_put_string(struct trit_gguf_writer *w, const char *name, size_t len, const char *text,
                                         struct trit_error *err);
TRIT_MUST_CHECK int trit_gguf_put_u32(struct trit_gguf_writer *w, const char *name, uint32_t v, struct trit_error *err);
TRIT_MUST_CHECK int trit_gguf_put_f32(struct trit_gguf_writer *w, const char *name, float v, struct trit_error *err);
TRIT_MUST_CHECK int trit_gguf_put_bool(struct trit_gguf_writer *w, const char *name, bool v, struct trit_error *err);
/** Whether a key of this name was written. */
bool trit_gguf_writer_has(const struct trit_gguf_writer *w, size_t len, const char *name);
/** general.alignment, a power of two from 8 on; before the first tensor. */
TRIT_MUST_CHECK int trit_gguf_put_alignment(struct trit_gguf_writer *w, uint32_t alignment, struct trit_error *err);
/** Array of n elements of a number type, as raw little-endian bytes. */
TRIT_MUST_CHECK int trit_gguf_put_array(struct trit_gguf_writer *w, const char *name, enum trit_gguf_type type,
                                        uint64_t n, const void *elements, struct trit_error *err);
/** Array of strings: begin, then n times item. */
TRIT_MUST_CHECK int trit_gguf_put_strings(struct trit_gguf_writer *w, const char *name, uint64_t n,
                                          struct trit_error *err);
TRIT_MUST_CHECK int trit_gguf_put_strings_item(struct trit_gguf_writer *w, size_t len, const char *text,
                                               struct trit_error *err);
/** Copies a key of another file as it stands; general.alignment, which speaks of the other file, is left out. */
TRIT_MUST_CHECK int trit_gguf_put_key(struct trit_gguf_writer *w, const struct trit_gguf_key *k,
                                      struct trit_error *err);
/** dims[0] fastest; names have at most 63 bytes, as in llama.cpp. */
TRIT_MUST_CHECK int trit_gguf_put_tensor(struct trit_gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
                                         const uint64_t *dims, struct trit_error *err);
TRIT_MUST_CHECK int trit_gguf_write_data(struct trit_gguf_writer *w, size_t len, const void *data,
                                         struct trit_error *err);
TRIT_MUST_CHECK int trit_gguf_writer_commit(struct trit_gguf_writer *w, struct trit_error *err);

#endif
