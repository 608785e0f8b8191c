/*
 * ternary_arm_body.h - integer products for 64-bit Arm, written once and compiled for NEON, dotprod and i8mm.
 *
 * A 64-byte vector of a layout (layout.h) is four registers, each 4 rows (32-bit lanes) x 4 bytes. One field of it, as
 * signed bytes, meets four activations that are the same for all lanes; a "quad" sums four rows. Two ways through a
 * product:
 *   few tokens   up to TILE of them share each field, which comes straight from memory. A field need not be the weight:
 *                weight = factor * field + offset, and the sum of the activations corrects the whole at the end.
 *   many tokens  16 rows x CHUNK columns are decoded to weights once, B rows that stay in the first-level cache, and
 *                meet all tokens there. With a scale a group one token goes this way too: groups of scales and of a
 *                layout do not fit each other.
 *
 * The includer defines TILE (2 or 4), a type `activations` and a function load_four(q) that holds four of them, struct
 * quad and its functions
 *     quad_zero()          nothing added yet
 *     quad_add(s, w, x)    adds the products of 16 signed bytes w with activations x
 *     quad_steps(max)      how many additions there may be before quad_widen(), weights being at most max, |x| <= 127
 *     quad_widen(s)        makes room for as many again
 *     quad_sum(s)          the sums of the four rows, after quad_widen()
 * and may define PANEL_TILE, panel_sums and arrange_panel() for a second way of its own. It calls products_init().
 *
 * SPDX-License-Identifier: MIT
 */

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* weight = factor * field + offset. The bounds hold also for bytes that no weight packs to. */
static const struct {
	int fields; /* of a group: B rows */
	int factor, offset;
	int max, max_weight; /* of |field|, of |weight| */
} forms[TRIT_N_LAYOUTS] = {
	[TRIT_T2] = {4, 1, -1, 3, 2},    [TRIT_T5] = {5, 1, 0, 1, 1},     [TRIT_B1] = {8, -2, -1, 1, 1},
	[TRIT_I8] = {1, 1, 0, 128, 128}, [TRIT_I6] = {4, 1, -32, 63, 32}, [TRIT_I4] = {2, 1, -8, 15, 8},
};

static ALWAYS_INLINE int vectors(enum trit_layout layout)
{
	return layout == TRIT_I6 ? 3 : 1;
}

/* 16 bytes of each vector of a group, as fields are taken from them. t5: a is what the three lower digits make, b what
 * the two upper ones make. */
struct place {
	uint8x16_t a, b, c;
};

#define SEVEN(x) x, x, x, x, x, x, x
#define THREE(x, y, z) x, x, x, y, y, y, z, z, z
/* t5: n / 7, and the digits of 0..26, lowest first, less 1; beyond 26, which hostile files reach, 0. */
static const struct t5_tables {
	uint8_t by_seven[64];
	int8_t digit[3][32];
} t5_tables = {
	{SEVEN(0), SEVEN(1), SEVEN(2), SEVEN(3), SEVEN(4), SEVEN(5), SEVEN(6), SEVEN(7), SEVEN(8), 8},
	{
		{-1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1},
		{THREE(-1, 0, 1), THREE(-1, 0, 1), THREE(-1, 0, 1)},
		{THREE(-1, -1, -1), THREE(0, 0, 0), THREE(1, 1, 1)},
	},
};

/* The same in registers; the digits of up to 8 also by themselves. */
struct tables {
	uint8x16x4_t by_seven;
	int8x16x2_t digit[3];
	int8x16_t high_digit[2];
};

static ALWAYS_INLINE struct tables load_tables(void)
{
	const struct t5_tables *from = &t5_tables;

	__asm__("" : "+r"(from)); /* or gcc 12 sees constants, and loads each anew where it is used */
	return (struct tables){vld1q_u8_x4(from->by_seven),
	                       {vld1q_s8_x2(from->digit[0]), vld1q_s8_x2(from->digit[1]), vld1q_s8_x2(from->digit[2])},
	                       {vld1q_s8(from->digit[0]), vld1q_s8(from->digit[1])}};
}

