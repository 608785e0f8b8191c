/*
 * owners.c - cuts the parameters into units, buckets and pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/owners.h"

bool trit_by_muon(const struct trit_recipe *r, const struct trit_param *t)
{
	return r->optimizer != TRIT_OPTIMIZER_ADAMW && t->kind == TRIT_KIND_LINEAR;
}

/* When the gradient of unit u is ready, as struct trit_bucket has it. */
static int layer_of(const struct trit_owners *o, const struct trit_params *p, size_t u)
{
	const struct trit_param *t = &p->list[o->units[u].param];
	if (trit_tensors[t->id].per_layer)
		return t->layer;
	return t->id == TRIT_TENSOR_TOKEN_EMBD ? -1 : TRIT_MAX_LAYERS;
}

/* The units of all tensors; units NULL: counts. */
static size_t cut_units(struct trit_unit *units, const struct trit_params *p, const struct trit_recipe *r)
{
	size_t n_units = 0;
	for (int i = 0; i < p->n; i++) {
		const struct trit_param *t = &p->list[i];
		size_t all = t->rows * t->cols;
		bool whole = trit_by_muon(r, t);
		for (size_t at = 0, n; at < all; at += n) {
			n = whole ? all : all - at < TRIT_UNIT_FLOATS ? all - at : TRIT_UNIT_FLOATS;
			if (units)
				units[n_units] = (struct trit_unit){ t->offset + at, n, i, 0, whole };
			n_units++;
		}
	}
	return n_units;
}

/* Where unit u begins; the end of the array for the one behind the last. */
static size_t unit_begin(const struct trit_owners *o, const struct trit_params *p, size_t u)
{
	return u < o->n_units ? o->units[u].offset : p->total;
}

/* The work of a step of a unit, in elements by AdamW: Muon's matrices meet their shorter side in ten products. */
static double cost(const struct trit_unit *u, const struct trit_params *p)
{
	const struct trit_param *t = &p->list[u->param];
	size_t shorter = t->rows < t->cols ? t->rows : t->cols;
	return (double)u->n * (u->whole ? 1 + (double)shorter / 8 : 1);
}

/* Units first .. last - 1 are bucket b: its pieces are cut between units, where the work comes nearest to equal. */
static void cut_bucket(struct trit_owners *o, const struct trit_params *p, int b, size_t first, size_t last)
{
	size_t *cuts = o->cuts + (size_t)b * ((size_t)o->ranks + 1), u = first;
	double all = 0, done = 0;
	for (size_t i = first; i < last; i++)
		all += cost(&o->units[i], p);
	for (int piece = 0; piece < o->ranks; piece++) {
		double end = all * (piece + 1) / o->ranks;
		cuts[piece] = unit_begin(o, p, u);
		for (; u < last && (piece + 1 == o->ranks || done + cost(&o->units[u], p) / 2 < end); u++) {
			done += cost(&o->units[u], p);
			o->units[u].owner = (piece + b) % o->ranks;
		}
	}
	cuts[o->ranks] = unit_begin(o, p, last);
}

/* All buckets; o->buckets NULL: counts. */
static int cut_buckets(struct trit_owners *o, const struct trit_params *p)
{
	int n = 0;
	for (size_t first = 0, u; first < o->n_units; first = u) {
		int layer = layer_of(o, p, first);
		for (u = first + 1; u < o->n_units; u++)
			if (layer_of(o, p, u) != layer ||
			    unit_begin(o, p, u + 1) - o->units[first].offset > TRIT_BUCKET_FLOATS)
				break;
		if (o->buckets) {
			o->buckets[n] = (struct trit_bucket){ o->units[first].offset, unit_begin(o, p, u), layer };
			cut_bucket(o, p, n, first, u);
		}
		n++;
	}
	return n;
}

int trit_owners_init(struct trit_owners *o, const struct trit_params *p, const struct trit_recipe *r, int rank,
                     int ranks, struct trit_error *err)
{
	*o = (struct trit_owners){ .rank = rank, .ranks = ranks, .n_units = cut_units(NULL, p, r) };
	o->units = trit_calloc(o->n_units, sizeof *o->units);
	if (o->units) {
		cut_units(o->units, p, r);
		o->n_buckets = cut_buckets(o, p);
		o->cuts = trit_calloc((size_t)o->n_buckets, ((size_t)ranks + 1) * sizeof *o->cuts);
		o->buckets = o->cuts ? trit_calloc((size_t)o->n_buckets, sizeof *o->buckets) : NULL;
	}
	if (!o->buckets) {
		trit_owners_release(o);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to divide the parameters among %d processes", ranks);
	}
	cut_buckets(o, p);
	return TRIT_OK;
}

void trit_owners_release(struct trit_owners *o)
{
	trit_free(o->units);
	trit_free(o->buckets);
	trit_free(o->cuts);
	*o = (struct trit_owners){ 0 };
}

void trit_owners_piece(const struct trit_owners *o, int bucket, int rank, size_t *begin, size_t *end)
{
	int piece = (rank - bucket % o->ranks + o->ranks) % o->ranks;
	const size_t *cuts = o->cuts + (size_t)bucket * ((size_t)o->ranks + 1);
	*begin = cuts[piece];
	*end = cuts[piece + 1];
}

size_t trit_owners_own(const struct trit_owners *o)
{
	size_t own = 0;
	for (size_t u = 0; u < o->n_units; u++)
		own += o->units[u].owner == o->rank ? o->units[u].n : 0;
	return own;
}
