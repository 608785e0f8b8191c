/*
 * test_dist.c - several processes that train together: sums in a tree, who owns what, exchanges, whole runs.
 *
 * The processes are threads here, and what carries their messages is memory; tests/cli/mpi.sh has real ones. Sums are
 * compared with the definition of the tree, runs with one process that does all the work: bit for bit.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"
#include "base/rng.h"
#include "train/trainer.h"

#define TEXT TRIT_TEST_DATA "/train/garden.txt"

enum { MOST = 5, STEPS = 6 };

static struct trit_error err;
static struct trit_kernels kernels;

/* ---- a transport by memory --------------------------------------------------------------------------------------- */

struct half {
	struct trit_message m;
	int rank, slot;
	bool open;
};

static struct world {
	int ranks;
	pthread_mutex_t lock;
	pthread_barrier_t all;
	struct half halves[4096]; /* messages whose other side has not come yet, in order */
	int n_halves;
	int misfits; /* messages whose sides were not equally long */
	int left[MOST][TRIT_EXCHANGES]; /* messages of an exchange that are not there yet */
	double *x[MOST];
	struct trit_transport transports[MOST];
	int ids[MOST];
} world;

/* The two sides of a message meet. */
static bool meet(int rank, const struct trit_message *m)
{
	for (int i = 0; i < world.n_halves; i++) {
		struct half *h = &world.halves[i];
		if (!h->open || h->rank != m->peer || h->m.peer != rank || h->m.send == m->send)
			continue;
		world.misfits += h->m.bytes != m->bytes;
		memcpy(m->send ? h->m.data : m->data, m->send ? m->data : h->m.data,
		       m->bytes < h->m.bytes ? m->bytes : h->m.bytes);
		world.left[h->rank][h->slot]--;
		h->open = false;
		return true;
	}
	return false;
}

static void start(void *arg, int slot, int n, const struct trit_message *messages)
{
	int rank = *(int *)arg;
	pthread_mutex_lock(&world.lock);
	for (int i = 0; i < n; i++)
		if (!meet(rank, &messages[i])) {
			world.halves[world.n_halves++] = (struct half){ messages[i], rank, slot, true };
			world.left[rank][slot]++;
		}
	pthread_mutex_unlock(&world.lock);
}

static bool test(void *arg, int slot)
{
	pthread_mutex_lock(&world.lock);
	bool done = world.left[*(int *)arg][slot] == 0;
	int kept = 0;
	for (int i = 0; i < world.n_halves; i++)
		if (world.halves[i].open)
			world.halves[kept++] = world.halves[i];
	world.n_halves = kept;
	pthread_mutex_unlock(&world.lock);
	return done;
}

static void sum(void *arg, double *x, int n)
{
	double *result = malloc((size_t)n * sizeof *result);
	world.x[*(int *)arg] = x;
	pthread_barrier_wait(&world.all);
	for (int i = 0; i < n; i++) {
		result[i] = 0;
		for (int r = 0; r < world.ranks; r++)
			result[i] += world.x[r][i];
	}
	pthread_barrier_wait(&world.all);
	memcpy(x, result, (size_t)n * sizeof *x);
	free(result);
}

static void expect(void *arg, bool soon)
{
	(void)arg;
	(void)soon;
}

static const struct trit_transport *transport_of(int rank)
{
	return world.ranks > 1 ? &world.transports[rank] : NULL;
}

