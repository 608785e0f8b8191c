/*
 * attend_body.h - the attention kernels, written once on vec.h and compiled for each instruction set; included after
 * float_body.h. Contracts are in kernel.h.
 *
 * Both products of attention are the same loop: a tile of sums[rows][32] stays in registers while, step by step, a run
 * of 32 numbers is read, converted and multiplied by a number of each row:
 *
 *     scores     a row is a query,              a step is an element of the head,   the 32 sums are of 32 positions
 *     values     a row is one of probabilities, a step is a position,               the 32 sums are of 32 elements
 *
 * Rows share what is read: the heads that have the same keys and values, and several tokens of a prompt.
 *
 * SPDX-License-Identifier: MIT
 */

/* Rows of a tile, and vectors of each row at once: as many sums as there are registers for. AVX2 has 16 registers for
 * half a vector each, so its tiles do the two halves of the runs one after the other. */
#if defined(VEC_AVX512)
enum { TILE_ROWS = 12, TILE_VECS = 2 };
#elif defined(VEC_C)
enum { TILE_ROWS = 1, TILE_VECS = 2 };
#else
enum { TILE_ROWS = 6, TILE_VECS = 1 };
#endif

/* Without hints memory is read at half its speed: the next runs of a page lie behind the ones in hand. */
enum { AHEAD = 3072 };

VEC_INLINE struct vec load_run(enum trit_kv_type type, const unsigned char *run, int half)
{
	if (type == TRIT_KV_F32)
		return vec_load((const float *)(const void *)run + 16 * half);
	if (type == TRIT_KV_F16)
		return vec_load_f16((const uint16_t *)(const void *)run + 16 * half);
	return vec_load_i4(run, half);
}

/** sum[r][j] += chain over `steps` of x[r][step] * vector half + j of run[step]. type, rows and half are constants. */
VEC_INLINE void add_steps(struct vec sum[TILE_ROWS][TILE_VECS], const float *x, size_t ldx, const unsigned char *run,
                          int steps, enum trit_kv_type type, int rows, int half)
{
	for (int i = 0; i < steps; i++, x++, run += trit_kv_run_bytes(type)) {
		struct vec v[TILE_VECS];

		__builtin_prefetch(run + AHEAD);
#pragma GCC unroll 2
		for (int j = 0; j < TILE_VECS; j++)
			v[j] = load_run(type, run, half + j);
#pragma GCC unroll 12
		for (int r = 0; r < rows; r++) {
			struct vec xr = vec_set1(x[r * ldx]);
#pragma GCC unroll 2
			for (int j = 0; j < TILE_VECS; j++)
				sum[r][j] = vec_fma(xr, v[j], sum[r][j]);
		}
	}
}

/* ---- putting ----------------------------------------------------------------------------------------------------- */

/** The largest of the 32 numbers a, b in magnitude; of two such, the negative one. Not-a-numbers do not count. */
VEC_INLINE float farthest(struct vec a, struct vec b)
{
	float high = vec_max_all(vec_max(b, vec_max(a, vec_zero())));
	float low = -vec_max_all(vec_max(vec_sub(vec_zero(), b), vec_max(vec_sub(vec_zero(), a), vec_zero())));

	return -low >= high ? low : high;
}

/** The scale of x [m], m <= 32, and the 32 integers. */
VEC_INLINE uint16_t quantise_run(signed char *q, const float *x, int m)
{
	struct vec a = vec_load_n(x, m < 16 ? m : 16), b = m > 16 ? vec_load_n(x + 16, m - 16) : vec_zero();
	uint16_t scale = trit_f32_to_f16(farthest(a, b) / -8);
	float d = trit_f16_to_f32(scale);
	struct vec inverse = vec_set1(d != 0 ? 1 / d : 0), high = vec_set1(7), low = vec_set1(-8);

	vec_store_i8(q, vec_max(vec_min(vec_round(vec_mul(a, inverse)), high), low));
	vec_store_i8(q + 16, vec_max(vec_min(vec_round(vec_mul(b, inverse)), high), low));
	return scale;
}

