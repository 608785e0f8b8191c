/*
 * selftest.c - one tiny case for every kernel.
 *
 * A case is a function that calls one member of a table on the common inputs and puts all results into one array; it is
 * called with plain C and with the table under test, and the arrays are compared. N is not a multiple of 16, so both
 * the wide loop and the remainder run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/selftest.h"

#include <stddef.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"

enum {
	N = 83,
	N_PADDED = 128,
	ROWS = 83, /* 64 and a partial block of 16 */
	TOKENS = 65, /* more than any tier computes straight from the weights */
	WIDTH = 32,
	HEAD = 36, /* of an attention head: a group of 32 and a rest */
	N_OUT = TOKENS * N_PADDED,
};

struct input {
	float a[N_PADDED], b[N_PADDED], positive[N_PADDED], many[TOKENS * N_PADDED], whole[TOKENS * N_PADDED];
	int8_t q[TOKENS * N_PADDED], values[ROWS * N];
	int32_t sum[TOKENS];
	float step[TOKENS];
	unsigned char weights[TRIT_N_LAYOUTS][6 * 32 * 64]; /* six blocks; the least dense layout has 21 vectors in each */
	float scales[6 * 16 * 2];
	uint16_t f16[WIDTH * WIDTH], bf16[4 * N_PADDED];
	unsigned char q8_0[4 * N_PADDED / 32 * 34];
	float *scratch; /* of gemm_f32, and pages of keys and values */
};

/* Results: fewer than fit, the rest stays zero. */
struct output {
	float f[2 * N_OUT];
	int32_t i[4];
};

static void act_quant(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->act_quant((int8_t *)o->f, &o->f[N_OUT], &o->i[0], in->a, N, N_PADDED);
}

static void act_quant4(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->act_quant4((int8_t *)o->f, &o->f[N_OUT], &o->i[0], in->a, N, N_PADDED);
}

static void ternarize(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->ternarize((int8_t *)o->f, in->a, 1.25f, N);
}

static void binarize(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->binarize((int8_t *)o->f, in->a, in->a[5], N);
}

static void dequant_i8(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->dequant_i8(o->f, in->q, 0.37f, N);
}

static void rmsnorm_quant(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->rmsnorm_quant((int8_t *)o->f, &o->f[N_OUT], &o->i[0], in->a, in->b, 1e-6f, N, N_PADDED);
}

/* All ways of the products: one token, a few with a scale for each row, all, all with a scale for each group. */
static void gemm_int(const struct trit_kernels *k, const struct input *in, struct output *o, int layout)
{
	static const struct {
		enum trit_scaling scaling;
		int tokens;
	} ways[] = {{TRIT_SCALE_TENSOR, 1},  {TRIT_SCALE_ROW, 3},      {TRIT_SCALE_TENSOR, TOKENS},
	            {TRIT_SCALE_GROUP64, 2}, {TRIT_SCALE_GROUP64, 17}};
	float *y = o->f;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; y += ROWS * ways[i++].tokens)
		k->gemm_int[layout](&(struct trit_gemm_int){
			.y = y, .ldy = ROWS, .w = in->weights[layout], .scale = in->scales, .scaling = ways[i].scaling,
			.q = in->q, .ldq = N_PADDED, .sum = in->sum, .step = in->step, .rows = ROWS, .tokens = ways[i].tokens,
			.cols = N
		});
}

static const void *dense_weights(const struct input *in, int type)
{
	switch (type) {
	case TRIT_DENSE_F32: return in->many;
	case TRIT_DENSE_F16: return in->f16;
	case TRIT_DENSE_BF16: return in->bf16;
	default: return in->q8_0;
	}
}

static void gemm_dense(const struct trit_kernels *k, const struct input *in, struct output *o, int type)
{
	int cols = type == TRIT_DENSE_Q8_0 ? N_PADDED : N;
	k->gemm_dense[type](o->f, 4, dense_weights(in, type), in->many, N_PADDED, 4, TOKENS, cols);
}

static void row_dense(const struct trit_kernels *k, const struct input *in, struct output *o, int type)
{
	k->row_dense[type](o->f, dense_weights(in, type), type == TRIT_DENSE_Q8_0 ? N_PADDED : N);
}

