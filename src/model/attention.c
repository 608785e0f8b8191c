/*
 * attention.c - rotary embedding, the KV cache's filling, and attention, shared out among threads.
 *
 * A unit of work is a tile of tokens (consecutive ones of a sequence) and one key/value head: all queries of these
 * tokens that use the head's keys read them together. Usually a thread does whole units, and their number evens out
 * what each has to do. A few long units (one token, far into a context) are split instead, with barriers between: the
 * scores by positions, the softmax by queries, the weighted means by elements of the head. No sum is ever split.
 *
 * In a layer with a sliding window a tile begins at the page of the first position that one of its tokens sees; what
 * others of them do not see gets the probability 0, which adds nothing to a sum, not even in its last bit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/attention.h"

#include <limits.h>
#include <math.h>

#include "model/rope.h"

enum {
	MOST_ROWS = 48,         /* queries of a tile */
	FEWEST_ROWS = 24,       /* even when TILE_SCORES are too few for them: with fewer, reading keys takes longest */
	TILE_SCORES = 1 << 18,  /* 1 MiB: half of a second-level cache */
	UNITS_A_THREAD = 4,     /* at least, for balance, where tiles can be smaller without being slow */
	QUICK_ROWS = 12,        /* smaller tiles are slow */
	SPLIT_POSITIONS = 256,  /* units shorter than that are done before two barriers are passed */
	MOST_COMPARED = 32,     /* tokens of a batch that are compared with each other */
};

/* Floats from a row of scores to the next: whole blocks of 32, and rows must not share sets of the cache. */
static size_t score_stride(int n)
{
	return ((size_t)n + 31) / 32 * 32 + 16;
}

static int share_of(const struct trit_attention *a)
{
	return a->config->n_heads / a->config->n_kv_heads;
}

static int larger(int a, int b)
{
	return a > b ? a : b;
}

/* Tokens of a tile whose first sees n positions. */
static int tile_tokens(const struct trit_attention *a, int n, int n_tokens, int n_threads)
{
	int share = share_of(a), fit = (int)(TILE_SCORES / score_stride(n + MOST_ROWS));
	int rows = fit < FEWEST_ROWS ? FEWEST_ROWS : fit < MOST_ROWS ? fit : MOST_ROWS;
	int even = (int)((int64_t)n_tokens * a->config->n_kv_heads / (UNITS_A_THREAD * n_threads));
	int tokens = larger(rows / share, 1), least = (QUICK_ROWS + share - 1) / share;
	return tokens < larger(even, least) ? tokens : larger(even, least);
}

void trit_attention_lay_out(struct trit_attention *a, struct trit_arena *arena)
{
	const struct trit_config *c = a->config;
	size_t angles = (size_t)a->n_ctx * (size_t)(c->n_rot / 2), threads = (size_t)trit_pool_size(a->pool);
	size_t stride = score_stride(a->n_ctx), most = (size_t)larger(MOST_ROWS, share_of(a));

	a->n_scores = (size_t)larger(FEWEST_ROWS, share_of(a)) * stride;
	if (a->n_scores < TILE_SCORES)
		a->n_scores = most * stride < TILE_SCORES ? most * stride : TILE_SCORES;
	for (int i = 0; i < 2; i++) {
		bool same = i && !c->window_rope_base;
		a->cos[i] = same ? a->cos[0] : trit_arena_take(arena, angles, sizeof(float));
		a->sin[i] = same ? a->sin[0] : trit_arena_take(arena, angles, sizeof(float));
	}
	a->scores = trit_arena_take(arena, threads * a->n_scores, sizeof(float));
	a->sums = trit_arena_take(arena, (size_t)a->n_batch * (size_t)c->n_heads, sizeof(float));
	a->queries = trit_arena_take(arena, threads * most * (size_t)c->head_dim, sizeof(float));
	a->ints = trit_arena_take(arena, threads, sizeof *a->ints);
	for (size_t i = 0; i < threads; i++) {
		struct trit_int_scratch s;
		trit_int_scratch_lay_out(&s, arena, (int)most, c->head_dim);
		if (a->ints)
			a->ints[i] = s;
	}
}

void trit_attention_tables(struct trit_attention *a)
{
	const struct trit_config *c = a->config;
	trit_rope_table(a->cos[0], a->sin[0], c->rope_base, c->n_rot, a->n_ctx, &c->rope_scaling, a->rope_freqs);
	if (c->window_rope_base)
		trit_rope_table(a->cos[1], a->sin[1], c->window_rope_base, c->n_rot, a->n_ctx, NULL, NULL);
}

/* ---- one thread's view ------------------------------------------------------------------------------------------- */

