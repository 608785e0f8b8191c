/*
 * checkasm.c - tests and times every kernel of every tier this CPU has; see checkasm.h for how a test is written.
 *
 *     checkasm [--tier NAME] [--test PATTERN] [--seed N] [--bench [PATTERN]] [--list]
 *
 * A pattern is a part of a kernel's name. Without --bench the whole takes seconds. Exit status: 0 when all kernels of
 * all tiers have the bits of plain C, 1 when one has not, 2 for a wrong command line, 77 when this CPU has none of the
 * tiers. checkasm_amx is the same program with tests/emulated/: for the tiers avx512bf16 and amx. The idea is dav1d's
 * program of the same name.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkasm.h"

#include "base/clock.h"

/* ---- the case in hand -------------------------------------------------------------------------------------------- */

enum { SLOTS = 32, GUARD = 64, ROUNDS = 15 };
#define SLOT_BYTES ((size_t)64 << 20)

/* One array of a case: pages between two that cannot be touched. */
struct slot {
	unsigned char *pages; /* SLOT_BYTES of them */
	unsigned char *array;
	size_t bytes;
	bool output;
};

static struct {
	struct slot slots[SLOTS];
	int n_slots;
	bool front; /* arrays begin after an unreadable page instead of ending before one */
	long cases; /* of this kernel */
	char text[200];
	const char *kernel, *tier;
	uint64_t seed;
	sigjmp_buf abandon;
	volatile sig_atomic_t running;
} now;

static unsigned char guard_byte(size_t i)
{
	return (unsigned char)(0xC3 ^ i * 29);
}

static void map_slots(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), step = SLOT_BYTES + page;
	unsigned char *p = mmap(NULL, SLOTS * step + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (int i = 0; p != MAP_FAILED && i < SLOTS; i++) {
		now.slots[i].pages = p + page + (size_t)i * step;
		if (mprotect(now.slots[i].pages, SLOT_BYTES, PROT_READ | PROT_WRITE))
			p = MAP_FAILED;
	}
	if (p == MAP_FAILED) {
		perror("checkasm: mmap");
		exit(2);
	}
}

static void report(const char *fmt, va_list args)
{
	printf("FAIL %s, %s, %s: ", now.kernel, now.tier, now.text[0] ? now.text : "before the first case");
	vprintf(fmt, args);
	printf(" (--seed %llu)\n", (unsigned long long)now.seed);
}

_Noreturn void check_fail(struct check *ck, const char *fmt, ...)
{
	va_list args;
	(void)ck;
	now.running = 0;
	va_start(args, fmt);
	report(fmt, args);
	va_end(args);
	siglongjmp(now.abandon, 1);
}

static void check_guards(struct check *ck)
{
	for (int i = 0; i < now.n_slots; i++) {
		const struct slot *s = &now.slots[i];
		if (!s->output)
			continue;
		const unsigned char *guard = now.front ? s->array + s->bytes : s->array - GUARD;
		for (size_t j = 0; j < GUARD; j++)
			if (guard[j] != guard_byte(j))
				check_fail(ck, "wrote %d bytes %s array %d of %zu bytes", (int)(now.front ? j + 1 : GUARD - j),
				           now.front ? "after" : "before", i, s->bytes);
	}
}

void check_case(struct check *ck, const char *fmt, ...)
{
	va_list args;
	check_guards(ck);
	now.n_slots = 0;
	now.front = now.cases++ % 4 == 3;
	va_start(args, fmt);
	vsnprintf(now.text, sizeof now.text, fmt, args);
	va_end(args);
}

static struct slot *take_slot(struct check *ck, size_t bytes)
{
	if (now.n_slots == SLOTS || bytes > SLOT_BYTES - GUARD)
		check_fail(ck, "the test wants too many or too large arrays");
	struct slot *s = &now.slots[now.n_slots++];
	s->bytes = bytes;
	s->array = now.front ? s->pages : s->pages + SLOT_BYTES - bytes;
	s->output = false;
	return s;
}

void *check_in(struct check *ck, size_t bytes)
{
	return take_slot(ck, bytes)->array;
}

