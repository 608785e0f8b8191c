/*
 * layout.c - packs and unpacks the layouts of quantised weights; layout.h has their pictures.
 *
 * Everything here goes through B rows ([cols / 4][16][4] weights): a layout brings one function that turns a group's B
 * rows into bytes and one for the way back, each for the 64 places of a vector at a time. The compiler makes vector
 * code of them; the kernels have faster forms.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/layout.h"

const struct trit_layout_info trit_layouts[TRIT_N_LAYOUTS] = {
	[TRIT_T2] = {"t2", 16, 64, -1, 1},     [TRIT_T5] = {"t5", 20, 64, -1, 1},  [TRIT_B1] = {"b1", 32, 64, -1, 1},
	[TRIT_I8] = {"i8", 4, 64, -127, 127},  [TRIT_I6] = {"i6", 16, 192, -32, 31}, [TRIT_I4] = {"i4", 8, 64, -8, 7},
};

enum { VECTOR = 64, MAX_GROUP_ROWS = 8 }; /* bytes; B rows of the widest group */

int trit_layout_by_name(const char *name)
{
	for (int i = 0; i < TRIT_N_LAYOUTS; i++)
		if (!strcmp(name, trit_layouts[i].name))
			return i;
	return -1;
}

/* ---- one group --------------------------------------------------------------------------------------------------- */

/* b: B rows of the group, VECTOR bytes each; field d of byte i is b[d * VECTOR + i]. */
static void encode_t2(unsigned char *w, const int8_t *b)
{
	for (int i = 0; i < VECTOR; i++) {
		int code = 0;
		for (int d = 0; d < 4; d++)
			code |= (b[d * VECTOR + i] + 1) << 2 * d;
		w[i] = (unsigned char)code;
	}
}

static void encode_t5(unsigned char *w, const int8_t *b)
{
	for (int i = 0; i < VECTOR; i++) {
		int high = b[3 * VECTOR + i] + 1 + 3 * (b[4 * VECTOR + i] + 1);
		int low = b[i] + 1 + 3 * (b[VECTOR + i] + 1) + 9 * (b[2 * VECTOR + i] + 1);
		w[i] = (unsigned char)(28 * high + low);
	}
}

static void encode_b1(unsigned char *w, const int8_t *b)
{
	for (int i = 0; i < VECTOR; i++) {
		int code = 0;
		for (int d = 0; d < 8; d++)
			code |= (b[d * VECTOR + i] > 0) << d;
		w[i] = (unsigned char)code;
	}
}

static void encode_i4(unsigned char *w, const int8_t *b)
{
	for (int i = 0; i < VECTOR; i++)
		w[i] = (unsigned char)((b[i] + 8) | (b[VECTOR + i] + 8) << 4);
}

static void encode_i6(unsigned char *w, const int8_t *b)
{
	for (int i = 0; i < VECTOR; i++) {
		int c[4];
		for (int d = 0; d < 4; d++)
			c[d] = b[d * VECTOR + i] + 32;
		w[i] = (unsigned char)((c[0] & 15) | (c[1] & 15) << 4);
		w[VECTOR + i] = (unsigned char)((c[2] & 15) | (c[3] & 15) << 4);
		w[2 * VECTOR + i] = (unsigned char)(c[0] >> 4 | c[1] >> 4 << 2 | c[2] >> 4 << 4 | c[3] >> 4 << 6);
	}
}

static void encode_group(enum trit_layout layout, unsigned char *w, const int8_t *b)
{
	switch (layout) {
	case TRIT_T2: encode_t2(w, b); break;
	case TRIT_T5: encode_t5(w, b); break;
	case TRIT_B1: encode_b1(w, b); break;
	case TRIT_I6: encode_i6(w, b); break;
	case TRIT_I4: encode_i4(w, b); break;
	default: memcpy(w, b, VECTOR); /* i8: B rows are its bytes */
	}
}

static void decode_t2(int8_t *b, const unsigned char *w)
{
	for (int d = 0; d < 4; d++)
		for (int i = 0; i < VECTOR; i++)
			b[d * VECTOR + i] = (int8_t)((w[i] >> 2 * d & 3) - 1);
}

static void decode_t5(int8_t *b, const unsigned char *w)
{
	for (int i = 0; i < VECTOR; i++) {
		int high = w[i] / 28, low = w[i] - 28 * high;
		b[i] = (int8_t)(low % 3 - 1);
		b[VECTOR + i] = (int8_t)(low / 3 % 3 - 1);
		b[2 * VECTOR + i] = (int8_t)(low / 9 - 1);
		b[3 * VECTOR + i] = (int8_t)(high % 3 - 1);
		b[4 * VECTOR + i] = (int8_t)(high / 3 - 1);
	}
}

static void decode_b1(int8_t *b, const unsigned char *w)
{
	for (int d = 0; d < 8; d++)
		for (int i = 0; i < VECTOR; i++)
			b[d * VECTOR + i] = (int8_t)(2 * (w[i] >> d & 1) - 1);
}

static void decode_i4(int8_t *b, const unsigned char *w)
{
	for (int i = 0; i < VECTOR; i++) {
		b[i] = (int8_t)((w[i] & 15) - 8);
		b[VECTOR + i] = (int8_t)((w[i] >> 4) - 8);
	}
}

