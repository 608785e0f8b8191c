/*
 * ternary_amx.c - integer products with AMX int8 tiles.
 *
 * A tile is 16 rows of 64 bytes. One TDPBSSD multiplies a tile A, 16 tokens x 64 columns, with a tile B, 64 columns x
 * 16 weight rows, and adds to a tile C, 16 tokens x 16 rows of 32-bit sums, in 16 cycles. Activations are such A tiles
 * as they lie there; decoded weights are B tiles (layout.h: B rows), all layouts becoming signed bytes.
 *
 * A step is 64 columns of a pair of 16-row blocks and up to 32 tokens: two tiles of each, four products into four
 * tiles C that stay. The columns are cut into runs of ten steps (640 columns: whole groups of every layout and of
 * scales). The decoded weights of one run, 20 KB, meet all tokens in the first-level cache; activations are loaded from
 * where they are; C stays in its tiles while there is one pair of token tiles, else it rests in scratch between runs.
 *
 * The tile unit works on its own while vector instructions run, if only both find work in the 512 instructions the core
 * looks ahead. So decoding has no phase of its own: in the last sweep over a run, each step decodes what comes next
 * into the place of the two tiles that were just loaded for the last time. Results are scaled and written behind the
 * tile work of the sweep that follows.
 *
 * Why these sizes: a step has 64 cycles for 64 lines of tiles. A line costs 0.5 cycles to load from the first-level
 * cache, 1.3 from the second; to write it, 1 and 4. All tiles from the second level: 83 cycles. B from the first, and
 * C (64 lines, read and written) from the second once in ten steps: 42 + 26. Decoding a panel of several pairs at once,
 * packing activations, or longer runs put more writes, or B too, into the second level.
 *
 * Addresses: a tile takes a quarter of the 64 sets of the first-level cache, and the two tiles B of a step lie in
 * different ones (2 KB apart, modulo 4 KB). A load also waits for an earlier store that agrees with it in the low
 * twelve bits; so what is decoded goes where the load that agrees has just been, and the next is far.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernel/x86/init.h"
#include "kernel/x86/int_avx512.h"
#include "kernel/x86/tile.h"

static trit_peak_fn trit_int8_peak_amx;
static trit_gemm_int_fn trit_gemm_t2_amx, trit_gemm_t5_amx, trit_gemm_b1_amx, trit_gemm_i8_amx, trit_gemm_i6_amx,
    trit_gemm_i4_amx;

enum {
	STEP_COLS = 64,
	RUN_STEPS = 10,
	RUN_COLS = RUN_STEPS * STEP_COLS,
	RUN_BYTES = RUN_STEPS * TRIT_TILE_BYTES, /* of one block's tiles; 2 KB more than whole pages */
	PAIR_ROWS = 2 * TRIT_BLOCK_ROWS,
	PAIR_TOKENS = 32,
	CHUNK_TOKENS = 512,
	MIN_TOKENS = 4, /* below, a tile has too few rows, and AVX-512 is faster */
};

/* The four tiles C: [tokens 0..15 | 16..31][first block | second][token][row]. */
struct sums {
	_Alignas(TRIT_TILE_BYTES) int32_t tile[2][2][16][TRIT_BLOCK_ROWS];
};

/* On the stack, 88 KB of it, because a kernel allocates nothing. */
struct scratch {
	_Alignas(4096) int8_t b[2][RUN_BYTES]; /* decoded blocks of a pair */
	struct sums group;                     /* of a group of columns that has scales of its own */
	struct sums rest[CHUNK_TOKENS / PAIR_TOKENS]; /* C between runs; with scales of groups the chains, as floats */
};

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/*
 * Everything is decoded by vpermb, which looks at the low six bits of its index: one look-up instead of shift, mask and
 * subtraction. Table entry i is what the layout means by six bits of value i; fields above those are shifted down.
 */
