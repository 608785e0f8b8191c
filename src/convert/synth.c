/*
 * synth.c - models of random weights.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/synth.h"

#include <math.h>

#include "base/rng.h"

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

/* The paper's sizes [Tips, table 1], larger ones as LLaMA's of that size, and BitNet b1.58 2B4T [2B4T, table 1]. */
static const struct size {
	const char *name;
	int n_vocab, n_layers, d_model, d_ff, n_heads, n_kv_heads, n_ctx;
	float rope_base;
} sizes[] = {
	{ "700m", 32000, 24, 1536, 4096, 24, 24, 2048, 10000 },
	{ "1.3b", 32000, 24, 2048, 5460, 32, 32, 2048, 10000 },
	{ "2b4t", 128256, 30, 2560, 6912, 20, 5, 4096, 500000 },
	{ "3b", 32000, 26, 3200, 8640, 32, 32, 2048, 10000 },
	{ "3.9b", 32000, 26, 3200, 12800, 32, 32, 2048, 10000 },
	{ "7b", 32000, 32, 4096, 11008, 32, 32, 2048, 10000 },
	{ "13b", 32000, 40, 5120, 13824, 40, 40, 2048, 10000 },
	{ "70b", 32000, 80, 8192, 28672, 64, 8, 2048, 10000 },
};

const char *trit_synth_sizes(void)
{
	return "700m, 1.3b, 2b4t, 3b, 3.9b, 7b, 13b, 70b";
}

int trit_synth_size(struct trit_config *c, const char *name, struct trit_error *err)
{
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		const struct size *s = &sizes[i];
		if (strcmp(s->name, name) != 0)
			continue;
		c->n_vocab = s->n_vocab;
		c->n_layers = s->n_layers;
		c->d_model = s->d_model;
		c->d_ff = s->d_ff;
		c->n_heads = s->n_heads;
		c->n_kv_heads = s->n_kv_heads;
		c->n_ctx = s->n_ctx;
		c->rope_base = s->rope_base;
		return TRIT_OK;
	}
	return trit_fail(err, TRIT_ERR_ARG, "no size is called \"%.32s\"; there are %s", name, trit_synth_sizes());
}

/* ---- random weights ---------------------------------------------------------------------------------------------- */

struct source {
	const struct trit_synth *synth;
	int8_t digits[256][8]; /* the five ternary digits of a byte below 243 */
};

/* The generator of one row. Row -1 is for scales. */
static struct trit_rng row_rng(const struct trit_synth *s, const struct trit_tensor_walk *w, int64_t row)
{
	struct trit_rng r;
	uint64_t tensor = trit_hash64(s->seed) + (uint64_t)w->layer * TRIT_N_TENSORS + (uint64_t)w->id;
	trit_rng_init(&r, trit_hash64(tensor) + (uint64_t)row);
	return r;
}

static void fill_digits(struct source *s)
{
	for (int b = 0; b < 256; b++)
		for (int d = 0, rest = b; d < 5; d++, rest /= 3)
			s->digits[b][d] = (int8_t)(rest % 3 - 1);
}

/* Five weights of each random byte; a byte that is not below 243 = 3^5 is passed over, which keeps all three alike. */
static void random_ternary(const struct source *s, int8_t *out, size_t n, struct trit_rng *r)
{
	while (n > 0) {
		int8_t some[48];
		uint64_t word = trit_rng_next(r);
		size_t have = 0;
		for (int i = 0; i < 8; i++, word >>= 8) {
			memcpy(some + have, s->digits[word & 255], 8);
			have += (word & 255) < 243 ? 5 : 0;
		}
		have = have < n ? have : n;
		memcpy(out, some, have);
		out += have;
		n -= have;
	}
}

static void random_binary(int8_t *out, size_t n, struct trit_rng *r)
{
	uint64_t word = 0;
	for (size_t i = 0; i < n; i++, word >>= 1) {
		if (i % 64 == 0)
			word = trit_rng_next(r);
		out[i] = (int8_t)(2 * (int)(word & 1) - 1);
	}
}

static int random_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                        struct trit_error *err)
{
	const struct source *s = arg;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct trit_rng r = row_rng(s->synth, w, (int64_t)(row0 + i));
		if (s->synth->binary)
			random_binary(codes + i * w->cols, w->cols, &r);
		else
			random_ternary(s, codes + i * w->cols, w->cols, &r);
	}
	return TRIT_OK;
}

/* About 1 / sqrt(sum of squares of a row's codes), each scale a little different. */
static int random_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	const struct source *s = arg;
	struct trit_rng r = row_rng(s->synth, w, -1);
	float base = 1 / sqrtf((float)w->cols * (s->synth->binary ? 1.0f : 2.0f / 3));
	(void)err;
	for (size_t i = 0, n = trit_scale_count(s->synth->scaling, w->rows, w->cols); i < n; i++)
		scales[i] = base * (0.75f + 0.5f * trit_rng_uniform(&r));
	return TRIT_OK;
}

/* The sum of four uniform numbers is near enough to a normal one, and a tenth of the work. */
static int random_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                         struct trit_error *err)
{
	const struct source *s = arg;
	const float factor = 0.02f / 37837; /* the deviation of four numbers below 65536 is 65536 sqrt(4 / 12) */
	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct trit_rng r = row_rng(s->synth, w, (int64_t)(row0 + i));
		for (size_t c = 0; c < w->cols; c++, out++) {
			if (trit_walk_kind(w) == TRIT_KIND_NORM) {
				*out = !w->bias;
				continue;
			}
			uint64_t x = trit_rng_next(&r);
			int sum = (int)(x & 65535) + (int)(x >> 16 & 65535) + (int)(x >> 32 & 65535) + (int)(x >> 48);
			*out = (float)(sum - 2 * 65535) * factor;
		}
	}
	return TRIT_OK;
}

int trit_synth(const char *path, const struct trit_synth *s, const struct trit_export_options *o,
               struct trit_error *err)
{
	struct source source = { .synth = s };
	struct trit_source t = { .config = s->config, .quantised = true, .scaling = s->scaling, .arg = &source,
		                 .scales = random_scales, .codes = random_codes, .floats = random_floats };
	if (trit_config_check(&s->config, err)) {
		if (err)
			err->status = TRIT_ERR_ARG;
		return TRIT_ERR_ARG;
	}
	fill_digits(&source);
	return trit_export(path, &t, o, err);
}
