/*
 * i2_s_layout.c - tells the layouts of I2_S apart.
 *
 * Of each layout: over some projections of some layers, Spearman's rank correlation between the zeros of columns,
 * counted in some rows, and the norm's weights; by Fisher's transformation each is, where nothing goes together, a
 * normally distributed number of variance 1, and so is their sum divided by the root of how many they are. In a trained
 * model of 3 million weights it is 51 for the layout that it has and 11 at most for others.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/i2_s_layout.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "kernel/layout.h"

enum { N_LAYOUTS = 3, LAYERS = 8, STRIPES = 16, STRIPE = 4, LEAST_COLS = 32 };

static const struct {
	uint32_t type;
	const char *name;
} layouts[N_LAYOUTS] = {
	{ TRIT_GGML_I2_S, "the layout of published models" },
	{ TRIT_GGML_I2_S_NEON, "blocks of 64, as bitnet.cpp writes it on Arm" },
	{ TRIT_GGML_I2_S_4ROW, "groups of four rows, as bitnet.cpp writes it when built without ACT_PARALLEL" },
};

/* Projections and the norms before them. */
static const struct {
	const char *projection, *norm;
} pairs[] = {
	{ "attn_q", "attn_norm" },
	{ "attn_output", "attn_sub_norm" },
	{ "ffn_gate", "ffn_norm" },
	{ "ffn_down", "ffn_sub_norm" },
};

/* A layout's numbers so far, and room for a tensor's columns. */
struct evidence {
	double sum[N_LAYOUTS];
	int n;
	int8_t *codes;       /* [cols] */
	struct ranked *list; /* [cols] */
	float *zeros, *norm; /* [cols]: ranks */
};

struct ranked {
	float value;
	uint32_t column;
};

static int compare_values(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int order = (x->value > y->value) - (x->value < y->value);
	return order ? order : (x->column > y->column) - (x->column < y->column);
}

/* Values become their ranks. */
static void rank(struct evidence *v, float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v->list[i] = (struct ranked){ x[i], (uint32_t)i };
	qsort(v->list, n, sizeof *v->list, compare_values);
	for (size_t i = 0; i < n; i++)
		x[v->list[i].column] = (float)i;
}

/* Of two lists of ranks. */
static double correlation(const float *a, const float *b, size_t n)
{
	double mean = (double)(n - 1) / 2, ab = 0, aa = 0;
	for (size_t i = 0; i < n; i++) {
		ab += ((double)a[i] - mean) * ((double)b[i] - mean);
		aa += ((double)a[i] - mean) * ((double)a[i] - mean);
	}
	return ab / aa;
}

/* The zeros of each column in some rows, a stripe of four here and there; false if the layout has a code 3. */
static bool count_zeros(struct evidence *v, uint32_t type, const struct trit_gguf_tensor *t)
{
	uint64_t cols = t->dims[0], rows = t->dims[1], stripes = rows / STRIPE;
	uint64_t n = stripes < STRIPES ? stripes : STRIPES;
	memset(v->zeros, 0, (size_t)cols * sizeof *v->zeros);
	for (uint64_t i = 0; i < n * STRIPE; i++) {
		uint64_t row = i / STRIPE * (stripes / n) * STRIPE + i % STRIPE;
		if (trit_ggml_decode_codes(type, t->data, rows, cols, row, 1, v->codes, NULL))
			return false;
		for (uint64_t c = 0; c < cols; c++)
			v->zeros[c] += v->codes[c] == 0;
	}
	return true;
}

/* Adds what a projection tells. */
static void hear(struct evidence *v, const struct trit_gguf_tensor *t, const struct trit_gguf_tensor *norm)
{
	size_t cols = (size_t)t->dims[0];
	double z[N_LAYOUTS];
	for (size_t i = 0; i < cols; i++) {
		float w = trit_f32_from_bits(trit_get32(norm->data + 4 * i));
		v->norm[i] = isnan(w) ? 0 : fabsf(w); /* NaN has no place in an order; it is refused later */
	}
	rank(v, v->norm, cols);
	for (int i = 0; i < N_LAYOUTS; i++) {
		if (!count_zeros(v, layouts[i].type, t))
			return;
		rank(v, v->zeros, cols);
		double r = correlation(v->zeros, v->norm, cols);
		z[i] = atanh(fmax(-0.999, fmin(0.999, r))) * sqrt((double)cols - 3);
	}
	for (int i = 0; i < N_LAYOUTS; i++)
		v->sum[i] += z[i];
	v->n++;
}

