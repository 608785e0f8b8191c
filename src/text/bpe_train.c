/*
 * bpe_train.c - learning merges: the most frequent pair of neighbours becomes a token, again and again.
 *
 * Each different word is there once, with its count. A table holds for every pair how often it occurs and a list of the
 * places where it does; a heap gives the most frequent pair. A merge visits only the places of its pair and changes the
 * counts of the neighbours there, so the whole costs in proportion to the tokens that ever merge.
 *
 * All words lie in one array `at`, a slot for each byte and a wall (WALL) before, between and after words. The tokens
 * of a word are in the slots of its bytes:
 *
 *     bytes    |      t h e |      slots of a token of n bytes:  first   its id
 *     at       WALL t x 2 e WALL                                 last    BACK | n, if n > 1 (how far back it begins)
 *              here "th" is one token                            others  not looked at
 *
 * so both neighbours are found without links. Lists are not cleaned up: a place may have changed since it was listed,
 * and is looked at again before it is merged. That the ids in unused slots are erased (DEAD) makes this sure.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "base/rng.h"
#include "text/alphabet.h"
#include "text/bpe_train.h"
#include "text/pretok.h"
#include "text/word_count.h"

#define WALL UINT32_MAX
#define DEAD (UINT32_MAX - 1)
#define BACK 0x80000000u /* ids are below */
#define NO_NODE UINT32_MAX

#define END_TOKEN "<|endoftext|>"

struct trit_bpe_trainer {
	char pre[32];
	struct trit_pretok *pretok;
	struct trit_cutter *cutter;
	struct trit_word_count words;
	uint64_t bytes;
};

/* ---- counting --------------------------------------------------------------------------------------------------- */

int trit_bpe_trainer_new(struct trit_bpe_trainer **out, const char *pre, struct trit_error *err)
{
	struct trit_bpe_trainer *t = trit_calloc(1, sizeof *t);
	int status;

	if (!t)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to learn a vocabulary");
	t->words.max_words = TRIT_BPE_MAX_WORDS;
	t->words.max_bytes = TRIT_BPE_MAX_WORDS_BYTES;
	if (!*pre)
		pre = "gpt-2";
	status = trit_pretok_new(&t->pretok, pre, err);
	snprintf(t->pre, sizeof t->pre, "%s", pre); /* it is known now, so it fits */
	if (status == 0)
		status = trit_cutter_new(&t->cutter, t->pretok, err);
	if (status < 0) {
		trit_bpe_trainer_free(t);
		return status;
	}
	*out = t;
	return 0;
}

void trit_bpe_trainer_free(struct trit_bpe_trainer *t)
{
	if (!t)
		return;
	trit_cutter_free(t->cutter);
	trit_pretok_free(t->pretok);
	trit_word_count_release(&t->words);
	trit_free(t);
}

int trit_bpe_trainer_merge(struct trit_bpe_trainer *t, struct trit_bpe_trainer *from, struct trit_error *err)
{
	t->bytes += from->bytes;
	from->bytes = 0;
	return trit_word_count_merge(&t->words, &from->words, err);
}

uint64_t trit_bpe_trainer_bytes(const struct trit_bpe_trainer *t)
{
	return t->bytes;
}

int trit_bpe_trainer_add(struct trit_bpe_trainer *t, size_t len, const char *text, struct trit_error *err)
{
	const char *word;
	size_t word_len;
	int status;

	if (len == 0)
		return 0;
	t->bytes += len;
	trit_cutter_start(t->cutter, len, text);
	while ((status = trit_cutter_next(t->cutter, &word, &word_len, err)) > 0)
		while (word_len > 0) {
			size_t part = word_len < TRIT_BPE_MAX_WORD ? word_len : TRIT_BPE_MAX_WORD;

			status = trit_word_count_add(&t->words, part, word, err);
			if (status < 0)
				return status;
			word += part;
			word_len -= part;
		}
	return status;
}

/* ---- learning --------------------------------------------------------------------------------------------------- */

