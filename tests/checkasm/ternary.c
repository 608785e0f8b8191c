/*
 * ternary.c - checks the quantisers and the ternary products.
 *
 * Plain C itself is checked here against sums over unpacked weights; tests/test_layout.c has the layouts.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <sys/mman.h>

#include "checkasm.h"

/* act_quant (arg 0), rmsnorm_quant (arg 1), act_quant4 (arg 2); the second equals rmsnorm and act_quant one after the
 * other. */
static void test_act_quant(struct check *ck)
{
	for (int i = 0; i < 400; i++) {
		int n = check_size(ck, 1, 1100), padded = i % 3 ? (int)trit_q_padded((size_t)n) : n;
		check_case(ck, "n %d, padded %d, number %d", n, padded, i);
		float *x = check_in(ck, (size_t)n * sizeof *x), *w = check_in(ck, (size_t)n * sizeof *w);
		float *normed = check_in(ck, (size_t)n * sizeof *w);
		int8_t *q_c = check_out(ck, (size_t)padded), *q = check_out(ck, (size_t)padded);
		float step_c = 0, step = 0;
		int32_t sum_c = 0, sum = 0;
		if (i % 8 == 0) /* halves that are ties after scaling, and the largest value's both signs */
			for (int j = 0; j < n; j++)
				x[j] = j % 5 == 0 ? (j % 2 ? 127 : -127) : (float)((int)trit_rng_below(&ck->rng, 253) - 126) + 0.5f;
		else
			check_fill_f32(ck, x, (size_t)n);
		for (int j = 0; i % 8 == 1 && j < n; j++)
			x[j] *= 1e-8f; /* all below the least scale */
		for (int j = 0; i % 8 == 2 && j < n; j++)
			x[j] = copysignf(3.0e38f, x[j]);
		if (i % 8 == 3)
			x[n / 2] = i % 16 == 3 ? NAN : INFINITY;
		if (ck->arg == 2) {
			ck->c->act_quant4(q_c, &step_c, &sum_c, x, n, padded);
			ck->k->act_quant4(q, &step, &sum, x, n, padded);
		} else if (ck->arg) {
			check_fill_normal(ck, w, (size_t)n, 1);
			ck->c->rmsnorm(normed, x, w, 1e-5f, n);
			ck->c->act_quant(q_c, &step_c, &sum_c, normed, n, padded);
			ck->k->rmsnorm_quant(q, &step, &sum, x, w, 1e-5f, n, padded);
		} else {
			ck->c->act_quant(q_c, &step_c, &sum_c, x, n, padded);
			ck->k->act_quant(q, &step, &sum, x, n, padded);
		}
		check_same_i8(ck, "q", q_c, q, (size_t)padded);
		check_same_f32(ck, "step", &step_c, &step, 1);
		check_same_i32(ck, "sum", &sum_c, &sum, 1);
		int32_t total = 0;
		for (int j = 0; j < padded; j++)
			total += q[j];
		check_same_i32(ck, "sum of q", &total, &sum, 1);
	}
	check_case(ck, "benchmark");
	float *x = check_aligned(ck, 2560 * sizeof *x), *w = check_aligned(ck, 2560 * sizeof *w), step;
	int8_t *q = check_aligned(ck, 2560);
	int32_t sum;
	check_fill_normal(ck, x, 2560, 1);
	check_fill_normal(ck, w, 2560, 1);
	if (ck->arg == 2)
		CHECK_BENCH(ck, "n 2560", 2560, "elem", 2560 * 5, ck->now->act_quant4(q, &step, &sum, x, 2560, 2560));
	else if (ck->arg)
		CHECK_BENCH(ck, "n 2560", 2560, "elem", 2560 * 9,
		            ck->now->rmsnorm_quant(q, &step, &sum, x, w, 1e-5f, 2560, 2560));
	else
		CHECK_BENCH(ck, "n 2560", 2560, "elem", 2560 * 5, ck->now->act_quant(q, &step, &sum, x, 2560, 2560));
}