/* A projection of a layer that can tell something, and its norm. */
static bool find_pair(const struct trit_gguf *g, int layer, size_t pair, const struct trit_gguf_tensor **t,
                      const struct trit_gguf_tensor **norm)
{
	char name[64];
	snprintf(name, sizeof name, "blk.%d.%s.weight", layer, pairs[pair].projection);
	*t = trit_gguf_find_tensor(g, name);
	snprintf(name, sizeof name, "blk.%d.%s.weight", layer, pairs[pair].norm);
	*norm = trit_gguf_find_tensor(g, name);
	return *t && *norm && (*t)->type == TRIT_GGML_I2_S && (*norm)->type == TRIT_GGML_F32 && (*t)->n_dims == 2 &&
	       (*norm)->n_dims == 1 && (*norm)->dims[0] == (*t)->dims[0] && (*t)->dims[0] >= LEAST_COLS &&
	       (*t)->dims[0] <= TRIT_MAX_COLS && (*t)->dims[1] % STRIPE == 0;
}

static int gather(struct evidence *v, const struct trit_gguf *g, struct trit_error *err)
{
	const struct trit_gguf_tensor *t, *norm;
	v->codes = trit_calloc(TRIT_MAX_COLS, 1);
	v->list = trit_calloc(TRIT_MAX_COLS, sizeof *v->list);
	v->zeros = trit_calloc(TRIT_MAX_COLS, sizeof *v->zeros);
	v->norm = trit_calloc(TRIT_MAX_COLS, sizeof *v->norm);
	if (!v->codes || !v->list || !v->zeros || !v->norm)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to look at %d columns", TRIT_MAX_COLS);
	for (int layer = 0; layer < LAYERS; layer++)
		for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
			if (find_pair(g, layer, i, &t, &norm))
				hear(v, t, norm);
	return TRIT_OK;
}

/* The layout that the evidence is clearly for; -1: none. */
static int judge(const struct evidence *v, double score[N_LAYOUTS])
{
	int best = 0;
	double second = 0;
	for (int i = 0; i < N_LAYOUTS; i++) {
		score[i] = v->n ? fabs(v->sum[i]) / sqrt(v->n) : 0;
		best = score[i] > score[best] ? i : best;
	}
	for (int i = 0; i < N_LAYOUTS; i++)
		second = i != best && score[i] > second ? score[i] : second;
	return score[best] >= 8 && score[best] >= 2 * second ? best : -1;
}

int trit_settle_i2_s(struct trit_gguf *g, struct trit_notes *notes, struct trit_error *err)
{
	struct evidence v = { .n = 0 };
	double score[N_LAYOUTS];
	uint64_t found = 0;
	for (uint64_t i = 0; i < g->n_tensors; i++)
		found += g->tensors[i].type == TRIT_GGML_I2_S;
	if (!found)
		return TRIT_OK;
	int e = gather(&v, g, err), best = e ? -1 : judge(&v, score);
	trit_free(v.codes);
	trit_free(v.list);
	trit_free(v.zeros);
	trit_free(v.norm);
	if (e)
		return e;
	if (best < 0) {
		trit_note(notes, TRIT_NOTE_ASSUMED,
		          "I2_S has three layouts and nothing in the file tells which; taken for %s", layouts[0].name);
		return TRIT_OK;
	}
	trit_note(notes, best ? TRIT_NOTE_WARNING : TRIT_NOTE_FOUND,
	          "I2_S in %s: the zeros in its columns go with the norms' weights, %.0f standard deviations from chance "
	          "(in the other layouts %.0f and %.0f)",
	          layouts[best].name, score[best], score[best == 0], score[best == 2 ? 1 : 2]);
	for (uint64_t i = 0; i < g->n_tensors; i++)
		if (g->tensors[i].type == TRIT_GGML_I2_S && g->tensors[i].dims[1] % STRIPE == 0)
			g->tensors[i].type = layouts[best].type;
	return TRIT_OK;
}
