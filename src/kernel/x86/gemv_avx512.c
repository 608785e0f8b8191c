/*
 * gemv_avx512.c - integer products with few tokens: the weights come from memory and each is used once or little.
 *
 * One pass over memory for 1 to 8 tokens, and for 16. A vector is loaded, its fields are decoded into registers, and
 * each meets all tokens. A token has 8 accumulators when it is alone, 4 up to six tokens, 2 up to eight, then 1, and a
 * vector's fields go to them in turn: a vpdpbusd takes five cycles and two can start in each, so ten chains or more
 * keep the core busy.
 *
 * Scales of groups: after a group the accumulators are combined, converted, and join the floats' chain. Groups end
 * between two vectors, except in t5, which is decoded into bytes first.
 *
 * Tried and slower for one token: two or four blocks of 16 rows at once, as streams of memory side by side (t5 85 and
 * 88 % of a read pass instead of 93). For two and three tokens four streams gain up to 7 % with t5 and lose as much
 * with b1.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/int_avx512.h"

enum { MAX_SLOTS = 8 };

/* Accumulators of a token. */
static ALWAYS_INLINE int slots_for(const int tokens)
{
	return tokens == 1 ? 8 : tokens <= 6 ? 4 : tokens <= 8 ? 2 : 1;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/*
 * Weights are read in order. A line is asked into the second-level cache FAR bytes before it is needed, into the first
 * NEAR bytes before. Half and double these distances are as good; only one of the two reaches 85 to 90 % of this speed,
 * none a half.
 *
 * More tokens than one pass takes are several passes over 16 rows, which stay in the second-level cache. Each pass asks
 * for its share of what lies FAR ahead, or of the next 16 rows if they are farther: memory is busy all the time.
 */
enum { FAR = 16384, NEAR = 4096 };

struct ahead {
	const unsigned char *far;
	ptrdiff_t near; /* from a line to the one that is asked into the first level with it */
	size_t step; /* bytes of a line by the number of passes */
};

/* What is asked for while the 16 rows at w are multiplied: beyond the last weights of the call, what is wanted next. */
static ALWAYS_INLINE struct ahead ahead_of(const struct int_product *p, const unsigned char *w)
{
	const unsigned char *far = w + p->ahead, *near = w + NEAR;
	ptrdiff_t jump = (ptrdiff_t)((uintptr_t)p->next - (uintptr_t)p->end);
	return (struct ahead){far < p->end ? far : far + jump, near < p->end ? NEAR : NEAR + jump, p->ahead_step};
}

static ALWAYS_INLINE void prefetch(const unsigned char *w, struct ahead *ahead)
{
	_mm_prefetch((const char *)ahead->far, _MM_HINT_T1);
	_mm_prefetch((const char *)w + ahead->near, _MM_HINT_T0);
	ahead->far += ahead->step;
}

/* ---- sums of some units ------------------------------------------------------------------------------------------ */

/* Units in one turn of the loop: about eight fields. */
static ALWAYS_INLINE int units_a_turn(const int layout)
{
	return 8 / unit_fields(layout) + (layout == TRIT_T5);
}

/* A field of some columns, for all tokens. */
static ALWAYS_INLINE void add_field(__m512i (*acc)[MAX_SLOTS], const int tokens, const int slot, __m512i code,
                                    const int8_t *q, size_t ldq)
{
	/* An address adds one or two ldq to a register. */
	const int8_t *const third[] = {q,           q + 3 * ldq,  q + 6 * ldq,
	                               q + 9 * ldq, q + 12 * ldq, q + 15 * ldq};

#define ADD_TOKEN(t) acc[t][slot] = dot_four(acc[t][slot], code, third[(t) / 3] + (size_t)((t) % 3) * ldq)
	EACH_WIDE(tokens, ADD_TOKEN);
#undef ADD_TOKEN
}

/* Unit number `unit` of a turn. */
static ALWAYS_INLINE void add_unit(__m512i (*acc)[MAX_SLOTS], const int layout, const int tokens, const int unit,
                                   const unsigned char *w, const int8_t *q, size_t ldq, struct ahead *ahead)
{
	const int bytes = unit_bytes(layout), fields = unit_fields(layout), slots = slots_for(tokens);
	const struct fields v = fields_of(layout, w + unit * bytes, slots);

	q += unit * fields * 4;
	/* Else gcc 12 keeps ldq + 4, ldq + 8, 3 * ldq and so on in registers that it does not have. */
	__asm__("" : "+r"(ldq) : "r"(q));
	if (layout != CODES)
		prefetch(w + unit * bytes, ahead);
	if (layout == TRIT_I6) {
		prefetch(w + unit * bytes + 64, ahead);
		prefetch(w + unit * bytes + 128, ahead);
	}
#define ADD_FIELD(i) add_field(acc, tokens, (unit * fields + (i)) % slots, v.f[i], q + 4 * (i), ldq)
	EACH(fields, ADD_FIELD);
#undef ADD_FIELD
}

/* An accumulator, exactly divided by what the place of its field multiplied it by; b1's codes are 0 and 2. */
static ALWAYS_INLINE __m512i placed(__m512i acc, const int layout, const int slots, const int slot)
{
	const int shift = code_bits(layout) * field_place(layout, slot % unit_fields(layout), slots) - (layout == TRIT_B1);

	return shift > 0   ? _mm512_srai_epi32(acc, (unsigned)shift)
	       : shift < 0 ? _mm512_slli_epi32(acc, (unsigned)-shift)
	                   : acc;
}

static ALWAYS_INLINE __m512i combined(const __m512i *acc, const int layout, const int slots)
{
	__m512i sum = _mm512_setzero_si512();

#define ADD_SLOT(s) sum = _mm512_add_epi32(sum, placed(acc[s], layout, slots, s))
	EACH(slots, ADD_SLOT);
#undef ADD_SLOT
	return sum;
}

/* sums[t] of 16 rows over `units` units. */
static ALWAYS_INLINE void unit_sums(__m512i *sums, const int layout, const int tokens, const unsigned char *w,
                                    const int8_t *q, size_t ldq, int units, struct ahead *ahead)
{
	const int turn = units_a_turn(layout), bytes = unit_bytes(layout), cols = 4 * unit_fields(layout);
	const __m512i zero = _mm512_setzero_si512();
	__m512i acc[TRIT_WIDE_TOKENS][MAX_SLOTS];

#define CLEAR(t)                                                                                                       \
	acc[t][0] = acc[t][1] = acc[t][2] = acc[t][3] = acc[t][4] = acc[t][5] = acc[t][6] = acc[t][7] = zero
	EACH_WIDE(tokens, CLEAR);
#undef CLEAR
	for (; units >= turn; units -= turn, w += turn * bytes, q += turn * cols) {
#define ADD_UNIT(u) add_unit(acc, layout, tokens, u, w, q, ldq, ahead)
		EACH(turn, ADD_UNIT);
#undef ADD_UNIT
	}
	if (turn > 1)
		for (; units > 0; units--, w += bytes, q += cols)
			add_unit(acc, layout, tokens, 0, w, q, ldq, ahead);
#define COMBINE(t) sums[t] = combined(acc[t], layout, slots_for(tokens))
	EACH_WIDE(tokens, COMBINE);
#undef COMBINE
}

static ALWAYS_INLINE __m512 unbiased(__m512i sum, int32_t bias)
{
	return _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, _mm512_set1_epi32(bias)));
}

