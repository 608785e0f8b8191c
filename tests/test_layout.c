/*
 * test_layout.c - the layouts of weights: against bytes worked out by hand, against their description in layout.h, and
 * round trips.
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
#include "kernel/layout.h"

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(trit_layout_bytes(TRIT_T2, 1, 1), 64);
	assert_int_equal(trit_layout_bytes(TRIT_T2, 16, 16), 64);
	assert_int_equal(trit_layout_bytes(TRIT_T2, 17, 16), 128);
	assert_int_equal(trit_layout_bytes(TRIT_T2, 17, 17), 256);
	assert_int_equal(trit_layout_bytes(TRIT_T2, 0, 100), 0);
	assert_int_equal(trit_layout_bytes(TRIT_T2, 2560, 6912), 2560 * 6912 / 4); /* where nothing is padded */
	assert_int_equal(trit_layout_bytes(TRIT_T5, 6912, 2560), 6912 * 2560 / 5);
	assert_int_equal(trit_layout_bytes(TRIT_B1, 2560, 6912), 2560 * 6912 / 8);
	assert_int_equal(trit_layout_bytes(TRIT_I8, 2560, 6912), 2560 * 6912);
	assert_int_equal(trit_layout_bytes(TRIT_I6, 2560, 6912), 2560 * 6912 / 4 * 3);
	assert_int_equal(trit_layout_bytes(TRIT_I4, 2560, 6912), 2560 * 6912 / 2);
	assert_int_equal(trit_scale_count(TRIT_SCALE_TENSOR, 33, 200), 1);
	assert_int_equal(trit_scale_count(TRIT_SCALE_ROW, 33, 200), 48);
	assert_int_equal(trit_scale_count(TRIT_SCALE_GROUP64, 33, 200), 48 * 4);
	assert_int_equal(trit_scale_count(TRIT_SCALE_GROUP128, 33, 200), 48 * 2);
	assert_int_equal(trit_q_padded(0), 0);
	assert_int_equal(trit_q_padded(1), 64);
	assert_int_equal(trit_q_padded(2560), 2560);
	assert_int_equal(trit_q_padded(64), 128); /* four groups of t5 reach to column 80 */
	for (int l = 0; l < TRIT_N_LAYOUTS; l++) {
		size_t width = (size_t)trit_layouts[l].cols;
		assert_int_equal(trit_layout_by_name(trit_layouts[l].name), l);
		for (size_t cols = 0; cols < 3000; cols++)
			assert_true(trit_q_padded(cols) >= trit_layout_groups((enum trit_layout)l, cols) * width);
	}
	assert_int_equal(trit_layout_by_name("t3"), -1);
}

