/*
 * tokenizer_parts.h - what a tokenizer is made of; shared by the files of text/ that build it (tokenizer.c) and use it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_TOKENIZER_PARTS_H
#define TRIT_TEXT_TOKENIZER_PARTS_H

#include "text/bpe.h"
#include "text/normal.h"
#include "text/pretok.h"
#include "text/special.h"
#include "text/spm_text.h"
#include "text/tokenizer.h"
#include "text/trie.h"
#include "text/unigram.h"

enum trit_tokenizer_kind {
	TRIT_TOKENIZER_BPE,       /* "gpt2" */
	TRIT_TOKENIZER_SPM,       /* "llama" */
	TRIT_TOKENIZER_UNIGRAM,   /* "t5" */
	TRIT_TOKENIZER_WORDPIECE, /* "bert" */
};

/* Types of tokens that text becomes, but for byte-level BPE. */
#define TRIT_TEXT_TYPES (1u << TRIT_TOKEN_NORMAL | 1u << TRIT_TOKEN_USER | 1u << TRIT_TOKEN_UNUSED)

struct trit_tokenizer {
	struct trit_vocab vocab;
	enum trit_tokenizer_kind kind;
	uint32_t *by_text; /* hash table of token + 1, 0 where empty; text_mask + 1 slots */
	uint32_t text_mask;
	size_t longest;    /* bytes of the longest text */
	char *decoded;     /* bytes of all tokens, one after the other */
	size_t *starts;    /* [V + 1], into decoded */
	trit_token bytes[256];     /* -1: none */
	struct trit_special user, all; /* user-defined tokens; those and control tokens */
	struct trit_normalizer *normalizer; /* NULL: texts stay as they are */
	/* byte-level BPE */
	bool lacks_bytes;
	struct trit_bpe bpe;
	struct trit_pretok *pretok;
	bool ignores_merges;
	/* SentencePiece */
	struct trit_spm_text spm_text;
	bool byte_fallback; /* what is no token becomes its bytes */
	bool by_rank;       /* "llama" of a tokenizer.json: characters merge by its list of merges, not by score */
	bool has_unused;    /* some token is of type "unused" */
	struct trit_unigram unigram;
	/* WordPiece */
	struct trit_trie wordpiece;
};

/* Fills t->decoded and t->starts. Errors: FORMAT, MEMORY. */
TRIT_MUST_CHECK int trit_decode_texts(struct trit_tokenizer *t, struct trit_error *err);
/* The byte that a text like "<0x0A>" stands for, or -1. */
int trit_spm_byte(size_t len, const char *text);

#endif
