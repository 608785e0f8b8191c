/*
 * layout.h - the layouts of quantised weights in memory (and in files that are mapped as they are).
 *
 * All of them share one shape. A matrix [rows, cols] is cut into blocks of 16 rows, a block into groups of some
 * columns; groups of a block follow each other, then the next block. A group is made of 64-byte vectors, and in each
 * vector
 *
 *     bytes 4 r .. 4 r + 3 (one 32-bit lane) belong to row r of the block, r < 16,
 *     field d of byte j is the weight of column  first + 4 d + j.
 *
 * So four consecutive activations, the same for all rows, meet one field of a vector, and a 32-bit lane accumulates one
 * row: no horizontal sum. And whatever the layout, decoding a vector's fields in order gives "B rows" of 64 bytes,
 * [cols / 4][16 rows][4 columns]: what VNNI, dot-product and AMX tile instructions take.
 *
 *     layout  bits  columns, bytes a group   a byte                                            weight
 *     t2      2     16,  64    code_3 << 6 | code_2 << 4 | code_1 << 2 | code_0                code - 1
 *     t5      1.6   20,  64    28 (c_3 + 3 c_4) + c_0 + 3 c_1 + 9 c_2                          c_d - 1
 *     b1      1     32,  64    bit d                                                           2 bit - 1
 *     i8      8      4,  64    two's complement, -127..127                                     itself
 *     i6      6     16, 192    low nibbles of fields 0, 1 | of 2, 3 | bits 5..4 of 0, 1, 2, 3  code - 32
 *     i4      4      8,  64    code_1 << 4 | code_0                                            code - 8
 *
 * t5: five ternary digits in base 28 rather than 27: 28 is a multiple of 4, so the byte shifted right by 2 (64 values,
 * one table look-up for vpermb) already fixes c_3 and c_4.
 * i6: three vectors; the first has columns 0..7 (low nibble 0..3, high 4..7), the second 8..15, the third their upper
 * two bits as four 2-bit fields.
 * Rows beyond the matrix and columns beyond its width hold weight 0 (b1: -1; they meet activations of zero). Files come
 * from strangers: bytes that no weight packs to (t2 code 3, t5 beyond 250) give some result, which may differ from tier
 * to tier, and nothing worse.
 *
 * Scales stand apart, fp32:
 *     tensor   [1]
 *     row      [rows rounded up to 16]
 *     group g  [blocks][cols / g rounded up][16], g = 64 or 128 columns
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_LAYOUT_H
#define TRIT_KERNEL_LAYOUT_H

#include <stdbool.h>

#include "base/error.h"

enum trit_layout { TRIT_T2, TRIT_T5, TRIT_B1, TRIT_I8, TRIT_I6, TRIT_I4, TRIT_N_LAYOUTS };

struct trit_layout_info {
	const char *name;
	int cols, bytes; /* of a group */
	int min, max;    /* weights */
};

extern const struct trit_layout_info trit_layouts[TRIT_N_LAYOUTS];

/** The layout of this name; -1 if there is none. */
int trit_layout_by_name(const char *name);

enum trit_scaling { TRIT_SCALE_TENSOR = 0, TRIT_SCALE_ROW = 1, TRIT_SCALE_GROUP64 = 64, TRIT_SCALE_GROUP128 = 128 };

#define TRIT_BLOCK_ROWS 16
#define TRIT_MAX_COLS 65536

/** Groups along `cols` columns. */
static inline size_t trit_layout_groups(enum trit_layout layout, size_t cols)
{
	size_t group = (size_t)trit_layouts[layout].cols;
	return (cols + group - 1) / group;
}

/** Bytes of a matrix [rows, cols]; the caller has checked that rows * cols fits size_t. */
static inline size_t trit_layout_bytes(enum trit_layout layout, size_t rows, size_t cols)
{
	size_t blocks = (rows + TRIT_BLOCK_ROWS - 1) / TRIT_BLOCK_ROWS;
	return blocks * trit_layout_groups(layout, cols) * (size_t)trit_layouts[layout].bytes;
}

/** How many scales a matrix [rows, cols] has. */
static inline size_t trit_scale_count(enum trit_scaling scaling, size_t rows, size_t cols)
{
	size_t padded = (rows + TRIT_BLOCK_ROWS - 1) / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS;
	if (scaling == TRIT_SCALE_TENSOR)
		return 1;
	return scaling == TRIT_SCALE_ROW ? padded : padded * ((cols + (size_t)scaling - 1) / (size_t)scaling);
}

/** Where the scales of the rows from row0 on (a multiple of 16) begin. */
static inline size_t trit_scale_at(enum trit_scaling scaling, size_t row0, size_t cols)
{
	return scaling == TRIT_SCALE_TENSOR ? 0 : trit_scale_count(scaling, row0, cols);
}

/** Length an int8 activation vector is padded to, with zeros, whatever the layout: a multiple of 64 that holds whole
 * groups. */
static inline size_t trit_q_padded(size_t cols)
{
	return ((cols + 19) / 20 * 20 + 63) / 64 * 64;
}

/** Packs rows [row0, row0 + n) (row0 a multiple of 16; n too, or up to the last row) of weights [n, cols], each in the
 * layout's range. */
void trit_pack(enum trit_layout layout, unsigned char *w, size_t row0, const int8_t *weights, size_t n, size_t cols);
/** Row `row` as weights [cols]. */
void trit_unpack(enum trit_layout layout, int8_t *weights, const unsigned char *w, size_t row, size_t cols);
/** Rows [row0, row0 + n) as weights [n, cols]. */
void trit_unpack_rows(enum trit_layout layout, int8_t *weights, const unsigned char *w, size_t row0, size_t n,
                      size_t cols);
/** `groups` groups of one block as B rows: b [groups * group columns / 4][16][4]. */
void trit_decode(enum trit_layout layout, int8_t *b, const unsigned char *w, int groups);
/** Where the scale of (row, col) is, and that scale. */
size_t trit_scale_index(enum trit_scaling scaling, size_t row, size_t col, size_t cols);
float trit_scale_of(const float *scale, enum trit_scaling scaling, size_t row, size_t col, size_t cols);

#endif