struct view {
	const struct trit_attention *a;
	const struct trit_config *c;
	const struct trit_kernels *k;
	float *out, *qkv;
	const struct trit_batch_token *tokens;
	int n_tokens, layer, thread, n_threads;
	int window;      /* positions that a token sees in this layer */
	float scale;     /* of scores */
	int share;       /* queries to a key */
	size_t nq, nqkv; /* floats of a token in out and in qkv */
	int64_t work;    /* of all units together */
};

/* Tokens first .. first + count - 1 of the batch, which see positions from `from` on, the beginning of a page; the last
 * of them sees as far as from + n - 1. */
struct tile {
	int first, count, n, from;
};

/* The first position that a token sees. */
static int first_seen(const struct view *v, int token)
{
	int end = v->tokens[token].position + 1;
	return end > v->window ? end - v->window : 0;
}

/* The tile after *t (at first a zeroed one); false at the end. */
static bool next_tile(const struct view *v, struct tile *t)
{
	int first = t->first + t->count, end = first + 1;
	if (first == v->n_tokens)
		return false;
	const struct trit_batch_token *token = &v->tokens[first];
	int from = first_seen(v, first) / TRIT_KV_PAGE * TRIT_KV_PAGE;
	int most = tile_tokens(v->a, token->position + 1 - from, v->n_tokens, v->n_threads);
	while (end < v->n_tokens && end - first < most && v->tokens[end].kv == token->kv)
		end++;
	*t = (struct tile){ first, end - first, token->position + end - first - from, from };
	return true;
}

/* A tile and a head. */
struct unit {
	struct tile t;
	int g;         /* the key/value head */
	int64_t at;    /* work of all units before it */
	size_t scores; /* where its scores are when all units have theirs at the same time */
};

static int64_t work_of(const struct unit *u)
{
	return (int64_t)u->t.count * u->t.n;
}

static int rows_of(const struct view *v, const struct unit *u)
{
	return u->t.count * v->share;
}

/* The unit's first row among those of all units. */
static int first_row(const struct view *v, const struct unit *u)
{
	return (u->g * v->n_tokens + u->t.first) * v->share;
}

/* Up to which position from `from` on row r of the unit sees: each token's queries are `share` rows. */
static int seen(const struct view *v, const struct unit *u, int r)
{
	return u->t.n - u->t.count + 1 + r / v->share;
}

/* The page where the unit begins. */
static const unsigned char *pages_of(const struct view *v, const struct unit *u)
{
	const struct trit_kv *kv = v->tokens[u->t.first].kv;
	return trit_kv_pages(kv, v->layer, u->g) + (size_t)(u->t.from / TRIT_KV_PAGE) * trit_kv_stride(kv);
}

/* The unit after *u (at first a zeroed one): head after head, all tiles of each. False at the end; *u then has the work
 * and the scores of all. */
static bool next_unit(const struct view *v, struct unit *u)
{
	u->at += work_of(u);
	u->scores += (size_t)rows_of(v, u) * score_stride(u->t.n);
	if (next_tile(v, &u->t))
		return true;
	u->t = (struct tile){ 0 };
	return ++u->g < v->c->n_kv_heads && next_tile(v, &u->t);
}

/* Norms of `heads` heads from number `first` on. */
static void norm_heads(const struct view *v, float *x, const struct trit_norm *norm, int first, int heads)
{
	const struct trit_config *c = v->c;
	for (int h = first; h < first + heads; h++, x += c->head_dim) {
		size_t own = c->qk_norms == TRIT_QK_EACH_HEAD ? (size_t)h * (size_t)c->head_dim : 0;
		if (c->arch->norm == TRIT_NORM_LAYER)
			v->k->layernorm(x, x, norm->w + own, norm->bias ? norm->bias + own : NULL, c->eps, c->head_dim);
		else
			v->k->rmsnorm(x, x, norm->w + own, c->eps, c->head_dim);
	}
}

