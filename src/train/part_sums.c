/*
 * part_sums.c - gradients of parts of a batch, added like a binary counter counts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/part_sums.h"

#include "base/mem.h"

enum { PIECE = 4096 };

int trit_part_count(int parts, int ranks)
{
	int each = parts / ranks;
	bool branches = parts % ranks == 0 && each > 0 && (each & (each - 1)) == 0;
	return ranks == 1 || branches ? parts : ranks;
}

int trit_part_sums_init(struct trit_part_sums *s, int parts, size_t total, const struct trit_kernels *k,
                        struct trit_pool *pool, struct trit_error *err)
{
	*s = (struct trit_part_sums){ .kernels = k, .pool = pool, .parts = parts, .total = total };
	while ((parts - 1) >> s->height)
		s->height++;
	for (int h = 0; h < s->height; h++) {
		s->array[h] = trit_calloc(total, sizeof *s->array[h]);
		if (!s->array[h]) {
			trit_part_sums_release(s);
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to sum %d parts of a batch; choose less --parts",
			                 parts);
		}
	}
	return TRIT_OK;
}

void trit_part_sums_release(struct trit_part_sums *s)
{
	for (int h = 0; h < s->height; h++)
		trit_free(s->array[h]);
	*s = (struct trit_part_sums){ 0 };
}

/* g [begin, end) += the arrays of the bits of `set`, lowest first. */
static void add_arrays(const struct trit_part_sums *s, unsigned set, float *g, size_t begin, size_t end)
{
	for (size_t at = begin; at < end; at += PIECE)
		for (int h = 0; h < s->height; h++)
			if (set >> h & 1)
				s->kernels->add(g + at, s->array[h] + at, (int)(end - at < PIECE ? end - at : PIECE));
}

struct put_job {
	const struct trit_part_sums *s;
	float *g;
	unsigned part;
};

static void put_thread(void *arg, int index, int n)
{
	const struct put_job *job = arg;
	int free_height = __builtin_ctz(~job->part); /* the lowest bit that is 0: those below are complete branches now */
	unsigned below = (1u << free_height) - 1;
	size_t begin, end;
	trit_part(job->s->total, 16, index, n, &begin, &end);
	add_arrays(job->s, job->part & below, job->g, begin, end);
	memcpy(job->s->array[free_height] + begin, job->g + begin, (end - begin) * sizeof *job->g);
	memset(job->g + begin, 0, (end - begin) * sizeof *job->g);
}

void trit_part_sums_put(struct trit_part_sums *s, int part, float *g)
{
	struct put_job job = { s, g, (unsigned)part };
	trit_pool_run(s->pool, put_thread, &job);
}

void trit_part_sums_finish_range(const struct trit_part_sums *s, float *g, size_t begin, size_t end)
{
	if (s->height)
		add_arrays(s, (unsigned)s->parts - 1, g, begin, end);
}

static void finish_thread(void *arg, int index, int n)
{
	const struct put_job *job = arg;
	size_t begin, end;
	trit_part(job->s->total, 16, index, n, &begin, &end);
	trit_part_sums_finish_range(job->s, job->g, begin, end);
}

void trit_part_sums_finish(const struct trit_part_sums *s, float *g)
{
	struct put_job job = { s, g, 0 };
	if (s->height)
		trit_pool_run(s->pool, finish_thread, &job);
}