/* ternarize (arg 0), binarize (arg 1). */
static void test_weights(struct check *ck)
{
	trit_ternarize_fn *c = ck->arg ? ck->c->binarize : ck->c->ternarize;
	trit_ternarize_fn *k = ck->arg ? ck->k->binarize : ck->k->ternarize;
	trit_ternarize_fn *member;

	for (int i = 0; i < 400; i++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d, number %d", n, i);
		float *w = check_in(ck, (size_t)n * sizeof *w), p = trit_rng_normal(&ck->rng);
		int8_t *t_c = check_out(ck, (size_t)n), *t = check_out(ck, (size_t)n);
		check_fill_f32(ck, w, (size_t)n);
		if (i % 4 == 0)
			p = n > 0 ? w[n / 2] : 0; /* equal to the mean */
		if (i % 4 == 1)
			p = 1.0f; /* halves stay halves */
		if (i % 4 == 2)
			p = 3.0e38f;
		c(t_c, w, p, n);
		k(t, w, p, n);
		check_same_i8(ck, "t", t_c, t, (size_t)n);
	}
	check_case(ck, "benchmark");
	float *w = check_aligned(ck, 65536 * sizeof *w);
	int8_t *t = check_aligned(ck, 65536);
	check_fill_normal(ck, w, 65536, 1);
	CHECK_BENCH(ck, "n 65536", 65536, "elem", 65536 * 5,
	            (member = ck->arg ? ck->now->binarize : ck->now->ternarize, member(t, w, 0.7f, 65536)));
}

static void test_dequant_i8(struct check *ck)
{
	for (int i = 0; i < 200; i++) {
		int n = check_size(ck, 0, 1100);
		check_case(ck, "n %d", n);
		int8_t *q = check_in(ck, (size_t)n);
		float *y_c = check_out(ck, (size_t)n * sizeof *y_c), *y = check_out(ck, (size_t)n * sizeof *y);
		float step = trit_rng_normal(&ck->rng);
		check_fill_i8(ck, q, (size_t)n, -128, 127);
		ck->c->dequant_i8(y_c, q, step, n);
		ck->k->dequant_i8(y, q, step, n);
		check_same_f32(ck, "y", y_c, y, (size_t)n);
	}
	check_case(ck, "benchmark");
	int8_t *q = check_aligned(ck, 4096);
	float *y = check_aligned(ck, 4096 * sizeof *y);
	check_fill_i8(ck, q, 4096, -127, 127);
	CHECK_BENCH(ck, "n 4096", 4096, "elem", 4096 * 5, ck->now->dequant_i8(y, q, 0.01f, 4096));
}

/* ---- gemm_int ---------------------------------------------------------------------------------------------------- */

enum fill { FILL_RANDOM, FILL_PLUS, FILL_MINUS, FILL_ZERO, N_FILLS };

/* A weight of layout `l`: random, or the largest or the smallest there is. */
static int8_t weight(struct check *ck, int l, enum fill fill)
{
	const struct trit_layout_info *info = &trit_layouts[l];
	int span = info->max - info->min + 1;
	int v = fill == FILL_PLUS ? info->max : fill == FILL_MINUS ? info->min : 0;
	if (fill == FILL_RANDOM)
		v = info->min + (int)trit_rng_below(&ck->rng, (uint64_t)span);
	return (int8_t)(l == TRIT_B1 ? (v > 0 ? 1 : -1) : v);
}

/* Fills and packs a matrix. */
static void fill_weights(struct check *ck, unsigned char *w, int l, int rows, int cols, enum fill fill)
{
	static int8_t values[TRIT_BLOCK_ROWS * TRIT_MAX_COLS];
	for (int r = 0; r < rows; r += TRIT_BLOCK_ROWS) {
		int n = rows - r < TRIT_BLOCK_ROWS ? rows - r : TRIT_BLOCK_ROWS;
		for (size_t i = 0; i < (size_t)n * (size_t)cols; i++)
			values[i] = weight(ck, l, fill);
		trit_pack((enum trit_layout)l, w, (size_t)r, values, (size_t)n, (size_t)cols);
	}
}