struct pair {
	uint32_t left, right;
	int64_t count;
	uint32_t first, last; /* list of places; NO_NODE: empty */
	bool touched;         /* on the list of pairs whose count grew in this step */
};

struct node {
	uint32_t place, next;
};

struct candidate {
	int64_t count; /* when it was put on the heap; the pair may have become rarer since, never more frequent */
	uint32_t pair;
};

/* One array that grows. */
struct array {
	void *data;
	size_t n, capacity;
};

struct learner {
	const struct trit_word_count *words;
	uint32_t *at;       /* [n_places], above */
	uint32_t *word_of;  /* [n_places], index of the word */
	size_t n_places;
	struct array pairs; /* of struct pair */
	uint32_t *table;    /* hash table of pair + 1; table_mask + 1 slots, at least half empty */
	size_t table_mask;
	struct array nodes; /* of struct node */
	uint32_t free_node; /* list of nodes given back */
	struct array heap;  /* of struct candidate, the best first */
	struct array touched; /* of uint32_t, pairs */
	/* What was learnt: token id has bytes text[starts[id]] up to text[starts[id + 1]]. */
	struct array starts; /* of size_t */
	struct array text;   /* of char */
	struct array merges; /* of struct merged, the parts of token 256 + i */
};

struct merged {
	uint32_t left, right;
};

static void release(struct learner *l)
{
	trit_free(l->at);
	trit_free(l->word_of);
	trit_free(l->pairs.data);
	trit_free(l->table);
	trit_free(l->nodes.data);
	trit_free(l->heap.data);
	trit_free(l->touched.data);
	trit_free(l->starts.data);
	trit_free(l->text.data);
	trit_free(l->merges.data);
}

static int out_of_memory(struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to learn a vocabulary");
}

/* Room for `more` elements. */
static int reserve(struct array *a, size_t more, size_t size, struct trit_error *err)
{
	size_t capacity = a->capacity ? a->capacity : 1024;
	void *data;

	if (more <= a->capacity - a->n)
		return 0;
	while (capacity < a->n + more)
		capacity *= 2;
	data = trit_realloc(a->data, a->capacity * size, capacity, size);
	if (!data)
		return out_of_memory(err);
	a->data = data;
	a->capacity = capacity;
	return 0;
}

static uint32_t token_len(const struct learner *l, uint32_t id)
{
	const size_t *starts = l->starts.data;

	return (uint32_t)(starts[id + 1] - starts[id]);
}

/* The slot of the pair table that holds the pair, or the empty one where it belongs. */
static uint32_t *pair_slot(const struct learner *l, uint32_t left, uint32_t right)
{
	const struct pair *pairs = l->pairs.data;
	size_t i = (size_t)trit_hash64((uint64_t)left << 32 | right) & l->table_mask;

	while (l->table[i] && (pairs[l->table[i] - 1].left != left || pairs[l->table[i] - 1].right != right))
		i = (i + 1) & l->table_mask;
	return &l->table[i];
}

static int grow_pair_table(struct learner *l, struct trit_error *err)
{
	size_t slots = l->table ? 2 * (l->table_mask + 1) : 1 << 16;
	uint32_t *table = trit_calloc(slots, sizeof *table);
	const struct pair *pairs = l->pairs.data;

	if (!table)
		return out_of_memory(err);
	trit_free(l->table);
	l->table = table;
	l->table_mask = slots - 1;
	for (size_t i = 0; i < l->pairs.n; i++)
		*pair_slot(l, pairs[i].left, pairs[i].right) = (uint32_t)i + 1;
	return 0;
}

/* One more place of a pair, in a word that occurs `count` times. */
static int add_place(struct learner *l, uint32_t left, uint32_t right, uint32_t place, int64_t count,
                     struct trit_error *err)
{
	uint32_t *slot, index, node;
	struct pair *p;
	struct node *nodes;