static ALWAYS_INLINE struct place place(const enum trit_layout layout, const struct tables *tables,
                                        const unsigned char *w)
{
	struct place p = {vld1q_u8(w), vdupq_n_u8(0), vdupq_n_u8(0)};

	if (layout == TRIT_T5) { /* 28 is a multiple of 4: byte / 28 is (byte >> 2) / 7 */
		p.b = vqtbl4q_u8(tables->by_seven, vshrq_n_u8(p.a, 2));
		p.a = vmlsq_u8(p.a, p.b, vdupq_n_u8(28));
	}
	if (layout == TRIT_I6) {
		p.b = vld1q_u8(w + 64);
		p.c = vld1q_u8(w + 128);
	}
	return p;
}

static ALWAYS_INLINE uint8x16_t field_t2(const struct place *p, int d)
{
	const uint8x16_t code = vdupq_n_u8(3);

	switch (d) {
	case 0: return vandq_u8(p->a, code);
	case 1: return vandq_u8(vshrq_n_u8(p->a, 2), code);
	case 2: return vandq_u8(vshrq_n_u8(p->a, 4), code);
	default: return vshrq_n_u8(p->a, 6);
	}
}

static ALWAYS_INLINE int8x16_t field_t5(const struct tables *tables, const struct place *p, int d)
{
	if (d >= 3)
		return vqtbl1q_s8(tables->high_digit[d - 3], p->b);
	return vqtbl2q_s8(tables->digit[d], p->a);
}

/* The low nibble from a or b, above it two bits of c: vsli and vsri put a shifted register below or above bits that
 * stay. */
static ALWAYS_INLINE uint8x16_t field_i6(const struct place *p, int d)
{
	const uint8x16_t code = vdupq_n_u8(63);

	switch (d) {
	case 0: return vandq_u8(vsliq_n_u8(p->a, p->c, 4), code);
	case 1: return vandq_u8(vsriq_n_u8(vshlq_n_u8(p->c, 2), p->a, 4), code);
	case 2: return vandq_u8(vbslq_u8(vdupq_n_u8(15), p->b, p->c), code);
	default: return vsriq_n_u8(vshrq_n_u8(p->c, 2), p->b, 4);
	}
}

static ALWAYS_INLINE int8x16_t field(const enum trit_layout layout, const struct tables *tables,
                                      const struct place *p, int d)
{
	switch (layout) {
	case TRIT_T2: return vreinterpretq_s8_u8(field_t2(p, d));
	case TRIT_T5: return field_t5(tables, p, d);
	case TRIT_B1: return vreinterpretq_s8_u8(vtstq_u8(p->a, vdupq_n_u8((uint8_t)(1 << d)))); /* -1 where the bit is */
	case TRIT_I6: return vreinterpretq_s8_u8(field_i6(p, d));
	case TRIT_I4:
		return vreinterpretq_s8_u8(d == 0 ? vandq_u8(p->a, vdupq_n_u8(15)) : vshrq_n_u8(p->a, 4));
	default: return vreinterpretq_s8_u8(p->a);
	}
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

/* sums[t] [16 rows] = sum of fields times activations of token t, over `groups` groups. Fields are at most `max`. All
 * arrays have constant sizes after inlining and live in registers. */
static ALWAYS_INLINE void sum_groups(const enum trit_layout layout, int32x4_t (*sums)[4], const unsigned char *w,
                                     const int8_t *q, size_t ldq, int groups, int max, const int tokens)
{
	const int fields = forms[layout].fields, at_once = quad_steps(max) / fields;
	const struct tables tables = load_tables();
	struct quad s[TILE][4];

#pragma GCC unroll 4
	for (int t = 0; t < tokens; t++)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			s[t][i] = quad_zero();
	while (groups > 0) {
		int n = groups < at_once ? groups : at_once;
		groups -= n;
		for (; n > 0; n--, w += 64 * vectors(layout), q += 4 * fields) {
			struct place p[4];
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				p[i] = place(layout, &tables, w + 16 * i);
#pragma GCC unroll 8
			for (int d = 0; d < fields; d++) {
				activations x[TILE];
#pragma GCC unroll 4
				for (int t = 0; t < tokens; t++)
					x[t] = load_four(q + (size_t)t * ldq + 4 * d);
#pragma GCC unroll 4
				for (int i = 0; i < 4; i++) {
					int8x16_t f = field(layout, &tables, &p[i], d);
#pragma GCC unroll 4
					for (int t = 0; t < tokens; t++)
						quad_add(&s[t][i], f, x[t]);
				}
				if (tokens > 1) /* or gcc 12 takes all fields first, and runs out of registers */
					__asm__ volatile("");
			}
		}
#pragma GCC unroll 4
		for (int t = 0; t < tokens; t++)
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				quad_widen(&s[t][i]);
	}
#pragma GCC unroll 4
	for (int t = 0; t < tokens; t++)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			sums[t][i] = quad_sum(&s[t][i]);
}

/* w: groups of the layout; n of them. */
typedef void sums_fn(int32x4_t (*sums)[4], const unsigned char *w, const int8_t *q, size_t ldq, int n, int max);

/* A function for each number of tokens: its sums live in registers. */
#define SUMS_OF(name, layout, tokens)                                                                                  \
	static void name##_##tokens(int32x4_t (*sums)[4], const unsigned char *w, const int8_t *q, size_t ldq, int n,  \
	                            int max)                                                                           \
	{                                                                                                              \
		sum_groups(layout, sums, w, q, ldq, n, max, tokens);                                                   \
	}