static void gemm_f32(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	if (!in->scratch)
		return;
	k->gemm_f32(o->f, 40, in->many, N_PADDED, 1, in->many + 3, 1, N_PADDED - 7, TOKENS, 5, N - 8, false, in->scratch);
	k->gemm_f32(o->f + 5, 40, in->many, 1, N_PADDED, in->many, N_PADDED, 1, TOKENS, 35, TOKENS, true, in->scratch);
}

/* Of integers, exact in any order of the sums. */
static void gemm_bf16(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	if (!in->scratch)
		return;
	const float *x = in->whole;
	k->gemm_bf16(o->f, 40, x, N_PADDED, 1, x + 3, 1, N_PADDED - 7, TOKENS, 5, N - 8, false, in->scratch);
	k->gemm_bf16(o->f + 5, 40, x, 1, N_PADDED, x, N_PADDED, 1, TOKENS, 35, TOKENS, true, in->scratch);
}

static void rmsnorm(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	o->f[N_OUT] = k->rmsnorm(o->f, in->a, in->b, 1e-6f, N);
}

/* With a bias and without. */
static void layernorm(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->layernorm(o->f, in->a, in->b, in->many, 1e-5f, N);
	k->layernorm(o->f + N_OUT, in->a, in->b, NULL, 1e-5f, N);
}

static void add(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->b, sizeof in->b);
	k->add(o->f, in->a, N);
}

static void add_scaled(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->b, sizeof in->b);
	k->add_scaled(o->f, in->a, 0.3f, N);
}

static void hadamard(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	memcpy(o->f + N_PADDED, in->b, sizeof in->b);
	k->hadamard(o->f, N_PADDED);
	k->hadamard(o->f + N_PADDED, 8);
}

/* scale (0), softcap (1). */
static void in_place(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	memcpy(o->f, in->a, sizeof in->a);
	(arg ? k->softcap : k->scale)(o->f, 0.7f, N);
}

/* silu_mul (0), relu2_mul (1), gelu_mul (2). */
static void glu(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	trit_silu_mul_fn *const members[] = {k->silu_mul, k->relu2_mul, k->gelu_mul};
	members[arg](o->f, in->a, in->b, N);
}

static void rope(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->many, sizeof in->many);
	memcpy(o->f + N_OUT, in->many, sizeof in->many);
	k->rope(o->f, in->a, in->b, 2, 40, 36, true, false);
	k->rope(o->f + N_OUT, in->a, in->b, 2, 40, 36, false, true);
}

static void softmax(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	k->softmax(o->f, N);
}

static void exp_sum(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	o->f[N_OUT] = k->exp_sum(&o->f[N_OUT + 1], o->f, 0.3f, N);
}

static void probability_quant(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	int8_t *hi = (int8_t *)o->f, *lo = hi + N_PADDED;
	(void)arg;
	k->probability_quant(hi, lo, &o->i[0], &o->i[1], &o->f[N_OUT], in->positive, in->positive + 1, N - 1, N_PADDED);
}

static void sum_exp(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	o->f[0] = k->sum_exp(&o->f[1], in->a, N);
}

/* sum_squares (0), sum_abs (1), sum (2). */
static void sum(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	trit_sum_fn *const members[] = {k->sum_squares, k->sum_abs, k->sum};
	o->f[0] = members[arg](in->a, N);
}

/* A page for heads of HEAD elements, in the memory of gemm_f32: any halves make finite numbers of each type. */
static unsigned char *make_page(const struct input *in, enum trit_kv_type type)
{
	unsigned char *page = (unsigned char *)in->scratch;
	for (size_t i = 0, bytes = trit_kv_page_bytes(type, HEAD); i < bytes; i += sizeof in->f16)
		memcpy(page + i, in->f16, bytes - i < sizeof in->f16 ? bytes - i : sizeof in->f16);
	return page;
}

static void kv_put(const struct trit_kernels *k, const struct input *in, struct output *o, int type)
{
	if (!in->scratch)
		return;
	unsigned char *page = make_page(in, (enum trit_kv_type)type), *folded = (unsigned char *)o->f;
	k->kv_put[type](page, in->a, in->b, HEAD, 117);
	for (size_t i = 0; i < trit_kv_page_bytes((enum trit_kv_type)type, HEAD); i++)
		folded[i % sizeof o->f] ^= page[i];
}