	if (reserve(&l->pairs, 1, sizeof *p, err) || reserve(&l->nodes, 1, sizeof *nodes, err) ||
	    reserve(&l->touched, 1, sizeof index, err) ||
	    (2 * (l->pairs.n + 1) > l->table_mask + 1 && grow_pair_table(l, err)))
		return TRIT_ERR_MEMORY;
	slot = pair_slot(l, left, right);
	if (!*slot) {
		((struct pair *)l->pairs.data)[l->pairs.n] = (struct pair){ left, right, 0, NO_NODE, NO_NODE, false };
		*slot = (uint32_t)++l->pairs.n;
	}
	index = *slot - 1;
	p = (struct pair *)l->pairs.data + index;
	p->count += count;
	if (!p->touched) {
		p->touched = true;
		((uint32_t *)l->touched.data)[l->touched.n++] = index;
	}
	nodes = l->nodes.data;
	if (l->free_node != NO_NODE) {
		node = l->free_node;
		l->free_node = nodes[node].next;
	} else {
		node = (uint32_t)l->nodes.n++;
	}
	nodes[node] = (struct node){ place, NO_NODE };
	if (p->last == NO_NODE)
		p->first = node;
	else
		nodes[p->last].next = node;
	p->last = node;
	return 0;
}

static bool better(const struct learner *l, struct candidate a, struct candidate b)
{
	const struct pair *pairs = l->pairs.data, *x = &pairs[a.pair], *y = &pairs[b.pair];

	if (a.count != b.count)
		return a.count > b.count;
	return x->left != y->left ? x->left < y->left : x->right < y->right;
}