/** Integer i of the run, one of 32. */
VEC_INLINE void put_integer(unsigned char *run, int i, int q)
{
	run[i % 16] = (unsigned char)((run[i % 16] & (i < 16 ? 0xF0 : 0x0F)) | (q + 8) << (i < 16 ? 0 : 4));
}

/** 32 elements, or m: of the key into the runs at `keys`, of the value into the run `value`. */
VEC_INLINE void put_group_f16(unsigned char *keys, unsigned char *value, const float *k, const float *v, int m, int at)
{
	uint16_t half[32];

	for (int j = 0; j < m; j += 16)
		vec_store_f16(half + j, vec_load_n(k + j, m - j < 16 ? m - j : 16));
	for (int e = 0; e < m; e++)
		memcpy(keys + e * 64 + at % 32 * 2, &half[e], 2);
	memset(half, 0, sizeof half);
	for (int j = 0; j < m; j += 16)
		vec_store_f16(half + j, vec_load_n(v + j, m - j < 16 ? m - j : 16));
	memcpy(value, half, sizeof half);
}

/** The same in single precision. */
VEC_INLINE void put_group_f32(unsigned char *keys, unsigned char *value, const float *k, const float *v, int m, int at)
{
	for (int e = 0; e < m; e++)
		memcpy(keys + e * 128 + at % 32 * 4, &k[e], 4);
	memset(value, 0, 128);
	memcpy(value, v, (size_t)m * 4);
}

VEC_INLINE void put(unsigned char *page, const float *key, const float *value, int width, int at,
                    enum trit_kv_type type)
{
	int groups = (int)trit_kv_groups(width), bytes = (int)trit_kv_run_bytes(type);
	unsigned char *keys = page + (size_t)(at / 32) * width * bytes;
	unsigned char *values = page + trit_kv_values_at(type, width) + (size_t)at * bytes;
	uint16_t *key_scales = (uint16_t *)(void *)(page + trit_kv_key_scales_at(type, width)) + at / 32 * groups * 32;
	uint16_t *value_scales = (uint16_t *)(void *)(page + trit_kv_value_scales_at(type, width));

