/*
 * panel_avx512.c - integer products with many tokens: weights are decoded once and meet all tokens in the cache.
 *
 * 64 rows x about 500 columns are decoded into bytes, unsigned codes, 32 KB that stay in the first-level cache. There
 * they meet all tokens, 4 x 16 rows by 6 tokens in 24 registers: 10 loads feed 24 vpdpbusd. Between the panels of the
 * same rows sums rest in y: as integers, or with scales of groups as the floats' chains.
 *
 * Only decoding knows the layout.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/int_avx512.h"

enum {
	BLOCKS = 4, /* of 16 rows */
	PANEL_COLS = 512,
	PANEL_STEPS = PANEL_COLS / 4 + 8, /* of 4 columns; a group may end, and the next begin, within a unit */
	TILE = 6, /* tokens */
};

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/* Codes of four row blocks as bytes: register 4 * s + b holds block b, columns 4 s .. 4 s + 3. */
static ALWAYS_INLINE void decode(const int layout, __m512i *panel, const unsigned char *w, size_t block_bytes,
                                 int units)
{
	const int n = unit_fields(layout), bytes = unit_bytes(layout);

	for (int b = 0; b < BLOCKS; b++, w += block_bytes)
		for (int u = 0; u < units; u++) {
			const struct fields v = fields_of(layout, w + (size_t)(bytes * u), 1);
			__m512i *to = panel + BLOCKS * n * u + b;
#define STORE(i) to[BLOCKS * (i)] = v.f[i]
			EACH(n, STORE);
#undef STORE
		}
}

typedef void decode_fn(__m512i *panel, const unsigned char *w, size_t block_bytes, int units);
#define DECODE(layout)                                                                                                 \
	static void decode_##layout(__m512i *panel, const unsigned char *w, size_t block_bytes, int units)             \
	{                                                                                                              \
		decode(TRIT_##layout, panel, w, block_bytes, units);                                                   \
	}
DECODE(T2)
DECODE(T5)
DECODE(B1)
DECODE(I8)
DECODE(I6)
DECODE(I4)
static decode_fn *const decoders[TRIT_N_LAYOUTS] = {
	[TRIT_T2] = decode_T2, [TRIT_T5] = decode_T5, [TRIT_B1] = decode_B1,
	[TRIT_I8] = decode_I8, [TRIT_I6] = decode_I6, [TRIT_I4] = decode_I4,
};

/* ---- one tile ---------------------------------------------------------------------------------------------------- */

/* One panel and a few tokens: `groups` times `steps` steps of four columns (the last time up to `end`). */
struct tile {
	const __m512i *panel, *end;
	int steps;
	float *y;
	size_t ldy;
	const int8_t *q;
	size_t ldq;
	const float *scale; /* 16 for each block, scale_stride apart */
	size_t scale_stride;
	const int32_t *biases; /* one for each token, n_groups apart */
	size_t n_groups;
	const float *step;
	bool first, last; /* along the columns */
	bool grouped;     /* scales belong to groups of `steps` steps */
};

/*
 * Sums begin at minus the bias. i8 is the widest: of activations whose positive ones sum to P and negative ones to -N,
 * a sum is between -128 P - 127 N and 127 P + 128 N on its way, and P + N <= 127 * 65536.
 */
static ALWAYS_INLINE void begin(__m512i *acc, int32_t bias)
{
	acc[0] = acc[1] = acc[2] = acc[3] = _mm512_set1_epi32(-bias);
}

static ALWAYS_INLINE void load(__m512i *acc, const float *y)
{
	acc[0] = _mm512_loadu_si512(y);
	acc[1] = _mm512_loadu_si512(y + 16);
	acc[2] = _mm512_loadu_si512(y + 32);
	acc[3] = _mm512_loadu_si512(y + 48);
}

static ALWAYS_INLINE void store(float *y, const __m512i *acc)
{
	_mm512_storeu_si512(y, acc[0]);
	_mm512_storeu_si512(y + 16, acc[1]);
	_mm512_storeu_si512(y + 32, acc[2]);
	_mm512_storeu_si512(y + 48, acc[3]);
}

static ALWAYS_INLINE void store_scaled(float *y, const __m512i *acc, const __m512 *scale, float step)
{
	for (int b = 0; b < BLOCKS; b++)
		_mm512_storeu_ps(y + 16 * b,
		                 _mm512_mul_ps(_mm512_cvtepi32_ps(acc[b]), _mm512_mul_ps(scale[b], _mm512_set1_ps(step))));
}

static ALWAYS_INLINE void store_chain(float *y, const __m512i *acc, const __m512 *scale, bool first)
{
	for (int b = 0; b < BLOCKS; b++) {
		__m512 chain = first ? _mm512_setzero_ps() : _mm512_loadu_ps(y + 16 * b);
		_mm512_storeu_ps(y + 16 * b, _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[b]), scale[b], chain));
	}
}