#define FOUR(f, i) (uint8_t)(f(i)), (uint8_t)(f(i + 1)), (uint8_t)(f(i + 2)), (uint8_t)(f(i + 3))
#define SIXTEEN(f, i) FOUR(f, i), FOUR(f, (i + 4)), FOUR(f, (i + 8)), FOUR(f, (i + 12))
#define TABLE(f) {SIXTEEN(f, 0), SIXTEEN(f, 16), SIXTEEN(f, 32), SIXTEEN(f, 48)}
#define T2_0(i) ((i) & 3) - 1
#define T2_1(i) ((i) >> 2 & 3) - 1
#define T2_2(i) ((i) >> 4) - 1
/* The codes of int_avx512.h's tables, less 1. */
#define T5_0(i) T5_CODE_0(i) - 1
#define T5_1(i) T5_CODE_1(i) - 1
#define T5_2(i) T5_CODE_2(i) - 1
#define T5_3(i) T5_CODE_3(i) - 1
#define T5_4(i) T5_CODE_4(i) - 1
#define B1_0(i) 2 * ((i) & 1) - 1
#define B1_1(i) 2 * ((i) >> 1 & 1) - 1
#define B1_2(i) 2 * ((i) >> 2 & 1) - 1
#define B1_3(i) 2 * ((i) >> 3 & 1) - 1
#define B1_4(i) 2 * ((i) >> 4 & 1) - 1
#define B1_5(i) 2 * ((i) >> 5) - 1
#define I6(i) (i) - 32
#define I4(i) ((i) & 15) - 8

enum { MAX_TABLES = 6 };

static const _Alignas(64) uint8_t tables[TRIT_N_LAYOUTS][MAX_TABLES][64] = {
	[TRIT_T2] = {TABLE(T2_0), TABLE(T2_1), TABLE(T2_2)},
	[TRIT_T5] = {TABLE(T5_HIGH), TABLE(T5_0), TABLE(T5_1), TABLE(T5_2), TABLE(T5_3), TABLE(T5_4)},
	[TRIT_B1] = {TABLE(B1_0), TABLE(B1_1), TABLE(B1_2), TABLE(B1_3), TABLE(B1_4), TABLE(B1_5)},
	[TRIT_I6] = {TABLE(I6)},
	[TRIT_I4] = {TABLE(I4)},
};

/* A layout's tables in registers. */
struct look_up {
	__m512i t0, t1, t2, t3, t4, t5;
};

static ALWAYS_INLINE struct look_up look_up_of(const enum trit_layout layout)
{
	const uint8_t(*t)[64] = tables[layout];
	return (struct look_up){_mm512_load_si512(t[0]), _mm512_load_si512(t[1]), _mm512_load_si512(t[2]),
	                        _mm512_load_si512(t[3]), _mm512_load_si512(t[4]), _mm512_load_si512(t[5])};
}

static ALWAYS_INLINE void look_up(int8_t *b, int row, __m512i table, __m512i index)
{
	_mm512_store_si512(b + 64 * row, _mm512_permutexvar_epi8(index, table));
}

