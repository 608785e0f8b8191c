/*
 * tokenizer.h - text to tokens and back, for any supported vocabulary.
 *
 * Built once from a vocabulary (hash tables, the compiled pre-tokeniser), then immutable and shared by threads; the
 * scratch memory of encoding is the caller's struct trit_encoder.
 *
 * Encoding a text: special tokens are found (text/special), what lies between is prepared and cut into words, and each
 * word becomes tokens, unless a cache of words has the result. By the vocabulary's model:
 *
 *     "gpt2"   cut by regular expressions (text/pretok), bytes merged in order of rank (text/bpe)
 *     "llama"  prepared as SentencePiece does (text/spm_text), characters merged in order of score (text/spm)
 *     "t5"     prepared the same, the tokens of the greatest probability (text/unigram)
 *     "bert"   words of WordPiece (text/wordpiece)
 *
 * Before that a text is normalised (text/normal) where the makers ask for it: by the normalizer of a tokenizer.json, to
 * NFC for families of pre-tokenisers such as Qwen 2's. Decoding then gives back the normalised text; byte-level
 * vocabularies that ask for nothing give back every text byte for byte.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_TOKENIZER_H
#define TRIT_TEXT_TOKENIZER_H

#include "text/utf8.h"
#include "text/vocab.h"

struct trit_tokenizer;

/** Takes the vocabulary over (take_: *take_vocab is moved in and zeroed; on failure it is released) and checks it:
 * tokens without text, missing byte tokens, texts or merges that are there twice, merges whose parts or result are not
 * tokens, special tokens that are not in it. Errors: FORMAT, UNSUPPORTED (kinds of vocabulary and names of
 * pre-tokenisers this build does not know, or no PCRE2), MEMORY. */
TRIT_MUST_CHECK int trit_tokenizer_new(struct trit_tokenizer **out, struct trit_vocab *take_vocab,
                                       struct trit_error *err);
void trit_tokenizer_free(struct trit_tokenizer *t);
const struct trit_vocab *trit_tokenizer_vocab(const struct trit_tokenizer *t);

/** Growing list of tokens with a maximum, like trit_buf. On error it is unchanged. */
struct trit_tokens {
	trit_token *data;
	size_t len, cap, max;
};
void trit_tokens_init(struct trit_tokens *l, size_t max);
void trit_tokens_release(struct trit_tokens *l);
TRIT_MUST_CHECK int trit_tokens_append(struct trit_tokens *l, trit_token id, struct trit_error *err);

/** Scratch memory and word cache of one encoding thread. */
struct trit_encoder;
TRIT_MUST_CHECK int trit_encoder_new(struct trit_encoder **out, const struct trit_tokenizer *t, struct trit_error *err);
void trit_encoder_free(struct trit_encoder *e);

/** Appends the tokens of len bytes of text; `flags` are enum trit_tokenize_flags. Any bytes are accepted (invalid
 * UTF-8, NUL); byte-level BPE encodes them without loss, for the others what is not UTF-8 is U+FFFD. Texts of
 * user-defined tokens always become that token, those of control tokens with TRIT_TOKENIZE_SPECIAL; the leftmost is
 * taken first, the longest among those at one place. Time is linear in the text but for words of megabytes, which cost
 * a logarithm more. Errors: LIMIT (list full), MEMORY; the list is then as
 * it was. */
TRIT_MUST_CHECK int trit_encode(struct trit_encoder *e, size_t len, const char *text, unsigned flags,
                                struct trit_tokens *out, struct trit_error *err);

/** The same for a text of which some bytes came from outside (marks[len]: 1; 0: the text's own; NULL: all its own, then
 * `flags` decide). Own bytes are read with their special tokens; what came from outside becomes no control token, nor a
 * user-defined one that belongs to the form of a conversation, whatever it says. */
TRIT_MUST_CHECK int trit_encode_marked(struct trit_encoder *e, size_t len, const char *text, const char *marks,
                                       unsigned flags, struct trit_tokens *out, struct trit_error *err);

/** The token's bytes, decoded; inside the tokenizer. Tokens that are not text (control, unknown, unused) give zero
 * bytes, but SentencePiece's unknown token is " U+2047 " and its unused ones are text. What depends on the tokens
 * before it is text/detokenizer's. */
const char *trit_decode_token(const struct trit_tokenizer *t, trit_token id, size_t *len);
/** The token with exactly this text (as in the vocabulary), or -1. */
trit_token trit_find_token(const struct trit_tokenizer *t, size_t len, const char *text);
/** 1 if generation stops after this token: EOS, EOT, or a token with a well-known name of one. */
int trit_is_end_token(const struct trit_tokenizer *t, trit_token id);
/** 1 for a special token that by its name belongs to the form of a conversation: <|user|>, <start_of_turn>, [INST], or
 * one that ends an answer. */
int trit_is_turn_token(const struct trit_tokenizer *t, trit_token id);

#endif