static ALWAYS_INLINE void add_step(__m512i *acc, const __m512i *w, const int8_t *q)
{
	int32_t word;
	memcpy(&word, q, sizeof word);
	__m512i v = _mm512_set1_epi32(word);
	acc[0] = _mm512_dpbusd_epi32(acc[0], w[0], v);
	acc[1] = _mm512_dpbusd_epi32(acc[1], w[1], v);
	acc[2] = _mm512_dpbusd_epi32(acc[2], w[2], v);
	acc[3] = _mm512_dpbusd_epi32(acc[3], w[3], v);
}

/* 64 rows by `tokens` (1 to 6, a constant after inlining). */
static ALWAYS_INLINE void tile(const struct tile *arg, const int tokens)
{
	const struct tile t = *arg;
	const __m512i *panel = t.panel;
	const int8_t *q0 = t.q, *q3 = t.q + 3 * t.ldq;
	const float *scales = t.scale;
	const int32_t *biases = t.biases;
	const size_t ldq = t.ldq;
	bool first = t.first;

	do {
		const __m512i *end = t.end - panel < BLOCKS * t.steps ? t.end : panel + BLOCKS * t.steps;
		__m512i acc[8][BLOCKS]; /* TILE of them are used */

#define BEGIN(i) begin(acc[i], biases[(i) * t.n_groups])
#define LOAD(i) load(acc[i], t.y + (i) * t.ldy)
		if (first || t.grouped)
			EACH(tokens, BEGIN);
		else
			EACH(tokens, LOAD);
		for (; panel < end; panel += BLOCKS, q0 += 4, q3 += 4) {
			const __m512i w[BLOCKS] = {panel[0], panel[1], panel[2], panel[3]};
#define STEP(i) add_step(acc[i], w, ((i) < 3 ? q0 : q3) + (i) % 3 * ldq)
			EACH(tokens, STEP);
		}
		const __m512 scale[BLOCKS] = {_mm512_loadu_ps(scales), _mm512_loadu_ps(scales + t.scale_stride),
		                              _mm512_loadu_ps(scales + 2 * t.scale_stride),
		                              _mm512_loadu_ps(scales + 3 * t.scale_stride)};
#define STORE_CHAIN(i) store_chain(t.y + (i) * t.ldy, acc[i], scale, first)
#define STORE_SCALED(i) store_scaled(t.y + (i) * t.ldy, acc[i], scale, t.step[i])
#define STORE(i) store(t.y + (i) * t.ldy, acc[i])
		if (t.grouped)
			EACH(tokens, STORE_CHAIN);
		else if (t.last)
			EACH(tokens, STORE_SCALED);
		else
			EACH(tokens, STORE);
		first = false;
		scales += TRIT_BLOCK_ROWS;
		biases++;
	} while (panel < t.end);
}

typedef void tile_fn(const struct tile *t);
/* A function each: inlined into one, gcc 12 runs out of registers. */
#define TILE_OF(n)                                                                                                     \
	static __attribute__((noinline)) void tile_##n(const struct tile *t)                                             \
	{                                                                                                              \
		tile(t, n);                                                                                            \
	}
