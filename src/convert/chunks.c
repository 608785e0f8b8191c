/*
 * chunks.c - rounds of chunks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/chunks.h"

#include "base/mem.h"

#define PIECE ((size_t)1 << 18) /* weights */
#define THREADS_MAX 16
#define THREADS_FROM ((size_t)1 << 21) /* weights of the largest tensor */

size_t trit_chunk_rows(size_t cols, size_t multiple)
{
	size_t n = PIECE / cols / multiple;
	return (n ? n : 1) * multiple;
}

static int count(const struct trit_chunks *p)
{
	return p->pool ? trit_pool_size(p->pool) : 1;
}

int trit_chunks_init(struct trit_chunks *p, size_t largest_tensor, size_t weights, size_t bytes,
                     struct trit_error *err)
{
	int n = trit_cpu_count() < THREADS_MAX ? trit_cpu_count() : THREADS_MAX;
	*p = (struct trit_chunks){ 0 };
	if (largest_tensor < THREADS_FROM)
		n = 1;
	int e = n > 1 ? trit_pool_new(&p->pool, n, err) : TRIT_OK;
	if (e)
		return e;
	p->list = trit_calloc((size_t)n, sizeof *p->list);
	bool ok = p->list;
	for (int i = 0; i < n && ok; i++) {
		struct trit_chunk *one = &p->list[i];
		one->floats = trit_calloc(weights, sizeof *one->floats);
		one->codes = trit_calloc(weights, 1);
		one->bytes = trit_calloc(bytes, 1);
		ok = one->floats && one->codes && one->bytes;
	}
	if (!ok)
		trit_chunks_release(p);
	return ok ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu weights at a time", weights);
}

void trit_chunks_release(struct trit_chunks *p)
{
	int n = count(p);
	for (int i = 0; i < n && p->list; i++) {
		trit_free(p->list[i].floats);
		trit_free(p->list[i].codes);
		trit_free(p->list[i].bytes);
	}
	trit_free(p->list);
	trit_pool_free(p->pool);
	*p = (struct trit_chunks){ 0 };
}

static void make_one(void *arg, int index, int n)
{
	const struct trit_chunks *p = arg;
	struct trit_chunk *one = &p->list[index];
	(void)n;
	one->status = one->n ? p->make(p->arg, one) : TRIT_OK;
}

int trit_chunks_run(struct trit_chunks *p, size_t rows, size_t step, trit_chunk_make_fn *make,
                    trit_chunk_take_fn *take, void *arg, struct trit_error *err)
{
	int n = count(p);
	p->make = make;
	p->arg = arg;
	for (size_t row = 0; row < rows;) {
		for (int i = 0; i < n; i++) {
			p->list[i].row = row;
			p->list[i].n = rows - row < step ? rows - row : step;
			row += p->list[i].n;
		}
		trit_pool_run(p->pool, make_one, p);
		for (int i = 0; i < n && p->list[i].n; i++) {
			struct trit_chunk *one = &p->list[i];
			int e = one->status;
			if (e && err)
				*err = one->err;
			if (e || (take && (e = take(arg, one, err))))
				return e;
		}
	}
	return TRIT_OK;
}