/* y[t][r] by its definition, for some of the elements. */
static void check_definition(struct check *ck, const struct trit_gemm_int *p)
{
	static int8_t values[TRIT_MAX_COLS];
	int group = p->scaling > TRIT_SCALE_ROW ? (int)p->scaling : p->cols;
	for (int i = 0; i < 4; i++) {
		size_t r = i ? trit_rng_below(&ck->rng, (uint64_t)p->rows) : (size_t)p->rows - 1;
		size_t t = i ? trit_rng_below(&ck->rng, (uint64_t)p->tokens) : (size_t)p->tokens - 1;
		float chain = 0, expected = 0;
		trit_unpack((enum trit_layout)ck->arg, values, p->w, r, (size_t)p->cols);
		for (int c0 = 0; c0 < p->cols; c0 += group) {
			int64_t sum = 0;
			float s = trit_scale_of(p->scale, p->scaling, r, (size_t)c0, (size_t)p->cols);
			for (int c = c0; c < p->cols && c < c0 + group; c++)
				sum += values[c] * p->q[t * p->ldq + (size_t)c];
			chain = fmaf((float)sum, s, chain);
			expected = p->scaling > TRIT_SCALE_ROW ? chain * p->step[t] : (float)sum * (s * p->step[t]);
		}
		check_same_f32(ck, "element by definition", &expected, &p->y[t * p->ldy + r], 1);
	}
}

static void gemm_case(struct check *ck, int rows, int tokens, int cols, enum trit_scaling scaling, enum fill weights,
                      enum fill activations)
{
	enum trit_layout layout = (enum trit_layout)ck->arg;
	size_t padded = trit_q_padded((size_t)cols), ldq = padded + trit_rng_below(&ck->rng, 3) * 8;
	size_t ldy = (size_t)rows + trit_rng_below(&ck->rng, 20);
	size_t n_y = (size_t)(tokens - 1) * ldy + (size_t)rows, n_q = (size_t)(tokens - 1) * ldq + padded;
	size_t n_scale = trit_scale_count(scaling, (size_t)rows, (size_t)cols);

	check_case(ck, "rows %d, tokens %d, cols %d, scaling %d, weights %d, activations %d", rows, tokens, cols,
	           (int)scaling, weights, activations);
	unsigned char *w = check_in(ck, trit_layout_bytes(layout, (size_t)rows, (size_t)cols));
	float *scale = check_in(ck, n_scale * sizeof *scale);
	int8_t *q = check_in(ck, n_q);
	int32_t *sum = check_in(ck, (size_t)tokens * sizeof *sum);
	float *step = check_in(ck, (size_t)tokens * sizeof *step);
	float *y_c = check_out(ck, n_y * sizeof *y_c), *y = check_out(ck, n_y * sizeof *y);

	fill_weights(ck, w, layout, rows, cols, weights);
	check_fill_normal(ck, scale, n_scale, 1);
	check_fill_i8(ck, q, n_q, -127, 127);
	for (int t = 0; t < tokens; t++) {
		int8_t *row = q + (size_t)t * ldq;
		if (activations != FILL_RANDOM)
			memset(row, activations == FILL_PLUS ? 127 : activations == FILL_MINUS ? -127 : 0, (size_t)cols);
		memset(row + cols, 0, padded - (size_t)cols);
		sum[t] = 0;
		for (int c = 0; c < cols; c++)
			sum[t] += row[c];
	}
	check_fill_normal(ck, step, (size_t)tokens, 1);
	struct trit_gemm_int p = {
		.y = y_c, .ldy = ldy, .w = w, .scale = scale, .scaling = scaling, .q = q, .ldq = ldq, .sum = sum, .step = step,
		.rows = rows, .tokens = tokens, .cols = cols
	};
	ck->c->gemm_int[layout](&p);
	p.y = y;
	p.next = trit_rng_below(&ck->rng, 2) ? w : NULL;
	ck->k->gemm_int[layout](&p);
	check_same_f32(ck, "y", y_c, y, n_y);
	check_definition(ck, &p);
}

/* What a benchmark multiplies, but for the weights. */
static struct trit_gemm_int bench_operands(struct check *ck, int rows, int tokens, int cols, enum trit_scaling scaling)
{
	size_t padded = trit_q_padded((size_t)cols), n = (size_t)tokens;
	size_t n_scale = trit_scale_count(scaling, (size_t)rows, (size_t)cols);
	int8_t *q = check_aligned(ck, n * padded);
	float *scale = check_aligned(ck, n_scale * sizeof *scale), *step = check_aligned(ck, n * sizeof *step);
	int32_t *sum = check_aligned(ck, n * sizeof *sum);
	memset(sum, 0, n * sizeof *sum);
	check_fill_i8(ck, q, n * padded, -127, 127);
	check_fill_normal(ck, step, n, 1);
	check_fill_normal(ck, scale, n_scale, 1);
	return (struct trit_gemm_int){
		.y = check_aligned(ck, n * (size_t)rows * sizeof(float)), .ldy = (size_t)rows, .scale = scale,
		.scaling = scaling, .q = q, .ldq = padded, .sum = sum, .step = step, .rows = rows, .tokens = tokens,
		.cols = cols
	};
}

