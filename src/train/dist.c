/*
 * dist.c - exchanges gradients and weights between processes, on a thread of its own.
 *
 * The thread that computes queues jobs (a bucket's gradients, a bucket's weights) and waits for all of them. The other
 * one begins them in order, some at once, looks now and then whether one is done - asleep in between, since the cores
 * are busy - and adds up what came.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/dist.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

enum { PIECE = 4096 };

struct job {
	int bucket;
	bool weights; /* or gradients */
};

struct trit_dist {
	const struct trit_transport *transport;
	struct trit_params *params;
	const struct trit_owners *owners;
	const struct trit_kernels *kernels;
	struct trit_part_sums *sums;
	int next;                      /* buckets below this one have not been ready in this step */
	struct trit_message *messages; /* [2 ranks] */
	float **values;                /* [ranks] of a piece, by rank */
	float *received;               /* [TRIT_EXCHANGES][slot_floats] */
	size_t slot_floats;
	struct job slots[TRIT_EXCHANGES];
	bool busy[TRIT_EXCHANGES];
	struct trit_dist_cost cost;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	/* under the lock */
	struct job *jobs; /* [2 buckets] */
	int queued, begun, done;
	bool quit;
};

/* ---- all together ------------------------------------------------------------------------------------------------ */

void trit_dist_sum(const struct trit_transport *t, double *x, size_t n)
{
	const size_t most = 1 << 16;
	for (size_t at = 0; t && at < n; at += most)
		t->sum(t->arg, x + at, (int)(n - at < most ? n - at : most));
}

bool trit_dist_any(const struct trit_transport *t, bool here)
{
	double any = here;
	trit_dist_sum(t, &any, 1);
	return any > 0;
}

/* The text of one process for all. */
static void tell(const struct trit_transport *t, int from, char *text, size_t size)
{
	double codes[sizeof((struct trit_error *)0)->message] = { 0 };
	size_t n = size < sizeof codes / sizeof *codes ? size : sizeof codes / sizeof *codes;
	for (size_t i = 0; i < n && t->rank == from; i++)
		codes[i] = (unsigned char)text[i];
	trit_dist_sum(t, codes, n);
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(unsigned char)codes[i];
}

int trit_dist_agree(const struct trit_transport *t, int status, struct trit_error *err)
{
	double all[TRIT_MAX_RANKS] = { 0 };
	struct trit_error first = { 0 };
	char host[sizeof t->host] = { 0 };
	int rank = 0, failed = 0;
	if (!t)
		return status;
	all[t->rank] = status;
	trit_dist_sum(t, all, (size_t)t->ranks);
	for (int i = t->ranks - 1; i >= 0; i--)
		if (all[i] < 0) {
			rank = i;
			failed++;
		}
	if (!failed)
		return TRIT_OK;
	if (status && err)
		first = *err;
	memcpy(host, t->host, sizeof host);
	tell(t, rank, first.message, sizeof first.message);
	tell(t, rank, host, sizeof host);
	if (failed == t->ranks)
		return trit_fail(err, (enum trit_status)all[rank], "%s", first.message);
	return trit_fail(err, (enum trit_status)all[rank], "process %d on %s: %s", rank, host, first.message);
}

int trit_dist_same(const struct trit_transport *t, const char *what, uint64_t number, struct trit_error *err)
{
	double halves[2][TRIT_MAX_RANKS] = { 0 };
	if (!t)
		return TRIT_OK;
	halves[0][t->rank] = (double)(number >> 32);
	halves[1][t->rank] = (double)(number & UINT32_MAX);
	trit_dist_sum(t, halves[0], (size_t)t->ranks);
	trit_dist_sum(t, halves[1], (size_t)t->ranks);
	for (int i = 1; i < t->ranks; i++)
		if (halves[0][i] != halves[0][0] || halves[1][i] != halves[1][0]) {
			char host[2][sizeof t->host];
			for (int j = 0; j < 2; j++) {
				memcpy(host[j], t->host, sizeof host[j]);
				tell(t, j * i, host[j], sizeof host[j]);
			}
			return trit_fail(err, TRIT_ERR_FORMAT,
			                 "process %d on %s has not the same %s as process 0 on %s; all must run the same program "
			                 "on the same data, in a folder that all see", i, host[1], what, host[0]);
		}
	return TRIT_OK;
}

/* ---- exchanges --------------------------------------------------------------------------------------------------- */

/* A piece of an array for one process; none when it is empty. */
static int add_message(struct trit_dist *d, int n, bool send, int peer, float *data, size_t floats)
{
	if (!floats)
		return n;
	d->messages[n] = (struct trit_message){ send, peer, floats * sizeof *data, data };
	d->cost.bytes += send ? (double)d->messages[n].bytes : 0;
	return n + 1;
}

