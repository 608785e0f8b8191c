/*
 * test_base.c - src/base without files and threads: errors, memory, buffers, numbers, random numbers, log.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void test_error_fields(void **state)
{
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_fail(&err, TRIT_ERR_FORMAT, "%s: %d columns", "blk.0", 7), TRIT_ERR_FORMAT);
	assert_int_equal(err.status, TRIT_ERR_FORMAT);
	assert_int_equal(err.position, -1);
	assert_string_equal(err.message, "blk.0: 7 columns");
	assert_int_equal(trit_fail_at(&err, TRIT_ERR_LIMIT, 1234567890123, "there"), TRIT_ERR_LIMIT);
	assert_int_equal(err.position, 1234567890123);
	errno = ENOENT;
	assert_int_equal(trit_fail_errno(&err, "%s: cannot open", "x"), TRIT_ERR_IO);
	assert_string_equal(err.message, "x: cannot open: No such file or directory");
	assert_int_equal(trit_fail_prefix(&err, TRIT_ERR_IO, "%s %d", "model", 3), TRIT_ERR_IO);
	assert_string_equal(err.message, "model 3: x: cannot open: No such file or directory");
	assert_int_equal(err.status, TRIT_ERR_IO);
}

static void test_error_without_struct(void **state)
{
	(void)state;
	assert_int_equal(trit_fail(NULL, TRIT_ERR_ARG, "x"), TRIT_ERR_ARG);
	assert_int_equal(trit_fail_at(NULL, TRIT_ERR_ARG, 1, "x"), TRIT_ERR_ARG);
	assert_int_equal(trit_fail_errno(NULL, "x"), TRIT_ERR_IO);
	assert_int_equal(trit_fail_prefix(NULL, TRIT_ERR_MEMORY, "x"), TRIT_ERR_MEMORY);
}

/* A long path must not push out the reason; nothing overflows; every message stays terminated. */
static void test_error_long(void **state)
{
	struct trit_error err;
	char path[2000];

	(void)state;
	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = 0;
	trit_fail(&err, TRIT_ERR_IO, "%s", path);
	assert_int_equal(strlen(err.message), sizeof err.message - 1);
	errno = EACCES;
	trit_fail_errno(&err, "%s", path);
	assert_non_null(strstr(err.message, "Permission denied"));
	assert_int_equal(strlen(err.message), sizeof err.message - 1);
	trit_fail(&err, TRIT_ERR_IO, "the reason");
	trit_fail_prefix(&err, TRIT_ERR_IO, "%s", path);
	assert_true(strlen(err.message) < sizeof err.message);
	trit_fail(&err, TRIT_ERR_IO, "%s", path);
	trit_fail_prefix(&err, TRIT_ERR_IO, "file");
	assert_memory_equal(err.message, "file: ppp", 9);
	assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

/* Hostile names: no newline, no terminal escape, no bytes that are not UTF-8 reach the terminal. */
static void test_error_printable(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?" },
		{ "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xc3", "?" },
		{ "\xe2\x82", "??" },
		{ "\xc0\xaf \xe0\x80\xaf", "?? ???" },         /* overlong */
		{ "\xed\xa0\x80", "???" },                      /* a surrogate */
		{ "\xf4\x90\x80\x80 \xff\xfe", "???? ??" },    /* beyond U+10FFFF, never UTF-8 */
		{ "\xc2\x9b" "31m", "??31m" },                  /* the one-character form of ESC [ */
		{ "\x80""abc", "?abc" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trit_error err;

		trit_fail(&err, TRIT_ERR_FORMAT, "%s", cases[i].in);
		assert_string_equal(err.message, cases[i].out);
	}
}

/* A message that is cut is cut between characters, wherever the end falls. */
static void test_error_cut(void **state)
{
	(void)state;
	for (size_t lead = 500; lead < 512; lead++) {
		struct trit_error err;
		char text[600];

		memset(text, 'x', lead);
		for (size_t i = lead; i < 596; i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 5);
		trit_fail(&err, TRIT_ERR_FORMAT, "%s", text);
		assert_int_equal(strlen(err.message), lead + (511 - lead) / 4 * 4);
		assert_memory_equal(err.message, text, strlen(err.message));
		assert_null(strchr(err.message, '?'));
	}
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void test_checked_sizes(void **state)
{
	size_t n = 7;

	(void)state;
	assert_true(trit_mul_size(&n, SIZE_MAX / 2, 2));
	assert_int_equal(n, SIZE_MAX - 1);
	assert_false(trit_mul_size(&n, SIZE_MAX / 2 + 1, 2));
	assert_true(trit_mul_size(&n, 0, SIZE_MAX));
	assert_int_equal(n, 0);
	assert_true(trit_add_size(&n, SIZE_MAX - 1, 1));
	assert_int_equal(n, SIZE_MAX);
	assert_false(trit_add_size(&n, SIZE_MAX, 1));
}

static void test_zeroed(void **state)
{
	(void)state;
	for (size_t size = 0; size < 300; size++) {
		unsigned char *p = trit_calloc(size, 1);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % TRIT_ALIGN, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
		trit_free(p);
	}
	assert_null(trit_calloc(SIZE_MAX, 2));
	assert_null(trit_calloc(SIZE_MAX, 1));
	assert_null(trit_calloc(PTRDIFF_MAX, 1));
	trit_free(NULL);
}

static void test_resized(void **state)
{
	unsigned char *p = NULL, *q;
	size_t old = 0;

	(void)state;
	for (size_t size = 1; size < 5000; size = size * 3 / 2 + 1) {
		p = trit_realloc(p, old, size, 1);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % TRIT_ALIGN, 0);
		for (size_t i = 0; i < old; i++)
			assert_int_equal(p[i], i % 251);
		for (size_t i = old; i < size; i++)
			p[i] = (unsigned char)(i % 251);
		old = size;
	}
	assert_null(trit_realloc(p, old, SIZE_MAX, 8));
	assert_int_equal(p[100], 100);
	q = trit_realloc(p, old, 10, 1);
	assert_non_null(q);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(q[i], i);
	trit_free(q);
}

static void test_strndup(void **state)
{
	char *s = trit_strndup("abc\0def", 7);

	(void)state;
	assert_memory_equal(s, "abc\0def", 8);
	trit_free(s);
	assert_null(trit_strndup("", SIZE_MAX));
}

static void test_count_and_failure(void **state)
{
	uint64_t before = trit_mem_count();
	void *p;

	(void)state;
	trit_free(trit_calloc(1, 1));
	trit_free(trit_realloc(NULL, 0, 1, 1));
	trit_free(trit_strndup("x", 1));
	assert_int_equal(trit_mem_count() - before, 3);
	trit_mem_fail_after(2);
	p = trit_calloc(1, 1);
	assert_non_null(p);
	assert_null(trit_realloc(p, 1, 2, 1));
	assert_null(trit_calloc(1, 1)); /* and every later one */
	assert_null(trit_strndup("x", 1));
	trit_mem_fail_after(0);
	trit_free(p);
	p = trit_calloc(1, 1);
	assert_non_null(p);
	trit_free(p);
}

struct laid_out {
	char *bytes;
	double *doubles;
	void *none;
	int *ints;
};

static void lay_out(struct trit_arena *a, struct laid_out *l)
{
	l->bytes = trit_arena_take(a, 65, 1);
	l->doubles = trit_arena_take(a, 9, sizeof *l->doubles);
	l->none = trit_arena_take(a, 0, 4);
	l->ints = trit_arena_take(a, 1, sizeof *l->ints);
}

static void test_arena(void **state)
{
	struct trit_arena a = { 0 };
	struct laid_out l;
	struct trit_error err;
	size_t measured;

	(void)state;
	lay_out(&a, &l);
	assert_null(l.bytes);
	measured = a.used;
	assert_true(measured >= 128 + 128 + 64);
	assert_int_equal(trit_arena_alloc(&a, "test", &err), 0);
	assert_int_equal(a.size, measured);
	lay_out(&a, &l);
	assert_int_equal(a.used, measured);
	assert_int_equal((uintptr_t)l.bytes % TRIT_ALIGN, 0);
	assert_int_equal((uintptr_t)l.doubles % TRIT_ALIGN, 0);
	assert_int_equal((uintptr_t)l.ints % TRIT_ALIGN, 0);
	assert_true((char *)l.doubles >= l.bytes + 65);
	assert_true((char *)l.ints >= (char *)(l.doubles + 9));
	assert_true((char *)(l.ints + 1) <= a.base + a.size);
	for (int i = 0; i < 65; i++)
		assert_int_equal(l.bytes[i], 0);
	memset(l.bytes, 1, 65);
	memset(l.doubles, 1, 9 * sizeof *l.doubles);
	memset(l.ints, 1, sizeof *l.ints);
	trit_arena_release(&a);
	assert_null(a.base);
	trit_arena_release(&a);
	trit_arena_release(NULL);
}

static void test_arena_failure(void **state)
{
	struct trit_arena a = { 0 };
	struct trit_error err;

	(void)state;
	assert_null(trit_arena_take(&a, SIZE_MAX / 2, 3));
	assert_int_equal(a.used, SIZE_MAX);
	assert_null(trit_arena_take(&a, 1, 1));
	assert_int_equal(a.used, SIZE_MAX); /* an overflow is never forgotten */
	assert_int_equal(trit_arena_alloc(&a, "KV cache", &err), TRIT_ERR_MEMORY);
	assert_non_null(strstr(err.message, "KV cache"));
	a = (struct trit_arena){ 0 };
	trit_arena_take(&a, SIZE_MAX - 200, 1);
	trit_arena_take(&a, 400, 1); /* the sum overflows, neither product does */
	assert_int_equal(a.used, SIZE_MAX);
	a = (struct trit_arena){ 0 };
	trit_arena_take(&a, 1000, 1);
	trit_mem_fail_after(1);
	assert_int_equal(trit_arena_alloc(&a, "KV cache", &err), TRIT_ERR_MEMORY);
	trit_mem_fail_after(0);
	assert_non_null(strstr(err.message, "KV cache: not enough memory"));
	trit_arena_release(&a);
}

/* ---- buffer ----------------------------------------------------------------------------------------------------- */

static void test_buf(void **state)
{
	struct trit_buf b;
	struct trit_error err;

	(void)state;
	trit_buf_init(&b, 1000);
	assert_int_equal(trit_buf_append(&b, 3, "abc", &err), 0);
	assert_string_equal(b.data, "abc");
	assert_int_equal(trit_buf_printf(&b, &err, "%d-%s", 42, "x"), 0);
	assert_string_equal(b.data, "abc42-x");
	assert_int_equal(b.len, 7);
	assert_int_equal(trit_buf_append(&b, 0, NULL, &err), 0);
	assert_int_equal(trit_buf_printf(&b, &err, "%0900d", 0), 0);
	assert_int_equal(b.len, 907);
	trit_buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	trit_buf_release(&b);
	assert_null(b.data);
	assert_int_equal(b.max, 1000);
	trit_buf_release(&b);
	trit_buf_release(NULL);
}

static void test_buf_limit(void **state)
{
	struct trit_buf b;
	struct trit_error err;

	(void)state;
	trit_buf_init(&b, 10);
	assert_int_equal(trit_buf_append(&b, 8, "12345678", &err), 0);
	assert_int_equal(trit_buf_append(&b, 3, "abc", &err), TRIT_ERR_LIMIT);
	assert_string_equal(b.data, "12345678");
	assert_int_equal(trit_buf_printf(&b, &err, "%d", 123), TRIT_ERR_LIMIT);
	assert_string_equal(b.data, "12345678");
	assert_non_null(strstr(err.message, "10 bytes"));
	assert_int_equal(trit_buf_append(&b, SIZE_MAX, "x", &err), TRIT_ERR_LIMIT);
	assert_int_equal(trit_buf_append(&b, 2, "90", &err), 0);
	assert_int_equal(b.len, 10);
	trit_buf_release(&b);
	trit_buf_init(&b, SIZE_MAX);
	assert_int_equal(trit_buf_append(&b, 1, "x", &err), 0);
	trit_mem_fail_after(1);
	assert_int_equal(trit_buf_printf(&b, &err, "%0100d", 0), TRIT_ERR_MEMORY);
	trit_mem_fail_after(0);
	assert_string_equal(b.data, "x");
	trit_buf_release(&b);
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

/* The value of a finite binary16 by the definition of the format. */
static double value_of_f16(uint16_t h)
{
	int e = h >> 10 & 31, m = h & 0x3ff;
	double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

	return h & 0x8000 ? -v : v;
}

/* Rounding by double arithmetic: divide by the distance of the neighbours, rint() (ties to even), and encode. */
static uint16_t f16_by_rounding(float f)
{
	uint16_t sign = signbit(f) ? 0x8000 : 0;
	double x = fabs((double)f), n;
	int e;

	if (isinf(x))
		return sign | 0x7c00;
	frexp(x, &e);       /* x = m 2^e, m in [0.5, 1) */
	if (x == 0 || e < -13)
		e = -13;
	n = rint(ldexp(x, 11 - e)); /* in units of the last place; up to 2048, which is the next binade's 1024 */
	if (ldexp(n, e - 11) > 65504)
		return sign | 0x7c00;
	if (n >= 2048) {
		n /= 2;
		e++;
	}
	return (uint16_t)(sign | (n < 1024 ? (int)n : ((e + 14) << 10) + (int)n - 1024));
}

static void test_f16_to_f32(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = trit_f16_to_f32((uint16_t)h);

		if ((h >> 10 & 31) == 31) {
			assert_true(h & 0x3ff ? isnan(f) : isinf(f));
			assert_int_equal(!!signbit(f), h >> 15);
		} else {
			assert_int_equal(trit_f32_bits(f), trit_f32_bits((float)value_of_f16((uint16_t)h)));
			assert_int_equal(trit_f32_to_f16(f), h);
		}
	}
}

static void check_f32_to_f16(uint32_t u)
{
	float f = trit_f32_from_bits(u);

	if (isnan(f)) {
		uint16_t h = trit_f32_to_f16(f);

		if ((h & 0x7e00) != 0x7e00 || (h >> 15) != (u >> 31))
			fail_msg("NaN %08x gives %04x", u, h);
	} else if (trit_f32_to_f16(f) != f16_by_rounding(f)) {
		fail_msg("%a gives %04x, not %04x", f, trit_f32_to_f16(f), f16_by_rounding(f));
	}
}

static void test_f32_to_f16(void **state)
{
	(void)state;
	/* Every half, every middle between two halves, and the floats next to them. */
	for (uint32_t h = 0; h < 0x7c00; h++) {
		double next = h == 0x7bff ? 65536 : value_of_f16((uint16_t)(h + 1));
		double middle = (value_of_f16((uint16_t)h) + next) / 2;

		for (uint32_t d = 0; d < 3; d++) {
			uint32_t a = trit_f32_bits((float)value_of_f16((uint16_t)h)) + d - 1;
			uint32_t b = trit_f32_bits((float)middle) + d - 1;

			check_f32_to_f16(a);
			check_f32_to_f16(a ^ 0x80000000);
			check_f32_to_f16(b);
			check_f32_to_f16(b ^ 0x80000000);
		}
	}
	for (uint64_t u = 0; u < 1ull << 32; u += 2039)
		check_f32_to_f16((uint32_t)u);
}

#if defined(__x86_64__)
__attribute__((target("f16c"))) static void compare_with_hardware(void)
{
	for (uint64_t u = 0; u < 1ull << 32; u += 1021) {
		float f = trit_f32_from_bits((uint32_t)u);
		uint16_t h = (uint16_t)_cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT);

		if (h != trit_f32_to_f16(f))
			fail_msg("%08x gives %04x, the hardware says %04x", (uint32_t)u, trit_f32_to_f16(f), h);
	}
	for (uint32_t h = 0; h < 0x10000; h++)
		assert_int_equal(trit_f32_bits(trit_f16_to_f32((uint16_t)h)), trit_f32_bits(_cvtsh_ss((uint16_t)h)));
}