/* Weights out of cache. */
static unsigned char *map_weights(struct check *ck, size_t bytes)
{
	unsigned char *w = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		check_fail(ck, "not enough memory");
	madvise(w, bytes, MADV_HUGEPAGE); /* small pages cost a fifth of the speed; refused is fine */
	memset(w, 0x64, bytes);
	return w;
}

/* A model's worth of matrices, one after the other. */
static void bench_gemv(struct check *ck, size_t all, int rows, int tokens, int cols, enum trit_scaling scaling,
                       const char *label)
{
	enum trit_layout layout = (enum trit_layout)ck->arg;
	size_t bytes = trit_layout_bytes(layout, (size_t)rows, (size_t)cols), at = 0;
	all = all > bytes ? all : bytes;
	check_case(ck, "benchmark");
	struct trit_gemm_int p = bench_operands(ck, rows, tokens, cols, scaling);
	unsigned char *w = map_weights(ck, all);
	if (all > bytes)
		check_read_speed(ck, w, all);
	CHECK_BENCH(ck, label, (double)rows * cols, "w", (double)bytes,
	            (at = at + 2 * bytes > all ? 0 : at + bytes, p.w = w + at, ck->now->gemm_int[layout](&p)));
	munmap(w, all);
}

/* Keys in the pages of a q8 cache, head after head: values and other heads lie between a page and the next. */
static void bench_pages(struct check *ck, bool hint, const char *label)
{
	enum { ROWS = 256, COLS = 128, TOKENS = 4, HEADS = 5, PAGES = 1000 };
	const size_t bytes = trit_layout_bytes(TRIT_I8, ROWS, COLS), stride = HEADS * 2 * bytes, all = PAGES * stride;
	size_t at = 0, page, head;
	check_case(ck, "benchmark");
	struct trit_gemm_int p = bench_operands(ck, ROWS, TOKENS, COLS, TRIT_SCALE_ROW);
	unsigned char *w = map_weights(ck, all);
	check_read_speed(ck, w, all);
	CHECK_BENCH(ck, label, (double)ROWS * COLS, "w", (double)bytes,
	            (at = (at + 1) % (HEADS * (PAGES - 1)), page = at % (PAGES - 1), head = at / (PAGES - 1),
	             p.w = w + page * stride + head * 2 * bytes, p.next = hint ? p.w + stride : NULL,
	             ck->now->gemm_int[TRIT_I8](&p)));
	munmap(w, all);
}

static void bench_gemm(struct check *ck, int rows, int tokens, int cols)
{
	enum trit_layout layout = (enum trit_layout)ck->arg;
	size_t bytes = trit_layout_bytes(layout, (size_t)rows, (size_t)cols);
	char label[64];
	check_case(ck, "benchmark");
	struct trit_gemm_int p = bench_operands(ck, rows, tokens, cols, TRIT_SCALE_TENSOR);
	unsigned char *w = check_aligned(ck, bytes);
	memset(w, 0x64, bytes);
	p.w = w;
	check_int8_peak(ck);
	snprintf(label, sizeof label, "%d tokens, %d x %d", tokens, rows, cols);
	CHECK_BENCH(ck, label, 2.0 * rows * cols * tokens, "op", 0, ck->now->gemm_int[layout](&p));
}

