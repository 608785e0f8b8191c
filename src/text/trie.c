/*
 * trie.c - a tree of token texts in a hash table.
 *
 * The table never grows, since nodes are known by their place in it: the nodes are counted first, from the sorted
 * texts, each of which adds what it does not share with the one before it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "text/special.h"
#include "text/trie.h"

#define MAX_NODES ((size_t)1 << 30)

static size_t count_nodes(const struct trit_special *sorted, const struct trit_vocab *v)
{
	size_t n = 0;

	for (uint32_t i = 0; i < sorted->n; i++) {
		const struct trit_piece *p = &v->pieces[sorted->ids[i]];
		const struct trit_piece *before = i > 0 ? &v->pieces[sorted->ids[i - 1]] : NULL;
		size_t shared = 0;

		while (before && shared < p->len && shared < before->len && p->text[shared] == before->text[shared])
			shared++;
		n += p->len - shared;
	}
	return n;
}

static void add(struct trit_trie *t, uint32_t root, size_t len, const char *text, trit_token id)
{
	uint32_t node = root;

	for (size_t i = 0; i < len; i++) {
		uint32_t next = trit_trie_slot(t, node, (unsigned char)text[i]);

		if (t->slots[next].parent == TRIT_TRIE_NONE)
			t->slots[next] = (struct trit_trie_slot){ node, (unsigned char)text[i] };
		node = next;
	}
	t->slots[node].byte_and_token = (t->slots[node].byte_and_token & 0xff) | ((uint32_t)id + 1) << 8;
}

int trit_trie_init(struct trit_trie *t, const struct trit_vocab *v, unsigned types, const char *apart,
                   struct trit_error *err)
{
	struct trit_special sorted = { 0 };
	size_t n, slots = 16, skip = strlen(apart);
	int status = trit_special_init(&sorted, v, types, err);

	if (status < 0)
		return status;
	n = count_nodes(&sorted, v);
	if (n > MAX_NODES) {
		trit_special_release(&sorted);
		return trit_fail(err, TRIT_ERR_LIMIT, "the texts of the tokens have more than %zu bytes", MAX_NODES);
	}
	while (slots < n + n / 2)
		slots *= 2;
	t->slots = trit_calloc(slots, sizeof *t->slots);
	t->mask = (uint32_t)(slots - 1);
	for (size_t i = 0; t->slots && i < slots; i++)
		t->slots[i].parent = TRIT_TRIE_NONE;
	for (uint32_t i = 0; t->slots && i < sorted.n; i++) {
		const struct trit_piece *p = &v->pieces[sorted.ids[i]];
		bool other = skip > 0 && p->len > skip && !memcmp(p->text, apart, skip);

		add(t, other ? TRIT_TRIE_OTHER : TRIT_TRIE_ROOT, other ? p->len - skip : p->len,
		    other ? p->text + skip : p->text, sorted.ids[i]);
	}
	trit_special_release(&sorted);
	return t->slots ? 0 : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a tokenizer");
}

void trit_trie_release(struct trit_trie *t)
{
	if (!t)
		return;
	trit_free(t->slots);
	*t = (struct trit_trie){ 0 };
}