/* Where the values of `peer` for this process's piece come to lie. */
static float *received_from(struct trit_dist *d, int slot, int peer, size_t floats)
{
	size_t place = (size_t)(peer < d->owners->rank ? peer : peer - 1);
	return d->received + (size_t)slot * d->slot_floats + place * ((floats + 15) / 16 * 16);
}

static void begin_job(struct trit_dist *d, int slot, struct job job)
{
	const struct trit_owners *o = d->owners;
	const struct trit_bucket *b = &o->buckets[job.bucket];
	float *w = d->params->w, *g = d->params->g;
	size_t own0, own1, begin, end;
	int n = 0;
	if (!job.weights)
		trit_part_sums_finish_range(d->sums, g, b->begin, b->end);
	trit_owners_piece(o, job.bucket, o->rank, &own0, &own1);
	for (int i = 1; i < o->ranks; i++) { /* not all to the same one first */
		int to = (o->rank + i) % o->ranks, from = (o->rank - i + o->ranks) % o->ranks;
		trit_owners_piece(o, job.bucket, from, &begin, &end);
		if (job.weights)
			n = add_message(d, n, false, from, w + begin, end - begin);
		else
			n = add_message(d, n, false, from, received_from(d, slot, from, own1 - own0), own1 - own0);
		trit_owners_piece(o, job.bucket, to, &begin, &end);
		if (job.weights)
			n = add_message(d, n, true, to, w + own0, own1 - own0);
		else
			n = add_message(d, n, true, to, g + begin, end - begin);
	}
	d->slots[slot] = job;
	d->busy[slot] = true;
	d->transport->start(d->transport->arg, slot, n, d->messages);
}

/* Adds up what all processes have for this one's piece, in the tree of part_sums.h. */
static void end_job(struct trit_dist *d, int slot)
{
	const struct trit_owners *o = d->owners;
	size_t own0, own1;
	if (d->slots[slot].weights)
		return;
	trit_owners_piece(o, d->slots[slot].bucket, o->rank, &own0, &own1);
	for (int i = 0; i < o->ranks; i++)
		d->values[i] = i == o->rank ? d->params->g + own0 : received_from(d, slot, i, own1 - own0);
	for (size_t at = 0; at < own1 - own0; at += PIECE) {
		size_t n = own1 - own0 - at < PIECE ? own1 - own0 - at : PIECE;
		for (int stride = 1; stride < o->ranks; stride *= 2)
			for (int i = 0; i + stride < o->ranks; i += 2 * stride)
				d->kernels->add(d->values[i] + at, d->values[i + stride] + at, (int)n);
		if (o->rank)
			memcpy(d->params->g + own0 + at, d->values[0] + at, n * sizeof(float));
	}
}

static void sleep_for(long nanoseconds)
{
	nanosleep(&(struct timespec){ 0, nanoseconds }, NULL);
}

/* Begins what can begin, ends what is done. Returns how many ended; *moved: whether anything happened. */
static int advance(struct trit_dist *d, bool *moved)
{
	int ended = 0;
	for (int slot = 0; slot < TRIT_EXCHANGES; slot++) {
		if (d->busy[slot] && d->transport->test(d->transport->arg, slot)) {
			end_job(d, slot);
			d->busy[slot] = false;
			ended++;
		}
		if (!d->busy[slot]) {
			struct job job = { -1, false };
			pthread_mutex_lock(&d->lock);
			if (d->begun < d->queued)
				job = d->jobs[d->begun++];
			pthread_mutex_unlock(&d->lock);
			if (job.bucket >= 0) {
				begin_job(d, slot, job);
				*moved = true;
			}
		}
	}
	*moved = *moved || ended;
	return ended;
}

