/*
 * mpi.c - processes started side by side, by MPI.
 *
 * Messages go by MPI_Isend and MPI_Irecv with one tag: between two processes they arrive in the order they were begun
 * in, and all processes begin theirs in the same order. Whoever waits sleeps in between, because MPI's own waiting
 * would take a core from those who compute. Errors of MPI end all processes, as its default is.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/mpi.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"

/* A number that the launchers of Open MPI, MPICH and Slurm give each process; NULL: no launcher. */
static const char *launched(const char *const names[])
{
	for (int i = 0; names[i]; i++)
		if (getenv(names[i]))
			return getenv(names[i]);
	return NULL;
}

static const char *const rank_names[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", NULL };
static const char *const size_names[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", NULL };

static bool is_launched(void)
{
	const char *size = launched(size_names);
	return launched(rank_names) && !(size && strcmp(size, "1") == 0);
}

struct trit_mpi_muted trit_mpi_mute(void)
{
	struct trit_mpi_muted m = { -1, -1 };
	const char *rank = launched(rank_names);
	int null = is_launched() && strcmp(rank, "0") != 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	if (null >= 0) {
		m = (struct trit_mpi_muted){ dup(STDOUT_FILENO), dup(STDERR_FILENO) };
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	return m;
}

void trit_mpi_unmute(struct trit_mpi_muted m)
{
	fflush(stdout);
	fflush(stderr);
	if (m.out >= 0) {
		dup2(m.out, STDOUT_FILENO);
		close(m.out);
	}
	if (m.err >= 0) {
		dup2(m.err, STDERR_FILENO);
		close(m.err);
	}
}

#ifdef TRIT_HAVE_MPI

#include <mpi.h>

static struct mpi {
	bool begun;
	struct trit_transport transport;
	MPI_Request *requests; /* [TRIT_EXCHANGES][2 ranks] */
	int n[TRIT_EXCHANGES];
	double since[TRIT_EXCHANGES]; /* when they began */
	double patience;              /* seconds; 0: for ever */
	_Atomic bool soon;            /* others should answer */
	int sharers; /* processes on this machine with the same cores, this one included */
} mpi;

/* A machine or a cable that fails says nothing, and MPI waits. */
static void look_at_clock(double begun)
{
	if (!mpi.soon || mpi.patience <= 0 || trit_clock() - begun < mpi.patience)
		return;
	trit_cmd_failf("train", "process %d on %s has waited %.0f s for the others: a machine or the network has failed; "
	               "go on from the last checkpoint with --resume (--patience N waits longer)", mpi.transport.rank,
	               mpi.transport.host, mpi.patience);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static void expect(void *arg, bool soon)
{
	(void)arg;
	mpi.soon = soon;
}

static MPI_Request *requests_of(int slot)
{
	return mpi.requests + (size_t)slot * 2 * (size_t)mpi.transport.ranks;
}

static void start(void *arg, int slot, int n, const struct trit_message *messages)
{
	(void)arg;
	MPI_Request *r = requests_of(slot);
	for (int i = 0; i < n; i++) {
		const struct trit_message *m = &messages[i];
		int floats = (int)(m->bytes / sizeof(float)); /* as bytes a large matrix would be more than an int can say */
		if (m->send)
			MPI_Isend(m->data, floats, MPI_FLOAT, m->peer, 0, MPI_COMM_WORLD, &r[i]);
		else
			MPI_Irecv(m->data, floats, MPI_FLOAT, m->peer, 0, MPI_COMM_WORLD, &r[i]);
	}
	mpi.n[slot] = n;
	mpi.since[slot] = trit_clock();
}

static bool test(void *arg, int slot)
{
	int done = 0;
	(void)arg;
	MPI_Testall(mpi.n[slot], requests_of(slot), &done, MPI_STATUSES_IGNORE);
	if (!done)
		look_at_clock(mpi.since[slot]);
	return done != 0;
}

static void sum(void *arg, double *x, int n)
{
	MPI_Request request;
	double begun = trit_clock();
	(void)arg;
	MPI_Iallreduce(MPI_IN_PLACE, x, n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD, &request);
	for (int done = 0, looks = 0; !done; looks++) {
		MPI_Test(&request, &done, MPI_STATUS_IGNORE);
		if (done || looks < 50)
			continue;
		look_at_clock(begun);
		nanosleep(&(struct timespec){ 0, 20000 }, NULL);
	}
}

/* Who is on this machine, and on the same cores. */
static void look_around(void)
{
	MPI_Comm local;
	cpu_set_t set;
	static uint64_t all[TRIT_MAX_RANKS];
	uint64_t cores = 0;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		cores = trit_hash_bytes(0, &set, sizeof set);
	MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, mpi.transport.rank, MPI_INFO_NULL, &local);
	MPI_Comm_size(local, &mpi.transport.local_ranks);
	MPI_Allgather(&cores, 1, MPI_UINT64_T, all, 1, MPI_UINT64_T, local);
	mpi.sharers = 0;
	for (int i = 0; i < mpi.transport.local_ranks; i++)
		mpi.sharers += all[i] == cores;
	MPI_Comm_free(&local);
}

int trit_mpi_open(const struct trit_transport **out, double patience, struct trit_error *err)
{
	int provided = 0, rank = 0, ranks = 1;
	*out = NULL;
	if (!is_launched())
		return TRIT_OK;
	MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
	mpi.begun = true;
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (ranks == 1)
		return TRIT_OK;
	if (provided < MPI_THREAD_SERIALIZED)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "this MPI was built without threads");
	if (ranks > TRIT_MAX_RANKS)
		return trit_fail(err, TRIT_ERR_LIMIT, "%d processes are more than %d", ranks, TRIT_MAX_RANKS);
	mpi.transport = (struct trit_transport){ .rank = rank, .ranks = ranks, .start = start, .test = test, .sum = sum,
		                                  .expect = expect };
	mpi.patience = patience;
	gethostname(mpi.transport.host, sizeof mpi.transport.host - 1);
	look_around();
	mpi.requests = trit_calloc((size_t)ranks, TRIT_EXCHANGES * 2 * sizeof(MPI_Request));
	if (!mpi.requests) { /* the others wait for this one */
		trit_cmd_failf("train", "process %d on %s: not enough memory for %d processes", rank, mpi.transport.host,
		               ranks);
		MPI_Abort(MPI_COMM_WORLD, 1);
	}
	*out = &mpi.transport;
	return TRIT_OK;
}

void trit_mpi_close(void)
{
	if (!mpi.begun)
		return;
	MPI_Finalize();
	trit_free(mpi.requests);
	mpi = (struct mpi){ 0 };
}

int trit_mpi_threads(void)
{
	int n = trit_cpu_count() / (mpi.sharers > 0 ? mpi.sharers : 1);
	return n > 0 ? n : 1;
}

#else

int trit_mpi_open(const struct trit_transport **out, double patience, struct trit_error *err)
{
	(void)patience;
	*out = NULL;
	if (!is_launched())
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "started as one process of several, but this trit was built without MPI; install libopenmpi-dev "
	                 "and build it again");
}

void trit_mpi_close(void)
{
}

int trit_mpi_threads(void)
{
	return trit_cpu_count();
}

#endif
