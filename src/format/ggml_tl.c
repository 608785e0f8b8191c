/*
 * ggml_tl.c - TL1 and TL2, bitnet.cpp's types for look-up kernels.
 *
 * The matrix is tiled, and the sizes of the tiles are not in the file: they come from a table with which the program
 * was built. bitnet.cpp publishes tables for three models; a matrix whose shape is in none cannot be read. Of shapes in
 * several tables there are none, so the shape tells.
 *
 *     TL1   4 bits for 2 weights a, b: 3 a + b + 4
 *     TL2   5 bits for 3 weights a, b, d: |9 a + 3 b + d| in 4 bits and its sign in another place; the columns that are
 *           left beyond whole tiles as in TL1
 *
 * Reference: bitnet.cpp's converter (utils/convert-hf-to-gguf-bitnet.py) and presets; docs/formats.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/num.h"
#include "format/ggml_codec.h"

/* A tile is tile_rows x tile_cols, in strips of strip_rows. */
struct tiling {
	uint32_t type;
	uint64_t rows, cols, tile_rows, tile_cols, strip_rows;
};

/* The tables of Llama3-8B-1.58-100B-tokens, bitnet_b1_58-large and bitnet_b1_58-3B. TL2 has strips of 32 only: with the
 * 64 that one of them gives for 4096 x 1536 bitnet.cpp's converter fails. */
static const struct tiling tilings[] = {
	{ TRIT_GGML_TL1, 14336, 4096, 256, 128, 64 }, { TRIT_GGML_TL1, 4096, 14336, 256, 128, 32 },
	{ TRIT_GGML_TL1, 1024, 4096, 128, 64, 64 },   { TRIT_GGML_TL1, 4096, 4096, 128, 64, 32 },
	{ TRIT_GGML_TL1, 1536, 4096, 256, 128, 32 },  { TRIT_GGML_TL1, 1536, 1536, 128, 64, 64 },
	{ TRIT_GGML_TL1, 4096, 1536, 256, 128, 32 },  { TRIT_GGML_TL1, 3200, 8640, 160, 64, 32 },
	{ TRIT_GGML_TL1, 3200, 3200, 320, 128, 64 },  { TRIT_GGML_TL1, 8640, 3200, 320, 64, 32 },
	{ TRIT_GGML_TL2, 14336, 4096, 256, 96, 32 },  { TRIT_GGML_TL2, 4096, 14336, 128, 96, 32 },
	{ TRIT_GGML_TL2, 1024, 4096, 256, 96, 32 },   { TRIT_GGML_TL2, 4096, 4096, 128, 96, 32 },
	{ TRIT_GGML_TL2, 1536, 4096, 256, 96, 32 },   { TRIT_GGML_TL2, 1536, 1536, 128, 192, 32 },
	{ TRIT_GGML_TL2, 3200, 8640, 160, 96, 32 },   { TRIT_GGML_TL2, 3200, 3200, 320, 96, 32 },
	{ TRIT_GGML_TL2, 8640, 3200, 320, 96, 32 },
};

enum { TAIL = 32, TL2_STRIP = 32 };

static const struct tiling *tiling_of(uint32_t type, uint64_t rows, uint64_t cols)
{
	for (size_t i = 0; i < sizeof tilings / sizeof tilings[0]; i++)
		if (tilings[i].type == type && tilings[i].rows == rows && tilings[i].cols == cols)
			return &tilings[i];
	return NULL;
}

bool trit_tl_bytes(uint32_t id, uint64_t rows, uint64_t cols, uint64_t *bytes)
{
	if (!tiling_of(id, rows, cols))
		return false;
	/* TL2: what bitnet.cpp allows for, more than is filled; the scale follows at a multiple of 32. */
	*bytes = id == TRIT_GGML_TL1 ? rows * cols / 4 : (cols - 256) * rows / 3 * 5 / 8 + 256 * rows / 2 * 4 / 8;
	*bytes = (*bytes + 31) / 32 * 32 + TAIL;
	return true;
}

static float tail_scale(const struct trit_ggml_matrix *m, uint64_t row, uint64_t i)
{
	(void)row, (void)i;
	return trit_f32_from_bits(trit_get32(m->data + m->bytes - TAIL));
}

/* Codes of the two weights that a nibble stands for; 3 where it stands for none. */
static void unpack_pair(int nibble, uint8_t *codes)
{
	codes[0] = (uint8_t)(nibble < 9 ? nibble / 3 : 3);
	codes[1] = (uint8_t)(nibble < 9 ? nibble % 3 : 3);
}

static void unpack_two_pairs(unsigned char byte, uint8_t *codes)
{
	unpack_pair(byte >> 4, codes);
	unpack_pair(byte & 15, codes + 2);
}

