/*
 * test_pack.c - the layout t2: against bytes worked out by hand, against its description in kernel.h, and round trips.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first */
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernel/kernel.h"

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(trit_t2_bytes(1, 1), 64);
	assert_int_equal(trit_t2_bytes(16, 16), 64);
	assert_int_equal(trit_t2_bytes(17, 16), 128);
	assert_int_equal(trit_t2_bytes(17, 17), 256);
	assert_int_equal(trit_t2_bytes(2560, 6912), 2560 * 6912 / 4); /* 2 bits a weight where nothing is padded */
	assert_int_equal(trit_t2_bytes(0, 100), 0);
	assert_int_equal(trit_t2_padded(0), 0);
	assert_int_equal(trit_t2_padded(1), 16);
	assert_int_equal(trit_t2_padded(16), 16);
	assert_int_equal(trit_t2_padded(2561), 2576);
}

/* One row of 16 columns; its four bytes computed by hand from the picture in kernel.h. */
static void by_hand(void **state)
{
	/* d:                   0               1              2              3        j = 0..3 within */
	const int8_t row[16] = {-1, 0, 1, -1, 0, 0, -1, 1, 1, -1, 1, -1, -1, 1, 0, -1};
	const unsigned char expected[4] = {
	    0 | 1 << 2 | 2 << 4 | 0 << 6, /* columns 0, 4, 8, 12: -1 0 1 -1 */
	    1 | 1 << 2 | 0 << 4 | 2 << 6, /* 1, 5, 9, 13: 0 0 -1 1 */
	    2 | 0 << 2 | 2 << 4 | 1 << 6, /* 2, 6, 10, 14: 1 -1 1 0 */
	    0 | 2 << 2 | 0 << 4 | 0 << 6, /* 3, 7, 11, 15: -1 1 -1 -1 */
	};
	unsigned char w[64];
	int8_t back[16];

	(void)state;
	memset(w, 0xFF, sizeof w);
	trit_t2_pack(w, 0, row, 1, 16);
	assert_memory_equal(w, expected, 4);
	for (int i = 4; i < 64; i++)
		assert_int_equal(w[i], 0x55); /* rows that are not there */
	trit_t2_unpack(back, w, 0, 16);
	assert_memory_equal(back, row, 16);
}

/* Code of row r, column c, from the description. */
static int code_at(const unsigned char *w, size_t cols, size_t r, size_t c)
{
	const unsigned char *block = w + r / 16 * trit_t2_bytes(16, cols);
	return block[64 * (c / 16) + 4 * (r % 16) + c % 4] >> 2 * (c % 16 / 4) & 3;
}

static void check_matrix(struct trit_rng *rng, size_t rows, size_t cols)
{
	size_t bytes = trit_t2_bytes(rows, cols), split = trit_rng_below(rng, rows / 16 + 1) * 16;
	int8_t *trits = trit_calloc(rows * cols, 1), *back = trit_calloc(cols + 1, 1);
	unsigned char *w = trit_calloc(bytes + 8, 1);

	assert_non_null(trits);
	assert_non_null(back);
	assert_non_null(w);
	for (size_t i = 0; i < rows * cols; i++)
		trits[i] = (int8_t)((int)trit_rng_below(rng, 3) - 1);
	memset(w, 0xEE, bytes + 8);
	trit_t2_pack(w, split, trits + split * cols, rows - split, cols); /* in two parts, the last first */
	trit_t2_pack(w, 0, trits, split, cols);
	for (int i = 0; i < 8; i++)
		assert_int_equal(w[bytes + (size_t)i], 0xEE);
	for (size_t r = 0; r < (rows + 15) / 16 * 16; r++)
		for (size_t c = 0; c < (cols + 15) / 16 * 16; c++) {
			int expected = r < rows && c < cols ? trits[r * cols + c] + 1 : 1;
			assert_int_equal(code_at(w, cols, r, c), expected);
		}
	for (size_t r = 0; r < rows; r++) {
		back[cols] = 99;
		trit_t2_unpack(back, w, r, cols);
		assert_memory_equal(back, trits + r * cols, cols);
		assert_int_equal(back[cols], 99);
	}
	assert_ptr_equal(trit_t2_rows(w, 16, cols), w + trit_t2_bytes(16, cols));
	trit_free(trits);
	trit_free(back);
	trit_free(w);
}

static void round_trips(void **state)
{
	struct trit_rng rng;

	(void)state;
	trit_rng_init(&rng, 7);
	for (size_t rows = 1; rows < 36; rows += 1 + rows / 8)
		for (size_t cols = 1; cols < 70; cols += 1 + cols / 16)
			check_matrix(&rng, rows, cols);
	check_matrix(&rng, 3, 65536);
	check_matrix(&rng, 1000, 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(by_hand),
	    cmocka_unit_test(round_trips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
