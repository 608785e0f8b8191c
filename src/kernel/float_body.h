/*
 * float_body.h - the float kernels of inference, written once on vec.h and compiled for each instruction set. Contracts
 * are in kernel.h.
 *
 * The includer defines VEC_C, VEC_AVX2 or VEC_AVX512, and calls float_init().
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/vec.h" /* before error.h, which bans what immintrin.h uses */

#include "kernel/tiers.h"

/**
 * x = n ln 2 + r, n whole, |r| <= ln 2 / 2; returns e^r - 1 = r + r^2 p(r), p of degree 4 fitted for the least largest
 * relative error of e^r, 3.1e-9.
 */
VEC_INLINE struct vec exp_reduced(struct vec x, struct vec *n)
{
	*n = vec_round(vec_mul(x, vec_set1(0x1.715476p+0f)));
	struct vec r = vec_fma(*n, vec_set1(-0x1.62e43p-1f), x); /* ln 2 in two parts */
	r = vec_fma(*n, vec_set1(0x1.05c61p-29f), r);

	struct vec p = vec_set1(0x1.6a23cep-10f);
	p = vec_fma(p, r, vec_set1(0x1.123a2p-7f));
	p = vec_fma(p, r, vec_set1(0x1.5558f2p-5f));
	p = vec_fma(p, r, vec_set1(0x1.555492p-3f));
	p = vec_fma(p, r, vec_set1(0x1.fffffcp-2f));
	return vec_fma(p, vec_mul(r, r), r);
}

/**
 * e^x, error below 1.01 ulp (all floats were tried). Overflow gives infinity, what rounds to nothing 0, NaN stays NaN.
 */
VEC_INLINE struct vec vec_exp(struct vec x)
{
	/* vec_max and vec_min give their second operand when one is NaN: this order keeps it. */
	x = vec_min(vec_set1(89.0f), vec_max(vec_set1(-104.0f), x));
	struct vec n, p = vec_add(exp_reduced(x, &n), vec_set1(1));
	return vec_times_pow2(p, n);
}

/** tanh x = m / (m + 2), m = e^2x - 1 = 2^n (e^r - 1) + (2^n - 1): no digit is lost near 0. 1 beyond 10, to the bit. */
VEC_INLINE struct vec vec_tanh(struct vec x)
{
	x = vec_min(vec_set1(10), vec_max(vec_set1(-10), x));
	struct vec n, p = exp_reduced(vec_add(x, x), &n), power = vec_pow2(n);
	struct vec m = vec_fma(power, p, vec_sub(power, vec_set1(1)));
	return vec_div(m, vec_add(m, vec_set1(2)));
}

static float sum_squares(const float *x, int n)
{
	struct vec s = vec_zero();

	VEC_FOR(i, m, n) {
		struct vec v = vec_load_n(x + i, m);
		s = vec_fma(v, v, s);
	}
	return vec_sum(s);
}

static float sum_abs(const float *x, int n)
{
	struct vec s = vec_zero();

	VEC_FOR(i, m, n)
		s = vec_add(s, vec_abs(vec_load_n(x + i, m)));
	return vec_sum(s);
}

static float sum(const float *x, int n)
{
	struct vec s = vec_zero();

	VEC_FOR(i, m, n)
		s = vec_add(s, vec_load_n(x + i, m));
	return vec_sum(s);
}

VEC_INLINE struct vec normed(const float *x, const float *w, float r, int m)
{
	return vec_mul(vec_mul(vec_load_n(x, m), vec_set1(r)), vec_load_n(w, m));
}

static float rmsnorm(float *y, const float *x, const float *w, float eps, int n)
{
	float r = 1 / sqrtf(sum_squares(x, n) / (float)n + eps);

	VEC_FOR(i, m, n)
		vec_store_n(y + i, normed(x + i, w + i, r, m), m);
	return r;
}

static void layernorm(float *y, const float *x, const float *w, const float *bias, float eps, int n)
{
	struct vec mean = vec_set1(sum(x, n) / (float)n), s = vec_zero();

	VEC_FOR(i, m, n) {
		struct vec d = vec_fill(vec_sub(vec_load_n(x + i, m), mean), m, 0);
		s = vec_fma(d, d, s);
	}
	struct vec r = vec_set1(1 / sqrtf(vec_sum(s) / (float)n + eps));
	VEC_FOR(i, m, n) {
		struct vec d = vec_mul(vec_sub(vec_load_n(x + i, m), mean), r), wi = vec_load_n(w + i, m);
		vec_store_n(y + i, bias ? vec_fma(d, wi, vec_load_n(bias + i, m)) : vec_mul(d, wi), m);
	}
}