/* Row 1 of two, bytes computed by hand from the picture in layout.h. The first weight of each field is listed. */
static void by_hand(void **state)
{
	static const struct {
		enum trit_layout layout;
		int at, byte; /* of the group */
		int8_t weights[8]; /* columns 2, 6, 10, ...: the fields of byte j = 2 */
	} cases[] = {
		{TRIT_T2, 6, 0 | 1 << 2 | 2 << 4 | 0 << 6, {-1, 0, 1, -1}},
		{TRIT_T5, 6, 28 * (2 + 3 * 0) + 1 + 3 * 2 + 9 * 0, {0, 1, -1, 1, -1}},
		{TRIT_T5, 6, 250, {1, 1, 1, 1, 1}},
		{TRIT_B1, 6, 0xA3, {1, 1, -1, -1, -1, 1, -1, 1}},
		{TRIT_I8, 6, 0x85, {-123}},
		{TRIT_I4, 6, 0x2F, {7, -6}},
		{TRIT_I6, 6, 0xF5, {5 - 32, 31, 16, -32 + 3}},                 /* codes 5, 63, 48, 3 */
		{TRIT_I6, 64 + 6, 0x30, {5 - 32, 31, 16, -32 + 3}},
		{TRIT_I6, 128 + 6, 0 | 3 << 2 | 3 << 4 | 0 << 6, {5 - 32, 31, 16, -32 + 3}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int cols = trit_layouts[cases[i].layout].cols;
		int8_t weights[2 * 32] = {0}, back[32];
		unsigned char w[192];
		if (cases[i].layout == TRIT_B1)
			memset(weights, -1, sizeof weights);
		for (int d = 0; d < cols / 4; d++)
			weights[cols + 4 * d + 2] = cases[i].weights[d];
		trit_pack(cases[i].layout, w, 0, weights, 2, (size_t)cols);
		assert_int_equal(w[cases[i].at], cases[i].byte);
		trit_unpack(cases[i].layout, back, w, 1, (size_t)cols);
		assert_memory_equal(back, weights + cols, (size_t)cols);
	}
}

static void check_matrix(struct trit_rng *rng, enum trit_layout layout, size_t rows, size_t cols)
{
	const struct trit_layout_info *info = &trit_layouts[layout];
	size_t bytes = trit_layout_bytes(layout, rows, cols), split = trit_rng_below(rng, rows / 16 + 1) * 16;
	size_t groups = trit_layout_groups(layout, cols);
	int8_t *weights = trit_calloc(rows * cols, 1), *back = trit_calloc(cols + 1, 1);
	int8_t *b = trit_calloc(groups * (size_t)info->cols * 16, 1);
	unsigned char *w = trit_calloc(bytes + 8, 1);

	assert_true(weights && back && b && w);
	for (size_t i = 0; i < rows * cols; i++) {
		int v = info->min + (int)trit_rng_below(rng, (uint64_t)(info->max - info->min + 1));
		weights[i] = (int8_t)(layout == TRIT_B1 ? (v > 0 ? 1 : -1) : v);
	}
	memset(w, 0xEE, bytes + 8);
	trit_pack(layout, w, split, weights + split * cols, rows - split, cols); /* in two parts, the last first */
	trit_pack(layout, w, 0, weights, split, cols);
	for (int i = 0; i < 8; i++)
		assert_int_equal(w[bytes + (size_t)i], 0xEE);
	for (size_t r = 0; r < (rows + 15) / 16 * 16; r++) {
		if (r % 16 == 0)
			trit_decode(layout, b, w + trit_layout_bytes(layout, r, cols), (int)groups);
		for (size_t c = 0; c < groups * (size_t)info->cols; c++) {
			int expected = r < rows && c < cols ? weights[r * cols + c] : layout == TRIT_B1 ? -1 : 0;
			assert_int_equal(b[c / 4 * 64 + 4 * (r % 16) + c % 4], expected);
		}
	}
	for (size_t r = 0; r < rows; r++) {
		back[cols] = 99;
		trit_unpack(layout, back, w, r, cols);
		assert_memory_equal(back, weights + r * cols, cols);
		assert_int_equal(back[cols], 99);
	}
	trit_free(weights);
	trit_free(back);
	trit_free(b);
	trit_free(w);
}

static void round_trips(void **state)
{
	struct trit_rng rng;

	(void)state;
	trit_rng_init(&rng, 7);
	for (int l = 0; l < TRIT_N_LAYOUTS; l++) {
		for (size_t rows = 1; rows < 36; rows += 1 + rows / 8)
			for (size_t cols = 1; cols < 70; cols += 1 + cols / 16)
				check_matrix(&rng, (enum trit_layout)l, rows, cols);
		check_matrix(&rng, (enum trit_layout)l, 3, 65536);
		check_matrix(&rng, (enum trit_layout)l, 1000, 33);
	}
}

/* Files come from strangers: every byte there is decodes to something small. */
static void any_byte(void **state)
{
	unsigned char w[192];
	int8_t b[32 * 16];

	(void)state;
	for (int l = 0; l < TRIT_N_LAYOUTS; l++)
		for (int byte = 0; byte < 256; byte++) {
			memset(w, byte, sizeof w);
			trit_decode((enum trit_layout)l, b, w, 1);
			for (int i = 0; l < TRIT_I8 && i < trit_layouts[l].cols * 16; i++)
				assert_in_range(b[i] + 1, 0, 3);
		}
}

static void scales(void **state)
{
	float s[48 * 4];

	(void)state;
	for (int i = 0; i < 48 * 4; i++)
		s[i] = (float)i;
	assert_float_equal(trit_scale_of(s, TRIT_SCALE_TENSOR, 20, 150, 200), 0, 0);
	assert_float_equal(trit_scale_of(s, TRIT_SCALE_ROW, 20, 150, 200), 20, 0);
	assert_float_equal(trit_scale_of(s, TRIT_SCALE_GROUP64, 20, 150, 200), 64 + 2 * 16 + 4, 0);
	assert_float_equal(trit_scale_of(s, TRIT_SCALE_GROUP128, 37, 127, 200), 2 * 32 + 5, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes),    cmocka_unit_test(by_hand), cmocka_unit_test(round_trips),
	    cmocka_unit_test(any_byte), cmocka_unit_test(scales),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
