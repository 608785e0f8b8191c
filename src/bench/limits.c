/*
 * limits.c - measures what this machine can do at most.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/limits.h"

#include <math.h>

#include "base/clock.h"
#include "bench/cost.h"

#define TRIES 3
#define TRY_SECONDS 4e-3
#define MAX_REPEATS (1 << 20)

struct reader {
	struct trit_limits *limits;
	int index, n; /* this thread, of how many */
	double bytes; /* of all threads */
};

/* This thread's share of a block. Kernels read whole cache lines: the block's edges are cut to such. */
static void read_share(struct reader *r, const unsigned char *p, size_t bytes)
{
	size_t skip = (64 - (uintptr_t)p % 64) % 64, begin, end;
	if (bytes < skip + 64)
		return;
	bytes = (bytes - skip) / 64 * 64;
	trit_part(bytes, 64, r->index, r->n, &begin, &end);
	r->limits->model->kernels.read_pass(p + skip + begin, end - begin);
	r->bytes += (double)bytes;
}

static void read_linear(void *arg, const struct trit_linear *l)
{
	read_share(arg, l->w, trit_linear_bytes(l));
}

static void read_thread(void *arg, int index, int n)
{
	struct trit_limits *l = arg;
	struct reader r = { .limits = l, .index = index, .n = n };
	for (int i = 0; i < l->passes; i++) {
		if (l->buffer) {
			read_share(&r, l->buffer, l->buffer_bytes);
		} else {
			trit_linear_visit_layers(l->model, read_linear, &r);
			read_linear(&r, &l->model->output);
		}
	}
	l->done[index] = r.bytes;
}

static void peak_thread(void *arg, int index, int n)
{
	struct trit_limits *l = arg;
	(void)n;
	l->done[index] = l->model->kernels.int8_peak(l->rounds);
}

/* Seconds of one run by all threads, the best of TRIES. */
static double seconds_of(struct trit_limits *l, trit_pool_fn *fn)
{
	double best = INFINITY;
	for (int i = 0; i < TRIES; i++) {
		double begin = trit_clock();
		trit_pool_run(l->pool, fn, l);
		double seconds = trit_clock() - begin;
		best = seconds < best ? seconds : best;
	}
	return best > 0 ? best : 1e-9;
}

int trit_limits_init(struct trit_limits *l, const struct trit_model *m, struct trit_pool *pool, size_t buffer_bytes,
                     struct trit_error *err)
{
	*l = (struct trit_limits){ .model = m, .pool = pool, .buffer_bytes = buffer_bytes, .passes = 1, .rounds = 1 };
	l->done = trit_calloc((size_t)trit_pool_size(pool), sizeof *l->done);
	if (buffer_bytes)
		l->buffer = trit_calloc(buffer_bytes, 1);
	if (!l->done || (buffer_bytes && !l->buffer)) {
		trit_limits_release(l);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to measure reading: %.0f MiB",
		                 (double)buffer_bytes / 0x1p20);
	}
	if (l->buffer)
		memset(l->buffer, 1, buffer_bytes); /* untouched pages would all be the same zeros */
	while (seconds_of(l, read_thread) < TRY_SECONDS && l->passes < MAX_REPEATS)
		l->passes *= 2;
	while (seconds_of(l, peak_thread) < TRY_SECONDS && l->rounds < MAX_REPEATS)
		l->rounds *= 2;
	return TRIT_OK;
}

void trit_limits_release(struct trit_limits *l)
{
	trit_free(l->buffer);
	trit_free(l->done);
	*l = (struct trit_limits){ 0 };
}

double trit_limits_read(struct trit_limits *l)
{
	double seconds = seconds_of(l, read_thread);
	return l->done[0] / seconds;
}

double trit_limits_int8(struct trit_limits *l)
{
	double seconds = seconds_of(l, peak_thread), ops = 0;
	for (int t = 0; t < trit_pool_size(l->pool); t++)
		ops += l->done[t];
	return ops / seconds;
}