/* Runs fn as so many processes; each gets its rank. */
static void together(int ranks, void *(*fn)(void *))
{
	pthread_t threads[MOST];
	world.ranks = ranks;
	world.n_halves = world.misfits = 0;
	pthread_mutex_init(&world.lock, NULL);
	pthread_barrier_init(&world.all, NULL, (unsigned)ranks);
	for (int i = 0; i < ranks; i++) {
		world.ids[i] = i;
		world.transports[i] = (struct trit_transport){ .rank = i, .ranks = ranks, .local_ranks = ranks,
			                                       .arg = &world.ids[i], .start = start, .test = test, .sum = sum,
			                                       .expect = expect };
		snprintf(world.transports[i].host, sizeof world.transports[i].host, "host%d", i);
		assert_int_equal(pthread_create(&threads[i], NULL, fn, &world.ids[i]), 0);
	}
	for (int i = 0; i < ranks; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(world.misfits, 0);
	assert_int_equal(world.n_halves, 0);
	pthread_barrier_destroy(&world.all);
	pthread_mutex_destroy(&world.lock);
}

/* ---- sums in a tree ---------------------------------------------------------------------------------------------- */

/* The definition: the first power of two of them, and the others. */
static float tree(const float *x, int n)
{
	int m = 1;
	if (n == 1)
		return x[0];
	while (2 * m < n)
		m *= 2;
	return tree(x, m) + tree(x + m, n - m);
}

static void test_part_count(void **state)
{
	static const int cases[][3] = { /* parts wanted, processes: parts that are summed */
		{ 1, 1, 1 }, { 4, 1, 4 }, { 7, 1, 7 }, { 4, 2, 4 }, { 4, 4, 4 }, { 8, 2, 8 }, { 6, 3, 6 }, { 6, 2, 2 },
		{ 1, 4, 4 }, { 2, 4, 4 }, { 4, 3, 3 }, { 12, 3, 12 }, { 3, 3, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(trit_part_count(cases[i][0], cases[i][1]), cases[i][2]);
}

static void test_part_sums(void **state)
{
	enum { N = 5000 };
	static float x[N][9], g[N];
	struct trit_pool *pool;
	struct trit_rng rng;

	(void)state;
	trit_rng_init(&rng, 5);
	assert_int_equal(trit_pool_new(&pool, 3, &err), 0);
	for (int parts = 1; parts <= 9; parts++) {
		struct trit_part_sums s;
		assert_int_equal(trit_part_sums_init(&s, parts, N, &kernels, pool, &err), 0);
		for (int step = 0; step < 2; step++) { /* nothing of the step before is left */
			memset(g, 0, sizeof g);
			for (int p = 0; p < parts; p++) {
				for (int i = 0; i < N; i++)
					g[i] += x[i][p] = trit_rng_normal(&rng);
				if (p + 1 < parts)
					trit_part_sums_put(&s, p, g);
			}
			trit_part_sums_finish(&s, g);
			for (int i = 0; i < N; i++)
				assert_true(g[i] == tree(x[i], parts));
		}
		trit_part_sums_release(&s);
	}
	trit_pool_free(pool);
}

/* ---- who owns what ----------------------------------------------------------------------------------------------- */

static struct trit_recipe recipe(void)
{
	struct trit_recipe r = trit_recipe_defaults();

	r.n_vocab = 300, r.n_layers = 2, r.d_model = 48, r.d_ff = 80, r.n_heads = 4, r.n_kv_heads = 2, r.head_dim = 12;
	r.seq_len = 24, r.batch = 12, r.micro_batch = 5, r.steps = STEPS, r.val_share = 0.15f;
	r.optimizer = TRIT_OPTIMIZER_ADAMW;
	r.muon_lr = 0.02f;
	assert_int_equal(trit_recipe_apply_size(&r, "260k", &err), 0);
	return r;
}

static void check_owners(const struct trit_recipe *r, const struct trit_params *p, int ranks)
{
	struct trit_owners o;
	size_t own[64] = { 0 }, at = 0;

	assert_int_equal(trit_owners_init(&o, p, r, 0, ranks, &err), 0);
	assert_int_equal(o.buckets[0].begin, 0);
	assert_int_equal(o.buckets[o.n_buckets - 1].end, p->total);
	for (int b = 0; b < o.n_buckets; b++) {
		size_t covered = 0, begin, end;
		assert_true(b == 0 || o.buckets[b].begin == o.buckets[b - 1].end);
		assert_true(b == 0 || o.buckets[b].layer >= o.buckets[b - 1].layer);
		for (int i = 0; i < ranks; i++) {
			trit_owners_piece(&o, b, i, &begin, &end);
			assert_true(begin >= o.buckets[b].begin && end >= begin && end <= o.buckets[b].end);
			covered += end - begin;
			for (size_t u = 0; u < o.n_units; u++)
				if (o.units[u].offset >= begin && o.units[u].offset < end) {
					assert_int_equal(o.units[u].owner, i);
					assert_true(o.units[u].offset + o.units[u].n <= end); /* whole units */
				}
		}
		assert_int_equal(covered, o.buckets[b].end - o.buckets[b].begin);
	}
	for (size_t u = 0; u < o.n_units; u++) {
		const struct trit_param *t = &p->list[o.units[u].param];
		assert_true(o.units[u].offset >= at && o.units[u].offset < at + 16); /* in order, nothing left out */
		at = o.units[u].offset + o.units[u].n;
		assert_int_equal(o.units[u].whole, trit_by_muon(r, t));
		assert_true(o.units[u].n == t->rows * t->cols || (!o.units[u].whole && o.units[u].n <= TRIT_UNIT_FLOATS));
		own[o.units[u].owner] += o.units[u].n;
	}
	if (!trit_by_muon(r, &p->list[2]) && p->total > 10u * (size_t)ranks * TRIT_UNIT_FLOATS)
		for (int i = 0; i < ranks; i++)
			assert_true(fabs((double)own[i] * ranks / (double)p->total - 1) < 0.15);
	trit_owners_release(&o);
}

static void test_owners(void **state)
{
	struct trit_recipe r = recipe(), large = trit_recipe_defaults();
	struct trit_config c;
	struct trit_params p;

	(void)state;
	assert_int_equal(trit_recipe_apply_size(&large, "10m", &err), 0);
	for (int optimizer = 0; optimizer < 3; optimizer++)
		for (int i = 0; i < 2; i++) {
			struct trit_recipe *which = i ? &large : &r;
			which->optimizer = optimizer;
			assert_int_equal(trit_recipe_config(which, &c, &err), 0);
			assert_int_equal(trit_params_init(&p, &c, &err), 0);
			for (int ranks = 1; ranks <= 17; ranks += ranks < 5 ? 1 : 4)
				check_owners(which, &p, ranks);
			trit_params_release(&p);
		}
}

/* ---- exchanges --------------------------------------------------------------------------------------------------- */

static float value(uint64_t what, int rank, size_t i)
{
	struct trit_rng rng;
	trit_rng_init(&rng, what * 1000003 + (uint64_t)rank * 7919 + i);
	return trit_rng_normal(&rng);
}

static const char *exchange_failures[MOST];

/* A step's exchange of made-up gradients and weights. Returns what is wrong with the result, or NULL. */
static const char *exchange(int rank, struct trit_params *p, const struct trit_owners *o, struct trit_dist *d)
{
	const char *wrong = NULL;
	for (size_t i = 0; i < p->total; i++)
		p->g[i] = value(1, rank, i);
	trit_dist_ready(d, TRIT_MAX_LAYERS);
	trit_dist_ready(d, 1);
	trit_dist_ready(d, -1);
	trit_dist_wait(d);
	for (size_t u = 0; u < o->n_units; u++)
		for (size_t i = o->units[u].offset; i < o->units[u].offset + o->units[u].n; i++) {
			float x[MOST];
			for (int r = 0; r < o->ranks; r++)
				x[r] = value(1, r, i);
			if (o->units[u].owner == rank && p->g[i] != tree(x, o->ranks))
				wrong = "a sum of gradients";
			p->w[i] = o->units[u].owner == rank ? value(2, rank, i) : NAN;
			p->m[i] = p->v[i] = o->units[u].owner == rank ? value(3, rank, i) : 0;
		}
	trit_dist_gather(d);
	trit_dist_wait(d);
	for (int i = 0; i < p->n; i++) {
		trit_dist_fetch(d, 1, i);
		trit_dist_fetch(d, 2, i);
	}
	for (size_t u = 0; u < o->n_units; u++)
		for (size_t i = o->units[u].offset; i < o->units[u].offset + o->units[u].n; i++) {
			if (p->w[i] != value(2, o->units[u].owner, i))
				wrong = "weights";
			if (rank == 0 && (p->m[i] != value(3, o->units[u].owner, i) || p->v[i] != p->m[i]))
				wrong = "moments";
		}
	if (!(trit_dist_cost(d).bytes > 0))
		wrong = "bytes";
	return wrong;
}

static void *exchange_process(void *arg)
{
	int rank = *(int *)arg;
	struct trit_recipe r = recipe();
	struct trit_config c;
	struct trit_params p;
	struct trit_owners o;
	struct trit_part_sums s = { 0 };
	struct trit_dist *d;
	struct trit_error e;

	r.optimizer = rank >= 0 && world.ranks % 2 ? TRIT_OPTIMIZER_MUON : TRIT_OPTIMIZER_ADAMW;
	exchange_failures[rank] = "setting up";
	if (trit_recipe_config(&r, &c, &e) || trit_params_init(&p, &c, &e) ||
	    trit_owners_init(&o, &p, &r, rank, world.ranks, &e) ||
	    trit_dist_new(&d, transport_of(rank), &p, &o, &kernels, &s, &e))
		return NULL;
	for (int step = 0; step < 2; step++)
		exchange_failures[rank] = exchange(rank, &p, &o, d);
	trit_dist_free(d);
	trit_owners_release(&o);
	trit_params_release(&p);
	return NULL;
}

static void test_exchange(void **state)
{
	(void)state;
	for (int ranks = 2; ranks <= MOST; ranks++) {
		together(ranks, exchange_process);
		for (int i = 0; i < ranks; i++)
			if (exchange_failures[i])
				fail_msg("%d processes, rank %d: %s", ranks, i, exchange_failures[i]);
	}
}

static struct trit_error agreed[MOST];
static int failing;

static void *agree_process(void *arg)
{
	int rank = *(int *)arg, status = TRIT_OK;
	const struct trit_transport *t = transport_of(rank);
	if (failing & 1 << rank)
		status = trit_fail(&agreed[rank], TRIT_ERR_IO, "rank %d: no disk", rank);
	agreed[rank].status = trit_dist_agree(t, status, &agreed[rank]);
	if (!agreed[rank].status)
		agreed[rank].status = trit_dist_same(t, "training data", rank == 2 ? 1ull << 60 : 5, &agreed[rank]);
	return NULL;
}

static void test_agree(void **state)
{
	(void)state;
	failing = 1 << 1 | 1 << 3;
	together(4, agree_process);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(agreed[i].status, TRIT_ERR_IO);
		assert_string_equal(agreed[i].message, "process 1 on host1: rank 1: no disk");
	}
	failing = 15;
	together(4, agree_process);
	assert_string_equal(agreed[2].message, "rank 0: no disk");
	failing = 0;
	together(2, agree_process);
	assert_int_equal(agreed[0].status, 0);
	together(4, agree_process);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(agreed[i].status, TRIT_ERR_FORMAT);
		assert_non_null(strstr(agreed[i].message, "process 2 on host2 has not the same training data as process 0"));
	}
}

/* ---- whole runs -------------------------------------------------------------------------------------------------- */

static struct run {
	const char *out, *cpu[MOST];
	struct trit_recipe recipe;
	bool resume;
	int last, threads, status;
	double loss, val_loss;
	struct trit_error err;
} run;

static void *run_process(void *arg)
{
	static char text[] = TEXT;
	char *paths[] = { text };
	int rank = *(int *)arg, e;
	struct trit_trainer t;
	struct trit_step_report r = { 0 };
	struct trit_error error;
	struct trit_train_options o = { .out = run.out, .n_threads = run.threads, .transport = transport_of(rank),
		                        .cpu = run.cpu[rank] };
	e = run.resume ? trit_trainer_resume(&t, &o, &error) : trit_trainer_create(&t, &run.recipe, 1, paths, &o, &error);
	bool open = !e;
	while (!e && t.progress.step < run.last)
		e = trit_trainer_step(&t, (t.progress.step + 1) % 3 == 0, &r, &error);
	if (!e)
		e = trit_trainer_save(&t, &error);
	if (open)
		trit_trainer_close(&t);
	if (rank == 0) {
		run.status = e;
		run.err = error;
		run.loss = r.loss;
		run.val_loss = r.val_loss;
	}
	return NULL;
}

static void train(const char *out, int ranks, int last, bool resume)
{
	run.out = out;
	run.last = last;
	run.resume = resume;
	run.threads = 1 + ranks % 2;
	together(ranks, run_process);
}

static void check_train(const char *out, int ranks, int last, bool resume)
{
	train(out, ranks, last, resume);
	if (run.status)
		fail_msg("%s, %d processes: %s", out, ranks, run.err.message);
}

/* N processes = one with N times the batch, whatever steps the parameters. */
static void test_same_as_one(void **state)
{
	(void)state;
	for (int optimizer = 0; optimizer < 3; optimizer++) {
		static const int ranks[] = { 1, 2, 4 };
		run.recipe = recipe();
		run.recipe.optimizer = optimizer;
		run.recipe.parts = 4;
		for (int i = 0; i < 3; i++) {
			char out[32], path[64], first[64];
			snprintf(out, sizeof out, "same%d_%d", optimizer, ranks[i]);
			snprintf(path, sizeof path, "%s/checkpoint.safetensors", out);
			snprintf(first, sizeof first, "same%d_1/checkpoint.safetensors", optimizer);
			check_train(out, ranks[i], STEPS, false);
			scratch_check_same(path, first);
			double loss = run.loss, val_loss = run.val_loss;
			check_train(out, 1, STEPS, true); /* the folder is whole */
			assert_true(isfinite(loss) && isfinite(val_loss));
		}
	}
}

/* Without --parts one process sums in another order: nearly the same. */
static void test_nearly_the_same(void **state)
{
	double loss[2], val_loss[2];

	(void)state;
	run.recipe = recipe();
	run.recipe.backward = TRIT_BACKWARD_F32; /* in integers the scales too are those of a part of the batch */
	for (int i = 0; i < 2; i++) {
		check_train(i ? "near4" : "near1", i ? 4 : 1, 3, false);
		loss[i] = run.loss;
		val_loss[i] = run.val_loss;
	}
	assert_true(fabs(loss[0] - loss[1]) < 1e-5 && fabs(val_loss[0] - val_loss[1]) < 1e-5);
}

/* A checkpoint goes on on any number of processes. */
static void test_other_number(void **state)
{
	(void)state;
	run.recipe = recipe();
	check_train("other", 4, 2, false); /* parts: 4 */
	check_train("other", 1, 3, true);
	check_train("other", 2, 5, true);
	check_train("other", 4, STEPS, true);
	scratch_check_same("other/checkpoint.safetensors", "same0_1/checkpoint.safetensors");
	run.recipe = recipe();
	check_train("other3", 2, 3, false); /* 3 does not divide 2 parts: other sums, but it goes on */
	check_train("other3", 3, STEPS, true);
}

static void test_refused(void **state)
{
	(void)state;
	run.recipe = recipe();
	train("refused", 5, STEPS, false);
	assert_int_equal(run.status, TRIT_ERR_ARG);
	assert_non_null(strstr(run.err.message, "12 sequences does not divide among 5 processes"));
	assert_int_equal(trit_path_kind("refused"), -1);
	train("nothing", 2, STEPS, true);
	assert_int_equal(run.status, TRIT_ERR_IO);
	assert_non_null(strstr(run.err.message, "leave --resume out"));
	if (trit_best_tier() > 0) {
		run.cpu[1] = "c";
		train("refused", 3, STEPS, false);
		run.cpu[1] = NULL;
		assert_int_equal(run.status, TRIT_ERR_FORMAT);
		assert_non_null(strstr(run.err.message, "process 1 on host1 has not the same kernels"));
		assert_int_equal(trit_path_kind("refused"), -1);
	}
}

static int begin(void **state)
{
	return trit_kernels_select(&kernels, NULL, &err) || scratch_enter(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_part_count),    cmocka_unit_test(test_part_sums),
		cmocka_unit_test(test_owners),        cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_agree),         cmocka_unit_test(test_same_as_one),
		cmocka_unit_test(test_nearly_the_same), cmocka_unit_test(test_other_number),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, begin, scratch_leave);
}