/* One group, the layout a constant after inlining. */
static ALWAYS_INLINE void decode_group(const enum trit_layout layout, const struct look_up *t, int8_t *b,
                                       const unsigned char *w)
{
	__m512i v = _mm512_loadu_si512(w), u;

	switch (layout) {
	case TRIT_T2:
		look_up(b, 0, t->t0, v);
		look_up(b, 1, t->t1, v);
		look_up(b, 2, t->t2, v);
		look_up(b, 3, t->t2, _mm512_srli_epi16(v, 2));
		break;
	case TRIT_T5:
		u = _mm512_srli_epi16(v, 2);
		v = _mm512_sub_epi8(v, _mm512_permutexvar_epi8(u, t->t0));
		look_up(b, 0, t->t1, v);
		look_up(b, 1, t->t2, v);
		look_up(b, 2, t->t3, v);
		look_up(b, 3, t->t4, u);
		look_up(b, 4, t->t5, u);
		break;
	case TRIT_B1:
		u = _mm512_srli_epi16(v, 2);
		look_up(b, 0, t->t0, v);
		look_up(b, 1, t->t1, v);
		look_up(b, 2, t->t2, v);
		look_up(b, 3, t->t3, v);
		look_up(b, 4, t->t4, v);
		look_up(b, 5, t->t5, v);
		look_up(b, 6, t->t4, u);
		look_up(b, 7, t->t5, u);
		break;
	case TRIT_I6:
		u = _mm512_loadu_si512(w + 128);
		look_up(b, 0, t->t0, i6_code(v, _mm512_slli_epi16(u, 4)));
		look_up(b, 1, t->t0, i6_code(_mm512_srli_epi16(v, 4), _mm512_slli_epi16(u, 2)));
		v = _mm512_loadu_si512(w + 64);
		look_up(b, 2, t->t0, i6_code(v, u));
		look_up(b, 3, t->t0, i6_code(_mm512_srli_epi16(v, 4), _mm512_srli_epi16(u, 2)));
		break;
	case TRIT_I4:
		look_up(b, 0, t->t0, v);
		look_up(b, 1, t->t0, _mm512_srli_epi16(v, 4));
		break;
	default:
		_mm512_store_si512(b, v);
	}
}

/* ---- a sweep: one pair of blocks, one pair of token tiles, one run of columns ------------------------------------ */

struct sweep {
	int steps;
	const int8_t *q[2]; /* activations of tokens 0..15 and 16..31: tile k at q[i] + k * STEP_COLS, rows ldq apart */
	size_t ldq;
	bool two;     /* there are more than 16 tokens */
	bool odd;     /* else: odd steps add to the tiles C of the second tokens, for more independent sums */
	int8_t *b[2]; /* of the two blocks: tile k at b[i] + k * TRIT_TILE_BYTES */

	/* What is to take the place of b: groups of two blocks; `groups` 0: nothing. */
	const unsigned char *w[2];
	int groups, decoded;
	size_t ahead; /* from a group to the one that is asked into the second-level cache when this one is decoded */
};

/* Groups up to `end` of what comes next. */
static ALWAYS_INLINE void decode_up_to(const enum trit_layout layout, const struct look_up *t, struct sweep *s,
                                       int end)
{
	const size_t bytes = (size_t)unit_bytes(layout), row_bytes = (size_t)unit_fields(layout) * 64;
	const unsigned char *w0 = s->w[0], *w1 = s->w[1];
	int8_t *b0 = s->b[0], *b1 = s->b[1];
	size_t ahead = s->ahead, g = (size_t)s->decoded;

	for (; g < (size_t)end; g++) {
		for (size_t i = g * bytes; i < (g + 1) * bytes; i += 64) {
			_mm_prefetch((const char *)w0 + ahead + i, _MM_HINT_T1);
			_mm_prefetch((const char *)w1 + ahead + i, _MM_HINT_T1);
		}
		decode_group(layout, t, b0 + g * row_bytes, w0 + g * bytes);
		decode_group(layout, t, b1 + g * row_bytes, w1 + g * bytes);
	}
	s->decoded = (int)g;
}

/*
 * Tiles: 0, 1: C of tokens 0..15 and the first, the second block; 2, 3: of tokens 16..31; 4, 5: A; 6, 7: B. For full
 * speed the unit wants four products that do not wait for each other: one takes 52 cycles, and can start every 16.
 */
static ALWAYS_INLINE void step_of_two(const struct sweep *s, size_t k)
{
	TRIT_TILE_LOAD(4, s->q[0] + k * STEP_COLS, s->ldq);
	TRIT_TILE_LOAD(6, s->b[0] + k * TRIT_TILE_BYTES, 64);
	TRIT_TILE_DOT(0, 4, 6);
	TRIT_TILE_LOAD(7, s->b[1] + k * TRIT_TILE_BYTES, 64);
	TRIT_TILE_DOT(1, 4, 7);
	TRIT_TILE_LOAD(5, s->q[1] + k * STEP_COLS, s->ldq);
	TRIT_TILE_DOT(2, 5, 6);
	TRIT_TILE_DOT(3, 5, 7);
}