static void test_f16_hardware(void **state)
{
	(void)state;
	if (!__builtin_cpu_supports("avx2")) /* clang 14 knows no "f16c"; all that have AVX2 have it */
		skip();
	compare_with_hardware();
}
#endif

static void test_bf16(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = trit_bf16_to_f32((uint16_t)h);

		if (isnan(f)) {
			assert_true(isnan(trit_bf16_to_f32(trit_f32_to_bf16(f))));
			continue;
		}
		assert_int_equal(trit_f32_to_bf16(f), h);
		if (isinf(f))
			continue;
		/* The middle to the next number, and its neighbours; away from zero they round up. */
		assert_int_equal(trit_f32_to_bf16(trit_f32_from_bits(h << 16 | 0x7fff)), h);
		assert_int_equal(trit_f32_to_bf16(trit_f32_from_bits(h << 16 | 0x8000)), h + (h & 1));
		assert_int_equal(trit_f32_to_bf16(trit_f32_from_bits(h << 16 | 0x8001)), h + 1);
	}
	assert_true(isnan(trit_bf16_to_f32(trit_f32_to_bf16(trit_f32_from_bits(0x7f800001)))));
	assert_true(isnan(trit_bf16_to_f32(trit_f32_to_bf16(trit_f32_from_bits(0xffffffff)))));
	assert_int_equal(trit_f32_to_bf16(FLT_MAX), 0x7f80);
}

