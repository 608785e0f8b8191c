/*
 * vocab.h - a vocabulary: what every token is, which pairs merge, which tokens are special, and how text is prepared
 * and cut first.
 *
 * A value built once (from a GGUF file, a tokenizer.json, a SentencePiece .model, or learnt from text by
 * text/bpe_train), then immutable and shared. Token texts are kept as GGUF keeps them:
 *
 *     "gpt2"   byte-level BPE      in the printable alphabet of GPT-2, where each byte is one Unicode character
 *     "llama"  SentencePiece BPE   UTF-8; a space is U+2581, "\xe2\x96\x81"; bytes are "<0x0A>", of type BYTE
 *     "t5"     SentencePiece unigram, the same
 *     "bert"   WordPiece           the beginning of a word with U+2581 before it, a continuation ("##ing") bare
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TEXT_VOCAB_H
#define TRIT_TEXT_VOCAB_H

#include <stdbool.h>

#include "base/buf.h"

/** GGUF's tokenizer.ggml.token_type. */
enum trit_token_type {
	TRIT_TOKEN_NORMAL = 1,
	TRIT_TOKEN_UNKNOWN = 2,
	TRIT_TOKEN_CONTROL = 3, /* special, never printed: <|endoftext|> */
	TRIT_TOKEN_USER = 4,    /* added by a user: matched in the text before anything else, printed as it stands */
	TRIT_TOKEN_UNUSED = 5,
	TRIT_TOKEN_BYTE = 6, /* SentencePiece byte fallback <0x0A> */
};

#define TRIT_MAX_VOCAB (1 << 22)
#define TRIT_MAX_TOKEN_BYTES 4096

/** What the text of an added token asks of the text round it (added_tokens of tokenizer.json). */
enum trit_piece_flags {
	TRIT_PIECE_LSTRIP = 1,     /* takes the white space before it */
	TRIT_PIECE_RSTRIP = 2,     /* takes the white space after it */
	TRIT_PIECE_WORD = 4,       /* is not part of a longer word */
};

struct trit_piece {
	const char *text; /* len bytes, inside the vocabulary's own storage */
	uint32_t len;
	uint8_t type;  /* enum trit_token_type */
	uint8_t flags; /* enum trit_piece_flags */
};

/** One step of preparing a text, text/normal.h. */
struct trit_normal_step {
	uint8_t kind;     /* enum trit_normal_kind */
	const char *text, *with; /* PREPEND: the text; REPLACE: what is replaced, by what; else NULL */
};

/** What becomes of the matches of an expression, the delimiters (tokenizer.json's "behavior"). */
enum trit_split_behavior {
	TRIT_SPLIT_ISOLATED, /* parts of their own */
	TRIT_SPLIT_REMOVED,
	TRIT_SPLIT_MERGED_WITH_PREVIOUS,
	TRIT_SPLIT_MERGED_WITH_NEXT,
	TRIT_SPLIT_CONTIGUOUS, /* those side by side are one part */
};

/** One stage of cutting a text into words, text/pretok.h. */
struct trit_split {
	const char *pattern; /* a regular expression, text/regex.h */
	uint8_t behavior; /* enum trit_split_behavior */
	bool invert;      /* what lies between the matches is the delimiter */
	bool bytes;       /* sees bytes: it comes after ByteLevel */
	bool tiles;       /* matches at every place, so its matches, end to end, are the parts */
};

#define TRIT_MAX_SPLITS 8
#define TRIT_MAX_NORMAL_STEPS 32

struct trit_vocab {
	char model[16];           /* tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SentencePiece), ... */
	char pre[32];             /* tokenizer.ggml.pre: the pre-tokeniser, text/pretok.h; "" when the file has none */
	int n_tokens;             /* V */
	struct trit_piece *pieces; /* [V] */
	float *scores;            /* [V], or NULL */
	int n_merges;
	struct trit_piece *merges; /* [n_merges], "left right" in order of rank; type unused */
	trit_token bos, eos, eot, unk, pad, sep, cls, mask; /* -1: none */
	bool add_bos, add_eos, add_sep; /* what the makers ask for */

	/* What a tokenizer.json spells out and no name in GGUF stands for; there are none when `pre` says it all. */
	int n_normal, n_splits;
	struct trit_normal_step *normal; /* [n_normal], before anything else */
	struct trit_split *splits;       /* [n_splits], instead of those of `pre` */
	int n_owned;
	char **owned;                    /* [n_owned] the texts of both */
	bool custom;                     /* these count, not `pre`, also if there are none; and for SentencePiece not
	                                  * space_prefix, squeeze_spaces and charsmap, which serve files written from it */
	bool ignore_merges;              /* of custom ones: a word that is a token is taken as it is */

	/* How SentencePiece ("llama", "t5") prepares a text, text/spm_text.h. */
	bool space_prefix;        /* puts a space before the text (add_dummy_prefix) ... */
	bool space_suffix;        /* ... or rather after it (treat_whitespace_as_suffix) */
	bool squeeze_spaces;      /* drops spaces at both ends and all but one elsewhere (remove_extra_whitespaces) */
	bool plain_spaces;        /* tokens have ' ' for a space, not U+2581 (escape_whitespaces is false) */
	bool ranked;              /* "llama" merges by the list of merges, not by score: "gemma4" in GGUF */
	bool inline_user;         /* user-defined tokens are symbols within the text, as in SentencePiece; otherwise each
	                           * ends a text and begins another, as in llama.cpp */
	unsigned char *charsmap;  /* [charsmap_bytes] rules of replacement, text/charsmap.h; or NULL */
	size_t charsmap_bytes;
	/* How WordPiece ("bert") does. */
	bool lowercase, strip_accents;

	char *chat_template;      /* Jinja text or NULL */
	struct trit_buf bytes;    /* storage of all texts */
};

/** A zeroed struct is a valid empty vocabulary to release. */
void trit_vocab_release(struct trit_vocab *v);
/** The first token whose texts differ, of those that both have; -1: none. */
int trit_vocab_difference(const struct trit_vocab *a, const struct trit_vocab *b);
/** Sets the counts and allocates; texts follow by _set_piece and _set_merge. All special ids start at -1.
 * Errors: LIMIT beyond TRIT_MAX_VOCAB, MEMORY. */
TRIT_MUST_CHECK int trit_vocab_init(struct trit_vocab *v, const char *model, const char *pre, size_t n_tokens,
                                    size_t n_merges, size_t text_bytes, struct trit_error *err);
/** Copies the text of token `id` / merge `rank` in. text_bytes given to init must cover all of them. */
TRIT_MUST_CHECK int trit_vocab_set_piece(struct trit_vocab *v, size_t id, size_t len, const char *text,
                                         enum trit_token_type type, struct trit_error *err);
/** Appends a step to v->normal, a stage to v->splits; texts are copied. Errors: LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_vocab_add_normal(struct trit_vocab *v, unsigned kind, const char *text, const char *with,
                                          struct trit_error *err);
TRIT_MUST_CHECK int trit_vocab_add_split(struct trit_vocab *v, const struct trit_split *split, struct trit_error *err);
TRIT_MUST_CHECK int trit_vocab_set_merge(struct trit_vocab *v, size_t rank, size_t len, const char *text,
                                         struct trit_error *err);

#endif
