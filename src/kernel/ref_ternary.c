/*
 * ref_ternary.c - quantisers and ternary products in plain C: what every faster form must equal to the bit.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernel/tiers.h"

static trit_ternarize_fn trit_ternarize_c;
static trit_binarize_fn trit_binarize_c;
static trit_dequant_i8_fn trit_dequant_i8_c;
static trit_transpose_i8_fn trit_transpose_i8_c;
static trit_peak_fn trit_int8_peak_c;
static trit_read_pass_fn trit_read_pass_c;

static void trit_ternarize_c(int8_t *t, const float *w, float inverse, int n)
{
	for (int i = 0; i < n; i++) {
		float v = w[i] * inverse;
		t[i] = (int8_t)((v > 0.5f) - (v < -0.5f)); /* +-0.5 rounds to the even 0; beyond +-1.5 is clamped */
	}
}

static void trit_binarize_c(int8_t *t, const float *w, float mean, int n)
{
	for (int i = 0; i < n; i++)
		t[i] = w[i] > mean ? 1 : -1;
}

static void trit_dequant_i8_c(float *y, const int8_t *q, float step, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = step * (float)q[i];
}

static void trit_transpose_i8_c(int8_t *to, size_t ld_to, int32_t *sum, const int8_t *from, size_t ld_from, int rows,
                                int cols)
{
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++) {
			int8_t q = from[(size_t)r * ld_from + (size_t)c];
			to[(size_t)c * ld_to + (size_t)r] = q;
			if (sum)
				sum[c] += q;
		}
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* Columns decoded at a time: whole groups of every layout and whole groups of scales. */
enum { CHUNK = 640 };

/* acc[r] += sum over n columns of b[.][r][.] q[.]. b: B rows. */
static void add_sums(int32_t *acc, const int8_t *b, const int8_t *q, int n)
{
	for (int c = 0; c < n; c += 4, b += 4 * TRIT_BLOCK_ROWS, q += 4)
		for (int r = 0; r < TRIT_BLOCK_ROWS; r++)
			for (int j = 0; j < 4; j++)
				acc[r] += b[4 * r + j] * q[j];
}

/* 16 rows, one token, one scale a row: exact sums in acc. */
static void block_sums(enum trit_layout layout, int32_t *acc, const unsigned char *w, const int8_t *q, int cols)
{
	int8_t b[CHUNK * TRIT_BLOCK_ROWS];
	int width = trit_layouts[layout].cols, bytes = trit_layouts[layout].bytes;

	memset(acc, 0, TRIT_BLOCK_ROWS * sizeof *acc);
	for (int c = 0; c < cols; c += CHUNK, w += CHUNK / width * bytes) {
		int left = cols - c < CHUNK ? cols - c : CHUNK, groups = (left + width - 1) / width;
		trit_decode(layout, b, w, groups);
		add_sums(acc, b, q + c, groups * width);
	}
}

/* 16 rows, one token, a scale for `group` columns of a row: chains in y. */
static void block_groups(enum trit_layout layout, float *y, const unsigned char *w, const float *scale, int group,
                         const int8_t *q, int cols)
{
	int8_t b[CHUNK * TRIT_BLOCK_ROWS] = {0};
	int width = trit_layouts[layout].cols, bytes = trit_layouts[layout].bytes;

	memset(y, 0, TRIT_BLOCK_ROWS * sizeof *y);
	for (int c = 0; c < cols; c += CHUNK, w += CHUNK / width * bytes) {
		int left = cols - c < CHUNK ? cols - c : CHUNK;
		trit_decode(layout, b, w, (left + width - 1) / width);
		for (int g = 0; g < left; g += group, scale += TRIT_BLOCK_ROWS) {
			int32_t acc[TRIT_BLOCK_ROWS] = {0};
			/* what lies in b beyond the last column meets activations of zero */
			add_sums(acc, b + g * TRIT_BLOCK_ROWS, q + c + g, left - g < group ? left - g : group);
			for (int r = 0; r < TRIT_BLOCK_ROWS; r++)
				y[r] = fmaf((float)acc[r], scale[r], y[r]);
		}
	}
}