static ALWAYS_INLINE void step_of_one(const struct sweep *s, size_t k)
{
	TRIT_TILE_LOAD(6, s->b[0] + k * TRIT_TILE_BYTES, 64);
	TRIT_TILE_LOAD(7, s->b[1] + k * TRIT_TILE_BYTES, 64);
	if (s->odd && k % 2) {
		TRIT_TILE_LOAD(5, s->q[0] + k * STEP_COLS, s->ldq);
		TRIT_TILE_DOT(2, 5, 6);
		TRIT_TILE_DOT(3, 5, 7);
	} else {
		TRIT_TILE_LOAD(4, s->q[0] + k * STEP_COLS, s->ldq);
		TRIT_TILE_DOT(0, 4, 6);
		TRIT_TILE_DOT(1, 4, 7);
	}
}

/*
 * Steps k to end. A group is decoded when all the tiles it writes to have been loaded: with step k, rows up to 16 k +
 * 15 are free. After the last step everything is, and what is left is done.
 */
static ALWAYS_INLINE void sweep(const enum trit_layout layout, struct sweep *s, int k, int end)
{
	const struct look_up t = look_up_of(layout);
	const int rows = unit_fields(layout);

	for (; k < end; k++) {
		int free_groups = 16 * (k + 1) / rows;
		if (s->two)
			step_of_two(s, (size_t)k);
		else
			step_of_one(s, (size_t)k);
		decode_up_to(layout, &t, s, free_groups < s->groups ? free_groups : s->groups);
	}
	if (end == s->steps)
		decode_up_to(layout, &t, s, s->groups);
}

