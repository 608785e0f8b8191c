/*
 * tokenizer_parts.h - what a tokenizer is made of; shared by tokenizer.c (builds it) and encoder.c (uses it).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_TOKENIZER_PARTS_H
#define TRIT_TEXT_TOKENIZER_PARTS_H

#include "text/bpe.h"
#include "text/pretok.h"
#include "text/special.h"
#include "text/tokenizer.h"

struct trit_tokenizer {
	struct trit_vocab vocab;
	uint32_t *by_text; /* hash table of token + 1, 0 where empty; text_mask + 1 slots */
	uint32_t text_mask;
	char *decoded;     /* bytes of all tokens, one after the other */
	size_t *starts;    /* [V + 1], into decoded */
	trit_token bytes[256];
	struct trit_bpe bpe;
	struct trit_pretok *pretok;
	bool ignores_merges;
	struct trit_special user, all; /* user-defined tokens; those and control tokens */
};

#endif
