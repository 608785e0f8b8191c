/*
 * tiny_model.h - a small model with random weights, made in memory and written with trit_export.
 *
 * Include after cmocka.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TESTS_TINY_MODEL_H
#define TRIT_TESTS_TINY_MODEL_H

#include "base/rng.h"
#include "convert/export.h"

/* A network of the architecture: 48 tokens, 2 layers, grouped-query attention. Widths as given. */
static inline struct trit_config tiny_config(const char *arch, int d_model, int d_ff)
{
	struct trit_config c = { .n_vocab = 48, .n_layers = 2,
		                 .d_model = d_model, .d_ff = d_ff, .n_heads = 4, .n_kv_heads = 2, .head_dim = d_model / 4,
		                 .n_rot = d_model / 4, .n_ctx = 64, .rope_base = 10000, .eps = 1e-5f, .tied = true,
		                 .name = "tiny" };
	trit_config_set_arch(&c, trit_arch_by_name(arch, strlen(arch)));
	return c;
}

/* Weights are a function of tensor and layer only, so every call gives the same. */
static inline void tiny_seed(struct trit_rng *r, const struct trit_tensor_walk *w)
{
	trit_rng_init(r, (uint64_t)w->id * 1000 + (uint64_t)w->layer + 1);
}

/* Draws what stands before row row0. */
static inline void tiny_skip(struct trit_rng *r, const struct trit_tensor_walk *w, size_t row0)
{
	tiny_seed(r, w);
	for (size_t i = 0; i < row0 * w->cols; i++)
		(void)trit_rng_next(r);
}

static inline int tiny_scales(void *arg, const struct trit_tensor_walk *w, float *scales, struct trit_error *err)
{
	const enum trit_scaling *scaling = arg;
	struct trit_rng r;

	(void)err;
	tiny_seed(&r, w);
	for (size_t i = 0; i < trit_scale_count(scaling ? *scaling : TRIT_SCALE_TENSOR, w->rows, w->cols); i++)
		scales[i] = 0.05f + 0.1f * trit_rng_uniform(&r); /* a number that fp16 cannot hold */
	return 0;
}

static inline int tiny_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                             struct trit_error *err)
{
	struct trit_rng r;

	(void)arg, (void)err;
	tiny_skip(&r, w, row0);
	for (size_t i = 0; i < n * w->cols; i++)
		codes[i] = (int8_t)(trit_rng_next(&r) % 3) - 1;
	return 0;
}

/* The same without a 0. */
static inline int tiny_binary_codes(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, int8_t *codes,
                                    struct trit_error *err)
{
	struct trit_rng r;

	(void)arg, (void)err;
	tiny_skip(&r, w, row0);
	for (size_t i = 0; i < n * w->cols; i++)
		codes[i] = (int8_t)(trit_rng_next(&r) >> 63 ? 1 : -1);
	return 0;
}

static inline int tiny_floats(void *arg, const struct trit_tensor_walk *w, size_t row0, size_t n, float *out,
                              struct trit_error *err)
{
	struct trit_rng r;

	(void)arg, (void)err;
	tiny_skip(&r, w, row0);
	for (size_t i = 0; i < n * w->cols; i++)
		out[i] = (trit_walk_kind(w) == TRIT_KIND_NORM && !w->bias ? 1.0f : 0.0f) + trit_rng_uniform(&r) - 0.5f;
	return 0;
}

static inline struct trit_source tiny_source(struct trit_config c, bool quantised)
{
	return (struct trit_source){ .config = c, .quantised = quantised, .scales = tiny_scales, .codes = tiny_codes,
		                     .floats = tiny_floats };
}

#endif