static void gemm_int(enum trit_layout layout, const struct trit_gemm_int *g)
{
	size_t block_bytes = trit_layout_bytes(layout, TRIT_BLOCK_ROWS, (size_t)g->cols);
	const unsigned char *w = g->w;

	for (int r0 = 0; r0 < g->rows; r0 += TRIT_BLOCK_ROWS, w += block_bytes) {
		const float *s = g->scale + trit_scale_at(g->scaling, (size_t)r0, (size_t)g->cols);
		int n = g->rows - r0 < TRIT_BLOCK_ROWS ? g->rows - r0 : TRIT_BLOCK_ROWS;
		for (int t = 0; t < g->tokens; t++) {
			const int8_t *q = g->q + (size_t)t * g->ldq;
			float *out = g->y + (size_t)t * g->ldy + r0, chains[TRIT_BLOCK_ROWS];
			int32_t acc[TRIT_BLOCK_ROWS];
			if (g->scaling > TRIT_SCALE_ROW) {
				block_groups(layout, chains, w, s, (int)g->scaling, q, g->cols);
				for (int r = 0; r < n; r++)
					out[r] = chains[r] * g->step[t];
			} else {
				block_sums(layout, acc, w, q, g->cols);
				for (int r = 0; r < n; r++)
					out[r] = (float)acc[r] * (s[g->scaling == TRIT_SCALE_ROW ? r : 0] * g->step[t]);
			}
		}
	}
}

#define GEMM_INT(name, layout)                                                                                         \
	static void trit_gemm_##name##_c(const struct trit_gemm_int *g)                                                \
	{                                                                                                              \
		gemm_int(layout, g);                                                                                   \
	}
GEMM_INT(t2, TRIT_T2)
GEMM_INT(t5, TRIT_T5)
GEMM_INT(b1, TRIT_B1)
GEMM_INT(i8, TRIT_I8)
GEMM_INT(i6, TRIT_I6)
GEMM_INT(i4, TRIT_I4)

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static uint64_t trit_read_pass_c(const void *p, size_t n)
{
	uint64_t x = 0, word;
	for (size_t i = 0; i < n; i += sizeof word) {
		memcpy(&word, (const char *)p + i, sizeof word);
		x ^= word;
	}
	return x;
}

static double trit_int8_peak_c(int rounds)
{
	enum { N = 64, STEPS = 1000 };
	int8_t b[N], q[N];
	volatile int32_t result;

	memset(b, 1, sizeof b);
	memset(q, 3, sizeof q);
	for (int i = 0; i < rounds; i++) {
		int32_t acc = 0;
		for (int s = 0; s < STEPS; s++)
			for (int j = 0; j < N; j++)
				acc += b[j] * q[j] + s;
		result = acc;
	}
	(void)result;
	return 2.0 * rounds * N * STEPS;
}

void trit_ternary_init_c(struct trit_kernels *k)
{
	k->int8_peak = trit_int8_peak_c;
	k->read_pass = trit_read_pass_c;
	k->ternarize = trit_ternarize_c;
	k->binarize = trit_binarize_c;
	k->dequant_i8 = trit_dequant_i8_c;
	k->transpose_i8 = trit_transpose_i8_c;
	k->gemm_int[TRIT_T2] = trit_gemm_t2_c;
	k->gemm_int[TRIT_T5] = trit_gemm_t5_c;
	k->gemm_int[TRIT_B1] = trit_gemm_b1_c;
	k->gemm_int[TRIT_I8] = trit_gemm_i8_c;
	k->gemm_int[TRIT_I6] = trit_gemm_i6_c;
	k->gemm_int[TRIT_I4] = trit_gemm_i4_c;
}
