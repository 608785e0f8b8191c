/*
 * ggml_type.h - the tensor element types of GGUF files: their numbers, block sizes, and how rows are decoded and
 * encoded.
 *
 * Layouts byte by byte stand beside each codec in ggml_codec.c; docs/formats.md has them all. Type numbers clash
 * between programs (docs/formats.md): the ones here are llama.cpp's, and bitnet.cpp's for I2_S.
 *
 * A tensor is a matrix here: cols = dims[0] (contiguous), rows = the product of the other dims. In every type but the
 * packed ones rows follow each other without gaps, so a matrix is one flat run of blocks (and, for I2_S, a tail).
 *
 * The packed types are Trit's own: a matrix as it lies in memory (kernel/layout.h), so that a mapped file needs no
 * repacking. What is known of them here is their size; those who know the kernels pack and unpack them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGML_TYPE_H
#define TRIT_FORMAT_GGML_TYPE_H

#include <stdbool.h>

#include "base/error.h"

enum trit_ggml_type {
	TRIT_GGML_F32 = 0,
	TRIT_GGML_F16 = 1,
	TRIT_GGML_Q8_0 = 8,
	TRIT_GGML_BF16 = 30,
	TRIT_GGML_TQ1_0 = 34,
	TRIT_GGML_TQ2_0 = 35,
	TRIT_GGML_I2_S = 36,
	TRIT_GGML_PACKED = 7400, /* the first packed type; TRIT_GGML_PACKED_TYPE */
};

/** A packed type by number: layout as in enum trit_layout of kernel/layout.h; scales: 0 one a tensor, 1 one a row, 2
 * one for every 64 columns of a row, 3 for every 128. */
#define TRIT_GGML_PACKED_TYPE(layout, scales) (TRIT_GGML_PACKED + 4 * (layout) + (scales))

struct trit_ggml_type_info {
	uint32_t id;          /* number in the file */
	const char *name;     /* "TQ2_0" */
	int file_type;        /* general.file_type (LLAMA_FTYPE) of a file mostly of this type, or -1 */
	int block;            /* elements of a block; a row is a whole number of blocks. Packed: columns of a group of 16
	                       * rows; what is missing to whole groups is filled up */
	int block_bytes;
	int tail_bytes;       /* bytes after all blocks of a tensor (I2_S: 32, the scale) */
	bool ternary;         /* holds scale * {-1,0,1}; packed ones may have several scales */
	bool readable;        /* has a codec here */
	bool packed;
	int layout;           /* packed: enum trit_layout, else -1 */
	int scaling;          /* packed: enum trit_scaling (0 tensor, 1 row, 64 or 128 columns), else 0 */
};

/** NULL for a number nobody here knows. Known but unreadable types (Q4_K ...) are listed with readable false. */
const struct trit_ggml_type_info *trit_ggml_type_info(uint32_t id);
/** By name, case-insensitive; NULL if unknown. */
const struct trit_ggml_type_info *trit_ggml_type_by_name(const char *name);
/** For a number that is not in the table: what it is known to mean elsewhere and what to do. Never NULL. */
const char *trit_ggml_type_hint(uint32_t id);
/** Bytes of a tensor of rows x cols; the ARG error says what does not fit ("6912 columns, not a multiple of 256").
 * Packed: the weights (a multiple of 64 bytes), then the scales, fp32. */
TRIT_MUST_CHECK int trit_ggml_tensor_bytes(uint32_t id, uint64_t rows, uint64_t cols, uint64_t *bytes,
                                           struct trit_error *err);

/**
 * Decodes rows [row0, row0 + n) of a matrix [rows, cols]. `data` is the whole matrix, as long as trit_ggml_tensor_bytes
 * says. Errors: ARG (as trit_ggml_tensor_bytes; rows beyond the matrix), UNSUPPORTED (not readable), FORMAT with row
 * and column of the first element that does not fit; out is then partly written.
 *
 * _f32: any readable type, to out [n, cols]. FORMAT: a code 3 of I2_S.
 * _trits: codes -1, 0, 1 to out [n, cols] and the scale of the WHOLE matrix (whatever the range of rows) to *scale,
 * when every value is scale * {-1,0,1}; 1 when all are zero. For ternary types, and for F32 F16 BF16 Q8_0 alike.
 * FORMAT: a code 3, a block or value of another magnitude, a scale that is negative or not finite.
 */
TRIT_MUST_CHECK int trit_ggml_decode_f32(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                                         uint64_t row0, uint64_t n, float *out, struct trit_error *err);
TRIT_MUST_CHECK int trit_ggml_decode_trits(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                                           uint64_t row0, uint64_t n, int8_t *out, float *scale,
                                           struct trit_error *err);

/**
 * Encodes a whole matrix [rows, cols] into out, trit_ggml_tensor_bytes long; nothing can fail, that call has checked.
 * _f32: F32 F16 BF16 Q8_0 (the others have no rule for values between the trits). F16 and BF16 round to nearest even;
 * Q8_0 is ggml's reference rounding. What is not finite becomes 0 or the largest code in Q8_0.
 * _trits: every readable type, of scale * code, scale > 0. TQ1_0, TQ2_0 and Q8_0 hold the scale as F16: exact only for
 * a scale F16 can hold (1, say, with the real scale in a tensor of its own). A block of zeros gets d = 0 there, as in
 * ggml.
 */
void trit_ggml_encode_f32(uint32_t id, const float *in, uint64_t rows, uint64_t cols, unsigned char *out);
void trit_ggml_encode_trits(uint32_t id, const int8_t *in, float scale, uint64_t rows, uint64_t cols,
                            unsigned char *out);

#endif