/* ---- activations in 8 and 4 bits --------------------------------------------------------------------------------- */

/** The larger of |x| and max, lane by lane; max where x is not a number. */
VEC_INLINE struct vec larger(struct vec x, struct vec max)
{
	return vec_max(vec_abs(x), max);
}

/**
 * Stores m quantised values and adds them to sum. Sums are exact in fp32: at most 65536 * 127 < 2^24. In 8 bits the
 * clamp is for inputs that are not finite, whose product is not a number: `most` on every tier.
 */
VEC_INLINE void quantise(int8_t *q, struct vec *sum, struct vec x, float scale, float least, float most, int m)
{
	struct vec v = vec_round(vec_mul(x, vec_set1(scale)));

	v = vec_max(vec_min(v, vec_set1(most)), vec_set1(least));
	vec_store_i8_n(q, v, m);
	*sum = vec_add(*sum, m == 16 ? v : vec_fill(v, m, 0));
}

static void act_quant(int8_t *q, float *step, int32_t *sum, const float *x, int n, int n_padded)
{
	struct vec max = vec_set1(1e-5f), total = vec_zero();

	VEC_FOR(i, m, n)
		max = larger(vec_load_n(x + i, m), max);
	float a = vec_max_all(max);
	VEC_FOR(i, m, n)
		quantise(q + i, &total, vec_load_n(x + i, m), 127 / a, -127, 127, m);
	memset(q + n, 0, (size_t)(n_padded - n));
	*step = a / 127;
	*sum = (int32_t)vec_sum(total);
}

static float rmsnorm_quant(int8_t *q, float *step, int32_t *sum, const float *x, const float *w, float eps, int n,
                           int n_padded)
{
	struct vec max = vec_set1(1e-5f), total = vec_zero();
	float r = 1 / sqrtf(sum_squares(x, n) / (float)n + eps);

	VEC_FOR(i, m, n)
		max = larger(normed(x + i, w + i, r, m), max);
	float a = vec_max_all(max);
	VEC_FOR(i, m, n)
		quantise(q + i, &total, normed(x + i, w + i, r, m), 127 / a, -127, 127, m);
	memset(q + n, 0, (size_t)(n_padded - n));
	*step = a / 127;
	*sum = (int32_t)vec_sum(total);
	return r;
}