/* Norms and rotates the queries and the key of head g of a token, and puts key and value into its cache. */
static void rotate_and_store(const struct view *v, int token, int g)
{
	const struct trit_config *c = v->c;
	const struct trit_batch_token *t = &v->tokens[token];
	size_t width = (size_t)c->head_dim, angles = (size_t)t->position * (size_t)(c->n_rot / 2);
	float *qkv = v->qkv + (size_t)token * v->nqkv, *q = qkv + (size_t)(g * v->share) * width;
	float *key = qkv + v->nq + (size_t)g * width, *value = key + (size_t)c->n_kv_heads * width;
	int windowed = trit_config_window(c, v->layer) > 0;
	const float *cos = v->a->cos[windowed] + angles, *sin = v->a->sin[windowed] + angles;

	if (v->a->layers) {
		norm_heads(v, q, &v->a->layers[v->layer].q_norm, g * v->share, v->share);
		norm_heads(v, key, &v->a->layers[v->layer].k_norm, g, 1);
	}
	v->k->rope(q, cos, sin, v->share, c->head_dim, c->n_rot, c->rope_half, false);
	v->k->rope(key, cos, sin, 1, c->head_dim, c->n_rot, c->rope_half, false);
	unsigned char *page = trit_kv_pages(t->kv, v->layer, g);
	page += (size_t)(t->position / TRIT_KV_PAGE) * trit_kv_stride(t->kv);
	if (t->kv->type == TRIT_KV_Q8)
		trit_int_put(v->k, page, key, value, c->head_dim, t->position % TRIT_KV_PAGE);
	else
		v->k->kv_put[t->kv->type](page, key, value, c->head_dim, t->position % TRIT_KV_PAGE);
}

/* The same for this thread's tokens and heads. A block of 32 positions is one thread's (trit_kv_put_fn). */
static void rotate_and_store_all(const struct view *v)
{
	for (int t = 0; t < v->n_tokens; t++)
		for (int g = 0; g < v->c->n_kv_heads; g++)
			if ((v->tokens[t].position / 32 + g) % v->n_threads == v->thread)
				rotate_and_store(v, t, g);
}

/* Whether no token reads what another one of the batch stores. */
static bool independent(const struct view *v)
{
	if (v->n_tokens > MOST_COMPARED)
		return false;
	for (int i = 1; i < v->n_tokens; i++)
		for (int j = 0; j < i; j++)
			if (v->tokens[i].kv == v->tokens[j].kv)
				return false;
	return true;
}

/* ---- a unit ------------------------------------------------------------------------------------------------------ */

/* s [rows, lds]: scores at positions begin .. end - 1, counted from where the unit begins, like all below. */
static void unit_scores(const struct view *v, const struct unit *u, float *s, int begin, int end)
{
	const struct trit_kv *kv = v->tokens[u->t.first].kv;
	int width = v->c->head_dim;
	size_t row = (size_t)v->share * (size_t)width;
	const float *q = v->qkv + (size_t)u->t.first * v->nqkv + (size_t)u->g * row;

	if (u->t.count > 1) { /* tokens are far apart */
		float *together = v->a->queries + (size_t)v->thread * (size_t)larger(MOST_ROWS, v->share) * (size_t)width;
		for (int i = 0; i < u->t.count; i++)
			memcpy(together + (size_t)i * row, q + (size_t)i * v->nqkv, row * sizeof *q);
		q = together;
	}
	const unsigned char *pages = pages_of(v, u);
	size_t stride = trit_kv_stride(kv);
	float scale = v->scale;
	if (kv->type == TRIT_KV_Q8)
		trit_int_scores(v->k, &v->a->ints[v->thread], s, score_stride(u->t.n), q, (size_t)width, pages, stride, scale,
		                width, rows_of(v, u), begin, end);
	else
		v->k->attend_scores[kv->type](s, score_stride(u->t.n), q, (size_t)width, pages, stride, scale, width,
		                              rows_of(v, u), begin, end);
}

/* Row r of s becomes exponentials; their sum is kept. */
static void unit_softmax(const struct view *v, const struct unit *u, float *s, int r)
{
	int skipped = first_seen(v, u->t.first + r / v->share) - u->t.from, n = seen(v, u, r) - skipped;
	float *all = s + (size_t)r * score_stride(u->t.n), *row = all + skipped;
	if (v->c->attn_softcap)
		v->k->softcap(row, v->c->attn_softcap, n);
	float max;
	v->a->sums[first_row(v, u) + r] = v->k->exp_sum(&max, row, 1, n);
	memset(all, 0, (size_t)skipped * sizeof *all);
}

/* Elements first .. last - 1 of the results. */
static void unit_values(const struct view *v, const struct unit *u, const float *s, int first, int last)
{
	const struct trit_kv *kv = v->tokens[u->t.first].kv;
	int width = v->c->head_dim;
	float *out = v->out + (size_t)u->t.first * v->nq + (size_t)(u->g * v->share) * (size_t)width + (size_t)first;

	const unsigned char *pages = pages_of(v, u);
	const float *sums = v->a->sums + first_row(v, u);
	size_t stride = trit_kv_stride(kv);
	if (kv->type == TRIT_KV_Q8)
		trit_int_values(v->k, &v->a->ints[v->thread], out, v->nq, (size_t)width, s, score_stride(u->t.n), sums, pages,
		                stride, width, first, last, rows_of(v, u), v->share, seen(v, u, 0));
	else
		v->k->attend_values[kv->type](out, v->nq, (size_t)width, s, score_stride(u->t.n), sums, pages, stride, width,
		                              first, last, rows_of(v, u), v->share, seen(v, u, 0));
}

