/*
 * safetensors.h - reads and writes .safetensors files: checkpoints, token shards, exchange. Reading needs jansson.
 *
 *     u64 n | n bytes of JSON, padded with blanks to a multiple of 8 | data of all tensors, without holes
 *
 *     {"__metadata__": {"key": "value"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * Offsets count from the first byte of the data.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_SAFETENSORS_H
#define TRIT_FORMAT_SAFETENSORS_H

#include <stdbool.h>

#include "base/file.h"

enum trit_dtype {
	TRIT_DTYPE_F32,
	TRIT_DTYPE_F16,
	TRIT_DTYPE_BF16,
	TRIT_DTYPE_I8,
	TRIT_DTYPE_U8,
	TRIT_DTYPE_U16,
	TRIT_DTYPE_I32,
	TRIT_DTYPE_U32,
	TRIT_DTYPE_I64,
	TRIT_DTYPE_U64,
	TRIT_DTYPE_F64,
};

#define TRIT_SAFETENSORS_MAX_DIMS 4
#define TRIT_SAFETENSORS_MAX_HEADER 100000000 /* bytes of JSON; the limit of the reference implementation */

struct trit_st_tensor {
	const char *name; /* NUL-terminated, inside the reader */
	enum trit_dtype dtype;
	int n_dims;                                /* 0 for a single number */
	uint64_t shape[TRIT_SAFETENSORS_MAX_DIMS]; /* shape[0] slowest; unused ones are 1; 0 is possible */
	uint64_t elements;
	const unsigned char *data; /* little-endian; files of others may have it unaligned */
	uint64_t bytes;
};

struct trit_st_meta {
	const char *name, *value; /* NUL-terminated */
};

struct trit_safetensors {
	struct trit_map map;            /* zero when opened over bytes in memory */
	struct trit_st_tensor *tensors; /* in the order of their data */
	size_t n_tensors;
	struct trit_st_meta *meta;
	size_t n_meta;
	/* private: storage of names and values, and the tensors sorted by name */
	char *strings;
	const struct trit_st_tensor **index;
};

/**
 * Maps and checks the whole header: strict JSON, names once, dtype, shape, offsets that match them and cover the data
 * without overlap or hole. Errors: IO, FORMAT, MEMORY; UNSUPPORTED (no jansson; a dtype that is not in enum trit_dtype;
 * more than 4 dimensions).
 */
TRIT_MUST_CHECK int trit_safetensors_open(struct trit_safetensors *s, const char *path, struct trit_error *err);
/** The same over bytes in memory, which must outlive s. */
TRIT_MUST_CHECK int trit_safetensors_open_bytes(struct trit_safetensors *s, const unsigned char *data, size_t size,
                                                struct trit_error *err);
void trit_safetensors_close(struct trit_safetensors *s);
/** NULL if absent. */
const struct trit_st_tensor *trit_safetensors_find(const struct trit_safetensors *s, const char *name);
const char *trit_safetensors_meta(const struct trit_safetensors *s, const char *name);

/** Metadata "format" of what trit train saves (train/checkpoint.h). */
#define TRIT_ST_CHECKPOINT "trit-checkpoint"
/** Whether it is such a checkpoint, the state of a training run and no model, of whatever version and health. */
bool trit_st_is_checkpoint(const struct trit_safetensors *s);
/** The same of a file; false also when it cannot be read. */
bool trit_safetensors_is_checkpoint(const char *path);

/**
 * Writing: describe everything, begin (writes the header), data in the same order, commit (atomic). Tensors are put
 * with the larger elements first, so that each one's data is aligned to its elements in the file (ARG if it would not
 * be). Beside IO, MEMORY: ARG for a name given twice, text that is not UTF-8, data that does not come out at exactly
 * the tensors' sizes. After an error only _free is of use.
 */
struct trit_st_writer;
TRIT_MUST_CHECK int trit_st_writer_new(struct trit_st_writer **out, const char *path, struct trit_error *err);
void trit_st_writer_free(struct trit_st_writer *w); /* without commit: nothing is left behind */
TRIT_MUST_CHECK int trit_st_put_meta(struct trit_st_writer *w, const char *name, const char *value,
                                     struct trit_error *err);
TRIT_MUST_CHECK int trit_st_put_tensor(struct trit_st_writer *w, const char *name, enum trit_dtype dtype, int n_dims,
                                       const uint64_t *shape, struct trit_error *err);
/** Puts what st_checksum.h checks into the metadata; the last thing before _begin. sums [n]: trit_st_sum_bytes of each
 * tensor's data, in the order put. */
TRIT_MUST_CHECK int trit_st_put_checksums(struct trit_st_writer *w, size_t n, const uint64_t *sums,
                                          struct trit_error *err);
TRIT_MUST_CHECK int trit_st_begin(struct trit_st_writer *w, struct trit_error *err);
TRIT_MUST_CHECK int trit_st_write(struct trit_st_writer *w, size_t len, const void *data, struct trit_error *err);
TRIT_MUST_CHECK int trit_st_commit(struct trit_st_writer *w, struct trit_error *err);

/** Bytes of an element. */
int trit_dtype_bytes(enum trit_dtype t);
/** As in the file: "BF16". */
const char *trit_dtype_name(enum trit_dtype t);

#endif