void *check_out(struct check *ck, size_t bytes)
{
	struct slot *s = take_slot(ck, bytes);
	s->output = true;
	for (size_t i = 0; i < bytes; i++)
		s->array[i] = (unsigned char)(i * 37 + 0x5A);
	unsigned char *guard = now.front ? s->array + bytes : s->array - GUARD;
	for (size_t j = 0; j < GUARD; j++)
		guard[j] = guard_byte(j);
	return s->array;
}

void *check_aligned(struct check *ck, size_t bytes)
{
	struct slot *s = take_slot(ck, bytes);
	return s->array = s->pages;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

int check_size(struct check *ck, int min, int max)
{
	static const int edges[] = {0,  1,  2,  3,  4,  7,  8,   9,   15,  16,  17,  31, 32,
	                            33, 48, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512};
	const size_t n_edges = sizeof edges / sizeof *edges;
	uint64_t r = trit_rng_below(&ck->rng, 2 * n_edges);
	int n = r < n_edges ? edges[r] : min + (int)trit_rng_below(&ck->rng, (uint64_t)(max - min) + 1);
	return n < min ? min : n > max ? max : n;
}

void check_fill_f32(struct check *ck, float *x, size_t n)
{
	uint64_t all = trit_rng_below(&ck->rng, 8); /* one array in four has only special or only equal values */
	float same = trit_rng_normal(&ck->rng);
	for (size_t i = 0; i < n; i++) {
		uint64_t r = all == 0 ? 0 : trit_rng_below(&ck->rng, 16);
		if (all == 1)
			x[i] = same;
		else if (r == 0)
			x[i] = (float)((int)trit_rng_below(&ck->rng, 9) - 4) * 0.5f * (trit_rng_below(&ck->rng, 2) ? 1.0f : -1.0f);
		else
			x[i] = trit_rng_normal(&ck->rng) * ldexpf(1.0f, (int)trit_rng_below(&ck->rng, 21) - 10);
	}
}

void check_fill_normal(struct check *ck, float *x, size_t n, float scale)
{
	for (size_t i = 0; i < n; i++)
		x[i] = trit_rng_normal(&ck->rng) * scale;
}

void check_fill_i8(struct check *ck, int8_t *x, size_t n, int low, int high)
{
	uint64_t span = (uint64_t)(high - low) + 1;
	for (size_t i = 0; i < n; i++)
		x[i] = (int8_t)(low + (int)((trit_rng_next(&ck->rng) >> 40) * span >> 24));
}

void check_fill_f16(struct check *ck, uint16_t *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t r = trit_rng_next(&ck->rng);
		x[i] = (uint16_t)(r & 0x83FF) | (uint16_t)((r >> 32) % 16 ? (r >> 16) % 18 << 10 : (r >> 16) % 31 << 10);
	}
}

/* ---- comparisons ------------------------------------------------------------------------------------------------- */

void check_same_f32(struct check *ck, const char *array, const float *c, const float *k, size_t n)
{
	if (!memcmp(c, k, n * sizeof *c))
		return;
	for (size_t i = 0; i < n; i++)
		if (trit_f32_bits(c[i]) != trit_f32_bits(k[i]))
			check_fail(ck, "%s[%zu] of %zu is %.9g (%08x), plain C %.9g (%08x)", array, i, n, k[i], trit_f32_bits(k[i]),
			           c[i], trit_f32_bits(c[i]));
}

#define CHECK_SAME(type, name)                                                                                         \
	void check_same_##name(struct check *ck, const char *array, const type *c, const type *k, size_t n)            \
	{                                                                                                              \
		for (size_t i = 0; i < n; i++)                                                                         \
			if (c[i] != k[i])                                                                              \
				check_fail(ck, "%s[%zu] of %zu is %d, plain C %d", array, i, n, (int)k[i], (int)c[i]); \
	}
CHECK_SAME(int32_t, i32)
CHECK_SAME(uint16_t, u16)
CHECK_SAME(int8_t, i8)

/* ---- benchmarks -------------------------------------------------------------------------------------------------- */

static struct {
	int phase; /* 0: nothing runs, 1: plain C, 2: the tier */
	int calls, rounds;
	bool calibrated;
	double start, phase_start;
	double time[ROUNDS]; /* seconds a call */
	double c_seconds;
	double read_speed; /* bytes a second, or 0 */
	double int8_peak;  /* operations a second, or 0 */
} bench;

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *time, int n)
{
	qsort(time, (size_t)n, sizeof *time, ascending);
	return time[n / 2];
}