typedef void sweep_fn(struct sweep *s, int k, int end);
#define SWEEP(layout)                                                                                                  \
	static __attribute__((noinline)) void sweep_##layout(struct sweep *s, int k, int end)                            \
	{                                                                                                              \
		sweep(TRIT_##layout, s, k, end);                                                                       \
	}
SWEEP(T2)
SWEEP(T5)
SWEEP(B1)
SWEEP(I8)
SWEEP(I6)
SWEEP(I4)
static sweep_fn *const sweeps[TRIT_N_LAYOUTS] = {
	[TRIT_T2] = sweep_T2, [TRIT_T5] = sweep_T5, [TRIT_B1] = sweep_B1,
	[TRIT_I8] = sweep_I8, [TRIT_I6] = sweep_I6, [TRIT_I4] = sweep_I4,
};

/* ---- tiles C ----------------------------------------------------------------------------------------------------- */

static void zero_sums(void)
{
	TRIT_TILE_ZERO(0);
	TRIT_TILE_ZERO(1);
	TRIT_TILE_ZERO(2);
	TRIT_TILE_ZERO(3);
}

static void load_sums(const struct sums *c)
{
	TRIT_TILE_LOAD(0, c->tile[0][0], 64);
	TRIT_TILE_LOAD(1, c->tile[0][1], 64);
	TRIT_TILE_LOAD(2, c->tile[1][0], 64);
	TRIT_TILE_LOAD(3, c->tile[1][1], 64);
}

static void store_sums(struct sums *c, bool second)
{
	TRIT_TILE_STORE(0, c->tile[0][0], 64);
	TRIT_TILE_STORE(1, c->tile[0][1], 64);
	if (second) {
		TRIT_TILE_STORE(2, c->tile[1][0], 64);
		TRIT_TILE_STORE(3, c->tile[1][1], 64);
	}
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

struct product {
	enum trit_layout layout;
	float *y;
	size_t ldy;
	const unsigned char *w;
	const float *scale;
	enum trit_scaling scaling;
	const int8_t *q;
	size_t ldq;
	const float *step;
	int rows, tokens, cols;

	size_t block_bytes;
	int chunk; /* tokens that go through all weights together */
};

static ALWAYS_INLINE int min_of(int a, int b)
{
	return a < b ? a : b;
}

/* A run of columns of a pair of blocks, for a chunk of tokens. The work is to go through all of them. */
struct place {
	int token, row, col;
};

static bool advance(const struct product *p, struct place *at)
{
	if ((at->col += RUN_COLS) < p->cols)
		return true;
	at->col = 0;
	if ((at->row += PAIR_ROWS) < p->rows)
		return true;
	at->row = 0;
	return (at->token += p->chunk) < p->tokens;
}

/* Lets the sweep decode the weights of a place. */
static void decode_next(struct sweep *s, const struct product *p, const struct place *next)
{
	const struct trit_layout_info *info = &trit_layouts[p->layout];

	s->w[0] = p->w + (size_t)(next->row / TRIT_BLOCK_ROWS) * p->block_bytes;
	s->w[0] += next->col / info->cols * info->bytes;
	/* without a second block the first takes its place, and nobody looks at the results */
	s->w[1] = s->w[0] + (next->row + TRIT_BLOCK_ROWS < p->rows ? p->block_bytes : 0);
	s->groups = (min_of(p->cols - next->col, RUN_COLS) + info->cols - 1) / info->cols;
	s->ahead = 2 * p->block_bytes; /* the same in the next pair */
}

/* A pair of blocks, a pair of token tiles: results that are complete but for scaling. */
struct result {
	const struct sums *sums; /* NULL: none */
	int row, token, n_tokens;
	bool odd; /* tiles of the second tokens hold more of the first's sums */
};

static ALWAYS_INLINE __mmask16 valid_rows(const struct product *p, int row)
{
	int left = p->rows - row;
	return left > 0 ? lanes(left) : 0;
}

static void write_result(const struct product *p, struct result *r)
{
	for (int b = 0; r->sums && b < 2; b++) {
		int row = r->row + b * TRIT_BLOCK_ROWS;
		__mmask16 valid = valid_rows(p, row);
		float *y = p->y + (size_t)r->token * p->ldy + row;
		const float *step = p->step + r->token;
		__m512 scale = _mm512_set1_ps(p->scale[0]);
		if (!valid)
			break;
		if (p->scaling == TRIT_SCALE_ROW)
			scale = _mm512_loadu_ps(p->scale + row);
		for (int t = 0; t < r->n_tokens; t++, y += p->ldy) {
			__m512i sum = _mm512_load_si512(r->sums->tile[t / 16][b][t % 16]);
			__m512 s = _mm512_set1_ps(step[t]);
			if (p->scaling > TRIT_SCALE_ROW) {
				_mm512_mask_storeu_ps(y, valid, _mm512_mul_ps(_mm512_castsi512_ps(sum), s));
				continue;
			}
			if (r->odd)
				sum = _mm512_add_epi32(sum, _mm512_load_si512(r->sums->tile[1][b][t]));
			_mm512_mask_storeu_ps(y, valid, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, s)));
		}
	}
	r->sums = NULL;
}

/* Adds the sums of one group of columns, from `col`, to the chains. */
static void add_group(struct sums *chains, const struct sums *group, const struct product *p, int row, int col,
                      int tokens)
{
	for (int b = 0; b < 2 && row < p->rows; b++, row += TRIT_BLOCK_ROWS) {
		size_t at = trit_scale_at(p->scaling, (size_t)row, (size_t)p->cols);
		__m512 scale = _mm512_loadu_ps(p->scale + at + (size_t)(col / (int)p->scaling * TRIT_BLOCK_ROWS));
		for (int t = 0; t < tokens; t++) {
			void *chain = chains->tile[t / 16][b][t % 16];
			__m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(group->tile[t / 16][b][t % 16]));
			_mm512_store_ps(chain, _mm512_fmadd_ps(sum, scale, _mm512_load_ps(chain)));
		}
	}
}