static void act_quant4(int8_t *q, float *step, int32_t *sum, const float *x, int n, int n_padded)
{
	const float root = 0x1.52a7fap+1f; /* sqrt(7) */
	float mean = sum_abs(x, n) / (float)n, a = mean > 1e-5f ? mean : 1e-5f;
	struct vec total = vec_zero();

	VEC_FOR(i, m, n)
		quantise(q + i, &total, vec_load_n(x + i, m), root / a, -8, 7, m);
	memset(q + n, 0, (size_t)(n_padded - n));
	*step = a / root;
	*sum = (int32_t)vec_sum(total);
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static void add(float *y, const float *x, int n)
{
	VEC_FOR(i, m, n)
		vec_store_n(y + i, vec_add(vec_load_n(y + i, m), vec_load_n(x + i, m)), m);
}

static void add_scaled(float *y, const float *x, float a, int n)
{
	VEC_FOR(i, m, n)
		vec_store_n(y + i, vec_fma(vec_set1(a), vec_load_n(x + i, m), vec_load_n(y + i, m)), m);
}

/**
 * 32 elements at a time in two vectors: taking neighbours apart and putting their sums before their differences moves
 * the lowest bit of an element's place to the top, so after five times all bits are where they were. Fewer than 32
 * elements are filled up with zeros, which leave the first n results as they are.
 */
static void hadamard(float *x, int n)
{
	struct vec scale = vec_set1(1 / sqrtf((float)n));

	for (int i = 0; i < n; i += 32) {
		int first = n < 16 ? n : 16;
		struct vec a, b, u = vec_mul(vec_load_n(x + i, first), scale);
		struct vec v = n > 16 ? vec_mul(vec_load(x + i + 16), scale) : vec_zero();

		for (int stage = 0; stage < 5; stage++) {
			vec_unzip(&a, &b, u, v);
			u = vec_add(a, b);
			v = vec_sub(a, b);
		}
		vec_store_n(x + i, u, first);
		if (n > 16)
			vec_store(x + i + 16, v);
	}
	for (int apart = 32; apart < n; apart *= 2)
		for (int i = 0; i < n; i += 2 * apart)
			for (int j = i; j < i + apart; j += 16) {
				struct vec a = vec_load(x + j), b = vec_load(x + j + apart);

				vec_store(x + j, vec_add(a, b));
				vec_store(x + j + apart, vec_sub(a, b));
			}
}

static void scale(float *x, float factor, int n)
{
	VEC_FOR(i, m, n)
		vec_store_n(x + i, vec_mul(vec_load_n(x + i, m), vec_set1(factor)), m);
}

static void silu_mul(float *y, const float *gate, const float *up, int n)
{
	VEC_FOR(i, m, n) {
		struct vec g = vec_load_n(gate + i, m);
		struct vec d = vec_add(vec_set1(1), vec_exp(vec_sub(vec_zero(), g)));
		vec_store_n(y + i, vec_mul(vec_div(g, d), vec_load_n(up + i, m)), m);
	}
}

static void relu2_mul(float *y, const float *gate, const float *up, int n)
{
	VEC_FOR(i, m, n) {
		struct vec g = vec_max(vec_zero(), vec_load_n(gate + i, m));
		vec_store_n(y + i, vec_mul(vec_mul(g, g), vec_load_n(up + i, m)), m);
	}
}

static void gelu_mul(float *y, const float *gate, const float *up, int n)
{
	const struct vec linear = vec_set1(-1.5957691216057308f), cubic = vec_set1(-0.07135481282553533f);

	VEC_FOR(i, m, n) {
		struct vec g = vec_load_n(gate + i, m);
		struct vec u = vec_mul(g, vec_fma(vec_mul(g, g), cubic, linear));
		struct vec d = vec_add(vec_set1(1), vec_exp(u));
		vec_store_n(y + i, vec_mul(vec_div(g, d), vec_load_n(up + i, m)), m);
	}
}

static void softcap(float *x, float cap, int n)
{
	VEC_FOR(i, m, n) {
		struct vec t = vec_tanh(vec_mul(vec_load_n(x + i, m), vec_set1(1 / cap)));
		vec_store_n(x + i, vec_mul(vec_set1(cap), t), m);
	}
}

VEC_INLINE void rotate(struct vec *a, struct vec *b, struct vec c, struct vec s)
{
	struct vec turned = vec_fma(*a, c, vec_sub(vec_zero(), vec_mul(*b, s)));

	*b = vec_fma(*a, s, vec_mul(*b, c));
	*a = turned;
}

static void rope(float *x, const float *cos, const float *sin, int heads, int width, int n_rot, bool half,
                 bool inverse)
{
	int pairs = n_rot / 2;

	for (int h = 0; h < heads; h++, x += width)
		VEC_FOR(i, m, pairs) {
			struct vec a, b, c = vec_load_n(cos + i, m), s = vec_load_n(sin + i, m);

			if (inverse)
				s = vec_sub(vec_zero(), s);
			if (half) {
				a = vec_load_n(x + i, m);
				b = vec_load_n(x + pairs + i, m);
				rotate(&a, &b, c, s);
				vec_store_n(x + i, a, m);
				vec_store_n(x + pairs + i, b, m);
			} else { /* m pairs: 2 m floats in two vectors, the second of which may be empty */
				float *at = x + 2 * i;
				int first = 2 * m < 16 ? 2 * m : 16, second = 2 * m - first;
				struct vec u = vec_load_n(at, first);
				struct vec v = second ? vec_load_n(at + 16, second) : vec_zero();

				vec_unzip(&a, &b, u, v);
				rotate(&a, &b, c, s);
				vec_zip(&u, &v, a, b);
				vec_store_n(at, u, first);
				if (second)
					vec_store_n(at + 16, v, second);
			}
		}
}

static float largest(const float *x, int n)
{
	struct vec max = vec_set1(-INFINITY);

	VEC_FOR(i, m, n)
		max = vec_max(max, vec_fill(vec_load_n(x + i, m), m, -INFINITY));
	return vec_max_all(max);
}

/** e^(scale x_i - max) of the m elements at x, zeros after them; what is below 2^-64 is 0 (kernel.h). */
VEC_INLINE struct vec exp_below(const float *x, int m, float scale, float max)
{
	struct vec d = vec_sub(vec_mul(vec_fill(vec_load_n(x, m), m, -INFINITY), vec_set1(scale)), vec_set1(max));

	/* e^-45 < 2^-64; vec_exp itself would make subnormal numbers far below */
	return vec_zero_below(vec_exp(vec_max(vec_set1(-45), d)), vec_set1(0x1p-64f));
}

static float sum_exp(float *max, const float *x, int n)
{
	struct vec s = vec_zero();

	*max = largest(x, n);
	VEC_FOR(i, m, n)
		s = vec_add(s, exp_below(x + i, m, 1, *max));
	return vec_sum(s);
}

static float exp_sum(float *max, float *x, float scale, int n)
{
	struct vec s = vec_zero();

	*max = largest(x, n) * scale; /* rounding keeps the order */
	VEC_FOR(i, m, n) {
		struct vec e = exp_below(x + i, m, scale, *max);
		vec_store_n(x + i, e, m);
		s = vec_add(s, e);
	}
	return vec_sum(s);
}

static void probability_quant(int8_t *hi, int8_t *lo, int32_t *sum_hi, int32_t *sum_lo, float *step, const float *e,
                              const float *scale, int n, int n_padded)
{
	struct vec max = vec_set1(1e-30f), total_hi = vec_zero(), total_lo = vec_zero();

	VEC_FOR(i, m, n)
		max = vec_max(vec_mul(vec_load_n(e + i, m), vec_load_n(scale + i, m)), max);
	float a = vec_max_all(max);
	VEC_FOR(i, m, n) {
		struct vec p = vec_mul(vec_load_n(e + i, m), vec_load_n(scale + i, m));
		struct vec r = vec_max(vec_min(vec_round(vec_mul(p, vec_set1(16383 / a))), vec_set1(16383)), vec_zero());
		/* floor(r / 128): a multiple of 1/128 less 63.5 / 128 is never a tie */
		struct vec high = vec_round(vec_sub(vec_mul(r, vec_set1(1.0f / 128)), vec_set1(63.5f / 128)));
		struct vec low = vec_fma(vec_set1(-128), high, r);
		vec_store_i8_n(hi + i, high, m);
		vec_store_i8_n(lo + i, low, m);
		total_hi = vec_add(total_hi, high); /* exact, and zero beyond n, where p is */
		total_lo = vec_add(total_lo, low);
	}
	memset(hi + n, 0, (size_t)(n_padded - n));
	memset(lo + n, 0, (size_t)(n_padded - n));
	*step = a / 16383;
	*sum_hi = (int32_t)vec_sum(total_hi);
	*sum_lo = (int32_t)vec_sum(total_lo);
}

static void softmax(float *x, int n)
{
	float max, s = exp_sum(&max, x, 1, n);

	VEC_FOR(i, m, n)
		vec_store_n(x + i, vec_div(vec_load_n(x + i, m), vec_set1(s)), m);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

/* Chains that fill the registers: enough for two instructions of four or five cycles in each cycle. */
static double f32_peak(int rounds)
{
#if defined(VEC_AVX512)
	enum { CHAINS = 12, STEPS = 1000 };
#else
	enum { CHAINS = 6, STEPS = 1000 };
#endif
	struct vec s[CHAINS], a = vec_set1(0.5f);
	volatile float kept;

	for (int c = 0; c < CHAINS; c++)
		s[c] = vec_set1((float)c);
	for (int i = 0; i < rounds * STEPS; i++)
#pragma GCC unroll 12
		for (int c = 0; c < CHAINS; c++)
			s[c] = vec_fma(s[c], a, a);
	for (int c = 1; c < CHAINS; c++)
		s[0] = vec_add(s[0], s[c]);
	kept = vec_sum(s[0]);
	(void)kept;
	return 2.0 * 16 * CHAINS * STEPS * rounds;
}

static void float_init(struct trit_kernels *k)
{
	k->rmsnorm = rmsnorm;
	k->layernorm = layernorm;
	k->f32_peak = f32_peak;
	k->act_quant = act_quant;
	k->act_quant4 = act_quant4;
	k->rmsnorm_quant = rmsnorm_quant;
	k->add = add;
	k->add_scaled = add_scaled;
	k->hadamard = hadamard;
	k->scale = scale;
	k->silu_mul = silu_mul;
	k->relu2_mul = relu2_mul;
	k->gelu_mul = gelu_mul;
	k->softcap = softcap;
	k->rope = rope;
	k->softmax = softmax;
	k->sum_exp = sum_exp;
	k->exp_sum = exp_sum;
	k->probability_quant = probability_quant;
	k->sum_squares = sum_squares;
	k->sum_abs = sum_abs;
	k->sum = sum;
}