#if TILE == 4
#define SUMS_UP_TO_TILE(name, layout)                                                                                  \
	SUMS_OF(name, layout, 1)                                                                                       \
	SUMS_OF(name, layout, 2)                                                                                       \
	SUMS_OF(name, layout, 3)                                                                                       \
	SUMS_OF(name, layout, 4)
#define UP_TO_TILE(name) {name##_1, name##_2, name##_3, name##_4}
#else
#define SUMS_UP_TO_TILE(name, layout)                                                                                  \
	SUMS_OF(name, layout, 1)                                                                                       \
	SUMS_OF(name, layout, 2)
#define UP_TO_TILE(name) {name##_1, name##_2}
#endif
SUMS_UP_TO_TILE(t2, TRIT_T2)
SUMS_UP_TO_TILE(t5, TRIT_T5)
SUMS_UP_TO_TILE(b1, TRIT_B1)
SUMS_UP_TO_TILE(i8, TRIT_I8)
SUMS_UP_TO_TILE(i6, TRIT_I6)
SUMS_UP_TO_TILE(i4, TRIT_I4)
static sums_fn *const field_sums[TRIT_N_LAYOUTS][TILE] = {UP_TO_TILE(t2), UP_TO_TILE(t5), UP_TO_TILE(b1),
                                                          UP_TO_TILE(i8), UP_TO_TILE(i6), UP_TO_TILE(i4)};

/* ---- the two ways ------------------------------------------------------------------------------------------------ */

/* A product with 16 rows, fewer of which may exist. */
struct product {
	enum trit_layout layout;
	enum trit_scaling scaling;
	float *y; /* [tokens, ldy], at the first row */
	size_t ldy;
	const unsigned char *w;
	const float *scale;
	const int8_t *q;
	size_t ldq;
	const int32_t *sum;
	const float *step;
	int rows, tokens, cols;
};

static void store_rows(const struct product *p, int token, const float32x4_t *values)
{
	float all[TRIT_BLOCK_ROWS];

	for (int i = 0; i < 4; i++)
		vst1q_f32(all + 4 * i, values[i]);
	memcpy(p->y + (size_t)token * p->ldy, all, (size_t)p->rows * sizeof *all);
}

/* Exact sums of a token, its scale for the tensor or the rows. */
static void store_sums(const struct product *p, int token, const int32x4_t *sums)
{
	float32x4_t values[4];

	for (int i = 0; i < 4; i++) {
		float32x4_t scale = p->scaling == TRIT_SCALE_ROW ? vld1q_f32(p->scale + 4 * i) : vdupq_n_f32(*p->scale);
		values[i] = vmulq_f32(vcvtq_f32_s32(sums[i]), vmulq_n_f32(scale, p->step[token]));
	}
	store_rows(p, token, values);
}

static void few_tokens(const struct product *p)
{
	int32x4_t sums[TILE][4];
	int fields = forms[p->layout].fields, groups = (p->cols + 4 * fields - 1) / (4 * fields);

	field_sums[p->layout][p->tokens - 1](sums, p->w, p->q, p->ldq, groups, forms[p->layout].max);
	for (int t = 0; t < p->tokens; t++) {
		int32x4_t offset = vdupq_n_s32(forms[p->layout].offset * p->sum[t]);
		for (int i = 0; i < 4; i++)
			sums[t][i] = vmlaq_n_s32(offset, sums[t][i], forms[p->layout].factor);
		store_sums(p, t, sums[t]);
	}
}