static void bench_layout(struct check *ck)
{
	enum trit_layout layout = (enum trit_layout)ck->arg;
	size_t memory = (size_t)420 << 20;
	bench_gemv(ck, memory, 6912, 1, 2560, TRIT_SCALE_TENSOR, "6912 x 2560, memory");
	bench_gemv(ck, memory, 2560, 1, 6912, TRIT_SCALE_TENSOR, "2560 x 6912, memory");
	bench_gemv(ck, memory, 6912, 1, 2560, TRIT_SCALE_GROUP128, "6912 x 2560, memory, groups of 128");
	bench_gemv(ck, memory, 6912, 16, 2560, TRIT_SCALE_TENSOR, "6912 x 2560, memory, 16 tokens");
	bench_gemv(ck, 0, 2560, 16, 2560, TRIT_SCALE_GROUP128, "2560 x 2560, 16 tokens, groups of 128");
	bench_gemv(ck, 0, 1536, 1, 512, TRIT_SCALE_ROW, "1536 x 512, cache");
	bench_gemv(ck, 0, 256, 1, 256, TRIT_SCALE_TENSOR, "256 x 256, cache");
	for (int tokens = 2; tokens <= 16; tokens += tokens < 8 ? 2 : 8)
		bench_gemm(ck, 2560, tokens, 2560);
	bench_gemm(ck, 2560, 64, 2560);
	bench_gemm(ck, 2560, 512, 2560);
	if (layout == TRIT_I8) {
		bench_pages(ck, false, "pages of 256 x 128, 4 tokens, no hint");
		bench_pages(ck, true, "pages of 256 x 128, 4 tokens");
	}
	if (layout != TRIT_T2)
		return;
	bench_gemm(ck, 256, 512, 256);
	bench_gemm(ck, 768, 512, 256);
	bench_gemm(ck, 1536, 512, 512);
	bench_gemm(ck, 256, 512, 6912);
}

/* Bytes that no weights pack to: any result, but nothing worse. */
static void gemm_strange_bytes(struct check *ck, int rows, int tokens, int cols, enum trit_scaling scaling)
{
	enum trit_layout layout = (enum trit_layout)ck->arg;
	size_t padded = trit_q_padded((size_t)cols), bytes = trit_layout_bytes(layout, (size_t)rows, (size_t)cols);
	size_t n_scale = trit_scale_count(scaling, (size_t)rows, (size_t)cols);

	check_case(ck, "any bytes, rows %d, tokens %d, cols %d, scaling %d", rows, tokens, cols, (int)scaling);
	unsigned char *w = check_in(ck, bytes);
	float *scale = check_in(ck, n_scale * sizeof *scale), *step = check_in(ck, (size_t)tokens * sizeof *step);
	int8_t *q = check_in(ck, (size_t)tokens * padded);
	int32_t *sum = check_in(ck, (size_t)tokens * sizeof *sum);
	float *y = check_out(ck, (size_t)rows * (size_t)tokens * sizeof *y);

	check_fill_i8(ck, (int8_t *)w, bytes, -128, 127);
	check_fill_normal(ck, scale, n_scale, 1);
	check_fill_normal(ck, step, (size_t)tokens, 1);
	check_fill_i8(ck, q, (size_t)tokens * padded, -127, 127);
	memset(sum, 0, (size_t)tokens * sizeof *sum);
	ck->k->gemm_int[layout](&(struct trit_gemm_int){
		.y = y, .ldy = (size_t)rows, .w = w, .scale = scale, .scaling = scaling, .q = q, .ldq = padded, .sum = sum,
		.step = step, .rows = rows, .tokens = tokens, .cols = cols
	});
}

