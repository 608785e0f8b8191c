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

/* b: B rows of the group, VECTOR bytes each. */
static void encode_group(enum trit_layout layout, unsigned char *w, const int8_t *b)
{
	for (int i = 0; i < VECTOR; i++) {
		const int8_t *v = b + i; /* field d is v[d * VECTOR] */
		int code = 0;
		switch (layout) {
		case TRIT_T2:
			for (int d = 0; d < 4; d++)
				code |= (v[d * VECTOR] + 1) << 2 * d;
			break;
		case TRIT_T5:
			code = 28 * (v[3 * VECTOR] + 1 + 3 * (v[4 * VECTOR] + 1)) + v[0] + 1 + 3 * (v[VECTOR] + 1) +
			       9 * (v[2 * VECTOR] + 1);
			break;
		case TRIT_B1:
			for (int d = 0; d < 8; d++)
				code |= (v[d * VECTOR] > 0) << d;
			break;
		case TRIT_I4:
			code = (v[0] + 8) | (v[VECTOR] + 8) << 4;
			break;
		case TRIT_I6: {
			int c[4];
			for (int d = 0; d < 4; d++)
				c[d] = v[d * VECTOR] + 32;
			w[VECTOR + i] = (unsigned char)((c[2] & 15) | (c[3] & 15) << 4);
			w[2 * VECTOR + i] = (unsigned char)(c[0] >> 4 | c[1] >> 4 << 2 | c[2] >> 4 << 4 | c[3] >> 4 << 6);
			code = (c[0] & 15) | (c[1] & 15) << 4;
			break;
		}
		default:
			code = v[0];
		}
		w[i] = (unsigned char)code;
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

void trit_unpack(enum trit_layout layout, int8_t *weights, const unsigned char *w, size_t row, size_t cols)
{
	size_t groups = trit_layout_groups(layout, cols), width = (size_t)trit_layouts[layout].cols;
	int8_t b[MAX_GROUP_ROWS * VECTOR];

	w += trit_layout_bytes(layout, row / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS, cols);
	for (size_t g = 0; g < groups; g++, w += trit_layouts[layout].bytes) {
		size_t left = cols - g * width < width ? cols - g * width : width;
		trit_decode(layout, b, w, 1);
		for (size_t c = 0; c < left; c++)
			weights[g * width + c] = b[c / 4 * VECTOR + 4 * (row % TRIT_BLOCK_ROWS) + c % 4];
	}
}

float trit_scale_of(const float *scale, enum trit_scaling scaling, size_t row, size_t col, size_t cols)
{
	if (scaling == TRIT_SCALE_TENSOR)
		return scale[0];
	if (scaling == TRIT_SCALE_ROW)
		return scale[row];
	size_t block = trit_scale_at(scaling, row / TRIT_BLOCK_ROWS * TRIT_BLOCK_ROWS, cols);
	return scale[block + col / (size_t)scaling * TRIT_BLOCK_ROWS + row % TRIT_BLOCK_ROWS];
}