/* ---- whole units ------------------------------------------------------------------------------------------------- */

/* A thread's units are those whose middle lies in its part of all the work. */
static void run_whole(const struct view *v, bool store)
{
	int64_t begin = v->work * v->thread / v->n_threads, end = v->work * (v->thread + 1) / v->n_threads;
	float *s = v->a->scores + (size_t)v->thread * v->a->n_scores;

	for (struct unit u = { 0 }; next_unit(v, &u);) {
		int64_t middle = u.at + work_of(&u) / 2;
		if (middle < begin || middle >= end)
			continue;
		if (store)
			rotate_and_store(v, u.t.first, u.g);
		unit_scores(v, &u, s, 0, u.t.n);
		for (int r = 0; r < rows_of(v, &u); r++)
			unit_softmax(v, &u, s, r);
		unit_values(v, &u, s, 0, v->c->head_dim);
	}
}

/* ---- split units ------------------------------------------------------------------------------------------------- */

/* This thread's part of `n` pieces into which the unit is cut, each of the same work. */
static bool my_pieces(const struct view *v, const struct unit *u, int n, int *first, int *last)
{
	int64_t work = work_of(u), begin = v->work * v->thread / v->n_threads - u->at;
	int64_t end = v->work * (v->thread + 1) / v->n_threads - u->at;
	begin = begin < 0 ? 0 : begin < work ? begin : work;
	end = end < 0 ? 0 : end < work ? end : work;
	*first = (int)(begin * n / work);
	*last = (int)(end * n / work);
	return *first < *last;
}

static void run_split(const struct view *v)
{
	int first, last, groups = (int)trit_kv_groups(v->c->head_dim);
	float *s = v->a->scores;

	for (struct unit u = { 0 }; next_unit(v, &u);)
		if (my_pieces(v, &u, (u.t.n + 31) / 32, &first, &last))
			unit_scores(v, &u, s + u.scores, 32 * first, 32 * last < u.t.n ? 32 * last : u.t.n);
	trit_pool_barrier(v->a->pool);
	for (struct unit u = { 0 }; next_unit(v, &u);)
		for (int r = 0; r < rows_of(v, &u); r++)
			if ((first_row(v, &u) + r) % v->n_threads == v->thread)
				unit_softmax(v, &u, s + u.scores, r);
	trit_pool_barrier(v->a->pool);
	for (struct unit u = { 0 }; next_unit(v, &u);)
		if (my_pieces(v, &u, groups, &first, &last))
			unit_values(v, &u, s + u.scores, 32 * first, 32 * last < v->c->head_dim ? 32 * last : v->c->head_dim);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* Sums up the work. Whether whole units would leave threads waiting, and for longer than the barriers of split ones. */
static bool worth_splitting(struct view *v)
{
	int64_t largest = 0;
	int longest = 0;
	struct unit u = { 0 };

	while (next_unit(v, &u)) {
		largest = work_of(&u) > largest ? work_of(&u) : largest;
		longest = larger(longest, u.t.n);
	}
	v->work = u.at;
	return v->n_threads > 1 && longest >= SPLIT_POSITIONS && largest * v->n_threads * UNITS_A_THREAD > v->work &&
	       u.scores <= (size_t)v->n_threads * v->a->n_scores;
}

void trit_attention_run(const struct trit_attention *a, float *out, float *qkv, const struct trit_batch_token *tokens,
                        int n_tokens, int layer, int thread, int n_threads)
{
	const struct trit_config *c = a->config;
	size_t nq = trit_config_q_width(c);
	int window = trit_config_window(c, layer);
	struct view view = { .a = a, .c = c, .k = a->kernels, .out = out, .qkv = qkv, .tokens = tokens,
		             .n_tokens = n_tokens, .layer = layer, .thread = thread, .n_threads = n_threads,
		             .window = window ? window : INT_MAX,
		             .scale = c->score_scale ? c->score_scale : 1.0f / sqrtf((float)c->head_dim),
		             .share = c->n_heads / c->n_kv_heads, .nq = nq, .nqkv = nq + 2 * trit_config_kv_width(c) };
	bool split = worth_splitting(&view);

	if (!split && independent(&view)) {
		run_whole(&view, true);
		return;
	}
	rotate_and_store_all(&view);
	trit_pool_barrier(a->pool);
	if (split)
		run_split(&view);
	else
		run_whole(&view, false);
}