static int bench_begin(struct check *ck, int phase)
{
	bench.phase = phase;
	bench.rounds = 0;
	bench.calls = 1;
	bench.calibrated = false;
	ck->now = phase == 1 ? ck->c : ck->k;
	bench.start = bench.phase_start = trit_clock();
	return 1;
}

static void bench_print(const char *label, double seconds, double ops, const char *unit, double bytes)
{
	printf("%-22s %-10s %-26s %11.0f ns %9.2f G%s/s", now.kernel, now.tier, label, seconds * 1e9,
	       ops / seconds * 1e-9, unit);
	if (bytes > 0)
		printf(" %7.2f GB/s", bytes / seconds * 1e-9);
	if (bench.c_seconds > 0)
		printf(" %7.2f x C", bench.c_seconds / seconds);
	if (bench.read_speed > 0)
		printf(" %5.1f %% of a read pass at %.1f GB/s", 100 * bytes / seconds / bench.read_speed,
		       bench.read_speed * 1e-9);
	if (bench.int8_peak > 0)
		printf(" %5.1f %% of the peak of %.0f G%s/s", 100 * ops / seconds / bench.int8_peak,
		       bench.int8_peak * 1e-9, unit);
	printf("\n");
	fflush(stdout);
}

int check_bench_round(struct check *ck, const char *label, double ops, const char *unit, double bytes)
{
	if (!ck->bench)
		return 0;
	double t = trit_clock(), spent = t - bench.start;
	if (bench.phase == 0) {
		bench.c_seconds = 0;
		return bench_begin(ck, ck->k->tier == TRIT_TIER_C ? 2 : 1);
	}
	if (!bench.calibrated && spent < 2e-3) {
		double factor = spent > 2e-5 ? 2.5e-3 / spent : 100;
		bench.calls = (int)(bench.calls * factor) + 1;
	} else {
		bench.calibrated = true;
		bench.time[bench.rounds++] = spent / bench.calls;
		if (bench.rounds == ROUNDS || t - bench.phase_start > 1.0) {
			double seconds = median(bench.time, bench.rounds);
			if (bench.phase == 1) {
				bench.c_seconds = seconds;
				return bench_begin(ck, 2);
			}
			bench_print(label, seconds, ops, unit, bytes);
			bench.phase = 0;
			bench.read_speed = bench.int8_peak = 0;
			return 0;
		}
	}
	bench.start = trit_clock();
	return bench.calls;
}

/* Of several measurements the best: a limit. */
void check_read_speed(struct check *ck, const void *p, size_t bytes)
{
	for (int round = 0; ck->bench && round < 7; round++) {
		double start = trit_clock();
		volatile uint64_t used = ck->k->read_pass(p, bytes);
		double speed = (double)bytes / (trit_clock() - start);
		(void)used;
		bench.read_speed = speed > bench.read_speed ? speed : bench.read_speed;
	}
}

void check_int8_peak(struct check *ck)
{
	for (int round = 0; ck->bench && round < 7; round++) {
		double start = trit_clock(), ops = ck->k->int8_peak(1000), speed = ops / (trit_clock() - start);
		bench.int8_peak = speed > bench.int8_peak ? speed : bench.int8_peak;
	}
}

/* ---- the walk over tiers and kernels ----------------------------------------------------------------------------- */

static void on_signal(int signal_number)
{
	static const char *const names[] = {[SIGSEGV] = "SIGSEGV: read or wrote outside its arrays",
	                                    [SIGBUS] = "SIGBUS: read or wrote outside its arrays",
	                                    [SIGILL] = "SIGILL: an instruction this CPU lacks",
	                                    [SIGFPE] = "SIGFPE"};
	if (!now.running) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
		return;
	}
	check_fail(NULL, "%s", names[signal_number]);
}