/* The 16 rows from r on, or those of them that are there, of a token. */
static ALWAYS_INLINE void store(const struct int_product *p, int r, int t, __m512 v)
{
	_mm512_mask_storeu_ps(p->y + (size_t)t * p->ldy + r, lanes(p->rows - r), v);
}

/* ---- one scale a row --------------------------------------------------------------------------------------------- */

/* 16 rows from r on, at w. layout, tokens: constants after inlining. p->tokens is not looked at. */
static ALWAYS_INLINE void row_block(const int layout, const int tokens, const struct int_product *p, int r,
                                    const unsigned char *w)
{
	const int cols = 4 * unit_fields(layout);
	struct ahead ahead = ahead_of(p, w);
	__m512 scale = p->scaling == TRIT_SCALE_ROW ? _mm512_loadu_ps(p->scale + r) : _mm512_set1_ps(p->scale[0]);
	__m512i sums[TRIT_WIDE_TOKENS];

	unit_sums(sums, layout, tokens, w, p->q, p->ldq, (p->cols + cols - 1) / cols, &ahead);
#define STORE(t)                                                                                                       \
	store(p, r, t,                                                                                                 \
	      _mm512_mul_ps(unbiased(sums[t], p->biases[t]), _mm512_mul_ps(scale, _mm512_set1_ps(p->step[t]))))
	EACH_WIDE(tokens, STORE);
#undef STORE
}