/* A sweep with one scale for all columns. `loaded`, `stay`: C is in its tiles before, or may be left there. */
static void sweep_columns(const struct product *p, struct sweep *s, struct sums *c, const struct place *at, bool loaded,
                          bool stay, struct result *done)
{
	if (at->col == 0)
		zero_sums();
	else if (!loaded)
		load_sums(c);
	sweeps[p->layout](s, 0, s->steps);
	write_result(p, done);
	if (!stay)
		store_sums(c, true);
}

/* A sweep with a scale for each group of columns. */
static void sweep_groups(const struct product *p, struct sweep *s, struct sums *c, struct sums *group,
                         const struct place *at, int tokens, struct result *done)
{
	int n = (int)p->scaling / STEP_COLS;

	if (at->col == 0) {
		if (done->sums == c)
			write_result(p, done);
		memset(c, 0, sizeof *c);
	}
	for (int k = 0; k < s->steps; k += n) {
		zero_sums();
		sweeps[p->layout](s, k, min_of(k + n, s->steps));
		store_sums(group, s->two);
		add_group(c, group, p, at->row, at->col + k * STEP_COLS, tokens);
	}
	write_result(p, done);
}

/*
 * The products at one place; its decoded weights are replaced by those of `next` (NULL: nothing comes). Every other run
 * goes through the tokens backwards: so the tiles C that a run ends with are those the next begins with.
 */
static void multiply(const struct product *p, struct scratch *scratch, const struct place *at, const struct place *next,
                     struct result *done)
{
	int tokens = min_of(p->tokens - at->token, p->chunk), pairs = (tokens + PAIR_TOKENS - 1) / PAIR_TOKENS;
	bool grouped = p->scaling > TRIT_SCALE_ROW, last = at->col + RUN_COLS >= p->cols;

	for (int i = 0; i < pairs; i++) {
		int pair = at->col / RUN_COLS % 2 ? pairs - 1 - i : i, token = at->token + pair * PAIR_TOKENS;
		int n = min_of(p->tokens - token, PAIR_TOKENS);
		struct sums *c = &scratch->rest[pair];
		struct sweep s = {
			.steps = (min_of(p->cols - at->col, RUN_COLS) + STEP_COLS - 1) / STEP_COLS,
			.ldq = p->ldq,
			.two = n > 16,
			.odd = n <= 16 && !grouped,
			.b = {scratch->b[0], scratch->b[1]},
		};
		if (p->tokens > PAIR_TOKENS && n < PAIR_TOKENS) {
			/* Tiles have 16 tokens each. The last begin earlier, and some tokens' results are written twice. */
			n = s.two ? PAIR_TOKENS : 16;
			token = p->tokens - n;
		}
		s.q[0] = p->q + (size_t)token * p->ldq + at->col;
		s.q[1] = s.q[0] + 16 * p->ldq;
		if (next && i + 1 == pairs)
			decode_next(&s, p, next);
		if (grouped)
			sweep_groups(p, &s, c, &scratch->group, at, n, done);
		else
			sweep_columns(p, &s, c, at, i == 0, i + 1 == pairs && !last, done);
		if (last)
			*done = (struct result){c, at->row, token, n, s.odd};
	}
}

static void multiply_all(const struct product *p)
{
	struct scratch scratch;
	struct place at = {0, 0, 0}, next = at;
	struct result done = {NULL, 0, 0, 0, false};
	struct sweep first = {.b = {scratch.b[0], scratch.b[1]}}; /* no steps, only decoding */
	bool more;

	decode_next(&first, p, &at);
	sweeps[p->layout](&first, 0, 0);
	do {
		more = advance(p, &next);
		multiply(p, &scratch, &at, more ? &next : NULL, &done);
		at = next;
	} while (more);
	write_result(p, &done);
}

/*
 * Shapes: tiles A and C have as many rows as there are tokens, up to 16. Loaded at every call and released at its end:
 * together some 100 cycles, and a thread that computes something else, or sleeps, has no tiles to be saved and none
 * that keep its core from its low-power states.
 */