static void test_little_endian(void **state)
{
	static const unsigned char bytes[9] = { 0, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
	unsigned char out[9] = { 0 };

	(void)state;
	assert_int_equal(trit_get16(bytes + 1), 0x2301);
	assert_int_equal(trit_get32(bytes + 1), 0x67452301);
	assert_true(trit_get64(bytes + 1) == 0xefcdab8967452301);
	trit_put64(out + 1, 0xefcdab8967452301);
	assert_memory_equal(out, bytes, 9);
	trit_put32(out + 1, 0xdeadbeef);
	assert_memory_equal(out + 1, "\xef\xbe\xad\xde\x89", 5);
	trit_put16(out + 1, 0x1234);
	assert_memory_equal(out + 1, "\x34\x12\xad", 3);
}

/* ---- random numbers --------------------------------------------------------------------------------------------- */

/* splitmix64 from seed 1234567: the published test vector. A generator seeded so has these as its state. */
static void test_splitmix(void **state)
{
	static const uint64_t expected[4] = { 6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
		                              4593380528125082431u };
	struct trit_rng r;

	(void)state;
	trit_rng_init(&r, 1234567);
	for (int i = 0; i < 4; i++)
		assert_true(r.s[i] == expected[i]);
}

/* xoshiro256** from state 1, 2, 3, 4: output of the authors' reference program. */
static void test_xoshiro(void **state)
{
	static const uint64_t expected[10] = { 11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u,
		                               607988272756665600u, 16172922978634559625u, 8476171486693032832u,
		                               10595114339597558777u, 2904607092377533576u };
	struct trit_rng r = { { 1, 2, 3, 4 } };

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_true(trit_rng_next(&r) == expected[i]);
}

static void test_below(void **state)
{
	struct trit_rng r;
	int count[7] = { 0 };

	(void)state;
	trit_rng_init(&r, 1);
	for (int i = 0; i < 70000; i++)
		count[trit_rng_below(&r, 7)]++;
	for (int i = 0; i < 7; i++) /* 10000 expected, standard deviation 93 */
		assert_in_range(count[i], 9500, 10500);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(trit_rng_below(&r, 1), 0);
		assert_true(trit_rng_below(&r, (1ull << 63) + 1) <= 1ull << 63);
	}
}

