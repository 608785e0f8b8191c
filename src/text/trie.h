/*
 * trie.h - a tree of token texts, walked byte by byte: which tokens does the text begin with here?
 *
 * A node is a slot of a hash table, found by its parent and the byte that leads to it; 8 bytes a node.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_TRIE_H
#define TRIT_TEXT_TRIE_H

#include "text/vocab.h"

/** Where walks begin: all texts, or without those that _init was told to keep apart; and these. */
#define TRIT_TRIE_ROOT (UINT32_MAX - 1)
#define TRIT_TRIE_OTHER (UINT32_MAX - 2)
/** No such node. */
#define TRIT_TRIE_NONE UINT32_MAX

struct trit_trie_slot {
	uint32_t parent; /* TRIT_TRIE_NONE: empty */
	uint32_t byte_and_token; /* the byte | (token + 1) << 8, 0 for none */
};

/** A zeroed struct may be released, not walked. */
struct trit_trie {
	struct trit_trie_slot *slots; /* [mask + 1], at least a third of them empty */
	uint32_t mask;
};

/** Takes in the tokens of v whose type has its bit (1 << type) in `types`. Texts that begin with `apart` and go on are
 * entered without it under TRIT_TRIE_OTHER; "" for none. Errors: LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_trie_init(struct trit_trie *t, const struct trit_vocab *v, unsigned types, const char *apart,
                                   struct trit_error *err);
void trit_trie_release(struct trit_trie *t);

/** The slot of the node reached from `node` by `byte`, or the empty one where it would be. */
static inline uint32_t trit_trie_slot(const struct trit_trie *t, uint32_t node, unsigned char byte)
{
	uint64_t h = (uint64_t)(node ^ (uint32_t)byte << 23) * 0x9e3779b97f4a7c15 + byte * 0xc2b2ae3d27d4eb4f;
	uint32_t i = (uint32_t)(h >> 32) & t->mask;

	while (t->slots[i].parent != TRIT_TRIE_NONE &&
	       (t->slots[i].parent != node || (unsigned char)t->slots[i].byte_and_token != byte))
		i = (i + 1) & t->mask;
	return i;
}
/** The node reached from `node` by `byte`, or TRIT_TRIE_NONE. */
static inline uint32_t trit_trie_next(const struct trit_trie *t, uint32_t node, unsigned char byte)
{
	uint32_t i = trit_trie_slot(t, node, byte);

	return t->slots[i].parent == TRIT_TRIE_NONE ? TRIT_TRIE_NONE : i;
}
/** The token whose text ends at this node (not a root), or -1. */
static inline trit_token trit_trie_token(const struct trit_trie *t, uint32_t node)
{
	return (trit_token)(t->slots[node].byte_and_token >> 8) - 1;
}

#endif