static void configure(int tokens)
{
	int first = min_of(tokens, 16), second = tokens > 16 ? min_of(tokens - 16, 16) : first;
	struct trit_tile_config config = {.palette = 1};

	for (int i = 0; i < 8; i++) {
		config.row_bytes[i] = 64;
		config.rows[i] = 16;
	}
	config.rows[0] = config.rows[1] = config.rows[4] = (uint8_t)first;
	config.rows[2] = config.rows[3] = config.rows[5] = (uint8_t)second;
	TRIT_TILE_CONFIGURE(&config);
}

static void gemm_int(enum trit_layout layout, const struct trit_gemm_int *g)
{
	const int budget = 1 << 20; /* bytes of activations that are read again and again from the second-level cache */
	int most = budget / g->cols / PAIR_TOKENS * PAIR_TOKENS, pairs = (g->tokens + PAIR_TOKENS - 1) / PAIR_TOKENS;
	struct product p = {.layout = layout, .y = g->y, .ldy = g->ldy, .w = g->w, .scale = g->scale,
	                    .scaling = g->scaling, .q = g->q, .ldq = g->ldq, .step = g->step, .rows = g->rows,
	                    .tokens = g->tokens, .cols = g->cols};

	most = most < 2 * PAIR_TOKENS ? 2 * PAIR_TOKENS : min_of(most, CHUNK_TOKENS);
	int chunks = (g->tokens + most - 1) / most;
	p.chunk = (pairs + chunks - 1) / chunks * PAIR_TOKENS;
	p.block_bytes = trit_layout_bytes(layout, TRIT_BLOCK_ROWS, (size_t)g->cols);
	configure(min_of(g->tokens, PAIR_TOKENS));
	multiply_all(&p);
	TRIT_TILE_RELEASE();
}

#define GEMM_INT(name, layout)                                                                                         \
	static void trit_gemm_##name##_amx(const struct trit_gemm_int *g)                                              \
	{                                                                                                              \
		if (g->tokens < MIN_TOKENS)                                                                            \
			trit_gemm_##name##_avx512(g);                                                                  \
		else                                                                                                   \
			gemm_int(layout, g);                                                                           \
	}
GEMM_INT(t2, TRIT_T2)
GEMM_INT(t5, TRIT_T5)
GEMM_INT(b1, TRIT_B1)
GEMM_INT(i8, TRIT_I8)
GEMM_INT(i6, TRIT_I6)
GEMM_INT(i4, TRIT_I4)

/* ---- limits ------------------------------------------------------------------------------------------------------ */

/* Products only, four sums that do not wait for each other: 32768 operations in 16 cycles. */
static double trit_int8_peak_amx(int rounds)
{
	enum { STEPS = 100 };

	configure(PAIR_TOKENS);
	for (int s = 0; s < rounds * STEPS; s++) {
		TRIT_TILE_DOT(0, 4, 6);
		TRIT_TILE_DOT(1, 4, 7);
		TRIT_TILE_DOT(2, 5, 6);
		TRIT_TILE_DOT(3, 5, 7);
	}
	TRIT_TILE_RELEASE();
	return 4.0 * 2 * 16 * 16 * STEP_COLS * STEPS * rounds;
}

void trit_ternary_init_amx(struct trit_kernels *k)
{
	k->int8_peak = trit_int8_peak_amx;
	k->gemm_int[TRIT_T2] = trit_gemm_t2_amx;
	k->gemm_int[TRIT_T5] = trit_gemm_t5_amx;
	k->gemm_int[TRIT_B1] = trit_gemm_b1_amx;
	k->gemm_int[TRIT_I8] = trit_gemm_i8_amx;
	k->gemm_int[TRIT_I6] = trit_gemm_i6_amx;
	k->gemm_int[TRIT_I4] = trit_gemm_i4_amx;
}
