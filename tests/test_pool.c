/*
 * test_pool.c - the fork-join pool: every thread runs once per job, results are seen, whether threads spin or sleep.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"

struct job {
	int calls[TRIT_MAX_THREADS]; /* how often each index ran; plain: the pool must order the accesses */
	int n;
	int slow; /* index that takes its time, or -1 */
};

static void pause_for(double seconds)
{
	struct timespec t = { .tv_nsec = (long)(seconds * 1e9) };

	nanosleep(&t, NULL);
}

static void count_calls(void *arg, int index, int n)
{
	struct job *job = arg;

	if (index == job->slow)
		pause_for(1e-3);
	job->calls[index]++;
	if (index == 0)
		job->n = n;
}

/* Jobs in a row, so that workers are met spinning, about to sleep and asleep, and so is the caller. */
static void run_jobs(int n)
{
	struct trit_pool *pool;
	struct trit_error err;
	struct job job = { .slow = -1 };
	uint64_t allocations;
	int jobs = 0;

	assert_int_equal(trit_pool_new(&pool, n, &err), 0);
	assert_int_equal(trit_pool_size(pool), n);
	allocations = trit_mem_count();
	for (; jobs < 300; jobs++) {
		if (jobs % 20 == 19)
			pause_for(jobs % 40 == 19 ? 50e-6 : 500e-6);
		job.slow = jobs % 50 == 49 ? jobs / 50 % n : -1;
		trit_pool_run(pool, count_calls, &job);
		assert_int_equal(job.n, n);
		for (int i = 0; i < n; i++)
			assert_int_equal(job.calls[i], jobs + 1);
	}
	assert_int_equal(trit_mem_count(), allocations);
	trit_pool_free(pool);
}

static void test_run(void **state)
{
	(void)state;
	for (int n = 1; n <= 8; n++)
		run_jobs(n);
}

static void test_many_quick_jobs(void **state)
{
	struct trit_pool *pool;
	struct trit_error err;
	struct job job = { .slow = -1 };
	int n = trit_cpu_count() > 3 ? 4 : 2;

	(void)state;
	assert_int_equal(trit_pool_new(&pool, n, &err), 0);
	for (int i = 0; i < 5000; i++)
		trit_pool_run(pool, count_calls, &job);
	for (int i = 0; i < n; i++)
		assert_int_equal(job.calls[i], 5000);
	trit_pool_free(pool);
}

#define PHASES 40

struct relay {
	struct trit_pool *pool;
	int value[2][8]; /* by turns written and read; plain: the barrier must order the accesses */
	int wrong[8];
};

/* In each phase every thread adds up what all threads wrote in the phase before; sometimes one is late. */
static void pass_on(void *arg, int index, int n)
{
	struct relay *r = arg;

	r->value[0][index] = 1;
	for (int phase = 0; phase < PHASES; phase++) {
		int sum = 0;

		if (phase % 10 == 9 && phase / 10 % n == index)
			pause_for(300e-6);
		trit_pool_barrier(r->pool);
		for (int i = 0; i < n; i++)
			sum += r->value[phase & 1][i];
		r->wrong[index] += sum != n * (phase + 1);
		r->value[(phase + 1) & 1][index] = phase + 2;
	}
}

static void test_barrier(void **state)
{
	(void)state;
	for (int n = 1; n <= 8; n++) {
		struct relay r = { 0 };
		struct trit_error err;

		assert_int_equal(trit_pool_new(&r.pool, n, &err), 0);
		for (int i = 0; i < 5; i++) /* also: the barrier is as new for the next job */
			trit_pool_run(r.pool, pass_on, &r);
		for (int i = 0; i < n; i++)
			assert_int_equal(r.wrong[i], 0);
		trit_pool_free(r.pool);
	}
	trit_pool_barrier(NULL);
}

static void test_new_and_free(void **state)
{
	struct trit_error err;

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct trit_pool *pool;

		assert_int_equal(trit_pool_new(&pool, 1 + i % 5, &err), 0);
		if (i % 7 == 0)
			pause_for(200e-6); /* free a pool that is asleep */
		trit_pool_free(pool);
	}
	trit_pool_free(NULL);
}

static void test_without_pool(void **state)
{
	struct job job = { .slow = -1 };

	(void)state;
	trit_pool_run(NULL, count_calls, &job);
	assert_int_equal(job.calls[0], 1);
	assert_int_equal(job.n, 1);
	assert_int_equal(trit_pool_size(NULL), 1);
	assert_true(trit_cpu_count() >= 1);
}

static void test_errors(void **state)
{
	struct trit_pool *pool = NULL;
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_pool_new(&pool, 0, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_pool_new(&pool, -1, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_pool_new(&pool, TRIT_MAX_THREADS + 1, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "1 to 256"));
	trit_mem_fail_after(1);
	assert_int_equal(trit_pool_new(&pool, 2, &err), TRIT_ERR_MEMORY);
	trit_mem_fail_after(0);
	assert_null(pool);
}

#ifdef __GLIBC__
/* The system gives no threads: stacks larger than the address space. */
static void test_no_threads(void **state)
{
	struct trit_pool *pool = NULL;
	struct trit_error err;
	pthread_attr_t huge, before;

	(void)state;
	assert_int_equal(pthread_getattr_default_np(&before), 0);
	pthread_attr_init(&huge);
	assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
	assert_int_equal(pthread_setattr_default_np(&huge), 0);
	int status = trit_pool_new(&pool, 3, &err);
	assert_int_equal(pthread_setattr_default_np(&before), 0);
	assert_int_equal(status, TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "cannot start 3 threads"));
	assert_null(pool);
	pthread_attr_destroy(&huge);
	pthread_attr_destroy(&before);
}
#endif

/* Workers leave signals to the program's own threads, and the caller's mask is as before. */
static void test_signal_mask(void **state)
{
	struct trit_pool *pool;
	struct trit_error err;
	sigset_t before, after;

	(void)state;
	sigemptyset(&before);
	sigemptyset(&after);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(trit_pool_new(&pool, 2, &err), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
	trit_pool_free(pool);
}

/* The parts of a range are in order, without gaps, cut at multiples of the grain. */
static void test_part(void **state)
{
	(void)state;
	for (size_t total = 0; total < 70; total++)
		for (size_t grain = 1; grain < 20; grain += 3)
			for (int n = 1; n < 10; n++) {
				size_t at = 0;

				for (int i = 0; i < n; i++) {
					size_t begin, end;

					trit_part(total, grain, i, n, &begin, &end);
					assert_int_equal(begin, at);
					assert_true(end >= begin && end <= total);
					assert_true(end % grain == 0 || end == total);
					at = end;
				}
				assert_int_equal(at, total);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),          cmocka_unit_test(test_many_quick_jobs),
		cmocka_unit_test(test_barrier),      cmocka_unit_test(test_new_and_free),
		cmocka_unit_test(test_without_pool), cmocka_unit_test(test_errors),
#ifdef __GLIBC__
		cmocka_unit_test(test_no_threads),
#endif
		cmocka_unit_test(test_signal_mask),  cmocka_unit_test(test_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