	for (int g = 0; g < groups; g++, keys += 32 * bytes, values += TRIT_KV_PAGE * bytes) {
		int m = width - 32 * g < 32 ? width - 32 * g : 32;
		signed char q[32];

		if (type == TRIT_KV_F32) {
			put_group_f32(keys, values, key + 32 * g, value + 32 * g, m, at);
			continue;
		}
		if (type == TRIT_KV_F16) {
			put_group_f16(keys, values, key + 32 * g, value + 32 * g, m, at);
			continue;
		}
		key_scales[g * 32 + at % 32] = quantise_run(q, key + 32 * g, m);
		for (int e = 0; e < m; e++)
			put_integer(keys + e * bytes, at % 32, q[e]);
		value_scales[g * TRIT_KV_PAGE + at] = quantise_run(q, value + 32 * g, m);
		for (int e = 0; e < 32; e++)
			put_integer(values, e, q[e]);
	}
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/** A tile of scores [rows][32] from a block of keys. d: the block's scales. */
VEC_INLINE void score_tile(float *s, size_t lds, const float *q, size_t ldq, const unsigned char *keys,
                           const uint16_t *d, float scale, int width, enum trit_kv_type type, int rows)
{
	int group = trit_kv_scaled(type) ? 32 : width;

	for (int half = 0; half < 2; half += TILE_VECS)
		for (int e = 0; e < width; e += group) {
			struct vec sum[TILE_ROWS][TILE_VECS], factor[TILE_VECS];

#pragma GCC unroll 12
			for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
				for (int j = 0; j < TILE_VECS; j++)
					sum[r][j] = vec_zero();
			add_steps(sum, q + e, ldq, keys + e * trit_kv_run_bytes(type), width - e < group ? width - e : group,
			          type, rows, half);
#pragma GCC unroll 2
			for (int j = 0; j < TILE_VECS; j++) {
				factor[j] = vec_set1(scale);
				if (trit_kv_scaled(type))
					factor[j] = vec_mul(vec_load_f16(d + e + 16 * (half + j)), factor[j]);
			}
#pragma GCC unroll 12
			for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
				for (int j = 0; j < TILE_VECS; j++) {
					float *at = s + r * lds + 16 * (half + j);
					vec_store(at, vec_fma(sum[r][j], factor[j], e ? vec_load(at) : vec_zero()));
				}
		}
}

/** y [rows][32] += chain over `steps` positions of w[r][step] * run[step]. */
VEC_INLINE void value_tile(float *y, const float *w, size_t ldw, const unsigned char *run, int steps,
                           enum trit_kv_type type, int rows)
{
	for (int half = 0; half < 2; half += TILE_VECS) {
		struct vec sum[TILE_ROWS][TILE_VECS];

#pragma GCC unroll 12
		for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
			for (int j = 0; j < TILE_VECS; j++)
				sum[r][j] = vec_load(y + 32 * r + 16 * (half + j));
		add_steps(sum, w, ldw, run, steps, type, rows, half);
#pragma GCC unroll 12
		for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
			for (int j = 0; j < TILE_VECS; j++)
				vec_store(y + 32 * r + 16 * (half + j), sum[r][j]);
	}
}

/* A function for each size of tile, not inlined: round a loop that needs all registers there is no room for more. */
typedef void score_tile_fn(float *s, size_t lds, const float *q, size_t ldq, const unsigned char *keys,
                           const uint16_t *d, float scale, int width);
typedef void value_tile_fn(float *y, const float *w, size_t ldw, const unsigned char *run, int steps);
struct tile {
	int rows;
	score_tile_fn *score;
	value_tile_fn *value;
};
#define TILE(name, type, rows)                                                                                         \
	static __attribute__((noinline)) void score_tile_##name##_##rows(                                              \
	    float *s, size_t lds, const float *q, size_t ldq, const unsigned char *keys, const uint16_t *d,            \
	    float scale, int width)                                                                                    \
	{                                                                                                              \
		score_tile(s, lds, q, ldq, keys, d, scale, width, type, rows);                                         \
	}                                                                                                              \
	static __attribute__((noinline)) void value_tile_##name##_##rows(float *y, const float *w, size_t ldw,         \
	                                                                 const unsigned char *run, int steps)          \
	{                                                                                                              \
		value_tile(y, w, ldw, run, steps, type, rows);                                                         \
	}
#define ENTRY(name, rows) {rows, score_tile_##name##_##rows, value_tile_##name##_##rows}

/* The sizes of each type, the largest first. */
#if defined(VEC_AVX512)
#define TILES(name, type)                                                                                              \
	TILE(name, type, 12) TILE(name, type, 8) TILE(name, type, 4) TILE(name, type, 2) TILE(name, type, 1)           \
	static const struct tile tiles_##name[] = {ENTRY(name, 12), ENTRY(name, 8), ENTRY(name, 4), ENTRY(name, 2),    \
	                                           ENTRY(name, 1)};
#elif defined(VEC_C)
#define TILES(name, type) TILE(name, type, 1) static const struct tile tiles_##name[] = {ENTRY(name, 1)};
#else
#define TILES(name, type)                                                                                              \
	TILE(name, type, 6) TILE(name, type, 4) TILE(name, type, 2) TILE(name, type, 1)                                \
	static const struct tile tiles_##name[] = {ENTRY(name, 6), ENTRY(name, 4), ENTRY(name, 2), ENTRY(name, 1)};
#endif
TILES(f32, TRIT_KV_F32)
TILES(f16, TRIT_KV_F16)
TILES(q4, TRIT_KV_Q4)
static const struct tile *const tiles[TRIT_N_KV_FLOAT] = {
	[TRIT_KV_F32] = tiles_f32, [TRIT_KV_F16] = tiles_f16, [TRIT_KV_Q4] = tiles_q4};