/* ---- scales of groups -------------------------------------------------------------------------------------------- */

/* chains[t] go on over one group of `units` units; scale, biases: the group's. */
static ALWAYS_INLINE void add_group(__m512 *chains, const int layout, const int tokens, const struct int_product *p,
                                    const unsigned char *w, const int8_t *q, const float *scale,
                                    const int32_t *biases, int units, struct ahead *ahead)
{
	__m512i sums[TRIT_FEW_TOKENS];

	unit_sums(sums, layout, tokens, w, q, p->ldq, units, ahead);
#define ADD_CHAIN(t)                                                                                                   \
	chains[t] = _mm512_fmadd_ps(unbiased(sums[t], biases[(t) * p->n_groups]), _mm512_loadu_ps(scale), chains[t])
	EACH(tokens, ADD_CHAIN);
#undef ADD_CHAIN
}

static ALWAYS_INLINE void add_groups(__m512 *chains, const int layout, const int tokens, const struct int_product *p,
                                     const unsigned char *w, const float *scale, struct ahead *ahead)
{
	const int cols = 4 * unit_fields(layout), group = (int)p->scaling / cols;
	const int units = (p->cols + cols - 1) / cols;

	for (int u = 0, g = 0; u < units; u += group, g++)
		add_group(chains, layout, tokens, p, w + (size_t)u * (size_t)unit_bytes(layout), p->q + g * (int)p->scaling,
		          scale + (size_t)g * TRIT_BLOCK_ROWS, p->biases + g, units - u < group ? units - u : group, ahead);
}

/*
 * t5: decoded fields stand in a ring, of whole units and whole groups. Decoding is one group ahead of the sums, so that
 * a core does both at once: the one's look-ups are for another port than half of the other's products.
 */
enum { RING = 160 };

static ALWAYS_INLINE void add_t5_groups(__m512 *chains, const int tokens, const struct int_product *p,
                                        const unsigned char *w, const float *scale, struct ahead *ahead)
{
	_Alignas(64) unsigned char ring[RING * 64];
	const int group = (int)p->scaling / 4, fields = (p->cols + 3) / 4;

	for (int f = 0, g = 0, decoded = 0; f < fields; f += group, g++) {
		for (; decoded < f + 2 * group && decoded < fields; decoded += 5, w += 64) {
			const struct fields v = fields_of(TRIT_T5, w, 1);
			prefetch(w, ahead);
#define STORE(i) _mm512_store_si512(ring + (decoded % RING + (i)) * 64, v.f[i])
			EACH(5, STORE);
#undef STORE
		}
		add_group(chains, CODES, tokens, p, ring + f % RING * 64, p->q + 4 * f, scale + (size_t)g * TRIT_BLOCK_ROWS,
		          p->biases + g, fields - f < group ? fields - f : group, ahead);
	}
}

static ALWAYS_INLINE void group_block(const int layout, const int tokens, const struct int_product *p, int r,
                                      const unsigned char *w)
{
	const float *scale = p->scale + (size_t)r * p->n_groups;
	struct ahead ahead = ahead_of(p, w);
	__m512 chains[TRIT_FEW_TOKENS];

#define CLEAR(t) chains[t] = _mm512_setzero_ps()
	EACH(tokens, CLEAR);
#undef CLEAR
	if (layout == TRIT_T5)
		add_t5_groups(chains, tokens, p, w, scale, &ahead);
	else
		add_groups(chains, layout, tokens, p, w, scale, &ahead);
#define STORE(t) store(p, r, t, _mm512_mul_ps(chains[t], _mm512_set1_ps(p->step[t])))
	EACH(tokens, STORE);
#undef STORE
}

/* ---- a function for each layout and number of tokens ------------------------------------------------------------- */

typedef void few_fn(const struct int_product *p);