static void test_uniform(void **state)
{
	struct trit_rng r;
	double sum = 0;

	(void)state;
	trit_rng_init(&r, 2);
	for (int i = 0; i < 100000; i++) {
		float u = trit_rng_uniform(&r);

		assert_true(u >= 0 && u < 1);
		sum += u;
	}
	assert_true(fabs(sum / 100000 - 0.5) < 0.005); /* five standard deviations */
}

/* Moments, tails, and the same formula with libm's logarithm. */
static void test_normal(void **state)
{
	struct trit_rng r, twin;
	double m1 = 0, m2 = 0, m4 = 0;
	int n = 200000, beyond = 0;

	(void)state;
	trit_rng_init(&r, 3);
	twin = r;
	for (int i = 0; i < n; i++) {
		double x = trit_rng_normal(&r), u, v, s;

		do {
			u = ldexp((double)(trit_rng_next(&twin) >> 11), -52) - 1;
			v = ldexp((double)(trit_rng_next(&twin) >> 11), -52) - 1;
			s = u * u + v * v;
		} while (s >= 1 || s == 0);
		assert_true(fabs(x - u * sqrt(-2 * log(s) / s)) <= 1e-7 * fabs(x));
		m1 += x;
		m2 += x * x;
		m4 += x * x * x * x;
		beyond += fabs(x) > 1.959964;
	}
	assert_true(fabs(m1 / n) < 0.012);
	assert_true(fabs(m2 / n - 1) < 0.016);
	assert_true(fabs(m4 / n - 3) < 0.12);
	assert_in_range(beyond, 9500, 10500);
	assert_memory_equal(&r, &twin, sizeof r);
}

