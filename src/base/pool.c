/*
 * pool.c - the fork-join pool.
 *
 * One counter, `generation`, starts the workers: trit_pool_run stores the job, then increments it. One counter,
 * `pending`, ends the job: each worker decrements it. `meetings` counts the barriers inside a job; the last thread to
 * arrive increments it. Whoever waits for a counter spins for SPIN_SECONDS - between two matrix products of a token
 * there are only microseconds, less than waking a thread takes - and then sleeps on a condition variable.
 *
 * No wake-up is lost: a sleeper announces itself (`sleepers`, `caller_sleeps`) and then looks at the counter once more;
 * the other side changes the counter and then looks for sleepers. All of these are sequentially consistent, so at least
 * one of them sees the other.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"

#define SPIN_SECONDS 50e-6

struct worker {
	struct trit_pool *pool;
	pthread_t thread;
	int index;
};

struct trit_pool {
	int n;    /* threads, the caller included */
	int spin; /* 0 when there are fewer cores than threads: a spinning thread would keep a working one waiting */
	bool quit;
	trit_pool_fn *fn;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t start, done, met;
	/* The counters that threads spin on, each in a cache line of its own. */
	_Alignas(64) _Atomic unsigned generation;
	_Alignas(64) _Atomic int pending;
	_Alignas(64) _Atomic int sleepers; /* workers asleep or about to be */
	_Atomic int caller_sleeps;
	_Alignas(64) _Atomic int arrived; /* at the barrier */
	_Atomic int barrier_sleepers;
	_Alignas(64) _Atomic unsigned meetings; /* barriers passed */
	struct worker workers[];
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Spins until *counter differs from `seen`; false when that took too long. */
static bool spin_for_change(struct trit_pool *p, _Atomic unsigned *counter, unsigned seen)
{
	double end = p->spin ? trit_clock() + SPIN_SECONDS : 0;

	do {
		for (int i = 0; i < 32; i++) {
			if (atomic_load_explicit(counter, memory_order_acquire) != seen)
				return true;
			relax();
		}
	} while (p->spin && trit_clock() < end);
	return false;
}

static bool spin_for_end(struct trit_pool *p)
{
	double end = p->spin ? trit_clock() + SPIN_SECONDS : 0;

	do {
		for (int i = 0; i < 32; i++) {
			if (atomic_load_explicit(&p->pending, memory_order_acquire) == 0)
				return true;
			relax();
		}
	} while (p->spin && trit_clock() < end);
	return false;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct trit_pool *p = w->pool;

	for (unsigned seen = 0;; seen++) {
		if (!spin_for_change(p, &p->generation, seen)) {
			pthread_mutex_lock(&p->lock);
			atomic_fetch_add(&p->sleepers, 1);
			while (atomic_load(&p->generation) == seen)
				pthread_cond_wait(&p->start, &p->lock);
			atomic_fetch_sub(&p->sleepers, 1);
			pthread_mutex_unlock(&p->lock);
		}
		if (p->quit)
			return NULL;
		p->fn(p->arg, w->index, p->n);
		if (atomic_fetch_sub(&p->pending, 1) == 1 && atomic_load(&p->caller_sleeps)) {
			pthread_mutex_lock(&p->lock);
			pthread_cond_signal(&p->done);
			pthread_mutex_unlock(&p->lock);
		}
	}
}

static void start_workers(struct trit_pool *p)
{
	atomic_fetch_add(&p->generation, 1);
	if (atomic_load(&p->sleepers) > 0) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_broadcast(&p->start);
		pthread_mutex_unlock(&p->lock);
	}
}

/* Ends the first `n_workers` workers, all there are, and frees the pool. */
static void end_pool(struct trit_pool *p, int n_workers)
{
	p->quit = true;
	start_workers(p);
	for (int i = 0; i < n_workers; i++)
		pthread_join(p->workers[i].thread, NULL);
	pthread_cond_destroy(&p->met);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->start);
	pthread_mutex_destroy(&p->lock);
	trit_free(p);
}

int trit_pool_new(struct trit_pool **out, int n, struct trit_error *err)
{
	struct trit_pool *p;
	sigset_t all, before;
	int failed = 0;

	if (n < 1 || n > TRIT_MAX_THREADS)
		return trit_fail(err, TRIT_ERR_ARG, "%d threads: the number must be 1 to %d", n, TRIT_MAX_THREADS);
	p = trit_calloc(1, sizeof *p + (size_t)(n - 1) * sizeof p->workers[0]);
	if (!p)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pool of %d threads", n);
	p->n = n;
	p->spin = trit_cpu_count() >= n;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->start, NULL);
	pthread_cond_init(&p->done, NULL);
	pthread_cond_init(&p->met, NULL);
	/* Signals (Ctrl-C) are for the threads of the program, not for the workers. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < n - 1 && !failed; i++) {
		p->workers[i] = (struct worker){ .pool = p, .index = i + 1 };
		failed = pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]);
		if (failed)
			end_pool(p, i);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		errno = failed;
		return trit_fail_errno(err, "cannot start %d threads; try fewer (-t)", n);
	}
	*out = p;
	return 0;
}

void trit_pool_free(struct trit_pool *p)
{
	if (p)
		end_pool(p, p->n - 1);
}

int trit_pool_size(const struct trit_pool *p)
{
	return p ? p->n : 1;
}

void trit_pool_run(struct trit_pool *p, trit_pool_fn *fn, void *arg)
{
	if (!p || p->n == 1) {
		fn(arg, 0, 1);
		return;
	}
	p->fn = fn;
	p->arg = arg;
	atomic_store(&p->pending, p->n - 1);
	start_workers(p);
	fn(arg, 0, p->n);
	if (!spin_for_end(p)) {
		pthread_mutex_lock(&p->lock);
		atomic_store(&p->caller_sleeps, 1);
		while (atomic_load(&p->pending) > 0)
			pthread_cond_wait(&p->done, &p->lock);
		atomic_store(&p->caller_sleeps, 0);
		pthread_mutex_unlock(&p->lock);
	}
}

void trit_pool_barrier(struct trit_pool *p)
{
	if (!p || p->n == 1)
		return;
	unsigned seen = atomic_load(&p->meetings);
	if (atomic_fetch_add(&p->arrived, 1) == p->n - 1) {
		atomic_store(&p->arrived, 0);
		atomic_fetch_add(&p->meetings, 1);
		if (atomic_load(&p->barrier_sleepers) > 0) {
			pthread_mutex_lock(&p->lock);
			pthread_cond_broadcast(&p->met);
			pthread_mutex_unlock(&p->lock);
		}
	} else if (!spin_for_change(p, &p->meetings, seen)) {
		pthread_mutex_lock(&p->lock);
		atomic_fetch_add(&p->barrier_sleepers, 1);
		while (atomic_load(&p->meetings) == seen)
			pthread_cond_wait(&p->met, &p->lock);
		atomic_fetch_sub(&p->barrier_sleepers, 1);
		pthread_mutex_unlock(&p->lock);
	}
}

int trit_cpu_count(void)
{
#ifdef __linux__
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		return CPU_COUNT(&set);
#endif
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (int)n : 1;
}