static void attend_scores(const struct trit_kernels *k, const struct input *in, struct output *o, int type)
{
	if (in->scratch)
		k->attend_scores[type](o->f, 64, in->many, N_PADDED, make_page(in, (enum trit_kv_type)type), 0, 0.2f, HEAD,
		                       TOKENS, 0, 64);
}

static void attend_values(const struct trit_kernels *k, const struct input *in, struct output *o, int type)
{
	if (in->scratch)
		k->attend_values[type](o->f, HEAD * 3, HEAD, in->many, N_PADDED, in->many,
		                       make_page(in, (enum trit_kv_type)type), 0, HEAD, 0, HEAD, 15, 3, 67);
}

static void rmsnorm_backward(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->many, sizeof in->a);
	k->rmsnorm_backward(o->f, in->a, in->b, in->many + N, 0.8f, N);
}

static void rmsnorm_backward_w(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	k->rmsnorm_backward_w(o->f, in->many, in->many + 1, N_PADDED, in->step, TOKENS - 1, N);
}

/* silu_mul_backward (0), relu2_mul_backward (1). */
static void glu_backward(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(arg ? k->relu2_mul_backward : k->silu_mul_backward)(o->f, o->f + N_OUT, in->a, in->b, in->many, N);
}

static void scores_backward(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	memcpy(o->f + N_OUT, in->b, sizeof in->b);
	k->scores_backward(o->f, o->f + N_OUT, 0.7f, 1.5f, 0.3f, N);
}

static void softmax_backward(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	k->softmax_backward(o->f, in->positive, 0.3f, N);
}

static void cross_entropy(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	o->f[N_OUT] = k->cross_entropy(o->f, 17, 0.5f, 0.01f, N);
}

static void adamw(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	const struct trit_adamw p = {1e-2f, 0.9f, 0.95f, 1e-8f, 0.1f, 1.9f, 2.3f, 0.5f};
	(void)arg;
	memcpy(o->f, in->a, sizeof in->a);
	memcpy(o->f + N_PADDED, in->b, sizeof in->b);
	memcpy(o->f + 2 * N_PADDED, in->positive, sizeof in->positive);
	k->adamw(o->f, o->f + N_PADDED, o->f + 2 * N_PADDED, in->many, &p, N);
}

static void grad_quant(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->grad_quant((int8_t *)o->f, &o->f[N_OUT], o->i, in->a, in->b, N, N_PADDED, 2);
	k->grad_quant((int8_t *)(o->f + N_PADDED), &o->f[N_OUT + 2], o->i + 2, in->a, NULL, N, N_PADDED, 1);
}

static void max_abs(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->positive, sizeof in->positive);
	k->max_abs(o->f, in->a, -0.7f, N);
}

static void grad_quant_columns(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	for (int bytes = 1; bytes <= 2; bytes++) {
		unsigned char *w = (unsigned char *)(o->f + (bytes - 1) * N_OUT / 2);

		k->grad_quant_columns(w, &o->f[N_OUT + bytes * N_PADDED], in->many, N_PADDED, in->step, in->positive, TOKENS, N,
		                      bytes);
	}
}

static void transpose_i8(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	int32_t sum[N] = {0};
	(void)arg;
	k->transpose_i8((int8_t *)o->f, TOKENS, sum, in->q, N_PADDED, TOKENS, N);
	memcpy(&o->f[N_OUT], sum, sizeof sum);
}

static void add_pairs(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	memcpy(o->f, in->many, sizeof in->many);
	k->add_pairs(o->f, N, in->many, N_PADDED, TOKENS / 2, N, true);
	k->add_pairs(o->f + N_OUT, N, in->many, N_PADDED, TOKENS / 2, N, false);
}

static void add_transposed(const struct trit_kernels *k, const struct input *in, struct output *o, int arg)
{
	(void)arg;
	k->add_transposed(o->f, TOKENS, in->many, N_PADDED, TOKENS, N / 2, 2);
	k->add_transposed(o->f + N_OUT, TOKENS, in->many, N_PADDED, TOKENS, N / 2, 1);
}

