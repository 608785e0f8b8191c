/*
 * transpose_body.h - turns a matrix of bytes round, 16 rows by 16 columns in each 128-bit lane of a register.
 *
 * Interleaving rows i and i + 8 of 16, for i < 8, moves the bits of a byte's place (row, column) round by one: the
 * highest bit of the row becomes the lowest of the column, that of the column the lowest of the row. After four times
 * rows are columns.
 *
 * The includer defines WIDE(op), the intrinsic of that name for its registers, WIDE_REG, their type, and LANES.
 *
 * SPDX-License-Identifier: MIT
 */

enum { TURN_COLS = 16 * LANES };

/* From there on `rows` rows (up to 16, the others are zeros) and `cols` columns, to which registers are filled up. */
static inline __attribute__((always_inline)) void turn_load(WIDE_REG *a, const int8_t *from, size_t ld, int rows,
                                                            int cols)
{
	int8_t part[TURN_COLS] = {0};

	for (int r = 0; r < 16; r++) {
		if (r >= rows) {
			a[r] = WIDE(set1_epi8)(0);
		} else if (cols == TURN_COLS) {
			memcpy(&a[r], from + (size_t)r * ld, sizeof a[r]);
		} else {
			memcpy(part, from + (size_t)r * ld, (size_t)cols);
			memcpy(&a[r], part, sizeof a[r]);
		}
	}
}

static inline __attribute__((always_inline)) void turn(WIDE_REG *a)
{
	for (int round = 0; round < 4; round++) {
		WIDE_REG b[16];

#pragma GCC unroll 8
		for (int i = 0; i < 8; i++) {
			b[2 * i] = WIDE(unpacklo_epi8)(a[i], a[i + 8]);
			b[2 * i + 1] = WIDE(unpackhi_epi8)(a[i], a[i + 8]);
		}
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++)
			a[i] = b[i];
	}
}

/* All rows of up to TURN_COLS columns. */
static void turn_columns(int8_t *to, size_t ld_to, int32_t *sum, const int8_t *from, size_t ld_from, int rows, int cols)
{
	const WIDE_REG flip = WIDE(set1_epi8)((char)128), zero = WIDE(set1_epi8)(0);
	WIDE_REG sums[16];
	int32_t padding = 0; /* what the flipped signs add to each sum: 128 a row, rows that are not there included */

	for (int i = 0; i < 16; i++)
		sums[i] = zero;
	for (int r = 0; r < rows; r += 16, padding += 16 * 128) {
		int there = rows - r < 16 ? rows - r : 16;
		int8_t lanes[16][TURN_COLS];
		WIDE_REG a[16];

		turn_load(a, from + (size_t)r * ld_from, ld_from, there, cols);
		turn(a);
		for (int i = 0; i < 16; i++) {
			sums[i] = WIDE(add_epi64)(sums[i], WIDE(sad_epu8)(WIDE(add_epi8)(a[i], flip), zero));
			memcpy(lanes[i], &a[i], sizeof a[i]);
		}
		for (int c = 0; c < cols; c++) {
			int8_t *at = to + (size_t)c * ld_to + r;

			if (there == 16)
				memcpy(at, lanes[c % 16] + c / 16 * 16, 16);
			else
				memcpy(at, lanes[c % 16] + c / 16 * 16, (size_t)there);
		}
	}
	for (int c = 0; sum && c < cols; c++) {
		int64_t halves[2 * LANES];

		memcpy(halves, &sums[c % 16], sizeof halves);
		sum[c] += (int32_t)(halves[c / 16 * 2] + halves[c / 16 * 2 + 1]) - padding;
	}
}

static void transpose_i8(int8_t *to, size_t ld_to, int32_t *sum, const int8_t *from, size_t ld_from, int rows, int cols)
{
	for (int c = 0; c < cols; c += TURN_COLS)
		turn_columns(to + (size_t)c * ld_to, ld_to, sum ? sum + c : NULL, from + c, ld_from, rows,
		             cols - c < TURN_COLS ? cols - c : TURN_COLS);
}
