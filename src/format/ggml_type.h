/*
 * ggml_type.h - the tensor element types of GGUF files: their numbers, block sizes, and how rows are decoded and
 * encoded.
 *
 * Layouts byte by byte stand beside each codec in ggml_plain.c, ggml_k.c, ggml_ternary.c and ggml_tl.c;
 * docs/formats.md has them all. Type numbers clash between programs, so a number in a file may stand for several types
 * here: those that llama.cpp has, or that came first, keep the file's number, the others have one of their own that is
 * in no file. gguf_types.h tells which is meant.
 *
 * A tensor is a matrix here: cols = dims[0] (contiguous), rows = the product of the other dims. In most types rows
 * follow each other without gaps, each of them whole blocks; some put 4 rows into one stripe, TL1 and TL2 tile the
 * whole matrix.
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
	TRIT_GGML_Q4_0 = 2,
	TRIT_GGML_Q4_1 = 3,
	TRIT_GGML_Q5_0 = 6,
	TRIT_GGML_Q5_1 = 7,
	TRIT_GGML_Q8_0 = 8,
	TRIT_GGML_Q2_K = 10,
	TRIT_GGML_Q3_K = 11,
	TRIT_GGML_Q4_K = 12,
	TRIT_GGML_Q5_K = 13,
	TRIT_GGML_Q6_K = 14,
	TRIT_GGML_Q8_K = 15,
	TRIT_GGML_IQ4_NL = 20,
	TRIT_GGML_I8 = 24,
	TRIT_GGML_F64 = 28,
	TRIT_GGML_BF16 = 30,
	TRIT_GGML_TQ1_0 = 34,
	TRIT_GGML_TQ2_0 = 35,
	TRIT_GGML_I2_S = 36,
	TRIT_GGML_TL1 = 38,
	TRIT_GGML_TL2 = 39,
	TRIT_GGML_Q1_0 = 41,
	TRIT_GGML_Q2_0 = 42,
	TRIT_GGML_IQ1_BN = 134,
	TRIT_GGML_IQ2_BN = 135,
	TRIT_GGML_IQ2_BN_R4 = 335,
	TRIT_GGML_PACKED = 7400, /* the first packed type; TRIT_GGML_PACKED_TYPE */
	/* In no file. */
	TRIT_GGML_HF_U2 = 7500, /* transformers' packed ternary weights, dims as unpacked */
	TRIT_GGML_Q2_0_G128,    /* 42, as PrismML's fork of llama.cpp has it */
	TRIT_GGML_I2_S_NEON,    /* 36, as bitnet.cpp wrote it on ARM since November 2025 */
	TRIT_GGML_I2_S_4ROW,    /* 36, as bitnet.cpp writes it when built without ACT_PARALLEL */
	TRIT_GGML_MXFP4,        /* 39, as llama.cpp and ik_llama.cpp have it */
};

/** A packed type by number: layout as in enum trit_layout of kernel/layout.h; scales: 0 one a tensor, 1 one a row, 2
 * one for every 64 columns of a row, 3 for every 128. */
#define TRIT_GGML_PACKED_TYPE(layout, scales) (TRIT_GGML_PACKED + 4 * (layout) + (scales))

struct trit_ggml_codec;

struct trit_ggml_type_info {
	uint32_t id;
	uint32_t file_id;     /* number in a file; another than id where that number means several types, or in none */
	const char *name;     /* "TQ2_0" */
	int file_type;        /* general.file_type (LLAMA_FTYPE) of a file mostly of this type, or -1 */
	int block;            /* elements of a block; a row is a whole number of blocks. Packed: columns of a group of 16
	                       * rows; what is missing to whole groups is filled up */
	int block_bytes;      /* of a stripe's block; 0: not made of blocks (TL1, TL2) */
	int stripe;           /* rows that lie together: 1, or 4 that share their bytes */
	int stripe_bytes;     /* before the blocks of each row or stripe: scales */
	int tail_bytes;       /* bytes after all blocks of a tensor (I2_S: 32, the scale) */
	int scaling;          /* how scales are arranged, as in enum trit_scaling (0 tensor, 1 row, 64 or 128 columns).
	                       * Packed: exactly so; other ternary types: at the finest; types of numbers: 0 */
	bool ternary;         /* holds scale * {-1,0,1} */
	bool binary;          /* of these, without a 0 */
	bool packed;
	int layout;           /* packed: enum trit_layout, else -1 */
	bool readable;        /* has a codec here */
	bool writes_floats, writes_trits; /* trit_ggml_encode_f32, trit_ggml_encode_trits know it */
	const struct trit_ggml_codec *codec;
};