#define CASE(name) {#name, offsetof(struct trit_kernels, name), name, 0}
#define CASE_OF(name, run, arg) {#name, offsetof(struct trit_kernels, name), run, arg}

static const struct self_case {
	const char *name;
	size_t member;
	void (*run)(const struct trit_kernels *k, const struct input *in, struct output *o, int arg);
	int arg;
} cases[] = {
	CASE(act_quant),
	CASE(act_quant4),
	CASE(ternarize),
	CASE(binarize),
	CASE(dequant_i8),
	CASE(rmsnorm_quant),
	CASE_OF(gemm_int[TRIT_T2], gemm_int, TRIT_T2),
	CASE_OF(gemm_int[TRIT_T5], gemm_int, TRIT_T5),
	CASE_OF(gemm_int[TRIT_B1], gemm_int, TRIT_B1),
	CASE_OF(gemm_int[TRIT_I8], gemm_int, TRIT_I8),
	CASE_OF(gemm_int[TRIT_I6], gemm_int, TRIT_I6),
	CASE_OF(gemm_int[TRIT_I4], gemm_int, TRIT_I4),
	CASE_OF(gemm_dense[TRIT_DENSE_F32], gemm_dense, TRIT_DENSE_F32),
	CASE_OF(gemm_dense[TRIT_DENSE_F16], gemm_dense, TRIT_DENSE_F16),
	CASE_OF(gemm_dense[TRIT_DENSE_BF16], gemm_dense, TRIT_DENSE_BF16),
	CASE_OF(gemm_dense[TRIT_DENSE_Q8_0], gemm_dense, TRIT_DENSE_Q8_0),
	CASE_OF(row_dense[TRIT_DENSE_F32], row_dense, TRIT_DENSE_F32),
	CASE_OF(row_dense[TRIT_DENSE_F16], row_dense, TRIT_DENSE_F16),
	CASE_OF(row_dense[TRIT_DENSE_BF16], row_dense, TRIT_DENSE_BF16),
	CASE_OF(row_dense[TRIT_DENSE_Q8_0], row_dense, TRIT_DENSE_Q8_0),
	CASE(gemm_f32),
	CASE(gemm_bf16),
	CASE(rmsnorm),
	CASE(layernorm),
	CASE(add),
	CASE(add_scaled),
	CASE(hadamard),
	CASE_OF(scale, in_place, 0),
	CASE_OF(silu_mul, glu, 0),
	CASE_OF(relu2_mul, glu, 1),
	CASE_OF(gelu_mul, glu, 2),
	CASE_OF(softcap, in_place, 1),
	CASE(rope),
	CASE(softmax),
	CASE(sum_exp),
	CASE(exp_sum),
	CASE(probability_quant),
	CASE_OF(sum_squares, sum, 0),
	CASE_OF(sum_abs, sum, 1),
	CASE_OF(sum, sum, 2),
	CASE_OF(kv_put[TRIT_KV_F32], kv_put, TRIT_KV_F32),
	CASE_OF(kv_put[TRIT_KV_F16], kv_put, TRIT_KV_F16),
	CASE_OF(kv_put[TRIT_KV_Q4], kv_put, TRIT_KV_Q4),
	CASE_OF(attend_scores[TRIT_KV_F32], attend_scores, TRIT_KV_F32),
	CASE_OF(attend_scores[TRIT_KV_F16], attend_scores, TRIT_KV_F16),
	CASE_OF(attend_scores[TRIT_KV_Q4], attend_scores, TRIT_KV_Q4),
	CASE_OF(attend_values[TRIT_KV_F32], attend_values, TRIT_KV_F32),
	CASE_OF(attend_values[TRIT_KV_F16], attend_values, TRIT_KV_F16),
	CASE_OF(attend_values[TRIT_KV_Q4], attend_values, TRIT_KV_Q4),
	CASE(rmsnorm_backward),
	CASE(rmsnorm_backward_w),
	CASE_OF(silu_mul_backward, glu_backward, 0),
	CASE_OF(relu2_mul_backward, glu_backward, 1),
	CASE(softmax_backward),
	CASE(scores_backward),
	CASE(cross_entropy),
	CASE(grad_quant),
	CASE(max_abs),
	CASE(grad_quant_columns),
	CASE(transpose_i8),
	CASE(add_pairs),
	CASE(add_transposed),
	CASE(adamw),
};