#define ROWS(layout, n)                                                                                                \
	static __attribute__((noinline)) void rows_##layout##_##n(const struct int_product *p)                           \
	{                                                                                                              \
		const unsigned char *w = p->w;                                                                         \
		for (int r = 0; r < p->rows; r += TRIT_BLOCK_ROWS, w += p->block_bytes)                                \
			row_block(TRIT_##layout, n, p, r, w);                                                          \
	}
#define FEW(layout, n)                                                                                                 \
	ROWS(layout, n)                                                                                                \
	static __attribute__((noinline)) void groups_##layout##_##n(const struct int_product *p)                         \
	{                                                                                                              \
		const unsigned char *w = p->w;                                                                         \
		for (int r = 0; r < p->rows; r += TRIT_BLOCK_ROWS, w += p->block_bytes)                                \
			group_block(TRIT_##layout, n, p, r, w);                                                        \
	}
#define FEW_ALL(layout)                                                                                                \
	FEW(layout, 1)                                                                                                 \
	FEW(layout, 2)                                                                                                 \
	FEW(layout, 3)                                                                                                 \
	FEW(layout, 4)                                                                                                 \
	FEW(layout, 5)                                                                                                 \
	FEW(layout, 6)                                                                                                 \
	FEW(layout, 7)                                                                                                 \
	FEW(layout, 8)                                                                                                 \
	ROWS(layout, 16)
FEW_ALL(T2)
FEW_ALL(T5)
FEW_ALL(B1)
FEW_ALL(I8)
FEW_ALL(I6)
FEW_ALL(I4)

#define FEW_ROW(kind, layout)                                                                                          \
	{                                                                                                              \
		kind##_##layout##_1, kind##_##layout##_2, kind##_##layout##_3, kind##_##layout##_4, kind##_##layout##_5,     \
		    kind##_##layout##_6, kind##_##layout##_7, kind##_##layout##_8                                        \
	}
#define FEW_ROWS(layout) {FEW_ROW(rows, layout), FEW_ROW(groups, layout)}
static few_fn *const few[TRIT_N_LAYOUTS][2][TRIT_FEW_TOKENS] = {
	[TRIT_T2] = FEW_ROWS(T2), [TRIT_T5] = FEW_ROWS(T5), [TRIT_B1] = FEW_ROWS(B1),
	[TRIT_I8] = FEW_ROWS(I8), [TRIT_I6] = FEW_ROWS(I6), [TRIT_I4] = FEW_ROWS(I4),
};
static few_fn *const wide[TRIT_N_LAYOUTS] = {
	[TRIT_T2] = rows_T2_16, [TRIT_T5] = rows_T5_16, [TRIT_B1] = rows_B1_16,
	[TRIT_I8] = rows_I8_16, [TRIT_I6] = rows_I6_16, [TRIT_I4] = rows_I4_16,
};

/* So many tokens, the first of p's; p goes on to those after them. */
static void pass(enum trit_layout layout, struct int_product *p, int tokens)
{
	const bool grouped = p->scaling > TRIT_SCALE_ROW;

	(tokens == TRIT_WIDE_TOKENS ? wide[layout] : few[layout][grouped][tokens - 1])(p);
	p->y += (size_t)tokens * p->ldy;
	p->q += (size_t)tokens * p->ldq;
	p->step += tokens;
	p->biases += (size_t)tokens * p->n_groups;
}

/* Wide passes first, then even ones. Scales of groups leave no registers for wide ones. */
void trit_gemv_avx512(enum trit_layout layout, const struct int_product *p)
{
	int wide_passes = p->scaling > TRIT_SCALE_ROW ? 0 : p->tokens / TRIT_WIDE_TOKENS;
	int rest = p->tokens - TRIT_WIDE_TOKENS * wide_passes;
	int even_passes = (rest + TRIT_FEW_TOKENS - 1) / TRIT_FEW_TOKENS, passes = wide_passes + even_passes;
	size_t far = passes > 1 && p->block_bytes > FAR ? p->block_bytes : FAR, all = (size_t)(p->end - p->w);
	struct int_product part = *p;

	if (p->next != p->end && far > all) /* all of what is next, from its beginning */
		far = all;
	part.ahead_step = (size_t)((64 + passes - 1) / passes);
	if (passes > 1)
		part.rows = TRIT_BLOCK_ROWS;
	for (int r = 0; r < p->rows; r += part.rows) {
		if (part.rows > p->rows - r)
			part.rows = p->rows - r;
		struct int_product left = part; /* tokens after those of earlier passes */
		for (int i = 0; i < passes; i++) {
			int j = i - wide_passes, even = j < 0 ? 0 : rest * (j + 1) / even_passes - rest * j / even_passes;
			left.ahead = far + p->block_bytes * (size_t)i / (size_t)passes;
			pass(layout, &left, j < 0 ? TRIT_WIDE_TOKENS : even);
		}
		part.y += TRIT_BLOCK_ROWS;
		part.w += p->block_bytes;
		part.scale += trit_scale_at(p->scaling, TRIT_BLOCK_ROWS, (size_t)p->cols);
	}
}
