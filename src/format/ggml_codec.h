/*
 * ggml_codec.h - what a codec of an element type is; private to the files ggml_*.c.
 *
 * Two kinds. A type of numbers is a run of blocks, each of which becomes numbers by itself. A ternary type gives, row
 * by row, codes c = trit + 1 in 0..2 (3 is what two bits can hold beyond that) and scales. Data is as long as
 * trit_ggml_tensor_bytes says; that is checked before.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGML_CODEC_H
#define TRIT_FORMAT_GGML_CODEC_H

#include "format/ggml_type.h"

struct trit_ggml_matrix {
	const struct trit_ggml_type_info *type;
	const unsigned char *data;
	uint64_t rows, cols;
	uint64_t stripe; /* bytes of a row, or of the rows that lie together */
	uint64_t bytes;  /* of the whole */
};

struct trit_ggml_codec {
	/* Types of numbers: n blocks. */
	void (*decode)(const unsigned char *in, uint64_t n, float *out);
	/* Ternary types. Codes of a row, [cols]; the scale of columns [run * i, run * (i + 1)) of it. */
	void (*unpack)(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes);
	float (*scale)(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i);
	/* n blocks of numbers; NULL: there is no rule for numbers. */
	void (*encode)(const float *in, uint64_t n, unsigned char *out);
	/* One block of scale * {-1,0,1}, not all 0 unless the type has no scale in the block; NULL: not written. */
	void (*encode_trits)(const int8_t *in, float scale, unsigned char *out);
};

/* Of ggml_plain.c, ggml_k.c, ggml_ternary.c, ggml_tl.c. */
extern const struct trit_ggml_codec trit_codec_f32, trit_codec_f16, trit_codec_bf16, trit_codec_f64, trit_codec_i8,
    trit_codec_q4_0, trit_codec_q4_1, trit_codec_q5_0, trit_codec_q5_1, trit_codec_q8_0, trit_codec_iq4_nl;
extern const struct trit_ggml_codec trit_codec_q2_k, trit_codec_q3_k, trit_codec_q4_k, trit_codec_q5_k, trit_codec_q6_k,
    trit_codec_q8_k;
extern const struct trit_ggml_codec trit_codec_tq1_0, trit_codec_tq2_0, trit_codec_i2_s, trit_codec_i2_s_neon,
    trit_codec_i2_s_4row, trit_codec_q1_0, trit_codec_q2_0, trit_codec_hf_u2, trit_codec_iq1_bn, trit_codec_iq2_bn,
    trit_codec_iq2_bn_r4;
extern const struct trit_ggml_codec trit_codec_tl1, trit_codec_tl2;

/** Bytes of a TL1 or TL2 matrix; false for a shape of which no tile sizes are published, or too many bytes. */
bool trit_tl_bytes(uint32_t id, uint64_t rows, uint64_t cols, uint64_t *bytes);

#endif