/** NULL for a number nobody here knows. Known but unreadable types (IQ2_XS ...) are listed with readable false. */
const struct trit_ggml_type_info *trit_ggml_type_info(uint32_t id);
/** By name, case-insensitive; NULL if unknown. */
const struct trit_ggml_type_info *trit_ggml_type_by_name(const char *name);
/** For a number that is not in the table: what it is known to mean elsewhere and what to do. Never NULL. */
const char *trit_ggml_type_hint(uint32_t id);
/** Bytes of a tensor of rows x cols; the ARG error says what does not fit ("6912 columns, not a multiple of 256").
 * UNSUPPORTED: TL1 or TL2 in a shape of which no tile sizes are published.
 * Packed: the weights (a multiple of 64 bytes), then the scales, fp32. */
TRIT_MUST_CHECK int trit_ggml_tensor_bytes(uint32_t id, uint64_t rows, uint64_t cols, uint64_t *bytes,
                                           struct trit_error *err);
/** Bytes that rows [0, row) of a matrix take where rows follow each other, row a multiple of 4 or all; 0 for types that
 * mix distant rows, and for packed ones. */
uint64_t trit_ggml_bytes_before(const struct trit_ggml_type_info *t, uint64_t cols, uint64_t row);

/**
 * Decodes rows [row0, row0 + n) of a matrix [rows, cols]. `data` is the whole matrix, as long as trit_ggml_tensor_bytes
 * says. Errors: ARG (as trit_ggml_tensor_bytes; rows beyond the matrix), UNSUPPORTED (not readable), FORMAT with row
 * and column of the first element that does not fit; out is then partly written.
 *
 * _f32: any readable type, to out [n, cols]. FORMAT: a code 3 of a ternary type but TQ2_0 and Q2_0, where it is twice
 * the scale, as in ggml.
 * _trits: codes -1, 0, 1 to out [n, cols] and the scale of the WHOLE matrix (whatever the range of rows) to *scale,
 * when every value is scale * {-1,0,1}; 1 when all are zero. For ternary types, and for types of numbers alike.
 * FORMAT: a code 3, a block or value of another magnitude, a scale that is negative or not finite.
 */
TRIT_MUST_CHECK int trit_ggml_decode_f32(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                                         uint64_t row0, uint64_t n, float *out, struct trit_error *err);
TRIT_MUST_CHECK int trit_ggml_decode_trits(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                                           uint64_t row0, uint64_t n, int8_t *out, float *scale,
                                           struct trit_error *err);

/**
 * The same for ternary types with any number of scales: codes and scales apart.
 *
 * _run: how many columns of a row share a scale; 0: all of the matrix do.
 * _scales: out [n, cols / run], or [1] for run 0 (n at least 1). FORMAT: negative or not finite.
 * _codes: out [n, cols], -1, 0, 1, and in Q2_0 2; 0 where the scale is 0, but for binary types. FORMAT: a code 3 but in
 * Q2_0.
 * _has_code_2: whether _codes gives a 2 for one of the rows.
 */
uint64_t trit_ggml_run(const struct trit_ggml_type_info *t, uint64_t cols);
TRIT_MUST_CHECK int trit_ggml_decode_scales(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                                            uint64_t row0, uint64_t n, float *out, struct trit_error *err);
TRIT_MUST_CHECK int trit_ggml_decode_codes(uint32_t id, const unsigned char *data, uint64_t rows, uint64_t cols,
                                           uint64_t row0, uint64_t n, int8_t *out, struct trit_error *err);
bool trit_ggml_has_code_2(uint32_t id, const unsigned char *data, uint64_t cols, uint64_t row0, uint64_t n);
/** One row of a readable type of numbers, which any bytes are: out [cols]. */
void trit_ggml_decode_row(uint32_t id, const unsigned char *data, uint64_t cols, uint64_t row, float *out);

/**
 * Encodes a whole matrix [rows, cols] into out, trit_ggml_tensor_bytes long; nothing can fail, that call has checked.
 *
 * _f32: types with writes_floats. F16 and BF16 round to nearest even; Q8_0, Q4_0, Q6_K, TQ1_0, TQ2_0, Q1_0 and Q2_0 do
 * what ggml's reference quantisers do, to the byte; what is not finite becomes some code.
 * _trits: types with writes_trits, of scale * code, scale > 0. All but F32 and I2_S hold the scale in 16 bits: exact
 * only for a scale F16 (BF16) can hold (1, say, with the real scale in a tensor of its own). A block of zeros gets
 * d = 0 there, as in ggml. Binary types: no code is 0.
 * _groups: the same with scales [rows, cols / run], one for each `run` columns, for types with a scale a block; run is
 * a multiple of the block or the block one of run, and then all scales of a block are the same.
 */
void trit_ggml_encode_f32(uint32_t id, const float *in, uint64_t rows, uint64_t cols, unsigned char *out);
void trit_ggml_encode_trits(uint32_t id, const int8_t *in, float scale, uint64_t rows, uint64_t cols,
                            unsigned char *out);
void trit_ggml_encode_groups(uint32_t id, const int8_t *in, const float *scales, uint64_t run, uint64_t rows,
                             uint64_t cols, unsigned char *out);

#endif