/* ---- scores and values ------------------------------------------------------------------------------------------- */

static void scores(float *s, size_t lds, const float *q, size_t ldq, const unsigned char *pages, size_t stride,
                   float scale, int width, int rows, int begin, int end, enum trit_kv_type type)
{
	for (int i = begin; i < end; i += 32) {
		const unsigned char *page = pages + (size_t)(i / TRIT_KV_PAGE) * stride;
		size_t block = (size_t)(i % TRIT_KV_PAGE / 32);
		const unsigned char *keys = page + block * width * trit_kv_run_bytes(type);
		const uint16_t *d = (const uint16_t *)(const void *)(page + trit_kv_key_scales_at(type, width));
		const struct tile *tile = tiles[type];

		if (trit_kv_scaled(type))
			d += block * trit_kv_groups(width) * 32;
		for (int r = 0; r < rows; r += tile->rows) {
			while (tile->rows > rows - r)
				tile++;
			tile->score(s + r * lds + i, lds, q + r * ldq, ldq, keys, d, scale, width);
		}
	}
}

/** Some of the rows of a call, at most a tile: where they are written, and how many positions of a page each sees. */
struct panel {
	int count;
	float *out[TILE_ROWS];
	int seen[TILE_ROWS]; /* ascending */
};

/** The rows from `first` on, for the page of positions from i0 on. (Divisions are what this avoids for each row.) */
static struct panel make_panel(float *out, size_t ld_token, size_t ld_head, int first, int rows, int share, int n,
                               int i0)
{
	struct panel p = {.count = rows - first < TILE_ROWS ? rows - first : TILE_ROWS};
	int token = first / share, head = first % share;

	for (int r = 0; r < p.count; r++) {
		int seen = n + token - i0;

		p.seen[r] = seen < 0 ? 0 : seen < TRIT_KV_PAGE ? seen : TRIT_KV_PAGE;
		p.out[r] = out + token * ld_token + head * ld_head;
		if (++head == share) {
			head = 0;
			token++;
		}
	}
	return p;
}

/** y [count][32] += a group of elements, `run` for each position. */
static void value_panel(float *y, const struct panel *p, const float *w, size_t ldw, const unsigned char *run,
                        enum trit_kv_type type)
{
	const struct tile *tile = tiles[type];
	int common = p->seen[0];

	for (int r = 0; r < p->count; r += tile->rows) {
		while (tile->rows > p->count - r)
			tile++;
		tile->value(y + 32 * r, w + r * ldw, ldw, run, common);
	}
	while (tile->rows > 1)
		tile++;
	for (int r = 0; r < p->count; r++) /* later tokens see more */
		if (p->seen[r] > common)
			tile->value(y + 32 * r, w + r * ldw + common, ldw, run + common * trit_kv_run_bytes(type),
			            p->seen[r] - common);
}

/** Adds to elements first .. last - 1 of the panel's rows what a page has for them; sets them where it is the first. */
static void value_page(const struct panel *p, const float *weights, size_t ldp, const unsigned char *page, int width,
                       int first, int last, bool first_page, enum trit_kv_type type)
{
	enum { LDW = TRIT_KV_PAGE + 16 }; /* rows a power of two apart would share sets of the cache */
	float y[TILE_ROWS * 32], scaled[TILE_ROWS * LDW];

	for (int e = first; e < last; e += 32) {
		int m = last - e < 32 ? last - e : 32;
		size_t at = (size_t)(e / 32) * TRIT_KV_PAGE;
		const unsigned char *run = page + trit_kv_values_at(type, width) + at * trit_kv_run_bytes(type);
		const uint16_t *d = (const uint16_t *)(const void *)(page + trit_kv_value_scales_at(type, width));

		for (int r = 0; r < p->count; r++) {
			vec_store(y + 32 * r + 16, vec_zero());
			VEC_FOR(j, k, m)
				vec_store(y + 32 * r + j, first_page ? vec_zero() : vec_load_n(p->out[r] + e - first + j, k));
		}
		if (!trit_kv_scaled(type)) {
			value_panel(y, p, weights, ldp, run, type);
		} else {
			for (int r = 0; r < p->count; r++)
				VEC_FOR(i, k, p->seen[r])
					vec_store_n(scaled + r * LDW + i, vec_mul(vec_load_n(weights + r * ldp + i, k),
					                                          vec_load_f16(d + at + i)), k);
			value_panel(y, p, scaled, LDW, run, type);
		}
		for (int r = 0; r < p->count; r++)
			VEC_FOR(j, k, m)
				vec_store_n(p->out[r] + e - first + j, vec_load(y + 32 * r + j), k);
	}
}

