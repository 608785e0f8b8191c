/*
 * windows.c - packs examples into windows, writes and reads them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/windows.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "train/order.h"

enum { TRAIN, VAL, N_SETS };
static const char *const set_names[N_SETS] = { "train", "val" };

/* Windows that wait for examples that fit. More fill better and mix the examples more; with 64 little is lost. */
#define MAX_OPEN 64

static int path_of(char *path, size_t size, const char *dir, int set, struct trit_error *err)
{
	if (snprintf(path, size, "%s/examples-%s.safetensors", dir, set_names[set]) < (int)size)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", dir);
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* Windows of a set, in memory until all are there. */
struct pack {
	size_t n, cap;         /* windows */
	uint32_t *tokens;      /* [cap, S + 1] */
	uint32_t *starts;
	unsigned char *loss;
	size_t open[MAX_OPEN]; /* numbers of windows that have room */
	size_t room[MAX_OPEN];
	int n_open;
};

struct packer {
	const struct trit_windows_options *o;
	size_t length; /* S + 1 */
	uint32_t filler;
	struct pack sets[N_SETS];
};

static int grow(struct packer *p, struct pack *s, struct trit_error *err)
{
	size_t cap = s->cap ? 2 * s->cap : 64, row = p->length;
	uint32_t *tokens, *starts = NULL;
	unsigned char *loss = NULL;
	tokens = trit_realloc(s->tokens, s->cap * row * sizeof *tokens, cap * row, sizeof *tokens);
	if (tokens)
		s->tokens = tokens;
	if (tokens && (starts = trit_realloc(s->starts, s->cap * row * sizeof *starts, cap * row, sizeof *starts)))
		s->starts = starts;
	if (starts && (loss = trit_realloc(s->loss, s->cap * row, cap * row, 1)))
		s->loss = loss;
	if (!loss)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu windows of examples", cap);
	s->cap = cap;
	return TRIT_OK;
}

/* Where an example of n tokens goes: the open window with the least room that has enough, or a new one. The number in
 * the list of open ones, or a negative status. */
static int find_room(struct packer *p, struct pack *s, size_t n, struct trit_error *err)
{
	int best = -1, fullest = 0, e;
	for (int i = 0; i < s->n_open; i++) {
		if (s->room[i] >= n && (best < 0 || s->room[i] < s->room[best]))
			best = i;
		if (s->room[i] < s->room[fullest])
			fullest = i;
	}
	if (best >= 0)
		return best;
	if (s->n == s->cap && (e = grow(p, s, err)))
		return e;
	best = s->n_open < MAX_OPEN ? s->n_open++ : fullest;
	for (size_t i = 0; i < p->length; i++) { /* padding is an example of its own */
		s->tokens[s->n * p->length + i] = p->filler;
		s->starts[s->n * p->length + i] = 0;
		s->loss[s->n * p->length + i] = 0;
	}
	s->open[best] = s->n++;
	s->room[best] = p->length;
	return best;
}

static int pack_example(void *arg, size_t n, const trit_token *tokens, const bool *loss, uint64_t key,
                        struct trit_error *err)
{
	struct packer *p = arg;
	double u = (double)(key >> 11) * 0x1p-53;
	struct pack *s = &p->sets[u < p->o->val_share ? VAL : TRAIN];
	int slot = find_room(p, s, n, err);
	if (slot < 0)
		return slot;
	size_t begin = p->length - s->room[slot], at = s->open[slot] * p->length + begin;
	for (size_t i = 0; i < n; i++) {
		s->tokens[at + i] = (uint32_t)tokens[i];
		s->starts[at + i] = (uint32_t)begin;
		s->loss[at + i] = loss[i];
	}
	s->room[slot] -= n;
	for (size_t i = n; i < n + s->room[slot]; i++)
		s->starts[at + i] = (uint32_t)(begin + n);
	if (p->o->padded)
		s->room[slot] = 0;
	return TRIT_OK;
}

static int write_set(const struct packer *p, int set, const char *dir, struct trit_error *err)
{
	const struct pack *s = &p->sets[set];
	struct trit_st_writer *w;
	char path[4096];
	uint64_t shape[2] = { s->n, p->length };
	size_t n = s->n * p->length;
	int e = path_of(path, sizeof path, dir, set, err);
	if (e || (e = trit_st_writer_new(&w, path, err)))
		return e;
	for (size_t i = 0; i < n; i++) { /* as in the file, in place */
		trit_put32((unsigned char *)(s->tokens + i), s->tokens[i]);
		trit_put32((unsigned char *)(s->starts + i), s->starts[i]);
	}
	if (!(e = trit_st_put_tensor(w, "tokens", TRIT_DTYPE_U32, 2, shape, err)) &&
	    !(e = trit_st_put_tensor(w, "starts", TRIT_DTYPE_U32, 2, shape, err)) &&
	    !(e = trit_st_put_tensor(w, "loss", TRIT_DTYPE_U8, 2, shape, err)) && !(e = trit_st_begin(w, err)) &&
	    !(e = trit_st_write(w, n * 4, s->tokens, err)) && !(e = trit_st_write(w, n * 4, s->starts, err)) &&
	    !(e = trit_st_write(w, n, s->loss, err)))
		e = trit_st_commit(w, err);
	trit_st_writer_free(w);
	return e;
}

int trit_windows_fill(const struct trit_windows_options *wo, trit_token filler, trit_windows_fill_fn *fill, void *arg,
                      const char *dir, struct trit_error *err)
{
	struct packer p = { .o = wo, .length = (size_t)wo->seq_len + 1, .filler = (uint32_t)(filler >= 0 ? filler : 0) };
	int e = fill(arg, pack_example, &p, err);
	if (!e && !p.sets[TRAIN].n)
		e = trit_fail(err, TRIT_ERR_ARG, "all examples were held out for validation; choose a smaller --val-share");
	if (!e)
		e = trit_make_dirs(dir, err);
	for (int set = 0; set < N_SETS; set++) {
		if (!e)
			e = write_set(&p, set, dir, err);
		trit_free(p.sets[set].tokens);
		trit_free(p.sets[set].starts);
		trit_free(p.sets[set].loss);
	}
	return e;
}

int trit_windows_progress(const struct trit_windows_options *wo, uint64_t done, uint64_t bytes, struct trit_error *err)
{
	if (wo->progress && wo->progress(wo->progress_arg, "reading examples", done, bytes))
		return trit_fail(err, TRIT_ERR_LIMIT, "stopped while preparing the examples; nothing was trained yet");
	return TRIT_OK;
}

/* Examples of files of records. */
struct records {
	size_t n_paths;
	char *const *paths;
	const struct trit_example_options *eo;
	const struct trit_windows_options *wo;
	struct trit_example_counts *counts;
	trit_example_fn *add;
	void *adder;
};

static int add_record(void *arg, size_t n, const trit_token *tokens, const bool *loss, uint64_t key,
                      struct trit_error *err)
{
	const struct records *r = arg;
	int e = r->add(r->adder, n, tokens, loss, key, err);
	return e ? e : trit_windows_progress(r->wo, r->counts->done, r->counts->bytes, err);
}

static int fill_records(void *arg, trit_example_fn *add, void *adder, struct trit_error *err)
{
	struct records *r = arg;
	r->add = add;
	r->adder = adder;
	return trit_examples_each(r->n_paths, r->paths, r->eo, add_record, r, r->counts, err);
}

int trit_windows_prepare(size_t n_paths, char *const *paths, const struct trit_example_options *eo,
                         const struct trit_windows_options *wo, const char *dir, struct trit_example_counts *counts,
                         struct trit_error *err)
{
	struct trit_example_options options = *eo;
	struct records r = { n_paths, paths, &options, wo, counts, NULL, NULL };
	options.max_tokens = (size_t)wo->seq_len + 1;
	return trit_windows_fill(wo, trit_tokenizer_vocab(eo->tokenizer)->eos, fill_records, &r, dir, err);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

bool trit_windows_there(const char *dir)
{
	char path[4096];
	return !path_of(path, sizeof path, dir, TRAIN, NULL) && trit_path_kind(path) == 0;
}

void trit_windows_remove(const char *dir)
{
	char path[4096];
	for (int set = 0; set < N_SETS; set++)
		if (!path_of(path, sizeof path, dir, set, NULL))
			unlink(path);
}

static const unsigned char *data_of(const struct trit_safetensors *s, const char *name, enum trit_dtype dtype,
                                    uint64_t n, uint64_t length)
{
	const struct trit_st_tensor *t = trit_safetensors_find(s, name);
	bool fits = t && t->dtype == dtype && t->n_dims == 2 && t->shape[0] == n && t->shape[1] == length;
	return fits ? t->data : NULL;
}

/* Everything that a step relies on. */
static int check_set(struct trit_windows *w, int set, const char *path, int n_vocab, struct trit_error *err)
{
	const struct trit_safetensors *s = &w->files[set];
	const struct trit_st_tensor *t = trit_safetensors_find(s, "tokens");
	uint64_t length = (uint64_t)w->seq_len + 1, n = t && t->n_dims == 2 ? t->shape[0] : 0;
	const unsigned char *tokens = data_of(s, "tokens", TRIT_DTYPE_U32, n, length);
	const unsigned char *starts = data_of(s, "starts", TRIT_DTYPE_U32, n, length);
	const unsigned char *loss = data_of(s, "loss", TRIT_DTYPE_U8, n, length);
	if (!tokens || !starts || !loss )
		return trit_fail(err, TRIT_ERR_FORMAT, "%s: not examples in windows of %llu tokens; delete the data folder and "
		                 "start again", path, (unsigned long long)length);
	for (uint64_t i = 0; i < n * length; i++) {
		uint64_t at = i % length, start = trit_get32(starts + 4 * i);
		uint64_t before = at ? trit_get32(starts + 4 * i - 4) : 0;
		if (trit_get32(tokens + 4 * i) >= (uint32_t)n_vocab || start > at || start < before || loss[i] > 1)
			return trit_fail(err, TRIT_ERR_FORMAT, "%s: window %llu, token %llu is damaged, or not of the vocabulary "
			                 "of %d; delete the data folder and start again", path, (unsigned long long)(i / length),
			                 (unsigned long long)at, n_vocab);
	}
	w->n[set] = n;
	return TRIT_OK;
}

int trit_windows_open(struct trit_windows *w, const char *dir, int n_vocab, int seq_len, uint64_t seed,
                      struct trit_error *err)
{
	char path[4096];
	int e = TRIT_OK;
	*w = (struct trit_windows){ .seq_len = seq_len, .seed = seed };
	for (int set = 0; set < N_SETS && !e; set++)
		if (!(e = path_of(path, sizeof path, dir, set, err)) && !(e = trit_safetensors_open(&w->files[set], path, err)))
			e = check_set(w, set, path, n_vocab, err);
	if (!e && !w->n[TRAIN])
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: no examples", dir);
	if (e)
		trit_windows_close(w);
	return e;
}

void trit_windows_close(struct trit_windows *w)
{
	for (int set = 0; set < N_SETS; set++)
		trit_safetensors_close(&w->files[set]);
	*w = (struct trit_windows){ 0 };
}

static void read_window(const struct trit_windows *w, int set, uint64_t window, trit_token *tokens, float *weights,
                        int *starts)
{
	const struct trit_safetensors *s = &w->files[set];
	size_t length = (size_t)w->seq_len + 1, at = (size_t)window * length;
	const unsigned char *t = trit_safetensors_find(s, "tokens")->data + 4 * at;
	const unsigned char *b = trit_safetensors_find(s, "starts")->data + 4 * at;
	const unsigned char *l = trit_safetensors_find(s, "loss")->data + at;
	for (size_t i = 0; i < length; i++)
		tokens[i] = (trit_token)trit_get32(t + 4 * i);
	for (size_t i = 0; i + 1 < length; i++) {
		starts[i] = (int)trit_get32(b + 4 * i);
		weights[i] = l[i + 1] ? 1.0f : 0.0f;
	}
}

void trit_windows_train(const struct trit_windows *w, uint64_t first, int n, trit_token *tokens, float *weights,
                        int *starts)
{
	size_t s = (size_t)w->seq_len;
	for (size_t i = 0; i < (size_t)n; i++) {
		uint64_t n_windows = w->n[TRAIN], window = first + i, key = trit_order_key(w->seed, 0, window / n_windows);
		read_window(w, TRAIN, trit_order_at(n_windows, key, window % n_windows), tokens + i * (s + 1), weights + i * s,
		            starts + i * s);
	}
}

void trit_windows_val(const struct trit_windows *w, uint64_t first, int n, trit_token *tokens, float *weights,
                      int *starts)
{
	size_t s = (size_t)w->seq_len;
	for (size_t i = 0; i < (size_t)n; i++)
		read_window(w, VAL, first + i, tokens + i * (s + 1), weights + i * s, starts + i * s);
}