enum {
	CHUNK = 640,                           /* columns: whole groups of every layout and of scales */
	PANEL = CHUNK * TRIT_BLOCK_ROWS,       /* bytes */
	B_ROW = 4 * TRIT_BLOCK_ROWS,           /* bytes */
	SLICE = 96,                            /* tokens that one decoding serves */
};

static ALWAYS_INLINE void decode_groups(const enum trit_layout layout, int8_t *panel, const unsigned char *w,
                                        int groups)
{
	const int fields = forms[layout].fields;
	const struct tables tables = load_tables();
	const int8x16_t factor = vdupq_n_s8((int8_t)forms[layout].factor);
	const int8x16_t offset = vdupq_n_s8((int8_t)forms[layout].offset);

	for (; groups > 0; groups--, w += 64 * vectors(layout), panel += fields * B_ROW)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			struct place p = place(layout, &tables, w + 16 * i);
#pragma GCC unroll 8
			for (int d = 0; d < fields; d++)
				vst1q_s8(panel + d * B_ROW + 16 * i, vmlaq_s8(offset, field(layout, &tables, &p, d), factor));
		}
}

/* B rows of so many columns; returns where the weights go on. */
static const unsigned char *decode_panel(enum trit_layout layout, int8_t *panel, const unsigned char *w, int cols)
{
	int width = 4 * forms[layout].fields, groups = (cols + width - 1) / width;

	switch (layout) {
	case TRIT_T2: decode_groups(TRIT_T2, panel, w, groups); break;
	case TRIT_T5: decode_groups(TRIT_T5, panel, w, groups); break;
	case TRIT_B1: decode_groups(TRIT_B1, panel, w, groups); break;
	case TRIT_I6: decode_groups(TRIT_I6, panel, w, groups); break;
	case TRIT_I4: decode_groups(TRIT_I4, panel, w, groups); break;
	default: memcpy(panel, w, (size_t)groups * B_ROW);
	}
	return w + (size_t)groups * 64 * (size_t)vectors(layout);
}

#ifndef PANEL_TILE
#define PANEL_TILE TILE
static sums_fn *const *const panel_sums = field_sums[TRIT_I8]; /* which are B rows themselves */
static ALWAYS_INLINE void arrange_panel(int8_t *panel, int n)
{
	(void)panel;
	(void)n;
}
#endif

/* One panel: totals [tokens] of exact sums, or of chains of floats when scales belong to groups. */
static void add_panel(int32x4_t (*total)[4], const struct product *p, const int8_t *panel, const float *scale,
                      int first, int cols)
{
	bool grouped = p->scaling > TRIT_SCALE_ROW;
	int width = grouped ? (int)p->scaling : cols;

	for (int t = 0, n; t < p->tokens; t += n) {
		const int8_t *q = p->q + (size_t)t * p->ldq + first;
		n = p->tokens - t < PANEL_TILE ? p->tokens - t : PANEL_TILE;
		for (int c = 0; c < cols; c += width) {
			const float *s = scale + c / width * TRIT_BLOCK_ROWS;
			int left = cols - c < width ? cols - c : width;
			int32x4_t sums[PANEL_TILE][4];
			panel_sums[n - 1](sums, (const unsigned char *)panel + c / 4 * B_ROW, q + c, p->ldq, (left + 3) / 4,
			                  forms[p->layout].max_weight);
			for (int j = 0; j < n; j++)
				for (int i = 0; i < 4; i++) {
					float32x4_t chain = vreinterpretq_f32_s32(total[t + j][i]);
					if (grouped) {
						chain = vfmaq_f32(chain, vcvtq_f32_s32(sums[j][i]), vld1q_f32(s + 4 * i));
						total[t + j][i] = vreinterpretq_s32_f32(chain);
					} else {
						total[t + j][i] = vaddq_s32(total[t + j][i], sums[j][i]);
					}
				}
		}
	}
}