static void test_hash(void **state)
{
	(void)state;
	/* splitmix64's first output from seed 0 is the mix of its increment. */
	assert_true(trit_hash64(0x9e3779b97f4a7c15) == 0xe220a8397b1dcdaf);
	/* FNV-1a of "foobar" is 85944171f73967e8 (from the authors' table). */
	assert_true(trit_hash_bytes(0, "foobar", 6) == trit_hash64(0x85944171f73967e8));
	assert_true(trit_hash_bytes(0, "foobar", 6) != trit_hash_bytes(1, "foobar", 6));
}

/* ---- log, clock, version ---------------------------------------------------------------------------------------- */

static void keep_message(void *arg, enum trit_log_level level, const char *message)
{
	snprintf(arg, 100, "%d %s", (int)level, message);
}

static void test_log(void **state)
{
	char kept[100] = "";

	(void)state;
	trit_log(TRIT_LOG_NOTE, "nobody listens");
	trit_log_set(keep_message, kept);
	trit_log(TRIT_LOG_WARNING, "%s failed", "avx2");
	assert_string_equal(kept, "1 avx2 failed");
	trit_log_set(NULL, NULL);
	trit_log(TRIT_LOG_NOTE, "silent again");
	assert_string_equal(kept, "1 avx2 failed");
}