static void decode_i6(int8_t *b, const unsigned char *w)
{
	for (int i = 0; i < VECTOR; i++) {
		int high = w[2 * VECTOR + i];
		b[i] = (int8_t)(((w[i] & 15) | (high & 3) << 4) - 32);
		b[VECTOR + i] = (int8_t)((w[i] >> 4 | (high >> 2 & 3) << 4) - 32);
		b[2 * VECTOR + i] = (int8_t)(((w[VECTOR + i] & 15) | (high >> 4 & 3) << 4) - 32);
		b[3 * VECTOR + i] = (int8_t)((w[VECTOR + i] >> 4 | high >> 6 << 4) - 32);
	}
}

void trit_decode(enum trit_layout layout, int8_t *b, const unsigned char *w, int groups)
{
	int bytes = trit_layouts[layout].bytes, values = trit_layouts[layout].cols * TRIT_BLOCK_ROWS;

	for (int g = 0; g < groups; g++, b += values, w += bytes)
		switch (layout) {
		case TRIT_T2: decode_t2(b, w); break;
		case TRIT_T5: decode_t5(b, w); break;
		case TRIT_B1: decode_b1(b, w); break;
		case TRIT_I6: decode_i6(b, w); break;
		case TRIT_I4: decode_i4(b, w); break;
		default: memcpy(b, w, VECTOR);
		}
}

/* ---- whole matrices ---------------------------------------------------------------------------------------------- */

void trit_pack(enum trit_layout layout, unsigned char *w, size_t row0, const int8_t *weights, size_t n, size_t cols)
{
	size_t groups = trit_layout_groups(layout, cols), width = (size_t)trit_layouts[layout].cols;
	size_t bytes = (size_t)trit_layouts[layout].bytes;
	int8_t b[MAX_GROUP_ROWS * VECTOR];

	w += trit_layout_bytes(layout, row0, cols);
	for (size_t i = 0; i < n; i += TRIT_BLOCK_ROWS) {
		size_t valid = n - i < TRIT_BLOCK_ROWS ? n - i : TRIT_BLOCK_ROWS;
		for (size_t g = 0; g < groups; g++, w += bytes) {
			size_t left = cols - g * width;
			if (left < width || valid < TRIT_BLOCK_ROWS)
				memset(b, layout == TRIT_B1 ? -1 : 0, sizeof b);
			left = left < width ? left : width;
			for (size_t r = 0; r < valid; r++) {
				const int8_t *row = weights + (i + r) * cols + g * width;
				size_t c = 0;
				for (; c + 4 <= left; c += 4)
					memcpy(b + c / 4 * VECTOR + 4 * r, row + c, 4);
				if (c < left)
					memcpy(b + c / 4 * VECTOR + 4 * r, row + c, left - c);
			}
			encode_group(layout, w, b);
		}
	}
}

/* Rows [first, end) of one block as weights [end - first, cols]. */
static void unpack_block(enum trit_layout layout, int8_t *weights, const unsigned char *w, size_t first, size_t end,
                         size_t cols)
{
	size_t groups = trit_layout_groups(layout, cols), width = (size_t)trit_layouts[layout].cols;
	int8_t b[MAX_GROUP_ROWS * VECTOR];

	for (size_t g = 0; g < groups; g++, w += trit_layouts[layout].bytes) {
		size_t left = cols - g * width < width ? cols - g * width : width;
		trit_decode(layout, b, w, 1);
		for (size_t r = first; r < end; r++) {
			int8_t *row = weights + (r - first) * cols + g * width;
			const int8_t *lane = b + 4 * r;
			size_t c = 0;
			for (; c + 4 <= left; c += 4)
				memcpy(row + c, lane + c / 4 * VECTOR, 4);
			if (c < left)
				memcpy(row + c, lane + c / 4 * VECTOR, left - c);
		}
	}
}

void trit_unpack_rows(enum trit_layout layout, int8_t *weights, const unsigned char *w, size_t row0, size_t n,
                      size_t cols)
{
	for (size_t row = row0, next; row < row0 + n; row = next) {
		size_t block = row / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS;
		next = block + TRIT_BLOCK_ROWS < row0 + n ? block + TRIT_BLOCK_ROWS : row0 + n;
		unpack_block(layout, weights, w + trit_layout_bytes(layout, block, cols), row - block, next - block, cols);
		weights += (next - row) * cols;
	}
}

void trit_unpack(enum trit_layout layout, int8_t *weights, const unsigned char *w, size_t row, size_t cols)
{
	trit_unpack_rows(layout, weights, w, row, 1, cols);
}

size_t trit_scale_index(enum trit_scaling scaling, size_t row, size_t col, size_t cols)
{
	if (scaling == TRIT_SCALE_TENSOR)
		return 0;
	if (scaling == TRIT_SCALE_ROW)
		return row;
	size_t block = trit_scale_at(scaling, row / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS, cols);
	return block + col / (size_t)scaling * TRIT_BLOCK_ROWS + row % TRIT_BLOCK_ROWS;
}

float trit_scale_of(const float *scale, enum trit_scaling scaling, size_t row, size_t col, size_t cols)
{
	return scale[trit_scale_index(scaling, row, col, cols)];
}
