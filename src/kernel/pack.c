/*
 * pack.c - packs and unpacks the layouts of ternary weights; kernel.h has their pictures.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/kernel.h"

/*
 * The four bytes of one row in one group, as a word whose bytes are j = 0..3: the 16 trits are four such words (d =
 * 0..3), each turned into codes and shifted to its field. -1, 0, 1 are 3, 0, 1 in their low two bits; adding 1 modulo 4
 * gives the code. No carry leaves a byte, so the order of the bytes in the word does not matter.
 */
static uint32_t pack_row(const int8_t *trits)
{
	uint32_t packed = 0;
	for (int d = 0; d < 4; d++) {
		uint32_t t;
		memcpy(&t, trits + 4 * d, 4);
		packed |= (((t & 0x03030303) + 0x01010101) & 0x03030303) << 2 * d;
	}
	return packed;
}

void trit_t2_pack(unsigned char *w, size_t row0, const int8_t *trits, size_t n, size_t cols)
{
	size_t groups = (cols + TRIT_T2_COLS - 1) / TRIT_T2_COLS;
	size_t block_bytes = 64 * groups;
	unsigned char *block = w + row0 / TRIT_T2_ROWS * block_bytes;

	for (size_t i = 0; i < n; i += TRIT_T2_ROWS, block += block_bytes) {
		size_t valid = n - i < TRIT_T2_ROWS ? n - i : TRIT_T2_ROWS;
		for (size_t r = 0; r < valid; r++) {
			const int8_t *row = trits + (i + r) * cols;
			for (size_t g = 0; g < groups; g++) {
				size_t left = cols - g * TRIT_T2_COLS;
				int8_t last[TRIT_T2_COLS] = {0}; /* 0 has code 1, as the padding wants */
				const int8_t *from = row + g * TRIT_T2_COLS;
				if (left < TRIT_T2_COLS)
					from = memcpy(last, from, left);
				uint32_t packed = pack_row(from);
				memcpy(block + 64 * g + 4 * r, &packed, 4);
			}
		}
		for (size_t g = 0; valid < TRIT_T2_ROWS && g < groups; g++)
			memset(block + 64 * g + 4 * valid, 0x55, 4 * (TRIT_T2_ROWS - valid));
	}
}

void trit_t2_unpack(int8_t *trits, const unsigned char *w, size_t row, size_t cols)
{
	size_t groups = (cols + TRIT_T2_COLS - 1) / TRIT_T2_COLS;
	const unsigned char *bytes = w + row / TRIT_T2_ROWS * groups * 64 + 4 * (row % TRIT_T2_ROWS);

	for (size_t c = 0; c < cols; c++) {
		size_t g = c / TRIT_T2_COLS, d = c % TRIT_T2_COLS / 4, j = c % 4;
		trits[c] = (int8_t)((bytes[64 * g + j] >> 2 * d & 3) - 1);
	}
}
