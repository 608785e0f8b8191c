/*
 * checkasm.h - what a kernel's test is written with.
 *
 * The program walks the tiers this CPU has. For each row of the tables below whose member of struct trit_kernels
 * differs from the tier beneath (for plain C: every row), it calls the row's function, which feeds the same inputs to
 * plain C (ck->c) and to the form under test (ck->k) and compares bits. For C itself the two are the same function:
 * then only stray reads and writes are found, or what the test checks on its own.
 *
 *     static void test_add(struct check *ck)
 *     {
 *         for (int n = 0; n < 70; n++) {
 *             check_case(ck, "n %d", n);
 *             float *x = check_in(ck, n * sizeof *x);
 *             float *y = check_out(ck, n * sizeof *y), *z = check_out(ck, n * sizeof *z);
 *             check_fill_f32(ck, x, n);
 *             ck->c->add(y, x, n);
 *             ck->k->add(z, x, n);
 *             check_same_f32(ck, "y", y, z, n);
 *         }
 *         ... inputs of a benchmark, after one more check_case() ...
 *         CHECK_BENCH(ck, "n 4096", 4096, "add", 12 * 4096, ck->now->add(y, x, 4096));
 *     }
 *     const struct check_test check_float[] = { CHECK(add, test_add), CHECK_END };
 *
 * A mismatch, a touched guard word, SIGSEGV, SIGBUS, SIGILL or SIGFPE is reported with the kernel, the tier, the text
 * of check_case and the seed, and abandons the function: it must hold nothing that needs freeing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TESTS_CHECKASM_H
#define TRIT_TESTS_CHECKASM_H

#ifndef TRIT_MAY_PRINT
#define TRIT_MAY_PRINT
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/num.h"
#include "base/rng.h"
#include "kernel/kernel.h"

struct check {
	const struct trit_kernels *c;   /* plain C */
	const struct trit_kernels *k;   /* the tier under test */
	const struct trit_kernels *now; /* in CHECK_BENCH: one of the two */
	int arg;                        /* of the row, see CHECK_ARRAY */
	bool bench;                     /* --bench: benchmarks run */
	struct trit_rng rng;            /* seeded from --seed, the row's name and the tier */
};

struct check_test {
	const char *name; /* the member, for reports and --test */
	size_t member;    /* its place in struct trit_kernels */
	void (*run)(struct check *ck);
	int arg;
};

#define CHECK(name, run) {#name, offsetof(struct trit_kernels, name), run, 0}
/** Element i of a member that is an array; the function finds i in ck->arg. */
#define CHECK_ARRAY(name, i, run) {#name "[" #i "]", offsetof(struct trit_kernels, name[i]), run, i}
#define CHECK_END {0}

/** Whether a tier is tested here, and its table: tiers.c; another one in tests/emulated/. */
bool check_tier_here(enum trit_tier tier);
void check_tier_fill(struct trit_kernels *k, enum trit_tier tier);

/** The tables, each in the file of its name; a row with name NULL ends one. */
extern const struct check_test check_ternary[], check_float[], check_gemm[], check_attend[], check_grad[];

/**
 * Begins a case: checks the guard words of the one before, forgets its arrays, and keeps the text for reports. Also
 * before the arrays of a benchmark.
 */
void check_case(struct check *ck, const char *fmt, ...) TRIT_PRINTF(2, 3);

/**
 * `bytes` of storage for one case, at most 32 arrays of 64 MB. Its end lies right before an unreadable page (in one
 * case of four instead its beginning right after one), so its alignment is that of the size. Contents are left-overs.
 */
void *check_in(struct check *ck, size_t bytes);
/**
 * The same for an output: filled with a pattern that depends on the position only, so that comparing two whole arrays
 * also finds gaps that were written; guard words at the end that has no unreadable page.
 */
void *check_out(struct check *ck, size_t bytes);
/** Like check_in, 64-byte aligned (so up to 63 bytes may be read beyond the end): scratch, arrays of benchmarks. */
void *check_aligned(struct check *ck, size_t bytes);

/** A length in min..max, half of the time one where vector code changes its path: small, or around a multiple of 16. */
int check_size(struct check *ck, int min, int max);
/** Values over about six decades around 1, both signs, some of them zero, -0, equal or tied halves. Finite. */
void check_fill_f32(struct check *ck, float *x, size_t n);
/** Standard normal times `scale`. */
void check_fill_normal(struct check *ck, float *x, size_t n, float scale);
/** Uniform in low..high. */
void check_fill_i8(struct check *ck, int8_t *x, size_t n, int low, int high);
/** Half-precision numbers, finite, mostly in +-8, some subnormal. */
void check_fill_f16(struct check *ck, uint16_t *x, size_t n);

/** Fail unless all n elements of the C result `c` and the new result `k` have the same bits (for float: NaNs too). */
void check_same_f32(struct check *ck, const char *array, const float *c, const float *k, size_t n);
void check_same_i32(struct check *ck, const char *array, const int32_t *c, const int32_t *k, size_t n);
void check_same_u16(struct check *ck, const char *array, const uint16_t *c, const uint16_t *k, size_t n);
void check_same_i8(struct check *ck, const char *array, const int8_t *c, const int8_t *k, size_t n);
/** Fails with a message of the test's own. */
_Noreturn void check_fail(struct check *ck, const char *fmt, ...) TRIT_PRINTF(2, 3);

/**
 * With --bench: times `call`, once with ck->now the plain C table (not when that is the tier under test) and once the
 * tier under test, and prints ns, 1e9 * ops a second (in `unit`), GB/s and x over C. `call` should take under a second
 * in C.
 */
#define CHECK_BENCH(ck, label, ops, unit, bytes, call)                                                                 \
	do                                                                                                             \
		for (int n_; (n_ = check_bench_round(ck, label, ops, unit, bytes)) > 0;)                               \
			while (n_-- > 0) {                                                                             \
				call;                                                                                  \
			}                                                                                              \
	while (0)
/** Measures the tier's read_pass over `bytes` at `p`, so that the next CHECK_BENCH also prints its share of that. */
void check_read_speed(struct check *ck, const void *p, size_t bytes);
/** Measures int8_peak, so that the next CHECK_BENCH, of operations, also prints its share of that speed. */
void check_int8_peak(struct check *ck);
/** How often to call next; 0: done. */
int check_bench_round(struct check *ck, const char *label, double ops, const char *unit, double bytes);

#endif