static void values(float *out, size_t ld_token, size_t ld_head, const float *p, size_t ldp, const float *sum,
                   const unsigned char *pages, size_t stride, int width, int first, int last, int rows, int share,
                   int n, enum trit_kv_type type)
{
	int n_max = n + (rows - 1) / share;

	for (int i0 = 0; i0 < n_max; i0 += TRIT_KV_PAGE, pages += stride)
		for (int r = 0; r < rows; r += TILE_ROWS) {
			struct panel panel = make_panel(out, ld_token, ld_head, r, rows, share, n, i0);

			value_page(&panel, p + r * ldp + i0, ldp, pages, width, first, last, i0 == 0, type);
		}
	for (int r = 0; r < rows; r++) {
		float *o = out + r / share * ld_token + r % share * ld_head;

		VEC_FOR(e, m, last - first)
			vec_store_n(o + e, vec_div(vec_load_n(o + e, m), vec_set1(sum[r])), m);
	}
}

/* ---- one of each for every type ---------------------------------------------------------------------------------- */

#define ATTEND_KERNELS(name, type)                                                                                     \
	static void kv_put_##name(unsigned char *page, const float *key, const float *value, int width, int at)        \
	{                                                                                                              \
		put(page, key, value, width, at, type);                                                                \
	}                                                                                                              \
	static void attend_scores_##name(float *s, size_t lds, const float *q, size_t ldq, const unsigned char *pages, \
	                                 size_t stride, float scale, int width, int rows, int begin, int end)          \
	{                                                                                                              \
		scores(s, lds, q, ldq, pages, stride, scale, width, rows, begin, end, type);                           \
	}                                                                                                              \
	static void attend_values_##name(float *out, size_t ld_token, size_t ld_head, const float *p, size_t ldp,      \
	                                 const float *sum, const unsigned char *pages, size_t stride, int width,       \
	                                 int first, int last, int rows, int share, int n)                              \
	{                                                                                                              \
		values(out, ld_token, ld_head, p, ldp, sum, pages, stride, width, first, last, rows, share, n, type);  \
	}
ATTEND_KERNELS(f32, TRIT_KV_F32)
ATTEND_KERNELS(f16, TRIT_KV_F16)
ATTEND_KERNELS(q4, TRIT_KV_Q4)

static void attend_init(struct trit_kernels *k)
{
	static const struct {
		trit_kv_put_fn *put;
		trit_attend_scores_fn *scores;
		trit_attend_values_fn *values;
	} kernels[TRIT_N_KV_FLOAT] = {
		[TRIT_KV_AUTO] = {kv_put_f16, attend_scores_f16, attend_values_f16}, /* never called */
		[TRIT_KV_F16] = {kv_put_f16, attend_scores_f16, attend_values_f16},
		[TRIT_KV_F32] = {kv_put_f32, attend_scores_f32, attend_values_f32},
		[TRIT_KV_Q4] = {kv_put_q4, attend_scores_q4, attend_values_q4},
	};

	for (int type = 0; type < TRIT_N_KV_FLOAT; type++) {
		k->kv_put[type] = kernels[type].put;
		k->attend_scores[type] = kernels[type].scores;
		k->attend_values[type] = kernels[type].values;
	}
}