/* Every member of the table but the tier is a function with a case, but for the three of TRIT_KV_AUTO. */
_Static_assert(sizeof(struct trit_kernels) - offsetof(struct trit_kernels, act_quant) ==
                   (sizeof cases / sizeof *cases + 3) * sizeof(void (*)(void)),
               "a kernel has no self-test");

static void fill_input(struct input *in)
{
	struct trit_rng rng;

	trit_rng_init(&rng, 1);
	for (int i = 0; i < N_PADDED; i++) {
		in->a[i] = 2 * trit_rng_normal(&rng);
		in->b[i] = trit_rng_normal(&rng);
		in->positive[i] = trit_rng_uniform(&rng);
	}
	for (int i = 0; i < TOKENS * N_PADDED; i++) {
		in->many[i] = trit_rng_normal(&rng);
		in->whole[i] = (float)trit_rng_below(&rng, 17) - 8;
	}
	for (int t = 0; t < TOKENS; t++) {
		in->step[t] = trit_rng_normal(&rng);
		for (int i = 0; i < N; i++) {
			int8_t *q = &in->q[t * N_PADDED + i];
			*q = (int8_t)((int)trit_rng_below(&rng, 255) - 127);
			in->sum[t] += *q;
		}
	}
	for (int l = 0; l < TRIT_N_LAYOUTS; l++) {
		const struct trit_layout_info *info = &trit_layouts[l];
		for (int i = 0; i < ROWS * N; i++) {
			int v = info->min + (int)trit_rng_below(&rng, (uint64_t)(info->max - info->min + 1));
			in->values[i] = (int8_t)(l == TRIT_B1 ? (v > 0 ? 1 : -1) : v);
		}
		trit_pack((enum trit_layout)l, in->weights[l], 0, in->values, ROWS, N);
	}
	for (size_t i = 0; i < sizeof in->scales / sizeof *in->scales; i++)
		in->scales[i] = trit_rng_normal(&rng);
	for (int i = 0; i < WIDTH * WIDTH; i++)
		in->f16[i] = trit_f32_to_f16(trit_rng_normal(&rng));
	for (int i = 0; i < 4 * N_PADDED; i++)
		in->bf16[i] = trit_f32_to_bf16(trit_rng_normal(&rng));
	for (int i = 0; i < (int)sizeof in->q8_0; i++)
		in->q8_0[i] = (unsigned char)trit_rng_next(&rng);
	for (int i = 0; i < 4 * N_PADDED / 32; i++)
		trit_put16(in->q8_0 + 34 * i, trit_f32_to_f16(trit_rng_uniform(&rng)));
}

void trit_kernels_selftest(struct trit_kernels *k, const struct trit_kernels *c)
{
	const size_t pointer = sizeof(void (*)(void));
	struct input *in = trit_calloc(1, sizeof *in);
	struct output *expected = trit_calloc(2, sizeof *expected), *got = expected ? expected + 1 : NULL;

	if (in && expected) {
		in->scratch = trit_calloc(TRIT_GEMM_SCRATCH, sizeof(float));
		fill_input(in);
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			const struct self_case *test = &cases[i];
			char *of_k = (char *)k + test->member;
			const char *of_c = (const char *)c + test->member;
			if (!memcmp(of_k, of_c, pointer))
				continue;
			memset(expected, 0, 2 * sizeof *expected);
			test->run(c, in, expected, test->arg);
			test->run(k, in, got, test->arg);
			if (memcmp(expected, got, sizeof *got) != 0) {
				trit_log(TRIT_LOG_WARNING, "kernel %s of tier %s failed its self-test; plain C is used instead",
				         test->name, trit_tier_name(k->tier));
				memcpy(of_k, of_c, pointer);
			}
		}
		trit_free(in->scratch);
	} else {
		trit_log(TRIT_LOG_WARNING, "no memory for the kernels' self-test");
	}
	trit_free(expected);
	trit_free(in);
}