static void test_clock(void **state)
{
	double a = trit_clock(), b = a;

	(void)state;
	for (int i = 0; i < 100000 && b == a; i++)
		b = trit_clock();
	assert_true(b > a);
}

static void test_version(void **state)
{
	int major, minor, patch;
	char rest;

	(void)state;
	assert_int_equal(sscanf(trit_version(), "%d.%d.%d%c", &major, &minor, &patch, &rest), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_fields), cmocka_unit_test(test_error_without_struct),
		cmocka_unit_test(test_error_long), cmocka_unit_test(test_error_printable),
		cmocka_unit_test(test_error_cut), cmocka_unit_test(test_checked_sizes),
		cmocka_unit_test(test_zeroed), cmocka_unit_test(test_resized),
		cmocka_unit_test(test_strndup), cmocka_unit_test(test_count_and_failure),
		cmocka_unit_test(test_arena), cmocka_unit_test(test_arena_failure),
		cmocka_unit_test(test_buf), cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_f16_to_f32), cmocka_unit_test(test_f32_to_f16),
#if defined(__x86_64__)
		cmocka_unit_test(test_f16_hardware),
#endif
		cmocka_unit_test(test_bf16), cmocka_unit_test(test_little_endian),
		cmocka_unit_test(test_splitmix), cmocka_unit_test(test_xoshiro),
		cmocka_unit_test(test_below), cmocka_unit_test(test_uniform),
		cmocka_unit_test(test_normal), cmocka_unit_test(test_hash),
		cmocka_unit_test(test_log), cmocka_unit_test(test_clock),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