/*
 * TL1: tiles along the columns, then down the rows. Within a tile strips; within a strip steps of 256 / strip_rows
 * columns; within a step groups of 16 rows; within a group 4 columns of 16 rows at a time: 16 bytes.
 */
static void unpack_tl1(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const struct tiling *t = tiling_of(TRIT_GGML_TL1, m->rows, m->cols);
	uint64_t strips = t->tile_rows / t->strip_rows, step = 256 / t->strip_rows;
	uint64_t strip_bytes = t->strip_rows * t->tile_cols / 4, strip = row % t->tile_rows / t->strip_rows;
	const unsigned char *tile = m->data + row / t->tile_rows * t->tile_rows * m->cols / 4;

	for (uint64_t col = 0; col < m->cols; col += t->tile_cols, tile += strips * strip_bytes)
		for (uint64_t c = 0; c < t->tile_cols; c += 4) {
			uint64_t at = c / step * (t->strip_rows * step / 4) + row % t->strip_rows / 16 * (16 * step / 4) +
			              c % step / 4 * 16 + row % 16;

			unpack_two_pairs(tile[strip * strip_bytes + at], codes + col + c);
		}
}

/* TL2: where row r < 32 of a strip lies among 32 bytes: its second and third group of 8 change places. */
static uint64_t place_in_strip(uint64_t r)
{
	static const uint64_t group[4] = { 0, 2, 1, 3 };

	return group[r / 8] * 8 + r % 8;
}

static void unpack_triple(int index, bool negative, uint8_t *codes)
{
	int all = negative ? 13 - index : 13 + index;

	codes[0] = (uint8_t)(index < 14 ? all / 9 : 3);
	codes[1] = (uint8_t)(index < 14 ? all / 3 % 3 : 3);
	codes[2] = (uint8_t)(index < 14 ? all % 3 : 3);
}

/* Two triples: their indices from a byte, their signs from two bits of a 16-bit number. Triple t of eight has bit
 * 15 - 2 t for the first 16 rows of a strip, 14 - 2 t for the other 16. */
static void unpack_two_triples(unsigned char byte, unsigned signs, int t, int half, uint8_t *codes)
{
	unpack_triple(byte >> 4, signs >> (15 - 2 * t - half) & 1, codes);
	unpack_triple(byte & 15, signs >> (13 - 2 * t - half) & 1, codes + 3);
}

/*
 * TL2: the columns in whole tiles first. Part 1, indices: tiles as in TL1, steps of 6 columns, each 32 bytes for the 32
 * rows of a strip. Part 2, signs: the same with steps of 24 columns, 16 numbers of 16 bits, number j for rows j and
 * j + 16. Part 3, the columns left: pairs, in tiles of 32 columns and steps of 4.
 */
static void unpack_tl2(const struct trit_ggml_matrix *m, uint64_t row, uint8_t *codes)
{
	const struct tiling *t = tiling_of(TRIT_GGML_TL2, m->rows, m->cols);
	uint64_t whole = m->cols - m->cols % t->tile_cols, place = place_in_strip(row % TL2_STRIP);
	uint64_t tile_row = row / t->tile_rows, strip = row % t->tile_rows / TL2_STRIP;
	const unsigned char *signs = m->data + m->rows * whole / 6, *pairs = signs + m->rows * whole / 24;
	int half = row % TL2_STRIP >= 16;

	for (uint64_t col = 0; col < whole; col += 6) {
		uint64_t tile = tile_row * (whole / t->tile_cols) + col / t->tile_cols, c = col % t->tile_cols;
		uint64_t before = tile * t->tile_rows * t->tile_cols + strip * TL2_STRIP * t->tile_cols; /* weights */
		const unsigned char *index = m->data + before / 6 + c / 6 * TL2_STRIP + place;
		const unsigned char *sign = signs + before / 24 + c / 24 * TL2_STRIP + row % 16 * 2;

		unpack_two_triples(*index, trit_get16(sign), (int)(c % 24 / 3), half, codes + col);
	}
	for (uint64_t col = whole; col < m->cols; col += 4) {
		uint64_t left = m->cols - whole, c = col - whole;
		uint64_t before = tile_row * t->tile_rows * left + c / 32 * t->tile_rows * 32 + strip * TL2_STRIP * 32;

		unpack_two_pairs(pairs[before / 4 + c % 32 / 4 * TL2_STRIP + place], codes + col);
	}
}

const struct trit_ggml_codec trit_codec_tl1 = { .unpack = unpack_tl1, .scale = tail_scale };
const struct trit_ggml_codec trit_codec_tl2 = { .unpack = unpack_tl2, .scale = tail_scale };