static void test_gemm_int(struct check *ck)
{
	static const enum trit_scaling scalings[] = {TRIT_SCALE_TENSOR, TRIT_SCALE_ROW, TRIT_SCALE_GROUP64,
	                                             TRIT_SCALE_GROUP128};
	static const int edges[][3] = {{1, 1, 1}, {16, 1, 16}, {17, 2, 17}, {64, 8, 512}, {65, 9, 513}, {128, 13, 1040},
	                               {15, 1, 65536}, {80, 6, 2560}, {80, 13, 2576}, {64, 30, 272}, {63, 12, 256},
	                               {64, 12, 6912}, {33, 17, 640}, {144, 33, 321}, {16, 16, 128}, {48, 70, 130},
	                               {64, 66, 1300},
	                               {1, 4, 641}, {50, 32, 1290}, {40, 49, 1290}, {33, 65, 700}, {16, 130, 16500},
	                               {100, 545, 130}, {17, 2, 1280}, {31, 3, 1300}, {32, 5, 2561}};
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		for (int s = 0; s < 4; s++)
			gemm_case(ck, edges[i][0], edges[i][1], edges[i][2], scalings[s], FILL_RANDOM, FILL_RANDOM);
	for (int s = 0; s < 4; s++)
		for (int tokens = 1; tokens <= 17; tokens += 8)
			gemm_strange_bytes(ck, 80, tokens, 1300, scalings[s]);
	for (int i = 0; i < 250; i++)
		gemm_case(ck, check_size(ck, 1, 200), i % 2 ? 1 : check_size(ck, 1, i % 8 ? 24 : 80), check_size(ck, 1, 700),
		          scalings[i % 4], (enum fill)(i % 3 ? FILL_RANDOM : (int)trit_rng_below(&ck->rng, N_FILLS)),
		          (enum fill)(i % 5 ? FILL_RANDOM : (int)trit_rng_below(&ck->rng, N_FILLS)));
	for (int weights = 0; weights < N_FILLS; weights++) /* the largest sums there can be, in both ways of computing */
		for (int activations = 0; activations < FILL_ZERO; activations++) {
			gemm_case(ck, 16, 1, TRIT_MAX_COLS, TRIT_SCALE_ROW, (enum fill)weights, (enum fill)activations);
			gemm_case(ck, 64, 13, 16400, TRIT_SCALE_TENSOR, (enum fill)weights, (enum fill)activations);
		}
	gemm_case(ck, 64, 12, TRIT_MAX_COLS, TRIT_SCALE_TENSOR, FILL_PLUS, FILL_MINUS);
	gemm_case(ck, 64, 17, TRIT_MAX_COLS, TRIT_SCALE_TENSOR, FILL_PLUS, FILL_PLUS);
	gemm_case(ck, 16, 40, TRIT_MAX_COLS, TRIT_SCALE_TENSOR, FILL_MINUS, FILL_MINUS);
	gemm_case(ck, 16, 65, TRIT_MAX_COLS, TRIT_SCALE_TENSOR, FILL_PLUS, FILL_PLUS); /* enough for every panel */
	gemm_case(ck, 16, 65, TRIT_MAX_COLS, TRIT_SCALE_TENSOR, FILL_PLUS, FILL_MINUS);
	if (ck->bench)
		bench_layout(ck);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void test_read_pass(struct check *ck)
{
	for (int i = 0; i < 40; i++) {
		size_t n = 64 * trit_rng_below(&ck->rng, 300);
		check_case(ck, "n %zu", n);
		unsigned char *p = check_in(ck, n);
		check_fill_i8(ck, (int8_t *)p, n, -128, 127);
		uint64_t c = ck->c->read_pass(p, n), k = ck->k->read_pass(p, n);
		if (c != k)
			check_fail(ck, "read_pass of %zu bytes: %llx, in C %llx", n, (unsigned long long)k, (unsigned long long)c);
	}
}

static void test_int8_peak(struct check *ck)
{
	check_case(ck, "one round");
	if (!(ck->k->int8_peak(1) > 0))
		check_fail(ck, "no operations");
	CHECK_BENCH(ck, "10 rounds", ck->now->int8_peak(10), "op", 0, ck->now->int8_peak(10));
}

const struct check_test check_ternary[] = {
	CHECK(int8_peak, test_int8_peak),
	CHECK(read_pass, test_read_pass),
	{"act_quant", offsetof(struct trit_kernels, act_quant), test_act_quant, 0},
	{"rmsnorm_quant", offsetof(struct trit_kernels, rmsnorm_quant), test_act_quant, 1},
	{"act_quant4", offsetof(struct trit_kernels, act_quant4), test_act_quant, 2},
	{"ternarize", offsetof(struct trit_kernels, ternarize), test_weights, 0},
	{"binarize", offsetof(struct trit_kernels, binarize), test_weights, 1},
	CHECK(dequant_i8, test_dequant_i8),
	CHECK_ARRAY(gemm_int, TRIT_T2, test_gemm_int),
	CHECK_ARRAY(gemm_int, TRIT_T5, test_gemm_int),
	CHECK_ARRAY(gemm_int, TRIT_B1, test_gemm_int),
	CHECK_ARRAY(gemm_int, TRIT_I8, test_gemm_int),
	CHECK_ARRAY(gemm_int, TRIT_I6, test_gemm_int),
	CHECK_ARRAY(gemm_int, TRIT_I4, test_gemm_int),
	CHECK_END,
};