/* At most SLICE tokens. */
static void many_tokens(const struct product *p)
{
	int8_t panel[PANEL + B_ROW] __attribute__((aligned(64))); /* arranging may need one more */
	int32x4_t total[SLICE][4];
	const unsigned char *w = p->w;
	const float *scale = p->scale;

	memset(total, 0, (size_t)p->tokens * sizeof *total);
	for (int c = 0; c < p->cols; c += CHUNK) {
		int cols = p->cols - c < CHUNK ? p->cols - c : CHUNK;
		w = decode_panel(p->layout, panel, w, cols);
		arrange_panel(panel, (cols + 3) / 4);
		add_panel(total, p, panel, scale, c, cols);
		if (p->scaling > TRIT_SCALE_ROW)
			scale += CHUNK / (int)p->scaling * TRIT_BLOCK_ROWS;
	}
	for (int t = 0; t < p->tokens; t++)
		if (p->scaling > TRIT_SCALE_ROW) {
			float32x4_t values[4];
			for (int i = 0; i < 4; i++)
				values[i] = vmulq_n_f32(vreinterpretq_f32_s32(total[t][i]), p->step[t]);
			store_rows(p, t, values);
		} else {
			store_sums(p, t, total[t]);
		}
}

static void gemm_int(enum trit_layout layout, const struct trit_gemm_int *g)
{
	size_t block_bytes = trit_layout_bytes(layout, TRIT_BLOCK_ROWS, (size_t)g->cols);
	const unsigned char *w = g->w;

	for (int r = 0; r < g->rows; r += TRIT_BLOCK_ROWS, w += block_bytes) {
		int valid = g->rows - r < TRIT_BLOCK_ROWS ? g->rows - r : TRIT_BLOCK_ROWS;
		const float *scale = g->scale + trit_scale_at(g->scaling, (size_t)r, (size_t)g->cols);
		for (int t = 0, n; t < g->tokens; t += n) {
			n = g->tokens - t < SLICE ? g->tokens - t : SLICE;
			struct product p = {.layout = layout, .scaling = g->scaling, .y = g->y + (size_t)t * g->ldy + r,
			                    .ldy = g->ldy, .w = w, .scale = scale, .q = g->q + (size_t)t * g->ldq,
			                    .ldq = g->ldq, .sum = g->sum + t, .step = g->step + t, .rows = valid,
			                    .tokens = n, .cols = g->cols};
			if (g->scaling <= TRIT_SCALE_ROW && g->tokens <= TILE)
				few_tokens(&p);
			else
				many_tokens(&p);
		}
	}
}

#define GEMM_INT(name, layout)                                                                                         \
	static void gemm_##name(const struct trit_gemm_int *g)                                                         \
	{                                                                                                              \
		gemm_int(layout, g);                                                                                   \
	}
GEMM_INT(t2, TRIT_T2)
GEMM_INT(t5, TRIT_T5)
GEMM_INT(b1, TRIT_B1)
GEMM_INT(i8, TRIT_I8)
GEMM_INT(i6, TRIT_I6)
GEMM_INT(i4, TRIT_I4)

/* The additions of a whole tile again and again; the compiler must not know that w stays the same. */
static double int8_peak(int rounds)
{
	enum { STEPS = 1000 };
	struct quad s[TILE][4];
	int8x16_t w = vdupq_n_s8(1);
	activations x = load_four((const int8_t[]){1, 1, 1, 1});

	for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 16
		for (int i = 0; i < 4 * TILE; i++)
			s[i / 4][i % 4] = quad_zero();
		for (int step = 0; step < STEPS; step++) {
			__asm__("" : "+w"(w));
#pragma GCC unroll 16
			for (int i = 0; i < 4 * TILE; i++)
				quad_add(&s[i / 4][i % 4], w, x);
		}
		__asm__ volatile("" : : "m"(s)); /* the sums are used */
	}
	return 2.0 * rounds * STEPS * (4 * TILE) * 16;
}

static void products_init(struct trit_kernels *k)
{
	k->int8_peak = int8_peak;
	k->gemm_int[TRIT_T2] = gemm_t2;
	k->gemm_int[TRIT_T5] = gemm_t5;
	k->gemm_int[TRIT_B1] = gemm_b1;
	k->gemm_int[TRIT_I8] = gemm_i8;
	k->gemm_int[TRIT_I6] = gemm_i6;
	k->gemm_int[TRIT_I4] = gemm_i4;
}
