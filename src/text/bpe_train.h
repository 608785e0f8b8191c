/*
 * bpe_train.h - learns a byte-level BPE vocabulary from text (Sennrich et al. 2016; bytes as in GPT-2).
 *
 * Words (pieces of the pre-tokeniser) are counted first, so memory follows the number of different words, not the text.
 * Ties are broken by the smaller pair of token ids: the result does not depend on the order of the text. These are also
 * the rules of Hugging Face's BpeTrainer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_BPE_TRAIN_H
#define TRIT_TEXT_BPE_TRAIN_H

#include "text/vocab.h"

/** Longer words are cut into pieces of this many bytes. */
#define TRIT_BPE_MAX_WORD 256
/** Bounds on the different words kept and on their bytes altogether (about 30 bytes of memory for each of these). Where
 * one is met the rarest words are dropped, and only then does the order of the text matter. */
#define TRIT_BPE_MAX_WORDS (1 << 22)
#define TRIT_BPE_MAX_WORDS_BYTES (1 << 25)

struct trit_bpe_trainer;

/** `pre` names the pre-tokeniser; "" means "gpt-2". Errors: UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_bpe_trainer_new(struct trit_bpe_trainer **out, const char *pre, struct trit_error *err);
void trit_bpe_trainer_free(struct trit_bpe_trainer *t);
/** Counts the words of one document. Errors: MEMORY; the trainer is then only good to be freed. */
TRIT_MUST_CHECK int trit_bpe_trainer_add(struct trit_bpe_trainer *t, size_t len, const char *text,
                                         struct trit_error *err);
/** Adds what `from` counted; that is then empty. So threads can count, each with a trainer of its own. As long as none
 * of them meets a bound between two calls, the result is the same whoever counted what. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_bpe_trainer_merge(struct trit_bpe_trainer *t, struct trit_bpe_trainer *from,
                                           struct trit_error *err);
/** Bytes of text counted so far. */
uint64_t trit_bpe_trainer_bytes(const struct trit_bpe_trainer *t);

/**
 * Learns merges until the vocabulary has n_tokens: the 256 bytes (in GPT-2's order: printable bytes first), the results
 * of the merges in order, then the control token "<|endoftext|>", last (bos = eos = it, add_bos true). When the text
 * has fewer merges that occur twice, the vocabulary is smaller. The trainer is unchanged and may learn again. Errors:
 * ARG (n_tokens < 257 or beyond TRIT_MAX_VOCAB), FORMAT (no text at all), MEMORY.
 */
TRIT_MUST_CHECK int trit_bpe_train(struct trit_bpe_trainer *t, int n_tokens, struct trit_vocab *out,
                                   struct trit_error *err);

#endif