static void catch_signals(void)
{
	static const int caught[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaction(caught[i], &action, NULL);
}

static const struct check_test *const tables[] = {check_ternary, check_gemm, check_float, check_attend, check_grad};

struct options {
	const char *tier, *test;
	uint64_t seed;
	bool bench, list;
};

/* Runs one row; false when it failed. */
static bool run_test(const struct check_test *test, struct check *ck, const struct options *options)
{
	now.kernel = test->name;
	now.text[0] = 0;
	now.n_slots = 0;
	now.cases = 0;
	bench.phase = 0;
	bench.read_speed = bench.int8_peak = 0;
	ck->arg = test->arg;
	trit_rng_init(&ck->rng, trit_hash_bytes(options->seed, test->name, strlen(test->name)));
	if (sigsetjmp(now.abandon, 1))
		return false;
	now.running = 1;
	test->run(ck);
	check_guards(ck);
	now.running = 0;
	return true;
}

/* Whether two tables hold different functions at a member's place. */
static bool differs(const struct trit_kernels *a, const struct trit_kernels *b, size_t member)
{
	return memcmp((const char *)a + member, (const char *)b + member, sizeof(void (*)(void))) != 0;
}

/* Tests what tier `tier` brings; returns the number of kernels that failed. */
static int run_tier(enum trit_tier tier, const struct options *options)
{
	static const struct trit_kernels none;
	struct trit_kernels c, below, k;
	struct check ck = {.c = &c, .k = &k, .now = &k, .bench = options->bench};
	int failed = 0, tested = 0;
	long cases = 0;

	check_tier_fill(&c, TRIT_TIER_C);
	check_tier_fill(&below, tier == TRIT_TIER_C ? tier : tier - 1);
	check_tier_fill(&k, tier);
	now.tier = trit_tier_name(tier);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		for (const struct check_test *test = tables[i]; test->name; test++) {
			if (options->test && !strstr(test->name, options->test))
				continue;
			if (tier != TRIT_TIER_C && !differs(&k, &below, test->member))
				continue;
			if (options->list) {
				printf("%s %s\n", now.tier, test->name);
				continue;
			}
			bool good = differs(&k, &none, test->member) && run_test(test, &ck, options);
			if (!good && !differs(&k, &none, test->member))
				printf("FAIL %s, %s: no function in the table\n", test->name, now.tier);
			failed += !good;
			tested++;
			cases += now.cases;
			fflush(stdout);
		}
	if (!options->list)
		printf("%-10s %2d kernels, %ld cases, %d failed\n", now.tier, tested, cases, failed);
	return failed;
}

/* The argument after option i, or NULL when there is none. */
static const char *value(char **argv, int argc, int i)
{
	return i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0 ? argv[i + 1] : NULL;
}

static int read_options(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = value(argv, argc, i);
		if (!strcmp(argv[i], "--list")) {
			o->list = true;
		} else if (!strcmp(argv[i], "--bench")) {
			o->bench = true;
			if (arg) {
				o->test = arg;
				i++;
			}
		} else if (!strcmp(argv[i], "--tier") && arg) {
			o->tier = argv[++i];
		} else if (!strcmp(argv[i], "--test") && arg) {
			o->test = argv[++i];
		} else if (!strcmp(argv[i], "--seed") && arg) {
			o->seed = strtoull(argv[++i], NULL, 0);
		} else {
			fprintf(stderr, "usage: checkasm [--tier NAME] [--test PATTERN] [--seed N] [--bench [PATTERN]] "
			                "[--list]\n");
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {.seed = (uint64_t)(trit_clock() * 1e6)};
	int failed = 0;
	bool known = false, here = false;

	if (read_options(&options, argc, argv) < 0)
		return 2;
	now.seed = options.seed;
	map_slots();
	catch_signals();
	if (!options.list)
		printf("seed %llu\n", (unsigned long long)options.seed);
	for (int tier = 0; tier < TRIT_N_TIERS; tier++) {
		if (options.tier && strcmp(options.tier, trit_tier_name((enum trit_tier)tier)) != 0)
			continue;
		known = true;
		if (check_tier_here((enum trit_tier)tier)) {
			failed += run_tier((enum trit_tier)tier, &options);
			here = true;
		} else if (!options.list)
			printf("%-10s not on this CPU\n", trit_tier_name((enum trit_tier)tier));
	}
	if (!known) {
		fprintf(stderr, "checkasm: no tier is called %s\n", options.tier);
		return 2;
	}
	return here ? failed > 0 : 77;
}