static void *exchange_thread(void *arg)
{
	struct trit_dist *d = arg;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		while (d->done == d->queued && !d->quit)
			pthread_cond_wait(&d->work, &d->lock);
		if (d->quit)
			break;
		pthread_mutex_unlock(&d->lock);
		double begin = trit_clock();
		bool moved = false;
		int ended = advance(d, &moved);
		if (!moved)
			sleep_for(50000);
		pthread_mutex_lock(&d->lock);
		d->cost.busy += trit_clock() - begin;
		d->done += ended;
		if (d->done == d->queued)
			pthread_cond_signal(&d->idle);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

static void queue(struct trit_dist *d, int bucket, bool weights)
{
	pthread_mutex_lock(&d->lock);
	d->jobs[d->queued++] = (struct job){ bucket, weights };
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

void trit_dist_ready(struct trit_dist *d, int layer)
{
	while (d->next > 0 && d->owners->buckets[d->next - 1].layer >= layer)
		queue(d, --d->next, false);
}

void trit_dist_gather(struct trit_dist *d)
{
	for (int b = 0; b < d->owners->n_buckets; b++)
		queue(d, b, true);
}

void trit_dist_wait(struct trit_dist *d)
{
	double begin = trit_clock();
	pthread_mutex_lock(&d->lock);
	while (d->done < d->queued)
		pthread_cond_wait(&d->idle, &d->lock);
	d->queued = d->begun = d->done = 0;
	d->cost.waited += trit_clock() - begin;
	pthread_mutex_unlock(&d->lock);
	d->next = d->owners->n_buckets;
}

struct trit_dist_cost trit_dist_cost(struct trit_dist *d)
{
	pthread_mutex_lock(&d->lock);
	struct trit_dist_cost cost = d->cost;
	d->cost = (struct trit_dist_cost){ 0 };
	pthread_mutex_unlock(&d->lock);
	return cost;
}

/* ---- moments ----------------------------------------------------------------------------------------------------- */

static float *moments_of(const struct trit_dist *d, int array)
{
	return array == 1 ? d->params->m : d->params->v;
}

void trit_dist_fetch(struct trit_dist *d, int array, int i)
{
	const struct trit_owners *o = d->owners;
	float *moments = moments_of(d, array);
	for (size_t u = 0, more; u < o->n_units; u += more) {
		const struct trit_unit *unit = &o->units[u];
		size_t floats = unit->n; /* of it and those behind it: the units of a tensor have no gaps between them */
		for (more = 1; u + more < o->n_units; more++) {
			if (unit[more].param != unit->param || unit[more].owner != unit->owner)
				break;
			floats += unit[more].n;
		}
		if (unit->param != i || unit->owner == 0 || (o->rank && unit->owner != o->rank))
			continue;
		int n = add_message(d, 0, o->rank != 0, o->rank ? 0 : unit->owner, moments + unit->offset, floats);
		d->transport->start(d->transport->arg, 0, n, d->messages);
		while (!d->transport->test(d->transport->arg, 0))
			sleep_for(20000);
	}
}

void trit_dist_forget(struct trit_dist *d, int array, int i)
{
	const struct trit_owners *o = d->owners;
	for (size_t u = 0; u < o->n_units; u++)
		if (o->units[u].param == i && o->units[u].owner != o->rank)
			trit_mem_discard(moments_of(d, array) + o->units[u].offset, o->units[u].n * sizeof(float));
}

/* ---- lifetime ---------------------------------------------------------------------------------------------------- */

static int start_thread(struct trit_dist *d, struct trit_error *err)
{
	sigset_t all, before;
	sigfillset(&all); /* signals are for the program's threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&d->thread, NULL, exchange_thread, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = failed;
	return failed ? trit_fail_errno(err, "cannot start the thread that exchanges gradients") : TRIT_OK;
}

/* All but the thread. */
static void release(struct trit_dist *d)
{
	pthread_cond_destroy(&d->idle);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	trit_free(d->messages);
	trit_free(d->values);
	trit_free(d->received);
	trit_free(d->jobs);
	trit_free(d);
}

static size_t largest_own_piece(const struct trit_owners *o)
{
	size_t most = 0, begin, end;
	for (int b = 0; b < o->n_buckets; b++) {
		trit_owners_piece(o, b, o->rank, &begin, &end);
		most = end - begin > most ? end - begin : most;
	}
	return (most + 15) / 16 * 16;
}

int trit_dist_new(struct trit_dist **out, const struct trit_transport *t, struct trit_params *p,
                  const struct trit_owners *owners, const struct trit_kernels *k, struct trit_part_sums *sums,
                  struct trit_error *err)
{
	struct trit_dist *d = trit_calloc(1, sizeof *d);
	if (!d)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for several processes");
	d->transport = t;
	d->params = p;
	d->owners = owners;
	d->kernels = k;
	d->sums = sums;
	d->next = owners->n_buckets;
	d->slot_floats = largest_own_piece(owners) * (size_t)(t->ranks - 1);
	d->messages = trit_calloc((size_t)t->ranks, 2 * sizeof *d->messages);
	d->values = trit_calloc((size_t)t->ranks, sizeof *d->values);
	d->received = trit_calloc(d->slot_floats, TRIT_EXCHANGES * sizeof *d->received);
	d->jobs = trit_calloc((size_t)owners->n_buckets, 2 * sizeof *d->jobs);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	pthread_cond_init(&d->idle, NULL);
	int e = TRIT_OK;
	if (!d->messages || !d->values || !d->received || !d->jobs)
		e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to exchange gradients between %d processes", t->ranks);
	if (!e)
		e = start_thread(d, err);
	if (e)
		release(d);
	else
		*out = d;
	return e;
}

double trit_dist_bytes(const struct trit_dist *d)
{
	return d ? TRIT_EXCHANGES * sizeof(float) * (double)d->slot_floats : 0;
}

void trit_dist_free(struct trit_dist *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->quit = true;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	release(d);
}