static void push(struct learner *l, struct candidate c)
{
	struct candidate *heap = l->heap.data;
	size_t i = l->heap.n++;

	for (; i > 0 && better(l, c, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = c;
}

static struct candidate pop(struct learner *l)
{
	struct candidate *heap = l->heap.data, top = heap[0], c = heap[--l->heap.n];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < l->heap.n; i = child) {
		if (child + 1 < l->heap.n && better(l, heap[child + 1], heap[child]))
			child++;
		if (!better(l, heap[child], c))
			break;
		heap[i] = heap[child];
	}
	heap[i] = c;
	return top;
}

/* Puts the pairs whose count grew on the heap. */
static int push_touched(struct learner *l, struct trit_error *err)
{
	struct pair *pairs = l->pairs.data;
	const uint32_t *touched = l->touched.data;

	if (reserve(&l->heap, l->touched.n + 1, sizeof(struct candidate), err))
		return TRIT_ERR_MEMORY;
	for (size_t i = 0; i < l->touched.n; i++) {
		struct pair *p = &pairs[touched[i]];

		p->touched = false;
		if (p->count > 1)
			push(l, (struct candidate){ p->count, touched[i] });
	}
	l->touched.n = 0;
	return 0;
}

/* The most frequent pair that occurs at least twice; its number, or -1. */
static int64_t best_pair(struct learner *l)
{
	while (l->heap.n > 0) {
		struct candidate top = pop(l);
		const struct pair *p = (const struct pair *)l->pairs.data + top.pair;

		if (p->count == top.count)
			return top.pair;
		if (p->count > 1 && p->count < top.count) /* it became rarer: back to where it belongs now */
			push(l, (struct candidate){ p->count, top.pair });
	}
	return -1;
}

/* A new token, the bytes of two others one after the other. */
static int add_token(struct learner *l, uint32_t left, uint32_t right, struct trit_error *err)
{
	size_t left_len = token_len(l, left), right_len = token_len(l, right), *starts;
	char *text;

	if (reserve(&l->text, left_len + right_len, 1, err) || reserve(&l->starts, 1, sizeof *starts, err))
		return TRIT_ERR_MEMORY;
	text = l->text.data;
	starts = l->starts.data;
	memcpy(text + l->text.n, text + starts[left], left_len);
	memcpy(text + l->text.n + left_len, text + starts[right], right_len);
	l->text.n += left_len + right_len;
	starts[l->starts.n++] = l->text.n;
	return 0;
}

static int64_t count_at(const struct learner *l, size_t place)
{
	return (int64_t)l->words->words[l->word_of[place]].count;
}

static void lose_pair(struct learner *l, uint32_t left, uint32_t right, int64_t count)
{
	const uint32_t *slot = pair_slot(l, left, right);

	((struct pair *)l->pairs.data)[*slot - 1].count -= count;
}

/* Merges the tokens at `place` (left) and behind it (right) into `id`, and counts the neighbours anew. */
static int merge_place(struct learner *l, uint32_t place, uint32_t left, uint32_t right, uint32_t id,
                       struct trit_error *err)
{
	uint32_t left_len = token_len(l, left), len = left_len + token_len(l, right), end = place + len;
	uint32_t before = l->at[place - 1], after = l->at[end], begin;
	int64_t count = count_at(l, place);

	l->at[place + left_len] = DEAD;
	l->at[place] = id;
	l->at[end - 1] = BACK | len;
	if (before != WALL) {
		begin = before & BACK ? place - (before & ~BACK) : place - 1;
		before = l->at[begin];
		lose_pair(l, before, left, count);
		if (add_place(l, before, id, begin, count, err))
			return TRIT_ERR_MEMORY;
	}
	if (after != WALL) {
		lose_pair(l, right, after, count);
		if (add_place(l, id, after, place, count, err))
			return TRIT_ERR_MEMORY;
	}
	return 0;
}

/*
 * Makes a pair a token: one step. The token is always new: what happens inside a stretch of bytes that ends up as one
 * token does not depend on what surrounds it, so no other pair can have the same bytes.
 */
static int merge_pair(struct learner *l, uint32_t index, struct trit_error *err)
{
	struct pair *p = (struct pair *)l->pairs.data + index;
	uint32_t left = p->left, right = p->right, node = p->first, left_len = token_len(l, left);
	uint32_t id = (uint32_t)l->starts.n - 1;

	if (reserve(&l->merges, 1, sizeof(struct merged), err) || add_token(l, left, right, err))
		return TRIT_ERR_MEMORY;
	((struct merged *)l->merges.data)[l->merges.n++] = (struct merged){ left, right };
	p->first = p->last = NO_NODE;
	while (node != NO_NODE) {
		struct node *n = (struct node *)l->nodes.data + node;
		uint32_t place = n->place, next = n->next;

		n->next = l->free_node; /* given back before new places need nodes */
		l->free_node = node;
		node = next;
		if (l->at[place] == left && l->at[place + left_len] == right &&
		    merge_place(l, place, left, right, id, err))
			return TRIT_ERR_MEMORY;
	}
	/* Every place is merged; what overlapping places ("aaa") leave of the count is no place any more. */
	((struct pair *)l->pairs.data)[index].count = 0;
	return push_touched(l, err);
}

/* ---- from words to learner, and from learner to vocabulary ------------------------------------------------------- */

static int lay_out_words(struct learner *l, struct trit_error *err)
{
	uint32_t byte_id[256];
	size_t place = 0;

	for (int i = 0; i < 256; i++)
		byte_id[trit_alphabet_byte(i)] = (uint32_t)i;
	l->at[place++] = WALL;
	for (size_t w = 0; w < l->words->n; w++) {
		const struct trit_word *word = &l->words->words[w];

		for (size_t i = 0; i < word->len; i++, place++) {
			l->at[place] = byte_id[(unsigned char)l->words->bytes[word->start + i]];
			l->word_of[place] = (uint32_t)w;
			if (i > 0 && add_place(l, l->at[place - 1], l->at[place], (uint32_t)place - 1,
			                       (int64_t)word->count, err))
				return TRIT_ERR_MEMORY;
		}
		l->at[place++] = WALL;
	}
	return push_touched(l, err);
}

static int prepare(struct learner *l, const struct trit_word_count *words, struct trit_error *err)
{
	*l = (struct learner){ .words = words, .n_places = words->n_bytes + words->n + 1, .free_node = NO_NODE };
	l->at = trit_calloc(l->n_places, sizeof *l->at);
	l->word_of = trit_calloc(l->n_places, sizeof *l->word_of);
	if (!l->at || !l->word_of)
		return out_of_memory(err);
	if (reserve(&l->starts, 257, sizeof(size_t), err) || reserve(&l->text, 256, 1, err) || grow_pair_table(l, err))
		return TRIT_ERR_MEMORY;
	for (size_t i = 0; i <= 256; i++)
		((size_t *)l->starts.data)[l->starts.n++] = i;
	for (int i = 0; i < 256; i++)
		((char *)l->text.data)[l->text.n++] = (char)trit_alphabet_byte(i);
	return lay_out_words(l, err);
}

static int write_token(const struct learner *l, struct trit_vocab *v, uint32_t id, struct trit_error *err)
{
	char text[2 * TRIT_BPE_MAX_WORD];
	const size_t *starts = l->starts.data;
	size_t len = trit_alphabet_encode(starts[id + 1] - starts[id], (const char *)l->text.data + starts[id], text);

	return trit_vocab_set_piece(v, id, len, text, TRIT_TOKEN_NORMAL, err);
}

static int write_merge(const struct learner *l, struct trit_vocab *v, size_t rank, struct trit_error *err)
{
	const struct merged *m = (const struct merged *)l->merges.data + rank;
	char text[2 * TRIT_BPE_MAX_WORD + 1];
	const struct trit_piece *left = &v->pieces[m->left], *right = &v->pieces[m->right];

	memcpy(text, left->text, left->len);
	text[left->len] = ' ';
	memcpy(text + left->len + 1, right->text, right->len);
	return trit_vocab_set_merge(v, rank, left->len + 1 + right->len, text, err);
}

static int write_vocab(const struct learner *l, const char *pre, struct trit_vocab *out, struct trit_error *err)
{
	struct trit_vocab v = { 0 };
	size_t n = l->starts.n - 1, bytes = 2 * l->text.n + strlen(END_TOKEN);
	const struct merged *merges = l->merges.data;
	int status;

	for (size_t i = 0; i < l->merges.n; i++)
		bytes += 2 * (token_len(l, merges[i].left) + token_len(l, merges[i].right)) + 1;
	status = trit_vocab_init(&v, "gpt2", pre, n + 1, l->merges.n, bytes, err);
	for (size_t i = 0; i < n && status == 0; i++)
		status = write_token(l, &v, (uint32_t)i, err);
	for (size_t i = 0; i < l->merges.n && status == 0; i++)
		status = write_merge(l, &v, i, err);
	if (status == 0)
		status = trit_vocab_set_piece(&v, n, strlen(END_TOKEN), END_TOKEN, TRIT_TOKEN_CONTROL, err);
	if (status < 0) {
		trit_vocab_release(&v);
		return status;
	}
	v.bos = v.eos = (trit_token)n;
	v.add_bos = true;
	*out = v;
	return 0;
}

int trit_bpe_train(struct trit_bpe_trainer *t, int n_tokens, struct trit_vocab *out, struct trit_error *err)
{
	struct learner l;
	int64_t pair;
	int status;

	if (n_tokens < 257 || n_tokens > TRIT_MAX_VOCAB)
		return trit_fail(err, TRIT_ERR_ARG, "a vocabulary of %d tokens; it must have 257 to %d", n_tokens,
		                 TRIT_MAX_VOCAB);
	if (t->words.n == 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "no text to learn a vocabulary from");
	status = prepare(&l, &t->words, err);
	while (status == 0 && l.starts.n - 1 < (size_t)n_tokens - 1 && (pair = best_pair(&l)) >= 0)
		status = merge_pair(&l, (uint32_t)pair, err);
	if (status == 0)
		status = write_vocab(&l, t->pre, out, err);
	release(&l);
	return status;
}