TILE_OF(1)
TILE_OF(2)
TILE_OF(3)
TILE_OF(4)
TILE_OF(5)
TILE_OF(6)
static tile_fn *const tiles[TILE + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

/* The last factor of chains of groups. */
static void scale_chains(float *y, size_t ldy, const float *step, int tokens)
{
	for (int i = 0; i < tokens; i++)
		for (int b = 0; b < BLOCKS; b++) {
			float *to = y + (size_t)i * ldy + 16 * b;
			_mm512_storeu_ps(to, _mm512_mul_ps(_mm512_loadu_ps(to), _mm512_set1_ps(step[i])));
		}
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

/* Asks lines l0 to l1 of the next panel's blocks into the second-level cache. */
static void prefetch_lines(const unsigned char *next, size_t block_bytes, int l0, int l1)
{
	for (int b = 0; b < BLOCKS; b++, next += block_bytes)
		for (int l = l0; l < l1; l++)
			_mm_prefetch((const char *)next + (size_t)l * 64, _MM_HINT_T1);
}

/* One panel and all tokens; t is the first tile. `next`: the next panel, `lines` cache lines of each block. */
static void all_tokens(const struct int_product *p, struct tile t, const unsigned char *next, int lines)
{
	int n_tiles = (p->tokens + TILE - 1) / TILE, n = p->tokens / n_tiles, larger = p->tokens % n_tiles;
	int at_once = (lines + n_tiles - 1) / n_tiles;

	for (int i = 0, l = 0; i < n_tiles; i++, l += at_once) {
		int tokens = n + (i < larger);
		prefetch_lines(next, p->block_bytes, l, l + at_once < lines ? l + at_once : lines);
		tiles[tokens](&t);
		if (t.grouped && t.last)
			scale_chains(t.y, t.ldy, t.step, tokens);
		t.y += (size_t)tokens * t.ldy;
		t.q += (size_t)tokens * t.ldq;
		t.biases += (size_t)tokens * t.n_groups;
		t.step += tokens;
	}
}

void trit_panel_avx512(enum trit_layout layout, const struct int_product *p)
{
	__m512i panel[BLOCKS * PANEL_STEPS];
	float one_scale[TRIT_BLOCK_ROWS];
	const int unit = trit_layouts[layout].cols, bytes = trit_layouts[layout].bytes;
	const bool grouped = p->scaling > TRIT_SCALE_ROW;
	int grain = grouped ? (int)p->scaling : unit, n_grains = (p->cols + grain - 1) / grain;
	int most = PANEL_COLS / grain, n_panels = (n_grains + most - 1) / most; /* along the columns, as even as can be */
	const unsigned char *w = p->w;

	_mm512_storeu_ps(one_scale, _mm512_set1_ps(p->scale[0]));
	for (int r = 0; r < p->rows; r += BLOCKS * TRIT_BLOCK_ROWS, w += BLOCKS * p->block_bytes)
		for (int i = 0; i < n_panels; i++) {
			int g0 = (int)((long)n_grains * i / n_panels), g1 = (int)((long)n_grains * (i + 1) / n_panels);
			int c0 = g0 * grain, c1 = i + 1 < n_panels ? g1 * grain : (p->cols + 3) / 4 * 4;
			int u0 = c0 / unit, u1 = (c1 + unit - 1) / unit;
			const unsigned char *next = i + 1 < n_panels ? w + (size_t)u1 * (size_t)bytes : w + BLOCKS * p->block_bytes;
			struct tile t = {.panel = panel + BLOCKS * ((c0 - u0 * unit) / 4), .y = p->y + r, .ldy = p->ldy,
			                 .q = p->q + c0, .ldq = p->ldq, .scale = one_scale, .n_groups = p->n_groups,
			                 .biases = p->biases, .step = p->step, .first = i == 0, .last = i + 1 == n_panels,
			                 .grouped = grouped};
			t.end = t.panel + BLOCKS * ((c1 - c0) / 4);
			t.steps = (grouped ? grain : c1 - c0) / 4;
			if (p->scaling != TRIT_SCALE_TENSOR) {
				t.scale_stride = p->n_groups * TRIT_BLOCK_ROWS;
				t.scale = p->scale + (size_t)r * p->n_groups;
			}
			if (grouped) {
				t.scale += (size_t)g0 * TRIT_BLOCK_ROWS;
				t.biases += g0;
			}
			decoders[layout](panel, w + (size_t)u0 * (size_t)bytes, p->block_bytes, u1 - u0);
			all_tokens(p, t, next, (u1 - u0) * bytes / 64);
		}
}
